"""Caches drawn from a raster file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn_tiles import drawn, mosaic, pixels, profile_of, project_of, supertile
from osgeo import gdal, osr

from tile_cache_manager.plugin.core.errors import NothingToDraw, NothingToDrawReason
from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings
from tile_cache_manager.plugin.host.sources import make_source

pytestmark = pytest.mark.usefixtures("qgis_app")

gdal.UseExceptions()
osr.UseExceptions()

SCHEME = web_mercator(finest=6)
HALF = 20037508.342789244


def raster(path: Path, values: np.ndarray, crs: str | None = "EPSG:3857") -> Path:
    """A GeoTIFF of the world with these `values` (rows x columns x R, G, B)."""
    rows, cols, bands = values.shape
    data = gdal.GetDriverByName("GTiff").Create(str(path), cols, rows, bands)
    data.SetGeoTransform((-HALF, 2 * HALF / cols, 0, HALF, 0, -2 * HALF / rows))
    if crs:
        reference = osr.SpatialReference()
        reference.SetFromUserInput(crs)
        data.SetProjection(reference.ExportToWkt())
    for band in range(bands):
        data.GetRasterBand(band + 1).WriteArray(values[..., band])
    return path


def noise(side: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (side, side, 3), dtype=np.uint8)


def tiles_of(path: Path, level_id: int, image_format: str = "PNG32"):
    last = 2**level_id - 1
    with project_of() as project:
        source = make_source(str(path), project, CacheSettings())
        part = supertile(SCHEME.levels[level_id], (0, last), (0, last))
        return drawn(source, profile_of(image_format, SCHEME), part)


@pytest.mark.parametrize("level_id", [0, 1, 2])
def test_pixels_that_fit_the_grid_are_drawn_as_they_are(level_id: int, tmp_path: Path) -> None:
    values = noise(256 * 2**level_id)
    path = raster(tmp_path / "ein Bild ü.tif", values)

    whole = mosaic(tiles_of(path, level_id))

    assert (whole[..., :3] == values).all()
    assert (whole[..., 3] == 255).all()


def test_seams_between_supertiles_are_not_seen(tmp_path: Path) -> None:
    values = noise(4096)
    path = raster(tmp_path / "x.tif", values)
    with project_of() as project:
        source = make_source(str(path), project, CacheSettings())
        level = SCHEME.levels[4]
        parts = [supertile(level, (0, 7), (0, 7)), supertile(level, (0, 7), (8, 15))]
        tiles = drawn(source, profile_of("PNG32", SCHEME), *parts)

    assert (mosaic(tiles)[:, 1900:2200, :3] == values[:2048, 1900:2200]).all()


def test_a_style_beside_the_file_is_used(tmp_path: Path) -> None:
    from qgis.core import QgsRasterLayer

    values = np.full((256, 256, 3), (10, 20, 30), np.uint8)
    path = raster(tmp_path / "x.tif", values)
    layer = QgsRasterLayer(str(path), "x")
    layer.renderer().setRedBand(3)
    layer.renderer().setBlueBand(1)
    layer.saveNamedStyle(str(path.with_suffix(".qml")))

    (content,) = tiles_of(path, 0).values()
    assert tuple(pixels(content)[100, 100]) == (30, 20, 10, 255)


BAD = [
    ("none.tif", None, NothingToDrawReason.NO_FILE),
    ("text.tif", "text", NothingToDrawReason.UNUSABLE),
    ("x.tif", "raster", NothingToDrawReason.NO_CRS),
]


@pytest.mark.parametrize(("name", "content", "reason"), BAD)
def test_what_cannot_be_drawn_is_refused(
    name: str, content: str | None, reason: NothingToDrawReason, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content == "raster":
        raster(path, noise(16), None)
    elif content:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(NothingToDraw) as caught:
        tiles_of(path, 0)
    assert (caught.value.name, caught.value.reason) == (str(path), reason)
