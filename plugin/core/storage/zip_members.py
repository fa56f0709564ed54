"""The members of zip files that others made, read without trusting a word of theirs.

Format: PKWARE's APPNOTE.TXT 6.3.10 (4.3.7 local header, 4.3.12 central directory, 4.3.14 to 4.3.16
its end, 4.5.3 sizes of 64 bits). Only what tile packages use: members stored or deflated, in one
file. A stored member is a range of the file and is read where it lies; a deflated one is unpacked
into a folder for the time being, under a name of ours.

Refused altogether are files whose members have names that lead out of a folder, or one name twice,
that share bytes, are links, or unpack into far more than pictures do.
"""

from __future__ import annotations

import hashlib
import stat
import struct
import tempfile
import threading
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from ..errors import DamagedCache, DiskFull, HostileFile, NotACache, NotACacheReason
from .byte_range import ByteRange, OpenFile, reading_errors
from .files import free_bytes, storage_errors

MOST_MEMBERS = 4_000_000
"""Bundles of a cache at most; a directory of so many takes some 300 MB."""

LARGEST_MEMBER = 1 << 40
"""Bytes of a bundle at most: its index has 40 bits for places."""

ROOM_TO_LEAVE = 512 << 20
"""Bytes that unpacking leaves free where it unpacks to."""

PIECE = 1 << 20
"""Bytes read at a time."""

_STORED, _DEFLATED = 0, 8
_LARGEST_DIRECTORY = 1 << 30
_FREE_RATIO = 64 << 20  # up to so many bytes anything goes: an empty bundle shrinks a thousandfold
_HIGHEST_RATIO = 100  # pictures do not shrink any more
_ENCRYPTED, _UTF8 = 0x1, 0x800
_UNIX = 3
_END, _END_64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_ENTRY, _LOCAL = struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s5H3L2H")
_MARKS = {_END: b"PK\5\6", _END_64: b"PK\6\6", _LOCATOR_64: b"PK\6\7"}
_ENTRY_MARK, _LOCAL_MARK = b"PK\1\2", b"PK\3\4"
_MAX_16, _MAX_32 = 0xFFFF, 0xFFFFFFFF
_EXTRA_64 = 1


@dataclass(frozen=True)
class Member:
    """A file in a package: `size` bytes, `packed` of them in the package.

    `header_at`: where its local header lies in the package.
    """

    name: str
    is_deflated: bool
    size: int
    packed: int
    crc: int
    header_at: int


@dataclass(frozen=True)
class _End:
    """Where the central directory lies, how long it is, what it counts."""

    at: int
    size: int
    count: int
    shift: int  # by which everything lies behind where it says: a program before the zip


class ZipMembers:
    """The members of the zip file at `path`, which stays open until `close`.

    `by_name`: by names in lower case, for the wild writes them as it likes; folders left out.
    `mark`: tells this file from any other, for it is made of the checksums of all members.
    """

    def __init__(self, path: Path) -> None:
        """Raises NotACache (it may not be read), DamagedCache, HostileFile, CacheInUse."""
        self.path = path
        try:
            with reading_errors(path):
                self.file = OpenFile(path)
        except FileNotFoundError as error:
            raise NotACache(str(path), NotACacheReason.MISSING) from error
        self._turn = threading.Lock()
        self._unpacked: dict[Member, OpenFile] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        try:
            with reading_errors(path):
                self.size = self.file.size
                end = self._end()
                directory = self.file.read(end.at, end.size)
            self.mark = hashlib.sha256(directory).hexdigest()
            self.by_name = self._checked(self._entries(directory, end), end)
        except BaseException:
            self.file.close()
            raise

    def find(self, name: str) -> Member | None:
        """The member with that name, in any case."""
        return self.by_name.get(name.lower())

    def content(self, member: Member, largest: int) -> bytes:
        """All bytes of a small member. Raises HostileFile (more than `largest`), DamagedCache."""
        if member.size > largest:
            raise HostileFile(self._name(member), f"more than {largest} bytes")
        return b"".join(self.pieces(member))

    def pieces(self, member: Member, *, is_checked: bool = True) -> Iterator[bytes]:
        """The bytes of a member, unpacked, piece by piece, never more than it says it has.

        Raises DamagedCache where it has fewer, or another checksum if that `is_checked`;
        HostileFile where it has more.
        """
        left, crc = member.size, 0
        for piece in self._inflated(member) if member.is_deflated else self._stored(member):
            left -= len(piece)
            if left < 0:
                raise HostileFile(self._name(member), "unpacks into more than it says")
            crc = zlib.crc32(piece, crc)
            yield piece
        if left or (is_checked and crc != member.crc):
            raise DamagedCache(self._name(member), "cut off" if left else "wrong checksum")

    def is_sound(self, member: Member, cancelled: Callable[[], bool] = lambda: False) -> bool:
        """Whether the member has the bytes, and the checksum, that it says; yes once `cancelled`.

        Reads all of it.
        """
        try:
            for _piece in self.pieces(member):
                if cancelled():
                    return True
        except (DamagedCache, HostileFile):
            return False
        return True

    def part(self, member: Member) -> ByteRange:
        """Where to read the member: its place in the package, or where it was unpacked to.

        Raises DamagedCache, HostileFile, DiskFull.
        """
        if not member.is_deflated:
            return ByteRange(self.file, self._content_at(member), member.size)
        with self._turn:
            if member not in self._unpacked:
                self._unpacked[member] = self._unpack(member)
            return ByteRange(self._unpacked[member], 0, member.size)

    def close(self) -> None:
        """Let go of the file, and of what was unpacked."""
        self.file.close()
        with self._turn:
            for file in self._unpacked.values():
                file.close()
            self._unpacked.clear()
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None

    def _name(self, member: Member) -> str:
        return f"{self.path}/{member.name}"

    # The directory

    def _end(self) -> _End:
        tail_at = max(0, self.size - _END.size - _MAX_16 - 1)
        tail = self.file.read(tail_at, self.size - tail_at)
        at = tail.rfind(_MARKS[_END], 0, len(tail) - _END.size + 4)
        if at < 0:
            raise DamagedCache(str(self.path), "no zip, or cut off")
        values = _END.unpack_from(tail, at)
        disks, count, size, offset = values[1:3], values[4], values[5], values[6]
        end_at = tail_at + at
        if _MAX_16 in (*disks, count) or _MAX_32 in (size, offset):
            wide = self._end_64(end_at)
            if wide is not None:
                disks, count, size, offset, end_at = wide
        shift = end_at - size - offset
        if any(disks) or shift < 0 or size < count * _ENTRY.size:
            raise DamagedCache(str(self.path), "the directory of the zip is wrong")
        if count > MOST_MEMBERS or size > _LARGEST_DIRECTORY:
            raise HostileFile(str(self.path), f"a directory of {count} members, {size} bytes")
        return _End(end_at - size, size, count, shift)

    def _end_64(self, end_at: int) -> tuple[tuple[int, int], int, int, int, int] | None:
        """Disks, count, size and offset of the directory, and where it ends, in 64 bits."""
        locator = self.file.read(max(0, end_at - _LOCATOR_64.size), _LOCATOR_64.size)
        if end_at < _LOCATOR_64.size or not locator.startswith(_MARKS[_LOCATOR_64]):
            return None
        # Right before its locator, for `shift` is not known yet; 12: a record without extensions
        at = end_at - _LOCATOR_64.size - _END_64.size
        record = self.file.read(at, _END_64.size) if at >= 0 else b""
        if len(record) < _END_64.size or not record.startswith(_MARKS[_END_64]):
            raise DamagedCache(str(self.path), "the directory of the zip is wrong")
        values = _END_64.unpack(record)
        return values[4:6], values[7], values[8], values[9], at

    def _entries(self, directory: bytes, end: _End) -> Iterator[Member]:
        at = 0
        for _ in range(end.count):
            entry = directory[at : at + _ENTRY.size]
            if len(entry) < _ENTRY.size or not entry.startswith(_ENTRY_MARK):
                raise DamagedCache(str(self.path), "the directory of the zip is wrong")
            values = _ENTRY.unpack(entry)
            name_size, extra_size, comment_size = values[10:13]
            at += _ENTRY.size
            name = directory[at : at + name_size]
            extra = directory[at + name_size : at + name_size + extra_size]
            at += name_size + extra_size + comment_size
            if at > len(directory):
                raise DamagedCache(str(self.path), "the directory of the zip is wrong")
            member = self._member(values, name, extra, end.shift)
            if member is not None:
                yield member

    def _member(
        self, values: tuple[int, ...], raw: bytes, extra: bytes, shift: int
    ) -> Member | None:
        """The member of an entry of the directory; None for a folder."""
        made_by, flags, method = values[1] >> 8, values[3], values[4]
        crc, packed, size = values[7:10]
        name = raw.decode("utf-8" if flags & _UTF8 else "cp437", "replace")
        where = f"{self.path}/{name}"
        _check_name(name, where)
        if made_by == _UNIX and stat.S_ISLNK(values[15] >> 16):
            raise HostileFile(where, "a link")
        if name.endswith("/"):
            return None
        if flags & _ENCRYPTED:
            raise DamagedCache(where, "encrypted")
        if method not in (_STORED, _DEFLATED):
            raise DamagedCache(where, f"packed with method {method}")
        size, packed, header_at = _wide((size, packed, values[16]), extra)
        if method == _STORED and size != packed:
            raise DamagedCache(where, "two sizes")
        if size > LARGEST_MEMBER or size > max(_FREE_RATIO, _HIGHEST_RATIO * packed):
            raise HostileFile(where, f"{packed} bytes that unpack into {size}")
        return Member(name, method == _DEFLATED, size, packed, crc, header_at + shift)

    def _checked(self, members: Iterable[Member], end: _End) -> dict[str, Member]:
        """Members by names in lower case, none of which lies where another does."""
        found = list(members)
        by_name = {member.name.lower(): member for member in found}
        if len(by_name) < len(found):
            raise HostileFile(str(self.path), "two members with one name")
        free = 0
        for member in sorted(found, key=lambda each: each.header_at):
            if member.header_at < free:
                raise HostileFile(self._name(member), "shares bytes with another member")
            free = member.header_at + _LOCAL.size + member.packed
        if free > end.at:
            raise DamagedCache(str(self.path), "members lie outside the file")
        return by_name

    # Content

    def _content_at(self, member: Member) -> int:
        """Where the bytes of the member begin. Raises DamagedCache."""
        with reading_errors(self.path):
            header = self.file.read(member.header_at, _LOCAL.size)
        if len(header) < _LOCAL.size or not header.startswith(_LOCAL_MARK):
            raise DamagedCache(self._name(member), "not where the directory says")
        values = _LOCAL.unpack(header)
        is_deflated, around = values[3] == _DEFLATED, int(values[9]) + int(values[10])
        at = member.header_at + _LOCAL.size + around
        if is_deflated != member.is_deflated or at + member.packed > self.size:
            raise DamagedCache(self._name(member), "not as the directory says")
        return at

    def _stored(self, member: Member) -> Iterator[bytes]:
        at = self._content_at(member)
        end = at + member.packed
        while at < end:
            with reading_errors(self.path):
                piece = self.file.read(at, min(PIECE, end - at))
            if not piece:
                return
            at += len(piece)
            yield piece

    def _inflated(self, member: Member) -> Iterator[bytes]:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)  # without zlib's own header
        try:
            for packed in self._stored(member):
                rest = packed
                while rest and not unpacker.eof:
                    yield unpacker.decompress(rest, PIECE)
                    rest = unpacker.unconsumed_tail
            yield unpacker.flush(PIECE)
        except zlib.error as error:
            raise DamagedCache(self._name(member), str(error)) from error

    def _unpack(self, member: Member) -> OpenFile:
        """Unpack the member into a file of our own."""
        if self._folder is None:
            with storage_errors(self.path):
                self._folder = tempfile.TemporaryDirectory(prefix="tile_cache_manager-")
        folder = Path(self._folder.name)
        free = free_bytes(folder)
        if member.size > free - ROOM_TO_LEAVE:
            raise DiskFull(str(folder), member.size, free)
        target = folder / str(len(self._unpacked))
        with storage_errors(target):
            with target.open("wb") as file:
                for piece in self.pieces(member):
                    file.write(piece)
            return OpenFile(target)


def _check_name(name: str, where: str) -> None:
    """Raises HostileFile for names that could lead out of a folder, on any system."""
    parts = name.split("/")
    leads_out = name.startswith("/") or ".." in parts or ":" in parts[0]
    if leads_out or "\\" in name or "\0" in name or not name:
        raise HostileFile(where, "a name that leads elsewhere")


def _wide(values: tuple[int, int, int], extra: bytes) -> Iterator[int]:
    """Size, packed size and place; those that are too large for 32 bits stand in `extra`."""
    wide = _extra_64(extra)
    at = 0
    for value in values:
        if value == _MAX_32 and at + 8 <= len(wide):
            yield int.from_bytes(wide[at : at + 8], "little")
            at += 8
        else:
            yield value


def _extra_64(extra: bytes) -> bytes:
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        if kind == _EXTRA_64:
            return extra[at + 4 : at + 4 + size]
        at += 4 + size
    return b""
