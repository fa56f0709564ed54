"""Values of ArcGIS JSON: numbers, spatial references, extents, polygons; read and written.

Sources: Esri REST reference, "Geometry objects" and "Common data types"; what servers really send
is looser, so numbers are accepted as strings and refused when they are not finite.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient

from ..tiling import Extent, SpatialReference

JsonObject = Mapping[str, Any]


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
    """`value` as a whole number, also where it came as text or as 3.0; else None."""
    result = number(value)
    return int(result) if result is not None and result == int(result) else None


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
    """The rectangle of an envelope object, in its own CRS; None where it has no surface."""
    body = mapping(value)
    xmin, ymin = number(body.get("xmin")), number(body.get("ymin"))
    xmax, ymax = number(body.get("xmax")), number(body.get("ymax"))
    if xmin is None or ymin is None or xmax is None or ymax is None:
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


def _rings(polygon: Polygon) -> list[list[list[float]]]:
    """Closed rings, outer clockwise and holes the other way, as Esri's polygons have them."""
    turned = orient(polygon, sign=-1.0)
    return [
        [[float(point[0]), float(point[1])] for point in ring.coords]
        for ring in (turned.exterior, *turned.interiors)
    ]
