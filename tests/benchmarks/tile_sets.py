"""Tiles of both sides read apart from the plugin, and compared pixel by pixel."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from arcgis_server import bundles

Place = tuple[int, int, int]
"""Level, row (from the north) and column."""


class TileSet:
    """Tiles by place: `digests`, `sizes` in bytes, and `read` for the bytes of one."""

    def __init__(self, read: Callable[[Place], bytes]) -> None:
        self.read = read
        self.digests: dict[Place, str] = {}
        self.sizes: dict[Place, int] = {}

    def add(self, place: Place, digest: str, size: int) -> None:
        self.digests[place] = digest
        self.sizes[place] = size

    @property
    def megabytes(self) -> float:
        return sum(self.sizes.values()) / 1e6


def tiles_at(path: Path) -> TileSet:
    """What is at `path`: a compact cache, a folder level/column/row.png, or MBTiles."""
    if path.suffix == ".mbtiles":
        return _of_mbtiles(path)
    if (path / "_alllayers").exists():
        return _of_cache(path)
    return _of_folder(path)


def _of_cache(path: Path) -> TileSet:
    found = TileSet(lambda place: bundles.read_bytes(path, *place) or b"")
    for level, tiles in bundles.read_cache(path).items():
        for (row, col), tile in tiles.items():
            found.add((level, row, col), tile.sha1, tile.size)
    return found


def _of_folder(path: Path) -> TileSet:
    def read(place: Place) -> bytes:
        level, row, col = place
        return (path / str(level) / str(col) / f"{row}.png").read_bytes()

    found = TileSet(read)
    for file in path.glob("*/*/*.png"):
        place = int(file.parts[-3]), int(file.stem), int(file.parts[-2])
        content = file.read_bytes()
        found.add(place, _digest(content), len(content))
    return found


def _of_mbtiles(path: Path) -> TileSet:
    def read(place: Place) -> bytes:
        level, row, col = place
        with closing(sqlite3.connect(path)) as database:
            found = database.execute(
                "SELECT tile_data FROM tiles WHERE zoom_level=? AND tile_column=? AND tile_row=?",
                (level, col, 2**level - 1 - row),
            ).fetchone()
        return bytes(found[0])

    found = TileSet(read)
    with closing(sqlite3.connect(path)) as database:
        for level, col, row, content in database.execute(
            "SELECT zoom_level, tile_column, tile_row, tile_data FROM tiles"
        ):
            found.add((level, 2**level - 1 - row, col), _digest(content), len(content))
    return found


def _digest(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Comparison:
    """Of tiles that both have: how many were compared, and how far those lie apart that differ.

    `pixels`: that differ, of all. `largest`: difference of one of a pixel's R, G, B, A, which are
    from 0 to 255. `ours`, `theirs`: bytes of each of the tiles that are equal.
    """

    tiles: int
    pixels: int
    largest: int
    ours: Mapping[Place, int]
    theirs: Mapping[Place, int]

    @property
    def equal(self) -> int:
        return len(self.ours)

    @property
    def told(self) -> str:
        text = f"{self.equal:,} of {self.tiles:,} tiles have the same pixels"
        if self.equal == self.tiles:
            return text
        return (
            f"{text}; in the others {self.pixels:,} pixels differ"
            f" ({self.pixels / (self.tiles * 65536):.1e} of all), by {self.largest} of 255 at most"
        )


def compare(ours: TileSet, theirs: TileSet) -> Comparison:
    """Compare all tiles that both have; pairs of pictures that come many times are decoded once."""
    pairs: dict[tuple[str, str], list[Place]] = {}
    both = [place for place in ours.digests if place in theirs.digests]
    for place in both:
        pairs.setdefault((ours.digests[place], theirs.digests[place]), []).append(place)
    pixels = largest = 0
    equal: list[Place] = []
    for places in pairs.values():
        mine, other = pixels_of(ours.read(places[0])), pixels_of(theirs.read(places[0]))
        if (mine == other).all():
            equal += places
            continue
        apart = np.abs(mine.astype(np.int16) - other)
        pixels += len(places) * int(apart.any(axis=2).sum())
        largest = max(largest, int(apart.max()))
    return Comparison(
        tiles=len(both),
        pixels=pixels,
        largest=largest,
        ours={place: ours.sizes[place] for place in equal},
        theirs={place: theirs.sizes[place] for place in equal},
    )


def pixels_of(content: bytes) -> np.ndarray:
    """The pixels of a picture: rows x columns x B, G, R, A, colours as stored."""
    from qgis.PyQt.QtGui import QImage

    image = QImage.fromData(content).convertToFormat(QImage.Format.Format_ARGB32)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    return np.frombuffer(bits, np.uint8).reshape(image.height(), image.width(), 4).copy()
