"""What it takes to have the parts of an update done by a site, whatever kind of site it is."""

from __future__ import annotations

from typing import Protocol

from ..description import CacheDescription, LevelStatus
from ..request import FailedPlace, UpdateMode, UpdateRequest
from ..site_update import TakeUp, UpdatePart
from .jobs import Followed, JobState


class Reporter(Protocol):
    """Tells how full the levels of the whole cache are."""

    def read(self) -> tuple[LevelStatus, ...]:
        """The levels now. Raises SiteError."""


class PartJobs(Protocol):
    """The jobs of one service: asked for, opened again, found where their answer was lost.

    One job does one part. Nothing here is repeated that could have a part done twice.
    """

    @property
    def submit_url(self) -> str:
        """Where parts are asked for, as it is kept in `SiteUpdate.submit_url`."""

    @property
    def is_hosted(self) -> bool:
        """Whether it is a hosted layer's administration."""

    @property
    def modes(self) -> tuple[UpdateMode, ...]:
        """The update modes that are offered."""

    @property
    def reporter(self) -> Reporter | None:
        """Who counts the tiles; None where nobody does. Never raises."""

    def parts(
        self, request: UpdateRequest, description: CacheDescription
    ) -> tuple[UpdatePart, ...]:
        """What `request` takes: parts that are WAITING, in the order in which they are done.

        All of them can be asked for. Raises RequestError, CachingUnavailable.
        """

    def submit(self, part: UpdatePart) -> Followed:
        """Ask the site, once, to begin `part`. Raises SiteError, JobFailed (refused in words)."""

    def reopen(self, part: UpdatePart) -> Followed:
        """The job at `part.job_url`; nothing is sent. Raises UnknownJob where it has none."""

    def listed(self, since: float) -> tuple[str, ...] | None:
        """URLs of jobs that the site lists, submitted since about then (seconds since 1970).

        None where it does not tell. Raises SiteError where it may tell later.
        """

    def find_lost(self, part: UpdatePart, since: float, known: frozenset[str]) -> str | None:
        """URL of the job that `part` is, whose submission got no answer.

        `since`: when it was submitted, seconds since 1970 by our clock. `known`: jobs that it is
        not, those among them that were `listed` before it was submitted. None where there is none,
        or the site does not tell. Raises SiteError where it may tell later.
        """

    def take_ups(self) -> tuple[TakeUp, ...]:
        """How the site lets ended jobs be taken up again. Raises SiteError."""

    def take_up(self, part: UpdatePart, how: TakeUp) -> Followed:
        """Ask the site, once, to take up the ended job of `part`: the job that does.

        Raises SiteError, JobFailed, NotTakenUp.
        """

    def split(self, part: UpdatePart, description: CacheDescription) -> tuple[UpdatePart, ...]:
        """`part` in smaller ones, WAITING: by level at first, then in halves along bundle edges.

        Together they touch the tiles that `part` does. () where it is one bundle of one level, or
        its area is not known.
        """

    def places(
        self, part: UpdatePart, description: CacheDescription, message: str
    ) -> tuple[FailedPlace, ...]:
        """The bundles that `part` touches, one block for each level; () where that is not known."""

    def output(self, job: Followed, state: JobState) -> str:
        """Address of the updated service as the ended job tells it; "" where it does not."""
