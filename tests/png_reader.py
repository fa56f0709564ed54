"""A reader of PNG by the letter of the specification (W3C, third edition), for tests of the writer.

Checks what lenient readers forgive: every chunk's checksum, their order, the stream's length and
Adler-32, the filter of every row, that no index is beyond the palette.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np

CHANNELS = {2: 3, 3: 1, 6: 4}


@dataclass(frozen=True)
class Png:
    """`pixels`: rows x columns x R, G, B, A. `colours`: of the palette, 0 without one."""

    colour_type: int
    colours: int
    filters: set[int]
    pixels: np.ndarray


def read_png(content: bytes) -> Png:
    chunks = _chunks(content)
    assert [kind for kind, _ in chunks] in (
        [b"IHDR", b"IDAT", b"IEND"],
        [b"IHDR", b"PLTE", b"IDAT", b"IEND"],
        [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"],
    )
    parts = dict(chunks)
    width, height, depth, colour_type, *rest = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    assert (depth, rest) == (8, [0, 0, 0])
    channels = CHANNELS[colour_type]
    stream = zlib.decompressobj()
    data = stream.decompress(parts[b"IDAT"]) + stream.flush()
    assert stream.eof, "the stream has no end or no right Adler-32"
    assert stream.unused_data == b""
    rows = np.frombuffer(data, np.uint8).reshape(height, 1 + channels * width)
    values = _unfiltered(rows, channels).reshape(height, width, channels)
    colours = 0
    if colour_type == 3:
        palette = np.frombuffer(parts[b"PLTE"], np.uint8).reshape(-1, 3)
        alpha = np.full(len(palette), 255, np.uint8)
        see_through = np.frombuffer(parts.get(b"tRNS", b""), np.uint8)
        alpha[: len(see_through)] = see_through
        colours = len(palette)
        values = np.column_stack([palette, alpha])[values[..., 0]]
    elif colour_type == 2:
        values = np.dstack([values, np.full((height, width), 255, np.uint8)])
    return Png(colour_type, colours, set(rows[:, 0].tolist()), values)


def _chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    place, found = 8, []
    while place < len(content):
        (size,) = struct.unpack(">I", content[place : place + 4])
        kind, body = content[place + 4 : place + 8], content[place + 8 : place + 8 + size]
        (checksum,) = struct.unpack(">I", content[place + 8 + size : place + 12 + size])
        assert checksum == zlib.crc32(kind + body), kind
        found.append((kind, body))
        place += 12 + size
    return found


def _unfiltered(rows: np.ndarray, channels: int) -> np.ndarray:
    result = np.zeros((len(rows) + 1, rows.shape[1] - 1), np.uint8)
    for number, row in enumerate(rows, 1):
        if row[0] == 0:
            result[number] = row[1:]
        elif row[0] == 1:
            sums = np.cumsum(row[1:].reshape(-1, channels), axis=0, dtype=np.uint8)
            result[number] = sums.ravel()
        elif row[0] == 2:
            result[number] = row[1:] + result[number - 1]
        else:
            raise AssertionError(f"filter {row[0]}")
    return result[1:]
