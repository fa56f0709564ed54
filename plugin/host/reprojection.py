"""Polygons from one CRS into another, without losing the shape of their edges. Any thread.

An edge that is straight in one CRS is a curve in another, so edges get more vertices first: where,
and how many, is found by transforming. An edge is cut in two while the transformed point of the cut
lies off the straight line between the transformed ends by more than the tolerance, or while a part
spans more than a sixteenth of the world. So a map frame of four corners gets a few thousand
vertices, a detailed coastline hardly any; and no edge is left whose way around the world is in
doubt.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsGeometry,
)
from shapely.geometry import MultiPolygon, Polygon, box
from shapely.geometry.base import BaseGeometry

from .geometries import simple_polygons, valid_polygons

FIRST_PIECES = 16
"""An edge as long as the geometry's box is cut into so many pieces before any is judged, so that
no piece winds."""

CUT = 0.35
"""Where an edge is judged and cut: not in its middle, for a line across the equator bends to one
side before its middle, to the other after it, and crosses its chord just there."""

MAX_CUTS = 40
"""An edge is cut at most so often in a row: then its parts are a millionth of it or less."""

MAX_VERTICES = 2_000_000
"""A ring with so many vertices gets no more: its edges are short enough for any tile."""

LAST_LATITUDE = 89.99
"""Where a geographic CRS is cut when its poles cannot be transformed."""

_WKB_LINE = struct.Struct("<BII")

Coordinates = NDArray[np.float64]


class NotTransformable(Exception):
    """The geometry has coordinates for which the other CRS has none."""


@dataclass(frozen=True)
class Reprojection:
    """The way from CRS `source` to CRS `target`, with the project's choices in `context`.

    `tolerance`: how far, in units of `target`, an edge may end up from where it should be.
    `world_width`: after how many of these units the world repeats eastwards; None: never.
    """

    source: QgsCoordinateReferenceSystem
    target: QgsCoordinateReferenceSystem
    context: QgsCoordinateTransformContext
    tolerance: float
    world_width: float | None = None

    @property
    def is_needed(self) -> bool:
        """Whether the two differ at all."""
        return not self._transform().isShortCircuited()

    def polygons(self, geometry: BaseGeometry) -> BaseGeometry:
        """`geometry` (polygons in `source`) in `target`.

        Where the world repeats, rings that cross the antimeridian jump there by a world's width, so
        the result is not valid as it is: it is for `core.area.fit_area(..., densified=True)`.
        Raises NotTransformable.
        """
        if self.source.isGeographic():
            # A map frame can reach beyond the poles; a change of datum would fold that back.
            geometry = _between_latitudes(geometry, 90.0)
            with suppress(NotTransformable):
                return self._transformed(geometry)
            geometry = _between_latitudes(geometry, LAST_LATITUDE)
        return self._transformed(geometry)

    def _transformed(self, geometry: BaseGeometry) -> MultiPolygon:
        transform = self._transform()
        polygons = []
        if geometry.is_empty:
            return MultiPolygon()
        xmin, ymin, xmax, ymax = geometry.bounds
        longest = max(xmax - xmin, ymax - ymin) / FIRST_PIECES
        for polygon in simple_polygons(geometry):
            rings = [
                self._ring(_in_pieces(np.asarray(ring.coords)[:, :2], longest), transform)
                for ring in (polygon.exterior, *polygon.interiors)
            ]
            polygons.append(Polygon(rings[0], rings[1:]))
        return MultiPolygon(polygons)

    def _ring(self, here: Coordinates, transform: QgsCoordinateTransform) -> Coordinates:
        """The transformed ring, with as many more vertices as it needs."""
        there = _points_there(here, transform)
        # 1: the edge that starts here is not judged yet
        open_edges = np.ones(len(here) - 1, dtype=bool)
        for _ in range(MAX_CUTS):
            where = np.flatnonzero(open_edges)
            if not len(where) or len(here) > MAX_VERTICES:
                break
            cuts = here[where] + CUT * (here[where + 1] - here[where])
            cuts_there = _points_there(cuts, transform)
            bent = self._is_bent(there[where], cuts_there, there[where + 1])
            open_edges[where[~bent]] = False
            at = where[bent] + 1
            here = np.insert(here, at, cuts[bent], axis=0)
            there = np.insert(there, at, cuts_there[bent], axis=0)
            open_edges = np.insert(open_edges, at, True)
        return there

    def _is_bent(
        self, starts: Coordinates, cuts: Coordinates, ends: Coordinates
    ) -> NDArray[np.bool_]:
        """Which edges are not straight enough, or cross too much of the world, to stay whole."""
        first, second = self._steps(starts, cuts), self._steps(cuts, ends)
        chord = first + second
        length = np.hypot(chord[:, 0], chord[:, 1])
        cross = np.abs(chord[:, 0] * first[:, 1] - chord[:, 1] * first[:, 0])
        away = np.divide(cross, length, out=np.hypot(first[:, 0], first[:, 1]), where=length > 0)
        bent = away > self.tolerance
        if self.world_width is not None:
            farthest = self.world_width / FIRST_PIECES
            bent |= np.maximum(np.abs(first[:, 0]), np.abs(second[:, 0])) > farthest
        return bent

    def _steps(self, starts: Coordinates, ends: Coordinates) -> Coordinates:
        """From points to points, the short way around the world."""
        steps = ends - starts
        if self.world_width is not None:
            steps[:, 0] -= self.world_width * np.rint(steps[:, 0] / self.world_width)
        return steps

    def _transform(self) -> QgsCoordinateTransform:
        return QgsCoordinateTransform(self.source, self.target, self.context)


def _in_pieces(ring: Coordinates, longest: float) -> Coordinates:
    """`ring` with edges above length `longest` cut into equal pieces."""
    steps = np.diff(ring, axis=0)
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    pieces = np.maximum(np.ceil(lengths / longest * (1 - 1e-9)), 1).astype(np.int64)
    edges = np.repeat(np.arange(len(steps)), pieces)
    nth = np.arange(len(edges)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    points = ring[edges] + steps[edges] * (nth / pieces[edges])[:, None]
    return np.vstack([points, ring[-1]])


def _points_there(points: Coordinates, transform: QgsCoordinateTransform) -> Coordinates:
    """`points` transformed, all at once as the vertices of a line. Raises NotTransformable."""
    line = QgsGeometry()
    doubled = np.vstack([points, points[-1]])  # a line of one vertex is none
    line.fromWkb(_WKB_LINE.pack(1, 2, len(doubled)) + doubled.tobytes())
    try:
        line.transform(transform)
    except QgsCsException:
        raise NotTransformable() from None
    there = np.frombuffer(bytes(line.asWkb()), dtype="<f8", offset=_WKB_LINE.size)
    there = there.reshape(-1, 2)[:-1]
    if len(there) != len(points) or not np.isfinite(there).all():
        raise NotTransformable()
    return there


def _between_latitudes(geometry: BaseGeometry, latitude: float) -> BaseGeometry:
    if geometry.is_empty:
        return geometry
    xmin, ymin, xmax, ymax = geometry.bounds
    if -latitude <= ymin and ymax <= latitude:
        return geometry
    return valid_polygons(geometry.intersection(box(xmin, -latitude, xmax, latitude)))
