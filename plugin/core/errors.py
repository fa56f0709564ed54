"""Every error the core can raise, each holding plain data.

    TileCacheError
    ├─ AddressError                 the text is not the address of a cache
    ├─ SiteError                    something between us and the site
    │  ├─ SiteUnreachable           no answer at all
    │  ├─ NotArcGIS                 an answer, but not ArcGIS REST JSON
    │  ├─ SiteRefused               the site answered with an error of its own
    │  │  ├─ NotFound
    │  │  ├─ NotAllowed             signed in, without the right
    │  │  └─ SignInNeeded           no token, or one the site takes no longer
    │  └─ SignInFailed              user name or password not taken
    ├─ DescriptionError             a service describes itself in a way that cannot be used
    ├─ NotCached                    a service without a tile cache
    ├─ CachingUnavailable           the site offers no way to manage this cache
    ├─ RequestError                 what was asked cannot be done
    │  ├─ NoLevels · UnknownScale · BadScales · ModeNotOffered · BadInstances · ServiceChanged
    │  └─ EmptyArea · AreaOutside · BadExtent · BadArea
    └─ JobError                     a job on the site
       ├─ JobFailed
       ├─ JobSilent                 the site gives no answer just now
       ├─ JobLost                   it could not be followed to its end
       └─ CancelUnconfirmed

An error's attributes are for programs; sentences for people are made in `host/messages.py` only.
No attribute ever holds a password, a token or a URL with a query.
"""

from __future__ import annotations

from enum import Enum


class TileCacheError(Exception):
    """Root of all errors of this product."""


class AddressError(TileCacheError):
    """`address` is not that of a cache; `site_url` is set where it is that of a whole site."""

    def __init__(self, address: str, site_url: str | None = None) -> None:
        super().__init__(f"not the address of a cache: {address!r}")
        self.address = address
        self.site_url = site_url


class SiteError(TileCacheError):
    """Something between us and the site; `url` (without query) is what was asked for."""

    def __init__(self, url: str, text: str) -> None:
        super().__init__(f"{text}: {url}")
        self.url = url


class Unreachable(Enum):
    """Why no answer came."""

    NAME = "host name not found"
    REFUSED = "connection refused"
    TIMEOUT = "no answer in time"
    CERTIFICATE = "certificate not trusted"
    PROXY = "proxy failed"
    BROKEN = "connection broken"
    TOO_LARGE = "endless answer"


class SiteUnreachable(SiteError):
    """The site gave no answer."""

    def __init__(self, url: str, reason: Unreachable) -> None:
        super().__init__(url, reason.value)
        self.reason = reason


class NotArcGIS(SiteError):
    """An answer came, but not ArcGIS JSON: HTTP `status`, the answer's own `content_type`."""

    def __init__(self, url: str, status: int, content_type: str) -> None:
        super().__init__(
            url, f"HTTP {status}, {content_type or 'no content type'}, not ArcGIS JSON"
        )
        self.status = status
        self.content_type = content_type


class SiteRefused(SiteError):
    """The site's own error: `code` (None where it gave none), `message`, `details`, as sent."""

    def __init__(
        self, url: str, code: int | None, message: str, details: tuple[str, ...] = ()
    ) -> None:
        super().__init__(url, f"{code}: {message}")
        self.code = code
        self.message = message
        self.details = details


class NotFound(SiteRefused):
    """There is no such resource."""


class NotAllowed(SiteRefused):
    """This user has no right to it."""


class SignInNeeded(SiteRefused):
    """A token is missing (499, HTTP 401) or is not taken any more (498)."""


class SignInProblem(Enum):
    """Why nobody could be signed in."""

    REFUSED = "user name or password refused"
    NO_SERVICE = "no token service"
    OTHER_HOST = "token service on another host"
    NOT_ENCRYPTED = "token service not on https"
    WEB_SERVER = "the web server in front wants a sign-in of its own"


class SignInFailed(SiteError):
    """Nobody could be signed in at the site `url`; `detail`: its own message, or the other host."""

    def __init__(self, url: str, reason: SignInProblem, detail: str = "") -> None:
        super().__init__(url, f"sign-in failed, {reason.value} {detail}".rstrip())
        self.reason = reason
        self.detail = detail


class DescriptionError(TileCacheError):
    """`service` describes itself in a way that cannot be used: `key` is missing or wrong."""

    def __init__(self, service: str, key: str) -> None:
        super().__init__(f"{service}: unusable {key!r}")
        self.service = service
        self.key = key


class NotCached(TileCacheError):
    """`service` has no tile cache; `scheme_only` where it has a scheme but draws live."""

    def __init__(self, service: str, *, scheme_only: bool = False) -> None:
        super().__init__(f"{service} has no tile cache")
        self.service = service
        self.scheme_only = scheme_only


class Unavailable(Enum):
    """Why a cache cannot be managed."""

    NO_TOOLS = "the site has no caching services"
    SIGN_IN = "the site wants a sign-in for them"
    NO_RIGHT = "this user has no right to them"
    UNKNOWN_TASK = "the caching task lacks a parameter we need"


class CachingUnavailable(TileCacheError):
    """The site at `url` offers no way to manage its caches; `detail` names what is missing."""

    def __init__(self, url: str, reason: Unavailable, detail: str = "") -> None:
        super().__init__(f"{url}: {reason.value} {detail}".rstrip())
        self.url = url
        self.reason = reason
        self.detail = detail


class RequestError(TileCacheError):
    """What was asked cannot be done."""


class NoLevels(RequestError):
    """No scale was chosen."""


class UnknownScale(RequestError):
    """1:`scale` is none of the scales that can be asked for, which are `known` (denominators)."""

    def __init__(self, scale: float, known: tuple[float, ...]) -> None:
        super().__init__(f"no scale 1:{scale}")
        self.scale = scale
        self.known = known


class BadScales(RequestError):
    """`text` is not a list of scale denominators joined by semicolons."""

    def __init__(self, text: str) -> None:
        super().__init__(f"not a list of scales: {text!r}")
        self.text = text


class ServiceChanged(RequestError):
    """`service` has another tiling scheme by now than the one the request was made for."""

    def __init__(self, service: str) -> None:
        super().__init__(f"{service} has changed")
        self.service = service


class ModeNotOffered(RequestError):
    """`service` does not offer the update mode with keyword `mode`."""

    def __init__(self, service: str, mode: str) -> None:
        super().__init__(f"{service} does not offer {mode}")
        self.service = service
        self.mode = mode


class BadInstances(RequestError):
    """`instances` is neither -1 nor at least 1."""

    def __init__(self, instances: int) -> None:
        super().__init__(f"{instances} instances")
        self.instances = instances


class EmptyArea(RequestError):
    """The area of interest has no surface."""


class AreaOutside(RequestError):
    """The area of interest does not meet the cache of `service`."""

    def __init__(self, service: str) -> None:
        super().__init__(f"area outside {service}")
        self.service = service


class BadExtent(RequestError):
    """`text` is not four numbers `xmin ymin xmax ymax` with minima below maxima."""

    def __init__(self, text: str) -> None:
        super().__init__(f"not an extent: {text!r}")
        self.text = text


class BadAreaReason(Enum):
    """Why something cannot serve as an area of interest."""

    NO_POLYGONS = "no polygons"
    NOTHING_SELECTED = "no selected feature"
    NO_CRS = "no CRS"
    NOT_TRANSFORMABLE = "cannot be transformed into the cache's CRS"
    NO_LAYERS = "no layer with an extent"
    NO_OVERLAP = "the layers' extents do not overlap"


class BadArea(RequestError):
    """`name` (a layer, the canvas, the project) cannot serve as an area of interest."""

    def __init__(self, name: str, reason: BadAreaReason) -> None:
        super().__init__(f"{name}: {reason.value}")
        self.name = name
        self.reason = reason


class JobError(TileCacheError):
    """Something about the job at `job_url`."""

    def __init__(self, job_url: str, text: str) -> None:
        super().__init__(f"{text}: {job_url}")
        self.job_url = job_url


class JobFailed(JobError):
    """The job ended without success; `message`: the site's own reason, or its status."""

    def __init__(self, job_url: str, message: str) -> None:
        super().__init__(job_url, f"job failed ({message})")
        self.message = message


class JobSilent(JobError):
    """The site does not answer just now; it is asked again for up to `patience` seconds.

    `cause`: why there is no answer. Told while a job is followed, never raised.
    """

    def __init__(self, job_url: str, cause: SiteError, patience: float) -> None:
        super().__init__(job_url, f"no answer just now, asked again for {patience:.0f} s")
        self.cause = cause
        self.patience = patience


class JobLost(JobError):
    """The job could not be followed to its end; it may still be running.

    `cause`: the site's last error. `seconds`: for how long it had given no answer that counts; 0
    where it answered, but would not let us look (sign-in, rights) or knew no such job any more.
    """

    def __init__(self, job_url: str, cause: SiteError, seconds: float = 0.0) -> None:
        super().__init__(job_url, f"lost after {seconds:.0f} s without an answer")
        self.cause = cause
        self.seconds = seconds


class CancelUnconfirmed(JobError):
    """The site did not confirm the cancellation within `seconds`; the job may still be running."""

    def __init__(self, job_url: str, seconds: float) -> None:
        super().__init__(job_url, f"cancellation not confirmed in {seconds:.0f} s")
        self.seconds = seconds
