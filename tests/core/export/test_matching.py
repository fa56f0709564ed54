"""Whether tiles of one cache are tiles of another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from core.export.fakes import HALF, profile_of

from tile_cache_manager.plugin.core.errors import Differs
from tile_cache_manager.plugin.core.export.matching import differences, level_map
from tile_cache_manager.plugin.core.schemes import (
    scheme_of_scales,
    web_mercator,
    wgs84,
    with_dpi,
    with_tile_size,
)
from tile_cache_manager.plugin.core.tiling import Level, SpatialReference, TilingScheme

WEB = web_mercator(256, finest=22)
SWISS = scheme_of_scales([500000, 250000, 100000], SpatialReference(2056), 2e6, 1.5e6, 1.0)


def as_published(digits: int = 15) -> TilingScheme:
    """Web Mercator as services publish it: cut off, Esri's origin, one of its older codes."""
    levels = tuple(
        Level(e.id, float(f"{e.resolution:.{digits}g}"), float(f"{e.scale:.9g}"))
        for e in WEB.levels
    )
    return replace(
        WEB,
        origin_x=-20037508.342787,
        origin_y=20037508.342787,
        crs=SpatialReference(102100),
        levels=levels,
    )


def esri_level_19() -> TilingScheme:
    """With the resolution that Esri's own services give for level 19 (World_Street_Map)."""
    levels = [replace(e, resolution=0.298582141647617) if e.id == 19 else e for e in WEB.levels]
    return replace(WEB, levels=tuple(levels))


def moved(scheme: TilingScheme, pixels: float) -> TilingScheme:
    return replace(scheme, origin_x=scheme.origin_x + pixels * scheme.levels[-1].resolution)


def stretched(scheme: TilingScheme, part: float) -> TilingScheme:
    levels = tuple(replace(e, resolution=e.resolution * (1 + part)) for e in scheme.levels)
    return replace(scheme, levels=levels)


CRS, ORIGIN, SIZE = Differs.CRS, Differs.ORIGIN, Differs.TILE_SIZE
SCALES, FORMAT = Differs.SCALES, Differs.TILE_FORMAT

SCHEMES: dict[str, tuple[TilingScheme, TilingScheme, set[Differs]]] = {
    "the same": (WEB, WEB, set()),
    "as published": (WEB, as_published(), set()),
    "as published, the other way": (as_published(), WEB, set()),
    "level 19 of Esri": (WEB, esri_level_19(), set()),
    "scales counted with another dpi": (WEB, with_dpi(WEB, 90.7), set()),
    "fewer levels": (WEB, replace(WEB, levels=WEB.levels[3:9]), set()),
    "more levels": (replace(WEB, levels=WEB.levels[3:9]), WEB, {SCALES}),
    "a tenth of a pixel": (WEB, moved(WEB, 0.1), set()),
    "half a pixel": (WEB, moved(WEB, 0.5), {ORIGIN}),
    "a whole tile": (WEB, moved(WEB, 256), {ORIGIN}),
    "a pixel at the far end": (SWISS, stretched(SWISS, 1e-5), {SCALES}),
    "a tenth of a millionth": (WEB, stretched(WEB, 1e-7), {SCALES}),
    "other scales": (SWISS, scheme_of_scales([50000], SWISS.crs, 2e6, 1.5e6, 1.0), {SCALES}),
    "larger tiles, same scales": (
        SWISS,
        replace(SWISS, tile_width=512, tile_height=512),
        {SIZE},
    ),
    "larger pictures of the same tiles": (
        replace(WEB, levels=WEB.levels[:3]),
        with_tile_size(replace(WEB, levels=WEB.levels[:3]), 512),
        {SIZE, SCALES},
    ),
    "another CRS": (SWISS, replace(SWISS, crs=SpatialReference(21781)), {CRS}),
    "degrees": (WEB, wgs84(256), {CRS, ORIGIN, SCALES}),
}


@pytest.mark.parametrize(("own", "other", "expected"), SCHEMES.values(), ids=SCHEMES.keys())
def test_schemes(own: TilingScheme, other: TilingScheme, expected: set[Differs]) -> None:
    found = differences(profile_of(own), other, "PNG32", other.levels)
    assert set(found) == expected
    assert list(found) == sorted(found, key=list(Differs).index)


def test_only_the_chosen_levels_count() -> None:
    few = replace(WEB, levels=WEB.levels[3:9])
    assert differences(profile_of(few), WEB, "PNG32", WEB.levels[4:6]) == ()
    assert differences(profile_of(few), WEB, "PNG32", WEB.levels[8:10]) == (SCALES,)


FORMATS: list[tuple[str, str, bool]] = [
    ("PNG", "PNG", True),
    ("PNG", "PNG8", True),
    ("PNG8", "PNG32", True),
    ("PNG24", "PNG32", True),
    ("PNG32", "png24", True),
    ("PNG", "JPEG", False),
    ("PNG32", "MIXED", False),
    ("JPEG", "JPEG", True),
    ("JPEG", "PNG24", False),
    ("JPEG", "MIXED", False),
    ("MIXED", "MIXED", True),
    ("MIXED", "JPEG", True),
    ("MIXED", "PNG32", True),
    ("LERC", "LERC", True),
    ("LERC", "PNG", False),
    ("PNG", "LERC", False),
    ("WEBP", "PNG", False),
]


@pytest.mark.parametrize(("own", "other", "fits"), FORMATS)
def test_tile_formats(own: str, other: str, fits: bool) -> None:
    found = differences(profile_of(WEB, image_format=own), WEB, other, WEB.levels)
    assert found == (() if fits else (FORMAT,))


MAPS: list[tuple[Any, Any, dict[int, int]]] = [
    (SWISS, SWISS, {0: 0, 1: 1, 2: 2}),
    (
        SWISS,
        replace(SWISS, levels=tuple(replace(e, id=e.id + 7) for e in SWISS.levels)),
        {0: 7, 1: 8, 2: 9},
    ),
    (SWISS, replace(SWISS, levels=SWISS.levels[1:]), {1: 1, 2: 2}),
    (replace(SWISS, levels=SWISS.levels[1:]), SWISS, {1: 1, 2: 2}),
    (SWISS, replace(SWISS, levels=()), {}),
    (WEB, as_published(), {z: z for z in range(23)}),
    (WEB, stretched(WEB, 1e-7), {z: z for z in range(16)}),
]


@pytest.mark.parametrize(("scheme", "other", "expected"), MAPS)
def test_levels_are_found_by_resolution(scheme: Any, other: Any, expected: dict[int, int]) -> None:
    found = level_map(scheme, other)
    assert {z: found[z] for z in found if z in expected} == expected
    assert len(found) == len(expected)


def test_no_tile_is_off_by_a_pixel() -> None:
    """At the far end of the world, grids of levels that count as one are less than that apart."""
    for part in (3e-10, 1e-9, 1e-8, 1e-7, 1e-6):
        other = stretched(WEB, part)
        for level_id in level_map(WEB, other):
            pixels = 2 * HALF / WEB.level(level_id).resolution
            assert pixels * part < 1.01, (part, level_id)
