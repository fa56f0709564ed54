"""Tiles at the edge of an area: merged, overwritten, clipped, pixel by pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from core.export.fakes import (
    HALF,
    ListSource,
    NoPixels,
    PlainPixels,
    all_tiles,
    decoded,
    encoded,
    make_cache,
    noise,
    over,
    profile_of,
    small_scheme,
)
from shapely.geometry import MultiPolygon, Point, Polygon, box

from tile_cache_manager.plugin.core.errors import FormatNotDrawn
from tile_cache_manager.plugin.core.export.edges import EdgeTiles
from tile_cache_manager.plugin.core.export.part_mask import inside
from tile_cache_manager.plugin.core.export.parts_of_tiles import Parts
from tile_cache_manager.plugin.core.export.request import Overwrite
from tile_cache_manager.plugin.core.local.source import PartlyDrawn, Supertile
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.tiling import Extent, TileRange

SCHEME = small_scheme(finest=3)
LEVEL = SCHEME.level(2)
SIDE = SCHEME.tile_width
MERGE, OVERWRITE = Overwrite.MERGE, Overwrite.OVERWRITE

HOLED = Polygon(
    Point(1e6, -2e6).buffer(1.3e7).exterior.coords, [Point(4e6, 1e6).buffer(3e6).exterior.coords]
)
TWO = MultiPolygon(
    [Polygon([(-1.9e7, 1.9e7), (-3e6, 1.1e7), (-1.5e7, -1e6)]), box(3e6, -1.7e7, 1.4e7, -4e6)]
)
TILE = 2 * HALF / 4
AREAS = {
    "a ring": HOLED,
    "two parts": TWO,
    "a rectangle": Extent(-1.23e7, -0.7e7, 1.11e7, 0.9e7),
}


def drawn(
    folder: Path,
    old: dict[tuple[int, int], Any],
    new: dict[tuple[int, int], Any],
    area: Any,
    overwrite: Overwrite,
    is_clipped: bool = False,
    pixels: Any = None,
) -> dict[tuple[int, int], bytes]:
    """What of the tiles `new` is to be stored at LEVEL of a cache that has `old`; as pixels."""
    tiles = {(LEVEL.id, *tile): encoded(each) for tile, each in old.items()}
    path = make_cache(folder / "target", profile_of(SCHEME), tiles)
    source = ListSource({(LEVEL.id, *tile): encoded(each) for tile, each in new.items()})
    with open_store(path, for_writing=True) as store:
        edges = EdgeTiles(
            source, store, {LEVEL.id: area}, overwrite, is_clipped, pixels or PlainPixels()
        )
        edges.start(store.profile)
        block = TileRange(0, 3, 0, 3)
        result = edges.draw(Supertile(LEVEL, block, np.ones((4, 4), bool)), lambda: False)
        edges.close()
    assert not isinstance(result, PartlyDrawn)
    return dict(result)


def is_inside(area: Any, row: int, col: int) -> Any:
    """Which pixels of a tile of LEVEL have their middle in `area`, in the scheme's CRS."""
    bounds = SCHEME.tile_bounds(LEVEL, row, col)
    whole = box(*area.bounds) if isinstance(area, Extent) else area
    middle = [
        [
            Point(
                bounds.xmin + (x + 0.5) * LEVEL.resolution,
                bounds.ymax - (y + 0.5) * LEVEL.resolution,
            )
            for x in range(SIDE)
        ]
        for y in range(SIDE)
    ]
    return np.array([[whole.contains(point) for point in line] for line in middle])


@pytest.mark.parametrize("area", AREAS.values(), ids=AREAS.keys())
@pytest.mark.parametrize("alpha", [255, None], ids=["opaque", "shining through"])
@pytest.mark.parametrize(
    ("overwrite", "is_clipped"),
    [(MERGE, False), (MERGE, True), (OVERWRITE, False), (OVERWRITE, True)],
)
def test_every_pixel_is_the_one_it_should_be(
    tmp_path: Path, area: Any, alpha: int | None, overwrite: Overwrite, is_clipped: bool
) -> None:
    places = [(row, col) for _z, row, col in all_tiles([LEVEL.id])]
    old = {(r, c): noise(r * 10 + c) for r, c in places if (r + c) % 3}
    new = {(r, c): noise(500 + r * 10 + c, alpha=alpha) for r, c in places if (r, c) != (1, 1)}

    result = drawn(tmp_path, old, new, area, overwrite, is_clipped)

    seen = set()
    for tile in places:
        mask = is_inside(area, *tile)
        if tile not in new:
            assert tile not in result, "a gap stays one"
            continue
        if tile not in result:
            assert not mask.any(), "left out though the area reaches into it"
            continue
        expected = new[tile].copy()
        if overwrite is MERGE and tile in old:
            expected = old[tile].copy()
            for row, col in np.argwhere(mask).tolist():
                expected[row, col] = over(old[tile][row, col], new[tile][row, col])
        elif is_clipped:
            expected[~mask] = 0
        np.testing.assert_array_equal(decoded(result[tile]), expected, err_msg=str(tile))
        seen.add((tile in old, bool(mask.all())))
    assert {is_old for is_old, _whole in seen} == {True, False}


@pytest.mark.parametrize("overwrite", list(Overwrite))
@pytest.mark.parametrize(
    "nudge", [0.0, 1e-6, -1e-6], ids=["exact", "a little too large", "a little too small"]
)
def test_a_rectangle_on_tile_edges_leaves_bytes_alone(
    tmp_path: Path, overwrite: Overwrite, nudge: float
) -> None:
    area = Extent(-TILE - nudge, -TILE - nudge, TILE + nudge, TILE + nudge)
    new = {(row, col): noise(row * 10 + col) for row in (1, 2) for col in (1, 2)}
    old = {tile: noise(99) for tile in new}

    class Opaque(NoPixels):
        def is_opaque(self, picture: bytes) -> bool:
            return True

    result = drawn(tmp_path, old, new, area, overwrite, is_clipped=True, pixels=Opaque())

    assert result == {tile: encoded(pixels) for tile, pixels in new.items()}


def test_the_whole_cache_has_no_edge(tmp_path: Path) -> None:
    new = {(0, 0): noise(1, alpha=None), (3, 3): noise(2, alpha=None)}
    result = drawn(tmp_path, {}, new, None, MERGE, is_clipped=True, pixels=NoPixels())
    assert result == {tile: encoded(pixels) for tile, pixels in new.items()}


def test_a_tile_that_is_the_same_stays_as_it_is(tmp_path: Path) -> None:
    same = {(1, 1): noise(1, alpha=100), (0, 0): noise(2, alpha=100)}
    result = drawn(tmp_path, same, same, Extent(-HALF, 1e6, 1e6, HALF), MERGE, pixels=NoPixels())
    assert result == {tile: encoded(pixels) for tile, pixels in same.items()}


@pytest.mark.parametrize("is_clipped", [False, True])
def test_what_a_dead_run_had_merged_is_not_merged_again(tmp_path: Path, is_clipped: bool) -> None:
    area = Extent(-HALF, -HALF + 1e6, HALF - 1e6, HALF)
    old = {(3, 3): noise(1), (1, 1): noise(2)}
    new = {tile: noise(50 + n, alpha=90) for n, tile in enumerate([(3, 3), (1, 1), (3, 0)])}
    path = make_cache(
        tmp_path / "target",
        profile_of(SCHEME),
        {(LEVEL.id, *tile): encoded(each) for tile, each in old.items()},
    )
    block = Supertile(LEVEL, TileRange(0, 3, 0, 3), np.ones((4, 4), bool))
    runs = []
    for _run in range(2):
        source = ListSource({(LEVEL.id, *tile): encoded(each) for tile, each in new.items()})
        with open_store(path, for_writing=True) as store:
            edges = EdgeTiles(source, store, {LEVEL.id: area}, MERGE, is_clipped, PlainPixels())
            edges.start(store.profile)
            result = dict(edges.draw(block, lambda: False))
            store.write(LEVEL.id, result)  # and is killed before that is written down
            edges.close()
        runs.append(result)
    assert runs[0] == runs[1]
    assert decoded(runs[0][1, 1]).tolist() != decoded(encoded(old[1, 1])).tolist()


def test_a_repeated_merge_draws_what_has_changed_since(tmp_path: Path) -> None:
    """The first run left some failed tiles, so its record is still there."""
    path = make_cache(tmp_path / "t", profile_of(SCHEME), {(2, 1, 1): encoded(noise(1))})
    block = Supertile(LEVEL, TileRange(0, 3, 0, 3), np.ones((4, 4), bool))
    new, changed = noise(2, alpha=90), noise(3, alpha=90)
    results = []
    for above in (new, new, changed):
        source = ListSource({(2, 1, 1): encoded(above)})
        with open_store(path, for_writing=True) as store:
            edges = EdgeTiles(source, store, {2: None}, MERGE, False, PlainPixels())
            edges.start(store.profile)
            results.append(edges.draw(block, lambda: False)[1, 1])
            store.write(2, {(1, 1): results[-1]})
            edges.close()
    assert results[0] == results[1]
    first = decoded(results[0])
    wanted = [[over(first[y, x], changed[y, x]).tolist() for x in range(SIDE)] for y in range(SIDE)]
    assert np.abs(decoded(results[2]).astype(int) - np.array(wanted)).max() <= 1


def test_another_export_merges_anew(tmp_path: Path) -> None:
    """The record is of one export: another one over the same tiles draws them once more."""
    path = make_cache(tmp_path / "t", profile_of(SCHEME), {(2, 1, 1): encoded(noise(1))})
    block = Supertile(LEVEL, TileRange(0, 3, 0, 3), np.ones((4, 4), bool))
    results = []
    for area in (None, Extent(-HALF, 0, 0, HALF)):
        source = ListSource({(2, 1, 1): encoded(noise(2, alpha=90))})
        with open_store(path, for_writing=True) as store:
            edges = EdgeTiles(source, store, {2: area}, MERGE, False, PlainPixels())
            edges.start(store.profile)
            results.append(edges.draw(block, lambda: False)[1, 1])
            store.write(2, {(1, 1): results[-1]})
            edges.close()
    assert results[0] != results[1]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (encoded(noise(1)), b"no picture at all", "no picture"),
        (encoded(noise(1)), encoded(noise(1, side=16)), "16 x 16"),
        (encoded(noise(1, side=64)), encoded(noise(1)), "64 x 64"),
    ],
)
def test_a_picture_that_cannot_be_merged_fails_alone(
    tmp_path: Path, old: bytes, new: bytes, words: str
) -> None:
    class Curious(PlainPixels):
        def is_opaque(self, picture: bytes) -> bool:
            return False

    path = make_cache(tmp_path / "t", profile_of(SCHEME), {(2, 1, 1): old})
    good = encoded(noise(7))
    source = ListSource({(2, 1, 1): new, (2, 1, 2): good})
    with open_store(path, for_writing=True) as store:
        edges = EdgeTiles(source, store, {2: None}, MERGE, False, Curious())
        edges.start(store.profile)
        block = Supertile(LEVEL, TileRange(0, 3, 0, 3), np.ones((4, 4), bool))
        result = edges.draw(block, lambda: False)
        edges.close()
    assert isinstance(result, PartlyDrawn)
    assert dict(result) == {(1, 2): good}
    assert words in str(result.failed[1, 1])
    assert "2/1/1" in str(result.failed[1, 1])


def test_a_format_nobody_can_draw_is_not_merged(tmp_path: Path) -> None:
    path = make_cache(tmp_path / "t", profile_of(SCHEME), {})
    with open_store(path) as store:
        edges = EdgeTiles(ListSource({}), store, {2: None}, MERGE, False, NoPixels())
        with pytest.raises(FormatNotDrawn):
            edges.start(profile_of(SCHEME, image_format="LERC"))


@pytest.mark.parametrize("seed", range(12))
def test_masks_are_those_of_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-10, 42, (rng.integers(3, 9), 2))
    part = Polygon(corners).buffer(0)
    other = Point(*rng.uniform(0, 32, 2)).buffer(rng.uniform(2, 12), 5)
    part = [part, part.difference(other), part.union(other)][seed % 3]
    expected = [[part.contains(Point(x + 0.5, y + 0.5)) for x in range(40)] for y in range(24)]
    assert inside(part, 40, 24).tolist() == expected


def test_parts_far_from_the_origin_are_snapped() -> None:
    """As published, level 19's resolution is short of the true one: the far edge still is one."""
    fine = small_scheme(finest=19, side=256)
    level = fine.level(19)
    bounds = fine.tile_bounds(level, 400_000, 500_000)
    area = Extent(bounds.xmin + 2e-4, bounds.ymin + 2e-4, bounds.xmax - 2e-4, bounds.ymax - 2e-4)
    near = TileRange(400_000, 400_000, 500_000, 500_000)
    assert Parts(fine, {19: area}).of(19, near).of(400_000, 500_000) is None
    half = Extent(bounds.xmin, bounds.ymin, (bounds.xmin + bounds.xmax) / 2, bounds.ymax)
    part = Parts(fine, {19: half}).of(19, near).of(400_000, 500_000)
    assert part is not None
    assert part.bounds == pytest.approx((0, 0, 128, 256), abs=1e-4)
