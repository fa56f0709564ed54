"""Services of the stand-in site as the plugin exports them, and what should be in the target."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from arcgis_server.handle import PUBLISHER
from exported_tiles import served, tiles_in_bundles, tiles_of_tpkx
from shapely.geometry import Polygon, box
from site_caches import FEW_REPEATS, QUICK, sign_in, touched

from tile_cache_manager.plugin.core.arcgis.address import service_of
from tile_cache_manager.plugin.core.arcgis.client import Client
from tile_cache_manager.plugin.core.arcgis.service import parse_service
from tile_cache_manager.plugin.core.arcgis.transport import RequestsTransport
from tile_cache_manager.plugin.core.description import CacheDescription
from tile_cache_manager.plugin.core.export.request import ExportReport, ExportRequest
from tile_cache_manager.plugin.core.export.site_export import export_service
from tile_cache_manager.plugin.core.request import Feedback
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.tiling import Extent

WORLD = Extent(-20037508.342789244, -20037508.342789244, 20037508.342789244, 20037508.342789244)
COUNTRY = Polygon([(600e3, 5.9e6), (1.9e6, 5.95e6), (2.1e6, 7.0e6), (1.1e6, 7.4e6), (5e5, 6.6e6)])
TOWN = Polygon([(950e3, 6.50e6), (962e3, 6.501e6), (958e3, 6.512e6), (949e3, 6.509e6)])
QUARTER = box(955_000, 6_505_000, 955_400, 6_505_300)


class NoPixels:
    """For exports in which no picture is looked into."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} of a picture was asked for")


class Service:
    """A service of the stand-in site, and how it is exported here."""

    def __init__(self, site: Any, name: str, key: str = "classic", kind: str = "MapServer") -> None:
        self.site, self.name, self.key = site, name, key
        self.task_name = f"{name}:{kind}"
        self.address = service_of(site.service_url(key, name, kind))
        account = sign_in(PUBLISHER if key == "secured" else None)
        self.client = Client(
            RequestsTransport(), self.address.site_url, account, repeats=FEW_REPEATS
        )

    def describe(self) -> CacheDescription:
        return parse_service(self.client.read(self.address.url), self.address)

    def request(self, target: Path, areas: Any, *ids: int, **more: Any) -> ExportRequest:
        scheme = self.describe().scheme
        levels = tuple(level for level in scheme.levels if level.id in ids)
        storage = StorageFormat.TPKX if target.suffix == ".tpkx" else StorageFormat.COMPACT_V2
        return ExportRequest(scheme, levels, areas, target, storage, **more)

    def export(self, request: ExportRequest, feedback: Feedback | None = None) -> ExportReport:
        return export_service(
            self.client,
            self.address,
            request,
            feedback or Feedback(),
            pixels=NoPixels(),
            pace=QUICK,
        )

    def tile(self, tile: tuple[int, int, int]) -> bytes:
        return served(self.site, self.name, tile, self.key)


def exported(target: Path) -> dict[tuple[int, int, int], bytes]:
    """Tiles of a target by level, row, column."""
    if target.suffix == ".tpkx":
        with TemporaryDirectory() as folder:
            return tiles_of_tpkx(target, Path(folder))
    return tiles_in_bundles(target / "_alllayers")


def brute_force(service: Service, request: ExportRequest) -> dict[int, set[tuple[int, int]]]:
    """Tiles of each level that its area touches, every one tried with shapely."""
    description = service.describe()
    found = {}
    for level in request.levels:
        areas = request.areas if isinstance(request.areas, tuple) else None
        area = request.areas
        if areas is not None:
            area = next(each.area for each in areas if level.id in each.level_ids)
        if isinstance(area, Extent):
            area = box(*area.bounds).buffer(-1.0)
        found[level.id] = touched(description, level, area)
    return found
