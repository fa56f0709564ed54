"""A cache on an ArcGIS site: described by its service, updated by the jobs of the site."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace

from ..description import CacheDescription
from ..errors import ServiceChanged, SiteError, TileCacheError
from ..planned import planned_of
from ..request import Feedback, LevelEstimate, UpdateReport, UpdateRequest
from ..site_update import SiteUpdate, UpdatePart
from .address import ServiceAddress
from .client import Client
from .jobs import Pace
from .opening_jobs import find_jobs
from .progress import TileCounts, counts_of, read_status
from .service import parse_service
from .site_jobs import PartJobs, Reporter
from .site_updates import UpdateRun
from .status import open_reporter
from .update_reports import report_of


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
            jobs = find_jobs(self._client, self._service, description)
        except TileCacheError as error:
            description = replace(description, modes_problem=error)
            return replace(description, status=read_status(self._reporter()))
        description = replace(description, modes=jobs.modes, is_hosted=jobs.is_hosted)
        return replace(description, status=read_status(jobs.reporter))

    def update(self, request: UpdateRequest, feedback: Feedback) -> UpdateReport:
        """Have the site carry out `request`; see `Cache.update`.

        Raises SiteError, CachingUnavailable, RequestError, JobError, SubmissionUnclear.
        """
        description = self._read_service_of(request)
        jobs = find_jobs(self._client, self._service, description)
        description = replace(description, is_hosted=jobs.is_hosted)
        parts = jobs.parts(request, description)
        status = read_status(jobs.reporter)
        begun = self._begun(request, jobs, parts, counts_of(status))
        run = UpdateRun(begun, jobs, feedback, self._pace, lambda: description, status)
        update = run.run(follows=request.wait)
        after = read_status(jobs.reporter) if update.has_ended and update.job_urls else ()
        return report_of(update, counts_of(after))

    def _begun(
        self,
        request: UpdateRequest,
        jobs: PartJobs,
        parts: tuple[UpdatePart, ...],
        before: TileCounts,
    ) -> SiteUpdate:
        now = time.time()
        return SiteUpdate(
            key=secrets.token_hex(8),
            address=self._service.url,
            name=self._service.name,
            mode=request.mode,
            levels=request.levels,
            submit_url=jobs.submit_url,
            parts=parts,
            started=now,
            changed=now,
            is_hosted=jobs.is_hosted,
            before=before,
            isolates_failures=request.isolates_failures,
            alarm_seconds=request.alarm_seconds,
        )

    def estimate(self, request: UpdateRequest, feedback: Feedback) -> tuple[LevelEstimate, ...]:
        """How many tiles the area touches; a site tells neither bytes nor seconds.

        Raises SiteError, NotCached, DescriptionError, ServiceChanged.
        """
        description = self._read_service_of(request)
        try:
            is_hosted = find_jobs(self._client, self._service, description).is_hosted
        except TileCacheError:
            # nobody can update it, which is not what is asked here
            is_hosted = False
        description = replace(description, is_hosted=is_hosted)
        planned = planned_of(description, request.areas, request.levels)
        return tuple(
            LevelEstimate(level, planned.get(level.id), None, None) for level in request.levels
        )

    def _read_service_of(self, request: UpdateRequest) -> CacheDescription:
        """What the service is. Raises ServiceChanged where `request` is about another scheme."""
        description = self._read_service()
        if description.scheme != request.scheme:
            raise ServiceChanged(self._service.name)
        return description

    def _read_service(self) -> CacheDescription:
        return parse_service(self._client.read(self._service.url), self._service)

    def _reporter(self) -> Reporter | None:
        try:
            return open_reporter(self._client, self._service.site_url, self._service.caching_name)
        except SiteError:
            return None
