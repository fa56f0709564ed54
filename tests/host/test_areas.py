"""Areas of interest, from what a person chose to polygons in the CRS of a cache.

Expected answers come from GDAL: whether a point of the earth lies in the area is asked in the
source's CRS, where the area was drawn, and compared with the resolved area.
"""

from __future__ import annotations

import numpy as np
import pytest
import shapely.wkb
from host.samples import (
    HALF,
    crs,
    degrees,
    drawn,
    drawn_wkt,
    gdal_transformation,
    layer_of,
    of_layer,
    rectangle_area,
    swiss,
    web_mercator,
)
from osgeo import gdal, ogr, osr
from qgis.core import (
    QgsCoordinateTransformContext,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)
from shapely.geometry import Point, Polygon, box
from shapely.prepared import prep
from shapely.validation import make_valid

from tile_cache_manager.plugin.core.errors import (
    AreaOutside,
    BadArea,
    BadAreaReason,
    BadExtent,
    EmptyArea,
)
from tile_cache_manager.plugin.core.tiling import Extent
from tile_cache_manager.plugin.host import areas

pytestmark = pytest.mark.usefixtures("qgis_app")

SEED = 20240229
POINTS = 3000


def disc(radius: float, x: float = 0.0, y: float = 0.0) -> Polygon:
    return Point(x, y).buffer(radius, 64)


# what was drawn, its CRS, and the box of longitudes and latitudes that points are taken from
WORLD = (-180.0, -85.0, 180.0, 85.0)
AROUND_THE_WORLD = [
    ("New Zealand's box, across 180", box(1000000, 4700000, 2500000, 6300000), "EPSG:2193",
     (160, -52, 195, -30)),
    ("a triangle of the Pacific", Polygon([(-4e6, -3e6), (8e6, 0), (1e6, 5e6)]), "EPSG:3832",
     WORLD),
    ("2000 km around the north pole", disc(2e6), "EPSG:3995", (-180, 60, 180, 84.9)),
    ("3000 km around the south pole", disc(3e6), "EPSG:3031", (-180, -84.9, 180, -50)),
    ("a ring around the north pole", disc(3e6).difference(disc(1e6)), "EPSG:3995",
     (-180, 50, 180, 84.9)),
    ("a pole beside the middle, and a hole beside it",
     disc(3e6, 1e6, 5e5).difference(disc(4e5, 1.5e6, 1.5e6)), "EPSG:3995", (-180, 40, 180, 84.9)),
    ("an edge through the pole", box(0, -3e6, 3e6, 3e6), "EPSG:3995", (-180, 40, 180, 84.9)),
    ("an edge through the pole, the other side", box(-3e6, -3e6, 0, 3e6), "EPSG:3995",
     (-180, 40, 180, 84.9)),
    ("a slanting edge through the pole", Polygon([(-2e6, -2e6), (2e6, 2e6), (-2e6, 2e6)]),
     "EPSG:3995", (-180, 40, 180, 84.9)),
    ("a slanting edge through the south pole", Polygon([(-2e6, -2e6), (2e6, 2e6), (2e6, -2e6)]),
     "EPSG:3031", (-180, -84.9, 180, -40)),
    ("a corner on the pole", box(0, 0, 3e6, 3e6), "EPSG:3995", (-180, 40, 180, 84.9)),
    ("near the pole, not around it", disc(5e5, 6e5, 0), "EPSG:3995", (-180, 70, 180, 84.9)),
    ("a box of Europe's equal area grid", box(2.5e6, 1.4e6, 7.4e6, 5.5e6), "EPSG:3035",
     (-40, 20, 80, 75)),
    ("an hourglass that crosses itself", Polygon([(-60, -40), (60, 40), (60, -40), (-60, 40)]),
     "EPSG:4267", WORLD),
    ("a box of degrees across 180", box(170, -20, 200, 20), "EPSG:4326",
     (150, -40, 220, 40)),
]  # fmt: skip
CACHES = {"EPSG:3857": web_mercator(), "EPSG:4326": degrees(), "EPSG:4258": degrees(4258)}


@pytest.mark.parametrize("cache_crs", CACHES)
@pytest.mark.parametrize(
    ("polygon", "code", "lon_lat"),
    [case[1:] for case in AROUND_THE_WORLD],
    ids=[case[0] for case in AROUND_THE_WORLD],
)
def test_the_same_points_of_the_earth_lie_in_the_area(
    polygon: Polygon, code: str, lon_lat: tuple, cache_crs: str
) -> None:
    area = areas.resolve(drawn(polygon, code), CACHES[cache_crs])
    assert area.is_valid
    west, south, east, north = lon_lat
    random = np.random.default_rng(SEED)
    points = random.uniform((west, south), (east, north), (POINTS, 2))
    in_source = gdal_transformation("EPSG:4326", code)(points)
    points[:, 0] = (points[:, 0] + 180) % 360 - 180
    in_cache = gdal_transformation("EPSG:4326", cache_crs)(points)
    source, resolved, edge = prep(make_valid(polygon)), prep(area), polygon.boundary
    near = 1e-6 * max(np.ptp(polygon.bounds[::2]), np.ptp(polygon.bounds[1::2]))
    inside = wrong = 0
    for here, there in zip(in_source, in_cache):
        worlds = (0, 360, -360) if code == "EPSG:4326" else (0,)
        candidates = [Point(here[0] + shift, here[1]) for shift in worlds]
        if any(edge.distance(point) < near for point in candidates):
            continue
        expected = any(source.contains(point) for point in candidates)
        inside += expected
        wrong += resolved.contains(Point(*there)) != expected
    assert wrong == 0
    assert POINTS / 50 < inside < POINTS


def test_a_circle_around_the_pole_covers_all_longitudes() -> None:
    area = areas.resolve(drawn(disc(2e6), "EPSG:3995"), degrees())
    # By GDAL the circle's edge is at one latitude all around (the standard parallel is circular).
    edge = gdal_transformation("EPSG:3995", "EPSG:4326")(np.array([[2e6, 0.0], [0.0, -2e6]]))[:, 1]
    assert edge[0] == pytest.approx(edge[1], abs=1e-9)
    assert area.bounds[0::2] == pytest.approx((-180, 180), abs=1e-9)
    assert area.bounds[3] == pytest.approx(90, abs=1e-9)
    assert area.area == pytest.approx(360 * (90 - edge[0]), rel=1e-3)


@pytest.mark.parametrize("country", ["France", "Switzerland", "Brazil", "Fiji", "Norway"])
def test_countries_of_the_world_map_come_out_as_gdal_projects_them(
    qgis_app: object, country: str
) -> None:
    path = f"{qgis_app.pkgDataPath()}/resources/data/world_map.gpkg"
    layer = QgsVectorLayer(f"{path}|layername=countries", "countries", "ogr")
    assert layer.isValid()
    layer.selectByExpression(f"\"NAME\" = '{country}'")
    assert layer.selectedFeatureCount() == 1
    area = areas.resolve(of_layer(layer, selected_only=True), web_mercator())
    expected = _projected_by_ogr(path, country)
    # a quarter of the finest pixel all along the outline is what densifying may cost
    assert area.symmetric_difference(expected).area < expected.length * 38.21851414258813 / 4


def _projected_by_ogr(path: str, country: str) -> Polygon:
    source = gdal.OpenEx(path, gdal.OF_VECTOR)
    layer = source.GetLayerByName("countries")
    layer.SetAttributeFilter(f"NAME = '{country}'")
    feature = layer.GetNextFeature()
    geometry = feature.GetGeometryRef().Clone()
    systems = [osr.SpatialReference(), osr.SpatialReference()]
    for system, code in zip(systems, (4326, 3857)):
        system.ImportFromEPSG(code)
        system.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    geometry.Segmentize(0.005)
    geometry.Transform(osr.CoordinateTransformation(*systems))
    return shapely.wkb.loads(bytes(geometry.MakeValid().ExportToWkb(ogr.wkbNDR)))


def test_a_densified_edge_stays_within_a_quarter_of_the_finest_pixel() -> None:
    description = swiss()
    area = areas.resolve(drawn(box(6.2, 46.0, 10.2, 47.6), "EPSG:4326"), description)
    points = np.column_stack([np.linspace(6.2, 10.2, 500), np.full(500, 47.6)])
    expected = gdal_transformation("EPSG:4326", "EPSG:2056")(points)
    inside = [point for point in map(Point, expected) if area.envelope.buffer(-1).contains(point)]
    assert len(inside) > 100
    farthest = max(area.boundary.distance(point) for point in inside)
    assert farthest <= 10 / 4 * 1.01
    # "no more vertices than needed": some hundreds for four edges of 300 km
    assert len(area.exterior.coords) < 500


def test_an_edge_that_bends_both_ways_is_densified() -> None:
    # Symmetric about the equator: in Web Mercator its middle lies on its chord, the rest does not.
    # Far triangles make the edge short beside the whole, so it is not cut at first.
    triangle = Polygon([(-7, -7), (7, 7), (7, -7)])
    layer = layer_of([triangle.wkt, "Polygon((-179 -80,-170 -80,-170 -75,-179 -80))",
                      "Polygon((179 80,170 80,170 75,179 80))"])  # fmt: skip
    area = areas.resolve(of_layer(layer, False), web_mercator())
    degrees_on_edge = np.linspace(-7, 7, 200)
    points = np.column_stack([degrees_on_edge, degrees_on_edge])
    expected = gdal_transformation("EPSG:4326", "EPSG:3857")(points)
    farthest = max(area.boundary.distance(Point(*point)) for point in expected)
    assert farthest <= 38.21851414258813 / 4 * 1.5


def test_an_area_in_the_cache_s_crs_is_not_touched() -> None:
    polygon = Polygon([(1000, 1000), (500000, 2000), (250000, 400000)])
    area = areas.resolve(drawn(polygon, "EPSG:3857"), web_mercator())
    assert area.equals_exact(polygon, 0) or area.equals(polygon)
    assert len(area.exterior.coords) == 4


# rectangle, its CRS, the cache, the extent that comes out
RECTANGLES = [
    ("inside", (0, 0, 5e6, 4e6), "EPSG:3857", web_mercator(), (0, 0, 5e6, 4e6)),
    ("larger than the world", (-4e7, -3e7, 4e7, 3e7), "EPSG:3857", web_mercator(),
     (-HALF, -HALF, HALF, HALF)),
    ("numbers without a CRS", (2500000, 1100000, 2600000, 1200000), None, swiss(),
     (2500000, 1100000, 2600000, 1200000)),
    ("overlapping a national cache", (2400000, 1000000, 2600000, 1200000), "EPSG:2056", swiss(),
     (2485000, 1075000, 2600000, 1200000)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rectangle", "code", "description", "expected"),
    [case[1:] for case in RECTANGLES],
    ids=[case[0] for case in RECTANGLES],
)
def test_rectangles_in_the_cache_s_crs_stay_rectangles(
    rectangle: tuple, code: str | None, description: object, expected: tuple
) -> None:
    source = rectangle_area("canvas", QgsRectangle(*rectangle), code)
    extent = areas.resolve(source, description)
    assert isinstance(extent, Extent)
    assert extent.bounds == pytest.approx(expected, abs=1e-5)


def test_a_canvas_panned_beyond_the_antimeridian_gives_both_sides() -> None:
    source = rectangle_area("canvas", QgsRectangle(HALF - 1e6, 0, HALF + 2e6, 1e6), "EPSG:3857")
    area = areas.resolve(source, web_mercator())
    expected = box(HALF - 1e6, 0, HALF, 1e6).union(box(-HALF, 0, -HALF + 2e6, 1e6))
    assert area.symmetric_difference(expected).area < 1e-9 * expected.area


# a map frame in a CRS, the cache, the part of the cache's extent that must be covered
FRAMES = [
    ("degrees beyond the poles", (-300, -120, 300, 120), "EPSG:4326", web_mercator()),
    ("degrees of another datum", (-300, -120, 300, 120), "EPSG:4258", degrees()),
    ("Mollweide beyond the globe", (-2.5e7, -1.2e7, 2.5e7, 1.2e7), "ESRI:54009", web_mercator()),
    ("the world, for a national grid", (-HALF, -HALF, HALF, HALF), "EPSG:3857", swiss()),
    ("the world in degrees, for a national grid", (-180, -90, 180, 90), "EPSG:4326", swiss()),
    ("the world twice over, for a national grid", (-360, -90, 360, 90), "EPSG:4326", swiss()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rectangle", "code", "description"),
    [case[1:] for case in FRAMES],
    ids=[case[0] for case in FRAMES],
)
def test_frames_larger_than_the_world_cover_the_whole_cache(
    rectangle: tuple, code: str, description: object
) -> None:
    source = rectangle_area("canvas", QgsRectangle(*rectangle), code)
    area = areas.resolve(source, description)
    assert area.area == pytest.approx(box(*description.extent.bounds).area, rel=1e-6)


TYPED = [
    ("10 20 30 40", [(10, 20, 30, 40)]),
    ("10, 20; 30, 40", [(10, 20, 30, 40)]),
    ("170 -50 -170 -30", [(170, -50, 180, -30), (-180, -50, -170, -30)]),
    ("-500 -500 500 500", [(-180, -90, 180, 90)]),
]


@pytest.mark.parametrize(("text", "expected"), TYPED)
def test_typed_extents(text: str, expected: list) -> None:
    area = areas.resolve(areas.TypedExtent(text), degrees())
    assert isinstance(area, Extent) == (len(expected) == 1)
    found = box(*area.bounds) if isinstance(area, Extent) else area
    for bounds in expected:
        assert found.intersection(box(*bounds)).area == pytest.approx(box(*bounds).area)
    assert found.area == pytest.approx(sum(box(*bounds).area for bounds in expected))


def test_the_full_extent_is_the_whole_cache() -> None:
    assert areas.resolve(areas.FullExtent(), web_mercator()) is None


NO_SURFACE = QgsRectangle(5, 5, 5, 9)
REFUSED = [
    ("malformed extent", lambda: areas.TypedExtent("10 20 30"), degrees(), BadExtent),
    ("extent outside", lambda: areas.TypedExtent("0 0 5 5"), swiss(), AreaOutside),
    ("rectangle without surface",
     lambda: rectangle_area("x", NO_SURFACE, "EPSG:4326"), web_mercator(), EmptyArea),
    ("null rectangle",
     lambda: rectangle_area("x", QgsRectangle(), "EPSG:3857"), web_mercator(), EmptyArea),
    ("nothing drawn",
     lambda: drawn_wkt("", "EPSG:4326"), degrees(), EmptyArea),
    ("a line drawn",
     lambda: drawn_wkt("LineString(0 0,1 1)", "EPSG:4326"),
     web_mercator(), EmptyArea),
    ("drawn in Africa, for a cache of Switzerland",
     lambda: drawn(box(20, -10, 25, 5), "EPSG:4326"), swiss(), AreaOutside),
    ("drawn beside Switzerland", lambda: drawn(box(11.2, 47, 11.4, 47.2), "EPSG:4326"), swiss(),
     AreaOutside),
    ("north of the pole", lambda: drawn(box(-20, 95, 20, 120), "EPSG:4230"), degrees(), EmptyArea),
    ("no CRS", lambda: drawn(box(0, 0, 1, 1), ""), web_mercator(), BadAreaReason.NO_CRS),
    ("off the globe", lambda: drawn(box(1.7e7, 8e6, 1.8e7, 9e6), "ESRI:54009"), web_mercator(None),
     BadAreaReason.NOT_TRANSFORMABLE),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "description", "expected"),
    [case[1:] for case in REFUSED],
    ids=[case[0] for case in REFUSED],
)
def test_areas_that_are_refused(make: object, description: object, expected: object) -> None:
    error_class = BadArea if isinstance(expected, BadAreaReason) else expected
    with pytest.raises(error_class) as caught:
        areas.resolve(make(), description)
    if isinstance(expected, BadAreaReason):
        assert caught.value.reason is expected


def test_the_projects_own_transformations_are_used_as_they_were_when_asked_for() -> None:
    # From ED50 to WGS 84 there are many ways; by this one, every point stays where it is.
    unmoved, project = QgsCoordinateTransformContext(), QgsProject()
    assert unmoved.addCoordinateOperation(crs("EPSG:4230"), crs("EPSG:4326"), "+proj=noop", False)
    project.setTransformContext(unmoved)
    context = areas.project_context(project)
    project.setTransformContext(QgsCoordinateTransformContext())
    square = QgsGeometry.fromWkt("Polygon((5 40,6 40,6 41,5 41,5 40))")
    here = areas.resolve(areas.DrawnArea(square, crs("EPSG:4230"), context), degrees())
    moved = areas.resolve(drawn_wkt(square.asWkt(), "EPSG:4230"), degrees())
    assert here.bounds == pytest.approx((5, 40, 6, 41), abs=1e-9)
    assert moved.bounds[0] < 4.9995  # some 80 m to the west, as GDAL says too
    west = gdal_transformation("EPSG:4230", "EPSG:4326")(np.array([[5.0, 40.0]]))[0][0]
    assert moved.bounds[0] == pytest.approx(west, abs=2e-4)
