"""The form that asks the caching task for an update: what it says, and what it never says."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from caching_pages import USUAL, pages, parameter, without
from scripted_site import SITE, AnsweringSite, quick_client
from shapely.geometry import MultiPolygon, Polygon, box

from tile_cache_manager.plugin.core.arcgis.caching import find_caching_task, update_form
from tile_cache_manager.plugin.core.errors import (
    BadInstances,
    CachingUnavailable,
    EmptyArea,
    ModeNotOffered,
    NoLevels,
    Unavailable,
)
from tile_cache_manager.plugin.core.request import UpdateMode, UpdateRequest
from tile_cache_manager.plugin.core.tiling import Extent, Level, SpatialReference, TilingScheme

EMPTY, DELETE = UpdateMode.RECREATE_EMPTY, UpdateMode.DELETE
MERCATOR = SpatialReference(102100, 3857)
LEVELS = (Level(3, 19567.88, 73957190.948944), Level(5, 4891.97, 18489297.737236))
SCHEME = TilingScheme(-2.0e7, 2.0e7, 256, 256, 96, MERCATOR, LEVELS)


def form(
    parameters: list[dict[str, Any]] | None = None,
    scheme: TilingScheme = SCHEME,
    **request: Any,
) -> dict[str, str]:
    site = AnsweringSite(pages(USUAL if parameters is None else parameters))
    asked = {"scheme": scheme, "levels": LEVELS, "mode": EMPTY, **request}
    return update_form(
        find_caching_task(quick_client(site), SITE),
        "F/World:MapServer",
        UpdateRequest(**asked),
    )


def area_of(sent: dict[str, str]) -> dict[str, Any]:
    area: dict[str, Any] = json.loads(sent["area_of_interest"])
    return area


def test_the_whole_cache() -> None:
    assert form() == {
        "service_url": "F/World:MapServer",
        "levels": "73957190.948944;18489297.737236",
        "thread_count": "-1",
        "update_mode": "RECREATE_EMPTY_TILES",
        "constraining_extent": "DEFAULT",
    }


def test_renamed_parameters_and_choices() -> None:
    parameters = [
        parameter("p1", "Input Map Service or Image Service URL"),
        parameter("p2", "Scales"),
        parameter("p4", "Update Mode", choiceList=["Delete Tiles"]),
        parameter("p5", "Update Extent"),
    ]

    assert form(parameters, mode=DELETE, instances=3) == {
        "p1": "F/World:MapServer",
        "p2": "73957190.948944;18489297.737236",
        "p4": "Delete Tiles",
        "p5": "DEFAULT",
    }


@pytest.mark.parametrize(
    ("scale", "text"),
    [
        (591657527.591555, "591657527.591555"),
        (500000.0, "500000"),
        (500000, "500000"),
        (1e8, "100000000"),
        (591657527591555.0, "591657527591555"),
        (70.5310735, "70.53107"),
        (1128.4971760000001, "1128.497176"),
        (0.5, "0.5"),
        (10.0, "10"),
    ],
)
def test_scales_as_text(scale: float, text: str) -> None:
    level = Level(0, 1.0, scale)
    sent = form(levels=(level,), scheme=replace(SCHEME, levels=(level,)))["levels"]

    assert float(sent) == pytest.approx(scale, rel=1e-8)
    assert "e" not in sent.lower()
    assert sent.startswith(text)


@pytest.mark.parametrize(("instances", "text"), [(-1, "-1"), (1, "1"), (8, "8")])
def test_instances(instances: int, text: str) -> None:
    assert form(instances=instances)["thread_count"] == text


@pytest.mark.parametrize("instances", [0, -2])
def test_bad_instances(instances: int) -> None:
    with pytest.raises(BadInstances):
        form(instances=instances)


def test_no_levels() -> None:
    with pytest.raises(NoLevels):
        form(levels=())


def test_a_mode_that_is_not_offered() -> None:
    parameters = [*without("update_mode"), parameter("update_mode", choiceList=["DELETE_TILES"])]

    with pytest.raises(ModeNotOffered) as caught:
        form(parameters, mode=EMPTY)

    assert (caught.value.service, caught.value.mode) == (
        "F/World:MapServer",
        "RECREATE_EMPTY_TILES",
    )


EXTENT = Extent(1.5, 2, 3, 4)
SQUARE = box(0, 0, 10, 10)


def test_an_extent_goes_as_an_area() -> None:
    sent = form(extent=EXTENT)

    assert sent["constraining_extent"] == "DEFAULT"
    (feature,) = area_of(sent)["features"]
    assert Polygon(feature["geometry"]["rings"][0]).equals(box(1.5, 2, 3, 4))


def test_an_extent_for_a_task_without_area() -> None:
    sent = form(without("area_of_interest"), extent=EXTENT)

    assert json.loads(sent["constraining_extent"]) == {
        "xmin": 1.5,
        "ymin": 2,
        "xmax": 3,
        "ymax": 4,
        "spatialReference": {"wkid": 102100, "latestWkid": 3857},
    }
    assert "area_of_interest" not in sent


def test_the_area_wins_over_the_extent() -> None:
    sent = form(area=SQUARE, extent=EXTENT)

    assert sent["constraining_extent"] == "DEFAULT"
    (feature,) = area_of(sent)["features"]
    assert Polygon(feature["geometry"]["rings"][0]).equals(SQUARE)


@pytest.mark.parametrize("more", [{}, {"extent": EXTENT}])
def test_an_area_for_a_task_without_area(more: dict[str, Any]) -> None:
    """Its bounding box, or the whole cache, would be more than what was asked for."""
    with pytest.raises(CachingUnavailable) as caught:
        form(without("area_of_interest"), area=SQUARE, **more)

    assert (caught.value.reason, caught.value.detail) == (
        Unavailable.UNKNOWN_TASK,
        "area_of_interest",
    )


def test_an_extent_for_a_task_that_takes_neither() -> None:
    """Left out, it would have the whole cache deleted."""
    parameters = without("area_of_interest", "constraining_extent")

    with pytest.raises(CachingUnavailable):
        form(parameters, extent=EXTENT, mode=DELETE)
    assert "DEFAULT" not in form(parameters, mode=DELETE).values()


@pytest.mark.parametrize("empty", [Polygon(), MultiPolygon(), SQUARE.difference(SQUARE)])
def test_an_empty_area_is_not_the_whole_cache(empty: Any) -> None:
    with pytest.raises(EmptyArea):
        form(area=empty, mode=DELETE)


def test_an_area_is_a_feature_set() -> None:
    sent = area_of(form(area=SQUARE))

    reference = {"wkid": 102100, "latestWkid": 3857}
    assert sent["geometryType"] == "esriGeometryPolygon"
    assert sent["spatialReference"] == reference
    assert sent["fields"] == [{"name": "OID", "type": "esriFieldTypeOID", "alias": "OID"}]
    (feature,) = sent["features"]
    assert feature["attributes"] == {"OID": 1}
    assert feature["geometry"]["spatialReference"] == reference


def signed_area(ring: list[list[float]]) -> float:
    """Positive where the ring runs counter-clockwise (shoelace formula)."""
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(ring, ring[1:])) / 2


HOLE, HOLE_2 = [(2, 2), (2, 4), (4, 4), (4, 2)], [(6, 6), (8, 6), (8, 8), (6, 8)]
SHAPES = [
    ("clockwise", Polygon([(0, 0), (0, 10), (10, 10), (10, 0)])),
    ("counter-clockwise", Polygon([(0, 0), (10, 0), (10, 10), (0, 10)])),
    ("holes both ways round", Polygon(SQUARE.exterior.coords, [HOLE, HOLE_2])),
    ("parts", MultiPolygon([SQUARE, box(20, 0, 30, 10)])),
    (
        "a part in a hole",
        MultiPolygon([Polygon(SQUARE.exterior.coords, [HOLE]), box(2.5, 2.5, 3.5, 3.5)]),
    ),
    ("heights", Polygon([(0, 0, 5), (0, 10, 5), (10, 10, 5)])),
]


@pytest.mark.parametrize("shape", [row[1] for row in SHAPES], ids=[row[0] for row in SHAPES])
def test_rings(shape: Any) -> None:
    """Outer rings run clockwise, holes the other way, all closed: Esri's own rule."""
    features = area_of(form(area=shape))["features"]

    parts = list(getattr(shape, "geoms", [shape]))
    assert [feature["attributes"]["OID"] for feature in features] == [
        number + 1 for number in range(len(parts))
    ]
    for part, feature in zip(parts, features):
        outer, *holes = feature["geometry"]["rings"]
        assert signed_area(outer) < 0
        assert all(signed_area(hole) > 0 for hole in holes)
        assert all(ring[0] == ring[-1] for ring in (outer, *holes))
        assert all(len(point) == 2 for ring in (outer, *holes) for point in ring)
        assert Polygon(outer, holes).equals(Polygon(part))


@pytest.mark.parametrize(
    ("crs", "sent"),
    [
        (SpatialReference(102100, 3857), {"wkid": 102100, "latestWkid": 3857}),
        (SpatialReference(4326, None), {"wkid": 4326}),
        (SpatialReference(None, 25832), {"wkid": 25832, "latestWkid": 25832}),
        (SpatialReference(wkt="PROJCS[]"), {"wkt": "PROJCS[]"}),
    ],
)
def test_spatial_references_sent(crs: SpatialReference, sent: dict[str, Any]) -> None:
    assert area_of(form(area=SQUARE, scheme=replace(SCHEME, crs=crs)))["spatialReference"] == sent


def test_nothing_is_sent_in_a_parameter_that_is_not_there() -> None:
    listed = {item["name"] for item in USUAL}

    assert set(form(area=SQUARE, extent=EXTENT)) <= listed
