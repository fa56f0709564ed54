"""Bundles on their own: stored in batches, passed by unread once done, worked on by others."""

from __future__ import annotations

import os
import pickle
import threading
import time
import tracemalloc
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from core.local.fakes import (
    HALF,
    FailingSource,
    GappySource,
    MemoryStore,
    PlainSource,
    Tile,
    picture,
    profile_of,
    web_mercator,
)
from made_caches import WORLD, profile, write_metadata
from shapely.geometry import Point

from tile_cache_manager.plugin.core.errors import (
    CacheInUse,
    DamagedCache,
    DiskFull,
    LayerFailed,
    NothingToDraw,
    NothingToDrawReason,
    TileTooLarge,
)
from tile_cache_manager.plugin.core.local import bundle_run, space
from tile_cache_manager.plugin.core.local.bundle_run import BundleDone, recreate_bundle
from tile_cache_manager.plugin.core.local.bundle_work import BundleTask
from tile_cache_manager.plugin.core.local.journal import note_mending, unfinished
from tile_cache_manager.plugin.core.local.plan import plan_of, world_limit
from tile_cache_manager.plugin.core.local.source import Supertile
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
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.tiling import Extent, Level, TileRange

SCHEME = web_mercator(9)
EMPTY, ALL, DELETE = UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL, UpdateMode.DELETE
QUARTER = Extent(0, 0, HALF, HALF)
AT_ONCE = (0.0, 0.0)


@pytest.fixture
def store(tmp_path: Path) -> MemoryStore:
    return MemoryStore(tmp_path / "cache", profile_of(SCHEME, StorageFormat.COMPACT_V2))


def asked(*levels: int, mode: UpdateMode = ALL) -> UpdateRequest:
    return UpdateRequest(
        SCHEME, tuple(SCHEME.levels[each] for each in levels), mode, extent=QUARTER
    )


def update(store: MemoryStore, source: PlainSource | None, request: UpdateRequest) -> UpdateReport:
    return run_update(store, source, request, Feedback(), pauses=())


def writes(store: MemoryStore) -> list[int]:
    return [len(line[2]) for line in store.log if line[0] == "write"]


# Batches


def test_a_bundle_of_small_tiles_is_written_at_once(store: MemoryStore) -> None:
    update(store, PlainSource(workers=3), asked(5, 6, 7))

    assert writes(store) == [256, 1024, 4096]


def test_a_batch_is_no_larger_than_its_bytes(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = len(picture(7, 0, 64))
    monkeypatch.setattr(bundle_run, "BATCH_BYTES", 200 * each)

    update(store, PlainSource(workers=1), asked(7))

    # Supertiles of 64 tiles: four of them are the first that are more than 200.
    assert writes(store) == [256] * 16


def test_what_was_drawn_is_stored_while_the_next_takes_long(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_run, "BATCH_SECONDS", 0.05)
    is_stored = threading.Event()
    store.before_write = lambda *_args: is_stored.set()

    class Slow(PlainSource):
        def pictures(self, supertile: Supertile) -> dict[Tile, bytes]:
            # The last of the four waits until the first are stored.
            assert len(self.drawn) < 4 or is_stored.wait(20)
            return super().pictures(supertile)

    report = update(store, Slow(workers=1), asked(5))

    assert (report.outcome, report.total("made")) == (Outcome.DONE, 256)
    assert len(writes(store)) == 2


def test_of_a_batch_with_tiles_too_large_all_others_are_stored(store: MemoryStore) -> None:
    large = {(3, 70), (40, 99), (40, 100)}

    def refuse(_level_id: int, tiles: Mapping[Tile, bytes]) -> None:
        if large & tiles.keys():
            raise TileTooLarge("cache", 2**24)

    store.before_write = refuse
    report = update(store, PlainSource(), asked(7))

    assert (report.total("made"), report.total("failed")) == (4093, 3)
    assert {(each.row, each.col) for each in report.failed_tiles} == large
    # Halves of halves, not tile by tile.
    assert store.calls["write"] < 80


def test_a_batch_that_cannot_be_stored_is_one_failure(store: MemoryStore) -> None:
    """A hundred supertiles in one file that others hold are no sign of a dead source."""

    def refuse(level_id: int, _tiles: object) -> None:
        if level_id == 7:
            raise CacheInUse("R0000C0000.bundle")

    store.before_write = refuse
    report = update(store, PlainSource(), asked(6, 7))

    assert report.outcome is Outcome.PARTIAL
    assert (report.total("made"), report.total("failed")) == (1024, 4096)
    run = unfinished(store.path)
    assert run is not None
    assert (run.failed, run.is_interrupted) == (4096, False)


def test_caches_that_refuse_bundle_after_bundle_end_the_run(store: MemoryStore) -> None:
    """Though every one of them was drawn."""

    def refuse(_level_id: int, _tiles: object) -> None:
        raise CacheInUse("R0000C0000.bundle")

    store.before_write = refuse
    sparse = UpdateRequest(
        web_mercator(14),
        web_mercator(14).levels[14:],
        ALL,
        extent=Extent(1000.0, 1000.0, 1001.0, HALF),
    )
    store.profile = profile_of(web_mercator(14), StorageFormat.COMPACT_V2)
    with pytest.raises(CacheInUse):
        update(store, PlainSource(), sparse)

    assert store.calls["write"] == 20


def test_a_dead_source_does_not_lose_what_it_drew_before(store: MemoryStore) -> None:
    class Dying(PlainSource):
        def pictures(self, supertile: Supertile) -> dict[Tile, bytes]:
            if len(self.drawn) > 5:
                raise LayerFailed("Roads", "gone")
            return super().pictures(supertile)

    with pytest.raises(LayerFailed):
        update(store, Dying(workers=1), asked(7))

    assert writes(store) == [5 * 64]
    assert store.log[-1] == ("commit",)
    run = unfinished(store.path)
    assert run is not None
    assert (run.done, run.failed) == (5, 0)


def test_a_disk_that_is_full_leaves_the_batch_undone(store: MemoryStore) -> None:
    def full(level_id: int, _tiles: object) -> None:
        if level_id == 7:
            raise DiskFull("cache", free=0)

    store.before_write = full
    with pytest.raises(DiskFull):
        update(store, PlainSource(), asked(6, 7))

    run = unfinished(store.path)
    assert run is not None
    assert (run.is_interrupted, run.done, run.planned) == (True, 16, 80)
    store.before_write = lambda *_args: None
    source = PlainSource()
    assert update(store, source, asked(6, 7)).total("made") == 1024 + 4096
    assert {part.level.id for part in source.drawn} == {7}


# Passed by unread


def looked_at(store: MemoryStore, source: PlainSource | None, request: UpdateRequest) -> set[Tile]:
    """The bundles of level 9 that an update looks at for what there is to do, and its report."""
    seen: set[Tile] = set()
    exists = store.exists

    def look(level_id: int, block: TileRange) -> np.ndarray:
        if level_id == 9:
            seen.add((block.min_row, block.min_col))
        return exists(level_id, block)

    store.exists = look
    # Not the bundles that are looked at to learn how large tiles are.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(space, "_sure_size", lambda *_args: 1.0)
        looked_at.report = update(store, source, request)
    store.exists = exists
    return seen


BUNDLES = {(row, col) for row in (0, 128) for col in (256, 384)}


def cancelled_at_the_third(store: MemoryStore, mode: UpdateMode, source: PlainSource) -> None:
    """Update four bundles of level 9, cancelled while the third is drawn."""
    limit = sum(1 for line in store.log if line[0] == "write") + 2
    feedback = Feedback(
        cancelled=lambda: sum(1 for line in store.log if line[0] == "write") >= limit
    )
    report = run_update(store, source, asked(9, mode=mode), feedback)
    assert report.outcome is Outcome.CANCELLED


@pytest.mark.parametrize("mode", [ALL, EMPTY])
@pytest.mark.parametrize("kind", [PlainSource, GappySource])
def test_bundles_that_were_finished_are_not_opened_again(
    mode: UpdateMode, kind: type[PlainSource], tmp_path: Path, store: MemoryStore
) -> None:
    old = [(row, col) for row in range(0, 256, 3) for col in range(256, 512, 5)]
    other = MemoryStore(tmp_path / "other", store.profile)
    for each in (store, other):
        each.fill(9, old)
    expected = update(other, kind(supertile_side=64), asked(9, mode=mode))
    cancelled_at_the_third(store, mode, kind(supertile_side=64, workers=1))

    seen = looked_at(store, kind(supertile_side=64), asked(9, mode=mode))

    assert seen == {(128, 256), (128, 384)}
    assert store.tiles == other.tiles
    assert looked_at.report.levels == expected.levels
    assert unfinished(store.path) is None


def test_bundles_in_which_nothing_was_to_do_are_not_opened_again(store: MemoryStore) -> None:
    store.fill(9, [(row, col) for row in range(128) for col in range(256, 512)])
    stop = Feedback(cancelled=lambda: store.calls.get("write", 0) >= 1)
    run_update(store, PlainSource(supertile_side=64, workers=1), asked(9, mode=EMPTY), stop)

    seen = looked_at(store, PlainSource(supertile_side=64), asked(9, mode=EMPTY))

    assert seen == {(128, 384)}
    assert looked_at.report.total("skipped") == 2 * 128 * 128
    assert looked_at.report.total("made") == 2 * 128 * 128


def test_what_failed_in_a_finished_bundle_is_told_and_not_tried_again(store: MemoryStore) -> None:
    bad = frozenset({(9, 3, 300)})
    stop = Feedback(cancelled=lambda: store.calls.get("write", 0) >= 2)
    run_update(
        store,
        FailingSource(bad=bad, supertile_side=64, workers=1),
        asked(9),
        stop,
        pauses=(),
    )

    seen = looked_at(store, PlainSource(supertile_side=64), asked(9))

    assert (0, 256) not in seen
    report = looked_at.report
    assert (report.outcome, report.total("failed")) == (Outcome.PARTIAL, 64 * 64)
    assert {type(each.error) for each in report.failed_tiles} == {LayerFailed}


def test_a_bundle_that_is_gone_is_made_again(store: MemoryStore) -> None:
    cancelled_at_the_third(store, ALL, PlainSource(supertile_side=64, workers=1))
    for key in [key for key in store.tiles if key[1] < 128 and key[2] < 384]:
        del store.tiles[key]

    seen = looked_at(store, PlainSource(supertile_side=64), asked(9))

    assert seen == {(0, 256), (128, 256), (128, 384)}
    assert looked_at.report.total("made") == 256 * 256
    assert len(store.tiles) == 256 * 256


def deleted(store: MemoryStore) -> None:
    corner = SCHEME.tile_bounds(SCHEME.levels[9], 5, 300)
    chosen = UpdateRequest(SCHEME, SCHEME.levels[9:], DELETE, area=Point(corner.xmin, corner.ymin))
    chosen = replace(chosen, area=chosen.area.buffer(2e5))
    update(store, None, chosen)


def mended(store: MemoryStore) -> None:
    del store.tiles[9, 5, 300]
    note_mending(store.path)


@pytest.mark.parametrize("change", [deleted, mended], ids=lambda change: change.__name__)
def test_what_others_took_out_since_is_made_again(change: object, store: MemoryStore) -> None:
    cancelled_at_the_third(store, ALL, PlainSource(supertile_side=64, workers=1))
    assert callable(change)
    change(store)

    request = replace(asked(9), resume=Resume.CONTINUE)
    seen = looked_at(store, PlainSource(supertile_side=64), request)

    assert seen == BUNDLES
    assert len(store.tiles) == 256 * 256


@pytest.mark.parametrize("storage", [StorageFormat.COMPACT_V2, StorageFormat.COMPACT_V1])
def test_bundles_that_other_programs_wrote_since_are_looked_at(
    storage: StorageFormat, tmp_path: Path
) -> None:
    """Such as ArcGIS, or MapProxy's cleanup, which leave no record."""
    cache = tmp_path / "cache"
    write_metadata(cache, profile(storage, finest=8))

    def run(feedback: Feedback) -> UpdateReport:
        with open_store(cache, for_writing=True) as store:
            scheme = store.profile.scheme
            everything = UpdateRequest(scheme, scheme.levels[8:], ALL, extent=WORLD)
            return run_update(store, source, everything, feedback)

    source = PlainSource(supertile_side=64, workers=1)
    told: list[float] = []
    half = Feedback(progress=told.append, cancelled=lambda: bool(told) and told[-1] >= 50)
    assert run(half).outcome is Outcome.CANCELLED
    bundles = sorted(cache.rglob("*.bundle"))
    with open_store(cache, for_writing=True) as store:
        store.delete(8, [(5, 5)])
    later = time.time() + 5
    for file in bundles[0].parent.glob(f"{bundles[0].stem}.*"):
        os.utime(file, (later, later))
    source = PlainSource(supertile_side=64, workers=1)

    report = run(Feedback())

    assert {(part.block.min_row, part.block.min_col) for part in source.drawn} >= {(0, 0)}
    assert (0, 128) not in {(part.block.min_row, part.block.min_col) for part in source.drawn}
    assert (report.outcome, report.total("gaps")) == (Outcome.DONE, 0)
    with open_store(cache) as store:
        assert store.counts() == {8: 4**8}


# One bundle on its own


def task_of(
    store: MemoryStore, level: Level, mode: UpdateMode, side: int = 8, area: object = QUARTER
) -> BundleTask:
    is_extent = isinstance(area, Extent)
    request = UpdateRequest(
        SCHEME, (level,), mode, extent=area if is_extent else None, area=None if is_extent else area
    )
    ((block, mask),) = plan_of(request, store.profile, "").bundles(level)
    limit = world_limit(store.profile, level)
    return BundleTask(level, block, mask, side, mode, TileFilter(), limit)


@pytest.mark.parametrize("mode", [ALL, EMPTY])
@pytest.mark.parametrize("area", [QUARTER, Point(1e7, 1e7).buffer(3e6)], ids=["whole", "part"])
@pytest.mark.parametrize("kind", [PlainSource, GappySource])
def test_a_bundle_done_by_another_is_as_done_by_the_update(
    mode: UpdateMode, area: object, kind: type[PlainSource], store: MemoryStore, tmp_path: Path
) -> None:
    other = MemoryStore(tmp_path / "other", store.profile)
    for each in (store, other):
        each.fill(7, [(row, col) for row in range(0, 64, 3) for col in range(64, 128, 2)])
    task = task_of(store, SCHEME.levels[7], mode, area=area)
    is_extent = isinstance(area, Extent)
    report = update(
        other,
        kind(),
        UpdateRequest(
            SCHEME,
            SCHEME.levels[7:8],
            mode,
            extent=area if is_extent else None,
            area=None if is_extent else area,
        ),
    )

    done = recreate_bundle(store, kind(), pickle.loads(pickle.dumps(task)))

    assert store.tiles == other.tiles
    (level,) = report.levels
    assert (done.is_whole, done.error, done.before, done.remarks) == (True, None, (), ())
    assert sum(entry.made for entry in done.entries) == level.made
    assert sum(entry.replaced for entry in done.entries) == level.replaced
    assert sum(entry.skipped for entry in done.entries) + done.skipped == level.skipped
    assert "commit" not in store.calls

    # Given once more, as after a lost answer, with what came of it: nothing is left to do.
    source = kind()
    again = recreate_bundle(store, source, replace(task, before=done.entries))
    assert source.drawn == []
    assert (set(again.before), again.entries) == (set(done.entries), ())
    assert (again.skipped, again.untouched) == (done.skipped, done.untouched)


def test_a_bundle_that_is_stopped_keeps_what_was_drawn(store: MemoryStore) -> None:
    source = PlainSource(workers=1)
    task = task_of(store, SCHEME.levels[7], ALL)

    done = recreate_bundle(store, source, task, lambda: len(source.drawn) >= 5)

    assert not done.is_whole
    assert 3 * 64 <= sum(entry.made for entry in done.entries) == len(store.tiles) < 4096


def test_a_source_that_is_dead_is_not_asked_for_all_of_a_bundle(store: MemoryStore) -> None:
    source = FailingSource(workers=1)

    done = recreate_bundle(store, source, task_of(store, SCHEME.levels[7], ALL), pauses=())

    assert not done.is_whole
    assert isinstance(done.error, LayerFailed)
    assert len(done.entries) == 20
    assert sum(len(entry.failed) for entry in done.entries) == 20 * 64


def test_what_ends_a_run_is_raised(store: MemoryStore) -> None:
    error = NothingToDraw("Plain", NothingToDrawReason.NO_LAYERS)
    task = task_of(store, SCHEME.levels[7], ALL)

    with pytest.raises(NothingToDraw):
        recreate_bundle(store, FailingSource(error=lambda: error), task)


def test_a_damaged_bundle_has_failed_and_a_package_is_no_bundle(
    store: MemoryStore, tmp_path: Path
) -> None:
    store.damaged = {(7, 0, 0)}
    task = task_of(store, SCHEME.levels[7], ALL)
    package = MemoryStore(tmp_path / "a.mbtiles", profile_of(SCHEME, StorageFormat.MBTILES))
    package.damaged = store.damaged

    done: BundleDone = recreate_bundle(store, PlainSource(), task)

    assert sum(len(entry.failed) for entry in done.entries) == 4096
    assert {type(entry.error) for entry in done.entries} == {DamagedCache}
    with pytest.raises(DamagedCache):
        recreate_bundle(package, PlainSource(), task)


# Little memory


@dataclass
class Night(PlainSource):
    """All tiles are one."""

    asked: list[int] = field(default_factory=list)

    def even(self, level: Level, block: TileRange) -> bytes | None:
        return b"dark"


class Full(MemoryStore):
    """Every tile exists; what is written is forgotten."""

    def exists(self, level_id: int, block: TileRange) -> np.ndarray:
        return np.ones((128, 128), bool)

    def write_even(self, level_id: int, block: TileRange, tiles: np.ndarray, _: bytes) -> None:
        self._count("write")

    def holes_in(self, level_id: int, block: TileRange) -> None:
        return None

    def blocks(self, level_id: int) -> object:
        return iter(())


@pytest.mark.parametrize("mode", [ALL, EMPTY])
def test_memory_does_not_follow_the_number_of_tiles(
    mode: UpdateMode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "_sure_size", lambda *_args: 1.0)
    scheme = web_mercator(12)
    peaks: dict[int, int] = {}
    # 16 thousand tiles in one bundle, 16 million in 1024.
    for level_id in (7, 12):
        store = Full(tmp_path / str(level_id), profile_of(scheme, StorageFormat.COMPACT_V2))
        world = Extent(-HALF, -HALF, HALF, HALF)
        request = UpdateRequest(scheme, (scheme.levels[level_id],), mode, extent=world)
        tracemalloc.start()
        try:
            report = update(store, Night(), request)
            peaks[level_id] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert report.total("replaced" if mode is ALL else "skipped") == 4**level_id

    assert peaks[12] < peaks[7] + 1_000_000
