"""Somebody who uses the dialog, in tests."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QMessageBox, QToolButton, QWidget


def _place_to_press(widget: QWidget) -> QPoint:
    """Its middle; of a button with an arrow for a menu beside it, clear of the arrow.

    The middle of one that is just shown and not laid out yet may be the arrow, and a menu that
    opens waits for somebody to choose.
    """
    QApplication.sendPostedEvents()
    has_arrow = isinstance(widget, QToolButton) and (
        widget.popupMode() == QToolButton.ToolButtonPopupMode.MenuButtonPopup
    )
    middle = widget.rect().center()
    return QPoint(min(middle.x(), 6), middle.y()) if has_arrow else middle


class Person:
    """Finds widgets by their names, as the demo does, and uses them with mouse and keys."""

    def __init__(self, dialog: Any, wait_until: Any) -> None:
        self.dialog = dialog
        self.wait_until = wait_until

    def find(self, name: str) -> Any:
        widget = self.dialog.findChild(QWidget, name)
        assert widget is not None, name
        return widget

    def click(self, name: str) -> None:
        widget = self.find(name)
        assert widget.isEnabled(), f"{name} is disabled: {widget.toolTip()}"
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=_place_to_press(widget))

    def choose(self, name: str, text: str) -> None:
        combo = self.find(name)
        assert combo.findText(text) >= 0, f"{text} is not in {name}"
        combo.setCurrentText(text)

    def load(self, address: str) -> None:
        self.find("address_combo").setEditText(address)
        self.click("load_button")
        self.wait_until(lambda: self.shows("summary_label") != "Loading…", what="the answer")
        self.wait_for_count()

    def wait_for_count(self) -> None:
        self.wait_until(lambda: "Counting" not in self.shows("tile_count_label"), what="the count")

    def shows(self, name: str) -> str:
        return self.find(name).text()

    def error(self) -> str:
        """The line in the dialog's message bar, "" for none."""
        item = self.find("message_bar").currentItem()
        return item.text() if item is not None else ""

    def wait_for_error(self) -> str:
        self.wait_until(self.error, what="an error in the message bar")
        return self.error()

    def ticked(self) -> list[int]:
        """Ids of the ticked levels, as the list shows them."""
        model = self.find("scales_view").model()
        return [
            int(model.index(row, 1).data())
            for row in range(model.rowCount())
            if Qt.CheckState(model.index(row, 0).data(Qt.ItemDataRole.CheckStateRole))
            == Qt.CheckState.Checked
        ]

    def question(self) -> Any:
        """The question box that is open, on the dialog or on QGIS's window; None for none."""
        return self.dialog.parentWidget().findChild(QMessageBox, "run_question")

    def answer(self, button_name: str) -> None:
        """Press "Yes" or "No"."""
        self.wait_until(self.question, what="the question")
        button = getattr(QMessageBox.StandardButton, button_name)
        QTest.mouseClick(self.question().button(button), Qt.MouseButton.LeftButton)
        self.wait_until(lambda: self.question() is None, what="the question to close")

    def start_and_hold(self, cache: Any) -> None:
        """Run, and keep the update at 40 %."""
        cache.go_on.clear()
        self.click("run_button")
        self.wait_until(lambda: self.find("progress_bar").value() == 40, what="40 %")
        self.wait_until(lambda: "Job started" in self.messages(), what="the message")

    def messages(self) -> str:
        """The lines that the update told."""
        return self.find("messages_view").toPlainText()

    def wait_for_end(self) -> None:
        def has_ended() -> bool:
            state = self.shows("progress_label")
            return not state.startswith(("Working", "Waiting", "Running", "Cancelling"))

        self.wait_until(has_ended, 60, "the end")
