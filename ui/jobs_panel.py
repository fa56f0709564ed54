"""The page that lists jobs on sites, and what can be done with each of them."""

from __future__ import annotations

from functools import partial

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QEvent, QObject, Qt, pyqtSignal
from qgis.PyQt.QtGui import QHideEvent, QShowEvent
from qgis.PyQt.QtWidgets import QAction, QHeaderView, QMenu, QMessageBox, QWidget

from ..plugin.core.site_update import TakeUp
from ..plugin.host import messages
from .forms import load_form
from .jobs import Jobs
from .jobs_model import TAKEN, Care, Column, JobRow
from .run_question import WarningQuestion
from .tips import plain_tip

FORM = load_form(__file__)

VISIBLE_ROWS = 4
"""So many jobs are seen without scrolling, however small the dialog is made."""
VISIBLE_LINES = 4
"""So many lines about the selected one are."""


class JobsPanel(QWidget, FORM):
    """The jobs of `jobs`, which it watches closely while it is seen.

    `title_changed` carries what its tab is to say.
    """

    title_changed = pyqtSignal(str)

    def __init__(self, jobs: Jobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setupUi(self)
        self._jobs = jobs
        self._question: WarningQuestion | None = None
        self._shown = ""
        self.jobs_view.setModel(jobs.model)
        self.jobs_view.installEventFilter(self)
        self._set_sizes()
        self._take_up_actions = self._make_menu()
        self._connect()
        self._show_whether_empty()
        self._show_job()

    @property
    def title(self) -> str:
        """What its tab is to say: how many jobs have not ended."""
        unfinished = sum(not row.update.has_ended for row in self._jobs.model.rows)
        if not unfinished:
            return self.tr("Jobs")
        return self.tr("Jobs ({count})").format(count=messages.number_text(unfinished))

    # QWidget interface

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not event.spontaneous():
            self._jobs.watch_closely(True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        if not event.spontaneous():
            self._jobs.watch_closely(False)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let the Delete key remove the selected job from the list."""
        is_delete = event.type() == QEvent.Type.KeyPress and event.key() == Qt.Key.Key_Delete
        if is_delete and self.remove_button.isEnabled():
            self._remove()
            return True
        return super().eventFilter(watched, event)

    # Putting it together

    def _set_sizes(self) -> None:
        """Close rows, and columns as wide as their texts but for the name of the service."""
        header, rows = self.jobs_view.horizontalHeader(), self.jobs_view.verticalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(Column.SERVICE, QHeaderView.ResizeMode.Stretch)
        header.setMinimumSectionSize(8 * self.fontMetrics().averageCharWidth())
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(rows.minimumSectionSize())
        height = header.sizeHint().height() + VISIBLE_ROWS * rows.defaultSectionSize()
        self.jobs_view.setMinimumHeight(height + 2 * self.jobs_view.frameWidth())
        line = self.job_text_view.fontMetrics().lineSpacing()
        self.job_text_view.setMinimumHeight((VISIBLE_LINES + 1) * line)

    def _make_menu(self) -> dict[TakeUp, QAction]:
        menu = QMenu(self.take_up_button)
        menu.setToolTipsVisible(True)
        actions = {}
        for how in TakeUp:
            action = menu.addAction(messages.take_up_text(how))
            action.setObjectName(f"{how.name.lower()}_action")
            action.setToolTip(messages.take_up_help(how))
            action.triggered.connect(partial(self._take_up, how))
            actions[how] = action
        self.take_up_button.setMenu(menu)
        return actions

    def _connect(self) -> None:
        model = self._jobs.model
        model.rowsInserted.connect(self._show_whether_empty)
        model.rowsRemoved.connect(self._show_whether_empty)
        model.unfinished_changed.connect(self._tell_title)
        self._jobs.changed.connect(self._job_changed)
        self.jobs_view.selectionModel().selectionChanged.connect(self._selected)
        self.follow_button.clicked.connect(self._follow)
        self.cancel_job_button.clicked.connect(self._cancel)
        self.report_button.clicked.connect(self._report)
        self.copy_button.clicked.connect(self._copy)
        self.remove_button.clicked.connect(self._remove)

    # What is shown

    def _current(self) -> JobRow | None:
        """The selected job; None where there is none."""
        rows = self.jobs_view.selectionModel().selectedRows()
        return self._jobs.model.rows[rows[0].row()] if rows else None

    def _show_whether_empty(self, *_rows: object) -> None:
        is_empty = not self._jobs.model.rows
        self.no_jobs_label.setVisible(is_empty)
        self.jobs_splitter.setVisible(not is_empty)
        if not is_empty and self._current() is None:
            self.jobs_view.selectRow(0)

    def _tell_title(self) -> None:
        self.title_changed.emit(self.title)

    def _selected(self) -> None:
        row = self._current()
        if row is not None:
            self._jobs.ask_take_ups(row.key)
        self._show_job()

    def _job_changed(self, key: str) -> None:
        row = self._current()
        if row is not None and row.key == key:
            if row.update.has_ended and self.isVisible():
                self._jobs.ask_take_ups(key)
            self._show_job()

    def _show_job(self) -> None:
        row = self._current()
        self._show_text(row)
        for button, reason, tip in (
            (self.follow_button, *self._why_not_follow(row)),
            (self.cancel_job_button, *self._why_not_cancel(row)),
            (self.report_button, *self._why_not_report(row)),
            (self.take_up_button, *self._why_not_take_up(row)),
            (self.copy_button, *self._why_not_copy(row)),
            (self.remove_button, *self._why_not_remove(row)),
        ):
            button.setEnabled(not reason)
            button.setToolTip(plain_tip(reason or tip))

    def _show_text(self, row: JobRow | None) -> None:
        text = "" if row is None else "\n".join(self._lines(row))
        if text == self.job_text_view.toPlainText():
            return
        bar = self.job_text_view.verticalScrollBar()
        is_log = row is not None and row.care in TAKEN  # of which the last lines are the new ones
        goes_on = is_log and row.key == self._shown and bar.value() == bar.maximum()
        before = bar.value() if row is not None and row.key == self._shown else 0
        self._shown = "" if row is None else row.key
        self.job_text_view.setPlainText(text)
        bar.setValue(bar.maximum() if goes_on else before)

    def _lines(self, row: JobRow) -> list[str]:
        """All that is known of a job, what matters most first."""
        title, *lines = messages.job_lines(row.update)
        news = [each for each in (self._jobs.came_of(row.key), row.trouble) if each]
        return [title, *news, *lines, *self._jobs.told(row.key)]

    # Why a button is of no use now, as a sentence, "" where it is; and what it does

    def _why_not_follow(self, row: JobRow | None) -> tuple[str, str]:
        tip = self.tr("Follow the job to its end, and have the site do what it was not asked for")
        if row is None:
            return self._nothing_selected(), tip
        if row.care in TAKEN:
            return self.tr("It is followed already."), tip
        return (self.tr("It has ended.") if row.update.has_ended else ""), tip

    def _why_not_cancel(self, row: JobRow | None) -> tuple[str, str]:
        tip = self.tr("Cancel the job on its site; tiles that are finished stay")
        if row is None:
            return self._nothing_selected(), tip
        if row.care is Care.CANCELLING:
            return self.tr("It is being cancelled."), tip
        return (self.tr("It has ended.") if row.update.has_ended else ""), tip

    def _why_not_report(self, row: JobRow | None) -> tuple[str, str]:
        tip = self.tr("Ask the site what came of the job, in numbers")
        if row is None:
            return self._nothing_selected(), tip
        return ("" if row.update.has_ended else self.tr("It has not ended.")), tip

    def _why_not_take_up(self, row: JobRow | None) -> tuple[str, str]:
        tip = self.tr("Have the site go on with the job, or do again what failed in it")
        offered = self._jobs.take_ups(row.key) if row is not None else ()
        for how, action in self._take_up_actions.items():
            action.setVisible(how in (offered or ()))
        if row is None:
            return self._nothing_selected(), tip
        if row.care in TAKEN or not row.update.has_ended:
            return self.tr("It has not ended."), tip
        if offered is None:
            return self.tr("The site was not asked yet whether it offers that."), tip
        return ("" if offered else self.tr("The site does not offer that for this job.")), tip

    def _why_not_copy(self, row: JobRow | None) -> tuple[str, str]:
        if row is None:
            return self._nothing_selected(), ""
        addresses = row.update.job_urls
        if not addresses:
            return self.tr("It has no address yet."), ""
        return "", self.tr("Copy {address}").format(address=addresses[-1])

    def _why_not_remove(self, row: JobRow | None) -> tuple[str, str]:
        tip = self.tr("Take the job off this list; on its site, nothing is changed")
        if row is None:
            return self._nothing_selected(), tip
        is_taken = row.care in TAKEN
        return (self.tr("It is being followed: wait for its end.") if is_taken else ""), tip

    def _nothing_selected(self) -> str:
        return self.tr("Select a job first.")

    # What the buttons do

    def _follow(self) -> None:
        self._jobs.follow(self._current().key)

    def _cancel(self) -> None:
        self._jobs.cancel(self._current().key)

    def _report(self) -> None:
        self._jobs.report(self._current().key)

    def _take_up(self, how: TakeUp, _is_checked: bool = False) -> None:
        row = self._current()
        if row is not None:
            self._jobs.follow(row.key, how)

    def _copy(self) -> None:
        QgsApplication.clipboard().setText(self._address(self._current()))

    def _address(self, row: JobRow) -> str:
        """The addresses of its jobs, one in a line."""
        return "\n".join(row.update.job_urls)

    def _remove(self) -> None:
        row = self._current()
        if row.update.has_ended:
            self._jobs.forget(row.key)
            return
        self._question = self._make_question(row)
        self._question.open()

    def _make_question(self, row: JobRow) -> WarningQuestion:
        """Whether one that has not ended shall be forgotten."""
        text = self.tr("Remove {title} from the list, though it has not ended?")
        question = WarningQuestion(self.tr("Remove Job"), self)
        question.setObjectName("remove_question")
        question.setText(text.format(title=messages.job_title(row.update)))
        question.setInformativeText(
            self.tr("The site goes on with it, and QGIS will not know its address any more.")
        )
        yes = question.button(QMessageBox.StandardButton.Yes)
        yes.clicked.connect(partial(self._removed, row.key))
        return question

    def _removed(self, key: str, _is_checked: bool = False) -> None:
        self._jobs.forget(key)
