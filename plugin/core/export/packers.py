"""Who makes packages of a service's tiles: the service itself, or its site's caching tool."""

from __future__ import annotations

from collections.abc import Callable

from ..arcgis.export_cache import ExportCache
from ..arcgis.export_tiles import ExportTiles, exceeded_limit
from ..arcgis.remote_files import RemoteFile
from ..description import CacheDescription
from ..errors import JobFailed
from ..request import Feedback
from ..storage.profile import StorageFormat
from ..tiling import TilingScheme
from .split import Part

FIRST_WITH_TPKX = 10.7
"""The version from which on ArcGIS Server makes packages of the new form."""


def package_format(description: CacheDescription) -> StorageFormat:
    """The form of packages to ask the service for: the new one, where its site can make that."""
    if "v2" in description.storage_format.lower():
        return StorageFormat.TPKX
    try:
        version = float(description.version)
    except ValueError:
        # 10.6.1 is published as 10.61; what is written otherwise is newer than that
        return StorageFormat.TPKX if description.version else StorageFormat.TPK
    return StorageFormat.TPKX if version >= FIRST_WITH_TPKX else StorageFormat.TPK


class TilesPacker:
    """exportTiles of the service."""

    def __init__(self, exporter: ExportTiles, scheme: TilingScheme, storage: StorageFormat) -> None:
        self._exporter, self._scheme, self._storage = exporter, scheme, storage
        self.suffix = _suffix(storage)

    def export(
        self, part: Part, feedback: Feedback, started: Callable[[str], None]
    ) -> tuple[RemoteFile, ...] | None:
        """See Packer."""
        return self._exporter.export(
            part.levels, part.area, self._scheme, self._storage, feedback, started
        )

    def take_up(self, job_url: str, feedback: Feedback) -> tuple[RemoteFile, ...] | None:
        """See Packer."""
        return self._exporter.take_up(job_url, feedback)

    def exceeded(self, error: JobFailed) -> tuple[int, int] | None:
        """See Packer."""
        return exceeded_limit(error)


class CachePacker:
    """The caching tool Export Cache, whose jobs are not taken up again."""

    def __init__(self, exporter: ExportCache, scheme: TilingScheme, storage: StorageFormat) -> None:
        self._exporter, self._scheme, self._storage = exporter, scheme, storage
        self.suffix = _suffix(storage)

    def export(
        self, part: Part, feedback: Feedback, started: Callable[[str], None]
    ) -> tuple[RemoteFile, ...] | None:
        """See Packer."""
        return self._exporter.export(part.levels, part.area, self._scheme, self._storage, feedback)

    def take_up(self, job_url: str, feedback: Feedback) -> tuple[RemoteFile, ...] | None:
        """See Packer. Never asked for."""
        raise JobFailed(job_url, "not one of ours")

    def exceeded(self, error: JobFailed) -> tuple[int, int] | None:
        """See Packer."""
        return exceeded_limit(error)


def _suffix(storage: StorageFormat) -> str:
    return ".tpk" if storage is StorageFormat.TPK else ".tpkx"
