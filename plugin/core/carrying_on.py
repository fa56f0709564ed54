"""Updates on a site that were begun earlier: followed on, looked at, cancelled, taken up again.

Everything here blocks: call it off the main thread. `sign_in`, `transport`: as for `open_cache`.
`feedback.keep` hears of the update before each request that changes something, and after.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from .arcgis.address import service_of
from .arcgis.client import Client
from .arcgis.credentials import SignIn
from .arcgis.jobs import Pace
from .arcgis.jobs_by_address import job_address, update_of
from .arcgis.opening_jobs import jobs_of
from .arcgis.progress import counts_of, read_status
from .arcgis.service import parse_service
from .arcgis.site_jobs import PartJobs
from .arcgis.site_updates import UpdateRun
from .arcgis.transport import RequestsTransport, Transport
from .arcgis.update_reports import report_of
from .description import CacheDescription
from .errors import (
    JobFailed,
    JobLost,
    NotTakenUp,
    SubmissionUnclear,
    TakeUpProblem,
)
from .request import Feedback, UpdateReport
from .site_update import PartState, SiteUpdate, TakeUp, UpdatePart

LOOK = Pace(first=0.25, longest=1.0, patience=10.0, cancel_patience=10.0)
"""How long a job is looked at before a site that does not answer is believed to be silent."""

_NEVER_BEGUN = frozenset({PartState.CANCELLED, PartState.FAILED})
_TAKEN_UP: Mapping[TakeUp, frozenset[PartState]] = {
    TakeUp.RESUME: frozenset({PartState.CANCELLED, PartState.FAILED}),
    TakeUp.FIX: frozenset({PartState.FAILED, PartState.PARTIAL}),
    TakeUp.COMPLETE: frozenset(
        {PartState.CANCELLED, PartState.FAILED, PartState.PARTIAL, PartState.LOST}
    ),
}
"""Which ended jobs each way of taking up is for."""


def carry_on(
    update: SiteUpdate,
    feedback: Feedback,
    *,
    sign_in: SignIn | None = None,
    transport: Transport | None = None,
    pace: Pace | None = None,
    wait: bool = True,
) -> UpdateReport:
    """Follow what runs of `update`, look for what was lost on the way, and ask for the rest.

    Of one that has ended, nothing is asked for: what came of it is told. Not `wait`: returns once
    everything is asked for.
    Raises SiteError, SubmissionUnclear, JobFailed, JobLost, CancelUnconfirmed, UnknownJob.
    """
    opened = _Opened(update, feedback, sign_in, transport)
    return opened.report(opened.run(update, feedback, pace).run(follows=wait))


def look_at(
    update: SiteUpdate,
    *,
    sign_in: SignIn | None = None,
    transport: Transport | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    pace: Pace | None = None,
) -> SiteUpdate:
    """`update` as it stands now; nothing is asked for, nothing kept.

    Raises SiteError, UnknownJob where nothing can be learnt.
    """
    if update.has_ended:
        return update
    feedback = Feedback(cancelled=cancelled, abandoned=cancelled)
    opened = _Opened(update, feedback, sign_in, transport)
    return opened.run(update, feedback, pace or LOOK).look()


def update_at(
    job_url: str,
    *,
    sign_in: SignIn | None = None,
    transport: Transport | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> SiteUpdate:
    """The update that the job at `job_url` is, which no record need know; RUNNING till looked at.

    Raises UnknownJob where that is no address of a job, or the site knows none there; SiteError.
    """
    job = job_address(job_url)
    client = Client(transport or RequestsTransport(), job.site_url, sign_in, cancelled=cancelled)
    return update_of(job, client)


def cancel_update(
    update: SiteUpdate,
    feedback: Feedback,
    *,
    sign_in: SignIn | None = None,
    transport: Transport | None = None,
    pace: Pace | None = None,
) -> SiteUpdate:
    """Have the site cancel what runs of `update`, and ask for nothing more; what became of it.

    A part whose answer was lost and that is not found is LOST. `feedback.cancelled` is not asked;
    `feedback.abandoned` ends the waiting for the site's word.
    Raises SiteError, JobLost (the site does not answer), CancelUnconfirmed, UnknownJob.
    """
    opened = _Opened(update, replace(feedback, cancelled=lambda: False), sign_in, transport)
    cancelling = replace(feedback, cancelled=lambda: True)
    while True:
        run = opened.run(update, cancelling, pace)
        try:
            return run.run(follows=True)
        except (JobFailed, JobLost):
            if not run.update.has_ended:
                raise
            # it had come to its end before
            return run.update
        except SubmissionUnclear:
            update = _without_unclear(run.update)
            feedback.keep(update)


def take_ups(
    update: SiteUpdate,
    *,
    sign_in: SignIn | None = None,
    transport: Transport | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[TakeUp, ...]:
    """How `update`, which has ended, can be taken up again; () where it cannot, or goes on.

    What was never begun can always be resumed; whether ended jobs can, the site tells.
    Raises SiteError, CachingUnavailable.
    """
    if not update.has_ended:
        return ()
    ways = [how for how in TakeUp if _chosen(update, how)]
    begins = bool(_never_begun(update))
    if ways:
        opened = _Opened(update, Feedback(cancelled=cancelled), sign_in, transport)
        offered = opened.jobs.take_ups()
        ways = [how for how in ways if how in offered]
    return tuple(how for how in TakeUp if how in ways or (begins and how is TakeUp.RESUME))


def take_up(
    update: SiteUpdate,
    how: TakeUp,
    feedback: Feedback,
    *,
    sign_in: SignIn | None = None,
    transport: Transport | None = None,
    pace: Pace | None = None,
    wait: bool = True,
) -> UpdateReport:
    """Take up the ended jobs of `update` that `how` is for, and ask for what was never begun.

    What was never begun is asked for where `how` is RESUME or COMPLETE.
    Raises NotTakenUp, and as `carry_on` does.
    """
    url = update.job_urls[-1] if update.job_urls else update.submit_url
    if not update.has_ended:
        raise NotTakenUp(url, TakeUpProblem.STILL_RUNNING, how.value)
    chosen = _chosen(update, how)
    begins = _never_begun(update) if how is not TakeUp.FIX else ()
    if not chosen and not begins:
        raise NotTakenUp(url, TakeUpProblem.NOTHING_LEFT, how.value)
    opened = _Opened(update, feedback, sign_in, transport)
    if chosen and how not in opened.jobs.take_ups():
        raise NotTakenUp(url, TakeUpProblem.NOT_OFFERED, how.value)
    parts = [
        replace(part, is_rest_unknown=_leaves_rest(update, part, how)) if index in chosen else part
        for index, part in enumerate(update.parts)
    ]
    for index in begins:
        parts[index] = replace(parts[index], state=PartState.WAITING, detail="")
    places = () if how is not TakeUp.RESUME else update.failed_places
    begun = replace(update, parts=tuple(parts), failed_places=places)
    run = opened.run(begun, feedback, pace, dict.fromkeys(chosen, how))
    return opened.report(run.run(follows=wait))


class _Opened:
    """The site of an update, opened again."""

    def __init__(
        self,
        update: SiteUpdate,
        feedback: Feedback,
        sign_in: SignIn | None,
        transport: Transport | None,
    ) -> None:
        def stopped() -> bool:
            return feedback.cancelled() or feedback.abandoned()

        self._service = service_of(update.address)
        self._client = Client(
            transport or RequestsTransport(), self._service.site_url, sign_in, cancelled=stopped
        )
        self.jobs: PartJobs = jobs_of(update, self._client)

    def run(
        self,
        update: SiteUpdate,
        feedback: Feedback,
        pace: Pace | None,
        taken_up: Mapping[int, TakeUp] | None = None,
    ) -> UpdateRun:
        return UpdateRun(
            update, self.jobs, feedback, pace or Pace(), self._describe, take_ups=taken_up
        )

    def report(self, update: SiteUpdate) -> UpdateReport:
        after = read_status(self.jobs.reporter) if update.has_ended and update.job_urls else ()
        return report_of(update, counts_of(after))

    def _describe(self) -> CacheDescription:
        description = parse_service(self._client.read(self._service.url), self._service)
        return replace(description, is_hosted=self.jobs.is_hosted)


def _chosen(update: SiteUpdate, how: TakeUp) -> tuple[int, ...]:
    """Places of the parts whose ended jobs `how` is for."""
    states = _TAKEN_UP[how]
    if how is TakeUp.RESUME and update.is_hosted:
        # what failed of a hosted layer's job is FIX's business, all of it
        states = states - {PartState.FAILED}
    return tuple(
        index
        for index, part in enumerate(update.parts)
        if part.job_url and not part.is_split and part.state in states
    )


def _leaves_rest(update: SiteUpdate, part: UpdatePart, how: TakeUp) -> bool:
    """Whether a part that is taken up may lack tiles even where its job then ends well.

    A caching task that failed may not have come to all tiles: FIX does what failed, RESUME what it
    had not come to, and only COMPLETE both.
    """
    if update.is_hosted or how is TakeUp.COMPLETE:
        return False
    return part.state is PartState.FAILED or (part.is_rest_unknown and how is TakeUp.FIX)


def _never_begun(update: SiteUpdate) -> tuple[int, ...]:
    """Places of the parts that ended before there was a job."""
    return tuple(
        index
        for index, part in enumerate(update.parts)
        if not part.job_url and part.state in _NEVER_BEGUN
    )


def _without_unclear(update: SiteUpdate) -> SiteUpdate:
    parts = tuple(
        replace(part, state=PartState.LOST) if part.state is PartState.UNCLEAR else part
        for part in update.parts
    )
    return replace(update, parts=parts, changed=time.time())
