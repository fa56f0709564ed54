"""The jobs of a hosted layer's administration: update and delete tiles, follow, cancel, rerun.

Source: Esri REST reference, "Job statistics", "Tile service job summary", "Cancel job" and "Rerun
job" of ArcGIS Online's hosted tile services, and Esri's own Python client. Documented are status
words and keys in mixed case, answered are others, so case does not count.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace

from ..bundle_rectangles import bundles_of, halves
from ..description import CacheDescription
from ..errors import (
    JobFailed,
    NotAllowed,
    NotArcGIS,
    NotTakenUp,
    SignInNeeded,
    SiteError,
    SiteRefused,
    TakeUpProblem,
    UnknownJob,
)
from ..esri_json import JsonObject, extent, is_true, items, mapping, number, text, whole
from ..request import FailedPlace, Message, Severity, UpdateMode, UpdateRequest
from ..site_update import TakeUp, UpdatePart
from ..tiling import Extent
from .client import Client
from .envelope import is_busy, refusal
from .hosted import (
    HOSTED_MODES,
    OPERATION,
    OPERATIONS,
    HostedAdmin,
    cut_of,
    extent_in,
    hosted_parts,
    part_of,
)
from .jobs import LOOK_SECONDS, Followed, JobPhase, JobState, parse_job

SETTLING_SECONDS = 20.0
"""For so long a job that is run again may still tell of its earlier end."""

_RERUN = {TakeUp.RESUME: "CANCELED", TakeUp.FIX: "ERROR"}
"""What of a job is run again; that it does all of that is not said, so COMPLETE is not offered."""
_LEFT = {TakeUp.RESUME: "numcanceledtasks", TakeUp.FIX: "numerrortasks"}
_ENDED_BADLY = frozenset({JobPhase.FAILED, JobPhase.PARTIAL})
_OTHER_WORDS = {"success": "done", "succeeded": "done", "complete": "done"}
_REFUSALS = frozenset({"failed", "failure", "error"})
_SIGNS_OF_A_JOB = ("jobid", "jobstatus", "status")
_ENDED_TASKS = ("numdonetasks", "numerrortasks", "numcanceledtasks")
_TOLD_OF_AN_END = ("jobstatus", "status", "lasttime", "endtime")
_UPDATES, _DELETES = ("update", "cook"), ("delete",)
"""Parts of a job's type, which is UpdateTiles or CACHECOOKER, DeleteTiles or CacheDelete."""
_JOB_ID = re.compile(r"[\w{}-]{1,200}", re.ASCII)
"""What a job is called; anything else would be another address."""

_SAME_PLACE = 1e-6
"""Part of a rectangle's size by which a site may have rounded it."""


class HostedJobs:
    """The jobs of the hosted layer administered at `admin_url`; see `site_jobs.PartJobs`."""

    is_hosted = True
    modes = HOSTED_MODES

    def __init__(self, client: Client, admin_url: str) -> None:
        self._client, self._admin_url = client, admin_url

    @property
    def submit_url(self) -> str:
        return self._admin_url

    @property
    def reporter(self) -> HostedAdmin:
        return HostedAdmin(self._admin_url, self._client)

    def parts(
        self, request: UpdateRequest, description: CacheDescription
    ) -> tuple[UpdatePart, ...]:
        """Raises ModeNotOffered, EmptyArea, AreaOutside, TooManyJobs."""
        return hosted_parts(request, description)

    def submit(self, part: UpdatePart) -> HostedJob:
        """Raises SiteError, JobFailed, UnknownJob (a part that is none of a hosted layer).

        NotArcGIS, too, where the answer names no job and does not say that there is none.
        """
        form = dict(part.form)
        operation = form.pop(OPERATION, "")
        if operation not in OPERATIONS.values():
            raise UnknownJob(self._admin_url)
        url = f"{self._admin_url}/{operation}"
        body = self._client.submit(url, form)
        job_id = text(_lowered(body).get("jobid"))
        said = [text(body.get(key)) for key in ("message", "status") if text(body.get(key))]
        status = text(body.get("status")).lower()
        if status in _REFUSALS or (said and not job_id and status not in _OTHER_WORDS):
            raise JobFailed(url, said[0])
        if not job_id:
            raise NotArcGIS(url, 200, "no jobId")
        if not _JOB_ID.fullmatch(job_id):
            raise JobFailed(url, f"jobId {job_id!r}")
        return self._job(job_id)

    def reopen(self, part: UpdatePart) -> HostedJob:
        job_id = part.job_url[len(self._jobs_url) + 1 :]
        if not (part.job_url.startswith(f"{self._jobs_url}/") and _JOB_ID.fullmatch(job_id)):
            raise UnknownJob(part.job_url)
        return self._job(job_id)

    def listed(self, since: float) -> tuple[str, ...] | None:
        """All jobs in the administration's list: clocks may differ by more than one would think."""
        try:
            return tuple(self._listed())
        except SiteRefused as error:
            if is_busy(error):
                raise
            return None

    def find_lost(self, part: UpdatePart, since: float, known: frozenset[str]) -> str | None:
        """The first job in the administration's list, none of `known`, that does what `part` does.

        Raises SiteError.
        """
        candidates = [
            (submitted, url)
            for url, job in self._listed().items()
            if url not in known
            and _does(job, part)
            and (submitted := number(job.get("submitTime"))) is not None
        ]
        return min(candidates)[1] if candidates else None

    def take_ups(self) -> tuple[TakeUp, ...]:
        return tuple(_RERUN)

    def take_up(self, part: UpdatePart, how: TakeUp) -> HostedJob:
        """Raises SiteError, NotTakenUp, UnknownJob."""
        job = self.reopen(part)
        if how not in _RERUN:
            raise NotTakenUp(job.url, TakeUpProblem.NOT_OFFERED, how.value)
        body = job.read()
        problem = _problem(parse_hosted_job(body, job.job_id), body, how)
        if problem is not None:
            raise NotTakenUp(job.url, problem, how.value)
        _told(self._client, f"{job.url}/rerun", {"rerun": _RERUN[how]}, repeatable=False)
        return HostedJob(self._client, job.url, settles_from=body)

    def split(self, part: UpdatePart, description: CacheDescription) -> tuple[UpdatePart, ...]:
        cut = cut_of(part, description)
        if cut is None:
            return ()
        return tuple(part_of(half, part, description) for half in halves(description.scheme, cut))

    def places(
        self, part: UpdatePart, description: CacheDescription, message: str
    ) -> tuple[FailedPlace, ...]:
        cut = cut_of(part, description)
        blocks = {} if cut is None else {key: bundles_of(each) for key, each in cut.tiles.items()}
        return tuple(
            FailedPlace(
                description.scheme.level(key),
                block.min_row,
                block.max_row,
                block.min_col,
                block.max_col,
                message,
            )
            for key, block in blocks.items()
        )

    def output(self, job: Followed, state: JobState) -> str:
        """Nothing: the administration tells of jobs, not of the service."""
        return ""

    @property
    def _jobs_url(self) -> str:
        return f"{self._admin_url}/jobs"

    def _listed(self) -> dict[str, JsonObject]:
        """The jobs that the administration lists, by URL. Raises SiteError."""
        jobs = map(mapping, items(self._client.read(self._jobs_url).get("jobs")))
        return {
            self._job(text(job.get("id"))).url: job
            for job in jobs
            if _JOB_ID.fullmatch(text(job.get("id")))
        }

    def _job(self, job_id: str) -> HostedJob:
        return HostedJob(self._client, f"{self._jobs_url}/{job_id}")


class HostedJob:
    """A job of a hosted layer at `url`, `.../jobs/<id>`; see `jobs.Followed`.

    `settles_from`: what it told before it was asked to run again; that may take a moment.
    """

    def __init__(self, client: Client, url: str, settles_from: JsonObject | None = None) -> None:
        self._client, self._url = client, url
        self._earlier = settles_from
        self._settled_by = time.monotonic() + SETTLING_SECONDS
        self._has_statistics = True

    @property
    def url(self) -> str:
        return self._url

    @property
    def job_id(self) -> str:
        return self._url.rpartition("/")[2]

    def state(self) -> JobState:
        """The job now. Raises SiteError."""
        body = self.read()
        state = parse_hosted_job(body, self.job_id)
        if self._earlier is not None:
            if time.monotonic() < self._settled_by and _tells_the_same(body, self._earlier):
                return replace(state, phase=JobPhase.RUNNING)
            self._earlier = None
        return state

    def cancel(self) -> None:
        """Ask the site to cancel it. Raises SiteError."""
        _told(self._client.once(), f"{self._url}/cancel", {}, repeatable=True)

    def read(self) -> JsonObject:
        """What the site tells of it, its keys in lower case. Raises SiteError.

        Tiled imagery tells it also below the job.
        """
        if self._has_statistics:
            try:
                return self._read(self._url)
            except (SiteRefused, NotArcGIS) as error:
                if not self._may_tell_elsewhere(error):
                    raise
                body = self._elsewhere(error)
                self._has_statistics = False
                return body
        return self._read(f"{self._url}/status")

    def _may_tell_elsewhere(self, error: SiteError) -> bool:
        is_passing = isinstance(error, (SignInNeeded, NotAllowed)) or (
            isinstance(error, SiteRefused) and is_busy(error)
        )
        return "/imageserver/" in self._url.lower() and not is_passing

    def _elsewhere(self, error: SiteError) -> JsonObject:
        """What the job's status tells; where that tells nothing, `error` of the job is raised."""
        try:
            return self._read(f"{self._url}/status")
        except (SiteRefused, NotArcGIS):
            raise error from None

    def _read(self, url: str) -> JsonObject:
        body = _lowered(self._client.once().read(url, read_seconds=LOOK_SECONDS))
        if not any(key in body for key in _SIGNS_OF_A_JOB):
            raise NotArcGIS(url, 200, "no job")
        return body


def parse_hosted_job(body: JsonObject, job_id: str = "") -> JobState:
    """The job in `body`, statistics or status of a hosted layer's job."""
    body = _lowered(body)
    word = text(body.get("jobstatus")) or text(body.get("status"))
    known = _OTHER_WORDS.get(word.lower(), word)
    state = parse_job({"jobStatus": known, "jobId": body.get("jobid")}, job_id)
    said = text(body.get("message"))
    severity = Severity.ERROR if state.phase in _ENDED_BADLY else Severity.INFO
    return replace(
        state,
        status=word,
        percent=_percent(body),
        messages=(Message(said, severity),) if said else (),
        tiles=whole(body.get("numtiles")),
    )


def _percent(body: JsonObject) -> float | None:
    """How far the job of `body` is: as it says, else by its tasks, which are bundles."""
    told = number(body.get("percentcomplete"))
    if told is None:
        every = number(body.get("numtasks")) or 0.0
        ended = [number(body.get(key)) for key in _ENDED_TASKS]
        if every <= 0 or ended[0] is None:
            return None
        told = 100.0 * sum(count for count in ended if count) / every
    return min(max(told, 0.0), 100.0)


def _problem(state: JobState, body: JsonObject, how: TakeUp) -> TakeUpProblem | None:
    """Why the job of `state`, as told in `body`, cannot be taken up by `how`; None where it can."""
    if state.phase is JobPhase.RUNNING:
        return TakeUpProblem.STILL_RUNNING
    left = whole(body.get(_LEFT[how]))
    if left is None:
        # imagery may not count: then by how it ended
        ends = {JobPhase.CANCELLED} if how is TakeUp.RESUME else _ENDED_BADLY
        left = int(state.phase in ends)
    return None if left > 0 else TakeUpProblem.NOTHING_LEFT


def _does(job: JsonObject, part: UpdatePart) -> bool:
    """Whether the listed `job` does what `part` does, by all that is told; nothing told is no."""
    is_delete = part.form.get(OPERATION) == OPERATIONS[UpdateMode.DELETE]
    kind = text(job.get("type")).lower()
    if not any(word in kind for word in (_DELETES if is_delete else _UPDATES)):
        return False
    levels = {whole(mapping(lod).get("levelID")) for lod in items(job.get("lodInfos"))}
    there, asked = extent(job.get("extent")), extent_in(part.form.get("extent", ""))
    if not levels and (there is None or asked is None):
        return False
    same_levels = not levels or levels == set(part.level_ids)
    return same_levels and (there is None or asked is None or _same_place(there, asked))


def _same_place(one: Extent, other: Extent) -> bool:
    margin = _SAME_PLACE * max(one.xmax - one.xmin, one.ymax - one.ymin)
    return all(abs(a - b) <= margin for a, b in zip(one.bounds, other.bounds))


def _told(client: Client, url: str, form: Mapping[str, str], *, repeatable: bool) -> None:
    """Have the site do something to a job. Raises SiteError, also where it says "no success"."""
    seconds = LOOK_SECONDS if repeatable else None
    body = client.submit(url, form, repeatable=repeatable, read_seconds=seconds)
    if "success" in body and not is_true(body["success"]):
        raise refusal(url, None, text(body.get("message")) or "success: false")


def _tells_the_same(body: JsonObject, earlier: JsonObject) -> bool:
    return all(body.get(key) == earlier.get(key) for key in _TOLD_OF_AN_END)


def _lowered(body: JsonObject) -> JsonObject:
    return {key.lower(): value for key, value in body.items()}
