"""The caching task: found by name, its parameters by what it lists, and the form that asks it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from scripted_site import SITE, AnsweringSite, Unreachable, error, html, quick_client
from shapely.geometry import MultiPolygon, Polygon, box

from tile_cache_manager.plugin.core.arcgis.caching import (
    CachingTask,
    Input,
    find_caching_task,
    update_form,
)
from tile_cache_manager.plugin.core.arcgis.credentials import FixedToken
from tile_cache_manager.plugin.core.errors import (
    BadInstances,
    CachingUnavailable,
    EmptyArea,
    ModeNotOffered,
    NoLevels,
    NotArcGIS,
    SiteUnreachable,
    Unavailable,
)
from tile_cache_manager.plugin.core.request import UpdateMode, UpdateRequest
from tile_cache_manager.plugin.core.tiling import Extent, Level, SpatialReference

GP = "/rest/services/System"
TASK = "Manage%20Map%20Cache%20Tiles"
ALL_MODES = ["RECREATE_EMPTY_TILES", "RECREATE_ALL_TILES", "DELETE_TILES", "FIX_JOB"]
MERCATOR = SpatialReference(102100, 3857)
LEVELS = (Level(3, 19567.88, 73957190.948944), Level(5, 4891.97, 18489297.737236))


def parameter(name: str, display: str = "", kind: str = "GPString", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "displayName": display,
        "dataType": kind,
        "direction": "esriGPParameterDirectionInput",
        **more,
    }


# as ArcGIS Server 10.8.1 lists them
USUAL = [
    parameter("service_url", "Input Map Service or Image Service URL"),
    parameter("levels", "Scales"),
    parameter("thread_count", "Number of caching service instances", "GPLong"),
    parameter("update_mode", "Update Mode", choiceList=ALL_MODES),
    parameter("constraining_extent", "Update Extent"),
    parameter("jobid", "Input Job ID"),
    parameter("area_of_interest", "Area Of Interest (Polygon)", "GPFeatureRecordSetLayer"),
    parameter("out_service_url", direction="esriGPParameterDirectionOutput"),
]


def without(*names: str) -> list[dict[str, Any]]:
    return [item for item in USUAL if item["name"] not in names]


def pages(parameters: list[dict[str, Any]], service: str = "CachingControllers") -> dict[str, Any]:
    root = f"{GP}/{service}/GPServer"
    return {
        root: {"tasks": ["Export Cache", "Manage Map Cache Tiles"]},
        f"{root}/{TASK}": {"parameters": parameters},
    }


def found(parameters: list[dict[str, Any]]) -> CachingTask:
    return find_caching_task(quick_client(AnsweringSite(pages(parameters))), SITE)


def names(task: CachingTask) -> dict[str, str]:
    return {str(key.value): name for key, name in task.names.items()}


# --- finding the task ------------------------------------------------------------------------

SERVICES = ["CachingControllers", "CachingTools", "CachingToolsEx"]


@pytest.mark.parametrize("service", SERVICES)
def test_the_first_service_that_has_the_task(service: str) -> None:
    site = AnsweringSite(pages(USUAL, service))

    task = find_caching_task(quick_client(site), SITE)

    assert task.url == f"{SITE}{GP}/{service}/GPServer/{TASK}"
    asked = [path.split("/")[4] for path, _ in site.asked]
    assert asked == [*SERVICES[: SERVICES.index(service) + 1], service]


@pytest.mark.parametrize(
    ("listed", "url_part"),
    [
        ("Manage Map Cache Tiles", "Manage%20Map%20Cache%20Tiles"),
        ("ManageMapCacheTiles", "ManageMapCacheTiles"),
        ("manage map cache tiles", "manage%20map%20cache%20tiles"),
        ("Manage_Map/Cache Tiles", "Manage_Map/Cache%20Tiles"),
    ],
)
def test_how_the_task_is_listed(listed: str, url_part: str) -> None:
    root = f"{GP}/CachingControllers/GPServer"
    tasks = ["Manage Map Cache Tiles Worker", None, listed]
    site = AnsweringSite({root: {"tasks": tasks}, f"{root}/{url_part}": {"parameters": USUAL}})

    assert find_caching_task(quick_client(site), SITE).url == f"{SITE}{root}/{url_part}"


FORBIDDEN, MISSING = error(403, "No right"), error(499, "Token Required")
STOPPED = error(500, "Service System/CachingControllers/GPServer not started")
# what CachingControllers and CachingTools say, in whose name, why there is no task
NO_TASK = [
    (error(404, "not found"), error(404, "not found"), True, Unavailable.NO_TOOLS),
    ({"tasks": []}, {"tasks": ["Export Cache"]}, True, Unavailable.NO_TOOLS),
    ({}, {"tasks": None}, True, Unavailable.NO_TOOLS),
    (STOPPED, error(404, "not found"), True, Unavailable.NO_TOOLS),
    (MISSING, error(404, "not found"), False, Unavailable.SIGN_IN),
    (error(404, "not found"), html(401), False, Unavailable.SIGN_IN),
    (FORBIDDEN, FORBIDDEN, False, Unavailable.SIGN_IN),
    (FORBIDDEN, FORBIDDEN, True, Unavailable.NO_RIGHT),
]


@pytest.mark.parametrize(("controllers", "tools", "signed_in", "reason"), NO_TASK)
def test_no_caching_task(
    controllers: Any, tools: Any, signed_in: bool, reason: Unavailable
) -> None:
    site = AnsweringSite(
        {f"{GP}/CachingControllers/GPServer": controllers, f"{GP}/CachingTools/GPServer": tools}
    )
    sign_in = FixedToken("t0ps3cret") if signed_in else None

    with pytest.raises(CachingUnavailable) as caught:
        find_caching_task(quick_client(site, sign_in), SITE)

    assert (caught.value.url, caught.value.reason) == (SITE, reason)
    assert caught.value.detail == "Manage Map Cache Tiles"


@pytest.mark.parametrize("first", [STOPPED, FORBIDDEN, error(404, "not found")])
def test_the_next_service_is_tried(first: Any) -> None:
    site = AnsweringSite(
        {**pages(USUAL, "CachingTools"), f"{GP}/CachingControllers/GPServer": first}
    )

    assert "/CachingTools/" in find_caching_task(quick_client(site), SITE).url


@pytest.mark.parametrize(
    ("trouble", "kind"), [(Unreachable.CERTIFICATE, SiteUnreachable), (html(), NotArcGIS)]
)
def test_a_site_that_does_not_answer_is_no_site_without_tools(
    trouble: Any, kind: type[Exception]
) -> None:
    site = AnsweringSite({f"{GP}/CachingControllers/GPServer": trouble})

    with pytest.raises(kind):
        find_caching_task(quick_client(site), SITE)


# --- its parameters --------------------------------------------------------------------------

USUAL_NAMES = {
    "service": "service_url",
    "levels": "levels",
    "instances": "thread_count",
    "mode": "update_mode",
    "extent": "constraining_extent",
    "area": "area_of_interest",
}
AREA_TYPE = "GPFeatureRecordSetLayer"
# parameters as listed, names where they are not the usual ones (None: none)
NAMES: list[tuple[str, list[dict[str, Any]], dict[str, str | None]]] = [
    ("usual", USUAL, {}),
    ("in another order", USUAL[::-1], {}),
    (
        "as the desktop tool has them",
        [
            parameter("input_service"),
            parameter("scales"),
            parameter("update_mode"),
            parameter("num_of_caching_service_instances", kind="GPLong"),
            parameter("area_of_interest", kind=AREA_TYPE),
            parameter("update_extent"),
            parameter("wait_for_job_completion"),
        ],
        {
            "service": "input_service",
            "levels": "scales",
            "instances": "num_of_caching_service_instances",
            "extent": "update_extent",
        },
    ),
    (
        "renamed, known by their display names",
        [
            parameter("p1", "Input Map Service or Image Service URL"),
            parameter("p2", "SCALES"),
            parameter("p3", "Number of Caching Service Instances", "GPLong"),
            parameter("p4", "Update mode"),
            parameter("p5", "Update_Extent"),
            parameter("p6", "Area of interest (polygon)", AREA_TYPE),
        ],
        dict(zip(USUAL_NAMES, ("p1", "p2", "p3", "p4", "p5", "p6"))),
    ),
    (
        "other case",
        [{**item, "name": item["name"].upper()} for item in USUAL],
        {key: name.upper() for key, name in USUAL_NAMES.items()},
    ),
    (
        "area known by its type only",
        [*without("area_of_interest"), parameter("where", "Where", AREA_TYPE)],
        {"area": "where"},
    ),
    (
        "two that could be the area",
        [
            *without("area_of_interest"),
            parameter("a", "A", AREA_TYPE),
            parameter("b", "B", AREA_TYPE),
        ],
        {"area": None},
    ),
    ("no area", without("area_of_interest"), {"area": None}),
    (
        "no instances, no extent",
        without("thread_count", "constraining_extent"),
        {"instances": None, "extent": None},
    ),
    (
        "an output of that name is no input",
        [
            *without("constraining_extent"),
            parameter("constraining_extent", direction="esriGPParameterDirectionOutput"),
        ],
        {"extent": None},
    ),
    ("junk in the list", [None, {}, {"name": None}, *USUAL], {}),
]


@pytest.mark.parametrize(
    ("parameters", "unusual"), [row[1:] for row in NAMES], ids=[row[0] for row in NAMES]
)
def test_parameter_names(parameters: list[dict[str, Any]], unusual: dict[str, str | None]) -> None:
    expected = {**USUAL_NAMES, **unusual}

    assert names(found(parameters)) == {key: name for key, name in expected.items() if name}


@pytest.mark.parametrize("needed", ["service_url", "levels", "update_mode"])
def test_a_task_that_lacks_what_is_needed(needed: str) -> None:
    with pytest.raises(CachingUnavailable) as caught:
        found(without(needed))

    assert (caught.value.reason, caught.value.detail) == (Unavailable.UNKNOWN_TASK, needed)
    assert caught.value.url.endswith(TASK)


EMPTY, ALL, DELETE = UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL, UpdateMode.DELETE


@pytest.mark.parametrize(
    ("choices", "modes"),
    [
        (ALL_MODES, {EMPTY: ALL_MODES[0], ALL: ALL_MODES[1], DELETE: ALL_MODES[2]}),
        (["RECREATE_ALL_TILES", "DELETE_TILES"], {ALL: ALL_MODES[1], DELETE: ALL_MODES[2]}),
        (
            ["Recreate Empty Tiles", "Recreate All Tiles", "Delete Tiles"],
            {EMPTY: "Recreate Empty Tiles", ALL: "Recreate All Tiles", DELETE: "Delete Tiles"},
        ),
        (["recreate_all_tiles"], {ALL: "recreate_all_tiles"}),
        (["FIX_JOB"], {}),
        ([], {EMPTY: ALL_MODES[0], ALL: ALL_MODES[1], DELETE: ALL_MODES[2]}),
        (None, {EMPTY: ALL_MODES[0], ALL: ALL_MODES[1], DELETE: ALL_MODES[2]}),
    ],
)
def test_modes_offered(choices: list[str] | None, modes: dict[UpdateMode, str]) -> None:
    parameters = [*without("update_mode"), parameter("update_mode", choiceList=choices)]

    assert dict(found(parameters).modes) == modes


# --- the form --------------------------------------------------------------------------------


def form(
    parameters: list[dict[str, Any]] | None = None,
    crs: SpatialReference = MERCATOR,
    **request: Any,
) -> dict[str, str]:
    asked = {"levels": LEVELS, "mode": EMPTY, **request}
    return update_form(
        found(USUAL if parameters is None else parameters),
        "F/World:MapServer",
        UpdateRequest(**asked),
        crs,
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
    sent = form(levels=(Level(0, 1.0, scale),))["levels"]

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
    assert area_of(form(area=SQUARE, crs=crs))["spatialReference"] == sent


def test_nothing_is_sent_in_a_parameter_that_is_not_there() -> None:
    listed = {item["name"] for item in USUAL}

    assert set(form(area=SQUARE, extent=EXTENT)) <= listed
    assert Input.AREA.value == "area"
