"""What a storage format cannot hold, told before a cache is made."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..plugin.core.errors import CannotPackReason
from ..plugin.core.schemes import web_mercator
from ..plugin.core.storage.can_pack import why_not
from ..plugin.core.storage.profile import CacheProfile, StorageFormat, TileFormat
from ..plugin.core.tiling import Level, TilingScheme
from ..plugin.host.messages import tr

CLOSE = 1e-6
"""Resolutions and origins that differ by less, as a part of them, are the same."""


def format_problem(storage: StorageFormat, tile_format: TileFormat) -> str:
    """Why tiles of this format cannot be stored so, in one sentence; "" where they can."""
    if storage is StorageFormat.MBTILES and tile_format is TileFormat.MIXED:
        return tr("MBTiles hold PNG or JPEG tiles, not both: choose another picture format.")
    return ""


def scheme_problem(storage: StorageFormat, scheme: TilingScheme, levels: Iterable[Level]) -> str:
    """Why these `levels` of `scheme` cannot be stored so, in one sentence; "" where they can."""
    if storage is StorageFormat.GEOPACKAGE:
        return _geopackage_problem(scheme, levels)
    if storage is not StorageFormat.MBTILES or _is_web_mercator(scheme, levels):
        return ""
    return not_web_mercator()


def not_web_mercator() -> str:
    """Why a scheme cannot be that of MBTiles."""
    return tr(
        "MBTiles hold Web Mercator tiles of the usual scales only: choose that tiling scheme, or"
        " store the cache as something else."
    )


def _geopackage_problem(scheme: TilingScheme, levels: Iterable[Level]) -> str:
    ids = tuple(level.id for level in levels)
    profile = CacheProfile(scheme, StorageFormat.GEOPACKAGE, TileFormat.PNG.value, cached_ids=ids)
    reason = why_not(StorageFormat.GEOPACKAGE, profile)
    if reason is CannotPackReason.NO_CODE:
        return tr(
            "GeoPackages need a coordinate reference system that has a code: choose another tiling"
            " scheme, or store the cache as something else."
        )
    if reason is not None and ids:
        return tr(
            "GeoPackages hold scales that divide each other's tiles evenly only: untick some, or"
            " store the cache as something else."
        )
    return ""


def _is_web_mercator(scheme: TilingScheme, levels: Iterable[Level]) -> bool:
    usual = web_mercator(scheme.tile_width)
    known = [level.resolution for level in usual.levels]
    return (
        scheme.crs.code == usual.crs.code
        and math.isclose(scheme.origin_x, usual.origin_x, rel_tol=CLOSE)
        and math.isclose(scheme.origin_y, usual.origin_y, rel_tol=CLOSE)
        and all(
            any(math.isclose(level.resolution, each, rel_tol=CLOSE) for each in known)
            for level in levels
        )
    )
