"""A cache on an ArcGIS site: described by its service, updated by the site's caching task."""

from __future__ import annotations

from dataclasses import replace

from ..coverage import count_tiles
from ..description import CacheDescription, LevelStatus
from ..errors import ServiceChanged, SiteError, TileCacheError
from ..level_areas import by_area
from ..request import (
    Feedback,
    LevelEstimate,
    LevelReport,
    Outcome,
    UpdateMode,
    UpdateReport,
    UpdateRequest,
)
from .address import ServiceAddress, public_address
from .caching import find_caching_task, update_form
from .client import Client
from .jobs import Job, JobPhase, JobState, Pace, follow, submit_job
from .progress import Progress, TileCounts, counts_of
from .service import parse_service
from .status import StatusReporter, open_reporter

OUTPUT = "out_service_url"
"""The caching task's result: address of the updated service."""


_OUTCOMES = {
    JobPhase.SUCCEEDED: Outcome.DONE,
    JobPhase.PARTIAL: Outcome.PARTIAL,
    JobPhase.CANCELLED: Outcome.CANCELLED,
    JobPhase.DELETED: Outcome.CANCELLED,
}


class ArcGISCache:
    """The tile cache of a map or image service. Blocks: for use off the main thread."""

    def __init__(self, service: ServiceAddress, client: Client, pace: Pace | None = None) -> None:
        self._service, self._client, self._pace = service, client, pace or Pace()

    def describe(self) -> CacheDescription:
        """What the service is, which update modes its site offers, how full it is.

        Raises SiteError, NotCached, DescriptionError.
        """
        description = self._read_service()
        try:
            modes = tuple(find_caching_task(self._client, self._service.site_url).modes)
            description = replace(description, modes=modes)
        except TileCacheError as error:
            description = replace(description, modes_problem=error)
        return replace(description, status=_read(self._reporter()))

    def update(self, request: UpdateRequest, feedback: Feedback) -> UpdateReport:
        """Have the site carry out `request`; see `Cache.update`.

        Raises SiteError, CachingUnavailable, RequestError, JobError.
        """
        description = self._read_service()
        if description.scheme != request.scheme:
            raise ServiceChanged(self._service.name)
        task = find_caching_task(self._client, self._service.site_url)
        parts = request.by_area()
        # all of them before the first is sent, for any can turn out to be impossible
        forms = [update_form(task, self._service.caching_name, part) for part in parts]
        reporter = self._reporter()
        reports: list[UpdateReport] = []
        for part, form in zip(parts, forms):
            begun = _told_from(feedback, _share_done(parts, len(reports)), len(parts))
            reports.append(self._update_part(part, description, task.url, form, reporter, begun))
            is_submitted = reports[-1].outcome is Outcome.SUBMITTED
            if reports[-1].outcome is Outcome.CANCELLED or (is_submitted and request.wait):
                break
        left_out = parts[len(reports) :]
        return _joined(reports, [_planned_report(part, description) for part in left_out], request)

    def _update_part(
        self,
        request: UpdateRequest,
        description: CacheDescription,
        task_url: str,
        form: dict[str, str],
        reporter: StatusReporter | None,
        feedback: Feedback,
    ) -> UpdateReport:
        """Have the site carry out `request`, which has one area, by one job."""
        report = _planned_report(request, description)
        before = _read(reporter)
        if feedback.cancelled() or feedback.abandoned():
            unchanged = {level.id: 0 for level in request.levels}
            return _with_change(replace(report, outcome=Outcome.CANCELLED), unchanged)
        job = submit_job(self._client, task_url, form)
        report = replace(report, job_id=job.job_id, job_url=job.url)
        if not request.wait:
            return report
        progress = Progress(request, _planned(report), before, reporter)
        state = follow(job, feedback, self._pace, progress.percent)
        if state is None:
            return report
        outcome = _OUTCOMES[state.phase]
        report = replace(report, outcome=outcome, output_url=self._output(job, state))
        return _with_change(report, _change(counts_of(before), counts_of(_read(reporter))))

    def estimate(self, request: UpdateRequest, feedback: Feedback) -> tuple[LevelEstimate, ...]:
        """How many tiles the area touches; a site tells neither bytes nor seconds.

        Raises SiteError, NotCached, DescriptionError, ServiceChanged.
        """
        description = self._read_service()
        if description.scheme != request.scheme:
            raise ServiceChanged(self._service.name)
        planned = _planned_report(request, description).levels
        return tuple(LevelEstimate(each.level, each.planned, None, None) for each in planned)

    def _read_service(self) -> CacheDescription:
        return parse_service(self._client.read(self._service.url), self._service)

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
        is_address = isinstance(value, str) and value.startswith("http")
        return public_address(str(value)) if is_address else self._service.url


def _planned_report(request: UpdateRequest, description: CacheDescription) -> UpdateReport:
    """The report of an update that is only just submitted: how many tiles the area touches."""
    planned: dict[int, int] = {}
    for levels, place in by_area(request.areas, request.levels):
        area = description.extent if place is None else place
        planned.update({} if area is None else count_tiles(request.scheme, levels, area))
    reports = tuple(LevelReport(level, planned.get(level.id)) for level in request.levels)
    return UpdateReport(Outcome.SUBMITTED, request.mode, reports, description.address)


def _told_from(feedback: Feedback, first: float, parts: int) -> Feedback:
    """`feedback` for one of several jobs, which is `first` percent of the way."""
    return replace(feedback, progress=lambda percent: feedback.progress(first + percent / parts))


def _share_done(parts: tuple[UpdateRequest, ...], done: int) -> float:
    return 100.0 * done / len(parts)


def _joined(
    reports: list[UpdateReport], left_out: list[UpdateReport], request: UpdateRequest
) -> UpdateReport:
    """One report of all jobs of `request`; `left_out`: of those that were never submitted."""
    last = reports[-1]
    outcomes = {report.outcome for report in reports}
    outcome = Outcome.PARTIAL if Outcome.PARTIAL in outcomes else last.outcome
    if last.outcome in (Outcome.CANCELLED, Outcome.SUBMITTED):
        outcome = last.outcome
    unchanged = [
        _with_change(
            replace(report, outcome=Outcome.CANCELLED),
            {level.level.id: 0 for level in report.levels},
        )
        for report in left_out
    ]
    found = {each.level: each for report in [*reports, *unchanged] for each in report.levels}
    return replace(
        last,
        outcome=outcome,
        levels=tuple(found[level] for level in request.levels),
        earlier_job_urls=tuple(report.job_url for report in reports[:-1]),
    )


def _planned(report: UpdateReport) -> TileCounts:
    """Tiles that the area touches, by level id, where known."""
    return {level.level.id: level.planned for level in report.levels if level.planned is not None}


def _read(reporter: StatusReporter | None) -> tuple[LevelStatus, ...]:
    """How full the levels are; nothing where the site does not tell."""
    if reporter is None:
        return ()
    try:
        return reporter.read()
    except SiteError:
        # good to know, and never a reason to stop
        return ()


def _change(before: TileCounts, after: TileCounts) -> TileCounts:
    """By how many tiles each level grew, for levels that the site counted both times."""
    return {key: after[key] - before[key] for key in before if key in after}


def _with_change(report: UpdateReport, change: TileCounts) -> UpdateReport:
    """`report` with what the `change` of the tile counts tells of each level."""
    levels = tuple(
        _level_report(level, report.mode, change.get(level.level.id), report.outcome)
        for level in report.levels
    )
    return replace(report, levels=levels)


def _level_report(
    report: LevelReport, mode: UpdateMode, change: int | None, outcome: Outcome
) -> LevelReport:
    """`report` with what the `change` of the level's tile count tells; nothing where it is unknown.

    It is unknown, too, where it is more than was planned: then somebody else worked on the cache.
    Only a job that ended well has dealt with all planned tiles, so only then is the rest known to
    have been replaced or skipped.
    """
    if change is None or (report.planned is not None and abs(change) > report.planned):
        return report
    if mode is UpdateMode.DELETE:
        return replace(report, deleted=max(-change, 0))
    made = max(change, 0)
    report = replace(report, made=made)
    if outcome is not Outcome.DONE or report.planned is None:
        return report
    rest = report.planned - made
    if mode is UpdateMode.RECREATE_ALL:
        return replace(report, replaced=rest)
    return replace(report, skipped=rest)
