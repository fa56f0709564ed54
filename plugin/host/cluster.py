"""An update spread over many computers by Dask (`dask.distributed`), which is optional.

Bundles are what is given out. Workers are processes with a QGIS without windows; the cache lies in
a folder that all of them share. Dask gives the bundles of a worker that dies to others.
"""

from __future__ import annotations

import json
import platform
import secrets
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from qgis.core import QgsProject

from ..core.errors import (
    ClusterProblem,
    ClusterUnusable,
    NotForCluster,
    NotForClusterReason,
    WorkerProblem,
    WorkersDied,
    WorkerUnfit,
)
from ..core.local.bundle_run import BundleDone
from ..core.local.bundle_work import BundleTask
from ..core.local.crew import Crew, read_done, read_error, task_text
from ..core.local.source import TileSource
from ..core.storage.opening import find_cache
from ..core.storage.sidecar import CacheSettings
from ..core.storage.store import TileStore
from .cluster_run import RunFolder
from .cluster_start import by_value, give_up, in_worker

LOOK_AHEAD = 2
"""Bundles for each worker that are drawn, or wait to be, at the same time."""

CONNECT_SECONDS = 10.0
LOOK_SECONDS = 300.0
"""For opening the project in all workers, the first time they start QGIS."""

STOP_SECONDS = 10.0
"""For bundles that are on when the update is cancelled; then nobody waits for them any more."""

ALONE_SECONDS = 60.0
"""After so long without any worker the update ends; Dask starts those that died anew in seconds."""

_LISTEN = 0.1  # seconds between two looks whether the update was cancelled
_COUNT = 1.0  # seconds between two questions how many workers there are
_FETCH_SECONDS = 10  # for what came of a bundle; a worker may die that has just finished it
_LEAVE_SECONDS = 5.0


class DaskCrew(Crew):
    """The workers of the Dask scheduler at `address`, such as tcp://192.168.1.10:8786.

    For the update of the cache at `cache`, drawn from what `text` stands for in `project`. Made on
    the main thread, where the project is written for the workers. Raises NotForCluster,
    ClusterUnusable (no Dask), NothingToDraw, StorageError.
    """

    def __init__(
        self,
        address: str,
        cache: Path,
        text: str,
        project: QgsProject | None,
        settings: CacheSettings,
    ) -> None:
        self.address = address
        self._dask = _distributed(address)
        self._client: Any = None
        self._pending: dict[Any, BundleTask] = {}
        self._here: frozenset[str] = frozenset()
        self._counted, self._seen = -_COUNT, time.monotonic()
        self._name = ""
        place = find_cache(cache)
        if place.package is not None:
            raise NotForCluster(str(place.path), NotForClusterReason.PACKAGE)
        self._run = RunFolder(place.path, text, project, settings)

    # Crew interface

    def start(self, store: TileStore, source: TileSource, stopped: Callable[[], bool]) -> None:
        self._name = source.name
        self._run.tell(store.profile)
        self._client = _connected(self._dask, self.address)
        self._look(stopped)

    def done(
        self, tasks: Iterator[BundleTask], stopped: Callable[[], bool]
    ) -> Generator[tuple[BundleTask, BundleDone], None, None]:
        self._seen = time.monotonic()
        more, end = True, 0.0
        while True:
            if stopped():
                more = False
                if not end:
                    end = time.monotonic() + STOP_SECONDS
                    self._give_up()
            while more and len(self._pending) < LOOK_AHEAD * len(self._workers()):
                task = next(tasks, None)
                more = task is not None
                if task is not None:
                    self._pending[self._submit("bundle", task_text(task))] = task
            if not more and not self._pending:
                return
            self._wait()
            for future in [future for future in self._pending if future.done()]:
                answer = self._answer(future)
                if answer is not None:
                    task = self._pending.pop(future)
                    future.release()
                    yield task, self._come_of(task, answer)
            if end and time.monotonic() > end:
                return

    def close(self) -> None:
        if self._client is not None:
            with suppress(Exception):  # whatever is wrong with a scheduler that is let go of
                self._leave()
            with suppress(Exception):
                self._client.close(timeout=_LEAVE_SECONDS)
            self._client = None
        self._run.remove()

    # own

    def _submit(self, job: str, text: str, **options: Any) -> Any:
        """Have a worker do `job`, as Dask chooses. Raises ClusterUnusable."""
        run = self._run
        told = (str(run.path), run.mark, run.digest, job, text)
        key = f"tile-cache-{job}-{secrets.token_hex(6)}"
        return self._asked(
            lambda: self._client.submit(by_value(in_worker), *told, key=key, pure=False, **options)
        )

    def _look(self, stopped: Callable[[], bool]) -> None:
        """Have all workers open the project. Raises ClusterUnusable, WorkerUnfit."""
        threads: dict[str, int] = self._asked(self._client.nthreads)
        if not threads:
            raise ClusterUnusable(self.address, ClusterProblem.NO_WORKERS)
        for worker, count in threads.items():
            if count != 1:
                raise WorkerUnfit(worker, WorkerProblem.THREADS, str(count))
        for worker, version in self._pythons().items():
            if version != _minor(platform.python_version()):
                detail = f"{version}, not {_minor(platform.python_version())}"
                raise WorkerUnfit(worker, WorkerProblem.OTHER_PYTHON, detail)
        looks = {self._look_of(worker): worker for worker in threads}
        end = time.monotonic() + LOOK_SECONDS
        while looks and not stopped():
            self._wait_for(list(looks))
            for future in [future for future in looks if future.done()]:
                self._fit(self._answer(future), looks.pop(future))
            self._forget_gone(looks)
            if looks and time.monotonic() > end:
                raise WorkerUnfit(next(iter(looks.values())), WorkerProblem.BROKEN, "no answer")
        for future in looks:
            future.cancel()

    def _forget_gone(self, looks: dict[Any, str]) -> None:
        """Take those out of `looks` whose worker is gone: Dask would wait for it to come back."""
        here = self._workers()
        for future in [future for future, worker in looks.items() if worker not in here]:
            del looks[future]
            future.cancel()

    def _look_of(self, worker: str) -> Any:
        return self._submit("look", "", workers=[worker], allow_other_workers=False)

    def _fit(self, answer: Any, worker: str) -> None:
        """Raise what keeps `worker` from taking part."""
        if isinstance(answer, Exception):
            raise WorkerUnfit(worker, WorkerProblem.BROKEN, str(answer))
        if answer is not None:
            _raise_from(answer, worker)

    def _pythons(self) -> dict[str, str]:
        """The Python of the scheduler and of each worker, as 3.11."""
        found = self._asked(lambda: self._client.get_versions(check=False))
        hosts = {self.address: found.get("scheduler"), **found.get("workers", {})}
        versions = {
            name: (each or {}).get("host", {}).get("python", "") for name, each in hosts.items()
        }
        return {name: _minor(version) for name, version in versions.items() if version}

    def _asked(self, question: Callable[[], Any]) -> Any:
        """What the scheduler answers. Raises ClusterUnusable."""
        try:
            return question()
        except Exception as error:  # of several packages, without a common root
            raise self._lost(str(error)) from error

    def _lost(self, detail: str) -> ClusterUnusable:
        return ClusterUnusable(self.address, ClusterProblem.LOST, detail or "no answer")

    def _workers(self) -> frozenset[str]:
        """The workers' addresses, asked for now and then. Raises ClusterUnusable."""
        now = time.monotonic()
        if now - self._counted >= _COUNT:
            self._counted = now
            self._here = frozenset(self._asked(self._client.nthreads))
            if self._here:
                self._seen = now
            elif now - self._seen > ALONE_SECONDS:
                raise ClusterUnusable(self.address, ClusterProblem.NO_WORKERS)
        return self._here

    def _wait(self) -> None:
        """Until something is finished, or for a moment."""
        if self._pending:
            self._workers()
            self._wait_for(list(self._pending))
        else:
            time.sleep(_LISTEN)  # no worker is there

    def _wait_for(self, futures: list[Any], seconds: float = _LISTEN) -> None:
        """Until one of `futures` is finished, or for so long."""
        dask = self._dask
        with suppress(dask.TimeoutError, dask.CancelledError), self._client.as_current():
            dask.wait(futures, timeout=seconds, return_when="FIRST_COMPLETED")

    def _answer(self, future: Any) -> Any:
        """What a worker answered, or the error with which Dask gave up; None: ask again."""
        if future.status in ("cancelled", "lost"):
            raise self._lost("")
        try:
            return json.loads(future.result(timeout=_FETCH_SECONDS))
        except self._dask.TimeoutError:
            return None  # it was with a worker that is gone, and is made again
        except Exception as error:  # what a task raised, or why Dask had it done no more
            return error

    def _come_of(self, task: BundleTask, answer: Any) -> BundleDone:
        """What came of a bundle. Raises WorkerUnfit, StorageError, SourceError."""
        worker = self.address
        if isinstance(answer, self._dask.scheduler.KilledWorker):
            return BundleDone(tuple(task.all_failed(WorkersDied(self._name))))
        if isinstance(answer, Exception):
            detail = f"{type(answer).__name__} {answer}".strip()
            raise WorkerUnfit(worker, WorkerProblem.BROKEN, detail) from answer
        _raise_from(answer, worker)
        return read_done(answer["done"])

    def _give_up(self) -> None:
        """Have all workers end what they are at."""
        self._asked(
            lambda: self._client.run(by_value(give_up), str(self._run.path), on_error="ignore")
        )

    def _leave(self) -> None:
        """Have all workers let go of the cache, so that its folder can be removed."""
        client = self._client
        if self._pending:
            client.cancel(list(self._pending))
            client.run(by_value(give_up), str(self._run.path), on_error="ignore")
        futures = [
            self._submit("leave", "", workers=[worker], allow_other_workers=False)
            for worker in client.nthreads()
        ]
        end = time.monotonic() + _LEAVE_SECONDS
        while time.monotonic() < end and not all(future.done() for future in futures):
            self._wait_for([future for future in futures if not future.done()])


def _distributed(address: str) -> Any:
    """Dask's package. Raises ClusterUnusable."""
    try:
        import distributed
        import distributed.scheduler
    except ImportError as error:
        raise ClusterUnusable(address, ClusterProblem.NOT_INSTALLED, str(error)) from error
    return distributed


def _connected(dask: Any, address: str) -> Any:
    """A client of the scheduler at `address`. Raises ClusterUnusable."""
    # In two steps, so that one that reaches nobody can be closed: it would try that at QGIS's end.
    client = dask.Client.__new__(dask.Client)
    try:
        client.__init__(
            address, timeout=CONNECT_SECONDS, set_as_default=False, name="tile-cache-manager"
        )
    except Exception as error:  # OSError and errors of several packages
        with suppress(Exception):
            client.close(timeout=_LEAVE_SECONDS)
        is_no_address = isinstance(error, (ValueError, TypeError))
        problem = ClusterProblem.BAD_ADDRESS if is_no_address else ClusterProblem.UNREACHABLE
        raise ClusterUnusable(address, problem, _first_line(error)) from error
    return client


def _raise_from(answer: dict[str, Any], worker: str) -> None:
    """Raise what a worker told of."""
    if "unfit" in answer:
        problem, detail = answer["unfit"]
        raise WorkerUnfit(answer.get("worker", worker), WorkerProblem[problem], detail)
    if "error" in answer:
        raise read_error(answer["error"])


def _minor(version: str) -> str:
    """Of a version of Python what must be the same everywhere: 3.11 of 3.11.2.final.0."""
    return ".".join(version.split(".")[:2])


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
