"""A site that keeps silent holds up nobody who is at work on another site."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pytest
from scripted_site import SITE, AnsweringSite, quick_client

from tile_cache_manager.plugin.core.arcgis.address import service_of
from tile_cache_manager.plugin.core.arcgis.caching_jobs import CachingTaskJobs
from tile_cache_manager.plugin.core.errors import SiteError

TASK = "/rest/services/System/CachingTools/GPServer/Manage%20Map%20Cache%20Tiles"
NAMES = ("service_url", "levels", "thread_count", "update_mode", "constraining_extent")


class SilentSite(AnsweringSite):
    """Answers nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__({})
        self.is_asked, self.may_answer = threading.Event(), threading.Event()

    def send(self, request: Any) -> Any:
        self.is_asked.set()
        assert self.may_answer.wait(20)
        return super().send(request)


def jobs_of(site: AnsweringSite) -> CachingTaskJobs:
    service = service_of(f"{SITE}/rest/services/Town/MapServer")
    return CachingTaskJobs(quick_client(site), service, f"{SITE}{TASK}")


def read_of(jobs: CachingTaskJobs, what: str) -> Any:
    """What is read from the site when it is first needed; None where the site has none."""
    with contextlib.suppress(SiteError):
        return getattr(jobs, what)
    return None


@pytest.mark.parametrize("what", ["reporter", "modes"])
def test_a_silent_site_holds_up_no_other(what: str) -> None:
    silent = SilentSite()
    waits = threading.Thread(target=lambda: read_of(jobs_of(silent), what))
    waits.start()
    assert silent.is_asked.wait(20)
    page = {"parameters": [{"name": name} for name in NAMES]}
    others = jobs_of(AnsweringSite({TASK: page}))
    found: list[Any] = []
    answers = threading.Thread(target=lambda: found.append(read_of(others, what)))

    answers.start()
    answers.join(5)
    has_waited = answers.is_alive()

    silent.may_answer.set()
    waits.join(20)
    answers.join(20)
    assert not has_waited
    assert len(found) == 1


def test_the_task_is_read_once() -> None:
    page = {"parameters": [{"name": name} for name in NAMES]}
    site = AnsweringSite({TASK: page})
    jobs = jobs_of(site)

    assert jobs.modes == jobs.modes
    asked = len(site.asked)
    assert jobs.reporter is None
    after = len(site.asked)
    assert jobs.reporter is None
    assert jobs.modes == jobs.modes

    assert asked == 1
    assert len(site.asked) == after
