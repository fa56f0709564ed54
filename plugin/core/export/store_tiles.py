"""Tiles as they are stored in other caches: nothing is drawn, or encoded anew."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..arrays import places
from ..errors import LayerFailed, SourceError, StorageError, TileCacheError
from ..local.source import Cancelled, PartlyDrawn, Supertile, TileSource
from ..local.space import average_size
from ..storage.profile import CacheProfile
from ..storage.store import Bools, TileStore
from ..tiling import TileRange, bundle_of
from .matching import level_map

SIDE = 16
"""Tiles across that are read at once: 256 of the largest usual ones are some 60 MB."""

LARGER_SIDES = (64, 32)
"""Tiles across that are read at once where tiles are small."""

_AT_ONCE = 20 * 1024 * 1024  # bytes of tiles that are read at once, by some of them
_STRIP = 1024  # tiles that are read between two looks whether it was cancelled

WORKERS = 2

Tile = tuple[int, int]
Pictures = Mapping[Tile, bytes]


@dataclass(frozen=True)
class _Origin:
    """A store to read from, and by id of the cache that is made which of its levels is meant."""

    store: TileStore
    levels: Mapping[int, int]


class StoreTiles(TileSource):
    """Hands out the tiles of `stores`, called `name`; of each tile, that of the first that has it.

    Levels are found by their resolutions. `missing`: draws the tiles that none of them has; None:
    these are gaps. `fingerprint`: as in TileSource; "": by the files' paths, sizes and times.
    A damaged tile fails by itself. Closes the stores and `missing`.
    """

    def __init__(
        self,
        stores: Sequence[TileStore],
        name: str,
        *,
        fingerprint: str = "",
        missing: TileSource | None = None,
    ) -> None:
        self.name = name
        self._stores = tuple(stores)
        self._missing = missing
        self._own_fingerprint = fingerprint
        self._origins: tuple[_Origin, ...] = ()
        self.supertile_side, self.workers = SIDE, WORKERS

    def start(self, profile: CacheProfile) -> None:
        """Raises what `missing` raises."""
        self._origins = tuple(
            _Origin(store, level_map(profile.scheme, store.profile.scheme))
            for store in self._stores
        )
        self.supertile_side = self._side()
        self.fingerprint = self._own_fingerprint or fingerprint_of(self._stores)
        if self._missing is not None:
            self._missing.start(profile)
            self.supertile_side, self.workers = self._missing.supertile_side, self._missing.workers
            self.fingerprint += f"\n{self._missing.name}\n{self._missing.fingerprint}"

    def draw(self, supertile: Supertile, cancelled: Cancelled) -> Pictures:
        tiles: dict[Tile, bytes] = {}
        failed: dict[Tile, TileCacheError] = {}
        left = supertile.wanted.copy()
        for origin in self._of_level(supertile.level.id):
            if left.any():
                found = self._read(origin, replace(supertile, wanted=left), failed, cancelled)
                tiles.update(found)
                _drop(left, supertile.block, found)
        failed = {tile: error for tile, error in failed.items() if tile not in tiles}
        _drop(left, supertile.block, failed)  # what is damaged is not what is not there
        if self._missing is not None and left.any() and not cancelled():
            drawn = self._missing.draw(replace(supertile, wanted=left), cancelled)
            tiles.update(drawn)
            if isinstance(drawn, PartlyDrawn):
                failed.update(drawn.failed)
        return PartlyDrawn(tiles, failed) if failed else tiles

    def bundles(self, level_id: int) -> Collection[Tile] | None:
        """Where any of the stores has tiles; None where `missing` may have some anywhere."""
        corners: set[Tile] = set()
        if self._missing is not None:
            others = self._missing.bundles(level_id)
            if others is None:
                return None
            corners.update(others)
        for origin in self._of_level(level_id):
            blocks = origin.store.blocks(origin.levels[level_id])
            corners.update(bundle_of(block.min_row, block.min_col) for block in blocks)
        return corners

    def tile_bytes(self, level_id: int) -> float | None:
        for origin in self._of_level(level_id):
            size = average_size(origin.store, origin.levels[level_id])
            if size is not None:
                return size
        return None

    def is_at(self, path: Path) -> bool:
        found = any(is_same_place(store.path, path) for store in self._stores)
        return found or (self._missing is not None and self._missing.is_at(path))

    def close(self) -> None:
        with ExitStack() as stack:
            for store in self._stores:
                stack.callback(store.close)
            if self._missing is not None:
                stack.callback(self._missing.close)

    def _of_level(self, level_id: int) -> Iterator[_Origin]:
        return (origin for origin in self._origins if level_id in origin.levels)

    def _side(self) -> int:
        """Tiles across to read at once: the more, the smaller the tiles of all levels are."""
        sizes = [0.0]
        for origin in self._origins:
            for level_id in origin.levels.values():
                with suppress(StorageError):
                    sizes.append(average_size(origin.store, level_id) or 0.0)
        largest = max(sizes)
        fit = (side for side in LARGER_SIDES if side * side * largest <= _AT_ONCE)
        return next(fit, SIDE)

    def _read(
        self,
        origin: _Origin,
        supertile: Supertile,
        failed: dict[Tile, TileCacheError],
        cancelled: Cancelled,
    ) -> dict[Tile, bytes]:
        """Those of the wanted tiles that `origin` has; what fails goes to `failed`."""
        level_id, block = origin.levels[supertile.level.id], supertile.block
        tiles: dict[Tile, bytes] = {}
        rows = max(1, _STRIP // (block.max_col - block.min_col + 1))
        for first in range(block.min_row, block.max_row + 1, rows):
            if cancelled():
                break
            last = min(first + rows - 1, block.max_row)
            strip = TileRange(first, last, block.min_col, block.max_col)
            wanted = supertile.wanted[first - block.min_row : last - block.min_row + 1]
            if not wanted.any():
                continue
            try:
                tiles.update(origin.store.read_block(level_id, strip, wanted))
            except StorageError:
                tiles.update(self._read_each(origin.store, level_id, strip, wanted, failed))
        return tiles

    def _read_each(
        self,
        store: TileStore,
        level_id: int,
        block: TileRange,
        wanted: Bools,
        failed: dict[Tile, TileCacheError],
    ) -> dict[Tile, bytes]:
        """Read tiles one by one, where not all can be read at once."""
        tiles: dict[Tile, bytes] = {}
        try:
            there = wanted & store.exists(level_id, block)
        except StorageError as error:
            for tile in _tiles_of(block, wanted):
                failed[tile] = self._failure(level_id, tile, error)
            return tiles
        for tile in _tiles_of(block, there):
            try:
                content = store.read(level_id, *tile)
            except StorageError as error:
                failed[tile] = self._failure(level_id, tile, error)
            else:
                if content is not None:  # else deleted just now
                    tiles[tile] = content
        return tiles

    def _failure(self, level_id: int, tile: Tile, error: TileCacheError) -> SourceError:
        told = LayerFailed(self.name, f"tile {level_id}/{tile[0]}/{tile[1]}, {error}")
        told.__cause__ = error
        return told


def _tiles_of(block: TileRange, mask: Bools) -> Iterator[Tile]:
    return ((block.min_row + row, block.min_col + col) for row, col in places(mask))


def _drop(mask: Bools, block: TileRange, tiles: Collection[Tile]) -> None:
    """Take `tiles` out of the mask of `block`."""
    if tiles:
        listed = np.array(list(tiles), dtype=np.int64)
        mask[listed[:, 0] - block.min_row, listed[:, 1] - block.min_col] = False


def fingerprint_of(stores: Iterable[TileStore]) -> str:
    """Changes with the files of `stores`, as far as that can be seen without reading them all.

    Of a cache in a folder: with its files and folders but for what is written into a bundle.
    """
    digest = hashlib.sha256()
    for store in stores:
        path = store.path.absolute()
        for each in (path, *_folders_of(store, path)):
            with suppress(OSError):
                facts = each.stat()
                size = facts.st_size if each.is_file() else 0
                digest.update(f"{each}\0{size}\0{facts.st_mtime_ns}\0".encode(errors="replace"))
    return digest.hexdigest()[:32]


def is_same_place(path: Path, other: Path) -> bool:
    """Whether both paths, of which either may lead nowhere, are of the same file or folder."""
    try:
        return path.samefile(other)
    except OSError:
        return False


def _folders_of(store: TileStore, path: Path) -> list[Path]:
    """The files beside the tiles of a cache in a folder, and the folders of its levels."""
    if not path.is_dir():
        return []
    found = [each for each in path.iterdir() if not each.name.startswith(".")]
    inside = [each for folder in found if folder.is_dir() for each in folder.iterdir()]
    return sorted(found + inside)
