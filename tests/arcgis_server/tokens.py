"""The token service of a site or portal: issues tokens and says whose they are."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass

from .answers import EsriError, invalid_token
from .handle import ACCOUNTS, API_KEY, PUBLISHER

DEFAULT_LIFETIME = 3600.0


@dataclass(frozen=True)
class _Issued:
    user: str
    expires: float
    referer: str = ""
    address: str = ""
    server: str = ""


@dataclass(frozen=True)
class TokenRequest:
    """The form of ``generateToken``; ``expiration`` in minutes as it was typed.

    ``known_as``: who has signed in at the web tier; then no user name is needed.
    """

    username: str
    password: str
    client: str
    referer: str
    address: str
    expiration: str
    known_as: str | None = None


class TokenOffice:
    """Keeps the tokens of one site or portal. ``lifetime`` (seconds) caps what is asked for.

    ``api_keys``: whether it knows API keys: tokens that neither expire nor belong to a referer.
    A portal also issues tokens for one server, which the portal itself does not take.
    ``clock_skew``: how many seconds the site's clock is ahead of the true time. ``given``: every
    token since the last reset.
    """

    def __init__(self, referer_only: bool, api_keys: bool = False) -> None:
        self._referer_only = referer_only
        self._api_keys = api_keys
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

    def issue(self, wanted: TokenRequest, server: str = "") -> tuple[str, int]:
        """Return a new token and when it expires (epoch milliseconds).

        ``server``: the federated server that it is for, where it is not the portal's own.

        Raises:
            EsriError: 400, with what is wrong in the details.
        """
        user = wanted.username
        if wanted.known_as and not user:
            user = wanted.known_as
        elif ACCOUNTS.get(user) != wanted.password:
            raise _refused("Invalid username or password.")
        referer, address = self._binding(wanted)
        expires = self._end(_seconds(wanted.expiration))
        return self._keep(_Issued(user, expires, referer, address, server.rstrip("/").lower()))

    def issue_to(self, user: str, seconds: float) -> tuple[str, int]:
        """Return a token of a user who has signed in elsewhere (OAuth 2), and its end."""
        return self._keep(_Issued(user, self._end(seconds)))

    def issue_for_server(
        self,
        token: str,
        referer: str,
        address: str,
        server: str,
        minutes: str,
        bound_to: str = "",
    ) -> tuple[str, int]:
        """Return a token for a federated server in exchange for one of the portal, and its end.

        ``server``: its address, or the part before the path. ``bound_to``: the referer it holds
        for; else it is bound as the portal's token is.

        Raises:
            EsriError: 498 where the portal's token is not valid.
        """
        user = self.user_of(token, referer, address)
        with self._lock:
            bound = self._issued.get(token, _Issued(user, 0.0))
        return self._keep(
            _Issued(
                user,
                self._end(_seconds(minutes)),
                bound_to or bound.referer,
                "" if bound_to else bound.address,
                server.rstrip("/").lower(),
            )
        )

    def user_at_server(self, token: str, referer: str, address: str, server: str) -> str:
        """Return whose token for that federated server it is.

        Raises:
            EsriError: 498 where it is the portal's own, another server's, unknown or expired.
        """
        with self._lock:
            issued = self._issued.get(token)
        if issued is None or not issued.server:
            raise invalid_token()
        if not f"{server.lower()}/".startswith(f"{issued.server}/"):
            raise invalid_token()
        return _checked(issued, referer, address)

    def user_of(self, token: str, referer: str, address: str) -> str:
        """Return whose token it is.

        Raises:
            EsriError: 498 where it is unknown, expired, or used from elsewhere.
        """
        if self._api_keys and token == API_KEY:
            return PUBLISHER.name
        with self._lock:
            issued = self._issued.get(token)
        if issued is None or issued.server:
            raise invalid_token()
        return _checked(issued, referer, address)

    def expire_all(self) -> None:
        """Make every token issued so far invalid."""
        with self._lock:
            self._issued.clear()

    def _keep(self, issued: _Issued) -> tuple[str, int]:
        token = secrets.token_urlsafe(48)
        with self._lock:
            self._issued[token] = issued
            self.given.append(token)
        return token, int((issued.expires + self.clock_skew) * 1000)

    def _end(self, seconds: float) -> float:
        return time.time() + min(seconds, self.lifetime)

    def _binding(self, wanted: TokenRequest) -> tuple[str, str]:
        if wanted.client == "referer":
            if not wanted.referer:
                raise _refused("'referer' must be specified.")
            return wanted.referer, ""
        if wanted.client in {"requestip", "ip"} and not self._referer_only:
            return "", wanted.address
        raise _refused(f"The client type '{wanted.client}' is not supported.")


def _checked(issued: _Issued, referer: str, address: str) -> str:
    if issued.expires <= time.time():
        raise invalid_token()
    if issued.referer and not referer.startswith(issued.referer):
        raise invalid_token()
    if issued.address and issued.address != address:
        raise invalid_token()
    return issued.user


def _refused(reason: str) -> EsriError:
    return EsriError(400, "Unable to generate token.", [reason])


def _seconds(minutes: str) -> float:
    try:
        number = float(minutes) if minutes else DEFAULT_LIFETIME / 60
    except ValueError as error:
        raise _refused("'expiration' must be a number.") from error
    return number * 60
