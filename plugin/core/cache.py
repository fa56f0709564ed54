"""The one interface of all caches, and how to open one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from .arcgis import catalogue
from .arcgis.address import service_of, site_of
from .arcgis.cache import ArcGISCache
from .arcgis.catalogue import ServiceEntry
from .arcgis.client import Client
from .arcgis.credentials import SignIn
from .arcgis.transport import RequestsTransport, Transport
from .description import CacheDescription
from .request import Feedback, UpdateReport, UpdateRequest


class Cache(Protocol):
    """A tile cache, wherever it is. Its methods block: call them off the main thread."""

    def describe(self) -> CacheDescription:
        """Ask the cache what it is. Raises TileCacheError."""

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
) -> Cache:
    """The cache at `address`, the URL of a map or image service. Nothing is sent yet.

    `cancelled`: once true, a request that fails is not repeated any more.
    Raises AddressError.
    """
    service = service_of(address)
    return ArcGISCache(service, _client(service.site_url, sign_in, transport, cancelled))


def list_services(
    address: str,
    sign_in: SignIn | None = None,
    transport: Transport | None = None,
    cancelled: Cancelled = lambda: False,
) -> tuple[ServiceEntry, ...]:
    """The map and image services of the site or folder at `address`. Blocks.

    `cancelled`: as for `open_cache`. Raises AddressError, SiteError.
    """
    client = _client(site_of(address), sign_in, transport, cancelled)
    return catalogue.list_services(address, client)


def _client(
    site_url: str, sign_in: SignIn | None, transport: Transport | None, cancelled: Cancelled
) -> Client:
    return Client(transport or RequestsTransport(), site_url, sign_in, cancelled=cancelled)
