"""Many packages as one source: every tile from the part it is in, few packages open at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from core.export.fakes import HALF, WORLD, make_cache, profile_of

from tile_cache_manager.plugin.core.errors import DamagedCache
from tile_cache_manager.plugin.core.export import package_tiles
from tile_cache_manager.plugin.core.export.package_tiles import PackageTiles, PackedPart
from tile_cache_manager.plugin.core.export.split import split
from tile_cache_manager.plugin.core.local.source import Supertile, TileSource
from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.tiling import TileRange

SCHEME = web_mercator(7)
LEVELS = SCHEME.levels[3:6]


def content_of(level_id, row, col):
    return f"tile {level_id} {row} {col}".encode()


def never():
    return False


class Others(TileSource):
    """Has all tiles, under another name."""

    def __init__(self):
        self.asked = set()

    def start(self, profile):
        pass

    def draw(self, supertile, cancelled):
        block = supertile.block
        found = {
            (block.min_row + int(i), block.min_col + int(j))
            for i, j in np.argwhere(supertile.wanted)
        }
        self.asked |= {(supertile.level.id, *tile) for tile in found}
        return dict.fromkeys(found, b"other")

    def close(self):
        pass


@pytest.fixture
def packed(tmp_path):
    """The world of three levels in parts of at most 40 tiles, each in a package."""
    parts = split(SCHEME, LEVELS, WORLD, 40)
    assert len(parts) > 30
    found = []
    for number, part in enumerate(parts):
        tiles = {
            (level.id, row, col): content_of(level.id, row, col)
            for level in part.levels
            for row in range(2**level.id)
            for col in range(2**level.id)
            if inside(part.area, level.id, row, col)
        }
        assert len(tiles) == part.tiles
        path = make_cache(tmp_path / str(number), profile_of(SCHEME, StorageFormat.TPKX), tiles)
        found.append(PackedPart(part, (path,)))
    return found


def inside(extent, level_id, row, col):
    """Whether the middle of a tile lies in a rectangle."""
    size = 2 * HALF / 2**level_id
    x, y = -HALF + (col + 0.5) * size, HALF - (row + 0.5) * size
    return extent.xmin < x < extent.xmax and extent.ymin < y < extent.ymax


def supertiles():
    for level in LEVELS:
        side = min(16, 2**level.id)
        for row in range(0, 2**level.id, side):
            for col in range(0, 2**level.id, side):
                block = TileRange(row, row + side - 1, col, col + side - 1)
                yield Supertile(level, block, np.ones((side, side), dtype=np.bool_))


def draw_all(source):
    for each in supertiles():
        source.draw(each, never)


@pytest.fixture
def opened(monkeypatch):
    """How many packages are open, and the most that were at the same time."""
    counts = {"now": 0, "most": 0}

    def counted(path):
        store = open_store(path)
        counts["now"] += 1
        counts["most"] = max(counts.values())
        close = store.close

        def closed():
            counts["now"] -= 1
            close()

        store.close = closed
        return store

    monkeypatch.setattr(package_tiles, "open_store", counted)
    return counts


def test_every_tile_comes_from_its_part_and_few_are_open(packed, opened, monkeypatch):
    monkeypatch.setattr(package_tiles, "MOST_OPEN", 4)
    source = PackageTiles(packed, SCHEME, "Streets", "same")
    source.start(profile_of(SCHEME))
    with ThreadPoolExecutor(3) as pool:
        drawn = list(pool.map(lambda each: (each.level.id, source.draw(each, never)), supertiles()))
    found = {(z, *tile): content for z, tiles in drawn for tile, content in tiles.items()}
    assert found == {
        (z, row, col): content_of(z, row, col)
        for z in (3, 4, 5)
        for row in range(2**z)
        for col in range(2**z)
    }
    assert 1 < opened["most"] <= 4 + 3
    source.close()
    assert opened["now"] == 0


def test_levels_are_found_by_their_resolutions(packed):
    finer = web_mercator(7)
    renamed = tuple(
        type(level)(level.id + 2, level.resolution, level.scale) for level in finer.levels
    )
    profile = profile_of(replace(finer, levels=renamed))
    source = PackageTiles(packed, SCHEME, "Streets", "same")
    source.start(profile)
    block = TileRange(0, 7, 0, 7)
    drawn = source.draw(Supertile(renamed[3], block, np.ones((8, 8), dtype=np.bool_)), never)
    assert drawn[2, 3] == content_of(3, 2, 3)
    assert len(drawn) == 64
    nowhere = Supertile(renamed[0], TileRange(0, 0, 0, 0), np.ones((1, 1), dtype=np.bool_))
    assert source.draw(nowhere, never) == {}
    assert source.tile_bytes(5) is not None
    assert source.tile_bytes(2) is None
    source.close()


def test_what_no_package_has_is_asked_of_the_other_source(packed):
    others = Others()
    gone = packed[5].part
    source = PackageTiles(packed[:5] + packed[6:], SCHEME, "Streets", "same", others)
    source.start(profile_of(SCHEME))
    draw_all(source)
    source.close()
    assert len(others.asked) == gone.tiles
    assert all(inside(gone.area, *tile) for tile in others.asked)


def test_a_package_that_is_gone_fails_its_tiles(packed):
    packed[0].paths[0].unlink()
    packed[0].paths[0].write_bytes(b"PK\x03\x04 no package")
    source = PackageTiles(packed, SCHEME, "Streets", "same")
    source.start(profile_of(SCHEME))
    with pytest.raises(DamagedCache):
        draw_all(source)
    source.close()
