"""Tile packages: against packages made and read by hand (`tile_packages`)."""

from __future__ import annotations

import json
import math
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tile_packages import HALF, make_package, root_json, tiles_of

from tile_cache_manager.plugin.core.errors import (
    BadScheme,
    CacheInUse,
    DamagedCache,
    DiskFull,
    HostileFile,
    NotACache,
    NotACacheReason,
    ReadOnlyCache,
    StorageError,
    TargetExists,
)
from tile_cache_manager.plugin.core.schemes import web_mercator, wgs84
from tile_cache_manager.plugin.core.storage import package_store, packing
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import work_folder
from tile_cache_manager.plugin.core.storage.sqlite_file import PATIENCE
from tile_cache_manager.plugin.core.storage.store import Fault
from tile_cache_manager.plugin.core.storage.thumbnail import thumbnail_png
from tile_cache_manager.plugin.core.storage.tpkx import TpkxStore, create_tpkx
from tile_cache_manager.plugin.core.tiling import Extent, SpatialReference, TileRange, TilingScheme

TESTS = Path(__file__).resolve().parents[2]
PICTURE = thumbnail_png()
TILES = {
    (2, 0, 0): b"north-west",
    (2, 3, 3): b"south-east",
    (9, 127, 128): b"left of a seam",
    (9, 127, 127): b"and right of it",
    (9, 128, 128): b"below",
}
OLD = 1_000_000_000


@pytest.fixture
def path(tmp_path):
    return tmp_path / "package.tpkx"


@pytest.fixture
def package(path):
    make_package(path, TILES)
    os.utime(path, (OLD, OLD))
    return path


def tiles_in(store):
    """All tiles, by the store's own interface."""
    found = {}
    for level_id in store.level_ids():
        for block in store.blocks(level_id):
            for row, col in np.argwhere(store.exists(level_id, block)).tolist():
                tile = (block.min_row + row, block.min_col + col)
                found[(level_id, *tile)] = store.read(level_id, *tile)
    return found


def root_of(path):
    with zipfile.ZipFile(path) as package:
        return json.loads(package.read("root.json"))


def write_all(path, tiles, commit=True):
    with TpkxStore(path, for_writing=True) as store:
        for (level, row, col), content in tiles.items():
            store.write(level, {(row, col): content})
        if commit:
            store.commit()


def copies(path):
    return sorted(e.name for e in (work_folder(path) / "tile").rglob("*.bundle"))


# Reading


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"method": zipfile.ZIP_DEFLATED},
        {"root_name": "ROOT.JSON"},
        {"root": root_json(2, 9, tileBundlesPath="./tile/")},
        {"root": root_json(2, 9, tileBundlesPath="tile")},
        {"root": root_json(2, 9, tileBundlesPath="TILE/")},
        {"root": root_json(2, 9, tileBundlesPath="./a/b c/"), "folder": "a/b c"},
        {"root": root_json(2, 9, tileBundlesPath="./"), "folder": ""},
        {"more": [("readme.txt", b"hello"), ("tile/L02/.DS_Store", b"x"), ("tile/x/y/z", b"")]},
    ],
)
def test_packages_as_others_make_them(path, changes):
    make_package(path, TILES, **changes)

    with TpkxStore(path) as store:
        assert tiles_in(store) == TILES
        assert store.counts() == {2: 2, 9: 3}
        assert store.level_ids() == (2, 9)
        assert store.profile.cached_ids == tuple(range(2, 10))
        assert store.profile.storage is StorageFormat.TPKX
        assert store.profile.name == "By hand"
        assert store.read(9, 0, 0) is None
        assert store.read(17, 0, 0) is None
        assert not store.exists(5, TileRange(0, 300, 0, 300)).any()
        assert [list(store.findings(level)) for level in (2, 9)] == [[], []]
    assert not work_folder(path).exists()


def test_times_are_those_of_the_package(package):
    with TpkxStore(package) as store:
        times = store.times(9, TileRange(127, 128, 127, 128))
    assert times[0].tolist() == [OLD, OLD]
    assert math.isnan(times[1, 0])


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("other.json", b"{}", NotACache),
        ("sub/root.json", b"{}", NotACache),
        ("root.json", b"{}", DamagedCache),
        ("root.json", b"\xff\xfe no json", DamagedCache),
        ("root.json", json.dumps(root_json(0, 1, tileBundlesPath="../x")).encode(), HostileFile),
        ("root.json", b"[" * 100_000, HostileFile),
    ],
)
def test_packages_that_are_none(path, name, content, error):
    with zipfile.ZipFile(path, "w") as package:
        package.writestr(name, content)

    for for_writing in (False, True):
        with pytest.raises(error):
            TpkxStore(path, for_writing)


def test_no_folder_is_made_for_a_package_that_is_not_there(path):
    for for_writing in (False, True):
        with pytest.raises(NotACache) as caught:
            TpkxStore(path, for_writing)
        assert caught.value.reason is NotACacheReason.MISSING
    assert list(path.parent.iterdir()) == []


def test_a_bundle_that_is_none_leaves_the_others_readable(path):
    more = [("tile/L02/R0080C0000.bundle", b"x" * 200_000), ("tile/L02/R0080C0080.bundle", b"x")]
    make_package(path, TILES, more=more)

    with TpkxStore(path) as store:
        assert store.counts() == {2: 2, 9: 3}
        assert store.read(2, 0, 0) == b"north-west"
        with pytest.raises(DamagedCache):
            store.read(2, 128, 0)
        faults = {(f.fault, f.file) for f in store.findings(2)}
        assert faults == {
            (Fault.NOT_A_BUNDLE, "tile/L02/R0080C0000.bundle"),
            (Fault.CUT, "tile/L02/R0080C0080.bundle"),
        }


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_cut_off_or_flipped_anywhere_there_are_only_storage_errors(path, method):
    whole = make_package(path, TILES, method=method).read_bytes()
    random = np.random.default_rng(5)
    for number in range(60):
        bad = bytearray(whole)
        if number % 3 == 0:
            del bad[int(random.integers(0, len(bad))) :]
        else:
            span = len(bad) if number % 2 else min(len(bad), 9000)
            for at in random.integers(len(bad) - span, len(bad), 20):
                bad[at] = int(random.integers(0, 256))
        path.write_bytes(bad)
        try:
            with TpkxStore(path) as store:
                for level_id in store.level_ids():
                    list(store.findings(level_id))
                    list(store.holes(level_id))
                tiles_in(store)
        except StorageError:
            continue


# Writing


def test_what_is_written_is_in_the_package_after_commit(package):
    before = package.read_bytes()
    with TpkxStore(package, for_writing=True) as store:
        store.write(9, {(127, 128): b"new"})
        store.write(9, {(0, 0): b"more", (127, 127): b"right"})
        store.write(4, {(5, 5): b"on a new level"})
        assert store.delete(2, [(0, 0), (1, 1)]) == 1
        wanted = {
            **TILES,
            (9, 127, 128): b"new",
            (9, 0, 0): b"more",
            (9, 127, 127): b"right",
            (4, 5, 5): b"on a new level",
        }
        del wanted[2, 0, 0]
        assert tiles_in(store) == wanted
        assert store.counts() == {2: 1, 4: 1, 9: 4}
        assert package.read_bytes() == before
        with TpkxStore(package) as reader:
            assert tiles_in(reader) == TILES

        store.commit()

        assert tiles_in(store) == wanted
        assert tiles_of(package) == wanted
        assert not store.is_recovered
        assert copies(package) == []
        again = package.read_bytes()
        store.commit()  # nothing to do
        assert package.read_bytes() == again
        store.write(2, {(0, 0): b"back"})
        store.commit()
    assert tiles_of(package) == {**wanted, (2, 0, 0): b"back"}
    assert {e.name for e in package.parent.iterdir()} == {package.name, work_folder(package).name}


def test_the_package_written_is_as_esris(path):
    profile = CacheProfile(web_mercator(), StorageFormat.TPKX, "PNG32", 0, (3, 4, 5), name="Ä B")
    create_tpkx(path, profile)
    write_all(path, {(4, 3, 3): PICTURE})

    with zipfile.ZipFile(path) as package:
        members = package.infolist()
        assert [m.filename for m in members] == [
            "root.json",
            "iteminfo.json",
            "thumbnail.png",
            "tile/L04/R0000C0000.bundle",
        ]
        assert {m.compress_type for m in members} == {zipfile.ZIP_STORED}
        assert package.testzip() is None
        assert package.read("thumbnail.png").startswith(b"\x89PNG")
        assert json.loads(package.read("iteminfo.json"))["type"] == "Compact Tile Package"
        body = package.read("root.json")
    assert b'"tileBundlesPath": "./tile"' in body[:1024]
    assert len(body) > 512
    root = json.loads(body)
    assert (root["minLOD"], root["maxLOD"], root["name"]) == (3, 5, "Ä B")
    assert root["spatialReference"]["latestWkid"] == 3857
    with TpkxStore(path) as store:
        found = store.profile
    assert (found.image_format, found.cached_ids, found.name) == ("PNG32", (3, 4, 5), "Ä B")


def test_a_compressed_package_is_written_stored(path):
    make_package(path, TILES, method=zipfile.ZIP_DEFLATED, folder="Tile", more=[("a.txt", b"a")])
    write_all(path, {(2, 1, 1): b"new"})

    assert tiles_of(path) == {**TILES, (2, 1, 1): b"new"}
    with zipfile.ZipFile(path) as package:
        assert {m.compress_type for m in package.infolist()} == {zipfile.ZIP_STORED}
        assert package.read("a.txt") == b"a"


def test_what_others_wrote_beside_the_tiles_is_kept(path):
    layers = [{"id": 0, "name": "Roads", "legend": "kept"}]
    root = root_json(2, 9, layers=layers, exportTilesAllowed=True, ourOwn={"a": [1]})
    beside = [("iteminfo.json", b'{"guid": "kept"}'), ("Thumbnail.PNG", b"kept")]
    make_package(path, TILES, root=root, more=[*beside, ("esriinfo/x.xml", b"kept")])
    write_all(path, {(11, 1, 1): b"new"})

    found = root_of(path)
    assert (found["layers"], found["ourOwn"]) == (layers, {"a": [1]})
    assert (found["minLOD"], found["maxLOD"]) == (2, 11)
    assert found["exportTilesAllowed"] is True
    with zipfile.ZipFile(path) as package:
        assert package.read("iteminfo.json") == b'{"guid": "kept"}'
        assert package.read("Thumbnail.PNG") == b"kept"
        assert package.read("esriinfo/x.xml") == b"kept"
        assert len(package.namelist()) == len({n.lower() for n in package.namelist()})


def test_bundles_without_tiles_are_left_out_and_others_have_no_holes(package):
    with TpkxStore(package, for_writing=True) as store:
        store.delete(9, [(127, 127)])
        for number in range(5):
            store.write(9, {(128, 128): b"%d" % number * 1000})
        store.commit()

    with zipfile.ZipFile(package) as opened:
        sizes = {m.filename: m.file_size for m in opened.infolist() if "L09" in m.filename}
    assert sizes == {
        "tile/L09/R0000C0080.bundle": 131136 + 4 + len(b"left of a seam"),
        "tile/L09/R0080C0080.bundle": 131136 + 4 + 1000,
    }


def test_the_extent_grows_with_the_tiles(path):
    half = {"xmin": -HALF, "ymin": 0, "xmax": 0, "ymax": HALF}
    crs = {"spatialReference": {"wkid": 102100, "latestWkid": 3857}}
    root = root_json(2, 9, fullExtent={**half, **crs})
    make_package(path, {(2, 0, 0): b"x"}, root=root)
    write_all(path, {(3, 4, 3): b"one tile further south"})

    found = root_of(path)["fullExtent"]
    assert found["ymin"] == pytest.approx(-HALF / 4)
    assert [found[k] for k in ("xmin", "xmax", "ymax")] == pytest.approx([-HALF, 0, HALF])


def test_a_missing_extent_is_that_of_all_tiles(path):
    root = root_json(2, 9)
    del root["fullExtent"]
    make_package(path, {(3, 0, 0): b"x"}, root=root)
    write_all(path, {(3, 0, 2): b"x"})

    found = root_of(path)["fullExtent"]
    values = [found[k] for k in ("xmin", "ymin", "xmax", "ymax")]
    assert values == pytest.approx([-HALF, HALF * 3 / 4, -HALF / 4, HALF])


def test_times_of_tiles_outlast_the_making_of_the_package(package):
    block = TileRange(127, 128, 127, 128)
    with TpkxStore(package, for_writing=True) as store:
        store.write(9, {(128, 127): b"new"})
        during = store.times(9, block)
        store.commit()
        after = store.times(9, block)
    with TpkxStore(package) as store:
        later = store.times(9, block)

    for times in (during, after, later):
        assert times[0].tolist() == [OLD, OLD]
        assert times[1, 1] == OLD
        assert abs(times[1, 0] - time.time()) < 60


def test_times_of_another_package_in_its_place_are_its_own(package, tmp_path):
    write_all(package, {(9, 128, 127): b"new"})
    make_package(package, TILES)
    os.utime(package, (OLD + 50, OLD + 50))

    for for_writing in (False, True):
        with TpkxStore(package, for_writing) as store:
            assert store.times(9, TileRange(128, 128, 128, 128))[0, 0] == OLD + 50


def test_a_store_that_was_not_opened_for_writing_writes_nothing(package):
    with TpkxStore(package) as store:
        for refused in (
            lambda: store.write(2, {(0, 0): b"x"}),
            lambda: store.delete(2, [(0, 0)]),
            lambda: store.defragment(next(store.holes(2))),
        ):
            with pytest.raises(ReadOnlyCache):
                refused()
        store.commit()
    assert not work_folder(package).exists()


def test_a_thread_reads_while_another_writes_and_commits(package):
    stop, found = threading.Event(), []
    with TpkxStore(package, for_writing=True) as store:

        def read():
            while not stop.is_set():
                found.append(store.read(9, 128, 128))

        thread = threading.Thread(target=read)
        thread.start()
        for number in range(6):
            store.write(9, {(130, number): b"x"})
            store.commit()
        stop.set()
        thread.join()
    assert set(found) == {b"below"}


# New packages


@pytest.mark.parametrize("scheme", [web_mercator(512), wgs84()])
def test_a_new_package_reads_as_it_was_meant(path, scheme):
    extent = Extent(-100.0, -50.0, 120.0, 60.0)
    profile = CacheProfile(scheme, StorageFormat.TPKX, "JPEG", 80, (1, 2), extent, "N", "T")
    create_tpkx(path, profile)

    with TpkxStore(path) as store:
        found = store.profile
        assert store.counts() == {}
        assert store.level_ids() == ()
    assert (found.image_format, found.compression_quality) == ("JPEG", 80)
    assert found.cached_ids == (1, 2)
    assert found.extent == extent
    assert found.scheme.levels == scheme.levels
    assert found.scheme.tile_width == scheme.tile_width
    assert [e.name for e in path.parent.iterdir()] == [path.name]


def test_new_packages_that_cannot_be(path):
    crs = SpatialReference()
    scheme = TilingScheme(0, 0, 256, 256, 96, crs, web_mercator().levels)
    with pytest.raises(BadScheme):
        create_tpkx(path, CacheProfile(scheme, StorageFormat.TPKX, "PNG"))
    assert list(path.parent.iterdir()) == []
    path.write_bytes(b"precious")
    with pytest.raises(TargetExists):
        create_tpkx(path, CacheProfile(web_mercator(), StorageFormat.TPKX, "PNG"))
    assert path.read_bytes() == b"precious"


# What goes wrong


def test_one_writer_at_a_time(package, monkeypatch):
    monkeypatch.setattr(package_store, "LOCK_PATIENCE", 0.1)
    with TpkxStore(package, for_writing=True) as store:
        with pytest.raises(CacheInUse) as caught:
            TpkxStore(package, for_writing=True)
        assert caught.value.path == str(package)
        with TpkxStore(package) as reader:  # who only reads is not kept out
            assert tiles_in(reader) == TILES
        store.write(2, {(1, 1): b"x"})
    with TpkxStore(package, for_writing=True) as store:
        assert store.is_recovered


def test_who_comes_second_waits_for_the_first_unless_cancelled(package):
    assert package_store.LOCK_PATIENCE == PATIENCE == 30.0
    asked: list[bool] = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 2

    with TpkxStore(package, for_writing=True):
        with pytest.raises(CacheInUse):
            TpkxStore(package, True, cancelled)
        second = threading.Thread(target=write_all, args=(package, {(5, 1, 1): b"late"}))
        second.start()
        assert second.is_alive()
    second.join(20)
    assert tiles_of(package) == {**TILES, (5, 1, 1): b"late"}
    assert len(asked) == 3


def test_without_commit_the_work_is_found_again(package):
    write_all(package, {(9, 127, 128): b"new", (5, 1, 1): b"more"}, commit=False)
    with TpkxStore(package, for_writing=True) as store:
        store.delete(2, [(0, 0)])

    assert tiles_of(package) == TILES
    with TpkxStore(package, for_writing=True) as store:
        assert store.is_recovered
        assert store.read(9, 127, 128) == b"new"
        store.commit()
    wanted = {**TILES, (9, 127, 128): b"new", (5, 1, 1): b"more"}
    del wanted[2, 0, 0]
    assert tiles_of(package) == wanted
    with TpkxStore(package, for_writing=True) as store:
        assert not store.is_recovered


def test_a_package_that_another_program_put_there_is_not_overwritten(package):
    with TpkxStore(package, for_writing=True) as store:
        store.write(2, {(1, 1): b"ours"})
        make_package(package, {(1, 0, 0): b"theirs"})
        theirs = package.read_bytes()

        with pytest.raises(DamagedCache):
            store.commit()

        assert package.read_bytes() == theirs
        assert copies(package) == ["R0000C0000.bundle"]
    with TpkxStore(package, for_writing=True) as store:
        assert not store.is_recovered  # what belongs to the other package is set aside
        assert tiles_in(store) == {(1, 0, 0): b"theirs"}
        store.write(1, {(1, 1): b"on top"})
        store.commit()
    assert tiles_of(package) == {(1, 0, 0): b"theirs", (1, 1, 1): b"on top"}
    kept = list(work_folder(package).rglob("R0000C0000.bundle"))
    assert len(kept) == 1
    assert b"ours" in kept[0].read_bytes()


def test_the_room_for_the_new_package_is_looked_for_first(package, monkeypatch):
    with TpkxStore(package, for_writing=True) as store:
        store.write(2, {(1, 1): b"x"})
        monkeypatch.setattr(packing, "free_bytes", lambda _path: 300_000)
        with pytest.raises(DiskFull) as caught:
            store.commit()
        assert caught.value.free == 300_000
        assert caught.value.needed >= package.stat().st_size
        assert tiles_of(package) == TILES
        monkeypatch.undo()
        store.commit()
    assert tiles_of(package) == {**TILES, (2, 1, 1): b"x"}


def test_a_disk_that_is_full_in_mid_commit_leaves_the_package(package, monkeypatch):
    def full(path, members):
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    with TpkxStore(package, for_writing=True) as store:
        store.write(2, {(1, 1): b"x"})
        with monkeypatch.context() as patched:
            patched.setattr(package_store, "write_package", full)
            with pytest.raises(DiskFull):
                store.commit()
        assert tiles_of(package) == TILES
        assert not [e for e in package.parent.iterdir() if e.name.endswith(".part")]
        assert store.read(2, 1, 1) == b"x"
        store.commit()
    assert tiles_of(package) == {**TILES, (2, 1, 1): b"x"}


WRITER = """
import sys
sys.path[:0] = [{tests!r}]
import conftest
from pathlib import Path
from tile_cache_manager.plugin.core.storage.tpkx import TpkxStore
with TpkxStore(Path({path!r}), for_writing=True) as store:
    number = int({start!r})
    while True:
        number += 1
        for level in (2, 4, 9):
            store.write(level, {{(0, number % 50): b"%d" % number * 300}})
        print(number, flush=True)
        store.commit()
        print("c", number, flush=True)
"""


def test_killed_at_any_moment_the_package_opens_and_nothing_is_lost(package):
    random = np.random.default_rng(2)
    number = 0
    for _ in range(20):
        script = WRITER.format(tests=str(TESTS), path=str(package), start=str(number))
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as writer:
            assert writer.stdout.readline()
            time.sleep(float(random.uniform(0, 0.08)))
            writer.send_signal(signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
            told = [b"%d" % (number + 1), *writer.stdout.read().splitlines()]
        written = max(int(line) for line in told if line.isdigit())
        committed = max([number, *(int(n[2:]) for n in told if n.startswith(b"c"))])
        in_package = tiles_of(package)
        with TpkxStore(package, for_writing=True) as store:
            in_store = tiles_in(store)
        for tile, content in TILES.items():
            if tile[1]:
                assert in_package[tile] == in_store[tile] == content
        for level in (2, 4, 9):
            if committed:
                text = in_package[level, 0, committed % 50]
                assert int(text[: len(text) // 300]) >= committed
            text = in_store[level, 0, written % 50]
            assert int(text[: len(text) // 300]) >= written
        with TpkxStore(package, for_writing=True) as store:
            store.commit()
        number = written
    assert tiles_of(package).items() >= {t: c for t, c in TILES.items() if t[1]}.items()
    left = {e.name for e in package.parent.iterdir() if not e.name.endswith(".part")}
    assert left == {package.name, work_folder(package).name}


# Care


def test_mending_and_defragmenting_end_in_the_package(path, tmp_path):
    make_package(path, {**TILES, (2, 1, 1): b"y" * 500})
    unpacked = tmp_path / "damaged"
    with zipfile.ZipFile(path) as package:
        package.extractall(unpacked)
    bundle = unpacked / "tile/L02/R0000C0000.bundle"
    content = bytearray(bundle.read_bytes())
    slot = 64 + 8 * (128 * 3 + 3)
    content[slot : slot + 8] = struct.pack("<Q", 77 << 40 | 10**9)  # far outside the file
    content[24:32] = struct.pack("<Q", 999)  # a header that does not know the size
    with zipfile.ZipFile(path, "w") as package:
        for each in sorted(unpacked.rglob("*")):
            if each.is_file():
                inside = each.relative_to(unpacked).as_posix()
                package.writestr(inside, bytes(content) if each == bundle else each.read_bytes())
        package.writestr("tile/L02/R0080C0000.bundle", b"cut")

    with TpkxStore(path, for_writing=True) as store:
        found = list(store.findings(2))
        assert {(f.fault, f.tile) for f in found} == {
            (Fault.HEADER, None),
            (Fault.OUTSIDE, (3, 3)),
            (Fault.CUT, None),
        }
        assert all(store.mend(f) for f in found)
        assert list(store.findings(2)) == []
        (aside,) = path.parent.rglob("*.damaged")
        store.delete(2, [(1, 1)])
        holes = {h.file: h for h in store.holes(2)}
        assert store.defragment(holes["tile/L02/R0000C0000.bundle"]) >= 504
        store.defragment(next(store.holes(9)))
        store.commit()

    assert aside.read_bytes() == b"cut", "kept beside the package"
    wanted = dict(TILES)
    del wanted[2, 3, 3]
    assert tiles_of(path) == wanted
    with zipfile.ZipFile(path) as package:
        assert "tile/L02/R0080C0000.bundle" not in package.namelist()
        assert package.getinfo("tile/L02/R0000C0000.bundle").file_size == 131136 + 4 + 10
