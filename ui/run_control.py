"""From a filled form to the end of its update: counting, asking, running, reporting."""

from __future__ import annotations

from dataclasses import replace

from qgis.core import Qgis, QgsProject
from qgis.gui import QgsMessageBar
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtWidgets import QWidget

from ..plugin.core.errors import TileCacheError
from ..plugin.core.request import Message, Outcome, Resume, Severity, UpdateReport
from ..plugin.host import areas, messages, sources
from .latest_task import LatestTask
from .notices import Notice
from .progress_panel import ProgressPanel
from .run_question import RunQuestion, needs_question
from .tile_counter import TileCounter
from .update_run import RunPlan, UpdateRun


class RunControl(QObject):
    """Carries out one plan at a time, as it was when it was handed over.

    What becomes of the form meanwhile changes nothing, nor does closing its `window`: then the
    question comes on QGIS's window. How it goes is shown in the progress panel, and Cancel there is
    obeyed; how it ended is told in QGIS's message bar too.

    `busy_changed`: a plan was taken on, goes on to its next part, or has ended. Then, `ended`
    carries the plan that was begun, whatever became of it; `called_off`: none was begun.
    """

    busy_changed = pyqtSignal()
    ended = pyqtSignal(object)
    called_off = pyqtSignal()

    def __init__(
        self,
        panel: ProgressPanel,
        qgis_bar: QgsMessageBar,
        window: QWidget,
        project: QgsProject,
    ) -> None:
        super().__init__(window)
        self._project = project
        self._panel = panel
        self._qgis_bar = qgis_bar
        self._window = window
        self._plan: RunPlan | None = None
        self._count = LatestTask()
        self._question: RunQuestion | None = None
        self._run = UpdateRun(project, self)
        self._is_heard_of = True
        self._run.progressed.connect(self._progressed)
        self._run.message_received.connect(self._told)
        self._run.reported.connect(self._reported)
        self._run.failed.connect(self._run_failed)
        self._run.cancelled.connect(self._cancelled)
        panel.cancel_requested.connect(self.cancel)

    def busy_reason(self) -> str:
        """Why no other plan can be taken on now; "" where one can."""
        if self._plan is None:
            return ""
        if self._run.is_running:
            return self.tr("An update is running: cancel it, or wait for its end.")
        if self._count.is_running:
            return self.tr("The tiles are being counted; the update starts then.")
        return self.tr("Answer the question first.")

    def carry_out(self, plan: RunPlan, counter: TileCounter) -> None:
        """Run `plan`, once its tiles are counted and a person has agreed where one must.

        Where it is not counted yet, `counter` does so now for the form that the plan is made from.
        """
        self._plan = plan
        if plan.counted is not None:
            self._ask_or_start()
            return
        answers = {"counted": self._counted, "failed": self._fail, "cancelled": self._cancelled}
        counter.join(self._count, answers)
        self._panel.wait(self.tr("Working out the area… {title}").format(title=plan.title))
        self.busy_changed.emit()

    def cancel(self) -> None:
        """Stop, whatever is going on; the end is told as any other."""
        if self._question is not None:
            self._question.reject()
        elif self._run.is_running:
            self._is_heard_of = True
            self._panel.show_cancelling(self._cancelling_text())
            self._run.cancel()
        else:
            self._count.cancel()

    def unload(self) -> None:
        """Hear no more: what has not been started is not, what runs on a site goes on there."""
        self._count.drop()
        question, self._question = self._question, None
        if question is not None:
            question.close()
        self._run.unload()

    def _counted(self, counted: areas.Counted) -> None:
        self._plan = replace(self._plan, counted=counted)
        self._ask_or_start()

    def _ask_or_start(self) -> None:
        plan = self._plan
        if plan.takes_up or not needs_question(plan.mode, plan.tiles):
            self._start()
            return
        parent = self._window if self._window.isVisible() else self._window.parentWidget()
        drawn_from = sources.source_title(plan.source, self._project)
        self._question = RunQuestion(plan, drawn_from, parent)
        self._question.finished.connect(self._answered)
        self._question.open()
        self._panel.wait(self.tr("Waiting for an answer… {title}").format(title=plan.title))
        self.busy_changed.emit()

    def _answered(self) -> None:
        question, self._question = self._question, None
        if question is None:  # nobody waits for it any more
            return
        if question.says_yes():
            self._start()
        else:
            self._call_off(self.tr("Not started: {title}").format(title=self._plan.title))

    def _start(self) -> None:
        try:
            self._run.start(self._plan)
        except TileCacheError as error:
            self._fail(error)
            return
        self._is_heard_of = self._plan.description.is_local
        text = self.tr("Waiting for the site… {title}")
        if self._is_heard_of:
            text = self.tr("Running… {title}")
        self._panel.start(text.format(title=self._plan.title))
        if self._plan.takes_up:
            self._panel.add_message(Message(self._taking_up_text()))
        self.busy_changed.emit()

    def _taking_up_text(self) -> str:
        if self._plan.resume is Resume.FAILED:
            return self.tr("Trying the tiles again that failed in the last update.")
        return self.tr("Going on where the last update was interrupted.")

    def _cancelling_text(self) -> str:
        if self._plan.description.is_local:
            return self.tr("Cancelling: what is being drawn just now is finished…")
        return self.tr("Cancelling: waiting for the site to stop…")

    def _progressed(self, percent: float) -> None:
        if percent > 0:
            self._hear()
        self._panel.show_progress(percent)

    def _told(self, message: Message) -> None:
        self._hear()
        self._panel.add_message(message)

    def _hear(self) -> None:
        """The site has taken the update on."""
        if not self._is_heard_of:
            self._is_heard_of = True
            self._panel.show_state(self.tr("Running… {title}").format(title=self._plan.title))

    def _reported(self, report: UpdateReport) -> None:
        if report.outcome is Outcome.DONE:
            self._panel.show_progress(100)
        elif report.outcome is Outcome.SUBMITTED:  # how far the site is, nobody asks any more
            self._panel.show_no_progress()
        for reason in messages.failure_sentences(report):
            self._panel.add_message(Message(reason, Severity.WARNING))
        went_well = report.outcome in (Outcome.DONE, Outcome.SUBMITTED)
        level = Qgis.MessageLevel.Success if went_well else Qgis.MessageLevel.Warning
        notice = Notice(messages.report_sentence(report), level)
        if report.address:
            notice.add_address(report.address)
        self._qgis_bar.pushItem(notice)
        plan = self._plan
        self._end(notice.text())
        self.ended.emit(plan)

    def _cancelled(self) -> None:
        """Cancelled before anything was asked for."""
        self._call_off(self.tr("Cancelled before anything was changed."))

    def _fail(self, error: Exception) -> None:
        self._call_off(self._tell_error(error))

    def _run_failed(self, error: Exception) -> None:
        plan = self._plan
        self._end(self._tell_error(error))
        self.ended.emit(plan)

    def _tell_error(self, error: Exception) -> str:
        sentence = messages.sentence(error)
        self._qgis_bar.pushItem(Notice(sentence, Qgis.MessageLevel.Critical))
        return sentence

    def _call_off(self, sentence: str) -> None:
        self._end(sentence)
        self.called_off.emit()

    def _end(self, sentence: str) -> None:
        self._plan = None
        self._panel.end(sentence)
        self.busy_changed.emit()
