"""How many tiles the scales of a new cache hold, and which of them are ticked at first."""

from __future__ import annotations

from collections.abc import Iterable

from ..plugin.core.coverage import count_tiles
from ..plugin.core.schemes import area_of
from ..plugin.core.tiling import Extent, Level, TilingScheme

MOST_TILES = 100_000
"""So many tiles of the full extent are ticked at first: what is drawn in minutes."""


def tiles_of(
    scheme: TilingScheme, levels: Iterable[Level], extent: Extent | None
) -> dict[int, int]:
    """Number of tiles in `extent`, None for all that the scheme covers, by level id."""
    return count_tiles(scheme, levels, extent or area_of(scheme))


def first_ids(
    scheme: TilingScheme, kept: Iterable[int], extent: Extent | None, most: int = MOST_TILES
) -> tuple[int, ...]:
    """Ids of the coarsest levels among `kept` that have at most `most` tiles; one at least."""
    among = set(kept)
    levels = [level for level in scheme.levels if level.id in among] or list(scheme.levels)
    counts = tiles_of(scheme, levels, extent)
    chosen: list[int] = []
    for level in levels:
        if chosen and sum(counts[each] for each in (*chosen, level.id)) > most:
            break
        chosen.append(level.id)
    return tuple(chosen)
