"""Which formats can hold a scheme and its tiles, and why others cannot."""

from __future__ import annotations

import math
from pathlib import Path

from ..errors import CannotPack, CannotPackReason
from ..esri_wkt import text_of
from ..tiling import WEB_MERCATOR_HALF, Level
from .gpkg_matrix import matrices_of
from .profile import CacheProfile, StorageFormat, TileFormat

FINEST_ZOOM = 30
"""Of MBTiles: beyond it nobody has tiles."""

_MBTILES_SIDES = (256, 512)  # pixels; what readers of MBTiles take
_CLOSE = 1e-6  # relative difference within which two lengths in the plane are the same


def check_can_pack(path: Path, profile: CacheProfile) -> None:
    """Raise CannotPack where a cache at `path` in the format of `profile` cannot hold its tiles.

    That a folder, or a package of Esri's, wants a CRS is for whoever makes it to tell (BadScheme).
    """
    reason = why_not(profile.storage, profile)
    if reason is not None and profile.storage.is_database:
        possible = tuple(each.value for each in possible_formats(profile))
        raise CannotPack(str(path), profile.storage.value, reason, possible)


def possible_formats(profile: CacheProfile) -> tuple[StorageFormat, ...]:
    """The formats that can be written and hold the scheme, the levels and tiles of `profile`."""
    return tuple(
        each for each in StorageFormat if each.can_be_written and why_not(each, profile) is None
    )


def why_not(storage: StorageFormat, profile: CacheProfile) -> CannotPackReason | None:
    """Why `storage` cannot hold the tiles of `profile`, whatever its own format; None: it can."""
    if storage is StorageFormat.MBTILES:
        return _why_not_mbtiles(profile)
    if storage is StorageFormat.GEOPACKAGE:
        return _why_not_geopackage(profile)
    crs = profile.scheme.crs
    if storage is StorageFormat.TPKX:
        return None if crs.code or crs.wkt else CannotPackReason.NO_CODE
    return None if text_of(crs) else CannotPackReason.NO_CODE


def is_counted(storage: StorageFormat) -> bool:
    """Whether readers tell levels of `storage` by their place in the list, so all have to be there.

    See `schemes.counted_from_zero`.
    """
    return not storage.is_database


def zooms_of(profile: CacheProfile) -> tuple[int, ...] | None:
    """The zooms of MBTiles that the cached levels are; None where one of them is none."""
    scheme = profile.scheme
    fits = scheme.crs.code == 3857 and scheme.tile_width == scheme.tile_height
    for origin, wanted in ((scheme.origin_x, -1), (scheme.origin_y, 1)):
        fits = fits and abs(origin / WEB_MERCATOR_HALF - wanted) < _CLOSE
    levels = profile.cached_levels or scheme.levels
    zooms = tuple(_zoom(level, scheme.tile_width) if fits else None for level in levels)
    known = tuple(zoom for zoom in zooms if zoom is not None)
    return known if zooms and len(known) == len(zooms) else None


def picture_kind(image_format: str) -> str:
    """PNG for all kinds of PNG."""
    return "PNG" if image_format.startswith("PNG") else image_format


def _zoom(level: Level, tile_size: int) -> int | None:
    zoom = math.log2(2 * WEB_MERCATOR_HALF / tile_size / level.resolution)
    nearest = round(zoom)
    return nearest if abs(zoom - nearest) < 1e-5 and 0 <= nearest <= FINEST_ZOOM else None


def _why_not_mbtiles(profile: CacheProfile) -> CannotPackReason | None:
    if zooms_of(profile) is None:
        return CannotPackReason.SCHEME
    if profile.scheme.tile_width not in _MBTILES_SIDES:
        return CannotPackReason.TILE_SIZE
    is_one = picture_kind(profile.image_format) in ("PNG", "JPEG")
    return None if is_one else CannotPackReason.TILE_FORMAT


def _why_not_geopackage(profile: CacheProfile) -> CannotPackReason | None:
    if not profile.scheme.crs.code:
        return CannotPackReason.NO_CODE
    if picture_kind(profile.image_format) not in ("PNG", "JPEG", TileFormat.MIXED.value):
        return CannotPackReason.TILE_FORMAT
    return None if matrices_of(profile) else CannotPackReason.LEVELS
