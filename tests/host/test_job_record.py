"""Keeping updates on sites in the profile's record, from tasks and algorithms."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from qgis.core import QgsApplication
from scripted_jobs import an_update, in_state

from tile_cache_manager.plugin.core.errors import FollowedElsewhere
from tile_cache_manager.plugin.core.site_update import PartState
from tile_cache_manager.plugin.host import job_record

pytestmark = pytest.mark.usefixtures("qgis_app")
RUNNING, DONE = PartState.RUNNING, PartState.DONE


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "profile" / "jobs.json"
    monkeypatch.setattr(job_record, "record_path", lambda: path)
    return path


def test_it_lies_in_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    profile = Path(QgsApplication.qgisSettingsDirPath())
    assert job_record.record_path() == profile / "tile_cache_manager" / "jobs.json"


def test_what_is_kept_is_written_and_told() -> None:
    told: list[tuple[str, object]] = []
    news = job_record.news()
    news.kept.connect(lambda update, sign_in: told.append((sign_in, update.state)))
    news.begun.connect(lambda key: told.append(("begun", key)))
    news.ended.connect(lambda key: told.append(("ended", key)))
    update = an_update("World", RUNNING)
    with job_record.keep_in_record("abc1234") as keep:
        keep(update)
        keep(in_state(update, DONE))
    (kept,) = job_record.record().all()
    assert (kept.auth_config_id, kept.update.state) == ("abc1234", DONE)
    assert keep.update == kept.update
    assert told == [
        ("begun", "World"), ("abc1234", RUNNING), ("abc1234", DONE), ("ended", "World"),
    ]  # fmt: skip
    news.disconnect()


def test_who_only_looks_is_told_of_as_no_follower() -> None:
    told: list[str] = []
    news = job_record.news()
    news.begun.connect(told.append)
    news.ended.connect(told.append)
    with job_record.Keeping("", is_look=True) as keep:
        keep.hold("World")
        keep(an_update("World", RUNNING))
    assert told == []
    assert len(job_record.record().all()) == 1
    news.disconnect()


def test_nobody_else_follows_it_meanwhile() -> None:
    with job_record.keep_in_record() as keep:
        keep(an_update("World", RUNNING))
        with pytest.raises(FollowedElsewhere), job_record.keep_in_record() as other:
            other.hold("World")
    with job_record.keep_in_record() as other:
        other.hold("World")


def test_a_wish_waits_for_who_just_looks(wait_until: Callable) -> None:
    held, go_on = threading.Event(), threading.Event()

    def look() -> None:
        with job_record.Keeping("", is_look=True) as keep:
            keep.hold("World")
            held.set()
            go_on.wait(20)

    looking = threading.Thread(target=look)
    looking.start()
    assert held.wait(20)
    threading.Timer(0.3, go_on.set).start()
    with job_record.keep_in_record() as keep:
        keep.hold("World", 20)
        assert go_on.is_set()
    looking.join(20)


def test_a_wish_that_is_taken_back_waits_no_longer() -> None:
    with job_record.keep_in_record() as keep:
        keep.hold("World")
        with pytest.raises(FollowedElsewhere), job_record.keep_in_record() as other:
            other.hold("World", 60, lambda: True)


OTHER_PROCESS = """
import importlib.util, sys
from pathlib import Path
root, path = Path(sys.argv[1]), Path(sys.argv[2])
spec = importlib.util.spec_from_file_location(
    "tile_cache_manager", root / "__init__.py", submodule_search_locations=[str(root)]
)
module = sys.modules["tile_cache_manager"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
from tile_cache_manager.plugin.core.jobs import JobRecord
with JobRecord(path).hold("World"):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_another_process_keeps_it_to_itself(path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, str(root), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline() == "held\n"
    with pytest.raises(FollowedElsewhere), job_record.keep_in_record() as keep:
        keep.hold("World")
    other.communicate("\n", timeout=20)
    with job_record.keep_in_record() as keep:
        keep.hold("World")


def test_a_record_that_cannot_be_written_is_logged_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.parent.mkdir()
    path.mkdir()  # a folder in its place
    logged: list[str] = []
    monkeypatch.setattr(job_record.messages, "log", lambda text, *_: logged.append(text))
    with job_record.keep_in_record() as keep:
        keep(an_update("World", RUNNING))
        keep(an_update("World", DONE))
    assert len(logged) == 1
    assert keep.update.state is DONE
