"""Which services a site has: `rest/services` and its folders, which are one level deep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from ..errors import AddressError, SiteRefused
from ..esri_json import JsonObject, items, mapping, text
from .address import KINDS, folder_of, service_of, service_url, services_url, site_of
from .client import Client

MOST_FOLDERS = 1000
"""Nobody has more folders than that, and each is a request."""

_TOOL_FOLDERS = frozenset({"System", "Utilities"})
"""Folders that every server has and that hold no map of anybody's."""
_LONGEST_NAME = 512
"""Letters; a name is put into a URL, and no server makes longer ones."""


@dataclass(frozen=True)
class ServiceEntry:
    """A map or image service of a site. `name`: `[Folder/]Name`; `kind`: MapServer, ImageServer."""

    name: str
    kind: str
    url: str


@dataclass(frozen=True)
class FolderListing:
    """What a site, or a folder of it, holds: `folders` by name, map and image services by name."""

    folders: tuple[str, ...]
    services: tuple[ServiceEntry, ...]


def list_folder(address: str, client: Client) -> FolderListing:
    """What the site or the folder at `address` lists.

    Left out: folders of tools, services of other kinds, and names that are none (a site may say
    anything), so that each URL given is of that very service. Raises AddressError, SiteError.
    """
    site_url = site_of(address)
    folder = folder_of(address)
    root = services_url(site_url)
    listing = client.read(f"{root}/{folder}" if folder else root)
    names = items(listing.get("folders")) if not folder else []
    folders = {text(name) for name in names if _is_folder(text(name))}
    services = set(_entries(site_url, listing))
    return FolderListing(
        tuple(sorted(folders, key=str.lower)),
        tuple(sorted(services, key=lambda entry: (entry.name.lower(), entry.kind))),
    )


def folder_url(site_url: str, name: str) -> str:
    """The catalogue of folder `name` of the site; of the site itself where that is ""."""
    return f"{services_url(site_url)}/{quote(name)}" if name else services_url(site_url)


def list_services(
    address: str, client: Client, stopped: Callable[[], bool] = lambda: False
) -> tuple[ServiceEntry, ...]:
    """Map and image services of the site at `address`, by name; of one folder where it names one.

    Folders that the site does not let this user see, or cannot list just now, are left out, and
    those behind the first MOST_FOLDERS. Once `stopped`, no other folder is asked for.
    Raises AddressError, SiteError.
    """
    root = list_folder(address, client)
    found = set(root.services)
    for name in root.folders[:MOST_FOLDERS]:
        if stopped():
            break
        try:
            found.update(list_folder(folder_url(site_of(address), name), client).services)
        except SiteRefused:
            continue
    return tuple(sorted(found, key=lambda entry: (entry.name.lower(), entry.kind)))


def _entries(site_url: str, listing: JsonObject) -> list[ServiceEntry]:
    entries = []
    for item in items(listing.get("services")):
        # names in a folder's listing hold the folder already
        name, kind = text(mapping(item).get("name")), text(mapping(item).get("type"))
        if kind in KINDS and _is_name(name):
            url = service_url(site_url, name, kind)
            if _names(url, name, kind):
                entries.append(ServiceEntry(name, kind, url))
    return entries


def _is_folder(name: str) -> bool:
    return _is_name(name) and "/" not in name and name not in _TOOL_FOLDERS


def _is_name(name: str) -> bool:
    """Whether `name` is `[Folder/]Name`, also for servers that take escapes in it apart twice."""
    if not 0 < len(name) <= _LONGEST_NAME:
        return False
    for spelled in (name, unquote(name), unquote(unquote(name))):
        parts = spelled.split("/")
        is_odd = not spelled.isprintable() or "\\" in spelled
        if is_odd or len(parts) > 2 or any(part.strip(" .") == "" for part in parts):
            return False
        if spelled.count("/") != name.count("/"):
            return False
    return True


def _names(url: str, name: str, kind: str) -> bool:
    """Whether `url` is of that service, when it is taken apart again."""
    try:
        service = service_of(url)
    except AddressError:
        return False
    return (service.name, service.kind) == (name, kind)
