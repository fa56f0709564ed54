"""Whether a text that someone typed, pasted or dropped is a path on this computer."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

_QUOTES = (('"', '"'), ("'", "'"), ("\u201c", "\u201d"), ("\u201e", "\u201c"))
_DRIVE = re.compile(r"[A-Za-z]:(?:[\\/]|$)", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(?://|$)", re.ASCII)
_ROOTED = ("/", "\\", "~", "./", "../", ".\\", "..\\")
_HOST = re.compile(r"[^/\\]*[.:][^/\\]*/|localhost/", re.IGNORECASE)
"""How an address without its scheme begins, as people copy it from a browser: a host, then `/`."""


def local_path(address: str) -> Path | None:
    """The path that `address` is, absolute; None where it is a URL, or no place at all.

    Nothing need be there. Understands `file:` URLs, `~`, drives, network shares, and quotes around
    the text. Only a relative path, which a URL can look like, is looked for on the disk.
    """
    text = _without_quotes(address.strip())
    if not text or not text.isprintable():
        return None
    if text[:5].lower() == "file:":
        return _path_of_url(text)
    if _DRIVE.match(text):
        return Path(text)
    if _SCHEME.match(text):
        return None
    if text.startswith("~"):
        return _from_home(text)
    if text.startswith(_ROOTED) or "\\" in text:
        return _absolute(text)
    if _exists(text):
        return _absolute(text)
    looks_like_url = _HOST.match(text) or "/rest/" in text.lower() or "/" not in text
    return None if looks_like_url else _absolute(text)


def _without_quotes(text: str) -> str:
    """`text` out of the quotes that file managers put around paths."""
    for first, last in _QUOTES:
        if len(text) > 1 and text.startswith(first) and text.endswith(last):
            return text[1:-1].strip()
    return text


def _path_of_url(url: str) -> Path | None:
    """`file:///home/x`, `file:///C:/x`, `file://server/share/x`, and `file:/x` of some programs."""
    try:
        parts = urlsplit(url.replace("\\", "/"), allow_fragments=False)
    except ValueError:
        return None
    path = unquote(f"{parts.path}?{parts.query}" if parts.query else parts.path)
    if not path or not path.isprintable():
        return None
    if parts.netloc.lower() not in ("", "localhost"):
        return Path(f"//{parts.netloc}{path}")
    return Path(path[1:] if _DRIVE.match(path[1:]) else path)


def _from_home(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # there is no such user
        return _absolute(text)


def _absolute(text: str) -> Path:
    """A share of Windows typed on another system stays as it is, to be found missing."""
    return Path(text) if text.startswith("\\\\") else Path.cwd() / text


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # too long, or letters no path can have
        return False
