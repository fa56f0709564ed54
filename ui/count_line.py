"""The line that says how many tiles the form is about, and what they will take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtWidgets import QLabel, QPushButton

from ..plugin.host import messages, tasks
from .latest_task import LatestTask
from .tile_counter import TileCounter


class CountLine(QObject):
    """Keeps the line in `label` true to the form: numbers, then the estimate asked for.

    An estimate is of the form as it was: it goes with the next change of the form. While it is made
    `button`, else there to ask for one, stops it. `estimated` carries what the task has estimated,
    () where there is no estimate any more.
    """

    failed = pyqtSignal(object)
    estimated = pyqtSignal(object)

    def __init__(self, label: QLabel, button: QPushButton, counter: TileCounter) -> None:
        super().__init__(label)
        self._label = label
        self._button = button
        self._button_text, self._button_tip = button.text(), button.toolTip()
        self._counter = counter
        self._task = LatestTask()
        self._count = ""
        self._estimate = ""
        self._said: Callable[[Any], str] = messages.estimate_text

    @property
    def is_estimating(self) -> bool:
        """Whether an estimate is on its way."""
        return self._task.is_running

    def show(self, description: object, scales: int) -> None:
        """Show the numbers by now, with so many `scales` ticked; of no cache: what to do first."""
        self._count = self._count_text(description is not None, scales)
        self._show()

    def say(self, text: str) -> None:
        """Show `text` in place of numbers."""
        self._count = text
        self._show()

    @property
    def estimate_text(self) -> str:
        """The estimate of what the form says, as a sentence; "" where there is none yet."""
        return "" if self.is_estimating else self._estimate

    def estimate(
        self, task: tasks.Task, said: Callable[[Any], str] = messages.estimate_text
    ) -> None:
        """Have `task`, which has a signal `estimated`, estimate what the form says.

        `said`: words for what the signal carries. Failing is told by `failed`.
        """
        self.forget_estimate()
        self._said = said
        answers = {"estimated": self._estimated, "failed": self._failed, "cancelled": self._end}
        task.progressChanged.connect(self._progressed)
        self._task.start(task, answers)
        self._show_button(is_estimating=True)
        self._progressed(0)

    def forget_estimate(self) -> None:
        """The form has changed: what was estimated is of no use any more."""
        self._task.drop()
        self._end()

    def count_text(self, tiles: int | None, scales: int) -> str:
        """A sentence for the number of tiles on so many ticked scales; None: it is not known."""
        if tiles is None:
            return self.tr("The number of tiles is not known, because the full extent is not.")
        if scales == 1:
            text = (
                self.tr("1 tile at 1 scale.")
                if tiles == 1
                else self.tr("{tiles} tiles at 1 scale.")
            )
            return text.format(tiles=messages.number_text(tiles))
        text = self.tr("{tiles} tiles at {scales} scales.")
        return text.format(tiles=messages.number_text(tiles), scales=scales)

    def _progressed(self, percent: float) -> None:
        if self.is_estimating:
            text = self.tr("Estimating from a few tiles… {percent} %")
            self._estimate = text.format(percent=round(percent))
            self._show()

    def _estimated(self, estimates: tuple[Any, ...]) -> None:
        self._end()
        text = self._said(estimates)
        self._estimate = self.tr("Estimated: {estimate}.").format(estimate=text) if text else ""
        self._show()
        self.estimated.emit(estimates)

    def _failed(self, error: Exception) -> None:
        self._end()
        self.failed.emit(error)

    def _end(self) -> None:
        self._estimate = ""
        self._show_button(is_estimating=False)
        self._show()
        self.estimated.emit(())

    def _show_button(self, *, is_estimating: bool) -> None:
        """Let the button stop the estimate that is on its way, else ask for one."""
        self._button.setText(self.tr("Stop") if is_estimating else self._button_text)
        tip = self.tr("Stop the estimate") if is_estimating else self._button_tip
        self._button.setToolTip(tip)

    def _show(self) -> None:
        lines = [line for line in (self._count, self._estimate) if line]
        self._label.setText("\n".join(lines))

    def _count_text(self, is_loaded: bool, scales: int) -> str:
        if not is_loaded:
            return self.tr("Load a service or cache to see the number of tiles.")
        if self._counter.is_counting:
            return self.tr("Counting the tiles…")
        if self._counter.error is not None:
            return self._counter.error_text
        if not scales:
            return self.tr("No scale is ticked.")
        if self._counter.source is None:
            return self.tr("No area yet.")
        return self.count_text(self._counter.total, scales)
