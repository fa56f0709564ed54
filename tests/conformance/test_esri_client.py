"""Esri's own Python client and the stand-in site: the same tiles as the service gives one by one.

And the plugin's own export of the same area and scales: the same tiles as Esri's client gets.
"""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from arcgis_server import bundles_v1
from arcgis_server.coverage import tiles_of
from arcgis_server.profiles import site as profile
from exported_tiles import Tile, served, tiles_of_tpkx
from shapely.geometry import Polygon

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-esri/bin/python"
ABSENT = ROOT / ".venv-esri/.absent"  # tools/setup.sh says here why there is no client
SCRIPT = ROOT / "tests/esri_client_script.py"
SECONDS = 60
LEVELS = range(4, 16)
AREA = Polygon(
    [(820e3, 5.920e6), (822e3, 5.935e6), (838e3, 5.933e6), (832e3, 5.921e6)],
    [[(826e3, 5.925e6), (829e3, 5.925e6), (829e3, 5.929e6), (826e3, 5.929e6)]],
)


@pytest.fixture(scope="module")
def esri_python() -> str:
    """The Python that has Esri's client."""
    if ABSENT.exists():
        reason = ABSENT.read_text().strip()
        if os.environ.get("CI") and "needs Python" not in reason:
            pytest.fail(f"no Esri client: {reason}")
        pytest.skip(f"no Esri client: {reason}")
    assert PYTHON.exists(), "make setup installs Esri's client into .venv-esri"
    return str(PYTHON)


def scales() -> list[float]:
    scheme = next(s for s in profile("classic").services if s.name == "Streets").scheme
    assert scheme is not None
    return [lod.scale for lod in scheme.lods if lod.level in LEVELS]


def brute_force() -> set[Tile]:
    """The tiles of the levels that the area touches, each tried with shapely."""
    service = next(s for s in profile("classic").services if s.name == "Streets")
    assert service.scheme is not None
    return {
        (lod.level, *tile)
        for lod in service.scheme.lods
        if lod.level in LEVELS
        for tile in tiles_of(service, lod, AREA)
    }


def rings() -> list[Any]:
    return [list(ring.coords) for ring in (AREA.exterior, *AREA.interiors)]


def esri_exports(site: Any, python: str, folder: Path, *formats: str) -> Any:
    """Let Esri's client estimate the export of the area and scales of Streets, and export it."""
    feature = {"geometry": {"rings": rings(), "spatialReference": {"wkid": 102100}}}
    task = {
        "site": site.site_url("classic"),
        "service": site.service_url("classic", "Streets"),
        "levels": ",".join(f"{scale:.6f}" for scale in scales()),
        "export_by": "Scale",
        "area": json.dumps({"features": [feature]}),
        "formats": formats,
    }
    folder.mkdir()
    done = subprocess.run(
        [python, str(SCRIPT)],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        # it downloads into the temporary folder
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def tiles_of_package(path: Path, folder: Path) -> dict[Tile, bytes]:
    if path.suffix == ".tpkx":
        return tiles_of_tpkx(path, folder)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    found = bundles_v1.read_tiles(folder / "v101/Layers")
    return {(level, row, col): data for level, row, col, data in found}


def test_esris_client_gets_the_tiles_that_the_service_gives(
    fresh_site: Any, esri_python: str, tmp_path: Path
) -> None:
    answer = esri_exports(fresh_site, esri_python, tmp_path / "esri", "tpkx", "tpk")
    expected = brute_force()
    assert answer["estimate"]["totalTilesToExport"] == len(expected)
    assert list(answer["files"]) == ["tpkx", "tpk"]
    for name, (file,) in answer["files"].items():
        assert Path(file).suffix == f".{name}"
        tiles = tiles_of_package(Path(file), tmp_path / name)
        assert set(tiles) == expected
        assert tiles == {tile: served(fresh_site, "Streets", tile) for tile in tiles}


def test_the_plugin_exports_the_same_tiles(
    fresh_site: Any, esri_python: str, tmp_path: Path
) -> None:
    from tile_cache_manager.plugin.core.cache import open_cache
    from tile_cache_manager.plugin.core.export.request import ExportRequest, ExportWay
    from tile_cache_manager.plugin.core.export.run import run_export
    from tile_cache_manager.plugin.core.request import Feedback, Outcome
    from tile_cache_manager.plugin.core.storage.profile import StorageFormat

    answer = esri_exports(fresh_site, esri_python, tmp_path / "esri", "tpkx")
    theirs = tiles_of_package(Path(answer["files"]["tpkx"][0]), tmp_path / "theirs")
    fresh_site.set_export_limit("classic", "Streets:MapServer", len(theirs) // 3)
    address = fresh_site.service_url("classic", "Streets")
    scheme = open_cache(address).describe().scheme
    levels = tuple(level for level in scheme.levels if level.id in LEVELS)
    target = tmp_path / "ours.tpkx"

    report = run_export(
        address,
        ExportRequest(scheme, levels, AREA, target, StorageFormat.TPKX),
        Feedback(),
        pixels=NoPixels(),
    )

    assert (report.outcome, report.ways) == (Outcome.DONE, (ExportWay.EXPORT_TILES,))
    assert report.jobs > 3  # an estimate, and at least three parts
    assert tiles_of_package(target, tmp_path / "unpacked") == theirs


class NoPixels:
    """For exports in which no picture is looked into."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} of a picture was asked for")
