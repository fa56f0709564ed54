"""Exports of services of the stand-in site: all tiles of the area, as they are, whatever happens.

Which tiles an area touches is found by trying every tile with shapely; what they look like is asked
of the service; what is in the target is read by the tests' own readers of bundles.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from arcgis_server.handle import running_site
from exported_services import COUNTRY, QUARTER, TOWN, WORLD, Service, brute_force, exported
from scripted_site import Recorder
from shapely.geometry import box

from tile_cache_manager.plugin.core.errors import (
    BadPackage,
    BadPackageReason,
    CachesDiffer,
    CannotPack,
    DamagedCache,
    DiskFull,
    ExportNotAllowed,
    JobFailed,
    ServiceChanged,
    TargetExists,
    TooManyTiles,
)
from tile_cache_manager.plugin.core.export import announcing, part_tiles
from tile_cache_manager.plugin.core.export.matching import level_map
from tile_cache_manager.plugin.core.export.parts import OLDEST, discard_export, export_folder
from tile_cache_manager.plugin.core.export.request import ExportReport, ExportRequest, ExportWay
from tile_cache_manager.plugin.core.level_areas import LevelArea
from tile_cache_manager.plugin.core.request import Feedback, Outcome
from tile_cache_manager.plugin.core.storage.creation import SUFFIXES
from tile_cache_manager.plugin.core.storage.files import reserve_of
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.tiling import Extent

WORLD_DEGREES = Extent(-180.0, -90.0, 180.0, 90.0)
OTHERS = {
    "hosted": ("hosted", "City_Tiles", "MapServer"),
    "degrees, levels with gaps": ("gaps", "World", "MapServer"),
    "metres of Europe, packages of the old form": ("wkt", "Europe", "MapServer"),
    "a newer one": ("othernames", "World", "MapServer"),
    "imagery of two formats": ("classic", "Imagery", "ImageServer"),
}
PACKAGE_FILE = r"arcgisoutput/.*\.tpkx$"


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pytest.importorskip("flask", reason="the stand-in ArcGIS site needs Flask")
    with running_site(tmp_path_factory.mktemp("sites"), drawing="plain") as running:
        yield running


@pytest.fixture
def site(sites: Any) -> Any:
    sites.reset("classic", "secured")
    return sites


def check(service: Service, request: ExportRequest, report: ExportReport, each: int = 1) -> None:
    """All tiles of the area are in the target, and every `each`th is as the service has it."""
    expected = brute_force(service, request)
    tiles = exported(request.target)
    assert set(tiles) == {
        (z, row, col) for z, of_level in expected.items() for row, col in of_level
    }
    for tile in sorted(tiles)[::each]:
        assert tiles[tile] == service.tile(tile)
    assert {level.level.id: level.planned for level in report.levels} == {
        z: len(of_level) for z, of_level in expected.items()
    }
    assert report.outcome is Outcome.DONE
    assert report.total("made") == len(tiles)
    assert report.target == str(request.target)
    assert report.size > 0
    assert not export_folder(request.target).exists()


def jobs(site: Any, task: str = "exportTiles") -> list[dict[str, Any]]:
    return [each for each in site.submissions("classic") if each.get("task") == task]


@contextmanager
def running(
    service: Service, request: ExportRequest
) -> Iterator[tuple[Callable[[], ExportReport], Callable[[], None], Callable[[], None]]]:
    """Run an export in a thread. Gives `result()`, `cancel()` and `abandon()`."""
    cancelled, abandoned = threading.Event(), threading.Event()
    feedback = Feedback(cancelled=cancelled.is_set, abandoned=abandoned.is_set)
    ended: list[Any] = []

    def run() -> None:
        try:
            ended.append(service.export(request, feedback))
        except Exception as error:
            ended.append(error)

    def result() -> ExportReport:
        thread.join(60)
        assert ended, "the export did not end within a minute"
        if isinstance(ended[0], Exception):
            raise ended[0]
        return ended[0]

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield result, cancelled.set, abandoned.set
    finally:
        abandoned.set()
        thread.join(60)


RULES = (
    LevelArea((0, 1, 2, 3, 4), WORLD),
    LevelArea((5, 6, 7, 8, 9), COUNTRY),
    LevelArea((10, 11, 12, 13, 14, 15), TOWN),
    LevelArea((16, 17, 18, 19), QUARTER),
)


@pytest.mark.parametrize("name", ["Streets", "Places"])
def test_twenty_scales_with_an_area_for_each_range(site: Any, tmp_path: Path, name: str) -> None:
    service = Service(site, name)
    site.set_export_limit("classic", service.task_name, 300)
    request = service.request(tmp_path / f"{name}.tpkx", RULES, *range(20))
    report = service.export(request)
    check(service, request, report, each=37)
    assert report.ways == (ExportWay.EXPORT_TILES,)
    assert report.jobs == len(jobs(site)) >= 4
    assert report.received > 0


def test_over_the_limit_it_splits_and_merges_to_the_same_bytes_as_one_big_one(
    site: Any, tmp_path: Path
) -> None:
    service = Service(site, "Streets")
    whole = service.request(tmp_path / "whole.tpkx", COUNTRY, *range(4, 10))
    assert service.export(whole).jobs == 1
    site.set_export_limit("classic", service.task_name, 50)
    parts = replace(whole, target=tmp_path / "parts.tpkx")
    report = service.export(parts)
    assert report.jobs > 4
    assert exported(parts.target) == exported(whole.target)
    check(service, parts, report, each=97)


def test_a_site_that_takes_fewer_tiles_than_it_said_gets_smaller_parts(
    site: Any, tmp_path: Path
) -> None:
    service = Service(site, "Streets")
    request = service.request(tmp_path / "Streets.tpkx", COUNTRY, *range(4, 10))

    feedback_seen: list[float] = []

    def progress(percent: float) -> None:
        if not feedback_seen:
            # after the service was read, before the first package is asked for
            site.set_export_limit("classic", service.task_name, 50)
        feedback_seen.append(percent)

    report = service.export(request, Feedback(progress=progress))
    check(service, request, report, each=97)
    assert report.jobs > 4
    assert feedback_seen == sorted(feedback_seen)
    assert feedback_seen[-1] == 100.0


def test_a_download_that_is_cut_ten_times_still_ends_right(site: Any, tmp_path: Path) -> None:
    service = Service(site, "Streets")
    request = service.request(tmp_path / "Streets.tpkx", COUNTRY, *range(4, 10))
    site.cut("classic", PACKAGE_FILE, after=3_000, count=10)
    report = service.export(request)
    check(service, request, report, each=53)
    assert report.jobs == 1
    asked = [n for path, n in site.requests("classic").items() if path.endswith(".tpkx")]
    assert asked == [11]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("truncated", BadPackageReason.DAMAGED),
        ("scheme", BadPackageReason.SCHEME),
        ("fewer", BadPackageReason.TOO_FEW),
        ("foreign", BadPackageReason.FOREIGN),
    ],
)
class TestBadPackages:
    def test_once_is_asked_for_again(
        self, site: Any, tmp_path: Path, how: str, reason: BadPackageReason
    ) -> None:
        service = Service(site, "Streets")
        request = service.request(tmp_path / "Streets.tpkx", COUNTRY, *range(5, 9))
        site.spoil_next_package("classic", how)
        recorder = Recorder()
        report = service.export(request, recorder.feedback)
        check(service, request, report, each=31)
        assert report.jobs == 2
        told = [m.error for m in recorder.messages if isinstance(m.error, BadPackage)]
        assert [error.reason for error in told] == [reason]

    def test_twice_is_an_error_and_the_target_as_it_was(
        self, site: Any, tmp_path: Path, how: str, reason: BadPackageReason
    ) -> None:
        service = Service(site, "Streets")
        target = tmp_path / "Streets.tpkx"
        service.export(service.request(target, COUNTRY, 4))
        before = target.read_bytes()
        request = service.request(target, COUNTRY, *range(5, 9), way=ExportWay.EXPORT_TILES)
        for _ in range(2):
            site.spoil_next_package("classic", how)
        with pytest.raises(BadPackage) as caught:
            service.export(request)
        assert caught.value.reason is reason
        assert target.read_bytes() == before

    def test_twice_is_read_one_by_one_where_the_way_is_left_to_us(
        self, site: Any, tmp_path: Path, how: str, reason: BadPackageReason
    ) -> None:
        service = Service(site, "Streets")
        request = service.request(tmp_path / "Streets.tpkx", COUNTRY, *range(5, 8))
        for _ in range(2):
            site.spoil_next_package("classic", how)
        report = service.export(request)
        check(service, request, report)
        assert report.ways == (ExportWay.EXPORT_TILES, ExportWay.ONE_BY_ONE)


def test_a_job_that_fails_is_made_up_for_by_reading_its_tiles(site: Any, tmp_path: Path) -> None:
    service = Service(site, "Streets")
    site.set_export_limit("classic", service.task_name, 60)
    request = service.request(tmp_path / "Streets.tpkx", COUNTRY, *range(5, 9))
    # the estimates go first
    recorder = Recorder()
    begun: list[float] = []

    def progress(percent: float) -> None:
        if percent >= 5.0 and not begun:
            begun.append(percent)
            site.fail_next("classic", "ERROR 999999: out of licences")

    report = service.export(request, replace(recorder.feedback, progress=progress))
    check(service, request, report)
    assert report.ways == (ExportWay.EXPORT_TILES, ExportWay.ONE_BY_ONE)
    failures = [m.error for m in recorder.messages if isinstance(m.error, JobFailed)]
    assert [error.message for error in failures] == ["ERROR 999999: out of licences"]


def test_tiles_can_be_read_one_by_one(site: Any, tmp_path: Path) -> None:
    service = Service(site, "Streets")
    request = service.request(tmp_path / "cache", COUNTRY, 5, 6, 7, way=ExportWay.ONE_BY_ONE)
    report = service.export(request)
    check(service, request, report)
    assert report.ways == (ExportWay.ONE_BY_ONE,)
    assert report.jobs == 0
    assert report.received == sum(map(len, exported(request.target).values()))


@pytest.mark.parametrize("way", [ExportWay.AUTO, ExportWay.EXPORT_TILES, ExportWay.ONE_BY_ONE])
def test_a_service_that_does_not_allow_export_is_left_alone(
    site: Any, tmp_path: Path, way: ExportWay
) -> None:
    service = Service(site, "Streets")
    site.set_export_allowed("classic", service.task_name, False)
    with pytest.raises(ExportNotAllowed):
        service.export(service.request(tmp_path / "Streets.tpkx", COUNTRY, 5, way=way))
    assert list(tmp_path.iterdir()) == []
    assert not [path for path in site.requests("classic") if "/tile/" in path]
    assert site.submissions("classic") == []


def test_unless_its_owner_says_the_tiles_are_theirs(site: Any, tmp_path: Path) -> None:
    service = Service(site, "Streets")
    site.set_export_allowed("classic", service.task_name, False)
    request = service.request(tmp_path / "Streets.tpkx", COUNTRY, 5, 6, is_owner=True)
    report = service.export(request)
    check(service, request, report)
    assert report.ways == (ExportWay.ONE_BY_ONE,)


def test_gaps_of_the_service_are_told_and_no_reason_to_doubt_a_package(
    site: Any, tmp_path: Path
) -> None:
    service = Service(site, "World")
    site.fill("classic", "World:MapServer", [2, 3, 4], extent="-9000000 -9000000 2000000 3000000")
    request = service.request(tmp_path / "World.tpkx", WORLD, 2, 3, 4)
    report = service.export(request)
    cached = site.read_cache("classic", "World")
    expected = {(z, *tile) for z in (2, 3, 4) for tile in cached[z]}
    assert set(exported(request.target)) == expected
    assert report.total("made") == len(expected)
    assert report.total("gaps") == 16 + 64 + 256 - len(expected)
    assert report.ways == (ExportWay.EXPORT_TILES,)


def test_a_service_that_changed_since_is_refused(site: Any, tmp_path: Path) -> None:
    service = Service(site, "Streets")
    request = service.request(tmp_path / "Streets.tpkx", COUNTRY, 5)
    site.republish("classic", service.task_name, tile_size=512)
    with pytest.raises(ServiceChanged):
        service.export(request)
    assert list(tmp_path.iterdir()) == []


def test_a_service_that_changes_under_way_leaves_the_target_as_it_was(
    site: Any, tmp_path: Path
) -> None:
    service = Service(site, "Streets")
    target = tmp_path / "cache"
    service.export(service.request(target, COUNTRY, 5))
    before = exported(target)
    site.pause_after("classic", 10)
    with running(service, service.request(target, COUNTRY, 6, 7)) as (result, _cancel, _abandon):
        # an estimate makes no tile, so it is the export that stands still
        site.wait_until_paused("classic")
        site.release("classic")
        site.republish("classic", service.task_name, origin=[-20037000.0, 20037000.0])
        with pytest.raises((ServiceChanged, BadPackage)):
            result()
    assert exported(target) == before


@pytest.mark.parametrize(
    "change", [{"origin": [-20037000.0, 20037000.0]}, {"tile_format": "JPEG"}], ids=str
)
def test_a_service_that_changes_while_its_tiles_are_read_is_noticed(
    site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    monkeypatch.setattr(part_tiles, "LOOK_AGAIN", 0.0)
    service = Service(site, "Streets")
    request = service.request(tmp_path / "cache", WORLD, 4, 5, way=ExportWay.ONE_BY_ONE)
    before: dict[int, bytes] = {}

    def progress(percent: float) -> None:
        if percent > 30 and not before:
            before.update({col: service.tile((4, 3, col)) for col in range(16)})
            site.republish("classic", service.task_name, **change)

    with pytest.raises(ServiceChanged):
        service.export(request, Feedback(progress=progress))
    tiles = exported(request.target)
    assert 256 * 0.3 < len(tiles) < (256 + 1024) * 0.5
    assert all(tiles[4, 3, col] == content for col, content in before.items())


def test_a_cancelled_export_goes_on_with_what_it_has(site: Any, tmp_path: Path) -> None:
    service = Service(site, "Streets")
    site.set_export_limit("classic", service.task_name, 100)
    request = service.request(tmp_path / "Streets.tpkx", COUNTRY, *range(5, 10))
    cancelled = threading.Event()

    def progress(percent: float) -> None:
        if percent > 40:
            cancelled.set()

    report = service.export(request, Feedback(progress=progress, cancelled=cancelled.is_set))
    assert report.outcome is Outcome.CANCELLED
    assert not request.target.exists()
    first = report.jobs
    assert export_folder(request.target).exists()
    again = service.export(request)
    check(service, request, again, each=53)
    whole = service.export(replace(request, target=tmp_path / "other.tpkx"))
    assert first > 0
    assert again.jobs < whole.jobs


def test_what_is_got_of_a_service_in_another_format_is_not_mixed(site: Any, tmp_path: Path) -> None:
    service = Service(site, "Streets")
    site.set_export_limit("classic", service.task_name, 100)
    request = service.request(tmp_path / "Streets.tpkx", COUNTRY, *range(5, 10))
    cancelled = threading.Event()

    def progress(percent: float) -> None:
        if percent > 40:
            cancelled.set()

    service.export(request, Feedback(progress=progress, cancelled=cancelled.is_set))
    assert export_folder(request.target).exists()
    site.republish("classic", service.task_name, tile_format="JPEG")
    again = service.export(request)
    check(service, request, again)
    assert again.jobs == service.export(replace(request, target=tmp_path / "other.tpkx")).jobs


@pytest.mark.parametrize(
    ("way", "what"),
    [
        (ExportWay.EXPORT_TILES, "discarded"),
        (ExportWay.EXPORT_TILES, "too old"),
        (ExportWay.ONE_BY_ONE, "too old"),
    ],
)
def test_tiles_of_an_export_that_is_not_gone_on_with_are_got_anew(
    site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: ExportWay, what: str
) -> None:
    service = Service(site, "Streets")
    request = service.request(
        tmp_path / "cache", COUNTRY, *range(5, 9 if way is ExportWay.ONE_BY_ONE else 11), way=way
    )
    cancelled = threading.Event()

    def progress(percent: float) -> None:
        if percent > 75:
            cancelled.set()

    report = service.export(request, Feedback(progress=progress, cancelled=cancelled.is_set))
    first = report.total("made") or 0
    assert report.outcome is Outcome.CANCELLED
    assert first > 0
    if what == "discarded":
        discard_export(request.target)
    else:
        later = time.time() + OLDEST + 60
        monkeypatch.setattr(time, "time", lambda: later)
    again = service.export(request)
    assert again.total("replaced") == first
    assert again.total("made") == (again.total("planned") or 0) - first


@pytest.mark.parametrize("way", [ExportWay.AUTO, ExportWay.EXPORT_TILES, ExportWay.ONE_BY_ONE])
def test_cancelled_before_it_begins_it_asks_for_nothing(
    site: Any, tmp_path: Path, way: ExportWay
) -> None:
    service = Service(site, "Streets")
    request = service.request(tmp_path / "Streets.tpkx", COUNTRY, 5, 6, way=way)
    report = service.export(request, Feedback(cancelled=lambda: True))
    assert report.outcome is Outcome.CANCELLED
    assert site.submissions("classic") == []
    assert not [path for path in site.requests("classic") if "/tile/" in path]
    assert list(tmp_path.iterdir()) == []


def test_what_a_cancelled_export_got_can_be_discarded(site: Any, tmp_path: Path) -> None:
    service = Service(site, "Streets")
    site.set_export_limit("classic", service.task_name, 100)
    request = service.request(tmp_path / "Streets.tpkx", COUNTRY, *range(5, 9))
    cancelled = threading.Event()

    def progress(percent: float) -> None:
        if percent > 40:
            cancelled.set()

    service.export(request, Feedback(progress=progress, cancelled=cancelled.is_set))
    assert [each.name for each in tmp_path.iterdir()] == [export_folder(request.target).name]
    discard_export(request.target)
    assert list(tmp_path.iterdir()) == []


def test_a_site_that_is_busy_is_asked_again(site: Any, tmp_path: Path) -> None:
    service = Service(site, "Streets")
    request = service.request(tmp_path / "Streets.tpkx", COUNTRY, 5, 6)
    site.fault("classic", "/exportTiles$", "status", count=3, code=503)
    report = service.export(request)
    check(service, request, report)
    assert report.ways == (ExportWay.EXPORT_TILES,)


def test_cancelling_cancels_the_job_on_the_site(site: Any, tmp_path: Path) -> None:
    service = Service(site, "Streets")
    request = service.request(tmp_path / "Streets.tpkx", COUNTRY, 6, 7)
    site.pause_after("classic", 10)
    with running(service, request) as (result, cancel, _abandon):
        site.wait_until_paused("classic")
        cancel()
        assert result().outcome is Outcome.CANCELLED
    assert site.jobs("classic")[-1]["jobStatus"] == "esriJobCancelled"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("way", [ExportWay.AUTO, ExportWay.EXPORT_TILES])
def test_a_job_that_somebody_else_cancelled_is_told_and_asked_for_anew_the_next_time(
    site: Any, tmp_path: Path, way: ExportWay
) -> None:
    service = Service(site, "Streets")
    request = service.request(tmp_path / "Streets.tpkx", COUNTRY, 6, 7, way=way)
    site.pause_after("classic", 10)
    with running(service, request) as (result, _cancel, _abandon):
        site.wait_until_paused("classic")
        job = site.jobs("classic")[-1]["jobId"]
        service.client.submit(f"{service.address.url}/exportTiles/jobs/{job}/cancel", {})
        with pytest.raises(JobFailed) as caught:
            result()
    assert job in caught.value.job_url
    assert caught.value.message == "esriJobCancelled"
    assert not [path for path in site.requests("classic") if "/tile/" in path]
    site.release("classic")
    report = service.export(request)
    check(service, request, report, each=11)
    assert report.jobs == 1


def test_a_job_of_an_earlier_run_that_was_cancelled_since_is_asked_for_anew(
    site: Any, tmp_path: Path
) -> None:
    service = Service(site, "Streets")
    request = service.request(tmp_path / "Streets.tpkx", COUNTRY, 6, 7)
    site.pause_after("classic", 10)
    with running(service, request) as (result, _cancel, abandon):
        site.wait_until_paused("classic")
        abandon()
        assert result().outcome is Outcome.CANCELLED
    job = site.jobs("classic")[-1]["jobId"]
    service.client.submit(f"{service.address.url}/exportTiles/jobs/{job}/cancel", {})
    site.release("classic")
    report = service.export(request)
    check(service, request, report, each=11)
    assert report.jobs == 1


def test_a_job_that_went_on_without_us_is_found_again(site: Any, tmp_path: Path) -> None:
    service = Service(site, "Streets")
    request = service.request(tmp_path / "Streets.tpkx", COUNTRY, 6, 7)
    site.pause_after("classic", 10)
    with running(service, request) as (result, _cancel, abandon):
        site.wait_until_paused("classic")
        abandon()
        assert result().outcome is Outcome.CANCELLED
    site.release("classic")
    report = service.export(request)
    check(service, request, report, each=11)
    assert report.jobs == 0
    assert len(jobs(site)) == 1


def test_a_job_that_the_site_forgot_is_asked_for_anew(site: Any, tmp_path: Path) -> None:
    service = Service(site, "Streets")
    request = service.request(tmp_path / "Streets.tpkx", COUNTRY, 6, 7)
    site.pause_after("classic", 10)
    with running(service, request) as (result, _cancel, abandon):
        site.wait_until_paused("classic")
        abandon()
        result()
    site.reset("classic")
    report = service.export(request)
    check(service, request, report, each=11)
    assert report.jobs == 1


def test_a_job_that_the_site_forgets_under_way_is_asked_for_anew(site: Any, tmp_path: Path) -> None:
    service = Service(site, "Streets")
    request = service.request(tmp_path / "Streets.tpkx", COUNTRY, 6, 7)
    site.pause_after("classic", 10)
    with running(service, request) as (result, _cancel, _abandon):
        site.wait_until_paused("classic")
        site.reset("classic")
        report = result()
    check(service, request, report, each=11)
    assert report.ways == (ExportWay.EXPORT_TILES,)
    assert report.jobs == 2


def test_a_merge_that_was_cut_short_goes_on_without_asking_the_site_for_packages(
    site: Any, tmp_path: Path
) -> None:
    service = Service(site, "Streets")
    request = service.request(tmp_path / "cache", COUNTRY, *range(5, 11))
    cancelled = threading.Event()

    def progress(percent: float) -> None:
        if percent > 75:
            cancelled.set()

    report = service.export(request, Feedback(progress=progress, cancelled=cancelled.is_set))
    assert report.outcome is Outcome.CANCELLED
    assert 0 < (report.total("made") or 0) < (report.total("planned") or 0)
    asked = len(site.submissions("classic"))
    again = service.export(request)
    check(service, request, again, each=97)
    assert len(site.submissions("classic")) == asked
    assert again.received == 0


@pytest.mark.parametrize(
    ("name", "error"), [("Streets.tpkx", DamagedCache), ("Streets", TargetExists)]
)
def test_a_target_that_is_no_cache_is_refused_before_anything_is_asked(
    site: Any, tmp_path: Path, name: str, error: type[Exception]
) -> None:
    service = Service(site, "Streets")
    (tmp_path / name).write_text("my notes")
    with pytest.raises(error):
        service.export(service.request(tmp_path / name, COUNTRY, 5))
    assert (tmp_path / name).read_text() == "my notes"
    assert site.submissions("classic") == []
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_limit_of_nothing_is_told(site: Any, tmp_path: Path) -> None:
    service = Service(site, "Streets")
    request = service.request(tmp_path / "Streets.tpkx", QUARTER, 19)

    def progress(_percent: float) -> None:
        site.set_export_limit("classic", service.task_name, 0)

    with pytest.raises(TooManyTiles):
        service.export(request, Feedback(progress=progress))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs to copy the process")
@pytest.mark.parametrize("percent", [5.5, 30.0, 60.0, 72.0, 90.0])
def test_a_killed_export_goes_on_with_what_it_has(
    site: Any, tmp_path: Path, percent: float
) -> None:
    service = Service(site, "Streets")
    site.set_export_limit("classic", service.task_name, 60)
    request = service.request(tmp_path / "cache", COUNTRY, *range(4, 9))

    def progress(now: float) -> None:
        if now > percent:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if not child:
        try:
            service.export(request, Feedback(progress=progress))
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    before = len(jobs(site))
    report = service.export(request)
    check(service, request, report, each=29)
    # no package that was asked for before is asked for again
    assert len(jobs(site)) == before + report.jobs
    whole = len({each["form"]["areaOfInterest"] + each["form"]["levels"] for each in jobs(site)})
    assert len(jobs(site)) == whole


def test_a_part_without_any_tile_is_no_failure(site: Any, tmp_path: Path) -> None:
    service = Service(site, "World")
    site.fill("classic", "World:MapServer", [3, 4], extent="-9000000 -9000000 2000000 3000000")
    site.set_export_limit("classic", service.task_name, 40)
    request = service.request(tmp_path / "World.tpkx", WORLD, 3, 4, way=ExportWay.EXPORT_TILES)
    report = service.export(request)
    cached = site.read_cache("classic", "World")
    assert set(exported(request.target)) == {(z, *tile) for z in (3, 4) for tile in cached[z]}
    assert report.outcome is Outcome.DONE
    assert report.jobs >= 8


def test_where_there_is_clearly_no_room_nothing_is_exported(
    site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(site, "Streets")
    request = service.request(tmp_path / "Streets.tpkx", COUNTRY, 5, 6, 7)
    monkeypatch.setattr(announcing, "free_bytes", lambda path: reserve_of(path) + 10_000)
    with pytest.raises(DiskFull) as caught:
        service.export(request)
    assert caught.value.free == 10_000
    assert caught.value.needed > 10_000
    assert jobs(site) == []
    assert not request.target.exists()


def test_a_target_that_exists_gets_the_new_tiles_and_keeps_its_own(
    site: Any, tmp_path: Path
) -> None:
    service = Service(site, "Streets")
    target = tmp_path / "Streets.tpkx"
    first = service.request(target, box(600e3, 5.9e6, 1.2e6, 6.6e6), 7, 8)
    service.export(first)
    before = exported(target)
    second = service.request(target, box(1.1e6, 6.3e6, 2.0e6, 7.2e6), 7, 8)
    report = service.export(second)
    after = exported(target)
    wanted = {(z, *t) for z, of_level in brute_force(service, second).items() for t in of_level}
    assert set(after) == set(before) | wanted
    assert report.total("replaced") == len(set(before) & wanted) > 0
    assert report.total("made") == len(wanted - set(before)) > 0


def test_a_target_of_another_scheme_is_refused_before_anything_is_asked(
    site: Any, tmp_path: Path
) -> None:
    service = Service(site, "Streets")
    target = tmp_path / "Streets.tpkx"
    service.export(service.request(target, COUNTRY, 5))
    before = target.read_bytes()
    site.republish("classic", service.task_name, tile_size=512)
    asked = len(site.submissions("classic"))
    with pytest.raises(CachesDiffer):
        service.export(service.request(target, COUNTRY, 5))
    assert target.read_bytes() == before
    assert len(site.submissions("classic")) == asked


@pytest.mark.parametrize("which", OTHERS)
def test_other_sites_export_as_well(site: Any, tmp_path: Path, which: str) -> None:
    key, name, kind = OTHERS[which]
    site.reset(key)
    service = Service(site, name, key, kind)
    description = service.describe()
    levels = description.cached_levels[:3]
    ids = [level.id for level in levels]
    site.fill(key, service.task_name, ids)
    request = service.request(tmp_path / "cache", None, *ids)
    report = service.export(request)
    cached = site.read_cache(key, name)
    found = exported(request.target)
    assert set(found) == {(z, *tile) for z in ids for tile in cached[z]}
    assert report.outcome is Outcome.DONE
    assert report.ways == (ExportWay.EXPORT_TILES,)
    assert {tile: len(content) for tile, content in found.items()} == {
        (z, *tile): stored.size for z in ids for tile, stored in cached[z].items()
    }


@pytest.mark.parametrize("way", [ExportWay.EXPORT_TILES, ExportWay.ONE_BY_ONE])
def test_the_whole_of_a_cache_is_clipped_nowhere(site: Any, tmp_path: Path, way: ExportWay) -> None:
    site.reset("wkt")
    service = Service(site, "Europe", "wkt")
    levels = service.describe().cached_levels[:2]
    ids = [level.id for level in levels]
    site.fill("wkt", service.task_name, ids)
    request = service.request(tmp_path / "cache", None, *ids, is_clipped=True, way=way)
    report = service.export(request)  # with pixels that nobody may look at
    assert report.outcome is Outcome.DONE
    assert set(exported(request.target)) == {
        (z, *tile) for z in ids for tile in site.read_cache("wkt", "Europe")[z]
    }


def test_reading_one_by_one_goes_on_where_it_was_cancelled(site: Any, tmp_path: Path) -> None:
    service = Service(site, "Streets")
    request = service.request(tmp_path / "cache", WORLD, 4, 5, way=ExportWay.ONE_BY_ONE)
    cancelled = threading.Event()

    def progress(percent: float) -> None:
        if percent > 40:
            cancelled.set()

    report = service.export(request, Feedback(progress=progress, cancelled=cancelled.is_set))
    assert report.outcome is Outcome.CANCELLED
    before = exported(request.target)
    assert 0.3 < len(before) / (256 + 1024) < 0.7
    read = sum(n for path, n in site.requests("classic").items() if "/tile/" in path)
    again = service.export(request)
    now = sum(n for path, n in site.requests("classic").items() if "/tile/" in path)
    assert now - read == 256 + 1024 - len(before)
    check(service, request, again, each=97)


@pytest.mark.parametrize(
    "storage",
    [
        StorageFormat.COMPACT_V1,
        StorageFormat.EXPLODED,
        StorageFormat.TPK,
        StorageFormat.MBTILES,
        StorageFormat.GEOPACKAGE,
    ],
)
def test_targets_of_all_formats(site: Any, tmp_path: Path, storage: StorageFormat) -> None:
    service = Service(site, "Streets")
    target = tmp_path / f"Streets{SUFFIXES.get(storage, '')}"
    request = replace(service.request(target, COUNTRY, 6, 7), storage=storage)
    report = service.export(request)
    expected = brute_force(service, request)
    with open_store(target) as store:
        ids = level_map(request.scheme, store.profile.scheme)
        assert store.counts() == {ids[z]: len(tiles) for z, tiles in expected.items()}
        for z, tiles in expected.items():
            for row, col in tiles:
                assert store.read(ids[z], row, col) == service.tile((z, row, col))
    assert [each.level.id for each in report.levels] == [6, 7]


def test_a_format_that_cannot_hold_the_scheme_is_refused_before_anything_is_asked(
    site: Any, tmp_path: Path
) -> None:
    site.reset("gaps")
    service = Service(site, "World", "gaps")
    request = service.request(tmp_path / "World.mbtiles", WORLD_DEGREES, 2, 3)
    with pytest.raises(CannotPack) as caught:
        service.export(replace(request, storage=StorageFormat.MBTILES))
    assert StorageFormat.TPKX.value in caught.value.possible
    assert site.submissions("gaps") == []
    assert list(tmp_path.iterdir()) == []
