"""A service as the source of a cache on this computer: its tiles are read one by one."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Mapping

from ..arcgis.tile_reader import TileReader
from ..arcgis.turns import MOST
from ..description import CacheDescription
from ..errors import (
    NotAllowed,
    NotArcGIS,
    NoTileThere,
    SignInNeeded,
    SiteError,
    SiteRefused,
    SourceError,
    TileCacheError,
)
from ..local.source import Cancelled, PartlyDrawn, Supertile, TileSource
from ..storage.profile import CacheProfile
from ..storage.store import Bools
from ..tiling import TileRange
from .matching import level_map

WINDOW = 32
"""Tiles across of the tile maps that are asked for; Esri's own clients ask for up to 128."""
_KEPT_WINDOWS = 256


class SiteTiles(TileSource):
    """Reads tiles of the service of `description`, as many at a time as a polite visitor does.

    Tiles that its tile map says are not there are not asked for. Each thread reads by itself: the
    client allows for that, and lets only so many of them at the service (see `Turns`).
    """

    supertile_side = 4
    workers = MOST

    def __init__(self, reader: TileReader, description: CacheDescription) -> None:
        self._reader, self._description = reader, description
        self.name = description.name
        self.fingerprint = _fingerprint(description)
        self._level_ids: Mapping[int, int] = {}
        self._windows: dict[tuple[int, int, int], Bools | None] = {}
        self._lock = threading.Lock()

    def start(self, profile: CacheProfile) -> None:
        """See TileSource. Levels are the service's by resolution, whatever their ids."""
        self._level_ids = level_map(profile.scheme, self._description.scheme)

    def draw(self, supertile: Supertile, cancelled: Cancelled) -> Mapping[tuple[int, int], bytes]:
        """See TileSource. What ails the service as a whole is raised, as SiteError."""
        level_id = self._level_ids.get(supertile.level.id)
        if level_id is None:
            raise SourceError(self.name, f"no scale 1:{supertile.level.scale:.0f}")
        wanted = self._wanted(level_id, supertile)
        with self._reader.turns.kept(cancelled):
            tiles, failed = self._read(level_id, wanted, cancelled)
        if failed and not tiles:
            raise next(iter(failed.values()))
        return PartlyDrawn(tiles, failed) if failed else tiles

    def tile_bytes(self, level_id: int) -> float | None:
        """See TileSource. By what the site tells of the whole level."""
        own_id = self._level_ids.get(level_id)
        for status in self._description.status:
            if status.level_id == own_id and status.bytes and status.tiles:
                return status.bytes / status.tiles
        return None

    def close(self) -> None:
        """See TileSource."""
        self._windows.clear()

    def _read(
        self, level_id: int, wanted: Iterable[tuple[int, int]], cancelled: Cancelled
    ) -> tuple[dict[tuple[int, int], bytes], dict[tuple[int, int], TileCacheError]]:
        """Those tiles of `wanted` that there are, and why others cannot be read."""
        tiles: dict[tuple[int, int], bytes] = {}
        failed: dict[tuple[int, int], TileCacheError] = {}
        for row, col in wanted:
            if cancelled():
                break
            try:
                tile = self._reader.read(level_id, row, col)
            except (SignInNeeded, NotAllowed):
                raise
            except (NoTileThere, NotArcGIS, SiteRefused) as error:
                # of this tile only, unless none can be read
                failed[row, col] = error
                continue
            if tile is not None:
                tiles[row, col] = tile
        return tiles, failed

    def _wanted(self, level_id: int, supertile: Supertile) -> list[tuple[int, int]]:
        """The wanted tiles that may be there; no window of a tile map is cut by a supertile."""
        block = supertile.block
        top, left = (first - first % WINDOW for first in (block.min_row, block.min_col))
        present = self._window(level_id, top, left)
        return [
            (row, col)
            for row in range(block.min_row, block.max_row + 1)
            for col in range(block.min_col, block.max_col + 1)
            if supertile.wanted[row - block.min_row, col - block.min_col]
            and (present is None or present[row - top, col - left])
        ]

    def _window(self, level_id: int, top: int, left: int) -> Bools | None:
        """Which tiles of a window are there; None where nobody tells."""
        key = (level_id, top, left)
        # held while the site is asked, so that other threads do not ask for the same
        with self._lock:
            if key not in self._windows:
                if len(self._windows) >= _KEPT_WINDOWS:
                    self._windows.pop(next(iter(self._windows)))
                block = TileRange(top, top + WINDOW - 1, left, left + WINDOW - 1)
                self._windows[key] = self._told(level_id, block)
            return self._windows[key]

    def _told(self, level_id: int, block: TileRange) -> Bools | None:
        try:
            return self._reader.exists(level_id, block)
        except (SignInNeeded, NotAllowed):
            raise
        except SiteError:
            # good to know only: the tiles themselves tell what is wrong
            return None


def _fingerprint(description: CacheDescription) -> str:
    parts = (
        *(description.address, description.scheme),
        *(description.image_format, description.extent),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()
