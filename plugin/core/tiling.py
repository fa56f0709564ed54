"""Tiling schemes: from a point to its tile, from a tile to its bounds, in any CRS.

A scheme is what ArcGIS calls `tileInfo`: an upper-left origin, one tile size in pixels, and a list
of levels with their resolutions. Rows grow downwards, columns to the right, both from 0 at the
origin (Esri REST reference, map service, `tileInfo`). Level ids are names, not indexes: they need
not start at 0 or be contiguous, and successive resolutions need not differ by a factor of two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import UnknownScale

BUNDLE_TILES = 128
"""Rows, and columns, of tiles in a bundle (Esri compact cache specification, V1 and V2)."""

SCALE_TOLERANCE = 1e-3
"""Relative difference within which two scale denominators are the same scale.

The same standard level is published as 591657527.591555, 591657550.5 and so on."""

SNAP = 1e-9
"""Part of a tile within which a coordinate counts as lying on the tile's edge.

4 cm at level 0 of the Web Mercator world: below anything drawn, and well above the rounding error
of doubles near the origin. Far from it PUBLISHED_ROUNDING is the larger part."""

PUBLISHED_ROUNDING = 4e-10
"""Relative error of the resolutions that services publish, added to SNAP for tiles far out.

Esri's own Web Mercator level 19 is published everywhere as 0.298582141647617, which is 3.06e-10
short of level 0 divided by 2^19: by it the world's far edge lies 0.00016 tiles within column
524288, which no cache has, and at level 23 it is 0.0026 tiles."""

LARGEST_SNAP = 1 / 256
"""What SNAP and PUBLISHED_ROUNDING together never exceed: a pixel of a 256-pixel tile."""

WEB_MERCATOR_WKIDS = frozenset({3857, 3785, 102100, 102113, 900913})
WEB_MERCATOR_HALF = 20037508.342789244
"""Half of the Web Mercator world's width, in metres: pi * 6378137."""


@dataclass(frozen=True)
class SpatialReference:
    """A CRS as a service names it: by `wkid` and `latest_wkid`, or by Esri `wkt`, or both.

    No projection happens in the core; whoever draws or transforms turns this into a real CRS.
    """

    wkid: int | None = None
    latest_wkid: int | None = None
    wkt: str | None = None

    @property
    def code(self) -> int | None:
        """The code to go by: the latest, and one and the same for all Web Mercators."""
        code = self.latest_wkid or self.wkid
        return 3857 if code in WEB_MERCATOR_WKIDS else code

    @property
    def is_geographic_world(self) -> bool:
        """Whether it is WGS 84 longitude and latitude."""
        return self.code == 4326

    @property
    def world_width(self) -> float | None:
        """After how many CRS units the world repeats eastwards; None where it does not."""
        if self.code == 3857:
            return 2 * WEB_MERCATOR_HALF
        return 360.0 if self.is_geographic_world else None

    def same_as(self, other: SpatialReference) -> bool:
        """Whether both name the same CRS, as far as codes and texts can tell."""
        if self.code is not None and other.code is not None:
            return self.code == other.code
        return self.wkt is not None and self.wkt == other.wkt


@dataclass(frozen=True)
class Extent:
    """A rectangle in CRS units, `xmin < xmax` and `ymin < ymax`."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        return (self.xmin, self.ymin, self.xmax, self.ymax)

    def intersection(self, other: Extent) -> Extent | None:
        """The common rectangle, or None where there is no common surface."""
        xmin, ymin = max(self.xmin, other.xmin), max(self.ymin, other.ymin)
        xmax, ymax = min(self.xmax, other.xmax), min(self.ymax, other.ymax)
        return Extent(xmin, ymin, xmax, ymax) if xmin < xmax and ymin < ymax else None


@dataclass(frozen=True)
class Level:
    """A level of detail: `resolution` in CRS units per pixel, `scale` as a denominator."""

    id: int
    resolution: float
    scale: float


@dataclass(frozen=True)
class TileRange:
    """A block of tiles, both ends included; rows and columns from the scheme's origin."""

    min_row: int
    max_row: int
    min_col: int
    max_col: int

    @property
    def count(self) -> int:
        return (self.max_row - self.min_row + 1) * (self.max_col - self.min_col + 1)


@dataclass(frozen=True)
class TilingScheme:
    """How a cache divides its plane into tiles.

    `origin_x`, `origin_y`: upper-left corner of tile (0, 0), in units of `crs`.
    `tile_width`, `tile_height`: pixels of a tile. `dpi`: what scales were computed with.
    `levels`: from the coarsest to the finest.
    """

    origin_x: float
    origin_y: float
    tile_width: int
    tile_height: int
    dpi: float
    crs: SpatialReference
    levels: tuple[Level, ...]

    def level(self, level_id: int) -> Level:
        """The level with that id. Raises KeyError."""
        for level in self.levels:
            if level.id == level_id:
                return level
        raise KeyError(level_id)

    def level_of_scale(self, scale: float) -> Level:
        """The level whose scale is 1:`scale` within SCALE_TOLERANCE. Raises UnknownScale."""
        nearest = min(self.levels, key=lambda level: abs(level.scale - scale), default=None)
        if nearest is None or abs(nearest.scale - scale) > SCALE_TOLERANCE * nearest.scale:
            raise UnknownScale(scale, tuple(level.scale for level in self.levels))
        return nearest

    def tile_size(self, level: Level) -> tuple[float, float]:
        """Width and height of a tile of `level`, in CRS units."""
        return self.tile_width * level.resolution, self.tile_height * level.resolution

    def tile_at(self, level: Level, x: float, y: float) -> tuple[int, int]:
        """Row and column of the tile of `level` that holds point (x, y), in CRS units.

        A point on an edge belongs to the tile below or right of it. Left of or above the origin
        the numbers are negative: no tile exists there.
        """
        width, height = self.tile_size(level)
        return math.floor((self.origin_y - y) / height), math.floor((x - self.origin_x) / width)

    def tile_bounds(self, level: Level, row: int, col: int) -> Extent:
        """Bounds of a tile, in CRS units."""
        width, height = self.tile_size(level)
        xmin, ymax = self.origin_x + col * width, self.origin_y - row * height
        return Extent(xmin, ymax - height, xmin + width, ymax)

    def tiles_of_extent(self, level: Level, extent: Extent) -> TileRange | None:
        """Tiles of `level` that `extent`, its edges `snapped`, reaches into. None: no tiles."""
        width, height = self.tile_size(level)
        cols = _span((extent.xmin - self.origin_x) / width, (extent.xmax - self.origin_x) / width)
        rows = _span((self.origin_y - extent.ymax) / height, (self.origin_y - extent.ymin) / height)
        if rows is None or cols is None:
            return None
        return TileRange(rows[0], rows[1], cols[0], cols[1])

    def without_slivers(self, extent: Extent, levels: Iterable[Level]) -> Extent:
        """`extent` without what reaches beyond its tiles by rounding only, at any of `levels`.

        Who takes it literally, as a site does, finds just the tiles of `tiles_of_extent`.
        """
        drawn_in = extent
        for level in levels:
            tiles = self.tiles_of_extent(level, extent)
            if tiles is not None:
                block = self._block_inside(level, tiles)
                drawn_in = drawn_in.intersection(block) or drawn_in
        return drawn_in

    def _block_inside(self, level: Level, tiles: TileRange) -> Extent:
        """Bounds of `tiles`, less the part of a tile that is rounding."""
        first = self.tile_bounds(level, tiles.min_row, tiles.min_col)
        last = self.tile_bounds(level, tiles.max_row, tiles.max_col)
        farthest = max(tiles.max_row, tiles.max_col) + 1
        margin = float(_rounding(np.float64(farthest))) * max(self.tile_size(level))
        return Extent(
            first.xmin + margin, last.ymin + margin, last.xmax - margin, first.ymax - margin
        )


def bundle_of(row: int, col: int) -> tuple[int, int]:
    """Row and column of the first tile of the bundle that holds tile (row, col)."""
    return row - row % BUNDLE_TILES, col - col % BUNDLE_TILES


def snapped(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """`values`, in tiles from the origin, made whole where they lie on a tile's edge.

    They do within SNAP of it and PUBLISHED_ROUNDING of the way from the origin.
    """
    nearest = np.rint(values)
    return np.where(np.abs(values - nearest) <= _rounding(values), nearest, values)


def edge_rounding(number: int) -> float:
    """How far from the edge in front of row or column `number`, in tiles, is still on that edge."""
    return float(_rounding(np.float64(number)))


def _rounding(values: Any) -> Any:
    """How far from a tile's edge, in tiles, something is that lies on it, `values` tiles out."""
    return np.minimum(SNAP + PUBLISHED_ROUNDING * np.abs(values), LARGEST_SNAP)


def _span(start: float, end: float) -> tuple[int, int] | None:
    """Numbers of the cells, from 0 up, that [start, end] reaches into once its ends are snapped."""
    start, end = (float(value) for value in snapped(np.array([start, end])))
    first, last = max(0, math.floor(start)), math.ceil(end) - 1
    return (first, last) if first <= last else None
