"""Token services: where a site's is, and what it gives a token for.

Sources: Esri REST reference, "Generate token" (server, and portal) and "Server info"; Esri's own
clients. A token is bound to a referer, as they bind it, because a server behind a proxy does not
see our address. A site that belongs to a portal names it; the portal's token is then exchanged
there for one of the site.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import (
    NotArcGIS,
    SignInFailed,
    SignInNeeded,
    SignInProblem,
    SiteRefused,
    SiteUnreachable,
)
from ..esri_json import mapping, number, text
from .credentials import RENEW_BEFORE_SECONDS, RENEW_BEFORE_SHARE, Credentials, Token
from .envelope import INVALID_TOKEN, TOKEN_REQUIRED, is_busy
from .trust import both_online, check_target

LIFETIME_MINUTES = 60
_GENERATE = "generateToken"
_BROKEN = 500
_PORTAL = "/sharing"
"""How the address of a portal's own site ends, the part before `/rest`."""


@dataclass(frozen=True)
class Answer:
    """A JSON object, and when it was sent: seconds since 1970 by the sender's clock, or None."""

    body: Mapping[str, Any]
    sent: float | None = None


class Ask(Protocol):
    """Sends a request without a token."""

    def __call__(
        self,
        method: str,
        url: str,
        fields: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer. Raises SiteUnreachable, NotArcGIS, SiteRefused, SignInFailed."""


@dataclass(frozen=True)
class TokenService:
    """Where tokens are given; `exchanges` where that is a portal, and the site another one."""

    url: str
    exchanges: bool = False


def token_service(site_url: str, trusted: tuple[str, ...], ask: Ask) -> TokenService:
    """Where the site at `site_url` gives tokens: by its own word, its portal's, else by custom.

    `trusted`: addresses of portals. Raises SignInFailed where secrets may not go there, or where
    there is none; SiteUnreachable, NotArcGIS.
    """
    owning, named = _site_info(site_url, ask)
    if owning:
        return _service_of_portal(site_url, trusted, owning, named, ask)
    if not named:
        raise SignInFailed(site_url, SignInProblem.NO_SERVICE)
    check_target(site_url, trusted, named)
    return TokenService(named)


def exchange_service(site_url: str, trusted: tuple[str, ...], ask: Ask) -> TokenService | None:
    """Where a portal's token can be exchanged for one of the site; None where nowhere.

    Raises as `token_service` does.
    """
    owning, named = _site_info(site_url, ask)
    if not owning:
        return None
    service = _service_of_portal(site_url, trusted, owning, named, ask)
    return service if service.exchanges else None


def token_by_password(
    site_url: str, service: TokenService, credentials: Credentials, ask: Ask
) -> Token:
    """What user name and password give. Raises SignInFailed, SiteUnreachable, NotArcGIS."""
    user = {"username": credentials.username, "password": credentials.password}
    return _generate(site_url, service.url, user, ask)


def token_by_web_tier(site_url: str, service: TokenService, ask: Ask) -> Token:
    """What the web server's own sign-in gives, for the site itself. Raises as the one above."""
    wanted = {"request": "getToken"}
    if service.exchanges:
        wanted["serverUrl"] = site_url
    return _generate(site_url, service.url, wanted, ask)


def exchanged_token(
    site_url: str, service: TokenService, value: str, referer: str, ask: Ask
) -> Token:
    """What the portal gives for its own token `value`, bound to `referer`. Raises as above."""
    wanted = {"request": "getToken", "token": value, "serverUrl": site_url}
    headers = {"Referer": referer} if referer else None
    return _generate(site_url, service.url, wanted, ask, headers)


def _generate(
    site_url: str,
    url: str,
    fields: Mapping[str, str],
    ask: Ask,
    headers: Mapping[str, str] | None = None,
) -> Token:
    form = {
        **fields,
        "client": "referer",
        "referer": site_url,
        "expiration": str(LIFETIME_MINUTES),
    }
    try:
        answer = ask("POST", url, form, headers)
    except SiteRefused as error:
        if is_busy(error) or error.code == _BROKEN:
            # it has not looked at what it was given
            raise
        detail = " ".join(error.details) or error.message
        raise SignInFailed(site_url, SignInProblem.REFUSED, detail) from None
    value = text(answer.body.get("token"))
    if not value:
        raise SignInFailed(site_url, SignInProblem.NO_SERVICE)
    life = _seconds_left(answer)
    margin = min(RENEW_BEFORE_SECONDS, life * RENEW_BEFORE_SHARE)
    return Token(value, time.monotonic() + life, site_url, margin)


def _site_info(site_url: str, ask: Ask) -> tuple[str, str]:
    """The portal that the site belongs to, and the token service it names; "" for none."""
    try:
        body = ask("GET", f"{site_url}/rest/info", {}).body
    except SiteRefused as error:
        if is_busy(error):
            raise
        if isinstance(error, SignInNeeded) and error.code not in (INVALID_TOKEN, TOKEN_REQUIRED):
            raise SignInFailed(site_url, SignInProblem.WEB_SERVER) from None
        # before 10.1 there is no rest/info
        return "", f"{site_url}/tokens/{_GENERATE}"
    owning, named = text(body.get("owningSystemUrl")).strip().rstrip("/"), _named_service(body)
    if owning.startswith("http://") and "https://" in (site_url[:8], named[:8]):
        # as ArcGIS Online's own sites say it still
        owning = owning.replace("http://", "https://", 1)
    return owning, named


def _named_service(body: Mapping[str, Any]) -> str:
    named = mapping(body.get("authInfo"))
    url = text(named.get("tokenServicesUrl") or named.get("tokenServiceUrl")).rstrip("/")
    return f"{url}/{_GENERATE}" if url.lower().endswith("/tokens") else url


def _service_of_portal(
    site_url: str, trusted: tuple[str, ...], owning: str, named: str, ask: Ask
) -> TokenService:
    """The token service of portal `owning`, which is asked for it where it is trusted.

    Portals behind a proxy often tell their inner address; then what the site names can be right.
    """
    try:
        check_target(site_url, trusted, owning, owning)
        url = _named_by_portal(owning, ask) or named or f"{owning}{_PORTAL}/rest/{_GENERATE}"
        check_target(site_url, trusted, url, owning)
    except SignInFailed as refused:
        if refused.reason is SignInProblem.WEB_SERVER or not named:
            raise
        try:
            check_target(site_url, trusted, named, owning)
        except SignInFailed:
            raise refused from None
        url = named
    is_portal = site_url.lower().endswith(_PORTAL)
    return TokenService(url, exchanges=not (is_portal or both_online(site_url, url)))


def _named_by_portal(owning: str, ask: Ask) -> str:
    """The token service that the portal names, "" where it names none or does not answer."""
    try:
        return _named_service(ask("GET", f"{owning}{_PORTAL}/rest/info", {}).body)
    except (SiteRefused, NotArcGIS, SiteUnreachable):
        return ""


def _seconds_left(answer: Answer) -> float:
    """How long a token lives: by the clock of who gave it, else as far as two clocks can tell."""
    expires = number(answer.body.get("expires"))
    asked = LIFETIME_MINUTES * 60.0
    if expires is None:
        return asked
    if answer.sent is not None:
        left = expires / 1000 - answer.sent
        return min(left, asked) if left > 0 else asked
    left = expires / 1000 - time.time()
    # a server's clock behind ours would have us renew at every request; it will say when to
    return min(left, asked) if left > RENEW_BEFORE_SECONDS else asked
