"""What is asked of an import, and whether it can be: compared before anything is changed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import (
    CachesDiffer,
    DamagedCache,
    Differs,
    NothingToDraw,
    NothingToDrawReason,
    NothingToImport,
)
from ..level_areas import Areas
from ..local.plan import plan_of
from ..storage.extent_file import extent_of_tiles
from ..storage.profile import CacheProfile
from ..storage.store import TileStore
from ..tiling import Level, TilingScheme, bundle_of
from .copying import update_of
from .matching import differences, level_map
from .request import ExportRequest, Overwrite, check_levels
from .store_tiles import is_same_place


@dataclass(frozen=True)
class ImportRequest:
    """An import of the tiles of the package or cache at `source`, a path on this computer.

    `scheme`: tiling scheme of the cache they go to, as it was when levels and areas were chosen.
    `levels`: of it; those that the source does not have are gaps. `areas`: in its CRS; None: all
    that the source has. `overwrite`, `is_clipped`: as in ExportRequest. `server_path`: of an import
    into a service, where the source lies as the site's computers see it; then it is neither sent
    nor looked at here, and `source` means nothing.
    Raises NoLevels, UnknownScale, LevelsWithoutArea.
    """

    scheme: TilingScheme
    levels: tuple[Level, ...]
    areas: Areas
    source: Path
    overwrite: Overwrite = Overwrite.OVERWRITE
    is_clipped: bool = False
    server_path: str = ""

    def __post_init__(self) -> None:
        check_levels(self.scheme, self.levels, self.areas)


def prepared(
    store: TileStore, request: ImportRequest, profile: CacheProfile, target: Path, address: str = ""
) -> tuple[CacheProfile, ExportRequest]:
    """What `store`, the source of `request`, is as tiles for the cache of `profile` at `target`.

    `address`: what people call that place; "": as it is.
    And the request to copy them. Raises NothingToDraw (it is that cache itself), CachesDiffer,
    NothingToImport, AreaOutside, EmptyArea.
    """
    like = replace(store.profile, name=store.profile.name or store.path.stem)
    if is_same_place(store.path, target):
        raise NothingToDraw(like.name, NothingToDrawReason.SAME_CACHE)
    shared = shared_levels(like, request, profile, address or str(target))
    extent = like.extent or extent_of_tiles(store)
    like = replace(like, scheme=request.scheme, extent=extent)
    wanted = ExportRequest(
        scheme=request.scheme,
        levels=request.levels,
        areas=request.areas,
        target=target,
        storage=profile.storage,
        overwrite=request.overwrite,
        is_clipped=request.is_clipped,
    )
    if not _has_any(store, replace(wanted, levels=shared), like):
        raise NothingToImport(profile.name or target.stem, str(request.source))
    return like, wanted


def shared_levels(
    like: CacheProfile, request: ImportRequest, profile: CacheProfile, address: str
) -> tuple[Level, ...]:
    """Those levels of `request` that the source has, by their resolutions. Raises CachesDiffer."""
    known = level_map(request.scheme, like.scheme)
    shared = tuple(level for level in request.levels if level.id in known)
    theirs = [like.scheme.level(known[level.id]) for level in shared]
    found = differences(profile, like.scheme, like.image_format, theirs)
    if not shared and Differs.SCALES not in found:
        found = (*found, Differs.SCALES)
    if found:
        raise CachesDiffer(address, like.name, found)
    return shared


def _has_any(store: TileStore, request: ExportRequest, like: CacheProfile) -> bool:
    """Whether `store` has any of the tiles of `request`. Raises AreaOutside, EmptyArea."""
    update = update_of(request, store.profile.scheme, like)
    plan = plan_of(update, replace(store.profile, extent=like.extent), like.name)
    for level in plan.levels:
        corners = {bundle_of(block.min_row, block.min_col) for block in store.blocks(level.id)}
        for block, mask in plan.bundles(level, corners):
            with suppress(DamagedCache):
                if (mask & store.exists(level.id, block)).any():
                    return True
    return False
