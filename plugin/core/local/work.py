"""What recreating and deleting have in common: who is told, and what is written down when."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Callable

import numpy as np

from ..errors import StorageError, TileCacheError
from ..request import UpdateRequest
from ..storage.store import Bools, TileStore
from ..tiling import Level, TileRange, bundle_of
from .bundle_run import HOPELESS, won_back
from .bundle_work import BundleTask, Loss
from .journal import Journal
from .plan import Corner, Plan, existing_bundles
from .run_record import Entry, Whole
from .tally import Progress, Tally

COMMIT_EVERY = 10.0
"""Seconds after which a cache in a folder is committed, at the end of the next bundle."""

_MOST_FINISHED = 100_000  # bundles that are kept in mind until the next commit


@dataclass
class Work:
    """A run while it is on. `stopped`: whether it was cancelled."""

    store: TileStore
    request: UpdateRequest
    plan: Plan
    journal: Journal
    tally: Tally
    progress: Progress
    stopped: Callable[[], bool]
    _not_drawn: list[list[Entry]] = field(default_factory=list)
    _not_stored: list[list[Entry]] = field(default_factory=list)
    _finished: list[Whole] = field(default_factory=list)
    _committed: float = field(default_factory=time.monotonic)

    def bundles(self, level: Level) -> Iterator[tuple[TileRange, Bools]]:
        """The bundles of a level that have to be looked at, until stopped; the rest is dealt with.

        What cannot hold a tile to work on is left out, but not what was done before.
        """
        run = self.journal.run
        among = existing_bundles(self.store, self.request, level.id)
        finished: dict[Corner, Whole] = {}
        if run is not None:
            among = None if among is None else among | run.bundles(level.id)
            finished = self._finished_before(level)
        rest = self.plan.reach(level)
        for block, mask in self.plan.bundles(level, among):
            if self.stopped():
                return
            tiles = int(np.count_nonzero(mask))
            rest -= tiles
            known = finished.get((block.min_row, block.min_col))
            if known is None:
                yield block, mask
            else:
                self._count_finished(level, block, known)
                self.progress.deal(level, tiles)
        self.progress.deal(level, rest)

    def _finished_before(self, level: Level) -> dict[Corner, Whole]:
        """Bundles of a level that an interrupted run finished, and that nobody wrote since."""
        run = self.journal.run
        finished = {} if run is None else run.finished(level.id)
        if run is None or not finished:
            return {}
        blocks = self.store.unwritten(level.id, run.written)
        corners = (bundle_of(each.min_row, each.min_col) for each in blocks)
        return {corner: finished[corner] for corner in corners if corner in finished}

    def _count_finished(self, level: Level, block: TileRange, known: Whole) -> None:
        """Count what an interrupted run did in a bundle that is not looked at again."""
        for entry in self.done_before(level, block):
            self.tally.add(entry)
        _level_id, _row, _col, skipped, untouched = known
        self.tally.skip(level.id, skipped)
        self.journal.untouched(untouched)

    def task(
        self, level: Level, block: TileRange, mask: Bools, limit: TileRange | None
    ) -> BundleTask:
        """What is to be done in a bundle; `limit`: the tiles of the world."""
        return BundleTask(
            level=level,
            block=block,
            mask=mask,
            side=self.journal.side,
            mode=self.request.mode,
            tile_filter=self.request.tile_filter,
            limit=limit,
            before=tuple(self.done_before(level, block)),
        )

    def done_before(self, level: Level, block: TileRange) -> Iterator[Entry]:
        """What an interrupted run did in a bundle."""
        if self.journal.run is not None:
            yield from self.journal.run.entries(level.id, (block.min_row, block.min_col))

    def record(self, *entries: Entry) -> None:
        """Count and write down what came of supertiles, some tiles of which may have failed."""
        if not entries:
            return
        self._write(self._not_stored)
        for entry in entries:
            self.tally.add(entry)
            if entry.error is not None:
                self.progress.fail(entry.error)
        self.journal.append(*entries)

    def succeed(self) -> None:
        """Something was drawn, if not stored yet: the source lives, and what it failed, failed."""
        self._write(self._not_drawn)

    def record_failure(self, entries: list[Entry], error: TileCacheError) -> None:
        """Count supertiles that could not be drawn, all of them because of `error`.

        They are written down once something succeeds again or the run ends well, so that, where the
        source is dead, they are tried again when the run resumes. Raises `error` once HOPELESS
        failures came in a row.
        """
        self._hold_back(self._not_drawn, entries, error)

    def refuse(self, entries: list[Entry], error: TileCacheError) -> None:
        """Count what could not be stored, or deleted, all because of `error`.

        As `record_failure`, but that only what is stored counts as a success.
        """
        self._hold_back(self._not_stored, entries, error)

    def _hold_back(
        self, failures: list[list[Entry]], entries: list[Entry], error: TileCacheError
    ) -> None:
        for entry in entries:
            self.tally.add(entry)
        failures.append(entries)
        self.progress.fail(error)
        if len(failures) >= HOPELESS:
            raise error

    def pass_by(self, entries: list[Entry], error: TileCacheError) -> None:
        """Count and write down supertiles of a bundle that cannot be used."""
        for entry in entries:
            self.tally.add(entry)
        self.journal.append(*entries)
        self.progress.fail(error)

    def lose(self, loss: Loss) -> None:
        """Count as failed, and write down, what was stored and is not there."""
        level_id = loss.after.level_id
        self.tally.lose(level_id, loss.made, loss.replaced, loss.tiles, loss.error)
        self.journal.append(loss.after)

    def finish(self, bundle: Whole) -> None:
        """All of a bundle is dealt with; with the next commit that is written down."""
        if len(self._finished) < _MOST_FINISHED:
            self._finished.append(bundle)

    def defragment(self, level_id: int, block: TileRange) -> None:
        """Write a bundle's file anew where too much of it is holes; no harm where that fails."""
        error = won_back(self.store, level_id, block)
        if error is not None:
            self.progress.remark(error)

    def write_failures(self) -> None:
        """Write down the failures that were held back."""
        self._write(self._not_drawn)
        self._write(self._not_stored)

    def _write(self, failures: list[list[Entry]]) -> None:
        if failures:
            self.journal.append(*(entry for entries in failures for entry in entries))
            failures.clear()

    def commit_sometimes(self) -> None:
        """At the end of a bundle: commit, if the last time is long ago. Packages: only at the end.

        Raises StorageError.
        """
        is_due = time.monotonic() - self._committed > COMMIT_EVERY
        if is_due and not self.is_one_file:
            self.commit()

    def commit(self) -> None:
        """Make what is stored, then what is written of it, durable. Raises StorageError."""
        self.store.commit()
        sure = self._sure()
        if sure:
            self.journal.sync()  # what came of them first
            self.journal.whole(sure)
        self.journal.sync()
        self._committed = time.monotonic()

    def save(self) -> None:
        """Commit after an error as far as possible, so that it is the error that people see.

        A tile package is not written anew: who takes the run up finds what is stored.
        """
        if not self.store.profile.storage.is_zip:
            with suppress(StorageError):
                self.commit()

    def _sure(self) -> list[Whole]:
        """The bundles that were finished and of which all is written down; not told again."""
        held = {
            (entry.level_id, *bundle_of(entry.row, entry.col))
            for failures in (self._not_drawn, self._not_stored)
            for entries in failures
            for entry in entries
        }
        sure = [bundle for bundle in self._finished if bundle[:3] not in held]
        self._finished = [bundle for bundle in self._finished if bundle[:3] in held]
        return sure

    @property
    def has_failures(self) -> bool:
        """Whether failures are held back that, where it was stopped, may be of that."""
        return bool(self._not_drawn or self._not_stored)

    @property
    def is_one_file(self) -> bool:
        """Whether what is wrong with one bundle's file is wrong with all of the cache."""
        return self.store.profile.storage.is_package
