"""The kinds of area: what is shown on the canvas, what is counted, what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.gui import QgsMapToolPan, QgsRubberBand
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest

from tile_cache_manager.ui.area_map_tools import AreaMapTool

MILLION = 1_000_000


def memory_layer(name: str, *rectangles: tuple[float, float, float, float]) -> QgsVectorLayer:
    """A polygon layer in Web Mercator with these rectangles, in millions of metres."""
    layer = QgsVectorLayer("Polygon?crs=EPSG:3857", name, "memory")
    for bounds in rectangles:
        feature = QgsFeature()
        rectangle = QgsRectangle(*(MILLION * bound for bound in bounds))
        feature.setGeometry(QgsGeometry.fromRect(rectangle))
        layer.dataProvider().addFeature(feature)
    layer.updateExtents()
    return layer


@pytest.fixture
def layers(project: QgsProject) -> Iterator[dict[str, QgsVectorLayer]]:
    """A project with two polygon layers that overlap, and a point layer."""
    layers = {
        "fields": memory_layer("fields", (0, 0, 1, 1), (2, 2, 3, 3)),
        "lakes": memory_layer("lakes", (0.5, 0.5, 5, 5)),
    }
    project.addMapLayers(list(layers.values()))
    yield layers
    layers.clear()


def bands(canvas: Any) -> list[QgsRubberBand]:
    return [item for item in canvas.scene().items() if isinstance(item, QgsRubberBand)]


def previewed(canvas: Any) -> list[int]:
    """Bounds of what is shown on the canvas, in kilometres; [] for nothing."""
    shown = [band.asGeometry().boundingBox() for band in bands(canvas)]
    if not shown:
        return []
    (box,) = shown
    corners = (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())
    return [round(corner / 1000) for corner in corners]


# kind of area, bounds on the canvas in kilometres
PREVIEWS = [
    ("Full Extent", [-20038, -20038, 20038, 20038]),
    ("Polygon Layer", [0, 0, 3000, 3000]),
    ("Canvas Extent", [-2000, -1500, 2000, 1500]),
    ("Layer Extent", [0, 0, 3000, 3000]),
    ("Extents of All Layers (Union)", [0, 0, 5000, 5000]),
    ("Extents of All Layers (Intersection)", [500, 500, 3000, 3000]),
    ("Typed Extent", [-1000, -2000, 3000, 4000]),
]


@pytest.mark.parametrize(("kind", "bounds"), PREVIEWS)
def test_every_kind_of_area_is_shown_on_the_canvas(
    layers: Any,
    loaded: Any,
    person: Any,
    canvas: Any,
    wait_until: Any,
    kind: str,
    bounds: list[int],
) -> None:
    person.find("typed_extent_edit").setText("-1000000 -2000000 3000000 4000000")
    person.find("area_layer_combo").setLayer(layers["fields"])

    person.choose("area_kind_combo", kind)

    wait_until(lambda: previewed(canvas) == pytest.approx(bounds, abs=5), what=str(bounds))


def test_the_band_goes_with_the_dialog_and_comes_back(
    loaded: Any, person: Any, canvas: Any, opener: Any
) -> None:
    assert previewed(canvas) != []

    person.click("close_button")
    assert not loaded.isVisible()
    assert previewed(canvas) == []

    loaded.show()
    assert previewed(canvas) != []

    opener.unload()
    assert previewed(canvas) == []


def test_a_closed_dialog_ignores_the_canvas(loaded: Any, person: Any, canvas: Any) -> None:
    person.choose("area_kind_combo", "Canvas Extent")
    person.click("close_button")

    canvas.setExtent(QgsRectangle(0, 0, 400, 300))

    assert bands(canvas) == []


def test_the_canvas_extent_follows_the_canvas(
    loaded: Any, person: Any, canvas: Any, wait_until: Any
) -> None:
    person.choose("area_kind_combo", "Canvas Extent")
    person.wait_for_count()
    # Around (0, 0) four tiles meet on each of the levels 1 to 5, whose tiles are over 1252 km wide;
    # 2000 km reach into the second tile of level 5 on either side, 1500 km as well.
    assert person.shows("tile_count_label") == "32 tiles at 5 scales."

    canvas.setExtent(QgsRectangle(100_000, 100_000, 500_000, 400_000))

    wait_until(lambda: person.shows("tile_count_label") == "5 tiles at 5 scales.")
    assert previewed(canvas) == [100, 100, 500, 400]


def test_the_polygon_layer_follows_the_selection(
    layers: Any, loaded: Any, person: Any, canvas: Any, wait_until: Any
) -> None:
    fields = layers["fields"]
    person.find("area_layer_combo").setLayer(fields)
    person.choose("area_kind_combo", "Polygon Layer")
    person.find("selected_only_check").setChecked(True)
    assert "select" in person.shows("area_note_label")

    fields.selectByIds([1])
    wait_until(lambda: previewed(canvas) == [0, 0, 1000, 1000])
    fields.selectByIds([2])
    wait_until(lambda: previewed(canvas) == [2000, 2000, 3000, 3000])
    person.find("selected_only_check").setChecked(False)
    wait_until(lambda: previewed(canvas) == [0, 0, 3000, 3000])


def test_the_union_follows_the_project(
    layers: Any, loaded: Any, person: Any, canvas: Any, project: QgsProject, wait_until: Any
) -> None:
    person.choose("area_kind_combo", "Extents of All Layers (Union)")
    assert previewed(canvas) == [0, 0, 5000, 5000]

    project.removeMapLayer(layers.pop("lakes"))

    wait_until(lambda: previewed(canvas) == [0, 0, 3000, 3000])


def test_the_preview_is_in_the_canvas_crs(loaded: Any, person: Any, canvas: Any) -> None:
    person.find("typed_extent_edit").setText("0 0 1113195 1118890")
    person.choose("area_kind_combo", "Typed Extent")

    canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:4326"))

    # A degree of longitude on Web Mercator's equator is 111319.49 m, by its definition.
    (band,) = bands(canvas)
    box = band.asGeometry().boundingBox()
    assert (box.xMinimum(), box.xMaximum()) == pytest.approx((0, 10), abs=1e-4)
    assert (box.yMinimum(), box.yMaximum()) == pytest.approx((0, 10), abs=1e-3)


def test_only_the_fields_of_the_kind_are_shown(layers: Any, loaded: Any, person: Any) -> None:
    fields = {
        "Full Extent": set(),
        "Draw Polygon": {"draw_button"},
        "Draw Rectangle": {"draw_button"},
        "Polygon Layer": {"area_layer_combo", "selected_only_check"},
        "Layer Extent": {"area_layer_combo"},
        "Typed Extent": {"typed_extent_edit"},
    }
    every = {"draw_button", "area_layer_combo", "selected_only_check", "typed_extent_edit"}
    for kind, expected in fields.items():
        person.choose("area_kind_combo", kind)
        assert {name for name in every if person.find(name).isVisible()} == expected, kind


def draw_triangle(canvas: Any) -> None:
    for x, y in ((200, 150), (250, 150), (250, 100)):
        QTest.mouseClick(canvas.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(x, y))
    QTest.mouseClick(canvas.viewport(), Qt.MouseButton.RightButton, pos=QPoint(250, 100))


def test_drawing_hides_the_dialog_and_gives_the_tool_back(
    loaded: Any, person: Any, canvas: Any, qgis_bar: Any
) -> None:
    pan = QgsMapToolPan(canvas)
    canvas.setMapTool(pan)
    person.choose("area_kind_combo", "Draw Polygon")
    assert "Nothing is drawn yet" in person.shows("area_note_label")

    person.click("draw_button")
    assert not loaded.isVisible()
    assert "right-click" in qgis_bar.currentItem().text()
    assert canvas.mapTool() is not pan
    draw_triangle(canvas)

    assert loaded.isVisible()
    assert qgis_bar.currentItem() is None
    assert canvas.mapTool() is pan
    assert not person.find("draw_button").isChecked()
    # Pixels are 10 km wide, (200, 150) is at (0, 0).
    assert previewed(canvas) == pytest.approx([0, 0, 500, 500], abs=15)
    person.wait_for_count()
    assert person.shows("tile_count_label") == "5 tiles at 5 scales."


def test_escape_ends_the_drawing_and_keeps_what_was_drawn(
    loaded: Any, person: Any, canvas: Any
) -> None:
    person.choose("area_kind_combo", "Draw Polygon")
    person.click("draw_button")
    draw_triangle(canvas)
    before = previewed(canvas)

    person.click("draw_button")
    QTest.mouseClick(canvas.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(10, 10))
    QTest.keyClick(canvas, Qt.Key.Key_Escape)

    assert loaded.isVisible()
    assert previewed(canvas) == before


def test_another_crs_of_the_canvas_ends_the_drawing(
    loaded: Any, person: Any, canvas: Any, qgis_bar: Any, wait_until: Any
) -> None:
    pan = QgsMapToolPan(canvas)
    canvas.setMapTool(pan)
    person.choose("area_kind_combo", "Draw Polygon")
    person.click("draw_button")
    QTest.mouseClick(canvas.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(200, 150))

    canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:4326"))

    assert loaded.isVisible()
    assert qgis_bar.currentItem() is None
    assert canvas.mapTool() is pan
    assert "Nothing is drawn yet" in person.shows("area_note_label")
    assert previewed(canvas) == []
    wait_until(lambda: canvas.findChild(AreaMapTool) is None, what="the drawing tool to go")


def test_another_tool_chosen_while_drawing_stays(loaded: Any, person: Any, canvas: Any) -> None:
    person.choose("area_kind_combo", "Draw Rectangle")
    person.click("draw_button")
    pan = QgsMapToolPan(canvas)

    canvas.setMapTool(pan)

    assert canvas.mapTool() is pan
    assert loaded.isVisible()
    assert bands(canvas) == []


def test_unloading_while_drawing_leaves_the_canvas_as_it_was(
    loaded: Any, person: Any, canvas: Any, qgis_bar: Any, opener: Any
) -> None:
    pan = QgsMapToolPan(canvas)
    canvas.setMapTool(pan)
    person.choose("area_kind_combo", "Draw Polygon")
    person.click("draw_button")
    QTest.mouseClick(canvas.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(10, 10))

    opener.unload()

    assert canvas.mapTool() is pan
    assert bands(canvas) == []
    assert qgis_bar.currentItem() is None


def test_after_unloading_canvas_and_project_are_let_go(
    loaded: Any, person: Any, canvas: Any, project: QgsProject, opener: Any
) -> None:
    person.choose("area_kind_combo", "Canvas Extent")
    watched = [
        (canvas, canvas.extentsChanged),
        (canvas, canvas.destinationCrsChanged),
        (project, project.layersAdded),
        (project, project.layersRemoved),
        (project, project.crsChanged),
    ]
    before = [owner.receivers(signal) for owner, signal in watched]

    opener.unload()

    after = [owner.receivers(signal) for owner, signal in watched]
    assert all(few < many for many, few in zip(before, after))
