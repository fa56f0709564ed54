"""Reading the journal of a run that is over, or was interrupted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import TileCacheError
from ..request import FailedTile, Outcome
from ..storage.store import Bools
from ..tiling import BUNDLE_TILES
from .plan import Corner
from .run_record import (
    UNREADABLE,
    Entry,
    Head,
    Key,
    Tiles,
    Whole,
    checked,
    read_entry,
    read_head,
    read_whole,
)

_NUMBERS = 7  # of an entry without failures
_CHUNK = 4096  # entries that are packed at once
_ROW = [
    *(("level", "u2"), ("row", "u4"), ("col", "u4")),
    *(("made", "u2"), ("replaced", "u2"), ("deleted", "u4"), ("skipped", "u2")),
    *(("side", "u1"), ("supertiles", "u2")),
]
"""How entries are kept, of which there may be millions: as few bytes each as their numbers need."""

_END_LINE = 200  # bytes, more than the line at the end of a run has


def glance(path: Path) -> Head:
    """Only the head of the journal at `path`. Raises ValueError where it is none."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return read_head(next(file, ""))
    except (OSError, *UNREADABLE) as error:
        raise ValueError(str(path)) from error


def has_ended(path: Path) -> bool:
    """Whether the journal at `path` ends with its run's end."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _END_LINE))
            lines = file.read().split(b"\n")
        return len(lines) > 1 and "end" in json.loads(lines[-2])
    except (OSError, *UNREADABLE):
        return False


class Run:
    """What the journal at `path` tells of a run that is over, or was interrupted.

    `written`: when it was written last, nanoseconds since 1970. `is_sure`: no run of ours can have
    changed since what it says was committed; set by who knows.

    Raises ValueError where it is no journal.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.untouched = 0
        self.outcome: Outcome | None = None
        self.is_sure = False
        self._rows: list[tuple[int, ...]] = []
        self._chunks: list[Any] = []
        self._failed: dict[Key, Entry] = {}
        self._whole: dict[tuple[int, int, int], Whole] = {}
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                self.written = os.fstat(file.fileno()).st_mtime_ns
                self.head: Head = read_head(next(file, ""))
                for line in file:
                    self._take(line)
        except (OSError, *UNREADABLE) as error:
            raise ValueError(str(path)) from error
        self._table = self._newest()

    @property
    def is_interrupted(self) -> bool:
        """Whether it did not come to its end; who runs it at this moment is not looked at."""
        return self.outcome is None

    @property
    def done(self) -> int:
        """Number of supertiles that are done."""
        done = int(self._table["supertiles"].sum(dtype=np.int64))
        return min(done + self.untouched, self.head.planned)

    def bundles(self, level_id: int) -> set[Corner]:
        """Corners of the bundles of a level in which something is done."""
        there = self._table[self._table["level"] == level_id]
        rows, cols = (there[name] // BUNDLE_TILES * BUNDLE_TILES for name in ("row", "col"))
        return set(zip(rows.tolist(), cols.tolist()))

    def deleted(self, level_id: int) -> int:
        """Number of tiles of a level that were deleted."""
        there = self._table["level"] == level_id
        return int(self._table["deleted"][there].sum(dtype=np.int64))

    def finished(self, level_id: int) -> dict[Corner, Whole]:
        """The bundles of a level that were done and committed, where no run changed them since."""
        if not self.is_sure:
            return {}
        return {each[1:3]: each for each in self._whole.values() if each[0] == level_id}

    def entries(self, level_id: int, corner: Corner) -> Iterator[Entry]:
        """What is done in a bundle."""
        row, col = corner
        # Ordered by level and row, so all of them lie between two places.
        start, end = (
            int(np.searchsorted(self._keys, (level_id << 40) + number))
            for number in (row, row + BUNDLE_TILES)
        )
        part = self._table[start:end]
        for numbers in part[part["col"] // BUNDLE_TILES == col // BUNDLE_TILES].tolist():
            level, first_row, first_col, made, replaced, deleted, skipped, *square = numbers
            entry = Entry(level, first_row, first_col, made, replaced, deleted, skipped)
            if square != [0, 1]:
                entry = replace(entry, side=square[0], supertiles=square[1])
            yield self._failed.get(entry.key, entry)

    def done_tiles(self, level_id: int, corner: Corner) -> Bools:
        """Which tiles of a bundle belong to what is done in it."""
        mask = np.zeros((BUNDLE_TILES, BUNDLE_TILES), dtype=np.bool_)
        for entry in self.entries(level_id, corner):
            side = entry.side or self.head.side
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
        with suppress(*UNREADABLE):
            found = json.loads(line)
            if isinstance(found, list) and len(found) == _NUMBERS and not self._failed:
                # Most of them by far, and there may be millions.
                self._add((*checked(found), 0, 1))
            elif isinstance(found, list):
                self._take_entry(read_entry(found))
            elif "untouched" in found:
                self.untouched += int(found["untouched"])
            elif "whole" in found:
                for bundle in map(read_whole, found["whole"]):
                    self._whole[bundle[:3]] = bundle
            elif "resumed" in found:
                # What needs nothing done is looked at again, and counted again.
                self.untouched, self.outcome = 0, None
                if not found.get("sure"):
                    self._whole.clear()
            elif "end" in found:
                self.outcome = Outcome(found["end"])

    def _take_entry(self, entry: Entry) -> None:
        numbers = (entry.made, entry.replaced, entry.deleted, entry.skipped)
        self._add((*entry.key[:3], *numbers, entry.side, entry.supertiles))
        self._failed.pop(entry.key, None)
        if entry.failed:
            self._failed[entry.key] = entry

    def _add(self, row: tuple[int, ...]) -> None:
        self._rows.append(row)
        if len(self._rows) >= _CHUNK:
            self._pack()

    def _pack(self) -> None:
        self._chunks.append(np.array(self._rows, dtype=_ROW))
        self._rows = []

    def _newest(self) -> Any:
        """The last entry of each supertile, ordered by level, row and column."""
        self._pack()
        table = np.concatenate(self._chunks)
        self._chunks = []
        keys = [table[name] for name in ("side", "col", "row", "level")]
        order = np.lexsort(keys)
        table = table[order]
        differs = np.zeros(max(0, len(table) - 1), np.bool_)
        for name in ("side", "col", "row", "level"):
            differs |= table[name][1:] != table[name][:-1]
        table = table[np.append(differs, True)[: len(table)]]
        self._keys = (table["level"].astype(np.int64) << 40) + table["row"]
        return table
