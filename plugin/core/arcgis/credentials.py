"""What a person signs in with, and the token that comes of it. Their reprs hide the secrets."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Callable, Union

RENEW_BEFORE_SECONDS = 60.0
"""A token is renewed this long before it ends, so that it does not end on its way."""

RENEW_BEFORE_SHARE = 0.2
"""A token that is short-lived is renewed when this much of its life is left."""


@dataclass(frozen=True)
class Credentials:
    """User name and password, for a site's own token service, or for that of its portal.

    `portal_url`: the portal that the person says the site belongs to; "" for none.
    `trusted_portals`: addresses of portals that may be given the password, too. It goes to no other
    host but the site's own. A web server in front that wants HTTP Basic is given it as well.
    """

    username: str
    password: str = field(repr=False)
    portal_url: str = ""
    trusted_portals: tuple[str, ...] = ()


@dataclass(frozen=True)
class FixedToken:
    """A token that was got elsewhere and cannot be renewed here.

    `referer`: what it was bound to, "" where it was not. `trusted_portals`: portals that may be
    given it, to have it exchanged where the site itself does not take it.
    """

    value: str = field(repr=False)
    referer: str = ""
    trusted_portals: tuple[str, ...] = ()


@dataclass(frozen=True)
class GivenToken:
    """A token that somebody else keeps fresh.

    `get`: gives it as it is now; told True, a new one, for the one of before was refused. It is
    called from any thread, by one client never twice at a time; what it raises comes out of the
    request. Else as FixedToken.
    """

    get: Callable[[bool], str] = field(repr=False)
    trusted_portals: tuple[str, ...] = ()
    referer: str = ""


@dataclass(frozen=True)
class HeaderSignIn:
    """Headers that sign a request at the web server in front, or at the site itself.

    They go to the site's own origin, and to the token services of `trusted_portals`.
    """

    headers: Mapping[str, str] = field(repr=False)
    trusted_portals: tuple[str, ...] = ()


@dataclass(frozen=True)
class CertificateSignIn:
    """The transport shows a certificate, which says who asks.

    Where the site wants a token as well, that is got by the certificate alone: of the site's own
    token service, or of that of one of `trusted_portals`.
    """

    trusted_portals: tuple[str, ...] = ()


SignIn = Union[Credentials, FixedToken, GivenToken, HeaderSignIn, CertificateSignIn]
"""Whatever a person can sign in with here."""


@dataclass(frozen=True)
class Token:
    """A token that a site takes: good until `ends`, a `time.monotonic()` moment.

    `margin`: how many seconds before its end it is renewed.
    """

    value: str = field(repr=False)
    ends: float = math.inf
    referer: str = ""
    margin: float = RENEW_BEFORE_SECONDS

    def is_fresh(self) -> bool:
        return time.monotonic() < self.ends - self.margin
