"""The Processing provider `tilecache`."""

from __future__ import annotations

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .create_cache import CreateCache
from .defragment_cache import DefragmentCache
from .export_cache import ExportCache
from .export_caches import ExportCaches
from .import_cache import ImportCache
from .manage_job import ManageJob
from .manage_tiles import ManageTiles
from .verify_cache import VerifyCache


class TileCacheProvider(QgsProcessingProvider):
    """All algorithms of Tile Cache Manager."""

    def __init__(self, icon: QIcon) -> None:
        super().__init__()
        self._icon = icon

    # QgsProcessingProvider interface

    def id(self) -> str:
        return "tilecache"

    def name(self) -> str:
        return "Tile Cache Manager"

    def icon(self) -> QIcon:
        return self._icon

    def loadAlgorithms(self) -> None:
        for algorithm in (
            *(CreateCache, ManageTiles, ManageJob, ExportCache, ExportCaches, ImportCache),
            *(VerifyCache, DefragmentCache),
        ):
            self.addAlgorithm(algorithm())
