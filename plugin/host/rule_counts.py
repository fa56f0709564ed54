"""What can be counted of areas by scale where one of the areas cannot be had."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.description import CacheDescription
from ..core.errors import RequestError
from ..core.planned import TileCount, planned_tiles
from ..core.tiling import Level
from . import areas
from .area_rules import rule_of


@dataclass(frozen=True)
class PartCount:
    """The tiles of the levels, by id, whose areas can be had; and the first rule whose cannot."""

    tiles: dict[int, int]
    rule: areas.ScaleArea | None


def count_part(
    source: areas.AreasByScale,
    description: CacheDescription,
    levels: tuple[Level, ...],
    cancelled: areas.IsCancelled,
    count: TileCount = planned_tiles,
) -> PartCount:
    """Count the tiles of those of `levels` whose rule has an area. Any thread. Raises Cancelled."""
    tiles: dict[int, int] = {}
    bad: areas.ScaleArea | None = None
    for rule in source.rules:
        held = tuple(level for level in levels if rule_of(source.rules, level) is rule)
        if not held:
            continue
        try:
            place = areas.resolve(rule.source, description, cancelled)
        except RequestError:
            bad = bad or rule
            continue
        for level in held:
            if cancelled():
                raise areas.Cancelled()
            tiles.update(count(description, (level,), place))
    return PartCount(tiles, bad)
