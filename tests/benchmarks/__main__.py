"""`make bench`: run the rows, print a table, write build/bench/results.json.

    python -m benchmarks [ROW ...]
    python -m benchmarks --markdown

Each row prints what it compares, both figures, and whether its goal is met, as soon as it has
them; the table comes once more at the end. Ends with 0 also where a goal is not met, with 1 where
something of ours could not be measured. `--markdown` prints the last run's table for a page.
"""

from __future__ import annotations

import argparse
import importlib
import json
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import machine
from .results import Result, heading, lines_of, markdown, record


@dataclass(frozen=True)
class Row:
    """Where a row's function is, that gives `list[Result]`; `by_name`: run only when named."""

    module: str
    function: str = "measure"
    by_name: bool = False

    def load(self) -> Callable[[], list[Result]]:
        """The function. Raises ImportError where something that it needs is not there."""
        module = importlib.import_module(f".{self.module}", __package__)
        return getattr(module, self.function)  # type: ignore[no-any-return]


ROWS = {
    "render": Row("render"),
    "png": Row("png_size"),
    "plan": Row("plan"),
    "skip": Row("skip"),
    "write": Row("write"),
    "delete": Row("delete"),
    "fetch": Row("fetch"),
    "refresh": Row("refresh"),
    "outside": Row("outside"),
    "memory": Row("memory"),
    "cores": Row("cores"),
    "cancel": Row("cancel"),
    "heartbeat": Row("heartbeat", by_name=True),
    "exports": Row("exports", by_name=True),
    "writers": Row("writers", by_name=True),
    "kills": Row("kills", by_name=True),
}
FOLDER = Path(__file__).resolve().parents[2] / "build" / "bench"
RECORD = FOLDER / "results.json"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"some of {', '.join(ROWS)}")
    parser.add_argument("--markdown", action="store_true", help="print the last run's table")
    asked = parser.parse_args(arguments)
    unknown = [name for name in asked.rows if name not in ROWS]
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if asked.markdown:
        return print_markdown()
    names = [n for n, row in ROWS.items() if n in asked.rows or not (asked.rows or row.by_name)]
    return run(names)


def run(names: Sequence[str]) -> int:
    """Measure these rows; the exit code."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    kept = machine.about_run()
    results: list[Result] = []
    broken: list[str] = []
    print(heading(), flush=True)
    start = time.monotonic()
    for name in names:
        began = time.monotonic()
        try:
            found = ROWS[name].load()()
        except (Exception, SystemExit) as error:  # the other rows are measured all the same
            broken.append(name)
            traceback.print_exception(type(error), error, error.__traceback__)
            print(f"{name}: could not be measured: {error}", flush=True)
            continue
        results += found
        for result in found:
            print(lines_of(result))
        print(f"    [{name}: {time.monotonic() - began:.0f} s]", flush=True)
        write_record(record(results, kept))
    write_record(record(results, kept))
    print(f"\n{heading()}")
    for result in results:
        print(lines_of(result))
    missed = sum(not result.met for result in results)
    print(f"\n{len(results)} comparisons in {(time.monotonic() - start) / 60:.1f} min; ", end="")
    print(f"{missed} goals not met" if missed else "all goals met")
    if broken:
        print(f"could not be measured: {', '.join(broken)}")
    print(f"Written to build/{RECORD.relative_to(FOLDER.parent)}")
    return 1 if broken else 0


def write_record(recorded: dict[str, object]) -> None:
    RECORD.write_text(json.dumps(recorded, indent=2) + "\n", encoding="utf-8")


def print_markdown() -> int:
    """Print the table of the last run; the exit code."""
    if not RECORD.exists():
        print("no build/bench/results.json: run make bench first", file=sys.stderr)
        return 1
    print(markdown(json.loads(RECORD.read_text(encoding="utf-8"))))
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))  # rows clean up after both
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted: what was measured before is in build/bench/results.json")
