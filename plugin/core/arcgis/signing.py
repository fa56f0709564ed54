"""How requests to one site are signed: what with, when that is renewed, what a refusal means."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Callable

from ..errors import (
    NotAllowed,
    NotArcGIS,
    SignInFailed,
    SignInNeeded,
    SignInProblem,
    SiteRefused,
)
from .address import origin_of
from .credentials import Credentials, FixedToken, GivenToken, HeaderSignIn, SignIn, Token
from .envelope import INVALID_TOKEN, is_busy
from .repeats import moment
from .tokens import (
    Answer,
    TokenService,
    exchange_service,
    exchanged_token,
    token_by_password,
    token_by_web_tier,
    token_service,
)
from .transport import HttpRequest, HttpResponse
from .trust import check_target, same_site
from .web_tier import BASIC, basic_headers

ASK_AGAIN_SECONDS = 60.0
"""A token that somebody else keeps fresh is asked for again after this long."""

_NOT_GIVEN = (SignInProblem.REFUSED, SignInProblem.NO_SERVICE)

Send = Callable[[HttpRequest], "tuple[dict[str, Any], HttpResponse]"]
"""Sends a request as it stands, repeated as reading is; gives the JSON object and the answer."""


@dataclass(frozen=True)
class Signature:
    """What a request is signed with: a token, headers, both, or nothing."""

    token: Token | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


UNSIGNED = Signature()


class Step(Enum):
    """What is done about a refused request, each at most once."""

    WEB_TIER = "sign in at the web server in front"
    OTHERS = "take the token that another thread has got"
    RENEW = "get a new token"
    EXCHANGE = "exchange the token at the site's portal"


class Signing:
    """Signs requests to the site at `site_url` in somebody's name. For several threads at once.

    `send` is for the sign-in itself.
    """

    def __init__(self, site_url: str, sign_in: SignIn | None, send: Send) -> None:
        self._site_url, self._sign_in, self._send = site_url, sign_in, send
        self._lock = threading.Lock()
        self._token: Token | None = None
        if isinstance(sign_in, FixedToken):
            self._token = Token(sign_in.value, referer=sign_in.referer)
        self._needs_no_token = not isinstance(sign_in, (Credentials, FixedToken, GivenToken))
        self._exchanges = False
        self._has_worked = False
        self._basic_origins: set[tuple[str, str, int]] = set()

    @property
    def is_signed_in(self) -> bool:
        """Whether requests go out in somebody's name."""
        return self._sign_in is not None

    @property
    def known(self) -> Signature:
        """The signature that there is by now, fresh or not; nothing is sent for it."""
        return Signature(self._token, self._headers_for(self._site_url))

    def is_own(self, url: str) -> bool:
        """Whether `url` is on the site's own origin, so that a signature may go there."""
        return same_site(self._site_url, url)

    def signature(self) -> Signature:
        """A fresh signature. Raises SignInFailed, SignInNeeded, SiteUnreachable, NotArcGIS."""
        with self._lock:
            if not (self._needs_no_token or (self._token and self._token.is_fresh())):
                self._token = self._new_token()
            return Signature(self._token, self._headers_for(self._site_url))

    def accepted(self, used: Signature) -> None:
        """The site took a request signed with `used`."""
        if used.token is not None and not self._exchanges:
            self._has_worked = True

    def again(self, used: Signature, refused: SiteRefused, steps: set[Step]) -> bool:
        """Whether a request that was refused is worth another try, with the next signature.

        Refused for its signature it did nothing. `steps`: those taken for this request; one is
        added. Raises SignInFailed where a new sign-in is refused, or must not be tried.
        """
        if self._sign_in is None or not self.is_own(refused.url):
            # another origin, which a redirect led to, was sent no signature
            return False
        by_web_tier = not isinstance(self._sign_in, (Credentials, FixedToken, GivenToken))
        if isinstance(refused, NotAllowed) and (used.token is not None or not by_web_tier):
            return False
        with self._lock:
            schemes = refused.schemes if isinstance(refused, SignInNeeded) else ()
            if schemes and Step.WEB_TIER not in steps:
                steps.add(Step.WEB_TIER)
                if self._opens_web_tier(self._site_url, schemes, is_signed=bool(used.headers)):
                    return True
            if _value(used.token) != _value(self._token) and Step.OTHERS not in steps:
                steps.add(Step.OTHERS)
                return True
            return self._gets_another(used, steps)

    # --- tokens: what follows runs under the lock ---

    def _gets_another(self, used: Signature, steps: set[Step]) -> bool:
        if isinstance(self._sign_in, (FixedToken, GivenToken)):
            return self._another_given(used, steps)
        if Step.RENEW in steps:
            return False
        steps.add(Step.RENEW)
        if isinstance(self._sign_in, Credentials):
            self._token, self._needs_no_token = None, False
            return True
        try:
            self._token, self._needs_no_token = self._by_web_tier(), False
        except NotArcGIS:
            return False
        except (SignInFailed, SiteRefused) as error:
            if not _is_not_given(error):
                raise
            return False
        return True

    def _another_given(self, used: Signature, steps: set[Step]) -> bool:
        """Have a token from elsewhere exchanged or renewed, what is likelier to help first."""
        order = [Step.EXCHANGE, Step.RENEW]
        if self._has_worked or self._exchanges:
            order.reverse()
        for step in (step for step in order if step not in steps):
            steps.add(step)
            if step is Step.RENEW and isinstance(self._sign_in, GivenToken):
                old, new = _value(used.token), self._sign_in.get(True)
                if self._exchanges or new != old:
                    self._take(new)
                    return True
            elif step is Step.EXCHANGE and not self._exchanges:
                token = self._exchanged(self._given_value())
                if token is not None:
                    self._token, self._exchanges = token, True
                    return True
        return False

    def _take(self, value: str) -> None:
        """Sign with the token `value` from now on, exchanged where it was not taken as it is."""
        token = None if self._has_worked and not self._exchanges else self._exchanged(value)
        self._exchanges = token is not None
        self._token = token or self._as_given(value)

    def _new_token(self) -> Token | None:
        if isinstance(self._sign_in, Credentials):
            return self._by_password(self._sign_in)
        if not isinstance(self._sign_in, (FixedToken, GivenToken)):
            return self._by_web_tier()
        if not self._exchanges:
            return self._as_given(self._given_value())
        token = self._exchanged(self._given_value())
        if token is None and isinstance(self._sign_in, GivenToken):
            token = self._exchanged(self._sign_in.get(True))
        if token is None:
            raise SignInNeeded(self._site_url, INVALID_TOKEN, "")
        return token

    def _by_password(self, credentials: Credentials) -> Token | None:
        """A token; None where the web server's own sign-in is all that the site wants."""
        try:
            service = token_service(self._site_url, self._trusted, self._ask)
        except SignInFailed as error:
            if error.reason is not SignInProblem.NO_SERVICE:
                raise
            if not self._has_web_tier():
                raise
            self._needs_no_token = True
            return None
        try:
            token = token_by_password(self._site_url, service, credentials, self._ask)
        except SignInFailed as error:
            if error.reason is not SignInProblem.REFUSED or not self._headers_for(service.url):
                raise
            # behind a web server's sign-in, portals know their users by that alone
            return token_by_web_tier(self._site_url, service, self._ask)
        return self._of_site(service, token.value) or token

    def _by_web_tier(self) -> Token:
        service = token_service(self._site_url, self._trusted, self._ask)
        return token_by_web_tier(self._site_url, service, self._ask)

    def _as_given(self, value: str) -> Token:
        if isinstance(self._sign_in, GivenToken):
            ends = time.monotonic() + ASK_AGAIN_SECONDS
            return Token(value, ends, self._sign_in.referer, margin=0.0)
        return Token(value, referer=self._referer)

    def _given_value(self) -> str:
        if isinstance(self._sign_in, GivenToken):
            return self._sign_in.get(False)
        return self._sign_in.value if isinstance(self._sign_in, FixedToken) else ""

    def _exchanged(self, value: str) -> Token | None:
        """What the site's portal gives for its token `value`; None where it gives nothing.

        Raises SignInFailed where the portal is not trusted, so that the person can be asked.
        """
        try:
            service = exchange_service(self._site_url, self._trusted, self._ask)
        except NotArcGIS:
            return None
        except SignInFailed:
            if self._has_worked:
                return None
            raise
        return None if service is None else self._of_site(service, value)

    def _of_site(self, service: TokenService, value: str) -> Token | None:
        if not service.exchanges:
            return None
        referer = self._referer or self._site_url
        try:
            return exchanged_token(self._site_url, service, value, referer, self._ask)
        except (SignInFailed, SiteRefused) as error:
            if not _is_not_given(error):
                raise
            return None

    # --- the web server in front ---

    @property
    def _trusted(self) -> tuple[str, ...]:
        if self._sign_in is None:
            return ()
        portal = self._sign_in.portal_url if isinstance(self._sign_in, Credentials) else ""
        return (*((portal,) if portal else ()), *self._sign_in.trusted_portals)

    @property
    def _referer(self) -> str:
        sign_in = self._sign_in
        return sign_in.referer if isinstance(sign_in, (FixedToken, GivenToken)) else ""

    def _headers_for(self, url: str) -> Mapping[str, str]:
        """The headers that sign a request to `url`, which secrets may go to."""
        if isinstance(self._sign_in, HeaderSignIn):
            return self._sign_in.headers
        if isinstance(self._sign_in, Credentials) and origin_of(url) in self._basic_origins:
            return basic_headers(self._sign_in)
        return {}

    def _opens_web_tier(self, url: str, schemes: tuple[str, ...], *, is_signed: bool) -> bool:
        """Whether `schemes`, which a web server at `url` offers, can be met from now on.

        Raises SignInFailed where not; False where they are met already, but a token may be amiss.
        """
        if not isinstance(self._sign_in, Credentials) or BASIC not in schemes:
            raise SignInFailed(self._site_url, SignInProblem.WEB_SERVER, ", ".join(schemes))
        if not is_signed:
            self._basic_origins.add(origin_of(url))
            return True
        if self._token is None:
            raise SignInFailed(self._site_url, SignInProblem.REFUSED)
        return False

    def _has_web_tier(self) -> bool:
        """Whether a site without tokens wants a sign-in at its web server."""
        if self._headers_for(self._site_url):
            return True
        try:
            self._ask("GET", f"{self._site_url}/rest/services", {})
        except (SiteRefused, NotArcGIS):
            return False
        return bool(self._headers_for(self._site_url))

    def _ask(
        self,
        method: str,
        url: str,
        fields: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """See tokens.Ask: signed for the web server in front, where it wants that."""
        check_target(self._site_url, self._trusted, url)
        while True:
            signed = self._headers_for(url)
            request = HttpRequest(
                method, url, {"f": "json", **fields}, {**signed, **(headers or {})}
            )
            try:
                body, response = self._send(request)
            except SignInNeeded as refused:
                if not (refused.schemes and same_site(url, refused.url)):
                    raise
                if not self._opens_web_tier(url, refused.schemes, is_signed=bool(signed)):
                    raise SignInFailed(self._site_url, SignInProblem.REFUSED) from None
            else:
                return Answer(body, moment(response.headers.get("date", "")))


def _is_not_given(error: SignInFailed | SiteRefused) -> bool:
    """Whether a token service has none for us, now or later."""
    if isinstance(error, SignInFailed):
        return error.reason in _NOT_GIVEN
    return not is_busy(error)


def _value(token: Token | None) -> str:
    return token.value if token is not None else ""
