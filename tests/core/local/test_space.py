"""Room on the disk: refused before anything is changed, stopped on the way, never by a guess."""

from __future__ import annotations

import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
from core.local.fakes import (
    HALF,
    MemoryStore,
    PlainSource,
    profile_of,
    store_each_at_once,
    web_mercator,
)

from tile_cache_manager.plugin.core.errors import DiskFull, TargetProblem
from tile_cache_manager.plugin.core.local import space
from tile_cache_manager.plugin.core.local.journal import unfinished
from tile_cache_manager.plugin.core.local.space import (
    Room,
    average_size,
    with_copies,
)
from tile_cache_manager.plugin.core.local.update import run_update
from tile_cache_manager.plugin.core.request import (
    Feedback,
    Outcome,
    TileFilter,
    UpdateMode,
    UpdateReport,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.storage import files
from tile_cache_manager.plugin.core.storage.files import RESERVE, reserve_of
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.tiling import Extent, Level, TileRange

SCHEME = web_mercator(12)
EMPTY, ALL, DELETE = UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL, UpdateMode.DELETE
MB = 1024 * 1024
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def _one_write_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    store_each_at_once(monkeypatch)


@pytest.fixture
def store(tmp_path: Path) -> MemoryStore:
    return MemoryStore(tmp_path / "cache", profile_of(SCHEME, StorageFormat.COMPACT_V2))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Say how many bytes are free above the reserve."""

    def has(free: int) -> None:
        monkeypatch.setattr(space, "free_bytes", lambda _path: free + RESERVE)
        monkeypatch.setattr(space, "reserve_of", lambda _path: RESERVE)

    return has


def update(
    store: MemoryStore, source: PlainSource, mode: UpdateMode, level: int = 6, **rest: object
) -> UpdateReport:
    asked = UpdateRequest(
        SCHEME, SCHEME.levels[level : level + 1], mode, extent=Extent(0, 0, HALF, HALF), **rest
    )
    return run_update(store, source, asked, Feedback())


def fill(store: MemoryStore, level: int, size: int, share: int = 1) -> None:
    """Old tiles of `size` bytes in every `share`-th column of the quarter that is updated."""
    half = 2 ** (level - 1)
    store.fill(
        level,
        [(row, col) for row in range(half) for col in range(half, 2 * half, share)],
        b"x" * size,
    )


@pytest.mark.parametrize("storage", [StorageFormat.COMPACT_V2, StorageFormat.MBTILES])
def test_clearly_too_little_room_is_refused_before_anything_is_changed(
    storage: StorageFormat, tmp_path: Path, disk: Callable[[int], None]
) -> None:
    # Of 1,024 tiles of 10 kB, 512 are missing.
    store = MemoryStore(tmp_path / "cache", profile_of(SCHEME, storage))
    fill(store, 6, 10_000, 2)
    disk(3 * MB)
    before = dict(store.tiles)
    source = PlainSource()

    with pytest.raises(DiskFull) as caught:
        update(store, source, EMPTY)

    assert store.tiles == before
    assert source.drawn == []
    assert source.closed == 1
    assert caught.value.free == 3 * MB
    assert caught.value.needed == 512 * 7_500 * (2 if storage.is_package else 1)
    assert not caught.value.is_at_least
    # Nothing was begun, so there is nothing to resume.
    assert unfinished(store.path) is None


@pytest.mark.parametrize("mode", [EMPTY, ALL])
def test_the_room_that_is_needed_is_that_of_all_levels(
    mode: UpdateMode, store: MemoryStore, disk: Callable[[int], None]
) -> None:
    """Millions of bundles, and nobody counts them one by one."""
    disk(3 * MB)
    request = UpdateRequest(SCHEME, SCHEME.levels, mode, extent=Extent(-HALF, -HALF, HALF, HALF))

    with pytest.raises(DiskFull) as caught:
        run_update(store, PlainSource(), request, Feedback())

    assert caught.value.needed == sum(4**level for level in range(13)) * space.USUAL_TILE // 2
    assert not caught.value.is_at_least


def test_what_takes_long_to_count_is_a_lower_bound(
    store: MemoryStore, disk: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "_TOTAL", 0.0)
    store.fill(12, [(0, 0)], bytes(10_000))
    disk(30 * MB)

    with pytest.raises(DiskFull) as caught:
        update(store, PlainSource(), EMPTY, level=12)

    assert caught.value.is_at_least
    assert caught.value.needed is not None
    assert 30 * MB < caught.value.needed < 1000 * MB


@pytest.mark.parametrize(
    ("mode", "size", "share", "free", "more"),
    [
        (ALL, 10_000, 1, 12 * MB, {}),
        (EMPTY, 10_000, 1, 1, {}),
        # Every second tile is missing: 5 MB.
        (EMPTY, 10_000, 2, 6 * MB, {}),
        (ALL, 10_000, 64, MB, {"tile_filter": TileFilter(only_existing=True)}),
        # Nothing is known of the tiles' size: then a guess must not refuse what may fit.
        (ALL, 0, 1, 6 * MB, {}),
    ],
    ids=["it fits", "nothing is missing", "half is missing", "few exist", "nobody knows"],
)
def test_what_may_fit_is_begun(
    mode: UpdateMode,
    size: int,
    share: int,
    free: int,
    more: dict[str, TileFilter],
    store: MemoryStore,
    disk: Callable[[int], None],
) -> None:
    if size:
        fill(store, 6, size, share)
    disk(free)

    assert update(store, PlainSource(), mode, **more).outcome is Outcome.DONE


def test_deleting_needs_no_room(store: MemoryStore, disk: Callable[[int], None]) -> None:
    fill(store, 6, 10_000)
    disk(-RESERVE)

    assert update(store, PlainSource(), DELETE).total("deleted") == 1024


def test_a_run_that_goes_on_needs_room_for_the_rest_only(
    store: MemoryStore, disk: Callable[[int], None]
) -> None:
    fill(store, 6, 10_000)
    disk(20 * MB)
    asked = UpdateRequest(SCHEME, SCHEME.levels[6:7], ALL, extent=Extent(0, 0, HALF, HALF))
    stop = Feedback(cancelled=lambda: store.calls.get("write", 0) >= 14)
    run_update(store, PlainSource(workers=1), asked, stop)
    fill(store, 6, 10_000)

    # Two of 16 supertiles are left: about 1.3 MB.
    disk(2 * MB)
    report = run_update(store, PlainSource(), asked, Feedback())
    assert report.outcome is Outcome.DONE

    # All of them once more: about 10 MB.
    fill(store, 6, 10_000)
    with pytest.raises(DiskFull):
        run_update(store, PlainSource(), asked, Feedback())


def test_a_disk_that_runs_full_stops_the_run_which_can_be_resumed(
    store: MemoryStore, disk: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk(100 * MB)
    monkeypatch.setattr(space, "_LISTEN", 0.0)
    fill(store, 6, 100)
    store.before_write = lambda *_args: disk(-1) if store.calls["write"] == 5 else None
    source = PlainSource(workers=1)

    with pytest.raises(DiskFull) as caught:
        update(store, source, ALL)

    assert caught.value.free == RESERVE - 1
    assert source.closed == 1
    run = unfinished(store.path)
    assert run is not None
    assert (run.done, run.planned, run.is_interrupted) == (5, 16, True)
    disk(100 * MB)
    store.before_write = lambda *_args: None
    source = PlainSource()
    assert update(store, source, ALL).outcome is Outcome.DONE
    assert len(source.drawn) == 11


def test_the_disk_is_looked_at_every_few_seconds_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    now = [0.0]
    room = Room(tmp_path, clock=lambda: now[0])

    def look(_path: Path) -> int:
        looks.append(now[0])
        return 10**12

    monkeypatch.setattr(space, "free_bytes", look)
    for tenth in range(100):
        now[0] = tenth / 10
        room.check()

    assert looks == [3.0, 6.0, 9.0]


@pytest.mark.parametrize(
    ("total", "reserve"), [(10**12, RESERVE), (16 * MB, int(16 * MB * 0.02)), (0, 0)]
)
def test_little_disks_keep_little_back(
    total: int, reserve: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _path: Usage(total, 0, total))

    assert reserve_of(tmp_path / "not yet" / "there") == reserve


def test_packages_take_room_twice(tmp_path: Path) -> None:
    file = tmp_path / "a.tpkx"
    file.write_bytes(bytes(1000))
    needed = {
        storage: with_copies(MemoryStore(file, profile_of(SCHEME, storage)), 50.0)
        for storage in (StorageFormat.COMPACT_V2, StorageFormat.MBTILES, StorageFormat.TPKX)
    }

    assert needed == {
        StorageFormat.COMPACT_V2: 50,
        StorageFormat.MBTILES: 100,
        StorageFormat.TPKX: 1100,
    }


def test_the_size_of_tiles_is_learned_from_a_few(store: MemoryStore) -> None:
    assert average_size(store, 8) is None
    store.fill(8, [(row, col) for row in range(256) for col in range(256) if row < 128], b"x" * 30)
    assert average_size(store, 8) == 30
    store.damaged = {(8, 0, 0)}
    assert average_size(store, 8) == 30
    store.damaged = {(8, 0, 0), (8, 0, 128)}
    assert average_size(store, 8) is None


def test_a_cache_that_is_removed_meanwhile_is_not_written_on(tmp_path: Path) -> None:
    now, journal = [0.0], tmp_path / "run.jsonl"
    journal.touch()
    room = Room(tmp_path, clock=lambda: now[0], journal=journal)
    now[0] = 5.0
    room.check()

    journal.unlink()

    now[0] = 10.0
    with pytest.raises(TargetProblem):
        room.check()


def test_an_update_ends_once_its_cache_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "_LISTEN", 0.0)
    store = MemoryStore(tmp_path / "cache", profile_of(SCHEME, StorageFormat.COMPACT_V2))
    writes: list[int] = []

    def look(level_id: int, tiles: object) -> None:
        writes.append(level_id)
        if len(writes) == 3:
            shutil.rmtree(store.path)

    store.before_write = look
    with pytest.raises(TargetProblem):
        update(store, PlainSource(), UpdateMode.RECREATE_ALL)

    assert len(writes) == 3


class Night(PlainSource):
    """Knows that all tiles of the north are dark, and nothing of the others."""

    def even(self, level: Level, block: TileRange) -> bytes | None:
        return b"dark" if block.max_row < 2**level.id / 4 else None


def test_tiles_that_are_all_alike_take_no_room(
    store: MemoryStore, disk: Callable[[int], None]
) -> None:
    """512 tiles of the 1024 are to be drawn, 5 KB each at the least."""
    disk(2 * MB)
    with pytest.raises(DiskFull) as caught:
        update(store, Night(), ALL)
    assert caught.value.needed == 512 * 10 * 1024 // 2

    disk(3 * MB)
    assert update(store, Night(), ALL).outcome is Outcome.DONE
