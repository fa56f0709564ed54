"""What came of an update on a site: from its parts, and from tile counts before and after."""

from __future__ import annotations

from dataclasses import replace

from ..errors import JobFailed, JobLost, NotFound
from ..request import LevelReport, Outcome, UpdateMode, UpdateReport
from ..site_update import PartState, SiteUpdate
from ..tiling import Level
from .hosted import keeps_existing
from .progress import TileCounts


def report_of(update: SiteUpdate, after: TileCounts) -> UpdateReport:
    """The report of `update`; `after`: tiles of the whole cache by level id now, where known.

    Raises JobFailed, JobLost where a part of it ended so.
    """
    _raise_failure(update)
    outcome = _outcome(update)
    is_told = outcome is not Outcome.SUBMITTED
    urls = update.job_urls
    return UpdateReport(
        outcome=outcome,
        mode=update.mode,
        levels=tuple(_level_of(level, update, after, is_told) for level in update.levels),
        output_url=update.output_url or update.address,
        job_id=urls[-1].rpartition("/jobs/")[2] if urls else "",
        job_url=urls[-1] if urls else "",
        earlier_job_urls=urls[:-1],
        failed_places=update.failed_places,
    )


def _raise_failure(update: SiteUpdate) -> None:
    for part in update.parts:
        url = part.job_url or update.submit_url
        if part.state is PartState.FAILED and not part.is_split:
            raise JobFailed(url, part.detail)
        if part.state is PartState.LOST:
            raise JobLost(url, NotFound(url, 404, part.detail))


def _outcome(update: SiteUpdate) -> Outcome:
    if not update.job_urls:
        # the site was never asked, or only for what it did not take on
        return Outcome.CANCELLED
    if not update.has_ended:
        return Outcome.SUBMITTED
    states = {part.state for part in update.parts if not part.is_split}
    if PartState.CANCELLED in states:
        return Outcome.CANCELLED
    return Outcome.PARTIAL if PartState.PARTIAL in states else Outcome.DONE


def _level_of(level: Level, update: SiteUpdate, after: TileCounts, is_told: bool) -> LevelReport:
    parts = [part for part in update.parts if level.id in part.level_ids and not part.is_split]
    planned = None
    if all(level.id in part.planned for part in parts):
        planned = sum(part.planned[level.id] for part in parts)
    report = LevelReport(level, planned)
    if not is_told:
        return report
    change = None
    if level.id in update.before and level.id in after:
        change = after[level.id] - update.before[level.id]
    if not any(part.job_url for part in parts):
        change = 0
    is_done = all(part.state is PartState.DONE for part in parts)
    keeps = update.is_hosted and bool(parts) and all(keeps_existing(part) for part in parts)
    return _changed(report, update.mode, change, is_done=is_done, keeps_existing=keeps)


def _changed(
    report: LevelReport,
    mode: UpdateMode,
    change: int | None,
    *,
    is_done: bool,
    keeps_existing: bool,
) -> LevelReport:
    """`report` with what the `change` of the level's tile count tells; nothing where it is unknown.

    It is unknown, too, where it is more than was planned: then somebody else worked on the cache.
    Only jobs that ended well have dealt with all planned tiles, so only then is the rest known to
    have been replaced or skipped.
    """
    if change is None or (report.planned is not None and abs(change) > report.planned):
        return report
    if mode is UpdateMode.DELETE:
        return replace(report, deleted=max(-change, 0))
    made = max(change, 0)
    report = replace(report, made=made)
    if not is_done or report.planned is None:
        return report
    rest = report.planned - made
    if mode is UpdateMode.RECREATE_ALL and not keeps_existing:
        return replace(report, replaced=rest)
    return replace(report, skipped=rest)
