"""What the table `metadata` of an MBTiles file says, and a new file with one.

Format: MBTiles 1.3 (mapbox/mbtiles-spec, 1.3/spec.md). What it has no words for stands in rows of
our own, whose names begin with `tilecache:`; the specification allows further rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from ..errors import (
    CannotPackReason,
    DamagedCache,
    HostileFile,
    NotACache,
    NotACacheReason,
    TargetExists,
)
from ..schemes import web_mercator
from ..tiling import WEB_MERCATOR_HALF, Extent, TileRange
from .can_pack import FINEST_ZOOM, check_can_pack, picture_kind, why_not, zooms_of
from .files import replacing, storage_errors
from .pictures import LARGEST_SIDE, PictureFacts, picture_facts
from .profile import CacheProfile, StorageFormat, TileFormat
from .sqlite_file import SqliteFile, create, sqlite_errors
from .tile_table_said import (
    BLOCKS,
    limits_on_disk,
    put_rows,
    said_in,
    sample_of,
    true_extent,
    zooms_on_disk,
)
from .tile_table_sql import TableSql

FINEST, FINEST_READ = 22, FINEST_ZOOM
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
SQL = TableSql()
_DECLARED = "tilecache:declared_bounds"
_MADE = "SELECT name, sql FROM sqlite_master"
_SUFFIXES = {"PNG": "png", "JPEG": "jpg"}
_FORMATS = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "webp": "WEBP", "gif": "GIF"}
_VECTOR = frozenset({"pbf", "mvt"})
_PACKED = b"\x1f\x8b"  # gzip, which only vector tiles are packed with
_LAYER = b"\x1a"  # how a vector tile begins: with a layer (mapbox/vector-tile-spec, 2.1)
_USUAL_QUALITY = 75
_USUAL_SIDE, _SMALLEST_SIDE = 256, 64  # pixels


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
    said = said_in(file, SQL) if "metadata" in made else {}
    sample = sample_of(file, SQL)
    facts = picture_facts(sample)
    given = said.get("format", "").strip().lower().rpartition("/")[2]
    if given in _VECTOR or sample.startswith(_PACKED) or (not given and sample.startswith(_LAYER)):
        raise NotACache(str(path), NotACacheReason.VECTOR)
    image_format = _FORMATS.get(given) or (facts.format if facts else given.upper() or "PNG")
    drawn = said.get(_FORMAT, "")
    if drawn and _SUFFIXES.get(image_format) == _SUFFIXES.get(picture_kind(drawn)):
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
    Raises TargetExists, CannotPack (not the Web Mercator scheme of MBTiles, a tile format it does
    not know), TargetProblem, ReadOnlyCache, DiskFull.
    """
    reason = why_not(StorageFormat.MBTILES, profile)
    if reason not in (None, CannotPackReason.TILE_SIZE):  # readers apart, it holds tiles of any
        check_can_pack(path, replace(profile, storage=StorageFormat.MBTILES))
    image_format, zooms = picture_kind(profile.image_format), zooms_of(profile) or ()
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
        put_rows(file, SQL, said)


def lasting_rows(profile: CacheProfile) -> dict[str, str]:
    """What a file of others may have left to guess from its tiles, which are to change now."""
    image_format = picture_kind(profile.image_format)
    return {
        "name": profile.name,
        "format": _SUFFIXES.get(image_format, image_format.lower()),
        _TILE_SIZE: str(profile.scheme.tile_width),
    }


def true_rows(file: SqliteFile, profile: CacheProfile) -> dict[str, str]:
    """What the metadata have to say of zooms and bounds, now that tiles were written.

    Bounds are those that the file was made with, grown to hold all tiles; they do not shrink with
    tiles that are deleted.
    """
    said = said_in(file, SQL)
    known = {level.id for level in profile.scheme.levels}
    zooms = tuple(zoom for zoom in zooms_on_disk(file, SQL) if zoom in known)
    declared = said.get(_DECLARED if BLOCKS in said else "bounds", "")
    extent, blocks = true_extent(
        profile, said, zooms, lambda zoom: _block_on_disk(file, zoom), _extent_of_text(declared)
    )
    rows = {
        _DECLARED: declared,
        BLOCKS: blocks,
        _LEVELS: ",".join(map(str, sorted({*profile.cached_ids, *zooms}))),
    }
    if zooms:
        rows |= {"minzoom": str(min(zooms)), "maxzoom": str(max(zooms))}
    if zooms and extent is not None:
        rows |= place_rows(extent, min(zooms))
    return rows


def _block_on_disk(file: SqliteFile, zoom: int) -> TileRange | None:
    last = (1 << zoom) - 1
    block = limits_on_disk(file, SQL, zoom, last, last)
    if block is None:
        return None
    return TileRange(last - block.max_row, last - block.min_row, block.min_col, block.max_col)


def place_rows(extent: Extent, zoom: int) -> dict[str, str]:
    """The rows `bounds` and `center` for an extent in Web Mercator."""
    west, east = (_longitude(x) for x in (extent.xmin, extent.xmax))
    south, north = (_latitude(y) for y in (extent.ymin, extent.ymax))
    middle = _latitude((max(extent.ymin, -WEB_MERCATOR_HALF) + extent.ymax) / 2)
    return {
        "bounds": ",".join(f"{degrees:.9g}" for degrees in (west, south, east, north)),
        "center": f"{(west + east) / 2:.9g},{middle:.9g},{zoom}",
    }


def _cached_zooms(file: SqliteFile, said: Mapping[str, str]) -> set[int]:
    """Zooms that may hold tiles: those the file was made for and those that have some."""
    zooms = {_whole(part) for part in said.get(_LEVELS, "").split(",")}
    first, last = _whole(said.get("minzoom")), _whole(said.get("maxzoom"))
    if _LEVELS not in said and first is not None and last is not None:
        zooms |= set(range(max(first, 0), min(last, FINEST_READ) + 1))
    with suppress(DamagedCache):  # `file_findings` tells
        zooms |= set(zooms_on_disk(file, SQL))
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
