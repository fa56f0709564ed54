"""Pictures as QGIS draws them: their pixels in tiles are those that Qt itself would save."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("qgis", reason="QGIS is not installed for this Python")

from drawn_tiles import filled, world_layer
from png_reader import read_png
from qgis.core import QgsMapRendererSequentialJob, QgsMapSettings, QgsRectangle
from qgis.PyQt.QtCore import QBuffer, QSize
from qgis.PyQt.QtGui import QColor, QImage, QPainter

from tile_cache_manager.plugin.core.storage.profile import TileFormat
from tile_cache_manager.plugin.host import tile_encoder
from tile_cache_manager.plugin.host.premultiplied import straight
from tile_cache_manager.plugin.host.tile_encoder import (
    TileEncoder,
    flattened,
    image_of,
    pixels_of,
)

pytestmark = pytest.mark.usefixtures("qgis_app")

DRAWN = QImage.Format.Format_ARGB32_Premultiplied
SIDE, SUPERTILE = 256, 2048
CLEAR = QColor(0, 0, 0, 0)


def drawn_image(values: np.ndarray) -> QImage:
    """The picture with these premultiplied A, R, G, B."""
    height, width = values.shape
    content = np.ascontiguousarray(values, np.uint32).tobytes()
    return QImage(content, width, height, 4 * width, DRAWN).copy()


def all_pairs() -> np.ndarray:
    """Every alpha with every colour up to it, in each of R, G and B, the others differing."""
    alpha, colour = np.indices((256, 256), np.uint32)
    colour = np.minimum(colour, alpha)
    other, third = alpha - colour, colour // 2
    rows = [
        alpha << np.uint32(24) | r << np.uint32(16) | g << np.uint32(8) | b
        for r, g, b in ((colour, other, third), (third, colour, other), (other, third, colour))
    ]
    return np.concatenate(rows)


def test_all_colours_become_what_qt_makes_of_them() -> None:
    values = all_pairs()
    wanted = pixels_of(drawn_image(values))

    got = straight(values.ravel()).view(np.uint8).reshape(*values.shape, 4)

    assert (got == wanted).all()
    opaque = values.ravel() | np.uint32(0xFF000000)
    wanted = pixels_of(drawn_image(opaque.reshape(values.shape)))
    assert (straight(opaque).view(np.uint8).reshape(wanted.shape) == wanted).all()


def test_different_colours_stay_different() -> None:
    values = np.unique(all_pairs())

    assert len(np.unique(straight(values))) == len(values)


@pytest.mark.parametrize("background", ["#ffffff", "#000000", "#3366cc", "#803366cc", "#01ff80ff"])
def test_all_colours_lie_on_the_background_as_qt_draws_them(background: str) -> None:
    colour = QColor(background)
    image = drawn_image(all_pairs())
    wanted = pixels_of(flattened(image, colour))

    content = TileEncoder(TileFormat.PNG32, background=colour).encode(image)

    assert (read_png(content).pixels == wanted).all()


PLACES = {
    "upper left": (0, 0),
    "upper right": (0, SIDE - 1),
    "lower left": (SIDE - 1, 0),
    "lower right": (SIDE - 1, SIDE - 1),
    "top": (0, 100),
    "bottom": (SIDE - 1, 100),
    "left": (100, 0),
    "right": (100, SIDE - 1),
    "centre": (128, 128),
    "off centre": (127, 129),
}


@pytest.mark.parametrize("ground", [0, 0xFF336699, 0x80204060])
def test_one_other_pixel_is_not_overlooked(ground: int) -> None:
    """A picture of 4 x 4 tiles of one colour: the middle one of them but for one pixel."""
    encoder = TileEncoder(TileFormat.PNG)
    every = [(row, col) for row in range(4) for col in range(4)]
    for name, (row, col) in PLACES.items():
        values = np.full((4 * SIDE, 4 * SIDE), ground, np.uint32)
        values[SIDE + row, 2 * SIDE + col] = 0xFF102030
        image = drawn_image(values)
        wanted = pixels_of(image)

        tiles = dict(encoder.tiles(image, (SIDE, SIDE), every))

        even = {content for place, content in tiles.items() if place != (1, 2)}
        assert len(even) == 1, name
        for (down, right), content in tiles.items():
            part = wanted[down * SIDE :, right * SIDE :][:SIDE, :SIDE]
            assert (read_png(content).pixels == part).all(), name
        assert tiles[1, 2] not in even, name


def test_a_colour_is_encoded_once(monkeypatch: Any) -> None:
    calls = []
    for name in ("indexed_png", "true_colour_png", "even_png", "_jpeg"):
        whole = getattr(tile_encoder, name)

        def counted(*args: Any, whole: Any = whole) -> bytes:
            calls.append(args)
            return whole(*args)

        monkeypatch.setattr(tile_encoder, name, counted)
    for tile_format in TileFormat:
        calls.clear()
        encoder = TileEncoder(tile_format)
        for colour in ("#336699", "#336698", "#336699"):
            values = np.full((2 * SIDE, 3 * SIDE), QColor(colour).rgba(), np.uint32)
            places = [(0, 0), (1, 2), (1, 0)]
            tiles = [each for _, each in encoder.tiles(drawn_image(values), (SIDE, SIDE), places)]
            assert len(set(tiles)) == 1
            assert encoder.even(QColor(colour), (SIDE, SIDE)) == tiles[0]
        assert len(calls) == 2, tile_format


EVEN = ["#00000000", "#ffffffff", "#ff336699", "#80336699", "#01ff80ff", "#fe102030"]


@pytest.mark.parametrize("background", [None, QColor("#ffeedd"), QColor("#40ffeedd")])
@pytest.mark.parametrize("tile_format", list(TileFormat))
def test_even_tiles_are_those_of_filled_pictures(
    tile_format: TileFormat, background: QColor | None
) -> None:
    for name in EVEN:
        colour = QColor(name)
        by_fill, by_painter = (QImage(300, 200, DRAWN) for _ in range(2))
        by_fill.fill(colour)
        by_painter.fill(CLEAR)
        painter = QPainter(by_painter)
        painter.fillRect(0, 0, 300, 200, colour)
        painter.end()

        content = TileEncoder(tile_format, 80, background).even(colour, (300, 200))

        for image in (by_fill, by_painter):
            assert TileEncoder(tile_format, 80, background).encode(image) == content, name


@pytest.mark.parametrize("size", [(256, 256), (300, 128), (1, 1), (512, 512)])
def test_tiles_are_cut_where_they_lie(size: tuple[int, int]) -> None:
    width, height = size
    rng = np.random.default_rng(3)
    values = rng.integers(0, 3, (2 * height, 3 * width), np.uint32) | np.uint32(0xFF000000)
    image = drawn_image(values)
    wanted = pixels_of(image)
    places = [(row, col) for row in range(2) for col in range(3)]
    for kind in (DRAWN, QImage.Format.Format_ARGB32, QImage.Format.Format_RGBA8888):
        same = image.convertToFormat(kind)
        tiles = dict(TileEncoder(TileFormat.PNG).tiles(same, size, places))
        assert list(tiles) == places
        for (row, col), content in tiles.items():
            part = wanted[row * height :, col * width :][:height, :width]
            assert (read_png(content).pixels == part).all()


def world_pictures(count: int) -> Iterator[QImage]:
    """Supertiles of QGIS's map of the world, places by chance, at levels 5 to 8."""
    states = filled(world_layer("states_provinces"), "#00000000")
    states.renderer().symbol().symbolLayer(0).setStrokeColor(QColor("#aaaaaa"))
    countries = filled(world_layer("countries"), "#dfe8c8")
    countries.renderer().symbol().symbolLayer(0).setStrokeColor(QColor("#555555"))
    settings = QgsMapSettings()
    settings.setLayers([states, countries])
    settings.setDestinationCrs(countries.crs())
    settings.setOutputSize(QSize(SUPERTILE, SUPERTILE))
    settings.setOutputImageFormat(DRAWN)
    settings.setBackgroundColor(CLEAR)
    rng = np.random.default_rng(8)
    for number in range(count):
        side = 90 / 2 ** (number % 4)
        west, south = rng.uniform(-180, 181 - side), rng.uniform(-80, max(80 - side, -79))
        settings.setExtent(QgsRectangle(west, south, west + side, south + side))
        job = QgsMapRendererSequentialJob(settings)
        job.start()
        job.waitForFinished()
        yield job.renderedImage()


def saved_by_qt(pixels: np.ndarray) -> bytes:
    buffer = QBuffer()
    buffer.open(QBuffer.OpenModeFlag.WriteOnly)
    image_of(pixels).convertToFormat(QImage.Format.Format_ARGB32).save(buffer, "PNG", -1)
    return bytes(buffer.data())


def test_tiles_of_the_world_map() -> None:
    """2,240 tiles have the pixels of the picture drawn; a part of them beside Qt's for the size."""
    encoder = TileEncoder(TileFormat.PNG)
    every = [(row, col) for row in range(8) for col in range(8)]
    checked, uneven, ours, of_qt = 0, 0, 0, 0
    for image in world_pictures(35):
        assert image.format() == DRAWN
        wanted = pixels_of(image)
        for (row, col), content in encoder.tiles(image, (SIDE, SIDE), every):
            part = wanted[row * SIDE :, col * SIDE :][:SIDE, :SIDE]
            assert (pixels_of(QImage.fromData(content)) == part).all()
            checked += 1
            if (part != part[0, 0]).any():
                uneven += 1
                if uneven % 4 == 0:
                    ours += len(content)
                    of_qt += len(saved_by_qt(part))
    assert checked == 35 * 64
    assert uneven > 500
    assert ours < 0.95 * of_qt
