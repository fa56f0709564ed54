"""Fetching: the tiles of a service, served by nginx on this machine, into a new Compact V2 cache.

Ours exports the service tile by tile, which begins with 4 requests at once and has 8 at most.
MapProxy seeds from it as a tile source, with 4 processes and with 8; what does better counts. All
tiles that came are compared with nginx's files by an independent reader of bundles: ours must have
every one; of MapProxy's, whose processes write to one bundle at the same time, a few are missing or
different.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arcgis_server import bundles

from . import map_tiles, peers
from .measure import (
    ROOT,
    TESTS,
    NotMeasured,
    Trials,
    compare_rates,
    in_turn,
    median,
    run_timed,
    said,
)
from .results import Result, without_peer

NAME = "fetch"
LEVEL, GOAL = 7, 2.0
COUNT = 4**LEVEL
PROCESSES = (4, 8)
HALF = 20037508.342787
SERVICE = "rest/services/Streets/MapServer"
_FOLDER = ROOT / "build" / "bench_fetch"
_ROW, _AGAINST = f"fetch: {COUNT:,} tiles from nginx into Compact V2", "MapProxy seed"
_NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log; {user}
events {{ worker_connections 256; }}
http {{
  access_log off;
  {temporary}
  keepalive_requests 1000000;
  server {{
    listen 127.0.0.1:{port};
    root {folder}/www;
    default_type image/png;
    location = /{service} {{ default_type application/json; try_files /service.json =404; }}
  }}
}}
"""
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def measure() -> list[Result]:
    """All tiles of the world at one level, no two of them the same file."""
    goal = f"at least {GOAL:g} x"
    if peers.absent("nginx"):
        return [without_peer(_ROW, _AGAINST, goal, "no nginx")]
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    try:
        digests = write_site(_FOLDER / "www")
        with running_nginx(_FOLDER) as address:
            return [fetched(address, digests, goal)]
    finally:
        shutil.rmtree(_FOLDER, ignore_errors=True)


def fetched(address: str, digests: dict[tuple[int, int], str], goal: str) -> Result:
    used: list[float] = []
    lost: list[int] = []

    def ours() -> float:
        target = emptied(_FOLDER / "ours")
        command = [sys.executable, "-m", "benchmarks.fetch_script", address, target, str(LEVEL)]
        timed = run_timed(command, {"PYTHONPATH": str(TESTS)}, ROOT)
        if said(timed)["made"] != COUNT:
            raise NotMeasured(f"ours: {timed.output}")
        if same_in(target, digests) != COUNT:
            raise NotMeasured(f"ours: {same_in(target, digests)} of {COUNT} tiles are nginx's")
        used.append(timed.cpu_seconds)
        return timed.seconds

    def theirs(processes: int) -> float:
        target = emptied(_FOLDER / "theirs")
        source = {"type": "tile", "grid": peers.GRID}
        source["url"] = f"{address}/tile/%(z)s/%(y)s/%(x)s"
        proxy = peers.MapProxy(_FOLDER / "mapproxy", target / "_alllayers", source)
        timed = proxy.seed([LEVEL], "-c", str(processes))
        lost.append(COUNT - same_in(target, digests))
        if max(lost) > COUNT / 100:
            raise NotMeasured(f"MapProxy: {lost[-1]} of {COUNT} tiles are not nginx's")
        return timed.seconds

    if peers.absent("mapproxy"):
        return without_peer(_ROW, _AGAINST, goal, "not installed", f"{COUNT / ours():,.0f} /s")
    mine, *others = in_turn(ours, *(lambda n=n: theirs(n) for n in PROCESSES))
    best = min(others, key=median)
    told = ", ".join(
        f"{COUNT / median(seconds):,.0f} /s with {processes}"
        for processes, seconds in zip(PROCESSES, others)
    )
    size = sum(path.stat().st_size for path in (_FOLDER / "www").rglob("tile/*/*/*"))
    return compare_rates(
        _ROW,
        _AGAINST,
        Trials(mine, COUNT),
        Trials(best, COUNT),
        GOAL,
        {**peers.mapproxy_version(), "nginx": nginx_version()},
        f"whole processes, {size / COUNT / 1024:.1f} kB a tile, all compared with nginx's files;"
        f" ours 4 to 8 connections of one process, {median(used):.2f} s of processor time;"
        f" MapProxy {told} processes, up to {max(lost)} tiles missing or different after a run\n"
        "nginx and both sides share these cores",
    )


def write_site(root: Path) -> dict[tuple[int, int], str]:
    """The files that nginx serves; SHA-1 of each tile by row and column."""
    digests: dict[tuple[int, int], str] = {}
    for row in range(2**LEVEL):
        folder = root / SERVICE / "tile" / str(LEVEL) / str(row)
        folder.mkdir(parents=True)
        for col in range(2**LEVEL):
            content = map_tiles.tile(LEVEL, row, col)
            (folder / str(col)).write_bytes(content)
            digests[row, col] = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    (root / "service.json").write_text(json.dumps(service()), encoding="utf-8")
    return digests


def service() -> dict[str, object]:
    """What an ArcGIS Server says of a cached map service in Web Mercator (Esri REST reference)."""
    reference = {"wkid": 102100, "latestWkid": 3857}
    coarsest = 2 * HALF / 256
    corners = {"xmin": -HALF, "ymin": -HALF, "xmax": HALF, "ymax": HALF}
    lods = [
        {"level": z, "resolution": coarsest / 2**z, "scale": 591657527.591555 / 2**z}
        for z in range(LEVEL + 1)
    ]
    return {
        "currentVersion": 10.91,
        "mapName": "Streets",
        "singleFusedMapCache": True,
        "capabilities": "Map,TilesOnly",
        "exportTilesAllowed": True,
        "maxExportTilesCount": 100000,
        "spatialReference": reference,
        "tileInfo": {
            **{"rows": 256, "cols": 256, "dpi": 96, "format": "PNG", "compressionQuality": 0},
            **{"origin": {"x": -HALF, "y": HALF}, "spatialReference": reference, "lods": lods},
        },
        "fullExtent": {**corners, "spatialReference": reference},
    }


@contextmanager
def running_nginx(folder: Path) -> Iterator[str]:
    """The address of the service, by an nginx of our own with `folder`/www, ended after the block.

    Raises NotMeasured where it does not start.
    """
    port = free_port()
    settings = folder / "nginx.conf"
    temporary = " ".join(f"{name}_temp_path {folder}/{name};" for name in _TEMPORARY)
    user = "user root;" if os.geteuid() == 0 else ""
    settings.write_text(
        _NGINX.format(folder=folder, user=user, temporary=temporary, port=port, service=SERVICE),
        encoding="utf-8",
    )
    command = [peers.program("nginx"), "-p", str(folder), "-c", str(settings)]
    with (folder / "nginx.out").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}/{SERVICE}"
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise NotMeasured("nginx does not start")


def emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def same_in(cache: Path, digests: dict[tuple[int, int], str]) -> int:
    """How many tiles the cache has as nginx has them; none where it has others, too."""
    stored = bundles.read_cache(cache)
    found = {place: tile.sha1 for place, tile in stored.get(LEVEL, {}).items()}
    if not found.keys() <= digests.keys() or set(stored) - {LEVEL}:
        return 0
    return sum(digests[place] == digest for place, digest in found.items())


def nginx_version() -> str:
    # it says so where others put errors
    done = subprocess.run(
        [peers.program("nginx"), "-v"], capture_output=True, text=True, check=False
    )
    return done.stderr.strip().rpartition("/")[2]
