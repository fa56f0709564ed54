"""Drawing a project into tiles, as whole processes: ours against QGIS's own XYZ algorithms.

Both are run by qgis_process with the same project, extent and levels, with what they take unasked;
ours into an empty Compact V2 cache made beforehand, format PNG. Which of QGIS's is the fastest is
tried out first, at fewer levels: into a folder or MBTiles, with metatiles of 4 (as it takes them
unasked) or 8. Before a figure counts, both must have the same tiles.

Pixels are compared where no labels are drawn, whose places depend on the metatiles. Outlines depend
on them as well, a little: QGIS cuts what it draws at their edges. So what decides is the comparison
with metatiles as large as our supertiles, of all tiles of the trial; all tiles of the run that is
timed are compared, too, and told.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import whole_process
from .measure import ROOT, NotMeasured, Timed, alternate, at_least, median
from .results import Result
from .tile_sets import Comparison, TileSet, compare, tiles_at
from .whole_process import OUR_SIDE, Job, Ours, Theirs, Tool

FOLDER = ROOT / "build" / "bench_render"
HALF = 20037508.342789244
"""Half the width of the world in Web Mercator, metres."""

WORLD = "-20037508,20037508,-20037508,20037508 [EPSG:3857]"
SPARSE_FINEST = 12
SPARSE_TILES = (1300, 2000, 250)
"""The rectangle of few features: first row and column at its finest level, and tiles a side."""

LEAST_EQUAL = 0.99
"""Of the tiles compared with those of metatiles of our size, whose edges are some nanometres off:
enough for Qt to round to another pixel."""


@dataclass(frozen=True)
class Case:
    """A row: its name, its project, what is drawn, and how many times faster it shall be.

    `trial`: the finest level when it is tried which of QGIS's algorithms is the fastest.
    """

    row: str
    project: str
    finest: int
    trial: int
    goal: float
    pixels: bool


PLAIN = Case("render, world project, levels 0-7, no labels", "plain", 7, 5, 6, True)
CASES = (
    PLAIN,
    Case("render, world project, levels 0-7, labels", "labels", 7, 5, 4, False),
    Case("render, sparse detail, levels 0-12", "sparse", 12, 9, 30, True),
)


COMPARED: dict[Case, Comparison] = {}
"""What this process has measured, for the row of sizes."""


def measure() -> list[Result]:
    """The three rows."""
    with work_folder(FOLDER) as folder:
        ours, theirs = Ours(folder), Theirs(folder)
        return [measured(case, folder, ours, theirs) for case in CASES]


@contextmanager
def work_folder(folder: Path) -> Iterator[Path]:
    """`folder` with the projects; gone afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        whole_process.write_projects(folder, rectangle())
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def job_of(case: Case, folder: Path, finest: int | None = None) -> Job:
    west, south, east, north = rectangle()
    extent = f"{west},{east},{south},{north} [EPSG:3857]" if case.project == "sparse" else WORLD
    return Job(folder / f"{case.project}.qgz", extent, case.finest if finest is None else finest)


def rectangle() -> tuple[float, float, float, float]:
    """West, south, east, north of the few features: from the midst of a tile to that of another."""
    row, col, count = SPARSE_TILES
    side = 2 * HALF / 2**SPARSE_FINEST
    west, north = -HALF + (col + 0.5) * side, HALF - (row + 0.5) * side
    return west, north - (count - 1) * side, west + (count - 1) * side, north


def measured(case: Case, folder: Path, ours: Ours, theirs: Theirs) -> Result:
    """The row of `case`. Raises NotMeasured where both do not come to the same tiles."""
    tool, tried, alike = trial(theirs, job_of(case, folder, case.trial))
    job = job_of(case, folder)
    runs: dict[str, list[Timed]] = {"ours": [], "theirs": []}
    made: dict[str, Path] = {}

    def our_side() -> float:
        timed, made["ours"] = ours.fill(job)
        runs["ours"].append(timed)
        return timed.seconds

    def their_side() -> float:
        timed, made["theirs"] = theirs.fill(job, tool)
        runs["theirs"].append(timed)
        return timed.seconds

    mine, others = alternate(our_side, their_side)
    our_tiles, their_tiles = tiles_at(made["ours"]), tiles_at(made["theirs"])
    same = same_tiles(our_tiles, their_tiles, tool)
    told = [same, *(figures(who, timed) for who, timed in runs.items()), f"tried: {tried}"]
    is_same = True
    if case.pixels:
        COMPARED[case] = compared = compare(our_tiles, their_tiles)
        judged = compare(our_tiles, tiles_at(alike))
        is_same = judged.equal >= LEAST_EQUAL * judged.tiles
        told.insert(1, f"levels 0-{case.trial}, metatiles of {OUR_SIDE}: {judged.told}")
        told.insert(2, f"all, metatiles of {tool.metatile}: {compared.told}")
    ratio = median(others) / median(mine)
    return Result(
        row=case.row,
        against=f"QGIS, {tool}",
        ours=f"{median(mine):.2f} s",
        theirs=f"{median(others):.1f} s",
        ratio=ratio,
        goal=f"at least {case.goal:g} x",
        met=at_least(ratio, case.goal) and is_same,
        versions=whole_process.versions(),
        detail="\n".join(told),
    )


def trial(theirs: Theirs, job: Job) -> tuple[Tool, str, Path]:
    """The tool that takes the least time for `job`, what each took, and tiles to compare with."""
    seconds: dict[Tool, float] = {}
    made: dict[Tool, Path] = {}
    for tool in theirs.tools():
        timed, made[tool] = theirs.fill(job, tool)
        seconds[tool] = timed.seconds
    told = ", ".join(f"{tool} {took:.1f} s" for tool, took in seconds.items())
    alike = next(path for tool, path in made.items() if tool.metatile == OUR_SIDE)
    fastest = min(seconds, key=lambda tool: seconds[tool])
    return fastest, f"levels 0-{job.finest}: {told}", alike


def same_tiles(ours: TileSet, theirs: TileSet, tool: Tool) -> str:
    """How many tiles both have. Raises NotMeasured where they are not the same ones.

    MBTiles by GDAL, as QGIS writes it up to 3.34, lacks the tiles in which nothing is drawn.
    """
    both = set(ours.digests) & set(theirs.digests)
    more = "" if len(both) == len(ours.digests) else f" ({len(both):,} of them written by theirs)"
    if len(both) < len(theirs.digests) or (more and tool.is_folder):
        raise NotMeasured(
            f"{len(ours.digests)} tiles of ours, {len(theirs.digests)} of theirs,"
            f" {len(both)} in both"
        )
    return (
        f"{len(ours.digests):,} tiles{more}, whole processes;"
        f" {ours.megabytes:.1f} MB of pictures ours, {theirs.megabytes:.1f} MB theirs"
    )


def figures(who: str, runs: list[Timed]) -> str:
    """The least and the most of some runs, processor time, memory."""
    seconds = [run.seconds for run in runs]
    cpu = median([run.cpu_seconds for run in runs])
    peak = max(run.peak_megabytes for run in runs)
    return (
        f"{who}: {median(seconds):.2f} s ({min(seconds):.2f}-{max(seconds):.2f}, {len(runs)} runs),"
        f" {cpu:.1f} s of processors, at most {peak:.0f} MB"
    )
