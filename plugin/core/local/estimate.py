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

ASKED = 64
"""Supertiles of a level of which a source is asked whether they need not be drawn."""

DRAWING = 10.0
"""Seconds that all of it may take; what is left of them goes to drawing samples."""

LOOKING = 4.0
"""Seconds of these that counting, and looking at existing tiles, may take, of all levels."""

_GROWTH = 4  # counting a level takes up to so many times as long as the one before
_COUNTED = 50.0  # percent of the progress that is made once all is counted
_DRAWN = 100 - _COUNTED
_PARTS = (0.5, 0.2, 0.8)  # where in the area samples lie

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


@dataclass(frozen=True)
class _Samples:
    """Supertiles of a level that were `drawn`; `share`: the part of all that has to be."""

    drawn: list[_Sample]
    share: float


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
        samples: dict[int, _Samples] = {}
        if source is not None:
            source.start(store.profile)
            worth = [e for e in plan.levels if todo[e.id].tiles and e.id not in counting.guessed]
            sampling = _Sampling(source, store.profile, plan, feedback, clock, begun + DRAWING)
            samples = sampling.of(worth)
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
    samples: _Samples | None,
    source: TileSource | None,
) -> LevelEstimate:
    """The estimate of a level by `samples`, which may be those of another.

    Tiles that need not be drawn take next to no room, for many share one picture, and no time.
    """
    if not todo.tiles:
        return LevelEstimate(level, 0, 0, 0.0)
    drawn, share = ([], 1.0) if samples is None else (samples.drawn, samples.share)
    tiles = sum(sample.tiles for sample in drawn)
    if tiles:
        size: float | None = sum(sample.bytes for sample in drawn) / tiles
    else:
        size = average_size(store, level.id)
    seconds = None if share else 0.0
    if drawn and source is not None:
        each = sum(sample.seconds for sample in drawn) / len(drawn)
        parts = todo.supertiles * share
        seconds = each * parts / max(1, min(source.workers, parts))
    bytes_each = USUAL_TILE if size is None else size
    return LevelEstimate(level, todo.tiles, round(todo.tiles * share * bytes_each), seconds)


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


class _Sampling:
    """Draws samples of levels, until `end`."""

    def __init__(
        self,
        source: TileSource,
        profile: CacheProfile,
        plan: AreaPlan,
        feedback: Feedback,
        clock: Clock,
        end: float,
    ) -> None:
        self._source, self._profile, self._plan = source, profile, plan
        self._feedback, self._clock, self._end = feedback, clock, end
        self._knows_even = type(source).even is not TileSource.even

    def of(self, levels: list[Level]) -> dict[int, _Samples]:
        """By level id: one sample of each level, then one more, the finest level first.

        A level of which nothing has to be drawn has no samples, but a share.
        """
        finest_first = levels[::-1]
        places: dict[int, tuple[list[Supertile], float]] = {}
        drawn: dict[int, list[_Sample]] = {}
        for turn, level in ((turn, level) for turn in range(SAMPLES) for level in finest_first):
            if self._is_over():
                break
            self._feedback.progress(_COUNTED + _DRAWN * self._number(turn, level, finest_first))
            if not turn:
                places[level.id] = self._places(level)
            if turn < len(places[level.id][0]):
                sample = self._draw(places[level.id][0][turn])
                if sample is not None:
                    drawn.setdefault(level.id, []).append(sample)
        return {
            level_id: _Samples(drawn.get(level_id, []), share)
            for level_id, (_, share) in places.items()
            if level_id in drawn or not share
        }

    def _number(self, turn: int, level: Level, levels: list[Level]) -> float:
        """The part of all samples that come before this one."""
        return (turn * len(levels) + levels.index(level)) / (SAMPLES * len(levels))

    def _is_over(self) -> bool:
        return self._clock() > self._end or _is_unwanted(self._feedback)

    def _places(self, level: Level) -> tuple[list[Supertile], float]:
        """Supertiles to draw, and the part of all that has to be drawn.

        In the middle of the area, then nearer to its ends, among those that have to be.
        """
        if not self._knows_even:
            found = self._spread(level, sorted(_PARTS))
            middle = found[len(found) // 2 : len(found) // 2 + 1]
            ends = [found[0], found[-1]] if len(found) == SAMPLES else []
            return middle + ends, 1.0
        asked = self._spread(level, [(number + 0.5) / ASKED for number in range(ASKED)])
        if not asked:
            return [], 1.0
        left = [supertile for supertile in asked if not self._is_even(supertile)]
        chosen = dict.fromkeys(int(part * len(left)) for part in _PARTS) if left else {}
        return [left[number] for number in chosen], len(left) / len(asked)

    def _is_even(self, supertile: Supertile) -> bool:
        if self._is_over():
            return False
        with suppress(Exception):  # a source's own mistake: what it draws tells what is wrong
            return self._source.even(supertile.level, supertile.block) is not None
        return False

    def _draw(self, supertile: Supertile) -> _Sample | None:
        """Draw a sample; None where that fails or takes too long."""
        begun = self._clock()
        try:
            tiles = self._source.draw(supertile, self._is_over)
        except (NothingToDraw, FormatNotDrawn):
            raise
        except TileCacheError:
            return None
        if self._is_over():
            return None
        return _Sample(len(tiles), sum(map(len, tiles.values())), self._clock() - begun)

    def _spread(self, level: Level, parts: list[float]) -> list[Supertile]:
        """Supertiles of the area, so far into it each as `parts`, ascending, say; each once."""
        side = self._source.supertile_side
        coverage = self._plan.coverage(level, side)
        wanted = list(dict.fromkeys(int(coverage.count * part) for part in parts))
        found: list[Supertile] = []
        before = 0
        for runs in coverage.runs():
            ends = before + np.cumsum(runs.last_cols - runs.first_cols + 1)
            before = int(ends[-1])
            while wanted and wanted[0] < before:
                at = int(np.searchsorted(ends, wanted[0], side="right"))
                col = int(runs.last_cols[at]) - (int(ends[at]) - 1 - wanted.pop(0))
                corner = int(runs.rows[at]) * side, col * side
                found.append(_whole(self._profile, level, corner, side))
            if not wanted:
                break
        return found


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


def _nearest(samples: dict[int, _Samples], plan: AreaPlan, level: Level) -> _Samples | None:
    """The samples of `level`, else of the level nearest to it that has some."""
    if not samples:
        return None
    ids = [each.id for each in plan.levels]
    return samples[min(samples, key=lambda other: abs(ids.index(other) - ids.index(level.id)))]
