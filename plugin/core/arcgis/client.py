"""Requests to one site: f=json, redirects, repeats, sign-in. Knows nothing of caching."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from ..errors import NotAllowed, NotArcGIS, SignInNeeded, SiteRefused, SiteUnreachable, Unreachable
from .address import origin_of
from .credentials import FixedToken, SignIn, Token
from .envelope import body_of, is_busy, refusal
from .tokens import request_token
from .transport import HttpRequest, HttpResponse, Transport

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NEVER_ARRIVED = frozenset({Unreachable.NAME, Unreachable.REFUSED})
_PASSING = _NEVER_ARRIVED | {Unreachable.TIMEOUT, Unreachable.BROKEN}


@dataclass(frozen=True)
class Repeats:
    """How often and how fast a request that may be repeated is: back-off doubles, with jitter."""

    times: int = 3
    first_seconds: float = 0.5
    longest_seconds: float = 20.0

    def pause_after(self, attempt: int, retry_after: float | None) -> float:
        """Seconds to wait after failed attempt number `attempt`, counted from 0."""
        if retry_after is not None:
            return min(retry_after, self.longest_seconds)
        backed_off = min(self.first_seconds * 2.0**attempt, self.longest_seconds)
        # spreads clients that failed together; nothing secret hangs on it
        return backed_off * random.uniform(0.75, 1.25)  # noqa: S311 # nosec B311


def wait(seconds: float, cancelled: Callable[[], bool] = lambda: False) -> None:
    """Wait `seconds`, or until cancelled."""
    end = time.monotonic() + seconds
    while not cancelled() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.1))


class Client:
    """Speaks to the site at `site_url` (all before `/rest`), signed in where `sign_in` is given.

    The token is got when first needed, travels in the form of POST requests or in a header, never
    in a URL, and only to the site's own origin. It is renewed once when the site takes it no
    longer.
    """

    def __init__(
        self,
        transport: Transport,
        site_url: str,
        sign_in: SignIn | None = None,
        *,
        repeats: Repeats | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._transport = transport
        self._site_url = site_url
        self._sign_in = sign_in
        self._token: Token | FixedToken | None = None
        self._repeats = repeats or Repeats()
        self._cancelled = cancelled
        self._posts_refused = False

    @property
    def is_signed_in(self) -> bool:
        """Whether requests go out in somebody's name."""
        return self._sign_in is not None

    def read(self, url: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The JSON object at `url`. Repeated when it fails in passing.

        Raises SiteUnreachable, NotArcGIS, SiteRefused, SignInFailed.
        """
        return self._signed("GET", url, params or {}, repeatable=True)

    def submit(
        self,
        url: str,
        form: Mapping[str, str],
        *,
        repeatable: bool = False,
        read_seconds: float | None = None,
    ) -> dict[str, Any]:
        """POST `form` and give the JSON object that comes back. Raises as `read` does.

        Not repeated once it may have arrived, unless `repeatable` says that this does no harm.
        `read_seconds`: for an answer that is not worth waiting for as long as for others.
        """
        return self._signed("POST", url, form, repeatable=repeatable, read_seconds=read_seconds)

    def _signed(
        self,
        method: str,
        url: str,
        params: Mapping[str, str],
        *,
        repeatable: bool,
        read_seconds: float | None = None,
    ) -> dict[str, Any]:
        def send() -> dict[str, Any]:
            request = replace(self._request(method, url, params), read_seconds=read_seconds)
            return self._repeated(request, repeatable)

        try:
            return send()
        except SignInNeeded:
            if not isinstance(self._token, Token):
                raise
            self._token = None
        # once more with a new token; refused for its token, the first one did nothing
        return send()

    def _request(self, method: str, url: str, params: Mapping[str, str]) -> HttpRequest:
        fields = {"f": "json", **params}
        token = self._current_token() if self._is_own(url) else None
        if token is None:
            return HttpRequest(method, url, fields)
        headers = {"Referer": token.referer} if token.referer else {}
        if method == "GET" and self._posts_refused:
            headers["X-Esri-Authorization"] = f"Bearer {token.value}"
            return HttpRequest(method, url, fields, headers)
        # every ArcGIS version reads a token from the form; before about 10.4 none from the header
        return HttpRequest("POST", url, {**fields, "token": token.value}, headers)

    def _current_token(self) -> Token | FixedToken | None:
        if isinstance(self._sign_in, FixedToken):
            self._token = self._sign_in
        elif self._sign_in is not None and not (
            isinstance(self._token, Token) and self._token.is_fresh()
        ):
            self._token = request_token(self._site_url, self._sign_in, self._plain)
        return self._token

    def _plain(self, method: str, url: str, params: Mapping[str, str]) -> dict[str, Any]:
        """For the sign-in itself: without a token. Asking for a token twice does no harm."""
        return self._repeated(HttpRequest(method, url, {"f": "json", **params}), True)

    def _repeated(self, request: HttpRequest, repeatable: bool) -> dict[str, Any]:
        attempt = 0
        while True:
            is_last = attempt == self._repeats.times or self._cancelled()
            retry_after = None
            try:
                response = self._followed(request)
                retry_after = _retry_after(response)
                return self._judged(response)
            except SiteUnreachable as error:
                if is_last or error.reason not in (_PASSING if repeatable else _NEVER_ARRIVED):
                    raise
            except SiteRefused as error:
                if is_last or not (repeatable and is_busy(error)):
                    raise
            wait(self._repeats.pause_after(attempt, retry_after), self._cancelled)
            attempt += 1

    def _judged(self, response: HttpResponse) -> dict[str, Any]:
        try:
            return body_of(response)
        except NotAllowed as error:
            if self.is_signed_in:
                raise
            # without a token, some servers say "not allowed" where they mean "sign in"
            raise SignInNeeded(error.url, error.code, error.message, error.details) from None

    def _followed(self, request: HttpRequest) -> HttpResponse:
        for _ in range(MAX_REDIRECTS):
            response = self._transport.send(request)
            if response.status in _REDIRECTS:
                request = self._redirected(request, response)
            elif response.status == 405 and _is_signed_reading(request):
                self._posts_refused = True
                request = _as_get(request)
            else:
                return response
        raise NotArcGIS(request.url, response.status, "too many redirects")

    def _redirected(self, request: HttpRequest, response: HttpResponse) -> HttpRequest:
        try:
            target = urljoin(request.url, response.headers.get("location", ""))
            # the query is ours already; a redirect repeats it, or adds one not for our eyes
            target = urlunsplit(urlsplit(target)._replace(query="", fragment=""))
            is_same_site = _same_site(request.url, target)
        except ValueError:
            raise NotArcGIS(request.url, response.status, "redirect to nowhere") from None
        if is_same_site:
            return replace(request, url=target)
        if request.method == "GET" and "X-Esri-Authorization" not in request.headers:
            return replace(request, url=target, headers={})
        raise refusal(request.url, response.status, f"redirect to {origin_of(target)[1]}")

    def _is_own(self, url: str) -> bool:
        return _same_site(self._site_url, url)


def _same_site(known: str, target: str) -> bool:
    """Whether secrets meant for `known` may go to `target`: its origin, or the same under https."""
    known_scheme, known_host, known_port = origin_of(known)
    scheme, host, port = origin_of(target)
    if (scheme, host, port) == (known_scheme, known_host, known_port):
        return True
    upgraded = (known_scheme, known_port, scheme, port) == ("http", 80, "https", 443)
    return upgraded and host == known_host


def _is_signed_reading(request: HttpRequest) -> bool:
    """Whether `request` is a POST for its token's sake only."""
    return (
        request.method == "POST"
        and "token" in request.params
        and not set(request.params) - {"f", "token"}
    )


def _as_get(request: HttpRequest) -> HttpRequest:
    """A site that takes no POST for reading gets the token in a header instead."""
    headers = {**request.headers, "X-Esri-Authorization": f"Bearer {request.params['token']}"}
    fields = {name: value for name, value in request.params.items() if name != "token"}
    return HttpRequest("GET", request.url, fields, headers)


def _retry_after(response: HttpResponse) -> float | None:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None
