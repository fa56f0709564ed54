"""Jobs of hosted layers: asked for once, followed whatever the site's words, found, run again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hosted_pages import ADMIN, JOB, JOB_ID, METRES, OWN, client_of, description_of
from scripted_site import Unreachable, error, html
from shapely.geometry import box

from tile_cache_manager.plugin.core.arcgis import hosted_jobs
from tile_cache_manager.plugin.core.arcgis.hosted_jobs import (
    HostedJob,
    HostedJobs,
    parse_hosted_job,
)
from tile_cache_manager.plugin.core.arcgis.jobs import JobPhase
from tile_cache_manager.plugin.core.errors import (
    JobFailed,
    NotArcGIS,
    NotTakenUp,
    SignInNeeded,
    SiteRefused,
    SiteUnreachable,
    TakeUpProblem,
    UnknownJob,
)
from tile_cache_manager.plugin.core.request import FailedPlace, UpdateMode, UpdateRequest
from tile_cache_manager.plugin.core.site_update import TakeUp, UpdatePart
from tile_cache_manager.plugin.core.tiling import Extent

FIXTURES = Path(__file__).resolve().parents[3] / "shared" / "fixtures"
STATISTICS: dict[str, Any] = {
    "jobId": JOB_ID, "type": "CACHECOOKER", "jobStatus": "INPROGRESS", "percentComplete": 40,
    "message": "", "submitTime": 1_700_000_000_000, "lastTime": 1_700_000_060_000,
    "numTasks": 5, "numDoneTasks": 2, "numErrorTasks": 0, "numCanceledTasks": 0,
    "estimatedNumTiles": 500, "numTiles": 200,
}  # fmt: skip

PART = UpdatePart(
    (13, 14),
    {
        "operation": "updateTiles",
        "levels": "13-14",
        "extent": '{"xmin": 16384.5, "ymin": 98304.5, "xmax": 32767.5, "ymax": 114687.5}',
        "mergeBundle": "false",
        "replaceTiles": "false",
    },
    {13: 16384, 14: 65536},
)
TAKEN_ON = {"name": "Roads", "status": "Success", "type": "Map Service", "jobId": JOB_ID}


def jobs_on(pages: dict[str, Any]) -> tuple[HostedJobs, Any]:
    client, site = client_of(pages)
    return HostedJobs(client, OWN + ADMIN), site


def at(part: UpdatePart = PART, url: str = OWN + JOB) -> UpdatePart:
    return replace(part, job_url=url)


# --- what a job tells -----------------------------------------------------------------------------

RUNNING, SUCCEEDED, PARTIAL = JobPhase.RUNNING, JobPhase.SUCCEEDED, JobPhase.PARTIAL
FAILED, CANCELLED = JobPhase.FAILED, JobPhase.CANCELLED
WORDS = [
    ("SUBMITTED", RUNNING), ("Submitted", RUNNING), ("INPROGRESS", RUNNING),
    ("InProgress", RUNNING), ("PROCESSING", RUNNING), ("Running", RUNNING),
    ("", RUNNING), ("WHATEVER", RUNNING),
    ("DONE", SUCCEEDED), ("Done", SUCCEEDED), ("done", SUCCEEDED), ("COMPLETED", SUCCEEDED),
    ("Success", SUCCEEDED), ("succeeded", SUCCEEDED), ("esriJobSucceeded", SUCCEEDED),
    ("PARTIALERROR", PARTIAL), ("PartialError", PARTIAL),
    ("ERROR", FAILED), ("Error", FAILED), ("FAILED", FAILED), ("Failed", FAILED),
    ("esriJobFailed", FAILED),
    ("CANCELED", CANCELLED), ("Canceled", CANCELLED), ("Cancelled", CANCELLED),
]  # fmt: skip


@pytest.mark.parametrize("key", ["jobStatus", "jobstatus", "JOBSTATUS", "status"])
@pytest.mark.parametrize(("word", "phase"), WORDS)
def test_status_words_and_keys_in_any_case(key: str, word: str, phase: JobPhase) -> None:
    state = parse_hosted_job({"jobId": JOB_ID, key: word})
    assert (state.phase, state.status, state.job_id) == (phase, word, JOB_ID)


PERCENTS = [
    pytest.param({"percentComplete": 40}, 40.0, id="told"),
    pytest.param({"percentComplete": "62.5"}, 62.5, id="told as text"),
    pytest.param({"percentcomplete": 7}, 7.0, id="in other case"),
    pytest.param({"percentComplete": 250}, 100.0, id="more than all"),
    pytest.param({"percentComplete": -3}, 0.0, id="less than nothing"),
    pytest.param({"percentComplete": float("nan"), "numTasks": 4, "numDoneTasks": 1}, 25.0,
                 id="not a number"),
    pytest.param({"percentComplete": float("inf")}, None, id="infinite"),
    pytest.param({"percentComplete": "1e999"}, None, id="infinite text"),
    pytest.param({"numTasks": 8, "numDoneTasks": 2}, 25.0, id="by tasks"),
    pytest.param({"numTasks": 8, "numDoneTasks": 2, "numErrorTasks": 1, "numCanceledTasks": 1},
                 50.0, id="failed tasks are over, too"),
    pytest.param({"numTasks": 0, "numDoneTasks": 0}, None, id="no tasks yet"),
    pytest.param({"numTasks": 8}, None, id="nothing about what is done"),
    pytest.param({}, None, id="nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("told", "expected"), PERCENTS)
def test_percent(told: dict[str, Any], expected: float | None) -> None:
    assert parse_hosted_job({"jobStatus": "INPROGRESS", **told}).percent == expected


@pytest.mark.parametrize(
    ("value", "tiles"), [(200, 200), ("200", 200), (None, None), (float("nan"), None), (1.5, None)]
)
def test_tiles_made(value: object, tiles: int | None) -> None:
    assert parse_hosted_job({"jobStatus": "INPROGRESS", "numTiles": value}).tiles == tiles


@pytest.mark.parametrize(
    ("word", "message", "failure"),
    [
        ("ERROR", "All server contexts failed", "All server contexts failed"),
        ("FAILED", "", "FAILED"),
        ("PARTIALERROR", "Bundle 3 failed", "Bundle 3 failed"),
    ],
)
def test_why_it_failed(word: str, message: str, failure: str) -> None:
    assert parse_hosted_job({"jobStatus": word, "message": message}).failure == failure


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="../shared/fixtures is not here")
def test_the_recorded_statistics() -> None:
    state = parse_hosted_job(json.loads((FIXTURES / "hosted-job-statistics.json").read_text()))
    assert (state.phase, state.percent, state.tiles) == (SUCCEEDED, 100.0, 125)
    assert state.messages == ()


# --- asking ---------------------------------------------------------------------------------------

SUBMISSIONS = [
    pytest.param(PART, "updateTiles", id="update"),
    pytest.param(
        UpdatePart((13,), {"operation": "deleteTiles", "levels": "13", "extent": "1,2,3,4"}),
        "deleteTiles",
        id="delete",
    ),
]


@pytest.mark.parametrize(("part", "operation"), SUBMISSIONS)
def test_a_part_is_asked_for_once(part: UpdatePart, operation: str) -> None:
    jobs, site = jobs_on({f"{ADMIN}/{operation}": TAKEN_ON})
    job = jobs.submit(part)
    assert job.url == OWN + JOB
    ((path, form),) = site.asked
    assert path == f"{ADMIN}/{operation}"
    expected = {key: value for key, value in part.form.items() if key != "operation"}
    assert form == {"f": "json", **expected}


REFUSALS = [
    pytest.param({"status": "failed"}, JobFailed, id="failed"),
    pytest.param({"status": "Failed", "jobId": JOB_ID}, JobFailed, id="failed, with a job"),
    pytest.param({"status": "Success"}, NotArcGIS, id="no job"),
    pytest.param({}, NotArcGIS, id="empty"),
    pytest.param({"message": "No room."}, JobFailed, id="words"),
    pytest.param({"jobId": "../../../x"}, JobFailed, id="a job elsewhere"),
    pytest.param({"jobId": "a%2fb"}, JobFailed, id="a job behind an escape"),
    pytest.param({"jobId": 7}, NotArcGIS, id="a number"),
    pytest.param({"jobId": "x" * 1_000_000}, JobFailed, id="endless"),
    pytest.param({"jobId": "a?b"}, JobFailed, id="a query"),
    pytest.param({"jobId": "a\nb"}, JobFailed, id="two lines"),
    pytest.param(error(400, "Invalid"), SiteRefused, id="refused"),
    pytest.param(error(498, "Invalid token"), SignInNeeded, id="signed out"),
    pytest.param(Unreachable.TIMEOUT, SiteUnreachable, id="no answer"),
    pytest.param(html(), NotArcGIS, id="a page"),
]


@pytest.mark.parametrize(("answer", "kind"), REFUSALS)
def test_what_comes_of_a_part_that_is_not_taken_on(answer: Any, kind: type) -> None:
    jobs, site = jobs_on({f"{ADMIN}/updateTiles": answer})
    with pytest.raises(kind):
        jobs.submit(PART)
    assert site.times(f"{ADMIN}/updateTiles") == 1


@pytest.mark.parametrize("operation", ["", "edit", "updateTiles/../edit"])
def test_a_record_that_asks_for_something_else(operation: str) -> None:
    jobs, site = jobs_on({})
    with pytest.raises(UnknownJob):
        jobs.submit(replace(PART, form={**PART.form, "operation": operation}))
    assert site.asked == []


# --- opening again --------------------------------------------------------------------------------


def test_a_job_is_opened_by_its_address_and_nothing_is_sent() -> None:
    jobs, site = jobs_on({JOB: STATISTICS})
    job = jobs.reopen(at())
    assert site.asked == []
    assert (job.url, job.state().percent) == (OWN + JOB, 40.0)


@pytest.mark.parametrize(
    "url",
    [
        "",
        OWN + ADMIN,
        f"{OWN}{ADMIN}/jobs/",
        f"{OWN}{ADMIN}/jobs/a/b",
        f"{OWN}{ADMIN}/jobs/..",
        f"{OWN}{ADMIN}/jobs/a?token=x",
        f"https://elsewhere.example{JOB}",
        f"{OWN}/rest/admin/services/Other/MapServer/jobs/1",
    ],
)
def test_an_address_of_no_job_of_this_layer(url: str) -> None:
    jobs, _ = jobs_on({})
    with pytest.raises(UnknownJob):
        jobs.reopen(at(url=url))


# --- imagery --------------------------------------------------------------------------------------

IMAGERY = JOB.replace("MapServer", "ImageServer")


def test_imagery_that_has_no_statistics_tells_its_status_below_the_job() -> None:
    pages = {IMAGERY: error(400, "Invalid URL"), f"{IMAGERY}/status": {"status": "Done"}}
    client, site = client_of(pages)
    job = HostedJob(client, OWN + IMAGERY)
    assert job.state().phase is SUCCEEDED
    assert job.state().phase is SUCCEEDED
    # remembered, so that it is not asked for in vain each time
    assert site.times(IMAGERY) == 1


def test_imagery_that_has_them_is_asked_for_nothing_else() -> None:
    client, site = client_of({IMAGERY: STATISTICS, f"{IMAGERY}/status": {"status": "Done"}})
    assert HostedJob(client, OWN + IMAGERY).state().tiles == 200
    assert site.times(f"{IMAGERY}/status") == 0


UNTOLD = [
    pytest.param(IMAGERY, error(404, "No job."), error(400, "x"), SiteRefused, 2, id="forgotten"),
    pytest.param(IMAGERY, error(498, "Invalid token"), {}, SignInNeeded, 1, id="signed out"),
    pytest.param(JOB, error(404, "No job."), {}, SiteRefused, 1, id="a map"),
    pytest.param(JOB, {"total": 1}, {}, NotArcGIS, 1, id="something else"),
]


@pytest.mark.parametrize(("path", "told", "status", "kind", "asked"), UNTOLD)
def test_a_job_that_is_not_told_of(
    path: str, told: Any, status: Any, kind: type, asked: int
) -> None:
    client, site = client_of({path: told, f"{path}/status": status})
    with pytest.raises(kind):
        HostedJob(client, OWN + path).state()
    assert len(site.asked) == asked


# --- cancelling -----------------------------------------------------------------------------------


def test_cancel() -> None:
    jobs, site = jobs_on({f"{JOB}/cancel": {"success": True}})
    jobs.reopen(at()).cancel()
    assert site.asked == [(f"{JOB}/cancel", {"f": "json"})]


@pytest.mark.parametrize("told", [error(400, "Unable to cancel job."), {"success": False}])
def test_a_cancel_that_is_refused(told: Any) -> None:
    jobs, _ = jobs_on({f"{JOB}/cancel": told})
    with pytest.raises(SiteRefused):
        jobs.reopen(at()).cancel()


# --- taking up again ------------------------------------------------------------------------------


def test_what_is_offered() -> None:
    assert jobs_on({})[0].take_ups() == (TakeUp.RESUME, TakeUp.FIX)


RERUNS = [
    (TakeUp.RESUME, {"jobStatus": "CANCELED", "numCanceledTasks": 3}, "CANCELED"),
    (TakeUp.RESUME, {"jobStatus": "Canceled", "numCanceledTasks": None}, "CANCELED"),
    (TakeUp.FIX, {"jobStatus": "PARTIALERROR", "numErrorTasks": 1}, "ERROR"),
    (TakeUp.FIX, {"jobStatus": "ERROR", "numErrorTasks": None}, "ERROR"),
]


@pytest.mark.parametrize(("how", "told", "code"), RERUNS)
def test_a_job_is_run_again(how: TakeUp, told: dict[str, Any], code: str) -> None:
    jobs, site = jobs_on({JOB: {**STATISTICS, **told}, f"{JOB}/rerun": {"success": True}})
    job = jobs.take_up(at(), how)
    assert job.url == OWN + JOB
    assert site.asked[1:] == [(f"{JOB}/rerun", {"f": "json", "rerun": code})]


NOT_AGAIN = [
    (TakeUp.COMPLETE, {"jobStatus": "CANCELED"}, TakeUpProblem.NOT_OFFERED),
    (TakeUp.RESUME, {"jobStatus": "INPROGRESS"}, TakeUpProblem.STILL_RUNNING),
    (TakeUp.FIX, {"jobStatus": "SUBMITTED"}, TakeUpProblem.STILL_RUNNING),
    (TakeUp.RESUME, {"jobStatus": "DONE"}, TakeUpProblem.NOTHING_LEFT),
    (TakeUp.FIX, {"jobStatus": "DONE"}, TakeUpProblem.NOTHING_LEFT),
    (TakeUp.FIX, {"jobStatus": "CANCELED", "numCanceledTasks": 2}, TakeUpProblem.NOTHING_LEFT),
    (TakeUp.RESUME, {"jobStatus": "PARTIALERROR", "numErrorTasks": 2}, TakeUpProblem.NOTHING_LEFT),
]


@pytest.mark.parametrize(("how", "told", "reason"), NOT_AGAIN)
def test_a_job_that_cannot_be_run_again(
    how: TakeUp, told: dict[str, Any], reason: TakeUpProblem
) -> None:
    jobs, site = jobs_on({JOB: {**STATISTICS, **told}})
    with pytest.raises(NotTakenUp) as caught:
        jobs.take_up(at(), how)
    assert (caught.value.reason, caught.value.how) == (reason, how.value)
    assert site.times(f"{JOB}/rerun") == 0


ENDED = {**STATISTICS, "jobStatus": "CANCELED", "numCanceledTasks": 3}


def test_the_earlier_end_of_a_job_that_runs_again_is_not_taken_for_its_end() -> None:
    """The site takes a moment to begin; then it runs, and ends again."""
    told = [ENDED, ENDED, ENDED, {**ENDED, "jobStatus": "INPROGRESS"}, {**ENDED, "lastTime": 9}]
    jobs, _ = jobs_on({JOB: told, f"{JOB}/rerun": {"success": True}})
    job = jobs.take_up(at(), TakeUp.RESUME)
    phases = [job.state().phase for _ in range(4)]
    assert phases == [RUNNING, RUNNING, RUNNING, CANCELLED]


def test_a_job_that_never_began_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosted_jobs, "SETTLING_SECONDS", -1.0)
    jobs, _ = jobs_on({JOB: ENDED, f"{JOB}/rerun": {"success": True}})
    assert jobs.take_up(at(), TakeUp.RESUME).state().phase is CANCELLED


# --- a job whose answer was lost ------------------------------------------------------------------

ASKED_AT = 1_700_000_000.0
LISTED: dict[str, Any] = {
    "id": JOB_ID, "status": "INPROGRESS", "type": "UpdateTiles",
    "submitTime": ASKED_AT * 1000 + 1500,
    "lodInfos": [{"levelID": 13}, {"levelID": 14}],
    "extent": {"xmin": 16384.5, "ymin": 98304.5, "xmax": 32767.5, "ymax": 114687.5},
}  # fmt: skip


def less(*keys: str) -> dict[str, Any]:
    return {key: value for key, value in LISTED.items() if key not in keys}


LOST = [
    pytest.param([LISTED], True, id="there"),
    pytest.param([], False, id="none"),
    pytest.param([{**LISTED, "type": "DeleteTiles"}], False, id="a delete"),
    pytest.param([{**LISTED, "type": "ImportTiles"}], False, id="an import"),
    pytest.param([less("type")], False, id="of no kind"),
    pytest.param([{**LISTED, "lodInfos": [{"levelID": 13}]}], False, id="other levels"),
    pytest.param([less("lodInfos")], True, id="without levels, the same place"),
    pytest.param([less("extent")], True, id="without extent, the same levels"),
    pytest.param([less("extent", "lodInfos")], False, id="that tells nothing"),
    pytest.param(
        [{**LISTED, "extent": {**LISTED["extent"], "xmax": 40000}}], False, id="elsewhere"
    ),
    pytest.param(
        [{**LISTED, "extent": {**LISTED["extent"], "xmax": 32767.5 + 1e-3}}], True, id="rounded"
    ),
    pytest.param([{**LISTED, "submitTime": 5}], True, id="by a clock that is years behind"),
    pytest.param([{**LISTED, "submitTime": "x"}], False, id="at no time"),
    pytest.param([{**LISTED, "id": "../x"}], False, id="called like a path"),
    pytest.param([None, 7, "x", LISTED], True, id="among rubbish"),
]


@pytest.mark.parametrize(("listed", "is_found"), LOST)
def test_a_job_whose_answer_was_lost(listed: list[Any], is_found: bool) -> None:
    jobs, _ = jobs_on({f"{ADMIN}/jobs": {"total": len(listed), "jobs": listed}})
    assert jobs.find_lost(PART, ASKED_AT, frozenset()) == (OWN + JOB if is_found else None)


def test_it_is_none_of_those_that_are_known() -> None:
    other = {**LISTED, "id": "other", "submitTime": ASKED_AT * 1000 + 9000}
    jobs, _ = jobs_on({f"{ADMIN}/jobs": {"jobs": [other, LISTED]}})
    assert jobs.find_lost(PART, ASKED_AT, frozenset()) == OWN + JOB
    assert jobs.find_lost(PART, ASKED_AT, frozenset({OWN + JOB})) == f"{OWN}{ADMIN}/jobs/other"
    known = jobs.listed(ASKED_AT)
    assert known == (f"{OWN}{ADMIN}/jobs/other", OWN + JOB)
    assert jobs.find_lost(PART, ASKED_AT, frozenset(known)) is None


def test_a_list_that_does_not_come_may_come_later() -> None:
    jobs, _ = jobs_on({f"{ADMIN}/jobs": error(503, "Busy")})
    with pytest.raises(SiteRefused):
        jobs.find_lost(PART, ASKED_AT, frozenset())
    with pytest.raises(SiteRefused):
        jobs.listed(ASKED_AT)


def test_a_list_that_is_not_for_this_user() -> None:
    jobs, _ = jobs_on({f"{ADMIN}/jobs": error(403, "No.")})
    assert jobs.listed(ASKED_AT) is None


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="../shared/fixtures is not here")
def test_the_recorded_list() -> None:
    recorded = json.loads((FIXTURES / "hosted-jobs.json").read_text())
    jobs, _ = jobs_on({f"{ADMIN}/jobs": recorded})
    extent = '{"xmin":-18341650.9613,"ymin":4752555.081,"xmax":-7454985.1505,"ymax":11203410.6593}'
    part = UpdatePart((2,), {"operation": "updateTiles", "levels": "2", "extent": extent})
    found = jobs.find_lost(part, 1355169626.0, frozenset())
    assert found == f"{OWN}{ADMIN}/jobs/e2e8a0bb-4b40-46ac-813a-0bbdf522195f"


# --- smaller parts, and what failed ---------------------------------------------------------------


def parts_over(*bounds: float) -> tuple[tuple[UpdatePart, ...], Any]:
    description = description_of(extent=Extent(0, 0, 131072, 131072))
    levels = (METRES.level(13), METRES.level(14))
    request = UpdateRequest.of(description, levels, UpdateMode.RECREATE_ALL, box(*bounds))
    return jobs_on({})[0].parts(request, description), description


def test_a_part_in_smaller_ones_down_to_a_bundle() -> None:
    (part,), description = parts_over(16400, 98400, 32700, 114600)
    jobs, _ = jobs_on({})
    by_level = jobs.split(part, description)
    assert [each.level_ids for each in by_level] == [(13,), (14,)]
    assert jobs.split(by_level[0], description) == ()
    halves = jobs.split(by_level[1], description)
    quarters = [each for half in halves for each in jobs.split(half, description)]
    assert [each.planned for each in quarters] == [{14: 128 * 128}] * 4
    assert [jobs.split(each, description) for each in quarters] == [()] * 4
    places = [place for each in quarters for place in jobs.places(each, description, "No.")]
    assert {(place.first_row, place.first_col) for place in places} == {
        (2, 2), (2, 3), (3, 2), (3, 3)
    }  # fmt: skip


def test_the_bundles_of_a_part() -> None:
    (part,), description = parts_over(16400, 98400, 32700, 114600)
    assert jobs_on({})[0].places(part, description, "No.") == (
        FailedPlace(METRES.level(13), 1, 1, 1, 1, "No."),
        FailedPlace(METRES.level(14), 2, 3, 2, 3, "No."),
    )


def test_the_whole_cache_of_unknown_extent_is_not_split() -> None:
    jobs, _ = jobs_on({})
    part = UpdatePart((13, 14), {"operation": "deleteTiles", "levels": "13-14"})
    assert jobs.split(part, description_of()) == ()
    assert jobs.places(part, description_of(), "No.") == ()
