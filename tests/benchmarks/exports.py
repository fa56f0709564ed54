"""Exports: tiles a second, what merging packages costs, and what memory a large one takes.

All from the stand-in site of the same run, its tiles made beforehand, so that nobody waits for
drawing. The peer that reads tiles one by one only receives them; ours stores each and syncs it.
Nothing here is passed or failed: what counts is the ratio.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import readers
import requests
from arcgis_server import bundles
from arcgis_server.handle import running_site
from exported_services import NoPixels
from made_pictures import pattern, png

from tile_cache_manager.plugin.core.cache import open_cache
from tile_cache_manager.plugin.core.export.local import export_local
from tile_cache_manager.plugin.core.export.request import ExportRequest, ExportWay
from tile_cache_manager.plugin.core.export.run import run_export
from tile_cache_manager.plugin.core.request import Feedback, Outcome
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.tiling import Extent

from .results import Result

SPEED_LEVEL, LARGE_LEVEL, SMALL_LEVEL = 6, 8, 4
"""4,096, 65,536 and 256 tiles of the whole world."""

TIMES = 3
"""Of what takes a moment only, the shortest of so many times counts, for both sides."""

PICTURES = 64
HALF = 20037508.342787
_FOLDER = Path(__file__).resolve().parents[2] / "build" / "bench_exports"
_SCRIPT = Path(__file__).with_name("exports_script.py")
_PEER = readers.PYTHONS["wheel"]
_TESTS = str(Path(__file__).resolve().parents[1])
Tile = tuple[int, int, int]


def measure() -> list[Result]:
    """Speed from the site, speed of merging, memory."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    try:
        with running_site(_FOLDER / "site", drawing="plain") as site:
            make_tiles(site.cache_folder("classic", "Streets"))
            address = site.service_url("classic", "Streets")
            return [*speeds(address), *merging(address), memory(address)]
    finally:
        shutil.rmtree(_FOLDER, ignore_errors=True)


def make_tiles(cache: Path) -> None:
    """Put tiles into the cache of the service, as if somebody had looked at all of them."""
    pictures = [png(pattern(number, bands=3)) for number in range(PICTURES)]
    for tile in (*tiles_of(SMALL_LEVEL), *tiles_of(SPEED_LEVEL), *tiles_of(LARGE_LEVEL)):
        level, row, col = tile
        bundles.write_tile(cache, level, row, col, pictures[(7 * row + col) % PICTURES])


def tiles_of(level: int) -> Iterable[Tile]:
    return ((level, row, col) for row in range(2**level) for col in range(2**level))


def speeds(address: str) -> list[Result]:
    """Exports by packages and tile by tile, against plain requests of one and four threads."""
    ours = {
        "by packages": ExportWay.EXPORT_TILES,
        "tile by tile": ExportWay.ONE_BY_ONE,
    }
    took = {
        name: seconds(lambda way=way: export(address, _FOLDER / way.value, SPEED_LEVEL, way))
        for name, way in ours.items()
    }
    peers = {
        "1 thread, not stored": seconds(lambda: read_all(address, 1)),
        "4 threads, not stored": seconds(lambda: read_all(address, 4)),
    }
    count = 4**SPEED_LEVEL
    return [
        told(
            f"exports: {count} tiles {name}",
            f"requests, {peer}",
            f"{count / mine:.0f} /s",
            f"{count / theirs:.0f} /s",
            theirs / mine,
        )
        for name, mine in took.items()
        for peer, theirs in peers.items()
    ]


def export(address: str, target: Path, level_id: int, way: ExportWay) -> None:
    """Export the world at a level into a compact cache."""
    scheme = open_cache(address).describe().scheme
    world = Extent(-HALF + 1, -HALF + 1, HALF - 1, HALF - 1)
    request = ExportRequest(
        scheme, (scheme.level(level_id),), world, target, StorageFormat.COMPACT_V2, way=way
    )
    report = run_export(address, request, Feedback(), pixels=NoPixels())
    if report.outcome is not Outcome.DONE or report.total("made") != 4**level_id:
        raise SystemExit(f"an export that came to nothing: {report}")


def read_all(address: str, threads: int) -> None:
    """Read each tile with a request of its own, over connections that are kept."""

    def read(tiles: list[Tile]) -> int:
        with requests.Session() as session:
            return sum(len(read_one(session, tile)) for tile in tiles)

    def read_one(session: requests.Session, tile: Tile) -> bytes:
        level, row, col = tile
        answer = session.get(f"{address}/tile/{level}/{row}/{col}", timeout=60)
        answer.raise_for_status()
        return answer.content

    tiles = list(tiles_of(SPEED_LEVEL))
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(read, (tiles[number::threads] for number in range(threads))))


def merging(address: str) -> list[Result]:
    """Two packages of half the world each into one cache, against `cp` and MapProxy's cache."""
    scheme = open_cache(address).describe().scheme
    level = scheme.level(SPEED_LEVEL)
    halves = (Extent(-HALF + 1, -HALF + 1, -1, HALF - 1), Extent(1, -HALF + 1, HALF - 1, HALF - 1))
    packages = [_FOLDER / f"half {number}.tpkx" for number in range(2)]
    for half, package in zip(halves, packages):
        request = ExportRequest(scheme, (level,), half, package, StorageFormat.TPKX)
        run_export(address, request, Feedback(), pixels=NoPixels())

    merged = _FOLDER / "merged"

    def merge() -> None:
        for half, package in zip(halves, packages):
            request = ExportRequest(scheme, (level,), half, merged, StorageFormat.COMPACT_V2)
            export_local(package, request, Feedback(), pixels=NoPixels())

    def copy() -> None:
        for package in packages:
            copied = f"{package}.copy"
            # to the disk, as ours
            subprocess.run(["cp", str(package), copied], check=True)
            subprocess.run(["sync", copied], check=True)

    mine = min(timed_anew(merge, merged) for _ in range(TIMES))
    count, size = 4**SPEED_LEVEL, sum(package.stat().st_size for package in packages)
    name = f"exports: 2 packages, {count} tiles, merged"
    plain = min(seconds(copy) for _ in range(TIMES))
    megabytes = size / 1e6
    results = [
        told(
            name,
            "cp and sync",
            f"{megabytes / mine:.0f} MB/s",
            f"{megabytes / plain:.0f} MB/s",
            plain / mine,
        )
    ]
    if Path(_PEER).exists():
        runs = (
            run_script(
                _PEER, "mapproxy", str(merged), str(_FOLDER / f"mapproxy {n}"), str(SPEED_LEVEL)
            )
            for n in range(TIMES)
        )
        theirs = min(run["seconds"] for run in runs)
        results.append(
            told(
                name,
                "MapProxy, not synced",
                f"{count / mine:.0f} /s",
                f"{count / theirs:.0f} /s",
                theirs / mine,
            )
        )
    return results


def memory(address: str) -> Result:
    """What a process takes at most that exports 65,536 tiles, against one that exports 256."""
    large, small = (
        run_script(sys.executable, "export", address, str(_FOLDER / f"memory {z}"), str(z))
        for z in (LARGE_LEVEL, SMALL_LEVEL)
    )
    return told(
        f"exports: {4**LARGE_LEVEL} tiles, memory at most",
        f"{4**SMALL_LEVEL} tiles",
        f"{large['megabytes']:.0f} MB",
        f"{small['megabytes']:.0f} MB",
        large["megabytes"] / small["megabytes"],
    )


def run_script(python: str, *arguments: str) -> dict[str, Any]:
    """What exports_script.py finds in a process of its own."""
    done = subprocess.run(
        [python, str(_SCRIPT), *arguments],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": _TESTS},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def seconds(do: Callable[[], object]) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


def timed_anew(do: Callable[[], object], target: Path) -> float:
    """Seconds in which `do` makes `target`, where nothing is left of the one before."""
    shutil.rmtree(target, ignore_errors=True)
    return seconds(do)


def told(row: str, against: str, ours: str, theirs: str, ratio: float) -> Result:
    return Result(row, against, ours, theirs, ratio, goal="told", met=True)
