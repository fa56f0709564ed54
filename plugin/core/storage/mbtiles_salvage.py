"""Saving the tiles of an MBTiles file whose pages are damaged, into a new file.

Nothing is ever written into such a file: SQLite follows its pages where they lead, and tears at
what is whole. What can be read is copied: by way of the index and by way of the table, from either
end, up to what is damaged; then tile by tile.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import whole_numbers
from ..errors import DamagedCache
from .bundle_care import name_aside
from .mbtiles_metadata import make_file, put_rows
from .sqlite_file import SqliteFile, create, sqlite_errors
from .store import Cancelled

UNTIMED = "tilecache:untimed"
"""Row of the metadata: tiles without a time of their own were stored before this one."""

TIMES = """
CREATE TABLE IF NOT EXISTS tile_times (
    zoom_level integer, tile_column integer, tile_row integer, stored real,
    PRIMARY KEY (zoom_level, tile_column, tile_row)) WITHOUT ROWID
"""
_WAYS = (
    "SELECT rowid FROM tiles ORDER BY zoom_level, tile_column, tile_row",
    "SELECT rowid FROM tiles ORDER BY zoom_level DESC, tile_column DESC, tile_row DESC",
    "SELECT rowid FROM tiles NOT INDEXED ORDER BY rowid",
    "SELECT rowid FROM tiles NOT INDEXED ORDER BY rowid DESC",
)
_TILE = "SELECT zoom_level, tile_column, tile_row, tile_data FROM tiles WHERE rowid = ?"
_PUT = "INSERT OR REPLACE INTO tiles VALUES (?, ?, ?, ?)"
_SAID = "SELECT name, value FROM metadata ORDER BY rowid"
_STORED = (
    "SELECT zoom_level, tile_column, tile_row, stored FROM tile_times"
    " ORDER BY zoom_level, tile_column, tile_row",
    "SELECT zoom_level, tile_column, tile_row, stored FROM tile_times"
    " ORDER BY zoom_level DESC, tile_column DESC, tile_row DESC",
)
_PUT_TIME = "INSERT OR REPLACE INTO tile_times VALUES (?, ?, ?, ?)"


def is_sound(file: SqliteFile, cancelled: Cancelled) -> bool:
    """Whether all pages of the file are as they have to be; yes once `cancelled`."""
    try:
        found = file.rows("PRAGMA integrity_check(1)", cancelled=cancelled)
    except DamagedCache:
        return False
    return not found or bool(found[0][0] == "ok")


def salvage(path: Path, part: Path) -> None:
    """Make the file `part` of all that can be read in the one at `path`.

    Tiles whose times cannot be told count as stored when the file was written last. Raises
    DamagedCache (no tile can be found), and others of `sqlite_errors`.
    """
    modified = path.stat().st_mtime
    with closing(SqliteFile(path)) as file:
        rowids = _rowids(file)
        if not rowids.size:
            raise DamagedCache(str(path), "no tile in it can be read")
        said = {str(name): str(value) for name, value in file.readable_rows(_SAID) if name}
        with sqlite_errors(part, is_writing=True):
            make_file(part, said)
            with closing(create(part)) as made:
                made.execute("BEGIN")
                made.executemany(_PUT, _tiles(file, rowids))
                if file.readable_rows("SELECT 1 FROM sqlite_master WHERE name = 'tile_times'"):
                    _copy_times(file, made, modified)
                made.execute("COMMIT")


def keep_aside(path: Path) -> Path:
    """Let the file at `path` have a second name, which ends in `.damaged`; gives it."""
    aside = name_aside(path)
    try:
        os.link(path, aside)
    except OSError:  # a disk without links
        shutil.copy2(path, aside)
    return aside


def _rowids(file: SqliteFile) -> NDArray[np.int64]:
    """The tiles that can be found in one way or another, ascending."""
    ways = [np.array(file.readable_rows(way), dtype=np.int64).reshape(-1) for way in _WAYS]
    rowids: NDArray[np.int64] = np.unique(np.concatenate(ways))
    return rowids


def _tiles(file: SqliteFile, rowids: NDArray[np.int64]) -> Iterator[tuple[Any, ...]]:
    for rowid in whole_numbers(rowids):
        for *place, content in file.readable_rows(_TILE, rowid):
            if all(isinstance(number, int) for number in place) and content:
                yield (*place, content)


def _copy_times(file: SqliteFile, made: Connection, modified: float) -> None:
    made.execute(TIMES)
    for way in _STORED:
        made.executemany(_PUT_TIME, file.readable_rows(way))
    put_rows(made, {UNTIMED: repr(modified)})
