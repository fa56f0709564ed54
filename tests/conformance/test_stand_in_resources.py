"""The stand-in ArcGIS site against the protocol: what its resources look like, and its faults."""

from __future__ import annotations

import http.client
import json
import re
import threading
import urllib.request
from typing import Any

import pytest
import requests
from arcgis_server.handle import RunningSite
from arcgis_server.plain_client import SCALES, Client


def get(address: str, **query: Any) -> requests.Response:
    return requests.get(address, params={"f": "json", **query}, timeout=10)


def root(site: RunningSite, key: str, name: str, kind: str = "MapServer") -> Any:
    return get(site.service_url(key, name, kind)).json()


# --- service roots ----------------------------------------------------------------------------


def test_a_classic_site_lists_more_levels_than_it_caches(site: RunningSite) -> None:
    data = root(site, "classic", "World")
    assert len(data["tileInfo"]["lods"]) == 20
    assert data["minScale"] == data["tileInfo"]["lods"][0]["scale"]
    assert data["maxScale"] == data["tileInfo"]["lods"][7]["scale"]
    assert data["storageInfo"] == {
        "storageFormat": "esriMapCacheStorageModeCompactV2",
        "packetSize": 128,
    }


def test_an_old_site_does_not_know_what_came_later(site: RunningSite) -> None:
    answer = get(site.service_url("old", "World"))
    data = answer.json()
    later = {"minScale", "maxScale", "exportTilesAllowed", "storageInfo"}
    assert later.isdisjoint(data)
    assert "latestWkid" not in answer.text
    assert data["currentVersion"] == 10.04


def test_a_hosted_layer_gives_its_levels_by_number(site: RunningSite) -> None:
    data = root(site, "hosted", "World_Tiles")
    assert (data["minScale"], data["maxScale"]) == (0, 0)
    assert (data["minLOD"], data["maxLOD"]) == (1, 8)
    assert data["tileInfo"]["storageFormat"] == "esriMapCacheStorageModeCompactV2"
    assert "storageInfo" not in data
    export = get(f"{site.service_url('hosted', 'World_Tiles')}/export", bbox="0,0,1,1")
    assert export.json()["error"]["code"] == 400
    assert get(f"{site.services_url('hosted')}/System").json()["error"]["code"] == 404


def test_levels_may_have_gaps_and_any_step(site: RunningSite) -> None:
    info = root(site, "gaps", "World")["tileInfo"]
    assert [lod["level"] for lod in info["lods"]] == [2, 3, 5, 6, 8, 11]
    # Two levels of a recorded answer of a real service, at 96 dots per inch.
    assert info["lods"][0]["scale"] == pytest.approx(147748796.529, rel=1e-9)
    assert info["lods"][4]["scale"] == pytest.approx(4622333.68, rel=1e-6)
    assert (info["rows"], info["origin"]) == (512, {"x": -400.0, "y": 400.0})


def test_a_reference_may_be_well_known_text_only(site: RunningSite) -> None:
    answer = get(site.service_url("wkt", "Europe"))
    data = answer.json()
    assert list(data["tileInfo"]["spatialReference"]) == ["wkt"]
    assert "kid" not in answer.text


UNCACHED = {
    "a dynamic map service": ("Dynamic", "MapServer", False, False),
    "an image service says nothing": ("Elevation", "ImageServer", None, False),
    "a scheme without a fused cache": ("Scheme", "MapServer", False, True),
}


@pytest.mark.parametrize(
    ("name", "kind", "fused", "has_scheme"), UNCACHED.values(), ids=UNCACHED.keys()
)
def test_uncached_services_say_so_in_their_ways(
    site: RunningSite, name: str, kind: str, fused: bool | None, has_scheme: bool
) -> None:
    data = root(site, "classic", name, kind)
    assert data.get("singleFusedMapCache") is fused
    assert ("tileInfo" in data) is has_scheme


def test_a_site_may_give_the_parameters_of_its_task_other_names(site: RunningSite) -> None:
    path = "System/CachingControllers/GPServer/Manage Map Cache Tiles"
    usual, other = (
        get(f"{site.services_url(key)}/{path}").json()["parameters"]
        for key in ("gaps", "othernames")
    )
    assert [p["displayName"] for p in usual] == [p["displayName"] for p in other]
    assert {p["name"] for p in usual}.isdisjoint(p["name"] for p in other)
    choices = next(p["choiceList"] for p in other if "choiceList" in p)
    assert "RECREATE_EMPTY_TILES" not in choices


def test_a_task_of_other_names_works_under_these_only(fresh_site: RunningSite) -> None:
    client = Client(fresh_site, "othernames")
    form = {
        "input_service": "World:MapServer",
        "scales": f"{SCALES[2]};",
        "number_of_instances": "1",
        "mode": "RECREATE_ALL_TILES",
        "update_extent": "1 1 2 2",
    }
    job = client.run(**form)
    assert job["jobStatus"] == "esriJobSucceeded"
    assert list(job["results"]) == ["output_service"]
    assert set(fresh_site.read_cache("othernames", "World")[2]) == {(1, 2)}
    refused = client.submit(**{**form, "mode": "RECREATE_EMPTY_TILES"})
    assert "not in the choice list of mode" in " ".join(refused["error"]["details"])
    assert client.submit()["error"]["code"] == 400


def test_without_a_format_an_answer_is_a_page(site: RunningSite) -> None:
    answer = requests.get(site.service_url("classic", "World"), timeout=10)
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "<title>World (MapServer)</title>" in answer.text
    pretty = get(site.service_url("classic", "World"), f="pjson").text
    assert json.loads(pretty) == root(site, "classic", "World")
    assert "\n" in pretty


def test_names_of_services_in_a_folder_hold_the_folder(site: RunningSite) -> None:
    data = get(f"{site.services_url('classic')}/Basemaps").json()
    assert data["services"] == [{"name": "Basemaps/Countries", "type": "MapServer"}]
    assert get(f"{site.services_url('classic')}/Nowhere").json()["error"]["code"] == 404


# --- tiles and tile maps ----------------------------------------------------------------------


def test_a_tile_is_served_with_a_tag_and_a_missing_one_is_404(fresh_site: RunningSite) -> None:
    fresh_site.fill("classic", "World:MapServer", [1])
    address = fresh_site.service_url("classic", "World")
    answer = requests.get(f"{address}/tile/1/0/1", timeout=10)
    assert answer.headers["Content-Type"] == "image/png"
    again = requests.get(
        f"{address}/tile/1/0/1", headers={"If-None-Match": answer.headers["ETag"]}, timeout=10
    )
    assert (again.status_code, again.content) == (304, b"")
    missing = ("2/0/0", "1/2/0", "1/-1/0", "99/0/0")
    assert {requests.get(f"{address}/tile/{m}", timeout=10).status_code for m in missing} == {404}


def test_a_hosted_layer_sends_a_placeholder_unless_told_not_to(fresh_site: RunningSite) -> None:
    address = f"{fresh_site.service_url('hosted', 'World_Tiles')}/tile/3/1/1"
    placeholder = requests.get(address, timeout=10)
    assert placeholder.status_code == 200
    assert placeholder.content.startswith(b"\x89PNG")
    assert requests.get(address, params={"blankTile": "false"}, timeout=10).status_code == 404


def test_a_tile_map_tells_which_tiles_exist(fresh_site: RunningSite) -> None:
    fresh_site.fill("classic", "World:MapServer", [2], extent="1 1 2 2")
    address = f"{fresh_site.service_url('classic', 'World')}/tilemap"
    part = get(f"{address}/2/0/0/4/2").json()
    assert part["data"] == [0, 0, 0, 0, 0, 0, 1, 0]
    assert part["location"] == {"left": 0, "top": 0, "width": 4, "height": 2}
    assert get(f"{address}/2/2/0/4/2").json()["data"] == [0]
    wide = get(f"{address}/2/0/120/32/4").json()
    assert (wide["adjusted"], wide["location"]["width"]) == (True, 8)
    empty = get(f"{address}/5/0/0/8/8")
    assert (empty.status_code, empty.json()["error"]["code"]) == (200, 422)
    hosted = get(f"{fresh_site.service_url('hosted', 'World_Tiles')}/tilemap/5/0/0/8/8")
    assert (hosted.status_code, hosted.json()["error"]["code"]) == (422, 422)
    plain = get(f"{fresh_site.service_url('classic', 'Basemaps/Countries')}/tilemap/2/0/0/4/4")
    assert plain.json()["error"]["code"] == 400


# --- export -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "operation"),
    [("Dynamic", "MapServer", "export"), ("Elevation", "ImageServer", "exportImage")],
)
def test_an_export_is_widened_to_square_pixels(
    site: RunningSite, name: str, kind: str, operation: str
) -> None:
    address = f"{site.service_url('classic', name, kind)}/{operation}"
    query = {"bbox": "0,5000000,1000000,6000000", "size": "400,200", "format": "png"}
    told = get(address, **query).json()
    assert (told["extent"]["xmin"], told["extent"]["xmax"]) == (-500000, 1500000)
    direct = get(address, **{**query, "f": "image"})
    assert direct.headers["Content-Type"] == "image/png"
    assert requests.get(told["href"], timeout=10).content == direct.content
    assert get(address).json()["error"]["code"] == 400


# --- progress where the job does not tell it --------------------------------------------------


def test_the_status_report_counts_tiles_while_a_job_runs(fresh_site: RunningSite) -> None:
    services = fresh_site.services_url("gaps")
    task = f"{services}/System/CachingControllers/GPServer/Manage Map Cache Tiles"
    fresh_site.pause_after("gaps", 3)
    form = {
        "service_url": "World:MapServer",
        "levels": repr(root(fresh_site, "gaps", "World")["tileInfo"]["lods"][1]["scale"]),
        "thread_count": "2",
        "update_mode": "RECREATE_EMPTY_TILES",
        "f": "json",
    }
    job_id = requests.post(f"{task}/submitJob", data=form, timeout=10).json()["jobId"]
    fresh_site.wait_until_paused("gaps")
    job = get(f"{task}/jobs/{job_id}").json()
    report = get(
        f"{services}/System/ReportingTools/GPServer/ReportCacheStatus/execute",
        service_url="World:MapServer",
    ).json()
    level = json.loads(report["results"][0]["value"])["lodInfos"][1]
    assert "progress" not in job
    assert (level["levelID"], level["tileCount"], level["isRunning"]) == (3, 3, "true")
    assert level["expectedTileCount"] == 15  # 5 columns from -220 to 230, 3 rows from 130 to -140
    assert level["percent"] == 20
    fresh_site.release("gaps")


def test_an_old_site_tells_percent_in_words_only(fresh_site: RunningSite) -> None:
    messages = fresh_site.fill("old", "World:MapServer", [3])["messages"]
    percents = [int(found[1]) for m in messages if (found := re.search(r"(\d+) percent", m))]
    assert percents[-1] > 90
    assert percents == sorted(set(percents))


# --- faults -----------------------------------------------------------------------------------


def test_faults_strike_the_matching_requests_and_pass(fresh_site: RunningSite) -> None:
    address = fresh_site.service_url("classic", "World")
    fresh_site.fault("classic", "World/MapServer$", "html")
    assert get(address).headers["Content-Type"].startswith("text/html")
    fresh_site.fault("classic", "World/MapServer$", "status", code=503, count=2)
    assert [get(address).status_code for _ in range(3)] == [503, 503, 200]
    fresh_site.fault("classic", "World/MapServer$", "error", code=500, message="not started")
    assert get(address).json()["error"] == {"code": 500, "message": "not started", "details": []}
    assert get(fresh_site.services_url("classic")).json()["folders"] == ["Basemaps"]


def test_a_broken_connection_is_a_fault(fresh_site: RunningSite) -> None:
    address = fresh_site.service_url("classic", "World")
    fresh_site.fault("classic", "World", "drop")
    with pytest.raises(requests.ConnectionError):
        get(address)
    assert get(address).status_code == 200


def test_half_an_answer_is_a_fault(fresh_site: RunningSite) -> None:
    # not by requests, which does not mind half an answer while urllib3 is older than 2
    address = fresh_site.service_url("classic", "World")
    fresh_site.fault("classic", "World", "truncate")
    with urllib.request.urlopen(address) as response, pytest.raises(http.client.IncompleteRead):
        response.read()
    assert get(address).status_code == 200


def test_a_silent_site_answers_once_the_fault_is_cleared(fresh_site: RunningSite) -> None:
    address = fresh_site.service_url("classic", "World")
    fresh_site.fault("classic", "World", "silence")
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.get(address, timeout=0.2)
    fresh_site.fault("classic", "World", "silence")
    release = threading.Timer(0.2, fresh_site.clear_faults, ["classic"])
    release.start()
    assert get(address).json()["mapName"] == "Layers"
    release.join()
