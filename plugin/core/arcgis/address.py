"""Addresses of sites and services, taken apart and put together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from ..errors import AddressError

KINDS = ("MapServer", "ImageServer")
"""Service types that can have a tile cache of pictures."""

_SERVICES = "/rest/services"
_SERVICES_PART = re.compile(r"/rest/services(?=/|$)", re.IGNORECASE)
_USUAL_CONTEXT = "/arcgis"
_BELOW_CONTEXT = frozenset({"rest", "services", "admin", "manager", "tokens"})
"""What an ArcGIS Server has below its context."""
_USER_INFO = re.compile(r"^([^/]*//)?[^/]*@")
_WITHOUT_SCHEME = re.compile(r"(?=[^/]*[.:]|localhost)[\w.-]+(:\d+)?/\S", re.ASCII)
"""A host (with a dot, a port or of this computer) and a path."""
_SAFE_IN_PATH = "/%:@!$&'()*+,;=~"


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
    site_url, services, parts = _taken_apart(address)
    for index, part in enumerate(parts):
        kind = next((kind for kind in KINDS if kind.lower() == part.lower()), None)
        if kind and index:
            url = "/".join([site_url + services, *parts[:index], kind])
            name = "/".join(unquote(part) for part in parts[:index])
            return ServiceAddress(url, site_url, name, kind)
    raise AddressError(public_address(address), "/".join([site_url + _SERVICES, *_folder(parts)]))


def site_of(address: str) -> str:
    """All before `/rest/services` in `address`, of a site or below it. Raises AddressError."""
    return _taken_apart(address)[0]


def folder_of(address: str) -> str:
    """The folder that `address` is in, as it stands in URLs; "" for none. Raises AddressError."""
    return "".join(_folder(_taken_apart(address)[2]))


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


def public_address(address: str) -> str:
    """`address` without what can be secret in it: user name and password, query, fragment."""
    return _USER_INFO.sub(r"\1", re.split(r"[?#]", address.strip(), maxsplit=1)[0])


def _taken_apart(address: str) -> tuple[str, str, list[str]]:
    """The site's URL, `/rest/services` as the address spells it, and the parts behind it."""
    origin, path = _origin_and_path(address)
    found = _SERVICES_PART.search(path)
    if found is None:
        raise AddressError(public_address(address), _site_services(origin, path))
    parts = [part for part in path[found.end() :].split("/") if part]
    return origin + path[: found.start()], found.group(), parts


def _folder(parts: list[str]) -> list[str]:
    """The folder among the `parts` behind `/rest/services`; none for a service at the root."""
    at_root = len(parts) > 1 and parts[1].lower().endswith("server")
    return [] if at_root else parts[:1]


def _origin_and_path(address: str) -> tuple[str, str]:
    """Origin and path, the path escaped as it is sent. Raises AddressError.

    An address without a scheme, as people copy it from a browser's address bar, means https.
    """
    text = address.strip()
    if _WITHOUT_SCHEME.match(text):
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode("ascii")
    except ValueError:
        raise AddressError(public_address(address)) from None
    names = [unquote(part) for part in parts.path.split("/")]
    if (
        parts.scheme not in ("http", "https")
        or not host
        or port == 0
        or ".." in "/".join(names).split("/")
        or not (text + "".join(names)).replace(" ", "").isprintable()
        or " " in host
    ):
        raise AddressError(public_address(address))
    host = f"[{host}]" if ":" in host else host
    # rebuilt, so that a user name and password in front of the host go no further
    origin = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    return origin, quote(parts.path.rstrip("/"), safe=_SAFE_IN_PATH)


def _site_services(origin: str, path: str) -> str | None:
    """Where the catalogue should be, for an address without `/rest/services`; None for a page."""
    context = []
    for part in path.split("/")[1:]:
        if part.lower() in _BELOW_CONTEXT:
            break
        context.append(part)
    if any("." in part or part.lower() == "home" for part in context):
        return None
    return origin + ("/" + "/".join(context) if context else _USUAL_CONTEXT) + _SERVICES
