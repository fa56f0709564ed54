"""The line that says how many tiles an update touches, and what it will take."""

from __future__ import annotations

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..plugin.core.errors import TileCacheError
from ..plugin.core.request import LevelEstimate
from ..plugin.host import local_tasks, messages
from .latest_task import LatestTask
from .tile_counter import TileCounter
from .update_panel import UpdatePanel
from .update_run import RunPlan, source_of


class CountLine(QObject):
    """Keeps the update panel's line true to the form: numbers, then the estimate asked for.

    An estimate is of the form as it was: it goes with the next change of the form. While it is made
    the button stops it.
    """

    failed = pyqtSignal(object)

    def __init__(self, panel: UpdatePanel, counter: TileCounter, project: QgsProject) -> None:
        super().__init__(panel)
        self._panel = panel
        self._counter = counter
        self._project = project
        self._task = LatestTask()
        self._count = ""
        self._estimate = ""

    @property
    def is_estimating(self) -> bool:
        """Whether an estimate is on its way."""
        return self._task.is_running

    def show(self, description: object, scales: int) -> None:
        """Show the numbers by now, with so many `scales` ticked; of no cache: what to do first."""
        self._count = self._count_text(description is not None, scales)
        self._show()

    def estimate(self, plan: RunPlan) -> None:
        """Estimate what `plan`, which is counted, would take. Failing is told by `failed`."""
        self.forget_estimate()
        try:
            source = source_of(plan, self._project)
        except TileCacheError as error:
            self.failed.emit(error)
            return
        task = local_tasks.EstimateTask(
            plan.description,
            levels=plan.levels,
            mode=plan.mode,
            area=plan.counted.area,
            source=source,
            tile_filter=plan.tile_filter,
        )
        answers = {"estimated": self._estimated, "failed": self._failed, "cancelled": self._end}
        task.progressChanged.connect(self._progressed)
        self._task.start(task, answers)
        self._panel.show_estimating(True)
        self._progressed(0)

    def forget_estimate(self) -> None:
        """The form has changed: what was estimated is of no use any more."""
        self._task.drop()
        self._end()

    def _progressed(self, percent: float) -> None:
        if self.is_estimating:
            text = self.tr("Estimating from a few tiles… {percent} %")
            self._estimate = text.format(percent=round(percent))
            self._show()

    def _estimated(self, estimates: tuple[LevelEstimate, ...]) -> None:
        self._end()
        text = messages.estimate_text(estimates)
        self._estimate = self.tr("Estimated: {estimate}.").format(estimate=text) if text else ""
        self._show()

    def _failed(self, error: Exception) -> None:
        self._end()
        self.failed.emit(error)

    def _end(self) -> None:
        self._estimate = ""
        self._panel.show_estimating(False)
        self._show()

    def _show(self) -> None:
        lines = [line for line in (self._count, self._estimate) if line]
        self._panel.show_count("\n".join(lines))

    def _count_text(self, is_loaded: bool, scales: int) -> str:
        if not is_loaded:
            return self.tr("Load a service or cache to see the number of tiles.")
        if self._counter.is_counting:
            return self.tr("Counting the tiles…")
        if self._counter.error is not None:
            return messages.sentence(self._counter.error)
        if not scales:
            return self.tr("No scale is ticked.")
        if self._counter.source is None:
            return self.tr("No area yet.")
        return self._panel.count_text(self._counter.total, scales)
