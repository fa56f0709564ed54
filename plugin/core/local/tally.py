"""Counting what an update does, and telling how it gets on."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Callable

from ..errors import TileCacheError
from ..request import (
    FailedTile,
    Feedback,
    LevelReport,
    Message,
    Outcome,
    Pace,
    Severity,
    UpdateMode,
    UpdateReport,
)
from ..tiling import Level
from .plan import Plan
from .run_record import Entry, Tiles

LISTED = 100
"""Failed tiles that a report holds; all of them are in the journal."""

TOLD = 20
"""Failures that are told one by one while the update goes on."""

_TELL = 10.0  # seconds between two lines about the pace
_STEP = 0.1  # percent that are worth telling


@dataclass
class _Counts:
    made: int = 0
    replaced: int = 0
    deleted: int = 0
    skipped: int = 0
    failed: int = 0


class Tally:
    """What was done, per level; becomes the report."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._counts = {level.id: _Counts() for level in plan.levels}
        self._failed: list[FailedTile] = []

    def add(self, entry: Entry) -> None:
        """Count what came of a supertile."""
        counts = self._counts[entry.level_id]
        counts.made += entry.made
        counts.replaced += entry.replaced
        counts.deleted += entry.deleted
        counts.skipped += entry.skipped
        self._fail(entry.level_id, entry.failed, entry.error or TileCacheError())

    def lose(
        self, level_id: int, made: int, replaced: int, tiles: Tiles, error: TileCacheError
    ) -> None:
        """Count as failed what was counted as made or replaced."""
        counts = self._counts[level_id]
        counts.made -= made
        counts.replaced -= replaced
        self._fail(level_id, tiles, error)

    def skip(self, level_id: int, tiles: int) -> None:
        """Count tiles that exist and are left as they are."""
        self._counts[level_id].skipped += tiles

    def _fail(self, level_id: int, tiles: Tiles, error: TileCacheError) -> None:
        self._counts[level_id].failed += len(tiles)
        for row, col in tiles[: LISTED - len(self._failed)]:
            self._failed.append(FailedTile(level_id, row, col, error))

    def report(self, mode: UpdateMode, outcome: Outcome, path: str) -> UpdateReport:
        """The report; DONE becomes PARTIAL where tiles failed."""
        is_complete = outcome is Outcome.DONE
        levels = tuple(self._level(level, is_complete) for level in self._plan.levels)
        if outcome is Outcome.DONE and any(level.failed for level in levels):
            outcome = Outcome.PARTIAL
        return UpdateReport(
            outcome, mode, levels, path, is_local=True, failed_tiles=tuple(self._failed)
        )

    def _level(self, level: Level, is_complete: bool) -> LevelReport:
        counts, planned = self._counts[level.id], self._plan.count(level)
        here = counts.made + counts.replaced + counts.deleted + counts.skipped + counts.failed
        return LevelReport(
            level=level,
            planned=planned,
            made=counts.made,
            replaced=counts.replaced,
            deleted=counts.deleted,
            skipped=counts.skipped,
            failed=counts.failed,
            gaps=max(0, planned - here) if is_complete else None,
        )


class Progress:
    """Tells the feedback how an update gets on."""

    def __init__(
        self, plan: Plan, feedback: Feedback, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._feedback, self._clock = feedback, clock
        self._planned = sum(plan.reach(level) for level in plan.levels)
        self._dealt = self._worked = self._told = 0
        self._percent = -1.0
        self._level: Level | None = None
        # At the last line, or the beginning: when, and how many tiles were worked on, dealt with.
        self._since = (clock(), 0, 0)

    def deal(self, level: Level, tiles: int, worked: int = 0) -> None:
        """So many more planned tiles are dealt with; `worked` of them took work."""
        if not tiles:
            return
        self._level = level
        self._dealt += tiles
        self._worked += worked
        percent = min(100.0, 100 * self._dealt / max(1, self._planned))
        if percent >= self._percent + _STEP or percent == 100 != self._percent:
            self._percent = percent
            self._feedback.progress(percent)
        self._tell_pace()

    def fail(self, error: TileCacheError) -> None:
        """Tell of a supertile that failed, unless there were many."""
        self._told += 1
        if self._told <= TOLD:
            self._feedback.message(Message("", Severity.WARNING, error))

    def remark(self, error: TileCacheError) -> None:
        """Tell of something that went wrong and does no harm."""
        self._feedback.message(Message("", Severity.INFO, error))

    def _tell_pace(self) -> None:
        now = self._clock()
        before, worked, dealt = self._since
        seconds = now - before
        if seconds < _TELL or self._level is None:
            return
        rate = (self._dealt - dealt) / seconds
        left = self._planned - self._dealt
        pace = Pace(
            level=self._level,
            tiles=self._dealt,
            planned=self._planned,
            tiles_per_second=(self._worked - worked) / seconds,
            seconds_left=left / rate if rate > 0 else None,
        )
        self._since = now, self._worked, self._dealt
        self._feedback.message(Message("", pace=pace))
