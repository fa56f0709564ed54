"""The update that runs: at most one, which outlives the closing of the dialog."""

from __future__ import annotations

from dataclasses import dataclass

from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..plugin.core.description import CacheDescription
from ..plugin.core.request import UpdateMode
from ..plugin.core.tiling import Level
from ..plugin.host import area_sources, network, sign_in, tasks
from .latest_task import LatestTask

UNLOADING_MS = 3000
"""How long QGIS may be kept waiting at its end while the site is told to stop."""


@dataclass(frozen=True)
class RunPlan:
    """What a filled form asks for.

    `tiles`: how many tiles the area touches, None where nobody can tell.
    """

    description: CacheDescription
    auth_config_id: str
    levels: tuple[Level, ...]
    mode: UpdateMode
    source: area_sources.AreaSource
    instances: int
    waits: bool
    tiles: int | None


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

    def start(self, title: str, plan: RunPlan) -> None:
        """Start `plan`. Raises TileCacheError where its sign-in cannot be read."""
        task = tasks.UpdateTask(
            title,
            plan.description.address,
            description=plan.description,
            credentials=sign_in.credentials(plan.auth_config_id),
            transport=network.transport(),
            levels=plan.levels,
            mode=plan.mode,
            source=plan.source,
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
        """Cancel the update, and give it a moment to tell the site; its end is not told."""
        self._task.drop(UNLOADING_MS)
