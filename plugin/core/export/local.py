"""Exporting from a cache on this computer."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..errors import NotACache, NothingToDraw, NothingToDrawReason, ServiceChanged
from ..local.source import TileSource
from ..request import Feedback, LevelEstimate
from ..storage.extent_file import extent_of_tiles
from ..storage.opening import find_cache, open_store
from ..storage.profile import CacheProfile
from ..storage.store import TileStore
from .copying import Filled, fill
from .local_estimate import estimate_copy
from .request import ExportReport, ExportRequest, Pixels
from .store_tiles import StoreTiles
from .targets import is_meant


def export_local(
    path: Path,
    request: ExportRequest,
    feedback: Feedback,
    *,
    pixels: Pixels,
    drawing: TileSource | None = None,
) -> ExportReport:
    """Carry out `request` on the cache at `path`: its tiles are copied as they are. Blocks.

    `drawing`: draws what the cache lacks, where the request says so; closed at the end. A cancelled
    export is a report; what was copied is kept, so that the same again goes on.
    Raises ServiceChanged, AreaOutside, EmptyArea; StorageError (see `open_target`); SourceError
    (NothingToDraw: the target is the cache itself).
    """
    try:
        store = open_store(path)
    except BaseException:
        if drawing is not None:
            drawing.close()
        raise
    missing = drawing if request.draws_missing else None
    if drawing is not None and missing is None:
        drawing.close()
    source = StoreTiles([store], _name_of(store), missing=missing)
    try:
        _refuse_itself(source, request)
        like = profile_of(store, request)
    except BaseException:
        source.close()
        raise
    filled = fill(request, like, source, feedback, pixels=pixels)
    return report_of(filled, source.name, str(path))


def estimate_local(
    path: Path, request: ExportRequest, feedback: Feedback
) -> tuple[LevelEstimate, ...]:
    """What `request` would take of the cache at `path`: the tiles it has, as they are. Blocks.

    Where missing tiles are drawn, all of the area count, and nobody knows the seconds. Changes
    nothing. Raises ServiceChanged, AreaOutside, EmptyArea, StorageError.
    """
    with open_store(path) as store:
        return estimate_copy(store, profile_of(store, request), request, feedback)


def profile_of(store: TileStore, request: ExportRequest) -> CacheProfile:
    """What `store` says of itself, with where its tiles lie if it does not say that.

    Raises ServiceChanged where its scheme is not that of `request`.
    """
    profile = replace(store.profile, name=_name_of(store))
    if profile.scheme != request.scheme:
        raise ServiceChanged(profile.name)
    if profile.extent is not None:
        return profile
    return replace(profile, extent=extent_of_tiles(store))


def report_of(filled: Filled, name: str, address: str) -> ExportReport:
    """The report of tiles that were copied from the cache `name` at `address`, on this computer."""
    return ExportReport(
        outcome=filled.report.outcome,
        service=name,
        address=address,
        target=str(filled.path),
        levels=filled.report.levels,
        size=filled.size,
        failed_tiles=filled.report.failed_tiles,
    )


def _name_of(store: TileStore) -> str:
    return store.profile.name or store.path.stem


def _refuse_itself(source: TileSource, request: ExportRequest) -> None:
    """Raise NothingToDraw where the target is what is copied, or drawn."""
    with suppress(NotACache):
        place = find_cache(request.target).path
        if is_meant(place, request.target) and source.is_at(place):
            raise NothingToDraw(source.name, NothingToDrawReason.SAME_CACHE)
