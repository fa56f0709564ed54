"""The queue of exports: one after the other, each by itself; run again, the rest only."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from io import BytesIO

import pytest
from scripted_site import Recorder
from shapely.geometry import box

from tile_cache_manager.plugin.core.description import CacheDescription
from tile_cache_manager.plugin.core.errors import (
    ExportNotAllowed,
    NoLevels,
    NotACache,
    NotACacheReason,
    SiteUnreachable,
    TargetExists,
    TargetProblem,
    Unreachable,
)
from tile_cache_manager.plugin.core.export import queue
from tile_cache_manager.plugin.core.export.queue import QueueItem, run_queue
from tile_cache_manager.plugin.core.export.request import ExportReport, ExportRequest
from tile_cache_manager.plugin.core.request import Feedback, Outcome
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.tiling import Level, SpatialReference, TilingScheme

LEVELS = tuple(Level(i, 1000.0 / 2**i, 4e6 / 2**i) for i in range(5))
SCHEME = TilingScheme(0.0, 0.0, 256, 256, 96.0, SpatialReference(25832), LEVELS)
SITE = "https://maps.example/arcgis/rest/services"


class FakeSite:
    """Describes services and exports them: `outcomes` by name, an error or how it ends."""

    def __init__(self, monkeypatch):
        self.outcomes = {}
        self.exported = []
        monkeypatch.setattr(queue, "open_cache", self.open_cache)
        monkeypatch.setattr(queue, "run_export", self.run_export)
        monkeypatch.setattr(queue, "open_store", self.open_store)
        self.unreadable = set()

    def open_store(self, path):
        if path.name in self.unreadable:
            raise NotACache(str(path), NotACacheReason.UNKNOWN_FILE)
        return BytesIO()

    def open_cache(self, address, sign_in, transport, cancelled):
        site = self

        class Opened:
            def describe(self):
                name = address.split("/")[-2]
                if isinstance(site.outcomes.get(name), SiteUnreachable):
                    raise site.outcomes[name]
                return CacheDescription(address, name, "MapServer", SCHEME, LEVELS, None, "PNG")

        return Opened()

    def run_export(self, address, request, feedback, *, pixels, sign_in, transport):
        name = address.split("/")[-2]
        self.exported.append(name)
        feedback.progress(50.0)
        outcome = self.outcomes.get(name, Outcome.DONE)
        if isinstance(outcome, Exception):
            raise outcome
        if outcome is not Outcome.CANCELLED:
            request.target.write_text("tiles")
        feedback.progress(100.0)
        return ExportReport(outcome, name, address, str(request.target), (), size=len("tiles"))


@pytest.fixture
def site(monkeypatch):
    return FakeSite(monkeypatch)


def item(folder, name, area=None, **more):
    def make_request(description):
        return ExportRequest(
            description.scheme,
            description.cached_levels,
            area,
            folder / "elsewhere",
            StorageFormat.TPKX,
            **more,
        )

    return QueueItem(f"{SITE}/{name}/MapServer", folder / f"{name}.tpkx", make_request)


def run(folder, *items, feedback=None, **more):
    return run_queue(items, folder, feedback or Feedback(), pixels=None, **more)


def test_each_goes_into_its_own_target_in_order(site, tmp_path):
    recorder = Recorder()
    report = run(tmp_path, item(tmp_path, "A"), item(tmp_path, "B"), feedback=recorder.feedback)
    assert site.exported == ["A", "B"]
    assert [each.report.target for each in report.items] == [
        str(tmp_path / "A.tpkx"),
        str(tmp_path / "B.tpkx"),
    ]
    assert not report.is_cancelled
    assert recorder.percents == [25.0, 50.0, 50.0, 75.0, 100.0, 100.0]


@pytest.mark.parametrize(
    "error", [ExportNotAllowed("B"), SiteUnreachable(SITE, Unreachable.REFUSED), NoLevels()]
)
def test_the_error_of_one_does_not_stop_the_others(site, tmp_path, error):
    site.outcomes["B"] = error
    items = [item(tmp_path, name) for name in "ABC"]
    report = run(tmp_path, *items)
    assert [each.error for each in report.items] == [None, error, None]
    assert [each.report is None for each in report.items] == [False, True, False]


def test_each_is_told_as_it_begins_and_ends(site, tmp_path):
    site.outcomes["A"] = NoLevels()
    told = []
    report = run(
        tmp_path,
        *[item(tmp_path, name) for name in "AB"],
        told=lambda index, each: told.append((index, each, len(site.exported))),
    )
    failed, done = report.items
    assert told == [(0, None, 0), (0, failed, 1), (1, None, 1), (1, done, 2)]


def test_run_again_it_does_the_rest_only(site, tmp_path):
    site.outcomes["B"] = ExportNotAllowed("B")
    site.outcomes["C"] = Outcome.PARTIAL
    items = [item(tmp_path, name) for name in "ABC"]
    run(tmp_path, *items)
    site.outcomes, site.exported = {}, []
    report = run(tmp_path, *items)
    assert site.exported == ["B", "C"]
    assert [each.is_done_before for each in report.items] == [True, False, False]
    site.exported = []
    assert all(each.is_done_before for each in run(tmp_path, *items).items)
    assert site.exported == []


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: item(folder, "A", box(0, -9, 9, 0)),
        lambda folder: item(folder, "A", is_clipped=True),
    ],
)
def test_what_is_asked_for_otherwise_is_done_again(site, tmp_path, change):
    run(tmp_path, item(tmp_path, "A"))
    site.exported = []
    assert not run(tmp_path, change(tmp_path)).items[0].is_done_before
    assert len(site.exported) == 1


def test_a_target_that_is_gone_is_made_again(site, tmp_path):
    run(tmp_path, item(tmp_path, "A"))
    (tmp_path / "A.tpkx").unlink()
    assert not run(tmp_path, item(tmp_path, "A")).items[0].is_done_before


@pytest.mark.parametrize(
    ("content", "is_done"),
    [("til", False), ("", False), ("tiles", True), ("tiles and more", False)],
)
def test_a_target_that_is_not_as_it_was_left_is_made_again(site, tmp_path, content, is_done):
    run(tmp_path, item(tmp_path, "A"))
    (tmp_path / "A.tpkx").write_text(content)
    assert run(tmp_path, item(tmp_path, "A")).items[0].is_done_before is is_done


def test_other_content_of_the_same_size_is_noticed(site, tmp_path):
    run(tmp_path, item(tmp_path, "A"))
    os.utime(tmp_path / "A.tpkx", (1e9, 1e9))
    assert not run(tmp_path, item(tmp_path, "A")).items[0].is_done_before


def test_what_does_not_open_as_a_cache_is_not_done(site, tmp_path):
    run(tmp_path, item(tmp_path, "A"))
    site.unreadable.add("A.tpkx")
    assert not run(tmp_path, item(tmp_path, "A")).items[0].is_done_before


def test_anew_it_does_what_was_done_before(site, tmp_path):
    run(tmp_path, item(tmp_path, "A"))
    assert not run(tmp_path, item(tmp_path, "A"), anew=True).items[0].is_done_before
    assert site.exported == ["A", "A"]


@pytest.mark.parametrize("first", [Outcome.DONE, Outcome.PARTIAL])
def test_tiles_of_another_service_are_not_overwritten(site, tmp_path, first):
    site.outcomes["A"] = first
    run(tmp_path, item(tmp_path, "A"))
    other = replace(item(tmp_path, "A"), address=f"{SITE}/Other/MapServer")
    for anew in (False, True):
        error = run(tmp_path, other, anew=anew).items[0].error
        assert isinstance(error, TargetExists)
        assert error.path == str(tmp_path / "A.tpkx")
    assert site.exported == ["A"]
    (tmp_path / "A.tpkx").unlink()
    assert run(tmp_path, other).items[0].error is None


def test_a_folder_that_was_moved_is_still_done(site, tmp_path):
    (tmp_path / "one").mkdir()
    run(tmp_path / "one", item(tmp_path / "one", "A"))
    (tmp_path / "one").rename(tmp_path / "two")
    assert run(tmp_path / "two", item(tmp_path / "two", "A")).items[0].is_done_before


def test_an_export_that_ends_otherwise_the_second_time_is_not_done(site, tmp_path):
    run(tmp_path, item(tmp_path, "A"))
    site.outcomes["A"] = TargetProblem(str(tmp_path / "A.tpkx"), "gone")
    run(tmp_path, item(tmp_path, "A", is_clipped=True))
    site.outcomes = {}
    assert not run(tmp_path, item(tmp_path, "A")).items[0].is_done_before


def test_cancelled_it_keeps_what_is_done(site, tmp_path):
    site.outcomes["B"] = Outcome.CANCELLED
    items = [item(tmp_path, name) for name in "ABC"]
    report = run(tmp_path, *items)
    assert report.is_cancelled
    assert [each.report.outcome for each in report.items] == [Outcome.DONE, Outcome.CANCELLED]
    site.outcomes, site.exported = {}, []
    run(tmp_path, *items)
    assert site.exported == ["B", "C"]


def test_cancelled_before_it_begins_it_does_nothing(site, tmp_path):
    report = run(tmp_path, item(tmp_path, "A"), feedback=Feedback(cancelled=lambda: True))
    assert report.items == ()
    assert report.is_cancelled
    assert site.exported == []


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"version": 1, "done": 3}', '{"version": 2, "targets": 3}', '{"version": 7}'],
)
def test_a_record_that_cannot_be_read_is_as_none(site, tmp_path, content):
    run(tmp_path, item(tmp_path, "A"))
    (tmp_path / ".tile_cache_manager" / "exports.json").write_text(content)
    assert not run(tmp_path, item(tmp_path, "A")).items[0].is_done_before


def test_nothing_secret_is_written_down(site, tmp_path):
    one = replace(item(tmp_path, "A"), sign_in="open-sesame")
    run(tmp_path, one)
    record = (tmp_path / ".tile_cache_manager" / "exports.json").read_text()
    assert "sesame" not in record + repr(one)
    assert set(json.loads(record)["targets"]) == {"A.tpkx"}


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_done(site, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(TargetProblem):
        run(tmp_path / "file", item(tmp_path / "file", "A"))
    assert site.exported == []
