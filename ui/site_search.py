"""Looking at a site or a portal in the background, folder by folder and search by search."""

from __future__ import annotations

from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtGui import QStandardItem

from ..plugin.core.arcgis.catalogue import FolderListing
from ..plugin.core.arcgis.portal import Portal, SearchPage
from ..plugin.core.arcgis.portal_address import portal_of
from ..plugin.core.errors import TileCacheError
from ..plugin.core.finding import Finder
from ..plugin.host import areas, messages, site_tree
from .latest_task import LatestTask
from .site_tree_model import Filling, Row, SiteTreeModel, filling_of, row_of, value_of


class SiteSearch(QObject):
    """Fills a `model` with what is at one address at a time.

    `opened`: the site or portal has answered; `failed` carries why it has not; `changed`: something
    was asked or has come. What goes wrong below is said in the model, where it was asked for.
    """

    opened = pyqtSignal()
    failed = pyqtSignal(object)
    changed = pyqtSignal()

    def __init__(self, model: SiteTreeModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._finder: Finder | None = None
        self._portal: Portal | None = None
        self._asked = "", ""
        self._words = ""
        self._wants_all = False
        self._opening = LatestTask()
        self._filling: list[tuple[QStandardItem, LatestTask]] = []

    @property
    def is_asking(self) -> bool:
        """Whether an answer is still to come."""
        return self._opening.is_running or bool(self._filling)

    @property
    def asked(self) -> tuple[str, str]:
        """The address that was opened last, and the id of the sign-in details."""
        return self._asked

    @property
    def portal(self) -> Portal | None:
        """The opened portal; None for a site, or for nothing."""
        return self._portal

    @property
    def portal_instead(self) -> str:
        """The portal that was opened where no site was found; "" where its address was asked."""
        is_asked = self._portal is None or portal_of(self._asked[0]) is not None
        return "" if is_asked else self._portal.url

    @property
    def words(self) -> str:
        """What the portal is searched for; "" for every item."""
        return self._words

    def open(self, address: str, auth_config_id: str) -> None:
        """Look at `address`. `opened` or `failed` answers, unless another is opened or it stops."""
        self.stop()
        self._model.forget()
        self._portal = None
        self._asked = address, auth_config_id
        try:
            self._finder = site_tree.make_finder(address, auth_config_id)
        except TileCacheError as error:
            self.failed.emit(error)
            return
        answers = {"opened": self._opened, "failed": self._failed, "cancelled": self._cancelled}
        self._opening.start(site_tree.OpenTask(self._finder), answers)
        self.changed.emit()

    def stop(self) -> None:
        """Wait for nothing any more; what is there stays."""
        if self._finder is not None:
            self._finder.stop()
        self._opening.drop()
        self._wants_all = False
        for branch, task in self._take_filling():
            task.drop()
            self._model.show_problem(branch, messages.sentence(areas.Cancelled()))
        self.changed.emit()

    def fill(self, branch: QStandardItem) -> None:
        """Look at a folder, or search, unless that was done."""
        if filling_of(branch) in (Filling.UNKNOWN, Filling.FAILED):
            branch.removeRows(0, branch.rowCount())
            self._ask(branch, 1)

    def fill_all(self) -> None:
        """Look at every folder, one after the other."""
        self._wants_all = True
        self._fill_next()

    def go_on(self, end: QStandardItem) -> None:
        """Search on, from the row `end` that leads to more."""
        branch = end.parent()
        start = value_of(end)
        if row_of(end) is Row.MORE and isinstance(start, int):
            self._ask(branch, start)

    def search(self, words: str) -> None:
        """Search the portal's items for `words`; those that were on show are searched anew."""
        if self._portal is None or words == self._words:
            return
        self._words = words
        for _branch, task in self._take_filling():
            task.drop()
        for branch in self._model.branches():
            self._model.show_unknown(branch)
        self.changed.emit()

    # answers

    def _opened(self, found: FolderListing | Portal) -> None:
        if isinstance(found, Portal):
            self._portal = found
            self._model.show_portal(found)
        else:
            self._model.show_site(found)
        self.opened.emit()
        self.changed.emit()

    def _failed(self, error: Exception) -> None:
        self.changed.emit()
        self.failed.emit(error)

    def _cancelled(self) -> None:
        self._failed(areas.Cancelled())

    def _ask(self, branch: QStandardItem, start: int) -> None:
        value = value_of(branch)
        self._finder.go_on()
        if row_of(branch) is Row.FOLDER:
            work = site_tree.FolderTask(self._finder, value)
            signal = "listed"
        else:
            work = site_tree.SearchTask(self._finder, self._portal, self._words, value, start)
            signal = "searched"
        task = LatestTask()
        answers = {
            signal: lambda found: self._filled(branch, task, found),
            "failed": lambda error: self._not_filled(branch, task, error),
            "cancelled": lambda: self._left(branch, task),
        }
        self._filling.append((branch, task))
        self._model.show_asked(branch)
        task.start(work, answers)
        self.changed.emit()

    def _filled(
        self, branch: QStandardItem, task: LatestTask, found: FolderListing | SearchPage
    ) -> None:
        self._filling.remove((branch, task))
        if isinstance(found, SearchPage):
            self._model.add_page(branch, found)
        else:
            self._model.show_folder(branch, found)
        self._fill_next()
        self.changed.emit()

    def _not_filled(self, branch: QStandardItem, task: LatestTask, error: Exception) -> None:
        self._filling.remove((branch, task))
        self._model.show_problem(branch, messages.sentence(error))
        self._fill_next()
        self.changed.emit()

    def _left(self, branch: QStandardItem, task: LatestTask) -> None:
        """QGIS has cancelled it, as it closes: nothing else is begun."""
        self._wants_all = False
        self._not_filled(branch, task, areas.Cancelled())

    def _fill_next(self) -> None:
        if not self._wants_all or self._filling:
            return
        for branch in self._model.branches():
            if filling_of(branch) is Filling.UNKNOWN:
                self.fill(branch)
                return
        self._wants_all = False

    def _take_filling(self) -> list[tuple[QStandardItem, LatestTask]]:
        taken, self._filling = self._filling, []
        return taken
