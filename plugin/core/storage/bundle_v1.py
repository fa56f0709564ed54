"""One bundle of a compact cache, version 1 (ArcGIS 10.0 to 10.2): two files.

Esri never published the layout; this is what five caches of ArcGIS hold and MapProxy reads
(mapproxy/cache/compact.py). `.bundlx`: 16 bytes, then 16384 offsets of 5 bytes, column by column,
then 16 bytes. `.bundle`: 60 bytes of header and 16384 empty records of 4 bytes, then the tiles,
each behind its size of 4 bytes. An offset points at that size. Where there is no tile it points at
an empty record, whose size is 0, or, once a tile was removed by MapProxy, is 0.

The index is written anew, whole, each time: an offset of 5 bytes that crosses the border of a
sector could be torn, and would point anywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Callable, TypeVar

import numpy as np

from ..arrays import whole_numbers
from ..errors import DamagedCache, TargetProblem
from .bundle_v2 import Index, only_slots
from .bundled import place_of_name
from .byte_range import ByteRange, OpenFile, opened_file, reading_errors
from .files import replacing, storage_errors
from .layout_v1 import (
    BY_COLUMN,
    DATA_START,
    EMPTY,
    HEADER_SIZE,
    INDEX_HEADER,
    INDEX_SIZE,
    INDEX_STARTS,
    INDEX_SUFFIX,
    LARGEST_TILE,
    OFFSET_SIZE,
    HeaderV1,
    index_bytes,
)
from .level_folders import entries_of
from .records import PREFIX_SIZE, SLOTS, Integers, Records, even_records, records_of, stored_tiles
from .store import Bools

_LOOKS = 5  # how often an index is read anew that was replaced meanwhile
_Found = TypeVar("_Found")


class BundleV1:
    """A bundle: the file at `path` and the index beside it, or both inside a package.

    `part` and `index_part`: where they lie in the package, which is only read.
    Who writes holds the bundle's lock. Opening raises FileNotFoundError, also where only one of the
    two is there, DamagedCache, CacheInUse; `for_writing` ReadOnlyCache, TargetProblem as well.
    """

    def __init__(
        self,
        path: Path,
        part: ByteRange | None = None,
        index_part: ByteRange | None = None,
        *,
        for_writing: bool = False,
    ) -> None:
        self.path = path
        self._own: list[OpenFile] = []
        self._data: OpenFile | None = None
        self._known: Index | None = None
        self._index_path = path if index_part else index_beside(path)
        try:
            if part is None:
                self._data = self._opened(path, for_writing)
            self.part = part or ByteRange(self._own[0])
            self._index_part = index_part or ByteRange(self._opened(self._index_path))
        except BaseException:
            self.close()
            raise

    def header(self) -> HeaderV1 | None:
        """The header as it stands; None where it is none. Raises DamagedCache."""
        with reading_errors(self.path):
            return HeaderV1.of(self.part.read(0, HEADER_SIZE))

    def index(self) -> Index:
        """Where the pictures lie, row by row as in version 2. Raises DamagedCache."""
        if self._known is None:
            found = self._steady(self._read_index)
            if self._data is None:
                return found
            self._known = found  # who writes is the only one, and knows what is changed
        return self._known

    def read(self, slot: int) -> bytes | None:
        """The tile in `slot` (128 * row + column); None where there is none.

        Raises DamagedCache.
        """
        return self._steady(lambda: self._read_tile(slot))

    def read_tiles(self, here: Bools) -> dict[int, bytes]:
        """Those tiles of the slots `here` that lie inside the file. Raises DamagedCache."""
        return self._steady(lambda: self._read_tiles(here))

    def _steady(self, read: Callable[[], _Found]) -> _Found:
        """What `read` gives with the index that counts: bytes are moved only after a new one."""
        for _ in range(_LOOKS):
            try:
                found = read()
            except DamagedCache:
                if self._is_current():
                    raise
            else:
                if self._is_current():
                    return found
            self._open_index()
        return read()

    def _is_current(self) -> bool:
        return all(file.is_at_its_path for file in self._own[1:])

    def _open_index(self) -> None:
        """Take the index that lies beside the bundle now."""
        for file in self._own[1:]:
            file.close()
        del self._own[1:]
        self._index_part = ByteRange(self._opened(self._index_path))

    def _read_index(self) -> Index:
        with reading_errors(self.path):
            content = self._index_part.read(0, INDEX_HEADER.size + INDEX_SIZE)
            size = self.part.size
        self._check(content)
        raw = np.frombuffer(content, dtype=np.uint8, offset=INDEX_HEADER.size)
        weights = np.int64(1) << np.arange(0, 8 * OFFSET_SIZE, 8, dtype=np.int64)
        offsets = (raw.reshape(SLOTS, OFFSET_SIZE).astype(np.int64) @ weights)[BY_COLUMN]
        return Index(offsets + PREFIX_SIZE, self._sizes_at(offsets, size), size, DATA_START)

    def _read_tile(self, slot: int) -> bytes | None:
        place = INDEX_HEADER.size + OFFSET_SIZE * int(BY_COLUMN[slot])
        with reading_errors(self.path):
            self._check_start(self._index_part.read(0, INDEX_HEADER.size))
            entry = self._index_part.read(place, OFFSET_SIZE)
            if len(entry) < OFFSET_SIZE:
                raise DamagedCache(str(self.path), "the index is cut off")
            offset = int.from_bytes(entry, "little")
            if not offset:
                return None
            prefix = self.part.read(offset, PREFIX_SIZE)
            size = int.from_bytes(prefix, "little")
            if len(prefix) == PREFIX_SIZE and not size:
                return None
            within = offset >= DATA_START and offset + PREFIX_SIZE + size <= self.part.size
            content = self.part.read(offset + PREFIX_SIZE, size) if within else b""
        if not content or len(content) < size:
            raise DamagedCache(str(self.path), f"tile {slot} lies outside the file")
        return content

    def _read_tiles(self, here: Bools) -> dict[int, bytes]:
        index = self._known or self._read_index()
        slots = np.flatnonzero(index.exists & here)
        with reading_errors(self.path):
            places = index.offsets[slots], index.sizes[slots]
            return stored_tiles(self.part, slots, *places, self.path)

    def append(self, tiles: Mapping[int, bytes]) -> None:
        """Store tiles by slot, replacing those that exist; equal ones lie in the file once.

        Their bytes are on the disk before an index names them: killed, or without power, at any
        point there are old tiles or new ones. Offsets of a file that was cut off, which point
        beyond its end, are emptied. Raises DiskFull and others of `storage_errors`; then no tile
        has changed. TileTooLarge, DamagedCache: nothing is written.
        """
        if tiles:
            self._add(records_of(tiles, self.path, LARGEST_TILE))

    def append_even(self, here: Bools, picture: bytes) -> None:
        """Store one picture in all slots `here`, as `append`."""
        if here.any():
            self._add(even_records(here, picture, self.path, LARGEST_TILE))

    def delete(self, slots: Collection[int]) -> int:
        """Empty the entries of `slots`; how many tiles there were. Raises as `append`."""
        return self.empty(only_slots(slots))

    def empty(self, here: Bools) -> int:
        """Empty the entries of the slots `here`, as `delete`."""
        index = self.index()
        self._writable()
        if not (here & index.used).any():
            return 0
        with storage_errors(self.path):
            self._put_index(np.where(here, EMPTY, index.offsets - PREFIX_SIZE))
            self._put_header(self.index())
        return int(np.count_nonzero(here & index.exists))

    def write_header(self) -> None:
        """Write the header that the index asks for. Raises as `append`."""
        with storage_errors(self.path):
            self._put_header(self.index())

    def pack(self) -> None:
        """Move the tiles, row by row, to where there are no holes between them, and cut the rest.

        Twice: first behind the end, then to the front, where by then nothing is; so that at any
        point the index names whole tiles, though the two files cannot be replaced together. Tiles
        that share their bytes do so after. Needs as much room as the tiles. Raises as `append`.
        """
        with storage_errors(self.path):
            self._move_tiles(self.part.size)
            end = self._move_tiles(DATA_START)
            self._writable().truncate(end)
            self._put_header(self.index())
            self._writable().sync_content()

    def sync(self) -> None:
        """Make all that was written durable. Raises as `storage_errors`."""
        if self._data is not None:
            with storage_errors(self.path):
                self._data.sync_content()

    def close(self) -> None:
        """Let go of the files; a package's stay open."""
        for file in self._own:
            file.close()

    def _opened(self, path: Path, for_writing: bool = False) -> OpenFile:
        file = opened_file(path, for_writing)
        self._own.append(file)
        return file

    def _check_start(self, content: bytes) -> None:
        if len(content) < INDEX_HEADER.size:
            raise DamagedCache(str(self.path), "the index is cut off")
        if INDEX_HEADER.unpack(content[: INDEX_HEADER.size]) != INDEX_STARTS:
            raise DamagedCache(str(self.path), "no index of a bundle of version 1")

    def _check(self, content: bytes) -> None:
        self._check_start(content)
        if len(content) < INDEX_HEADER.size + INDEX_SIZE:
            raise DamagedCache(str(self.path), "the index is cut off")

    def _sizes_at(self, offsets: Integers, file_size: int) -> Integers:
        """The sizes that stand at `offsets`; where none can be read, 1: a tile outside the file."""
        sizes = np.zeros(SLOTS, dtype=np.int64)
        named = offsets >= DATA_START
        with reading_errors(self.path):
            for slot, offset in zip(np.flatnonzero(named), whole_numbers(offsets[named])):
                prefix = self.part.read(offset, PREFIX_SIZE)
                whole = len(prefix) == PREFIX_SIZE
                sizes[slot] = int.from_bytes(prefix, "little") if whole else 1
        return sizes

    def _add(self, records: Records) -> None:
        """Append `records` and let the index name them; see `append`."""
        index, file = self.index(), self._writable()
        end = index.file_size
        records.check_fits(self.path, end)
        offsets = index.offsets - PREFIX_SIZE
        dangling = index.used & ~index.exists
        with storage_errors(self.path):
            if dangling.any():
                offsets = np.where(dangling, EMPTY, offsets)
                self._put_index(offsets)
            self._append_content(file, records, end)
            offsets[records.slots] = records.starts + end
            sizes = np.where(dangling, 0, index.sizes)
            sizes[records.slots] = records.sizes
            self._put_index(offsets)
            size = end + records.length
            self._known = replace(index, offsets=offsets + PREFIX_SIZE, sizes=sizes, file_size=size)
            self._put_header(self._known)

    def _append_content(self, file: OpenFile, records: Records, end: int) -> None:
        """Write `records` at `end`, or leave the file as it was."""
        at = end
        try:
            for piece in records.pieces():
                file.write(at, piece)
                at += len(piece)
            file.sync_content()
        except BaseException:
            with suppress(OSError):
                file.truncate(end)
            raise

    def _move_tiles(self, to: int) -> int:
        """Copy the tiles to `to`, where nothing is that the index names; gives where they end."""
        index, file = self.index(), self._writable()
        offsets = EMPTY.copy()
        moved: dict[int, int] = {}
        for slot in np.flatnonzero(index.exists):
            start = int(index.offsets[slot]) - PREFIX_SIZE
            if start not in moved:
                content = self.part.read(start, PREFIX_SIZE + int(index.sizes[slot]))
                file.write(to, content)
                moved[start] = to
                to += len(content)
            offsets[slot] = moved[start]
        file.sync_content()
        self._put_index(offsets)
        return to

    def _put_index(self, offsets: Integers) -> None:
        """Let the index name these offsets, by slot. Raises as `replacing`."""
        content, self._known = index_bytes(offsets), None
        for file in self._own[1:]:
            file.close()  # Windows replaces no file that we have open
        del self._own[1:]
        with replacing(self._index_path, is_locked=True) as part:
            part.write_bytes(content)
        self._open_index()

    def _put_header(self, index: Index) -> None:
        exists = index.exists
        header = HeaderV1(
            int(index.sizes[exists].max(initial=0)),
            int(np.count_nonzero(exists)),
            self.part.size,
            place_of_name(self.path.name) or (0, 0),
        )
        self._writable().write(0, header.to_bytes())

    def _writable(self) -> OpenFile:
        if self._data is None:
            raise TargetProblem(str(self.path), "a bundle inside a package is only read")
        if self._data.size < DATA_START:
            raise DamagedCache(str(self.path), "cut off")
        return self._data

    def __enter__(self) -> BundleV1:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def make_empty_v1(path: Path, *, is_locked: bool = True) -> None:
    """Make a bundle without tiles of the files at `path` and beside it, where one is missing.

    A `.bundle` that lost its index keeps its bytes, as holes. An index without its `.bundle` goes
    first: it would name tiles in the new one. The caller holds the lock. Raises as `replacing`.
    """
    index = index_beside(path)
    with storage_errors(path):
        is_there = path.exists() and path.stat().st_size >= DATA_START
        if not is_there:
            with suppress(FileNotFoundError):
                index.unlink()
    if not is_there:
        place = place_of_name(path.name) or (0, 0)
        with replacing(path, is_locked=is_locked) as part:
            part.write_bytes(HeaderV1(place=place).to_bytes() + bytes(4 * SLOTS))
    if not index.exists():
        with replacing(index, is_locked=is_locked) as part:
            part.write_bytes(index_bytes(EMPTY))


def index_beside(path: Path) -> Path:
    """The index of the bundle at `path`, also where its name is written in another case."""
    usual = path.with_suffix(INDEX_SUFFIX)
    if usual.exists():
        return usual
    names = (entry.name for entry in entries_of(path.parent))
    found = (name for name in names if name.lower() == usual.name.lower())
    return path.with_name(next(found, usual.name))
