"""What may be asked of a cache, and how its answer adds up."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from tile_cache_manager.plugin.core.errors import BadInstances, BadScales, NoLevels, UnknownScale
from tile_cache_manager.plugin.core.request import (
    SITE_DECIDES,
    Feedback,
    LevelReport,
    Message,
    Outcome,
    Severity,
    UpdateMode,
    UpdateReport,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.scales import parse_scales
from tile_cache_manager.plugin.core.tiling import Level, SpatialReference, TilingScheme

COARSE, FINE = Level(0, 100.0, 400000.0), Level(1, 50.0, 200000.0)
SCHEME = TilingScheme(0, 0, 256, 256, 96, SpatialReference(25832), (COARSE, FINE))


def test_modes_are_called_as_arcgis_calls_them():
    # Manage Map Server Cache Tiles, parameter update_mode (Esri's tool reference)
    assert {mode.value for mode in UpdateMode} == {
        "RECREATE_EMPTY_TILES",
        "RECREATE_ALL_TILES",
        "DELETE_TILES",
    }


def test_a_request_asks_for_the_whole_cache_unless_told_otherwise():
    request = UpdateRequest(SCHEME, (COARSE, FINE), UpdateMode.RECREATE_ALL)
    assert (request.area, request.extent) == (None, None)
    assert request.instances == SITE_DECIDES == -1
    assert request.wait


def test_a_request_needs_a_level():
    with pytest.raises(NoLevels):
        UpdateRequest(SCHEME, (), UpdateMode.DELETE)


@pytest.mark.parametrize("instances", [-1, 1, 2, 64])
def test_numbers_of_instances_that_can_be_asked_for(instances):
    request = UpdateRequest(SCHEME, (COARSE,), UpdateMode.RECREATE_ALL, instances=instances)
    assert request.instances == instances


@pytest.mark.parametrize("instances", [0, -2, -100])
def test_numbers_of_instances_that_cannot_be_asked_for(instances):
    with pytest.raises(BadInstances) as caught:
        UpdateRequest(SCHEME, (COARSE,), UpdateMode.RECREATE_ALL, instances=instances)
    assert caught.value.instances == instances


def test_a_request_does_not_change():
    request = UpdateRequest(SCHEME, (COARSE,), UpdateMode.DELETE)
    with pytest.raises(FrozenInstanceError):
        request.wait = False


def test_feedback_may_be_left_out():
    feedback = Feedback()
    feedback.progress(50.0)
    feedback.message(Message("half way"))
    assert feedback.cancelled() is False
    assert Message("half way").severity is Severity.INFO


def report(*levels: LevelReport) -> UpdateReport:
    return UpdateReport(Outcome.DONE, UpdateMode.RECREATE_ALL, levels, "https://example.com/m")


def test_a_total_may_be_larger_than_32_bits():
    levels = LevelReport(COARSE, 2**37), LevelReport(FINE, 2**38)
    assert report(*levels).total("planned") == 2**37 + 2**38
    assert report().total("planned") == 0


@pytest.mark.parametrize("what", ["made", "replaced", "deleted", "skipped", "failed"])
@pytest.mark.parametrize(
    ("coarse", "fine", "total"), [(3, 4, 7), (0, 0, 0), (3, None, None), (None, None, None)]
)
def test_a_total_is_unknown_where_a_level_is(what, coarse, fine, total):
    levels = LevelReport(COARSE, 9, **{what: coarse}), LevelReport(FINE, 9, **{what: fine})
    assert report(*levels).total(what) == total


def test_what_a_site_does_not_tell_is_unknown_rather_than_nothing():
    assert report(LevelReport(COARSE, 9, made=9)).total("failed") is None


@pytest.mark.parametrize(
    ("outcome", "address"),
    [
        (Outcome.DONE, "https://example.com/m"),
        (Outcome.CANCELLED, "https://example.com/m"),
        (Outcome.SUBMITTED, "https://example.com/jobs/j1"),
    ],
)
def test_a_report_sends_people_to_the_job_only_while_it_goes_on(outcome, address):
    report = UpdateReport(
        outcome, UpdateMode.DELETE, (), "https://example.com/m", "j1", "https://example.com/jobs/j1"
    )
    assert report.address == address


@pytest.mark.parametrize(
    ("text", "scales"),
    [
        ("", ()),
        ("  ", ()),
        ("5000;2500", (5000.0, 2500.0)),
        ("1:5000", (5000.0,)),
        (" 5e3 ;", (5000.0,)),
        ("591657527.591555", (591657527.591555,)),
    ],
)
def test_lists_of_scales(text, scales):
    assert parse_scales(text) == scales


GROUPED = [
    ("1:25.000", 25000.0),  # German
    ("1:50'000'000", 50e6),  # Swiss, and as Qt writes it:
    ("1:50\u2019000\u2019000", 50e6),
    ("1:12,500,000", 12.5e6),  # American
    ("1 : 25 000", 25000.0),
    ("25\u00a0000", 25000.0),
    ("1:591\u202f657\u202f528", 591657528.0),  # French
    ("1,500.5", 1500.5),
    ("1.500,5", 1500.5),
    ("1'500.25", 1500.25),
    ("72223.819286", 72223.819286),
    ("1000.125", 1000.125),
    ("0.125", 0.125),
    ("25.00", 25.0),
]


@pytest.mark.parametrize(("text", "scale"), GROUPED)
def test_scales_as_people_and_qgis_write_them(text, scale):
    assert parse_scales(text) == (scale,)
    assert parse_scales(f"{text}; 500") == (scale, 500.0)


@pytest.mark.parametrize(
    "text",
    [
        ";",
        " ; ; ",
        "0",
        "-5",
        "nan",
        "inf",
        "1:",
        "5000,2500",
        "5000;street",
        "5,00",
        "1,50,000",
        "12 34",
        "25.000,250.000",
        "1:25.000'000",
        "2500.000.000",
        "1;25 00",
        "500,000,",
    ],
)
def test_what_is_no_list_of_scales(text):
    """Least of all a way to say "all of them"."""
    with pytest.raises(BadScales) as caught:
        parse_scales(text)
    assert caught.value.text == text


@pytest.mark.parametrize("level", [Level(2, 25.0, 100000.0), Level(0, 100.0, 399999.0)])
def test_levels_of_another_scheme_are_refused(level):
    with pytest.raises(UnknownScale):
        UpdateRequest(SCHEME, (COARSE, level), UpdateMode.DELETE)
