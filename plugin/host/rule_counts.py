"""What can be counted of areas by scale where one of the areas cannot be had."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.coverage import count_tiles
from ..core.description import CacheDescription
from ..core.errors import RequestError
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
        place = description.extent if place is None else place
        for level in held if place is not None else ():
            if cancelled():
                raise areas.Cancelled()
            tiles.update(count_tiles(description.scheme, (level,), place))
    return PartCount(tiles, bad)
