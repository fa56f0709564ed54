"""The arrows between the rooms point the right way, and no file grows too long."""

from __future__ import annotations

from pathlib import Path

import pytest
from imports import plugin_files, wrong_arrows

ROOT = Path(__file__).resolve().parents[1]
LONGEST_FILE_LINES = 400


def test_every_import_follows_the_arrows() -> None:
    assert wrong_arrows(ROOT) == []


@pytest.mark.parametrize(
    "file", plugin_files(ROOT), ids=lambda file: file.relative_to(ROOT).as_posix()
)
def test_files_stay_short(file: Path) -> None:
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_FILE_LINES, f"{lines} lines: cut the file by what its parts do"


# file, the one line in it, the start of what the reader must say about it (None: nothing)
ARROW_CASES = [
    ("plugin/core/tiling.py", "import math", None),
    ("plugin/core/tiling.py", "import numpy.linalg", None),
    ("plugin/core/tiling.py", "from .errors import TileCacheError", None),
    ("plugin/core/arcgis/client.py", "from ..errors import TileCacheError", None),
    ("plugin/core/arcgis/client.py", "import requests", None),
    ("plugin/core/local/produce.py", "from concurrent.futures import Future", None),
    ("plugin/host/tasks.py", "from ..core.cache import open_cache", None),
    ("plugin/host/tasks.py", "from .. import core", None),
    ("plugin/host/tasks.py", "from qgis.core import QgsTask", None),
    ("plugin/host/settings.py", "from qgis.core import QgsSettings", None),
    ("plugin/processing/manage.py", "from ..host import geometry", None),
    ("plugin/registration.py", "from ..ui.update_dialog import UpdateDialog", None),
    ("plugin/registration.py", "from .processing.provider import Provider", None),
    ("ui/update_dialog.py", "from ..plugin.host import tasks", None),
    ("ui/update_dialog.py", "from ..plugin.core.request import UpdateMode", None),
    ("ui/update_dialog.py", "from qgis.PyQt.QtWidgets import QDialog", None),
    ("__init__.py", "from .plugin.registration import TileCacheManagerPlugin", None),
    ("plugin/core/tiling.py", "import qgis.core", "core must not import qgis.core"),
    ("plugin/core/tiling.py", "from osgeo import gdal", "core must not import osgeo.gdal"),
    ("plugin/core/tiling.py", "from qgis.PyQt.QtCore import Qt", "core must not import qgis"),
    ("plugin/core/tiling.py", "import pandas", "core must not import pandas"),
    ("plugin/core/tiling.py", "import requests", "only core/arcgis speaks HTTP"),
    ("plugin/core/storage/mbtiles.py", "import urllib.request", "only core/arcgis speaks HTTP"),
    (
        "plugin/core/storage/mbtiles.py",
        "from urllib import request",
        "only core/arcgis speaks HTTP",
    ),
    ("plugin/core/tiling.py", "from ..host import geometry", "core must not import host"),
    ("plugin/core/export/run.py", "from ..arcgis import client", None),
    (
        "plugin/core/arcgis/client.py",
        "from ..export import matching",
        "plugin/core/arcgis must not import plugin/core/export",
    ),
    (
        "plugin/core/storage/store.py",
        "from ..local.source import Cancelled",
        "plugin/core/storage must not import plugin/core/local",
    ),
    ("plugin/core/arcgis/client.py", "from ...host import tasks", "core must not import host"),
    ("plugin/core/tiling.py", "from ...ui import update_dialog", "core must not import ui"),
    ("plugin/core/tiling.py", "from .. import processing", "core must not import processing"),
    ("plugin/host/tasks.py", "from ...ui.update_dialog import X", "host must not import ui"),
    ("plugin/host/tasks.py", "from ..processing import provider", "host must not import process"),
    ("plugin/host/tasks.py", "from ..registration import X", "host must not import registration"),
    ("plugin/host/tasks.py", "from qgis.gui import QgsMapTool", "widgets belong to ui"),
    ("plugin/host/geometry.py", "import requests", "only core/arcgis speaks HTTP"),
    ("plugin/host/geometry.py", "from qgis.core import QgsSettings", "only host/settings knows"),
    ("plugin/processing/manage.py", "from ...ui import form", "processing must not import ui"),
    ("plugin/processing/manage.py", "from qgis._core import QgsTask", "qgis._core.QgsTask must be"),
    ("ui/form.py", "from ..plugin.processing import provider", "ui must not import processing"),
    ("ui/form.py", "from ..plugin import registration", "ui must not import registration"),
    ("ui/form.py", "from PyQt5.QtWidgets import QDialog", "PyQt5.QtWidgets.QDialog must be"),
    ("ui/form.py", "import PyQt6", "PyQt6 must be imported nowhere"),
    ("ui/form.py", "import threading", "only core, host/tasks and host/rendering know threads"),
    ("ui/form.py", "from plugin.core import tiling", "plugin.core.tiling: imports between"),
    (
        "ui/form.py",
        "import tile_cache_manager.ui",
        "tile_cache_manager.ui must be imported nowhere",
    ),
    ("plugin/registration.py", "from .core import cache", "registration must not import core"),
]


@pytest.mark.parametrize(("file", "line", "complaint"), ARROW_CASES)
def test_the_reader_of_arrows(tmp_path: Path, file: str, line: str, complaint: str | None) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    # Inside a function: a late import is an import all the same.
    path.write_text(f"def late() -> None:\n    {line}\n", encoding="utf-8")

    found = wrong_arrows(tmp_path)

    if complaint is None:
        assert found == []
    else:
        assert len(found) == 1
        assert found[0].startswith(f"{file}:2: {complaint}")
