"""Jobs that outlive the dialog and QGIS, before the stand-in ArcGIS site; nothing is faked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from arcgis_server.handle import PUBLISHER
from dialog_person import Person
from qgis.core import QgsApplication

from tile_cache_manager.plugin.core.jobs import JobRecord
from tile_cache_manager.plugin.core.site_update import PartState

# Levels 0, 1 and 2 of the ArcGIS Online scheme, the whole world.
TILES = {0: 1, 1: 4, 2: 16}
STATE, PROGRESS = 4, 5


@pytest.fixture
def publisher(store_sign_in: Callable[..., str]) -> str:
    """Id of the sign-in details of a user who may manage caches."""
    return store_sign_in("Basic", username=PUBLISHER.name, password=PUBLISHER.password)


@pytest.fixture
def running(visitor: Person, fresh_site: Any, publisher: str) -> Callable[[bool], None]:
    """`running(waits)`: have an update of 21 tiles begun, which stands still after 8 of them."""

    def begin(waits: bool) -> None:
        visitor.find("auth_select").setConfigId(publisher)
        visitor.find("address_combo").setEditText(fresh_site.service_url("classic", "World"))
        visitor.click("load_button")
        visitor.wait_until(visitor.ticked, 20, "the scales")
        visitor.find("range_from_combo").setCurrentIndex(0)
        visitor.find("range_to_combo").setCurrentIndex(2)
        visitor.click("range_button")
        visitor.wait_for_count()
        visitor.find("wait_check").setChecked(waits)
        fresh_site.pause_after("classic", 8)
        visitor.click("run_button")
        fresh_site.wait_until_paused("classic")

    return begin


def row(person: Person) -> list[str]:
    """The one job in the list; [] where there is none."""
    model = person.find("jobs_view").model()
    assert model.rowCount() <= 1
    if not model.rowCount():
        return []
    return [model.index(0, column).data() for column in range(model.columnCount())]


def wait_for_state(person: Person, *states: str) -> None:
    person.wait_until(lambda: row(person)[STATE:PROGRESS] in [[each] for each in states], 30)


def tiles(site: Any) -> dict[int, int]:
    cache = site.read_cache("classic", "World")
    return {level: len(found) for level, found in cache.items() if found}


def test_a_job_that_is_not_waited_for_is_listed_and_its_end_told(
    visitor: Person, running: Callable, fresh_site: Any, qgis_bar: Any
) -> None:
    running(False)
    visitor.wait_until(lambda: qgis_bar.currentItem() is not None, 20, "a line in QGIS's bar")
    (job,) = fresh_site.jobs("classic")
    assert f"/jobs/{job['jobId']}" in qgis_bar.currentItem().text()

    visitor.find("update_tabs").setCurrentIndex(1)
    wait_for_state(visitor, "Running")
    fresh_site.release("classic")
    wait_for_state(visitor, "Done")
    assert row(visitor)[PROGRESS] == "100 %"
    visitor.wait_until(lambda: "has finished" in qgis_bar.currentItem().text(), what="the end told")

    visitor.click("report_button")
    text = visitor.find("job_text_view")
    visitor.wait_until(lambda: " done: 21 tiles in the area" in text.toPlainText(), 20)
    assert tiles(fresh_site) == TILES


def test_follow_and_cancel_from_the_list(
    visitor: Person, running: Callable, fresh_site: Any
) -> None:
    running(False)
    visitor.find("update_tabs").setCurrentIndex(1)
    wait_for_state(visitor, "Running")
    visitor.click("follow_button")
    wait_for_state(visitor, "Running, Followed")
    visitor.wait_until(lambda: row(visitor)[PROGRESS] not in ("", "0 %"), 20, "its progress")
    visitor.click("cancel_job_button")
    wait_for_state(visitor, "Cancelled")
    (job,) = fresh_site.jobs("classic")
    assert job["jobStatus"] == "esriJobCancelled"


def test_cancel_from_the_list_what_nobody_follows(
    visitor: Person, running: Callable, fresh_site: Any
) -> None:
    running(False)
    visitor.find("update_tabs").setCurrentIndex(1)
    wait_for_state(visitor, "Running")
    visitor.click("cancel_job_button")
    wait_for_state(visitor, "Cancelled")
    (job,) = fresh_site.jobs("classic")
    assert job["jobStatus"] == "esriJobCancelled"


def test_a_job_goes_on_as_qgis_closes_and_is_found_at_its_next_start(
    running: Callable,
    visitor: Person,
    fresh_site: Any,
    opener: Any,
    wait_until: Any,
    job_file: Path,
    qgis_bar: Any,
) -> None:
    running(True)
    QgsApplication.taskManager().cancelAll()  # as QGIS does when it is closed
    opener.unload()
    manager = QgsApplication.taskManager()
    wait_until(lambda: manager.countActiveTasks() == 0, 20, "the end of following")
    (job,) = fresh_site.jobs("classic")
    assert job["jobStatus"] == "esriJobExecuting"
    (kept,) = JobRecord(job_file).all()
    assert kept.update.state is PartState.RUNNING
    assert kept.update.job_urls[0].endswith(job["jobId"])
    assert PUBLISHER.password not in job_file.read_text(encoding="utf-8")

    later = Person(opener.open(), wait_until)
    later.dialog._jobs.begin()
    wait_until(lambda: row(later), what="the job in the list")
    later.find("update_tabs").setCurrentIndex(1)
    wait_for_state(later, "Running, Followed")
    fresh_site.release("classic")
    wait_for_state(later, "Done")
    wait_until(lambda: " done: 21 tiles" in qgis_bar.currentItem().text(), what="the end told")
    assert tiles(fresh_site) == TILES
    assert len(fresh_site.jobs("classic")) == 1
