"""Writing tile packages: a new file, whole, that takes the old one's place.

Format: Esri, tile-package-spec. All members are stored, for ArcGIS reads no others.
"""

from __future__ import annotations

import time
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from ..errors import DiskFull
from .files import free_bytes
from .zip_members import Member, ZipMembers

_LARGE = 1 << 31  # bytes from which a member's sizes are written in 64 bits
_FIRST_YEAR, _LAST_YEAR = 1980, 2107  # that the time of a member can tell
_AROUND = 256  # bytes of a member's headers, its name twice among them
_PIECE = 1 << 20
_FILE_MODE = 0o100644 << 16


@dataclass(frozen=True)
class Packed:
    """A member of a package to be: `size` bytes that `pieces` gives."""

    name: str
    size: int
    pieces: Callable[[], Iterable[bytes]]


def packed_bytes(name: str, content: bytes) -> Packed:
    """A member with that content."""
    return Packed(name, len(content), lambda: (content,))


def packed_file(name: str, path: Path) -> Packed:
    """A member with the content of a file. Raises OSError."""
    return Packed(name, path.stat().st_size, lambda: _pieces_of(path))


def taken(members: ZipMembers, member: Member) -> Packed:
    """A member of another package, as it is."""
    return Packed(member.name, member.size, lambda: members.pieces(member, is_checked=False))


def taken_or_made(members: ZipMembers, made: Packed) -> Packed:
    """The member of another package that is called as `made`, where it is sound; else `made`."""
    member = members.find(made.name)
    is_taken = member is not None and members.is_sound(member)
    return taken(members, member) if member is not None and is_taken else made


def check_room(path: Path, members: Iterable[Packed]) -> None:
    """Raise DiskFull where there is no room for a package of `members` beside `path`."""
    needed = sum(member.size + _AROUND for member in members)
    free = free_bytes(path.parent)
    if needed > free:
        raise DiskFull(str(path), needed, free)


def write_package(path: Path, members: Iterable[Packed]) -> None:
    """Write a zip file of `members`, in their order, to `path`. Raises OSError, StorageError."""
    now = time.localtime()[:6]
    moment = now if _FIRST_YEAR <= now[0] <= _LAST_YEAR else (_FIRST_YEAR, 1, 1, 0, 0, 0)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as package:
        for member in members:
            entry = zipfile.ZipInfo(member.name, moment)
            entry.external_attr = _FILE_MODE
            entry.file_size = member.size
            with package.open(entry, "w", force_zip64=member.size >= _LARGE) as file:
                for piece in member.pieces():
                    file.write(piece)


def _pieces_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
