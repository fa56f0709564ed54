"""GeoPackage: the tiles of a cache in a table of a SQLite file (OGC GeoPackage 1.3).

Level ids are zoom levels. Rows are counted from the top, in the file and here.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from ..errors import ReadOnlyCache, ReadOnlyReason, TargetProblem
from ..tiling import TileRange
from .gpkg_matrix import MatrixSet, bounds_of, matrix_set
from .gpkg_profile import extent_of_text, read_found
from .gpkg_tables import (
    CACHED,
    DECLARED,
    EXTENT,
    create_geopackage,
    extent_text,
    make_file,
    put_bounds,
    put_matrices,
    put_own_tables,
    said_of,
)
from .profile import CacheProfile
from .sqlite_file import SqliteFile
from .tile_table import TileTableStore
from .tile_table_said import (
    BLOCKS,
    limits_on_disk,
    put_rows,
    said_in,
    true_extent,
    zooms_on_disk,
)
from .tile_table_sql import TableSql

__all__ = ["GeoPackageStore", "create_geopackage", "read_geopackage_profile"]

_LOCK = "gpkg.lock"
_LARGEST_NUMBER = 2**31 - 1  # of a row or column, for levels that have no matrix
_KIND = "SELECT type FROM sqlite_master WHERE name = ?"
_OTHERS = "SELECT count(*) FROM gpkg_contents"


def read_geopackage_profile(path: Path) -> CacheProfile:
    """What the file says of itself. Raises NotACache, DamagedCache, CacheInUse."""
    with closing(SqliteFile(path)) as file:
        return read_found(file, str(path), path.stem).profile


class GeoPackageStore(TileTableStore):
    """The tiles of a GeoPackage, which has one table of them.

    Other tables, as of features, stay as they are. `tiles` may be a view: then it is only read.
    """

    def __init__(self, path: Path, for_writing: bool = False) -> None:
        """Raises NotACache, DamagedCache, CacheInUse; `for_writing` ReadOnlyCache as well."""
        super().__init__(path, TableSql(), _LOCK, for_writing)

    def _read(self) -> CacheProfile:
        found = read_found(self._file, str(self.path), self.path.stem)
        self._table, self._matrices = found.table, found.matrices
        self._sql = found.table.sql
        return found.profile

    def _last(self, level_id: int) -> tuple[int, int] | None:
        if level_id < 0:
            return None
        largest = (_LARGEST_NUMBER, _LARGEST_NUMBER)
        cols, rows = self._matrices.matrices.get(level_id, largest)
        return rows - 1, cols - 1

    def _flip(self, level_id: int, row: Any) -> Any:
        return row

    def _lasting_rows(self) -> dict[str, str]:
        return said_of(self.profile)

    def _make_room(self, file: Connection, level_id: int, block: TileRange) -> None:
        """Grow the matrices to the right and below, or by a level: their origin stays.

        Raises TargetProblem where that cannot be.
        """
        if self._matrices.holds(level_id, block):
            return
        self._look_again()
        if self._matrices.holds(level_id, block):
            return
        grown = self._grown(level_id, block)
        if grown is None:
            detail = f"a tile of level {level_id} that the tile matrix set has no place for"
            raise TargetProblem(str(self.path), detail)
        put_matrices(file, self._table, self.profile, grown)
        self._matrices = grown

    def _look_again(self) -> None:
        """Another process may have let the matrices grow."""
        self._matrices = read_found(self._file, str(self.path), "").matrices

    def _grown(self, level_id: int, block: TileRange) -> MatrixSet | None:
        """Matrices that hold `block`, too; None where there can be none."""
        scheme, there = self.profile.scheme, self._matrices
        levels = [e for e in scheme.levels if e.id in there.matrices or e.id == level_id]
        level = next((each for each in levels if each.id == level_id), None)
        if level is None or min(block.min_row, block.min_col) < 0:
            return None
        bounds = bounds_of(scheme, level, block)
        wanted = replace(
            there.extent,
            xmax=max(there.extent.xmax, bounds.xmax),
            ymin=min(there.extent.ymin, bounds.ymin),
        )
        return matrix_set(scheme, levels, wanted, is_all=False)

    def _tell(self, file: Connection) -> None:
        self._look_again()
        said = said_in(self._file, self._sql)
        known = {level.id for level in self.profile.scheme.levels}
        zooms = tuple(z for z in zooms_on_disk(self._file, self._sql) if z in known)
        declared = said.get(DECLARED if BLOCKS in said else EXTENT, "")
        extent, blocks = true_extent(
            self.profile, said, zooms, self._block_on_disk, extent_of_text(declared)
        )
        cached = sorted({*self.profile.cached_ids, *zooms})
        rows = {DECLARED: declared, BLOCKS: blocks, EXTENT: extent_text(extent)}
        put_rows(file, self._sql, {**rows, CACHED: str(cached)})
        put_bounds(file, self._table, self.profile, self._matrices, extent)
        put_own_tables(file)

    def _block_on_disk(self, level_id: int) -> TileRange | None:
        last_row, last_col = self._last(level_id) or (0, 0)
        return limits_on_disk(self._file, self._sql, level_id, last_row, last_col)

    def _make_file(self, path: Path, said: dict[str, str]) -> None:
        make_file(path, self.profile, self._matrices, {**said_of(self.profile), **said})

    def _can_be_saved(self) -> bool:
        """Features and other tables of the file would be lost."""
        rows = self._file.readable_rows(_OTHERS)
        return bool(rows) and rows[0][0] == 1 and self._table.name == "tiles"

    def _check_rights(self) -> None:
        if ("view",) in self._file.rows(_KIND, self._table.name):
            raise ReadOnlyCache(str(self.path), ReadOnlyReason.FORMAT)
        super()._check_rights()
