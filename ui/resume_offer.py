"""Offering to take up what the last update on this computer left undone."""

from __future__ import annotations

from qgis.core import Qgis
from qgis.gui import QgsMessageBarItem
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..plugin.core.description import CacheDescription, UnfinishedRun
from ..plugin.core.request import Resume
from ..plugin.host import messages
from .dialog_lines import DialogLines
from .notices import Notice


class ResumeOffer(QObject):
    """A line with buttons, as long as the cache on show has an unfinished update.

    `accepted` carries how to go on. An offer that was closed is not made again for the same update.
    """

    accepted = pyqtSignal(object)

    def __init__(self, lines: DialogLines, parent: QObject) -> None:
        super().__init__(parent)
        self._lines = lines
        self._offered: tuple[str, UnfinishedRun | None] = ("", None)

    def show(self, description: CacheDescription | None) -> None:
        """Offer what can be taken up in the cache of `description`; None or nothing: no offer."""
        run = None if description is None else description.unfinished
        offered = ("" if description is None else description.address, run)
        if offered == self._offered:
            return
        self._offered = offered
        self._lines.offer(None if run is None else self._line(run))

    def withdraw(self) -> None:
        """Take the line away; the same is not offered again."""
        self._lines.offer(None)

    def forget(self) -> None:
        """Take the line away; a later `show` may offer the same again."""
        self._offered = ("", None)
        self._lines.offer(None)

    def _line(self, run: UnfinishedRun) -> QgsMessageBarItem:
        line = Notice(messages.unfinished_text(run), Qgis.MessageLevel.Info)
        if run.is_interrupted:
            how, name, text = Resume.CONTINUE, "resume_button", self.tr("Resume")
        else:
            how, name, text = Resume.FAILED, "retry_button", self.tr("Retry Failed Tiles")
        line.add_button(name, text).clicked.connect(lambda: self.accepted.emit(how))
        return line
