"""Pictures into the bytes of tiles, in every format that a cache can be drawn in. Any thread.

Pictures are taken as runs of pixels of one colour: those of maps are few, and what is done with
them lets other threads run. PNG is written here and not by Qt (`png.py`): that is faster, knows
palettes with transparency and gives the same bytes with every version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from qgis.PyQt.QtCore import QBuffer
from qgis.PyQt.QtGui import QColor, QImage, QPainter

from ..core.storage.profile import TileFormat
from .palettes import Palette, colours_of, palette_of
from .png import even_png, indexed_png, true_colour_png
from .premultiplied import drawn_on, straight, swapped, value_of, values_of
from .runs import Runs, Values, colours_at_least, even_runs, even_tiles, runs_of

Pixels = NDArray[np.uint8]

DEFAULT_QUALITY = 75
"""Of JPEG, where the cache's files give none."""

_DRAWN = QImage.Format.Format_ARGB32_Premultiplied
_OPAQUE_FORMATS = (TileFormat.PNG24, TileFormat.JPEG)
_OPAQUE = np.uint32(0xFF000000)


class TileEncoder:
    """Encodes the pictures of a cache's tiles in `tile_format`; the same picture, the same bytes.

    `quality`: of JPEG, 1 to 100; 0 for DEFAULT_QUALITY. `background`: what is drawn below all
    pictures; None: nothing, but white where the format has no transparency. Tiles of one colour
    are encoded once and then taken from memory. For any number of threads at once.
    """

    def __init__(
        self, tile_format: TileFormat, quality: int = 0, background: QColor | None = None
    ) -> None:
        self.tile_format = tile_format
        self.quality = quality or DEFAULT_QUALITY
        self.background = background
        if background is None and tile_format in _OPAQUE_FORMATS:
            self.background = QColor(255, 255, 255)
        self._below = None if self.background is None else value_of(self.background)
        self._even: dict[tuple[int, bool, tuple[int, int]], bytes] = {}

    def encode(self, image: QImage) -> bytes:
        """The picture `image` as the bytes of a tile."""
        ((_, content),) = self.tiles(image, (image.width(), image.height()), [(0, 0)])
        return content

    def pixels(self, image: QImage) -> Pixels:
        """The pixels of `image` on the background, to be cut into tiles for `encode_pixels`."""
        return pixels_of(image if self.background is None else flattened(image, self.background))

    def tiles(
        self, image: QImage, size: tuple[int, int], places: Iterable[tuple[int, int]]
    ) -> Iterator[tuple[tuple[int, int], bytes]]:
        """The bytes of those tiles of `image`, each `size` (width, height), that lie at `places`.

        `places`: row and column of each, counted in tiles from the picture's upper left corner.
        `image` is read in place until the last one is given.
        """
        width, height = size
        is_drawn = image.format() == _DRAWN
        values = values_of(image) if is_drawn else self.pixels(image).view(np.uint32)[..., 0]
        even: dict[int, NDArray[np.bool_]] = {}
        for row, col in places:
            if row not in even:
                even[row] = even_tiles(values, size, row)
            top, left = row * height, col * width
            if even[row][col]:
                runs = even_runs(values[top, left], size)
            else:
                runs = runs_of(values[top : top + height, left : left + width])
            yield (row, col), self._tile(runs, is_drawn=is_drawn)

    def even(self, colour: QColor, size: tuple[int, int]) -> bytes:
        """The bytes of a tile of that `size` (width, height) where nothing but `colour` is drawn.

        They are those of `tiles` for a picture filled with it.
        """
        return self._tile(even_runs(value_of(colour), size), is_drawn=True)

    def encode_pixels(self, pixels: Pixels) -> bytes:
        """The bytes of a tile with these `pixels` (rows x columns x R, G, B, A, on background)."""
        values = np.ascontiguousarray(pixels).view(np.uint32)[..., 0]
        return self._tile(runs_of(values), is_drawn=False)

    def _tile(self, runs: Runs, *, is_drawn: bool) -> bytes:
        """`is_drawn`: whether the values are those of QGIS's picture, not R, G, B, A."""
        if len(runs.values) > 1:
            return self._encoded(self._plain(runs) if is_drawn else runs)
        key = int(runs.values[0]), is_drawn, runs.shape
        if key not in self._even:
            self._even[key] = self._encoded(self._plain(runs) if is_drawn else runs)
        return self._even[key]

    def _plain(self, runs: Runs) -> Runs:
        values = runs.values
        if self._below is not None:
            values = drawn_on(values, self._below)
        return replace(runs, values=straight(values))

    def _encoded(self, runs: Runs) -> bytes:
        kind = self.tile_format
        if kind is TileFormat.MIXED:
            kind = TileFormat.JPEG if _hides_all(runs.values) else TileFormat.PNG32
        if kind is TileFormat.JPEG:
            return _jpeg(runs, self.quality)
        least = colours_at_least(runs.values)
        if kind is TileFormat.PNG8 or (kind is TileFormat.PNG and least <= Palette.LARGEST):
            colours = colours_of(runs)
            if kind is TileFormat.PNG8 or len(colours.values) <= Palette.LARGEST:
                return indexed_png(runs, palette_of(colours))
        is_solid = kind is TileFormat.PNG and _hides_all(runs.values)
        bands = 3 if kind is TileFormat.PNG24 or is_solid else 4
        if len(runs.values) == 1:
            return even_png(runs, bands)
        return true_colour_png(runs, bands, least)


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


def _hides_all(values: Values) -> bool:
    """Whether nothing shines through R, G, B, A."""
    return bool((values >= _OPAQUE).all())


def _jpeg(runs: Runs, quality: int) -> bytes:
    values = runs.spread(swapped(runs.values) | _OPAQUE).tobytes()
    height, width = runs.shape
    image = QImage(values, width, height, 4 * width, QImage.Format.Format_RGB32)
    buffer = QBuffer()
    buffer.open(QBuffer.OpenModeFlag.WriteOnly)
    image.save(buffer, "JPEG", quality)
    return bytes(buffer.data())
