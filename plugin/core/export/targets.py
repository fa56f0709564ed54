"""The cache that tiles are exported to: made, or opened and compared."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Callable

from ..errors import (
    BadScheme,
    CacheInUse,
    CachesDiffer,
    NotACache,
    NotACacheReason,
    ServiceChanged,
    TargetExists,
)
from ..level_areas import Place, by_area
from ..local.plan import world_of
from ..storage.can_pack import check_can_pack
from ..storage.conf_xml import CONF_CDI, CONF_XML, conf_cdi
from ..storage.creation import create_cache
from ..storage.files import storage_errors, write_whole
from ..storage.opening import ALL_LAYERS, check_writable, find_cache, open_store, read_profile
from ..storage.profile import CacheProfile
from ..storage.sidecar import CacheSettings, read_settings, work_folder, write_settings
from ..storage.small_files import find_file
from ..storage.store import TileStore
from ..tiling import Extent
from .matching import differences, level_map
from .request import ExportRequest
from .store_tiles import is_same_place

MADE = "made_by_export.json"
"""In our folder beside a cache that an export made, until that has come to its end."""

_SERVICE_LAYERS = "layers"  # below the folder of a service in ArcGIS's directories

Cancelled = Callable[[], bool]


def check_target(request: ExportRequest, like: CacheProfile) -> CacheProfile | None:
    """Whether the tiles of `like`, a cache or service, can go to the target of `request`.

    Gives what the target says of itself, None where it is to be made. Changes nothing.
    Raises ServiceChanged (`like` has another scheme than when levels were chosen), TargetExists
    (something is there, and no cache of that format), CannotPack (a format that cannot hold such
    tiles), CachesDiffer, ReadOnlyCache, DamagedCache.
    """
    path, name = request.target, like.name or request.target.name
    if like.scheme != request.scheme:
        raise ServiceChanged(name)
    if request.storage.is_package and path.is_dir():
        raise TargetExists(str(path))  # also where it is empty: a package is a file
    if _is_free(path):
        check_can_pack(path, _to_be_made(request, like))
        return None
    try:
        place = find_cache(path)
        profile = read_profile(path)
    except NotACache as error:
        if error.reason is NotACacheReason.NOT_READABLE:
            raise
        raise TargetExists(str(path)) from error
    if not is_meant(place.path, path) or profile.storage is not request.storage:
        raise TargetExists(str(path))
    found = differences(profile, like.scheme, like.image_format, request.levels)
    if found:
        raise CachesDiffer(str(path), name, found)
    check_writable(place.path, profile.storage)
    return profile


def open_target(
    request: ExportRequest, like: CacheProfile, cancelled: Cancelled = lambda: False
) -> TileStore:
    """The target of `request`, open for writing, with its levels among those that are cached.

    Where nothing is there, it is made: with the scheme, format and name of `like`, the tiles'
    cache or service, and the extent of the areas. `cancelled`: as for `open_store`.
    Raises as `check_target` and `create_cache`, and CacheInUse. Then all is as it was.
    """
    is_made = check_target(request, like) is None
    if is_made:
        _make(request, like)
    try:
        store = open_store(request.target, for_writing=True, cancelled=cancelled)
    except CacheInUse:
        raise  # somebody else is at it already
    except BaseException:
        if is_made:  # else it may well have tiles, of an export that was interrupted
            _remove_made(request.target)
        raise
    try:
        _widen(store, request, like)
    except BaseException:
        _close(store, request.target)
        raise
    return store


@contextmanager
def opened_target(
    request: ExportRequest, like: CacheProfile, cancelled: Cancelled = lambda: False
) -> Iterator[TileStore]:
    """`open_target`, closed at the end of the block.

    A target that an export made and that holds no tile after an error, or once `cancelled`, is
    removed again. One with tiles stays, for the next run of the export goes on there.
    """
    store = open_target(request, like, cancelled)
    try:
        yield store
    except BaseException:
        _close(store, request.target)
        raise
    if cancelled():
        _close(store, request.target)
    else:
        store.close()


def _close(store: TileStore, path: Path) -> None:
    """Close the target; remove it where an export made it, and nothing came of that."""
    try:
        is_empty = not _has_tiles(store)
    finally:
        store.close()
    if is_empty:
        _remove_made(path)


def _remove_made(path: Path) -> None:
    """Remove the empty cache at `path` where an export made it."""
    mark = work_folder(path) / MADE
    with suppress(OSError, ValueError, LookupError):
        folder = json.loads(mark.read_text("utf-8"))["folder"]
        _remove(path, Path(folder) if folder else None)


def forget_making(path: Path) -> None:
    """From now on the cache at `path` is one like others, also without tiles."""
    with suppress(OSError):
        (work_folder(path) / MADE).unlink()


def extent_of(request: ExportRequest, like: CacheProfile) -> Extent | None:
    """Bounds of all areas of `request` within the extent of `like`; None: that is not known."""
    world = like.extent or world_of(like)
    found: list[Extent] = []
    for _levels, area in by_area(request.areas, request.levels):
        bounds = _bounds_of(area) or world
        if bounds is None:
            return None
        found.append(bounds)
    whole = Extent(
        min(each.xmin for each in found),
        min(each.ymin for each in found),
        max(each.xmax for each in found),
        max(each.ymax for each in found),
    )
    return whole if world is None else whole.intersection(world) or whole


def _bounds_of(area: Place) -> Extent | None:
    if area is None or isinstance(area, Extent):
        return area
    return None if area.is_empty else Extent(*area.bounds)


def _is_free(path: Path) -> bool:
    """Whether nothing is at `path` but, maybe, an empty folder."""
    with storage_errors(path):
        if path.is_symlink() or path.is_file():
            return False
        return not path.exists() or (path.is_dir() and not any(path.iterdir()))


def is_meant(found: Path, path: Path) -> bool:
    """Whether the cache at `found` is meant by `path`, and does not just lie somewhere below it.

    A file or folder of it is, and the folder of a service in ArcGIS's directories.
    """
    is_of_service = found.name.lower() == _SERVICE_LAYERS and is_same_place(found.parent, path)
    return is_of_service or is_same_place(found, path) or is_same_place(found, path.parent)


def _to_be_made(request: ExportRequest, like: CacheProfile) -> CacheProfile:
    """What a target that is made says of itself."""
    return replace(
        like,
        storage=request.storage,
        cached_ids=tuple(sorted(level.id for level in request.levels)),
        extent=extent_of(request, like),
        name=like.name or request.target.stem,
    )


def _make(request: ExportRequest, like: CacheProfile) -> None:
    was_there = request.target.is_dir()
    create_cache(request.target, _to_be_made(request, like), CacheSettings())
    folder = str(request.target) if was_there else ""
    write_whole(work_folder(request.target) / MADE, json.dumps({"folder": folder}).encode())


def _remove(path: Path, kept: Path | None) -> None:
    """Remove the cache at `path`, but nothing else that is there, nor the folder that is `kept`."""
    work = work_folder(path)
    if not path.is_dir():
        path.unlink()
        shutil.rmtree(work, ignore_errors=True)
        return
    for name in (CONF_XML, CONF_CDI):
        (path / name).unlink(missing_ok=True)
    for folder in (path / ALL_LAYERS, work):
        shutil.rmtree(folder, ignore_errors=True)
    if kept != path:
        path.rmdir()  # unless somebody has put something there


def _has_tiles(store: TileStore) -> bool:
    blocks = (block for level_id in store.level_ids() for block in store.blocks(level_id))
    return next(blocks, None) is not None


def _widen(store: TileStore, request: ExportRequest, like: CacheProfile) -> None:
    """Let what the target says of its levels and extent hold for the tiles that are to come.

    Packages tell what is in them once they are committed. Raises StorageError.
    """
    profile = store.profile
    known = level_map(request.scheme, profile.scheme)
    wanted = {known[level.id] for level in request.levels}
    settings = read_settings(store.path)
    if settings.levels and not wanted <= set(settings.levels):
        listed = tuple(sorted({*settings.levels, *wanted}))
        write_settings(store.path, replace(settings, levels=listed))
    store.profile = replace(profile, cached_ids=tuple(sorted({*profile.cached_ids, *wanted})))
    extent = extent_of(request, like)
    file = None if profile.storage.is_package else find_file(store.path, CONF_CDI)
    if file is None or profile.extent is None or extent is None:
        return
    wider = _union(profile.extent, extent)
    if wider != profile.extent:
        store.profile = replace(store.profile, extent=wider)
        with suppress(BadScheme):  # the conf.xml names no CRS in full: it stays as it is
            write_whole(file, conf_cdi(store.profile))


def _union(one: Extent, other: Extent) -> Extent:
    return Extent(
        min(one.xmin, other.xmin),
        min(one.ymin, other.ymin),
        max(one.xmax, other.xmax),
        max(one.ymax, other.ymax),
    )
