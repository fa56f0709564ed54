"""Compact Cache V1, as caches of ArcGIS 10.0 to 10.2 and their packages hold it.

There is no specification: this follows what such caches show. A ``.bundle`` holds a header, an
empty size for each place, then the tiles, each behind its size; a ``.bundlx`` beside it holds the
offsets of the sizes, five bytes each, column by column.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .bundles import BUNDLE_SIDE, LAYERS_FOLDER

_ENTRIES = BUNDLE_SIDE * BUNDLE_SIDE
_HEADER = struct.Struct("<4I3Q5I")
_INDEX_HEAD = struct.pack("<4I", 3, 16, _ENTRIES, 5)
_INDEX_FOOT = struct.pack("<4I", 0, 16, 16, 0)
_DATA_START = _HEADER.size + 4 * _ENTRIES


@dataclass
class _Bundle:
    path: Path
    row: int
    col: int
    size: int = _DATA_START
    largest: int = 0
    offsets: dict[int, int] = field(default_factory=dict)


class CompactV1:
    """Writes the bundles of a cache folder, each tile once; ``close`` writes the indexes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / LAYERS_FOLDER
        self._bundles: dict[Path, _Bundle] = {}

    def write(self, level: int, row: int, col: int, data: bytes) -> None:
        first_row, first_col = row - row % BUNDLE_SIDE, col - col % BUNDLE_SIDE
        name = f"R{first_row:04x}C{first_col:04x}.bundle"
        path = self._folder / f"L{level:02d}" / name
        bundle = self._bundles.get(path)
        if bundle is None:
            bundle = self._bundles[path] = _Bundle(path, first_row, first_col)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(_DATA_START))
        with path.open("ab") as file:
            file.write(struct.pack("<I", len(data)) + data)
        slot = (col - first_col) * BUNDLE_SIDE + row - first_row
        bundle.offsets[slot] = bundle.size
        bundle.size += 4 + len(data)
        bundle.largest = max(bundle.largest, len(data))

    def close(self) -> None:
        for bundle in self._bundles.values():
            with bundle.path.open("r+b") as file:
                file.write(_header(bundle))
            offsets = b"".join(
                bundle.offsets.get(slot, _HEADER.size + 4 * slot).to_bytes(5, "little")
                for slot in range(_ENTRIES)
            )
            index = _INDEX_HEAD + offsets + _INDEX_FOOT
            bundle.path.with_suffix(".bundlx").write_bytes(index)


def _header(bundle: _Bundle) -> bytes:
    last = BUNDLE_SIDE - 1
    return _HEADER.pack(
        3, _ENTRIES, bundle.largest, 5, 4 * len(bundle.offsets), bundle.size, 40,
        16, bundle.row, bundle.row + last, bundle.col, bundle.col + last,
    )  # fmt: skip


def read_tiles(folder: Path) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield level, row, column and bytes of each tile of a cache folder."""
    for path in sorted((folder / LAYERS_FOLDER).glob("L*/R*C*.bundle")):
        first_row, first_col = (int(part, 16) for part in path.stem[1:].split("C"))
        data = path.read_bytes()
        index = path.with_suffix(".bundlx").read_bytes()[16:]
        for slot in range(_ENTRIES):
            offset = int.from_bytes(index[5 * slot : 5 * slot + 5], "little")
            size = struct.unpack_from("<I", data, offset)[0] if offset else 0
            if size:
                col, row = divmod(slot, BUNDLE_SIDE)
                tile = data[offset + 4 : offset + 4 + size]
                yield int(path.parent.name[1:]), first_row + row, first_col + col, tile
