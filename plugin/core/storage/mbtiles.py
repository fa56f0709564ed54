"""MBTiles: the tiles of a Web Mercator cache in a SQLite file (MBTiles 1.3).

Level ids are zooms. Rows are counted from the bottom in the file, from the top here.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from ..errors import ReadOnlyCache, ReadOnlyReason
from ..tiling import TileRange
from .mbtiles_metadata import (
    SQL,
    create_mbtiles,
    lasting_rows,
    make_file,
    read_profile,
    true_rows,
)
from .profile import CacheProfile
from .sqlite_file import SqliteFile
from .tile_table import LARGEST_TILE, TileTableStore
from .tile_table_said import put_rows

__all__ = ["LARGEST_TILE", "MBTilesStore", "create_mbtiles", "read_mbtiles_profile"]

_FINEST = 60  # beyond it rows and columns do not fit into SQLite's integers
_LOCK = "mbtiles.lock"


def read_mbtiles_profile(path: Path) -> CacheProfile:
    """What the file says of itself. Raises NotACache, DamagedCache, CacheInUse."""
    with closing(SqliteFile(path)) as file:
        return read_profile(file, path)


class MBTilesStore(TileTableStore):
    """The tiles of an MBTiles file.

    `tiles` may be a view, as mbutil and others write it: then the file is only read.
    """

    def __init__(self, path: Path, is_writable: bool = False) -> None:
        """Raises NotACache, DamagedCache, CacheInUse; `is_writable` ReadOnlyCache as well."""
        super().__init__(path, SQL, _LOCK, is_writable)

    def _read(self) -> CacheProfile:
        return read_profile(self._file, self.path)

    def _last(self, level_id: int) -> tuple[int, int] | None:
        last = (1 << level_id) - 1 if 0 <= level_id <= _FINEST else None
        return None if last is None else (last, last)

    def _flip(self, level_id: int, row: Any) -> Any:
        return (1 << level_id) - 1 - row

    def _lasting_rows(self) -> dict[str, str]:
        return lasting_rows(self.profile)

    def _make_room(self, file: Connection, level_id: int, block: TileRange) -> None:
        """All zooms are known."""

    def _tell(self, file: Connection) -> None:
        put_rows(file, SQL, true_rows(self._file, self.profile))

    def _make_file(self, path: Path, said: dict[str, str]) -> None:
        make_file(path, said)

    def _check_rights(self) -> None:
        kinds = self._file.rows(
            "SELECT type FROM sqlite_master WHERE lower(name) IN ('tiles', 'metadata')"
        )
        if ("view",) in kinds:
            raise ReadOnlyCache(str(self.path), ReadOnlyReason.FORMAT)
        super()._check_rights()
