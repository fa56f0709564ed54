"""What a GeoPackage says of its tiles: its own tables, and ours where we made it.

Format: OGC GeoPackage Encoding Standard 1.3 (12-128r17), 2.2.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from ..errors import DamagedCache, NotACache, NotACacheReason
from ..esri_json import number, whole
from ..esri_wkt import WEB_MERCATOR, WGS84, metres_per_unit
from ..schemes import LARGEST_TILE, METRES_PER_INCH, MOST_LEVELS, web_mercator, wgs84
from ..tiling import Extent, Level, SpatialReference, TilingScheme
from .gpkg_matrix import MatrixSet
from .gpkg_tables import (
    CACHED,
    DPI,
    EXTENT,
    FORMAT,
    LEVELS,
    QUALITY,
    SAID_TABLE,
    TileTable,
)
from .pictures import picture_facts
from .profile import CacheProfile, StorageFormat, TileFormat
from .sqlite_file import SqliteFile
from .tile_table_said import said_in, sample_of
from .tile_table_sql import TABLES

_CONTENTS = "SELECT table_name, lower(data_type), srs_id FROM gpkg_contents"
_NAMED = "SELECT identifier, description FROM gpkg_contents WHERE table_name = ?"
_BOUNDS = "SELECT min_x, min_y, max_x, max_y FROM gpkg_contents WHERE table_name = ?"
_SET = "SELECT srs_id, min_x, min_y, max_x, max_y FROM gpkg_tile_matrix_set WHERE table_name = ?"
_MATRICES = """
SELECT zoom_level, matrix_width, matrix_height, tile_width, tile_height, pixel_x_size, pixel_y_size
FROM gpkg_tile_matrix WHERE table_name = ? ORDER BY zoom_level
"""
_SYSTEM = """
SELECT upper(organization), organization_coordsys_id, definition FROM gpkg_spatial_ref_sys
WHERE srs_id = ?
"""
_STARTS = """
SELECT DISTINCT hex(substr(tile_data, 1, 3))
FROM (SELECT tile_data FROM {tiles} WHERE length(tile_data) > 0 LIMIT 500)
"""
_PNG, _JPEG = "89504E", "FFD8FF"
_USUAL_DPI, _USUAL_QUALITY = 96.0, 75
_CLOSE = 1e-6  # relative difference within which two lengths in the plane are the same
_SAME = 1e-8  # as that between a resolution and the one that the matrix set makes of it


@dataclass(frozen=True)
class Found:
    """What a GeoPackage holds: its tile table, the profile, the matrices."""

    table: TileTable
    profile: CacheProfile
    matrices: MatrixSet


def read_found(file: SqliteFile, path: str, name: str) -> Found:
    """What the GeoPackage at `path` says of itself; `name`: what to call it if it does not say.

    Raises NotACache (no tiles, vector tiles, several tables of tiles, tiles of odd shapes),
    DamagedCache and others of `sqlite_errors`.
    """
    table = _tile_table(file, path)
    found = file.rows(_SET, table.name)
    corners = [number(value) for value in found[0][1:]] if found else []
    known = [value for value in corners if value is not None]
    if len(known) != 4 or not (known[0] < known[2] and known[1] < known[3]):
        raise DamagedCache(path, "gpkg_tile_matrix_set")
    table = replace(table, srs_id=whole(found[0][0]) or 0)
    rows = [_Row.of(row, path) for row in file.rows(_MATRICES, table.name)]
    if not rows or len(rows) > MOST_LEVELS:
        raise DamagedCache(path, "gpkg_tile_matrix")
    if len({row.side for row in rows}) > 1:
        raise NotACache(path, NotACacheReason.ODD_TILES)
    matrices = MatrixSet(Extent(*known), {row.zoom: (row.cols, row.rows) for row in rows})
    has_said = (SAID_TABLE,) in file.rows(TABLES)
    said = said_in(file, table.sql) if has_said else {}
    profile = _profile(file, table, _scheme(file, path, table, matrices, rows, said), said)
    return Found(table, replace(profile, name=profile.name or name), matrices)


@dataclass(frozen=True)
class _Row:
    """A row of gpkg_tile_matrix, its pixels and tiles square."""

    zoom: int
    cols: int
    rows: int
    side: int
    pixel: float

    @classmethod
    def of(cls, row: Any, path: str) -> _Row:
        """Raises DamagedCache, NotACache."""
        numbers = [number(value) for value in row]
        found = [value for value in numbers if value is not None]
        if len(found) < len(numbers) or found[0] < 0 or min(found[1:]) <= 0:
            raise DamagedCache(path, "gpkg_tile_matrix")
        zoom, cols, rows, width, height = (int(value) for value in found[:5])
        if width != height or not math.isclose(found[5], found[6], rel_tol=_CLOSE):
            raise NotACache(path, NotACacheReason.ODD_TILES)
        if width > LARGEST_TILE:
            raise DamagedCache(path, f"tiles of {width} pixels")
        return cls(zoom, cols, rows, width, found[5])


def _tile_table(file: SqliteFile, path: str) -> TileTable:
    """The one table of pictures in the file. Raises NotACache."""
    tables = {str(name).lower() for (name,) in file.rows(TABLES)}
    if "gpkg_contents" not in tables:
        raise NotACache(path, NotACacheReason.UNKNOWN_FILE)
    kinds = [(str(name), str(kind)) for name, kind, _srs in file.rows(_CONTENTS)]
    names = [name for name, kind in kinds if kind == "tiles" and name.lower() in tables]
    if len(names) > 1:
        raise NotACache(path, NotACacheReason.SEVERAL)
    if names and {"gpkg_tile_matrix", "gpkg_tile_matrix_set"} <= tables:
        return TileTable(names[0])
    if any(kind == "vector-tiles" for _name, kind in kinds):
        raise NotACache(path, NotACacheReason.VECTOR)
    raise NotACache(path, NotACacheReason.NO_TILES)


def _scheme(
    file: SqliteFile,
    path: str,
    table: TileTable,
    matrices: MatrixSet,
    rows: list[_Row],
    said: Mapping[str, str],
) -> TilingScheme:
    """The scheme that the matrices make; where we made them, the one they were made of."""
    crs = _reference(file, path, table.srs_id)
    dpi = number(said.get(DPI)) or _USUAL_DPI
    x, y = matrices.extent.xmin, matrices.extent.ymax
    unit = dpi * (metres_per_unit(crs) or 1.0) / METRES_PER_INCH
    scheme = TilingScheme(x, y, rows[0].side, rows[0].side, dpi, crs, ())
    own = {level.id: level for level in _levels(said.get(LEVELS, ""))}
    if all(_is_same(own.get(row.zoom), row) for row in rows):
        return replace(scheme, levels=tuple(sorted(own.values(), key=lambda e: -e.resolution)))
    usual = _usual_levels(scheme)
    levels = [Level(row.zoom, *_standard(row.pixel, usual, row.pixel * unit)) for row in rows]
    return replace(scheme, levels=tuple(sorted(levels, key=lambda e: -e.resolution)))


def _reference(file: SqliteFile, path: str, srs_id: int) -> SpatialReference:
    """The CRS with that id in the file. Raises DamagedCache where it is none."""
    found = file.rows(_SYSTEM, srs_id)
    who, code, text = found[0] if found else ("", None, "")
    code = whole(code) if who in ("EPSG", "ESRI") else None
    crs = SpatialReference(code, code, _text(text))
    for known in (WEB_MERCATOR, WGS84):
        if crs.code == known.code:
            return known
    if srs_id in (-1, 0) or (not code and crs.wkt is None):
        raise DamagedCache(path, "no coordinate reference system")
    return crs


def _text(definition: object) -> str | None:
    """A definition in Well-known Text, None for one that says nothing."""
    text = str(definition or "").strip()
    return text if "[" in text else None


def _usual_levels(scheme: TilingScheme) -> tuple[Level, ...]:
    """Levels whose resolutions and scales are published, where `scheme` may be of them."""
    side = scheme.tile_width
    for usual in (web_mercator(side, scheme.dpi, 30), wgs84(side, scheme.dpi, 30)):
        if scheme.crs.same_as(usual.crs):
            return usual.levels
    return ()


def _standard(resolution: float, usual: tuple[Level, ...], scale: float) -> tuple[float, float]:
    """The published resolution and scale that these are, but for rounding; else these."""
    for level in usual:
        if math.isclose(level.resolution, resolution, rel_tol=_SAME):
            return level.resolution, level.scale
    return resolution, scale


def _levels(text: str) -> list[Level]:
    """The levels that we put down; none where there are none that can be read."""
    with suppress(ValueError, TypeError):
        found = [Level(int(one), float(two), float(three)) for one, two, three in json.loads(text)]
        if all(0 < each.resolution < math.inf and 0 < each.scale < math.inf for each in found):
            return found
    return []


def _is_same(level: Level | None, row: _Row) -> bool:
    return level is not None and math.isclose(level.resolution, row.pixel, rel_tol=_SAME)


def _profile(
    file: SqliteFile, table: TileTable, scheme: TilingScheme, said: Mapping[str, str]
) -> CacheProfile:
    image_format = said.get(FORMAT) or _image_format(file, table)
    tile_format = image_format in {each.value for each in TileFormat}
    has_quality = tile_format and TileFormat(image_format).has_quality
    quality = whole(said.get(QUALITY)) or _USUAL_QUALITY
    name, text = file.rows(_NAMED, table.name)[0]
    zooms = {int(row[0]) for row in file.rows(_MATRICES, table.name)}
    return CacheProfile(
        scheme=scheme,
        storage=StorageFormat.GEOPACKAGE,
        image_format=image_format,
        compression_quality=min(max(quality, 0), 100) if has_quality else 0,
        cached_ids=tuple(sorted(zooms | _cached(said, scheme))),
        extent=_extent(file, table, said),
        name=str(name or ""),
        text=str(text or ""),
    )


def _cached(said: Mapping[str, str], scheme: TilingScheme) -> set[int]:
    known = {level.id for level in scheme.levels}
    with suppress(ValueError, TypeError):
        return {int(each) for each in json.loads(said.get(CACHED, "[]"))} & known
    return set()


def _image_format(file: SqliteFile, table: TileTable) -> str:
    """What the first tiles are; MIXED where there are both kinds, as GDAL writes them."""
    starts = {str(start) for (start,) in file.readable_rows(table.sql(_STARTS))}
    if {_PNG, _JPEG} <= starts:
        return TileFormat.MIXED.value
    facts = picture_facts(sample_of(file, table.sql))
    return facts.format if facts else TileFormat.PNG.value


def _extent(file: SqliteFile, table: TileTable, said: Mapping[str, str]) -> Extent | None:
    """Where tiles are: as we put it down, else as the contents tell; None where nothing does."""
    if LEVELS in said:
        return extent_of_text(said.get(EXTENT, ""))
    return _extent_of(list(file.rows(_BOUNDS, table.name)[0]))


def extent_of_text(text: str) -> Extent | None:
    """An extent that we put down; None where it is none."""
    with suppress(ValueError, TypeError):
        return _extent_of(json.loads(text))
    return None


def _extent_of(corners: Any) -> Extent | None:
    known = [value for value in map(number, corners) if value is not None]
    if len(known) != 4 or not (known[0] < known[2] and known[1] < known[3]):
        return None
    return Extent(*known)
