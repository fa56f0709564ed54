"""Addresses of sites and services, taken apart and put together.

Those of portals and their items are `portal_address`'s.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, unquote, urlsplit

from ..errors import AddressError

KINDS = ("MapServer", "ImageServer")
"""Service types that can have a tile cache of pictures."""

_SERVICES = "/rest/services"
_SERVICES_PART = re.compile(r"(/rest)(?:/admin)?(/services)(?=/|$)", re.IGNORECASE)
"""Of hosted services there is an administrator's twin, `/rest/admin/services`."""
_ADMIN_PART = re.compile(r"/admin/services(?=/|$)", re.IGNORECASE)
"""Of a server's own administrator, where a service is `[Folder/]Name.MapServer`."""
_USUAL_CONTEXT = "/arcgis"
_BELOW_CONTEXT = frozenset({"rest", "services", "admin", "manager", "tokens"})
"""What an ArcGIS Server has below its context."""
_PORTAL_PART = re.compile(r"/(home|sharing|apps)(?=/|$)", re.IGNORECASE)
"""What a portal has below its context: its pages, its resources, its map viewer and the like."""
_ONLINE_HOSTS = frozenset({"www.arcgis.com", "arcgis.com"})
_USER_INFO = re.compile(r"^([^/]*//)?[^/]*@")
_WITHOUT_SCHEME = re.compile(r"(?=[^/]*[.:]|localhost)[\w.-]+(:\d+)?/\S", re.ASCII)
"""A host (with a dot, a port or of this computer) and a path."""
_PLAIN_ORIGIN = re.compile(r"(https?)://([a-z0-9.-]+)(?::([0-9]{1,4}|[1-5][0-9]{4}))?/")
"""Of addresses that nobody can read in two ways."""
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

    Also by the address under which it is administered, and by that of a map that shows it
    (`...?url=`). Raises AddressError, its `site_url` set where the text names a site or a folder of
    one, or a portal.
    """
    site_url, services, parts = _taken_apart(_shown_in_map(address))
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


def sharing_url(portal_url: str) -> str:
    """What comes before `/rest` in the addresses of the portal's own resources."""
    return f"{portal_url}/sharing"


def portal_path_of(origin: str, path: str) -> str | None:
    """The path of the portal that an address is of, or below; None where it is none by its look.

    Enterprise portals are where somebody has put them: their pages and resources tell. ArcGIS
    Online is at the root of `www.arcgis.com` and of each organization's `*.maps.arcgis.com`.
    """
    found = _PORTAL_PART.search(path)
    if found is not None:
        return path[: found.start()]
    host = urlsplit(origin).hostname or ""
    if host in _ONLINE_HOSTS or host.endswith(".maps.arcgis.com"):
        return ""
    return path if path.lower().endswith("/portal") else None


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of `url`: where a secret may be sent is decided by these.

    Raises ValueError where `url` is none, or one that is read in two ways: for some, a backslash
    ends the host's part, for others it is in front of an `@`.
    """
    plain = _PLAIN_ORIGIN.match(url)
    if plain is not None:  # as nearly all are: asked for each tile, and more than once
        scheme, host, number = plain.groups()
        return scheme, host, int(number or 0) or (443 if scheme == "https" else 80)
    parts = urlsplit(url)
    if "\\" in parts.netloc:
        raise ValueError("backslash")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, (parts.hostname or "").lower(), port


def public_address(address: str) -> str:
    """`address` without what can be secret in it: user name and password, query, fragment."""
    return _USER_INFO.sub(r"\1", re.split(r"[?#]", address.strip(), maxsplit=1)[0])


def _taken_apart(address: str) -> tuple[str, str, list[str]]:
    """The site's URL, `/rest/services` as the address spells it, and the parts behind it."""
    origin, path = origin_and_path(address)
    found = _SERVICES_PART.search(path)
    if found is not None:
        parts = [part for part in path[found.end() :].split("/") if part]
        return origin + path[: found.start()], found.group(1) + found.group(2), parts
    found = _ADMIN_PART.search(path)
    if found is None:
        raise AddressError(public_address(address), _site_services(origin, path))
    parts = [part for part in path[found.end() :].split("/") if part]
    return origin + path[: found.start()], _SERVICES, _as_in_catalogue(parts)


def _as_in_catalogue(parts: list[str]) -> list[str]:
    """`parts` behind an administrator's `/admin/services`: `Name.MapServer` is two of them."""
    for index, part in enumerate(parts[:2]):
        name, _dot, kind = part.rpartition(".")
        if name and kind.lower().endswith("server"):
            return [*parts[:index], name, kind]
    return parts


def _shown_in_map(address: str) -> str:
    """The address of the service in that of a map viewer, `...?url=`; any other as it is."""
    before, _mark, query = address.partition("?")
    if not query or "/rest/" in before.lower():
        return address
    try:
        shown = parse_qs(query.partition("#")[0]).get("url", [""])[0]
    except ValueError:  # more fields than anybody sends
        return address
    return shown if _SERVICES_PART.search(shown) else address


def _folder(parts: list[str]) -> list[str]:
    """The folder among the `parts` behind `/rest/services`; none for a service at the root."""
    at_root = len(parts) > 1 and parts[1].lower().endswith("server")
    return [] if at_root else parts[:1]


def origin_and_path(address: str) -> tuple[str, str]:
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
    """Where the catalogue should be, for an address without `/rest/services`; None for a page.

    For that of a portal or below it, where its own resources are.
    """
    portal_path = portal_path_of(origin, path)
    if portal_path is not None:
        return sharing_url(origin + portal_path) + "/rest"
    context = []
    for part in path.split("/")[1:]:
        if part.lower() in _BELOW_CONTEXT:
            break
        context.append(part)
    if any("." in part for part in context):
        return None
    return origin + ("/" + "/".join(context) if context else _USUAL_CONTEXT) + _SERVICES
