"""The token service of a stand-alone site: issues tokens and says whose they are."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass

from .answers import EsriError, invalid_token
from .handle import ACCOUNTS

DEFAULT_LIFETIME = 3600.0


@dataclass(frozen=True)
class _Issued:
    user: str
    expires: float
    referer: str
    address: str


@dataclass(frozen=True)
class TokenRequest:
    """The form of ``generateToken``; ``expiration`` in minutes as it was typed."""

    username: str
    password: str
    client: str
    referer: str
    address: str
    expiration: str


class TokenOffice:
    """Keeps the tokens of one site. ``lifetime`` (seconds) caps what is asked for.

    ``clock_skew``: how many seconds the site's clock is ahead of the true time. ``given``: every
    token since the last reset.
    """

    def __init__(self, referer_only: bool) -> None:
        self._referer_only = referer_only
        self._lock = threading.Lock()
        self._issued: dict[str, _Issued] = {}
        self.lifetime = DEFAULT_LIFETIME
        self.clock_skew = 0.0
        self.given: list[str] = []

    def reset(self) -> None:
        """Forget all tokens, and everything that was set."""
        self.expire_all()
        self.given.clear()
        self.lifetime = DEFAULT_LIFETIME
        self.clock_skew = 0.0

    def issue(self, wanted: TokenRequest) -> tuple[str, int]:
        """Return a new token and when it expires (epoch milliseconds).

        Raises:
            EsriError: 400, with what is wrong in the details.
        """
        if ACCOUNTS.get(wanted.username) != wanted.password:
            raise _refused("Invalid username or password.")
        referer, address = self._binding(wanted)
        expires = time.time() + min(_seconds(wanted.expiration), self.lifetime)
        token = secrets.token_urlsafe(48)
        with self._lock:
            self._issued[token] = _Issued(wanted.username, expires, referer, address)
            self.given.append(token)
        return token, int((expires + self.clock_skew) * 1000)

    def user_of(self, token: str, referer: str, address: str) -> str:
        """Return whose token it is.

        Raises:
            EsriError: 498 where it is unknown, expired, or used from elsewhere.
        """
        with self._lock:
            issued = self._issued.get(token)
        if issued is None or issued.expires <= time.time():
            raise invalid_token()
        if issued.referer and not referer.startswith(issued.referer):
            raise invalid_token()
        if issued.address and issued.address != address:
            raise invalid_token()
        return issued.user

    def expire_all(self) -> None:
        """Make every token issued so far invalid."""
        with self._lock:
            self._issued.clear()

    def _binding(self, wanted: TokenRequest) -> tuple[str, str]:
        if wanted.client == "referer":
            if not wanted.referer:
                raise _refused("'referer' must be specified.")
            return wanted.referer, ""
        if wanted.client in {"requestip", "ip"} and not self._referer_only:
            return "", wanted.address
        raise _refused(f"The client type '{wanted.client}' is not supported.")


def _refused(reason: str) -> EsriError:
    return EsriError(400, "Unable to generate token.", [reason])


def _seconds(minutes: str) -> float:
    try:
        number = float(minutes) if minutes else DEFAULT_LIFETIME / 60
    except ValueError as error:
        raise _refused("'expiration' must be a number.") from error
    return number * 60
