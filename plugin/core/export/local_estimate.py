"""What copying tiles of a cache on this computer would take: counted, and tried with a few."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Callable

import numpy as np

from ..arrays import places
from ..errors import DamagedCache, TileCacheError
from ..local.plan import Plan, plan_of
from ..local.space import USUAL_TILE
from ..request import Feedback, LevelEstimate
from ..storage.creation import SUFFIXES, create_cache
from ..storage.opening import open_store
from ..storage.profile import CacheProfile
from ..storage.sidecar import CacheSettings
from ..storage.store import Bools, TileStore
from ..tiling import BUNDLE_TILES, Level, TileRange, bundle_of
from .copying import update_of
from .request import ExportRequest
from .store_tiles import SIDE

LOOKING = 6.0
"""Seconds that looking which tiles exist may take, of all levels."""

COPYING = 4.0
"""Seconds for copying some of them."""

_SPREAD = 32  # tiles of a level, from all over it, whose sizes are looked at
_COUNTED = 60.0  # percent of the progress that is made once all is counted

Clock = Callable[[], float]
Tile = tuple[int, int]


@dataclass
class _Found:
    """The tiles of a level: how many; some from all over; some that lie together."""

    tiles: int = 0
    spread: list[Tile] = field(default_factory=list)
    together: list[Tile] = field(default_factory=list)

    def add(self, block: TileRange, there: Bools) -> None:
        """Count the tiles of a bundle."""
        listed = [(block.min_row + row, block.min_col + col) for row, col in places(there)]
        self.tiles += len(listed)
        self.spread += listed[:: max(1, len(listed) // 4)]
        if len(self.spread) > 2 * _SPREAD:
            del self.spread[::2]
        if len(self.together) < SIDE * SIDE:
            corner = _densest(there)
            row, col = block.min_row + corner[0], block.min_col + corner[1]
            near = [t for t in listed if 0 <= t[0] - row < SIDE and 0 <= t[1] - col < SIDE]
            self.together = max(self.together, near, key=len)


def estimate_copy(
    store: TileStore,
    like: CacheProfile,
    request: ExportRequest,
    feedback: Feedback,
    *,
    clock: Clock = time.monotonic,
) -> tuple[LevelEstimate, ...]:
    """What `request` would copy of `store`, whose profile is `like`, level by level.

    `tiles`: those that exist in the area; about so many where it takes long to look. `bytes`: by
    some of them. `seconds`: by copying some to a cache of the target's format that is removed
    again; None where that cannot be. Takes LOOKING and COPYING seconds at the most.
    Raises AreaOutside, EmptyArea, StorageError.
    """
    plan = plan_of(update_of(request, store.profile.scheme, like), like, like.name)
    end = clock() + LOOKING
    found: dict[int, _Found] = {}
    for number, level in enumerate(plan.levels):
        feedback.progress(_COUNTED * number / len(plan.levels))
        late = lambda: clock() > end or _is_unwanted(feedback)  # noqa: E731
        found[level.id] = _look(store, plan, level, late)
    feedback.progress(_COUNTED)
    each = None if request.draws_missing else _seconds_each(store, like, request, found, clock)
    feedback.progress(100.0)
    return tuple(
        _estimate(store, level, found[level.id], _tiles(plan, level, found, request), each)
        for level in plan.levels
    )


def _is_unwanted(feedback: Feedback) -> bool:
    return feedback.cancelled() or feedback.abandoned()


def _tiles(plan: Plan, level: Level, found: dict[int, _Found], request: ExportRequest) -> int:
    return plan.count(level) if request.draws_missing else found[level.id].tiles


def _look(store: TileStore, plan: Plan, level: Level, is_late: Callable[[], bool]) -> _Found:
    """The tiles of the area that exist on a level; by the first bundles where it takes long."""
    found = _Found()
    corners = {bundle_of(block.min_row, block.min_col) for block in store.blocks(level.id)}
    for looked, (block, mask) in enumerate(plan.bundles(level, corners)):
        if looked and is_late():
            # As many in those that were not looked at as in the others.
            found.tiles = round(found.tiles * len(corners) / looked)
            break
        with suppress(DamagedCache):
            found.add(block, mask & store.exists(level.id, block))
    return found


def _densest(there: Bools) -> Tile:
    """Where in a bundle the supertile with the most tiles begins."""
    across = BUNDLE_TILES // SIDE
    counts = there.reshape(across, SIDE, across, SIDE).sum(axis=(1, 3))
    row, col = divmod(int(np.argmax(counts)), across)
    return row * SIDE, col * SIDE


def _estimate(
    store: TileStore, level: Level, found: _Found, tiles: int, each: float | None
) -> LevelEstimate:
    sizes = [len(content) for content in _contents(store, level.id, found.spread).values()]
    size = sum(sizes) / len(sizes) if sizes else USUAL_TILE
    seconds = 0.0 if not tiles else None if each is None else tiles * each
    return LevelEstimate(level, tiles, round(tiles * size), seconds)


def _contents(store: TileStore, level_id: int, tiles: Iterable[Tile]) -> dict[Tile, bytes]:
    """Those of `tiles` that can be read."""
    contents: dict[Tile, bytes] = {}
    for row, col in tiles:
        with suppress(DamagedCache):
            content = store.read(level_id, row, col)
            if content is not None:
                contents[row, col] = content
    return contents


def _seconds_each(
    store: TileStore,
    like: CacheProfile,
    request: ExportRequest,
    found: dict[int, _Found],
    clock: Clock,
) -> float | None:
    """Seconds that copying a tile takes; None where there is none, or no cache can be made."""
    end, tiles, seconds = clock() + COPYING, 0, 0.0
    with suppress(TileCacheError, OSError), TemporaryDirectory() as folder:
        path = Path(folder) / f"tiles{SUFFIXES.get(request.storage, '')}"
        profile = replace(like, storage=request.storage, cached_ids=())
        create_cache(path, profile, CacheSettings())
        with open_store(path, for_writing=True) as copy:
            # Any level will do: what is written is thrown away.
            level_id = copy.profile.scheme.levels[-1].id
            for source_id in sorted(found, key=lambda each: -len(found[each].together)):
                wanted = found[source_id].together
                if not wanted or clock() > end:
                    break
                begun = clock()
                contents = _contents(store, source_id, wanted)
                copy.write(level_id, contents)
                seconds += clock() - begun
                tiles += len(contents)
            begun = clock()
            copy.commit()
            seconds += clock() - begun
    return seconds / tiles if tiles else None
