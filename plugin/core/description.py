"""What a cache says of itself, whatever kind it is of."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .errors import TileCacheError
from .request import UpdateMode
from .tiling import Extent, Level, TilingScheme


@dataclass(frozen=True)
class LevelStatus:
    """How full a level of the whole cache is: `tiles` of `expected` exist, and take `bytes`."""

    level_id: int
    tiles: int
    expected: int | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class UnfinishedRun:
    """The last update on this computer, where it was interrupted or left failed tiles.

    `started`: seconds since 1970. `done`, `planned`: supertiles. `failed`: number of failed tiles.
    `is_interrupted`: it did not come to its end, so `Resume.CONTINUE` can.
    """

    mode: UpdateMode
    level_ids: tuple[int, ...]
    started: float
    done: int
    planned: int
    failed: int
    is_interrupted: bool


@dataclass(frozen=True)
class CacheDescription:
    """A cache's tiling scheme and what it holds and can do.

    `address`: where it is, without query. `name`: `[Folder/]Name`. `kind`: `MapServer`,
    `ImageServer`. `version`: of the site, as text, "" where unknown.
    `cached_levels`: levels that may hold tiles, coarsest first; the rest of the scheme's levels
    are listed by the service but not cached.
    `extent`: full extent in the scheme's CRS; None where the service gives none that can be used.
    `image_format`: as published (`PNG`, `PNG8`, `JPEG`, `MIXED`, `LERC` ...), upper case.
    `modes`: the update modes that the site offers for it; empty where none, and then
    `modes_problem` says why.
    `status`: how full each level is, where the site tells.
    `is_hosted`: a hosted layer, whose administration makes and deletes tiles by whole bundles, in
    rectangles.
    `is_local`: on this computer; then `address` is its path, `kind` its StorageFormat's value,
    `source` what it is drawn from, as text (see `host/sources`), "" for the project, `background`
    what is seen where that draws nothing (see CacheSettings), and `unfinished` the run that can be
    taken up again.
    """

    address: str
    name: str
    kind: str
    scheme: TilingScheme
    cached_levels: tuple[Level, ...]
    extent: Extent | None
    image_format: str
    compression_quality: int = 0
    storage_format: str = ""
    version: str = ""
    text: str = ""
    has_tile_map: bool = False
    has_tiles_only: bool = False
    export_tiles_allowed: bool = False
    max_export_tiles: int | None = None
    modes: tuple[UpdateMode, ...] = ()
    modes_problem: TileCacheError | None = None
    status: tuple[LevelStatus, ...] = ()
    is_hosted: bool = False
    is_local: bool = False
    source: str = ""
    background: str = ""
    unfinished: UnfinishedRun | None = None

    def levels_of(self, scales: tuple[float, ...]) -> tuple[Level, ...]:
        """The cached levels of these scale denominators, coarsest first; of none: all of them.

        Raises UnknownScale, with the cached scales, for any other: a service may list scales down
        to the street that nobody ever meant to cache.
        """
        cached = replace(self.scheme, levels=self.cached_levels)
        wanted = {cached.level_of_scale(scale) for scale in scales}
        return tuple(level for level in cached.levels if level in wanted or not scales)

    def is_cached(self, level: Level) -> bool:
        """Whether `level` may hold tiles."""
        return level in self.cached_levels
