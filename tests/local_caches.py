"""Caches on this computer and a project to draw them from, for tests."""

from __future__ import annotations

import hashlib
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from arcgis_server import bundles
from qgis.core import (
    QgsApplication,
    QgsFillSymbol,
    QgsProject,
    QgsSingleSymbolRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QBuffer, QByteArray, QIODevice
from qgis.PyQt.QtGui import QColor, QImage

from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage.creation import create_cache
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings

RED, BLUE = "#c81e1e", "#1e1ec8"

Tiles = dict[int, dict[tuple[int, int], str]]


def new_cache(
    path: Path, finest: int = 3, storage: StorageFormat | None = None, source: str = ""
) -> Path:
    """An empty cache of Web Mercator's levels up to `finest`."""
    endings = {".tpkx": StorageFormat.TPKX, ".mbtiles": StorageFormat.MBTILES}
    storage = storage or endings.get(path.suffix, StorageFormat.COMPACT_V2)
    profile = CacheProfile(web_mercator(finest=finest), storage, "PNG32")
    create_cache(path, profile, CacheSettings(source))
    return path


def countries() -> QgsVectorLayer:
    """The countries of QGIS's own world map."""
    path = Path(QgsApplication.pkgDataPath()) / "resources" / "data" / "world_map.gpkg"
    layer = QgsVectorLayer(f"{path}|layername=countries", "Countries", "ogr")
    assert layer.isValid()
    return layer


def fill(layer: QgsVectorLayer, colour: str) -> None:
    """Draw the polygons of `layer` in one colour."""
    symbol = QgsFillSymbol.createSimple({"color": colour, "outline_style": "no"})
    layer.setRenderer(QgsSingleSymbolRenderer(symbol))


def in_project(*layers: QgsVectorLayer, project: QgsProject | None = None) -> None:
    """Make `layers` the visible ones of the project."""
    project = project or QgsProject.instance()
    for layer in layers:
        project.addMapLayer(layer)


def picture(colour: str, side: int = 256) -> bytes:
    """A PNG in one colour."""
    image = QImage(side, side, QImage.Format.Format_ARGB32)
    image.fill(QColor(colour))
    content = QByteArray()
    buffer = QBuffer(content)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    return bytes(content)


def tiles_of(path: Path) -> Tiles:
    """Every tile of a cache, as a digest of its bytes: read apart from the plugin."""
    if path.suffix == ".mbtiles":
        return _tiles_of_mbtiles(path)
    if path.suffix == ".tpkx":
        return _tiles_of_package(path)
    exploded = sorted(path.glob("_alllayers/L*/R*/C*"))
    if exploded:
        return _tiles_of_files(exploded)
    found: Any = bundles.read_cache(path)
    return {
        level: {place: tile.sha1 for place, tile in tiles.items()} for level, tiles in found.items()
    }


def _tiles_of_mbtiles(path: Path) -> Tiles:
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute(
            "SELECT zoom_level, tile_row, tile_column, tile_data FROM tiles"
        ).fetchall()
    levels: Tiles = {}
    for level, row, col, content in rows:
        levels.setdefault(level, {})[2**level - 1 - row, col] = _digest(content)
    return levels


def _tiles_of_package(path: Path) -> Tiles:
    """A TPKX holds its bundles below `tile`, as a folder does below `_alllayers`."""
    with TemporaryDirectory() as folder, zipfile.ZipFile(path) as package:
        package.extractall(folder)
        (Path(folder) / "tile").rename(Path(folder) / "_alllayers")
        return tiles_of(Path(folder))


def _tiles_of_files(files: list[Path]) -> Tiles:
    levels: Tiles = {}
    for file in files:
        level, row, col = file.parts[-3][1:], file.parts[-2][1:], file.stem[1:]
        place = int(row, 16), int(col, 16)
        levels.setdefault(int(level), {})[place] = _digest(file.read_bytes())
    return levels


def _digest(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def counts_of(path: Path) -> dict[int, int]:
    """Number of tiles of each level."""
    return {level: len(tiles) for level, tiles in tiles_of(path).items()}
