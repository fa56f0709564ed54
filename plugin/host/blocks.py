"""Where blocks of tiles lie that are drawn at once. Plain numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..core.local.source import Supertile
from ..core.tiling import BUNDLE_TILES, WEB_MERCATOR_HALF, Extent, Level, TileRange, TilingScheme

SUPERTILE_PIXELS = 2048
"""Width and height of what is drawn at once, as ArcGIS draws with antialiasing; 16 MB of memory.

To draw the world map's levels 0 to 7 on a busy machine took 9.4 s of processor time in pictures of
1024 pixels, 5.7 s of 2048 and 6.7 s of 4096; with labels 16.4, 10.6 and 10.7 s. The process's peak
of memory was 252, 275 and 371 MB. Smaller pictures fetch and transform large features more often,
larger ones do not stay in the processor's cache.
"""


def supertile_side(scheme: TilingScheme) -> int:
    """So many tiles across are drawn at once: a power of two."""
    side = 1
    pixels = max(scheme.tile_width, scheme.tile_height)
    while 2 * side * pixels <= SUPERTILE_PIXELS and side < BUNDLE_TILES:
        side *= 2
    return side


def block_extent(scheme: TilingScheme, level: Level, block: TileRange) -> Extent:
    """Bounds of `block`, in CRS units, just on the grid."""
    width, height = scheme.tile_size(level)
    return Extent(
        scheme.origin_x + block.min_col * width,
        scheme.origin_y - (block.max_row + 1) * height,
        scheme.origin_x + (block.max_col + 1) * width,
        scheme.origin_y - block.min_row * height,
    )


def inside_world(scheme: TilingScheme, level: Level, block: TileRange) -> TileRange:
    """`block` without what lies outside of the world, where its CRS tells how wide that is.

    Coordinates beyond the world cannot be transformed, and then nothing at all would be drawn.
    """
    world = _world(scheme, level)
    if world is None:
        return block
    inside = TileRange(
        max(block.min_row, world.min_row),
        min(block.max_row, world.max_row),
        max(block.min_col, world.min_col),
        min(block.max_col, world.max_col),
    )
    is_empty = inside.min_row > inside.max_row or inside.min_col > inside.max_col
    return block if is_empty else inside


def is_whole_world(scheme: TilingScheme, level: Level, block: TileRange) -> bool:
    """Whether nothing lies outside of `block`."""
    return block == _world(scheme, level)


def _world(scheme: TilingScheme, level: Level) -> TileRange | None:
    """The tiles of the world, None where its size is not known."""
    half = (scheme.crs.world_width or 0) / 2
    if not half:
        return None
    top = WEB_MERCATOR_HALF if scheme.crs.code == 3857 else half / 2
    return scheme.tiles_of_extent(level, Extent(-half, -top, half, top))


def wanted_tiles(supertile: Supertile, inside: TileRange) -> Iterator[tuple[int, int]]:
    """Rows and columns of the wanted tiles of `supertile` that lie in `inside`."""
    for i, j in np.argwhere(supertile.wanted):
        row, col = supertile.block.min_row + int(i), supertile.block.min_col + int(j)
        if inside.min_row <= row <= inside.max_row and inside.min_col <= col <= inside.max_col:
            yield row, col
