"""A user of a site who speaks plain HTTP: for tests of the stand-in site itself."""

from __future__ import annotations

import time
from typing import Any

import requests

from .handle import PUBLISHER, Account, RunningSite

TASK = "System/CachingControllers/GPServer/Manage Map Cache Tiles"
OLD_TASK = "System/CachingTools/GPServer/Manage Map Cache Tiles"
REFERER = "http://localhost/tile-cache-tests"
SCALES = [591657527.591555 / 2**level for level in range(9)]
_ENDED = {"esriJobSucceeded", "esriJobFailed", "esriJobCancelled"}


class Client:
    """A user at one site: signs in where the site wants it, and speaks JSON."""

    def __init__(self, site: RunningSite, key: str, account: Account | None = PUBLISHER) -> None:
        self.site = site
        self.key = key
        self.session = requests.Session()
        self.session.headers["Referer"] = REFERER
        self.token = ""
        if account:
            self.token = self.sign_in(account)

    def sign_in(self, account: Account, **form: str) -> str:
        info = self.get(f"{self.site.site_url(self.key)}/rest/info")
        address = info.get("authInfo", {}).get("tokenServicesUrl")
        if not address:
            return ""
        filled = {
            "username": account.name,
            "password": account.password,
            "client": "referer",
            "referer": REFERER,
            "f": "json",
            **form,
        }
        return str(self.session.post(address, data=filled, timeout=10).json()["token"])

    def get(self, address: str, **query: Any) -> Any:
        if "://" not in address:
            address = f"{self.site.services_url(self.key)}/{address}"
        if self.token:
            query.setdefault("token", self.token)
        answer = self.session.get(address, params={"f": "json", **query}, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def submit(self, task: str = TASK, **form: Any) -> dict[str, Any]:
        data = {
            "service_url": "World:MapServer",
            "levels": f"{SCALES[2]}",
            "thread_count": "-1",
            "update_mode": "RECREATE_ALL_TILES",
            "f": "json",
            "token": self.token,
            **form,
        }
        address = f"{self.site.services_url(self.key)}/{task}/submitJob"
        answer: dict[str, Any] = self.session.post(address, data=data, timeout=10).json()
        return answer

    def job(self, job_id: str, task: str = TASK) -> Any:
        return self.get(f"{task}/jobs/{job_id}")

    def run(self, task: str = TASK, **form: Any) -> Any:
        """Submit, follow the job to its end, and return it."""
        job_id = self.submit(task, **form)["jobId"]
        return self.follow(job_id, task)

    def follow(self, job_id: str, task: str = TASK) -> Any:
        deadline = time.monotonic() + 30
        while (job := self.job(job_id, task))["jobStatus"] not in _ENDED:
            assert time.monotonic() < deadline, job
            time.sleep(0.02)
        return job
