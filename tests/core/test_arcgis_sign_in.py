"""Sign-in with user name and password: where the password may go, and when a token is renewed."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import pytest
from scripted_site import SITE, Answer, ScriptedSite, answer, error, html, quick_client, redirect

from tile_cache_manager.plugin.core.arcgis import credentials as credentials_module
from tile_cache_manager.plugin.core.arcgis.credentials import Credentials, FixedToken, Token
from tile_cache_manager.plugin.core.errors import (
    NotArcGIS,
    SignInFailed,
    SignInNeeded,
    SignInProblem,
    SiteError,
    SiteRefused,
    SiteUnreachable,
    Unreachable,
)

ME = Credentials("me", "p4ssw0rd")
PAGE = f"{SITE}/rest/services/World/MapServer"
POST = f"POST {PAGE}"
INFO = f"GET {SITE}/rest/info"
SERVICES = f"GET {SITE}/rest/services"
TOKENS = f"{SITE}/tokens/generateToken"
GENERATE = f"POST {TOKENS}"
FINE = answer({"fine": True})
EXPIRED, MISSING = error(498, "Invalid token."), error(499, "Token Required")


def info(url: str, **more: Any) -> Answer:
    return answer({"authInfo": {"isTokenBasedSecurity": True, "tokenServicesUrl": url}, **more})


def token(value: str, minutes: float | None = 60) -> Answer:
    body: dict[str, Any] = {"token": value}
    if minutes is not None:
        body["expires"] = int((time.time() + 60 * minutes) * 1000)
    return answer(body)


def sent_tokens(site: ScriptedSite) -> list[str | None]:
    """The tokens of the requests for PAGE."""
    return [request.params.get("token") for request in site.sent if request.url == PAGE]


def passwords_went_to(site: ScriptedSite) -> list[str]:
    return [request.url for request in site.sent if ME.password in str(dict(request.params))]


def test_one_token_for_many_requests() -> None:
    site = ScriptedSite(
        (INFO, info(TOKENS)), (GENERATE, token("t1")), (POST, FINE), (POST, FINE), (POST, FINE)
    )
    client = quick_client(site, ME)
    assert site.sent == []

    for _ in range(3):
        assert client.read(PAGE) == {"fine": True}

    assert sent_tokens(site) == ["t1", "t1", "t1"]
    assert dict(site.sent[1].params) == {
        "f": "json",
        "username": "me",
        "password": "p4ssw0rd",
        "client": "referer",
        "referer": SITE,
        "expiration": "60",
    }
    # a token bound to a referer is taken with that referer only
    assert [request.headers.get("Referer") for request in site.sent[2:]] == [SITE] * 3
    assert passwords_went_to(site) == [TOKENS]
    assert all("t1" not in request.url for request in site.sent)
    assert "p4ssw0rd" not in repr(site.sent) + repr(ME)


@pytest.mark.parametrize("refusal", [EXPIRED, MISSING, html(401), error(401, "Invalid")])
def test_a_token_that_is_not_taken_is_renewed_once(refusal: Answer) -> None:
    steps = [
        (INFO, info(TOKENS)),
        (GENERATE, token("t1")),
        (POST, FINE),
        (POST, refusal),
        (INFO, info(TOKENS)),
        (GENERATE, token("t2")),
    ]
    site = ScriptedSite(*steps, (POST, FINE), (POST, FINE))
    client = quick_client(site, ME)
    for _ in range(3):
        assert client.read(PAGE) == {"fine": True}
    assert sent_tokens(site) == ["t1", "t1", "t2", "t2"]

    site = ScriptedSite(*steps, (POST, refusal))
    client = quick_client(site, ME)
    client.read(PAGE)
    with pytest.raises(SignInNeeded):
        client.read(PAGE)
    assert site.left == []


def test_a_submission_refused_for_its_token_is_sent_again_and_once_only() -> None:
    site = ScriptedSite(
        (INFO, info(TOKENS)),
        (GENERATE, token("t1")),
        (POST, EXPIRED),
        (INFO, info(TOKENS)),
        (GENERATE, token("t2")),
        (POST, Unreachable.TIMEOUT),
    )

    with pytest.raises(SiteUnreachable):
        quick_client(site, ME).submit(PAGE, {"levels": "1"})

    assert site.left == []


# minutes by our clock until the end of a token that is good for an hour by the site's
@pytest.mark.parametrize("minutes", [60, None, 600, 2, 0.5, 0, -30, -900])
def test_clocks_that_differ(minutes: float | None) -> None:
    """A site whose clock is behind seems to give tokens that have ended: they are used."""
    site = ScriptedSite(
        (INFO, info(TOKENS)), (GENERATE, token("t1", minutes)), (POST, FINE), (POST, FINE)
    )
    client = quick_client(site, ME)

    client.read(PAGE)
    client.read(PAGE)

    assert sent_tokens(site) == ["t1", "t1"]


@pytest.mark.parametrize(
    ("told_minutes", "later_minutes", "renewed"),
    [(60, 50, False), (60, 59.5, True), (10, 8, False), (10, 9.5, True), (600, 59.5, True)],
)
def test_a_token_is_renewed_before_its_end(
    told_minutes: float, later_minutes: float, renewed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[str, Answer]] = [
        (INFO, info(TOKENS)),
        (GENERATE, token("t1", told_minutes)),
        (POST, FINE),
    ]
    if renewed:
        steps += [(INFO, info(TOKENS)), (GENERATE, token("t2"))]
    site = ScriptedSite(*steps, (POST, FINE))
    client = quick_client(site, ME)
    client.read(PAGE)
    later = time.monotonic() + 60 * later_minutes
    monkeypatch.setattr(credentials_module.time, "monotonic", lambda: later)

    client.read(PAGE)

    assert sent_tokens(site) == ["t1", "t2" if renewed else "t1"]


DAY = 24 * 60.0


@pytest.mark.parametrize("skew_minutes", [-3 * DAY, -61, -30, -2, 0, 2, 30, 61, 3 * DAY])
@pytest.mark.parametrize(
    ("life", "later", "renewed"),
    [(60, 50, False), (60, 59.5, True), (10, 8, False), (10, 9.5, True), (1, 0.5, False),
     (1, 0.9, True), (600, 55, False), (600, 59.5, True)],
)  # fmt: skip
def test_a_token_is_renewed_by_the_sites_own_clock(
    life: float, later: float, renewed: bool, skew_minutes: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the time is by ours: the site says what time it is. In minutes."""

    def given(value: str) -> Answer:
        theirs = time.time() + 60 * skew_minutes
        body = {"token": value, "expires": int((theirs + 60 * life) * 1000)}
        return answer(body, headers={"date": formatdate(theirs, usegmt=True)})

    steps: list[tuple[str, Answer]] = [(INFO, info(TOKENS)), (GENERATE, given("t1")), (POST, FINE)]
    if renewed:
        steps += [(INFO, info(TOKENS)), (GENERATE, given("t2"))]
    site = ScriptedSite(*steps, (POST, FINE))
    client = quick_client(site, ME)
    client.read(PAGE)
    moment = time.monotonic() + 60 * later
    monkeypatch.setattr(credentials_module.time, "monotonic", lambda: moment)

    client.read(PAGE)

    assert sent_tokens(site) == ["t1", "t2" if renewed else "t1"]


@pytest.mark.parametrize("date", ["", "now", "Wed, 99 Foo 2026 07:28:00 GMT", "0", "9" * 4000])
def test_a_date_that_is_none(date: str) -> None:
    given = answer({"token": "t1", "expires": int(time.time() * 1000)}, headers={"date": date})
    site = ScriptedSite((INFO, info(TOKENS)), (GENERATE, given), (POST, FINE))

    assert quick_client(site, ME).read(PAGE) == {"fine": True}


@pytest.mark.parametrize("expires", ["soon", None, -1, 10**300, "1e999", [], True])
def test_an_end_that_is_none(expires: object) -> None:
    site = ScriptedSite(
        (INFO, info(TOKENS)), (GENERATE, answer({"token": "t1", "expires": expires})),
        (POST, FINE), (POST, FINE),
    )  # fmt: skip
    client = quick_client(site, ME)

    assert [client.read(PAGE), client.read(PAGE)] == [{"fine": True}] * 2


# --- where tokens are given ------------------------------------------------------------------

# the site, what rest/info names, where the password goes
TOKEN_SERVICES = [
    ("https://h.example/arcgis", f"{'https://h.example/arcgis'}/tokens/", "/arcgis/tokens"),
    ("https://h.example/arcgis", "https://h.example/arcgis/tokens", "/arcgis/tokens"),
    ("https://h.example/arcgis", "https://H.example:6443/arcgis/tokens/generateToken", ":6443"),
    ("http://h.example/arcgis", "https://h.example/arcgis/tokens/generateToken", "https"),
    ("http://h.example/arcgis", "http://h.example/arcgis/tokens/generateToken", "http:"),
]


@pytest.mark.parametrize(("site_url", "named", "target"), TOKEN_SERVICES)
def test_where_the_password_goes(site_url: str, named: str, target: str) -> None:
    url = named.rstrip("/")
    url = url if url.endswith("generateToken") else f"{url}/generateToken"
    page = f"{site_url}/rest/x"
    site = ScriptedSite(
        (f"GET {site_url}/rest/info", info(named)),
        (f"POST {url}", token("t1")),
        (f"POST {page}", FINE),
    )

    quick_client(site, ME, site_url).read(page)

    assert target in passwords_went_to(site)[0]
    assert site.left == []


@pytest.mark.parametrize(
    "before_10_1", [error(404, "Not found"), html(404), error(400, "Invalid URL"), html(403)]
)
def test_a_site_without_server_info(before_10_1: Answer) -> None:
    site = ScriptedSite((INFO, before_10_1), (GENERATE, token("t1")), (POST, FINE))

    assert quick_client(site, ME).read(PAGE) == {"fine": True}


# the site, portal as the person says, what rest/info names: why nobody is signed in
NOT_THERE = [
    (SITE, "", "https://evil.example/tokens/", SignInProblem.OTHER_HOST, "evil.example"),
    (
        SITE,
        "",
        "https://maps.example.evil.example/t",
        SignInProblem.OTHER_HOST,
        "maps.example.evil.example",
    ),
    (SITE, "", "https://maps.example@evil.example/t", SignInProblem.OTHER_HOST, "evil.example"),
    (SITE, "", "/arcgis/tokens/", SignInProblem.OTHER_HOST, ""),
    (SITE, "", "tokens", SignInProblem.OTHER_HOST, ""),
    (SITE, "", "http://maps.example/arcgis/tokens/", SignInProblem.NOT_ENCRYPTED, ""),
    (SITE, "", "", SignInProblem.NO_SERVICE, ""),
    (SITE, "", "https://[maps.example/t", SignInProblem.NO_SERVICE, ""),
    (SITE, "", "https://evil.example\\@maps.example/t", SignInProblem.NO_SERVICE, ""),
    (SITE, "", "https://maps.example:port/t", SignInProblem.NO_SERVICE, ""),
    (
        SITE,
        "https://portal.example/portal",
        "https://evil.example/t",
        SignInProblem.OTHER_HOST,
        "evil.example",
    ),
    (SITE, "https://portal.example/portal", "/relative", SignInProblem.OTHER_HOST, ""),
    (
        SITE,
        "https://portal.example/portal",
        "http://portal.example/portal/sharing/rest/generateToken",
        SignInProblem.NOT_ENCRYPTED,
        "",
    ),
    (
        "http://maps.example/arcgis",
        "https://portal.example/portal",
        "http://portal.example/portal/sharing/rest/generateToken",
        SignInProblem.NOT_ENCRYPTED,
        "",
    ),
]


@pytest.mark.parametrize(("site_url", "portal", "named", "reason", "detail"), NOT_THERE)
def test_where_the_password_does_not_go(
    site_url: str, portal: str, named: str, reason: SignInProblem, detail: str
) -> None:
    site = ScriptedSite((f"GET {site_url}/rest/info", info(named)), (SERVICES, FINE))
    me = Credentials(ME.username, ME.password, portal)

    with pytest.raises(SignInFailed) as caught:
        quick_client(site, me, site_url).read(f"{site_url}/rest/x")

    assert (caught.value.reason, caught.value.detail) == (reason, detail)
    assert caught.value.url == site_url
    assert passwords_went_to(site) == []


@pytest.mark.parametrize("auth", [{}, None, {"isTokenBasedSecurity": False}])
def test_a_site_without_token_service(auth: object) -> None:
    site = ScriptedSite(
        (INFO, answer({"currentVersion": 10.81, "authInfo": auth})), (SERVICES, FINE)
    )

    with pytest.raises(SignInFailed) as caught:
        quick_client(site, ME).read(PAGE)

    assert caught.value.reason is SignInProblem.NO_SERVICE


def test_the_web_server_in_front_wants_a_sign_in_of_its_own() -> None:
    site = ScriptedSite((INFO, html(401)))

    with pytest.raises(SignInFailed) as caught:
        quick_client(site, ME).read(PAGE)

    assert caught.value.reason is SignInProblem.WEB_SERVER


def test_a_redirect_carries_no_password_to_another_host() -> None:
    site = ScriptedSite((INFO, info(TOKENS)), (GENERATE, redirect("https://evil.example/t", 307)))

    with pytest.raises(SiteError):
        quick_client(site, ME).read(PAGE)

    assert passwords_went_to(site) == [TOKENS]
    assert site.left == []


# --- what the token service says -------------------------------------------------------------

REFUSED = [
    (error(400, "Unable to generate token.", details=["Wrong password."]), "Wrong password."),
    (error(400, "Unable to generate token."), "Unable to generate token."),
    (error(401, "Invalid credentials"), "Invalid credentials"),
    (error(403, "Locked out"), "Locked out"),
    (
        answer({"status": "error", "messages": ["Could not", "sign in."], "code": 401}),
        "Could not sign in.",
    ),
]


@pytest.mark.parametrize(("refusal", "detail"), REFUSED)
def test_a_refused_password_is_tried_once(refusal: Answer, detail: str) -> None:
    site = ScriptedSite((INFO, info(TOKENS)), (GENERATE, refusal))

    with pytest.raises(SignInFailed) as caught:
        quick_client(site, ME).read(PAGE)

    assert (caught.value.reason, caught.value.detail) == (SignInProblem.REFUSED, detail)
    assert "p4ssw0rd" not in f"{caught.value} {caught.value!r} {vars(caught.value)}"
    assert site.left == []


def test_a_password_that_the_site_says_back_is_not_shown() -> None:
    said = error(400, "No: p4ssw0rd", details=["'p4ssw0rd' is wrong", "x"])
    site = ScriptedSite((INFO, info(TOKENS)), (GENERATE, said))

    with pytest.raises(SignInFailed) as caught:
        quick_client(site, ME).read(PAGE)

    assert caught.value.detail == "'***' is wrong x"
    assert "p4ssw0rd" not in f"{caught.value!r} {vars(caught.value)}"


def test_a_busy_token_service_is_no_refused_password() -> None:
    site = ScriptedSite((INFO, info(TOKENS)), *[(GENERATE, html(503))] * 4)

    with pytest.raises(SiteRefused) as caught:
        quick_client(site, ME).read(PAGE)

    assert caught.value.code == 503
    assert site.left == []


def test_a_broken_token_service_is_no_refused_password() -> None:
    """A site that starts again says so; whoever follows a job bears with it."""
    broken = error(500, "Error generating token.")
    site = ScriptedSite((INFO, info(TOKENS)), (GENERATE, broken))

    with pytest.raises(SiteRefused) as caught:
        quick_client(site, ME).read(PAGE)

    assert (caught.value.code, caught.value.message) == (500, "Error generating token.")
    assert site.left == []


def test_an_answer_without_token() -> None:
    site = ScriptedSite((INFO, info(TOKENS)), (GENERATE, answer({"expires": 0})))

    with pytest.raises(SignInFailed) as caught:
        quick_client(site, ME).read(PAGE)

    assert caught.value.reason is SignInProblem.NO_SERVICE


def test_a_page_instead_of_a_token() -> None:
    site = ScriptedSite((INFO, info(TOKENS)), (GENERATE, html()))

    with pytest.raises(NotArcGIS):
        quick_client(site, ME).read(PAGE)


def test_reprs_hide_secrets() -> None:
    shown = f"{ME!r} {FixedToken('s3cret')!r} {Token('s3cret', 1.0)!r}"

    assert "p4ssw0rd" not in shown
    assert "s3cret" not in shown
    assert "me" in shown
