"""The update that runs: at most one, which outlives the closing of the dialog."""

from __future__ import annotations

from dataclasses import dataclass

from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..plugin.core.description import CacheDescription
from ..plugin.core.request import UpdateMode
from ..plugin.core.tiling import Level
from ..plugin.host import areas, messages, network, sign_in, tasks
from .latest_task import LatestTask
from .tile_counter import total_tiles

UNLOADING_MS = 3000
"""How long the plugin waits for its last task to end before its code is taken away."""


@dataclass(frozen=True)
class RunPlan:
    """What a filled form asks for.

    `counted`: its area, and how many tiles that touches; None while that is being worked out.
    """

    description: CacheDescription
    auth_config_id: str
    levels: tuple[Level, ...]
    mode: UpdateMode
    instances: int
    waits: bool
    counted: areas.Counted | None

    @property
    def tiles(self) -> int | None:
        """How many tiles the area touches; None where that is not known."""
        return None if self.counted is None else total_tiles(self.levels, self.counted.tiles)

    @property
    def title(self) -> str:
        """The service and what happens to it, as the task manager lists the update."""
        text = messages.tr("{service}: {mode}")
        return text.format(service=self.description.name, mode=messages.mode_text(self.mode))


class UpdateRun(QObject):
    """Carries out a plan in a task. One of the signals tells the end, exactly once per plan.

    `reported` carries the UpdateReport, `failed` the error; `cancelled` that nothing was done.
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
        """Whether an update is under way."""
        return self._task.is_running

    def start(self, plan: RunPlan) -> None:
        """Start `plan`, which is counted.

        Raises TileCacheError where its sign-in cannot be read.
        """
        task = tasks.UpdateTask(
            plan.title,
            plan.description.address,
            description=plan.description,
            credentials=sign_in.credentials(plan.auth_config_id),
            transport=network.transport(),
            levels=plan.levels,
            mode=plan.mode,
            area=plan.counted.area,
            instances=plan.instances,
            wait=plan.waits,
        )
        task.progressChanged.connect(self.progressed)
        task.message_received.connect(self.message_received)
        answers = {
            "reported": self.reported.emit,
            "failed": self.failed.emit,
            "cancelled": self.cancelled.emit,
        }
        self._task.start(task, answers)

    def cancel(self) -> None:
        """Ask the update to stop; its end is told as any other."""
        self._task.cancel()

    def unload(self) -> None:
        """End following the update, whose job goes on at the site; its end is not told."""
        task = self._task.release()
        if task is not None:
            task.let_go()
            task.waitForFinished(UNLOADING_MS)
