"""What a filled export form asks for, and the task that carries it out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..plugin.core.arcgis.address import service_of
from ..plugin.core.arcgis.transport import Transport
from ..plugin.core.description import CacheDescription
from ..plugin.core.export.package_names import target_names
from ..plugin.core.export.request import ExportRequest, ExportWay, Overwrite
from ..plugin.core.local.source import TileSource
from ..plugin.core.storage.creation import SUFFIXES
from ..plugin.core.storage.profile import StorageFormat
from ..plugin.core.storage.sidecar import CacheSettings
from ..plugin.core.tiling import Level
from ..plugin.host import areas, connections, export_tasks, messages, network, sign_in, sources
from .task_run import TaskRun
from .tile_counter import total_tiles


@dataclass(frozen=True)
class ExportPlan:
    """An export of one service or cache.

    `counted`: its area, and how many tiles that touches; None while that is being worked out. For
    the rest see ExportRequest.
    """

    description: CacheDescription
    auth_config_id: str
    levels: tuple[Level, ...]
    counted: areas.Counted | None
    target: Path
    storage: StorageFormat
    overwrite: Overwrite = Overwrite.OVERWRITE
    is_clipped: bool = False
    way: ExportWay = ExportWay.AUTO
    is_owner: bool = False
    draws_missing: bool = False

    @property
    def is_local(self) -> bool:
        """Whether no site has to take it on."""
        return self.description.is_local

    @property
    def tiles(self) -> int | None:
        """How many tiles the area touches; None where that is not known."""
        return None if self.counted is None else total_tiles(self.levels, self.counted.tiles)

    @property
    def title(self) -> str:
        """What is exported to where, as the task manager lists it."""
        text = messages.tr("{service}: Export to {file}")
        return text.format(service=self.description.name, file=self.target.name)

    def transport(self) -> Transport | None:
        """How its site is reached; None for none. Main thread. Raises SignInUnusable."""
        if self.is_local:
            return None
        return network.transport(self.auth_config_id, self.description.address)

    def request(self) -> ExportRequest:
        """What is asked for, once it is counted. Raises LevelsWithoutArea."""
        return ExportRequest(
            scheme=self.description.scheme,
            levels=self.levels,
            areas=self.counted.area,
            target=self.target,
            storage=self.storage,
            overwrite=self.overwrite,
            is_clipped=self.is_clipped,
            way=self.way,
            is_owner=self.is_owner,
            draws_missing=self.draws_missing,
        )


@dataclass(frozen=True)
class QueuePlan:
    """Exports of several services, each to something of its own in `folder`.

    Nothing is counted before each one's turn. `listed`: all services that could have been chosen:
    whatever is chosen of them, no two are called alike, today and when the rest is run.
    `estimate`: a sentence that says what it takes; "" where nobody has asked. `anew`: also what
    was done before; `done`: for how many services that is known.
    """

    services: tuple[connections.NamedService, ...]
    folder: Path
    choices: export_tasks.QueueChoices
    listed: tuple[connections.NamedService, ...] = ()
    estimate: str = ""
    anew: bool = False
    done: int = 0

    is_local = True
    counted = areas.Counted({}, None)

    @property
    def title(self) -> str:
        """What is exported, as the task manager lists it."""
        if len(self.services) == 1:
            return messages.tr("Export of 1 service")
        return messages.tr("Export of {count} services").format(count=len(self.services))

    def entries(self) -> tuple[export_tasks.QueueEntry, ...]:
        """Each service with its target and sign-in. Main thread. Raises SignInUnusable."""
        ending = SUFFIXES.get(self.choices.storage, "")
        urls = sorted({each.url for each in (*self.listed, *self.services)})
        names = dict(zip(urls, target_names([service_of(url).name for url in urls], ending)))
        return tuple(
            export_tasks.QueueEntry(
                each.url, self.folder / names[each.url], sign_in.credentials(each.auth_config_id)
            )
            for each in self.services
        )

    def transport(self) -> Transport:
        """How all of them are reached. Main thread. Raises SignInUnusable."""
        return network.transport_for((each.auth_config_id, each.url) for each in self.services)


class ExportRun(TaskRun):
    """Carries out exports and queues of them, one at a time.

    `item_told`: of a queue, the address of a service as it begins, with None; then what came of it.
    """

    item_told = pyqtSignal(str, object)

    def __init__(self, project: QgsProject, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._project = project

    def start(self, plan: ExportPlan | QueuePlan) -> None:
        """Start `plan`, which is counted.

        Raises TileCacheError where a sign-in cannot be read, something not be drawn, or the areas
        leave scales out.
        """
        if isinstance(plan, QueuePlan):
            task = export_tasks.QueueTask(
                plan.title,
                plan.entries(),
                plan.folder,
                choices=plan.choices,
                transport=plan.transport(),
                anew=plan.anew,
            )
            task.item_told.connect(self.item_told)
        else:
            task = export_tasks.ExportTask(
                plan.title,
                plan.description.address,
                request=plan.request(),
                credentials=None if plan.is_local else sign_in.credentials(plan.auth_config_id),
                transport=plan.transport(),
                drawing=self._drawing(plan),
            )
        self.follow(task)

    def _drawing(self, plan: ExportPlan) -> TileSource | None:
        """What missing tiles are drawn from, copied as it is now. Raises NothingToDraw."""
        if not plan.draws_missing:
            return None
        shown = plan.description
        settings = CacheSettings(shown.source, shown.background)
        return sources.make_source(shown.source, self._project, settings, Path(shown.address))


def estimate_task(plan: ExportPlan) -> export_tasks.EstimateExportTask:
    """The task that estimates `plan`, which is counted. Main thread.

    Raises SignInUnusable, LevelsWithoutArea.
    """
    return export_tasks.EstimateExportTask(
        plan.description.address,
        request=plan.request(),
        credentials=None if plan.is_local else sign_in.credentials(plan.auth_config_id),
        transport=plan.transport(),
    )


def queue_estimate_task(plan: QueuePlan) -> export_tasks.EstimateQueueTask:
    """The task that estimates `plan`. Main thread. Raises SignInUnusable."""
    return export_tasks.EstimateQueueTask(
        plan.entries(), choices=plan.choices, transport=plan.transport()
    )
