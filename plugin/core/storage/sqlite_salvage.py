"""Saving the tiles of an SQLite file whose pages are damaged, into a new file.

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
from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from ..arrays import whole_numbers
from ..errors import DamagedCache
from .bundle_care import name_aside
from .sqlite_file import SqliteFile, create, sqlite_errors
from .store import Cancelled
from .tile_table_said import put_rows
from .tile_table_sql import (
    INSERT_TIME,
    ROWIDS,
    SAID_BY_ROWID,
    SALVAGED,
    STORED,
    TILE_OF_ROWID,
    TIMES,
    UNTIMED,
    TableSql,
)

MakeFile = Callable[[Path, dict[str, str]], None]


def is_sound(file: SqliteFile, cancelled: Cancelled) -> bool:
    """Whether all pages of the file are as they have to be; yes once `cancelled`."""
    try:
        found = file.rows("PRAGMA integrity_check(1)", cancelled=cancelled)
    except DamagedCache:
        return False
    return not found or bool(found[0][0] == "ok")


def salvage(path: Path, part: Path, sql: TableSql, make_file: MakeFile) -> None:
    """Make the file `part` of all that can be read in the one at `path`.

    `make_file`: makes a file without tiles, given what the old one says. Tiles whose times cannot
    be told count as stored when the file was written last. Raises DamagedCache (no tile can be
    found), and others of `sqlite_errors`.
    """
    modified = path.stat().st_mtime
    with closing(SqliteFile(path)) as file:
        rowids = _rowids(file, sql)
        if not rowids.size:
            raise DamagedCache(str(path), "no tile in it can be read")
        rows = file.readable_rows(sql(SAID_BY_ROWID))
        said = {str(name): str(value) for name, value in rows if name}
        with sqlite_errors(part, is_writing=True):
            make_file(part, said)
            with closing(create(part)) as made:
                made.execute("BEGIN")
                made.executemany(sql(SALVAGED), _tiles(file, sql, rowids))
                if file.readable_rows("SELECT 1 FROM sqlite_master WHERE name = 'tile_times'"):
                    _copy_times(file, made, sql, modified)
                made.execute("COMMIT")


def keep_aside(path: Path) -> Path:
    """Let the file at `path` have a second name, which ends in `.damaged`; gives it."""
    aside = name_aside(path)
    try:
        os.link(path, aside)
    except OSError:  # a disk without links
        shutil.copy2(path, aside)
    return aside


def _rowids(file: SqliteFile, sql: TableSql) -> NDArray[np.int64]:
    """The tiles that can be found in one way or another, ascending."""
    ways = [np.array(file.readable_rows(sql(w)), dtype=np.int64).reshape(-1) for w in ROWIDS]
    rowids: NDArray[np.int64] = np.unique(np.concatenate(ways))
    return rowids


def _tiles(file: SqliteFile, sql: TableSql, rowids: NDArray[np.int64]) -> Iterator[tuple[Any, ...]]:
    for rowid in whole_numbers(rowids):
        for *place, content in file.readable_rows(sql(TILE_OF_ROWID), rowid):
            if all(isinstance(number, int) for number in place) and content:
                yield (*place, content)


def _copy_times(file: SqliteFile, made: Connection, sql: TableSql, modified: float) -> None:
    made.execute(TIMES)
    for way in STORED:
        made.executemany(INSERT_TIME, file.readable_rows(way))
    put_rows(made, sql, {UNTIMED: repr(modified)})
