"""Connections to sites: cut when they take too long, and trusted or known as each site needs it.

What makes connections below `requests` is reached by way of its own classes, so that this works
with whatever edition of it QGIS brings.
"""

from __future__ import annotations

import contextlib
import math
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import TracebackType
from typing import Any, Callable, Protocol

import requests
from requests.adapters import HTTPAdapter

from .address import origin_of
from .kept import Kept

_Origin = tuple[str, str, int]
_LAST_WORDS_SECONDS = 1.0
_IDLE_SECONDS = 0.5
UNWANTED_SECONDS = 2.0
"""So long an answer may still take, once nobody waits for it any more."""

_CURRENT = threading.local()
"""`deadline`: that of the request which this thread is at; `interest`: in what it asks."""


@dataclass(frozen=True)
class ClientCertificate:
    """A certificate that says who asks, for the sites at `origins` (URLs; paths do not count).

    `load`: puts certificate and key into a context. It is called at most once by each transport,
    in any thread; where it raises (OSError, ValueError), the sites there are out of reach.
    """

    origins: tuple[str, ...]
    load: Callable[[ssl.SSLContext], None] = field(repr=False)


class CertificateUnusable(Exception):
    """Our certificate could not be loaded."""


class _Interest:
    """Whether somebody waits for the answers that a thread asks for."""

    def __init__(self, is_unwanted: Callable[[], bool]) -> None:
        self._is_unwanted = is_unwanted
        self._ends = math.inf

    def ends(self) -> float:
        """When answers come too late; not known as long as somebody waits for them."""
        if self._ends == math.inf and self._is_over():
            self._ends = time.monotonic() + UNWANTED_SECONDS
        return self._ends

    def _is_over(self) -> bool:
        try:
            return self._is_unwanted()
        except Exception:  # whoever waited is gone; the one thread that looks must not go with it
            return True


@contextmanager
def wanted_unless(is_unwanted: Callable[[], bool]) -> Iterator[None]:
    """While the block lasts, what this thread asks is cut off soon after `is_unwanted()`.

    A site that keeps silent holds up nobody then who only waits for the thread to end. It is asked
    in another thread, while the block lasts.
    """
    before = getattr(_CURRENT, "interest", None)
    _CURRENT.interest = _Interest(is_unwanted)
    try:
        yield
    finally:
        _CURRENT.interest = before


class Deadline:
    """Cuts the connection that a request is using once its time is over.

    For the one thread that sends the request: `with Deadline(seconds) as deadline`. A time-out for
    each read does not do: who sends a byte a minute keeps us for ever.
    """

    def __init__(self, seconds: float) -> None:
        self.until = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._socket: Any = None
        self._interest: _Interest | None = getattr(_CURRENT, "interest", None)
        self.has_passed = False

    def __enter__(self) -> Deadline:
        _CURRENT.deadline = self
        _WATCH.add(self, self.until)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _CURRENT.deadline = None
        _WATCH.remove(self)
        with self._lock:
            # from here on the connection may serve another request
            self._socket = None

    @property
    def ends(self) -> float:
        """When its time is over, as things stand."""
        return self.until if self._interest is None else min(self.until, self._interest.ends())

    def extend(self, seconds: float) -> None:
        """The time is over in `seconds` from now."""
        self.until = time.monotonic() + seconds
        _WATCH.look_by(self.until)

    def watch(self, sock: Any) -> None:
        """Cut `sock` when it is time."""
        with self._lock:
            self._socket = sock
            if self.has_passed:
                _cut(sock)

    def pass_by(self) -> None:
        """The time is over now."""
        with self._lock:
            self.has_passed = True
            _cut(self._socket)


class Ending(Protocol):
    """Something whose time is over at some moment (of time.monotonic)."""

    @property
    def ends(self) -> float: ...

    def pass_by(self) -> None:
        """The time is over now. Quick, and raises nothing: others wait."""


class Watch:
    """One thread that looks after all deadlines; it is there while there are any, and for a bit."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._changed = threading.Condition()
        self._deadlines: set[Ending] = set()
        self._thread: threading.Thread | None = None
        self._looks_at = math.inf

    def add(self, deadline: Ending, until: float) -> None:
        """Look after `deadline`, which ends at `until` unless it is over before."""
        with self._changed:
            self._deadlines.add(deadline)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        self.look_by(until)

    def remove(self, deadline: Ending) -> None:
        """It is of no interest any more."""
        with self._changed:
            self._deadlines.discard(deadline)

    def look_by(self, moment: float) -> None:
        """Look at the deadlines again by then."""
        if moment < self._looks_at:
            with self._changed:
                self._looks_at = moment
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                over = [each for each in self._deadlines if each.ends <= now]
                self._deadlines.difference_update(over)
                idles = not (self._deadlines or over)
                ends = [each.ends for each in self._deadlines]
                self._looks_at = min([now + _IDLE_SECONDS, *ends])
                if not over:
                    self._changed.wait(max(self._looks_at - now, 0.0))
                if idles and not self._deadlines:
                    self._thread, self._looks_at = None, math.inf
                    return
            for deadline in over:
                deadline.pass_by()


_WATCH = Watch("deadlines")


def _cut(sock: Any) -> None:
    """End what waits for `sock`, in whatever thread."""
    if isinstance(sock, socket.socket):
        with contextlib.suppress(OSError):
            # below what may encrypt it, which is at work in the other thread
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


class Peers:
    """Which sites are trusted by their one certificate, and which are shown ours.

    `exceptions`: (host, port) to the fingerprint (SHA-256 or SHA-1, hexadecimal) of the one
    certificate that is taken there, whoever signed it.
    """

    def __init__(
        self,
        certificate: ClientCertificate | None = None,
        exceptions: Mapping[tuple[str, int], str] | None = None,
    ) -> None:
        self._certificate = certificate
        self._exceptions = {
            (host.lower(), port): print_ for (host, port), print_ in (exceptions or {}).items()
        }
        shown_at = certificate.origins if certificate is not None else ()
        self._shown_at = {origin_of(url) for url in shown_at}
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None

    def settings(self, origin: _Origin) -> dict[str, Any]:
        """What connections to `origin` are made with, beside the usual.

        Raises CertificateUnusable.
        """
        if origin[0] != "https":
            return {}
        settings: dict[str, Any] = {}
        fingerprint = self._exceptions.get(origin[1:])
        if fingerprint:
            settings["assert_fingerprint"] = fingerprint
        if origin in self._shown_at:
            settings["ssl_context"] = self._showing(self._certificate)
        return settings

    def _showing(self, certificate: ClientCertificate | None) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                # the layer above compares the host's name itself, also where that is a number
                context.check_hostname = False
                context.post_handshake_auth = True
                if certificate is not None:
                    _load(certificate, context)
                self._context = context
            return self._context


def _load(certificate: ClientCertificate, context: ssl.SSLContext) -> None:
    try:
        certificate.load(context)
    except (OSError, ValueError) as error:
        raise CertificateUnusable(str(error)) from None


class Session(requests.Session):
    """A session whose connections heed deadlines and `peers`; `kept`: those that are idle."""

    def __init__(self, peers: Peers) -> None:
        super().__init__()
        self._peers = peers
        self.kept = Kept(self)
        self._special: dict[_Origin, _Adapter] = {}
        self.mount("https://", _Adapter({}, self.kept))
        self.mount("http://", _Adapter({}, self.kept))
        # keeps requests from sending what a .netrc file holds for the host
        self.auth = lambda prepared: prepared

    def get_adapter(self, url: str) -> requests.adapters.BaseAdapter:
        """See requests; by the whole origin, not by how the address begins."""
        origin = origin_of(url)
        adapter = self._special.get(origin)
        if adapter is None:
            settings = self._peers.settings(origin)
            if not settings:
                return super().get_adapter(url)
            adapter = self._special[origin] = _Adapter(settings, self.kept)
        return adapter

    def close(self) -> None:
        super().close()
        for adapter in self._special.values():
            adapter.close()  # type: ignore[no-untyped-call]


class _Adapter(HTTPAdapter):
    """Makes connections with `settings`, as urllib3 names them; `kept` is told of them."""

    def __init__(self, settings: Mapping[str, Any], kept: Kept) -> None:
        self._settings, self._kept = settings, kept
        super().__init__()

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        self._kept.note(url, conn)

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        settings = {**more, **self._settings}
        super().init_poolmanager(*args, **settings)  # type: ignore[no-untyped-call]
        _watch_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
        settings = {**more, **self._settings}
        manager = super().proxy_manager_for(proxy, **settings)  # type: ignore[no-untyped-call]
        _watch_pools(manager)
        return manager

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        # where one certificate is taken, it is known by its fingerprint, not by who signed it
        if "assert_fingerprint" in self._settings:
            verify = False
        return super().send(request, stream, timeout, verify, cert, proxies)


def _watch_pools(manager: Any) -> None:
    pools = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: _watched(pool) for scheme, pool in pools.items()}


@cache
def _watched(pool: Any) -> Any:
    """The kind of pool `pool`, whose connections are watched by the deadline of their request."""
    usual = pool.ConnectionCls
    if getattr(usual, "is_watched", False):
        return pool

    def connect(self: Any) -> None:
        usual.connect(self)
        _watch(self.sock)

    def putrequest(self: Any, *args: Any, **more: Any) -> Any:
        if self.sock is not None:
            _watch(self.sock)
        return usual.putrequest(self, *args, **more)

    def send(self: Any, data: Any) -> Any:
        try:
            return usual.send(self, data)
        except OSError:
            _hear_out(self.sock)
            raise

    parts = {"connect": connect, "putrequest": putrequest, "send": send, "is_watched": True}
    return type(pool.__name__, (pool,), {"ConnectionCls": type(usual.__name__, (usual,), parts)})


def _hear_out(sock: Any) -> None:
    """Raise what the other side said before it closed `sock`, while we were speaking.

    By TLS 1.3 a certificate is missed after the handshake, when the request is on its way.
    """
    if isinstance(sock, ssl.SSLSocket):
        with contextlib.suppress(ssl.SSLEOFError, ConnectionError, socket.timeout):
            sock.settimeout(_LAST_WORDS_SECONDS)
            sock.recv(1)


def _watch(sock: Any) -> None:
    deadline = getattr(_CURRENT, "deadline", None)
    if deadline is not None:
        deadline.watch(sock)
