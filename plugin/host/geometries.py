"""Geometries between QGIS and shapely. Any thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import shapely.wkb
from osgeo import ogr
from qgis.core import QgsGeometry, QgsRectangle
from shapely.errors import ShapelyError
from shapely.geometry import MultiPolygon, Polygon, box
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union
from shapely.validation import make_valid


def polygons_of(geometry: QgsGeometry) -> BaseGeometry:
    """The polygons of `geometry` as a valid shapely polygon or multipolygon, empty where none.

    Curves become straight segments, Z and M are dropped, points and lines are left out.
    """
    if geometry.isNull() or geometry.isEmpty():
        return Polygon()
    flat = geometry.constGet().segmentize()
    flat.dropZValue()
    flat.dropMValue()
    return valid_polygons(_read(bytes(flat.asWkb())))


def _read(wkb: bytes) -> BaseGeometry:
    """The geometry in `wkb`; of surfaces that shapely does not know (TIN, polyhedral) their faces.

    QGIS reads such surfaces from version 3.40 on, and then counts them among the polygons. Empty
    for rings of less than three corners, which QGIS reads, too, and which enclose nothing.
    """
    try:
        return shapely.wkb.loads(wkb)
    except ShapelyError:
        faces = ogr.ForceToMultiPolygon(ogr.CreateGeometryFromWkb(wkb))
    try:
        return shapely.wkb.loads(bytes(faces.ExportToWkb()))
    except ShapelyError:
        return Polygon()


def valid_polygons(geometry: BaseGeometry) -> BaseGeometry:
    """`geometry` made valid, its polygons only."""
    if not geometry.is_valid:
        geometry = make_valid(geometry)
    if geometry.geom_type in ("Polygon", "MultiPolygon"):
        return geometry
    return unary_union(list(_parts(geometry)))


def simple_polygons(geometry: BaseGeometry) -> list[Polygon]:
    """The single polygons that `geometry` is made of."""
    return [part for part in _parts(geometry) if not part.is_empty]


def union_in_chunks(polygons: Iterable[BaseGeometry], chunk: int = 1000) -> BaseGeometry:
    """One polygon or multipolygon of all `polygons`, of which only `chunk` are held at a time."""
    merged: list[BaseGeometry] = []
    waiting: list[BaseGeometry] = []
    for polygon in polygons:
        waiting.append(polygon)
        if len(waiting) == chunk:
            merged.append(unary_union(waiting))
            waiting = []
    return valid_polygons(unary_union(merged + waiting))


def qgis_geometry(geometry: BaseGeometry) -> QgsGeometry:
    """A shapely geometry as one of QGIS; a null geometry where it is empty."""
    result = QgsGeometry()
    if not geometry.is_empty:
        result.fromWkb(shapely.wkb.dumps(geometry))
    return result


def rectangle_polygon(rectangle: QgsRectangle) -> Polygon:
    """`rectangle` as a polygon, empty where it has no surface or no finite bounds."""
    if rectangle.isEmpty() or not rectangle.isFinite():
        return Polygon()
    return box(
        rectangle.xMinimum(), rectangle.yMinimum(), rectangle.xMaximum(), rectangle.yMaximum()
    )


def collected(polygons: Iterable[BaseGeometry]) -> MultiPolygon:
    """All single polygons side by side, not dissolved: for drawing, not for computing."""
    return MultiPolygon([single for polygon in polygons for single in simple_polygons(polygon)])


def _parts(geometry: BaseGeometry) -> Iterator[Polygon]:
    if geometry.geom_type == "Polygon":
        yield geometry
    elif hasattr(geometry, "geoms"):
        for part in geometry.geoms:
            yield from _parts(part)
