"""What a worker of a cluster does: open the project of a run once, then draw one bundle at a time.

Dask runs tasks in a thread of its own. The first that needs QGIS makes the application there, which
so becomes the thread that Qt takes for the main one; as a worker has one thread only, all that
follows runs in it too. Without a window or a screen.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from qgis.core import Qgis, QgsApplication, QgsProject
from qgis.PyQt.QtCore import QCoreApplication, QEvent

from ..core.errors import SourceError, TileCacheError, WorkerProblem
from ..core.local.bundle_run import BundleDone, recreate_bundle
from ..core.local.crew import done_text, error_text, read_task
from ..core.local.source import TileSource
from ..core.storage.opening import open_store
from ..core.storage.store import TileStore
from .cluster_run import RUN, read_facts, sent_source

KEPT_GIVEN_UP = 100
"""So many runs that were given up are remembered: until their last tasks have come."""


class Unfit(Exception):
    """This worker cannot take part in a run, for `problem`."""

    def __init__(self, problem: WorkerProblem, detail: str) -> None:
        super().__init__(detail)
        self.problem = problem
        self.detail = detail


class Session:
    """A run that this worker takes part in: its store and its source, ready to draw."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        facts = read_facts(Path(folder) / RUN)
        _start_qgis(facts.prefix)
        if facts.qgis != Qgis.QGIS_VERSION:
            raise Unfit(WorkerProblem.OTHER_QGIS, f"{Qgis.QGIS_VERSION}, not {facts.qgis}")
        self.store: TileStore = open_store(Path(facts.cache), for_writing=True)
        self.source: TileSource | None = None
        try:
            self.source = sent_source(Path(folder), facts, QgsProject.instance())
            self.source.workers = 1  # what has more processors runs more workers
            self.source.start(self.store.profile)
        except SourceError as error:
            self.close()
            raise Unfit(WorkerProblem.NO_SOURCE, str(error)) from None
        except BaseException:
            self.close()
            raise
        if self.source.fingerprint != facts.fingerprint:
            self.close()
            raise Unfit(WorkerProblem.OTHER_SOURCE, facts.source or facts.project_file)

    def close(self) -> None:
        """Let go of the store and of all layers."""
        if self.source is not None:
            self.source.close()
        self.store.close()
        _let_qgis_tidy_up()


_session: Session | None = None
_given_up: list[str] = []
_application: QgsApplication | None = None


def look(folder: str, text: str) -> str:
    """Get ready for the run of `folder`; whether that went well."""
    return _answer(folder, lambda session: json.dumps({"ready": True}))


def bundle(folder: str, text: str) -> str:
    """Recreate the bundle of the task in `text`, and say what came of it."""
    if folder in _given_up:
        return json.dumps({"done": done_text(BundleDone(is_whole=False))})

    def work(session: Session) -> str:
        task = read_task(text)
        done = recreate_bundle(session.store, session.source, task, lambda: folder in _given_up)
        session.store.commit()
        _let_qgis_tidy_up()
        return json.dumps({"done": done_text(done)})

    return _answer(folder, work)


def leave(folder: str, text: str) -> str:
    """Let go of the run of `folder`, "" for any."""
    global _session
    if _session is not None and folder in ("", _session.folder):
        session, _session = _session, None
        session.close()
    return json.dumps({"left": True})


def give_up(folder: str) -> None:
    """Have what is on for the run of `folder` end early. Any thread."""
    _given_up.append(folder)
    del _given_up[:-KEPT_GIVEN_UP]


def _answer(folder: str, work: Any) -> str:
    """What `work` answers for the session of that run, or what went wrong."""
    global _session
    try:
        if _session is None or _session.folder != folder:
            leave("", "")
            _session = Session(folder)
        return str(work(_session))
    except Unfit as unfit:
        return json.dumps({"unfit": [unfit.problem.name, unfit.detail]})
    except TileCacheError as error:
        return json.dumps({"error": error_text(error)})


def _start_qgis(prefix: str) -> None:
    """Have a QgsApplication in this process. Without a screen, unless one was chosen."""
    global _application
    if QgsApplication.instance() is not None:
        return
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    given = os.environ.get("QGIS_PREFIX_PATH", "") or (prefix if Path(prefix).is_dir() else "")
    if given:
        QgsApplication.setPrefixPath(given, True)
    QCoreApplication.setOrganizationName("QGIS")
    QCoreApplication.setOrganizationDomain("qgis.org")
    QCoreApplication.setApplicationName("QGIS3")
    _application = QgsApplication([b"tile_cache_manager_worker"], False)
    _application.initQgis()


def _let_qgis_tidy_up() -> None:
    """Do what would wait for an event loop, which a worker has not: above all, delete layers."""
    QCoreApplication.processEvents()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
