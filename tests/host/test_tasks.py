"""The dialog's work in QGIS's task manager: every task ends in exactly one of its signals."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from host.samples import WEB_MERCATOR_LEVELS, degrees, drawn, drawn_wkt, web_mercator
from host.task_ends import Ends
from qgis.core import Qgis, QgsApplication, QgsCoordinateReferenceSystem, QgsTask
from qgis.PyQt.QtCore import QThreadPool
from shapely.geometry import Polygon, box

from tile_cache_manager.plugin.core.arcgis.catalogue import ServiceEntry
from tile_cache_manager.plugin.core.errors import (
    AddressError,
    BadExtent,
    BadInstances,
    NoLevels,
    NotCached,
    TileCacheError,
)
from tile_cache_manager.plugin.core.planned import touched_tiles
from tile_cache_manager.plugin.core.request import (
    Feedback,
    LevelReport,
    Message,
    Outcome,
    UpdateMode,
    UpdateReport,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.tiling import Extent
from tile_cache_manager.plugin.host import areas, tasks

pytestmark = pytest.mark.usefixtures("qgis_app")

ADDRESS = "https://site.test/arcgis/rest/services/World/MapServer"
SITE = "https://site.test/arcgis/rest/services"


class FakeCache:
    """A cache whose update works in steps until it is told to stop, or does what `script` does."""

    def __init__(self, script: Callable[[UpdateRequest, Feedback], Any] | None = None) -> None:
        self.script = script
        self.requests: list[UpdateRequest] = []
        self.threads: list[int] = []
        self.started = threading.Event()
        self.released = threading.Event()

    def describe(self) -> Any:
        self.threads.append(threading.get_ident())
        self.started.set()
        assert self.released.wait(20)
        return self.script(None, None) if self.script else web_mercator()

    def update(self, request: UpdateRequest, feedback: Feedback) -> UpdateReport:
        self.requests.append(request)
        self.threads.append(threading.get_ident())
        self.started.set()
        if self.script:
            return self.script(request, feedback)
        feedback.progress(40)
        feedback.message(Message("first"))
        while not (self.released.is_set() or feedback.cancelled()):
            self.released.wait(0.01)
        feedback.message(Message("last"))
        outcome = Outcome.CANCELLED if feedback.cancelled() else Outcome.DONE
        return report(outcome)


def report(outcome: Outcome) -> UpdateReport:
    levels = (LevelReport(WEB_MERCATOR_LEVELS[0], 1, made=1),)
    return UpdateReport(outcome, UpdateMode.RECREATE_ALL, levels, ADDRESS)


@pytest.fixture
def kept() -> Iterator[list[tasks.Task]]:
    kept: list[tasks.Task] = []
    yield kept
    for task in list(kept):
        task.cancel()


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCache]:
    """The cache that every address leads to."""
    fake = FakeCache()
    monkeypatch.setattr(tasks, "open_cache", lambda *address_and_more: fake)
    yield fake
    fake.released.set()


def update_task(**changes: Any) -> tasks.UpdateTask:
    values: dict[str, Any] = {
        "credentials": None,
        "transport": None,
        "description": web_mercator(),
        "area": Extent(0, 0, 1000, 1000),
        "levels": WEB_MERCATOR_LEVELS[:2],
        "mode": UpdateMode.RECREATE_ALL,
        "instances": 3,
        "wait": True,
    }
    return tasks.UpdateTask("Update World", ADDRESS, **{**values, **changes})


def count_task(extent: str) -> tasks.CountTask:
    return tasks.CountTask(areas.TypedExtent(extent), web_mercator(), WEB_MERCATOR_LEVELS)


class Blocker(QgsTask):
    """Fills a place in the task manager until it is released."""

    def __init__(self) -> None:
        super().__init__("blocker", QgsTask.Flag.CanCancel)
        self.release = threading.Event()

    def run(self) -> bool:
        return self.release.wait(30)


def test_what_qgis_lists_is_no_mark_up() -> None:
    """It reads tool tips and notifications as HTML; a service may be called anything."""
    task = tasks.Task('<img src="http://site.test/seen">Wor<b>ld</b>: Delete &amp; so on')

    assert task.description() == "World: Delete &amp; so on"


def test_an_update_runs_off_the_main_thread_and_reports(
    cache: FakeCache, kept: list, wait_until: Callable
) -> None:
    task = update_task()
    ends, texts, percents = Ends(task), [], []
    task.message_received.connect(lambda message: texts.append(message.text))
    task.progressChanged.connect(percents.append)
    tasks.start(task, kept)
    assert kept == [task]
    wait_until(lambda: texts == ["first"] and 40 in percents)
    cache.released.set()
    wait_until(lambda: ends.told)
    wait_until(lambda: not kept)
    assert ends.only() == ("reported", report(Outcome.DONE))
    assert texts == ["first", "last"]
    assert cache.threads[0] != threading.get_ident()
    (request,) = cache.requests
    assert request.levels == WEB_MERCATOR_LEVELS[:2]
    assert (request.mode, request.instances, request.wait) == (UpdateMode.RECREATE_ALL, 3, True)
    assert (request.area, request.extent) == (None, Extent(0, 0, 1000, 1000))


AREAS = [
    ("the whole cache", lambda: areas.FullExtent(), None),
    ("typed", lambda: areas.TypedExtent("0 0 9 9"), Extent(0, 0, 9, 9)),
    ("drawn", lambda: drawn_wkt("Polygon((0 0,9 0,9 9,0 0))", "EPSG:3857"),
     Polygon([(0, 0), (9, 0), (9, 9)])),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "expected"), [case[1:] for case in AREAS], ids=[case[0] for case in AREAS]
)
def test_an_update_is_sent_the_very_area_that_was_counted(
    make: Callable, expected: Any, cache: FakeCache, kept: list, wait_until: Callable
) -> None:
    cache.released.set()
    count = tasks.CountTask(make(), web_mercator(), WEB_MERCATOR_LEVELS[:1])
    ends = Ends(count)
    tasks.start(count, kept)
    wait_until(lambda: ends.told and not kept)
    name, counted = ends.only()
    assert (name, counted.tiles) == ("counted", {0: 1})
    task = update_task(area=counted.area)
    ends = Ends(task)
    tasks.start(task, kept)
    wait_until(lambda: ends.told and not kept)
    assert ends.only()[0] == "reported"
    (request,) = cache.requests
    is_extent = isinstance(expected, Extent)
    assert (request.extent if is_extent else request.area) is counted.area
    assert (request.area if is_extent else request.extent) is None
    if isinstance(expected, Polygon):
        assert expected.equals(counted.area)
    else:
        assert counted.area == expected


def test_an_update_cancelled_while_running_reports_what_was_done(
    cache: FakeCache, kept: list, wait_until: Callable
) -> None:
    task = update_task()
    ends = Ends(task)
    tasks.start(task, kept)
    wait_until(cache.started.is_set)
    task.stop()
    wait_until(lambda: ends.told and not kept)
    assert ends.only() == ("reported", report(Outcome.CANCELLED))


LEAVING: list[tuple[str, Callable[[Any], None]]] = [
    ("let go", lambda task: task.let_go()),
    ("let go, then cancelled", lambda task: (task.let_go(), task.cancel())),
    ("cancelled in the list of tasks", lambda task: task.cancel()),
    ("cancelled by QGIS as it closes", lambda _: QgsApplication.taskManager().cancelAll()),
]


@pytest.mark.parametrize("leave", [each[1] for each in LEAVING], ids=[each[0] for each in LEAVING])
def test_an_update_that_is_let_go_ends_without_cancelling_the_job(
    cache: FakeCache, kept: list, wait_until: Callable, leave: Callable
) -> None:
    cancel_asked = []

    def follow(request: UpdateRequest, feedback: Feedback) -> UpdateReport:
        while not feedback.abandoned():
            cache.released.wait(0.01)
        assert cache.released.wait(20)
        cancel_asked.append(feedback.cancelled())
        return report(Outcome.SUBMITTED)

    cache.script = follow
    task = update_task()
    ends = Ends(task)
    tasks.start(task, kept)
    wait_until(cache.started.is_set)
    leave(task)
    cache.released.set()
    wait_until(lambda: ends.told and not kept)
    assert ends.only() == ("reported", report(Outcome.SUBMITTED))
    assert cancel_asked == [False]


def test_following_many_jobs_leaves_threads_to_others(
    cache: FakeCache, kept: list, wait_until: Callable
) -> None:
    manager = QgsApplication.taskManager()
    pool = manager.threadPool() if hasattr(manager, "threadPool") else QThreadPool.globalInstance()
    before = pool.maxThreadCount(), pool.activeThreadCount()
    updates = [update_task() for _ in range(pool.maxThreadCount() + 3)]
    for task in updates:
        tasks.start(task, kept)
    wait_until(lambda: len(cache.requests) == len(updates), what="all of them to run")
    count = count_task("0 0 9 9")
    ends = Ends(count)
    tasks.start(count, kept)
    wait_until(lambda: ends.told, what="another task")
    cache.released.set()
    wait_until(lambda: not kept)
    wait_until(lambda: (pool.maxThreadCount(), pool.activeThreadCount()) == before)


def test_an_update_that_is_let_go_before_it_began_sends_nothing(
    cache: FakeCache, kept: list, wait_until: Callable
) -> None:
    task = update_task()
    ends = Ends(task)
    task.let_go()
    tasks.start(task, kept)
    wait_until(lambda: ends.told and not kept)
    assert ends.only() == ("cancelled", None)
    assert cache.requests == []


def test_a_task_cancelled_before_it_is_added(cache: FakeCache, kept: list) -> None:
    task = update_task()
    ends = Ends(task)
    task.cancel()
    tasks.start(task, kept)
    assert ends.only() == ("cancelled", None)
    assert kept == []
    assert cache.requests == []


def test_a_task_cancelled_while_queued(cache: FakeCache, kept: list, wait_until: Callable) -> None:
    manager = QgsApplication.taskManager()
    pool_size = manager.threadPool().maxThreadCount() if hasattr(manager, "threadPool") else 64
    blockers = [Blocker() for _ in range(pool_size + 4)]
    for blocker in blockers:
        manager.addTask(blocker)
    try:
        task = update_task()
        ends = Ends(task)
        tasks.start(task, kept)
        assert task.status() == QgsTask.TaskStatus.Queued
        task.cancel()
        wait_until(lambda: ends.told and not kept)
        assert ends.only() == ("cancelled", None)
        assert cache.requests == []
    finally:
        for blocker in blockers:
            blocker.release.set()
    wait_until(lambda: manager.countActiveTasks() == 0)


FAILURES = [
    ("foreseen", update_task, NotCached("World"), NotCached),
    ("unforeseen", update_task, ZeroDivisionError("oh"), ZeroDivisionError),
    ("no scale", lambda: update_task(levels=()), None, NoLevels),
    ("no such number of instances", lambda: update_task(instances=0), None, BadInstances),
    ("malformed extent", lambda: count_task("1 2"), None, BadExtent),
]


@pytest.mark.parametrize(
    ("make", "raised", "expected"),
    [case[1:] for case in FAILURES],
    ids=[case[0] for case in FAILURES],
)
def test_whatever_is_raised_becomes_failed(
    make: Callable, raised: Exception | None, expected: type, cache: FakeCache, kept: list,
    wait_until: Callable,
) -> None:  # fmt: skip
    def fail(request: UpdateRequest, feedback: Feedback) -> UpdateReport:
        raise raised

    lines: list[str] = []
    log = QgsApplication.messageLog().messageReceived[str, str, Qgis.MessageLevel]
    keep = lambda text, tag, level: lines.append(text)  # noqa: E731
    log.connect(keep)
    cache.script = fail
    task = make()
    ends = Ends(task)
    tasks.start(task, kept)
    wait_until(lambda: ends.told and not kept)
    name, error = ends.only()
    assert (name, type(error)) == ("failed", expected)
    # what nobody foresaw is logged with the place it came from, the rest is not
    logged = [line for line in lines if "Traceback" in line or "test_tasks.py" in line]
    assert bool(logged) == (not issubclass(expected, TileCacheError))
    log.disconnect(keep)


def test_a_task_lives_without_the_caller_s_reference(
    cache: FakeCache, kept: list, wait_until: Callable
) -> None:
    task = update_task()
    ends = Ends(task)
    tasks.start(task, kept)
    del task
    gc.collect()
    wait_until(cache.started.is_set)
    gc.collect()
    cache.released.set()
    wait_until(lambda: ends.told and not kept)
    assert ends.only()[0] == "reported"


def test_a_service_is_described(cache: FakeCache, kept: list, wait_until: Callable) -> None:
    cache.released.set()
    task = tasks.DescribeTask(ADDRESS, None, None)
    ends = Ends(task)
    tasks.start(task, kept)
    wait_until(lambda: ends.told and not kept)
    assert ends.only() == ("described", web_mercator())


def test_a_description_that_comes_after_the_cancel_is_not_told(
    cache: FakeCache, kept: list, wait_until: Callable
) -> None:
    task = tasks.DescribeTask(ADDRESS, None, None)
    ends = Ends(task)
    tasks.start(task, kept)
    wait_until(cache.started.is_set)
    task.cancel()
    cache.released.set()
    wait_until(lambda: ends.told and not kept)
    assert ends.only() == ("cancelled", None)


def test_the_address_of_a_site_lists_its_services(
    monkeypatch: pytest.MonkeyPatch, kept: list, wait_until: Callable
) -> None:
    services = (ServiceEntry("World", "MapServer", ADDRESS),)
    asked = []

    def list_services(
        address: str, sign_in: Any, transport: Any, cancelled: Callable[[], bool]
    ) -> tuple[ServiceEntry, ...]:
        asked.append(address)
        return services

    monkeypatch.setattr(tasks, "list_services", list_services)
    task = tasks.DescribeTask(SITE, None, None)
    ends = Ends(task)
    tasks.start(task, kept)
    wait_until(lambda: ends.told and not kept)
    assert ends.only() == ("services_listed", services)
    assert asked == [SITE]


def preview_task() -> tasks.PreviewTask:
    source = areas.TypedExtent("0 0 9 9")
    return tasks.PreviewTask(source, None, QgsCoordinateReferenceSystem("EPSG:4326"))


QUIET = [
    ("describe", lambda: tasks.DescribeTask(ADDRESS), True, True),
    ("count", lambda: count_task("0 0 9 9"), True, True),
    ("preview", preview_task, True, True),
    ("update on a site", update_task, False, True),
    ("update here", lambda: update_task(description=local_description()), False, False),
]


def local_description() -> Any:
    return replace(web_mercator(), is_local=True)


@pytest.mark.parametrize(
    ("make", "is_quiet", "ends_unasked"), [case[1:] for case in QUIET], ids=[c[0] for c in QUIET]
)
def test_qgis_tells_people_of_updates_only(
    make: Callable, is_quiet: bool, ends_unasked: bool
) -> None:
    flags = make().flags()
    assert flags & QgsTask.Flag.CanCancel
    assert bool(flags & QgsTask.Flag.CancelWithoutPrompt) == ends_unasked
    if not hasattr(QgsTask.Flag, "Hidden"):
        return
    assert bool(flags & QgsTask.Flag.Hidden) == bool(flags & QgsTask.Flag.Silent) == is_quiet


def test_a_quiet_task_that_was_cancelled_is_no_failed_task_to_qgis(
    cache: FakeCache, kept: list, wait_until: Callable
) -> None:
    task = tasks.DescribeTask(ADDRESS, None, None)
    ends, statuses = Ends(task), []
    task.statusChanged.connect(statuses.append)
    tasks.start(task, kept)
    wait_until(cache.started.is_set)
    task.cancel()
    cache.released.set()
    wait_until(lambda: ends.told and not kept)
    assert ends.only() == ("cancelled", None)
    assert statuses[-1] == QgsTask.TaskStatus.Complete
    assert QgsTask.TaskStatus.Terminated not in statuses


def test_what_is_no_address_fails(kept: list, wait_until: Callable) -> None:
    task = tasks.DescribeTask("nonsense", None, None)
    ends = Ends(task)
    tasks.start(task, kept)
    wait_until(lambda: ends.told and not kept)
    name, error = ends.only()
    assert (name, type(error)) == ("failed", AddressError)


# Tiles of a scheme with 180 x 180 degree tiles at level 0 and 0.3515625 degree tiles at level 9.
COUNTS = [
    ("typed", areas.TypedExtent("-10 -10 10 10"), {0: 2, 9: 58 * 58}),
    ("the whole cache", areas.FullExtent(), {0: 2, 9: 1024 * 512}),
    ("across 180", areas.TypedExtent("170 -10 -170 10"), {0: 2, 9: 58 * 58}),
]


@pytest.mark.parametrize(
    ("source", "expected"), [case[1:] for case in COUNTS], ids=[case[0] for case in COUNTS]
)
def test_tiles_are_counted(
    source: areas.AreaSource, expected: dict, kept: list, wait_until: Callable
) -> None:
    description = degrees()
    task = tasks.CountTask(source, description, description.scheme.levels)
    ends = Ends(task)
    tasks.start(task, kept)
    wait_until(lambda: ends.told and not kept)
    name, counted = ends.only()
    assert (name, counted.tiles) == ("counted", expected)


# Bundles of level 9 hold 128 x 128 tiles, 45 degrees: each of these areas touches four of them.
HOSTED_COUNTS = [
    ("typed", areas.TypedExtent("-10 -10 10 10"), {0: 2, 9: 4 * 128 * 128}),
    ("the whole cache", areas.FullExtent(), {0: 2, 9: 1024 * 512}),
    ("across 180", areas.TypedExtent("170 -10 -170 10"), {0: 2, 9: 4 * 128 * 128}),
]


@pytest.mark.parametrize(
    ("source", "expected"),
    [case[1:] for case in HOSTED_COUNTS],
    ids=[case[0] for case in HOSTED_COUNTS],
)
def test_tiles_of_a_hosted_layer_are_counted_by_whole_bundles(
    source: areas.AreaSource, expected: dict
) -> None:
    description = replace(degrees(), is_hosted=True)
    _signal, counted = tasks.CountTask(source, description, description.scheme.levels).work()
    assert counted.tiles == expected


def test_an_export_of_a_hosted_layer_counts_the_tiles_of_the_area_itself() -> None:
    description = replace(degrees(), is_hosted=True)
    levels = description.scheme.levels
    source = areas.TypedExtent("-10 -10 10 10")
    _signal, counted = tasks.CountTask(source, description, levels, touched_tiles).work()
    assert counted.tiles == {0: 2, 9: 58 * 58}


def test_a_preview_is_made(kept: list, wait_until: Callable) -> None:
    source = drawn(box(0, 0, 5, 5), "EPSG:4326")
    task = tasks.PreviewTask(source, None, QgsCoordinateReferenceSystem("EPSG:4326"))
    ends = Ends(task)
    tasks.start(task, kept)
    wait_until(lambda: ends.told and not kept)
    name, geometry = ends.only()
    assert name == "previewed"
    assert geometry.area() == pytest.approx(25)
