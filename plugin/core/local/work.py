"""What recreating and deleting have in common: who is told, and what is written down when."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Callable

from ..errors import StorageError, TileCacheError
from ..request import UpdateRequest
from ..storage.store import Bools, TileStore
from ..tiling import Level, TileRange
from .journal import Journal
from .plan import Plan, existing_bundles
from .run_record import Entry
from .tally import Progress, Tally

HOPELESS = 20
"""After so many supertiles in a row that failed wholly, the run stops: the source is dead."""

MOST_HOLES = 0.3
"""Part of a bundle's file that may be unused after an update; above, it is written anew."""

COMMIT_EVERY = 10.0
"""Seconds after which a cache in a folder is committed, at the end of the next bundle."""


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
    _failures: list[list[Entry]] = field(default_factory=list)
    _committed: float = field(default_factory=time.monotonic)

    def bundles(self, level: Level) -> Iterator[tuple[TileRange, Bools]]:
        """The bundles of a level that have to be looked at, until stopped; the rest is dealt with.

        What cannot hold a tile to work on is left out, but not what was done before.
        """
        run = self.journal.run
        among = existing_bundles(self.store, self.request, level.id)
        if among is not None and run is not None:
            among |= run.bundles(level.id)
        rest = self.plan.reach(level)
        for block, mask in self.plan.bundles(level, among):
            if self.stopped():
                return
            rest -= int(mask.sum())
            yield block, mask
        self.progress.deal(level, rest)

    def done_before(self, level: Level, block: TileRange) -> Iterator[Entry]:
        """What an interrupted run did in a bundle."""
        if self.journal.run is not None:
            yield from self.journal.run.entries(level.id, (block.min_row, block.min_col))

    def record(self, entry: Entry) -> None:
        """Count and write down what came of a supertile, some tiles of which may have failed."""
        self.write_failures()
        self.tally.add(entry)
        self.journal.append(entry)
        if entry.error is not None:
            self.progress.fail(entry.error)

    def record_failure(self, entries: list[Entry], error: TileCacheError) -> None:
        """Count supertiles that failed wholly, all of them because of `error`.

        They are written down once something succeeds again or the run ends well, so that, where the
        source is dead, they are tried again when the run resumes. Raises `error` once HOPELESS
        failures came in a row.
        """
        for entry in entries:
            self.tally.add(entry)
        self._failures.append(entries)
        self.progress.fail(error)
        if len(self._failures) >= HOPELESS:
            raise error

    def pass_by(self, entries: list[Entry], error: TileCacheError) -> None:
        """Count and write down supertiles of a bundle that cannot be used."""
        for entry in entries:
            self.tally.add(entry)
            self.journal.append(entry)
        self.progress.fail(error)

    def defragment(self, level_id: int, block: TileRange) -> None:
        """Write a bundle's file anew where too much of it is holes; no harm where that fails."""
        try:
            holes = self.store.holes_in(level_id, block)
            if holes is not None and holes.unused > MOST_HOLES * holes.size:
                self.store.defragment(holes)
        except StorageError as error:
            self.progress.remark(error)

    def write_failures(self) -> None:
        """Write down the failures that were held back."""
        for entries in self._failures:
            for entry in entries:
                self.journal.append(entry)
        self._failures = []

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
        self.journal.sync()
        self._committed = time.monotonic()

    def save(self) -> None:
        """Commit after an error as far as possible, so that it is the error that people see.

        A tile package is not written anew: who takes the run up finds what is stored.
        """
        if not self.store.profile.storage.is_zip:
            with suppress(StorageError):
                self.commit()

    @property
    def is_cut_short(self) -> bool:
        """Whether it was stopped, and the last failures may be of that."""
        return bool(self._failures) and self.stopped()

    @property
    def is_one_file(self) -> bool:
        """Whether what is wrong with one bundle's file is wrong with all of the cache."""
        return self.store.profile.storage.is_package
