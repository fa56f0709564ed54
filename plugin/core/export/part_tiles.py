"""A source of tiles of which only some parts of an export are wanted; its bytes are counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

import numpy as np

from ..coverage import cover
from ..errors import ServiceChanged
from ..local.plan import bundles_of
from ..local.source import Cancelled, Supertile, TileSource
from ..storage.profile import CacheProfile
from ..storage.store import Bools
from ..tiling import BUNDLE_TILES, TilingScheme, bundle_of
from .matching import level_map
from .split import Part

LOOK_AGAIN = 10.0
"""Seconds after which it is looked whether the service is still the same."""

_KEPT = 64  # bundles whose masks are remembered


class PartTiles(TileSource):
    """Draws from `source` the tiles of `parts` (of `scheme`) and no others; None: all.

    `check`: raises a TileCacheError where these are not the tiles any more that were meant; asked
    before tiles are drawn, every LOOK_AGAIN seconds. After a ServiceChanged nothing is drawn.
    `received`: bytes of all tiles that it drew. Closes `source`.
    """

    def __init__(
        self,
        source: TileSource,
        scheme: TilingScheme,
        parts: Iterable[Part] | None = None,
        check: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._scheme = source, scheme
        self._check, self._clock = check, clock
        self._next_check = clock() + LOOK_AGAIN
        self._ended: ServiceChanged | None = None
        self._parts = None if parts is None else tuple(parts)
        self._levels: Mapping[int, int] = {}
        self._masks: dict[tuple[int, int, int], Bools] = {}
        self._lock = threading.Lock()
        self.received = 0
        self._take_over()

    def start(self, profile: CacheProfile) -> None:
        """See TileSource."""
        self._source.start(profile)
        self._levels = level_map(profile.scheme, self._scheme)
        self._take_over()

    def draw(self, supertile: Supertile, cancelled: Cancelled) -> Mapping[tuple[int, int], bytes]:
        """See TileSource."""
        wanted = supertile.wanted & self._mask(supertile)
        if not wanted.any():
            return {}
        self._look()
        drawn = self._source.draw(replace(supertile, wanted=wanted), cancelled)
        with self._lock:
            self.received += sum(map(len, drawn.values()))
        return drawn

    def bundles(self, level_id: int) -> Collection[tuple[int, int]] | None:
        """See TileSource."""
        return self._source.bundles(level_id)

    def tile_bytes(self, level_id: int) -> float | None:
        """See TileSource."""
        return self._source.tile_bytes(level_id)

    def close(self) -> None:
        """See TileSource."""
        self._source.close()

    def _look(self) -> None:
        """Look whether these are still the tiles that were meant. Raises what `check` raises."""
        with self._lock:
            is_due = self._clock() >= self._next_check
            if is_due:
                self._next_check = self._clock() + LOOK_AGAIN
        if self._ended is not None:
            raise self._ended
        if is_due:
            try:
                self._check()
            except ServiceChanged as error:
                self._ended = error
                raise

    def _take_over(self) -> None:
        source = self._source
        self.name, self.fingerprint = source.name, source.fingerprint
        self.supertile_side, self.workers = source.supertile_side, source.workers

    def _mask(self, supertile: Supertile) -> Bools:
        """Which tiles of a supertile are tiles of the parts."""
        block = supertile.block
        if self._parts is None:
            return np.ones_like(supertile.wanted)
        top, left = bundle_of(block.min_row, block.min_col)
        mask = self._of_bundle(supertile.level.id, top, left)
        rows = slice(block.min_row - top, block.max_row - top + 1)
        cols = slice(block.min_col - left, block.max_col - left + 1)
        return mask[rows, cols]

    def _of_bundle(self, level_id: int, top: int, left: int) -> Bools:
        key = (level_id, top, left)
        with self._lock:
            if key in self._masks:
                return self._masks[key]
        found: Bools = np.zeros((BUNDLE_TILES, BUNDLE_TILES), dtype=np.bool_)
        own_id = self._levels.get(level_id)
        for part in self._parts or ():
            for level in part.levels:
                if level.id == own_id:
                    coverage = cover(self._scheme, level, part.area)
                    for _block, mask in bundles_of(coverage, [(top, left)]):
                        found |= mask
        with self._lock:
            if len(self._masks) >= _KEPT:
                self._masks.pop(next(iter(self._masks)))
            self._masks[key] = found
        return found
