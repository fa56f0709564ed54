"""What tiles became when others were drawn over them, so that it is not done twice.

A merge that is interrupted between storing a tile and writing that down is taken up at that tile.
Where colours shine through, or pictures lose by being encoded, drawing over it once more would make
another tile of it. So before a tile is stored, its digest is written down, and that of the tile
that was drawn over the old one: where both come together again, it is left as it is.

JSON lines: the first one tells the state in which the merge is, the others level id, row, column
and both digests. Lines that are torn are passed by.
"""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import suppress
from io import FileIO
from pathlib import Path

from ..storage.files import storage_errors
from ..storage.sidecar import work_folder

NAME = "merged.jsonl"

_LENGTH = 16  # digits of a digest


class MergeRecord:
    """The record beside the cache at `path`. `state`: of what is merged; another one starts anew.

    Any thread, once made. Raises StorageError.
    """

    def __init__(self, path: Path, state: str) -> None:
        file = work_folder(path) / NAME
        first = json.dumps({"state": digest_of(state.encode("utf-8", "replace"))})
        with storage_errors(file):
            self._known = _read(file, first)
            file.parent.mkdir(parents=True, exist_ok=True)
            if self._known is None:
                file.unlink(missing_ok=True)
            self._file = FileIO(file, "a")
        self._path, self._lock = file, threading.Lock()
        if self._known is None:
            self._known = {}
            self._write(first)
        else:
            self._write("")  # ends a line that was torn off

    def is_result(self, level_id: int, row: int, col: int, above: bytes, content: bytes) -> bool:
        """Whether `content` is what the interrupted merge made of that tile and `above`."""
        known = (self._known or {}).get((level_id, row, col))
        return known is not None and known == (digest_of(above), digest_of(content))

    def note(self, level_id: int, row: int, col: int, above: bytes, content: bytes) -> None:
        """Write down that the tile, by `above`, is about to become `content`. As the class."""
        self._write(json.dumps([level_id, row, col, digest_of(above), digest_of(content)]))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _write(self, line: str) -> None:
        rest = memoryview(line.encode() + b"\n")
        with self._lock, storage_errors(self._path):
            while rest:
                rest = rest[self._file.write(rest) :]


def forget_merges(path: Path) -> None:
    """Drop the record beside the cache at `path`: its merge has come to its end."""
    with suppress(OSError):
        (work_folder(path) / NAME).unlink()


def digest_of(content: bytes) -> str:
    """A short digest; two tiles that have the same one are the same."""
    return hashlib.sha256(content).hexdigest()[:_LENGTH]


def _read(file: Path, first: str) -> dict[tuple[int, int, int], tuple[str, str]] | None:
    """What the record in `file` says; None where there is none, or it is of another state."""
    known: dict[tuple[int, int, int], tuple[str, str]] = {}
    try:
        lines = file.open(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    with lines:
        if lines.readline().rstrip("\n") != first:
            return None
        for line in lines:
            with suppress(ValueError, TypeError):
                level_id, row, col, above, digest = json.loads(line)
                known[int(level_id), int(row), int(col)] = str(above), str(digest)
    return known
