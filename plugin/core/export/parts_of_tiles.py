"""Which part of each tile an area covers, in pixels of the tile."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Optional

import numpy as np
from shapely.affinity import affine_transform
from shapely.geometry import MultiPolygon, Polygon, box
from shapely.geometry.base import BaseGeometry
from shapely.validation import make_valid

from ..level_areas import Place
from ..tiling import BUNDLE_TILES, Extent, TileRange, TilingScheme, bundle_of, snapped

_KEPT = 16
"""Bundles of which the area is kept cut out."""

Part = Optional[BaseGeometry]
"""Of a tile: polygon or multipolygon, x to the right and y down from its corner; None: all of it.

Empty where the area does not reach into the tile."""


class Parts:
    """The parts of the tiles of `scheme` that `areas` cover; of each level, by id, its area.

    Edges that lie on a tile's edge within rounding (`tiling.snapped`) lie on it. Any thread.
    """

    def __init__(self, scheme: TilingScheme, areas: Mapping[int, Place]) -> None:
        self._scheme, self._areas = scheme, areas
        self._lock = threading.Lock()
        self._levels: dict[int, BaseGeometry] = {}
        self._bundles: OrderedDict[tuple[int, int, int], BaseGeometry] = OrderedDict()

    def of(self, level_id: int, block: TileRange) -> BlockParts:
        """Those of the tiles of `block`, which lies in one bundle."""
        if self._areas[level_id] is None:
            return BlockParts(self._scheme, None)
        corner = bundle_of(block.min_row, block.min_col)
        whole = box(*_around(corner, corner[0] + BUNDLE_TILES, corner[1] + BUNDLE_TILES))
        with self._lock:
            key = level_id, *corner
            if key not in self._bundles:
                self._bundles[key] = polygons_of(self._level(level_id).intersection(whole))
                while len(self._bundles) > _KEPT:
                    self._bundles.popitem(last=False)
            self._bundles.move_to_end(key)
            near = self._bundles[key]
        around = box(*_around((block.min_row, block.min_col), block.max_row + 1, block.max_col + 1))
        if near.contains(around):
            return BlockParts(self._scheme, None)
        return BlockParts(self._scheme, polygons_of(near.intersection(around)))

    def _level(self, level_id: int) -> BaseGeometry:
        """The area of a level in tiles from the origin."""
        if level_id not in self._levels:
            area = self._areas[level_id]
            if isinstance(area, Extent):
                area = box(*area.bounds)
            width, height = self._scheme.tile_size(self._scheme.level(level_id))
            left, top = self._scheme.origin_x, self._scheme.origin_y
            self._levels[level_id] = _in_tiles(area, left, top, width, height)
        return self._levels[level_id]


class BlockParts:
    """The parts of the tiles of a block that `area`, in tiles from the origin, covers."""

    def __init__(self, scheme: TilingScheme, area: BaseGeometry | None) -> None:
        self._scheme, self._area = scheme, area

    @property
    def is_all(self) -> bool:
        """Whether all tiles are covered wholly."""
        return self._area is None

    def of(self, row: int, col: int) -> Part:
        """The part of a tile."""
        if self._area is None:
            return None
        tile = box(col, row, col + 1, row + 1)
        if self._area.covers(tile):
            return None
        across, down = self._scheme.tile_width, self._scheme.tile_height
        to_pixels = [across, 0, 0, down, -col * across, -row * down]
        return affine_transform(polygons_of(self._area.intersection(tile)), to_pixels)


def polygons_of(geometry: BaseGeometry) -> BaseGeometry:
    """The polygons in `geometry`, the result of a computation, as one geometry."""
    if geometry.geom_type in ("Polygon", "MultiPolygon"):
        return geometry
    parts: list[BaseGeometry] = []
    for each in getattr(geometry, "geoms", ()):
        found = polygons_of(each)
        parts += getattr(found, "geoms", [found])
    return MultiPolygon([part for part in parts if not part.is_empty])


def _around(corner: tuple[int, int], end_row: int, end_col: int) -> tuple[int, int, int, int]:
    """Bounds of a block, and a tile more to each side: what cutting does to edges stays outside."""
    return corner[1] - 1, corner[0] - 1, end_col + 1, end_row + 1


def _in_tiles(
    area: BaseGeometry, left: float, top: float, width: float, height: float
) -> BaseGeometry:
    """`area` in tiles of `width` x `height`, x to the right and y down from `left`, `top`."""

    def ring(coords: object) -> np.ndarray:  # type: ignore[type-arg]
        xy = np.asarray(coords, dtype=np.float64)[:, :2]
        return np.column_stack(
            [snapped((xy[:, 0] - left) / width), snapped((top - xy[:, 1]) / height)]
        )

    polygons = [
        Polygon(ring(each.exterior.coords), [ring(inner.coords) for inner in each.interiors])
        for each in getattr(area, "geoms", [area])
        if each.geom_type == "Polygon" and not each.is_empty
    ]
    found = MultiPolygon(polygons)
    return found if found.is_valid else polygons_of(make_valid(found))
