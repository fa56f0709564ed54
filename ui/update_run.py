"""What a filled form asks for, and the update that carries it out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QObject

from ..plugin.core.arcgis.transport import Transport
from ..plugin.core.description import CacheDescription
from ..plugin.core.local.source import TileSource
from ..plugin.core.request import (
    ALARM_SECONDS,
    SITE_DECIDES,
    HostedOptions,
    Resume,
    TileFilter,
    UpdateMode,
)
from ..plugin.core.storage.sidecar import CacheSettings
from ..plugin.core.tiling import Level
from ..plugin.host import areas, messages, network, sign_in, sources, tasks
from .task_run import UNLOADING_MS, TaskRun
from .tile_counter import total_tiles


@dataclass(frozen=True)
class RunPlan:
    """What a filled form asks for.

    `counted`: its area, and how many tiles that touches; None while that is being worked out.
    `source`, `tile_filter`, `resume`: of an update on this computer; see `host/sources`.
    `hosted`, `isolates_failures`, `alarm_seconds`: of an update on a site; see UpdateRequest.
    """

    description: CacheDescription
    auth_config_id: str
    levels: tuple[Level, ...]
    mode: UpdateMode
    instances: int
    waits: bool
    counted: areas.Counted | None
    source: str = ""
    tile_filter: TileFilter = field(default_factory=TileFilter)
    resume: Resume = Resume.AUTO
    hosted: HostedOptions = field(default_factory=HostedOptions)
    isolates_failures: bool = False
    alarm_seconds: float = ALARM_SECONDS

    @classmethod
    def taking_up(cls, description: CacheDescription, how: Resume, source: str) -> RunPlan:
        """What the unfinished update of `description` left: its own record knows the area."""
        run = description.unfinished
        return cls(
            description=description,
            auth_config_id="",
            levels=tuple(each for each in description.scheme.levels if each.id in run.level_ids),
            mode=run.mode,
            instances=SITE_DECIDES,
            waits=True,
            counted=areas.Counted({}, None),
            source=source,
            resume=how,
        )

    @property
    def takes_up(self) -> bool:
        """Whether it goes on with an earlier update, to which a person has agreed then."""
        return self.resume in (Resume.CONTINUE, Resume.FAILED)

    @property
    def is_local(self) -> bool:
        """Whether it is done on this computer."""
        return self.description.is_local

    @property
    def settings(self) -> CacheSettings | None:
        """What a cache on this computer remembers of the update; None where nothing is drawn."""
        if not self.description.is_local or self.mode is UpdateMode.DELETE:
            return None
        return CacheSettings(self.source, self.description.background)

    @property
    def tiles(self) -> int | None:
        """How many tiles the area touches; None where that is not known."""
        return None if self.counted is None else total_tiles(self.levels, self.counted.tiles)

    @property
    def title(self) -> str:
        """The service and what happens to it, as the task manager lists the update."""
        text = messages.tr("{service}: {mode}")
        return text.format(service=self.description.name, mode=messages.mode_text(self.mode))


class UpdateRun(TaskRun):
    """Carries out an update."""

    def __init__(self, project: QgsProject, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._project = project
        self._is_local = False

    def start(self, plan: RunPlan) -> None:
        """Start `plan`, which is counted.

        Raises TileCacheError where its sign-in cannot be read, or its source not be drawn.
        """
        self._is_local = plan.is_local
        task = tasks.UpdateTask(
            plan.title,
            plan.description.address,
            description=plan.description,
            auth_config_id=plan.auth_config_id,
            credentials=None if self._is_local else sign_in.credentials(plan.auth_config_id),
            transport=None if self._is_local else _transport(plan),
            levels=plan.levels,
            mode=plan.mode,
            area=plan.counted.area,
            instances=plan.instances,
            wait=plan.waits,
            source=source_of(plan, self._project),
            tile_filter=plan.tile_filter,
            resume=plan.resume,
            settings=plan.settings,
            hosted=plan.hosted,
            isolates_failures=plan.isolates_failures,
            alarm_seconds=plan.alarm_seconds,
        )
        self.follow(task)

    def unload(self) -> None:
        """End following the update; its end is not told.

        A job goes on at its site; an update on this computer stops, and can be resumed.
        """
        task = self._task.release()
        if task is None:
            return
        if not self._is_local:
            task.let_go()
        # Who waits for a task that QGIS has still to start waits for ever: it is started from here.
        if self._is_local or not task.has_begun:
            task.cancel()
        task.waitForFinished(UNLOADING_MS)


def _transport(plan: RunPlan) -> Transport:
    """How the site of `plan` is reached. Main thread. Raises SignInUnusable."""
    return network.transport(plan.auth_config_id, plan.description.address)


def source_of(plan: RunPlan, project: QgsProject) -> TileSource | None:
    """What the tiles of `plan` are drawn from, copied from `project` as it is now. Main thread.

    None where nothing is drawn here. Raises NothingToDraw.
    """
    settings = plan.settings
    if settings is None:
        return None
    return sources.make_source(plan.source, project, settings, Path(plan.description.address))
