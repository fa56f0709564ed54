"""`tilecache:managetiles` run by qgis_process, a program of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from processing_inputs import EUROPE, counts
from qgis.core import (
    QgsGeometry,
)

pytestmark = pytest.mark.qgis

ROOT = Path(__file__).resolve().parents[2]


class QgisProcess:
    """qgis_process with the plugin, in a profile of its own."""

    def __init__(self, folder: Path) -> None:
        (folder / "plugins").mkdir()
        (folder / "plugins" / "tile_cache_manager").symlink_to(ROOT)
        # A person's own environment may set these; qgis_process must not see the test's.
        hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
        self._environment = {
            **{name: value for name, value in os.environ.items() if name not in hidden},
            "PATH": "/usr/bin:/bin",
            "QGIS_PLUGINPATH": str(folder / "plugins"),
            "QGIS_CUSTOM_CONFIG_PATH": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "QT_QPA_PLATFORM": "offscreen",
        }
        self.ask("plugins", "enable", "tile_cache_manager")

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/usr/bin/qgis_process.bin", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def qgis_process(tmp_path_factory: pytest.TempPathFactory) -> QgisProcess:
    if not Path("/usr/bin/qgis_process.bin").exists():
        pytest.skip("qgis_process is not installed here")
    return QgisProcess(tmp_path_factory.mktemp("qgis_process"))


def test_qgis_process_takes_keywords_as_arcgis_users_know_them(
    qgis_process: QgisProcess, fresh_site: Any, tmp_path: Path
) -> None:
    area = tmp_path / "area.geojson"
    geometry = json.loads(QgsGeometry.fromWkt(EUROPE).asJson())
    area.write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": geometry}))
    service = fresh_site.service_url("gaps", "World")

    answer = qgis_process.ask(
        *("--json", "run", "tilecache:managetiles"),
        *("--", f"INPUT_SERVICE={service}", "UPDATE_MODE=RECREATE_ALL_TILES"),
        *(f"AREA_OF_INTEREST={area}", "WAIT=WAIT"),
    )

    assert answer.returncode == 0, answer.stderr
    results = json.loads(answer.stdout)["results"]
    made = sum(counts(fresh_site, "gaps").values())
    assert results["TILES"] == made > 0
    assert results["JOB_ID"] == fresh_site.jobs("gaps")[0]["jobId"]
    assert results["OUTPUT_URL"].endswith("/World/MapServer")


def test_qgis_process_fails_with_the_sentence(qgis_process: QgisProcess, fresh_site: Any) -> None:
    service = fresh_site.service_url("classic", "Dynamic")

    answer = qgis_process.ask("run", "tilecache:managetiles", "--", f"INPUT_SERVICE={service}")

    assert answer.returncode != 0
    assert "Dynamic has no tile cache" in answer.stdout + answer.stderr


@pytest.mark.parametrize("extent", ["0,0,0,0 [EPSG:3857]", "no such layer"])
def test_qgis_process_refuses_an_extent_that_comes_to_nothing(
    qgis_process: QgisProcess, fresh_site: Any, extent: str
) -> None:
    service = fresh_site.service_url("gaps", "World")

    answer = qgis_process.ask(
        *("run", "tilecache:managetiles", "--", f"INPUT_SERVICE={service}"),
        *("UPDATE_MODE=DELETE_TILES", f"UPDATE_EXTENT={extent}"),
    )

    assert answer.returncode != 0
    assert fresh_site.jobs("gaps") == []


def test_qgis_process_takes_numbers_alone_in_the_services_crs(
    qgis_process: QgisProcess, fresh_site: Any
) -> None:
    service = fresh_site.service_url("gaps", "World")

    answer = qgis_process.ask(
        *("run", "tilecache:managetiles", "--", f"INPUT_SERVICE={service}"),
        "UPDATE_EXTENT=100,100.05,45,45.05",
    )

    assert answer.returncode == 0, answer.stderr
    tiles = fresh_site.read_cache("gaps", "World")
    # Level 8 has tiles of 512 pixels of 0.0109986627 degrees, from -400 east and 400 north on.
    assert set(tiles[8]) == {(63, 88)}
    assert set(counts(fresh_site, "gaps").values()) == {1}
