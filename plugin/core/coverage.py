"""Coverage: which tiles of a level an area touches, exactly, and how many, without listing them.

A tile is covered where its interior meets the area's interior. What reaches beyond a tile's edge
only within rounding (`tiling.snapped`) does not count. All coordinates are in the scheme's CRS.

How: in units of tiles, a row's covered tiles are those that the area's outline passes through, and
those between, whose centres lie inside by the even-odd rule. A tile that the outline does not
enter lies wholly inside or wholly outside, so its centre decides. Memory and time follow the length
of the outline, in tiles, never the number of tiles inside. Rows are worked off in blocks, so that
the memory is bounded, too.
"""

from __future__ import annotations

import math
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Union

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from .tiling import Extent, Level, TileRange, TilingScheme, snapped

Area = Union[BaseGeometry, Extent]
Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

BLOCK_PIECES = 1 << 16
"""Pieces of outline (an edge's part within a row) worked off at a time; about 12 MB of memory.

Four times as many are no faster.
"""

_KEYS = 1 << 62
"""A row and a column of a block are packed into one number below this, to sort and join by."""


@dataclass(frozen=True)
class RowRuns:
    """Runs of neighbouring tiles: run i is row `rows[i]`, `first_cols[i]` to `last_cols[i]`.

    Ordered by row and column; the runs of a row neither overlap nor adjoin.
    """

    rows: Whole
    first_cols: Whole
    last_cols: Whole

    @property
    def count(self) -> int:
        """Number of tiles."""
        return int((self.last_cols - self.first_cols + 1).sum())


class Coverage(ABC):
    """The tiles of one level that an area touches."""

    @property
    @abstractmethod
    def count(self) -> int:
        """Number of tiles."""

    @property
    @abstractmethod
    def bounds(self) -> TileRange | None:
        """The smallest block that holds all the tiles; None where there are none."""

    @abstractmethod
    def runs(self) -> Iterator[RowRuns]:
        """The tiles as runs, row after row, never empty, a block of rows at a time."""

    def tiles(self) -> Iterator[tuple[int, int]]:
        """Row and column of each tile, once each, in the order of rows and columns."""
        for runs in self.runs():
            ends = (map(int, numbers) for numbers in (runs.rows, runs.first_cols, runs.last_cols))
            for row, first, last in zip(*ends):
                for col in range(first, last + 1):
                    yield row, col


def cover(
    scheme: TilingScheme, level: Level, area: Area, *, block_pieces: int = BLOCK_PIECES
) -> Coverage:
    """The tiles of `level` that `area` touches.

    `area`: a valid polygon or multipolygon (`area.fit_area` makes one), or a rectangle, in the
    scheme's CRS. What lies left of or above the origin has no tiles. Work happens when the coverage
    is asked, not here.
    """
    if isinstance(area, Extent):
        return _BlockCoverage(scheme.tiles_of_extent(level, area), block_pieces)
    return _OutlineCoverage(_in_tiles(scheme, level, _edges(area)), block_pieces)


def count_tiles(scheme: TilingScheme, levels: Iterable[Level], area: Area) -> dict[int, int]:
    """Number of tiles that `area` (as for `cover`) touches, by level id."""
    if isinstance(area, Extent):
        return {level.id: cover(scheme, level, area).count for level in levels}
    edges = _edges(area)
    return {
        level.id: _OutlineCoverage(_in_tiles(scheme, level, edges), BLOCK_PIECES).count
        for level in levels
    }


class _BlockCoverage(Coverage):
    """A whole block of tiles."""

    def __init__(self, block: TileRange | None, block_rows: int) -> None:
        self._block = block
        self._block_rows = block_rows

    @property
    def count(self) -> int:
        return 0 if self._block is None else self._block.count

    @property
    def bounds(self) -> TileRange | None:
        return self._block

    def runs(self) -> Iterator[RowRuns]:
        block = self._block
        if block is None:
            return
        for start in range(block.min_row, block.max_row + 1, self._block_rows):
            end = min(start + self._block_rows, block.max_row + 1)
            rows = np.arange(start, end, dtype=np.int64)
            yield RowRuns(
                rows, np.full_like(rows, block.min_col), np.full_like(rows, block.max_col)
            )


@dataclass(frozen=True)
class _Outline:
    """Edges in units of tiles, each from its upper end (`u0`, `v0`) to its lower end (`u1`, `v1`).

    Sorted by `first_rows`; an edge passes through the open bands of rows `first_rows`..`last_rows`.
    """

    u0: Floats
    v0: Floats
    u1: Floats
    v1: Floats
    first_rows: Whole
    last_rows: Whole

    def at(self, edges: Whole, v: Floats) -> Floats:
        """Where `edges` cross the heights `v`, which lie within them."""
        u0, v0, u1, v1 = self.u0[edges], self.v0[edges], self.u1[edges], self.v1[edges]
        rise = np.where(v1 > v0, v1 - v0, 1.0)
        u = u0 + (v - v0) / rise * (u1 - u0)
        # An end's own number comes out exactly.
        return np.where(v == v0, u0, np.where(v == v1, u1, u))


class _OutlineCoverage(Coverage):
    """The tiles that an outline encloses or passes through."""

    def __init__(self, outline: _Outline, block_pieces: int) -> None:
        self._outline = outline
        self._block_pieces = block_pieces

    @property
    def count(self) -> int:
        return self._totals[0]

    @property
    def bounds(self) -> TileRange | None:
        return self._totals[1]

    @cached_property
    def _totals(self) -> tuple[int, TileRange | None]:
        count = 0
        bounds: TileRange | None = None
        for runs in self.runs():
            count += runs.count
            min_col, max_col = int(runs.first_cols.min()), int(runs.last_cols.max())
            bounds = TileRange(
                int(runs.rows[0]) if bounds is None else bounds.min_row,
                int(runs.rows[-1]),
                min_col if bounds is None else min(bounds.min_col, min_col),
                max_col if bounds is None else max(bounds.max_col, max_col),
            )
        return count, bounds

    def runs(self) -> Iterator[RowRuns]:
        outline = self._outline
        if not outline.u0.size:
            return
        width = max(2, math.ceil(max(outline.u0.max(), outline.u1.max())) + 2)
        active: Whole = np.empty(0, dtype=np.int64)
        seen = 0
        for start, end in _row_blocks(outline, self._block_pieces, _KEYS // width):
            new = int(np.searchsorted(outline.first_rows, end))
            active = np.concatenate([active, np.arange(seen, new, dtype=np.int64)])
            active = active[outline.last_rows[active] >= start]
            seen = new
            if active.size:
                runs = _runs_of_rows(outline, active, start, end, width)
                if runs.rows.size:
                    yield runs


_kept_edges: list[tuple[weakref.ref[BaseGeometry], Floats]] = []


def _forget_edges(_area: object) -> None:
    _kept_edges.clear()


def _edges(area: BaseGeometry) -> Floats:
    """The edges of all rings of the polygons of `area`, as rows of x0, y0, x1, y1, in CRS units.

    Those of the area that was asked for last are kept as long as it is, for its levels follow one
    another, and getting at coordinates takes longer than counting a coarse level. Not to be
    changed.
    """
    for known, kept in _kept_edges[:]:
        if known() is area:
            return kept
    parts = getattr(area, "geoms", [area])
    rings = [
        np.asarray(ring.coords)[:, :2]
        for part in parts
        if not part.is_empty
        for ring in (part.exterior, *part.interiors)
    ]
    sides = (np.hstack([ring[:-1], ring[1:]]) for ring in rings)
    edges: Floats = np.concatenate([np.empty((0, 4)), *sides])
    _kept_edges[:] = [(weakref.ref(area, _forget_edges), edges)]
    return edges


def _in_tiles(scheme: TilingScheme, level: Level, edges: Floats) -> _Outline:
    """Those of `edges` (x0, y0, x1, y1) that can matter to the tiles of `level`, in tile units."""
    width, height = scheme.tile_size(level)
    xs, ys = edges[:, 0::2], edges[:, 1::2]
    u, v = snapped((xs - scheme.origin_x) / width), snapped((scheme.origin_y - ys) / height)
    down = v[:, 0] <= v[:, 1]
    u0, v0 = np.where(down, u[:, 0], u[:, 1]), np.where(down, v[:, 0], v[:, 1])
    u1, v1 = np.where(down, u[:, 1], u[:, 0]), np.where(down, v[:, 1], v[:, 0])
    first_rows = np.maximum(np.floor(v0), 0).astype(np.int64)
    last_rows = np.ceil(v1).astype(np.int64) - 1
    # Edges above the origin, and those that lie on a row's line, pass through no row.
    kept = np.flatnonzero(first_rows <= last_rows)
    kept = kept[np.argsort(first_rows[kept], kind="stable")]
    return _Outline(u0[kept], v0[kept], u1[kept], v1[kept], first_rows[kept], last_rows[kept])


def _row_blocks(outline: _Outline, pieces: int, max_rows: int) -> Iterator[tuple[int, int]]:
    """Blocks of rows (first, first after the last) with about `pieces` pieces of outline each.

    Never more than `max_rows` rows; a block of one row may hold more pieces.
    """
    starts = np.unique(np.concatenate([outline.first_rows, outline.last_rows + 1]))
    begun = np.searchsorted(outline.first_rows, starts, side="right")
    ended = np.searchsorted(np.sort(outline.last_rows), starts)
    # Between two neighbours of `starts`, the number of edges in each row is the same.
    edges_per_row = (begun - ended)[:-1]
    done = np.concatenate([[0], np.cumsum(edges_per_row * np.diff(starts))])
    row, last = int(starts[0]), int(starts[-1])
    while row < last:
        here = int(np.searchsorted(starts, row, side="right")) - 1
        goal = int(done[here]) + (row - int(starts[here])) * int(edges_per_row[here]) + pieces
        reached = int(np.searchsorted(done, goal, side="right")) - 1
        end = int(starts[reached])
        if reached < edges_per_row.size:
            # goal < done[reached + 1], so this stretch has edges.
            end += (goal - int(done[reached])) // int(edges_per_row[reached])
        end = min(max(end, row + 1), row + max_rows, last)
        yield row, end
        row = end


def _runs_of_rows(outline: _Outline, edges: Whole, start: int, end: int, width: int) -> RowRuns:
    """Runs of rows `start` to `end` - 1, which `edges` are all to pass through.

    `width`: more than the highest column, by which rows and columns are packed into one number.
    """
    first = np.maximum(outline.first_rows[edges], start)
    lengths = np.minimum(outline.last_rows[edges], end - 1) - first + 1
    edges = np.repeat(edges, lengths)
    ends = np.cumsum(lengths)
    rows: Whole = np.arange(ends[-1], dtype=np.int64)
    rows += np.repeat(first - ends + lengths, lengths)

    cut_first, cut_last = _outline_tiles(outline, edges, rows)
    in_rows, in_first, in_last = _inner_tiles(outline, edges, rows)
    rows = np.concatenate([rows, in_rows]) - start
    first_cols = np.maximum(np.concatenate([cut_first, in_first]), 0)
    last_cols = np.concatenate([cut_last, in_last])
    kept = first_cols <= last_cols
    rows = rows[kept] * width
    return _joined(rows + first_cols[kept], rows + last_cols[kept], start, width)


def _outline_tiles(outline: _Outline, edges: Whole, rows: Whole) -> tuple[Whole, Whole]:
    """First and last columns of the tiles that each piece, an edge within a row, passes through.

    None (first after last) for a piece that lies on a column's line.
    """
    upper = outline.at(edges, np.maximum(outline.v0[edges], rows))
    lower = outline.at(edges, np.minimum(outline.v1[edges], rows + 1))
    level = outline.v0[edges] == outline.v1[edges]
    lower = np.where(level, outline.u1[edges], lower)
    left, right = snapped(np.minimum(upper, lower)), snapped(np.maximum(upper, lower))
    return np.floor(left).astype(np.int64), np.ceil(right).astype(np.int64) - 1


def _inner_tiles(outline: _Outline, edges: Whole, rows: Whole) -> tuple[Whole, Whole, Whole]:
    """Rows, first and last columns of the tiles with their centres inside, by the even-odd rule."""
    middle = rows.astype(np.float64) + 0.5
    # Half open, so that a vertex on the middle line counts for one of its two edges.
    crossing = (outline.v0[edges] <= middle) & (middle < outline.v1[edges])
    rows, middle = rows[crossing], middle[crossing]
    u = outline.at(edges[crossing], middle)
    order = np.lexsort((u, rows))
    rows, u = rows[order], u[order]
    # Rings are closed: each row has an even number of crossings, so pairs never straddle rows.
    first = np.ceil(u[0::2] - 0.5).astype(np.int64)
    last = np.ceil(u[1::2] - 0.5).astype(np.int64) - 1
    return rows[0::2], first, last


def _joined(firsts: Whole, lasts: Whole, start: int, width: int) -> RowRuns:
    """Runs, joined where they meet, of ends that are packed as (row - start) * width + column."""
    order = np.argsort(firsts)
    firsts, reach = firsts[order], np.maximum.accumulate(lasts[order])
    # `width` leaves a gap after each row's last column, so runs of two rows never adjoin.
    opens = np.concatenate([[True], firsts[1:] > reach[:-1] + 1])[: firsts.size]
    at = np.flatnonzero(opens)
    firsts = firsts[at]
    lasts = reach[np.concatenate([at[1:], [reach.size]]) - 1] if at.size else firsts
    return RowRuns(firsts // width + start, firsts % width, lasts % width)
