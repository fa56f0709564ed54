"""The question which layers of the project a cache is drawn from."""

from __future__ import annotations

from qgis.core import QgsProject
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QDialog, QDialogButtonBox, QListWidgetItem, QWidget

from ..plugin.host import sources
from .forms import load_form

FORM = load_form(__file__)

LAYER = Qt.ItemDataRole.UserRole


class LayersDialog(QDialog, FORM):
    """The project's layers, uppermost first, to tick; `chosen` carries the source's text."""

    chosen = pyqtSignal(str)

    def __init__(self, project: QgsProject, source: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setupUi(self)
        ticked = sources.layer_ids(source)
        for layer in project.layerTreeRoot().layerOrder():
            if layer is not None and layer.isSpatial():
                item = QListWidgetItem(layer.name(), self.layers_list)
                item.setData(LAYER, layer.id())
                item.setToolTip(layer.name())
                is_ticked = layer.id() in ticked
                item.setCheckState(Qt.CheckState.Checked if is_ticked else Qt.CheckState.Unchecked)
        self.layers_list.itemChanged.connect(self._ticks_changed)
        self.button_box.accepted.connect(self.accept)
        self.button_box.rejected.connect(self.reject)
        self.accepted.connect(self._tell)
        self._ticks_changed()

    def ticked_ids(self) -> list[str]:
        """Ids of the ticked layers, uppermost first."""
        items = [self.layers_list.item(row) for row in range(self.layers_list.count())]
        return [
            item.data(LAYER)
            for item in items
            if Qt.CheckState(item.checkState()) == Qt.CheckState.Checked
        ]

    def _ticks_changed(self) -> None:
        self.button_box.button(QDialogButtonBox.StandardButton.Ok).setEnabled(
            bool(self.ticked_ids())
        )

    def _tell(self) -> None:
        self.chosen.emit(sources.layers_text(self.ticked_ids()))
