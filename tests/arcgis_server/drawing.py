"""What draws the tiles: an interface, and a painter that needs nothing but zlib."""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from typing import Protocol

from .schemes import Box

Cut = tuple[int, int, int, int]
"""Left, top, width and height in pixels of a piece of a picture."""


@dataclass(frozen=True)
class Picture:
    """A picture to draw, and the pieces it is cut into.

    ``crs`` is ``EPSG:n`` or WKT, ``limit`` the box outside which nothing is drawn (the pixels
    stay transparent), ``tile_format`` one of the names of ``tileInfo.format``.
    """

    crs: str
    extent: Box
    width: int
    height: int
    cuts: tuple[Cut, ...]
    revision: int
    theme: str = "map"
    tile_format: str = "PNG"
    quality: int = 75
    limit: Box | None = None
    transparent: bool = False


class DrawingFailed(RuntimeError):
    """The painter could not draw; the text says why."""


class Painter(Protocol):
    """Draws pictures; one call at a time is in work, calls may come from any thread."""

    def draw(self, picture: Picture) -> list[bytes]:
        """Return one encoded picture for each cut.

        Raises:
            DrawingFailed: the painter failed.
        """

    def close(self) -> None:
        """End what the painter started."""


class PlainPainter:
    """Draws pieces of one colour under a grid of bits, each unlike all others.

    The colour and the bits come from where the piece lies and from the revision.
    """

    _BITS = 8  # the grid has 8 x 8 cells

    def draw(self, picture: Picture) -> list[bytes]:
        return [self._piece(picture, cut) for cut in picture.cuts]

    def close(self) -> None:
        """Nothing was started."""

    def _piece(self, picture: Picture, cut: Cut) -> bytes:
        left, top, width, height = cut
        pixel = (picture.extent[2] - picture.extent[0]) / picture.width
        x = picture.extent[0] + left * pixel
        y = picture.extent[3] - top * pixel
        place = f"{picture.theme} {picture.crs} {x:.6f} {y:.6f} {pixel:.9f} {picture.revision}"
        digest = hashlib.sha256(place.encode()).digest()
        ground = bytes(160 + value % 80 for value in digest[:3])
        ink = bytes(value // 2 for value in ground)
        cell = max(1, width // self._BITS)
        lines = []
        for bits in digest[8 : 8 + self._BITS]:
            line = b"".join(
                (ink if bits >> place & 1 else ground) * cell for place in range(self._BITS)
            )
            lines.append(b"\0" + (line + ground * width)[: 3 * width])
        depth = max(1, height // self._BITS)
        rows = b"".join(line * depth for line in lines) + lines[-1] * (height % depth)
        blank = b"\0" + ground * width
        return png(width, height, (rows + blank * height)[: height * (3 * width + 1)])


def png(width: int, height: int, rows: bytes) -> bytes:
    """Return an RGB PNG of filtered rows."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(rows, 1)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
