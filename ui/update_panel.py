"""The panel in which it is chosen what happens to the tiles."""

from __future__ import annotations

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QWidget

from ..plugin.core.description import CacheDescription
from ..plugin.core.request import SITE_DECIDES, UpdateMode
from ..plugin.host import messages
from .forms import load_form

FORM = load_form(__file__)


class UpdatePanel(QWidget, FORM):
    """The update mode, the number of caching instances, and whether to follow the update."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setupUi(self)
        for mode in UpdateMode:
            self.mode_combo.addItem(messages.mode_text(mode), mode)
        self._instances = self.instances_spin.value()
        self.mode_combo.currentIndexChanged.connect(self._mode_chosen)
        self.instances_spin.valueChanged.connect(self._skip_zero)
        self._mode_chosen()

    def mode(self) -> UpdateMode:
        """The chosen update mode."""
        return self.mode_combo.currentData()

    def set_mode(self, mode: UpdateMode) -> None:
        """Choose `mode`."""
        self.mode_combo.setCurrentIndex(self.mode_combo.findData(mode))

    def instances(self) -> int:
        """Caching instances, SITE_DECIDES or at least 1."""
        return self.instances_spin.value()

    def waits(self) -> bool:
        """Whether the update is followed to its end."""
        return self.wait_check.isChecked()

    def show_description(self, description: CacheDescription | None) -> None:
        """Disable the modes that the service does not offer, each with the reason as tool tip."""
        for row in range(self.mode_combo.count()):
            mode = self.mode_combo.itemData(row)
            offered = description is None or mode in description.modes
            reason = "" if offered else messages.unavailable_reason(description, mode)
            item = self.mode_combo.model().item(row)
            item.setEnabled(offered)
            item.setToolTip(reason)
        self._leave_disabled_mode()

    def show_count(self, text: str) -> None:
        """Say how many tiles the update touches."""
        self.tile_count_label.setText(text)

    def count_text(self, tiles: int | None, scales: int) -> str:
        """A sentence for the number of tiles on so many ticked scales; None: it is not known."""
        if tiles is None:
            return self.tr("The number of tiles is not known: the service tells no extent.")
        if scales == 1:
            return self.tr("{tiles} tiles at 1 scale.").format(tiles=messages.number_text(tiles))
        text = self.tr("{tiles} tiles at {scales} scales.")
        return text.format(tiles=messages.number_text(tiles), scales=scales)

    def _leave_disabled_mode(self) -> None:
        """Choose the first mode on offer where the chosen one is not."""
        model = self.mode_combo.model()
        if model.item(self.mode_combo.currentIndex()).isEnabled():
            return
        offered = [row for row in range(model.rowCount()) if model.item(row).isEnabled()]
        # Deleting is never chosen for the person.
        harmless = [row for row in offered if self.mode_combo.itemData(row) != UpdateMode.DELETE]
        if harmless:
            self.mode_combo.setCurrentIndex(harmless[0])

    def _mode_chosen(self) -> None:
        self.mode_help_label.setText(messages.mode_help(self.mode()))
        tip = self.mode_combo.itemData(self.mode_combo.currentIndex(), Qt.ItemDataRole.ToolTipRole)
        self.mode_combo.setToolTip(tip or "")

    def _skip_zero(self, instances: int) -> None:
        """No instances would make no tiles: step from "the site decides" to 1 and back."""
        if instances == 0:
            upwards = self._instances == SITE_DECIDES
            self.instances_spin.setValue(1 if upwards else SITE_DECIDES)
        self._instances = self.instances_spin.value()
