"""The tiles of an update whose source has tiles in some bundles only."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ..storage.store import Bools, TileStore
from ..tiling import BUNDLE_TILES, Level, TileRange, bundle_of
from .plan import Corner, Plan
from .source import TileSource


class SourcePlan(Plan):
    """The tiles of `plan`, of which only bundles are looked at that can hold something.

    These are, by level id, `drawn`, those of the source, and `stored`, those of the cache: so it
    takes no time to pass by what neither has. All other tiles are gaps.
    """

    def __init__(
        self, plan: Plan, drawn: dict[int, set[Corner]], stored: dict[int, set[Corner]]
    ) -> None:
        self.levels = plan.levels
        self._plan, self._drawn, self._stored = plan, drawn, stored
        self._counts: dict[int, tuple[int, int]] = {}

    @classmethod
    def of(cls, plan: Plan, source: TileSource, store: TileStore) -> Plan:
        """`plan` with what `source`, which has been started, knows; itself where that is nothing.

        Raises StorageError.
        """
        drawn: dict[int, set[Corner]] = {}
        stored: dict[int, set[Corner]] = {}
        for level in plan.levels:
            corners = source.bundles(level.id)
            if corners is not None:
                drawn[level.id] = set(corners)
                blocks = store.blocks(level.id)
                stored[level.id] = {bundle_of(each.min_row, each.min_col) for each in blocks}
        return cls(plan, drawn, stored) if drawn else plan

    def count(self, level: Level) -> int:
        return self._plan.count(level)

    def most(self, level: Level) -> int:
        return self._counted(level)[0]

    def reach(self, level: Level) -> int:
        return self._counted(level)[1]

    def _counted(self, level: Level) -> tuple[int, int]:
        """The tiles of the area in bundles of the source; and in all bundles that are looked at."""
        if level.id not in self._drawn:
            return self._plan.most(level), self._plan.reach(level)
        if level.id not in self._counts:
            most = reach = 0
            for block, mask in self._plan.bundles(level, self._bundles(level)):
                tiles = int(mask.sum())
                reach += tiles
                most += tiles if (block.min_row, block.min_col) in self._drawn[level.id] else 0
            self._counts[level.id] = most, reach
        return self._counts[level.id]

    def supertiles(self, level: Level, side: int) -> int:
        touched = self._plan.supertiles(level, side)
        if level.id not in self._drawn:
            return touched
        return min(touched, len(self._bundles(level)) * (BUNDLE_TILES // side) ** 2)

    def bundles(
        self, level: Level, among: Collection[Corner] | None = None
    ) -> Iterator[tuple[TileRange, Bools]]:
        if level.id not in self._drawn:
            return self._plan.bundles(level, among)
        known = self._bundles(level)
        return self._plan.bundles(level, known if among is None else known.intersection(among))

    def _bundles(self, level: Level) -> set[Corner]:
        return self._drawn[level.id] | self._stored[level.id]
