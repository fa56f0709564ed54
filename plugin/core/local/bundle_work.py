"""What an update does to one bundle: which tiles, drawn how, stored when, and what came of them.

Values in, values out, so that a bundle can be worked on here or on another machine: who runs an
update plans, counts and writes down.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import CacheInUse, DamagedCache, SourceError, TileCacheError, TileTooLarge
from ..request import TileFilter, UpdateMode
from ..storage.store import Bools, TileStore
from ..tiling import BUNDLE_TILES, Level, TileRange
from .even_squares import Square, even_squares
from .plan import Corner, tiles_to_do
from .produce import Drawing, Pictures
from .run_record import Entry, Tiles, tiles_in
from .source import Supertile, TileSource
from .supertiles import supertiles, touched

Region = tuple[slice, slice]


@dataclass(frozen=True)
class BundleTask:
    """What is to be done in a bundle.

    `block`: all its 128 x 128 tiles; `mask`: those of the area. `side`: tiles to a side of a
    supertile. `mode`, `tile_filter`: which of the tiles. `limit`: the tiles of the world. `before`:
    what an interrupted run did in it.
    """

    level: Level
    block: TileRange
    mask: Bools
    side: int
    mode: UpdateMode
    tile_filter: TileFilter
    limit: TileRange | None = None
    before: tuple[Entry, ...] = ()

    @property
    def corner(self) -> Corner:
        return self.block.min_row, self.block.min_col

    def all_failed(self, error: TileCacheError) -> list[Entry]:
        """Everything in it as failed, where nobody knows what is there."""
        parts = supertiles(self.level, self.block, self.mask, self.side)
        corners = ((part, (part.block.min_row, part.block.min_col)) for part in parts)
        return [
            Entry(self.level.id, *corner, failed=tiles_in(corner, part.wanted), error=error)
            for part, corner in corners
        ]


@dataclass(frozen=True)
class Loss:
    """`tiles` of a supertile that were stored and are not there any more; `after`: what is left.

    `made`, `replaced`: as how many of each they were counted.
    """

    after: Entry
    tiles: Tiles
    made: int
    replaced: int
    error: TileCacheError


@dataclass
class _Part:
    """A part of the bundle that waits to be stored: a supertile that was drawn, or a square.

    `failed`: tiles that will not be stored, and why; `is_partly`: some failed by themselves.
    """

    region: Region
    wanted: Bools
    pictures: Pictures
    failed: dict[Corner, TileCacheError]
    is_partly: bool = False
    square: Square | None = None


@dataclass(frozen=True)
class Stored:
    """What came of parts that were stored, or were to be.

    `failures`: of those that failed wholly, each with the others of the same cause.
    """

    entries: list[Entry] = field(default_factory=list)
    failures: list[list[Entry]] = field(default_factory=list)


class BundleWork:
    """A bundle while it is worked on; all arrays are of its 128 x 128 tiles.

    `parts`: the supertiles to draw; `before`: what an interrupted run did and holds still;
    `skipped`: tiles that exist, in supertiles in which nothing is to do, and `untouched`: number of
    these; `dealt`: tiles of the area outside of `parts`, `even` of which are to be stored.
    `waiting`: supertiles not drawn yet.

    For one thread. Made, it has looked what is there. Raises DamagedCache, CacheInUse.
    """

    def __init__(self, store: TileStore, source: TileSource, task: BundleTask) -> None:
        self.task, self._store, self._name = task, store, source.name
        todo, exists = tiles_to_do(store, task, task.level.id, task.block, task.mask)
        self._mask, self._todo, self._exists = task.mask.copy(), todo, exists
        self._stored: Bools = np.zeros_like(exists)
        self._entries: list[Entry] = []
        self._pending: list[_Part] = []
        self._bytes, self._since = 0, 0.0
        self.before = self._still_there()
        rest = self._mask.copy()
        drawn = todo
        for square in even_squares(source, task.level, task.block, todo, task.side, task.limit):
            drawn = drawn & ~_only(square.region)
            rest[square.region] = False
            self._wait_with(self._even_part(square))
        parts = supertiles(task.level, task.block, drawn, task.side, task.limit)
        self.parts = tuple(parts) if drawn.any() else ()
        for part in self.parts:
            rest[self._region(part)] = False
        self.waiting = len(self.parts)
        self.even = sum(int(part.wanted.sum()) for part in self._pending)
        self.skipped = int((rest & exists).sum())
        self.untouched = self._touched(rest)
        self.dealt = int(task.mask.sum()) - sum(
            int(self._mask[self._region(part)].sum()) for part in self.parts
        )

    def _still_there(self) -> tuple[Entry, ...]:
        """What was done before; less may be there than was written down: after a loss of power."""
        held: list[Entry] = []
        # Supertiles first: they may have been made again after a square of them was lost.
        for entry in sorted(self.task.before, key=lambda entry: entry.side):
            region = self._region_of(entry)
            here = self._mask[region]
            if not here.any():
                continue
            wanted = entry.made + entry.replaced + entry.skipped
            if int((here & self._exists[region]).sum()) >= wanted:
                held.append(entry)
                self._mask[region] = self._todo[region] = False
        return tuple(held)

    def _even_part(self, square: Square) -> _Part:
        return _Part(square.region, self._todo[square.region], {}, {}, square=square)

    def _touched(self, mask: Bools) -> int:
        """How many supertiles `mask` touches."""
        if not mask.any():
            return 0
        return int(np.count_nonzero(touched(mask, self.task.side)))

    def _region(self, supertile: Supertile) -> Region:
        """Where in the arrays the supertile lies, whole, also at the world's edge."""
        row, col, side = supertile.block.min_row, supertile.block.min_col, self.task.side
        top = row - row % side - self.task.block.min_row
        left = col - col % side - self.task.block.min_col
        return slice(top, top + side), slice(left, left + side)

    def _region_of(self, entry: Entry) -> Region:
        top, left = entry.row - self.task.block.min_row, entry.col - self.task.block.min_col
        side = entry.side or self.task.side
        return slice(top, top + side), slice(left, left + side)

    def dealt_by(self, supertile: Supertile) -> int:
        """Number of tiles of the area that are dealt with once `supertile` was drawn."""
        return int(self._mask[self._region(supertile)].sum())

    # Drawn

    def take(self, drawing: Drawing) -> Entry | None:
        """Take what was drawn of a supertile; what came of it where nothing is there to store."""
        self.waiting -= 1
        part = self._drawn_part(drawing)
        is_lost = bool(part.failed) and not part.pictures and not drawing.failed
        if is_lost:
            return self._come_of([part])[0]
        self._wait_with(part)
        return None

    def _drawn_part(self, drawing: Drawing) -> _Part:
        block, region = drawing.supertile.block, self._region(drawing.supertile)
        wanted = tiles_in((block.min_row, block.min_col), drawing.supertile.wanted)
        if drawing.error is not None:
            failed = dict.fromkeys(wanted, drawing.error)
            return _Part(region, self._todo[region], {}, failed)
        found = drawing.tiles
        pictures = {tile: found[tile] for tile in wanted if found.get(tile)}
        failed = {tile: drawing.failed[tile] for tile in wanted if tile in drawing.failed}
        if len(pictures) < len(wanted):
            empty = SourceError(self._name, "empty picture")
            failed.update((tile, empty) for tile in wanted if tile in found and not found[tile])
        for tile in failed:
            pictures.pop(tile, None)
        return _Part(region, self._todo[region], pictures, failed, bool(drawing.failed))

    def _wait_with(self, part: _Part) -> None:
        if not self._pending:
            self._since = time.monotonic()
        self._pending.append(part)
        self._bytes += sum(map(len, part.pictures.values()))

    def is_due(self, most: int, oldest: float) -> bool:
        """Whether more than `most` bytes wait to be stored, or wait for `oldest` seconds."""
        if not self._pending:
            return False
        return self._bytes >= most or time.monotonic() - self._since >= oldest

    # Stored

    def store(self) -> Iterator[Stored]:
        """Store what waits, in few writes; what came of each, to be written down before the next.

        Raises StorageError, then nothing of that write, and of those after it, is told.
        """
        pending, self._pending, self._bytes = self._pending, [], 0
        groups: dict[bytes, list[_Part]] = {}
        for part in pending:
            groups.setdefault(part.square.picture if part.square else b"", []).append(part)
        for picture, parts in groups.items():
            yield self._stored_of(parts, picture)

    def _stored_of(self, parts: list[_Part], picture: bytes) -> Stored:
        """Store supertiles that were drawn, or squares of one `picture`. Raises StorageError."""
        try:
            if picture:
                self._write_squares(parts, picture)
            else:
                self._write_drawn(parts)
        except (DamagedCache, CacheInUse) as error:
            if self._store.profile.storage.is_package:
                raise
            for part in parts:
                part.failed.update(dict.fromkeys(self._hoped_for(part), error))
            entries = self._come_of(parts)
            return Stored(failures=[entries])
        stored = Stored()
        for part, entry in zip(parts, self._come_of(parts)):
            # Tiles that fail by themselves are no sign that the source is dead.
            is_lost = entry.error is not None and not entry.made + entry.replaced
            if is_lost and not part.is_partly:
                stored.failures.append([entry])
            else:
                stored.entries.append(entry)
        return stored

    def _hoped_for(self, part: _Part) -> Iterable[Corner]:
        """The tiles of a part that were to be stored."""
        return part.pictures if part.square is None else tiles_in(self._corner(part), part.wanted)

    def _corner(self, part: _Part) -> Corner:
        rows, cols = part.region
        return self.task.block.min_row + rows.start, self.task.block.min_col + cols.start

    def _write_drawn(self, parts: list[_Part]) -> None:
        """Store the tiles of supertiles. Raises StorageError."""
        together: dict[Corner, bytes] = {}
        for part in parts:
            together.update(part.pictures)
        too_large = self._write(together)
        for part in parts:
            if too_large:
                found = too_large.keys() & part.pictures.keys()
                part.failed.update((tile, too_large[tile]) for tile in found)
            self._mark(part)

    def _mark(self, part: _Part) -> None:
        """Note which tiles of a supertile are stored."""
        if len(part.pictures) == part.wanted.size and not part.failed:
            self._stored[part.region] = True
            return
        top, left = self.task.corner
        for row, col in part.pictures.keys() - part.failed.keys():
            self._stored[row - top, col - left] = True

    def _write(self, pictures: Pictures) -> dict[Corner, TileCacheError]:
        """Store pictures of tiles; those that are too large for that, and only those, go missing.

        Raises StorageError.
        """
        try:
            if pictures:
                self._store.write(self.task.level.id, pictures)
        except TileTooLarge as error:
            if len(pictures) == 1:
                return dict.fromkeys(pictures, error)
            each = list(pictures.items())
            half = len(each) // 2
            return {**self._write(dict(each[:half])), **self._write(dict(each[half:]))}
        return {}

    def _write_squares(self, parts: list[_Part], picture: bytes) -> None:
        """Store squares of one picture. Raises StorageError."""
        tiles: Bools = np.zeros_like(self._stored)
        for part in parts:
            tiles[part.region] = part.wanted
        try:
            self._store.write_even(self.task.level.id, self.task.block, tiles, picture)
            self._stored |= tiles
        except TileTooLarge as error:
            for part in parts:
                part.failed.update(dict.fromkeys(self._hoped_for(part), error))

    def _come_of(self, parts: list[_Part]) -> list[Entry]:
        """What came of parts, as far as they could be stored."""
        entries = [self._entry(part) for part in parts]
        self._entries += entries
        return entries

    def _entry(self, part: _Part) -> Entry:
        stored, exists = self._stored[part.region], self._exists[part.region]
        worked, replaced = int(stored.sum()), int((stored & exists).sum())
        left = self._mask[part.region] & exists & ~stored
        top, left_col = self._corner(part)
        for row, col in part.failed:
            left[row - top, col - left_col] = False
        side = part.region[0].stop - part.region[0].start
        is_plain = part.square is None or side == self.task.side
        return Entry(
            level_id=self.task.level.id,
            row=top,
            col=left_col,
            made=worked - replaced,
            replaced=replaced,
            skipped=int(left.sum()),
            failed=tuple(sorted(part.failed)),
            error=next(iter(part.failed.values()), None),
            side=0 if is_plain else side,
            supertiles=1 if is_plain else self._touched(self._mask[part.region]),
        )

    # At the end

    @property
    def has_stored(self) -> bool:
        """Whether any tile was stored."""
        return bool(self._stored.any())

    def losses(self) -> list[Loss]:
        """Tiles that were stored and are not there: they have failed, whoever took them away."""
        if not self.has_stored:
            return []
        try:
            lost = self._stored & ~self._store.exists(self.task.level.id, self.task.block)
        except (DamagedCache, CacheInUse):
            lost = self._stored
        if not lost.any():
            return []
        error = DamagedCache(str(self._store.path), "tiles that were stored are not there")
        return [
            self._loss(entry, lost[region], self._exists[region], error)
            for entry, region in ((entry, self._region_of(entry)) for entry in self._entries)
            if lost[region].any()
        ]

    def _loss(self, entry: Entry, gone: Bools, existed: Bools, error: TileCacheError) -> Loss:
        made, replaced = int((gone & ~existed).sum()), int((gone & existed).sum())
        tiles = tiles_in((entry.row, entry.col), gone)
        after = replace(
            entry,
            made=entry.made - made,
            replaced=entry.replaced - replaced,
            failed=tuple(sorted((*entry.failed, *tiles))),
            error=entry.error or error,
        )
        return Loss(after, tiles, made, replaced, error)


def _only(region: Region) -> Bools:
    """The tiles of a bundle that lie in `region`."""
    tiles = np.zeros((BUNDLE_TILES, BUNDLE_TILES), np.bool_)
    tiles[region] = True
    return tiles
