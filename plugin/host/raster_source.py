"""Caches drawn from a raster file."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtGui import QColor

from ..core.errors import NothingToDraw, NothingToDrawReason
from .project_source import MapSource
from .rendering import LayerCopies, copies_of, leave_to_main_thread, project_settings


class RasterSource(MapSource):
    """Draws the raster file at `path`, in the style that lies beside it, else in QGIS's own.

    Made on the main thread, for the transformations that `project` chose; opened off it.
    """

    def __init__(self, path: Path, project: QgsProject, background: str = "") -> None:
        colour = QColor(project.backgroundColor())
        super().__init__(path.name, project_settings(project), colour, background)
        self._path = path

    def layer_copies(self) -> list[LayerCopies]:
        """Raises NothingToDraw (NO_FILE, UNUSABLE, NO_CRS), LayerFailed."""
        if not self._path.exists():
            raise NothingToDraw(str(self._path), NothingToDrawReason.NO_FILE)
        layer = QgsRasterLayer(str(self._path), self._path.name, "gdal")
        try:
            reason = _reason_against(layer)
            if reason is None:
                return [copies_of([layer], {}) for _ in range(self.workers)]
        finally:
            leave_to_main_thread(layer)
            del layer  # no error keeps it
        raise NothingToDraw(str(self._path), reason)


def _reason_against(layer: QgsRasterLayer) -> NothingToDrawReason | None:
    if not layer.isValid():
        return NothingToDrawReason.UNUSABLE
    return None if layer.crs().isValid() else NothingToDrawReason.NO_CRS
