"""A cache on a site, described and updated: its status, and the arithmetic of reports."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from scripted_site import (
    SITE,
    AnsweringSite,
    Recorder,
    Unreachable,
    answer,
    error,
    html,
    quick_client,
)
from shapely.geometry import box

from tile_cache_manager.plugin.core.arcgis.address import service_of
from tile_cache_manager.plugin.core.arcgis.cache import ArcGISCache
from tile_cache_manager.plugin.core.arcgis.jobs import Pace
from tile_cache_manager.plugin.core.arcgis.status import parse_status, parse_status_value
from tile_cache_manager.plugin.core.cache import open_cache
from tile_cache_manager.plugin.core.description import LevelStatus
from tile_cache_manager.plugin.core.errors import (
    AddressError,
    CachingUnavailable,
    JobFailed,
    ModeNotOffered,
    NotArcGIS,
    NotCached,
    ServiceChanged,
    SiteError,
    SiteRefused,
    Unavailable,
    UnknownScale,
)
from tile_cache_manager.plugin.core.request import (
    Feedback,
    LevelEstimate,
    Outcome,
    UpdateMode,
    UpdateReport,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.tiling import Extent, Level, SpatialReference, TilingScheme

PACE = Pace(first=0.001, longest=0.004, patience=30, cancel_patience=30)
EMPTY, ALL, DELETE = UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL, UpdateMode.DELETE
ROOT = "/rest/services/Town/MapServer"
GP = "/rest/services/System"
CONTROLLERS = f"{GP}/CachingControllers/GPServer"
TASK = f"{CONTROLLERS}/Manage%20Map%20Cache%20Tiles"
SUBMIT, JOB, CANCEL = f"{TASK}/submitJob", f"{TASK}/jobs/j1", f"{TASK}/jobs/j1/cancel"
RESULT = f"{JOB}/results/out_service_url"
REPORTING = f"{GP}/ReportingTools/GPServer"
REPORT = f"{REPORTING}/ReportCacheStatus"
EXECUTE = f"{REPORT}/execute"

# Level 0: tiles of 1000 m, level 1: of 500 m. The cache covers 4000 m x 4000 m from the origin.
SERVICE = {
    "currentVersion": 10.81,
    "singleFusedMapCache": True,
    "fullExtent": {"xmin": 0, "ymin": 0, "xmax": 4000, "ymax": 4000},
    "tileInfo": {
        "rows": 100,
        "cols": 100,
        "format": "PNG",
        "origin": {"x": 0, "y": 4000},
        "spatialReference": {"wkid": 25832},
        "lods": [
            {"level": 7, "resolution": 10, "scale": 40000},
            {"level": 8, "resolution": 5, "scale": 20000},
        ],
    },
}
COARSE, FINE = Level(7, 10.0, 40000.0), Level(8, 5.0, 20000.0)
SCHEME = TilingScheme(0, 4000, 100, 100, 96, SpatialReference(25832), (COARSE, FINE))
NAMES = (
    "service_url",
    "levels",
    "thread_count",
    "update_mode",
    "constraining_extent",
    "area_of_interest",
)
QUARTER = Extent(0, 2000, 2000, 4000)
"""4 tiles of level 7, 16 of level 8."""


def status(*rows: tuple[int, int, int | None]) -> dict[str, Any]:
    """ReportCacheStatus's answer: level, tiles there, tiles expected."""
    keys = ("levelID", "tileCount", "expectedTileCount")
    value = {"status": "EXISTS", "lodInfos": [dict(zip(keys, row)) for row in rows]}
    return {"results": [{"paramName": "out", "dataType": "GPString", "value": value}]}


def job(status_word: str = "Succeeded", *messages: str, **more: Any) -> dict[str, Any]:
    lines = [{"type": "esriJobMessageTypeInformative", "description": text} for text in messages]
    return {"jobId": "j1", "jobStatus": f"esriJob{status_word}", "messages": lines, **more}


def pages(*reports: Any, **more: Any) -> dict[str, Any]:
    return {
        ROOT: SERVICE,
        CONTROLLERS: {"tasks": ["Manage Map Cache Tiles"]},
        TASK: {"parameters": [{"name": name} for name in NAMES]},
        SUBMIT: {"jobId": "j1", "jobStatus": "esriJobSubmitted"},
        JOB: job(),
        REPORTING: {"tasks": ["ReportCacheStatus"]},
        REPORT: {"parameters": [{"name": "service_url"}]},
        EXECUTE: list(reports) or error(500, "no status"),
        **more,
    }


def cache_on(site: AnsweringSite) -> ArcGISCache:
    return ArcGISCache(service_of(f"{SITE}{ROOT}"), quick_client(site), PACE)


def updated(site: AnsweringSite, recorder: Recorder | None = None, **request: Any) -> UpdateReport:
    asked = {
        "scheme": SCHEME,
        "levels": (COARSE, FINE),
        "mode": EMPTY,
        "extent": QUARTER,
        **request,
    }
    return cache_on(site).update(UpdateRequest(**asked), (recorder or Recorder()).feedback)


# --- describing ------------------------------------------------------------------------------


def test_describing() -> None:
    found = cache_on(AnsweringSite(pages(status((7, 3, 16), (8, 0, 64))))).describe()

    assert found.modes == (EMPTY, ALL, DELETE)
    assert found.modes_problem is None
    assert found.status == (LevelStatus(7, 3, 16), LevelStatus(8, 0, 64))
    assert found.extent == Extent(0, 0, 4000, 4000)


GONE = error(404, "not found")
# what is wrong on the way to the tools, why there are no modes
NO_MODES = [
    ({CONTROLLERS: GONE}, Unavailable.NO_TOOLS),
    ({CONTROLLERS: error(499, "Token Required")}, Unavailable.SIGN_IN),
    ({TASK: {"parameters": []}}, Unavailable.UNKNOWN_TASK),
]


@pytest.mark.parametrize(("changes", "reason"), NO_MODES)
def test_describing_a_cache_that_nobody_can_manage(
    changes: dict[str, Any], reason: Unavailable
) -> None:
    found = cache_on(AnsweringSite({**pages(), **changes})).describe()

    assert found.modes == ()
    assert isinstance(found.modes_problem, CachingUnavailable)
    assert found.modes_problem.reason is reason


@pytest.mark.parametrize("trouble", [Unreachable.CERTIFICATE, html(), error(500, "x")])
def test_tools_that_fail_do_not_hide_the_service(trouble: Any) -> None:
    found = cache_on(
        AnsweringSite({**pages(), CONTROLLERS: trouble, REPORTING: trouble})
    ).describe()

    assert (found.modes, found.status) == ((), ())
    assert isinstance(found.modes_problem, (SiteError, CachingUnavailable))


@pytest.mark.parametrize(
    ("root", "kind"),
    [
        (error(404, "Service Town not found"), SiteRefused),
        (error(500, "Service Town/MapServer not started"), SiteRefused),
        (html(), NotArcGIS),
        ({"currentVersion": 10.81, "singleFusedMapCache": False}, NotCached),
    ],
)
def test_describing_what_is_no_cache(root: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        cache_on(AnsweringSite({**pages(), ROOT: root})).describe()


def test_opening() -> None:
    site = AnsweringSite(pages())

    cache = open_cache(f"{SITE}{ROOT}/0?f=html", transport=site)

    assert site.asked == []
    assert cache.describe().name == "Town"
    with pytest.raises(AddressError):
        open_cache(SITE, transport=site)


# --- how full it is --------------------------------------------------------------------------

FULL = (LevelStatus(0, 0, 1), LevelStatus(6, 2, None))
LODS = {
    "lodInfos": [
        {"levelID": 0, "tileCount": 0, "expectedTileCount": 1},
        {"levelID": "6", "tileCount": 2.0},
    ]
}
STATUS_VALUES = [
    (LODS, FULL),
    (json.dumps(LODS), FULL),
    ({"lodInfos": [*LODS["lodInfos"], {"levelID": 9}, {"tileCount": 4}, None]}, FULL),
    ({"lodInfos": []}, ()),
    ({"status": "NONE"}, ()),
    ("no JSON", ()),
    ("[]", ()),
    (None, ()),
]


@pytest.mark.parametrize(("value", "expected"), STATUS_VALUES)
def test_status_values(value: object, expected: tuple[LevelStatus, ...]) -> None:
    assert parse_status_value(value) == expected
    body = {"results": [{"paramName": "log", "value": "x"}, {"paramName": "o", "value": value}]}
    assert parse_status(body) == expected


# --- reports ---------------------------------------------------------------------------------

# mode, status before and after, outcome: made, replaced, deleted, skipped on levels 7 and 8
ARITHMETIC = [
    (
        EMPTY,
        [(7, 1), (8, 0)],
        [(7, 4), (8, 16)],
        "Succeeded",
        [(3, None, None, 1), (16, None, None, 0)],
    ),
    (
        EMPTY,
        [(7, 4), (8, 16)],
        [(7, 4), (8, 16)],
        "Succeeded",
        [(0, None, None, 4), (0, None, None, 16)],
    ),
    (
        EMPTY,
        [(7, 9), (8, 0)],
        [(7, 13), (8, 16)],
        "Succeeded",
        [(4, None, None, 0), (16, None, None, 0)],
    ),
    (
        EMPTY,
        [(7, 0), (8, 0)],
        [(7, 4), (8, 5)],
        "Cancelled",
        [(4, None, None, None), (5, None, None, None)],
    ),
    (
        ALL,
        [(7, 1), (8, 16)],
        [(7, 4), (8, 16)],
        "Succeeded",
        [(3, 1, None, None), (0, 16, None, None)],
    ),
    (
        ALL,
        [(7, 1), (8, 0)],
        [(7, 2), (8, 0)],
        "Cancelled",
        [(1, None, None, None), (0, None, None, None)],
    ),
    (
        DELETE,
        [(7, 9), (8, 7)],
        [(7, 5), (8, 0)],
        "Succeeded",
        [(None, None, 4, None), (None, None, 7, None)],
    ),
    (
        DELETE,
        [(7, 9), (8, 7)],
        [(7, 6), (8, 7)],
        "Cancelled",
        [(None, None, 3, None), (None, None, 0, None)],
    ),
    (EMPTY, [(7, 1)], [(7, 4), (8, 16)], "Succeeded", [(3, None, None, 1), (None,) * 4]),
    (EMPTY, [(7, 1), (8, 0)], [(7, 4)], "Succeeded", [(3, None, None, 1), (None,) * 4]),
    (
        EMPTY,
        [(7, 5), (8, 0)],
        [(7, 2), (8, 16)],
        "Succeeded",
        [(0, None, None, 4), (16, None, None, 0)],
    ),
    (
        DELETE,
        [(7, 1), (8, 0)],
        [(7, 4), (8, 0)],
        "Succeeded",
        [(None, None, 0, None), (None, None, 0, None)],
    ),
    (EMPTY, [], [], "Succeeded", [(None,) * 4, (None,) * 4]),
    # somebody else's tiles are among them: more than the area has
    (EMPTY, [(7, 0), (8, 0)], [(7, 5), (8, 16)], "Succeeded", [(None,) * 4, (16, None, None, 0)]),
    (DELETE, [(7, 9), (8, 0)], [(7, 0), (8, 0)], "Succeeded", [(None,) * 4, (None, None, 0, None)]),
    # nobody knows whether the rest was there before or failed
    (
        EMPTY,
        [(7, 1), (8, 0)],
        [(7, 3), (8, 9)],
        "PartialSucceeded",
        [(2, None, None, None), (9, None, None, None)],
    ),
    (
        ALL,
        [(7, 1), (8, 0)],
        [(7, 3), (8, 9)],
        "PartialSucceeded",
        [(2, None, None, None), (9, None, None, None)],
    ),
]
OUTCOMES = {
    "Succeeded": Outcome.DONE,
    "PartialSucceeded": Outcome.PARTIAL,
    "Cancelled": Outcome.CANCELLED,
}


@pytest.mark.parametrize(("mode", "before", "after", "word", "expected"), ARITHMETIC)
def test_the_arithmetic_of_reports(
    mode: UpdateMode,
    before: list[tuple[int, int]],
    after: list[tuple[int, int]],
    word: str,
    expected: list[tuple[int | None, ...]],
) -> None:
    first, last = (status(*((key, tiles, None) for key, tiles in rows)) for rows in (before, after))
    # once before the job, once after it; the job itself tells percent
    site = AnsweringSite(pages(first, last, **{JOB: job(word, progress={"percentage": 5})}))

    report = updated(site, mode=mode)

    told = [(level.made, level.replaced, level.deleted, level.skipped) for level in report.levels]
    assert told == expected
    assert [level.planned for level in report.levels] == [4, 16]
    assert [level.level for level in report.levels] == [COARSE, FINE]
    assert report.outcome is OUTCOMES[word]
    assert (report.mode, report.job_id, report.job_url) == (mode, "j1", f"{SITE}{JOB}")


def test_totals() -> None:
    before, after = status((7, 1, 16), (8, 0, 64)), status((7, 4, 16), (8, 16, 64))
    report = updated(AnsweringSite(pages(before, after)))

    assert (report.total("planned"), report.total("made"), report.total("skipped")) == (20, 19, 1)
    assert report.total("replaced") is None
    assert report.total("failed") is None


# where, tiles planned on levels 7 and 8 (by hand: see QUARTER)
PLANS = [
    ({"extent": QUARTER}, [4, 16]),
    ({"extent": None}, [16, 64]),
    ({"extent": None, "area": box(0, 2000, 2000, 4000)}, [4, 16]),
    ({"extent": Extent(0, 0, 4000, 4000), "area": box(100, 3100, 400, 3900)}, [1, 2]),
    ({"extent": Extent(900, 2900, 1100, 3100)}, [4, 4]),
]


@pytest.mark.parametrize(("where", "planned"), PLANS)
def test_planned_tiles(where: dict[str, Any], planned: list[int]) -> None:
    report = updated(AnsweringSite(pages()), **where)

    assert [level.planned for level in report.levels] == planned


def test_nothing_is_planned_where_nobody_knows_the_extent() -> None:
    service = {key: value for key, value in SERVICE.items() if key != "fullExtent"}
    report = updated(AnsweringSite({**pages(), ROOT: service}), extent=None)

    assert [level.planned for level in report.levels] == [None, None]
    assert report.total("planned") is None


OUTPUTS = [
    (
        {RESULT: {"value": "https://maps.example/new/MapServer"}},
        "https://maps.example/new/MapServer",
    ),
    (
        {RESULT: {"value": "https://jane:s3c@ret@maps.example/new/MapServer?token=abc#x"}},
        "https://maps.example/new/MapServer",
    ),
    ({RESULT: {"value": ""}}, f"{SITE}{ROOT}"),
    ({RESULT: {"value": {"url": "x"}}}, f"{SITE}{ROOT}"),
    ({RESULT: error(500, "gone")}, f"{SITE}{ROOT}"),
    ({}, f"{SITE}{ROOT}"),
]


@pytest.mark.parametrize(("changes", "output"), OUTPUTS)
def test_the_output_address(changes: dict[str, Any], output: str) -> None:
    done = job(results={"out_service_url": {"paramUrl": "results/out_service_url"}})

    assert updated(AnsweringSite({**pages(), JOB: done, **changes})).output_url == output


def test_without_waiting() -> None:
    site = AnsweringSite(pages(status((7, 1, 16))))

    report = updated(site, wait=False)

    assert report.outcome is Outcome.SUBMITTED
    assert (report.job_id, report.job_url) == ("j1", f"{SITE}{JOB}")
    assert report.output_url == f"{SITE}{ROOT}"
    assert [level.planned for level in report.levels] == [4, 16]
    assert report.total("made") is None
    assert site.times(JOB) == 0


def test_what_is_sent() -> None:
    site = AnsweringSite(pages())
    updated(site, extent=None, mode=DELETE, instances=2, levels=(FINE,))

    (form,) = [params for path, params in site.asked if path == SUBMIT]
    assert form == {
        "f": "json",
        "service_url": "Town:MapServer",
        "levels": "20000",
        "thread_count": "2",
        "update_mode": "DELETE_TILES",
        "constraining_extent": "DEFAULT",
    }


@pytest.mark.parametrize("level", [Level(7, 10.0, 20000.0), Level(3, 1.0, 1234.0)])
def test_levels_that_the_service_does_not_have(level: Level) -> None:
    site = AnsweringSite(pages())
    with pytest.raises(UnknownScale) as caught:
        updated(site, levels=(level,))

    assert caught.value.known == (40000.0, 20000.0)
    assert site.times(SUBMIT) == 0


def test_a_mode_that_the_site_does_not_offer() -> None:
    parameters = [{"name": name} for name in NAMES if name != "update_mode"]
    parameters.append({"name": "update_mode", "choiceList": ["RECREATE_ALL_TILES"]})
    site = AnsweringSite({**pages(), TASK: {"parameters": parameters}})

    assert cache_on(site).describe().modes == (ALL,)
    with pytest.raises(ModeNotOffered):
        updated(site, mode=EMPTY)
    assert site.times(SUBMIT) == 0


def test_a_job_that_fails_on_the_site() -> None:
    failed = job("Failed")
    failed["messages"] = [{"type": "esriJobMessageTypeError", "description": "ERROR 001470: no."}]

    with pytest.raises(JobFailed) as caught:
        updated(AnsweringSite({**pages(), JOB: failed}))

    assert caught.value.message == "ERROR 001470: no."


def test_a_status_report_that_fails_does_not_stop_the_update() -> None:
    site = AnsweringSite(pages(answer("<html>"), Unreachable.CERTIFICATE, error(500, "x")))

    assert updated(site).outcome is Outcome.DONE


@pytest.mark.parametrize(
    "feedback", [Feedback(cancelled=lambda: True), Feedback(abandoned=lambda: True)]
)
@pytest.mark.parametrize("wait", [True, False])
def test_cancelled_before_there_is_a_job_nothing_is_submitted(
    feedback: Feedback, wait: bool
) -> None:
    site = AnsweringSite(pages())
    request = UpdateRequest(SCHEME, (COARSE, FINE), DELETE, wait=wait)

    report = cache_on(site).update(request, feedback)

    assert site.times(SUBMIT) == 0
    assert (report.outcome, report.job_id, report.job_url) == (Outcome.CANCELLED, "", "")
    assert (report.total("planned"), report.total("deleted")) == (80, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"spatialReference": {"wkid": 2056}},
        {"origin": {"x": 10, "y": 4000}},
        {"rows": 200},
        {"lods": [*SERVICE["tileInfo"]["lods"], {"level": 9, "resolution": 2, "scale": 8000}]},
    ],
    ids=str,
)
def test_a_service_that_was_published_anew_is_not_touched(change: dict[str, Any]) -> None:
    """Levels and area were chosen on another scheme: they would mean something else now."""
    anew = {**SERVICE, "tileInfo": {**SERVICE["tileInfo"], **change}}
    site = AnsweringSite({**pages(), ROOT: anew})

    with pytest.raises(ServiceChanged) as caught:
        updated(site, mode=DELETE)

    assert caught.value.service == "Town"
    assert site.times(SUBMIT) == 0


def test_an_abandoned_job_goes_on_by_itself() -> None:
    site = AnsweringSite({**pages(), JOB: job("Executing")})
    request = UpdateRequest(SCHEME, (COARSE,), EMPTY, extent=QUARTER)

    report = cache_on(site).update(request, Feedback(abandoned=lambda: site.times(JOB) > 2))

    assert (report.outcome, report.job_url) == (Outcome.SUBMITTED, f"{SITE}{JOB}")
    assert site.times(CANCEL) == 0
    assert report.total("made") is None


def test_a_status_report_that_hangs_is_asked_no_more_while_the_job_runs() -> None:
    running = [job("Executing")] * 5
    site = AnsweringSite({**pages(Unreachable.TIMEOUT), JOB: [*running, job()]})

    assert updated(site).outcome is Outcome.DONE
    # before the job, once while it runs, after it
    assert site.times(EXECUTE) <= 3


# --- estimating ------------------------------------------------------------------------------


def test_estimating_counts_tiles_and_asks_for_nothing() -> None:
    site = AnsweringSite(pages(status((7, 3, 16), (8, 0, 64))))
    asked = UpdateRequest(SCHEME, (COARSE, FINE), ALL, extent=QUARTER)

    found = cache_on(site).estimate(asked, Recorder().feedback)

    assert found == (LevelEstimate(COARSE, 4, None, None), LevelEstimate(FINE, 16, None, None))
    whole = UpdateRequest(SCHEME, (COARSE,), ALL)
    assert cache_on(site).estimate(whole, Recorder().feedback)[0].tiles == 16


def test_a_service_that_changed_is_not_estimated() -> None:
    other = replace(SCHEME, dpi=97)
    asked = UpdateRequest(other, other.levels, ALL, extent=QUARTER)

    with pytest.raises(ServiceChanged):
        cache_on(AnsweringSite(pages())).estimate(asked, Recorder().feedback)
