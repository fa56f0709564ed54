"""The work of the dialog, in QGIS's task manager: off the main thread, told by signals.

A task is made on the main thread with copies of all it needs. Every task ends in exactly one of
its signals, on the main thread: in its result, in `failed`, or in `cancelled` where a cancel left
no result. After that the task must not be touched any more: QGIS deletes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qgis.core import Qgis, QgsApplication, QgsCoordinateReferenceSystem, QgsTask
from qgis.PyQt.QtCore import pyqtSignal

from ..core.arcgis.credentials import SignIn
from ..core.arcgis.transport import Transport
from ..core.cache import list_services, open_cache
from ..core.description import CacheDescription
from ..core.errors import AddressError, NothingToResume, RequestError
from ..core.level_areas import Areas, by_area
from ..core.local.journal import unfinished_request
from ..core.local.source import TileSource
from ..core.planned import TileCount, planned_tiles
from ..core.request import (
    ALARM_SECONDS,
    SITE_DECIDES,
    Feedback,
    HostedOptions,
    Resume,
    TileFilter,
    UpdateMode,
    UpdateRequest,
)
from ..core.storage.sidecar import CacheSettings, read_settings, write_settings
from ..core.tiling import Level
from . import areas, messages
from .rule_counts import count_part

HIDING_FLAGS_SINCE = 32600
"""From this version on, QGIS has tasks that it neither lists nor tells of."""


def _quiet_flags() -> QgsTask.Flags:
    """Of a task that QGIS need not tell people about, and ends without asking as it closes."""
    flags = QgsTask.Flag.CanCancel | QgsTask.Flag.CancelWithoutPrompt
    if HIDING_FLAGS_SINCE <= Qgis.QGIS_VERSION_INT:
        flags |= QgsTask.Flag.Hidden | QgsTask.Flag.Silent
    return flags


class Task(QgsTask):
    """What all tasks share: `work` in the task's thread, then one signal on the main thread.

    `is_quiet`: it is the form's own business. QGIS neither lists it nor tells of its end nor asks
    about it as it closes, as far as the version can do without.
    """

    failed = pyqtSignal(object)
    cancelled = pyqtSignal()

    def __init__(self, title: str, *, is_quiet: bool = True) -> None:
        super().__init__(title, _quiet_flags() if is_quiet else QgsTask.Flag.CanCancel)
        self._is_quiet = is_quiet
        self._has_begun = False
        self._outcome: tuple[Any, object] | None = None
        # Not in finished(): that is not called for a task that was cancelled before its start.
        self.taskCompleted.connect(self._tell)
        self.taskTerminated.connect(self._tell)

    def work(self) -> tuple[Any, object]:
        """Do the work and give the signal to end with and what it carries. In the task's thread."""
        raise NotImplementedError

    def let_go_unused(self) -> None:
        """Let go of what was made for the work, which was cancelled before it began."""

    @property
    def has_begun(self) -> bool:
        """Whether its work has begun, or is even through."""
        return self._has_begun

    # QgsTask

    def run(self) -> bool:
        """Of a quiet task always true: QGIS 3.22 logs every other end as a failed task."""
        self._has_begun = True
        try:
            self._outcome = self.work()
        except areas.Cancelled:
            return self._is_quiet
        except Exception as error:  # an exception that leaves run() ends QGIS
            messages.log_unexpected(error)
            self._outcome = (self.failed, error)
            return self._is_quiet
        return self._is_quiet or not self.isCanceled()

    # ours

    def _tell(self) -> None:
        if not self.has_begun:
            self.let_go_unused()
        if self._outcome is None:
            self.cancelled.emit()
        else:
            signal, result = self._outcome
            signal.emit(result)

    def _stop_if_cancelled(self) -> None:
        if self.isCanceled():
            raise areas.Cancelled()


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


class UpdateTask(Task):
    """Updates a cache inside `area`, which was counted before.

    On a site it asks for a job and follows it. On this computer it draws from `source`, made on the
    main thread for this task alone; `settings`, where given, is kept for the cache from then on.
    Where `resume` takes an earlier update up, area and filter are those of its record; `levels` and
    `mode` say which update is meant.
    """

    message_received = pyqtSignal(object)
    reported = pyqtSignal(object)

    def __init__(
        self,
        title: str,
        address: str,
        *,
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
        super().__init__(title, is_quiet=False)
        self._address = address
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
        self._is_let_go = False

    def work(self) -> tuple[Any, object]:
        with closed_unless_used(self._source):
            request = self._request()
            if self._is_unwanted():
                raise areas.Cancelled()
            cache = open_cache(
                self._address, self._credentials, self._transport, self._is_unwanted, self._source
            )
            self._keep_settings()
        feedback = Feedback(
            progress=self.setProgress,
            cancelled=self._is_cancelled,
            message=self.message_received.emit,
            abandoned=lambda: self._is_let_go,
        )
        return self.reported, cache.update(request, feedback)

    def let_go_unused(self) -> None:
        if self._source is not None:
            self._source.close()

    def let_go(self) -> None:
        """End now without cancelling the job: the site goes on with it. Main thread.

        It ends in `reported`, with the job's address; where nothing was sent yet, as if cancelled.
        On this computer nobody goes on with it: it stops as if cancelled, and can be resumed.
        """
        self._is_let_go = True

    def _is_cancelled(self) -> bool:
        """Whether the work is to stop; that of a site not any more once it was let go."""
        if self._description.is_local:
            return self._is_unwanted()
        return self.isCanceled() and not self._is_let_go

    def _is_unwanted(self) -> bool:
        return self.isCanceled() or self._is_let_go

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
def closed_unless_used(source: TileSource | None) -> Iterator[None]:
    """Close `source`, made for a work that does not come to use it; which then raises."""
    try:
        yield
    except BaseException:
        if source is not None:
            source.close()
        raise


def start(task: Task, kept: list[Task]) -> None:
    """Hand `task` to QGIS and keep it in `kept` until its end. Main thread.

    Without a reference from here, Python would delete it before it ran. On unload, cancel all that
    is in `kept`. A task that was cancelled already has ended: it is not started.
    """
    if task.isCanceled():
        return
    kept.append(task)

    def let_go() -> None:
        if task in kept:
            kept.remove(task)

    task.taskCompleted.connect(let_go)
    task.taskTerminated.connect(let_go)
    QgsApplication.taskManager().addTask(task)
