"""The jobs of hosted layers: whole bundles, each a task of its own, by rectangle and level id."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import shapely.geometry

from .bundles import (
    delete_tile,
    has_tile,
    tiles_present,
)
from .coverage import BadArea, Tile, TooManyTiles, area_of_request, check_size
from .job_plan import JobRefused, bundle_of
from .jobs import CONTEXTS_FAILED, ERROR_MESSAGE, Job
from .profiles import Service
from .schemes import Lod
from .tile_maker import WRITING, TileChange, TileMaker

if TYPE_CHECKING:
    from .state import SiteState

UPDATE = "UpdateTiles"
DELETE = "DeleteTiles"
_WORDS = {
    "esriJobSubmitted": "SUBMITTED",
    "esriJobExecuting": "INPROGRESS",
    "esriJobCancelling": "INPROGRESS",
    "esriJobCancelled": "CANCELED",
    "esriJobFailed": "FAILED",
}
_DEEPEST = 99
_TILE_BYTES = 10240  # what the site thinks a tile takes before it has made one
_RERUNS = {"ALL": None, "ERROR": "ERROR", "CANCELED": "CANCELED"}


@dataclass
class BundleTask:
    """The work on one bundle of one level."""

    lod: Lod
    bundle: Tile
    tiles: tuple[Tile, ...]
    status: str = "SUBMITTED"
    made: int = 0
    bytes_made: int = 0
    seconds: float = 0.0


@dataclass
class _Times:
    submitted: int = field(default_factory=lambda: int(time.time() * 1000))
    started: int = 0
    last: int = 0


class HostedJob(Job):
    """One ``updateTiles`` or ``deleteTiles``. ``form``: levels, extent and the two options."""

    def __init__(self, state: SiteState, task: str, service: Service, form: dict[str, str]) -> None:
        super().__init__(state, task, {**form, "service_url": service.task_name})
        self.job_id = str(uuid.uuid4())
        self.service = service
        self.times = _Times()
        self.tasks: list[BundleTask] = []
        self.extent = extent_of(service, form.get("extent", ""))

    @property
    def word(self) -> str:
        """The state as the statistics of a job tell it."""
        if self.status != "esriJobSucceeded":
            return _WORDS[self.status]
        errors = sum(task.status == "ERROR" for task in self.tasks)
        if not errors:
            return "DONE"
        return "ERROR" if errors == len(self.tasks) else "PARTIALERROR"

    @property
    def failed_bundles(self) -> list[list[int]]:
        """Level, row and column of the bundles that could not be made."""
        failed = (task for task in self.tasks if task.status == "ERROR")
        return sorted([task.lod.level, *task.bundle] for task in failed)

    def rerun(self, code: str) -> bool:
        """Do the tasks of that outcome again; False where the job runs or the code is unknown."""
        with self._lock:
            if self.running or code not in _RERUNS:
                return False
            wanted = _RERUNS[code]
            for task in self.tasks:
                if wanted is None or task.status == wanted:
                    task.status, task.made, task.bytes_made = "SUBMITTED", 0, 0
            self._cancel.clear()
            self.status = "esriJobSubmitted"
            self._thread = threading.Thread(target=self._run, name=self.job_id, daemon=True)
            self._thread.start()
        return True

    def _work(self) -> None:
        self.times.started = self.times.started or _now()
        if not self.tasks:
            self.tasks = list(self._planned())
        self.total = sum(len(task.tiles) for task in self.tasks)
        self.created = sum(task.made for task in self.tasks if task.status == "DONE")
        self.replaced = self.deleted = 0
        for task in self.tasks:
            if task.status == "SUBMITTED":
                self._do(task)
        self.times.last = _now()

    def _do(self, task: BundleTask) -> None:
        started = time.monotonic()
        try:
            self._gate()
        except Exception:
            self._cancel_left()
            raise
        if self._state.fails_at(self.service, task.lod.level, task.bundle):
            task.status = "ERROR"
            self._tell(
                f"Bundle {task.bundle} of level {task.lod.level}: {CONTEXTS_FAILED}", ERROR_MESSAGE
            )
            return
        task.status = "PROCESSING"
        try:
            self._fill(task)
        except Exception:
            self._cancel_left()
            raise
        task.status = "DONE"
        task.seconds += time.monotonic() - started
        self.times.last = _now()

    def _cancel_left(self) -> None:
        for task in self.tasks:
            if task.status in {"SUBMITTED", "PROCESSING"}:
                task.status = "CANCELED"
        self.times.last = _now()

    def _fill(self, task: BundleTask) -> None:
        folder = self._state.cache_folder(self.service)
        if self.task != DELETE and not self._is("mergeBundle"):
            self._empty(task)  # the new bundle takes the place of the old one
        keeps = self._is("mergeBundle") and not self._is("replaceTiles")
        for change in self._changes(task):
            self._gate()
            self._keep_pace()
            if keeps and has_tile(folder, change.level, *change.tile):
                self.created += 1  # made, but the old one stays
            else:
                self._put(change)
            task.made += 1
            task.bytes_made += len(change.data or b"")

    def _changes(self, task: BundleTask) -> Iterator[TileChange]:
        mode = "DELETE_TILES" if self.task == DELETE else "RECREATE_ALL_TILES"
        maker = TileMaker(self._state, self.service, mode)
        for tiles in maker.batches(task.tiles):
            yield from maker.changes(task.lod, tiles)

    def _put(self, change: TileChange) -> None:
        replaced = change.apply()
        if change.data is None:
            self.deleted += 1
        elif replaced:
            self.replaced += 1
        else:
            self.created += 1

    def _empty(self, task: BundleTask) -> None:
        folder = self._state.cache_folder(self.service)
        with WRITING:
            for tile in tiles_present(folder, task.lod.level):
                if bundle_of(tile) == task.bundle:
                    delete_tile(folder, task.lod.level, *tile)

    def _is(self, option: str) -> bool:
        return self.form.get(option, "").strip().lower() == "true"

    def _planned(self) -> Iterator[BundleTask]:
        scheme = self.service.scheme
        if scheme is None:
            raise JobRefused(f"{self.service.name} has no tiling scheme.")
        lods = [scheme.lod(level) for level in levels_of(self.service, self.form["levels"])]
        area = shapely.geometry.box(*self.extent)
        known = [lod for lod in lods if lod is not None]
        try:
            check_size(self.service, known, area)
        except TooManyTiles as error:
            raise JobRefused(f"Requested tile count({error.args[0]}) is too large.") from error
        for lod in known:
            first_row, first_col, end_row, end_col = scheme.range_of(lod, self.extent)
            tiles = [
                (row, col) for row in range(first_row, end_row) for col in range(first_col, end_col)
            ]
            bundles: dict[Tile, list[Tile]] = {}
            for tile in tiles:
                bundles.setdefault(bundle_of(tile), []).append(tile)
            yield from self._tasks_of(lod, bundles)

    def _tasks_of(self, lod: Lod, bundles: dict[Tile, list[Tile]]) -> Iterator[BundleTask]:
        """Yield the work on a level; ``bundles``: the tiles that the rectangle covers."""
        present: dict[Tile, int] = {}
        if self.task == DELETE:  # the whole file goes
            present = tiles_present(self._state.cache_folder(self.service), lod.level)
        for bundle, covered in bundles.items():
            if self.task == DELETE:
                covered = [tile for tile in sorted(present) if bundle_of(tile) == bundle]
            yield BundleTask(lod, bundle, tuple(covered))


def levels_of(service: Service, text: str) -> list[int]:
    """Return the level ids that ``0-5,10`` names, all that are cached where it names none.

    Raises:
        BadArea: the text is not that, or a level is not in the tiling scheme.
    """
    first, last = service.levels
    known = [lod.level for lod in service.scheme.lods] if service.scheme else []
    if not text.strip():
        return [level for level in known if first <= level <= last]
    found: list[int] = []
    for part in text.split(","):
        begin, dash, end = part.strip().partition("-")
        if not begin.isdecimal() or (dash and not end.isdecimal()):
            raise BadArea(f"'{part}' is not a level")
        found += range(int(begin), min(int(end or begin), _DEEPEST) + 1)
    missing = [level for level in found if level not in known]
    if missing:
        raise BadArea(f"level {missing[0]} is not in the tiling scheme")
    return sorted(set(found))


def extent_of(service: Service, text: str) -> tuple[float, float, float, float]:
    """Return the rectangle of a request, within the full extent of the service.

    Raises:
        BadArea: it is no rectangle, or outside the service.
    """
    area = area_of_request(service, "", text)
    inside = area.intersection(shapely.geometry.box(*service.full_extent))
    if inside.is_empty or inside.area == 0:
        raise BadArea("the extent is outside the service")
    xmin, ymin, xmax, ymax = inside.bounds
    return xmin, ymin, xmax, ymax


def summary_json(job: HostedJob) -> dict[str, Any]:
    """Return the job as ``jobs`` lists it."""
    data: dict[str, Any] = {
        "id": job.job_id,
        "status": job.word,
        "type": job.task,
        "submitTime": job.times.submitted,
        "startTime": job.times.started,
    }
    if not job.running:
        data["endTime"] = job.times.last
    return {**data, "lodInfos": _lod_infos(job), "extent": _extent_json(job, bare=True)}


def statistics_json(job: HostedJob) -> dict[str, Any]:
    """Return ``jobs/<id>``."""
    states = [task.status for task in job.tasks]
    done = sum(task.made for task in job.tasks)
    seconds = sum(task.seconds for task in job.tasks)
    return {
        "jobId": job.job_id,
        "type": "CacheDelete" if job.task == DELETE else "CACHECOOKER",
        "jobStatus": job.word,
        "percentComplete": 100 if job.word == "DONE" else _percent(done, job.total),
        "message": _message(job),
        "startTime": job.times.started,
        "submitTime": job.times.submitted,
        "lastTime": job.times.last,
        "extent": _extent_json(job),
        "numTasks": len(states),
        "numDoneTasks": states.count("DONE"),
        "numErrorTasks": states.count("ERROR"),
        "numCanceledTasks": states.count("CANCELED"),
        "numSubmittedTasks": states.count("SUBMITTED"),
        "numProcessingTasks": states.count("PROCESSING"),
        "estimatedNumTiles": job.total,
        "numTiles": done,
        "estimatedTilesSize": job.total * _TILE_BYTES,
        "tilesSize": sum(task.bytes_made for task in job.tasks),
        "averageTaskTime": seconds / len(states) if states else 0.0,
        "totalTaskTime": seconds,
        "levelStats": [_level_json(job, lod) for lod in _lods(job)],
    }


def _level_json(job: HostedJob, lod: Lod) -> dict[str, Any]:
    tasks = [task for task in job.tasks if task.lod == lod]
    states = [task.status for task in tasks]
    return {
        "level": lod.level,
        "processingTime": sum(task.seconds for task in tasks),
        "numTasks": len(tasks),
        "numDoneTasks": states.count("DONE"),
        "numErrorTasks": states.count("ERROR"),
        "estimatedNumTiles": sum(len(task.tiles) for task in tasks),
        "numTiles": sum(task.made for task in tasks),
    }


def _lod_infos(job: HostedJob) -> list[dict[str, Any]]:
    infos = []
    for lod in _lods(job):
        tasks = [task for task in job.tasks if task.lod == lod]
        states = {task.status for task in tasks}
        infos.append(
            {
                "levelID": lod.level,
                "tileCount": sum(task.made for task in tasks),
                "expectedTileCount": sum(len(task.tiles) for task in tasks),
                "tilesSize": sum(task.bytes_made for task in tasks),
                "status": "DONE" if states == {"DONE"} else job.word,
            }
        )
    return infos


def _lods(job: HostedJob) -> list[Lod]:
    return list(dict.fromkeys(task.lod for task in job.tasks))


def _message(job: HostedJob) -> str:
    """Return the first thing that went wrong, or nothing."""
    errors = [m["description"] for m in job.messages if m["type"] == ERROR_MESSAGE]
    failed = job.word in {"FAILED", "PARTIALERROR", "ERROR"}
    return str(errors[0]) if errors and failed else ""


def _percent(done: int, total: int) -> int:
    return min(99, 100 * done // total) if total else 0


def _extent_json(job: HostedJob, bare: bool = False) -> dict[str, Any]:
    xmin, ymin, xmax, ymax = job.extent
    data: dict[str, Any] = {"xmin": xmin, "ymin": ymin, "xmax": xmax, "ymax": ymax}
    scheme = job.service.scheme
    if not bare and scheme is not None:
        data["spatialReference"] = scheme.reference.as_json()
    return data


def _now() -> int:
    return int(time.time() * 1000)
