"""Web servers that stand in front of a site and want a sign-in of their own."""

from __future__ import annotations

import pytest
from scripted_doors import Doors, Page, basic, info, takes, token
from scripted_site import answer, error, html, quick_client, redirect

from tile_cache_manager.plugin.core.arcgis.credentials import (
    CertificateSignIn,
    Credentials,
    FixedToken,
    HeaderSignIn,
    SignIn,
)
from tile_cache_manager.plugin.core.arcgis.transport import HttpRequest, HttpResponse
from tile_cache_manager.plugin.core.arcgis.web_tier import schemes_of
from tile_cache_manager.plugin.core.errors import (
    NotAllowed,
    SignInFailed,
    SignInNeeded,
    SignInProblem,
    SiteRefused,
    SiteUnreachable,
    Unreachable,
)

SITE = "https://gis.example/server"
PAGE = f"{SITE}/rest/services/World/MapServer"
FILE = f"{SITE}/out/Town.tpkx"
INFO, SERVICES = f"GET {SITE}/rest/info", f"GET {SITE}/rest/services"
TOKENS = f"{SITE}/tokens/generateToken"
PORTAL = "https://portal.example/portal"
PORTAL_TOKENS = f"{PORTAL}/sharing/rest/generateToken"
ME = Credentials("Aladdin", "open sesame")
HEADER = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
"""For that user name and password, as RFC 7617 has it."""
FINE, BODY = answer({"fine": True}), {"fine": True}


def unauthorized(challenge: str) -> HttpResponse:
    return answer("<html>", 401, {"www-authenticate": challenge}, "text/html")


# challenges as servers send them, several joined as HTTP allows
CHALLENGES = [
    ("", ()),
    ("Basic", ("Basic",)),
    ('basic realm="x"', ("Basic",)),
    ('Basic realm="a, NTLM", charset="UTF-8"', ("Basic",)),
    ('Basic realm="a \\" Digest b"', ("Basic",)),
    ("Negotiate, NTLM", ("Negotiate", "NTLM")),
    ("Negotiate oYG2MIGz==, NTLM TlRMTVNTUAAC", ("Negotiate", "NTLM")),
    ('Negotiate, Basic realm="x"', ("Negotiate", "Basic")),
    ('Digest realm="x", qop="auth", nonce="abc", opaque="basic"', ("Digest",)),
    ('Bearer realm="ArcGIS"', ()),
    ('Bearer realm="x", Basic realm="x"', ("Basic",)),
    ("x" * 100_000, ()),
    ('"' * 100_001, ()),
]


@pytest.mark.parametrize(("challenge", "expected"), CHALLENGES, ids=lambda value: str(value)[:40])
def test_what_a_web_server_offers(challenge: str, expected: tuple[str, ...]) -> None:
    assert schemes_of(challenge) == expected


# --- Basic -----------------------------------------------------------------------------------


def test_user_name_and_password_for_the_web_server_alone() -> None:
    doors = Doors(
        {INFO: basic(HEADER, info()), f"GET {PAGE}": basic(HEADER, FINE),
         f"POST {PAGE}": basic(HEADER, FINE), f"GET {FILE}": basic(HEADER, answer("PK"))}
    )  # fmt: skip
    client = quick_client(doors, ME, SITE)
    body = bytearray()

    assert client.read(PAGE) == BODY
    assert client.submit(PAGE, {"levels": "1"}) == BODY
    assert client.fetch(FILE).body == b"PK"
    client.download(FILE, lambda head: body.extend)

    assert body == b"PK"
    # asked once what it wants, then told at once
    assert doors.lines == [INFO, INFO, f"GET {PAGE}", f"POST {PAGE}", f"GET {FILE}", f"GET {FILE}"]
    assert "sesame" not in str([dict(each.params) for each in doors.sent])


def test_a_web_server_that_guards_the_services_only() -> None:
    doors = Doors({INFO: info(), SERVICES: basic(HEADER, FINE), f"GET {PAGE}": basic(HEADER, FINE)})

    assert quick_client(doors, ME, SITE).read(PAGE) == BODY


def test_a_web_server_and_a_token_on_top() -> None:
    doors = Doors(
        {
            INFO: basic(HEADER, info(TOKENS)),
            f"POST {TOKENS}": basic(HEADER, token("t1")),
            f"POST {PAGE}": basic(HEADER, takes("t1")),
            f"GET {FILE}": basic(HEADER, takes("t1")),
        }
    )
    client = quick_client(doors, ME, SITE)

    assert client.read(PAGE) == BODY
    assert client.fetch(FILE).body == FINE.body


def test_a_web_server_that_guards_one_service_beside_the_tokens() -> None:
    """The first that wants it is a submission: it did nothing, and is sent again."""
    doors = Doors(
        {
            INFO: info(TOKENS),
            f"POST {TOKENS}": token("t1"),
            f"POST {PAGE}": basic(HEADER, takes("t1")),
        }
    )

    assert quick_client(doors, ME, SITE).submit(PAGE, {"levels": "1"}) == BODY
    assert len(doors.asked(f"POST {PAGE}")) == 2


@pytest.mark.parametrize("guarded", [INFO, SERVICES])
def test_a_password_that_the_web_server_refuses(guarded: str) -> None:
    refused = unauthorized('Basic realm="x"')
    doors = Doors({INFO: info(), f"GET {PAGE}": refused, guarded: refused})

    with pytest.raises(SignInFailed) as caught:
        quick_client(doors, ME, SITE).read(PAGE)

    assert caught.value.reason is SignInProblem.REFUSED
    assert len(doors.asked(guarded)) == 2
    assert "sesame" not in f"{caught.value} {vars(caught.value)}"
    assert HEADER not in f"{caught.value} {vars(caught.value)} {doors.sent!r}"


def test_a_password_that_is_refused_from_some_day_on() -> None:
    doors = Doors(
        {INFO: basic(HEADER, info()), f"GET {PAGE}": [basic(HEADER, FINE), unauthorized("Basic")]}
    )
    client = quick_client(doors, ME, SITE)
    client.read(PAGE)

    with pytest.raises(SignInFailed) as caught:
        client.read(PAGE)

    assert caught.value.reason is SignInProblem.REFUSED
    assert len(doors.asked(f"GET {PAGE}")) == 2


@pytest.mark.parametrize("site_url", ["http://gis.example/server", SITE])
@pytest.mark.parametrize(
    "elsewhere", ["https://other.example/x", "https://gis.example:8443/x", "http://gis.example/x"]
)
def test_the_password_stays_with_the_site(site_url: str, elsewhere: str) -> None:
    if elsewhere.startswith("http:") and site_url.startswith("http:"):
        return  # its own origin
    doors = Doors(
        {
            f"GET {site_url}/rest/info": basic(HEADER, info()),
            f"GET {site_url}/rest/x": redirect(elsewhere),
            f"GET {elsewhere}": unauthorized("Basic"),
        }
    )
    client = quick_client(doors, ME, site_url)

    with pytest.raises(SiteRefused) as caught:
        client.read(f"{site_url}/rest/x")
    assert caught.value.code == 302
    with pytest.raises(SignInNeeded):
        client.read(elsewhere)
    with pytest.raises(SignInNeeded):
        client.fetch(f"{site_url}/rest/x")

    assert all(url.startswith(site_url) for url in doors.saw(HEADER))


def test_names_and_passwords_of_all_scripts() -> None:
    """UTF-8, as RFC 7617 recommends."""
    header = "Basic dGVzdDoxMjPCow=="
    doors = Doors({INFO: basic(header, info()), f"GET {PAGE}": basic(header, FINE)})

    assert quick_client(doors, Credentials("test", "123£"), SITE).read(PAGE) == BODY


@pytest.mark.parametrize(
    ("challenge", "told"),
    [("Negotiate, NTLM", "Negotiate, NTLM"), ('Digest realm="x"', "Digest"), ("NTLM", "NTLM")],
)
@pytest.mark.parametrize(
    "person",
    [ME, FixedToken("t"), HeaderSignIn({"X-Key": "k"}), CertificateSignIn()],
    ids=lambda person: type(person).__name__,
)
def test_a_web_server_that_wants_what_is_not_spoken_here(
    challenge: str, told: str, person: SignIn
) -> None:
    refused = unauthorized(challenge)
    doors = Doors({INFO: refused, f"GET {PAGE}": refused, f"POST {PAGE}": refused})

    with pytest.raises(SignInFailed) as caught:
        quick_client(doors, person, SITE).read(PAGE)

    assert (caught.value.reason, caught.value.detail) == (SignInProblem.WEB_SERVER, told)
    assert len(doors.sent) == 1


def test_nobody_signs_in() -> None:
    doors = Doors({f"GET {PAGE}": unauthorized('Basic realm="x", Negotiate')})

    with pytest.raises(SignInNeeded) as caught:
        quick_client(doors, None, SITE).read(PAGE)

    assert caught.value.schemes == ("Basic", "Negotiate")


def portal_behind_a_web_server(tokens: Page) -> Doors:
    return Doors(
        {
            INFO: info(PORTAL_TOKENS, PORTAL),
            f"GET {PORTAL}/sharing/rest/info": basic(HEADER, info(PORTAL_TOKENS)),
            f"POST {PORTAL_TOKENS}": basic(HEADER, tokens),
            f"POST {PAGE}": takes("of-site"),
        }
    )


def test_a_portal_that_knows_its_users_by_the_web_server_alone() -> None:
    def tokens(request: HttpRequest) -> HttpResponse:
        if "username" in request.params:
            return error(400, "Unable to generate token.")
        return token("of-site") if request.params.get("serverUrl") == SITE else error(400)

    doors = portal_behind_a_web_server(tokens)
    person = Credentials("Aladdin", "open sesame", "", (PORTAL,))

    assert quick_client(doors, person, SITE).read(PAGE) == BODY
    assert all(url.startswith(PORTAL) for url in doors.saw(HEADER))


def test_a_portal_behind_a_web_server_that_is_not_trusted() -> None:
    doors = portal_behind_a_web_server(token("of-site"))

    with pytest.raises(SignInFailed) as caught:
        quick_client(doors, ME, SITE).read(PAGE)

    assert caught.value.portal_url == PORTAL
    assert doors.lines == [INFO]


def test_a_web_server_beside_the_portal_s_is_not_told_unasked() -> None:
    site_url = "https://portal.example:6443/server"
    portal, page = f"{PORTAL}/sharing/rest", f"{site_url}/rest/services/World/MapServer"
    doors = Doors(
        {
            f"GET {site_url}/rest/info": info(f"{portal}/generateToken", PORTAL),
            f"GET {portal}/info": basic(HEADER, info(f"{portal}/generateToken")),
            f"POST {portal}/generateToken": basic(HEADER, token("of-site")),
            f"POST {page}": takes("of-site"),
        }
    )
    person = Credentials("Aladdin", "open sesame", "", (PORTAL,))

    assert quick_client(doors, person, site_url).read(page) == BODY
    assert doors.saw(HEADER) == [f"{portal}/info", f"{portal}/generateToken"]


# --- headers and certificates ----------------------------------------------------------------

KEY = HeaderSignIn({"X-Key": "k3y"}, (PORTAL,))


def test_headers_sign_each_request_to_the_site_and_no_other() -> None:
    store = "https://blobs.example/Town.tpkx"
    doors = Doors(
        {f"GET {PAGE}": FINE, f"POST {PAGE}": FINE, f"GET {FILE}": redirect(store),
         f"GET {store}": answer("PK"), "GET https://other.example/x": FINE}
    )  # fmt: skip
    client = quick_client(doors, KEY, SITE)

    client.read(PAGE)
    client.submit(PAGE, {"a": "1"})
    assert client.fetch(FILE).body == b"PK"
    client.download(FILE, lambda head: lambda piece: None, {"Range": "bytes=0-"})
    client.read("https://other.example/x")

    assert doors.saw("k3y") == [PAGE, FILE]
    assert [each.headers for each in doors.asked(f"GET {store}")] == [{}, {"Range": "bytes=0-"}]
    assert "k3y" not in f"{KEY!r} {doors.sent!r}"
    assert client.is_signed_in


@pytest.mark.parametrize("person", [KEY, CertificateSignIn((PORTAL,))])
@pytest.mark.parametrize("refusal", [error(499, "Token Required"), error(403, "No rights")])
def test_a_token_by_the_web_server_alone(person: SignIn, refusal: HttpResponse) -> None:
    """The site wants a token; its portal gives one to whom the web server knows."""
    wanted: list[HttpRequest] = []

    def tokens(request: HttpRequest) -> HttpResponse:
        wanted.append(request)
        return token("of-site")

    doors = Doors(
        {
            INFO: info(PORTAL_TOKENS, PORTAL),
            f"POST {PORTAL_TOKENS}": tokens,
            f"GET {PAGE}": refusal,
            f"POST {PAGE}": takes("of-site"),
        }
    )
    client = quick_client(doors, person, SITE)

    assert [client.read(PAGE), client.read(PAGE)] == [BODY, BODY]

    (request,) = wanted
    assert request.params["serverUrl"] == SITE
    assert "username" not in request.params
    assert request.headers.get("X-Key") == ("k3y" if person is KEY else None)
    assert len(doors.asked(f"GET {PAGE}")) == 1


@pytest.mark.parametrize("refusal", [error(400, "Unable"), html(), answer(BODY), error(499)])
@pytest.mark.parametrize(
    ("refused", "expected"), [(error(403, "No rights"), NotAllowed), (error(499), SignInNeeded)]
)
def test_no_token_by_the_web_server_alone(
    refused: HttpResponse, expected: type[SiteRefused], refusal: HttpResponse
) -> None:
    """Then what the site said first is told."""
    doors = Doors({INFO: info(TOKENS), f"POST {TOKENS}": refusal, f"GET {PAGE}": refused})

    with pytest.raises(expected) as caught:
        quick_client(doors, CertificateSignIn(), SITE).read(PAGE)

    assert caught.value.url == PAGE
    assert len(doors.asked(f"GET {PAGE}")) == 1


def test_headers_do_not_go_to_a_portal_that_is_not_trusted() -> None:
    doors = Doors({INFO: info(PORTAL_TOKENS, PORTAL), f"GET {PAGE}": error(499, "Token Required")})

    with pytest.raises(SignInFailed) as caught:
        quick_client(doors, HeaderSignIn({"X-Key": "k3y"}), SITE).read(PAGE)

    assert caught.value.portal_url == PORTAL
    assert doors.saw("k3y") == [PAGE, f"{SITE}/rest/info"]


# --- a certificate that the web server wants -------------------------------------------------


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "<html><head><title>400 No required SSL certificate was sent</title></head>"),
        (400, "<html>400 The SSL certificate error</html>"),
        (403, "<html>403.7 - Client certificate required</html>"),
        (496, "<html>SSL Certificate Required</html>"),
    ],
)
def test_a_web_server_that_wants_a_certificate(status: int, words: str) -> None:
    """Web servers tell so in a page, where they let the connection be made first."""
    doors = Doors({f"GET {PAGE}": answer(words, status, content_type="text/html")})

    with pytest.raises(SiteUnreachable) as caught:
        quick_client(doors, None, SITE).read(PAGE)

    assert caught.value.reason is Unreachable.CLIENT_CERTIFICATE
