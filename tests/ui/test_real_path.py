"""The dialog before the stand-in ArcGIS site, nothing faked between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from arcgis_server.handle import PUBLISHER
from qgis.core import QgsApplication

# Levels 0, 1 and 2 of the ArcGIS Online scheme, the whole world.
WORLD_TILES = {0: 1, 1: 4, 2: 16}


@pytest.fixture
def publisher(store_sign_in: Callable[..., str]) -> str:
    """Id of the sign-in details of a user who may manage caches."""
    return store_sign_in("Basic", username=PUBLISHER.name, password=PUBLISHER.password)


def load_world(visitor: Any, site: Any, sign_in: str) -> None:
    """As a person would: the site's address and a sign-in, then World from the list."""
    visitor.find("auth_select").setConfigId(sign_in)
    visitor.find("address_combo").setEditText(site.services_url("classic"))
    visitor.click("load_button")
    visitor.wait_until(lambda: visitor.find("service_combo").count() > 1, 20, "the services")
    visitor.choose("service_combo", "World (MapServer)")
    visitor.wait_until(visitor.ticked, 20, "the scales")


def tick_first(visitor: Any, scales: int) -> None:
    """Tick the coarsest scales, and wait until their tiles are counted."""
    visitor.find("range_from_combo").setCurrentIndex(0)
    visitor.find("range_to_combo").setCurrentIndex(scales - 1)
    visitor.click("range_button")
    visitor.wait_for_count()


def tiles(site: Any) -> dict[int, int]:
    """How many tiles of World lie on the site's disk, by level."""
    cache = site.read_cache("classic", "World")
    return {level: len(found) for level, found in cache.items() if found}


def cached_texts(visitor: Any) -> list[str]:
    model = visitor.find("scales_view").model()
    return [model.index(row, 4).data() for row in range(3)]


def test_make_cancel_complete_delete(visitor: Any, fresh_site: Any, publisher: str) -> None:
    load_world(visitor, fresh_site, publisher)
    tick_first(visitor, 3)
    assert visitor.shows("tile_count_label") == "21 tiles at 3 scales."

    fresh_site.pause_after("classic", 8)
    visitor.click("run_button")
    fresh_site.wait_until_paused("classic")
    visitor.click("cancel_button")
    visitor.wait_for_end()
    assert " cancelled, " in visitor.shows("progress_label")
    assert sum(tiles(fresh_site).values()) == 8

    fresh_site.release("classic")
    visitor.click("run_button")
    visitor.wait_for_end()
    assert " done: 21 tiles in the area" in visitor.shows("progress_label")
    assert tiles(fresh_site) == WORLD_TILES
    visitor.wait_until(lambda: cached_texts(visitor) == ["100 %"] * 3, 20, "the new status")

    visitor.choose("mode_combo", "Delete Tiles")
    visitor.click("run_button")
    visitor.answer("Yes")
    visitor.wait_for_end()
    assert tiles(fresh_site) == {}


def test_a_job_that_fails_shows_the_site_s_own_words(
    visitor: Any, fresh_site: Any, publisher: str
) -> None:
    load_world(visitor, fresh_site, publisher)
    tick_first(visitor, 2)
    fresh_site.fail_next("classic", "ERROR 001470: Disk quota exceeded")

    visitor.click("run_button")

    visitor.wait_for_end()
    assert visitor.shows("progress_label").startswith("The job failed on the site")
    assert "ERROR 001470: Disk quota exceeded" in visitor.find("messages_view").toPlainText()
    assert visitor.ticked() == [0, 1]


def test_unloading_lets_the_job_go_on_at_the_site(
    visitor: Any, fresh_site: Any, publisher: str, opener: Any
) -> None:
    load_world(visitor, fresh_site, publisher)
    tick_first(visitor, 3)
    fresh_site.pause_after("classic", 5)
    visitor.click("run_button")
    fresh_site.wait_until_paused("classic")

    opener.unload()
    assert QgsApplication.taskManager().countActiveTasks() == 0
    fresh_site.release("classic")

    def has_ended() -> bool:
        (job,) = fresh_site.jobs("classic")
        return job["jobStatus"] == "esriJobSucceeded"

    visitor.wait_until(has_ended, 20, "the job's end")
    assert tiles(fresh_site) == WORLD_TILES


def test_without_a_sign_in_the_dialog_says_so_and_opens_the_place_for_it(
    visitor: Any, fresh_site: Any
) -> None:
    load_world(visitor, fresh_site, "")

    assert "sign-in" in visitor.wait_for_error()
    assert not visitor.find("sign_in_box").isCollapsed()
    assert not visitor.find("run_button").isEnabled()
