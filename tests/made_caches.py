"""Caches and tiles that tests make for themselves, small and each tile different.

The bundles are written by `arcgis_server.bundles`, not by the plugin.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from arcgis_server import bundles
from tile_bytes import SIDE, Key, tile

from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage.conf_xml import conf_cdi, conf_xml
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.tiling import WEB_MERCATOR_HALF, Extent

HALF = WEB_MERCATOR_HALF
WORLD = Extent(-HALF, -HALF, HALF, HALF)


def profile(
    storage: StorageFormat = StorageFormat.COMPACT_V2,
    image_format: str = "PNG32",
    finest: int = 9,
    side: int = SIDE,
) -> CacheProfile:
    """Of a cache of the world in Web Mercator, all levels of which are cached."""
    scheme = web_mercator(side, finest=finest)
    ids = tuple(level.id for level in scheme.levels)
    quality = 75 if image_format in ("JPEG", "MIXED") else 0
    return CacheProfile(scheme, storage, image_format, quality, ids, WORLD, "Made for a test")


def write_metadata(folder: Path, made: CacheProfile) -> None:
    """Put conf.xml and conf.cdi into `folder`, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "conf.xml").write_bytes(conf_xml(made))
    (folder / "conf.cdi").write_bytes(conf_cdi(made))
    (folder / "_alllayers").mkdir(exist_ok=True)


def make_compact(folder: Path, keys: Iterable[Key], made: CacheProfile | None = None) -> Path:
    """A Compact V2 cache with these tiles of generation 0."""
    made = made or profile()
    write_metadata(folder, made)
    for key in keys:
        bundles.write_tile(folder, *key, tile(*key, side=made.scheme.tile_width))
    return folder
