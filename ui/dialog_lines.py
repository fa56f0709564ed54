"""What a dialog says in its own message bar."""

from __future__ import annotations

from qgis.core import Qgis
from qgis.gui import QgsMessageBar, QgsMessageBarItem
from qgis.PyQt import sip

from .notices import Notice


class DialogLines:
    """At most one complaint about the form, above at most one offer, which outlives complaints."""

    def __init__(self, bar: QgsMessageBar) -> None:
        self._bar = bar
        self._complaint: QgsMessageBarItem | None = None
        self._offer: QgsMessageBarItem | None = None

    def complain(self, text: str) -> Notice:
        """Say what is wrong, in place of what was wrong before; give the line that says it."""
        self.clear()
        self._complaint = complaint = Notice(text, Qgis.MessageLevel.Warning)
        self._bar.pushItem(complaint)
        return complaint

    def clear(self) -> None:
        """Take the complaint away."""
        complaint, self._complaint = self._complaint, None
        self._take(complaint)

    def offer(self, item: QgsMessageBarItem | None) -> None:
        """Show `item` in place of the last offer; None: only take that away."""
        before, self._offer = self._offer, item
        self._take(before)
        if item is not None:
            self._bar.pushItem(item)

    @property
    def has_offer(self) -> bool:
        """Whether an offer is on show; the person may have closed it."""
        return self._offer is not None and not sip.isdeleted(self._offer)

    def _take(self, item: QgsMessageBarItem | None) -> None:
        # The person may have closed it.
        if item is not None and not sip.isdeleted(item):
            self._bar.popWidget(item)
