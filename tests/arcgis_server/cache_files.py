"""The documents beside the bundles of a cache: ``conf.xml`` and ``conf.cdi``."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from .bundles import BUNDLE_SIDE, LAYERS_FOLDER
from .profiles import Service
from .schemes import Box, Reference, Scheme

_NAMESPACES = (
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xmlns:xs="http://www.w3.org/2001/XMLSchema" '
    'xmlns:typens="http://www.esri.com/schemas/ArcGIS/10.8"'
)
_WEB_MERCATOR_WKT = (
    'PROJCS["WGS_1984_Web_Mercator_Auxiliary_Sphere",GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",'
    'SPHEROID["WGS_1984",6378137.0,298.257223563]],PRIMEM["Greenwich",0.0],'
    'UNIT["Degree",0.0174532925199433]],PROJECTION["Mercator_Auxiliary_Sphere"],'
    'PARAMETER["False_Easting",0.0],PARAMETER["False_Northing",0.0],'
    'PARAMETER["Central_Meridian",0.0],PARAMETER["Standard_Parallel_1",0.0],'
    'PARAMETER["Auxiliary_Sphere_Type",0.0],UNIT["Meter",1.0]]'
)
_WGS84_WKT = (
    'GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137.0,298.257223563]],'
    'PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]]'
)


COMPACT_V2 = "esriMapCacheStorageModeCompactV2"
COMPACT = "esriMapCacheStorageModeCompact"
EXPLODED = "esriMapCacheStorageModeExploded"


def make_cache_folder(
    folder: Path,
    service: Service,
    scheme: Scheme,
    storage: str = COMPACT_V2,
    extent: Box | None = None,
) -> None:
    """Write an empty cache: the two documents and the folder for the levels.

    ``extent`` is where there are data; None: the full extent of the service.
    """
    (folder / LAYERS_FOLDER).mkdir(parents=True, exist_ok=True)
    (folder / "conf.xml").write_text(_conf_xml(service, scheme, storage), encoding="utf-8")
    limits = _conf_cdi(extent or service.full_extent, scheme)
    (folder / "conf.cdi").write_text(limits, encoding="utf-8")


def _conf_xml(service: Service, scheme: Scheme, storage: str) -> str:
    packet = 0 if storage == EXPLODED else BUNDLE_SIDE
    lods = "".join(
        '<LODInfo xsi:type="typens:LODInfo">'
        f"<LevelID>{lod.level}</LevelID><Scale>{lod.scale!r}</Scale>"
        f"<Resolution>{lod.resolution!r}</Resolution></LODInfo>"
        for lod in scheme.lods
    )
    x, y = scheme.origin
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<CacheInfo xsi:type="typens:CacheInfo" {_NAMESPACES}>'
        '<TileCacheInfo xsi:type="typens:TileCacheInfo">'
        f"{_reference_xml(scheme.reference)}"
        f'<TileOrigin xsi:type="typens:PointN"><X>{x!r}</X><Y>{y!r}</Y></TileOrigin>'
        f"<TileCols>{scheme.tile_size}</TileCols><TileRows>{scheme.tile_size}</TileRows>"
        f"<DPI>{scheme.dpi}</DPI>"
        f'<LODInfos xsi:type="typens:ArrayOfLODInfo">{lods}</LODInfos>'
        "</TileCacheInfo>"
        '<TileImageInfo xsi:type="typens:TileImageInfo">'
        f"<CacheTileFormat>{service.tile_format}</CacheTileFormat>"
        f"<CompressionQuality>{service.quality}</CompressionQuality>"
        "<Antialiasing>true</Antialiasing></TileImageInfo>"
        '<CacheStorageInfo xsi:type="typens:CacheStorageInfo">'
        f"<StorageFormat>{storage}</StorageFormat>"
        f"<PacketSize>{packet}</PacketSize></CacheStorageInfo></CacheInfo>\n"
    )


def _conf_cdi(extent: Box, scheme: Scheme) -> str:
    xmin, ymin, xmax, ymax = extent
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<EnvelopeN xsi:type="typens:EnvelopeN" {_NAMESPACES}>'
        f"<XMin>{xmin!r}</XMin><YMin>{ymin!r}</YMin><XMax>{xmax!r}</XMax><YMax>{ymax!r}</YMax>"
        f"{_reference_xml(scheme.reference)}</EnvelopeN>\n"
    )


def _reference_xml(reference: Reference) -> str:
    kind = "GeographicCoordinateSystem" if reference.geographic else "ProjectedCoordinateSystem"
    wkt = reference.wkt or (_WGS84_WKT if reference.geographic else _WEB_MERCATOR_WKT)
    numbers = ""
    if reference.wkid is not None:
        numbers = f"<WKID>{reference.wkid}</WKID><LatestWKID>{reference.latest_wkid}</LatestWKID>"
    return (
        f'<SpatialReference xsi:type="typens:{kind}"><WKT>{escape(wkt)}</WKT>{numbers}'
        "</SpatialReference>"
    )
