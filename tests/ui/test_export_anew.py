"""What is asked anew for each export, and how it is told how exports stand."""

from __future__ import annotations

from typing import Any

import pytest
from qgis.core import Qgis
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QCheckBox
from service_layers import service_layer, service_url

from tile_cache_manager.plugin.core import errors
from tile_cache_manager.plugin.core.export.request import ExportReport, QueueItemReport
from tile_cache_manager.plugin.core.request import LevelReport, Outcome
from tile_cache_manager.plugin.core.tiling import Level
from tile_cache_manager.ui.notices import Notice

WORLD_URL = "https://site.test/arcgis/rest/services/World/MapServer"
SERVICE, MINE, RESULT = range(3)
CHECKED = Qt.CheckState.Checked


@pytest.fixture
def several(exporter: Any, project: Any) -> Any:
    """The list of services, of a project with layers of two, both ticked."""
    project.addMapLayers([service_layer(name) for name in ("World", "Streets")])
    exporter.find("services_tabs").setCurrentIndex(1)
    view = exporter.find("services_view")
    exporter.wait_until(lambda: view.topLevelItemCount() == 2, what="the list")
    exporter.click("all_services_button")
    return view


def results(view: Any) -> dict[str, str]:
    rows = [view.topLevelItem(row) for row in range(view.topLevelItemCount())]
    return {row.text(SERVICE): row.text(RESULT) for row in rows}


def run(person: Any) -> None:
    person.click("run_button")
    person.answer("Yes")


# Whose the tiles are


@pytest.mark.parametrize("is_run", [True, False])
def test_whose_tiles_they_are_is_asked_anew(
    exporter: Any, exports: Any, cache: Any, world: Any, is_run: bool
) -> None:
    cache.answer = world
    exporter.load(WORLD_URL)
    check: QCheckBox = exporter.find("owner_check")
    check.setChecked(True)
    if is_run:
        exporter.click("run_button")
        exporter.wait_until(lambda: exports.requests, what="the export")
        assert exports.requests[0].is_owner
    else:
        exporter.dialog.reject()

    assert not check.isChecked()


@pytest.mark.parametrize("is_run", [True, False])
def test_so_it_is_of_several(
    several: Any, exporter: Any, exports: Any, world: Any, is_run: bool
) -> None:
    item = several.topLevelItem(0)
    item.setCheckState(MINE, CHECKED)
    if is_run:
        run(exporter)
        exporter.wait_until(lambda: exports.queues, what="the queue")
        exporter.wait_for_end()
    else:
        exporter.dialog.reject()

    assert Qt.CheckState(item.checkState(MINE)) != CHECKED
    assert Qt.CheckState(item.checkState(SERVICE)) == CHECKED


# What was done before


def test_what_was_done_before_is_exported_again_where_asked(
    several: Any, exporter: Any, exports: Any
) -> None:
    run(exporter)
    exporter.wait_until(lambda: exports.anew == [False], what="the queue")
    exporter.wait_for_end()
    exporter.find("anew_check").setChecked(True)
    run(exporter)

    exporter.wait_until(lambda: exports.anew == [False, True], what="the queue")


def test_the_question_tells_how_many_are_left(several: Any, exporter: Any, exports: Any) -> None:
    exports.results = {service_url("Streets"): errors.JobFailed("", "full")}
    run(exporter)
    exporter.wait_until(lambda: "Failed" in results(several).values(), what="the results")
    exporter.wait_for_end()
    exporter.click("run_button")
    exporter.wait_until(exporter.question, what="the question")

    assert "Left to do: 1. Done before: 1;" in exporter.question().informativeText()
    exporter.answer("No")


# How it stands


def test_each_row_tells_how_it_stands(several: Any, exporter: Any, exports: Any) -> None:
    exports.go_on.clear()
    run(exporter)
    exporter.wait_until(
        lambda: sorted(results(several).values()) == ["Running…", "Waiting"], what="the first"
    )
    exports.go_on.set()
    exporter.wait_until(lambda: set(results(several).values()) == {"Exported"}, what="the end")


def test_a_package_without_tiles_is_not_called_exported(several: Any, exporter: Any) -> None:
    levels = (LevelReport(Level(0, 1.0, 1.0), planned=0, made=0, replaced=0, skipped=0),)
    url = service_url("World")
    report = ExportReport(Outcome.DONE, "World", url, "/x.tpkx", levels)
    exporter.dialog.services_panel.show_item(url, QueueItemReport(url, "/x.tpkx", report))

    assert results(several)["World"] == "Nothing there"


def test_rows_do_not_wait_for_what_nobody_agreed_to(several: Any, exporter: Any) -> None:
    exporter.click("run_button")
    exporter.answer("No")
    assert set(results(several).values()) == {""}


def test_a_failure_is_told_in_the_dialog_too(exportable: Any, exporter: Any, exports: Any) -> None:
    exports.ending = errors.JobFailed(WORLD_URL, "no disk space")
    exporter.click("run_button")
    exporter.wait_until(lambda: exports.requests, what="the export")
    exporter.wait_for_end()

    line = exporter.find("message_bar").currentItem()
    assert "no disk space" in line.text()
    assert line.level() == Qgis.MessageLevel.Critical


def test_what_happens_first_is_told(exportable: Any, exporter: Any, exports: Any) -> None:
    exporter.start_and_hold(exports)
    assert exporter.messages().startswith("Planning")


def test_only_the_latest_end_stays_in_the_bar_of_qgis(
    exportable: Any, exporter: Any, exports: Any, qgis_bar: Any
) -> None:
    for number in (1, 2):
        exporter.click("run_button")
        exporter.wait_until(lambda so_far=number: len(exports.requests) == so_far, what="a run")
        exporter.wait_for_end()

    exporter.wait_until(lambda: len(qgis_bar.findChildren(Notice)) == 1, what="one line")
