"""Jobs on a site that outlive us: recorded, followed on, cancelled, taken up, their failures found.

Tiles are read straight from the bundles on disk.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from arcgis_server.handle import API_KEY, PUBLISHER
from scripted_site import Recorder
from shapely.geometry import box
from site_caches import levels_of, open_on, sign_in, touched

from tile_cache_manager.plugin.core.arcgis.address import service_of
from tile_cache_manager.plugin.core.arcgis.cache import ArcGISCache
from tile_cache_manager.plugin.core.arcgis.client import Client
from tile_cache_manager.plugin.core.arcgis.credentials import FixedToken
from tile_cache_manager.plugin.core.arcgis.isolating import IN_A_ROW
from tile_cache_manager.plugin.core.arcgis.jobs import Pace
from tile_cache_manager.plugin.core.arcgis.transport import RequestsTransport
from tile_cache_manager.plugin.core.carrying_on import (
    cancel_update,
    carry_on,
    look_at,
    take_up,
    take_ups,
    update_at,
)
from tile_cache_manager.plugin.core.errors import (
    JobFailed,
    JobLost,
    JobSplit,
    JobStalled,
    NotTakenUp,
    SiteUnreachable,
    SubmissionUnclear,
    TakeUpProblem,
    UnknownJob,
)
from tile_cache_manager.plugin.core.jobs import JobRecord
from tile_cache_manager.plugin.core.level_areas import LevelArea
from tile_cache_manager.plugin.core.request import (
    FailedPlace,
    Feedback,
    Outcome,
    Severity,
    UpdateMode,
    UpdateReport,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.site_update import PartState, SiteUpdate, TakeUp

EMPTY, ALL, DELETE = UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL, UpdateMode.DELETE
PACE = Pace(first=0.01, longest=0.05, patience=30, cancel_patience=30)
SUBMIT = "/submitJob$"
WEST, EAST = box(-2e7, -2e7, -1, 2e7), box(1, -2e7, 2e7, 2e7)
WAITING, UNCLEAR, RUNNING, DONE, PARTIAL, CANCELLED, FAILED, LOST = PartState


class Person:
    """Someone who updates a cache of the stand-in site, and keeps the record of it.

    `record` is read from the file each time: what is not in it is not known later.
    """

    def __init__(self, site: Any, folder: Path, key: str = "classic") -> None:
        self.site, self.key = site, key
        self.recorder = Recorder()
        self.record = JobRecord(folder / "jobs.json")
        self.kept: list[SiteUpdate] = []
        self.cancelled, self.abandoned = threading.Event(), threading.Event()
        self.door: dict[str, Any] = {"sign_in": sign_in(PUBLISHER)}

    @property
    def feedback(self) -> Feedback:
        return Feedback(
            self.recorder.percents.append,
            self.cancelled.is_set,
            self.recorder.messages.append,
            self.abandoned.is_set,
            self._keep,
        )

    @property
    def recorded(self) -> SiteUpdate:
        (found,) = self.record.all()
        return found.update

    @property
    def states(self) -> list[PartState]:
        return [part.state for part in self.recorded.parts]

    def update(self, mode: UpdateMode = EMPTY, *ids: int, **more: Any) -> UpdateReport:
        """Update two parts, west at level 3 and east at level 4, or `ids` as a whole."""
        cache = open_on(self.site, self.key, pace=PACE)
        description = cache.describe()
        areas = (LevelArea((3,), WEST), LevelArea((4,), EAST))
        levels = levels_of(description, *(ids or (3, 4)))
        area = more.pop("area", None if ids else areas)
        request = UpdateRequest.of(description, levels, mode, area, **more)
        return cache.update(request, self.feedback)

    def carry_on(self, **more: Any) -> UpdateReport:
        return carry_on(self.recorded, self.feedback, pace=PACE, **self.door, **more)

    def take_up(self, how: TakeUp, **more: Any) -> UpdateReport:
        return take_up(self.recorded, how, self.feedback, pace=PACE, **self.door, **more)

    def tiles(self) -> dict[int, int]:
        found = self.site.read_cache(self.key, "World")
        return {level: len(tiles) for level, tiles in found.items() if tiles}

    @contextmanager
    def letting_go(self, work: Any, tiles: int) -> Iterator[None]:
        """Do `work` in a thread up to so many tiles, then have it let go of the job."""
        ended: list[Any] = []

        def run() -> None:
            try:
                ended.append(work())
            except Exception as error:
                ended.append(error)

        self.site.pause_after(self.key, tiles)
        thread = threading.Thread(target=run)
        thread.start()
        try:
            self.site.wait_until_paused(self.key)
            yield
        finally:
            self.abandoned.set()
            thread.join(30)
            self.abandoned.clear()
        (report,) = ended
        assert isinstance(report, UpdateReport), report
        assert report.outcome is Outcome.SUBMITTED

    def _keep(self, update: SiteUpdate) -> None:
        self.kept.append(update)
        self.record.keep(update)


@pytest.fixture
def person(fresh_site: Any, tmp_path: Path) -> Person:
    return Person(fresh_site, tmp_path)


WEST_3, EAST_4 = 8 * 4, 16 * 8
WHOLE = {3: WEST_3, 4: EAST_4}


# --- what is kept --------------------------------------------------------------------------------


def test_each_step_is_kept_before_and_after(person: Person) -> None:
    report = person.update()

    assert [[part.state for part in update.parts] for update in person.kept] == [
        [UNCLEAR, WAITING],
        [RUNNING, WAITING],
        [DONE, WAITING],
        [DONE, UNCLEAR],
        [DONE, RUNNING],
        [DONE, DONE],
    ]
    assert report.outcome is Outcome.DONE
    assert person.tiles() == WHOLE
    assert person.recorded.has_ended
    assert person.recorded.job_urls == (*report.earlier_job_urls, report.job_url)
    assert len(person.site.jobs("classic")) == 2


def test_without_waiting_everything_is_submitted_and_followed_later(person: Person) -> None:
    person.site.pause_after("classic", 3)

    report = person.update(wait=False)

    assert report.outcome is Outcome.SUBMITTED
    assert person.states == [RUNNING, RUNNING]
    assert (*report.earlier_job_urls, report.job_url) == person.recorded.job_urls
    person.site.release("classic")
    later = person.carry_on()
    assert later.outcome is Outcome.DONE
    assert person.states == [DONE, DONE]
    assert person.tiles() == WHOLE
    assert later.total("made") == WEST_3 + EAST_4
    assert len(person.site.jobs("classic")) == 2


def test_a_job_let_go_is_followed_and_what_waits_is_asked_for(person: Person) -> None:
    with person.letting_go(person.update, 5):
        assert person.states == [RUNNING, WAITING]

    person.site.release("classic")
    report = person.carry_on()

    assert report.outcome is Outcome.DONE
    assert [level.made for level in report.levels] == [WEST_3, EAST_4]
    assert person.tiles() == WHOLE
    assert len(person.site.jobs("classic")) == 2


def test_what_has_ended_is_only_told(person: Person) -> None:
    first = person.update()
    asked = person.site.requests("classic")

    again = person.carry_on()

    assert replace(again, levels=()) == replace(first, levels=())
    assert [level.made for level in again.levels] == [level.made for level in first.levels]
    after = person.site.requests("classic")
    assert {path for path in after if after[path] != asked.get(path)} <= {
        path for path in after if not path.endswith(("/submitJob", "/cancel"))
    }


def test_looking_asks_for_nothing(person: Person) -> None:
    with person.letting_go(person.update, 16):
        seen = look_at(person.recorded, pace=PACE, **person.door)
        assert [part.state for part in seen.parts] == [RUNNING, WAITING]
        assert seen.percent == pytest.approx(25, abs=1)
    person.site.release("classic")
    (job,) = person.site.jobs("classic")

    def is_over() -> bool:
        found = look_at(person.recorded, pace=PACE, **person.door)
        return found.parts[0].state is DONE and found.parts[1].state is WAITING

    assert any(is_over() for _ in range(500))
    assert [each["jobId"] for each in person.site.jobs("classic")] == [job["jobId"]]
    assert person.states == [RUNNING, WAITING]


def test_looking_tells_how_far_all_that_runs_is(person: Person) -> None:
    person.site.pause_after("classic", 16)
    person.update(wait=False)
    person.site.wait_until_paused("classic")
    expected = pytest.approx(50 * 16 / WEST_3 + 50 * 16 / EAST_4, abs=1)

    def seen() -> float | None:
        return look_at(person.recorded, pace=PACE, **person.door).percent

    # the second job may still be on its way there
    assert any(seen() == expected for _ in range(500))


def test_looking_at_a_site_that_is_away(person: Person) -> None:
    person.update(wait=False)
    person.site.fault("classic", "/jobs/j", "drop", 1000)
    quick = Pace(first=0.01, longest=0.01, patience=0.1)

    with pytest.raises(SiteUnreachable):
        look_at(person.recorded, pace=quick, **person.door)


# --- answers that are lost -----------------------------------------------------------------------


def test_a_job_whose_answer_was_lost_is_found_and_not_asked_for_twice(person: Person) -> None:
    person.site.lose_answer("classic", SUBMIT)

    report = person.update()

    assert report.outcome is Outcome.DONE
    assert person.tiles() == WHOLE
    jobs = [job["jobId"] for job in person.site.jobs("classic")]
    assert [url.rpartition("/")[2] for url in person.recorded.job_urls] == jobs
    assert len(jobs) == 2


def test_of_two_like_jobs_the_later_one_is_found(person: Person) -> None:
    person.update(ALL, 2)
    person.record.remove(person.recorded.key)
    person.site.lose_answer("classic", SUBMIT)

    report = person.update(ALL, 2)

    assert len(person.site.jobs("classic")) == 2
    assert report.job_id == person.site.jobs("classic")[1]["jobId"]


@pytest.mark.parametrize("kind", ["drop", "status"])
def test_an_earlier_job_that_did_the_same_is_not_taken_for_it(person: Person, kind: str) -> None:
    person.update(ALL, 2)
    person.record.remove(person.recorded.key)
    person.site.fault("classic", SUBMIT, kind, 1, **({"code": 504} if kind == "status" else {}))

    with pytest.raises(SubmissionUnclear):
        person.update(ALL, 2)

    assert person.states == [UNCLEAR]
    assert look_at(person.recorded, pace=PACE, **person.door).state is UNCLEAR
    assert len(person.site.jobs("classic")) == 1


def test_where_nobody_told_before_nobody_is_believed_after(person: Person) -> None:
    person.update(ALL, 2)
    person.record.remove(person.recorded.key)
    person.site.fault("classic", "/jobs/query$", "error", 1, code=403)
    person.site.fault("classic", SUBMIT, "drop", 1)

    with pytest.raises(SubmissionUnclear):
        person.update(ALL, 2)


def test_a_job_that_nobody_tells_of_stays_unclear_until_it_is_found(person: Person) -> None:
    person.site.lose_answer("classic", SUBMIT)
    person.site.fault("classic", "/jobs/query$", "error", 1000, skip=1, code=403)

    with pytest.raises(SubmissionUnclear):
        person.update()
    assert person.states == [UNCLEAR, WAITING]
    with pytest.raises(SubmissionUnclear):
        person.carry_on()
    assert len(person.site.jobs("classic")) == 1

    person.site.clear_faults("classic")
    seen = look_at(person.recorded, pace=PACE, **person.door)
    assert seen.parts[0].state in (RUNNING, DONE)
    assert person.carry_on().outcome is Outcome.DONE
    assert person.tiles() == WHOLE
    assert len(person.site.jobs("classic")) == 2


def test_cancelling_what_is_unclear_ends_it(person: Person) -> None:
    person.site.fault("classic", SUBMIT, "drop", 1)
    with pytest.raises(SubmissionUnclear):
        person.update()

    cancelled = cancel_update(person.recorded, person.feedback, pace=PACE, **person.door)

    assert [part.state for part in cancelled.parts] == [LOST, CANCELLED]
    assert person.states == [LOST, CANCELLED]
    assert person.site.jobs("classic") == []


# --- a site that forgets -------------------------------------------------------------------------


def test_a_restart_that_forgets_jobs(person: Person) -> None:
    with person.letting_go(person.update, 5):
        pass
    person.site.restart("classic", away=2)

    with pytest.raises(JobLost):
        person.carry_on()

    assert person.states == [LOST, CANCELLED]
    assert take_ups(person.recorded, **person.door) == (TakeUp.RESUME, TakeUp.COMPLETE)


# --- cancelling ----------------------------------------------------------------------------------


def test_cancelling_later(person: Person) -> None:
    with person.letting_go(person.update, 5):
        pass

    cancelled = cancel_update(person.recorded, person.feedback, pace=PACE, **person.door)

    assert [part.state for part in cancelled.parts] == [CANCELLED, CANCELLED]
    assert person.recorded == cancelled
    assert [job["jobStatus"] for job in person.site.jobs("classic")] == ["esriJobCancelled"]
    assert person.carry_on().outcome is Outcome.CANCELLED


def test_cancelling_several_that_run(person: Person) -> None:
    person.site.pause_after("classic", 2)
    person.update(wait=False)

    cancelled = cancel_update(person.recorded, person.feedback, pace=PACE, **person.door)

    assert [part.state for part in cancelled.parts] == [CANCELLED, CANCELLED]


def test_one_that_somebody_else_cancelled_lets_nothing_more_be_asked_for(person: Person) -> None:
    with person.letting_go(person.update, 5):
        pass
    quiet = Feedback()
    cancel_update(replace(person.recorded), quiet, pace=PACE, **person.door)

    report = person.carry_on()

    assert report.outcome is Outcome.CANCELLED
    assert person.states == [CANCELLED, CANCELLED]
    assert len(person.site.jobs("classic")) == 1


# --- taking up -----------------------------------------------------------------------------------


def test_one_that_was_cancelled_is_resumed(person: Person) -> None:
    with person.letting_go(person.update, 5):
        pass
    cancel_update(person.recorded, person.feedback, pace=PACE, **person.door)
    assert take_ups(person.recorded, **person.door) == (TakeUp.RESUME, TakeUp.COMPLETE)
    person.site.release("classic")
    first = person.recorded.job_urls

    report = person.take_up(TakeUp.RESUME)

    assert report.outcome is Outcome.DONE
    assert person.tiles() == WHOLE
    assert person.states == [DONE, DONE]
    assert report.total("made") == WEST_3 + EAST_4
    form = person.site.submissions("classic")[1]["form"]
    assert form["update_mode"] == "RESUME_JOB"
    assert first[0].endswith(form["jobid"])
    with pytest.raises(NotTakenUp) as caught:
        person.take_up(TakeUp.RESUME)
    assert caught.value.reason is TakeUpProblem.NOTHING_LEFT
    assert take_ups(person.recorded, **person.door) == ()


def test_what_failed_is_fixed(person: Person) -> None:
    person.site.fail_bundles("classic", "World:MapServer", 3, [(0, 0)])
    with pytest.raises(JobFailed):
        person.update()
    assert person.states == [FAILED, CANCELLED]
    person.site.fail_bundles("classic", "World:MapServer", 3, [])

    report_of_fix = person.take_up(TakeUp.FIX)
    assert report_of_fix.outcome is Outcome.CANCELLED
    # whether the job that failed had come to all the rest, nobody tells
    assert person.states == [PARTIAL, CANCELLED]
    report = person.take_up(TakeUp.COMPLETE)

    assert report.outcome is Outcome.DONE
    assert person.tiles() == WHOLE


def test_a_take_up_whose_answer_was_lost(person: Person) -> None:
    with person.letting_go(person.update, 5):
        pass
    cancel_update(person.recorded, person.feedback, pace=PACE, **person.door)
    person.site.release("classic")
    person.site.lose_answer("classic", SUBMIT)

    report = person.take_up(TakeUp.RESUME)

    assert report.outcome is Outcome.DONE
    assert person.tiles() == WHOLE
    assert len(person.site.jobs("classic")) == 3


def test_one_that_runs_is_not_taken_up(person: Person) -> None:
    person.site.pause_after("classic", 2)
    person.update(wait=False)

    with pytest.raises(NotTakenUp) as caught:
        person.take_up(TakeUp.RESUME)

    assert caught.value.reason is TakeUpProblem.STILL_RUNNING
    assert take_ups(person.recorded, **person.door) == ()


# --- failures, isolated --------------------------------------------------------------------------

CORNER = box(-2e5, -2e5, 2e5, 2e5)
"""Around the corner of four bundles, at levels 8 and 9 of a world that is halved each time."""

# what fails, by level and bundle
FAILING = [
    {8: [(1, 0)]},
    {8: [(0, 0)], 9: [(2, 1)]},
    {8: [(0, 0), (0, 1), (1, 1)], 9: [(1, 1), (2, 2)]},
]


def isolated(
    person: Person, failing: dict[int, list[Any]], stops: bool = True
) -> tuple[UpdateReport, set[Any]]:
    """Update Places around CORNER: the report, and the tiles that the area touches."""
    cache = open_on(person.site, "classic", "Places", pace=PACE)
    description = cache.describe()
    levels = levels_of(description, 8, 9)
    for level, bundles in failing.items():
        person.site.fail_bundles("classic", "Places:MapServer", level, bundles, stops=stops)
    request = UpdateRequest.of(description, levels, ALL, CORNER, isolates_failures=True)
    covered = {(each.id, tile) for each in levels for tile in touched(description, each, CORNER)}
    return cache.update(request, person.feedback), covered


def listed(report: UpdateReport) -> list[tuple[int, ...]]:
    """Level, first and last row, first and last column of bundles of each place that failed."""
    return sorted(
        (each.level.id, each.first_row, each.last_row, each.first_col, each.last_col)
        for each in report.failed_places
    )


@pytest.mark.parametrize("stops", [True, False])
@pytest.mark.parametrize("failing", FAILING, ids=str)
def test_what_fails_is_isolated_to_the_bundle(
    person: Person, failing: dict[int, list[Any]], stops: bool
) -> None:
    report, covered = isolated(person, failing, stops)

    failed = {
        (level, (row, col))
        for level, (row, col) in covered
        if (row // 128, col // 128) in failing.get(level, [])
    }
    assert 0 < len(failed) < len(covered)
    assert report.outcome is Outcome.PARTIAL
    assert listed(report) == sorted(
        (level, row, row, col, col) for level, bundles in failing.items() for row, col in bundles
    )
    assert all("All server contexts failed" in each.message for each in report.failed_places)
    made = person.site.read_cache("classic", "Places")
    assert {(level, tile) for level, tiles in made.items() for tile in tiles} == covered - failed
    assert any(isinstance(each, JobSplit) for each in person.recorder.troubles)
    assert person.recorded.state is PARTIAL
    assert person.recorded.failed_places == report.failed_places
    assert [level.planned for level in report.levels] == [
        sum(1 for level, _ in covered if level == level_id) for level_id in (8, 9)
    ]
    assert person.recorder.percents == sorted(person.recorder.percents)


def test_a_site_that_can_do_nothing_is_not_asked_for_ever(person: Person) -> None:
    cache = open_on(person.site, "classic", "Places", pace=PACE)
    description = cache.describe()
    levels = levels_of(description, 10, 11)
    for level in levels:
        side = range(2 ** (level.id - 7))
        every = [(row, col) for row in side for col in side]
        person.site.fail_bundles("classic", "Places:MapServer", level.id, every)
    strip = box(-2e7, -1e3, 2e7, 1e3)
    request = UpdateRequest.of(description, levels, ALL, strip, isolates_failures=True)

    with pytest.raises(JobFailed):
        cache.update(request, person.feedback)

    assert len(person.site.jobs("classic")) == IN_A_ROW + len(levels) + 1
    assert person.recorded.state is FAILED
    assert person.recorded.has_ended
    listed = person.recorded.failed_places
    area = {(each.level.id, row, col) for each in listed for row, col in bundles_in(each)}
    assert area == {
        (level.id, row // 128, col // 128)
        for level in levels
        for row, col in touched(description, level, strip)
    }


def bundles_in(place: FailedPlace) -> Iterator[tuple[int, int]]:
    for row in range(place.first_row, place.last_row + 1):
        for col in range(place.first_col, place.last_col + 1):
            yield row, col


def test_nothing_is_isolated_unasked(person: Person) -> None:
    person.site.fail_bundles("classic", "World:MapServer", 3, [(0, 0)])

    with pytest.raises(JobFailed):
        person.update()

    assert len(person.site.jobs("classic")) == 1


# --- the alarm -----------------------------------------------------------------------------------


def test_a_job_that_stands_still_raises_an_alarm(person: Person) -> None:
    person.site.stall("classic", 20, 1.0)

    report = person.update(ALL, 3, alarm_seconds=0.3)

    assert report.outcome is Outcome.DONE
    alarms = [each for each in person.recorder.troubles if isinstance(each, JobStalled)]
    assert alarms[0].seconds >= 0.3
    (message,) = [each for each in person.recorder.messages if each.error is alarms[0]]
    assert message.severity is Severity.WARNING


# --- by the address of a job alone ---------------------------------------------------------------


def test_a_job_is_followed_by_its_address_alone(person: Person) -> None:
    person.site.pause_after("classic", 3)
    report = person.update(EMPTY, 3, area=WEST, wait=False)

    found = update_at(f"{report.job_url}?f=json&token=abc", **person.door)

    assert (found.name, found.mode, found.is_hosted) == ("World", EMPTY, False)
    assert [level.id for level in found.levels] == [3]
    assert found.job_urls == (report.job_url,)
    assert found.parts[0].planned == {3: WEST_3}
    person.site.release("classic")
    assert carry_on(found, person.feedback, pace=PACE, **person.door).outcome is Outcome.DONE
    assert person.tiles() == {3: WEST_3}


def test_a_cancelled_job_is_taken_up_by_its_address_alone(person: Person) -> None:
    with person.letting_go(lambda: person.update(EMPTY, 3, area=WEST), 5):
        pass
    cancel_update(person.recorded, person.feedback, pace=PACE, **person.door)
    person.site.release("classic")

    found = update_at(person.recorded.job_urls[0], **person.door)
    seen = look_at(found, pace=PACE, **person.door)
    assert seen.state is CANCELLED
    report = take_up(seen, TakeUp.RESUME, Feedback(), pace=PACE, **person.door)

    assert report.outcome is Outcome.DONE
    assert person.tiles() == {3: WEST_3}


@pytest.mark.parametrize("mode", [ALL, DELETE])
def test_a_hosted_layers_job_is_followed_by_its_address_alone(
    person: Person, mode: UpdateMode
) -> None:
    service = service_of(person.site.service_url("online", "World_Tiles"))
    key = FixedToken(API_KEY)
    person.site.fill("online", "World_Tiles:MapServer", [2, 3])
    client = Client(RequestsTransport(), service.site_url, key)
    cache = ArcGISCache(service, client, PACE)
    description = cache.describe()
    levels = levels_of(description, 2, 3)
    request = UpdateRequest.of(description, levels, mode, None, wait=False)
    report = cache.update(request, person.feedback)

    found = update_at(report.job_url, sign_in=key)

    assert (found.name, found.mode, found.is_hosted) == ("World_Tiles", mode, True)
    assert found.levels == levels
    again = carry_on(found, Feedback(), sign_in=key, pace=PACE)
    assert again.outcome is Outcome.DONE
    assert again.job_url == report.job_url
    person.site.reset("online")


NO_JOBS = [
    "",
    "nonsense",
    "{site}/rest/services/World/MapServer",
    "{site}/rest/services/System/CachingControllers/GPServer/Manage%20Map%20Cache%20Tiles",
    "{site}/rest/services/System/CachingControllers/GPServer/Manage%20Map%20Cache%20Tiles/jobs/j0",
    "{site}/rest/services/System/CachingControllers/GPServer/../GPServer/T/jobs/j1",
    "{site}/rest/services/System/CachingControllers/GPServer/%2e%2e/jobs/j1",
    "file:///rest/services/System/CachingControllers/GPServer/T/jobs/j1",
    "{site}/rest/admin/services/World/MapServer/jobs",
]


@pytest.mark.parametrize("address", NO_JOBS)
def test_what_is_the_address_of_no_job(person: Person, address: str) -> None:
    with pytest.raises(UnknownJob):
        update_at(address.format(site=person.site.site_url("classic")), **person.door)
