"""What tests of the dialog put on the map, and what they see there."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsFeature, QgsGeometry, QgsRectangle, QgsVectorLayer
from qgis.gui import QgsRubberBand

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
