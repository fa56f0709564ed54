"""The work of the dialog, in QGIS's task manager: off the main thread, told by signals.

A task is made on the main thread with copies of all it needs; see `background` for how it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qgis.core import QgsCoordinateReferenceSystem
from qgis.PyQt.QtCore import pyqtSignal

from ..core.arcgis.credentials import SignIn
from ..core.arcgis.transport import Transport
from ..core.cache import list_services, open_cache
from ..core.description import CacheDescription
from ..core.errors import AddressError, NothingToResume, RequestError
from ..core.level_areas import Areas, by_area
from ..core.local.crew import Crew
from ..core.local.journal import unfinished_request
from ..core.local.source import TileSource
from ..core.planned import TileCount, planned_tiles
from ..core.request import (
    ALARM_SECONDS,
    SITE_DECIDES,
    HostedOptions,
    Resume,
    TileFilter,
    UpdateMode,
    UpdateRequest,
)
from ..core.storage.sidecar import CacheSettings, read_settings, write_settings
from ..core.tiling import Level
from . import areas, job_record, messages
from .background import FollowingTask, Task, start
from .rule_counts import count_part

__all__ = [
    "CountTask",
    "DescribeTask",
    "FollowingTask",
    "PreviewTask",
    "Task",
    "UpdateTask",
    "closed_unless_used",
    "start",
]


class DescribeTask(Task):
    """Asks what the cache at an address is; or which services there are, where it is a site."""

    described = pyqtSignal(object)
    services_listed = pyqtSignal(object)

    def __init__(
        self, address: str, credentials: SignIn | None = None, transport: Transport | None = None
    ) -> None:
        super().__init__(messages.tr("Loading the service"))
        self._address = address
        self._credentials = credentials
        self._transport = transport

    def work(self) -> tuple[Any, object]:
        outcome = self._ask()
        self._stop_if_cancelled()
        return outcome

    def _ask(self) -> tuple[Any, object]:
        try:
            cache = open_cache(self._address, self._credentials, self._transport, self.isCanceled)
        except AddressError as error:
            if not error.site_url:
                raise
            services = list_services(
                self._address, self._credentials, self._transport, self.isCanceled
            )
            return self.services_listed, services
        return self.described, cache.describe()


class CountTask(Task):
    """Counts the tiles of an area, as `count` does; tells `areas.Counted`.

    Before it fails for one of the areas by scale, `part_counted` carries a PartCount of the others.
    """

    counted = pyqtSignal(object)
    part_counted = pyqtSignal(object)

    def __init__(
        self,
        source: areas.AreaSource,
        description: CacheDescription,
        levels: tuple[Level, ...],
        count: TileCount = planned_tiles,
    ) -> None:
        super().__init__(messages.tr("Counting tiles"))
        self._count = count
        self._source = source
        self._description = description
        self._levels = tuple(levels)

    def work(self) -> tuple[Any, object]:
        try:
            area = areas.resolve(self._source, self._description, self.isCanceled)
        except RequestError:
            if isinstance(self._source, areas.AreasByScale):
                of = self._source, self._description, self._levels, self.isCanceled, self._count
                self.part_counted.emit(count_part(*of))
            raise
        tiles: dict[int, int] = {}
        for levels, place in by_area(area, self._levels):
            for level in levels:
                self._stop_if_cancelled()
                tiles.update(self._count(self._description, (level,), place))
        return self.counted, areas.Counted(tiles, area)


class PreviewTask(Task):
    """Makes what the canvas shows of an area."""

    previewed = pyqtSignal(object)

    def __init__(
        self,
        source: areas.AreaSource,
        description: CacheDescription | None,
        canvas_crs: QgsCoordinateReferenceSystem,
    ) -> None:
        super().__init__(messages.tr("Previewing the area"))
        self._source = source
        self._description = description
        self._canvas_crs = QgsCoordinateReferenceSystem(canvas_crs)

    def work(self) -> tuple[Any, object]:
        geometry = areas.preview(self._source, self._description, self._canvas_crs, self.isCanceled)
        self._stop_if_cancelled()
        return self.previewed, geometry


class UpdateTask(FollowingTask):
    """Updates a cache inside `area`, which was counted before.

    On a site it asks for a job and follows it. On this computer it draws from `source`, made on the
    main thread for this task alone; `settings`, where given, is kept for the cache from then on.
    Where `resume` takes an earlier update up, area and filter are those of its record; `levels` and
    `mode` say which update is meant. On a site it is kept in the record of jobs, with
    `auth_config_id`, which `credentials` come from.
    """

    def __init__(
        self,
        title: str,
        address: str,
        *,
        auth_config_id: str = "",
        credentials: SignIn | None,
        transport: Transport | None,
        description: CacheDescription,
        levels: tuple[Level, ...],
        mode: UpdateMode,
        area: Areas,
        instances: int = SITE_DECIDES,
        wait: bool = True,
        source: TileSource | None = None,
        tile_filter: TileFilter | None = None,
        resume: Resume = Resume.AUTO,
        settings: CacheSettings | None = None,
        hosted: HostedOptions | None = None,
        isolates_failures: bool = False,
        alarm_seconds: float = ALARM_SECONDS,
    ) -> None:
        super().__init__(title, is_at_site=not description.is_local)
        self._address = address
        self._auth_config_id = auth_config_id
        self._credentials = credentials
        self._transport = transport
        self._description = description
        self._levels = tuple(levels)
        self._mode = mode
        self._area = area
        self._instances = instances
        self._wait = wait
        self._source = source
        self._tile_filter = tile_filter
        self._resume = resume
        self._settings = settings
        self._hosted = hosted
        self._isolates_failures = isolates_failures
        self._alarm_seconds = alarm_seconds

    def work(self) -> tuple[Any, object]:
        with closed_unless_used(self._source):
            request = self._request()
            self._stop_if_unwanted()
            cache = open_cache(
                self._address, self._credentials, self._transport, self._is_unwanted, self._source
            )
            self._keep_settings()
        with job_record.keep_in_record(self._auth_config_id) as keep:
            return self.reported, cache.update(request, self._feedback(keep))

    def let_go_unused(self) -> None:
        if self._source is not None:
            self._source.close()

    def _keep_settings(self) -> None:
        """Have the cache remember what it is drawn from."""
        path = Path(self._description.address)
        if self._settings is not None and read_settings(path) != self._settings:
            write_settings(path, self._settings)

    def _request(self) -> UpdateRequest:
        """What is asked of the cache. Raises NothingToResume, NoLevels."""
        if self._resume in (Resume.CONTINUE, Resume.FAILED):
            return self._recorded_request()
        return UpdateRequest.of(
            self._description,
            levels=self._levels,
            mode=self._mode,
            area=self._area,
            instances=self._instances,
            wait=self._wait,
            tile_filter=self._tile_filter,
            resume=self._resume,
            hosted=self._hosted,
            isolates_failures=self._isolates_failures,
            alarm_seconds=self._alarm_seconds,
        )

    def _recorded_request(self) -> UpdateRequest:
        """What the update that is taken up was asked for. Raises NothingToResume.

        Also where another one has been left undone meanwhile: nobody has agreed to that one.
        """
        request = unfinished_request(Path(self._address))
        wanted = self._resume, self._mode, {level.id for level in self._levels}
        if request is not None:
            found = request.resume, request.mode, {level.id for level in request.levels}
            if found == wanted:
                return request
        raise NothingToResume(self._address)


@contextmanager
def closed_unless_used(source: TileSource | Crew | None) -> Iterator[None]:
    """Close `source`, made for a work that does not come to use it; which then raises."""
    try:
        yield
    except BaseException:
        if source is not None:
            source.close()
        raise
