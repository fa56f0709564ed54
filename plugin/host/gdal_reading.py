"""What this QGIS cannot show of a cache, for the GDAL it has. Measured with caches made here."""

from __future__ import annotations

from osgeo import gdal

from ..core.storage.profile import CacheProfile, StorageFormat, TileFormat
from .text import tr

READS_LARGE_TILES = 3090100
"""Before, GDAL ends the whole program where tiles of a compact cache are larger than 256 pixels."""

READS_PALETTES = 3080000
"""Before, GDAL takes the numbers of a palette for shades of grey."""

_BY_GDAL = (StorageFormat.COMPACT_V2, StorageFormat.TPKX)
_LARGEST = 256


def crash_reason(profile: CacheProfile) -> str:
    """Why a layer of the cache would end this QGIS, in one sentence; "" where it would not."""
    side = max(profile.scheme.tile_width, profile.scheme.tile_height)
    is_safe = profile.storage not in _BY_GDAL or side <= _LARGEST
    if is_safe or version() >= READS_LARGE_TILES:
        return ""
    text = tr(
        "This QGIS ends at once when a compact cache with tiles of {side} pixels is put on its map,"
        " for its GDAL is older than 3.9.1: choose tiles of 256 pixels where it is to be seen here."
    )
    return text.format(side=side)


def grey_reason(profile: CacheProfile) -> str:
    """Why this QGIS would show the cache in grey, in one sentence; "" where it would not."""
    has_palettes = profile.tile_format in (TileFormat.PNG, TileFormat.PNG8)
    if profile.storage not in _BY_GDAL or not has_palettes or version() >= READS_PALETTES:
        return ""
    text = tr(
        "This QGIS shows {format} tiles with a palette in grey, for its GDAL is older than 3.8:"
        " choose PNG24, PNG32 or JPEG where the cache is to be seen here."
    )
    return text.format(format=profile.image_format)


def version() -> int:
    """GDAL's version as one number, such as 3060200 for 3.6.2."""
    return int(gdal.VersionInfo())
