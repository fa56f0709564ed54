"""From a path to the tile store that lies there."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import (
    CacheInUse,
    DamagedCache,
    NotACache,
    NotACacheReason,
    ReadOnlyCache,
    ReadOnlyReason,
)
from .addresses import local_path as local_path
from .bundle_v2 import BundleV2
from .bundled import place_of_name
from .compact import CompactStore
from .conf_xml import CONF_CDI, CONF_XML, read_conf
from .exploded import ExplodedStore
from .gpkg import GeoPackageStore, read_geopackage_profile
from .layout_v1 import INDEX_SUFFIX
from .level_folders import LevelFolders, entries_of
from .mbtiles import MBTilesStore, read_mbtiles_profile
from .package_store import PackageStore
from .profile import CacheProfile, StorageFormat
from .root_json import LARGEST, ROOT_JSON, read_root
from .sidecar import read_settings, work_folder
from .small_files import find_file, read_small
from .store import Cancelled, TileStore
from .tpk import TpkStore
from .tpkx import TpkxStore
from .zip_members import ZipMembers

ALL_LAYERS = "_alllayers"
"""The folder of the levels beside a conf.xml: one for all layers of the map."""

_LEVELS_BESIDE = {ALL_LAYERS: CONF_XML, "tile": ROOT_JSON}
"""Folders of levels, in lower case, and the files that lie beside them."""

_DEEPEST = 3  # folders down to the cache: a folder of services, a service, `Layers`
_MOST_ENTRIES = 20_000  # names that are looked at on the way
_SQLITE = b"SQLite format 3\0"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_MBTILES_MARK = b"MPBX"
_GEOPACKAGE_MARKS = (b"GPKG", b"GP10", b"GP11", b"GP12")
_MARK_AT, _MARK_END = 68, 72  # application_id in the header of a SQLite file
_PACKAGES = {".tpkx", ".tpk", ".mbtiles", ".gpkg"}
_CONF_OF_MAP = re.compile(rf"v\d+/[^/]+/{re.escape(CONF_XML)}")
_VECTOR_PACKAGES = {".vtpk", ".pmtiles"}


@dataclass(frozen=True)
class Place:
    """Where a cache lies: the folder or the package at `path`.

    `scheme_file`: the conf.xml or root.json of a folder; None for a package, which is `package`.
    """

    path: Path
    scheme_file: Path | None = None
    package: StorageFormat | None = None


def open_store(
    path: Path, *, for_writing: bool = False, cancelled: Cancelled = lambda: False
) -> TileStore:
    """The tiles of the cache at `path`.

    That is a folder with conf.xml or root.json, one of these files, `_alllayers`, a folder that
    holds just one cache not far below, as ArcGIS's `<service>/Layers`, or a .tpkx, .tpk, .mbtiles
    or .gpkg file. `cancelled`: once true, another process that writes the package is waited for no
    more. Raises NotACache, DamagedCache, HostileFile, CacheInUse, and ReadOnlyCache where it is
    wanted `for_writing`.
    """
    place = find_cache(path)
    if place.package is not None:
        if for_writing:
            check_writable(place.path, place.package)
        return _open_package(place, for_writing, cancelled)
    profile, tiles_folder = _read_folder(place)
    if for_writing:
        check_writable(place.path, profile.storage)
    kind = ExplodedStore if profile.storage is StorageFormat.EXPLODED else CompactStore
    return kind(place.path, profile, tiles_folder, work_folder(place.path), for_writing)


def read_profile(path: Path) -> CacheProfile:
    """What the cache at `path` says of itself. Raises as `open_store`."""
    place = find_cache(path)
    if place.package is None:
        return _read_folder(place)[0]
    if place.package is StorageFormat.MBTILES:
        return read_mbtiles_profile(place.path)
    if place.package is StorageFormat.GEOPACKAGE:
        return read_geopackage_profile(place.path)
    with _open_package(place, for_writing=False) as store:
        profile: CacheProfile = store.profile
    return profile


def check_writable(path: Path, storage: StorageFormat) -> None:
    """Raise ReadOnlyCache where tiles cannot be put into the cache at `path`, of format `storage`.

    Tells what the system tells beforehand: a network share may still refuse.
    """
    if not storage.can_be_written:
        raise ReadOnlyCache(str(path), ReadOnlyReason.FORMAT)
    needed = (path, path.parent) if path.is_file() else (path,)
    if not all(os.access(each, os.W_OK) for each in needed):
        raise ReadOnlyCache(str(path), ReadOnlyReason.RIGHTS)


def find_cache(path: Path) -> Place:
    """Where the cache that `path` names lies. Raises NotACache, DamagedCache, HostileFile."""
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError) as error:
        raise NotACache(str(path), NotACacheReason.NOT_READABLE) from error
    if is_folder:
        return _in_folder(path)
    if not is_file:
        raise NotACache(str(path), NotACacheReason.MISSING)
    if path.name.lower() in (CONF_XML, CONF_CDI, ROOT_JSON):
        return _in_folder(path.parent)
    # A link stays one: what takes a package's place has to lie where the package does.
    target = path.resolve() if path.is_symlink() else path
    return Place(target, package=_package_format(target))


# Folders


def _in_folder(folder: Path) -> Place:
    try:
        found, below = _look_into(folder, _Allowance())
    except OSError as error:
        raise NotACache(str(folder), NotACacheReason.NOT_READABLE) from error
    if found is None and folder.name.lower() in _LEVELS_BESIDE:
        found = find_file(folder.parent, _LEVELS_BESIDE[folder.name.lower()])
    if found is not None:
        return Place(found.parent, found)
    nearest = _caches_below(below)
    first, second = next(nearest, None), next(nearest, None)
    if first is None:
        raise NotACache(str(folder), NotACacheReason.NO_SCHEME)
    if second is not None:
        raise NotACache(str(folder), NotACacheReason.SEVERAL)
    return Place(first.parent, first)


class _Allowance:
    """How many names may still be looked at."""

    def __init__(self, left: float = math.inf) -> None:
        self.left = left


def _look_into(folder: Path, allowance: _Allowance) -> tuple[Path | None, list[Path]]:
    """The conf.xml, else the root.json, in `folder`, in any case; and the folders in it.

    Without hidden folders, links and the levels of caches. Raises OSError.
    """
    schemes: dict[str, Path] = {}
    folders: list[Path] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            allowance.left -= 1
            if allowance.left < 0:
                break
            name = entry.name.lower()
            if name in (CONF_XML, ROOT_JSON) and entry.is_file():
                schemes[name] = Path(entry.path)
            elif name != ALL_LAYERS and name[0] != "." and entry.is_dir(follow_symlinks=False):
                folders.append(Path(entry.path))
    return schemes.get(CONF_XML) or schemes.get(ROOT_JSON), sorted(folders)


def _caches_below(folders: list[Path]) -> Iterator[Path]:
    """The scheme files of caches in `folders` and not far below them, nearest first."""
    allowance = _Allowance(_MOST_ENTRIES)
    for _ in range(_DEEPEST):
        deeper: list[Path] = []
        for folder in folders:
            try:
                found, inside = _look_into(folder, allowance)
            except OSError:
                continue  # what cannot be listed holds no cache for us
            if found is not None:
                yield found
            else:
                deeper += inside
        folders = deeper


def _read_folder(place: Place) -> tuple[CacheProfile, Path]:
    """What the cache in a folder says of itself, and the folder of its levels."""
    file = place.scheme_file
    if file is None:
        raise NotACache(str(place.path), NotACacheReason.NO_SCHEME)
    if file.name.lower() == CONF_XML:
        profile, tiles = read_conf(file), ALL_LAYERS
    else:
        profile, tiles = read_root(read_small(file, LARGEST), str(file))
        name = profile.name or place.path.name
        profile = replace(profile, storage=StorageFormat.COMPACT_V2, name=name)
    folder = _levels_folder(place.path, tiles)
    profile = replace(profile, storage=_storage_on_disk(profile.storage, folder))
    return _with_chosen_levels(profile, place.path), folder


def _storage_on_disk(said: StorageFormat, folder: Path) -> StorageFormat:
    """The version of the bundles in `folder`, by the first of them; what is `said` without any.

    Where a conf.xml tells the wrong version no tile would be found.
    """
    if said not in (StorageFormat.COMPACT_V1, StorageFormat.COMPACT_V2):
        return said
    levels = LevelFolders(folder)
    for level_id in levels.ids():
        for entry in entries_of(levels.path(level_id)):
            if place_of_name(entry.name) is not None:
                return _version_of(Path(entry.path)) or said
    return said


def _version_of(path: Path) -> StorageFormat | None:
    """The version of a bundle; None where it cannot be told."""
    try:
        with BundleV2(path) as bundle:
            if bundle.header().is_of_a_bundle:
                return StorageFormat.COMPACT_V2
    except (FileNotFoundError, DamagedCache, CacheInUse):
        return None
    has_index = path.with_suffix(INDEX_SUFFIX).exists()
    return StorageFormat.COMPACT_V1 if has_index else None


def _with_chosen_levels(profile: CacheProfile, path: Path) -> CacheProfile:
    """`profile` with the levels that were chosen when we created the cache, where we did."""
    chosen = read_settings(path).levels
    cached = tuple(each for each in profile.cached_ids if each in chosen)
    return replace(profile, cached_ids=cached) if cached else profile


def _levels_folder(folder: Path, name: str) -> Path:
    """The folder of levels, in any case; it may not exist."""
    usual = folder / name
    if "/" in name or usual.is_dir():
        return usual
    try:
        names = [e.name for e in folder.iterdir() if e.name.lower() == name.lower()]
    except OSError:
        return usual
    return folder / names[0] if names else usual


# Packages


def _open_package(
    place: Place, for_writing: bool, cancelled: Cancelled = lambda: False
) -> TileStore:
    if place.package is StorageFormat.MBTILES:
        return MBTilesStore(place.path, for_writing)
    if place.package is StorageFormat.GEOPACKAGE:
        return GeoPackageStore(place.path, for_writing)
    kind = TpkxStore if place.package is StorageFormat.TPKX else TpkStore
    store: PackageStore = kind(place.path, for_writing, cancelled)
    store.profile = _with_chosen_levels(store.profile, place.path)
    return store


def _package_format(path: Path) -> StorageFormat:
    """What kind of package the file at `path` is, by what is in it: names may be wrong.

    Raises NotACache, DamagedCache.
    """
    suffix = path.suffix.lower()
    if suffix in _VECTOR_PACKAGES:
        raise NotACache(str(path), NotACacheReason.VECTOR)
    try:
        with path.open("rb") as file:
            start = file.read(_MARK_END)
    except OSError as error:
        raise NotACache(str(path), NotACacheReason.NOT_READABLE) from error
    if start.startswith(_SQLITE):
        return _sqlite_format(start[_MARK_AT:], suffix)
    if start.startswith(_ZIP):
        return _zip_format(path)
    if suffix in _PACKAGES:
        raise DamagedCache(str(path), "cut off or overwritten" if start else "empty")
    raise NotACache(str(path), NotACacheReason.UNKNOWN_FILE)


def _sqlite_format(mark: bytes, suffix: str) -> StorageFormat:
    """GeoPackages have a mark of their own (OGC 12-128r17, 1.1.1.1.1), which old ones may lack."""
    is_named_so = suffix == ".gpkg" and mark != _MBTILES_MARK
    is_marked = mark in _GEOPACKAGE_MARKS
    return StorageFormat.GEOPACKAGE if is_marked or is_named_so else StorageFormat.MBTILES


def _zip_format(path: Path) -> StorageFormat:
    with closing(ZipMembers(path)) as members:
        names = members.by_name
    if ROOT_JSON in names:
        return StorageFormat.TPKX
    if f"p12/{ROOT_JSON}" in names:
        raise NotACache(str(path), NotACacheReason.VECTOR)
    if any(_CONF_OF_MAP.fullmatch(name) for name in names):
        return StorageFormat.TPK
    is_package = path.suffix.lower() in _PACKAGES
    reason = NotACacheReason.NO_SCHEME if is_package else NotACacheReason.UNKNOWN_FILE
    raise NotACache(str(path), reason)
