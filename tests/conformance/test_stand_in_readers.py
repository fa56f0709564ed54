"""Others' readers at the stand-in site: QGIS's ArcGIS provider, GDAL, an independent checker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from arcgis_server.handle import RunningSite

CHECKER = Path(__file__).resolve().parents[3] / "shared" / "tools" / "bundle_check.py"
TILE = 256
QUARTER = 10018754.17  # a border of tiles of level 2, to the centimetre


@pytest.fixture
def world(fresh_site: RunningSite) -> RunningSite:
    """The classic site with levels 0 to 3 of its World service made."""
    answer = fresh_site.fill("classic", "World:MapServer", range(4))
    assert answer["created"] == 85
    return fresh_site


@pytest.fixture
def gdal(tmp_path: Path) -> Iterator[Any]:
    """GDAL's Python binding, with its web cache in a folder of the test."""
    module = pytest.importorskip("osgeo.gdal", reason="GDAL's Python binding is not installed")
    module.UseExceptions()
    module.SetConfigOption("GDAL_DEFAULT_WMS_CACHE_PATH", str(tmp_path / "wms"))
    yield module
    module.SetConfigOption("GDAL_DEFAULT_WMS_CACHE_PATH", None)
    module.DontUseExceptions()


def stored_mosaic(gdal: Any, site: RunningSite, level: int, rows: range, cols: range) -> Any:
    """Return the red, green and blue of tiles as the site serves them, put side by side."""
    address = site.service_url("classic", "World")
    lines = []
    for row in rows:
        pictures = []
        for col in cols:
            data = requests.get(f"{address}/tile/{level}/{row}/{col}", timeout=10).content
            gdal.FileFromMemBuffer("/vsimem/tile.png", data)
            pictures.append(gdal.Open("/vsimem/tile.png").ReadAsArray()[:3])
        lines.append(np.concatenate(pictures, axis=2))
    gdal.Unlink("/vsimem/tile.png")
    return np.concatenate(lines, axis=1)


def test_the_pictures_of_the_tiles_are_worth_comparing(world: RunningSite, gdal: Any) -> None:
    picture = stored_mosaic(gdal, world, 2, range(4), range(4))
    assert picture.shape == (3, 4 * TILE, 4 * TILE)
    assert len(np.unique(picture.reshape(3, -1), axis=1).T) > 100


@pytest.mark.qgis
def test_qgis_draws_the_service_as_its_tiles_are(
    qgis_app: Any, world: RunningSite, gdal: Any
) -> None:
    from qgis.core import (
        QgsMapRendererParallelJob,
        QgsMapSettings,
        QgsRasterLayer,
        QgsRectangle,
    )
    from qgis.PyQt.QtCore import QSize
    from qgis.PyQt.QtGui import QImage

    address = world.service_url("classic", "World")
    layer = QgsRasterLayer(
        f"crs='EPSG:3857' format='PNG32' layer='' url='{address}'", "World", "arcgismapserver"
    )
    assert layer.isValid(), layer.error().message()
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(layer.crs())
    settings.setExtent(QgsRectangle(-QUARTER, 0, QUARTER, QUARTER))
    settings.setOutputSize(QSize(2 * TILE, TILE))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    image = job.renderedImage().convertToFormat(QImage.Format.Format_RGBA8888)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    drawn = np.frombuffer(bytes(bits), np.uint8).reshape(TILE, 2 * TILE, 4)[:, :, :3]

    stored = stored_mosaic(gdal, world, 2, range(1, 2), range(1, 3)).transpose(1, 2, 0)
    np.testing.assert_array_equal(drawn, stored)


def test_gdal_reads_the_service_as_its_tiles_are(world: RunningSite, gdal: Any) -> None:
    dataset = gdal.Open(f"{world.service_url('classic', 'World')}?f=json&pretty=true")
    assert dataset.GetDriver().ShortName == "WMS"
    level_2 = overview_of_width(dataset, 4 * TILE)
    read = np.stack([band.ReadAsArray(TILE, TILE, 2 * TILE, TILE) for band in level_2[:3]])
    stored = stored_mosaic(gdal, world, 2, range(1, 2), range(1, 3))
    np.testing.assert_array_equal(read, stored)


def test_gdal_reads_the_cache_on_disk_as_its_tiles_are(world: RunningSite, gdal: Any) -> None:
    if gdal.GetDriverByName("ESRIC") is None:
        pytest.skip("this GDAL has no reader of Esri's compact caches")
    dataset = gdal.Open(str(world.cache_folder("classic", "World") / "conf.xml"))
    assert dataset.GetDriver().ShortName == "ESRIC"
    level_3 = overview_of_width(dataset, 8 * TILE)
    read = np.stack([band.ReadAsArray(0, 0, 8 * TILE, 8 * TILE) for band in level_3[:3]])
    np.testing.assert_array_equal(read, stored_mosaic(gdal, world, 3, range(8), range(8)))


def overview_of_width(dataset: Any, width: int) -> list[Any]:
    """Return the bands of the overview that is this wide: one level of the cache."""
    bands = [dataset.GetRasterBand(number + 1) for number in range(dataset.RasterCount)]
    widths = [bands[0].GetOverview(number).XSize for number in range(bands[0].GetOverviewCount())]
    return [band.GetOverview(widths.index(width)) for band in bands]


def check(folder: Path) -> None:
    """Let the independent checker read a cache."""
    if not CHECKER.exists():
        pytest.skip("the independent bundle checker is not beside this checkout")
    result = subprocess.run(
        [sys.executable, str(CHECKER), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


CACHES = {
    "web mercator": ("classic", "World", "MapServer", [0, 3, 5]),
    "pictures of mixed format": ("classic", "Imagery", "ImageServer", [4, 5]),
    "degrees, 512 pixels": ("gaps", "World", "MapServer", [2, 5]),
    "projected by text": ("wkt", "Europe", "MapServer", [0, 2]),
}


@pytest.mark.parametrize(("key", "name", "kind", "levels"), CACHES.values(), ids=CACHES.keys())
def test_the_checker_finds_no_error_after_making_replacing_and_deleting(
    fresh_site: RunningSite, key: str, name: str, kind: str, levels: list[int]
) -> None:
    folder = fresh_site.cache_folder(key, name)
    service = f"{name}:{kind}"
    made = fresh_site.fill(key, service, levels)
    assert made["created"] > 0
    check(folder)
    fresh_site.set_revision(key, 2)
    replaced = fresh_site.fill(key, service, levels[:1])
    assert replaced["replaced"] > 0
    check(folder)
    deleted = fresh_site.fill(key, service, levels[1:2], mode="DELETE_TILES")
    assert deleted["deleted"] > 0
    check(folder)


def test_pictures_of_mixed_format_are_jpeg_inside_and_png_at_the_edges(
    fresh_site: RunningSite, qgis_app: Any
) -> None:
    fresh_site.fill("classic", "Imagery:ImageServer", [6])
    address = f"{fresh_site.service_url('classic', 'Imagery', 'ImageServer')}/tile/6"
    tiles = fresh_site.read_cache("classic", "Imagery")[6]
    kinds = {
        tile: requests.get(f"{address}/{tile[0]}/{tile[1]}", timeout=10).headers["Content-Type"]
        for tile in tiles
    }
    rows, cols = zip(*tiles)
    edge = {t for t in tiles if t[0] in {min(rows), max(rows)} or t[1] in {min(cols), max(cols)}}
    assert {kinds[tile] for tile in edge} == {"image/png"}
    assert {kinds[tile] for tile in set(tiles) - edge} == {"image/jpeg"}
