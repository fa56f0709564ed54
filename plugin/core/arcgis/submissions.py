"""What an error says of a request that must not be carried out twice."""

from __future__ import annotations

from ..errors import (
    JobLost,
    NotAllowed,
    NotArcGIS,
    SignInFailed,
    SignInNeeded,
    SiteError,
    SiteRefused,
    SiteUnreachable,
    Unreachable,
)
from .envelope import is_busy

_ON_THE_WAY_BACK = frozenset(
    {Unreachable.TIMEOUT, Unreachable.BROKEN, Unreachable.TOO_LARGE, Unreachable.SILENT}
)
_ON_THE_WAY_THERE = frozenset({Unreachable.NAME, Unreachable.REFUSED, Unreachable.PROXY})
_GATEWAY = frozenset({502, 504})


def may_have_arrived(error: SiteError) -> bool:
    """Whether the request that ended in `error` may have been carried out all the same.

    Not where the connection was never made, nor where the site itself refused. What stands in front
    of a site answers 502 and 504 when it has passed the request on, 503 when it could not.
    """
    if isinstance(error, SiteUnreachable):
        return error.reason in _ON_THE_WAY_BACK
    if isinstance(error, SiteRefused):
        return error.code in _GATEWAY
    return isinstance(error, NotArcGIS)


def only_a_page(error: SiteError) -> bool:
    """Whether it is a page of something in front of the site, as sign-in pages are.

    Such a one has kept the request for itself, unless it tells of a failure behind it.
    """
    is_page = isinstance(error, NotArcGIS) and "html" in error.content_type.lower()
    return is_page and isinstance(error, NotArcGIS) and error.status < 500


def is_passing(error: SiteError) -> bool:
    """Whether the same request may be taken later: there was no answer, no sign-in, no room."""
    if isinstance(error, (SiteUnreachable, NotArcGIS, SignInFailed, SignInNeeded)):
        return True
    return isinstance(error, SiteRefused) and is_busy(error)


def has_no_room(error: SiteError) -> bool:
    """Whether the request never reached the site, or found no room there, which may be soon over.

    Unlike with all that `is_passing`, nobody need do anything about it.
    """
    if isinstance(error, SiteUnreachable):
        return error.reason in _ON_THE_WAY_THERE
    return isinstance(error, SiteRefused) and is_busy(error) and not may_have_arrived(error)


def has_forgotten(error: JobLost) -> bool:
    """Whether the site answers, and knows the job no more."""
    lets_nobody_look = isinstance(error.cause, (SignInNeeded, SignInFailed, NotAllowed))
    return not error.seconds and not lets_nobody_look
