"""Updating a cache on this computer: source, filters, estimate, what was left undone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from qgis.core import QgsApplication, QgsMapThemeCollection
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QDateTime, Qt
from qgis.PyQt.QtWidgets import QDialog, QDialogButtonBox, QPushButton

from tile_cache_manager.plugin.core import errors
from tile_cache_manager.plugin.core.description import UnfinishedRun
from tile_cache_manager.plugin.core.request import (
    Message,
    Outcome,
    Pace,
    Resume,
    TileFilter,
    UpdateMode,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.tiling import Extent
from tile_cache_manager.plugin.host import local_tasks, tasks

PATH = "/data/my caches/World"
WORLD_URL = "https://site.test/arcgis/rest/services/World/MapServer"
OF_A_SITE = ("instances_label", "instances_spin", "wait_check")
OF_A_CACHE = (
    *("source_label", "source_combo", "source_button", "only_existing_check"),
    *("older_than_check", "older_than_edit", "estimate_button"),
)
INTERRUPTED = UnfinishedRun(
    UpdateMode.RECREATE_ALL, (2, 3), started=1.7e9, done=30, planned=120, failed=0,
    is_interrupted=True,
)  # fmt: skip
QUARTER = Extent(0, 0, 2e7, 2e7)
WITH_FAILURES = replace(INTERRUPTED, done=120, failed=7, is_interrupted=False)


def run(person: Any, cache: Any) -> Any:
    """Press Run and give what the cache was asked for, once it is through."""
    person.click("run_button")
    person.wait_until(lambda: cache.requests, what="the update")
    person.wait_for_end()
    return cache.requests[-1]


def offer(dialog: Any) -> Any:
    """The button that takes something up, None for none."""
    return dialog.findChild(QPushButton, "resume_button") or dialog.findChild(
        QPushButton, "retry_button"
    )


def test_each_kind_of_cache_has_its_own_options(
    dialog: Any, person: Any, cache: Any, local: Any, world: Any
) -> None:
    person.load(WORLD_URL)
    assert [name for name in OF_A_CACHE if person.find(name).isVisible()] == []
    cache.answer = local
    person.load(PATH)
    assert [name for name in OF_A_SITE if person.find(name).isVisible()] == []
    assert [name for name in OF_A_CACHE if not person.find(name).isVisible()] == []
    cache.answer = world
    person.load(WORLD_URL)
    assert [name for name in OF_A_SITE if not person.find(name).isVisible()] == []


def test_real_numbers_of_tiles_are_shown(local_loaded: Any, person: Any) -> None:
    model = person.find("scales_view").model()
    assert [model.index(row, 4).data() for row in (1, 2, 3)] == ["4", "1,234", "Yes"]


# mode, whether each filter can be ticked
FILTERS = [
    ("Recreate Empty Tiles", False, False),
    ("Recreate All Tiles", True, True),
    ("Delete Tiles", False, True),
]


@pytest.mark.parametrize(("mode", "only_existing", "older_than"), FILTERS)
def test_a_filter_is_offered_where_it_means_something(
    local_loaded: Any, person: Any, mode: str, only_existing: bool, older_than: bool
) -> None:
    person.choose("mode_combo", mode)

    for name, enabled in (("only_existing_check", only_existing), ("older_than_check", older_than)):
        assert person.find(name).isEnabled() is enabled
        assert person.find(name).toolTip()
    draws = mode != "Delete Tiles"
    for name in ("source_combo", "source_button"):
        assert person.find(name).isEnabled() is draws
        assert ("nothing is drawn" in person.find(name).toolTip()) is not draws


def test_filters_reach_the_cache(local_loaded: Any, person: Any, cache: Any) -> None:
    person.choose("mode_combo", "Recreate All Tiles")
    person.find("only_existing_check").setChecked(True)
    person.find("older_than_check").setChecked(True)
    person.find("older_than_edit").setDateTime(QDateTime.fromSecsSinceEpoch(1_600_000_000))

    assert run(person, cache).tile_filter == TileFilter(True, 1_600_000_000.0)


def test_a_filter_without_meaning_is_none(local_loaded: Any, person: Any, cache: Any) -> None:
    person.choose("mode_combo", "Recreate All Tiles")
    person.find("only_existing_check").setChecked(True)
    person.find("older_than_check").setChecked(True)
    person.choose("mode_combo", "Recreate Empty Tiles")

    assert run(person, cache).tile_filter == TileFilter()


def test_tiles_are_drawn_from_the_project_unless_told_otherwise(
    local_loaded: Any, person: Any, cache: Any
) -> None:
    assert person.find("source_combo").currentText() == "Visible layers of the project"

    assert run(person, cache).mode is UpdateMode.RECREATE_EMPTY
    assert [source.name for source in cache.sources if source] != []


def test_the_source_of_the_cache_is_chosen_at_first(
    dialog: Any, person: Any, cache: Any, local: Any, layers: Any, tmp_path: Any
) -> None:
    cache.answer = replace(local, source=str(tmp_path / "photo.tif"))
    person.load(PATH)

    assert person.find("source_combo").currentText() == "photo.tif"


def test_map_themes_are_offered(
    dialog: Any, person: Any, cache: Any, local: Any, layers: Any, project: Any
) -> None:
    record = QgsMapThemeCollection.MapThemeRecord()
    project.mapThemeCollection().insert("Night", record)
    cache.answer = local
    person.load(PATH)

    person.choose("source_combo", "Map theme Night")

    assert dialog.update_panel.source.text() == "theme:Night"


def test_layers_are_chosen_from_a_list(
    local_loaded: Any, person: Any, layers: Any, wait_until: Any
) -> None:
    (action,) = [a for a in person.find("source_button").menu().actions() if a.text() == "Layers…"]
    action.trigger()
    question = local_loaded.findChild(QDialog, "LayersDialog")
    tiles = question.layers_list
    buttons = QDialogButtonBox.StandardButton
    assert not question.button_box.button(buttons.Ok).isEnabled()
    names = [tiles.item(row).text() for row in range(tiles.count())]
    assert sorted(names) == ["fields", "lakes"]
    tiles.item(names.index("lakes")).setCheckState(Qt.CheckState.Checked)
    question.button_box.button(buttons.Ok).click()

    assert local_loaded.update_panel.source.text() == f"layers:{layers['lakes'].id()}"
    assert person.find("source_combo").currentText() == "lakes"


def test_what_cannot_be_drawn_is_said_before_anything_happens(
    local_loaded: Any, person: Any, cache: Any, project: Any, layers: Any, qgis_bar: Any
) -> None:
    project.removeAllMapLayers()
    person.click("run_button")
    person.wait_until(lambda: qgis_bar.currentItem() is not None, what="a line in QGIS's bar")

    assert "layers" in qgis_bar.currentItem().text()
    assert cache.requests == []
    layers.clear()


# Estimates


def test_an_estimate_is_told_and_goes_with_a_change(
    local_loaded: Any, person: Any, cache: Any
) -> None:
    person.choose("range_to_combo", "1:147,914,382")
    person.click("range_button")
    person.wait_for_count()
    person.click("estimate_button")
    person.wait_until(lambda: "about" in person.shows("tile_count_label"), what="the estimate")

    # Two levels of 10 tiles, 2,000,000 bytes and a minute each; 2 ** 20 bytes are 1 MB.
    count, estimate = person.shows("tile_count_label").split("\n")
    assert count == "20 tiles at 2 scales."
    assert estimate == "Estimated: about 20 tiles, 3.8 MB, 2 minutes."
    person.choose("mode_combo", "Recreate All Tiles")
    assert person.shows("tile_count_label") == "20 tiles at 2 scales."


def test_an_estimate_that_fails_says_why(local_loaded: Any, person: Any, cache: Any) -> None:
    cache.ending = errors.LayerFailed("lakes", "connection lost")
    person.click("estimate_button")

    assert "lakes" in person.wait_for_error()
    assert person.find("estimate_button").isEnabled()


def test_an_estimate_can_be_stopped(
    local_loaded: Any, person: Any, cache: Any, gate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "estimate", gate.before(cache.estimate))
    counted = person.shows("tile_count_label")
    person.click("estimate_button")
    person.wait_until(gate.reached.is_set, what="the estimate")
    assert person.shows("estimate_button") == "Stop"
    assert "Estimating from a few tiles… 0 %" in person.shows("tile_count_label")

    person.click("estimate_button")
    assert person.shows("estimate_button") == "Estimate"
    assert person.shows("tile_count_label") == counted
    gate.open()
    manager = QgsApplication.taskManager()
    person.wait_until(lambda: manager.countActiveTasks() == 0, what="the task's end")
    assert person.shows("tile_count_label") == counted


# Unfinished updates


@pytest.mark.parametrize(
    ("unfinished", "button", "how"),
    [
        (INTERRUPTED, "resume_button", Resume.CONTINUE),
        (WITH_FAILURES, "retry_button", Resume.FAILED),
        (replace(INTERRUPTED, mode=UpdateMode.DELETE), "resume_button", Resume.CONTINUE),
    ],
)
def test_what_was_left_undone_is_taken_up(
    dialog: Any,
    person: Any,
    cache: Any,
    local: Any,
    layers: Any,
    unfinished: UnfinishedRun,
    button: str,
    how: Resume,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorded = UpdateRequest(
        local.scheme, local.scheme.levels[2:4], unfinished.mode, extent=QUARTER, resume=how
    )
    monkeypatch.setattr(tasks, "unfinished_request", lambda _path: recorded)
    cache.answer = replace(local, unfinished=unfinished)
    person.load(PATH)
    assert "update" in person.error()
    cache.answer = local

    person.click(button)
    person.wait_until(lambda: cache.requests, what="the update")
    person.wait_for_end()

    assert cache.requests == [recorded]
    begun = "Going on" if how is Resume.CONTINUE else "Trying the tiles again"
    assert person.messages().startswith(begun)
    person.wait_until(lambda: person.error() == "", what="no offer")


def test_an_offer_outlives_complaints(
    dialog: Any, person: Any, cache: Any, local: Any, layers: Any
) -> None:
    cache.answer = replace(local, unfinished=INTERRUPTED)
    person.load(PATH)
    offered = person.error()
    person.click("check_none_button")
    person.click("estimate_button")
    assert person.error() != offered

    person.click("check_all_button")

    assert person.error() == offered


def test_failures_of_a_run_are_offered_for_a_retry(
    local_loaded: Any, person: Any, cache: Any, local: Any
) -> None:
    cache.ending = Outcome.PARTIAL
    cache.answer = replace(local, unfinished=WITH_FAILURES)
    run(person, cache)

    person.wait_until(lambda: offer(local_loaded), what="the offer")
    assert "7 tiles failed" in person.error()


def test_the_bar_tells_what_the_offer_tells(
    local_loaded: Any, person: Any, cache: Any, local: Any
) -> None:
    person.start_and_hold(cache)
    cache.answer = replace(local, unfinished=INTERRUPTED)
    person.click("cancel_button")
    person.wait_for_end()

    person.wait_until(lambda: offer(local_loaded), what="the offer")
    assert "after 25 %" in person.error()
    assert person.find("progress_bar").value() == 25
    cache.answer = local
    cache.go_on.set()
    run(person, cache)
    assert person.find("progress_bar").value() == 100


def test_a_run_without_messages_says_so(local_loaded: Any, person: Any, cache: Any) -> None:
    view = person.find("messages_view")
    assert view.placeholderText() == "Messages appear here."
    local_loaded.progress_panel.start("Running…")
    assert view.placeholderText() == "Messages appear here."
    local_loaded.progress_panel.end("Done.")
    assert view.placeholderText() == "There were no messages."


def test_an_offer_is_discarded(
    dialog: Any,
    person: Any,
    cache: Any,
    local: Any,
    layers: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    discarded: list[str] = []
    monkeypatch.setattr(local_tasks, "discard_unfinished", lambda path: discarded.append(str(path)))
    cache.answer = replace(local, unfinished=INTERRUPTED)
    person.load(PATH)
    cache.answer = local
    person.click("discard_button")

    person.wait_until(lambda: len(cache.asked) == 2, what="the cache being asked again")
    person.wait_until(lambda: dialog._description.unfinished is None, what="the answer")
    assert discarded == [PATH]
    assert person.error() == ""


def test_what_cannot_be_discarded_is_offered_again(
    dialog: Any,
    person: Any,
    cache: Any,
    local: Any,
    layers: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(path: Any) -> None:
        raise errors.ReadOnlyCache(str(path), errors.ReadOnlyReason.RIGHTS)

    monkeypatch.setattr(local_tasks, "discard_unfinished", refuse)
    cache.answer = replace(local, unfinished=INTERRUPTED)
    person.load(PATH)
    offered = person.error()
    person.click("discard_button")

    person.wait_until(lambda: "may not be written" in person.error(), what="the complaint")
    person.click("check_none_button")
    assert person.error() == offered


def test_an_offer_comes_back_where_nothing_was_begun(
    dialog: Any, person: Any, cache: Any, local: Any, layers: Any, project: Any
) -> None:
    cache.answer = replace(local, unfinished=INTERRUPTED)
    person.load(PATH)
    offered = person.error()
    person.choose("mode_combo", "Delete Tiles")
    person.click("run_button")
    assert person.error() == ""
    person.answer("No")
    assert person.error() == offered

    project.removeAllMapLayers()  # so that nothing can be drawn
    layers.clear()
    person.click("resume_button")
    person.wait_for_end()
    assert person.error() == offered
    assert cache.requests == []


def test_an_offer_that_was_closed_does_not_come_back(
    dialog: Any, person: Any, cache: Any, local: Any, layers: Any
) -> None:
    cache.answer = replace(local, unfinished=INTERRUPTED)
    person.load(PATH)
    bar = person.find("message_bar")
    line = bar.currentItem()
    bar.popWidget(line)
    person.wait_until(lambda: sip.isdeleted(line), what="the line's end")
    person.choose("mode_combo", "Delete Tiles")
    person.click("run_button")
    person.answer("No")

    assert person.error() == ""


def test_another_cache_has_no_offer(
    dialog: Any, person: Any, cache: Any, local: Any, world: Any
) -> None:
    cache.answer = replace(local, unfinished=INTERRUPTED)
    person.load(PATH)
    cache.answer = world
    person.load(WORLD_URL)

    assert person.error() == ""


# Asking, and ending


def test_deleting_names_the_path(local_loaded: Any, person: Any, cache: Any) -> None:
    person.choose("mode_combo", "Delete Tiles")
    person.click("run_button")
    person.wait_until(person.question, what="the question")

    assert person.question().text() == f"Delete up to 1,364 tiles of {PATH}?"
    person.answer("No")
    assert cache.requests == []


def test_a_very_large_run_names_path_and_source(
    dialog: Any, person: Any, cache: Any, local: Any, layers: Any
) -> None:
    cache.answer = replace(local, cached_levels=local.scheme.levels)
    person.load(PATH)
    person.choose("mode_combo", "Recreate All Tiles")
    person.click("run_button")
    person.wait_until(person.question, what="the question")

    assert person.question().text() == f"Recreate 349,525 tiles of {PATH}?"
    told = person.question().informativeText()
    assert "Visible layers of the project" in told
    assert "site" not in told
    person.answer("No")


def test_unloading_stops_the_update(
    local_loaded: Any, person: Any, cache: Any, opener: Any
) -> None:
    person.start_and_hold(cache)

    opener.unload()

    manager = QgsApplication.taskManager()
    person.wait_until(lambda: manager.countActiveTasks() == 0, what="the task's end")
    assert cache.endings == [Outcome.CANCELLED]


def test_the_path_can_be_copied_from_the_report(
    local_loaded: Any, person: Any, cache: Any, qgis_bar: Any
) -> None:
    run(person, cache)

    assert PATH in qgis_bar.currentItem().text()
    button = qgis_bar.currentItem().findChild(QPushButton, "copy_address_button")
    assert button.text() == "Copy Path"
    button.click()
    assert QgsApplication.clipboard().text() == PATH


def test_how_a_run_gets_on_is_said_in_one_place(
    local_loaded: Any, person: Any, cache: Any, local: Any
) -> None:
    person.start_and_hold(cache)
    title = person.shows("progress_label")
    for tiles, left in ((200, 90.0), (600, 40.0)):
        pace = Pace(local.cached_levels[2], tiles, 1364, 12.5, left)
        local_loaded.progress_panel.add_message(Message("", pace=pace))

    assert person.shows("progress_label") == (
        f"{title}\n1:73,957,191: 600 of 1,364 tiles, 12 tiles a second, about 40 seconds left"
    )
    assert person.messages() == "Job started"
    person.click("cancel_button")
    local_loaded.progress_panel.add_message(Message("", pace=pace))
    assert "Cancelling" in person.shows("progress_label")
    person.wait_for_end()


def test_nothing_speaks_of_a_site(local_loaded: Any, person: Any, cache: Any) -> None:
    person.start_and_hold(cache)
    said = [person.shows("progress_label")]
    person.click("cancel_button")
    said.append(person.shows("progress_label"))
    person.wait_for_end()
    said.append(person.shows("progress_label"))

    assert [text for text in said if "site" in text] == []
