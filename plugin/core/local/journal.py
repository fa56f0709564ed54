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
from array import array
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..description import UnfinishedRun
from ..errors import CacheInUse, NothingToResume, StorageError, TileCacheError
from ..request import FailedTile, Outcome, Resume, UpdateMode, UpdateRequest
from ..storage.files import storage_errors
from ..storage.locks import locked
from ..storage.sidecar import work_folder
from ..storage.store import Bools
from ..tiling import BUNDLE_TILES
from .plan import Corner, TilesPlan
from .run_record import (
    Entry,
    Head,
    Tiles,
    entry_line,
    head_line,
    read_entry,
    read_head,
)

FOLDER = "runs"
KEPT = 10
"""Journals that are kept; older ones are deleted when a run begins."""

_NUMBERS = 7  # of an entry without failures


class Run:
    """What the journal at `path` tells of a run that is over, or was interrupted.

    Raises ValueError where it is no journal.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.untouched = 0
        self.outcome: Outcome | None = None
        self._numbers = array("q")
        self._failed: dict[tuple[int, int, int], Entry] = {}
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                self.head: Head = read_head(next(file, ""))
                for line in file:
                    self._take(line)
        except (OSError, LookupError, TypeError, AttributeError, TileCacheError) as error:
            raise ValueError(str(path)) from error
        self._table = self._newest()

    @property
    def is_interrupted(self) -> bool:
        """Whether it did not come to its end; who runs it at this moment is not looked at."""
        return self.outcome is None

    @property
    def done(self) -> int:
        """Number of supertiles that are done."""
        return min(len(self._table) + self.untouched, self.head.planned)

    def bundles(self, level_id: int) -> set[Corner]:
        """Corners of the bundles of a level in which something is done."""
        rows = self._table[self._table[:, 0] == level_id, 1:3]
        corners = np.unique(rows - rows % BUNDLE_TILES, axis=0)
        return {(row, col) for row, col in corners.tolist()}

    def entries(self, level_id: int, corner: Corner) -> Iterator[Entry]:
        """What is done in a bundle."""
        row, col = corner
        # Ordered by level and row, so all of them lie between two places.
        start, end = (
            int(np.searchsorted(self._keys, (level_id << 40) + number))
            for number in (row, row + BUNDLE_TILES)
        )
        part = self._table[start:end]
        for numbers in part[(part[:, 2] >= col) & (part[:, 2] < col + BUNDLE_TILES)].tolist():
            level, first_row, first_col, made, replaced, deleted, skipped = numbers
            entry = Entry(level, first_row, first_col, made, replaced, deleted, skipped)
            yield self._failed.get(entry.key, entry)

    def done_tiles(self, level_id: int, corner: Corner) -> Bools:
        """Which tiles of a bundle belong to what is done in it."""
        mask = np.zeros((BUNDLE_TILES, BUNDLE_TILES), dtype=np.bool_)
        side = self.head.side
        for entry in self.entries(level_id, corner):
            top, left = entry.row - corner[0], entry.col - corner[1]
            mask[top : top + side, left : left + side] = True
        return mask

    def failed(self) -> Iterator[FailedTile]:
        """The tiles that failed."""
        for entry in self._failed.values():
            for row, col in entry.failed:
                yield FailedTile(entry.level_id, row, col, entry.error or TileCacheError())

    def failed_tiles(self, level_ids: set[int]) -> dict[int, Tiles]:
        """Rows and columns of the tiles that failed on these levels, by level id."""
        tiles: dict[int, list[Corner]] = {}
        for each in self.failed():
            if each.level_id in level_ids:
                tiles.setdefault(each.level_id, []).append((each.row, each.col))
        return {level_id: tuple(listed) for level_id, listed in tiles.items()}

    def _take(self, line: str) -> None:
        with suppress(ValueError, TypeError, LookupError, AttributeError):
            found = json.loads(line)
            if isinstance(found, list):
                self._take_entry(read_entry(found))
            elif "untouched" in found:
                self.untouched += int(found["untouched"])
            elif "resumed" in found:
                # What needs nothing done is looked at again, and counted again.
                self.untouched = 0
            elif "end" in found:
                self.outcome = Outcome(found["end"])

    def _take_entry(self, entry: Entry) -> None:
        numbers = (entry.made, entry.replaced, entry.deleted, entry.skipped)
        self._numbers.extend((*entry.key, *numbers))
        self._failed.pop(entry.key, None)
        if entry.failed:
            self._failed[entry.key] = entry

    def _newest(self) -> Any:
        """The last entry of each supertile, ordered by level, row and column."""
        table = np.frombuffer(self._numbers, dtype=np.int64).reshape(-1, _NUMBERS)
        order = np.lexsort((table[:, 2], table[:, 1], table[:, 0]))
        table = table[order]
        is_last = np.append((np.diff(table[:, :3], axis=0) != 0).any(axis=1), True)
        table = table[is_last[: len(table)]]
        self._keys = (table[:, 0] << 40) + table[:, 1]
        return table


class Journal:
    """The journal of the run that is on, and what it has taken over: from `run`, where it resumes.

    `tiles`: as in Head. Close it; without `end` the run then counts as interrupted.
    """

    def __init__(self, path: Path, head: Head, run: Run | None, stack: ExitStack) -> None:
        self.path, self.head, self.run = path, head, run
        self._stack = stack
        with storage_errors(path):
            self._file: BinaryIO = stack.enter_context(path.open("ab"))
        if run is None:
            self._write(head_line(head))
        else:
            # Ends a line that was torn off.
            self._write("\n" + json.dumps({"resumed": time.time()}))
        self.sync()

    @property
    def side(self) -> int:
        """Tiles to a side of what an entry is about."""
        return self.head.side

    def append(self, entry: Entry) -> None:
        """Write down what came of a supertile, once it is stored."""
        self._write(entry_line(entry))

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
        with storage_errors(self.path):
            self._file.write(line.encode() + b"\n")
            self._file.flush()


def open_journal(path: Path, head: Head) -> Journal:
    """The journal for a run on the cache at `path`: new, or taken up as `head.request` says.

    Raises NothingToResume, StorageError.
    """
    resume, request = head.request.resume, head.request
    runs = _runs(path)
    if resume is Resume.FAILED:
        listed = runs[-1].failed_tiles({level.id for level in request.levels}) if runs else {}
        if not listed:
            raise NothingToResume(str(path))
        plan = TilesPlan(request.levels, listed)
        planned = sum(plan.supertiles(level, head.side) for level in plan.levels)
        head = replace(head, tiles=listed, planned=planned)
    elif resume is Resume.NEW:
        _drop(run for run in runs if run.is_interrupted)
    else:
        for run in _resumable(runs, head):
            journal = _taken_up(run)
            if journal is not None:
                return journal
        if resume is Resume.CONTINUE:
            raise NothingToResume(str(path))
    return _begun(path, head)


def unfinished(path: Path) -> UnfinishedRun | None:
    """The last run on the cache at `path`, where it was interrupted or left failed tiles.

    None, too, where its journal cannot be read.
    """
    run = _last(path)
    if run is None:
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


def _last(path: Path) -> Run | None:
    """The last run on the cache that is not on at this moment."""
    for file in reversed(_files(path)):
        if not _is_live(file):
            with suppress(ValueError):
                return Run(file)
    return None


def _files(path: Path) -> list[Path]:
    """The journals of the cache, oldest first."""
    try:
        return sorted((work_folder(path) / FOLDER).glob("*.jsonl"))
    except OSError:
        return []


def _runs(path: Path) -> list[Run]:
    """The runs on the cache that are not on at this moment, oldest first."""
    runs = []
    for file in _files(path):
        if not _is_live(file):
            with suppress(ValueError):
                runs.append(Run(file))
    return runs


def _lock_of(journal: Path) -> Path:
    return journal.with_suffix(".lock")


def _is_live(journal: Path) -> bool:
    """Whether the run of this journal is on at this moment, in whatever process."""
    lock = _lock_of(journal)
    if not lock.exists():
        return False
    try:
        with locked(lock, timeout=0):
            return False
    except CacheInUse:
        return True
    except StorageError:
        # Where nothing may be written, nothing is.
        return False


def _resumable(runs: list[Run], head: Head) -> Iterator[Run]:
    """Runs that `head.request` takes up, the best first.

    Where nobody said so outright, only what is still as it was then: drawn from the same, by the
    area and not by a list, and nothing deleted since.
    """
    for run in reversed(runs):
        old = run.head
        if run.is_interrupted and old.is_about(head.request):
            is_same = old.source == head.source and old.tiles is None
            if head.request.resume is Resume.CONTINUE or is_same:
                yield run
        elif old.request.mode is UpdateMode.DELETE and head.request.resume is Resume.AUTO:
            return


def _taken_up(run: Run) -> Journal | None:
    """The journal of `run`, to go on with; None where another process was quicker."""
    try:
        return _opened(run.path, run.head, run)
    except CacheInUse:
        return None


def _begun(path: Path, head: Head) -> Journal:
    """A new journal; the oldest ones go."""
    folder = work_folder(path) / FOLDER
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    old = _files(path)
    _drop(file for file in old[: max(0, len(old) - KEPT + 1)] if not _is_live(file))
    name = f"{int(head.started * 1000):015d}-{os.getpid()}-{secrets.token_hex(3)}.jsonl"
    return _opened(folder / name, head, None)


def _opened(file: Path, head: Head, run: Run | None) -> Journal:
    """The journal `file`, locked. Raises CacheInUse where its run is on."""
    stack = ExitStack()
    try:
        stack.enter_context(locked(_lock_of(file), timeout=0))
        return Journal(file, head, run, stack)
    except BaseException:
        stack.close()
        raise


def _drop(journals: Iterable[Path | Run]) -> None:
    """Delete journals that nobody writes."""
    for journal in journals:
        file = journal.path if isinstance(journal, Run) else journal
        for each in (file, _lock_of(file)):
            with suppress(OSError):
                each.unlink()
