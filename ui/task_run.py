"""Work in a task that is followed to its end: at most one, which outlives the dialog's closing."""

from __future__ import annotations

from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..plugin.host import tasks
from .latest_task import LatestTask

UNLOADING_MS = 3000
"""How long the plugin waits for its last task to end before its code is taken away."""


class TaskRun(QObject):
    """Carries a plan out in a task. One of the signals tells the end, exactly once per plan.

    `reported` carries the report, `failed` the error; `cancelled` that nothing was done.
    """

    progressed = pyqtSignal(float)
    message_received = pyqtSignal(object)
    reported = pyqtSignal(object)
    failed = pyqtSignal(object)
    cancelled = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._task = LatestTask()

    @property
    def is_running(self) -> bool:
        """Whether work is under way."""
        return self._task.is_running

    def start(self, plan: object) -> None:
        """Start `plan`, which is counted. Raises TileCacheError where it cannot begin."""
        raise NotImplementedError

    def follow(self, task: tasks.Task) -> None:
        """Start `task` and tell what it tells."""
        task.progressChanged.connect(self.progressed)
        task.message_received.connect(self.message_received)
        answers = {
            "reported": self.reported.emit,
            "failed": self.failed.emit,
            "cancelled": self.cancelled.emit,
        }
        self._task.start(task, answers)

    def cancel(self) -> None:
        """Ask the work to stop; its end is told as any other."""
        self._task.cancel()

    def unload(self) -> None:
        """End the work; its end is not told. What is done of it can be gone on with."""
        task = self._task.release()
        if task is not None:
            task.cancel()
            task.waitForFinished(UNLOADING_MS)
