"""Caches of bundles that rows start from, and what an independent reader finds in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from arcgis_server import bundles
from shapely.geometry.base import BaseGeometry

from tile_cache_manager.plugin.core.coverage import cover
from tile_cache_manager.plugin.core.local.plan import bundles_of
from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage.creation import create_cache
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings
from tile_cache_manager.plugin.core.tiling import WEB_MERCATOR_HALF, Extent

from .core_jobs import FINEST
from .map_tiles import picture
from .measure import run_core, said

_HALF = WEB_MERCATOR_HALF
WORLD = Extent(-_HALF, -_HALF, _HALF, _HALF)


def new_cache(path: Path) -> Path:
    """A cache of the world's levels 0 to 19 without tiles."""
    scheme = web_mercator(finest=FINEST)
    ids = tuple(level.id for level in scheme.levels)
    profile = CacheProfile(scheme, StorageFormat.COMPACT_V2, "PNG", 0, ids, extent=WORLD)
    create_cache(path, profile, CacheSettings())
    return path


def fill(path: Path, area: BaseGeometry | Extent, levels: tuple[int, int]) -> int:
    """Put one picture at all tiles of the area; how many these are. Takes moments."""
    scheme, count = web_mercator(finest=FINEST), 0
    with open_store(path, for_writing=True) as store:
        for level in scheme.levels[levels[0] : levels[1] + 1]:
            coverage = cover(scheme, level, area)
            count += coverage.count
            for block, mask in bundles_of(coverage):
                store.write_even(level.id, block, mask, picture(0))
        store.commit()
    return count


def draw(path: Path, area: Path, finest: int, generation: int = 0) -> int:
    """Fill a cache with map-like tiles, all of them different, by an update; how many."""
    what = ("RECREATE_ALL", area, f"0-{finest}", f"drawn{generation}")
    report = said(run_core("update", path, *what))
    return int(report["made"] + report["replaced"])


def tiles_in(path: Path, levels: range) -> int:
    """Number of tiles, by the sizes in the bundles' indexes (Esri's Compact Cache V2 paper)."""
    count = 0
    for level in levels:
        for file in path.glob(f"_alllayers/L{level:02}/*.bundle"):
            index = np.fromfile(file, "<u8", 128 * 128, offset=64)
            count += int(np.count_nonzero(index >> np.uint64(40)))
    return count


def places(path: Path, level: int) -> set[tuple[int, int]]:
    """Rows and columns of the tiles of a level."""
    return set(bundles.tiles_present(path, level))


def size_of(path: Path) -> int:
    """Bytes of the bundles."""
    return sum(file.stat().st_size for file in path.rglob("*.bundle"))
