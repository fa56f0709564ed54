"""The caching tools that export and import: forms by the task's own names, uploads, outcomes."""

from __future__ import annotations

import email.parser
import email.policy
import io
import json
from pathlib import Path
from typing import Any

import pytest
from caching_pages import GP, parameter
from scripted_site import SITE, AnsweringSite, Recorder, answer, error, quick_client
from shapely.geometry import Polygon

from tile_cache_manager.plugin.core.arcgis.address import service_of
from tile_cache_manager.plugin.core.arcgis.credentials import FixedToken
from tile_cache_manager.plugin.core.arcgis.export_cache import ExportCache
from tile_cache_manager.plugin.core.arcgis.import_cache import (
    ImportForm,
    ImportOutcome,
    import_into_service,
    takes_packages,
)
from tile_cache_manager.plugin.core.arcgis.jobs import Pace
from tile_cache_manager.plugin.core.arcgis.remote_files import RemoteFile
from tile_cache_manager.plugin.core.arcgis.transport import HttpRequest, HttpResponse
from tile_cache_manager.plugin.core.arcgis.uploads import MultipartBody
from tile_cache_manager.plugin.core.errors import (
    CachingUnavailable,
    EmptyArea,
    JobFailed,
    NotArcGIS,
    SiteRefused,
)
from tile_cache_manager.plugin.core.request import Feedback, Outcome
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.tiling import Extent, Level, SpatialReference, TilingScheme

FIXTURES = Path(__file__).resolve().parents[3] / "shared" / "fixtures"
PACE = Pace(first=0.001, longest=0.004, patience=30, cancel_patience=30)
SERVICE = service_of(f"{SITE}/rest/services/Base/Town/MapServer")
ROOT = f"{GP}/CachingControllers/GPServer"
EXPORT, IMPORT = f"{ROOT}/Export%20Cache", f"{ROOT}/ImportCache"
OUT = f"{SITE}/rest/directories/out/Town.tpkx"

LEVELS = (Level(3, 10.0, 40000.0), Level(9, 5.0, 20000.5))
SCHEME = TilingScheme(0.0, 4000.0, 100, 100, 96.0, SpatialReference(25832), LEVELS)
TRIANGLE = Polygon([(0, 0), (2000, 0), (0, 2000)])

# as ArcGIS Server 10.8.1 lists them
EXPORT_INPUTS = [
    parameter("service_url", "Input Map Service or Image Service URL"),
    parameter("target_cache", "Target Cache Path"),
    parameter("storage_format_type", "Storage Format Type",
              choiceList=["EXPLODED", "COMPACT", "COMPACT_V2"]),
    parameter("copy_data_from_server", "Copy data from server", "GPBoolean"),
    parameter("thread_count", "Number of caching service instances", "GPLong"),
    parameter("tile_package", "Export cache type", "GPBoolean"),
    parameter("export_extent", "Export Extent"),
    parameter("levels", "Scales"),
    parameter("replace_existing_tiles", "Replace existing tiles", "GPBoolean"),
    parameter("area_of_interest", "Area Of Interest (Polygon)", "GPFeatureRecordSetLayer"),
    parameter("out_service_url", direction="esriGPParameterDirectionOutput"),
]  # fmt: skip
IMPORT_INPUTS = [
    parameter("service_url", "Input Map Service or Image Service URL"),
    parameter("target_cache", "Target Cache Path"),
    parameter("thread_count", "Number of caching service instances", "GPLong"),
    parameter("import_extent", "Import Extent"),
    parameter("levels", "Scales"),
    parameter("replace_existing_tiles", "Replace existing tiles", "GPBoolean"),
    parameter("area_of_interest", "Area Of Interest (Polygon)", "GPFeatureRecordSetLayer"),
    parameter("anything", "A file", "GPDataFile"),
]


def without(inputs: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    return [item for item in inputs if item["name"] not in names]


def site(task: str, inputs: list[dict[str, Any]], result: object = OUT, **more: Any) -> Any:
    """A site whose job of `task` ends well at once, with `result`."""
    job = f"{task}/jobs/j1"
    results = {"out_service_url": {"paramUrl": "results/out_service_url"}}
    return AnsweringSite(
        {
            ROOT: {"tasks": ["Export Cache", "ImportCache"], "capabilities": "Uploads"},
            task: {"parameters": inputs},
            f"{task}/submitJob": {"jobId": "j1", "jobStatus": "esriJobSubmitted"},
            job: {"jobId": "j1", "jobStatus": "esriJobSucceeded", "results": results},
            f"{job}/results/out_service_url": {"value": result},
            f"{ROOT}/uploads/upload": {"success": True, "item": {"itemID": "i1"}},
            **more,
        }
    )


def form_of(asked: AnsweringSite, task: str) -> dict[str, str]:
    """What was submitted to `task`."""
    (form,) = [params for path, params in asked.asked if path == f"{task}/submitJob"]
    return {name: value for name, value in form.items() if name != "f"}


# Export Cache


def export(asked: Any, place: Any = None, storage: StorageFormat = StorageFormat.TPKX) -> Any:
    tool = ExportCache(quick_client(asked), SERVICE, PACE)
    return tool.export(LEVELS, place, SCHEME, storage, Feedback())


@pytest.mark.parametrize(
    ("storage", "keyword"),
    [(StorageFormat.TPKX, "COMPACT_V2"), (StorageFormat.TPK, "COMPACT"),
     (StorageFormat.MBTILES, "COMPACT_V2")],
)  # fmt: skip
def test_export_to_be_downloaded(storage: StorageFormat, keyword: str) -> None:
    asked = site(EXPORT, EXPORT_INPUTS)

    files = export(asked, storage=storage)

    assert files == (RemoteFile(OUT, "Town.tpkx", None, "", "Base/Town"),)
    assert form_of(asked, EXPORT) == {
        "service_url": "Base/Town:MapServer",
        "storage_format_type": keyword,
        "copy_data_from_server": "true",
        "thread_count": "-1",
        "tile_package": "true",
        "export_extent": "DEFAULT",
        "levels": "40000;20000.5",
    }


def test_export_of_an_area() -> None:
    asked = site(EXPORT, EXPORT_INPUTS)

    export(asked, TRIANGLE)

    form = form_of(asked, EXPORT)
    rings = json.loads(form["area_of_interest"])["features"][0]["geometry"]["rings"]
    assert form["export_extent"] == "DEFAULT"
    assert sorted(map(tuple, rings[0][:3])) == [(0.0, 0.0), (0.0, 2000.0), (2000.0, 0.0)]


def test_export_of_a_rectangle_by_a_task_that_takes_no_polygon() -> None:
    asked = site(EXPORT, without(EXPORT_INPUTS, "area_of_interest"))

    export(asked, Extent(0.0, 0.0, 1000.0, 1000.0))

    extent = json.loads(form_of(asked, EXPORT)["export_extent"])
    assert [extent[key] for key in ("xmin", "ymin", "xmax", "ymax")] == [0.0, 0.0, 1000.0, 1000.0]


@pytest.mark.parametrize(
    ("inputs", "place"),
    [
        (without(EXPORT_INPUTS, "area_of_interest"), TRIANGLE),
        (without(EXPORT_INPUTS, "levels"), None),
        (without(EXPORT_INPUTS, "copy_data_from_server"), None),
        (without(EXPORT_INPUTS, "tile_package"), None),
        ([*without(EXPORT_INPUTS, "storage_format_type"),
          parameter("storage_format_type", choiceList=["EXPLODED", "COMPACT"])], None),
    ],
)  # fmt: skip
def test_tasks_that_cannot_be_told(inputs: list[dict[str, Any]], place: Any) -> None:
    asked = site(EXPORT, inputs)

    with pytest.raises(CachingUnavailable):
        export(asked, place)
    assert asked.times(f"{EXPORT}/submitJob") == 0


def test_an_empty_area_is_not_the_whole_cache() -> None:
    asked = site(EXPORT, EXPORT_INPUTS)
    with pytest.raises(EmptyArea):
        export(asked, Polygon())
    assert asked.times(f"{EXPORT}/submitJob") == 0


@pytest.mark.parametrize(
    ("choices", "storage", "expected"),
    [
        (["CACHE_DATASET", "TILE_PACKAGE"], StorageFormat.TPKX, "TILE_PACKAGE"),
        (["Cache Dataset", "Tile package", "Tile package tpkx"], StorageFormat.TPKX,
         "Tile package tpkx"),
        (["Cache Dataset", "Tile package", "Tile package tpkx"], StorageFormat.TPK,
         "Tile package"),
    ],
)  # fmt: skip
def test_a_task_with_keywords_for_packages(
    choices: list[str], storage: StorageFormat, expected: str
) -> None:
    inputs = [
        *without(EXPORT_INPUTS, "tile_package"),
        parameter("export_type", "Export cache type", choiceList=choices),
    ]
    asked = site(EXPORT, inputs)

    export(asked, storage=storage)

    assert form_of(asked, EXPORT)["export_type"] == expected


@pytest.mark.parametrize(
    ("storage", "keyword", "package"),
    [
        (StorageFormat.COMPACT_V2, "COMPACT_V2", "false"),
        (StorageFormat.COMPACT_V1, "COMPACT", "false"),
        (StorageFormat.EXPLODED, "EXPLODED", "false"),
        (StorageFormat.TPKX, "COMPACT_V2", "true"),
    ],
)
@pytest.mark.parametrize("overwrite", [True, False])
def test_export_on_the_server(
    storage: StorageFormat, keyword: str, package: str, overwrite: bool
) -> None:
    asked = site(EXPORT, EXPORT_INPUTS, r"\\server\caches\Town")
    tool = ExportCache(quick_client(asked), SERVICE, PACE)

    said = tool.export_on_server(
        r"\\server\caches", LEVELS, None, SCHEME, storage, Feedback(), overwrite
    )

    assert said == r"\\server\caches\Town"
    form = form_of(asked, EXPORT)
    assert form["target_cache"] == r"\\server\caches"
    assert form["storage_format_type"] == keyword
    assert form["copy_data_from_server"] == "false"
    assert form["tile_package"] == package
    assert form["replace_existing_tiles"] == str(overwrite).lower()


def test_export_that_is_cancelled() -> None:
    gone = {"jobId": "j1", "jobStatus": "esriJobCancelled"}
    said = [{"type": "esriJobMessageTypeInformative", "description": "Submitted."}]
    running = {"jobId": "j1", "jobStatus": "esriJobExecuting", "messages": said}
    job = f"{EXPORT}/jobs/j1"
    asked = site(EXPORT, EXPORT_INPUTS, **{job: [running, gone], f"{job}/cancel": gone})
    tool = ExportCache(quick_client(asked), SERVICE, PACE)
    feedback = Recorder(cancel_after_messages=1).feedback

    assert tool.export(LEVELS, None, SCHEME, StorageFormat.TPKX, feedback) is None
    assert asked.times(f"{job}/cancel") == 1


def test_a_recorded_task_page() -> None:
    path = FIXTURES / "gp-task-export-cache.json"
    if not path.exists():
        pytest.skip("the recorded answers are not here")
    recorded = json.loads(path.read_text(encoding="utf-8"))
    asked = site(EXPORT, recorded["parameters"])

    assert export(asked) is not None
    assert form_of(asked, EXPORT)["storage_format_type"] == "COMPACT_V2"


# ImportCache


def run_import(
    asked: Any, place: Any = None, feedback: Feedback | None = None, **more: Any
) -> ImportOutcome:
    form = ImportForm(LEVELS, place, SCHEME, more.pop("overwrite", True), **more)
    client = quick_client(asked, FixedToken("t0ps3cret"))
    return import_into_service(client, SERVICE, form, feedback or Feedback(), PACE)


@pytest.mark.parametrize("overwrite", [True, False])
def test_import_from_the_server(overwrite: bool) -> None:
    asked = site(IMPORT, IMPORT_INPUTS, "Town")

    outcome = run_import(asked, server_path=r"D:\caches\Town", overwrite=overwrite)

    assert outcome == ImportOutcome(Outcome.DONE, f"{SITE}{IMPORT}/jobs/j1", "Town")
    assert form_of(asked, IMPORT) == {
        "service_url": "Base/Town:MapServer",
        "target_cache": r"D:\caches\Town",
        "thread_count": "-1",
        "import_extent": "DEFAULT",
        "levels": "40000;20000.5",
        "replace_existing_tiles": str(overwrite).lower(),
        "token": "t0ps3cret",
    }


class _Uploads(AnsweringSite):
    """Keeps what is uploaded."""

    bodies: list[tuple[str, bytes]]

    def send(self, request: HttpRequest) -> HttpResponse:
        if request.body is not None:
            body = b"".join(request.body)
            assert len(body) == len(request.body) == request.body.tell()
            self.bodies.append((request.headers["Content-Type"], body))
        return super().send(request)


def uploads(asked: AnsweringSite) -> _Uploads:
    made = _Uploads(asked._pages)
    made.bodies = []
    return made


def parts(content_type: str, body: bytes) -> dict[str, Any]:
    """The parts of a form, as the standard library's reader of e-mails sees them."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    return {
        str(part.get_param("name", header="content-disposition")): part
        for part in message.iter_parts()
    }


def test_import_of_a_package(tmp_path: Path) -> None:
    content = b"PK\x03\x04\r\n--\r\n" + bytes(range(256)) * 400
    package = tmp_path / "Tówn.tpkx"
    package.write_bytes(content)
    asked = uploads(site(IMPORT, IMPORT_INPUTS))

    outcome = run_import(asked, TRIANGLE, package=package)

    assert outcome.outcome is Outcome.DONE
    form = form_of(asked, IMPORT)
    assert json.loads(form["anything"]) == {"itemID": "i1"}
    assert "target_cache" not in form
    assert "rings" in form["area_of_interest"]
    ((content_type, body),) = asked.bodies
    sent = parts(content_type, body)
    assert sent["file"].get_payload(decode=True) == content
    assert sent["file"].get_filename().endswith("wn.tpkx")
    assert sent["f"].get_payload() == "json"
    assert sent["token"].get_payload() == "t0ps3cret"


@pytest.mark.parametrize(
    ("inputs", "capabilities", "expected"),
    [
        (IMPORT_INPUTS, "Uploads", True),
        (IMPORT_INPUTS, "Other, uploads", True),
        (IMPORT_INPUTS, "", False),
        (IMPORT_INPUTS, None, False),
        (without(IMPORT_INPUTS, "anything"), "Uploads", False),
        ([*without(IMPORT_INPUTS, "anything"), parameter("tile_package")], "Uploads", False),
    ],
)
def test_where_packages_can_be_sent(
    inputs: Any, capabilities: Any, expected: bool, tmp_path: Path
) -> None:
    root = {"tasks": ["ImportCache"], "capabilities": capabilities}
    asked = site(IMPORT, inputs, **{ROOT: root})
    package = tmp_path / "Town.tpkx"
    package.write_bytes(b"PK")

    assert takes_packages(quick_client(asked), SERVICE) is expected
    if not expected:
        with pytest.raises(CachingUnavailable):
            run_import(asked, package=package)
        assert asked.times(f"{IMPORT}/submitJob") == asked.times(f"{ROOT}/uploads/upload") == 0


@pytest.mark.parametrize(
    ("reply", "expected"),
    [(error(400, "too large"), SiteRefused), ({"success": False}, CachingUnavailable),
     (answer("", 413), NotArcGIS)],
)  # fmt: skip
def test_uploads_that_are_refused(reply: Any, expected: type[Exception], tmp_path: Path) -> None:
    package = tmp_path / "Town.tpkx"
    package.write_bytes(b"PK")
    asked = site(IMPORT, IMPORT_INPUTS, **{f"{ROOT}/uploads/upload": reply})

    with pytest.raises(expected):
        run_import(asked, package=package)
    assert asked.times(f"{IMPORT}/submitJob") == 0


@pytest.mark.parametrize(
    ("job", "feedback", "expected"),
    [
        ({"jobStatus": "esriJobPartialSucceeded"}, Feedback(), Outcome.PARTIAL),
        ({"jobStatus": "esriJobCancelled"}, Feedback(), Outcome.CANCELLED),
        ({"jobStatus": "esriJobExecuting"}, Feedback(abandoned=lambda: True), Outcome.CANCELLED),
    ],
)
def test_how_an_import_ends(job: Any, feedback: Feedback, expected: Outcome) -> None:
    asked = site(IMPORT, IMPORT_INPUTS, **{f"{IMPORT}/jobs/j1": job})

    assert run_import(asked, server_path="x", feedback=feedback).outcome is expected


def test_an_import_that_is_left_to_itself() -> None:
    asked = site(IMPORT, IMPORT_INPUTS)
    feedback = Feedback(abandoned=lambda: asked.times(f"{IMPORT}/submitJob") > 0)

    outcome = run_import(asked, server_path="x", feedback=feedback)

    assert outcome == ImportOutcome(Outcome.SUBMITTED, f"{SITE}{IMPORT}/jobs/j1")


def test_an_import_that_fails() -> None:
    failed = {
        "jobStatus": "esriJobFailed",
        "messages": [
            {"type": "esriJobMessageTypeError", "description": "ERROR: another tiling scheme"}
        ],
    }
    asked = site(IMPORT, IMPORT_INPUTS, **{f"{IMPORT}/jobs/j1": failed})

    with pytest.raises(JobFailed) as caught:
        run_import(asked, server_path="x")
    assert caught.value.message == "ERROR: another tiling scheme"


@pytest.mark.parametrize("size", [1, 7, 64, 5000, -1])
def test_bodies_are_the_same_in_any_steps(size: int) -> None:
    def body() -> MultipartBody:
        content = io.BytesIO(b"0123456789" * 100)
        return MultipartBody({"f": "json"}, 'a"b\r\n.tpkx', content, 1000, "BOUND", Feedback())

    made, read = body(), b""
    while block := made.read(size):
        read += block

    head = (
        b'--BOUND\r\nContent-Disposition: form-data; name="f"\r\n\r\njson\r\n'
        b'--BOUND\r\nContent-Disposition: form-data; name="file"; filename="a_b__.tpkx"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n"
    )
    assert read == head + b"0123456789" * 100 + b"\r\n--BOUND--\r\n"
    assert len(made) == len(read) == made.tell()


def test_no_tool_at_all() -> None:
    with pytest.raises(CachingUnavailable):
        export(AnsweringSite({}))
    with pytest.raises(CachingUnavailable):
        run_import(AnsweringSite({}), server_path="x")
