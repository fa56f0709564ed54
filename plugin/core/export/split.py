"""An export in parts: as many tiles to each as a site hands out at once, each tile in one part.

Levels go together as long as they fit. A level that is too large alone is cut along tile edges, at
the edges of bundles where it can be, again and again, so that the halves have about as many tiles
each. A site takes an area literally: what lies on a tile's edge only by rounding would be a tile
more to it. So the pieces keep off the line that they were cut along by just what counts as rounding
(`tiling.edge_rounding`): neither piece then reaches into a tile of the other, nor loses one that
the area touches. Memory and time follow the outline of the area, never the tiles inside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, box
from shapely.geometry.base import BaseGeometry

from ..arrays import whole_numbers
from ..coverage import Area, Coverage, cover
from ..errors import EmptyArea, TooManyTiles
from ..level_areas import Areas, Place, by_area
from ..tiling import BUNDLE_TILES, Extent, Level, TileRange, TilingScheme, edge_rounding

MOST_PARTS = 20_000
"""More jobs than these nobody waits for, and no site should be asked for."""

_TRIES = 3  # lines that are tried before a piece is made of its tiles
_INSET = 0.25  # of a tile, of what is made of tiles

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """A part of an export: all the `tiles` tiles of `levels` that `area` touches."""

    levels: tuple[Level, ...]
    area: Area
    tiles: int


@dataclass(frozen=True)
class _Line:
    """The edge in front of row (or column, where `is_col`) `number`: where a level can be cut.

    `before`: number of tiles that lie above (or left of) it.
    """

    number: int
    is_col: bool
    before: int


def split(
    scheme: TilingScheme,
    levels: Iterable[Level],
    areas: Areas,
    limit: int | None,
    service: str = "",
) -> tuple[Part, ...]:
    """Parts of at most `limit` tiles (None: no limit) that have all tiles, each of them once.

    `areas`: in the CRS of `scheme`, valid; each a polygon, multipolygon or rectangle. Levels of
    which the area touches no tile are in no part. Coarsest parts first.
    Raises EmptyArea (an area is None), TooManyTiles, which names `service` (`limit` is below 1, or
    there would be more than MOST_PARTS parts).
    """
    if limit is not None and limit < 1:
        raise TooManyTiles(service, limit)
    parts: list[Part] = []
    groups = [(area, _counts(scheme, group, area)) for group, area in by_area(areas, levels)]
    tiles = sum(sum(counts.values()) for _area, counts in groups)
    if limit is not None and tiles > MOST_PARTS * limit:
        raise TooManyTiles(service, limit)  # before minutes are spent on cutting
    for area, counts in groups:
        for part in _split_group(scheme, counts, area, limit):
            if len(parts) == MOST_PARTS:
                raise TooManyTiles(service, limit or 0)
            parts.append(part)
    order = {level.id: index for index, level in enumerate(scheme.levels)}
    return tuple(sorted(parts, key=lambda part: order[part.levels[0].id]))


def _counts(scheme: TilingScheme, levels: tuple[Level, ...], place: Place) -> dict[Level, int]:
    """How many tiles of each of `levels` there are. Raises EmptyArea."""
    if place is None or (not isinstance(place, Extent) and place.is_empty):
        raise EmptyArea()
    return {level: cover(scheme, level, place).count for level in levels}


def _split_group(
    scheme: TilingScheme, counts: dict[Level, int], area: Area, limit: int | None
) -> Iterator[Part]:
    """The parts of levels that have their area in common, with so many tiles."""
    kept = [level for level in counts if counts[level]]
    small = [level for level in kept if limit is None or counts[level] <= limit]
    for group in _packed(small, counts, limit):
        ordered = tuple(level for level in kept if level in group)
        own = scheme.without_slivers(area, ordered) if isinstance(area, Extent) else area
        yield Part(ordered, own, sum(counts[level] for level in ordered))
    for level in kept:
        if limit is not None and counts[level] > limit:
            for piece, count in _cut(scheme, level, area, limit):
                yield Part((level,), piece, count)


def _packed(levels: list[Level], counts: dict[Level, int], limit: int | None) -> list[list[Level]]:
    """`levels` in few groups of at most `limit` tiles: the largest first, each where it fits."""
    groups: list[list[Level]] = []
    room: list[int] = []
    for level in sorted(levels, key=lambda each: -counts[each]):
        fits = (i for i, free in enumerate(room) if limit is None or counts[level] <= free)
        index = next(fits, None)
        if index is None:
            groups.append([])
            room.append(0 if limit is None else limit)
            index = len(groups) - 1
        groups[index].append(level)
        room[index] -= counts[level]
    return groups


def _cut(scheme: TilingScheme, level: Level, area: Area, limit: int) -> Iterator[tuple[Area, int]]:
    """Pieces of `area` with at most `limit` tiles of `level`, and how many those are."""
    waiting = [area]
    while waiting:
        piece = waiting.pop()
        coverage = cover(scheme, level, piece)
        if coverage.count <= limit:
            if isinstance(piece, Extent):
                piece = scheme.without_slivers(piece, (level,))
            yield piece, coverage.count
        else:
            waiting += reversed(_halves(scheme, level, piece, coverage, limit))


def _halves(
    scheme: TilingScheme, level: Level, area: Area, coverage: Coverage, limit: int
) -> tuple[Area, Area]:
    """`area` cut in two, along a line that leaves tiles on both sides."""
    lines = _lines(area, coverage, limit)
    for line in lines[:_TRIES]:
        first, second = (_beyond(scheme, level, area, line, side) for side in (False, True))
        if isinstance(area, Extent):
            return first, second
        there = cover(scheme, level, first).count, cover(scheme, level, second).count
        # Where the outline passes through the very corner of a tile, cutting can move it by what
        # counts as rounding, and so lose a tile or win one.
        if there == (line.before, coverage.count - line.before):
            return first, second
    return (
        _of_tiles(scheme, level, coverage, lines[0], False),
        _of_tiles(scheme, level, coverage, lines[0], True),
    )


def _lines(area: Area, coverage: Coverage, limit: int) -> list[_Line]:
    """Where `coverage`, of more than `limit` tiles, can be cut; the best line first."""
    bounds = coverage.bounds or TileRange(0, 0, 0, 0)
    rows, cols = (bounds.min_row, bounds.max_row), (bounds.min_col, bounds.max_col)
    edges = [
        _edges_within(first, last, step)
        for step in (BUNDLE_TILES, 1)
        for first, last in (rows, cols)
    ]
    by_row, by_col = edges[:2] if edges[0].size or edges[1].size else edges[2:]
    if isinstance(area, Extent):
        before_row = (by_row - bounds.min_row) * (bounds.max_col - bounds.min_col + 1)
        before_col = (by_col - bounds.min_col) * (bounds.max_row - bounds.min_row + 1)
    else:
        before_row, before_col = _tiles_before(coverage, by_row, by_col)
    count = coverage.count
    parts = -(-count // limit)
    goal = count * (parts // 2) / parts
    lines = [
        _Line(int(number), is_col, int(before))
        for numbers, counts, is_col in ((by_row, before_row, False), (by_col, before_col, True))
        for number, before in _nearest(numbers, counts, goal, count)
    ]
    return sorted(lines, key=lambda line: abs(line.before - goal))


def _edges_within(first: int, last: int, step: int) -> Counts:
    """The multiples of `step` behind `first`, up to `last`."""
    start = first - first % step + step
    return np.arange(start, last + 1, step, dtype=np.int64)


def _nearest(numbers: Counts, before: Counts, goal: float, count: int) -> Iterator[tuple[int, int]]:
    """Those of the lines that have tiles on both sides, and about `goal` of them in front."""
    kept = np.flatnonzero((before > 0) & (before < count))
    best = kept[np.argsort(np.abs(before[kept] - goal), kind="stable")][:_TRIES]
    yield from ((int(numbers[index]), int(before[index])) for index in best)


def _tiles_before(coverage: Coverage, rows: Counts, cols: Counts) -> tuple[Counts, Counts]:
    """How many tiles lie above each of the lines `rows`, and left of each of the lines `cols`."""
    above = np.zeros(rows.size + 1, dtype=np.int64)
    # A run's tiles left of a line: as many as the line is behind its start, less those by which
    # it is behind its end. Both are summed up by the lines between which starts and ends lie.
    numbers = np.zeros((2, cols.size + 1), dtype=np.int64)
    places = np.zeros((2, cols.size + 1), dtype=np.int64)
    for runs in coverage.runs():
        lengths = runs.last_cols - runs.first_cols + 1
        np.add.at(above, np.searchsorted(rows, runs.rows, side="right"), lengths)
        for index, ends in enumerate((runs.first_cols, runs.last_cols + 1)):
            between = np.searchsorted(cols, ends, side="right")
            np.add.at(numbers[index], between, 1)
            np.add.at(places[index], between, ends)
    counted, summed = np.cumsum(numbers, axis=1)[:, :-1], np.cumsum(places, axis=1)[:, :-1]
    left = cols * (counted[0] - counted[1]) - (summed[0] - summed[1])
    return np.cumsum(above)[:-1], left


def _beyond(scheme: TilingScheme, level: Level, area: Area, line: _Line, is_behind: bool) -> Area:
    """What of `area` lies in front of `line`, or behind it; less what is rounding to the line."""
    width, height = scheme.tile_size(level)
    margin = edge_rounding(line.number) * (1 if is_behind else -1)
    xmin, ymin, xmax, ymax = area.bounds
    if line.is_col:
        at = scheme.origin_x + (line.number + margin) * width
        xmin, xmax = (at, xmax) if is_behind else (xmin, at)
    else:
        at = scheme.origin_y - (line.number + margin) * height
        ymin, ymax = (ymin, at) if is_behind else (at, ymax)
    if isinstance(area, Extent):
        return Extent(xmin, ymin, xmax, ymax)
    return _surface(area.intersection(box(xmin, ymin, xmax, ymax)))


def _surface(geometry: BaseGeometry) -> BaseGeometry:
    """The polygons of `geometry`."""
    each = getattr(geometry, "geoms", [geometry])
    return MultiPolygon([p for p in each if p.geom_type == "Polygon" and not p.is_empty])


def _of_tiles(
    scheme: TilingScheme, level: Level, coverage: Coverage, line: _Line, is_behind: bool
) -> Area:
    """The tiles in front of `line`, or behind it, as an area that keeps well inside of them."""
    width, height = scheme.tile_size(level)
    boxes: list[BaseGeometry] = []
    for row, first, last in _runs_of(coverage):
        if line.is_col:
            first = max(first, line.number) if is_behind else first
            last = last if is_behind else min(last, line.number - 1)
        elif (row >= line.number) is not is_behind:
            continue
        if first <= last:
            left, top = scheme.origin_x + (first + _INSET) * width, scheme.origin_y - row * height
            right = scheme.origin_x + (last + 1 - _INSET) * width
            boxes.append(box(left, top - (1 - _INSET) * height, right, top - _INSET * height))
    return MultiPolygon(boxes)


def _runs_of(coverage: Coverage) -> Iterator[tuple[int, int, int]]:
    """Row, first and last column of each run."""
    for runs in coverage.runs():
        ends = (runs.rows, runs.first_cols, runs.last_cols)
        yield from zip(*(whole_numbers(each) for each in ends))
