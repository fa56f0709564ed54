"""The caching task: found by name, its parameters by what it lists."""

from __future__ import annotations

from typing import Any

import pytest
from caching_pages import ALL_MODES, GP, TASK, USUAL, pages, parameter, without
from scripted_site import SITE, AnsweringSite, Unreachable, error, html, quick_client

from tile_cache_manager.plugin.core.arcgis.caching import (
    CachingTask,
    find_caching_task,
)
from tile_cache_manager.plugin.core.arcgis.credentials import FixedToken
from tile_cache_manager.plugin.core.errors import (
    CachingUnavailable,
    NotArcGIS,
    SiteUnreachable,
    Unavailable,
)
from tile_cache_manager.plugin.core.request import UpdateMode


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


@pytest.mark.parametrize("first", [STOPPED, FORBIDDEN, error(404, "not found"), html()])
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
