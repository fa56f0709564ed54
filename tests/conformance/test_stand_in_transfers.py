"""The stand-in site's Export Cache and ImportCache: caches go out of a service and into one."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import requests
from arcgis_server import bundles_v1
from arcgis_server.bundles import LAYERS_FOLDER, read_bytes, read_cache
from arcgis_server.handle import RunningSite
from arcgis_server.plain_client import SCALES, Client

CONTROLLERS = "System/CachingControllers/GPServer"
EXPORT, IMPORT = f"{CONTROLLERS}/Export Cache", f"{CONTROLLERS}/ImportCache"
QUARTER = "1 1 2e7 19e6"  # metres, east and north of the middle: four tiles of level 2
EXPORT_FORM = {
    "service_url": "Streets:MapServer",
    "levels": f"{SCALES[2]};{SCALES[3]}",
    "storage_format_type": "COMPACT_V2",
    "tile_package": "false",
    "copy_data_from_server": "false",
    "export_extent": QUARTER,
    "update_mode": "",
}
IMPORT_FORM = {
    "service_url": "World:MapServer",
    "levels": f"{SCALES[2]};{SCALES[3]}",
    "replace_existing_tiles": "false",
    "update_mode": "",
}
Tiles = dict[tuple[int, int, int], bytes]


@pytest.fixture
def publisher(fresh_site: RunningSite) -> Client:
    return Client(fresh_site, "classic")


def texts(job: Any) -> str:
    return "\n".join(message["description"] for message in job["messages"])


def done(client: Client, task: str, **form: Any) -> Any:
    job = client.run(task, **form)
    assert job["jobStatus"] == "esriJobSucceeded", texts(job)
    return job


def tiles_in(folder: Path) -> Tiles:
    return {
        (level, row, col): read_bytes(folder, level, row, col) or b""
        for level, tiles in read_cache(folder).items()
        for row, col in tiles
    }


def expected(site: RunningSite, name: str = "Streets") -> Tiles:
    """The tiles of the quarter as they are served."""
    address = site.service_url("classic", name)
    places = [
        (level, row, col)
        for level, half in ((2, 2), (3, 4))
        for row in range(half)
        for col in range(half, 2 * half)
    ]
    return {
        tile: requests.get(f"{address}/tile/{'/'.join(map(str, tile))}", timeout=10).content
        for tile in places
    }


# --- Export Cache -----------------------------------------------------------------------------


def test_a_cache_is_exported_into_a_folder_of_the_server(
    fresh_site: RunningSite, publisher: Client
) -> None:
    job = done(publisher, EXPORT, **EXPORT_FORM, target_cache="caches")
    folder = fresh_site.server_share("classic") / "caches/Streets"
    place = publisher.get(f"{EXPORT}/jobs/{job['jobId']}/results/out_service_url")
    assert place["value"] == str(folder)
    assert tiles_in(folder / "Layers") == expected(fresh_site)
    more = {**EXPORT_FORM, "export_extent": "-2 -2 -1 -1", "levels": f"{SCALES[2]}"}
    done(publisher, EXPORT, **more, target_cache=str(folder.parent))
    assert set(tiles_in(folder / "Layers")) == {*expected(fresh_site), (2, 2, 1)}


@pytest.mark.parametrize("replaces", ["true", "false"])
def test_an_export_replaces_tiles_of_the_folder_where_told(
    fresh_site: RunningSite, publisher: Client, replaces: str
) -> None:
    done(publisher, EXPORT, **EXPORT_FORM, target_cache="caches")
    old = expected(fresh_site)
    fresh_site.set_revision("classic", 2)
    fresh_site.fill("classic", "Streets:MapServer", [2, 3])
    form = {**EXPORT_FORM, "replace_existing_tiles": replaces}
    done(publisher, EXPORT, **form, target_cache="caches")
    found = tiles_in(fresh_site.server_share("classic") / "caches/Streets/Layers")
    assert found == (expected(fresh_site) if replaces == "true" else old)
    assert expected(fresh_site) != old


PLACES = {
    ("COMPACT_V2", "true"): "Streets.tpkx",
    ("COMPACT", "true"): "Streets.tpk",
    ("COMPACT", "false"): "Streets",
    ("EXPLODED", "false"): "Streets",
}


@pytest.mark.parametrize(("form", "name"), PLACES.items())
def test_each_kind_of_cache_can_be_fetched(
    fresh_site: RunningSite,
    publisher: Client,
    tmp_path: Path,
    form: tuple[str, str],
    name: str,
) -> None:
    filled = {**EXPORT_FORM, "copy_data_from_server": "true"}
    filled |= {"storage_format_type": form[0], "tile_package": form[1]}
    job = done(publisher, EXPORT, **filled)
    result = publisher.get(f"{EXPORT}/jobs/{job['jobId']}/results/out_service_url")
    listing = publisher.get(result["value"])
    entries = listing["files"] if form[1] == "true" else listing["folders"]
    assert [entry["name"] for entry in entries] == [name]
    if form[1] == "true":
        data = requests.get(entries[0]["url"], timeout=10).content
        zipfile.ZipFile(io.BytesIO(data)).extractall(tmp_path)
        cache = tmp_path / ("." if name.endswith("x") else "v101/Layers")
        if name.endswith("x"):
            (tmp_path / "tile").rename(tmp_path / LAYERS_FOLDER)
    else:
        fetch(publisher, entries[0]["url"], tmp_path)
        cache = tmp_path / "Layers"
    assert read_any(cache, form[0]) == expected(fresh_site)


def fetch(client: Client, directory: str, target: Path) -> None:
    target.mkdir(exist_ok=True)
    listing = client.get(directory)
    for file in listing["files"]:
        (target / file["name"]).write_bytes(requests.get(file["url"], timeout=10).content)
    for folder in listing["folders"]:
        fetch(client, folder["url"], target / folder["name"])


def read_any(cache: Path, storage: str) -> Tiles:
    if storage == "COMPACT_V2":
        return tiles_in(cache)
    if storage == "COMPACT":
        return {(level, row, col): data for level, row, col, data in bundles_v1.read_tiles(cache)}
    return {
        (int(path.parts[-3][1:]), int(path.parts[-2][1:], 16), int(path.stem[1:], 16)):
        path.read_bytes() for path in (cache / LAYERS_FOLDER).glob("L*/R*/C*.png")
    }  # fmt: skip


REFUSED = {
    "no target": ({}, "000735"),
    "a folder elsewhere": ({"target_cache": "/etc"}, "000732"),
    "a folder above": ({"target_cache": "../World"}, "000732"),
    "an exploded package": (
        {"target_cache": "a", "tile_package": "true", "storage_format_type": "EXPLODED"},
        "exploded",
    ),
    "an unknown service": ({"target_cache": "a", "service_url": "Nowhere:MapServer"}, "001459"),
    "outside": ({"target_cache": "a", "export_extent": "3e7 1 4e7 2"}, "no tiles"),
}


@pytest.mark.parametrize(("form", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_export_fails(publisher: Client, form: dict[str, str], told: str) -> None:
    job = publisher.run(EXPORT, **{**EXPORT_FORM, **form})
    assert job["jobStatus"] == "esriJobFailed"
    assert told in texts(job)


# --- ImportCache ------------------------------------------------------------------------------


def package(client: Client, **form: str) -> Path:
    """Export the quarter of Streets into a package on the server; return where it is."""
    filled = {**EXPORT_FORM, "tile_package": "true", "target_cache": "packages", **form}
    job = done(client, EXPORT, **filled)
    result = client.get(f"{EXPORT}/jobs/{job['jobId']}/results/out_service_url")
    return Path(result["value"])


@pytest.mark.parametrize(
    ("storage", "is_package"),
    [("COMPACT_V2", "true"), ("COMPACT", "true"), ("COMPACT_V2", "false"), ("EXPLODED", "false")],
)
def test_tiles_are_imported_from_a_cache_of_the_server(
    fresh_site: RunningSite, publisher: Client, storage: str, is_package: str
) -> None:
    source = package(publisher, storage_format_type=storage, tile_package=is_package)
    done(publisher, IMPORT, **IMPORT_FORM, target_cache=str(source))
    assert tiles_in(fresh_site.cache_folder("classic", "World")) == expected(fresh_site)


@pytest.mark.parametrize("replaces", ["true", "false"])
def test_an_import_keeps_or_replaces_tiles_of_the_service(
    fresh_site: RunningSite, publisher: Client, replaces: str
) -> None:
    source = package(publisher)
    fresh_site.fill("classic", "World:MapServer", [2])
    before = tiles_in(fresh_site.cache_folder("classic", "World"))
    form = {**IMPORT_FORM, "replace_existing_tiles": replaces, "levels": f"{SCALES[2]}"}
    done(publisher, IMPORT, **form, target_cache=str(source), import_extent="1 1 2 2")
    after = tiles_in(fresh_site.cache_folder("classic", "World"))
    changed = {tile for tile in after if after[tile] != before.get(tile)}
    assert changed == ({(2, 1, 2)} if replaces == "true" else set())
    assert set(after) == set(before)


def test_a_package_is_handed_over_and_imported(fresh_site: RunningSite, publisher: Client) -> None:
    assert publisher.get(CONTROLLERS)["capabilities"] == "Uploads"
    task = publisher.get(IMPORT)
    name = next(p["name"] for p in task["parameters"] if p["dataType"] == "GPDataFile")
    data = package(publisher).read_bytes()
    address = f"{fresh_site.services_url('classic')}/{CONTROLLERS}/uploads"
    form = {"f": "json", "token": publisher.token}
    file = {"file": ("Streets.tpkx", data)}
    told = publisher.session.post(f"{address}/upload", data=form, files=file, timeout=10).json()
    assert told["success"] is True
    assert told["item"]["itemName"] == "Streets.tpkx"
    item = {"itemID": told["item"]["itemID"]}
    done(publisher, IMPORT, **IMPORT_FORM, **{name: json.dumps(item)})
    assert tiles_in(fresh_site.cache_folder("classic", "World")) == expected(fresh_site)
    gone = publisher.session.post(
        f"{address}/{item['itemID']}/delete", data=form, timeout=10
    ).json()
    assert gone == {"success": True}
    assert publisher.get(f"{CONTROLLERS}/uploads/{item['itemID']}")["error"]["code"] == 404
    job = publisher.run(IMPORT, **IMPORT_FORM, **{name: json.dumps(item)})
    assert job["jobStatus"] == "esriJobFailed"
    without = publisher.session.post(f"{address}/upload", data=form, timeout=10).json()
    assert without["error"]["code"] == 400
    stranger = requests.post(f"{address}/upload", data={"f": "json"}, files=file, timeout=10)
    assert stranger.json()["error"]["code"] == 499


def test_a_cache_of_another_scheme_is_not_imported(
    fresh_site: RunningSite, publisher: Client
) -> None:
    fresh_site.spoil_next_package("classic", "scheme")
    source = package(publisher)
    job = publisher.run(IMPORT, **IMPORT_FORM, target_cache=str(source))
    assert job["jobStatus"] == "esriJobFailed"
    assert "tiling scheme" in texts(job)
    assert tiles_in(fresh_site.cache_folder("classic", "World")) == {}


def test_a_damaged_package_is_not_imported(fresh_site: RunningSite, publisher: Client) -> None:
    fresh_site.spoil_next_package("classic", "truncated")
    job = publisher.run(IMPORT, **IMPORT_FORM, target_cache=str(package(publisher)))
    assert "not a tile package" in texts(job)
    missing = publisher.run(IMPORT, **IMPORT_FORM, target_cache="nothing")
    assert "000732" in texts(missing)


def test_the_tasks_have_other_names_elsewhere(fresh_site: RunningSite) -> None:
    usual, other = Client(fresh_site, "gaps"), Client(fresh_site, "othernames")
    for task in (EXPORT, IMPORT):
        ours, theirs = (client.get(task)["parameters"] for client in (usual, other))
        assert [p["displayName"] for p in ours] == [p["displayName"] for p in theirs]
        assert {p["name"] for p in ours}.isdisjoint(p["name"] for p in theirs)
    fresh_site.fill("othernames", "World:MapServer", [2])
    form = {
        "input_service": "World:MapServer",
        "scales": f"{SCALES[2]}",
        "number_of_instances": "1",
        "cache_format": "COMPACT_V2",
        "copy_to_client": "true",
    }
    job = done(other, EXPORT, **form)
    assert list(job["results"]) == ["output_service"]
    old = Client(fresh_site, "wkt")
    assert "capabilities" not in old.get(CONTROLLERS)
    assert "GPDataFile" not in {p["dataType"] for p in old.get(IMPORT)["parameters"]}
