"""Drawing an area: the dialog makes room, and canvas and dialog come back as they were."""

from __future__ import annotations

from typing import Any

import pytest
from map_pictures import bands, previewed
from qgis.core import (
    QgsCoordinateReferenceSystem,
)
from qgis.gui import QgsMapToolPan
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest

from tile_cache_manager.ui.area_map_tools import AreaMapTool


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


def test_opening_the_dialog_while_drawing_ends_the_drawing(
    loaded: Any, person: Any, canvas: Any, qgis_bar: Any
) -> None:
    pan = QgsMapToolPan(canvas)
    canvas.setMapTool(pan)
    person.choose("area_kind_combo", "Draw Polygon")
    person.click("draw_button")
    QTest.mouseClick(canvas.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(10, 10))

    loaded.show()  # as the menu does

    assert loaded.isVisible()
    assert canvas.mapTool() is pan
    assert qgis_bar.currentItem() is None
    assert bands(canvas) == []
    assert "Nothing is drawn yet" in person.shows("area_note_label")
    person.click("close_button")
    assert not loaded.isVisible()


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
