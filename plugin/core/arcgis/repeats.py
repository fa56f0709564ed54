"""Requests that are sent again: how often, how soon."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from .transport import HttpResponse


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


def retry_after(response: HttpResponse) -> float | None:
    """Seconds until the site wants to be asked again; None where it does not say, or that is past.

    Source: RFC 9110, 10.2.3: a number of seconds, or a moment.
    """
    value = response.headers.get("retry-after", "")
    if not value:
        return None
    if value.isdecimal():
        return float(value)
    until = moment(value)
    if until is None:
        return None
    now = moment(response.headers.get("date", "")) or datetime.now(timezone.utc).timestamp()
    return until - now if until > now else None


def moment(value: str) -> float | None:
    """The moment that an HTTP date names, in seconds since 1970; None where it names none."""
    try:
        date = parsedate_to_datetime(value)
        return date.replace(tzinfo=date.tzinfo or timezone.utc).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
