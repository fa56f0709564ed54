"""Refreshing all tiles three times: how large the cache is then, against a fresh one.

The tiles are map-like, all of them different, and others in each round. MapProxy gets them from a
server on this machine, one by one, so that it stores the very same bytes. What is compared is the
size of the bundles; the last round's tiles are read back, so that they are new.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from arcgis_server import bundles

from . import areas, peers
from .filled import draw, new_cache, places, size_of
from .map_tiles import running_server, tile
from .measure import ROOT, NotMeasured, at_most
from .results import Result

FINEST, ROUNDS, GOAL = 9, 3, 1.1
SAMPLE = 200
_FOLDER = ROOT / "build" / "bench_refresh"


def measure() -> list[Result]:
    """Sizes after each round, of both."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    try:
        return [rounds()]
    finally:
        shutil.rmtree(_FOLDER, ignore_errors=True)


def rounds() -> Result:
    file = areas.write_geojson(areas.europe(), _FOLDER / "europe.geojson")
    ours = sizes_of_ours(file)
    theirs = [] if peers.absent("mapproxy") else sizes_of_mapproxy(file)
    growth = ours[-1] / ours[0]
    return Result(
        row=f"refresh: size after {ROUNDS} rounds of all tiles",
        against="the fresh cache; MapProxy's",
        ours=f"{growth:.3f} x",
        theirs=f"{theirs[-1] / theirs[0]:.2f} x" if theirs else "not installed",
        ratio=growth,
        goal=f"at most {GOAL} x",
        met=at_most(growth, GOAL),
        versions=peers.mapproxy_version() if theirs else {},
        detail=f"ours: {megabytes(ours)}\ntheirs: {megabytes(theirs)}; fresh and after each round",
    )


def megabytes(sizes: list[int]) -> str:
    return ", ".join(f"{size / 1e6:.1f}" for size in sizes) + " MB"


def sizes_of_ours(file: Path) -> list[int]:
    cache, sizes = new_cache(_FOLDER / "ours"), []
    for generation in range(ROUNDS + 1):
        count = draw(cache, file, FINEST, generation)
        check(cache, generation, count)
        sizes.append(size_of(cache))
    return sizes


def sizes_of_mapproxy(file: Path) -> list[int]:
    sizes = []
    with running_server() as (server, address):
        cache = _FOLDER / "theirs"
        source = peers.tile_source(address)
        proxy = peers.MapProxy(_FOLDER / "mapproxy", cache / "_alllayers", source, file)
        for generation in range(ROUNDS + 1):
            server.generation = generation
            proxy.seed(range(FINEST + 1), refresh=generation > 0)
            check(cache, generation, None)
            sizes.append(size_of(cache))
    return sizes


def check(cache: Path, generation: int, count: int | None) -> None:
    """Raise NotMeasured where tiles are missing or not of this generation."""
    found = [(z, *place) for z in range(FINEST + 1) for place in sorted(places(cache, z))]
    if not found or (count is not None and len(found) != count):
        raise NotMeasured(f"{len(found)} tiles, not {count}")
    for place in random.Random(generation).sample(found, SAMPLE):
        if bundles.read_bytes(cache, *place) != tile(*place, generation):
            raise NotMeasured(f"{cache.name}: not the tile of round {generation} at {place}")
