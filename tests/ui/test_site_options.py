"""What can be chosen for an update that a site carries out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from qgis.PyQt.QtWidgets import QWidget

from tile_cache_manager.plugin.core.request import SITE_DECIDES, HostedOptions, UpdateMode

HOSTED_MODES = (UpdateMode.RECREATE_ALL, UpdateMode.DELETE)
OF_HOSTED = ("merge_check", "replace_check")


@pytest.fixture
def hosted(dialog: Any, person: Any, cache: Any, world: Any) -> Any:
    """The dialog with a hosted layer loaded."""
    cache.answer = replace(world, is_hosted=True, modes=HOSTED_MODES)
    person.load(world.address)
    return dialog


def request_of(person: Any, cache: Any) -> Any:
    """What is asked of the site when Run is pressed."""
    person.click("run_button")
    person.wait_until(lambda: cache.requests, what="the update")
    person.wait_for_end()
    return cache.requests[-1]


def test_a_service_of_a_server_is_asked_as_ever(loaded: Any, person: Any, cache: Any) -> None:
    assert not any(person.find(name).isVisible() for name in OF_HOSTED)
    assert person.find("instances_spin").isVisible()

    request = request_of(person, cache)

    assert request.hosted == HostedOptions()
    assert not request.isolates_failures
    assert request.alarm_seconds == 600


def test_a_hosted_layer_has_bundles_and_no_instances(hosted: Any, person: Any, cache: Any) -> None:
    assert all(person.find(name).isVisible() for name in OF_HOSTED)
    assert not person.find("instances_spin").isVisible()
    assert not person.find("replace_check").isEnabled()
    assert "as a whole" in person.find("replace_check").toolTip()
    person.choose("mode_combo", "Recreate All Tiles")

    person.find("instances_spin").setValue(4)
    person.find("merge_check").setChecked(True)
    person.find("replace_check").setChecked(True)
    request = request_of(person, cache)

    assert request.hosted == HostedOptions(merges_bundles=True, replaces_tiles=True)
    assert request.instances == SITE_DECIDES


def test_replacing_means_nothing_without_merging(hosted: Any, person: Any, cache: Any) -> None:
    person.choose("mode_combo", "Recreate All Tiles")
    person.find("merge_check").setChecked(True)
    person.find("replace_check").setChecked(True)
    person.find("merge_check").setChecked(False)

    assert request_of(person, cache).hosted == HostedOptions()


def test_nothing_is_merged_where_tiles_are_deleted(hosted: Any, person: Any, cache: Any) -> None:
    person.choose("mode_combo", "Recreate All Tiles")
    person.find("merge_check").setChecked(True)
    person.choose("mode_combo", "Delete Tiles")

    assert not person.find("merge_check").isEnabled()
    assert "whole bundles" in person.find("merge_check").toolTip()
    assert "outside the area" in person.shows("mode_help_label")
    person.click("run_button")
    person.answer("Yes")
    person.wait_until(lambda: cache.requests, what="the update")
    assert cache.requests[-1].hosted == HostedOptions()


def test_what_is_chosen_for_trouble_is_asked_for(loaded: Any, person: Any, cache: Any) -> None:
    person.find("isolate_check").setChecked(True)
    person.find("alarm_spin").setValue(3)

    request = request_of(person, cache)

    assert request.isolates_failures
    assert request.alarm_seconds == 180


def test_choices_are_remembered(hosted: Any, person: Any, opener: Any) -> None:
    for name in ("merge_check", "replace_check", "isolate_check"):
        person.find(name).setChecked(True)
    person.find("alarm_spin").setValue(25)
    person.click("close_button")

    again = opener.open()

    for name in ("merge_check", "replace_check", "isolate_check"):
        assert again.findChild(QWidget, name).isChecked(), name
    assert again.findChild(QWidget, "alarm_spin").value() == 25
