"""The stand-in ArcGIS site against the protocol: who may see what, and how signing in fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from arcgis_server.handle import PUBLISHER, VIEWER, RunningSite
from arcgis_server.plain_client import OLD_TASK, REFERER, TASK, Client


@pytest.fixture
def publisher(fresh_site: RunningSite) -> Client:
    return Client(fresh_site, "classic")


def code_of(answer: Any) -> int:
    return int(answer.get("error", {}).get("code", 0))


def test_management_wants_a_publisher_and_reading_is_open(fresh_site: RunningSite) -> None:
    anonymous = Client(fresh_site, "classic", account=None)
    viewer = Client(fresh_site, "classic", VIEWER)
    publisher = Client(fresh_site, "classic", PUBLISHER)
    assert [code_of(client.get(TASK)) for client in (anonymous, viewer, publisher)] == [499, 403, 0]
    assert code_of(anonymous.get("World/MapServer")) == 0
    assert "System" not in viewer.get("")["folders"]
    assert "System" in publisher.get("")["folders"]


def test_everything_of_the_secured_site_wants_a_token_from_its_referer(
    fresh_site: RunningSite,
) -> None:
    anonymous = Client(fresh_site, "secured", account=None)
    assert code_of(anonymous.get("")) == 499
    assert code_of(anonymous.get("World/MapServer")) == 499
    viewer = Client(fresh_site, "secured", VIEWER)
    assert code_of(viewer.get("World/MapServer")) == 0
    viewer.session.headers["Referer"] = "http://elsewhere"
    assert code_of(viewer.get("World/MapServer")) == 498


@pytest.mark.parametrize(("key", "understood"), [("classic", True), ("old", False)])
def test_the_header_form_of_a_token_is_younger_than_old_sites(
    fresh_site: RunningSite, key: str, understood: bool
) -> None:
    task = TASK if key == "classic" else OLD_TASK
    client = Client(fresh_site, key)
    client.session.headers["X-Esri-Authorization"] = f"Bearer {client.token}"
    client.token = ""
    assert code_of(client.get(task)) == (0 if understood else 499)


def test_an_expired_token_is_told_apart_from_none(
    fresh_site: RunningSite, publisher: Client
) -> None:
    fresh_site.expire_tokens("classic")
    assert code_of(publisher.get(TASK)) == 498
    fresh_site.set_token_lifetime("classic", 0)
    publisher.token = publisher.sign_in(PUBLISHER)
    assert code_of(publisher.get(TASK)) == 498


BAD_SIGN_INS = {
    "wrong password": {"password": "guess"},
    "unknown user": {"username": "nobody"},
    "no referer": {"referer": ""},
    "unknown client": {"client": "other"},
    "expiration in words": {"expiration": "long"},
}


@pytest.mark.parametrize("form", BAD_SIGN_INS.values(), ids=BAD_SIGN_INS.keys())
def test_a_wrong_sign_in_is_told_in_the_body(fresh_site: RunningSite, form: dict[str, str]) -> None:
    address = f"{fresh_site.site_url('classic')}/tokens/generateToken"
    good = {
        "username": PUBLISHER.name,
        "password": PUBLISHER.password,
        "client": "referer",
        "referer": REFERER,
        "f": "json",
    }
    assert "token" in requests.post(address, data=good, timeout=10).json()
    answer = requests.post(address, data={**good, **form}, timeout=10)
    assert answer.status_code == 200
    assert answer.json()["error"]["message"] == "Unable to generate token."
    assert code_of(requests.get(address, params=good, timeout=10).json()) == 405


def test_neither_the_log_nor_the_submissions_hold_secrets(
    fresh_site: RunningSite, publisher: Client
) -> None:
    publisher.run()
    log = (fresh_site.folder / "requests.log").read_text(encoding="utf-8")
    told = json.dumps(fresh_site.submissions("classic"))
    assert "password" in log  # the name of the key
    for secret in (publisher.token, PUBLISHER.password):
        assert secret not in log
        assert secret not in told
