"""A run over the parts of an update on a site: asks for them, follows them, keeps what became.

What is kept at any moment is enough to go on from there. A part whose submission got no answer is
looked for and never asked for again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ..description import CacheDescription, LevelStatus
from ..errors import (
    CancelUnconfirmed,
    JobError,
    JobFailed,
    JobLost,
    SiteError,
    SiteUnreachable,
    SubmissionUnclear,
    TileCacheError,
    Unreachable,
)
from ..request import Feedback, Message, Severity
from ..site_update import ENDED, PartState, SiteUpdate, TakeUp, UpdatePart
from .client import wait
from .isolating import Isolation
from .jobs import Followed, JobPhase, JobState, Pace, follow
from .progress import Progress, progress_of
from .shares import Shares
from .site_jobs import PartJobs
from .stalls import StallWatch
from .submissions import has_forgotten, has_no_room, is_passing, may_have_arrived, only_a_page

LOOKS_FOR_LOST = 4
"""A site that was just restarted, or a job that was just taken on, may not be listed at once."""

LOOKS_FOR_OTHERS = 2
"""How often the list is asked for before a submission, where there is no answer."""

SLOW_SECONDS = 10.0
"""A site that takes longer to list no jobs is not asked for them again in this run."""

_ENDS = {
    JobPhase.SUCCEEDED: PartState.DONE,
    JobPhase.PARTIAL: PartState.PARTIAL,
    JobPhase.CANCELLED: PartState.CANCELLED,
    JobPhase.DELETED: PartState.CANCELLED,
}
_STOPS = frozenset({PartState.FAILED, PartState.LOST, PartState.CANCELLED})
"""After one of these ends, the parts that still wait are not asked for."""


class UpdateRun:
    """One run over `update`, which changes with it, by `jobs`.

    `describe`: reads what the service is, where it must be known. `status`: how full the cache was
    just now, where that was asked. `take_ups`: which parts are taken up again, by their place, and
    how; None: this run goes on with what was begun.
    """

    def __init__(
        self,
        update: SiteUpdate,
        jobs: PartJobs,
        feedback: Feedback,
        pace: Pace,
        describe: Callable[[], CacheDescription],
        status: tuple[LevelStatus, ...] | None = None,
        take_ups: Mapping[int, TakeUp] | None = None,
    ) -> None:
        self.update = update
        self._jobs, self._feedback, self._pace, self._status = jobs, feedback, pace, status
        self._take_ups = dict(take_ups or {})
        self._is_over = take_ups is None and any(
            part.state in _STOPS and not part.is_split for part in update.parts
        )
        self._isolation = Isolation(jobs, describe, feedback.message)
        self._shares = Shares(update)
        self._lists, self._follows = True, False
        self._error: JobError | None = None

    def run(self, *, follows: bool) -> SiteUpdate:
        """Ask for what waits; where it `follows`, see each part to its end before the next.

        Raises what `PartJobs` does, SubmissionUnclear, JobFailed, JobLost, CancelUnconfirmed. Then,
        too, `update` is what became.
        """
        self._follows = follows
        self._go_through(follows)
        if not follows and self._feedback.cancelled():
            self._go_through(follows=True)
        if self._error is not None:
            raise self._error
        return self.update

    def look(self) -> SiteUpdate:
        """Ask how the parts are; nothing is asked for, nothing is kept. Raises SiteError."""
        for index, part in enumerate(self.update.parts):
            if part.state is PartState.UNCLEAR:
                url = self._found(part)
                if url is not None:
                    self._change(index, state=PartState.RUNNING, job_url=url)
            if self.update.parts[index].state is PartState.RUNNING:
                self._look_at(index)
        return self.update

    # --- going through the parts -----------------------------------------------------------------

    def _go_through(self, follows: bool) -> None:
        index = 0
        while index < len(self.update.parts) and not self._feedback.abandoned():
            job = self._job_of(index)
            if job is not None and follows:
                self._follow(index, job)
            index += 1

    def _job_of(self, index: int) -> Followed | None:
        """The job that does part `index`, asked for if need be; None where there is none."""
        part = self.update.parts[index]
        if part.state is PartState.RUNNING:
            return self._jobs.reopen(part)
        if part.state is PartState.UNCLEAR:
            cause = SiteUnreachable(self.update.submit_url, Unreachable.BROKEN)
            return self._lost(index, part, cause)
        how = self._take_ups.pop(index, None)
        if part.has_ended and how is None:
            return None
        if self._is_over or self._feedback.cancelled():
            self._cancel_waiting()
            return None
        if how is None:
            return self._asked(index, self._jobs.submit)
        return self._asked(index, lambda ended: self._jobs.take_up(ended, how))

    def _asked(self, index: int, ask: Callable[[UpdatePart], Followed]) -> Followed | None:
        """The job that was begun; None where that was stopped while there was no room for it.

        In the midst of an update that is followed, a site that is out of reach or has no room for
        the moment is asked again, as one is that tells nothing of a job.
        """
        give_up = time.monotonic() + self._pace.patience
        is_told = False
        while True:
            try:
                return self._asked_once(index, ask)
            except SiteError as error:
                waits = self._follows and self._has_begun(index) and has_no_room(error)
                if not waits or time.monotonic() > give_up:
                    raise
                if not is_told:
                    self._feedback.message(Message("", Severity.WARNING, error))
                    is_told = True
            wait(self._pace.longest, self._stopped)
            if self._feedback.cancelled():
                self._cancel_waiting()
            if self._stopped():
                return None

    def _asked_once(self, index: int, ask: Callable[[UpdatePart], Followed]) -> Followed:
        part = self.update.parts[index]
        others = self._listed()
        self._set(index, state=PartState.UNCLEAR, asked_at=time.time(), others=others)
        try:
            job = ask(part)
        except TileCacheError as error:
            if isinstance(error, SiteError) and may_have_arrived(error):
                return self._lost(index, part, error)
            self._not_taken_on(index, part, error)
            raise
        self._begun(index, job.url)
        return job

    def _has_begun(self, index: int) -> bool:
        """Whether the site was asked for another part than this one."""
        return any(each.asked_at for at, each in enumerate(self.update.parts) if at != index)

    def _listed(self) -> tuple[str, ...] | None:
        """The jobs that are there already; None where nobody tells."""
        begun = time.monotonic()
        for _ in range(LOOKS_FOR_OTHERS if self._lists else 0):
            with suppress(SiteError):
                return self._jobs.listed(time.time())
        # who holds us up over it is not asked before each of a thousand parts
        self._lists = self._lists and time.monotonic() - begun < SLOW_SECONDS
        return None

    def _not_taken_on(self, index: int, before: UpdatePart, error: TileCacheError) -> None:
        """The site did not take the part on: as `before`, where that can be tried again."""
        is_for_now = isinstance(error, SiteError) and is_passing(error)
        if before.state in ENDED or (is_for_now and self._has_begun(index)):
            self._set(index, state=before.state, asked_at=before.asked_at, others=None)
            return
        words = str(getattr(error, "message", ""))
        self._change(index, state=PartState.FAILED, detail=words, others=None)
        self._cancel_waiting()

    def _lost(self, index: int, before: UpdatePart, cause: SiteError) -> Followed:
        """The job of part `index`, whose submission got no answer. Raises SubmissionUnclear."""
        url = self._looked_for(index)
        if url is not None:
            self._begun(index, url)
            return self._jobs.reopen(self.update.parts[index])
        if only_a_page(cause):
            self._not_taken_on(index, before, cause)
            raise cause
        raise SubmissionUnclear(self.update.name, cause) from cause

    def _looked_for(self, index: int) -> str | None:
        part = self.update.parts[index]
        if part.others is None and not self._is_the_same_job(part):
            # a job that does the same may have been there before
            return None
        for look in range(1, LOOKS_FOR_LOST + 1):
            try:
                url = self._found(part)
            except SiteError:
                # the next look may get an answer
                url = None
            if url is not None or look == LOOKS_FOR_LOST or self._stopped():
                return url
            wait(look * self._pace.longest, self._stopped)
        return None

    def _found(self, part: UpdatePart) -> str | None:
        """URL of the job of a part whose submission got no answer. Raises SiteError."""
        if self._is_the_same_job(part):
            is_on = self._jobs.reopen(part).state().phase is JobPhase.RUNNING
            return part.job_url if is_on else None
        if part.others is None:
            return None
        known = frozenset({*self.update.job_urls, *part.others})
        return self._jobs.find_lost(part, part.asked_at, known)

    def _is_the_same_job(self, part: UpdatePart) -> bool:
        """Whether `part` is a hosted layer's ended job, run again: it has no other id then."""
        return bool(part.job_url) and self._jobs.is_hosted

    # --- following a part ------------------------------------------------------------------------

    def _follow(self, index: int, job: Followed) -> None:
        watch = StallWatch(
            job.url, self._progress(index), self.update.alarm_seconds, self._feedback.message
        )
        told = replace(self._feedback, progress=lambda percent: self._tell(index, percent))
        try:
            state = follow(job, told, self._pace, watch.percent)
        except JobFailed as error:
            self._has_failed(index, error)
        except JobLost as error:
            if not has_forgotten(error):
                raise
            self._change(index, state=PartState.LOST, detail=_words_of(error))
            self._stop(error)
        except CancelUnconfirmed as error:
            self._stop(error)
        else:
            if state is None:
                self._keep()
            else:
                self._has_ended(index, job, state)

    def _has_ended(self, index: int, job: Followed, state: JobState) -> None:
        detail = ""
        if state.phase is JobPhase.PARTIAL:
            detail = state.failure
            if self._isolated(index, JobFailed(job.url, detail), is_any_done=True):
                return
        output = self._jobs.output(job, state)
        if output:
            self.update = replace(self.update, output_url=output)
        self._change(index, state=self._end(index, state), detail=detail)
        if _ENDS[state.phase] is PartState.CANCELLED:
            self._is_over = True
            self._cancel_waiting()
            return
        self._isolation.succeeded()
        self._keep()

    def _end(self, index: int, state: JobState) -> PartState:
        return self.update.parts[index].end(_ENDS[state.phase])

    def _has_failed(self, index: int, error: JobFailed) -> None:
        if not self._isolated(index, error):
            self._change(index, state=PartState.FAILED, detail=error.message)
            self._stop(error)

    def _isolated(self, index: int, error: JobFailed, *, is_any_done: bool = False) -> bool:
        """Whether what failed in a part is looked for in smaller ones, or is listed by now."""
        if self._feedback.cancelled():
            return False
        isolated = self._isolation.of(self.update, index, error, is_any_done=is_any_done)
        if isolated is None:
            return False
        self._shares.split(index, len(isolated.parts) - len(self.update.parts))
        self.update = isolated
        self._keep()
        if isolated.parts[index].state is PartState.FAILED and isolated.has_ended:
            self._error = self._error or self._isolation.failure
        return True

    def _stop(self, error: JobError) -> None:
        """No part is asked for any more; `error` is raised once those that run have ended."""
        self._error = self._error or error
        self._is_over = True
        self._cancel_waiting()

    def _progress(self, index: int) -> Progress:
        status, self._status = self._status, None
        return progress_of(self.update, self.update.parts[index], self._jobs.reporter, status)

    def _tell(self, index: int, percent: float) -> None:
        whole = self._shares.percent(self.update.parts, index, percent)
        self.update = replace(self.update, percent=whole)
        self._feedback.progress(whole)

    # --- looking at a part -----------------------------------------------------------------------

    def _look_at(self, index: int) -> None:
        job, progress = self._jobs.reopen(self.update.parts[index]), self._progress(index)
        seen: list[JobState] = []

        def percent(state: JobState) -> float | None:
            seen.append(state)
            return progress.percent(state)

        feedback = Feedback(
            progress=lambda value: self._tell(index, value),
            abandoned=lambda: bool(seen) or self._stopped(),
        )
        try:
            state = follow(job, feedback, self._pace, percent)
        except JobFailed as error:
            self._change(index, state=self._seen(PartState.FAILED), detail=error.message)
        except JobLost as error:
            if not has_forgotten(error):
                raise error.cause from error
            self._change(index, state=PartState.LOST, detail=_words_of(error))
        else:
            if state is not None:
                detail = state.failure if state.phase is JobPhase.PARTIAL else ""
                self._change(index, state=self._seen(self._end(index, state)), detail=detail)

    def _seen(self, end: PartState) -> PartState:
        """`end` of a part; who is to isolate what failed in it finds it running, and failing."""
        is_failure = end in (PartState.FAILED, PartState.PARTIAL)
        return PartState.RUNNING if is_failure and self.update.isolates_failures else end

    # --- what became -----------------------------------------------------------------------------

    def _stopped(self) -> bool:
        return self._feedback.cancelled() or self._feedback.abandoned()

    def _cancel_waiting(self) -> None:
        """The parts that the site was not asked for yet are not asked for any more."""
        parts = tuple(
            replace(part, state=PartState.CANCELLED) if part.state is PartState.WAITING else part
            for part in self.update.parts
        )
        self.update = replace(self.update, parts=parts, changed=time.time())
        self._keep()

    def _begun(self, index: int, job_url: str) -> None:
        """The job at `job_url` does the part from now on."""
        part = self.update.parts[index]
        earlier = part.jobs_before(job_url)
        values = {"job_url": job_url, "detail": "", "others": None, "earlier_jobs": earlier}
        self._set(index, state=PartState.RUNNING, **values)

    def _set(self, index: int, **values: Any) -> None:
        self._change(index, **values)
        self._keep()

    def _change(self, index: int, **values: Any) -> None:
        parts = list(self.update.parts)
        parts[index] = replace(parts[index], **values)
        self.update = replace(self.update, parts=tuple(parts), changed=time.time())

    def _keep(self) -> None:
        """Have the update kept, unless the site has never heard of it."""
        if any(part.asked_at for part in self.update.parts):
            self._feedback.keep(self.update)


def _words_of(error: JobLost) -> str:
    return str(getattr(error.cause, "message", ""))
