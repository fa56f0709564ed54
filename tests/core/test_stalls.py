"""The alarm of a job that stands still: when it is raised, how often, with what figures."""

from __future__ import annotations

from typing import Any

import pytest

from tile_cache_manager.plugin.core.arcgis.jobs import JobState, parse_job
from tile_cache_manager.plugin.core.arcgis.progress import Progress
from tile_cache_manager.plugin.core.arcgis.stalls import StallWatch
from tile_cache_manager.plugin.core.errors import JobStalled
from tile_cache_manager.plugin.core.request import Message, Severity, UpdateMode
from tile_cache_manager.plugin.core.tiling import Level

URL = "https://maps.example/arcgis/task/jobs/j1"


class Asked:
    mode = UpdateMode.RECREATE_ALL
    levels = (Level(7, 10.0, 40000.0),)


class Watched:
    """A job of 200 tiles that is looked at by a clock of its own."""

    def __init__(self, alarm_seconds: float = 60.0) -> None:
        self.now = 1000.0
        self.told: list[Message] = []
        progress = Progress(Asked(), {7: 200}, (), None)
        self.watch = StallWatch(URL, progress, alarm_seconds, self.told.append, lambda: self.now)

    def look(self, at: float, job: JobState) -> None:
        self.now = 1000.0 + at
        self.watch.percent(job)

    @property
    def alarms(self) -> list[tuple[float, float | None]]:
        """Seconds it stands still, and tiles a second before, of each alarm."""
        errors = [message.error for message in self.told]
        assert all(isinstance(error, JobStalled) and error.job_url == URL for error in errors)
        return [(error.seconds, error.tiles_per_second) for error in errors]  # type: ignore[union-attr]


def job(percent: float | None = None, *texts: str, word: str = "Executing") -> JobState:
    lines = [{"type": "esriJobMessageTypeInformative", "description": text} for text in texts]
    progress: dict[str, Any] = {} if percent is None else {"progress": {"percentage": percent}}
    return parse_job({"jobStatus": f"esriJob{word}", "messages": lines, **progress})


# what is seen, at which second; alarms
CASES: list[tuple[list[tuple[float, JobState]], list[tuple[float, float | None]]]] = [
    ([(0, job(1)), (59, job(1))], []),
    ([(0, job(1)), (60, job(1))], [(60, None)]),
    # 10 % of 200 tiles within 10 s
    ([(0, job(10)), (10, job(20)), (70, job(20))], [(60, 2.0)]),
    # once for each stillness, again where that has doubled
    ([(0, job(1)), (61, job(1)), (100, job(1)), (121, job(1))], [(61, None)]),
    ([(0, job(1)), (60, job(1)), (119, job(1)), (120, job(1))], [(60, None), (120, None)]),
    (
        [(0, job(1)), (60, job(1)), (120, job(1)), (200, job(1)), (240, job(1))],
        [(60, None), (120, None), (240, None)],
    ),
    # goes on, and stands still again
    (
        [(0, job(0)), (60, job(0)), (80, job(50)), (140, job(50))],
        [(60, None), (60, 1.25)],
    ),
    # tells neither percent nor tiles: then a message more is a sign of life
    (
        [(0, job()), (50, job(None, "a")), (100, job(None, "a", "b")), (159, job(None, "a", "b"))],
        [],
    ),
    ([(0, job(None, "a")), (60, job(None, "a"))], [(60, None)]),
    ([(0, job(word="Submitted")), (50, job(word="Waiting")), (109, job(word="Waiting"))], []),
    ([(0, job(word="Submitted")), (60, job(word="Submitted"))], [(60, None)]),
    # messages do not make up for tiles
    ([(0, job(5)), (30, job(5, "a")), (60, job(5, "a", "b"))], [(60, None)]),
    # an ended job stands still for good
    ([(0, job(5)), (600, job(5, word="Succeeded")), (900, job(5, word="Failed"))], []),
]


@pytest.mark.parametrize(("seen", "alarms"), CASES)
def test_alarms(
    seen: list[tuple[float, JobState]], alarms: list[tuple[float, float | None]]
) -> None:
    watched = Watched()

    for at, state in seen:
        watched.look(at, state)

    assert watched.alarms == alarms
    assert all(message.severity is Severity.WARNING for message in watched.told)


def test_tiles_that_the_job_counts_itself() -> None:
    watched = Watched()

    for at, tiles in ((0, 0), (10, 50), (20, 100), (80, 100)):
        state = job(0)
        watched.look(at, JobState("j", state.status, state.phase, 0.0, (), {}, tiles=tiles))

    assert watched.alarms == [(60, 5.0)]
