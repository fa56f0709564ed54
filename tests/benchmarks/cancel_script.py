"""What the row `cancel` measures in a process of its own, which prints a JSON list.

python cancel_script.py FOLDER PROJECT TIMES    updates of a new cache, drawn from a project
python cancel_script.py FOLDER - TIMES          exports of the cache that the last of them filled

Each is a task of QGIS's, cancelled on the main thread at a random moment (told as the part of it
that was done), and timed until it tells its report. The same moments each time.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plugin_package
from qgis.core import QgsApplication, QgsProject

SEED = 6
FINEST = 7
LIMIT_SECONDS = 120
PERCENT = 0.0, 95.0
"""Between which the moments lie."""

plugin_package.load()

from tile_cache_manager.plugin.core.cache import open_cache  # noqa: E402
from tile_cache_manager.plugin.core.export.request import ExportRequest  # noqa: E402
from tile_cache_manager.plugin.core.request import Outcome, UpdateMode  # noqa: E402
from tile_cache_manager.plugin.core.schemes import area_of, web_mercator  # noqa: E402
from tile_cache_manager.plugin.core.storage.creation import create_cache  # noqa: E402
from tile_cache_manager.plugin.core.storage.profile import (  # noqa: E402
    CacheProfile,
    StorageFormat,
)
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings  # noqa: E402
from tile_cache_manager.plugin.host import tasks  # noqa: E402
from tile_cache_manager.plugin.host.export_tasks import ExportTask  # noqa: E402
from tile_cache_manager.plugin.host.sources import make_source  # noqa: E402


def main() -> None:
    folder, project, times = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    QgsApplication.setPrefixPath("/usr", True)
    application = QgsApplication([], False)
    application.initQgis()
    draw = random.Random(SEED)
    moments = [draw.uniform(*PERCENT) for _ in range(times)]
    cache = folder / "cache"
    try:
        if project == "-":
            found = [stopped(lambda: export_of(cache), percent) for percent in moments]
        else:
            QgsProject.instance().read(project)
            found = [stopped(lambda: update_of(cache), percent) for percent in moments]
            stopped(lambda: update_of(cache, anew=False), None)  # all of it, for the exports
            QgsProject.instance().clear()
    finally:
        application.processEvents()
        application.exitQgis()
    print(json.dumps(found))


def stopped(made: Callable[[], Any], percent: float | None) -> dict[str, float]:
    """Start a task, cancel it once `percent` of it are done, and give what stopping it took.

    None: not cancelled.
    """
    task, reports, failures, kept = made(), [], [], []
    task.reported.connect(reports.append)
    task.failed.connect(failures.append)
    start = time.monotonic()
    tasks.start(task, kept)
    cancelled = None
    while not (reports or failures):
        QgsApplication.processEvents()
        if percent is not None and cancelled is None and task.progress() >= percent:
            cancelled = time.monotonic()
            task.cancel()
        if time.monotonic() - start > LIMIT_SECONDS:
            raise SystemExit("a task that does not come to its end")
        time.sleep(0.001)
    end = time.monotonic()
    if failures:
        raise SystemExit(f"a task failed: {failures[0]!r}")
    wanted = Outcome.DONE if percent is None else Outcome.CANCELLED
    if reports[0].outcome is not wanted:
        raise SystemExit(f"a task ended otherwise, cancelled at {percent} %: {reports[0]}")
    while kept:
        QgsApplication.processEvents()
    began = end if cancelled is None else cancelled
    return {"percent": percent or 100, "after": began - start, "seconds": end - began}


def update_of(cache: Path, *, anew: bool = True) -> tasks.UpdateTask:
    """A task that fills a cache with the world as the project draws it."""
    if anew:
        shutil.rmtree(cache, ignore_errors=True)
        profile = CacheProfile(web_mercator(finest=FINEST), StorageFormat.COMPACT_V2, "PNG")
        create_cache(cache, profile, CacheSettings(""))
    description = open_cache(str(cache)).describe()
    return tasks.UpdateTask(
        "Update",
        str(cache),
        credentials=None,
        transport=None,
        description=description,
        levels=description.cached_levels,
        mode=UpdateMode.RECREATE_EMPTY,
        area=None,
        source=make_source("", QgsProject.instance(), CacheSettings("")),
    )


def export_of(cache: Path) -> ExportTask:
    """A task that copies all tiles of a cache into MBTiles."""
    target = cache.with_name("exported.mbtiles")
    for file in cache.parent.glob("exported.mbtiles*"):
        shutil.rmtree(file) if file.is_dir() else file.unlink()
    scheme = open_cache(str(cache)).describe().scheme
    area = area_of(scheme)
    request = ExportRequest(scheme, scheme.levels, area, target, StorageFormat.MBTILES)
    return ExportTask("Export", str(cache), request=request)


if __name__ == "__main__":
    main()
