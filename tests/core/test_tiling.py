"""Points, tiles and bundles: published tile numbers, and integer arithmetic by hand."""

from __future__ import annotations

import math

import pytest
from shapely.geometry import box
from shapely.prepared import prep

from tile_cache_manager.plugin.core.errors import UnknownScale
from tile_cache_manager.plugin.core.tiling import (
    SNAP,
    WEB_MERCATOR_HALF,
    Extent,
    Level,
    SpatialReference,
    TileRange,
    TilingScheme,
    bundle_of,
)

HALF = WEB_MERCATOR_HALF
XYZ = TilingScheme(
    -HALF,
    HALF,
    256,
    256,
    96,
    SpatialReference(102100, 3857),
    tuple(Level(z, 2 * HALF / 256 / 2**z, 559082264.028 * 2.0**-z) for z in range(24)),
)
# The resolutions of Esri's Web Mercator services as they publish them (ArcGIS Online, 24 levels).
ESRI_RESOLUTIONS = [
    156543.03392800014, 78271.51696399994, 39135.75848200009, 19567.87924099992,
    9783.93962049996, 4891.96981024998, 2445.98490512499, 1222.992452562495,
    611.4962262813797, 305.74811314055756, 152.87405657041106, 76.43702828507324,
    38.21851414253662, 19.10925707126831, 9.554628535634155, 4.77731426794937,
    2.388657133974685, 1.1943285668550503, 0.5971642835598172, 0.29858214164761665,
    0.14929107082380833, 0.07464553541190416, 0.03732276770595208, 0.01866138385297604,
]  # fmt: skip
ESRI = TilingScheme(
    -20037508.342787,
    20037508.342787,
    256,
    256,
    96,
    SpatialReference(102100, 3857),
    tuple(Level(z, r, 591657527.591555 * 2.0**-z) for z, r in enumerate(ESRI_RESOLUTIONS)),
)
# Tiles of 256 x 512 units, rows and columns easy to reckon by head.
HAND = TilingScheme(
    1000.0, 9000.0, 256, 512, 96, SpatialReference(3035), (Level(7, 1.0, 3779.5), Level(3, 0.5, 1))
)


def web_mercator(lon: float, lat: float) -> tuple[float, float]:
    """Web Mercator metres of a longitude and latitude in degrees (EPSG method 1024)."""
    radius = 6378137.0
    return radius * math.radians(lon), radius * math.asinh(math.tan(math.radians(lat)))


@pytest.mark.parametrize(
    ("lon", "lat", "zoom", "x", "y"),
    [
        pytest.param(139.7006793, 35.6590699, 18, 232798, 103246, id="Shibuya, OSM wiki"),
        pytest.param(20.6852, 40.1222, 9, 285, 193, id="mercantile's test_tile"),
        pytest.param(-105 + 1e-9, 40 - 1e-9, 14, 3413, 6202, id="mercantile's test_tiles, corner"),
        pytest.param(-104.99, 39.99, 14, 3413, 6203, id="mercantile's test_tiles, far corner"),
        pytest.param(-9.0, 53.2, 10, 486, 332, id="inside mercantile's tile 10/486/332"),
        pytest.param(0.0, 0.0, 1, 1, 1, id="null island belongs to the lower right"),
        pytest.param(-180.0, 85.0511, 19, 0, 0, id="upper left of the world"),
        pytest.param(179.9999, -85.0511, 3, 7, 7, id="lower right of the world"),
    ],
)
def test_xyz_tile_of_a_point(lon, lat, zoom, x, y):
    assert XYZ.tile_at(XYZ.level(zoom), *web_mercator(lon, lat)) == (y, x)


def test_bounds_of_an_xyz_tile():
    # mercantile's test_xy_bounds
    published = (-1017529.7205322663, 7005300.768279833, -978393.962050256, 7044436.526761846)
    bounds = XYZ.tile_bounds(XYZ.level(10), row=332, col=486).bounds
    assert bounds == pytest.approx(published, abs=1e-6)


@pytest.mark.parametrize("scheme", [XYZ, ESRI], ids=["exact", "Esri's published resolutions"])
@pytest.mark.parametrize("half", [HALF, 20037508.342787, 20037508.3428])
@pytest.mark.parametrize("zoom", range(24))
def test_the_web_mercator_world_has_4_to_the_zoom_tiles(scheme, half, zoom):
    tiles = scheme.tiles_of_extent(scheme.level(zoom), Extent(-half, -half, half, half))
    assert tiles == TileRange(0, 2**zoom - 1, 0, 2**zoom - 1)
    assert tiles.count == 4**zoom


@pytest.mark.parametrize(
    ("level", "x", "y", "tile"),
    [
        (7, 1000.0, 9000.0, (0, 0)),
        (7, 1255.999, 8488.001, (0, 0)),
        (7, 1256.0, 8488.0, (1, 1)),
        (7, 999.9, 9000.1, (-1, -1)),
        (3, 1000.0 + 128 * 9, 9000.0 - 256 * 4, (4, 9)),
    ],
)
def test_tile_of_a_point_by_hand(level, x, y, tile):
    assert HAND.tile_at(HAND.level(level), x, y) == tile


@pytest.mark.parametrize(
    ("extent", "tiles"),
    [
        pytest.param((1000, 8488, 1256, 9000), (0, 0, 0, 0), id="exactly a tile"),
        pytest.param((1000, 7976, 1512, 9000), (0, 1, 0, 1), id="exactly four tiles"),
        pytest.param((1255, 8487, 1257, 8489), (0, 1, 0, 1), id="around a corner"),
        pytest.param((1300, 8000, 1301, 8001), (1, 1, 1, 1), id="inside a tile"),
        pytest.param((0, 8488, 1256, 20000), (0, 0, 0, 0), id="left of and above the origin too"),
        pytest.param((0, 0, 999, 20000), None, id="only left of the origin"),
        pytest.param((0, 9001, 5000, 20000), None, id="only above the origin"),
        pytest.param((0, 0, 1000, 20000), None, id="up to the origin"),
    ],
)
def test_tiles_of_an_extent_by_hand(extent, tiles):
    expected = None if tiles is None else TileRange(*tiles)
    assert HAND.tiles_of_extent(HAND.level(7), Extent(*extent)) == expected


@pytest.mark.parametrize(
    ("beyond", "cols"),
    [(0.0, (1, 3)), (0.5 * SNAP, (1, 3)), (20 * SNAP, (0, 4)), (-20 * SNAP, (1, 3))],
)
def test_an_edge_within_snap_lies_on_the_tile_edge(beyond, cols):
    """`beyond`: by which part of a tile the extent reaches out of columns 1 to 3."""
    extent = Extent(1256 - beyond * 256, 8600, 2024 + beyond * 256, 8700)
    assert HAND.tiles_of_extent(HAND.level(7), extent) == TileRange(0, 0, *cols)


@pytest.mark.parametrize(("beyond", "last"), [(0.0, 2**27 - 1), (0.003, 2**27 - 1), (0.01, 2**27)])
def test_however_far_out_no_more_than_a_pixel_is_rounding(beyond, last):
    """`beyond`: by which part of a tile of 256 pixels the extent reaches into column 2^27."""
    level = Level(27, 1 / 256, 1.0)
    extent = Extent(1000.0 + 2**27 - 5, 8999.0, 1000.0 + 2**27 + beyond, 9000.0)
    tiles = HAND.tiles_of_extent(level, extent)
    assert (tiles.min_col, tiles.max_col) == (2**27 - 5, last)


def test_bounds_and_points_agree():
    for row, col in [(0, 0), (3, 5), (127, 128), (4000, 3)]:
        for level in HAND.levels:
            bounds = HAND.tile_bounds(level, row, col)
            assert (bounds.xmax - bounds.xmin, bounds.ymax - bounds.ymin) == HAND.tile_size(level)
            centre = (bounds.xmin + bounds.xmax) / 2, (bounds.ymin + bounds.ymax) / 2
            assert HAND.tile_at(level, *centre) == (row, col)
            assert HAND.tile_at(level, bounds.xmin, bounds.ymax) == (row, col)
            assert HAND.tiles_of_extent(level, bounds) == TileRange(row, row, col, col)


@pytest.mark.parametrize(
    ("tile", "bundle"),
    [((0, 0), (0, 0)), ((127, 128), (0, 128)), ((128, 127), (128, 0)), ((300, 1000), (256, 896))],
)
def test_bundle_of_a_tile(tile, bundle):
    assert bundle_of(*tile) == bundle


def test_level_by_id():
    assert HAND.level(3).resolution == 0.5
    with pytest.raises(KeyError):
        HAND.level(0)


@pytest.mark.parametrize("scale", [591657527.591555, 591657550.5, 591658000.0])
def test_a_scale_finds_its_level_however_it_was_rounded(scale):
    assert ESRI.level_of_scale(scale).id == 0


@pytest.mark.parametrize("scale", [5e8, 591657527.0 / 3, 1.0, 1e12])
def test_a_scale_between_levels_is_unknown(scale):
    with pytest.raises(UnknownScale) as caught:
        ESRI.level_of_scale(scale)
    assert caught.value.scale == scale
    assert caught.value.known == tuple(level.scale for level in ESRI.levels)


@pytest.mark.parametrize(
    ("reference", "code", "width"),
    [
        (SpatialReference(102100, 3857), 3857, 2 * HALF),
        (SpatialReference(102100), 3857, 2 * HALF),
        (SpatialReference(102113, 3785), 3857, 2 * HALF),
        (SpatialReference(4326), 4326, 360.0),
        (SpatialReference(102008, 3035), 3035, None),
        (SpatialReference(wkt='PROJCS["site"]'), None, None),
    ],
)
def test_spatial_references(reference, code, width):
    assert reference.code == code
    assert reference.world_width == width


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (SpatialReference(102100), SpatialReference(900913), True),
        (SpatialReference(4326), SpatialReference(4269), False),
        (SpatialReference(wkt="A"), SpatialReference(wkt="A"), True),
        (SpatialReference(wkt="A"), SpatialReference(wkt="B"), False),
        (SpatialReference(wkt="A"), SpatialReference(4326), False),
        (SpatialReference(), SpatialReference(), False),
    ],
)
def test_same_spatial_reference(one, other, same):
    assert one.same_as(other) is same
    assert other.same_as(one) is same


@pytest.mark.parametrize(
    ("other", "common"),
    [
        ((5, 5, 20, 20), (5, 5, 10, 10)),
        ((-5, 2, 20, 3), (0, 2, 10, 3)),
        ((10, 0, 20, 10), None),
        ((11, 0, 20, 10), None),
    ],
)
def test_common_rectangle(other, common):
    found = Extent(0, 0, 10, 10).intersection(Extent(*other))
    assert found == (None if common is None else Extent(*common))


# Esri's own Web Mercator resolutions, as every service publishes them
PUBLISHED = {1: 78271.5169639999, 2: 39135.7584820001, 3: 19567.8792409999, 7: 1222.99245256249}


@pytest.mark.parametrize(
    ("bounds", "tiles"),
    [
        # edges on those of the quarters of the world, by hand
        ((0, 0, 5e6, 5e6), {1: 1, 2: 1, 3: 1, 7: 16 * 16}),
        ((0, 0, 10018754.171394, 10018754.171394), {1: 1, 2: 1, 3: 4, 7: 32 * 32}),
        ((-10018754.171394, -10018754.171394, 0, 0), {1: 1, 2: 1, 3: 4, 7: 32 * 32}),
        ((100, 100, 5e6, 5e6), {1: 1, 2: 1, 3: 1, 7: 16 * 16}),
    ],
)
def test_an_extent_without_slivers_taken_literally(bounds, tiles):
    """Every tile is tried with shapely, as a site would: touching is not meeting."""
    levels = tuple(Level(key, value, 1e9 / 2**key) for key, value in PUBLISHED.items())
    scheme = TilingScheme(
        -20037508.342787, 20037508.342787, 256, 256, 96, SpatialReference(102100, 3857), levels
    )
    sent = scheme.without_slivers(Extent(*bounds), levels)

    assert max(abs(a - b) for a, b in zip(sent.bounds, bounds)) < 0.05  # metres
    area = prep(box(*sent.bounds))
    for level in levels:
        width, _ = scheme.tile_size(level)
        middle = int(20037508.342787 / width)
        around = range(max(0, middle - 40), middle + 40)
        met = [
            (row, col)
            for row in around
            for col in around
            if area.intersects(box(*scheme.tile_bounds(level, row, col).bounds))
        ]
        assert len(met) == tiles[level.id]
        assert scheme.tiles_of_extent(level, Extent(*bounds)).count == tiles[level.id]
