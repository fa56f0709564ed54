"""All that is said to people: errors, services, update modes and reports in words, and the log.

The one door to words and numbers for people: what stands in `text`, `wording`, `local_wording`,
`error_sentences`, `site_sentences` and `storage_sentences` is read by host alone.
"""

from __future__ import annotations

import traceback

from qgis.core import Qgis, QgsMessageLog

from ..core.description import CacheDescription
from ..core.errors import TileCacheError
from ..core.request import Message, Severity, UpdateMode
from .error_sentences import sentence
from .text import number_text, plain, scale_text, tr
from .wording import (
    mode_help,
    mode_text,
    report_sentence,
    summary,
    uncached_reason,
    unoffered_text,
)

__all__ = [
    "log",
    "log_unexpected",
    "message_text",
    "mode_help",
    "mode_text",
    "number_text",
    "report_sentence",
    "scale_text",
    "sentence",
    "summary",
    "tr",
    "unavailable_reason",
    "uncached_reason",
]

LOG_TAG = "Tile Cache Manager"


def unavailable_reason(description: CacheDescription, mode: UpdateMode) -> str:
    """Why `mode` cannot be chosen for this cache, in one sentence; "" where it can."""
    if mode in description.modes:
        return ""
    if description.modes_problem is not None:
        return sentence(description.modes_problem)
    return unoffered_text(description, mode)


def message_text(message: Message) -> str:
    """A running update's message as one line."""
    return sentence(message.error) if message.error is not None else plain(message.text)


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
