"""Tiles on their way into a bundle: each picture behind its size, the same picture once.

Both versions of bundles hold tiles as records of four bytes, the size, and the picture. Nothing in
Esri's paper says that two entries of an index may not name the same record; what readers make of
it was tried (`tests/conformance/test_shared_records.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..arrays import whole_numbers
from ..errors import DamagedCache, TargetProblem, TileTooLarge
from ..tiling import BUNDLE_TILES
from .byte_range import ByteRange

SLOTS = BUNDLE_TILES * BUNDLE_TILES
PREFIX_SIZE = 4
LARGEST_BUNDLE = 1 << 40  # offsets have five bytes

_PIECE = 16 * 1024 * 1024  # bytes that are written at once
_TOLD_BY = 48  # bytes at the end of a tile
_GAP = 64 * 1024  # bytes between two tiles that are rather read, too, than passed over
_MOST_RUNS = 24  # parts of an index that are written apart, before it is cheaper to write it whole

Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Records:
    """Tiles laid out one behind the other: those in `slots` begin at `starts`, from the first on.

    A tile's size comes first, four bytes that `sizes` does not count. `parts`: the bytes in order,
    `length` altogether. Slots that have the same picture have the same start.
    """

    slots: Integers
    starts: Integers
    sizes: Integers
    parts: list[bytes]
    length: int

    def pieces(self) -> Iterator[bytes]:
        """The bytes in order, so many at a time as are well written at once."""
        waiting: list[bytes] = []
        size = 0
        for part in self.parts:
            waiting.append(part)
            size += len(part)
            if size >= _PIECE:
                yield b"".join(waiting)
                waiting, size = [], 0
        if waiting:
            yield b"".join(waiting)

    def check_fits(self, path: Path, end: int) -> None:
        """Raise TargetProblem where the bundle at `path`, which ends at `end`, grew too large."""
        if end + self.length > LARGEST_BUNDLE:
            raise TargetProblem(str(path), "a bundle cannot be larger than 1 TiB")


def records_of(tiles: Mapping[int, bytes], path: Path, largest: int) -> Records:
    """The tiles by slot as records. Raises TileTooLarge: one has more than `largest` bytes."""
    known = _Known()
    parts: list[bytes] = []
    starts: list[int] = []
    end = 0
    for slot, tile in tiles.items():
        start = known.start_of(tile, end)
        if start == end:
            _check(tile, slot, path, largest)
            parts += (len(tile).to_bytes(PREFIX_SIZE, "little"), tile)
            end += PREFIX_SIZE + len(tile)
        starts.append(start)
    slots = np.fromiter(tiles, np.int64, len(tiles))
    sizes = np.fromiter(map(len, tiles.values()), np.int64, len(tiles))
    return Records(slots, np.array(starts, dtype=np.int64), sizes, parts, end)


class _Known:
    """Where tiles begin that were laid out.

    By their ends, where pictures have checksums or what they are packed to: to hash all bytes of
    all tiles takes as long as to write them. Those with equal ends are told apart by all bytes.
    """

    def __init__(self) -> None:
        self._by_end: dict[bytes, tuple[bytes, int]] = {}
        self._others: dict[bytes, int] = {}

    def start_of(self, tile: bytes, new: int) -> int:
        """Where the same tile begins; `new`, where this one then does, for one not met before."""
        first, start = self._by_end.setdefault(tile[-_TOLD_BY:], (tile, new))
        return start if tile == first else self._others.setdefault(tile, new)


def even_records(here: Bools, picture: bytes, path: Path, largest: int) -> Records:
    """One picture for all slots that are `here`, as one record. Raises as `records_of`."""
    slots = np.flatnonzero(here)
    _check(picture, int(slots[0]) if slots.size else 0, path, largest)
    size = len(picture).to_bytes(PREFIX_SIZE, "little")
    return Records(
        slots.astype(np.int64),
        np.zeros(slots.size, dtype=np.int64),
        np.full(slots.size, len(picture), dtype=np.int64),
        [size, picture],
        PREFIX_SIZE + len(picture),
    )


def stored_tiles(
    part: ByteRange, slots: Integers, offsets: Integers, sizes: Integers, path: Path
) -> dict[int, bytes]:
    """The tiles of `slots`, whose pictures lie at `offsets`: neighbours are read together.

    Slots that share a picture share its bytes in memory. Raises DamagedCache, where the file is
    shorter than that; OSError.
    """
    order = np.argsort(offsets, kind="stable")
    starts, ends = offsets[order], (offsets + sizes)[order]
    found: dict[int, bytes] = {}
    for span in _spans(starts, ends):
        first, end = int(starts[span.start]), int(ends[span].max())
        content = part.read(first, end - first)
        if len(content) < end - first:
            raise DamagedCache(str(path), "tiles lie outside the file")
        place, tile = (-1, -1), b""
        ranges = zip(whole_numbers(starts[span] - first), whole_numbers(ends[span] - first))
        for slot, each in zip(whole_numbers(slots[order[span]]), ranges):
            if each != place:
                place, tile = each, content[each[0] : each[1]]
            found[slot] = tile
    return found


def _spans(starts: Integers, ends: Integers) -> Iterator[slice]:
    """Tiles, in the order of the file, that are read at once."""
    reached = np.maximum.accumulate(ends)
    far = np.flatnonzero(starts[1:] > reached[:-1] + _GAP) + 1
    bounds = [0, *whole_numbers(far), starts.size]
    for first, last in zip(bounds, bounds[1:]):
        while first < last:
            within = int(np.searchsorted(starts[first:last], starts[first] + _PIECE))
            yield slice(first, first + within)
            first += within


def runs_of(here: Bools) -> Iterator[slice]:
    """Slots that are `here`, neighbours together.

    Where they are scattered, one run from the first to the last, with others in between: many
    small writes take longer than one of a whole index.
    """
    slots = np.flatnonzero(here)
    if not slots.size:
        return
    breaks = np.flatnonzero(np.diff(slots) > 1)
    if breaks.size >= _MOST_RUNS:
        yield slice(int(slots[0]), int(slots[-1]) + 1)
        return
    firsts = slots[np.concatenate([[0], breaks + 1])]
    lasts = slots[np.concatenate([breaks, [slots.size - 1]])]
    for first, last in zip(whole_numbers(firsts), whole_numbers(lasts)):
        yield slice(first, last + 1)


def _check(tile: bytes, slot: int, path: Path, largest: int) -> None:
    if not tile:
        raise ValueError(f"slot {slot}: a tile of no bytes cannot be told from none")
    if len(tile) > largest:
        raise TileTooLarge(str(path), len(tile))
