"""From a filled form to the end of what it asks for: counting, asking, running, reporting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qgis.core import Qgis
from qgis.gui import QgsMessageBar
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtWidgets import QWidget

from ..plugin.core.errors import JobStalled, TileCacheError
from ..plugin.core.request import Message
from ..plugin.host import areas, messages
from .latest_task import LatestTask
from .notices import Notice
from .progress_panel import ProgressPanel
from .run_question import WarningQuestion
from .task_run import TaskRun
from .tile_counter import TileCounter

END_NOTICE = "tile_cache_end_notice"
"""Name of the lines in QGIS's message bar that tell how something ended."""


class WorkControl(QObject):
    """Carries out one plan at a time, as it was when it was handed over.

    A plan has a `title`; its `counted` area, None where that is still to be worked out; and
    `is_local`, whether no site has to take it on. What is asked, and said of the end, subclasses
    know. What becomes of the form meanwhile changes nothing, nor does closing its `window`: then
    the question comes on QGIS's window. How it goes is shown in the progress panel, and Cancel
    there is obeyed; how it ended is told in QGIS's message bar too.

    `busy_changed`: a plan was taken on, goes on to its next part, or has ended. Then, `ended`
    carries the plan that was begun, whatever became of it; `called_off`: none was begun.
    """

    busy_changed = pyqtSignal()
    ended = pyqtSignal(object)
    called_off = pyqtSignal()

    def __init__(
        self, panel: ProgressPanel, qgis_bar: QgsMessageBar, window: QWidget, run: TaskRun
    ) -> None:
        super().__init__(window)
        self._panel = panel
        self._qgis_bar = qgis_bar
        self._window = window
        self._plan: Any = None
        self._count = LatestTask()
        self._question: WarningQuestion | None = None
        self._run = run
        self._is_heard_of = True
        self._percents = 0.0, 0.0
        self._run.progressed.connect(self._progressed)
        self._run.message_received.connect(self._told)
        self._run.reported.connect(self._reported)
        self._run.failed.connect(self._run_failed)
        self._run.cancelled.connect(self._cancelled)
        panel.cancel_requested.connect(self.cancel)

    # What subclasses say

    def question_for(self, plan: Any, parent: QWidget | None) -> WarningQuestion | None:
        """What a person has to agree to before `plan` is begun; None for nothing."""
        raise NotImplementedError

    def notice_of(self, report: Any) -> Notice:
        """What is told of the end in QGIS's message bar."""
        raise NotImplementedError

    def running_reason(self) -> str:
        """Why nothing else can be begun while a plan runs."""
        raise NotImplementedError

    def counting_reason(self) -> str:
        """Why nothing else can be begun while the tiles of a plan are counted."""
        raise NotImplementedError

    def cancelling_text(self, plan: Any) -> str:
        """What happens between Cancel and the end."""
        raise NotImplementedError

    def first_message(self, _plan: Any) -> str:
        """What is told when `plan` begins, before it tells anything itself; "" for nothing."""
        return ""

    # ours

    def busy_reason(self) -> str:
        """Why no other plan can be taken on now; "" where one can."""
        if self._plan is None:
            return ""
        if self._run.is_running:
            return self.running_reason()
        if self._count.is_running:
            return self.counting_reason()
        return self.tr("Answer the question first.")

    def carry_out(self, plan: Any, counter: TileCounter) -> None:
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
            self._panel.show_cancelling(self.cancelling_text(self._plan))
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
        parent = self._window if self._window.isVisible() else self._window.parentWidget()
        self._question = self.question_for(plan, parent)
        if self._question is None:
            self._start()
            return
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
        self._is_heard_of = self._plan.is_local
        text = self.tr("Waiting for the site… {title}")
        if self._is_heard_of:
            text = self.tr("Running… {title}")
        self._percents = 0.0, 0.0
        self._panel.start(text.format(title=self._plan.title))
        first = self.first_message(self._plan)
        if first:
            self._panel.add_message(Message(first))
        self.busy_changed.emit()

    def _progressed(self, percent: float) -> None:
        if percent > 0:
            self._hear()
        self._percents = self._percents[-1], percent
        self._panel.show_progress(percent)

    def _percent_reached(self) -> float:
        """How far the work came: when a task ends, QGIS itself makes 100 of it."""
        before, last = self._percents
        return before if last == 100 else last

    def _told(self, message: Message) -> None:
        self._hear()
        self._panel.add_message(message)
        if isinstance(message.error, JobStalled):  # the dialog may be closed
            self._push(Notice(messages.sentence(message.error), Qgis.MessageLevel.Warning))

    def _hear(self) -> None:
        """The site has taken the work on."""
        if not self._is_heard_of:
            self._is_heard_of = True
            self._panel.show_state(self.tr("Running… {title}").format(title=self._plan.title))

    def _reported(self, report: Any) -> None:
        notice = self.notice_of(report)
        self._push(notice)
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
        self._push(Notice(sentence, Qgis.MessageLevel.Critical))
        return sentence

    def _push(self, notice: Notice) -> None:
        """Tell an end in QGIS's bar, in place of those that were told before."""
        for before in self._qgis_bar.findChildren(Notice, END_NOTICE):
            self._qgis_bar.popWidget(before)
        notice.setObjectName(END_NOTICE)
        self._qgis_bar.pushItem(notice)

    def _call_off(self, sentence: str) -> None:
        self._end(sentence)
        self.called_off.emit()

    def _end(self, sentence: str) -> None:
        self._plan = None
        self._panel.end(sentence)
        self.busy_changed.emit()
