"""Caches on this computer as everybody meets them: opened by path, described, updated, estimated.

With the real stores; what they hold afterwards is read by others' means: an independent reader of
bundles, sqlite, zip and the file system.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import time
import zipfile
from pathlib import Path

import pytest
from arcgis_server.bundles import read_bytes, read_cache
from core.local.fakes import (
    HALF,
    FailingSource,
    PlainSource,
    picture,
    profile_of,
    web_mercator,
)

from tile_cache_manager.plugin.core.arcgis.cache import ArcGISCache
from tile_cache_manager.plugin.core.cache import open_cache
from tile_cache_manager.plugin.core.description import LevelStatus
from tile_cache_manager.plugin.core.errors import (
    AddressError,
    CacheInUse,
    DamagedCache,
    NotACache,
    ReadOnlyCache,
    ReadOnlyReason,
    TileCacheError,
)
from tile_cache_manager.plugin.core.local.cache import LocalCache
from tile_cache_manager.plugin.core.local.journal import unfinished_request
from tile_cache_manager.plugin.core.request import (
    Feedback,
    Outcome,
    Resume,
    TileFilter,
    UpdateMode,
    UpdateReport,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.storage.creation import create_cache
from tile_cache_manager.plugin.core.storage.locks import locked
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings, work_folder
from tile_cache_manager.plugin.core.tiling import Extent

EMPTY, ALL, DELETE = UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL, UpdateMode.DELETE
NAMES = {
    StorageFormat.COMPACT_V2: "Höhen und Täler",
    StorageFormat.EXPLODED: "Höhen und Täler",
    StorageFormat.TPKX: "Höhen und Täler.tpkx",
    StorageFormat.MBTILES: "Höhen und Täler.mbtiles",
}
WORLD = Extent(-HALF, -HALF, HALF, HALF)
QUARTER = Extent(0, 0, HALF, HALF)
Tiles = dict[tuple[int, int, int], bytes]


@pytest.fixture(params=NAMES, ids=lambda storage: storage.value)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A new cache without tiles, levels 0 to 7, of each format that can be written."""
    return made(tmp_path, request.param)


def made(folder: Path, storage: StorageFormat, **rest: object) -> Path:
    path = folder / NAMES[storage]
    create_cache(
        path,
        profile_of(web_mercator(7), storage, extent=WORLD, **rest),
        CacheSettings(source="theme:Winter"),
    )
    return path


def update(
    path: Path,
    mode: UpdateMode,
    source: PlainSource | None,
    levels: range = range(3, 6),
    area: Extent | None = QUARTER,
    cancelled: object = lambda: False,
    **rest: object,
) -> UpdateReport:
    description = open_cache(str(path)).describe()
    wanted = [level for place, level in enumerate(description.cached_levels) if place in levels]
    asked = UpdateRequest.of(description, tuple(wanted), mode, area, **rest)
    return open_cache(str(path), source=source).update(asked, Feedback(cancelled=cancelled))


def tiles_in(path: Path) -> Tiles:
    """All tiles, read without the plugin; levels by their number from the coarsest on."""
    if path.suffix == ".mbtiles":
        with sqlite3.connect(path) as database:
            rows = database.execute(
                "select zoom_level, tile_row, tile_column, tile_data from tiles"
            ).fetchall()
        database.close()
        return {(z, 2**z - 1 - row, col): bytes(data) for z, row, col, data in rows}
    if path.suffix == ".tpkx":
        folder = path.with_suffix(".unpacked")
        with zipfile.ZipFile(path) as package:
            package.extractall(folder)
        if (folder / "tile").exists():
            (folder / "tile").rename(folder / "_alllayers")
        found = bundled(folder)
        shutil.rmtree(folder)
        return found
    found = bundled(path)
    for file in (path / "_alllayers").glob("L*/R*/C*.png"):
        level, row = int(file.parts[-3][1:]), int(file.parts[-2][1:], 16)
        found[level, row, int(file.stem[1:], 16)] = file.read_bytes()
    return found


def bundled(folder: Path) -> Tiles:
    """The tiles of all bundles in `folder`, whose levels lie in `_alllayers`."""
    found: Tiles = {}
    for level, tiles in read_cache(folder).items():
        for row, col in tiles:
            content = read_bytes(folder, level, row, col)
            assert content is not None
            found[level, row, col] = content
    return found


def drawn(levels: range, style: int = 0) -> Tiles:
    """What PlainSource draws of the top right quarter of the world."""
    return {
        (z, row, col): picture(z, row, col, style)
        for z in levels
        for row in range(2 ** (z - 1))
        for col in range(2 ** (z - 1), 2**z)
    }


def ids_of(path: Path) -> dict[int, int]:
    """Of each level id, its number from the coarsest on."""
    levels = open_cache(str(path)).describe().cached_levels
    return {level.id: place for place, level in enumerate(levels)}


def test_every_mode_in_every_format(path: Path) -> None:
    assert tiles_in(path) == {}
    levels = range(3, 6)

    report = update(path, EMPTY, PlainSource())
    assert (report.outcome, report.total("made")) == (Outcome.DONE, 16 + 64 + 256)
    assert report.output_url == str(path)
    assert tiles_in(path) == drawn(levels)

    report = update(path, ALL, PlainSource(style=1), range(4, 5))
    assert (report.outcome, report.total("replaced")) == (Outcome.DONE, 64)
    assert tiles_in(path) == {**drawn(levels), **drawn(range(4, 5), 1)}

    report = update(path, DELETE, None, range(3, 4))
    assert (report.outcome, report.total("deleted")) == (Outcome.DONE, 16)
    assert tiles_in(path) == {**drawn(range(5, 6)), **drawn(range(4, 5), 1)}

    report = update(path, EMPTY, PlainSource(style=2))
    assert (report.total("made"), report.total("skipped")) == (16, 64 + 256)
    expected = {**drawn(range(3, 4), 2), **drawn(range(4, 5), 1), **drawn(range(5, 6))}
    assert tiles_in(path) == expected


def test_filters_in_every_format(path: Path) -> None:
    update(path, EMPTY, PlainSource(), range(4, 5))

    report = update(
        path, ALL, PlainSource(style=1), range(4, 6), tile_filter=TileFilter(only_existing=True)
    )
    assert (report.total("replaced"), report.total("made")) == (64, 0)
    assert tiles_in(path) == drawn(range(4, 5), 1)

    # All tiles are younger than the year 2001, and older than the year 2100.
    report = update(path, DELETE, None, range(4, 5), tile_filter=TileFilter(older_than=1e9))
    assert (report.total("deleted"), report.total("skipped")) == (0, 64)
    report = update(path, DELETE, None, range(4, 5), tile_filter=TileFilter(older_than=4.1e9))
    assert report.total("deleted") == 64
    assert tiles_in(path) == {}


def test_an_interrupted_update_goes_on_in_every_format(path: Path) -> None:
    source = PlainSource(workers=1, supertile_side=4)

    report = update(path, ALL, source, range(5, 6), cancelled=lambda: len(source.drawn) >= 5)

    assert report.outcome is Outcome.CANCELLED
    stored = tiles_in(path)
    assert len(stored) == report.total("made") < 256
    unfinished = open_cache(str(path)).describe().unfinished
    assert unfinished is not None
    assert (unfinished.mode, unfinished.is_interrupted, unfinished.planned) == (ALL, True, 16)
    assert unfinished.done == len(stored) // 16

    again = unfinished_request(path)
    assert again is not None
    rest = PlainSource(supertile_side=4)
    report = open_cache(str(path), source=rest).update(again, Feedback())
    assert (report.outcome, report.total("made")) == (Outcome.DONE, 256)
    assert len(rest.drawn) == 16 - len(stored) // 16
    assert tiles_in(path) == drawn(range(5, 6))
    assert open_cache(str(path)).describe().unfinished is None


def test_failed_tiles_are_done_later_in_every_format(path: Path) -> None:
    level = next(id_ for id_, place in ids_of(path).items() if place == 5)
    update(path, ALL, PlainSource(), range(5, 6))
    report = update(path, ALL, FailingSource(style=1, bad=frozenset({(level, 1, 17)})), range(5, 6))
    assert (report.outcome, report.total("failed")) == (Outcome.PARTIAL, 64)
    bad = {(5, row, col) for row in range(8) for col in range(16, 24)}
    expected = drawn(range(5, 6), 1)
    assert tiles_in(path) == {**expected, **{key: picture(*key) for key in bad}}

    report = update(path, ALL, PlainSource(style=1), range(5, 6), resume=Resume.FAILED)

    assert (report.outcome, report.total("planned")) == (Outcome.DONE, 64)
    assert tiles_in(path) == expected


def test_describing(path: Path) -> None:
    update(path, EMPTY, PlainSource())

    found = open_cache(str(path)).describe()

    assert found.is_local
    assert (found.address, found.name) == (str(path), found.name)
    assert found.name
    assert found.kind == found.storage_format
    assert StorageFormat(found.kind).can_be_written
    assert found.image_format == "PNG"
    assert [level.scale for level in found.cached_levels] == pytest.approx(
        [level.scale for level in web_mercator(7).levels], rel=1e-3
    )
    assert found.extent is not None
    assert found.extent.bounds == pytest.approx(WORLD.bounds, rel=1e-6)
    assert found.modes == (EMPTY, ALL, DELETE)
    assert found.modes_problem is None
    assert found.source == "theme:Winter"
    assert found.unfinished is None
    counts = (0, 0, 0, 16, 64, 256, 0, 0)
    ids = [level.id for level in found.cached_levels]
    assert found.status == tuple(LevelStatus(id_, count) for id_, count in zip(ids, counts))


def test_estimating_stores_nothing(path: Path) -> None:
    update(path, EMPTY, PlainSource(), range(5, 6))
    before = path.stat().st_mtime_ns
    cache = open_cache(str(path), source=PlainSource())
    description = cache.describe()
    asked = UpdateRequest.of(description, description.cached_levels[5:7], EMPTY, QUARTER)

    coarse, fine = cache.estimate(asked, Feedback())

    assert (coarse.tiles, coarse.bytes) == (0, 0)
    assert fine.tiles == 1024
    assert fine.bytes == pytest.approx(1024 * len(picture(fine.level.id, 12, 40)), rel=0.1)
    assert fine.seconds is not None
    assert path.stat().st_mtime_ns == before
    assert len(tiles_in(path)) == 256


# Which cache an address opens


def test_a_url_opens_a_site_and_a_path_a_cache_here(tmp_path: Path) -> None:
    assert isinstance(
        open_cache("https://example.com/arcgis/rest/services/A/MapServer"), ArcGISCache
    )
    assert isinstance(open_cache(str(tmp_path)), LocalCache)
    assert isinstance(open_cache(tmp_path.as_uri()), LocalCache)
    with pytest.raises(AddressError):
        open_cache("https://example.com/")


@pytest.mark.parametrize("inside", ["conf.xml", "_alllayers"])
def test_a_file_of_the_cache_opens_the_cache(inside: str, tmp_path: Path) -> None:
    path = made(tmp_path, StorageFormat.COMPACT_V2)
    (path / "_alllayers").mkdir(exist_ok=True)

    report = update(path / inside, EMPTY, PlainSource(), range(3, 4))

    assert report.output_url == str(path)
    assert open_cache(str(path / inside)).describe().address == str(path)
    assert (work_folder(path) / "runs").is_dir()


@pytest.mark.parametrize("name", ["", "nothing here", "notes.txt"])
def test_what_is_no_cache_is_refused_and_the_source_closed(name: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("milk, bread")
    scheme = web_mercator(7)
    asked = UpdateRequest(scheme, scheme.levels[:1], ALL, extent=QUARTER)
    source, other = PlainSource(), PlainSource()

    with pytest.raises(NotACache):
        open_cache(str(tmp_path / name), source=source).describe()
    with pytest.raises(NotACache):
        open_cache(str(tmp_path / name), source=source).update(asked, Feedback())
    with pytest.raises(NotACache):
        open_cache(str(tmp_path / name), source=other).estimate(asked, Feedback())
    assert (source.closed, other.closed) == (1, 1)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["notes.txt"]


def problem(path: Path, mode: UpdateMode = ALL) -> TileCacheError:
    with pytest.raises(TileCacheError) as caught:
        update(path, mode, PlainSource(), range(3, 4))
    return caught.value


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write(tmp_path: Path) -> None:
    path = made(tmp_path, StorageFormat.COMPACT_V2)
    path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        found = open_cache(str(path)).describe()
        assert found.modes == ()
        assert isinstance(found.modes_problem, ReadOnlyCache)
        assert found.modes_problem.reason is ReadOnlyReason.RIGHTS
        assert isinstance(problem(path), ReadOnlyCache)
    finally:
        path.chmod(stat.S_IRWXU)


def test_old_formats_are_updated_as_others(tmp_path: Path) -> None:
    path = made(tmp_path, StorageFormat.COMPACT_V2)
    conf = path / "conf.xml"
    text = conf.read_text(encoding="utf-8")
    assert "esriMapCacheStorageModeCompactV2" in text
    conf.write_text(text.replace("StorageModeCompactV2", "StorageModeCompact"), encoding="utf-8")

    found = open_cache(str(path)).describe()

    assert found.kind == StorageFormat.COMPACT_V1.value
    assert found.modes == tuple(UpdateMode)
    assert found.modes_problem is None


def test_tiles_of_a_format_that_is_not_drawn_can_be_deleted(tmp_path: Path) -> None:
    path = made(tmp_path, StorageFormat.COMPACT_V2)
    update(path, EMPTY, PlainSource(), range(3, 4))
    conf = path / "conf.xml"
    text = conf.read_text(encoding="utf-8")
    conf.write_text(
        text.replace("<CacheTileFormat>PNG<", "<CacheTileFormat>LERC<"), encoding="utf-8"
    )

    found = open_cache(str(path)).describe()

    assert found.image_format == "LERC"
    assert found.modes == (DELETE,)
    assert update(path, DELETE, None, range(3, 4)).total("deleted") == 16


def test_a_damaged_bundle_is_named_and_the_rest_is_done(tmp_path: Path) -> None:
    path = made(tmp_path, StorageFormat.COMPACT_V2)
    update(path, EMPTY, PlainSource())
    bundle = next((path / "_alllayers" / "L04").glob("*.bundle"))
    bundle.write_bytes(b"no bundle at all")

    report = update(path, ALL, PlainSource(style=1))

    assert report.outcome is Outcome.PARTIAL
    assert [each.failed for each in report.levels] == [0, 64, 0]
    error = report.failed_tiles[0].error
    assert isinstance(error, DamagedCache)
    assert bundle.name in error.path
    assert bundle.read_bytes() == b"no bundle at all"


def test_a_style_change_leaves_no_holes(tmp_path: Path) -> None:
    """Replaced tiles become holes; more than 30 % of them are won back on the way."""
    path = made(tmp_path, StorageFormat.COMPACT_V2)
    update(path, EMPTY, PlainSource(), range(6, 7))
    (bundle,) = (path / "_alllayers" / "L06").glob("*.bundle")
    size = bundle.stat().st_size

    update(path, ALL, PlainSource(style=1), range(6, 7))

    assert bundle.stat().st_size == size
    assert tiles_in(path) == drawn(range(6, 7), 1)
    update(path, DELETE, None, range(6, 7))
    assert not bundle.exists()


@pytest.mark.parametrize(
    "storage", [StorageFormat.COMPACT_V2, StorageFormat.EXPLODED, StorageFormat.MBTILES]
)
def test_a_cancelled_update_waits_for_no_other_writer(
    tmp_path: Path, storage: StorageFormat
) -> None:
    path = tmp_path / NAMES[storage]
    create_cache(path, profile_of(web_mercator(4), storage), CacheSettings())
    names = {StorageFormat.MBTILES: "mbtiles.lock"}
    lock = work_folder(path) / "locks" / names.get(storage, "L03-R0000C0000.lock")
    description = LocalCache(path).describe()
    asked = UpdateRequest.of(description, description.scheme.levels[3:4], ALL, None)
    begun = time.monotonic()

    with locked(lock):
        feedback = Feedback(cancelled=lambda: time.monotonic() > begun + 0.5)
        if storage is StorageFormat.MBTILES:
            with pytest.raises(CacheInUse):
                LocalCache(path, PlainSource()).update(asked, feedback)
        else:
            report = LocalCache(path, PlainSource()).update(asked, feedback)
            assert report.outcome is Outcome.CANCELLED

    assert time.monotonic() - begun < 10
