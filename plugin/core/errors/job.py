"""Errors about jobs on a site."""

from __future__ import annotations

from enum import Enum

from .root import TileCacheError
from .site import SiteError


class JobError(TileCacheError):
    """Something about the job at `job_url`."""

    def __init__(self, job_url: str, text: str) -> None:
        super().__init__(f"{text}: {job_url}")
        self.job_url = job_url


class JobFailed(JobError):
    """The job ended without success; `message`: the site's own reason, or its status."""

    def __init__(self, job_url: str, message: str) -> None:
        super().__init__(job_url, f"job failed ({message})")
        self.message = message


class JobSilent(JobError):
    """The site does not answer just now; it is asked again for up to `patience` seconds.

    `cause`: why there is no answer. Told while a job is followed, never raised.
    """

    def __init__(self, job_url: str, cause: SiteError, patience: float) -> None:
        super().__init__(job_url, f"no answer just now, asked again for {patience:.0f} s")
        self.cause = cause
        self.patience = patience


class JobLost(JobError):
    """The job could not be followed to its end; it may still be running.

    `cause`: the site's last error. `seconds`: for how long it had given no answer that counts; 0
    where it answered, but would not let us look (sign-in, rights) or knew no such job any more.
    """

    def __init__(self, job_url: str, cause: SiteError, seconds: float = 0.0) -> None:
        super().__init__(job_url, f"lost after {seconds:.0f} s without an answer")
        self.cause = cause
        self.seconds = seconds


class CancelUnconfirmed(JobError):
    """The site did not confirm the cancellation within `seconds`; the job may still be running."""

    def __init__(self, job_url: str, seconds: float) -> None:
        super().__init__(job_url, f"cancellation not confirmed in {seconds:.0f} s")
        self.seconds = seconds


class JobStalled(JobError):
    """No tile more has come of the job for `seconds`; told while it is followed, never raised.

    `tiles_per_second`: how fast it was before that; None where the site does not count.
    """

    def __init__(self, job_url: str, seconds: float, tiles_per_second: float | None) -> None:
        super().__init__(job_url, f"no tile more for {seconds:.0f} s")
        self.seconds = seconds
        self.tiles_per_second = tiles_per_second


class JobSplit(JobError):
    """The job failed, and is asked for again in `parts` parts, to find what fails; never raised.

    `message`: the site's own reason.
    """

    def __init__(self, job_url: str, message: str, parts: int) -> None:
        super().__init__(job_url, f"failed ({message}), split into {parts}")
        self.message = message
        self.parts = parts


class SubmissionUnclear(TileCacheError):
    """An update of `service` was asked for, and the answer was lost: it may be running.

    `cause`: why no answer came. It was not asked for again, so that nothing is done twice.
    """

    def __init__(self, service: str, cause: SiteError) -> None:
        super().__init__(f"{service}: nobody knows whether the job was submitted")
        self.service = service
        self.cause = cause


class TakeUpProblem(Enum):
    """Why a job cannot be taken up again."""

    NOT_OFFERED = "the site does not offer that"
    STILL_RUNNING = "the job has not ended"
    NOTHING_LEFT = "nothing is left of it"


class NotTakenUp(JobError):
    """The job cannot be taken up again by `how` (RESUME_JOB ...)."""

    def __init__(self, job_url: str, reason: TakeUpProblem, how: str) -> None:
        super().__init__(job_url, f"{how}: {reason.value}")
        self.reason = reason
        self.how = how


class FollowedElsewhere(JobError):
    """Another QGIS on this computer follows the job, and would ask for its next part as well."""

    def __init__(self, job_url: str) -> None:
        super().__init__(job_url, "followed by another program")


class UnknownJob(TileCacheError):
    """`address` is that of no job that is kept here, and of none that a site could be asked for."""

    def __init__(self, address: str) -> None:
        super().__init__(f"no job: {address!r}")
        self.address = address
