"""A hosted layer as it answers: made up after the Esri REST reference, recordings and notes."""

from __future__ import annotations

from typing import Any

from scripted_site import AnsweringSite, quick_client

from tile_cache_manager.plugin.core.arcgis.address import ServiceAddress, service_of
from tile_cache_manager.plugin.core.description import CacheDescription
from tile_cache_manager.plugin.core.tiling import Extent, Level, SpatialReference, TilingScheme

TILES = "https://tiles.arcgis.com/tiles/Org1/arcgis"
"""Where ArcGIS Online serves the tile layers of an organisation."""

OWN = "https://maps.example/server"
"""A site of one's own."""

ADMIN = "/rest/admin/services/Roads/MapServer"
JOB = f"{ADMIN}/jobs/26e8bec6-08c2-464b-a5c6-ecb21ce3d333"
JOB_ID = "26e8bec6-08c2-464b-a5c6-ecb21ce3d333"

ADMIN_ROOT: dict[str, Any] = {
    "name": "Roads",
    "status": "Started",
    "lodInfos": [
        {"levelID": 0, "tileCount": 1, "expectedTileCount": 1, "tilesSize": 900, "status": "DONE"},
        {"levelID": 1, "tileCount": 3, "expectedTileCount": 4, "status": "Partial"},
    ],
}

METRES = TilingScheme(
    0.0, 131072.0, 256, 256, 96.0, SpatialReference(25832),
    tuple(Level(10 + z, 4.0 / 2**z, 15118.0 / 2**z) for z in range(6)),
)  # fmt: skip
"""A bundle of level 10 is 131,072 m wide; of level 15, 4,096 m."""


def service_at(site_url: str, kind: str = "MapServer") -> ServiceAddress:
    return service_of(f"{site_url}/rest/services/Roads/{kind}")


def client_of(
    pages: dict[str, Any], site_url: str = OWN, sign_in: Any = None
) -> tuple[Any, AnsweringSite]:
    site = AnsweringSite(pages, site_url)
    return quick_client(site, sign_in, site_url), site


def description_of(
    kind: str = "MapServer",
    *,
    extent: Extent | None = None,
    tiles_only: bool = True,
    scheme: TilingScheme = METRES,
) -> CacheDescription:
    return CacheDescription(
        address=f"{OWN}/rest/services/Roads/{kind}",
        name="Roads",
        kind=kind,
        scheme=scheme,
        cached_levels=scheme.levels,
        extent=extent,
        image_format="PNG",
        has_tiles_only=tiles_only,
        is_hosted=True,
    )
