"""The door to exports: which way an address leads, and who is let go of."""

from __future__ import annotations

import pytest
from tile_packages import make_package

from tile_cache_manager.plugin.core.errors import AddressError, NotACache, SiteUnreachable
from tile_cache_manager.plugin.core.export import run
from tile_cache_manager.plugin.core.export.request import ExportRequest
from tile_cache_manager.plugin.core.export.run import discard_export, estimate_export, run_export
from tile_cache_manager.plugin.core.local.source import TileSource
from tile_cache_manager.plugin.core.request import Feedback, Outcome
from tile_cache_manager.plugin.core.storage.opening import read_profile
from tile_cache_manager.plugin.core.storage.profile import StorageFormat

TILES = {(2, row, col): f"tile {row} {col}".encode() * 40 for row in (1, 2) for col in (1, 2)}
SERVICE = "https://maps.example/arcgis/rest/services/Streets/MapServer"


class Drawing(TileSource):
    def __init__(self):
        self.is_closed = False

    def start(self, profile):
        raise AssertionError("drawn")

    def draw(self, supertile, cancelled):
        raise AssertionError("drawn")

    def close(self):
        assert not self.is_closed
        self.is_closed = True


@pytest.fixture
def package(tmp_path):
    return make_package(tmp_path / "a.tpkx", TILES)


@pytest.fixture
def request_of(package, tmp_path):
    profile = read_profile(package)
    levels = (profile.scheme.level(2),)
    return ExportRequest(profile.scheme, levels, None, tmp_path / "b", StorageFormat.COMPACT_V2)


def call(function, address, request, feedback=None, **more):
    feedback = feedback or Feedback()
    if function is run_export:
        return run_export(address, request, feedback, pixels=None, **more)
    return estimate_export(address, request, feedback, **more)


def test_a_path_is_of_this_computer(package, request_of):
    drawing = Drawing()
    assert [each.tiles for each in call(estimate_export, str(package), request_of)] == [4]
    assert not request_of.target.exists()
    report = call(run_export, str(package), request_of, drawing=drawing)
    assert (report.outcome, report.total("made")) == (Outcome.DONE, 4)
    assert drawing.is_closed


def test_a_url_is_of_a_service(monkeypatch, request_of):
    seen = []
    monkeypatch.setattr(
        run, "export_service", lambda client, service, *rest, **more: seen.append(service.name)
    )
    monkeypatch.setattr(
        run, "estimate_service", lambda client, service, *rest, **more: seen.append(service.kind)
    )
    call(run_export, SERVICE, request_of)
    call(estimate_export, f"{SERVICE}/0?token=x", request_of)
    assert seen == ["Streets", "MapServer"]


@pytest.mark.parametrize("function", [run_export, estimate_export])
@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("https://maps.example/nothing", AddressError),
        ("/no/such/cache.tpkx", NotACache),
        ("http://127.0.0.1:9/arcgis/rest/services/A/MapServer", SiteUnreachable),
    ],
)
def test_what_draws_is_let_go_of_after_errors_too(request_of, function, address, error):
    drawing = Drawing()
    once = Feedback(cancelled=lambda: True)  # so that a site that is not there is not asked again
    with pytest.raises(error):
        call(function, address, request_of, once, drawing=drawing)
    assert drawing.is_closed


def test_nothing_is_there_to_be_discarded(tmp_path):
    discard_export(tmp_path / "b")
    assert not (tmp_path / "b").exists()
