"""A run that waits: for its number of tiles, or for an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QMessageBox

from tile_cache_manager.plugin.core.request import UpdateMode
from tile_cache_manager.plugin.core.tiling import Extent
from tile_cache_manager.plugin.host import areas

WORLD_URL = "https://site.test/arcgis/rest/services/World/MapServer"
ROADS_URL = "https://site.test/arcgis/rest/services/Roads/MapServer"


@pytest.fixture
def waiting(loaded: Any, person: Any, held_count: Any) -> Any:
    """The dialog after Run was pressed, with the tiles still being counted."""
    person.choose("area_kind_combo", "Typed Extent")
    person.find("typed_extent_edit").setText("0 0 1000 2000")
    person.click("run_button")
    person.wait_until(held_count.reached.is_set, what="the count")
    return loaded


def finish(person: Any, held_count: Any) -> None:
    held_count.open()
    person.wait_for_end()


def test_run_waits_for_the_number_of_tiles(
    waiting: Any, person: Any, cache: Any, held_count: Any
) -> None:
    assert not person.find("run_button").isEnabled()
    assert "being counted" in person.find("run_button").toolTip()
    assert person.shows("progress_label") == "Working out the area… World: Recreate Empty Tiles"
    assert cache.requests == []

    finish(person, held_count)

    assert len(cache.requests) == 1
    assert person.find("run_button").isEnabled()


def test_the_form_s_own_count_is_the_one_that_is_waited_for(
    loaded: Any, person: Any, cache: Any, held_count: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved: list[Any] = []
    resolve = areas.resolve
    monkeypatch.setattr(areas, "resolve", lambda *given: resolved.append(given) or resolve(*given))
    person.choose("area_kind_combo", "Canvas Extent")
    person.wait_until(held_count.reached.is_set, what="the form's count")
    person.click("run_button")
    finish(person, held_count)

    assert len(cache.requests) == 1
    assert len(resolved) == 1


def test_ticking_scales_works_no_area_out_again(
    loaded: Any, person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.click("check_none_button")
    person.choose("area_kind_combo", "Canvas Extent")
    person.wait_until(lambda: loaded._counter.counts, what="the form's count")
    monkeypatch.setattr(areas, "resolve", pytest.fail)
    person.click("check_all_button")

    assert "Counting" not in person.shows("tile_count_label")
    assert person.shows("tile_count_label").split()[1:2] == ["tiles"]


def test_a_counted_area_is_sent_as_it_is(
    loaded: Any, person: Any, cache: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.choose("area_kind_combo", "Canvas Extent")
    person.wait_for_count()
    counted = loaded._counter.counted.area
    monkeypatch.setattr(areas, "resolve", pytest.fail)
    person.click("run_button")
    person.wait_until(lambda: cache.requests, what="the update")
    person.wait_for_end()

    assert cache.requests[0].extent is counted


def test_before_the_site_has_answered_it_is_waited_for(
    loaded: Any, person: Any, cache: Any, gate: Any
) -> None:
    cache.update = gate.before(cache.update)
    cache.go_on.clear()
    person.click("run_button")
    person.wait_until(gate.reached.is_set, what="the update")
    assert person.shows("progress_label") == "Waiting for the site… World: Recreate Empty Tiles"
    gate.open()
    running = "Running… World: Recreate Empty Tiles"
    person.wait_until(lambda: person.shows("progress_label") == running, what="an answer")
    cache.go_on.set()
    person.wait_for_end()


def another_address(person: Any, cache: Any) -> None:
    person.find("address_combo").setEditText(ROADS_URL)


def another_service(person: Any, cache: Any) -> None:
    cache.answer = replace(cache.answer, address=ROADS_URL, name="Roads", modes=())
    person.find("address_combo").setEditText(ROADS_URL)
    person.click("load_button")
    person.wait_until(lambda: person.shows("summary_label").startswith("Roads"), what="Roads")


def another_mode(person: Any, cache: Any) -> None:
    person.choose("mode_combo", "Delete Tiles")


def more_instances(person: Any, cache: Any) -> None:
    person.find("instances_spin").setValue(7)


def not_following(person: Any, cache: Any) -> None:
    person.find("wait_check").setChecked(False)


def another_sign_in(person: Any, cache: Any) -> None:
    person.find("auth_select").setConfigId("gone123")


def other_scales(person: Any, cache: Any) -> None:
    person.click("check_none_button")


def another_area(person: Any, cache: Any) -> None:
    person.choose("area_kind_combo", "Canvas Extent")


def no_area(person: Any, cache: Any) -> None:
    person.choose("area_kind_combo", "Draw Polygon")


def the_dialog_closed(person: Any, cache: Any) -> None:
    person.click("close_button")


CHANGES = [
    *(another_address, another_service, another_mode, more_instances, not_following),
    *(another_sign_in, other_scales, another_area, no_area, the_dialog_closed),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_runs_is_what_the_form_said_when_run_was_pressed(
    waiting: Any, person: Any, cache: Any, held_count: Any, change: Callable[[Any, Any], None]
) -> None:
    change(person, cache)

    finish(person, held_count)

    (request,) = cache.requests
    assert cache.asked[1 + cache.asked[1:].count(ROADS_URL)] == WORLD_URL
    assert [level.id for level in request.levels] == [1, 2, 3, 4, 5]
    assert request.mode is UpdateMode.RECREATE_EMPTY
    assert request.extent == Extent(0, 0, 1000, 2000)
    assert request.instances == -1
    assert request.wait is True


def test_cancel_while_counting(waiting: Any, person: Any, cache: Any, held_count: Any) -> None:
    person.click("cancel_button")
    finish(person, held_count)
    person.wait_for_count()
    assert person.shows("tile_count_label").endswith(" tiles at 5 scales.")

    assert person.shows("progress_label") == "Cancelled before anything was changed."
    assert cache.requests == []
    assert person.find("run_button").isEnabled()
    assert not person.find("cancel_button").isEnabled()


def test_a_count_that_fails_is_told_though_the_dialog_is_closed(
    loaded: Any, person: Any, cache: Any, qgis_bar: Any
) -> None:
    person.choose("area_kind_combo", "Typed Extent")
    person.find("typed_extent_edit").setText("0 30000000 10 30000010")
    person.click("run_button")
    person.click("close_button")
    person.wait_until(lambda: qgis_bar.currentItem() is not None, what="a line in QGIS's bar")

    assert "World" in qgis_bar.currentItem().text()
    assert person.shows("progress_label") == qgis_bar.currentItem().text()
    assert cache.requests == []


@pytest.fixture
def asking(loaded: Any, person: Any, held_count: Any) -> Any:
    """QGIS's window asking, with the dialog closed, whether tiles shall be deleted."""
    person.choose("area_kind_combo", "Canvas Extent")
    person.choose("mode_combo", "Delete Tiles")
    person.click("run_button")
    person.click("close_button")
    held_count.open()
    person.wait_until(person.question, what="the question")
    return person.question()


def test_with_the_dialog_closed_the_question_comes_on_qgis_s_window(
    asking: Any, person: Any, cache: Any, qgis_window: Any
) -> None:
    assert asking.parentWidget() is qgis_window
    assert asking.text() == "Delete up to 32 tiles of World?"
    person.answer("Yes")
    person.wait_for_end()

    assert [request.mode for request in cache.requests] == [UpdateMode.DELETE]


def test_while_the_question_is_open_nothing_else_can_be_run(
    asking: Any, person: Any, loaded: Any, cache: Any
) -> None:
    loaded.show()
    assert person.find("run_button").toolTip() == "Answer the question first."

    person.click("cancel_button")
    person.wait_for_end()

    person.wait_until(lambda: person.question() is None, what="the question to close")
    assert person.shows("progress_label") == "Not started: World: Delete Tiles"
    assert cache.requests == []
    assert person.find("run_button").isEnabled()


def test_no_on_qgis_s_window(asking: Any, person: Any, cache: Any) -> None:
    QTest.keyClick(asking, Qt.Key.Key_Escape)
    person.wait_for_end()

    assert cache.requests == []
    assert person.shows("progress_label") == "Not started: World: Delete Tiles"


@pytest.mark.parametrize("state", ["waiting", "asking"])
def test_unloading_starts_nothing(
    request: pytest.FixtureRequest,
    person: Any,
    cache: Any,
    opener: Any,
    held_count: Any,
    state: str,
) -> None:
    request.getfixturevalue(state)
    window = person.dialog.parentWidget()

    opener.unload()
    held_count.open()
    manager = QgsApplication.taskManager()
    person.wait_until(lambda: manager.countActiveTasks() == 0, what="the count's end")

    person.wait_until(lambda: window.findChild(QMessageBox, "run_question") is None)
    assert cache.requests == []
