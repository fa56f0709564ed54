"""`tilecache:managejob`: updates on a site, followed, reported, cancelled, taken up by script."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from arcgis_server.handle import PUBLISHER
from processing_inputs import counts, scales_of
from qgis.core import QgsProcessingException, QgsProcessingFeedback, QgsProperty
from qgis.PyQt.QtCore import QVariant

from tile_cache_manager.plugin.core.errors import UnknownJob
from tile_cache_manager.plugin.host import job_record

pytestmark = pytest.mark.qgis


@pytest.fixture(autouse=True)
def own_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record of this test's own, in place of the profile's."""
    monkeypatch.setattr(job_record, "record_path", lambda: tmp_path / "jobs.json")


@pytest.fixture
def manage_job(provider: Any, qgis_processing: Any) -> Callable[..., dict[str, Any]]:
    def run_it(job: str, **parameters: Any) -> dict[str, Any]:
        asked = {"INPUT_JOB": job, **parameters}
        return dict(qgis_processing.run("tilecache:managejob", asked))

    return run_it


@pytest.fixture
def paused(fresh_site: Any) -> Iterator[Any]:
    """The site, whose jobs stand still after five tiles."""
    fresh_site.pause_after("classic", 5)
    yield fresh_site
    fresh_site.release("classic")


def states(site: Any) -> list[str]:
    return [job["jobStatus"] for job in site.jobs("classic")]


def test_not_waiting_returns_at_once_and_the_job_is_followed_later(
    run: Any, manage_job: Any, paused: Any
) -> None:
    begun = run(SCALES=scales_of(paused, 3), WAIT="DO_NOT_WAIT")
    paused.wait_until_paused("classic")

    assert begun["JOB_URL"].endswith(begun["JOB_ID"])
    reported = manage_job(begun["JOB_URL"])
    assert reported["STATE"] == "RUNNING"
    assert 0 < reported["PERCENT"] < 100
    assert counts(paused).get(3, 0) < 64
    paused.release("classic")
    # signed in as the update was: the record knows
    followed = manage_job(begun["JOB_URL"], ACTION="FOLLOW")

    assert followed["STATE"] == "DONE"
    assert followed["PERCENT"] == 100
    assert followed["OUTPUT_URL"] == paused.service_url("classic", "World")
    assert counts(paused) == {3: 64}
    assert len(paused.jobs("classic")) == 1


def test_a_cancelled_job_keeps_its_tiles_and_is_resumed(
    run: Any, manage_job: Any, paused: Any
) -> None:
    begun = run(SCALES=scales_of(paused, 3), WAIT="DO_NOT_WAIT")
    paused.wait_until_paused("classic")

    cancelled = manage_job(begun["JOB_URL"], ACTION="CANCEL")

    assert cancelled["STATE"] == "CANCELLED"
    assert states(paused) == ["esriJobCancelled"]
    assert counts(paused) == {3: 5}
    kept = paused.read_cache("classic", "World")[3]
    paused.release("classic")
    resumed = manage_job(begun["JOB_URL"], ACTION="RESUME_JOB")
    assert resumed["STATE"] == "DONE"
    assert counts(paused) == {3: 64}
    now = paused.read_cache("classic", "World")[3]
    assert all(now[tile].offset == kept[tile].offset for tile in kept)
    assert paused.submissions("classic")[-1]["form"]["update_mode"] == "RESUME_JOB"


def test_what_failed_is_fixed_and_the_rest_completed(
    run: Any, manage_job: Any, fresh_site: Any
) -> None:
    """FIX_JOB does what failed, and nobody knows whether the job had come to all the rest."""
    fresh_site.fail_next("classic", "Disk is full", after=5)
    with pytest.raises(QgsProcessingException, match="Disk is full"):
        run(SCALES=scales_of(fresh_site, 3))
    (recorded,) = job_record.record().all()
    (url,) = recorded.update.job_urls

    fixed = manage_job(url, ACTION="FIX_JOB")
    assert fixed["STATE"] == "PARTIAL"
    assert counts(fresh_site) == {3: 5}
    # the update is known by its first job, too
    again = manage_job(url, ACTION="FIX_JOB")
    assert again["STATE"] == "PARTIAL"
    completed = manage_job(url, ACTION="COMPLETE_JOB")
    assert completed["STATE"] == "DONE"
    assert counts(fresh_site) == {3: 64}
    assert len(job_record.record().all()) == 1


def test_a_job_that_ended_while_nobody_followed_it_is_taken_up(
    run: Any, manage_job: Any, fresh_site: Any, wait_until: Any
) -> None:
    fresh_site.fail_next("classic", "Disk is full", after=5)
    begun = run(SCALES=scales_of(fresh_site, 3), WAIT="DO_NOT_WAIT")
    wait_until(lambda: states(fresh_site) == ["esriJobFailed"], 30, "the job's failure")

    completed = manage_job(begun["JOB_URL"], ACTION="COMPLETE_JOB")

    assert completed["STATE"] == "DONE"
    assert counts(fresh_site) == {3: 64}


@pytest.mark.parametrize("how", ["RESUME_JOB", "COMPLETE_JOB"])
def test_a_job_that_failed_on_the_way_goes_on(
    run: Any, manage_job: Any, fresh_site: Any, how: str
) -> None:
    fresh_site.fail_next("classic", "Disk is full", after=5)
    with pytest.raises(QgsProcessingException, match="Disk is full"):
        run(SCALES=scales_of(fresh_site, 3))
    (url,) = job_record.record().all()[0].update.job_urls

    state = manage_job(url, ACTION=how)["STATE"]

    assert state == ("DONE" if how == "COMPLETE_JOB" else "PARTIAL")
    assert counts(fresh_site) == {3: 64}


def test_a_job_that_no_record_knows_is_told_by_its_address(
    run: Any, manage_job: Any, fresh_site: Any, store_sign_in: Any
) -> None:
    done = run(SCALES=scales_of(fresh_site, 2))
    job_record.record().remove(job_record.record().all()[0].update.key)
    sign_in = store_sign_in("Basic", username=PUBLISHER.name, password=PUBLISHER.password)

    assert manage_job(done["JOB_URL"], AUTH_CONFIG=sign_in)["STATE"] == "DONE"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"INPUT_JOB": ""}, "INPUT_JOB|not the address of a job"),
        ({"INPUT_JOB": "  "}, "not the address of a job"),
        ({"INPUT_JOB": "nonsense"}, "not the address of a job"),
        ({"INPUT_JOB": "https://site.test/arcgis/rest/services/World/MapServer"},
         "not the address of a job"),
        ({"ACTION": "CANCLE"}, "ACTION"),
        ({"ACTION": ""}, "ACTION"),
        ({"ACTION": QVariant(QVariant.Type.String)}, "ACTION"),
        ({"ACTION": QgsProperty.fromExpression("@there_is_no_such_variable")}, "ACTION"),
        ({"WAIT": "NO"}, "WAIT"),
    ],
    ids=["no job", "blanks", "no address", "a service", "misspelt", "no text", "NULL",
         "an expression without result", "WAIT misspelt"],
)  # fmt: skip
def test_bad_values_change_nothing(
    run: Any, manage_job: Any, paused: Any, parameters: dict[str, Any], words: str
) -> None:
    begun = run(SCALES=scales_of(paused, 3), WAIT="DO_NOT_WAIT")
    paused.wait_until_paused("classic")
    asked = {"INPUT_JOB": begun["JOB_URL"], "ACTION": "CANCEL", **parameters}

    with pytest.raises(QgsProcessingException, match=words):
        manage_job(asked.pop("INPUT_JOB"), **asked)

    assert states(paused) == ["esriJobExecuting"]


def test_a_cancel_is_heard_while_somebody_else_follows_the_job(
    provider: Any, run: Any, paused: Any
) -> None:
    begun = run(SCALES=scales_of(paused, 3), WAIT="DO_NOT_WAIT")
    paused.wait_until_paused("classic")
    (recorded,) = job_record.record().all()
    feedback = QgsProcessingFeedback(False)
    feedback.cancel()
    started = time.monotonic()

    with job_record.record().hold(recorded.update.key):
        provider.algorithm("managejob").create().run(
            {"INPUT_JOB": begun["JOB_URL"], "ACTION": "FOLLOW"}, _context(), feedback
        )

    assert time.monotonic() - started < 5
    assert states(paused) == ["esriJobExecuting"]


def test_the_log_tells_how_it_stands(provider: Any, run: Any, fresh_site: Any) -> None:
    done = run(SCALES=scales_of(fresh_site, 2))
    feedback = QgsProcessingFeedback(False)

    provider.algorithm("managejob").create().run(
        {"INPUT_JOB": done["JOB_URL"]}, _context(), feedback
    )

    log = feedback.textLog()
    assert "World: Recreate Empty Tiles" in log
    assert done["JOB_URL"] in log
    assert PUBLISHER.password not in log


def test_the_record_holds_no_secret(run: Any, fresh_site: Any, tmp_path: Path) -> None:
    run(SCALES=scales_of(fresh_site, 1))

    (recorded,) = job_record.record().all()
    text = (tmp_path / "jobs.json").read_text(encoding="utf-8")
    assert recorded.auth_config_id in text
    assert PUBLISHER.password not in text
    assert "token" not in text.lower()
    with pytest.raises(UnknownJob):
        job_record.record().find("https://site.test/arcgis/jobs/j1")


def _context() -> Any:
    from qgis.core import QgsProcessingContext, QgsProject

    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    return context
