"""What a second core brings: the world project without labels, on one processor and on two.

A whole process of qgis_process, pinned by `taskset`. Drawing is told apart from what every process
takes before and after it: the same update of level 0 alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from . import render, whole_process
from .measure import ROOT, Timed, alternate, at_least, median
from .results import Result, without_peer
from .whole_process import Job, Ours

FOLDER = ROOT / "build" / "bench_cores"
GOAL = 1.8
ROW = "second core, world project, levels 0-7, no labels"


def measure() -> list[Result]:
    """Of the drawing, which is the goal, and told, of the whole process."""
    processors = sorted(os.sched_getaffinity(0))[:2]
    goal = f"at least {GOAL:g} x"
    if len(processors) < 2:
        return [without_peer(ROW, "itself on one", goal, "one core only")]
    with render.work_folder(FOLDER) as folder:
        ours, job = Ours(folder), render.job_of(render.PLAIN, folder)
        runs: dict[int, list[Timed]] = {1: [], 2: []}
        idle: dict[int, list[Timed]] = {1: [], 2: []}

        def on(count: int) -> float:
            pinned = processors[:count]
            idle[count].append(run(ours, replace(job, finest=0), pinned))
            runs[count].append(run(ours, job, pinned))
            return runs[count][-1].seconds

        two, one = alternate(lambda: on(2), lambda: on(1))
    before = {count: median([timed.seconds for timed in runs]) for count, runs in idle.items()}
    told = "\n".join(
        f"{render.figures(f'{count} processors' if count > 1 else 'one', timed)};"
        f" level 0 alone {before[count]:.2f} s"
        for count, timed in runs.items()
    )
    return [
        speed(ROW, median(two) - before[2], median(one) - before[1], goal, told),
        speed(f"{ROW}, whole process", median(two), median(one), "told", ""),
    ]


def run(ours: Ours, job: Job, pinned: Sequence[int]) -> Timed:
    return ours.fill(job, pinned_to=pinned)[0]


def speed(row: str, two: float, one: float, goal: str, detail: str) -> Result:
    return Result(
        row=row,
        against="itself on one",
        ours=f"{two:.2f} s",
        theirs=f"{one:.2f} s",
        ratio=one / two,
        goal=goal,
        met=goal == "told" or at_least(one / two, GOAL),
        versions=whole_process.versions(),
        detail=detail,
    )
