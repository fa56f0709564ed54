"""Deleting the tiles of an area: Europe's borders out of a world of tiles.

Ours and MapProxy delete from bundles that are made alike, MapCache its files. Ours gets more
levels, for it takes moments; what is compared is tiles a second. What is left is counted.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tile_cache_manager.plugin.core.coverage import cover
from tile_cache_manager.plugin.core.schemes import web_mercator

from . import areas, peers
from .filled import fill, new_cache, tiles_in
from .measure import ROOT, NotMeasured, Trials, alternate, compare_rates, run_core, said
from .results import Result, without_peer
from .skip import link_files

LEVELS, PEER_LEVELS = (8, 13), (8, 11)
_FOLDER = ROOT / "build" / "bench_delete"


class Deletions:
    """The area, and a cache that is filled anew for each trial; `counts`: what each has deleted."""

    def __init__(self) -> None:
        self._area = areas.europe()
        self._around = self._area.buffer(50_000)
        self._file = areas.write_geojson(self._area, _FOLDER / "europe.geojson")
        self.counts: dict[str, int] = {}

    def ours(self) -> float:
        path, before = self._filled("ours", LEVELS)
        timed = run_core("update", path, "DELETE", self._file, "{}-{}".format(*LEVELS))
        deleted = said(timed)["deleted"]
        left = tiles_in(path, range(LEVELS[0], LEVELS[1] + 1))
        if left != before - deleted or not left:
            raise NotMeasured(f"{left} of {before} tiles left, {deleted} said to be deleted")
        self.counts["ours"] = deleted
        return timed.seconds

    def mapproxy(self) -> float:
        path, before = self._filled("theirs", PEER_LEVELS)
        proxy = peers.MapProxy(_FOLDER / "mapproxy", path / "_alllayers", area=self._file)
        levels = range(PEER_LEVELS[0], PEER_LEVELS[1] + 1)
        timed = proxy.cleanup(levels)
        self.counts["mapproxy"] = before - tiles_in(path, levels)
        return timed.seconds

    def mapcache(self) -> float:
        folder = _FOLDER / "mapcache"
        shutil.rmtree(folder, ignore_errors=True)
        cache = peers.MapCache(folder, folder / "tiles")
        tiles = self._tiles()
        link_files(cache, tiles)
        timed = cache.seed(PEER_LEVELS, self._file, "delete")
        left = sum(1 for _ in (folder / "tiles").rglob("*.png"))
        self.counts["mapcache"] = len(tiles) - left
        return timed.seconds

    def _filled(self, name: str, levels: tuple[int, int]) -> tuple[Path, int]:
        """A cache of the area and of what is around it, and how many tiles it has."""
        path = _FOLDER / name
        shutil.rmtree(path, ignore_errors=True)
        return path, fill(new_cache(path), self._around, levels)

    def _tiles(self) -> list[tuple[int, int, int]]:
        """Level, row and column of the area's tiles, at the peers' levels."""
        scheme = web_mercator()
        return [
            (level.id, row, col)
            for level in scheme.levels[PEER_LEVELS[0] : PEER_LEVELS[1] + 1]
            for row, col in cover(scheme, level, self._area).tiles()
        ]


PEERS = (
    ("mapproxy", "MapProxy cleanup, bundles", 100, peers.mapproxy_version),
    ("mapcache", "mapcache_seed, files", 10, peers.mapcache_version),
)


def measure() -> list[Result]:
    """Against both."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    try:
        deletions = Deletions()
        return [compared(deletions, *peer) for peer in PEERS]
    finally:
        shutil.rmtree(_FOLDER, ignore_errors=True)


def compared(
    deletions: Deletions,
    peer: str,
    against: str,
    goal: float,
    version: Callable[[], dict[str, str]],
) -> Result:
    row = "delete: tiles of Europe's borders"
    if peers.absent(peer):
        return without_peer(row, against, f"at least {goal} x", "not installed")
    mine, others = alternate(deletions.ours, getattr(deletions, peer))
    if not deletions.counts[peer]:
        raise NotMeasured(f"{against} has deleted nothing")
    return compare_rates(
        row,
        against,
        Trials(mine, deletions.counts["ours"]),
        Trials(others, deletions.counts[peer]),
        goal,
        version(),
        f"whole processes, one worker; ours levels {LEVELS[0]}-{LEVELS[1]}, theirs levels"
        f" {PEER_LEVELS[0]}-{PEER_LEVELS[1]} of the same area; tiles around it stay",
    )
