"""What is asked before an export, and said while it runs and of its end."""

from __future__ import annotations

from pathlib import Path

from qgis.core import Qgis, QgsProject
from qgis.gui import QgsMessageBar
from qgis.PyQt.QtCore import QUrl, pyqtSignal
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QWidget

from ..plugin.core.export.request import ExportReport, QueueReport
from ..plugin.core.request import Message, Outcome, Severity
from ..plugin.core.storage.profile import StorageFormat
from ..plugin.host import messages, shown_layers
from .export_run import ExportPlan, ExportRun, QueuePlan
from .map_adding import add_to_map, why_not_drawn
from .notices import Notice
from .progress_panel import ProgressPanel
from .run_question import WarningQuestion
from .services_panel import is_done
from .work_control import WorkControl


class ExportControl(WorkControl):
    """Carries out exports and queues of them.

    `told` carries the sentence that tells the end, a QGIS message level, and the paths of what is
    there now; `queue_reported` a QueueReport; `item_told` what ExportRun's does.
    """

    told = pyqtSignal(str, object, object)
    queue_reported = pyqtSignal(object)
    item_told = pyqtSignal(str, object)

    def __init__(
        self,
        panel: ProgressPanel,
        qgis_bar: QgsMessageBar,
        window: QWidget,
        project: QgsProject,
    ) -> None:
        run = ExportRun(project, window)
        super().__init__(panel, qgis_bar, window, run)
        run.item_told.connect(self.item_told)
        self._project = project

    # WorkControl interface

    def question_for(
        self, plan: ExportPlan | QueuePlan, parent: QWidget | None
    ) -> WarningQuestion | None:
        if isinstance(plan, QueuePlan):
            return _queue_question(plan, parent)
        if plan.tiles is not None and not messages.are_very_many(plan.tiles):
            return None
        return _export_question(plan, parent)

    def notice_of(self, report: ExportReport | QueueReport) -> Notice:
        if isinstance(report, QueueReport):
            return self._queue_notice(report)
        if report.outcome is Outcome.DONE:
            self._panel.show_progress(100)
        for reason in messages.failure_sentences(report):
            self._panel.add_message(Message(reason, Severity.WARNING))
        went_well = report.outcome is Outcome.DONE
        paths = (Path(report.target),) if _is_there(report) else ()
        return self._notice(messages.export_report_sentence(report), went_well, paths)

    def running_reason(self) -> str:
        return self.tr("An export is running: cancel it, or wait for its end.")

    def counting_reason(self) -> str:
        return self.tr("The tiles are being counted; the export starts then.")

    def first_message(self, _plan: ExportPlan | QueuePlan) -> str:
        return self.tr("Planning what is to be got…")

    def cancelling_text(self, _plan: ExportPlan | QueuePlan) -> str:
        return self.tr("Cancelling: what has been got is kept…")

    def _tell_error(self, error: Exception) -> str:
        sentence = super()._tell_error(error)
        self.told.emit(sentence, Qgis.MessageLevel.Critical, ())
        return sentence

    # ours

    def _queue_notice(self, report: QueueReport) -> Notice:
        for item in report.items:
            severity = Severity.INFO if item.error is None else Severity.ERROR
            self._panel.add_message(Message(messages.queue_line(item), severity))
        is_all = not report.is_cancelled and all(is_done(item) for item in report.items)
        if is_all:
            self._panel.show_progress(100)
        paths = tuple(
            Path(item.target)
            for item in report.items
            if item.is_done_before or (item.report is not None and _is_there(item.report))
        )
        self.queue_reported.emit(report)
        return self._notice(messages.queue_sentence(report), is_all, paths)

    def _notice(self, sentence: str, went_well: bool, paths: tuple[Path, ...]) -> Notice:
        level = Qgis.MessageLevel.Success if went_well else Qgis.MessageLevel.Warning
        for path in paths:
            shown_layers.reload_layers_of(self._project, path)
        self.told.emit(sentence, level, paths)
        return self.line(sentence, level, paths)

    def line(self, sentence: str, level: Qgis.MessageLevel, paths: tuple[Path, ...]) -> Notice:
        """A line for a message bar that tells the end, with buttons for what is at `paths`."""
        notice = Notice(sentence, level)
        storage = self._plan.choices.storage if _is_queue(self._plan) else self._plan.storage
        if paths and not why_not_drawn(storage.value):
            button = notice.add_button("add_to_map_button", self.tr("Add to Map"))
            button.setToolTip(self.tr("Add layers to the project that show the exported tiles"))
            button.clicked.connect(lambda: self._add(paths, storage))
        if paths:
            button = notice.add_button("open_folder_button", self.tr("Open Folder"))
            folder = str(paths[0].parent)
            button.setToolTip(folder)
            button.clicked.connect(lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(folder)))
        return notice

    def _add(self, paths: tuple[Path, ...], storage: StorageFormat) -> None:
        for path in paths:
            problem = add_to_map(path, storage.value, self._project)
            if problem:
                self._qgis_bar.pushItem(Notice(problem, Qgis.MessageLevel.Warning))


def _is_queue(plan: ExportPlan | QueuePlan) -> bool:
    return isinstance(plan, QueuePlan)


def _is_there(report: ExportReport) -> bool:
    """Whether there is something at the target now: packages are only made at the end."""
    if report.outcome is Outcome.CANCELLED and not Path(report.target).exists():
        return False
    return any(report.total(name) for name in ("made", "replaced", "skipped"))


def _export_question(plan: ExportPlan, parent: QWidget | None) -> WarningQuestion:
    """Whether so many tiles are meant to be exported."""
    tr = messages.tr
    question = WarningQuestion(tr("Export Tiles"), parent)
    text = tr("Export {tiles} tiles of {service}?")
    if plan.tiles is None:
        text = tr("Export the tiles of {service}?")
    tiles = "" if plan.tiles is None else messages.number_text(plan.tiles)
    question.setText(text.format(tiles=tiles, service=plan.description.name))
    consequence = tr(
        "This is a very large export: it may take hours and much room on the disk. It can be"
        " cancelled, and the same export goes on from there."
    )
    if plan.tiles is None:
        consequence = tr("The number of tiles is not known: it may take very long.")
    scales = "; ".join(messages.scale_text(level.scale) for level in plan.levels)
    question.setInformativeText(
        "\n\n".join(
            [
                consequence,
                tr("Scales: {scales}").format(scales=scales),
                tr("To: {path}").format(path=messages.path_text(str(plan.target))),
            ]
        )
    )
    return question


def _left_texts(plan: QueuePlan) -> list[str]:
    """How many services of a queue are left to do, where some are known to be done."""
    tr = messages.tr
    if plan.anew:
        return [tr("Also what was done before is exported anew.")]
    if not plan.done:
        return []
    text = tr(
        "Left to do: {left}. Done before: {done}; these are done again only where something has"
        " changed."
    )
    return [text.format(left=len(plan.services) - plan.done, done=plan.done)]


def _queue_question(plan: QueuePlan, parent: QWidget | None) -> WarningQuestion:
    """Whether so many services are meant to be exported, of whose tiles nobody knows the number."""
    tr = messages.tr
    question = WarningQuestion(tr("Export Tiles"), parent)
    text = tr("Export tiles of {count} services?")
    if len(plan.services) == 1:
        text = tr("Export tiles of 1 service?")
    question.setText(text.format(count=len(plan.services)))
    question.setInformativeText(
        "\n\n".join(
            [
                "; ".join(messages.plain(each.name) for each in plan.services),
                *_left_texts(plan),
                plan.estimate or tr("How many tiles that are is not known before each one's turn."),
                tr("It may take very long. It can be cancelled, and run again for the rest."),
                tr("Into: {path}").format(path=messages.path_text(str(plan.folder))),
            ]
        )
    )
    return question
