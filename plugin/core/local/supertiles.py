"""The supertiles of a bundle: squares of tiles that are drawn at once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from ..storage.store import Bools
from ..tiling import BUNDLE_TILES, Level, TileRange
from .plan import Corner
from .source import Supertile


def supertiles(
    level: Level, block: TileRange, mask: Bools, side: int, limit: TileRange | None = None
) -> Iterator[Supertile]:
    """The supertiles of `side` x `side` tiles that `mask` touches in the bundle `block`.

    In Z-order, so that neighbours follow each other. They are whole, whatever part of them is
    wanted, so that a tile looks the same whichever others are drawn with it; but nothing reaches
    out of `limit`, the tiles of the world.
    """
    cells = touched(mask, side)
    for row, col in _z_order(BUNDLE_TILES // side):
        if not cells[row, col]:
            continue
        top, left = row * side, col * side
        wanted = mask[top : top + side, left : left + side]
        yield _limited(level, block.min_row + top, block.min_col + left, wanted, limit)


def touched(mask: Bools, side: int) -> Bools:
    """Which supertiles of `side` x `side` tiles `mask` touches, by their rows and columns."""
    height, width = (length // side for length in mask.shape)
    # Row by row first: so numpy looks at neighbouring bytes.
    rows: Bools = mask.reshape(height, side, width * side).any(axis=1)
    cells: Bools = rows.reshape(height, width, side).any(axis=2)
    return cells


def _limited(level: Level, row: int, col: int, wanted: Bools, limit: TileRange | None) -> Supertile:
    height, width = wanted.shape
    whole = TileRange(row, row + height - 1, col, col + width - 1)
    if limit is None:
        return Supertile(level, whole, wanted.copy())
    first_row, last_row = max(row, limit.min_row), min(whole.max_row, limit.max_row)
    first_col, last_col = max(col, limit.min_col), min(whole.max_col, limit.max_col)
    inside = wanted[first_row - row : last_row - row + 1, first_col - col : last_col - col + 1]
    return Supertile(level, TileRange(first_row, last_row, first_col, last_col), inside.copy())


@cache
def _z_order(across: int) -> tuple[Corner, ...]:
    """The cells of a square grid, `across` (a power of two) to each side, in Z-order."""
    cells: list[Corner] = [(0, 0)]
    step = 1
    while step < across:
        cells = [(r + dr, c + dc) for dr in (0, step) for dc in (0, step) for r, c in cells]
        step *= 2
    return tuple(cells)
