"""An update that a site carries out, as it is kept so that it can be found again.

Plain values: `core/arcgis` makes and changes them, `core/jobs` writes and reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from .request import ALARM_SECONDS, FailedPlace, UpdateMode
from .tiling import Level


class PartState(Enum):
    """What became of a part of an update.

    WAITING: the site was not asked for it yet. UNCLEAR: it was asked, and no answer came that tells
    whether it has taken it on. LOST: the site took it on, and knows nothing of it any more, or does
    not tell.
    """

    WAITING = "waiting"
    UNCLEAR = "unclear"
    RUNNING = "running"
    DONE = "done"
    PARTIAL = "done with failures"
    CANCELLED = "cancelled"
    FAILED = "failed"
    LOST = "lost"


ENDED = frozenset(
    {PartState.DONE, PartState.PARTIAL, PartState.CANCELLED, PartState.FAILED, PartState.LOST}
)
"""States that do not change any more by themselves."""


class TakeUp(Enum):
    """How an ended job is taken up again; the values are ArcGIS's own keywords.

    RESUME: one that was cancelled goes on. FIX: what failed in it is done again. COMPLETE: what is
    left of it is done.
    """

    RESUME = "RESUME_JOB"
    FIX = "FIX_JOB"
    COMPLETE = "COMPLETE_JOB"


@dataclass(frozen=True)
class UpdatePart:
    """What one job on the site does.

    `form`: what it is asked for with, nothing secret in it. `planned`: tiles that its area touches,
    by level id. `job_url`: "" until the site has answered. `detail`: the site's own words, where
    it failed. `asked_at`: when it was asked for, seconds since 1970. `is_split`: it failed, and
    other parts are in its place by now. `others`: while UNCLEAR, the jobs that the site listed just
    before it was asked for, none of which it is; None where the site listed none. `earlier_jobs`:
    those that `job_url` was taken up from. `is_rest_unknown`: its job failed, and was taken up in a
    way that does not make what it had not come to.
    """

    level_ids: tuple[int, ...]
    form: Mapping[str, str] = field(repr=False)
    planned: Mapping[int, int] = field(default_factory=dict)
    state: PartState = PartState.WAITING
    job_url: str = ""
    detail: str = ""
    asked_at: float = 0.0
    is_split: bool = False
    others: tuple[str, ...] | None = None
    earlier_jobs: tuple[str, ...] = ()
    is_rest_unknown: bool = False

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED

    def end(self, told: PartState) -> PartState:
        """How it has ended, where the site has `told` so of its job."""
        lacks_tiles = self.is_rest_unknown and told is PartState.DONE
        return PartState.PARTIAL if lacks_tiles else told

    def jobs_before(self, job_url: str) -> tuple[str, ...]:
        """Its earlier jobs, once it is done by the one at `job_url`."""
        is_taken_up = self.job_url not in ("", job_url)
        return (*self.earlier_jobs, self.job_url) if is_taken_up else self.earlier_jobs


@dataclass(frozen=True)
class SiteUpdate:
    """An update on a site: its parts are done one after the other.

    `key`: its name in the record. `address`, `name`: of the service. `submit_url`: where parts are
    asked for: a caching task, or the administration of a hosted layer. `started`, `changed`:
    seconds since 1970. `percent`: how far all of it was when last looked at. `before`: tiles of the
    whole cache by level id when it began, where the site told. `isolates_failures`,
    `alarm_seconds`: as in UpdateRequest. `failed_places`: what was isolated so far. `output_url`:
    of the updated service, as the site told it. `portal_url`: the portal that the person named for
    the sign-in; "" for none.
    """

    key: str
    address: str
    name: str
    mode: UpdateMode
    levels: tuple[Level, ...]
    submit_url: str
    parts: tuple[UpdatePart, ...]
    started: float
    changed: float
    is_hosted: bool = False
    percent: float | None = None
    before: Mapping[int, int] = field(default_factory=dict)
    isolates_failures: bool = False
    alarm_seconds: float = ALARM_SECONDS
    failed_places: tuple[FailedPlace, ...] = ()
    output_url: str = ""
    portal_url: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return all(part.has_ended for part in self.parts)

    @property
    def state(self) -> PartState:
        """That of the whole: of a part that goes on, else the worst end of any."""
        found = {part.state for part in self.parts if not part.is_split}
        return next(state for state in _TELLING_FIRST if state in found or not found)

    @property
    def job_urls(self) -> tuple[str, ...]:
        """The jobs that the site has taken on for it."""
        return tuple(part.job_url for part in self.parts if part.job_url)

    @property
    def earlier_job_urls(self) -> tuple[str, ...]:
        """The jobs that others were taken up from."""
        return tuple(url for part in self.parts for url in part.earlier_jobs)


_TELLING_FIRST = (
    PartState.RUNNING,
    PartState.UNCLEAR,
    PartState.FAILED,
    PartState.LOST,
    PartState.CANCELLED,
    PartState.WAITING,
    PartState.PARTIAL,
    PartState.DONE,
)
