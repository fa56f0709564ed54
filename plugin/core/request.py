"""The values at every border: what is asked of a cache, what it tells, what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from shapely.geometry.base import BaseGeometry

from .errors import (
    BadInstances,
    LevelsWithoutArea,
    NoLevels,
    TileCacheError,
    UnknownScale,
)
from .level_areas import Areas, LevelArea, Place, area_at, by_area, levels_without
from .tiling import Extent, Level, TilingScheme

if TYPE_CHECKING:
    from .description import CacheDescription
    from .site_update import SiteUpdate

SITE_DECIDES = -1
"""Number of caching instances that leaves the choice to the site."""

ALARM_SECONDS = 600.0
"""After so long without a tile more, somebody is told that a job on a site stands still."""


class UpdateMode(Enum):
    """What happens to the tiles of the area; the values are ArcGIS's own keywords."""

    RECREATE_EMPTY = "RECREATE_EMPTY_TILES"
    RECREATE_ALL = "RECREATE_ALL_TILES"
    DELETE = "DELETE_TILES"


@dataclass(frozen=True)
class TileFilter:
    """Which tiles of the area are left as they are, beyond what the mode says.

    `only_existing`: touch only tiles that exist already. `older_than`: touch only tiles that were
    stored before that time, seconds since 1970, or do not exist; with RECREATE_EMPTY it makes no
    difference.
    For caches on this computer.
    """

    only_existing: bool = False
    older_than: float | None = None


@dataclass(frozen=True)
class HostedOptions:
    """How a hosted layer takes new tiles; ArcGIS's names are `mergeBundle` and `replaceTiles`.

    `merges_bundles`: tiles of a bundle that are not made anew stay; without it, each bundle is
    written anew as a whole. `replaces_tiles`: with it, tiles that exist are replaced, too.
    """

    merges_bundles: bool = False
    replaces_tiles: bool = False


class Resume(Enum):
    """What a run on this computer starts from.

    NEW: from the beginning; an interrupted run's record is dropped. AUTO: where an interrupted run
    of just this request left off, else from the beginning. CONTINUE: where the interrupted run left
    off, or NothingToResume. FAILED: only the tiles that failed in the last run, or NothingToResume.
    """

    AUTO = "auto"
    NEW = "new"
    CONTINUE = "continue"
    FAILED = "failed"


@dataclass(frozen=True)
class UpdateRequest:
    """An update of a cache.

    `scheme`: the cache's tiling scheme as it was when levels and area were chosen; an update of a
    cache that has another one by now is refused. `levels`: which of its levels.
    `area`: polygon or multipolygon in the scheme's CRS; wins where `extent` is given too.
    `extent`: rectangle in the scheme's CRS. Neither: the whole cache.
    `level_areas`: areas that differ from level to level, in place of both; then each of `levels`
    is in one of them.
    `instances`: caching instances on the site, SITE_DECIDES or at least 1.
    `wait`: whether `update` follows the job to its end or returns once it is submitted.
    `tile_filter`, `resume`: of an update on this computer; a site knows neither.
    `hosted`: of an update of a hosted layer. `isolates_failures`: a job that fails on a site is
    split by area and asked for again, until what fails is found to the bundle.
    `alarm_seconds`: after so long without a tile more, a job on a site is told to stand still.
    Raises NoLevels, BadInstances, UnknownScale, LevelsWithoutArea.
    """

    scheme: TilingScheme
    levels: tuple[Level, ...]
    mode: UpdateMode
    area: BaseGeometry | None = None
    extent: Extent | None = None
    instances: int = SITE_DECIDES
    wait: bool = True
    tile_filter: TileFilter = field(default_factory=TileFilter)
    resume: Resume = Resume.AUTO
    level_areas: tuple[LevelArea, ...] = ()
    hosted: HostedOptions = field(default_factory=HostedOptions)
    isolates_failures: bool = False
    alarm_seconds: float = ALARM_SECONDS

    def __post_init__(self) -> None:
        if not self.levels:
            raise NoLevels()
        if self.instances != SITE_DECIDES and self.instances < 1:
            raise BadInstances(self.instances)
        known = self.scheme.levels
        for level in self.levels:
            if level not in known:
                raise UnknownScale(level.scale, tuple(item.scale for item in known))
        if self.level_areas:
            left_out = levels_without(self.level_areas, self.levels)
            if left_out:
                raise LevelsWithoutArea(tuple(level.scale for level in left_out))

    @property
    def areas(self) -> Areas:
        """The area of all levels, or the areas of some each."""
        if self.level_areas:
            return self.level_areas
        return self.extent if self.area is None else self.area

    @property
    def is_whole(self) -> bool:
        """Whether it is about the whole cache, at all of its levels."""
        return self.areas is None

    def area_at(self, level: Level) -> Place:
        """The area of one of `levels`; None: the whole cache."""
        return area_at(self.areas, level)

    def by_area(self) -> tuple[UpdateRequest, ...]:
        """The same as requests with one area each; itself where it has only one."""
        if not self.level_areas:
            return (self,)
        return tuple(
            replace(
                self,
                levels=levels,
                area=None if isinstance(area, Extent) else area,
                extent=area if isinstance(area, Extent) else None,
                level_areas=(),
            )
            for levels, area in by_area(self.level_areas, self.levels)
        )

    @classmethod
    def of(
        cls,
        description: CacheDescription,
        levels: tuple[Level, ...],
        mode: UpdateMode,
        area: Areas,
        instances: int = SITE_DECIDES,
        wait: bool = True,
        tile_filter: TileFilter | None = None,
        resume: Resume = Resume.AUTO,
        hosted: HostedOptions | None = None,
        isolates_failures: bool = False,
        alarm_seconds: float = ALARM_SECONDS,
    ) -> UpdateRequest:
        """A request to the cache of `description`; `area`: one for all levels, or for some each.

        Raises as the class, LevelsWithoutArea also where there is no group at all.
        """
        groups: tuple[LevelArea, ...] = area if isinstance(area, tuple) else ()
        if isinstance(area, tuple) and not groups and levels:
            raise LevelsWithoutArea(tuple(level.scale for level in levels))
        extent = area if isinstance(area, Extent) else None
        return cls(
            scheme=description.scheme,
            levels=levels,
            mode=mode,
            area=None if isinstance(area, (tuple, Extent)) else area,
            extent=extent,
            instances=instances,
            wait=wait,
            tile_filter=tile_filter or TileFilter(),
            resume=resume,
            level_areas=groups,
            hosted=hosted or HostedOptions(),
            isolates_failures=isolates_failures,
            alarm_seconds=alarm_seconds,
        )


class Severity(Enum):
    """How much a message matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Pace:
    """How an update on this computer gets on: it is at `level`.

    `tiles` of `planned` are dealt with, of all levels. `tiles_per_second`: made, replaced or
    deleted lately. `seconds_left`: until the end, None where nobody can tell yet.
    """

    level: Level
    tiles: int
    planned: int
    tiles_per_second: float
    seconds_left: float | None


@dataclass(frozen=True)
class Message:
    """A line that a running update tells: `text` in its source's own words.

    `error` is set where the line is about something that went wrong on our side and is being
    tried again or passed by, `pace` where it says how the update gets on; `text` is then empty, for
    the sentence is made where people are spoken to.
    """

    text: str
    severity: Severity = Severity.INFO
    error: TileCacheError | None = None
    pace: Pace | None = None


@dataclass(frozen=True)
class Feedback:
    """How a running update speaks and listens: percent 0-100, "cancelled?", messages.

    `cancelled`: stop the work. `abandoned`: stop following it; what runs elsewhere may go on.
    `keep`: hears what is to be kept of an update on a site, so that it can be found again, before
    each request that changes it and after.
    So one `update` runs unchanged in a test, a QgsTask and a Processing algorithm. Called from the
    thread that runs the update.
    """

    progress: Callable[[float], None] = lambda percent: None
    cancelled: Callable[[], bool] = lambda: False
    message: Callable[[Message], None] = lambda message: None
    abandoned: Callable[[], bool] = lambda: False
    keep: Callable[[SiteUpdate], None] = lambda update: None


@dataclass(frozen=True)
class LevelReport:
    """What was done on one level, in tiles. None: the site does not tell.

    `planned`: tiles that the area touches; None where neither area nor full extent is known.
    `made` did not exist before, `replaced` did, `skipped` existed and was left as it was. `gaps`
    did not exist and do not now: the source has nothing there, only existing tiles were asked for,
    or they were to be deleted. Of a finished update on this computer these and `deleted` and
    `failed` add up to `planned`.
    """

    level: Level
    planned: int | None
    made: int | None = None
    replaced: int | None = None
    deleted: int | None = None
    skipped: int | None = None
    failed: int | None = None
    gaps: int | None = None


class Outcome(Enum):
    """How an update ended; what failed raises instead.

    PARTIAL: to its end, but with tiles that could not be made or deleted.
    """

    DONE = "done"
    PARTIAL = "done with failures"
    SUBMITTED = "submitted"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class FailedTile:
    """A tile that could not be made, and why."""

    level_id: int
    row: int
    col: int
    error: TileCacheError


@dataclass(frozen=True)
class FailedPlace:
    """Bundles of a level that a site could not make, and why: `message`, in its own words.

    Rows and columns of bundles, the last ones included. More than one bundle where it was not
    narrowed down further.
    """

    level: Level
    first_row: int
    last_row: int
    first_col: int
    last_col: int
    message: str


@dataclass(frozen=True)
class UpdateReport:
    """What came of an update.

    `output_url`: address of the updated service as the site gives it, else the service's own; the
    path of a cache on this computer.
    `job_id`, `job_url`: the job on the site, by which it can be found again; "" where it was
    cancelled before there was one, and for a cache on this computer. `earlier_job_urls`: the jobs
    before it, where levels have areas of their own and so take more than one.
    `failed_tiles`: the first of those that failed on this computer, for people to see; all of them
    are in the cache's record, which `Resume.FAILED` takes up.
    `failed_places`: what a site could not make, where failures were isolated.
    """

    outcome: Outcome
    mode: UpdateMode
    levels: tuple[LevelReport, ...]
    output_url: str
    job_id: str = ""
    job_url: str = ""
    is_local: bool = False
    failed_tiles: tuple[FailedTile, ...] = ()
    earlier_job_urls: tuple[str, ...] = ()
    failed_places: tuple[FailedPlace, ...] = ()

    @property
    def address(self) -> str:
        """Where to look next: at the job while it goes on by itself, else at the service."""
        return self.job_url if self.outcome is Outcome.SUBMITTED else self.output_url

    def total(self, what: str) -> int | None:
        """Sum over the levels of one of `LevelReport`'s numbers, by its name.

        None where any of them is unknown.
        """
        counts = [getattr(level, what) for level in self.levels]
        return None if any(count is None for count in counts) else sum(counts)


@dataclass(frozen=True)
class LevelEstimate:
    """What an update would do on one level: `tiles` touched, `bytes` stored, `seconds` taken.

    None: not known.
    """

    level: Level
    tiles: int | None
    bytes: int | None
    seconds: float | None
