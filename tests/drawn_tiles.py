"""Projects to draw, and what a source makes of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsSymbol,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication, QTimer
from qgis.PyQt.QtGui import QColor, QImage

from tile_cache_manager.plugin.core.local.source import Supertile, TileSource
from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.tiling import Level, TileRange, TilingScheme
from tile_cache_manager.plugin.host.tile_encoder import pixels_of

Tiles = dict[tuple[int, int], bytes]


def world_map() -> Path:
    """QGIS's own map of the world."""
    return Path(QgsApplication.pkgDataPath()) / "resources" / "data" / "world_map.gpkg"


def world_layer(table: str = "countries") -> QgsVectorLayer:
    layer = QgsVectorLayer(f"{world_map()}|layername={table}", table, "ogr")
    assert layer.isValid()
    return layer


def layer_of(kind: str, name: str, geometries: Iterable[str], crs: str = "EPSG:3857") -> Any:
    """A memory layer with the field `name`, 1 for the first of `geometries` (WKT), and so on."""
    layer = QgsVectorLayer(f"{kind}?crs={crs}&field=name:string", name, "memory")
    features = []
    for number, wkt in enumerate(geometries, 1):
        feature = QgsFeature(layer.fields())
        feature.setAttributes([f"name {number}"])
        feature.setGeometry(QgsGeometry.fromWkt(wkt))
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    layer.updateExtents()
    return layer


def filled(layer: QgsVectorLayer, colour: str, **properties: str) -> QgsVectorLayer:
    """`layer` with a plain symbol of that colour, without an outline."""
    symbol = QgsSymbol.defaultSymbol(layer.geometryType())
    part = symbol.symbolLayer(0)
    part.setColor(QColor(colour))
    part.setStrokeColor(QColor(colour))
    layer.renderer().setSymbol(symbol)
    return layer


@contextmanager
def project_of(*layers: Any, crs: str = "EPSG:3857") -> Iterator[QgsProject]:
    """The current project with `layers`, topmost first; empty again afterwards."""
    project = QgsProject.instance()
    project.clear()
    project.setCrs(QgsCoordinateReferenceSystem(crs))
    project.addMapLayers(list(layers))
    try:
        yield project
    finally:
        project.clear()


def profile_of(
    image_format: str = "PNG32", scheme: TilingScheme | None = None, quality: int = 0
) -> CacheProfile:
    scheme = scheme or web_mercator(finest=10)
    ids = tuple(level.id for level in scheme.levels)
    return CacheProfile(scheme, StorageFormat.COMPACT_V2, image_format, quality, ids)


def supertile(level: Level, rows: tuple[int, int], cols: tuple[int, int]) -> Supertile:
    """Tiles from the first to the last of `rows` and `cols`, all wanted."""
    block = TileRange(*rows, *cols)
    return Supertile(level, block, np.ones((rows[1] - rows[0] + 1, cols[1] - cols[0] + 1), bool))


def drawn(source: TileSource, profile: CacheProfile, *parts: Supertile) -> Tiles:
    """The tiles of `parts`, one after the other, in a thread of their own while events go on."""
    tiles: Tiles = {}

    def draw() -> None:
        try:
            source.start(profile)
            for part in parts:
                tiles.update(source.draw(part, lambda: False))
        finally:
            source.close()

    in_thread(draw)
    return tiles


def in_thread(work: Any) -> None:
    """Run `work` in another thread to its end; raises what it raises."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive():
        QCoreApplication.processEvents()
        thread.join(0.002)
    if errors:
        raise errors[0]


class Beats:
    """The longest time for which the main thread's timer was not served."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.count = 0
        self._last = time.monotonic()
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(5)

    def _beat(self) -> None:
        now = time.monotonic()
        self.longest = max(self.longest, now - self._last)
        self.count += 1
        self._last = now


def pixels(content: bytes) -> np.ndarray:
    return pixels_of(QImage.fromData(content))


def mosaic(tiles: Tiles) -> np.ndarray:
    """All of `tiles` as one picture; what lies between them is transparent."""
    rows = [row for row, _ in tiles]
    cols = [col for _, col in tiles]
    side = len(pixels(next(iter(tiles.values()))))
    shape = (max(rows) - min(rows) + 1) * side, (max(cols) - min(cols) + 1) * side, 4
    whole = np.zeros(shape, np.uint8)
    for (row, col), content in tiles.items():
        top, left = (row - min(rows)) * side, (col - min(cols)) * side
        whole[top : top + side, left : left + side] = pixels(content)
    return whole
