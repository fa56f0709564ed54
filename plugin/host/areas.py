"""How an area that a person chose becomes an area of a cache, and what to show of it.

The one door to areas: its sources stand in `area_sources`, which only host reads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsGeometry,
    QgsMapLayer,
    QgsProject,
    QgsRectangle,
)
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from ..core.area import fit_area, parse_extent
from ..core.description import CacheDescription
from ..core.errors import AreaOutside, BadArea, BadAreaReason, RequestError, TileCacheError
from ..core.tiling import Extent, SpatialReference, TilingScheme
from .area_sources import (
    AreaSource,
    Cancelled,
    DrawnArea,
    FullExtent,
    IsCancelled,
    LayerArea,
    RectangleArea,
    TypedExtent,
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
from .reprojection import NotTransformable, Reprojection
from .text import tr

__all__ = [
    "AreaSource",
    "Cancelled",
    "Counted",
    "DrawnArea",
    "FullExtent",
    "LayerArea",
    "RectangleArea",
    "TypedExtent",
    "preview",
    "project_context",
    "project_extents",
    "resolve",
]

FINEST_PIXELS = 0.25
"""How far a transformed edge may be off, in pixels of the finest cached level."""

CACHE_MARGIN = 0.05
"""By which part of its size the cache's extent is widened before far parts of an area are cut."""

CACHE_DETAIL = 1e7
"""How exactly that extent is transformed: to this part of its size."""

PREVIEW_FEATURES = 2000
"""A layer with more features is previewed by its bounding rectangle."""

PREVIEW_DETAIL = 1000
"""A preview leaves out what is smaller than this part of its size."""

_WGS_84 = SpatialReference(4326)


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
    source = _placed(source, description)
    geometry = _dissolved(source, cancelled)
    way = _way_to_the_cache(source, description)
    if not way.is_needed:
        fitted = _fitted(geometry, description, densified=False)
        return _as_extent(fitted) if isinstance(source, RectangleArea) else fitted
    try:
        transformed = _transformed(geometry, way, description)
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
        outline, crs = _outline(source, description, cancelled)
        if outline.is_empty or not canvas_crs.isValid():
            return QgsGeometry()
        way = _way_to_a_plane(crs, canvas_crs, context)
        return qgis_geometry(
            _in_a_plane(outline, way, PREVIEW_DETAIL) if way.is_needed else outline
        )
    except (TileCacheError, NotTransformable):
        return QgsGeometry()


def project_extents(project: QgsProject, how: str) -> RectangleArea:
    """Union or intersection (`how`) of the extents of the layers of `project`, in its CRS.

    Layers without extent or CRS do not count. Main thread.
    Raises BadArea: no layer counts, one cannot be transformed, no overlap.
    """
    if how not in ("union", "intersection"):
        raise ValueError(how)
    is_union = how == "union"
    name = tr("the union of the layers") if is_union else tr("the overlap of the layers")
    crs = project.crs()
    if not crs.isValid():
        raise BadArea(name, BadAreaReason.NO_CRS)
    layers = [layer for layer in project.mapLayers().values() if _counts(layer)]
    rectangles = [_extent_in_project(layer, project) for layer in layers]
    if not rectangles:
        raise BadArea(name, BadAreaReason.NO_LAYERS)
    result = QgsRectangle(rectangles[0])
    for rectangle in rectangles[1:]:
        if is_union:
            result.combineExtentWith(rectangle)
        else:
            result = result.intersect(rectangle)
    if result.isEmpty():
        raise BadArea(name, BadAreaReason.NO_OVERLAP)
    return RectangleArea(name, result, crs, project_context(project))


def _counts(layer: QgsMapLayer) -> bool:
    extent = layer.extent()
    return layer.isValid() and layer.crs().isValid() and not extent.isEmpty() and extent.isFinite()


def _extent_in_project(layer: QgsMapLayer, project: QgsProject) -> QgsRectangle:
    transform = QgsCoordinateTransform(layer.crs(), project.crs(), project)
    try:
        rectangle = transform.transformBoundingBox(layer.extent())
    except QgsCsException:
        rectangle = QgsRectangle()
    if rectangle.isEmpty() or not rectangle.isFinite():
        raise BadArea(layer.name(), BadAreaReason.NOT_TRANSFORMABLE)
    return rectangle


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
    world_width = scheme.crs.world_width or _world_width(target)
    return Reprojection(source.crs, target, source.context, tolerance, world_width)


def _transformed(
    geometry: BaseGeometry, way: Reprojection, description: CacheDescription
) -> BaseGeometry:
    """`geometry` on its `way`, cut to the surroundings of the cache where it must be.

    A national grid is meaningless on the far side of the earth, so what is far from such a cache is
    cut first. Where the target is the whole world, that is only tried once all else failed: then
    the map frame reached beyond the edge of its own projection.
    Raises NotTransformable, AreaOutside.
    """
    if way.world_width is None:
        return way.polygons(_near(geometry, way, description))
    try:
        return way.polygons(geometry)
    except NotTransformable:
        return way.polygons(_near(geometry, way, description))


def _near(geometry: BaseGeometry, way: Reprojection, description: CacheDescription) -> BaseGeometry:
    """What of `geometry` is near the cache; all of it where that cannot be told.

    Raises AreaOutside.
    """
    if description.extent is None or geometry.is_empty:
        return geometry
    xmin, ymin, xmax, ymax = description.extent.bounds
    # The edge of the whole world is met from within: on it, east and west are one.
    margin = (CACHE_MARGIN if way.world_width is None else -1e-9) * max(xmax - xmin, ymax - ymin)
    frame = box(xmin - margin, ymin - margin, xmax + margin, ymax + margin)
    back = _way_to_a_plane(way.target, way.source, way.context)
    try:
        frame = _in_a_plane(frame, back, CACHE_DETAIL)
        geometry = fit_area(geometry, _plane(way.source), None, description.name)
    except (NotTransformable, RequestError):
        return geometry
    near = valid_polygons(geometry.intersection(frame))
    if near.is_empty:
        raise AreaOutside(description.name)
    return near


def _fitted(
    geometry: BaseGeometry, description: CacheDescription, *, densified: bool
) -> BaseGeometry:
    scheme = description.scheme
    if scheme.crs.world_width is None and _world_width(qgis_crs(scheme.crs, description.name)):
        # Degrees of any other datum go around the world as those of WGS 84 do.
        scheme = replace(scheme, crs=_WGS_84)
    return fit_area(geometry, scheme, description.extent, description.name, densified=densified)


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


def _way_to_a_plane(
    source: QgsCoordinateReferenceSystem,
    target: QgsCoordinateReferenceSystem,
    context: QgsCoordinateTransformContext,
) -> Reprojection:
    return Reprojection(source, target, context, math.inf, _world_width(target))


def _in_a_plane(geometry: BaseGeometry, way: Reprojection, detail: float) -> BaseGeometry:
    """`geometry` transformed, valid, off by at most a `detail`th of its size.

    Raises NotTransformable, EmptyArea.
    """
    plane = _plane(way.target)
    rough = fit_area(way.polygons(geometry), plane, None, "", densified=True)
    way = replace(way, tolerance=math.sqrt(rough.area) / detail)
    return fit_area(way.polygons(geometry), plane, None, "", densified=True)


def _world_width(crs: QgsCoordinateReferenceSystem) -> float | None:
    """After how many units of `crs` the world repeats eastwards; None where it does not."""
    return _reference(crs).world_width


def _plane(crs: QgsCoordinateReferenceSystem) -> TilingScheme:
    """A scheme without edges in `crs`: fitted to it, an area is made valid and clipped nowhere."""
    return TilingScheme(-math.inf, math.inf, 1, 1, 96.0, _reference(crs), ())


def _reference(crs: QgsCoordinateReferenceSystem) -> SpatialReference:
    """`crs` as far as its repeating matters: Web Mercator, degrees, or neither."""
    if crs.isGeographic():
        return _WGS_84
    return SpatialReference(3857) if crs.authid() == "EPSG:3857" else SpatialReference()
