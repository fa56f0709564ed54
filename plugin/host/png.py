"""PNG written from runs of pixels. Any thread.

Format: PNG specification (W3C, third edition), colour types 2, 3 and 6 with 8 bits; streams of
zlib: RFC 1950.
"""

from __future__ import annotations

import functools
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .palettes import Palette
from .runs import Runs

LEVEL = 1

SECOND_TRY = 2048
"""Bytes."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TRUE_COLOUR, _INDEXED, _TRUE_COLOUR_ALPHA = 2, 3, 6
_ADLER = 65521


def indexed_png(runs: Runs, palette: Palette) -> bytes:
    """The picture `runs` with the colours of `palette`."""
    height, width = runs.shape
    indexes = palette.run_indexes
    rows = np.zeros((height, 1 + width), np.uint8)  # filter 0, "None", in front of every row
    rows[:, 1:] = runs.spread(indexes.astype(np.uint32))
    chunks = _chunk(b"PLTE", palette.colours[:, :3].tobytes())
    see_through = np.flatnonzero(palette.colours[:, 3] != 255)
    if len(see_through):
        chunks += _chunk(b"tRNS", palette.colours[: see_through[-1] + 1, 3].tobytes())
    stream = _deflated(rows, zlib.Z_RLE, 6)
    if len(stream) > SECOND_TRY:
        stream = min(stream, _deflated(rows, zlib.Z_DEFAULT_STRATEGY, 6), key=len)
    stream = _with_sum(stream, _adler(runs, indexes[:, None]))
    return _png(width, height, _INDEXED, chunks, stream)


def true_colour_png(runs: Runs, bands: int) -> bytes:
    """The picture `runs` of R, G, B and A: all of them, or without A where `bands` is 3."""
    height, width = runs.shape
    rows = np.zeros((height, 1 + bands * width), np.uint8)
    pixels = runs.spread(runs.values).view(np.uint8).reshape(height, width, 4)
    rows[:, 1:].reshape(height, width, bands)[:] = pixels[..., :bands]
    stream = _deflated(rows, zlib.Z_DEFAULT_STRATEGY, 7)
    parts = runs.values.view(np.uint8).reshape(-1, 4)[:, :bands]
    stream = _with_sum(stream, _adler(runs, parts))
    return _png(width, height, _TRUE_COLOUR if bands == 3 else _TRUE_COLOUR_ALPHA, b"", stream)


def differences_png(runs: Runs, bands: int) -> bytes:
    """As `true_colour_png`, for pictures of very many colours (photos, reliefs) or of just one."""
    height, width = runs.shape
    pixels = runs.spread(runs.values).view(np.uint8).reshape(height, width, 4)[..., :bands]
    rows = np.full((height, 1 + bands * width), 2, np.uint8)  # filter 2, "Up", for every row
    values = rows[:, 1:].reshape(height, width, bands)
    values[0] = pixels[0]
    np.subtract(pixels[1:], pixels[:-1], out=values[1:])
    colour_type = _TRUE_COLOUR if bands == 3 else _TRUE_COLOUR_ALPHA
    level = LEVEL if len(runs.values) > 1 else zlib.Z_BEST_COMPRESSION
    return _png(width, height, colour_type, b"", zlib.compress(rows, level))


def _deflated(rows: Any, strategy: int, memory: int) -> bytes:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, memory, strategy)
    return packer.compress(rows) + packer.flush()


def _with_sum(stream: bytes, checksum: int) -> bytes:
    return b"\x78\x01" + stream + struct.pack(">I", checksum)


def _adler(runs: Runs, parts: NDArray[np.uint8]) -> int:
    """Adler-32 of unfiltered rows, each with a 0 in front; `parts`: runs x bytes of a pixel.

    Adds up to bytes times their distance from the end, for each run at once (RFC 1950, 8.2).
    """
    height, width = runs.shape
    bands = parts.shape[1]
    size = height * (1 + bands * width)
    wide = parts.astype(np.int64)
    sums = runs.lengths @ wide
    distances = np.diff(_distances(height, width, bands)[runs.bounds]) @ wide
    low = (1 + int(sums.sum())) % _ADLER
    high = (size + int(distances.sum()) - int(np.arange(bands) @ sums)) % _ADLER
    return high << 16 | low


@functools.lru_cache(maxsize=8)
def _distances(height: int, width: int, bands: int) -> NDArray[np.int64]:
    """How far pixels' first bytes are from the end of the rows, summed over all pixels before."""
    pixels = np.arange(height * width, dtype=np.int64)
    distances = height * (1 + bands * width) - (pixels // width + 1 + bands * pixels)
    return np.concatenate(([0], np.cumsum(distances)))


def _png(width: int, height: int, colour_type: int, chunks: bytes, stream: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    data = _chunk(b"IDAT", stream)
    return b"".join((_SIGNATURE, _chunk(b"IHDR", head), chunks, data, _chunk(b"IEND", b"")))


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
