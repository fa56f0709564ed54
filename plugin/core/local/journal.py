"""The journal of an update: what is done is written down as it is stored, so that a run resumes.

Each run has a file of its own in the cache's work folder, so several processes may update one cache
at the same time. A run holds a lock beside its journal; a journal without an end whose lock is free
was interrupted.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from io import FileIO
from pathlib import Path

from ..description import UnfinishedRun
from ..errors import CacheInUse, NothingToResume, StorageError
from ..request import Outcome, Resume, UpdateRequest
from ..storage.files import storage_errors
from ..storage.locks import locked
from ..storage.sidecar import work_folder
from ..tiling import TilingScheme
from .past_run import Run, glance, has_ended
from .plan import TilesPlan
from .run_record import Entry, Head, Whole, entry_line, head_line, whole_line

FOLDER = "runs"
KEPT = 10
"""Journals that are kept; older ones are deleted when a run begins."""

MENDED = "mended"
"""A file beside the journals, as old as the last time that broken tiles were dropped."""

OLDEST_COPY = 7 * 24 * 3600.0
"""Seconds after which an interrupted export begins anew: by then a service has other tiles."""

_DIGITS = 15  # of the number that the name of a journal begins with
_MOMENT = 0.05
"""Seconds for which others hold a journal's lock at the most, unless its run is on."""


class Journal:
    """The journal of the run that is on, and what it has taken over: from `run`, where it resumes.

    `tiles`: as in Head. Close it; without `end` the run then counts as interrupted.
    """

    def __init__(self, path: Path, head: Head, run: Run | None, stack: ExitStack) -> None:
        self.path, self.head, self.run = path, head, run
        self._stack = stack
        with storage_errors(path):
            # Unbuffered: what a full disk refused must not be tried once more at the end.
            self._file: FileIO = stack.enter_context(path.open("ab", buffering=0))
        if run is None:
            self._write(head_line(head))
        else:
            # Ends a line that was torn off.
            self._write("\n" + json.dumps({"resumed": time.time(), "sure": run.is_sure}))
        self.sync()

    @property
    def side(self) -> int:
        """Tiles to a side of what an entry is about."""
        return self.head.side

    def append(self, *entries: Entry) -> None:
        """Write down what came of supertiles, once they are stored; all at once."""
        if entries:
            self._write("\n".join(map(entry_line, entries)))

    def whole(self, bundles: Collection[Whole]) -> None:
        """Write down which bundles are done, after the cache was committed."""
        if bundles:
            self._write(whole_line(bundles))

    def untouched(self, count: int) -> None:
        """Write down that in so many supertiles nothing was to do."""
        if count:
            self._write(json.dumps({"untouched": count}))

    def end(self, outcome: Outcome) -> None:
        """Write down that the run came to its end."""
        self._write(json.dumps({"end": outcome.value, "time": time.time()}))
        self.sync()

    def discard(self) -> None:
        """Forget a run that did nothing at all; one that was taken up stays as it was."""
        if self.run is None:
            self.close()
            _drop([self.path])

    def sync(self) -> None:
        """Make it durable against loss of power."""
        with storage_errors(self.path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let go of the file and of the lock."""
        self._stack.close()

    def _write(self, line: str) -> None:
        rest = memoryview(line.encode() + b"\n")
        with storage_errors(self.path):
            while rest:
                rest = rest[self._file.write(rest) :]


def open_journal(path: Path, head: Head) -> Journal:
    """The journal for a run on the cache at `path`: new, or taken up as `head.request` says.

    Raises NothingToResume, StorageError.
    """
    resume = head.request.resume
    if resume is Resume.FAILED:
        return _begun(path, _of_failed(path, head))
    if resume is Resume.NEW:
        _drop(file for file in _files(path) if not has_ended(file) and not _is_live(file))
        return _begun(path, head)
    for file in _resumable(path, head):
        # Not where another process goes on with it, or where it came to its end.
        with suppress(CacheInUse, ValueError):
            return _opened(file, None)
    if resume is Resume.CONTINUE:
        raise NothingToResume(str(path))
    return _begun(path, head)


def unfinished(path: Path, scheme: TilingScheme | None = None) -> UnfinishedRun | None:
    """The last run on the cache at `path`, where it was interrupted or left failed tiles.

    None, too, where its journal cannot be read, or is of a cache that had another tiling scheme
    than `scheme`, where that is given.
    """
    run = _last(path)
    if run is None or scheme not in (None, run.head.request.scheme):
        return None
    failed = sum(1 for _tile in run.failed())
    if not failed and not run.is_interrupted:
        return None
    request = run.head.request
    ids = tuple(level.id for level in request.levels)
    return UnfinishedRun(
        mode=request.mode,
        level_ids=ids,
        started=run.head.started,
        done=run.done,
        planned=run.head.planned,
        failed=failed,
        is_interrupted=run.is_interrupted,
    )


def unfinished_request(path: Path) -> UpdateRequest | None:
    """The request that takes up the run of `unfinished`: CONTINUE it, or do its FAILED tiles."""
    run = _last(path)
    if run is None:
        return None
    if run.is_interrupted:
        return run.head.request
    return replace(run.head.request, resume=Resume.FAILED) if any(run.failed()) else None


def discard_unfinished(path: Path) -> None:
    """Forget what the runs on the cache at `path` left undone; tiles stay as they are. Blocks.

    All runs but those that are on at this moment: of the older ones, too, nobody wants to hear any
    more. Raises StorageError where a record cannot be deleted.
    """
    for file in _files(path):
        if not _is_live(file):
            with storage_errors(file):
                file.unlink(missing_ok=True)
            _drop([file])


def _last(path: Path) -> Run | None:
    """The last run on the cache that is not on at this moment; exports into it do not count."""
    for file in reversed(_files(path)):
        if not _is_live(file):
            with suppress(ValueError):
                run = Run(file)
                if not run.head.is_copy:
                    return run
    return None


def _files(path: Path) -> list[Path]:
    """The journals of the cache, oldest first."""
    try:
        return sorted((work_folder(path) / FOLDER).glob("*.jsonl"))
    except OSError:
        return []


def _number_of(journal: Path) -> int:
    """By which journals are in order: milliseconds, or more where a clock has been put back."""
    digits = journal.name.partition("-")[0]
    return int(digits) if digits.isdecimal() and len(digits) == _DIGITS else 0


def _lock_of(journal: Path) -> Path:
    return journal.with_suffix(".lock")


def _is_live(journal: Path) -> bool:
    """Whether the run of this journal is on at this moment, in whatever process."""
    lock = _lock_of(journal)
    if not lock.exists():
        return False
    try:
        with locked(lock, _MOMENT):
            return False
    except CacheInUse:
        return True
    except StorageError:
        # Where nothing may be written, nothing is.
        return False


def _resumable(path: Path, head: Head) -> Iterator[Path]:
    """Journals of runs that `head.request` takes up if they were interrupted, the best first.

    Where nobody said so outright, only what is still as it was then: drawn from the same, by the
    area and not by a list, and nothing deleted or drawn from something else since. An export only
    for some days.
    """
    is_asked = head.request.resume is Resume.CONTINUE
    for file in reversed(_files(path)):
        with suppress(ValueError):
            old = glance(file)
            is_old = head.is_copy and abs(head.started - old.started) > OLDEST_COPY
            is_same = old.source == head.source and not is_old
            if old.is_about(head.request) and (is_asked or (is_same and old.tiles is None)):
                yield file
            elif not is_asked and not is_same:
                return


def _of_failed(path: Path, head: Head) -> Head:
    """`head` for the tiles that failed in the last run. Raises NothingToResume."""
    last, levels = _last(path), head.request.levels
    if last is None or last.head.request.scheme != head.request.scheme:
        raise NothingToResume(str(path))
    listed = last.failed_tiles({level.id for level in levels})
    if not listed:
        raise NothingToResume(str(path))
    plan = TilesPlan(levels, listed)
    planned = sum(plan.supertiles(level, head.side) for level in plan.levels)
    return replace(head, tiles=listed, planned=planned)


def _begun(path: Path, head: Head) -> Journal:
    """A new journal; the oldest ones go."""
    folder = work_folder(path) / FOLDER
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    old = _files(path)
    _drop(file for file in old[: max(0, len(old) - KEPT + 1)] if not _is_live(file))
    number = max([int(head.started * 1000), *(_number_of(file) + 1 for file in old)])
    name = f"{number:0{_DIGITS}d}-{os.getpid()}-{secrets.token_hex(3)}.jsonl"
    return _opened(folder / name, head)


def _opened(file: Path, head: Head | None) -> Journal:
    """The journal `file`, locked: new, with `head`, or else taken up as it is by now.

    Raises CacheInUse where its run is on, ValueError where it has come to its end.
    """
    stack = ExitStack()
    try:
        stack.enter_context(locked(_lock_of(file), _MOMENT))
        if head is not None:
            return Journal(file, head, None, stack)
        run = _interrupted(file)
        return Journal(file, run.head, run, stack)
    except BaseException:
        stack.close()
        raise


def _interrupted(file: Path) -> Run:
    """The run of that journal. Raises ValueError where it has come to its end, or is no journal."""
    run = Run(file)
    if not run.is_interrupted:
        raise ValueError(str(file))
    run.is_sure = _is_newest(file)
    return run


def _is_newest(file: Path) -> bool:
    """Whether nothing of ours has changed the cache after the run of the journal `file`."""
    with suppress(OSError):
        last = file.stat().st_mtime_ns
        others = [each for each in file.parent.glob("*.jsonl") if each != file]
        others += file.parent.glob(MENDED)
        return all(each.stat().st_mtime_ns < last for each in others)
    return False


def note_mending(path: Path) -> None:
    """Tiles were taken out of the cache at `path`: what was done is to be looked at again."""
    folder = work_folder(path) / FOLDER
    if folder.is_dir():
        with storage_errors(folder):
            (folder / MENDED).touch()


def _drop(journals: Iterable[Path]) -> None:
    """Delete journals that nobody writes."""
    for file in journals:
        for each in (file, _lock_of(file)):
            with suppress(OSError):
                each.unlink()
