"""Caches made from other caches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_tiles import Tiles, drawn, mosaic, pixels, profile_of, project_of, supertile
from qgis.core import QgsProject
from qgis.PyQt.QtCore import QBuffer
from qgis.PyQt.QtGui import QColor, QImage, QPainter

from tile_cache_manager.plugin.core.errors import (
    LayerFailed,
    NothingToDraw,
    NothingToDrawReason,
    StorageError,
)
from tile_cache_manager.plugin.core.local.cache import LocalCache
from tile_cache_manager.plugin.core.request import Feedback, UpdateMode, UpdateRequest
from tile_cache_manager.plugin.core.schemes import (
    scheme_of_scales,
    web_mercator,
    wgs84,
    with_tile_size,
)
from tile_cache_manager.plugin.core.storage.creation import create_cache
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings
from tile_cache_manager.plugin.core.tiling import Level, SpatialReference, TilingScheme
from tile_cache_manager.plugin.host.cache_source import CacheSource, same_grid
from tile_cache_manager.plugin.host.sources import make_source
from tile_cache_manager.plugin.host.tile_encoder import pixels_of

pytestmark = pytest.mark.usefixtures("qgis_app")

MERCATOR = web_mercator(finest=6)
WORLD = "#2060a0"


def picture(text: str, kind: str = "PNG", side: int = 256, colour: str = WORLD) -> bytes:
    """A tile with a cross through its middle and a number."""
    image = QImage(side, side, QImage.Format.Format_ARGB32)
    image.fill(QColor(colour) if colour else QColor(0, 0, 0, 0))
    painter = QPainter(image)
    painter.setPen(QColor("#ffffff"))
    painter.drawLine(0, side // 2, side, side // 2)
    painter.drawLine(side // 2, 0, side // 2, side)
    painter.drawText(20, 40, text)
    painter.end()
    buffer = QBuffer()
    buffer.open(QBuffer.OpenModeFlag.WriteOnly)
    image.save(buffer, kind, 90 if kind == "JPEG" else -1)
    return bytes(buffer.data())


def cache_with(
    path: Path, tiles: dict[int, Tiles], image_format: str = "PNG", scheme: TilingScheme = MERCATOR
) -> Path:
    ids = tuple(level.id for level in scheme.levels)
    storage = StorageFormat.COMPACT_V2
    create_cache(path, CacheProfile(scheme, storage, image_format, 75, ids), CacheSettings())
    with open_store(path, for_writing=True) as store:
        for level_id, contents in tiles.items():
            store.write(level_id, contents)
        store.commit()
    return path


def converted(
    path: Path, profile: CacheProfile, level: int, rows: tuple, cols: tuple, bg=""
) -> Tiles:
    source = CacheSource(path, QgsProject.instance(), bg)
    part = supertile(profile.scheme.level(level), rows, cols)
    return drawn(source, profile, part)


# The same grid


COPIED = [
    # bytes in the cache, format of the new one
    ("PNG", "PNG"),
    ("PNG", "PNG32"),
    ("PNG", "MIXED"),
    ("JPEG", "JPEG"),
    ("JPEG", "MIXED"),
]


@pytest.mark.parametrize(("kind", "image_format"), COPIED)
def test_tiles_of_the_same_grid_are_copied_byte_for_byte(
    kind: str, image_format: str, tmp_path: Path
) -> None:
    tiles = {(2, 3): picture("2 3", kind), (5, 0): picture("5 0", kind)}
    path = cache_with(tmp_path / "eine Kachelablage ü", {3: tiles}, kind)

    assert converted(path, profile_of(image_format, MERCATOR), 3, (0, 7), (0, 7)) == tiles


ENCODED = [("JPEG", "PNG", "PNG"), ("JPEG", "PNG8", "PNG"), ("PNG", "JPEG", "JPEG")]


@pytest.mark.parametrize(("kind", "image_format", "result"), ENCODED)
def test_tiles_of_another_format_are_encoded_anew(
    kind: str, image_format: str, result: str, tmp_path: Path
) -> None:
    path = cache_with(tmp_path / "other", {3: {(2, 3): picture("2 3", kind)}}, kind)

    (content,) = converted(path, profile_of(image_format, MERCATOR), 3, (0, 7), (0, 7)).values()
    assert content.startswith({"PNG": b"\x89PNG", "JPEG": b"\xff\xd8"}[result])
    wanted = pixels(picture("2 3", kind)).astype(int)
    assert np.abs(pixels(content).astype(int) - wanted).mean() < 2


def test_a_background_goes_below_tiles_that_shine_through(tmp_path: Path) -> None:
    tiles = {(1, 1): picture("1 1", colour="")}
    path = cache_with(tmp_path / "other", {3: tiles})

    (content,) = converted(path, profile_of("PNG", MERCATOR), 3, (0, 7), (0, 7), "#ff0000").values()
    assert tuple(pixels(content)[5, 5]) == (255, 0, 0, 255)


def test_levels_are_found_by_resolution_and_not_by_id(tmp_path: Path) -> None:
    levels = tuple(replace(e, id=e.id - 2) for e in MERCATOR.levels[2:])
    other = replace(MERCATOR, levels=levels)
    tiles = {(2, 3): picture("2 3")}
    path = cache_with(tmp_path / "other", {1: tiles}, scheme=other)

    assert converted(path, profile_of("PNG", MERCATOR), 3, (0, 7), (0, 7)) == tiles


def test_origins_may_be_whole_tiles_apart(tmp_path: Path) -> None:
    level = MERCATOR.levels[3]
    tile = 256 * level.resolution
    x, y = MERCATOR.origin_x + 2 * tile, MERCATOR.origin_y - tile
    other = replace(MERCATOR, origin_x=x, origin_y=y, levels=(level,))
    content = picture("moved")
    path = cache_with(tmp_path / "other", {3: {(4, 1): content}}, scheme=other)

    assert converted(path, profile_of("PNG", MERCATOR), 3, (0, 7), (0, 7)) == {(5, 3): content}


PUBLISHED = (  # Esri's own figures, cut off after some digits
    Level(0, 156543.03392800014, 591657527.591555),
    Level(19, 0.298582141647617, 1128.497176),
)


@pytest.mark.parametrize("number", [0, 1])
def test_the_published_scheme_of_web_maps_is_the_same_grid(number: int) -> None:
    fine = web_mercator(finest=19)
    ours = replace(fine, origin_x=-20037508.342787, origin_y=20037508.342787, levels=PUBLISHED)
    level = ours.levels[number]

    same = same_grid(ours, level, fine)
    assert same is not None
    assert (same.level_id, same.rows, same.cols) == (level.id, 0, 0)


OTHER_GRIDS = [
    with_tile_size(MERCATOR, 512),
    replace(MERCATOR, origin_x=MERCATOR.origin_x + 1e6),
    replace(MERCATOR, levels=(Level(0, 1000.0, 3779527.6),)),
]


@pytest.mark.parametrize("other", OTHER_GRIDS)
def test_other_grids_are_not_taken_for_the_same(other: TilingScheme) -> None:
    assert same_grid(MERCATOR, MERCATOR.levels[5], other) is None


# Another grid


def quadrants(path: Path, scheme: TilingScheme = MERCATOR, level_id: int = 2) -> Path:
    """A cache of the whole world in four colours, one for each quarter."""
    level = scheme.level(level_id)
    tiles: Tiles = {}
    for row in range(2**level_id):
        for col in range(2**level_id):
            east, south = col >= 2 ** (level_id - 1), row >= 2 ** (level_id - 1)
            colour = [["#ff0000", "#00ff00"], ["#0000ff", "#ffff00"]][south][east]
            image = QImage(scheme.tile_width, scheme.tile_height, QImage.Format.Format_RGB32)
            image.fill(QColor(colour))
            buffer = QBuffer()
            buffer.open(QBuffer.OpenModeFlag.WriteOnly)
            image.save(buffer, "PNG")
            tiles[row, col] = bytes(buffer.data())
    return cache_with(path, {level.id: tiles}, scheme=replace(scheme, levels=(level,)))


COLOURS = {"nw": (255, 0, 0), "ne": (0, 255, 0), "sw": (0, 0, 255), "se": (255, 255, 0)}


def corners(whole: np.ndarray) -> dict[str, tuple[int, ...]]:
    height, width = whole.shape[:2]
    top, bottom, left, right = height // 4, 3 * height // 4, width // 4, 3 * width // 4
    places = {"nw": (top, left), "ne": (top, right), "sw": (bottom, left), "se": (bottom, right)}
    return {name: tuple(whole[place][:3]) for name, place in places.items()}


RESAMPLED = [
    # level of the new cache: as fine as the old one, coarser, finer
    (with_tile_size(MERCATOR, 512), 1),
    (with_tile_size(MERCATOR, 512), 0),
    (MERCATOR, 1),
    (MERCATOR, 3),
    (scheme_of_scales([2.5e8], MERCATOR.crs, MERCATOR.origin_x, MERCATOR.origin_y, 1.0), 0),
]


@pytest.mark.parametrize(("scheme", "level_id"), RESAMPLED)
def test_another_grid_is_drawn_from_the_tiles_below(
    scheme: TilingScheme, level_id: int, tmp_path: Path
) -> None:
    path = quadrants(tmp_path / "other")
    last = int(np.ceil(2 * 20037508 / scheme.tile_size(scheme.level(level_id))[0])) - 1

    tiles = converted(path, profile_of("PNG", scheme), level_id, (0, last), (0, last))

    world = round(2 * 20037508.342789 / scheme.level(level_id).resolution)
    whole = mosaic(tiles)[:world, :world]
    assert corners(whole) == COLOURS
    edge = np.flatnonzero((whole[world // 4, 1:, :3] != whole[world // 4, :-1, :3]).any(axis=1))
    assert np.abs(edge - world / 2).max() <= 2 * max(1, 2 ** (level_id - 2))


def test_another_crs_is_drawn_too(tmp_path: Path) -> None:
    path = quadrants(tmp_path / "other")
    scheme = wgs84(finest=3)

    tiles = converted(path, profile_of("PNG", scheme), 2, (0, 3), (0, 7))

    assert len(tiles) == 32
    whole = mosaic(tiles)
    assert corners(whole) == COLOURS
    rows = np.flatnonzero(whole[:, 10, 3] > 127)  # the world of Web Mercator ends at 85.06 degrees
    pixel = scheme.levels[2].resolution
    assert 90 - rows[0] * pixel == pytest.approx(85.06, abs=2 * pixel)


def test_a_national_grid_is_drawn_from_web_mercator(tmp_path: Path) -> None:
    level = MERCATOR.level(6)
    x, y = 951_000.0, 6_002_700.0  # 8.543 E, 47.39 N
    row, col = MERCATOR.tile_at(level, x, y)
    tiles = {
        (r, c): picture("", colour="#ff0000" if (r, c) == (row, col) else "#00ff00")
        for r in range(row - 1, row + 2)
        for c in range(col - 1, col + 2)
    }
    path = cache_with(tmp_path / "other", {6: tiles})
    swiss = scheme_of_scales([1e7], SpatialReference(2056, 2056), 2420000.0, 1350000.0, 1.0)

    drawn_tiles = converted(path, profile_of("PNG", swiss), 0, (0, 0), (0, 0))

    # 8.543 E, 47.39 N is E 2,684,000, N 1,250,000 there; the tile of Web Mercator reaches far
    at = int((1350000 - 1250000) / swiss.levels[0].resolution)
    across = int((2684000 - 2420000) / swiss.levels[0].resolution)
    assert tuple(pixels(drawn_tiles[0, 0])[at, across][:3]) == (255, 0, 0)


def test_gaps_stay_gaps(tmp_path: Path) -> None:
    path = cache_with(tmp_path / "other", {3: {(2, 3): picture("2 3")}})
    coarse = with_tile_size(MERCATOR, 512)

    assert list(converted(path, profile_of("PNG", MERCATOR), 3, (0, 7), (0, 7))) == [(2, 3)]
    assert list(converted(path, profile_of("PNG", coarse), 3, (0, 7), (0, 7))) == [(2, 3)]
    assert list(converted(path, profile_of("PNG", coarse), 2, (0, 3), (0, 3))) == [(1, 1)]


# Bad input


def test_a_broken_tile_fails_by_name(tmp_path: Path) -> None:
    path = cache_with(tmp_path / "other", {3: {(2, 3): b"\x89PNG no picture"}})

    with pytest.raises(LayerFailed) as caught:
        converted(path, profile_of("PNG", MERCATOR), 3, (0, 7), (0, 7))
    assert (caught.value.name, "3/2/3" in caught.value.detail) == ("other", True)


def test_a_cache_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NothingToDraw) as caught:
        converted(tmp_path / "none", profile_of("PNG", MERCATOR), 3, (0, 7), (0, 7))
    assert caught.value.reason is NothingToDrawReason.NO_FILE


def test_a_folder_that_is_no_cache(tmp_path: Path) -> None:
    with pytest.raises(NothingToDraw) as caught:
        converted(tmp_path, profile_of("PNG", MERCATOR), 3, (0, 7), (0, 7))
    assert caught.value.reason is NothingToDrawReason.UNUSABLE


def test_a_damaged_cache_says_what_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "conf.xml").write_text("<CacheInfo><broken", encoding="utf-8")
    with pytest.raises(StorageError):
        converted(tmp_path, profile_of("PNG", MERCATOR), 3, (0, 7), (0, 7))


def test_a_cache_knows_itself_by_any_of_its_paths(tmp_path: Path) -> None:
    path = cache_with(tmp_path / "one", {})
    other = cache_with(tmp_path / "two", {})
    link = tmp_path / "link"
    link.symlink_to(path)
    with project_of() as project:
        source = make_source(str(path / "conf.xml"), project, CacheSettings())

    assert isinstance(source, CacheSource)
    assert [source.is_at(each) for each in (path, link, path / "_alllayers", other)] == [
        *(True, True, True),
        False,
    ]


@pytest.mark.parametrize("what", ["update", "estimate"])
def test_a_cache_is_not_drawn_from_itself(what: str, tmp_path: Path) -> None:
    path = cache_with(tmp_path / "one", {3: {(2, 3): picture("2 3")}})
    with project_of() as project:
        cache = LocalCache(path, make_source(str(path), project, CacheSettings()))
    request = UpdateRequest(MERCATOR, MERCATOR.levels[:4], UpdateMode.RECREATE_ALL)
    with pytest.raises(NothingToDraw) as caught:
        getattr(cache, what)(request, Feedback())

    assert caught.value.reason is NothingToDrawReason.SAME_CACHE
    with open_store(path) as store:
        assert store.counts() == {3: 1}


def test_pixels_between_are_those_of_the_picture(tmp_path: Path) -> None:
    # A tile of twice the size at the same resolution is the four tiles side by side.
    tiles = {(r, c): picture(f"{r} {c}") for r in (4, 5) for c in (6, 7)}
    path = cache_with(tmp_path / "other", {4: tiles})
    large = replace(MERCATOR, tile_width=512, tile_height=512)

    (content,) = converted(path, profile_of("PNG", large), 4, (2, 2), (3, 3)).values()

    assert (pixels(content) == mosaic(tiles)).all()
    assert pixels_of(QImage.fromData(content)).shape == (512, 512, 4)
