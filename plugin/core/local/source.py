"""What a cache on this computer is drawn from, as the update sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import TileCacheError
from ..storage.profile import CacheProfile
from ..tiling import Level, TileRange

Cancelled = Callable[[], bool]


@dataclass(frozen=True)
class Supertile:
    """A block of tiles that is drawn at once; only those in `wanted` (rows x columns) are kept."""

    level: Level
    block: TileRange
    wanted: NDArray[np.bool_]


class PartlyDrawn(dict[tuple[int, int], bytes]):
    """Pictures by row and column, and in `failed` why others, that were wanted, are not there.

    For sources of which each tile can fail by itself, and would when tried again.
    """

    def __init__(
        self,
        pictures: Mapping[tuple[int, int], bytes],
        failed: Mapping[tuple[int, int], TileCacheError],
    ) -> None:
        super().__init__(pictures)
        self.failed = dict(failed)


class TileSource(ABC):
    """Draws tiles. Made on the main thread, with copies of all it needs; then used off it.

    `name`: what people call it. `supertile_side`: so many tiles across are best drawn at once, a
    power of two, 1 to 128. `workers`: so many threads may call `draw` at the same time.
    `look_ahead`: for each of them, so many supertiles are drawn, or wait to be drawn or stored.
    `fingerprint`: changes with what is drawn (styles, layers, files), as far as the source can tell
    once it has started; an interrupted update only goes on by itself where it is the same.
    `is_copy`: it copies tiles from elsewhere, for an export; what is interrupted is taken up by the
    same export again, and by nobody else.
    """

    name: str = ""
    supertile_side: int = 8
    workers: int = 1
    look_ahead: int = 2
    fingerprint: str = ""
    is_copy: bool = False

    @abstractmethod
    def start(self, profile: CacheProfile) -> None:
        """Get ready to draw for the cache of `profile`; before any `draw`, off the main thread.

        Raises SourceError (nothing to draw, CRS unknown, format that cannot be drawn).
        """

    @abstractmethod
    def draw(self, supertile: Supertile, cancelled: Cancelled) -> Mapping[tuple[int, int], bytes]:
        """Encoded pictures of the wanted tiles, by row and column.

        A tile that is left out is one of which the source has nothing (another cache's gap): it is
        neither made nor failed. `PartlyDrawn`: some have failed, the others are to be stored.
        May end early, with anything, once `cancelled`.
        Raises SourceError where the supertile cannot be drawn: then none of its tiles is stored.
        """

    def even(self, level: Level, block: TileRange) -> bytes | None:
        """The picture of every tile of `block`, where it is known, without drawing, that all have
        the same; None: nobody knows before they are drawn.

        `block`: a square of tiles, aligned to its own size, of a supertile up to a bundle. Asked
        once the source has started, by the thread that runs the update, while others draw.
        Raises SourceError.
        """
        return None

    def bundles(self, level_id: int) -> Collection[tuple[int, int]] | None:
        """First tiles of the bundles outside of which it has no tiles of a level; None: unknown.

        Of the cache it was started for. Saves looking where nothing can be.
        """
        return None

    def tile_bytes(self, level_id: int) -> float | None:
        """About how many bytes a tile of that level takes; None: unknown."""
        return None

    def is_at(self, path: Path) -> bool:
        """Whether it is the cache at `path`, from which that cannot be drawn. Reads the disk.

        Raises StorageError.
        """
        return False

    @abstractmethod
    def close(self) -> None:
        """Let go of what was needed. Called once, off the main thread, also after errors."""
