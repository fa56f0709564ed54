"""The one interface of all caches, and how to open one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from .arcgis.cache import ArcGISCache
from .arcgis.catalogue import ServiceEntry
from .arcgis.client import Client
from .arcgis.credentials import SignIn
from .arcgis.portal_address import item_of
from .arcgis.transport import RequestsTransport, Transport
from .description import CacheDescription
from .finding import Finder, service_at, service_behind
from .local.cache import LocalCache
from .local.crew import Crew
from .local.source import TileSource
from .request import Feedback, LevelEstimate, UpdateReport, UpdateRequest
from .storage.addresses import local_path


class Cache(Protocol):
    """A tile cache, wherever it is. Its methods block: call them off the main thread."""

    def describe(self) -> CacheDescription:
        """Ask the cache what it is. Raises TileCacheError."""

    def estimate(self, request: UpdateRequest, feedback: Feedback) -> tuple[LevelEstimate, ...]:
        """What `request` would take, level by level, as far as that can be told beforehand.

        Raises TileCacheError.
        """

    def update(self, request: UpdateRequest, feedback: Feedback) -> UpdateReport:
        """Carry out `request`, telling `feedback`. Raises TileCacheError.

        A cancelled update is a report, not an error: what was made is kept.
        """


Cancelled = Callable[[], bool]


def open_cache(
    address: str,
    sign_in: SignIn | None = None,
    transport: Transport | None = None,
    cancelled: Cancelled = lambda: False,
    source: TileSource | None = None,
    crew: Crew | None = None,
) -> Cache:
    """The cache at `address`, the URL of a map or image service or a path on this computer.

    Nothing is sent or read yet, but for the page of a portal's item, or a map that shows it: then
    the portal is asked which service it is (blocks; raises SiteError, ItemUnusable, ItemElsewhere).
    `cancelled`: once true, a request that fails is not repeated, and
    tiles are not counted, any more. `source`: what a cache on this computer is drawn from, for one
    update or estimate; `crew`: who draws it in that update. Raises AddressError; ItemElsewhere, as
    `service_at` does, too.
    """
    path = local_path(address)
    if path is not None:
        return LocalCache(path, source, cancelled, crew)
    transport = transport or RequestsTransport()
    item = item_of(address)
    if item is None:
        service = service_at(address, sign_in)
    else:
        service, sign_in = service_behind(item, sign_in, transport, cancelled)
    return ArcGISCache(service, Client(transport, service.site_url, sign_in, cancelled=cancelled))


def list_services(
    address: str,
    sign_in: SignIn | None = None,
    transport: Transport | None = None,
    cancelled: Cancelled = lambda: False,
) -> tuple[ServiceEntry, ...]:
    """The map and image services of the site, folder or portal at `address`. Blocks.

    `cancelled`: as for `open_cache`. Raises AddressError, SiteError, ItemElsewhere.
    """
    return Finder(address, sign_in, transport, cancelled).list_services()
