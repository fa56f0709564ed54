"""`tilecache:managetiles` run by qgis_process, a program of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from local_caches import RED, countries, counts_of, fill, in_project, new_cache
from processing_inputs import EUROPE, counts, scales_of
from qgis.core import QgsGeometry, QgsProject

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


def test_a_cache_on_this_computer_from_nothing_to_checked(
    qgis_process: QgisProcess, qgis_app: Any, tmp_path: Path
) -> None:
    project, layer = QgsProject(), countries()
    fill(layer, RED)
    in_project(layer, project=project)
    project_file, cache = tmp_path / "wörld.qgz", tmp_path / "my cäche"
    assert project.write(str(project_file))

    def results_of(algorithm: str, *parameters: str) -> dict[str, Any]:
        answer = qgis_process.ask(
            *("--json", "run", f"tilecache:{algorithm}", f"--PROJECT_PATH={project_file}"),
            *("--", *parameters),
        )
        assert answer.returncode == 0, answer.stderr
        return dict(json.loads(answer.stdout)["results"])

    created = results_of("createcache", f"TARGET={cache}", f"SCALES={scales_of(None, 0, 1, 2)}")
    assert (created["OUTPUT_CACHE"], created["LEVELS"]) == (str(cache), 3)
    managed = results_of(
        "managetiles", f"INPUT_SERVICE={cache}", "UPDATE_EXTENT=-170,-10,5,80 [EPSG:4326]"
    )
    # The north-west quarter of the world.
    assert counts_of(cache) == {0: 1, 1: 1, 2: 4}
    assert (managed["TILES"], managed["MADE"], managed["FAILED"]) == (6, 6, 0)
    assert managed["OUTPUT_URL"] == str(cache)
    verified = results_of("verifycache", f"INPUT_CACHE={cache}")
    assert (verified["TILES"], verified["FAULTS"]) == (6, 0)
    deleted = results_of("managetiles", f"INPUT_SERVICE={cache}", "UPDATE_MODE=DELETE_TILES")
    assert deleted["DELETED"] == 6
    assert counts_of(cache) == {}


def test_without_a_project_there_is_nothing_to_draw(
    qgis_process: QgisProcess, tmp_path: Path
) -> None:
    cache = new_cache(tmp_path / "World", finest=1)

    answer = qgis_process.ask("run", "tilecache:managetiles", "--", f"INPUT_SERVICE={cache}")

    assert answer.returncode != 0
    assert "--PROJECT_PATH" in answer.stdout + answer.stderr
    assert counts_of(cache) == {}
