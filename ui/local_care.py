"""Looking after a cache on this computer: verifying, repairing, defragmenting it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from qgis.core import Qgis
from qgis.gui import QgsMessageBar
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtWidgets import QAction, QMenu, QToolButton, QWidget

from ..plugin.core.description import CacheDescription
from ..plugin.core.local.defragment import DefragmentReport
from ..plugin.core.local.verify import VerifyReport
from ..plugin.core.request import Message, Severity
from ..plugin.host import local_tasks, messages, tasks
from .latest_task import LatestTask
from .notices import Notice
from .progress_panel import ProgressPanel
from .run_question import WarningQuestion
from .task_run import UNLOADING_MS

FINDINGS_SHOWN = 200
"""So many findings are listed; the sentence at the end counts all of them."""


class LocalCare(QObject):
    """The menu of the Care button, and the one piece of work at a time that is chosen from it.

    `busy_changed`: work has begun or ended. `changed` carries the path of a cache whose files may
    be others now.
    """

    busy_changed = pyqtSignal()
    changed = pyqtSignal(str)

    def __init__(
        self, button: QToolButton, panel: ProgressPanel, qgis_bar: QgsMessageBar, window: QWidget
    ) -> None:
        super().__init__(window)
        self._button = button
        self._panel = panel
        self._qgis_bar = qgis_bar
        self._window = window
        self._description: CacheDescription | None = None
        self._task = LatestTask()
        self._title = ""
        self._writing: list[QAction] = []
        button.setMenu(self._menu())
        panel.cancel_requested.connect(self._cancel)

    @property
    def is_busy(self) -> bool:
        """Whether work is under way."""
        return self._task.is_running

    def allow(self, description: CacheDescription | None, reason: str) -> None:
        """Look after the cache of `description` from now on; `reason`: why not, "" for nothing."""
        self._description = description
        self._button.setEnabled(not reason)
        self._button.setToolTip(reason or self.tr("Verify, repair or defragment the cache"))
        problem = None if description is None else description.modes_problem
        for action in self._writing:
            action.setEnabled(problem is None)
            action.setToolTip(action.data() if problem is None else messages.sentence(problem))

    def unload(self) -> None:
        """Stop; the end is not told."""
        task = self._task.release()
        if task is not None:
            task.cancel()
            task.waitForFinished(UNLOADING_MS)

    def _menu(self) -> QMenu:
        menu = QMenu(self._button)
        menu.setObjectName("care_menu")
        menu.setToolTipsVisible(True)
        for text, tip, chosen in (
            (
                self.tr("Verify"),
                self.tr("Look at every tile and every file; nothing is changed"),
                self._verify,
            ),
            (
                self.tr("Verify and Repair…"),
                self.tr("Also mend headers, and drop tiles that cannot be read"),
                self._ask_to_repair,
            ),
            (
                self.tr("Defragment"),
                self.tr("Give the room back that replaced and deleted tiles still take"),
                self._defragment,
            ),
        ):
            action = menu.addAction(text)
            action.setToolTip(tip)
            action.setData(tip)
            action.triggered.connect(lambda _checked, begin=chosen: begin())
            if chosen != self._verify:
                self._writing.append(action)
        return menu

    def _verify(self) -> None:
        self._begin_verifying(self._description, mend=False)

    def _ask_to_repair(self) -> None:
        description = self._description
        question = WarningQuestion(self.tr("Verify and Repair"), self._window)
        tiles = sum(level.tiles for level in description.status)
        question.setText(
            self.tr("Verify the {tiles} tiles of {path} and repair what is broken?").format(
                tiles=messages.number_text(tiles), path=messages.path_text(description.address)
            )
        )
        question.setInformativeText(
            self.tr(
                "Broken tiles are dropped: they are missing then, until “Recreate Empty Tiles”"
                " makes them again. Verify alone tells beforehand how many there are."
            )
        )
        question.finished.connect(
            lambda: question.says_yes() and self._begin_verifying(description, mend=True)
        )
        question.open()

    def _begin_verifying(self, description: CacheDescription, *, mend: bool) -> None:
        text = self.tr("{name}: Verify and Repair") if mend else self.tr("{name}: Verify")
        title = text.format(name=description.name)
        path = description.address

        def verified(report: VerifyReport) -> None:
            self._verified(report)
            self._end(path if report.mended else "")

        task = local_tasks.VerifyTask(title, Path(path), mend=mend)
        # Nobody is sent to Verify for the reason why it could not be done.
        failed = partial(self._failed, in_words=messages.check_problem_sentence)
        self._begin(task, title, {"verified": verified, "failed": failed})

    def _defragment(self) -> None:
        title = self.tr("{name}: Defragment").format(name=self._description.name)
        path = self._description.address

        def defragmented(report: DefragmentReport) -> None:
            self._tell(messages.defragment_sentence(report), report.is_complete)
            self._end(path)

        task = local_tasks.DefragmentTask(title, Path(path))
        self._begin(task, title, {"defragmented": defragmented})

    def _begin(self, task: tasks.Task, title: str, answers: dict[str, Callable[..., None]]) -> None:
        self._title = title
        task.progressChanged.connect(self._panel.show_progress)
        both = {"failed": self._failed, "cancelled": self._cancelled}
        self._task.start(task, {**both, **answers})
        self._panel.start(self.tr("Running… {title}").format(title=title))
        self.busy_changed.emit()

    def _cancel(self) -> None:
        if self.is_busy:
            self._panel.show_cancelling(self.tr("Cancelling… {title}").format(title=self._title))
            self._task.cancel()

    def _verified(self, report: VerifyReport) -> None:
        for finding in report.findings[:FINDINGS_SHOWN]:
            self._panel.add_message(Message(messages.finding_text(finding), Severity.WARNING))
        is_sound = report.is_complete and sum(report.count_of.values()) == report.mended
        self._tell(messages.verify_sentence(report), is_sound)

    def _tell(self, sentence: str, went_well: bool) -> None:
        text = self.tr("{title}: {sentence}").format(title=self._title, sentence=sentence)
        level = Qgis.MessageLevel.Success if went_well else Qgis.MessageLevel.Warning
        self._qgis_bar.pushItem(Notice(text, level))
        if went_well:
            self._panel.show_progress(100)
        self._panel.end(text)

    def _failed(
        self, error: Exception, in_words: Callable[[Exception], str] = messages.sentence
    ) -> None:
        sentence = in_words(error)
        self._qgis_bar.pushItem(Notice(sentence, Qgis.MessageLevel.Critical))
        self._panel.end(sentence)
        self._end("")

    def _cancelled(self) -> None:
        self._panel.end(self.tr("Cancelled: {title}").format(title=self._title))
        self._end("")

    def _end(self, changed: str) -> None:
        self.busy_changed.emit()
        if changed:
            self.changed.emit(changed)
