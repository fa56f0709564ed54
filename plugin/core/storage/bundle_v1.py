"""One bundle of a compact cache, version 1 (ArcGIS 10.0 to 10.2): two files, only read.

Esri never published the layout; this is what five caches of ArcGIS hold and MapProxy reads
(mapproxy/cache/compact.py). `.bundlx`: 16 bytes, then 16384 offsets of 5 bytes, column by column,
then 16 bytes. `.bundle`: 60 bytes of header and 16384 empty records of 4 bytes, then the tiles,
each behind its size of 4 bytes. An offset points at that size. Where there is no tile it points at
an empty record, whose size is 0, or, once a tile was removed by MapProxy, is 0.
"""

from __future__ import annotations

import struct
from pathlib import Path
from types import TracebackType

import numpy as np

from ..errors import DamagedCache
from ..tiling import BUNDLE_TILES
from .bundle_v2 import PREFIX_SIZE, SLOTS, Index, Integers
from .byte_range import ByteRange, OpenFile, reading_errors
from .level_folders import entries_of

INDEX_SUFFIX = ".bundlx"

_INDEX_HEADER = struct.Struct("<4I")
_INDEX_STARTS = (3, 16, SLOTS, 5)
_OFFSET_SIZE = 5
_INDEX_SIZE = _OFFSET_SIZE * SLOTS
_HEADER_SIZE = 60
_RECORDS_END = _HEADER_SIZE + 4 * SLOTS


class BundleV1:
    """A bundle: the file at `path` and the index beside it, or both inside a package.

    `part` and `index_part`: where they lie in the package.
    Opening raises FileNotFoundError, also where only one of the two is there, DamagedCache,
    CacheInUse.
    """

    def __init__(
        self, path: Path, part: ByteRange | None = None, index_part: ByteRange | None = None
    ) -> None:
        self.path = path
        self._own: list[OpenFile] = []
        try:
            self.part = part or self._opened(path)
            self._index_part = index_part or self._opened(_index_beside(path))
        except BaseException:
            self.close()
            raise

    def index(self) -> Index:
        """Where the pictures lie, row by row as in version 2. Raises DamagedCache."""
        with reading_errors(self.path):
            content = self._index_part.read(0, _INDEX_HEADER.size + _INDEX_SIZE)
            size = self.part.size
        self._check(content)
        raw = np.frombuffer(content, dtype=np.uint8, offset=_INDEX_HEADER.size)
        weights = np.int64(1) << np.arange(0, 8 * _OFFSET_SIZE, 8, dtype=np.int64)
        by_column = raw.reshape(SLOTS, _OFFSET_SIZE).astype(np.int64) @ weights
        offsets = by_column.reshape(BUNDLE_TILES, BUNDLE_TILES).T.ravel()
        return Index(offsets + PREFIX_SIZE, self._sizes_at(offsets, size), size, _RECORDS_END)

    def read(self, slot: int) -> bytes | None:
        """The tile in `slot` (128 * row + column); None where there is none.

        Raises DamagedCache.
        """
        row, col = divmod(slot, BUNDLE_TILES)
        place = _INDEX_HEADER.size + _OFFSET_SIZE * (BUNDLE_TILES * col + row)
        with reading_errors(self.path):
            self._check_start(self._index_part.read(0, _INDEX_HEADER.size))
            entry = self._index_part.read(place, _OFFSET_SIZE)
            if len(entry) < _OFFSET_SIZE:
                raise DamagedCache(str(self.path), "the index is cut off")
            offset = int.from_bytes(entry, "little")
            if not offset:
                return None
            prefix = self.part.read(offset, PREFIX_SIZE)
            size = int.from_bytes(prefix, "little")
            if len(prefix) == PREFIX_SIZE and not size:
                return None
            within = offset >= _RECORDS_END and offset + PREFIX_SIZE + size <= self.part.size
            content = self.part.read(offset + PREFIX_SIZE, size) if within else b""
        if not content or len(content) < size:
            raise DamagedCache(str(self.path), f"tile {slot} lies outside the file")
        return content

    def close(self) -> None:
        """Let go of the files; a package's stay open."""
        for file in self._own:
            file.close()

    def _opened(self, path: Path) -> ByteRange:
        with reading_errors(path):
            file = OpenFile(path)
        self._own.append(file)
        return ByteRange(file)

    def _check_start(self, content: bytes) -> None:
        if len(content) < _INDEX_HEADER.size:
            raise DamagedCache(str(self.path), "the index is cut off")
        if _INDEX_HEADER.unpack(content[: _INDEX_HEADER.size]) != _INDEX_STARTS:
            raise DamagedCache(str(self.path), "no index of a bundle of version 1")

    def _check(self, content: bytes) -> None:
        self._check_start(content)
        if len(content) < _INDEX_HEADER.size + _INDEX_SIZE:
            raise DamagedCache(str(self.path), "the index is cut off")

    def _sizes_at(self, offsets: Integers, file_size: int) -> Integers:
        """The sizes that stand at `offsets`; where none can be read, 1: a tile outside the file."""
        sizes = np.zeros(SLOTS, dtype=np.int64)
        named = offsets >= _RECORDS_END
        for slot in np.flatnonzero(named):
            with reading_errors(self.path):
                prefix = self.part.read(int(offsets[slot]), PREFIX_SIZE)
            whole = len(prefix) == PREFIX_SIZE
            sizes[slot] = int.from_bytes(prefix, "little") if whole else 1
        return sizes

    def __enter__(self) -> BundleV1:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _index_beside(path: Path) -> Path:
    """The index of the bundle at `path`, also where its name is written in another case."""
    usual = path.with_suffix(INDEX_SUFFIX)
    if usual.exists():
        return usual
    names = (entry.name for entry in entries_of(path.parent))
    found = (name for name in names if name.lower() == usual.name.lower())
    return path.with_name(next(found, usual.name))
