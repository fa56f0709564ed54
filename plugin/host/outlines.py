"""Which squares of the map are free of outlines, points and the inside of polygons. Plain numbers.

For that the vertices of all features lie in one array, with boxes around short runs of them: the
box around a whole country, with its islands, would hold half an ocean.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from ..core.tiling import Extent

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

RUN = 16
"""Edges in a box: fewer cost memory, more leave larger boxes to look into."""

MANY = 512
"""A square that meets so many boxes is taken for one that is not free, without looking closer."""

_POINT, _LINE, _POLYGON = 1, 2, 3
_COLLECTIONS = (4, 5, 6, 7)
_OLD_Z = 0x80000000


class UnknownShape(Exception):
    """A geometry of another type than points, lines, polygons and collections of them."""


class Shapes:
    """Parts of geometries (points, lines, rings) as they are read, in any CRS."""

    def __init__(self) -> None:
        self._parts: list[Floats] = []
        self._are_rings: list[bool] = []
        self.vertices = 0

    def add(self, wkb: bytes) -> None:
        """Take in a geometry (OGC 06-103r4, 8.2, with Z and M, and the older code of 2.5D).

        Raises UnknownShape.
        """
        self._read(wkb, 0)

    def arrays(self) -> tuple[Floats, Whole, NDArray[np.bool_]]:
        """All vertices, how many each part has, and which parts are rings."""
        points = np.concatenate(self._parts) if self._parts else np.empty((0, 2))
        lengths = np.array([len(part) for part in self._parts], np.int64)
        return points.astype(np.float64), lengths, np.array(self._are_rings, np.bool_)

    def _read(self, wkb: bytes, at: int) -> int:
        """Take in the geometry that begins at a byte; where it ends."""
        order = "<" if wkb[at] else ">"
        (code,) = struct.unpack_from(order + "I", wkb, at + 1)
        size = 2 + (1 if code & _OLD_Z else (0, 1, 1, 2)[code % 4000 // 1000])
        kind = (code & ~_OLD_Z) % 1000
        at += 5
        if kind == _POINT:
            return self._vertices(wkb, at, 1, size, order, is_ring=False)
        (count,) = struct.unpack_from(order + "I", wkb, at)
        at += 4
        if kind == _LINE:
            return self._vertices(wkb, at, count, size, order, is_ring=False)
        if kind == _POLYGON:
            for _ in range(count):
                (length,) = struct.unpack_from(order + "I", wkb, at)
                at = self._vertices(wkb, at + 4, length, size, order, is_ring=True)
            return at
        if kind not in _COLLECTIONS:
            raise UnknownShape
        for _ in range(count):
            at = self._read(wkb, at)
        return at

    def _vertices(
        self, wkb: bytes, at: int, count: int, size: int, order: str, *, is_ring: bool
    ) -> int:
        if count:
            values = np.frombuffer(wkb, order + "f8", count * size, at)
            self._parts.append(values.reshape(count, size)[:, :2])
            self._are_rings.append(is_ring)
            self.vertices += count
        return at + 8 * count * size


class Outlines:
    """Points, lines and polygons on the map.

    `points`: all vertices (n x 2) in the map's CRS, finite. `lengths`: how many each part has, in
    their order. `are_rings`: parts that are closed and filled. `are_bent`: edges may run anywhere
    in their boxes from one vertex to the next.
    """

    def __init__(
        self,
        points: Floats,
        lengths: Whole,
        are_rings: NDArray[np.bool_],
        *,
        are_bent: bool = False,
    ) -> None:
        self._are_bent = are_bent
        ends = np.cumsum(lengths)
        starts = ends - lengths
        # rings are closed, and single points become edges without a length
        is_open = are_rings | (lengths == 1)
        points = np.insert(points, ends[is_open], points[starts[is_open]], axis=0)
        lengths = lengths + is_open
        ends = np.cumsum(lengths)
        self._points = points
        self._first, self._last = _runs(ends - lengths, ends)
        self._boxes = _boxes(points, self._first, self._last)
        self._ring_first, self._ring_last = (ends - lengths)[are_rings], ends[are_rings] - 1
        self._ring_boxes = _boxes(points, self._ring_first, self._ring_last)
        self._looked: list[tuple[Extent, Whole]] = []

    def meet(self, square: Extent) -> bool:
        """Whether one of them reaches into `square`, in the map's CRS; also where it may only.

        Cheapest where each square lies in one that was asked for before.
        """
        near = self._near(square)
        if len(near) > MANY or (len(near) and self._has_edge(near, square)):
            return True
        return self._is_inside(square)

    def _near(self, square: Extent) -> Whole:
        """The boxes that meet `square`."""
        while self._looked and not _holds(self._looked[-1][0], square):
            self._looked.pop()
        if self._looked:
            found = self._looked[-1][1]
            found = found[_meeting(self._boxes[found], square)]
        else:
            found = np.flatnonzero(_meeting(self._boxes, square))
        self._looked.append((square, found))
        return found

    def _has_edge(self, near: Whole, square: Extent) -> bool:
        """Whether an edge in one of the boxes `near` meets `square`."""
        edges = self._first[near][:, None] + np.arange(RUN)
        edges = edges[edges < self._last[near][:, None]]
        start, end = self._points[edges], self._points[edges + 1]
        low, high = np.minimum(start, end), np.maximum(start, end)
        meets = _meeting(np.concatenate((low, high), axis=1), square)
        if self._are_bent:
            return bool(meets.any())
        start, along = start[meets], (end - start)[meets]
        # an edge whose box meets the square misses it only where a corner's all on one side of it
        middle = np.array([square.xmin + square.xmax, square.ymin + square.ymax]) / 2
        half_width, half_height = (square.xmax - square.xmin) / 2, (square.ymax - square.ymin) / 2
        away = middle - start
        distance = np.abs(along[:, 0] * away[:, 1] - along[:, 1] * away[:, 0])
        room = half_width * np.abs(along[:, 1]) + half_height * np.abs(along[:, 0])
        return bool((distance <= room * (1 + 1e-9)).any())

    def _is_inside(self, square: Extent) -> bool:
        """Whether the middle of `square` lies in a ring; holes are taken for polygons, too.

        By the winding number, which is not zero wherever the even-odd rule fills.
        """
        x, y = (square.xmin + square.xmax) / 2, (square.ymin + square.ymax) / 2
        boxes = self._ring_boxes
        around = (boxes[:, 0] <= x) & (boxes[:, 2] >= x) & (boxes[:, 1] <= y) & (boxes[:, 3] >= y)
        for ring in np.flatnonzero(around):
            points = self._points[self._ring_first[ring] : self._ring_last[ring] + 1]
            if _winding(points, x, y):
                return True
        return False


def _runs(starts: Whole, ends: Whole) -> tuple[Whole, Whole]:
    """First and last vertex of runs of up to RUN edges, of parts from `starts` up to `ends`."""
    counts = -((starts + 1 - ends) // RUN)  # rounded up
    number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    first = np.repeat(starts, counts) + RUN * number
    return first, np.minimum(first + RUN, np.repeat(ends - 1, counts))


def _boxes(points: Floats, first: Whole, last: Whole) -> Floats:
    """xmin, ymin, xmax, ymax of the vertices from `first` to `last`, both included."""
    if not len(first):
        return np.empty((0, 4))
    padded = np.concatenate((points, points[-1:]))
    cuts = np.stack((first, last + 1), axis=1).ravel()
    low = np.minimum.reduceat(padded, cuts)[::2]
    high = np.maximum.reduceat(padded, cuts)[::2]
    return np.concatenate((low, high), axis=1)


def _meeting(boxes: Floats, square: Extent) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = boxes[:, 0] <= square.xmax
    for condition in (
        boxes[:, 2] >= square.xmin,
        boxes[:, 1] <= square.ymax,
        boxes[:, 3] >= square.ymin,
    ):
        found &= condition
    return found


def _holds(outer: Extent, inner: Extent) -> bool:
    return (
        outer.xmin <= inner.xmin
        and outer.ymin <= inner.ymin
        and outer.xmax >= inner.xmax
        and outer.ymax >= inner.ymax
    )


def _winding(ring: Floats, x: float, y: float) -> int:
    """How often `ring`, which is closed, goes around a point off it."""
    below = ring[:, 1] <= y
    up = np.flatnonzero(below[:-1] != below[1:])
    start, end = ring[up], ring[up + 1]
    side = (end[:, 0] - start[:, 0]) * (y - start[:, 1]) - (x - start[:, 0]) * (
        end[:, 1] - start[:, 1]
    )
    rising = below[up]
    return int((rising & (side > 0)).sum() - (~rising & (side < 0)).sum())
