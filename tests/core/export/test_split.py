"""Exports in parts: every tile in just one part, none too large; against tiles counted one by one.

What a site makes of a part is tried as well: it takes the area literally, without any tolerance, so
tiles are counted with shapely, tile by tile.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from shapely.geometry import MultiPolygon, Point, Polygon, box
from shapely.prepared import prep

from tile_cache_manager.plugin.core.coverage import cover
from tile_cache_manager.plugin.core.errors import EmptyArea, TooManyTiles
from tile_cache_manager.plugin.core.export import split as splitting
from tile_cache_manager.plugin.core.export.split import split
from tile_cache_manager.plugin.core.level_areas import LevelArea
from tile_cache_manager.plugin.core.tiling import (
    WEB_MERCATOR_HALF,
    Extent,
    Level,
    SpatialReference,
    TilingScheme,
)

HALF = WEB_MERCATOR_HALF


def make_scheme(origin, size, resolutions, wkid):
    levels = tuple(Level(i, r, r * 96 * 39.37) for i, r in enumerate(resolutions))
    return TilingScheme(*origin, *size, 96.0, SpatialReference(wkid), levels)


MERCATOR = make_scheme((-HALF, HALF), (256, 256), [2 * HALF / 256 / 2**z for z in range(20)], 3857)
PUBLISHED = make_scheme(
    (-20037508.342787, 20037508.342787), (256, 256), [156543.033928 / 2**z for z in range(20)], 3857
)
NATIONAL = make_scheme(
    (-5120900.0, 9998100.0), (512, 256), [8466.7, 5291.7, 1322.9, 317.5, 26.46, 2.646], 25832
)


def star(x, y, radius, seed, points=24):
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * math.pi, points))
    radii = rng.uniform(0.3, 1.0, points) * radius
    return Polygon(zip(x + radii * np.cos(angles), y + radii * np.sin(angles))).buffer(0)


def at(scheme, level, row, col):
    """Where the upper left corner of a tile is; rows and columns may be broken."""
    width, height = scheme.tile_size(level)
    return scheme.origin_x + col * width, scheme.origin_y - row * height


def tiles_wide(scheme, level, row, col, radius_tiles, seed=1):
    """A star around a place in the plane of tiles."""
    x, y = at(scheme, level, row, col)
    return star(x, y, radius_tiles * scheme.tile_size(level)[0], seed)


def touched(scheme, level, area):
    """Rows and columns of the tiles that share a surface with `area`, taken literally."""
    if isinstance(area, Extent):
        area = box(*area.bounds)
    width, height = scheme.tile_size(level)
    xmin, ymin, xmax, ymax = area.bounds
    cols = range(
        max(0, math.floor((xmin - scheme.origin_x) / width)),
        math.floor((xmax - scheme.origin_x) / width) + 1,
    )
    rows = range(
        max(0, math.floor((scheme.origin_y - ymax) / height)),
        math.floor((scheme.origin_y - ymin) / height) + 1,
    )
    ready = prep(area)
    found = set()
    for row in rows:
        for col in cols:
            left, top = at(scheme, level, row, col)
            tile = box(left, top - height, left + width, top)
            if ready.intersects(tile) and not ready.touches(tile):
                found.add((row, col))
    return found


AREAS = {
    "a star over the corner of four bundles": (
        MERCATOR,
        MERCATOR.levels[11],
        tiles_wide(MERCATOR, MERCATOR.levels[11], 640.2, 1280.1, 22),
    ),
    "a star within a bundle": (
        MERCATOR,
        MERCATOR.levels[12],
        tiles_wide(MERCATOR, MERCATOR.levels[12], 1344, 1344, 20, seed=3),
    ),
    "a ring": (
        MERCATOR,
        MERCATOR.levels[10],
        Point(at(MERCATOR, MERCATOR.levels[10], 384, 640))
        .buffer(18.5 * MERCATOR.tile_size(MERCATOR.levels[10])[0])
        .difference(
            Point(at(MERCATOR, MERCATOR.levels[10], 384.3, 640.2)).buffer(
                11.0 * MERCATOR.tile_size(MERCATOR.levels[10])[0]
            )
        ),
    ),
    "two places far apart": (
        MERCATOR,
        MERCATOR.levels[9],
        MultiPolygon(
            [
                tiles_wide(MERCATOR, MERCATOR.levels[9], 128, 100, 7),
                tiles_wide(MERCATOR, MERCATOR.levels[9], 130, 128, 9, seed=5),
            ]
        ),
    ),
    "a national scheme, tiles wider than high": (
        NATIONAL,
        NATIONAL.levels[4],
        tiles_wide(NATIONAL, NATIONAL.levels[4], 256.4, 383.9, 14, seed=8),
    ),
    "a thin strip aslant": (
        MERCATOR,
        MERCATOR.levels[13],
        Polygon(
            [
                at(MERCATOR, MERCATOR.levels[13], 2540.037, 2500.013),
                at(MERCATOR, MERCATOR.levels[13], 2590.037, 2600.013),
                at(MERCATOR, MERCATOR.levels[13], 2590.237, 2600.013),
                at(MERCATOR, MERCATOR.levels[13], 2540.237, 2500.013),
            ]
        ),
    ),
    "published resolutions, at the finest level": (
        PUBLISHED,
        PUBLISHED.levels[19],
        tiles_wide(PUBLISHED, PUBLISHED.levels[19], 180224.5, 270208.2, 17, seed=13),
    ),
}


@pytest.mark.parametrize("limit", [3, 60, 250])
@pytest.mark.parametrize("name", AREAS)
def test_every_tile_is_in_just_one_part_as_a_site_counts(name, limit):
    scheme, level, area = AREAS[name]
    expected = set(cover(scheme, level, area).tiles())
    parts = split(scheme, (level,), area, limit)
    found: Counter = Counter()
    for part in parts:
        tiles = touched(scheme, level, part.area)
        assert len(tiles) == part.tiles <= limit
        found.update(tiles)
    assert found == Counter(expected)
    assert len(parts) <= max(4, 3 * math.ceil(len(expected) / limit))


@pytest.mark.parametrize("limit", [1, 10, 100, 900])
def test_a_rectangle_is_cut_the_same_way(limit):
    level = MERCATOR.levels[12]
    left, top = at(MERCATOR, level, 1272, 2549.5)
    right, bottom = at(MERCATOR, level, 1300, 2580)
    extent = Extent(left, bottom, right, top)
    parts = split(MERCATOR, (level,), extent, limit)
    found = Counter(tile for part in parts for tile in touched(MERCATOR, level, part.area))
    assert found == Counter((row, col) for row in range(1272, 1300) for col in range(2549, 2580))
    assert all(isinstance(part.area, Extent) and part.tiles <= limit for part in parts)


@pytest.mark.parametrize("limit", [1, 5, 40])
def test_an_outline_through_the_corners_of_tiles_loses_and_doubles_none(limit):
    level = MERCATOR.levels[13]
    off = 1e-6  # of a tile: less than counts as rounding there
    corners = [(2540, 2500), (2590, 2600), (2590.2 + off, 2600 - off), (2540.2, 2500 + off)]
    area = Polygon([at(MERCATOR, level, *corner) for corner in corners])
    parts = split(MERCATOR, (level,), area, limit)
    found = Counter(tile for part in parts for tile in cover(MERCATOR, level, part.area).tiles())
    assert found == Counter(cover(MERCATOR, level, area).tiles())
    assert all(part.tiles <= limit for part in parts)


def test_cuts_prefer_the_edges_of_bundles():
    level = MERCATOR.levels[11]
    area = tiles_wide(MERCATOR, level, 640.2, 1280.1, 22)
    parts = split(MERCATOR, (level,), area, 400)
    bundles = [{(r // 128, c // 128) for r, c in touched(MERCATOR, level, p.area)} for p in parts]
    assert len({bundle for touching in bundles for bundle in touching}) == 4
    assert all(len(touching) <= 2 for touching in bundles)


def test_coarse_levels_go_together_and_few_parts_come_out():
    area = tiles_wide(MERCATOR, MERCATOR.levels[8], 100.3, 130.6, 4)
    levels = MERCATOR.levels[4:13]
    counts = {level: cover(MERCATOR, level, area).count for level in levels}
    limit = counts[levels[-2]]
    parts = split(MERCATOR, levels, area, limit)
    assert sum(part.tiles for part in parts) == sum(counts.values())
    assert all(part.tiles <= limit for part in parts)
    assert [part.levels for part in parts if part.area is area] == [levels[:-2], levels[-2:-1]]
    assert {part.levels for part in parts if part.area is not area} == {levels[-1:]}


def test_without_a_limit_levels_with_one_area_are_one_part():
    area = tiles_wide(MERCATOR, MERCATOR.levels[8], 100, 130, 4)
    assert [part.levels for part in split(MERCATOR, MERCATOR.levels, area, None)] == [
        MERCATOR.levels
    ]


def test_levels_with_other_areas_are_in_other_parts():
    world = Extent(-HALF, -HALF, HALF, HALF)
    town = tiles_wide(MERCATOR, MERCATOR.levels[17], 45000.5, 67000.5, 6)
    areas = (LevelArea((0, 1, 2, 3), world), LevelArea((16, 17), town))
    levels = (*MERCATOR.levels[:4], *MERCATOR.levels[16:18])
    parts = split(MERCATOR, levels, areas, 100_000)
    assert [[level.id for level in part.levels] for part in parts] == [[0, 1, 2, 3], [16, 17]]
    assert parts[0].tiles == 1 + 4 + 16 + 64
    assert parts[1].area is town


def test_levels_without_a_tile_are_in_no_part():
    nowhere = box(-HALF - 900, HALF + 100, -HALF - 100, HALF + 900)
    assert split(MERCATOR, MERCATOR.levels, nowhere, 10) == ()


def test_the_world_at_level_19_with_a_tiny_area():
    town = tiles_wide(MERCATOR, MERCATOR.levels[19], 180000.2, 270000.7, 3)
    world = Extent(-HALF, -HALF, HALF, HALF)
    areas = (LevelArea(tuple(range(8)), world), LevelArea(tuple(range(8, 20)), town))
    parts = split(MERCATOR, MERCATOR.levels, areas, 5000)
    counts = sum(4**z for z in range(8))
    counts += sum(cover(MERCATOR, level, town).count for level in MERCATOR.levels[8:])
    assert sum(part.tiles for part in parts) == counts
    assert all(part.tiles <= 5000 for part in parts)
    assert len(parts) <= 9


def test_a_published_scheme_gets_no_column_beyond_the_world():
    world = Extent(-20037508.342787, -20037508.342787, 20037508.342787, 20037508.342787)
    level = PUBLISHED.levels[10]
    parts = split(PUBLISHED, (level,), world, 100_000)
    assert sum(part.tiles for part in parts) == 1024 * 1024
    edge = {
        math.floor((part.area.xmax - PUBLISHED.origin_x) / PUBLISHED.tile_size(level)[0])
        for part in parts
    }
    assert max(edge) == 1023


@pytest.mark.parametrize(
    ("area", "limit", "error"),
    [
        (box(0, 0, 1, 1), 0, TooManyTiles),
        (Extent(-HALF, -HALF, HALF, HALF), 1, TooManyTiles),
        (None, 10, EmptyArea),
        (MultiPolygon(), 10, EmptyArea),
    ],
)
def test_what_cannot_be_split_is_refused(monkeypatch, area, limit, error):
    monkeypatch.setattr(splitting, "MOST_PARTS", 200)
    with pytest.raises(error):
        split(MERCATOR, MERCATOR.levels[:12], area, limit, "Streets")


def test_too_many_parts_are_refused_before_any_is_cut(monkeypatch):
    monkeypatch.setattr(splitting, "_cut", None)
    areas = tuple(LevelArea((level.id,), Point(0, 0).buffer(1.9e7)) for level in MERCATOR.levels)
    with pytest.raises(TooManyTiles) as caught:
        split(MERCATOR, MERCATOR.levels, areas, 3, "Streets")
    assert (caught.value.service, caught.value.limit) == ("Streets", 3)
