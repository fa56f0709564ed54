"""The question before an update that deletes or is very large."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest

from tile_cache_manager.plugin.core.request import UpdateMode
from tile_cache_manager.plugin.host.wording import VERY_MANY_TILES
from tile_cache_manager.ui.run_question import needs_question

WORLD_URL = "https://site.test/arcgis/rest/services/World/MapServer"


@pytest.mark.parametrize(
    ("mode", "tiles", "asked"),
    [
        (UpdateMode.DELETE, 0, True),
        (UpdateMode.DELETE, 1, True),
        (UpdateMode.RECREATE_ALL, VERY_MANY_TILES - 1, False),
        (UpdateMode.RECREATE_ALL, VERY_MANY_TILES, True),
        (UpdateMode.RECREATE_EMPTY, VERY_MANY_TILES - 1, False),
        (UpdateMode.RECREATE_EMPTY, VERY_MANY_TILES, True),
    ],
)
def test_when_a_person_is_asked(mode: UpdateMode, tiles: int, asked: bool) -> None:
    assert needs_question(mode, tiles) is asked


def test_deleting_names_service_tiles_and_scales(loaded: Any, person: Any, cache: Any) -> None:
    person.choose("range_to_combo", "1:147,914,382")
    person.click("range_button")
    person.choose("mode_combo", "Delete Tiles")
    person.click("run_button")
    person.wait_until(person.question, what="the question")

    assert person.question().text() == "Delete up to 20 tiles of World?"
    assert "1:295,828,764; 1:147,914,382" in person.question().informativeText()
    assert WORLD_URL in person.question().informativeText()
    assert "outside the area" not in person.question().informativeText()
    person.answer("No")


def test_of_a_hosted_layer_whole_bundles_are_deleted_and_said_so(
    dialog: Any, person: Any, cache: Any, world: Any
) -> None:
    cache.answer = replace(
        world, is_hosted=True, modes=(UpdateMode.RECREATE_ALL, UpdateMode.DELETE)
    )
    person.load(WORLD_URL)
    person.choose("mode_combo", "Delete Tiles")
    person.find("typed_extent_edit").setText("1000 1000 2000 2000")
    person.choose("area_kind_combo", "Typed Extent")
    person.wait_for_count()
    person.click("run_button")
    person.wait_until(person.question, what="the question")

    # of levels 1 to 5, each a part of one bundle
    assert person.question().text() == "Delete up to 1,364 tiles of World?"
    assert "also tiles outside the area" in person.question().informativeText()
    person.answer("No")
    assert cache.requests == []


def test_no_does_nothing(loaded: Any, person: Any, cache: Any) -> None:
    person.choose("mode_combo", "Delete Tiles")
    person.click("run_button")
    person.answer("No")

    assert cache.requests == []
    assert person.find("run_button").isEnabled()
    assert person.find("mode_combo").currentText() == "Delete Tiles"
    assert person.ticked() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("key", [Qt.Key.Key_Escape, Qt.Key.Key_Return])
def test_keys_that_say_no(loaded: Any, person: Any, cache: Any, key: Any) -> None:
    person.choose("mode_combo", "Delete Tiles")
    person.click("run_button")
    QTest.keyClick(person.question(), key)
    person.wait_until(lambda: person.question() is None, what="the question to close")

    assert cache.requests == []


def test_yes_deletes(loaded: Any, person: Any, cache: Any) -> None:
    person.choose("mode_combo", "Delete Tiles")
    person.click("run_button")
    person.answer("Yes")
    person.wait_until(lambda: cache.requests, what="the update")
    person.wait_for_end()

    assert [request.mode for request in cache.requests] == [UpdateMode.DELETE]


def test_a_very_large_run_is_asked_for(dialog: Any, person: Any, cache: Any, world: Any) -> None:
    cache.answer = replace(world, cached_levels=world.scheme.levels)
    person.load(WORLD_URL)
    # Levels 0 to 9 of the whole world: (4 ** 10 - 1) / 3 tiles.
    assert person.shows("tile_count_label") == "349,525 tiles at 10 scales."

    person.click("run_button")

    assert "349,525 tiles of World" in person.question().text()
    person.answer("No")
    assert cache.requests == []


def test_a_number_of_tiles_nobody_knows_is_asked_for(
    dialog: Any, person: Any, cache: Any, world: Any
) -> None:
    cache.answer = replace(world, extent=None)
    person.load(WORLD_URL)
    assert "not known" in person.shows("tile_count_label")

    person.click("run_button")

    assert "all tiles of World" in person.question().text()
    assert "not known" in person.question().informativeText()
    person.answer("Yes")
    person.wait_until(lambda: cache.requests, what="the update")
    person.wait_for_end()
