"""How requests to one site are signed: what with, when that is renewed, what a refusal means."""

from __future__ import annotations

import threading
from typing import Union

from ..errors import SignInNeeded
from .credentials import FixedToken, SignIn, Token
from .tokens import Send, request_token
from .trust import same_site

Signature = Union[Token, FixedToken, None]
"""What a request is signed with."""


class Signing:
    """Signs requests to the site at `site_url` in somebody's name. For several threads at once.

    `send`: sends (method, URL, fields) unsigned and gives the JSON object, for the sign-in itself.
    """

    def __init__(self, site_url: str, sign_in: SignIn | None, send: Send) -> None:
        self._site_url, self._sign_in, self._send = site_url, sign_in, send
        self._token: Signature = sign_in if isinstance(sign_in, FixedToken) else None
        self._lock = threading.Lock()

    @property
    def is_signed_in(self) -> bool:
        """Whether requests go out in somebody's name."""
        return self._sign_in is not None

    @property
    def known(self) -> Signature:
        """The signature that there is by now, fresh or not; nothing is sent for it."""
        return self._token

    def is_own(self, url: str) -> bool:
        """Whether `url` is on the site's own origin, so that a signature may go there."""
        return same_site(self._site_url, url)

    def signature(self) -> Signature:
        """A fresh signature. Raises SignInFailed, SiteUnreachable, NotArcGIS."""
        if self._sign_in is None or isinstance(self._sign_in, FixedToken):
            return self._token
        with self._lock:
            token = self._token
            if not (isinstance(token, Token) and token.is_fresh()):
                token = request_token(self._site_url, self._sign_in, self._send)
                self._token = token
            # not what stands there by now: another thread may just have dropped it
            return token

    def renew(self, refused: SignInNeeded) -> None:
        """Let the next signature be a new one. Raises `refused` where there is no other."""
        if self._sign_in is None or isinstance(self._sign_in, FixedToken):
            raise refused
        self._token = None
