"""Following one layer: its selection and its features."""

from __future__ import annotations

from qgis.core import QgsMapLayer
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QObject, pyqtSignal

# What changes which surface a layer covers; the names a layer does not have are left out.
SIGNALS = (
    "selectionChanged",
    "layerModified",
    "afterRollBack",
    "dataChanged",
    "subsetStringChanged",
    "crsChanged",
)


class LayerWatch(QObject):
    """Emits `changed` when the watched layer covers something else than before."""

    changed = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._layer: QgsMapLayer | None = None

    def watch(self, layer: QgsMapLayer | None) -> None:
        """Follow `layer` from now on, and no other; None: follow nothing."""
        if layer is self._layer:
            return
        if self._layer is not None and not sip.isdeleted(self._layer):
            for name in self._signals(self._layer):
                getattr(self._layer, name).disconnect(self._tell)
        self._layer = layer
        if layer is not None:
            for name in self._signals(layer):
                getattr(layer, name).connect(self._tell)

    @staticmethod
    def _signals(layer: QgsMapLayer) -> list[str]:
        return [name for name in SIGNALS if hasattr(layer, name)]

    def _tell(self) -> None:
        self.changed.emit()
