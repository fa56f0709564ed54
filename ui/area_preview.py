"""The chosen area, shown on the canvas."""

from __future__ import annotations

from qgis.core import QgsCoordinateReferenceSystem, QgsGeometry
from qgis.gui import QgsMapCanvas, QgsRubberBand
from qgis.PyQt.QtCore import QObject

from ..plugin.core.description import CacheDescription
from ..plugin.core.errors import TileCacheError
from ..plugin.host import area_sources, areas, tasks
from .area_map_tools import area_band, remove_band


class AreaPreview(QObject):
    """A rubber band around the area of interest."""

    def __init__(self, canvas: QgsMapCanvas, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._band: QgsRubberBand | None = None
        self._task: tasks.PreviewTask | None = None
        self._kept: list[tasks.Task] = []

    def show(
        self, source: area_sources.AreaSource | None, description: CacheDescription | None
    ) -> None:
        """Show `source`; what it stands for may depend on the cache. None: show nothing.

        A layer's features are read in the background, the band follows.
        """
        self._drop_task()
        crs = self._canvas.mapSettings().destinationCrs()
        if source is None:
            self.clear()
        elif isinstance(source, area_sources.LayerArea):
            self._start(tasks.PreviewTask(source, description, crs))
        else:
            self._show(self._worked_out(source, description, crs))

    def clear(self) -> None:
        """Show nothing."""
        self._drop_task()
        self._show(QgsGeometry())

    @staticmethod
    def _worked_out(
        source: area_sources.AreaSource,
        description: CacheDescription | None,
        crs: QgsCoordinateReferenceSystem,
    ) -> QgsGeometry:
        try:
            return areas.preview(source, description, crs)
        except TileCacheError:
            return QgsGeometry()  # the area panel and the number of tiles say what is wrong

    def _show(self, geometry: QgsGeometry) -> None:
        if self._band is not None:
            remove_band(self._canvas, self._band)
            self._band = None
        if not geometry.isEmpty():
            self._band = area_band(self._canvas)
            self._band.setToGeometry(geometry, None)

    def _start(self, task: tasks.PreviewTask) -> None:
        self._task = task
        task.previewed.connect(lambda geometry: self._previewed(task, geometry))
        task.failed.connect(lambda _error: self._previewed(task, QgsGeometry()))
        tasks.start(task, self._kept)

    def _previewed(self, task: tasks.PreviewTask, geometry: QgsGeometry) -> None:
        if task is self._task:
            self._task = None
            self._show(geometry)

    def _drop_task(self) -> None:
        if self._task is not None:
            task, self._task = self._task, None
            task.cancel()
