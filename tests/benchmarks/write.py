"""Writing ready tiles into bundles: a cache copied into a new one, by ours and by MapProxy.

Both read the same bundles, of map-like tiles that all differ, and both results are read by an
independent reader: the same tiles to the byte, at a sample, and as many.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from arcgis_server import bundles

from . import areas, peers
from .filled import draw, new_cache, places, size_of
from .measure import ROOT, NotMeasured, Trials, alternate, compare_rates, run_core
from .results import Result, without_peer

FINEST = 11
SAMPLE = 200
_FOLDER = ROOT / "build" / "bench_write"
_CACHE = _FOLDER / "cache"


def measure() -> list[Result]:
    """Of the tiles of Europe's borders, levels 0 to 11."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    try:
        return [copies()]
    finally:
        shutil.rmtree(_FOLDER, ignore_errors=True)


def copies() -> Result:
    area = areas.europe()
    file = areas.write_geojson(area, _FOLDER / "europe.geojson")
    count = draw(new_cache(_CACHE), file, FINEST)
    row, against, goal = f"write: {count:,} ready tiles into Compact V2", "MapProxy export", 20
    proxy = peers.MapProxy(_FOLDER / "mapproxy", _CACHE / "_alllayers", area=file)

    def ours() -> float:
        target = _FOLDER / "ours"
        shutil.rmtree(target, ignore_errors=True)
        timed = run_core("export", _CACHE, target, file, f"0-{FINEST}")
        check(target, count)
        return timed.seconds

    def theirs() -> float:
        target = _FOLDER / "theirs" / "_alllayers"
        shutil.rmtree(target.parent, ignore_errors=True)
        target.parent.mkdir()
        timed = proxy.export(target, FINEST)
        check(target.parent, count)
        return timed.seconds

    if peers.absent("mapproxy"):
        return without_peer(row, against, f"at least {goal} x", "not installed", f"{ours():.2f} s")
    mine, others = alternate(ours, theirs)
    return compare_rates(
        row,
        against,
        Trials(mine, count),
        Trials(others, count),
        goal,
        peers.mapproxy_version(),
        f"whole processes, one worker; {size_of(_CACHE) / count / 1024:.1f} kB a tile, none equal"
        " to another; ours is synced to the disk, MapProxy's is not",
    )


def check(cache: Path, count: int) -> None:
    """Raise NotMeasured where the copy is not what it is to be."""
    found = [(z, *place) for z in range(FINEST + 1) for place in sorted(places(cache, z))]
    if len(found) != count:
        raise NotMeasured(f"{len(found)} of {count} tiles in {cache.name}")
    for tile in random.Random(1).sample(found, SAMPLE):
        if bundles.read_bytes(cache, *tile) != bundles.read_bytes(_CACHE, *tile):
            raise NotMeasured(f"{cache.name} has something else at {tile}")
