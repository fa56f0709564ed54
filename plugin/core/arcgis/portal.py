"""What a portal (ArcGIS Online, ArcGIS Enterprise) says of itself and of its items.

Source: Esri REST reference, "Users, groups, and items": Portal Self, Search, Item, Generate Token;
and recordings of a real portal. A Client that speaks to a portal is made with
`sharing_url(portal_url)`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from urllib.parse import urlsplit, urlunsplit

from ..errors import AddressError, ItemUnusable, NotArcGIS, NotFound, SiteRefused
from ..esri_json import JsonObject, items, mapping, number, text, whole
from .address import ServiceAddress, service_of, sharing_url
from .client import Client
from .portal_address import ItemAddress

ITEM_KINDS: Mapping[str, str] = {"Map Service": "MapServer", "Image Service": "ImageServer"}
"""Kinds of items that can have a tile cache of pictures, and what their services are."""
PAGE_SIZE = 50
"""So many items are asked for at once; portals give no more than 100."""

_HOSTED = "Hosted Service"
_NO_ITEM = 400
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_USER = re.compile(r"[^\s\"\\]{1,256}")
_OPERATORS = frozenset({"AND", "OR", "NOT"})
_NO_LETTERS = re.compile(r"[^\w.@'-]+")
_USUAL_PORTS = (None, 80, 443, 6080, 6443)
"""Of web servers and of ArcGIS Server."""
_EXCHANGE_MINUTES = 60
_LONGEST_LINE = 500


class Scope(Enum):
    """Whose items are searched."""

    OWN = "own"
    ORGANIZATION = "organization"
    ALL = "all"


@dataclass(frozen=True)
class Portal:
    """A portal, the `id` of the organization it is seen by, and who is signed in there: `user`.

    "" where there is none.
    """

    url: str
    name: str
    id: str = ""
    user: str = ""

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """What can be searched here."""
        own = (Scope.OWN,) if self.user else ()
        return (*own, *((Scope.ORGANIZATION,) if self.id else ()), Scope.ALL)


@dataclass(frozen=True)
class PortalItem:
    """An item. `kind`: the portal's word; `url`: of its service; `modified`: seconds since 1970."""

    address: ItemAddress
    title: str
    kind: str
    owner: str = ""
    url: str = ""
    is_hosted: bool = False
    modified: float | None = None


@dataclass(frozen=True)
class SearchPage:
    """Map and image services found; of `total` items, in all pages. `next_start`: None at the end.

    `items` can be fewer than the page has: those without a usable service are left out.
    """

    items: tuple[PortalItem, ...]
    total: int
    next_start: int | None


def about(portal_url: str, client: Client) -> Portal:
    """What the portal at `portal_url` says of itself. Raises SiteError."""
    url = f"{sharing_url(portal_url)}/rest/portals/self"
    body = client.read(url)
    if not any(key in body for key in ("id", "isPortal", "portalHostname", "name")):
        raise NotArcGIS(url, 200, "no portal")
    portal_id, user = text(body.get("id")), text(mapping(body.get("user")).get("username"))
    return Portal(
        portal_url,
        _line(body.get("name")) or _line(body.get("portalName")),
        portal_id if _ID.fullmatch(portal_id) else "",
        user if _USER.fullmatch(user) else "",
    )


def search(
    portal: Portal, client: Client, words: str = "", scope: Scope = Scope.ALL, start: int = 1
) -> SearchPage:
    """Map and image services among the portal's items, by title, from number `start` (1 ...) on.

    `words`: all of them must be found in an item; "" for every item. Raises SiteError.
    """
    asked = {
        "q": _query(portal, words, scope),
        "start": str(start),
        "num": str(PAGE_SIZE),
        "sortField": "title",
        "sortOrder": "asc",
    }
    body = client.read(f"{sharing_url(portal.url)}/rest/search", asked)
    results = items(body.get("results"))
    found = [_usable(_item(portal.url, mapping(each))) for each in results]
    next_start = whole(body.get("nextStart"))
    # what does not go forward would never end
    goes_on = next_start is not None and next_start > start and bool(results)
    return SearchPage(
        tuple(each for each in found if each is not None),
        max(whole(body.get("total")) or 0, 0),
        next_start if goes_on else None,
    )


def item(address: ItemAddress, client: Client) -> PortalItem:
    """The item at `address`, of whatever kind. Raises SiteError, ItemUnusable.

    NotFound where there is none, or none for the person who is signed in: portals call that a bad
    request.
    """
    try:
        body = client.read(address.url)
    except SiteRefused as error:
        if error.code != _NO_ITEM:
            raise
        raise NotFound(address.page_url, error.code, error.message, error.details) from None
    found = _item(address.portal_url, {**body, "id": address.item_id})
    if found is None:
        raise ItemUnusable(address.page_url, "", "")
    return found


def service_of_item(found: PortalItem) -> ServiceAddress:
    """The service that the item is of. Raises ItemUnusable.

    One on the portal's own host is asked as the portal is, by https, though old items say http.
    """
    page = found.address.page_url
    if found.kind not in ITEM_KINDS:
        raise ItemUnusable(page, found.title, found.kind)
    try:
        service = service_of(_encrypted(found.url, found.address.portal_url))
    except AddressError:
        raise ItemUnusable(page, found.title, found.kind) from None
    if service.kind != ITEM_KINDS[found.kind]:
        raise ItemUnusable(page, found.title, found.kind)
    return service


def vouches_for(portal_url: str, service: ServiceAddress, client: Client) -> bool:
    """Whether the site of `service` may be given the sign-in that the portal was given.

    It may where it is on the portal's host, at a port that not anybody there could take, or where
    both are Esri's own, and where the portal gives a token for it, which it does for its federated
    servers alone. Else anybody who can share an item could collect sign-ins. `client`: signed in at
    the portal. Raises SiteError.
    """
    portal, site = urlsplit(portal_url), urlsplit(service.site_url)
    if portal.scheme == "https" and site.scheme != "https":
        return False
    are_esri = site.scheme == "https" and _is_esri(portal_url) and _is_esri(service.site_url)
    is_beside = portal.hostname == site.hostname and site.port in (portal.port, *_USUAL_PORTS)
    if is_beside or are_esri:
        return True
    asked = {
        "request": "getToken",
        "serverUrl": service.site_url,
        "expiration": str(_EXCHANGE_MINUTES),
    }
    url = f"{sharing_url(portal_url)}/rest/generateToken"
    try:
        answer = client.submit(url, asked, repeatable=True)
    except SiteRefused:
        return False
    return bool(text(answer.get("token")))


def _item(portal_url: str, body: JsonObject) -> PortalItem | None:
    item_id = text(body.get("id"))
    if not _ID.fullmatch(item_id):
        return None
    modified = number(body.get("modified"))
    keywords = items(body.get("typeKeywords"))
    return PortalItem(
        ItemAddress(portal_url, item_id),
        _line(body.get("title")) or _line(body.get("name")) or item_id,
        text(body.get("type")),
        _line(body.get("owner")),
        text(body.get("url")),
        _HOSTED in keywords,
        None if modified is None else modified / 1000,
    )


def _line(value: object) -> str:
    """A text as one line of letters that can be seen, where it is very long its beginning."""
    letters = text(value)[:_LONGEST_LINE]
    return " ".join("".join(each if each.isprintable() else " " for each in letters).split())


def _usable(found: PortalItem | None) -> PortalItem | None:
    """The item with the address of its service as that is asked; None where it has none."""
    if found is None:
        return None
    try:
        return replace(found, url=service_of_item(found).url)
    except ItemUnusable:
        return None


def _query(portal: Portal, words: str, scope: Scope) -> str:
    """The search in the portal's own language; `words` stay words, whatever is among them."""
    kinds = " OR ".join(f'type:"{kind}"' for kind in ITEM_KINDS)
    parts = [f"({kinds})"]
    if scope is Scope.OWN and portal.user:
        parts.append(f'owner:"{portal.user}"')
    elif scope is Scope.ORGANIZATION and portal.id:
        parts.append(f"orgid:{portal.id}")
    typed = [each.strip(".-'") for each in _NO_LETTERS.sub(" ", words).split()]
    parts += [each.lower() if each in _OPERATORS else each for each in typed if each]
    return " AND ".join(parts)


def _encrypted(url: str, portal_url: str) -> str:
    """`url` by https where it is by http, on the default port of the host of a portal by https."""
    try:
        parts, portal = urlsplit(url), urlsplit(portal_url)
        is_same = parts.hostname == portal.hostname or (_is_esri(url) and _is_esri(portal_url))
        has_port = parts.port not in (None, 80)
    except ValueError:
        return url
    if parts.scheme != "http" or portal.scheme != "https" or not is_same or has_port:
        return url
    return urlunsplit(parts._replace(scheme="https", netloc=parts.hostname or ""))


def _is_esri(url: str) -> bool:
    parts = urlsplit(url)
    return (parts.hostname or "").endswith(".arcgis.com")
