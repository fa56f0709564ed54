"""What exports should hold, by brute force and by readers of the tests' own."""

from __future__ import annotations

import re
import sqlite3
import struct
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

HALF = 20037508.342789244
HEADER_BYTES = 64
INDEX_ENTRIES = 128 * 128
_PLACE = re.compile(r"R([0-9a-f]{4,8})C([0-9a-f]{4,8})\.bundle")

Tile = tuple[int, int, int]
"""Level, row, column."""


def expected_tiles(bounds: tuple[float, ...], *levels: int) -> set[Tile]:
    """Tiles of the Web Mercator levels that a rectangle (metres) reaches into, one by one."""
    xmin, ymin, xmax, ymax = bounds
    found = set()
    for level in levels:
        size = 2 * HALF / 2**level
        for row in range(int((HALF - ymax) // size), int((HALF - ymin) // size) + 1):
            for col in range(int((xmin + HALF) // size), int((xmax + HALF) // size) + 1):
                found.add((level, row, col))
    return found


def served(site: Any, name: str, tile: Tile, key: str = "classic") -> bytes:
    """A tile as the service itself gives it."""
    level, row, col = tile
    address = f"{site.service_url(key, name)}/tile/{level}/{row}/{col}"
    with urllib.request.urlopen(address) as answer:
        return bytes(answer.read())


def tiles_in_bundles(folder: Path) -> dict[Tile, bytes]:
    """Tiles of the compact cache (version 2) whose level folders lie in `folder`.

    By Esri's specification: 64 bytes of header; 128 x 128 entries of 8 bytes, offset in the lower
    40 bits, size in the upper 24; bundles called by the row and column of their first tile.
    """
    found: dict[Tile, bytes] = {}
    for bundle in sorted(folder.glob("L*/R*C*.bundle")):
        level, place = int(bundle.parent.name[1:]), _PLACE.fullmatch(bundle.name)
        if place is None:
            raise ValueError(bundle.name)
        first_row, first_col = (int(number, 16) for number in place.groups())
        content = bundle.read_bytes()
        entries = struct.unpack_from(f"<{INDEX_ENTRIES}Q", content, HEADER_BYTES)
        for number, entry in enumerate(entries):
            offset, size = entry & (1 << 40) - 1, entry >> 40
            if size:
                key = (level, first_row + number // 128, first_col + number % 128)
                found[key] = content[offset : offset + size]
    return found


def tiles_of_tpkx(package: Path, folder: Path) -> dict[Tile, bytes]:
    """Tiles of a tile package, unpacked into `folder`."""
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    return tiles_in_bundles(folder / "tile")


def tiles_of_mbtiles(package: Path) -> dict[Tile, bytes]:
    """Tiles of an MBTiles file, whose rows count from the bottom."""
    connection = sqlite3.connect(package)
    try:
        rows = connection.execute("SELECT zoom_level, tile_row, tile_column, tile_data FROM tiles")
        return {(z, 2**z - 1 - row, col): bytes(data) for z, row, col, data in rows}
    finally:
        connection.close()
