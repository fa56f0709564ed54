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
    │  ├─ EmptyArea · AreaOutside · BadExtent · BadArea
    │  └─ BadScheme · BadCacheOption · NothingToResume
    ├─ StorageError                 a cache on this computer
    │  ├─ NotACache                 no cache lies there
    │  ├─ DamagedCache              its files, or one of them, cannot be used
    │  ├─ HostileFile               a file made to do harm, or to look so
    │  ├─ ReadOnlyCache · CacheInUse · DiskFull · TargetExists · TargetProblem · TileTooLarge
    ├─ SourceError                  what a cache is drawn from
    │  ├─ NothingToDraw             no layer, no such theme, no such file
    │  ├─ LayerFailed               a layer could not be drawn
    │  └─ FormatNotDrawn            the cache's tiles are in a format that cannot be drawn
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


class BadSchemeReason(Enum):
    """Why something gives no tiling scheme."""

    MISSING = "nothing there that has a tiling scheme"
    NO_LEVELS = "no scales"
    NO_CRS = "no CRS"
    NOT_MBTILES = "MBTiles hold Web Mercator tiles of the standard scales only"
    TOO_FINE = "more tiles than a cache can number"


class BadScheme(RequestError):
    """`name` (a path, a URL, the project) gives no tiling scheme that can be used, for `reason`."""

    def __init__(self, name: str, reason: BadSchemeReason) -> None:
        super().__init__(f"{name}: {reason.value}")
        self.name = name
        self.reason = reason


class BadCacheOption(RequestError):
    """`value` cannot be taken for `option` (its Processing keyword); `allowed` says what can."""

    def __init__(self, option: str, value: str, allowed: str) -> None:
        super().__init__(f"{option}: {value!r}, not {allowed}")
        self.option = option
        self.value = value
        self.allowed = allowed


class NothingToResume(RequestError):
    """The cache at `path` has no unfinished update, or no failed tiles, to go on with."""

    def __init__(self, path: str) -> None:
        super().__init__(f"nothing to resume: {path}")
        self.path = path


class StorageError(TileCacheError):
    """Something about the cache, or a file of it, at `path` on this computer."""

    def __init__(self, path: str, text: str) -> None:
        super().__init__(f"{text}: {path}")
        self.path = path


class NotACacheReason(Enum):
    """Why something is no cache."""

    MISSING = "no such file or folder"
    NO_SCHEME = "no conf.xml or root.json"
    UNKNOWN_FILE = "not a format of caches"
    NOT_READABLE = "it may not be read"
    VECTOR = "vector tiles"
    SEVERAL = "several caches lie below it"


class NotACache(StorageError):
    """There is no cache at `path`, for `reason`."""

    def __init__(self, path: str, reason: NotACacheReason) -> None:
        super().__init__(path, reason.value)
        self.reason = reason


class DamagedCache(StorageError):
    """The file at `path` is damaged: `detail` says how, in a few words for experts."""

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(path, f"damaged, {detail}")
        self.detail = detail


class HostileFile(StorageError):
    """The file at `path` holds what no honest one does: `detail` says what."""

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(path, f"hostile, {detail}")
        self.detail = detail


class ReadOnlyReason(Enum):
    """Why a cache cannot be written."""

    FORMAT = "the format is read only"
    RIGHTS = "no right to write"


class ReadOnlyCache(StorageError):
    """The cache at `path` cannot be written, for `reason`."""

    def __init__(self, path: str, reason: ReadOnlyReason) -> None:
        super().__init__(path, reason.value)
        self.reason = reason


class CacheInUse(StorageError):
    """Another program holds the file at `path`."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "in use")


class DiskFull(StorageError):
    """Too little room at `path`: `needed` and `free` in bytes, None where not known."""

    def __init__(self, path: str, needed: int | None = None, free: int | None = None) -> None:
        super().__init__(path, f"disk full, {needed} needed, {free} free")
        self.needed = needed
        self.free = free


class TargetExists(StorageError):
    """Something is at `path` already where a new cache was to be made."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "exists already")


class TargetProblem(StorageError):
    """Nothing can be written at `path`: `detail` is what the system says."""

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(path, f"cannot be written, {detail}")
        self.detail = detail


class TileTooLarge(StorageError):
    """A tile of `size` bytes is more than the format at `path` can hold."""

    def __init__(self, path: str, size: int) -> None:
        super().__init__(path, f"tile of {size} bytes")
        self.size = size


class SourceError(TileCacheError):
    """Something about `name`, what a cache is drawn from; `text` says what, for experts."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text


class NothingToDrawReason(Enum):
    """Why a source has nothing to draw."""

    NO_SOURCE = "nothing was chosen to draw from"
    NO_LAYERS = "no layers"
    NO_THEME = "no such map theme"
    NO_LAYER = "no such layer"
    NO_FILE = "no such file"
    UNUSABLE = "it cannot be opened"
    SAME_CACHE = "it is the cache itself"
    NO_CRS = "no CRS"


class NothingToDraw(SourceError):
    """The source `name` has nothing to draw, for `reason`."""

    def __init__(self, name: str, reason: NothingToDrawReason) -> None:
        super().__init__(name, reason.value)
        self.reason = reason


class LayerFailed(SourceError):
    """Layer `name` could not be drawn: `detail` is its own message."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(name, f"could not be drawn, {detail}")
        self.detail = detail


class FormatNotDrawn(SourceError):
    """The cache's tiles are `image_format`, which `name` cannot draw."""

    def __init__(self, name: str, image_format: str) -> None:
        super().__init__(name, f"cannot draw {image_format}")
        self.image_format = image_format


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
