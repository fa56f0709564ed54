"""Background work of which only the latest counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..plugin.host import tasks


class LatestTask:
    """Runs one task at a time for an owner; what a task says after the next was started is dropped.

    So no answer to an earlier form reaches the later one, and none reaches an owner that is gone.
    """

    def __init__(self) -> None:
        self._task: tasks.Task | None = None
        self._kept: list[tasks.Task] = []

    @property
    def is_running(self) -> bool:
        """Whether the latest task is still to end."""
        return self._task is not None

    def start(self, task: tasks.Task, answers: dict[str, Callable[..., None]]) -> None:
        """Start `task`. `answers`: what to call when it ends, by the names of its signals."""
        self.drop()
        self._task = task
        for name, answer in answers.items():
            self._connect_end(task, getattr(task, name), answer)
        tasks.start(task, self._kept)

    def cancel(self) -> None:
        """Ask the task to stop; how it ended is told all the same."""
        if self._task is not None:
            self._task.cancel()

    def drop(self) -> None:
        """Cancel the task and hear no more of it."""
        task = self.release()
        if task is not None:
            task.cancel()

    def release(self) -> tasks.Task | None:
        """Hear no more of the task, which goes on; None where there is none."""
        task, self._task = self._task, None
        return task

    def _connect_end(self, task: tasks.Task, signal: Any, answer: Callable[..., None]) -> None:
        def end(*result: object) -> None:
            if task is self._task:
                self._task = None
                answer(*result)

        signal.connect(end)
