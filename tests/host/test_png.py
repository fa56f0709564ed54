"""PNG keeps every pixel: pictures of all sorts and sizes, and what several readers make of them."""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
import pytest

pytest.importorskip("qgis", reason="QGIS is not installed for this Python")

from png_reader import read_png
from qgis.PyQt.QtCore import QBuffer, QPointF, QRectF, Qt
from qgis.PyQt.QtGui import QBrush, QColor, QImage, QPainter, QPolygonF, QRadialGradient
from readers import decoded

from tile_cache_manager.plugin.core.storage.profile import TileFormat
from tile_cache_manager.plugin.host.tile_encoder import TileEncoder, flattened, image_of, pixels_of

SIZES = {
    "a tile": (256, 256),
    "a large tile": (512, 512),
    "a pixel": (1, 1),
    "a row": (1, 256),
    "a column": (256, 1),
    "a low one": (7, 300),
    "a narrow one": (300, 7),
}
COLOURS = (1, 2, 3, 4, 5, 16, 17, 255, 256, 257, 258, 1000, 60_000)
ALPHAS = ("opaque", "in part", "half", "none")


def palette_of(count: int, alphas: str, rng: Any) -> np.ndarray:
    """`count` different colours; without alpha there is but one."""
    numbers = np.arange(count, dtype=np.uint32) * np.uint32(279) + np.uint32(5)
    colours = np.column_stack([numbers % 251, numbers // 251 % 256, numbers // 64256 * 9 + 1])
    alpha = {
        "opaque": np.full(count, 255),
        "in part": rng.integers(1, 256, count),
        "half": np.full(count, 128),
        "none": np.zeros(count),
    }[alphas]
    rgba = np.column_stack([colours, alpha]).astype(np.uint8)
    rgba[rgba[:, 3] == 0] = 0
    return rgba


def noise(size: tuple[int, int], rgba: np.ndarray, rng: Any) -> np.ndarray:
    """All the colours that there is room for, in any order."""
    order = rng.permutation(np.arange(size[0] * size[1]) % len(rgba))
    return rgba[order].reshape(*size, 4)


def patches(size: tuple[int, int], rgba: np.ndarray, rng: Any) -> np.ndarray:
    """As maps are: rectangles, lines, and single pixels over them."""
    picture = np.empty((*size, 4), np.uint8)
    picture[:] = rgba[0]
    for number in range(1, max(len(rgba), 30)):
        top, left = rng.integers(0, size[0]), rng.integers(0, size[1])
        high, wide = rng.integers(1, 2 + size[0] // 4), rng.integers(1, 2 + size[1] // 4)
        if number % 3:
            high, wide = 1, wide if number % 2 else 1
        picture[top : top + high, left : left + wide] = rgba[number % len(rgba)]
        if number > 2000:
            break
    return picture


def hatched(size: tuple[int, int], rgba: np.ndarray, rng: Any) -> np.ndarray:
    """Patterns that repeat every few pixels."""
    rows, cols = np.indices(size)
    return rgba[(rows // 2 + cols) % min(len(rgba), 7)]


@functools.cache
def pictures() -> list[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(6)
    found = []
    for count in COLOURS:
        for alphas in ALPHAS:
            rgba = palette_of(count, alphas, rng)
            for draw in (noise, patches, hatched):
                for name, size in SIZES.items():
                    if name == "a large tile" and count not in (2, 257, 60_000):
                        continue
                    picture = draw(size, rgba, rng)
                    found.append((f"{count}, {alphas}, {draw.__name__}, {name}", picture))
    return found


def expanded(bands: np.ndarray) -> np.ndarray:
    """Bands x rows x columns as R, G, B, A."""
    rows = np.moveaxis(bands, 0, 2)
    if rows.shape[2] == 3:
        rows = np.dstack([rows, np.full(rows.shape[:2], 255, np.uint8)])
    return rows


@pytest.mark.parametrize("tile_format", [TileFormat.PNG, TileFormat.PNG32, TileFormat.PNG24])
def test_every_pixel_is_kept(tile_format: TileFormat) -> None:
    encoder = TileEncoder(tile_format)
    kinds = {TileFormat.PNG32: {6}, TileFormat.PNG24: {2}, TileFormat.PNG: {2, 3, 6}}
    seen = set()
    for name, pixels in pictures():
        wanted = pixels
        if tile_format is TileFormat.PNG24:
            wanted = pixels.copy()
            wanted[..., 3] = 255

        content = encoder.encode_pixels(pixels)

        png = read_png(content)
        assert (png.pixels == wanted).all(), name
        assert (pixels_of(QImage.fromData(content)) == wanted).all(), name
        seen.add(png.colour_type)
    assert seen == kinds[tile_format]


def test_a_palette_where_it_fits() -> None:
    encoder = TileEncoder(TileFormat.PNG)
    for name, pixels in pictures():
        count = len(np.unique(pixels.reshape(-1, 4).view(np.uint32)))
        is_opaque = (pixels[..., 3] == 255).all()

        png = read_png(encoder.encode_pixels(pixels))

        assert png.colours == (count if count <= 256 else 0), name
        assert png.colour_type == (3 if count <= 256 else 2 if is_opaque else 6), name


def test_pillow_agrees() -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    encoder = TileEncoder(TileFormat.PNG)
    for name, pixels in pictures()[::2]:
        content = encoder.encode_pixels(pixels)
        got = np.asarray(image.open(io.BytesIO(content)).convert("RGBA"))
        assert (got == pixels).all(), name


@pytest.mark.parametrize("which", ["wheel", "system"])
def test_gdal_agrees(which: str) -> None:
    encoder = TileEncoder(TileFormat.PNG32)
    chosen = pictures()[::9]

    found = decoded((encoder.encode_pixels(pixels) for _, pixels in chosen), which=which)

    for (name, pixels), bands in zip(chosen, found):
        assert (expanded(bands) == pixels).all(), name


@pytest.mark.parametrize("tile_format", [TileFormat.PNG, TileFormat.PNG32, TileFormat.PNG8])
def test_the_same_bytes_again(tile_format: TileFormat) -> None:
    for name, pixels in pictures()[::40]:
        first = TileEncoder(tile_format).encode_pixels(pixels)
        assert TileEncoder(tile_format).encode_pixels(pixels.copy()) == first, name


def saved_by_qt(pixels: np.ndarray, tile_format: TileFormat = TileFormat.PNG32) -> bytes:
    """As Qt packs them, without A for PNG24."""
    forms = QImage.Format
    form = forms.Format_RGB32 if tile_format is TileFormat.PNG24 else forms.Format_ARGB32
    buffer = QBuffer()
    buffer.open(QBuffer.OpenModeFlag.WriteOnly)
    image_of(pixels).convertToFormat(form).save(buffer, "PNG", -1)
    return bytes(buffer.data())


def relief(noise_of: float) -> np.ndarray:
    """A shaded relief in the colours of heights, with noise as photos have it."""
    rng = np.random.default_rng(5)
    waves = np.fft.fftfreq(256)[:, None] ** 2 + np.fft.fftfreq(256)[None] ** 2
    waves[0, 0] = 1
    height = np.fft.ifft2(np.fft.fft2(rng.normal(size=(256, 256))) * waves**-0.9).real
    height = (height - height.min()) / np.ptp(height)
    down, right = np.gradient(300 * height)
    shade = 0.5 + (down + right) / np.sqrt(8 * (down**2 + right**2 + 1))
    colour = np.stack([0.4 + 0.5 * height, 0.6 - 0.1 * height, 0.35 + 0.1 * height], axis=2)
    values = 255 * colour * shade[..., None] + rng.normal(0, noise_of, (256, 256, 3))
    return np.dstack([values.clip(0, 255), np.full((256, 256), 255)]).astype(np.uint8)


def grey(pixels: np.ndarray) -> np.ndarray:
    result = pixels.copy()
    result[..., :3] = pixels[..., 1:2]
    return result


LARGE = [
    (relief(0), 0.85),
    (relief(3), 0.95),
    (grey(relief(0)), 0.6),
    (grey(relief(3)), 0.6),
    (hatched((256, 256), palette_of(7, "in part", np.random.default_rng(1)), None), 0.6),
]


@pytest.mark.parametrize(("pixels", "share"), LARGE)
def test_photos_and_patterns_are_smaller_than_those_of_qt(pixels: np.ndarray, share: float) -> None:
    content = TileEncoder(TileFormat.PNG).encode_pixels(pixels)

    assert (read_png(content).pixels == pixels).all()
    assert len(content) < share * len(saved_by_qt(pixels))


# Simple shapes, patterns and shades, which other ways of packing make small


def painted(paint: Any, background: str) -> np.ndarray:
    image = QImage(256, 256, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(QColor(background))
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(QColor("#dfe8c8"))
    paint(painter)
    painter.end()
    return pixels_of(image)


def veil(painter: QPainter) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(200, 30, 30, 120))
    painter.drawEllipse(QRectF(40, 40, 170, 150))


def half(painter: QPainter) -> None:
    painter.fillRect(QRectF(0, 0, 256, 100.3), QColor("#3366aa"))


def side(painter: QPainter) -> None:
    painter.fillRect(QRectF(0, 0, 100.3, 256), QColor("#3366aa"))


def grid(painter: QPainter) -> None:
    for at in range(0, 256, 16):
        painter.drawLine(QPointF(at + 0.5, 0), QPointF(at + 0.5, 256))
        painter.drawLine(QPointF(0, at + 0.5), QPointF(256, at + 0.5))


def hatch(painter: QPainter) -> None:
    for at in range(-256, 256, 9):
        painter.drawLine(QPointF(at, 0), QPointF(at + 256, 256))


def dots(painter: QPainter) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    for x in range(4, 256, 12):
        for y in range(4, 256, 12):
            painter.drawEllipse(QPointF(x, y), 2.3, 2.3)


def letters(painter: QPainter) -> None:
    """The same small marks in row after row."""
    chance = np.random.default_rng(3)
    marks = [[QPointF(*chance.uniform(0, 8, 2)) for _ in range(5)] for _ in range(9)]
    for row in range(12, 240, 22):
        for place in range(26):
            painter.save()
            painter.translate(4 + 9 * place, row)
            painter.drawPolyline(QPolygonF(marks[place % len(marks)]))
            painter.restore()


def lines(painter: QPainter) -> None:
    chance = np.random.default_rng(5)
    for _ in range(40):
        painter.drawLine(QPointF(*chance.uniform(0, 256, 2)), QPointF(*chance.uniform(0, 256, 2)))


def polygons(painter: QPainter) -> None:
    chance = np.random.default_rng(3)
    for hue in range(0, 360, 30):
        painter.setBrush(QColor.fromHsv(hue, 80, 220))
        painter.drawPolygon(QPolygonF([QPointF(*chance.uniform(0, 256, 2)) for _ in range(7)]))


def fade(painter: QPainter) -> None:
    gradient = QRadialGradient(128, 128, 128)
    gradient.setColorAt(0, QColor("red"))
    gradient.setColorAt(1, QColor(0, 0, 255, 0))
    painter.fillRect(0, 0, 256, 256, QBrush(gradient))


SHAPES: dict[str, Any] = {
    "a disc": lambda painter: painter.drawEllipse(QRectF(40, 40, 170, 150)),
    "a line": lambda painter: painter.drawLine(QPointF(0, 20), QPointF(256, 230)),
    "a box": lambda painter: painter.drawRect(QRectF(30.5, 30.5, 150, 120)),
    **{each.__name__: each for each in (veil, half, side, grid, hatch, dots, letters)},
    **{each.__name__: each for each in (lines, polygons, fade)},
}


def shades() -> np.ndarray:
    """Many colours, of which each differs little from the next."""
    down, right = np.mgrid[0:256, 0:256]
    away = np.hypot(down - 128, right - 128)
    parts = (255 - away, away, (down + right) / 2, np.full_like(away, 255))
    return np.dstack(parts).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("background", ["#00ffffff", "#ffffffff"])
@pytest.mark.parametrize("shape", [*SHAPES, "shades"])
def test_no_shape_or_pattern_is_larger_than_that_of_qt_by_more_than_a_tenth(
    shape: str, background: str
) -> None:
    pixels = shades() if shape == "shades" else painted(SHAPES[shape], background)
    for tile_format in (TileFormat.PNG, TileFormat.PNG32, TileFormat.PNG24):
        if tile_format is TileFormat.PNG24:
            pixels = flat(pixels)
        content = TileEncoder(tile_format).encode_pixels(pixels)

        assert (read_png(content).pixels == pixels).all()
        assert len(content) <= 1.1 * len(saved_by_qt(pixels, tile_format)), tile_format


def flat(pixels: np.ndarray) -> np.ndarray:
    """On white, which PNG24 is drawn on."""
    return pixels_of(flattened(image_of(pixels), QColor("white")))
