"""What an update would take: tiles counted, bytes and seconds learned from a few samples."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Callable

import numpy as np

from ..errors import (
    DamagedCache,
    FormatNotDrawn,
    NothingToDraw,
    ServiceChanged,
    TileCacheError,
)
from ..request import Feedback, LevelEstimate, UpdateMode, UpdateRequest
from ..storage.profile import CacheProfile
from ..storage.store import TileStore
from ..tiling import Level, TileRange
from .plan import AreaPlan, Corner, Plan, existing_bundles, tiles_to_do, world_of
from .source import Supertile, TileSource
from .space import USUAL_TILE, average_size
from .supertiles import touched
from .whole_cache import ExistingPlan, plan_for

SAMPLES = 3
"""Supertiles of a level that are drawn."""

DRAWING = 10.0
"""Seconds that all of it may take; what is left of them goes to drawing samples."""

LOOKING = 4.0
"""Seconds of these that counting, and looking at existing tiles, may take, of all levels."""

_GROWTH = 4  # counting a level takes up to so many times as long as the one before
_COUNTED = 50.0  # percent of the progress that is made once all is counted

Clock = Callable[[], float]


@dataclass(frozen=True)
class _ToDo:
    tiles: int
    supertiles: int


@dataclass(frozen=True)
class _Sample:
    tiles: int
    bytes: int
    seconds: float


def run_estimate(
    store: TileStore,
    source: TileSource | None,
    request: UpdateRequest,
    feedback: Feedback,
    *,
    clock: Clock = time.monotonic,
) -> tuple[LevelEstimate, ...]:
    """What `request` would take on each of its levels; nothing is stored; closes `source`.

    `tiles`: those that would be worked on; all that the area touches where it would take long to
    see which exist; about so many where it would take long to count even those. `bytes`: what the
    new tiles would take, None for a deletion. `seconds`: with all the source's threads, None where
    nothing could be drawn to learn from. Takes about DRAWING seconds at most.
    Raises ServiceChanged, EmptyArea, AreaOutside, NothingToDraw, FormatNotDrawn, StorageError.
    """
    try:
        name = store.profile.name or store.path.name
        if store.profile.scheme != request.scheme:
            raise ServiceChanged(name)
        begun = clock()
        plan = plan_for(request, store)
        side = 1 if source is None else source.supertile_side
        counting = _Counting(store, request, plan, side, clock, begun + LOOKING, feedback)
        todo = counting.levels()
        if request.mode is UpdateMode.DELETE or not isinstance(plan, AreaPlan):
            return tuple(_deletion(level, todo[level.id].tiles) for level in plan.levels)
        samples: dict[int, list[_Sample]] = {}
        if source is not None:
            source.start(store.profile)
            worth = [e for e in plan.levels if todo[e.id].tiles and e.id not in counting.guessed]
            end = begun + DRAWING
            samples = _sampled(source, store.profile, plan, worth, feedback, clock, end)
        feedback.progress(100.0)
        return tuple(
            _estimate(store, level, todo[level.id], _nearest(samples, plan, level), source)
            for level in plan.levels
        )
    finally:
        if source is not None:
            source.close()


def _is_unwanted(feedback: Feedback) -> bool:
    return feedback.cancelled() or feedback.abandoned()


def _deletion(level: Level, tiles: int) -> LevelEstimate:
    return LevelEstimate(level, tiles, None, None)


def _estimate(
    store: TileStore,
    level: Level,
    todo: _ToDo,
    samples: list[_Sample],
    source: TileSource | None,
) -> LevelEstimate:
    """The estimate of a level by `samples`, which may be those of another."""
    if not todo.tiles:
        return LevelEstimate(level, 0, 0, 0.0)
    tiles = sum(sample.tiles for sample in samples)
    if tiles:
        size: float | None = sum(sample.bytes for sample in samples) / tiles
    else:
        size = average_size(store, level.id)
    seconds = None
    if samples and source is not None:
        each = sum(sample.seconds for sample in samples) / len(samples)
        at_once = max(1, min(source.workers, todo.supertiles))
        seconds = each * todo.supertiles / at_once
    return LevelEstimate(
        level, todo.tiles, round(todo.tiles * (USUAL_TILE if size is None else size)), seconds
    )


class _Counting:
    """Counts what there is to do, from the coarsest level on, as far as that can be done in time.

    `guessed`: ids of the levels whose number of tiles follows from those of a coarser one.
    """

    def __init__(
        self,
        store: TileStore,
        request: UpdateRequest,
        plan: Plan,
        side: int,
        clock: Clock,
        end: float,
        feedback: Feedback,
    ) -> None:
        self._store, self._request, self._plan, self._side = store, request, plan, side
        self._clock, self._end, self._feedback = clock, end, feedback
        self._known: tuple[Level, int] | None = None  # the finest level that was counted
        self._took = 0.0
        self.guessed: set[int] = set()

    def levels(self) -> dict[int, _ToDo]:
        """What is to do, by level id."""
        todo: dict[int, _ToDo] = {}
        for number, level in enumerate(self._plan.levels):
            self._feedback.progress(_COUNTED * number / len(self._plan.levels))
            todo[level.id] = self._to_do(level)
        return todo

    def _to_do(self, level: Level) -> _ToDo:
        if isinstance(self._plan, ExistingPlan):
            return self._looked_at(level, None)
        everything = self._everything(level)
        chosen = self._request.tile_filter
        is_filtered = chosen.only_existing or chosen.older_than is not None
        if self._request.mode is UpdateMode.RECREATE_ALL and not is_filtered:
            return everything
        return everything if level.id in self.guessed else self._looked_at(level, everything)

    def _everything(self, level: Level) -> _ToDo:
        """All that the area touches; where counting would take too long, by the level before."""
        begun = self._clock()
        is_late = begun + _GROWTH * self._took > self._end or _is_unwanted(self._feedback)
        if self._known is not None and is_late and self._took > 0 and self._is_alike(level):
            self.guessed.add(level.id)
            finest, count = self._known
            tiles = round(count * (finest.resolution / level.resolution) ** 2)
            return _ToDo(tiles, math.ceil(tiles / self._side**2))
        everything = _ToDo(self._plan.count(level), self._plan.supertiles(level, self._side))
        self._known, self._took = (level, everything.tiles), self._clock() - begun
        return everything

    def _is_alike(self, level: Level) -> bool:
        """Whether the area of `level` is that of the finest level that was counted."""
        finest = None if self._known is None else self._known[0]
        return finest is not None and self._request.area_at(finest) is self._request.area_at(level)

    def _looked_at(self, level: Level, everything: _ToDo | None) -> _ToDo:
        """What is to do on a level; `everything` where time does not allow to look.

        None: then about as much in the bundles that were not looked at as in the others.
        """
        tiles = parts = 0
        among = existing_bundles(self._store, self._request, level.id)
        for looked, (block, mask) in enumerate(self._plan.bundles(level, among)):
            if self._clock() > self._end or _is_unwanted(self._feedback):
                share = len(among or ()) / max(1, looked)
                return everything or _ToDo(round(tiles * share), round(parts * share))
            with suppress(DamagedCache):
                todo, _exists = tiles_to_do(self._store, self._request, level.id, block, mask)
                tiles += int(todo.sum())
                parts += int(np.count_nonzero(touched(todo, self._side)))
        return _ToDo(tiles, parts)


def _sampled(
    source: TileSource,
    profile: CacheProfile,
    plan: AreaPlan,
    levels: list[Level],
    feedback: Feedback,
    clock: Clock,
    end: float,
) -> dict[int, list[_Sample]]:
    """Samples by level id: one of each level, then one more, the finest level first."""
    samples: dict[int, list[_Sample]] = {}
    each = (100 - _COUNTED) / max(1, SAMPLES * len(levels))
    for turn in range(SAMPLES):
        for number, level in enumerate(reversed(levels)):
            if clock() > end or _is_unwanted(feedback):
                return samples
            feedback.progress(_COUNTED + each * (turn * len(levels) + number))
            place = _place(plan, level, source.supertile_side, turn)
            if place is None:
                continue
            supertile = _whole(profile, level, place, source.supertile_side)
            sample = _draw(
                source, supertile, lambda: clock() > end or _is_unwanted(feedback), clock
            )
            if sample is not None:
                samples.setdefault(level.id, []).append(sample)
    return samples


def _draw(
    source: TileSource, supertile: Supertile, cancelled: Callable[[], bool], clock: Clock
) -> _Sample | None:
    """Draw a sample; None where that fails or takes too long."""
    begun = clock()
    try:
        tiles = source.draw(supertile, cancelled)
    except (NothingToDraw, FormatNotDrawn):
        raise
    except TileCacheError:
        return None
    if cancelled():
        return None
    return _Sample(len(tiles), sum(map(len, tiles.values())), clock() - begun)


def _place(plan: AreaPlan, level: Level, side: int, turn: int) -> Corner | None:
    """The first tile of a supertile in the middle of the area, or nearer to its ends.

    None where the level has no more of them.
    """
    coverage = plan.coverage(level, side)
    wanted = int(coverage.count * (0.5, 0.2, 0.8)[turn])
    if turn and coverage.count < SAMPLES:
        return None
    for runs in coverage.runs():
        ends = np.cumsum(runs.last_cols - runs.first_cols + 1)
        if wanted < int(ends[-1]):
            at = int(np.searchsorted(ends, wanted, side="right"))
            col = int(runs.last_cols[at]) - (int(ends[at]) - 1 - wanted)
            return int(runs.rows[at]) * side, col * side
        wanted -= int(ends[-1])
    return None


def _whole(profile: CacheProfile, level: Level, corner: Corner, side: int) -> Supertile:
    """The supertile that begins at a tile, all of it wanted that lies in the world."""
    block = TileRange(corner[0], corner[0] + side - 1, corner[1], corner[1] + side - 1)
    world = world_of(profile)
    limit = None if world is None else profile.scheme.tiles_of_extent(level, world)
    if limit is not None:
        block = TileRange(
            max(block.min_row, limit.min_row),
            min(block.max_row, limit.max_row),
            max(block.min_col, limit.min_col),
            min(block.max_col, limit.max_col),
        )
    shape = block.max_row - block.min_row + 1, block.max_col - block.min_col + 1
    return Supertile(level, block, np.ones(shape, dtype=np.bool_))


def _nearest(samples: dict[int, list[_Sample]], plan: AreaPlan, level: Level) -> list[_Sample]:
    """The samples of `level`, else of the level nearest to it that has some."""
    if not samples:
        return []
    ids = [each.id for each in plan.levels]
    return samples[min(samples, key=lambda other: abs(ids.index(other) - ids.index(level.id)))]
