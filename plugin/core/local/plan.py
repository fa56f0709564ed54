"""Which tiles an update is about: bundle by bundle, and supertile by supertile within a bundle.

Everything here streams. Memory follows the length of the area's outline, never the tiles inside.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, box

from ..area import WORLD_EDGE
from ..arrays import whole_numbers
from ..coverage import Area, Coverage, RowRuns, cover
from ..errors import AreaOutside, BadScheme, BadSchemeReason, EmptyArea
from ..request import TileFilter, UpdateMode, UpdateRequest
from ..storage.profile import CacheProfile
from ..storage.store import Bools, TileStore
from ..tiling import BUNDLE_TILES, Extent, Level, TileRange, TilingScheme, bundle_of

Corner = tuple[int, int]
"""Row and column of the first tile of a bundle or supertile."""

Whole = NDArray[np.int64]

LARGEST_NUMBER = (1 << 32) - 1
"""The highest row, or column, that files can name: with eight hexadecimal digits."""


class Plan(ABC):
    """The tiles of an update, before anybody has looked which of them exist.

    `levels`: from the coarsest to the finest.
    """

    levels: tuple[Level, ...]

    @abstractmethod
    def count(self, level: Level) -> int:
        """Number of tiles of a level."""

    def most(self, level: Level) -> int:
        """Number of tiles of a level that can be made; fewer where the source has not all."""
        return self.count(level)

    def reach(self, level: Level) -> int:
        """Number of tiles of a level in the bundles that are looked at; for showing progress."""
        return self.count(level)

    @abstractmethod
    def supertiles(self, level: Level, side: int) -> int:
        """In how many supertiles of `side` x `side` tiles they lie; for showing progress."""

    @abstractmethod
    def bundles(
        self, level: Level, among: Collection[Corner] | None = None
    ) -> Iterator[tuple[TileRange, Bools]]:
        """The bundles of a level: all their 128 x 128 tiles, and which of those are meant.

        `among`: only bundles with these corners; None: all.
        """


class AreaPlan(Plan):
    """All the tiles that `area`, in the CRS of `scheme`, touches on `levels`.

    One area for all levels, or, by level id, one for each; a level without one has no tiles.
    `areas`: these, by level id.
    """

    def __init__(
        self, scheme: TilingScheme, levels: Iterable[Level], area: Area | Mapping[int, Area]
    ) -> None:
        wanted = set(levels)
        self.levels = tuple(level for level in scheme.levels if level in wanted)
        self._scheme = scheme
        self.areas = (
            area if isinstance(area, Mapping) else {level.id: area for level in self.levels}
        )
        self._counts: dict[int, int] = {}

    def coverage(self, level: Level, side: int = 1) -> Coverage:
        """The blocks of `side` x `side` tiles that the area touches, numbered from the origin."""
        coarser = replace(level, resolution=level.resolution * side)
        return cover(self._scheme, coarser, self.areas.get(level.id, MultiPolygon()))

    def count(self, level: Level) -> int:
        if level.id not in self._counts:
            self._counts[level.id] = self.coverage(level).count
        return self._counts[level.id]

    def supertiles(self, level: Level, side: int) -> int:
        return self.coverage(level, side).count

    def bundles(
        self, level: Level, among: Collection[Corner] | None = None
    ) -> Iterator[tuple[TileRange, Bools]]:
        coverage = self.coverage(level)
        if among is None or not isinstance(self.areas.get(level.id), Extent):
            return bundles_of(coverage, among)
        # However large a rectangle is, only the bundles that are asked for are looked at.
        return _cut_out(coverage.bounds, among)


class TilesPlan(Plan):
    """Tiles that are listed: for each level id, rows and columns."""

    def __init__(self, levels: Iterable[Level], tiles: Mapping[int, Collection[Corner]]) -> None:
        self._tiles = {level_id: sorted(set(listed)) for level_id, listed in tiles.items()}
        self.levels = tuple(level for level in levels if self._tiles.get(level.id))

    def count(self, level: Level) -> int:
        return len(self._tiles[level.id])

    def supertiles(self, level: Level, side: int) -> int:
        return len({(row // side, col // side) for row, col in self._tiles[level.id]})

    def bundles(
        self, level: Level, among: Collection[Corner] | None = None
    ) -> Iterator[tuple[TileRange, Bools]]:
        masks: dict[Corner, Bools] = {}
        for row, col in self._tiles[level.id]:
            corner = bundle_of(row, col)
            if among is None or corner in among:
                mask = masks.setdefault(corner, np.zeros((BUNDLE_TILES, BUNDLE_TILES), np.bool_))
                mask[row - corner[0], col - corner[1]] = True
        for corner in sorted(masks):
            yield bundle_block(corner), masks[corner]


def plan_of(request: UpdateRequest, profile: CacheProfile, name: str) -> AreaPlan:
    """The tiles that `request` touches in the cache of `profile`, called `name`.

    Where the world's size is known, nothing beyond its edge is planned: no such tiles exist.
    Raises EmptyArea (all of a cache of which nobody knows how large it is), AreaOutside, BadScheme
    (more rows or columns than files can name).
    """
    areas: dict[int, Area] = {}
    for each in request.by_area():
        with suppress(AreaOutside):
            area = _area_of(each, profile, name)
            areas.update((level.id, area) for level in each.levels)
    plan = AreaPlan(profile.scheme, request.levels, areas)
    if not any(plan.count(level) for level in plan.levels):
        raise AreaOutside(name)
    return plan


def _area_of(request: UpdateRequest, profile: CacheProfile, name: str) -> Area:
    """What of the area of `request`, which has only one, lies in the world. Raises as `plan_of`."""
    area = request.extent if request.area is None else request.area
    if area is None:
        area = profile.extent or world_of(profile)
    if area is None:
        raise EmptyArea()
    area = _within(area, world_of(profile), name)
    _check_numbers(profile.scheme, request.levels, area, name)
    return area


def world_of(profile: CacheProfile) -> Extent | None:
    """The world in the cache's CRS; None for a CRS that does not show all of it.

    A cache whose own extent crosses the antimeridian has its place beyond the world's edge.
    """
    crs = profile.scheme.crs
    width = crs.world_width
    if width is None:
        return None
    half, height = width / 2, width / 4 if crs.is_geographic_world else width / 2
    world = Extent(-half, -height, half, height)
    own = profile.extent
    slack = width * WORLD_EDGE
    if own is None or own.xmax - own.xmin > width + slack:
        return world
    if own.xmin >= -half - slack and own.xmax <= half + slack:
        return world
    return Extent(min(own.xmin, -half), -height, max(own.xmax, half), height)


def world_limit(profile: CacheProfile, level: Level) -> TileRange | None:
    """The tiles of a level that lie in the world; None where nobody knows how large that is."""
    world = world_of(profile)
    return None if world is None else profile.scheme.tiles_of_extent(level, world)


def _within(area: Area, world: Extent | None, name: str) -> Area:
    """What of `area` lies in `world`. Raises EmptyArea, AreaOutside."""
    if not isinstance(area, Extent) and area.is_empty:
        raise EmptyArea()
    if world is None:
        return area
    if isinstance(area, Extent):
        common = area.intersection(world)
        if common is None:
            raise AreaOutside(name)
        return common
    xmin, ymin, xmax, ymax = area.bounds
    if world.xmin <= xmin and world.ymin <= ymin and xmax <= world.xmax and ymax <= world.ymax:
        return area
    common = area.intersection(box(*world.bounds))
    each = getattr(common, "geoms", [common])
    parts = [part for part in each if part.geom_type == "Polygon" and not part.is_empty]
    if not parts:
        raise AreaOutside(name)
    return MultiPolygon(parts)


def _check_numbers(scheme: TilingScheme, levels: Iterable[Level], area: Area, name: str) -> None:
    """Raise BadScheme where rows or columns of `area` have numbers that nothing can hold."""
    _xmin, ymin, xmax, _ymax = area.bounds
    for level in levels:
        width, height = scheme.tile_size(level)
        across, down = (xmax - scheme.origin_x) / width, (scheme.origin_y - ymin) / height
        if max(across, down) > LARGEST_NUMBER:
            raise BadScheme(name, BadSchemeReason.TOO_FINE)


class Choice(Protocol):
    """Which tiles of an area an update is about: its mode and filter, as of a request."""

    @property
    def mode(self) -> UpdateMode: ...

    @property
    def tile_filter(self) -> TileFilter: ...


def tiles_to_do(
    store: TileStore, request: Choice, level_id: int, block: TileRange, mask: Bools
) -> tuple[Bools, Bools]:
    """Which tiles of `mask`, of the bundle `block`, have to be worked on, and which exist.

    With `older_than`, a tile that does not exist counts as old. Raises DamagedCache.
    """
    exists = store.exists(level_id, block)
    todo = mask & ~exists if request.mode is UpdateMode.RECREATE_EMPTY else mask.copy()
    chosen = request.tile_filter
    if chosen.only_existing or request.mode is UpdateMode.DELETE:
        todo &= exists
    if chosen.older_than is not None and (todo & exists).any():
        # NaN, a tile of which no time is known, is never older.
        todo &= ~exists | (store.times(level_id, block) < chosen.older_than)
    return todo, exists


def existing_bundles(store: TileStore, request: UpdateRequest, level_id: int) -> set[Corner] | None:
    """Corners of the bundles that alone can hold tiles to work on; None: any can."""
    if request.mode is not UpdateMode.DELETE and not request.tile_filter.only_existing:
        return None
    return {bundle_of(block.min_row, block.min_col) for block in store.blocks(level_id)}


def bundle_block(corner: Corner) -> TileRange:
    """All tiles of the bundle with that corner."""
    row, col = corner
    return TileRange(row, row + BUNDLE_TILES - 1, col, col + BUNDLE_TILES - 1)


def bundles_of(
    coverage: Coverage, among: Collection[Corner] | None = None
) -> Iterator[tuple[TileRange, Bools]]:
    """The bundles that `coverage` touches, row by row: all their tiles, and which are touched.

    `among`: only bundles with these corners; None: all.
    """
    cols_of: dict[int, list[int]] = {}
    for row, col in sorted(among or ()):
        cols_of.setdefault(row // BUNDLE_TILES, []).append(col // BUNDLE_TILES)
    last = math.inf if among is None else max(cols_of, default=-1)
    if last < 0:
        return
    for band, runs in _bands(coverage):
        if band > last:
            return
        if among is None:
            yield from _swept(band, runs)
        elif band in cols_of:
            yield from _picked(band, runs, cols_of[band])


def _bands(coverage: Coverage) -> Iterator[tuple[int, RowRuns]]:
    """The runs of each row of bundles, with the number of that row."""
    band = -1
    parts: list[RowRuns] = []
    for runs in coverage.runs():
        bands = runs.rows // BUNDLE_TILES
        cuts = whole_numbers(np.flatnonzero(np.diff(bands)) + 1)
        for first, end in zip([0, *cuts], [*cuts, bands.size]):
            if parts and int(bands[first]) != band:
                yield band, _joined(parts)
                parts = []
            band = int(bands[first])
            here = slice(first, end)
            parts.append(RowRuns(runs.rows[here], runs.first_cols[here], runs.last_cols[here]))
    if parts:
        yield band, _joined(parts)


def _joined(parts: list[RowRuns]) -> RowRuns:
    return RowRuns(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.first_cols for part in parts]),
        np.concatenate([part.last_cols for part in parts]),
    )


def _swept(band: int, runs: RowRuns) -> Iterator[tuple[TileRange, Bools]]:
    """All bundles of a band, from left to right; the runs that pass one are carried along."""
    firsts, lasts = runs.first_cols // BUNDLE_TILES, runs.last_cols // BUNDLE_TILES
    order = np.argsort(firsts, kind="stable")
    starts = firsts[order]
    active: Whole = np.empty(0, dtype=np.int64)
    seen, col = 0, int(starts[0])
    while True:
        new = int(np.searchsorted(starts, col, side="right"))
        active = np.concatenate([active, order[seen:new]])
        active, seen = active[lasts[active] >= col], new
        if active.size:
            yield _bundle(band, col, runs, active)
            col += 1
        elif seen < starts.size:
            col = int(starts[seen])
        else:
            return


def _picked(band: int, runs: RowRuns, cols: list[int]) -> Iterator[tuple[TileRange, Bools]]:
    """Those bundles of a band that are asked for and touched."""
    firsts, lasts = runs.first_cols // BUNDLE_TILES, runs.last_cols // BUNDLE_TILES
    for col in cols:
        active = np.flatnonzero((firsts <= col) & (col <= lasts))
        if active.size:
            yield _bundle(band, col, runs, active)


def _cut_out(
    whole: TileRange | None, corners: Iterable[Corner]
) -> Iterator[tuple[TileRange, Bools]]:
    """Those of the bundles with these corners that `whole` reaches into, and its tiles in them."""
    if whole is None:
        return
    for row, col in sorted(corners):
        mask = np.zeros((BUNDLE_TILES, BUNDLE_TILES), np.bool_)
        rows = slice(max(0, whole.min_row - row), max(0, whole.max_row - row + 1))
        cols = slice(max(0, whole.min_col - col), max(0, whole.max_col - col + 1))
        mask[rows, cols] = True
        if mask.any():
            yield bundle_block((row, col)), mask


def _bundle(band: int, col: int, runs: RowRuns, active: Whole) -> tuple[TileRange, Bools]:
    """A bundle and its mask, from those of the runs that pass through it."""
    corner = band * BUNDLE_TILES, col * BUNDLE_TILES
    starts = np.maximum(runs.first_cols[active] - corner[1], 0)
    ends = np.minimum(runs.last_cols[active] - corner[1] + 1, BUNDLE_TILES)
    rows = runs.rows[active] - corner[0]
    # Runs of a row neither overlap nor adjoin, so their ends are all different.
    steps = np.zeros((BUNDLE_TILES, BUNDLE_TILES + 1), dtype=np.int8)
    steps[rows, starts] = 1
    steps[rows, ends] = -1
    mask = np.cumsum(steps, axis=1, dtype=np.int8)[:, :BUNDLE_TILES] > 0
    return bundle_block(corner), mask
