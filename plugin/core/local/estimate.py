"""What an update would take: tiles counted, bytes and seconds learned from a few samples."""

from __future__ import annotations

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
from .plan import AreaPlan, Corner, existing_bundles, plan_of, supertiles, tiles_to_do, world_of
from .source import Supertile, TileSource
from .space import USUAL_TILE, average_size

SAMPLES = 3
"""Supertiles of a level that are drawn."""

DRAWING = 10.0
"""Seconds that drawing samples may take, of all levels together."""

LOOKING = 5.0
"""Seconds that looking at existing tiles may take, per level."""

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
    see which exist. `bytes`: what the new tiles would take, None for a deletion. `seconds`: with
    all the source's threads, None where nothing could be drawn to learn from.
    Raises ServiceChanged, EmptyArea, AreaOutside, NothingToDraw, FormatNotDrawn, StorageError.
    """
    try:
        name = store.profile.name or store.path.name
        if store.profile.scheme != request.scheme:
            raise ServiceChanged(name)
        plan = plan_of(request, store.profile, name, store)
        side = 1 if source is None else source.supertile_side
        todo = {
            level.id: _to_do(store, request, plan, level, side, feedback, clock)
            for level in plan.levels
        }
        if request.mode is UpdateMode.DELETE:
            return tuple(_deletion(level, todo[level.id].tiles) for level in plan.levels)
        samples: dict[int, list[_Sample]] = {}
        if source is not None:
            source.start(store.profile)
            worth = [level for level in plan.levels if todo[level.id].tiles]
            samples = _sampled(source, store.profile, plan, worth, feedback, clock)
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


def _to_do(
    store: TileStore,
    request: UpdateRequest,
    plan: AreaPlan,
    level: Level,
    side: int,
    feedback: Feedback,
    clock: Clock,
) -> _ToDo:
    """How much there is to do on a level, as far as that can be seen in time."""
    everything = _ToDo(plan.count(level), plan.supertiles(level, side))
    chosen = request.tile_filter
    is_filtered = chosen.only_existing or chosen.older_than is not None
    if request.mode is UpdateMode.RECREATE_ALL and not is_filtered:
        return everything
    end = clock() + LOOKING
    tiles = parts = 0
    among = existing_bundles(store, request, level.id)
    for block, mask in plan.bundles(level, among):
        if clock() > end or _is_unwanted(feedback):
            return everything
        with suppress(DamagedCache):
            todo, _exists = tiles_to_do(store, request, level.id, block, mask)
            tiles += int(todo.sum())
            parts += sum(1 for _part in supertiles(level, block, todo, side))
    return _ToDo(tiles, parts)


def _sampled(
    source: TileSource,
    profile: CacheProfile,
    plan: AreaPlan,
    levels: list[Level],
    feedback: Feedback,
    clock: Clock,
) -> dict[int, list[_Sample]]:
    """Samples by level id: one of each level, then one more, the finest level first."""
    samples: dict[int, list[_Sample]] = {}
    end = clock() + DRAWING
    for turn in range(SAMPLES):
        for level in reversed(levels):
            if clock() > end or _is_unwanted(feedback):
                return samples
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
