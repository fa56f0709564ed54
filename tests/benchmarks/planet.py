"""What a planet at level 15 costs: its tiles, counted; time and bytes, by rates that were measured.

    PYTHONPATH=tests python -m benchmarks.planet [--drawn RATE --plain RATE --sea RATE --bytes N]

Prints the tables of resources/docs/planet.md as Markdown. Land is what the countries of QGIS's
own world map touch, by whole supertiles, as they are drawn. Rates are tiles in a second and a core:
`--drawn`, of tiles with something in them; `--plain`, of land tiles of one colour; `--sea`, of
tiles that no feature touches, stored undrawn. `--bytes`: of a tile with something in it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass

from shapely import wkb
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

from tile_cache_manager.plugin.core.local.plan import AreaPlan
from tile_cache_manager.plugin.core.schemes import web_mercator

from .areas import WORLD_MAP, _in_web_mercator

FINEST = 15
SIDE = 8
"""Tiles to a side of a supertile of 2048 pixels."""

BUNDLE = 128
INDEX = 64 + 8 * BUNDLE * BUNDLE
"""Bytes of a bundle without tiles: header and index, in Esri's Compact Cache V2."""

TIMES = 4 * BUNDLE * BUNDLE
"""Bytes of the file beside it that tells when each tile was stored."""

SEA_TILE = 350
"""About the bytes of a tile of one colour, of which a bundle holds one for all."""

WORLD = box(-180, -85.05112877980659, 180, 85.05112877980659)
CLUSTERS = ((1, 2), (1, 16), (10, 16))
"""Machines, and cores of each."""


@dataclass(frozen=True)
class LevelCount:
    """Tiles and bundles of a level, and those of them that hold land; land tiles by supertiles."""

    level: int
    tiles: int
    land_tiles: int
    bundles: int
    land_bundles: int


@dataclass(frozen=True)
class Rates:
    """Tiles in a second and a core, and bytes of a tile with something in it."""

    drawn: float
    plain: float
    sea: float
    size: float


def land() -> BaseGeometry:
    """All countries as one area, in Web Mercator."""
    from osgeo import ogr  # QGIS brings it along

    ogr.UseExceptions()
    source = ogr.Open(str(WORLD_MAP))
    layer = source.GetLayerByName("countries")
    each = [wkb.loads(bytes(feature.GetGeometryRef().ExportToWkb())) for feature in layer]
    whole = unary_union([country.buffer(0) for country in each])
    return _in_web_mercator(whole.intersection(WORLD))


def counts(area: BaseGeometry, finest: int = FINEST) -> list[LevelCount]:
    """The tiles of the levels 0 to `finest`, by the plugin's own counting."""
    scheme = web_mercator(finest=finest)
    plan = AreaPlan(scheme, scheme.levels, area)
    found = []
    for level in scheme.levels:
        across = 2**level.id
        land_tiles = plan.coverage(level, SIDE).count * min(across, SIDE) ** 2
        bundles = max(1, across // BUNDLE) ** 2
        touched = plan.coverage(level, BUNDLE).count
        found.append(LevelCount(level.id, across**2, land_tiles, bundles, touched))
    return found


def count_table(found: Sequence[LevelCount]) -> str:
    """The tiles of each level."""
    rows = ["| level | tiles | in supertiles with land | bundles | with land |", "|" + " --: |" * 5]
    rows += [
        f"| {e.level} | {e.tiles:,} | {e.land_tiles:,} | {e.bundles:,} | {e.land_bundles:,} |"
        for e in found
    ]
    total = [sum(getattr(each, name) for each in found) for name in _COLUMNS]
    return "\n".join([*rows, "| all | " + " | ".join(f"{number:,}" for number in total) + " |"])


_COLUMNS = ("tiles", "land_tiles", "bundles", "land_bundles")


def cost_table(found: Sequence[LevelCount], rates: Rates, full: float) -> str:
    """Core-hours, hours and bytes where the part `full` of the land tiles has something in it."""
    tiles, on_land, bundles, _ = (sum(getattr(each, name) for each in found) for name in _COLUMNS)
    drawn, sea = on_land * full, tiles - on_land
    seconds = drawn / rates.drawn + (on_land - drawn) / rates.plain + sea / rates.sea
    stored = drawn * rates.size + bundles * (INDEX + TIMES + SEA_TILE)
    rows = [
        "| | |",
        "| --- | --: |",
        f"| land tiles with something in them | {drawn:,.0f} |",
        f"| core-hours | {seconds / 3600:,.0f} |",
    ]
    for machines, cores in CLUSTERS:
        hours = seconds / machines / cores / 3600
        said = f"{machines} machine{'s' if machines > 1 else ''} of {cores} cores"
        rows.append(f"| hours on {said}, if all are kept busy | {hours:,.1f} |")
    sizes = {
        "bytes of tiles with something in them": drawn * rates.size,
        "bytes of the bundles' indexes and times": bundles * (INDEX + TIMES),
        "on disk": stored,
    }
    return "\n".join(
        [*rows, *(f"| {name} | {size / 1e9:,.1f} GB |" for name, size in sizes.items())]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.planet", description=__doc__.split("\n")[0])
    for name in ("drawn", "plain", "sea", "bytes"):
        parser.add_argument(f"--{name}", type=float)
    given = parser.parse_args()
    begun = time.perf_counter()
    area = land()
    read = time.perf_counter()
    found = counts(area)
    print(f"read in {read - begun:.1f} s, counted in {time.perf_counter() - read:.1f} s\n")
    print(count_table(found))
    values = (given.drawn, given.plain, given.sea, given.bytes)
    if all(values):
        for full in (0.1, 1.0):
            print(f"\n{full:.0%} of the land tiles have something in them:\n")
            print(cost_table(found, Rates(*values), full))


if __name__ == "__main__":
    main()
