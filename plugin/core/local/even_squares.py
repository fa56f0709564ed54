"""Squares of tiles that all have the same picture, as the source knows without drawing them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..storage.store import Bools
from ..tiling import Level, TileRange
from .source import TileSource


@dataclass(frozen=True)
class Square:
    """Tiles of a bundle, `region` of its rows and columns, of which each has the same `picture`."""

    region: tuple[slice, slice]
    picture: bytes


def even_squares(
    source: TileSource,
    level: Level,
    block: TileRange,
    todo: Bools,
    side: int,
    limit: TileRange | None = None,
) -> Iterator[Square]:
    """The largest squares of the bundle `block` that hold tiles of `todo` and are even.

    The whole bundle is asked for first, then, what is not, by quarters, down to supertiles of
    `side` tiles. Nothing reaches out of `limit`, the tiles of the world. Where the source cannot
    say, its tiles are drawn, and it is that which tells what is wrong.
    """
    if type(source).even is TileSource.even or not todo.any():
        return
    waiting: list[tuple[int, int, int, TileRange | None]] = [(0, 0, todo.shape[0], None)]
    while waiting:
        top, left, size, parent = waiting.pop()
        region = slice(top, top + size), slice(left, left + size)
        if not todo[region].any():
            continue
        asked = _within(block.min_row + top, block.min_col + left, size, limit)
        try:
            # At the world's edge, a quarter may be all there is of the whole.
            picture = None if asked == parent else source.even(level, asked)
        except Exception:  # a source's own mistake must not end the run
            return
        if picture:
            yield Square(region, picture)
        elif size > side:
            half = size // 2
            places = ((top + down, left + right) for down in (half, 0) for right in (half, 0))
            waiting += [(row, col, half, asked) for row, col in places]


def _within(row: int, col: int, size: int, limit: TileRange | None) -> TileRange:
    """The square of `size` tiles that begins at `row` and `col`, as far as it lies in `limit`."""
    last_row, last_col = row + size - 1, col + size - 1
    if limit is None:
        return TileRange(row, last_row, col, last_col)
    return TileRange(
        max(row, limit.min_row),
        min(last_row, limit.max_row),
        max(col, limit.min_col),
        min(last_col, limit.max_col),
    )
