"""Pictures of which every pixel is known, and PNG files of them, made without any library."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOR_TYPES = {1: 0, 3: 2, 4: 6}  # grey, RGB, RGBA


def pattern(seed: int, *, size: int = 256, bands: int = 4) -> Any:
    """Pixels (bands x rows x columns) that differ from those of any other `seed`, everywhere."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (bands, 8, 8), dtype=np.uint8)
    if bands == 4:
        blocks[3] |= 1  # nowhere quite transparent: there, colours do not count
    return np.kron(blocks, np.ones((1, size // 8, size // 8), dtype=np.uint8))


def png(pixels: Any) -> bytes:
    """The PNG file of pixels (bands x rows x columns), 8 bits each (PNG specification, 3rd ed.)."""
    bands, height, width = pixels.shape
    head = struct.pack(">2I5B", width, height, 8, _COLOR_TYPES[bands], 0, 0, 0)
    lines = np.ascontiguousarray(pixels.transpose(1, 2, 0)).reshape(height, width * bands)
    raw = np.concatenate([np.zeros((height, 1), np.uint8), lines], axis=1).tobytes()
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    return PNG_SIGNATURE + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
