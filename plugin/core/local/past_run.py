"""Reading the journal of a run that is over, or was interrupted."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import TileCacheError
from ..request import FailedTile, Outcome
from ..storage.store import Bools
from ..tiling import BUNDLE_TILES
from .plan import Corner
from .run_record import UNREADABLE, Entry, Head, Tiles, checked, read_entry, read_head

_NUMBERS = 7  # of an entry without failures
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
        return min(len(self._table) + self.untouched, self.head.planned)

    def bundles(self, level_id: int) -> set[Corner]:
        """Corners of the bundles of a level in which something is done."""
        rows = self._table[self._table[:, 0] == level_id, 1:3]
        corners = np.unique(rows - rows % BUNDLE_TILES, axis=0)
        return {(row, col) for row, col in corners.tolist()}

    def deleted(self, level_id: int) -> int:
        """Number of tiles of a level that were deleted."""
        return int(self._table[self._table[:, 0] == level_id, 5].sum())

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
        with suppress(*UNREADABLE):
            found = json.loads(line)
            if isinstance(found, list) and len(found) == _NUMBERS and not self._failed:
                # Most of them by far, and there may be millions.
                self._numbers.extend(checked(found))
            elif isinstance(found, list):
                self._take_entry(read_entry(found))
            elif "untouched" in found:
                self.untouched += int(found["untouched"])
            elif "resumed" in found:
                # What needs nothing done is looked at again, and counted again.
                self.untouched, self.outcome = 0, None
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
        table = np.array(self._numbers, dtype=np.int64).reshape(-1, _NUMBERS)
        order = np.lexsort((table[:, 2], table[:, 1], table[:, 0]))
        table = table[order]
        is_last = np.append((np.diff(table[:, :3], axis=0) != 0).any(axis=1), True)
        table = table[is_last[: len(table)]]
        self._keys = (table[:, 0] << 40) + table[:, 1]
        return table
