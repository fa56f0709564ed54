"""The stand-in sites against the protocol: portals, the servers they own, web-tier sign-in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from arcgis_server.handle import (
    API_KEY,
    OAUTH_CLIENT,
    PUBLISHER,
    VIEWER,
    Account,
    RunningSite,
)
from arcgis_server.plain_client import REFERER, TASK

DOORS = ("portal", "agol", "federated", "fedportal", "online", "webtier", "webtoken", "ntlm")
OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"


@pytest.fixture
def doors(site: RunningSite) -> Iterator[RunningSite]:
    """The sites of this file, as they start."""
    site.reset(*DOORS)
    yield site
    site.reset(*DOORS)


def code_of(answer: Any) -> int:
    return int(answer.get("error", {}).get("code", 0))


def get(address: str, token: str = "", **query: Any) -> Any:
    sent = {"f": "json", **query, **({"token": token} if token else {})}
    answer = requests.get(address, params=sent, headers={"Referer": REFERER}, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def portal_token(site: RunningSite, portal: str, account: Account = PUBLISHER) -> str:
    info = get(f"{site.site_url(portal)}/sharing/rest/info")
    form = {
        "username": account.name,
        "password": account.password,
        "client": "referer",
        "referer": REFERER,
        "f": "json",
    }
    answer = requests.post(info["authInfo"]["tokenServicesUrl"], data=form, timeout=10).json()
    assert set(answer) == {"token", "expires", "ssl"}
    return str(answer["token"])


def exchange(site: RunningSite, key: str, token: str, /, **form: str) -> Any:
    info = get(f"{site.site_url(key)}/rest/info")
    owner = get(f"{info['owningSystemUrl']}/sharing/rest/info")
    data = {"token": token, "serverUrl": site.site_url(key), "expiration": "60", "f": "json"}
    address = owner["authInfo"]["tokenServicesUrl"]
    headers = {"Referer": REFERER}
    return requests.post(address, data={**data, **form}, headers=headers, timeout=10).json()


def test_a_portal_stands_on_another_origin_than_the_server_it_owns(doors: RunningSite) -> None:
    info = get(f"{doors.site_url('federated')}/rest/info")
    assert info["owningSystemUrl"] == doors.portal_url("federated") == doors.site_url("portal")
    portal, server = urlsplit(info["owningSystemUrl"]), urlsplit(doors.site_url("federated"))
    assert (portal.hostname, server.hostname) == ("localhost", "127.0.0.1")
    assert portal.port == server.port
    assert info["authInfo"]["tokenServicesUrl"].startswith(info["owningSystemUrl"])


def test_a_federated_server_may_take_only_what_the_portal_gave_for_it(doors: RunningSite) -> None:
    service = doors.service_url("federated", "World")
    token = portal_token(doors, "portal")
    given = exchange(doors, "federated", token)["token"]
    assert code_of(get(service, token)) == 0
    doors.take_portal_tokens("federated", taken=False)
    assert code_of(get(service)) == 499
    assert code_of(get(service, token)) == 498
    assert code_of(get(service, given)) == 0
    assert code_of(get(f"{doors.services_url('federated')}/{TASK}", given)) == 0
    assert code_of(get(f"{doors.site_url('portal')}/sharing/rest/community/self", given)) == 498


def test_an_exchanged_token_is_bound_as_the_portals_is(doors: RunningSite) -> None:
    given = exchange(doors, "federated", portal_token(doors, "portal"))["token"]
    address = doors.service_url("federated", "World")
    answer = requests.get(
        address,
        params={"f": "json", "token": given},
        headers={"Referer": "http://elsewhere"},
        timeout=10,
    )
    assert code_of(answer.json()) == 498


def test_an_exchange_may_bind_to_another_referer(doors: RunningSite) -> None:
    token = portal_token(doors, "portal")
    other = {"client": "referer", "referer": "http://elsewhere"}
    given = exchange(doors, "federated", token, **other)["token"]
    address = doors.service_url("federated", "World")
    asked = {"f": "json", "token": given}
    headers = {"Referer": other["referer"]}
    assert code_of(get(address, given)) == 498
    answer = requests.get(address, params=asked, headers=headers, timeout=10)
    assert code_of(answer.json()) == 0


@pytest.mark.parametrize(
    ("key", "form", "code"),
    [
        ("fedportal", {}, 400),
        ("federated", {"serverUrl": "http://elsewhere.example/arcgis"}, 400),
        ("federated", {"token": "made-up"}, 498),
        ("federated", {"token": ""}, 499),
    ],
)
def test_not_every_exchange_is_done(
    doors: RunningSite, key: str, form: dict[str, str], code: int
) -> None:
    answer = exchange(doors, key, portal_token(doors, "portal"), **form)
    assert code_of(answer) == code


def test_a_portal_can_refuse_to_exchange(doors: RunningSite) -> None:
    token = portal_token(doors, "portal")
    doors.allow_exchange("portal", allowed=False)
    assert code_of(exchange(doors, "federated", token)) == 400


@pytest.mark.parametrize(("key", "portal"), [("fedportal", "portal"), ("online", "agol")])
def test_some_take_the_tokens_of_their_portal_as_they_are(
    doors: RunningSite, key: str, portal: str
) -> None:
    name = "World" if key == "fedportal" else "Private_Tiles"
    address = doors.service_url(key, name)
    assert code_of(get(address)) == 499
    assert code_of(get(address, portal_token(doors, portal))) == 0
    doors.expire_tokens(portal)
    assert code_of(get(address, portal_token(doors, portal, VIEWER))) == 0


def test_an_api_key_needs_no_referer(doors: RunningSite) -> None:
    answer = requests.get(
        doors.service_url("online", "Private_Tiles"),
        params={"f": "json", "token": API_KEY},
        timeout=10,
    )
    assert code_of(answer.json()) == 0
    doors.take_portal_tokens("federated", taken=False)
    assert code_of(get(doors.service_url("federated", "World"), API_KEY)) == 498


# --- OAuth 2 ----------------------------------------------------------------------------------


def oauth(site: RunningSite, **form: str) -> Any:
    address = f"{site.site_url('agol')}/sharing/rest/oauth2/token"
    return requests.post(address, data={"f": "json", **form}, timeout=10).json()


def sign_in_for_code(site: RunningSite, **query: str) -> requests.Response:
    """Open the sign-in page as a browser does, fill it in, and return where it leads."""
    session = requests.Session()
    address = f"{site.site_url('agol')}/sharing/rest/oauth2/authorize"
    asked = {"client_id": OAUTH_CLIENT[0], "response_type": "code", **query}
    text = session.get(address, params=asked, timeout=10).text
    state = text.split('"oauth_state": "')[1].split('"')[0]
    return session.post(
        f"{site.site_url('agol')}/sharing/oauth2/signin",
        data={
            "oauth_state": state,
            "username": PUBLISHER.name,
            "password": PUBLISHER.password,
        },
        allow_redirects=False,
        timeout=10,
    )


def test_a_code_leads_to_a_token_and_a_refresh_token(doors: RunningSite) -> None:
    back = "http://127.0.0.1:7070/"
    answer = sign_in_for_code(doors, redirect_uri=back, state="abc", code_challenge="verify-me")
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert query["state"] == ["abc"]
    form = {
        "grant_type": "authorization_code",
        "code": query["code"][0],
        "client_id": OAUTH_CLIENT[0],
        "redirect_uri": back,
    }
    assert code_of(oauth(doors, **form, code_verifier="other")) == 400
    assert code_of(oauth(doors, **form, code_verifier="verify-me")) == 498  # a code is used once

    answer = sign_in_for_code(doors, redirect_uri=back, code_challenge="verify-me")
    form["code"] = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
    first = oauth(doors, **form, code_verifier="verify-me")
    assert first["username"] == PUBLISHER.name
    again = oauth(
        doors,
        grant_type="refresh_token",
        refresh_token=first["refresh_token"],
        client_id=OAUTH_CLIENT[0],
    )
    for token in (first["access_token"], again["access_token"]):
        assert code_of(get(doors.service_url("online", "Private_Tiles"), token)) == 0


def test_without_a_browser_the_code_stands_in_the_title(doors: RunningSite) -> None:
    answer = sign_in_for_code(doors, redirect_uri=OUT_OF_BAND)
    assert "<title>SUCCESS code=" in answer.text


def test_an_application_signs_in_as_itself(doors: RunningSite) -> None:
    name, word = OAUTH_CLIENT
    grant = {"grant_type": "client_credentials", "client_id": name}
    doors.set_token_lifetime("agol", 7)
    answer = oauth(doors, **grant, client_secret=word)
    assert answer["expires_in"] == 7
    assert "refresh_token" not in answer
    refused = oauth(doors, **grant, client_secret="guess")
    assert refused["error"]["error"] == "invalid_client"


# --- content ----------------------------------------------------------------------------------


def search(site: RunningSite, query: str, token: str = "", **more: Any) -> Any:
    return get(f"{site.site_url('portal')}/sharing/rest/search", token, q=query, **more)


def titles(answer: Any) -> list[str]:
    return [item["title"] for item in answer["results"]]


def test_a_search_finds_by_type_owner_and_words(doors: RunningSite) -> None:
    token = portal_token(doors, "portal")
    maps = search(doors, 'type:"Map Service"')
    assert titles(maps) == ["World", "City Tiles", "World"]
    assert maps["nextStart"] == -1
    assert titles(search(doors, 'type:"Map Service" AND owner:publisher', token)) == [
        *titles(maps),
        "Draft",
    ]
    both = search(doors, '(type:"Map Service" OR type:"Image Service") AND (wor OR imag)')
    assert titles(both) == ["World", "Imagery", "World"]
    assert titles(search(doors, 'NOT type:"Map Service" -type:"Image Service"')) == [
        "Roads",
        "Overview",
    ]
    assert titles(search(doors, "owner:nobody")) == []


def test_a_search_comes_in_pages(doors: RunningSite) -> None:
    doors.add_items("portal", [{"title": f"Many {number:03}"} for number in range(120)])
    found: list[str] = []
    start = 1
    while start != -1:
        answer = search(doors, "many", num=50, start=start)
        assert answer["total"] == 120
        found += titles(answer)
        start = answer["nextStart"]
    assert found == [f"Many {number:03}" for number in range(120)]


def test_an_item_leads_to_its_service(doors: RunningSite) -> None:
    item = next(i for i in doors.items("agol") if i["title"] == "City Tiles")
    address = f"{doors.site_url('agol')}/sharing/rest/content/items/{item['id']}"
    assert get(address)["url"] == doors.service_url("online", "City_Tiles")
    draft = next(i for i in doors.items("agol") if i["title"] == "Draft")
    address = f"{doors.site_url('agol')}/sharing/rest/content/items/{draft['id']}"
    assert code_of(get(address)) == 499
    assert code_of(get(address, portal_token(doors, "agol", VIEWER))) == 403
    assert get(address, portal_token(doors, "agol"))["title"] == "Draft"
    assert code_of(get(f"{doors.site_url('agol')}/sharing/rest/content/items/{'0' * 32}")) == 400


def test_a_portal_says_who_one_is_and_what_it_is(doors: RunningSite) -> None:
    rest = f"{doors.site_url('agol')}/sharing/rest"
    assert code_of(get(f"{rest}/community/self")) == 499
    token = portal_token(doors, "agol", VIEWER)
    assert get(f"{rest}/community/self", token)["username"] == VIEWER.name
    assert get(f"{rest}/portals/self")["isPortal"] is False
    assert "user" not in get(f"{rest}/portals/self")
    enterprise = get(f"{doors.site_url('portal')}/sharing/rest/portals/self")
    assert enterprise["isPortal"] is True
    servers = get(f"{doors.site_url('portal')}/sharing/rest/portals/{enterprise['id']}/servers")
    assert [server["url"] for server in servers["servers"]] == [
        doors.site_url("federated"),
        doors.site_url("fedportal"),
    ]


# --- the web tier -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["rest/info", "rest/services", "tokens/generateToken"])
@pytest.mark.parametrize("key", ["webtier", "webtoken", "ntlm"])
def test_the_web_tier_refuses_everything(doors: RunningSite, key: str, path: str) -> None:
    address = f"{doors.site_url(key)}/{path}?f=json"
    answer = requests.get(address, timeout=10)
    assert answer.status_code == 401
    expected = "Negotiate, NTLM" if key == "ntlm" else 'Basic realm="maps"'
    assert answer.headers["WWW-Authenticate"] == expected
    assert requests.get(address, auth=("publisher", "guess"), timeout=10).status_code == 401
    right = requests.get(address, auth=(PUBLISHER.name, PUBLISHER.password), timeout=10)
    assert right.status_code == (401 if key == "ntlm" else 200)


def test_who_signs_in_at_the_web_tier_needs_no_token(doors: RunningSite) -> None:
    address = f"{doors.services_url('webtier')}/{TASK}"
    for account, code in ((PUBLISHER, 0), (VIEWER, 403)):
        auth = (account.name, account.password)
        answer = requests.get(address, params={"f": "json"}, auth=auth, timeout=10)
        assert code_of(answer.json()) == code


def test_a_web_tier_may_stand_before_tokens(doors: RunningSite) -> None:
    auth = (PUBLISHER.name, PUBLISHER.password)
    service = doors.service_url("webtoken", "World")
    asked = {"f": "json"}
    assert code_of(requests.get(service, params=asked, auth=auth, timeout=10).json()) == 499
    form = {"username": auth[0], "password": auth[1], "client": "requestip", "f": "json"}
    address = f"{doors.site_url('webtoken')}/tokens/generateToken"
    token = requests.post(address, data=form, auth=auth, timeout=10).json()["token"]
    asked["token"] = token
    assert code_of(requests.get(service, params=asked, auth=auth, timeout=10).json()) == 0
    assert requests.get(service, params=asked, timeout=10).status_code == 401
