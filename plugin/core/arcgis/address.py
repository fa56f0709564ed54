"""Addresses of sites and services, taken apart and put together."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from ..errors import AddressError

KINDS = ("MapServer", "ImageServer")
"""Service types that can have a tile cache of pictures."""

_SERVICES = "/rest/services"
_USUAL_CONTEXT = "/arcgis"


@dataclass(frozen=True)
class ServiceAddress:
    """A map or image service.

    `url`: of its root, without query. `site_url`: all before `/rest/services`; the context
    (`/arcgis`, `/server` ...) is the site's own choice. `name`: `[Folder/]Name`.
    """

    url: str
    site_url: str
    name: str
    kind: str

    @property
    def caching_name(self) -> str:
        """How the caching tasks call it: `[Folder/]Name:MapServer`."""
        return f"{self.name}:{self.kind}"


def service_of(address: str) -> ServiceAddress:
    """The service that `address` names; what follows its root (a layer, a tile) is left off.

    Raises AddressError, its `site_url` set where the text names a site or a folder of one.
    """
    origin, path = _origin_and_path(address)
    at = path.lower().find(_SERVICES)
    if at < 0:
        raise AddressError(address, _site_services(origin, path))
    site_url = origin + path[:at]
    parts = [part for part in path[at + len(_SERVICES) :].split("/") if part]
    for index, part in enumerate(parts):
        kind = next((kind for kind in KINDS if kind.lower() == part.lower()), None)
        if kind and index:
            services = path[at : at + len(_SERVICES)]
            url = "/".join([site_url + services, *parts[:index], kind])
            name = "/".join(unquote(part) for part in parts[:index])
            return ServiceAddress(url, site_url, name, kind)
    raise AddressError(address, "/".join([site_url + _SERVICES, *parts[:1]]))


def site_of(address: str) -> str:
    """All before `/rest/services` in `address`, of a site or below it. Raises AddressError."""
    origin, path = _origin_and_path(address)
    at = path.lower().find(_SERVICES)
    if at < 0:
        raise AddressError(address, _site_services(origin, path))
    return origin + path[:at]


def services_url(site_url: str) -> str:
    """Root of the catalogue of the site at `site_url`."""
    return site_url + _SERVICES


def service_url(site_url: str, name: str, kind: str) -> str:
    """Root of service `name` (`[Folder/]Name`) of type `kind`."""
    return f"{services_url(site_url)}/{quote(name)}/{kind}"


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of `url`: where a secret may be sent is decided by these."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, (parts.hostname or "").lower(), port


def _origin_and_path(address: str) -> tuple[str, str]:
    text = address.strip()
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise AddressError(address) from None
    readable = unquote(parts.path)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AddressError(address)
    if ".." in readable.split("/") or any(ord(character) < 32 for character in readable):
        raise AddressError(address)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    # rebuilt, so that a user name and password in front of the host go no further
    return f"{parts.scheme}://{host}" + (f":{port}" if port else ""), parts.path.rstrip("/")


def _site_services(origin: str, path: str) -> str:
    """Where the catalogue should be, for an address that stops before `/rest/services`."""
    context = path[: -len("/rest")] if path.lower().endswith("/rest") else path
    return origin + (context or _USUAL_CONTEXT) + _SERVICES
