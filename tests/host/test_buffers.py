"""Buffers in metres, judged by distances on the ellipsoid, at all latitudes and across 180.

A point is in the buffer where QGIS's ellipsoidal distance to the nearest of many points on the
outline is less than the buffer, give or take three percent.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
from host.samples import crs, degrees, drawn, gdal_transformation, swiss, web_mercator
from qgis.core import QgsCoordinateTransformContext, QgsDistanceArea, QgsPointXY
from shapely.geometry import MultiPolygon, Point, Polygon, box
from shapely.geometry.base import BaseGeometry
from shapely.prepared import prep

from tile_cache_manager.plugin.core.errors import BadArea, BadAreaReason, EmptyArea
from tile_cache_manager.plugin.host import areas, buffers

pytestmark = pytest.mark.usefixtures("qgis_app")

SEED = 20261120
POINTS = 400
EARTH = 6371008.8
TOLERANCE = 0.03

# the area in degrees, the buffer, the box of longitudes and latitudes that points are taken from
CASES = [
    ("at the equator", box(0, -0.5, 1, 0.5), 10e3, (-0.2, -0.7, 1.2, 0.7)),
    ("at 47 north", box(8, 47, 8.3, 47.2), 10e3, (7.8, 46.8, 8.5, 47.4)),
    ("at 60 north", box(10, 60, 11, 60.5), 25e3, (9.2, 59.6, 11.8, 60.9)),
    ("at 70 south", box(-70, -70, -69, -69.7), 10e3, (-70.5, -70.2, -68.5, -69.5)),
    ("at 85 north", box(20, 85, 24, 85.3), 30e3, (15, 84.6, 29, 85.7)),
    ("a triangle with a hole", Polygon([(5, 44), (9, 44), (7, 47)],
                                       [[(6, 44.4), (8, 44.4), (7, 46)]]), 20e3,
     (4.5, 43.6, 9.5, 47.4)),
    ("a few metres", box(8, 47, 8.0002, 47.0002), 15.0, (7.9996, 46.9997, 8.0006, 47.0005)),
    ("Fiji, on both sides of 180",
     MultiPolygon([box(177, -19, 180, -16), box(-180, -19, -179, -16)]), 100e3,
     (175, -21, 183, -14)),
    ("over 180 by the buffer alone", box(179, -1, 179.5, 1), 200e3, (176, -4, 183, 4)),
    ("over the north pole by the buffer alone", box(10, 88, 40, 89), 400e3, (-180, 83, 180, 90)),
    ("around the south pole", box(-180, -90, 180, -85), 300e3, (-180, -90, 180, -80)),
    ("very many parts", MultiPolygon([box(8 + x / 50, 47 + y / 70, 8.01 + x / 50, 47.01 + y / 70)
                                      for x in range(15) for y in range(15)]), 10e3,
     (7.8, 46.85, 8.5, 47.35)),
    ("wide", box(8, 47, 9, 48), 1500e3, (-25, 28, 45, 66)),
    ("a continent", box(-15, 0, 45, 32), 800e3, (-30, -12, 60, 45)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("area", "metres", "around"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_the_buffer_ends_where_the_distance_is_reached(
    area: BaseGeometry, metres: float, around: tuple
) -> None:
    wider = buffers.buffered(area, metres, lambda: None)
    assert wider.is_valid
    xmin, ymin, xmax, ymax = wider.bounds
    assert -180 <= xmin < xmax <= 180
    assert -90 <= ymin < ymax <= 90
    west, south, east, north = around
    random = np.random.default_rng(SEED)
    points = random.uniform((west, south), (east, north), (POINTS, 2))
    points[:, 0] = (points[:, 0] + 180) % 360 - 180
    outline, prepared, found = _outline(area), prep(area), prep(wider)
    judged = wrong = 0
    for x, y in points:
        is_inside = prepared.contains(Point(x, y))
        distance = 0.0 if is_inside else _distance(x, y, outline)
        if abs(distance - metres) < TOLERANCE * metres:
            continue
        judged += distance < metres and not is_inside
        wrong += found.contains(Point(x, y)) != (distance < metres)
    assert wrong == 0
    assert judged > POINTS / 20


def _outline(area: BaseGeometry) -> np.ndarray:
    """Points on the rings of `area`, along the straight lines of degrees that they are."""
    points = []
    polygons = getattr(area, "geoms", [area])
    pieces = 4000 if len(polygons) < 10 else 100
    for polygon in polygons:
        for ring in (polygon.exterior, *polygon.interiors):
            points += [
                ring.interpolate(nth / pieces, normalized=True).coords[0] for nth in range(pieces)
            ]
    return np.array(points)


def _distance(x: float, y: float, outline: np.ndarray) -> float:
    """Ellipsoidal metres from a point to the nearest of the points of `outline`."""
    here, there = np.radians([x, y]), np.radians(outline)
    half = np.sin((there[:, 1] - here[1]) / 2) ** 2 + (
        np.cos(here[1]) * np.cos(there[:, 1]) * np.sin((there[:, 0] - here[0]) / 2) ** 2
    )
    nearest = np.argsort(half)[:5]  # on a sphere; on the ellipsoid it is one of these, or as near
    measure = QgsDistanceArea()
    measure.setSourceCrs(crs("EPSG:4326"), QgsCoordinateTransformContext())
    measure.setEllipsoid("EPSG:7030")
    return min(
        measure.measureLine(QgsPointXY(x, y), QgsPointXY(*outline[index])) for index in nearest
    )


WORLDS = [
    ("the world", box(-180, -90, 180, 90), 1000.0),
    ("nearly the world", box(-180, -85, 180, 85), 700e3),
    ("farther than any point", box(8, 47, 9, 48), 21e6),
]


@pytest.mark.parametrize(
    ("area", "metres"), [case[1:] for case in WORLDS], ids=[case[0] for case in WORLDS]
)
def test_a_buffer_that_covers_everything_is_the_world(area: Polygon, metres: float) -> None:
    started = time.monotonic()
    wider = buffers.buffered(area, metres, lambda: None)
    assert wider.symmetric_difference(box(-180, -90, 180, 90)).area < 1e-6
    assert time.monotonic() - started < 60


def test_no_buffer_leaves_the_area_as_it_is() -> None:
    area = box(1, 2, 3, 4)
    assert buffers.buffered(area, 0.0, lambda: None) is area


def test_a_national_grid_is_buffered_on_the_ground() -> None:
    square = box(2600000, 1200000, 2610000, 1210000)
    source = areas.BufferedArea(drawn(square, "EPSG:2056"), 5000.0)
    in_grid = areas.resolve(source, swiss())
    # The Swiss grid is true to scale to 0.02 percent; a datum's way there and back costs a metre.
    expected = square.buffer(5000, 64)
    assert in_grid.symmetric_difference(expected).area < 0.01 * expected.area
    in_mercator = areas.resolve(source, web_mercator())
    outline = np.array(
        [expected.exterior.interpolate(n / 500, normalized=True).coords[0] for n in range(500)]
    )
    there = Polygon(gdal_transformation("EPSG:2056", "EPSG:3857")(outline))
    assert in_mercator.symmetric_difference(there).area < 0.01 * there.area


def test_the_whole_world_of_web_mercator_and_its_buffer() -> None:
    half = 20037508.342789244
    world = drawn(box(-half, -half, half, half), "EPSG:3857")
    area = areas.resolve(areas.BufferedArea(world, 100e3), web_mercator())
    assert area.area == pytest.approx(4 * half * half, rel=1e-6)
    area = areas.resolve(areas.BufferedArea(world, 1000e3), degrees())
    assert area.area == pytest.approx(360 * 180, rel=1e-6)


def test_many_far_parts_are_each_buffered() -> None:
    dots = MultiPolygon(
        [box(x, y, x + 0.01, y + 0.01) for x in range(-175, 180, 30) for y in range(-80, 81, 20)]
    )
    wider = areas.resolve(areas.BufferedArea(drawn(dots, "EPSG:4326"), 20e3), degrees())
    assert len(wider.geoms) == len(dots.geoms)
    assert all(wider.contains(dot) for dot in dots.geoms)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (lambda: drawn(box(0, 0, 1, 1), ""), BadAreaReason.NO_CRS),
        (lambda: drawn(Polygon(), "EPSG:4326"), EmptyArea),
        (lambda: drawn(box(1.7e7, 8e6, 1.8e7, 9e6), "ESRI:54009"), BadAreaReason.NOT_TRANSFORMABLE),
        (lambda: drawn(box(-20, 95, 20, 120), "EPSG:4326"), EmptyArea),
    ],
)
def test_buffers_around_nothing(source: object, expected: object) -> None:
    error = BadArea if isinstance(expected, BadAreaReason) else expected
    with pytest.raises(error) as caught:
        areas.resolve(areas.BufferedArea(source(), 1000.0), web_mercator())
    if isinstance(expected, BadAreaReason):
        assert caught.value.reason is expected


def test_a_buffer_that_nobody_waits_for_is_cancelled() -> None:
    source = areas.BufferedArea(drawn(box(-170, -80, 170, 80), "EPSG:4326"), 10e3)
    with pytest.raises(areas.Cancelled):
        areas.resolve(source, web_mercator(), lambda: True)
