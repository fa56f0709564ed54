"""Errors about sites, and the services on them."""

from __future__ import annotations

from enum import Enum

from .root import TileCacheError


class AddressError(TileCacheError):
    """`address` is not that of a cache; `site_url` is set where it is that of a whole site.

    `names_item`: it is that of a portal's item, with an id that is none.
    """

    def __init__(
        self, address: str, site_url: str | None = None, *, names_item: bool = False
    ) -> None:
        super().__init__(f"not the address of a cache: {address!r}")
        self.address = address
        self.site_url = site_url
        self.names_item = names_item


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
    CLIENT_CERTIFICATE = "a certificate of the client's own is wanted"
    PROXY = "proxy failed"
    BROKEN = "connection broken"
    TOO_LARGE = "endless answer"
    SILENT = "no answer any more"


class SiteUnreachable(SiteError):
    """The site gave no answer."""

    def __init__(self, url: str, reason: Unreachable) -> None:
        super().__init__(url, reason.value)
        self.reason = reason


class SiteSilent(SiteError):
    """The site gives no answer just now; it is asked again for up to `patience` seconds.

    `cause`: why there is none. Told while something is got from it, never raised.
    """

    def __init__(self, url: str, cause: SiteError, patience: float) -> None:
        super().__init__(url, f"no answer just now, asked again for {patience:.0f} s")
        self.cause = cause
        self.patience = patience


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
    """A token is missing (499, HTTP 401) or is not taken any more (498).

    `schemes`: where it is the web server in front that wants a sign-in (HTTP 401), the ways that it
    offers: Basic, Digest, Kerberos, Negotiate, NTLM.
    """

    def __init__(
        self,
        url: str,
        code: int | None,
        message: str,
        details: tuple[str, ...] = (),
        schemes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(url, code, message, details)
        self.schemes = schemes


class SignInProblem(Enum):
    """Why nobody could be signed in."""

    REFUSED = "user name or password refused"
    NO_SERVICE = "no token service"
    OTHER_HOST = "token service on another host"
    NOT_ENCRYPTED = "token service not on https"
    WEB_SERVER = "the web server in front wants a sign-in of its own"
    NOTHING_GIVEN = "the program that keeps the token fresh gave none"


class SignInFailed(SiteError):
    """Nobody could be signed in at the site `url`; `detail`: its own message, or the other host.

    Of NOTHING_GIVEN, `url` is where tokens are got ("" where that is not known), `detail` the name
    of the sign-in details.

    `portal_url`: where the site belongs to a portal that the person has not trusted with the
    password yet, the portal's address.
    """

    def __init__(
        self, url: str, reason: SignInProblem, detail: str = "", portal_url: str = ""
    ) -> None:
        super().__init__(url, f"sign-in failed, {reason.value} {detail}".rstrip())
        self.reason = reason
        self.detail = detail
        self.portal_url = portal_url


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


class ItemUnusable(TileCacheError):
    """The portal's item at `url`, called `name`, is no map or image service; `kind` is its type."""

    def __init__(self, url: str, name: str, kind: str) -> None:
        super().__init__(f"{url}: {kind} {name!r} is no service")
        self.url = url
        self.name = name
        self.kind = kind


class ItemElsewhere(TileCacheError):
    """The service of the portal's item at `url`, called `name`, is on a site not of that portal.

    Or that of the map at `url` (then `name` is "") is on another host. So what a person signs in
    with does not go there. `service_url`: the service.
    """

    def __init__(self, url: str, name: str, service_url: str) -> None:
        super().__init__(f"{url}: the service of {name!r} is elsewhere, {service_url}")
        self.url = url
        self.name = name
        self.service_url = service_url
