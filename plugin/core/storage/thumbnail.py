"""The little picture that a tile package shows of itself."""

from __future__ import annotations

import struct
import zlib

WIDTH, HEIGHT = 200, 133
"""Pixels, as Esri's tile-package-spec asks for."""

_PAPER, _LINE = b"\xe8\xec\xee", b"\xb4\xbe\xc4"
_SQUARE = 33  # pixels between lines, so that there are six by four tiles


def thumbnail_png() -> bytes:
    """A neutral PNG: the lines of a tiling scheme on light grey."""
    line = b"\0" + _LINE * WIDTH  # in front: PNG's filter type, none
    between = b"\0" + b"".join(_LINE if x % _SQUARE == 0 else _PAPER for x in range(WIDTH))
    rows = b"".join(line if y % _SQUARE == 0 else between for y in range(HEIGHT))
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)  # 8 bits, RGB
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", head)
        + _chunk(b"IDAT", zlib.compress(rows, 9))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    """A PNG chunk: length, kind, content, CRC (W3C PNG specification, 5.3)."""
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )
