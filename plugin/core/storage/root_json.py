"""`root.json`: what a tile package (TPKX), or a cache made ready to serve, says of itself.

Source: Esri, tile-package-spec, `docs/root.md`; and real packages, whose spelling differs from that
documentation: both are read, theirs is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import (
    BadScheme,
    BadSchemeReason,
    DamagedCache,
    HostileFile,
    NotACache,
    NotACacheReason,
)
from ..esri_json import (
    JsonObject,
    UnusableKey,
    extent,
    extent_json,
    mapping,
    number,
    spatial_reference,
    text,
    tile_info_json,
    tiling_scheme,
    whole,
)
from ..esri_wkt import DEGREE_METRES, code_of, is_geographic, metres_per_unit
from ..schemes import LARGEST_TILE, METRES_PER_INCH, MOST_LEVELS, area_of
from ..tiling import BUNDLE_TILES, Extent, SpatialReference, TilingScheme
from .profile import CacheProfile, StorageFormat

ROOT_JSON = "root.json"
LARGEST = 16 * 1024 * 1024
"""Bytes of a file; the legends of layers are pictures in it."""

TILES_PATH = "./tile"
"""Where bundles lie in a package; with a slash at its end GDAL finds none."""

_STORAGE = "esriMapCacheStorageModeCompactV2"
_UPDATED = ("tileBundlesPath", "minLOD", "maxLOD", "minScale", "maxScale", "fullExtent")
"""What changes with the tiles of a package; the first within the 1024 bytes that GDAL looks at."""

_VECTOR = {"PBF", "INDEXEDVECTOR"}
_DEEPEST = 64
_SPELLINGS = {
    name.lower(): name
    for name in (
        *("name", "serviceDescription", "tileBundlesPath", "spatialReference", "wkid", "wkt"),
        *("latestWkid", "minLOD", "maxLOD", "tileInfo", "rows", "cols", "dpi", "origin", "x", "y"),
        *("lods", "level", "resolution", "scale", "storageInfo", "storageFormat", "packetSize"),
        *("tileImageInfo", "format", "compressionQuality", "fullExtent", "initialExtent"),
        *("xmin", "ymin", "xmax", "ymax"),
    )
} | {"row": "rows", "col": "cols", "columns": "cols", "compression": "compressionQuality"}
"""The keys that count, as real packages spell them, by those of anybody."""

_UNITS = (
    (1.0, 1e-4, "esriMeters"),
    (0.3048, 1e-4, "esriFeet"),
    (1000.0, 1e-4, "esriKilometers"),
    (1609.344, 1e-4, "esriMiles"),
    (0.9144, 1e-4, "esriYards"),
    (DEGREE_METRES, 3e-3, "esriDecimalDegrees"),  # ArcGIS 10 counted a smaller sphere
)
"""Metres of a unit, the part of it that may be missing, and ArcObjects' name (esriUnits)."""


# Reading


def read_root(content: bytes, name: str) -> tuple[CacheProfile, str]:
    """What `content` of a root.json says, and the folder of its bundles, as `tile`.

    `name`: what to call the file in errors. The levels from minLOD to maxLOD count as cached.
    The profile's storage is TPKX, which a folder is not. Raises DamagedCache, HostileFile,
    NotACache (vector tiles).
    """
    body = mapping(_spelled(_loaded(content, name), name))
    told = mapping(body.get("tileInfo"))
    try:
        scheme = tiling_scheme(told, body.get("spatialReference"))
    except UnusableKey as error:
        raise DamagedCache(name, error.key) from error
    _check_scheme(scheme, name)
    _check_storage(mapping(body.get("storageInfo")), name)
    picture = mapping(body.get("tileImageInfo"))
    image_format = (text(picture.get("format")) or text(told.get("format"))).upper()
    if image_format in _VECTOR:
        raise NotACache(name, NotACacheReason.VECTOR)
    if not image_format or len(image_format) > 20:
        raise DamagedCache(name, "tileImageInfo.format")
    profile = CacheProfile(
        scheme=scheme,
        storage=StorageFormat.TPKX,
        image_format="JPEG" if image_format == "JPG" else image_format,
        compression_quality=_quality(picture.get("compressionQuality")),
        cached_ids=_cached_ids(body, scheme),
        extent=_extent(body, scheme.crs),
        name=text(body.get("name")),
        text=text(body.get("serviceDescription")),
    )
    return profile, _tiles_path(body.get("tileBundlesPath"), name)


def _loaded(content: bytes, name: str) -> object:
    if len(content) > LARGEST:
        raise HostileFile(name, f"more than {LARGEST} bytes of JSON")
    try:
        return json.loads(content)
    except RecursionError as error:
        raise HostileFile(name, "JSON too deep") from error
    except ValueError as error:  # also of encodings, and of numbers of endless digits
        raise DamagedCache(name, f"no JSON: {str(error)[:80]}") from error


def _spelled(value: object, name: str, depth: int = 0) -> object:
    """`value` with the keys that count spelled as real packages do."""
    if depth > _DEEPEST:
        raise HostileFile(name, "JSON too deep")
    if isinstance(value, Mapping):
        return {
            _SPELLINGS.get(key.lower(), key): _spelled(each, name, depth + 1)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [_spelled(each, name, depth + 1) for each in value]
    return value


def _check_scheme(scheme: TilingScheme, name: str) -> None:
    if not 0 < len(scheme.levels) <= MOST_LEVELS:
        raise DamagedCache(name, f"tileInfo.lods: {len(scheme.levels)}")
    if max(scheme.tile_width, scheme.tile_height) > LARGEST_TILE:
        raise DamagedCache(name, f"tileInfo.rows: {scheme.tile_height}")
    if any(level.id < 0 for level in scheme.levels):
        raise DamagedCache(name, "tileInfo.lods: level")
    if scheme.dpi <= 0:
        raise DamagedCache(name, "tileInfo.dpi")


def _check_storage(told: JsonObject, name: str) -> None:
    storage = text(told.get("storageFormat")) or _STORAGE
    if storage.lower() != _STORAGE.lower():
        raise DamagedCache(name, f"storageFormat {storage[:60]}")
    if whole(told.get("packetSize", BUNDLE_TILES)) != BUNDLE_TILES:
        raise DamagedCache(name, "packetSize")


def _quality(value: object) -> int:
    return int(min(max(number(value) or 0.0, 0.0), 100.0))


def _cached_ids(body: JsonObject, scheme: TilingScheme) -> tuple[int, ...]:
    """From minLOD to maxLOD; all where they are missing or leave none."""
    ids = tuple(level.id for level in scheme.levels)
    first, last = whole(body.get("minLOD")), whole(body.get("maxLOD"))
    first, last = min(ids) if first is None else first, max(ids) if last is None else last
    return tuple(each for each in ids if first <= each <= last) or ids


def _extent(body: JsonObject, crs: SpatialReference) -> Extent | None:
    """Of `fullExtent`; `initialExtent` is a view only, and may leave out half of the data."""
    told = mapping(body.get("fullExtent"))
    own = spatial_reference(told.get("spatialReference"))
    return extent(told) if own is None or own.same_as(crs) else None


def _tiles_path(value: object, name: str) -> str:
    """`./tile/` as `tile`. Raises HostileFile where it leads out of the package."""
    path = (text(value) or TILES_PATH).replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or not path.isprintable() or ":" in path:
        raise HostileFile(name, "tileBundlesPath leads elsewhere")
    return "/".join(parts)


# Writing


def root_json(profile: CacheProfile) -> bytes:
    """The root.json of `profile`, for a package or a folder. Raises BadScheme (no CRS).

    GDAL needs `tileBundlesPath` within the first 1024 bytes, 512 bytes in all, a code of the CRS,
    and levels with ids that follow each other; it takes the extent from `fullExtent`.
    """
    scheme = _with_code(profile)
    cached = profile.cached_levels or scheme.levels
    area = extent_json(profile.extent or area_of(scheme), scheme.crs)
    body: dict[str, Any] = {
        "tileBundlesPath": TILES_PATH,
        "tileImageInfo": {
            "format": profile.image_format,
            "compressionQuality": profile.compression_quality,
            "bandCount": 1,
            "lercError": 0,
        },
        "name": profile.name,
        "version": 1.0,
        "serviceDescription": profile.text,
        "spatialReference": tile_info_json(scheme)["spatialReference"],
        "units": _units(scheme),
        "minLOD": min(level.id for level in cached),
        "maxLOD": max(level.id for level in cached),
        "minScale": cached[0].scale,
        "maxScale": cached[-1].scale,
        "resampling": True,
        "tileInfo": tile_info_json(scheme),
        "exportTilesAllowed": False,
        "storageInfo": {"storageFormat": _STORAGE, "packetSize": BUNDLE_TILES},
        "layers": [_layer(profile)],
        "initialExtent": area,
        "fullExtent": area,
    }
    return json.dumps(body, ensure_ascii=False).encode()


def updated_root(content: bytes, profile: CacheProfile, name: str) -> bytes:
    """`content` of a package's root.json, with what `profile` says of its levels and extent.

    All else stays as others wrote it; bundles are to lie where ours do.
    Raises DamagedCache, HostileFile, BadScheme.
    """
    told = mapping(_spelled(_loaded(content, name), name))
    made = json.loads(root_json(profile))
    true = {key: made[key] for key in _UPDATED}
    body = {**true, **{key: value for key, value in told.items() if key not in true}}
    return json.dumps(body, ensure_ascii=False).encode()


def _with_code(profile: CacheProfile) -> TilingScheme:
    """The scheme, its CRS with both codes where one is known at all."""
    crs = profile.scheme.crs
    code = crs.latest_wkid or crs.wkid or (code_of(crs.wkt) if crs.wkt else None)
    if code is None and crs.wkt is None:
        raise BadScheme(profile.name, BadSchemeReason.NO_CRS)
    if code is None:
        return profile.scheme
    latest = crs.latest_wkid or SpatialReference(code).code  # 102100 is 3857 by now
    return replace(profile.scheme, crs=SpatialReference(crs.wkid or code, latest, crs.wkt))


def _units(scheme: TilingScheme) -> str:
    """Esri's name of the CRS's unit, by its text, else by how scales and resolutions go."""
    if is_geographic(scheme.crs):
        return "esriDecimalDegrees"
    level = scheme.levels[0]
    metres = metres_per_unit(scheme.crs)
    if metres is None:
        metres = level.scale / level.resolution / scheme.dpi * METRES_PER_INCH
    for unit, slack, name in _UNITS:
        if abs(metres - unit) <= slack * unit:
            return name
    return "esriUnknownUnits"


def _layer(profile: CacheProfile) -> dict[str, object]:
    """The one layer the package has: readers of Esri's may stumble over none."""
    return {
        "id": 0,
        "name": profile.name,
        "parentLayerId": -1,
        "defaultVisibility": True,
        "subLayerIds": None,
        "minScale": 0,
        "maxScale": 0,
    }
