"""Deleting the tiles of an area: Europe's borders out of a world of tiles.

Ours and MapProxy delete from bundles that are made alike, MapCache its files. Ours gets more
levels, for it takes moments; what is compared is tiles a second. What is left is counted.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from . import areas, peers
from .filled import fill, new_cache, tiles_in
from .measure import ROOT, NotMeasured, Trials, compare_rates, in_turn, run_core, said
from .results import Result, without_peer
from .skip import link_files

LEVELS, PEER_LEVELS = (8, 13), (8, 11)
_FOLDER = ROOT / "build" / "bench_delete"


def measure() -> list[Result]:
    """Against both."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    try:
        return deletions()
    finally:
        shutil.rmtree(_FOLDER, ignore_errors=True)


def deletions() -> list[Result]:
    area = areas.europe()
    file = areas.write_geojson(area, _FOLDER / "europe.geojson")
    around = area.buffer(50_000)
    counts: dict[str, int] = {}

    def filled(name: str, levels: tuple[int, int]) -> tuple[Path, int]:
        """A cache of the area and of what is around it, and how many tiles it has."""
        path = _FOLDER / name
        shutil.rmtree(path, ignore_errors=True)
        return path, fill(new_cache(path), around, levels)

    def ours() -> float:
        path, before = filled("ours", LEVELS)
        timed = run_core("update", path, "DELETE", file, "{}-{}".format(*LEVELS))
        counts["ours"] = said(timed)["deleted"]
        left = tiles_in(path, range(LEVELS[0], LEVELS[1] + 1))
        if left != before - counts["ours"] or not left:
            raise NotMeasured(f"{left} of {before} tiles left, {counts['ours']} said to be deleted")
        return timed.seconds

    def mapproxy() -> float:
        path, before = filled("theirs", PEER_LEVELS)
        proxy = peers.MapProxy(_FOLDER / "mapproxy", path / "_alllayers", area=file)
        timed = proxy.cleanup(range(PEER_LEVELS[0], PEER_LEVELS[1] + 1))
        counts["mapproxy"] = before - tiles_in(path, range(PEER_LEVELS[0], PEER_LEVELS[1] + 1))
        return timed.seconds

    def mapcache() -> float:
        folder = _FOLDER / "mapcache"
        shutil.rmtree(folder, ignore_errors=True)
        cache = peers.MapCache(folder, folder / "tiles")
        link_files(cache, wanted)
        timed = cache.seed(PEER_LEVELS, file, "delete")
        left = sum(1 for _ in (folder / "tiles").rglob("*.png"))
        counts["mapcache"] = len(wanted) - left
        return timed.seconds

    row = "delete: tiles of Europe's borders"
    results = []
    wanted: list[tuple[int, int, int]] = []
    against = "MapProxy cleanup, bundles"
    if peers.absent("mapproxy"):
        results.append(without_peer(row, against, "at least 100 x", "not installed"))
    else:
        mine, others = in_turn(ours, mapproxy)
        results.append(compared(row, against, mine, others, counts, "mapproxy", 100))
    against = "mapcache_seed, files"
    if peers.absent("mapcache"):
        results.append(without_peer(row, against, "at least 10 x", "not installed"))
    else:
        wanted += tiles_of(area)
        mine, others = in_turn(ours, mapcache)
        results.append(compared(row, against, mine, others, counts, "mapcache", 10))
    return results


def compared(
    row: str,
    against: str,
    mine: list[float],
    others: list[float],
    counts: dict[str, int],
    peer: str,
    goal: float,
) -> Result:
    if not counts[peer]:
        raise NotMeasured(f"{against} has deleted nothing")
    versions = {"mapproxy": peers.mapproxy_version, "mapcache": peers.mapcache_version}[peer]()
    return compare_rates(
        row,
        against,
        Trials(mine, counts["ours"]),
        Trials(others, counts[peer]),
        goal,
        versions,
        f"whole processes, one worker; ours levels {LEVELS[0]}-{LEVELS[1]}, theirs levels"
        f" {PEER_LEVELS[0]}-{PEER_LEVELS[1]} of the same area; tiles around it stay",
    )


def tiles_of(area) -> list[tuple[int, int, int]]:
    """The tiles of the area at the peers' levels."""
    from tile_cache_manager.plugin.core.coverage import cover
    from tile_cache_manager.plugin.core.schemes import web_mercator

    scheme = web_mercator()
    return [
        (level.id, row, col)
        for level in scheme.levels[PEER_LEVELS[0] : PEER_LEVELS[1] + 1]
        for row, col in cover(scheme, level, area).tiles()
    ]
