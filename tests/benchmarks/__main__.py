"""`make bench`: run the rows, print a table, write build/bench/results.json.

    python -m benchmarks [ROW]

Each row prints what it compares, both figures, and whether its goal is met.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from . import exports, heartbeat, kills, writers
from .results import Result

ROWS = {
    "exports": exports.measure,
    "heartbeat": heartbeat.measure,
    "kills": kills.measure,
    "writers": writers.measure,
}
FOLDER = Path(__file__).resolve().parents[2] / "build" / "bench"


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("row", nargs="?", choices=sorted(ROWS), help="only this one")
    wanted = parser.parse_args().row
    FOLDER.mkdir(parents=True, exist_ok=True)
    results = [
        result for name, measure in ROWS.items() if wanted in (None, name) for result in measure()
    ]
    print(f"{'row':<44} {'against':<24} {'ours':>12} {'theirs':>12} {'ratio':>8}  goal")
    for result in results:
        print(line_of(result))
    path = FOLDER / "results.json"
    path.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n")
    print(f"Written to build/{path.relative_to(FOLDER.parent)}")
    return 0


def line_of(result: Result) -> str:
    """A result as a line of the table."""
    met = "met" if result.met else "NOT MET"
    return (
        f"{result.row:<44} {result.against:<24} {result.ours:>12} {result.theirs:>12}"
        f" {result.ratio:>8.2f}  {result.goal}: {met}"
    )


if __name__ == "__main__":
    sys.exit(main())
