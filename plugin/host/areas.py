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
    LevelsWithoutArea,
    RequestError,
    TileCacheError,
)
from ..core.level_areas import Areas, LevelArea, Place
from ..core.tiling import Extent, Level, TilingScheme
from .area_rules import rule_of
from .area_sources import (
    AreasByScale,
    AreaSource,
    BadRectangle,
    BufferedArea,
    Cancelled,
    CountriesArea,
    DrawnArea,
    FullExtent,
    IsCancelled,
    LayerArea,
    LayerExtents,
    PlacedArea,
    RectangleArea,
    ScaleArea,
    TypedExtent,
    UnknownCrs,
    project_context,
)
from .crs import qgis_crs
from .geometries import collected, qgis_geometry, rectangle_polygon, valid_polygons
from .layer_extents import joined, project_extents
from .planes import WGS_84, in_plane, plane, way_to_plane, world_width
from .reprojection import NotTransformable, Reprojection
from .shapes import PREVIEW_DETAIL, PREVIEW_FEATURES, Outlines, Shapes

__all__ = [
    "PREVIEW_FEATURES",
    "AreaSource",
    "AreasByScale",
    "BadRectangle",
    "BufferedArea",
    "Cancelled",
    "Counted",
    "CountriesArea",
    "DrawnArea",
    "FullExtent",
    "LayerArea",
    "LayerExtents",
    "RectangleArea",
    "ScaleArea",
    "TypedExtent",
    "UnknownCrs",
    "preview",
    "project_context",
    "project_extents",
    "reads_features",
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

PLACED = (DrawnArea, RectangleArea, LayerArea, BufferedArea, CountriesArea)


@dataclass(frozen=True)
class Counted:
    """How many tiles of each level, by its id, an area touches, and the very area.

    `area` is as `resolve` gave it: None is the whole cache. Where it is one for some levels each,
    those without an area are not among `tiles`.
    """

    tiles: dict[int, int]
    area: Areas


def _never() -> bool:
    return False


def resolve(
    source: AreaSource,
    description: CacheDescription,
    cancelled: IsCancelled = _never,
    levels: tuple[Level, ...] = (),
) -> Areas:
    """The area of the cache that `source` stands for; None: the whole cache. Any thread.

    In the scheme's CRS, clipped to the cache; a rectangle in that CRS stays a rectangle. Of areas
    by scale a group of levels for each of them, without the levels that are in no rule, and without
    the areas that none of `levels`, those that are wanted, has; () for all cached ones.
    Raises RequestError (BadArea, BadExtent, EmptyArea, AreaOutside, LevelsWithoutArea: no level is
    in any rule), DescriptionError, Cancelled.
    """
    shapes = Shapes(description, cancelled)
    if not isinstance(source, AreasByScale):
        return _place(source, description, shapes)
    levels = levels or description.cached_levels or description.scheme.levels
    ruled = [(rule_of(source.rules, level), level) for level in levels]
    held = [(rule.source, level) for rule, level in ruled if rule is not None]
    if not held:
        raise LevelsWithoutArea(tuple(level.scale for level in levels))
    groups = {
        id(each): (each, tuple(level for other, level in held if other is each))
        for each, _level in held
    }
    return tuple(_level_area(*group, description, shapes) for group in groups.values())


def _level_area(
    source: FullExtent | PlacedArea,
    levels: tuple[Level, ...],
    description: CacheDescription,
    shapes: Shapes,
) -> LevelArea:
    """The area of `levels`. Raises as `resolve`; AreaOutside says of which levels."""
    try:
        place = _place(source, description, shapes)
    except AreaOutside as error:
        raise AreaOutside(error.service, tuple(level.scale for level in levels)) from None
    return LevelArea(tuple(level.id for level in levels), place)


def _place(
    source: FullExtent | TypedExtent | LayerExtents | PlacedArea,
    description: CacheDescription,
    shapes: Shapes,
) -> Place:
    if isinstance(source, FullExtent):
        return None
    if isinstance(source, TypedExtent):
        typed = parse_extent(source.text, description.scheme.crs.world_width)
        return _as_extent(_fitted(box(*typed.bounds), description, densified=False))
    if isinstance(source, LayerExtents):
        return _as_extent(_fitted(_joined(source, description), description, densified=False))
    geometry, crs = shapes.of(source)
    way = _way_to_the_cache(crs, source.context, description)
    if not way.is_needed:
        fitted = _fitted(geometry, description, densified=False)
        return _as_extent(fitted) if isinstance(source, RectangleArea) else fitted
    try:
        transformed = _transformed(geometry, way, description, CACHE_MARGIN)
    except NotTransformable:
        raise BadArea(source.name, BadAreaReason.NOT_TRANSFORMABLE) from None
    return _fitted(transformed, description, densified=True)


def reads_features(source: AreaSource) -> bool:
    """Whether features must be read to know `source`, or much is to be computed: a task's work."""
    if isinstance(source, AreasByScale):
        return any(reads_features(rule.source) for rule in source.rules)
    return isinstance(source, (LayerArea, BufferedArea, CountriesArea))


def preview(
    source: AreaSource,
    description: CacheDescription | None,
    canvas_crs: QgsCoordinateReferenceSystem,
    cancelled: IsCancelled = _never,
) -> QgsGeometry:
    """What to show of `source` on a canvas in `canvas_crs`, null where there is nothing.

    Any thread; reads all features of a layer. Not clipped to the cache, and coarser than the area
    that `resolve` gives. Of areas by scale all that can be shown, one over the other.
    Raises Cancelled.
    """
    shapes = Outlines(description, cancelled)
    if not isinstance(source, AreasByScale):
        return qgis_geometry(_shown(source, description, canvas_crs, shapes))
    sources = {id(rule.source): rule.source for rule in source.rules}
    shown = (_shown(each, description, canvas_crs, shapes) for each in sources.values())
    return qgis_geometry(collected(shown))


def _shown(
    source: AreaSource,
    description: CacheDescription | None,
    canvas_crs: QgsCoordinateReferenceSystem,
    shapes: Outlines,
) -> BaseGeometry:
    """What to show of one area in `canvas_crs`; empty where there is nothing. Raises Cancelled."""
    context = getattr(source, "context", None) or QgsCoordinateTransformContext()
    try:
        if isinstance(source, LayerExtents) and description is None:
            return _joined_roughly(source, canvas_crs)
        outline, crs = _outline(source, description, shapes)
        if outline.is_empty or not canvas_crs.isValid():
            return collected([])
        way = way_to_plane(crs, canvas_crs, context)
        return in_plane(outline, way, PREVIEW_DETAIL) if way.is_needed else outline
    except (TileCacheError, NotTransformable):
        return collected([])


def _way_to_the_cache(
    crs: QgsCoordinateReferenceSystem,
    context: QgsCoordinateTransformContext,
    description: CacheDescription,
) -> Reprojection:
    scheme = description.scheme
    target = qgis_crs(scheme.crs, description.name)
    levels = description.cached_levels or scheme.levels
    tolerance = FINEST_PIXELS * min(level.resolution for level in levels)
    width = scheme.crs.world_width or world_width(target)
    return Reprojection(crs, target, context, tolerance, width)


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
    way = _way_to_the_cache(extent.crs, extent.context, description)
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
    source: AreaSource, description: CacheDescription | None, shapes: Outlines
) -> tuple[BaseGeometry, QgsCoordinateReferenceSystem]:
    """The geometry to preview and its CRS. Raises TileCacheError, Cancelled."""
    if isinstance(source, PLACED):
        return shapes.of(source)
    if description is None:
        return collected([]), QgsCoordinateReferenceSystem()
    crs = qgis_crs(description.scheme.crs, description.name)
    if isinstance(source, LayerExtents):
        return _joined(source, description), crs
    extent = description.extent
    if isinstance(source, TypedExtent):
        extent = parse_extent(source.text, description.scheme.crs.world_width)
    return (collected([]) if extent is None else box(*extent.bounds)), crs
