"""Bundles given to a crew: what travels comes back as it was, and the update is the same."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from core.local.fakes import (
    HALF,
    FailingSource,
    MemoryStore,
    PlainSource,
    profile_of,
    web_mercator,
)
from shapely.geometry import Point

from tile_cache_manager.plugin.core import errors
from tile_cache_manager.plugin.core.local.bundle_run import BundleDone, recreate_bundle
from tile_cache_manager.plugin.core.local.bundle_work import BundleTask
from tile_cache_manager.plugin.core.local.crew import (
    Crew,
    done_text,
    error_text,
    read_done,
    read_error,
    read_task,
    task_text,
)
from tile_cache_manager.plugin.core.local.journal import unfinished
from tile_cache_manager.plugin.core.local.run_record import Entry
from tile_cache_manager.plugin.core.local.update import run_update
from tile_cache_manager.plugin.core.request import (
    Feedback,
    Outcome,
    Resume,
    TileFilter,
    UpdateMode,
    UpdateReport,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.tiling import Extent, TileRange

SCHEME = web_mercator(9)
EMPTY, ALL, DELETE = UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL, UpdateMode.DELETE
AREA = Point(0, 0).buffer(HALF / 14)
ASKED = UpdateRequest(SCHEME, SCHEME.levels[6:10], ALL, area=AREA)


@dataclass
class CrewAtHand(Crew):
    """Does bundles in this process, told of them only by what travels.

    `at_once`: bundles that are out at a time; the last given comes back first. `dies_over`: bundles
    (level, row, column) that kill whoever takes them. `stops_after`: bundles.
    """

    source: PlainSource
    at_once: int = 3
    dies_over: frozenset[tuple[int, int, int]] = frozenset()
    problem: Exception | None = None
    given: list[BundleTask] = field(default_factory=list)
    closed: int = 0

    def start(self, store: MemoryStore, source: PlainSource, stopped: Callable[[], bool]) -> None:
        if self.problem is not None:
            raise self.problem
        self.store = store

    def done(
        self, tasks: Iterator[BundleTask], stopped: Callable[[], bool]
    ) -> Generator[tuple[BundleTask, BundleDone], None, None]:
        out: list[BundleTask] = []
        while True:
            while len(out) < self.at_once and not stopped():
                task = next(tasks, None)
                if task is None:
                    break
                out.append(task)
                self.given.append(task)
            if not out:
                return
            task = out.pop()
            yield task, read_done(self._worked(task_text(task), stopped))

    def _worked(self, text: str, stopped: Callable[[], bool]) -> str:
        task = read_task(text)
        if (task.level.id, *task.corner) in self.dies_over:
            return done_text(BundleDone(tuple(task.all_failed(errors.WorkersDied("Plain")))))
        done = recreate_bundle(self.store, self.source, task, stopped, pauses=())
        self.store.commit()
        return done_text(done)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def alone(tmp_path: Path) -> MemoryStore:
    return filled(tmp_path / "alone")


@pytest.fixture
def shared(tmp_path: Path) -> MemoryStore:
    return filled(tmp_path / "shared")


def filled(path: Path) -> MemoryStore:
    store = MemoryStore(path, profile_of(SCHEME, StorageFormat.COMPACT_V2))
    for level in SCHEME.levels[6:10]:
        half = 2 ** (level.id - 1)
        rows, cols = range(half - 9, half + 3), range(half - 9, half + 9, 3)
        store.fill(level.id, [(row, col) for row in rows for col in cols])
    return store


def update(
    store: MemoryStore,
    crew: Crew | None = None,
    asked: UpdateRequest = ASKED,
    source: PlainSource | None = None,
    feedback: Feedback | None = None,
) -> UpdateReport:
    return run_update(
        store, source or PlainSource(), asked, feedback or Feedback(), pauses=(), crew=crew
    )


def counts(report: UpdateReport) -> list[tuple[int | None, ...]]:
    return [
        (each.level.id, each.planned, each.made, each.replaced, each.skipped, each.failed)
        for each in report.levels
    ]


# The same as alone


@pytest.mark.parametrize(
    "asked",
    [
        ASKED,
        replace(ASKED, mode=EMPTY),
        replace(ASKED, tile_filter=TileFilter(only_existing=True)),
        replace(ASKED, tile_filter=TileFilter(older_than=2000.0)),
        replace(ASKED, tile_filter=TileFilter(older_than=500.0)),
    ],
    ids=["all", "empty", "existing", "older", "none older"],
)
@pytest.mark.parametrize("at_once", [1, 4])
def test_a_crew_makes_the_tiles_and_the_report_of_one_alone(
    alone: MemoryStore, shared: MemoryStore, asked: UpdateRequest, at_once: int
) -> None:
    expected = update(alone, asked=asked)
    crew, progress = CrewAtHand(PlainSource(), at_once), []

    report = update(shared, crew, asked, feedback=Feedback(progress=progress.append))

    assert shared.tiles == alone.tiles
    assert counts(report) == counts(expected)
    assert (report.outcome, crew.closed, progress[-1]) == (Outcome.DONE, 1, 100)
    assert unfinished(shared.path) is None


def test_bundles_that_need_nothing_are_not_given_out(shared: MemoryStore) -> None:
    update(shared)
    crew = CrewAtHand(PlainSource())

    report = update(shared, crew, replace(ASKED, mode=EMPTY))

    assert crew.given == []
    assert report.total("skipped") == report.total("planned")


def test_tiles_are_deleted_without_the_crew(alone: MemoryStore, shared: MemoryStore) -> None:
    asked = replace(ASKED, mode=DELETE)
    crew = CrewAtHand(PlainSource())
    expected = run_update(alone, None, asked, Feedback())

    report = run_update(shared, None, asked, Feedback(), crew=crew)

    assert (shared.tiles, counts(report)) == (alone.tiles, counts(expected))
    assert (crew.given, crew.closed) == ([], 1)


# Interrupted


def cancelled_after(percent: float) -> Feedback:
    """Feedback that cancels once so much is done."""
    told = [0.0]
    return Feedback(progress=told.append, cancelled=lambda: told[-1] > percent)


@pytest.mark.parametrize("percent", [0.0, 5.0, 50.0])
@pytest.mark.parametrize("first_alone", [True, False])
def test_either_takes_up_what_the_other_left(
    alone: MemoryStore, shared: MemoryStore, percent: float, first_alone: bool
) -> None:
    expected = update(alone)
    source = PlainSource()
    crews = [CrewAtHand(source), None]
    first, second = crews[::-1] if first_alone else crews

    begun = update(shared, first, source=source, feedback=cancelled_after(percent))
    drawn_first = sum(int(each.wanted.sum()) for each in source.drawn)
    ended = update(shared, second, source=source)

    assert (begun.outcome, ended.outcome) == (Outcome.CANCELLED, Outcome.DONE)
    assert shared.tiles == alone.tiles
    assert counts(ended) == counts(expected)
    drawn = sum(int(each.wanted.sum()) for each in source.drawn)
    assert 0 < drawn_first < expected.total("planned")
    assert drawn <= expected.total("planned") + 4 * 128 * 128


def test_a_bundle_over_which_workers_die_fails_alone(
    alone: MemoryStore, shared: MemoryStore
) -> None:
    update(alone)
    deadly = (8, 0, 128)
    crew = CrewAtHand(PlainSource(), dies_over=frozenset([deadly]))

    report = update(shared, crew)

    lost = {key for key in alone.tiles if alone.tiles[key] != shared.tiles.get(key)}
    assert report.outcome is Outcome.PARTIAL
    assert len(lost) == report.total("failed") > 0
    assert {(level, row - row % 128, col - col % 128) for level, row, col in lost} == {deadly}
    assert isinstance(report.failed_tiles[0].error, errors.WorkersDied)

    update(shared, CrewAtHand(PlainSource()), replace(ASKED, resume=Resume.FAILED))
    assert shared.tiles == alone.tiles


def test_tiles_that_fail_are_told_as_by_one_alone(alone: MemoryStore, shared: MemoryStore) -> None:
    bad = frozenset([(8, 127, 127), (9, 258, 250), (6, 32, 32)])
    expected = update(alone, source=FailingSource(bad=bad))

    report = update(shared, CrewAtHand(FailingSource(bad=bad), at_once=1))

    assert shared.tiles == alone.tiles
    assert counts(report) == counts(expected)
    assert sorted((e.level_id, e.row, e.col, str(e.error)) for e in report.failed_tiles) == sorted(
        (e.level_id, e.row, e.col, str(e.error)) for e in expected.failed_tiles
    )


def test_one_failure_in_each_of_many_bundles_is_no_dead_source(tmp_path: Path) -> None:
    bad = frozenset(
        (level, row, col)
        for level in range(6, 10)
        for row in range(5, 2**level, 128)
        for col in range(5, 2**level, 128)
    )
    store = MemoryStore(tmp_path / "cache", profile_of(SCHEME, StorageFormat.COMPACT_V2))
    asked = UpdateRequest(SCHEME, SCHEME.levels[6:10], ALL, extent=Extent(-HALF, -HALF, HALF, HALF))

    report = update(store, CrewAtHand(FailingSource(bad=bad)), asked)

    assert len(bad) > 20
    assert (report.outcome, report.total("failed")) == (Outcome.PARTIAL, 64 * len(bad))


def test_a_dead_source_ends_the_run_and_all_is_tried_again(
    alone: MemoryStore, shared: MemoryStore
) -> None:
    update(alone)
    with pytest.raises(errors.LayerFailed):
        update(shared, CrewAtHand(FailingSource(bad=None)))

    report = update(shared, CrewAtHand(PlainSource()))

    assert report.outcome is Outcome.DONE
    assert shared.tiles == alone.tiles


@pytest.mark.parametrize(
    "problem",
    [
        errors.ClusterUnusable("tcp://10.0.0.1:8786", errors.ClusterProblem.NO_WORKERS),
        errors.WorkerUnfit("tcp://10.0.0.7:1", errors.WorkerProblem.NO_FOLDER, "/maps"),
        errors.NotForCluster("/maps/a.tpkx", errors.NotForClusterReason.PACKAGE),
        errors.ReadOnlyCache("/maps/a", errors.ReadOnlyReason.RIGHTS),
        errors.LayerFailed("Roads", "gone"),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_a_crew_that_cannot_begin_leaves_no_run_behind(
    shared: MemoryStore, problem: Exception
) -> None:
    before = dict(shared.tiles)
    crew = CrewAtHand(PlainSource(), problem=problem)

    with pytest.raises(type(problem)):
        update(shared, crew)

    assert (shared.tiles, crew.closed, unfinished(shared.path)) == (before, 1, None)


# What travels


def task(seed: int, **rest: Any) -> BundleTask:
    mask = np.random.default_rng(seed).random((128, 128)) < 0.3
    values = {"side": 8, "mode": EMPTY, "tile_filter": TileFilter(), **rest}
    return BundleTask(SCHEME.levels[9], TileRange(128, 255, 256, 383), mask, **values)


FAILED = Entry(
    9, 128, 256, 3, 2, 0, 1, ((128, 256), (129, 300)), errors.LayerFailed("Wälder", "gone")
)
TASKS = [
    task(1),
    task(2, mode=ALL, tile_filter=TileFilter(True, 1234.5), limit=TileRange(0, 511, 0, 511)),
    task(3, before=(FAILED, Entry(9, 136, 256, 64), Entry(9, 144, 256, 64, side=16, supertiles=4))),
]


@pytest.mark.parametrize("sent", TASKS, ids=["plain", "filtered", "taken up"])
def test_a_task_comes_as_it_was_sent(sent: BundleTask) -> None:
    got = read_task(json.loads(json.dumps(task_text(sent))))

    assert np.array_equal(got.mask, sent.mask)
    assert got.mask.dtype == np.bool_
    assert told(replace(got, mask=sent.mask)) == told(sent)


def test_what_came_of_a_task_comes_as_it_was_sent() -> None:
    sent = BundleDone(
        entries=(FAILED, Entry(9, 136, 256, 64)),
        before=(Entry(9, 144, 256, 0, 7, side=16, supertiles=4),),
        skipped=5,
        untouched=2,
        remarks=(errors.DiskFull("/maps", 10, 5, True),),
        error=errors.LayerFailed("Wälder", "gone"),
        is_whole=False,
    )

    assert told(read_done(done_text(sent))) == told(sent)


def told(value: Any) -> str:
    """A value as text, errors with all they hold."""

    def said(error: Any) -> Any:
        return (type(error).__name__, str(error)) if isinstance(error, Exception) else error

    if isinstance(value, BundleTask):
        return repr([value.level, value.block, value.side, value.mode, value.tile_filter,
                     value.limit, *map(told, value.before)])  # fmt: skip
    if isinstance(value, BundleDone):
        rest = [value.skipped, value.untouched, value.is_whole, said(value.error)]
        parts = [*map(told, value.entries), *map(told, value.before), *map(said, value.remarks)]
        return repr([parts, rest])
    return repr(replace(value, error=None)) + repr(said(value.error))


def all_errors() -> Iterator[errors.TileCacheError]:
    """One of each class whose values are plain, for each of its reasons."""
    samples = {"str": "/maps/a", "int": 7, "float": 1.5, "bool": True, "int | None": None}
    for kind in vars(errors).values():
        if not (inspect.isclass(kind) and issubclass(kind, errors.TileCacheError)):
            continue
        wanted = {} if kind.__init__ is Exception.__init__ else dict(
            list(inspect.signature(kind.__init__).parameters.items())[1:]
        )  # fmt: skip
        wanted = {name: each for name, each in wanted.items() if name not in ("args", "kwargs")}
        reasons = [
            getattr(errors, str(each.annotation), None)
            for each in wanted.values()
            if inspect.isclass(getattr(errors, str(each.annotation), None))
        ]
        enum = next((each for each in reasons if issubclass(each, Enum)), None)
        for reason in enum or [None]:
            values = {
                name: reason if enum is not None and each.annotation == enum.__name__
                else samples.get(str(each.annotation))
                for name, each in wanted.items()
            }  # fmt: skip
            if all(each is not None or "None" in str(wanted[n].annotation)
                   for n, each in values.items()):  # fmt: skip
                yield kind(**values)


@pytest.mark.parametrize("error", list(all_errors()), ids=lambda e: f"{type(e).__name__} {e}")
def test_an_error_comes_as_it_was_sent(error: errors.TileCacheError) -> None:
    got = read_error(error_text(error))

    assert type(got) is type(error)
    assert vars(got) == vars(error)


def test_most_errors_were_met() -> None:
    met = {type(error) for error in all_errors()}
    assert {errors.DiskFull, errors.LayerFailed, errors.NothingToDraw, errors.DamagedCache} <= met
    assert len(met) > 40


@pytest.mark.parametrize(
    "text",
    [
        '{"kind": "NoSuchError", "text": "sent by a newer one", "values": {}}',
        '{"kind": "DiskFull", "text": "sent by a newer one", "values": {"inodes": 5}}',
        '{"kind": "Enum", "text": "sent by a newer one", "values": {}}',
        '{"kind": "NothingToDraw", "text": "sent by a newer one", "values":'
        ' {"name": "a", "reason": {"enum": "NothingToDrawReason", "name": "NEW"}}}',
    ],
)
def test_an_error_that_nobody_knows_here_says_the_same(text: str) -> None:
    got = read_error(text)

    assert type(got) is errors.SourceError
    assert "sent by a newer one" in str(got)
