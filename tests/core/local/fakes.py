"""A store in memory and sources that need no QGIS: what tests of updates are made of."""

from __future__ import annotations

import struct
import threading
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tile_cache_manager.plugin.core.errors import DamagedCache, LayerFailed, SourceError
from tile_cache_manager.plugin.core.local import bundle_run
from tile_cache_manager.plugin.core.local.source import Supertile, TileSource
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.store import Finding, Holes, TileStore
from tile_cache_manager.plugin.core.tiling import (
    WEB_MERCATOR_HALF,
    Level,
    SpatialReference,
    TileRange,
    TilingScheme,
    bundle_of,
)

HALF = WEB_MERCATOR_HALF

Tile = tuple[int, int]


def web_mercator(finest: int = 12) -> TilingScheme:
    """The scheme of the web's maps, 256 pixels, levels 0 to `finest`."""
    levels = tuple(
        Level(z, 2 * HALF / 256 / 2**z, 2 * HALF / 256 / 2**z * 96 / 0.0254)
        for z in range(finest + 1)
    )
    return TilingScheme(-HALF, HALF, 256, 256, 96, SpatialReference(102100, 3857), levels)


def profile_of(scheme: TilingScheme, storage: StorageFormat, **rest: object) -> CacheProfile:
    """A PNG cache with all levels of `scheme`."""
    ids = tuple(level.id for level in scheme.levels)
    return CacheProfile(scheme, storage, "PNG", cached_ids=ids, name="Hills", **rest)


def picture(level_id: int, row: int, col: int, style: int = 0, size: int = 256) -> bytes:
    """A PNG of one colour, which tells the tile and the style; the same for the same."""
    colour = bytes(((level_id * 16 + style) % 256, row % 256, col % 256))
    # One bit per pixel, which says: the first and only colour of the palette.
    head = struct.pack(">IIBBBBB", size, size, 1, 3, 0, 0, 0)
    text = f"tile\0{level_id}/{row}/{col} in style {style}".encode()
    parts = [
        (b"IHDR", head),
        (b"tEXt", text),
        (b"PLTE", colour),
        (b"IDAT", _zeros(size)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


@cache
def _zeros(size: int) -> bytes:
    return zlib.compress(bytes((1 + (size + 7) // 8) * size))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


class MemoryStore(TileStore):
    """Tiles in a dictionary. `path` is where an update keeps its journal.

    `now`: the time that tiles are stored at. `calls`: how often each method was called. `log`: what
    was written, deleted, committed, defragmented, in order. `damaged`: bundles (level, row, column
    of the first tile) that cannot be read. `before_write`: called with level id and tiles.
    """

    def __init__(self, path: Path, profile: CacheProfile, is_writable: bool = True) -> None:
        self.path, self.profile, self.is_writable = path, profile, is_writable
        self.tiles: dict[tuple[int, int, int], bytes] = {}
        self.stored_at: dict[tuple[int, int, int], float] = {}
        self.unused: dict[tuple[int, int, int], int] = {}
        self.damaged: set[tuple[int, int, int]] = set()
        self.now = 1000.0
        self.calls: dict[str, int] = {}
        self.log: list[tuple[object, ...]] = []
        self.before_write: Callable[[int, Mapping[Tile, bytes]], None] = lambda *_args: None
        self.writer: int | None = None

    def fill(self, level_id: int, tiles: Collection[Tile], content: bytes = b"old") -> None:
        """Put tiles there without writing."""
        for row, col in tiles:
            self.tiles[level_id, row, col] = content
            self.stored_at[level_id, row, col] = self.now

    def _count(self, name: str) -> None:
        self.calls[name] = self.calls.get(name, 0) + 1

    def _check(self, level_id: int, block: TileRange) -> None:
        for row in range(block.min_row - block.min_row % 128, block.max_row + 1, 128):
            for col in range(block.min_col - block.min_col % 128, block.max_col + 1, 128):
                if (level_id, row, col) in self.damaged:
                    raise DamagedCache(f"L{level_id:02}/R{row:04x}C{col:04x}.bundle", "no bundle")

    def read(self, level_id: int, row: int, col: int) -> bytes | None:
        return self.tiles.get((level_id, row, col))

    def exists(self, level_id: int, block: TileRange) -> np.ndarray:
        self._count("exists")
        self._check(level_id, block)
        found = np.zeros(_shape(block), bool)
        for level, row, col in self.tiles:
            if level == level_id and _is_in(block, row, col):
                found[row - block.min_row, col - block.min_col] = True
        return found

    def unwritten(self, level_id: int, since: int) -> Iterator[TileRange]:
        return self.blocks(level_id)

    def times(self, level_id: int, block: TileRange) -> np.ndarray:
        self._count("times")
        found = np.full(_shape(block), np.nan)
        for (level, row, col), when in self.stored_at.items():
            if level == level_id and _is_in(block, row, col):
                found[row - block.min_row, col - block.min_col] = when
        return found

    def blocks(self, level_id: int) -> Iterator[TileRange]:
        corners = {bundle_of(row, col) for level, row, col in self.tiles if level == level_id}
        return (TileRange(row, row + 127, col, col + 127) for row, col in corners)

    def level_ids(self) -> tuple[int, ...]:
        return tuple(sorted({level for level, _row, _col in self.tiles}))

    def counts(self, cancelled: Callable[[], bool] = lambda: False) -> dict[int, int]:
        levels = [level for level, _row, _col in self.tiles]
        return {level: levels.count(level) for level in set(levels)}

    def write(self, level_id: int, tiles: Mapping[Tile, bytes]) -> None:
        self._count("write")
        corners = {bundle_of(row, col) for row, col in tiles}
        assert len(corners) == 1, "tiles of one bundle only"
        # One thread alone writes.
        assert self.writer in (None, threading.get_ident())
        self.writer = threading.get_ident()
        self.before_write(level_id, tiles)
        corner = (level_id, *corners.pop())
        for (row, col), content in tiles.items():
            old = self.tiles.get((level_id, row, col), b"")
            self.unused[corner] = self.unused.get(corner, 0) + len(old)
            self.tiles[level_id, row, col] = content
            self.stored_at[level_id, row, col] = self.now
        self.log.append(("write", level_id, tuple(sorted(tiles))))

    def delete(self, level_id: int, tiles: Collection[Tile]) -> int:
        self._count("delete")
        assert len({bundle_of(row, col) for row, col in tiles}) == 1
        there = [tile for tile in tiles if (level_id, *tile) in self.tiles]
        for tile in there:
            del self.tiles[(level_id, *tile)], self.stored_at[(level_id, *tile)]
        self.log.append(("delete", level_id, tuple(sorted(tiles))))
        return len(there)

    def commit(self) -> None:
        self._count("commit")
        self.log.append(("commit",))

    def close(self) -> None:
        self._count("close")

    def findings(
        self, level_id: int, cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[Finding]:
        return iter(())

    def mend(self, finding: Finding) -> bool:
        return False

    def holes(
        self, level_id: int, cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[Holes]:
        for block in self.blocks(level_id):
            yield self.holes_in(level_id, block)

    def holes_in(self, level_id: int, block: TileRange) -> Holes:
        corner = (level_id, block.min_row, block.min_col)
        used = sum(
            len(content)
            for (level, row, col), content in self.tiles.items()
            if level == level_id and _is_in(block, row, col)
        )
        unused = self.unused.get(corner, 0)
        return Holes(level_id, "{}/{}/{}".format(*corner), used + unused, unused)

    def defragment(self, holes: Holes) -> int:
        self._count("defragment")
        corner = tuple(int(number) for number in holes.file.split("/"))
        self.log.append(("defragment", corner))
        return self.unused.pop(corner, 0)


def store_each_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each supertile stored by a write of its own, as soon as it is drawn."""
    monkeypatch.setattr(bundle_run, "BATCH_BYTES", 0)


def _shape(block: TileRange) -> tuple[int, int]:
    return block.max_row - block.min_row + 1, block.max_col - block.min_col + 1


def _is_in(block: TileRange, row: int, col: int) -> bool:
    return block.min_row <= row <= block.max_row and block.min_col <= col <= block.max_col


@dataclass
class PlainSource(TileSource):
    """Draws `picture`s. `drawn`: the supertiles it was asked for. `seconds`: for each of them."""

    name: str = "Plain"
    supertile_side: int = 8
    workers: int = 2
    style: int = 0
    seconds: float = 0.0
    fingerprint: str = ""
    drawn: list[Supertile] = field(default_factory=list)
    started: int = 0
    closed: int = 0
    most_at_once: int = 0
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, profile: CacheProfile) -> None:
        self.started += 1

    def draw(self, supertile: Supertile, cancelled: Callable[[], bool]) -> dict[Tile, bytes]:
        with self._lock:
            self.drawn.append(supertile)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            end = time.monotonic() + self.seconds
            while time.monotonic() < end and not cancelled():
                time.sleep(0.002)
            return self.pictures(supertile)
        finally:
            with self._lock:
                self._at_once -= 1

    def pictures(self, supertile: Supertile) -> dict[Tile, bytes]:
        """All the supertile's tiles, also those that nobody wants."""
        block, level = supertile.block, supertile.level
        return {
            (row, col): picture(level.id, row, col, self.style)
            for row in range(block.min_row, block.max_row + 1)
            for col in range(block.min_col, block.max_col + 1)
        }

    def close(self) -> None:
        self.closed += 1


@dataclass
class FailingSource(PlainSource):
    """Fails at supertiles that hold one of the `bad` tiles (level, row, column); all where None.

    Each fails `times` times, then succeeds; None: for ever. `error` makes what is raised.
    """

    bad: frozenset[tuple[int, int, int]] | None = None
    times: int | None = None
    error: Callable[[], Exception] = lambda: LayerFailed("Roads", "connection lost")
    tries: dict[tuple[int, int, int], int] = field(default_factory=dict)

    def pictures(self, supertile: Supertile) -> dict[Tile, bytes]:
        block, level = supertile.block, supertile.level.id
        key = (level, block.min_row, block.min_col)
        is_bad = self.bad is None or any(
            each[0] == level and _is_in(block, *each[1:]) for each in self.bad
        )
        if is_bad:
            self.tries[key] = self.tries.get(key, 0) + 1
            if self.times is None or self.tries[key] <= self.times:
                raise self.error()
        return super().pictures(supertile)


@dataclass
class GappySource(PlainSource):
    """Leaves out tiles: those in even rows."""

    def pictures(self, supertile: Supertile) -> dict[Tile, bytes]:
        return {tile: each for tile, each in super().pictures(supertile).items() if tile[0] % 2}


@dataclass
class EmptyPictureSource(PlainSource):
    """Gives no bytes for the tiles of even columns."""

    def pictures(self, supertile: Supertile) -> dict[Tile, bytes]:
        drawn = super().pictures(supertile)
        return {tile: each if tile[1] % 2 else b"" for tile, each in drawn.items()}


class RefusingSource(PlainSource):
    """Cannot even start."""

    def start(self, profile: CacheProfile) -> None:
        super().start(profile)
        raise SourceError(self.name, "no layers")
