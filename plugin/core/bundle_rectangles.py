"""An area of interest, cut into rectangles of whole bundles.

Hosted layers take a rectangle for each job, and write the bundles that it reaches into anew as a
whole. So an area becomes rectangles that end where bundles do, and no bundle is in two of them.
All coordinates are in the scheme's CRS.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter

import numpy as np

from .area import clip_area
from .arrays import whole_numbers
from .coverage import Area, Coverage, cover
from .level_areas import Place
from .tiling import BUNDLE_TILES, Extent, Level, TileRange, TilingScheme

INSET_PIXELS = 0.25
"""How far inside its bundles a rectangle ends, in pixels of its finest level.

One that ended just on a bundle's edge would reach, by rounding, into the next one."""

TURNED_CELLS = 200_000
"""Up to so many, the columns of all rectangles by rows are gone through for those by columns."""

Run = tuple[int, int]


@dataclass(frozen=True)
class Cut:
    """A rectangle for one job: `extent`, and the block of tiles it is about by level id.

    At each of these levels `extent` reaches into the tiles of the block and into no others.
    """

    extent: Extent
    tiles: Mapping[int, TileRange]

    @property
    def planned(self) -> dict[int, int]:
        """Number of tiles by level id."""
        return {level_id: block.count for level_id, block in self.tiles.items()}


def bundle_rectangles(
    scheme: TilingScheme, level: Level, place: Place, extent: Extent | None = None
) -> tuple[TileRange, ...]:
    """Rectangles of the bundles of `level` that hold a tile which `place` touches within `extent`.

    Rows and columns count bundles, not tiles. Each such bundle is in one rectangle, and no other
    bundle is in any. `place` None: all of `extent`; both None: no rectangles, for nobody knows.
    """
    area = _common(scheme, place, extent)
    if area is None:
        return ()
    if isinstance(area, Extent):
        tiles = scheme.tiles_of_extent(level, area)
        return () if tiles is None else (bundles_of(tiles),)
    by_rows = _stacked(_bundle_rows(cover(scheme, level, area)))
    if sum(each.max_col - each.min_col + 1 for each in by_rows) > TURNED_CELLS:
        return by_rows
    turned = _stacked(_runs_by_column(by_rows))
    if len(by_rows) <= len(turned):
        return by_rows
    return tuple(
        TileRange(each.min_col, each.max_col, each.min_row, each.max_row) for each in turned
    )


def tiles_within(
    scheme: TilingScheme, level: Level, bundles: TileRange, extent: Extent | None
) -> TileRange | None:
    """The tiles of a block of `bundles` that `extent` touches (None: all); None: it touches none.

    A block of bundles and a rectangle have a block of tiles in common.
    """
    block = _tiles_of(bundles)
    if extent is None:
        return block
    touched = scheme.tiles_of_extent(level, extent)
    return None if touched is None else _common_block(block, touched)


def cuts(
    scheme: TilingScheme,
    levels: Iterable[Level],
    place: Place,
    extent: Extent | None,
    most: float = math.inf,
) -> tuple[Cut, ...]:
    """Rectangles for jobs that update `levels` at `place` within `extent`; see the module.

    A rectangle that several levels have in common is one cut. In the order of `levels`. Where they
    are more than `most`, not all of them are given, but still more than `most`.
    """
    found: list[Cut] = []
    for level in levels:
        # by the tiles that an earlier level's rectangle is at this one
        earlier = {scheme.tiles_of_extent(level, cut.extent): at for at, cut in enumerate(found)}
        for bundles in bundle_rectangles(scheme, level, place, extent):
            block = tiles_within(scheme, level, bundles, extent)
            own = None if block is None else _cut(scheme, {level.id: block}, extent)
            if own is None:
                continue
            at = earlier.get(block)
            both = None if at is None else _together(scheme, found[at], own, extent)
            if both is not None and at is not None:
                found[at] = both
                continue
            found.append(own)
            if len(found) > most:
                return tuple(found)
    return tuple(found)


def halves(scheme: TilingScheme, cut: Cut) -> tuple[Cut, ...]:
    """`cut` in two: by levels, those of one level between bundles; () for one bundle of a level."""
    level_ids = list(cut.tiles)
    if len(level_ids) > 1:
        middle = len(level_ids) // 2
        return tuple(
            Cut(cut.extent, {level_id: cut.tiles[level_id] for level_id in part})
            for part in (level_ids[:middle], level_ids[middle:])
        )
    level_id, block = level_ids[0], cut.tiles[level_ids[0]]
    parts = (_common_block(part, block) for part in map(_tiles_of, _halved(bundles_of(block))))
    found = (_cut(scheme, {level_id: part}, cut.extent) for part in parts if part is not None)
    return tuple(half for half in found if half is not None)


def _common(scheme: TilingScheme, place: Place, extent: Extent | None) -> Area | None:
    """What `place` and `extent` have in common; None where that is nothing, or all unknown."""
    if place is None or extent is None:
        return extent if place is None else place
    if isinstance(place, Extent):
        return place.intersection(extent)
    area = clip_area(place, scheme, extent)
    return None if area.is_empty else area


def _together(scheme: TilingScheme, cut: Cut, other: Cut, extent: Extent | None) -> Cut | None:
    """One rectangle for the levels of both; None where there is none that is exact for them all."""
    both = _cut(scheme, {**cut.tiles, **other.tiles}, extent)
    fits = both is not None and all(
        scheme.tiles_of_extent(scheme.level(level_id), both.extent) == block
        for level_id, block in both.tiles.items()
    )
    return both if fits else None


def _cut(scheme: TilingScheme, tiles: Mapping[int, TileRange], extent: Extent | None) -> Cut | None:
    """The cut of these blocks of `tiles` within `extent`; None where nothing is in all of them."""
    rectangle = _inside(scheme, tiles, extent)
    return None if rectangle is None else Cut(rectangle, tiles)


def _inside(
    scheme: TilingScheme, tiles: Mapping[int, TileRange], extent: Extent | None
) -> Extent | None:
    """The part of `extent` (None: all) that lies in the blocks of `tiles`, well inside of them.

    None where they have nothing in common.
    """
    levels = [scheme.level(level_id) for level_id in tiles]
    blocks = [_bounds(scheme, level, tiles[level.id]) for level in levels]
    common = extent or blocks[0]
    for block in blocks:
        both = common.intersection(block)
        if both is None:
            return None
        common = both
    inset = INSET_PIXELS * min(level.resolution for level in levels)
    for block in blocks:
        # a strip that the full extent leaves of a bundle may be thinner than the inset
        common = common.intersection(_smaller(block, inset)) or common
    return scheme.without_slivers(common, levels)


def _smaller(extent: Extent, by: float) -> Extent:
    return Extent(extent.xmin + by, extent.ymin + by, extent.xmax - by, extent.ymax - by)


def _bounds(scheme: TilingScheme, level: Level, block: TileRange) -> Extent:
    """Bounds of a block of tiles, in CRS units."""
    first = scheme.tile_bounds(level, block.min_row, block.min_col)
    last = scheme.tile_bounds(level, block.max_row, block.max_col)
    return Extent(first.xmin, last.ymin, last.xmax, first.ymax)


def bundles_of(tiles: TileRange) -> TileRange:
    """The bundles that hold a block of tiles."""
    ends = (tiles.min_row, tiles.max_row, tiles.min_col, tiles.max_col)
    return TileRange(*(end // BUNDLE_TILES for end in ends))


def _tiles_of(bundles: TileRange) -> TileRange:
    """All tiles of a block of bundles."""
    return TileRange(
        bundles.min_row * BUNDLE_TILES,
        (bundles.max_row + 1) * BUNDLE_TILES - 1,
        bundles.min_col * BUNDLE_TILES,
        (bundles.max_col + 1) * BUNDLE_TILES - 1,
    )


def _common_block(one: TileRange, other: TileRange) -> TileRange | None:
    first_row, last_row = max(one.min_row, other.min_row), min(one.max_row, other.max_row)
    first_col, last_col = max(one.min_col, other.min_col), min(one.max_col, other.max_col)
    if first_row > last_row or first_col > last_col:
        return None
    return TileRange(first_row, last_row, first_col, last_col)


def _halved(block: TileRange) -> tuple[TileRange, ...]:
    """`block` in two across its longer side; () for a single cell."""
    rows, cols = block.max_row - block.min_row, block.max_col - block.min_col
    if not (rows or cols):
        return ()
    if rows >= cols:
        middle = block.min_row + rows // 2
        return replace(block, max_row=middle), replace(block, min_row=middle + 1)
    middle = block.min_col + cols // 2
    return replace(block, max_col=middle), replace(block, min_col=middle + 1)


def _bundle_rows(coverage: Coverage) -> Iterator[tuple[int, list[Run]]]:
    """Each row of bundles that holds tiles of `coverage`, and its runs of columns, in order."""
    pieces = []
    for runs in coverage.runs():
        numbers = np.column_stack([runs.rows, runs.first_cols, runs.last_cols]) // BUNDLE_TILES
        pieces.append(np.unique(numbers, axis=0))
    if not pieces:
        return
    distinct = np.unique(np.concatenate(pieces), axis=0)
    columns = [whole_numbers(distinct[:, column]) for column in range(3)]
    for row, held in groupby(zip(*columns), key=itemgetter(0)):
        yield row, _united((first, last) for _, first, last in held)


def _runs_by_column(blocks: Iterable[TileRange]) -> Iterator[tuple[int, list[Run]]]:
    """Each column of the cells in `blocks`, and its runs of rows, in order."""
    by_column: dict[int, list[Run]] = {}
    for block in blocks:
        for col in range(block.min_col, block.max_col + 1):
            by_column.setdefault(col, []).append((block.min_row, block.max_row))
    for col in sorted(by_column):
        yield col, _united(sorted(by_column[col]))


def _united(runs: Iterable[Run]) -> list[Run]:
    """Sorted `runs`, joined where they overlap or adjoin."""
    joined: list[Run] = []
    for first, last in runs:
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return joined


def _stacked(rows: Iterable[tuple[int, list[Run]]]) -> tuple[TileRange, ...]:
    """The cells of `rows` as blocks: runs that are the same in neighbouring rows are one."""
    done: list[TileRange] = []
    growing: dict[Run, TileRange] = {}
    for row, runs in rows:
        grown = {}
        for run in runs:
            above = growing.pop(run, None)
            if above is not None and above.max_row == row - 1:
                grown[run] = replace(above, max_row=row)
            else:
                done += [above] if above is not None else []
                grown[run] = TileRange(row, row, *run)
        done += growing.values()
        growing = grown
    return tuple(
        sorted([*done, *growing.values()], key=lambda block: (block.min_row, block.min_col))
    )
