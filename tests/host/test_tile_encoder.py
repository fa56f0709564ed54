"""Pictures into tiles: formats, colours, transparency, size, the same bytes every time."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from osgeo import gdal
from qgis.PyQt.QtCore import QPointF, QRectF
from qgis.PyQt.QtGui import QBrush, QColor, QImage, QLinearGradient, QPainter, QPen

from tile_cache_manager.plugin.core.storage.pictures import picture_facts
from tile_cache_manager.plugin.core.storage.profile import TileFormat
from tile_cache_manager.plugin.host.palettes import Palette
from tile_cache_manager.plugin.host.tile_encoder import TileEncoder, pixels_of

pytestmark = pytest.mark.usefixtures("qgis_app")

gdal.UseExceptions()

SIDE = 256
RED = QColor(200, 30, 40)


def blank(colour: QColor | None = None) -> QImage:
    image = QImage(SIDE, SIDE, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(colour or QColor(0, 0, 0, 0))
    return image


def map_like(background: QColor | None = None) -> QImage:
    """Antialiased lines and circles, half transparent in part: some hundred colours."""
    image = blank(background)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for number in range(24):
        colour = QColor.fromHsv(number * 15, 180, 220, 255 if number % 3 else 120)
        painter.setPen(QPen(colour.darker(), 1.3))
        painter.setBrush(QBrush(colour))
        painter.drawEllipse(QRectF(7.3 * number, 9.1 * number, 60.5, 33.3))
    painter.end()
    return image


def photo(alpha: int = 255) -> QImage:
    """Smooth colour in both directions: tens of thousands of colours."""
    image = blank()
    painter = QPainter(image)
    for start, end, colours in (
        (QPointF(0, 0), QPointF(SIDE, SIDE), ("#102040", "#f0c080")),
        (QPointF(SIDE, 0), QPointF(0, SIDE), ("#8020ff20", "#80ff2080")),
    ):
        gradient = QLinearGradient(start, end)
        gradient.setColorAt(0, QColor(colours[0]))
        gradient.setColorAt(1, QColor(colours[1]))
        painter.fillRect(image.rect(), gradient)
    painter.end()
    noise = np.random.default_rng(1).integers(0, 12, (SIDE, SIDE, 3), dtype=np.uint8)
    pixels = pixels_of(image)
    pixels[..., :3] = np.clip(pixels[..., :3].astype(int) + noise, 0, 255)
    pixels[..., 3] = alpha
    form = QImage.Format.Format_RGBA8888
    return QImage(pixels.tobytes(), SIDE, SIDE, 4 * SIDE, form).copy()


def few_colours() -> QImage:
    """Just 256 colours, transparent and half transparent ones among them."""
    values = np.arange(256, dtype=np.uint8)
    palette = np.stack([values, 255 - values, values // 2, np.roll(values, 7)], axis=1)
    palette[palette[:, 3] == 0] = 0
    pixels = palette[np.arange(SIDE * SIDE) % 256].reshape(SIDE, SIDE, 4)
    form = QImage.Format.Format_RGBA8888
    return QImage(pixels.tobytes(), SIDE, SIDE, 4 * SIDE, form).copy()


def by_gdal(content: bytes) -> np.ndarray:
    """Rows x columns x R, G, B, A, as GDAL decodes it, palettes expanded."""
    gdal.FileFromMemBuffer("/vsimem/tile", content)
    try:
        data = gdal.Open("/vsimem/tile")
        bands = data.ReadAsArray()
        table = data.GetRasterBand(1).GetColorTable()
    finally:
        gdal.Unlink("/vsimem/tile")
    if table is not None:
        entries = [table.GetColorEntry(number) for number in range(table.GetCount())]
        return np.array(entries, np.uint8)[bands]
    pixels = np.moveaxis(bands, 0, 2)
    if pixels.shape[2] == 3:
        pixels = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    return pixels


def seen(pixels: np.ndarray) -> np.ndarray:
    """What can be seen: colours premultiplied, and alpha."""
    values = pixels.astype(float)
    values[..., :3] *= values[..., 3:] / 255
    return values


def difference(pixels: np.ndarray, others: np.ndarray) -> float:
    """Root of the mean square difference, in steps of 0 to 255."""
    return float(np.sqrt(((seen(pixels) - seen(others)) ** 2).mean()))


def colour_type(content: bytes) -> int:
    assert content.startswith(b"\x89PNG")
    return content[25]


LOSSLESS = [
    (TileFormat.PNG32, map_like(), 6),
    (TileFormat.PNG32, few_colours(), 6),
    (TileFormat.PNG32, photo(), 6),
    (TileFormat.PNG24, map_like(QColor("#ffffff")), 2),
    (TileFormat.PNG24, photo(), 2),
    (TileFormat.PNG8, few_colours(), 3),
    (TileFormat.PNG8, blank(), 3),
    (TileFormat.PNG, few_colours(), 3),
    (TileFormat.PNG, blank(RED), 3),
    (TileFormat.PNG, map_like(), 6),
    (TileFormat.PNG, map_like(QColor("#ffffff")), 2),
    (TileFormat.PNG, photo(), 2),
    (TileFormat.PNG, photo(alpha=90), 6),
    (TileFormat.MIXED, map_like(), 6),
]


@pytest.mark.parametrize(("tile_format", "image", "kind"), LOSSLESS)
def test_png_loses_nothing(tile_format: TileFormat, image: QImage, kind: int) -> None:
    content = TileEncoder(tile_format).encode(image)

    assert colour_type(content) == kind
    assert (by_gdal(content) == pixels_of(image)).all()


@pytest.mark.parametrize(("tile_format", "image", "kind"), LOSSLESS)
def test_other_decoders_agree(tile_format: TileFormat, image: QImage, kind: int) -> None:
    content = TileEncoder(tile_format).encode(image)

    facts = picture_facts(content)
    assert facts is not None
    assert (facts.format, facts.width, facts.height) == ("PNG", SIDE, SIDE)
    assert (pixels_of(QImage.fromData(content)) == pixels_of(image)).all()


@pytest.mark.parametrize("tile_format", [TileFormat.PNG32, TileFormat.PNG])
def test_pixels_are_those_that_qt_would_save(tile_format: TileFormat) -> None:
    from qgis.PyQt.QtCore import QBuffer

    buffer = QBuffer()
    buffer.open(QBuffer.OpenModeFlag.WriteOnly)
    map_like().save(buffer, "PNG")

    mine = TileEncoder(tile_format).encode(map_like())
    assert (by_gdal(mine) == by_gdal(bytes(buffer.data()))).all()


MANY_COLOURS = [
    # picture, largest difference as a whole, of any pixel
    (map_like(), 1.5, 40),
    (map_like(QColor("#ffffff")), 1.5, 40),
    (photo(), 6.0, 40),
    (photo(alpha=90), 3.0, 24),
]


@pytest.mark.parametrize(("image", "whole", "single"), MANY_COLOURS)
def test_a_palette_for_many_colours(image: QImage, whole: float, single: float) -> None:
    wanted = pixels_of(image)
    assert len(np.unique(wanted.view(np.uint32))) > Palette.LARGEST

    content = TileEncoder(TileFormat.PNG8).encode(image)

    got = by_gdal(content)
    assert colour_type(content) == 3
    assert len(np.unique(got.reshape(-1, 4), axis=0)) <= Palette.LARGEST
    assert difference(got, wanted) < whole
    assert np.abs(seen(got) - seen(wanted)).max() <= single


def test_a_palette_is_better_than_that_of_qt() -> None:
    image = map_like()
    of_qt = image.convertToFormat(QImage.Format.Format_Indexed8)

    mine = by_gdal(TileEncoder(TileFormat.PNG8).encode(image))
    assert difference(mine, pixels_of(image)) < difference(pixels_of(of_qt), pixels_of(image)) / 10


def test_what_is_transparent_stays_so_in_a_palette() -> None:
    got = by_gdal(TileEncoder(TileFormat.PNG8).encode(map_like()))
    wanted = pixels_of(map_like())

    assert ((got[..., 3] == 0) == (wanted[..., 3] == 0)).all()
    assert (got[wanted[..., 3] == 255, 3] == 255).all()


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_jpeg(quality: int) -> None:
    content = TileEncoder(TileFormat.JPEG, quality).encode(photo())

    assert content.startswith(b"\xff\xd8\xff")
    assert content.endswith(b"\xff\xd9")
    assert difference(by_gdal(content), pixels_of(photo())) < 14


def test_quality_of_jpeg_is_what_is_asked_for() -> None:
    sizes = [len(TileEncoder(TileFormat.JPEG, q).encode(photo())) for q in (20, 50, 80, 95)]

    assert sizes == sorted(sizes)
    assert sizes[-1] > 3 * sizes[0]


MIXED = [(photo(), "JPEG"), (map_like(), "PNG"), (map_like(RED), "JPEG"), (blank(), "PNG")]


@pytest.mark.parametrize(("image", "wanted"), MIXED)
def test_mixed_is_jpeg_where_nothing_shines_through(image: QImage, wanted: str) -> None:
    facts = picture_facts(TileEncoder(TileFormat.MIXED, 80).encode(image))

    assert facts is not None
    assert facts.format == wanted


@pytest.mark.parametrize("tile_format", list(TileFormat))
def test_the_background_lies_below(tile_format: TileFormat) -> None:
    content = TileEncoder(tile_format, 95, QColor("#3366cc")).encode(map_like())

    got, wanted = by_gdal(content), pixels_of(map_like(QColor("#3366cc")))
    assert (got[..., 3] == 255).all()
    assert difference(got, wanted) < (8 if content.startswith(b"\xff\xd8") else 1)


@pytest.mark.parametrize("tile_format", [TileFormat.PNG24, TileFormat.JPEG])
def test_white_lies_below_where_there_is_no_transparency(tile_format: TileFormat) -> None:
    got = by_gdal(TileEncoder(tile_format, 95).encode(blank()))

    assert (got >= 254).all()


@pytest.mark.parametrize("tile_format", list(TileFormat))
def test_the_same_picture_gives_the_same_bytes(tile_format: TileFormat) -> None:
    first, second = TileEncoder(tile_format, 80), TileEncoder(tile_format, 80)
    second.encode(photo())

    for image in (map_like(), photo(), blank(RED)):
        assert first.encode(image) == second.encode(image) == first.encode(image)


@pytest.mark.parametrize("tile_format", list(TileFormat))
def test_tiles_of_one_colour_are_small(tile_format: TileFormat) -> None:
    content = TileEncoder(tile_format).encode(blank(RED))

    assert len(content) < 1700  # a JPEG of nothing has about as many
    assert difference(by_gdal(content), pixels_of(blank(RED))) < 2


def test_a_part_of_a_larger_picture() -> None:
    encoder = TileEncoder(TileFormat.PNG32)
    pixels = encoder.pixels(photo())

    content = encoder.encode_pixels(pixels[64:192, 32:96])

    assert struct.unpack(">II", content[16:24]) == (64, 128)
    assert (by_gdal(content) == pixels_of(photo())[64:192, 32:96]).all()
