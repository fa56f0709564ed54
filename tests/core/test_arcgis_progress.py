"""How far a job is: by its own word, by the tiles counted, by its messages, in that order."""

from __future__ import annotations

from typing import Any

import pytest
from scripted_site import SITE

from tile_cache_manager.plugin.core.arcgis.jobs import JobState, parse_job
from tile_cache_manager.plugin.core.arcgis.progress import Progress
from tile_cache_manager.plugin.core.description import LevelStatus
from tile_cache_manager.plugin.core.errors import SiteRefused
from tile_cache_manager.plugin.core.request import UpdateMode, UpdateRequest
from tile_cache_manager.plugin.core.tiling import Level, SpatialReference, TilingScheme

EMPTY, ALL, DELETE = UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL, UpdateMode.DELETE
COARSE, FINE = Level(7, 10.0, 40000.0), Level(8, 5.0, 20000.0)
SCHEME = TilingScheme(0, 4000, 100, 100, 96, SpatialReference(25832), (COARSE, FINE))
PLANNED = {7: 4, 8: 16}


class FakeReporter:
    """Gives `reports` one after the other; the last one stays. `asked`: how often."""

    def __init__(self, *reports: Any) -> None:
        self.reports = list(reports)
        self.asked = 0

    def read(self) -> tuple[LevelStatus, ...]:
        self.asked += 1
        report = self.reports.pop(0) if len(self.reports) > 1 else self.reports[0]
        if isinstance(report, Exception):
            raise report
        return tuple(LevelStatus(*row) for row in report)


def state(percent: float | None = None, *messages: str) -> JobState:
    progress: dict[str, Any] = {} if percent is None else {"progress": {"percentage": percent}}
    lines = [{"type": "esriJobMessageTypeInformative", "description": text} for text in messages]
    return parse_job({"jobStatus": "esriJobExecuting", "messages": lines, **progress})


def progress_of(
    reporter: FakeReporter | None,
    mode: UpdateMode = EMPTY,
    before: tuple[tuple[int, int, int | None], ...] = ((7, 0, 16), (8, 0, 64)),
) -> Progress:
    request = UpdateRequest(SCHEME, (COARSE, FINE), mode)
    levels = tuple(LevelStatus(*row) for row in before)
    return Progress(request, PLANNED, levels, reporter)  # type: ignore[arg-type]


HALF = ((7, 4, 16), (8, 6, 64))


def test_the_jobs_own_percentage_is_trusted_most() -> None:
    reporter = FakeReporter(HALF)

    assert progress_of(reporter).percent(state(12, "Finished 80%.")) == 12
    assert reporter.asked == 0


def test_then_what_the_status_report_counts() -> None:
    assert progress_of(FakeReporter(HALF)).percent(state(None, "Finished 80%.")) == 50


def test_then_what_the_messages_say() -> None:
    assert progress_of(None).percent(state(None, "Finished 80%.")) == 80
    refused = SiteRefused(SITE, 500, "x")
    assert progress_of(FakeReporter(refused)).percent(state(None, "Finished 80%.")) == 80
    assert progress_of(None).percent(state()) is None


def test_the_site_is_not_asked_to_count_all_the_time() -> None:
    reporter = FakeReporter(HALF, ((7, 4, 16), (8, 16, 64)))
    progress = progress_of(reporter)

    assert [progress.percent(state()) for _ in range(20)] == [50] * 20
    assert reporter.asked == 1


# mode, status before, status now: percent (tiles of the area: 4 and 16)
COUNTED = [
    (EMPTY, ((7, 0, 16), (8, 0, 64)), ((7, 4, 16), (8, 16, 64)), 99),
    (EMPTY, ((7, 0, 16), (8, 0, 64)), ((7, 0, 16), (8, 0, 64)), 0),
    (EMPTY, ((7, 14, 16), (8, 64, 64)), ((7, 15, 16), (8, 64, 64)), 50),
    (EMPTY, ((7, 0, None), (8, 0, None)), ((7, 4, None), (8, 1, None)), 25),
    (EMPTY, ((7, 16, 16), (8, 64, 64)), ((7, 16, 16), (8, 64, 64)), None),
    (DELETE, ((7, 16, 16), (8, 2, 64)), ((7, 13, 16), (8, 2, 64)), 50),
    (DELETE, ((7, 0, 16), (8, 0, 64)), ((7, 0, 16), (8, 0, 64)), None),
    (ALL, ((7, 0, 16), (8, 0, 64)), ((7, 4, 16), (8, 6, 64)), 50),
    (ALL, ((7, 16, 16), (8, 0, 64)), ((7, 16, 16), (8, 6, 64)), None),
    (EMPTY, ((7, 0, 16),), ((7, 4, 16), (8, 6, 64)), None),
    (EMPTY, (), ((7, 4, 16), (8, 6, 64)), None),
    (EMPTY, ((7, 0, 16), (8, 0, 64)), ((7, 4, 16),), 20),
]


@pytest.mark.parametrize(("mode", "before", "now", "percent"), COUNTED)
def test_percent_by_counting(
    mode: UpdateMode, before: Any, now: Any, percent: float | None
) -> None:
    assert progress_of(FakeReporter(now), mode, before).percent(state()) == percent
