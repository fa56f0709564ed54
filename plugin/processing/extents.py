"""Extents as text, where QGIS would quietly turn them into something else."""

from __future__ import annotations

import re

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsRectangle,
)

from ..host import areas

_NUMBER = r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*"
_WITH_CRS = re.compile(r"(.*?),(.*?),(.*?),(.*?)\[(.*)\]\s*", re.DOTALL)
_EXTENT = re.compile(",".join([_NUMBER] * 4) + r"(?:\[.*\]\s*)?", re.ASCII)


def check_crs(text: str) -> None:
    """Raise areas.UnknownCrs where `text` is an extent in a CRS that QGIS does not know.

    For which QGIS would quietly take that of the project: the numbers then mean another place.
    """
    match = _WITH_CRS.fullmatch(text)
    if match is None or not all(_is_number(part) for part in match.groups()[:4]):
        return
    if not QgsCoordinateReferenceSystem(match[5]).isValid():
        raise areas.UnknownCrs(match[5])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def reversed_extent(
    text: str, crs: QgsCoordinateReferenceSystem | None, context: QgsCoordinateTransformContext
) -> areas.AreaSource | None:
    """The area of an extent `xmin,xmax,ymin,ymax [EPSG:code]` with an xmin above its xmax.

    In degrees it crosses the antimeridian, as it does where the dialog is given one; QGIS would
    swap the two, and take the rest of the world. `crs` None: that of the cache. None for any other
    text, which QGIS reads well. Raises areas.BadRectangle for minima above maxima elsewhere.
    """
    match = _EXTENT.fullmatch(text)
    if match is None:
        return None
    xmin, xmax, ymin, ymax = (float(number) for number in match.groups())
    if ymin > ymax:
        raise areas.BadRectangle(text)
    if xmin <= xmax:
        return None
    if crs is None:
        return areas.TypedExtent(f"{xmin!r} {ymin!r} {xmax!r} {ymax!r}")
    if not crs.isGeographic() or xmax + 360.0 <= xmin:
        raise areas.BadRectangle(text)
    across = QgsRectangle(xmin, ymin, xmax + 360.0, ymax)
    return areas.RectangleArea(text, across, crs, context)
