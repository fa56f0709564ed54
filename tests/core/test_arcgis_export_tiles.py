"""A service's own export: the form, where its job is found, the files that come of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scripted_site import (
    SITE,
    AnsweringSite,
    Recorder,
    ScriptedSite,
    Unreachable,
    answer,
    error,
    html,
    quick_client,
)
from shapely.geometry import Polygon

from tile_cache_manager.plugin.core.arcgis.address import service_of
from tile_cache_manager.plugin.core.arcgis.credentials import FixedToken
from tile_cache_manager.plugin.core.arcgis.export_tiles import (
    ExportTiles,
    SizeEstimate,
    exceeded_limit,
    export_form,
)
from tile_cache_manager.plugin.core.arcgis.jobs import Pace
from tile_cache_manager.plugin.core.arcgis.remote_files import RemoteFile, remote_files
from tile_cache_manager.plugin.core.errors import (
    BadPackage,
    BadPackageReason,
    EmptyArea,
    JobFailed,
    JobLost,
    NotArcGIS,
    SiteUnreachable,
)
from tile_cache_manager.plugin.core.request import Feedback
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.tiling import Extent, Level, SpatialReference, TilingScheme

FIXTURES = Path(__file__).resolve().parents[3] / "shared" / "fixtures"
PACE = Pace(first=0.001, longest=0.004, patience=30, cancel_patience=30)
SERVICE = service_of(f"{SITE}/rest/services/Base/Town/MapServer")
ROOT = "/rest/services/Base/Town/MapServer"
EXPORT, ESTIMATE = f"{ROOT}/exportTiles", f"{ROOT}/estimateExportTilesSize"
OUT = f"{SITE}/rest/directories/arcgisoutput/j1_et"
LISTING = "/rest/directories/arcgisoutput/j1_et"

COARSE, FINE = Level(3, 10.0, 40000.0), Level(9, 5.0, 20000.0)
SCHEME = TilingScheme(0.0, 4000.0, 100, 100, 96.0, SpatialReference(25832), (COARSE, FINE))
LEVELS = (COARSE, FINE)
TRIANGLE = Polygon([(0, 0), (2000, 0), (0, 2000)])
SUBMITTED = {"jobId": "j1_et", "jobStatus": "esriJobSubmitted"}
RUNNING = {"jobId": "j1_et", "jobStatus": "esriJobExecuting"}
RESULTS = {"out_service_url": {"paramUrl": "results/out_service_url"}}
DONE = {"jobId": "j1_et", "jobStatus": "esriJobSucceeded", "results": RESULTS}
FILES = {"files": [{"name": "Town.tpkx", "url": f"{OUT}/Town.tpkx", "size": 1234}]}


def value(content: object) -> dict[str, object]:
    return {"paramName": "out_service_url", "dataType": "GPString", "value": content}


def pages(operation: str, result: object = OUT, **more: Any) -> dict[str, Any]:
    """A site whose job is found below the operation."""
    job = f"{operation}/jobs/j1_et"
    return {
        operation: SUBMITTED,
        job: [RUNNING, DONE],
        f"{job}/results/out_service_url": value(result),
        LISTING: FILES,
        **more,
    }


def exporter(site: Any, sign_in: Any = None) -> ExportTiles:
    return ExportTiles(quick_client(site, sign_in), SERVICE, PACE)


def export(site: Any, sign_in: Any = None, feedback: Feedback | None = None) -> Any:
    return exporter(site, sign_in).export(
        LEVELS, TRIANGLE, SCHEME, StorageFormat.TPKX, feedback or Feedback()
    )


def names(files: list[RemoteFile] | tuple[RemoteFile, ...]) -> list[tuple[str, str, str]]:
    return [(file.folder, file.name, file.url) for file in files]


# The form

NEW, OLD = "esriMapCacheStorageModeCompactV2", "esriMapCacheStorageModeCompact"


@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        (StorageFormat.TPKX, NEW),
        (StorageFormat.COMPACT_V2, NEW),
        (StorageFormat.MBTILES, NEW),
        (StorageFormat.TPK, OLD),
        (StorageFormat.COMPACT_V1, OLD),
    ],
)
def test_the_form_for_the_whole_cache(storage: StorageFormat, expected: str) -> None:
    assert export_form(LEVELS, None, SCHEME, storage) == {
        "tilePackage": "true",
        "storageFormatType": expected,
        "storageFormat": expected,
        "optimizeTilesForSize": "false",
        "exportBy": "LevelID",
        "levels": "3,9",
        "exportExtent": "DEFAULT",
    }


def test_the_form_for_a_polygon() -> None:
    form = export_form((FINE,), TRIANGLE, SCHEME, StorageFormat.TPKX)

    area = json.loads(form["areaOfInterest"])
    assert (form["exportExtent"], form["levels"]) == ("DEFAULT", "9")
    assert area["geometryType"] == "esriGeometryPolygon"
    assert area["spatialReference"] == {"wkid": 25832}
    (feature,) = area["features"]
    assert feature["geometry"]["rings"] == [
        [[0.0, 0.0], [0.0, 2000.0], [2000.0, 0.0], [0.0, 0.0]],
    ]


def test_the_form_for_a_rectangle_is_a_polygon_without_slivers() -> None:
    """Column 1 reaches to 2000; what lies beyond by rounding would be tiles to the site."""
    rectangle = Extent(1000.0, 3000.0, 2000.0000000001, 4000.0)
    form = export_form((COARSE,), rectangle, SCHEME, StorageFormat.TPKX)

    (ring,) = json.loads(form["areaOfInterest"])["features"][0]["geometry"]["rings"]
    xs, ys = [x for x, _ in ring], [y for _, y in ring]
    assert 1000.0 < min(xs) < 1000.01
    assert 1999.99 < max(xs) < 2000.0
    assert 3000.0 < min(ys) < 3000.01
    assert 3999.99 < max(ys) < 4000.0


def test_no_area_is_not_the_whole_cache() -> None:
    with pytest.raises(EmptyArea):
        export_form(LEVELS, Polygon(), SCHEME, StorageFormat.TPKX)


# Estimates


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"totalSize": 1547963, "totalTilesToExport": 8}, SizeEstimate(8, 1547963)),
        ('{"totalSize": "15", "totalTilesToExport": 8}', SizeEstimate(8, 15)),
        ({"totalTilesToExport": 8}, SizeEstimate(8, None)),
        ("", SizeEstimate(None, None)),
        ("many", SizeEstimate(None, None)),
    ],
)
def test_estimate(content: object, expected: SizeEstimate) -> None:
    site = AnsweringSite(pages(ESTIMATE, content))

    found = exporter(site).estimate(LEVELS, TRIANGLE, SCHEME, StorageFormat.TPKX)

    assert found == expected
    path, sent = site.asked[0]
    assert path == ESTIMATE
    wanted = export_form(LEVELS, TRIANGLE, SCHEME, StorageFormat.TPKX)
    assert sent == {"f": "json", **wanted}


def test_estimate_by_a_result_of_another_name() -> None:
    done = {**DONE, "results": {"out_service_tile_estimates": {"paramUrl": "results/guess"}}}
    job = f"{ESTIMATE}/jobs/j1_et"
    site = AnsweringSite(
        pages(ESTIMATE, **{job: done, f"{job}/results/guess": value({"totalTilesToExport": 7})})
    )

    found = exporter(site).estimate(LEVELS, None, SCHEME, StorageFormat.TPKX)

    assert found == SizeEstimate(7, None)


def test_a_recorded_estimate() -> None:
    path = FIXTURES / "exporttiles-estimate-result.json"
    if not path.exists():
        pytest.skip("the recorded answers are not here")
    recorded = json.loads(path.read_text(encoding="utf-8"))
    site = AnsweringSite(pages(ESTIMATE, recorded["value"]))

    found = exporter(site).estimate(LEVELS, None, SCHEME, StorageFormat.TPKX)

    assert found == SizeEstimate(8, 1547963)


# The job


def test_export() -> None:
    site, started = AnsweringSite(pages(EXPORT)), []
    recorder = Recorder()

    files = exporter(site).export(
        LEVELS, TRIANGLE, SCHEME, StorageFormat.TPKX, recorder.feedback, started.append
    )

    assert files == (RemoteFile(f"{OUT}/Town.tpkx", "Town.tpkx", 1234, "", "Base/Town"),)
    assert recorder.percents == [100.0]
    assert started == [f"{SITE}{EXPORT}/jobs/j1_et"]
    assert site.times(f"{ROOT}/jobs/j1_et") == 0


@pytest.mark.parametrize("refusal", [error(400, "Unable"), error(404, "no"), html(404), html()])
def test_a_job_that_is_found_at_the_service(refusal: Any) -> None:
    """And from then on it is asked for, and its result read, there alone."""
    below, at_service = f"{EXPORT}/jobs/j1_et", f"{ROOT}/jobs/j1_et"
    site = AnsweringSite(
        {
            EXPORT: SUBMITTED,
            below: refusal,
            at_service: [RUNNING, RUNNING, DONE],
            f"{at_service}/results/out_service_url": value(OUT),
            LISTING: FILES,
        }
    )

    assert names(export(site)) == [("", "Town.tpkx", f"{OUT}/Town.tpkx")]
    assert (site.times(below), site.times(at_service)) == (1, 3)


def test_a_site_that_is_silent_for_a_while_does_not_lose_the_job() -> None:
    job = f"{EXPORT}/jobs/j1_et"
    busy = [Unreachable.REFUSED] * 5 + [answer("", 503)] * 5
    recorder = Recorder()
    site = AnsweringSite(pages(EXPORT, **{job: [*busy, RUNNING, DONE]}))

    assert len(export(site, feedback=recorder.feedback)) == 1
    assert len(recorder.troubles) == 1
    assert site.times(f"{ROOT}/jobs/j1_et") == 0


def test_a_job_that_the_site_does_not_know() -> None:
    site = AnsweringSite({EXPORT: SUBMITTED})

    with pytest.raises(JobLost) as caught:
        export(site)

    assert caught.value.job_url == f"{SITE}{EXPORT}/jobs/j1_et"


def test_a_job_is_taken_up_again() -> None:
    site = AnsweringSite(pages(EXPORT))

    files = exporter(site).take_up(f"{SITE}{EXPORT}/jobs/j1_et", Feedback())

    assert files is not None
    assert names(files) == [("", "Town.tpkx", f"{OUT}/Town.tpkx")]
    assert site.times(EXPORT) == 0


@pytest.mark.parametrize("key", ["jobStatus", "status"])
@pytest.mark.parametrize("status", ["esriJobSucceeded", "COMPLETED", "Done"])
def test_the_job_of_a_hosted_layer(key: str, status: str) -> None:
    url = "https://files.example/x/Town.tpkx?sig=s3cret"
    done = {"jobId": "j1_et", key: status, "output": {"outputUrl": [url], "itemId": "1"}}
    site = AnsweringSite({EXPORT: SUBMITTED, f"{EXPORT}/jobs/j1_et": done})

    (file,) = export(site)

    assert (file.url, file.name, file.size) == (url, "Town.tpkx", None)
    assert "s3cret" not in f"{file} {file.address}"


def test_a_job_that_fails() -> None:
    failed = {
        "jobId": "j1_et",
        "jobStatus": "esriJobFailed",
        "messages": [{"type": "esriJobMessageTypeError", "description": "ERROR 000816: no"}],
    }
    site = AnsweringSite({EXPORT: SUBMITTED, f"{EXPORT}/jobs/j1_et": failed})

    with pytest.raises(JobFailed) as caught:
        export(site)

    assert caught.value.message == "ERROR 000816: no"
    assert exceeded_limit(caught.value) is None


def test_no_job() -> None:
    with pytest.raises(JobFailed):
        export(AnsweringSite({EXPORT: {"success": True}}))


def test_cancelled() -> None:
    job = f"{EXPORT}/jobs/j1_et"
    said = [{"type": "esriJobMessageTypeInformative", "description": "Submitted."}]
    running = {**RUNNING, "messages": said}
    gone = {"jobId": "j1_et", "jobStatus": "esriJobCancelled"}
    site = AnsweringSite(pages(EXPORT, **{job: [running, gone], f"{job}/cancel": gone}))

    assert export(site, feedback=Recorder(cancel_after_messages=1).feedback) is None
    assert site.times(f"{job}/cancel") == 1


def test_abandoned() -> None:
    site = AnsweringSite(pages(EXPORT))

    assert export(site, feedback=Feedback(abandoned=lambda: True)) is None
    assert site.times(f"{EXPORT}/jobs/j1_et/cancel") == 0


def test_tokens_stay_out_of_urls() -> None:
    steps = [
        (f"POST {SITE}{EXPORT}", answer(SUBMITTED)),
        (f"POST {SITE}{EXPORT}/jobs/j1_et", answer(DONE)),
        (f"POST {SITE}{EXPORT}/jobs/j1_et/results/out_service_url", answer(value(OUT))),
        (f"POST {OUT}", answer(FILES)),
    ]
    site = ScriptedSite(*steps)

    (file,) = export(site, FixedToken("t0ps3cret"))

    assert site.left == []
    assert all(request.params["token"] == "t0ps3cret" for request in site.sent)
    assert "t0ps3cret" not in file.url + " ".join(request.url for request in site.sent)


# The limit


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("ERROR 001564: Requested tile count(1225884) exceeds the maximum allowed number of "
         "tiles(150000) to be exported for service World_Street_Map:MapServer.", (1225884, 150000)),
        ("ERROR 001564: Requested tile count (1,225,884) exceeds the maximum allowed number of "
         "tiles (150,000) to be exported for service Map (old):MapServer.", (1225884, 150000)),
        ("FEHLER 001564: Die Anzahl (12) ist mehr als (10).", (12, 10)),
        ("Requested tile count(12) exceeds the maximum allowed number of tiles(10)", (12, 10)),
        ("ERROR 001564: 1,225,884 tiles were asked for, of Map2 no more than 150,000 can be had.",
         (1225884, 150000)),
        ("ERREUR 001564 : le maximum est (10), vous demandez (12).", (12, 10)),
        ("ERROR 001564: no numbers", None),
        (f"ERROR 001564: ({'9' * 5000}) of ({'9' * 5000})", None),
        ("ERROR 000816: The count(12) of tiles(10)", None),
        ("", None),
    ],
)  # fmt: skip
def test_exceeded_limit(message: str, expected: object) -> None:
    assert exceeded_limit(JobFailed("https://x/jobs/1", message)) == expected


def test_a_recorded_limit() -> None:
    path = FIXTURES / "exporttiles-job-failed-limit.json"
    if not path.exists():
        pytest.skip("the recorded answers are not here")
    failed = json.loads(path.read_text(encoding="utf-8"))
    site = AnsweringSite({EXPORT: SUBMITTED, f"{EXPORT}/jobs/j1_et": failed})

    with pytest.raises(JobFailed) as caught:
        export(site)

    assert exceeded_limit(caught.value) == (1225884, 150000)


def test_a_limit_that_is_told_at_once() -> None:
    details = ["ERROR 001564: Requested tile count(12) exceeds the maximum (10)"]
    refused = error(400, "Unable to complete operation.", details=details)

    with pytest.raises(JobFailed) as caught:
        export(AnsweringSite({EXPORT: refused}))

    assert exceeded_limit(caught.value) == (12, 10)


# The files

JOB = f"{SITE}{EXPORT}/jobs/j1_et/"


def found(result: object, listings: dict[str, Any] | None = None, sign_in: Any = None) -> Any:
    site = AnsweringSite({LISTING: FILES, **(listings or {})})
    return names(remote_files(quick_client(site, sign_in), JOB, result, "Town"))


@pytest.mark.parametrize(
    ("result", "url"),
    [
        (f"{OUT}/Town.tpkx", f"{OUT}/Town.tpkx"),
        (f"  {OUT}/Town.tpkx ", f"{OUT}/Town.tpkx"),
        ([f"{OUT}/Town.tpkx"], f"{OUT}/Town.tpkx"),
        ({"url": f"{OUT}/Town.tpkx"}, f"{OUT}/Town.tpkx"),
        ("results/Town.tpkx", f"{JOB}results/Town.tpkx"),
        ("/arcgis/out/Town.tpkx", f"{SITE}/out/Town.tpkx"),
        ("https://files.example/Town.tpkx?a=b", "https://files.example/Town.tpkx?a=b"),
        (OUT, f"{OUT}/Town.tpkx"),
        (f"{OUT}/", f"{OUT}/Town.tpkx"),
    ],
)
def test_values_of_a_result(result: object, url: str) -> None:
    assert found(result, {f"{LISTING}/": FILES}) == [("", "Town.tpkx", url)]


@pytest.mark.parametrize(
    ("item", "url"),
    [
        ({"name": "a b.tpkx"}, f"{OUT}/a%20b.tpkx"),
        ("a b.tpkx", f"{OUT}/a%20b.tpkx"),
        ({"name": "a b.tpkx", "url": "x/1"}, f"{OUT}/x/1"),
        ({"name": "a b.tpkx", "url": "/arcgis/y"}, f"{SITE}/y"),
        ({"url": f"{OUT}/a%20b.tpkx"}, f"{OUT}/a%20b.tpkx"),
    ],
)
def test_files_of_a_listing(item: object, url: str) -> None:
    assert found(OUT, {LISTING: {"files": [item]}}) == [("", "a b.tpkx", url)]


def test_folders_of_a_listing() -> None:
    """A cache as loose files; folders come as names, or as objects, as files do."""
    listings = {
        LISTING: {"files": [{"name": "conf.xml"}], "folders": ["_alllayers"]},
        f"{LISTING}/_alllayers": {
            "files": [],
            "folders": [{"name": "L03", "url": f"{OUT}/_alllayers/L03"}, {"name": "L09"}],
        },
        f"{LISTING}/_alllayers/L03": {"files": ["R0000C0000.bundle"]},
        f"{LISTING}/_alllayers/L09": {"files": ["R0000C0080.bundle"]},
    }

    assert sorted(found(OUT, listings)) == [
        ("", "conf.xml", f"{OUT}/conf.xml"),
        ("_alllayers/L03", "R0000C0000.bundle", f"{OUT}/_alllayers/L03/R0000C0000.bundle"),
        ("_alllayers/L09", "R0000C0080.bundle", f"{OUT}/_alllayers/L09/R0000C0080.bundle"),
    ]


def test_a_file_that_does_not_look_like_one() -> None:
    """What a job names without saying what it is, is asked: a package is no listing."""
    binary = answer("PK", content_type="application/octet-stream")

    assert found(f"{OUT}/download", {f"{LISTING}/download": binary}) == [
        ("", "download", f"{OUT}/download")
    ]


def test_a_page_in_place_of_a_listing() -> None:
    with pytest.raises(NotArcGIS):
        found(OUT, {LISTING: html()})


@pytest.mark.parametrize("result", [None, "", [], {}, {"url": ""}, "ftp://x/a.tpkx", "http://["])
def test_no_file(result: object) -> None:
    with pytest.raises(BadPackage) as caught:
        found(result)
    assert (caught.value.reason, caught.value.service) == (BadPackageReason.MISSING, "Town")


def test_an_empty_listing() -> None:
    with pytest.raises(BadPackage) as caught:
        found(OUT, {LISTING: {"files": [], "folders": []}})
    assert caught.value.reason is BadPackageReason.MISSING


ODD = ["..", ".", "a\\b", "C:a", "a\n", "a?", "a*", " a", "a ", "a.", "\u202ea.tpkx", "a" * 300]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("files", "../a.tpkx"),
        ("files", "a/b.tpkx"),
        ("folders", "a/.."),
        *(("files", name) for name in ODD),
        *(("folders", name) for name in ODD),
    ],
)
def test_names_that_are_no_names(kind: str, name: str) -> None:
    with pytest.raises(BadPackage) as caught:
        found(OUT, {LISTING: {kind: [{"name": name, "url": f"{OUT}/a"}]}})
    assert caught.value.reason is BadPackageReason.DAMAGED


def test_folders_without_end() -> None:
    class Endless(AnsweringSite):
        def send(self, request: Any) -> Any:
            super().send(request)
            return answer({"folders": ["a"]})

    site = Endless({})
    with pytest.raises(BadPackage) as caught:
        remote_files(quick_client(site), JOB, OUT, "Town")
    assert caught.value.reason is BadPackageReason.DAMAGED
    assert len(site.asked) < 12


class _Inner(AnsweringSite):
    """A site that calls itself https://inner, which nobody else can reach."""

    def send(self, request: Any) -> Any:
        if request.url.startswith("https://inner"):
            self.asked.append((request.url, dict(request.params)))
            raise SiteUnreachable(request.url, Unreachable.NAME)
        return super().send(request)


def test_a_site_that_tells_its_inner_name() -> None:
    inner = f"https://inner:6443/arcgis{LISTING}"
    listings = {
        LISTING: {"files": [{"name": "a.xml", "url": f"{inner}/a.xml"}], "folders": ["L"]},
        f"{LISTING}/L": {"files": [{"name": "b.bundle", "url": f"{inner}/L/b.bundle"}]},
    }
    site = _Inner(listings)

    files = remote_files(quick_client(site, FixedToken("t0ps3cret")), JOB, inner, "Town")

    assert names(files) == [("", "a.xml", f"{OUT}/a.xml"), ("L", "b.bundle", f"{OUT}/L/b.bundle")]
    # once is enough to know that host; and it saw no token
    assert [path for path, _ in site.asked] == [inner, LISTING, f"{LISTING}/L"]
    assert "token" not in site.asked[0][1]


def test_a_listing_on_a_host_that_nobody_reaches() -> None:
    with pytest.raises(SiteUnreachable) as caught:
        remote_files(quick_client(_Inner({})), JOB, "https://inner/out", "Town")
    assert caught.value.url == "https://inner/out"
