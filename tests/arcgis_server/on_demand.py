"""Tiles of services that are cached on demand: drawn and stored the first time they are needed.

A supertile is always drawn whole and stored whole, so a tile's bytes do not depend on which of
its neighbours was asked for first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .bundles import has_tile, read_bytes
from .coverage import Tile
from .profiles import Service
from .schemes import Lod
from .tile_maker import TileMaker

if TYPE_CHECKING:
    from .state import SiteState


def stored_tile(state: SiteState, service: Service, level: int, tile: Tile) -> bytes | None:
    """Return the bytes of a tile, drawn now where the service does that, or None."""
    folder = state.cache_folder(service)
    data = read_bytes(folder, level, *tile)
    lod = service.scheme.lod(level) if service.scheme else None
    if data is None and lod is not None and service.on_demand:
        draw_missing(state, service, lod, [tile])
        data = read_bytes(folder, level, *tile)
    return data


def draw_missing(state: SiteState, service: Service, lod: Lod, tiles: Iterable[Tile]) -> None:
    """Draw and store the supertiles of those of the tiles that are not in the cache yet.

    Tiles outside the full extent or the cached levels do not come into being.
    """
    first, last = service.levels
    if not service.on_demand or service.scheme is None or not first <= lod.level <= last:
        return
    top, left, bottom, right = service.scheme.range_of(lod, service.full_extent)
    maker = TileMaker(state, service, "RECREATE_EMPTY_TILES")
    folder, side = state.cache_folder(service), maker.side
    for block_row, block_col in sorted({(row // side, col // side) for row, col in tiles}):
        rows = range(max(top, block_row * side), min(bottom, (block_row + 1) * side))
        cols = range(max(left, block_col * side), min(right, (block_col + 1) * side))
        block = tuple((row, col) for row in rows for col in cols)
        with state.drawing:
            if state.has_changed(service):
                return
            missing = {tile for tile in block if not has_tile(folder, lod.level, *tile)}
            for change in maker.changes(lod, block) if missing else ():
                if change.tile in missing:
                    change.apply()
