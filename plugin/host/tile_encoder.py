"""Pictures into the bytes of tiles, in every format that a cache can be drawn in. Any thread.

PNG is written here and not by Qt: with the run lengths of map pictures at hand it is faster, knows
palettes with transparency, lets other threads run, and gives the same bytes with every version.
Format: PNG specification (W3C, third edition), colour types 2, 3 and 6 with 8 bits.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qgis.PyQt.QtCore import QBuffer
from qgis.PyQt.QtGui import QColor, QImage, QPainter

from ..core.storage.profile import TileFormat
from .palettes import Palette, colours_of, palette_of

Pixels = NDArray[np.uint8]

DEFAULT_QUALITY = 75
"""Of JPEG, where the cache's files give none."""

COMPRESSION = 5
"""Level of zlib: the next ones cost more time than they save bytes of map pictures."""

PHOTO_COLOURS = 8192
"""A picture with more colours is a photo or a relief: there the differences between neighbours are
packed instead of the values (PNG filter 1, "Sub")."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TRUE_COLOUR, _INDEXED, _TRUE_COLOUR_ALPHA = 2, 3, 6
_OPAQUE_FORMATS = (TileFormat.PNG24, TileFormat.JPEG)


class TileEncoder:
    """Encodes the pictures of a cache's tiles in `tile_format`; the same picture, the same bytes.

    `quality`: of JPEG, 1 to 100; 0 for DEFAULT_QUALITY. `background`: what is drawn below all
    pictures; None: nothing, but white where the format has no transparency.
    """

    def __init__(
        self, tile_format: TileFormat, quality: int = 0, background: QColor | None = None
    ) -> None:
        self.tile_format = tile_format
        self.quality = quality or DEFAULT_QUALITY
        self.background = background
        if background is None and tile_format in _OPAQUE_FORMATS:
            self.background = QColor(255, 255, 255)
        self._even: dict[bytes, bytes] = {}

    def encode(self, image: QImage) -> bytes:
        """The picture `image` as the bytes of a tile."""
        return self.encode_pixels(self.pixels(image))

    def pixels(self, image: QImage) -> Pixels:
        """The pixels of `image` on the background, to be cut into tiles for `encode_pixels`."""
        return pixels_of(image if self.background is None else flattened(image, self.background))

    def tiles(
        self, image: QImage, size: tuple[int, int], places: Iterable[tuple[int, int]]
    ) -> Iterator[tuple[tuple[int, int], bytes]]:
        """The bytes of those tiles of `image`, each `size` (width, height), that lie at `places`.

        `places`: row and column of each, counted in tiles from the picture's upper left corner.
        """
        width, height = size
        pixels = self.pixels(image)
        for row, col in places:
            top, left = row * height, col * width
            tile = pixels[top : top + height, left : left + width]
            yield (row, col), self.encode_pixels(tile)

    def encode_pixels(self, pixels: Pixels) -> bytes:
        """The bytes of a tile with these `pixels`: rows x columns x R, G, B, A, on the background.

        A picture of one colour is encoded once and then taken from memory.
        """
        pixels = np.ascontiguousarray(pixels)
        colours = pixels.view(np.uint32)
        if (colours != colours[0, 0]).any():
            return self._encoded(pixels)
        key = struct.pack("<II", *pixels.shape[:2]) + pixels[0, 0].tobytes()
        if key not in self._even:
            self._even[key] = self._encoded(pixels)
        return self._even[key]

    def _encoded(self, pixels: Pixels) -> bytes:
        kind = self.tile_format
        if kind is TileFormat.MIXED:
            kind = TileFormat.JPEG if is_opaque(pixels) else TileFormat.PNG32
        if kind is TileFormat.JPEG:
            return _jpeg(pixels, self.quality)
        colours = colours_of(pixels)
        has_many = len(colours.values) > Palette.LARGEST
        if kind is TileFormat.PNG8 or (kind is TileFormat.PNG and not has_many):
            return _indexed_png(pixels, palette_of(colours))
        if kind is TileFormat.PNG24 or (kind is TileFormat.PNG and is_opaque(pixels)):
            pixels = pixels[..., :3]
        return _true_colour_png(pixels, is_photo=len(colours.values) > PHOTO_COLOURS)


def pixels_of(image: QImage) -> Pixels:
    """A copy of the pixels of `image`: rows x columns x R, G, B, A, colours not premultiplied."""
    # by way of ARGB32, as when Qt writes a PNG: the direct way rounds otherwise
    image = image.convertToFormat(QImage.Format.Format_ARGB32)
    image = image.convertToFormat(QImage.Format.Format_RGBA8888)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    rows: Pixels = np.frombuffer(bits, np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 4 * image.width()].reshape(image.height(), image.width(), 4).copy()


def image_of(pixels: Pixels) -> QImage:
    """The picture with these pixels (rows x columns x R, G, B, A)."""
    height, width = pixels.shape[:2]
    whole = QImage(pixels.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888)
    return whole.copy()  # the first one only borrows its bytes


def flattened(image: QImage, background: QColor) -> QImage:
    """`image` drawn on `background`."""
    result = QImage(image.size(), QImage.Format.Format_ARGB32_Premultiplied)
    result.fill(background)
    painter = QPainter(result)
    painter.drawImage(0, 0, image)
    painter.end()
    return result


def is_opaque(pixels: Pixels) -> bool:
    """Whether nothing shines through."""
    return bool((pixels[..., 3] == 255).all())


def _jpeg(pixels: Pixels, quality: int) -> bytes:
    buffer = QBuffer()
    buffer.open(QBuffer.OpenModeFlag.WriteOnly)
    image = image_of(pixels).convertToFormat(QImage.Format.Format_RGB32)
    image.save(buffer, "JPEG", quality)
    return bytes(buffer.data())


def _indexed_png(pixels: Pixels, palette: Palette) -> bytes:
    height, width = pixels.shape[:2]
    rows = np.zeros((height, 1 + width), np.uint8)  # filter 0, "None", in front of every row
    rows[:, 1:] = palette.indexes.reshape(height, width)
    chunks = _chunk(b"PLTE", palette.colours[:, :3].tobytes())
    see_through = np.flatnonzero(palette.colours[:, 3] != 255)
    if len(see_through):
        chunks += _chunk(b"tRNS", palette.colours[: see_through[-1] + 1, 3].tobytes())
    return _png(width, height, _INDEXED, chunks, rows)


def _true_colour_png(pixels: Pixels, *, is_photo: bool) -> bytes:
    height, width, bands = pixels.shape
    rows = np.zeros((height, 1 + bands * width), np.uint8)
    values = rows[:, 1:].reshape(height, width, bands)
    values[:] = pixels
    if is_photo:
        rows[:, 0] = 1
        values[:, 1:] -= pixels[:, :-1]
    colour_type = _TRUE_COLOUR if bands == 3 else _TRUE_COLOUR_ALPHA
    return _png(width, height, colour_type, b"", rows)


def _png(width: int, height: int, colour_type: int, chunks: bytes, rows: Any) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", head),
            chunks,
            _chunk(b"IDAT", zlib.compress(rows, COMPRESSION)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
