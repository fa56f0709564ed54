"""Which tiles an update is about: against the tiles of the coverage, one by one."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from core.local.fakes import HALF, MemoryStore, profile_of, web_mercator
from shapely.affinity import rotate
from shapely.geometry import MultiPolygon, Point, Polygon, box

from tile_cache_manager.plugin.core.coverage import cover
from tile_cache_manager.plugin.core.errors import AreaOutside, BadScheme, BadSchemeReason, EmptyArea
from tile_cache_manager.plugin.core.local.plan import (
    AreaPlan,
    TilesPlan,
    bundles_of,
    plan_of,
    tiles_to_do,
    world_of,
)
from tile_cache_manager.plugin.core.local.supertiles import supertiles
from tile_cache_manager.plugin.core.local.whole_cache import plan_for
from tile_cache_manager.plugin.core.request import TileFilter, UpdateMode, UpdateRequest
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.tiling import (
    Extent,
    Level,
    SpatialReference,
    TileRange,
    TilingScheme,
    bundle_of,
)

SCHEME = web_mercator(22)
WORLD = box(-HALF, -HALF, HALF, HALF)

AREAS = {
    "a circle over several bundles": Point(1e6, 2e6).buffer(3e6),
    "a thin diagonal strip": rotate(box(-9e6, 4e6, 9e6, 4.02e6), 31),
    "islands": MultiPolygon(
        [Point(x * 4e6, y * 3e6).buffer(2e5) for x in (-3, 0, 3) for y in (-2, 2)]
    ),
    "a ring": Point(0, 0).buffer(8e6).difference(Point(0, 0).buffer(7.5e6)),
    "a triangle": Polygon([(-1e7, -1e7), (1.2e7, 3e6), (2e6, 1.1e7)]),
    "a rectangle": Extent(-3e6, 1e6, 7e6, 6e6),
    "one tile": Extent(10, 10, 20, 20),
    "the world": Extent(-HALF, -HALF, HALF, HALF),
}


def tiles_of(block: TileRange, mask: np.ndarray) -> list[tuple[int, int]]:
    return [(block.min_row + r, block.min_col + c) for r, c in np.argwhere(mask).tolist()]


@pytest.mark.parametrize("name", AREAS)
@pytest.mark.parametrize("level_id", [0, 5, 9])
def test_bundles_hold_just_the_tiles_of_the_area(name: str, level_id: int) -> None:
    coverage = cover(SCHEME, SCHEME.levels[level_id], AREAS[name])

    blocks, found = [], []
    for block, mask in bundles_of(coverage):
        assert mask.shape == (128, 128)
        assert mask.any()
        blocks.append(block)
        found += tiles_of(block, mask)

    assert sorted(found) == list(coverage.tiles())
    assert len(set(blocks)) == len(blocks)
    assert all(block.min_row % 128 == block.min_col % 128 == 0 for block in blocks)
    # Row by row of bundles, from left to right.
    assert blocks == sorted(blocks, key=lambda block: (block.min_row, block.min_col))


def test_rows_of_bundles_may_come_in_many_pieces() -> None:
    area = AREAS["a circle over several bundles"]
    whole = cover(SCHEME, SCHEME.levels[9], area)
    pieces = cover(SCHEME, SCHEME.levels[9], area, block_pieces=10)

    expected = [(block, mask.tobytes()) for block, mask in bundles_of(whole)]
    assert [(block, mask.tobytes()) for block, mask in bundles_of(pieces)] == expected


@pytest.mark.parametrize("name", AREAS)
def test_only_bundles_asked_for_are_given(name: str) -> None:
    coverage = cover(SCHEME, SCHEME.levels[9], AREAS[name])
    everything = {(b.min_row, b.min_col): mask for b, mask in bundles_of(coverage)}
    asked = {(row * 128, col * 128) for row in range(4) for col in range(4) if (row + col) % 2}

    found = {(b.min_row, b.min_col): mask for b, mask in bundles_of(coverage, asked)}

    assert found.keys() == everything.keys() & asked
    assert all((mask == everything[corner]).all() for corner, mask in found.items())


def test_a_hundred_million_tiles_are_planned_in_little_memory_and_at_once() -> None:
    # 2^17 tiles across the world at level 17; a quarter of it: more than 4,000 million tiles.
    area = Point(0, 0).buffer(HALF / 2)
    plan = AreaPlan(SCHEME, SCHEME.levels[17:18], area)
    level = plan.levels[0]
    assert plan.count(level) > 10**9

    tracemalloc.start()
    begun = time.perf_counter()
    bundles = plan.bundles(level)
    count = int(next(bundles)[1].sum())
    first = time.perf_counter() - begun
    seen = 1
    while count < 10**8:
        count += int(next(bundles)[1].sum())
        seen += 1
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert seen > 10**8 // 128**2
    assert peak < 150e6
    assert first < 5


@pytest.mark.parametrize("side", [1, 2, 8, 16, 128])
@pytest.mark.parametrize("name", ["a ring", "islands", "the world"])
def test_supertiles_hold_each_tile_once(name: str, side: int) -> None:
    level = SCHEME.levels[8]
    for block, mask in bundles_of(cover(SCHEME, level, AREAS[name])):
        found = []
        for part in supertiles(level, block, mask, side):
            rows = part.block.max_row - part.block.min_row + 1
            cols = part.block.max_col - part.block.min_col + 1
            assert part.wanted.shape == (rows, cols) == (side, side)
            assert part.block.min_row % side == part.block.min_col % side == 0
            assert part.wanted.any()
            found += tiles_of(part.block, part.wanted)
        assert sorted(found) == sorted(tiles_of(block, mask))


def test_neighbouring_supertiles_follow_each_other() -> None:
    mask = np.ones((128, 128), bool)
    level = SCHEME.levels[8]

    parts = list(supertiles(level, TileRange(0, 127, 128, 255), mask, 32))
    places = [(part.block.min_row // 32, part.block.min_col // 32 - 4) for part in parts]

    # Z-order: four neighbours, then the four to the right, then the two fours below.
    assert places == [
        *[(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (0, 3), (1, 2), (1, 3)],
        *[(2, 0), (2, 1), (3, 0), (3, 1), (2, 2), (2, 3), (3, 2), (3, 3)],
    ]


def test_supertiles_end_where_the_world_does() -> None:
    mask = np.zeros((128, 128), bool)
    mask[2, 3] = True

    parts = list(
        supertiles(SCHEME.levels[2], TileRange(0, 127, 0, 127), mask, 8, TileRange(0, 3, 0, 3))
    )

    assert [part.block for part in parts] == [TileRange(0, 3, 0, 3)]
    assert parts[0].wanted.tolist() == [[False] * 4] * 2 + [[False] * 3 + [True], [False] * 4]


# The whole plan


def request(area: object, levels: tuple[Level, ...] = SCHEME.levels[:4]) -> UpdateRequest:
    is_extent = isinstance(area, Extent)
    return UpdateRequest(
        SCHEME,
        levels,
        UpdateMode.RECREATE_ALL,
        area=None if is_extent else area,
        extent=area if is_extent else None,
    )


PROFILE = profile_of(SCHEME, StorageFormat.COMPACT_V2)


def test_levels_come_from_the_coarsest_to_the_finest() -> None:
    levels = (SCHEME.levels[3], SCHEME.levels[0], SCHEME.levels[2])

    assert [each.id for each in plan_of(request(WORLD, levels), PROFILE, "Hills").levels] == [
        0,
        2,
        3,
    ]


@pytest.mark.parametrize(
    "area",
    [Extent(-2 * HALF, -2 * HALF, 2 * HALF, 2 * HALF), box(-3 * HALF, -HALF, 3 * HALF, HALF)],
    ids=["a rectangle", "a polygon"],
)
def test_nothing_is_planned_beyond_the_edge_of_the_world(area: object) -> None:
    plan = plan_of(request(area), PROFILE, "Hills")

    assert [plan.count(level) for level in plan.levels] == [1, 4, 16, 64]


def test_the_whole_cache_is_its_extent() -> None:
    profile = profile_of(SCHEME, StorageFormat.COMPACT_V2, extent=Extent(0, 0, HALF, HALF))

    plan = plan_of(request(None), profile, "Hills")

    assert [plan.count(level) for level in plan.levels] == [1, 1, 4, 16]


def test_the_whole_cache_without_extent_is_the_world() -> None:
    plan = plan_of(request(None), PROFILE, "Hills")

    assert [plan.count(level) for level in plan.levels] == [1, 4, 16, 64]


def flat_scheme() -> TilingScheme:
    levels = (Level(0, 100.0, 377952.0),)
    return TilingScheme(0.0, 1e6, 256, 256, 96, SpatialReference(2056), levels)


def test_a_whole_cache_that_nobody_knows_the_size_of_is_refused() -> None:
    scheme = flat_scheme()
    asked = UpdateRequest(scheme, scheme.levels, UpdateMode.RECREATE_ALL)

    with pytest.raises(EmptyArea):
        plan_of(asked, profile_of(scheme, StorageFormat.COMPACT_V2), "Hills")


@pytest.mark.parametrize(
    ("profile", "area"),
    [
        (PROFILE, Extent(2 * HALF, 0, 3 * HALF, 1e6)),
        (PROFILE, box(2 * HALF, 0, 3 * HALF, 1e6)),
        (profile_of(flat_scheme(), StorageFormat.COMPACT_V2), Extent(-500, 2e6, -100, 3e6)),
    ],
    ids=["a rectangle beyond the world", "a polygon beyond the world", "left of the origin"],
)
def test_an_area_without_tiles_is_refused(profile: CacheProfile, area: object) -> None:
    is_extent = isinstance(area, Extent)
    asked = UpdateRequest(
        profile.scheme,
        profile.scheme.levels[:1],
        UpdateMode.RECREATE_ALL,
        area=None if is_extent else area,
        extent=area if is_extent else None,
    )

    with pytest.raises(AreaOutside):
        plan_of(asked, profile, "Hills")


def test_a_cache_of_the_pacific_has_its_place_beyond_the_edge() -> None:
    extent = Extent(1.5e7, -5e6, 2.5e7, 5e6)
    profile = profile_of(SCHEME, StorageFormat.COMPACT_V2, extent=extent)

    assert world_of(profile) == Extent(-HALF, -HALF, 2.5e7, HALF)
    # Tiles 3 and 4 of a world of four: the fifth column goes on to the east.
    plan = plan_of(request(None, SCHEME.levels[2:3]), profile, "Hills")
    assert sorted({c for b, m in plan.bundles(plan.levels[0]) for _r, c in tiles_of(b, m)}) == [
        3,
        4,
    ]


def test_rounding_in_a_published_extent_makes_no_tiles() -> None:
    published = Extent(-20037508.3428, -20037508.3428, 20037508.3428, 20037508.3428)
    profile = profile_of(SCHEME, StorageFormat.COMPACT_V2, extent=published)

    plan = plan_of(request(None, SCHEME.levels), profile, "Hills")

    assert [plan.count(level) for level in plan.levels] == [4**z for z in range(23)]


@pytest.mark.parametrize("side", [1, 4, 16, 128])
def test_supertiles_are_counted_without_listing_them(side: int) -> None:
    plan = AreaPlan(SCHEME, SCHEME.levels[7:10], AREAS["a triangle"])

    for level in plan.levels:
        listed = sum(
            len(list(supertiles(level, block, mask, side))) for block, mask in plan.bundles(level)
        )
        assert plan.supertiles(level, side) == listed


def test_listed_tiles_are_a_plan_too() -> None:
    tiles = {5: [(3, 200), (3, 201), (130, 5)], 2: [(1, 1)], 9: []}

    plan = TilesPlan(SCHEME.levels, tiles)

    assert [level.id for level in plan.levels] == [2, 5]
    assert [plan.count(level) for level in plan.levels] == [1, 3]
    assert [plan.supertiles(level, 8) for level in plan.levels] == [1, 2]
    found = {b: tiles_of(b, mask) for b, mask in plan.bundles(plan.levels[1])}
    assert found == {
        TileRange(0, 127, 128, 255): [(3, 200), (3, 201)],
        TileRange(128, 255, 0, 127): [(130, 5)],
    }
    assert len(list(plan.bundles(plan.levels[1], {(128, 0)}))) == 1


# Mode and filters. A tile is missing, old or new; the cells say whether it is worked on.

KINDS = ("missing", "old", "new")
EMPTY, ALL, DELETE = UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL, UpdateMode.DELETE


@pytest.mark.parametrize(
    ("mode", "only_existing", "older_than", "expected"),
    [
        (EMPTY, False, None, {"missing"}),
        (EMPTY, False, 2000.0, {"missing"}),
        (EMPTY, True, None, set()),
        (ALL, False, None, {"missing", "old", "new"}),
        (ALL, True, None, {"old", "new"}),
        (ALL, False, 2000.0, {"missing", "old"}),
        (ALL, True, 2000.0, {"old"}),
        (DELETE, False, None, {"old", "new"}),
        (DELETE, True, None, {"old", "new"}),
        (DELETE, False, 2000.0, {"old"}),
        (DELETE, True, 2000.0, {"old"}),
        (ALL, True, 500.0, set()),
        (DELETE, False, 9000.0, {"old", "new"}),
    ],
)
def test_mode_and_filters_choose_the_tiles(
    mode: UpdateMode,
    only_existing: bool,
    older_than: float | None,
    expected: set[str],
    tmp_path: Path,
) -> None:
    store = MemoryStore(tmp_path, PROFILE)
    where = {
        kind: {(row, col) for row in range(3) for col in (i, i + 10)}
        for i, kind in enumerate(KINDS)
    }
    for kind, store.now in (("old", 1000.0), ("new", 3000.0)):
        store.fill(7, where[kind])
    # Tiles that exist outside of the area are nobody's business.
    store.fill(7, [(50, 50)])
    mask = np.zeros((128, 128), bool)
    mask[:3, [0, 1, 2, 10, 11, 12]] = True
    asked = UpdateRequest(
        SCHEME, SCHEME.levels[7:8], mode, tile_filter=TileFilter(only_existing, older_than)
    )
    store.calls.clear()

    todo, exists = tiles_to_do(store, asked, 7, TileRange(0, 127, 0, 127), mask)

    found = set(tiles_of(TileRange(0, 127, 0, 127), todo))
    assert found == set().union(*(where[kind] for kind in expected))
    assert exists.sum() == 13
    assert store.calls["exists"] == 1
    assert store.calls.get("times", 0) <= 1


def test_all_of_a_cache_that_nobody_knows_the_size_of_is_what_lies_in_it(tmp_path: Path) -> None:
    levels = (Level(0, 200.0, 755904.0), Level(1, 100.0, 377952.0))
    scheme = TilingScheme(0.0, 1e6, 256, 256, 96, SpatialReference(2056), levels)
    store = MemoryStore(tmp_path / "c", profile_of(scheme, StorageFormat.COMPACT_V2))
    store.fill(1, [(300, 200), (310, 190), (5, 500)])
    asked = UpdateRequest(scheme, levels, UpdateMode.DELETE)

    plan = plan_for(asked, store)

    bundles = {bundle_of(*tile) for tile in ((300, 200), (310, 190), (5, 500))}
    found = [
        tile for block, mask in plan.bundles(levels[1], bundles) for tile in tiles_of(block, mask)
    ]
    assert sorted(found) == [(5, 500), (300, 200), (310, 190)]
    assert [plan.count(level) for level in plan.levels] == [0, 3]


def test_all_of_an_empty_cache_can_be_deleted(tmp_path: Path) -> None:
    scheme = flat_scheme()
    store = MemoryStore(tmp_path / "c", profile_of(scheme, StorageFormat.COMPACT_V2))
    asked = UpdateRequest(scheme, scheme.levels, UpdateMode.DELETE)

    assert list(plan_for(asked, store).bundles(scheme.levels[0])) == []


@pytest.mark.parametrize("far", [1e16, 1e200, 1e300])
def test_an_area_with_more_tiles_than_can_be_numbered_is_refused(far: float) -> None:
    scheme = flat_scheme()
    for area in (Extent(-far, -far, far, far), Extent(0, 0, far, 1e5), Extent(0, -far, 1, 0)):
        asked = UpdateRequest(scheme, scheme.levels, UpdateMode.RECREATE_ALL, extent=area)
        with pytest.raises(BadScheme) as caught:
            plan_of(asked, profile_of(scheme, StorageFormat.COMPACT_V2), "Hills")
        assert caught.value.reason is BadSchemeReason.TOO_FINE


@pytest.mark.parametrize("name", AREAS)
def test_bundles_that_are_asked_for_are_the_same_as_without_asking(name: str) -> None:
    level = SCHEME.levels[10]
    plan = AreaPlan(SCHEME, [level], AREAS[name])
    every = {(block.min_row, block.min_col): mask for block, mask in plan.bundles(level)}
    asked = set(list(every)[::3]) | {(0, 0), (128 * 7, 128 * 3)}

    found = {(block.min_row, block.min_col): mask for block, mask in plan.bundles(level, asked)}

    assert found.keys() == every.keys() & asked
    assert all((found[corner] == every[corner]).all() for corner in found)


def test_a_vast_area_of_few_bundles_is_gone_through_at_once() -> None:
    level = SCHEME.levels[22]
    area = Extent(-HALF, -HALF, HALF, HALF)
    begun = time.monotonic()

    found = list(AreaPlan(SCHEME, [level], area).bundles(level, {(128, 256), (1 << 21, 1 << 21)}))
    polygon = list(AreaPlan(SCHEME, [level], WORLD).bundles(level, set()))

    assert [block for block, mask in found if mask.all()] == [
        TileRange(128, 255, 256, 383),
        TileRange(1 << 21, (1 << 21) + 127, 1 << 21, (1 << 21) + 127),
    ]
    assert polygon == []
    assert time.monotonic() - begun < 2
