"""Stands where exports are carried out: does what a test says, and notes what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tile_cache_manager.plugin.core.export.request import (
    ExportReport,
    ExportRequest,
    QueueItemReport,
    QueueReport,
)
from tile_cache_manager.plugin.core.request import (
    Feedback,
    LevelEstimate,
    LevelReport,
    Message,
    Outcome,
)
from tile_cache_manager.plugin.core.tiling import Level


@dataclass
class ScriptedExports:
    """An export tells 40 % and a message, then waits for `go_on` or a cancel.

    `ending`: what it ends with, an error to raise or how its report says it ended. `results`: what
    services of a queue end with, by address: an error, "before" for what was done before, or how
    the report says that it ended; any other is exported. `drawings`: what missing tiles would be
    drawn from. `anew`: of each queue, whether what was done before is exported, too.
    """

    ending: Exception | Outcome = Outcome.DONE
    results: dict[str, Any] = field(default_factory=dict)
    requests: list[ExportRequest] = field(default_factory=list)
    estimated: list[ExportRequest] = field(default_factory=list)
    queues: list[tuple[list[Any], Path]] = field(default_factory=list)
    anew: list[bool] = field(default_factory=list)
    drawings: list[object] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)

    def run(
        self, address: str, request: ExportRequest, feedback: Feedback, **given: Any
    ) -> ExportReport:
        self.requests.append(request)
        self.drawings.append(given["drawing"])
        is_cancelled = self._wait(feedback)
        if isinstance(self.ending, Exception):
            raise self.ending
        outcome = Outcome.CANCELLED if is_cancelled else self.ending
        return report_of(address, request, outcome)

    def estimate(
        self, _address: str, request: ExportRequest, _feedback: Feedback, **_given: Any
    ) -> tuple[LevelEstimate, ...]:
        self.estimated.append(request)
        if isinstance(self.ending, Exception):
            raise self.ending
        return tuple(LevelEstimate(level, 10, 2_000_000, 60.0) for level in request.levels)

    def run_queue(
        self, items: Sequence[Any], folder: Path, feedback: Feedback, **given: Any
    ) -> QueueReport:
        self.queues.append((list(items), folder))
        self.anew.append(given["anew"])
        if items:
            given["told"](0, None)
        is_cancelled = self._wait(feedback)
        if is_cancelled:
            return QueueReport((), is_cancelled=True)
        results = tuple(self._result(item) for item in items)
        for index, result in enumerate(results):
            given["told"](index, result)
        return QueueReport(results)

    def _result(self, item: Any) -> QueueItemReport:
        result = self.results.get(item.address)
        where = item.address, str(item.target)
        if isinstance(result, Exception):
            return QueueItemReport(*where, error=result)
        if result == "before":
            return QueueItemReport(*where, is_done_before=True)
        outcome = result or Outcome.DONE
        levels = (LevelReport(Level(0, 156543.03392800014, 591657527.591555), planned=1, made=1),)
        report = ExportReport(outcome, "service", *where, levels)
        return QueueItemReport(*where, report=report)

    def _wait(self, feedback: Feedback) -> bool:
        """Whether it was cancelled."""
        feedback.progress(40)
        feedback.message(Message("Job started"))
        while not (self.go_on.wait(0.01) or feedback.cancelled()):
            pass
        return feedback.cancelled()


def report_of(address: str, request: ExportRequest, outcome: Outcome) -> ExportReport:
    """Of each level 3 of 4 tiles are new, and one was there."""
    levels = tuple(LevelReport(level, planned=4, made=3, skipped=1) for level in request.levels)
    return ExportReport(outcome, "World", address, str(request.target), levels, size=1_000_000)
