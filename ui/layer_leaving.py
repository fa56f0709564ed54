"""Lists of layers, whose chosen layer may leave the project."""

from __future__ import annotations

from collections.abc import Callable

from qgis.core import QgsProject
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import QObject


class LayerLeaving(QObject):
    """Lets a list of layers have none chosen once its layer leaves the project.

    QGIS itself would choose the next one in the list, which nobody has meant.

    Made before the list is, which `layer_list` gives: who is connected first hears first.
    """

    def __init__(
        self, project: QgsProject, layer_list: Callable[[], QgsMapLayerComboBox], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._leaving = project.layersWillBeRemoved["QStringList"]
        self._layer_list = layer_list
        self._leaving.connect(self._layers_leave)

    def unload(self) -> None:
        """Let go of the project."""
        self._leaving.disconnect(self._layers_leave)

    def _layers_leave(self, layer_ids: list[str]) -> None:
        combo = self._layer_list()
        layer = combo.currentLayer()
        if layer is not None and layer.id() in layer_ids:
            combo.setAllowEmptyLayer(True)
            combo.setLayer(None)


def has_layers(combo: QgsMapLayerComboBox) -> bool:
    """Whether there is any layer to be chosen."""
    return any(combo.layer(row) is not None for row in range(combo.count()))
