"""Background work of which only the latest counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..plugin.host import tasks


class LatestTask:
    """Runs one task at a time for an owner; what a task says after the next was started is dropped.

    So no answer to an earlier form reaches the later one, and none reaches an owner that is gone.
    Several owners may wait for the same task: it is cancelled when the last one has lost interest.
    """

    def __init__(self) -> None:
        self._task: tasks.Task | None = None
        self._kept: list[tasks.Task] = []
        self._answers: dict[str, Callable[..., None]] = {}
        self._waiting: list[LatestTask] = []

    @property
    def is_running(self) -> bool:
        """Whether the latest task is still to end."""
        return self._task is not None

    def start(self, task: tasks.Task, answers: dict[str, Callable[..., None]]) -> None:
        """Start `task`. `answers`: what to call when it ends, by the names of its signals."""
        self._wait_for(task, [], answers)
        tasks.start(task, self._kept)

    def join(self, other: LatestTask, answers: dict[str, Callable[..., None]]) -> None:
        """Wait for the task that `other` waits for, which must be running, with own `answers`."""
        self._wait_for(other._task, other._waiting, answers)

    def cancel(self) -> None:
        """Ask the task to stop; how it ended is told all the same.

        One that others wait for goes on for them, and is told here as cancelled.
        """
        if self._waiting == [self]:
            self._task.stop()
        elif self._task is not None:
            self.release()
            self._answers["cancelled"]()

    def drop(self) -> None:
        """Hear no more of the task; it is cancelled unless others wait for it."""
        task = self.release()
        if task is not None and not self._waiting:
            task.cancel()

    def release(self) -> tasks.Task | None:
        """Hear no more of the task, which goes on; None where there is none."""
        task, self._task = self._task, None
        if task is not None:
            self._waiting.remove(self)
        return task

    def _wait_for(
        self,
        task: tasks.Task,
        waiting: list[LatestTask],
        answers: dict[str, Callable[..., None]],
    ) -> None:
        self.drop()
        self._task, self._waiting, self._answers = task, waiting, answers
        waiting.append(self)
        for name, answer in answers.items():
            self._connect_end(task, getattr(task, name), answer)

    def _connect_end(self, task: tasks.Task, signal: Any, answer: Callable[..., None]) -> None:
        def end(*result: object) -> None:
            if task is self._task:
                self.release()
                answer(*result)

        signal.connect(end)
