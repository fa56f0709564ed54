"""Which tiles an area touches, by trying every tile with shapely.

Slow and simple on purpose: this is the truth that quicker ways are measured against.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import shapely.geometry
import shapely.ops
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry
from shapely.prepared import prep

from .profiles import Service
from .schemes import WEB_MERCATOR, WGS84, Box, Lod, Reference, Scheme, reference_from_json

Tile = tuple[int, int]
"""Row and column."""

_PIECES_PER_SIDE = 64
_MERCATOR_DEGREES = shapely.geometry.box(-180.0, -85.06, 180.0, 85.06)
MAX_TILES = 1_000_000


class BadArea(ValueError):
    """The area or extent of a request cannot be understood."""


class TooManyTiles(ValueError):
    """More tiles than the site is willing to look at; ``args[0]`` is their number."""


def tiles_of(service: Service, lod: Lod, area: BaseGeometry) -> Iterator[Tile]:
    """Yield the tiles whose interior meets the interiors of the area and of the full extent.

    Row by row. ``area`` is in the spatial reference of the scheme.
    """
    scheme = _scheme_of(service)
    if area.is_empty:
        return
    extent = prep(shapely.geometry.box(*service.full_extent))
    prepared = prep(area)
    first_row, first_col, end_row, end_col = scheme.range_of(lod, area.bounds)
    for row in range(first_row, end_row):
        for col in range(first_col, end_col):
            tile = shapely.geometry.box(*scheme.tile_box(lod, row, col))
            if interiors_meet(prepared, tile) and interiors_meet(extent, tile):
                yield row, col


def check_size(service: Service, lods: list[Lod], area: BaseGeometry) -> None:
    """Refuse a request that would keep the brute force busy for minutes.

    Raises:
        TooManyTiles: the tiles around the area are more than ``MAX_TILES``.
    """
    scheme = _scheme_of(service)
    number = 0
    for lod in lods if not area.is_empty else []:
        first_row, first_col, end_row, end_col = scheme.range_of(lod, area.bounds)
        number += (end_row - first_row) * (end_col - first_col)
    if number > MAX_TILES:
        raise TooManyTiles(number)


def expected_count(service: Service, lod: Lod) -> int:
    """Return the number of tiles of the full extent, a rectangle, at a level."""
    first_row, first_col, end_row, end_col = _scheme_of(service).range_of(lod, service.full_extent)
    return (end_row - first_row) * (end_col - first_col)


def area_of_request(service: Service, area_text: str, extent_text: str) -> BaseGeometry:
    """Return the area a caching task is asked for, in the scheme's spatial reference.

    The area wins over the extent; neither means the full extent, limited to the domain of the
    tiling scheme by ``tiles_of``.

    Raises:
        BadArea: a text is there but is not what the task takes.
    """
    target = _scheme_of(service).reference
    polygons = _from_feature_set(area_text, target)
    if polygons is not None:
        return polygons
    return _from_extent(extent_text, service, target)


def _scheme_of(service: Service) -> Scheme:
    if service.scheme is None:
        raise BadArea(f"{service.name} has no tiling scheme")
    return service.scheme


def interiors_meet(prepared: Any, tile: BaseGeometry) -> bool:
    """Whether the tile's interior meets the area's: they intersect and do not merely touch.

    Telling touching is slow for a country's coast, and only needed where the area keeps out of a
    slightly smaller tile, which lies wholly in the tile's interior.
    """
    if not prepared.intersects(tile):
        return False
    xmin, ymin, xmax, ymax = tile.bounds
    margin = (xmax - xmin) * 1e-6
    inside = shapely.geometry.box(xmin + margin, ymin + margin, xmax - margin, ymax - margin)
    return bool(prepared.intersects(inside)) or not prepared.touches(tile)


def _from_feature_set(text: str, target: Reference) -> BaseGeometry | None:
    """Return the union of the features, or None where the set is absent or empty."""
    if not text.strip():
        return None
    data = _json_object(text)
    features = data.get("features") or []
    if not features:
        return None
    polygons = []
    for feature in features:
        geometry = feature.get("geometry") or {}
        if "rings" not in geometry:
            raise BadArea("a feature of the area of interest has no rings")
        source = geometry.get("spatialReference") or data.get("spatialReference")
        polygons.append(_projected(polygon_of_rings(geometry["rings"]), source, target))
    return shapely.ops.unary_union(polygons)


def polygon_of_rings(rings: list[list[list[float]]]) -> BaseGeometry:
    """Return the polygon of Esri rings: where an even number of rings overlap is a hole."""
    area: BaseGeometry = MultiPolygon()
    for ring in rings:
        if len(ring) < 4:
            raise BadArea("a ring has fewer than four points")
        part = Polygon([(point[0], point[1]) for point in ring])
        area = area.symmetric_difference(part if part.is_valid else part.buffer(0))
    return area


def _from_extent(text: str, service: Service, target: Reference) -> BaseGeometry:
    plain = text.strip()
    if plain.upper() in {"", "DEFAULT"}:
        return shapely.geometry.box(*service.full_extent)
    if plain.startswith("{"):
        data = _json_object(plain)
        box = _box([data.get(key) for key in ("xmin", "ymin", "xmax", "ymax")])
        return _projected(shapely.geometry.box(*box), data.get("spatialReference"), target)
    return shapely.geometry.box(*_box(re.split(r"[\s,;]+", plain)))


def _box(values: list[Any]) -> Box:
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError) as error:
        raise BadArea(f"the extent is not four numbers: {values}") from error
    if len(numbers) != 4 or not all(math.isfinite(number) for number in numbers):
        raise BadArea(f"the extent is not four numbers: {values}")
    xmin, ymin, xmax, ymax = numbers
    if xmin >= xmax or ymin >= ymax:
        raise BadArea("the extent is empty")
    return xmin, ymin, xmax, ymax


def _json_object(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise BadArea("the text is not JSON") from error
    if not isinstance(data, dict):
        raise BadArea("the text is not a JSON object")
    return data


def _projected(
    geometry: BaseGeometry, source_json: dict[str, Any] | None, target: Reference
) -> BaseGeometry:
    if not source_json:
        return geometry
    try:
        source = reference_from_json(source_json)
    except ValueError as error:
        raise BadArea(str(error)) from error
    if source.definition() == target.definition():
        return geometry
    if target == WEB_MERCATOR and source.definition() == WGS84.definition():
        geometry = geometry.intersection(_MERCATOR_DEGREES)  # the poles lie at infinity
    return shapely.ops.transform(transformer(source, target), _densified(geometry)).buffer(0)


def transformer(source: Reference, target: Reference) -> Any:
    """Return a function from x, y (arrays too) to x, y in the other reference."""
    _find_proj_data()
    # PROJ is only needed by requests in another reference, and tests may run without it.
    from pyproj import CRS, Transformer

    return Transformer.from_crs(
        CRS.from_user_input(source.definition()),
        CRS.from_user_input(target.definition()),
        always_xy=True,
    ).transform


def _find_proj_data() -> None:
    """Tell pyproj where the system keeps its data: in a virtual environment it looks there."""
    folder = Path(sys.base_prefix) / "share" / "proj"
    if (folder / "proj.db").exists():
        os.environ.setdefault("PROJ_DATA", str(folder))
        os.environ.setdefault("PROJ_LIB", str(folder))


def _densified(geometry: BaseGeometry) -> BaseGeometry:
    """Return the polygons with more points, since straight lines bend when projected."""
    if isinstance(geometry, Polygon):
        holes = [_densified_ring(ring.coords) for ring in geometry.interiors]
        return Polygon(_densified_ring(geometry.exterior.coords), holes)
    parts = [_densified(part) for part in getattr(geometry, "geoms", [])]
    return MultiPolygon([part for part in parts if isinstance(part, Polygon)])


def _densified_ring(coordinates: Any) -> list[tuple[float, float]]:
    points = [(point[0], point[1]) for point in coordinates]
    dense: list[tuple[float, float]] = []
    for (x0, y0), (x1, y1) in zip(points, points[1:], strict=False):
        for step in range(_PIECES_PER_SIDE):
            part = step / _PIECES_PER_SIDE
            dense.append((x0 + (x1 - x0) * part, y0 + (y1 - y0) * part))
    return [*dense, points[-1]]
