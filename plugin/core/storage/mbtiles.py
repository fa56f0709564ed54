"""MBTiles: the tiles of a Web Mercator cache in a SQLite file (MBTiles 1.3).

Level ids are zooms. Rows are counted from the bottom in the file, from the top here. Times lie in a
table of our own, which other programs leave alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import (
    CacheInUse,
    DamagedCache,
    DiskFull,
    ReadOnlyCache,
    ReadOnlyReason,
    TileTooLarge,
)
from ..tiling import BUNDLE_TILES, TileRange
from .files import free_bytes, replacing, storage_errors
from .locks import locked
from .mbtiles_metadata import (
    create_mbtiles,
    grow_blocks,
    lasting_rows,
    put_rows,
    read_profile,
    true_rows,
    zooms_on_disk,
)
from .mbtiles_salvage import TIMES, UNTIMED, is_sound, keep_aside, salvage
from .profile import CacheProfile
from .sidecar import work_folder
from .sqlite_file import PATIENCE, SqliteFile
from .store import NO_LEVEL, Bools, Cancelled, Fault, Finding, Floats, Holes, TileStore

__all__ = ["MBTilesStore", "create_mbtiles", "read_mbtiles_profile"]

LARGEST_TILE = 500_000_000
"""Bytes of a tile at most: half of what SQLite takes as a row unless built otherwise."""

_FINEST = 60  # beyond it rows and columns do not fit into SQLite's integers
_LOCK = "mbtiles.lock"
# Written out, each of them: text that is put together is how SQL comes in from outside.
_TILE = "SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?"
_DELETE = "DELETE FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?"
_DELETE_TIME = "DELETE FROM tile_times WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?"
_INSERT = "INSERT INTO tiles (zoom_level, tile_column, tile_row, tile_data) VALUES (?, ?, ?, ?)"
_INSERT_TIME = "INSERT OR REPLACE INTO tile_times VALUES (?, ?, ?, ?)"
_PLACES = """
SELECT tile_row, tile_column FROM tiles
WHERE zoom_level = ? AND tile_column BETWEEN ? AND ? AND tile_row BETWEEN ? AND ?
"""
_PLACE_TIMES = """
SELECT tile_row, tile_column, stored FROM tile_times
WHERE zoom_level = ? AND tile_column BETWEEN ? AND ? AND tile_row BETWEEN ? AND ?
"""
_BUNDLE_ROWS = """
SELECT DISTINCT (? - tile_row) / ? FROM tiles
WHERE zoom_level = ? AND tile_column BETWEEN ? AND ? AND tile_row BETWEEN ? AND ?
"""
_COUNT = """
SELECT count(*) FROM (SELECT DISTINCT tile_column, tile_row FROM tiles
WHERE zoom_level = ? AND tile_column BETWEEN ? AND ? AND tile_row BETWEEN ? AND ?)
"""
_STRAY = """
SELECT tile_row, tile_column FROM tiles WHERE zoom_level = ? AND NOT (
    typeof(tile_column) = 'integer' AND typeof(tile_row) = 'integer'
    AND tile_column BETWEEN 0 AND ? AND tile_row BETWEEN 0 AND ?)
"""
_BLANK = """
SELECT tile_row, tile_column FROM tiles WHERE zoom_level = ? AND (
    tile_data IS NULL OR typeof(tile_data) <> 'blob' OR length(tile_data) = 0)
"""

Integers = NDArray[np.int64]


def read_mbtiles_profile(path: Path) -> CacheProfile:
    """What the file says of itself. Raises NotACache, DamagedCache, CacheInUse."""
    with closing(SqliteFile(path)) as file:
        return read_profile(file, path)


class MBTilesStore(TileStore):
    """The tiles of an MBTiles file.

    `tiles` may be a view, as mbutil and others write it: then the file is only read.
    """

    def __init__(self, path: Path, is_writable: bool = False) -> None:
        """Raises NotACache, DamagedCache, CacheInUse; `is_writable` ReadOnlyCache as well."""
        self.path = path
        self.is_writable = is_writable
        self._file = SqliteFile(path, is_writable)
        try:
            self.profile = read_profile(self._file, path)
            if is_writable:
                self._check_rights()
            tables = self._file.rows("SELECT name FROM sqlite_master")
            self._has_times = ("tile_times",) in tables
        except BaseException:
            self._file.close()
            raise
        self._is_dirty = self._is_damaged = False

    def read(self, level_id: int, row: int, col: int) -> bytes | None:
        if not _is_zoom(level_id):
            return None
        found = self._file.rows(_TILE, level_id, col, _flip(level_id, row))
        if not found or not found[0][0]:
            return None
        content = found[0][0]
        return content if isinstance(content, bytes) else str(content).encode()

    def exists(self, level_id: int, block: TileRange) -> Bools:
        found = np.zeros(_shape(block), dtype=np.bool_)
        rows, cols = self._placed(_PLACES, level_id, block)
        found[rows, cols] = True
        return found

    def times(self, level_id: int, block: TileRange) -> Floats:
        times = np.where(self.exists(level_id, block), self._untimed(), np.nan)
        if self._has_times and _is_zoom(level_id):
            known = self._file.rows(
                _PLACE_TIMES,
                *_limits(level_id, block),
            )
            for row, col, stored in known:
                at = _flip(level_id, row) - block.min_row, col - block.min_col
                if not np.isnan(times[at]):
                    times[at] = stored
        return times

    def blocks(self, level_id: int) -> Iterator[TileRange]:
        if not _is_zoom(level_id):
            return
        last = (1 << level_id) - 1
        # One column of blocks at a time, read whole: an open question would keep writers out.
        next_col: int | None = self._next_column(level_id, 0)
        while next_col is not None:
            first_col = next_col - next_col % BUNDLE_TILES
            last_col = min(first_col + BUNDLE_TILES - 1, last)
            limits = (level_id, first_col, last_col, 0, last)
            for (number,) in self._file.rows(_BUNDLE_ROWS, last, BUNDLE_TILES, *limits):
                first_row = int(number) * BUNDLE_TILES
                yield TileRange(
                    first_row, min(first_row + BUNDLE_TILES - 1, last), first_col, last_col
                )
            next_col = self._next_column(level_id, last_col + 1)

    def level_ids(self) -> tuple[int, ...]:
        return zooms_on_disk(self._file)

    def counts(self, cancelled: Cancelled = lambda: False) -> dict[int, int]:
        counts: dict[int, int] = {}
        for zoom in self.level_ids():
            if not _is_zoom(zoom):
                continue
            last = (1 << zoom) - 1
            found = self._file.rows(_COUNT, zoom, 0, last, 0, last, cancelled=cancelled)
            if not found:
                break
            counts[zoom] = found[0][0]
        return counts

    def write(self, level_id: int, tiles: Mapping[tuple[int, int], bytes]) -> None:
        if not tiles:
            return
        for content in tiles.values():
            if len(content) > LARGEST_TILE:
                raise TileTooLarge(str(self.path), len(content))
        now = time.time()
        places = [(level_id, col, _flip(level_id, row)) for row, col in tiles]
        with self._changing() as file:
            # Not INSERT OR REPLACE: other programs' files may lack the unique index.
            file.executemany(_DELETE, places)
            contents = [(*place, content) for place, content in zip(places, tiles.values())]
            file.executemany(_INSERT, contents)
            file.executemany(_INSERT_TIME, [(*place, now) for place in places])
            grow_blocks(file, level_id, _around(tiles))

    def delete(self, level_id: int, tiles: Collection[tuple[int, int]]) -> int:
        places = [(level_id, col, _flip(level_id, row)) for row, col in tiles]
        deleted = 0
        with self._changing() as file:
            for place in places:
                deleted += file.execute(_DELETE, place).rowcount > 0
            file.executemany(_DELETE_TIME, places)
        return deleted

    def commit(self) -> None:
        """Put zooms and bounds right. Tiles are durable once written."""
        if not self._is_dirty:
            return
        with self._changing() as file:
            put_rows(file, true_rows(self._file, self.profile))
        self._is_dirty = False

    def close(self) -> None:
        self._file.close()

    def file_findings(self, cancelled: Cancelled = lambda: False) -> Iterator[Finding]:
        self._is_damaged = not is_sound(self._file, cancelled)
        if self._is_damaged:
            can = self.is_writable
            yield Finding(Fault.UNREADABLE, NO_LEVEL, self.path.name, None, can, can)

    def findings(self, level_id: int, cancelled: Cancelled = lambda: False) -> Iterator[Finding]:
        known = {level.id for level in self.profile.scheme.levels}
        if level_id not in known:
            yield Finding(Fault.LEVEL, level_id, self.path.name)
        last = (1 << level_id) - 1 if _is_zoom(level_id) else 0
        for row, col in self._file.rows(_STRAY, level_id, last, last, cancelled=cancelled):
            yield self._finding(Fault.STRAY, level_id, row, col)
        for row, col in self._file.rows(_BLANK, level_id, cancelled=cancelled):
            yield self._finding(Fault.PICTURE, level_id, row, col)

    def mend(self, finding: Finding) -> bool:
        """Drop the tile; of a file whose pages are damaged, save what can be read into a new one.

        The old one stays beside it. Until then nothing is changed in such a file.
        """
        if finding.level_id == NO_LEVEL and finding.can_be_mended:
            self._salvage()
            return True
        if finding.tile is None or not _is_zoom(finding.level_id):
            return False
        return self.delete(finding.level_id, [finding.tile]) > 0

    def holes(self, level_id: int, cancelled: Cancelled = lambda: False) -> Iterator[Holes]:
        """The pages nobody uses, told with the coarsest level that there is, once for the file."""
        if level_id != self._first_level():
            return
        (((size,),), ((pages,),), ((free,),)) = (
            self._file.rows(f"PRAGMA {name}")
            for name in ("page_size", "page_count", "freelist_count")
        )
        yield Holes(level_id, self.path.name, size * pages, size * free)

    def defragment(self, holes: Holes) -> int:
        """Write the whole file anew. Raises ReadOnlyCache, CacheInUse, DiskFull."""
        before = self.path.stat().st_size
        wanted = before - holes.unused
        with self._replaced(wanted) as part, closing(SqliteFile(self.path)) as reader:
            reader.rows("VACUUM INTO ?", str(part))
            reader.close()  # before the rename, which Windows would refuse otherwise
        return before - self.path.stat().st_size

    def _salvage(self) -> None:
        """Put a file of all tiles that can be read in this one's place, which keeps another name.

        Raises DamagedCache (nothing can be read), CacheInUse, DiskFull.
        """
        with self._replaced(self.path.stat().st_size) as part:
            salvage(self.path, part)
            keep_aside(self.path)
        self._is_damaged, self._is_dirty = False, True
        self._has_times = ("tile_times",) in self._file.rows("SELECT name FROM sqlite_master")

    @contextmanager
    def _replaced(self, needed: int) -> Iterator[Path]:
        """Where to make a file of about `needed` bytes, which then takes this one's place.

        Nobody writes meanwhile. Raises ReadOnlyCache, CacheInUse, DiskFull.
        """
        self._check_writable()
        with self._alone(), ExitStack() as others_out:
            free = free_bytes(self.path)
            if needed > free:
                raise DiskFull(str(self.path), needed, free)
            self._file.follow()
            others_out.enter_context(self._file.held())
            with replacing(self.path, is_locked=True) as part:
                part.unlink(missing_ok=True)
                yield part
                if os.name == "nt":  # Windows replaces no file that we have open
                    others_out.close()
                    self._file.close()
            # A program that has waited for our lock finds its file gone (SQLITE_READONLY_DBMOVED).
        self._file.follow()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep our other processes out: one of them may put another file in this one's place."""
        lock = work_folder(self.path) / "locks" / _LOCK
        try:
            with locked(lock, PATIENCE, self._is_given_up), storage_errors(self.path):
                yield
        except CacheInUse as error:
            raise CacheInUse(str(self.path)) from error

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        """A transaction on the file that lies at our path now."""
        self._check_writable()
        if self._is_damaged:
            raise DamagedCache(str(self.path), "pages of the database")
        with self._alone():
            self._file.follow()
            modified = self.path.stat().st_mtime
            with self._file.changing() as file:
                if not self._has_times:
                    file.execute("CREATE TABLE IF NOT EXISTS metadata (name text, value text)")
                    file.execute(TIMES)
                    rows = {**lasting_rows(self.profile), UNTIMED: repr(modified)}
                    put_rows(file, rows, only_new=True)
                yield file
            self._has_times = self._is_dirty = True

    def _check_writable(self) -> None:
        if not self.is_writable:
            raise ReadOnlyCache(str(self.path), ReadOnlyReason.RIGHTS)

    def _check_rights(self) -> None:
        """Whether what was opened for writing can be written. Raises ReadOnlyCache."""
        kinds = self._file.rows(
            "SELECT type FROM sqlite_master WHERE lower(name) IN ('tiles', 'metadata')"
        )
        if ("view",) in kinds:
            raise ReadOnlyCache(str(self.path), ReadOnlyReason.FORMAT)
        if not all(os.access(each, os.W_OK) for each in (self.path, self.path.parent)):
            raise ReadOnlyCache(str(self.path), ReadOnlyReason.RIGHTS)

    def _untimed(self) -> float:
        """When tiles without a time of their own were stored, at the latest."""
        said = self._file.rows("SELECT value FROM metadata WHERE name = ?", UNTIMED)
        try:
            return float(said[0][0]) if said else self.path.stat().st_mtime
        except (TypeError, ValueError):
            return self.path.stat().st_mtime

    def _placed(self, query: str, level_id: int, block: TileRange) -> tuple[Integers, Integers]:
        """Rows and columns within `block` that `query` gives."""
        if not _is_zoom(level_id):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        found = self._file.rows(query, *_limits(level_id, block))
        try:
            places = np.array(found, dtype=np.int64).reshape(-1, 2)
        except (TypeError, ValueError, OverflowError) as error:
            raise DamagedCache(str(self.path), "rows that are no numbers") from error
        return _flip(level_id, places[:, 0]) - block.min_row, places[:, 1] - block.min_col

    def _next_column(self, zoom: int, first: int) -> int | None:
        """The first column from `first` on that has tiles."""
        found = self._file.rows(
            "SELECT min(tile_column) FROM tiles"
            " WHERE zoom_level = ? AND tile_column BETWEEN ? AND ?",
            *(zoom, first, (1 << zoom) - 1),
        )
        return None if found[0][0] is None else int(found[0][0])

    def _first_level(self) -> int:
        """The level that what concerns the whole file is told with."""
        return next(iter(self.level_ids() or self.profile.cached_ids), 0)

    def _finding(self, fault: Fault, level_id: int, row: Any, col: Any) -> Finding:
        is_place = isinstance(row, int) and isinstance(col, int) and _is_zoom(level_id)
        tile = (_flip(level_id, row), col) if is_place else None
        can_be_mended = is_place and self.is_writable and not self._is_damaged
        return Finding(fault, level_id, self.path.name, tile, can_be_mended)


def _is_zoom(level_id: int) -> bool:
    return 0 <= level_id <= _FINEST


def _flip(zoom: int, row: Any) -> Any:
    """From rows counted from the top to rows counted from the bottom, and back."""
    return (1 << zoom) - 1 - row


def _limits(zoom: int, block: TileRange) -> tuple[int, ...]:
    """Zoom, first and last column, first and last row of the file for what `block` can hold."""
    last = (1 << zoom) - 1
    max_row, max_col = min(block.max_row, last), min(block.max_col, last)
    rows = _flip(zoom, max_row), _flip(zoom, max(block.min_row, 0))
    return (zoom, max(block.min_col, 0), max_col, *rows)


def _shape(block: TileRange) -> tuple[int, int]:
    return block.max_row - block.min_row + 1, block.max_col - block.min_col + 1


def _around(tiles: Collection[tuple[int, int]]) -> TileRange:
    """The smallest block that holds `tiles`."""
    rows, cols = zip(*tiles)
    return TileRange(min(rows), max(rows), min(cols), max(cols))
