"""Real areas to measure with: borders of countries, in full detail, from QGIS's own world map."""

from __future__ import annotations

import json
import math
from collections.abc import Set
from pathlib import Path

from shapely import wkb
from shapely.geometry import box, mapping
from shapely.geometry.base import BaseGeometry
from shapely.ops import transform, unary_union

WORLD_MAP = Path("/usr/share/qgis/resources/data/world_map.gpkg")
# fmt: off
EUROPE = frozenset([
    "ALB", "AND", "AUT", "BEL", "BGR", "BIH", "BLR", "CHE", "CZE", "DEU", "DNK", "ESP", "EST",
    "FIN", "FRA", "GBR", "GRC", "HRV", "HUN", "IRL", "ITA", "LIE", "LTU", "LUX", "LVA", "MDA",
    "MKD", "MLT", "MNE", "NLD", "NOR", "POL", "PRT", "ROU", "SMR", "SRB", "SVK", "SVN", "SWE",
    "UKR",
])
# fmt: on
EUROPE_BOX = (-11.0, 34.0, 35.0, 71.5)
"""West, south, east, north in degrees: without islands far away that belong to Europe's states."""

_EARTH = 6378137.0


def europe() -> BaseGeometry:
    """Europe's states as one area, in Web Mercator."""
    return _in_web_mercator(unary_union(_countries(EUROPE)).intersection(box(*EUROPE_BOX)))


def canada() -> BaseGeometry:
    """Canada with all of its islands, in Web Mercator."""
    return _in_web_mercator(unary_union(_countries({"CAN"})))


def write_geojson(area: BaseGeometry, path: Path) -> Path:
    """Write an area in Web Mercator as every program reads it."""
    feature = {"type": "Feature", "properties": {}, "geometry": mapping(area)}
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}
    collection = {"type": "FeatureCollection", "crs": crs, "features": [feature]}
    path.write_text(json.dumps(collection), encoding="utf-8")
    return path


def described(area: BaseGeometry) -> str:
    """Of how many parts and corners it is."""
    parts = list(getattr(area, "geoms", [area]))
    corners = sum(len(ring.coords) - 1 for part in parts for ring in _rings(part))
    return f"{len(parts)} parts, {corners:,} corners"


def _rings(part: BaseGeometry) -> list[BaseGeometry]:
    return [part.exterior, *part.interiors]


def _countries(codes: Set[str]) -> list[BaseGeometry]:
    """In degrees."""
    from osgeo import ogr  # QGIS brings it along; nothing but this needs it

    ogr.UseExceptions()
    source = ogr.Open(str(WORLD_MAP))
    layer = source.GetLayerByName("countries")
    found = {
        feature.GetField("ISO_A3"): wkb.loads(bytes(feature.GetGeometryRef().ExportToWkb()))
        for feature in layer
        if feature.GetField("ISO_A3") in codes
    }
    missing = codes - set(found)
    if missing:
        raise SystemExit(f"{WORLD_MAP} has no {', '.join(sorted(missing))}")
    return [geometry.buffer(0) for geometry in found.values()]


def _in_web_mercator(area: BaseGeometry) -> BaseGeometry:
    def projected(x: float, y: float) -> tuple[float, float]:
        rise = math.log(math.tan(math.pi / 4 + math.radians(y) / 2))
        return _EARTH * math.radians(x), _EARTH * rise

    def each(xs, ys, zs=None):
        return tuple(zip(*(projected(x, y) for x, y in zip(xs, ys))))

    return transform(each, area)
