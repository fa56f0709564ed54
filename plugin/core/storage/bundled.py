"""What all stores of bundles have in common: from tiles to bundles and back."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..errors import DamagedCache
from ..tiling import BUNDLE_TILES, TileRange, bundle_of
from .bundle_v2 import Index
from .records import SLOTS
from .store import Bools, Cancelled, Floats, TileStore

Place = tuple[int, int]
"""Row and column of a bundle's first tile."""

_NAME = re.compile(r"R([0-9a-f]{4,})C([0-9a-f]{4,})\.bundle", re.IGNORECASE)
_LARGEST_DIGITS = 8  # hexadecimal; more are no row of any scheme


class Bundle(Protocol):
    """A bundle of any version, open."""

    def index(self) -> Index: ...

    def read(self, slot: int) -> bytes | None: ...

    def read_tiles(self, here: Bools) -> dict[int, bytes]: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Part:
    """The part of a block that lies in one bundle.

    `in_bundle` and `in_block`: its rows and columns in each of the two.
    """

    place: Place
    in_bundle: tuple[slice, slice]
    in_block: tuple[slice, slice]


def bundle_name(place: Place) -> str:
    """File name of a bundle (CompactCacheV2.md): lower case, at least four digits each."""
    row, col = place
    return f"R{row:04x}C{col:04x}.bundle"


def place_of_name(name: str) -> Place | None:
    """The place of the bundle with that file name, in any case; None: not a bundle's name."""
    found = _NAME.fullmatch(name)
    if not found or max(len(found[1]), len(found[2])) > _LARGEST_DIGITS:
        return None
    place = int(found[1], 16), int(found[2], 16)
    return place if place == bundle_of(*place) else None


def block_of(place: Place) -> TileRange:
    """The tiles a bundle has room for."""
    row, col = place
    return TileRange(row, row + BUNDLE_TILES - 1, col, col + BUNDLE_TILES - 1)


def slot_of(row: int, col: int) -> int:
    """The slot of a tile in its bundle."""
    return BUNDLE_TILES * (row % BUNDLE_TILES) + col % BUNDLE_TILES


def only_place(tiles: Collection[tuple[int, int]]) -> Place:
    """The one bundle of all `tiles`. Raises ValueError where they are of several, or none."""
    places = {(row // BUNDLE_TILES, col // BUNDLE_TILES) for row, col in tiles}
    if len(places) != 1:
        raise ValueError(f"tiles of {len(places)} bundles at once")
    row, col = places.pop()
    return row * BUNDLE_TILES, col * BUNDLE_TILES


def slots_in(block: TileRange, tiles: Bools) -> tuple[Place, Bools]:
    """The one bundle of `tiles`, rows by columns of `block`, and which of its slots they are.

    Raises ValueError where `block` is of several bundles.
    """
    parts = list(parts_of(block))
    if len(parts) != 1:
        raise ValueError(f"tiles of {len(parts)} bundles at once")
    return parts[0].place, _slots(parts[0], tiles)


def parts_of(block: TileRange) -> Iterator[Part]:
    """The parts of `block`, bundle by bundle."""
    for rows in _spans(block.min_row, block.max_row):
        for cols in _spans(block.min_col, block.max_col):
            yield Part((rows[0], cols[0]), (rows[1], cols[1]), (rows[2], cols[2]))


class BundledStore(TileStore):
    """A store whose tiles lie in bundles: reading, given where the bundles are."""

    @abstractmethod
    def bundle_at(self, level_id: int, place: Place) -> Bundle | None:
        """The bundle, open, for the caller to close; None where there is none.

        Raises DamagedCache, CacheInUse.
        """

    @abstractmethod
    def places(self, level_id: int) -> Iterator[Place]:
        """Where the level has bundles, lazily, in no order. Raises DamagedCache."""

    @abstractmethod
    def times_of(self, level_id: int, place: Place, exists: Bools) -> Floats:
        """Times of a bundle's tiles by slot, NaN where none `exists`."""

    def read(self, level_id: int, row: int, col: int) -> bytes | None:
        bundle = self.bundle_at(level_id, bundle_of(row, col))
        if bundle is None:
            return None
        with closing(bundle):
            return bundle.read(slot_of(row, col))

    def read_block(
        self, level_id: int, block: TileRange, tiles: Bools
    ) -> dict[tuple[int, int], bytes]:
        found: dict[tuple[int, int], bytes] = {}
        for part in parts_of(block):
            here = _slots(part, tiles)
            bundle = self.bundle_at(level_id, part.place) if here.any() else None
            if bundle is not None:
                with closing(bundle):
                    by_slot = bundle.read_tiles(here)
                top, left = part.place
                for slot, tile in by_slot.items():
                    found[top + slot // BUNDLE_TILES, left + slot % BUNDLE_TILES] = tile
        return found

    def exists(self, level_id: int, block: TileRange) -> Bools:
        found = np.zeros(_shape(block), dtype=np.bool_)
        for part in parts_of(block):
            found[part.in_block] = _square(self._exists_in(level_id, part.place))[part.in_bundle]
        return found

    def times(self, level_id: int, block: TileRange) -> Floats:
        found = np.full(_shape(block), np.nan)
        for part in parts_of(block):
            exists = self._exists_in(level_id, part.place)
            if exists.any():
                times = self.times_of(level_id, part.place, exists)
                found[part.in_block] = times.reshape(BUNDLE_TILES, BUNDLE_TILES)[part.in_bundle]
        return found

    def blocks(self, level_id: int) -> Iterator[TileRange]:
        return (block_of(place) for place in self.places(level_id))

    def counts(self, cancelled: Cancelled = lambda: False) -> dict[int, int]:
        counts: dict[int, int] = {}
        for level_id in self.level_ids():
            for place in self.places(level_id):
                if cancelled():
                    return counts
                try:
                    found = int(np.count_nonzero(self._exists_in(level_id, place)))
                except DamagedCache:
                    found = 0
                counts[level_id] = counts.get(level_id, 0) + found
        return counts

    def _exists_in(self, level_id: int, place: Place) -> Bools:
        """Which slots of a bundle hold a tile; none where there is no bundle."""
        bundle = self.bundle_at(level_id, place)
        if bundle is None:
            return np.zeros(SLOTS, dtype=np.bool_)
        with closing(bundle):
            return bundle.index().exists


def _slots(part: Part, tiles: Bools) -> Bools:
    """Which slots of the bundle of `part` are `tiles`, rows by columns of the block."""
    here = np.zeros((BUNDLE_TILES, BUNDLE_TILES), dtype=np.bool_)
    here[part.in_bundle] = tiles[part.in_block]
    return here.reshape(-1)


def _square(slots: Bools) -> Bools:
    return slots.reshape(BUNDLE_TILES, BUNDLE_TILES)


def _shape(block: TileRange) -> tuple[int, int]:
    return block.max_row - block.min_row + 1, block.max_col - block.min_col + 1


def _spans(first: int, last: int) -> Iterator[tuple[int, slice, slice]]:
    """Of `first` to `last` by bundle: the bundle's first, and the span in it and in the whole."""
    for start in range(first - first % BUNDLE_TILES, last + 1, BUNDLE_TILES):
        low, high = max(first, start), min(last, start + BUNDLE_TILES - 1)
        yield start, slice(low - start, high - start + 1), slice(low - first, high - first + 1)
