"""How long a site that gives no answer is borne: told soon, and asked no more after a while.

Requests are repeated, jobs looked at again, downloads taken up, tiles drawn once more, each with
patience of its own; all of that together must come to an end as well. So it is the transport that
counts for how long nothing at all has come from a site.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from ..errors import SiteSilent, SiteUnreachable, Unreachable
from ..request import Message, Severity
from .address import origin_of, public_address
from .connections import Watch
from .transport import READ_SECONDS, HttpRequest, HttpResponse, Receive, Taker, Transport, download

PATIENCE = 300.0
"""Seconds after which a site that gives no answer is asked no more."""

TELL_AFTER = 10.0
"""Seconds after which somebody is told that there is no answer yet."""

_SILENT = frozenset(
    {Unreachable.NAME, Unreachable.REFUSED, Unreachable.TIMEOUT, Unreachable.BROKEN}
)
_Origin = tuple[str, str, int]


_LOOKS = Watch("patience")


class _Look:
    """A look at a request once it has waited for a while; a timer of its own would cost each tile
    a thread."""

    def __init__(self, ends: float, look: Callable[[], None]) -> None:
        self.ends, self._look = ends, look

    def pass_by(self) -> None:
        """It is time."""
        # who is told may take long over it
        threading.Thread(target=self._look, name="patience", daemon=True).start()


class PatientTransport:
    """Sends by `transport`, as long as a site answers now and then. For several threads at once.

    `tell`: hears once of each silence, by a message with SiteSilent, from any thread. After
    `patience` seconds of silence nothing is sent any more: SiteUnreachable, SILENT, which nobody
    repeats.
    """

    def __init__(
        self,
        transport: Transport,
        tell: Callable[[Message], None],
        patience: float = PATIENCE,
        tell_after: float = TELL_AFTER,
    ) -> None:
        self._transport, self._tell = transport, tell
        self._patience, self._tell_after = patience, tell_after
        self._lock = threading.Lock()
        self._since: dict[_Origin, float] = {}
        self._told: set[_Origin] = set()

    def send(self, request: HttpRequest) -> HttpResponse:
        """See Transport."""
        with self._watched(request) as (asked, _heard):
            return self._transport.send(asked)

    def download(self, request: HttpRequest, receive: Receive) -> HttpResponse:
        """See Downloads."""
        with self._watched(request) as (asked, heard):

            def watched(head: HttpResponse) -> Taker | None:
                heard()
                take = receive(head)
                if take is None:
                    return None

                def taken(piece: bytes) -> None:
                    heard()
                    take(piece)

                return taken

            return download(self._transport, asked, watched)

    @contextmanager
    def _watched(self, request: HttpRequest) -> Iterator[tuple[HttpRequest, Callable[[], None]]]:
        """The request to send, which waits no longer than patience lasts, and who is told of
        each sign of life. Raises SiteUnreachable."""
        origin, last = origin_of(request.url), time.monotonic()
        left = self._left(origin, last)
        if left <= 0:
            raise SiteUnreachable(request.url, Unreachable.SILENT)

        def heard() -> None:
            nonlocal last
            last = time.monotonic()
            self._hear(origin)

        seconds = min(request.read_seconds or READ_SECONDS, max(left, 0.1))
        look = _Look(time.monotonic() + self._tell_after, lambda: self._look(origin, request, last))
        if request.body is None:  # sending a file takes its time
            _LOOKS.add(look, look.ends)
        try:
            yield replace(request, read_seconds=seconds), heard
        except SiteUnreachable as error:
            if error.reason in _SILENT:
                self._miss(origin, last if request.body is None else time.monotonic(), error)
            raise
        else:
            heard()
        finally:
            _LOOKS.remove(look)

    def _left(self, origin: _Origin, now: float) -> float:
        """For how many seconds a site may go on giving no answer."""
        with self._lock:
            return self._patience - (now - self._since.get(origin, now))

    def _hear(self, origin: _Origin) -> None:
        with self._lock:
            self._since.pop(origin, None)
            self._told.discard(origin)

    def _miss(self, origin: _Origin, last: float, error: SiteUnreachable) -> None:
        """There was no answer, since `last`."""
        with self._lock:
            self._since.setdefault(origin, last)
        self._tell_once(origin, error)

    def _look(self, origin: _Origin, request: HttpRequest, last: float) -> None:
        """Tell of a request that waits for long, unless something has come of it."""
        if time.monotonic() - last >= self._tell_after:
            self._tell_once(origin, SiteUnreachable(request.url, Unreachable.TIMEOUT))

    def _tell_once(self, origin: _Origin, error: SiteUnreachable) -> None:
        with self._lock:
            if origin in self._told:
                return
            self._told.add(origin)
        silent = SiteSilent(public_address(error.url), error, self._patience)
        self._tell(Message("", Severity.WARNING, silent))
