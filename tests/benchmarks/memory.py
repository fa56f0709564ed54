"""Memory of an update of ten million tiles against one of ten thousand: Canada, coarse and fine.

Whole processes; the source knows of each bundle that all of its tiles are the same, so that all is
done that an update does but drawing. What was stored is counted by an independent reader.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from . import areas
from .filled import new_cache, tiles_in
from .measure import ROOT, RUNS, NotMeasured, Timed, at_most, median, run_core, said
from .results import Result

LARGE, SMALL, GOAL = "0-14", "0-9", 1.3
_FOLDER = ROOT / "build" / "bench_memory"


def measure() -> list[Result]:
    """Peaks of both."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    try:
        return [peaks()]
    finally:
        shutil.rmtree(_FOLDER, ignore_errors=True)


def peaks() -> Result:
    file = areas.write_geojson(areas.canada(), _FOLDER / "canada.geojson")
    small = [run(file, SMALL, check=number == 0) for number in range(RUNS)]
    large = [run(file, LARGE, check=number == 0) for number in range(RUNS)]
    tops = [median([timed.peak_megabytes for timed in each]) for each in (large, small)]
    counts = [said(each[0])["planned"] for each in (large, small)]
    ratio = tops[0] / tops[1]
    return Result(
        row=f"memory: update of {counts[0]:,} planned tiles",
        against=f"itself, {counts[1]:,} planned tiles",
        ours=f"{tops[0]:.0f} MB",
        theirs=f"{tops[1]:.0f} MB",
        ratio=ratio,
        goal=f"at most {GOAL} x",
        met=at_most(ratio, GOAL),
        detail=f"Canada, levels {LARGE} against {SMALL}; most memory of the whole process,"
        f" {RUNS} runs each; the large one took {median([each.seconds for each in large]):.0f} s",
    )


def run(file: Path, levels: str, *, check: bool) -> Timed:
    """An update into a new cache."""
    cache = _FOLDER / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    timed = run_core("update", new_cache(cache), "RECREATE_ALL", file, levels, "even")
    report = said(timed)
    if report["made"] != report["planned"]:
        raise NotMeasured(f"not all made: {report}")
    stored = tiles_in(cache, range(20)) if check else report["made"]
    if stored != report["made"]:
        raise NotMeasured(f"{stored} tiles stored of {report['made']}")
    return timed
