"""Recorded answers of real services: each is read into the right values or the right error.

The recordings lie beside the checkout, in `../shared/fixtures`, and are no part of the project;
without them these tests are skipped. The expected values were read off the files by eye. Every
file must stand in one of the tables: a new one without a row fails.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scripted_site import SITE, AnsweringSite, ScriptedSite, answer, quick_client

from tile_cache_manager.plugin.core.arcgis.address import ServiceAddress
from tile_cache_manager.plugin.core.arcgis.caching import Input, find_caching_task
from tile_cache_manager.plugin.core.arcgis.catalogue import list_services
from tile_cache_manager.plugin.core.arcgis.credentials import Credentials
from tile_cache_manager.plugin.core.arcgis.envelope import body_of
from tile_cache_manager.plugin.core.arcgis.gp_task import find_task
from tile_cache_manager.plugin.core.arcgis.jobs import JobPhase, parse_job
from tile_cache_manager.plugin.core.arcgis.service import parse_service
from tile_cache_manager.plugin.core.arcgis.status import parse_status_value
from tile_cache_manager.plugin.core.arcgis.transport import HttpResponse
from tile_cache_manager.plugin.core.description import LevelStatus
from tile_cache_manager.plugin.core.errors import (
    DescriptionError,
    NotAllowed,
    NotCached,
    SignInFailed,
    SignInNeeded,
    SignInProblem,
    SiteRefused,
)
from tile_cache_manager.plugin.core.request import Severity, UpdateMode

FIXTURES = Path(__file__).resolve().parents[3] / "shared" / "fixtures"
pytestmark = pytest.mark.skipif(
    not FIXTURES.is_dir(), reason="the recordings in ../shared/fixtures are not here"
)

CORNER = (-20037508.342787, 20037508.342787)
MERCATOR = (102100, 3857)
V2 = "esriMapCacheStorageModeCompactV2"
TILES = "Manage Map Cache Tiles"

# file, type of service: what its root says
CACHED: list[tuple[str, str, dict[str, Any]]] = [
    (
        "ol2-arcgiscache-worldtopo-10.01",
        "MapServer",
        {
            "version": "10.01",
            "format": ("JPEG", 90, ""),
            "crs": (102100, None),
            "levels": (20, 0, 19),
            "cached": (0, 19),
            "extent": (-20037507.0671618, -19971868.8804086, 20037507.0671618, 19971868.8804086),
            "export": (False, None),
            "tiles_only_and_map": (False, False),
            "text": "This map is designed to be used as a bas",
        },
    ),
    (
        "terria-imageserver-tiled-mixed",
        "ImageServer",
        {
            "version": "10.91",
            "format": ("MIXED", 75, ""),
            "crs": MERCATOR,
            "levels": (20, 0, 19),
            "cached": (7, 19),
            "extent": (
                -13873971.544712003,
                5151008.633437126,
                -12960958.413099812,
                5831188.605321072,
            ),
            "export": (False, None),
            "tiles_only_and_map": (False, False),
            "text": "Some service description.",
        },
    ),
    (
        "terria-mapserver-hosted-tile-layer",
        "MapServer",
        {
            "version": "10.81",
            "format": ("PNG8", 0, V2),
            "crs": MERCATOR,
            "levels": (24, 0, 23),
            "cached": (15, 19),
            "extent": (15692237.829999998, -4701914.7225, 16639480.728, -4045498.547699999),
            "export": (False, 100000),
            "tiles_only_and_map": (True, True),
            "text": "Some service description",
        },
    ),
    # the document in a tile package has the keys of a service's root, and no format in tileInfo
    (
        "esri-tpkx-root",
        "MapServer",
        {
            "version": "",
            "format": ("", 0, V2),
            "crs": MERCATOR,
            "levels": (24, 0, 23),
            "cached": (0, 5),
            "extent": (
                -19839092.300098713,
                2146082.1892188587,
                -7454985.150524516,
                11542624.896685526,
            ),
            "export": (False, None),
            "tiles_only_and_map": (False, False),
            "text": "",
        },
    ),
    # its extent is a point: none that can be used
    (
        "gdal-tpkx-root-oversizedlod",
        "MapServer",
        {
            "version": "",
            "format": ("", 0, V2),
            "crs": MERCATOR,
            "levels": (25, 0, 24),
            "cached": (0, 24),
            "extent": None,
            "export": (False, None),
            "tiles_only_and_map": (False, False),
            "text": "",
        },
    ),
]

# file, whether there is a scheme all the same
UNCACHED = [
    ("terria-imageserver-rasterfns", False),
    ("terria-imageserver-time", False),
    ("terria-mapserver-census", False),
    ("terria-mapserver-dynamic-10.04", False),
    ("terria-mapserver-uncached-10.61", False),
    ("terria-mapserver-uncached-10.71", False),
    ("terria-mapserver-tileinfo-not-fused", True),
]

# answers that are no service's root: read as one, they are refused by the key that is missed
NO_SERVICE_ROOT = [
    "esri-tpkx-iteminfo",
    "exporttiles-estimate-result",
    "hosted-job-statistics",
    "hosted-jobs",
    "solutionjs-webmap-tileinfo",
    "terria-mapserver-token",
    "terria-portal-item",
    "terria-portal-search",
    "tilemap-adjusted",
]

# file, error, code, message, details
ERRORS = [
    (
        "restjs-error-400-general",
        SiteRefused,
        400,
        "'type' and 'title' property required.",
        (),
    ),
    (
        "restjs-error-403",
        NotAllowed,
        403,
        "You do not have permissions to access this resource or perform this operation.",
        (),
    ),
    ("restjs-error-498-invalid-token", SignInNeeded, 498, "Invalid token.", ()),
    ("restjs-error-499-token-required", SignInNeeded, 499, "Token Required", ("Token Required",)),
    ("restjs-error-500-nonstandard", SiteRefused, 500, "Error getting subscription info", ()),
    (
        "restjs-error-generatetoken-400",
        SiteRefused,
        400,
        "Unable to generate token.",
        ("Invalid username or password.",),
    ),
    (
        "restjs-error-no-code",
        SiteRefused,
        None,
        "You do not have permissions to access this resource or perform this operation.",
        (),
    ),
    ("restjs-error-refreshtoken-498", SignInNeeded, 498, "refresh_token expired", ()),
    (
        "restjs-task-failed-status",
        SiteRefused,
        400,
        "Index was outside the bounds of the array.",
        (),
    ),
    ("tilemap-error-422", SiteRefused, 422, "", ()),
]

J4F = "j4fa1db2338f042a19eb68856afabc27e"
TOO_MANY = (
    "ERROR 001564: Requested tile count(1225884) exceeds the maximum allowed number of "
    "tiles(150000) to be exported for service World_Street_Map:MapServer."
)
# file, id, status, phase, messages with severity, results
JOBS: list[tuple[str, str, str, JobPhase, list[tuple[str, Severity]], dict[str, str]]] = [
    ("restjs-job-submitted", J4F, "esriJobSubmitted", JobPhase.RUNNING, [], {}),
    (
        "restjs-job-succeeded",
        J4F,
        "esriJobSucceeded",
        JobPhase.SUCCEEDED,
        [],
        {
            "Hotspot_Raster": "results/hotspot_raster",
            "Output_Features": "results/output_features",
        },
    ),
    (
        "restjs-job-failed",
        "FAILED_JOB_ID",
        "esriJobFailed",
        JobPhase.FAILED,
        [("Failed", Severity.INFO)],
        {},
    ),
    (
        "restjs-job-cancelled",
        J4F,
        "esriJobCancelled",
        JobPhase.CANCELLED,
        [("Submitted.", Severity.INFO), ("Cancel complete.", Severity.INFO)],
        {},
    ),
    (
        "exporttiles-job-failed-limit",
        "j00000000000000000000000000000000_et",
        "esriJobFailed",
        JobPhase.FAILED,
        [(TOO_MANY, Severity.ERROR)],
        {},
    ),
]

# GP service, file: whether it has the task for tiles, and how many tasks
GP_ROOTS = [
    ("System/CachingControllers", "gp-cachingcontrollers-root", True, 6),
    ("System/CachingTools", "gp-cachingtools-root", True, 15),
    ("System/CachingToolsEx", "gp-cachingtoolsex-root", True, 15),
    ("System/ReportingTools", "gp-reportingtools-root", False, 1),
]

# file: names of its inputs, in order
GP_TASKS = [
    ("gp-task-convert-cache-storage-format", "server_name thread_count"),
    (
        "gp-task-create-map-cache",
        "service_url out_folder tile_origin levels storage_format cache_format "
        "tile_compression_quality dpi tile_width tile_height use_local_cache_dir lerc_error",
    ),
    ("gp-task-delete-cache", "service_url thread_count cache_path"),
    (
        "gp-task-export-cache",
        "service_url target_cache storage_format_type copy_data_from_server thread_count "
        "tile_package export_extent levels replace_existing_tiles area_of_interest "
        "temp_output_path export_options",
    ),
    ("gp-task-manage-map-cache-scales", "service_url levels"),
    (
        "gp-task-manage-map-cache-tiles",
        "service_url levels thread_count update_mode constraining_extent jobid area_of_interest",
    ),
    (
        "gp-task-report-cache-status",
        "service_url report_mode job_id levelID error_start error_count",
    ),
]

# file, folder asked for: map and image services, [folder/]name and type
CATALOGUES = [
    (
        "terria-catalog-folder-agp",
        "AGP",
        [(f"AGP/{name}", "MapServer") for name in ("Census", "Hurricanes", "USA", "WindTurbines")],
    ),
    (
        "terria-catalog-folder-elevation",
        "Elevation",
        [
            ("Elevation/earthquakedemoelevation", "ImageServer"),
            ("Elevation/GlacierBay", "MapServer"),
            ("Elevation/WorldElevations", "MapServer"),
        ],
    ),
]

# read by tests of their own below, or, the last one, by nobody yet
OTHERS = {
    "gp-reportcachestatus-value",
    "restjs-sharing-rest-info",
    "solutionjs-rest-info",
    "terria-catalog-sampleserver6",
    "terria-mapserver-hosted-layers",
}


def response(name: str) -> HttpResponse:
    return HttpResponse("", 200, {}, (FIXTURES / f"{name}.json").read_bytes())


def body(name: str) -> dict[str, Any]:
    return body_of(response(name))


def service(kind: str = "MapServer") -> ServiceAddress:
    return ServiceAddress(f"{SITE}/rest/services/F/N/{kind}", SITE, "F/N", kind)


def test_every_recording_has_a_row() -> None:
    rows = [
        *(
            row[0]
            for table in (CACHED, UNCACHED, ERRORS, JOBS, GP_TASKS, CATALOGUES)
            for row in table
        ),
        *(row[1] for row in GP_ROOTS),
        *NO_SERVICE_ROOT,
        *OTHERS,
    ]
    files = {path.name for path in FIXTURES.iterdir()} - {"SOURCES.md"}
    assert sorted(f"{row}.json" for row in rows) == sorted(files)


@pytest.mark.parametrize(("name", "kind", "expected"), CACHED)
def test_a_cached_service(name: str, kind: str, expected: dict[str, Any]) -> None:
    found = parse_service(body(name), service(kind))

    scheme = found.scheme
    assert found.version == expected["version"]
    assert (found.image_format, found.compression_quality, found.storage_format) == (
        expected["format"]
    )
    assert (scheme.origin_x, scheme.origin_y) == CORNER
    assert (scheme.tile_width, scheme.tile_height, scheme.dpi) == (256, 256, 96)
    assert (scheme.crs.wkid, scheme.crs.latest_wkid) == expected["crs"]
    assert scheme.crs.code == 3857
    assert (len(scheme.levels), scheme.levels[0].id, scheme.levels[-1].id) == expected["levels"]
    assert (scheme.levels[0].resolution, scheme.levels[0].scale) == (
        156543.033928,
        591657527.591555,
    )
    assert (found.cached_levels[0].id, found.cached_levels[-1].id) == expected["cached"]
    assert len(found.cached_levels) == expected["cached"][1] - expected["cached"][0] + 1
    assert (found.extent and found.extent.bounds) == expected["extent"]
    assert (found.export_tiles_allowed, found.max_export_tiles) == expected["export"]
    assert (found.has_tiles_only, found.has_tile_map) == expected["tiles_only_and_map"]
    assert found.text[:40] == expected["text"]
    assert (found.address, found.name, found.kind) == (service(kind).url, "F/N", kind)


@pytest.mark.parametrize(("name", "has_scheme"), UNCACHED)
def test_an_uncached_service(name: str, has_scheme: bool) -> None:
    with pytest.raises(NotCached) as caught:
        parse_service(body(name), service())

    assert caught.value.scheme_only is has_scheme


@pytest.mark.parametrize("name", NO_SERVICE_ROOT)
def test_no_service_root(name: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        parse_service(body(name), service())

    assert (caught.value.service, caught.value.key) == ("F/N", "currentVersion")


def test_the_layers_of_a_service_are_no_cache() -> None:
    with pytest.raises(NotCached):
        parse_service(body("terria-mapserver-hosted-layers"), service())


def test_the_tile_info_of_a_web_map_is_a_scheme() -> None:
    found = parse_service({"tileInfo": body("solutionjs-webmap-tileinfo")}, service())

    assert (found.scheme.levels[0].resolution, found.scheme.levels[23].scale) == (
        156543.03392800014,
        70.5310735,
    )
    assert (found.image_format, found.compression_quality) == ("JPEG", 90)


@pytest.mark.parametrize(("name", "kind", "code", "message", "details"), ERRORS)
def test_an_error(
    name: str, kind: type[SiteRefused], code: int | None, message: str, details: tuple[str, ...]
) -> None:
    with pytest.raises(SiteRefused) as caught:
        body(name)

    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.message, caught.value.details) == (
        code,
        message,
        details,
    )


@pytest.mark.parametrize(("name", "job_id", "status", "phase", "messages", "results"), JOBS)
def test_a_job(
    name: str,
    job_id: str,
    status: str,
    phase: JobPhase,
    messages: list[tuple[str, Severity]],
    results: dict[str, str],
) -> None:
    job = parse_job(body(name))

    assert (job.job_id, job.status, job.phase, job.percent) == (job_id, status, phase, None)
    assert [(line.text, line.severity) for line in job.messages] == messages
    assert job.results == results
    if phase is JobPhase.FAILED:
        assert job.failure == messages[-1][0]


@pytest.mark.parametrize(("gp_service", "name", "has_task", "tasks"), GP_ROOTS)
def test_where_the_task_for_tiles_is(
    gp_service: str, name: str, has_task: bool, tasks: int
) -> None:
    assert len(body(name)["tasks"]) == tasks
    root = f"/rest/services/{gp_service}/GPServer"
    wanted, task_file = (
        (TILES, "gp-task-manage-map-cache-tiles")
        if has_task
        else ("ReportCacheStatus", "gp-task-report-cache-status")
    )
    url_part = wanted.replace(" ", "%20")
    site = AnsweringSite({root: response(name), f"{root}/{url_part}": response(task_file)})

    found = find_task(quick_client(site), SITE, (gp_service,), wanted)

    assert found.url == f"{SITE}{root}/{url_part}"


@pytest.mark.parametrize(("name", "inputs"), GP_TASKS)
def test_the_inputs_of_a_task(name: str, inputs: str) -> None:
    root = "/rest/services/System/X/GPServer"
    site = AnsweringSite({root: {"tasks": ["The Task"]}, f"{root}/The%20Task": response(name)})

    found = find_task(quick_client(site), SITE, ("System/X",), "The Task")

    assert " ".join(parameter.name for parameter in found.parameters) == inputs


def test_the_caching_task_of_a_real_site() -> None:
    root = "/rest/services/System/CachingControllers/GPServer"
    site = AnsweringSite(
        {
            root: response("gp-cachingcontrollers-root"),
            f"{root}/Manage%20Map%20Cache%20Tiles": response("gp-task-manage-map-cache-tiles"),
        }
    )

    task = find_caching_task(quick_client(site), SITE)

    assert dict(task.names) == {
        Input.SERVICE: "service_url",
        Input.LEVELS: "levels",
        Input.INSTANCES: "thread_count",
        Input.MODE: "update_mode",
        Input.EXTENT: "constraining_extent",
        Input.AREA: "area_of_interest",
    }
    assert dict(task.modes) == {mode: mode.value for mode in UpdateMode}


def test_the_value_of_a_status_report() -> None:
    expected = (LevelStatus(0, 0, 1, 0), LevelStatus(6, 2, 2, 6782))
    value = body("gp-reportcachestatus-value")

    assert parse_status_value(value) == expected
    assert parse_status_value(json.dumps(value)) == expected


@pytest.mark.parametrize(("name", "folder", "services"), CATALOGUES)
def test_the_catalogue_of_a_folder(name: str, folder: str, services: list[tuple[str, str]]) -> None:
    root = f"{SITE}/rest/services"
    site = AnsweringSite({f"/rest/services/{folder}": response(name)})

    found = list_services(f"{root}/{folder}", quick_client(site))

    assert [(entry.name, entry.kind) for entry in found] == services
    assert [entry.url for entry in found] == [f"{root}/{name}/{kind}" for name, kind in services]


def test_the_catalogue_of_a_site_with_its_folders() -> None:
    site = AnsweringSite(
        {
            "/rest/services": response("terria-catalog-sampleserver6"),
            "/rest/services/AGP": response("terria-catalog-folder-agp"),
            "/rest/services/Elevation": response("terria-catalog-folder-elevation"),
        }
    )

    found = list_services(f"{SITE}/rest/services", quick_client(site))

    assert [entry.name for entry in found] == [
        "911CallsHotspotMS",
        "AGP/Census",
        "AGP/Hurricanes",
        "AGP/USA",
        "AGP/WindTurbines",
        "CensusMS",
        "CharlotteLAS",
        "CommercialDamageAssessmentMS",
        "CommunityAddressingMS",
        "Elevation/earthquakedemoelevation",
        "Elevation/GlacierBay",
        "Elevation/WorldElevations",
    ]


def test_sign_in_at_a_stand_alone_site() -> None:
    """The site names ".../tokens/" as its token service, and that answers a bare token."""
    site_url = "https://utility.arcgisonline.com/arcgis"
    site = ScriptedSite(
        (f"GET {site_url}/rest/info", response("solutionjs-rest-info")),
        (f"POST {site_url}/tokens/generateToken", response("terria-mapserver-token")),
        (f"POST {site_url}/rest/services", answer({"services": []})),
    )
    client = quick_client(site, Credentials("me", "t0ps3cret"), site_url)

    client.read(f"{site_url}/rest/services")

    assert site.sent[2].params["token"] == "fakeToken"
    assert site.left == []


def test_sign_in_at_a_site_of_a_portal_on_another_host() -> None:
    """Without word from the person that this is the portal, the password stays here."""
    site_url = "https://gis.example/arcgis"
    site = ScriptedSite((f"GET {site_url}/rest/info", response("restjs-sharing-rest-info")))

    with pytest.raises(SignInFailed) as caught:
        quick_client(site, Credentials("me", "t0ps3cret"), site_url).read(f"{site_url}/rest/x")

    told = caught.value
    assert (told.reason, told.detail) == (SignInProblem.OTHER_HOST, "www.arcgis.com")
    assert told.portal_url == "https://www.arcgis.com"


def test_a_refused_password() -> None:
    site_url = "https://gis.example/arcgis"
    site = ScriptedSite(
        (f"GET {site_url}/rest/info", answer({"authInfo": {"tokenServicesUrl": f"{site_url}/t"}})),
        (f"POST {site_url}/t", response("restjs-error-generatetoken-400")),
    )

    with pytest.raises(SignInFailed) as caught:
        quick_client(site, Credentials("me", "t0ps3cret"), site_url).read(f"{site_url}/rest/x")

    assert caught.value.reason is SignInProblem.REFUSED
    assert caught.value.detail == "Invalid username or password."
