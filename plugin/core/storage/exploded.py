"""Exploded caches: each tile a file, `Lnn/Rrrrrrrrr/Ccccccccc.png` or `.jpg`.

Row and column have eight hexadecimal digits, in lower case (mapproxy/mapproxy:
mapproxy/cache/path.py). Read are other cases as well, and `.jpeg`. A file of no bytes, as loss of
power may leave it, is no tile.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np

from ..errors import CacheInUse, DamagedCache, ReadOnlyCache, ReadOnlyReason
from ..tiling import BUNDLE_TILES, TileRange, bundle_of
from .bundled import Place, block_of, only_place
from .byte_range import OpenFile, reading_errors
from .extent_file import extent_file_findings, is_extent_file, mend_extent_file
from .files import PART, replacing, storage_errors, sync_file, sync_folder
from .level_folders import LevelFolders, entries_of, level_folder_name
from .locks import locked
from .pictures import picture_facts
from .profile import CacheProfile
from .store import Bools, Cancelled, Fault, Finding, Floats, Holes, TileStore

LOCK_PATIENCE = 60.0  # seconds

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_SUFFIXES = (".png", ".jpg", ".jpeg")
_ROW = re.compile(r"R([0-9a-f]{8})", re.IGNORECASE)
_COLUMN = re.compile(r"C([0-9a-f]{8})\.(?:png|jpe?g)", re.IGNORECASE)
_SHORT_ROW = 4 * BUNDLE_TILES
"""Up to so many files a row is listed; of a longer one, each tile is asked for."""


class ExplodedStore(TileStore):
    """The exploded cache at `path`, whose level folders lie in `tiles_folder`.

    `work`: our own folder for it (`sidecar.work_folder`), which holds the locks, one for each block
    of 128 x 128 tiles. Tiles are written under another name, then renamed: safe against the death
    of the process; against loss of power after `commit`.
    """

    def __init__(
        self,
        path: Path,
        profile: CacheProfile,
        tiles_folder: Path,
        work: Path,
        is_writable: bool = True,
    ) -> None:
        self.path = path
        self.profile = profile
        self.is_writable = is_writable
        self._folders = LevelFolders(tiles_folder)
        self._work = work
        self._unusual: dict[int, dict[int, str]] = {}
        self._written: set[Path] = set()
        self._changed: set[Path] = set()

    # Reading

    def read(self, level_id: int, row: int, col: int) -> bytes | None:
        folder = self._row_folder(level_id, row)
        for name in _names_of(col):
            path = folder / name
            try:
                with reading_errors(path), OpenFile(path) as file:
                    content = file.read(0, file.size)
            except FileNotFoundError:
                continue
            if content:
                return content
        return None

    def exists(self, level_id: int, block: TileRange) -> Bools:
        found = np.zeros(_shape(block), dtype=np.bool_)
        for row, col, _ in self._tiles_of(level_id, block):
            found[row - block.min_row, col - block.min_col] = True
        return found

    def times(self, level_id: int, block: TileRange) -> Floats:
        found = np.full(_shape(block), np.nan)
        for row, col, modified in self._tiles_of(level_id, block):
            found[row - block.min_row, col - block.min_col] = modified
        return found

    def blocks(self, level_id: int) -> Iterator[TileRange]:
        bands: dict[int, list[Path]] = {}
        for row, folder in self._rows(level_id):
            bands.setdefault(bundle_of(row, 0)[0], []).append(folder)
        for first_row, folders in bands.items():
            columns = {
                bundle_of(0, col)[1]
                for folder in folders
                for entry in entries_of(folder)
                if (col := _column_of(entry.name)) is not None
            }
            yield from (block_of((first_row, first_col)) for first_col in columns)

    def level_ids(self) -> tuple[int, ...]:
        return self._folders.ids()

    def counts(self, cancelled: Cancelled = lambda: False) -> dict[int, int]:
        counts: dict[int, int] = {}
        for level_id in self.level_ids():
            for _, folder in self._rows(level_id):
                if cancelled():
                    return counts
                columns = {_column_of(entry.name) for entry in _files_in(folder)}
                counts[level_id] = counts.get(level_id, 0) + len(columns - {None})
        return counts

    def _tiles_of(self, level_id: int, block: TileRange) -> Iterator[tuple[int, int, float]]:
        """Row, column and time of the tiles there are in `block`."""
        for row in range(block.min_row, block.max_row + 1):
            folder = self._row_folder(level_id, row)
            for col, modified in _tiles_in(folder, block.min_col, block.max_col):
                yield row, col, modified

    def _rows(self, level_id: int) -> Iterator[tuple[int, Path]]:
        """Rows of a level and their folders; where a row has two, the one with the usual name."""
        folder = self._folders.path(level_id)
        for entry in entries_of(folder):
            found = _ROW.fullmatch(entry.name)
            if found and entry.is_dir():
                row = int(found[1], 16)
                if self._row_folder(level_id, row).name.lower() == entry.name.lower():
                    yield row, folder / entry.name

    def _row_folder(self, level_id: int, row: int) -> Path:
        """The folder of a row: the one there is, also under an unusual name, or would be."""
        folder = self._folders.path(level_id)
        usual = folder / f"R{row:08x}"
        unusual = self._unusual_rows(level_id, folder).get(row)
        return usual if unusual is None or usual.exists() else folder / unusual

    def _unusual_rows(self, level_id: int, folder: Path) -> dict[int, str]:
        """Names of row folders not in lower case, as they were when first asked for."""
        if level_id not in self._unusual:
            names: dict[int, str] = {}
            for entry in entries_of(folder):
                found = _ROW.fullmatch(entry.name)
                if found and entry.name != f"R{int(found[1], 16):08x}":
                    names[int(found[1], 16)] = entry.name
            self._unusual[level_id] = names
        return self._unusual[level_id]

    # Writing

    def write(self, level_id: int, tiles: Mapping[tuple[int, int], bytes]) -> None:
        self._check_writable()
        if not tiles:
            return
        if not all(tiles.values()):
            raise ValueError("a tile of no bytes cannot be told from none")
        with self._locked_block(level_id, only_place(tiles)):
            for (row, col), content in tiles.items():
                self._write_tile(self._row_folder(level_id, row), col, content)

    def delete(self, level_id: int, tiles: Collection[tuple[int, int]]) -> int:
        self._check_writable()
        if not tiles:
            return 0
        with self._locked_block(level_id, only_place(tiles)):
            return sum(self._delete_tile(self._row_folder(level_id, row), col)
                       for row, col in set(tiles))  # fmt: skip

    def commit(self) -> None:
        while self._written:
            path = self._written.pop()
            with storage_errors(path):
                if path.exists():
                    sync_file(path)
        while self._changed:
            folder = self._changed.pop()
            with storage_errors(folder):
                if folder.exists():
                    sync_folder(folder)

    def close(self) -> None:
        """Nothing stays open between calls."""

    def _write_tile(self, folder: Path, col: int, content: bytes) -> None:
        path = folder / f"C{col:08x}{self._suffix_of(content)}"
        with storage_errors(path):
            if not folder.exists():
                folder.mkdir(parents=True, exist_ok=True)
                self._changed.add(folder.parent)
            before = _existing(folder, col)
            with replacing(path, is_locked=True, is_durable=False) as part:
                part.write_bytes(content)
            for other in before:
                if other != path and other.exists() and not other.samefile(path):
                    other.unlink()
        self._written.add(path)
        self._changed.add(folder)

    def _delete_tile(self, folder: Path, col: int) -> bool:
        was_there = False
        for path in _existing(folder, col):
            with storage_errors(path):
                try:
                    was_there |= path.stat().st_size > 0
                    path.unlink()
                except FileNotFoundError:
                    continue  # where case counts for nothing, it is gone by another of its names
            self._written.discard(path)
            self._changed.add(folder)
        return was_there

    def _suffix_of(self, content: bytes) -> str:
        if content.startswith(_PNG):
            return ".png"
        if content.startswith(_JPEG):
            return ".jpg"
        return ".png" if self.profile.image_format.startswith("PNG") else ".jpg"

    def _check_writable(self) -> None:
        if not self.is_writable:
            raise ReadOnlyCache(str(self.path), ReadOnlyReason.RIGHTS)

    @contextmanager
    def _locked_block(self, level_id: int, place: Place) -> Iterator[None]:
        """Nobody else writes the block of 128 x 128 tiles meanwhile. Raises CacheInUse."""
        name = f"{level_folder_name(level_id)}-R{place[0]:04x}C{place[1]:04x}.lock"
        try:
            with locked(self._work / "locks" / name, LOCK_PATIENCE, self._is_given_up):
                yield
        except CacheInUse as error:
            raise CacheInUse(str(self._folders.path(level_id))) from error

    # Care

    def file_findings(self, cancelled: Cancelled = lambda: False) -> Iterator[Finding]:
        return extent_file_findings(self)

    def findings(self, level_id: int, cancelled: Cancelled = lambda: False) -> Iterator[Finding]:
        folder = self._folders.path(level_id)
        if level_id not in (level.id for level in self.profile.scheme.levels):
            yield Finding(Fault.LEVEL, level_id, self._name(folder))
        for entry in entries_of(folder):
            if cancelled():
                return
            found = _ROW.fullmatch(entry.name)
            if found and entry.is_dir():
                yield from self._findings_of_row(level_id, int(found[1], 16), folder / entry.name)
            else:
                yield Finding(Fault.STRAY, level_id, self._name(folder / entry.name))

    def _findings_of_row(self, level_id: int, row: int, folder: Path) -> Iterator[Finding]:
        try:
            for entry in entries_of(folder):
                name = self._name(folder / entry.name)
                col = _column_of(entry.name)
                if entry.name.startswith(".") and entry.name.endswith(PART):
                    continue  # what a killed writer left; the next one takes it
                if col is None or not entry.is_file():
                    yield Finding(Fault.STRAY, level_id, name)
                elif not entry.stat().st_size:
                    yield Finding(Fault.CUT, level_id, name, (row, col), can_be_mended=True)
        except (DamagedCache, CacheInUse, OSError):
            yield Finding(Fault.UNREADABLE, level_id, self._name(folder))

    def mend(self, finding: Finding) -> bool:
        """Delete the tile, unless it is a whole picture by now; write the conf.cdi anew."""
        self._check_writable()
        if is_extent_file(finding):
            return mend_extent_file(self)
        if finding.tile is None or not finding.can_be_mended:
            return False
        row, col = finding.tile
        with self._locked_block(finding.level_id, bundle_of(row, col)):
            content = self.read(finding.level_id, row, col)
            if content is None or picture_facts(content) is None:
                self._delete_tile(self._row_folder(finding.level_id, row), col)
        return True

    def holes(self, level_id: int, cancelled: Cancelled = lambda: False) -> Iterator[Holes]:
        """None: files of tiles have no holes."""
        return iter(())

    def defragment(self, holes: Holes) -> int:
        """Nothing to win."""
        return 0

    def _name(self, path: Path) -> str:
        """What a file is called in findings: from the cache on."""
        return path.relative_to(self._folders.root.parent).as_posix()


def _column_of(name: str) -> int | None:
    """The column of the tile in the file with that name; None: no tile's."""
    found = _COLUMN.fullmatch(name)
    return int(found[1], 16) if found else None


def _names_of(col: int) -> Iterator[str]:
    """Names the file of a tile may have, the usual ones first."""
    for digits in dict.fromkeys((f"C{col:08x}", f"C{col:08X}", f"c{col:08x}")):
        for suffix in _SUFFIXES:
            yield digits + suffix
            yield digits + suffix.upper()


def _existing(folder: Path, col: int) -> list[Path]:
    """The files of a tile, one unless a writer was killed, or none."""
    return [path for name in _names_of(col) if (path := folder / name).exists()]


def _files_in(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Files in `folder` that hold anything."""
    for entry in entries_of(folder):
        try:
            if entry.is_file() and entry.stat().st_size:
                yield entry
        except FileNotFoundError:
            continue  # replaced this moment


def _tiles_in(folder: Path, first: int, last: int) -> Iterator[tuple[int, float]]:
    """Column and time of the tiles of a row from column `first` to `last`."""
    entries = entries_of(folder)
    listed = list(islice(entries, _SHORT_ROW + 1))
    if len(listed) <= _SHORT_ROW:
        found = ((_column_of(entry.name), Path(entry.path)) for entry in listed)
        tiles = [(col, path) for col, path in found if col is not None and first <= col <= last]
    else:
        tiles = [(col, path) for col in range(first, last + 1) for path in _existing(folder, col)]
    for col, path in tiles:
        try:
            facts = path.stat()
        except FileNotFoundError:
            continue  # replaced this moment
        if facts.st_size and stat.S_ISREG(facts.st_mode):
            yield col, facts.st_mtime


def _shape(block: TileRange) -> tuple[int, int]:
    return block.max_row - block.min_row + 1, block.max_col - block.min_col + 1
