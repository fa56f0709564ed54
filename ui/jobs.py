"""The recorded updates on sites: listed, watched, followed, cancelled, taken up, forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from qgis.core import Qgis
from qgis.gui import QgsMessageBar
from qgis.PyQt.QtCore import QModelIndex, QObject, pyqtSignal

from ..plugin.core.errors import FollowedElsewhere, JobStalled, TileCacheError
from ..plugin.core.jobs import RecordedUpdate
from ..plugin.core.request import Message, Outcome, UpdateReport
from ..plugin.core.site_update import PartState, SiteUpdate, TakeUp
from ..plugin.host import job_record, job_tasks, messages, tasks
from .job_follow import JobFollow
from .job_watch import JobWatch
from .jobs_model import TAKEN, Care, JobsModel
from .latest_task import LatestTask
from .notices import Notice
from .task_run import UNLOADING_MS

JOB_NOTICE = "tile_cache_job_notice"
"""Name of the lines in QGIS's message bar that tell of jobs."""
ENDS_TOLD = 3
"""So many updates that have ended are told one by one; of more, only how many."""

_BEGINNING = frozenset({PartState.WAITING, PartState.UNCLEAR})
"""Parts that a site would begin with, were the update followed."""
_LEVELS = {PartState.DONE: Qgis.MessageLevel.Success, PartState.FAILED: Qgis.MessageLevel.Critical}


class Jobs(QObject):
    """One list for all of QGIS, from its start until the plugin is unloaded.

    What ran on a site as QGIS started is followed again, once the site has told that it still does,
    unless following it would have the site do more. What else runs without anybody following it is
    looked at now and then, and its end told in QGIS's message bar.
    `changed` carries the key of an update of which there is something new to read. `wanted`: a
    person wants to see the list.
    """

    changed = pyqtSignal(str)
    wanted = pyqtSignal()

    def __init__(self, qgis_bar: QgsMessageBar, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.model = JobsModel(self)
        self._qgis_bar = qgis_bar
        self._watch = JobWatch(self.model, self)
        self._reading = LatestTask()
        self._follows: dict[str, JobFollow] = {}
        self._deeds: dict[str, LatestTask] = {}
        self._asking = LatestTask()
        self._offers: dict[str, tuple[float, tuple[TakeUp, ...]]] = {}
        self._reports: dict[str, str] = {}
        self._here: set[str] = set()
        self._ended: list[SiteUpdate] = []
        self._has_begun = False
        self._left_before: set[str] = set()
        self._quiet: set[str] = set()
        self._is_close = False
        self._watch.looked.connect(self._looked)
        self._watch.seen.connect(self._follow_again)
        self._watch.stalled.connect(self._tell_error)
        self.model.dataChanged.connect(self._rows_changed)
        self._news = job_record.news()
        self._news.kept.connect(self._kept)
        self._news.begun.connect(self._begun)
        self._news.progressed.connect(self._progressed)
        self._news.ended.connect(self._let_go)

    def begin(self) -> None:
        """Read the record and see after what has not ended. To be called as QGIS starts.

        Asks no person anything; what takes one is told in the message bar.
        """
        if not self._has_begun:
            self._has_begun = True
            self._read(self._note_who_was_left)

    def watch_closely(self, is_close: bool) -> None:
        """Read the record anew and look often from now on; or, where not `is_close`, now and then.

        For as long as somebody has the list before their eyes.
        """
        self._is_close = is_close
        if is_close:
            self._withdraw("")
            self._watch.try_again()
            self._read(lambda: None)
        else:
            self._watch.set_close(False)

    def unload(self) -> None:
        """See after nothing any more. What runs on a site goes on there."""
        self._news.kept.disconnect(self._kept)
        self._news.begun.disconnect(self._begun)
        self._news.ended.disconnect(self._let_go)
        self._watch.stop()
        for task in (self._reading, self._asking, *self._deeds.values()):
            task.drop()
        _end(each.release() for each in self._follows.values())

    # What a person can read

    def told(self, key: str) -> tuple[str, ...]:
        """What an update has told while it was followed."""
        follow = self._follows.get(key)
        return () if follow is None else tuple(follow.told)

    def came_of(self, key: str) -> str:
        """What came of an update, or of what was last done with it here; "" where nothing has."""
        return self._reports.get(key, "")

    def take_ups(self, key: str) -> tuple[TakeUp, ...] | None:
        """How an ended update can be taken up; None where that is not known (yet)."""
        row, (changed, found) = self.model.row(key), self._offers.get(key, (-1.0, ()))
        return found if row is not None and changed == row.update.changed else None

    # What a person can do

    def follow(self, key: str, how: TakeUp | None = None, *, is_quiet: bool = False) -> None:
        """Follow an update to its end, and have the site do what it was not asked for yet.

        `how`: it has ended, and is taken up so. QGIS may ask for the master password.
        `is_quiet`: no person has asked for it.
        """
        door = self._door(key)
        if door is None:
            return
        follow = self._follows.get(key)
        if follow is None:
            follow = self._follows[key] = JobFollow(key, self)
            follow.message_received.connect(partial(self._something_new, key))
            follow.reported.connect(partial(self._reported, key))
            follow.failed.connect(partial(self._failed, key))
            follow.cancelled.connect(partial(self._left_alone, key))
        self._reports.pop(key, None)
        self.model.change(key, care=Care.FOLLOWED, note="", trouble="", followed_percent=None)
        self._quiet.discard(key)
        if is_quiet:
            self._quiet.add(key)
        follow.begin(door, how, is_quiet)

    def cancel(self, key: str) -> None:
        """Cancel an update on its site, also what of it was not begun."""
        follow = self._follows.get(key)
        if follow is not None and follow.is_running:
            self.model.change(key, care=Care.CANCELLING)
            follow.cancel()
            return
        door = self._door(key)
        if door is not None:
            self.model.change(key, care=Care.CANCELLING, note="", trouble="")
            self._do(key, job_tasks.CancelTask(door), ended=partial(self._cancelled, key))

    def report(self, key: str) -> None:
        """Ask the site once more what came of an ended update."""
        door = self._door(key)
        if door is not None:
            self._reports[key] = self.tr("Asking the site…")
            self.changed.emit(key)
            self._do(key, job_tasks.ReportTask(door), reported=partial(self._reported_again, key))

    def forget(self, key: str) -> None:
        """Take an update off the list and the record; its site is not told."""
        self._watch.pause()
        self._do(key, job_tasks.ForgetTask(key), forgotten=self._forgotten)

    def ask_take_ups(self, key: str) -> None:
        """Ask the site how the update can be taken up, where that is not known and it has ended.

        Asks no person for a password.
        """
        self._asking.drop()
        row = self.model.row(key)
        if row is None or not row.update.has_ended or row.care in TAKEN:
            return
        if self.take_ups(key) is not None or job_tasks.is_locked(row.recorded):
            return
        try:
            task = job_tasks.TakeUpsTask(job_tasks.door_to(row.recorded))
        except TileCacheError:
            return  # a person who follows it is told
        changed = row.update.changed
        answers = {
            "offered": partial(self._offered, key, changed),
            "failed": partial(self._not_offered, key, changed),
            "cancelled": self._nothing,
        }
        self._asking.start(task, answers)

    # The record

    def _read(self, then: Callable[[], None]) -> None:
        answers = {
            "recorded": partial(self._recorded, then),
            "failed": self._tell_error,
            "cancelled": self._nothing,
        }
        self._reading.start(job_tasks.RecordTask(), answers)

    def _recorded(self, then: Callable[[], None], recorded: tuple[RecordedUpdate, ...]) -> None:
        self.model.set_all(recorded)
        self._watch.start(is_close=self._is_close)
        then()

    def _note_who_was_left(self) -> None:
        """Follow again, later, what QGIS left to its site; tell of what takes a person."""
        self._left_before = {row.key for row in self.model.rows if row.runs}
        waiting = [
            row
            for row in self.model.rows
            if not row.update.has_ended
            and row.care not in TAKEN
            and (row.care is Care.LOCKED or not row.runs or row.note)
        ]
        if waiting:
            sentence = messages.jobs_waiting_sentence(len(waiting))
            self._tell(sentence, Qgis.MessageLevel.Info)

    def _follow_again(self, key: str) -> None:
        row = self.model.row(key)
        if row is None or key not in self._left_before:
            return
        self._left_before.discard(key)
        asks_for_more = {part.state for part in row.update.parts} & _BEGINNING
        if row.runs and not asks_for_more:
            self.follow(key, is_quiet=True)

    def _kept(self, update: SiteUpdate, auth_config_id: str) -> None:
        before = self.model.row(update.key)
        self.model.put(RecordedUpdate(update, auth_config_id))
        if before is None:
            if update.key in self._here:
                self.model.change(update.key, care=Care.HERE)
        elif before.runs and before.care not in TAKEN and not self.model.row(update.key).runs:
            self._ended.append(update)
        self.changed.emit(update.key)

    def _begun(self, key: str) -> None:
        self._here.add(key)
        row = self.model.row(key)
        if row is not None and row.care not in TAKEN:
            self.model.change(key, care=Care.HERE, note="", trouble="")

    def _let_go(self, key: str) -> None:
        self._here.discard(key)
        row = self.model.row(key)
        if row is not None and row.care is Care.HERE:
            self.model.change(key, care=Care.NOBODY)

    def _forgotten(self, key: str) -> None:
        self._reports.pop(key, None)
        self.model.remove(key)

    def _rows_changed(self, first: QModelIndex, last: QModelIndex) -> None:
        for row in self.model.rows[first.row() : last.row() + 1]:
            self.changed.emit(row.key)

    # How it goes

    def _door(self, key: str) -> job_tasks.Door | None:
        """The way to its site; None, which is told, where a person cannot be signed in."""
        self._watch.pause()
        row = self.model.row(key)
        if row is None:
            return None
        try:
            return job_tasks.door_to(row.recorded)
        except TileCacheError as error:
            self._failed(key, error)
            return None

    def _do(self, key: str, task: tasks.Task, **answers: Callable[..., None]) -> None:
        deed = self._deeds.setdefault(key, LatestTask())
        ends = {"failed": partial(self._failed, key), "cancelled": partial(self._left_alone, key)}
        deed.start(task, {**ends, **answers})

    def _progressed(self, key: str, percent: float) -> None:
        self.model.change(key, followed_percent=percent)

    def _something_new(self, key: str, message: Message) -> None:
        if isinstance(message.error, JobStalled):
            self._tell(messages.sentence(message.error), Qgis.MessageLevel.Warning, key)
        self.changed.emit(key)

    def _reported(self, key: str, report: UpdateReport) -> None:
        went_well = report.outcome in (Outcome.DONE, Outcome.SUBMITTED)
        level = Qgis.MessageLevel.Success if went_well else Qgis.MessageLevel.Warning
        self._left_alone(key)
        self._reported_again(key, report)
        self._tell(messages.report_sentence(report), level, key)

    def _reported_again(self, key: str, report: UpdateReport) -> None:
        self._reports[key] = messages.report_sentence(report)
        self.changed.emit(key)

    def _cancelled(self, key: str, update: SiteUpdate) -> None:
        self._left_alone(key)
        row = self.model.row(key)
        if row is not None:
            self.model.put(RecordedUpdate(update, row.recorded.auth_config_id))
            level = _LEVELS.get(update.state, Qgis.MessageLevel.Warning)
            self._tell(messages.job_end_sentence(update), level, key)

    def _failed(self, key: str, error: Exception) -> None:
        messages.log_unexpected(error)
        self._left_alone(key)
        if isinstance(error, FollowedElsewhere):
            self.model.change(key, care=Care.ELSEWHERE)
            if key in self._quiet:
                return  # nobody has asked for it
        self._reports[key] = messages.sentence(error)
        self._tell(self._reports[key], Qgis.MessageLevel.Critical, key)
        self.changed.emit(key)

    def _left_alone(self, key: str) -> None:
        """Nobody here is at work on it any more."""
        self._reports.pop(key, None)
        care = Care.HERE if key in self._here else Care.NOBODY
        self.model.change(key, care=care, followed_percent=None)

    def _offered(self, key: str, changed: float, found: tuple[TakeUp, ...]) -> None:
        self._offers[key] = (changed, found)
        self.changed.emit(key)

    def _not_offered(self, key: str, changed: float, _error: Exception) -> None:
        self._offered(key, changed, ())

    def _nothing(self) -> None:
        """QGIS has cancelled it, as it closes."""

    # Telling

    def _looked(self) -> None:
        """Tell what has ended with nobody following it."""
        ended, self._ended = self._ended, []
        if len(ended) > ENDS_TOLD:
            self._tell(messages.jobs_ended_sentence(len(ended)), Qgis.MessageLevel.Info)
            return
        for update in ended:
            level = _LEVELS.get(update.state, Qgis.MessageLevel.Warning)
            self._tell(messages.job_end_sentence(update), level, update.key)

    def _tell_error(self, error: Exception) -> None:
        self._tell(messages.sentence(error), Qgis.MessageLevel.Warning)

    def _tell(self, sentence: str, level: Qgis.MessageLevel, key: str = "") -> None:
        """Say it in QGIS's bar, in place of what was said there of the same update."""
        self._withdraw(key)
        notice = Notice(sentence, level)
        notice.setObjectName(f"{JOB_NOTICE}_{key}")
        self.add_button(notice)
        self._qgis_bar.pushItem(notice)

    def _withdraw(self, key: str) -> None:
        for before in self._qgis_bar.findChildren(Notice, f"{JOB_NOTICE}_{key}"):
            self._qgis_bar.popWidget(before)

    def add_button(self, notice: Notice) -> None:
        """Let a line in a message bar lead to the list."""
        notice.add_button("show_jobs_button", self.tr("Show Jobs")).clicked.connect(self.wanted)


def _end(found: Iterable[tasks.Task | None]) -> None:
    """Cancel these tasks, which leaves their work to the sites, and wait for them a while."""
    running = [task for task in found if task is not None]
    for task in running:
        task.cancel()
    for task in running:
        task.waitForFinished(UNLOADING_MS)
