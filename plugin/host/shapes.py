"""What is meant by an area that has a shape of its own, whatever the cache. Any thread."""

from __future__ import annotations

from qgis.core import QgsCoordinateReferenceSystem, QgsGeometry, QgsRectangle
from shapely.geometry.base import BaseGeometry

from ..core.description import CacheDescription
from ..core.errors import BadArea, BadAreaReason, EmptyArea
from .area_sources import (
    BufferedArea,
    Cancelled,
    CountriesArea,
    DrawnArea,
    IsCancelled,
    LayerArea,
    PlacedArea,
    RectangleArea,
)
from .buffers import buffered, degrees_crs, in_degrees, tolerance_of
from .countries import touched_countries
from .crs import qgis_crs
from .geometries import collected, polygons_of, rectangle_polygon, union_in_chunks
from .reprojection import NotTransformable

PREVIEW_FEATURES = 2000
"""A layer with more features is previewed by its bounding rectangle."""

PREVIEW_DETAIL = 1000
"""A preview leaves out what is smaller than this part of its size."""

COUNTRY_TOLERANCE = 100.0
"""Metres by which an area may be off when it is asked which countries it touches."""

Shape = tuple[BaseGeometry, QgsCoordinateReferenceSystem]


class Shapes:
    """The shapes of areas for the cache of `description`, each worked out once.

    The areas must live as long as this does.
    """

    def __init__(self, description: CacheDescription | None, cancelled: IsCancelled) -> None:
        self._description = description
        self._cancelled = cancelled
        self._known: dict[int, Shape] = {}

    def of(self, source: PlacedArea) -> Shape:
        """Its geometry, one valid polygon or multipolygon, empty at worst; and of which CRS.

        Raises BadArea, DescriptionError, Cancelled.
        """
        if id(source) not in self._known:
            self._known[id(source)] = self._worked_out(source)
        return self._known[id(source)]

    def _worked_out(self, source: PlacedArea) -> Shape:
        if isinstance(source, BufferedArea):
            return self._buffered(source), degrees_crs()
        if isinstance(source, CountriesArea):
            return self._countries(source), degrees_crs()
        crs = self._crs_of(source)
        if not crs.isValid():
            raise BadArea(source.name, BadAreaReason.NO_CRS)
        return self._own(source), crs

    def _crs_of(self, source: PlacedArea) -> QgsCoordinateReferenceSystem:
        """The CRS of `source`, that of the cache where it has none. Raises DescriptionError."""
        if source.crs is not None:
            return source.crs
        if self._description is None:
            return QgsCoordinateReferenceSystem()
        return qgis_crs(self._description.scheme.crs, self._description.name)

    def _own(self, source: DrawnArea | RectangleArea | LayerArea) -> BaseGeometry:
        if isinstance(source, DrawnArea):
            return polygons_of(source.geometry)
        if isinstance(source, RectangleArea):
            return rectangle_polygon(source.rectangle)
        geometry = union_in_chunks(source.polygons(self._cancelled))
        if geometry.is_empty:
            raise BadArea(source.name, source.reason_for_nothing)
        return geometry

    def _buffered(self, source: BufferedArea) -> BaseGeometry:
        area = self._in_degrees(source.source, tolerance_of(source.metres))
        try:
            return buffered(area, source.metres, self._stop)
        except (NotTransformable, EmptyArea):
            raise BadArea(source.name, BadAreaReason.NOT_TRANSFORMABLE) from None

    def _countries(self, source: CountriesArea) -> BaseGeometry:
        area = self._in_degrees(source.source, COUNTRY_TOLERANCE)
        found = touched_countries(area, self._stop)
        if found is None:
            raise BadArea(source.name, BadAreaReason.NO_WORLD_MAP)
        if found.is_empty:
            raise BadArea(source.name, BadAreaReason.NO_COUNTRY)
        return found

    def _in_degrees(self, source: PlacedArea, tolerance: float) -> BaseGeometry:
        """The shape of `source` in degrees of WGS 84. Raises BadArea, EmptyArea, Cancelled."""
        geometry, crs = self.of(source)
        if geometry.is_empty:
            raise EmptyArea()
        try:
            area = in_degrees(geometry, crs, source.context, tolerance)
        except NotTransformable:
            raise BadArea(source.name, BadAreaReason.NOT_TRANSFORMABLE) from None
        if area.is_empty:
            raise EmptyArea()
        return area

    def _stop(self) -> None:
        if self._cancelled():
            raise Cancelled()


class Outlines(Shapes):
    """The same to be drawn: roughly, side by side where polygons are not dissolved."""

    def _own(self, source: DrawnArea | RectangleArea | LayerArea) -> BaseGeometry:
        if isinstance(source, LayerArea):
            return self._layer_outline(source)
        return super()._own(source)

    def _layer_outline(self, source: LayerArea) -> BaseGeometry:
        """The layer's polygons without small detail, or their rectangle where they are many."""
        first: list[QgsGeometry] = []
        bounds = QgsRectangle()
        for geometry in source.geometries(self._cancelled):
            bounds.combineExtentWith(geometry.boundingBox())
            if len(first) <= PREVIEW_FEATURES:
                first.append(geometry)
        if len(first) > PREVIEW_FEATURES:
            return rectangle_polygon(bounds)
        detail = max(bounds.width(), bounds.height()) / PREVIEW_DETAIL
        return collected(polygons_of(geometry.simplify(detail)) for geometry in first)
