"""The stand-in sites behind other doors: portals, what they own, web-tier sign-in, versions."""

from __future__ import annotations

from .schemes import WEB_MERCATOR, Box, web_mercator
from .site_kinds import EUROPE_MERCATOR, WORLD, Service, Site, Tasks

CORNER: Box = (-600e3, -600e3, 600e3, 600e3)
"""Around the corner of four bundles of every level from 8 on."""

_TILED = web_mercator(20)
_WORLD = Service(
    "World",
    "MapServer",
    WEB_MERCATOR,
    WORLD,
    _TILED,
    levels=(0, 7),
    export_allowed=True,
)
_IMAGERY = Service(
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
)
_CORNER_TILES = Service(
    "Corner_Tiles",
    "MapServer",
    WEB_MERCATOR,
    CORNER,
    _TILED,
    levels=(4, 12),
    capabilities="Map,TilesOnly,Tilemap",
    theme="places",
    export_allowed=True,
)

_PORTAL = Site(
    key="portal",
    context="/portal",
    version=11.1,
    full_version="11.1.0",
    services=(),
    security="system",
    portal_kind="enterprise",
)

_AGOL = Site(
    key="agol",
    context="",
    version=11.2,
    full_version="11.2.0",
    services=(),
    security="system",
    portal_kind="online",
    prefixes=("sharing", "home", "apps"),
)

# Takes the portal's own token, as Esri's client sends it, and those that it is exchanged for. Where
# control says so, these alone: then clients have to exchange it.
_FEDERATED = Site(
    key="federated",
    context="/fed",
    version=11.1,
    full_version="11.1.0",
    services=(
        _WORLD,
        _IMAGERY,
        Service(
            "Hosted/City_Tiles",
            "MapServer",
            WEB_MERCATOR,
            CORNER,
            _TILED,
            levels=(4, 12),
            theme="places",
            export_allowed=True,
        ),
    ),
    tasks=Tasks(),
    security="all",
    portal="portal",
    portal_tokens=True,
)

_FED_PORTAL = Site(
    key="fedportal",
    context="/fed2",
    version=10.91,
    full_version="10.9.1",
    services=(_WORLD,),
    tasks=Tasks(),
    security="all",
    portal="portal",
    portal_tokens=True,
    exchanges=False,
)

_ONLINE = Site(
    key="online",
    context="/tiles/Zz0rgStandIn/arcgis",
    version=11.2,
    full_version="11.2.0",
    services=(
        Service(
            "World_Tiles",
            "MapServer",
            WEB_MERCATOR,
            WORLD,
            web_mercator(24),
            levels=(1, 8),
            capabilities="Map,TilesOnly,Tilemap",
            export_allowed=True,
        ),
        _CORNER_TILES,
        Service(
            "City_Tiles",
            "MapServer",
            WEB_MERCATOR,
            WORLD,
            _TILED,
            levels=(0, 19),
            capabilities="Map,TilesOnly,Tilemap",
            theme="places",
            export_allowed=True,
        ),
        Service(
            "Relief_Tiles",
            "ImageServer",
            WEB_MERCATOR,
            CORNER,
            _TILED,
            levels=(4, 12),
            tile_format="MIXED",
            quality=75,
            capabilities="Image,TilesOnly,Tilemap,Metadata",
            theme="imagery",
        ),
        Service(
            "Private_Tiles",
            "MapServer",
            WEB_MERCATOR,
            CORNER,
            _TILED,
            levels=(4, 12),
            capabilities="Map,TilesOnly,Tilemap",
            private=True,
        ),
    ),
    security="system",
    hosted=True,
    portal="agol",
    portal_tokens=True,
    exchanges=False,
    tile_admin=True,
)

_WEB_TIER = Site(
    key="webtier",
    context="/webtier",
    version=10.91,
    full_version="10.9.1",
    services=(_WORLD, _IMAGERY),
    tasks=Tasks(),
    security="web",
    web_tier=("Basic",),
)

_WEB_TOKEN = Site(
    key="webtoken",
    context="/webtoken",
    version=10.91,
    full_version="10.9.1",
    services=(_WORLD,),
    tasks=Tasks(),
    security="all",
    web_tier=("Basic",),
)

_NTLM = Site(
    key="ntlm",
    context="/ntlm",
    version=10.91,
    full_version="10.9.1",
    services=(_WORLD,),
    tasks=Tasks(),
    security="web",
    web_tier=("Negotiate", "NTLM"),
)

_V103 = Site(
    key="v103",
    context="/arcgis103",
    version=10.31,
    full_version="10.3.1",
    services=(_WORLD, _IMAGERY),
    tasks=Tasks(
        folders=("CachingControllers", "CachingTools", "ReportingTools"),
        progress=False,
        uploads=False,
    ),
    security="all",
)

_V111 = Site(
    key="v111",
    context="/arcgis111",
    version=11.1,
    full_version="11.1.0",
    services=(_WORLD, _IMAGERY),
    tasks=Tasks(folders=("CachingToolsEx", "ReportingTools")),
    security="all",
)

DOOR_SITES: tuple[Site, ...] = (
    _PORTAL,
    _AGOL,
    _FEDERATED,
    _FED_PORTAL,
    _ONLINE,
    _WEB_TIER,
    _WEB_TOKEN,
    _NTLM,
    _V103,
    _V111,
)
