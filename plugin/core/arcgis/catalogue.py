"""Which services a site has: `rest/services` and its folders, which are one level deep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ..errors import SiteRefused
from ..esri_json import items, mapping, text
from .address import KINDS, folder_of, service_url, services_url, site_of
from .client import Client

_TOOL_FOLDERS = frozenset({"System", "Utilities"})
"""Folders that every server has and that hold no map of anybody's."""


@dataclass(frozen=True)
class ServiceEntry:
    """A map or image service of a site. `name`: `[Folder/]Name`; `kind`: MapServer, ImageServer."""

    name: str
    kind: str
    url: str


def list_services(address: str, client: Client) -> tuple[ServiceEntry, ...]:
    """Map and image services of the site at `address`, by name; of one folder where it names one.

    Folders that the site does not let this user see, or cannot list just now, are left out.
    Raises AddressError, SiteError.
    """
    site_url = site_of(address)
    root = services_url(site_url)
    folder = folder_of(address)
    listing = client.read(f"{root}/{folder}" if folder else root)
    entries = _entries(site_url, listing)
    for name in items(listing.get("folders")) if not folder else []:
        if text(name) and name not in _TOOL_FOLDERS:
            entries += _folder_entries(client, site_url, f"{root}/{quote(name)}")
    return tuple(sorted(set(entries), key=lambda entry: (entry.name.lower(), entry.kind)))


def _folder_entries(client: Client, site_url: str, url: str) -> list[ServiceEntry]:
    try:
        return _entries(site_url, client.read(url))
    except SiteRefused:
        return []


def _entries(site_url: str, listing: dict[str, Any]) -> list[ServiceEntry]:
    entries = []
    for item in items(listing.get("services")):
        name, kind = text(mapping(item).get("name")), text(mapping(item).get("type"))
        if name and kind in KINDS:
            # names in a folder's listing hold the folder already
            entries.append(ServiceEntry(name, kind, service_url(site_url, name, kind)))
    return entries
