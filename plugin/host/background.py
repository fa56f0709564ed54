"""What all work in QGIS's task manager shares: how it is started, stopped, and tells its end.

Every task ends in exactly one of its signals, on the main thread: in its result, in `failed`, or in
`cancelled` where a cancel left no result. After that the task must not be touched any more: QGIS
deletes it.
"""

from __future__ import annotations

from typing import Any

from qgis.core import Qgis, QgsApplication, QgsTask
from qgis.PyQt.QtCore import QThreadPool, pyqtSignal

from ..core.arcgis.connections import wanted_unless
from ..core.request import Feedback
from . import areas, messages
from .job_record import Keeping
from .text import plain
from .token_thread import waiting_unless

HIDING_FLAGS_SINCE = 32600
"""From this version on, QGIS has tasks that it neither lists nor tells of."""


def _quiet_flags() -> QgsTask.Flags:
    """Of a task that QGIS need not tell people about, and ends without asking as it closes."""
    flags = QgsTask.Flag.CanCancel | QgsTask.Flag.CancelWithoutPrompt
    if HIDING_FLAGS_SINCE <= Qgis.QGIS_VERSION_INT:
        flags |= QgsTask.Flag.Hidden | QgsTask.Flag.Silent
    return flags


def _flags(is_asked_about: bool) -> QgsTask.Flags:
    """Of a task that QGIS lists and tells of."""
    flags = QgsTask.Flag.CanCancel
    return flags if is_asked_about else flags | QgsTask.Flag.CancelWithoutPrompt


def _threads() -> QThreadPool:
    """Those in which QGIS runs tasks."""
    manager = QgsApplication.taskManager()  # later versions have a pool for tasks alone
    has_own = hasattr(manager, "threadPool")
    return manager.threadPool() if has_own else QThreadPool.globalInstance()


class Task(QgsTask):
    """What all tasks share: `work` in the task's thread, then one signal on the main thread.

    `is_quiet`: it is the form's own business. QGIS neither lists it nor tells of its end nor asks
    about it as it closes, as far as the version can do without. `is_asked_about`: of another one,
    whether QGIS asks a person before it cancels it as it closes.
    """

    failed = pyqtSignal(object)
    cancelled = pyqtSignal()

    def __init__(self, title: str, *, is_quiet: bool = True, is_asked_about: bool = True) -> None:
        flags = _quiet_flags() if is_quiet else _flags(is_asked_about)
        super().__init__(plain(title), flags)  # QGIS reads it as mark-up where it can
        self._is_quiet = is_quiet
        self._has_begun = False
        self._outcome: tuple[Any, object] | None = None
        # Not in finished(): that is not called for a task that was cancelled before its start.
        self.taskCompleted.connect(self._tell)
        self.taskTerminated.connect(self._tell)

    def work(self) -> tuple[Any, object]:
        """Do the work and give the signal to end with and what it carries. In the task's thread."""
        raise NotImplementedError

    def let_go_unused(self) -> None:
        """Let go of what was made for the work, which was cancelled before it began."""

    def stop(self) -> None:
        """End the work itself: what a person means who cancels it. Main thread."""
        self.cancel()

    @property
    def has_begun(self) -> bool:
        """Whether its work has begun, or is even through."""
        return self._has_begun

    # QgsTask

    def run(self) -> bool:
        """Of a quiet task always true: QGIS 3.22 logs every other end as a failed task."""
        self._has_begun = True
        try:
            with waiting_unless(self.isCanceled), wanted_unless(self._is_unanswered):
                self._outcome = self.work()
        except areas.Cancelled:
            return self._is_quiet
        except Exception as error:  # an exception that leaves run() ends QGIS
            messages.log_unexpected(error)
            self._outcome = (self.failed, error)
            return self._is_quiet
        return self._is_quiet or not self.isCanceled()

    # ours

    def _tell(self) -> None:
        if not self.has_begun:
            self.let_go_unused()
        if self._outcome is None:
            self.cancelled.emit()
        else:
            signal, result = self._outcome
            signal.emit(result)

    def _is_unanswered(self) -> bool:
        """Whether nobody waits any more for what it asks. Any thread.

        QGIS does not end before its threads have, and a site may be silent for long. One that is
        not quiet may still have to cancel a job: its answers are waited for.
        """
        return self._is_quiet and self.isCanceled()

    def _stop_if_cancelled(self) -> None:
        if self.isCanceled():
            raise areas.Cancelled()


class FollowingTask(Task):
    """Work that, where it `is_at_site`, the site goes on with when nobody follows it any more.

    QGIS cancels tasks as it closes, and from its list of them: that leaves the work to the site,
    and QGIS need not ask anybody. What cancels it there is `stop`. `is_quiet`: as of Task.
    """

    message_received = pyqtSignal(object)
    reported = pyqtSignal(object)

    def __init__(self, title: str, *, is_at_site: bool, is_quiet: bool = False) -> None:
        super().__init__(title, is_quiet=is_quiet, is_asked_about=not is_at_site)
        self._is_at_site = is_at_site
        self._is_let_go = False

    def let_go(self) -> None:
        """End now without cancelling the job: the site goes on with it. Main thread.

        It ends in `reported`, with the job's address; where nothing was sent yet, as if cancelled.
        On this computer nobody goes on with it: it stops as if cancelled, and can be resumed.
        """
        self._is_let_go = True

    def stop(self) -> None:
        super().cancel()

    # QgsTask

    def run(self) -> bool:
        """That of a site waits nearly all of the time, for days: it takes no thread from others.

        QGIS has as many threads as the computer has cores, also for what draws the map.
        """
        if not self._is_at_site:
            return super().run()
        pool = _threads()
        pool.releaseThread()
        try:
            return super().run()
        finally:
            pool.reserveThread()

    def cancel(self) -> None:
        """What QGIS calls."""
        if self._is_at_site:
            self.let_go()
        super().cancel()

    # ours

    def _feedback(self, keep: Keeping) -> Feedback:
        """How the work speaks and listens."""

        def progress(percent: float) -> None:
            self.setProgress(percent)
            keep.tell_progress(percent)

        return Feedback(
            progress=progress,
            cancelled=self._is_cancelled,
            message=self.message_received.emit,
            abandoned=lambda: self._is_let_go,
            keep=keep,
        )

    def _is_cancelled(self) -> bool:
        """Whether the work is to stop; that of a site not any more once it was let go."""
        if not self._is_at_site:
            return self._is_unwanted()
        return self.isCanceled() and not self._is_let_go

    def _is_unanswered(self) -> bool:
        return self._is_at_site and self._is_let_go

    def _is_unwanted(self) -> bool:
        return self.isCanceled() or self._is_let_go

    def _stop_if_unwanted(self) -> None:
        if self._is_unwanted():
            raise areas.Cancelled()


def start(task: Task, kept: list[Task]) -> None:
    """Hand `task` to QGIS and keep it in `kept` until its end. Main thread.

    Without a reference from here, Python would delete it before it ran. On unload, cancel all that
    is in `kept`. A task that was cancelled already has ended: it is not started.
    """
    if task.isCanceled():
        return
    kept.append(task)

    def let_go() -> None:
        if task in kept:
            kept.remove(task)

    task.taskCompleted.connect(let_go)
    task.taskTerminated.connect(let_go)
    QgsApplication.taskManager().addTask(task)
