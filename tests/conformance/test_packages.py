"""Packages as others read them: what we write, and what they wrote."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_pictures import pattern, png
from readers import Tile, bundle_check, cache_sample, gdal_pixels, gdal_version, mapproxy_tiles

from tile_cache_manager.plugin.core.schemes import scheme_of_scales, web_mercator, wgs84
from tile_cache_manager.plugin.core.storage.mbtiles import MBTilesStore, create_mbtiles
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.store import TileStore
from tile_cache_manager.plugin.core.storage.tpkx import TpkxStore, create_tpkx
from tile_cache_manager.plugin.core.tiling import (
    WEB_MERCATOR_HALF,
    Extent,
    SpatialReference,
    TilingScheme,
)

WEB, DEGREES = web_mercator(), wgs84()
EUROPE = scheme_of_scales(
    [5e6, 2e6, 1e6, 2.5e5], SpatialReference(3035, 3035), -5e6, 9e6, 1.0, tile_size=512, dpi=192
)
WORLD = Extent(-WEB_MERCATOR_HALF, -WEB_MERCATOR_HALF, WEB_MERCATOR_HALF, WEB_MERCATOR_HALF)

# Of several levels and bundles, the first not the scheme's first.
TILES: list[Tile] = [
    *((2, row, col) for row in range(4) for col in range(4)),
    *((4, row, col) for row in (0, 7, 8) for col in (3, 15)),
    *((9, row, col) for row in (127, 128, 129) for col in (127, 128, 511)),
]
DELETED: list[Tile] = [(2, 3, 3), (9, 128, 127)]
REPLACED: list[Tile] = [(2, 1, 1), (9, 128, 128)]
NEVER: list[Tile] = [(3, 1, 1), (9, 300, 300)]
DEGREE_TILES: list[Tile] = [(1, 0, 3), (1, 1, 0), (3, 2, 11)]
EUROPE_TILES: list[Tile] = [(1, 3, 5), (1, 4, 5), (3, 40, 60)]


def put(store: TileStore, tiles: dict[Tile, bytes]) -> None:
    for (level, row, col), content in sorted(tiles.items()):
        store.write(level, {(row, col): content})
    store.commit()


def fill(store: TileStore, pixels: dict[Tile, Any]) -> None:
    """Make, replace and delete, so that in the end there are the tiles of `pixels`."""
    size, bands = next(iter(pixels.values())).shape[1], next(iter(pixels.values())).shape[0]
    old = {tile: png(pattern(999, size=size, bands=bands)) for tile in (*REPLACED, *DELETED)}
    put(store, old)
    put(store, {tile: png(picture) for tile, picture in pixels.items()})
    for level, row, col in DELETED:
        assert store.delete(level, [(row, col)]) == 1
    store.commit()


def shown(tiles: list[Tile], size: int = 256, bands: int = 4) -> dict[Tile, Any]:
    """What each tile shows."""
    return {tile: pattern(n, size=size, bands=bands) for n, tile in enumerate(tiles)}


@pytest.fixture(scope="module")
def pixels() -> dict[Tile, Any]:
    return {tile: each for tile, each in shown(TILES).items() if tile not in DELETED}


def assert_same(found: dict[Tile, Any], pixels: dict[Tile, Any]) -> None:
    for tile, picture in found.items():
        np.testing.assert_array_equal(picture, pixels.get(tile, np.zeros_like(picture)), str(tile))


# TPKX


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, pixels: dict[Tile, Any]) -> Path:
    path = tmp_path_factory.mktemp("packages") / "Große Karte.tpkx"
    profile = CacheProfile(WEB, StorageFormat.TPKX, "PNG32", 0, tuple(range(2, 10)), WORLD)
    create_tpkx(path, profile)
    with TpkxStore(path, for_writing=True) as store:
        fill(store, pixels)
    return path


def test_gdal_reads_the_same_pixels_from_a_package(package: Path, pixels: dict[Tile, Any]) -> None:
    assert gdal_version() >= (3, 8)

    assert_same(gdal_pixels(package, WEB, [*TILES, *NEVER]), pixels)


def test_the_checker_finds_nothing_against_the_paper_in_a_package(package: Path) -> None:
    said = bundle_check(package, "--spec")

    assert f"total: {len(TILES) - len(DELETED)} tiles" in said
    assert "0 unused bytes" in said
    assert "0 errors, 0 warnings" in said


def test_mapproxy_reads_the_same_bytes_from_an_unpacked_package(
    package: Path, pixels: dict[Tile, Any], tmp_path: Path
) -> None:
    with zipfile.ZipFile(package) as opened:
        opened.extractall(tmp_path)

    found = mapproxy_tiles(tmp_path / "tile", [*TILES, *NEVER])

    assert found == {tile: png(pixels[tile]) if tile in pixels else None for tile in found}


@pytest.mark.parametrize(
    ("scheme", "tiles", "size"),
    [(DEGREES, DEGREE_TILES, 256), (EUROPE, EUROPE_TILES, 512), (web_mercator(512), TILES, 512)],
    ids=["degrees", "Europe, 512 pixels, steps unlike", "web, 512 pixels"],
)
def test_gdal_reads_packages_of_any_scheme(
    tmp_path: Path, scheme: TilingScheme, tiles: list[Tile], size: int
) -> None:
    path = tmp_path / "a.tpkx"
    ids = tuple(range(min(tiles)[0], max(tiles)[0] + 1))
    create_tpkx(path, CacheProfile(scheme, StorageFormat.TPKX, "PNG32", 0, ids))
    pixels = shown(tiles, size)
    with TpkxStore(path, for_writing=True) as store:
        put(store, {tile: png(picture) for tile, picture in pixels.items()})

    assert_same(gdal_pixels(path, scheme, tiles), pixels)
    bundle_check(path, "--spec")


def test_gdal_reads_a_package_of_others_that_we_wrote_into(tmp_path: Path) -> None:
    sample = cache_sample("gdal-autotest-esric/autotest/gdrivers/data/esric/Usa_lod5.tpkx")
    path = tmp_path / "Usa.tpkx"
    path.write_bytes(sample.read_bytes())
    with TpkxStore(path, for_writing=True) as store:
        scheme = store.profile.scheme
        block = next(iter(store.blocks(5)))
        place = np.argwhere(store.exists(5, block))
        tiles = [(5, block.min_row + int(r), block.min_col + int(c)) for r, c in place]
        before = gdal_pixels(sample, scheme, tiles)
        whole = next(t for t, p in before.items() if p.shape == (4, 256, 256))  # not cut at an edge
        new = pattern(1)
        put(store, {whole: png(new)})
    bundle_check(path)

    after = gdal_pixels(path, scheme, tiles)

    assert_same(after, {**before, whole: new})


# MBTiles


@pytest.fixture(scope="module")
def tile_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packages") / "Große Karte.mbtiles"
    profile = CacheProfile(WEB, StorageFormat.MBTILES, "PNG32", 0, tuple(range(2, 10)), WORLD)
    create_mbtiles(path, profile)
    with MBTilesStore(path, is_writable=True) as store:
        fill(store, {t: p for t, p in shown(TILES).items() if t not in DELETED})
    return path


@pytest.mark.parametrize("which", ["system", "wheel"])
def test_gdal_reads_the_same_pixels_from_mbtiles(
    tile_set: Path, pixels: dict[Tile, Any], which: str
) -> None:
    assert_same(gdal_pixels(tile_set, WEB, [*TILES, *NEVER], which=which), pixels)


@pytest.mark.parametrize("which", ["system", "wheel"])
def test_gdal_reads_mbtiles_with_few_tiles_and_no_declared_extent(
    tmp_path: Path, which: str
) -> None:
    path = tmp_path / "few.mbtiles"
    create_mbtiles(path, CacheProfile(WEB, StorageFormat.MBTILES, "PNG", 0, tuple(range(12))))
    tiles: list[Tile] = [(7, 40, 66), (8, 81, 133), (8, 80, 132)]
    pixels = shown(tiles)
    with MBTilesStore(path, is_writable=True) as store:
        put(store, {tile: png(picture) for tile, picture in pixels.items()})

    assert_same(gdal_pixels(path, WEB, tiles[1:], which=which), pixels)


@pytest.mark.qgis
@pytest.mark.parametrize("provider", ["wms", "gdal"])
def test_qgis_draws_mbtiles(
    qgis_app: Any,
    tile_set: Path,
    pixels: dict[Tile, Any],
    provider: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # where GDAL leaves statistics of what QGIS opens
    from qgis.core import QgsMapRendererParallelJob, QgsMapSettings, QgsRasterLayer, QgsRectangle
    from qgis.PyQt.QtCore import QSize
    from qgis.PyQt.QtGui import QColor

    address = f"type=mbtiles&url={tile_set.as_uri()}" if provider == "wms" else str(tile_set)
    layer = QgsRasterLayer(address, "tiles", provider)
    assert layer.isValid(), layer.error().message()
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(layer.crs())
    settings.setBackgroundColor(QColor(0, 0, 0))
    settings.setOutputSize(QSize(256, 256))
    tile = (9, 128, 128)
    bounds = WEB.tile_bounds(WEB.level(9), *tile[1:])
    settings.setExtent(QgsRectangle(*bounds.bounds))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    image = job.renderedImage()

    wanted = pixels[tile][:3].astype(float) * pixels[tile][3] / 255
    for x, y in ((16, 16), (48, 80), (240, 240)):  # the middles of single-coloured squares
        colour = QColor(image.pixel(x, y))
        found = (colour.red(), colour.green(), colour.blue())
        assert found == pytest.approx(wanted[:, y, x], abs=3), (x, y)


# What others wrote


@pytest.mark.parametrize(
    ("name", "layout", "counts"),
    [
        ("gdal-autotest-esric/autotest/gdrivers/data/esric/Usa_lod5.tpkx", "v2", {5: 99}),
        (
            "consbio-tpkutils/tests/data/states_filled.tpk",
            "v1",
            {0: 1, 1: 1, 2: 2, 3: 4, 4: 16},
        ),
        ("consbio-tpkutils/tests/data/alt_root_name.tpk", "v1", {0: 1, 1: 1}),
        ("consbio-tpkutils/tests/data/nonstandard_zoom_levels.tpk", "v1", {0: 2, 1: 4, 2: 16}),
    ],
)
def test_packages_of_others_read_as_mapproxy_reads_them(
    tmp_path: Path, name: str, layout: str, counts: dict[int, int]
) -> None:
    path = cache_sample(name)
    with open_store(path) as store:
        assert store.counts() == counts
        found: dict[Tile, bytes | None] = {}
        for level in store.level_ids():
            for block in store.blocks(level):
                # All of it: MapProxy must find no tile where we find none.
                for row in range(block.min_row, block.min_row + 32):
                    for col in range(block.min_col, block.min_col + 32):
                        found[level, row, col] = store.read(level, row, col)
    assert sum(content is not None for content in found.values()) == sum(counts.values())
    with zipfile.ZipFile(path) as opened:
        opened.extractall(tmp_path)
    folder = next(tmp_path.rglob("L0*")).parent

    assert mapproxy_tiles(folder, found, layout=layout) == found
