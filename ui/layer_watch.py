"""Following layers: their features, and which of them are selected."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.core import QgsMapLayer
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

# What changes which surface a layer covers; the names a layer does not have are left out.
SURFACE_SIGNALS = (
    "layerModified",
    "afterCommitChanges",
    "afterRollBack",
    "dataChanged",
    "dataSourceChanged",
    "subsetStringChanged",
    "crsChanged",
)
SELECTION_SIGNAL = "selectionChanged"


class LayerWatch(QObject):
    """Emits `changed` when the watched layers cover something else than before.

    Once for a burst of changes, as one edit of many features is: when the event loop is reached.
    """

    changed = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._layers: list[QgsMapLayer] = []
        self._names: tuple[str, ...] = ()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.changed)

    def watch(self, layers: Iterable[QgsMapLayer], *, selection: bool = False) -> None:
        """Follow `layers` from now on, and no others; their selections too where that is asked."""
        for layer in self._layers:
            if not sip.isdeleted(layer):
                for name in self._names_of(layer):
                    getattr(layer, name).disconnect(self._tell_soon)
        self._timer.stop()
        self._layers = list(layers)
        self._names = (*SURFACE_SIGNALS, SELECTION_SIGNAL) if selection else SURFACE_SIGNALS
        for layer in self._layers:
            for name in self._names_of(layer):
                getattr(layer, name).connect(self._tell_soon)

    def tell_pending(self) -> None:
        """Emit `changed` now, where it is due."""
        if self._timer.isActive():
            self._timer.stop()
            self.changed.emit()

    def _tell_soon(self) -> None:
        self._timer.start()

    def _names_of(self, layer: QgsMapLayer) -> list[str]:
        return [name for name in self._names if hasattr(layer, name)]
