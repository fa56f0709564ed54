"""What the table `metadata` of an MBTiles file says, and a new file with one.

Format: MBTiles 1.3 (mapbox/mbtiles-spec, 1.3/spec.md). What it has no words for stands in rows of
our own, whose names begin with `tilecache:`; the specification allows further rows.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import astuple
from pathlib import Path

from ..errors import (
    BadCacheOption,
    BadScheme,
    BadSchemeReason,
    DamagedCache,
    HostileFile,
    NotACache,
    NotACacheReason,
    TargetExists,
)
from ..schemes import web_mercator
from ..tiling import WEB_MERCATOR_HALF, Extent, Level, TileRange
from .data_extent import extent_of_blocks
from .files import replacing, storage_errors
from .pictures import LARGEST_SIDE, PictureFacts, picture_facts
from .profile import CacheProfile, StorageFormat, TileFormat
from .sqlite_file import SqliteFile, create, sqlite_errors

FINEST, FINEST_READ = 22, 30
"""Levels of the scheme go at least, and at most, to these zooms."""

_APPLICATION_ID = 0x4D504258  # "MPBX", of the specification
_LEVELS, _FORMAT, _QUALITY = "tilecache:levels", "tilecache:format", "tilecache:quality"
_TILE_SIZE, _DPI = "tilecache:tile_size", "tilecache:dpi"
_TABLES = """
CREATE TABLE metadata (name text, value text);
CREATE TABLE tiles (
    zoom_level integer, tile_column integer, tile_row integer, tile_data blob);
CREATE UNIQUE INDEX tile_index ON tiles (zoom_level, tile_column, tile_row);
"""
_DECLARED, _BLOCKS = "tilecache:declared_bounds", "tilecache:blocks"
_MADE = "SELECT name, sql FROM sqlite_master"
_NAMED = "SELECT 1 FROM metadata WHERE name = ?"
_NEXT_ZOOM = """
SELECT min(zoom_level) FROM tiles WHERE zoom_level > ? AND typeof(zoom_level) = 'integer'
"""
_LIMITS = """
SELECT min(tile_column), max(tile_column), min(tile_row), max(tile_row) FROM tiles
WHERE zoom_level = ? AND tile_column BETWEEN 0 AND ? AND tile_row BETWEEN 0 AND ?
"""
_SUFFIXES = {"PNG": "png", "JPEG": "jpg"}
_FORMATS = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "webp": "WEBP", "gif": "GIF"}
_VECTOR = frozenset({"pbf", "mvt"})
_PACKED = b"\x1f\x8b"  # gzip, which only vector tiles are packed with
_LAYER = b"\x1a"  # how a vector tile begins: with a layer (mapbox/vector-tile-spec, 2.1)
_USUAL_QUALITY = 75
_USUAL_SIDE, _SMALLEST_SIDE = 256, 64  # pixels
_MOST_ZOOMS = 1000  # more are no tiles but somebody's joke
_CLOSE = 1e-6  # relative difference within which two lengths in the plane are the same


def read_profile(file: SqliteFile, path: Path) -> CacheProfile:
    """What the file says of itself.

    Raises NotACache (no tables of MBTiles, vector tiles), HostileFile, DamagedCache and others of
    `sqlite_errors`.
    """
    made = {str(name).lower(): str(sql) for name, sql in file.rows(_MADE)}
    if "tiles" not in made:
        raise NotACache(str(path), NotACacheReason.UNKNOWN_FILE)
    if any("recursive" in made.get(name, "").lower() for name in ("tiles", "metadata")):
        raise HostileFile(str(path), "a view without end")
    said = _metadata(file) if "metadata" in made else {}
    sample = _sample(file)
    facts = picture_facts(sample)
    given = said.get("format", "").strip().lower().rpartition("/")[2]
    if given in _VECTOR or sample.startswith(_PACKED) or (not given and sample.startswith(_LAYER)):
        raise NotACache(str(path), NotACacheReason.VECTOR)
    image_format = _FORMATS.get(given) or (facts.format if facts else given.upper() or "PNG")
    drawn = said.get(_FORMAT, "")
    if drawn and _SUFFIXES.get(image_format) == _SUFFIXES.get(_kind(drawn)):
        image_format = drawn
    has_quality = image_format == TileFormat.JPEG.value
    levels = _cached_zooms(file, said)
    return CacheProfile(
        scheme=web_mercator(
            _tile_size(said, facts),
            _number(said.get(_DPI)) or 96.0,
            max([FINEST, *(zoom for zoom in levels if zoom <= FINEST_READ)]),
        ),
        storage=StorageFormat.MBTILES,
        image_format=image_format,
        compression_quality=_quality(said) if has_quality else 0,
        cached_ids=tuple(sorted(zoom for zoom in levels if 0 <= zoom <= FINEST_READ)),
        extent=_extent_of_text(said.get("bounds", "")),
        name=said.get("name", "") or path.stem,
        text=said.get("description", ""),
    )


def create_mbtiles(path: Path, profile: CacheProfile) -> None:
    """Make an MBTiles file without tiles at `path`.

    Zooms are told by resolutions, whatever the ids of the levels of `profile`.
    Raises TargetExists, BadScheme (not the Web Mercator scheme of MBTiles), BadCacheOption (a tile
    format it does not know), TargetProblem, ReadOnlyCache, DiskFull.
    """
    image_format = _kind(profile.image_format)
    if image_format not in _SUFFIXES:
        raise BadCacheOption("TILE_FORMAT", profile.image_format, "PNG or JPEG in MBTiles")
    zooms = _zooms(profile)
    with storage_errors(path):
        if path.exists():
            raise TargetExists(str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
    said = {
        "name": profile.name or path.stem,
        "format": _SUFFIXES[image_format],
        "type": "baselayer",
        "version": "1.0",
        "description": profile.text,
        "minzoom": str(min(zooms)),
        "maxzoom": str(max(zooms)),
        _LEVELS: ",".join(map(str, zooms)),
        _FORMAT: profile.image_format,
        _QUALITY: str(profile.compression_quality),
        _TILE_SIZE: str(profile.scheme.tile_width),
        _DPI: repr(profile.scheme.dpi),
    }
    if profile.extent is not None:
        said |= place_rows(profile.extent, min(zooms))
    with replacing(path) as part, sqlite_errors(path, is_writing=True):
        make_file(part, said)


def make_file(path: Path, said: Mapping[str, str]) -> None:
    """Make an MBTiles file without tiles, whose metadata are `said`. Raises sqlite3.Error."""
    with closing(create(path)) as file:
        file.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        file.executescript(f"BEGIN; {_TABLES} COMMIT;")
        put_rows(file, said)


def put_rows(
    connection: sqlite3.Connection, said: Mapping[str, str], *, only_new: bool = False
) -> None:
    """Say `said` in the table `metadata`, in place of what its names said before.

    `only_new`: but leave alone what is said already.
    """
    for name, value in said.items():
        if only_new and connection.execute(_NAMED, (name,)).fetchone():
            continue
        connection.execute("DELETE FROM metadata WHERE name = ?", (name,))
        connection.execute("INSERT INTO metadata (name, value) VALUES (?, ?)", (name, value))


def lasting_rows(profile: CacheProfile) -> dict[str, str]:
    """What a file of others may have left to guess from its tiles, which are to change now."""
    image_format = _kind(profile.image_format)
    return {
        "name": profile.name,
        "format": _SUFFIXES.get(image_format, image_format.lower()),
        _TILE_SIZE: str(profile.scheme.tile_width),
    }


def grow_blocks(connection: sqlite3.Connection, zoom: int, block: TileRange) -> None:
    """Put down that tiles were written in `block`, for `true_rows` to know, whoever asks it.

    Where nothing is put down yet it looks for itself.
    """
    said = connection.execute("SELECT value FROM metadata WHERE name = ?", (_BLOCKS,)).fetchone()
    if said is None:
        return
    blocks = _blocks(str(said[0]))
    grown = _union(blocks.get(zoom), block)
    if grown != blocks.get(zoom):
        put_rows(connection, {_BLOCKS: _blocks_text({**blocks, zoom: grown})})


def true_rows(file: SqliteFile, profile: CacheProfile) -> dict[str, str]:
    """What the metadata have to say of zooms and bounds, now that tiles were written.

    Bounds are those that the file was made with, grown to hold all tiles; they do not shrink with
    tiles that are deleted.
    """
    said = _metadata(file)
    known = {level.id: level for level in profile.scheme.levels}
    zooms = [zoom for zoom in zooms_on_disk(file) if zoom in known]
    is_first = _BLOCKS not in said
    blocks = {z: _block_on_disk(file, z) for z in zooms} if is_first else _blocks(said[_BLOCKS])
    here = {zoom: block for zoom, block in blocks.items() if zoom in zooms and block is not None}
    declared = said.get("bounds" if is_first else _DECLARED, "")
    extent = extent_of_blocks(
        profile.scheme,
        {known[zoom]: block for zoom, block in here.items()},
        _extent_of_text(declared),
    )
    rows = {
        _DECLARED: declared,
        _BLOCKS: _blocks_text(here),
        _LEVELS: ",".join(map(str, sorted({*profile.cached_ids, *zooms}))),
    }
    if zooms:
        rows |= {"minzoom": str(min(zooms)), "maxzoom": str(max(zooms))}
    if zooms and extent is not None:
        rows |= place_rows(extent, min(zooms))
    return rows


def _blocks_text(blocks: Mapping[int, TileRange | None]) -> str:
    return json.dumps({zoom: astuple(block) for zoom, block in blocks.items() if block})


def _blocks(text: str) -> dict[int, TileRange | None]:
    """What was put down of each zoom; nothing of what cannot be read."""
    try:
        return {int(zoom): TileRange(*map(int, block)) for zoom, block in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _block_on_disk(file: SqliteFile, zoom: int) -> TileRange | None:
    last = (1 << zoom) - 1
    found = file.rows(_LIMITS, zoom, last, last)
    if not found or found[0][0] is None:
        return None
    min_col, max_col, min_row, max_row = map(int, found[0])
    return TileRange(last - max_row, last - min_row, min_col, max_col)


def _union(one: TileRange | None, other: TileRange) -> TileRange:
    if one is None:
        return other
    return TileRange(
        min(one.min_row, other.min_row),
        max(one.max_row, other.max_row),
        min(one.min_col, other.min_col),
        max(one.max_col, other.max_col),
    )


def place_rows(extent: Extent, zoom: int) -> dict[str, str]:
    """The rows `bounds` and `center` for an extent in Web Mercator."""
    west, east = (_longitude(x) for x in (extent.xmin, extent.xmax))
    south, north = (_latitude(y) for y in (extent.ymin, extent.ymax))
    middle = _latitude((max(extent.ymin, -WEB_MERCATOR_HALF) + extent.ymax) / 2)
    return {
        "bounds": ",".join(f"{degrees:.9g}" for degrees in (west, south, east, north)),
        "center": f"{(west + east) / 2:.9g},{middle:.9g},{zoom}",
    }


def _metadata(file: SqliteFile) -> dict[str, str]:
    rows = file.rows("SELECT name, value FROM metadata")
    return {str(name): str(value) for name, value in rows if value is not None}


def _sample(file: SqliteFile) -> bytes:
    """One of the tiles; no bytes where there is none that can be read."""
    rows = file.readable_rows("SELECT tile_data FROM tiles WHERE length(tile_data) > 0 LIMIT 1")
    return rows[0][0] if rows and isinstance(rows[0][0], bytes) else b""


def zooms_on_disk(file: SqliteFile) -> tuple[int, ...]:
    """The zooms that have tiles, ascending, also such as no scheme knows."""
    zooms: list[int] = []
    # The next greater one each time, which the index answers at once however many tiles there are.
    while len(zooms) < _MOST_ZOOMS:
        found = file.rows(_NEXT_ZOOM, zooms[-1] if zooms else -(1 << 63))
        if not found or found[0][0] is None:
            break
        zooms.append(found[0][0])
    return tuple(zooms)


def _cached_zooms(file: SqliteFile, said: Mapping[str, str]) -> set[int]:
    """Zooms that may hold tiles: those the file was made for and those that have some."""
    zooms = {_whole(part) for part in said.get(_LEVELS, "").split(",")}
    first, last = _whole(said.get("minzoom")), _whole(said.get("maxzoom"))
    if _LEVELS not in said and first is not None and last is not None:
        zooms |= set(range(max(first, 0), min(last, FINEST_READ) + 1))
    with suppress(DamagedCache):  # `file_findings` tells
        zooms |= set(zooms_on_disk(file))
    return {zoom for zoom in zooms if zoom is not None}


def _tile_size(said: Mapping[str, str], facts: PictureFacts | None) -> int:
    """Pixels across a tile: as we put them down, else those of the tile that was looked at.

    That may be a stand-in for an empty tile, of a single pixel: then the usual size.
    """
    told = _whole(said.get(_TILE_SIZE))
    if told is not None and 0 < told <= LARGEST_SIDE:
        return told
    is_tile = facts is not None and facts.width == facts.height >= _SMALLEST_SIDE
    return facts.width if facts is not None and is_tile else _USUAL_SIDE


def _quality(said: Mapping[str, str]) -> int:
    quality = _whole(said.get(_QUALITY))
    return quality if quality is not None and 0 < quality <= 100 else _USUAL_QUALITY


def _kind(image_format: str) -> str:
    """PNG for all kinds of PNG."""
    return "PNG" if image_format.startswith("PNG") else image_format


def _zooms(profile: CacheProfile) -> tuple[int, ...]:
    """The zooms of the cached levels. Raises BadScheme where a level is none."""
    scheme = profile.scheme
    fits = scheme.crs.code == 3857 and scheme.tile_width == scheme.tile_height
    for origin, wanted in ((scheme.origin_x, -1), (scheme.origin_y, 1)):
        fits = fits and abs(origin / WEB_MERCATOR_HALF - wanted) < _CLOSE
    levels = profile.cached_levels or scheme.levels
    zooms = tuple(_zoom(level, scheme.tile_width) if fits else None for level in levels)
    known = tuple(zoom for zoom in zooms if zoom is not None)
    if not zooms or len(known) < len(zooms):
        raise BadScheme(profile.name, BadSchemeReason.NOT_MBTILES)
    return known


def _zoom(level: Level, tile_size: int) -> int | None:
    zoom = math.log2(2 * WEB_MERCATOR_HALF / tile_size / level.resolution)
    nearest = round(zoom)
    return nearest if abs(zoom - nearest) < 1e-5 and 0 <= nearest <= FINEST_READ else None


def _extent_of_text(bounds: str) -> Extent | None:
    """`bounds` (west, south, east, north in degrees) in Web Mercator; None where it is unusable."""
    parts = [_number(part) for part in bounds.split(",")]
    degrees = [part for part in parts if part is not None]
    if len(parts) != 4 or len(degrees) != 4:
        return None
    west, south, east, north = degrees
    half = WEB_MERCATOR_HALF
    xmin, xmax = (max(-half, min(half, x / 180 * half)) for x in (west, east))
    ymin, ymax = _northing(south), _northing(north)
    return Extent(xmin, ymin, xmax, ymax) if xmin < xmax and ymin < ymax else None


def _longitude(x: float) -> float:
    return max(-180.0, min(180.0, x / WEB_MERCATOR_HALF * 180))


def _latitude(y: float) -> float:
    y = max(-WEB_MERCATOR_HALF, min(WEB_MERCATOR_HALF, y))
    return math.degrees(math.atan(math.sinh(y / WEB_MERCATOR_HALF * math.pi)))


def _northing(latitude: float) -> float:
    half = WEB_MERCATOR_HALF
    if abs(latitude) >= 90:
        return math.copysign(half, latitude)
    y = math.asinh(math.tan(math.radians(latitude))) / math.pi * half
    return max(-half, min(half, y))


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _whole(text: str | None) -> int | None:
    number = _number(text)
    return int(number) if number is not None and abs(number) < 1000 * FINEST_READ else None
