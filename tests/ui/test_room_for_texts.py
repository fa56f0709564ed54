"""Nothing that a person has to read is cut, also where letters are large."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from qgis.PyQt.QtWidgets import (
    QApplication,
    QComboBox,
    QDialog,
    QLabel,
    QStyle,
    QStyleOptionComboBox,
)
from scripted_jobs import an_update
from service_layers import service_layer

from tile_cache_manager.plugin.core import errors
from tile_cache_manager.plugin.core.description import UnfinishedRun
from tile_cache_manager.plugin.core.jobs import JobRecord
from tile_cache_manager.plugin.core.request import UpdateMode
from tile_cache_manager.plugin.core.site_update import PartState

WORLD_URL = "https://site.test/arcgis/rest/services/World/MapServer"
JOB_URL = (
    "https://site.test/arcgis/rest/services/System/CachingTools/GPServer/"
    "Manage%20Map%20Cache%20Tiles/jobs/j0123456789abcdef"
)
COMPLAINT = "ERROR 001470: Failed to retrieve the job status from the server. " * 8


@pytest.fixture(params=[1.0, 1.5])
def large(
    request: pytest.FixtureRequest, dialog: Any, person: Any, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """The dialog with letters of so many times their usual size, and World loaded.

    On a screen that is wide enough.
    """
    monkeypatch.setattr(dialog, "most_width", lambda: 4000)
    font = dialog.font()
    font.setPointSizeF(font.pointSizeF() * request.param)
    dialog.setFont(font)
    person.load(WORLD_URL)
    return dialog


def test_a_long_failure_is_seen_to_its_end(large: Any, person: Any, cache: Any) -> None:
    cache.ending = errors.JobFailed(JOB_URL, COMPLAINT)
    person.click("run_button")
    person.wait_until(lambda: cache.requests, what="the update")
    person.wait_for_end()
    label, view = person.find("progress_label"), person.find("messages_view")

    def is_whole() -> bool:
        return label.height() >= label.heightForWidth(label.width())

    for width in (2000, large.minimumWidth()):
        large.resize(width, 100)  # as low as it lets itself be made
        person.wait_until(lambda wanted=width: large.width() == wanted, what="the new width")
        person.wait_until(is_whole, what="room for the sentence")
        assert view.height() >= 3 * view.fontMetrics().lineSpacing()


def room_in(combo: Any) -> int:
    """How many pixels of a text the combo box shows."""
    option = QStyleOptionComboBox()
    combo.initStyleOption(option)
    control, field = QStyle.ComplexControl.CC_ComboBox, QStyle.SubControl.SC_ComboBoxEditField
    return combo.style().subControlRect(control, option, field, combo).width()


def is_seen_whole(combo: Any) -> bool:
    """Whether nothing of the chosen text is cut."""
    return room_in(combo) >= combo.fontMetrics().horizontalAdvance(combo.currentText())


def test_the_ends_of_the_range_are_seen_whole(large: Any, person: Any) -> None:
    large.resize(large.minimumSizeHint())
    for name in ("range_from_combo", "range_to_combo"):
        assert is_seen_whole(person.find(name)), name


def test_all_columns_of_the_scales_are_seen(large: Any, person: Any) -> None:
    large.scales_panel.set_counts({5: 10**18})
    large.resize(large.minimumSizeHint())
    view = person.find("scales_view")
    person.wait_until(lambda: view.horizontalScrollBar().maximum() == 0, what="all columns")

    last = view.model().columnCount() - 1
    assert view.columnWidth(last) >= view.sizeHintForColumn(last)
    assert view.columnWidth(last) >= view.horizontalHeader().sectionSizeHint(last)


# Jobs


@pytest.fixture
def listed(large: Any, person: Any, job_file: Path) -> Any:
    """The dialog, as small as can be, with jobs in all states on show, one with a long name."""
    record = JobRecord(job_file)
    for number, state in enumerate(PartState):
        name = f"{'Cadastre/Parcels_and_buildings_of_the_whole_county' * (not number)}{state.name}"
        record.keep(an_update(name, state, state))
    large.show_jobs()
    person.wait_until(lambda: person.find("jobs_view").model().rowCount(), what="the jobs")
    large.resize(large.minimumSizeHint())
    return large


def test_all_columns_and_buttons_of_the_jobs_are_seen(listed: Any, person: Any) -> None:
    view = person.find("jobs_view")
    assert view.horizontalScrollBar().maximum() == 0
    for column in range(1, view.model().columnCount()):
        assert view.columnWidth(column) >= view.sizeHintForColumn(column)
    assert view.columnWidth(0) >= view.fontMetrics().horizontalAdvance("Cadastre")
    for name in (
        *("follow_button", "cancel_job_button", "take_up_button"),
        *("report_button", "copy_button", "remove_button"),
    ):
        button = person.find(name)
        assert button.width() >= button.sizeHint().width(), name


# A cache on this computer


@pytest.fixture
def large_local(large: Any, person: Any, cache: Any, local: Any, layers: Any) -> Any:
    """The same with a cache on this computer, what it offers to take up, and an estimate."""
    run = UnfinishedRun(UpdateMode.RECREATE_ALL, (2, 3), 1.7e9, 30, 120, 7, True)
    cache.answer = replace(local, unfinished=run)
    person.load(local.address)
    person.choose("mode_combo", "Recreate All Tiles")
    person.find("older_than_check").setChecked(True)
    person.click("estimate_button")
    person.wait_until(lambda: "about" in person.shows("tile_count_label"), what="the estimate")
    large.resize(large.minimumWidth(), large.minimumHeight())
    return large


def test_nothing_of_the_options_is_cut(large_local: Any, person: Any) -> None:
    for name in ("older_than_check", "only_existing_check", "estimate_button", "care_button"):
        widget = person.find(name)
        person.wait_until(
            lambda each=widget: each.width() >= each.sizeHint().width(), what=f"room for {name}"
        )
    edit = person.find("older_than_edit")
    assert edit.width() >= edit.fontMetrics().horizontalAdvance(edit.text())
    label = person.find("tile_count_label")
    person.wait_until(
        lambda: label.height() >= label.heightForWidth(label.width()), what="room for the estimate"
    )


def test_the_usual_source_is_seen_whole(large_local: Any, person: Any) -> None:
    combo = person.find("source_combo")
    assert combo.toolTip() == combo.currentText() == "Visible layers of the project"
    assert is_seen_whole(combo)


def test_it_is_no_larger_than_a_small_screen(dialog: Any, person: Any, large_local: Any) -> None:
    """1000 x 580 pixels is what QGIS asks for, at lines of 17 pixels; but for the message bar."""
    line = dialog.fontMetrics().height()
    bar = person.find("message_bar").height()
    assert dialog.minimumSizeHint().width() <= 1000 / 17 * line
    assert dialog.minimumHeight() - bar <= 580 / 17 * line


@pytest.fixture(params=[1.0, 1.5])
def letters(request: pytest.FixtureRequest, qgis_app: Any) -> Iterator[None]:
    """QGIS with letters of so many times their usual size, set before anything is opened."""
    before = QApplication.font()
    font = QApplication.font()
    font.setPointSizeF(font.pointSizeF() * request.param)
    QApplication.setFont(font)
    yield
    QApplication.setFont(before)


def test_the_dialog_for_new_caches_has_room(
    letters: None, dialog: Any, person: Any, wait_until: Any
) -> None:
    person.click("new_button")
    created = dialog.findChild(QDialog, "CreateDialog")
    wait_until(lambda: created.scheme.scheme is not None, what="the scheme")
    created.resize(created.minimumSizeHint())
    for label in created.findChildren(QLabel):
        if label.isVisible() and label.wordWrap():
            wait_until(
                lambda each=label: each.height() >= each.heightForWidth(each.width()),
                what=f"room for {label.text()}",
            )
    for combo in created.findChildren(QComboBox):
        chosen = combo.currentIndex()
        combo.blockSignals(True)
        for row in range(combo.count()) if combo.isVisible() else ():
            combo.setCurrentIndex(row)
            assert is_seen_whole(combo), combo.currentText()
        combo.setCurrentIndex(chosen)
        combo.blockSignals(False)
    line = created.fontMetrics().height()
    assert created.minimumSizeHint().width() <= 1000 / 17 * line
    assert created.minimumHeight() <= 580 / 17 * line


# The dialog in which tiles are exported


@pytest.fixture
def large_export(letters: None, exporter: Any, cache: Any, world: Any) -> Any:
    """It, with a service loaded that does not allow export: all that can be said of one is."""
    cache.answer = world
    exporter.load(WORLD_URL)
    exporter.dialog.resize(exporter.dialog.minimumSizeHint())
    return exporter


def check_room(person: Any, wait_until: Any) -> None:
    """Nothing that is seen of the dialog is cut, and it is no larger than a small screen."""
    dialog = person.dialog
    for label in dialog.findChildren(QLabel):
        if label.isVisible() and label.wordWrap():
            wait_until(
                lambda each=label: each.height() >= each.heightForWidth(each.width()),
                what=f"room for {label.text()}",
            )
    for combo in (person.find("format_combo"), person.find("overwrite_combo")):
        chosen = combo.currentIndex()
        combo.blockSignals(True)
        for row in range(combo.count()):
            combo.setCurrentIndex(row)
            assert is_seen_whole(combo), combo.currentText()
        combo.setCurrentIndex(chosen)
        combo.blockSignals(False)
    line = dialog.fontMetrics().height()
    assert dialog.minimumSizeHint().width() <= 1000 / 17 * line
    assert dialog.minimumHeight() - person.find("message_bar").height() <= 700 / 17 * line


def test_the_dialog_for_exports_has_room(large_export: Any, wait_until: Any) -> None:
    check_room(large_export, wait_until)


def test_so_it_has_for_several_services(large_export: Any, project: Any, wait_until: Any) -> None:
    project.addMapLayer(service_layer("World"))
    large_export.find("services_tabs").setCurrentIndex(1)
    check_room(large_export, wait_until)
    view = large_export.find("services_view")
    assert view.horizontalScrollBar().maximum() == 0
