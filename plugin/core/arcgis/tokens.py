"""Token services: user name and password in, token out.

Source: Esri REST reference, "Generate token" (server, and portal); the token is bound to a referer,
as Esri's own client binds it, because a server behind a proxy does not see our address. A site that
belongs to a portal names the portal's token service; the portal's token is then exchanged there for
one of the site.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import SignInFailed, SignInNeeded, SignInProblem, SiteRefused
from ..esri_json import mapping, number, text
from .address import origin_of
from .credentials import RENEW_BEFORE_SECONDS, Credentials, Token
from .envelope import is_busy

LIFETIME_MINUTES = 60
_GENERATE = "generateToken"

Send = Callable[[str, str, Mapping[str, str]], "dict[str, Any]"]
"""Sends (method, URL, fields) without a token and gives the JSON object."""


def request_token(site_url: str, credentials: Credentials, send: Send) -> Token:
    """A new token of the site at `site_url`. Raises SignInFailed, SiteUnreachable, NotArcGIS."""
    service = _token_service(site_url, send)
    _check_target(site_url, credentials.portal_url, service.url)
    referer = site_url
    form = {
        "username": credentials.username,
        "password": credentials.password,
        "client": "referer",
        "referer": referer,
        "expiration": str(LIFETIME_MINUTES),
    }
    token = _generate(site_url, service.url, form, send)
    if not service.is_portal:
        return token
    exchange = {
        "token": token.value,
        "serverUrl": site_url,
        "client": "referer",
        "referer": referer,
        "expiration": str(LIFETIME_MINUTES),
    }
    return _generate(site_url, service.url, exchange, send)


@dataclass(frozen=True)
class _TokenService:
    """Where tokens are given; `is_portal` where that is the portal that the site belongs to."""

    url: str
    is_portal: bool = False


def _generate(site_url: str, url: str, form: Mapping[str, str], send: Send) -> Token:
    try:
        answer = send("POST", url, form)
    except SiteRefused as error:
        if is_busy(error):
            raise
        detail = " ".join(error.details) or error.message
        raise SignInFailed(site_url, SignInProblem.REFUSED, detail) from None
    value = text(answer.get("token"))
    if not value:
        raise SignInFailed(site_url, SignInProblem.NO_SERVICE)
    return Token(value, time.monotonic() + _seconds_left(answer), form["referer"])


def _token_service(site_url: str, send: Send) -> _TokenService:
    """Where the site at `site_url` gives tokens, by its own word, else by custom."""
    try:
        body = send("GET", f"{site_url}/rest/info", {})
    except SignInNeeded:
        raise SignInFailed(site_url, SignInProblem.WEB_SERVER) from None
    except SiteRefused:
        # before 10.1 there is no rest/info
        return _TokenService(f"{site_url}/tokens/{_GENERATE}")
    info = mapping(body.get("authInfo"))
    url = text(info.get("tokenServicesUrl") or info.get("tokenServiceUrl")).rstrip("/")
    if not url:
        raise SignInFailed(site_url, SignInProblem.NO_SERVICE)
    if url.lower().endswith("/tokens"):
        url = f"{url}/{_GENERATE}"
    return _TokenService(url, is_portal=bool(text(body.get("owningSystemUrl"))))


def _check_target(site_url: str, portal_url: str, url: str) -> None:
    """A password goes to the site's own host or the portal's, and never from https down to http."""
    try:
        scheme, host, _ = origin_of(url)
        site, portal = origin_of(site_url), origin_of(portal_url or site_url)
    except ValueError:
        raise SignInFailed(site_url, SignInProblem.NO_SERVICE) from None
    if host not in (site[1], portal[1]):
        raise SignInFailed(site_url, SignInProblem.OTHER_HOST, host)
    if "https" in (site[0], portal[0]) and scheme != "https":
        raise SignInFailed(site_url, SignInProblem.NOT_ENCRYPTED)


def _seconds_left(answer: Mapping[str, Any]) -> float:
    """How long the token lives, as far as two clocks that differ can tell."""
    expires = number(answer.get("expires"))
    asked = LIFETIME_MINUTES * 60.0
    if expires is None:
        return asked
    left = expires / 1000 - time.time()
    # a server's clock behind ours would have us renew at every request; it will say when to
    return min(left, asked) if left > RENEW_BEFORE_SECONDS else asked
