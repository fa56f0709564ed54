"""An asynchronous geoprocessing job: submit, follow, cancel, and find its results.

Source: Esri REST reference, "GP job"; keys that differ in recorded answers are read as well.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from ..errors import (
    CancelUnconfirmed,
    JobFailed,
    JobLost,
    JobSilent,
    NotAllowed,
    NotArcGIS,
    SignInFailed,
    SignInNeeded,
    SiteError,
    SiteRefused,
    SiteUnreachable,
)
from ..esri_json import JsonObject, items, mapping, number, text
from ..request import Feedback, Message, Severity
from .client import Client, wait
from .submissions import is_passing


class JobPhase(Enum):
    """Where a job is, as far as it matters to a client."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "ended with failures"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DELETED = "deleted"


_ENDS_WELL = frozenset({JobPhase.SUCCEEDED, JobPhase.PARTIAL, JobPhase.CANCELLED})
_PHASES = {
    "esrijobsucceeded": JobPhase.SUCCEEDED,
    "esrijobpartialsucceeded": JobPhase.PARTIAL,
    "esrijobfailed": JobPhase.FAILED,
    "esrijobtimedout": JobPhase.FAILED,
    "esrijobdeleting": JobPhase.DELETED,
    "esrijobdeleted": JobPhase.DELETED,
    "error": JobPhase.FAILED,
    "esrijobcancelled": JobPhase.CANCELLED,
    # of hosted layers, which also write them in other cases
    "completed": JobPhase.SUCCEEDED,
    "done": JobPhase.SUCCEEDED,
    "partialerror": JobPhase.PARTIAL,
    "failed": JobPhase.FAILED,
    "canceled": JobPhase.CANCELLED,
    "cancelled": JobPhase.CANCELLED,
}
_GOES_ON = frozenset(
    {
        *("esrijobnew", "esrijobsubmitted", "esrijobwaiting", "esrijobexecuting"),
        *("esrijobcancelling", "new", "submitted", "waiting", "pending", "queued", "started"),
        *("executing", "inprogress", "processing", "running", "cancelling", "canceling"),
    }
)
_SEVERITIES = {
    "esrijobmessagetypewarning": Severity.WARNING,
    "esrijobmessagetypeerror": Severity.ERROR,
    "esrijobmessagetypeabort": Severity.ERROR,
}
_UNKNOWN_JOB = frozenset({None, 400, 404})
"""How sites answer for a job that they do not know, or not any more."""
_POLLS_UNTIL_FORGOTTEN = 4
"""Some of these answers come from a site that is just starting, so one is not believed."""

LOOK_SECONDS = 20.0
"""How long the state of a job is waited for: who follows it asks again, and hears a cancel."""

_PERCENT_TEXT = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*(?:%|percent\b)", re.IGNORECASE)


_JOB_ID = re.compile(r"[\w.{}-]{1,200}", re.ASCII)
_BELOW_JOB = re.compile(r"(?:[\w.-]+/)?[\w.-]{1,200}", re.ASCII)
"""What a site names becomes part of an address: nothing that would make it another one."""


@dataclass(frozen=True)
class JobState:
    """A job at one moment. `status`: the site's own word. `percent`: 0-100 where the job tells.

    `results`: path of each result below the job, by its name. `outputs`: URLs of files, which jobs
    of hosted layers tell by themselves. `tiles`: made so far, where the job counts them.
    """

    job_id: str
    status: str
    phase: JobPhase
    percent: float | None
    messages: tuple[Message, ...]
    results: Mapping[str, str]
    outputs: tuple[str, ...] = ()
    tiles: int | None = None

    @property
    def failure(self) -> str:
        """Why it failed: the first error message, else the last message, else the status.

        Tools tell the reason first and then only that, and when, they failed.
        """
        errors = [item.text for item in self.messages if item.severity is Severity.ERROR]
        return (errors[:1] or [item.text for item in self.messages] or [self.status])[-1]

    @property
    def is_understood(self) -> bool:
        """Whether `status` is a word of ArcGIS for a job."""
        return self.phase is not JobPhase.RUNNING or self.status.lower() in _GOES_ON

    @property
    def percent_in_messages(self) -> float | None:
        """The last percentage that stands in a message; a hint only."""
        for message in reversed(self.messages):
            found = _PERCENT_TEXT.findall(message.text)
            if found and float(found[-1]) <= 100:
                return float(found[-1])
        return None


@dataclass(frozen=True)
class Pace:
    """How a job is followed, in seconds.

    Polls start at `first` and slow down to `longest` (Esri's own client polls every 2 s).
    `patience`: how long a site may give no answer. `cancel_patience`: how long it may take to
    confirm a cancellation.
    """

    first: float = 0.5
    longest: float = 3.0
    patience: float = 300.0
    cancel_patience: float = 60.0


@dataclass(frozen=True)
class Job:
    """A job at `url`, `.../<task>/jobs/<id>`."""

    url: str
    job_id: str
    client: Client

    def state(self) -> JobState:
        """The job now. Raises SiteError."""
        body = self.client.once().read(self.url, read_seconds=LOOK_SECONDS)
        return parse_job(body, self.job_id)

    def cancel(self) -> None:
        """Ask the site to cancel it. Raises SiteError."""
        form: dict[str, str] = {}
        url = f"{self.url}/cancel"
        self.client.once().submit(url, form, repeatable=True, read_seconds=LOOK_SECONDS)

    def result(self, state: JobState, name: str) -> object:
        """Value of result `name`, or of the only one where it has another name. Raises SiteError.

        None where there is none.
        """
        only = next(iter(state.results.values())) if len(state.results) == 1 else None
        path = state.results.get(name, only)
        if path is None or not _BELOW_JOB.fullmatch(path) or ".." in path:
            return None
        return self.client.read(f"{self.url}/{path}").get("value")


def submit_job(client: Client, task_url: str, form: Mapping[str, str]) -> Job:
    """Submit a job to the asynchronous task at `task_url`. Raises SiteError, JobFailed.

    NotArcGIS, too, where the answer tells neither of a job nor that there is none.
    """
    url = f"{task_url}/submitJob"
    body = client.submit(url, form)
    job_id = text(body.get("jobId"))
    if not (job_id or text(body.get("jobStatus"))):
        raise NotArcGIS(url, 200, "no jobId")
    if not _JOB_ID.fullmatch(job_id) or ".." in job_id:
        raise JobFailed(task_url, text(body.get("jobStatus")) or "no jobId")
    return Job(f"{task_url}/jobs/{job_id}", job_id, client)


def parse_job(body: JsonObject, job_id: str = "") -> JobState:
    """The job in `body`."""
    status = text(body.get("jobStatus")) or text(body.get("status"))
    progress = mapping(body.get("progress"))
    percent = number(progress.get("percentage", progress.get("percent")))
    results = {
        name: text(mapping(value).get("paramUrl"))
        for name, value in mapping(body.get("results")).items()
    }
    return JobState(
        job_id=text(body.get("jobId")) or job_id,
        status=status,
        phase=_PHASES.get(status.lower(), JobPhase.RUNNING),
        percent=None if percent is None else min(max(percent, 0.0), 100.0),
        messages=_messages(body),
        results={name: path for name, path in results.items() if path},
        outputs=_outputs(mapping(body.get("output")).get("outputUrl")),
    )


class Followed(Protocol):
    """A job as far as it takes one to follow it: at `url`, asked for its state, cancelled."""

    @property
    def url(self) -> str: ...

    def state(self) -> JobState:
        """The job now. Raises SiteError."""

    def cancel(self) -> None:
        """Ask the site to cancel it. Raises SiteError."""


def follow(
    job: Followed,
    feedback: Feedback,
    pace: Pace,
    percent_of: Callable[[JobState], float | None],
) -> JobState | None:
    """Follow `job` to its end, succeeded or cancelled, telling `feedback`; None where abandoned.

    A cancellation that `feedback` asks for is passed on to the site, and waited for. A site that
    does not answer is asked again for `pace.patience` seconds.
    Raises JobFailed, JobLost, CancelUnconfirmed.
    """
    return _Follower(job, feedback, pace, percent_of).run()


class _Follower:
    """One run of `follow`: what has been told, when the site last answered."""

    def __init__(
        self,
        job: Followed,
        feedback: Feedback,
        pace: Pace,
        percent_of: Callable[[JobState], float | None],
    ) -> None:
        self._job, self._feedback, self._pace, self._percent_of = job, feedback, pace, percent_of
        self._told = 0
        self._last_answer, self._has_answered = time.monotonic(), False
        self._cancel_asked: float | None = None
        self._cancel_sent = False
        self._trouble_told = False
        self._unknown = 0
        self._last_told: object = None

    def run(self) -> JobState | None:
        interval = self._pace.first
        while not self._feedback.abandoned():
            self._pass_on_cancel()
            state = self._state()
            if state is not None and self._has_ended(state):
                return state
            wait(interval, self._woken)
            interval = min(interval * 1.5, self._pace.longest)
        return None

    def _has_ended(self, state: JobState) -> bool:
        self._tell(state)
        cancelled_by_us = state.phase is JobPhase.DELETED and self._cancel_sent
        if state.phase in (JobPhase.FAILED, JobPhase.DELETED) and not cancelled_by_us:
            raise JobFailed(self._job.url, state.failure)
        return state.phase in _ENDS_WELL or cancelled_by_us

    def _woken(self) -> bool:
        cancelled = self._cancel_asked is None and self._feedback.cancelled()
        return cancelled or self._feedback.abandoned()

    def _pass_on_cancel(self) -> None:
        if self._cancel_asked is None:
            if not self._feedback.cancelled():
                return
            self._cancel_asked = time.monotonic()
        elif time.monotonic() - self._cancel_asked > self._pace.cancel_patience:
            raise CancelUnconfirmed(self._job.url, self._pace.cancel_patience)
        if self._cancel_sent:
            return
        try:
            self._job.cancel()
        except SiteError as error:
            if is_passing(error):
                # may not have been heard: once more after the next look at the job
                self._tell_trouble(error)
                return
            # the next state tells whether it took effect, or the job had ended before
            self._feedback.message(Message("", Severity.WARNING, error))
        self._cancel_sent = True

    def _state(self) -> JobState | None:
        """The job now; None where the site does not answer just now."""
        try:
            state = self._job.state()
        except (SiteUnreachable, NotArcGIS) as error:
            self._bear(error)
            return None
        except SignInNeeded as error:
            self._bear_no_sign_in(error)
            return None
        except (SignInFailed, NotAllowed) as error:
            raise JobLost(self._job.url, error) from error
        except SiteRefused as error:
            self._bear_refusal(error)
            return None
        if not self._is_answer(state):
            self._bear(NotArcGIS(self._job.url, 200, "no status of a job"))
            return None
        self._last_answer, self._has_answered = time.monotonic(), True
        self._trouble_told, self._unknown = False, 0
        return state

    def _is_answer(self, state: JobState) -> bool:
        """Whether `state` tells of a job: in words that are known, or by telling something new."""
        told = (state.status, state.percent, state.tiles, len(state.messages))
        is_new = bool(state.status) and told != self._last_told
        self._last_told = told
        return state.is_understood or is_new

    def _bear_refusal(self, error: SiteRefused) -> None:
        """Believe a site that it does not know the job only when it says so time and again.

        An answer without words is none of ArcGIS, but of what stands in front of it.
        """
        if error.code in _UNKNOWN_JOB and error.message:
            self._unknown += 1
            if self._unknown >= _POLLS_UNTIL_FORGOTTEN:
                raise JobLost(self._job.url, error) from error
        self._bear(error)

    def _bear_no_sign_in(self, error: SignInNeeded) -> None:
        """A site that is starting again takes nobody's token for a while, though it did before."""
        silent = time.monotonic() - self._last_answer
        if not self._has_answered or silent > self._pace.patience:
            raise JobLost(self._job.url, error) from error
        self._tell_trouble(error)

    def _bear(self, error: SiteError) -> None:
        """Wait on while patience lasts; told once for each silence."""
        silent = time.monotonic() - self._last_answer
        if silent > self._pace.patience:
            raise JobLost(self._job.url, error, silent) from error
        self._tell_trouble(error)

    def _tell_trouble(self, error: SiteError) -> None:
        if not self._trouble_told:
            silent = JobSilent(self._job.url, error, self._pace.patience)
            self._feedback.message(Message("", Severity.WARNING, silent))
            self._trouble_told = True

    def _tell(self, state: JobState) -> None:
        for message in state.messages[self._told :]:
            self._feedback.message(message)
        self._told = max(self._told, len(state.messages))
        is_done = state.phase in (JobPhase.SUCCEEDED, JobPhase.PARTIAL)
        percent = 100.0 if is_done else self._percent_of(state)
        if percent is not None:
            self._feedback.progress(percent)


def _outputs(value: object) -> tuple[str, ...]:
    return tuple(text(url) for url in items(value) or [value] if text(url))


def _messages(body: JsonObject) -> tuple[Message, ...]:
    lines = map(mapping, items(body.get("messages", body.get("message"))))
    return tuple(
        Message(
            text(line.get("description")),
            _SEVERITIES.get(text(line.get("type")).lower(), Severity.INFO),
        )
        for line in lines
        if text(line.get("description"))
    )
