"""Words and numbers for people: translated, in the user's locale, plain."""

from __future__ import annotations

import re
from collections.abc import Iterable

from qgis.PyQt.QtCore import QCoreApplication, QDateTime, QDir, QLocale

from ..core.arcgis.address import public_address

FOREIGN_TEXT_LENGTH = 300
"""So many characters of a text that comes from a site are shown."""

MOST_BYTES = 2**63 - 1
"""Qt counts no further; nor does any disk."""

_TAG = re.compile(r"</?[A-Za-z!][^<>]*>")
_UNCLOSED = re.compile(r"<(?=[A-Za-z!/?])")
"""Where a tag begins that ends only in the words around the text."""
_INVISIBLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+"
)
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\"]*", re.IGNORECASE)
_SECRET = re.compile(
    r"\b(token|access_token|password|authorization)\b([\"']?\s*[=:]\s*[\"']?)"
    r"(?:bearer\s+)?[^\s\"'&,;]+",
    re.IGNORECASE,
)


def tr(text: str) -> str:
    """`text` in the user's language. Placeholders in it are filled in afterwards."""
    return QCoreApplication.translate("TileCacheManager", text)


def plain(text: str, length: int = FOREIGN_TEXT_LENGTH) -> str:
    """A text from elsewhere as one line that is safe to show.

    Tags, control characters, queries and user info of URLs, and what looks like a token or password
    are taken out; a long text is cut at `length` characters.
    """
    text = _without_tags(_INVISIBLE.sub(" ", text))
    text = _URL.sub(lambda url: public_address(url.group()), text)
    text = " ".join(_SECRET.sub(r"\1\2***", text).split())
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _without_tags(text: str) -> str:
    stripped = _TAG.sub("", text)
    while stripped != text:
        text, stripped = stripped, _TAG.sub("", stripped)
    return _UNCLOSED.sub("\u2039", text)


def path_text(path: str) -> str:
    """A path as the system writes it, whole: with its blanks, without what must not be shown.

    What may as well be a name or an address comes out as `plain` gives it.
    """
    if "://" in path:
        return plain(path)
    return _without_tags(_INVISIBLE.sub(" ", str(QDir.toNativeSeparators(path))))


def quoted_message(text: str) -> str:
    """A foreign message to stand inside a sentence: plain, without the stop at its end."""
    return own_words(text) or tr("no message")


def own_words(text: str) -> str:
    """The same of a text that may be empty: then, nobody is to be quoted."""
    return plain(text).rstrip(" .:;,")


def said_text(words: str) -> str:
    """What is added to the middle of a sentence where a site said these `words`; "" for none."""
    return tr(", the site says “{message}”").format(message=words) if words else ""


def _grouping() -> QLocale:
    """The user's locale, with its group separators.

    QGIS leaves them out unless told otherwise, but nobody reads 591657528 at a glance.
    """
    locale = QLocale()
    locale.setNumberOptions(QLocale.NumberOption.DefaultNumberOptions)
    return locale


def number_text(value: int) -> str:
    """`value` with the user's group separators."""
    return str(_grouping().toString(value))


def rate_text(per_second: float) -> str:
    """A rate with one decimal, as the user writes numbers."""
    return str(_grouping().toString(float(per_second), "f", 1))


def bytes_text(count: int) -> str:
    """So many bytes as people read them: `84.0 MB`, in the user's locale."""
    kind = QLocale.DataSizeFormat.DataSizeTraditionalFormat
    return str(QLocale().formattedDataSize(min(count, MOST_BYTES), 1, kind))


def scale_text(denominator: float) -> str:
    """A scale as `1:591,657,528`, with the user's group separators."""
    if denominator < 10:
        return "1:" + str(QLocale().toString(float(denominator), "g", 3))
    return "1:" + number_text(round(denominator))


def about_text(value: float) -> str:
    """A number that is only roughly known: no more than three digits of it."""
    unit = 10 ** max(0, len(str(round(value))) - 3)
    return number_text(round(value / unit) * unit)


def duration_text(seconds: float) -> str:
    """So much time in the largest unit of which there is at least one and a half."""
    units = (
        (86400, tr("{count} days")),
        (3600, tr("{count} hours")),
        (60, tr("{count} minutes")),
        (1, tr("{count} seconds")),
    )
    for length, text in units:
        if seconds >= 1.5 * length:
            return text.format(count=number_text(round(seconds / length)))
    return tr("a second")


def time_text(seconds: float) -> str:
    """A moment, seconds since 1970, as the user's calendar and clock show it."""
    moment = QDateTime.fromMSecsSinceEpoch(int(seconds * 1000))
    return str(QLocale().toString(moment, QLocale.FormatType.ShortFormat))


def coordinate_text(value: float, decimals: int) -> str:
    """A coordinate with the user's separators."""
    return str(_grouping().toString(float(value), "f", decimals))


def listed(texts: Iterable[str]) -> str:
    """Texts one after the other, parted by commas."""
    return ", ".join(texts)
