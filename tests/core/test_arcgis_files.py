"""Files of a site: who may see the token, what a redirect may carry, what is judged how."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from scripted_site import (
    SITE,
    AnsweringSite,
    ScriptedSite,
    answer,
    error,
    html,
    quick_client,
    redirect,
)

from tile_cache_manager.plugin.core.arcgis.credentials import Credentials, FixedToken
from tile_cache_manager.plugin.core.arcgis.transport import HttpRequest, RequestsTransport
from tile_cache_manager.plugin.core.errors import (
    NotAllowed,
    NotArcGIS,
    NotFound,
    SignInNeeded,
    SiteRefused,
    SiteUnreachable,
    Unreachable,
)

FILE = f"{SITE}/out/Town.tpkx"
FIXED = FixedToken("t0ps3cret", "https://maps.example")
ANNA = Credentials("anna", "pass")
SIGNED = {"X-Esri-Authorization": "Bearer t0ps3cret", "Referer": "https://maps.example"}


def got(site: Any, url: str = FILE, sign_in: Any = None, **more: Any) -> bytes:
    """What a download hands out."""
    body = bytearray()
    quick_client(site, sign_in).download(url, lambda head: body.extend, **more)
    return bytes(body)


def secrets_in_urls(*requests: HttpRequest) -> bool:
    """Whether what goes into the request line holds a token."""
    lines = [request.url for request in requests]
    lines += [str(request.params) for request in requests if request.method == "GET"]
    return "t0ps3cret" in " ".join(lines)


def test_a_file_of_an_open_site() -> None:
    site = ScriptedSite((f"GET {FILE}", answer("PK")))

    assert got(site, headers={"Range": "bytes=0-"}) == b"PK"
    assert (site.sent[0].params, site.sent[0].headers) == ({}, {"Range": "bytes=0-"})


def test_a_token_in_a_header_on_the_own_origin() -> None:
    site = ScriptedSite((f"GET {FILE}", answer("PK")))

    assert got(site, sign_in=FIXED) == b"PK"
    assert (site.sent[0].params, site.sent[0].headers) == ({}, SIGNED)


@pytest.mark.parametrize(
    "refusal", [error(499, "Token Required"), answer("", 401), error(498, "Invalid token")]
)
def test_a_site_too_old_for_tokens_in_headers(refusal: Any) -> None:
    site = ScriptedSite(
        (f"GET {FILE}", refusal), (f"POST {FILE}", answer("PK")), (f"POST {FILE}", answer("PK"))
    )
    client = quick_client(site, FIXED)

    for _ in range(2):
        body = bytearray()
        client.download(FILE, lambda head, body=body: body.extend)
        assert body == b"PK"

    assert site.left == []
    assert site.sent[1].params == {"token": "t0ps3cret"}
    assert not secrets_in_urls(*site.sent)


@pytest.mark.parametrize("second", [answer("", 405), error(499), error(400), html(404)])
def test_a_token_that_no_way_is_taken(second: Any) -> None:
    site = ScriptedSite(
        (f"GET {FILE}", error(499, "Token Required")),
        (f"POST {FILE}", second),
        (f"GET {SITE}/rest/info", answer({"authInfo": {}})),
    )

    with pytest.raises(SignInNeeded) as caught:
        got(site, sign_in=FIXED)

    assert caught.value.message == "Token Required"


def test_a_token_that_has_ended() -> None:
    tokens = iter(["old", "new"])
    site = AnsweringSite(
        {
            "/rest/info": {"authInfo": {"tokenServicesUrl": f"{SITE}/tokens/"}},
            "/out/Town.tpkx": [error(498), error(498), answer("PK")],
        }
    )
    original = site.send
    signed: list[str] = []

    def send(request: HttpRequest) -> Any:
        if request.url.endswith("generateToken"):
            return answer({"token": next(tokens)})
        signed.append(request.headers.get("X-Esri-Authorization", ""))
        return original(request)

    site.send = send  # type: ignore[method-assign]

    assert got(site, sign_in=ANNA) == b"PK"
    assert [each for each in signed if each] == ["Bearer old", "Bearer new"]


@pytest.mark.parametrize(
    ("url", "sent", "params"),
    [
        ("https://files.example/a.tpkx?sig=a%2Bb%3D&x=", "https://files.example/a.tpkx",
         {"sig": "a+b=", "x": ""}),
        ("https://files.example/a.tpkx?token=t0ps3cret&x=1", "https://files.example/a.tpkx",
         {"x": "1"}),
        ("https://files.example/a.tpkx?token=theirs", "https://files.example/a.tpkx",
         {"token": "theirs"}),
        ("http://maps.example/a.tpkx", "http://maps.example/a.tpkx", {}),
        ("https://maps.example:8443/a.tpkx", "https://maps.example:8443/a.tpkx", {}),
    ],
)  # fmt: skip
def test_another_origin_gets_no_token(url: str, sent: str, params: dict[str, str]) -> None:
    site = ScriptedSite((f"GET {sent}", answer("PK")))

    assert got(site, url, FIXED) == b"PK"
    assert (site.sent[0].params, site.sent[0].headers) == (params, {})
    assert "sig" not in repr(site.sent[0])


def test_a_token_in_a_url_of_the_site_itself_goes() -> None:
    site = ScriptedSite((f"GET {FILE}", answer("PK")))

    got(site, f"{FILE}?token=t0ps3cret&a=1", FIXED)

    assert (site.sent[0].params, site.sent[0].headers) == ({"a": "1"}, SIGNED)


def test_a_redirect_to_a_store_of_files() -> None:
    """Its signature stands in the query, and our token stays at home."""
    store = "https://blobs.example/box/Town.tpkx"
    site = ScriptedSite(
        (f"GET {FILE}", redirect(f"{store}?sig=a%2Fb&token=t0ps3cret")),
        (f"GET {store}", answer("PK")),
    )

    assert got(site, sign_in=FIXED, headers={"Range": "bytes=5-"}) == b"PK"
    assert site.sent[1].params == {"sig": "a/b"}
    assert site.sent[1].headers == {"Range": "bytes=5-"}


def test_a_redirect_within_the_site() -> None:
    site = ScriptedSite(
        (f"GET {FILE}", redirect("/arcgis/new/Town.tpkx?token=t0ps3cret&v=2", 307)),
        (f"GET {SITE}/new/Town.tpkx", answer("PK")),
    )

    assert got(site, sign_in=FIXED) == b"PK"
    assert (site.sent[1].params, site.sent[1].headers) == ({"v": "2"}, SIGNED)


def test_a_redirect_back_from_elsewhere_gets_no_token() -> None:
    """Whoever sends us on must not choose where the token goes."""
    there = "https://files.example/a"
    site = ScriptedSite(
        (f"GET {FILE}", redirect(there)),
        (f"GET {there}", redirect(f"{SITE}/rest/admin")),
        (f"GET {SITE}/rest/admin", answer("PK")),
    )

    got(site, sign_in=FIXED)

    assert [bool(request.headers) for request in site.sent] == [True, False, False]


def test_redirects_without_end() -> None:
    site = AnsweringSite({"/out/Town.tpkx": redirect(FILE)})

    with pytest.raises(NotArcGIS):
        got(site)
    assert site.times("/out/Town.tpkx") == 5


def test_a_redirect_to_nowhere() -> None:
    with pytest.raises(NotArcGIS):
        got(AnsweringSite({"/out/Town.tpkx": redirect("http://[")}))


def test_no_error_shows_a_query() -> None:
    site = ScriptedSite((f"GET {FILE}", Unreachable.BROKEN))

    with pytest.raises(SiteUnreachable) as caught:
        got(site, f"{FILE}?sig=t0ps3cret")

    assert caught.value.url == FILE
    assert "t0ps3cret" not in f"{caught.value} {vars(caught.value)}"


def test_a_forbidden_file_elsewhere_asks_for_no_sign_in_here() -> None:
    url = "https://files.example/a.tpkx"

    with pytest.raises(NotAllowed):
        got(ScriptedSite((f"GET {url}", answer("", 403))), url)


# fetch: pictures and other small files


def fetched(*replies: Any, sign_in: Any = None) -> Any:
    site = ScriptedSite(*((f"GET {FILE}", reply) for reply in replies))
    response = quick_client(site, sign_in).fetch(FILE, {"blankTile": "false"})
    assert site.left == []
    assert site.sent[0].params == {"blankTile": "false"}
    return response


def test_fetch() -> None:
    assert fetched(answer("GIF8")).body == b"GIF8"
    assert fetched(answer("", 204)).status == 204
    assert fetched(answer("{ no JSON")).body == b"{ no JSON"


def test_fetch_is_repeated() -> None:
    replies = [Unreachable.BROKEN, answer("", 503), error(504, "busy"), answer("GIF8")]

    assert fetched(*replies).body == b"GIF8"


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (html(404), NotFound),
        (error(404, "no tile"), NotFound),
        (error(500, "broken"), SiteRefused),
        (html(500), NotArcGIS),
        (error(499), SignInNeeded),
        (html(403), SignInNeeded),
    ],
)
def test_fetch_refused(reply: Any, expected: type[Exception]) -> None:
    with pytest.raises(expected):
        fetched(reply)


def page(text: str) -> Any:
    body = f"<html><head><title>Error</title></head><body>{text}</body></html>"
    return answer(body, content_type="text/html;charset=utf-8")


@pytest.mark.parametrize(
    ("text", "expected", "message"),
    [
        ("<pre>Error: Token Required\nCode: 499\nToken Required</pre>", SignInNeeded,
         "Token Required"),
        ("<b>Error: </b>Invalid token.<br/><b>Code: </b>498", SignInNeeded, "Invalid token."),
        ("<b>Code:</b> 404", NotFound, ""),
        ("<h2>Error: not started</h2>\n<p>Code: 500</p>", SiteRefused, "not started"),
    ],
)  # fmt: skip
def test_errors_worded_for_people(text: str, expected: type[SiteRefused], message: str) -> None:
    """A site that is not asked for JSON words its errors so."""
    with pytest.raises(expected) as caught:
        fetched(page(text))
    assert (type(caught.value), caught.value.message) == (expected, message)
    with pytest.raises(expected):
        got(ScriptedSite((f"GET {FILE}", page(text))))


@pytest.mark.parametrize("text", ["Sign in", "Error: what?", "Code: 200", "Code: 4990"])
def test_pages_that_tell_of_no_error(text: str) -> None:
    assert fetched(page(text)).status == 200
    with pytest.raises(NotArcGIS):
        got(ScriptedSite((f"GET {FILE}", page(text))))


# The site's own place for what it names by another host


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://inner:6443/arcgis/rest/directories/a?b=c",
         "https://maps.example/arcgis/rest/directories/a?b=c"),
        ("https://inner/other/REST/directories/a",
         "https://maps.example/arcgis/REST/directories/a"),
        ("https://inner/files/a", "https://maps.example/files/a"),
    ],
)  # fmt: skip
def test_own_url(url: str, expected: str) -> None:
    assert quick_client(None).own_url(url) == expected


def test_one_transport_for_several_threads() -> None:
    """No two requests share a session at the same time, and none is made that one idles for."""
    transport = RequestsTransport()
    meet, sessions = threading.Barrier(3, timeout=10), []

    def take() -> None:
        with transport._session() as session:
            sessions.append(session)
            meet.wait()

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, sessions))) == 3
    with transport._session() as session:
        assert session in sessions
    transport.close()
