"""Lines in message bars: errors of the form, hints, and how an update ended."""

from __future__ import annotations

from qgis.core import Qgis, QgsApplication
from qgis.gui import QgsMessageBarItem
from qgis.PyQt.QtCore import QSize, Qt, QTimer
from qgis.PyQt.QtGui import QResizeEvent
from qgis.PyQt.QtWidgets import QLabel, QPushButton, QSizePolicy

from .addresses import is_path
from .tips import plain_tip

UNTIL_CLOSED = 0
"""Seconds that a message bar takes for "until the person closes it"."""


class WrappedLine(QLabel):
    """A text that takes as many lines as its width needs; QLabel alone would ask for a square."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.setObjectName("notice_label")
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        # The layouts around forget what they are told while they are at work.
        self._afterwards = QTimer(self)
        self._afterwards.setSingleShot(True)
        self._afterwards.timeout.connect(self.updateGeometry)
        # Expanding downwards too: else the line is no higher than the button beside the text.
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    # QWidget interface

    def hasHeightForWidth(self) -> bool:
        """No: message bars take the height for their least width, and would be far too high."""
        return False

    def sizeHint(self) -> QSize:
        # Narrow: a message bar makes its window at least as wide as what it shows wants to be.
        width = self.minimumSizeHint().width()
        if not self.isVisible():
            return QSize(width, self.fontMetrics().lineSpacing())
        return QSize(width, self.heightForWidth(self.width()))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._afterwards.start()


class Notice(QgsMessageBarItem):
    """A line for a message bar, which stays until it is closed.

    The text wraps where QGIS's own line would hide its end. It may come from a site, so it is shown
    as it is and never read as mark-up.
    """

    def __init__(self, text: str, level: Qgis.MessageLevel) -> None:
        self._label = WrappedLine(text)
        super().__init__(self._label, level, UNTIL_CLOSED)

    def text(self) -> str:
        """What the notice says."""
        return self._label.text()

    def add_address(self, address: str) -> None:
        """Add a button that copies `address`, of a service or job or a path."""
        text = self.tr("Copy Path") if is_path(address) else self.tr("Copy Address")
        button = self.add_button("copy_address_button", text)
        button.setToolTip(plain_tip(address))
        button.clicked.connect(lambda: QgsApplication.clipboard().setText(address))

    def add_button(self, name: str, text: str) -> QPushButton:
        """Add a button with this `text`, and give it."""
        button = QPushButton(text)
        button.setObjectName(name)
        self.layout().addWidget(button)
        return button
