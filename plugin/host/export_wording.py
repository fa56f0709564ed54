"""Exports, imports and queues in words. Plain text."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.arcgis.address import public_address
from ..core.export.request import ExportReport, ExportWay, Overwrite, QueueItemReport, QueueReport
from ..core.request import LevelEstimate, Outcome
from .error_sentences import sentence
from .local_wording import estimate_text
from .service_estimate import ServiceEstimate
from .text import about_text, bytes_text, listed, number_text, path_text, plain, scale_text, tr
from .wording import planned_text


def way_text(way: ExportWay) -> str:
    """How tiles are got, for lists."""
    return {
        ExportWay.AUTO: tr("Automatic"),
        ExportWay.EXPORT_TILES: tr("The service's own export"),
        ExportWay.EXPORT_CACHE: tr("The site's caching tools"),
        ExportWay.ONE_BY_ONE: tr("Tile by tile"),
    }[way]


def way_help(way: ExportWay) -> str:
    """What that means, in one sentence."""
    return {
        ExportWay.AUTO: tr("The first of the ways below that the service and its site allow."),
        ExportWay.EXPORT_TILES: tr(
            "The site packs the tiles, in as many packages as its limit asks for; they are joined"
            " here."
        ),
        ExportWay.EXPORT_CACHE: tr(
            "The tool Export Cache of those who administer the site packs the tiles."
        ),
        ExportWay.ONE_BY_ONE: tr("Each tile is read from the service, which takes longest."),
    }[way]


def overwrite_text(overwrite: Overwrite) -> str:
    """What becomes of tiles that the target has already, for lists."""
    return {
        Overwrite.OVERWRITE: tr("Overwrite Tiles"),
        Overwrite.MERGE: tr("Merge Tiles"),
    }[overwrite]


def overwrite_help(overwrite: Overwrite) -> str:
    """What that means, in one sentence."""
    return {
        Overwrite.OVERWRITE: tr(
            "Tiles of the area take the place of those that the target has; tiles elsewhere stay."
        ),
        Overwrite.MERGE: tr(
            "Pixels of the area are drawn over those that the target has; transparent ones, and all"
            " outside the area, let them show."
        ),
    }[overwrite]


def export_report_sentence(report: ExportReport) -> str:
    """What came of an export: one line with the numbers, what it is of and where it is now."""
    text = {
        Outcome.DONE: tr("Tiles of {service} are in {target}: {facts}."),
        Outcome.PARTIAL: tr(
            "Tiles of {service} are in {target}, but some are missing ({facts}): export them again,"
            " only the missing ones are asked for."
        ),
        Outcome.CANCELLED: tr(
            "Export of {service} to {target} cancelled, what was got until then is kept and the"
            " same export goes on from there: {facts}."
        ),
        Outcome.SUBMITTED: tr(
            "The site has taken the job for {service} and goes on by itself, {facts}; the tiles"
            " will be in {target}."
        ),
    }[report.outcome]
    if report.outcome is Outcome.CANCELLED and report.has_nothing and not report.received:
        text = tr("Export of {service} to {target} cancelled before anything was got.")
    elif report.has_failed:
        text = tr(
            "No tile of {service} could be got for {target} ({facts}): mend what the messages name,"
            " then export them again."
        )
    elif report.outcome is Outcome.DONE and report.has_nothing:
        text = tr("{service} has no tiles there, so none are in {target}: {facts}.")
    return text.format(
        service=plain(public_address(report.service)),
        target=path_text(report.target),
        facts=listed(_facts(report)),
    )


def import_report_sentence(report: ExportReport) -> str:
    """What came of an import: one line with the numbers, from where and into what."""
    text = {
        Outcome.DONE: tr("Tiles of {source} are in {target}: {facts}."),
        Outcome.PARTIAL: tr(
            "Tiles of {source} are in {target}, but some failed ({facts}): mend what the messages"
            " name, then import them again."
        ),
        Outcome.CANCELLED: tr(
            "Import of {source} into {target} cancelled, what was done until then is kept: {facts}."
        ),
        Outcome.SUBMITTED: tr("The site has taken the job and goes on by itself: {target}."),
    }[report.outcome]
    return text.format(
        source=path_text(report.address),
        target=path_text(report.target),
        facts=listed(_facts(report)),
    )


def export_estimate_lines(estimates: tuple[LevelEstimate, ...]) -> list[str]:
    """An estimate scale by scale, a line each, and the total as the last of several."""
    lines = [_level_line(each) for each in estimates]
    total = estimate_text(estimates)
    if len(lines) > 1 and total:
        lines.append(tr("All together: {estimate}").format(estimate=total))
    return lines


def queue_estimate_text(services: Iterable[ServiceEstimate]) -> str:
    """What several services take in all, and how many cannot be exported; "" for nothing."""
    told = list(services)
    failed = sum(1 for each in told if each.error is not None)
    facts = [estimate_text(level for each in told for level in each.levels)]
    if failed:
        text = tr("{failed} of {count} services cannot be exported so")
        facts.append(text.format(failed=number_text(failed), count=number_text(len(told))))
    return listed(fact for fact in facts if fact)


def queue_estimate_lines(services: Iterable[ServiceEstimate]) -> list[str]:
    """The same of each service, a line each: what it takes, or why it cannot be exported."""
    return [
        tr("{address}: {estimate}").format(
            address=plain(public_address(each.address)),
            estimate=estimate_text(each.levels) if each.error is None else sentence(each.error),
        )
        for each in services
    ]


def queue_sentence(report: QueueReport) -> str:
    """What came of a queue, in one line."""
    ended = [item.report for item in report.items if item.report is not None]
    done = [each for each in ended if each.outcome is Outcome.DONE]
    empty = sum(1 for each in done if each.has_nothing)
    incomplete = sum(1 for item in report.items if item.is_incomplete)
    before = sum(1 for item in report.items if item.is_done_before)
    failed = sum(1 for item in report.items if item.has_failed)
    facts = [tr("{count} exported").format(count=number_text(len(done) - empty))]
    if empty:
        facts.append(tr("{count} with nothing there").format(count=number_text(empty)))
    if before:
        facts.append(tr("{count} done before").format(count=number_text(before)))
    if incomplete:
        facts.append(tr("{count} incomplete").format(count=number_text(incomplete)))
    if failed:
        facts.append(tr("{count} failed").format(count=number_text(failed)))
    text = tr("Services: {facts}.")
    if report.is_cancelled:
        text = tr("Cancelled; services: {facts}; run it again for the rest.")
    elif failed or incomplete:
        text = tr("Services: {facts}; run it again for the rest.")
    return text.format(facts=listed(facts))


def queue_lines(report: QueueReport) -> list[str]:
    """What came of each service of a queue, a line each, in the order of the queue."""
    return [queue_line(item) for item in report.items]


def queue_line(item: QueueItemReport) -> str:
    """What came of one service of a queue."""
    if item.error is not None:
        text = tr("{address}: {problem}")
        return text.format(
            address=plain(public_address(item.address)), problem=sentence(item.error)
        )
    if item.is_done_before or item.report is None:
        text = tr("{address}: done before, in {target}.")
        return text.format(
            address=plain(public_address(item.address)), target=path_text(item.target)
        )
    return export_report_sentence(item.report)


def _level_line(estimate: LevelEstimate) -> str:
    facts = []
    if estimate.tiles is not None:
        text = tr("1 tile") if estimate.tiles == 1 else tr("{count} tiles")
        facts.append(text.format(count=number_text(estimate.tiles)))
    if estimate.bytes is not None:
        facts.append(tr("about {size}").format(size=bytes_text(estimate.bytes)))
    if estimate.seconds is not None:
        facts.append(tr("about {count} s").format(count=about_text(estimate.seconds)))
    text = tr("{scale}: {facts}")
    return text.format(
        scale=scale_text(estimate.level.scale), facts=listed(facts) or tr("not known")
    )


def _facts(report: ExportReport) -> list[str]:
    texts = {
        "made": tr("{count} new"),
        "replaced": tr("{count} replaced"),
        "skipped": tr("{count} left as they were"),
        "failed": tr("{count} failed"),
        "gaps": tr("{count} that the source does not have"),
    }
    counts = {name: report.total(name) for name in texts}
    facts = [
        texts[name].format(count=number_text(count))
        for name, count in counts.items()
        if count or (name == "made" and count is not None)
    ]
    if report.size:
        facts.append(tr("{size} in all").format(size=bytes_text(report.size)))
    return [planned_text(report.total("planned")), *facts]
