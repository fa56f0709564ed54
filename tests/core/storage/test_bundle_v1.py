"""One bundle of version 1, against bytes laid out by hand as ArcGIS's own caches are."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tile_cache_manager.plugin.core.errors import DamagedCache
from tile_cache_manager.plugin.core.storage.bundle_care import holes_of
from tile_cache_manager.plugin.core.storage.bundle_care_v1 import defragment_bundle_v1
from tile_cache_manager.plugin.core.storage.bundle_v1 import BundleV1, make_empty_v1
from tile_cache_manager.plugin.core.storage.byte_range import ByteRange, OpenFile

DATA = 65596  # 60 + 4 * 16384


def index_bytes(offsets: dict[tuple[int, int], int]) -> bytes:
    """A .bundlx; `offsets` by (row, column). All others point at their empty records."""
    found = [60 + 4 * place for place in range(16384)]
    for (row, col), offset in offsets.items():
        found[128 * col + row] = offset  # column by column
    body = b"".join(offset.to_bytes(5, "little") for offset in found)
    return struct.pack("<4I", 3, 16, 16384, 5) + body + struct.pack("<4I", 0, 16, 16, 0)


def bundle_bytes(data: bytes, tiles: int) -> bytes:
    header = (3, 16384, 9, 5, 4 * tiles, DATA + len(data), 40, 16, 0, 127, 0, 127)
    return struct.pack("<4I3Q5I", *header) + bytes(65536) + data


TILES = b"\3\0\0\0abc" + b"\5\0\0\0defgh" + b"\0\0\0\0"
OFFSETS = {(0, 1): DATA, (127, 0): DATA + 7, (5, 6): DATA + 16, (9, 9): 0}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two tiles, one entry that points at a size of 0, one that was removed."""
    path = tmp_path / "R0000C0000.bundle"
    path.write_bytes(bundle_bytes(TILES, 2))
    path.with_suffix(".bundlx").write_bytes(index_bytes(OFFSETS))
    return path


def test_reading(path: Path) -> None:
    with BundleV1(path) as bundle:
        assert bundle.read(0 * 128 + 1) == b"abc"
        assert bundle.read(127 * 128 + 0) == b"defgh"
        for row, col in [(1, 0), (0, 127), (5, 6), (9, 9), (0, 0), (127, 127)]:
            assert bundle.read(128 * row + col) is None


def test_the_index_is_row_by_row_and_points_at_pictures(path: Path) -> None:
    with BundleV1(path) as bundle:
        index = bundle.index()

    assert list(index.exists.nonzero()[0]) == [1, 127 * 128]
    assert (index.offsets[1], index.sizes[1]) == (DATA + 4, 3)
    assert list(index.used.nonzero()[0]) == [1, 127 * 128]


@pytest.mark.parametrize("name", ["R0000C0000.BUNDLX", "r0000c0000.bundlx"])
def test_an_index_in_other_letters(path: Path, name: str) -> None:
    path.with_suffix(".bundlx").rename(path.with_name(name))

    with BundleV1(path) as bundle:
        assert bundle.read(1) == b"abc"


@pytest.mark.parametrize("missing", [".bundle", ".bundlx"])
def test_one_file_of_the_two_is_no_bundle(path: Path, missing: str) -> None:
    path.with_suffix(missing).unlink()

    with pytest.raises(FileNotFoundError):
        BundleV1(path)


BROKEN_OFFSETS = {"beyond the end": DATA + 4000, "size cut off": DATA + 18, "far": (1 << 40) - 1}


@pytest.mark.parametrize("offset", BROKEN_OFFSETS.values(), ids=BROKEN_OFFSETS)
def test_an_entry_that_points_outside_the_file(path: Path, offset: int) -> None:
    path.with_suffix(".bundlx").write_bytes(index_bytes({**OFFSETS, (0, 3): offset}))

    with BundleV1(path) as bundle:
        with pytest.raises(DamagedCache):
            bundle.read(3)
        index = bundle.index()
        assert index.used[3]
        assert not index.exists[3]
        assert bundle.read(1) == b"abc"


def test_a_tile_that_is_cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: DATA + 12])

    with BundleV1(path) as bundle:
        with pytest.raises(DamagedCache):
            bundle.read(127 * 128)
        assert list(bundle.index().exists.nonzero()[0]) == [1]


@pytest.mark.parametrize("content", [b"", b"\3\0\0\0", bytes(81952), index_bytes({})[:4000]])
def test_an_index_that_is_none(path: Path, content: bytes) -> None:
    path.with_suffix(".bundlx").write_bytes(content)

    with BundleV1(path) as bundle:
        with pytest.raises(DamagedCache):
            bundle.index()
        with pytest.raises(DamagedCache):
            bundle.read(16383)


def test_inside_a_package(tmp_path: Path) -> None:
    data, index = bundle_bytes(TILES, 2), index_bytes({**OFFSETS, (0, 4): DATA + 20})
    path = tmp_path / "cache.tpk"
    path.write_bytes(b"before" + data + index + b"behind")

    with OpenFile(path) as file:
        parts = ByteRange(file, 6, len(data)), ByteRange(file, 6 + len(data), len(index))
        bundle = BundleV1(Path("R0000C0000.bundle"), *parts)
        assert bundle.read(1) == b"abc"
        with pytest.raises(DamagedCache):
            bundle.read(4)  # not into what lies behind
        assert list(bundle.index().exists.nonzero()[0]) == [1, 127 * 128]


# Writing


def by_spec(path: Path) -> dict[tuple[int, int], bytes]:
    """The tiles of a bundle, read by hand."""
    index, data = path.with_suffix(".bundlx").read_bytes(), path.read_bytes()
    assert struct.unpack("<4I", index[:16]) == (3, 16, 16384, 5)
    assert len(index) == 16 + 5 * 16384 + 16
    found = {}
    for place in range(16384):
        offset = int.from_bytes(index[16 + 5 * place :][:5], "little")
        (size,) = struct.unpack_from("<I", data, offset) if offset else (0,)
        if size:
            assert offset + 4 + size <= len(data)
            found[place % 128, place // 128] = data[offset + 4 :][:size]
    return found


def header_of(path: Path) -> tuple[int, ...]:
    return struct.unpack("<4I3Q5I", path.read_bytes()[:60])


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    path = tmp_path / "R0080C0100.bundle"
    make_empty_v1(path)
    return path


def test_an_empty_bundle_is_as_arcgis_makes_them(empty: Path) -> None:
    assert empty.with_suffix(".bundlx").read_bytes() == index_bytes({})
    header = (3, 16384, 0, 5, 0, DATA, 40, 16, 0x80, 0xFF, 0x100, 0x17F)
    assert empty.read_bytes() == struct.pack("<4I3Q5I", *header) + bytes(65536)
    assert by_spec(empty) == {}


def test_what_is_written_lies_as_in_bundles_of_arcgis(empty: Path) -> None:
    with BundleV1(empty, for_writing=True) as bundle:
        bundle.append({1: b"abc", 127 * 128: b"defgh"})
        assert bundle.read(1) == b"abc"

    assert by_spec(empty) == {(0, 1): b"abc", (127, 0): b"defgh"}
    assert empty.read_bytes()[DATA:] == b"\3\0\0\0abc\5\0\0\0defgh"
    assert header_of(empty) == (3, 16384, 5, 5, 8, DATA + 16, 40, 16, 0x80, 0xFF, 0x100, 0x17F)

    with BundleV1(empty, for_writing=True) as bundle:
        bundle.append({1: b"new"})
        assert bundle.delete([127 * 128, 5]) == 1
        assert holes_of(bundle) == (DATA + 23, 16)

    assert by_spec(empty) == {(0, 1): b"new"}
    assert header_of(empty)[2:6] == (3, 5, 4, DATA + 23)
    assert empty.with_suffix(".bundlx").read_bytes() == index_bytes({(0, 1): DATA + 16})
    assert sorted(each.name for each in empty.parent.iterdir()) == [
        "R0080C0100.bundle",
        "R0080C0100.bundlx",
    ]


def test_offsets_of_five_bytes(empty: Path) -> None:
    with empty.open("r+b") as file:
        file.truncate(5 << 30)  # a file with a hole, as file systems have them

    with BundleV1(empty, for_writing=True) as bundle:
        bundle.append({7: b"far out"})
        assert bundle.read(7) == b"far out"

    entry = empty.with_suffix(".bundlx").read_bytes()[16 + 5 * 128 * 7 :][:5]
    assert int.from_bytes(entry, "little") == 5 << 30


def test_a_file_that_was_cut_off_loses_only_what_is_gone(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: DATA + 7])  # (127, 0) is gone

    with BundleV1(path, for_writing=True) as bundle:
        bundle.append({2: b"a long one that lies where it was"})

    assert by_spec(path) == {(0, 1): b"abc", (0, 2): b"a long one that lies where it was"}


@pytest.mark.parametrize("missing", [".bundle", ".bundlx"])
def test_one_file_of_the_two_is_made_whole(path: Path, missing: str) -> None:
    path.with_suffix(missing).unlink()
    size = path.stat().st_size if path.exists() else DATA

    make_empty_v1(path)

    assert by_spec(path) == {}
    assert path.stat().st_size == size, "tiles nobody can tell any more are kept"
    assert path.with_suffix(".bundlx").read_bytes() == index_bytes({})


@pytest.mark.parametrize("content", [b"", b"\3\0\0\0", bytes(81952)])
def test_nothing_is_written_into_what_is_no_bundle(path: Path, content: bytes) -> None:
    path.with_suffix(".bundlx").write_bytes(content)
    before = path.read_bytes()

    with BundleV1(path, for_writing=True) as bundle, pytest.raises(DamagedCache):
        bundle.append({1: b"new"})

    assert path.read_bytes() == before
    assert path.with_suffix(".bundlx").read_bytes() == content


def test_defragmenting(path: Path) -> None:
    with BundleV1(path, for_writing=True) as bundle:
        bundle.append({1: b"new one", 500: b"x" * 99})
        bundle.append({1: b"the last one"})
        bundle.append({3: b"last"})
        size, unused = holes_of(bundle)
    modified = path.stat().st_mtime_ns
    wanted = by_spec(path)
    assert unused == len("\3\0\0\0abc" + "\0\0\0\0" + "\0\0\0\0new one")

    assert defragment_bundle_v1(path) == unused

    assert by_spec(path) == wanted
    assert path.stat().st_size == size - unused
    assert path.stat().st_mtime_ns == modified
    with BundleV1(path) as bundle:
        assert holes_of(bundle) == (size - unused, 0)


def test_defragmenting_an_empty_bundle_removes_both_files(empty: Path) -> None:
    assert defragment_bundle_v1(empty) == DATA

    assert list(empty.parent.iterdir()) == []


class Disturbed:
    """A file that somebody defragments just before it is read for the first time."""

    def __init__(self, part: ByteRange, disturb: Callable[[], object]) -> None:
        self._part, self._disturb = part, disturb

    @property
    def size(self) -> int:
        return self._part.size

    def read(self, offset: int, count: int) -> bytes:
        disturb, self._disturb = self._disturb, lambda: None
        disturb()
        return self._part.read(offset, count)


def test_who_reads_while_tiles_are_moved_gets_the_right_ones(path: Path) -> None:
    with BundleV1(path, for_writing=True) as bundle:
        bundle.append({slot: b"%d" % slot * 50 for slot in range(100, 140)})
        bundle.append({slot: b"%d" % slot * 60 for slot in range(100, 139)})

    with BundleV1(path) as bundle:
        bundle.part = Disturbed(bundle.part, lambda: defragment_bundle_v1(path))  # type: ignore
        assert bundle.read(139) == b"139" * 50
        assert bundle.read(101) == b"101" * 60
        assert holes_of(bundle)[1] == 0
