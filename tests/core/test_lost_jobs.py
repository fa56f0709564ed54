"""Jobs of the caching task whose answer was lost, found in what a site lists; and take-ups."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from scripted_site import SITE, AnsweringSite, Unreachable, error, html, quick_client

from tile_cache_manager.plugin.core.arcgis.address import service_of
from tile_cache_manager.plugin.core.arcgis.caching_jobs import CachingTaskJobs
from tile_cache_manager.plugin.core.arcgis.jobs_by_address import job_address, update_of
from tile_cache_manager.plugin.core.errors import NotTakenUp, SiteError, TakeUpProblem, UnknownJob
from tile_cache_manager.plugin.core.site_update import PartState, TakeUp, UpdatePart

TASK = "/rest/services/System/CachingControllers/GPServer/Manage%20Map%20Cache%20Tiles"
QUERY = "/admin/services/System/CachingControllers.GPServer/jobs/query"
SINCE = 1_700_000_000.0
FORM = {
    "service_url": "Town:MapServer",
    "levels": "40000;20000",
    "thread_count": "-1",
    "update_mode": "RECREATE_ALL_TILES",
    "constraining_extent": "DEFAULT",
}
PART = UpdatePart((7, 8), FORM, state=PartState.UNCLEAR, asked_at=SINCE)
MODES = ["RECREATE_EMPTY_TILES", "RECREATE_ALL_TILES", "DELETE_TILES"]


def task_page(*modes: str, job: str = "jobid") -> dict[str, Any]:
    names = ["service_url", "levels", "thread_count", "constraining_extent", "area_of_interest"]
    parameters: list[dict[str, Any]] = [{"name": name} for name in names]
    parameters.append({"name": "update_mode", "choiceList": [*MODES, *modes]})
    if job:
        parameters.append({"name": job, "displayName": "Input Job ID"})
    return {"parameters": parameters}


def job_pages(job_id: str, **inputs: Any) -> dict[str, Any]:
    """The pages of a job that was asked for what FORM says, but for `inputs`."""
    values = {**{name: FORM[name] for name in ("service_url", "levels", "update_mode")}, **inputs}
    root = f"{TASK}/jobs/{job_id}"
    listed = {name: {"paramUrl": f"inputs/{name}"} for name in values}
    pages = {f"{root}/inputs/{name}": {"value": value} for name, value in values.items()}
    return {root: {"jobId": job_id, "jobStatus": "esriJobExecuting", "inputs": listed}, **pages}


def jobs_on(pages: dict[str, Any]) -> CachingTaskJobs:
    site = AnsweringSite({TASK: task_page("RESUME_JOB"), **pages})
    service = service_of(f"{SITE}/rest/services/Town/MapServer")
    return CachingTaskJobs(quick_client(site), service, f"{SITE}{TASK}")


def found(pages: dict[str, Any], *known: str, part: UpdatePart = PART) -> str | None:
    others = frozenset(f"{SITE}{TASK}/jobs/{job_id}" for job_id in known)
    url = jobs_on(pages).find_lost(part, SINCE, others)
    return None if url is None else url.rpartition("/")[2]


SOON = int((SINCE + 1) * 1000)
# how a site lists two jobs, the later of which is j2
LISTS: list[Any] = [
    {"results": {"j1": {"submissionTime": SOON}, "j2": {"submissionTime": SOON + 5}}},
    {
        "results": [
            {"jobID": "j2", "submittedTime": SOON + 5},
            {"jobID": "j1", "submittedTime": SOON},
        ]
    },
    {
        "results": [
            {"job_id": "j1", "job_created": SOON / 1000},
            {"job_id": "j2", "job_created": SOON / 1000 + 3},
        ]
    },
    {
        "jobs": [
            {"jobid": "j1", "submittedtime": str(SOON)},
            {"jobid": "j2", "submittedtime": str(SOON + 1)},
        ]
    },
    {"results": [{"jobId": "j2", "submitTime": SOON}, {"jobId": "old", "submitTime": 5}, None, {}]},
]


@pytest.mark.parametrize("listed", LISTS, ids=range(len(LISTS)))
def test_however_jobs_are_listed(listed: Any) -> None:
    pages = {QUERY: listed, **job_pages("j1"), **job_pages("j2"), **job_pages("old")}

    first = "j2" if "j1" not in str(listed) else "j1"
    assert found(pages) == first
    assert jobs_on(pages).listed(SINCE) is not None
    assert found(pages, "j1") == "j2"
    assert found(pages, "j1", "j2") is None


@pytest.mark.parametrize(("behind", "is_found"), [(600, True), (3700, True), (90_000, False)])
def test_a_site_whose_clock_is_behind(behind: int, is_found: bool) -> None:
    submitted = int((SINCE + 1 - behind) * 1000)
    pages = {QUERY: {"results": {"j1": {"submissionTime": submitted}}}, **job_pages("j1")}

    assert found(pages) == ("j1" if is_found else None)
    assert found(pages, "j1") is None


# what the one job that is listed was asked for; is it the one?
INPUTS = [
    ({}, True),
    ({"levels": "20000;40000;"}, True),
    ({"levels": "20000.000;4e4"}, True),
    ({"update_mode": "RESUME_JOB"}, True),
    ({"levels": "20000"}, False),
    ({"levels": "no numbers"}, False),
    ({"service_url": "Town:ImageServer"}, False),
    ({"service_url": "Folder/Town:MapServer"}, False),
    ({"update_mode": "DELETE_TILES"}, False),
    ({"update_mode": ""}, False),
]


@pytest.mark.parametrize(("inputs", "is_it"), INPUTS, ids=str)
def test_which_job_it_is(inputs: dict[str, str], is_it: bool) -> None:
    pages = {QUERY: {"results": {"j1": {"submissionTime": SOON}}}, **job_pages("j1", **inputs)}

    assert found(pages) == ("j1" if is_it else None)


def corners(xmax: float = 9.0) -> list[list[float]]:
    return [[0, 0], [0, 7], [xmax, 7], [xmax, 0], [0, 0]]


def area(*rings: Any, **more: Any) -> dict[str, Any]:
    features = [{"attributes": {"OID": 1}, "geometry": {"rings": list(rings)}}] if rings else []
    return {"geometryType": "esriGeometryPolygon", "features": features, **more}


# the area that was asked for, and that of the one job that is listed; can it be the one?
AREAS: list[tuple[Any, Any, bool]] = [
    (area(corners()), area(corners()), True),
    (area(corners()), json.dumps(area(corners(9.000001), exceededTransferLimit=False)), True),
    (area(corners()), area(corners(8.0)), False),
    (area(corners()), area(corners(), [[1, 1], [2, 1], [2, 2], [1, 1]]), False),
    (area(corners()), area(), False),
    (area(corners()), "", False),
    (area(corners()), {"url": "elsewhere"}, True),
    (area(corners()), "[" * 100_000, True),
    (None, area(), True),
    (None, area(corners()), False),
]


@pytest.mark.parametrize(("asked", "there", "is_it"), AREAS, ids=range(len(AREAS)))
def test_a_job_elsewhere_is_not_the_one(asked: Any, there: Any, is_it: bool) -> None:
    """Somebody else may update the same levels of the service just then."""
    form = FORM if asked is None else {**FORM, "area_of_interest": json.dumps(asked)}
    jobs = {QUERY: {"results": {"j1": {"submissionTime": SOON}}}}
    pages = {**jobs, **job_pages("j1", area_of_interest=there)}

    assert found(pages, part=replace(PART, form=form)) == ("j1" if is_it else None)


@pytest.mark.parametrize(
    ("there", "is_it"),
    [
        ("DEFAULT", False),
        ({"xmin": 0, "ymin": 0, "xmax": 9, "ymax": 7}, True),
        ({"xmin": 0, "ymin": 0, "xmax": 9, "ymax": 8}, False),
        ("0 0 9 7", True),
    ],
    ids=str,
)
def test_a_job_in_another_extent_is_not_the_one(there: Any, is_it: bool) -> None:
    asked = json.dumps({"xmin": 0, "ymin": 0, "xmax": 9, "ymax": 7})
    jobs = {QUERY: {"results": {"j1": {"submissionTime": SOON}}}}
    pages = {**jobs, **job_pages("j1", constraining_extent=there)}
    part = replace(PART, form={**FORM, "constraining_extent": asked})

    assert found(pages, part=part) == ("j1" if is_it else None)


NOT_TELLING = [
    error(403, "No."),
    error(404, "No."),
    error(498, "Invalid Token"),
    error(500, "Broken."),
]


@pytest.mark.parametrize("page", NOT_TELLING)
def test_sites_that_do_not_tell(page: Any) -> None:
    assert found({QUERY: page}) is None
    assert jobs_on({QUERY: page}).listed(SINCE) is None


TELLING_LATER = [error(503, "Busy."), html(), Unreachable.TIMEOUT, Unreachable.BROKEN]


@pytest.mark.parametrize("page", TELLING_LATER)
def test_sites_that_may_tell_later(page: Any) -> None:
    with pytest.raises(SiteError):
        jobs_on({QUERY: page}).listed(SINCE)


HOSTILE = [
    {"results": {"../../x": {"submissionTime": SOON}, "a?b": {"submissionTime": SOON}}},
    {"results": {"j1": {"submissionTime": "NaN"}, "j2": {"submissionTime": 1e400}}},
    {"results": {"j1": None, "j2": [1], "": {"submissionTime": SOON}}},
    {"results": "j1"},
    {"results": None, "nextStart": 5},
    {},
]


@pytest.mark.parametrize("listed", HOSTILE, ids=range(len(HOSTILE)))
def test_lists_that_are_none(listed: Any) -> None:
    pages = {QUERY: listed, **job_pages("j1"), **job_pages("j2")}

    assert jobs_on(pages).listed(SINCE) == ()
    assert found(pages) is None


def test_lists_of_several_pages_come_to_an_end() -> None:
    page = {"results": {"j1": {"submissionTime": SOON}}, "nextStart": 2}
    more = {"results": {"j2": {"submissionTime": SOON}}, "nextStart": 3}

    assert len(jobs_on({QUERY: [page, more, {"results": {}}]}).listed(SINCE) or ()) == 2
    endless = [
        {"results": {f"j{at}": {"submissionTime": SOON}}, "nextStart": at + 2} for at in range(99)
    ]
    assert len(jobs_on({QUERY: endless}).listed(SINCE) or ()) == 5
    assert jobs_on({QUERY: {**page, "nextStart": -1}}).listed(SINCE) == (f"{SITE}{TASK}/jobs/j1",)


# --- taking up -----------------------------------------------------------------------------------

ENDED = replace(PART, state=PartState.CANCELLED, job_url=f"{SITE}{TASK}/jobs/jold")
# what the task lists; which ways there are
WAYS: list[tuple[dict[str, Any], tuple[TakeUp, ...]]] = [
    (task_page(), ()),
    (task_page("RESUME_JOB"), (TakeUp.RESUME,)),
    (task_page("COMPLETE_JOB", "FIX_JOB", "RESUME_JOB"), tuple(TakeUp)),
    (task_page("Resume Job", "Fix Job", job="Job_ID"), (TakeUp.RESUME, TakeUp.FIX)),
    (task_page("RESUME_JOB", job=""), ()),
]


@pytest.mark.parametrize(("page", "ways"), WAYS, ids=range(len(WAYS)))
def test_ways_to_take_up(page: dict[str, Any], ways: tuple[TakeUp, ...]) -> None:
    jobs = jobs_on({TASK: page, f"{TASK}/submitJob": {"jobId": "jnew"}})

    assert jobs.take_ups() == ways
    for how in TakeUp:
        if how in ways:
            assert jobs.take_up(ENDED, how).url == f"{SITE}{TASK}/jobs/jnew"
            continue
        with pytest.raises(NotTakenUp) as caught:
            jobs.take_up(ENDED, how)
        assert caught.value.reason is TakeUpProblem.NOT_OFFERED


def test_what_is_asked_for_is_the_same_by_other_words() -> None:
    submit = f"{TASK}/submitJob"
    site = AnsweringSite({TASK: task_page("Fix Job", job="Job_ID"), submit: {"jobId": "jnew"}})
    service = service_of(f"{SITE}/rest/services/Town/MapServer")

    CachingTaskJobs(quick_client(site), service, f"{SITE}{TASK}").take_up(ENDED, TakeUp.FIX)

    (form,) = [params for path, params in site.asked if path == submit]
    assert form == {"f": "json", **FORM, "update_mode": "Fix Job", "Job_ID": "jold"}


@pytest.mark.parametrize(
    "url",
    ["", f"{SITE}{TASK}", "https://elsewhere.example/GPServer/T/jobs/j1", f"{SITE}{TASK}/jobs/a/b"],
)
def test_jobs_that_are_not_of_this_site(url: str) -> None:
    with pytest.raises(UnknownJob):
        jobs_on({}).reopen(replace(PART, job_url=url))


# --- by its address alone ------------------------------------------------------------------------


@pytest.mark.parametrize("page", [error(500, "Broken."), error(503, ""), Unreachable.TIMEOUT])
def test_a_job_whose_area_cannot_be_read_is_not_one_of_the_whole_cache(page: Any) -> None:
    pages = job_pages("j1", area_of_interest=area(corners()))
    pages[f"{TASK}/jobs/j1/inputs/area_of_interest"] = page
    site = AnsweringSite({TASK: task_page("RESUME_JOB"), **pages})

    with pytest.raises(SiteError):
        update_of(job_address(f"{SITE}{TASK}/jobs/j1"), quick_client(site))
    assert site.asked[-1][0].endswith("/inputs/area_of_interest")


MAP = {
    "singleFusedMapCache": True,
    "spatialReference": {"wkid": 3857},
    "fullExtent": {"xmin": 0, "ymin": 0, "xmax": 10240, "ymax": 10240},
    "tileInfo": {
        "rows": 256,
        "cols": 256,
        "origin": {"x": 0, "y": 10240},
        "spatialReference": {"wkid": 3857},
        "lods": [
            {"level": 7, "resolution": 10, "scale": 40000},
            {"level": 8, "resolution": 5, "scale": 20000},
        ],
    },
}
NO_AREA = [[0, 0], [1e308, 0], [1e308, 1e308], [0, 0]]
# the rings of a job's area, tiles of both levels that it touches within the full extent
PLANNED: list[tuple[list[Any], dict[int, int]]] = [
    ([corners(2561)], {7: 2, 8: 3}),
    ([[[-9e9, -9e9], [-9e9, 9e9], [9e9, 9e9], [9e9, -9e9], [-9e9, -9e9]]], {7: 16, 8: 64}),
    ([[[2e5, 2e5], [2e5, 3e5], [3e5, 3e5], [2e5, 2e5]]], {}),
    ([[[1, 2], [3, 4]]], {}),
]


@pytest.mark.parametrize(("rings", "planned"), PLANNED, ids=range(len(PLANNED)))
def test_tiles_of_a_job_known_by_its_address_are_those_of_the_cache(
    rings: list[Any], planned: dict[int, int]
) -> None:
    """Without end, an area would be counted without end."""
    pages = job_pages("j1", area_of_interest=area(*rings))
    service = {"/rest/services/Town/MapServer": MAP}
    site = AnsweringSite({TASK: task_page(), **service, **pages})

    found = update_of(job_address(f"{SITE}{TASK}/jobs/j1"), quick_client(site))

    assert found.parts[0].planned == planned


def test_an_area_beyond_all_numbers_ends_the_counting() -> None:
    """What is cut out of it is another with each version of GEOS: a triangle, or nothing."""
    pages = job_pages("j1", area_of_interest=area(NO_AREA))
    service = {"/rest/services/Town/MapServer": MAP}
    site = AnsweringSite({TASK: task_page(), **service, **pages})

    found = update_of(job_address(f"{SITE}{TASK}/jobs/j1"), quick_client(site))

    assert found.parts[0].planned in ({}, {7: 10, 8: 36})
