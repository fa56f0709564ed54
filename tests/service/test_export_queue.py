"""The door to exports, their estimates and their queue, on the stand-in site."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from arcgis_server.handle import PUBLISHER, VIEWER, running_site
from exported_services import COUNTRY, TOWN, WORLD, NoPixels, Service, brute_force, exported
from scripted_site import Recorder
from site_caches import QUICK, sign_in

from tile_cache_manager.plugin.core.arcgis import patient_client
from tile_cache_manager.plugin.core.arcgis.export_tiles import SizeEstimate
from tile_cache_manager.plugin.core.arcgis.patience import PatientTransport
from tile_cache_manager.plugin.core.errors import (
    AddressError,
    ExportNotAllowed,
    JobLost,
    ServiceChanged,
    SignInNeeded,
    SiteSilent,
    SiteUnreachable,
)
from tile_cache_manager.plugin.core.export import estimate as estimating
from tile_cache_manager.plugin.core.export import site_export
from tile_cache_manager.plugin.core.export.queue import QueueItem, run_queue, target_names
from tile_cache_manager.plugin.core.export.request import ExportRequest, ExportWay
from tile_cache_manager.plugin.core.export.run import estimate_export, run_export
from tile_cache_manager.plugin.core.level_areas import LevelArea
from tile_cache_manager.plugin.core.request import Feedback, Outcome
from tile_cache_manager.plugin.core.storage.profile import StorageFormat

RULES = (LevelArea((0, 1, 2), WORLD), LevelArea((5, 6, 7), COUNTRY), LevelArea((12, 13), TOWN))
LEVELS = (0, 1, 2, 5, 6, 7, 12, 13)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pytest.importorskip("flask", reason="the stand-in ArcGIS site needs Flask")
    with running_site(tmp_path_factory.mktemp("sites"), drawing="plain") as running:
        yield running


@pytest.fixture
def site(sites: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    sites.reset("classic", "secured")
    # as the plugin does it, only that nobody waits between two looks at a job
    monkeypatch.setattr("tile_cache_manager.plugin.core.export.site_export.Pace", lambda: QUICK)
    monkeypatch.setattr(estimating, "Pace", lambda: QUICK)
    return sites


def item(service: Service, target: Path, areas: Any = RULES, *ids: int) -> QueueItem:
    def make_request(description: Any) -> ExportRequest:
        levels = tuple(e for e in description.scheme.levels if e.id in (ids or LEVELS))
        return ExportRequest(description.scheme, levels, areas, target, StorageFormat.TPKX)

    return QueueItem(service.address.url, target, make_request)


def test_two_services_go_into_a_package_each(site: Any, tmp_path: Path) -> None:
    services = [Service(site, "Streets"), Service(site, "Places")]
    names = target_names([each.address.name for each in services], ".tpkx")
    items = [item(each, tmp_path / name) for each, name in zip(services, names)]
    recorder = Recorder()
    report = run_queue(items, tmp_path, recorder.feedback, pixels=NoPixels())
    assert [each.error for each in report.items] == [None, None]
    for service, name in zip(services, names):
        tiles = exported(tmp_path / name)
        request = service.request(tmp_path / name, RULES, *LEVELS)
        expected = brute_force(service, request)
        assert {tile[0]: 0 for tile in tiles}.keys() == set(LEVELS)
        assert set(tiles) == {(z, *tile) for z, of_level in expected.items() for tile in of_level}
        assert all(tiles[tile] == service.tile(tile) for tile in sorted(tiles)[::23])
    assert recorder.percents[-1] == 100.0
    left = {each.name for each in tmp_path.iterdir() if not each.name.startswith(".")}
    assert left == set(names)


def test_one_that_may_not_be_exported_stops_no_other_and_comes_next_time(
    site: Any, tmp_path: Path
) -> None:
    site.set_export_allowed("classic", "Streets:MapServer", False)
    items = [
        item(Service(site, name), tmp_path / f"{name}.tpkx", COUNTRY, 5)
        for name in ("Streets", "Places")
    ]
    report = run_queue(items, tmp_path, Feedback(), pixels=NoPixels())
    assert isinstance(report.items[0].error, ExportNotAllowed)
    assert report.items[1].report.outcome is Outcome.DONE
    site.set_export_allowed("classic", "Streets:MapServer", True)
    asked = len(site.submissions("classic"))
    report = run_queue(items, tmp_path, Feedback(), pixels=NoPixels())
    assert [each.is_done_before for each in report.items] == [False, True]
    assert report.items[0].report.outcome is Outcome.DONE
    later = site.submissions("classic")[asked:]
    assert {each["task"] for each in later} == {"exportTiles", "estimateExportTilesSize"}
    assert len(later) == 2


def test_the_door_exports_a_service_and_then_its_package(site: Any, tmp_path: Path) -> None:
    service = Service(site, "Streets")
    request = service.request(tmp_path / "Streets.tpkx", COUNTRY, 5, 6)
    report = run_export(service.address.url, request, Feedback(), pixels=NoPixels())
    assert report.outcome is Outcome.DONE
    # a package's scheme has no levels but its own
    from tile_cache_manager.plugin.core.storage.opening import read_profile

    scheme = read_profile(request.target).scheme
    levels = tuple(level for level in scheme.levels if level.id in (5, 6))
    folder = tmp_path / "cache"
    again = ExportRequest(scheme, levels, COUNTRY, folder, StorageFormat.COMPACT_V2)
    estimates = estimate_export(str(request.target), again, Feedback())
    report = run_export(str(request.target), again, Feedback(), pixels=NoPixels())
    assert exported(folder) == exported(request.target)
    assert [each.tiles for each in estimates] == [each.made for each in report.levels]


def test_the_door_signs_in(site: Any, tmp_path: Path) -> None:
    service = Service(site, "World", "secured")
    site.fill("secured", "World:MapServer", [0, 1, 2])
    request = service.request(tmp_path / "World.tpkx", WORLD, 0, 1, 2, way=ExportWay.EXPORT_TILES)
    with pytest.raises(SignInNeeded):
        run_export(service.address.url, request, Feedback(), pixels=NoPixels())
    report = run_export(
        service.address.url, request, Feedback(), pixels=NoPixels(), sign_in=sign_in(VIEWER)
    )
    assert report.total("made") == 21
    assert len(exported(request.target)) == 21


@pytest.mark.parametrize(
    ("way", "gone"),
    [
        (ExportWay.ONE_BY_ONE, ".*/tile/.*"),
        (ExportWay.EXPORT_TILES, ".*/jobs/.*"),
        (ExportWay.EXPORT_TILES, ".*arcgisoutput.*"),
    ],
)
def test_a_site_that_goes_away_in_mid_run_is_told_and_not_waited_for_endlessly(
    site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: ExportWay, gone: str
) -> None:
    service, recorder = Service(site, "Streets"), Recorder()
    request = service.request(tmp_path / "Streets.tpkx", COUNTRY, 5, 6, 7, 8, 9, way=way)
    impatient = partial(PatientTransport, patience=3.0, tell_after=0.2)
    monkeypatch.setattr(patient_client, "PatientTransport", impatient)
    monkeypatch.setattr(site_export, "Pace", lambda: replace(QUICK, patience=3.0))
    site.fault("classic", gone, "silence", count=1000)
    begun = time.monotonic()
    try:
        with pytest.raises((SiteUnreachable, JobLost)):
            run_export(service.address.url, request, recorder.feedback, pixels=NoPixels())
    finally:
        site.clear_faults("classic")
    assert time.monotonic() - begun < 20
    silences = [each.error for each in recorder.messages if isinstance(each.error, SiteSilent)]
    assert len(silences) == 1


def test_no_address_is_refused(tmp_path: Path, site: Any) -> None:
    request = Service(site, "Streets").request(tmp_path / "a.tpkx", WORLD, 0)
    with pytest.raises(AddressError):
        run_export("https://maps.example/nothing", request, Feedback(), pixels=NoPixels())


def test_who_administers_the_site_may_use_its_own_tool(site: Any, tmp_path: Path) -> None:
    service = Service(site, "World", "secured")
    site.set_export_allowed("secured", "World:MapServer", False)
    site.fill("secured", "World:MapServer", [0, 1, 2])
    request = service.request(tmp_path / "World.tpkx", WORLD, 0, 1, 2)
    with pytest.raises(ExportNotAllowed):
        run_export(
            service.address.url, request, Feedback(), pixels=NoPixels(), sign_in=sign_in(VIEWER)
        )
    report = run_export(
        service.address.url, request, Feedback(), pixels=NoPixels(), sign_in=sign_in(PUBLISHER)
    )
    assert report.ways == (ExportWay.EXPORT_CACHE,)
    assert report.total("made") == 21
    assert len(exported(request.target)) == 21


class TestEstimates:
    def test_tiles_are_counted_exactly_and_bytes_are_the_services_own(
        self, site: Any, tmp_path: Path
    ) -> None:
        service = Service(site, "Streets")
        request = service.request(tmp_path / "Streets.tpkx", RULES, *LEVELS)
        estimates = estimate_export(service.address.url, request, Feedback())
        expected = brute_force(service, request)
        assert {e.level.id: e.tiles for e in estimates} == {z: len(t) for z, t in expected.items()}
        told = site.submissions("classic")
        assert {each["task"] for each in told} == {"estimateExportTilesSize"}
        assert len(told) == len(LEVELS)
        # nobody knows how long the site takes to pack
        assert all(each.bytes > 0 and each.seconds is None for each in estimates)
        assert not list(tmp_path.iterdir())
        # about as large as the export will be
        report = run_export(service.address.url, request, Feedback(), pixels=NoPixels())
        assert report.outcome is Outcome.DONE
        size = sum(map(len, exported(request.target).values()))
        assert 0.5 < sum(each.bytes for each in estimates) / size < 2

    def test_of_a_small_area_its_own_tiles_tell_how_large_they_are(
        self, site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service = Service(site, "Streets")
        far_too_low = SizeEstimate(1, 1)
        monkeypatch.setattr(estimating.ExportTiles, "estimate", lambda *_: far_too_low)
        request = service.request(tmp_path / "Streets.tpkx", RULES, *LEVELS)
        estimates = estimate_export(service.address.url, request, Feedback())
        for each in estimates:
            tiles = brute_force(service, request)[each.level.id]
            size = sum(len(service.tile((each.level.id, *tile))) for tile in sorted(tiles)[:50])
            is_small = 4 * each.tiles < 4**each.level.id
            assert (each.bytes > 0.5 * size) is is_small

    def test_else_by_tiles_that_are_read(self, site: Any, tmp_path: Path) -> None:
        service = Service(site, "Streets")
        request = service.request(
            tmp_path / "Streets.tpkx", COUNTRY, 5, 6, 7, 8, way=ExportWay.ONE_BY_ONE
        )
        estimates = estimate_export(service.address.url, request, Feedback())
        assert site.submissions("classic") == []
        read = [path for path in site.requests("classic") if "/tile/" in path]
        assert 4 <= len(read) <= 4 * estimating.SAMPLES
        sizes = [
            len(service.tile((each.level.id, *tile)))
            for each in estimates
            for tile in brute_force(service, request)[each.level.id]
        ]
        assert 0.5 < sum(each.bytes for each in estimates) / sum(sizes) < 2
        assert all(each.seconds > 0 for each in estimates)

    def test_of_tiles_that_may_not_be_copied_none_is_read(self, site: Any, tmp_path: Path) -> None:
        service = Service(site, "Streets")
        site.set_export_allowed("classic", service.task_name, False)
        request = service.request(tmp_path / "Streets.tpkx", COUNTRY, 5, 6, 7)
        estimates = estimate_export(service.address.url, request, Feedback())
        assert [each.tiles for each in estimates] == [
            len(tiles) for tiles in brute_force(service, request).values()
        ]
        assert all(each.seconds is None for each in estimates)
        assert not [path for path in site.requests("classic") if "/tile/" in path]

    def test_then_by_what_the_site_tells_who_administers_it(
        self, site: Any, tmp_path: Path
    ) -> None:
        service = Service(site, "World")
        site.fill("classic", service.task_name, [2, 3, 4])
        site.set_export_allowed("classic", service.task_name, False)
        request = service.request(tmp_path / "World.tpkx", COUNTRY, 2, 3, 4, 5)
        account = sign_in(PUBLISHER)
        estimates = estimate_export(service.address.url, request, Feedback(), sign_in=account)
        cached = site.read_cache("classic", "World")
        for each in estimates[:3]:
            sizes = [stored.size for stored in cached[each.level.id].values()]
            assert each.bytes == pytest.approx(each.tiles * sum(sizes) / len(sizes), abs=1)
        assert estimates[3].bytes > estimates[2].bytes
        assert not [path for path in site.requests("classic") if "/tile/" in path]

    def test_a_site_that_does_not_answer_is_not_waited_for(self, site: Any, tmp_path: Path) -> None:
        service = Service(site, "Streets")
        request = service.request(tmp_path / "Streets.tpkx", RULES, *LEVELS)
        site.fault("classic", "estimateExportTilesSize", "error", count=100)
        recorder = Recorder()
        estimates = estimate_export(service.address.url, request, recorder.feedback)
        assert all(each.tiles > 0 and each.bytes is not None for each in estimates)
        assert any(message.error is not None for message in recorder.messages)

    def test_cancelled_it_gives_the_counts(self, site: Any, tmp_path: Path) -> None:
        service = Service(site, "Streets")
        request = service.request(tmp_path / "Streets.tpkx", COUNTRY, 5, 6)
        estimates = estimate_export(service.address.url, request, Feedback(cancelled=lambda: True))
        assert all(each.tiles > 0 for each in estimates)

    def test_a_service_that_changed_is_refused(self, site: Any, tmp_path: Path) -> None:
        service = Service(site, "Streets")
        request = service.request(tmp_path / "Streets.tpkx", COUNTRY, 5)
        site.republish("classic", service.task_name, tile_size=512)
        with pytest.raises(ServiceChanged):
            estimate_export(service.address.url, request, Feedback())


def test_what_an_export_keeps_holds_no_secret(site: Any, tmp_path: Path) -> None:
    service = Service(site, "World", "secured")
    site.fill("secured", "World:MapServer", [0, 1, 2])
    request = service.request(tmp_path / "World.tpkx", WORLD, 0, 1, 2)
    seen: list[str] = []

    def message(_message: Any) -> None:
        for file in tmp_path.rglob("*.json"):
            seen.append(file.read_text())

    def progress(_percent: float) -> None:
        message(None)

    run_export(
        service.address.url,
        request,
        Feedback(progress=progress, message=message),
        pixels=NoPixels(),
        sign_in=sign_in(PUBLISHER),
    )
    assert any("job_url" in text and json.loads(text)["job_url"] for text in seen)
    assert not any("token" in text or PUBLISHER.password in text for text in seen)
