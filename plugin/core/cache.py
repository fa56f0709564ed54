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
from .local.cache import LocalCache
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
) -> Cache:
    """The cache at `address`, the URL of a map or image service or a path on this computer.

    Nothing is sent or read yet. `cancelled`: once true, a request that fails is not repeated, and
    tiles are not counted, any more. `source`: what a cache on this computer is drawn from, for one
    update or estimate. Raises AddressError.
    """
    path = local_path(address)
    if path is not None:
        return LocalCache(path, source, cancelled)
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
