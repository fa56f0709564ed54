"""Exports tiles with Esri's own Python client: reads a task from standard input, answers on output.

Run by .venv-esri's Python. The task: ``site``, the address of an ArcGIS site; ``service``, that of
one of its map services; ``levels`` and ``export_by``, the area as JSON text, ``formats`` (tpkx,
tpk). The answer: the estimate, and of each format the files that the client downloaded.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from arcgis.gis._impl._con import Connection
from arcgis.layers import MapImageLayer

_POLL_SECONDS = 0.2
_sleep = time.sleep


def _sleep_less(seconds: float) -> None:
    """The client asks for a job's state every five seconds: most of a test's time."""
    _sleep(min(seconds, _POLL_SECONDS))


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Do the task."""
    # ``GIS`` would speak HTTPS only; to the layer a connection is as good.
    connection = Connection(task["site"], all_ssl=False, verify_cert=False)
    layer = MapImageLayer(task["service"], gis=connection)
    asked = {
        "levels": task["levels"],
        "export_by": task["export_by"],
        "tile_package": True,
        "export_extent": "DEFAULT",
        # as text: of a dict the client sends the keys only
        "area_of_interest": task["area"],
        "asynchronous": False,
    }
    return {
        "estimate": layer.estimate_export_tiles_size(**asked),
        "files": {
            name: [str(path) for path in layer.export_tiles(**asked, storage_format=name)]
            for name in task["formats"]
        },
    }


if __name__ == "__main__":
    time.sleep = _sleep_less
    json.dump(run(json.load(sys.stdin)), sys.stdout)
