"""Caching jobs: threads that really make, replace and delete tiles, and the list of them."""

from __future__ import annotations

import threading
import time
import uuid
from typing import TYPE_CHECKING, Any, TypeVar

from .coverage import Tile
from .job_plan import (
    TAKE_UPS,
    JobRefused,
    LevelWork,
    Plan,
    Progress,
    bundle_of,
    cached_service,
    make_plan,
)
from .tile_maker import TileMaker

if TYPE_CHECKING:
    from .state import SiteState

_INFORMATIVE = "esriJobMessageTypeInformative"
ERROR_MESSAGE = "esriJobMessageTypeError"
_RUNNING = frozenset({"esriJobSubmitted", "esriJobExecuting", "esriJobCancelling"})
_STEPS_TOLD = 10
CONTEXTS_FAILED = "All server contexts failed"
_CATCH_UP_SECONDS = 0.2  # after drawing a supertile a job may be this much behind its pace
_DONE_WORD = {
    "RECREATE_EMPTY_TILES": "Created",
    "RECREATE_ALL_TILES": "Created",
    "DELETE_TILES": "Deleted",
}


class _Cancelled(Exception):
    """The job is to stop where it is."""


class Job:
    """One submission of Manage Map Cache Tiles. ``form`` holds canonical names and texts."""

    ID_END = ""
    CHANGES_CACHE = True

    def __init__(self, state: SiteState, task: str, form: dict[str, str]) -> None:
        self.job_id = f"j{uuid.uuid4().hex}{self.ID_END}"
        self.task = task
        self.form = form
        self.service_name = form.get("service_url", "")
        self.status = "esriJobSubmitted"
        self.paused = False
        self.total = 0
        self.created = self.replaced = self.deleted = self.copied = 0
        self.submitted = time.time()
        self.progress: Progress | None = None
        self.has_stalled = False
        self._state = state
        self._messages: list[dict[str, str]] = []
        self._cancel = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=self.job_id, daemon=True)
        self._due = 0.0
        self._tell("Submitted.")

    @property
    def done(self) -> int:
        return self.created + self.replaced + self.deleted + self.copied

    @property
    def running(self) -> bool:
        return self.status in _RUNNING

    @property
    def percent(self) -> int:
        return 100 * self.done // self.total if self.total else 0

    @property
    def messages(self) -> list[dict[str, str]]:
        return list(self._messages)

    def output(self, base: str) -> Any:
        """Return the value of the output of a job that succeeded; ``base``: the site's address."""
        name, _, kind = self.service_name.rpartition(":")
        return f"{base}/rest/services/{name}/{kind}"

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def cancel(self) -> None:
        """Ask a running job to stop; one that has ended stays as it is."""
        with self._lock:
            if not self.running:
                return
            self.status = "esriJobCancelling"
            self._cancel.set()
        self._state.jobs.wake()

    def _run(self) -> None:
        started = time.time()
        with self._lock:
            if not self._cancel.is_set():
                self.status = "esriJobExecuting"
        self._tell(f"Start Time: {_clock(started)}")
        try:
            self._work()
            self._check_failure()
        except _Cancelled:
            self._tell(f"Cancelled. {self._account()}")
            self._end("esriJobCancelled", "Cancel complete.")
        except Exception as reason:  # a job always ends, and says why it failed
            self._tell(str(reason), ERROR_MESSAGE)
            self._tell(f"Failed to execute ({self.task.replace(' ', '')}).", ERROR_MESSAGE)
            self._end("esriJobFailed", f"Failed at {_clock(time.time())}", ERROR_MESSAGE)
        else:
            self._tell(self._account())
            elapsed = f"(Elapsed Time: {time.time() - started:.2f} seconds)"
            self._end("esriJobSucceeded", f"Succeeded at {_clock(time.time())} {elapsed}")

    def _work(self) -> None:
        """Do what the job is for, tile by tile, and ``_gate`` before each."""
        plan = self._plan()
        self.total = plan.total
        self._gate()
        failures = [work for work in plan.levels if not self._make_level(plan, work)]
        if failures:
            raise JobRefused(f"ERROR: Bundles of {len(failures)} scales: {CONTEXTS_FAILED}.")

    def _plan(self) -> Plan:
        how = self.form.get("update_mode", "")
        if how not in TAKE_UPS:
            plan = make_plan(self._state, self.form)
            self.progress = Progress(plan, set(), set())
            return plan
        cached_service(self._state, self.service_name)
        earlier = self._state.jobs.get(self.form.get("jobid", ""))
        if earlier is None or earlier.service_name != self.service_name:
            raise JobRefused(f"ERROR: The update mode {how} needs an earlier job of this service.")
        if earlier.running or earlier.progress is None:
            raise JobRefused(f"ERROR: The job {earlier.job_id} cannot be taken up.")
        self.progress = earlier.progress
        return self.progress.rest(how)

    @property
    def failed_bundles(self) -> list[list[int]]:
        """Level, row and column of the bundles that could not be made."""
        failed = self.progress.failed if self.progress else set()
        return sorted([level, *bundle] for level, bundle in failed)

    def _end(self, status: str, message: str, kind: str = _INFORMATIVE) -> None:
        self._tell(message, kind)
        with self._lock:
            self.status = status

    def _make_level(self, plan: Plan, work: LevelWork) -> bool:
        """Make the tiles of a level; return whether all could be made."""
        verb = "Deleting" if plan.mode == "DELETE_TILES" else "Caching"
        self._tell(f"{verb} scale 1:{work.lod.scale:.6f}: {len(work.tiles)} tiles.")
        maker = TileMaker(self._state, plan.service, plan.mode)
        works = True
        for tiles in maker.batches(work.tiles):
            if self._fails_at(plan, work, tiles):
                works = False
                continue
            for change in maker.changes(work.lod, tiles):
                self._gate()
                self._keep_pace()
                self._count(plan.mode, change.apply())
                self._note_done(change.level, change.tile)
        return works

    def _fails_at(self, plan: Plan, work: LevelWork, tiles: tuple[Tile, ...]) -> bool:
        """Return whether the tiles, all of one bundle, cannot be made.

        Raises:
            JobRefused: so it is, and the site gives the whole job up for that.
        """
        bundle = bundle_of(tiles[0])
        level = work.lod.level
        if self.progress is None or not self._state.fails_at(plan.service, level, bundle):
            return False
        self.progress.failed.add((level, bundle))
        self._tell(f"ERROR: Bundle {bundle} of level {level}: {CONTEXTS_FAILED}.", ERROR_MESSAGE)
        if self._state.failing_stops:
            raise JobRefused(f"ERROR: {CONTEXTS_FAILED}.")
        return True

    def _note_done(self, level: int, tile: Tile) -> None:
        if self.progress is not None:
            self.progress.finished.add((level, tile))
            self.progress.failed.discard((level, bundle_of(tile)))

    def _count(self, mode: str, replaced: bool) -> None:
        if mode == "DELETE_TILES":
            self.deleted += 1
        elif replaced:
            self.replaced += 1
        else:
            self.created += 1
        step = max(1, self.total // _STEPS_TOLD)
        if self.done % step == 0:
            self._tell_progress(mode)

    def _tell_progress(self, mode: str) -> None:
        tasks = self._state.profile.tasks
        if tasks is not None and tasks.percent_in_messages:
            self._tell(f"Finished {self.percent} percent.")
        else:
            self._tell(f"{_DONE_WORD[mode]} {self.done} of {self.total} tiles.")

    def _account(self) -> str:
        return f"Tiles created: {self.created}, replaced: {self.replaced}, deleted: {self.deleted}."

    def _gate(self) -> None:
        """Stand still, fail or stop where control or the client wants it, before a tile."""
        self._check_failure()
        self._state.jobs.wait_while_paused(self, self._cancel)
        if self._cancel.is_set():
            raise _Cancelled

    def _keep_pace(self) -> None:
        """Wait as long as the site's tiles per second want it."""
        rate = self._state.tiles_per_second
        if rate:
            now = time.monotonic()
            self._due = max(self._due + 1 / rate, now - _CATCH_UP_SECONDS)
            if self._cancel.wait(max(0.0, self._due - now)):
                raise _Cancelled

    def _check_failure(self) -> None:
        message = self._state.jobs.failure_due(self.done, self.total)
        if message is not None:
            raise JobRefused(message)

    def _tell(self, text: str, kind: str = _INFORMATIVE) -> None:
        self._messages.append({"type": kind, "description": text})


JobKind = TypeVar("JobKind", bound=Job)


class JobBoard:
    """The jobs of one site and the levers that control pulls."""

    def __init__(self, state: SiteState) -> None:
        self._state = state
        self._jobs: dict[str, Job] = {}
        self._levers = threading.Condition()
        self._pause_after: int | None = None
        self._stall: tuple[int, float] | None = None  # after how many tiles, for how long
        self._failure: tuple[str, int] | None = None

    def submit(self, task: str, form: dict[str, str]) -> Job:
        """Start a caching job and return it."""
        return self.start(Job(self._state, task, form))

    def start(self, job: JobKind) -> JobKind:
        """Start a job of any kind and return it."""
        self._jobs[job.job_id] = job
        job.start()
        return job

    def get(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    def all(self) -> list[Job]:
        return list(self._jobs.values())

    def running_on(self, service_name: str) -> list[Job]:
        """Return the jobs at work that change the cache of a service."""
        return [
            job
            for job in self.all()
            if job.running and job.CHANGES_CACHE and job.service_name == service_name
        ]

    def clear(self) -> None:
        """Forget all jobs, at once as a restart does, stop them, and wait for them."""
        jobs = self.all()
        self._jobs.clear()
        for job in jobs:
            job.cancel()
        self.release()
        for job in jobs:
            job.join()
        self._failure = None

    def pause_after(self, tiles: int) -> None:
        """Let each job stand still once it has made this many tiles."""
        with self._levers:
            self._pause_after = tiles

    def release(self) -> None:
        """Let paused jobs go on, and no longer pause any."""
        with self._levers:
            self._pause_after = None
            self._stall = None
            self._levers.notify_all()

    def stall(self, tiles: int, seconds: float) -> None:
        """Let each job stand still once, for so long, when it has made so many tiles."""
        with self._levers:
            self._stall = (tiles, seconds)

    def wake(self) -> None:
        """Let paused jobs look again whether they are cancelled."""
        with self._levers:
            self._levers.notify_all()

    def fail_next(self, message: str, after: int) -> None:
        """Let the next job fail with this message, once it has made ``after`` tiles."""
        self._failure = (message, after)

    def failure_due(self, done: int, total: int) -> str | None:
        """Return the message of a failure that is due; a job fails at its end at the latest."""
        failure = self._failure
        if failure is None or done < min(failure[1], total):
            return None
        self._failure = None
        return failure[0]

    def wait_while_paused(self, job: Job, cancelled: threading.Event) -> None:
        with self._levers:
            while (
                self._pause_after is not None
                and job.done >= self._pause_after
                and not cancelled.is_set()
            ):
                job.paused = True
                self._levers.wait()
            job.paused = False
            self._stand_still(job, cancelled)

    def _stand_still(self, job: Job, cancelled: threading.Event) -> None:
        if job.has_stalled or self._stall is None or job.done < self._stall[0]:
            return
        job.has_stalled = True
        end = time.monotonic() + self._stall[1]
        while self._stall is not None and not cancelled.is_set() and time.monotonic() < end:
            self._levers.wait(end - time.monotonic())


def job_json(job: Job, output: str, with_progress: bool) -> dict[str, Any]:
    """Return the job resource; ``output`` is the name of the task's output parameter."""
    data: dict[str, Any] = {"jobId": job.job_id, "jobStatus": job.status}
    if with_progress and job.status == "esriJobExecuting":
        data["progress"] = {
            "type": "default",
            "message": job.messages[-1]["description"],
            "percentage": job.percent,
        }
    if job.status == "esriJobSucceeded":
        data["results"] = {output: {"paramUrl": f"results/{output}"}}
    data["messages"] = job.messages
    return data


def _clock(moment: float) -> str:
    return time.strftime("%A, %B %d, %Y %H:%M:%S", time.localtime(moment))
