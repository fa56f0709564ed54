"""What rows of `make bench` come to, and how it is printed and kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

_COLUMNS = (("row", 52), ("against", 30), ("ours", 13), ("theirs", 13), ("ratio", 9))


@dataclass(frozen=True)
class Result:
    """One comparison of figures that were all measured in this run.

    `ours`, `theirs`: medians with their units. `ratio`: how many times better ours is; of sizes and
    memory, ours over theirs, as `goal` has it: "at least 6 x", "at most 1.1 x", "under 1 s", or
    "told" where there is none. `versions`: of the programs compared. `detail`: what exactly was
    compared, counts, the least and the most; printed under the line.
    """

    row: str
    against: str
    ours: str
    theirs: str
    ratio: float
    goal: str
    met: bool
    versions: dict[str, str] = field(default_factory=dict)
    detail: str = ""


def without_peer(row: str, against: str, goal: str, why: str, ours: str = "-") -> Result:
    """Of a row whose peer could not be measured: `why`, for instance "not installed"."""
    return Result(row, against, ours, why, float("nan"), goal, met=False)


def verdict(result: Result) -> str:
    """Whether the goal is met, and if not, by how much not."""
    if result.met:
        return result.goal if result.goal.startswith("told") else f"{result.goal}: met"
    named = re.fullmatch(r"at (least|most) ([\d.,]+) x", result.goal)
    away = ""
    if named and result.ratio == result.ratio:
        wanted = float(named[2].replace(",", ""))
        part = 1 - result.ratio / wanted if named[1] == "least" else result.ratio / wanted - 1
        away = f" by {100 * part:.0f} %"
    return f"{result.goal}: NOT MET{away}"


def ratio_text(ratio: float) -> str:
    """A ratio with three figures that count, at least."""
    if ratio != ratio:
        return "-"
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def heading() -> str:
    """The names of the columns of `lines_of`."""
    return " ".join(_cell(name, name, width) for name, width in _COLUMNS) + "  goal"


def lines_of(result: Result) -> str:
    """A result as a line of the table, with its detail below."""
    shown = {**asdict(result), "ratio": ratio_text(result.ratio)}
    line = " ".join(_cell(name, shown[name], width) for name, width in _COLUMNS)
    below = "".join(f"\n    {part}" for part in result.detail.splitlines())
    return f"{line}  {verdict(result)}{below}"


def _cell(name: str, text: str, width: int) -> str:
    return f"{text:<{width}}" if name in ("row", "against") else f"{text:>{width}}"


def record(results: Iterable[Result], run: Mapping[str, Any]) -> dict[str, Any]:
    """What results.json holds: when, where and of what the run was, and its rows."""
    rows = [asdict(result) for result in results]
    for row in rows:
        row["ratio"] = None if row["ratio"] != row["ratio"] else row["ratio"]
    return {**run, "rows": rows}


def results_of(recorded: Mapping[str, Any]) -> list[Result]:
    """The rows that `record` kept."""
    rows = [dict(row) for row in recorded["rows"]]
    for row in rows:
        row["ratio"] = float("nan") if row["ratio"] is None else row["ratio"]
    return [Result(**row) for row in rows]


def markdown(recorded: Mapping[str, Any]) -> str:
    """The table for a page, from what `record` gave."""
    machine = recorded["machine"]
    lines = [
        f"Measured on {recorded['date'][:10]}: {machine['cores']} cores ({machine['cpu']}),"
        f" {machine['memory_gb']:.0f} GB, {machine['system']}, QGIS {recorded['qgis']},"
        f" Python {recorded['python']}.",
        "",
        "| row | against | ours | theirs | ratio | goal |",
        "| --- | --- | ---: | ---: | ---: | --- |",
    ]
    for result in results_of(recorded):
        cells = (
            *(result.row, result.against, result.ours, result.theirs),
            *(ratio_text(result.ratio), verdict(result)),
        )
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join(lines)
