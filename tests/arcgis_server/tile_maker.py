"""Makes the tiles of a job: draws them by supertiles and writes them one by one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .bundles import delete_tile, write_tile
from .coverage import Tile
from .drawing import Cut, Picture
from .profiles import Service
from .schemes import Lod, Scheme

if TYPE_CHECKING:
    from .state import SiteState

SUPERTILE_PIXELS = 2048
WRITING = threading.Lock()  # jobs may share a bundle, and an append is three writes


@dataclass(frozen=True)
class TileChange:
    """One tile to write, or to delete where ``data`` is None."""

    folder: Path
    level: int
    tile: Tile
    data: bytes | None

    def apply(self) -> bool:
        """Change the cache; return whether there was a tile before."""
        row, col = self.tile
        with WRITING:
            if self.data is None:
                return delete_tile(self.folder, self.level, row, col)
            return write_tile(self.folder, self.level, row, col, self.data)


class TileMaker:
    """Changes tiles of one service in one mode."""

    def __init__(self, state: SiteState, service: Service, mode: str) -> None:
        if service.scheme is None:
            raise ValueError(f"{service.name} has no tiling scheme")
        self._state = state
        self._service = service
        self._scheme: Scheme = service.scheme
        self._deletes = mode == "DELETE_TILES"
        self._folder = state.cache_folder(service)

    @property
    def side(self) -> int:
        """How many rows, and columns, of tiles are drawn as one supertile."""
        return max(1, SUPERTILE_PIXELS // self._scheme.tile_size)

    def batches(self, tiles: tuple[Tile, ...]) -> list[tuple[Tile, ...]]:
        """Return the tiles grouped by supertile, in the order of their first tiles."""
        groups: dict[Tile, list[Tile]] = {}
        for row, col in tiles:
            groups.setdefault((row // self.side, col // self.side), []).append((row, col))
        return [tuple(group) for group in groups.values()]

    def changes(self, lod: Lod, tiles: tuple[Tile, ...]) -> Iterator[TileChange]:
        """Yield the changes to make in a batch; drawing happens before the first one."""
        if self._deletes:
            for tile in tiles:
                yield TileChange(self._folder, lod.level, tile, None)
            return
        for tile, data in zip(tiles, self._draw(lod, tiles), strict=True):
            yield TileChange(self._folder, lod.level, tile, data)

    def _draw(self, lod: Lod, tiles: tuple[Tile, ...]) -> list[bytes]:
        """Draw the smallest block around the tiles and return the tiles cut from it."""
        size = self._scheme.tile_size
        row, col = min(t[0] for t in tiles), min(t[1] for t in tiles)
        rows, cols = max(t[0] for t in tiles) - row + 1, max(t[1] for t in tiles) - col + 1
        cuts: tuple[Cut, ...] = tuple(
            ((tile[1] - col) * size, (tile[0] - row) * size, size, size) for tile in tiles
        )
        return self._state.painter.draw(
            Picture(
                crs=self._scheme.reference.definition(),
                extent=self._scheme.block_box(lod, row, col, rows, cols),
                width=cols * size,
                height=rows * size,
                cuts=cuts,
                revision=self._state.revision,
                theme=self._service.theme,
                tile_format=self._service.tile_format,
                quality=self._service.quality,
                limit=self._service.full_extent,
            )
        )
