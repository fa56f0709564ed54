"""Map tools that draw an area on the canvas: corner by corner, or as a rectangle."""

from __future__ import annotations

from qgis.core import QgsGeometry, QgsPointXY, QgsRectangle, QgsWkbTypes
from qgis.gui import QgsMapCanvas, QgsMapMouseEvent, QgsMapTool, QgsRubberBand
from qgis.PyQt import sip
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeyEvent

FILL_OPACITY = 0.25
"""Enough to see the area, little enough to see the map below it."""

FINISHING_KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
REMOVING_KEYS = (Qt.Key.Key_Backspace, Qt.Key.Key_Delete)


def area_band(canvas: QgsMapCanvas) -> QgsRubberBand:
    """A rubber band for polygons in the user's selection colour."""
    band = QgsRubberBand(canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
    colour = QColor(canvas.selectionColor())
    colour.setAlphaF(1.0)
    band.setStrokeColor(colour)
    colour.setAlphaF(FILL_OPACITY)
    band.setFillColor(colour)
    return band


def remove_band(canvas: QgsMapCanvas, band: QgsRubberBand) -> None:
    """Take `band` off the canvas; it cannot be used afterwards."""
    if not sip.isdeleted(canvas):  # else it is gone with the canvas
        canvas.scene().removeItem(band)


class AreaMapTool(QgsMapTool):
    """What both drawing tools share: a band, and exactly one end.

    `drawn` carries the area in `crs`, the canvas's at the start. `cancelled` tells that Escape was
    pressed, or that the canvas got another CRS, in which the corners so far mean nothing;
    `replaced` that another tool is being set. The tool is of use for one drawing.
    """

    drawn = pyqtSignal(QgsGeometry)
    cancelled = pyqtSignal()
    replaced = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self.crs = canvas.mapSettings().destinationCrs()
        self._canvas = canvas
        self._band: QgsRubberBand | None = area_band(canvas)
        self.setCursor(Qt.CursorShape.CrossCursor)
        canvas.destinationCrsChanged.connect(self._cancel)

    # QgsMapTool interface

    def deactivate(self) -> None:
        super().deactivate()
        if self._take_band_off():
            self.replaced.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() != Qt.Key.Key_Escape:
            return
        event.ignore()  # as QGIS's own tools do: the canvas has no use of its own for the key
        self._cancel()

    def _cancel(self) -> None:
        if self._take_band_off():
            self.cancelled.emit()

    def _show(self, geometry: QgsGeometry) -> None:
        if self._band is not None:
            self._band.setToGeometry(geometry, None)

    def _finish_with(self, area: QgsGeometry) -> None:
        if self._take_band_off():
            self.drawn.emit(area)

    def _take_band_off(self) -> bool:
        """Remove the band; False where that was done before, that is, the drawing has ended."""
        if self._band is None:
            return False
        remove_band(self._canvas, self._band)
        self._band = None
        if not sip.isdeleted(self._canvas):
            self._canvas.destinationCrsChanged.disconnect(self._cancel)
        return True


class PolygonMapTool(AreaMapTool):
    """Left click adds a corner, Backspace removes the last one, right click or Enter finishes."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._corners: list[QgsPointXY] = []

    # QgsMapTool interface

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._corners.append(event.mapPoint())
            self._follow(None)
        elif event.button() == Qt.MouseButton.RightButton:
            self._finish()

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        self._follow(event.mapPoint())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in REMOVING_KEYS:
            event.ignore()
            del self._corners[-1:]
            self._follow(None)
        elif event.key() in FINISHING_KEYS:
            event.ignore()
            self._finish()
        else:
            super().keyPressEvent(event)

    def _follow(self, pointer: QgsPointXY | None) -> None:
        """Show the corners so far and, once there is one, the pointer as the next."""
        ring = [*self._corners, pointer] if self._corners and pointer else self._corners
        self._show(QgsGeometry.fromPolygonXY([ring]) if ring else QgsGeometry())

    def _finish(self) -> None:
        """End with the polygon; fewer than three corners are none, so drawing goes on."""
        if len(self._corners) >= 3:
            self._finish_with(QgsGeometry.fromPolygonXY([self._corners]))


class RectangleMapTool(AreaMapTool):
    """The left button is pressed at one corner, and released at the opposite one."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._start: QgsPointXY | None = None

    # QgsMapTool interface

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._start = event.mapPoint()

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        if self._start is not None:
            rectangle = QgsRectangle(self._start, event.mapPoint())
            self._show(QgsGeometry.fromRect(rectangle))

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        if self._start is None or event.button() != Qt.MouseButton.LeftButton:
            return
        rectangle = QgsRectangle(self._start, event.mapPoint())
        self._start = None
        if rectangle.isEmpty():
            self._show(QgsGeometry())
        else:
            self._finish_with(QgsGeometry.fromRect(rectangle))
