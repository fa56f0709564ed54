"""What stands in names and values beside a table of tiles: which blocks were written, and so on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple
from sqlite3 import Connection
from typing import Callable, Optional

from ..tiling import Extent, Level, TileRange
from .data_extent import extent_of_blocks
from .profile import CacheProfile
from .sqlite_file import SqliteFile
from .tile_table_sql import LIMITS, NEXT_ZOOM, SAID, SAID_OF, SAMPLE, SAY, UNSAY, TableSql

BLOCKS = "tilecache:blocks"
"""Name of what is said: the block of each zoom outside of which nothing was written."""

_MOST_ZOOMS = 1000  # more are no tiles but somebody's joke

BlockOf = Callable[[int], Optional[TileRange]]


def said_in(file: SqliteFile, sql: TableSql) -> dict[str, str]:
    """All that is said; of what is said twice, the last."""
    return {str(name): str(value) for name, value in file.rows(sql(SAID)) if value is not None}


def put_rows(
    connection: Connection, sql: TableSql, said: Mapping[str, str], *, only_new: bool = False
) -> None:
    """Say `said`, in place of what its names said before.

    `only_new`: but leave alone what is said already.
    """
    for name, value in said.items():
        if only_new and connection.execute(sql(SAID_OF), (name,)).fetchone():
            continue
        connection.execute(sql(UNSAY), (name,))
        connection.execute(sql(SAY), (name, value))


def sample_of(file: SqliteFile, sql: TableSql) -> bytes:
    """One of the tiles; no bytes where there is none that can be read."""
    rows = file.readable_rows(sql(SAMPLE))
    return rows[0][0] if rows and isinstance(rows[0][0], bytes) else b""


def zooms_on_disk(file: SqliteFile, sql: TableSql) -> tuple[int, ...]:
    """The zooms that have tiles, ascending, also such as no scheme knows."""
    zooms: list[int] = []
    # The next greater one each time, which the index answers at once however many tiles there are.
    while len(zooms) < _MOST_ZOOMS:
        found = file.rows(sql(NEXT_ZOOM), zooms[-1] if zooms else -(1 << 63))
        if not found or found[0][0] is None:
            break
        zooms.append(found[0][0])
    return tuple(zooms)


def limits_on_disk(
    file: SqliteFile, sql: TableSql, zoom: int, last_row: int, last_col: int
) -> TileRange | None:
    """The block that the tiles of a zoom fill, its rows as in the file; None without any."""
    found = file.rows(sql(LIMITS), zoom, last_col, last_row)
    if not found or found[0][0] is None:
        return None
    min_col, max_col, min_row, max_row = map(int, found[0])
    return TileRange(min_row, max_row, min_col, max_col)


def grow_blocks(connection: Connection, sql: TableSql, zoom: int, block: TileRange) -> None:
    """Put down that tiles were written in `block`, for `true_extent` to know, whoever asks it.

    Where nothing is put down yet it looks for itself.
    """
    said = connection.execute(sql(SAID_OF), (BLOCKS,)).fetchone()
    if said is None:
        return
    blocks = _blocks(str(said[0]))
    grown = _union(blocks.get(zoom), block)
    if grown != blocks.get(zoom):
        put_rows(connection, sql, {BLOCKS: _blocks_text({**blocks, zoom: grown})})


def true_extent(
    profile: CacheProfile,
    said: Mapping[str, str],
    zooms: tuple[int, ...],
    block_on_disk: BlockOf,
    declared: Extent | None,
) -> tuple[Extent | None, str]:
    """Where tiles are, now that some were written; and the blocks of `zooms`, to be put down.

    It is `declared`, what the file was made with, grown to hold all tiles; it does not shrink with
    tiles that are deleted. None where there is neither.
    """
    known: dict[int, Level] = {level.id: level for level in profile.scheme.levels}
    blocks = _blocks(said[BLOCKS]) if BLOCKS in said else {z: block_on_disk(z) for z in zooms}
    here = {zoom: block for zoom, block in blocks.items() if zoom in zooms and block is not None}
    of_levels = {known[zoom]: block for zoom, block in here.items()}
    return extent_of_blocks(profile.scheme, of_levels, declared), _blocks_text(here)


def _blocks_text(blocks: Mapping[int, TileRange | None]) -> str:
    return json.dumps({zoom: astuple(block) for zoom, block in blocks.items() if block})


def _blocks(text: str) -> dict[int, TileRange | None]:
    """What was put down of each zoom; nothing of what cannot be read."""
    try:
        return {int(zoom): TileRange(*map(int, block)) for zoom, block in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _union(one: TileRange | None, other: TileRange) -> TileRange:
    if one is None:
        return other
    return TileRange(
        min(one.min_row, other.min_row),
        max(one.max_row, other.max_row),
        min(one.min_col, other.min_col),
        max(one.max_col, other.max_col),
    )
