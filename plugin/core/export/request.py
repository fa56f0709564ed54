"""The values at the borders of exporting and importing: what is asked for, what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from shapely.geometry.base import BaseGeometry

from ..errors import LevelsWithoutArea, NoLevels, TileCacheError, UnknownScale
from ..level_areas import Areas, levels_without
from ..request import FailedTile, LevelReport, Outcome
from ..storage.profile import StorageFormat
from ..tiling import Level, TilingScheme


class ExportWay(Enum):
    """How the tiles of a service are got; the values are the keywords of scripts.

    AUTO: the first of the others that the service and its site allow. EXPORT_TILES: packages that
    the service's own exportTiles makes. EXPORT_CACHE: the site's caching tool Export Cache, for
    those who administer it. ONE_BY_ONE: each tile read from the service.
    """

    AUTO = "AUTO"
    EXPORT_TILES = "EXPORT_TILES"
    EXPORT_CACHE = "EXPORT_CACHE"
    ONE_BY_ONE = "ONE_BY_ONE"


class Overwrite(Enum):
    """What becomes of tiles that the target has already; the values are ArcGIS's own keywords.

    OVERWRITE: a tile of the area takes the place of the one that is there. MERGE: its pixels, as
    far as they lie in the area and are not transparent, are drawn over those that are there.
    """

    OVERWRITE = "OVERWRITE"
    MERGE = "MERGE"


def check_levels(scheme: TilingScheme, levels: tuple[Level, ...], areas: Areas) -> None:
    """Raise NoLevels, UnknownScale (one is none of `scheme`), LevelsWithoutArea."""
    if not levels:
        raise NoLevels()
    for level in levels:
        if level not in scheme.levels:
            raise UnknownScale(level.scale, tuple(item.scale for item in scheme.levels))
    left_out = levels_without(areas, levels)
    if left_out:
        raise LevelsWithoutArea(tuple(level.scale for level in left_out))


@dataclass(frozen=True)
class ExportRequest:
    """An export of tiles to `target`, a path on this computer.

    `scheme`: the tiling scheme as it was when levels and areas were chosen. `levels`: of it.
    `areas`: in its CRS; see `level_areas`. `storage`: format of the target; where that exists, it
    must be a cache of that format whose tiles are alike. `overwrite`: what becomes of its tiles.
    `is_clipped`: pixels outside the area are made transparent (white in formats without
    transparency) in tiles at its edge. `way`: how the tiles are got. `is_owner`: the person has
    confirmed that the tiles are theirs to copy, though the service does not allow export.
    `draws_missing`: of a cache on this computer, tiles that it lacks are drawn.
    Raises NoLevels, UnknownScale, LevelsWithoutArea.
    """

    scheme: TilingScheme
    levels: tuple[Level, ...]
    areas: Areas
    target: Path
    storage: StorageFormat
    overwrite: Overwrite = Overwrite.OVERWRITE
    is_clipped: bool = False
    way: ExportWay = ExportWay.AUTO
    is_owner: bool = False
    draws_missing: bool = False

    def __post_init__(self) -> None:
        check_levels(self.scheme, self.levels, self.areas)


@dataclass(frozen=True)
class ExportReport:
    """What came of an export, or of an import into a cache on this computer.

    `service`: name of what the tiles are from; `address`: where that is. `target`: path of the
    cache they are in now. `levels`: as of an update of the target: `gaps` are tiles that the
    service does not have. `ways`: how tiles were got, in the order in which that was tried. `jobs`:
    how many jobs the site ran. `received`: bytes that came over the network. `size`: bytes of the
    target.
    """

    outcome: Outcome
    service: str
    address: str
    target: str
    levels: tuple[LevelReport, ...]
    ways: tuple[ExportWay, ...] = ()
    jobs: int = 0
    received: int = 0
    size: int = 0
    failed_tiles: tuple[FailedTile, ...] = ()

    def total(self, what: str) -> int | None:
        """Sum over the levels of one of `LevelReport`'s numbers; None where any is unknown."""
        counts = [getattr(level, what) for level in self.levels]
        return None if any(count is None for count in counts) else sum(counts)

    @property
    def has_nothing(self) -> bool:
        """Whether the target is known to have none of these tiles."""
        return all(self.total(what) == 0 for what in ("made", "replaced", "skipped"))

    @property
    def has_failed(self) -> bool:
        """Whether there are such tiles, and none of them could be got."""
        return self.outcome is Outcome.PARTIAL and self.has_nothing


@dataclass(frozen=True)
class QueueItemReport:
    """One export of a queue: its `report`, or else the `error` that ended it.

    `is_done_before`: an earlier run of the queue had finished it, so nothing was done now.
    """

    address: str
    target: str
    report: ExportReport | None = None
    error: TileCacheError | None = None
    is_done_before: bool = False

    @property
    def has_failed(self) -> bool:
        """Whether nothing came of it, other than by being cancelled."""
        return self.error is not None or (self.report is not None and self.report.has_failed)

    @property
    def is_incomplete(self) -> bool:
        """Whether just some of its tiles could not be got."""
        report = self.report
        is_partial = report is not None and report.outcome is Outcome.PARTIAL
        return is_partial and not self.has_failed


@dataclass(frozen=True)
class QueueReport:
    """What came of the exports of several services, in the order of the queue.

    `is_cancelled`: those that are missing at the end were not begun.
    """

    items: tuple[QueueItemReport, ...]
    is_cancelled: bool = False


class Pixels(Protocol):
    """What has to look into pictures. `part`: polygon in pixels of the tile, y downwards.

    Pictures come as stored and go as stored, in the format that `image_format` of the target says.
    Raises SourceError for what is no picture, or cannot be encoded.
    """

    def is_opaque(self, picture: bytes) -> bool:
        """Whether no pixel lets anything through."""

    def clipped(self, picture: bytes, part: BaseGeometry, image_format: str, quality: int) -> bytes:
        """`picture` where it lies in `part`; the rest transparent, or white."""

    def merged(
        self,
        below: bytes,
        above: bytes,
        part: BaseGeometry | None,
        image_format: str,
        quality: int,
    ) -> bytes:
        """`above`, as far as it lies in `part` (None: all of it), drawn over `below`."""


TileCounts = Mapping[int, int]
"""Number of tiles by level id."""
