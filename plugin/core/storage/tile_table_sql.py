"""The SQL of a table of tiles, and of the table of names and values beside it.

MBTiles and GeoPackage have the same columns: zoom_level, tile_column, tile_row, tile_data. What the
two tables are called differs, so their names stand in the texts as {tiles} and {said}.
"""

from __future__ import annotations

from dataclasses import dataclass

UNTIMED = "tilecache:untimed"
"""Name of what is said: tiles without a time of their own were stored before this one."""

TIMES = """
CREATE TABLE IF NOT EXISTS tile_times (
    zoom_level integer, tile_column integer, tile_row integer, stored real,
    PRIMARY KEY (zoom_level, tile_column, tile_row)) WITHOUT ROWID
"""
TABLES = "SELECT name FROM sqlite_master"
TILE = "SELECT tile_data FROM {tiles} WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?"
DELETE = "DELETE FROM {tiles} WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?"
DELETE_TIME = "DELETE FROM tile_times WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?"
INSERT = "INSERT INTO {tiles} (zoom_level, tile_column, tile_row, tile_data) VALUES (?, ?, ?, ?)"
INSERT_TIME = "INSERT OR REPLACE INTO tile_times VALUES (?, ?, ?, ?)"
PLACES = """
SELECT tile_row, tile_column FROM {tiles}
WHERE zoom_level = ? AND tile_column BETWEEN ? AND ? AND tile_row BETWEEN ? AND ?
"""
PLACE_TIMES = """
SELECT tile_row, tile_column, stored FROM tile_times
WHERE zoom_level = ? AND tile_column BETWEEN ? AND ? AND tile_row BETWEEN ? AND ?
"""
BUNDLE_ROWS = """
SELECT DISTINCT abs(? - tile_row) / ? FROM {tiles}
WHERE zoom_level = ? AND tile_column BETWEEN ? AND ? AND tile_row BETWEEN ? AND ?
"""
NEXT_COLUMN = """
SELECT min(tile_column) FROM {tiles} WHERE zoom_level = ? AND tile_column BETWEEN ? AND ?
"""
NEXT_ZOOM = """
SELECT min(zoom_level) FROM {tiles} WHERE zoom_level > ? AND typeof(zoom_level) = 'integer'
"""
LIMITS = """
SELECT min(tile_column), max(tile_column), min(tile_row), max(tile_row) FROM {tiles}
WHERE zoom_level = ? AND tile_column BETWEEN 0 AND ? AND tile_row BETWEEN 0 AND ?
"""
COUNT = """
SELECT count(*) FROM (SELECT DISTINCT tile_column, tile_row FROM {tiles}
WHERE zoom_level = ? AND tile_column BETWEEN ? AND ? AND tile_row BETWEEN ? AND ?)
"""
STRAY = """
SELECT tile_row, tile_column FROM {tiles} WHERE zoom_level = ? AND NOT (
    typeof(tile_column) = 'integer' AND typeof(tile_row) = 'integer'
    AND tile_column BETWEEN 0 AND ? AND tile_row BETWEEN 0 AND ?)
"""
BLANK = """
SELECT tile_row, tile_column FROM {tiles} WHERE zoom_level = ? AND (
    tile_data IS NULL OR typeof(tile_data) <> 'blob' OR length(tile_data) = 0)
"""
SAMPLE = "SELECT tile_data FROM {tiles} WHERE length(tile_data) > 0 LIMIT 1"

MAKE_SAID = "CREATE TABLE IF NOT EXISTS {said} (name text, value text)"
SAID = "SELECT name, value FROM {said}"
SAID_BY_ROWID = "SELECT name, value FROM {said} ORDER BY rowid"
SAID_OF = "SELECT value FROM {said} WHERE name = ?"
UNSAY = "DELETE FROM {said} WHERE name = ?"
SAY = "INSERT INTO {said} (name, value) VALUES (?, ?)"

ROWIDS = (
    "SELECT rowid FROM {tiles} ORDER BY zoom_level, tile_column, tile_row",
    "SELECT rowid FROM {tiles} ORDER BY zoom_level DESC, tile_column DESC, tile_row DESC",
    "SELECT rowid FROM {tiles} NOT INDEXED ORDER BY rowid",
    "SELECT rowid FROM {tiles} NOT INDEXED ORDER BY rowid DESC",
)
TILE_OF_ROWID = "SELECT zoom_level, tile_column, tile_row, tile_data FROM {tiles} WHERE rowid = ?"
SALVAGED = """
INSERT OR REPLACE INTO {tiles} (zoom_level, tile_column, tile_row, tile_data) VALUES (?, ?, ?, ?)
"""
STORED = (
    "SELECT zoom_level, tile_column, tile_row, stored FROM tile_times"
    " ORDER BY zoom_level, tile_column, tile_row",
    "SELECT zoom_level, tile_column, tile_row, stored FROM tile_times"
    " ORDER BY zoom_level DESC, tile_column DESC, tile_row DESC",
)


@dataclass(frozen=True)
class TableSql:
    """Puts the names of the two tables, as SQL writes them, into a text."""

    tiles: str = "tiles"
    said: str = "metadata"

    def __call__(self, text: str) -> str:
        return text.replace("{tiles}", self.tiles).replace("{said}", self.said)


def quoted(name: str) -> str:
    """A table's name as SQL writes it, whatever letters it has (SQLite, lang_keywords)."""
    return '"' + name.replace('"', '""') + '"'
