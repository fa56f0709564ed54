"""How large the tiles are that both draw alike: ours against those of QGIS's own XYZ algorithms.

The bytes of the pictures of the world project, of all tiles that have the same pixels.
"""

from __future__ import annotations

from . import render, whole_process
from .measure import ROOT, at_most
from .results import Result
from .tile_sets import Comparison, compare, tiles_at
from .whole_process import OUR_SIDE, Ours, Theirs

FOLDER = ROOT / "build" / "bench_png"
GOAL = 1.1


def measure() -> list[Result]:
    """Of the format PNG, and told, of PNG32: without palettes, as QGIS's are."""
    with render.work_folder(FOLDER) as folder:
        ours = Ours(folder)
        job = render.job_of(render.PLAIN, folder)
        compared = render.COMPARED.get(render.PLAIN)
        if compared is None:
            theirs = Theirs(folder)
            tool = next(tool for tool in theirs.tools() if tool.metatile == OUR_SIDE)
            compared = compare(tiles_at(ours.fill(job)[1]), tiles_at(theirs.fill(job, tool)[1]))
        full = tiles_at(ours.fill(job, "PNG32")[1])
        full_bytes = sum(full.sizes[place] for place in compared.theirs)
        return [
            sized("PNG size of the same tiles", sum(compared.ours.values()), compared),
            sized("PNG size of the same tiles, PNG32", full_bytes, compared, is_told=True),
        ]


def sized(row: str, ours: int, compared: Comparison, *, is_told: bool = False) -> Result:
    theirs = sum(compared.theirs.values())
    return Result(
        row=row,
        against="QGIS, XYZ tiles",
        ours=f"{ours / 1e6:.2f} MB",
        theirs=f"{theirs / 1e6:.2f} MB",
        ratio=ours / theirs,
        goal="told" if is_told else f"at most {GOAL:g} x",
        met=is_told or at_most(ours / theirs, GOAL),
        versions=whole_process.versions(),
        detail=f"world project without labels: {compared.told}",
    )
