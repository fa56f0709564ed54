"""Sentences for errors about jobs on a site. Plain text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core import errors
from .site_sentences import is_administration, silence_text
from .text import number_text, own_words, plain, rate_text, said_text, tr


def _job(error: errors.JobError) -> str:
    text = tr("Something went wrong with the job {job_url}: look there how it stands.")
    return text.format(job_url=plain(error.job_url))


def _job_failed(error: errors.JobFailed) -> str:
    text = tr(
        "The job failed on the site{said}: see {job_url} for more, or ask the site's administrator."
    )
    said = said_text(own_words(error.message))
    return text.format(job_url=plain(error.job_url), said=said)


def _job_silent(error: errors.JobSilent) -> str:
    text = tr(
        "The site gives no answer about the job {job_url} just now ({reason}): it is asked again"
        " for up to {seconds} seconds."
    )
    reason = silence_text(error.cause)
    return text.format(
        job_url=plain(error.job_url), reason=reason, seconds=number_text(round(error.patience))
    )


def _job_lost(error: errors.JobLost) -> str:
    text = tr(
        "The site gave no answer for {seconds} seconds and the job may still be running: find it"
        " again at {job_url}."
    )
    if not error.seconds:
        text = tr(
            "The site does not know the job {job_url} any more: load the service again to see how"
            " full its levels are, and make the rest with Recreate Empty Tiles; run an export"
            " again."
        )
        if _is_of_caching_task(error.job_url):
            text = tr(
                "The site does not know the job {job_url} any more: load the service again to see"
                " how full its levels are, and make the rest with Recreate Empty Tiles."
            )
        if is_administration(error.job_url):
            text = tr(
                "The site does not know the job {job_url} any more: load the service again to see"
                " how full its levels are, and update again what is missing."
            )
    if isinstance(error.cause, (errors.SignInNeeded, errors.SignInFailed, errors.NotAllowed)):
        text = tr(
            "The site does not let this user look at the job any more, which may still be running:"
            " sign in and find it again at {job_url}."
        )
    return text.format(job_url=plain(error.job_url), seconds=number_text(round(error.seconds)))


def _is_of_caching_task(job_url: str) -> bool:
    """Whether it is a job of a task that makes tiles; those that export are a service's own."""
    return "/cachingtools" in job_url.lower() or "/system/cachingcontrollers" in job_url.lower()


def _cancel_unconfirmed(error: errors.CancelUnconfirmed) -> str:
    text = tr(
        "The site did not confirm within {seconds} seconds that the job is cancelled: look at"
        " {job_url} whether it is still running."
    )
    return text.format(job_url=plain(error.job_url), seconds=number_text(round(error.seconds)))


def _job_stalled(error: errors.JobStalled) -> str:
    text = tr(
        "No tile more has come of the job {job_url} for {seconds} seconds{speed}: look at the"
        " caching instances, the disk and the log of the site, or cancel and resume the job."
    )
    speed = ""
    if error.tiles_per_second is not None:
        rate = rate_text(error.tiles_per_second)
        speed = tr(", after {rate} tiles a second").format(rate=rate)
    seconds = number_text(round(error.seconds))
    return text.format(job_url=plain(error.job_url), seconds=seconds, speed=speed)


def _job_split(error: errors.JobSplit) -> str:
    text = tr(
        "The job {job_url} failed{said}: it is asked for again in {parts} parts, to find what"
        " fails."
    )
    return text.format(
        job_url=plain(error.job_url),
        said=said_text(own_words(error.message)),
        parts=number_text(error.parts),
    )


def _submission_unclear(error: errors.SubmissionUnclear) -> str:
    text = tr(
        "The site's answer to the request to update {service} was lost ({cause}), so the update may"
        " be running: look at how full its levels are before you run it again."
    )
    return text.format(service=plain(error.service), cause=silence_text(error.cause))


def _not_taken_up(error: errors.NotTakenUp) -> str:
    texts = {
        errors.TakeUpProblem.NOT_OFFERED: tr(
            "The site does not offer {how} for the job {job_url}: run the update again with"
            " Recreate Empty Tiles instead."
        ),
        errors.TakeUpProblem.STILL_RUNNING: tr(
            "The job {job_url} has not ended, so {how} is of no use: follow it, or cancel it first."
        ),
        errors.TakeUpProblem.NOTHING_LEFT: tr(
            "Nothing is left for {how} of the job {job_url}: run a new update if you need one."
        ),
    }
    text = texts[error.reason]
    if error.reason is errors.TakeUpProblem.NOT_OFFERED and is_administration(error.job_url):
        text = tr(
            "The site does not offer {how} for the job {job_url}: run the update again instead."
        )
    return text.format(job_url=plain(error.job_url), how=plain(error.how))


def _followed_elsewhere(error: errors.FollowedElsewhere) -> str:
    text = tr(
        "Another QGIS on this computer follows the job {job_url} already: look for it there, or"
        " close that one and try again."
    )
    return text.format(job_url=plain(error.job_url))


def _unknown_job(error: errors.UnknownJob) -> str:
    text = tr(
        "“{address}” is not the address of a job that can be found: copy it from the list of jobs,"
        " or from what the update told."
    )
    return text.format(address=plain(error.address))


JOB_SENTENCES: dict[type, Callable[[Any], str]] = {
    errors.JobError: _job,
    errors.JobFailed: _job_failed,
    errors.JobSilent: _job_silent,
    errors.JobStalled: _job_stalled,
    errors.JobSplit: _job_split,
    errors.JobLost: _job_lost,
    errors.CancelUnconfirmed: _cancel_unconfirmed,
    errors.SubmissionUnclear: _submission_unclear,
    errors.NotTakenUp: _not_taken_up,
    errors.FollowedElsewhere: _followed_elsewhere,
    errors.UnknownJob: _unknown_job,
}
