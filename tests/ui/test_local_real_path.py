"""The dialog before a real cache on this computer, drawn from the project, nothing faked."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qgis.core import (
    QgsApplication,
    QgsFillSymbol,
    QgsSingleSymbolRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QImage
from qgis.PyQt.QtWidgets import QPushButton

from tile_cache_manager.plugin.core.errors import LayerFailed
from tile_cache_manager.plugin.core.schemes import area_of, web_mercator
from tile_cache_manager.plugin.core.storage.creation import create_cache
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings, read_settings
from tile_cache_manager.plugin.host import shown_layers


def paint(layer: Any, colour: str) -> None:
    """Fill the layer's polygons with `colour`, without outline."""
    symbol = QgsFillSymbol.createSimple({"color": colour, "outline_style": "no"})
    layer.setRenderer(QgsSingleSymbolRenderer(symbol))


@pytest.fixture
def field(project: Any) -> Any:
    """A layer that covers the north-eastern quarter of the world but for a margin, in red."""
    from map_pictures import memory_layer

    layer = memory_layer("field", (0.1, 0.1, 20, 20))
    paint(layer, "#ff0000")
    project.addMapLayer(layer)
    project.layerTreeRoot()
    return layer


@pytest.fixture(params=[StorageFormat.COMPACT_V2, StorageFormat.MBTILES])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An empty cache of levels 0 to 3 of the web's scheme."""
    scheme = web_mercator(finest=3)
    ending = ".mbtiles" if request.param is StorageFormat.MBTILES else ""
    path = tmp_path / f"my Würfel{ending}"
    profile = CacheProfile(
        scheme, request.param, "PNG", cached_ids=(0, 1, 2, 3), extent=area_of(scheme), name="Würfel"
    )
    create_cache(path, profile, CacheSettings())
    return path


def _comes_true(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether `condition` does, in the thread that waits for it."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def counts(visitor: Any) -> list[str]:
    model = visitor.find("scales_view").model()
    return [model.index(row, 4).data() for row in range(4)]


def run(visitor: Any) -> str:
    visitor.click("run_button")
    visitor.wait_until(lambda: visitor.find("cancel_button").isEnabled(), what="the beginning")
    visitor.wait_for_end()
    return visitor.shows("progress_label")


def colour_of(path: Path, level: int, row: int, col: int) -> str:
    """Colour in the middle of a tile, "" for a tile that is missing."""
    with open_store(path) as store:
        content = store.read(level, row, col)
    return QImage.fromData(content).pixelColor(128, 128).name() if content else ""


def test_made_shown_recreated_deleted(
    visitor: Any, field: Any, path: Path, project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    visitor.load(str(path))
    assert counts(visitor) == ["0", "0", "0", "0"]

    said = run(visitor)
    assert " done: 85 tiles in the area, 85 made" in said, visitor.messages()
    visitor.wait_until(lambda: counts(visitor) == ["1", "4", "16", "64"], what="the new numbers")
    assert colour_of(path, 1, 0, 1) == "#ff0000"

    visitor.click("add_button")
    (layer,) = [each for each in project.mapLayers().values() if each.type() != field.type()]
    assert layer.isValid()
    # GDAL would leave statistics beside the cache, and of MBTiles where it happens to run.
    assert list(path.parent.rglob("*.aux.xml")) == []

    # On top of the map now: what it shows is not to be drawn into the tiles again.
    assert project.layerTreeRoot().layerOrder()[0] is layer
    paint(field, "#0000ff")
    visitor.choose("mode_combo", "Recreate All Tiles")
    visitor.find("typed_extent_edit").setText("100000 100000 19000000 19000000")
    visitor.choose("area_kind_combo", "Typed Extent")
    visitor.wait_for_count()
    said = run(visitor)
    assert "replaced" in said, said
    assert colour_of(path, 1, 0, 1) == "#0000ff"
    assert colour_of(path, 1, 1, 0) != "#0000ff"

    visitor.choose("mode_combo", "Delete Tiles")
    visitor.click("run_button")
    visitor.answer("Yes")
    visitor.wait_for_end()
    # The quarter's share: 1, 1, 4 and 16 tiles.
    visitor.wait_until(lambda: counts(visitor) == ["0", "3", "12", "48"], what="the new numbers")


def test_an_update_that_was_cancelled_is_resumed_in_its_area(
    visitor: Any, field: Any, path: Path, monkeypatch: pytest.MonkeyPatch, gate: Any
) -> None:
    from tile_cache_manager.plugin.host import project_source

    draw = project_source.ProjectSource.draw
    visitor.load(str(path))
    visitor.choose("source_combo", "Visible layers of the project")
    visitor.find("typed_extent_edit").setText("100000 100000 19000000 19000000")
    visitor.choose("area_kind_combo", "Typed Extent")
    visitor.wait_for_count()

    def late(source: Any, supertile: Any, cancelled: Any) -> Any:
        if supertile.level.id == 3 and not gate.reached.is_set():
            gate.reached.set()
            # A run looks now and then whether it is cancelled: what is drawn before is kept.
            assert _comes_true(cancelled, 30)
        return draw(source, supertile, cancelled)

    monkeypatch.setattr(project_source.ProjectSource, "draw", late)
    visitor.click("run_button")
    visitor.wait_until(gate.reached.is_set, 30, "the last level")
    visitor.click("cancel_button")
    visitor.wait_for_end()
    assert " cancelled" in visitor.shows("progress_label")
    button = lambda: visitor.dialog.findChild(QPushButton, "resume_button")  # noqa: E731
    visitor.wait_until(button, what="the offer")

    # What the form says by now is of no account: the record knows the area.
    visitor.choose("area_kind_combo", "Full Extent")
    visitor.click("resume_button")
    visitor.wait_until(lambda: counts(visitor) == ["1", "1", "4", "16"], 30, "all tiles")
    visitor.wait_for_end()
    visitor.wait_until(lambda: not button(), what="no offer any more")


def test_tiles_that_failed_are_listed_and_retried(
    visitor: Any, field: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tile_cache_manager.plugin.host import project_source

    draw = project_source.ProjectSource.draw

    def failing(source: Any, supertile: Any, cancelled: Any) -> Any:
        if supertile.level.id == 2:
            raise LayerFailed("field", "connection lost")
        return draw(source, supertile, cancelled)

    monkeypatch.setattr(project_source.ProjectSource, "draw", failing)
    visitor.load(str(path))
    said = run(visitor)
    assert "some tiles failed" in said
    assert "16 failed" in said
    assert "field" in visitor.messages()
    assert "connection lost" in visitor.messages()
    visitor.wait_until(lambda: counts(visitor) == ["1", "4", "0", "64"], what="the new numbers")
    button = lambda: visitor.dialog.findChild(QPushButton, "retry_button")  # noqa: E731
    visitor.wait_until(button, what="the offer")
    assert "16 tiles failed" in visitor.error()

    monkeypatch.setattr(project_source.ProjectSource, "draw", draw)
    visitor.click("retry_button")
    visitor.wait_until(lambda: counts(visitor) == ["1", "4", "16", "64"], 30, "all tiles")
    visitor.wait_for_end()
    visitor.wait_until(lambda: not button(), what="no offer any more")


def test_a_run_that_cannot_begin_leaves_nothing_to_retry(
    visitor: Any, field: Any, path: Path, project: Any
) -> None:
    project.addMapLayer(QgsVectorLayer("/nowhere/gone.gpkg", "gone", "ogr"))
    visitor.load(str(path))
    visitor.click("run_button")
    visitor.wait_until(lambda: "gone" in visitor.shows("progress_label"), 30, "the failure")
    visitor.wait_for_end()
    visitor.wait_until(visitor.find("run_button").isEnabled, what="the end")

    for name in ("retry_button", "resume_button"):
        assert visitor.dialog.findChild(QPushButton, name) is None
    visitor.load(str(path))
    assert visitor.error() == ""


def test_a_run_begins_anew_once_the_style_is_another(
    visitor: Any, field: Any, path: Path, monkeypatch: pytest.MonkeyPatch, gate: Any
) -> None:
    from tile_cache_manager.plugin.host import project_source

    draw = project_source.ProjectSource.draw

    def late(source: Any, supertile: Any, cancelled: Any) -> Any:
        if supertile.level.id == 3 and not gate.reached.is_set():
            gate.reached.set()
            # A run looks now and then whether it is cancelled: what is drawn before is kept.
            assert _comes_true(cancelled, 30)
        return draw(source, supertile, cancelled)

    visitor.load(str(path))
    visitor.choose("mode_combo", "Recreate All Tiles")
    monkeypatch.setattr(project_source.ProjectSource, "draw", late)
    visitor.click("run_button")
    # All but the 64 tiles of the last level: 21 of 85.
    visitor.wait_until(lambda: visitor.find("progress_bar").value() >= 24, 30, "the other levels")
    visitor.click("cancel_button")
    gate.open()
    visitor.wait_for_end()
    monkeypatch.setattr(project_source.ProjectSource, "draw", draw)
    assert colour_of(path, 1, 0, 1) == "#ff0000"

    paint(field, "#0000ff")
    said = run(visitor)
    assert " done: 85 tiles in the area" in said
    for level, row, col in ((1, 0, 1), (2, 0, 3), (3, 0, 7)):
        assert colour_of(path, level, row, col) == "#0000ff", level
    visitor.wait_until(lambda: visitor.error() == "", what="no offer any more")


def test_unloading_stops_at_once_and_the_run_can_be_resumed(
    visitor: Any,
    field: Any,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gate: Any,
    opener: Any,
) -> None:
    from tile_cache_manager.plugin.host import project_source

    draw = project_source.ProjectSource.draw

    def slow(source: Any, supertile: Any, cancelled: Any) -> Any:
        if supertile.level.id == 3:
            gate.reached.set()
            while not cancelled():
                gate.may_pass.wait(0.01)
        return draw(source, supertile, cancelled)

    monkeypatch.setattr(project_source.ProjectSource, "draw", slow)
    visitor.load(str(path))
    visitor.click("run_button")
    visitor.wait_until(gate.reached.is_set, 30, "the last level")

    opener.unload()
    assert QgsApplication.taskManager().countActiveTasks() == 0

    again = opener.open()
    visitor.dialog = again
    visitor.load(str(path))
    assert again.findChild(QPushButton, "resume_button") is not None

    visitor.click("discard_button")
    visitor.wait_until(lambda: again._description.unfinished is None, what="the answer")
    visitor.load(str(path))
    assert visitor.error() == ""


def test_the_chosen_source_is_remembered_by_the_cache(
    visitor: Any, field: Any, path: Path, project: Any
) -> None:
    visitor.load(str(path))
    text = f"layers:{field.id()}"
    visitor.dialog.update_panel.source.show(text)
    run(visitor)

    assert read_settings(path).source == text
    visitor.load(str(path))
    assert visitor.find("source_combo").currentText() == "field"


def test_verify_and_defragment(visitor: Any, field: Any, path: Path) -> None:
    visitor.load(str(path))
    run(visitor)
    for text in ("Verify", "Defragment"):
        visitor.wait_until(visitor.find("care_button").isEnabled, what="the button")
        menu = visitor.find("care_button").menu()
        (action,) = [action for action in menu.actions() if action.text() == text]
        action.trigger()
        visitor.wait_for_end()
        said = visitor.shows("progress_label")
        assert "85 tiles checked, all sound" in said or text == "Defragment", said
    assert counts(visitor) == ["1", "4", "16", "64"]


def test_an_estimate(visitor: Any, field: Any, path: Path) -> None:
    visitor.load(str(path))
    visitor.click("estimate_button")
    visitor.wait_until(lambda: "Estimated" in visitor.shows("tile_count_label"), 30, "the estimate")
    visitor.wait_until(lambda: "about" in visitor.shows("tile_count_label"), 30, "the numbers")

    assert "about 85 tiles" in visitor.shows("tile_count_label")


def test_a_layer_of_the_cache_names_it(path: Path, project: Any) -> None:
    from tile_cache_manager.plugin.host import connections

    layer = shown_layers.layer_of_cache(path)
    if layer is None:
        pytest.skip("this GDAL does not read the format")
    assert connections.of_layer(layer).url == str(path)
