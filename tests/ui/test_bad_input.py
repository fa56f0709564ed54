"""What a person reads when a run cannot start, or fails."""

from __future__ import annotations

from typing import Any

import pytest
from qgis.PyQt.QtCore import QObject, Qt

from tile_cache_manager.plugin.core import errors

WORLD_URL = "https://site.test/arcgis/rest/services/World/MapServer"
JOB_URL = "https://site.test/arcgis/rest/jobs/j1"


def no_scale(person: Any) -> None:
    person.click("check_none_button")


def bad_extent(person: Any) -> None:
    person.choose("area_kind_combo", "Typed Extent")
    person.find("typed_extent_edit").setText("1 2 3")


def no_extent(person: Any) -> None:
    person.choose("area_kind_combo", "Typed Extent")


def extent_outside(person: Any) -> None:
    person.choose("area_kind_combo", "Typed Extent")
    person.find("typed_extent_edit").setText("0 30000000 10 30000010")


def nothing_drawn(person: Any) -> None:
    person.choose("area_kind_combo", "Draw Polygon")


def no_layer(person: Any) -> None:
    person.choose("area_kind_combo", "Polygon Layer")


def no_layers(person: Any) -> None:
    person.choose("area_kind_combo", "Extents of All Layers (Union)")


# what the person does, words of the sentence they read
BAD_FORMS = [
    (no_scale, "No scale is chosen"),
    (bad_extent, "“1 2 3” is not an extent"),
    (no_extent, "four numbers"),
    (extent_outside, "World"),
    (nothing_drawn, "Nothing is drawn yet"),
    (no_layer, "no layer of this kind"),
    (no_layers, "layer"),
]


@pytest.mark.parametrize(("do", "words"), BAD_FORMS)
def test_what_cannot_run_says_why(
    loaded: Any, person: Any, cache: Any, do: Any, words: str
) -> None:
    button = person.find("run_button")
    assert button.isEnabled()
    assert button.toolTip() == "Start the update"
    do(person)
    person.wait_until(lambda: not button.isEnabled(), what="the button")
    person.wait_for_count()

    assert not button.isEnabled()
    assert words in button.toolTip()
    assert "\n" not in button.toolTip()

    person.choose("area_kind_combo", "Full Extent")
    person.click("check_all_button")
    person.wait_until(button.isEnabled, what="the button")
    assert cache.requests == []


UNREACHABLE = errors.SiteUnreachable(WORLD_URL, errors.Unreachable.TIMEOUT)
# what the site answers, words of the sentence the person reads
FAILURES = [
    (errors.JobFailed(JOB_URL, "ERROR 001470: no disk space"), "ERROR 001470: no disk"),
    (errors.JobLost(JOB_URL, UNREACHABLE, 300), JOB_URL),
    (errors.NotAllowed(WORLD_URL, 403, "You do not have permissions"), "permissions"),
    (errors.SignInNeeded(WORLD_URL, 498, "Invalid token"), "sign"),
    (errors.CancelUnconfirmed(JOB_URL, 30), JOB_URL),
    (RuntimeError("a surprise"), "a surprise"),
]


@pytest.mark.parametrize(("ending", "words"), FAILURES)
def test_a_failure_is_told_in_a_sentence_and_the_form_stays_filled(
    loaded: Any, person: Any, cache: Any, qgis_bar: Any, ending: Exception, words: str
) -> None:
    cache.ending = ending
    person.find("instances_spin").setValue(7)
    person.choose("mode_combo", "Recreate All Tiles")
    person.wait_for_count()
    filled = form(person)

    person.click("run_button")
    person.wait_until(lambda: cache.requests, what="the update")
    person.wait_for_end()
    sentence = person.shows("progress_label")
    assert qgis_bar.currentItem().text() == sentence
    assert person.error() == ""  # it stands in the dialog already

    assert words in sentence
    assert "\n" not in sentence
    assert form(person) == filled
    assert len(cache.requests) == 1
    assert person.find("run_button").isEnabled()


def form(person: Any) -> list[Any]:
    combos = ("address_combo", "area_kind_combo", "mode_combo")
    return [
        *(person.find(name).currentText() for name in combos),
        person.find("typed_extent_edit").text(),
        person.find("instances_spin").value(),
        person.find("wait_check").isChecked(),
        person.ticked(),
    ]


def tick(person: Any) -> None:
    person.click("check_all_button")


def another_area(person: Any) -> None:
    person.choose("area_kind_combo", "Canvas Extent")


def another_mode(person: Any) -> None:
    person.choose("mode_combo", "Delete Tiles")


def another_address(person: Any) -> None:
    person.find("address_combo").setEditText(JOB_URL)


def load(person: Any) -> None:
    person.click("load_button")


@pytest.mark.parametrize("change", [tick, another_area, another_mode, another_address, load])
def test_a_change_of_the_form_takes_the_error_away(
    loaded: Any, person: Any, cache: Any, change: Any
) -> None:
    person.click("check_none_button")
    answer, cache.answer = cache.answer, UNREACHABLE
    person.click("load_button")
    person.wait_for_error()
    cache.answer = answer

    change(person)

    assert person.error() == ""
    person.wait_for_count()


def test_what_a_site_says_is_never_read_as_markup(
    loaded: Any, person: Any, cache: Any, qgis_bar: Any
) -> None:
    cache.ending = errors.JobFailed(JOB_URL, "<b>bold</b> 1 < 2 & 3")
    person.click("run_button")

    person.wait_until(lambda: qgis_bar.currentItem() is not None, what="a line in QGIS's bar")
    notice = qgis_bar.currentItem().findChild(QObject, "notice_label")
    for label in (notice, person.find("progress_label")):
        assert "1 < 2 & 3" in label.text()
        assert label.textFormat() == Qt.TextFormat.PlainText
