"""Lines in message bars: errors of the form, hints, and how an update ended."""

from __future__ import annotations

from qgis.core import Qgis, QgsApplication
from qgis.gui import QgsMessageBarItem
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QLabel, QPushButton, QSizePolicy

UNTIL_CLOSED = 0
"""Seconds that a message bar takes for "until the person closes it"."""


class Notice(QgsMessageBarItem):
    """A line for a message bar, which stays until it is closed.

    The text wraps where QGIS's own line would hide its end. It may come from a site, so it is shown
    as it is and never read as mark-up.
    """

    def __init__(self, text: str, level: Qgis.MessageLevel) -> None:
        self._label = QLabel(text)
        self._label.setObjectName("notice_label")
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        self._label.setWordWrap(True)
        self._label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        policy = QSizePolicy.Policy
        self._label.setSizePolicy(policy.Expanding, policy.Preferred)
        super().__init__(self._label, level, UNTIL_CLOSED)

    def text(self) -> str:
        """What the notice says."""
        return self._label.text()

    def add_address(self, address: str) -> None:
        """Add a button that copies `address`."""
        button = QPushButton(self.tr("Copy Address"))
        button.setObjectName("copy_address_button")
        button.setToolTip(address)
        button.clicked.connect(lambda: QgsApplication.clipboard().setText(address))
        self.layout().addWidget(button)
