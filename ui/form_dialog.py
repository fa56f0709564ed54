"""What the plugin's dialogs share."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtCore import QEvent, QRect, Qt, QUrl
from qgis.PyQt.QtGui import QDesktopServices, QGuiApplication, QKeyEvent
from qgis.PyQt.QtWidgets import QDialog, QDialogButtonBox, QPushButton, QStyle, QWidget

HELP_PAGES = Path(__file__).parent / "help"


class FormDialog(QDialog):
    """A dialog that is left open: Return belongs to its fields, and texts find room to wrap.

    Its form has a `button_box`. Help shows the page of the same name as the `python_file`.
    """

    def __init__(self, python_file: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._height_before: int | None = None
        self._grown_to = 0
        self._is_hiding = False
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
        is_about_size = event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Resize)
        if is_about_size and not self._is_hiding:
            self._use_room()
            wanted = self.layout().minimumHeightForWidth(self.width())
            wanted = max(wanted, self.layout().totalMinimumSize().height())
            self._be_at_least(wanted)
        return handled

    def setVisible(self, is_visible: bool) -> None:
        """Hide with the height that a person gave it, which QGIS keeps, not what it grew to."""
        if not is_visible and self.isVisible() and self._is_grown():
            self._is_hiding = True
            self.setMinimumHeight(0)
            self.resize(self.width(), self._height_before)
            self._height_before, self._is_hiding = None, False
        super().setVisible(is_visible)

    def focusNextPrevChild(self, is_next: bool) -> bool:
        """Let Tab go round: from Help to the first fields, and back; Qt stays among the buttons."""
        found = self.findChild(QPushButton, "help_button")
        fields = [each for each in self._first_fields() if each.isVisible() and each.isEnabled()]
        ring = [found, *fields] if fields else []
        at = ring.index(self.focusWidget()) if self.focusWidget() in ring else -1
        to = at + (1 if is_next else -1)
        if at < 0 or not 0 <= to < len(ring):
            return super().focusNextPrevChild(is_next)
        reasons = Qt.FocusReason
        ring[to].setFocus(reasons.TabFocusReason if is_next else reasons.BacktabFocusReason)
        return True

    def _first_fields(self) -> list[QWidget]:
        """What Tab comes to first, in this order."""
        return []

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keep Return from pressing a button: it belongs to the field it is typed in."""
        if event.key() not in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            super().keyPressEvent(event)

    def most_height(self) -> int:
        """Pixels that the screen has for the dialog, without the frame around it."""
        frame = self.frameGeometry().height() - self.height()
        usual = self.style().pixelMetric(QStyle.PixelMetric.PM_TitleBarHeight)
        return self._screen().height() - max(frame, usual)

    def most_width(self) -> int:
        """The same in width."""
        return self._screen().width() - (self.frameGeometry().width() - self.width())

    def _screen(self) -> QRect:
        """What windows may take of the screen."""
        handle = self.windowHandle()  # QWidget.screen() is not there before Qt 5.14
        screen = QGuiApplication.primaryScreen() if handle is None else handle.screen()
        return screen.availableGeometry()

    def _use_room(self) -> None:
        """Let parts that can be scrolled know how much room there is."""

    def _be_at_least(self, height: int) -> None:
        """Grow to `height` where it is lower; where that is not needed any more, shrink again."""
        if not self.isVisible():
            self.setMinimumHeight(height)
            return
        if height > self.height():
            if not self._is_grown():
                self._height_before = self.height()
            self._grown_to = height
            self.setMinimumHeight(height)
            return
        self.setMinimumHeight(height)
        if self._height_before is not None and not self._is_grown():
            self._height_before = None  # a person has changed it
        elif self._is_grown() and height < self.height():
            self._grown_to = max(height, self._height_before)
            if self._grown_to == self._height_before:
                self._height_before = None
            self.resize(self.width(), self._grown_to)

    def _is_grown(self) -> bool:
        """Whether its height is that which it needs, and not what a person gave it."""
        return self._height_before is not None and self.height() == self._grown_to

    def _open_help(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._help_page)))
