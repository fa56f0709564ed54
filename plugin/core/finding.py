"""Finding a service: what a site lists, what a portal has among its items, which one is meant."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any, Union
from urllib.parse import urlsplit

from .arcgis import catalogue, portal
from .arcgis.address import (
    ServiceAddress,
    origin_and_path,
    origin_of,
    public_address,
    service_of,
    sharing_url,
    site_of,
)
from .arcgis.catalogue import FolderListing, ServiceEntry
from .arcgis.client import Client
from .arcgis.credentials import SignIn
from .arcgis.portal import Portal, Scope, SearchPage
from .arcgis.portal_address import ItemAddress, names_no_item, portal_of
from .arcgis.transport import RequestsTransport, Transport
from .arcgis.trust import both_online
from .errors import (
    AddressError,
    ItemElsewhere,
    NotArcGIS,
    NotFound,
    SignInFailed,
    SignInNeeded,
    SignInProblem,
    SiteRefused,
)

MOST_ITEMS = 300
"""So many of a portal's items are listed where nobody searched."""
MOST_PAGES = 20
"""So often more of them are asked for; of items that are no services, there may be any number."""

Cancelled = Callable[[], bool]
Found = Union[FolderListing, Portal]


class Finder:
    """Looks for services at `address`: of a site, a folder of one, or a portal.

    One client, so one sign-in, for all that is asked. The methods block; several threads may call
    them once `open` has answered. After `stop`, until `go_on`, and once `cancelled`, what fails is
    not repeated.
    """

    def __init__(
        self,
        address: str,
        sign_in: SignIn | None = None,
        transport: Transport | None = None,
        cancelled: Cancelled = lambda: False,
    ) -> None:
        self._address = address
        self._sign_in = sign_in
        self._transport = transport or RequestsTransport()
        self._cancelled = cancelled
        self._stopped = threading.Event()
        self._site_url = ""
        self._client: Client | None = None

    def stop(self) -> None:
        """Nobody waits for answers any more."""
        self._stopped.set()

    def go_on(self) -> None:
        """Somebody waits for answers again."""
        self._stopped.clear()

    @property
    def is_stopped(self) -> bool:
        """Whether nobody waits any more."""
        return self._stopped.is_set() or self._cancelled()

    def open(self) -> Found:
        """See what is there: what the site or folder lists, or which portal it is.

        Of an address that tells neither, a site is looked for first. Raises AddressError,
        SiteError; ItemElsewhere as `service_at` does.
        """
        portal_url = portal_of(self._address)
        if portal_url is not None:
            if names_no_item(self._address):
                raise AddressError(public_address(self._address), names_item=True)
            return self._open_portal(portal_url)
        catalogue_url = self._catalogue()
        try:
            return self._open_site(catalogue_url)
        except (NotArcGIS, NotFound, SignInFailed) as error:
            if isinstance(error, SignInFailed) and error.reason is not SignInProblem.NO_SERVICE:
                raise
            portal_url = self._portal_instead(site_of(catalogue_url))
            if portal_url is None:
                raise
        return self._open_portal(portal_url)

    def list_folder(self, name: str) -> FolderListing:
        """What folder `name` of the opened site lists. Raises SiteError."""
        url = catalogue.folder_url(self._site_url, name)
        return catalogue.list_folder(url, self._opened())

    def search(self, of: Portal, words: str, scope: Scope, start: int = 1) -> SearchPage:
        """Services among the items of the opened portal, see `portal.search`. Raises SiteError."""
        return portal.search(of, self._opened(), words, scope, start)

    def list_services(self) -> tuple[ServiceEntry, ...]:
        """All services of the site or folder; of a portal the first ones by title.

        Of a portal those of the person who is signed in, where there are any; else those of the
        organization, else all. Raises as `open` does.
        """
        found = self.open()
        if isinstance(found, Portal):
            return self._items(found)
        return catalogue.list_services(self._catalogue(), self._opened(), lambda: self.is_stopped)

    def _items(self, found: Portal) -> tuple[ServiceEntry, ...]:
        for scope in found.scopes:
            entries = self._entries(found, scope)
            if entries or self.is_stopped:
                return entries
        return ()

    def _entries(self, found: Portal, scope: Scope) -> tuple[ServiceEntry, ...]:
        entries: list[ServiceEntry] = []
        start: int | None = 1
        for _ in range(MOST_PAGES):
            if start is None or len(entries) >= MOST_ITEMS or self.is_stopped:
                break
            page = self.search(found, "", scope, start)
            for each in page.items:
                kind = portal.ITEM_KINDS[each.kind]
                entries.append(ServiceEntry(each.title, kind, each.address.page_url))
            start = page.next_start
        return tuple(entries)

    def _catalogue(self) -> str:
        """The catalogue that the address is of. Raises AddressError, ItemElsewhere."""
        with suppress(AddressError):
            service_at(self._address, self._sign_in)
        return catalogue_of(self._address)

    def _open_site(self, catalogue_url: str) -> FolderListing:
        self._site_url = site_of(catalogue_url)
        self._client = self._made_client(self._site_url, self._sign_in)
        return catalogue.list_folder(catalogue_url, self._client)

    def _open_portal(self, portal_url: str) -> Portal:
        self._client = self._made_client(sharing_url(portal_url), self._sign_in)
        return portal.about(portal_url, self._client)

    def _portal_instead(self, site_url: str) -> str | None:
        """The portal that is where a site was looked for in vain, or at its usual place there.

        Asked in nobody's name, which portals allow unless the web server in front does not. Only
        where the address does not itself say that it is of a site.
        """
        if "/services" in urlsplit(self._address).path.lower():
            return None
        parts = urlsplit(site_url)
        for url in dict.fromkeys((site_url, f"{parts.scheme}://{parts.netloc}/portal")):
            client = self._made_client(sharing_url(url), None)
            try:
                if "authInfo" in client.read(f"{sharing_url(url)}/rest/info"):
                    return url
            except SignInNeeded as error:
                if error.schemes:
                    return url
            except (NotArcGIS, SiteRefused):
                continue
        return None

    def _made_client(self, site_url: str, sign_in: SignIn | None) -> Client:
        return Client(self._transport, site_url, sign_in, cancelled=lambda: self.is_stopped)

    def _opened(self) -> Client:
        if self._client is None:
            raise RuntimeError("nothing is opened yet")
        return self._client


def catalogue_of(address: str) -> str:
    """The catalogue of the site or folder that `address` is of. Raises AddressError."""
    try:
        return public_address(service_of(address).url).rsplit("/", 2)[0]
    except AddressError as error:
        if not error.site_url:
            raise
        return error.site_url


def service_at(address: str, sign_in: SignIn | None) -> ServiceAddress:
    """The service at `address`, where nobody else but that address says where to sign in.

    Nothing is sent. Raises AddressError; ItemElsewhere where it is the address of a map that shows
    a service of another host: who made that link could have chosen it to collect sign-ins.
    """
    service = service_of(address)
    map_url, _path = origin_and_path(address)
    if sign_in is None or both_online(map_url, service.url):
        return service
    if origin_of(map_url)[1] != origin_of(service.url)[1]:
        raise ItemElsewhere(public_address(address), "", service.url)
    return service


def service_behind(
    item: ItemAddress,
    sign_in: SignIn | None,
    transport: Transport,
    cancelled: Cancelled = lambda: False,
) -> tuple[ServiceAddress, SignIn | None]:
    """The service of a portal's item, and what to sign in with there. Blocks.

    Raises SiteError, ItemUnusable, ItemElsewhere: somebody is to be signed in, but the service is
    on a site that the portal does not know as its own.
    """
    client = Client(transport, sharing_url(item.portal_url), sign_in, cancelled=cancelled)
    found = portal.item(item, client)
    service = portal.service_of_item(found)
    if sign_in is None:
        return service, None
    if not portal.vouches_for(item.portal_url, service, client):
        raise ItemElsewhere(item.page_url, found.title, service.url)
    return service, _trusting(sign_in, item.portal_url)


def _trusting(sign_in: SignIn, portal_url: str) -> SignIn:
    """`sign_in`, which was meant for the portal, for one of its servers."""
    changed: Any = sign_in
    known = {each.name for each in fields(changed)}
    if "trusted_portals" in known:
        trusted = (*changed.trusted_portals, portal_url)
        return replace(changed, trusted_portals=trusted)  # type: ignore[no-any-return]
    if "portal_url" in known and not changed.portal_url:
        return replace(changed, portal_url=portal_url)  # type: ignore[no-any-return]
    return sign_in
