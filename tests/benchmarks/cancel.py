"""From cancelling to the end: updates of the world project and exports, at any moment of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from . import render, whole_process
from .measure import ROOT, TESTS, run_timed
from .results import Result

FOLDER = ROOT / "build" / "bench_cancel"
GOAL_SECONDS = 1.0
TIMES = 5
ROWS = (
    ("cancel to stop, update, no labels", "plain.qgz"),
    ("cancel to stop, export into MBTiles", "-"),
    ("cancel to stop, update, labels", "labels.qgz"),
)
"""The exports copy what the update before them made."""


def measure() -> list[Result]:
    """The longest of five moments each."""
    with render.work_folder(FOLDER) as folder:
        return [longest(row, project, folder) for row, project in ROWS]


def longest(row: str, project: str, folder: Path) -> Result:
    script = Path(__file__).with_name("cancel_script.py")
    path = "-" if project == "-" else str(folder / project)
    timed = run_timed(
        [sys.executable, script, folder, path, str(TIMES)],
        {"PYTHONPATH": str(TESTS), "PATH": "/usr/bin:/bin", "QT_QPA_PLATFORM": "offscreen"},
    )
    lines = [line for line in timed.output.splitlines() if line.startswith("[{")]
    found: Sequence[dict[str, float]] = json.loads(lines[-1])
    worst = max(moment["seconds"] for moment in found)
    told = ", ".join(f"{moment['seconds']:.2f} s at {moment['percent']:.0f} %" for moment in found)
    return Result(
        row=row,
        against="-",
        ours=f"{worst:.2f} s",
        theirs="-",
        ratio=float("nan"),
        goal=f"under {GOAL_SECONDS:g} s",
        met=worst < GOAL_SECONDS,
        versions=whole_process.versions(),
        detail=f"the longest of {len(found)}: {told}",
    )
