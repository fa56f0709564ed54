"""Sites that belong to a portal: its token, exchanged for theirs, and whom a password is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scripted_doors import Doors, Page, info, sent_token, takes, token
from scripted_site import answer, error, html, quick_client, redirect

from tile_cache_manager.plugin.core.arcgis.credentials import Credentials
from tile_cache_manager.plugin.core.arcgis.transport import HttpRequest, HttpResponse
from tile_cache_manager.plugin.core.errors import (
    NotAllowed,
    SignInFailed,
    SignInProblem,
    SiteRefused,
    Unreachable,
)

SITE = "https://gis.example/server"
PAGE = f"{SITE}/rest/services/World/MapServer"
PORTAL = "https://portal.example/portal"
SHARING = f"{PORTAL}/sharing/rest"
TOKENS = f"{SHARING}/generateToken"
PASSWORD = "p4ssw0rd"


def me(*trusted: str, portal: str = "") -> Credentials:
    return Credentials("me", PASSWORD, portal, trusted)


def portal_tokens(
    exchanged: Page | None = None, password: Page | None = None
) -> Callable[[HttpRequest], HttpResponse]:
    """The portal's token service: "of-portal" for the password, "of-site" in exchange for that."""

    def page(request: HttpRequest) -> HttpResponse:
        if "username" in request.params:
            reply = password or token("of-portal")
        elif (
            request.params.get("token") == "of-portal"
            and request.params.get("serverUrl") == SITE
            # the portal's token is bound to a referer
            and request.headers.get("Referer") == SITE
        ):
            reply = exchanged or token("of-site")
        else:
            reply = error(498, "Invalid token.")
        assert isinstance(reply, HttpResponse)
        return reply

    return page


def federated(**changes: Page | list[Page]) -> Doors:
    """A site of a portal, which takes its own tokens only."""
    pages: dict[str, Page | list[Page]] = {
        "site_info": info(TOKENS, PORTAL),
        "portal_info": info(TOKENS),
        "tokens": portal_tokens(),
        "page": takes("of-site"),
        **changes,
    }
    lines = {
        "site_info": f"GET {SITE}/rest/info",
        "portal_info": f"GET {SHARING}/info",
        "tokens": f"POST {TOKENS}",
        "page": f"POST {PAGE}",
    }
    return Doors({lines[name]: page for name, page in pages.items()})


@pytest.mark.parametrize(
    "person",
    [me(portal=PORTAL), me(PORTAL), me("https://other.example", f"{PORTAL}/"),
     me("https://portal.example:7443/arcgis"), me("https://PORTAL.example")],
)  # fmt: skip
def test_the_portals_token_is_exchanged_for_one_of_the_site(person: Credentials) -> None:
    doors = federated()

    assert quick_client(doors, person, SITE).read(PAGE) == {"fine": True}

    assert doors.saw(PASSWORD) == [TOKENS]
    assert doors.saw("of-portal") == [TOKENS]
    assert doors.saw("of-site") == [PAGE]
    assert all(secret not in str(doors.lines) for secret in (PASSWORD, "of-portal", "of-site"))
    assert [each.headers.get("Referer") for each in doors.asked(f"POST {PAGE}")] == [SITE]


@pytest.mark.parametrize(
    "refusal",
    [error(400, "Invalid serverUrl"), error(403, "No"), answer({"fine": True}), error(498, "No")],
)
def test_a_portal_that_exchanges_nothing(refusal: HttpResponse) -> None:
    """Sites may take the portal's own token."""
    doors = federated(tokens=portal_tokens(refusal), page=takes("of-portal"))

    assert quick_client(doors, me(PORTAL), SITE).read(PAGE) == {"fine": True}


def test_a_portal_that_is_busy_is_no_portal_that_refuses() -> None:
    with pytest.raises(SiteRefused) as caught:
        quick_client(
            federated(tokens=portal_tokens(answer("", 503))), me(PORTAL), SITE
        ).read(PAGE)  # fmt: skip

    assert caught.value.code == 503


def test_renewed_in_the_midst() -> None:
    """The site ends its token early: portal and site are asked again, once."""
    given = iter(["first", "second"])

    def tokens(request: HttpRequest) -> HttpResponse:
        return token(next(given) if "serverUrl" in request.params else "of-portal")

    doors = federated(
        tokens=tokens, page=[takes("first"), takes("second"), takes("second"), takes("none")]
    )
    client = quick_client(doors, me(PORTAL), SITE)

    assert client.read(PAGE) == {"fine": True}
    assert client.submit(PAGE, {"levels": "1"}) == {"fine": True}
    values = [sent_token(each) for each in doors.asked(f"POST {PAGE}")]
    assert values == ["first", "first", "second"]


def test_who_has_no_right_signs_in_once() -> None:
    doors = federated(page=error(403, "No rights"))
    client = quick_client(doors, me(PORTAL), SITE)

    for _ in range(3):
        with pytest.raises(NotAllowed):
            client.read(PAGE)

    assert doors.lines.count(f"POST {TOKENS}") == 2
    assert doors.lines.count(f"POST {PAGE}") == 3


# what the portal says of itself (None: nothing of use); what the site names as its token service;
# where the password goes
INNER = "https://inner.example/portal/sharing/rest/generateToken"
OTHER_TOKENS = "https://portal.example/other/generateToken"
NAMED = [
    (info(TOKENS), "", TOKENS),
    (info(TOKENS), INNER, TOKENS),
    (info(OTHER_TOKENS), TOKENS, OTHER_TOKENS),
    (error(404, "gone"), TOKENS, TOKENS),
    (error(499, "Token Required"), TOKENS, TOKENS),
    (html(), TOKENS, TOKENS),
    (Unreachable.REFUSED, TOKENS, TOKENS),
    (info(), TOKENS, TOKENS),
    (info(), "", TOKENS),
    (info(INNER), TOKENS, TOKENS),
    (redirect("https://evil.example/"), TOKENS, TOKENS),
    (info("http://portal.example/portal/generateToken"), TOKENS, TOKENS),
]


@pytest.mark.parametrize(("portal_says", "site_says", "target"), NAMED)
def test_where_the_portal_gives_tokens(portal_says: Page, site_says: str, target: str) -> None:
    doors = federated(site_info=info(site_says, PORTAL), portal_info=portal_says)
    doors.pages[f"POST {target}"] = [portal_tokens()]

    quick_client(doors, me(PORTAL), SITE).read(PAGE)

    assert doors.saw(PASSWORD) == [target]


def test_a_portal_that_tells_its_inner_address() -> None:
    """The person trusts the address that people use, which the site names as well."""
    doors = federated(site_info=info(TOKENS, "https://inner.example:7443/arcgis"))

    quick_client(doors, me(PORTAL), SITE).read(PAGE)

    assert doors.saw(PASSWORD) == [TOKENS]
    assert not any("inner.example" in line for line in doors.lines)


# the site; whom the person trusts; the portal and the token service that the site names;
# why nobody is signed in, whose host is told, and which portal could be trusted
REFUSED = [
    (SITE, (), PORTAL, TOKENS, SignInProblem.OTHER_HOST, "portal.example", PORTAL),
    (SITE, (), PORTAL + "/", "", SignInProblem.OTHER_HOST, "portal.example", PORTAL),
    (SITE, ("https://other.example",), PORTAL, TOKENS, SignInProblem.OTHER_HOST,
     "portal.example", PORTAL),
    # a name that only looks like one that is trusted
    (SITE, ("https://portal.example",), "https://portal.example.evil.example", "",
     SignInProblem.OTHER_HOST, "portal.example.evil.example", "https://portal.example.evil.example"),
    (SITE, ("https://portal.example",), "https://portal.example@evil.example/portal", "",
     SignInProblem.OTHER_HOST, "evil.example", "https://evil.example/portal"),
    # a stand-alone site whose tokens are given elsewhere
    (SITE, (), "", "https://tokens.example:6443/arcgis/tokens/", SignInProblem.OTHER_HOST,
     "tokens.example", "https://tokens.example:6443"),
    # unencrypted: neither asked for nor offered
    (SITE, (), "", "http://tokens.example/arcgis/tokens/", SignInProblem.OTHER_HOST,
     "tokens.example", ""),
    ("http://gis.example/server", (PORTAL,), "http://portal.example/portal", "",
     SignInProblem.NOT_ENCRYPTED, "", ""),
    # ArcGIS Online trusts its own hosts only
    (SITE, (), "https://www.arcgis.com", "https://www.arcgis.com/sharing/rest/generateToken",
     SignInProblem.OTHER_HOST, "www.arcgis.com", "https://www.arcgis.com"),
    ("https://tiles.arcgis.com.evil.example/x/arcgis", (), "https://www.arcgis.com", "",
     SignInProblem.OTHER_HOST, "www.arcgis.com", "https://www.arcgis.com"),
    ("https://evilarcgis.com/x/arcgis", (), "https://www.arcgis.com", "",
     SignInProblem.OTHER_HOST, "www.arcgis.com", "https://www.arcgis.com"),
    ("http://tiles.arcgis.com/x/arcgis", (), "http://www.arcgis.com", "",
     SignInProblem.OTHER_HOST, "www.arcgis.com", "http://www.arcgis.com"),
    (SITE, (), "portal", "", SignInProblem.OTHER_HOST, "", ""),
    (SITE, (), "https://[portal", "", SignInProblem.NO_SERVICE, "", ""),
    (SITE, (), "ftp://gis.example/portal", "", SignInProblem.NOT_ENCRYPTED, "", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("site_url", "trusted", "owning", "named", "reason", "host", "portal"), REFUSED
)
def test_where_the_password_does_not_go(
    site_url: str, trusted: tuple[str, ...], owning: str, named: str,
    reason: SignInProblem, host: str, portal: str,
) -> None:  # fmt: skip
    doors = Doors({f"GET {site_url}/rest/info": info(named, owning)})

    with pytest.raises(SignInFailed) as caught:
        quick_client(doors, me(*trusted), site_url).read(f"{site_url}/rest/x")

    told = caught.value
    assert (told.url, told.reason, told.detail) == (site_url, reason, host)
    assert told.portal_url == portal
    assert doors.saw(PASSWORD) == []
    assert all(each.url.startswith(site_url) for each in doors.sent)
    assert PASSWORD not in f"{told} {told!r} {vars(told)}"


@pytest.mark.parametrize(
    ("portal", "tokens"),
    [
        (PORTAL, TOKENS),
        ("https://evil.example/portal", "https://evil.example/portal/sharing/rest/generateToken"),
    ],
)
def test_the_portal_that_the_error_names_is_enough_to_sign_in(portal: str, tokens: str) -> None:
    doors = federated(site_info=info(tokens, portal))
    doors.pages[f"POST {tokens}"] = [portal_tokens()]
    with pytest.raises(SignInFailed) as caught:
        quick_client(doors, me(), SITE).read(PAGE)

    assert quick_client(doors, me(caught.value.portal_url), SITE).read(PAGE) == {"fine": True}


# --- ArcGIS Online, and portals themselves ---------------------------------------------------


@pytest.mark.parametrize("owning", ["https://www.arcgis.com", "http://www.arcgis.com"])
@pytest.mark.parametrize(
    "site_url",
    ["https://tiles.arcgis.com/tiles/Zz0r/arcgis", "https://services9.arcgis.com/Zz0r/arcgis",
     "https://org.maps.arcgis.com/sharing"],
)  # fmt: skip
def test_online_takes_its_portals_token_everywhere(site_url: str, owning: str) -> None:
    tokens = "https://www.arcgis.com/sharing/rest/generateToken"
    page = f"{site_url}/rest/x"
    doors = Doors(
        {
            f"GET {site_url}/rest/info": info(tokens, owning),
            "GET https://www.arcgis.com/sharing/rest/info": info(tokens),
            f"POST {tokens}": portal_tokens(error(400, "not here")),
            f"POST {page}": takes("of-portal"),
        }
    )

    assert quick_client(doors, me(), site_url).read(page) == {"fine": True}

    assert doors.saw(PASSWORD) == [tokens]
    assert len(doors.asked(f"POST {tokens}")) == 1


def test_a_portal_takes_its_own_token() -> None:
    site_url = f"{PORTAL}/sharing"
    page = f"{site_url}/rest/search"
    doors = Doors(
        {
            f"GET {SHARING}/info": info(TOKENS, PORTAL),
            f"POST {TOKENS}": portal_tokens(error(400, "not here")),
            f"POST {page}": takes("of-portal"),
        }
    )

    assert quick_client(doors, me(), site_url).read(page) == {"fine": True}

    assert len(doors.asked(f"POST {TOKENS}")) == 1


def test_site_and_portal_on_one_host_need_no_trust() -> None:
    portal = "https://gis.example/portal"
    tokens = f"{portal}/sharing/rest/generateToken"
    doors = federated(site_info=info(tokens, portal))
    doors.pages[f"POST {tokens}"] = [portal_tokens()]

    assert quick_client(doors, me(), SITE).read(PAGE) == {"fine": True}
    assert doors.saw(PASSWORD) == [tokens]


def test_a_portal_that_sends_the_password_on() -> None:
    doors = federated(tokens=redirect("https://evil.example/t", 307))

    with pytest.raises(SignInFailed):
        quick_client(doors, me(PORTAL), SITE).read(PAGE)

    assert doors.saw(PASSWORD) == [TOKENS]
