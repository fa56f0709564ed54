"""MBTiles: against files made by hand with SQLite as the specification (1.3) says."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from made_pictures import pattern, png

from tile_cache_manager.plugin.core.errors import (
    CacheInUse,
    CannotPack,
    CannotPackReason,
    DamagedCache,
    DiskFull,
    HostileFile,
    NotACache,
    NotACacheReason,
    ReadOnlyCache,
    ReadOnlyReason,
    StorageError,
    TargetExists,
)
from tile_cache_manager.plugin.core.schemes import scheme_of_scales, web_mercator, wgs84
from tile_cache_manager.plugin.core.storage import sqlite_file, tile_table
from tile_cache_manager.plugin.core.storage.mbtiles import (
    MBTilesStore,
    create_mbtiles,
    read_mbtiles_profile,
)
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import work_folder
from tile_cache_manager.plugin.core.storage.store import Fault
from tile_cache_manager.plugin.core.storage.thumbnail import thumbnail_png
from tile_cache_manager.plugin.core.tiling import WEB_MERCATOR_HALF, Extent, TileRange

HALF = WEB_MERCATOR_HALF
SAMPLE = (
    Path(__file__).resolve().parents[4]
    / "shared/cache-samples/gdal-autotest-esric/autotest/gdrivers/data/mbtiles/world_l1.mbtiles"
)
PICTURE = thumbnail_png()
JPEG_START = bytes.fromhex("ffd8ffe000104a46494600010100000100010000")
GZIP = bytes.fromhex("1f8b0800000000000003")


def profile(**changes):
    values = {
        "scheme": web_mercator(),
        "storage": StorageFormat.MBTILES,
        "image_format": "PNG32",
        "cached_ids": tuple(range(4, 9)),
        "name": "Streets",
        "text": "All of them",
    }
    return CacheProfile(**{**values, **changes})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache.mbtiles"


@pytest.fixture
def store(path):
    create_mbtiles(path, profile())
    with MBTilesStore(path, is_writable=True) as opened:
        yield opened


def by_hand(path, tiles=(), metadata=(), index=True):
    """A file as the specification has it; tiles as (zoom, column, row from below, content)."""
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("CREATE TABLE metadata (name text, value text)")
        file.execute(
            "CREATE TABLE tiles (zoom_level integer, tile_column integer,"
            " tile_row integer, tile_data blob)"
        )
        if index:
            file.execute("CREATE UNIQUE INDEX i ON tiles (zoom_level, tile_column, tile_row)")
        file.executemany("INSERT INTO metadata VALUES (?, ?)", metadata)
        file.executemany("INSERT INTO tiles VALUES (?, ?, ?, ?)", tiles)
    return path


def sql(path, query, *values):
    with closing(sqlite3.connect(path)) as file:
        return file.execute(query, values).fetchall()


def said(path):
    return dict(sql(path, "SELECT name, value FROM metadata"))


# What a new file says


def test_a_new_file_is_what_the_specification_asks_for(path):
    extent = Extent(-HALF, 0.0, 0.0, HALF / 2)
    create_mbtiles(path, profile(extent=extent))

    assert path.read_bytes()[68:72] == b"MPBX"
    assert said(path)["name"] == "Streets"
    assert said(path)["format"] == "png"
    assert said(path)["description"] == "All of them"
    assert (said(path)["minzoom"], said(path)["maxzoom"]) == ("4", "8")
    # 66.51326 degrees: the latitude of half the way to the edge, from EPSG's formulas
    assert [float(n) for n in said(path)["bounds"].split(",")] == pytest.approx(
        [-180, 0, 0, 66.51326044311186], abs=1e-7
    )
    assert sql(path, "PRAGMA journal_mode") == [("delete",)]
    indexes = sql(path, "SELECT sql FROM sqlite_master WHERE type = 'index'")
    assert "UNIQUE" in indexes[0][0]
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, ("image_format", "cached_ids", "name", "text", "scheme", "storage")),
        ({"image_format": "JPEG", "compression_quality": 63}, ("compression_quality",)),
        ({"image_format": "PNG8"}, ("image_format",)),
        ({"scheme": web_mercator(512, 192, 22)}, ("scheme",)),
        ({"cached_ids": (3, 9)}, ("cached_ids",)),
    ],
)
def test_a_new_file_reads_as_it_was_meant(path, changes, same):
    create_mbtiles(path, profile(**changes))

    found = read_mbtiles_profile(path)

    for name in same:
        assert getattr(found, name) == getattr(profile(**changes), name), name


def test_levels_are_told_by_resolution_not_by_id(path):
    metre = web_mercator()
    scales = [metre.level(z).scale for z in (5, 7)]
    scheme = scheme_of_scales(scales, metre.crs, -HALF, HALF, 1.0)

    create_mbtiles(path, profile(scheme=scheme, cached_ids=(0, 1)))

    assert read_mbtiles_profile(path).cached_ids == (5, 7)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"scheme": wgs84()}, "SCHEME"),
        ({"scheme": scheme_of_scales([1e6, 3e5], web_mercator().crs, -HALF, HALF, 1.0)}, "SCHEME"),
        ({"scheme": scheme_of_scales([1e6], web_mercator().crs, 0, 0, 1.0)}, "SCHEME"),
        ({"image_format": "MIXED"}, "TILE_FORMAT"),
        ({"image_format": "LERC"}, "TILE_FORMAT"),
    ],
)
def test_what_mbtiles_cannot_hold_is_refused_and_nothing_left(tmp_path, changes, reason):
    if "scheme" in changes:
        changes = {**changes, "cached_ids": tuple(e.id for e in changes["scheme"].levels)}

    with pytest.raises(CannotPack) as caught:
        create_mbtiles(tmp_path / "new" / "x.mbtiles", profile(**changes))

    assert caught.value.reason is CannotPackReason[reason]
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten(path):
    path.write_bytes(b"precious")

    with pytest.raises(TargetExists):
        create_mbtiles(path, profile())

    assert path.read_bytes() == b"precious"


# Reading what others wrote


@pytest.mark.skipif(not SAMPLE.exists(), reason="the samples of others are not here")
def test_the_sample_of_gdal():
    with MBTilesStore(SAMPLE) as store:
        assert store.profile.image_format == "JPEG"
        assert store.profile.scheme == web_mercator(256, 96, 22)
        assert store.profile.cached_ids == (0, 1)
        assert store.counts() == {0: 1, 1: 4}
        for zoom, col, row, content in sql(SAMPLE, "SELECT * FROM tiles"):
            assert store.read(zoom, 2**zoom - 1 - row, col) == bytes(content)
    assert not work_folder(SAMPLE).exists()


def test_rows_count_from_the_top(path):
    by_hand(path, [(3, 1, 0, b"south"), (3, 1, 7, b"north")])

    with MBTilesStore(path) as store:
        assert store.read(3, 7, 1) == b"south"
        assert store.read(3, 0, 1) == b"north"
        assert store.read(3, 1, 1) is None
        found = store.exists(3, TileRange(-2, 9, 0, 200))
        assert np.argwhere(found).tolist() == [[2, 1], [9, 1]]
        assert np.isnan(store.times(3, TileRange(1, 6, 0, 7))).all()
        assert store.times(3, TileRange(0, 0, 1, 1))[0, 0] == path.stat().st_mtime


def test_blocks_against_brute_force(path):
    random = np.random.default_rng(4)
    tiles = {(int(r), int(c)) for r, c in random.integers(0, 1 << 10, (300, 2))}
    tiles |= {(0, 0), (1023, 1023)}
    by_hand(path, [(10, c, 1023 - r, b"x") for r, c in tiles])

    with MBTilesStore(path) as store:
        blocks = list(store.blocks(10))
        assert {(b.min_row, b.min_col) for b in blocks} == {
            (r // 128 * 128, c // 128 * 128) for r, c in tiles
        }
        assert len(blocks) == len(set(blocks))
        assert list(store.blocks(9)) == []
        assert store.counts() == {10: len(tiles)}
        found = {
            (int(r) + b.min_row, int(c) + b.min_col)
            for b in blocks
            for r, c in np.argwhere(store.exists(10, b))
        }
        assert found == tiles
        assert store.counts(cancelled=lambda: True).keys() <= {10}


@pytest.mark.parametrize(
    ("tiles", "metadata", "image_format"),
    [
        ([(0, 0, 0, PICTURE)], [], "PNG"),
        ([(0, 0, 0, PICTURE)], [("format", "png")], "PNG"),
        ([], [("format", "jpg")], "JPEG"),
        ([], [("format", "image/jpeg")], "JPEG"),
        ([], [("format", "webp")], "WEBP"),
        ([], [], "PNG"),
        ([], [("format", "png"), ("tilecache:format", "JPEG")], "PNG"),
        ([], [("format", None), (None, "x"), ("bounds", "1,2,nan,4")], "PNG"),
    ],
)
def test_picture_formats(path, tiles, metadata, image_format):
    by_hand(path, tiles, metadata)

    assert read_mbtiles_profile(path).image_format == image_format


@pytest.mark.parametrize(
    ("tile", "metadata", "size"),
    [
        (pattern(0, size=512), [], 512),
        (pattern(0, size=256), [], 256),
        (pattern(0, size=8), [], 256),  # a stand-in for an empty tile
        (pattern(0, size=512)[:, :256], [], 256),
        (pattern(0, size=8), [("tilecache:tile_size", "512")], 512),
        (pattern(0, size=512), [("tilecache:tile_size", "-1e9")], 512),
    ],
)
def test_tile_sizes(path, tile, metadata, size):
    by_hand(path, [(0, 0, 0, png(tile))], [("format", "png"), *metadata])

    scheme = read_mbtiles_profile(path).scheme

    assert (scheme.tile_width, scheme.tile_height) == (size, size)
    assert scheme.level(0).resolution == pytest.approx(2 * HALF / size)


@pytest.mark.parametrize(
    ("tiles", "metadata"),
    [
        ([(0, 0, 0, GZIP)], [("format", "pbf")]),
        ([], [("format", "pbf")]),
        ([(0, 0, 0, GZIP)], []),
        ([(0, 0, 0, GZIP)], [("format", "png")]),
        ([(0, 0, 0, b"\x1a\x05hello")], []),
    ],
)
def test_vector_tiles_are_none_of_ours(path, tiles, metadata):
    with pytest.raises(NotACache) as caught:
        MBTilesStore(by_hand(path, tiles, metadata))

    assert caught.value.reason is NotACacheReason.VECTOR


@pytest.mark.parametrize(
    ("bounds", "extent"),
    [
        ("-180.0,-85.0511287798066,180,85.0511287798066", (-HALF, -HALF, HALF, HALF)),
        ("-180,-90,180,90", (-HALF, -HALF, HALF, HALF)),
        ("0,0,90,66.51326044311186", (0, 0, HALF / 2, HALF / 2)),
        ("10,0,-10,5", None),
        ("1,2,3", None),
        ("a,b,c,d", None),
        ("", None),
    ],
)
def test_bounds(path, bounds, extent):
    by_hand(path, metadata=[("bounds", bounds), ("format", "png")])

    found = read_mbtiles_profile(path).extent

    assert (found is None) == (extent is None)
    if found:
        assert found.bounds == pytest.approx(extent, abs=0.01)


def test_a_view_is_read_and_not_written(path):
    with closing(sqlite3.connect(path)) as file, file:
        file.executescript(
            "CREATE TABLE images (tile_data blob, tile_id text);"
            "CREATE TABLE map (zoom_level int, tile_column int, tile_row int, tile_id text);"
            "CREATE VIEW tiles AS SELECT zoom_level, tile_column, tile_row, tile_data"
            " FROM map JOIN images ON map.tile_id = images.tile_id;"
            "CREATE TABLE metadata (name text, value text);"
            "INSERT INTO images VALUES (x'0102', 'sea');"
            "INSERT INTO map VALUES (2, 0, 0, 'sea'), (2, 1, 0, 'sea');"
            "INSERT INTO metadata VALUES ('format', 'png');"
        )

    with MBTilesStore(path) as store:
        assert store.counts() == {2: 2}
        assert store.read(2, 3, 1) == b"\x01\x02"
        assert not store.is_writable
    with pytest.raises(ReadOnlyCache) as caught:
        MBTilesStore(path, is_writable=True)
    assert caught.value.reason is ReadOnlyReason.FORMAT


def test_a_view_that_never_ends_is_not_asked(path):
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(
            "CREATE VIEW tiles AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r)"
            " SELECT n AS zoom_level, 0 AS tile_column, 0 AS tile_row, x'' AS tile_data FROM r"
        )
    with pytest.raises(HostileFile):
        MBTilesStore(path)


NAMES = ["with blanks.mbtiles", "100%?x=1#y.mbtiles", "Größe 東京.mbtiles", "a'b\"c;--.mbtiles"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.skipif(os.name == "nt", reason="Windows forbids some of these names")
def test_any_name(tmp_path, name):
    path = tmp_path / "ünter %41" / name
    create_mbtiles(path, profile())

    with MBTilesStore(path, is_writable=True) as store:
        store.write(4, {(1, 2): PICTURE})
        store.commit()
        store.defragment(next(store.holes(4)))
    with MBTilesStore(path) as store:
        assert store.read(4, 1, 2) == PICTURE
    assert {each.name for each in path.parent.iterdir()} == {name, work_folder(path).name}


# Writing


def test_what_is_written_lies_where_the_specification_says(store, path):
    store.write(6, {(0, 5): b"one", (63, 6): b"two"})
    store.write(6, {(63, 6): b"new"})

    assert sorted(sql(path, "SELECT * FROM tiles")) == [(6, 5, 63, b"one"), (6, 6, 0, b"new")]
    assert store.read(6, 63, 6) == b"new"
    times = store.times(6, TileRange(0, 63, 5, 6))
    assert np.isfinite(times).sum() == 2
    assert abs(np.nanmax(times) - time.time()) < 60


def test_delete_tells_how_many_there_were(store, path):
    store.write(6, {(r, 5): b"x" for r in range(4)})

    assert store.delete(6, [(0, 5), (3, 5), (9, 5)]) == 2

    assert store.counts() == {6: 2}
    assert sql(path, "SELECT count(*) FROM tile_times") == [(2,)]


def test_times_of_tiles_that_others_stored_do_not_move_with_our_writing(path):
    by_hand(path, [(5, 0, 0, b"old"), (5, 1, 0, b"old")], [("format", "png")])
    os.utime(path, (1_000_000_000, 1_000_000_000))

    for _ in range(2):
        with MBTilesStore(path, is_writable=True) as store:
            store.write(5, {(31, 1): b"new"})
            store.commit()
            times = store.times(5, TileRange(31, 31, 0, 2))[0]
    assert times[0] == 1_000_000_000
    assert times[1] > 1_700_000_000
    assert np.isnan(times[2])


def test_without_a_unique_index_a_tile_is_still_replaced(path):
    by_hand(path, [(5, 0, 0, b"old"), (5, 0, 0, b"older")], [("format", "png")], index=False)

    with MBTilesStore(path, is_writable=True) as store:
        assert store.counts() == {5: 1}
        store.write(5, {(31, 0): b"new"})
        assert store.read(5, 31, 0) == b"new"
    assert sql(path, "SELECT count(*) FROM tiles") == [(1,)]


def test_commit_keeps_zooms_and_bounds_true(store, path):
    store.write(7, {(64, 64): b"x"})  # 0 to 2.8125 east, just south of the equator
    store.commit()
    assert (said(path)["minzoom"], said(path)["maxzoom"]) == ("7", "7")
    west, south, east, north = (float(n) for n in said(path)["bounds"].split(","))
    assert (west, north, east) == (0, 0, 2.8125)
    assert south == pytest.approx(-2.811371, abs=1e-6)

    store.write(4, {(8, 8): b"x"})  # holds the other one: reaches further than what is drawn
    store.commit()
    assert (said(path)["minzoom"], said(path)["maxzoom"]) == ("4", "7")
    assert float(said(path)["bounds"].split(",")[2]) == 2.8125

    store.write(4, {(8, 9): b"x"})  # a tile further east
    store.commit()
    assert float(said(path)["bounds"].split(",")[2]) == 45

    store.delete(7, [(64, 64)])
    store.commit()
    assert (said(path)["minzoom"], said(path)["maxzoom"]) == ("4", "4")
    assert read_mbtiles_profile(path).cached_ids == (4, 5, 6, 7, 8)  # as it was made for


def test_commit_keeps_bounds_that_somebody_gave(path):
    create_mbtiles(path, profile(extent=Extent(0, 0, HALF / 2, HALF / 2)))
    with MBTilesStore(path, is_writable=True) as store:
        store.write(8, {(127, 127): b"x"})  # north-west of 0, 0
        store.commit()

    bounds = [float(n) for n in said(path)["bounds"].split(",")]
    assert bounds == pytest.approx([-1.40625, 0, 90, 66.51326044311186], abs=1e-6)


def test_commit_of_a_file_of_others_keeps_its_levels(path):
    by_hand(path, [(5, 3, 31, b"x")], [("format", "png"), ("minzoom", "2"), ("maxzoom", "9")])
    with MBTilesStore(path, is_writable=True) as store:
        store.write(5, {(0, 4): b"x"})
        store.commit()
        store.commit()

    assert (said(path)["minzoom"], said(path)["maxzoom"]) == ("5", "5")
    assert read_mbtiles_profile(path).cached_ids == tuple(range(2, 10))
    # columns 3 and 4 of 32
    assert [float(n) for n in said(path)["bounds"].split(",")][::2] == [-146.25, -123.75]


def test_a_file_without_metadata_gets_some(path):
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("CREATE TABLE tiles (zoom_level, tile_column, tile_row, tile_data)")
    with MBTilesStore(path, is_writable=True) as store:
        store.write(1, {(0, 0): PICTURE})
        store.commit()
        assert store.profile.name == "cache"
    assert said(path)["minzoom"] == "1"
    assert (said(path)["name"], said(path)["format"]) == ("cache", "png")


def test_a_tile_of_another_size_changes_no_scheme(path):
    by_hand(path, [(1, 0, 0, png(pattern(0, size=512)))])
    with MBTilesStore(path, is_writable=True) as store:
        before = store.profile.scheme
        store.delete(1, [(1, 0)])
        store.write(1, {(0, 0): png(pattern(0, size=256))})
        store.commit()

    assert read_mbtiles_profile(path).scheme == before


def test_threads_read_while_one_writes(store):
    store.write(8, {(0, 0): b"first"})
    stop, found = threading.Event(), []

    def read():
        while not stop.is_set():
            found.append(store.read(8, 0, 0))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(30):
        store.write(8, {(0, 0): b"%05d" % number})
    stop.set()
    for thread in threads:
        thread.join()
    assert None not in found
    assert store.read(8, 0, 0) == b"00029"


def test_a_store_that_was_not_opened_for_writing_writes_nothing(store, path):
    before = path.read_bytes()
    with MBTilesStore(path) as reader, pytest.raises(ReadOnlyCache):
        reader.write(5, {(0, 0): b"x"})
    with MBTilesStore(path) as reader, pytest.raises(ReadOnlyCache):
        reader.delete(5, [(0, 0)])
    assert path.read_bytes() == before


# What goes wrong


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", NotACache),
        (b"no database at all" * 100, DamagedCache),
        (b"SQLite format 3\0" + b"\xff" * 4000, DamagedCache),
    ],
)
def test_files_that_are_no_tile_set(path, content, error):
    path.write_bytes(content)

    with pytest.raises(error):
        MBTilesStore(path)
    with pytest.raises(error):
        MBTilesStore(path, is_writable=True)
    assert path.read_bytes() == content


def test_no_file_is_made_by_looking_for_one(path):
    for is_writable in (False, True):
        with pytest.raises(NotACache) as caught:
            MBTilesStore(path, is_writable)
        assert caught.value.reason is NotACacheReason.MISSING
    assert list(path.parent.iterdir()) == []


def test_cut_off_anywhere_there_are_only_storage_errors(path, tmp_path):
    tiles = [(9, c, r, PICTURE[:200]) for r in range(24) for c in range(24)]
    content = by_hand(path, tiles, [("format", "png")]).read_bytes()
    random = np.random.default_rng(7)
    for number in range(120):
        bad = bytearray(content)
        if number % 2:
            del bad[int(random.integers(0, len(bad))) :]
        else:
            for at in random.integers(0, len(bad), 1 + number // 4):
                bad[at] = int(random.integers(0, 256))
        target = tmp_path / f"{number}.mbtiles"
        target.write_bytes(bad)
        try:
            with MBTilesStore(target) as store:
                for level_id in store.level_ids()[:20]:
                    for block in list(store.blocks(level_id))[:10]:
                        store.exists(level_id, block)
                        store.times(level_id, block)
                    list(store.findings(level_id))
                store.read(9, 511, 3)
                store.counts()
        except StorageError:
            continue


def test_another_program_that_writes_is_waited_for_and_then_told(store, path, monkeypatch):
    monkeypatch.setattr(sqlite_file, "PATIENCE", 0.2)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with MBTilesStore(path, is_writable=True) as second:
            with pytest.raises(CacheInUse) as caught:
                second.write(5, {(0, 0): b"x"})
            assert caught.value.path == str(path)
            other.execute("ROLLBACK")
            second.write(5, {(0, 0): b"x"})
    assert store.counts() == {5: 1}


def test_a_full_disk_leaves_the_tiles_as_they_were(store, path):
    store.write(5, {(0, 0): b"old"})
    with store._file.changing() as file:  # SQLite's own limit gives the error of a full disk
        (pages,) = file.execute("PRAGMA page_count").fetchone()
        file.execute(f"PRAGMA max_page_count = {pages + 2}")

    with pytest.raises(DiskFull) as caught:
        store.write(5, {(0, 0): b"x" * 100_000, (1, 1): b"new"})

    assert caught.value.free > 0
    assert store.read(5, 0, 0) == b"old"
    assert store.counts() == {5: 1}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid(), reason="needs another user")
def test_no_right_to_write(tmp_path):
    folder = tmp_path / "theirs"
    path = folder / "cache.mbtiles"
    create_mbtiles(path, profile())
    with MBTilesStore(path, is_writable=True) as store:
        store.write(5, {(0, 0): b"x"})
    shutil.rmtree(work_folder(path))
    path.chmod(0o644)
    folder.chmod(0o755)
    for each in (tmp_path, *tmp_path.parents):  # as far as pytest made them for root only
        if each.stat().st_mode & 0o005 != 0o005:
            each.chmod(0o755)
    script = f"""
import os, sys
sys.path[:0] = {[str(Path(__file__).parents[2])]!r}
import conftest
os.setgid(65534), os.setuid(65534)
from pathlib import Path
from tile_cache_manager.plugin.core.storage.mbtiles import MBTilesStore
store = MBTilesStore(Path({str(path)!r}))
assert store.read(5, 0, 0) == b"x"
store.close()
try:
    MBTilesStore(Path({str(path)!r}), is_writable=True)
except Exception as error:
    print(type(error).__name__, error.reason.name)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "ReadOnlyCache RIGHTS\n", done.stderr


def test_a_writer_that_died_in_mid_transaction_is_undone_by_the_next_reader(path, tmp_path):
    create_mbtiles(path, profile())
    with MBTilesStore(path, is_writable=True) as store:
        store.write(5, {(r, c): b"old" * 500 for r in range(9) for c in range(9)})
    dead = tmp_path / "dead.mbtiles"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA cache_size = 1")  # so that pages are written before the end
        other.execute("BEGIN")
        other.execute("UPDATE tiles SET tile_data = zeroblob(1500)")
        shutil.copy(path, dead)
        shutil.copy(f"{path}-journal", f"{dead}-journal")
        other.execute("ROLLBACK")
    assert dead.read_bytes() != path.read_bytes()

    with MBTilesStore(dead) as reader:
        assert reader.read(5, 0, 0) == b"old" * 500
    assert not Path(f"{dead}-journal").exists()


def test_a_write_ahead_log_of_others_is_read_and_given_up_by_writing(path):
    by_hand(path, [(5, 0, 0, b"x")], [("format", "png")])
    assert sql(path, "PRAGMA journal_mode = WAL") == [("wal",)]

    with MBTilesStore(path) as store:
        assert store.counts() == {5: 1}
    with MBTilesStore(path, is_writable=True) as store:
        store.write(5, {(0, 0): b"y"})
    assert sql(path, "PRAGMA journal_mode") == [("delete",)]
    assert not list(path.parent.glob("*-wal"))


WRITER = """
import sys
sys.path[:0] = [{tests!r}]
import conftest
from pathlib import Path
from tile_cache_manager.plugin.core.storage.mbtiles import MBTilesStore
with MBTilesStore(Path({path!r}), is_writable=True) as store:
    number = 0
    while True:
        number += 1
        store.write(7, {{(r, c): b"%d-" % number * 900 for r in range(8) for c in range(8)}})
        print(number, flush=True)
        store.commit()
"""


def test_killed_at_any_moment_nothing_that_was_told_stored_is_lost(path):
    create_mbtiles(path, profile())
    script = WRITER.format(tests=str(Path(__file__).parents[2]), path=str(path))
    random = np.random.default_rng(11)
    for _ in range(10):
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as writer:
            assert writer.stdout.readline()
            time.sleep(float(random.uniform(0, 0.15)))
            writer.send_signal(signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
            told = max(map(int, writer.stdout.read().split()), default=1)
        with MBTilesStore(path) as store:
            contents = {store.read(7, r, c) for r in range(8) for c in range(8)}
            assert len(contents) == 1  # all of one call of write
            assert int(contents.pop().split(b"-")[0]) >= told
            assert list(store.findings(7)) == []


MANY_WRITERS = """
import sys
sys.path[:0] = [{tests!r}]
import conftest
from pathlib import Path
from tile_cache_manager.plugin.core.storage.mbtiles import MBTilesStore
mine = int(sys.argv[1])
with MBTilesStore(Path({path!r}), is_writable=True) as store:
    for row in range(40):
        store.write(9, {{(row, 4 * col + mine): b"%d" % mine for col in range(5)}})
    store.commit()
"""


def test_several_processes_write_the_same_file(path):
    create_mbtiles(path, profile())
    script = MANY_WRITERS.format(tests=str(Path(__file__).parents[2]), path=str(path))
    writers = [subprocess.Popen([sys.executable, "-c", script, str(number)]) for number in range(4)]
    assert [writer.wait(timeout=60) for writer in writers] == [0] * 4

    with MBTilesStore(path) as store:
        assert store.counts() == {9: 4 * 40 * 5}
        assert store.read(9, 39, 18) == b"2"
    # 20 of 512 columns, from 180 degrees west on
    assert [float(n) for n in said(path)["bounds"].split(",")][::2] == [-180, -165.9375]


# Care


def test_findings_and_mending(path):
    by_hand(
        path,
        [
            (3, 0, 0, b"fine"),
            (3, 8, 0, b"east of the world"),
            (3, 0, -1, b"south of it"),
            (3, 2, 2, None),
            (3, 3, 3, b""),
            (3, 4, 4, "text"),
            (99, 0, 0, b"x"),
            (40, 5, 5, b"x"),
        ],
        [("format", "png")],
    )
    with MBTilesStore(path, is_writable=True) as store:
        assert store.level_ids() == (3, 40, 99)
        found = {z: list(store.findings(z)) for z in store.level_ids()}
        assert {(f.fault, f.tile) for f in found[3]} == {
            (Fault.STRAY, (7, 8)),
            (Fault.STRAY, (8, 0)),
            (Fault.PICTURE, (5, 2)),
            (Fault.PICTURE, (4, 3)),
            (Fault.PICTURE, (3, 4)),
        }
        assert [f.fault for f in found[40]] == [Fault.LEVEL]
        assert Fault.LEVEL in [f.fault for f in found[99]]
        assert all(store.mend(f) for f in found[3])
        assert list(store.findings(3)) == []
        assert store.read(3, 7, 0) == b"fine"


def test_a_damaged_index_is_found(path):
    by_hand(path, [(3, c, r, b"x" * 50) for c in range(8) for r in range(8)], [("format", "png")])
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("PRAGMA writable_schema = ON")
        file.execute("DROP INDEX i")
        file.execute("CREATE INDEX i ON tiles (zoom_level, tile_column, tile_row)")
        (root,) = file.execute("SELECT rootpage FROM sqlite_master WHERE name = 'i'").fetchone()
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[16:18], "big")
    content[root * size - 40 : root * size] = bytes(40)
    path.write_bytes(content)

    with MBTilesStore(path) as store:
        assert [(f.fault, f.can_be_mended) for f in store.file_findings()] == [
            (Fault.UNREADABLE, False)
        ]
    with MBTilesStore(path, is_writable=True) as store:
        (found,) = store.file_findings()
        assert store.mend(found)
        assert store.counts() == {3: 64}
        assert list(store.file_findings()) == []


def damage(path, pages):
    """Overwrite pages that hold parts of tiles, by number from 0."""
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[16:18], "big")
    for page in pages:
        content[page * size : (page + 1) * size] = b"\x07" * size
    path.write_bytes(content)


@pytest.mark.parametrize("seed", range(6))
def test_of_a_damaged_file_all_tiles_that_can_be_read_are_saved(seed, store, path):
    rng = np.random.default_rng(seed)
    tiles = {(r, c): rng.bytes(int(rng.integers(50, 900))) for r in range(20) for c in range(20)}
    store.write(7, tiles)
    store.commit()
    stored = store.times(7, TileRange(0, 19, 0, 19))
    store.close()
    pages = path.stat().st_size // 4096
    # Not the first ones: a file without its list of tables, or metadata, is none.
    damage(path, rng.choice(np.arange(10, pages), 1 + seed, replace=False).tolist())
    broken = path.read_bytes()

    with MBTilesStore(path, is_writable=True) as store:
        (found,) = store.file_findings()
        with pytest.raises(DamagedCache):
            store.delete(7, [(0, 0)])
        with pytest.raises(DamagedCache):
            store.write(7, {(0, 0): b"new"})
        assert path.read_bytes() == broken, "nothing is written into what is damaged"
        assert store.mend(found)
        assert list(store.file_findings()) == []
        saved = {(r, c): store.read(7, r, c) for r, c in tiles}
        times = store.times(7, TileRange(0, 19, 0, 19))
        store.write(7, {(0, 0): b"new"})
        store.commit()

    assert path.with_name(path.name + ".damaged").read_bytes() == broken
    whole = sum(saved[tile] == content for tile, content in tiles.items())
    assert whole >= 400 - 25 * (1 + seed)
    assert np.nanmin(times - stored) >= 0
    assert read_mbtiles_profile(path).name == profile().name
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_damaged_file_is_not_saved_where_there_is_no_room(store, path, monkeypatch):
    store.write(7, {(r, c): os.urandom(900) for r in range(20) for c in range(20)})
    store.close()
    damage(path, [60])
    broken = path.read_bytes()
    monkeypatch.setattr(tile_table, "free_bytes", lambda _path: 1000)

    with MBTilesStore(path, is_writable=True) as store:
        (found,) = store.file_findings()
        with pytest.raises(DiskFull):
            store.mend(found)

    assert path.read_bytes() == broken
    assert not list(path.parent.glob("*.damaged"))


def test_defragmenting_gives_back_what_deleted_tiles_took(store, path):
    store.write(7, {(r, c): os.urandom(3000) for r in range(16) for c in range(16)})
    kept = store.read(7, 0, 0)
    store.delete(7, [(r, c) for r in range(16) for c in range(16) if r])
    before = path.stat().st_size
    (holes,) = store.holes(7)
    assert holes.size == before
    assert holes.unused > 0.8 * before
    assert list(store.holes(8)) == []

    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reader:
        opened = reader.execute("SELECT tile_data FROM tiles")
        opened.fetchone()  # somebody looks at it meanwhile
        won = store.defragment(holes)
        assert len(opened.fetchall()) == 15

    assert path.stat().st_size == before - won
    assert won > 0.8 * before
    assert store.read(7, 0, 0) == kept
    store.write(7, {(1, 1): b"after"})  # into the new file, not the one that has gone
    with MBTilesStore(path) as fresh:
        assert fresh.counts() == {7: 17}
        assert fresh.read(7, 1, 1) == b"after"
        assert next(fresh.holes(7)).unused == 0
    assert path.read_bytes()[68:72] == b"MPBX"


def test_a_writer_goes_over_to_the_file_that_another_one_defragmented(store, path):
    store.write(7, {(0, 0): b"one"})
    with MBTilesStore(path, is_writable=True) as other:
        other.defragment(next(other.holes(7)))
    store.write(7, {(0, 1): b"two"})

    with MBTilesStore(path) as fresh:
        assert fresh.counts() == {7: 2}


def test_the_room_for_defragmenting_is_looked_for_first(store, path, monkeypatch):
    store.write(7, {(0, 0): b"one"})
    monkeypatch.setattr(tile_table, "free_bytes", lambda _path: 100)
    with pytest.raises(DiskFull) as caught:
        store.defragment(next(store.holes(7)))
    assert caught.value.free == 100
    assert caught.value.needed > 100
    assert json.dumps(sorted(e.name for e in path.parent.iterdir())).count("part") == 0


def test_bounds_hold_what_a_writer_stored_that_died(path):
    half = WEB_MERCATOR_HALF
    small = Extent(-half, 0, -half / 2, half / 2)
    create_mbtiles(path, CacheProfile(web_mercator(), StorageFormat.MBTILES, "PNG", extent=small))
    with MBTilesStore(path, is_writable=True) as store:
        store.write(5, {(8, 2): b"first"})
        store.commit()
    with MBTilesStore(path, is_writable=True) as store:
        store.write(6, {(60, 60): b"far off, and never committed"})

    with MBTilesStore(path, is_writable=True) as store:
        store.write(5, {(9, 2): b"by the next writer"})
        store.commit()
        corner = store.profile.scheme.tile_bounds(web_mercator().levels[6], 60, 60)

    bounds = read_mbtiles_profile(path).extent
    assert bounds.xmax >= corner.xmax - 1
    assert bounds.ymin <= corner.ymin + 1


def test_a_schema_of_bytes_that_are_no_text(path):
    by_hand(path, [(0, 0, 0, b"tile")])
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("PRAGMA writable_schema = ON")
        file.execute("UPDATE sqlite_master SET sql = CAST(x'43524541544520878787' AS TEXT)")

    with pytest.raises(DamagedCache):
        read_mbtiles_profile(path)
