"""Drawing on the canvas, fed with the canvas's own mouse and key events."""

from __future__ import annotations

from typing import Any

import pytest
from qgis.core import QgsCoordinateReferenceSystem, QgsGeometry
from qgis.gui import QgsMapMouseEvent, QgsMapToolPan, QgsRubberBand
from qgis.PyQt.QtCore import QEvent, QPoint, Qt
from qgis.PyQt.QtTest import QTest

from tile_cache_manager.ui.area_map_tools import AreaMapTool, PolygonMapTool, RectangleMapTool

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
KEYS = {
    "Enter": Qt.Key.Key_Return,
    "Keypad Enter": Qt.Key.Key_Enter,
    "Backspace": Qt.Key.Key_Backspace,
    "Escape": Qt.Key.Key_Escape,
}


class Hand:
    """Draws with a tool: ("left", x, y), ("right", x, y), ("move", x, y), ("press", x, y), key."""

    def __init__(self, canvas: Any, tool: AreaMapTool) -> None:
        self.canvas, self.tool = canvas, tool
        self.drawn: list[QgsGeometry] = []
        self.cancelled = 0
        tool.drawn.connect(self.drawn.append)
        tool.cancelled.connect(self._count)
        canvas.setMapTool(tool)

    def do(self, *steps: Any) -> None:
        for step in steps:
            if isinstance(step, str):
                QTest.keyClick(self.canvas, KEYS[step])
            else:
                self._mouse(*step)

    def bands(self) -> list[QgsRubberBand]:
        return [item for item in self.canvas.scene().items() if isinstance(item, QgsRubberBand)]

    def corners_shown(self) -> int:
        (band,) = self.bands()
        return len(band.asGeometry().asMultiPolygon()[0][0]) - 1 if band.numberOfVertices() else 0

    def _mouse(self, what: str, x: int, y: int) -> None:
        kinds = QEvent.Type
        kind = {"move": kinds.MouseMove, "press": kinds.MouseButtonPress}.get(
            what, kinds.MouseButtonRelease
        )
        button = {"left": LEFT, "press": LEFT, "right": RIGHT}.get(what, Qt.MouseButton.NoButton)
        event = QgsMapMouseEvent(self.canvas, kind, QPoint(x, y), button)
        handler = {"move": self.tool.canvasMoveEvent, "press": self.tool.canvasPressEvent}.get(
            what, self.tool.canvasReleaseEvent
        )
        handler(event)

    def _count(self) -> None:
        self.cancelled += 1


@pytest.fixture
def polygon_hand(canvas: Any) -> Hand:
    return Hand(canvas, PolygonMapTool(canvas))


@pytest.fixture
def rectangle_hand(canvas: Any) -> Hand:
    return Hand(canvas, RectangleMapTool(canvas))


A, B, C, D = ("left", 100, 100), ("left", 200, 100), ("left", 200, 200), ("left", 100, 200)

# steps, corners in pixels of the drawn polygon (None: nothing is drawn)
POLYGONS = [
    ([A, B, C, ("right", 0, 0)], [(100, 100), (200, 100), (200, 200)]),
    ([A, B, C, "Enter"], [(100, 100), (200, 100), (200, 200)]),
    ([A, B, C, "Keypad Enter"], [(100, 100), (200, 100), (200, 200)]),
    ([A, B, C, "Backspace", D, "Enter"], [(100, 100), (200, 100), (100, 200)]),
    ([A, "Backspace", "Backspace", B, C, D, "Enter"], [(200, 100), (200, 200), (100, 200)]),
    ([A, B, ("move", 5, 5), C, ("move", 9, 9), "Enter"], [(100, 100), (200, 100), (200, 200)]),
    ([A, B, "Enter"], None),
    ([A, B, C, "Backspace", ("right", 0, 0)], None),
    ([A, B, C, "Escape"], None),
    ([A, B, C, "Escape", "Enter"], None),
    (["Enter", "Backspace"], None),
]


@pytest.mark.parametrize(("steps", "pixels"), POLYGONS)
def test_drawing_a_polygon(polygon_hand: Hand, steps: list[Any], pixels: Any) -> None:
    polygon_hand.do(*steps)

    if pixels is None:
        assert polygon_hand.drawn == []
        return
    to_map = polygon_hand.canvas.getCoordinateTransform().toMapCoordinates
    expected = QgsGeometry.fromPolygonXY([[to_map(x, y) for x, y in pixels]])
    (drawn,) = polygon_hand.drawn
    assert drawn.equals(expected), drawn.asWkt(0)


def test_the_band_follows_the_pen_and_goes_away(polygon_hand: Hand) -> None:
    shown = []
    for step in [A, B, C, "Backspace", ("move", 150, 150)]:
        polygon_hand.do(step)
        shown.append(polygon_hand.corners_shown())
    # The pointer counts as the next corner.
    assert shown == [1, 2, 3, 2, 3]

    polygon_hand.do(C, "Enter")

    assert polygon_hand.bands() == []


def test_the_band_has_the_selection_colour(polygon_hand: Hand) -> None:
    colour = polygon_hand.canvas.selectionColor()
    (band,) = polygon_hand.bands()

    assert band.strokeColor().rgb() == colour.rgb()
    assert band.fillColor().rgb() == colour.rgb()
    assert 0 < band.fillColor().alpha() < 255


def test_escape_is_told_once_and_takes_the_band_away(polygon_hand: Hand) -> None:
    polygon_hand.do(A, B, "Escape", "Escape")

    assert polygon_hand.cancelled == 1
    assert polygon_hand.bands() == []


@pytest.mark.parametrize("steps", [[A, B, C], [A], []])
def test_another_crs_of_the_canvas_ends_the_drawing(polygon_hand: Hand, steps: list[Any]) -> None:
    polygon_hand.do(*steps)

    polygon_hand.canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
    polygon_hand.do(D, "Enter")

    assert polygon_hand.cancelled == 1
    assert polygon_hand.drawn == []
    assert polygon_hand.bands() == []


def test_a_tool_names_the_crs_it_draws_in(canvas: Any) -> None:
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:32633"))

    assert RectangleMapTool(canvas).crs.authid() == "EPSG:32633"


def test_another_tool_ends_the_drawing(polygon_hand: Hand) -> None:
    replaced: list[bool] = []
    polygon_hand.tool.replaced.connect(lambda: replaced.append(True))
    polygon_hand.do(A, B)
    pan = QgsMapToolPan(polygon_hand.canvas)

    polygon_hand.canvas.setMapTool(pan)

    assert replaced == [True]
    assert polygon_hand.cancelled == 0
    assert polygon_hand.bands() == []
    assert polygon_hand.canvas.mapTool() is pan


def test_drawing_a_rectangle(rectangle_hand: Hand) -> None:
    rectangle_hand.do(("press", 200, 200), ("move", 150, 150))
    assert rectangle_hand.corners_shown() == 4
    rectangle_hand.do(("left", 100, 50))

    to_map = rectangle_hand.canvas.getCoordinateTransform().toMapCoordinates
    (drawn,) = rectangle_hand.drawn
    bounds = drawn.boundingBox()
    assert (bounds.xMinimum(), bounds.yMaximum()) == pytest.approx(tuple(to_map(100, 50)))
    assert (bounds.xMaximum(), bounds.yMinimum()) == pytest.approx(tuple(to_map(200, 200)))
    assert rectangle_hand.bands() == []


def test_a_mere_click_is_no_rectangle(rectangle_hand: Hand) -> None:
    rectangle_hand.do(("press", 200, 200), ("left", 200, 200))

    assert rectangle_hand.drawn == []
    assert len(rectangle_hand.bands()) == 1
