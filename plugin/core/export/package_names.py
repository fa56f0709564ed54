"""Names of files for services, one each, that every system can take."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

LONGEST = 100
"""Bytes of a name without its suffix; what we put around names of files must fit, too."""

_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]+')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\..*)?", re.I)
_UNNAMED = "cache"


def target_names(names: Iterable[str], suffix: str = "") -> tuple[str, ...]:
    """A name of a file, or folder, for each of `names` (`[Folder/]Name`), which ends in `suffix`.

    All are different, also where case does not count, and safe on Linux, Windows and macOS.
    """
    taken: set[str] = set()
    found: list[str] = []
    for name in names:
        stem = _safe(name)
        number, tried = 1, stem
        while (key := unicodedata.normalize("NFKC", tried).casefold()) in taken:
            number += 1
            tried = f"{_cut(stem, LONGEST - len(str(number)) - 1)}_{number}"
        taken.add(key)
        found.append(tried + suffix)
    return tuple(found)


def _safe(name: str) -> str:
    """`name` without what some system does not take in names."""
    printable = "".join(each for each in name if each.isprintable())
    parts = [part.strip(". ") for part in _UNSAFE.split(printable)]
    joined = _cut("_".join(part for part in parts if part), LONGEST)
    # Windows takes no blank and no point at the end; a leading point hides a file
    joined = unicodedata.normalize("NFC", joined).strip(". ") or _UNNAMED
    return f"_{joined}" if _RESERVED.fullmatch(joined) else joined


def _cut(text: str, longest: int) -> str:
    """The beginning of `text`, at most `longest` bytes of it."""
    return text.encode()[:longest].decode(errors="ignore").rstrip(". ")
