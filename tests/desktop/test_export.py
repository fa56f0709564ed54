"""Exports in the real QGIS window: from a layer's menu to the file, and QGIS closed on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from desktop.launch import Outcome, launch
from exported_tiles import expected_tiles, served, tiles_of_tpkx

from tile_cache_manager.plugin.core.storage.sidecar import work_folder

pytestmark = [
    pytest.mark.qgis,
    pytest.mark.skipif(not Path("/usr/bin/qgis").exists(), reason="no QGIS window installed"),
]

BOUNDS = (310_000.0, 6_560_000.0, 460_000.0, 6_650_000.0)  # around Ghent
FILL_IN = """
    from desktop.export_steps import *
    dialog = yield from open_for_layer(desktop)
    yield from fill_in(desktop, dialog, {first}, {last}, {extent!r}, {target!r})
    yield from start(desktop, dialog)
"""
TO_THE_END = "    yield from wait_for_end(desktop, dialog)\n"
CLOSED = """
    yield desktop.until(lambda: got(desktop.site) >= 2, 30, "two packages")
    yield from close_qgis(desktop)
"""


def visit(site: Any, folder: Path, name: str, target: Path, end: str, levels: range) -> Outcome:
    """Export from a window of its own, to the end or until QGIS is closed."""
    xmin, ymin, xmax, ymax = BOUNDS
    steps = FILL_IN.format(
        first=levels[0],
        last=levels[-1],
        extent=f"{xmin},{xmax},{ymin},{ymax} [EPSG:3857]",
        target=str(target),
    )
    script = folder / f"{name}.py"
    lines = steps.replace("    from desktop.export_steps import *\n", "")
    script.write_text(f"from desktop.export_steps import *\ndef steps(desktop):{lines}{end}")
    told: list[str] = []
    outcome = launch(
        script, folder / name, site=site, screen="virtual", timeout_seconds=180, say=told.append
    )
    assert outcome.exit_code == 0, told
    assert not [line for line in told if "did not close" in line]
    assert "died on signal" not in outcome.output.read_text(errors="replace")
    log = outcome.messages.read_text(encoding="utf-8")
    assert "Traceback" not in log
    assert "Python " not in log
    return outcome


def check(site: Any, target: Path, folder: Path, levels: range) -> None:
    tiles = tiles_of_tpkx(target, folder)
    assert set(tiles) == expected_tiles(BOUNDS, *levels)
    assert all(content == served(site, "Streets", tile) for tile, content in tiles.items())
    assert {each.name for each in target.parent.iterdir()} == {
        target.name,
        work_folder(target).name,
    }


def test_from_the_menu_of_a_layer_to_the_package(fresh_site: Any, tmp_path: Path) -> None:
    target = tmp_path / "out" / "Gent.tpkx"
    target.parent.mkdir()
    levels = range(8, 12)

    outcome = visit(fresh_site, tmp_path, "window", target, TO_THE_END, levels)

    said = dict(text.split(": ", 1) for text in outcome.said)
    assert said["address"] == fresh_site.service_url("classic", "Streets")
    assert "20 cached scales" in said["loaded"]
    planned = len(expected_tiles(BOUNDS, *levels))
    assert f"{planned} tiles" in said["count"]
    assert f"{planned} tiles" in said["end"]
    check(fresh_site, target, tmp_path / "tiles", levels)


def test_qgis_closed_on_the_way_and_the_export_gone_on_with(
    fresh_site: Any, tmp_path: Path
) -> None:
    target = tmp_path / "out" / "Gent.tpkx"
    target.parent.mkdir()
    levels = range(8, 13)
    fresh_site.set_export_limit("classic", "Streets:MapServer", 40)
    fresh_site.set_speed("classic", 40)

    visit(fresh_site, tmp_path, "first", target, CLOSED, levels)

    assert not target.exists()
    first = packages(fresh_site)
    fresh_site.set_speed("classic", None)
    outcome = visit(fresh_site, tmp_path, "second", target, TO_THE_END, levels)
    assert f"{len(expected_tiles(BOUNDS, *levels))} tiles" in outcome.said[-1]
    check(fresh_site, target, tmp_path / "tiles", levels)
    done = {form for form, status in first if status == "esriJobSucceeded"}
    assert len(done) >= 2
    again = [form for form, _status in packages(fresh_site)[len(first) :]]
    assert again
    assert not done & set(again)


def packages(site: Any) -> list[tuple[str, str]]:
    """What each package that was asked for should hold, and what became of the job."""
    status = {job["jobId"]: job["jobStatus"] for job in site.jobs("classic")}
    return [
        (each["form"]["areaOfInterest"] + each["form"]["levels"], status[each["jobId"]])
        for each in site.submissions("classic")
        if each.get("task") == "exportTiles"
    ]
