"""When tiles were stored, for caches whose own files have no place for it.

Of each bundle `times/Lnn/RxxxxCxxxx.times` in our folder: a little-endian u32 of seconds since 1970
for each slot, 0 where it is not known. Where the file is missing or too short, nothing is known.
Written by whoever holds the bundle's lock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import numpy as np

from .bundle_v2 import SLOTS
from .files import storage_errors
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

    def begin(self, exists: Bools, modified: float) -> None:
        """Before a bundle is first written: its tiles are at most as new as the bundle.

        Raises as `storage_errors`.
        """
        with storage_errors(self.path):
            if self.path.exists() and self.path.stat().st_size >= _SIZE:
                return
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("wb") as file:
                if exists.any():
                    file.write(np.where(exists, math.ceil(modified), 0).astype("<u4").tobytes())
                file.truncate(_SIZE)  # a hole where nothing is known

    def stored(self, slots: Collection[int]) -> None:
        """The tiles in `slots` have been stored just now."""
        self._put(slots, math.ceil(time.time()))

    def deleted(self, slots: Collection[int]) -> None:
        """The tiles in `slots` are no more."""
        self._put(slots, 0)

    def forget(self) -> None:
        """The bundle is no more, or another one takes its place."""
        with suppress(OSError):
            self.path.unlink()

    def _put(self, slots: Collection[int], seconds: int) -> None:
        """Write `seconds` for `slots`.

        The tiles are stored by then. Without their times they are taken for older than they are,
        or as old as the bundle, and at worst made once more: no reason to call them failed.
        """
        places = sorted(slots)
        value = seconds.to_bytes(4, "little")
        with suppress(OSError), self.path.open("r+b") as file:
            start = 0
            for at in range(1, len(places) + 1):
                if at == len(places) or places[at] != places[at - 1] + 1:
                    file.seek(4 * places[start])
                    file.write(value * (at - start))
                    start = at


def _times_of(content: bytes, exists: Bools, modified: float) -> Floats:
    known = np.frombuffer(content[:_SIZE].ljust(_SIZE, b"\0"), dtype="<u4").astype(np.float64)
    times = np.where(known > 0, known, math.ceil(modified))
    return np.where(exists, times, np.nan)
