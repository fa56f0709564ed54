"""Notices that a job stands still: no tile and no percent more for a stated time."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..errors import JobStalled
from ..request import Message, Severity
from .jobs import JobPhase, JobState
from .progress import Progress


class StallWatch:
    """Looks at each state of the job at `job_url`, and tells when it stands still.

    It does after `alarm_seconds` in which neither its percentage nor its number of tiles has grown;
    of a job that tells neither, in which it had nothing to say. Told once, and again each time the
    stillness has doubled.
    """

    def __init__(
        self,
        job_url: str,
        progress: Progress,
        alarm_seconds: float,
        tell: Callable[[Message], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._job_url, self._progress, self._tell, self._clock = job_url, progress, tell, clock
        self._alarm_seconds = self._next_alarm = alarm_seconds
        self._last: object = None
        self._first_count: tuple[float, float] | None = None
        self._last_count: tuple[float, float] | None = None
        self._changed_at = clock()

    def percent(self, state: JobState) -> float | None:
        """How far the job is by `state`; None where nothing tells."""
        percent = self._progress.percent(state)
        if state.phase is JobPhase.RUNNING:
            self._look(state, percent)
        return percent

    @property
    def tiles_per_second(self) -> float | None:
        """How fast it was up to its last tile; None where nobody counts or none came."""
        if self._first_count is None or self._last_count is None:
            return None
        seconds = self._last_count[0] - self._first_count[0]
        tiles = self._last_count[1] - self._first_count[1]
        return tiles / seconds if seconds > 0 and tiles > 0 else None

    def _look(self, state: JobState, percent: float | None) -> None:
        now, tiles = self._clock(), self._progress.tiles
        told: object = (percent, tiles)
        if percent is None and tiles is None:
            told = (state.status, len(state.messages))
        if tiles is not None and (self._last_count is None or tiles != self._last_count[1]):
            self._last_count = (now, tiles)
            self._first_count = self._first_count or self._last_count
        if told != self._last:
            self._last, self._changed_at, self._next_alarm = told, now, self._alarm_seconds
            return
        still = now - self._changed_at
        if still < self._next_alarm:
            return
        self._next_alarm = 2 * max(still, self._alarm_seconds)
        error = JobStalled(self._job_url, still, self.tiles_per_second)
        self._tell(Message("", Severity.WARNING, error))
