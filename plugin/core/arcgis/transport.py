"""One HTTP request, one answer: the seam between what we say to a site and how it is sent."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import requests

from ..errors import SiteUnreachable, Unreachable

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
MAX_BODY_BYTES = 64 * 1024 * 1024
"""No ArcGIS answer that we ask for is anywhere near this; a larger one is not an answer."""


@dataclass(frozen=True)
class HttpRequest:
    """A request. `params` go into the query of a GET and into the form of a POST.

    `params` and `headers` can hold secrets, so they are not part of the repr. `read_seconds`: how
    long each part of the answer may take; None: READ_SECONDS.
    """

    method: str
    url: str
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    read_seconds: float | None = None


@dataclass(frozen=True)
class HttpResponse:
    """An answer; header names are lower case."""

    url: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Transport(Protocol):
    """Sends one request and follows no redirect."""

    def send(self, request: HttpRequest) -> HttpResponse:
        """The answer, whatever its status. Raises SiteUnreachable."""


class RequestsTransport:
    """Transport over one `requests` session: connections are kept and time-outs always set.

    `proxies`: as `requests` takes them, e.g. {"https": "http://proxy:3128"}; None: those of the
    environment. `authorities`: path of a PEM file with the certificate authorities to trust; None:
    those of `requests` or of the environment.
    """

    def __init__(
        self, proxies: Mapping[str, str] | None = None, authorities: str | None = None
    ) -> None:
        self._session = requests.Session()
        self._authorities = authorities
        # keeps requests from sending what a .netrc file holds for the host
        self._session.auth = lambda prepared: prepared
        # given with each request, because what a session holds gives way to the environment; None
        # keeps the environment's proxy for that scheme out
        self._proxies: dict[str, Any] | None = (
            None if proxies is None else {"http": None, "https": None, "all": None, **proxies}
        )

    def send(self, request: HttpRequest) -> HttpResponse:
        try:
            with self._open(request) as answer:
                body = _read(answer, request.url)
                headers = {name.lower(): value for name, value in answer.headers.items()}
                return HttpResponse(request.url, answer.status_code, headers, body)
        except requests.RequestException as error:
            # "from None": the original's text can hold the query
            raise SiteUnreachable(request.url, _reason(error)) from None
        except ValueError:
            # what the layers below raise for a host name that cannot be one
            raise SiteUnreachable(request.url, Unreachable.NAME) from None

    def _open(self, request: HttpRequest) -> requests.Response:
        is_get = request.method == "GET"
        return self._session.request(
            request.method,
            request.url,
            params=dict(request.params) if is_get else None,
            data=None if is_get else dict(request.params),
            headers=dict(request.headers),
            proxies=self._proxies,
            timeout=(CONNECT_SECONDS, request.read_seconds or READ_SECONDS),
            verify=self._authorities,
            allow_redirects=False,
            stream=True,
        )


def _read(answer: requests.Response, url: str) -> bytes:
    # urllib3 before version 2 gives half an answer for a whole one unless told to count
    answer.raw.enforce_content_length = True
    body = bytearray()
    for chunk in answer.iter_content(64 * 1024):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise SiteUnreachable(url, Unreachable.TOO_LARGE)
    return bytes(body)


def _reason(error: requests.RequestException) -> Unreachable:
    causes = _causes(error)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return Unreachable.CERTIFICATE
    if isinstance(error, requests.exceptions.ProxyError):
        return Unreachable.PROXY
    # a time-out in the midst of an answer is no requests.Timeout
    if isinstance(error, requests.Timeout) or any(isinstance(c, socket.timeout) for c in causes):
        return Unreachable.TIMEOUT
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return Unreachable.NAME
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return Unreachable.REFUSED
    return Unreachable.BROKEN


def _causes(error: BaseException) -> list[BaseException]:
    """`error` and what it wraps, as requests and urllib3 nest it: context, reason, arguments."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        item = waiting.pop()
        if isinstance(item, BaseException) and item not in found:
            found.append(item)
            waiting += [item.__context__, item.__cause__, getattr(item, "reason", None), *item.args]
    return found
