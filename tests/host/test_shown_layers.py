"""Layers that draw a cache show its new tiles once it was updated, in the real QGIS."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from arcgis_server import bundles
from arcgis_server.cache_files import make_cache_folder
from arcgis_server.profiles import WORLD, Service
from arcgis_server.schemes import WEB_MERCATOR, web_mercator
from local_caches import picture
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor

from tile_cache_manager.plugin.core import schemes
from tile_cache_manager.plugin.core.storage.creation import create_cache
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings
from tile_cache_manager.plugin.host import shown_layers

pytestmark = pytest.mark.usefixtures("qgis_app")

RED, BLUE = "#ff0000", "#0000ff"


def drawn(layer: QgsRasterLayer) -> str:
    """The colour of the middle of the world, as the canvas draws the layer."""
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    settings.setOutputSize(QSize(64, 64))
    settings.setExtent(QgsRectangle(-1.8e7, -1.8e7, 1.8e7, 1.8e7))
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    return QColor(job.renderedImage().pixel(20, 20)).name()


def fill_folder(folder: Path, colour: str) -> None:
    for level in (0, 1):
        for row in range(2**level):
            for col in range(2**level):
                bundles.write_tile(folder, level, row, col, picture(colour))


def fill_mbtiles(path: Path, colour: str) -> None:
    facts = {"name": "x", "format": "png", "minzoom": "0", "maxzoom": "1", "version": "1"}
    facts["bounds"] = "-180,-85,180,85"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS metadata (name TEXT, value TEXT)")
        database.execute(
            "CREATE TABLE IF NOT EXISTS tiles"
            " (zoom_level INT, tile_column INT, tile_row INT, tile_data BLOB)"
        )
        database.execute("DELETE FROM metadata")
        database.execute("DELETE FROM tiles")
        database.executemany("INSERT INTO metadata VALUES (?, ?)", facts.items())
        database.executemany(
            "INSERT INTO tiles VALUES (?, ?, ?, ?)",
            [
                (level, col, row, picture(colour))
                for level in (0, 1)
                for row in range(2**level)
                for col in range(2**level)
            ],
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "Über all caches" / "World"
    make_cache_folder(path, Service("World", "MapServer", WEB_MERCATOR, WORLD), web_mercator(2))
    return path


@pytest.fixture
def project(qgis_app: Any) -> Iterator[QgsProject]:
    project = QgsProject()
    yield project
    project.clear()  # no layer outlives QGIS


def test_new_tiles_of_a_folder_are_drawn_after_reloading(folder: Path, project: Any) -> None:
    fill_folder(folder, RED)
    layer = shown_layers.layer_of_cache(folder)
    project.addMapLayer(layer)
    assert layer.name() == "World"
    assert drawn(layer) == RED

    fill_folder(folder, BLUE)
    assert drawn(layer) == RED, "GDAL reads anew by itself: reloading is not needed any more"

    repaints = []
    layer.repaintRequested.connect(lambda *_: repaints.append(True))
    assert shown_layers.reload_layers_of(project, folder) == 1
    assert drawn(layer) == BLUE
    assert repaints


def test_a_bundle_that_was_missing_is_drawn_after_reloading(folder: Path, project: Any) -> None:
    layer = shown_layers.layer_of_cache(folder / "conf.xml")
    project.addMapLayer(layer)
    assert layer.name() == "World"
    assert drawn(layer) != BLUE

    fill_folder(folder, BLUE)
    shown_layers.reload_layers_of(project, folder)

    assert drawn(layer) == BLUE


MBTILES = [
    ("as made here", lambda path: shown_layers.layer_of_cache(path)),
    ("as QGIS adds it",
     lambda path: QgsRasterLayer(f"type=mbtiles&url={path.as_uri()}", "x", "wms")),
    ("the same, written otherwise",
     lambda path: QgsRasterLayer(f"url=file://{path}&type=mbtiles", "x", "wms")),
]  # fmt: skip


def fill_geopackage(path: Path, colour: str) -> None:
    scheme = schemes.web_mercator(finest=1)
    if not path.exists():
        made = CacheProfile(scheme, StorageFormat.GEOPACKAGE, "PNG32", cached_ids=(0, 1))
        create_cache(path, made, CacheSettings())
    with open_store(path, for_writing=True) as store:
        for level in (0, 1):
            store.write(
                level,
                {(row, col): picture(colour) for row in range(2**level) for col in range(2**level)},
            )
        store.commit()


GEOPACKAGES = [
    ("as made here", lambda path: shown_layers.layer_of_cache(path)),
    ("as QGIS adds its table", lambda path: QgsRasterLayer(f"GPKG:{path}:tiles", "x", "gdal")),
]


@pytest.mark.parametrize("make", [e[1] for e in GEOPACKAGES], ids=[e[0] for e in GEOPACKAGES])
def test_new_tiles_of_geopackages_are_drawn_after_reloading(
    make: Callable[[Path], QgsRasterLayer], tmp_path: Path, project: Any
) -> None:
    path = tmp_path / "the wörld.gpkg"
    fill_geopackage(path, RED)
    layer = make(path)
    assert layer.isValid()
    project.addMapLayer(layer)
    assert drawn(layer) == RED

    fill_geopackage(path, BLUE)
    assert shown_layers.reload_layers_of(project, path) == 1

    assert drawn(layer) == BLUE
    left = {each.name for each in tmp_path.glob("the*")}
    if make is not GEOPACKAGES[0][1]:
        left.discard(f"{path.name}.aux.xml")  # QGIS 3.40 keeps statistics of the layers it makes
    assert left == {path.name}


@pytest.mark.parametrize("make", [case[1] for case in MBTILES], ids=[case[0] for case in MBTILES])
def test_new_tiles_of_mbtiles_are_drawn_after_reloading(
    make: Callable[[Path], QgsRasterLayer], tmp_path: Path, project: Any
) -> None:
    path = tmp_path / "the wörld.mbtiles"
    for colour in (RED, BLUE, RED):
        fill_mbtiles(path, colour)
        if not project.mapLayers():
            layer = make(path)
            assert layer.isValid()
            layer.setOpacity(0.5)
            project.addMapLayer(layer)
        else:
            assert shown_layers.reload_layers_of(project, path) == 1
        assert layer.isValid()
        assert layer.opacity() == 0.5
        shown = QColor(drawn(layer))
        assert (shown.red() > shown.blue()) == (colour == RED)
    assert layer.source().count("#") <= 1


def test_other_layers_are_left_alone(folder: Path, tmp_path: Path, project: Any) -> None:
    fill_folder(folder, RED)
    beside = tmp_path / "World 2.mbtiles"
    fill_mbtiles(beside, RED)
    inside = folder / "inside.mbtiles"
    fill_mbtiles(inside, RED)
    other = shown_layers.layer_of_cache(beside)
    online = QgsRasterLayer("type=xyz&url=https://site.test/{z}/{x}/{y}.png", "x", "wms")
    shapes = QgsVectorLayer("Polygon?crs=EPSG:4326", "x", "memory")
    project.addMapLayers([other, online, shapes, shown_layers.layer_of_cache(inside)])
    assert shown_layers.reload_layers_of(project, folder) == 0


def test_a_layer_through_a_link_is_found(folder: Path, tmp_path: Path, project: Any) -> None:
    fill_folder(folder, RED)
    link = tmp_path / "link"
    try:
        link.symlink_to(folder, target_is_directory=True)
    except OSError:
        pytest.skip("this system makes no links")
    project.addMapLayer(shown_layers.layer_of_cache(link))
    assert shown_layers.reload_layers_of(project, folder) == 1


def test_what_qgis_cannot_draw_gives_no_layer(tmp_path: Path) -> None:
    (tmp_path / "Conf.xml").write_text("<CacheInfo/>")
    package = tmp_path / "x.tpkx"
    package.write_bytes(b"PK\x05\x06" + bytes(18))
    for path in (tmp_path, package, tmp_path / "gone", tmp_path / "gone.mbtiles"):
        assert shown_layers.layer_of_cache(path) is None


def test_packages_are_drawn_from_gdal_3_8_on(tmp_path: Path) -> None:
    shared = Path(__file__).resolve().parents[3] / "shared" / "cache-samples"
    found = sorted(shared.rglob("Usa_lod5.tpkx"))
    if not found:
        pytest.skip("the sample caches are not on this computer")
    layer = shown_layers.layer_of_cache(found[0])
    assert (layer is not None) == (int(gdal.VersionInfo()) >= 3080000)


def test_tiles_that_would_end_this_qgis_are_not_put_on_the_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = CacheProfile(schemes.web_mercator(512, finest=2), StorageFormat.COMPACT_V2, "PNG32")
    create_cache(tmp_path / "Large", profile, CacheSettings())
    monkeypatch.setattr(gdal, "VersionInfo", lambda: "3060200")
    for path in (tmp_path / "Large", tmp_path / "Large" / "conf.xml"):
        assert "512 pixels" in shown_layers.not_shown_reason(path)
        assert shown_layers.layer_of_cache(path) is None
    monkeypatch.setattr(gdal, "VersionInfo", lambda: "3090100")
    assert shown_layers.not_shown_reason(tmp_path / "Large") == ""


def test_layers_are_drawn_anew_when_another_thread_asks(
    folder: Path, project: Any, wait_until: Any
) -> None:
    project.addMapLayer(shown_layers.layer_of_cache(folder))
    repaints = []
    layer = next(iter(project.mapLayers().values()))
    main = threading.get_ident()
    layer.repaintRequested.connect(lambda *_: repaints.append(threading.get_ident()))
    reloading = shown_layers.Reloading()
    thread = threading.Thread(target=reloading.ask, args=(project, folder))
    thread.start()
    thread.join()
    wait_until(lambda: repaints, what="the repaint")
    assert set(repaints) == {main}
