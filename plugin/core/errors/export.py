"""Errors about exporting tiles from a site, and importing them there."""

from __future__ import annotations

from enum import Enum

from .root import TileCacheError


class ExportError(TileCacheError):
    """Something about the export of `service`."""

    def __init__(self, service: str, text: str) -> None:
        super().__init__(f"{service}: {text}")
        self.service = service


class ExportNotAllowed(ExportError):
    """`service` does not allow its tiles to be exported.

    Its owner may confirm that the tiles are theirs to copy; `is_owner`: they have, but the way that
    was asked for is the service's own export, which is switched off all the same.
    """

    def __init__(self, service: str, is_owner: bool = False) -> None:
        super().__init__(service, "export not allowed")
        self.is_owner = is_owner


class TooManyTiles(ExportError):
    """A job may export `limit` tiles of `service`: too few, or too many jobs would be needed."""

    def __init__(self, service: str, limit: int) -> None:
        super().__init__(service, f"more than {limit} tiles at once")
        self.limit = limit


class BadPackageReason(Enum):
    """What can be wrong with a package that a site sent."""

    MISSING = "the job gave no file"
    SIZE = "another size than announced"
    DAMAGED = "it cannot be read as a cache"
    SCHEME = "another tiling scheme than the service's"
    TOO_FEW = "fewer tiles than the site announced"
    FOREIGN = "none of the tiles that were asked for"


class BadPackage(ExportError):
    """What the site sent as tiles of `service` is not what was asked for; `detail`: for experts."""

    def __init__(self, service: str, reason: BadPackageReason, detail: str = "") -> None:
        super().__init__(service, f"{reason.value} {detail}".rstrip())
        self.reason = reason
        self.detail = detail


class NoTileThere(ExportError):
    """The site sent something else than a tile of `service`: HTTP `status`, `content_type`."""

    def __init__(self, service: str, status: int, content_type: str) -> None:
        super().__init__(service, f"no tile, HTTP {status}, {content_type}")
        self.status = status
        self.content_type = content_type


class NothingToImport(ExportError):
    """The cache at `path` has no tiles in the area, at the scales asked for, for `service`."""

    def __init__(self, service: str, path: str) -> None:
        super().__init__(service, f"nothing to import from {path}")
        self.path = path
