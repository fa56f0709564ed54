"""Lines in message bars: errors of the form, hints, and how an update ended."""

from __future__ import annotations

from html import escape

from qgis.core import Qgis, QgsApplication
from qgis.gui import QgsMessageBar, QgsMessageBarItem
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtWidgets import QPushButton

UNTIL_CLOSED = 0
"""Seconds that a message bar takes for "until the person closes it"."""


def notice(text: str, level: Qgis.MessageLevel, title: str = "") -> QgsMessageBarItem:
    """A line for a message bar, which stays until it is closed.

    `text` may come from a site: it is shown as it is, never read as mark-up.
    """
    shown = f"<span>{escape(text, quote=False)}</span>"
    return QgsMessageBarItem(title, shown, level, UNTIL_CLOSED)


def notice_with_address(
    text: str, level: Qgis.MessageLevel, title: str, address: str
) -> QgsMessageBarItem:
    """The same, with a button that copies `address`."""
    item = notice(text, level, title)
    button = QPushButton(QCoreApplication.translate("Notices", "Copy Address"))
    button.setObjectName("copy_address_button")
    button.setToolTip(address)
    button.clicked.connect(lambda: QgsApplication.clipboard().setText(address))
    item.layout().addWidget(button)
    return item


def take_away(bar: QgsMessageBar, item: QgsMessageBarItem | None) -> None:
    """Remove `item` from `bar`, where the person has not closed it already."""
    if item is not None and not sip.isdeleted(item):
        bar.popWidget(item)
