"""Tiles that are stored though they lie outside of the area: what supertiles overshoot.

Both draw by blocks of tiles; each cache is read by an independent reader, and what it holds is
compared with the tiles that the area touches. These are counted by MapProxy, too: its walk tile by
tile finds as many.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tile_cache_manager.plugin.core.coverage import cover
from tile_cache_manager.plugin.core.schemes import web_mercator

from . import areas, peers
from .filled import draw, new_cache, places
from .map_tiles import running_server
from .measure import ROOT, NotMeasured
from .results import Result

FINEST = 9
_FOLDER = ROOT / "build" / "bench_outside"


def measure() -> list[Result]:
    """Shares of the tiles that are wanted."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    try:
        return [overshoot()]
    finally:
        shutil.rmtree(_FOLDER, ignore_errors=True)


def overshoot() -> Result:
    area = areas.europe()
    file = areas.write_geojson(area, _FOLDER / "europe.geojson")
    scheme = web_mercator()
    wanted = {
        (level.id, *place)
        for level in scheme.levels[: FINEST + 1]
        for place in cover(scheme, level, area).tiles()
    }
    draw(new_cache(_FOLDER / "ours"), file, FINEST)
    ours = tiles_of(_FOLDER / "ours")
    if not wanted <= ours:
        raise NotMeasured(f"{len(wanted - ours)} wanted tiles are missing")
    theirs = "not installed" if peers.absent("mapproxy") else by_mapproxy(file, wanted)
    outside = len(ours - wanted)
    return Result(
        row="outside: tiles stored outside of the area",
        against="MapProxy, 4 x 4 tiles at once",
        ours=f"{outside}",
        theirs=theirs,
        ratio=outside / len(wanted),
        goal="0",
        met=outside == 0,
        versions=peers.mapproxy_version() if theirs != "not installed" else {},
        detail=f"Europe's borders, levels 0-{FINEST}: {len(wanted):,} tiles wanted; ours draws"
        " 8 x 8 tiles at once; ratio: of those wanted",
    )


def by_mapproxy(file: Path, wanted: set[tuple[int, int, int]]) -> str:
    """How many MapProxy stores besides."""
    walk = peers.MapProxy(_FOLDER / "walk", _FOLDER / "none", area=file)
    counted = peers.tiles_walked(walk.seed(range(FINEST + 1), "--dry-run"))
    if counted != len(wanted):
        raise NotMeasured(f"MapProxy counts {counted} tiles in the area, ours {len(wanted)}")
    with running_server() as (_, address):
        cache = _FOLDER / "theirs"
        proxy = peers.MapProxy(_FOLDER / "mapproxy", cache / "_alllayers", peers.wms(address), file)
        proxy.seed(range(FINEST + 1))
    stored = tiles_of(cache)
    outside = len(stored - wanted)
    if not wanted <= stored:
        return f"{len(wanted - stored)} missing"
    return f"{outside} (+{100 * outside / len(wanted):.0f} %)"


def tiles_of(cache: Path) -> set[tuple[int, int, int]]:
    """Level, row and column of all tiles."""
    return {(level, *place) for level in range(FINEST + 1) for place in places(cache, level)}
