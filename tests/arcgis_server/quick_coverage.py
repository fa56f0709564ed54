"""Which tiles an area touches, block by block: what ``coverage`` finds, for many more tiles.

A block wholly inside or outside the area is settled at once; only where the edge runs are tiles
tried one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import shapely.geometry
from shapely.geometry.base import BaseGeometry
from shapely.prepared import prep

from .coverage import Tile, interiors_meet
from .profiles import Service
from .schemes import Lod, Scheme

_TRIED_ONE_BY_ONE = 16
_MARGIN = 1e-6


@dataclass(frozen=True)
class _Block:
    """Rows and columns, the ends excluded."""

    row: int
    col: int
    end_row: int
    end_col: int

    @property
    def size(self) -> int:
        return (self.end_row - self.row) * (self.end_col - self.col)

    def tiles(self) -> Iterator[Tile]:
        for row in range(self.row, self.end_row):
            for col in range(self.col, self.end_col):
                yield row, col

    def halves(self) -> tuple[_Block, _Block]:
        if self.end_row - self.row >= self.end_col - self.col:
            middle = (self.row + self.end_row) // 2
            return (
                _Block(self.row, self.col, middle, self.end_col),
                _Block(middle, self.col, self.end_row, self.end_col),
            )
        middle = (self.col + self.end_col) // 2
        return (
            _Block(self.row, self.col, self.end_row, middle),
            _Block(self.row, middle, self.end_row, self.end_col),
        )


def count_tiles(service: Service, lod: Lod, area: BaseGeometry) -> int:
    """Return how many tiles touch the area and the full extent."""
    return sum(block.size for block in _blocks(service, lod, area))


def covered_tiles(service: Service, lod: Lod, area: BaseGeometry) -> list[Tile]:
    """Return the tiles that touch the area and the full extent, row by row."""
    return sorted(tile for block in _blocks(service, lod, area) for tile in block.tiles())


def _blocks(service: Service, lod: Lod, area: BaseGeometry) -> Iterator[_Block]:
    """Yield blocks that are covered to the last tile and do not overlap."""
    scheme = service.scheme
    limited = area.intersection(shapely.geometry.box(*service.full_extent))
    if scheme is None or limited.is_empty:
        return
    tests = (prep(area), prep(shapely.geometry.box(*service.full_extent)))
    yield from _search(scheme, lod, tests, _Block(*scheme.range_of(lod, limited.bounds)))


def _search(scheme: Scheme, lod: Lod, tests: tuple[Any, Any], block: _Block) -> Iterator[_Block]:
    if block.size == 0:
        return
    rows, cols = block.end_row - block.row, block.end_col - block.col
    box = scheme.block_box(lod, block.row, block.col, rows, cols)
    around = shapely.geometry.box(*box).buffer(_MARGIN * scheme.tile_span(lod), join_style=2)
    if any(not test.intersects(around) for test in tests):
        return
    if all(test.contains(around) for test in tests):
        yield block
    elif block.size > _TRIED_ONE_BY_ONE:
        for half in block.halves():
            yield from _search(scheme, lod, tests, half)
    else:
        for row, col in block.tiles():
            tile = shapely.geometry.box(*scheme.tile_box(lod, row, col))
            if all(interiors_meet(test, tile) for test in tests):
                yield _Block(row, col, row + 1, col + 1)
