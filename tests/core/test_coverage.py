"""Which tiles an area touches: against shapely tile by tile, and against arithmetic by hand.

The rule at edges: a coordinate within SNAP of a tile (and PUBLISHED_ROUNDING of its distance from
the origin) of a tile's edge lies on that edge. So areas aligned with tiles, whose coordinates are
rounded in CRS units, are answered here by whole numbers, not by shapely; all other areas must come
out exactly as shapely says.
"""

from __future__ import annotations

import gc
import itertools
import math
import tracemalloc

import numpy as np
import pytest
from shapely.geometry import MultiPolygon, Point, Polygon, box
from shapely.ops import unary_union
from shapely.prepared import prep

from tile_cache_manager.plugin.core.coverage import RowRuns, count_tiles, cover
from tile_cache_manager.plugin.core.tiling import (
    PUBLISHED_ROUNDING,
    SNAP,
    WEB_MERCATOR_HALF,
    Extent,
    Level,
    SpatialReference,
    TileRange,
    TilingScheme,
)

HALF = WEB_MERCATOR_HALF


def make_scheme(origin, size, resolutions, wkid, dpi=96.0, metres_per_unit=1.0):
    """A scheme with levels of these resolutions; scales as `dpi` and the unit make them."""
    inches = metres_per_unit / 0.0254
    levels = tuple(Level(i, r, r * dpi * inches) for i, r in enumerate(resolutions))
    return TilingScheme(*origin, *size, dpi, SpatialReference(wkid), levels)


SCHEMES = {
    "Web Mercator": make_scheme(
        (-HALF, HALF), (256, 256), [2 * HALF / 256 / 2**z for z in range(24)], 3857
    ),
    "WGS 84 from -400, 400, 512 pixels": make_scheme(
        (-400.0, 400.0), (512, 512), [0.7 / 2**z for z in range(18)], 4326, 96, 111319.49
    ),
    "tiles wider than high": make_scheme(
        (900000.0, 5500000.0), (512, 256), [1000.0, 500.0, 250.0, 100.0, 5.0], 3035
    ),
    "steps not powers of two": make_scheme(
        (-5120900.0, 9998100.0), (256, 256), [8466.7, 5291.7, 1322.9, 317.5, 26.46, 0.2646], 25832
    ),
    "origin inside the area": make_scheme((0.0, 0.0), (256, 256), [700.0, 30.0, 1.1], 31370),
    "72 dpi": make_scheme((-2e6, 3e6), (256, 256), [3527.78, 352.778, 3.52778], 2154, 72.0),
    "300 dpi, feet": make_scheme(
        (-120000000.0, 96000000.0), (512, 512), [833.3, 83.33, 8.333, 0.4], 2263, 300.0, 0.3048006
    ),
}


# --- areas, in units of tiles: u columns from the origin, v rows downwards -----------------------


def star(rng, u, v):
    """A ring that jumps in and out around (u, v)."""
    count = int(rng.integers(5, 40))
    angles = np.sort(rng.uniform(0, 2 * math.pi, count))
    radii = rng.uniform(0.3, 5.0, count)
    return Polygon(np.column_stack([u + radii * np.cos(angles), v + radii * np.sin(angles)]))


def star_with_holes(rng, u, v):
    outer = Polygon([(u - 5, v - 6), (u + 5.3, v - 5.1), (u + 6.2, v + 4.7), (u - 4.4, v + 5.5)])
    return outer.difference(star(rng, u - 0.4, v).buffer(0))


def scattered(rng, u, v):
    return unary_union(
        [star(rng, u + du, v + dv).buffer(0) for du, dv in [(-5, 2), (4, -5), (6, 6)]]
    )


def sliver(rng, u, v):
    """A strip of a few thousandths of a tile, in any direction."""
    angle, length, thickness = rng.uniform(0, math.pi), rng.uniform(1, 9), rng.uniform(1e-4, 5e-3)
    du, dv = math.cos(angle), math.sin(angle)
    su, sv = -dv * thickness, du * thickness
    a, b = (u - du * length, v - dv * length), (u + du * length, v + dv * length)
    return Polygon([a, b, (b[0] + su, b[1] + sv), (a[0] + su, a[1] + sv)])


def tiny(rng, u, v):
    return box(
        u + 0.3, v + 0.2, u + 0.3 + rng.uniform(1e-3, 1e-2), v + 0.2 + rng.uniform(1e-3, 0.5)
    )


def rectangle(rng, u, v):
    left, top, right, bottom = rng.uniform(0.2, 7.0, 4)
    return box(u - left, v - top, u + right, v + bottom)


def across_the_origin(rng, u, v):
    return star(rng, 0.6, 0.4)


def out_of_sight(rng, u, v):
    """Above or left of the origin, all but a corner."""
    return Polygon([(-9, -7), (3.2, -4.1), (0.3, 0.7 + rng.uniform(0, 2)), (-5, 6.4)])


SHAPES = [
    star, star_with_holes, scattered, sliver, tiny, rectangle, across_the_origin, out_of_sight,
]  # fmt: skip


def in_crs(scheme, level, area):
    """An area given in tiles from the origin, in CRS units."""
    width, height = scheme.tile_width * level.resolution, scheme.tile_height * level.resolution

    def ring(coords):
        return [(scheme.origin_x + u * width, scheme.origin_y - v * height) for u, v in coords]

    return MultiPolygon(
        [
            Polygon(ring(part.exterior.coords), [ring(hole.coords) for hole in part.interiors])
            for part in getattr(area, "geoms", [area])
        ]
    )


def brute_force(scheme, level, area):
    """Every tile around whose interior meets that of `area`, each asked of shapely."""
    width, height = scheme.tile_width * level.resolution, scheme.tile_height * level.resolution
    xmin, ymin, xmax, ymax = area.bounds
    rows = range(
        max(0, math.floor((scheme.origin_y - ymax) / height) - 1),
        max(0, math.floor((scheme.origin_y - ymin) / height) + 2),
    )
    cols = range(
        max(0, math.floor((xmin - scheme.origin_x) / width) - 1),
        max(0, math.floor((xmax - scheme.origin_x) / width) + 2),
    )
    prepared = prep(area)
    found = []
    for row, col in itertools.product(rows, cols):
        left, top = scheme.origin_x + col * width, scheme.origin_y - row * height
        tile = box(left, top - height, left + width, top)
        if prepared.intersects(tile) and not prepared.touches(tile):
            found.append((row, col))
    return found


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@pytest.mark.parametrize("seed", range(5))
def test_as_shapely_says_tile_by_tile(name, shape, seed):
    scheme = SCHEMES[name]
    rng = np.random.default_rng([seed, SHAPES.index(shape), list(SCHEMES).index(name)])
    level = scheme.levels[int(rng.integers(len(scheme.levels)))]
    u, v = rng.uniform(8, 3000, 2)
    area = in_crs(scheme, level, shape(rng, u, v).buffer(0))
    assert area.is_valid
    expected = brute_force(scheme, level, area)
    assert expected
    coverage = cover(scheme, level, area)
    assert list(coverage.tiles()) == expected
    assert coverage.count == len(expected)
    rows, cols = zip(*expected)
    assert coverage.bounds == TileRange(min(rows), max(rows), min(cols), max(cols))


@pytest.mark.parametrize("seed", range(8))
def test_many_levels_of_one_area(seed):
    """The same area from a part of a tile to hundreds of tiles; left of the origin, too."""
    scheme = SCHEMES["origin inside the area"]
    rng = np.random.default_rng([7, seed])
    area = in_crs(scheme, Level(9, 150.0, 1.0), scattered(rng, 1.0, 2.0))
    levels = [Level(i, 2000.0 / 1.9**i, 1.0) for i in range(7)]
    counts = count_tiles(scheme, levels, area)
    assert counts == {level.id: len(brute_force(scheme, level, area)) for level in levels}


# --- aligned with tiles: whole numbers by hand ----------------------------------------------------

STEPS = [(0, 0), (3, 11), (1000, 77), (131071, 65536)]
ALIGNED_SCHEMES = pytest.mark.parametrize("name", SCHEMES)
AT = pytest.mark.parametrize(("col", "row"), STEPS)


def tiles_of(scheme, area):
    level = scheme.levels[-1]
    return set(cover(scheme, level, in_crs(scheme, level, area)).tiles())


def block(first_row, last_row, first_col, last_col):
    return set(itertools.product(range(first_row, last_row + 1), range(first_col, last_col + 1)))


@ALIGNED_SCHEMES
@AT
def test_a_rectangle_on_tile_edges(name, col, row):
    area = box(col, row, col + 4, row + 3)
    assert tiles_of(SCHEMES[name], area) == block(row, row + 2, col, col + 3)


@ALIGNED_SCHEMES
@AT
def test_triangles_whose_long_sides_run_through_tile_corners(name, col, row):
    n = 49  # 1 / 49 * 49 is less than 1 for a computer
    below = Polygon([(col, row), (col + n, row + n), (col, row + n)])
    assert tiles_of(SCHEMES[name], below) == {
        (row + r, col + c) for r in range(n) for c in range(r + 1)
    }
    above = Polygon([(col, row), (col + n, row), (col + n, row + n)])
    assert tiles_of(SCHEMES[name], above) == {
        (row + r, col + c) for r in range(n) for c in range(r, n)
    }
    flat = Polygon([(col, row), (col + 2 * n, row + n), (col, row + n)])
    assert tiles_of(SCHEMES[name], flat) == {
        (row + r, col + c) for r in range(n) for c in range(2 * r + 2)
    }
    # Falls three columns in seven rows: only every seventh row ends at a corner.
    steep = Polygon([(col, row), (col + 6, row + 14), (col, row + 14)])
    assert tiles_of(SCHEMES[name], steep) == {
        (row + r, col + c) for r in range(14) for c in range(-(-3 * (r + 1) // 7))
    }


@ALIGNED_SCHEMES
def test_a_diamond_on_tile_corners(name):
    n, col, row = 6, 50, 60
    area = Polygon([(col - n, row), (col, row - n), (col + n, row), (col, row + n)])
    tiles = tiles_of(SCHEMES[name], area)
    assert len(tiles) == 2 * n * (n + 1)
    assert {r for r, _ in tiles} == set(range(row - n, row + n))


@ALIGNED_SCHEMES
def test_a_chessboard(name):
    black = [(u, v) for u in range(8) for v in range(8) if (u + v) % 2 == 0]
    area = MultiPolygon([box(20 + u, 30 + v, 21 + u, 31 + v) for u, v in black])
    assert tiles_of(SCHEMES[name], area) == {(30 + v, 20 + u) for u, v in black}


@ALIGNED_SCHEMES
@pytest.mark.parametrize(
    ("hole", "swallowed"),
    [
        pytest.param((2, 3, 5, 7), block(3, 6, 2, 4), id="on tile edges"),
        pytest.param((1.9, 2.9, 5.1, 7.1), block(3, 6, 2, 4), id="a little larger"),
        pytest.param((2.1, 3.1, 4.9, 6.9), block(4, 5, 3, 3), id="a little smaller"),
        pytest.param((2.1, 3.1, 3.9, 3.9), set(), id="swallows none"),
    ],
)
def test_a_hole(name, hole, swallowed):
    area = box(0, 0, 10, 10).difference(box(*hole))
    assert tiles_of(SCHEMES[name], area) == block(0, 9, 0, 9) - swallowed


def test_an_island_in_the_lake_of_an_island():
    area = box(0, 0, 11, 11).difference(box(2, 2, 9, 9)).union(box(4, 4, 7, 7))
    expected = block(0, 10, 0, 10) - block(2, 8, 2, 8) | block(4, 6, 4, 6)
    assert tiles_of(SCHEMES["Web Mercator"], area) == expected


@pytest.mark.parametrize(
    ("beyond", "more"),
    [(0.0, 0), (0.5 * SNAP, 0), (-0.5 * SNAP, 0), (20 * SNAP, 1), (-20 * SNAP, 0), (-1 - SNAP, -1)],
)
@pytest.mark.parametrize("kind", ["polygon", "extent"])
def test_an_edge_within_snap_lies_on_the_tile_edge(beyond, more, kind):
    """`beyond`: by how many tiles the area reaches out of columns and rows 10 to 12, each way."""
    scheme, level = SCHEMES["72 dpi"], SCHEMES["72 dpi"].levels[1]
    area = in_crs(scheme, level, box(10 - beyond, 10 - beyond, 13 + beyond, 13 + beyond))
    coverage = cover(scheme, level, area if kind == "polygon" else Extent(*area.bounds))
    assert set(coverage.tiles()) == block(10 - more, 12 + more, 10 - more, 12 + more)


@pytest.mark.parametrize("kind", ["polygon", "extent"])
def test_far_from_the_origin_an_edge_lies_on_the_tile_edge_within_published_rounding(kind):
    scheme, level = SCHEMES["Web Mercator"], SCHEMES["Web Mercator"].levels[23]
    for part, last in [(0.5, 2**22 - 1), (1.5, 2**22)]:
        end = 2**22 + part * (SNAP + PUBLISHED_ROUNDING * 2**22)
        area = in_crs(scheme, level, box(2**22 - 2, 5, end, 6))
        coverage = cover(scheme, level, area if kind == "polygon" else Extent(*area.bounds))
        assert coverage.bounds == TileRange(5, 5, 2**22 - 2, last)


def test_a_strip_thinner_than_snap_on_a_tile_edge_has_no_tiles():
    scheme, level = SCHEMES["72 dpi"], SCHEMES["72 dpi"].levels[1]
    on_edge = in_crs(scheme, level, box(7 - SNAP / 3, 2, 7 + SNAP / 3, 5))
    within = in_crs(scheme, level, box(7.5 - SNAP / 3, 2, 7.5 + SNAP / 3, 5))
    assert cover(scheme, level, on_edge).count == 0
    assert list(cover(scheme, level, within).tiles()) == [(2, 7), (3, 7), (4, 7)]


@pytest.mark.parametrize("area", [Polygon(), MultiPolygon(), box(-5, 1, -1, 5), box(1, 1, 5, 5)])
def test_nothing_to_cover(area):
    """Empty, or left of the origin, or above it."""
    scheme = make_scheme((0.0, 0.0), (256, 256), [0.01], 3035)
    coverage = cover(scheme, scheme.levels[0], area)
    assert coverage.count == 0
    assert coverage.bounds is None
    assert list(coverage.runs()) == []
    assert list(coverage.tiles()) == []


def test_an_extent_left_of_and_above_the_origin_has_no_tiles():
    scheme = make_scheme((0.0, 0.0), (256, 256), [1.0], 3035)
    for extent in [Extent(-500, -500, -1, -1), Extent(0, 1, 500, 500)]:
        coverage = cover(scheme, scheme.levels[0], extent)
        assert (coverage.count, coverage.bounds, list(coverage.runs())) == (0, None, [])


# --- large numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["polygon", "extent"])
def test_the_web_mercator_world_has_4_to_the_zoom_tiles(kind):
    scheme = SCHEMES["Web Mercator"]
    area = box(-HALF, -HALF, HALF, HALF) if kind == "polygon" else Extent(-HALF, -HALF, HALF, HALF)
    levels = scheme.levels[:19]
    assert count_tiles(scheme, levels, area) == {level.id: 4**level.id for level in levels}


def test_a_polygon_beyond_all_edges_of_the_world_is_counted_from_the_origin():
    scheme = SCHEMES["Web Mercator"]
    area = box(-3 * HALF, -HALF, HALF, 5 * HALF)
    assert cover(scheme, scheme.levels[3], area).count == 4**3


def test_half_the_world_at_level_20_is_counted_without_being_listed():
    """A triangle below the world's diagonal: n (n + 1) / 2 tiles, 5.5 * 10^11."""
    scheme = SCHEMES["Web Mercator"]
    coverage = cover(
        scheme, scheme.levels[20], Polygon([(-HALF, HALF), (HALF, -HALF), (-HALF, -HALF)])
    )
    n = 2**20
    assert coverage.count == n * (n + 1) // 2
    assert coverage.bounds == TileRange(0, n - 1, 0, n - 1)
    assert isinstance(coverage.count, int)


def test_the_first_tile_of_a_vast_area_comes_at_once():
    scheme = SCHEMES["Web Mercator"]
    vast = cover(scheme, scheme.levels[23], box(-HALF, -HALF, HALF, HALF))
    assert next(vast.tiles()) == (0, 0)


# --- runs -----------------------------------------------------------------------------------------


def joined(blocks):
    """All runs of some blocks of rows, as tuples."""
    return [
        run
        for runs in blocks
        for run in zip(runs.rows.tolist(), runs.first_cols.tolist(), runs.last_cols.tolist())
    ]


def coast(seed, vertices=1500):
    """A ragged area of about 200 x 200 tiles with lakes, two parts, and a gap of rows between."""
    rng = np.random.default_rng(seed)
    angles = np.linspace(0, 2 * math.pi, vertices, endpoint=False)
    radii = 80 + np.cumsum(rng.normal(0, 1, vertices)) * np.sin(angles / 2) ** 2
    ring = np.column_stack([120 + radii * np.cos(angles), 130 + radii * np.sin(angles)])
    lakes = unary_union([star(rng, *rng.uniform(80, 160, 2)).buffer(0) for _ in range(20)])
    return unary_union([Polygon(ring).buffer(0).difference(lakes), box(40.5, 400.5, 90.2, 440.7)])


@pytest.mark.parametrize("seed", range(4))
def test_runs_are_disjoint_and_in_order(seed):
    scheme = SCHEMES["72 dpi"]
    coverage = cover(scheme, scheme.levels[-1], in_crs(scheme, scheme.levels[-1], coast(seed)))
    runs = joined(coverage.runs())
    assert all(0 <= first <= last for _, first, last in runs)
    for (row, _, last), (next_row, next_first, _) in zip(runs, runs[1:]):
        assert next_row > row or (next_row == row and next_first > last + 1)
    assert sum(last - first + 1 for _, first, last in runs) == coverage.count
    assert len(list(coverage.tiles())) == len(set(coverage.tiles())) == coverage.count


@pytest.mark.parametrize("block_pieces", [1, 2, 7, 100, 1500])
def test_blocks_of_any_size_give_the_same_runs(block_pieces):
    scheme, level = SCHEMES["72 dpi"], SCHEMES["72 dpi"].levels[-1]
    area = in_crs(scheme, level, coast(11))
    whole = list(cover(scheme, level, area, block_pieces=10**9).runs())
    assert len(whole) == 1
    coverage = cover(scheme, level, area, block_pieces=block_pieces)
    parts = list(coverage.runs())
    assert len(parts) > 1
    assert joined(parts) == joined(whole)
    assert coverage.count == whole[0].count
    for earlier, later in zip(parts, parts[1:]):
        assert earlier.rows[-1] < later.rows[0]


def test_blocks_of_an_extent():
    scheme = make_scheme((0.0, 0.0), (256, 256), [1.0], 3035)
    coverage = cover(scheme, scheme.levels[0], Extent(300, -2560, 700, -1), block_pieces=3)
    assert [runs.count for runs in coverage.runs()] == [6, 6, 6, 2]
    assert list(coverage.tiles()) == sorted(block(0, 9, 1, 2))


def test_nothing_is_kept_of_an_area_that_is_gone():
    scheme = SCHEMES["Web Mercator"]
    tracemalloc.start()
    try:
        area = Point(0, 0).buffer(HALF / 2, 25_000)
        counts = count_tiles(scheme, scheme.levels[:4], area)
        del area
        gc.collect()
        left = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert counts == {0: 1, 1: 4, 2: 4, 3: 16}
    assert left < 1_000_000  # its edges take three times as much


def test_a_block_holds_about_as_many_pieces_as_it_may():
    """A comb with 200 teeth: 400 upright edges in each of 500 rows."""
    teeth = [
        (c + du, v)
        for c in range(200)
        for du, v in ((0.25, 500.0), (0.25, 0.5), (0.75, 0.5), (0.75, 500.0))
    ]
    area = Polygon([*teeth, (200.0, 500.0), (200.0, 501.0), (0.0, 501.0), (0.0, 500.0)])
    scheme, level = SCHEMES["72 dpi"], SCHEMES["72 dpi"].levels[-1]
    coverage = cover(scheme, level, in_crs(scheme, level, area), block_pieces=4000)
    assert max(np.unique(runs.rows).size for runs in coverage.runs()) <= 11
    # Every tooth stands in a tile of its own, side by side, so a row is a single run.
    assert coverage.count == 200 * 501


def test_runs_know_their_number_of_tiles():
    runs = RowRuns(np.array([4, 4, 9]), np.array([0, 7, 3]), np.array([2, 7, 2**31 + 3]))
    assert runs.count == 3 + 1 + 2**31 + 1
