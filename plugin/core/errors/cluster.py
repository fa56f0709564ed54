"""Errors about an update that is spread over many computers."""

from __future__ import annotations

from enum import Enum

from .root import TileCacheError
from .storage import SourceError


class ClusterProblem(Enum):
    """Why a cluster cannot be used."""

    NOT_INSTALLED = "the Python package distributed is missing"
    BAD_ADDRESS = "not the address of a scheduler"
    UNREACHABLE = "no answer"
    NO_WORKERS = "it has no workers"
    LOST = "it was there and is no more"


class ClusterUnusable(TileCacheError):
    """The cluster whose scheduler is at `address` cannot be used; `detail`: for experts."""

    def __init__(self, address: str, reason: ClusterProblem, detail: str = "") -> None:
        super().__init__(f"{address}: {reason.value} {detail}".rstrip())
        self.address = address
        self.reason = reason
        self.detail = detail


class WorkerProblem(Enum):
    """Why a worker is of no use for an update."""

    OTHER_PYTHON = "another Python"
    THREADS = "several threads in one process"
    NO_FOLDER = "the folder of the cache is not there"
    OTHER_FOLDER = "another folder under the same path"
    NO_QGIS = "no QGIS"
    OTHER_QGIS = "another QGIS"
    NO_SOURCE = "what is drawn cannot be opened"
    OTHER_SOURCE = "it would draw something else"
    BROKEN = "it broke"


class WorkerUnfit(TileCacheError):
    """The worker at `worker` cannot take part, for `reason`; `detail`: for experts."""

    def __init__(self, worker: str, reason: WorkerProblem, detail: str = "") -> None:
        super().__init__(f"{worker}: {reason.value} {detail}".rstrip())
        self.worker = worker
        self.reason = reason
        self.detail = detail


class NotForClusterReason(Enum):
    """Why an update cannot be spread over several computers."""

    PACKAGE = "a package is one file"
    MEMORY_LAYER = "a layer in memory"
    UNSAVED = "the project cannot be written"


class NotForCluster(TileCacheError):
    """The update of, or from, `name` cannot be spread over several computers, for `reason`."""

    def __init__(self, name: str, reason: NotForClusterReason) -> None:
        super().__init__(f"{name}: {reason.value}")
        self.name = name
        self.reason = reason


class WorkersDied(SourceError):
    """One worker after the other died over the same bundle of tiles, drawn from `name`."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "workers died over it")
