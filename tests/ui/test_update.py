"""Choosing what happens to the tiles, running it, watching and ending it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from qgis.core import QgsApplication
from qgis.gui import QgsCollapsibleGroupBoxBasic
from qgis.PyQt.QtCore import QObject, Qt, QUrl, pyqtSlot
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QComboBox, QPushButton, QSpinBox

from tile_cache_manager.plugin.core import errors
from tile_cache_manager.plugin.core.request import UpdateMode
from tile_cache_manager.plugin.core.tiling import Extent
from tile_cache_manager.ui.run_question import VERY_MANY_TILES, needs_question

WORLD_URL = "https://site.test/arcgis/rest/services/World/MapServer"
JOB_URL = "https://site.test/arcgis/rest/jobs/j1"


def start_and_hold(person: Any, cache: Any) -> None:
    """Run, and keep the update at 40 %."""
    cache.go_on.clear()
    person.click("run_button")
    person.wait_until(lambda: person.find("progress_bar").value() == 40, what="40 %")
    person.wait_until(lambda: "Job started" in messages(person))


def messages(person: Any) -> str:
    return person.find("messages_view").toPlainText()


# Ticking


def test_the_buttons_below_the_list(loaded: Any, person: Any) -> None:
    person.click("check_none_button")
    assert person.ticked() == []
    assert person.shows("tile_count_label") == "No scale is ticked."
    person.click("check_all_button")
    assert person.ticked() == [1, 2, 3, 4, 5]
    person.choose("range_from_combo", "1:147,914,382")
    person.choose("range_to_combo", "1:73,957,191")
    person.click("range_button")
    assert person.ticked() == [2, 3]
    person.click("invert_button")
    assert person.ticked() == [1, 4, 5]


def test_the_space_bar_toggles_the_selected_rows(loaded: Any, person: Any) -> None:
    view = person.find("scales_view")
    view.selectAll()
    QTest.keyClick(view, Qt.Key.Key_Space)
    assert person.ticked() == []
    view.selectRow(3)
    QTest.keyClick(view, Qt.Key.Key_Space)
    assert person.ticked() == [3]


def test_a_click_on_the_box_toggles_its_row(loaded: Any, person: Any) -> None:
    view = person.find("scales_view")
    rectangle = view.visualRect(view.model().index(2, 0))
    box = rectangle.topLeft()
    box.setX(box.x() + rectangle.height() // 2)
    box.setY(rectangle.center().y())
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=box)

    assert person.ticked() == [1, 3, 4, 5]


def test_only_ticked_scales_are_counted(loaded: Any, person: Any) -> None:
    person.choose("range_to_combo", "1:147,914,382")
    person.click("range_button")
    person.wait_for_count()

    # Levels 1 and 2 of the ArcGIS Online scheme: 4 and 16 tiles.
    assert person.shows("tile_count_label") == "20 tiles at 2 scales."


# Modes and instances


def test_every_mode_has_a_line_of_help(loaded: Any, person: Any) -> None:
    combo = person.find("mode_combo")
    helps = []
    for row in range(combo.count()):
        combo.setCurrentIndex(row)
        helps.append(person.shows("mode_help_label"))

    names = [combo.itemText(row) for row in range(combo.count())]
    assert names == ["Recreate Empty Tiles", "Recreate All Tiles", "Delete Tiles"]
    assert len(set(helps)) == 3
    assert all(helps)


def test_a_mode_that_is_not_offered_is_disabled_and_says_why(
    dialog: Any, person: Any, cache: Any, without_modes: Any
) -> None:
    cache.answer = without_modes(UpdateMode.RECREATE_EMPTY)

    person.load(WORLD_URL)

    combo = person.find("mode_combo")
    enabled = [combo.model().item(row).isEnabled() for row in range(3)]
    assert enabled == [False, True, True]
    assert "does not offer “Recreate Empty Tiles”" in combo.model().item(0).toolTip()
    assert combo.currentText() == "Recreate All Tiles"


def test_a_site_that_cannot_update_disables_run_and_says_why(
    dialog: Any, person: Any, cache: Any, world: Any
) -> None:
    problem = errors.CachingUnavailable(WORLD_URL, errors.Unavailable.NO_RIGHT)
    cache.answer = replace(world, modes=(), modes_problem=problem)

    person.load(WORLD_URL)

    assert not person.find("run_button").isEnabled()
    assert "right" in person.find("run_button").toolTip()


def test_deleting_is_never_chosen_for_the_person(
    dialog: Any, person: Any, cache: Any, without_modes: Any
) -> None:
    cache.answer = without_modes(UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL)

    person.load(WORLD_URL)

    assert person.find("mode_combo").currentText() == "Recreate Empty Tiles"
    person.click("run_button")
    assert "does not offer" in person.wait_for_error()
    assert cache.requests == []


def test_there_are_never_zero_instances(loaded: Any, person: Any) -> None:
    spin = person.find("instances_spin")
    assert (spin.value(), spin.text()) == (-1, "Site decides")
    spin.stepUp()
    assert spin.value() == 1
    spin.stepDown()
    assert spin.value() == -1


# Running


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


def test_run_waits_for_the_number_of_tiles(loaded: Any, person: Any, cache: Any) -> None:
    person.choose("area_kind_combo", "Canvas Extent")
    person.click("run_button")
    assert not person.find("run_button").isEnabled()
    assert "being counted" in person.find("run_button").toolTip()

    person.wait_until(lambda: cache.requests, what="the update")
    person.wait_for_end()


def test_a_change_while_counting_calls_the_run_off(loaded: Any, person: Any, cache: Any) -> None:
    person.choose("area_kind_combo", "Canvas Extent")
    person.click("run_button")
    person.click("check_none_button")
    person.wait_for_count()

    assert cache.requests == []
    assert person.find("run_button").isEnabled()


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
    start_and_hold(person, cache)

    assert not person.find("run_button").isEnabled()
    assert "is running" in person.find("run_button").toolTip()
    for name in ("load_button", "check_none_button", "area_kind_combo", "mode_combo"):
        assert person.find(name).isEnabled(), name
    task = QgsApplication.taskManager().activeTasks()[0]
    assert task.description() == "World: Recreate Empty Tiles"


def test_closed_while_running_and_opened_again(
    loaded: Any, person: Any, cache: Any, qgis_bar: Any
) -> None:
    start_and_hold(person, cache)
    person.click("close_button")
    assert not loaded.isVisible()

    loaded.show()
    assert person.find("progress_bar").value() == 40
    assert "Job started" in messages(person)
    assert person.find("cancel_button").isEnabled()

    QTest.keyClick(loaded, Qt.Key.Key_Escape)
    assert not loaded.isVisible()
    cache.go_on.set()
    person.wait_until(lambda: qgis_bar.currentItem() is not None, what="a line in QGIS's bar")
    assert " done: " in qgis_bar.currentItem().text()
    assert " done: " in person.shows("progress_label")


def test_cancel(loaded: Any, person: Any, cache: Any, qgis_bar: Any) -> None:
    start_and_hold(person, cache)
    person.click("cancel_button")
    assert not person.find("cancel_button").isEnabled()
    person.wait_for_end()

    assert " cancelled, " in person.shows("progress_label")
    assert " cancelled, " in qgis_bar.currentItem().text()
    assert person.find("run_button").isEnabled()


def test_cancel_in_the_task_manager(loaded: Any, person: Any, cache: Any) -> None:
    start_and_hold(person, cache)
    QgsApplication.taskManager().activeTasks()[0].cancel()
    person.wait_for_end()

    assert " cancelled, " in person.shows("progress_label")


def test_unloading_cancels_the_update(
    loaded: Any, person: Any, cache: Any, opener: Any, qgis_bar: Any
) -> None:
    start_and_hold(person, cache)

    opener.unload()

    manager = QgsApplication.taskManager()
    person.wait_until(lambda: manager.countActiveTasks() == 0, what="the task's end")
    assert qgis_bar.currentItem() is None


# Questions


@pytest.mark.parametrize(
    ("mode", "tiles", "asked"),
    [
        (UpdateMode.DELETE, 0, True),
        (UpdateMode.DELETE, 1, True),
        (UpdateMode.RECREATE_ALL, VERY_MANY_TILES - 1, False),
        (UpdateMode.RECREATE_ALL, VERY_MANY_TILES, True),
        (UpdateMode.RECREATE_EMPTY, VERY_MANY_TILES - 1, False),
        (UpdateMode.RECREATE_EMPTY, VERY_MANY_TILES, True),
    ],
)
def test_when_a_person_is_asked(mode: UpdateMode, tiles: int, asked: bool) -> None:
    assert needs_question(mode, tiles) is asked


def test_deleting_names_service_tiles_and_scales(loaded: Any, person: Any, cache: Any) -> None:
    person.choose("range_to_combo", "1:147,914,382")
    person.click("range_button")
    person.choose("mode_combo", "Delete Tiles")
    person.click("run_button")
    person.wait_until(person.question, what="the question")

    assert person.question().text() == "Delete up to 20 tiles of World?"
    assert "1:295,828,764; 1:147,914,382" in person.question().informativeText()
    person.answer("No")


def test_no_does_nothing(loaded: Any, person: Any, cache: Any) -> None:
    person.choose("mode_combo", "Delete Tiles")
    person.click("run_button")
    person.answer("No")

    assert cache.requests == []
    assert person.find("run_button").isEnabled()
    assert person.find("mode_combo").currentText() == "Delete Tiles"
    assert person.ticked() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("key", [Qt.Key.Key_Escape, Qt.Key.Key_Return])
def test_keys_that_say_no(loaded: Any, person: Any, cache: Any, key: Any) -> None:
    person.choose("mode_combo", "Delete Tiles")
    person.click("run_button")
    QTest.keyClick(person.question(), key)
    person.wait_until(lambda: person.question() is None, what="the question to close")

    assert cache.requests == []


def test_yes_deletes(loaded: Any, person: Any, cache: Any) -> None:
    person.choose("mode_combo", "Delete Tiles")
    person.click("run_button")
    person.answer("Yes")
    person.wait_until(lambda: cache.requests, what="the update")
    person.wait_for_end()

    assert [request.mode for request in cache.requests] == [UpdateMode.DELETE]


def test_a_very_large_run_is_asked_for(dialog: Any, person: Any, cache: Any, world: Any) -> None:
    cache.answer = replace(world, cached_levels=world.scheme.levels)
    person.load(WORLD_URL)
    # Levels 0 to 9 of the whole world: (4 ** 10 - 1) / 3 tiles.
    assert person.shows("tile_count_label") == "349,525 tiles at 10 scales."

    person.click("run_button")

    assert "349,525 tiles of World" in person.question().text()
    person.answer("No")
    assert cache.requests == []


def test_a_number_of_tiles_nobody_knows_is_asked_for(
    dialog: Any, person: Any, cache: Any, world: Any
) -> None:
    cache.answer = replace(world, extent=None)
    person.load(WORLD_URL)
    assert "not known" in person.shows("tile_count_label")

    person.click("run_button")

    assert "all tiles of World" in person.question().text()
    assert "not known" in person.question().informativeText()
    person.answer("Yes")
    person.wait_until(lambda: cache.requests, what="the update")
    person.wait_for_end()


# Bad input


def nothing(person: Any) -> None:
    pass


def no_scale(person: Any) -> None:
    person.click("check_none_button")


def bad_extent(person: Any) -> None:
    person.choose("area_kind_combo", "Typed Extent")
    person.find("typed_extent_edit").setText("1 2 3")


def no_extent(person: Any) -> None:
    person.choose("area_kind_combo", "Typed Extent")


def extent_outside(person: Any) -> None:
    person.choose("area_kind_combo", "Typed Extent")
    person.find("typed_extent_edit").setText("0 30000000 10 30000010")


def nothing_drawn(person: Any) -> None:
    person.choose("area_kind_combo", "Draw Polygon")


def no_layer(person: Any) -> None:
    person.choose("area_kind_combo", "Polygon Layer")


def no_layers(person: Any) -> None:
    person.choose("area_kind_combo", "Extents of All Layers (Union)")


UNREACHABLE = errors.SiteUnreachable(WORLD_URL, errors.Unreachable.TIMEOUT)
# what the person does, what the site answers, words of the sentence they read
BAD_INPUTS = [
    (no_scale, None, "No scale is chosen"),
    (bad_extent, None, "“1 2 3” is not an extent"),
    (no_extent, None, "four numbers"),
    (extent_outside, None, "World"),
    (nothing_drawn, None, "Nothing is drawn yet"),
    (no_layer, None, "no layer of this kind"),
    (no_layers, None, "layer"),
    (nothing, errors.JobFailed(JOB_URL, "ERROR 001470: no disk space"), "ERROR 001470: no disk"),
    (nothing, errors.JobLost(JOB_URL, UNREACHABLE, 300), JOB_URL),
    (nothing, errors.NotAllowed(WORLD_URL, 403, "You do not have permissions"), "permissions"),
    (nothing, errors.SignInNeeded(WORLD_URL, 498, "Invalid token"), "sign"),
    (nothing, errors.CancelUnconfirmed(JOB_URL, 30), JOB_URL),
    (nothing, RuntimeError("a surprise"), "a surprise"),
]


@pytest.mark.parametrize(("do", "ending", "words"), BAD_INPUTS)
def test_bad_input_is_told_in_a_sentence_and_the_form_stays_filled(
    loaded: Any, person: Any, cache: Any, do: Any, ending: Any, words: str
) -> None:
    cache.ending = ending
    person.find("instances_spin").setValue(7)
    person.choose("mode_combo", "Recreate All Tiles")
    do(person)
    person.wait_for_count()
    filled = form(person)

    person.click("run_button")
    sentence = person.wait_for_error()

    assert words in sentence
    assert "\n" not in sentence
    assert form(person) == filled
    assert len(cache.requests) == (1 if ending else 0)
    assert person.find("run_button").isEnabled()
    if ending:
        assert person.shows("progress_label") == sentence


def form(person: Any) -> list[Any]:
    combos = ("address_combo", "area_kind_combo", "mode_combo")
    return [
        *(person.find(name).currentText() for name in combos),
        person.find("typed_extent_edit").text(),
        person.find("instances_spin").value(),
        person.find("wait_check").isChecked(),
        person.ticked(),
    ]


def test_the_next_run_takes_the_error_away(loaded: Any, person: Any, cache: Any) -> None:
    person.click("check_none_button")
    person.click("run_button")
    assert person.error()
    person.click("check_all_button")
    person.click("run_button")

    person.wait_until(lambda: cache.requests, what="the update")
    person.wait_for_end()
    assert person.error() == ""


def test_what_a_site_says_is_never_read_as_markup(
    loaded: Any, person: Any, cache: Any, qgis_bar: Any
) -> None:
    cache.ending = errors.JobFailed(JOB_URL, "<b>bold</b> 1 < 2 & 3")
    person.click("run_button")

    assert "1 < 2 & 3" in person.wait_for_error()
    label = person.find("message_bar").currentItem().findChild(QObject, "notice_label")
    assert label.textFormat() == Qt.TextFormat.PlainText


# What is remembered


def test_the_form_is_remembered(loaded: Any, person: Any, opener: Any) -> None:
    person.choose("mode_combo", "Delete Tiles")
    person.choose("area_kind_combo", "Typed Extent")
    person.find("typed_extent_edit").setText("1 2 3 4")
    person.find("instances_spin").setValue(5)
    person.find("wait_check").setChecked(False)
    person.click("close_button")

    again = opener.open()

    assert again.findChild(QComboBox, "address_combo").currentText() == WORLD_URL
    assert again.findChild(QComboBox, "mode_combo").currentText() == "Delete Tiles"
    assert again.findChild(QComboBox, "area_kind_combo").currentText() == "Typed Extent"
    assert again.findChild(QObject, "typed_extent_edit").text() == "1 2 3 4"
    assert again.findChild(QSpinBox, "instances_spin").value() == 5
    assert not again.findChild(QObject, "wait_check").isChecked()
    assert not again.findChild(QPushButton, "run_button").isEnabled()


def test_a_fresh_form_is_harmless(dialog: Any, person: Any) -> None:
    assert person.find("mode_combo").currentText() == "Recreate Empty Tiles"
    assert person.find("area_kind_combo").currentText() == "Full Extent"
    assert person.find("instances_spin").value() == -1
    assert person.find("wait_check").isChecked()
    assert person.find("sign_in_box").isCollapsed()
    assert isinstance(person.find("sign_in_box"), QgsCollapsibleGroupBoxBasic)
    assert person.find("run_button").toolTip() == "Load a service first."


# Help


class Browser(QObject):
    """Stands for the program that shows web pages."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: list[QUrl] = []

    @pyqtSlot(QUrl)
    def show(self, url: QUrl) -> None:
        self.pages.append(url)


def test_help_opens_a_page_that_exists(dialog: Any, person: Any) -> None:
    browser = Browser()
    QDesktopServices.setUrlHandler("file", browser, "show")
    try:
        person.click("help_button")
    finally:
        QDesktopServices.unsetUrlHandler("file")

    (page,) = browser.pages
    assert "Manage Cache Tiles" in Path(page.toLocalFile()).read_text(encoding="utf-8")
