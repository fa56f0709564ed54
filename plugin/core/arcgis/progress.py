"""How far a caching job is, from the best source that the site offers.

In order of trust: the job's own percentage; the growth of the tile counts that ReportCacheStatus
gives; a percentage in the job's messages.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from ..description import LevelStatus
from ..errors import SiteError
from ..request import UpdateMode
from ..site_update import SiteUpdate, UpdatePart
from ..tiling import Level
from .jobs import JobState
from .site_jobs import Reporter

TileCounts = Mapping[int, int]
"""Tiles that exist, by level id."""

ASK_STATUS_EVERY_SECONDS = 2.0
"""Counting tiles costs the site more than telling a job's state does."""

ALMOST = 99.0
"""Only the job's own end is 100 %."""


def counts_of(status: tuple[LevelStatus, ...]) -> TileCounts:
    """Tiles that exist, by level id."""
    return {level.level_id: level.tiles for level in status}


def read_status(reporter: Reporter | None) -> tuple[LevelStatus, ...]:
    """How full the levels are; nothing where the site does not tell."""
    if reporter is None:
        return ()
    try:
        return reporter.read()
    except SiteError:
        # good to know, and never a reason to stop
        return ()


class Asked(Protocol):
    """What a job was asked for, as far as it tells how tile counts change."""

    @property
    def mode(self) -> UpdateMode: ...

    @property
    def levels(self) -> tuple[Level, ...]: ...


@dataclass(frozen=True)
class _AskedPart:
    mode: UpdateMode
    levels: tuple[Level, ...]


def progress_of(
    update: SiteUpdate,
    part: UpdatePart,
    reporter: Reporter | None,
    status: tuple[LevelStatus, ...] | None,
) -> Progress:
    """That of a part of `update`; `status`: how full the cache was just now, None: to be asked."""
    levels = tuple(level for level in update.levels if level.id in part.level_ids)
    if status is None:
        first = min((each.asked_at for each in update.parts if each.asked_at), default=0.0)
        # those that were there when it began, against how many there can be now
        known = update.before if part.asked_at == first else {}
        status = tuple(
            replace(each, tiles=known.get(each.level_id, each.tiles))
            for each in read_status(reporter)
        )
    return Progress(_AskedPart(update.mode, levels), part.planned, status, reporter)


class Progress:
    """Percent done of what was asked, which plans `planned` tiles on a cache as full as `before`.

    `tiles`: made or deleted so far, None where nobody counts them.
    """

    def __init__(
        self,
        request: Asked,
        planned: TileCounts,
        before: tuple[LevelStatus, ...],
        reporter: Reporter | None,
    ) -> None:
        self._request, self._before, self._reporter = request, counts_of(before), reporter
        self._goal = _expected_change(request, planned, before)
        self._ask_at = 0.0
        self._counted: float | None = None
        self._planned = sum(planned.values())
        self.tiles: float | None = None

    def percent(self, state: JobState) -> float | None:
        """Percent done by `state`; None where nothing tells."""
        if state.tiles is not None:
            self.tiles = state.tiles
        if state.percent is not None:
            if state.tiles is None and self._planned:
                self.tiles = state.percent / 100 * self._planned
            return state.percent
        counted = self._by_counts()
        return state.percent_in_messages if counted is None else counted

    def _by_counts(self) -> float | None:
        now = time.monotonic()
        if self._reporter is None or not self._goal or now < self._ask_at:
            return self._counted
        self._ask_at = now + ASK_STATUS_EVERY_SECONDS
        try:
            counts = counts_of(self._reporter.read())
        except SiteError:
            # not to hold up cancelling and messages time and again
            self._reporter = None
            return self._counted
        levels = [level.id for level in self._request.levels]
        change = sum(abs(counts.get(key, self._before[key]) - self._before[key]) for key in levels)
        self.tiles = change
        self._counted = min(100.0 * change / self._goal, ALMOST)
        return self._counted


def _expected_change(request: Asked, planned: TileCounts, before: tuple[LevelStatus, ...]) -> int:
    """By how many tiles the counts should change; 0 where that cannot be known.

    The site counts over the whole cache, not over the area: no more can be made than what the
    whole level lacks, nor deleted than what it has. Replacing tiles changes no count.
    """
    status = {level.level_id: level for level in before}
    change = 0
    for level in request.levels:
        if level.id not in status or level.id not in planned:
            return 0
        level_status, tiles = status[level.id], planned[level.id]
        missing = tiles
        if level_status.expected is not None:
            missing = max(level_status.expected - level_status.tiles, 0)
        if request.mode is UpdateMode.DELETE:
            change += min(tiles, level_status.tiles)
        elif request.mode is UpdateMode.RECREATE_EMPTY or level_status.tiles == 0:
            change += min(tiles, missing)
        else:
            return 0
    return change
