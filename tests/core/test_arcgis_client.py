"""Requests to a site: what is repeated and what never is, redirects, refused POSTs."""

from __future__ import annotations

import random
import time

import pytest
from scripted_site import QUICK, SITE, Answer, ScriptedSite, answer, error, html, redirect

from tile_cache_manager.plugin.core.arcgis import client as client_module
from tile_cache_manager.plugin.core.arcgis.client import MAX_REDIRECTS, Client, Repeats, wait
from tile_cache_manager.plugin.core.arcgis.credentials import FixedToken
from tile_cache_manager.plugin.core.arcgis.transport import HttpResponse
from tile_cache_manager.plugin.core.errors import (
    NotAllowed,
    NotArcGIS,
    SignInNeeded,
    SiteError,
    SiteRefused,
    SiteUnreachable,
    Unreachable,
)

PAGE = f"{SITE}/rest/services/World/MapServer"
GET, POST = f"GET {PAGE}", f"POST {PAGE}"
SECRET = "t0ps3cret"
TOKEN = FixedToken(SECRET, "https://me.example")
FINE = answer({"fine": True})
BUSY = answer("", 503)


def client(site: ScriptedSite, sign_in: FixedToken | None = None, url: str = SITE) -> Client:
    return Client(site, url, sign_in, repeats=QUICK)


def test_reading_without_sign_in() -> None:
    site = ScriptedSite((GET, FINE))

    assert client(site).read(PAGE, {"a": "1"}) == {"fine": True}

    assert dict(site.sent[0].params) == {"f": "json", "a": "1"}
    assert dict(site.sent[0].headers) == {}


# what comes first, whether reading goes on, whether submitting does
REPEATED: list[tuple[Answer, bool, bool]] = [
    (Unreachable.NAME, True, True),
    (Unreachable.REFUSED, True, True),
    (Unreachable.TIMEOUT, True, False),
    (Unreachable.BROKEN, True, False),
    (Unreachable.CERTIFICATE, False, False),
    (Unreachable.PROXY, False, False),
    (Unreachable.TOO_LARGE, False, False),
    (Unreachable.SILENT, False, False),
    (BUSY, True, False),
    (answer("", 429), True, False),
    (html(502), True, False),
    (answer("", 504), True, False),
    (error(503, "Wait time of the request exceeded"), True, False),
    (error(500, "Error performing operation"), False, False),
    (error(400, "Bad"), False, False),
    (error(404, "Gone"), False, False),
    (error(499, "Token Required"), False, False),
    (html(), False, False),
    (html(500), False, False),
]


@pytest.mark.parametrize(("first", "read_again", "submit_again"), REPEATED, ids=str)
def test_what_is_repeated(first: Answer, read_again: bool, submit_again: bool) -> None:
    for line, again in ((GET, read_again), (POST, submit_again)):
        site = ScriptedSite((line, first), *([(line, FINE)] if again else []))
        asking = client(site)
        call = asking.read if line is GET else asking.submit
        if again:
            assert call(PAGE, {}) == {"fine": True}
        else:
            with pytest.raises(SiteError):
                call(PAGE, {})
        assert site.left == []


def test_a_harmless_submission_is_repeated_like_reading() -> None:
    site = ScriptedSite((POST, Unreachable.TIMEOUT), (POST, BUSY), (POST, FINE))

    assert client(site).submit(PAGE, {"a": "1"}, repeatable=True) == {"fine": True}
    assert [dict(request.params) for request in site.sent] == [{"f": "json", "a": "1"}] * 3


def test_repeats_have_an_end() -> None:
    site = ScriptedSite(*[(GET, Unreachable.BROKEN)] * (QUICK.times + 1))

    with pytest.raises(SiteUnreachable) as caught:
        client(site).read(PAGE)

    assert (caught.value.reason, caught.value.url) == (Unreachable.BROKEN, PAGE)
    assert site.left == []


def test_the_last_error_is_told() -> None:
    site = ScriptedSite(
        (GET, BUSY), (GET, Unreachable.TIMEOUT), (GET, BUSY), (GET, error(500, "X"))
    )

    with pytest.raises(SiteRefused) as caught:
        client(site).read(PAGE)

    assert caught.value.message == "X"


def test_no_repeat_once_cancelled_takes_no_time() -> None:
    site = ScriptedSite(*[(GET, BUSY)] * 4)
    slow = Repeats(times=3, first_seconds=60, longest_seconds=60)
    started = time.monotonic()

    with pytest.raises(SiteRefused):
        Client(site, SITE, repeats=slow, cancelled=lambda: True).read(PAGE)

    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("attempt", "retry_after", "least", "most"),
    [
        (0, None, 0.375, 0.625),
        (1, None, 0.75, 1.25),
        (2, None, 1.5, 2.5),
        (9, None, 15, 25),
        (0, 7.0, 7, 7),
        (0, 0.0, 0, 0),
        (0, 3600.0, 20, 20),
    ],
)
def test_pauses(attempt: int, retry_after: float | None, least: float, most: float) -> None:
    random.seed(4)
    pauses = [Repeats().pause_after(attempt, retry_after) for _ in range(100)]

    assert least <= min(pauses) <= max(pauses) <= most
    assert least == most or max(pauses) > min(pauses)


@pytest.mark.parametrize(
    ("value", "pause"),
    [("2", 2.0), ("0", 0.0), ("99999", 30.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 1.0), ("²", 1.0)],
)
def test_retry_after_is_heeded_and_capped(
    value: str, pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(client_module, "wait", lambda seconds, cancelled: waited.append(seconds))
    monkeypatch.setattr(random, "uniform", lambda low, high: 1.0)
    site = ScriptedSite((GET, answer("", 503, {"retry-after": value})), (GET, FINE))
    repeats = Repeats(times=3, first_seconds=1.0, longest_seconds=30.0)

    Client(site, SITE, repeats=repeats).read(PAGE)

    assert waited == [pause]


@pytest.mark.parametrize(
    ("value", "date", "pause"),
    [
        ("Fri, 20 Nov 2026 10:00:07 GMT", "Fri, 20 Nov 2026 10:00:00 GMT", 7.0),
        ("Fri, 20 Nov 2026 12:00:00 GMT", "Fri, 20 Nov 2026 10:00:00 GMT", 30.0),
        # RFC 9110 lists this older form, too
        ("Friday, 20-Nov-26 10:00:07 GMT", "Fri, 20 Nov 2026 10:00:00 GMT", 7.0),
        ("Fri, 20 Nov 2026 10:00:00 GMT", "Fri, 20 Nov 2026 10:00:07 GMT", 1.0),
        ("soon", "Fri, 20 Nov 2026 10:00:00 GMT", 1.0),
        ("-5", "", 1.0),
        ("9" * 5000, "", 30.0),
    ],
)
def test_retry_after_as_a_moment(
    value: str, date: str, pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the clock of the site, which may be any."""
    waited: list[float] = []
    monkeypatch.setattr(client_module, "wait", lambda seconds, cancelled: waited.append(seconds))
    monkeypatch.setattr(random, "uniform", lambda low, high: 1.0)
    busy = answer("", 503, {"retry-after": value, "date": date})
    repeats = Repeats(times=3, first_seconds=1.0, longest_seconds=30.0)

    Client(ScriptedSite((GET, busy), (GET, FINE)), SITE, repeats=repeats).read(PAGE)

    assert waited == [pause]


def test_waiting() -> None:
    started = time.monotonic()
    wait(0.05)
    assert time.monotonic() - started >= 0.05
    wait(60, lambda: True)
    assert time.monotonic() - started < 5


def test_not_allowed_without_sign_in_means_sign_in() -> None:
    refused = error(403, "You do not have permissions")
    with pytest.raises(SignInNeeded) as caught:
        client(ScriptedSite((GET, refused))).read(PAGE)
    assert (caught.value.code, caught.value.message) == (403, "You do not have permissions")

    with pytest.raises(NotAllowed):
        client(ScriptedSite((POST, refused)), TOKEN).read(PAGE)


def test_web_tier_sign_in() -> None:
    refused = answer("<html>", 401, {"www-authenticate": "Negotiate"}, "text/html")
    with pytest.raises(SignInNeeded) as caught:
        client(ScriptedSite((GET, refused))).read(PAGE)

    assert caught.value.code == 401


# --- the token's way -------------------------------------------------------------------------


def test_a_token_travels_in_the_form_with_its_referer() -> None:
    site = ScriptedSite((POST, FINE))

    client(site, TOKEN).read(PAGE, {"a": "1"})

    assert dict(site.sent[0].params) == {"f": "json", "a": "1", "token": SECRET}
    assert dict(site.sent[0].headers) == {"Referer": "https://me.example"}
    assert SECRET not in site.sent[0].url


def test_a_token_without_referer_sends_none() -> None:
    site = ScriptedSite((POST, FINE))

    client(site, FixedToken(SECRET)).read(PAGE)

    assert dict(site.sent[0].headers) == {}


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://other.example/arcgis/rest/services/World/MapServer",
        "https://maps.example:6443/arcgis/rest/services/World/MapServer",
        "http://maps.example/arcgis/rest/services/World/MapServer",
        "https://maps.example.evil.example/arcgis/rest/services/World/MapServer",
        "https://maps.example@evil.example/arcgis/rest/services/World/MapServer",
    ],
)
def test_no_token_for_another_origin(elsewhere: str) -> None:
    site = ScriptedSite((f"GET {elsewhere}", FINE))

    client(site, TOKEN).read(elsewhere)

    assert SECRET not in str([vars(request) for request in site.sent])
    assert dict(site.sent[0].headers) == {}


def test_a_token_may_go_up_to_https() -> None:
    site = ScriptedSite((POST, FINE))

    client(site, TOKEN, "http://maps.example/arcgis").read(PAGE)

    assert site.sent[0].params["token"] == SECRET


# where the redirect leads, from where; with a token: followed (with it) or not
REDIRECTS = [
    ("https://maps.example/arcgis", "https://maps.example/new/rest/x", True),
    ("https://maps.example/arcgis", "/new/rest/x", True),
    ("https://maps.example/arcgis", "https://MAPS.example:443/new/rest/x", True),
    ("http://maps.example/arcgis", "https://maps.example/new/rest/x", True),
    ("https://maps.example/arcgis", "http://maps.example/new/rest/x", False),
    ("https://maps.example/arcgis", "https://maps.example:8443/new/rest/x", False),
    ("https://maps.example/arcgis", "https://other.example/new/rest/x", False),
    ("https://maps.example/arcgis", "//other.example/new/rest/x", False),
    ("http://maps.example:6080/arcgis", "https://maps.example:6443/new/rest/x", False),
    ("https://maps.example/arcgis", "https://maps.example@other.example/new/rest/x", False),
]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(("site_url", "location", "trusted"), REDIRECTS)
def test_redirects(site_url: str, location: str, trusted: bool, status: int) -> None:
    page = f"{site_url}/rest/x"
    steps: list[tuple[str, Answer]] = [(f"POST {page}", redirect(f"{location}?a=1#b", status))]
    target = location if "//" in location else f"https://maps.example{location}"
    target = target if target.startswith("http") else f"https:{target}"
    if trusted:
        steps.append((f"POST {target}", FINE))
    site = ScriptedSite(*steps)

    if trusted:
        assert client(site, TOKEN, site_url).read(page) == {"fine": True}
        assert site.sent[1].params["token"] == SECRET
    else:
        with pytest.raises(SiteRefused) as caught:
            client(site, TOKEN, site_url).read(page)
        assert caught.value.code == status
        assert SECRET not in f"{caught.value} {caught.value!r} {vars(caught.value)}"
    assert site.left == []

    # without anything secret the answer is fetched wherever it is; a form goes to the site only
    site = ScriptedSite((f"GET {page}", redirect(location, status)), (f"GET {target}", FINE))
    assert client(site, None, site_url).read(page) == {"fine": True}
    steps = [(f"POST {page}", redirect(location, status))]
    if trusted:
        site = ScriptedSite(*steps, (f"POST {target}", FINE))
        assert client(site, None, site_url).submit(page, {"a": "1"}) == {"fine": True}
        assert dict(site.sent[1].params) == {"f": "json", "a": "1"}
    else:
        with pytest.raises(SiteRefused):
            client(ScriptedSite(*steps), None, site_url).submit(page, {"a": "1"})


def test_redirects_have_an_end() -> None:
    site = ScriptedSite(*[(GET, redirect(PAGE))] * MAX_REDIRECTS)

    with pytest.raises(NotArcGIS):
        client(site).read(PAGE)

    assert site.left == []


@pytest.mark.parametrize(
    "location", ["https://[broken", "https://maps.example:port/x", "https://maps.example:99999/"]
)
def test_a_redirect_to_nowhere(location: str) -> None:
    with pytest.raises(NotArcGIS):
        client(ScriptedSite((GET, redirect(location)))).read(PAGE)


def test_a_redirect_of_a_redirect_is_judged_by_where_it_starts() -> None:
    """A token is not carried on by a host that was only passed through without it."""
    other = "https://other.example/x"
    site = ScriptedSite((GET, redirect(other)), (f"GET {other}", redirect(PAGE)), (GET, FINE))

    client(site).read(PAGE)

    assert SECRET not in str([vars(request) for request in site.sent])


# --- sites that take no POST for reading -----------------------------------------------------


def test_refused_post_falls_back_to_the_header() -> None:
    site = ScriptedSite((POST, answer("", 405)), (GET, FINE), (GET, FINE))
    signed = client(site, TOKEN)

    assert signed.read(PAGE) == {"fine": True}
    assert signed.read(PAGE, {"a": "1"}) == {"fine": True}

    for request in site.sent[1:]:
        assert "token" not in request.params
        assert request.headers["X-Esri-Authorization"] == f"Bearer {SECRET}"
        assert request.headers["Referer"] == "https://me.example"
        assert SECRET not in request.url


def test_the_header_does_not_leave_the_site_either() -> None:
    elsewhere = "https://other.example/x"
    site = ScriptedSite((POST, answer("", 405)), (GET, redirect(elsewhere)))

    with pytest.raises(SiteRefused):
        client(site, TOKEN).read(PAGE)

    assert site.left == []


def test_the_header_goes_along_within_the_site() -> None:
    moved = f"{SITE}/rest/moved"
    site = ScriptedSite((POST, answer("", 405)), (GET, redirect(moved)), (f"GET {moved}", FINE))

    assert client(site, TOKEN).read(PAGE) == {"fine": True}
    assert site.sent[2].headers["X-Esri-Authorization"] == f"Bearer {SECRET}"


def test_a_refused_submission_stays_refused() -> None:
    site = ScriptedSite((POST, answer("", 405)))

    with pytest.raises(SiteError):
        client(site, TOKEN).submit(PAGE, {"update_mode": "DELETE_TILES"})

    assert site.left == []


def test_submissions_stay_posts_where_reading_is_not() -> None:
    site = ScriptedSite((POST, answer("", 405)), (GET, FINE), (POST, FINE))
    signed = client(site, TOKEN)

    signed.read(PAGE)
    signed.submit(PAGE, {"a": "1"})

    assert site.sent[2].params["token"] == SECRET


def test_a_fixed_token_is_not_renewed() -> None:
    info = answer({"authInfo": {"tokenServicesUrl": f"{SITE}/tokens/"}})
    site = ScriptedSite((POST, error(498, "Invalid token.")), (f"GET {SITE}/rest/info", info))

    with pytest.raises(SignInNeeded):
        client(site, TOKEN).read(PAGE)

    assert site.left == []


def test_reprs_hide_secrets() -> None:
    site = ScriptedSite((POST, FINE))
    client(site, TOKEN).read(PAGE)

    reply = HttpResponse(PAGE, 200, {"set-cookie": SECRET}, SECRET.encode())
    assert SECRET not in f"{site.sent[0]!r} {TOKEN!r} {reply!r}"


@pytest.mark.parametrize("code", [400, 403, 500])
def test_a_token_that_the_site_says_back_is_not_shown(code: int) -> None:
    said = error(code, f"What is {SECRET}?", details=[f"token={SECRET}&f=json"])
    site = ScriptedSite((POST, said))

    with pytest.raises(SiteRefused) as caught:
        client(site, TOKEN).submit(PAGE, {"levels": "1"})

    assert (caught.value.message, caught.value.details) == ("What is ***?", ("token=***&f=json",))
    assert SECRET not in f"{caught.value} {caught.value!r} {vars(caught.value)}"


# of these, `requests` goes to evil.example, and Python's own parser reads another host
TWO_HOSTS = [
    "https://evil.example\\@maps.example/arcgis/rest",
    "//evil.example\\@maps.example/arcgis/rest",
    "https://evil.example\\@maps.example:443/",
]


@pytest.mark.parametrize("location", TWO_HOSTS)
def test_no_token_goes_where_a_redirect_is_read_in_two_ways(location: str) -> None:
    site = ScriptedSite((POST, redirect(location, 307)))

    with pytest.raises(NotArcGIS):
        client(site, TOKEN).submit(PAGE, {"levels": "1"})

    assert len(site.sent) == 1


@pytest.mark.parametrize("location", TWO_HOSTS)
def test_no_token_goes_with_a_file_whose_redirect_is_read_in_two_ways(location: str) -> None:
    site = ScriptedSite((GET, redirect(location)))

    with pytest.raises(NotArcGIS):
        client(site, TOKEN).fetch(PAGE)

    assert len(site.sent) == 1
