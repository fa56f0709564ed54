"""One HTTP request, one answer: the seam between what we say to a site and how it is sent."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Optional, Protocol, runtime_checkable

import requests

# what reading below `requests` raises: urllib3's own error, by the name it has there
from requests.exceptions import BaseHTTPError  # type: ignore[attr-defined]

from ..errors import SiteUnreachable, Unreachable
from .connections import CertificateUnusable, Deadline, Peers, Session
from .connections import ClientCertificate as ClientCertificate
from .kept import TooLarge

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
TOTAL_SECONDS = 120.0
"""An answer that is kept whole has all come by then, or does not count."""
PIECE_SECONDS = 120.0
"""The next piece of a download has come by then, or the connection counts as broken."""
SLOWEST_UPLOAD = 1024.0
"""Bytes a second; a file that is sent gets this much more time."""
MAX_BODY_BYTES = 32 * 1024 * 1024
"""No ArcGIS answer that we ask for is anywhere near this; a larger one is not an answer."""
_OPEN = frozenset({"accept-encoding", "content-type", "if-range", "range", "referer"})
"""Headers that sign nothing."""
CHUNK_BYTES = 16 * 1024
"""Downloads are handed on in pieces of this size; of a broken connection, less than one is lost."""


class Body(Protocol):
    """What a POST sends, as it is read, in place of a form; the layers below ask for all of this.

    What `read` raises ends the request, and comes out of it.
    """

    def __len__(self) -> int:
        """Bytes of all of it."""

    def __iter__(self) -> Iterator[bytes]: ...

    def read(self, size: int = -1) -> bytes: ...

    def tell(self) -> int: ...


@dataclass(frozen=True)
class HttpRequest:
    """A request. `params` go into the query of a GET and into the form of a POST.

    `params` and `headers` can hold secrets, so they are not part of the repr. `read_seconds`: how
    long each part of the answer may take; None: READ_SECONDS. `body`: of a POST whose `params` are
    in it already. `is_picture`: many such are asked for, each small and packed by itself.
    """

    method: str
    url: str
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    read_seconds: float | None = None
    body: Body | None = field(default=None, repr=False)
    is_picture: bool = False

    @property
    def secrets(self) -> tuple[str, ...]:
        """What signs it: no words that come back may be shown with that in them."""
        signing = (value for name, value in self.headers.items() if name.lower() not in _OPEN)
        found = [self.params.get("token", ""), self.params.get("password", ""), *signing]
        # "Bearer t" is as good as t; what is shorter is found in any text
        words = {each.rpartition(" ")[2] for each in found} | set(found)
        return tuple(sorted((word for word in words if len(word) > 3), key=len, reverse=True))


@dataclass(frozen=True)
class HttpResponse:
    """An answer; header names are lower case. `secrets`: those of the request it came to."""

    url: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


class Transport(Protocol):
    """Sends one request and follows no redirect."""

    def send(self, request: HttpRequest) -> HttpResponse:
        """The answer, whatever its status. Raises SiteUnreachable."""


Taker = Callable[[bytes], None]
"""Takes the next piece of a body."""

Receive = Callable[[HttpResponse], Optional[Taker]]
"""Sees an answer's status and headers, and gives what takes its body; None: keep it whole."""


@runtime_checkable
class Downloads(Protocol):
    """A transport that can hand out a body while it comes, and so keeps none of it in memory."""

    def download(self, request: HttpRequest, receive: Receive) -> HttpResponse:
        """The answer, whatever its status, its body empty where `receive` took it.

        What takes the body gets it as it travels: whoever wants it plain asks for that. It may
        raise to end the download. Raises SiteUnreachable, also where the connection breaks.
        """


def download(transport: Transport, request: HttpRequest, receive: Receive) -> HttpResponse:
    """As `Downloads.download`, by any transport; by way of the memory where it knows no other."""
    if isinstance(transport, Downloads):
        return transport.download(request, receive)
    response = transport.send(request)
    head = HttpResponse(response.url, response.status, response.headers, b"")
    take = receive(head)
    if take is None:
        return response
    if response.body:
        take(response.body)
    return head


class RequestsTransport:
    """Transport over `requests`: connections are kept and time-outs always set.

    For use by several threads at once: a session of `requests` is not promised to stand that, so
    each request takes one that no other uses just then; there are as many as ever were needed.

    `proxies`: as `requests` takes them, e.g. {"https": "http://proxy:3128"}; None: those of the
    environment. `authorities`: path of a PEM file with the certificate authorities to trust; None:
    those of `requests` or of the environment. `certificate`: shown to the sites it is for.
    `exceptions`: (host, port) to the fingerprint (SHA-256 or SHA-1, hexadecimal) of the one
    certificate that is taken there, whoever signed it.
    """

    def __init__(
        self,
        proxies: Mapping[str, str] | None = None,
        authorities: str | None = None,
        *,
        certificate: ClientCertificate | None = None,
        exceptions: Mapping[tuple[str, int], str] | None = None,
    ) -> None:
        # appending and popping are one step each, to other threads
        self._idle: list[Session] = []
        self._peers = Peers(certificate, exceptions)
        self._authorities = authorities
        # given with each request, because what a session holds gives way to the environment; None
        # keeps the environment's proxy for that scheme out
        self._proxies: dict[str, Any] | None = (
            None if proxies is None else {"http": None, "https": None, "all": None, **proxies}
        )

    def send(self, request: HttpRequest) -> HttpResponse:
        return self._in_time(request, None)

    def download(self, request: HttpRequest, receive: Receive) -> HttpResponse:
        return self._in_time(request, receive)

    def _in_time(self, request: HttpRequest, receive: Receive | None) -> HttpResponse:
        """The answer, all of which is kept where nobody receives it."""
        with self._session() as session, Deadline(_seconds_for(request)) as deadline:
            try:
                response = None
                if request.is_picture and receive is None and request.method == "GET":
                    response = _over_kept(session, request, deadline)
                if response is None:
                    response = self._received(session, request, receive, deadline)
            except SiteUnreachable as error:
                if not deadline.has_passed or error.reason is not Unreachable.BROKEN:
                    raise
            else:
                # without a length, what is cut off seems to be whole
                if not deadline.has_passed:
                    return response
            raise SiteUnreachable(request.url, Unreachable.TIMEOUT)

    def _received(
        self, session: Session, request: HttpRequest, receive: Receive | None, deadline: Deadline
    ) -> HttpResponse:
        try:
            with self._open(session, request) as answer:
                headers = {name.lower(): value for name, value in answer.headers.items()}
                head = HttpResponse(request.url, answer.status_code, headers, b"")
                take = None if receive is None else receive(head)
                if take is None:
                    return replace(head, body=_read(answer, request.url))
                _hand_on(answer, take, deadline)
                return head
        except requests.RequestException as error:
            # "from None": the original's text can hold the query
            raise SiteUnreachable(request.url, _reason(error)) from None
        except ValueError:
            # what the layers below raise for a host name that cannot be one
            raise SiteUnreachable(request.url, Unreachable.NAME) from None
        except CertificateUnusable:
            raise SiteUnreachable(request.url, Unreachable.CLIENT_CERTIFICATE) from None
        except BaseHTTPError as error:
            raise SiteUnreachable(request.url, _reason(error)) from None

    def close(self) -> None:
        """Close the connections that are kept."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _session(self) -> Iterator[Session]:
        """A session for one request."""
        session = self._idle.pop() if self._idle else Session(self._peers)
        try:
            yield session
        finally:
            self._idle.append(session)

    def _open(self, session: Session, request: HttpRequest) -> requests.Response:
        is_get = request.method == "GET"
        form = None if is_get else dict(request.params)
        return session.request(
            request.method,
            request.url,
            params=dict(request.params) if is_get else None,
            data=form if request.body is None else request.body,
            headers=dict(request.headers),
            proxies=self._proxies,
            timeout=(CONNECT_SECONDS, request.read_seconds or READ_SECONDS),
            verify=self._authorities,
            allow_redirects=False,
            stream=True,
        )


def _seconds_for(request: HttpRequest) -> float:
    """How long sending `request` and taking its answer may last."""
    sending = len(request.body) / SLOWEST_UPLOAD if request.body is not None else 0.0
    return max(TOTAL_SECONDS, request.read_seconds or 0.0) + sending


def _over_kept(session: Session, request: HttpRequest, deadline: Deadline) -> HttpResponse | None:
    """The answer over a connection that is kept; None: ask by way of `requests`."""
    try:
        answer = session.kept.ask(
            request.url,
            request.params,
            request.headers,
            watch=deadline.watch,
            seconds=request.read_seconds or READ_SECONDS,
            most_bytes=MAX_BODY_BYTES,
        )
    except socket.timeout:
        raise SiteUnreachable(request.url, Unreachable.TIMEOUT) from None
    except TooLarge:
        raise SiteUnreachable(request.url, Unreachable.TOO_LARGE) from None
    if answer is None:
        if deadline.has_passed:
            raise SiteUnreachable(request.url, Unreachable.TIMEOUT)
        return None
    return HttpResponse(request.url, answer.status, answer.headers, answer.body)


def _hand_on(answer: requests.Response, take: Taker, deadline: Deadline) -> None:
    # read below `requests`, which keeps what came before a break to itself
    answer.raw.enforce_content_length = True
    deadline.extend(PIECE_SECONDS)
    while chunk := answer.raw.read(CHUNK_BYTES, decode_content=False):
        take(chunk)
        deadline.extend(PIECE_SECONDS)


def _read(answer: requests.Response, url: str) -> bytes:
    # urllib3 before version 2 gives half an answer for a whole one unless told to count
    answer.raw.enforce_content_length = True
    if "," in answer.headers.get("Content-Encoding", ""):
        # packed again and again, a few bytes become as many as anybody likes
        raise SiteUnreachable(url, Unreachable.BROKEN)
    body = bytearray()
    # a packed piece can be a thousand times as large as it looks
    for chunk in answer.iter_content(CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise SiteUnreachable(url, Unreachable.TOO_LARGE)
    return bytes(body)


def _reason(error: Exception) -> Unreachable:
    causes = _causes(error)
    if any(map(_is_untrusted, causes)):
        return Unreachable.CERTIFICATE
    if any(map(_wants_certificate, causes)):
        return Unreachable.CLIENT_CERTIFICATE
    if isinstance(error, requests.exceptions.ProxyError) and not any(map(_is_break, causes)):
        return Unreachable.PROXY
    # a time-out in the midst of an answer is no requests.Timeout
    if isinstance(error, requests.Timeout) or any(isinstance(c, socket.timeout) for c in causes):
        return Unreachable.TIMEOUT
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return Unreachable.NAME
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return Unreachable.REFUSED
    return Unreachable.BROKEN


def _is_break(cause: BaseException) -> bool:
    """Whether a connection that was there broke off, so that a request may have gone through it.

    urllib3 before version 2 takes each such break for the proxy's, where there is one.
    """
    return isinstance(cause, ConnectionError) and not isinstance(cause, ConnectionRefusedError)


def _is_untrusted(cause: BaseException) -> bool:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return True
    # urllib3's own errors, where the fingerprint or the host's name is another one
    text = str(cause)
    return "Fingerprints did not match" in text or type(cause).__name__ == "CertificateError"


def _wants_certificate(cause: BaseException) -> bool:
    """Whether the site broke off for the certificate that we showed, or showed not.

    Before TLS 1.3 there is no word of its own for that, only that the handshake failed.
    """
    reason = str(getattr(cause, "reason", "")) if isinstance(cause, ssl.SSLError) else ""
    words = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", "HANDSHAKE_FAILURE")
    return "_ALERT_" in reason and any(word in reason for word in words)


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
