"""Recreating the tiles of an area with a crew: bundles are given out, and written down here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from ..errors import CacheInUse, DamagedCache, WorkersDied
from .bundle_run import BundleDone, recreate_bundle
from .bundle_work import BundleTask
from .crew import Crew
from .plan import tiles_to_do, world_limit
from .run_record import Entry
from .source import TileSource
from .space import Room
from .work import Work


class CrewRecreation:
    """A run that has `crew`, which has started, draw what `source` would draw.

    What it plans, counts and writes down is that of a run on this computer alone, so that either
    takes up what the other left.
    """

    def __init__(self, work: Work, source: TileSource, crew: Crew) -> None:
        self._work, self._source, self._crew = work, source, crew
        self._room = Room(work.store.path, journal=work.journal.path)
        self._waiting = 0
        self._are_whole = True
        self._all_planned = False

    def run(self) -> bool:
        """Have all drawn and stored; whether it came to its end.

        Raises SourceError, StorageError, ClusterUnusable, WorkerUnfit.
        """
        work = self._work
        with closing(self._crew.done(self._tasks(), work.stopped)) as all_done:
            for task, done in all_done:
                self._waiting -= 1
                self._take(task, done)
                self._room.check()
        is_cut_short = work.stopped() and work.has_failures
        if not self._all_planned or self._waiting or not self._are_whole or is_cut_short:
            return False
        work.write_failures()
        return True

    def _tasks(self) -> Iterator[BundleTask]:
        """The bundles to give out, level by level; those that need nothing are dealt with here."""
        work = self._work
        for level in work.plan.levels:
            limit = world_limit(work.store.profile, level)
            for block, mask in work.bundles(level):
                task = work.task(level, block, mask, limit)
                if self._is_to_do(task):
                    self._waiting += 1
                    yield task
                else:
                    self._take(task, recreate_bundle(work.store, self._source, task))
            if work.stopped():
                return
        self._all_planned = True

    def _is_to_do(self, task: BundleTask) -> bool:
        """Whether there is anything to draw, or may be."""
        try:
            todo, _ = tiles_to_do(self._work.store, task, task.level.id, task.block, task.mask)
        except (DamagedCache, CacheInUse):
            return False  # it has failed, which needs no crew to be told
        return bool(todo.any())

    def _take(self, task: BundleTask, done: BundleDone) -> None:
        """Count and write down what came of a bundle, which is durable by now.

        Raises what made its source hopeless.
        """
        work, level = self._work, task.level
        for entry in done.before:
            work.tally.add(entry)
        work.tally.skip(level.id, done.skipped)
        work.journal.untouched(done.untouched)
        for remark in done.remarks:
            work.progress.remark(remark)
        good: list[Entry] = []
        bad: list[Entry] = []
        for entry in done.entries:
            is_lost = entry.error is not None and not entry.made + entry.replaced
            (bad if is_lost else good).append(entry)
        work.record(*good)
        if good:
            work.succeed()
        self._are_whole &= done.is_whole
        if done.error is not None:
            raise done.error
        for entries in [bad] if good or _is_of_bundle(bad) else [[each] for each in bad]:
            if entries and entries[0].error is not None:
                # They are tried again where all that follows fails as well.
                work.record_failure(entries, entries[0].error)
        worked = sum(entry.made + entry.replaced for entry in done.entries)
        if done.is_whole:
            corner = task.block.min_row, task.block.min_col
            work.finish((level.id, *corner, done.skipped, done.untouched))
            work.progress.deal(level, int(task.mask.sum()), worked)
        work.commit_sometimes()


def _is_of_bundle(entries: list[Entry]) -> bool:
    """Whether supertiles failed together, for something was wrong with all of their bundle."""
    return any(isinstance(each.error, (WorkersDied, DamagedCache, CacheInUse)) for each in entries)
