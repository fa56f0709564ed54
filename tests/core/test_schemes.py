"""Tiling schemes to make caches with: against published numbers, and arithmetic by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tile_cache_manager.plugin.core.errors import BadScheme, BadSchemeReason
from tile_cache_manager.plugin.core.esri_wkt import (
    DEGREE_METRES,
    code_of,
    is_geographic,
    metres_per_unit,
)
from tile_cache_manager.plugin.core.schemes import (
    WEB_MERCATOR,
    WGS84,
    area_of,
    counted_from_zero,
    scheme_of_scales,
    standard_origin,
    web_mercator,
    wgs84,
    with_dpi,
    with_tile_size,
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
UTM = SpatialReference(25832)
# Scales of the services of ArcGIS Online, as published.
ESRI_SCALES = {
    0: 591657527.591555,
    1: 295828763.795777,
    4: 36978595.474472,
    10: 577790.554289,
    19: 1128.497176,
    22: 141.062147,
}


@pytest.mark.parametrize(("level_id", "scale"), ESRI_SCALES.items())
def test_scales_of_web_mercator_are_those_that_esri_publishes(level_id, scale):
    assert web_mercator().level(level_id).scale == pytest.approx(scale, rel=2e-9)


def test_resolutions_of_web_mercator_are_those_of_xyz_services_to_the_last_bit():
    scheme = web_mercator()

    assert scheme.level(0).resolution == 2 * math.pi * 6378137 / 256
    for level in scheme.levels:
        assert scheme.tile_size(level)[0] * 2**level.id == 2 * HALF


@pytest.mark.parametrize(
    ("made", "last", "across"),
    [
        (web_mercator(), 22, 2**30),
        (web_mercator(512), 21, 2**30),
        (web_mercator(finest=5), 5, 256 * 32),
        (wgs84(), 21, 2**30),
        (wgs84(512), 20, 2**30),
    ],
)
def test_the_finest_level_is_the_last_that_gdal_can_open(made, last, across):
    assert [level.id for level in made.levels] == list(range(last + 1))
    assert -2 * made.origin_x / made.levels[-1].resolution == across


@pytest.mark.parametrize("made", [web_mercator, wgs84])
@pytest.mark.parametrize("size", [128, 512, 1024])
def test_tiles_of_any_size_lie_where_those_of_256_pixels_do(made, size):
    usual, other = made(256), made(size)

    for level in other.levels[:12]:
        for row, col in ((0, 0), (5, 7)):
            assert other.tile_bounds(level, row, col) == usual.tile_bounds(
                usual.level(level.id), row, col
            )
        assert level.scale == usual.level(level.id).scale * 256 / size


def test_wgs84_begins_with_two_tiles_and_has_the_scale_that_esri_publishes():
    scheme = wgs84()
    first = scheme.level(0)

    # 0.703125 degrees at 1:295829355.454566 (ArcGIS services in EPSG:4490, level 1 of 1.40625)
    assert (first.resolution, first.scale) == (0.703125, pytest.approx(295829355.454566, rel=1e-14))
    assert scheme.tiles_of_extent(first, Extent(-180, -90, 180, 90)) == TileRange(0, 0, 0, 1)


@pytest.mark.parametrize("dpi", [72, 96, 192])
def test_resolutions_do_not_depend_on_dots_per_inch_but_scales_do(dpi):
    assert [e.resolution for e in web_mercator(dpi=dpi).levels] == [
        e.resolution for e in web_mercator().levels
    ]
    assert web_mercator(dpi=dpi).level(3).scale == web_mercator().level(3).scale * dpi / 96
    assert with_dpi(web_mercator(), dpi) == web_mercator(dpi=dpi)


def test_another_tile_size_keeps_tiles():
    assert with_tile_size(web_mercator(finest=9), 512) == web_mercator(512, finest=9)


# A scale of 1:96 at 96 dots per inch is an inch of the ground in a pixel's inch: 0.0254 m a pixel.
@pytest.mark.parametrize(
    ("scales", "metres", "dpi", "levels"),
    [
        ([96.0], 1.0, 96, [(96.0, 0.0254)]),
        ([96.0], 1.0, 48, [(96.0, 0.0508)]),
        ([96.0], 0.3048, 96, [(96.0, 1 / 12)]),
        ([1000, 25000, 5000.0, 1000.0], 1.0, 100 * 2.54, [(25000, 2.5), (5000, 0.5), (1000, 0.1)]),
        ([295829355.4545656], DEGREE_METRES, 96, [(295829355.4545656, 0.703125)]),
    ],
)
def test_resolutions_of_scales(scales, metres, dpi, levels):
    made = scheme_of_scales(scales, UTM, -10.0, 20.0, metres, 512, dpi)

    assert (made.origin_x, made.origin_y, made.tile_width, made.dpi) == (-10.0, 20.0, 512, dpi)
    assert [level.id for level in made.levels] == list(range(len(levels)))
    assert [level.scale for level in made.levels] == [scale for scale, _ in levels]
    for level, (_, resolution) in zip(made.levels, levels):
        assert level.resolution == pytest.approx(resolution, rel=1e-14)


@pytest.mark.parametrize(
    ("scales", "metres", "reason"),
    [
        ([], 1.0, BadSchemeReason.NO_LEVELS),
        ([1000, 0], 1.0, BadSchemeReason.NO_LEVELS),
        ([1000, -5], 1.0, BadSchemeReason.NO_LEVELS),
        ([math.inf], 1.0, BadSchemeReason.NO_LEVELS),
        ([math.nan], 1.0, BadSchemeReason.NO_LEVELS),
        (range(1, 102), 1.0, BadSchemeReason.TOO_FINE),
        ([1000, 1e-300], 1.0, BadSchemeReason.TOO_FINE),
        ([0.5], 1.0, BadSchemeReason.TOO_FINE),
        ([1e300, 1000], 1.0, BadSchemeReason.TOO_COARSE),
        ([1e13], 1.0, BadSchemeReason.TOO_COARSE),
        ([1000], 0.0, BadSchemeReason.NO_CRS),
        ([1000], math.nan, BadSchemeReason.NO_CRS),
    ],
)
def test_no_scheme_of_these_scales(scales, metres, reason):
    with pytest.raises(BadScheme) as caught:
        scheme_of_scales(scales, UTM, 0.0, 0.0, metres)

    assert caught.value.reason is reason


def scheme(*levels):
    return TilingScheme(-1e6, 1e6, 256, 256, 96, UTM, tuple(Level(*level) for level in levels))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([(0, 8, 80), (1, 3, 30)], [(0, 8, 80), (1, 3, 30)]),
        ([(2, 8, 80)], [(0, 32, 320), (1, 16, 160), (2, 8, 80)]),
        ([(0, 90, 9), (2, 10, 1)], [(0, 90, 9), (1, 30, 3), (2, 10, 1)]),
        (
            [(1, 64, 64), (4, 8, 8)],
            [(0, 128, 128), (1, 64, 64), (2, 32, 32), (3, 16, 16), (4, 8, 8)],
        ),
        ([(5, 8, 80), (4, 4, 40)], [(5, 8, 80), (4, 4, 40)]),
    ],
    ids=["complete", "begins later", "gap", "both", "the wrong way round"],
)
def test_levels_are_counted_from_zero(before, after):
    made = counted_from_zero(scheme(*before))
    if before[0][0] > before[-1][0]:  # nothing to be done
        assert made == scheme(*before)
        return

    assert [level.id for level in made.levels] == [each[0] for each in after]
    for level, (_, resolution, scale) in zip(made.levels, after):
        assert (level.resolution, level.scale) == pytest.approx((resolution, scale))
    assert set(scheme(*before).levels) <= set(made.levels)


def test_what_is_added_to_some_of_the_usual_levels_are_the_others():
    usual = web_mercator()
    some = replace(usual, levels=tuple(usual.levels[n] for n in (2, 9, 22)))

    assert [e.id for e in counted_from_zero(some).levels] == list(range(23))
    assert [e.resolution for e in counted_from_zero(some).levels] == [
        e.resolution for e in usual.levels
    ]


@pytest.mark.parametrize(
    ("crs", "extent", "origin"),
    [
        (UTM, Extent(280000, 5235000, 922000, 6102000), (-5120900.0, 9998100.0)),
        (SpatialReference(2056), Extent(2485000, 1075000, 2834000, 1296000), (-5120900, 9998100)),
        (
            SpatialReference(31468),
            Extent(4300000, 5200000, 5800000, 6100000),
            (-20037700, 30241100),
        ),
        (SpatialReference(2263), Extent(9e7, 1e5, 1.1e8, 3e5), (-1.2e8, 1.2e8)),
        (UTM, Extent(0, 0, 3e8, 1), (-(2.0**29), 2.0**29)),
        (WGS84, Extent(5, 45, 11, 48), (-180, 90)),
        (SpatialReference(4258), Extent(5, 45, 191, 48), (-400, 400)),
    ],
)
def test_a_standard_origin_has_all_of_the_extent_within_its_mirror_image(crs, extent, origin):
    assert standard_origin(crs, extent) == origin
    assert max(map(abs, (extent.xmin, extent.xmax))) <= -origin[0]
    assert max(map(abs, (extent.ymin, extent.ymax))) <= origin[1]


@pytest.mark.parametrize(
    ("made", "area"),
    [
        (web_mercator(), Extent(-HALF, -HALF, HALF, HALF)),
        (wgs84(), Extent(-180, -90, 180, 90)),
        (
            TilingScheme(-400, 400, 256, 256, 96, WGS84, (Level(0, 1, 1),)),
            Extent(-180, -90, 180, 90),
        ),
        (TilingScheme(0, 40, 256, 256, 96, WGS84, (Level(0, 1, 1),)), Extent(0, -90, 180, 40)),
        (TilingScheme(5.0, 7.0, 10, 20, 96, UTM, (Level(0, 1, 1),)), Extent(5, 7 - 2560, 1285, 7)),
        (
            TilingScheme(0.0, 0.0, 256, 256, 96, UTM, (Level(0, 1e4, 1), Level(1, 0.01, 1))),
            Extent(0, -0.01 * (2**31 - 1), 0.01 * (2**31 - 1), 0),
        ),
    ],
    ids=["web", "degrees", "from -400", "a quarter", "128 tiles", "what GDAL opens"],
)
def test_the_area_of_a_scheme(made, area):
    assert area_of(made).bounds == pytest.approx(area.bounds)


FEET = (
    'PROJCS["NAD_1983_StatePlane_New_York_Long_Island_FIPS_3104_Feet",GEOGCS["GCS_North_American_'
    '1983",DATUM["D_North_American_1983",SPHEROID["GRS_1980",6378137.0,298.257222101]],PRIMEM['
    '"Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Lambert_Conformal_Conic"],'
    'UNIT["Foot_US",0.3048006096012192]'
)


@pytest.mark.parametrize(
    ("crs", "metres", "geographic"),
    [
        (WEB_MERCATOR, 1.0, False),
        (SpatialReference(102100), 1.0, False),
        (WGS84, DEGREE_METRES, True),
        (SpatialReference(4258), DEGREE_METRES, True),
        (SpatialReference(25832), None, False),
        (SpatialReference(None, None, FEET + "]"), 0.3048006096012192, False),
        (
            SpatialReference(None, None, FEET + ',AUTHORITY["EPSG",2263]]'),
            0.3048006096012192,
            False,
        ),
        (
            SpatialReference(None, None, FEET + '],VERTCS["NAVD_1988",UNIT["Meter",1.0]]'),
            0.3048006096012192,
            False,
        ),
        (SpatialReference(None, None, "nonsense"), None, False),
        (SpatialReference(None, None, 'PROJCS["x",UNIT["y",-1.0]]'), None, False),
        (SpatialReference(None, None, 'PROJCS["x",UNIT["y",1e-e-e]]'), None, False),
    ],
)
def test_units_of_a_crs(crs, metres, geographic):
    assert (metres_per_unit(crs), is_geographic(crs)) == (metres, geographic)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("EPSG:25832", 25832),
        (" epsg : 4326 ", 4326),
        ("ESRI:102100", 102100),
        (FEET + ',AUTHORITY["EPSG",2263]]', 2263),
        (FEET + ',AUTHORITY["EPSG","2263"]]', 2263),
        (FEET + "]", None),
        ('PROJCS["x",GEOGCS["y",AUTHORITY["EPSG",4326]],UNIT["Meter",1.0]]', None),
        ("EPSG:", None),
        ("", None),
    ],
)
def test_codes_in_texts_of_a_crs(text, code):
    assert code_of(text) == code
