"""The chosen area, shown on the canvas."""

from __future__ import annotations

from qgis.core import QgsCoordinateReferenceSystem, QgsGeometry
from qgis.gui import QgsMapCanvas, QgsRubberBand
from qgis.PyQt.QtCore import QObject

from ..plugin.core.description import CacheDescription
from ..plugin.core.errors import TileCacheError
from ..plugin.host import areas, tasks
from .area_map_tools import area_band, remove_band
from .latest_task import LatestTask


class AreaPreview(QObject):
    """A rubber band around the area of interest."""

    def __init__(self, canvas: QgsMapCanvas, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._band: QgsRubberBand | None = None
        self._task = LatestTask()

    def show(self, source: areas.AreaSource | None, description: CacheDescription | None) -> None:
        """Show `source`; what it stands for may depend on the cache. None: show nothing.

        A layer's features are read in the background, the band follows.
        """
        self._task.drop()
        crs = self._canvas.mapSettings().destinationCrs()
        if source is None:
            self.clear()
        elif areas.reads_features(source):
            answers = {"previewed": self._show, "failed": self._show_nothing}
            self._task.start(tasks.PreviewTask(source, description, crs), answers)
        else:
            self._show(self._worked_out(source, description, crs))

    def clear(self) -> None:
        """Show nothing."""
        self._task.drop()
        self._show(QgsGeometry())

    @staticmethod
    def _worked_out(
        source: areas.AreaSource,
        description: CacheDescription | None,
        crs: QgsCoordinateReferenceSystem,
    ) -> QgsGeometry:
        try:
            return areas.preview(source, description, crs)
        except TileCacheError:
            return QgsGeometry()  # the area panel and the number of tiles say what is wrong

    def _show_nothing(self, _error: Exception) -> None:
        self._show(QgsGeometry())

    def _show(self, geometry: QgsGeometry) -> None:
        if self._band is not None:
            remove_band(self._canvas, self._band)
            self._band = None
        if not geometry.isEmpty():
            self._band = area_band(self._canvas)
            self._band.setToGeometry(geometry, None)
