"""Whole processes of qgis_process: the plugin's algorithms, and QGIS's own ones for XYZ tiles.

Each side has a profile of its own: theirs knows nothing of the plugin.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import machine
from .measure import ROOT, NotMeasured, Timed, run_timed

PROGRAMS = ("/usr/bin/qgis_process.bin", "/usr/bin/qgis_process")
"""The first that is there: Debian 12's shell script in front of its program needs more."""

HIDDEN = ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV")
"""What the environment of `make` may hold and nobody's QGIS has."""

LEVEL_0 = 591657527.591555
"""Denominator of the scale of level 0 of Web Mercator, as Esri publishes it."""

PLUGIN = "tile_cache_manager"


@dataclass(frozen=True)
class Job:
    """What both sides draw: a project, an extent in EPSG:3857 (as Processing has it), levels."""

    project: Path
    extent: str
    finest: int

    @property
    def scales(self) -> str:
        """The scales of levels 0 to `finest`."""
        return ";".join(str(round(LEVEL_0 / 2**level, 6)) for level in range(self.finest + 1))


@dataclass(frozen=True)
class Tool:
    """One of QGIS's algorithms for XYZ tiles; `metatile`: so many tiles wide and high at once."""

    algorithm: str
    metatile: int

    @property
    def is_folder(self) -> bool:
        return self.algorithm.endswith("directory")

    def __str__(self) -> str:
        return f"{self.algorithm}, metatiles of {self.metatile}"


DEFAULT_METATILE = 4
OUR_SIDE = 8
"""As many tiles wide and high as our supertiles of tiles of 256 pixels."""


class Qgis:
    """qgis_process with a profile below `folder`, with the plugin or without."""

    def __init__(self, folder: Path, *, with_plugin: bool) -> None:
        self.program = program()
        profile = folder / ("profile with the plugin" if with_plugin else "profile")
        plugins = profile / "plugins"
        plugins.mkdir(parents=True)
        profile.chmod(0o700)
        self._environment = {
            "PATH": "/usr/bin:/bin",
            "QGIS_PLUGINPATH": str(plugins),
            "QGIS_CUSTOM_CONFIG_PATH": str(profile),
            "XDG_RUNTIME_DIR": str(profile),
            "QT_QPA_PLATFORM": "offscreen",
        }
        if with_plugin:
            (plugins / PLUGIN).symlink_to(ROOT)
            self.ask("plugins", "enable", PLUGIN)

    def ask(self, *arguments: str, pinned_to: Sequence[int] = ()) -> Timed:
        """Run it to its end, on those processors only, if any. Raises NotMeasured."""
        unset = [part for name in HIDDEN for part in ("-u", name)]
        pinned = ["taskset", "-c", ",".join(map(str, pinned_to))] if pinned_to else []
        return run_timed(["env", *unset, *pinned, self.program, *arguments], self._environment)

    def algorithms(self) -> set[str]:
        """The ids of all that can be run."""
        return {word for word in self.ask("list").output.split() if ":" in word}


class Ours(Qgis):
    """The plugin's side: caches made beforehand, then filled."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, with_plugin=True)
        self._cache = folder / "cache"

    def fill(
        self, job: Job, tile_format: str = "PNG", pinned_to: Sequence[int] = ()
    ) -> tuple[Timed, Path]:
        """Create an empty cache, then have it filled in a process that is timed.

        Raises NotMeasured where not all tiles could be made.
        """
        shutil.rmtree(self._cache, ignore_errors=True)
        self.ask(
            *("run", "tilecache:createcache", "--", f"TARGET={self._cache}"),
            *(f"SCALES={job.scales}", f"TILE_FORMAT={tile_format}"),
        )
        timed = self.ask(
            *("run", "tilecache:managetiles", f"--PROJECT_PATH={job.project}", "--"),
            *(f"INPUT_SERVICE={self._cache}", f"UPDATE_EXTENT={job.extent}"),
            pinned_to=pinned_to,
        )
        if re.search(r"^FAILED:\s+0$", timed.output, re.MULTILINE) is None:
            raise NotMeasured(f"tiles failed:\n{timed.output[-4000:]}")
        return timed, self._cache


class Theirs(Qgis):
    """QGIS's own algorithms, as they come."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, with_plugin=False)
        self._folder = folder

    def tools(self) -> list[Tool]:
        """Into a folder and into MBTiles, with the metatiles that they take unasked and larger.

        Up to QGIS 3.34 they are written in Python, then in C++.
        """
        there = self.algorithms()
        kinds = [
            found
            for kind in ("directory", "mbtiles")
            for found in (f"native:tilesxyz{kind}", f"qgis:tilesxyz{kind}")
            if found in there
        ]
        if not kinds:
            raise NotMeasured("this QGIS has no algorithm for XYZ tiles")
        return [Tool(kind, size) for kind in kinds for size in (DEFAULT_METATILE, OUR_SIDE)]

    def fill(self, job: Job, tool: Tool) -> tuple[Timed, Path]:
        """Have a new folder or file filled in a process that is timed."""
        ending = "" if tool.is_folder else ".mbtiles"
        target = self._folder / f"{job.project.stem} {job.finest} {tool.metatile}{ending}"
        shutil.rmtree(target, ignore_errors=True)
        target.unlink(missing_ok=True)
        output = "OUTPUT_DIRECTORY" if tool.is_folder else "OUTPUT_FILE"
        timed = self.ask(
            *("run", tool.algorithm, f"--PROJECT_PATH={job.project}", "--"),
            *(f"EXTENT={job.extent}", "ZOOM_MIN=0", f"ZOOM_MAX={job.finest}"),
            *(f"METATILESIZE={tool.metatile}", "TILE_FORMAT=0", f"{output}={target}"),
        )
        return timed, target


def program() -> str:
    """The program. Raises NotMeasured where there is none."""
    for path in PROGRAMS:
        if os.access(path, os.X_OK):
            return path
    raise NotMeasured("qgis_process is not installed")


def write_projects(folder: Path, rectangle: Sequence[float]) -> None:
    """Write the projects of render_projects.py into `folder`, in a process of its own."""
    script = Path(__file__).with_name("render_projects.py")
    unset = [part for name in HIDDEN for part in ("-u", name)]
    run_timed(
        ["env", *unset, sys.executable, script, folder, *map(str, rectangle)],
        {"QT_QPA_PLATFORM": "offscreen"},
    )


@functools.cache
def versions() -> dict[str, str]:
    """Of QGIS and of what it draws and packs tiles with."""
    code = """
import zlib
from osgeo import gdal
from qgis.PyQt.QtCore import qVersion
print(qVersion(), zlib.ZLIB_RUNTIME_VERSION, gdal.__version__)
"""
    said = machine.said_by("/usr/bin/python3", "-c", code).split()
    return {"QGIS": machine.qgis_version(), **dict(zip(("Qt", "zlib", "GDAL"), said))}
