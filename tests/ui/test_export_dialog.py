"""Exporting the tiles of one service or cache."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from map_pictures import memory_layer
from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt, QUrl
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QLineEdit, QPushButton

from tile_cache_manager.plugin.core import errors
from tile_cache_manager.plugin.core.export.request import ExportWay, Overwrite
from tile_cache_manager.plugin.core.request import Outcome
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.tiling import Extent, SpatialReference
from tile_cache_manager.plugin.host import shown_layers

WORLD_URL = "https://site.test/arcgis/rest/services/World/MapServer"
ROADS_URL = "https://site.test/arcgis/rest/services/Roads/Night/MapServer"


def choose_format(person: Any, storage: StorageFormat) -> None:
    combo = person.find("format_combo")
    combo.setCurrentIndex(combo.findData(storage))


def target(person: Any) -> str:
    return person.find("target_edit").text()


def run_to_the_end(person: Any, qgis_bar: Any) -> str:
    """What QGIS's message bar says then."""
    person.click("run_button")
    person.wait_until(lambda: qgis_bar.currentItem() is not None, what="a line in QGIS's bar")
    return qgis_bar.currentItem().text()


def test_an_export_is_asked_for_as_the_form_says(
    exportable: Any, exporter: Any, exports: Any, tmp_path: Path
) -> None:
    exporter.choose("range_to_combo", "1:147,914,382")
    exporter.click("range_button")
    exporter.find("typed_extent_edit").setText("0 0 1000 2000")
    exporter.choose("area_kind_combo", "Typed Extent")
    choose_format(exporter, StorageFormat.MBTILES)
    exporter.choose("overwrite_combo", "Merge Tiles")
    exporter.find("clip_check").setChecked(True)
    exporter.choose("way_combo", "Tile by tile")
    exporter.click("run_button")
    exporter.wait_until(lambda: exports.requests, what="the export")
    exporter.wait_for_end()

    (request,) = exports.requests
    assert [level.id for level in request.levels] == [1, 2]
    assert request.areas == Extent(0, 0, 1000, 2000)
    assert request.target == tmp_path / "World.mbtiles"
    assert request.storage is StorageFormat.MBTILES
    assert request.overwrite is Overwrite.MERGE
    assert request.is_clipped
    assert request.way is ExportWay.ONE_BY_ONE
    assert not request.is_owner
    assert not request.draws_missing


def test_at_first_the_whole_cache_goes_into_a_package(
    exportable: Any, exporter: Any, exports: Any, tmp_path: Path
) -> None:
    exporter.click("run_button")
    exporter.wait_until(lambda: exports.requests, what="the export")
    exporter.wait_for_end()

    (request,) = exports.requests
    assert [level.id for level in request.levels] == [1, 2, 3, 4, 5]
    assert request.areas is None
    assert request.target == tmp_path / "World.tpkx"
    assert (request.overwrite, request.way) == (Overwrite.OVERWRITE, ExportWay.AUTO)


# The end


def test_the_end_is_told_with_numbers(
    exportable: Any, exporter: Any, qgis_bar: Any, tmp_path: Path
) -> None:
    said = run_to_the_end(exporter, qgis_bar)

    # Five levels, of each 3 of 4 tiles new.
    assert said.startswith(f"Tiles of World are in {tmp_path / 'World.tpkx'}: 20 tiles in the area")
    assert "15 new" in said
    assert exporter.shows("progress_label") == said
    assert exporter.error() == said  # in the dialog, too
    assert exporter.find("progress_bar").value() == 100
    assert exporter.find("run_button").isEnabled()


def test_what_was_exported_goes_on_the_map_and_its_folder_opens(
    exportable: Any,
    exporter: Any,
    qgis_bar: Any,
    project: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer, opened, asked = memory_layer("World", (0, 0, 1, 1)), [], []
    monkeypatch.setattr(shown_layers, "layer_of_cache", lambda path: asked.append(path) or layer)
    monkeypatch.setattr(shown_layers, "version", lambda: shown_layers.READS_TPKX)
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url))
    said = run_to_the_end(exporter, qgis_bar)
    line = exporter.find("message_bar").currentItem()
    assert line.text() == said

    line.findChild(QPushButton, "add_to_map_button").click()
    line.findChild(QPushButton, "open_folder_button").click()

    assert asked == [tmp_path / "World.tpkx"]
    assert layer.id() in project.mapLayers()
    assert opened == [QUrl.fromLocalFile(str(tmp_path))]


@pytest.mark.parametrize("storage", [StorageFormat.EXPLODED, StorageFormat.TPKX])
def test_what_qgis_cannot_draw_is_not_offered_for_the_map(
    exportable: Any,
    exporter: Any,
    qgis_bar: Any,
    storage: StorageFormat,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shown_layers, "version", lambda: shown_layers.READS_TPKX - 1)
    choose_format(exporter, storage)
    run_to_the_end(exporter, qgis_bar)

    assert qgis_bar.currentItem().findChild(QPushButton, "add_to_map_button") is None
    assert qgis_bar.currentItem().findChild(QPushButton, "open_folder_button") is not None


ENDINGS = [
    (Outcome.PARTIAL, "some are missing"),
    (errors.JobFailed(f"{WORLD_URL}/jobs/j1", "no disk space"), "no disk space"),
    (errors.BadPackage(WORLD_URL, errors.BadPackageReason.DAMAGED), "is damaged"),
]


@pytest.mark.parametrize(("ending", "words"), ENDINGS)
def test_another_end_is_told_as_it_is(
    exportable: Any, exporter: Any, exports: Any, qgis_bar: Any, ending: Any, words: str
) -> None:
    exports.ending = ending
    assert words in run_to_the_end(exporter, qgis_bar)
    assert exporter.find("run_button").isEnabled()


def test_an_export_goes_on_while_the_dialog_is_closed(
    exportable: Any, exporter: Any, exports: Any, qgis_bar: Any
) -> None:
    exporter.start_and_hold(exports)
    assert "An export is running" in exporter.find("run_button").toolTip()
    exporter.dialog.reject()
    exports.go_on.set()
    exporter.wait_until(lambda: qgis_bar.currentItem() is not None, what="the end")

    exporter.dialog.show()
    assert exporter.shows("progress_label").startswith("Tiles of World are in")


def test_cancelling_keeps_what_was_got(exportable: Any, exporter: Any, exports: Any) -> None:
    exporter.start_and_hold(exports)
    exporter.click("cancel_button")
    exporter.wait_for_end()

    assert "goes on from there" in exporter.shows("progress_label")
    assert exporter.find("run_button").isEnabled()


def test_unloading_ends_the_export(
    exportable: Any, exporter: Any, exports: Any, export_opener: Any, wait_until: Any
) -> None:
    exporter.start_and_hold(exports)
    export_opener.unload()

    wait_until(lambda: not QgsApplication.taskManager().activeTasks(), what="no task")


# Whose the tiles are


def test_a_service_that_does_not_allow_it_is_left_alone_unless_its_owner_says_so(
    exporter: Any, exports: Any, cache: Any, world: Any
) -> None:
    cache.answer = world
    exporter.load(WORLD_URL)

    assert exporter.find("not_allowed_label").isVisible()
    assert not exporter.find("run_button").isEnabled()
    assert "does not allow its tiles to be exported" in exporter.find("run_button").toolTip()

    exporter.find("owner_check").setChecked(True)
    exporter.click("run_button")
    exporter.wait_until(lambda: exports.requests, what="the export")
    assert exports.requests[0].is_owner


def test_those_who_administer_the_site_need_not_own_the_tiles(
    exporter: Any, exports: Any, cache: Any, world: Any
) -> None:
    cache.answer = world
    exporter.load(WORLD_URL)
    exporter.choose("way_combo", "The site's caching tools")
    exporter.click("run_button")
    exporter.wait_until(lambda: exports.requests, what="the export")
    assert not exports.requests[0].is_owner


def test_the_service_s_own_export_is_not_offered_where_it_forbids_it(
    exporter: Any, cache: Any, world: Any
) -> None:
    cache.answer = world
    exporter.load(WORLD_URL)
    combo = exporter.find("way_combo")
    row = combo.findData(ExportWay.EXPORT_TILES)
    assert not combo.model().item(row).isEnabled()

    exporter.find("owner_check").setChecked(True)
    combo.setCurrentIndex(row)  # as if chosen before this service was loaded
    assert not exporter.find("run_button").isEnabled()
    assert "choose another way" in exporter.find("run_button").toolTip()


def test_it_is_asked_anew_for_each_service(exporter: Any, cache: Any, world: Any) -> None:
    cache.answer = world
    exporter.load(WORLD_URL)
    exporter.find("owner_check").setChecked(True)

    cache.answer = replace(world, address=ROADS_URL, name="Roads/Night")
    exporter.load(ROADS_URL)

    assert not exporter.find("owner_check").isChecked()
    assert not exporter.find("run_button").isEnabled()


def test_it_is_asked_anew_when_the_same_service_is_loaded_again(
    exporter: Any, cache: Any, world: Any
) -> None:
    cache.answer = world
    exporter.load(WORLD_URL)
    exporter.find("owner_check").setChecked(True)
    exporter.load(WORLD_URL)

    assert not exporter.find("owner_check").isChecked()


def test_it_is_remembered_nowhere(
    exporter: Any, export_opener: Any, cache: Any, world: Any, wait_until: Any
) -> None:
    cache.answer = world
    exporter.load(WORLD_URL)
    exporter.find("owner_check").setChecked(True)
    exporter.dialog = export_opener.open()
    exporter.load(WORLD_URL)

    assert not exporter.find("owner_check").isChecked()


def test_where_it_is_allowed_nobody_is_asked(exportable: Any, exporter: Any) -> None:
    assert not exporter.find("not_allowed_label").isVisible()
    assert not exporter.find("owner_check").isVisible()
    assert exporter.find("run_button").isEnabled()


# Where the tiles go

# format, what the proposed path ends in
NAMES = [
    (StorageFormat.TPKX, "World.tpkx"),
    (StorageFormat.MBTILES, "World.mbtiles"),
    (StorageFormat.COMPACT_V2, "World"),
    (StorageFormat.EXPLODED, "World"),
]


@pytest.mark.parametrize(("storage", "name"), NAMES)
def test_the_ending_follows_the_format(
    exportable: Any, exporter: Any, tmp_path: Path, storage: StorageFormat, name: str
) -> None:
    choose_format(exporter, StorageFormat.EXPLODED)
    choose_format(exporter, storage)
    assert target(exporter) == str(tmp_path / name)


def test_a_name_of_one_s_own_gets_the_ending_too(
    exportable: Any, exporter: Any, exports: Any, tmp_path: Path
) -> None:
    exporter.find("target_edit").setText(str(tmp_path / "my tiles"))
    exporter.click("run_button")
    exporter.wait_until(lambda: exports.requests, what="the export")
    assert exports.requests[0].target == tmp_path / "my tiles.tpkx"


def test_another_service_gets_another_name_in_the_same_folder(
    exportable: Any, exporter: Any, cache: Any, tmp_path: Path
) -> None:
    (tmp_path / "there").mkdir()
    exporter.find("target_edit").setText(str(tmp_path / "there" / "mine.tpkx"))
    exporter.load(WORLD_URL)
    assert target(exporter) == str(tmp_path / "there" / "mine.tpkx")

    cache.answer = replace(cache.answer, address=ROADS_URL, name="Roads/Night")
    exporter.load(ROADS_URL)
    assert target(exporter) == str(tmp_path / "there" / "Night.tpkx")


def lay_out(folder: Path) -> None:
    """A file, a folder with a file, a compact cache (its conf.xml), and a begun export."""
    (folder / "file").write_text("x")
    (folder / "other").mkdir()
    (folder / "other" / "letter.txt").write_text("x")
    (folder / "cache").mkdir()
    (folder / "cache" / "conf.xml").write_text("<CacheInfo/>")
    (folder / "begun" / ".tile_cache_manager").mkdir(parents=True)
    (folder / "there.tpkx").write_text("x")
    (folder / "folder.tpkx").mkdir()


# format, what is typed, what is said below; whether that forbids the export
PLACES = [
    (StorageFormat.TPKX, "new.tpkx", "", False),
    (StorageFormat.TPKX, "there.tpkx", "The file exists: tiles are put into it", False),
    (StorageFormat.TPKX, "folder.tpkx", "is a folder: name a file", True),
    (StorageFormat.COMPACT_V2, "new", "", False),
    (StorageFormat.COMPACT_V2, "begun", "", False),
    (StorageFormat.COMPACT_V2, "cache", "The cache exists: tiles are put into it", False),
    (StorageFormat.COMPACT_V2, "file", "is a file: name a folder", True),
    (StorageFormat.COMPACT_V2, "other", "holds other files: name a new folder in it", True),
]


@pytest.mark.parametrize(("storage", "name", "words", "is_refused"), PLACES)
def test_what_is_there_is_told(
    exportable: Any,
    exporter: Any,
    tmp_path: Path,
    storage: StorageFormat,
    name: str,
    words: str,
    is_refused: bool,
) -> None:
    lay_out(tmp_path)
    choose_format(exporter, storage)
    edit = exporter.find("target_edit")
    edit.setFocus()
    edit.clear()
    edit.setModified(True)  # as if typed; a folder that is browsed to gets a name in it
    edit.insert(str(tmp_path / name))

    note = exporter.find("target_note_label")
    assert words in note.text()
    assert note.isVisible() == bool(words)
    assert exporter.find("run_button").isEnabled() != is_refused
    assert not is_refused or words in exporter.find("run_button").toolTip()


def test_a_folder_that_is_browsed_to_gets_a_cache_in_it(
    exportable: Any, exporter: Any, tmp_path: Path
) -> None:
    lay_out(tmp_path)
    choose_format(exporter, StorageFormat.COMPACT_V2)
    exporter.find("target_widget").setFilePath(str(tmp_path / "other"))
    assert target(exporter) == str(tmp_path / "other" / "World")


@pytest.mark.parametrize("text", ["", "World.tpkx", "some/World.tpkx"])
def test_without_a_whole_path_nothing_is_exported(
    exportable: Any, exporter: Any, text: str
) -> None:
    exporter.find("target_edit").setText(text)
    assert exporter.find("run_button").toolTip() == "Choose the file that the tiles are written to."


def test_a_format_that_cannot_hold_the_tiles_is_not_offered(
    exporter: Any, exportable: Any, cache: Any
) -> None:
    national = replace(exportable.scheme, crs=SpatialReference(2056, 2056))
    cache.answer = replace(exportable, scheme=national, address=ROADS_URL)
    exporter.load(ROADS_URL)
    combo = exporter.find("format_combo")
    item = combo.model().item(combo.findData(StorageFormat.MBTILES))

    assert not item.isEnabled()
    assert "Web Mercator" in item.toolTip()
    assert combo.model().item(combo.findData(StorageFormat.TPKX)).isEnabled()


def test_a_format_that_was_chosen_before_is_refused_then(
    exporter: Any, exportable: Any, cache: Any
) -> None:
    choose_format(exporter, StorageFormat.MBTILES)
    national = replace(exportable.scheme, crs=SpatialReference(2056, 2056))
    cache.answer = replace(exportable, scheme=national, address=ROADS_URL)
    exporter.load(ROADS_URL)

    assert not exporter.find("run_button").isEnabled()
    assert "Web Mercator" in exporter.find("run_button").toolTip()


# A cache on this computer


@pytest.fixture
def local_export(exporter: Any, cache: Any, local: Any, layers: Any) -> Any:
    cache.answer = local
    exporter.load(local.address)
    return local


def test_what_a_cache_lacks_is_drawn_where_asked(
    local_export: Any, exporter: Any, exports: Any
) -> None:
    assert not exporter.find("way_box").isVisible()
    assert not exporter.find("owner_check").isVisible()
    exporter.find("draw_missing_check").setChecked(True)
    exporter.click("run_button")
    exporter.wait_until(lambda: exports.requests, what="the export")
    exporter.wait_for_end()

    assert exports.requests[0].draws_missing
    (drawing,) = exports.drawings
    assert drawing is not None
    drawing.close()


def test_a_service_s_missing_tiles_are_nobody_s_to_draw(exportable: Any, exporter: Any) -> None:
    assert not exporter.find("draw_missing_check").isVisible()
    assert exporter.find("way_box").isVisible()


def test_a_cache_is_not_exported_into_itself(local_export: Any, exporter: Any) -> None:
    choose_format(exporter, StorageFormat.COMPACT_V2)
    exporter.find("target_edit").setText(local_export.address)
    assert "the cache itself" in exporter.find("run_button").toolTip()


def test_nothing_but_loading_is_offered_of_a_cache(local_export: Any, exporter: Any) -> None:
    for name in ("new_button", "add_button", "care_button"):
        assert not exporter.find(name).isVisible()


# Estimates


def test_an_estimate_is_told_in_all_and_scale_by_scale(
    exportable: Any, exporter: Any, exports: Any
) -> None:
    exporter.click("estimate_button")
    label = exporter.find("tile_count_label")
    exporter.wait_until(lambda: "Estimated" in label.text(), what="the estimate")

    assert label.text().splitlines() == [
        "1,364 tiles at 5 scales.",
        "Estimated: about 50 tiles, 9.5 MB, 5 minutes.",
    ]
    lines = label.toolTip().splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("1:295,828,764: 10 tiles")
    cell = exporter.find("scales_view").model().index(1, 3)
    assert cell.data(Qt.ItemDataRole.ToolTipRole) == lines[0]


def test_an_estimate_goes_with_the_next_change(exportable: Any, exporter: Any) -> None:
    exporter.click("estimate_button")
    label = exporter.find("tile_count_label")
    exporter.wait_until(lambda: "Estimated" in label.text(), what="the estimate")
    exporter.choose("overwrite_combo", "Merge Tiles")

    assert label.text() == "1,364 tiles at 5 scales."
    assert label.toolTip() == ""


# The question before a very large export


@pytest.fixture
def very_many(exporter: Any, cache: Any, exportable: Any) -> None:
    """World with all ten levels cached: more than 300,000 tiles."""
    cache.answer = replace(exportable, cached_levels=exportable.scheme.levels, address=ROADS_URL)
    exporter.load(ROADS_URL)


@pytest.mark.parametrize(("answer", "exported"), [("Yes", 1), ("No", 0)])
def test_very_many_tiles_are_asked_about(
    very_many: None, exporter: Any, exports: Any, answer: str, exported: int
) -> None:
    exporter.click("run_button")
    exporter.wait_until(exporter.question, what="the question")
    # 4^0 + 4^1 + ... + 4^9
    assert exporter.question().text() == "Export 349,525 tiles of World?"
    exporter.answer(answer)
    exporter.wait_for_end()

    assert len(exports.requests) == exported


# What is remembered


def test_the_next_time_the_form_is_as_it_was(
    exportable: Any, exporter: Any, export_opener: Any, tmp_path: Path
) -> None:
    choose_format(exporter, StorageFormat.MBTILES)
    exporter.choose("overwrite_combo", "Merge Tiles")
    exporter.find("clip_check").setChecked(True)
    (tmp_path / "there").mkdir()
    exporter.find("target_edit").setText(str(tmp_path / "there" / "mine"))
    exporter.dialog = export_opener.open()
    exporter.load(WORLD_URL)

    assert exporter.find("format_combo").currentData() is StorageFormat.MBTILES
    assert exporter.find("overwrite_combo").currentText() == "Merge Tiles"
    assert exporter.find("clip_check").isChecked()
    assert target(exporter) == str(tmp_path / "there" / "World.mbtiles")


def test_help_opens_a_page_that_exists(exporter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[QUrl] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url))
    exporter.click("help_button")
    assert Path(opened[0].toLocalFile()).is_file()
    assert "export_dialog" in opened[0].toLocalFile()


def test_fields_have_names_for_those_who_cannot_see_them(exportable: Any, exporter: Any) -> None:
    for name in ("target_widget", "folder_widget", "way_combo", "services_view"):
        assert exporter.find(name).accessibleName(), name
    assert isinstance(exporter.find("target_edit"), QLineEdit)
