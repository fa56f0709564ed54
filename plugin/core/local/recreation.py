"""Recreating the tiles of an area: drawn by the source, stored bundle by bundle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress

from ..errors import CacheInUse, DamagedCache, TargetProblem, TileCacheError
from ..storage.store import Bools
from ..tiling import Level, TileRange, bundle_of
from . import bundle_run
from .bundle_work import BundleWork
from .plan import Corner, world_limit
from .produce import Drawing, drawn
from .source import Supertile, TileSource
from .space import Room
from .work import Work


class Recreation:
    """A run that draws tiles from `source`."""

    def __init__(self, work: Work, source: TileSource, pauses: tuple[float, ...]) -> None:
        self._work, self._source, self._pauses = work, source, pauses
        self._room = Room(work.store.path, journal=work.journal.path)
        self._open: dict[tuple[int, Corner], BundleWork] = {}
        self._all_planned = False

    def run(self) -> bool:
        """Draw and store; whether it came to its end. Raises SourceError, StorageError."""
        work = self._work
        try:
            self._draw()
        except TargetProblem:
            raise  # where no cache is any more, none is to be begun
        except TileCacheError:
            # What was drawn is not lost because something else went wrong.
            with suppress(TileCacheError):
                self._store_all()
            raise
        is_stopped = work.stopped()
        self._store_all()
        if not self._all_planned or self._open or (is_stopped and work.has_failures):
            return False
        work.write_failures()
        return True

    def _draw(self) -> None:
        drawings = drawn(
            self._source,
            self._supertiles(),
            self._work.stopped,
            self._pauses,
            self._store_old,
        )
        with closing(drawings):
            for drawing in drawings:
                self._take(drawing)
                self._room.check()

    def _supertiles(self) -> Iterator[Supertile]:
        """The supertiles to draw, level by level; what needs nothing is passed by on the way."""
        work = self._work
        for level in work.plan.levels:
            limit = world_limit(work.store.profile, level)
            for block, mask in work.bundles(level):
                bundle = self._planned(level, block, mask, limit)
                if bundle is None:
                    continue
                if bundle.parts:
                    self._open[level.id, bundle.task.corner] = bundle
                    yield from bundle.parts
                else:
                    self._close(bundle)
                    self._room.check()
                    self._store_old()  # of other bundles, where many are passed by in a row
            if work.stopped():
                return
        self._all_planned = True

    def _planned(
        self, level: Level, block: TileRange, mask: Bools, limit: TileRange | None
    ) -> BundleWork | None:
        """A bundle with what is to do in it; None where it cannot be used."""
        work = self._work
        task = work.task(level, block, mask, limit)
        try:
            bundle = BundleWork(work.store, self._source, task)
        except (DamagedCache, CacheInUse) as error:
            if work.is_one_file:
                raise
            # As nobody knows what is in there, nothing is put there.
            work.pass_by(task.all_failed(error), error)
            work.progress.deal(level, int(mask.sum()))
            return None
        for entry in bundle.before:
            work.tally.add(entry)
        work.tally.skip(level.id, bundle.skipped)
        work.journal.untouched(bundle.untouched)
        work.progress.deal(level, bundle.dealt, bundle.even)
        return bundle

    def _take(self, drawing: Drawing) -> None:
        """Take what was drawn of a supertile; store it, if not with others later."""
        work, block = self._work, drawing.supertile.block
        key = drawing.supertile.level.id, bundle_of(block.min_row, block.min_col)
        bundle = self._open[key]
        failed = bundle.take(drawing)
        if failed is None:
            work.succeed()
        elif failed.error is not None:
            work.record_failure([failed], failed.error)
        dealt = bundle.dealt_by(drawing.supertile)
        worked = int(drawing.supertile.wanted.sum()) if drawing.tiles else 0
        work.progress.deal(bundle.task.level, dealt, worked)
        if not bundle.waiting:
            del self._open[key]
            self._close(bundle)
        self._store_old()

    def _store_old(self) -> None:
        """Store what waits for long, or is much; what was cancelled is stored at the end."""
        for bundle in self._open.values():
            if bundle.is_due(bundle_run.BATCH_BYTES, bundle_run.BATCH_SECONDS):
                self._store(bundle)

    def _store_all(self) -> None:
        for bundle in self._open.values():
            self._store(bundle)

    def _store(self, bundle: BundleWork) -> None:
        """Store what waits of a bundle, and write down what came of it."""
        for stored in bundle.store():
            self._work.record(*stored.entries)
            for entries in stored.failures:
                error = entries[0].error
                if error is not None:
                    self._work.refuse(entries, error)

    def _close(self, bundle: BundleWork) -> None:
        """The last supertile of a bundle was drawn: store, count its tiles, win its holes back."""
        work = self._work
        self._store(bundle)
        losses = bundle.losses()
        for loss in losses:
            work.lose(loss)
        if losses:
            work.progress.fail(losses[0].error)
        level, block = bundle.task.level, bundle.task.block
        work.finish((level.id, block.min_row, block.min_col, bundle.skipped, bundle.untouched))
        if bundle.has_stored:
            work.defragment(level.id, block)
        work.commit_sometimes()
