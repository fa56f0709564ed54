"""What the plugin's dialogs share."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtCore import QEvent, Qt, QUrl
from qgis.PyQt.QtGui import QDesktopServices, QKeyEvent
from qgis.PyQt.QtWidgets import QDialog, QDialogButtonBox, QPushButton, QWidget

HELP_PAGES = Path(__file__).parent / "help"


class FormDialog(QDialog):
    """A dialog that is left open: Return belongs to its fields, and texts find room to wrap.

    Its form has a `button_box`. Help shows the page of the same name as the `python_file`.
    """

    def __init__(self, python_file: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._help_page = HELP_PAGES / f"{Path(python_file).stem}.html"

    def add_action_button(self, name: str, text: str) -> QPushButton:
        """Add the button that does what the dialog is for, and give it."""
        role = QDialogButtonBox.ButtonRole.ActionRole
        action = self.button_box.addButton(text, role)
        action.setObjectName(name)
        help_button = self.button_box.button(QDialogButtonBox.StandardButton.Help)
        help_button.setObjectName("help_button")
        help_button.clicked.connect(self._open_help)
        for button in self.button_box.buttons():
            button.setAutoDefault(False)
        return action

    # QWidget interface

    def event(self, event: QEvent) -> bool:
        """Keep high enough for texts that wrap, which Qt leaves out of a window's minimum."""
        handled = super().event(event)
        if event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Resize):
            wanted = self.layout().minimumHeightForWidth(self.width())
            self.setMinimumHeight(max(wanted, self.layout().totalMinimumSize().height()))
        return handled

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keep Return from pressing a button: it belongs to the field it is typed in."""
        if event.key() not in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            super().keyPressEvent(event)

    def _open_help(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._help_page)))
