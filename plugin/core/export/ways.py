"""How the tiles of a service may be got: what it allows, what its site allows, whose they are."""

from __future__ import annotations

from collections.abc import Callable

from ..description import CacheDescription
from ..errors import ExportNotAllowed
from .request import ExportRequest, ExportWay

USUAL_LIMIT = 100_000
"""Tiles that ArcGIS Server hands out at once where nobody said otherwise."""


def ways_of(
    request: ExportRequest, description: CacheDescription, is_administered: Callable[[], bool]
) -> tuple[ExportWay, ...]:
    """The way to get the tiles, and those to turn to where it fails.

    `is_administered`: whether the site lets us use its own tool Export Cache; asks it.
    Raises ExportNotAllowed: a service that does not allow export is left alone, unless its own site
    exports it for us or its owner has said that the tiles are theirs.
    """
    is_ours = description.export_tiles_allowed or request.is_owner
    if request.way is ExportWay.EXPORT_CACHE:
        return (ExportWay.EXPORT_CACHE,)
    if request.way is ExportWay.EXPORT_TILES and description.export_tiles_allowed:
        return (ExportWay.EXPORT_TILES,)
    if request.way is ExportWay.ONE_BY_ONE and is_ours:
        return (ExportWay.ONE_BY_ONE,)
    if request.way is ExportWay.AUTO:
        if description.export_tiles_allowed:
            return (ExportWay.EXPORT_TILES, ExportWay.ONE_BY_ONE)
        last = (ExportWay.ONE_BY_ONE,) if request.is_owner else ()
        if is_administered():
            return (ExportWay.EXPORT_CACHE, *last)
        if last:
            return last
    raise ExportNotAllowed(description.name, request.is_owner)


def limit_of(description: CacheDescription) -> int:
    """How many tiles the service hands out at once."""
    return description.max_export_tiles or USUAL_LIMIT
