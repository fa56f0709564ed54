"""Making room on the screen while a person draws on the canvas."""

from __future__ import annotations

from qgis.core import Qgis
from qgis.gui import QgsMessageBar, QgsMessageBarItem
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QObject
from qgis.PyQt.QtWidgets import QDialog

from .area_panel import AreaPanel
from .notices import Notice


class DrawingRoom(QObject):
    """Hides the dialog while its area is drawn, and says in QGIS's message bar how to draw."""

    def __init__(self, dialog: QDialog, area_panel: AreaPanel, bar: QgsMessageBar) -> None:
        super().__init__(dialog)
        self.is_drawing = False
        self._dialog = dialog
        self._area_panel = area_panel
        self._bar = bar
        self._hint: QgsMessageBarItem | None = None
        area_panel.drawing_started.connect(self._make_room)
        area_panel.drawing_ended.connect(self._come_back)

    def unload(self) -> None:
        """Take the hint away; the dialog stays hidden."""
        self._area_panel.drawing_ended.disconnect(self._come_back)
        self._end()

    def _make_room(self) -> None:
        self.is_drawing = True
        self._hint = Notice(self._area_panel.drawing_hint(), Qgis.MessageLevel.Info)
        self._bar.pushItem(self._hint)
        self._dialog.hide()

    def _come_back(self) -> None:
        self._end()
        self._dialog.show()
        self._dialog.raise_()
        self._dialog.activateWindow()

    def _end(self) -> None:
        self.is_drawing = False
        hint, self._hint = self._hint, None
        # The person may have closed it.
        if hint is not None and not sip.isdeleted(hint):
            self._bar.popWidget(hint)
