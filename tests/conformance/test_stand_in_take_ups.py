"""The stand-in's caching jobs that fail, are taken up again, stall, and are found again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from arcgis_server.handle import RunningSite
from arcgis_server.plain_client import SCALES, TASK, Client

LEVEL = 8
CORNER = range(124, 132)
ALL = {(row, col) for row in CORNER for col in CORNER}
SOUTH_EAST = {(row, col) for row, col in ALL if row >= 128 and col >= 128}
SERVICE = "Hosted/City_Tiles:MapServer"
FORM = {"service_url": SERVICE, "levels": str(SCALES[LEVEL])}
JOBS = "/admin/services/System/CachingControllers.GPServer/jobs"


class FederatedClient(Client):
    """A user of the federated site, whose caches lie at a corner of four bundles."""

    def sign_in(self, account: Any, **form: str) -> str:
        token = super().sign_in(account, **form)
        address = f"{self.site.portal_url(self.key)}/sharing/rest/generateToken"
        data = {"token": token, "serverUrl": self.site.site_url(self.key), "f": "json"}
        return str(self.session.post(address, data=data, timeout=10).json()["token"])


@pytest.fixture
def fed(site: RunningSite) -> Iterator[RunningSite]:
    site.reset("federated", "portal")
    yield site
    site.reset("federated", "portal")


@pytest.fixture
def publisher(fed: RunningSite) -> Client:
    return FederatedClient(fed, "federated")


def tiles(site: RunningSite) -> dict[Any, Any]:
    return site.read_cache("federated", "Hosted/City_Tiles").get(LEVEL, {})


def texts(job: Any) -> str:
    return "\n".join(message["description"] for message in job["messages"])


def test_a_bundle_that_fails_ends_the_job(fed: RunningSite, publisher: Client) -> None:
    fed.fail_bundles("federated", SERVICE, LEVEL, [(0, 1)])
    job = publisher.run(**FORM)
    assert job["jobStatus"] == "esriJobFailed"
    assert "All server contexts failed" in texts(job)
    made = set(tiles(fed))
    assert made == {(row, col) for row, col in ALL if row < 128 and col < 128}
    assert fed.jobs("federated")[0]["failed"] == [[LEVEL, 0, 1]]

    other = {**FORM, "constraining_extent": "-500000 -500000 -10 500000"}  # keeps out of it
    assert publisher.run(**other)["jobStatus"] == "esriJobSucceeded"


def test_a_failed_job_is_fixed_resumed_and_completed(fed: RunningSite, publisher: Client) -> None:
    fed.fail_bundles("federated", SERVICE, LEVEL, [(1, 1)], stops=False)
    fed.pause_after("federated", 30)
    job_id = publisher.submit(**FORM)["jobId"]
    fed.wait_until_paused("federated")
    publisher.get(f"{TASK}/jobs/{job_id}/cancel")
    assert publisher.follow(job_id)["jobStatus"] == "esriJobCancelled"
    first = tiles(fed)
    assert len(first) == 30
    fed.release("federated")
    fed.set_revision("federated", 2)

    resumed = publisher.run(**FORM, update_mode="RESUME_JOB", jobid=job_id)
    assert resumed["jobStatus"] == "esriJobFailed"  # it met the bundle that fails
    assert set(tiles(fed)) == ALL - SOUTH_EAST
    assert {tile: tiles(fed)[tile] for tile in first} == first
    again = publisher.run(**FORM, update_mode="RESUME_JOB", jobid=job_id)
    assert again["jobStatus"] == "esriJobSucceeded"
    assert "created: 0," in texts(again)

    still = publisher.run(**FORM, update_mode="FIX_JOB", jobid=job_id)
    assert still["jobStatus"] == "esriJobFailed"
    fed.fail_bundles("federated", SERVICE, LEVEL, [])
    fixed = publisher.run(**FORM, update_mode="FIX_JOB", jobid=job_id)
    assert f"created: {len(SOUTH_EAST)}," in texts(fixed)
    assert set(tiles(fed)) == ALL
    whole = publisher.run(**FORM, update_mode="COMPLETE_JOB", jobid=job_id)
    assert "created: 0," in texts(whole)


def test_completing_does_what_failed_and_what_was_never_tried(
    fed: RunningSite, publisher: Client
) -> None:
    fed.fail_bundles("federated", SERVICE, LEVEL, [(0, 1)])
    job_id = publisher.run(**FORM)["jobId"]
    fed.fail_bundles("federated", SERVICE, LEVEL, [])
    fixed = publisher.run(**FORM, update_mode="FIX_JOB", jobid=job_id)
    assert "created: 16," in texts(fixed)
    whole = publisher.run(**FORM, update_mode="COMPLETE_JOB", jobid=job_id)
    assert "created: 32," in texts(whole)
    assert set(tiles(fed)) == ALL


def test_a_deletion_is_taken_up_as_one(fed: RunningSite, publisher: Client) -> None:
    publisher.run(**FORM)
    fed.fail_next("federated", "no more", after=10)
    job = publisher.run(**FORM, update_mode="DELETE_TILES")
    assert len(tiles(fed)) == 54
    done = publisher.run(**FORM, update_mode="RESUME_JOB", jobid=job["jobId"])
    assert "deleted: 54." in texts(done)
    assert tiles(fed) == {}


WRONG = {
    "no job": {"jobid": ""},
    "an unknown job": {"jobid": "j0"},
    "another service": {"service_url": "World:MapServer"},
}


@pytest.mark.parametrize("form", WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_taken_up(fed: RunningSite, publisher: Client, form: dict[str, str]) -> None:
    job_id = publisher.run(**FORM)["jobId"]
    asked = {**FORM, "update_mode": "RESUME_JOB", "jobid": job_id, **form}
    assert publisher.run(**asked)["jobStatus"] == "esriJobFailed"


def test_a_stalled_job_goes_on_by_itself(fed: RunningSite, publisher: Client) -> None:
    fed.stall("federated", after=3, seconds=0.3)
    started = time.monotonic()
    assert publisher.run(**FORM)["jobStatus"] == "esriJobSucceeded"
    assert time.monotonic() - started > 0.3


def test_the_report_tells_what_failed_in_a_job(fed: RunningSite, publisher: Client) -> None:
    fed.fail_bundles("federated", SERVICE, LEVEL, [(1, 0), (1, 1)], stops=False)
    job_id = publisher.run(**FORM)["jobId"]
    path = "System/ReportingTools/GPServer/ReportCacheStatus/execute"
    value = publisher.get(path, service_url=SERVICE, job_id=job_id)["results"][0]["value"]
    assert (value["jobStatus"], value["errorCount"]) == ("esriJobFailed", 2)
    assert [(e["levelID"], e["row"], e["column"]) for e in value["errors"]] == [
        (LEVEL, 1, 0),
        (LEVEL, 1, 1),
    ]


def test_an_administrator_finds_jobs_again(fed: RunningSite, publisher: Client) -> None:
    ids = [publisher.run(**FORM)["jobId"] for _ in range(3)]
    jobs = f"{fed.site_url('federated')}{JOBS}"
    assert publisher.get(jobs)["jobs"] == ids
    page = publisher.get(f"{jobs}/query", start=1, number=2, status="esriJobSucceeded")
    assert (list(page["results"]), page["nextStart"]) == (ids[:2], 3)
    page = publisher.get(f"{jobs}/query", start=3, number=2)
    assert (list(page["results"]), page["nextStart"]) == (ids[2:], -1)
    assert page["results"][ids[2]]["inputs"]["service_url"] == SERVICE
    assert publisher.get(f"{jobs}/query", status="esriJobFailed")["results"] == {}
    assert publisher.get(f"{jobs}/{ids[0]}")["jobStatus"] == "esriJobSucceeded"
    publisher.token = ""
    assert publisher.get(jobs)["error"]["code"] == 499


@pytest.mark.parametrize(
    ("key", "present", "absent"),
    [("v103", "CachingTools", "CachingToolsEx"), ("v111", "CachingToolsEx", "CachingControllers")],
)
def test_versions_have_different_services(
    site: RunningSite, key: str, present: str, absent: str
) -> None:
    client = Client(site, key)
    task = f"System/{present}/GPServer/Manage Map Cache Tiles"
    assert client.get(f"System/{absent}/GPServer")["error"]["code"] == 404
    assert client.run(task, levels=str(SCALES[1]))["jobStatus"] == "esriJobSucceeded"
    assert set(site.read_cache(key, "World")[1]) == {(0, 0), (0, 1), (1, 0), (1, 1)}
    site.reset(key)
