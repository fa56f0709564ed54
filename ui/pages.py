"""Tabs that can be made as small as what is on them."""

from __future__ import annotations

from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtWidgets import QStackedWidget, QTabWidget, QWidget


class Pages(QTabWidget):
    """Tabs whose least height is what their pages need for texts that wrap; each has a layout.

    Qt's own, where a text wraps, cannot be made lower than its pages would like to be.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._stack = self.findChild(QStackedWidget)

    def inner_width(self, width: int) -> int:
        """How wide what is in the layout of a page is, where the tabs are so wide."""
        margins = self.widget(0).layout().contentsMargins()
        return width - self._around().width() - margins.left() - margins.right()

    # QWidget interface

    def heightForWidth(self, width: int) -> int:
        around = self._around()
        wanted = [
            self.widget(index).layout().minimumHeightForWidth(width - around.width())
            for index in range(self.count())
        ]
        return max([self.minimumSizeHint().height(), *(each + around.height() for each in wanted)])

    def _around(self) -> QSize:
        """What the tabs and the frame take."""
        return self.minimumSizeHint() - self._stack.minimumSizeHint()
