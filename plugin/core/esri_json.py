"""Values of ArcGIS JSON: numbers, spatial references, extents, polygons, tiling schemes.

Services and cache packages share them. Sources: Esri REST reference, "Geometry objects", "Common
data types" and "Map service"; what servers really send is looser, so numbers are accepted as
strings and refused when they are not finite.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient

from .tiling import Extent, Level, SpatialReference, TilingScheme

JsonObject = Mapping[str, Any]

_USUAL_DPI = 96.0
_FARTHEST = 1e12
"""No coordinate is farther away, in whatever units."""
_LARGEST_WHOLE = 2.0**53
"""Of larger numbers, neighbours are one and the same double."""


class UnusableKey(ValueError):
    """What stands at `key` (`tileInfo.origin`) is missing or cannot be used."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def number(value: object) -> float | None:
    """`value` as a finite number, also where it came as text; else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        result = float(value)
    except (ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def whole(value: object) -> int | None:
    """`value` as a whole number, also where it came as text or as 3.0; else None.

    None, too, where it is larger than any that JSON carries exactly.
    """
    result = number(value)
    if result is None or abs(result) > _LARGEST_WHOLE or result != int(result):
        return None
    return int(result)


def mapping(value: object) -> JsonObject:
    """`value` where it is a JSON object; else an empty one."""
    return value if isinstance(value, Mapping) else {}


def items(value: object) -> list[Any]:
    """`value` where it is a JSON list; else an empty one."""
    return value if isinstance(value, list) else []


def text(value: object) -> str:
    """`value` where it is text; else ""."""
    return value if isinstance(value, str) else ""


def is_true(value: object) -> bool:
    """Whether `value` is true, also as the text that ReportCacheStatus sends."""
    return value is True or (isinstance(value, str) and value.lower() == "true")


def spatial_reference(value: object) -> SpatialReference | None:
    """The CRS of a `spatialReference` object; None where it names none."""
    body = mapping(value)
    wkid, latest = whole(body.get("wkid")), whole(body.get("latestWkid"))
    wkt = text(body.get("wkt")) or None
    if not (wkid or latest or wkt):
        return None
    return SpatialReference(wkid or None, latest or None, wkt)


def spatial_reference_json(crs: SpatialReference) -> dict[str, object]:
    """`crs` as a `spatialReference` object."""
    if crs.wkid is None and crs.latest_wkid is None:
        return {"wkt": crs.wkt}
    body: dict[str, object] = {"wkid": crs.wkid or crs.latest_wkid}
    if crs.latest_wkid is not None:
        body["latestWkid"] = crs.latest_wkid
    return body


def extent(value: object) -> Extent | None:
    """The rectangle of an envelope object, in its own CRS.

    None where it has no surface, or one that no map has.
    """
    body = mapping(value)
    xmin, ymin = number(body.get("xmin")), number(body.get("ymin"))
    xmax, ymax = number(body.get("xmax")), number(body.get("ymax"))
    if xmin is None or ymin is None or xmax is None or ymax is None:
        return None
    if max(abs(xmin), abs(ymin), abs(xmax), abs(ymax)) > _FARTHEST:
        return None
    return Extent(xmin, ymin, xmax, ymax) if xmin < xmax and ymin < ymax else None


def extent_json(rectangle: Extent, crs: SpatialReference) -> dict[str, object]:
    """`rectangle` as an envelope object."""
    return {
        "xmin": rectangle.xmin,
        "ymin": rectangle.ymin,
        "xmax": rectangle.xmax,
        "ymax": rectangle.ymax,
        "spatialReference": spatial_reference_json(crs),
    }


def tiling_scheme(tile_info: JsonObject, other_crs: object) -> TilingScheme:
    """The scheme of a `tileInfo` object; `other_crs`: the `spatialReference` around it.

    Raises UnusableKey.
    """
    origin = mapping(tile_info.get("origin"))
    origin_x, origin_y = number(origin.get("x")), number(origin.get("y"))
    if origin_x is None or origin_y is None:
        raise UnusableKey("tileInfo.origin")
    width, height = whole(tile_info.get("cols")), whole(tile_info.get("rows"))
    if not width or not height or width < 1 or height < 1:
        raise UnusableKey("tileInfo.rows, tileInfo.cols")
    crs = spatial_reference(tile_info.get("spatialReference")) or spatial_reference(other_crs)
    if crs is None:
        raise UnusableKey("tileInfo.spatialReference")
    dpi = number(tile_info.get("dpi")) or _USUAL_DPI
    levels = _levels(items(tile_info.get("lods")))
    return TilingScheme(origin_x, origin_y, width, height, dpi, crs, levels)


def _levels(lods: list[object]) -> tuple[Level, ...]:
    """Coarsest first. Hand-made schemes lack `level`: then the place in the list is the id."""
    levels: dict[int, Level] = {}
    for index, lod in enumerate(lods):
        resolution = number(mapping(lod).get("resolution"))
        scale = number(mapping(lod).get("scale"))
        if not resolution or not scale or resolution <= 0 or scale <= 0:
            raise UnusableKey(f"tileInfo.lods[{index}]")
        level_id = whole(mapping(lod).get("level"))
        level_id = index if level_id is None else level_id
        if level_id in levels:
            raise UnusableKey(f"tileInfo.lods[{index}].level")
        levels[level_id] = Level(level_id, resolution, scale)
    return tuple(sorted(levels.values(), key=lambda level: -level.resolution))


def tile_info_json(scheme: TilingScheme) -> dict[str, object]:
    """`scheme` as a `tileInfo` object."""
    return {
        "rows": scheme.tile_height,
        "cols": scheme.tile_width,
        "dpi": int(scheme.dpi) if scheme.dpi == int(scheme.dpi) else scheme.dpi,
        "origin": {"x": scheme.origin_x, "y": scheme.origin_y},
        "spatialReference": spatial_reference_json(scheme.crs),
        "lods": [
            {"level": level.id, "resolution": level.resolution, "scale": level.scale}
            for level in scheme.levels
        ],
    }


def feature_set_json(area: BaseGeometry, crs: SpatialReference) -> dict[str, object]:
    """Polygon or multipolygon `area` as a FeatureSet, one feature for each polygon.

    Fields and layout are those that Esri's own Python client sends for `area_of_interest`.
    """
    reference = spatial_reference_json(crs)
    polygons = getattr(area, "geoms", [area])
    return {
        "displayFieldName": "",
        "geometryType": "esriGeometryPolygon",
        "spatialReference": reference,
        "fields": [{"name": "OID", "type": "esriFieldTypeOID", "alias": "OID"}],
        "features": [
            {
                "attributes": {"OID": number},
                "geometry": {"rings": _rings(polygon), "spatialReference": reference},
            }
            for number, polygon in enumerate(polygons, start=1)
        ],
    }


def feature_set_area(value: object) -> BaseGeometry | None:
    """The polygons of a FeatureSet that `feature_set_json` made; None where it is no such thing."""
    polygons = []
    for feature in map(mapping, items(mapping(value).get("features"))):
        rings = items(mapping(feature.get("geometry")).get("rings"))
        try:
            polygons.append(Polygon(rings[0], rings[1:]))
        except (ValueError, TypeError, LookupError):
            return None
    return MultiPolygon(polygons) if len(polygons) > 1 else next(iter(polygons), None)


def _rings(polygon: Polygon) -> list[list[list[float]]]:
    """Closed rings, outer clockwise and holes the other way, as Esri's polygons have them."""
    turned = orient(polygon, sign=-1.0)
    return [
        [[float(point[0]), float(point[1])] for point in ring.coords]
        for ring in (turned.exterior, *turned.interiors)
    ]
