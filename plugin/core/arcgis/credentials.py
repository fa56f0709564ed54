"""What a person signs in with, and the token that comes of it. Their reprs hide the secrets."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Union

RENEW_BEFORE_SECONDS = 60.0
"""A token is renewed this long before it ends, so that it does not end on its way."""


@dataclass(frozen=True)
class Credentials:
    """User name and password, for a site's own token service, or for that of its portal.

    `portal_url`: the portal that the person says the site belongs to; "" for none. Only then may
    the password go to the portal's host.
    """

    username: str
    password: str = field(repr=False)
    portal_url: str = ""


@dataclass(frozen=True)
class FixedToken:
    """A token that was got elsewhere and cannot be renewed here.

    `referer`: what it was bound to, "" where it was not.
    """

    value: str = field(repr=False)
    referer: str = ""


SignIn = Union[Credentials, FixedToken]
"""Whatever a person can sign in with here."""


@dataclass(frozen=True)
class Token:
    """A token that a site gave: good until `ends`, a `time.monotonic()` moment."""

    value: str = field(repr=False)
    ends: float
    referer: str = ""

    def is_fresh(self) -> bool:
        return time.monotonic() < self.ends - RENEW_BEFORE_SECONDS
