"""The tile matrix set of a GeoPackage: the block of tiles that all its levels divide evenly.

OGC GeoPackage 1.3 (12-128r17), 2.2.7: all matrices of a set have the same extent, and each is as
many whole tiles across and down as it says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

from ..schemes import MOST_PIXELS, area_of
from ..tiling import SNAP, Extent, Level, TileRange, TilingScheme
from .profile import CacheProfile

_EVEN = 1e-9
"""Relative difference from an even ratio that published resolutions have; see tiling."""

_MOST_PARTS = 64
"""Tiles of the coarsest level that a finer one may need to come out even."""

_PIXELS = 100
"""Of a level at least across an extent whose edges lie on its pixels."""

Matrix = tuple[int, int]
"""Columns and rows of a level."""


@dataclass(frozen=True)
class MatrixSet:
    """`extent` in CRS units, its upper left corner the scheme's origin; matrices by level id."""

    extent: Extent
    matrices: dict[int, Matrix]

    def pixel_size(self, level_id: int, tile_size: int) -> tuple[float, float]:
        """Width and height of a pixel: those by which the matrix fills the extent exactly."""
        cols, rows = self.matrices[level_id]
        width, height = self.extent.xmax - self.extent.xmin, self.extent.ymax - self.extent.ymin
        return width / (cols * tile_size), height / (rows * tile_size)

    def holds(self, level_id: int, block: TileRange) -> bool:
        """Whether all tiles of `block` are tiles of the level's matrix."""
        cols, rows = self.matrices.get(level_id, (0, 0))
        return block.max_col < cols and block.max_row < rows


def matrix_set(
    scheme: TilingScheme,
    levels: Iterable[Level],
    extent: Extent | None = None,
    *,
    is_all: bool = True,
) -> MatrixSet | None:
    """The set for `levels` of `scheme`: all of `extent`, and, if `is_all`, where tiles can lie.

    None where there is none: levels that do not divide each other's tiles, or whose ids do not
    grow with the detail, as the format wants them to.
    """
    chosen = tuple(sorted(levels, key=lambda level: -level.resolution))
    ids = [level.id for level in chosen]
    if not chosen or ids != sorted(set(ids)) or ids[0] < 0:
        return None
    ratios = [_even(chosen[0].resolution / level.resolution) for level in chosen]
    even = [ratio for ratio in ratios if ratio is not None]
    step = math.lcm(*(ratio.denominator for ratio in even))
    if len(even) < len(ratios) or step > _MOST_PARTS:
        return None
    chosen_scheme = replace(scheme, levels=chosen)
    cols, rows = _tiles_of_area(chosen_scheme) if is_all else (1, 1)
    width, height = scheme.tile_size(chosen[0])
    if extent is not None:
        cols = max(cols, _tiles((extent.xmax - scheme.origin_x) / width, True))
        rows = max(rows, _tiles((scheme.origin_y - extent.ymin) / height, True))
    cols, rows = (math.ceil(number / step) * step for number in (cols, rows))
    x, y = scheme.origin_x, scheme.origin_y
    matrices = {
        level.id: (int(cols * ratio), int(rows * ratio)) for level, ratio in zip(chosen, even)
    }
    return MatrixSet(Extent(x, y - rows * height, x + cols * width, y), matrices)


def matrices_of(profile: CacheProfile) -> MatrixSet | None:
    """The matrices of the cached levels of `profile`; None where it cannot have any."""
    levels = profile.cached_levels or profile.scheme.levels
    return matrix_set(profile.scheme, levels, profile.extent)


def bounds_of(scheme: TilingScheme, level: Level, block: TileRange) -> Extent:
    """What the tiles of `block` cover."""
    first = scheme.tile_bounds(level, block.min_row, block.min_col)
    last = scheme.tile_bounds(level, block.max_row, block.max_col)
    return Extent(first.xmin, last.ymin, last.xmax, first.ymax)


def on_pixels(scheme: TilingScheme, extent: Extent, matrices: MatrixSet) -> Extent:
    """`extent`, its edges moved outwards to pixels.

    GDAL takes it for the edges of its raster and of each overview, and would put pixels beside
    their places. So they are those of the coarsest level that moves them by less than a hundredth,
    and whose pixels the finer ones divide evenly.
    """
    level_id = _level_of_edges(extent, matrices, scheme.tile_width)
    width, height = matrices.pixel_size(level_id, scheme.tile_width)
    x, y, whole = scheme.origin_x, scheme.origin_y, matrices.extent
    moved = Extent(
        x + math.floor((extent.xmin - x) / width + SNAP) * width,
        y - math.ceil((y - extent.ymin) / height - SNAP) * height,
        x + math.ceil((extent.xmax - x) / width - SNAP) * width,
        y - math.floor((y - extent.ymax) / height + SNAP) * height,
    )
    return moved.intersection(whole) or whole


def _level_of_edges(extent: Extent, matrices: MatrixSet, tile_size: int) -> int:
    across = min(extent.xmax - extent.xmin, extent.ymax - extent.ymin)
    ids = sorted(matrices.matrices)
    for number, level_id in enumerate(ids):
        is_small = max(matrices.pixel_size(level_id, tile_size)) <= across / _PIXELS
        finer = (matrices.matrices[each] for each in ids[number:])
        cols, rows = matrices.matrices[level_id]
        if is_small and all(not (each[0] % cols or each[1] % rows) for each in finer):
            return level_id
    return ids[-1]


def _tiles_of_area(scheme: TilingScheme) -> tuple[int, int]:
    """Columns and rows of the coarsest level where tiles can lie.

    Where the world's size is not known, only as much as stays below what GDAL opens.
    """
    area = area_of(scheme)
    is_world = scheme.crs.world_width is not None
    width, height = scheme.tile_size(scheme.levels[0])
    most = MOST_PIXELS * scheme.levels[-1].resolution
    cols = _tiles(min(area.xmax - scheme.origin_x, most) / width, is_world)
    rows = _tiles(min(scheme.origin_y - area.ymin, most) / height, is_world)
    return cols, rows


def _tiles(number: float, is_needed: bool) -> int:
    return max(1, math.ceil(number - SNAP) if is_needed else math.floor(number + SNAP))


def _even(ratio: float) -> Fraction | None:
    """The fraction with a small denominator that `ratio` is; None for none."""
    found = Fraction(ratio).limit_denominator(_MOST_PARTS)
    return found if abs(float(found) / ratio - 1) <= _EVEN else None
