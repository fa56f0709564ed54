"""Layers that draw a cache on this computer: made, and brought up to date. Main thread.

GDAL, which draws compact caches and packages in QGIS, keeps the index of a bundle it has read and
remembers bundles that were missing, until the file is opened anew. QGIS itself keeps the pictures
of an MBTiles file that it draws without GDAL, by their address and beyond the life of the layer.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from osgeo import gdal
from qgis.core import QgsProject, QgsProviderRegistry, QgsRasterLayer
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..core.errors import TileCacheError
from ..core.storage.opening import read_profile
from ..core.storage.profile import StorageFormat
from .gdal_reading import READS_LARGE_TILES, crash_reason, version
from .local_wording import storage_text
from .text import tr

CONF_XML = "conf.xml"
NOT_DRAWN = (StorageFormat.EXPLODED, StorageFormat.COMPACT_V1, StorageFormat.TPK)
"""What GDAL has no drivers for."""
READS_TPKX = 3080000
KEEPING = "GDAL_PAM_ENABLED"
PACKAGES = (".tpkx", ".mbtiles", ".gpkg")

_RELOADED = re.compile(r"#reloaded=\d+")
_URL_PART = re.compile(r"(?:^|&)url=[^&]*")


def layer_of_cache(path: Path) -> QgsRasterLayer | None:
    """A layer that draws the cache at `path`, not yet in any project; None where QGIS cannot.

    It can draw compact caches of version 2, MBTiles, GeoPackages, and TPKX from GDAL 3.8 on. A new
    layer shows what the cache holds now. None too where `not_shown_reason` gives a reason.
    """
    file = _file_to_open(path)
    if file is None or not_shown_reason(path):
        return None
    options = QgsRasterLayer.LayerOptions()
    options.loadDefaultStyle = False
    with _no_statistics_kept():
        layer = QgsRasterLayer(str(file), _name(path), "gdal", options)
    return layer if layer.isValid() else None


def unread_kind_reason(storage: StorageFormat) -> str:
    """Why no layer can be made of caches of this format, in one sentence; "" where one can."""
    if storage in NOT_DRAWN:
        text = tr("QGIS has no reader for this format: {format}.")
        return text.format(format=storage_text(storage.value))
    if storage is StorageFormat.TPKX and version() < READS_TPKX:
        return tr("This QGIS cannot draw tile packages, for its GDAL is older than 3.8.")
    return ""


def not_shown_reason(path: Path) -> str:
    """Why no layer is made of the cache at `path`, in one sentence; "" where QGIS may try."""
    if version() >= READS_LARGE_TILES:
        return ""
    try:
        return crash_reason(read_profile(path))
    except TileCacheError:
        # Nobody knows its tiles, and a wrong guess would end QGIS with all that is not saved.
        return tr("The cache cannot be read: check it before it is put on the map.")


@contextmanager
def _no_statistics_kept() -> Iterator[None]:
    """Keep GDAL from writing what QGIS asks of a new layer's colours into files.

    It would put `.aux.xml` beside a cache and, of an MBTiles file, another into the folder in which
    QGIS happens to run.
    """
    before = gdal.GetThreadLocalConfigOption(KEEPING)
    gdal.SetThreadLocalConfigOption(KEEPING, "NO")
    try:
        yield
    finally:
        gdal.SetThreadLocalConfigOption(KEEPING, before)


def reload_layers_of(project: QgsProject, path: Path) -> int:
    """Have all layers of `project` that draw the cache at `path` drawn anew; how many there are."""
    layers = [layer for layer in project.mapLayers().values() if draws_cache(layer, path)]
    for layer in layers:
        if layer.providerType() == "wms":
            _forget_pictures(layer)
        layer.reload()
        layer.triggerRepaint()
    return len(layers)


class Reloading(QObject):
    """Has layers that draw a cache drawn anew by the main thread.

    Made on the main thread; must be kept until that had the time to do it.
    """

    _wanted = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self._asked: list[tuple[QgsProject, Path]] = []
        self._wanted.connect(self._reload)

    def ask(self, project: QgsProject, path: Path) -> None:
        """Have it done for the cache at `path` once the main thread gets to it. Any thread."""
        self._asked.append((project, path))
        self._wanted.emit()

    def _reload(self) -> None:
        while self._asked:
            project, path = self._asked.pop()
            if not sip.isdeleted(project):
                reload_layers_of(project, path)


def _name(path: Path) -> str:
    is_conf = path.name.lower() == CONF_XML
    return path.stem if path.suffix.lower() in PACKAGES else (path.parent if is_conf else path).name


def _file_to_open(path: Path) -> Path | None:
    """What GDAL is told to open: the package, or the folder's `conf.xml`, in whatever case."""
    if path.suffix.lower() in PACKAGES or path.name.lower() == CONF_XML:
        return path
    try:
        found = sorted(each for each in path.iterdir() if each.name.lower() == CONF_XML)
    except OSError:
        return None
    return found[0] if found else None


def draws_cache(layer: object, path: Path) -> bool:
    """Whether `layer` shows the tiles of the cache at `path`."""
    if not isinstance(layer, QgsRasterLayer) or layer.providerType() not in ("gdal", "wms"):
        return False
    parts = QgsProviderRegistry.instance().decodeUri(layer.providerType(), layer.source())
    drawn = parts.get("path")
    if not isinstance(drawn, str) or not drawn:
        return False
    file, cache = _comparable(Path(drawn)), _comparable(path)
    return file == cache or (file.parent == cache and file.name.lower() == CONF_XML)


def _comparable(path: Path) -> Path:
    return Path(os.path.normcase(os.path.realpath(path)))


def _forget_pictures(layer: QgsRasterLayer) -> None:
    """Give an MBTiles file an address by which QGIS has kept no pictures yet.

    What stands behind `#` in a file's address is not part of its path.
    """
    fresh = f"#reloaded={time.time_ns()}"
    plain = _RELOADED.sub("", layer.source())
    source = _URL_PART.sub(lambda url: url.group() + fresh, plain, count=1)
    layer.setDataSource(source, layer.name(), "wms")
