"""Tiles that tests make: small PNG files, each different, from which one can tell what they are.

Needs nothing but the standard library, so that any Python can make the same ones.
"""

from __future__ import annotations

import random
import struct
import zlib
from functools import lru_cache

SIDE = 64
"""Pixels across: small pictures are made quickly."""

Key = tuple[int, int, int]
"""Level id, row, column."""


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    """A chunk of a PNG file."""
    checksum = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


@lru_cache(maxsize=8)
def _pixels(side: int) -> bytes:
    return zlib.compress(b"".join(bytes([0]) + bytes(4 * side) for _ in range(side)))


def tile(level_id: int, row: int, col: int, generation: int = 0, side: int = SIDE) -> bytes:
    """A PNG with transparency, of a length of its own; another for every place and generation."""
    rng = random.Random(f"{level_id} {row} {col} {generation}")
    name = f"tile\0{level_id} {row} {col} {generation} ".encode()
    text = name + rng.randbytes(rng.randrange(2000))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0))
    middle = chunk(b"tEXt", text) + chunk(b"IDAT", _pixels(side))
    return b"\x89PNG\r\n\x1a\n" + header + middle + chunk(b"IEND")


def generation_of(content: bytes, key: Key, side: int = SIDE) -> int | None:
    """Which generation of the tile `key` this is; None where it is not that tile, or not whole."""
    start = content.find(b"tEXttile\0")
    words = content[start + 9 : start + 60].split(b" ")
    if start < 0 or len(words) < 4 or not words[3].isdigit():
        return None
    generation = int(words[3])
    return generation if content == tile(*key, generation, side) else None
