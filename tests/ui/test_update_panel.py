"""Choosing what happens to the tiles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from qgis.PyQt.QtWidgets import QLabel, QPushButton

from tile_cache_manager.plugin.core import errors
from tile_cache_manager.plugin.core.request import UpdateMode
from tile_cache_manager.plugin.host.settings import Settings
from tile_cache_manager.ui.count_line import CountLine
from tile_cache_manager.ui.tile_counter import TileCounter

WORLD_URL = "https://site.test/arcgis/rest/services/World/MapServer"


def test_every_mode_has_a_line_of_help(loaded: Any, person: Any) -> None:
    combo = person.find("mode_combo")
    helps = []
    for row in range(combo.count()):
        combo.setCurrentIndex(row)
        helps.append(person.shows("mode_help_label"))

    names = [combo.itemText(row) for row in range(combo.count())]
    assert names == ["Recreate Empty Tiles", "Recreate All Tiles", "Delete Tiles"]
    assert len(set(helps)) == 3
    assert all(helps)


def test_a_mode_that_is_not_offered_is_disabled_and_says_why(
    dialog: Any, person: Any, cache: Any, without_modes: Any
) -> None:
    cache.answer = without_modes(UpdateMode.RECREATE_EMPTY)

    person.load(WORLD_URL)

    combo = person.find("mode_combo")
    enabled = [combo.model().item(row).isEnabled() for row in range(3)]
    assert enabled == [False, True, True]
    assert "does not offer “Recreate Empty Tiles”" in combo.model().item(0).toolTip()
    assert combo.currentText() == "Recreate All Tiles"


def test_the_wanted_mode_comes_back_with_a_service_that_offers_it(
    dialog: Any, person: Any, cache: Any, world: Any, without_modes: Any, opener: Any
) -> None:
    cache.answer = without_modes(UpdateMode.RECREATE_EMPTY)
    person.load(WORLD_URL)
    assert person.shows("mode_help_label").startswith(
        "“Recreate Empty Tiles” is not offered here; “Recreate All Tiles” is chosen instead.\n"
    )
    person.click("close_button")
    assert Settings().update_mode is UpdateMode.RECREATE_EMPTY
    dialog.show()

    cache.answer = world
    person.load(WORLD_URL)

    assert person.find("mode_combo").currentText() == "Recreate Empty Tiles"
    assert "not offered" not in person.shows("mode_help_label")


def test_a_mode_chosen_by_the_person_is_the_wanted_one(
    dialog: Any, person: Any, cache: Any, world: Any, without_modes: Any
) -> None:
    cache.answer = without_modes(UpdateMode.RECREATE_EMPTY)
    person.load(WORLD_URL)
    person.choose("mode_combo", "Delete Tiles")
    assert "not offered" not in person.shows("mode_help_label")

    cache.answer = without_modes(UpdateMode.DELETE)
    person.load(WORLD_URL)

    assert person.find("mode_combo").currentText() == "Recreate Empty Tiles"
    assert "“Delete Tiles” is not offered here" in person.shows("mode_help_label")


# tiles, scales, what is said
COUNTS = [
    (0, 1, "0 tiles at 1 scale."),
    (1, 1, "1 tile at 1 scale."),
    (2, 1, "2 tiles at 1 scale."),
    (2345, 3, "2,345 tiles at 3 scales."),
]


@pytest.mark.parametrize(("tiles", "scales", "words"), COUNTS)
def test_the_number_of_tiles_in_words(qgis_app: Any, tiles: int, scales: int, words: str) -> None:
    line = CountLine(QLabel(), QPushButton(), TileCounter())

    assert line.count_text(tiles, scales) == words


def test_a_site_that_cannot_update_disables_run_and_says_why(
    dialog: Any, person: Any, cache: Any, world: Any
) -> None:
    problem = errors.CachingUnavailable(WORLD_URL, errors.Unavailable.NO_RIGHT)
    cache.answer = replace(world, modes=(), modes_problem=problem)

    person.load(WORLD_URL)

    assert not person.find("run_button").isEnabled()
    assert "right" in person.find("run_button").toolTip()


def test_deleting_is_never_chosen_for_the_person(
    dialog: Any, person: Any, cache: Any, without_modes: Any
) -> None:
    cache.answer = without_modes(UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL)

    person.load(WORLD_URL)

    assert person.find("mode_combo").currentText() == "Recreate Empty Tiles"
    assert not person.find("run_button").isEnabled()
    assert "does not offer" in person.find("run_button").toolTip()


def test_there_are_never_zero_instances(loaded: Any, person: Any) -> None:
    spin = person.find("instances_spin")
    assert (spin.value(), spin.text()) == (-1, "Site decides")
    spin.stepUp()
    assert spin.value() == 1
    spin.stepDown()
    assert spin.value() == -1
