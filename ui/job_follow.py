"""One recorded update that is followed, and what it has told meanwhile."""

from __future__ import annotations

from collections import deque

from qgis.PyQt.QtCore import QObject

from ..plugin.core.request import Message
from ..plugin.core.site_update import TakeUp
from ..plugin.host import job_tasks, messages, tasks
from .task_run import TaskRun

MESSAGES_KEPT = 500


class JobFollow(TaskRun):
    """Follows the update with that `key` in a task. `told`: the last of its messages, as lines."""

    def __init__(self, key: str, parent: QObject) -> None:
        super().__init__(parent)
        self.key = key
        self.told: deque[str] = deque(maxlen=MESSAGES_KEPT)
        self.message_received.connect(self._note)

    def begin(self, door: job_tasks.Door, how: TakeUp | None, is_quiet: bool) -> None:
        """Start following; `how`: it has ended, and is taken up so. `is_quiet`: nobody asked to."""
        self.follow(job_tasks.CarryOnTask(door, how, is_quiet=is_quiet))

    def release(self) -> tasks.Task | None:
        """Hear no more of the task, which goes on; None where there is none."""
        return self._task.release()

    def _note(self, message: Message) -> None:
        self.told.append(messages.message_text(message))
