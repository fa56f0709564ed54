"""What the dialog offers for caches on this computer alone."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProject
from qgis.gui import QgsMessageBar
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtWidgets import QWidget

from ..plugin.core.description import CacheDescription
from ..plugin.host import local_tasks, messages, shown_layers
from .address_panel import AddressPanel
from .addresses import is_same
from .create_dialog import CreateDialog
from .dialog_lines import DialogLines
from .latest_task import LatestTask
from .local_care import LocalCare
from .map_adding import add_to_map, why_not_drawn
from .progress_panel import ProgressPanel
from .resume_offer import ResumeOffer


class LocalSide(QObject):
    """New caches, care, unfinished updates, and layers that draw a cache.

    `created`, `files_changed`, `record_changed` carry a path; `taken_up` how to go on with an
    unfinished update.
    """

    created = pyqtSignal(str)
    files_changed = pyqtSignal(str)
    record_changed = pyqtSignal(str)
    taken_up = pyqtSignal(object)
    busy_changed = pyqtSignal()

    def __init__(
        self,
        address_panel: AddressPanel,
        progress_panel: ProgressPanel,
        lines: DialogLines,
        qgis_bar: QgsMessageBar,
        project: QgsProject,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._panel = address_panel
        self._progress = progress_panel
        self._ended = ""
        self._lines = lines
        self._project = project
        self._window = window
        self._description: CacheDescription | None = None
        self._create_dialog: CreateDialog | None = None
        self._care = LocalCare(address_panel.care_button, progress_panel, qgis_bar, window)
        self._offer = ResumeOffer(lines, self)
        self._discarding = LatestTask()
        self._care.busy_changed.connect(self.busy_changed)
        self._care.changed.connect(self.files_changed)
        self._offer.accepted.connect(self.taken_up)
        self._offer.discarded.connect(self._discard)
        address_panel.new_button.clicked.connect(self.ask_for_new)
        address_panel.add_button.clicked.connect(self._add_to_map)

    def busy_reason(self) -> str:
        """Why no update can be begun now; "" where one can."""
        if self._care.is_busy:
            return self.tr("The cache is being looked after: cancel that, or wait for its end.")
        return ""

    def show(self, description: CacheDescription | None, busy_reason: str) -> None:
        """Speak of this cache from now on; `busy_reason`: why its files are not to be touched."""
        self._description = description
        reason = self._why_not_local()
        self._care.allow(description, reason or busy_reason)
        reason = reason or why_not_drawn(description.kind)
        self._panel.add_button.setEnabled(not reason)
        self._panel.add_button.setToolTip(
            reason or self.tr("Add a layer to the project that shows the tiles of the cache")
        )
        if busy_reason:
            self._ended = ""
        else:
            self._offer.show(description)
            self._show_record()

    def withdraw_offer(self) -> None:
        """The unfinished update is being taken up, or replaced by another one."""
        self._offer.withdraw()

    def renew_offer(self) -> None:
        """Nothing came of what it was withdrawn for: make it again."""
        self._offer.come_back()
        self._offer.show(self._description)

    def forget_offer(self) -> None:
        """Offer anew what can be taken up, once a cache is shown."""
        self._offer.forget()

    def ask_for_new(self) -> None:
        """Open the dialog in which a cache is created."""
        if self._create_dialog is None:
            parent = self._window if self._window.isVisible() else self._window.parentWidget()
            self._create_dialog = CreateDialog(self._project, parent)
            self._create_dialog.created.connect(self.created)
        self._create_dialog.show()
        self._create_dialog.raise_()
        self._create_dialog.activateWindow()

    def reload_layers(self, path: str) -> None:
        """Have the project's layers that draw the cache at `path` show what it holds now."""
        shown_layers.reload_layers_of(self._project, Path(path))

    def run_ended(self, path: str) -> None:
        """The update of the cache at `path` has ended, one way or another."""
        self._ended = path
        self.reload_layers(path)

    def unload(self) -> None:
        """End what goes on; it is not told."""
        self._care.unload()
        self._discarding.drop()
        if self._create_dialog is not None:
            self._create_dialog.unload()
            self._create_dialog.deleteLater()
            self._create_dialog = None

    def _show_record(self) -> None:
        """Let the bar tell what the offer tells of the update that has just been interrupted."""
        shown = self._description
        if shown is not None and shown.address == self._ended and shown.unfinished is not None:
            run = shown.unfinished
            if run.is_interrupted and run.planned:
                self._progress.show_progress(100 * run.done // run.planned)

    def _why_not_local(self) -> str:
        if self._description is None:
            return self.tr("Load a cache on this computer first.")
        if not self._description.is_local:
            return self.tr("For caches on this computer; this one is on a site.")
        if not is_same(self._panel.address(), self._description.address):
            return self.tr("The address has been changed: load it first.")
        return ""

    def _discard(self, path: str) -> None:
        """Have the cache at `path` forget its unfinished update."""
        self._offer.withdraw()
        answers = {
            "discarded": lambda found: self.record_changed.emit(str(found)),
            "failed": self._not_discarded,
            "cancelled": self.renew_offer,
        }
        self._discarding.start(local_tasks.DiscardTask(Path(path)), answers)

    def _not_discarded(self, error: Exception) -> None:
        self.renew_offer()
        self._lines.complain(messages.sentence(error))

    def _add_to_map(self) -> None:
        path = Path(self._description.address)
        problem = add_to_map(path, self._description.kind, self._project)
        if problem:
            self._lines.complain(problem)
