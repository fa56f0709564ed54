"""Requests to one site: f=json, redirects, repeats, sign-in. Knows nothing of caching."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit, urlunsplit

from ..errors import NotAllowed, NotArcGIS, SignInNeeded, SiteRefused, SiteUnreachable, Unreachable
from .address import origin_of
from .credentials import SignIn
from .envelope import body_of, file_of, hide, is_busy, refusal
from .files import FormBody, WordsInstead, file_request, redirected_file
from .repeats import Repeats as Repeats
from .repeats import retry_after
from .repeats import wait as wait
from .signing import UNSIGNED, Signature, Signing, Step
from .transport import HttpRequest, HttpResponse, Receive, Transport, download
from .trust import same_site
from .turns import Turns

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NEVER_ARRIVED = frozenset({Unreachable.NAME, Unreachable.REFUSED})
_PASSING = _NEVER_ARRIVED | {Unreachable.TIMEOUT, Unreachable.BROKEN}

_Answer = TypeVar("_Answer")


class Client:
    """Speaks to the site at `site_url` (all before `/rest`), signed in where `sign_in` is given.

    `site_url` of a portal ends in `/sharing`. What signs a request is got when first needed, by
    whichever door the site has (see `Signing`), travels in the form of POST requests or in headers,
    never in a URL, and only to the site's own origin. It is renewed before it ends, and when the
    site takes it no longer. A client may be used by several threads at once.
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
        self._signing = Signing(site_url, sign_in, self._plain)
        self._repeats = repeats or Repeats()
        self._turns = Turns(self._repeats.longest_seconds, cancelled)
        self._cancelled = cancelled
        self._posts_refused = False
        self._files_by_form = False

    @property
    def repeats(self) -> Repeats:
        """How requests that may be repeated are."""
        return self._repeats

    @property
    def turns(self) -> Turns:
        """How many small files are fetched at once."""
        return self._turns

    @property
    def is_signed_in(self) -> bool:
        """Whether requests go out in somebody's name."""
        return self._signing.is_signed_in

    def read(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        *,
        read_seconds: float | None = None,
    ) -> dict[str, Any]:
        """The JSON object at `url`. Repeated when it fails in passing.

        `read_seconds`: for an answer that is not worth waiting for as long as for others.
        Raises SiteUnreachable, NotArcGIS, SiteRefused, SignInFailed.
        """
        return self._signed("GET", url, params or {}, repeatable=True, read_seconds=read_seconds)

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

    def upload(self, url: str, form: Mapping[str, str], body: FormBody) -> dict[str, Any]:
        """POST `form` and a file, as `body` puts them together. Raises as `read` does.

        Not repeated once it may have arrived.
        """

        def send(signature: Signature) -> dict[str, Any]:
            request = self._request("POST", url, form, signature)

            def attempt() -> HttpResponse:
                content, content_type = body(request.params)
                headers = {**request.headers, "Content-Type": content_type}
                return self._followed(replace(request, headers=headers, body=content))

            return self._repeated(attempt, self._judged, repeatable=False)

        return self._renewing(url, send)

    def fetch(self, url: str, params: Mapping[str, str] | None = None) -> HttpResponse:
        """The picture or other small file at `url`, of whatever kind. Repeated as `read` is.

        Waits for its turn: see `turns`.
        Raises SiteUnreachable, NotArcGIS, SiteRefused (also where it came in place of the file),
        SignInFailed.
        """

        def send(request: HttpRequest) -> HttpResponse:
            picture = replace(request, is_picture=True)

            def attempt() -> HttpResponse:
                return self._turns.ask(picture.url, lambda: self._followed_file(picture))

            return self._repeated(attempt, self._judged_file, repeatable=True)

        return self._signed_file(url, params or {}, {}, send)

    def download(
        self,
        url: str,
        receive: Receive,
        headers: Mapping[str, str] | None = None,
        *,
        is_binary: bool = True,
    ) -> HttpResponse:
        """Hand the file at `url`, of any size, to `receive` while it comes; give the answer's head.

        Of a file on another origin, too, which is asked without a token. `is_binary`: it cannot
        begin as HTML or JSON do, so what does is the site's words in place of it. `receive` is
        asked where there is a file or a part of it (HTTP 200, 206); what else is no error is given
        back (416). Tried once. Raises as `fetch` does.
        """

        def send(request: HttpRequest) -> HttpResponse:
            words = WordsInstead(receive)
            response = self._followed_file(request, words.receive if is_binary else receive)
            response = self._judged_file(words.instead_of(response))
            if response.body and response.status == 200:
                content_type = response.headers.get("content-type", "")
                raise NotArcGIS(response.url, response.status, content_type)
            return response

        return self._signed_file(url, {}, headers or {}, send)

    def once(self) -> Client:
        """The same client, but what fails is not repeated."""
        other = copy.copy(self)
        other._repeats = replace(self._repeats, times=0)
        return other

    def is_own(self, url: str) -> bool:
        """Whether `url` is on the site's own origin, so that a token may go there."""
        return self._signing.is_own(url)

    def own_url(self, url: str) -> str:
        """Where the site itself should have what `url` of another origin names.

        Sites behind a public host name, or under another context, often tell their inner one.
        """
        parts = urlsplit(url)
        at_rest = parts.path.lower().find("/rest/")
        if at_rest < 0:
            site = urlsplit(self._site_url)
            return urlunsplit((site.scheme, site.netloc, parts.path, parts.query, ""))
        query = f"?{parts.query}" if parts.query else ""
        return self._site_url + parts.path[at_rest:] + query

    def _signed(
        self,
        method: str,
        url: str,
        params: Mapping[str, str],
        *,
        repeatable: bool,
        read_seconds: float | None = None,
    ) -> dict[str, Any]:
        def send(signature: Signature) -> dict[str, Any]:
            request = self._request(method, url, params, signature)
            request = replace(request, read_seconds=read_seconds)
            return self._repeated(lambda: self._followed(request), self._judged, repeatable)

        return self._renewing(url, send)

    def _renewing(self, url: str, send: Callable[[Signature], _Answer]) -> _Answer:
        """What `send` gives; again with the next signature where the site refused the one before.

        Refused for its signature, a request did nothing.
        """
        if not self.is_own(url):
            return send(UNSIGNED)
        steps: set[Step] = set()
        while True:
            signature = self._signing.signature()
            try:
                answer = send(signature)
            except (SignInNeeded, NotAllowed) as refused:
                if not self._signing.again(signature, refused, steps):
                    raise
            else:
                self._signing.accepted(signature)
                return answer

    def _request(
        self, method: str, url: str, params: Mapping[str, str], signature: Signature
    ) -> HttpRequest:
        fields = {"f": "json", **params}
        token, headers = signature.token, dict(signature.headers)
        if token is None:
            return HttpRequest(method, url, fields, headers)
        if token.referer:
            headers["Referer"] = token.referer
        if method == "GET" and self._posts_refused:
            headers["X-Esri-Authorization"] = f"Bearer {token.value}"
            return HttpRequest(method, url, fields, headers)
        # every ArcGIS version reads a token from the form; before about 10.4 none from the header
        return HttpRequest("POST", url, {**fields, "token": token.value}, headers)

    def _plain(self, request: HttpRequest) -> tuple[dict[str, Any], HttpResponse]:
        """For the sign-in itself: as it stands. Asking for a token twice does no harm."""

        def judge(response: HttpResponse) -> tuple[dict[str, Any], HttpResponse]:
            return self._judged(response), response

        return self._repeated(lambda: self._followed(request), judge, True)

    def _repeated(
        self,
        send: Callable[[], HttpResponse],
        judge: Callable[[HttpResponse], _Answer],
        repeatable: bool,
    ) -> _Answer:
        attempt = 0
        while True:
            is_last = attempt == self._repeats.times or self._cancelled()
            pause = None
            try:
                response = send()
                pause = retry_after(response)
                return judge(response)
            except SiteUnreachable as error:
                if is_last or error.reason not in (_PASSING if repeatable else _NEVER_ARRIVED):
                    raise
            except SiteRefused as error:
                if is_last or not (repeatable and is_busy(error)):
                    raise
            wait(self._repeats.pause_after(attempt, pause), self._cancelled)
            attempt += 1

    def _judged(self, response: HttpResponse) -> dict[str, Any]:
        return self._by_person(response, body_of)

    def _by_person(
        self, response: HttpResponse, judge: Callable[[HttpResponse], _Answer]
    ) -> _Answer:
        try:
            return judge(response)
        except SiteRefused as error:
            hide(response.secrets, error)
            is_nobody = not self.is_signed_in and self.is_own(error.url)
            if not (is_nobody and isinstance(error, NotAllowed)):
                raise
            # without a token, some servers say "not allowed" where they mean "sign in"
            raise SignInNeeded(error.url, error.code, error.message, error.details) from None

    def _judged_file(self, response: HttpResponse) -> HttpResponse:
        return self._by_person(response, file_of)

    def _signed_file(
        self,
        url: str,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        send: Callable[[HttpRequest], HttpResponse],
    ) -> HttpResponse:
        """Send a request for a file, in a new token's name where an old one is refused."""
        if not self.is_own(url) or not self.is_signed_in:
            known = self._signing.known
            return send(file_request(url, params, headers, known, is_own=self.is_own(url)))
        return self._renewing(
            url, lambda signature: self._file_by_either_way(url, params, headers, signature, send)
        )

    def _file_by_either_way(
        self,
        url: str,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        signature: Signature,
        send: Callable[[HttpRequest], HttpResponse],
    ) -> HttpResponse:
        """A file by GET, with the token in a header; for sites too old for that, by its form.

        By GET at first: parts of files are given to no other, and pictures are kept by proxies.
        """
        by_form = self._files_by_form
        ways = [file_request(url, params, headers, signature, by_form=way) for way in (False, True)]
        try:
            return send(ways[by_form])
        except SignInNeeded as refused:
            if refused.schemes or signature.token is None:
                raise
            try:
                response = send(ways[not by_form])
            except (SiteRefused, NotArcGIS):
                raise refused from None
        self._files_by_form = not by_form
        return response

    def _followed_file(self, request: HttpRequest, receive: Receive | None = None) -> HttpResponse:
        for _ in range(MAX_REDIRECTS):
            response = self._file(request, receive)
            if response.status not in _REDIRECTS:
                return replace(response, secrets=request.secrets)
            try:
                target = urljoin(request.url, response.headers.get("location", ""))
                is_own = self.is_own(target) and same_site(request.url, target)
            except ValueError:
                raise NotArcGIS(request.url, response.status, "redirect to nowhere") from None
            known = self._signing.known
            request = redirected_file(request, response.status, target, known, is_own=is_own)
        raise NotArcGIS(request.url, response.status, "too many redirects")

    def _file(self, request: HttpRequest, receive: Receive | None) -> HttpResponse:
        if receive is None:
            return self._transport.send(request)
        take = receive
        return download(
            self._transport,
            request,
            lambda head: take(head) if head.status in (200, 206) else None,
        )

    def _followed(self, request: HttpRequest) -> HttpResponse:
        for _ in range(MAX_REDIRECTS):
            response = self._transport.send(request)
            if response.status in _REDIRECTS:
                request = self._redirected(request, response)
            elif response.status == 405 and _is_signed_reading(request):
                self._posts_refused = True
                request = _as_get(request)
            else:
                return replace(response, secrets=request.secrets)
        raise NotArcGIS(request.url, response.status, "too many redirects")

    def _redirected(self, request: HttpRequest, response: HttpResponse) -> HttpRequest:
        try:
            target = urljoin(request.url, response.headers.get("location", ""))
            # the query is ours already; a redirect repeats it, or adds one not for our eyes
            target = urlunsplit(urlsplit(target)._replace(query="", fragment=""))
            is_same_site = same_site(request.url, target)
        except ValueError:
            raise NotArcGIS(request.url, response.status, "redirect to nowhere") from None
        if is_same_site:
            return replace(request, url=target)
        if request.method == "GET" and not request.headers:
            return replace(request, url=target, headers={})
        raise refusal(request.url, response.status, f"redirect to {origin_of(target)[1]}")


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
