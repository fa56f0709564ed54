"""The one interface of all tile stores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from ..arrays import places
from ..tiling import TileRange
from .profile import CacheProfile

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Cancelled = Callable[[], bool]


class Fault(Enum):
    """What can be wrong with a tile or with the file that holds it."""

    OUTSIDE = "an index entry points outside the file"
    OVERLAP = "two index entries share bytes"
    SIZE = "the size in front of a tile differs from the index"
    HEADER = "the header differs from the file"
    CUT = "the file is cut off"
    NOT_A_BUNDLE = "the file is no bundle"
    UNREADABLE = "the file cannot be read"
    PICTURE = "the tile is no whole picture"
    PICTURE_SIZE = "the picture has another size than the scheme's tiles"
    PICTURE_FORMAT = "the picture has another format than the cache's"
    LEVEL = "the scheme has no such level"
    STRAY = "a tile lies where the scheme has none"


NO_LEVEL = -1
"""In place of a level's id: what is found belongs to the whole cache."""


@dataclass(frozen=True)
class Finding:
    """Something wrong: `fault` at `tile` (row, column; None: the whole file) of level `level_id`.

    `level_id`: NO_LEVEL for a file that all levels have in common.
    `file`: the file on disk or in the package. `can_be_mended`: `TileStore.mend` can put it right,
    a header by writing it anew, a broken entry by dropping it, so that the tile counts as empty;
    `by_setting_aside`: and the file gets another name, for not all in it can be read.
    """

    fault: Fault
    level_id: int
    file: str
    tile: tuple[int, int] | None = None
    can_be_mended: bool = False
    by_setting_aside: bool = False


@dataclass(frozen=True)
class Holes:
    """Bytes of a file that no tile uses any more: `unused` of `size`."""

    level_id: int
    file: str
    size: int
    unused: int


class TileStore(ABC):
    """Tiles by level id, row and column. Row 0 is the topmost, as in the tiling scheme.

    Reading is safe from several threads and beside writers in other processes. Writing: from one
    thread of a process at a time; several processes may write the same cache (packages: one).
    Paths may be on a network share and hold blanks and any letters.

    Write order: tile bytes, then index entry, then header, so that killed at any point it reads.
    A call of `write` or `delete` that has returned is durable against the death of the process;
    `commit` makes it durable against loss of power.
    """

    path: Path
    profile: CacheProfile
    is_writable: bool
    _stopped: Cancelled | None = None

    def wait_until(self, stopped: Cancelled) -> None:
        """Wait for others, who write the same bundle, no longer than until `stopped`.

        Then CacheInUse is raised. Asked from the thread that writes.
        """
        self._stopped = stopped

    def _is_given_up(self) -> bool:
        """Whether to wait for others no more."""
        return self._stopped is not None and self._stopped()

    @abstractmethod
    def read(self, level_id: int, row: int, col: int) -> bytes | None:
        """Bytes of a tile as stored; None where there is none. Raises DamagedCache."""

    @abstractmethod
    def exists(self, level_id: int, block: TileRange) -> Bools:
        """Which tiles of `block` exist, as an array of rows by columns. Raises DamagedCache."""

    @abstractmethod
    def times(self, level_id: int, block: TileRange) -> Floats:
        """When the tiles of `block` were stored, seconds since 1970, NaN where there is none.

        Where a format keeps no times of its own, never earlier than the truth: the time of the
        file that holds the tile stands in for what was not recorded.
        """

    @abstractmethod
    def blocks(self, level_id: int) -> Iterator[TileRange]:
        """Blocks of up to 128 x 128 tiles, aligned to bundles, outside of which no tile exists.

        In no particular order, lazily. Includes levels the scheme does not know.
        """

    def unwritten(self, level_id: int, since: int) -> Iterator[TileRange]:
        """Those of `blocks` that nobody, whoever it is, has written after `since`, lazily.

        As the system tells of a file for each; none where one file holds more than a bundle, or
        less. `since`: nanoseconds since 1970.
        """
        return iter(())

    @abstractmethod
    def level_ids(self) -> tuple[int, ...]:
        """Ids of the levels that lie on disk, ascending, also those the scheme does not know."""

    @abstractmethod
    def counts(self, cancelled: Cancelled = lambda: False) -> dict[int, int]:
        """Number of tiles that exist by level id; levels without tiles may be left out.

        What is damaged counts as empty. `cancelled`: once true, ends early with what it has.
        """

    @abstractmethod
    def write(self, level_id: int, tiles: Mapping[tuple[int, int], bytes]) -> None:
        """Store tiles (row, column), all of one bundle; those that exist are replaced.

        Raises ReadOnlyCache, CacheInUse, DiskFull, DamagedCache (the bundle is no bundle;
        nothing is written), TileTooLarge.
        """

    @abstractmethod
    def delete(self, level_id: int, tiles: Collection[tuple[int, int]]) -> int:
        """Delete tiles (row, column), all of one bundle; how many there were. Raises as write."""

    def write_even(self, level_id: int, block: TileRange, tiles: Bools, picture: bytes) -> None:
        """Store `picture` at all of `tiles`, rows by columns of `block`, which lies in one bundle.

        Raises as write.
        """
        self.write(level_id, dict.fromkeys(_places(block, tiles), picture))

    def delete_block(self, level_id: int, block: TileRange, tiles: Bools) -> int:
        """Delete `tiles`, rows by columns of `block`, which lies in one bundle; as `delete`."""
        return self.delete(level_id, _places(block, tiles))

    def read_block(
        self, level_id: int, block: TileRange, tiles: Bools
    ) -> dict[tuple[int, int], bytes]:
        """Those of `tiles`, rows by columns of `block`, that exist, by row and column.

        Raises DamagedCache.
        """
        there = _places(block, tiles & self.exists(level_id, block))
        found = ((place, self.read(level_id, *place)) for place in there)
        return {place: picture for place, picture in found if picture is not None}

    @abstractmethod
    def commit(self) -> None:
        """Make all that was written durable; packages are written anew, whole, and renamed.

        Cheap where nothing was written since the last. Raises DiskFull, CacheInUse.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of all files; what was written to a package without commit stays recoverable."""

    # Care

    def file_findings(self, cancelled: Cancelled = lambda: False) -> Iterator[Finding]:
        """What is wrong with files that all levels have in common, lazily."""
        return iter(())

    @abstractmethod
    def findings(self, level_id: int, cancelled: Cancelled = lambda: False) -> Iterator[Finding]:
        """What is wrong with the files of a level, apart from the pictures in them, lazily."""

    @abstractmethod
    def mend(self, finding: Finding) -> bool:
        """Put right what `finding` tells, where it can be; whether it is right now."""

    @abstractmethod
    def holes(self, level_id: int, cancelled: Cancelled = lambda: False) -> Iterator[Holes]:
        """Of each file of the level that can have holes, how many bytes are unused, lazily."""

    def holes_in(self, level_id: int, block: TileRange) -> Holes | None:
        """The holes of the file that holds the bundle `block`.

        None where there is no file, or one file holds more than a bundle.
        """
        return None

    @abstractmethod
    def defragment(self, holes: Holes) -> int:
        """Write the file of `holes` anew without them, then rename; gives the bytes won.

        A file without tiles is removed. Raises CacheInUse (a reader keeps it open, on systems that
        forbid to replace such a file), DiskFull.
        """

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _places(block: TileRange, tiles: Bools) -> list[tuple[int, int]]:
    """Row and column of each of `tiles`, rows by columns of `block`."""
    return [(block.min_row + row, block.min_col + col) for row, col in places(tiles)]
