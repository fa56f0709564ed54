"""New caches, without tiles."""

from __future__ import annotations

import math
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from ..errors import BadCacheOption, BadScheme, BadSchemeReason, StorageError, TargetExists
from ..schemes import LARGEST_TILE, MOST_LEVELS, area_of, counted_from_zero
from .can_pack import check_can_pack as check_can_pack
from .can_pack import is_counted
from .can_pack import possible_formats as possible_formats
from .conf_xml import CONF_CDI, CONF_XML, conf_cdi, conf_xml
from .files import PART, storage_errors, sync_folder, write_whole
from .gpkg_tables import create_geopackage
from .mbtiles import create_mbtiles
from .opening import ALL_LAYERS
from .profile import CacheProfile, StorageFormat, TileFormat
from .sidecar import NAME, CacheSettings, work_folder, write_settings, write_settings_in
from .tpk import create_tpk
from .tpkx import create_tpkx

SUFFIXES = {
    StorageFormat.TPKX: ".tpkx",
    StorageFormat.TPK: ".tpk",
    StorageFormat.MBTILES: ".mbtiles",
    StorageFormat.GEOPACKAGE: ".gpkg",
}
"""How the names of packages end that can be created."""

_PATIENCE = 2.0  # seconds

MOST_TILES_ACROSS = 2**31 - 1
"""Rows, or columns, that every reader can number; exploded names end at 2^32."""


def create_cache(path: Path, profile: CacheProfile, settings: CacheSettings) -> None:
    """Make a cache without tiles at `path`, as `profile` says, and keep `settings` for it.

    Its levels keep their ids; where these do not count from 0 without a gap, as GDAL and ArcGIS
    take for granted, the scheme gets levels in between that are not cached. (MBTiles tell levels by
    their resolutions, GeoPackages by their ids.) The CRS must have an Esri WKT for a folder, a code
    for a package; Web Mercator and WGS 84 need neither. A missing extent becomes all that the
    scheme can hold.

    A folder that exists and is empty is taken; folders above it are made. After an error nothing is
    left behind.
    Raises TargetExists, TargetProblem, ReadOnlyCache, DiskFull, BadScheme, BadCacheOption,
    CannotPack.
    """
    _check_options(path, profile)
    profile = _completed(path, profile)
    _check_scheme(profile)
    check_can_pack(path, profile)
    has_own_place = profile.storage.is_database  # for the chosen levels
    is_all = len(profile.cached_ids) == len(profile.scheme.levels)
    chosen = () if is_all or has_own_place else profile.cached_ids
    settings = replace(settings, levels=chosen)
    _check_free(path, profile.storage)
    with _called(path), _folders_above(path):
        if profile.storage.is_package:
            _create_package(path, profile, settings)
        else:
            _create_folder(path, profile, settings)


def _check_options(path: Path, profile: CacheProfile) -> None:
    """Raise BadCacheOption for what no cache can be made with."""
    storage = profile.storage
    if not storage.can_be_written:
        offered = ", ".join(each.value for each in StorageFormat if each.can_be_written)
        raise BadCacheOption("STORAGE_FORMAT", storage.value, offered)
    wanted = SUFFIXES.get(storage)
    if wanted is not None and path.suffix.lower() != wanted:
        raise BadCacheOption("TARGET", path.name, f"a name that ends in {wanted}")
    if wanted is None and path.suffix.lower() in SUFFIXES.values():
        raise BadCacheOption("TARGET", path.name, "the name of a folder")
    if profile.tile_format is None:
        offered = ", ".join(each.value for each in TileFormat)
        raise BadCacheOption("TILE_FORMAT", profile.image_format, offered)
    if not 0 <= profile.compression_quality <= 100:
        raise BadCacheOption("COMPRESSION_QUALITY", str(profile.compression_quality), "0 to 100")
    scheme = profile.scheme
    sides = {scheme.tile_width, scheme.tile_height}
    if len(sides) > 1 or not 1 <= min(sides) <= LARGEST_TILE:
        size = f"{scheme.tile_width} x {scheme.tile_height}"
        raise BadCacheOption("TILE_SIZE", size, f"square, 1 to {LARGEST_TILE}")
    if not 0 < scheme.dpi < math.inf:
        raise BadCacheOption("DPI", str(scheme.dpi), "above 0")


def _completed(path: Path, profile: CacheProfile) -> CacheProfile:
    """`profile` with a name, the levels that are cached, and a level for each id from 0."""
    scheme = profile.scheme
    if not scheme.levels:
        raise BadScheme(path.name, BadSchemeReason.NO_LEVELS)
    ids = [level.id for level in scheme.levels]
    cached = tuple(each for each in ids if each in profile.cached_ids or not profile.cached_ids)
    if not cached:
        raise BadScheme(path.name, BadSchemeReason.NO_LEVELS)
    if is_counted(profile.storage):
        scheme = counted_from_zero(scheme)
    return replace(profile, scheme=scheme, cached_ids=cached, name=profile.name or path.stem)


def _check_scheme(profile: CacheProfile) -> None:
    """Raise BadScheme where tiles could not be numbered, or their folders not be named."""
    scheme, extent = profile.scheme, profile.extent or area_of(profile.scheme)
    ids = [level.id for level in scheme.levels]
    if not 0 <= min(ids) <= max(ids) < MOST_LEVELS or len(set(ids)) < len(ids):
        raise BadScheme(profile.name, BadSchemeReason.TOO_FINE)
    if not all(0 < level.resolution < math.inf for level in scheme.levels):
        raise BadScheme(profile.name, BadSchemeReason.NO_LEVELS)
    row, col = scheme.tile_at(scheme.levels[-1], extent.xmax, extent.ymin)
    if max(row, col) > MOST_TILES_ACROSS:
        raise BadScheme(profile.name, BadSchemeReason.TOO_FINE)


def _check_free(path: Path, storage: StorageFormat) -> None:
    """Raise TargetExists where something is at `path`, other than an empty folder for a folder."""
    with storage_errors(path):
        if not path.is_symlink() and not path.exists():
            return
        if storage.is_package or not path.is_dir() or any(path.iterdir()):
            raise TargetExists(str(path))


@contextmanager
def _called(path: Path) -> Iterator[None]:
    """Let errors about files of the cache in the making be about `path`, which people know."""
    try:
        yield
    except StorageError as error:
        error.path = str(path)
        raise


@contextmanager
def _folders_above(path: Path) -> Iterator[None]:
    """Make the folders that `path` lies in; after an error take away those that were made."""
    missing: list[Path] = []
    try:
        with storage_errors(path):
            missing += [each for each in path.parents if not each.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for each in missing:
            with suppress(OSError):
                each.rmdir()
        raise


def _create_folder(path: Path, profile: CacheProfile, settings: CacheSettings) -> None:
    if path.is_dir():
        # Its owner, its rights, or a disk mounted there, stay as they are.
        _fill_or_empty(path, profile, settings)
        return
    part = path.with_name(f".{secrets.token_hex(4)}{PART}")
    try:
        with storage_errors(path):
            part.mkdir()
            _fill(part, profile, settings)
            _rename(part, path)
            sync_folder(path.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _rename(part: Path, path: Path) -> None:
    """Rename, patiently: on Windows virus scanners hold fresh files for moments.

    Raises TargetExists where somebody else was quicker.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            part.rename(path)
        except OSError as error:
            if path.exists():
                raise TargetExists(str(path)) from error
            if os.name != "nt" or time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


def _fill_or_empty(folder: Path, profile: CacheProfile, settings: CacheSettings) -> None:
    try:
        _fill(folder, profile, settings)
    except BaseException:
        for name in (CONF_XML, CONF_CDI):
            with suppress(OSError):
                (folder / name).unlink()
        for name in (ALL_LAYERS, NAME):
            shutil.rmtree(folder / name, ignore_errors=True)
        raise


def _fill(folder: Path, profile: CacheProfile, settings: CacheSettings) -> None:
    """Write all that a cache consists of; with its conf.xml, the last, it is one."""
    conf, extent = conf_xml(profile), conf_cdi(profile)
    write_settings_in(folder / NAME, settings)
    with storage_errors(folder):
        (folder / ALL_LAYERS).mkdir()
    write_whole(folder / CONF_CDI, extent)
    write_whole(folder / CONF_XML, conf)


def _create_package(path: Path, profile: CacheProfile, settings: CacheSettings) -> None:
    work = work_folder(path)
    shutil.rmtree(work, ignore_errors=True)  # of a package that was here and is gone
    try:
        _make_package(path, profile)
        write_settings(path, settings)
    except TargetExists:
        raise  # somebody was quicker: it is theirs
    except BaseException:
        with suppress(OSError):
            path.unlink()
        shutil.rmtree(work, ignore_errors=True)
        raise


def _make_package(path: Path, profile: CacheProfile) -> None:
    if profile.storage is StorageFormat.MBTILES:
        create_mbtiles(path, profile)
    elif profile.storage is StorageFormat.GEOPACKAGE:
        create_geopackage(path, profile)
    elif profile.storage is StorageFormat.TPK:
        create_tpk(path, profile)
    else:
        create_tpkx(path, profile)
