"""Exploded caches: each tile a file, under names laid down by ArcGIS."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from tile_cache_manager.plugin.core.errors import (
    CacheInUse,
    DamagedCache,
    DiskFull,
    ReadOnlyCache,
    TargetProblem,
)
from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage import exploded
from tile_cache_manager.plugin.core.storage.exploded import ExplodedStore
from tile_cache_manager.plugin.core.storage.locks import locked
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import work_folder
from tile_cache_manager.plugin.core.storage.store import Fault, Finding, Holes
from tile_cache_manager.plugin.core.tiling import TileRange

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff\xe0"
YEAR_2001 = 1_000_000_000.25


def store_of(folder: Path, image_format: str = "MIXED", is_writable: bool = True) -> ExplodedStore:
    profile = CacheProfile(web_mercator(finest=19), StorageFormat.EXPLODED, image_format)
    return ExplodedStore(folder, profile, folder / "_alllayers", work_folder(folder), is_writable)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "Große Karte"


@pytest.fixture
def store(folder: Path) -> ExplodedStore:
    return store_of(folder)


def files_of(folder: Path) -> dict[str, bytes]:
    """Contents of all files of tiles."""
    layers = folder / "_alllayers"
    files = (path for path in layers.rglob("*") if path.is_file())
    return {path.relative_to(layers).as_posix(): path.read_bytes() for path in files}


def lay(folder: Path, name: str, content: bytes) -> Path:
    """Put a file among the tiles."""
    path = folder / "_alllayers" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_nothing_is_there_yet(store: ExplodedStore) -> None:
    assert store.level_ids() == ()
    assert store.counts() == {}
    assert store.read(3, 1, 1) is None
    assert list(store.blocks(3)) == []
    assert not store.exists(3, TileRange(0, 7, 0, 7)).any()
    assert np.isnan(store.times(3, TileRange(0, 7, 0, 7))).all()
    assert store.delete(3, [(0, 0)]) == 0
    assert list(store.findings(3)) == []
    store.commit()
    assert not (store.path / "_alllayers").exists()


def test_names_are_arcgis_own(folder: Path, store: ExplodedStore) -> None:
    """The example of MapProxy's documentation: L09/R05397fb1/C0012d687.png."""
    store.write(9, {(87654321, 1234567): PNG + b"1", (87654320, 1234567): JPEG + b"2"})
    store.write(0, {(0, 0): b"something else"})

    assert files_of(folder) == {
        "L09/R05397fb1/C0012d687.png": PNG + b"1",
        "L09/R05397fb0/C0012d687.jpg": JPEG + b"2",
        "L00/R00000000/C00000000.jpg": b"something else",
    }


def test_making_replacing_deleting(folder: Path, store: ExplodedStore) -> None:
    store.write(5, {(3, 4): PNG + b"a", (3, 5): PNG + b"b", (127, 127): JPEG + b"c"})
    store.write(5, {(3, 4): JPEG + b"replaced", (127, 127): PNG + b"replaced"})
    assert store.delete(5, [(3, 5), (3, 5), (3, 6)]) == 1
    assert store.delete(5, []) == 0
    store.write(5, {})
    store.commit()

    assert files_of(folder) == {
        "L05/R00000003/C00000004.jpg": JPEG + b"replaced",
        "L05/R0000007f/C0000007f.png": PNG + b"replaced",
    }
    assert store.counts() == {5: 2}
    assert store.read(5, 3, 4) == JPEG + b"replaced"
    assert store.read(5, 127, 127) == PNG + b"replaced"
    assert store.read(5, 3, 5) is None


@pytest.mark.parametrize(
    ("level_name", "row_name", "name"),
    [
        ("L09", "R00001ab0", "C0000c0de.png"),
        ("L09", "R00001AB0", "C0000C0DE.png"),
        ("l09", "r00001ab0", "c0000c0de.jpg"),
        ("L09", "R00001ab0", "C0000C0DE.JPG"),
        ("L09", "R00001ab0", "C0000c0de.JPEG"),
        ("L09", "R00001AB0", "C0000c0de.jpeg"),
    ],
)
def test_files_under_other_names(folder: Path, level_name: str, row_name: str, name: str) -> None:
    path = lay(folder, f"{level_name}/{row_name}/{name}", PNG + b"theirs")
    os.utime(path, (YEAR_2001, YEAR_2001))
    store = store_of(folder)
    tile, block = (0x1AB0, 0xC0DE), TileRange(0x1A80, 0x1AFF, 0xC080, 0xC0FF)

    assert store.read(9, *tile) == PNG + b"theirs"
    assert store.counts() == {9: 1}
    assert list(store.blocks(9)) == [block]
    times = store.times(9, block)
    assert [
        (int(r) + 0x1A80, int(c) + 0xC080) for r, c in zip(*store.exists(9, block).nonzero())
    ] == [tile]
    assert np.nanmax(times) == YEAR_2001
    assert int(np.isfinite(times).sum()) == 1
    store.write(9, {tile: PNG + b"ours"})
    assert files_of(folder) == {f"{level_name}/{row_name}/C0000c0de.png": PNG + b"ours"}
    assert store.delete(9, [tile]) == 1
    assert files_of(folder) == {}


def test_a_row_longer_than_is_listed(folder: Path, store: ExplodedStore) -> None:
    """Rows of many tiles are not listed for each block: the answers are the same."""
    columns = [*range(0, 1024, 2), 5000, 70000]
    for col in columns:
        lay(folder, f"L10/R00000007/C{col:08x}.{'png' if col % 4 else 'jpg'}", PNG)
    lay(folder, "L10/R00000007/C0000000b.png", b"")

    for first in (0, 896, 4992, 9984):
        exists = store.exists(10, TileRange(0, 127, first, first + 127))
        assert exists[7].tolist() == [col in columns for col in range(first, first + 128)]
        assert exists.sum() == exists[7].sum()
    blocks = {block.min_col for block in store.blocks(10)}
    assert blocks == {col - col % 128 for col in columns}
    assert store.counts() == {10: len(columns)}


def test_a_file_without_bytes_is_no_tile(folder: Path, store: ExplodedStore) -> None:
    """What loss of power may leave behind."""
    store.write(5, {(0, 0): PNG + b"whole"})
    empty = lay(folder, "L05/R00000000/C00000001.png", b"")

    assert store.read(5, 0, 1) is None
    assert store.exists(5, TileRange(0, 0, 0, 1)).tolist() == [[True, False]]
    assert store.counts() == {5: 1}
    (finding,) = store.findings(5)
    assert (finding.fault, finding.tile, finding.can_be_mended) == (Fault.CUT, (0, 1), True)
    assert finding.file == "_alllayers/L05/R00000000/C00000001.png"
    assert store.mend(finding)
    assert not empty.exists()
    assert store.read(5, 0, 0) == PNG + b"whole"
    assert list(store.findings(5)) == []


def test_what_a_writer_left_that_was_killed_between_two_formats(
    folder: Path, store: ExplodedStore
) -> None:
    """A tile twice, as it is for a moment while it is replaced: it counts once."""
    lay(folder, "L05/R00000000/C00000001.png", PNG + b"old")
    lay(folder, "L05/R00000000/C00000001.jpg", JPEG + b"new")

    assert store.counts() == {5: 1}
    assert store.read(5, 0, 1) in (PNG + b"old", JPEG + b"new")
    store.write(5, {(0, 1): JPEG + b"newer"})
    assert files_of(folder) == {"L05/R00000000/C00000001.jpg": JPEG + b"newer"}


def test_files_that_are_no_tiles(folder: Path, store: ExplodedStore) -> None:
    lay(folder, "L05/R00000000/C00000001.png", PNG)
    lay(folder, "L05/R00000000/.C00000001.png.part", PNG)
    strays = ["L05/missing.jpg", "L05/R00000000/C1.png", "L05/R00000000/C00000002.tif", "L05/R1"]
    for name in strays:
        lay(folder, name, PNG)
    (folder / "_alllayers/L05/R00000001").mkdir()
    (folder / "_alllayers/L05/R00000001/C00000000.png").mkdir()

    assert store.counts() == {5: 1}
    assert not store.exists(5, TileRange(0, 1, 2, 3)).any()
    found = {each.file.removeprefix("_alllayers/"): each.fault for each in store.findings(5)}
    strays += ["L05/R00000001/C00000000.png"]
    assert found == dict.fromkeys(strays, Fault.STRAY)


def test_a_level_the_scheme_does_not_know(store: ExplodedStore) -> None:
    store.write(33, {(0, 0): PNG})

    assert store.level_ids() == (33,)
    assert [each.fault for each in store.findings(33)] == [Fault.LEVEL]


def test_a_block_in_use(
    folder: Path, store: ExplodedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exploded, "LOCK_PATIENCE", 0.1)
    store.write(5, {(0, 0): PNG})
    (lock,) = (work_folder(folder) / "locks").iterdir()

    with locked(lock):
        with pytest.raises(CacheInUse):
            store.write(5, {(0, 0): JPEG})
        store.write(5, {(128, 0): JPEG})

    assert store.read(5, 0, 0) == PNG


def test_only_read(folder: Path) -> None:
    store = store_of(folder, is_writable=False)

    with pytest.raises(ReadOnlyCache):
        store.write(5, {(0, 0): PNG})
    with pytest.raises(ReadOnlyCache):
        store.delete(5, [(0, 0)])


def test_a_full_disk_keeps_the_old_tile(
    folder: Path, store: ExplodedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(5, {(0, 0): PNG + b"old"})
    before = files_of(folder)

    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:4])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(DiskFull):
            store.write(5, {(0, 0): JPEG + b"new"})

    assert files_of(folder) == before


def test_a_file_in_the_way(folder: Path, store: ExplodedStore) -> None:
    lay(folder, "L05", b"a file where the level's folder should be")

    assert store.level_ids() == ()
    with pytest.raises(TargetProblem):
        store.write(5, {(0, 0): PNG})


def test_a_tile_without_bytes_is_a_mistake(store: ExplodedStore) -> None:
    with pytest.raises(ValueError, match="no bytes"):
        store.write(5, {(0, 0): b""})


def test_mending_drops_what_is_no_picture(folder: Path, store: ExplodedStore) -> None:
    store.write(5, {(0, 0): PNG + b"not a picture"})
    name = "_alllayers/L05/R00000000/C00000000.png"

    assert store.mend(Finding(Fault.PICTURE, 5, name, (0, 0), can_be_mended=True))
    assert store.read(5, 0, 0) is None
    assert not store.mend(Finding(Fault.STRAY, 5, name))


def test_there_are_no_holes(store: ExplodedStore) -> None:
    store.write(5, {(0, 0): PNG})
    store.write(5, {(0, 0): PNG})

    assert list(store.holes(5)) == []
    assert store.defragment(Holes(5, "x", 1, 1)) == 0


def test_a_folder_under_a_tiles_name_cannot_be_read(folder: Path, store: ExplodedStore) -> None:
    (folder / "_alllayers/L05/R00000000/C00000000.png").mkdir(parents=True)

    with pytest.raises(DamagedCache):
        store.read(5, 0, 0)


def test_deleting_where_case_counts_for_nothing(
    folder: Path, store: ExplodedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, where each of the names of a tile is the name of the same file."""
    store.write(5, {(3, 4): PNG + b"a", (3, 5): PNG + b"b"})
    there = exploded._existing
    monkeypatch.setattr(exploded, "_existing", lambda *tile: 3 * there(*tile))

    assert store.delete(5, [(3, 4)]) == 1
    assert files_of(folder) == {"L05/R00000003/C00000005.png": PNG + b"b"}
