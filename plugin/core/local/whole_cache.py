"""Deleting all of a cache: the tiles that there are, wherever they lie."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import numpy as np

from ..errors import CacheInUse, DamagedCache
from ..request import UpdateMode, UpdateRequest
from ..storage.store import Bools, TileStore
from ..tiling import BUNDLE_TILES, Level, TileRange, bundle_of
from .past_run import Run
from .plan import Corner, Plan, bundle_block, plan_of


def plan_for(request: UpdateRequest, store: TileStore) -> Plan:
    """The tiles that `request` is about in `store`: as `plan_of`, whose errors it raises.

    But to delete a cache as a whole, at whichever levels, is about the tiles that exist, also those
    outside the extent that it tells, and of the world.
    """
    if request.is_whole and request.mode is UpdateMode.DELETE:
        return ExistingPlan(store, request.levels)
    return plan_of(request, store.profile, store.profile.name or store.path.name)


class ExistingPlan(Plan):
    """The tiles of `levels` that exist; in a bundle that cannot be read, all there is room for.

    `before`: a run that was interrupted; what it deleted counts, too.
    """

    def __init__(
        self, store: TileStore, levels: Iterable[Level], before: Run | None = None
    ) -> None:
        wanted = set(levels)
        self.levels = tuple(level for level in store.profile.scheme.levels if level in wanted)
        self._store, self._before = store, before
        self._counts: dict[int, int] = {}

    def going_on(self, before: Run | None) -> ExistingPlan:
        """The same after the interrupted run `before`."""
        return self if before is None else ExistingPlan(self._store, self.levels, before)

    def count(self, level: Level) -> int:
        if level.id not in self._counts:
            deleted = 0 if self._before is None else self._before.deleted(level.id)
            here = sum(int(mask.sum()) for _block, mask in self.bundles(level))
            self._counts[level.id] = deleted + here
        return self._counts[level.id]

    def supertiles(self, level: Level, side: int) -> int:
        return len(self._corners(level)) * (BUNDLE_TILES // side) ** 2

    def bundles(
        self, level: Level, among: Collection[Corner] | None = None
    ) -> Iterator[tuple[TileRange, Bools]]:
        for corner in sorted(self._corners(level) if among is None else among):
            block = bundle_block(corner)
            try:
                yield block, self._store.exists(level.id, block)
            except (DamagedCache, CacheInUse):
                yield block, np.ones((BUNDLE_TILES, BUNDLE_TILES), np.bool_)

    def _corners(self, level: Level) -> set[Corner]:
        return {bundle_of(block.min_row, block.min_col) for block in self._store.blocks(level.id)}
