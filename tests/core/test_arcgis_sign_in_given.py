"""Tokens that somebody else got: used as they are, exchanged at the portal, kept fresh."""

from __future__ import annotations

import threading
import time

import pytest
from scripted_doors import Doors, Page, info, sent_token, takes, token
from scripted_site import answer, error, html, quick_client

from tile_cache_manager.plugin.core.arcgis import credentials as credentials_module
from tile_cache_manager.plugin.core.arcgis.credentials import FixedToken, GivenToken, SignIn
from tile_cache_manager.plugin.core.arcgis.transport import HttpRequest, HttpResponse
from tile_cache_manager.plugin.core.errors import (
    NotAllowed,
    SignInFailed,
    SignInNeeded,
    SignInProblem,
    SiteUnreachable,
    Unreachable,
)

SITE = "https://gis.example/server"
PAGE = f"{SITE}/rest/services/World/MapServer"
POST = f"POST {PAGE}"
PORTAL = "https://portal.example/portal"
TOKENS = f"{PORTAL}/sharing/rest/generateToken"
FINE = {"fine": True}


class Keeper:
    """Somebody who keeps a token fresh: "k1", then "k2" ... each time a new one is asked for."""

    def __init__(self, *, stuck: bool = False) -> None:
        self.number, self.calls, self._stuck = 1, [], stuck
        self._at_work = threading.Lock()

    def get(self, fresh: bool) -> str:
        assert self._at_work.acquire(blocking=False), "asked twice at a time"
        self.calls.append(fresh)
        self.number += fresh and not self._stuck
        self._at_work.release()
        return f"k{self.number}"


def site(page: Page | list[Page], owning: str = "", exchange: Page | None = None) -> Doors:
    return Doors(
        {
            f"GET {SITE}/rest/info": info(TOKENS if owning else f"{SITE}/tokens/", owning),
            f"GET {PORTAL}/sharing/rest/info": info(TOKENS),
            f"POST {TOKENS}": exchange or error(400, "no"),
            POST: page,
        }
    )


def exchange_for(*values: str) -> Page:
    """A token service that gives "for-<value>" for one of `values`."""

    def page(request: HttpRequest) -> HttpResponse:
        value = request.params.get("token", "")
        if request.params.get("serverUrl") != SITE or value not in values:
            return error(498, "Invalid token.")
        return token(f"for-{value}")

    return page


def used(doors: Doors) -> list[str]:
    return [sent_token(each) for each in doors.asked(POST)]


def test_a_given_token_is_used_as_it_is_and_not_asked_for_each_time() -> None:
    doors, keeper = site(takes("k1")), Keeper()
    client = quick_client(doors, GivenToken(keeper.get), SITE)
    assert keeper.calls == []

    for _ in range(3):
        assert client.read(PAGE) == FINE

    assert (used(doors), keeper.calls) == (["k1"] * 3, [False])
    assert doors.lines == [POST] * 3


def test_a_given_token_is_asked_for_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its keeper renews it when it likes; old ones are not kept for the two days of a job."""
    doors, keeper = site(takes("k1", "k2")), Keeper()
    client = quick_client(doors, GivenToken(keeper.get), SITE)
    client.read(PAGE)
    keeper.number = 2
    later = time.monotonic() + 61
    monkeypatch.setattr(credentials_module.time, "monotonic", lambda: later)

    client.read(PAGE)

    assert (used(doors), keeper.calls) == (["k1", "k2"], [False, False])


def test_a_given_token_that_is_taken_no_more_is_renewed() -> None:
    doors, keeper = site([takes("k1"), takes("k2")]), Keeper()
    client = quick_client(doors, GivenToken(keeper.get), SITE)

    assert client.read(PAGE) == FINE
    assert client.submit(PAGE, {"levels": "1"}) == FINE

    assert (used(doors), keeper.calls) == (["k1", "k1", "k2"], [False, True])


@pytest.mark.parametrize("stuck", [False, True])
def test_a_given_token_that_nobody_takes(stuck: bool) -> None:
    doors, keeper = site(takes("none")), Keeper(stuck=stuck)

    with pytest.raises(SignInNeeded):
        quick_client(doors, GivenToken(keeper.get), SITE).read(PAGE)

    # the same token once more would be in vain
    assert used(doors) == (["k1"] if stuck else ["k1", "k2"])
    assert keeper.calls.count(True) == 1


def test_what_the_keeper_raises_comes_out() -> None:
    def get(fresh: bool) -> str:
        raise SignInFailed(SITE, SignInProblem.REFUSED, "closed")

    with pytest.raises(SignInFailed) as caught:
        quick_client(site(takes("k1")), GivenToken(get), SITE).read(PAGE)
    assert caught.value.detail == "closed"


@pytest.mark.parametrize(
    "person", [GivenToken(Keeper().get, (PORTAL,)), FixedToken("k1", "", (PORTAL,))]
)
def test_a_token_of_the_portal_is_exchanged_where_the_site_does_not_take_it(
    person: SignIn,
) -> None:
    doors = site(takes("for-k1"), PORTAL, exchange_for("k1"))
    client = quick_client(doors, person, SITE)

    for _ in range(3):
        assert client.read(PAGE) == FINE

    assert used(doors) == ["k1", "for-k1", "for-k1", "for-k1"]
    assert doors.saw("for-k1") == [PAGE]
    assert doors.saw("k1") == [PAGE, TOKENS]


def test_an_exchanged_token_is_renewed_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Keeper()
    doors = site(takes("for-k1", "for-k2"), PORTAL, exchange_for("k1", "k2"))
    client = quick_client(doors, GivenToken(keeper.get, (PORTAL,)), SITE)
    client.read(PAGE)
    keeper.number = 2
    later = time.monotonic() + 60 * 59.5
    monkeypatch.setattr(credentials_module.time, "monotonic", lambda: later)

    client.read(PAGE)

    assert used(doors) == ["k1", "for-k1", "for-k2"]
    assert True not in keeper.calls


def test_where_the_portals_own_token_has_ended_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Keeper()
    doors = site(takes("for-k1", "for-k2"), PORTAL, exchange_for("k1"))
    client = quick_client(doors, GivenToken(keeper.get, (PORTAL,)), SITE)
    client.read(PAGE)
    doors.pages[f"POST {TOKENS}"] = [exchange_for("k2")]
    later = time.monotonic() + 60 * 59.5
    monkeypatch.setattr(credentials_module.time, "monotonic", lambda: later)

    assert client.read(PAGE) == FINE

    assert used(doors) == ["k1", "for-k1", "for-k2"]
    assert keeper.calls[-1] is True


def test_an_exchanged_token_that_is_taken_no_more() -> None:
    keeper = Keeper()
    doors = site([takes("for-k1"), takes("for-k1"), takes("for-k2")], PORTAL,
                 exchange_for("k1", "k2"))  # fmt: skip
    client = quick_client(doors, GivenToken(keeper.get, (PORTAL,)), SITE)
    assert client.read(PAGE) == FINE

    assert client.read(PAGE) == FINE

    assert used(doors) == ["k1", "for-k1", "for-k1", "for-k2"]


def test_a_first_token_that_ended_long_ago_is_renewed_and_exchanged() -> None:
    """Neither the site nor the portal takes it; both take what comes of the new one."""
    keeper = Keeper()
    doors = site(takes("for-k2"), PORTAL, exchange_for("k2"))

    client = quick_client(doors, GivenToken(keeper.get, (PORTAL,)), SITE)
    assert [client.read(PAGE), client.read(PAGE)] == [FINE, FINE]

    assert used(doors) == ["k1", "for-k2", "for-k2"]


def test_a_token_that_the_site_took_as_it_is_goes_on_so() -> None:
    keeper = Keeper()
    doors = site([takes("k1"), takes("k2")], PORTAL, exchange_for("k1", "k2"))
    client = quick_client(doors, GivenToken(keeper.get, (PORTAL,)), SITE)
    client.read(PAGE)

    assert client.read(PAGE) == FINE

    assert doors.lines == [POST] * 3


@pytest.mark.parametrize("person", [GivenToken(Keeper().get, (PORTAL,)), FixedToken("k1")])
def test_who_has_no_right_gets_none_by_another_token(person: SignIn) -> None:
    doors = site(error(403, "No rights"), PORTAL)
    client = quick_client(doors, person, SITE)

    for _ in range(2):
        with pytest.raises(NotAllowed):
            client.read(PAGE)

    assert doors.lines == [POST] * 2


def test_a_fixed_token_whose_exchange_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    doors = site(takes("for-k1"), PORTAL, exchange_for("k1"))
    client = quick_client(doors, FixedToken("k1", "", (PORTAL,)), SITE)
    client.read(PAGE)
    doors.pages[f"POST {TOKENS}"] = [error(498, "Invalid token.")]
    later = time.monotonic() + 60 * 59.5
    monkeypatch.setattr(credentials_module.time, "monotonic", lambda: later)

    with pytest.raises(SignInNeeded):
        client.read(PAGE)


def test_the_referer_of_a_fixed_token_goes_with_it() -> None:
    seen: list[HttpRequest] = []

    def exchange(request: HttpRequest) -> HttpResponse:
        seen.append(request)
        return token("for-k1")

    doors = site(takes("for-k1"), PORTAL, exchange)
    client = quick_client(doors, FixedToken("k1", "https://me.example", (PORTAL,)), SITE)

    client.read(PAGE)

    assert seen[0].headers["Referer"] == "https://me.example"
    # what is exchanged is bound to ours
    assert seen[0].params["referer"] == SITE
    assert [each.headers["Referer"] for each in doors.asked(POST)] == ["https://me.example", SITE]


@pytest.mark.parametrize("person", [GivenToken(Keeper().get), FixedToken("k1")])
def test_a_portal_that_is_not_trusted_gets_no_token(person: SignIn) -> None:
    doors = site(takes("for-k1"), PORTAL, exchange_for("k1"))

    with pytest.raises(SignInFailed) as caught:
        quick_client(doors, person, SITE).read(PAGE)

    told = caught.value
    assert (told.reason, told.detail) == (SignInProblem.OTHER_HOST, "portal.example")
    assert told.portal_url == PORTAL
    assert doors.saw("k1") == [PAGE]


def test_a_token_that_was_good_once_asks_for_no_trust() -> None:
    """It has ended: another portal is of no help, and nobody is asked about one."""
    doors = site([takes("k1"), takes("none")], PORTAL)
    client = quick_client(doors, FixedToken("k1"), SITE)
    client.read(PAGE)

    with pytest.raises(SignInNeeded):
        client.read(PAGE)


@pytest.mark.parametrize(
    "no_info", [error(404), html(404), html(), answer({"fine": True}), info("", "https://[x")]
)
def test_a_site_that_does_not_say_whose_it_is(no_info: HttpResponse) -> None:
    doors = site(takes("none"))
    doors.pages[f"GET {SITE}/rest/info"] = [no_info]

    with pytest.raises((SignInNeeded, SignInFailed)) as caught:
        quick_client(doors, FixedToken("k1"), SITE).read(PAGE)

    assert getattr(caught.value, "reason", SignInProblem.NO_SERVICE) is SignInProblem.NO_SERVICE


def test_a_portal_out_of_reach() -> None:
    doors = site(takes("for-k1"), PORTAL, Unreachable.REFUSED)

    with pytest.raises(SiteUnreachable):
        quick_client(doors, FixedToken("k1", "", (PORTAL,)), SITE).read(PAGE)


def test_several_threads_renew_once() -> None:
    """All are refused with the old token at the same time; one asks for a new one."""
    keeper, meet = Keeper(), threading.Barrier(4, timeout=10)
    good = ["k1"]

    def page(request: HttpRequest) -> HttpResponse:
        value = sent_token(request)
        if good != ["k1"] and value == "k1":
            meet.wait()
        return answer(FINE) if value in good else error(498, "Invalid token.")

    client = quick_client(site(page), GivenToken(keeper.get), SITE)
    client.read(PAGE)
    good[:] = ["k2"]
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(client.read(PAGE))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert results == [FINE] * 4
    assert keeper.calls == [False, True]


def test_reprs_hide_secrets() -> None:
    def get(fresh: bool) -> str:
        return "s3cret"

    assert "s3cret" not in repr(FixedToken("s3cret", "", (PORTAL,)))
    assert repr(GivenToken(get)).find("get") < 0
