"""Running an update, watching and ending it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from qgis.core import Qgis, QgsApplication
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QPushButton

from tile_cache_manager.plugin.core import errors
from tile_cache_manager.plugin.core.request import Outcome, UpdateMode
from tile_cache_manager.plugin.core.tiling import Extent
from tile_cache_manager.plugin.host import tasks

WORLD_URL = "https://site.test/arcgis/rest/services/World/MapServer"
ROADS_URL = "https://site.test/arcgis/rest/services/Roads/MapServer"
SITE_URL = "https://site.test/arcgis/rest/services"


def test_a_run_asks_the_site_for_what_the_form_says(loaded: Any, person: Any, cache: Any) -> None:
    person.choose("range_to_combo", "1:147,914,382")
    person.click("range_button")
    person.choose("mode_combo", "Recreate All Tiles")
    person.find("typed_extent_edit").setText("0 0 1000 2000")
    person.choose("area_kind_combo", "Typed Extent")
    person.find("instances_spin").setValue(3)
    person.find("wait_check").setChecked(False)
    person.click("run_button")
    person.wait_until(lambda: cache.requests, what="the update")
    person.wait_for_end()

    (request,) = cache.requests
    assert [level.id for level in request.levels] == [1, 2]
    assert request.mode is UpdateMode.RECREATE_ALL
    assert request.extent == Extent(0, 0, 1000, 2000)
    assert request.instances == 3
    assert request.wait is False


def test_the_end_is_told_with_numbers_and_the_address(
    loaded: Any, person: Any, cache: Any, qgis_bar: Any
) -> None:
    person.click("run_button")
    person.wait_until(lambda: qgis_bar.currentItem() is not None, what="a line in QGIS's bar")

    # Five levels, of each 3 of 4 tiles made.
    assert qgis_bar.currentItem().text() == (
        f"Update of {WORLD_URL} done: 20 tiles in the area, 15 made, 5 left as they were."
    )
    button = qgis_bar.currentItem().findChild(QPushButton, "copy_address_button")
    button.click()
    assert QgsApplication.clipboard().text() == WORLD_URL
    assert person.find("progress_bar").value() == 100
    assert person.shows("progress_label") == qgis_bar.currentItem().text()
    assert person.find("run_button").isEnabled()


def test_after_the_end_the_service_is_asked_how_full_it_is(
    loaded: Any, person: Any, cache: Any, world: Any
) -> None:
    person.choose("range_to_combo", "1:147,914,382")
    person.click("range_button")
    cache.answer = replace(world, status=(replace(world.status[1], tiles=16),))
    person.click("run_button")

    cell = person.find("scales_view").model().index(2, 4)
    person.wait_until(lambda: cell.data() == "100 %", what="the new number")
    assert person.ticked() == [1, 2]


def test_after_a_failure_too_the_service_is_asked_how_full_it_is(
    loaded: Any, person: Any, cache: Any, world: Any
) -> None:
    cache.answer = replace(world, status=(replace(world.status[1], tiles=16),))
    cache.ending = errors.JobFailed(f"{WORLD_URL}/jobs/j1", "no disk space")
    person.click("run_button")

    cell = person.find("scales_view").model().index(2, 4)
    person.wait_until(lambda: cell.data() == "100 %", what="the new number")


# how it ended, how much the bar shows
ENDS = [(Outcome.DONE, "100%"), (Outcome.SUBMITTED, ""), (Outcome.CANCELLED, "40%")]


@pytest.mark.parametrize(("outcome", "percent"), ENDS)
def test_the_bar_at_the_end(
    loaded: Any, person: Any, cache: Any, qgis_bar: Any, outcome: Outcome, percent: str
) -> None:
    cache.ending = outcome
    person.start_and_hold(cache)
    if outcome is Outcome.CANCELLED:
        person.click("cancel_button")
    cache.go_on.set()
    person.wait_for_end()

    assert person.find("progress_bar").text() == percent


def test_the_bar_of_an_update_that_was_cancelled_elsewhere(
    loaded: Any, person: Any, cache: Any, qgis_bar: Any
) -> None:
    cache.ending = Outcome.CANCELLED
    person.start_and_hold(cache)
    cache.go_on.set()
    person.wait_for_end()

    assert person.find("progress_bar").text() == "40%"
    assert person.shows("percent_label") == "40 %"


def test_loading_again_keeps_ticks_and_counts(loaded: Any, person: Any, cache: Any) -> None:
    person.choose("range_to_combo", "1:147,914,382")
    person.click("range_button")
    person.wait_for_count()
    person.click("load_button")
    person.wait_until(lambda: person.shows("summary_label") != "Loading…", what="the answer")

    assert person.ticked() == [1, 2]
    assert person.shows("tile_count_label") == "20 tiles at 2 scales."
    person.click("run_button")
    person.wait_until(lambda: cache.requests, what="the update")
    person.wait_for_end()


def test_while_it_runs_only_run_is_disabled(loaded: Any, person: Any, cache: Any) -> None:
    person.start_and_hold(cache)

    assert not person.find("run_button").isEnabled()
    assert "is running" in person.find("run_button").toolTip()
    for name in ("load_button", "check_none_button", "area_kind_combo", "mode_combo"):
        assert person.find(name).isEnabled(), name
    task = QgsApplication.taskManager().activeTasks()[0]
    assert task.description() == "World: Recreate Empty Tiles"


def test_closed_while_running_and_opened_again(
    loaded: Any, person: Any, cache: Any, qgis_bar: Any
) -> None:
    person.start_and_hold(cache)
    person.click("close_button")
    assert not loaded.isVisible()

    loaded.show()
    assert person.find("progress_bar").value() == 40
    assert "Job started" in person.messages()
    assert person.find("cancel_button").isEnabled()

    QTest.keyClick(loaded, Qt.Key.Key_Escape)
    assert not loaded.isVisible()
    cache.go_on.set()
    person.wait_until(lambda: qgis_bar.currentItem() is not None, what="a line in QGIS's bar")
    assert " done: " in qgis_bar.currentItem().text()
    assert " done: " in person.shows("progress_label")


def test_cancel(loaded: Any, person: Any, cache: Any, qgis_bar: Any) -> None:
    person.start_and_hold(cache)
    person.click("cancel_button")
    assert not person.find("cancel_button").isEnabled()
    person.wait_for_end()

    assert " cancelled, " in person.shows("progress_label")
    assert " cancelled, " in qgis_bar.currentItem().text()
    assert person.find("run_button").isEnabled()


def test_the_task_manager_s_cancel_leaves_the_job_to_the_site(
    loaded: Any, person: Any, cache: Any
) -> None:
    person.start_and_hold(cache)
    QgsApplication.taskManager().activeTasks()[0].cancel()
    person.wait_for_end()

    assert cache.endings == [Outcome.SUBMITTED]
    assert "The site has taken the job and goes on by itself" in person.shows("progress_label")


def test_on_this_computer_the_task_manager_s_cancel_ends_the_update(
    local_loaded: Any, person: Any, cache: Any
) -> None:
    person.start_and_hold(cache)
    QgsApplication.taskManager().activeTasks()[0].cancel()
    person.wait_for_end()

    assert cache.endings == [Outcome.CANCELLED]


def test_unloading_ends_following_and_lets_the_site_go_on(
    loaded: Any, person: Any, cache: Any, opener: Any, qgis_bar: Any
) -> None:
    person.start_and_hold(cache)

    opener.unload()

    manager = QgsApplication.taskManager()
    person.wait_until(lambda: manager.countActiveTasks() == 0, what="the task's end")
    assert cache.endings == [Outcome.SUBMITTED]
    assert qgis_bar.currentItem() is None


# how the site says it ended, how QGIS's bar looks then
LOOKS = [
    (Outcome.DONE, Qgis.MessageLevel.Success),
    (Outcome.SUBMITTED, Qgis.MessageLevel.Success),
    (Outcome.PARTIAL, Qgis.MessageLevel.Warning),
    (Outcome.CANCELLED, Qgis.MessageLevel.Warning),
]


@pytest.mark.parametrize(("outcome", "level"), LOOKS)
def test_only_what_went_well_looks_well(
    loaded: Any, person: Any, cache: Any, qgis_bar: Any, outcome: Outcome, level: Any
) -> None:
    cache.ending = outcome
    person.click("run_button")
    person.wait_until(lambda: qgis_bar.currentItem() is not None, what="a line in QGIS's bar")

    assert qgis_bar.currentItem().level() == level
    person.wait_for_end()


# After the end


def test_an_update_ends_after_a_site_was_listed(
    loaded: Any, person: Any, cache: Any, services: Any
) -> None:
    person.start_and_hold(cache)
    cache.answer = services
    person.load(SITE_URL)
    assert person.ticked() == []

    cache.go_on.set()
    person.wait_for_end()

    assert " done: " in person.shows("progress_label")
    assert cache.asked[-1] == SITE_URL
    assert person.find("address_combo").currentText() == SITE_URL


def test_asking_how_full_it_is_leaves_alone_what_was_typed(
    loaded: Any, person: Any, cache: Any, world: Any
) -> None:
    person.start_and_hold(cache)
    person.find("address_combo").setEditText("https://elsewhere.test/")
    cache.answer = replace(world, status=(replace(world.status[1], tiles=16),))
    cache.go_on.set()

    cell = person.find("scales_view").model().index(2, 4)
    person.wait_until(lambda: cell.data() == "100 %", what="the new number")
    assert person.find("address_combo").currentText() == "https://elsewhere.test/"


def test_asking_how_full_it_is_stops_no_other_question(
    loaded: Any, person: Any, cache: Any, gate: Any, world: Any
) -> None:
    person.start_and_hold(cache)
    describe = cache.describe
    cache.describe = gate.before(lambda: replace(world, address=ROADS_URL, name="Roads"))
    person.find("address_combo").setEditText(ROADS_URL)
    person.click("load_button")
    person.wait_until(gate.reached.is_set, what="the question")
    cache.describe = describe

    cache.go_on.set()
    person.wait_for_end()
    person.wait_until(lambda: cache.asked[-1] == WORLD_URL, what="the question for the status")
    assert person.shows("summary_label") == "Loading…"
    gate.open()

    person.wait_until(lambda: person.shows("summary_label").startswith("Roads"), what="Roads")
    assert person.find("address_combo").currentText() == ROADS_URL


def test_unloading_does_not_wait_for_what_was_not_started(
    loaded: Any, person: Any, cache: Any, opener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = tasks.start

    def hold(task: tasks.Task, kept: list[tasks.Task]) -> None:
        task.hold()  # as if all of QGIS's threads were taken
        start(task, kept)

    monkeypatch.setattr(tasks, "start", hold)
    person.click("run_button")

    opener.unload()

    manager = QgsApplication.taskManager()
    person.wait_until(lambda: manager.countActiveTasks() == 0, what="the task's end")
    assert cache.requests == []
