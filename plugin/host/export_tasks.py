"""The export dialog's work, in QGIS's task manager; see `tasks`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import pyqtSignal

from ..core.arcgis.credentials import SignIn
from ..core.arcgis.transport import Transport
from ..core.cache import open_cache
from ..core.description import CacheDescription
from ..core.errors import LevelsWithoutArea, NoLevels, TileCacheError
from ..core.export.queue import QueueItem, run_queue
from ..core.export.request import ExportRequest, ExportWay, Overwrite
from ..core.export.run import estimate_export, run_export
from ..core.level_areas import Areas, levels_without
from ..core.local.source import TileSource
from ..core.request import Feedback, LevelEstimate
from ..core.storage.profile import StorageFormat
from ..core.tiling import SCALE_TOLERANCE, Level
from . import areas, messages
from .service_estimate import ServiceEstimate
from .tasks import Task, closed_unless_used
from .tile_pixels import TilePixels


class ExportTask(Task):
    """Exports tiles of the service or cache at `address`; tells an ExportReport.

    `drawing`: what tiles that a cache on this computer lacks are drawn from, made on the main
    thread for this task alone. A cancelled export is a report, too: what was got is kept, and the
    same export goes on from there.
    """

    message_received = pyqtSignal(object)
    reported = pyqtSignal(object)

    def __init__(
        self,
        title: str,
        address: str,
        *,
        request: ExportRequest,
        credentials: SignIn | None = None,
        transport: Transport | None = None,
        drawing: TileSource | None = None,
    ) -> None:
        super().__init__(title, is_quiet=False)
        self._address = address
        self._request = request
        self._credentials = credentials
        self._transport = transport
        self._drawing = drawing

    def let_go_unused(self) -> None:
        if self._drawing is not None:
            self._drawing.close()

    def work(self) -> tuple[Any, object]:
        with closed_unless_used(self._drawing):
            self._stop_if_cancelled()
        report = run_export(
            self._address,
            self._request,
            Feedback(self.setProgress, self.isCanceled, self.message_received.emit),
            pixels=TilePixels(),
            sign_in=self._credentials,
            transport=self._transport,
            drawing=self._drawing,
        )
        return self.reported, report


class EstimateExportTask(Task):
    """Estimates what an export would take, scale by scale; tells LevelEstimates."""

    estimated = pyqtSignal(object)

    def __init__(
        self,
        address: str,
        *,
        request: ExportRequest,
        credentials: SignIn | None = None,
        transport: Transport | None = None,
    ) -> None:
        super().__init__(messages.tr("Estimating the export"))
        self._address = address
        self._request = request
        self._credentials = credentials
        self._transport = transport

    def work(self) -> tuple[Any, object]:
        self._stop_if_cancelled()
        estimates = estimate_export(
            self._address,
            self._request,
            Feedback(self.setProgress, self.isCanceled),
            sign_in=self._credentials,
            transport=self._transport,
        )
        self._stop_if_cancelled()
        return self.estimated, estimates


@dataclass(frozen=True)
class QueueChoices:
    """What is wanted of each service of a queue.

    `area`: also rules of areas by scale. `coarsest`, `finest`: scale denominators between which,
    both included, cached scales are exported; None: no such end. `owned`: addresses of the services
    whose tiles the person has confirmed to be theirs to copy.
    """

    area: areas.AreaSource
    storage: StorageFormat
    coarsest: float | None = None
    finest: float | None = None
    overwrite: Overwrite = Overwrite.OVERWRITE
    is_clipped: bool = False
    way: ExportWay = ExportWay.AUTO
    owned: frozenset[str] = frozenset()

    def request(
        self, description: CacheDescription, target: Path, cancelled: Callable[[], bool]
    ) -> ExportRequest:
        """The export of a service to `target`. Any thread but the main one.

        Scales that the rules of areas by scale leave out are left out of the export.
        Raises RequestError, DescriptionError, Cancelled.
        """
        wanted = self.wanted(description)
        if not wanted:
            raise NoLevels()
        place: Areas = areas.resolve(self.area, description, cancelled, wanted)
        left_out = levels_without(place, wanted)
        if len(left_out) == len(wanted):
            raise LevelsWithoutArea(tuple(level.scale for level in left_out))
        return ExportRequest(
            scheme=description.scheme,
            levels=tuple(level for level in wanted if level not in left_out),
            areas=place,
            target=target,
            storage=self.storage,
            overwrite=self.overwrite,
            is_clipped=self.is_clipped,
            way=self.way,
            is_owner=description.address in self.owned,
        )

    def wanted(self, description: CacheDescription) -> tuple[Level, ...]:
        """Cached levels of a service at the scales that are meant, whether or not rules do."""
        return tuple(level for level in description.cached_levels if self._is_wanted(level))

    def _is_wanted(self, level: Level) -> bool:
        coarsest = float("inf") if self.coarsest is None else self.coarsest
        finest = 0.0 if self.finest is None else self.finest
        return finest * (1 - SCALE_TOLERANCE) <= level.scale <= coarsest * (1 + SCALE_TOLERANCE)


@dataclass(frozen=True)
class QueueEntry:
    """A service of a queue: where it is, who signs in, and the path its tiles go to."""

    address: str
    target: Path
    credentials: SignIn | None = None


class QueueTask(Task):
    """Exports several services, one after the other, below `folder`; tells a QueueReport.

    `anew`: also what was done before. `item_told`: of each of the entries, by its address, as it
    begins (None), and what came of it, a QueueItemReport.
    """

    message_received = pyqtSignal(object)
    reported = pyqtSignal(object)
    item_told = pyqtSignal(str, object)

    def __init__(
        self,
        title: str,
        entries: tuple[QueueEntry, ...],
        folder: Path,
        *,
        choices: QueueChoices,
        transport: Transport | None = None,
        anew: bool = False,
    ) -> None:
        super().__init__(title, is_quiet=False)
        self._entries = tuple(entries)
        self._folder = folder
        self._anew = anew
        self._choices = choices
        self._transport = transport

    def work(self) -> tuple[Any, object]:
        self._stop_if_cancelled()
        report = run_queue(
            queue_items(self._entries, self._choices, self.isCanceled),
            self._folder,
            Feedback(self.setProgress, self.isCanceled, self.message_received.emit),
            pixels=TilePixels(),
            transport=self._transport,
            anew=self._anew,
            told=lambda index, item: self.item_told.emit(self._entries[index].address, item),
        )
        return self.reported, report


class EstimateQueueTask(Task):
    """Estimates what a queue would take; tells a ServiceEstimate of each service."""

    estimated = pyqtSignal(object)

    def __init__(
        self,
        entries: tuple[QueueEntry, ...],
        *,
        choices: QueueChoices,
        transport: Transport | None = None,
    ) -> None:
        super().__init__(messages.tr("Estimating the export"))
        self._entries = tuple(entries)
        self._choices = choices
        self._transport = transport

    def work(self) -> tuple[Any, object]:
        found = []
        for index, entry in enumerate(self._entries):
            self._stop_if_cancelled()
            try:
                found.append(ServiceEstimate(entry.address, self._estimates(index, entry)))
            except TileCacheError as error:
                found.append(ServiceEstimate(entry.address, error=error))
        self._stop_if_cancelled()
        return self.estimated, tuple(found)

    def _estimates(self, index: int, entry: QueueEntry) -> tuple[LevelEstimate, ...]:
        """Raises TileCacheError, Cancelled."""
        asked = entry.address, entry.credentials, self._transport, self.isCanceled
        description = open_cache(*asked).describe()
        done, all_of_them = 100.0 * index, len(self._entries)
        return estimate_export(
            entry.address,
            self._choices.request(description, entry.target, self.isCanceled),
            Feedback(lambda one: self.setProgress((done + one) / all_of_them), self.isCanceled),
            sign_in=entry.credentials,
            transport=self._transport,
        )


def queue_items(
    entries: tuple[QueueEntry, ...], choices: QueueChoices, cancelled: Callable[[], bool]
) -> tuple[QueueItem, ...]:
    """The queue of `entries`, each asked for as `choices` say."""

    def item(entry: QueueEntry) -> QueueItem:
        return QueueItem(
            entry.address,
            entry.target,
            lambda description: choices.request(description, entry.target, cancelled),
            entry.credentials,
        )

    return tuple(item(entry) for entry in entries)
