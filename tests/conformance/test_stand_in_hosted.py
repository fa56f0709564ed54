"""The stand-in's hosted layers against the protocol: tile operations, bundles, jobs."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from arcgis_server.handle import API_KEY, PUBLISHER, VIEWER, RunningSite

FIXTURES = Path(__file__).resolve().parents[3] / "shared/fixtures"
ITEM = "a" * 32
ENDED = {"DONE", "CANCELED", "PARTIALERROR", "ERROR", "FAILED"}
CORNER = range(124, 132)
"""Rows and columns of Corner_Tiles at level 8: four tiles on each side of a bundle's corner."""
ALL = {(row, col) for row in CORNER for col in CORNER}
SOUTH_EAST = {(row, col) for row, col in ALL if row >= 128 and col >= 128}


@pytest.fixture
def online(site: RunningSite) -> Iterator[RunningSite]:
    site.reset("online", "agol")
    yield site
    site.reset("online", "agol")


def admin_url(site: RunningSite, name: str = "Corner_Tiles", kind: str = "MapServer") -> str:
    return site.service_url("online", name, kind).replace(
        "/rest/services/", "/rest/admin/services/"
    )


def get(site: RunningSite, path: str = "", token: str = API_KEY, **where: str) -> Any:
    asked = {"f": "json", **({"token": token} if token else {})}
    address = f"{admin_url(site, **where)}{path}"
    return requests.get(address, params=asked, timeout=10).json()


def post(site: RunningSite, path: str, /, name: str = "Corner_Tiles", **form: Any) -> Any:
    kind = "ImageServer" if name == "Relief_Tiles" else "MapServer"
    address = f"{admin_url(site, name, kind)}{path}"
    return requests.post(address, data={"f": "json", "token": API_KEY, **form}, timeout=10).json()


def follow(site: RunningSite, job_id: str, name: str = "Corner_Tiles") -> Any:
    kind = "ImageServer" if name == "Relief_Tiles" else "MapServer"
    deadline = time.monotonic() + 30
    while True:
        job = get(site, f"/jobs/{job_id}", name=name, kind=kind)
        if job["jobStatus"] in ENDED:
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.02)


def run(site: RunningSite, operation: str = "updateTiles", **form: Any) -> Any:
    answer = post(site, f"/{operation}", **form)
    assert answer["status"] == "Success", answer
    return follow(site, answer["jobId"], form.get("name", "Corner_Tiles"))


def tiles(site: RunningSite, level: int = 8, name: str = "Corner_Tiles") -> dict[Any, Any]:
    return site.read_cache("online", name).get(level, {})


def extent(xmin: float, ymin: float, xmax: float, ymax: float) -> str:
    box = {"xmin": xmin, "ymin": ymin, "xmax": xmax, "ymax": ymax}
    return json.dumps({**box, "spatialReference": {"wkid": 102100}})


def code_of(answer: Any) -> int:
    return int(answer.get("error", {}).get("code", 0))


# --- what the operations do -------------------------------------------------------------------


def test_without_merging_the_bundles_of_the_rectangle_are_new(online: RunningSite) -> None:
    run(online, levels="8")
    before = tiles(online)
    assert set(before) == ALL
    online.set_revision("online", 2)
    # two by two tiles beside the corner, in the south-eastern bundle
    job = run(online, levels="8", extent=extent(1, -3e5, 3e5, -1))
    after = tiles(online)
    small = {(128, 128), (128, 129), (129, 128), (129, 129)}
    assert job["numTiles"] == 4
    assert set(after) == ALL - SOUTH_EAST | small  # the rest of that bundle is gone
    assert {tile: after[tile] for tile in ALL - SOUTH_EAST} == {
        tile: before[tile] for tile in ALL - SOUTH_EAST
    }
    assert all(after[tile].sha1 != before[tile].sha1 for tile in small)


@pytest.mark.parametrize("replaces", [False, True])
def test_with_merging_the_tiles_around_stay(online: RunningSite, replaces: bool) -> None:
    run(online, levels="8", extent=extent(1, -3e5, 1.5e5, -1))
    before = tiles(online)
    assert set(before) == {(128, 128), (129, 128)}
    online.set_revision("online", 2)
    wanted = extent(1, -1.5e5, 3e5, -1)
    run(online, levels="8", extent=wanted, mergeBundle="true", replaceTiles=str(replaces))
    after = tiles(online)
    assert set(after) == {*before, (128, 129)}
    assert after[129, 128] == before[129, 128]
    assert (after[128, 128].sha1 != before[128, 128].sha1) == replaces


def test_replacing_alone_does_not_merge(online: RunningSite) -> None:
    run(online, levels="8")
    run(online, levels="8", extent=extent(1, -1e5, 1e5, -1), replaceTiles="true")
    assert set(tiles(online)) == ALL - SOUTH_EAST | {(128, 128)}


def test_deleting_takes_whole_bundles(online: RunningSite) -> None:
    run(online, levels="8,9")
    job = run(online, "deleteTiles", levels="8", extent="1,-100000,100000,-1")
    assert (job["type"], job["numTiles"]) == ("CacheDelete", len(SOUTH_EAST))
    assert set(tiles(online)) == ALL - SOUTH_EAST
    assert len(tiles(online, 9)) == 4 * len(ALL)
    run(online, "deleteTiles", levels="9")
    assert tiles(online, 9) == {}


LEVELS = {"4-6,8": {4, 5, 6, 8}, "4, 6": {4, 6}, "5": {5}, "": set(range(4, 13))}


@pytest.mark.parametrize(("text", "expected"), LEVELS.items())
def test_levels_are_ids_and_ranges_of_ids(
    online: RunningSite, text: str, expected: set[int]
) -> None:
    run(online, levels=text, extent=extent(1, -10, 10, -1))
    assert set(online.read_cache("online", "Corner_Tiles")) == expected


BAD_FORMS = [
    {"levels": "4-"},
    {"levels": "a"},
    {"levels": "99"},
    {"levels": "8", "extent": "1,2,3"},
    {"levels": "8", "extent": "NaN,0,1,1"},
    {"levels": "8", "extent": extent(2e6, 2e6, 3e6, 3e6)},
]


@pytest.mark.parametrize("form", BAD_FORMS, ids=str)
def test_a_wrong_form_is_refused(online: RunningSite, form: dict[str, str]) -> None:
    assert code_of(post(online, "/updateTiles", **form)) == 400
    assert online.jobs("online") == []


def test_imagery_is_managed_alike(online: RunningSite) -> None:
    job = run(online, name="Relief_Tiles", levels="8")
    assert job["numTiles"] == len(ALL)
    assert set(tiles(online, name="Relief_Tiles")) == ALL
    where = {"name": "Relief_Tiles", "kind": "ImageServer"}
    assert get(online, f"/jobs/{job['jobId']}/status", **where)["jobStatus"] == "DONE"


@pytest.mark.parametrize(
    ("merges", "replaces", "kept"), [(False, False, 0), (True, False, 60), (True, True, 60)]
)
def test_tiles_come_out_of_a_package(
    online: RunningSite, tmp_path: Path, merges: bool, replaces: bool, kept: int
) -> None:
    run(online, levels="8", extent=extent(1, -3e5, 3e5, -1))
    packed = tiles(online)
    assert len(packed) == 4
    made = shutil.make_archive(
        str(tmp_path / "package"), "zip", online.cache_folder("online", "Corner_Tiles")
    )
    shutil.move(made, online.server_share("online") / f"{ITEM}.tpk")
    online.set_revision("online", 2)
    run(online, levels="8")
    before = tiles(online)
    options = {"mergeBundle": str(merges), "replaceTiles": str(replaces)}
    job = run(online, "importTiles", sourceItemId=ITEM, levels="8", **options)
    after = tiles(online)
    assert (job["numTasks"], job["numTiles"]) == (1, 4)
    assert set(after) == (ALL if merges else ALL - SOUTH_EAST | set(packed))
    back = all(after[tile].sha1 == packed[tile].sha1 for tile in packed)
    assert back == (replaces or not merges)
    others = set(before) - set(packed)
    assert sum(after.get(tile) == before[tile] for tile in others) == (kept or 48)
    unknown = post(online, "/importTiles", sourceItemId="0" * 32, levels="8")
    assert code_of(unknown) == 400


# --- jobs -------------------------------------------------------------------------------------


def test_a_job_has_the_keys_of_the_documented_one(online: RunningSite) -> None:
    if not FIXTURES.is_dir():
        pytest.skip("no recorded answers beside the project")
    job = run(online, levels="8")
    listed = get(online, "/jobs")
    for answer, name in ((job, "hosted-job-statistics"), (listed, "hosted-jobs")):
        recorded = json.loads((FIXTURES / f"{name}.json").read_text())
        assert set(answer) == set(recorded)
    recorded = json.loads((FIXTURES / "hosted-jobs.json").read_text())["jobs"][0]
    assert set(listed["jobs"][0]) == set(recorded)
    assert set(listed["jobs"][0]["lodInfos"][0]) == set(recorded["lodInfos"][0])
    assert (job["jobStatus"], job["percentComplete"], job["numTasks"]) == ("DONE", 100, 4)


def test_a_running_job_counts_and_is_cancelled_and_rerun(online: RunningSite) -> None:
    online.pause_after("online", 20)
    job_id = post(online, "/updateTiles", levels="8")["jobId"]
    online.wait_until_paused("online")
    running = get(online, f"/jobs/{job_id}")
    assert (running["jobStatus"], running["percentComplete"]) == ("INPROGRESS", 31)
    assert (running["numTiles"], running["estimatedNumTiles"]) == (20, 64)
    assert (running["numDoneTasks"], running["numProcessingTasks"]) == (1, 1)
    assert get(online, f"/jobs/{job_id}/cancel")["error"]["code"] == 405
    assert post(online, f"/jobs/{job_id}/cancel") == {"success": True}
    job = follow(online, job_id)
    assert (job["jobStatus"], job["numCanceledTasks"]) == ("CANCELED", 3)
    assert len(tiles(online)) == 20
    refused = post(online, f"/jobs/{job_id}/cancel")
    assert refused["error"]["message"] == "Unable to cancel job."

    online.release("online")
    assert post(online, f"/jobs/{job_id}/rerun", rerun="CANCELED") == {"success": True}
    job = follow(online, job_id)
    assert (job["jobStatus"], job["numTiles"]) == ("DONE", 64)
    assert set(tiles(online)) == ALL
    assert get(online, "/jobs")["total"] == 1


def test_bundles_that_fail_are_counted_and_can_be_made_later(online: RunningSite) -> None:
    online.fail_bundles("online", "Corner_Tiles:MapServer", 8, [(1, 1)])
    job = run(online, levels="8")
    assert (job["jobStatus"], job["numErrorTasks"]) == ("PARTIALERROR", 1)
    assert "All server contexts failed" in job["message"]
    assert set(tiles(online)) == ALL - SOUTH_EAST
    assert online.jobs("online")[0]["failed"] == [[8, 1, 1]]
    online.fail_bundles("online", "Corner_Tiles:MapServer", 8, [])
    assert code_of(post(online, f"/jobs/{job['jobId']}/rerun", rerun="OTHER")) == 400
    assert post(online, f"/jobs/{job['jobId']}/rerun", rerun="ERROR") == {"success": True}
    assert follow(online, job["jobId"])["jobStatus"] == "DONE"
    assert set(tiles(online)) == ALL


def test_a_job_of_which_everything_fails_is_an_error(online: RunningSite) -> None:
    everywhere = [(row, col) for row in (0, 1) for col in (0, 1)]
    online.fail_bundles("online", "Corner_Tiles:MapServer", 8, everywhere)
    assert run(online, levels="8")["jobStatus"] == "ERROR"
    online.fail_next("online", "Out of credits.")
    job = run(online, levels="8")
    assert (job["jobStatus"], "credits" in job["message"]) == ("FAILED", True)


def test_a_job_can_stand_still_for_a_while(online: RunningSite) -> None:
    online.stall("online", after=5, seconds=0.3)
    started = time.monotonic()
    assert run(online, levels="8")["jobStatus"] == "DONE"
    assert time.monotonic() - started > 0.3


# --- the resource, and who may ----------------------------------------------------------------


def test_the_resource_tells_how_full_each_level_is(online: RunningSite) -> None:
    run(online, levels="8")
    run(online, levels="9", extent=extent(1, -10, 10, -1))
    levels = {info["levelID"]: info for info in get(online)["lodInfos"]}
    assert list(levels) == list(range(4, 13))
    assert [levels[n]["status"] for n in (7, 8, 9)] == ["Empty", "Complete", "Partial"]
    assert levels[8]["tileCount"] == levels[8]["expectedTileCount"] == 64
    assert get(online, "/status") == {"name": "Corner_Tiles", "status": "Started"}
    assert get(online, "/refresh") == {"success": True}


def test_a_service_is_edited(online: RunningSite) -> None:
    form = {"exportTilesAllowed": "false", "maxExportTilesCount": "77"}
    assert post(online, "/edit", **form) == {"success": True}
    root = get(online)
    assert (root["exportTilesAllowed"], root["maxExportTilesCount"]) == (False, 77)
    assert code_of(post(online, "/edit", serviceDefinition="no JSON")) == 400


def test_only_the_publisher_manages(online: RunningSite) -> None:
    assert code_of(get(online, token="")) == 499
    form = {
        "username": VIEWER.name,
        "password": VIEWER.password,
        "client": "requestip",
        "f": "json",
    }
    address = f"{online.site_url('agol')}/sharing/rest/generateToken"
    token = requests.post(address, data=form, timeout=10).json()["token"]
    assert code_of(get(online, token=token)) == 403
    form.update(username=PUBLISHER.name, password=PUBLISHER.password)
    token = requests.post(address, data=form, timeout=10).json()["token"]
    assert code_of(get(online, token=token)) == 0
    assert code_of(requests.get(admin_url(online), params={"f": "json"}, timeout=10).json()) == 499
