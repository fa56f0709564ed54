"""Equal tiles lie in a bundle once: what programs make of entries that name the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arcgis_server import bundles
from made_pictures import pattern, png
from readers import (
    Tile,
    bundle_check,
    gdal_pixels,
    mapproxy_defrag,
    mapproxy_tiles,
    mapproxy_write,
)

from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage.creation import create_cache
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings
from tile_cache_manager.plugin.core.storage.store import Fault, Finding, TileStore
from tile_cache_manager.plugin.core.tiling import WEB_MERCATOR_HALF, Extent, TileRange

HALF = WEB_MERCATOR_HALF
WORLD = Extent(-HALF, -HALF, HALF, HALF)
SCHEME = web_mercator(finest=4)
LEVEL = 4
SEA, FOREST, TOWN, NEW = (pattern(number) for number in range(4))
WATER = TileRange(8, 11, 0, 15)  # of one picture, stored in one call
MAP: dict[tuple[int, int], Any] = {
    **{(row, col): SEA for row in range(8, 12) for col in range(16)},
    **{(0, 0): FOREST, (0, 1): FOREST, (0, 5): TOWN, (3, 3): FOREST},
}
TILES: list[Tile] = [(LEVEL, *place) for place in MAP]
NEVER: list[Tile] = [(LEVEL, 1, 1), (LEVEL, 12, 0)]
BOTH = {"v2": StorageFormat.COMPACT_V2, "v1": StorageFormat.COMPACT_V1}
V2 = StorageFormat.COMPACT_V2


def write(path: Path, storage: StorageFormat) -> Path:
    ids = tuple(level.id for level in SCHEME.levels)
    profile = CacheProfile(SCHEME, storage, "PNG32", cached_ids=ids, extent=WORLD, name="cache")
    create_cache(path, profile, CacheSettings())
    with open_store(path, for_writing=True) as store:
        store.write(LEVEL, {place: png(what) for place, what in MAP.items() if what is not SEA})
        store.write_even(LEVEL, WATER, np.ones((4, 16), dtype=np.bool_), png(SEA))
        store.commit()
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that is only read."""
    return write(tmp_path_factory.mktemp("shared") / "cache", V2)


def same(store: TileStore, expected: dict[tuple[int, int], Any]) -> bool:
    found = store.read_block(LEVEL, TileRange(0, 15, 0, 15), np.ones((16, 16), dtype=np.bool_))
    return found == {place: png(what) for place, what in expected.items()}


@pytest.mark.parametrize("layout", BOTH)
def test_every_picture_is_there_once(layout: str, tmp_path: Path) -> None:
    cache = write(tmp_path / "cache", BOTH[layout])

    start = {"v2": 64 + 8 * 16384, "v1": 60 + 4 * 16384}[layout]
    (path,) = cache.rglob("*.bundle")
    assert path.stat().st_size == start + sum(4 + len(png(each)) for each in (SEA, FOREST, TOWN))
    with open_store(cache, for_writing=True) as store:
        assert [holes.unused for holes in store.holes(LEVEL)] == [0]
        assert list(store.findings(LEVEL)) == []
        assert same(store, MAP)


def test_an_independent_reader_finds_every_tile(written: Path) -> None:
    found = {place: bundles.read_bytes(written, LEVEL, *place) for place in MAP}
    assert found == {place: png(what) for place, what in MAP.items()}
    assert set(bundles.tiles_present(written, LEVEL)) == set(MAP)


def test_the_checker_finds_no_error(written: Path) -> None:
    bundle_check(written)


@pytest.mark.parametrize("which", ["system", "wheel"])
def test_gdal_reads_every_tile(written: Path, which: str) -> None:
    found = gdal_pixels(written / "conf.xml", SCHEME, [*TILES, *NEVER], which=which)

    for (_, *place), picture in found.items():
        expected = MAP.get(tuple(place), np.zeros_like(picture))
        np.testing.assert_array_equal(picture, expected, str(place))


@pytest.mark.parametrize("storage", [StorageFormat.TPKX, StorageFormat.TPK])
def test_packages_share_too(storage: StorageFormat, tmp_path: Path) -> None:
    path = write(tmp_path / f"cache.{storage.name.lower()}", storage)

    assert path.stat().st_size < 4 * sum(len(png(each)) for each in (SEA, FOREST, TOWN)) + 300_000
    with open_store(path) as store:
        assert same(store, MAP)
        assert [holes.unused for holes in store.holes(LEVEL)] == [0]
    if storage is StorageFormat.TPKX:
        bundle_check(path)
        for (_, *place), picture in gdal_pixels(path, SCHEME, TILES).items():
            np.testing.assert_array_equal(picture, MAP[tuple(place)], str(place))


@pytest.mark.parametrize("layout", BOTH)
def test_mapproxy_reads_every_tile(layout: str, tmp_path: Path) -> None:
    cache = write(tmp_path / "cache", BOTH[layout])

    found = mapproxy_tiles(cache, [*TILES, *NEVER], layout=layout)

    expected = {(LEVEL, *place): png(what) for place, what in MAP.items()}
    assert found == {**expected, **dict.fromkeys(NEVER)}


@pytest.mark.parametrize("layout", BOTH)
def test_mapproxy_writes_and_removes_one_of_many(layout: str, tmp_path: Path) -> None:
    cache = write(tmp_path / "cache", BOTH[layout])
    changes = {(LEVEL, 8, 3): png(NEW), (LEVEL, 0, 0): png(NEW), (LEVEL, 9, 9): None}

    mapproxy_write(cache / "_alllayers", changes, layout=layout)

    left = {**MAP, (8, 3): NEW, (0, 0): NEW}
    del left[9, 9]
    with open_store(cache, for_writing=True) as store:
        assert same(store, left)
        assert list(store.findings(LEVEL)) == []


@pytest.mark.parametrize("layout", BOTH)
def test_mapproxy_defragments(layout: str, tmp_path: Path) -> None:
    cache = write(tmp_path / "cache", BOTH[layout])

    mapproxy_defrag(cache / "_alllayers", layout=layout)

    with open_store(cache, for_writing=True) as store:
        assert same(store, MAP)
        assert list(store.findings(LEVEL)) == []
    found = mapproxy_tiles(cache, TILES, layout=layout)
    assert found == {(LEVEL, *place): png(what) for place, what in MAP.items()}


@pytest.mark.parametrize("layout", BOTH)
@pytest.mark.parametrize("change", ["delete", "replace", "mend"])
def test_one_of_many_is_changed_alone(change: str, layout: str, tmp_path: Path) -> None:
    cache = write(tmp_path / "cache", BOTH[layout])
    block = TileRange(0, 15, 0, 15)
    with open_store(cache, for_writing=True) as store:
        times = store.times(LEVEL, block)
        left = {place: what for place, what in MAP.items() if place not in ((8, 3), (0, 0))}
        if change == "delete":
            assert store.delete(LEVEL, [(8, 3), (0, 0)]) == 2
        if change == "replace":
            store.write(LEVEL, {(8, 3): png(NEW), (0, 0): png(NEW)})
            left |= {(8, 3): NEW, (0, 0): NEW}
        if change == "mend":
            (path,) = cache.rglob("*.bundle")
            content = path.read_bytes().replace(png(TOWN), b"no picture" + png(TOWN)[10:])
            path.write_bytes(content)
            name = path.relative_to(cache).as_posix()
            assert store.mend(Finding(Fault.PICTURE, LEVEL, name, (0, 5), can_be_mended=True))
            left = {place: what for place, what in MAP.items() if place != (0, 5)}

        assert same(store, left)
        assert list(store.findings(LEVEL)) == []
        after = store.times(LEVEL, block)
        assert all(after[place] == times[place] for place in left if left[place] is not NEW)
        for holes in list(store.holes(LEVEL)):
            won = store.defragment(holes)
            assert won == holes.unused
        assert same(store, left)
        sizes = 4 + np.array(
            [len(png(each)) for each in {id(w): w for w in left.values()}.values()]
        )
        start = {"v2": 64 + 8 * 16384, "v1": 60 + 4 * 16384}[layout]
        (path,) = cache.rglob("*.bundle")
        assert path.stat().st_size == start + sizes.sum(), "what is shared stays shared"
