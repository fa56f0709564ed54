"""The extents of a project's layers, and how they are joined into one."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.core import QgsMapLayer, QgsProject
from shapely.geometry import MultiPolygon, box
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

from ..core.area import WORLD_EDGE
from ..core.errors import BadArea, BadAreaReason
from .area_sources import LayerExtents, RectangleArea, project_context
from .geometries import simple_polygons, valid_polygons
from .text import tr


def project_extents(project: QgsProject, how: str) -> LayerExtents:
    """Union or intersection (`how`) of the extents of the layers of `project`. Main thread.

    Layers without extent or CRS do not count. Raises BadArea: no layer counts.
    """
    if how not in ("union", "intersection"):
        raise ValueError(how)
    is_union = how == "union"
    name = tr("the union of the layers") if is_union else tr("the overlap of the layers")
    context = project_context(project)
    extents = tuple(
        RectangleArea(layer.name(), layer.extent(), layer.crs(), context)
        for layer in project.mapLayers().values()
        if _counts(layer)
    )
    if not extents:
        raise BadArea(name, BadAreaReason.NO_LAYERS)
    return LayerExtents(name, is_union, extents, context)


def joined(
    regions: Iterable[BaseGeometry], is_union: bool, world_width: float | None
) -> BaseGeometry:
    """The rectangle around `regions`, or what their rectangles have in common, maybe nothing.

    All in one CRS, within its world; so a rectangle that crosses the antimeridian is two.
    """
    rectangles = [_around(region, world_width) for region in regions]
    if is_union:
        return _around(unary_union(rectangles), world_width)
    common = rectangles[0]
    for rectangle in rectangles[1:]:
        common = valid_polygons(common.intersection(rectangle))
    return common


def _counts(layer: QgsMapLayer) -> bool:
    extent = layer.extent()
    return layer.isValid() and layer.crs().isValid() and not extent.isEmpty() and extent.isFinite()


def _around(region: BaseGeometry, world_width: float | None) -> BaseGeometry:
    """The upright rectangle around `region`.

    What lies at both edges of the world but not all the way between them meets at the antimeridian:
    its rectangle leaves out the widest gap.
    """
    xmin, ymin, xmax, ymax = region.bounds
    if world_width is None or xmax - xmin < world_width * (1 - WORLD_EDGE):
        return box(xmin, ymin, xmax, ymax)
    gap_from, gap_to = _widest_gap(region)
    if gap_to - gap_from <= world_width * WORLD_EDGE:
        return box(xmin, ymin, xmax, ymax)
    return MultiPolygon([box(xmin, ymin, gap_from, ymax), box(gap_to, ymin, xmax, ymax)])


def _widest_gap(region: BaseGeometry) -> tuple[float, float]:
    """Between which x nothing of `region` is; the same x twice where it is without a gap."""
    spans = sorted((part.bounds[0], part.bounds[2]) for part in simple_polygons(region))
    reach = spans[0][1]
    widest = (reach, reach)
    for start, end in spans:
        if start - reach > widest[1] - widest[0]:
            widest = (reach, start)
        reach = max(reach, end)
    return widest
