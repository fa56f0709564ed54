"""Blocks of tiles: stored, deleted and read at once, as if it were done tile by tile."""

from __future__ import annotations

import errno
import os
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from arcgis_server import bundles
from made_caches import profile

from tile_cache_manager.plugin.core.errors import (
    DamagedCache,
    DiskFull,
    ReadOnlyCache,
    TileTooLarge,
)
from tile_cache_manager.plugin.core.storage.bundle_v2 import BundleV2
from tile_cache_manager.plugin.core.storage.byte_range import OpenFile
from tile_cache_manager.plugin.core.storage.creation import SUFFIXES, create_cache
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.storage.records import Records
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings
from tile_cache_manager.plugin.core.storage.store import Bools, TileStore
from tile_cache_manager.plugin.core.tiling import TileRange

LEVEL = 9
BUNDLE = TileRange(128, 255, 256, 383)
Tiles = dict[tuple[int, int], bytes]


def picture(text: str) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + text.encode()


def new_cache(folder: Path, storage: StorageFormat = StorageFormat.COMPACT_V2) -> Path:
    path = folder / f"cache{SUFFIXES.get(storage, '')}"
    create_cache(path, profile(storage, side=256), CacheSettings())
    return path


def some_block(rng: random.Random) -> tuple[TileRange, Bools]:
    """A block within the bundle, and some of its tiles: few, many, or all."""
    top, bottom = sorted(rng.choices(range(128, 140), k=2))
    left, right = sorted(rng.choices(range(256, 280), k=2))
    share = rng.choice([0.1, 0.6, 1.0])
    mask = np.random.default_rng(rng.getrandbits(32)).random((bottom - top + 1, right - left + 1))
    return TileRange(top, bottom, left, right), mask < share


def within(block: TileRange, mask: Bools) -> list[tuple[int, int]]:
    return [(block.min_row + int(r), block.min_col + int(c)) for r, c in np.argwhere(mask)]


@pytest.mark.parametrize("storage", list(StorageFormat), ids=lambda storage: storage.name)
def test_as_if_tile_by_tile(storage: StorageFormat, tmp_path: Path) -> None:
    rng = random.Random(storage.name)
    path = new_cache(tmp_path, storage)
    expected: Tiles = {}
    with open_store(path, for_writing=True) as store:
        for turn in range(24):
            block, mask = some_block(rng)
            here = within(block, mask)
            if turn % 4 == 0:
                store.write_even(LEVEL, block, mask, picture(f"even {turn}"))
                expected.update(dict.fromkeys(here, picture(f"even {turn}")))
            elif turn % 4 == 3:
                there = sum(place in expected for place in here)
                assert store.delete_block(LEVEL, block, mask) == there
                expected = {place: each for place, each in expected.items() if place not in here}
            elif here:
                tiles = {place: picture(f"one of {rng.randrange(5)}, {turn}") for place in here}
                store.write(LEVEL, tiles)
                expected.update(tiles)
            check(store, expected)
        store.commit()
    with open_store(path) as store:
        check(store, expected)
    assert expected


def check(store: TileStore, expected: Tiles) -> None:
    around = TileRange(100, 300, 200, 400)  # of several bundles
    everything = np.ones((201, 201), dtype=np.bool_)
    assert store.read_block(LEVEL, around, everything) == expected
    assert set(within(around, store.exists(LEVEL, around))) == set(expected)
    some = list(expected)[::7]
    mask = np.zeros_like(everything)
    for row, col in some:
        mask[row - 100, col - 200] = True
    assert store.read_block(LEVEL, around, mask) == {place: expected[place] for place in some}


def test_nothing_of_a_block(tmp_path: Path) -> None:
    path = new_cache(tmp_path)
    nothing = np.zeros((128, 128), dtype=np.bool_)
    with open_store(path, for_writing=True) as store:
        store.write_even(LEVEL, BUNDLE, nothing, b"x")
        assert store.delete_block(LEVEL, BUNDLE, nothing) == 0
        assert store.delete_block(LEVEL, BUNDLE, ~nothing) == 0
        assert store.read_block(LEVEL, BUNDLE, ~nothing) == {}
    assert not list(path.rglob("*.bundle"))


@pytest.mark.parametrize("storage", [StorageFormat.COMPACT_V2, StorageFormat.COMPACT_V1])
@pytest.mark.parametrize("is_there", [False, True])
def test_what_cannot_be_stored(is_there: bool, storage: StorageFormat, tmp_path: Path) -> None:
    path = new_cache(tmp_path, storage)
    one = np.ones((1, 1), dtype=np.bool_)
    place = TileRange(128, 128, 256, 256)
    with open_store(path, for_writing=True) as store:
        if is_there:
            store.write(LEVEL, {(128, 257): b"there"})
        with pytest.raises(ValueError, match="no bytes"):
            store.write_even(LEVEL, place, one, b"")
        if storage is StorageFormat.COMPACT_V2:
            with pytest.raises(TileTooLarge):
                store.write_even(LEVEL, place, one, bytes(1 << 24))
            with pytest.raises(TileTooLarge):
                store.write(LEVEL, {(128, 256): bytes(1 << 24), (128, 258): b"x"})
        two = np.ones((1, 2), dtype=np.bool_)
        with pytest.raises(ValueError, match="2 bundles"):
            store.write_even(LEVEL, TileRange(128, 128, 255, 256), two, b"x")
        assert not store.exists(LEVEL, place).any()
        assert sum(store.counts().values()) == is_there
        assert list(store.findings(LEVEL)) == []
    assert not list(path.rglob(".*.part"))
    with open_store(path) as store, pytest.raises(ReadOnlyCache):
        store.write_even(LEVEL, place, one, b"x")
    with open_store(path) as store, pytest.raises(ReadOnlyCache):
        store.delete_block(LEVEL, place, one)


def test_broken_entries_are_no_tiles_of_a_block(tmp_path: Path) -> None:
    path = new_cache(tmp_path)
    whole = np.ones((128, 128), dtype=np.bool_)
    with open_store(path, for_writing=True) as store:
        store.write(LEVEL, {(128, 256): b"first", (128, 257): b"second", (128, 258): b"third"})
        (file,) = path.rglob("*.bundle")
        with file.open("r+b") as bundle:
            bundle.seek(64 + 8)
            bundle.write(struct.pack("<Q", 100 << 40 | file.stat().st_size))
        assert store.read_block(LEVEL, BUNDLE, whole) == {
            (128, 256): b"first",
            (128, 258): b"third",
        }
        file.write_bytes(b"no bundle")
        with pytest.raises(DamagedCache):
            store.read_block(LEVEL, BUNDLE, whole)


# What it takes


class Calls:
    """What is written to files and synced."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.writes: list[tuple[int, int]] = []
        self.syncs = 0
        write, sync = OpenFile.write, OpenFile.sync_content

        def counted_write(file: OpenFile, offset: int, content: bytes) -> None:
            self.writes.append((offset, len(content)))
            write(file, offset, content)

        def counted_sync(file: OpenFile) -> None:
            self.syncs += 1
            sync(file)

        monkeypatch.setattr(OpenFile, "write", counted_write)
        monkeypatch.setattr(OpenFile, "sync_content", counted_sync)


@pytest.mark.parametrize("how", ["dense", "scattered", "even"])
def test_a_whole_bundle_takes_few_writes(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = new_cache(tmp_path)
    mask = np.ones((128, 128), dtype=np.bool_)
    if how == "scattered":
        mask[::2, ::3] = False
    with open_store(path, for_writing=True) as store:
        store.write(LEVEL, {(255, 383): b"the last", (128, 256): b"the first"})
        end = next(path.rglob("*.bundle")).stat().st_size
        calls = Calls(monkeypatch)
        if how == "even":
            store.write_even(LEVEL, BUNDLE, mask, b"even")
        else:
            store.write(LEVEL, {place: b"%d %d" % place for place in within(BUNDLE, mask)})
    content, index, header = calls.writes
    assert content[0] == end
    assert index[0] >= 64
    assert 64 + 130000 < sum(index) <= 64 + 131072
    assert header == (0, 64)
    assert calls.syncs == 1


def test_a_new_bundle_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = new_cache(tmp_path)
    calls = Calls(monkeypatch)
    with open_store(path, for_writing=True) as store:
        store.write(LEVEL, {(128, 256): b"a", (128, 257): b"b", (255, 383): b"a"})
    assert calls.writes == []
    (file,) = path.rglob("*.bundle")
    content = file.read_bytes()
    header = struct.unpack("<4I3Q6I", content[:64])
    assert header == (3, 16384, 1, 5, 0, 131146, 40, 131092, 3, 16, 16384, 5, 131072)
    assert content[131136:] == b"\1\0\0\0a\1\0\0\0b"
    assert struct.unpack("<2Q", content[64:80]) == (1 << 40 | 131140, 1 << 40 | 131145)
    assert struct.unpack("<Q", content[131128:131136]) == (1 << 40 | 131140,)
    assert content[80:131128] == struct.pack("<Q", 4) * 16381


@pytest.mark.parametrize("is_even", [True, False])
@pytest.mark.parametrize("is_there", [True, False])
def test_no_room_for_what_is_stored_at_once(
    is_there: bool, is_even: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = new_cache(tmp_path)
    block, mask = TileRange(128, 129, 256, 259), np.ones((2, 4), dtype=np.bool_)

    def store_all(store: TileStore, content: bytes) -> None:
        if is_even:
            store.write_even(LEVEL, block, mask, content)
        else:
            tiles = {place: b"%d %d " % place + content for place in within(block, mask)}
            store.write(LEVEL, tiles)

    pieces = Records.pieces

    def cut_off(records: Records) -> Iterator[bytes]:
        yield next(iter(pieces(records)))[:20]
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with open_store(path, for_writing=True) as store:
        if is_there:
            store_all(store, b"before")
        before = [file.read_bytes() for file in path.rglob("*.bundle")]
        found = store.read_block(LEVEL, block, mask)
        with monkeypatch.context() as patch:
            patch.setattr(Records, "pieces", cut_off)
            with pytest.raises(DiskFull):
                store_all(store, b"after")
        assert [file.read_bytes() for file in path.rglob("*.bundle")] == before
        assert not list(path.rglob(".*.part"))
        assert store.read_block(LEVEL, block, mask) == found
        store_all(store, b"after")
        assert len(store.read_block(LEVEL, block, mask)) == 8


def test_neighbours_are_read_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = new_cache(tmp_path)
    tiles = {(128 + n // 128, 256 + n % 128): os.urandom(500) for n in range(2000)}
    with open_store(path, for_writing=True) as store:
        store.write(LEVEL, tiles)
        reads: list[int] = []
        read = OpenFile.read

        def counted(file: OpenFile, offset: int, count: int) -> bytes:
            reads.append(count)
            return read(file, offset, count)

        monkeypatch.setattr(OpenFile, "read", counted)
        whole = np.ones((128, 128), dtype=np.bool_)
        assert store.read_block(LEVEL, BUNDLE, whole) == tiles
    assert len(reads) <= 4


def test_equal_ends_of_different_tiles(tmp_path: Path) -> None:
    """Tiles that only differ at their beginning, and each of them twice."""
    end = b"the same end" * 20
    tiles = {(128, 256 + n): b"%d" % (n % 3) + end for n in range(9)}
    path = new_cache(tmp_path)
    with open_store(path, for_writing=True) as store:
        store.write(LEVEL, tiles)
    assert {place: bundles.read_bytes(path, LEVEL, *place) for place in tiles} == tiles
    (file,) = path.rglob("*.bundle")
    assert file.stat().st_size == 131136 + 3 * (4 + 1 + len(end))


def test_more_than_is_read_at_once(tmp_path: Path) -> None:
    """Tiles of 40 MB, in an order other than that of the file, with a hole between them."""
    path = new_cache(tmp_path)
    block = TileRange(128, 128, 256, 261)
    large = {(128, 261 - n): os.urandom(8 << 20) for n in range(5)}
    with open_store(path, for_writing=True) as store:
        store.write(LEVEL, large)
        store.write(LEVEL, {(128, 256): b"small"})
        store.delete(LEVEL, [(128, 259)])
        del large[128, 259]
        found = store.read_block(LEVEL, block, np.ones((1, 6), dtype=np.bool_))
        assert found == {**large, (128, 256): b"small"}
        (file,) = path.rglob("*.bundle")
        with BundleV2(file) as bundle:
            assert bundle.read(0) == b"small"
