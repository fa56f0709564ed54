"""The button with which a person trusts the portal of a site with the sign-in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from qgis.PyQt.QtWidgets import QPushButton

from tile_cache_manager.plugin.core import errors
from tile_cache_manager.plugin.core.errors import SignInFailed, SignInProblem
from tile_cache_manager.plugin.host import settings

WORLD_URL = "https://site.test/arcgis/rest/services/World/MapServer"
SITE_URL = "https://site.test/arcgis"
PORTAL = "https://portal.test:7443/portal"


def other_portal(portal_url: str = PORTAL, host: str = "portal.test") -> SignInFailed:
    return SignInFailed(SITE_URL, SignInProblem.OTHER_HOST, host, portal_url)


@pytest.fixture
def signed_in(dialog: Any, person: Any, store_sign_in: Callable[..., str]) -> str:
    """The id of details that are chosen in the dialog."""
    config_id = store_sign_in("Basic", username="anna", password="hunter2")
    person.find("auth_select").setConfigId(config_id)
    return config_id


def button(person: Any) -> QPushButton | None:
    return person.dialog.findChild(QPushButton, "trust_portal_button")


def test_a_portal_is_trusted_at_a_press_and_the_service_loaded_again(
    signed_in: str, person: Any, cache: Any
) -> None:
    world = cache.answer
    cache.answer = other_portal()
    person.load(WORLD_URL)

    assert "portal.test" in person.wait_for_error()
    assert button(person).text() == "Sign In at portal.test:7443"
    assert settings.trusted_portals(signed_in) == ()
    assert [each.trusted_portals for each in cache.sign_ins] == [()]

    cache.answer = world
    person.click("trust_portal_button")
    person.wait_until(lambda: len(cache.sign_ins) == 2, what="the second try")
    person.wait_until(person.ticked, what="the service")

    assert settings.trusted_portals(signed_in) == (PORTAL,)
    assert cache.asked == [WORLD_URL, WORLD_URL]
    assert cache.sign_ins[1].trusted_portals == (PORTAL,)
    assert person.error() == ""


def test_of_a_site_s_services_the_chosen_one_is_loaded_again(
    signed_in: str, person: Any, cache: Any, services: Any
) -> None:
    cache.answer = services
    person.load(f"{SITE_URL}/rest/services")
    cache.answer = other_portal()
    person.choose("service_combo", "World (MapServer)")
    person.wait_for_error()
    person.click("trust_portal_button")
    person.wait_until(lambda: len(cache.asked) == 3, what="the second try")
    assert cache.asked[1:] == [WORLD_URL, WORLD_URL]


def test_only_these_sign_in_details_are_trusted_with(
    signed_in: str, person: Any, cache: Any, store_sign_in: Callable[..., str]
) -> None:
    other = store_sign_in("Basic", username="anna", password="other")
    cache.answer = other_portal()
    person.load(WORLD_URL)
    person.wait_for_error()
    # another choice before the button is pressed changes nothing about what is trusted
    person.find("auth_select").setConfigId(other)
    person.click("trust_portal_button")
    assert settings.trusted_portals(signed_in) == (PORTAL,)
    assert settings.trusted_portals(other) == ()


@pytest.mark.parametrize(
    "error",
    [
        other_portal(""),
        other_portal("https://<b>portal</b>/x"),
        other_portal("https://portal.test:https/"),
        other_portal("https://portal.test\u202e.evil/"),
        SignInFailed(SITE_URL, SignInProblem.REFUSED, "no"),
        errors.NotCached("World"),
    ],
    ids=["none", "mark-up", "no port", "letters that turn round", "refused", "another error"],
)
def test_no_button_where_there_is_no_portal_to_trust(
    signed_in: str, person: Any, cache: Any, error: Exception
) -> None:
    cache.answer = error
    person.load(WORLD_URL)
    person.wait_for_error()
    assert button(person) is None


def test_no_button_without_sign_in_details(dialog: Any, person: Any, cache: Any) -> None:
    person.find("auth_select").setConfigId("")
    cache.answer = other_portal()
    person.load(WORLD_URL)
    person.wait_for_error()
    assert button(person) is None


def test_of_a_long_name_the_end_is_shown(signed_in: str, person: Any, cache: Any) -> None:
    """Which says whose it is; the whole stands in the tool tip."""
    host = f"portal.example.com.{'x' * 60}.evil.test"
    cache.answer = other_portal(f"https://{host}/portal", host)
    person.load(WORLD_URL)
    person.wait_for_error()
    assert button(person).text().endswith(f"{'x' * 37}.evil.test"), button(person).text()
    assert len(button(person).text()) < 70
    assert host in button(person).toolTip()


def test_the_button_goes_with_the_complaint(signed_in: str, person: Any, cache: Any) -> None:
    world, cache.answer = cache.answer, other_portal()
    person.load(WORLD_URL)
    person.wait_for_error()
    cache.answer = replace(world, name="World")
    person.load(WORLD_URL)
    person.wait_until(lambda: button(person) is None, what="the button to go")
