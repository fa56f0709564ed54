"""Tiles as they are stored in one cache or several."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from core.export.fakes import ListSource, make_cache, profile_of, put, small_scheme
from tile_bytes import tile

from tile_cache_manager.plugin.core.errors import (
    DamagedCache,
    LayerFailed,
    NothingToDraw,
    NothingToDrawReason,
)
from tile_cache_manager.plugin.core.export.store_tiles import StoreTiles
from tile_cache_manager.plugin.core.local.source import PartlyDrawn, Supertile
from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.store import TileStore
from tile_cache_manager.plugin.core.tiling import TileRange

SCHEME = web_mercator(32, finest=9)
TARGET = profile_of(SCHEME)


def cache(folder: Path, keys: Any, generation: int = 0, **rest: Any) -> Path:
    profile = profile_of(rest.pop("scheme", SCHEME), **rest)
    tiles = {key: tile(*key, generation, 32) for key in keys}
    return make_cache(folder / f"cache{generation}", profile, tiles)


def supertile(level_id: int, block: TileRange, wanted: Any = None) -> Supertile:
    shape = block.max_row - block.min_row + 1, block.max_col - block.min_col + 1
    mask = np.ones(shape, bool) if wanted is None else np.array(wanted, bool)
    return Supertile(SCHEME.level(level_id), block, mask)


def drawn(source: StoreTiles, asked: Supertile, profile: CacheProfile = TARGET) -> Any:
    source.start(profile)
    return source.draw(asked, lambda: False)


BLOCK = TileRange(2, 3, 4, 6)


def test_the_first_store_that_has_a_tile_gives_it(tmp_path: Path) -> None:
    first = cache(tmp_path, [(5, 2, 4), (5, 2, 5)], 0)
    second = cache(tmp_path, [(5, 2, 5), (5, 3, 6)], 1)
    source = StoreTiles([open_store(first), open_store(second)], "both")
    assert drawn(source, supertile(5, BLOCK)) == {
        (2, 4): tile(5, 2, 4, 0, 32),
        (2, 5): tile(5, 2, 5, 0, 32),
        (3, 6): tile(5, 3, 6, 1, 32),
    }
    source.close()


def test_only_what_is_wanted_is_given(tmp_path: Path) -> None:
    source = StoreTiles([open_store(cache(tmp_path, [(5, 2, 4), (5, 2, 5)]))], "one")
    result = drawn(source, supertile(5, BLOCK, [[0, 1, 0], [1, 1, 1]]))
    assert set(result) == {(2, 5)}


def test_levels_are_found_by_their_resolution(tmp_path: Path) -> None:
    levels = tuple(replace(e, id=e.id - 3) for e in SCHEME.levels if e.id >= 3)
    path = cache(tmp_path, [(2, 2, 4)], scheme=replace(SCHEME, levels=levels))
    source = StoreTiles([open_store(path)], "other ids")
    assert drawn(source, supertile(5, BLOCK)) == {(2, 4): tile(2, 2, 4, 0, 32)}
    assert drawn(source, supertile(2, BLOCK)) == {}
    assert source.bundles(5) == {(0, 0)}
    assert source.bundles(2) == set()


def test_what_none_has_is_drawn(tmp_path: Path) -> None:
    missing = ListSource({(5, 2, 4): b"drawn", (5, 2, 5): b"drawn"})
    source = StoreTiles([open_store(cache(tmp_path, [(5, 2, 4)]))], "one", missing=missing)
    result = drawn(source, supertile(5, BLOCK, [[1, 1, 0], [0, 0, 1]]))
    assert result == {(2, 4): tile(5, 2, 4, 0, 32), (2, 5): b"drawn"}
    assert missing.asked == {(5, 2, 5), (5, 3, 6)}
    assert source.bundles(5) is None
    source.close()
    assert missing.closed == 1


def test_what_the_drawing_source_fails_at_is_passed_on(tmp_path: Path) -> None:
    class Poor(ListSource):
        def draw(self, asked: Supertile, cancelled: object) -> Mapping[tuple[int, int], bytes]:
            return PartlyDrawn({(2, 5): b"drawn"}, {(3, 6): LayerFailed("roads", "gone")})

    source = StoreTiles([open_store(cache(tmp_path, [(5, 2, 4)]))], "one", missing=Poor({}))
    result = drawn(source, supertile(5, BLOCK))
    assert isinstance(result, PartlyDrawn)
    assert set(result) == {(2, 4), (2, 5)}
    assert set(result.failed) == {(3, 6)}


def test_what_cannot_be_drawn_at_all_is_told(tmp_path: Path) -> None:
    class Nothing(ListSource):
        def start(self, profile: CacheProfile) -> None:
            raise NothingToDraw("map", NothingToDrawReason.NO_LAYERS)

    source = StoreTiles([open_store(cache(tmp_path, []))], "one", missing=Nothing({}))
    with pytest.raises(NothingToDraw):
        source.start(TARGET)


def damaged(path: Path, what: str) -> TileStore:
    """The cache at `path`, of which level 5's bundle, or just tile (2, 4), cannot be read."""
    if what == "bundle":
        next(path.rglob("L05/R0000C0000.bundle")).write_bytes(b"no bundle")
        return open_store(path)
    store = open_store(path)
    read = store.read

    def failing(level_id: int, row: int, col: int) -> bytes | None:
        if (level_id, row, col) == (5, 2, 4):
            raise DamagedCache(str(path), "cut off")
        return read(level_id, row, col)

    def failing_block(level_id: int, block: TileRange, tiles: Any) -> Any:
        raise DamagedCache(str(path), "cut off")

    store.read = failing  # type: ignore[method-assign]
    store.read_block = failing_block  # type: ignore[method-assign]
    return store


@pytest.mark.parametrize("what", ["tile", "bundle"])
def test_what_is_damaged_fails_by_itself(tmp_path: Path, what: str) -> None:
    path = cache(tmp_path, [(5, 2, 4), (5, 2, 5)])
    missing = ListSource({(5, 2, 4): b"drawn"})
    source = StoreTiles([damaged(path, what)], "one", missing=missing)
    result = drawn(source, supertile(5, BLOCK, [[1, 1, 0], [0, 0, 0]]))
    assert isinstance(result, PartlyDrawn)
    expected = {"tile": {(2, 4)}, "bundle": {(2, 4), (2, 5)}}[what]
    assert set(result.failed) == expected
    assert "5/2/4" in str(result.failed[2, 4])
    assert set(result) == {(2, 4), (2, 5)} - expected
    assert (5, 2, 4) not in missing.asked, "a damaged tile is not a missing one"


@pytest.mark.parametrize("what", ["tile", "bundle"])
def test_a_tile_damaged_in_one_is_taken_from_the_other(tmp_path: Path, what: str) -> None:
    path = cache(tmp_path, [(5, 2, 4)])
    other = cache(tmp_path, [(5, 2, 4)], 1)
    source = StoreTiles([damaged(path, what), open_store(other)], "both")
    result = drawn(source, supertile(5, BLOCK, [[1, 0, 0], [0, 0, 0]]))
    assert result == {(2, 4): tile(5, 2, 4, 1, 32)}
    assert not isinstance(result, PartlyDrawn)


@pytest.mark.parametrize(
    ("tile_bytes", "side"), [(1_000, 64), (5_000, 64), (15_000, 32), (60_000, 16)]
)
def test_so_many_are_read_at_once_that_memory_bears_it(
    tmp_path: Path, tile_bytes: int, side: int
) -> None:
    store = open_store(cache(tmp_path, []), for_writing=True)
    store.write(5, {(2, 4): bytes(tile_bytes), (2, 5): b"x" * tile_bytes})
    source = StoreTiles([store], "one")
    source.start(TARGET)
    assert source.supertile_side == side


def test_a_whole_bundle_at_once(tmp_path: Path) -> None:
    store = open_store(cache(tmp_path, []), for_writing=True)
    tiles = {(row, col): b"%d %d" % (row, col) for row in range(0, 128, 3) for col in range(128)}
    store.write(9, tiles)
    source = StoreTiles([store], "one")
    assert drawn(source, supertile(9, TileRange(0, 127, 0, 127))) == tiles
    asked: list[None] = []

    def cancelled() -> bool:
        asked.append(None)
        return len(asked) > 2

    part = source.draw(supertile(9, TileRange(0, 127, 0, 127)), cancelled)
    assert 0 < len(part) < len(tiles) / 2, "stops in the middle"


def test_bundles_are_those_of_all(tmp_path: Path) -> None:
    first = cache(tmp_path, [(9, 2, 4), (9, 200, 5)])
    second = cache(tmp_path, [(9, 3, 300)], 1)
    source = StoreTiles([open_store(first), open_store(second)], "both")
    source.start(TARGET)
    assert source.bundles(9) == {(0, 0), (128, 0), (0, 256)}
    assert source.bundles(8) == set()
    size = source.tile_bytes(9)
    sizes = [len(tile(9, row, col, 0, 32)) for row, col in ((2, 4), (200, 5))]
    assert size == pytest.approx(sum(sizes) / 2)
    assert source.tile_bytes(8) is None


@pytest.mark.parametrize(
    "storage", [StorageFormat.COMPACT_V2, StorageFormat.EXPLODED, StorageFormat.TPKX]
)
def test_the_fingerprint_is_that_of_the_files(tmp_path: Path, storage: StorageFormat) -> None:
    path = cache(tmp_path, [(9, 2, 4)], storage=storage)

    def fingerprint(given: str = "") -> str:
        source = StoreTiles([open_store(path)], "one", fingerprint=given)
        source.start(TARGET)
        source.close()
        return source.fingerprint

    first = fingerprint()
    assert first == fingerprint()
    assert fingerprint("mine") == "mine"
    put(path, {(9, 300, 300): tile(9, 300, 300, 0, 32)})
    if storage is StorageFormat.TPKX:
        os.utime(path, ns=(1, 1))
    assert fingerprint() != first


def test_it_knows_where_it_is(tmp_path: Path) -> None:
    path = cache(tmp_path, [])
    source = StoreTiles([open_store(path)], "one")
    assert source.is_at(path)
    assert source.is_at(tmp_path / "." / path.name)
    assert not source.is_at(tmp_path)
    assert not source.is_at(tmp_path / "nowhere")


def test_small_schemes_are_no_matter() -> None:
    source = StoreTiles([], "none")
    assert (
        drawn(
            source, Supertile(small_scheme().level(1), TileRange(0, 1, 0, 1), np.ones((2, 2), bool))
        )
        == {}
    )
