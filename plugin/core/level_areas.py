"""Areas of interest that differ from level to level, in the CRS of a tiling scheme."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Union

from shapely.geometry.base import BaseGeometry

from .tiling import Extent, Level

Place = Union[BaseGeometry, Extent, None]
"""The area of some levels: polygon or multipolygon, or rectangle; None: the whole cache."""


@dataclass(frozen=True)
class LevelArea:
    """`area` is the area of the levels with these ids, and of no others."""

    level_ids: tuple[int, ...]
    area: Place


Areas = Union[BaseGeometry, Extent, None, tuple[LevelArea, ...]]
"""One area for all levels, or one for each of some groups of levels."""


def area_at(areas: Areas, level: Level) -> Place:
    """The area of `level`. Raises KeyError where `areas` has groups, and `level` is in none."""
    if not isinstance(areas, tuple):
        return areas
    for group in areas:
        if level.id in group.level_ids:
            return group.area
    raise KeyError(level.id)


def by_area(areas: Areas, levels: Iterable[Level]) -> tuple[tuple[tuple[Level, ...], Place], ...]:
    """`levels`, in groups that have their area in common, and that area.

    Levels that `areas` gives none are in no group; one that is in several counts for the first, as
    in `area_at`.
    """
    if not isinstance(areas, tuple):
        return ((tuple(levels), areas),)
    left = tuple(levels)
    groups: list[tuple[tuple[Level, ...], Place]] = []
    for group in areas:
        own = tuple(each for each in left if each.id in group.level_ids)
        left = tuple(each for each in left if each not in own)
        if own:
            groups.append((own, group.area))
    return tuple(groups)


def levels_without(areas: Areas, levels: Iterable[Level]) -> tuple[Level, ...]:
    """Those of `levels` that are in no group."""
    if not isinstance(areas, tuple):
        return ()
    listed = {level_id for group in areas for level_id in group.level_ids}
    return tuple(level for level in levels if level.id not in listed)
