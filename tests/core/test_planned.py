"""How many tiles an update is about: those touched, of a hosted layer those of whole bundles."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hosted_pages import METRES, description_of
from shapely.geometry import MultiPolygon, box

from tile_cache_manager.plugin.core.level_areas import LevelArea
from tile_cache_manager.plugin.core.planned import planned_of, planned_tiles, touched_tiles
from tile_cache_manager.plugin.core.tiling import Extent

# level 14: tiles of 64 m, bundles of 8,192 m, the origin at 0, 131,072
LEVEL = METRES.level(14)
FINER = METRES.level(15)
ALL = Extent(0, 0, 131072, 131072)
TWO_TILES = box(10, 131072 - 60, 100, 131072 - 10)
"""Tiles (0, 0) and (0, 1) of level 14; (0, 0) to (1, 3) of level 15, whose tiles have 32 m."""

CASES = [
    pytest.param(TWO_TILES, ALL, {14: 2, 15: 8}, {14: 128**2, 15: 128**2}, id="a corner"),
    pytest.param(Extent(*TWO_TILES.bounds), ALL, {14: 2, 15: 8}, {14: 128**2, 15: 128**2},
                 id="a rectangle"),
    pytest.param(TWO_TILES, None, {14: 2, 15: 8}, {14: 128**2, 15: 128**2}, id="no full extent"),
    # 100 m and 4 tiles of level 14 in each direction
    pytest.param(TWO_TILES, Extent(0, 131072 - 200, 200, 131072), {14: 2, 15: 8},
                 {14: 16, 15: 49}, id="a small cache"),
    pytest.param(None, Extent(0, 131072 - 200, 200, 131072), {14: 16, 15: 49}, {14: 16, 15: 49},
                 id="all of a small cache"),
    pytest.param(None, None, {}, {}, id="nobody knows"),
    pytest.param(MultiPolygon(), ALL, {14: 0, 15: 0}, {14: 0, 15: 0}, id="nothing"),
    # over the corner of four bundles of level 14, and within 2 x 2 of level 15
    pytest.param(box(8100, 122800, 8300, 122900), ALL, {14: 4 * 3, 15: 7 * 4},
                 {14: 4 * 128**2, 15: 4 * 128**2}, id="the corner of four bundles"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "extent", "touched", "hosted"), CASES)
def test_tiles(place, extent, touched, hosted):
    description = description_of(extent=extent)
    levels = (LEVEL, FINER)
    assert planned_tiles(description, levels, place) == hosted
    assert touched_tiles(description, levels, place) == touched
    assert planned_tiles(replace(description, is_hosted=False), levels, place) == touched


def test_areas_by_level():
    areas = (LevelArea((14,), TWO_TILES), LevelArea((15,), None))
    description = description_of(extent=Extent(0, 131072 - 200, 200, 131072))
    assert planned_of(description, areas, (LEVEL, FINER)) == {14: 16, 15: 49}
    assert planned_of(replace(description, is_hosted=False), areas, (LEVEL, FINER)) == {
        14: 2, 15: 49
    }  # fmt: skip
