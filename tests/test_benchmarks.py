"""The frame of `make bench`: the table, what is kept of a run, medians, goals. Nothing is timed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from benchmarks import __main__ as bench
from benchmarks import measure
from benchmarks.results import (
    Result,
    heading,
    lines_of,
    markdown,
    record,
    results_of,
    verdict,
    without_peer,
)

RUN = {
    "date": "2026-11-20T19:30:00+00:00",
    "machine": {"cores": 2, "cpu": "Some CPU", "memory_gb": 16.4, "system": "Debian 12"},
    "commit": "0123456789ab",
    "qgis": "3.22.16",
    "python": "3.11.2",
}


def result(ratio: float, goal: str, met: bool) -> Result:
    return Result(
        row="write ready tiles",
        against="MapProxy export",
        ours="40,000 /s",
        theirs="2,000 /s",
        ratio=ratio,
        goal=goal,
        met=met,
        versions={"MapProxy": "7.0.0"},
        detail="ours: 3 runs\ntheirs: 3 runs",
    )


# ratio, goal, met; what is said of it
VERDICTS = [
    (25.0, "at least 20 x", True, "at least 20 x: met"),
    (15.0, "at least 20 x", False, "at least 20 x: NOT MET by 25 %"),
    (500.0, "at least 1,000 x", False, "at least 1,000 x: NOT MET by 50 %"),
    (1.32, "at most 1.1 x", False, "at most 1.1 x: NOT MET by 20 %"),
    (1.4, "under 1 s", False, "under 1 s: NOT MET"),
    (float("nan"), "at least 20 x", False, "at least 20 x: NOT MET"),
    (3.0, "told", True, "told"),
]


@pytest.mark.parametrize(("ratio", "goal", "met", "said"), VERDICTS)
def test_a_goal_that_is_not_met_says_by_how_much(
    ratio: float, goal: str, met: bool, said: str
) -> None:
    assert verdict(result(ratio, goal, met)) == said


def test_a_line_has_both_figures_under_their_headings_and_the_detail_below() -> None:
    line, *detail = lines_of(result(20.5, "at least 20 x", True)).splitlines()

    assert line.split("  ")[0] == "write ready tiles"
    for column, figure in (("ours", "40,000 /s"), ("theirs", "2,000 /s"), ("ratio", "20.5")):
        end = heading().index(f" {column} ") + len(column) + 1
        assert line[:end].endswith(f" {figure}")
    assert line.endswith("at least 20 x: met")
    assert detail == ["    ours: 3 runs", "    theirs: 3 runs"]


def test_what_is_kept_of_a_run_is_plain_json_and_comes_back() -> None:
    kept = [
        result(20.5, "at least 20 x", True),
        without_peer("a row", "a peer", "told", "not installed"),
    ]

    text = json.dumps(record(kept, RUN), allow_nan=False)
    read = json.loads(text)

    assert read["machine"]["cores"] == 2
    assert read["commit"] == "0123456789ab"
    keys = {"row", "against", "ours", "theirs", "ratio", "goal", "met", "versions", "detail"}
    assert all(set(row) == keys for row in read["rows"])
    assert results_of(read)[0] == kept[0]
    assert read["rows"][1]["ratio"] is None
    assert not read["rows"][1]["met"]


def test_the_table_for_a_page() -> None:
    text = markdown(record([result(12.3, "at least 20 x", False)], RUN))

    said, _, heads, rule, row = text.splitlines()
    assert "2026-11-20" in said
    assert "2 cores (Some CPU)" in said
    assert "QGIS 3.22.16" in said
    assert heads.count("|") == rule.count("|") == row.count("|") == 7
    assert row == (
        "| write ready tiles | MapProxy export | 40,000 /s | 2,000 /s | 12.3"
        " | at least 20 x: NOT MET by 38 % |"
    )


def test_sides_take_turns() -> None:
    order: list[str] = []

    def side(name: str, figures: list[float]) -> measure.Side:
        def run() -> float:
            order.append(name)
            return figures.pop(0)

        return run

    took = measure.alternate(side("ours", [1, 5, 2]), side("theirs", [10, 30, 20]))

    assert order == ["ours", "theirs"] * 3
    assert took == ([1, 5, 2], [10, 30, 20])
    assert [measure.median(each) for each in took] == [2, 20]


# seconds of ours, count; seconds of theirs, count; goal; ratio of the medians' rates, met
RATES = [
    ([1.0, 9.0, 2.0], 1000, [40.0, 41.0, 39.0], 1000, 20, 20.0, True),
    ([1.0, 9.0, 2.0], 1000, [40.0, 41.0, 39.0], 1000, 21, 20.0, False),
    ([1.0], 1_000_000, [2.0], 1000, 1000, 2000.0, True),
]


@pytest.mark.parametrize(("ours", "ours_n", "theirs", "theirs_n", "goal", "ratio", "met"), RATES)
def test_rates_are_compared_by_medians(
    ours: list[float],
    ours_n: int,
    theirs: list[float],
    theirs_n: int,
    goal: float,
    ratio: float,
    met: bool,
) -> None:
    mine, others = measure.Trials(ours, ours_n), measure.Trials(theirs, theirs_n)

    compared = measure.compare_rates("a row", "a peer", mine, others, goal, {})

    assert compared.ratio == pytest.approx(ratio)
    assert compared.met is met
    assert compared.goal == f"at least {goal:,} x"
    assert f"ours: {ours_n:,} tiles in {measure.median(ours):.3g} s" in compared.detail


def test_a_whole_process_is_measured(tmp_path: Path) -> None:
    code = "import os; x = bytearray(200 << 20); print(os.environ['SAID'], os.getcwd())"

    timed = measure.run_timed([sys.executable, "-c", code], {"SAID": "here"}, tmp_path)

    assert timed.output.split() == ["here", str(tmp_path)]
    assert 200 <= timed.peak_megabytes < 300
    assert timed.cpu_seconds > 0
    assert timed.seconds > 0


@pytest.mark.parametrize("code", ["raise SystemExit('no such map')", "import time; time.sleep(60)"])
def test_a_process_that_fails_or_hangs_is_not_measured(code: str) -> None:
    with pytest.raises(measure.NotMeasured, match=r"no such map|too long"):
        measure.run_timed([sys.executable, "-c", code], timeout=1.0)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, bench.Row]:
    """Rows of the bench that a test makes up, and a place for what it writes."""
    made: dict[str, bench.Row] = {}
    monkeypatch.setattr(bench, "ROWS", made)
    monkeypatch.setattr(bench, "FOLDER", tmp_path / "bench")
    monkeypatch.setattr(bench, "RECORD", tmp_path / "bench" / "results.json")
    return made


class MadeUp(bench.Row):
    def __init__(self, outcome: list[Result] | Exception, by_name: bool = False) -> None:
        super().__init__("none", by_name=by_name)
        object.__setattr__(self, "outcome", outcome)

    def load(self):
        def give() -> list[Result]:
            if isinstance(self.outcome, Exception):
                raise self.outcome
            return self.outcome

        return give


def test_goals_that_are_not_met_are_told_and_are_no_failure(
    rows: dict[str, bench.Row], capsys: pytest.CaptureFixture[str]
) -> None:
    rows["slow"] = MadeUp([result(15, "at least 20 x", False)])
    rows["long"] = MadeUp(AssertionError("only when named"), by_name=True)

    assert bench.main([]) == 0

    said = capsys.readouterr().out
    assert said.count("NOT MET by 25 %") == 2
    assert "1 goals not met" in said
    assert len(json.loads(bench.RECORD.read_text())["rows"]) == 1
    assert bench.main(["--markdown"]) == 0
    assert "| write ready tiles | MapProxy export |" in capsys.readouterr().out


def test_a_row_that_fails_lets_the_others_run_and_is_told(
    rows: dict[str, bench.Row], capsys: pytest.CaptureFixture[str]
) -> None:
    rows["broken"] = MadeUp(measure.NotMeasured("ours ended with 1"))
    rows["absent"] = bench.Row("no_such_module")
    rows["fine"] = MadeUp([result(25, "at least 20 x", True)])

    assert bench.main([]) == 1

    said = capsys.readouterr().out
    assert "could not be measured: broken, absent" in said
    assert [row["met"] for row in json.loads(bench.RECORD.read_text())["rows"]] == [True]
    assert bench.main(["fine"]) == 0


def test_an_unknown_row_is_refused(rows: dict[str, bench.Row]) -> None:
    rows["fine"] = MadeUp([])

    with pytest.raises(SystemExit):
        bench.main(["fien"])
