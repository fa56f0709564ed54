"""The extent of the tiles that exist, from which block of each level they fill."""

from __future__ import annotations

from collections.abc import Mapping

from ..tiling import Extent, Level, TileRange, TilingScheme


def extent_of_blocks(
    scheme: TilingScheme, blocks: Mapping[Level, TileRange], known: Extent | None = None
) -> Extent | None:
    """What `known` and the tiles of `blocks`, by level, cover together, in the scheme's CRS.

    The tile of a coarse level reaches far beyond what is drawn in it. So from finest to coarsest a
    level counts only where it reaches further than the ones before by a tile of its own or more.
    """
    extent = known
    for level in sorted(blocks, key=lambda each: each.resolution):
        block = _bounds(scheme, level, blocks[level])
        extent = block if extent is None else _grown(extent, block, *scheme.tile_size(level))
    return extent


def _grown(extent: Extent, block: Extent, width: float, height: float) -> Extent:
    """`extent`, each side moved to that of `block` where it lies a tile or more further out."""
    # A little less than a tile: edges are computed, and one tile more has to count.
    width, height = 0.999 * width, 0.999 * height
    return Extent(
        block.xmin if block.xmin <= extent.xmin - width else extent.xmin,
        block.ymin if block.ymin <= extent.ymin - height else extent.ymin,
        block.xmax if block.xmax >= extent.xmax + width else extent.xmax,
        block.ymax if block.ymax >= extent.ymax + height else extent.ymax,
    )


def _bounds(scheme: TilingScheme, level: Level, block: TileRange) -> Extent:
    first = scheme.tile_bounds(level, block.min_row, block.min_col)
    last = scheme.tile_bounds(level, block.max_row, block.max_col)
    return Extent(first.xmin, last.ymin, last.xmax, first.ymax)
