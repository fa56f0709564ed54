"""An area in rectangles of whole bundles: against shapely, bundle by bundle and tile by tile.

The site is a stranger here: it takes a rectangle's numbers literally and knows no rounding.
"""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import replace

import numpy as np
import pytest
from shapely.geometry import MultiPolygon, Point, Polygon, box
from shapely.ops import unary_union
from shapely.prepared import prep

from tile_cache_manager.plugin.core.bundle_rectangles import (
    Cut,
    bundle_rectangles,
    bundles_of,
    cuts,
    halves,
)
from tile_cache_manager.plugin.core.tiling import (
    WEB_MERCATOR_HALF,
    Extent,
    Level,
    SpatialReference,
    TileRange,
    TilingScheme,
)

HALF = WEB_MERCATOR_HALF
PUBLISHED = [
    156543.033928, 78271.5169639999, 39135.7584820001, 19567.8792409999, 9783.93962049996,
    4891.96981024998, 2445.98490512499, 1222.99245256249, 611.49622628138, 305.748113140558,
    152.874056570411, 76.4370282850732, 38.2185141425366, 19.1092570712683, 9.55462853563415,
    4.77731426794937, 2.38865713397468, 1.19432856685505, 0.597164283559817, 0.298582141647617,
    0.14929107082380833, 0.07464553541190416, 0.03732276770595208, 0.01866138385297604,
]  # fmt: skip
"""Resolutions as hosted layers publish them, level 19 and others a little off."""


def scheme_of(origin, size, resolutions, wkid):
    levels = tuple(Level(i, r, r * 96 / 0.0254) for i, r in enumerate(resolutions))
    return TilingScheme(*origin, *size, 96.0, SpatialReference(wkid), levels)


SCHEMES = {
    "hosted": scheme_of((-20037508.342787, 20037508.342787), (256, 256), PUBLISHED, 3857),
    "degrees, 512 pixels": scheme_of(
        (-400.0, 400.0), (512, 512), [0.7 / 2**z for z in range(18)], 4326
    ),
    "tiles wider than high": scheme_of(
        (900000.0, 5500000.0), (512, 256), [1000.0, 500.0, 250.0, 100.0, 5.0], 3035
    ),
    "steps not powers of two": scheme_of(
        (-5120900.0, 9998100.0), (256, 256), [8466.7, 5291.7, 1322.9, 317.5, 26.46, 0.2646], 25832
    ),
}


# --- areas in units of bundles: u to the right of the origin, v downwards -------------------------


def star(rng, u, v):
    count = int(rng.integers(5, 30))
    angles = np.sort(rng.uniform(0, 2 * math.pi, count))
    radii = rng.uniform(0.3, 5.0, count)
    return Polygon(np.column_stack([u + radii * np.cos(angles), v + radii * np.sin(angles)]))


def ring(rng, u, v):
    """With a hole in which whole bundles lie."""
    return Point(u, v).buffer(5.2).difference(star(rng, u, v).buffer(0).intersection(
        Point(u, v).buffer(4.0)
    ))  # fmt: skip


def scattered(rng, u, v):
    places = [(-5, 2), (4, -5), (6, 6)]
    return unary_union([star(rng, u + du, v + dv).buffer(0) for du, dv in places])


def stairs(rng, u, v):
    """On bundle edges, where rounding decides: whole numbers of bundles."""
    u, v = round(u), round(v)
    return unary_union([box(u + i, v + i, u + i + 2, v + i + 1) for i in range(6)])


def comb(rng, u, v):
    """Wide teeth that are fewer by columns than by rows."""
    teeth = [box(u + 2 * i, v, u + 2 * i + 1, v + 1 + rng.integers(1, 6)) for i in range(4)]
    return unary_union([box(u, v - 0.5, u + 7, v + 0.5), *teeth])


def tiny(rng, u, v):
    return box(u + 0.3, v + 0.2, u + 0.301, v + 0.2003)


def across_the_origin(rng, u, v):
    return star(rng, 0.6, 0.4)


SHAPES = [star, ring, scattered, stairs, comb, tiny, across_the_origin]


def in_crs(scheme, level, area):
    width, height = (128 * side for side in scheme.tile_size(level))

    def points(coords):
        return [(scheme.origin_x + u * width, scheme.origin_y - v * height) for u, v in coords]

    return MultiPolygon(
        [
            Polygon(points(part.exterior.coords), [points(hole.coords) for hole in part.interiors])
            for part in getattr(area, "geoms", [area])
        ]
    )


def cells_touched(scheme, level, area, tiles_across):
    """Every cell of so many tiles around whose interior meets that of `area`, asked of shapely."""
    width, height = (tiles_across * side for side in scheme.tile_size(level))
    xmin, ymin, xmax, ymax = area.bounds
    first_row = max(0, math.floor((scheme.origin_y - ymax) / height) - 1)
    first_col = max(0, math.floor((xmin - scheme.origin_x) / width) - 1)
    rows = range(first_row, math.floor((scheme.origin_y - ymin) / height) + 2)
    cols = range(first_col, math.floor((xmax - scheme.origin_x) / width) + 2)
    prepared = prep(area)
    found = set()
    for row, col in itertools.product(rows, cols):
        left, top = scheme.origin_x + col * width, scheme.origin_y - row * height
        # what reaches in no farther than that is rounding, of an area on the cells' edges
        dx, dy = 1e-8 * width, 1e-8 * height
        cell = box(left + dx, top - height + dy, left + width - dx, top - dy)
        if prepared.intersects(cell):
            found.add((row, col))
    return found


def cells_of(blocks):
    """All cells of blocks; an error where one is in two of them."""
    cells = [
        (row, col)
        for block in blocks
        for row in range(block.min_row, block.max_row + 1)
        for col in range(block.min_col, block.max_col + 1)
    ]
    assert len(cells) == len(set(cells)), "a cell is in two rectangles"
    return set(cells)


def read_literally(scheme, level, extent, *, published=1.0):
    """The tiles that a site finds in `extent`, which computes with its resolution, and no more."""
    width, height = (side * published for side in scheme.tile_size(level))
    return TileRange(
        max(0, math.floor((scheme.origin_y - extent.ymax) / height)),
        math.ceil((scheme.origin_y - extent.ymin) / height) - 1,
        max(0, math.floor((extent.xmin - scheme.origin_x) / width)),
        math.ceil((extent.xmax - scheme.origin_x) / width) - 1,
    )


def drawn(name, shape, seed):
    """A scheme, one of its levels and an area, by chance."""
    scheme = SCHEMES[name]
    rng = np.random.default_rng([seed, SHAPES.index(shape), list(SCHEMES).index(name)])
    level = scheme.levels[int(rng.integers(len(scheme.levels)))]
    u, v = rng.uniform(8, 3000, 2)
    area = in_crs(scheme, level, shape(rng, u, v).buffer(0))
    assert area.is_valid
    return scheme, level, area, rng


ALL = [
    pytest.mark.parametrize("name", SCHEMES),
    pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__),
    pytest.mark.parametrize("seed", range(3)),
]


def for_all(test):
    for mark in ALL:
        test = mark(test)
    return test


@for_all
def test_each_bundle_that_the_area_touches_is_in_one_rectangle(name, shape, seed):
    scheme, level, area, _ = drawn(name, shape, seed)
    expected = cells_touched(scheme, level, area, 128)
    assert expected
    assert cells_of(bundle_rectangles(scheme, level, area)) == expected


@for_all
def test_within_the_full_extent(name, shape, seed):
    scheme, level, area, rng = drawn(name, shape, seed)
    xmin, ymin, xmax, ymax = area.bounds
    some = np.sort(rng.uniform(-0.2, 1.2, (2, 2)), axis=1)
    extent = Extent(
        xmin + some[0][0] * (xmax - xmin),
        ymin + some[1][0] * (ymax - ymin),
        xmin + some[0][1] * (xmax - xmin),
        ymin + some[1][1] * (ymax - ymin),
    )
    both = area.intersection(box(*extent.bounds))
    expected = set() if both.is_empty else cells_touched(scheme, level, both, 128)
    found = bundle_rectangles(scheme, level, area, extent)
    assert cells_of(found) == expected
    for cut in cuts(scheme, (level,), area, extent):
        block = cut.tiles[level.id]
        assert read_literally(scheme, level, cut.extent) == block
        assert extent.intersection(cut.extent) == cut.extent, "it reaches beyond the full extent"


@for_all
def test_a_site_that_takes_the_rectangles_literally_finds_just_the_bundles(name, shape, seed):
    scheme, level, area, _ = drawn(name, shape, seed)
    expected = cells_touched(scheme, level, area, 128)
    found = [
        read_literally(scheme, level, cut.extent) for cut in cuts(scheme, (level,), area, None)
    ]
    assert cells_of([bundles_of(block) for block in found]) == expected
    for block in found:
        ends = (block.min_row, block.max_row + 1, block.min_col, block.max_col + 1)
        assert [end % 128 for end in ends] == [0, 0, 0, 0], "part of a bundle only"


@for_all
def test_a_site_that_is_a_fifth_of_a_pixel_off_finds_no_other_bundle(name, shape, seed):
    scheme, level, area, _ = drawn(name, shape, seed)
    off = 0.2 * level.resolution
    for cut in cuts(scheme, (level,), area, None):
        xmin, ymin, xmax, ymax = cut.extent.bounds
        wider = Extent(xmin - off, ymin - off, xmax + off, ymax + off)
        assert read_literally(scheme, level, wider) == cut.tiles[level.id]


@pytest.mark.parametrize("published", [1 - 3.1e-10, 1 + 3.1e-10])
@pytest.mark.parametrize("level_id", [0, 7, 12, 17, 19, 21, 23])
def test_a_site_whose_resolutions_are_a_little_others_than_it_publishes(level_id, published):
    """Level 19 is published 3.06e-10 short everywhere; far from the origin that is a pixel."""
    scheme = SCHEMES["hosted"]
    level = scheme.level(level_id)
    last = 2**level_id // 128
    for at in {0, last // 2, max(0, last - 3)}:
        area = in_crs(scheme, level, box(at + 0.2, at + 0.2, at + 2.5, at + 1.7))
        for cut in cuts(scheme, (level,), area, None):
            found = read_literally(scheme, level, cut.extent, published=published)
            assert bundles_of(found) == TileRange(at, at + 1, at, at + 2)


def test_every_tile_of_the_area_is_in_a_rectangle():
    """Tile by tile, an area over 3 x 3 bundles with a hole that swallows none of them."""
    scheme = SCHEMES["hosted"]
    level = scheme.level(12)
    shape = Polygon(
        [(7.6, 9.2), (9.3, 8.9), (9.1, 10.4), (8.2, 10.9)],
        [[(8.2, 9.4), (8.7, 9.5), (8.6, 9.9)]],
    )
    area = in_crs(scheme, level, shape)
    touched = cells_touched(scheme, level, area, 1)
    assert len(touched) > 20_000
    bundles = {(row // 128, col // 128) for row, col in touched}
    found = cuts(scheme, (level,), area, None)
    assert cells_of([bundles_of(cut.tiles[12]) for cut in found]) == bundles
    assert touched <= cells_of([cut.tiles[12] for cut in found])
    assert sum(cut.planned[12] for cut in found) == 128 * 128 * len(bundles)


# --- few rectangles -------------------------------------------------------------------------------

FEW = [
    pytest.param(box(3, 4, 7, 9), 1, id="a rectangle"),
    pytest.param(box(3, 4, 7, 9).difference(box(5, 4, 7, 7)), 2, id="an L"),
    pytest.param(box(0, 0, 9, 9).difference(box(3, 3, 6, 6)), 4, id="a frame"),
    pytest.param(unary_union([box(0, i, 9, i + 1) for i in (0, 2, 4)]), 3, id="three rows"),
    pytest.param(unary_union([box(i, 0, i + 1, 9) for i in (0, 2, 4)]), 3, id="three columns"),
    pytest.param(
        unary_union([box(i, 0, i + 1, i + 2) for i in range(3)]), 3, id="stairs of three steps"
    ),
    pytest.param(
        unary_union([box(0, 0, 40, 1), *(box(3 * i, 1, 3 * i + 1, 2 + i) for i in range(9))]),
        10,
        id="teeth of nine lengths",
    ),
    pytest.param(
        unary_union([box(0, 0, 1, 40), *(box(1, 3 * i, 2 + i, 3 * i + 1) for i in range(9))]),
        10,
        id="shelves of nine lengths",
    ),
]


@pytest.mark.parametrize(("shape", "most"), FEW)
def test_few_rectangles(shape, most):
    scheme = SCHEMES["steps not powers of two"]
    level = scheme.levels[4]
    found = bundle_rectangles(scheme, level, in_crs(scheme, level, shape))
    assert len(found) <= most
    assert len(cells_of(found)) == round(shape.area)


def test_the_outline_counts_not_the_surface():
    """A circle of 1,000 bundles across: about as many rectangles as it is rows high."""
    scheme = SCHEMES["hosted"]
    level = scheme.level(20)
    area = in_crs(scheme, level, Point(4000, 4000).buffer(500, 64))
    started = time.monotonic()
    found = bundle_rectangles(scheme, level, area)
    assert time.monotonic() - started < 20
    assert len(found) <= 1001
    surface = sum(block.count for block in found)
    assert math.isclose(surface, math.pi * 500**2, rel_tol=0.01)


# --- several levels -------------------------------------------------------------------------------


def test_the_whole_cache_is_one_rectangle_for_all_levels():
    scheme = SCHEMES["hosted"]
    extent = Extent(15692237.8, -4701914.7, 16639480.7, -4045498.5)
    levels = scheme.levels[15:20]
    (cut,) = cuts(scheme, levels, None, extent)
    assert list(cut.tiles) == [15, 16, 17, 18, 19]
    for level in levels:
        assert read_literally(scheme, level, cut.extent) == cut.tiles[level.id]
        assert cut.tiles[level.id] == scheme.tiles_of_extent(level, extent)


def test_a_rectangle_that_levels_have_in_common_is_one():
    """Bundle (2, 3) of level 8 is four bundles of level 9 and sixteen of level 10."""
    scheme = SCHEMES["hosted"]
    area = in_crs(scheme, scheme.level(8), box(0.1, 0.1, 0.9, 0.9))
    (cut,) = cuts(scheme, scheme.levels[8:11], area, None)
    assert {key: block.count for key, block in cut.tiles.items()} == {
        8: 128**2, 9: 256**2, 10: 512**2
    }  # fmt: skip


def test_levels_that_have_no_rectangle_in_common_are_parted():
    """Edges of level 1 lie a tenth of its pixel beyond those of level 0, the full extent between.

    A rectangle that keeps off the edge of level 1 would not reach tile column 10 of level 0.
    """
    off = 2560 / (256 * 20 - 0.1)
    scheme = scheme_of((0.0, 2560.0), (256, 256), [1.0, off], 3035)
    extent = Extent(0, 0, 2560 + 0.05 * off, 2560)
    found = cuts(scheme, scheme.levels, None, extent)
    assert [sorted(cut.tiles) for cut in found] == [[0], [1]]
    assert [cut.tiles[level].max_col for level, cut in enumerate(found)] == [10, 19]
    for level, cut in zip(scheme.levels, found):
        assert read_literally(scheme, level, cut.extent) == cut.tiles[level.id]


@for_all
def test_several_levels(name, shape, seed):
    """Each bundle of each level in one cut, whatever levels share; read literally at each."""
    scheme, level, area, _ = drawn(name, shape, seed)
    at = scheme.levels.index(level)
    levels = scheme.levels[max(0, at - 3) : at + 1]
    found = cuts(scheme, levels, area, None)
    for each in levels:
        blocks = [read_literally(scheme, each, cut.extent) for cut in found if each.id in cut.tiles]
        assert blocks == [cut.tiles[each.id] for cut in found if each.id in cut.tiles]
        expected = cells_touched(scheme, each, area, 128)
        assert cells_of([bundles_of(block) for block in blocks]) == expected
    coarsest = [next(iter(cut.tiles)) for cut in found]
    assert coarsest == sorted(coarsest)


# --- halves ---------------------------------------------------------------------------------------


def leaves(scheme, cut):
    """What is left when halves are halved until nothing can be."""
    parts = halves(scheme, cut)
    if not parts:
        return [cut]
    assert len(parts) == 2
    return [leaf for part in parts for leaf in leaves(scheme, part)]


@for_all
def test_halves_end_at_single_bundles(name, shape, seed):
    scheme, level, area, _ = drawn(name, shape, seed)
    at = scheme.levels.index(level)
    levels = scheme.levels[max(0, at - 1) : at + 1]
    xmin, ymin, xmax, ymax = area.bounds
    # cuts the outermost bundles, too
    extent = Extent(xmin, ymin, xmax - 0.1 * (xmax - xmin), ymax)
    found = [leaf for cut in cuts(scheme, levels, area, extent) for leaf in leaves(scheme, cut)]
    for leaf in found:
        ((level_id, block),) = leaf.tiles.items()
        assert bundles_of(block).count == 1
        assert read_literally(scheme, scheme.level(level_id), leaf.extent) == block
    for each in levels:
        whole = [cut.tiles[each.id] for cut in cuts(scheme, levels, area, extent)
                 if each.id in cut.tiles]  # fmt: skip
        parts = [leaf.tiles[each.id] for leaf in found if each.id in leaf.tiles]
        assert sum(block.count for block in parts) == sum(block.count for block in whole)
        assert cells_of([bundles_of(block) for block in parts]) == cells_of(
            [bundles_of(block) for block in whole]
        )


def test_levels_first():
    scheme = SCHEMES["hosted"]
    area = in_crs(scheme, scheme.level(8), box(0.1, 0.1, 0.9, 0.9))
    (cut,) = cuts(scheme, scheme.levels[8:11], area, None)
    first, second = halves(scheme, cut)
    assert (list(first.tiles), list(second.tiles)) == ([8], [9, 10])
    assert first.extent == second.extent == cut.extent
    assert halves(scheme, first) == ()


# --- nothing, and almost nothing ------------------------------------------------------------------

NOTHING = [
    pytest.param(None, None, id="nobody knows"),
    pytest.param(box(0, 0, 10, 10), Extent(20, 20, 30, 30), id="outside"),
    pytest.param(Extent(0, 0, 10, 10), Extent(20, 20, 30, 30), id="rectangle outside"),
    pytest.param(box(0, 0, 10, 10), Extent(10, 0, 30, 30), id="beside"),
    pytest.param(MultiPolygon(), None, id="empty"),
    pytest.param(MultiPolygon(), Extent(0, 0, 1, 1), id="empty within"),
]


@pytest.mark.parametrize(("place", "extent"), NOTHING)
def test_no_rectangles(place, extent):
    scheme = SCHEMES["hosted"]
    assert bundle_rectangles(scheme, scheme.levels[3], place, extent) == ()
    assert cuts(scheme, scheme.levels, place, extent) == ()


@pytest.mark.parametrize("pixels", [0.01, 0.1, 0.24, 0.26, 3.0])
def test_a_full_extent_that_just_reaches_into_a_bundle(pixels):
    """The strip is less than what rectangles are drawn in by: it still is in a job, and alone."""
    scheme = SCHEMES["steps not powers of two"]
    level = scheme.levels[3]
    edge = scheme.tile_bounds(level, 0, 256).xmin
    bottom = scheme.tile_bounds(level, 300, 0).ymin
    extent = Extent(edge - pixels * level.resolution, bottom, edge + 1000, scheme.origin_y)
    by_bundle = sorted(cuts(scheme, (level,), None, extent)[0].tiles.items())
    assert by_bundle == [(level.id, TileRange(0, 300, 255, 256))]
    found = cuts(scheme, (level,), box(edge - 5, bottom, edge - 1e-3, scheme.origin_y), extent)
    assert [read_literally(scheme, level, cut.extent) for cut in found] == [
        TileRange(0, 300, 255, 255)
    ]


def test_a_cut_counts_its_tiles():
    cut = Cut(Extent(0, 0, 1, 1), {3: TileRange(0, 1, 0, 2), 4: TileRange(5, 5, 5, 5)})
    assert cut.planned == {3: 6, 4: 1}
    assert replace(cut, tiles={}).planned == {}
