"""An action in the context menu of layers that are drawn from a service or a cache."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qgis.core import QgsMapLayer, QgsMapLayerType, QgsProject
from qgis.PyQt.QtCore import QObject
from qgis.PyQt.QtWidgets import QAction

from ..plugin.host import connections


class LayerAction(QObject):
    """Keeps `action` in the layer tree's menu for just those layers, in the window `iface`."""

    def __init__(self, iface: Any, project: QgsProject, action: QAction) -> None:
        super().__init__(action)
        self._iface = iface
        self._project = project
        self._action = action
        iface.addCustomActionForLayerType(action, "", QgsMapLayerType.RasterLayer, False)
        self._offer(project.mapLayers().values())
        project.layersAdded.connect(self._offer)

    def unload(self) -> None:
        """Take the action out of the menu."""
        self._project.layersAdded.disconnect(self._offer)
        self._iface.removeCustomActionForLayerType(self._action)

    def layers(self) -> list[QgsMapLayer]:
        """The layers that it is used for: those selected in the tree, the current one first."""
        current = self._iface.layerTreeView().currentLayer()
        selected = self._iface.layerTreeView().selectedLayersRecursive()
        others = [layer for layer in selected if layer is not current]
        return others if current is None else [current, *others]

    def service(self) -> connections.LayerService | None:
        """What the first of those layers that has one is drawn from; None where none has."""
        found = [connections.of_layer(layer) for layer in self.layers()]
        return next((service for service in found if service is not None), None)

    def _offer(self, layers: Iterable[QgsMapLayer]) -> None:
        for layer in layers:
            if connections.of_layer(layer) is not None:
                self._iface.addCustomActionForLayer(self._action, layer)
