"""The rates and bytes that `planet` wants, measured on QGIS's own world map, in one thread.

    PYTHONPATH=tests python -m benchmarks.planet_rates

Tiles in a second of processor time, which other work on the machine does not change: drawn ones
with borders and names in them (levels 7 to 9 of Europe), land of one colour (level 13 of the Empty
Quarter), sea (levels 11 and 12 of the Pacific). Prints the command that makes the tables of them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arcgis_server import bundles
from qgis.core import QgsApplication, QgsCoordinateReferenceSystem, QgsProject
from shapely.geometry import box

from tile_cache_manager.plugin.core.cache import open_cache
from tile_cache_manager.plugin.core.request import Feedback, UpdateMode, UpdateRequest
from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage.creation import create_cache
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings
from tile_cache_manager.plugin.host import sources

from .areas import WORLD_MAP, _in_web_mercator
from .planet import INDEX
from .render_projects import world_layers


@dataclass(frozen=True)
class Area:
    """`bounds`: west, south, east, north in degrees."""

    levels: tuple[int, ...]
    bounds: tuple[float, float, float, float]


AREAS = {
    "drawn": Area((7, 8, 9), (-10, 36, 30, 60)),
    "plain": Area((13,), (48.5, 19.2, 51.5, 21.0)),
    "sea": Area((11, 12), (-140, -40, -100, -5)),
}


@dataclass(frozen=True)
class Measured:
    """`of_one_colour`: tiles that hold as few bytes as one of one colour does."""

    tiles: int
    seconds: float
    size: int
    of_one_colour: int

    @property
    def rate(self) -> float:
        """Tiles in a second."""
        return self.tiles / self.seconds


def measured(area: Area, folder: Path) -> Measured:
    """Draw `area` into a new cache."""
    scheme, settings = web_mercator(finest=max(area.levels)), CacheSettings()
    path = folder / "cache"
    create_cache(path, CacheProfile(scheme, StorageFormat.COMPACT_V2, "PNG"), settings)
    source = sources.make_source("", QgsProject.instance(), settings, path)
    source.workers = 1
    asked = UpdateRequest.of(
        open_cache(str(path)).describe(),
        levels=tuple(level for level in scheme.levels if level.id in area.levels),
        mode=UpdateMode.RECREATE_EMPTY,
        area=_in_web_mercator(box(*area.bounds)),
    )
    begun = time.process_time()
    report = open_cache(str(path), source=source).update(asked, Feedback())
    seconds = time.process_time() - begun
    size = sum(file.stat().st_size - INDEX for file in path.rglob("*.bundle"))
    sizes = [
        length for level in area.levels for length in bundles.tiles_present(path, level).values()
    ]
    shutil.rmtree(path)
    return Measured(report.total("made"), seconds, size, sum(length < SMALLEST for length in sizes))


SMALLEST = 400
"""Bytes: a PNG of 256 x 256 pixels in one colour takes less, one with a line across it more."""


def main() -> None:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    QgsApplication.setPrefixPath(os.environ.get("QGIS_PREFIX_PATH", "/usr"), True)
    application: Any = QgsApplication([], False)
    application.initQgis()
    project = QgsProject.instance()
    project.setCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    project.addMapLayers(world_layers(WORLD_MAP, with_names=True))
    found: dict[str, Measured] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, area in AREAS.items():
            each = found[name] = measured(area, Path(folder))
            print(
                f"{name}: {each.tiles:,} tiles in {each.seconds:.2f} s of processor time,"
                f" {each.rate:,.0f} /s; {each.size / each.tiles:,.0f} bytes a tile,"
                f" {each.of_one_colour:,} of one colour",
                flush=True,
            )
    drawn, plain, sea = (found[name] for name in ("drawn", "plain", "sea"))
    # Of the drawn area, those of one colour are taken off, at the rate of land of one colour.
    busy = drawn.tiles - drawn.of_one_colour
    rate = busy / (drawn.seconds - drawn.of_one_colour / plain.rate)
    print(
        f"PYTHONPATH=tests python -m benchmarks.planet --drawn {rate:.0f} --plain {plain.rate:.0f}"
        f" --sea {sea.rate:.0f} --bytes {drawn.size / busy:.0f}",
        flush=True,
    )
    os._exit(0)  # QGIS is not asked to tidy up


if __name__ == "__main__":
    main()
