"""Areas of interest, fitted to a tiling scheme; and extents that people type.

Everything here is in the scheme's CRS; transforming into it is the caller's business.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from shapely.affinity import translate
from shapely.geometry import MultiPolygon, Polygon, box
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union
from shapely.validation import make_valid

from .errors import AreaOutside, BadExtent, EmptyArea
from .tiling import Extent, SpatialReference, TilingScheme

WORLD_EDGE = 1e-9
"""Part of the world's width by which an area may reach beyond the world's edge through rounding.

That is 4 cm on the equator: extents are published as -20037508.3428, and a strip of that sort must
not add a column of tiles at the other end of the world."""

MAX_WORLDS = 16
"""Worlds to either side that an area is wrapped from; what lies farther off is left out."""

_NUMBER = r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)"
_EXTENT = re.compile(
    r"\s*" + r"(?:\s*[,;]\s*|\s+)".join([_NUMBER] * 4) + r"\s*", re.ASCII | re.IGNORECASE
)

FARTHEST = 1e15
"""Coordinates beyond this (CRS units) are no place: a double there tells no tenth of a unit."""

Ring = NDArray[np.float64]


def parse_extent(text: str, world_width: float | None = None) -> Extent:
    """The extent written as `xmin ymin xmax ymax`, parted by blanks, commas or semicolons.

    Where `world_width` is given (CRS units), an xmin above xmax means an extent that crosses the
    antimeridian; its xmax comes out one world farther east. Raises BadExtent.
    """
    match = _EXTENT.fullmatch(text)
    if match is None:
        raise BadExtent(text)
    xmin, ymin, xmax, ymax = (float(number) for number in match.groups())
    if world_width is not None and xmin > xmax:
        xmax += world_width
    if not (xmin < xmax and ymin < ymax and math.isfinite(xmax - xmin + ymax - ymin)):
        raise BadExtent(text)
    return Extent(xmin, ymin, xmax, ymax)


def fit_area(
    geometry: BaseGeometry,
    scheme: TilingScheme,
    extent: Extent | None,
    service: str,
    densified: bool = False,
) -> BaseGeometry:
    """`geometry` as a valid polygon or multipolygon that lies where the scheme has tiles.

    In order: only polygons are kept, Z is dropped, invalid polygons are made valid (overlapping
    parts of a ring by the even-odd rule, as they are drawn); where the CRS repeats eastwards, what
    lies beyond the world's edges is brought back into the world; then all is clipped to the
    quadrant right of and below the scheme's origin, and to `extent` (None: not clipped).

    The world is centred on 0, wherever the origin is. But an `extent` of at most one world that
    itself crosses the world's edge (a cache of the Pacific, say) is taken for the world's place,
    so that areas on either side of the antimeridian find it.

    `densified`: the geometry was densified and then transformed into the scheme's CRS, so a ring
    that jumps by more than half a world between neighbouring vertices crossed the antimeridian. Its
    jumps are undone first. An undensified rectangle has such edges lawfully. A ring that does not
    close then runs around a pole: it is closed along the edge of the plane on the ring's own side
    of the equator (by its mean height; north where the mean is 0).

    Raises EmptyArea (no polygon with a surface; or coordinates that are not numbers, infinite or
    beyond FARTHEST, so nobody knows what the area is), AreaOutside (which names `service`).
    """
    parts = []
    for polygon in _polygons(geometry):
        rings = [
            np.asarray(ring.coords)[:, :2]
            for ring in (polygon.exterior, *polygon.interiors)
            if not ring.is_empty
        ]
        if not all((np.abs(ring) <= FARTHEST).all() for ring in rings):
            raise EmptyArea()
        parts.append(_region(rings, scheme.crs, densified))
    area = _surface(unary_union(parts))
    if area.is_empty:
        raise EmptyArea()
    if scheme.crs.world_width is not None:
        area = _wrapped(area, scheme.crs.world_width, extent)
    area = clip_area(area, scheme, extent)
    if area.is_empty:
        raise AreaOutside(service)
    return area


def _polygons(geometry: BaseGeometry) -> Iterator[BaseGeometry]:
    """All polygons in `geometry`, however deep in collections; points and lines are left out."""
    if geometry.is_empty:
        return
    if geometry.geom_type == "Polygon":
        yield geometry
    for part in getattr(geometry, "geoms", ()):
        yield from _polygons(part)


def _surface(geometry: BaseGeometry) -> BaseGeometry:
    """The polygons of `geometry`, the result of a computation, as one geometry."""
    if geometry.geom_type in ("Polygon", "MultiPolygon"):
        return geometry
    return MultiPolygon(list(_polygons(geometry)))


def _region(rings: list[Ring], crs: SpatialReference, densified: bool) -> BaseGeometry:
    """What a polygon of an outer ring and holes encloses, as valid polygons."""
    width = crs.world_width
    if densified and width is not None and any(_jumps(ring, width).any() for ring in rings):
        # Rings may come out in different worlds; brought into one, a hole meets its polygon again.
        regions = [
            _wrapped(_enclosed(_unwrapped(ring, width, _pole_height(crs, width))), width, None)
            for ring in rings
        ]
    else:
        polygon = Polygon(rings[0], rings[1:])
        if polygon.is_valid:
            return polygon
        regions = [_enclosed(ring) for ring in rings]
    outer, holes = regions[0], regions[1:]
    return _surface(outer.difference(unary_union(holes))) if holes else outer


def _enclosed(ring: Ring) -> BaseGeometry:
    """What one ring encloses, by the even-odd rule, as valid polygons."""
    polygon = Polygon(ring)
    return polygon if polygon.is_valid else _surface(make_valid(polygon))


def _jumps(ring: Ring, width: float) -> NDArray[np.float64]:
    """By how many worlds each edge of `ring` jumps: mostly 0, and 1 or -1 at the antimeridian."""
    steps = np.diff(ring[:, 0])
    return np.where(np.abs(steps) > width / 2, np.rint(steps / width), 0.0)


def _unwrapped(ring: Ring, width: float, pole: float) -> Ring:
    """`ring` with its jumps undone, closed along the plane's edge where it runs around a pole.

    `pole`: height of the plane's upper edge in CRS units; the lower edge is at -`pole`.
    """
    worlds = np.concatenate([[0.0], np.cumsum(_jumps(ring, width))])
    ring = np.column_stack([ring[:, 0] - worlds * width, ring[:, 1]])
    if worlds[-1] == 0:
        return ring
    start, end = ring[0], ring[-1]
    steps = np.abs(np.diff(ring[:, 0]))
    mean = np.average((ring[:-1, 1] + ring[1:, 1]) / 2, weights=steps)
    edge = pole if mean >= 0 else -pole
    return np.vstack([ring, [[end[0], edge], [start[0], edge], start]])


def _pole_height(crs: SpatialReference, width: float) -> float:
    """Height of the world's upper edge: 90 degrees, or that of Web Mercator's square world."""
    return width / 4 if crs.is_geographic_world else width / 2


def _wrapped(area: BaseGeometry, width: float, extent: Extent | None) -> BaseGeometry:
    """`area` with what lies beyond the edges of the world shifted into it by whole worlds."""
    if area.is_empty:
        return area
    west = -width / 2
    if extent is not None and extent.xmax - extent.xmin <= width * (1 + WORLD_EDGE):
        sticks_out = max(west - extent.xmin, extent.xmax + west)
        if sticks_out > width * WORLD_EDGE:
            west = extent.xmin
    xmin, ymin, xmax, ymax = area.bounds
    if west <= xmin and xmax <= west + width:
        return area
    first = math.floor((xmin - west) / width + WORLD_EDGE)
    last = max(first, math.ceil((xmax - west) / width - WORLD_EDGE) - 1)
    worlds = []
    for world in range(max(first, -MAX_WORLDS), min(last, MAX_WORLDS) + 1):
        left = west + world * width
        part = area.intersection(box(left, ymin, left + width, ymax))
        worlds.append(translate(_surface(part), xoff=-world * width))
    return _surface(unary_union(worlds))


def clip_area(area: BaseGeometry, scheme: TilingScheme, extent: Extent | None) -> BaseGeometry:
    """`area` right of and below the scheme's origin and within `extent`; empty where nothing is."""
    if area.is_empty:
        return area
    xmin, ymin, xmax, ymax = area.bounds
    left, top = max(xmin, scheme.origin_x), min(ymax, scheme.origin_y)
    if left >= xmax or ymin >= top:
        return MultiPolygon()
    window = Extent(left, ymin, xmax, top)
    common = window if extent is None else window.intersection(extent)
    if common is None:
        return MultiPolygon()
    if common.bounds == area.bounds:
        return area
    return _surface(area.intersection(box(*common.bounds)))
