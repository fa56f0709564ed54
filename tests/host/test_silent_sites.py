"""Work on a site that takes connections and then keeps silent: QGIS can end all the same."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted_jobs import an_update

from tile_cache_manager.plugin.core.arcgis.connections import UNWANTED_SECONDS
from tile_cache_manager.plugin.core.jobs import JobRecord, RecordedUpdate
from tile_cache_manager.plugin.core.site_update import PartState
from tile_cache_manager.plugin.host import job_record, job_tasks, site_tree, tasks

pytestmark = pytest.mark.usefixtures("qgis_app")

SOON_SECONDS = 8.0
"""Well below what an answer may take: a minute."""


class SilentSite:
    """Takes connections, and says nothing."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._taken: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/arcgis/rest/services"

    @property
    def calls(self) -> int:
        return len(self._taken)

    def close(self) -> None:
        for each in (self._listener, *self._taken):
            each.close()

    def _take(self) -> None:
        while True:
            try:
                self._taken.append(self._listener.accept()[0])
            except OSError:
                return


@pytest.fixture
def silent() -> Iterator[SilentSite]:
    site = SilentSite()
    yield site
    site.close()


@pytest.fixture
def door(silent: SilentSite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """`door(name)`: the way to the site of an update that runs there."""
    path = tmp_path / "jobs.json"
    monkeypatch.setattr(job_record, "record_path", lambda: path)

    def made(name: str) -> job_tasks.Door:
        update = an_update(name, PartState.RUNNING)
        task = f"{silent.url}/System/CachingTools/GPServer/Manage"
        part = replace(update.parts[0], job_url=f"{task}/jobs/j{name}")
        address = f"{silent.url}/{name}/MapServer"
        update = replace(update, address=address, submit_url=task, parts=(part,))
        JobRecord(path).keep(update)
        return job_tasks.door_to(RecordedUpdate(update))

    return made


def end_soon(made: list[tasks.Task], silent: SilentSite, wait_until: Callable) -> None:
    """Cancel the tasks, as QGIS does when it closes, once all of them have asked the site."""
    kept: list[tasks.Task] = []
    for each in made:
        tasks.start(each, kept)
    wait_until(lambda: silent.calls >= len(made), 20, "the questions")
    begun = time.monotonic()
    for each in made:
        each.cancel()
    wait_until(lambda: not kept, 30, "the ends")
    assert time.monotonic() - begun < SOON_SECONDS


def test_looking_is_given_up(door: Any, silent: SilentSite, wait_until: Callable) -> None:
    end_soon([job_tasks.LookTask((door("World"), door("Roads")))], silent, wait_until)


def test_following_is_given_up_and_the_jobs_left_to_the_site(
    door: Any, silent: SilentSite, wait_until: Callable
) -> None:
    made = [job_tasks.CarryOnTask(door(name)) for name in ("World", "Roads", "Rivers")]

    end_soon(made, silent, wait_until)

    states = [each.update.state for each in job_record.record().all()]
    assert states == [PartState.RUNNING] * 3


def test_loading_is_given_up(silent: SilentSite, wait_until: Callable) -> None:
    address = f"{silent.url}/World/MapServer"
    finder = site_tree.make_finder(silent.url, "")
    end_soon([tasks.DescribeTask(address), site_tree.OpenTask(finder)], silent, wait_until)


def test_who_cancels_a_job_waits_for_the_site(
    door: Any, silent: SilentSite, wait_until: Callable
) -> None:
    """A person has asked for it, and the site may be slow: it is not left alone after a moment."""
    kept: list[tasks.Task] = []
    task = job_tasks.CarryOnTask(door("World"))
    tasks.start(task, kept)
    wait_until(lambda: silent.calls, 20, "the question")
    begun = time.monotonic()

    task.stop()

    wait_until(lambda: not kept or time.monotonic() - begun > UNWANTED_SECONDS + 1.5, 20)
    assert kept
    assert silent.calls == 1
    task.cancel()
    wait_until(lambda: not kept, 30, "the end")
