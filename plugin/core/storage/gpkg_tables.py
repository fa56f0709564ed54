"""The tables of a GeoPackage with tiles, as we make them.

Format: OGC GeoPackage Encoding Standard 1.3 (12-128r17), annex C (table definitions), 1.1.1 (file
header), F.3 (zoom levels of other ratios than 2). What it has no place for stands in a table of our
own, `tilecache_said`; that and the times of tiles are put down among the extensions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from sqlite3 import Connection

from ..errors import TargetExists, TargetProblem
from ..esri_wkt import is_code_only, is_geographic, text_of
from ..tiling import Extent, Level, SpatialReference
from .can_pack import check_can_pack
from .files import replacing, storage_errors
from .gpkg_matrix import MatrixSet, matrices_of, on_pixels
from .profile import CacheProfile, StorageFormat
from .sqlite_file import create, sqlite_errors
from .tile_table_said import put_rows
from .tile_table_sql import MAKE_SAID, TIMES, TableSql, quoted

SAID_TABLE = "tilecache_said"
LEVELS, CACHED = "tilecache:levels", "tilecache:cached"
FORMAT, QUALITY, DPI = "tilecache:format", "tilecache:quality", "tilecache:dpi"
DECLARED, EXTENT = "tilecache:declared_extent", "tilecache:extent"
"""Names of what is said in it."""

APPLICATION_ID, VERSION = 0x47504B47, 10300  # "GPKG"; 1.3
_TILES = "tiles"
_LARGEST_EPSG = 32767  # above, codes are Esri's own
_TABLES = """
CREATE TABLE gpkg_spatial_ref_sys (
    srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY, organization TEXT NOT NULL,
    organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (
    table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE,
    description TEXT DEFAULT '',
    last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
    min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
    CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_tile_matrix_set (
    table_name TEXT NOT NULL PRIMARY KEY, srs_id INTEGER NOT NULL,
    min_x DOUBLE NOT NULL, min_y DOUBLE NOT NULL, max_x DOUBLE NOT NULL, max_y DOUBLE NOT NULL,
    CONSTRAINT fk_gtms_table_name FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
    CONSTRAINT fk_gtms_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id));
CREATE TABLE gpkg_tile_matrix (
    table_name TEXT NOT NULL, zoom_level INTEGER NOT NULL,
    matrix_width INTEGER NOT NULL, matrix_height INTEGER NOT NULL,
    tile_width INTEGER NOT NULL, tile_height INTEGER NOT NULL,
    pixel_x_size DOUBLE NOT NULL, pixel_y_size DOUBLE NOT NULL,
    CONSTRAINT pk_ttm PRIMARY KEY (table_name, zoom_level),
    CONSTRAINT fk_tmm_table_name FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name));
CREATE TABLE tiles (
    id INTEGER PRIMARY KEY AUTOINCREMENT, zoom_level INTEGER NOT NULL,
    tile_column INTEGER NOT NULL, tile_row INTEGER NOT NULL, tile_data BLOB NOT NULL,
    UNIQUE (zoom_level, tile_column, tile_row));
"""
_EXTENSIONS = """
CREATE TABLE IF NOT EXISTS gpkg_extensions (
    table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL, definition TEXT NOT NULL,
    scope TEXT NOT NULL,
    CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name))
"""
_PUT_EXTENSION = "INSERT OR IGNORE INTO gpkg_extensions VALUES (?, ?, ?, ?, ?)"
_OTHER_ZOOMS = (
    "tile_data",
    "gpkg_zoom_other",
    "http://www.geopackage.org/spec130/#extension_zoom_other_intervals",
    "read-write",
)
_OWN = (
    None,
    "tilecache_times",
    "What the Tile Cache Manager for QGIS keeps of tiles; others may leave it alone",
    "write-only",
)
_UNKNOWN = (
    ("Undefined cartesian SRS", -1, "NONE", -1, "undefined", "undefined cartesian"),
    ("Undefined geographic SRS", 0, "NONE", 0, "undefined", "undefined geographic"),
)
_PUT_SYSTEM = "INSERT OR IGNORE INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, ?)"
_PUT_CONTENTS = """
INSERT INTO gpkg_contents (table_name, data_type, identifier, description, srs_id)
VALUES (?, 'tiles', ?, ?, ?)
"""
# Not INSERT OR REPLACE: other programs' files may lack the keys.
_DROP_SET = "DELETE FROM gpkg_tile_matrix_set WHERE table_name = ?"
_PUT_SET = "INSERT INTO gpkg_tile_matrix_set VALUES (?, ?, ?, ?, ?, ?)"
_DROP_MATRICES = "DELETE FROM gpkg_tile_matrix WHERE table_name = ?"
_PUT_MATRIX = "INSERT INTO gpkg_tile_matrix VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_BOUNDS = """
UPDATE gpkg_contents SET min_x = ?, min_y = ?, max_x = ?, max_y = ?,
    last_change = strftime('%Y-%m-%dT%H:%M:%fZ','now')
WHERE table_name = ?
"""


@dataclass(frozen=True)
class TileTable:
    """The table of tiles called `name` in the file, `srs_id` its CRS there."""

    name: str = _TILES
    srs_id: int = 0

    @property
    def sql(self) -> TableSql:
        return TableSql(quoted(self.name), SAID_TABLE)


def create_geopackage(path: Path, profile: CacheProfile) -> None:
    """Make a GeoPackage without tiles at `path`.

    Zoom levels are the ids of the cached levels of `profile`.
    Raises CannotPack, TargetExists, TargetProblem, ReadOnlyCache, DiskFull.
    """
    profile = replace(profile, storage=StorageFormat.GEOPACKAGE, name=profile.name or path.stem)
    check_can_pack(path, profile)
    matrices = matrices_of(profile)
    if matrices is None:
        raise TargetProblem(str(path), "no tile matrix set")
    with storage_errors(path):
        if path.exists():
            raise TargetExists(str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part, sqlite_errors(path, is_writing=True):
        make_file(part, profile, matrices, said_of(profile))


def make_file(
    path: Path, profile: CacheProfile, matrices: MatrixSet, said: Mapping[str, str]
) -> None:
    """Make a GeoPackage without tiles, that says `said` of itself. Raises sqlite3.Error."""
    table = TileTable(_TILES, profile.scheme.crs.code or 0)
    with closing(create(path)) as file:
        file.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        file.execute(f"PRAGMA user_version = {VERSION}")
        file.execute("BEGIN")
        for statement in filter(str.strip, _TABLES.split(";\n")):
            file.execute(statement)
        file.executemany(_PUT_SYSTEM, [*_UNKNOWN, *_systems(profile.scheme.crs)])
        file.execute(_PUT_CONTENTS, (table.name, profile.name, profile.text, table.srs_id))
        file.execute(table.sql(MAKE_SAID))
        file.execute(TIMES)
        put_rows(file, table.sql, said)
        put_matrices(file, table, profile, matrices)
        put_bounds(file, table, profile, matrices, profile.extent)
        put_own_tables(file)
        file.execute("COMMIT")


def put_matrices(
    file: Connection, table: TileTable, profile: CacheProfile, matrices: MatrixSet
) -> None:
    """Say what tiles each level has."""
    side = profile.scheme.tile_width
    file.execute(_DROP_SET, (table.name,))
    file.execute(_DROP_MATRICES, (table.name,))
    file.execute(_PUT_SET, (table.name, table.srs_id, *matrices.extent.bounds))
    sizes = []
    for zoom, (cols, rows) in sorted(matrices.matrices.items()):
        pixels = matrices.pixel_size(zoom, side)
        file.execute(_PUT_MATRIX, (table.name, zoom, cols, rows, side, side, *pixels))
        sizes.append(pixels[0])
    if any(abs(one / other - 2) > 1e-9 for one, other in zip(sizes, sizes[1:])):
        put_extensions(file, [(table.name, *_OTHER_ZOOMS)])


def put_bounds(
    file: Connection,
    table: TileTable,
    profile: CacheProfile,
    matrices: MatrixSet,
    extent: Extent | None,
) -> None:
    """Say where tiles are: in `extent`, where it is known."""
    bounds = matrices.extent if extent is None else on_pixels(profile.scheme, extent, matrices)
    file.execute(_PUT_BOUNDS, (*bounds.bounds, table.name))


def put_own_tables(file: Connection) -> None:
    """Put down that there are tables of our own, as the standard asks of whoever adds some."""
    put_extensions(file, [(name, *_OWN) for name in (SAID_TABLE, "tile_times")])


def put_extensions(file: Connection, rows: list[tuple[str | None, ...]]) -> None:
    """Put down extensions that are used, once."""
    file.execute(_EXTENSIONS)
    for row in rows:
        known = "SELECT 1 FROM gpkg_extensions WHERE table_name = ? AND extension_name = ?"
        if not file.execute(known, (row[0], row[2])).fetchone():
            file.execute(_PUT_EXTENSION, row)


def said_of(profile: CacheProfile) -> dict[str, str]:
    """What the standard has no place for."""
    said = {
        LEVELS: levels_text(profile.scheme.levels),
        CACHED: json.dumps(profile.cached_ids),
        FORMAT: profile.image_format,
        QUALITY: str(profile.compression_quality),
        DPI: repr(profile.scheme.dpi),
    }
    if profile.extent is not None:
        said[EXTENT] = extent_text(profile.extent)
    return said


def levels_text(levels: tuple[Level, ...]) -> str:
    """Levels with the numbers of their scheme, to the last digit."""
    return json.dumps([[level.id, level.resolution, level.scale] for level in levels])


def extent_text(extent: Extent | None) -> str:
    return "" if extent is None else json.dumps(extent.bounds)


def organization_of(code: int) -> str:
    """Whose code it is."""
    return "EPSG" if code <= _LARGEST_EPSG else "ESRI"


def _systems(crs: SpatialReference) -> list[tuple[str | int, ...]]:
    """The rows of the CRS, and of WGS 84, which every GeoPackage knows."""
    rows: list[tuple[str | int, ...]] = []
    for each in (crs, SpatialReference(4326)):
        code, text = each.code or 0, text_of(each) or "undefined"
        text = "undefined" if is_code_only(text) else text
        kind = "geographic" if is_geographic(each) else "projected"
        who = organization_of(code)
        rows.append((f"{who}:{code}", code, who, code, text, kind))
    return rows
