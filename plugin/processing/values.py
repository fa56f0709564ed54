"""Values as Processing hands them over, and its feedback as the core speaks to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFile,
    QgsProperty,
)
from qgis.PyQt.QtCore import QCoreApplication, QVariant

from ..core.errors import JobSilent, NotACache, NotACacheReason, SiteSilent
from ..core.request import Feedback, Message, Severity
from ..core.storage.opening import local_path
from ..host import messages
from ..host.network_watch import hearing

_AT_ONCE = (SiteSilent, JobSilent)
"""Said as errors: warnings stay in a buffer of `qgis_process` while nothing else is said."""

CACHE_FILES = "conf.xml Conf.xml root.json *.tpkx *.tpk *.mbtiles *.gpkg"


def is_given(parameters: dict[str, Any], name: str) -> bool:
    """Whether a text or keyword was given, whatever it comes to; "" is none.

    QGIS's own forms leave "" where nothing was typed into a text, and None for any other parameter
    (3.22 and 3.40): there `is_there` tells.
    """
    value = parameters.get(name)
    return not (value is None or (isinstance(value, str) and value == ""))


def is_there(parameters: dict[str, Any], name: str) -> bool:
    """Whether a layer, an extent or a time was given, even as "", which is no word for none."""
    return parameters.get(name) is not None


def comes_to_nothing(parameters: dict[str, Any], name: str, context: QgsProcessingContext) -> bool:
    """Whether a value was given that is NULL, blank or an expression without result.

    For which QGIS takes the default, as if nothing had been given.
    """
    value = parameters.get(name)
    if value is None:
        return False
    if isinstance(value, QgsProperty):
        value, _is_known = value.value(context.expressionContext(), None)
    is_null = value is None or (isinstance(value, QVariant) and value.isNull())
    return is_null or (isinstance(value, str) and not value.strip())


def number_of(text: str) -> float | None:
    """The number that `text` is; None for none, where QGIS would take a default."""
    try:
        return float(text)
    except ValueError:
        return None


def truth_of(text: str) -> bool | None:
    """Whether `text` says yes; None where it says neither yes nor no."""
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    return known.get(text.strip().lower())


def advanced(
    *parameters: QgsProcessingParameterDefinition,
) -> list[QgsProcessingParameterDefinition]:
    """`parameters`, which QGIS shows apart from now on."""
    for parameter in parameters:
        parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
    return list(parameters)


def core_feedback(feedback: QgsProcessingFeedback) -> Feedback:
    """`feedback` of Processing as the core speaks to it."""

    def tell(message: Message) -> None:
        text = messages.message_text(message)
        if message.severity is Severity.INFO:
            feedback.pushInfo(text)
        elif message.severity is Severity.WARNING and not isinstance(message.error, _AT_ONCE):
            feedback.pushWarning(text)
        else:
            feedback.reportError(text)

    return Feedback(feedback.setProgress, hearing(feedback.isCanceled), tell)


def cache_parameter(name: str, label: str) -> QgsProcessingParameterFile:
    """A cache on this computer: the path of a package, of a folder, or of a folder's conf.xml.

    The button beside it lets one choose a file, for QGIS's own offers either files or folders.
    """
    file = QgsProcessingParameterFile.Behavior.File
    # "*" lets QGIS accept folders too: it compares any value with the filter of the button.
    files = _tr("Tile caches ({files});;All files (*)").format(files=CACHE_FILES)
    return QgsProcessingParameterFile(name, label, file, fileFilter=files)


def local_cache(text: str) -> Path:
    """The path that `text` is; nothing need be there.

    Raises NotACache for no text, and for the address of a service.
    """
    path = local_path(text)
    if path is not None:
        return path
    if not text.strip():
        raise NotACache(text, NotACacheReason.MISSING)
    if "://" in text:
        raise NotACache(text, NotACacheReason.UNKNOWN_FILE)
    return Path.cwd() / text


def _tr(text: str) -> str:
    return QCoreApplication.translate("ProcessingValues", text)
