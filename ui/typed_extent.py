"""Extents as QGIS's own forms and scripts write them."""

from __future__ import annotations

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingContext,
    QgsProcessingParameterExtent,
    QgsProcessingParameters,
    QgsRectangle,
)


def placed_rectangle(text: str) -> tuple[QgsRectangle, QgsCoordinateReferenceSystem] | None:
    """What `xmin,xmax,ymin,ymax [EPSG:code]` stands for; None for a text of another form.

    The order is QGIS's own, of Processing; without its CRS a text is none of these.
    """
    if not text.rstrip().endswith("]"):
        return None
    definition = QgsProcessingParameterExtent("extent")
    context = QgsProcessingContext()
    typed = {"extent": text.strip()}
    rectangle = QgsProcessingParameters.parameterAsExtent(definition, typed, context)
    crs = QgsProcessingParameters.parameterAsExtentCrs(definition, typed, context)
    if not crs.isValid() or not rectangle.isFinite() or rectangle.isEmpty():
        return None
    return rectangle, crs
