"""Compact Cache V2 as Esri's white paper describes it: bundles of 128 x 128 tiles.

Written apart from the plugin's own storage, so that each can be tested against the other.
Layout: a 64 byte header, 16384 index entries of 8 bytes, then the tiles, each behind its size.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

BUNDLE_SIDE = 128
_HEADER = struct.Struct("<4I3Q6I")
_ENTRIES = BUNDLE_SIDE * BUNDLE_SIDE
_INDEX_SIZE = 8 * _ENTRIES
_DATA_START = _HEADER.size + _INDEX_SIZE
_EMPTY_ENTRY = 4  # offset 4, size 0: what ArcGIS writes where there is no tile
_OFFSET_BITS = 40
_OFFSET_MASK = (1 << _OFFSET_BITS) - 1
_BUNDLE_NAME = re.compile(r"R([0-9a-f]{4,})C([0-9a-f]{4,})\.bundle")
_LEVEL_NAME = re.compile(r"L(\d{2,})")

LAYERS_FOLDER = "_alllayers"


@dataclass(frozen=True)
class StoredTile:
    """Where a tile lies in its bundle and the SHA-1 of its bytes."""

    size: int
    offset: int
    sha1: str


def read_cache(folder: Path | str) -> dict[int, dict[tuple[int, int], StoredTile]]:
    """Return every tile of a cache folder, by level id and by (row, column).

    Read straight from the bundles; levels without any tile are left out.
    """
    levels: dict[int, dict[tuple[int, int], StoredTile]] = {}
    for level, path in _bundle_files(Path(folder)):
        tiles = dict(_tiles_of_bundle(path))
        if tiles:
            levels.setdefault(level, {}).update(tiles)
    return levels


def read_bytes(folder: Path | str, level: int, row: int, col: int) -> bytes | None:
    """Return the bytes of one tile, or None where the cache has none."""
    path, slot = _place(Path(folder), level, row, col)
    if not path.exists():
        return None
    with path.open("rb") as bundle:
        offset, size = _entry(bundle, slot)
        if size == 0:
            return None
        bundle.seek(offset)
        return bundle.read(size)


def has_tile(folder: Path | str, level: int, row: int, col: int) -> bool:
    """Return whether the cache has a tile."""
    path, slot = _place(Path(folder), level, row, col)
    if not path.exists():
        return False
    with path.open("rb") as bundle:
        return _entry(bundle, slot)[1] > 0


def tiles_present(folder: Path | str, level: int) -> dict[tuple[int, int], int]:
    """Return the size in bytes of each tile of a level, by (row, column)."""
    present: dict[tuple[int, int], int] = {}
    for found_level, path in _bundle_files(Path(folder)):
        if found_level == level:
            present.update({tile: size for tile, _, size in _index_of(path)})
    return present


def write_tile(folder: Path | str, level: int, row: int, col: int, data: bytes) -> bool:
    """Append a tile to its bundle, then point the index at it, then mend the header.

    Returns whether there was a tile before; its bytes stay behind as a hole.
    """
    path, slot = _place(Path(folder), level, row, col)
    if not path.exists():
        _make_bundle(path)
    with path.open("r+b", buffering=0) as bundle:
        _, old_size = _entry(bundle, slot)
        start = bundle.seek(0, 2)
        bundle.write(struct.pack("<I", len(data)) + data)
        _write_entry(bundle, slot, len(data) << _OFFSET_BITS | (start + 4))
        bundle.seek(0)
        largest = _HEADER.unpack(bundle.read(_HEADER.size))[2]
        bundle.seek(0)
        bundle.write(_header(max(largest, len(data)), start + 4 + len(data)))
    return old_size > 0


def delete_tile(folder: Path | str, level: int, row: int, col: int) -> bool:
    """Empty the index entry of a tile; folders and bundle files stay.

    Returns whether there was a tile.
    """
    path, slot = _place(Path(folder), level, row, col)
    if not path.exists():
        return False
    with path.open("r+b", buffering=0) as bundle:
        _, size = _entry(bundle, slot)
        if size:
            _write_entry(bundle, slot, _EMPTY_ENTRY)
        return size > 0


def _place(folder: Path, level: int, row: int, col: int) -> tuple[Path, int]:
    """Return the bundle file of a tile and its place in the index."""
    first_row = row - row % BUNDLE_SIDE
    first_col = col - col % BUNDLE_SIDE
    name = f"R{first_row:04x}C{first_col:04x}.bundle"
    slot = (row % BUNDLE_SIDE) * BUNDLE_SIDE + col % BUNDLE_SIDE
    return folder / LAYERS_FOLDER / f"L{level:02d}" / name, slot


def _make_bundle(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(_header(0, _DATA_START) + struct.pack("<Q", _EMPTY_ENTRY) * _ENTRIES)
    fresh.rename(path)


def _header(largest_tile: int, file_size: int) -> bytes:
    return _HEADER.pack(
        3, _ENTRIES, largest_tile, 5, 0, file_size, 40, 20 + _INDEX_SIZE, 3, 16, _ENTRIES, 5,
        _INDEX_SIZE,
    )  # fmt: skip


def _entry(bundle: BinaryIO, slot: int) -> tuple[int, int]:
    bundle.seek(_HEADER.size + 8 * slot)
    (value,) = struct.unpack("<Q", bundle.read(8))
    return value & _OFFSET_MASK, value >> _OFFSET_BITS


def _write_entry(bundle: BinaryIO, slot: int, value: int) -> None:
    bundle.seek(_HEADER.size + 8 * slot)
    bundle.write(struct.pack("<Q", value))


def _bundle_files(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in sorted((folder / LAYERS_FOLDER).glob("L*/R*C*.bundle")):
        level = _LEVEL_NAME.fullmatch(path.parent.name)
        if level and _BUNDLE_NAME.fullmatch(path.name):
            yield int(level[1]), path


def _index_of(path: Path) -> Iterator[tuple[tuple[int, int], int, int]]:
    """Yield (row, column), offset and size of the tiles of a bundle."""
    name = _BUNDLE_NAME.fullmatch(path.name)
    if name is None:
        return
    first_row, first_col = int(name[1], 16), int(name[2], 16)
    with path.open("rb") as bundle:
        bundle.seek(_HEADER.size)
        index = struct.unpack(f"<{_ENTRIES}Q", bundle.read(_INDEX_SIZE))
    for slot, value in enumerate(index):
        if value >> _OFFSET_BITS:
            tile = (first_row + slot // BUNDLE_SIDE, first_col + slot % BUNDLE_SIDE)
            yield tile, value & _OFFSET_MASK, value >> _OFFSET_BITS


def _tiles_of_bundle(path: Path) -> Iterator[tuple[tuple[int, int], StoredTile]]:
    with path.open("rb") as bundle:
        for tile, offset, size in _index_of(path):
            bundle.seek(offset)
            digest = hashlib.sha1(bundle.read(size), usedforsecurity=False).hexdigest()
            yield tile, StoredTile(size, offset, digest)
