"""What the row `fetch` measures of ours, as a whole process that knows nothing of QGIS.

    python -m benchmarks.fetch_script ADDRESS TARGET LEVEL

Exports all tiles of a service at a level, one by one, into a new cache; prints a JSON object.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tile_cache_manager.plugin.core.cache import open_cache
from tile_cache_manager.plugin.core.export.request import ExportRequest, ExportWay
from tile_cache_manager.plugin.core.export.run import run_export
from tile_cache_manager.plugin.core.request import Feedback, Outcome
from tile_cache_manager.plugin.core.storage.profile import StorageFormat

from .core_jobs import NoPixels


def fetch(address: str, target: str, level: str) -> dict[str, int]:
    """How many tiles were made."""
    description = open_cache(address).describe()
    scheme, world = description.scheme, description.extent
    if world is None:
        raise SystemExit("the service has no extent")
    request = ExportRequest(
        scheme,
        (scheme.level(int(level)),),
        world,
        Path(target),
        StorageFormat.COMPACT_V2,
        way=ExportWay.ONE_BY_ONE,
    )
    report = run_export(address, request, Feedback(), pixels=NoPixels())
    if report.outcome is not Outcome.DONE:
        raise SystemExit(f"the export came to nothing: {report}")
    return {"made": report.total("made")}


if __name__ == "__main__":
    print(json.dumps(fetch(*sys.argv[1:])))
