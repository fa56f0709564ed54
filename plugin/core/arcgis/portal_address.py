"""Addresses of portals and of their items, as people copy them from a browser's address bar.

Source: Esri, "Sharing content" and "Map Viewer URL parameters" (`home/item.html?id=`,
`home/webmap/viewer.html?layers=`, `apps/mapviewer/index.html?layers=`), and the REST reference
(`sharing/rest/content/items/<id>`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs

from ..errors import AddressError
from .address import origin_and_path, portal_path_of, public_address, sharing_url

_ITEM = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
_ITEM_PART = re.compile(r"/content/(?:users/[^/]+/(?:[^/]+/)?)?items/([^/]+)", re.IGNORECASE)
_SERVICES_PART = re.compile(r"/(rest|admin)/(admin/)?services(/|$)", re.IGNORECASE)
_ITEM_FIELDS = ("id", "layers", "webmap")


@dataclass(frozen=True)
class ItemAddress:
    """An item of the portal at `portal_url`, all before `/home` or `/sharing`."""

    portal_url: str
    item_id: str

    @property
    def page_url(self) -> str:
        """The page that shows people the item."""
        return f"{self.portal_url}/home/item.html?id={self.item_id}"

    @property
    def url(self) -> str:
        """The item itself, for programs."""
        return f"{sharing_url(self.portal_url)}/rest/content/items/{self.item_id}"


def portal_of(address: str) -> str | None:
    """The portal that `address` is of, or below, by its look; None where it is none, or no URL."""
    try:
        origin, path = origin_and_path(address)
    except AddressError:
        return None
    if _SERVICES_PART.search(path):
        return None
    portal_path = portal_path_of(origin, path)
    return None if portal_path is None else origin + portal_path


def item_of(address: str) -> ItemAddress | None:
    """The portal's item whose page, or map with it as a layer, is at `address`; None for others."""
    portal_url = portal_of(address)
    if portal_url is None:
        return None
    _origin, path = origin_and_path(address)
    named = _ITEM_PART.search(path)
    found = [named.group(1)] if named else _queried(address)
    ids = [each.lower() for each in found if _ITEM.fullmatch(each)]
    return ItemAddress(portal_url, ids[0]) if ids else None


def names_no_item(address: str) -> bool:
    """Whether it is the page of an item, or the item itself, with an id that is none."""
    portal_url = portal_of(address)
    if portal_url is None or item_of(address) is not None:
        return False
    _origin, path = origin_and_path(address)
    is_page = path.lower().endswith("/item.html")
    return bool(_ITEM_PART.search(path)) or (is_page and bool(_queried(address)))


def kept_address(address: str) -> str:
    """`address` as it may be written down: without secrets, an item's with the item's id."""
    item = item_of(address)
    return public_address(address) if item is None else item.page_url


def _queried(address: str) -> list[str]:
    """What the address says after `?` of items, and after `#` as the pages themselves do."""
    parts = re.split(r"[?#]", address.strip())
    found: list[str] = []
    for part in parts[1:]:
        try:
            fields = parse_qs(part)
        except ValueError:  # more fields than anybody sends
            continue
        for name in _ITEM_FIELDS:
            found += [each for value in fields.get(name, []) for each in value.split(",")]
    return found
