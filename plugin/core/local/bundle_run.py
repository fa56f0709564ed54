"""Recreating one bundle from beginning to end, by whoever was given it to do."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import Callable

from ..errors import CacheInUse, DamagedCache, StorageError, TileCacheError
from ..storage.store import TileStore
from ..tiling import TileRange
from .bundle_work import BundleTask, BundleWork
from .produce import PAUSES, Drawing, drawn
from .run_record import Entry, Key
from .source import TileSource

BATCH_BYTES = 8 << 20
"""Bytes of tiles of a bundle that are stored at once, or more where the last supertile was large.

As one write costs the same however many tiles it holds; but what waits is lost if the process dies.
"""

BATCH_SECONDS = 2.0
"""Seconds that a tile waits to be stored at the most."""

HOPELESS = 20
"""After so many supertiles in a row that failed wholly, the run stops: the source is dead."""

MOST_HOLES = 0.3
"""Part of a bundle's file that may be unused after an update; above, it is written anew."""


@dataclass(frozen=True)
class BundleDone:
    """What came of a bundle.

    `entries`: of its supertiles. `before`: what an interrupted run did and holds still. `skipped`:
    tiles that exist outside of both, and `untouched`: supertiles in which nothing was to do.
    `remarks`: what went wrong and does no harm. `error`: why it ended early, the source being dead.
    `is_whole`: all of it was dealt with; else it was stopped, or there is an error.
    """

    entries: tuple[Entry, ...] = ()
    before: tuple[Entry, ...] = ()
    skipped: int = 0
    untouched: int = 0
    remarks: tuple[TileCacheError, ...] = ()
    error: TileCacheError | None = None
    is_whole: bool = True


def recreate_bundle(
    store: TileStore,
    source: TileSource,
    task: BundleTask,
    stopped: Callable[[], bool] = lambda: False,
    pauses: tuple[float, ...] = PAUSES,
) -> BundleDone:
    """Draw from `source`, which was started, what `task` says, store it, say what came of it.

    Nothing is written down, and nothing committed. `stopped`: asked in this thread; what was drawn
    is stored. `pauses`: seconds before each new try of a supertile that failed.

    A bundle that cannot be used has failed; all of a package cannot: then DamagedCache, CacheInUse.
    Raises other StorageErrors, NothingToDraw, FormatNotDrawn, ServiceChanged.
    """
    try:
        bundle = BundleWork(store, source, task)
    except (DamagedCache, CacheInUse) as error:
        if store.profile.storage.is_package:
            raise
        return BundleDone(tuple(task.all_failed(error)))
    run = _BundleRun(store, bundle)
    with closing(drawn(source, iter(bundle.parts), stopped, pauses, run.store_old)) as drawings:
        for drawing in drawings:
            run.take(drawing)
            if run.error is not None:
                break
    return run.done()


@dataclass
class _BundleRun:
    """A bundle while it is drawn, and what came of it so far."""

    source_store: TileStore
    bundle: BundleWork
    entries: dict[Key, Entry] = field(default_factory=dict)
    in_a_row: int = 0
    error: TileCacheError | None = None

    def take(self, drawing: Drawing) -> None:
        entry = self.bundle.take(drawing)
        if entry is None:
            self.in_a_row = 0
        else:
            self.entries[entry.key] = entry
            self.in_a_row += 1
            if self.in_a_row >= HOPELESS:
                self.error = entry.error
        self.store_old()

    def store_old(self) -> None:
        if self.bundle.is_due(BATCH_BYTES, BATCH_SECONDS):
            self._store()

    def _store(self) -> None:
        for stored in self.bundle.store():
            for entries in (stored.entries, *stored.failures):
                self.entries.update((entry.key, entry) for entry in entries)

    def done(self) -> BundleDone:
        """Store what is left; what came of the bundle."""
        bundle = self.bundle
        self._store()
        is_whole = not bundle.waiting and self.error is None
        self.entries.update((loss.after.key, loss.after) for loss in bundle.losses())
        remark = None
        if bundle.has_stored:
            remark = won_back(self.source_store, bundle.task.level.id, bundle.task.block)
        return BundleDone(
            entries=tuple(self.entries.values()),
            before=bundle.before,
            skipped=bundle.skipped,
            untouched=bundle.untouched,
            remarks=() if remark is None else (remark,),
            error=self.error,
            is_whole=is_whole,
        )


def won_back(store: TileStore, level_id: int, block: TileRange) -> StorageError | None:
    """Write a bundle's file anew where too much of it is holes; no harm where that fails: why."""
    try:
        holes = store.holes_in(level_id, block)
        if holes is not None and holes.unused > MOST_HOLES * holes.size:
            store.defragment(holes)
    except StorageError as error:
        return error
    return None
