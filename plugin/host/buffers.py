"""Polygons made wider by so many metres on the ground, anywhere on the earth. Any thread.

A buffer in the units of a CRS is none in metres: Web Mercator's metres are two on the ground at 60
degrees, and at the poles and the antimeridian a plane ends. So polygons are cut by a grid of
degrees, each piece is brought into an azimuthal equidistant projection around its middle (Snyder,
Map Projections - A Working Manual, 25), where distances are true to two percent as far as such a
piece and its buffer reach, and what comes out is put together on the globe: the buffer of a whole
is the union of the buffers of its parts. A wide buffer is made in steps, for the buffer of a
buffer is the wider buffer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransformContext
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

from ..core.area import fit_area
from .geometries import simple_polygons, valid_polygons
from .planes import plane
from .reprojection import Reprojection

CELL = 20
"""Width and height of a cell of the grid, in degrees: its corners are 1600 km from its middle."""

LONGEST_STEP = 500_000.0
"""Metres by which pieces are widened at a time."""

WHOLE_EARTH = 20_037_508.0
"""Metres from any point to the farthest: so wide a buffer is the whole earth."""

ARC_SEGMENTS = 16
"""Into so many straight segments a quarter of a circle is cut: it is short by 0.1 percent."""

DETAIL = 100
"""Edges are off by at most this part of the buffer, or by LEAST_TOLERANCE."""

LEAST_TOLERANCE = 0.01
"""Metres."""

DEGREE = 111_320.0
"""Metres of a degree along the equator."""

MANY_PARTS = 100
"""From so many on they are buffered in steps."""

DOUBLING = (1 / 64, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)

HAIR = 1e-9
"""Degrees, a tenth of a millimetre: below that a gap is none."""

_WORLD = box(-180.0, -90.0, 180.0, 90.0)


def degrees_crs() -> QgsCoordinateReferenceSystem:
    """The CRS of what comes out: WGS 84, longitude and latitude."""
    return QgsCoordinateReferenceSystem("EPSG:4326")


def in_degrees(
    geometry: BaseGeometry,
    crs: QgsCoordinateReferenceSystem,
    context: QgsCoordinateTransformContext,
    tolerance: float,
) -> BaseGeometry:
    """`geometry` in degrees of WGS 84, within one world, off by at most `tolerance` metres.

    Raises NotTransformable, EmptyArea.
    """
    way = Reprojection(crs, degrees_crs(), context, tolerance / DEGREE, 360.0)
    is_needed = way.is_needed
    found = way.polygons(geometry) if is_needed else geometry
    fitted = fit_area(found, plane(way.target), None, "", densified=is_needed)
    return valid_polygons(fitted.intersection(_WORLD))


def tolerance_of(metres: float) -> float:
    """How far edges may be off where `metres` is the buffer, in metres."""
    return max(metres / DETAIL, LEAST_TOLERANCE)


def buffered(area: BaseGeometry, metres: float, stop: Callable[[], None]) -> BaseGeometry:
    """`area`, in degrees of WGS 84 within one world, made wider by `metres` on the ground.

    `stop` is called now and then, and raises where the work is no longer wanted.
    Raises NotTransformable, EmptyArea.
    """
    if area.is_empty or metres <= 0:
        return area
    if metres >= WHOLE_EARTH:
        return _WORLD
    steps = math.ceil(metres / LONGEST_STEP)
    tolerance = tolerance_of(metres)
    for _ in range(steps):
        if area.area >= _WORLD.area * (1 - 1e-9):
            return _WORLD
        pieces = [area]
        for piece in _pieces(area):
            stop()
            pieces.append(_widened(piece, metres / steps, tolerance))
        area = valid_polygons(unary_union(pieces).intersection(_WORLD))
        if steps > 1:
            area = valid_polygons(area.simplify(tolerance / DEGREE))
    return area


def _pieces(area: BaseGeometry) -> Iterator[BaseGeometry]:
    """The parts of `area` in the cells of the grid."""
    west, south, east, north = area.bounds
    for x in range(math.floor(west / CELL), math.ceil(east / CELL)):
        for y in range(math.floor(south / CELL), math.ceil(north / CELL)):
            cell = box(x * CELL, y * CELL, (x + 1) * CELL, (y + 1) * CELL)
            piece = valid_polygons(area.intersection(cell))
            if not piece.is_empty:
                yield piece


def _widened(piece: BaseGeometry, metres: float, tolerance: float) -> BaseGeometry:
    """`piece` widened, in degrees. Raises NotTransformable, EmptyArea."""
    here, context = degrees_crs(), QgsCoordinateTransformContext()
    around = _around(piece)
    local = Reprojection(here, around, context, tolerance).polygons(piece)
    wider = _wider(valid_polygons(local), metres)
    back = Reprojection(around, here, context, tolerance / DEGREE, 360.0)
    return _without_cracks(fit_area(back.polygons(wider), plane(here), None, "", densified=True))


def _wider(plane_area: BaseGeometry, metres: float) -> BaseGeometry:
    """The buffer of `plane_area` in its plane.

    That of very many parts, in steps that double: circles that all overlap take minutes.
    """
    if len(simple_polygons(plane_area)) <= MANY_PARTS:
        return valid_polygons(plane_area.buffer(metres, ARC_SEGMENTS))
    for part in DOUBLING:
        wider = plane_area.buffer(metres * part, ARC_SEGMENTS)
        plane_area = valid_polygons(wider.simplify(metres / DETAIL / len(DOUBLING)))
    return plane_area


def _without_cracks(area: BaseGeometry) -> BaseGeometry:
    """`area` without the crack of a rounding error that one around a pole has where it is cut."""
    _west, south, _east, north = area.bounds
    if south > -90.0 and north < 90.0:
        return area
    closed = area.buffer(HAIR, join_style=2).buffer(-HAIR, join_style=2)
    return valid_polygons(unary_union([area, closed]))


def _around(piece: BaseGeometry) -> QgsCoordinateReferenceSystem:
    """The azimuthal equidistant projection around the middle of `piece`, to a degree."""
    west, south, east, north = piece.bounds
    return QgsCoordinateReferenceSystem.fromProj(
        f"+proj=aeqd +lat_0={round((south + north) / 2)} +lon_0={round((west + east) / 2)}"
        " +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs +type=crs"
    )
