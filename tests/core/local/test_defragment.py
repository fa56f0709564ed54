"""Defragmenting caches: what is won, what is left alone, and what readers see."""

from __future__ import annotations

import sqlite3
import struct
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from arcgis_server import bundles
from made_caches import make_compact, profile, write_metadata
from tile_bytes import tile

from tile_cache_manager.plugin.core.errors import CacheInUse, ReadOnlyCache
from tile_cache_manager.plugin.core.local.defragment import DefragmentReport, defragment
from tile_cache_manager.plugin.core.request import Feedback
from tile_cache_manager.plugin.core.storage.compact import CompactStore
from tile_cache_manager.plugin.core.storage.mbtiles import create_mbtiles
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.storage.tpkx import create_tpkx

KEYS = [(0, 0, 0), (8, 3, 5), (8, 130, 5), (8, 130, 6), (9, 511, 511)]
EMPTY = 64 + 131072
LEVEL_8 = Path("_alllayers", "L08")


@pytest.fixture
def cache(tmp_path) -> Path:
    """Three bundles without holes, and one, of two tiles, of which the larger half is unused."""
    folder = make_compact(tmp_path / "mit Lücken", KEYS)
    for _ in range(60):
        bundles.write_tile(folder, 8, 130, 6, tile(8, 130, 6) + bytes(3000))
    bundles.write_tile(folder, 8, 130, 6, tile(8, 130, 6, 1))
    return folder


def sizes(cache: Path) -> dict[str, int]:
    return {path.parent.name + "/" + path.name: path.stat().st_size
            for path in cache.rglob("*.bundle")}  # fmt: skip


def test_what_is_won(cache):
    before = sizes(cache)
    told: list[float] = []

    report = defragment(cache, Feedback(progress=told.append))

    after = sizes(cache)
    assert report == DefragmentReport(1, sum(before.values()), sum(after.values()))
    assert {name for name in after if after[name] != before[name]} == {"L08/R0080C0000.bundle"}
    live = len(tile(8, 130, 5)) + len(tile(8, 130, 6, 1))
    assert after["L08/R0080C0000.bundle"] == EMPTY + 8 + live
    assert bundles.read_bytes(cache, 8, 130, 6) == tile(8, 130, 6, 1)
    assert bundles.read_bytes(cache, 8, 130, 5) == tile(8, 130, 5)
    assert told == sorted(told)
    assert told[-1] == 100


@pytest.mark.parametrize(("share", "files"), [(0.0, 1), (0.3, 1), (0.5, 1), (0.9, 0), (1.0, 0)])
def test_least_share(share, files, cache):
    assert defragment(cache, Feedback(), least_share=share).files == files


def test_nothing_to_win(cache):
    defragment(cache, Feedback())
    before = {path: path.stat() for path in cache.rglob("*.bundle")}

    report = defragment(cache, Feedback())

    assert report.files == 0
    assert report.before == report.after == sum(facts.st_size for facts in before.values())
    assert {path: path.stat().st_mtime_ns for path in before} == {
        path: facts.st_mtime_ns for path, facts in before.items()
    }


def test_a_bundle_without_tiles_is_removed(cache):
    bundles.delete_tile(cache, 9, 511, 511)
    before = sum(sizes(cache).values())

    report = defragment(cache, Feedback(), least_share=0.9)

    assert report.files == 1
    assert not list((cache / "_alllayers" / "L09").glob("*.bundle"))
    assert report.before == before
    assert report.after == before - EMPTY - 4 - len(tile(9, 511, 511))


def test_who_reads_goes_on_with_the_old_file(cache):
    path = cache / LEVEL_8 / "R0080C0000.bundle"
    with path.open("rb") as reader:
        index = struct.unpack("<16384Q", reader.read(EMPTY)[64:])
        entry = index[2 * 128 + 6]

        assert defragment(cache, Feedback()).files == 1

        reader.seek(entry & (1 << 40) - 1)
        assert reader.read(entry >> 40) == tile(8, 130, 6, 1)


def test_a_file_in_use_is_passed_by(cache, monkeypatch):
    """Windows lets nobody replace a file that another program keeps open."""
    bundles.delete_tile(cache, 9, 511, 511)
    real = CompactStore.defragment

    def in_use(store, holes):
        if "L08" in holes.file:
            raise CacheInUse(holes.file)
        return real(store, holes)

    monkeypatch.setattr(CompactStore, "defragment", in_use)
    report = defragment(cache, Feedback())

    assert report.skipped == ("_alllayers/L08/R0080C0000.bundle",)
    assert report.files == 1
    assert report.is_complete


def test_cancelling(cache):
    bundles.delete_tile(cache, 9, 511, 511)
    told: list[float] = []

    report = defragment(cache, Feedback(told.append, lambda: bool(told) and told[-1] > 10))

    assert report.files == 1
    assert not report.is_complete
    assert report.before > report.after


def test_damaged_bundles_are_left_alone(cache):
    broken = cache / LEVEL_8 / "R0000C0000.bundle"
    broken.write_bytes(b"x" * 200_000)

    report = defragment(cache, Feedback())

    assert report.files == 1
    assert broken.read_bytes() == b"x" * 200_000


def test_a_format_that_is_only_read(tmp_path):
    path = tmp_path / "a.mbtiles"
    create_mbtiles(path, profile(StorageFormat.MBTILES))
    with closing(sqlite3.connect(path)) as file:
        file.execute("ALTER TABLE tiles RENAME TO others")
        file.execute("CREATE VIEW tiles AS SELECT * FROM others")

    with pytest.raises(ReadOnlyCache):
        defragment(path, Feedback())


def test_exploded_caches_have_no_holes(tmp_path):
    write_metadata(tmp_path, profile(StorageFormat.EXPLODED))
    path = tmp_path / "_alllayers" / "L03" / "R00000001" / "C00000002.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(tile(3, 1, 2))

    assert defragment(tmp_path, Feedback()) == DefragmentReport()
    assert path.read_bytes() == tile(3, 1, 2)


def test_mbtiles(tmp_path):
    path = tmp_path / "a package.mbtiles"
    create_mbtiles(path, profile(StorageFormat.MBTILES, side=256))
    tiles = {(row, col): tile(7, row, col) + bytes(4000) for row in range(9) for col in range(9)}
    with open_store(path, for_writing=True) as store:
        store.write(7, tiles)
        store.delete(7, [place for place in tiles if place != (4, 4)])
        store.commit()
    size = path.stat().st_size

    report = defragment(path, Feedback())

    assert report == DefragmentReport(1, size, path.stat().st_size)
    assert report.after < size - 70 * 4000
    with open_store(path) as store:
        assert store.counts() == {7: 1}
        assert store.read(7, 4, 4) == tiles[4, 4]


def test_tpkx(tmp_path, cache):
    """A package as others may have made it, with holes in a bundle; our own never have any."""
    path = tmp_path / "a package.tpkx"
    create_tpkx(path, profile(StorageFormat.TPKX))
    with zipfile.ZipFile(path, "a") as package:
        for bundle in sorted(cache.rglob("*.bundle")):
            package.write(bundle, f"tile/{bundle.parent.name}/{bundle.name}")
    size = path.stat().st_size

    report = defragment(path, Feedback())

    assert report == DefragmentReport(1, size, path.stat().st_size)
    assert report.after < size - 60 * 3000
    with zipfile.ZipFile(path) as package:
        (name,) = [name for name in package.namelist() if name.endswith("L08/R0080C0000.bundle")]
        live = len(tile(8, 130, 5)) + len(tile(8, 130, 6, 1))
        assert package.getinfo(name).file_size == EMPTY + 8 + live
    with open_store(path) as store:
        assert store.counts() == {0: 1, 8: 3, 9: 1}
        assert store.read(8, 130, 6) == tile(8, 130, 6, 1)
    before = path.read_bytes()
    assert defragment(path, Feedback()).files == 0
    assert path.read_bytes() == before
