"""How an area that a person chose becomes an area of a cache, and what to show of it.

The one door to areas: its sources stand in `area_sources`, which only host reads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsGeometry,
    QgsRectangle,
)
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from ..core.area import fit_area, parse_extent
from ..core.description import CacheDescription
from ..core.errors import (
    AreaOutside,
    BadArea,
    BadAreaReason,
    EmptyArea,
    RequestError,
    TileCacheError,
)
from ..core.tiling import Extent, TilingScheme
from .area_sources import (
    AreaSource,
    BadRectangle,
    Cancelled,
    DrawnArea,
    FullExtent,
    IsCancelled,
    LayerArea,
    LayerExtents,
    RectangleArea,
    TypedExtent,
    UnknownCrs,
    project_context,
)
from .crs import qgis_crs
from .geometries import (
    collected,
    polygons_of,
    qgis_geometry,
    rectangle_polygon,
    union_in_chunks,
    valid_polygons,
)
from .layer_extents import joined, project_extents
from .planes import WGS_84, in_plane, plane, way_to_plane, world_width
from .reprojection import NotTransformable, Reprojection

__all__ = [
    "AreaSource",
    "BadRectangle",
    "Cancelled",
    "Counted",
    "DrawnArea",
    "FullExtent",
    "LayerArea",
    "LayerExtents",
    "RectangleArea",
    "TypedExtent",
    "UnknownCrs",
    "preview",
    "project_context",
    "project_extents",
    "resolve",
]

FINEST_PIXELS = 0.25
"""How far a transformed edge may be off, in pixels of the finest cached level."""

CACHE_MARGIN = 0.05
"""By which part of its size the cache's extent is widened before far parts of an area are cut."""

JOINED_MARGIN = 0.25
"""The same for layers that are joined: how far they reach beyond the cache still matters then.

Not more: the wide surroundings of a polar cache would reach beyond the equator, and then nobody
could say which pole they are around."""

CACHE_DETAIL = 1e7
"""How exactly that extent is transformed: to this part of its size."""

PREVIEW_FEATURES = 2000
"""A layer with more features is previewed by its bounding rectangle."""

PREVIEW_DETAIL = 1000
"""A preview leaves out what is smaller than this part of its size."""


@dataclass(frozen=True)
class Counted:
    """How many tiles of each level, by its id, an area touches, and the very area.

    `area` is as `resolve` gave it: None is the whole cache.
    """

    tiles: dict[int, int]
    area: BaseGeometry | Extent | None


def _never() -> bool:
    return False


def resolve(
    source: AreaSource, description: CacheDescription, cancelled: IsCancelled = _never
) -> BaseGeometry | Extent | None:
    """The area of the cache that `source` stands for; None: the whole cache. Any thread.

    In the scheme's CRS, clipped to the cache; a rectangle in that CRS stays a rectangle.
    Raises RequestError (BadArea, BadExtent, EmptyArea, AreaOutside), DescriptionError, Cancelled.
    """
    if isinstance(source, FullExtent):
        return None
    if isinstance(source, TypedExtent):
        typed = parse_extent(source.text, description.scheme.crs.world_width)
        return _as_extent(_fitted(box(*typed.bounds), description, densified=False))
    if isinstance(source, LayerExtents):
        return _as_extent(_fitted(_joined(source, description), description, densified=False))
    source = _placed(source, description)
    geometry = _dissolved(source, cancelled)
    way = _way_to_the_cache(source, description)
    if not way.is_needed:
        fitted = _fitted(geometry, description, densified=False)
        return _as_extent(fitted) if isinstance(source, RectangleArea) else fitted
    try:
        transformed = _transformed(geometry, way, description, CACHE_MARGIN)
    except NotTransformable:
        raise BadArea(source.name, BadAreaReason.NOT_TRANSFORMABLE) from None
    return _fitted(transformed, description, densified=True)


def preview(
    source: AreaSource,
    description: CacheDescription | None,
    canvas_crs: QgsCoordinateReferenceSystem,
    cancelled: IsCancelled = _never,
) -> QgsGeometry:
    """What to show of `source` on a canvas in `canvas_crs`, null where there is nothing.

    Any thread; reads all features of a layer. Not clipped to the cache, and coarser than the area
    that `resolve` gives. Raises Cancelled.
    """
    context = getattr(source, "context", None) or QgsCoordinateTransformContext()
    try:
        if isinstance(source, LayerExtents) and description is None:
            return qgis_geometry(_joined_roughly(source, canvas_crs))
        outline, crs = _outline(source, description, cancelled)
        if outline.is_empty or not canvas_crs.isValid():
            return QgsGeometry()
        way = way_to_plane(crs, canvas_crs, context)
        return qgis_geometry(in_plane(outline, way, PREVIEW_DETAIL) if way.is_needed else outline)
    except (TileCacheError, NotTransformable):
        return QgsGeometry()


def _placed(
    source: DrawnArea | RectangleArea | LayerArea, description: CacheDescription
) -> DrawnArea | RectangleArea | LayerArea:
    """`source` with a CRS, that of the cache where it has none of its own.

    Raises DescriptionError.
    """
    if source.crs is not None:
        return source
    return replace(source, crs=qgis_crs(description.scheme.crs, description.name))


def _dissolved(
    source: DrawnArea | RectangleArea | LayerArea, cancelled: IsCancelled
) -> BaseGeometry:
    """The source's geometry in its own CRS, one valid polygon or multipolygon; empty at worst."""
    if not source.crs.isValid():
        raise BadArea(source.name, BadAreaReason.NO_CRS)
    if isinstance(source, DrawnArea):
        return polygons_of(source.geometry)
    if isinstance(source, RectangleArea):
        return rectangle_polygon(source.rectangle)
    geometry = union_in_chunks(source.polygons(cancelled))
    if geometry.is_empty:
        raise BadArea(source.name, BadAreaReason.NO_POLYGONS)
    return geometry


def _way_to_the_cache(
    source: DrawnArea | RectangleArea | LayerArea, description: CacheDescription
) -> Reprojection:
    scheme = description.scheme
    target = qgis_crs(scheme.crs, description.name)
    levels = description.cached_levels or scheme.levels
    tolerance = FINEST_PIXELS * min(level.resolution for level in levels)
    width = scheme.crs.world_width or world_width(target)
    return Reprojection(source.crs, target, source.context, tolerance, width)


def _joined(source: LayerExtents, description: CacheDescription) -> BaseGeometry:
    """The layers' rectangles in the CRS of the cache, joined there; not clipped to the cache.

    Raises BadArea, AreaOutside, DescriptionError.
    """
    scheme = replace(_repeating(description), origin_x=-math.inf, origin_y=math.inf)
    regions = []
    for extent in source.extents:
        try:
            regions.append(_region(extent, scheme, description))
        except AreaOutside:  # so far from the cache that nobody can say where it is in its CRS
            if not source.is_union:
                raise
    if not regions:
        raise AreaOutside(description.name)
    area = joined(regions, source.is_union, scheme.crs.world_width)
    if area.is_empty:
        raise BadArea(source.name, BadAreaReason.NO_OVERLAP)
    return area


def _region(
    extent: RectangleArea, scheme: TilingScheme, description: CacheDescription
) -> BaseGeometry:
    """One layer's rectangle in the CRS of the cache, brought into the world of `scheme`.

    Raises BadArea, AreaOutside.
    """
    geometry = rectangle_polygon(extent.rectangle)
    way = _way_to_the_cache(extent, description)
    try:
        if way.is_needed:
            geometry = _transformed(geometry, way, description, JOINED_MARGIN)
        return fit_area(geometry, scheme, None, description.name, densified=way.is_needed)
    except AreaOutside:
        if scheme.crs.world_width is None:
            raise
        raise BadArea(extent.name, BadAreaReason.NOT_TRANSFORMABLE) from None
    except (NotTransformable, EmptyArea):
        raise BadArea(extent.name, BadAreaReason.NOT_TRANSFORMABLE) from None


def _joined_roughly(source: LayerExtents, crs: QgsCoordinateReferenceSystem) -> BaseGeometry:
    """The layers' rectangles in `crs`, joined there, for a preview.

    Raises NotTransformable, EmptyArea.
    """
    if not crs.isValid():
        return collected([])
    regions = []
    for extent in source.extents:
        way = way_to_plane(extent.crs, crs, extent.context)
        polygon = rectangle_polygon(extent.rectangle)
        regions.append(
            in_plane(polygon, way, PREVIEW_DETAIL)
            if way.is_needed
            else fit_area(polygon, plane(crs), None, "")
        )
    return joined(regions, source.is_union, world_width(crs))


def _transformed(
    geometry: BaseGeometry, way: Reprojection, description: CacheDescription, margin: float
) -> BaseGeometry:
    """`geometry` on its `way`, cut to the surroundings of the cache where it must be.

    `margin`: by which part of its size the cache's extent is widened to its surroundings.

    A national grid is meaningless on the far side of the earth, so what is far from such a cache is
    cut first. Where the target is the whole world, that is only tried once all else failed: then
    the map frame reached beyond the edge of its own projection.
    Raises NotTransformable, AreaOutside.
    """
    if way.world_width is None:
        return way.polygons(_near(geometry, way, description, margin))
    try:
        return way.polygons(geometry)
    except NotTransformable:
        # The edge of the whole world is met from within: on it, east and west are one.
        return way.polygons(_near(geometry, way, description, -1e-9))


def _near(
    geometry: BaseGeometry, way: Reprojection, description: CacheDescription, margin: float
) -> BaseGeometry:
    """What of `geometry` is near the cache; all of it where that cannot be told.

    Raises AreaOutside.
    """
    if description.extent is None or geometry.is_empty:
        return geometry
    xmin, ymin, xmax, ymax = description.extent.bounds
    wider = margin * max(xmax - xmin, ymax - ymin)
    frame = box(xmin - wider, ymin - wider, xmax + wider, ymax + wider)
    back = way_to_plane(way.target, way.source, way.context)
    try:
        frame = in_plane(frame, back, CACHE_DETAIL)
        geometry = fit_area(geometry, plane(way.source), None, description.name)
    except (NotTransformable, RequestError):
        return geometry
    near = valid_polygons(geometry.intersection(frame))
    if near.is_empty:
        raise AreaOutside(description.name)
    return near


def _fitted(
    geometry: BaseGeometry, description: CacheDescription, *, densified: bool
) -> BaseGeometry:
    scheme = _repeating(description)
    return fit_area(geometry, scheme, description.extent, description.name, densified=densified)


def _repeating(description: CacheDescription) -> TilingScheme:
    """The scheme of the cache, which tells where the world repeats."""
    scheme = description.scheme
    if scheme.crs.world_width is None and world_width(qgis_crs(scheme.crs, description.name)):
        # Degrees of any other datum go around the world as those of WGS 84 do.
        scheme = replace(scheme, crs=WGS_84)
    return scheme


def _as_extent(geometry: BaseGeometry) -> BaseGeometry | Extent:
    """`geometry` as an Extent where it is an upright rectangle, else as it is."""
    envelope = geometry.envelope
    if geometry.geom_type == "Polygon" and geometry.area >= envelope.area * (1 - 1e-12):
        return Extent(*geometry.bounds)
    return geometry


def _outline(
    source: AreaSource, description: CacheDescription | None, cancelled: IsCancelled
) -> tuple[BaseGeometry, QgsCoordinateReferenceSystem]:
    """The geometry to preview and its CRS. Raises TileCacheError, Cancelled."""
    if isinstance(source, DrawnArea):
        return polygons_of(source.geometry), source.crs
    if isinstance(source, LayerArea):
        return _layer_outline(source, cancelled), source.crs
    if isinstance(source, RectangleArea) and source.crs is not None:
        return rectangle_polygon(source.rectangle), source.crs
    if description is None:
        return collected([]), QgsCoordinateReferenceSystem()
    crs = qgis_crs(description.scheme.crs, description.name)
    if isinstance(source, RectangleArea):
        return rectangle_polygon(source.rectangle), crs
    if isinstance(source, LayerExtents):
        return _joined(source, description), crs
    extent = description.extent
    if isinstance(source, TypedExtent):
        extent = parse_extent(source.text, description.scheme.crs.world_width)
    return (collected([]) if extent is None else box(*extent.bounds)), crs


def _layer_outline(source: LayerArea, cancelled: IsCancelled) -> BaseGeometry:
    """The layer's polygons without small detail, or their rectangle where they are very many."""
    first: list[QgsGeometry] = []
    bounds = QgsRectangle()
    for geometry in source.geometries(cancelled):
        bounds.combineExtentWith(geometry.boundingBox())
        if len(first) <= PREVIEW_FEATURES:
            first.append(geometry)
    if len(first) > PREVIEW_FEATURES:
        return rectangle_polygon(bounds)
    detail = max(bounds.width(), bounds.height()) / PREVIEW_DETAIL
    return collected(polygons_of(geometry.simplify(detail)) for geometry in first)
