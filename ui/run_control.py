"""What is asked before an update, and said while it runs and of its end."""

from __future__ import annotations

from qgis.core import Qgis, QgsProject
from qgis.gui import QgsMessageBar
from qgis.PyQt.QtWidgets import QWidget

from ..plugin.core.request import Message, Outcome, Resume, Severity, UpdateReport
from ..plugin.host import messages, sources
from .jobs import Jobs
from .notices import Notice
from .progress_panel import ProgressPanel
from .run_question import RunQuestion, WarningQuestion, needs_question
from .update_run import RunPlan, UpdateRun
from .work_control import WorkControl


class RunControl(WorkControl):
    """Carries out updates."""

    def __init__(
        self,
        panel: ProgressPanel,
        qgis_bar: QgsMessageBar,
        window: QWidget,
        project: QgsProject,
        jobs: Jobs,
    ) -> None:
        super().__init__(panel, qgis_bar, window, UpdateRun(project, window))
        self._project = project
        self._jobs = jobs

    # WorkControl interface

    def question_for(self, plan: RunPlan, parent: QWidget | None) -> WarningQuestion | None:
        if plan.takes_up or not needs_question(plan.mode, plan.tiles):
            return None
        return RunQuestion(plan, sources.source_title(plan.source, self._project), parent)

    def notice_of(self, report: UpdateReport) -> Notice:
        if report.outcome is Outcome.DONE:
            self._panel.show_progress(100)
        elif report.outcome is Outcome.SUBMITTED:  # how far the site is, nobody asks any more
            self._panel.show_no_progress()
        elif report.outcome is Outcome.CANCELLED:  # in the list of jobs, or on the site
            self._panel.show_progress(self._percent_reached())
        for reason in messages.failure_sentences(report):
            self._panel.add_message(Message(reason, Severity.WARNING))
        went_well = report.outcome in (Outcome.DONE, Outcome.SUBMITTED)
        level = Qgis.MessageLevel.Success if went_well else Qgis.MessageLevel.Warning
        notice = Notice(messages.report_sentence(report), level)
        if report.address:
            notice.add_address(report.address)
        if report.outcome is Outcome.SUBMITTED:
            self._jobs.add_button(notice)
        return notice

    def running_reason(self) -> str:
        return self.tr("An update is running: cancel it, or wait for its end.")

    def counting_reason(self) -> str:
        return self.tr("The tiles are being counted; the update starts then.")

    def cancelling_text(self, plan: RunPlan) -> str:
        if plan.is_local:
            return self.tr("Cancelling: what is being drawn just now is finished…")
        return self.tr("Cancelling: waiting for the site to stop…")

    def first_message(self, plan: RunPlan) -> str:
        if not plan.takes_up:
            return ""
        if plan.resume is Resume.FAILED:
            return self.tr("Trying the tiles again that failed in the last update.")
        return self.tr("Going on where the last update was interrupted.")
