"""Exporting several services, one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from qgis.core import Qgis, QgsProject
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QPushButton, QTabWidget
from service_layers import service_layer, service_url

from tile_cache_manager.plugin.core import errors
from tile_cache_manager.plugin.core.request import Outcome
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.host import areas

NAMES = ["World", "Roads/Night", "Streets"]
SERVICE, MINE, RESULT = range(3)


@pytest.fixture
def several(exporter: Any, project: Any) -> Any:
    """The list of services, of a project with a layer of each of NAMES; one service has two."""
    project.addMapLayers([service_layer(name) for name in [*NAMES, "World"]])
    exporter.find("services_tabs").setCurrentIndex(1)
    view = exporter.find("services_view")
    exporter.wait_until(lambda: view.topLevelItemCount() == len(NAMES), what="the list")
    return view


def item(view: Any, name: str) -> Any:
    (found,) = view.findItems(name, Qt.MatchFlag.MatchExactly, SERVICE)
    return found


def tick(view: Any, name: str, column: int = SERVICE) -> None:
    item(view, name).setCheckState(column, Qt.CheckState.Checked)


def run_to_the_end(person: Any, qgis_bar: Any) -> str:
    """Agree, and give what QGIS's message bar says then."""
    qgis_bar.clearWidgets()
    person.click("run_button")
    person.answer("Yes")
    person.wait_until(lambda: qgis_bar.currentItem() is not None, what="a line in QGIS's bar")
    return qgis_bar.currentItem().text()


def test_each_service_is_listed_once(several: Any) -> None:
    listed = [several.topLevelItem(row).text(SERVICE) for row in range(len(NAMES))]
    assert sorted(listed) == sorted(NAMES)


def test_the_list_follows_the_project_and_keeps_ticks(
    several: Any, exporter: Any, project: QgsProject
) -> None:
    tick(several, "World")
    gone = [each.id() for each in project.mapLayersByName("Streets")]
    project.removeMapLayers(gone)
    exporter.wait_until(lambda: several.topLevelItemCount() == 2, what="a shorter list")

    assert Qt.CheckState(item(several, "World").checkState(SERVICE)) == Qt.CheckState.Checked


def test_a_queue_is_asked_for_as_the_form_says(
    several: Any, exporter: Any, exports: Any, qgis_bar: Any, tmp_path: Path
) -> None:
    tick(several, "World")
    tick(several, "Roads/Night")
    tick(several, "Roads/Night", MINE)
    exporter.find("coarsest_widget").setScaleString("1:147914382")
    exporter.find("finest_widget").setScaleString("1:36978595")
    combo = exporter.find("format_combo")
    combo.setCurrentIndex(combo.findData(StorageFormat.MBTILES))
    exporter.find("folder_edit").setText(str(tmp_path / "all"))
    run_to_the_end(exporter, qgis_bar)

    ((items, folder),) = exports.queues
    assert folder == tmp_path / "all"
    assert {each.address: each.target.name for each in items} == {
        service_url("World"): "World.mbtiles",
        service_url("Roads/Night"): "Roads_Night.mbtiles",
    }


def test_scales_and_confirmation_reach_each_request(
    several: Any, exporter: Any, exports: Any, world: Any, tmp_path: Path
) -> None:
    tick(several, "World")
    tick(several, "World", MINE)
    exporter.find("coarsest_widget").setScaleString("1:147914382")
    exporter.find("finest_widget").setScaleString("1:36978595")
    choices = exporter.dialog._queue_plan().choices

    request = choices.request(world, tmp_path / "World.tpkx", lambda: False)
    assert [level.id for level in request.levels] == [2, 3, 4]
    assert request.is_owner
    assert isinstance(choices.area, areas.FullExtent)


def test_no_end_of_the_range_is_no_bound(several: Any, exporter: Any, world: Any) -> None:
    tick(several, "World")
    choices = exporter.dialog._queue_plan().choices
    assert (choices.coarsest, choices.finest) == (None, None)


def test_one_report_tells_what_came_of_each(
    several: Any, exporter: Any, exports: Any, qgis_bar: Any
) -> None:
    exporter.click("all_services_button")
    exports.results = {
        service_url("Roads/Night"): errors.ExportNotAllowed("Roads/Night"),
        service_url("Streets"): "before",
    }
    said = run_to_the_end(exporter, qgis_bar)

    assert "1 exported, 1 done before, 1 failed" in said
    assert "run it again for the rest" in said
    results = {name: item(several, name).text(RESULT) for name in NAMES}
    assert results == {"World": "Exported", "Roads/Night": "Failed", "Streets": "Done before"}
    assert "does not allow" in item(several, "Roads/Night").toolTip(RESULT)
    assert "does not allow" in exporter.messages()
    assert qgis_bar.currentItem().findChild(QPushButton, "open_folder_button") is not None


def test_what_is_incomplete_is_no_success(
    several: Any, exporter: Any, exports: Any, qgis_bar: Any
) -> None:
    exporter.click("all_services_button")
    exports.results = {service_url("Streets"): Outcome.PARTIAL}
    run_to_the_end(exporter, qgis_bar)

    assert item(several, "Streets").text(RESULT) == "Incomplete"
    assert qgis_bar.currentItem().level() == Qgis.MessageLevel.Warning


def test_running_again_asks_for_the_same(
    several: Any, exporter: Any, exports: Any, qgis_bar: Any
) -> None:
    exporter.click("all_services_button")
    for _ in range(2):
        run_to_the_end(exporter, qgis_bar)

    (first, folder), (second, folder_again) = exports.queues
    assert folder == folder_again
    assert [(each.address, each.target) for each in first] == [
        (each.address, each.target) for each in second
    ]


def test_cancelling_tells_that_the_rest_was_not_begun(
    several: Any, exporter: Any, exports: Any
) -> None:
    tick(several, "World")
    exports.go_on.clear()
    exporter.click("run_button")
    exporter.answer("Yes")
    exporter.wait_until(lambda: exporter.find("progress_bar").value() == 40, what="40 %")
    exporter.click("cancel_button")
    exporter.wait_for_end()

    assert item(several, "World").text(RESULT) == "Not begun"
    assert item(several, "Streets").text(RESULT) == ""


def test_a_person_has_to_agree(several: Any, exporter: Any, exports: Any) -> None:
    tick(several, "World")
    exporter.click("run_button")
    exporter.wait_until(exporter.question, what="the question")
    assert exporter.question().text() == "Export tiles of 1 service?"
    exporter.answer("No")

    assert exports.queues == []
    assert exporter.shows("progress_label") == "Not started: Export of 1 service"


def reason(person: Any) -> str:
    return "" if person.find("run_button").isEnabled() else person.find("run_button").toolTip()


def test_what_is_missing_is_said(several: Any, exporter: Any) -> None:
    assert reason(exporter) == "Tick the services whose tiles are exported."
    tick(several, "World")
    assert reason(exporter) == ""
    exporter.find("folder_edit").setText("somewhere")
    assert reason(exporter) == "Choose the folder in which packages are made."


def test_a_range_the_wrong_way_round_is_said(several: Any, exporter: Any) -> None:
    tick(several, "World")
    exporter.find("coarsest_widget").setScaleString("1:1000")
    exporter.find("finest_widget").setScaleString("1:2000")
    assert "exchange the two" in reason(exporter)


def test_without_services_the_list_says_what_to_do(exporter: Any) -> None:
    exporter.find("services_tabs").setCurrentIndex(1)
    assert exporter.find("services_note_label").isVisible()
    assert "add one" in exporter.shows("services_note_label")
    assert not exporter.find("all_services_button").isEnabled()
    assert not exporter.find("run_button").isEnabled()


def test_one_and_several_have_places_of_their_own(several: Any, exporter: Any, cache: Any) -> None:
    tabs: QTabWidget = exporter.find("services_tabs")
    for index, (seen, unseen) in enumerate(
        [("target_widget", "folder_widget"), ("folder_widget", "target_widget")]
    ):
        tabs.setCurrentIndex(index)
        assert exporter.find(seen).isVisible()
        assert not exporter.find(unseen).isVisible()
    assert "each service's turn" in exporter.shows("tile_count_label")


def test_the_first_ticked_service_gives_its_scales(several: Any, exporter: Any, cache: Any) -> None:
    tick(several, "Streets")
    exporter.wait_until(
        lambda: exporter.shows("summary_label").startswith("World"), what="the service"
    )
    tick(several, "World")

    assert cache.asked == [service_url("Streets")]
    assert exporter.dialog.is_several


def test_one_that_cannot_be_loaded_is_not_asked_again(
    several: Any, exporter: Any, cache: Any
) -> None:
    cache.answer = errors.SiteUnreachable(service_url("Streets"), errors.Unreachable.REFUSED)
    tick(several, "Streets")
    exporter.wait_for_error()
    item(several, "Streets").setCheckState(MINE, Qt.CheckState.Checked)

    assert cache.asked == [service_url("Streets")]
    assert reason(exporter) == ""  # the export may still be tried


def test_one_layer_is_loaded_and_several_are_ticked(
    several: Any, exporter: Any, project: QgsProject
) -> None:
    layers = {layer.name(): layer for layer in project.mapLayers().values()}
    exporter.dialog.open_for([layers["Streets"], layers["World"]])
    assert exporter.dialog.is_several
    ticked = sorted(each.name for each in exporter.dialog.services_panel.chosen())
    assert ticked == ["Streets", "World"]

    exporter.dialog.open_for([layers["World"]])
    assert not exporter.dialog.is_several
    exporter.wait_until(
        lambda: exporter.shows("summary_label").startswith("World"), what="the service"
    )


def other_site(layer: Any) -> str:
    """The address of the layer's service on another site."""
    return layer.source().replace("site.test", "staging.test")


def test_services_called_alike_have_names_of_their_own_whatever_is_ticked(
    several: Any, exporter: Any, exports: Any, project: QgsProject, qgis_bar: Any
) -> None:
    staging = service_layer("World", "Staging")
    staging.setDataSource(other_site(staging), "Staging", "wms")
    project.addMapLayer(staging)
    exporter.wait_until(lambda: several.topLevelItemCount() == len(NAMES) + 1, what="the list")

    targets: dict[str, set[Path]] = {}
    for ticked in (["World", "Staging"], ["World"], ["Staging"]):
        exporter.click("no_services_button")
        for name in ticked:
            tick(several, name)
        run_to_the_end(exporter, qgis_bar)
        for each in exports.queues[-1][0]:
            targets.setdefault(each.address, set()).add(each.target)

    assert len(targets) == 2
    assert all(len(found) == 1 for found in targets.values())
    assert len(set.union(*targets.values())) == 2


def test_what_a_layer_draws_now_is_listed(several: Any, exporter: Any, project: QgsProject) -> None:
    (layer,) = project.mapLayersByName("Streets")
    exporter.find("services_tabs").setCurrentIndex(0)
    layer.setDataSource(other_site(layer), "Staging", "wms")

    exporter.find("services_tabs").setCurrentIndex(1)

    listed = {each.name: each.url for each in exporter.dialog.services_panel.listed()}
    assert "Streets" not in listed
    assert listed["Staging"].startswith("https://staging.test/")


def test_another_project_knows_nothing_of_whose_tiles_are_whose(
    several: Any, exporter: Any, project: QgsProject
) -> None:
    tick(several, "World")
    tick(several, "World", MINE)

    project.clear()
    project.addMapLayer(service_layer("World"))
    exporter.wait_until(lambda: several.topLevelItemCount() == 1, what="the list")

    for column in (SERVICE, MINE):
        state = Qt.CheckState(item(several, "World").checkState(column))
        assert state == Qt.CheckState.Unchecked


def test_an_extent_for_several_services_needs_a_crs(several: Any, exporter: Any) -> None:
    tick(several, "World")
    exporter.choose("area_kind_combo", "Typed Extent")
    exporter.find("typed_extent_edit").setText("0 0 10 10")
    assert "type the extent with its own" in reason(exporter)

    exporter.find("typed_extent_edit").setText("0,10,0,10 [EPSG:4326]")
    assert reason(exporter) == ""
    exporter.find("typed_extent_edit").setText("0 0 10 10")
    exporter.find("services_tabs").setCurrentIndex(0)
    exporter.load(service_url("World"))
    assert reason(exporter) == ""


def test_an_estimate_tells_of_all_services_before_they_are_run(
    several: Any, exporter: Any, exports: Any
) -> None:
    tick(several, "World")
    tick(several, "Streets")
    exporter.find("coarsest_widget").setScaleString("1:147914382")
    exporter.find("finest_widget").setScaleString("1:36978595")
    exporter.wait_until(lambda: exporter.shows("summary_label") != "Loading…", what="the scales")
    exporter.wait_until(lambda: not exporter.dialog._counter.is_counting, what="the count")
    exporter.click("estimate_button")
    label = exporter.find("tile_count_label")
    exporter.wait_until(lambda: "Estimated: about" in label.text(), what="the estimate")

    # ScriptedExports says 10 tiles for each of the scales 1:147,914,382 to 1:36,978,595, twice.
    assert "Estimated: about 60 tiles" in label.text()
    assert [line.split(": ")[0] for line in label.toolTip().splitlines()] == [
        each.url for each in exporter.dialog.services_panel.chosen()
    ]
    exporter.click("run_button")
    exporter.wait_until(exporter.question, what="the question")
    assert "about 60 tiles" in exporter.question().informativeText()
    exporter.answer("No")

    tick(several, "Roads/Night")
    assert "Estimated" not in label.text()
    exports.ending = errors.ExportNotAllowed("World")
    exporter.click("estimate_button")
    exporter.wait_until(lambda: "Estimated:" in label.text(), what="the estimate")
    assert "3 of 3 services cannot be exported so" in label.text()
    assert "does not allow" in label.toolTip()
