"""How the two files of a bundle of version 1 are laid out; see `bundle_v1`."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from ..tiling import BUNDLE_TILES
from .records import SLOTS, Integers

INDEX_SUFFIX = ".bundlx"
LARGEST_TILE = (1 << 32) - 1

INDEX_HEADER = struct.Struct("<4I")
INDEX_STARTS = (3, 16, SLOTS, 5)
_INDEX_ENDS = (0, 16, 16, 0)
OFFSET_SIZE = 5
INDEX_SIZE = OFFSET_SIZE * SLOTS
_HEADER = struct.Struct("<4I3Q5I")
HEADER_SIZE = _HEADER.size
DATA_START = HEADER_SIZE + 4 * SLOTS
_USER_HEADER_AT = 40
_LARGEST_NUMBER = 2**31 - 1  # of a row or column
BY_COLUMN = np.arange(SLOTS, dtype=np.int64).reshape(BUNDLE_TILES, BUNDLE_TILES).T.ravel()
"""Of each slot, row by row, its place in the index, column by column."""
EMPTY: Integers = HEADER_SIZE + 4 * BY_COLUMN
"""The offset of each slot's empty record."""


@dataclass(frozen=True)
class HeaderV1:
    """The first 60 bytes of a `.bundle`. `tiles`: how many; `place`: its first row and column."""

    largest_tile: int = 0
    tiles: int = 0
    file_size: int = DATA_START
    place: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, content: bytes) -> HeaderV1 | None:
        """The header that `content` begins with; None where it is none."""
        if len(content) < HEADER_SIZE:
            return None
        found = _HEADER.unpack(content[:HEADER_SIZE])
        if max(found[8], found[10]) > _LARGEST_NUMBER:
            return None
        made = cls(found[2], found[4] // 4, found[5], (found[8], found[10]))
        return made if made.to_bytes() == content[:HEADER_SIZE] else None

    def to_bytes(self) -> bytes:
        """The 60 bytes."""
        row, col = self.place
        last = BUNDLE_TILES - 1
        return _HEADER.pack(
            *(3, SLOTS, self.largest_tile, OFFSET_SIZE),
            *(4 * self.tiles, self.file_size, _USER_HEADER_AT),
            *(16, row, row + last, col, col + last),
        )


def index_bytes(offsets: Integers) -> bytes:
    """The `.bundlx` of these offsets, by slot."""
    by_column = np.empty(SLOTS, dtype="<u8")
    by_column[BY_COLUMN] = offsets
    raw = by_column.view(np.uint8).reshape(SLOTS, 8)[:, :OFFSET_SIZE]
    return INDEX_HEADER.pack(*INDEX_STARTS) + raw.tobytes() + INDEX_HEADER.pack(*_INDEX_ENDS)
