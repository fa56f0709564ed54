"""A job on a site goes on while QGIS is closed, and is followed again at its next start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from desktop.launch import Outcome, launch

pytestmark = [
    pytest.mark.qgis,
    pytest.mark.skipif(not Path("/usr/bin/qgis").exists(), reason="no QGIS window installed"),
]

BEGIN_AND_CLOSE = """
    yield from begin_update(desktop)
    yield from close_qgis(desktop)
"""
FOLLOW_AGAIN = """
    yield from follow_again(desktop)
"""


def visit(site: Any, folder: Path, name: str, steps: str, **options: Any) -> Outcome:
    script = folder / f"{name}.py"
    script.write_text(f"from desktop.job_steps import *\ndef steps(desktop):{steps}")
    told: list[str] = []
    outcome = launch(
        script,
        folder / name,
        site=site,
        screen="virtual",
        timeout_seconds=240,
        say=told.append,
        **options,
    )
    assert outcome.exit_code == 0, told
    assert not [line for line in told if "did not close" in line]
    assert "died on signal" not in outcome.output.read_text(errors="replace")
    log = outcome.messages.read_text(encoding="utf-8")
    assert "Traceback" not in log
    assert "Python " not in log
    return outcome


def test_qgis_closed_while_a_job_runs_and_started_again(fresh_site: Any, tmp_path: Path) -> None:
    visit(fresh_site, tmp_path, "first", BEGIN_AND_CLOSE)

    (job,) = fresh_site.jobs("classic")
    assert job["jobStatus"] == "esriJobExecuting"
    outcome = visit(fresh_site, tmp_path, "second", FOLLOW_AGAIN, profile=tmp_path / "first")

    assert outcome.said == [
        "told: An update on a site has not ended, and waits for you in the list of jobs.",
        "page: Jobs (1)",
        "locked: Running, Sign-In Locked",
        "followed: Running, Followed",
        f"told: Update of {fresh_site.service_url('classic', 'World')}"[:60],
    ]
    (job,) = fresh_site.jobs("classic")
    assert job["jobStatus"] == "esriJobSucceeded"
    made = fresh_site.read_cache("classic", "World")
    assert {level: len(tiles) for level, tiles in made.items() if tiles} == {0: 1, 1: 4, 2: 16}
