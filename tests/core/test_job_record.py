"""The record of updates on sites: kept whole, shared by processes, never lost to a bad file."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tile_cache_manager.plugin.core.errors import (
    FollowedElsewhere,
    HostileFile,
    StorageError,
    UnknownJob,
)
from tile_cache_manager.plugin.core.jobs import MOST_ENDED, JobRecord, RecordedUpdate
from tile_cache_manager.plugin.core.request import FailedPlace, UpdateMode
from tile_cache_manager.plugin.core.site_update import PartState, SiteUpdate, UpdatePart
from tile_cache_manager.plugin.core.tiling import Level

COARSE, FINE = Level(7, 10.0, 40000.0), Level(8, 5.0, 20000.0)
TASK = "https://maps.example/arcgis/rest/services/System/CachingControllers/GPServer/Manage"
JOB = f"{TASK}/jobs/j1"


def part(state: PartState = PartState.RUNNING, url: str = JOB, **more: Any) -> UpdatePart:
    form = {"service_url": "Town:MapServer", "levels": "40000"}
    return UpdatePart((7,), form, {7: 4}, state, url, **more)


def update(key: str = "k1", *parts: UpdatePart, **more: Any) -> SiteUpdate:
    values: dict[str, Any] = {
        "key": key,
        "address": "https://maps.example/arcgis/rest/services/Town/MapServer",
        "name": "Town",
        "mode": UpdateMode.RECREATE_ALL,
        "levels": (COARSE, FINE),
        "submit_url": TASK,
        "parts": parts or (part(),),
        "started": 1_700_000_000.5,
        "changed": 1_700_000_100.25,
        **more,
    }
    return SiteUpdate(**values)


FULL = update(
    "full",
    part(PartState.FAILED, detail="All server contexts failed", asked_at=5.5, is_split=True),
    part(
        PartState.PARTIAL,
        f"{TASK}/jobs/j2",
        earlier_jobs=(f"{TASK}/jobs/j0", f"{TASK}/jobs/j1"),
        is_rest_unknown=True,
    ),
    part(PartState.WAITING, ""),
    is_hosted=True,
    percent=41.5,
    before={7: 3, 8: 12},
    isolates_failures=True,
    alarm_seconds=90.0,
    failed_places=(FailedPlace(FINE, 1, 2, 3, 4, "“no” <b>"),),
    output_url="https://maps.example/arcgis/rest/services/Town/MapServer",
    portal_url="https://portal.example/portal",
)


@pytest.fixture
def record(tmp_path: Path) -> JobRecord:
    return JobRecord(tmp_path / "profile" / "jobs.json")


def file_of(record: JobRecord) -> Path:
    return record._path


@pytest.mark.parametrize("kept", [update(), FULL], ids=["small", "full"])
def test_what_is_kept_is_found(record: JobRecord, kept: SiteUpdate) -> None:
    record.keep(kept, "abc1234")

    (found,) = JobRecord(file_of(record)).all()

    assert found == RecordedUpdate(kept, "abc1234")


def test_an_update_is_found_by_the_jobs_that_others_were_taken_up_from(record: JobRecord) -> None:
    record.keep(FULL)

    for job in ("j0", "j1", "j2"):
        assert record.find(f"{TASK}/jobs/{job}").update == FULL


def test_there_is_nothing_at_first(record: JobRecord) -> None:
    assert record.all() == ()
    with pytest.raises(UnknownJob):
        record.find("k1")
    record.remove("k1")


def test_keeping_replaces_and_the_newest_stand_first(record: JobRecord) -> None:
    for key, started in (("a", 1.0), ("b", 3.0), ("c", 2.0)):
        record.keep(update(key, started=started))
    record.keep(update("a", part(PartState.DONE), started=1.0))

    found = record.all()

    assert [each.update.key for each in found] == ["b", "c", "a"]
    assert found[2].update.state is PartState.DONE
    record.remove("b")
    assert [each.update.key for each in record.all()] == ["c", "a"]


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("k1", True),
        (JOB, True),
        (f" {JOB}/?f=json&token=abc ", True),
        (f"{JOB}#x", True),
        (f"{TASK}/jobs/j", False),
        ("", False),
        ("k", False),
    ],
)
def test_finding(record: JobRecord, address: str, found: bool) -> None:
    record.keep(update())

    if found:
        assert record.find(address).update.key == "k1"
        return
    with pytest.raises(UnknownJob) as caught:
        record.find(address)
    assert "token" not in str(caught.value)


def test_no_query_gets_into_the_file(record: JobRecord) -> None:
    kept = update(
        "k",
        part(url=f"{JOB}?token=s3cret"),
        address="https://maps.example/arcgis/rest/services/Town/MapServer?token=s3cret",
        submit_url=f"{TASK}?token=s3cret",
        output_url="https://maps.example/x?token=s3cret#s3cret",
    )

    record.keep(kept)

    assert "s3cret" not in file_of(record).read_text(encoding="utf-8")
    assert record.find(JOB).update.key == "k"


# --- bad files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    ["", "no JSON", "[]", "{}", '{"updates": 5}', '{"updates": [5]}', "[" * 100_000, "\xff\x00"],
    ids=["empty", "text", "list", "object", "number", "numbers", "deep", "bytes"],
)
def test_a_damaged_file_is_set_aside(record: JobRecord, content: str) -> None:
    file = file_of(record)
    file.parent.mkdir()
    file.write_bytes(content.encode("latin-1"))

    assert record.all() == ()
    record.keep(update())

    assert [each.update.key for each in record.all()] == ["k1"]
    aside = file.with_name("jobs.json.damaged")
    assert aside.read_bytes() == content.encode("latin-1")


def damaged_entries() -> list[Any]:
    good = {"version": 1, "auth_config_id": "", "update": {}}
    return [
        {},
        good,
        {**good, "update": None},
        {**good, "update": {"key": 5}},
        {**good, "update": {"key": "x", "parts": "no"}},
    ]


def test_damaged_entries_hide_no_others(record: JobRecord) -> None:
    record.keep(update())
    content = json.loads(file_of(record).read_text(encoding="utf-8"))
    content["updates"] += damaged_entries()
    file_of(record).write_text(json.dumps(content), encoding="utf-8")

    assert [each.update.key for each in record.all()] == ["k1"]


BAD_VALUES = [
    ("mode", "NO_SUCH_MODE"),
    ("levels", None),
    ("levels", [{"id": 1}]),
    ("started", "NaN"),
    ("started", None),
    ("address", "file:///etc/passwd"),
    ("submit_url", "javascript:alert(1)"),
    ("parts", [{"levels": [7], "form": {"a": 5}, "state": "running", "job_url": ""}]),
    ("parts", [{"levels": [7], "form": {}, "state": "no such", "job_url": ""}]),
    ("parts", [{"levels": [7], "form": {}, "state": "running", "job_url": "file:///x"}]),
]


@pytest.mark.parametrize(("key", "value"), BAD_VALUES)
def test_an_entry_with_a_bad_value_is_left_out(record: JobRecord, key: str, value: Any) -> None:
    record.keep(update())
    content = json.loads(file_of(record).read_text(encoding="utf-8"))
    content["updates"][0]["update"][key] = value
    file_of(record).write_text(json.dumps(content), encoding="utf-8")

    assert record.all() == ()


def test_entries_of_a_newer_version_are_kept_as_they_are(record: JobRecord) -> None:
    newer = {"version": 2, "update": {"key": "new", "what": [1, {"x": None}]}, "more": "é"}
    content = {"version": 2, "updates": [newer], "extra": {"a": 1}}
    file_of(record).parent.mkdir()
    file_of(record).write_text(json.dumps(content), encoding="utf-8")

    record.keep(update())
    record.remove("k1")

    assert record.all() == ()
    assert json.loads(file_of(record).read_text(encoding="utf-8")) == content


def test_a_file_without_end_is_not_read(record: JobRecord, monkeypatch: Any) -> None:
    from tile_cache_manager.plugin.core import jobs

    record.keep(update("k1", replace(part(), form={"a": "x" * 20_000})))
    monkeypatch.setattr(jobs, "_LARGEST", 10_000)

    assert record.all() == ()
    record.keep(update("k2"))
    assert file_of(record).with_name("jobs.json.damaged").exists()
    assert issubclass(HostileFile, StorageError)


def test_only_so_many_ended_ones_are_kept(record: JobRecord) -> None:
    done = [update(f"d{at}", part(PartState.DONE), started=float(at)) for at in range(3)]
    record.keep(update("runs", started=0.0))
    for each in done:
        record.keep(each)
    content = json.loads(file_of(record).read_text(encoding="utf-8"))
    (like,) = [entry for entry in content["updates"] if entry["update"]["key"] == "d0"]
    for at in range(MOST_ENDED):
        more = json.loads(json.dumps(like))
        more["update"].update(key=f"m{at}", started=100.0 + at)
        content["updates"].append(more)
    file_of(record).write_text(json.dumps(content), encoding="utf-8")

    record.keep(update("runs", started=0.0))

    keys = {each.update.key for each in record.all()}
    assert keys == {"runs", *(f"m{at}" for at in range(MOST_ENDED))}


def test_updates_of_large_areas_do_not_make_the_record_unreadable(
    record: JobRecord, monkeypatch: Any
) -> None:
    from tile_cache_manager.plugin.core import jobs

    monkeypatch.setattr(jobs, "MOST_ENDED_BYTES", 50_000)
    monkeypatch.setattr(jobs, "_LARGEST", 200_000)
    corners = {"area_of_interest": "1234567.125," * 1_000}
    record.keep(update("runs", replace(part(), form=corners), changed=0.0))
    for at in range(40):
        done = replace(part(PartState.DONE), form=corners)
        record.keep(update(f"d{at}", done, started=float(40 - at), changed=float(at)))

    assert {each.update.key for each in record.all()} == {"runs", "d36", "d37", "d38", "d39"}
    assert not file_of(record).with_name("jobs.json.damaged").exists()


def test_the_last_one_that_ended_is_kept_however_large(record: JobRecord, monkeypatch: Any) -> None:
    from tile_cache_manager.plugin.core import jobs

    monkeypatch.setattr(jobs, "MOST_ENDED_BYTES", 1_000)
    record.keep(update("old", part(PartState.DONE), changed=1.0))
    record.keep(update("new", replace(part(PartState.DONE), form={"a": "x" * 2_000}), changed=2.0))

    assert [each.update.key for each in record.all()] == ["new"]


def test_what_would_not_be_read_again_is_not_written(record: JobRecord, monkeypatch: Any) -> None:
    from tile_cache_manager.plugin.core import jobs

    record.keep(update("runs"))
    monkeypatch.setattr(jobs, "_LARGEST", 10_000)

    with pytest.raises(HostileFile):
        record.keep(update("huge", replace(part(), form={"a": "x" * 20_000})))

    assert [each.update.key for each in record.all()] == ["runs"]


def test_a_writer_that_was_killed_leaves_one_file_behind_at_most(record: JobRecord) -> None:
    before = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import os
from plugin.core.storage import files
from plugin.core.jobs import JobRecord
files.sync_file = lambda path: os._exit(9)
JobRecord(Path(sys.argv[2])).remove("x")
"""
    root = Path(__file__).resolve().parents[2]
    record.keep(update())
    for _ in range(3):
        asked = [sys.executable, "-c", before, str(root), str(file_of(record))]
        assert subprocess.run(asked, check=False).returncode == 9

    assert len(list(file_of(record).parent.glob("*part*"))) <= 1
    record.keep(update("k2"))
    assert {each.update.key for each in record.all()} == {"k1", "k2"}
    assert sorted(path.name for path in file_of(record).parent.iterdir() if path.is_file()) == [
        "jobs.json",
        "jobs.json.lock",
    ]


# --- several at once -----------------------------------------------------------------------------


def test_many_who_write_lose_nothing(record: JobRecord) -> None:
    def write(name: int) -> None:
        for at in range(5):
            JobRecord(file_of(record)).keep(update(f"{name}-{at}", started=float(at)))

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(record.all()) == 20


def test_one_is_held_by_one_at_a_time(record: JobRecord) -> None:
    record.keep(update())

    with record.hold("k1"):
        other = JobRecord(file_of(record))
        with pytest.raises(FollowedElsewhere) as caught, other.hold("k1"):
            pytest.fail("held twice")
        with record.hold("other"):
            pass
        record.keep(update("k1", part(PartState.DONE)))

    assert caught.value.job_url == JOB
    with record.hold("k1"):
        pass


HOLDER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from plugin.core.jobs import JobRecord
with JobRecord(Path(sys.argv[2])).hold("k1"):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_one_that_another_process_holds_is_free_once_that_dies(record: JobRecord) -> None:
    record.keep(update())
    root = Path(__file__).resolve().parents[2]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(root), str(file_of(record))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "held"
        with pytest.raises(FollowedElsewhere), record.hold("k1"):
            pytest.fail("held twice")
    finally:
        holder.kill()
        holder.communicate()
    with record.hold("k1"):
        pass


def test_an_error_while_held_is_told(record: JobRecord) -> None:
    with pytest.raises(ZeroDivisionError), record.hold("k1"):
        raise ZeroDivisionError
    with record.hold("k1"):
        pass


def test_removing_leaves_no_lock_behind(record: JobRecord) -> None:
    record.keep(update())
    with record.hold("k1"):
        pass
    locks = file_of(record).with_name("jobs.json.locks")
    assert len(list(locks.iterdir())) == 1

    record.remove("k1")

    assert list(locks.iterdir()) == []


def test_removing_one_that_is_held(record: JobRecord) -> None:
    record.keep(update())
    with record.hold("k1"):
        record.remove("k1")
        with pytest.raises(FollowedElsewhere), record.hold("k1"):
            pytest.fail("held twice")

    assert record.all() == ()


# --- what the whole is ---------------------------------------------------------------------------

WAITING, UNCLEAR, RUNNING, DONE, PARTIAL, CANCELLED, FAILED, LOST = PartState
STATES = [
    ((DONE, DONE), DONE, True),
    ((DONE, RUNNING, WAITING), RUNNING, False),
    ((DONE, UNCLEAR), UNCLEAR, False),
    ((DONE, WAITING), WAITING, False),
    ((FAILED, CANCELLED), FAILED, True),
    ((LOST, DONE), LOST, True),
    ((DONE, CANCELLED), CANCELLED, True),
    ((PARTIAL, DONE), PARTIAL, True),
]


@pytest.mark.parametrize(("states", "whole", "has_ended"), STATES)
def test_the_state_of_the_whole(
    states: tuple[PartState, ...], whole: PartState, has_ended: bool
) -> None:
    found = update("k", *(part(state) for state in states))

    assert (found.state, found.has_ended) == (whole, has_ended)


def test_what_is_split_does_not_tell() -> None:
    split = replace(part(FAILED), is_split=True)

    assert update("k", split, part(DONE), part(DONE)).state is DONE


def test_what_is_set_aside_twice_is_kept_twice(record: JobRecord) -> None:
    path = file_of(record)
    path.parent.mkdir()
    for text in ("first ruin", "second ruin"):
        path.write_text(text)
        record.keep(update())

    aside = sorted(path.parent.glob("jobs.json.damaged*"))
    assert {each.read_text() for each in aside} == {"first ruin", "second ruin"}
    assert len(record.all()) == 1
