"""One bundle of version 2, against bytes laid out by hand after Esri's white paper."""

from __future__ import annotations

import errno
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from arcgis_server import bundles

from tile_cache_manager.plugin.core.errors import (
    DamagedCache,
    DiskFull,
    TargetProblem,
    TileTooLarge,
)
from tile_cache_manager.plugin.core.storage import byte_range
from tile_cache_manager.plugin.core.storage.bundle_v2 import BundleV2, make_empty
from tile_cache_manager.plugin.core.storage.byte_range import ByteRange, OpenFile

DATA = 131136  # 64 + 8 * 16384
PAPER = (3, 16384, 0, 5, 0, DATA, 40, 131092, 3, 16, 16384, 5, 131072)
# What ArcGIS 10.3 and 10.5 write instead: record count, largest tile, legacy field at 48.
ARCGIS = (3, 0, 131092, 5, 0, DATA, 40, 131092, 3, 0, 16384, 5, 131072)

Entries = dict[int, tuple[int, int]]


def bundle_bytes(header: tuple[int, ...], entries: Entries, data: bytes, empty: int = 4) -> bytes:
    """A bundle after the paper; `entries`: offset and size by slot."""
    index = [empty] * 16384
    for slot, (offset, size) in entries.items():
        index[slot] = size << 40 | offset
    return struct.pack("<4I3Q6I", *header) + struct.pack("<16384Q", *index) + data


def header_of(path: Path) -> tuple[int, ...]:
    return struct.unpack("<4I3Q6I", path.read_bytes()[:64])


def entry_of(path: Path, slot: int) -> tuple[int, int]:
    (value,) = struct.unpack_from("<Q", path.read_bytes(), 64 + 8 * slot)
    return value & (1 << 40) - 1, value >> 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "R0000C0000.bundle"


def append(path: Path, tiles: dict[int, bytes]) -> None:
    with BundleV2(path, for_writing=True) as bundle:
        bundle.append(tiles)


def read(path: Path, *slots: int) -> list[bytes | None]:
    with BundleV2(path) as bundle:
        return [bundle.read(slot) for slot in slots]


# What is written


def test_an_empty_bundle_is_the_papers(path: Path) -> None:
    make_empty(path)

    assert path.read_bytes() == bundle_bytes(PAPER, {}, b"")


def test_tiles_lie_behind_their_sizes_and_the_header_tells_the_truth(path: Path) -> None:
    make_empty(path)
    append(path, {0: b"abc", 129: b"longest", 16383: b"z"})
    append(path, {129: b"new"})

    data = b"\3\0\0\0abc" + b"\7\0\0\0longest" + b"\1\0\0\0z" + b"\3\0\0\0new"
    entries = {0: (DATA + 4, 3), 129: (DATA + 27, 3), 16383: (DATA + 22, 1)}
    header = (3, 16384, 3, 5, 0, DATA + len(data), *PAPER[6:])
    assert path.read_bytes() == bundle_bytes(header, entries, data)


def test_delete_empties_entries_and_keeps_the_rest(path: Path) -> None:
    make_empty(path)
    append(path, {1: b"one", 2: b"three", 3: b"x"})
    before = path.stat().st_size

    with BundleV2(path, for_writing=True) as bundle:
        assert bundle.delete([2, 3, 4]) == 2
        assert bundle.delete([2]) == 0

    assert read(path, 1, 2, 3) == [b"one", None, None]
    assert struct.unpack_from("<Q", path.read_bytes(), 64 + 8 * 2) == (4,)
    assert header_of(path)[2] == 3
    assert header_of(path)[5] == path.stat().st_size == before


def test_an_independent_reader_finds_the_same(tmp_path: Path) -> None:
    path = tmp_path / "_alllayers" / "L07" / "R0080C0100.bundle"
    path.parent.mkdir(parents=True)
    make_empty(path)
    rng = random.Random(7)
    tiles = {slot: rng.randbytes(rng.randrange(1, 999)) for slot in rng.sample(range(16384), 300)}
    append(path, tiles)

    assert len(bundles.tiles_present(tmp_path, 7)) == 300
    for slot, content in tiles.items():
        row, col = 128 + slot // 128, 256 + slot % 128
        assert bundles.read_bytes(tmp_path, 7, row, col) == content


def test_a_bundle_by_arcgis_gets_the_header_that_all_readers_take(path: Path) -> None:
    path.write_bytes(bundle_bytes(ARCGIS, {5: (DATA + 4, 3)}, b"\3\0\0\0old"))
    append(path, {6: b"newer"})

    assert read(path, 5, 6) == [b"old", b"newer"]
    assert header_of(path) == (3, 16384, 5, 5, 0, DATA + 16, *PAPER[6:])


def test_what_a_dead_writer_left_at_the_end_is_not_overwritten(path: Path) -> None:
    """It appends at the end of the file, not where the header believes it to be."""
    make_empty(path)
    append(path, {1: b"one"})
    header = path.read_bytes()[:64]
    append(path, {2: b"two"})
    with path.open("r+b") as file:  # the header is as before the second, and there is more
        file.write(header)
        file.seek(0, 2)
        file.write(b"half a ti")

    append(path, {3: b"three"})

    assert read(path, 1, 2, 3) == [b"one", b"two", b"three"]
    assert header_of(path)[5] == path.stat().st_size


# What is read


@pytest.mark.parametrize("empty", [0, 4, 1234567])
@pytest.mark.parametrize("header", [PAPER, ARCGIS], ids=["paper", "arcgis"])
def test_reading(path: Path, header: tuple[int, ...], empty: int) -> None:
    entries = {0: (DATA + 4, 3), 127: (DATA + 11, 2), 128: (DATA + 4, 3)}
    path.write_bytes(bundle_bytes(header, entries, b"\3\0\0\0abc\2\0\0\0de", empty))

    assert read(path, 0, 127, 128, 1, 16383) == [b"abc", b"de", b"abc", None, None]
    with BundleV2(path) as bundle:
        assert list(bundle.index().exists.nonzero()[0]) == [0, 127, 128]


def test_a_wrong_size_in_front_of_a_tile_is_no_matter(path: Path) -> None:
    path.write_bytes(bundle_bytes(PAPER, {0: (DATA + 4, 3)}, b"\0\0\0\0abc"))

    assert read(path, 0) == [b"abc"]


BROKEN_ENTRIES = {
    "beyond the end": (DATA + 400, 3),
    "over the end": (DATA + 4, 4),
    "into the index": (100, 3),
    "as far as can be": ((1 << 40) - 1, (1 << 24) - 1),
}


@pytest.mark.parametrize("entry", BROKEN_ENTRIES.values(), ids=BROKEN_ENTRIES)
def test_an_entry_that_points_outside_the_file(path: Path, entry: tuple[int, int]) -> None:
    path.write_bytes(bundle_bytes(PAPER, {7: entry, 8: (DATA + 4, 3)}, b"\3\0\0\0abc"))

    with BundleV2(path) as bundle:
        with pytest.raises(DamagedCache) as raised:
            bundle.read(7)
        assert raised.value.path == str(path)
        index = bundle.index()
        assert index.used[7]
        assert not index.exists[7]
        assert bundle.read(8) == b"abc"
    append(path, {7: b"healed"})
    assert read(path, 7, 8) == [b"healed", b"abc"]


NO_BUNDLES = {
    "nothing": b"",
    "a few bytes": b"\3\0\0\0",
    "a header only": struct.pack("<4I3Q6I", *PAPER),
    "half an index": bundle_bytes(PAPER, {}, b"")[:70000],
    "zeros": bytes(200000),
    "text": b"<html>not found</html>" * 9000,
    "version 1": struct.pack("<4I3Q5I", 3, 16384, 9, 5, 4, 65605, 40, 16, 0, 127, 0, 127)
    + bytes(140000),
}


@pytest.mark.parametrize("content", NO_BUNDLES.values(), ids=NO_BUNDLES)
def test_a_file_that_is_no_bundle_is_neither_read_nor_written(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    tries: list[Callable[[BundleV2], Any]] = [
        lambda bundle: bundle.index(),
        lambda bundle: bundle.read(16383),
        lambda bundle: bundle.append({0: b"x"}),
        lambda bundle: bundle.delete([0]),
    ]

    for attempt in tries:
        with BundleV2(path, for_writing=True) as bundle, pytest.raises(DamagedCache):
            attempt(bundle)

    assert path.read_bytes() == content


def test_a_bundle_inside_a_package_is_read_and_not_written(tmp_path: Path, path: Path) -> None:
    inside = bundle_bytes(ARCGIS, {3: (DATA + 4, 3), 4: (DATA + 4, 4)}, b"\3\0\0\0abc")
    path.write_bytes(b"before" + inside + b"behind")

    with OpenFile(path) as file:
        bundle = BundleV2(path, ByteRange(file, 6, len(inside)))
        assert bundle.read(3) == b"abc"
        assert list(bundle.index().exists.nonzero()[0]) == [3]
        with pytest.raises(DamagedCache):
            bundle.read(4)  # not into what lies behind
        with pytest.raises(TargetProblem):
            bundle.append({1: b"x"})
        bundle.close()
        assert file.read(0, 6) == b"before"


def test_no_file(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        BundleV2(path)
    with pytest.raises(FileNotFoundError):
        BundleV2(path, for_writing=True)


# What goes wrong on the way


@pytest.mark.parametrize(
    ("tile", "error"), [(b"", ValueError), (bytes(1 << 24), TileTooLarge)], ids=["empty", "16 MiB"]
)
def test_a_tile_that_cannot_be_stored(path: Path, tile: bytes, error: type[Exception]) -> None:
    make_empty(path)
    append(path, {0: b"old"})
    before = path.read_bytes()

    with pytest.raises(error):
        append(path, {1: b"fine", 0: tile})

    assert path.read_bytes() == before


def test_the_largest_tile(path: Path) -> None:
    make_empty(path)
    largest = bytes((1 << 24) - 1)

    append(path, {9: largest})

    assert read(path, 9) == [largest]


@pytest.mark.parametrize("at", ["pwrite", "fdatasync"])
@pytest.mark.skipif(not hasattr(os, "pwrite"), reason="another call on this system")
def test_a_full_disk_leaves_the_bundle_as_it_was(
    path: Path, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_empty(path)
    append(path, {0: b"old", 1: b"neighbour"})
    before = path.read_bytes()
    pwrite = os.pwrite

    def half_then_full(file: int, content: bytes, offset: int) -> int:
        if offset > len(before):
            raise OSError(errno.ENOSPC, "No space left on device")
        return pwrite(file, bytes(content[: len(content) // 2]), offset)

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if at == "pwrite":
        monkeypatch.setattr(os, "pwrite", half_then_full)
    else:
        monkeypatch.setattr(byte_range.os, "fdatasync", full)
        monkeypatch.setattr(byte_range.os, "fsync", full)
    with pytest.raises(DiskFull) as raised:
        append(path, {0: b"a longer one", 5: b"another"})
    monkeypatch.undo()

    assert raised.value.path == str(path)
    assert path.read_bytes() == before


def test_killed_at_any_byte_it_reads_old_or_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All states a file goes through while tiles are appended, read by the independent reader.

    A write to the disk's cache is cut between pages of 4096 bytes at most; the data, which nothing
    points at yet, is cut anywhere here.
    """
    path = tmp_path / "_alllayers" / "L00" / "R0000C0000.bundle"
    path.parent.mkdir(parents=True)
    make_empty(path)
    old = {slot: f"old {slot}".encode() for slot in (0, 1, 2, 127, 5000)}
    new = {slot: f"a new one {slot}".encode() for slot in (1, 2, 3, 5000, 5001)}
    append(path, old)
    state = path.read_bytes()
    steps: list[tuple[int, bytes]] = []
    write = OpenFile.write

    def recorded(file: OpenFile, offset: int, content: bytes) -> None:
        steps.append((offset, bytes(content)))
        write(file, offset, content)

    monkeypatch.setattr(OpenFile, "write", recorded)
    append(path, new)
    monkeypatch.undo()

    finished = path.read_bytes()
    seen: set[tuple[bool, ...]] = set()
    for offset, content in steps:
        is_entries = 64 <= offset < DATA
        for cut in range(0, len(content) + 1, 8 if is_entries else 1):
            partial = state.ljust(offset, b"\0")[:offset] + content[:cut] + state[offset + cut :]
            path.write_bytes(partial)
            found = {slot: bundles.read_bytes(tmp_path, 0, *divmod(slot, 128)) for slot in new}
            for slot, tile in found.items():
                assert tile in (old.get(slot), new[slot])
            assert bundles.read_bytes(tmp_path, 0, 0, 127) == old[127]
            seen.add(tuple(found[slot] == new[slot] for slot in new))
        state = path.read_bytes()
    assert state == finished
    assert (False,) * 5 in seen
    assert (True,) * 5 in seen
    assert len(seen) > 3


def test_what_was_cut_off_does_not_come_back_as_other_tiles(path: Path) -> None:
    make_empty(path)
    append(path, {slot: bytes([65 + slot]) * 1000 for slot in range(8)})
    os.truncate(path, DATA + 4 * 1004 + 500)  # in the middle of the fifth

    append(path, {100: b"new" * 3000})

    with BundleV2(path) as bundle:
        read = {slot: bundle.read(slot) for slot in (*range(8), 100)}
    assert read == {
        **{slot: bytes([65 + slot]) * 1000 for slot in range(4)},
        **dict.fromkeys(range(4, 8)),
        100: b"new" * 3000,
    }
