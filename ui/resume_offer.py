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

    `accepted` carries how to go on, `discarded` the path of the cache whose record is to be
    forgotten. An offer that was closed is not made again for the same update.
    """

    accepted = pyqtSignal(object)
    discarded = pyqtSignal(str)

    def __init__(self, lines: DialogLines, parent: QObject) -> None:
        super().__init__(parent)
        self._lines = lines
        self._offered: tuple[str, UnfinishedRun | None] = ("", None)
        self._is_withdrawn = False

    def show(self, description: CacheDescription | None) -> None:
        """Offer what can be taken up in the cache of `description`; None or nothing: no offer."""
        run = None if description is None else description.unfinished
        offered = ("" if description is None else description.address, run)
        if offered == self._offered:
            return
        self._offered = offered
        self._is_withdrawn = False
        self._lines.offer(None if run is None else self._line(offered[0], run))

    def withdraw(self) -> None:
        """Take the line away; the same is not offered again, unless it is to `come_back`."""
        self._is_withdrawn = self._lines.has_offer
        self._lines.offer(None)

    def come_back(self) -> None:
        """What it was withdrawn for did not come about: let the next `show` offer it again."""
        if self._is_withdrawn:
            self.forget()

    def forget(self) -> None:
        """Take the line away; a later `show` may offer the same again."""
        self._offered = ("", None)
        self._is_withdrawn = False
        self._lines.offer(None)

    def _line(self, address: str, run: UnfinishedRun) -> QgsMessageBarItem:
        line = Notice(messages.unfinished_text(run), Qgis.MessageLevel.Info)
        if run.is_interrupted:
            how, name, text = Resume.CONTINUE, "resume_button", self.tr("Resume")
        else:
            how, name, text = Resume.FAILED, "retry_button", self.tr("Retry Failed Tiles")
        line.add_button(name, text).clicked.connect(lambda: self.accepted.emit(how))
        discard = line.add_button("discard_button", self.tr("Discard"))
        discard.setToolTip(self.tr("Forget what was left undone; the tiles stay as they are"))
        discard.clicked.connect(lambda: self.discarded.emit(address))
        return line
