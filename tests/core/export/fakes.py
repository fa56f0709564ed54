"""Pictures, caches and requests that tests of exports are made of; pixels without Qt."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from made_pictures import png
from shapely.geometry import Point, box
from shapely.geometry.base import BaseGeometry

from tile_cache_manager.plugin.core.errors import SourceError
from tile_cache_manager.plugin.core.export.request import ExportRequest
from tile_cache_manager.plugin.core.level_areas import Areas
from tile_cache_manager.plugin.core.local.source import Supertile, TileSource
from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage.creation import SUFFIXES, create_cache
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import NAME, CacheSettings
from tile_cache_manager.plugin.core.tiling import (
    WEB_MERCATOR_HALF,
    Extent,
    TilingScheme,
    bundle_of,
)

HALF = WEB_MERCATOR_HALF
WORLD = Extent(-HALF, -HALF, HALF, HALF)

Tiles = Mapping[tuple[int, int, int], bytes]


def profile_of(
    scheme: TilingScheme, storage: StorageFormat = StorageFormat.COMPACT_V2, **rest: Any
) -> CacheProfile:
    """A PNG32 cache of the world with all levels of `scheme`."""
    ids = tuple(level.id for level in scheme.levels)
    given = {"image_format": "PNG32", "cached_ids": ids, "extent": WORLD, "name": "Hills", **rest}
    return CacheProfile(scheme=scheme, storage=storage, **given)


def make_cache(path: Path, profile: CacheProfile, tiles: Tiles) -> Path:
    """A cache at `path` (its ending is added) with these tiles (level id, row, column)."""
    path = path.with_name(path.name + SUFFIXES.get(profile.storage, ""))
    create_cache(path, profile, CacheSettings())
    put(path, tiles)
    return path


def put(path: Path, tiles: Tiles) -> None:
    """Store tiles in the cache at `path`."""
    parts: dict[tuple[int, tuple[int, int]], dict[tuple[int, int], bytes]] = {}
    for (level_id, row, col), content in tiles.items():
        parts.setdefault((level_id, bundle_of(row, col)), {})[row, col] = content
    with open_store(path, for_writing=True) as store:
        for (level_id, _corner), part in parts.items():
            store.write(level_id, part)
        store.commit()


def tiles_in(path: Path) -> dict[tuple[int, int, int], bytes]:
    """All tiles of the cache at `path`."""
    found: dict[tuple[int, int, int], bytes] = {}
    with open_store(path) as store:
        for level_id in store.level_ids():
            for block in store.blocks(level_id):
                for i, j in np.argwhere(store.exists(level_id, block)).tolist():
                    row, col = block.min_row + i, block.min_col + j
                    found[level_id, row, col] = store.read(level_id, row, col) or b""
    return found


def snapshot(path: Path) -> dict[str, str]:
    """Digests of all files at and below `path`, and of the folder it lies in, but for our own."""
    return {
        str(each): hashlib.sha256(each.read_bytes()).hexdigest() if each.is_file() else "folder"
        for each in sorted(path.parent.rglob("*"))
        if NAME not in str(each)
    }


def request_of(
    scheme: TilingScheme,
    target: Path,
    areas: Areas = None,
    storage: StorageFormat = StorageFormat.COMPACT_V2,
    levels: Collection[int] | None = None,
    **rest: Any,
) -> ExportRequest:
    """An export of `levels` (ids; all) to `target`."""
    chosen = tuple(e for e in scheme.levels if levels is None or e.id in levels)
    return ExportRequest(scheme, chosen, areas, target, storage, **rest)


def small_scheme(finest: int = 4, side: int = 32) -> TilingScheme:
    """Web Mercator with small tiles, of which every pixel can be looked at."""
    return web_mercator(side, finest=finest)


def noise(seed: int, side: int = 32, alpha: int | None = 255) -> Any:
    """Pixels (rows x columns x R, G, B, A), each its own; `alpha` of all of them, None: any."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 4), dtype=np.uint8)
    if alpha is not None:
        pixels[..., 3] = alpha
    return pixels


def encoded(pixels: Any) -> bytes:
    """The PNG of pixels (rows x columns x R, G, B, A)."""
    return png(pixels.transpose(2, 0, 1))


def decoded(content: bytes) -> Any:
    """The pixels of a PNG that `encoded` made."""
    at, body, head = 8, b"", (0, 0)
    while at < len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        chunk = content[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            head = struct.unpack(">II", chunk[:8])
        body += chunk if kind == b"IDAT" else b""
        at += 12 + length
    width, height = head
    lines = np.frombuffer(zlib.decompress(body), np.uint8).reshape(height, 1 + 4 * width)
    assert not lines[:, 0].any(), "filter 0 only"
    return lines[:, 1:].reshape(height, width, 4).copy()


def over(below: Any, above: Any) -> Any:
    """One pixel (R, G, B, A) drawn over another: source over, by the book, in whole numbers."""
    share, rest = above[3] / 255, below[3] / 255 * (1 - above[3] / 255)
    alpha = share + rest
    if alpha == 0:
        return below
    mixed = [(above[i] * share + below[i] * rest) / alpha for i in range(3)]
    return np.rint([*mixed, 255 * alpha]).astype(np.uint8)


def brute_mask(part: BaseGeometry, side: int) -> Any:
    """Whether the middle of each pixel lies in `part`: asked of shapely, one by one."""
    return np.array(
        [[part.contains(Point(x + 0.5, y + 0.5)) for x in range(side)] for y in range(side)]
    )


@dataclass
class PlainPixels:
    """Pixels by brute force, for PNG that `encoded` made. `calls`: what was asked, in order."""

    calls: list[str] = field(default_factory=list)

    def is_opaque(self, picture: bytes) -> bool:
        self.calls.append("is_opaque")
        return bool((decoded(picture)[..., 3] == 255).all())

    def clipped(self, picture: bytes, part: BaseGeometry, image_format: str, quality: int) -> bytes:
        self.calls.append("clipped")
        pixels = decoded(picture)
        pixels[~brute_mask(part, pixels.shape[0])] = 0
        return encoded(pixels)

    def merged(
        self,
        below: bytes,
        above: bytes,
        part: BaseGeometry | None,
        image_format: str,
        quality: int,
    ) -> bytes:
        self.calls.append("merged")
        under, upper = decoded(below), decoded(above)
        side = under.shape[0]
        mask = np.ones((side, side), bool) if part is None else brute_mask(part, side)
        for row, col in np.argwhere(mask).tolist():
            under[row, col] = over(under[row, col], upper[row, col])
        return encoded(under)


class NoPixels:
    """Where no picture is to be looked into."""

    def is_opaque(self, picture: bytes) -> bool:
        raise SourceError("", "looked into")

    clipped = merged = is_opaque


class ListSource(TileSource):
    """Gives the tiles listed (level id, row, column). `asked`: those that were wanted."""

    supertile_side = 8

    def __init__(self, tiles: Tiles, name: str = "list") -> None:
        self.tiles, self.name, self.fingerprint = tiles, name, "list"
        self.asked: set[tuple[int, int, int]] = set()
        self.closed = 0

    def start(self, profile: CacheProfile) -> None:
        """Ready at once."""

    def draw(self, supertile: Supertile, cancelled: object) -> Mapping[tuple[int, int], bytes]:
        level_id, block = supertile.level.id, supertile.block
        wanted = [
            (block.min_row + i, block.min_col + j)
            for i, j in np.argwhere(supertile.wanted).tolist()
        ]
        self.asked |= {(level_id, *tile) for tile in wanted}
        keys = {tile: (level_id, *tile) for tile in wanted}
        return {tile: self.tiles[key] for tile, key in keys.items() if key in self.tiles}

    def close(self) -> None:
        self.closed += 1


def touched(scheme: TilingScheme, level_id: int, area: Any) -> set[tuple[int, int, int]]:
    """The tiles that `area` shares a surface with: each tile of the world asked of shapely."""
    area = box(*area.bounds) if isinstance(area, Extent) else area
    level, side = scheme.level(level_id), 2**level_id
    return {
        (level_id, row, col)
        for row in range(side)
        for col in range(side)
        if area.intersection(box(*scheme.tile_bounds(level, row, col).bounds)).area > 1e-3
    }


def all_tiles(levels: Iterable[int]) -> list[tuple[int, int, int]]:
    """Every tile of these levels of the world."""
    return [(z, row, col) for z in levels for row in range(2**z) for col in range(2**z)]
