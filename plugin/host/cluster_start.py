"""What is sent to a worker of a cluster as it stands here, and runs before the plugin is there.

Nothing but the standard library, and all imports within the functions: they travel by value.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

MARK = "mark"
PACKED = "plugin.zip"


def by_value(function: Any) -> Any:
    """A copy of `function`, one of this file, that Dask sends as such and not by its name.

    As it does with functions of a script: where they would have to be imported from is not there.
    """
    copy = FunctionType(function.__code__, {}, function.__name__)
    copy.__module__ = "__main__"
    return copy


def in_worker(folder: str, mark: str, digest: str, job: str, text: str) -> str:
    """Have `job` of `cluster_worker` done with `text`, and give its answer, both JSON.

    `folder`: that of the run, which all computers see; `mark`: what must stand in it. `digest`: of
    the plugin that lies there, which is not run if it is another; a worker that has another one
    takes this.
    """
    import hashlib
    import importlib
    import json
    import sys
    from pathlib import Path

    from distributed import get_worker

    package, here = "tile_cache_manager", get_worker()

    def unfit(problem: str, detail: str) -> str:
        return json.dumps({"unfit": [problem, detail], "worker": here.address})

    try:
        found = (Path(folder) / "mark").read_text(encoding="utf-8")
    except OSError:
        return unfit("NO_FOLDER", folder)
    if found != mark:
        return unfit("OTHER_FOLDER", folder)
    try:
        if getattr(sys.modules.get(package), "cluster_digest", "") != digest:
            packed = (Path(folder) / "plugin.zip").read_bytes()
            if not hashlib.sha256(packed).hexdigest().startswith(digest):
                return unfit("BROKEN", "plugin.zip is not what was sent")
            local = Path(here.local_directory) / f"{package}-{digest}.zip"
            local.write_bytes(packed)
            old = [name for name in sys.modules if f"{name}.".startswith(f"{package}.")]
            if f"{package}.plugin.host.cluster_worker" in old:
                sys.modules[f"{package}.plugin.host.cluster_worker"].leave("", "")
            for name in old:
                del sys.modules[name]
            sys.path.insert(0, str(local))
            importlib.invalidate_caches()
            importlib.import_module(package).cluster_digest = digest  # type: ignore[attr-defined]
        worker = importlib.import_module(f"{package}.plugin.host.cluster_worker")
    except ImportError as error:
        return unfit("NO_QGIS", str(error))
    except OSError as error:
        return unfit("BROKEN", str(error))
    answer = json.loads(getattr(worker, job)(folder, text))
    return json.dumps({**answer, "worker": here.address})


def give_up(folder: str) -> None:
    """Have the run of `folder` come to an early end in this worker. In whatever thread."""
    import sys

    worker = sys.modules.get("tile_cache_manager.plugin.host.cluster_worker")
    if worker is not None:
        worker.give_up(folder)
