"""Jobs of ours that rows measure as whole processes, which know nothing of QGIS.

    python -m benchmarks.core_jobs JOB ARGUMENT ...

Each prints a JSON object in its last line. Levels are given as FIRST-LAST, areas as GeoJSON files
in Web Mercator (`world`: all of it).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from tile_cache_manager.plugin.core.coverage import count_tiles
from tile_cache_manager.plugin.core.local.cache import LocalCache
from tile_cache_manager.plugin.core.local.source import Cancelled, Supertile, TileSource
from tile_cache_manager.plugin.core.request import Feedback, Outcome, UpdateMode, UpdateRequest
from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage.profile import CacheProfile
from tile_cache_manager.plugin.core.tiling import Level, TileRange, TilingScheme

FINEST = 19
TIMES = 5


class Drawn(TileSource):
    """Draws map-like tiles, each another file; `generation` 1 draws others than 0."""

    name, supertile_side, workers = "map-like tiles", 8, 1

    def __init__(self, generation: int = 0) -> None:
        self._generation = generation
        self.fingerprint = str(generation)

    def start(self, profile: CacheProfile) -> None:
        """Nothing is needed."""

    def draw(self, supertile: Supertile, cancelled: Cancelled) -> Mapping[tuple[int, int], bytes]:
        """All tiles of the supertile, as a renderer has them that draws it in one go."""
        from .map_tiles import tile

        level = supertile.level.id
        block = supertile.block
        return {
            (row, col): tile(level, row, col, self._generation)
            for row in range(block.min_row, block.max_row + 1)
            for col in range(block.min_col, block.max_col + 1)
            if supertile.wanted[row - block.min_row, col - block.min_col]
        }

    def close(self) -> None:
        """Nothing was needed."""


class Even(Drawn):
    """Knows without drawing that all tiles are the same, as the open sea's are."""

    name = "one picture"

    def even(self, level: Level, block: TileRange) -> bytes | None:
        from .map_tiles import picture

        return picture(0)


class NoPixels:
    """For exports in which no picture is looked into."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} of a picture was asked for")


def count(area: str, levels: str) -> dict[str, Any]:
    """Number of tiles of the area, by level, too."""
    scheme = web_mercator(finest=FINEST)
    counts = count_tiles(scheme, levels_of(scheme, levels), area_of(area))
    return {"tiles": sum(counts.values()), "levels": counts}


def count_often(area: str, levels: str) -> dict[str, Any]:
    """As `count`; `seconds`: of counting alone, some times over, as a running program does it.

    Each time another object, so that nothing known of the one before helps.
    """
    scheme, took = web_mercator(finest=FINEST), []
    chosen = levels_of(scheme, levels)
    for _ in range(TIMES):
        place = area_of(area)
        start = time.perf_counter()
        counts = count_tiles(scheme, chosen, place)
        took.append(time.perf_counter() - start)
    return {"tiles": sum(counts.values()), "seconds": took}


def update(cache: str, mode: str, area: str, levels: str, source: str = "none") -> dict[str, Any]:
    """Update a cache; `source`: `drawn0`, `drawn1` ..., `even` or `none`."""
    path = Path(cache)
    drawn = {"even": Even(), "none": None}.get(source) if source in ("even", "none") else None
    if source.startswith("drawn"):
        drawn = Drawn(int(source.removeprefix("drawn")))
    scheme = web_mercator(finest=FINEST)
    request = UpdateRequest(
        scheme, levels_of(scheme, levels), UpdateMode[mode], area=area_of(area, whole=None)
    )
    report = LocalCache(path, drawn).update(request, Feedback())
    if report.outcome is not Outcome.DONE:
        raise SystemExit(f"the update came to nothing: {report}")
    totals = ("planned", "made", "replaced", "deleted", "skipped", "failed")
    return {what: report.total(what) for what in totals if hasattr(report.levels[0], what)}


def export(source: str, target: str, area: str, levels: str) -> dict[str, Any]:
    """Copy tiles of a cache into a new one of bundles."""
    from tile_cache_manager.plugin.core.export.local import export_local
    from tile_cache_manager.plugin.core.export.request import ExportRequest
    from tile_cache_manager.plugin.core.storage.profile import StorageFormat

    scheme = web_mercator(finest=FINEST)
    request = ExportRequest(
        scheme,
        levels_of(scheme, levels),
        area_of(area, whole=None),
        Path(target),
        StorageFormat.COMPACT_V2,
    )
    report = export_local(Path(source), request, Feedback(), pixels=NoPixels())
    if report.outcome is not Outcome.DONE:
        raise SystemExit(f"the export came to nothing: {report}")
    return {"made": report.total("made")}


def levels_of(scheme: TilingScheme, text: str) -> tuple[Level, ...]:
    first, last = map(int, text.split("-"))
    return tuple(level for level in scheme.levels if first <= level.id <= last)


def area_of(text: str, whole: Any = None) -> BaseGeometry | Any:
    """The one area of a file; `whole` for the world."""
    if text == "world":
        return whole
    collection = json.loads(Path(text).read_text(encoding="utf-8"))
    return shape(collection["features"][0]["geometry"])


if __name__ == "__main__":
    jobs = {each.__name__: each for each in (count, count_often, update, export)}
    print(json.dumps(jobs[sys.argv[1]](*sys.argv[2:])))
