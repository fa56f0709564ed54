"""Tiles in a table of an SQLite file: what MBTiles and GeoPackage have in common.

Times lie in a table of our own, which other programs leave alone.
"""

from __future__ import annotations

import os
import time
from abc import abstractmethod
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
from . import tile_table_sql as texts
from .files import free_bytes, replacing, storage_errors
from .locks import locked
from .profile import CacheProfile
from .sidecar import work_folder
from .sqlite_file import PATIENCE, SqliteFile
from .sqlite_salvage import is_sound, keep_aside, salvage
from .store import NO_LEVEL, Bools, Cancelled, Fault, Finding, Floats, Holes, TileStore
from .tile_table_said import grow_blocks, put_rows, zooms_on_disk
from .tile_table_sql import TableSql

LARGEST_TILE = 500_000_000
"""Bytes of a tile at most: half of what SQLite takes as a row unless built otherwise."""

Integers = NDArray[np.int64]


class TileTableStore(TileStore):
    """The tiles of a table with a row for each."""

    def __init__(self, path: Path, sql: TableSql, lock_name: str, is_writable: bool) -> None:
        """Raises what `_read` and `_check_rights` do.

        `sql`: knows the tables. `lock_name`: of the file by which our processes keep each other
        out.
        """
        self.path = path
        self.is_writable = is_writable
        self._sql = sql
        self._lock_name = lock_name
        self._file = SqliteFile(path, is_writable)
        try:
            self.profile = self._read()
            if is_writable:
                self._check_rights()
            self._has_times = ("tile_times",) in self._file.rows(texts.TABLES)
        except BaseException:
            self._file.close()
            raise
        self._is_dirty = self._is_damaged = False

    # What the formats differ in

    @abstractmethod
    def _read(self) -> CacheProfile:
        """What the file says of itself. Raises NotACache, DamagedCache, HostileFile."""

    @abstractmethod
    def _last(self, level_id: int) -> tuple[int, int] | None:
        """Row and column of the level's last tile; None for what is no level of the format."""

    @abstractmethod
    def _flip(self, level_id: int, row: Any) -> Any:
        """From rows as we count them to rows as the file does, and back."""

    @abstractmethod
    def _lasting_rows(self) -> dict[str, str]:
        """What a file of others may have left to guess from its tiles, which are to change."""

    @abstractmethod
    def _make_room(self, file: Connection, level_id: int, block: TileRange) -> None:
        """Before tiles of `block` are written: have the file know of such tiles."""

    @abstractmethod
    def _tell(self, file: Connection) -> None:
        """Let the file tell the truth about zooms and bounds, now that tiles were written."""

    @abstractmethod
    def _make_file(self, path: Path, said: dict[str, str]) -> None:
        """Make a file without tiles for those that were saved, that says `said`."""

    # Reading

    def read(self, level_id: int, row: int, col: int) -> bytes | None:
        if self._last(level_id) is None:
            return None
        found = self._rows(texts.TILE, level_id, col, self._flip(level_id, row))
        if not found or not found[0][0]:
            return None
        content = found[0][0]
        return content if isinstance(content, bytes) else str(content).encode()

    def exists(self, level_id: int, block: TileRange) -> Bools:
        found = np.zeros(_shape(block), dtype=np.bool_)
        rows, cols = self._placed(texts.PLACES, level_id, block)
        found[rows, cols] = True
        return found

    def times(self, level_id: int, block: TileRange) -> Floats:
        times = np.where(self.exists(level_id, block), self._untimed(), np.nan)
        limits = self._limits(level_id, block)
        if self._has_times and limits is not None:
            for row, col, stored in self._rows(texts.PLACE_TIMES, *limits):
                at = self._flip(level_id, row) - block.min_row, col - block.min_col
                if not np.isnan(times[at]):
                    times[at] = stored
        return times

    def blocks(self, level_id: int) -> Iterator[TileRange]:
        last = self._last(level_id)
        if last is None:
            return
        last_row, last_col = last
        top = self._flip(level_id, 0)
        # One column of blocks at a time, read whole: an open question would keep writers out.
        next_col: int | None = self._next_column(level_id, 0, last_col)
        while next_col is not None:
            first_col = next_col - next_col % BUNDLE_TILES
            end_col = min(first_col + BUNDLE_TILES - 1, last_col)
            limits = (level_id, first_col, end_col, 0, last_row)
            for (number,) in self._rows(texts.BUNDLE_ROWS, top, BUNDLE_TILES, *limits):
                first_row = int(number) * BUNDLE_TILES
                end_row = min(first_row + BUNDLE_TILES - 1, last_row)
                yield TileRange(first_row, end_row, first_col, end_col)
            next_col = self._next_column(level_id, end_col + 1, last_col)

    def level_ids(self) -> tuple[int, ...]:
        return zooms_on_disk(self._file, self._sql)

    def counts(self, cancelled: Cancelled = lambda: False) -> dict[int, int]:
        counts: dict[int, int] = {}
        for zoom in self.level_ids():
            last = self._last(zoom)
            if last is None:
                continue
            limits = (zoom, 0, last[1], 0, last[0])
            found = self._rows(texts.COUNT, *limits, cancelled=cancelled)
            if not found:
                break
            counts[zoom] = found[0][0]
        return counts

    # Writing

    def write(self, level_id: int, tiles: Mapping[tuple[int, int], bytes]) -> None:
        if not tiles:
            return
        for content in tiles.values():
            if len(content) > LARGEST_TILE:
                raise TileTooLarge(str(self.path), len(content))
        now, block = time.time(), _around(tiles)
        with self._changing() as file:
            self._make_room(file, level_id, block)
            places = [(level_id, col, self._flip(level_id, row)) for row, col in tiles]
            # Not INSERT OR REPLACE: other programs' files may lack the unique index.
            file.executemany(self._sql(texts.DELETE), places)
            contents = [(*place, content) for place, content in zip(places, tiles.values())]
            file.executemany(self._sql(texts.INSERT), contents)
            file.executemany(texts.INSERT_TIME, [(*place, now) for place in places])
            grow_blocks(file, self._sql, level_id, block)

    def delete(self, level_id: int, tiles: Collection[tuple[int, int]]) -> int:
        places = [(level_id, col, self._flip(level_id, row)) for row, col in tiles]
        deleted = 0
        with self._changing() as file:
            for place in places:
                deleted += file.execute(self._sql(texts.DELETE), place).rowcount > 0
            file.executemany(texts.DELETE_TIME, places)
        return deleted

    def commit(self) -> None:
        """Put zooms and bounds right. Tiles are durable once written."""
        if not self._is_dirty:
            return
        with self._changing() as file:
            self._tell(file)
        self._is_dirty = False

    def close(self) -> None:
        self._file.close()

    # Care

    def file_findings(self, cancelled: Cancelled = lambda: False) -> Iterator[Finding]:
        self._is_damaged = not is_sound(self._file, cancelled)
        if self._is_damaged:
            can = self.is_writable and self._can_be_saved()
            yield Finding(Fault.UNREADABLE, NO_LEVEL, self.path.name, None, can, can)

    def findings(self, level_id: int, cancelled: Cancelled = lambda: False) -> Iterator[Finding]:
        known = {level.id for level in self.profile.scheme.levels}
        if level_id not in known:
            yield Finding(Fault.LEVEL, level_id, self.path.name)
        last_row, last_col = self._last(level_id) or (0, 0)
        stray = self._rows(texts.STRAY, level_id, last_col, last_row, cancelled=cancelled)
        for row, col in stray:
            yield self._finding(Fault.STRAY, level_id, row, col)
        for row, col in self._rows(texts.BLANK, level_id, cancelled=cancelled):
            yield self._finding(Fault.PICTURE, level_id, row, col)

    def mend(self, finding: Finding) -> bool:
        """Drop the tile; of a file whose pages are damaged, save what can be read into a new one.

        The old one stays beside it. Until then nothing is changed in such a file.
        """
        if finding.level_id == NO_LEVEL and finding.can_be_mended:
            self._salvage()
            return True
        if finding.tile is None or self._last(finding.level_id) is None:
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

    # Inside

    def _can_be_saved(self) -> bool:
        """Whether a file of the tiles that can be read would be all that this one is."""
        return True

    def _salvage(self) -> None:
        """Put a file of all tiles that can be read in this one's place, which keeps another name.

        Raises DamagedCache (nothing can be read), CacheInUse, DiskFull.
        """
        with self._replaced(self.path.stat().st_size) as part:
            salvage(self.path, part, self._sql, self._make_file)
            keep_aside(self.path)
        self._is_damaged, self._is_dirty = False, True
        self._has_times = ("tile_times",) in self._file.rows(texts.TABLES)

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
        lock = work_folder(self.path) / "locks" / self._lock_name
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
                    file.execute(self._sql(texts.MAKE_SAID))
                    file.execute(texts.TIMES)
                    rows = {**self._lasting_rows(), texts.UNTIMED: repr(modified)}
                    put_rows(file, self._sql, rows, only_new=True)
                yield file
            self._has_times = self._is_dirty = True

    def _check_writable(self) -> None:
        if not self.is_writable:
            raise ReadOnlyCache(str(self.path), ReadOnlyReason.RIGHTS)

    def _check_rights(self) -> None:
        """Whether what was opened for writing can be written. Raises ReadOnlyCache."""
        if not all(os.access(each, os.W_OK) for each in (self.path, self.path.parent)):
            raise ReadOnlyCache(str(self.path), ReadOnlyReason.RIGHTS)

    def _rows(self, text: str, *values: Any, cancelled: Cancelled | None = None) -> list[Any]:
        """What one of the texts of our tables gives."""
        return self._file.rows(self._sql(text), *values, cancelled=cancelled)

    def _untimed(self) -> float:
        """When tiles without a time of their own were stored, at the latest."""
        said = self._rows(texts.SAID_OF, texts.UNTIMED) if self._has_times else []
        try:
            return float(said[0][0]) if said else self.path.stat().st_mtime
        except (TypeError, ValueError):
            return self.path.stat().st_mtime

    def _placed(self, text: str, level_id: int, block: TileRange) -> tuple[Integers, Integers]:
        """Rows and columns within `block` that `text` gives."""
        limits = self._limits(level_id, block)
        if limits is None:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        found = self._rows(text, *limits)
        try:
            places = np.array(found, dtype=np.int64).reshape(-1, 2)
        except (TypeError, ValueError, OverflowError) as error:
            raise DamagedCache(str(self.path), "rows that are no numbers") from error
        return self._flip(level_id, places[:, 0]) - block.min_row, places[:, 1] - block.min_col

    def _limits(self, level_id: int, block: TileRange) -> tuple[int, ...] | None:
        """Zoom, first and last column, first and last row of the file for what `block` can hold.

        None for what is no level, or where nothing of `block` can be.
        """
        last = self._last(level_id)
        if last is None:
            return None
        min_row, max_row = max(block.min_row, 0), min(block.max_row, last[0])
        min_col, max_col = max(block.min_col, 0), min(block.max_col, last[1])
        if min_row > max_row or min_col > max_col:
            return None
        rows = sorted((self._flip(level_id, min_row), self._flip(level_id, max_row)))
        return (level_id, min_col, max_col, *rows)

    def _next_column(self, zoom: int, first: int, last: int) -> int | None:
        """The first column from `first` to `last` that has tiles."""
        found = self._rows(texts.NEXT_COLUMN, zoom, first, last)
        return None if found[0][0] is None else int(found[0][0])

    def _first_level(self) -> int:
        """The level that what concerns the whole file is told with."""
        return next(iter(self.level_ids() or self.profile.cached_ids), 0)

    def _finding(self, fault: Fault, level_id: int, row: Any, col: Any) -> Finding:
        is_level = self._last(level_id) is not None
        is_place = isinstance(row, int) and isinstance(col, int) and is_level
        tile = (self._flip(level_id, row), col) if is_place else None
        can_be_mended = is_place and self.is_writable and not self._is_damaged
        return Finding(fault, level_id, self.path.name, tile, can_be_mended)


def _shape(block: TileRange) -> tuple[int, int]:
    return block.max_row - block.min_row + 1, block.max_col - block.min_col + 1


def _around(tiles: Collection[tuple[int, int]]) -> TileRange:
    """The smallest block that holds `tiles`."""
    rows, cols = zip(*tiles)
    return TileRange(min(rows), max(rows), min(cols), max(cols))
