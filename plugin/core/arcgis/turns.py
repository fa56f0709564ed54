"""How many pictures are asked of a site at once: one more while that wins something, half as many
when the site is too busy or grows slow.

Additive growth and halving, as by TCP (RFC 5681); by latency before anything is refused, as by
TCP Vegas. A site that says when to come again (429 and 503 with Retry-After; RFC 6585, RFC 9110) is
left alone until then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable

from ..errors import SiteError, SiteRefused, SiteUnreachable, Unreachable
from .envelope import BUSY, file_of, is_busy
from .repeats import retry_after
from .transport import HttpResponse

FIRST = 4
"""Requests at once to begin with: about what a map in a browser sends."""
MOST = 8
"""Never more than that, whatever it would win: others want their maps, too."""
WINDOW_ANSWERS, WINDOW_SECONDS = 16, 0.25
"""It is judged by at least so many answers for each request at once, over at least this time; on a
busy computer rates still differ by an eighth from one window to the next."""
LONG_WINDOW_SECONDS = 2.0
"""By then a few answers have to do: a site that takes seconds is to be noticed soon."""
WINNING = 0.5
"""One more is kept where the rate grows by this part of its share, or more."""
TRY_AGAIN, AFTER_HALVING = 16, 4
"""Windows until one more is tried again, where it won nothing; and after there were fewer."""
SLOWER, SLOWER_SECONDS = 2.0, 0.05
"""A site has grown slow once an answer takes so many times as long as it used to, and so much more;
threads of our own that wait for one another make 1 to 10 milliseconds of it on a busy computer."""
FIRST_GAP, LONGEST_GAP = 0.002, 0.1
"""Seconds from one request to the next, where even one at a time is too much: twice as long with
each refusal. An nginx that allows 300 requests a second gave 158 tiles a second so, 51 without."""
CLOSING = 0.75
"""A gap shrinks by this factor with each window that goes well."""
GETTING_USED = 1.1
"""What is usual grows by this factor with each window that is slower."""

_LISTEN = 0.1


class AtOnce:
    """`limit`: so many requests may be under way; `until`: none is to be sent before that moment;
    `gap`: so many seconds are to be between one and the next.

    Moments are of any clock that only goes on. Not for several threads at once.
    """

    def __init__(self, now: float) -> None:
        self.limit, self.until, self.gap = FIRST, now, 0.0
        self._usual: float | None = None
        self._rate_before: float | None = None
        """Answers a second before one more was tried; None: none is being tried."""
        self._hold = 0
        self._halved, self._flows = now, False
        self._begin(now)

    def answered(self, begun: float, now: float) -> None:
        """An answer came to a request that was sent at `begun`."""
        if begun < self._since:
            return  # sent among more or fewer others
        self._flows = True
        self._answers += 1
        self._waited += now - begun
        took, asked = now - self._since, self._answers / self.limit
        is_full = took >= WINDOW_SECONDS and asked >= WINDOW_ANSWERS
        if is_full or (took >= LONG_WINDOW_SECONDS and asked >= 2):
            self._judge(self._answers / took, self._waited / self._answers)
            self._begin(now)

    def pushed_back(self, begun: float, now: float, pause: float | None = None) -> None:
        """The site was too busy for a request sent at `begun`; is left alone for `pause` seconds.

        What was sent before there were fewer says nothing new.
        """
        if pause is not None:
            self.until = max(self.until, now + pause)
        if begun >= self._halved:
            if self.limit == 1 and self._flows:
                # refused among others that were not: there are too many of them
                self.gap = min(max(2 * self.gap, FIRST_GAP), LONGEST_GAP)
            self._halve()
            self._halved, self._flows = now, False
            self._begin(now)

    def _begin(self, now: float) -> None:
        self._since, self._answers, self._waited = now, 0, 0.0

    def _judge(self, rate: float, seconds: float) -> None:
        usual = seconds if self._usual is None else self._usual
        if self._rate_before is not None:
            if rate < self._rate_before * (1 + WINNING / (self.limit - 1)):
                self.limit -= 1
                self._hold = TRY_AGAIN
            self._rate_before = None
        elif seconds > SLOWER * usual and seconds > usual + SLOWER_SECONDS:
            self._halve()
        elif self._hold:
            self._hold -= 1
        elif self.gap:
            self.gap = self.gap * CLOSING if self.gap > FIRST_GAP / 2 else 0.0
        elif self.limit < MOST:
            self._rate_before = rate
            self.limit += 1
        self._usual = min(seconds, usual * GETTING_USED)

    def _halve(self) -> None:
        self.limit = max(1, self.limit // 2)
        self._rate_before = None
        self._hold = AFTER_HALVING


class Turns:
    """Lets threads ask a site, never more at once than `AtOnce` allows. For several threads.

    `longest_pause`: a site that wants to be left alone for longer is asked again after so many
    seconds. `cancelled`: then nobody waits for a turn any more.
    """

    def __init__(self, longest_pause: float, cancelled: Callable[[], bool] = lambda: False) -> None:
        self._longest_pause, self._cancelled = longest_pause, cancelled
        self._changed = threading.Condition()
        self._at_once = AtOnce(time.monotonic())
        self._active = 0
        self._next = 0.0
        self._mine = _Mine()

    @property
    def limit(self) -> int:
        """So many may ask at once just now."""
        return self._at_once.limit

    @contextmanager
    def kept(self, cancelled: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """While the block lasts, this thread keeps its turn from one request to the next, unless
        there have to be fewer. `cancelled`: then it waits for none any more."""
        mine = self._mine
        mine.keeps, mine.cancelled = True, cancelled
        try:
            yield
        finally:
            mine.keeps, mine.cancelled = False, None
            self._leave()

    def ask(self, url: str, send: Callable[[], HttpResponse]) -> HttpResponse:
        """What `send` gives, once it is this thread's turn.

        Raises what it raises; SiteUnreachable where it was cancelled before it came to that.
        """
        mine, at_once = self._mine, self._at_once
        if mine.has and (self._active > at_once.limit or at_once.until > time.monotonic()):
            self._leave()
        is_over = mine.cancelled is not None and mine.cancelled()
        if is_over or not (mine.has or self._take()):
            # nobody asks again after that
            raise SiteUnreachable(url, Unreachable.SILENT)
        if at_once.gap:
            time.sleep(self._gap())
        begun = time.monotonic()
        try:
            response = send()
        except SiteUnreachable as error:
            if error.reason is Unreachable.TIMEOUT:
                self._push_back(begun, None)
            raise
        else:
            self._hear(response, begun)
            return response
        finally:
            if not mine.keeps:
                self._leave()

    def _gap(self) -> float:
        """Seconds until the next request may be sent, which is taken for sent."""
        with self._changed:
            now = time.monotonic()
            start = max(now, min(self._next, now + LONGEST_GAP))
            self._next = start + self._at_once.gap
            return start - now

    def _hear(self, response: HttpResponse, begun: float) -> None:
        if _is_busy(response):
            pause = retry_after(response)
            self._push_back(begun, None if pause is None else min(pause, self._longest_pause))
            return
        with self._changed:
            before = self._at_once.limit
            self._at_once.answered(begun, time.monotonic())
            if self._at_once.limit > before:
                self._changed.notify()

    def _push_back(self, begun: float, pause: float | None) -> None:
        with self._changed:
            self._at_once.pushed_back(begun, time.monotonic(), pause)

    def _take(self) -> bool:
        """Wait for a turn; False: cancelled."""
        mine = self._mine
        with self._changed:
            while not (self._cancelled() or (mine.cancelled is not None and mine.cancelled())):
                pause = self._at_once.until - time.monotonic()
                if pause <= 0 and self._active < self._at_once.limit:
                    self._active += 1
                    mine.has = True
                    return True
                self._changed.wait(min(pause, _LISTEN) if pause > 0 else _LISTEN)
        return False

    def _leave(self) -> None:
        if self._mine.has:
            with self._changed:
                self._mine.has = False
                self._active -= 1
                self._changed.notify()


class _Mine(threading.local):
    """What a thread has: a turn; whether it keeps that; and who tells that it waits no more."""

    has = False
    keeps = False
    cancelled: Callable[[], bool] | None = None


def _is_busy(response: HttpResponse) -> bool:
    """Whether a site says, by whatever way, that it is too busy."""
    if response.status in BUSY:
        return True
    if not response.body.startswith(b"{"):
        return False
    try:
        file_of(response)
    except SiteRefused as error:
        return is_busy(error)
    except SiteError:
        return False
    return False
