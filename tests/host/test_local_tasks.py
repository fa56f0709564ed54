"""Work on caches on this computer in QGIS's task manager; each ends in exactly one signal."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arcgis_server import bundles
from host.task_ends import Ends
from local_caches import BLUE, RED, countries, counts_of, new_cache, picture
from qgis.core import QgsProject, QgsTask
from shapely.geometry import box

from tile_cache_manager.plugin.core.cache import open_cache
from tile_cache_manager.plugin.core.description import CacheDescription
from tile_cache_manager.plugin.core.errors import (
    BadScheme,
    NoLevels,
    NotACache,
    NothingToResume,
    TargetExists,
)
from tile_cache_manager.plugin.core.local.source import Cancelled, Supertile, TileSource
from tile_cache_manager.plugin.core.request import Outcome, Resume, TileFilter, UpdateMode
from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import (
    CacheSettings,
    read_settings,
)
from tile_cache_manager.plugin.host import local_tasks, schemes, sources, tasks

pytestmark = pytest.mark.usefixtures("qgis_app")

ALL = UpdateMode.RECREATE_ALL


class OneColour(TileSource):
    """Draws every tile in one colour; waits before each supertile until it may."""

    name = "colour"
    supertile_side = 2

    def __init__(self, colour: str) -> None:
        self.content = picture(colour)
        self.may_draw = threading.Event()
        self.may_draw.set()
        self.drawing = threading.Event()
        self.closed = 0
        self.threads: set[int] = set()

    def start(self, profile: CacheProfile) -> None:
        self.threads.add(threading.get_ident())

    def draw(self, supertile: Supertile, cancelled: Cancelled) -> Mapping[tuple[int, int], bytes]:
        self.drawing.set()
        while not self.may_draw.wait(0.01) and not cancelled():
            pass
        block = supertile.block
        return {
            (block.min_row + row, block.min_col + col): self.content
            for row, col in np.argwhere(supertile.wanted).tolist()
        }

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def kept() -> Iterator[list[tasks.Task]]:
    kept: list[tasks.Task] = []
    yield kept
    for task in list(kept):
        task.cancel()


@pytest.fixture
def end_of(kept: list, wait_until: Callable) -> Callable[..., tuple[str, Any]]:
    """Runs a task to its end and gives the only signal it told, and what that carried."""

    def run(task: tasks.Task) -> tuple[str, Any]:
        ends = Ends(task)
        tasks.start(task, kept)
        wait_until(lambda: ends.told and not kept, 60)
        return ends.only()

    return run


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return new_cache(tmp_path / "my cäches" / "World")


def described(cache: Path) -> CacheDescription:
    return open_cache(str(cache)).describe()


def update_task(cache: Path, source: TileSource | None, **changes: Any) -> tasks.UpdateTask:
    description = described(cache)
    values: dict[str, Any] = {
        "credentials": None, "transport": None, "description": description, "area": None,
        "levels": description.cached_levels, "mode": ALL, "source": source,
    }  # fmt: skip
    return tasks.UpdateTask("Update World", str(cache), **{**values, **changes})


def test_an_update_draws_from_its_source(cache: Path, end_of: Callable) -> None:
    source = OneColour(RED)
    name, report = end_of(update_task(cache, source))
    assert (name, report.outcome, report.is_local) == ("reported", Outcome.DONE, True)
    assert counts_of(cache) == {0: 1, 1: 4, 2: 16, 3: 64}
    assert bundles.read_bytes(cache, 3, 7, 7) == picture(RED)
    assert source.closed == 1
    assert threading.get_ident() not in source.threads


def test_an_update_knows_its_filter_and_its_settings(cache: Path, end_of: Callable) -> None:
    bundles.write_tile(cache, 2, 1, 1, picture(RED))
    settings = CacheSettings("theme:Night", "#000000")
    only_there = TileFilter(only_existing=True)
    task = update_task(cache, OneColour(BLUE), tile_filter=only_there, settings=settings)
    assert end_of(task)[0] == "reported"
    assert counts_of(cache) == {2: 1}
    assert bundles.read_bytes(cache, 2, 1, 1) == picture(BLUE)
    assert read_settings(cache) == settings


@pytest.mark.parametrize("stop", ["cancel", "let_go"])
def test_an_update_that_is_stopped_can_be_resumed(
    cache: Path, kept: list, wait_until: Callable, end_of: Callable, stop: str
) -> None:
    source = OneColour(RED)
    source.may_draw.clear()
    task = update_task(cache, source)
    ends = Ends(task)
    tasks.start(task, kept)
    wait_until(source.drawing.is_set)
    getattr(task, stop)()
    wait_until(lambda: ends.told and not kept)
    name, report = ends.only()
    assert (name, report.outcome) == ("reported", Outcome.CANCELLED)
    assert source.closed == 1
    assert described(cache).unfinished.is_interrupted

    name, report = end_of(update_task(cache, OneColour(BLUE), resume=Resume.CONTINUE))
    assert (name, report.outcome) == ("reported", Outcome.DONE)
    assert sum(counts_of(cache).values()) == 85


@pytest.fixture
def interrupted(cache: Path, kept: list, wait_until: Callable) -> Path:
    """A cache of which an update of the north-eastern quarter was stopped before its first tile."""
    source = OneColour(RED)
    source.may_draw.clear()
    task = update_task(cache, source, area=box(1, 1, 2e7, 2e7))
    ends = Ends(task)
    tasks.start(task, kept)
    wait_until(source.drawing.is_set)
    task.cancel()
    wait_until(lambda: ends.told and not kept)
    return cache


def test_what_is_taken_up_has_the_area_of_its_record(interrupted: Path, end_of: Callable) -> None:
    task = update_task(interrupted, OneColour(BLUE), resume=Resume.CONTINUE)
    assert end_of(task)[1].outcome is Outcome.DONE
    assert counts_of(interrupted) == {0: 1, 1: 1, 2: 4, 3: 16}


@pytest.mark.parametrize(
    "other",
    [{"mode": UpdateMode.DELETE, "source": None}, {"levels": web_mercator(finest=3).levels[:1]}],
)
def test_another_update_than_the_one_offered_is_not_taken_up(
    interrupted: Path, end_of: Callable, other: dict[str, Any]
) -> None:
    source = other.pop("source", OneColour(BLUE))
    name, error = end_of(update_task(interrupted, source, resume=Resume.CONTINUE, **other))
    assert (name, type(error)) == ("failed", NothingToResume)
    assert counts_of(interrupted) == {}


def test_an_unfinished_update_is_discarded(interrupted: Path, end_of: Callable) -> None:
    assert described(interrupted).unfinished is not None
    assert end_of(local_tasks.DiscardTask(interrupted)) == ("discarded", interrupted)
    assert described(interrupted).unfinished is None


def test_a_task_that_was_cancelled_before_its_start_closes_its_source(
    cache: Path, kept: list, wait_until: Callable
) -> None:
    description = described(cache)
    for make in (
        lambda source: update_task(cache, source),
        lambda source: local_tasks.EstimateTask(
            description, levels=description.cached_levels, mode=ALL, area=None, source=source
        ),
    ):
        source = OneColour(RED)
        task = make(source)
        ends = Ends(task)
        task.hold()  # not started by QGIS until told
        tasks.start(task, kept)
        task.cancel()
        wait_until(lambda ends=ends: ends.told and not kept)
        assert ends.only() == ("cancelled", None)
        assert source.closed == 1


def test_what_is_not_begun_closes_its_source(cache: Path, end_of: Callable) -> None:
    source = OneColour(RED)
    name, error = end_of(update_task(cache, source, levels=()))
    assert (name, type(error)) == ("failed", NoLevels)
    name, error = end_of(update_task(cache, source, resume=Resume.CONTINUE))
    assert (name, type(error)) == ("failed", NothingToResume)
    assert source.closed == 2
    assert counts_of(cache) == {}


def test_copies_of_layers_that_were_not_drawn_are_dropped(cache: Path, end_of: Callable) -> None:
    project = QgsProject()
    project.addMapLayer(countries())
    source = sources.make_source("", project, CacheSettings())
    copies = [weakref.ref(layer) for made in source._made for layer in made.layers]
    assert copies
    assert end_of(update_task(cache, source, levels=()))[0] == "failed"
    assert [copy for copy in copies if copy() is not None] == []


def test_an_estimate_tells_tiles_bytes_and_time(cache: Path, end_of: Callable) -> None:
    description = described(cache)
    source = OneColour(RED)
    name, estimates = end_of(
        local_tasks.EstimateTask(
            description, levels=description.cached_levels, mode=ALL, area=None, source=source
        )
    )
    assert name == "estimated"
    assert [each.tiles for each in estimates] == [1, 4, 16, 64]
    assert estimates[3].bytes == pytest.approx(64 * len(picture(RED)), rel=0.1)
    assert all(each.seconds is not None for each in estimates)
    assert source.closed == 1
    assert counts_of(cache) == {}


def profile(name: str = "World") -> CacheProfile:
    return CacheProfile(web_mercator(finest=3), StorageFormat.COMPACT_V2, "PNG32", name=name)


def test_a_cache_is_created_once(tmp_path: Path, end_of: Callable) -> None:
    path, settings = tmp_path / "new" / "World", CacheSettings("theme:Day")
    assert end_of(local_tasks.CreateTask(path, profile(), settings)) == ("created", path)
    assert read_settings(path) == settings
    assert described(path).source == "theme:Day"
    name, error = end_of(local_tasks.CreateTask(path, profile(), settings))
    assert (name, type(error)) == ("failed", TargetExists)


def test_a_scheme_is_read(cache: Path, end_of: Callable) -> None:
    facts = schemes.ProjectFacts.of(QgsProject())
    task = local_tasks.SchemeTask(str(cache), facts, tile_size=256, dpi=96)
    name, (scheme, _extent) = end_of(task)
    assert name == "made"
    assert scheme == described(cache).scheme
    name, error = end_of(local_tasks.SchemeTask("PROJECT", facts, tile_size=256, dpi=96))
    assert (name, type(error)) == ("failed", BadScheme)


def test_a_check_tells_what_is_wrong(cache: Path, end_of: Callable) -> None:
    bundles.write_tile(cache, 2, 1, 1, picture(RED)[:-9])
    bundles.write_tile(cache, 2, 1, 2, picture(RED))
    name, report = end_of(local_tasks.VerifyTask("Check World", cache, mend=False))
    assert name == "verified"
    assert (report.tiles, sum(report.count_of.values()), report.mended) == ({2: 2}, 1, 0)
    name, report = end_of(local_tasks.VerifyTask("Mend World", cache, mend=True))
    assert (name, report.mended) == ("verified", 1)
    assert counts_of(cache) == {2: 1}


def test_defragmenting_tells_what_it_won(cache: Path, end_of: Callable) -> None:
    for colour in (RED, BLUE):
        bundles.write_tile(cache, 2, 1, 1, picture(colour))
    name, report = end_of(local_tasks.DefragmentTask("Defragment World", cache))
    assert name == "defragmented"
    assert (report.files, report.before - report.after) == (1, 4 + len(picture(RED)))
    assert bundles.read_bytes(cache, 2, 1, 1) == picture(BLUE)


def test_what_is_no_cache_fails(tmp_path: Path, end_of: Callable) -> None:
    for task in (
        local_tasks.VerifyTask("Check", tmp_path, mend=False),
        local_tasks.DefragmentTask("Defragment", tmp_path),
    ):
        name, error = end_of(task)
        assert (name, type(error)) == ("failed", NotACache)


def test_a_task_cancelled_before_it_began_does_nothing(
    tmp_path: Path, kept: list, wait_until: Callable
) -> None:
    path = tmp_path / "World"
    task = local_tasks.CreateTask(path, profile(), CacheSettings())
    ends = Ends(task)
    task.cancel()
    tasks.start(task, kept)
    assert ends.only() == ("cancelled", None)
    assert not path.exists()


QUIET = [
    ("scheme", lambda cache: local_tasks.SchemeTask(
        "WGS84", schemes.ProjectFacts.of(QgsProject()), tile_size=256, dpi=96), True),
    ("estimate", lambda cache: local_tasks.EstimateTask(
        described(cache), levels=(), mode=ALL, area=None, source=None), True),
    ("create", lambda cache: local_tasks.CreateTask(cache, profile(), CacheSettings()), False),
    ("verify", lambda cache: local_tasks.VerifyTask("Check", cache, mend=False), False),
    ("defragment", lambda cache: local_tasks.DefragmentTask("Defragment", cache), False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "is_quiet"), [case[1:] for case in QUIET], ids=[case[0] for case in QUIET]
)
def test_qgis_tells_people_of_work_on_their_files_only(
    cache: Path, make: Callable, is_quiet: bool
) -> None:
    flags = make(cache).flags()
    assert flags & QgsTask.Flag.CanCancel
    assert bool(flags & QgsTask.Flag.CancelWithoutPrompt) == is_quiet
