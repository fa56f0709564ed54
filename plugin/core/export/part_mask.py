"""Which pixels of a picture lie in a polygon: those whose centres do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from ..storage.store import Bools

Floats = NDArray[np.float64]


def inside(part: BaseGeometry, width: int, height: int) -> Bools:
    """Rows x columns: whether the centre of each pixel lies in `part`, by the even-odd rule.

    `part`: polygon or multipolygon in pixels, x to the right and y down from the upper left corner.
    Other geometries in a collection are passed by.
    """
    edges = _edges(part)
    y0, y1 = edges[:, 1], edges[:, 3]
    # The rows whose centres an edge passes, its upper end counted, its lower end not.
    first = np.ceil(np.minimum(y0, y1) - 0.5).clip(0, height).astype(np.int64)
    after = np.ceil(np.maximum(y0, y1) - 0.5).clip(0, height).astype(np.int64)
    counts = after - first
    which = np.repeat(np.arange(len(edges)), counts)
    rows = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + first[which]
    x = _crossing(edges[which], rows + 0.5)
    # From the first pixel whose centre is not left of the crossing on, in becomes out.
    cols = np.ceil(x - 0.5).clip(0, width).astype(np.int64)
    turns = np.zeros((height, width + 1), np.int64)
    np.add.at(turns, (rows, cols), 1)
    mask: Bools = np.cumsum(turns, axis=1)[:, :width] % 2 == 1
    return mask


def _crossing(edges: Floats, y: Floats) -> Floats:
    """Where `edges` (x0, y0, x1, y1) are at the heights `y`, which lie within them."""
    x0, y0, x1, y1 = edges.T
    x: Floats = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
    return x


def _edges(part: BaseGeometry) -> Floats:
    """The edges of all rings of polygons in `part`, as rows of x0, y0, x1, y1."""
    rings = [
        np.asarray(ring.coords)[:, :2]
        for polygon in getattr(part, "geoms", [part])
        if polygon.geom_type == "Polygon" and not polygon.is_empty
        for ring in (polygon.exterior, *polygon.interiors)
    ]
    return np.concatenate([np.empty((0, 4)), *(np.hstack([ring[:-1], ring[1:]]) for ring in rings)])
