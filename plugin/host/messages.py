"""All that is said to people: errors, services, update modes and reports in words, and the log.

The one door to words and numbers for people: what stands in `text`, `wording`, `job_wording`,
`local_wording`, `error_sentences`, `site_sentences` and `storage_sentences` is read by host alone.
"""

from __future__ import annotations

import traceback

from qgis.core import Qgis, QgsMessageLog

from ..core.description import CacheDescription
from ..core.errors import DamagedCache, LayerFailed, TileCacheError
from ..core.export.request import ExportReport
from ..core.request import Message, Severity, UpdateMode, UpdateReport
from ..core.tiling import Level
from . import local_wording, wording
from .error_sentences import asking_sentence, looking_sentence, sentence
from .export_wording import (
    export_estimate_lines,
    export_report_sentence,
    import_report_sentence,
    overwrite_help,
    overwrite_text,
    queue_estimate_lines,
    queue_estimate_text,
    queue_line,
    queue_lines,
    queue_sentence,
    way_help,
    way_text,
)
from .job_wording import (
    job_address_text,
    job_advice,
    job_end_sentence,
    job_lines,
    job_name_text,
    job_percent_text,
    job_scales_text,
    job_site_text,
    job_started_text,
    job_state_text,
    job_title,
    jobs_ended_sentence,
    jobs_waiting_sentence,
    place_lines,
    take_up_help,
    take_up_text,
)
from .local_wording import (
    defragment_sentence,
    estimate_text,
    finding_text,
    storage_text,
    unfinished_text,
    verify_sentence,
)
from .rule_wording import gaps_text, left_out_text, overlaps_text, rule_area_text, rule_text
from .storage_sentences import tiles_left_sentence, unverifiable_sentence
from .text import bytes_text, number_text, path_text, plain, scale_text, tr
from .wording import are_very_many, mode_help, mode_text, still_shown_text, work_sentence

__all__ = [
    "are_very_many",
    "asking_sentence",
    "bytes_text",
    "check_problem_sentence",
    "defragment_sentence",
    "estimate_text",
    "export_estimate_lines",
    "export_report_sentence",
    "failure_sentences",
    "finding_text",
    "gaps_text",
    "import_report_sentence",
    "job_address_text",
    "job_advice",
    "job_end_sentence",
    "job_lines",
    "job_name_text",
    "job_percent_text",
    "job_scales_text",
    "job_site_text",
    "job_started_text",
    "job_state_text",
    "job_title",
    "jobs_ended_sentence",
    "jobs_waiting_sentence",
    "left_out_text",
    "log",
    "log_unexpected",
    "looking_sentence",
    "message_text",
    "mode_help",
    "mode_text",
    "number_text",
    "overlaps_text",
    "overwrite_help",
    "overwrite_text",
    "path_text",
    "queue_estimate_lines",
    "queue_estimate_text",
    "queue_line",
    "queue_lines",
    "queue_sentence",
    "report_sentence",
    "rule_area_text",
    "rule_text",
    "scale_text",
    "sentence",
    "still_shown_text",
    "storage_text",
    "summary",
    "take_up_help",
    "take_up_text",
    "tr",
    "unavailable_reason",
    "uncached_reason",
    "unfinished_text",
    "verify_sentence",
    "way_help",
    "way_text",
    "work_sentence",
]

LOG_TAG = "Tile Cache Manager"


FAILURES_SAID = 5
"""So many different reasons for failed tiles are told of one update."""


def summary(description: CacheDescription) -> str:
    """The cache in words, in a few lines."""
    if description.is_local:
        return local_wording.local_summary(description)
    return wording.summary(description)


def report_sentence(report: UpdateReport) -> str:
    """What came of an update: one line with the numbers and where the cache is."""
    if report.is_local:
        return local_wording.local_report_sentence(report)
    return wording.report_sentence(report)


def failure_sentences(report: UpdateReport | ExportReport) -> list[str]:
    """Why tiles failed, a few lines.

    On this computer, and of exports: each reason once, the most frequent first. On a site: the
    first places.
    """
    if isinstance(report, UpdateReport) and not report.is_local:
        return place_lines(report.failed_places, FAILURES_SAID)
    kinds = local_wording.failure_kinds(report)
    return [_tile_failure(error) for error, _ in kinds[:FAILURES_SAID]]


def uncached_reason(description: CacheDescription, level: Level) -> str:
    """Why `level` of the scheme cannot be ticked, in one sentence; "" where it can."""
    if description.is_local:
        return local_wording.local_uncached_reason(description, level)
    return wording.uncached_reason(description, level)


def unavailable_reason(description: CacheDescription, mode: UpdateMode) -> str:
    """Why `mode` cannot be chosen for this cache, in one sentence; "" where it can."""
    if mode in description.modes:
        return ""
    if description.modes_problem is not None:
        return sentence(description.modes_problem)
    if description.is_local:
        return local_wording.local_unoffered_text(description, mode)
    return wording.unoffered_text(description, mode)


def message_text(message: Message) -> str:
    """A running update's message as one line."""
    if message.pace is not None:
        return local_wording.pace_text(message.pace)
    return _tile_failure(message.error) if message.error is not None else plain(message.text)


def check_problem_sentence(error: Exception) -> str:
    """Why a cache could not be checked: it is no use to be sent to the check for the reason."""
    if isinstance(error, DamagedCache):
        return unverifiable_sentence(error)
    return sentence(error)


def _tile_failure(error: Exception) -> str:
    """Why tiles failed in an update that goes on, or went on, to its end."""
    return tiles_left_sentence(error) if isinstance(error, LayerFailed) else sentence(error)


def log(text: str, severity: Severity = Severity.INFO) -> None:
    """Write `text` to the plugin's page of QGIS's log messages. Any thread."""
    level = {
        Severity.INFO: Qgis.MessageLevel.Info,
        Severity.WARNING: Qgis.MessageLevel.Warning,
        Severity.ERROR: Qgis.MessageLevel.Critical,
    }[severity]
    QgsMessageLog.logMessage(text, LOG_TAG, level, False)


def log_unexpected(error: Exception) -> None:
    """Log where `error`, one that nobody foresaw, came from; nothing for foreseen ones. Any thread.

    Only lines of code are logged, not what the variables held.
    """
    if not isinstance(error, TileCacheError):
        where = "".join(traceback.format_tb(error.__traceback__))
        log(f"{type(error).__name__}: {plain(str(error))}\n{where}", Severity.ERROR)
