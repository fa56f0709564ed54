"""An area in smaller ones, by level and along the edges of bundles, to find what fails in it."""

from __future__ import annotations

from ..area import clip_area
from ..coverage import Area, cover
from ..tiling import BUNDLE_TILES, Extent, Level, TileRange, TilingScheme

Piece = tuple[tuple[Level, ...], Area]
"""Levels, and their area in the scheme's CRS."""


def pieces(scheme: TilingScheme, levels: tuple[Level, ...], area: Area) -> tuple[Piece, ...]:
    """`area` at `levels` in smaller pieces, none of them without tiles.

    Several levels: one piece for each. One level: two halves, parted by the bundle edge nearest to
    the middle. () where it is not more than one bundle of one level.
    """
    if len(levels) > 1:
        return tuple(((level,), area) for level in levels if bundles(scheme, level, area))
    if not levels:
        return ()
    found = (_within(scheme, levels[0], area, half) for half in _halves(scheme, levels[0], area))
    return tuple((levels, half) for half in found if half is not None)


def bundles(scheme: TilingScheme, level: Level, area: Area) -> TileRange | None:
    """The smallest block of bundles of `level` that holds all tiles which `area` touches.

    Rows and columns count bundles. None where it touches no tile.
    """
    tiles = cover(scheme, level, area).bounds
    if tiles is None:
        return None
    return TileRange(
        tiles.min_row // BUNDLE_TILES,
        tiles.max_row // BUNDLE_TILES,
        tiles.min_col // BUNDLE_TILES,
        tiles.max_col // BUNDLE_TILES,
    )


def _halves(scheme: TilingScheme, level: Level, area: Area) -> tuple[TileRange, ...]:
    """The two blocks of bundles that the one of `area` is cut into; () for a single bundle."""
    block = bundles(scheme, level, area)
    if block is None or block.count == 1:
        return ()
    rows, cols = block.max_row - block.min_row, block.max_col - block.min_col
    if rows >= cols:
        middle = block.min_row + rows // 2
        ranges = ((block.min_row, middle), (middle + 1, block.max_row))
        return tuple(TileRange(*each, block.min_col, block.max_col) for each in ranges)
    middle = block.min_col + cols // 2
    ranges = ((block.min_col, middle), (middle + 1, block.max_col))
    return tuple(TileRange(block.min_row, block.max_row, *each) for each in ranges)


def _within(scheme: TilingScheme, level: Level, area: Area, half: TileRange) -> Area | None:
    """What of `area` lies in the bundles of `half`, drawn in by rounding; None where no tile."""
    first = scheme.tile_bounds(level, half.min_row * BUNDLE_TILES, half.min_col * BUNDLE_TILES)
    last = scheme.tile_bounds(
        level, (half.max_row + 1) * BUNDLE_TILES - 1, (half.max_col + 1) * BUNDLE_TILES - 1
    )
    edges = Extent(first.xmin, last.ymin, last.xmax, first.ymax)
    edges = scheme.without_slivers(edges, (level,))
    common: Area | None = None
    if isinstance(area, Extent):
        common = area.intersection(edges)
    else:
        clipped = clip_area(area, scheme, edges)
        if not clipped.is_empty:
            common = clipped
    if common is None or cover(scheme, level, common).bounds is None:
        return None
    return common
