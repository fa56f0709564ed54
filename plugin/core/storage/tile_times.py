"""When tiles were stored, for caches whose own files have no place for it.

Of each bundle `times/Lnn/RxxxxCxxxx.times` in our folder: a little-endian u32 of seconds since 1970
for each slot, 0 where it is not known. Where the file is missing or too short, nothing is known.
Written by whoever holds the bundle's lock.
"""

from __future__ import annotations

import math
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from .files import storage_errors
from .records import SLOTS, runs_of
from .store import Bools, Floats

_SIZE = 4 * SLOTS


class TileTimes:
    """The times of one bundle's tiles, in the file at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, exists: Bools, modified: float) -> Floats:
        """Times by slot; NaN where no tile `exists`, `modified`, the bundle's, where not known."""
        with suppress(OSError):
            return _times_of(self.path.read_bytes(), exists, modified)
        return _times_of(b"", exists, modified)

    @property
    def is_begun(self) -> bool:
        """Whether there are times, so that `begin` has nothing to do."""
        with suppress(OSError):
            return self.path.stat().st_size >= _SIZE
        return False

    def begin(self, exists: Bools, modified: float) -> None:
        """Before a bundle is first written: its tiles are at most as new as the bundle.

        Raises as `storage_errors`.
        """
        if self.is_begun:
            return
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("wb") as file:
                if exists.any():
                    file.write(np.where(exists, math.ceil(modified), 0).astype("<u4").tobytes())
                file.truncate(_SIZE)  # a hole where nothing is known

    def stored(self, here: Bools) -> None:
        """The tiles in the slots `here` have been stored just now."""
        self._put(here, math.ceil(time.time()))

    def deleted(self, here: Bools) -> None:
        """The tiles in the slots `here` are no more."""
        self._put(here, 0)

    def forget(self) -> None:
        """The bundle is no more, or another one takes its place."""
        with suppress(OSError):
            self.path.unlink()

    def _put(self, here: Bools, seconds: int) -> None:
        """Write `seconds` for the slots `here`.

        The tiles are stored by then. Without their times they are taken for older than they are,
        or as old as the bundle, and at worst made once more: no reason to call them failed.
        """
        with suppress(OSError), self.path.open("r+b", buffering=0) as file:
            times = np.frombuffer(file.read(_SIZE).ljust(_SIZE, b"\0"), dtype="<u4").copy()
            times[here] = seconds
            for run in runs_of(here):
                file.seek(4 * run.start)
                file.write(times[run].tobytes())


def _times_of(content: bytes, exists: Bools, modified: float) -> Floats:
    known = np.frombuffer(content[:_SIZE].ljust(_SIZE, b"\0"), dtype="<u4").astype(np.float64)
    times = np.where(known > 0, known, math.ceil(modified))
    return np.where(exists, times, np.nan)
