"""Pixels of tiles: clipped and merged, compared with brute force pixel by pixel."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from core.export.fakes import (
    PlainPixels,
    all_tiles,
    brute_mask,
    decoded,
    encoded,
    make_cache,
    noise,
    over,
    profile_of,
    request_of,
    small_scheme,
    tiles_in,
)
from qgis.PyQt.QtCore import QBuffer
from qgis.PyQt.QtGui import QColor, QImage
from shapely.affinity import rotate
from shapely.geometry import MultiPolygon, Point, Polygon, box

from tile_cache_manager.plugin.core.errors import SourceError
from tile_cache_manager.plugin.core.export.local import export_local
from tile_cache_manager.plugin.core.export.request import Overwrite
from tile_cache_manager.plugin.core.request import Feedback
from tile_cache_manager.plugin.host.tile_encoder import pixels_of
from tile_cache_manager.plugin.host.tile_pixels import TilePixels

pytestmark = pytest.mark.usefixtures("qgis_app")

SIDE = 48
PARTS = {
    "a turned square": rotate(box(10.3, 8.2, 39.9, 37.1), 27),
    "a ring": Point(20, 25).buffer(19).difference(Point(24, 22).buffer(7.5)),
    "two": MultiPolygon([box(-5, -5, 11.4, 60), Polygon([(20.3, 48), (47.1, 3.2), (60, 70)])]),
    "thin": Polygon([(0.2, 0), (48, 46.1), (48, 47.9)]),
    "no middle of a pixel": box(5.6, 5.6, 6.4, 9),
    "all but a corner": box(0, 0, SIDE, SIDE).difference(box(45.4, 45.4, 99, 99)),
}


def seen(picture: bytes) -> Any:
    """The pixels of a picture, whoever encoded it."""
    image = QImage.fromData(picture)
    assert not image.isNull()
    return pixels_of(image)


def colours(count: int, seed: int = 3) -> Any:
    """Pixels of so many colours, some of which shine through."""
    rng = np.random.default_rng(seed)
    palette = rng.integers(0, 256, (count, 4), dtype=np.uint8)
    palette[::2, 3] = 255
    palette[1, 3] = 0
    return palette[rng.integers(0, count, (SIDE, SIDE))]


def jpeg(pixels: Any, quality: int = 95) -> bytes:
    image = QImage(pixels.tobytes(), SIDE, SIDE, 4 * SIDE, QImage.Format.Format_RGBA8888)
    buffer = QBuffer()
    buffer.open(QBuffer.OpenModeFlag.WriteOnly)
    image.convertToFormat(QImage.Format.Format_RGB32).save(buffer, "JPEG", quality)
    return bytes(buffer.data())


def plain(colour: str) -> Any:
    image = QImage(SIDE, SIDE, QImage.Format.Format_ARGB32)
    image.fill(QColor(colour))
    return pixels_of(image)


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS.keys())
@pytest.mark.parametrize("image_format", ["PNG", "PNG32", "PNG8", "MIXED"])
def test_clipped(part: Any, image_format: str) -> None:
    pixels = colours(20)
    expected = pixels.copy()
    expected[~brute_mask(part, SIDE)] = 0
    result = seen(TilePixels().clipped(encoded(pixels), part, image_format, 0))
    np.testing.assert_array_equal(as_told(result), as_told(expected))


def as_told(pixels: Any) -> Any:
    """The colours of transparent pixels do not count where palettes are made of them."""
    told = pixels.copy()
    told[told[..., 3] == 0] = 0
    return told


@pytest.mark.parametrize("part", [*PARTS.values(), None], ids=[*PARTS.keys(), "all of it"])
@pytest.mark.parametrize("alpha", [255, None], ids=["opaque", "shining through"])
@pytest.mark.parametrize("image_format", ["PNG", "PNG32", "MIXED"])
def test_merged(part: Any, alpha: int | None, image_format: str) -> None:
    below, above = noise(1, SIDE, None), noise(2, SIDE, alpha)
    below[:4, :, 3] = 0  # what nobody sees keeps its colours
    above[:, :4, 3] = 0
    expected = decoded(PlainPixels().merged(encoded(below), encoded(above), part, "", 0))
    result = seen(TilePixels().merged(encoded(below), encoded(above), part, image_format, 0))
    np.testing.assert_array_equal(result, expected)
    mask = np.ones((SIDE, SIDE), bool) if part is None else brute_mask(part, SIDE)
    np.testing.assert_array_equal(result[~mask], below[~mask])


def test_one_pixel_by_hand() -> None:
    """Half of red over opaque blue; half of red over half of blue; on nothing; nothing on it."""
    red, blue = [255, 0, 0, 128], [0, 0, 255, 128]
    below = np.array([[[0, 0, 255, 255], blue, [9, 9, 9, 0], blue]], np.uint8)
    above = np.array([[red, red, red, [7, 7, 7, 0]]], np.uint8)
    result = seen(TilePixels().merged(encoded(below), encoded(above), None, "PNG32", 0))
    assert result.tolist() == [
        [[128, 0, 127, 255], [170, 0, 85, 192], [255, 0, 0, 128], [0, 0, 255, 128]]
    ]
    assert [over(b, a).tolist() for b, a in zip(below[0], above[0])][:3] == result[0, :3].tolist()


def test_what_is_not_changed_comes_back_as_it_came() -> None:
    below, above = encoded(noise(1, SIDE)), encoded(noise(2, SIDE))
    through = encoded(noise(3, SIDE, 0))
    pixels = TilePixels()
    whole = box(0, 0, SIDE, SIDE)
    assert pixels.clipped(above, whole, "PNG8", 0) == above
    assert pixels.clipped(above, whole.buffer(-0.4), "JPEG", 50) == above
    assert pixels.merged(below, above, None, "PNG8", 0) == above
    assert pixels.merged(below, above, whole, "PNG8", 0) == above
    assert pixels.merged(below, above, PARTS["no middle of a pixel"], "PNG8", 0) == below
    assert pixels.merged(below, through, None, "JPEG", 0) == below


@pytest.mark.parametrize("image_format", ["JPEG", "PNG24"])
def test_white_where_a_format_has_no_transparency(image_format: str) -> None:
    part = box(0, 0, 24, SIDE)
    picture = jpeg(plain("#204060")) if image_format == "JPEG" else encoded(plain("#204060"))
    result = seen(TilePixels().clipped(picture, part, image_format, 95)).astype(int)
    assert np.abs(result[:, :16] - [0x20, 0x40, 0x60, 255]).max() <= 4
    assert np.abs(result[:, 32:] - 255).max() <= 4


def test_jpeg_over_jpeg() -> None:
    below, above = jpeg(plain("#204060")), jpeg(plain("#e0c020"))
    merged = TilePixels().merged(below, above, box(24, 0, SIDE, SIDE), "JPEG", 95)
    assert merged.startswith(b"\xff\xd8")
    result = seen(merged).astype(int)
    assert np.abs(result[:, :16] - [0x20, 0x40, 0x60, 255]).max() <= 4
    assert np.abs(result[:, 32:] - [0xE0, 0xC0, 0x20, 255]).max() <= 4


@pytest.mark.parametrize(
    ("below", "above", "kind"),
    [
        (jpeg, jpeg, b"\xff\xd8"),
        (encoded, jpeg, b"\xff\xd8"),
        (lambda pixels: encoded(pixels * np.uint8([1, 1, 1, 0])), jpeg, b"\x89PNG"),
    ],
    ids=["JPEG on JPEG", "JPEG on opaque PNG", "JPEG on what shines through"],
)
def test_mixed_is_jpeg_where_nothing_shines_through(below: Any, above: Any, kind: bytes) -> None:
    pictures = below(plain("#204060")), above(plain("#e0c020"))
    merged = TilePixels().merged(*pictures, box(0, 0, 24, SIDE), "MIXED", 80)
    assert merged.startswith(kind)


@pytest.mark.parametrize(
    ("picture", "is_opaque"),
    [
        (encoded(noise(1, SIDE)), True),
        (encoded(noise(1, SIDE, 254)), False),
        (encoded(noise(1, SIDE, 0)), False),
    ],
)
def test_opaque(picture: bytes, is_opaque: bool) -> None:
    assert TilePixels().is_opaque(picture) is is_opaque


def test_jpeg_is_opaque() -> None:
    assert TilePixels().is_opaque(jpeg(plain("#204060")))


@pytest.mark.parametrize("picture", [b"", b"nothing", encoded(noise(1, SIDE))[:200]])
def test_no_picture(picture: bytes) -> None:
    pixels, good, half = TilePixels(), encoded(noise(1, SIDE)), box(0, 0, 24, 48)
    with pytest.raises(SourceError):
        pixels.clipped(picture, half, "PNG", 0)
    with pytest.raises(SourceError):
        pixels.merged(picture, good, half, "PNG", 0)
    with pytest.raises(SourceError):
        pixels.merged(good, picture, half, "PNG", 0)


def test_a_format_that_cannot_be_encoded() -> None:
    with pytest.raises(SourceError, match="LERC"):
        TilePixels().clipped(encoded(noise(1, SIDE)), box(0, 0, 24, 48), "LERC", 0)


def test_pictures_of_two_sizes() -> None:
    with pytest.raises(SourceError):
        TilePixels().merged(encoded(noise(1, 32)), encoded(noise(1, 48)), None, "PNG", 0)


@pytest.mark.parametrize(
    ("overwrite", "is_clipped"),
    [(Overwrite.MERGE, False), (Overwrite.OVERWRITE, False), (Overwrite.OVERWRITE, True)],
)
def test_every_pixel_of_an_export(tmp_path: Path, overwrite: Overwrite, is_clipped: bool) -> None:
    """From one cache on disk to another: the area's edge, looked at pixel by pixel."""
    scheme = small_scheme(finest=2)
    level, side = scheme.level(2), scheme.tile_width
    area = Point(2e6, -1e6).buffer(1.31e7, 9).difference(Point(4e6, 1e6).buffer(3.3e6, 5))
    keys = all_tiles([2])
    old = {key: noise(n) for n, key in enumerate(keys) if n % 3}
    new = {key: noise(100 + n, alpha=None) for n, key in enumerate(keys)}
    for name, pictures in (("from", new), ("to", old)):
        encoded_ones = {key: encoded(each) for key, each in pictures.items()}
        make_cache(tmp_path / name, profile_of(scheme), encoded_ones)
    request = request_of(
        scheme, tmp_path / "to", area, levels=(2,), overwrite=overwrite, is_clipped=is_clipped
    )

    export_local(tmp_path / "from", request, Feedback(), pixels=TilePixels())

    stored, partly = tiles_in(tmp_path / "to"), 0
    for key in keys:
        bounds = scheme.tile_bounds(level, *key[1:])
        step = level.resolution
        at = [
            (bounds.xmin + (i + 0.5) * step, bounds.ymax - (j + 0.5) * step)
            for j in range(side)
            for i in range(side)
        ]
        mask = np.array([area.contains(Point(*each)) for each in at]).reshape(side, side)
        is_touched = area.intersects(box(*bounds.bounds))
        partly += int(is_touched and not mask.all())
        expected = new[key].copy() if is_touched else old.get(key)
        if is_touched and overwrite is Overwrite.MERGE and key in old:
            expected = old[key].copy()
            for row, col in np.argwhere(mask).tolist():
                expected[row, col] = over(old[key][row, col], new[key][row, col])
        elif is_touched and is_clipped:
            expected[~mask] = 0
        if expected is None:
            assert key not in stored
        else:
            np.testing.assert_array_equal(as_told(seen(stored[key])), as_told(expected))
    assert partly > 4


def test_several_threads_at_once() -> None:
    pixels = TilePixels()
    part = PARTS["a ring"]
    pictures = [encoded(noise(seed, SIDE, None)) for seed in range(24)]
    alone = [pixels.merged(pictures[0], each, part, "PNG", 0) for each in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(
            pool.map(lambda each: pixels.merged(pictures[0], each, part, "PNG", 0), pictures)
        )
    assert together == alone
