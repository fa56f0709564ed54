"""The packages of an export in parts as one source of tiles: as many are open as are in use.

There can be thousands; each takes an open file, and memory for its directory and its indexes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..coverage import cover
from ..errors import TileCacheError
from ..local.source import Cancelled, PartlyDrawn, Supertile, TileSource
from ..storage.opening import open_store
from ..storage.profile import CacheProfile
from ..tiling import TilingScheme
from .matching import level_map
from .split import Part
from .store_tiles import SIDE, WORKERS, StoreTiles

MOST_OPEN = 64
"""Parts whose packages are open: more than there are side by side along a row of bundles."""

_MARGIN = 1  # tile: what a site takes for part of a neighbour is looked for there, too

Tile = tuple[int, int]


@dataclass(frozen=True)
class PackedPart:
    """A part of an export, and the packages at `paths` in which its tiles are."""

    part: Part
    paths: tuple[Path, ...]


@dataclass
class _Open:
    """An open part, and how many threads draw from it."""

    tiles: StoreTiles
    users: int = 0


class PackageTiles(TileSource):
    """Hands out tiles of `parts` (of `scheme`) as they are stored in their packages.

    `name`, `fingerprint`: as in TileSource. `missing`: draws tiles that are in none of them; None:
    these are gaps. Closes `missing`. A package that cannot be read any more fails its tiles.
    """

    def __init__(
        self,
        parts: Sequence[PackedPart],
        scheme: TilingScheme,
        name: str,
        fingerprint: str,
        missing: TileSource | None = None,
    ) -> None:
        self.name, self.fingerprint = name, fingerprint
        self.supertile_side, self.workers = SIDE, WORKERS
        self._parts, self._scheme, self._missing = tuple(parts), scheme, missing
        self._profile: CacheProfile | None = None
        self._levels: Mapping[int, int] = {}
        self._bounds: dict[int, NDArray[np.int64]] = {}
        self._open: OrderedDict[int, _Open] = OrderedDict()
        self._lock = threading.Lock()

    def start(self, profile: CacheProfile) -> None:
        """Raises what `missing` raises."""
        self._profile = profile
        self._levels = level_map(profile.scheme, self._scheme)
        if self._missing is not None:
            self._missing.start(profile)
            self.supertile_side, self.workers = self._missing.supertile_side, self._missing.workers
            self.fingerprint += f"\n{self._missing.name}\n{self._missing.fingerprint}"

    def draw(self, supertile: Supertile, cancelled: Cancelled) -> Mapping[Tile, bytes]:
        """See TileSource."""
        tiles: dict[Tile, bytes] = {}
        failed: dict[Tile, TileCacheError] = {}
        left = supertile.wanted.copy()
        with closing(self._sources(supertile)) as sources:
            for source in sources:
                if not left.any() or cancelled():
                    break
                drawn = source.draw(replace(supertile, wanted=left.copy()), cancelled)
                tiles.update(drawn)
                if isinstance(drawn, PartlyDrawn):
                    failed.update(drawn.failed)
                # what is damaged is not what is not there
                for row, col in (*tiles, *failed):
                    left[row - supertile.block.min_row, col - supertile.block.min_col] = False
        return PartlyDrawn(tiles, failed) if failed else tiles

    def _sources(self, supertile: Supertile) -> Generator[TileSource, None, None]:
        """Where its tiles may be, each open while it is drawn from."""
        for index in self._touching(supertile):
            with self._opened(index) as tiles:
                yield tiles
        if self._missing is not None:
            yield self._missing

    def tile_bytes(self, level_id: int) -> float | None:
        """See TileSource. By the first part that has any of that level."""
        own_id = self._levels.get(level_id)
        for index, each in enumerate(self._parts):
            if any(level.id == own_id for level in each.part.levels):
                with self._opened(index) as tiles:
                    size = tiles.tile_bytes(level_id)
                if size is not None:
                    return size
        return None

    def close(self) -> None:
        """See TileSource."""
        with ExitStack() as stack:
            if self._missing is not None:
                stack.callback(self._missing.close)
            for each in self._open.values():
                stack.callback(each.tiles.close)
            self._open.clear()

    def _touching(self, supertile: Supertile) -> list[int]:
        """The parts that may have tiles of `supertile`."""
        own_id = self._levels.get(supertile.level.id)
        if own_id is None:
            return []
        bounds, block = self._bounds_of(own_id), supertile.block
        touching = (
            (bounds[:, 1] <= block.max_row + _MARGIN)
            & (bounds[:, 2] >= block.min_row - _MARGIN)
            & (bounds[:, 3] <= block.max_col + _MARGIN)
            & (bounds[:, 4] >= block.min_col - _MARGIN)
        )
        return [int(index) for index in bounds[touching, 0]]

    def _bounds_of(self, level_id: int) -> NDArray[np.int64]:
        """Of each part that has tiles of a level: its index, first and last row, and column."""
        with self._lock:
            if level_id not in self._bounds:
                self._bounds[level_id] = self._measured(level_id)
            return self._bounds[level_id]

    def _measured(self, level_id: int) -> NDArray[np.int64]:
        found = []
        for index, each in enumerate(self._parts):
            for level in each.part.levels:
                bounds = None
                if level.id == level_id:
                    bounds = cover(self._scheme, level, each.part.area).bounds
                if bounds is not None:
                    rows, cols = (bounds.min_row, bounds.max_row), (bounds.min_col, bounds.max_col)
                    found.append((index, *rows, *cols))
        return np.array(found, dtype=np.int64).reshape(-1, 5)

    @contextmanager
    def _opened(self, index: int) -> Iterator[StoreTiles]:
        """The tiles of a part, which stays open while the block runs. Raises StorageError."""
        with self._lock:
            if index not in self._open:
                self._open[index] = _Open(self._tiles_of(index))
            used = self._open[index]
            used.users += 1
            self._open.move_to_end(index)
        try:
            yield used.tiles
        finally:
            with self._lock:
                used.users -= 1
                self._close_some()

    def _close_some(self) -> None:
        """Close those that were not used for the longest time."""
        idle = [index for index, each in self._open.items() if not each.users]
        for index in idle[: max(0, len(self._open) - MOST_OPEN)]:
            self._open.pop(index).tiles.close()

    def _tiles_of(self, index: int) -> StoreTiles:
        with ExitStack() as stack:
            stores = [stack.enter_context(open_store(path)) for path in self._parts[index].paths]
            tiles = StoreTiles(stores, self.name, fingerprint=self.fingerprint)
            if self._profile is not None:
                tiles.start(self._profile)
            stack.pop_all()  # from now on the source closes them
        return tiles
