"""A cache on an ArcGIS site: described by its service, updated by the site's caching task."""

from __future__ import annotations

from dataclasses import replace

from ..coverage import count_tiles
from ..description import CacheDescription, LevelStatus
from ..errors import SiteError, TileCacheError, UnknownScale
from ..request import (
    Feedback,
    LevelReport,
    Outcome,
    UpdateMode,
    UpdateReport,
    UpdateRequest,
)
from .address import ServiceAddress
from .caching import find_caching_task, update_form
from .client import Client
from .jobs import Job, JobPhase, JobState, Pace, follow, submit_job
from .progress import Progress, TileCounts, counts_of
from .service import parse_service
from .status import StatusReporter, open_reporter

OUTPUT = "out_service_url"
"""The caching task's result: address of the updated service."""


class ArcGISCache:
    """The tile cache of a map or image service. Blocks: for use off the main thread."""

    def __init__(self, service: ServiceAddress, client: Client, pace: Pace | None = None) -> None:
        self._service, self._client, self._pace = service, client, pace or Pace()
        self._description: CacheDescription | None = None

    def describe(self) -> CacheDescription:
        """What the service is, which update modes its site offers, how full it is.

        Raises SiteError, NotCached, DescriptionError.
        """
        body = self._client.read(self._service.url)
        description = parse_service(body, self._service)
        try:
            modes = tuple(find_caching_task(self._client, self._service.site_url).modes)
            description = replace(description, modes=modes)
        except TileCacheError as error:
            description = replace(description, modes_problem=error)
        reporter = self._reporter()
        status = () if reporter is None else _read(reporter)
        self._description = replace(description, status=status)
        return self._description

    def update(self, request: UpdateRequest, feedback: Feedback) -> UpdateReport:
        """Have the site carry out `request`; see `Cache.update`.

        Raises SiteError, CachingUnavailable, RequestError, JobError.
        """
        description = self._description or self.describe()
        _check_levels(request, description)
        task = find_caching_task(self._client, self._service.site_url)
        form = update_form(task, self._service.caching_name, request, description.scheme.crs)
        planned = _planned(request, description)
        reporter = self._reporter()
        before = () if reporter is None else _read(reporter)
        job = submit_job(self._client, task.url, form)
        if not request.wait:
            return _report(request, planned, {}, Outcome.SUBMITTED, job, self._service.url)
        progress = Progress(request, planned, before, reporter)
        state = follow(job, feedback, self._pace, progress.percent)
        after = () if reporter is None else _read(reporter)
        cancelled = state.phase is JobPhase.CANCELLED
        outcome = Outcome.CANCELLED if cancelled else Outcome.DONE
        change = _change(counts_of(before), counts_of(after))
        report = _report(request, planned, change, outcome, job, self._output(job, state))
        return replace(report, messages=state.messages)

    def _reporter(self) -> StatusReporter | None:
        try:
            return open_reporter(self._client, self._service.site_url, self._service.caching_name)
        except SiteError:
            return None

    def _output(self, job: Job, state: JobState) -> str:
        try:
            value = job.result(state, OUTPUT)
        except SiteError:
            # the update itself went well; the service's own address is as good
            value = None
        return value if isinstance(value, str) and value.startswith("http") else self._service.url


def _check_levels(request: UpdateRequest, description: CacheDescription) -> None:
    """The service may have changed since its levels were chosen."""
    scheme = description.scheme
    for level in request.levels:
        if scheme.level_of_scale(level.scale).id != level.id:
            raise UnknownScale(level.scale, tuple(known.scale for known in scheme.levels))


def _planned(request: UpdateRequest, description: CacheDescription) -> TileCounts:
    """Tiles that the area touches, by level id; empty where no area is known."""
    area = request.area or request.extent or description.extent
    return {} if area is None else count_tiles(description.scheme, request.levels, area)


def _read(reporter: StatusReporter) -> tuple[LevelStatus, ...]:
    try:
        return reporter.read()
    except SiteError:
        # how full the cache is is good to know, and never a reason to stop
        return ()


def _change(before: TileCounts, after: TileCounts) -> TileCounts:
    """By how many tiles each level grew, for levels that the site counted both times."""
    return {key: after[key] - before[key] for key in before if key in after}


def _report(
    request: UpdateRequest,
    planned: TileCounts,
    change: TileCounts,
    outcome: Outcome,
    job: Job,
    output_url: str,
) -> UpdateReport:
    levels = tuple(
        _level_report(
            LevelReport(level, planned.get(level.id)), request.mode, change.get(level.id), outcome
        )
        for level in request.levels
    )
    return UpdateReport(outcome, request.mode, levels, output_url, job.job_id, job.url)


def _level_report(
    report: LevelReport, mode: UpdateMode, change: int | None, outcome: Outcome
) -> LevelReport:
    """`report` with what the `change` of the level's tile count tells; nothing where it is unknown.

    Only a job that ended well has dealt with all planned tiles, so only then is the rest known to
    have been replaced or skipped.
    """
    if change is None:
        return report
    if mode is UpdateMode.DELETE:
        return replace(report, deleted=max(-change, 0))
    made = max(change, 0)
    report = replace(report, made=made)
    if outcome is not Outcome.DONE or report.planned is None:
        return report
    rest = max(report.planned - made, 0)
    if mode is UpdateMode.RECREATE_ALL:
        return replace(report, replaced=rest)
    return replace(report, skipped=rest)
