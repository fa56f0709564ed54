"""The one interface of all caches, and how to open one."""

from __future__ import annotations

from typing import Protocol

from .arcgis.cache import ArcGISCache
from .arcgis.client import Client
from .arcgis.credentials import Credentials
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


def open_cache(
    address: str,
    credentials: Credentials | None = None,
    transport: Transport | None = None,
) -> Cache:
    """The cache at `address`, the URL of a map or image service. Nothing is sent yet.

    Raises AddressError.
    """
    return ArcGISCache(address, Client(transport or RequestsTransport(), credentials))
