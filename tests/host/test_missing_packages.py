"""What QGIS shows where a Python package that the plugin needs is missing or too old."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

START = """
import importlib.util, sys
name = "tile_cache_manager"
spec = importlib.util.spec_from_file_location(
    name, sys.argv[1] + "/__init__.py", submodule_search_locations=[sys.argv[1]]
)
plugin = sys.modules[name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(plugin)
{trouble}
try:
    plugin.classFactory(None)
except ImportError as error:
    print(error)
    print(error.__suppress_context__)
"""
TROUBLE = [
    ("numpy", "sys.modules['numpy'] = None"),
    ("shapely", "sys.modules['shapely'] = None"),
    ("requests", "sys.modules['requests'] = None"),
    ("certifi", "sys.modules['certifi'] = None"),  # comes with requests
    ("numpy", "import numpy.typing; del numpy.typing.NDArray"),  # before 1.21
    ("shapely", "import shapely.validation; del shapely.validation.make_valid"),  # before 1.8
]


def started(trouble: str) -> list[str]:
    answer = subprocess.run(
        [sys.executable, "-c", START.format(trouble=trouble), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.splitlines()


@pytest.mark.parametrize(("package", "trouble"), TROUBLE)
def test_a_package_that_is_missing_is_named_with_what_to_do(package: str, trouble: str) -> None:
    told, without_traceback_of_ours = started(trouble)

    assert told == (
        f"Tile Cache Manager needs the Python package {package}, which is missing or too old:"
        " install it, on Debian and Ubuntu with “sudo apt install python3-numpy python3-shapely"
        " python3-requests”, and start QGIS again."
    )
    assert without_traceback_of_ours == "True"


def test_a_fault_of_the_plugin_itself_is_not_blamed_on_a_package() -> None:
    told, suppressed = started("sys.modules[name + '.plugin.host.areas'] = None")

    assert "tile_cache_manager.plugin.host.areas" in told
    assert suppressed == "False"
