"""An update of a cache in a process of its own, for others to kill; run by `kills`.

    python updating_script.py CACHE GENERATION LOG large|small

Says "started" as it begins to draw, and how the update ended. Each tile goes into LOG (level, row,
column, generation) once the store has said that it is stored.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import plugin_package

plugin_package.load()

from tile_bytes import Key, tile  # noqa: E402

from tile_cache_manager.plugin.core.local.source import Supertile, TileSource  # noqa: E402
from tile_cache_manager.plugin.core.local.update import run_update  # noqa: E402
from tile_cache_manager.plugin.core.request import (  # noqa: E402
    Feedback,
    UpdateMode,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.storage.opening import open_store  # noqa: E402
from tile_cache_manager.plugin.core.storage.store import TileStore  # noqa: E402
from tile_cache_manager.plugin.core.tiling import Extent, TilingScheme  # noqa: E402

LEVELS = (8, 9, 10)
AREAS = {"large": range(60, 69), "small": range(62, 66)}
"""Rows, and columns, of the area on the first level: nine bundles, and parts of them only."""


def keys(size: str = "large") -> list[Key]:
    """The tiles of the area."""
    found = []
    for number, level in enumerate(LEVELS):
        side = range(AREAS[size].start << number, AREAS[size].stop << number)
        found += [(level, row, col) for row in side for col in side]
    return found


def request_of(scheme: TilingScheme, size: str = "large") -> UpdateRequest:
    """All tiles of the area are made anew."""
    side = AREAS[size]
    first = scheme.tile_bounds(scheme.level(LEVELS[0]), side.start, side.start)
    last = scheme.tile_bounds(scheme.level(LEVELS[0]), side.stop - 1, side.stop - 1)
    area = Extent(first.xmin, last.ymin, last.xmax, first.ymax)
    levels = tuple(scheme.level(level_id) for level_id in LEVELS)
    return UpdateRequest(scheme, levels, UpdateMode.RECREATE_ALL, extent=area)


class Generation(TileSource):
    """Draws tiles of which everybody knows what they must be."""

    name = "generation"
    supertile_side = 4
    workers = 2

    def __init__(self, generation: int, side: int) -> None:
        self.generation, self.side = generation, side
        self.fingerprint = str(generation)
        self._has_begun = False

    def start(self, profile: Any) -> None:
        pass

    def draw(self, supertile: Supertile, cancelled: Any) -> dict[tuple[int, int], bytes]:
        if not self._has_begun:
            self._has_begun = True
            print("started", flush=True)
        block, level_id = supertile.block, supertile.level.id
        return {
            (row, col): tile(level_id, row, col, self.generation, self.side)
            for row in range(block.min_row, block.max_row + 1)
            for col in range(block.min_col, block.max_col + 1)
        }

    def close(self) -> None:
        pass


def log_writes(store: TileStore, generation: int, log: Path) -> None:
    """Have every tile written down as soon as `store` says that it is stored."""
    write = store.write
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def logged(level_id: int, tiles: Any) -> None:
        write(level_id, tiles)
        lines = [f"{level_id} {row} {col} {generation}\n" for row, col in tiles]
        os.write(file, "".join(lines).encode())

    store.write = logged  # type: ignore[method-assign]


def main() -> None:
    cache, generation, log = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    with open_store(cache, for_writing=True) as store:
        log_writes(store, generation, log)
        scheme = store.profile.scheme
        source = Generation(generation, scheme.tile_width)
        report = run_update(store, source, request_of(scheme, sys.argv[4]), Feedback())
    done = sum((level.made or 0) + (level.replaced or 0) for level in report.levels)
    print(report.outcome.name, done, flush=True)


if __name__ == "__main__":
    main()
