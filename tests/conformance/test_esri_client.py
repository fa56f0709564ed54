"""Esri's own Python client and the stand-in site: the same tiles as the service gives one by one.

And the plugin's own export of the same area and scales: the same tiles as Esri's client gets.
"""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from arcgis_server import bundles_v1
from arcgis_server.coverage import tiles_of
from arcgis_server.profiles import site as profile
from exported_tiles import Tile, served, tiles_of_tpkx
from shapely.geometry import Polygon

from tile_cache_manager.plugin.core.cache import open_cache
from tile_cache_manager.plugin.core.export.request import ExportRequest, ExportWay
from tile_cache_manager.plugin.core.export.run import run_export
from tile_cache_manager.plugin.core.request import Feedback, Outcome
from tile_cache_manager.plugin.core.storage.profile import StorageFormat

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-esri/bin/python"
ABSENT = ROOT / ".venv-esri/.absent"  # tools/setup.sh says here why there is no client
SCRIPT = ROOT / "tests/esri_client_script.py"
SECONDS = 60
FORMATS = ("tpkx", "tpk")
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


@dataclass(frozen=True)
class EsriExport:
    """What Esri's client estimated, and the tiles of each package that it downloaded."""

    estimate: dict[str, int]
    tiles: dict[str, dict[Tile, bytes]]


@pytest.fixture(scope="module")
def esri(
    site: Any, esri_python: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EsriExport]:
    """The area and scales of Streets, as Esri's client estimates and exports them."""
    site.reset("classic")
    folder = tmp_path_factory.mktemp("esri")
    feature = {"geometry": {"rings": rings(), "spatialReference": {"wkid": 102100}}}
    task = {
        "site": site.site_url("classic"),
        "service": site.service_url("classic", "Streets"),
        "levels": ",".join(f"{scale:.6f}" for scale in scales()),
        "export_by": "Scale",
        "area": json.dumps({"features": [feature]}),
        "formats": FORMATS,
    }
    done = subprocess.run(
        [esri_python, str(SCRIPT)],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        # it downloads into the temporary folder
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    tiles = {}
    for name, (file,) in answer["files"].items():
        assert Path(file).suffix == f".{name}"
        tiles[name] = tiles_of_package(Path(file), folder / name)
    yield EsriExport(answer["estimate"], tiles)
    site.reset("classic")


def tiles_of_package(path: Path, folder: Path) -> dict[Tile, bytes]:
    if path.suffix == ".tpkx":
        return tiles_of_tpkx(path, folder)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    found = bundles_v1.read_tiles(folder / "v101/Layers")
    return {(level, row, col): data for level, row, col, data in found}


@pytest.mark.parametrize("name", FORMATS)
def test_esris_client_gets_the_tiles_that_the_service_gives(
    site: Any, esri: EsriExport, name: str
) -> None:
    expected = brute_force()
    assert esri.estimate["totalTilesToExport"] == len(expected)
    assert set(esri.tiles[name]) == expected
    assert esri.tiles[name] == {tile: served(site, "Streets", tile) for tile in expected}


@pytest.mark.parametrize("parts", [1, 3])
def test_the_plugin_exports_the_same_tiles(
    site: Any, esri: EsriExport, tmp_path: Path, parts: int
) -> None:
    limit = max(1, len(esri.tiles["tpkx"]) // parts)
    site.set_export_limit("classic", "Streets:MapServer", limit)
    address = site.service_url("classic", "Streets")
    scheme = open_cache(address).describe().scheme
    levels = tuple(level for level in scheme.levels if level.id in LEVELS)
    target = tmp_path / "ours.tpkx"
    before = len(site.submissions("classic"))

    report = run_export(
        address,
        ExportRequest(scheme, levels, AREA, target, StorageFormat.TPKX),
        Feedback(),
        pixels=NoPixels(),
    )

    made = [job["task"] for job in site.submissions("classic")[before:]]
    assert (report.outcome, report.ways) == (Outcome.DONE, (ExportWay.EXPORT_TILES,))
    assert made.count("exportTiles") >= parts
    assert tiles_of_package(target, tmp_path / "unpacked") == esri.tiles["tpkx"]


class NoPixels:
    """For exports in which no picture is looked into."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} of a picture was asked for")
