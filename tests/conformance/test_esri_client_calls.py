"""Esri's own Python client and the stand-in sites, call by call; and the plugin doing the same.

The client speaks to the stand-in over TLS, as it does to real sites. Where the two disagree, the
client is right.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from arcgis_server.bundles import BUNDLE_SIDE
from arcgis_server.coverage import tiles_of
from arcgis_server.handle import (
    API_KEY,
    OAUTH_CLIENT,
    PUBLISHER,
    RunningSite,
    running_site,
)
from arcgis_server.profiles import Service
from arcgis_server.profiles import site as profile
from scripted_site import Recorder
from shapely.geometry import Polygon, box

from tile_cache_manager.plugin.core.arcgis import cache as arcgis_cache
from tile_cache_manager.plugin.core.arcgis.credentials import Credentials, FixedToken
from tile_cache_manager.plugin.core.arcgis.jobs import Pace
from tile_cache_manager.plugin.core.cache import open_cache
from tile_cache_manager.plugin.core.request import (
    HostedOptions,
    Outcome,
    UpdateMode,
    UpdateRequest,
)

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-esri/bin/python"
ABSENT = ROOT / ".venv-esri/.absent"  # tools/setup.sh says here why there is no client
SCRIPT = ROOT / "tests/esri_calls_script.py"
SECONDS = 60
USED = ("classic", "secured", "federated", "fedportal", "online")
ACCOUNT = {"username": PUBLISHER.name, "password": PUBLISHER.password}
AREA = Polygon([(-4e6, -4e6), (-1e6, -4e6), (4e6, 3e6), (4e6, 4e6)])
LEVEL = 5
CORNER = {(row, col) for row in range(124, 132) for col in range(124, 132)}
"""All tiles of Corner_Tiles at level 8; four bundles share them."""
ITEM = "a" * 32
SMALL = "1,-300000,300000,-1"
"""Four tiles of the south-eastern bundle."""
JOBS = "admin/services/System/CachingControllers.GPServer/jobs"

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="certificates are made with openssl, which is not there"
)


class CallFailed(AssertionError):
    """Esri's client raised something; the text says what."""


class EsriClient:
    """Esri's client in a process of its own; ``call`` waits for the answer."""

    def __init__(self, python: str, home: Path) -> None:
        self._process = subprocess.Popen(
            [python, str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # it looks for profiles at home
            env={"PATH": "/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(home)},
        )
        self._answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")

    def call(self, call: str, **values: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"call": call, **values}) + "\n")
        self._process.stdin.flush()
        line = self._answers.get(timeout=SECONDS)
        answer = json.loads(line or '{"error": "the client has ended"}')
        if "error" in answer:
            raise CallFailed(answer["error"])
        return answer["answer"]

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def esri_python() -> str:
    """The Python that has Esri's client."""
    if ABSENT.exists():
        reason = ABSENT.read_text().strip()
        if os.environ.get("CI") and "needs Python" not in reason:
            pytest.fail(f"no Esri client: {reason}")
        pytest.skip(f"no Esri client: {reason}")
    assert PYTHON.exists(), "make setup installs Esri's client into .venv-esri"
    return str(PYTHON)


@pytest.fixture(scope="module")
def plain_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """The sites, without TLS: for the plugin, and for a look at what they have."""
    folder = tmp_path_factory.mktemp("esri_site")
    with running_site(folder, drawing="plain", tls=True) as running:
        yield running


@pytest.fixture
def site(plain_site: RunningSite) -> RunningSite:
    """The same sites over TLS, as they started; who is signed in at a portal stays so."""
    plain_site.reset(*USED)
    return plain_site.over_tls()


@pytest.fixture(scope="module")
def esri(
    esri_python: str, plain_site: RunningSite, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EsriClient]:
    client = EsriClient(esri_python, tmp_path_factory.mktemp("esri_home"))
    yield client
    client.close()


@pytest.fixture(scope="module")
def portal(esri: EsriClient, plain_site: RunningSite) -> str:
    """Esri's client, signed in at the Enterprise portal, under this name."""
    url = plain_site.over_tls().site_url("portal")
    esri.call("sign_in", name="portal", url=url, **ACCOUNT)
    return "portal"


@pytest.fixture(scope="module")
def online(esri: EsriClient, plain_site: RunningSite) -> str:
    """Esri's client, signed in at ArcGIS Online's like, under this name."""
    url = plain_site.over_tls().site_url("agol")
    esri.call("sign_in", name="online", url=url, **ACCOUNT)
    return "online"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for the state of jobs more often than at work."""
    quick = Pace(first=0.01, longest=0.1, patience=30, cancel_patience=30)
    monkeypatch.setattr(arcgis_cache, "Pace", lambda: quick)


def service_of(key: str, name: str) -> Service:
    return next(s for s in profile(key).services if s.name == name)


def scales_of(key: str, name: str) -> list[float]:
    scheme = service_of(key, name).scheme
    assert scheme is not None
    return [lod.scale for lod in scheme.lods]


def covered(key: str, name: str, level: int, area: Any) -> set[tuple[int, int]]:
    """The tiles that an area touches, each tried with shapely."""
    service = service_of(key, name)
    lod = service.scheme.lod(level) if service.scheme else None
    assert lod is not None
    return set(tiles_of(service, lod, area))


def on_disk(site: RunningSite, key: str, name: str, level: int) -> dict[Any, Any]:
    return site.read_cache(key, name).get(level, {})


def plugin_update(address: str, sign_in: Any, level: int, mode: UpdateMode, **more: Any) -> None:
    cache = open_cache(address, sign_in)
    scheme = cache.describe().scheme
    request = UpdateRequest(scheme, (scheme.level(level),), mode, **more)
    assert cache.update(request, Recorder().feedback).outcome is Outcome.DONE


# --- signing in ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "is_online"), [("portal", False), ("agol", True)])
def test_signs_in_at_a_portal(
    esri: EsriClient, site: RunningSite, key: str, is_online: bool
) -> None:
    answer = esri.call("sign_in", name="x", url=site.site_url(key), **ACCOUNT)
    assert answer == {"user": PUBLISHER.name, "is_online": is_online, "way": "BUILTIN"}


def test_signs_in_by_the_portals_token_service(esri: EsriClient, site: RunningSite) -> None:
    url = site.site_url("portal")
    answer = esri.call("sign_in", name="x", url=url, use_gen_token=True, **ACCOUNT)
    assert answer["user"] == PUBLISHER.name


def test_signs_in_with_an_api_key(esri: EsriClient, site: RunningSite) -> None:
    esri.call("sign_in", name="x", url=site.site_url("agol"), token=API_KEY)
    address = site.service_url("online", "Private_Tiles")
    assert esri.call("scales", name="x", url=address) == scales_of("online", "Private_Tiles")


def test_signs_in_as_an_application(esri: EsriClient, site: RunningSite) -> None:
    name, word = OAUTH_CLIENT
    how = {"client_id": name, "client_secret": word}
    answer = esri.call("sign_in", name="x", url=site.site_url("agol"), **how)
    assert answer["way"] == "OAUTH"
    address = site.service_url("online", "Private_Tiles")
    assert esri.call("scales", name="x", url=address) == scales_of("online", "Private_Tiles")


def test_a_wrong_password_is_refused(esri: EsriClient, site: RunningSite) -> None:
    wrong = {**ACCOUNT, "password": "guess"}
    with pytest.raises(CallFailed):
        esri.call("sign_in", name="x", url=site.site_url("portal"), **wrong)


@pytest.mark.parametrize("key", ["classic", "secured", "v103", "v111"])
def test_signs_in_at_a_server_that_stands_alone(
    esri: EsriClient, site: RunningSite, key: str
) -> None:
    answer = esri.call("connect", name="x", url=site.site_url(key), **ACCOUNT)
    assert answer["way"] == "BUILTIN"
    listed = esri.call("read", name="x", url=f"{site.services_url(key)}/System")["services"]
    assert {"name": f"System/{tools_of(key)}", "type": "GPServer"} in listed


def tools_of(key: str) -> str:
    tasks = profile(key).tasks
    assert tasks is not None
    return tasks.folders[0]


def test_exchanges_the_portals_token_for_one_of_the_server(
    esri: EsriClient, site: RunningSite
) -> None:
    url = site.site_url("portal")
    esri.call("sign_in", name="x", url=url, use_gen_token=True, **ACCOUNT)
    esri.call("connect_by_portal", name="y", url=site.site_url("federated"), portal="x")
    listed = esri.call("read", name="y", url=f"{site.services_url('federated')}/System")
    assert {"name": "System/CachingControllers", "type": "GPServer"} in listed["services"]


def test_shows_the_portals_token_to_the_server_as_it_is(
    esri: EsriClient, site: RunningSite, portal: str
) -> None:
    address = site.service_url("federated", "World")
    assert esri.call("scales", name=portal, url=address) == scales_of("federated", "World")


def test_signs_in_at_a_web_server(esri: EsriClient, site: RunningSite) -> None:
    answer = esri.call("connect", name="x", url=site.site_url("webtier"), **ACCOUNT)
    assert answer["way"] == "BASIC_REALM"
    assert "System" in esri.call("read", name="x", url=site.services_url("webtier"))["folders"]


def test_lists_services_by_the_administration(esri: EsriClient, site: RunningSite) -> None:
    found = esri.call("services", url=site.site_url("classic"), **ACCOUNT)
    assert f"{site.site_url('classic')}/admin/services/World.MapServer" in found


def test_finds_services_in_a_portal(esri: EsriClient, site: RunningSite, portal: str) -> None:
    found = esri.call("search", name=portal, query='type:"Image Service"')
    assert found == [["Imagery", "Image Service", service_url(site, "Imagery")]]


def service_url(site: RunningSite, name: str) -> str:
    return site.service_url("federated", name, service_of("federated", name).kind)


# --- scales -------------------------------------------------------------------------------------

# site, service, who has signed in there
SCALES = [
    ("classic", "World"),
    ("secured", "World"),
    ("fedportal", "World"),
    ("online", "World_Tiles"),
    ("online", "Relief_Tiles"),
]


@pytest.mark.parametrize(("key", "name"), SCALES)
def test_reads_the_same_scales_as_the_plugin(
    esri: EsriClient, site: RunningSite, plain_site: RunningSite, key: str, name: str
) -> None:
    kind = service_of(key, name).kind
    if profile(key).portal:
        esri.call("sign_in", name="x", url=site.portal_url(key), **ACCOUNT)
        sign_in = Credentials(PUBLISHER.name, PUBLISHER.password, plain_site.portal_url(key))
    else:
        esri.call("connect", name="x", url=site.site_url(key), **ACCOUNT)
        sign_in = Credentials(PUBLISHER.name, PUBLISHER.password)
    theirs = esri.call("scales", name="x", url=site.service_url(key, name, kind))
    ours = open_cache(plain_site.service_url(key, name, kind), sign_in).describe().scheme
    assert theirs == [level.scale for level in ours.levels] == scales_of(key, name)


# --- caches of a server -------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["esri", "plugin"])
def test_makes_the_tiles_of_an_area(
    request: pytest.FixtureRequest, site: RunningSite, plain_site: RunningSite, who: str
) -> None:
    if who == "esri":
        report = request.getfixturevalue("esri").call(
            "cache",
            name=request.getfixturevalue("portal"),
            url=site.service_url("fedportal", "World"),
            method="build_cache",
            levels=[scales_of("fedportal", "World")[LEVEL]],
            rings=[list(AREA.exterior.coords)],
        )
        counts = {info["levelID"]: info["tileCount"] for info in report["lodInfos"]}
        assert counts[LEVEL] == len(covered("fedportal", "World", LEVEL, AREA))
    else:
        sign_in = Credentials(
            PUBLISHER.name, PUBLISHER.password, plain_site.portal_url("fedportal")
        )
        address = plain_site.service_url("fedportal", "World")
        plugin_update(address, sign_in, LEVEL, UpdateMode.RECREATE_ALL, area=AREA)
    made = set(on_disk(site, "fedportal", "World", LEVEL))
    assert made == covered("fedportal", "World", LEVEL, AREA)


@pytest.mark.parametrize("mode", ["RECREATE_ALL_TILES", "RECREATE_EMPTY_TILES", "DELETE_TILES"])
def test_updates_by_extent_in_every_mode(
    esri: EsriClient, site: RunningSite, portal: str, mode: str
) -> None:
    site.fill("fedportal", "World:MapServer", [2], extent="1 1 20037507 19971868")
    site.set_revision("fedportal", 2)
    before = on_disk(site, "fedportal", "World", 2)
    north = {(row, col) for row in range(2) for col in range(4)}
    assert set(before) == {(row, col) for row, col in north if col >= 2}
    esri.call(
        "cache",
        name=portal,
        url=site.service_url("fedportal", "World"),
        method="update_tiles",
        levels=str(scales_of("fedportal", "World")[2]),
        extent="-20037507,1,20037507,19971868",
        update_mode=mode,
    )
    after = on_disk(site, "fedportal", "World", 2)
    assert set(after) == (set() if mode == "DELETE_TILES" else north)
    kept = {tile for tile in before if after.get(tile) == before[tile]}
    assert kept == (set(before) if mode == "RECREATE_EMPTY_TILES" else set())


def test_a_failed_job_is_told_as_one(esri: EsriClient, site: RunningSite, portal: str) -> None:
    site.fail_next("fedportal", "All server contexts failed.")
    with pytest.raises(CallFailed, match=r"(?i)fail"):
        esri.call(
            "cache",
            name=portal,
            url=site.service_url("fedportal", "World"),
            method="build_cache",
            levels=[scales_of("fedportal", "World")[1]],
        )
    assert [job["jobStatus"] for job in site.jobs("fedportal")] == ["esriJobFailed"]


def test_reads_the_definition_of_a_service(
    esri: EsriClient, site: RunningSite, portal: str
) -> None:
    url = site.service_url("fedportal", "World")
    definition = esri.call("resource", name=portal, url=url)
    assert definition["properties"]["isCached"] == "true"


def test_finds_jobs_again(esri: EsriClient, site: RunningSite) -> None:
    for _ in range(12):  # more than a page
        site.fill("classic", "World:MapServer", [0])
    esri.call("connect", name="x", url=site.site_url("classic"), **ACCOUNT)
    url = f"{site.site_url('classic')}/{JOBS}"
    ids = [f"{url}/{job['jobId']}" for job in site.jobs("classic")]
    assert esri.call("jobs", name="x", url=url) == ids
    assert esri.call("jobs", name="x", url=url, status="esriJobFailed") == []


# --- hosted layers ------------------------------------------------------------------------------


def corner(site: RunningSite) -> str:
    return site.service_url("online", "Corner_Tiles")


def wait_for(esri: EsriClient, site: RunningSite, job_id: str) -> dict[str, Any]:
    """Follow a job as Esri's client does: by asking for its statistics."""
    while True:
        job: dict[str, Any] = esri.call(
            "hosted", name="online", url=corner(site), method="job_statistics", job_id=job_id
        )
        if job["jobStatus"] not in {"SUBMITTED", "INPROGRESS"}:
            return job


def start(esri: EsriClient, site: RunningSite, method: str, **values: Any) -> str:
    answer = esri.call("hosted", name="online", url=corner(site), method=method, **values)
    assert answer["status"] == "Success"
    return str(answer["jobId"])


@pytest.mark.parametrize("who", ["esri", "plugin"])
def test_makes_tiles_of_a_hosted_layer(
    request: pytest.FixtureRequest, site: RunningSite, plain_site: RunningSite, who: str
) -> None:
    if who == "esri":
        esri = request.getfixturevalue("esri")
        request.getfixturevalue("online")
        job = wait_for(esri, site, start(esri, site, "update_tiles", levels=[8]))
        assert (job["jobStatus"], job["numTiles"]) == ("DONE", len(CORNER))
    else:
        address = plain_site.service_url("online", "Corner_Tiles")
        plugin_update(address, FixedToken(API_KEY), 8, UpdateMode.RECREATE_ALL)
    assert set(on_disk(site, "online", "Corner_Tiles", 8)) == CORNER


@pytest.mark.parametrize("replaces", [False, True])
@pytest.mark.parametrize("who", ["esri", "plugin"])
def test_merges_tiles_into_a_hosted_layer(
    request: pytest.FixtureRequest,
    site: RunningSite,
    plain_site: RunningSite,
    who: str,
    replaces: bool,
) -> None:
    esri = request.getfixturevalue("esri")
    request.getfixturevalue("online")
    wait_for(esri, site, start(esri, site, "update_tiles", levels=[8], extent=SMALL))
    before = on_disk(site, "online", "Corner_Tiles", 8)
    assert len(before) == 4
    site.set_revision("online", 2)
    if who == "esri":
        how = {"levels": "8", "merge": True, "replace": replaces}
        wait_for(esri, site, start(esri, site, "update_tiles", **how))
    else:
        plugin_update(
            plain_site.service_url("online", "Corner_Tiles"),
            FixedToken(API_KEY),
            8,
            UpdateMode.RECREATE_ALL,
            hosted=HostedOptions(merges_bundles=True, replaces_tiles=replaces),
        )
    after = on_disk(site, "online", "Corner_Tiles", 8)
    assert set(after) == CORNER
    assert all((after[tile] != before[tile]) == replaces for tile in before)


@pytest.mark.parametrize("who", ["esri", "plugin"])
def test_deletes_tiles_of_a_hosted_layer(
    request: pytest.FixtureRequest, site: RunningSite, plain_site: RunningSite, who: str
) -> None:
    esri = request.getfixturevalue("esri")
    request.getfixturevalue("online")
    wait_for(esri, site, start(esri, site, "update_tiles", levels=[8]))
    if who == "esri":
        wait_for(esri, site, start(esri, site, "delete_tiles", levels="8", extent=SMALL))
    else:
        plugin_update(
            plain_site.service_url("online", "Corner_Tiles"),
            FixedToken(API_KEY),
            8,
            UpdateMode.DELETE,
            area=box(1, -3e5, 3e5, -1),
        )
    gone = {(r, c) for r, c in CORNER if r >= BUNDLE_SIDE and c >= BUNDLE_SIDE}
    assert set(on_disk(site, "online", "Corner_Tiles", 8)) == CORNER - gone


def test_imports_a_package_into_a_hosted_layer(
    esri: EsriClient, site: RunningSite, online: str, tmp_path: Path
) -> None:
    wait_for(esri, site, start(esri, site, "update_tiles", levels=[8]))
    made = on_disk(site, "online", "Corner_Tiles", 8)
    folder = site.cache_folder("online", "Corner_Tiles")
    packed = shutil.make_archive(str(tmp_path / "package"), "zip", folder)
    shutil.move(packed, site.server_share("online") / f"{ITEM}.tpk")
    wait_for(esri, site, start(esri, site, "delete_tiles", levels="8"))
    assert on_disk(site, "online", "Corner_Tiles", 8) == {}
    job_id = start(esri, site, "import_tiles", item=ITEM, levels="8")
    assert wait_for(esri, site, job_id)["jobStatus"] == "DONE"
    back = on_disk(site, "online", "Corner_Tiles", 8)
    assert {tile: stored.sha1 for tile, stored in back.items()} == {
        tile: stored.sha1 for tile, stored in made.items()
    }


def test_cancels_and_reruns_a_hosted_job(esri: EsriClient, site: RunningSite, online: str) -> None:
    site.pause_after("online", 20)
    job_id = start(esri, site, "update_tiles", levels=[8])
    site.wait_until_paused("online")
    asked = {"name": online, "url": corner(site), "job_id": job_id}
    assert esri.call("hosted", method="cancel_job", **asked) == {"success": True}
    assert wait_for(esri, site, job_id)["jobStatus"] == "CANCELED"
    refused = esri.call("hosted", method="cancel_job", **asked)
    assert refused["error"]["message"] == "Unable to cancel job."
    site.release("online")
    rerun = esri.call("hosted", method="rerun_job", code="canceled", **asked)
    assert rerun == {"success": True}
    assert wait_for(esri, site, job_id)["jobStatus"] == "DONE"
    assert set(on_disk(site, "online", "Corner_Tiles", 8)) == CORNER


def test_lists_the_jobs_of_a_hosted_layer(esri: EsriClient, site: RunningSite, online: str) -> None:
    ids = [start(esri, site, "update_tiles", levels=[level]) for level in (4, 5)]
    ids.append(start(esri, site, "delete_tiles", levels="4"))
    for job_id in ids:
        wait_for(esri, site, job_id)
    listed = esri.call("hosted", name=online, url=corner(site), method="jobs")
    assert listed["total"] == 3
    assert [job["id"] for job in listed["jobs"]] == ids
    assert [job["type"] for job in listed["jobs"]] == ["UpdateTiles", "UpdateTiles", "DeleteTiles"]


def test_reads_how_full_the_levels_of_a_hosted_layer_are(
    esri: EsriClient, site: RunningSite, online: str
) -> None:
    wait_for(esri, site, start(esri, site, "update_tiles", levels=[8]))
    levels = esri.call("resource", name=online, url=corner(site))["lodInfos"]
    full = [info["levelID"] for info in levels if info["status"].lower() in {"complete"}]
    assert full == [8]


@pytest.mark.parametrize(
    ("method", "values", "answer"),
    [
        ("status", {}, {"name": "Corner_Tiles", "status": "Started"}),
        ("refresh", {}, {"success": True}),
        (
            "edit_tile_service",
            {"service_definition": {"cacheOnDemand": False}, "export_tiles_allowed": False},
            {"success": True},
        ),
    ],
)
def test_looks_after_a_hosted_layer(
    esri: EsriClient,
    site: RunningSite,
    online: str,
    method: str,
    values: dict[str, Any],
    answer: dict[str, Any],
) -> None:
    told = esri.call("hosted", name=online, url=corner(site), method=method, **values)
    assert told == answer


def test_manages_hosted_imagery(esri: EsriClient, site: RunningSite, online: str) -> None:
    url = site.service_url("online", "Relief_Tiles", "ImageServer")
    asked = {"name": online, "url": url}
    extent = {"xmin": 1.0, "ymin": -3e5, "xmax": 3e5, "ymax": -1.0}
    made = esri.call("imagery", method="update_tiles", levels=[8], extent=extent, **asked)
    job = {"job_id": made["jobId"], **asked}
    while esri.call("imagery", method="job_status", **job)["jobStatus"] != "DONE":
        pass
    assert esri.call("imagery", method="job_statistics", **job)["numTiles"] == 4
    assert len(on_disk(site, "online", "Relief_Tiles", 8)) == 4
    assert [job["id"] for job in esri.call("imagery", method="jobs", **asked)] == [made["jobId"]]
    again = esri.call("imagery", method="rerun_job", code="ALL", **job)
    assert again == {"success": True}
    assert esri.call("imagery", method="refresh", **asked) is True
    deleted = esri.call("imagery", method="delete_tiles", levels="8", **asked)
    job["job_id"] = deleted["jobId"]
    while esri.call("imagery", method="job_status", **job)["jobStatus"] != "DONE":
        pass
