"""What can go wrong between the plugin and a site: borne where it passes, else told plainly."""

from __future__ import annotations

import time
from typing import Any

import pytest
from arcgis_server.handle import VIEWER
from scripted_site import Recorder
from site_caches import levels_of, open_on, running_update

from tile_cache_manager.plugin.core.arcgis import hosted_jobs, jobs
from tile_cache_manager.plugin.core.arcgis.jobs import Pace
from tile_cache_manager.plugin.core.errors import (
    CachingUnavailable,
    CancelUnconfirmed,
    JobFailed,
    JobLost,
    JobSilent,
    ModeNotOffered,
    NotArcGIS,
    NotFound,
    SiteRefused,
    SiteUnreachable,
    SubmissionUnclear,
    TileCacheError,
    Unavailable,
    Unreachable,
)
from tile_cache_manager.plugin.core.request import Outcome, Severity, UpdateMode, UpdateRequest

EMPTY, ALL, DELETE = UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL, UpdateMode.DELETE
IMPATIENT = Pace(first=0.01, longest=0.05, patience=0.4, cancel_patience=0.4)
JOBS, SUBMIT, ROOT = "/jobs/j", "/submitJob$", "/World/MapServer$"
FOREVER = 1_000_000
WHOLE_LEVELS = (2, 3)
TILES = 16 + 64


def whole(cache: Any, mode: UpdateMode = EMPTY) -> UpdateRequest:
    description = cache.describe()
    return UpdateRequest.of(description, levels_of(description, *WHOLE_LEVELS), mode, None)


def number_of_tiles(site: Any, key: str = "classic") -> int:
    return sum(len(tiles) for tiles in site.read_cache(key, "World").values())


# --- sign-in and rights ----------------------------------------------------------------------


@pytest.mark.parametrize("key", ["classic", "old", "secured"])
def test_a_token_that_ends_in_mid_job_is_renewed(fresh_site: Any, key: str) -> None:
    cache = open_on(fresh_site, key)
    request = whole(cache)
    fresh_site.pause_after(key, 10)

    with running_update(cache, request) as (result, _, recorder):
        fresh_site.wait_until_paused(key)
        fresh_site.expire_tokens(key)
        asked = fresh_site.requests(key)
        fresh_site.release(key)
        report = result()

    tokens = next(path for path in asked if path.endswith("/generateToken"))
    assert asked[tokens] == 1
    assert fresh_site.requests(key)[tokens] == 2
    assert report.outcome is Outcome.DONE
    assert number_of_tiles(fresh_site, key) == TILES
    assert recorder.troubles == []


def test_a_token_service_that_fails_in_mid_job(fresh_site: Any) -> None:
    """Whoever cannot be signed in any more is told where the job is; it goes on."""
    cache = open_on(fresh_site, "classic")
    request = whole(cache)
    fresh_site.pause_after("classic", 10)

    with running_update(cache, request) as (result, _, _recorder):
        fresh_site.wait_until_paused("classic")
        fresh_site.fault("classic", "/generateToken", "error", FOREVER, code=400, message="Locked.")
        fresh_site.expire_tokens("classic")
        with pytest.raises(JobLost) as caught:
            result()

    (job,) = fresh_site.jobs("classic")
    assert caught.value.job_url.endswith(job["jobId"])
    assert caught.value.seconds == 0
    assert job["jobStatus"] == "esriJobExecuting"


def test_a_viewer_changes_nothing(fresh_site: Any) -> None:
    cache = open_on(fresh_site, "classic", account=VIEWER)

    with pytest.raises(CachingUnavailable) as caught:
        cache.update(whole(cache, DELETE), Recorder().feedback)

    assert caught.value.reason is Unavailable.NO_RIGHT
    assert fresh_site.submissions("classic") == []


def test_a_site_without_caching_tools(fresh_site: Any) -> None:
    cache = open_on(fresh_site, "hosted", "World_Tiles")

    with pytest.raises(CachingUnavailable) as caught:
        cache.update(whole(cache), Recorder().feedback)

    assert caught.value.reason is Unavailable.NO_TOOLS


def test_a_mode_that_the_site_does_not_offer(fresh_site: Any) -> None:
    cache = open_on(fresh_site, "othernames")

    with pytest.raises(ModeNotOffered):
        cache.update(whole(cache, EMPTY), Recorder().feedback)

    assert fresh_site.submissions("othernames") == []


# --- the job ---------------------------------------------------------------------------------


def test_a_job_that_fails_tells_its_own_message(fresh_site: Any) -> None:
    cache = open_on(fresh_site, "classic")
    request = whole(cache)
    fresh_site.fail_next("classic", "ERROR 001470: The disk is full.", after=7)
    recorder = Recorder()

    with pytest.raises(JobFailed) as caught:
        cache.update(request, recorder.feedback)

    (job,) = fresh_site.jobs("classic")
    assert caught.value.job_url.endswith(job["jobId"])
    assert "ERROR 001470: The disk is full." in recorder.texts
    assert {message.severity for message in recorder.messages} == {Severity.INFO, Severity.ERROR}
    assert caught.value.message == "ERROR 001470: The disk is full."
    assert number_of_tiles(fresh_site) == 7

    report = cache.update(request, Recorder().feedback)
    assert (report.total("made"), report.total("skipped")) == (TILES - 7, 7)


def test_a_job_that_the_site_forgets(fresh_site: Any) -> None:
    cache = open_on(fresh_site, "classic")
    request = whole(cache)
    fresh_site.pause_after("classic", 3)

    with running_update(cache, request) as (result, _, _recorder):
        fresh_site.wait_until_paused("classic")
        fresh_site.fault("classic", JOBS, "error", FOREVER, code=404, message="No such job.")
        with pytest.raises(JobLost) as caught:
            result()

    assert caught.value.seconds == 0
    assert isinstance(caught.value.cause, NotFound)
    assert caught.value.cause.message == "No such job."


# kind of fault, further values, number of bad answers in mid-job
PASSING: list[tuple[str, dict[str, Any]]] = [
    ("drop", {}),
    ("truncate", {}),
    ("html", {}),
    ("status", {"code": 503}),
    ("status", {"code": 500}),
    ("error", {"code": 500}),
]


@pytest.mark.parametrize(("kind", "values"), PASSING, ids=str)
def test_a_site_gone_for_a_while(fresh_site: Any, kind: str, values: dict[str, Any]) -> None:
    cache = open_on(fresh_site, "classic")
    request = whole(cache)
    fresh_site.pause_after("classic", 10)

    with running_update(cache, request) as (result, _, recorder):
        fresh_site.wait_until_paused("classic")
        fresh_site.fault("classic", JOBS, kind, 6, **values)
        fresh_site.release("classic")
        report = result()

    assert report.outcome is Outcome.DONE
    assert report.total("made") == TILES
    assert len(recorder.troubles) == 1
    assert isinstance(recorder.troubles[0], JobSilent)
    assert len(fresh_site.submissions("classic")) == 1


def test_a_site_gone_for_good_and_the_job_found_again(fresh_site: Any) -> None:
    cache = open_on(fresh_site, "classic", pace=IMPATIENT)
    request = whole(cache)
    fresh_site.pause_after("classic", 10)

    with running_update(cache, request) as (result, _, recorder):
        fresh_site.wait_until_paused("classic")
        fresh_site.fault("classic", JOBS, "drop", FOREVER)
        with pytest.raises(JobLost) as caught:
            result()

    assert caught.value.seconds > IMPATIENT.patience
    assert isinstance(caught.value.cause, SiteUnreachable)
    assert len(recorder.troubles) == 1
    fresh_site.clear_faults("classic")
    found = cache._client.read(caught.value.job_url)
    assert found["jobStatus"] == "esriJobExecuting"
    assert number_of_tiles(fresh_site) == 10


def test_a_cancel_that_is_not_confirmed(fresh_site: Any) -> None:
    cache = open_on(fresh_site, "classic", pace=IMPATIENT)
    request = whole(cache)
    fresh_site.pause_after("classic", 10)

    with running_update(cache, request) as (result, cancel, recorder):
        fresh_site.wait_until_paused("classic")
        fresh_site.fault("classic", "/cancel$", "error", FOREVER, code=500, message="Not now.")
        cancel()
        with pytest.raises(CancelUnconfirmed) as caught:
            result()

    assert caught.value.job_url.endswith(fresh_site.jobs("classic")[0]["jobId"])
    assert [str(trouble) for trouble in recorder.troubles] == [
        f"500: Not now.: {caught.value.job_url}/cancel"
    ]


def test_a_cancel_is_sent_again_where_it_did_not_arrive(fresh_site: Any) -> None:
    cache = open_on(fresh_site, "classic")
    request = whole(cache)
    fresh_site.pause_after("classic", 10)

    with running_update(cache, request) as (result, cancel, _):
        fresh_site.wait_until_paused("classic")
        fresh_site.fault("classic", "/cancel$", "drop", 3)
        cancel()
        report = result()

    assert report.outcome is Outcome.CANCELLED
    assert report.total("made") == 10


# --- submitting and describing ---------------------------------------------------------------

# kind of fault, further values, error
BAD_SUBMISSIONS: list[tuple[str, dict[str, Any], type[TileCacheError]]] = [
    ("drop", {}, SubmissionUnclear),
    ("truncate", {}, SubmissionUnclear),
    ("html", {}, NotArcGIS),
    ("status", {"code": 503}, SiteRefused),
    ("status", {"code": 504}, SubmissionUnclear),
    ("error", {"code": 500}, SiteRefused),
]


@pytest.mark.parametrize(("kind", "values", "error"), BAD_SUBMISSIONS, ids=str)
def test_a_submission_that_may_have_arrived_is_not_sent_twice(
    fresh_site: Any, kind: str, values: dict[str, Any], error: type[TileCacheError]
) -> None:
    cache = open_on(fresh_site, "classic")
    request = whole(cache)
    fresh_site.fault("classic", SUBMIT, kind, 1, **values)

    with pytest.raises(error):
        cache.update(request, Recorder().feedback)

    asked = fresh_site.requests("classic")
    assert [asked[path] for path in asked if path.endswith("/submitJob")] == [1]
    assert fresh_site.jobs("classic") == []


def test_html_instead_of_json(fresh_site: Any) -> None:
    fresh_site.fault("classic", ROOT, "html", FOREVER)

    with pytest.raises(NotArcGIS) as caught:
        open_on(fresh_site, "classic").describe()

    assert (caught.value.status, caught.value.content_type[:9]) == (200, "text/html")


def test_a_moment_of_trouble_is_not_noticed(fresh_site: Any) -> None:
    for kind in ("drop", "truncate"):
        fresh_site.fault("classic", ROOT, kind, 1)
        assert open_on(fresh_site, "classic").describe().name == "World"


def test_a_stopped_service(fresh_site: Any) -> None:
    message = "Service World/MapServer not started"
    fresh_site.fault("classic", ROOT, "error", FOREVER, code=500, message=message)

    with pytest.raises(SiteRefused) as caught:
        open_on(fresh_site, "classic").describe()

    assert (caught.value.code, caught.value.message) == (500, message)


def test_a_site_that_says_nothing(fresh_site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tile_cache_manager.plugin.core.arcgis import transport

    monkeypatch.setattr(transport, "READ_SECONDS", 0.2)
    fresh_site.fault("classic", ROOT, "silence", FOREVER)
    started = time.monotonic()

    with pytest.raises(SiteUnreachable) as caught:
        open_on(fresh_site, "classic").describe()

    assert caught.value.reason is Unreachable.TIMEOUT
    assert time.monotonic() - started < 5
    fresh_site.clear_faults("classic")


@pytest.mark.parametrize("key", ["classic", "secured"])
def test_no_token_in_the_log_of_a_site(fresh_site: Any, key: str) -> None:
    """Names of what is sent stand in the log behind the path: a GET never carries a token."""
    log = fresh_site.folder / "requests.log"
    before = len(log.read_text(encoding="utf-8"))
    cache = open_on(fresh_site, key)
    cache.update(whole(cache), Recorder().feedback)

    lines = log.read_text(encoding="utf-8")[before:].splitlines()
    asked = [line for line in lines if fresh_site.site_url(key)[len(fresh_site.url) :] in line]
    assert any("token" in line.split()[-1].split(",") for line in asked)
    assert [line for line in asked if line.startswith("GET") and "token," in line] == []
    assert all(line.startswith("POST") for line in asked if line.endswith("token"))


# --- silence -------------------------------------------------------------------------------------


@pytest.fixture
def short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of a job is waited for a third of a second."""
    for module in (jobs, hosted_jobs):
        monkeypatch.setattr(module, "LOOK_SECONDS", 0.3)


@pytest.mark.usefixtures("short_looks")
def test_a_silent_site_is_given_up_and_told_of_in_the_stated_time(fresh_site: Any) -> None:
    pace = Pace(first=0.01, longest=0.05, patience=2.0, cancel_patience=0.4)
    cache = open_on(fresh_site, "classic", pace=pace)
    request = whole(cache)
    fresh_site.pause_after("classic", 10)
    with running_update(cache, request) as (result, _, recorder):
        fresh_site.wait_until_paused("classic")
        fresh_site.fault("classic", JOBS, "silence", count=FOREVER)
        begun = time.monotonic()
        with pytest.raises(JobLost):
            result()
    took = time.monotonic() - begun
    fresh_site.clear_faults("classic")

    # a look of four tries of a minute each took four minutes to say a word
    assert 2.0 <= took < 6.0
    assert [type(error) for error in recorder.troubles] == [JobSilent]


@pytest.mark.usefixtures("short_looks")
def test_a_cancel_is_heard_while_a_site_is_silent(fresh_site: Any) -> None:
    pace = Pace(first=0.01, longest=0.05, patience=60.0, cancel_patience=1.0)
    cache = open_on(fresh_site, "classic", pace=pace)
    request = whole(cache)
    fresh_site.pause_after("classic", 10)
    with running_update(cache, request) as (result, cancel, _recorder):
        fresh_site.wait_until_paused("classic")
        fresh_site.fault("classic", JOBS, "silence", count=FOREVER)
        begun = time.monotonic()
        cancel()
        with pytest.raises(CancelUnconfirmed):
            result()
    took = time.monotonic() - begun
    fresh_site.clear_faults("classic")

    assert took < 6.0
