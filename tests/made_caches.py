"""Caches and tiles that tests make for themselves, small and each tile different.

The bundles are written by `arcgis_server.bundles`, not by the plugin.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from arcgis_server import bundles

from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage.conf_xml import conf_cdi, conf_xml
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.tiling import WEB_MERCATOR_HALF, Extent

HALF = WEB_MERCATOR_HALF
WORLD = Extent(-HALF, -HALF, HALF, HALF)
SIDE = 64
"""Pixels across the tiles: small ones are made quickly."""

Key = tuple[int, int, int]
"""Level id, row, column."""


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    """A chunk of a PNG file."""
    checksum = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


@lru_cache(maxsize=8)
def _pixels(side: int) -> bytes:
    return zlib.compress(b"".join(bytes([0]) + bytes(4 * side) for _ in range(side)))


def tile(level_id: int, row: int, col: int, generation: int = 0, side: int = SIDE) -> bytes:
    """A PNG with transparency, of a size of its own; another for every place and generation."""
    rng = random.Random(f"{level_id} {row} {col} {generation}")
    name = f"tile\0{level_id} {row} {col} {generation} ".encode()
    text = name + rng.randbytes(rng.randrange(2000))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0))
    middle = chunk(b"tEXt", text) + chunk(b"IDAT", _pixels(side))
    return b"\x89PNG\r\n\x1a\n" + header + middle + chunk(b"IEND")


def generation_of(content: bytes, key: Key) -> int | None:
    """Which generation of the tile `key` this is; None where it is not that tile, or not whole."""
    start = content.find(b"tEXttile\0")
    words = content[start + 9 : start + 60].split(b" ")
    if start < 0 or len(words) < 4 or not words[3].isdigit():
        return None
    generation = int(words[3])
    return generation if content == tile(*key, generation) else None


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
