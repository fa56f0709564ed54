"""Recreating the tiles of an area: drawn by the source, stored bundle by bundle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import (
    CacheInUse,
    DamagedCache,
    SourceError,
    TileCacheError,
    TileTooLarge,
)
from ..storage.store import Bools
from ..tiling import Level, TileRange, bundle_of
from .deletion import tiles_in
from .plan import Corner, supertiles, tiles_to_do, world_of
from .produce import Drawing, Pictures, drawn
from .run_record import Entry
from .source import Supertile, TileSource
from .space import Room
from .work import Work


@dataclass
class _Bundle:
    """A bundle while its supertiles are drawn; all arrays are of its 128 x 128 tiles.

    `mask`: tiles of the area that were not dealt with before. `todo`: those to draw. `exists`:
    tiles that were there before. `stored`: tiles that were stored. `waiting`: supertiles that are
    not finished. `entries`: what came of the others.
    """

    level: Level
    block: TileRange
    mask: Bools
    todo: Bools
    exists: Bools
    stored: Bools
    waiting: int = 0
    entries: list[Entry] = field(default_factory=list)

    @property
    def corner(self) -> Corner:
        return self.block.min_row, self.block.min_col

    def region(self, row: int, col: int, side: int) -> tuple[slice, slice]:
        """Where in the arrays the supertile of `side` tiles lies that begins at a tile."""
        top, left = row - self.block.min_row, col - self.block.min_col
        return slice(top, top + side), slice(left, left + side)


class Recreation:
    """A run that draws tiles from `source`."""

    def __init__(self, work: Work, source: TileSource, pauses: tuple[float, ...]) -> None:
        self._work, self._source, self._pauses = work, source, pauses
        self._side = work.journal.side
        self._room = Room(work.store.path, journal=work.journal.path)
        self._open: dict[tuple[int, Corner], _Bundle] = {}
        self._all_planned = False

    def run(self) -> bool:
        """Draw and store; whether it came to its end. Raises SourceError, StorageError."""
        work = self._work
        drawings = drawn(self._source, self._supertiles(), work.stopped, self._pauses)
        with closing(drawings):
            for drawing in drawings:
                self._take(drawing)
                self._room.check()
        if not self._all_planned or self._open or work.is_cut_short:
            return False
        work.write_failures()
        return True

    def _supertiles(self) -> Iterator[Supertile]:
        """The supertiles to draw, level by level; what needs nothing is passed by on the way."""
        work = self._work
        scheme, world = work.store.profile.scheme, world_of(work.store.profile)
        for level in work.plan.levels:
            limit = None if world is None else scheme.tiles_of_extent(level, world)
            for block, mask in work.bundles(level):
                bundle = self._planned(level, block, mask)
                parts = list(supertiles(level, block, bundle.todo, self._side, limit))
                self._pass_by(bundle, parts)
                if parts:
                    bundle.waiting = len(parts)
                    self._open[level.id, bundle.corner] = bundle
                    yield from parts
            if work.stopped():
                return
        self._all_planned = True

    def _planned(self, level: Level, block: TileRange, mask: Bools) -> _Bundle:
        """A bundle with what is to do in it, less what an interrupted run did."""
        work = self._work
        nothing = np.zeros_like(mask)
        try:
            todo, exists = tiles_to_do(work.store, work.request, level.id, block, mask)
        except (DamagedCache, CacheInUse) as error:
            if work.is_one_file:
                raise
            # As nobody knows what is in there, nothing is put there.
            work.pass_by(self._all_failed(level, block, mask, error), error)
            work.progress.deal(level, int(mask.sum()))
            return _Bundle(level, block, nothing, nothing, nothing, nothing)
        bundle = _Bundle(level, block, mask, todo, exists, nothing)
        for entry in work.done_before(level, block):
            region = bundle.region(entry.row, entry.col, self._side)
            # After a loss of power, less may be there than was written down.
            if int((mask & exists)[region].sum()) >= entry.made + entry.replaced:
                work.tally.add(entry)
                work.progress.deal(level, int(mask[region].sum()))
                mask[region] = todo[region] = False
        return bundle

    def _all_failed(
        self, level: Level, block: TileRange, mask: Bools, error: TileCacheError
    ) -> list[Entry]:
        """All supertiles that `mask` touches in a bundle, as failed."""
        parts = supertiles(level, block, mask, self._side)
        corners = ((part, (part.block.min_row, part.block.min_col)) for part in parts)
        return [
            Entry(level.id, *corner, failed=tiles_in(corner, part.wanted), error=error)
            for part, corner in corners
        ]

    def _pass_by(self, bundle: _Bundle, parts: list[Supertile]) -> None:
        """Count what is in the bundle outside of `parts`, the supertiles to draw."""
        work = self._work
        rest = bundle.mask.copy()
        for part in parts:
            rest[self._region(bundle, part)] = False
        if rest.any():
            work.tally.skip(bundle.level.id, int((rest & bundle.exists).sum()))
            untouched = supertiles(bundle.level, bundle.block, rest, self._side)
            work.journal.untouched(sum(1 for _part in untouched))
            work.progress.deal(bundle.level, int(rest.sum()))

    def _region(self, bundle: _Bundle, supertile: Supertile) -> tuple[slice, slice]:
        """Where in the bundle's arrays the supertile lies, whole, also at the world's edge."""
        row, col = supertile.block.min_row, supertile.block.min_col
        return bundle.region(row - row % self._side, col - col % self._side, self._side)

    def _take(self, drawing: Drawing) -> None:
        """Store what was drawn of a supertile and write down what came of it."""
        work, block = self._work, drawing.supertile.block
        level_id = drawing.supertile.level.id
        key = level_id, bundle_of(block.min_row, block.min_col)
        bundle = self._open[key]
        entry = self._stored(bundle, drawing)
        worked = entry.made + entry.replaced
        bundle.entries.append(entry)
        # Tiles that fail by themselves are no sign that the source is dead.
        if entry.error is not None and not worked and not drawing.failed:
            work.record_failure([entry], entry.error)
        else:
            work.record(entry)
        dealt = int(bundle.mask[self._region(bundle, drawing.supertile)].sum())
        work.progress.deal(bundle.level, dealt, worked)
        bundle.waiting -= 1
        if not bundle.waiting:
            del self._open[key]
            self._close(bundle)

    def _stored(self, bundle: _Bundle, drawing: Drawing) -> Entry:
        """Store those pictures that are wanted; what came of them."""
        corner = drawing.supertile.block.min_row, drawing.supertile.block.min_col
        wanted = tiles_in(corner, drawing.supertile.wanted)
        error, failed = drawing.error, set(wanted)
        if error is None:
            pictures = {tile: drawing.tiles[tile] for tile in wanted if tile in drawing.tiles}
            failed, error = self._write(bundle.level.id, pictures)
            self._mark(bundle.stored, bundle, pictures.keys() - failed)
            missed_by_source = [tile for tile in wanted if tile in drawing.failed]
            if missed_by_source:
                failed = failed.union(missed_by_source)
                error = error or drawing.failed[missed_by_source[0]]
        region = self._region(bundle, drawing.supertile)
        stored, exists = bundle.stored[region], bundle.exists[region]
        missed = np.zeros_like(bundle.mask)
        self._mark(missed, bundle, failed)
        left = bundle.mask[region] & exists & ~stored & ~missed[region]
        return Entry(
            level_id=bundle.level.id,
            row=bundle.block.min_row + region[0].start,
            col=bundle.block.min_col + region[1].start,
            made=int((stored & ~exists).sum()),
            replaced=int((stored & exists).sum()),
            skipped=int(left.sum()),
            failed=tuple(sorted(failed)),
            error=error,
        )

    def _mark(self, array: Bools, bundle: _Bundle, tiles: set[Corner]) -> None:
        for row, col in tiles:
            array[row - bundle.block.min_row, col - bundle.block.min_col] = True

    def _write(
        self, level_id: int, pictures: Pictures
    ) -> tuple[set[Corner], TileCacheError | None]:
        """Store pictures of one bundle; those that could not be stored, and why."""
        failed = {tile for tile, picture in pictures.items() if not picture}
        error: TileCacheError | None = None
        if failed:
            error = SourceError(self._source.name, "empty picture")
        good = {tile: picture for tile, picture in pictures.items() if picture}
        store = self._work.store
        try:
            if good:
                store.write(level_id, good)
        except TileTooLarge as caught:
            error = caught
            if len(good) == 1:
                return set(pictures), error
            # Only those go missing that are too large themselves.
            for tile, picture in good.items():
                failed |= self._write(level_id, {tile: picture})[0]
        except (DamagedCache, CacheInUse) as caught:
            if self._work.is_one_file:
                raise
            return set(pictures), caught
        return failed, error

    def _close(self, bundle: _Bundle) -> None:
        """The last supertile of a bundle is stored: count its tiles, win its holes back."""
        if bundle.stored.any():
            self._count(bundle)
            self._work.defragment(bundle.level.id, bundle.block)
            self._work.commit_sometimes()

    def _count(self, bundle: _Bundle) -> None:
        """Tiles that were stored and are not there have failed, whoever took them away."""
        work = self._work
        try:
            lost = bundle.stored & ~work.store.exists(bundle.level.id, bundle.block)
        except (DamagedCache, CacheInUse):
            lost = bundle.stored
        if not lost.any():
            return
        error = DamagedCache(str(work.store.path), "tiles that were stored are not there")
        work.progress.fail(error)
        for entry in bundle.entries:
            region = bundle.region(entry.row, entry.col, self._side)
            gone, existed = lost[region], bundle.exists[region]
            if gone.any():
                tiles = tiles_in((entry.row, entry.col), gone)
                made, replaced = int((gone & ~existed).sum()), int((gone & existed).sum())
                work.tally.lose(entry.level_id, made, replaced, tiles, error)
                work.journal.append(
                    replace(
                        entry,
                        made=entry.made - made,
                        replaced=entry.replaced - replaced,
                        failed=tuple(sorted((*entry.failed, *tiles))),
                        error=entry.error or error,
                    )
                )
