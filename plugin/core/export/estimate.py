"""What an export of a service would take, before it is begun: tiles, bytes and seconds by scale."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TypeVar

from ..arcgis.address import ServiceAddress
from ..arcgis.client import Client
from ..arcgis.export_tiles import ExportTiles, SizeEstimate
from ..arcgis.jobs import Pace
from ..arcgis.service import parse_service
from ..arcgis.status import open_reporter
from ..arcgis.tile_reader import TileReader
from ..arrays import whole_numbers
from ..coverage import Coverage, count_tiles, cover
from ..description import CacheDescription
from ..errors import SignInFailed, SignInNeeded, TileCacheError
from ..request import Feedback, LevelEstimate, Message, Severity
from ..tiling import Level
from .packers import package_format
from .request import ExportRequest, ExportWay
from .site_plan import SitePlan, plan_export

PATIENCE = 30.0
"""Seconds after which the site is asked no more."""

AT_ONCE = 3
"""Jobs, or tiles, that it is asked for at the same time."""

SAMPLES = 6
"""Tiles of a level that are read to learn how large they are."""

MOST_SAMPLES = 48
"""Of all levels; finest levels first, for there most of the tiles are."""

SMALL = 0.25
"""Part of a level's tiles below which those of the area may be quite unlike the others."""

_LISTEN = 0.1
_Key = TypeVar("_Key")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Sample:
    """A tile that was read: `size` in bytes, 0 for a gap, and how many `seconds` that took."""

    size: int
    seconds: float


def estimate_service(
    client: Client,
    service: ServiceAddress,
    request: ExportRequest,
    feedback: Feedback,
    *,
    pace: Pace | None = None,
    patience: float = PATIENCE,
) -> tuple[LevelEstimate, ...]:
    """What `request` would take of `service`, level by level. Blocks, for about `patience` seconds.

    `tiles`: exactly those that the areas touch. `bytes`: where the areas are a small part of the
    service, by some of their tiles that are read, if its tiles may be copied; else as the service
    itself estimates, for which sites take the mean of all of it; else by what the site tells of the
    whole cache. Levels of which nothing is known have tiles as large as the others.
    `seconds`: where each tile is read by itself, at the speed of those that were; how long a site
    makes packages nobody tells. Raises SiteError, NotCached, DescriptionError, ServiceChanged,
    EmptyArea, AreaOutside.
    """
    description = parse_service(client.read(service.url), service)
    plan = plan_export(request, description)
    asked = _Asked(client, service, description, plan, feedback, pace or Pace(), patience)
    sizes: dict[int, float] = {}
    if description.export_tiles_allowed and request.way in (ExportWay.AUTO, ExportWay.EXPORT_TILES):
        sizes = asked.announced()
    samples: dict[int, list[Sample]] = {}
    if description.export_tiles_allowed or request.is_owner:
        samples = asked.samples()
    else:
        sizes = asked.told()
    sizes.update(sizes_of(samples, sizes.keys() - asked.small_parts()))
    is_auto = request.way is ExportWay.AUTO and not description.export_tiles_allowed
    is_by_tile = is_auto or request.way is ExportWay.ONE_BY_ONE
    return estimates_of(request, plan, sizes, seconds_each(samples) if is_by_tile else None)


class _Asked:
    """What a site answers about the tiles of `plan`, while there is time."""

    def __init__(
        self,
        client: Client,
        service: ServiceAddress,
        description: CacheDescription,
        plan: SitePlan,
        feedback: Feedback,
        pace: Pace,
        patience: float,
    ) -> None:
        self._client, self._service, self._description = client, service, description
        self._plan, self._feedback, self._pace = plan, feedback, pace
        self._end = time.monotonic() + patience
        self._stop = threading.Event()

    def announced(self) -> dict[int, float]:
        """Bytes of a touched tile by level id, as the service itself estimates."""
        exporter = ExportTiles(self._client, self._service, self._pace)
        storage, plan = package_format(self._description), self._plan
        quiet = Feedback(abandoned=self._stop.is_set)

        def ask(level: Level) -> SizeEstimate | None:
            area = plan.tiles.areas[level.id]
            return exporter.estimate((level,), area, plan.request.scheme, storage, quiet)

        # The finest first: should the time run out, those are what matters.
        answers = self._answers(ask, list(reversed(plan.levels)))
        return {
            level.id: told.bytes / max(1, plan.tiles.count(level))
            for level, told in answers.items()
            if told is not None and told.bytes is not None
        }

    def small_parts(self) -> set[int]:
        """Ids of levels of which just a small part of the service's tiles is asked for."""
        plan, extent = self._plan, self._description.extent
        if extent is None:
            return set()
        whole = count_tiles(plan.request.scheme, plan.levels, extent)
        return {
            level.id for level in plan.levels if plan.tiles.count(level) < SMALL * whole[level.id]
        }

    def samples(self) -> dict[int, list[Sample]]:
        """Some tiles of each level, read."""
        reader = TileReader(self._client, self._service, self._description)
        tiles = [
            (level.id, row, col)
            for level in reversed(self._plan.levels)
            for row, col in spread(
                cover(self._plan.request.scheme, level, self._plan.tiles.areas[level.id]), SAMPLES
            )
        ]

        def read(tile: tuple[int, int, int]) -> Sample:
            begun = time.monotonic()
            content = reader.read(*tile)
            return Sample(len(content or b""), time.monotonic() - begun)

        found: dict[int, list[Sample]] = {}
        for tile, sample in self._answers(read, tiles[:MOST_SAMPLES]).items():
            found.setdefault(tile[0], []).append(sample)
        return found

    def told(self) -> dict[int, float]:
        """Bytes of a tile by level id, as the site tells of the whole cache."""
        try:
            site, name = self._service.site_url, self._service.caching_name
            reporter = open_reporter(self._client, site, name)
            statuses = () if reporter is None else reporter.read()
        except TileCacheError:
            return {}  # good to know, and never a reason to stop
        return {
            status.level_id: status.bytes / status.tiles
            for status in statuses
            if status.bytes is not None and status.tiles
        }

    def _answers(self, ask: Callable[[_Key], _Answer], keys: list[_Key]) -> dict[_Key, _Answer]:
        """What `ask` gives for each of `keys`, AT_ONCE at a time; none where it raises.

        The feedback is asked in this thread only. Raises SignInNeeded, SignInFailed.
        """
        found: dict[_Key, _Answer] = {}
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="estimate") as pool:
            pending: dict[Future[_Answer], _Key] = {pool.submit(ask, key): key for key in keys}
            try:
                while pending and not self._is_over():
                    for future in wait(pending, _LISTEN, FIRST_COMPLETED).done:
                        self._take(future, pending.pop(future), found)
                    self._feedback.progress(100.0 * (1 - len(pending) / len(keys)))
            finally:
                self._stop.set()
                for future in pending:
                    future.cancel()
        self._stop.clear()
        return found

    def _take(self, future: Future[_Answer], key: _Key, found: dict[_Key, _Answer]) -> None:
        try:
            found[key] = future.result()
        except (SignInNeeded, SignInFailed):
            raise
        except TileCacheError as error:
            self._feedback.message(Message("", Severity.INFO, error))

    def _is_over(self) -> bool:
        feedback = self._feedback
        return time.monotonic() > self._end or feedback.cancelled() or feedback.abandoned()


def spread(coverage: Coverage, wanted: int) -> list[tuple[int, int]]:
    """Tiles from all over `coverage`, about as many as are `wanted`."""
    found: list[tuple[int, int]] = []
    for runs in coverage.runs():
        step = max(1, runs.rows.size // wanted)
        middles = (runs.first_cols + runs.last_cols) // 2
        found += zip(whole_numbers(runs.rows[::step]), whole_numbers(middles[::step]))
    return found[:: max(1, len(found) // wanted)][:wanted]


def sizes_of(samples: dict[int, list[Sample]], known: Collection[int]) -> dict[int, float]:
    """Bytes of a touched tile, gaps counted, of levels whose size is not `known`."""
    return {
        level_id: sum(sample.size for sample in listed) / len(listed)
        for level_id, listed in samples.items()
        if level_id not in known
    }


def seconds_each(samples: dict[int, list[Sample]]) -> float | None:
    """Seconds that a tile takes, where AT_ONCE are read at the same time."""
    times = [sample.seconds for listed in samples.values() for sample in listed]
    return sum(times) / len(times) / AT_ONCE if times else None


def estimates_of(
    request: ExportRequest, plan: SitePlan, sizes: dict[int, float], each: float | None
) -> tuple[LevelEstimate, ...]:
    touched = {level.id: plan.tiles.count(level) for level in plan.levels}
    tiles = sum(count for level_id, count in touched.items() if level_id in sizes)
    whole = sum(count * sizes[level_id] for level_id, count in touched.items() if level_id in sizes)
    usual = whole / tiles if tiles else None
    estimates = []
    for level in request.levels:
        count = touched.get(level.id, 0)
        size = sizes.get(level.id, usual)
        estimate = LevelEstimate(level, count, None, None)
        if size is not None or not count:
            estimate = replace(estimate, bytes=round(count * (size or 0)))
        if each is not None or not count:
            estimate = replace(estimate, seconds=count * (each or 0.0))
        estimates.append(estimate)
    return tuple(estimates)
