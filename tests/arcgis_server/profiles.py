"""The stand-in sites as data: which services they have and where they differ.

Each difference is one that real sites show; see the protocol notes of the project.
"""

from __future__ import annotations

from .door_sites import DOOR_SITES
from .schemes import EUROPE, WEB_MERCATOR, WGS84, by_resolution, by_scale, web_mercator
from .site_kinds import (
    EUROPE_MERCATOR,
    EUROPE_METRES,
    EXPORT_TASK,
    IMPORT_TASK,
    STATUS_TASK,
    TILES_TASK,
    WORLD,
    WORLD_DEGREES,
    Service,
    Site,
    Tasks,
)

__all__ = [
    "EUROPE_MERCATOR",
    "EUROPE_METRES",
    "EXPORT_TASK",
    "IMPORT_TASK",
    "SITES",
    "STATUS_TASK",
    "TILES_TASK",
    "WORLD",
    "WORLD_DEGREES",
    "Service",
    "Site",
    "Tasks",
    "site",
]

_TILED = web_mercator(20)

_CLASSIC = Site(
    key="classic",
    context="/arcgis",
    version=10.81,
    full_version="10.8.1",
    services=(
        Service(
            "World",
            "MapServer",
            WEB_MERCATOR,
            WORLD,
            _TILED,
            levels=(0, 7),
            capabilities="Map,Query,Data,Tilemap",
            export_allowed=True,
        ),
        Service(
            "Streets",
            "MapServer",
            WEB_MERCATOR,
            WORLD,
            _TILED,
            levels=(0, 19),
            theme="streets",
            on_demand=True,
            export_allowed=True,
            max_export_tiles=5000,
        ),
        Service(
            "Places",
            "MapServer",
            WEB_MERCATOR,
            WORLD,
            _TILED,
            levels=(0, 19),
            theme="places",
            on_demand=True,
            export_allowed=True,
            max_export_tiles=5000,
        ),
        Service("Basemaps/Countries", "MapServer", WEB_MERCATOR, WORLD, _TILED, levels=(0, 6)),
        Service(
            "Imagery",
            "ImageServer",
            WEB_MERCATOR,
            EUROPE_MERCATOR,
            _TILED,
            levels=(2, 9),
            tile_format="MIXED",
            quality=75,
            capabilities="Image,Metadata,Mensuration",
            theme="imagery",
            export_allowed=True,
        ),
        Service("Dynamic", "MapServer", WEB_MERCATOR, WORLD),
        Service(
            "Elevation",
            "ImageServer",
            WEB_MERCATOR,
            EUROPE_MERCATOR,
            capabilities="Image,Metadata,Mensuration",
            theme="imagery",
        ),
        Service("Scheme", "MapServer", WEB_MERCATOR, WORLD, _TILED, levels=(0, 7), fused=False),
    ),
    tasks=Tasks(),
    security="system",
)

_OLD = Site(
    key="old",
    context="/ArcGIS",
    version=10.04,
    full_version="10.0.4",
    services=(
        Service("World", "MapServer", WEB_MERCATOR, WORLD, web_mercator(9), levels=(0, 8)),
        Service("Dynamic", "MapServer", WEB_MERCATOR, WORLD),
    ),
    tasks=Tasks(folders=("CachingTools",), progress=False, percent_in_messages=True, uploads=False),
    security="system",
    token_in_header=False,
    modern_root=False,
)

_HOSTED = Site(
    key="hosted",
    context="/hosted",
    version=10.81,
    full_version="10.8.1",
    services=(
        Service(
            "World_Tiles",
            "MapServer",
            WEB_MERCATOR,
            WORLD,
            web_mercator(24),
            levels=(1, 8),
            capabilities="Map,TilesOnly,Tilemap",
        ),
        Service(
            "City_Tiles",
            "MapServer",
            WEB_MERCATOR,
            WORLD,
            _TILED,
            levels=(0, 19),
            capabilities="Map,TilesOnly,Tilemap",
            theme="places",
            on_demand=True,
            export_allowed=True,
        ),
    ),
    hosted=True,
)

_GAPS = Site(
    key="gaps",
    context="/gaps",
    version=10.91,
    full_version="10.9.1",
    services=(
        Service(
            "World",
            "MapServer",
            WGS84,
            WORLD_DEGREES,
            by_resolution(
                WGS84,
                (-400.0, 400.0),
                512,
                {2: 0.3515625, 3: 0.17578125, 5: 0.1, 6: 0.04, 8: 0.0109986627, 11: 0.001},
            ),
            levels=(2, 8),
            tile_format="PNG32",
            export_allowed=True,
        ),
    ),
    tasks=Tasks(progress=False, status_as_text=True),
)

_WKT = Site(
    key="wkt",
    context="/wkt",
    version=10.31,
    full_version="10.3.1",
    services=(
        Service(
            "Europe",
            "MapServer",
            EUROPE,
            EUROPE_METRES,
            by_scale(
                EUROPE,
                (-5123200.0, 10002100.0),
                256,
                (50e6, 25e6, 10e6, 5e6, 2.5e6, 1e6, 500e3),
            ),
            levels=(0, 5),
            export_allowed=True,
        ),
    ),
    tasks=Tasks(uploads=False),
)

_OTHER_NAMES = Site(
    key="othernames",
    context="/server",
    version=11.1,
    full_version="11.1.0",
    services=(
        Service(
            "World",
            "MapServer",
            WEB_MERCATOR,
            WORLD,
            web_mercator(12),
            levels=(0, 8),
            export_allowed=True,
        ),
    ),
    tasks=Tasks(
        names={
            "service_url": "input_service",
            "levels": "scales",
            "thread_count": "number_of_instances",
            "update_mode": "mode",
            "constraining_extent": "update_extent",
            "jobid": "input_job",
            "area_of_interest": "aoi",
            "out_service_url": "output_service",
            "target_cache": "cache_path",
            "storage_format_type": "cache_format",
            "copy_data_from_server": "copy_to_client",
            "tile_package": "as_package",
            "export_extent": "extent_to_export",
            "import_extent": "extent_to_import",
            "replace_existing_tiles": "overwrite",
            "temp_output_path": "scratch_path",
            "export_options": "options",
            "upload_item": "uploaded_package",
        },
        modes=("RECREATE_ALL_TILES", "DELETE_TILES"),
    ),
)

_SECURED = Site(
    key="secured",
    context="/secured",
    version=10.91,
    full_version="10.9.1",
    services=(
        Service(
            "World",
            "MapServer",
            WEB_MERCATOR,
            WORLD,
            _TILED,
            levels=(0, 7),
            export_allowed=True,
        ),
        Service(
            "Streets",
            "MapServer",
            WEB_MERCATOR,
            WORLD,
            _TILED,
            levels=(0, 19),
            theme="streets",
            on_demand=True,
            export_allowed=True,
            max_export_tiles=5000,
        ),
    ),
    tasks=Tasks(),
    security="all",
    referer_tokens_only=True,
)

SITES: tuple[Site, ...] = (
    _CLASSIC,
    _OLD,
    _HOSTED,
    _GAPS,
    _WKT,
    _OTHER_NAMES,
    _SECURED,
    *DOOR_SITES,
)


def site(key: str) -> Site:
    """Return the site of that key.

    Raises:
        KeyError: there is none.
    """
    found = next((s for s in SITES if s.key == key), None)
    if found is None:
        raise KeyError(key)
    return found
