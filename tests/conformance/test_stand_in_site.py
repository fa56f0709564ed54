"""The stand-in ArcGIS site against the protocol: jobs and areas.

Spoken to with plain requests, so that what holds here holds for any client.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from arcgis_server.coverage import expected_count, tiles_of
from arcgis_server.handle import RunningSite
from arcgis_server.plain_client import SCALES, TASK, Client
from arcgis_server.profiles import SITES, Service
from shapely.geometry import box

NORTH_EAST = "1 1 20037508 20037508"


@pytest.fixture
def publisher(fresh_site: RunningSite) -> Client:
    return Client(fresh_site, "classic")


def tiles(site: RunningSite, level: int, key: str = "classic", name: str = "World") -> set[Any]:
    return set(site.read_cache(key, name).get(level, {}))


def texts(job: Any) -> str:
    return "\n".join(message["description"] for message in job["messages"])


def block(rows: range, cols: range) -> set[tuple[int, int]]:
    return {(row, col) for row in rows for col in cols}


# --- jobs -------------------------------------------------------------------------------------


def test_a_job_is_submitted_executes_and_succeeds_with_a_growing_list_of_messages(
    fresh_site: RunningSite, publisher: Client
) -> None:
    fresh_site.pause_after("classic", 4)
    submitted = publisher.submit()
    fresh_site.wait_until_paused("classic")
    halfway = publisher.job(submitted["jobId"])
    fresh_site.release("classic")
    job = publisher.follow(submitted["jobId"])

    assert submitted["jobStatus"] == "esriJobSubmitted"
    assert halfway["jobStatus"] == "esriJobExecuting"
    assert halfway["progress"]["percentage"] == 25
    assert "results" not in halfway
    assert job["jobStatus"] == "esriJobSucceeded"
    assert "progress" not in job
    assert job["messages"][: len(halfway["messages"])] == halfway["messages"]
    assert len(job["messages"]) > len(halfway["messages"])
    result = publisher.get(
        f"{TASK}/jobs/{job['jobId']}/{job['results']['out_service_url']['paramUrl']}"
    )
    assert result["value"] == fresh_site.service_url("classic", "World")
    assert tiles(fresh_site, 2) == block(range(4), range(4))


def test_the_modes_make_replace_and_delete_exactly_the_covered_tiles(
    fresh_site: RunningSite, publisher: Client
) -> None:
    publisher.run(constraining_extent=NORTH_EAST)
    first = fresh_site.read_cache("classic", "World")[2]
    assert set(first) == block(range(2), range(2, 4))

    fresh_site.set_revision("classic", 2)
    publisher.run(update_mode="RECREATE_EMPTY_TILES")
    second = fresh_site.read_cache("classic", "World")[2]
    assert set(second) == block(range(4), range(4))
    assert {tile: second[tile] for tile in first} == first

    publisher.run(update_mode="RECREATE_ALL_TILES", constraining_extent=NORTH_EAST)
    third = fresh_site.read_cache("classic", "World")[2]
    assert {tile for tile in third if third[tile] != second[tile]} == set(first)
    assert all(third[tile].sha1 != first[tile].sha1 for tile in first)

    files = sorted(fresh_site.cache_folder("classic", "World").rglob("*"))
    job = publisher.run(update_mode="DELETE_TILES", constraining_extent=NORTH_EAST)
    assert "deleted: 4" in texts(job)
    fourth = fresh_site.read_cache("classic", "World")[2]
    assert fourth == {tile: third[tile] for tile in third if tile not in first}
    assert sorted(fresh_site.cache_folder("classic", "World").rglob("*")) == files


def test_a_cancelled_job_keeps_what_it_has_made_and_the_next_one_makes_the_rest(
    fresh_site: RunningSite, publisher: Client
) -> None:
    fresh_site.pause_after("classic", 5)
    job_id = publisher.submit()["jobId"]
    fresh_site.wait_until_paused("classic")
    cancelling = publisher.get(f"{TASK}/jobs/{job_id}/cancel")
    job = publisher.follow(job_id)
    assert cancelling["jobStatus"] in {"esriJobCancelling", "esriJobCancelled"}
    assert job["jobStatus"] == "esriJobCancelled"
    assert job["messages"][-1]["description"] == "Cancel complete."
    made = fresh_site.read_cache("classic", "World")[2]
    assert len(made) == 5

    fresh_site.release("classic")
    rest = publisher.run(update_mode="RECREATE_EMPTY_TILES")
    assert "created: 11, replaced: 0" in texts(rest)
    assert {tile: fresh_site.read_cache("classic", "World")[2][tile] for tile in made} == made


BAD_FORMS = {
    "a scale that is not in the scheme": ({"levels": "123456"}, "scale 123456 is not in"),
    "a scale that is no number": ({"levels": "one"}, "'one' is not a scale"),
    "an unknown service": ({"service_url": "Nowhere:MapServer"}, "Nowhere:MapServer was not"),
    "an uncached service": ({"service_url": "Dynamic:MapServer"}, "has no tile cache"),
    "a scheme without a cache": ({"service_url": "Scheme:MapServer"}, "has no tile cache"),
    "an extent of three numbers": ({"constraining_extent": "1 2 3"}, "not four numbers"),
    "an extent the wrong way round": ({"constraining_extent": "9 0 1 5"}, "extent is empty"),
    "an area that is not JSON": ({"area_of_interest": "here"}, "not JSON"),
    "no instances": ({"thread_count": "0"}, "not a number of instances"),
    "a mode that needs an earlier job": ({"update_mode": "RESUME_JOB"}, "earlier job"),
    "far too many tiles": (
        {"levels": f"{SCALES[0] / 2**19}"},
        "exceeds what this site makes",
    ),
}


@pytest.mark.parametrize(("form", "said"), BAD_FORMS.values(), ids=BAD_FORMS.keys())
def test_a_job_that_cannot_be_done_fails_and_says_why(
    fresh_site: RunningSite, publisher: Client, form: dict[str, str], said: str
) -> None:
    job = publisher.run(**form)
    assert job["jobStatus"] == "esriJobFailed"
    assert said in texts(job)
    assert {message["type"] for message in job["messages"]} >= {"esriJobMessageTypeError"}
    assert fresh_site.read_cache("classic", "World") == {}


def test_control_makes_a_job_fail_after_some_tiles(
    fresh_site: RunningSite, publisher: Client
) -> None:
    fresh_site.fail_next("classic", "ERROR 999999: the disk is full", after=3)
    job = publisher.run()
    assert job["jobStatus"] == "esriJobFailed"
    assert "the disk is full" in texts(job)
    assert len(tiles(fresh_site, 2)) == 3
    assert publisher.run()["jobStatus"] == "esriJobSucceeded"


BAD_SUBMISSIONS = {
    "no scales": ({"levels": ""}, "Required: levels"),
    "no number of instances": ({"thread_count": ""}, "Required: thread_count"),
    "a mode that is not offered": ({"update_mode": "MAKE"}, "not in the choice list"),
}


@pytest.mark.parametrize(("form", "said"), BAD_SUBMISSIONS.values(), ids=BAD_SUBMISSIONS.keys())
def test_a_submission_with_a_wrong_form_is_refused(
    publisher: Client, form: dict[str, str], said: str
) -> None:
    error = publisher.submit(**form)["error"]
    assert error["code"] == 400
    assert said in " ".join(error["details"])


def test_other_tasks_are_listed_but_refused(publisher: Client) -> None:
    assert "Manage Map Cache Status" in publisher.get("System/CachingControllers/GPServer")["tasks"]
    task = "System/CachingControllers/GPServer/Manage Map Cache Status"
    assert publisher.submit(task)["error"]["code"] == 400


# --- areas ------------------------------------------------------------------------------------

CORNER, SPAN = 20037508.342787, 256 * 156543.033928 / 4  # of level 2


def ring(xmin: float, ymin: float, xmax: float, ymax: float) -> list[list[float]]:
    return [[xmin, ymin], [xmin, ymax], [xmax, ymax], [xmax, ymin], [xmin, ymin]]


def feature_set(*features: list[Any], wkid: int = 102100) -> str:
    return json.dumps(
        {
            "geometryType": "esriGeometryPolygon",
            "spatialReference": {"wkid": wkid},
            "features": [{"attributes": {}, "geometry": {"rings": r}} for r in features],
        }
    )


# The rounded resolutions that are published do not add up to a square to the last digit, so the
# borders of tiles are counted from the origin, as a site does it.
FOUR_TILES = ring(-CORNER + SPAN, CORNER - 3 * SPAN, -CORNER + 3 * SPAN, CORNER - SPAN)
INNER = block(range(1, 3), range(1, 3))
AREAS = {
    "exactly four tiles": (
        {"area_of_interest": feature_set([FOUR_TILES])},
        INNER,
    ),
    "a hole as large as four tiles": (
        {"area_of_interest": feature_set([ring(-2e7, -2e7, 2e7, 2e7), FOUR_TILES[::-1]])},
        block(range(4), range(4)) - INNER,
    ),
    "two features": (
        {"area_of_interest": feature_set([ring(1, 1, 2, 2)], [ring(-2e7, -2e7, -19e6, -19e6)])},
        {(1, 2), (3, 0)},
    ),
    "degrees": (
        {"area_of_interest": feature_set([ring(1, 1, 2, 2)], wkid=4326)},
        {(1, 2)},
    ),
    "the area wins over the extent": (
        {
            "area_of_interest": feature_set([ring(1, 1, 2, 2)]),
            "constraining_extent": "-1 -1 1 1",
        },
        {(1, 2)},
    ),
    "an empty area is none": (
        {"area_of_interest": feature_set(), "constraining_extent": "1 1 2 2"},
        {(1, 2)},
    ),
    "the word DEFAULT": ({"constraining_extent": "DEFAULT"}, block(range(4), range(4))),
    "an extent with blanks": ({"constraining_extent": "1 1 2 2"}, {(1, 2)}),
    "an extent with commas": ({"constraining_extent": "1,1,2,2"}, {(1, 2)}),
    "an extent with semicolons": ({"constraining_extent": "1;1;2;2"}, {(1, 2)}),
    "an extent as JSON": (
        {"constraining_extent": '{"xmin":1,"ymin":1,"xmax":2,"ymax":2}'},
        {(1, 2)},
    ),
    "an extent in degrees": (
        {
            "constraining_extent": '{"xmin":1,"ymin":1,"xmax":2,"ymax":2,'
            '"spatialReference":{"wkid":4326}}'
        },
        {(1, 2)},
    ),
    "outside the service": ({"constraining_extent": "3e7 1 4e7 2"}, set()),
}


@pytest.mark.parametrize(("form", "expected"), AREAS.values(), ids=AREAS.keys())
def test_a_job_makes_the_tiles_that_the_area_touches(
    fresh_site: RunningSite, publisher: Client, form: dict[str, str], expected: set[Any]
) -> None:
    job = publisher.run(**form)
    assert job["jobStatus"] == "esriJobSucceeded", texts(job)
    assert tiles(fresh_site, 2) == expected


SMALL_LEVELS = [
    pytest.param(service, lod, id=f"{site.key} {service.name} level {lod.level}")
    for site in SITES
    for service in site.services
    if service.scheme is not None
    for lod in service.scheme.lods
    if expected_count(service, lod) <= 1100
]


@pytest.mark.parametrize(("service", "lod"), SMALL_LEVELS)
def test_the_expected_number_of_tiles_equals_brute_force(service: Service, lod: Any) -> None:
    assert expected_count(service, lod) == len(
        list(tiles_of(service, lod, box(*service.full_extent)))
    )
