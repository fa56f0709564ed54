"""Areas cut in smaller ones along bundle edges: nothing is lost, nothing is done twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from shapely.geometry import Polygon, box
from shapely.ops import unary_union

from tile_cache_manager.plugin.core.arcgis.isolation import bundles, pieces
from tile_cache_manager.plugin.core.coverage import cover
from tile_cache_manager.plugin.core.tiling import Extent, Level, SpatialReference, TilingScheme

LEVELS = tuple(
    Level(at, 156543.03392800014 / 2**at, 591657527.591555 / 2**at) for at in range(0, 13)
)
HALF = 20037508.342787
SCHEME = TilingScheme(-HALF, HALF, 256, 256, 96, SpatialReference(102100, 3857), LEVELS)
# origin anywhere, tiles that are no squares, levels not halved
ODD = TilingScheme(
    1000.5,
    99000.25,
    100,
    60,
    96,
    SpatialReference(25832),
    (Level(3, 1.3, 5000.0), Level(5, 0.7, 2500.0)),
)

BUNDLE_10 = 128 * 256 * LEVELS[10].resolution
RING = Polygon(
    [(-9e6, -4e6), (11e6, -2e6), (8e6, 7e6), (-6e6, 9e6)],
    [[(-1e6, 0), (3e6, 0.5e6), (1e6, 4e6)]],
)
SCATTERED = unary_union(
    [box(x, x / 2, x + 1e4, x / 2 + 1e4) for x in range(-15_000_000, 15_000_000, 2_500_000)]
)
AREAS: list[tuple[Any, TilingScheme, int]] = [
    (box(-2e5, -2e5, 2e5, 2e5), SCHEME, 9),
    (RING, SCHEME, 9),
    (SCATTERED, SCHEME, 11),
    (Extent(-1e6, -1e6, 3e6, 2e6), SCHEME, 11),
    (Extent(-HALF, -HALF, HALF, HALF), SCHEME, 8),
    # edges of the area on edges of bundles
    (Extent(-BUNDLE_10, 0, BUNDLE_10, BUNDLE_10), SCHEME, 10),
    (box(-BUNDLE_10, 0, BUNDLE_10, BUNDLE_10), SCHEME, 10),
    (Polygon([(1100, 90000), (22000, 97000), (12000, 83000)]), ODD, 5),
    (Extent(1000.5, 80000.25, 30000, 99000.25), ODD, 3),
]  # fmt: skip


def leaves(scheme: TilingScheme, levels: tuple[Level, ...], area: Any) -> Iterator[Any]:
    found = pieces(scheme, levels, area)
    if not found:
        yield levels, area
    for some, piece in found:
        yield from leaves(scheme, some, piece)


def tiles(scheme: TilingScheme, level: Level, area: Any) -> set[tuple[int, int]]:
    return set(cover(scheme, level, area).tiles())


@pytest.mark.parametrize(("area", "scheme", "level_id"), AREAS)
def test_the_bundles_of_an_area(area: Any, scheme: TilingScheme, level_id: int) -> None:
    level = scheme.level(level_id)
    whole = tiles(scheme, level, area)
    expected = {(row // 128, col // 128) for row, col in whole}

    found: set[tuple[int, int]] = set()
    for levels, piece in leaves(scheme, (level,), area):
        own = tiles(scheme, level, piece)
        (bundle,) = {(row // 128, col // 128) for row, col in own}
        assert levels == (level,)
        assert bundle not in found
        assert own == {tile for tile in whole if (tile[0] // 128, tile[1] // 128) == bundle}
        found.add(bundle)

    assert found == expected
    assert len(expected) > 1


def test_levels_come_first() -> None:
    levels = LEVELS[7:10]

    found = pieces(SCHEME, levels, RING)

    assert found == tuple(((level,), RING) for level in levels)


def test_levels_without_tiles_are_left_out() -> None:
    outside = Extent(-9e7, 3e7, -8e7, 4e7)

    assert pieces(SCHEME, LEVELS[3:6], outside) == ()
    assert bundles(SCHEME, LEVELS[3], outside) is None


@pytest.mark.parametrize(
    ("levels", "area"),
    [
        ((LEVELS[7],), RING),
        ((LEVELS[12],), box(10, 10, 20, 20)),
        ((), RING),
    ],
    ids=["a whole bundle", "a tile", "no level"],
)
def test_what_is_not_cut_any_more(levels: tuple[Level, ...], area: Any) -> None:
    assert pieces(SCHEME, levels, area) == ()
