"""Areas of interest: typed extents, invalid drawings, the antimeridian, the poles, clipping."""

from __future__ import annotations

import math

import numpy as np
import pytest
from shapely import wkt
from shapely.affinity import translate
from shapely.geometry import (
    GeometryCollection,
    LineString,
    MultiPolygon,
    Point,
    Polygon,
    box,
)
from shapely.ops import unary_union

from tile_cache_manager.plugin.core.area import MAX_WORLDS, fit_area, parse_extent
from tile_cache_manager.plugin.core.coverage import cover
from tile_cache_manager.plugin.core.errors import AreaOutside, BadExtent, EmptyArea
from tile_cache_manager.plugin.core.tiling import (
    WEB_MERCATOR_HALF,
    Extent,
    Level,
    SpatialReference,
    TilingScheme,
)

HALF = WEB_MERCATOR_HALF
SERVICE = "Roads"
LONLAT = TilingScheme(
    -400.0, 400.0, 512, 512, 96, SpatialReference(4326), (Level(0, 0.01, 4431400.0),)
)
MERCATOR = TilingScheme(
    -HALF, HALF, 256, 256, 96, SpatialReference(102100, 3857), (Level(5, 4891.969810251281, 1.0),)
)
LOCAL = TilingScheme(0.0, 1000.0, 256, 256, 96, SpatialReference(3035), (Level(0, 1.0, 1.0),))


def fit(geometry, scheme=LOCAL, extent=None, densified=False):
    return fit_area(geometry, scheme, extent, SERVICE, densified)


def same(found, expected, tolerance=1e-9):
    """Whether two areas are the same but for a part `tolerance` of the expected surface."""
    assert found.is_valid
    assert found.geom_type in ("Polygon", "MultiPolygon")
    assert not found.has_z
    return found.symmetric_difference(expected).area <= tolerance * expected.area


# --- typed extents --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "1 2 3.5 4",
        "1,2,3.5,4",
        "1;2;3.5;4",
        "  1, 2, 3.5, 4  ",
        "1 ; 2\t;3.5\n4",
        "+1 2.0 .35e1 4.",
        "1,2 3.5;4",
    ],
)
def test_ways_to_write_an_extent(text):
    assert parse_extent(text) == Extent(1, 2, 3.5, 4)


def test_an_extent_with_negative_numbers_and_exponents():
    found = parse_extent("-2.0037508342789244E7 -1e7 -5 1E+7")
    assert found == Extent(-20037508.342789244, -1e7, -5, 1e7)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 2 3",
        "1 2 3 4 5",
        "1,,2,3,4",
        "1,2,3,4,",
        "one 2 3 4",
        "1 2 nan 4",
        "1 2 inf 4",
        "1 2 1e999 4",
        "-1e308 0 1e308 1",
        "1_0 2 30 40",
        "1,5 2,5 3,5 4,5",
        "٣ 4 5 6",
        "3 2 1 4",
        "1 4 3 2",
        "1 2 1 4",
        "1 2 3 2",
        "1 2 3 4 EPSG:3857",
    ],
)
def test_texts_that_are_no_extent(text):
    with pytest.raises(BadExtent) as caught:
        parse_extent(text)
    assert caught.value.text == text


@pytest.mark.parametrize(
    ("text", "extent"),
    [
        ("170 -10 -170 10", (170, -10, 190, 10)),
        ("-170 -10 170 10", (-170, -10, 170, 10)),
        ("10 0 -10 1", (10, 0, 350, 1)),
    ],
)
def test_an_extent_may_cross_the_antimeridian(text, extent):
    assert parse_extent(text, world_width=360.0) == Extent(*extent)


@pytest.mark.parametrize("text", ["170 10 -170 -10", "400 0 -10 1", "170 0 170 1"])
def test_what_does_not_cross_the_antimeridian_either(text):
    with pytest.raises(BadExtent):
        parse_extent(text, world_width=360.0)


# --- what people draw, and what files hold --------------------------------------------------------

SQUARE = box(10, 10, 20, 20)


@pytest.mark.parametrize(
    ("drawn", "meant"),
    [
        pytest.param(SQUARE, SQUARE, id="valid"),
        pytest.param(
            Polygon([(0, 0), (10, 10), (10, 0), (0, 10)]),
            unary_union([Polygon([(0, 0), (5, 5), (0, 10)]), Polygon([(10, 0), (5, 5), (10, 10)])]),
            id="bow-tie",
        ),
        pytest.param(
            Polygon([(10, 10), (20, 10), (20, 20), (30, 20), (20, 20), (10, 20)]),
            SQUARE,
            id="spike",
        ),
        pytest.param(
            Polygon([(10, 10), (10, 10), (20, 10), (20, 10), (20, 20), (10, 20), (10, 10)]),
            SQUARE,
            id="repeated vertices",
        ),
        pytest.param(
            Polygon([(10, 10, 5), (20, 10, 6), (20, 20, 7), (10, 20, math.nan)]),
            SQUARE,
            id="Z coordinates, one unknown",
        ),
        pytest.param(
            Polygon(
                [(0, 0), (30, 0), (30, 30), (0, 30)], [[(10, 10), (40, 10), (40, 20), (10, 20)]]
            ),
            box(0, 0, 30, 30).difference(box(10, 10, 40, 20)),
            id="hole sticks out",
        ),
        pytest.param(
            Polygon([(0, 0), (30, 0), (30, 30), (0, 30)], [[(1, 1), (9, 1), (9, 9), (1, 9)]] * 2),
            box(0, 0, 30, 30).difference(box(1, 1, 9, 9)),
            id="hole twice",
        ),
        pytest.param(MultiPolygon([SQUARE, SQUARE]), SQUARE, id="part twice"),
        pytest.param(
            MultiPolygon([SQUARE, box(15, 15, 30, 30)]),
            SQUARE.union(box(15, 15, 30, 30)),
            id="parts overlap",
        ),
        pytest.param(
            GeometryCollection(
                [Point(0, 0), LineString([(0, 0), (9, 9)]), GeometryCollection([SQUARE])]
            ),
            SQUARE,
            id="polygons among other things",
        ),
        pytest.param(
            # A pentagram: its middle is not part of it, as it is drawn by the even-odd rule.
            Polygon([(50, 90), (73.51, 17.64), (11.96, 62.36), (88.04, 62.36), (26.49, 17.64)]),
            unary_union(
                [
                    Polygon([(50, 90), (58.98, 62.36), (41.02, 62.36)]),
                    Polygon([(88.04, 62.36), (58.98, 62.36), (64.53, 45.28)]),
                    Polygon([(73.51, 17.64), (64.53, 45.28), (50, 34.72)]),
                    Polygon([(26.49, 17.64), (50, 34.72), (35.47, 45.28)]),
                    Polygon([(11.96, 62.36), (35.47, 45.28), (41.02, 62.36)]),
                ]
            ),
            id="self-crossing star",
        ),
    ],
)
def test_an_area_comes_out_valid_and_as_drawn(drawn, meant):
    assert same(fit(drawn), meant, tolerance=1e-3)


@pytest.mark.parametrize(
    "geometry",
    [
        pytest.param(Polygon(), id="empty polygon"),
        pytest.param(MultiPolygon(), id="empty multipolygon"),
        pytest.param(GeometryCollection(), id="empty collection"),
        pytest.param(Point(1, 1), id="point"),
        pytest.param(LineString([(0, 0), (5, 5), (5, 0), (0, 0)]), id="closed line"),
        pytest.param(Polygon([(1, 1), (1, 1), (1, 1)]), id="collapsed to a point"),
        pytest.param(Polygon([(1, 1), (5, 5), (9, 9)]), id="collapsed to a line"),
        pytest.param(
            Polygon([(0, 0), (9, 0), (9, 9)], [[(0, 0), (9, 0), (9, 9)]]), id="hole as large"
        ),
        pytest.param(Polygon([(0, 0), (math.nan, 5), (5, 5)]), id="NaN"),
        pytest.param(Polygon([(0, 0), (math.inf, 5), (5, 5)]), id="infinite"),
        pytest.param(box(-1.7e308, -1.7e308, 1.7e308, 1.7e308), id="largest numbers there are"),
        pytest.param(
            MultiPolygon([SQUARE, Polygon([(0, 0), (5, -math.inf), (5, 5)])]),
            id="infinite in one of two parts",
        ),
    ],
)
@pytest.mark.parametrize("densified", [False, True])
@pytest.mark.parametrize("scheme", [LOCAL, LONLAT])
def test_an_area_without_a_known_surface(geometry, scheme, densified):
    with pytest.raises(EmptyArea):
        fit(geometry, scheme, densified=densified)


@pytest.mark.parametrize("seed", range(60))
def test_scribbles_never_crash(seed):
    """Random rings with crossings, repeated and aligned vertices, and holes anywhere."""
    rng = np.random.default_rng(seed)

    def ring():
        return np.round(
            rng.uniform(-600, 600, (int(rng.integers(7, 25)), 2)), int(rng.integers(-1, 3))
        )

    polygon = Polygon(ring(), [ring() for _ in range(int(rng.integers(0, 4)))])
    for scheme in (LOCAL, LONLAT, MERCATOR):
        for densified in (False, True):
            found = fit(polygon, scheme, Extent(-500, -450, 480, 395), densified)
            assert found.is_valid
            assert found.area > 0
            assert cover(scheme, scheme.levels[0], found).count > 0


@pytest.mark.parametrize("size", [1e6, 1e9, 1e15])
@pytest.mark.parametrize("scheme", [LOCAL, LONLAT, MERCATOR])
def test_absurdly_large_areas_end_at_the_extent(scheme, size):
    extent = Extent(10, 20, 30, 40)
    assert same(fit(box(-size, -size, size, size), scheme, extent), box(*extent.bounds))


# --- clipping -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drawn", "extent", "left"),
    [
        pytest.param(box(-50, 10, 50, 20), None, box(0, 10, 50, 20), id="left of the origin"),
        pytest.param(box(5, 900, 9, 2000), None, box(5, 900, 9, 1000), id="above the origin"),
        pytest.param(
            box(5, -900, 9000, 10), None, box(5, -900, 9000, 10), id="open to the lower right"
        ),
        pytest.param(SQUARE, Extent(0, 0, 100, 100), SQUARE, id="inside the extent"),
        pytest.param(
            SQUARE, Extent(15, 0, 100, 12), box(15, 10, 20, 12), id="partly in the extent"
        ),
        pytest.param(SQUARE, Extent(10, 10, 20, 20), SQUARE, id="the extent itself"),
        pytest.param(
            box(-9, -9, 2000, 2000), Extent(-5, 5, 50, 1500), box(0, 5, 50, 1000), id="both"
        ),
    ],
)
def test_an_area_is_clipped_to_the_scheme_and_the_extent(drawn, extent, left):
    assert same(fit(drawn, extent=extent), left)


def test_an_area_within_stays_vertex_for_vertex():
    assert fit(SQUARE, extent=Extent(0, 0, 99, 99)).equals_exact(SQUARE, 0.0)


@pytest.mark.parametrize(
    ("drawn", "extent"),
    [
        pytest.param(box(-50, 10, -5, 20), None, id="left of the origin"),
        pytest.param(box(5, 1001, 9, 2000), None, id="above the origin"),
        pytest.param(box(-50, 10, 0, 20), None, id="up to the origin"),
        pytest.param(SQUARE, Extent(30, 30, 40, 40), id="outside the extent"),
        pytest.param(SQUARE, Extent(20, 10, 40, 20), id="touching the extent's edge"),
        pytest.param(SQUARE, Extent(20, 20, 40, 40), id="touching the extent's corner"),
        pytest.param(
            Polygon([(0, 0), (50, 0), (0, 50)]), Extent(40, 40, 60, 60), id="only bounds meet"
        ),
    ],
)
def test_an_area_outside_the_cache(drawn, extent):
    with pytest.raises(AreaOutside) as caught:
        fit(drawn, extent=extent)
    assert caught.value.service == SERVICE


# --- the antimeridian -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drawn", "wrapped"),
    [
        pytest.param(
            box(170, 0, 190, 10),
            box(170, 0, 180, 10).union(box(-180, 0, -170, 10)),
            id="over the eastern edge",
        ),
        pytest.param(
            box(-200, 0, -175, 10),
            box(160, 0, 180, 10).union(box(-180, 0, -175, 10)),
            id="over the western edge",
        ),
        pytest.param(box(185, 0, 190, 10), box(-175, 0, -170, 10), id="beyond the edge"),
        pytest.param(box(905, 0, 910, 10), box(-175, 0, -170, 10), id="worlds away"),
        pytest.param(box(-180, 0, 180, 10), box(-180, 0, 180, 10), id="once around"),
        pytest.param(box(-540, 0, 540, 10), box(-180, 0, 180, 10), id="three worlds"),
        pytest.param(box(-300, 0, 300, 10), box(-180, 0, 180, 10), id="worlds that overlap"),
        pytest.param(
            MultiPolygon([box(-10, 0, 10, 10), box(350, 5, 375, 20)]),
            unary_union([box(-10, 0, 10, 10), box(-10, 5, 15, 20)]),
            id="parts that overlap in different worlds",
        ),
        pytest.param(
            box(170, 0, 190, 10).difference(box(175, 2, 185, 8)),
            unary_union([box(170, 0, 180, 10), box(-180, 0, -170, 10)]).difference(
                unary_union([box(175, 2, 180, 8), box(-180, 2, -175, 8)])
            ),
            id="hole across the edge",
        ),
    ],
)
@pytest.mark.parametrize("densified", [False, True])
@pytest.mark.parametrize("scheme", [LONLAT, MERCATOR], ids=["longitude", "Web Mercator"])
def test_what_lies_beyond_the_worlds_edge_comes_back_in(drawn, wrapped, scheme, densified):
    unit = scheme.crs.world_width / 360
    scaled = [scale(area, unit) for area in (drawn, wrapped)]
    area = densify(scaled[0], unit) if densified else scaled[0]
    assert same(fit(area, scheme, densified=densified), scaled[1])


def scale(area, factor):
    """`area` with all coordinates times `factor`."""
    numbers = [
        [[(x * factor, y * factor) for x, y in ring.coords] for ring in (p.exterior, *p.interiors)]
        for p in getattr(area, "geoms", [area])
    ]
    return MultiPolygon([Polygon(rings[0], rings[1:]) for rings in numbers])


def densify(area, step):
    """`area` with a vertex at least every `step`."""

    def ring(coords):
        dense = []
        for (x0, y0), (x1, y1) in zip(coords, coords[1:]):
            parts = math.ceil(math.hypot(x1 - x0, y1 - y0) / step)
            dense += [
                (x0 + (x1 - x0) * i / parts, y0 + (y1 - y0) * i / parts) for i in range(parts)
            ]
        return dense

    return MultiPolygon(
        [
            Polygon(ring(p.exterior.coords[:]), [ring(hole.coords[:]) for hole in p.interiors])
            for p in getattr(area, "geoms", [area])
        ]
    )


def test_a_crs_that_does_not_repeat_does_not_wrap():
    assert same(fit(box(500, 0, 5000, 10)), box(500, 0, 5000, 10))


@pytest.mark.parametrize("beyond", [1e-7, 0.0, -1e-7])
def test_rounding_at_the_worlds_edge_adds_no_strip_at_the_other(beyond):
    east = fit(box(170, 0, 180 + beyond, 10), LONLAT)
    assert east.bounds == pytest.approx((170, 0, 180, 10), abs=2e-7)
    assert east.bounds[2] <= 180
    west = fit(box(-180 - beyond, 0, -170, 10), LONLAT)
    assert west.bounds == pytest.approx((-180, 0, -170, 10), abs=2e-7)
    assert west.bounds[0] >= -180


def test_an_area_as_narrow_as_that_is_not_lost_at_the_worlds_edge():
    assert fit(box(180 - 1e-7, 0, 180 + 1e-7, 10), LONLAT).area > 0


def test_worlds_beyond_all_reason_are_left_out():
    drawn = MultiPolygon([SQUARE, translate(SQUARE, 50, 0).buffer(0)])
    far = translate(drawn, 360.0 * (MAX_WORLDS + 3), 0)
    with pytest.raises(AreaOutside):
        fit(far, LONLAT)


@pytest.mark.parametrize(
    ("drawn", "extent", "found"),
    [
        pytest.param(
            box(-170, 0, -160, 5), Extent(100, -50, 260, 50), box(190, 0, 200, 5), id="to its east"
        ),
        pytest.param(
            box(170, 0, 175, 5),
            Extent(-260, -50, -100, 50),
            box(-190, 0, -185, 5),
            id="to its west",
        ),
        pytest.param(
            box(-90, 0, -80, 5), Extent(0, -90, 360, 90), box(270, 0, 280, 5), id="0 to 360"
        ),
        pytest.param(
            box(170, 0, 190, 5), Extent(150, -50, 210, 50), box(170, 0, 190, 5), id="across"
        ),
        pytest.param(
            box(190, 0, 195, 5), Extent(-180, -90, 180, 90), box(-170, 0, -165, 5), id="the world"
        ),
        pytest.param(
            box(190, 0, 195, 5),
            Extent(-185, -90, 185, 90),
            box(-170, 0, -165, 5),
            id="wider than the world",
        ),
    ],
)
def test_a_cache_across_the_antimeridian_is_found_from_either_side(drawn, extent, found):
    assert same(fit(drawn, LONLAT, extent), found)


# --- rings that jump, and poles -------------------------------------------------------------------


def around(lon, lat, radius, count=360):
    """A circle on the globe around a point, in degrees: longitudes from -180 to 180."""
    x, y = math.radians(lon), math.radians(lat)
    centre = np.array([math.cos(y) * math.cos(x), math.cos(y) * math.sin(x), math.sin(y)])
    east = np.array([-math.sin(x), math.cos(x), 0.0])
    north = np.cross(centre, east)
    bearings = np.linspace(0, 2 * math.pi, count, endpoint=False)[:, None]
    sideways = np.cos(bearings) * north + np.sin(bearings) * east
    points = math.cos(math.radians(radius)) * centre + math.sin(math.radians(radius)) * sideways
    lons, lats = np.arctan2(points[:, 1], points[:, 0]), np.arcsin(points[:, 2])
    return np.degrees(np.column_stack([lons, lats]))


def holds(area, lon, lat):
    return area.contains(Point(lon, lat))


def on_globe(lon1, lat1, lon2, lat2):
    """Angle between two points of the globe, in degrees."""
    a, b, c, d = (math.radians(value) for value in (lon1, lat1, lon2, lat2))
    cosine = math.sin(b) * math.sin(d) + math.cos(b) * math.cos(d) * math.cos(a - c)
    return math.degrees(math.acos(min(1.0, max(-1.0, cosine))))


CENTRES = [(179, 10), (-175, -60), (180, 0), (0, 0), (30, 85), (-100, -88), (10, 90), (0, -90)]


@pytest.mark.parametrize("reverse", [False, True], ids=["clockwise", "anticlockwise"])
@pytest.mark.parametrize(("lon", "lat"), CENTRES)
def test_a_circle_on_the_globe_holds_what_is_near_its_centre(lon, lat, reverse):
    """Also across the antimeridian and around the poles."""
    ring = around(lon, lat, 12)
    area = fit(Polygon(ring[::-1] if reverse else ring), LONLAT, densified=True)
    assert area.bounds[0] >= -180
    assert area.bounds[2] <= 180
    for x in range(-179, 180, 7):
        for y in range(-89, 90, 2):
            distance = on_globe(lon, lat, x, y)
            if abs(distance - 12) > 0.2:
                assert holds(area, x, y) == (distance < 12), (x, y)


@pytest.mark.parametrize("start", range(0, 360, 45))
def test_a_circle_around_a_pole_may_start_anywhere(start):
    ring = np.roll(around(20, 90, 25), start, axis=0)
    assert same(fit(Polygon(ring), LONLAT, densified=True), box(-180, 65, 180, 90), 1e-6)
    south = ring * [1, -1]
    assert same(fit(Polygon(south), LONLAT, densified=True), box(-180, -90, 180, -65), 1e-6)


def test_in_web_mercator_a_pole_lies_at_the_edge_of_the_square_world():
    lons = (np.arange(0, 360, 2) + 77) % 360 - 180
    north = Polygon([(lon / 180 * HALF, 1.5e7) for lon in lons])
    assert same(fit(north, MERCATOR, densified=True), box(-HALF, 1.5e7, HALF, HALF), 1e-6)
    south = Polygon([(lon / 180 * HALF, -1.5e7) for lon in lons])
    assert same(fit(south, MERCATOR, densified=True), box(-HALF, -HALF, HALF, -1.5e7), 1e-6)


def test_a_ring_across_the_equator_goes_to_the_pole_on_its_side_by_mean_height():
    lons = np.arange(-180, 180, 1.0)
    wave = 5 + 20 * np.sin(np.radians(lons))
    north = fit(Polygon(np.column_stack([lons, wave])), LONLAT, densified=True)
    assert holds(north, 0, 80)
    assert not holds(north, 0, -80)
    south = fit(Polygon(np.column_stack([lons, -wave])), LONLAT, densified=True)
    assert holds(south, 0, -80)
    assert not holds(south, 0, 80)


def test_the_mean_height_does_not_hang_on_where_vertices_are_dense():
    """A quarter of the way around in the south, with most of the vertices."""
    lons = np.concatenate([np.arange(-180, 90, 30.0), np.arange(90, 180, 0.5)])
    heights = np.where(lons < 90, 20.0, -20.0)
    area = fit(Polygon(np.column_stack([lons, heights])), LONLAT, densified=True)
    assert holds(area, 0, 80)
    assert not holds(area, 0, -80)


def test_a_ring_around_the_pole_beyond_the_square_world_has_no_tiles():
    lons = np.arange(-180, 180, 2.0)
    ring = Polygon([(lon / 180 * HALF, 1.1 * HALF) for lon in lons])
    with pytest.raises(AreaOutside):
        fit(ring, MERCATOR, densified=True)


def test_a_hole_goes_along_with_its_polygon_across_the_antimeridian():
    outer, hole = around(178, 20, 15), around(-178, 20, 3)
    area = fit(Polygon(outer, [hole]), LONLAT, densified=True)
    for lon, lat, inside in [
        (178, 20, True),
        (-170, 20, True),
        (-178, 20, False),
        (-179, 21, False),
    ]:
        assert holds(area, lon, lat) is inside


def test_a_ring_shaped_area_around_the_pole():
    area = fit(Polygon(around(0, 90, 30), [around(0, 90, 10)]), LONLAT, densified=True)
    assert same(area, box(-180, 60, 180, 80), 1e-6)


def test_a_hole_beside_the_pole():
    area = fit(Polygon(around(0, 90, 30), [around(180, 75, 5)]), LONLAT, densified=True)
    for lon, lat, inside in [
        (0, 75, True),
        (180 - 1e-3, 75, False),
        (-179, 74, False),
        (90, 89, True),
    ]:
        assert holds(area, lon, lat) is inside


def test_a_ring_that_runs_along_the_antimeridian_on_both_its_names():
    """Transformations name the antimeridian -180 at one vertex and 180 at the next."""
    ring = [(170, 0), (180, 0), (-180, 2), (180, 4), (-180, 6), (180, 8), (170, 8)]
    assert same(fit(Polygon(ring), LONLAT, densified=True), box(170, 0, 180, 8))


def test_without_densification_a_long_edge_is_a_long_edge():
    world = Polygon([(-180, -90), (180, -90), (180, 90), (-180, 90)])
    assert same(fit(world, LONLAT), world)
    wide = Polygon([(-170, 0), (170, 0), (170, 10), (-170, 10)])
    assert same(fit(wide, LONLAT), wide)
    # The same corners from a densified ring would be the narrow area across the antimeridian.
    narrow = box(170, 0, 180, 10).union(box(-180, 0, -170, 10))
    assert same(fit(wide, LONLAT, densified=True), narrow)


def test_an_area_read_from_text():
    area = wkt.loads("POLYGON Z ((0 0 1, 100 0 1, 100 100 1, 0 100 1, 0 0 1))")
    assert cover(LOCAL, LOCAL.levels[0], fit(area)).count == 2 - 1
