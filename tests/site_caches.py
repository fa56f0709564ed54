"""Caches of the stand-in site as the plugin opens them, and what lies in them on disk."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from arcgis_server.handle import PUBLISHER, Account
from scripted_site import Recorder
from shapely.geometry import Polygon, box
from shapely.geometry.base import BaseGeometry
from shapely.prepared import prep

from tile_cache_manager.plugin.core.arcgis.address import service_of
from tile_cache_manager.plugin.core.arcgis.cache import ArcGISCache
from tile_cache_manager.plugin.core.arcgis.client import Client, Repeats
from tile_cache_manager.plugin.core.arcgis.credentials import Credentials
from tile_cache_manager.plugin.core.arcgis.jobs import Pace
from tile_cache_manager.plugin.core.arcgis.transport import RequestsTransport
from tile_cache_manager.plugin.core.description import CacheDescription
from tile_cache_manager.plugin.core.request import Feedback, UpdateReport, UpdateRequest
from tile_cache_manager.plugin.core.tiling import Level

Tile = tuple[int, int]
QUICK = Pace(first=0.01, longest=0.05, patience=30, cancel_patience=30)
FEW_REPEATS = Repeats(times=1, first_seconds=0.01, longest_seconds=0.01)


def sign_in(account: Account | None) -> Credentials | None:
    return None if account is None else Credentials(account.name, account.password)


def open_on(
    site: Any,
    key: str,
    name: str = "World",
    kind: str = "MapServer",
    *,
    account: Account | None = PUBLISHER,
    pace: Pace = QUICK,
) -> ArcGISCache:
    """The cache of service `name` of the stand-in site `key`, opened for `account`.

    Sites without security take nobody's password.
    """
    if key not in ("classic", "old", "secured"):
        account = None
    service = service_of(site.service_url(key, name, kind))
    client = Client(RequestsTransport(), service.site_url, sign_in(account), repeats=FEW_REPEATS)
    return ArcGISCache(service, client, pace)


def levels_of(description: CacheDescription, *ids: int) -> tuple[Level, ...]:
    return tuple(description.scheme.level(level_id) for level_id in ids)


def touched(description: CacheDescription, level: Level, area: BaseGeometry) -> set[Tile]:
    """Tiles of `level` that `area` touches, every tile tried with shapely."""
    scheme = description.scheme
    width, height = scheme.tile_width * level.resolution, scheme.tile_height * level.resolution
    xmin, ymin, xmax, ymax = area.bounds
    rows = range(int((scheme.origin_y - ymax) / height), int((scheme.origin_y - ymin) / height) + 1)
    cols = range(int((xmin - scheme.origin_x) / width), int((xmax - scheme.origin_x) / width) + 1)
    prepared = prep(area)

    def tile(row: int, col: int) -> Polygon:
        x, y = scheme.origin_x + col * width, scheme.origin_y - row * height
        return box(x, y - height, x + width, y)

    return {
        (row, col)
        for row in rows
        for col in cols
        if prepared.intersects(tile(row, col)) and not prepared.touches(tile(row, col))
    }


@contextmanager
def running_update(
    cache: ArcGISCache, request: UpdateRequest
) -> Iterator[tuple[Callable[[], UpdateReport], Callable[[], None], Recorder]]:
    """Run an update in a thread. Gives `result()` (waits; raises what it raised), `cancel()`."""
    recorder, cancelled = Recorder(), threading.Event()
    ended: list[UpdateReport | Exception] = []
    feedback = Feedback(recorder.percents.append, cancelled.is_set, recorder.messages.append)

    def run() -> None:
        try:
            ended.append(cache.update(request, feedback))
        except Exception as error:
            ended.append(error)

    thread = threading.Thread(target=run)

    def result() -> UpdateReport:
        thread.join(60)
        assert ended, "the update did not end within a minute"
        if isinstance(ended[0], Exception):
            raise ended[0]
        return ended[0]

    thread.start()
    try:
        yield result, cancelled.set, recorder
    finally:
        cancelled.set()
        thread.join(60)
