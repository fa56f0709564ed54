"""OAuth 2 of a portal: the sign-in page, the codes and tokens it leads to, and their renewal."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from .answers import EsriError, page, value_of
from .handle import ACCOUNTS, OAUTH_CLIENT, PUBLISHER
from .tokens import TokenOffice

OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"
_PUBLIC_CLIENTS = ("pythonapi", "arcgisonline", OAUTH_CLIENT[0])
_DEFAULT_SECONDS = 1800
_REFRESH_SECONDS = 14 * 24 * 3600


@dataclass(frozen=True)
class _Asked:
    """What a client asked ``authorize`` for."""

    response_type: str
    client_id: str
    redirect_uri: str
    state: str
    challenge: str
    challenge_method: str


@dataclass(frozen=True)
class _Granted:
    user: str
    asked: _Asked


class OAuth:
    """The OAuth 2 end points of one portal."""

    def __init__(self, tokens: TokenOffice) -> None:
        self._tokens = tokens
        self._lock = threading.Lock()
        self._asked: dict[str, _Asked] = {}
        self._codes: dict[str, _Granted] = {}
        self._refresh: dict[str, tuple[str, str]] = {}  # user and client

    def clear(self) -> None:
        """Forget codes and refresh tokens."""
        with self._lock:
            self._asked.clear()
            self._codes.clear()
            self._refresh.clear()

    def authorize(self) -> Response:
        """Answer the page on which a person signs in."""
        asked = _Asked(
            value_of("response_type", "code"),
            value_of("client_id"),
            value_of("redirect_uri"),
            value_of("state"),
            value_of("code_challenge"),
            value_of("code_challenge_method", "plain"),
        )
        if asked.client_id not in _PUBLIC_CLIENTS:
            return page("Error: Invalid client_id", "Invalid client_id", 400)
        if not asked.redirect_uri:
            return page("Error: Invalid redirect_uri", "Invalid redirect_uri", 400)
        state = secrets.token_urlsafe(24)
        with self._lock:
            self._asked[state] = asked
        return _sign_in_page(state, [])

    def sign_in(self) -> Response:
        """Take the form of that page and lead back to the client."""
        state, user = value_of("oauth_state"), value_of("username")
        with self._lock:
            asked = self._asked.get(state)
        if asked is None:
            return page("Error", "Invalid oauth_state", 400)
        if ACCOUNTS.get(user) != value_of("password"):
            return _sign_in_page(state, ["Invalid username or password."])
        with self._lock:
            self._asked.pop(state, None)
        if asked.response_type == "token":
            answer = {**self._grant(user, asked.client_id, refresh=False), "state": asked.state}
            answer["ssl"] = "false"
            return _led_to(f"{asked.redirect_uri}#{urlencode(answer)}")
        code = secrets.token_urlsafe(32)
        with self._lock:
            self._codes[code] = _Granted(user, asked)
        if asked.redirect_uri == OUT_OF_BAND:
            return page(f"SUCCESS code={code}", "You may close this page.")
        mark = "&" if "?" in asked.redirect_uri else "?"
        query = urlencode({"code": code, "state": asked.state})
        return _led_to(f"{asked.redirect_uri}{mark}{query}")

    def token(self) -> dict[str, Any]:
        """Answer ``oauth2/token``.

        Raises:
            EsriError: the grant is unknown or not good (any more).
        """
        grants = {
            "authorization_code": self._by_code,
            "refresh_token": self._by_refresh_token,
            "exchange_refresh_token": self._by_refresh_token,
            "client_credentials": self._by_client,
            "password": self._by_password,
        }
        grant = value_of("grant_type")
        if grant not in grants:
            raise _refused(400, "unsupported_grant_type", f"Unsupported grant_type {grant!r}")
        return grants[grant]()

    def _by_code(self) -> dict[str, Any]:
        with self._lock:
            granted = self._codes.pop(value_of("code"), None)
        if granted is None:
            raise _refused(498, "invalid_request", "Invalid or expired code")
        asked = granted.asked
        if (_client_id(), value_of("redirect_uri")) != (asked.client_id, asked.redirect_uri):
            raise _refused(400, "invalid_request", "Invalid redirect_uri or client_id")
        if asked.challenge and _challenge(asked.challenge_method) != asked.challenge:
            raise _refused(400, "invalid_request", "Invalid code_verifier")
        return self._grant(granted.user, asked.client_id, refresh=True)

    def _by_refresh_token(self) -> dict[str, Any]:
        token = value_of("refresh_token")
        with self._lock:
            user, client = self._refresh.get(token, ("", ""))
        if not user or client != _client_id():
            raise _refused(498, "invalid_request", "refresh_token expired")
        renews = value_of("grant_type") == "exchange_refresh_token"
        return self._grant(user, client, refresh=renews)

    def _by_client(self) -> dict[str, Any]:
        """An application signs in as itself; this one may do what the publisher may."""
        _check_secret()
        return self._grant(PUBLISHER.name, _client_id(), refresh=False)

    def _by_password(self) -> dict[str, Any]:
        """The resource owner's grant, which QGIS knows and portals behind a gateway offer."""
        user = value_of("username")
        if ACCOUNTS.get(user) != value_of("password"):
            raise _refused(400, "invalid_request", "Invalid username or password.")
        return self._grant(user, _client_id(), refresh=True)

    def _grant(self, user: str, client: str, refresh: bool) -> dict[str, Any]:
        minutes = value_of("expiration")
        wanted = float(minutes) * 60 if minutes.isdecimal() else _DEFAULT_SECONDS
        seconds = min(wanted, self._tokens.lifetime)
        token, _ = self._tokens.issue_to(user, seconds)
        answer: dict[str, Any] = {
            "access_token": token,
            "expires_in": int(seconds),
            "username": user,
            "ssl": False,
            "token_type": "bearer",
        }
        if refresh:
            again = secrets.token_urlsafe(48)
            with self._lock:
                self._refresh[again] = (user, client)
            self._tokens.given.append(again)
            answer["refresh_token"] = again
            answer["refresh_token_expires_in"] = _REFRESH_SECONDS
        return answer


def _client_id() -> str:
    """Return the client's id: from the form, or from HTTP Basic as RFC 6749 allows."""
    basic = request.authorization
    return value_of("client_id") or str((basic.username if basic else "") or "")


def _check_secret() -> None:
    basic = request.authorization
    secret = value_of("client_secret") or str((basic.password if basic else "") or "")
    if (_client_id(), secret) != OAUTH_CLIENT:
        raise _refused(400, "invalid_client", "Invalid client_id or client_secret")


def _challenge(method: str) -> str:
    verifier = value_of("code_verifier")
    if method.upper() != "S256":
        return verifier
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _refused(code: int, kind: str, text: str) -> EsriError:
    return OAuthError(code, kind, text)


class OAuthError(EsriError):
    """An error with the keys of RFC 6749 beside those of ArcGIS."""

    def __init__(self, code: int, kind: str, text: str) -> None:
        super().__init__(code, text, status=400)
        self._kind = kind

    def as_json(self) -> dict[str, Any]:
        error = super().as_json()["error"]
        return {"error": {**error, "error": self._kind, "error_description": self.message}}


def _led_to(address: str) -> Response:
    return Response("", 302, {"Location": address})


def _sign_in_page(state: str, messages: list[str]) -> Response:
    told = json.dumps({"oauth_state": state, "messages": messages})
    text = (
        "<!DOCTYPE html>\n<html><head><title>Sign In</title></head><body>"
        f"<script>var oAuthInfo = {told};</script>"
        '<form method="post" action="../../oauth2/signin">'
        f'<input type="hidden" name="oauth_state" value="{state}">'
        '<input name="username"><input name="password" type="password">'
        "<button>Sign In</button></form></body></html>\n"
    )
    return Response(text, content_type="text/html;charset=utf-8")
