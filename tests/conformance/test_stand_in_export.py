"""The stand-in site exports: the tiles it serves, in packages read here by hand."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from arcgis_server import bundles_v1
from arcgis_server.bundles import LAYERS_FOLDER, read_bytes, read_cache
from arcgis_server.coverage import polygon_of_rings, tiles_of
from arcgis_server.handle import RunningSite
from arcgis_server.plain_client import SCALES, Client
from arcgis_server.profiles import site as profile
from arcgis_server.quick_coverage import count_tiles, covered_tiles
from shapely.geometry import box

ENDED = {"esriJobSucceeded", "esriJobFailed", "esriJobCancelled"}
V2, V1 = "esriMapCacheStorageModeCompactV2", "esriMapCacheStorageModeCompact"
# metres: Bern and its surroundings, a hole in the middle
RINGS = [
    [[820000, 5920000], [822000, 5935000], [838000, 5933000], [832000, 5921000], [820000, 5920000]],
    [[826000, 5925000], [829000, 5925000], [829000, 5929000], [826000, 5929000], [826000, 5925000]],
]
AREA = json.dumps(
    {
        "geometryType": "esriGeometryPolygon",
        "features": [{"geometry": {"rings": RINGS, "spatialReference": {"wkid": 102100}}}],
    }
)
Tiles = dict[tuple[int, int, int], bytes]


def get(address: str, **query: Any) -> Any:
    return requests.get(address, params={"f": "json", **query}, timeout=10).json()


def follow(job_address: str) -> Any:
    deadline = time.monotonic() + 30
    while True:
        job = get(job_address)
        if job.get("jobStatus", job.get("status")) in ENDED:
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.02)


def run(service: str, operation: str = "exportTiles", **form: Any) -> tuple[str, Any]:
    """Run an export; return the address of its job and the job as it ended."""
    form = {"tilePackage": "true", "levels": "0-2", "storageFormatType": V2, **form}
    told = get(f"{service}/{operation}", **form)
    assert told["jobId"].endswith("_et"), told
    address = f"{service}/{operation}/jobs/{told['jobId']}"
    return address, follow(address)


def files_of(job_address: str, job: Any) -> list[dict[str, Any]]:
    place = job["results"]["out_service_url"]["paramUrl"]
    directory = get(f"{job_address}/{place}")["value"]
    return list(get(directory)["files"])


def exported(service: str, folder: Path, **form: Any) -> Path:
    """Export a package and return where it was stored."""
    address, job = run(service, **form)
    (file,) = files_of(address, job)
    target = folder / file["name"]
    target.write_bytes(requests.get(file["url"], timeout=10).content)
    assert target.stat().st_size == file["size"]
    return target


def read_package(path: Path, folder: Path) -> Tiles:
    """Return the tiles of a package by level, row and column, read from its bundles."""
    with zipfile.ZipFile(path) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        archive.extractall(folder)
    if path.suffix == ".tpk":
        return {(tile[0], tile[1], tile[2]): tile[3] for tile in
                bundles_v1.read_tiles(folder / "v101/Layers")}  # fmt: skip
    (folder / "tile").rename(folder / LAYERS_FOLDER)
    return v2_tiles(folder)


def v2_tiles(folder: Path) -> Tiles:
    return {
        (level, row, col): read_bytes(folder, level, row, col) or b""
        for level, tiles in read_cache(folder).items()
        for row, col in tiles
    }


def served(service: str, tiles: Iterator[tuple[int, int, int]] | Tiles) -> Tiles:
    with requests.Session() as session:
        return {
            tile: session.get(f"{service}/tile/{tile[0]}/{tile[1]}/{tile[2]}", timeout=10).content
            for tile in tiles
        }


def brute_force(site: str, name: str, levels: range, area: Any) -> set[tuple[int, int, int]]:
    service = next(s for s in profile(site).services if s.name == name)
    assert service.scheme is not None
    lods = [service.scheme.lod(level) for level in levels]
    return {(lod.level, *tile) for lod in lods if lod for tile in tiles_of(service, lod, area)}


# --- what is in a package ---------------------------------------------------------------------


PACKAGES = {
    "TPKX": ({"storageFormatType": V2}, range(5, 15), ".tpkx"),
    "TPK": ({"storageFormatType": V1}, range(5, 15), ".tpk"),
    "TPKX, as Esri's Python client asks": (
        {"storageFormatType": "", "storageFormat": V2},
        range(8, 10),
        ".tpkx",
    ),
    "TPK unless told otherwise": ({"storageFormatType": ""}, range(8, 10), ".tpk"),
}


@pytest.mark.parametrize(("form", "levels", "suffix"), PACKAGES.values(), ids=PACKAGES.keys())
def test_a_package_holds_the_tiles_of_the_area_as_they_are_served(
    fresh_site: RunningSite, tmp_path: Path, form: dict[str, str], levels: range, suffix: str
) -> None:
    service = fresh_site.service_url("classic", "Streets")
    asked = {"areaOfInterest": AREA, "levels": f"{levels[0]}-{levels[-1]}", **form}
    path = exported(service, tmp_path, **asked)
    assert path.name == f"Streets{suffix}"
    tiles = read_package(path, tmp_path / "unpacked")
    assert set(tiles) == brute_force("classic", "Streets", levels, polygon_of_rings(RINGS))
    assert tiles == served(service, tiles)
    assert len({hashlib.sha1(data).digest() for data in tiles.values()}) > len(tiles) // 2


def test_a_folder_of_the_cache_is_listed_level_by_level(
    fresh_site: RunningSite, tmp_path: Path
) -> None:
    service = fresh_site.service_url("classic", "Places")
    address, _ = run(service, tilePackage="false", areaOfInterest=AREA, levels="10-12")
    directory = get(f"{address}/results/out_service_url")["value"]
    found = dict(walk(directory))
    for name, data in found.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert {"Places/Layers/conf.xml", "Places/Layers/conf.cdi"} < set(found)
    tiles = v2_tiles(tmp_path / "Places/Layers")
    assert set(tiles) == brute_force("classic", "Places", range(10, 13), polygon_of_rings(RINGS))
    assert tiles == served(service, tiles)


def walk(directory: str, name: str = "") -> Iterator[tuple[str, bytes]]:
    listing = get(directory)
    for file in listing["files"]:
        yield f"{name}{file['name']}", requests.get(file["url"], timeout=10).content
    for folder in listing["folders"]:
        yield from walk(folder["url"], f"{name}{folder['name']}/")


def test_a_service_that_is_filled_by_jobs_exports_the_tiles_it_has(
    fresh_site: RunningSite, tmp_path: Path
) -> None:
    fresh_site.fill("classic", "World:MapServer", [1, 2], extent="1 1 2e7 19e6")
    service = fresh_site.service_url("classic", "World")
    tiles = read_package(exported(service, tmp_path, levels="0-3"), tmp_path / "unpacked")
    assert set(tiles) == {(1, 0, 1), *((2, row, col) for row in (0, 1) for col in (2, 3))}
    assert tiles == served(service, tiles)


def test_an_image_service_exports_too(fresh_site: RunningSite, tmp_path: Path) -> None:
    fresh_site.fill("classic", "Imagery:ImageServer", [3])
    service = fresh_site.service_url("classic", "Imagery", "ImageServer")
    tiles = read_package(exported(service, tmp_path, levels="3"), tmp_path / "unpacked")
    assert tiles == served(service, tiles)
    assert tiles


def test_a_package_tells_the_tiling_scheme(fresh_site: RunningSite, tmp_path: Path) -> None:
    service = fresh_site.service_url("classic", "Streets")
    path = exported(service, tmp_path, levels="3-5", exportExtent="0,0,1e6,1e6")
    with zipfile.ZipFile(path) as archive:
        root = json.loads(archive.read("root.json"))
        item = json.loads(archive.read("iteminfo.json"))
    assert root["tileInfo"]["lods"] == get(service)["tileInfo"]["lods"]
    assert (root["minLOD"], root["maxLOD"], root["tileBundlesPath"]) == (3, 5, "./tile")
    assert root["fullExtent"]["xmax"] == 1e6
    assert item["extent"]["xmax"] == pytest.approx(8.983152841)


def test_a_tile_is_drawn_once_however_it_is_first_asked_for(
    fresh_site: RunningSite, tmp_path: Path
) -> None:
    service = fresh_site.service_url("classic", "Streets")
    level, row, col = min(brute_force("classic", "Streets", range(14, 15), polygon_of_rings(RINGS)))
    alone = requests.get(f"{service}/tile/{level}/{row}/{col}", timeout=10).content
    fresh_site.set_revision("classic", 2)
    form = {"levels": "14", "areaOfInterest": AREA}
    tiles = read_package(exported(service, tmp_path, **form), tmp_path / "unpacked")
    assert tiles[level, row, col] == alone
    fresh_site.reset("classic")
    again = read_package(exported(service, tmp_path, **form), tmp_path / "again")
    assert set(again) == set(tiles)
    assert again[level, row, col] == alone
    missing = ("20/0/0", "14/-1/0", "14/16384/0")
    assert {requests.get(f"{service}/tile/{m}", timeout=10).status_code for m in missing} == {404}


# --- what is asked for ------------------------------------------------------------------------


LEVELS = {
    "one": ({"levels": "3"}, {3}),
    "a list": ({"levels": "1, 3"}, {1, 3}),
    "ranges": ({"levels": "0-1,3-4"}, {0, 1, 3, 4}),
    "scales": ({"exportBy": "Scale", "levels": f"{SCALES[1]},{SCALES[3]:.2f}"}, {1, 3}),
    "a range of scales": (
        {"exportBy": "scale", "levels": "591657527.59-73957190.95"},
        {0, 1, 2, 3},
    ),
    "resolutions": ({"exportBy": "Resolution", "levels": "39135.758482,19567.87924"}, {2, 3}),
    "a range of resolutions": ({"exportBy": "Resolution", "levels": "80000-30000"}, {1, 2}),
}


@pytest.mark.parametrize(("form", "expected"), LEVELS.values(), ids=LEVELS.keys())
def test_levels_are_named_by_id_scale_or_resolution(
    fresh_site: RunningSite, tmp_path: Path, form: dict[str, str], expected: set[int]
) -> None:
    service = fresh_site.service_url("classic", "Streets")
    path = exported(service, tmp_path, exportExtent="1,1,2,2", **form)
    assert {tile[0] for tile in read_package(path, tmp_path / "unpacked")} == expected


EXTENTS = {
    "numbers": ({"exportExtent": "1,1,2,2"}, {(2, 1, 2)}),
    "JSON": ({"exportExtent": '{"xmin":1,"ymin":1,"xmax":2,"ymax":2}'}, {(2, 1, 2)}),
    "degrees": (
        {"exportExtent": '{"xmin":1,"ymin":1,"xmax":2,"ymax":2,"spatialReference":{"wkid":4326}}'},
        {(2, 1, 2)},
    ),
    "DEFAULT": (
        {"exportExtent": "DEFAULT"},
        {(2, row, col) for row in range(4) for col in range(4)},
    ),
    "nothing": ({}, {(2, row, col) for row in range(4) for col in range(4)}),
    "the area wins": ({"exportExtent": "-2,-2,-1,-1", "areaOfInterest": AREA}, {(2, 1, 2)}),
}


@pytest.mark.parametrize(("form", "expected"), EXTENTS.values(), ids=EXTENTS.keys())
def test_the_area_is_an_extent_or_a_feature_set(
    fresh_site: RunningSite, tmp_path: Path, form: dict[str, str], expected: set[Any]
) -> None:
    service = fresh_site.service_url("classic", "Streets")
    path = exported(service, tmp_path, levels="2", **form)
    assert set(read_package(path, tmp_path / "unpacked")) == expected


REFUSED = {
    "no levels": {"levels": ""},
    "an unknown level": {"levels": "20"},
    "no number": {"levels": "a-b"},
    "an unknown word": {"exportBy": "Name"},
    "an extent of three numbers": {"exportExtent": "1,2,3"},
    "an unknown format": {"storageFormatType": "esriMapCacheStorageModeFolded"},
}


@pytest.mark.parametrize("form", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("operation", ["exportTiles", "estimateExportTilesSize"])
def test_a_wrong_form_is_refused(site: RunningSite, operation: str, form: dict[str, str]) -> None:
    service = site.service_url("classic", "Streets")
    told = get(f"{service}/{operation}", **{"tilePackage": "true", "levels": "1", **form})
    assert told["error"]["code"] == 400


def test_a_service_says_whether_and_how_much_it_exports(fresh_site: RunningSite) -> None:
    told = {
        name: (get(fresh_site.service_url("classic", name)))
        for name in ("Streets", "Basemaps/Countries")
    }
    assert [told[name]["exportTilesAllowed"] for name in told] == [True, False]
    assert told["Streets"]["maxExportTilesCount"] == 5000
    countries = fresh_site.service_url("classic", "Basemaps/Countries")
    assert get(f"{countries}/exportTiles", levels="1")["error"]["code"] == 400
    fresh_site.set_export_allowed("classic", "Basemaps/Countries:MapServer", True)
    assert get(countries)["exportTilesAllowed"] is True
    assert "jobId" in get(f"{countries}/estimateExportTilesSize", levels="1")


# --- jobs -------------------------------------------------------------------------------------


def test_a_job_stands_at_both_addresses(fresh_site: RunningSite) -> None:
    service = fresh_site.service_url("classic", "Streets")
    address, job = run(service, levels="1")
    job_id = address.rpartition("/")[2]
    assert get(f"{service}/jobs/{job_id}") == job
    assert job["results"] == {"out_service_url": {"paramUrl": "results/out_service_url"}}
    result = get(f"{service}/jobs/{job_id}/results/out_service_url")
    assert result == get(f"{address}/results/out_service_url")
    assert get(f"{address}/inputs/levels")["value"] == "1"
    elsewhere = (
        f"{service}/estimateExportTilesSize/jobs/{job_id}",
        f"{fresh_site.service_url('classic', 'Places')}/jobs/{job_id}",
        f"{service}/jobs/{job_id}1",
    )
    assert {get(other)["error"]["code"] for other in elsewhere} == {400}


def test_more_tiles_than_allowed_fail_the_job(fresh_site: RunningSite) -> None:
    service = fresh_site.service_url("classic", "Streets")
    fresh_site.set_export_limit("classic", "Streets:MapServer", 84)
    assert get(service)["maxExportTilesCount"] == 84
    assert run(service, levels="0-3", exportExtent="DEFAULT")[1]["jobStatus"] == "esriJobFailed"
    _, job = run(service, levels="4")
    texts = [message["description"] for message in job["messages"]]
    assert (
        "ERROR 001564: Requested tile count(256) exceeds the maximum allowed number of tiles(84) "
        "to be exported for service Streets:MapServer." in texts
    )
    assert run(service, levels="1-3")[1]["jobStatus"] == "esriJobSucceeded"


def test_an_estimate_counts_tiles_and_measures_some(
    fresh_site: RunningSite, tmp_path: Path
) -> None:
    service = fresh_site.service_url("classic", "Streets")
    form = {"levels": "8-14", "areaOfInterest": AREA}
    address, job = run(service, "estimateExportTilesSize", **form)
    value = get(f"{address}/{job['results']['out_service_url']['paramUrl']}")["value"]
    path = exported(service, tmp_path, **form)
    tiles = read_package(path, tmp_path / "unpacked")
    assert value["totalTilesToExport"] == len(tiles)
    assert value["totalSize"] == pytest.approx(sum(map(len, tiles.values())), rel=0.5)


def test_an_export_pauses_and_is_cancelled(fresh_site: RunningSite) -> None:
    service = fresh_site.service_url("classic", "Streets")
    fresh_site.pause_after("classic", 3)
    job_id = get(f"{service}/exportTiles", levels="2")["jobId"]
    fresh_site.wait_until_paused("classic")
    assert fresh_site.jobs("classic")[0]["done"] == 3
    cancelled = get(f"{service}/exportTiles/jobs/{job_id}/cancel")
    assert cancelled == {"jobId": job_id, "jobStatus": "esriJobCancelling"}
    job = follow(f"{service}/jobs/{job_id}")
    assert (job["jobStatus"], "results" in job) == ("esriJobCancelled", False)
    fresh_site.release("classic")
    fresh_site.fail_next("classic", "The disk is full.", after=2)
    _, failed = run(service, levels="2")
    assert failed["jobStatus"] == "esriJobFailed"
    assert "The disk is full." in [message["description"] for message in failed["messages"]]


def test_a_hosted_job_itself_tells_where_the_package_is(
    fresh_site: RunningSite, tmp_path: Path
) -> None:
    service = fresh_site.service_url("hosted", "City_Tiles")
    _, job = run(service, levels="5-6", areaOfInterest=AREA)
    assert {"jobStatus", "results"}.isdisjoint(job)
    assert job["status"] == "esriJobSucceeded"
    (address,) = job["output"]["outputUrl"]
    path = tmp_path / "City_Tiles.tpkx"
    path.write_bytes(requests.get(address, timeout=10).content)
    tiles = read_package(path, tmp_path / "unpacked")
    assert tiles == served(service, tiles)
    assert {tile[0] for tile in tiles} == {5, 6}


def test_a_secured_site_gives_packages_to_its_users(fresh_site: RunningSite) -> None:
    client = Client(fresh_site, "secured")
    service = fresh_site.service_url("secured", "Streets")
    job_id = client.get(f"{service}/exportTiles", levels="1", tilePackage="true")["jobId"]
    while client.get(f"{service}/jobs/{job_id}")["jobStatus"] not in ENDED:
        time.sleep(0.02)
    directory = client.get(f"{service}/jobs/{job_id}/results/out_service_url")["value"]
    (file,) = client.get(directory)["files"]
    refused = requests.get(file["url"], params={"f": "json"}, timeout=10)
    assert refused.json()["error"]["code"] == 499
    query = {"token": client.token}
    assert client.session.get(file["url"], params=query, timeout=10).content.startswith(b"PK")


# --- files ------------------------------------------------------------------------------------


@pytest.fixture
def package(fresh_site: RunningSite) -> str:
    """The address of a package."""
    address, job = run(fresh_site.service_url("classic", "Streets"), levels="0-3")
    return str(files_of(address, job)[0]["url"])


RANGES = [
    ("bytes=0-9", 206, slice(0, 10)),
    ("bytes=1000-", 206, slice(1000, None)),
    ("bytes=-5", 206, slice(-5, None)),
    ("bytes=99999999-", 416, None),
]


@pytest.mark.parametrize(("wanted", "status", "part"), RANGES)
def test_a_part_of_a_file_is_served(
    package: str, wanted: str, status: int, part: slice | None
) -> None:
    whole = requests.get(package, timeout=10)
    answer = requests.get(package, headers={"Range": wanted}, timeout=10)
    assert answer.status_code == status
    if part is not None:
        assert answer.content == whole.content[part]
        assert answer.headers["Content-Range"].endswith(f"/{len(whole.content)}")
    assert int(whole.headers["Content-Length"]) == len(whole.content)


def test_a_part_is_only_served_of_the_same_file(package: str) -> None:
    whole = requests.get(package, timeout=10)
    headers = {"Range": "bytes=10-", "If-Range": whole.headers["ETag"]}
    same = requests.get(package, headers=headers, timeout=10)
    assert (same.status_code, same.content) == (206, whole.content[10:])
    headers["If-Range"] = '"another"'
    other = requests.get(package, headers=headers, timeout=10)
    assert (other.status_code, other.content) == (200, whole.content)
    assert requests.get(f"{package}x", timeout=10).status_code == 404
    above = package.replace("arcgisoutput/", "arcgisoutput/..%2F")
    assert requests.get(above, timeout=10).status_code == 404


def test_a_download_is_cut_and_goes_on(fresh_site: RunningSite, package: str) -> None:
    whole = requests.get(package, timeout=10).content
    fresh_site.cut("classic", r"\.tpkx$", after=len(whole) // 4, count=3)
    received = b""
    for _ in range(3):
        wanted = urllib.request.Request(package, headers={"Range": f"bytes={len(received)}-"})
        with urllib.request.urlopen(wanted) as response:
            assert int(response.headers["Content-Length"]) == len(whole) - len(received)
            with pytest.raises(http.client.IncompleteRead) as broken:
                response.read()
        assert len(broken.value.partial) == len(whole) // 4
        received += broken.value.partial
    headers = {"Range": f"bytes={len(received)}-"}
    assert received + requests.get(package, headers=headers, timeout=10).content == whole


# --- packages that are wrong ------------------------------------------------------------------


def test_packages_are_spoilt_one_by_one(fresh_site: RunningSite, tmp_path: Path) -> None:
    service = fresh_site.service_url("classic", "Streets")
    form = {"levels": "8-9", "areaOfInterest": AREA}
    good = read_package(exported(service, tmp_path, **form), tmp_path / "good")
    for how in ("truncated", "scheme", "fewer", "foreign"):
        fresh_site.spoil_next_package("classic", how)
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(exported(service, tmp_path, **form).read_bytes()))
    scheme = exported(service, tmp_path, **form)
    with zipfile.ZipFile(scheme) as archive:
        told = json.loads(archive.read("root.json"))["tileInfo"]
    assert told["origin"] != get(service)["tileInfo"]["origin"]
    fewer = read_package(exported(service, tmp_path, **form), tmp_path / "fewer")
    assert 0 < len(fewer) < len(good)
    foreign = read_package(exported(service, tmp_path, **form), tmp_path / "foreign")
    assert len(foreign) == len(good)
    assert set(foreign).isdisjoint(good)
    assert sorted(foreign.values()) == sorted(good.values())
    assert read_package(exported(service, tmp_path, **form), tmp_path / "again") == good


def test_a_service_is_published_anew(fresh_site: RunningSite) -> None:
    service = fresh_site.service_url("classic", "Streets")
    before = get(service)["tileInfo"]
    fresh_site.republish("classic", "Streets:MapServer", origin=[-2e7, 3e7], tile_size=512)
    after = get(service)["tileInfo"]
    assert (after["rows"], after["origin"]) == (512, {"x": -2e7, "y": 3e7})
    assert requests.get(f"{service}/tile/3/2/1", timeout=10).status_code == 200
    fresh_site.reset("classic")
    assert get(service)["tileInfo"] == before


def test_an_export_fails_when_the_service_changes_under_it(fresh_site: RunningSite) -> None:
    service = fresh_site.service_url("classic", "Streets")
    fresh_site.pause_after("classic", 3)
    job_id = get(f"{service}/exportTiles", levels="4", tilePackage="true")["jobId"]
    fresh_site.wait_until_paused("classic")
    fresh_site.republish("classic", "Streets:MapServer", tile_size=512)
    fresh_site.release("classic")
    job = follow(f"{service}/exportTiles/jobs/{job_id}")
    assert job["jobStatus"] == "esriJobFailed"
    assert fresh_site.read_cache("classic", "Streets") == {}


# --- the quick way to count -------------------------------------------------------------------


QUICK = {
    "a polygon with a hole": polygon_of_rings(RINGS),
    "an extent": box(820000, 5920000, 838000, 5935000),
    "an extent on the edges of tiles": box(0, 0, 20037508.342787, 20037508.342787),
    "beyond the service": box(-3e7, 1.9e7, -1.9e7, 3e7),
    "outside the service": box(3e7, 1, 4e7, 2),
}


@pytest.mark.parametrize("area", QUICK.values(), ids=QUICK.keys())
def test_counting_by_blocks_equals_brute_force(area: Any) -> None:
    service = next(s for s in profile("classic").services if s.name == "Streets")
    assert service.scheme is not None
    for lod in service.scheme.lods[: 14 if area.area < 1e9 else 8]:
        slow = list(tiles_of(service, lod, area))
        assert covered_tiles(service, lod, area) == slow
        assert count_tiles(service, lod, area) == len(slow)
