"""The stand-in site as a process: it starts, paces its jobs, and ends with who started it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import arcgis_server
import pytest
import requests
from arcgis_server.handle import ControlFailed, RunningSite, running_site
from arcgis_server.plain_client import SCALES, Client

PACKAGES = Path(arcgis_server.__file__).parents[1]


@pytest.fixture(scope="module")
def plain_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    with running_site(tmp_path_factory.mktemp("plain"), drawing="plain") as running:
        yield running


def start(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "arcgis_server", "--folder", str(folder), *options]
    return subprocess.Popen(
        [*command, "--drawing", "plain"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(PACKAGES), "PATH": "/usr/bin:/bin"},
    )


def answers(process: subprocess.Popen[bytes]) -> bool:
    assert process.stdout is not None
    url = json.loads(process.stdout.readline())["url"]
    return requests.get(f"{url}/arcgis/rest/info?f=json", timeout=10).ok


def test_it_ends_when_its_standard_input_closes(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        assert answers(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=10) == 0


def test_told_to_stay_it_ends_on_a_signal_also_with_a_job_at_work(tmp_path: Path) -> None:
    with start(tmp_path, "--stay", "--tiles-per-second", "1") as process:
        assert process.stdin is not None
        process.stdin.close()
        assert answers(process)
        process.terminate()
        assert process.wait(timeout=10) == 0


def test_the_handle_ends_what_it_started(tmp_path: Path) -> None:
    with running_site(tmp_path, tiles_per_second=1, drawing="plain") as running:
        client = Client(running, "classic")
        assert client.submit()["jobStatus"] == "esriJobSubmitted"
    with pytest.raises(requests.ConnectionError):
        requests.get(running.url, timeout=5)


def test_plain_tiles_are_all_unlike_and_change_with_the_revision(plain_site: RunningSite) -> None:
    seen: set[str] = set()
    for revision in (1, 2):
        plain_site.set_revision("wkt", revision)
        plain_site.fill("wkt", "Europe:MapServer", range(5))
        levels = plain_site.read_cache("wkt", "Europe")
        digests = [tile.sha1 for tiles in levels.values() for tile in tiles.values()]
        assert len(digests) > 500
        assert seen.isdisjoint(digests)
        assert len(set(digests)) == len(digests)
        seen.update(digests)


def test_jobs_keep_the_pace_that_is_set(plain_site: RunningSite) -> None:
    plain_site.reset("classic")
    plain_site.set_speed("classic", 40)
    began = time.monotonic()
    plain_site.fill("classic", "World:MapServer", [2])
    took = time.monotonic() - began
    assert took > 0.15  # 16 tiles at 40 a second, less what it may catch up
    plain_site.set_speed("classic", None)


def test_two_jobs_on_one_service_lose_no_tile(plain_site: RunningSite) -> None:
    plain_site.reset("classic")
    client = Client(plain_site, "classic")
    jobs = [client.submit(levels=f"{SCALES[5]}")["jobId"] for _ in range(2)]
    assert [client.follow(job)["jobStatus"] for job in jobs] == ["esriJobSucceeded"] * 2
    assert len(plain_site.read_cache("classic", "World")[5]) == 1024
    counts = plain_site.jobs("classic")
    assert [job["done"] for job in counts] == [1024, 1024]


def test_a_reset_forgets_everything_and_stops_paused_jobs(plain_site: RunningSite) -> None:
    plain_site.reset("classic")
    client = Client(plain_site, "classic")
    plain_site.pause_after("classic", 2)
    client.submit()
    plain_site.wait_until_paused("classic")
    plain_site.set_revision("classic", 5)
    plain_site.reset("classic")
    assert plain_site.jobs("classic") == []
    assert plain_site.submissions("classic") == []
    assert plain_site.read_cache("classic", "World") == {}
    assert client.get("System")["error"]["code"] == 498


def test_control_refuses_what_it_does_not_know(plain_site: RunningSite) -> None:
    for site, action, values in [
        ("classic", "explode", {}),
        ("nowhere", "reset", {}),
        ("classic", "revision", {}),
        ("classic", "fault", {"pattern": "(", "kind": "html"}),
        ("classic", "fault", {"pattern": ".", "kind": "flood"}),
        ("classic", "fill", {"service": "Nowhere:MapServer", "levels": [1]}),
    ]:
        with pytest.raises(ControlFailed):
            plain_site.control(site, action, **values)
