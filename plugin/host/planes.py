"""The plane of a CRS, for areas that are fitted to no cache yet. Any thread."""

from __future__ import annotations

import math
from dataclasses import replace

from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransformContext
from shapely.geometry.base import BaseGeometry

from ..core.area import fit_area
from ..core.tiling import SpatialReference, TilingScheme
from .reprojection import Reprojection

WGS_84 = SpatialReference(4326)


def world_width(crs: QgsCoordinateReferenceSystem) -> float | None:
    """After how many units of `crs` the world repeats eastwards; None where it does not."""
    return _reference(crs).world_width


def plane(crs: QgsCoordinateReferenceSystem) -> TilingScheme:
    """A scheme without edges in `crs`: fitted to it, an area is made valid and clipped nowhere."""
    return TilingScheme(-math.inf, math.inf, 1, 1, 96.0, _reference(crs), ())


def way_to_plane(
    source: QgsCoordinateReferenceSystem,
    target: QgsCoordinateReferenceSystem,
    context: QgsCoordinateTransformContext,
) -> Reprojection:
    """The way from `source` to `target`, as roughly as may be."""
    return Reprojection(source, target, context, math.inf, world_width(target))


def in_plane(geometry: BaseGeometry, way: Reprojection, detail: float) -> BaseGeometry:
    """`geometry` transformed, valid, off by at most a `detail`th of its size.

    Raises NotTransformable, EmptyArea.
    """
    target = plane(way.target)
    rough = fit_area(way.polygons(geometry), target, None, "", densified=True)
    way = replace(way, tolerance=math.sqrt(rough.area) / detail)
    return fit_area(way.polygons(geometry), target, None, "", densified=True)


def _reference(crs: QgsCoordinateReferenceSystem) -> SpatialReference:
    """`crs` as far as its repeating matters: Web Mercator, degrees, or neither."""
    if crs.isGeographic():
        return WGS_84
    return SpatialReference(3857) if crs.authid() == "EPSG:3857" else SpatialReference()
