"""One bundle of a compact cache, version 2: up to 128 x 128 tiles in a file.

Layout (Esri/raster-tiles-compactcache, CompactCacheV2.md), all little-endian: 64 bytes of header,
16384 index entries of 8 bytes, row by row, then the tiles, each behind its size of 4 bytes. An
entry holds the offset of a picture's first byte in its low 40 bits and the size in its high 24;
size 0 is no tile. Replaced tiles stay behind as holes. Entries may name the same bytes: equal tiles
that are stored together are.

What is written has the header of the white paper. What is read may also have what ArcGIS itself
writes: record count 0, a constant instead of the size of the largest tile, and so on.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedCache, TargetProblem
from .byte_range import ByteRange, OpenFile, opened_file, reading_errors
from .files import replacing, storage_errors
from .records import (
    LARGEST_BUNDLE,
    PREFIX_SIZE,
    SLOTS,
    Records,
    even_records,
    records_of,
    runs_of,
    stored_tiles,
)
from .store import Bools

EMPTY_ENTRY = 4  # offset 4, size 0: what ArcGIS writes where there is no tile
OFFSET_BITS = 40
LARGEST_TILE = (1 << 24) - 1

_VERSION, _OFFSET_BYTES, _USER_HEADER_AT = 3, 5, 40
_HEADER = struct.Struct("<4I3Q6I")
HEADER_SIZE = _HEADER.size
INDEX_SIZE = 8 * SLOTS
DATA_START = HEADER_SIZE + INDEX_SIZE

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Header:
    """The first 64 bytes of a bundle; the defaults are the white paper's.

    `largest_tile`: bytes of the largest tile. `slack`: unused bytes, 0 where nobody counted.
    """

    version: int = _VERSION
    record_count: int = SLOTS
    largest_tile: int = 0
    offset_bytes: int = _OFFSET_BYTES
    slack: int = 0
    file_size: int = DATA_START
    user_header_at: int = _USER_HEADER_AT
    user_header_size: int = 20 + INDEX_SIZE
    legacy_version: int = 3
    legacy_16: int = 16
    legacy_count: int = SLOTS
    legacy_offset_bytes: int = 5
    index_size: int = INDEX_SIZE

    @classmethod
    def of(cls, content: bytes) -> Header:
        """The header that `content` begins with. Raises struct.error where it is shorter."""
        return cls(*_HEADER.unpack(content[:HEADER_SIZE]))

    @property
    def is_of_a_bundle(self) -> bool:
        """Whether it has the four values by which readers know a bundle of version 2."""
        wanted = (_VERSION, _OFFSET_BYTES, _USER_HEADER_AT, INDEX_SIZE)
        return wanted == (self.version, self.offset_bytes, self.user_header_at, self.index_size)

    def to_bytes(self) -> bytes:
        """The 64 bytes."""
        return _HEADER.pack(*(getattr(self, name) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Index:
    """Where the pictures of a bundle lie: for each slot (128 * row + column) offset and size.

    `file_size` and `data_start`: pictures lie between them; an entry that points elsewhere is
    broken and counts as no tile.
    """

    offsets: Integers
    sizes: Integers
    file_size: int
    data_start: int = DATA_START

    @property
    def used(self) -> Bools:
        """Slots whose entry names a tile, wherever it points."""
        return self.sizes > 0

    @property
    def exists(self) -> Bools:
        """Slots whose tile lies inside the file."""
        begins = self.offsets >= self.data_start
        return self.used & begins & (self.offsets + self.sizes <= self.file_size)


class BundleV2:
    """A bundle file, open; or, `part`, one that lies inside a package, which is only read.

    Who writes holds the bundle's lock and opens it once it has it: another process may have
    replaced the file. Opening raises FileNotFoundError, DamagedCache, CacheInUse;
    `for_writing` ReadOnlyCache, TargetProblem as well.
    """

    def __init__(
        self, path: Path, part: ByteRange | None = None, *, for_writing: bool = False
    ) -> None:
        self.path = path
        self._own: OpenFile | None = None
        if part is None:
            self._own = opened_file(path, for_writing)
            part = ByteRange(self._own)
        self.part = part

    def header(self) -> Header:
        """The header as it stands. Raises DamagedCache where the file is too short for one."""
        with reading_errors(self.path):
            content = self.part.read(0, HEADER_SIZE)
        return self._header_of(content)

    def index(self, *, is_checked: bool = True) -> Index:
        """The index as it is just now. Raises DamagedCache where there is no whole one.

        `is_checked`: only behind the header of a bundle.
        """
        with reading_errors(self.path):
            content = self.part.read(0, DATA_START)
            size = self.part.size  # after the index: what entries point at has been written
        if is_checked:
            self._check(content)
        if len(content) < DATA_START:
            raise DamagedCache(str(self.path), "the index is cut off")
        return _index_of(content, size)

    def read(self, slot: int) -> bytes | None:
        """The tile in `slot`; None where there is none. Raises DamagedCache."""
        with reading_errors(self.path):
            self._check(self.part.read(0, HEADER_SIZE))
            entry = self.part.read(HEADER_SIZE + 8 * slot, 8)
            if len(entry) < 8:
                raise DamagedCache(str(self.path), "the index is cut off")
            offset, size = _place(int.from_bytes(entry, "little"))
            if not size:
                return None
            content = self.part.read(offset, size) if offset >= DATA_START else b""
        if len(content) < size:
            raise DamagedCache(str(self.path), f"tile {slot} lies outside the file")
        return content

    def read_tiles(self, here: Bools) -> dict[int, bytes]:
        """Those tiles of the slots `here` that lie inside the file. Raises DamagedCache."""
        index = self.index()
        slots = np.flatnonzero(index.exists & here)
        with reading_errors(self.path):
            places = index.offsets[slots], index.sizes[slots]
            return stored_tiles(self.part, slots, *places, self.path)

    def append(self, tiles: Mapping[int, bytes], *, is_durable: bool = True) -> None:
        """Store tiles by slot, replacing those that exist; equal ones lie in the file once.

        `is_durable`: the tiles' bytes are on the disk before an entry points at them, so that even
        loss of power leaves old tiles or new ones. Killed at any point: the same. Entries of a file
        that was cut off, which point beyond its end, are emptied.
        Raises DiskFull and others of `storage_errors`; then no entry has changed, except where the
        system fails to write over bytes that are there. TileTooLarge, DamagedCache: nothing is
        written.
        """
        if tiles:
            self._add(records_of(tiles, self.path, LARGEST_TILE), is_durable)

    def append_even(self, here: Bools, picture: bytes) -> None:
        """Store one picture in all slots `here`, as `append`."""
        if here.any():
            self._add(even_records(here, picture, self.path, LARGEST_TILE), True)

    def delete(self, slots: Collection[int]) -> int:
        """Empty the entries of `slots`; how many tiles there were. Raises as `append`."""
        return self.empty(only_slots(slots))

    def empty(self, here: Bools) -> int:
        """Empty the entries of the slots `here`, as `delete`."""
        index = self.index()
        gone = here & index.used
        if not gone.any():
            return 0
        with storage_errors(self.path):
            self._write_entries(gone, EMPTY_ENTRY)
            self._write_header(index.file_size, index.sizes[index.exists & ~here])
        return int(np.count_nonzero(here & index.exists))

    def sync(self) -> None:
        """Make all that was written durable. Raises as `storage_errors`."""
        if self._own is not None:
            with storage_errors(self.path):
                self._own.sync_content()

    def close(self) -> None:
        """Let go of the file; a package's stays open."""
        if self._own is not None:
            self._own.close()

    def _header_of(self, content: bytes) -> Header:
        """The header that the file begins with, where `content` does."""
        if len(content) < HEADER_SIZE:
            raise DamagedCache(str(self.path), f"{len(content)} bytes are no bundle")
        return Header.of(content)

    def _check(self, content: bytes) -> None:
        if not self._header_of(content).is_of_a_bundle:
            raise DamagedCache(str(self.path), "no bundle of version 2")

    def _add(self, records: Records, is_durable: bool) -> None:
        """Append `records` and let the index name them; see `append`."""
        index, file = self.index(), self._writable()
        end = file.size
        records.check_fits(self.path, end)
        with storage_errors(self.path):
            self._empty_dangling(index, end, is_durable)
            self._append_content(records, end, is_durable)
            changed = only_slots(records.slots)
            self._write_entries(changed, _entries_of(records, end)[changed])
            sizes = index.sizes.copy()
            sizes[records.slots] = records.sizes
            self._write_header(end + records.length, sizes[index.exists | changed])

    def _empty_dangling(self, index: Index, end: int, is_durable: bool) -> None:
        """Empty entries that point beyond `end`: else they came to point into other tiles."""
        dangling = index.used & (index.offsets + index.sizes > end)
        if dangling.any():
            self._write_entries(dangling, EMPTY_ENTRY)
            if is_durable:
                self._writable().sync_content()

    def _append_content(self, records: Records, end: int, is_durable: bool) -> None:
        """Write `records` at `end`, or leave the file as it was."""
        file, at = self._writable(), end
        try:
            for piece in records.pieces():
                file.write(at, piece)
                at += len(piece)
            if is_durable:
                file.sync_content()
        except BaseException:
            with suppress(OSError):
                file.truncate(end)
            raise

    def _write_entries(self, changed: Bools, values: NDArray[np.uint64] | int) -> None:
        """Write the index entries of the slots that are `changed`, neighbours together.

        Each is aligned, so none is ever half written, and what is written over others between them
        is what they are.
        """
        content = self.part.read(HEADER_SIZE, INDEX_SIZE)
        entries = np.frombuffer(content, dtype="<u8").copy()
        entries[changed] = values
        for run in runs_of(changed):
            self._writable().write(HEADER_SIZE + 8 * run.start, entries[run].tobytes())

    def _write_header(self, file_size: int, sizes: Integers) -> None:
        largest = int(sizes.max(initial=0))
        header = replace(Header(), largest_tile=largest, file_size=file_size)
        self._writable().write(0, header.to_bytes())

    def _writable(self) -> OpenFile:
        if self._own is None:
            raise TargetProblem(str(self.path), "a bundle inside a package is only read")
        return self._own

    def __enter__(self) -> BundleV2:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def make_empty(path: Path, *, is_locked: bool = True) -> None:
    """Make a bundle without tiles at `path`, whole, in place of what may be there.

    `is_locked`: the caller holds the bundle's lock. Raises as `replacing`.
    """
    _make(path, records_of({}, path, LARGEST_TILE), is_locked)


def make_bundle(path: Path, tiles: Mapping[int, bytes]) -> None:
    """Make a bundle of `tiles`, by slot, at `path`: it is there whole or not at all.

    The caller holds the bundle's lock. Durable, with the tiles, once it returns. Raises as
    `replacing`; TileTooLarge.
    """
    _make(path, records_of(tiles, path, LARGEST_TILE))


def make_even_bundle(path: Path, here: Bools, picture: bytes) -> None:
    """Make a bundle with one picture in all slots `here`, as `make_bundle`."""
    _make(path, even_records(here, picture, path, LARGEST_TILE))


def _make(path: Path, records: Records, is_locked: bool = True) -> None:
    records.check_fits(path, DATA_START)
    largest = int(records.sizes.max(initial=0))
    header = Header(largest_tile=largest, file_size=DATA_START + records.length)
    with replacing(path, is_locked=is_locked) as part, part.open("wb") as file:
        file.write(header.to_bytes() + _entries_of(records, DATA_START).tobytes())
        for piece in records.pieces():
            file.write(piece)


def _entries_of(records: Records, end: int) -> NDArray[np.uint64]:
    """The index of a bundle that has nothing but `records`, which begin at `end`."""
    entries = np.full(SLOTS, EMPTY_ENTRY, dtype="<u8")
    places = (records.sizes << OFFSET_BITS) | (records.starts + (end + PREFIX_SIZE))
    entries[records.slots] = places.astype("<u8")
    return entries


def _place(entry: int) -> tuple[int, int]:
    """Offset and size in an index entry."""
    return entry & (LARGEST_BUNDLE - 1), entry >> OFFSET_BITS


def _index_of(content: bytes, file_size: int) -> Index:
    entries = np.frombuffer(content, dtype="<u8", count=SLOTS, offset=HEADER_SIZE)
    offsets = (entries & np.uint64(LARGEST_BUNDLE - 1)).astype(np.int64)
    sizes = (entries >> np.uint64(OFFSET_BITS)).astype(np.int64)
    return Index(offsets, sizes, file_size)


def only_slots(slots: Collection[int] | Integers) -> Bools:
    """Which of all slots are among `slots`."""
    found = np.zeros(SLOTS, dtype=np.bool_)
    found[slots if isinstance(slots, np.ndarray) else list(slots)] = True
    return found
