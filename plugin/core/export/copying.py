"""Filling the target of an export with tiles, wherever they come from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable

from ..level_areas import LevelArea, area_at, by_area
from ..local.source import TileSource
from ..local.update import run_update
from ..request import Feedback, Outcome, UpdateMode, UpdateReport, UpdateRequest
from ..storage.profile import CacheProfile
from ..storage.sidecar import work_folder
from ..tiling import TilingScheme
from .edges import EdgeTiles, forget_merges
from .matching import level_map
from .request import ExportRequest, Pixels
from .targets import forget_making, opened_target


@dataclass(frozen=True)
class Filled:
    """What came of it: `report`, with the levels of the request; the target's `path` and `size`.

    `size`: bytes, without our own folder.
    """

    report: UpdateReport
    path: Path
    size: int


def fill(
    request: ExportRequest,
    like: CacheProfile,
    source: TileSource,
    feedback: Feedback,
    *,
    pixels: Pixels,
) -> Filled:
    """Put the tiles of `source` into the target of `request`, which is made where none is.

    `like`: what the tiles' cache or service says of itself; its scheme is the request's. A run that
    was interrupted goes on. Closes `source`. Raises as `open_target` and `run_update`.
    """
    with ExitStack() as stack:
        unused = stack.enter_context(ExitStack())
        unused.callback(source.close)
        store = stack.enter_context(opened_target(request, like, _stopped(feedback)))
        update = update_of(request, store.profile.scheme, like)
        known = level_map(request.scheme, store.profile.scheme)
        areas = {known[each.id]: area_at(request.areas, each) for each in request.levels}
        edges = EdgeTiles(source, store, areas, request.overwrite, request.is_clipped, pixels)
        unused.pop_all()  # from now on it is the update that closes it
        report = run_update(store, edges, update, feedback)
        if report.outcome is Outcome.DONE:
            forget_merges(store.path)  # else the same again does the rest, and merges nothing twice
        if report.outcome is not Outcome.CANCELLED:
            forget_making(store.path)
        return Filled(_told(report, request, known), store.path, size_of(store.path))


def update_of(request: ExportRequest, scheme: TilingScheme, like: CacheProfile) -> UpdateRequest:
    """The update of a cache with `scheme` that stores the tiles of `request`, with its level ids.

    Levels that it does not have are left out. The whole cache is where `like` has its extent.
    """
    known = level_map(request.scheme, scheme)
    wanted = {known[level.id] for level in request.levels if level.id in known}
    groups = (
        LevelArea(
            tuple(known[level.id] for level in levels if level.id in known),
            like.extent if area is None else area,
        )
        for levels, area in by_area(request.areas, request.levels)
    )
    return UpdateRequest(
        scheme=scheme,
        levels=tuple(level for level in scheme.levels if level.id in wanted),
        mode=UpdateMode.RECREATE_ALL,
        level_areas=tuple(group for group in groups if group.level_ids),
    )


def size_of(path: Path) -> int:
    """Bytes of the cache at `path`, without what lies in our own folder."""
    if path.is_file():
        return path.stat().st_size
    own, size = work_folder(path).name, 0
    for folder, folders, names in os.walk(path):
        if own in folders:
            folders.remove(own)
        for name in names:
            with suppress(OSError):
                size += Path(folder, name).stat().st_size
    return size


def _told(report: UpdateReport, request: ExportRequest, known: Mapping[int, int]) -> UpdateReport:
    """`report` with the levels of the request in place of the target's."""
    levels = {known[level.id]: level for level in request.levels}
    return replace(
        report,
        levels=tuple(replace(each, level=levels[each.level.id]) for each in report.levels),
        failed_tiles=tuple(
            replace(each, level_id=levels[each.level_id].id) for each in report.failed_tiles
        ),
    )


def _stopped(feedback: Feedback) -> Callable[[], bool]:
    return lambda: feedback.cancelled() or feedback.abandoned()
