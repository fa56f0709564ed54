"""Compact caches in folders: many bundles, names of all kinds, several processes, times."""

from __future__ import annotations

import errno
import math
import multiprocessing
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arcgis_server import bundles

from tile_cache_manager.plugin.core.errors import (
    CacheInUse,
    DamagedCache,
    DiskFull,
    ReadOnlyCache,
    ReadOnlyReason,
    TargetProblem,
    TileTooLarge,
)
from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage import compact
from tile_cache_manager.plugin.core.storage.compact import CompactStore
from tile_cache_manager.plugin.core.storage.locks import locked
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import work_folder
from tile_cache_manager.plugin.core.storage.store import Fault, Finding
from tile_cache_manager.plugin.core.tiling import TileRange

YEAR_2001 = 1_000_000_000.25


def store_of(
    folder: Path, storage: StorageFormat = StorageFormat.COMPACT_V2, is_writable: bool = True
) -> CompactStore:
    profile = CacheProfile(web_mercator(finest=19), storage, "PNG32")
    tiles, work = folder / "_alllayers", work_folder(folder)
    return CompactStore(folder, profile, tiles, work, is_writable)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "Große Karte"


@pytest.fixture
def store(folder: Path) -> CompactStore:
    return store_of(folder)


def block(row: int, col: int, size: int = 1) -> TileRange:
    return TileRange(row, row + size - 1, col, col + size - 1)


# Tiles


def test_nothing_is_there_yet(store: CompactStore) -> None:
    assert store.level_ids() == ()
    assert store.counts() == {}
    assert store.read(3, 1, 1) is None
    assert list(store.blocks(3)) == []
    assert not store.exists(3, block(0, 0, 8)).any()
    assert np.isnan(store.times(3, block(0, 0, 8))).all()
    assert store.delete(3, [(0, 0)]) == 0
    assert list(store.findings(3)) == []
    store.commit()
    assert not store.path.exists()


def test_making_replacing_deleting(folder: Path, store: CompactStore) -> None:
    store.write(5, {(3, 4): b"a", (3, 5): b"b", (127, 127): b"c"})
    store.write(5, {(3, 4): b"replaced"})
    store.write(5, {(128, 127): b"d"})
    assert store.delete(5, [(3, 5), (3, 5), (3, 6)]) == 1
    assert store.delete(5, [(300, 300)]) == 0
    store.write(5, {})
    assert store.delete(5, []) == 0
    store.commit()

    present = bundles.tiles_present(folder, 5)
    assert {tile: bundles.read_bytes(folder, 5, *tile) for tile in present} == {
        (3, 4): b"replaced",
        (127, 127): b"c",
        (128, 127): b"d",
    }
    assert store.counts() == {5: 3}
    assert store.read(5, 3, 4) == b"replaced"
    assert store.read(5, 3, 5) is None
    assert set(store.blocks(5)) == {TileRange(0, 127, 0, 127), TileRange(128, 255, 0, 127)}


def test_a_block_across_bundles(store: CompactStore) -> None:
    tiles = {(127, 127), (127, 128), (128, 130), (400, 127)}
    for tile in tiles:
        store.write(9, {tile: b"x"})
    around = TileRange(100, 500, 120, 140)

    exists = store.exists(9, around)
    times = store.times(9, around)

    assert exists.shape == times.shape == (401, 21)
    assert {(int(row) + 100, int(col) + 120) for row, col in zip(*exists.nonzero())} == tiles
    assert (np.isnan(times) == ~exists).all()


def test_tiles_of_several_bundles_at_once_are_a_mistake(store: CompactStore) -> None:
    with pytest.raises(ValueError, match="2 bundles"):
        store.write(9, {(127, 0): b"x", (128, 0): b"y"})
    with pytest.raises(ValueError, match="2 bundles"):
        store.delete(9, [(0, 127), (0, 128)])


def test_far_out(folder: Path, store: CompactStore) -> None:
    store.write(19, {(0x1A5FF, 0x7FFFF): b"far"})

    assert (folder / "_alllayers/L19/R1a580C7ff80.bundle").is_file()
    assert list(store.blocks(19)) == [TileRange(0x1A580, 0x1A5FF, 0x7FF80, 0x7FFFF)]
    assert bundles.read_bytes(folder, 19, 0x1A5FF, 0x7FFFF) == b"far"


# Names


@pytest.mark.parametrize(
    ("level_name", "bundle_name"),
    [
        ("L09", "R1A80C0B00.bundle"),
        ("l09", "r1a80c0b00.bundle"),
        ("l09", "R1A80c0B00.BUNDLE"),
        ("L009", "R01a80C00b00.bundle"),
    ],
)
def test_bundles_under_unusual_names_are_used_where_they_are(
    folder: Path, level_name: str, bundle_name: str
) -> None:
    bundles.write_tile(folder, 9, 0x1A80, 0x0B01, b"theirs")
    layers = folder / "_alllayers"
    (layers / "L09" / "R1a80C0b00.bundle").rename(layers / "L09" / bundle_name)
    (layers / "L09").rename(layers / level_name)
    store = store_of(folder)

    assert store.level_ids() == (9,)
    assert store.counts() == {9: 1}
    assert store.read(9, 0x1A80, 0x0B01) == b"theirs"
    store.write(9, {(0x1A80, 0x0B02): b"ours"})
    store.write(9, {(0x1A00, 0x0B02): b"ours, in another bundle"})
    assert store.delete(9, [(0x1A80, 0x0B01)]) == 1
    store.commit()

    names = {path.relative_to(layers).as_posix() for path in layers.rglob("*.*")}
    assert names == {f"{level_name}/{bundle_name}", f"{level_name}/R1a00C0b00.bundle"}
    assert store.counts() == {9: 2}
    assert list(store.findings(9)) == []


def test_other_files_are_no_bundles(folder: Path, store: CompactStore) -> None:
    store.write(4, {(0, 0): b"x"})
    level = folder / "_alllayers" / "L04"
    names = [
        *("R0001C0000.bundle", "R000C0000.bundle", "notes.txt", "R0000C0000.bundlx"),
        *("R0000C0000.lock", ".R0080C0000.bundle.part", "R" + "f" * 40 + "80C0000.bundle"),
    ]
    for name in names:
        (level / name).write_bytes(b"?")
    for name in ("Lx", "L4", "R05", "L-1"):
        (level.parent / name).mkdir()
    (level.parent / "L07").write_bytes(b"a file")

    assert store.level_ids() == (4,)
    assert list(store.blocks(4)) == [TileRange(0, 127, 0, 127)]
    assert store.counts() == {4: 1}
    strays = {Path(each.file).name for each in store.findings(4) if each.fault is Fault.STRAY}
    assert strays == {name for name in names if name.endswith(".bundle")}


# Others at the same cache


def test_what_others_write_is_seen_at_once(folder: Path, store: CompactStore) -> None:
    store.write(6, {(0, 0): b"ours"})
    assert store.read(6, 0, 1) is None
    bundles.write_tile(folder, 6, 0, 1, b"theirs")
    bundles.write_tile(folder, 6, 0, 0, b"theirs too")

    assert store.read(6, 0, 1) == b"theirs"
    assert store.read(6, 0, 0) == b"theirs too"
    assert store.exists(6, block(0, 0, 2)).tolist() == [[True, True], [False, False]]


@pytest.mark.parametrize("what", ["replaced", "removed"])
def test_a_bundle_that_another_process_puts_in_place(
    folder: Path, tmp_path: Path, what: str
) -> None:
    ours, theirs = store_of(folder), store_of(tmp_path / "other")
    ours.write(6, {(0, 0): b"long ago", (0, 1): b"a"})
    theirs.write(6, {(0, 1): b"moved"})
    path = folder / "_alllayers/L06/R0000C0000.bundle"
    if what == "replaced":
        (tmp_path / "other/_alllayers/L06/R0000C0000.bundle").replace(path)
    else:
        path.unlink()

    assert ours.read(6, 0, 0) is None
    assert ours.read(6, 0, 1) == (b"moved" if what == "replaced" else None)
    ours.commit()
    ours.write(6, {(0, 2): b"new"})
    assert ours.counts() == {6: 2 if what == "replaced" else 1}


def fill(folder: Path, number: int) -> None:
    with store_of(folder) as store:
        for row in range(32):
            tiles = {(row, 4 * number + col): f"{row} {number}".encode() for col in range(4)}
            store.write(7, tiles)
            store.write(7, {(256 + row, number): b"%d" % number})


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_processes_that_write_the_same_bundles_lose_nothing(folder: Path) -> None:
    forks = multiprocessing.get_context("fork")
    workers = [forks.Process(target=fill, args=(folder, number)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert [worker.exitcode for worker in workers] == [0] * 4
    assert len(bundles.tiles_present(folder, 7)) == 32 * 16 + 32 * 4
    for row in range(32):
        for number in range(4):
            tile = bundles.read_bytes(folder, 7, row, 4 * number + 3)
            assert tile == f"{row} {number}".encode()
    assert list(store_of(folder).findings(7)) == []


def come_and_go(folder: Path, number: int) -> None:
    """Store a tile and delete it, again and again, so that the bundle comes and goes."""
    store, place = store_of(folder), (number, number)
    for turn in range(40):
        store.write(7, {place: b"%d %d" % (number, turn)})
        assert store.read(7, *place) == b"%d %d" % (number, turn)
        assert store.delete(7, [place]) == 1
        assert store.read(7, *place) is None
    store.write(7, {place: b"%d" % number})
    store.commit()


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_bundles_that_come_and_go_under_several_processes_lose_nothing(folder: Path) -> None:
    forks = multiprocessing.get_context("fork")
    workers = [forks.Process(target=come_and_go, args=(folder, number)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert [worker.exitcode for worker in workers] == [0] * 4
    store = store_of(folder)
    assert [store.read(7, number, number) for number in range(4)] == [b"0", b"1", b"2", b"3"]
    assert list(store.findings(7)) == []


def test_what_somebody_just_writes_is_no_fault(
    store: CompactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it takes from the tiles' bytes to the header: here, until they were seen."""
    store.write(9, {(0, 0): b"tile"})
    (file,) = store.path.rglob("*.bundle")
    (lock,) = work_folder(store.path).rglob("*.lock")
    looked, found, seen = store._found_in, [], threading.Event()

    def look(*place: Any) -> list[Finding]:
        found.append(looked(*place))
        seen.set()
        return found[-1]

    monkeypatch.setattr(store, "_found_in", look)
    with ThreadPoolExecutor(1) as pool:
        with locked(lock):
            with file.open("ab") as open_file:
                open_file.write(b"bytes of a tile")
            verified = pool.submit(lambda: list(store.findings(9)))
            assert seen.wait(20)
            os.truncate(file, file.stat().st_size - len(b"bytes of a tile"))
        assert verified.result(20) == []

    assert [[each.fault for each in some] for some in found] == [[Fault.HEADER], []]


def test_a_bundle_in_use(
    folder: Path, store: CompactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compact, "LOCK_PATIENCE", 0.1)
    store.write(7, {(0, 0): b"x", (0, 1): b"y"})
    (lock,) = (work_folder(folder) / "locks").iterdir()
    assert lock.name == "L07-R0000C0000.lock"

    with locked(lock):
        with pytest.raises(CacheInUse) as raised:
            store.write(7, {(0, 0): b"z"})
        with pytest.raises(CacheInUse):
            store.delete(7, [(0, 0)])
        store.write(7, {(128, 0): b"in another bundle"})
        assert store.read(7, 0, 0) == b"x"

    assert raised.value.path == str(folder / "_alllayers/L07/R0000C0000.bundle")
    assert store.delete(7, [(0, 0)]) == 1


# What goes wrong


@pytest.mark.parametrize(
    ("storage", "is_writable", "reason"),
    [
        (StorageFormat.COMPACT_V1, False, ReadOnlyReason.RIGHTS),
        (StorageFormat.COMPACT_V2, False, ReadOnlyReason.RIGHTS),
    ],
)
def test_a_cache_that_is_only_read(
    folder: Path, storage: StorageFormat, is_writable: bool, reason: ReadOnlyReason
) -> None:
    store = store_of(folder, storage, is_writable)

    assert not store.is_writable
    for attempt in (lambda: store.write(1, {(0, 0): b"x"}), lambda: store.delete(1, [(0, 0)])):
        with pytest.raises(ReadOnlyCache) as raised:
            attempt()
        assert raised.value.reason is reason
    assert not folder.exists()


def test_a_damaged_bundle(folder: Path, store: CompactStore) -> None:
    store.write(7, {(0, 0): b"x"})
    store.write(7, {(128, 0): b"y"})
    broken = folder / "_alllayers/L07/R0000C0000.bundle"
    content = broken.read_bytes()[:5000]
    broken.write_bytes(content)

    for attempt in (
        lambda: store.read(7, 0, 0),
        lambda: store.exists(7, block(0, 0)),
        lambda: store.times(7, block(0, 0)),
        lambda: store.write(7, {(0, 0): b"x"}),
        lambda: store.delete(7, [(0, 0)]),
    ):
        with pytest.raises(DamagedCache) as raised:
            attempt()
        assert raised.value.path == str(broken)
    assert broken.read_bytes() == content
    assert store.counts() == {7: 1}
    assert store.read(7, 128, 0) == b"y"
    assert {Path(each.file).name for each in store.findings(7)} == {broken.name}


def test_a_broken_entry_counts_as_empty_until_it_is_made_again(
    folder: Path, store: CompactStore
) -> None:
    store.write(7, {(0, 0): b"first", (0, 1): b"last"})
    path = folder / "_alllayers/L07/R0000C0000.bundle"
    os.truncate(path, path.stat().st_size - 1)

    assert store.exists(7, block(0, 0, 2)).tolist() == [[True, False], [False, False]]
    assert store.counts() == {7: 1}
    with pytest.raises(DamagedCache):
        store.read(7, 0, 1)
    store.write(7, {(0, 1): b"again"})
    assert store.read(7, 0, 1) == b"again"
    assert store.read(7, 0, 0) == b"first"


def test_a_tile_too_large_stops_before_anything_is_written(store: CompactStore) -> None:
    with pytest.raises(TileTooLarge):
        store.write(7, {(0, 0): b"x", (0, 1): bytes(1 << 24)})

    assert not store.exists(7, block(0, 0, 2)).any()


@pytest.mark.skipif(not hasattr(os, "pwrite"), reason="another call on this system")
def test_a_full_disk(store: CompactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write(7, {(0, 0): b"old"})

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(DiskFull):
            store.write(7, {(0, 0): b"new", (0, 1): b"other"})

    assert store.read(7, 0, 0) == b"old"
    assert store.counts() == {7: 1}
    store.write(7, {(0, 1): b"other"})  # the lock is free again
    assert store.counts() == {7: 2}


# Times


def times_of(store: CompactStore, row: int, cols: int) -> list[float]:
    return store.times(7, TileRange(row, row, 0, cols - 1))[0].tolist()


def test_times_of_tiles_that_others_stored_are_their_bundles(
    folder: Path, store: CompactStore
) -> None:
    bundles.write_tile(folder, 7, 0, 0, b"theirs")
    bundles.write_tile(folder, 7, 0, 1, b"theirs")
    path = folder / "_alllayers/L07/R0000C0000.bundle"
    os.utime(path, (YEAR_2001, YEAR_2001))
    never_earlier = math.ceil(YEAR_2001)

    assert times_of(store, 0, 2) == [never_earlier] * 2
    start = time.time()
    store.write(7, {(0, 1): b"ours", (0, 2): b"ours"})

    first, *ours, none = times_of(store, 0, 4)
    assert first == never_earlier
    assert all(start <= each <= math.ceil(time.time()) for each in ours)
    assert math.isnan(none)


def test_times_of_a_tile_that_others_add_later(folder: Path, store: CompactStore) -> None:
    store.write(7, {(0, 0): b"ours"})
    bundles.write_tile(folder, 7, 0, 1, b"theirs")
    path = folder / "_alllayers/L07/R0000C0000.bundle"
    future = time.time() + 1000
    os.utime(path, (future, future))

    ours, theirs = times_of(store, 0, 2)

    assert ours < time.time() + 2
    assert theirs == math.ceil(path.stat().st_mtime)


def test_times_go_with_the_tiles(folder: Path, store: CompactStore) -> None:
    bundles.write_tile(folder, 7, 0, 0, b"theirs")
    os.utime(folder / "_alllayers/L07/R0000C0000.bundle", (YEAR_2001, YEAR_2001))
    start = time.time()
    store.delete(7, [(0, 0)])
    assert math.isnan(times_of(store, 0, 1)[0])
    bundles.write_tile(folder, 7, 0, 0, b"theirs, later")

    assert times_of(store, 0, 1)[0] >= start


@pytest.mark.parametrize("content", [b"", b"\1\2\3", None])
def test_times_that_got_lost(folder: Path, store: CompactStore, content: bytes | None) -> None:
    store.write(7, {(0, 0): b"a", (0, 1): b"b"})
    (times,) = (work_folder(folder) / "times").rglob("*.times")
    assert times.relative_to(work_folder(folder)).as_posix() == "times/L07/R0000C0000.times"
    os.utime(folder / "_alllayers/L07/R0000C0000.bundle", (YEAR_2001, YEAR_2001))
    if content is None:
        times.unlink()
    else:
        times.write_bytes(content)

    found = times_of(store, 0, 2)
    store.write(7, {(0, 1): b"c"})

    assert found[1] == math.ceil(YEAR_2001)
    assert times_of(store, 0, 1)[0] <= math.ceil(YEAR_2001)
    assert times_of(store, 0, 2)[1] > YEAR_2001 + 1


def test_defragmenting_keeps_tiles_and_times(folder: Path, store: CompactStore) -> None:
    bundles.write_tile(folder, 7, 0, 0, b"theirs")
    path = folder / "_alllayers/L07/R0000C0000.bundle"
    os.utime(path, (YEAR_2001, YEAR_2001))
    for number in range(3):
        store.write(7, {(0, 1): b"again and again %d" % number})
    before = times_of(store, 0, 2)
    (holes,) = store.holes(7)
    assert (holes.level_id, holes.size) == (7, path.stat().st_size)
    assert holes.unused == 2 * (4 + len(b"again and again 0"))

    assert store.defragment(holes) == holes.unused

    assert times_of(store, 0, 2) == before
    assert store.read(7, 0, 0) == b"theirs"
    assert store.read(7, 0, 1) == b"again and again 2"
    bundles.delete_tile(folder, 7, 0, 0)
    bundles.delete_tile(folder, 7, 0, 1)
    (holes,) = store.holes(7)
    store.defragment(holes)
    assert not path.exists()
    assert not list((work_folder(folder) / "times").rglob("*.times"))
    store.commit()


def test_a_bundle_goes_with_its_last_tile(folder: Path, store: CompactStore) -> None:
    bundles.write_tile(folder, 7, 0, 0, b"theirs")
    store.write(7, {(0, 1): b"ours"})
    store.write(7, {(128, 0): b"in another bundle"})
    path = folder / "_alllayers/L07/R0000C0000.bundle"

    assert store.delete(7, [(0, 0), (5, 5)]) == 1
    assert path.exists()
    assert store.delete(7, [(0, 0), (0, 1)]) == 1
    assert not path.exists()
    assert [each.name for each in work_folder(folder).rglob("*.times")] == ["R0080C0000.times"]
    store.commit()
    assert store.counts() == {7: 1}
    store.write(7, {(0, 1): b"again"})
    assert bundles.read_bytes(folder, 7, 0, 1) == b"again"


@pytest.mark.parametrize(
    ("refusal", "error"), [(errno.EACCES, None), (errno.EIO, TargetProblem)], ids=["held", "broken"]
)
def test_a_bundle_that_cannot_be_removed(
    folder: Path,
    store: CompactStore,
    refusal: int,
    error: type[Exception] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on Windows while a reader has it open."""
    store.write(7, {(0, 0): b"x", (0, 1): b"y"})
    unlink = Path.unlink

    def held(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".bundle":
            raise OSError(refusal, os.strerror(refusal))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", held)
    if error is not None:
        with pytest.raises(error):
            store.delete(7, [(0, 0), (0, 1)])
        assert store.counts() == {7: 2}
        return
    assert store.delete(7, [(0, 0), (0, 1)]) == 2
    assert bundles.tiles_present(folder, 7) == {}
    store.commit()
    store.write(7, {(0, 1): b"again"})
    assert store.counts() == {7: 1}
    assert store.times(7, block(0, 1))[0, 0] >= math.floor(time.time()) - 60


@pytest.mark.parametrize("storage", [StorageFormat.COMPACT_V2, StorageFormat.COMPACT_V1])
def test_a_bundle_with_broken_entries_stays(folder: Path, storage: StorageFormat) -> None:
    store = store_of(folder, storage)
    store.write(7, {(0, 0): b"first", (0, 1): b"the second is cut off"})
    (path,) = folder.rglob("*.bundle")
    os.truncate(path, path.stat().st_size - 5)

    assert store.delete(7, [(0, 0)]) == 1

    assert path.exists(), "what is left may be looked at, mended"


def test_a_name_in_capitals_is_not_used_again(folder: Path, store: CompactStore) -> None:
    bundles.write_tile(folder, 7, 0, 0x80, b"theirs")
    (path,) = folder.rglob("*.bundle")
    path.rename(path.with_name("R0000C0080.BUNDLE"))
    if path.exists():
        pytest.skip("a file system that knows no case")
    assert store.delete(7, [(0, 0x80)]) == 1

    store.write(7, {(0, 0x80): b"ours"})

    assert [each.name for each in path.parent.iterdir()] == ["R0000C0080.bundle"]


def test_ends_early_when_cancelled(store: CompactStore) -> None:
    for number in range(3):
        store.write(7, {(128 * number, 0): b"x"})

    assert store.counts(lambda: True) == {}
    assert list(store.holes(7, lambda: True)) == []
    assert list(store.findings(7, lambda: True)) == []
