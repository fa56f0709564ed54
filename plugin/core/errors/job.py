"""Errors about jobs on a site."""

from __future__ import annotations

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
