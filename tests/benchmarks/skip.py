"""Nothing to do: a million tiles, all of them there, and an update that only makes missing ones.

Ours and MapProxy look at the very same bundles. MapCache knows no bundles; it gets files, which
are all links to one, so that they are made in moments: it asks only whether they exist.
MapProxy and MapCache get a quarter of the million, and what is compared is tiles a second.
MapProxy's own way with 4 x 4 tiles at once is told, too, though it looks at one of 16 only.
"""

from __future__ import annotations

import os
import shutil

from . import peers
from .filled import WORLD, fill, new_cache
from .map_tiles import picture
from .measure import ROOT, NotMeasured, Trials, compare_rates, in_turn, run_core, said
from .results import Result, without_peer

LEVEL, PEER_LEVEL = 10, 9
_FOLDER = ROOT / "build" / "bench_skip"
_CACHE = _FOLDER / "cache"
_ROW = f"skip: {4**LEVEL:,} tiles, all cached"


def measure() -> list[Result]:
    """Against both."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    try:
        fill(new_cache(_CACHE), WORLD, (PEER_LEVEL, LEVEL))
        return [*against_mapproxy(), against_mapcache()]
    finally:
        shutil.rmtree(_FOLDER, ignore_errors=True)


def ours() -> float:
    """Seconds of the whole process."""
    timed = run_core("update", _CACHE, "RECREATE_EMPTY", "world", f"{LEVEL}-{LEVEL}", "drawn0")
    report = said(timed)
    if report["skipped"] != 4**LEVEL or report["made"]:
        raise NotMeasured(f"not all was there: {report}")
    return timed.seconds


def against_mapproxy() -> list[Result]:
    """It asks for each tile where its source gives single tiles, else for one of 16."""
    each, coarse = "MapProxy seed, same bundles", "MapProxy seed, asks for 1 of 16"
    goal = 100
    if peers.absent("mapproxy"):
        return [without_peer(_ROW, each, f"at least {goal} x", "not installed")]
    versions, tiles = peers.mapproxy_version(), _CACHE / "_alllayers"
    single = peers.MapProxy(_FOLDER / "single", tiles, peers.tile_source("http://127.0.0.1:9"))
    sixteen = peers.MapProxy(_FOLDER / "sixteen", tiles, peers.wms())
    mine, by_one, by_sixteen = in_turn(  # had they to make a tile, there is no source
        ours,
        lambda: single.seed([PEER_LEVEL]).seconds,
        lambda: sixteen.seed([PEER_LEVEL]).seconds,
    )
    trials = Trials(mine, 4**LEVEL)
    told = "whole processes, one worker"
    return [
        compare_rates(
            *(_ROW, each, trials, Trials(by_one, 4**PEER_LEVEL), goal, versions),
            f"{told}; both look at every tile",
        ),
        compare_rates(
            *(_ROW, coarse, trials, Trials(by_sixteen, 4**PEER_LEVEL), None, versions),
            f"{told}; MapProxy looks at one of each 4 x 4 tiles, as it does for a WMS, and does not"
            " see that another is missing; ours looks at every tile",
        ),
    ]


def against_mapcache() -> Result:
    against, goal = "mapcache_seed, files", 20
    if peers.absent("mapcache"):
        return without_peer(_ROW, against, f"at least {goal} x", "not installed")
    cache = peers.MapCache(_FOLDER / "mapcache", _FOLDER / "mapcache" / "tiles")
    link_files(
        cache, [(PEER_LEVEL, r, c) for r in range(2**PEER_LEVEL) for c in range(2**PEER_LEVEL)]
    )

    def theirs() -> float:
        timed = cache.seed((PEER_LEVEL, PEER_LEVEL))
        if "0 tiles needed to be seeded" not in timed.output:
            raise NotMeasured(timed.output)
        return timed.seconds

    mine, others = in_turn(ours, theirs)
    return compare_rates(
        _ROW,
        against,
        Trials(mine, 4**LEVEL),
        Trials(others, 4**PEER_LEVEL),
        goal,
        peers.mapcache_version(),
        "whole processes, one thread; files that are links to one",
    )


def link_files(cache: peers.MapCache, tiles: list[tuple[int, int, int]]) -> None:
    """Put files at these tiles (level, row, column), which are links to one another."""
    most = 50_000  # links to one file: file systems allow 65,000
    made = set()
    for number, place in enumerate(tiles):
        file = cache.file_of(*place)
        if file.parent not in made:
            file.parent.mkdir(parents=True, exist_ok=True)
            made.add(file.parent)
        if number % most == 0:
            file.write_bytes(picture(0))
            first = file
        else:
            os.link(first, file)
