"""How many tiles an update is really about, before it begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .bundle_rectangles import bundle_rectangles, tiles_within
from .coverage import count_tiles
from .description import CacheDescription
from .level_areas import Areas, Place, by_area
from .tiling import Level

TileCount = Callable[[CacheDescription, tuple[Level, ...], Place], dict[int, int]]
"""Counts tiles of levels at a place, by level id; none where the place is not known."""


def touched_tiles(
    description: CacheDescription, levels: Iterable[Level], place: Place
) -> dict[int, int]:
    """Tiles of `levels`, by level id, that `place` touches.

    Empty where `place` is the whole cache, whose extent nobody knows.
    """
    area = description.extent if place is None else place
    return {} if area is None else count_tiles(description.scheme, levels, area)


def planned_tiles(
    description: CacheDescription, levels: Iterable[Level], place: Place
) -> dict[int, int]:
    """Tiles of `levels`, by level id, that an update of the cache at `place` makes or deletes.

    `touched_tiles`; but of a hosted layer all in the bundles that are touched, as far as they lie
    in its full extent.
    """
    if place is None or not description.is_hosted:
        return touched_tiles(description, levels, place)
    return {level.id: _in_bundles(description, level, place) for level in levels}


def planned_of(
    description: CacheDescription, areas: Areas, levels: Iterable[Level]
) -> dict[int, int]:
    """As `planned_tiles`, of areas that may differ from level to level."""
    planned: dict[int, int] = {}
    for held, place in by_area(areas, levels):
        planned.update(planned_tiles(description, held, place))
    return planned


def _in_bundles(description: CacheDescription, level: Level, place: Place) -> int:
    scheme, extent = description.scheme, description.extent
    blocks = (
        tiles_within(scheme, level, bundles, extent)
        for bundles in bundle_rectangles(scheme, level, place, extent)
    )
    return sum(block.count for block in blocks if block is not None)
