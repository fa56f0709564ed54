"""The programs that ours is measured beside: MapProxy and MapCache's seeder, and their settings."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .machine import said_by
from .measure import ROOT, NotMeasured, Timed, run_timed

PEERS_BIN = ROOT / ".venv-peers" / "bin"
GRID = "GLOBAL_WEBMERCATOR"
"""MapProxy's grid that has the tiles of web maps; rows count from the top in compact caches."""


def wms(address: str = "http://127.0.0.1:9") -> dict[str, Any]:
    """A source of MapProxy of which it asks 4 x 4 tiles at once, as it does unless told otherwise.

    Without an address, nobody answers: for what needs no pictures.
    """
    return {"type": "wms", "req": {"url": f"{address}/wms?", "layers": "x"}}


def tile_source(address: str) -> dict[str, Any]:
    """A source of MapProxy of which it asks tile by tile."""
    return {"type": "tile", "grid": GRID, "url": f"{address}/%(z)s/%(x)s/%(y)s.png"}


_DEBIAN = {"mapcache": "mapcache_seed", "nginx": "nginx"}
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def program(name: str) -> str:
    """Where a program lies, of those in .venv-peers and of Debian's; empty: nowhere."""
    own = PEERS_BIN / name
    return str(own) if own.exists() else shutil.which(name, path=_PATH) or ""


def absent(peer: str) -> str:
    """Why "mapproxy", "mapcache" or "nginx" cannot be measured; empty: it can."""
    return "" if program(_DEBIAN.get(peer, "mapproxy-seed")) else "not installed"


def mapproxy_version() -> dict[str, str]:
    code = "from importlib.metadata import version; print(version('MapProxy'))"
    return {"MapProxy": said_by(str(PEERS_BIN / "python"), "-c", code)}


def mapcache_version() -> dict[str, str]:
    """Of Debian's package; the program itself does not say."""
    found = said_by("dpkg-query", "-W", "-f=${Version}", "mapcache-tools")
    return {"MapCache": found.split("-")[0]}


class MapProxy:
    """MapProxy with one cache of bundles, `tiles`, and the seeds and cleanups that rows name.

    `folder`: for its settings. `source`: as in its configuration; it draws names of tiles itself
    where there is none. `area`: a GeoJSON file in Web Mercator; None: the world.
    """

    def __init__(
        self,
        folder: Path,
        tiles: Path,
        source: dict[str, Any] | None = None,
        area: Path | None = None,
    ) -> None:
        self.folder, self.area = folder, area
        folder.mkdir(parents=True, exist_ok=True)
        cache = {"type": "compact", "version": 2, "directory": str(tiles)}
        locks = {"lock_dir": str(folder / "locks"), "tile_lock_dir": str(folder / "tile_locks")}
        self._write(
            "mapproxy.yaml",
            {
                "services": {"demo": {}},
                "caches": {"tiles": {"sources": ["from"], "grids": [GRID], "cache": cache}},
                "sources": {"from": source or {"type": "debug"}},
                "globals": {"cache": {"base_dir": str(folder), **locks}},
            },
        )

    def seed(self, levels: Sequence[int], *options: str, refresh: bool = False) -> Timed:
        """Run `mapproxy-seed` over the area; `refresh`: also where there are tiles."""
        job = self._job(levels)
        if refresh:
            job["refresh_before"] = {"minutes": 0}
        return self._run({"seeds": {"job": job}}, "--seed", *options)

    def cleanup(self, levels: Sequence[int]) -> Timed:
        """Remove all tiles of the area."""
        return self._run(
            {"cleanups": {"job": {**self._job(levels), "remove_all": True}}}, "--cleanup"
        )

    def export(self, target: Path, finest: int) -> Timed:
        """Copy the tiles of the area into another cache of bundles."""
        options = ("--source", "tiles", "--grid", GRID, "--dest", target, "--type", "compact-v2")
        area = ("--coverage", self.area, "--srs", "EPSG:3857") if self.area else ()
        command = (program("mapproxy-util"), "export", "-q", "-f", self.folder / "mapproxy.yaml")
        return run_timed([*command, *options, "--levels", f"0..{finest}", *area])

    def _job(self, levels: Sequence[int]) -> dict[str, Any]:
        job: dict[str, Any] = {"caches": ["tiles"], "levels": list(levels)}
        return {**job, "coverages": ["area"]} if self.area else job

    def _run(self, jobs: dict[str, Any], kind: str, *options: str) -> Timed:
        if self.area:
            jobs["coverages"] = {"area": {"datasource": str(self.area), "srs": "EPSG:3857"}}
        self._write("seed.yaml", jobs)
        settings = ("-f", self.folder / "mapproxy.yaml", "-s", self.folder / "seed.yaml")
        return run_timed(
            [program("mapproxy-seed"), "-q", *settings, kind, "job", "-c", "1", *options]
        )

    def _write(self, name: str, content: dict[str, Any]) -> None:
        """JSON is YAML."""
        (self.folder / name).write_text(json.dumps(content, indent=1), encoding="utf-8")


def tiles_walked(timed: Timed) -> int:
    """Number of tiles that MapProxy tells to have dealt with, of one job."""
    found = re.findall(r"100\.00% .*\((\d+) tiles\)", timed.output)
    if not found:
        raise NotMeasured(f"MapProxy tells no number of tiles:\n{timed.output[-2000:]}")
    return int(found[-1])


class MapCache:
    """`mapcache_seed` with one cache of files on the disk, `tiles`."""

    def __init__(self, folder: Path, tiles: Path) -> None:
        self._settings = folder / "mapcache.xml"
        self._tiles = tiles
        folder.mkdir(parents=True, exist_ok=True)
        self._settings.write_text(
            f"""<mapcache>
 <source name="from" type="wms"><http><url>http://127.0.0.1:9/</url></http>
  <getmap><params><FORMAT>image/png</FORMAT><LAYERS>x</LAYERS></params></getmap></source>
 <cache name="disk" type="disk"><base>{tiles}</base></cache>
 <tileset name="tiles"><source>from</source><cache>disk</cache><grid>GoogleMapsCompatible</grid>
  <format>PNG</format><metatile>1 1</metatile></tileset>
 <default_format>PNG</default_format><lock_dir>{folder}</lock_dir>
</mapcache>
""",
            encoding="utf-8",
        )

    def seed(self, levels: tuple[int, int], area: Path | None = None, mode: str = "seed") -> Timed:
        """Run it over the area (None: the world) with one thread; mode "seed" or "delete"."""
        where = ("-d", area, "-l", area.stem) if area else ()
        what = ("-t", "tiles", "-g", "GoogleMapsCompatible", "-z", "{},{}".format(*levels))
        command = (program("mapcache_seed"), "-c", self._settings, *what, "-m", mode, "-n", "1")
        return run_timed([*command, *where, "-q"])

    def file_of(self, level: int, row: int, col: int) -> Path:
        """The file of a tile; its rows count from the bottom."""
        y = 2**level - 1 - row
        parts = [f"{n // 10**6:03}/{n // 1000 % 1000:03}/{n % 1000:03}" for n in (col, y)]
        return (
            self._tiles
            / "tiles"
            / "GoogleMapsCompatible"
            / f"{level:02}"
            / parts[0]
            / f"{parts[1]}.png"
        )
