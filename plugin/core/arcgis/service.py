"""What a MapServer or ImageServer says of itself, read into a CacheDescription.

Source: Esri REST reference, "Map service" and "Image service", and recordings of real services,
which leave out much of it: before 10.1 there are no scale limits and no `latestWkid`; image
services without a cache have no `singleFusedMapCache` at all; hosted ones give `minLOD`/`maxLOD`
and zero scale limits; levels listed in `lods` are the scheme, not what is cached.
"""

from __future__ import annotations

from ..description import CacheDescription
from ..errors import DescriptionError, NotCached
from ..esri_json import (
    JsonObject,
    UnusableKey,
    extent,
    is_true,
    items,
    mapping,
    number,
    spatial_reference,
    text,
    tiling_scheme,
    whole,
)
from ..tiling import SCALE_TOLERANCE, Extent, Level, SpatialReference, TilingScheme
from .address import ServiceAddress

_SIGNS_OF_A_SERVICE = (
    "currentVersion",
    "singleFusedMapCache",
    "tileInfo",
    "layers",
    "capabilities",
)


def parse_service(body: JsonObject, service: ServiceAddress) -> CacheDescription:
    """The description in `body`, the answer of the root of `service`; without update modes.

    Raises NotCached, DescriptionError.
    """
    if not any(key in body for key in _SIGNS_OF_A_SERVICE):
        raise DescriptionError(service.name, "currentVersion")
    tile_info = mapping(body.get("tileInfo"))
    has_scheme = bool(items(tile_info.get("lods")))
    fused = body.get("singleFusedMapCache", has_scheme)
    if not has_scheme or not is_true(fused):
        raise NotCached(service.name, scheme_only=has_scheme)
    scheme = _scheme(tile_info, body, service.name)
    storage = mapping(body.get("storageInfo")) or mapping(tile_info.get("storageInfo"))
    capabilities = {part.strip() for part in text(body.get("capabilities")).split(",")}
    return CacheDescription(
        address=service.url,
        name=service.name,
        kind=service.kind,
        scheme=scheme,
        cached_levels=_cached_levels(body, scheme),
        extent=_full_extent(body, scheme.crs),
        image_format=_image_format(tile_info),
        compression_quality=whole(tile_info.get("compressionQuality")) or 0,
        storage_format=text(storage.get("storageFormat")) or text(tile_info.get("storageFormat")),
        version=_version(body.get("currentVersion")),
        text=text(body.get("serviceDescription")) or text(body.get("description")),
        has_tile_map="Tilemap" in capabilities,
        has_tiles_only="TilesOnly" in capabilities,
        export_tiles_allowed=is_true(body.get("exportTilesAllowed")),
        max_export_tiles=whole(body.get("maxExportTilesCount")),
    )


def _scheme(tile_info: JsonObject, body: JsonObject, service: str) -> TilingScheme:
    try:
        return tiling_scheme(tile_info, body.get("spatialReference"))
    except UnusableKey as error:
        raise DescriptionError(service, error.key) from error


def _cached_levels(body: JsonObject, scheme: TilingScheme) -> tuple[Level, ...]:
    """Levels that may hold tiles: by minLOD and maxLOD, else by the scale limits, else all."""
    first, last = whole(body.get("minLOD")), whole(body.get("maxLOD"))
    if first is not None and last is not None:
        kept = tuple(level for level in scheme.levels if first <= level.id <= last)
    else:
        coarsest = number(body.get("minScale")) or float("inf")
        finest = number(body.get("maxScale")) or 0.0
        kept = tuple(
            level
            for level in scheme.levels
            if finest * (1 - SCALE_TOLERANCE) <= level.scale <= coarsest * (1 + SCALE_TOLERANCE)
        )
    # limits that leave nothing are not about this scheme
    return kept or scheme.levels


def _full_extent(body: JsonObject, crs: SpatialReference) -> Extent | None:
    for key in ("fullExtent", "extent"):
        rectangle = extent(body.get(key))
        if rectangle is None:
            continue
        own = spatial_reference(mapping(body.get(key)).get("spatialReference"))
        if own is None or own.same_as(crs):
            return rectangle
    return None


def _image_format(tile_info: JsonObject) -> str:
    name = text(tile_info.get("format")).upper()
    return "JPEG" if name == "JPG" else name


def _version(value: object) -> str:
    return text(value) or (f"{value:g}" if isinstance(value, (int, float)) else "")
