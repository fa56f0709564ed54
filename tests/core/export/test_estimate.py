"""Estimates of exports of services: numbers by hand. What a site answers: `tests/service`."""

from __future__ import annotations

from pathlib import Path

import pytest
from shapely.geometry import Point, box

from tile_cache_manager.plugin.core.coverage import cover
from tile_cache_manager.plugin.core.description import CacheDescription
from tile_cache_manager.plugin.core.export.estimate import (
    Sample,
    estimates_of,
    seconds_each,
    sizes_of,
    spread,
)
from tile_cache_manager.plugin.core.export.request import ExportRequest
from tile_cache_manager.plugin.core.export.site_plan import plan_export
from tile_cache_manager.plugin.core.level_areas import LevelArea
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.tiling import (
    WEB_MERCATOR_HALF,
    Extent,
    Level,
    SpatialReference,
    TilingScheme,
)

HALF = WEB_MERCATOR_HALF
LEVELS = tuple(Level(z, 2 * HALF / 256 / 2**z, 5.9e8 / 2**z) for z in range(20))
SCHEME = TilingScheme(-HALF, HALF, 256, 256, 96.0, SpatialReference(3857), LEVELS)
WORLD = Extent(-HALF, -HALF, HALF, HALF)


@pytest.mark.parametrize(
    ("level", "area"),
    [
        (4, WORLD),
        (10, Extent(0.0, 0.0, 9e6, 9e6)),
        (12, Point(1e6, 6e6).buffer(1e6)),
        (18, Point(1e6, 6e6).buffer(2e4).difference(Point(1e6, 6e6).buffer(1e4))),
        (0, WORLD),
        (3, box(1, 1, 2, 2)),
    ],
)
def test_samples_are_tiles_of_the_area_from_all_over_it(level, area):
    coverage = cover(SCHEME, LEVELS[level], area)
    tiles = spread(coverage, 6)
    assert len(tiles) == len(set(tiles)) <= 6
    assert len(tiles) >= min(3, coverage.count)
    inside = {(row, col) for row, col in tiles}
    for runs in coverage.runs():
        for row, first, last in zip(runs.rows, runs.first_cols, runs.last_cols):
            inside -= {tile for tile in inside if tile[0] == row and first <= tile[1] <= last}
    assert not inside
    rows = [row for row, _col in tiles]
    if coverage.count > 100:
        high = coverage.bounds.max_row - coverage.bounds.min_row
        assert max(rows) - min(rows) > high / 2


def test_a_gap_counts_as_a_tile_of_no_bytes():
    samples = {3: [Sample(100, 0.1), Sample(0, 0.1)], 4: [Sample(70, 0.1)]}
    assert sizes_of(samples, {4: 50.0}) == {3: 50.0}


def test_several_tiles_are_read_at_once():
    samples = {3: [Sample(1, 0.3), Sample(1, 0.9)], 4: [Sample(1, 0.6)]}
    assert seconds_each(samples) == pytest.approx(0.2)
    assert seconds_each({}) is None


def plan(levels=(0, 1, 2), areas=WORLD):
    description = CacheDescription("", "Streets", "MapServer", SCHEME, LEVELS, WORLD, "PNG")
    chosen = tuple(LEVELS[z] for z in levels)
    request = ExportRequest(SCHEME, chosen, areas, Path("target"), StorageFormat.TPKX)
    return request, plan_export(request, description)


@pytest.mark.parametrize(
    ("sizes", "each", "expected"),
    [
        ({0: 10.0, 1: 20.0, 2: 5.0}, 0.5, [(1, 10, 0.5), (4, 80, 2.0), (16, 80, 8.0)]),
        ({0: 10.0, 1: 20.0}, None, [(1, 10, None), (4, 80, None), (16, 288, None)]),
        ({}, 0.5, [(1, None, 0.5), (4, None, 2.0), (16, None, 8.0)]),
        ({}, None, [(1, None, None), (4, None, None), (16, None, None)]),
    ],
)
def test_levels_of_which_nothing_is_known_are_like_the_others(sizes, each, expected):
    found = estimates_of(*plan(), sizes, each)
    assert [(e.tiles, e.bytes, e.seconds) for e in found] == expected


def test_levels_without_tiles_take_nothing():
    beyond = box(HALF + 10, 0, HALF + 9e6, 9e6)
    areas = (LevelArea((0, 1), WORLD), LevelArea((2,), beyond))
    found = estimates_of(*plan(areas=areas), {}, None)
    assert [(e.tiles, e.bytes, e.seconds) for e in found] == [
        (1, None, None),
        (4, None, None),
        (0, 0, 0.0),
    ]
