"""How rows measure: both sides by turns, whole processes by what the system says of them."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .results import Result

RUNS = 3
ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
Side = Callable[[], float]
"""Does its own setting up outside of the clock, checks what came of it, and gives seconds."""


class NotMeasured(Exception):
    """A side did not do what it was to do; says which, and what it put out."""


@dataclass(frozen=True)
class Timed:
    """What a process took: seconds by the clock, of all cores, most memory, what it put out."""

    seconds: float
    cpu_seconds: float
    peak_megabytes: float
    output: str


def in_turn(*sides: Side, runs: int = RUNS) -> list[list[float]]:
    """Seconds of each side; they take turns, so that what else goes on meets all alike."""
    took: list[list[float]] = [[] for _ in sides]
    for _ in range(runs):
        for seconds, side in zip(took, sides):
            seconds.append(side())
    return took


def alternate(ours: Side, theirs: Side, runs: int = RUNS) -> tuple[list[float], list[float]]:
    """Seconds of ours and theirs: ours, theirs, ours, theirs ..."""
    mine, others = in_turn(ours, theirs, runs=runs)
    return mine, others


def median(figures: Sequence[float]) -> float:
    return statistics.median(figures)


def at_least(ratio: float, goal: float) -> bool:
    """Whether so many times better is enough; no number never is."""
    return ratio >= goal


def at_most(ratio: float, goal: float) -> bool:
    """Whether so many times as large is still small enough; no number never is."""
    return ratio <= goal


def run_timed(
    argv: Sequence[str | Path],
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 900,
) -> Timed:
    """Run a program to its end; its memory is that of its largest process.

    `env`: besides the environment of this process. Raises NotMeasured where it fails or takes
    longer than `timeout` seconds.
    """
    command = [str(part) for part in argv]
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        # By a small process between: what this one has taken would count as the program's own.
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WAITER, str(timeout), *command],
            env={**os.environ, **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
        )
        try:
            figures, _ = process.communicate()
        except BaseException:  # who interrupts this program means that one, too
            process.terminate()
            process.wait()
            raise
        whole = time.perf_counter() - start
        output.seek(0)
        said = output.read().decode(errors="replace")
    try:
        code, seconds, cpu_seconds, kilobytes = figures.split()
    except ValueError:
        raise NotMeasured(f"{Path(command[0]).name} after {whole:.0f} s:\n{said}") from None
    if int(code):
        raise NotMeasured(f"{Path(command[0]).name} ended with {code}:\n{said[-4000:]}")
    return Timed(float(seconds), float(cpu_seconds), int(kilobytes) / 1024, said)


_WAITER = """
import os, signal, sys, time
limit, argv = float(sys.argv[1]), sys.argv[2:]
start = time.perf_counter()
pid = os.fork()
if pid == 0:
    os.dup2(2, 1)
    os.setsid()
    os.execvp(argv[0], argv)
def stop(number, _):
    os.killpg(pid, signal.SIGKILL)
    print("it took too long" if number == signal.SIGALRM else "stopped", file=sys.stderr)
for each in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM):
    signal.signal(each, stop)
signal.setitimer(signal.ITIMER_REAL, limit)
_, status, used = os.wait4(pid, 0)
seconds = time.perf_counter() - start
code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
print(code, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def run_core(job: str, *arguments: object, **options: float) -> Timed:
    """Run a job of `core_jobs.py` in a process of its own that knows no QGIS.

    `options`: `timeout` of `run_timed`. Raises NotMeasured.
    """
    command = [sys.executable, "-m", "benchmarks.core_jobs", job, *map(str, arguments)]
    return run_timed(command, {"PYTHONPATH": str(TESTS)}, ROOT, **options)


def said(timed: Timed) -> dict[str, Any]:
    """What a job of `core_jobs.py` prints at its end."""
    return dict(json.loads(timed.output.splitlines()[-1]))


@dataclass(frozen=True)
class Trials:
    """Seconds of the trials of one side, each of which dealt with `count` (of `unit`)."""

    seconds: Sequence[float]
    count: int
    unit: str = "tiles"

    @property
    def rate(self) -> float:
        """So many in a second, by the median."""
        return self.count / median(self.seconds)

    def told(self, who: str) -> str:
        """Count, median, least and most."""
        low, high = min(self.seconds), max(self.seconds)
        return (
            f"{who}: {self.count:,} {self.unit} in {median(self.seconds):.3g} s"
            f" ({low:.3g}-{high:.3g}, {len(self.seconds)} runs)"
        )


def compare_rates(
    row: str,
    against: str,
    ours: Trials,
    theirs: Trials,
    goal: float | None,
    versions: Mapping[str, str],
    detail: str = "",
) -> Result:
    """A row about what is done in a second; the counts may differ, and are told.

    `goal`: None where there is none.
    """
    ratio = ours.rate / theirs.rate
    parts = (detail, ours.told("ours"), theirs.told("theirs"))
    return Result(
        row=row,
        against=against,
        ours=f"{rate_text(ours.rate)} /s",
        theirs=f"{rate_text(theirs.rate)} /s",
        ratio=ratio,
        goal="told" if goal is None else f"at least {goal:,.12g} x",
        met=goal is None or at_least(ratio, goal),
        versions=dict(versions),
        detail="\n".join(part for part in parts if part),
    )


def rate_text(rate: float) -> str:
    """Three figures that count, at least, and no more than are of use."""
    if rate >= 1e9:
        return f"{rate / 1e9:.3g} G"
    if rate >= 1e6:
        return f"{rate / 1e6:.3g} M"
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
