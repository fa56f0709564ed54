"""Parts that fail are asked for again in smaller ones, until what fails is a bundle, and listed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from ..description import CacheDescription
from ..errors import JobFailed, JobSplit, TileCacheError
from ..request import FailedPlace, Message, Severity
from ..site_update import PartState, SiteUpdate, UpdatePart
from .site_jobs import PartJobs

IN_A_ROW = 8
"""After so many failures without a success, beyond one for each level, it is not the place that
fails but the site: what is left is listed as it is."""

MOST_PARTS = 500
"""An update is not split into more."""

_REFUSED = re.compile(r"parameters are not valid|ERROR 000(735|800|840|865)\b", re.IGNORECASE)
"""What geoprocessing says where the request itself is wrong: it will be in every part."""


class Isolation:
    """Splits what fails, of one update in one run. `tell` hears of each split."""

    def __init__(
        self,
        jobs: PartJobs,
        describe: Callable[[], CacheDescription],
        tell: Callable[[Message], None],
    ) -> None:
        self._jobs, self._describe, self._tell = jobs, describe, tell
        self._in_a_row = 0
        self.failure: JobFailed | None = None

    def succeeded(self) -> None:
        """A part was done."""
        self._in_a_row = 0

    def of(
        self, update: SiteUpdate, index: int, error: JobFailed, *, is_any_done: bool = False
    ) -> SiteUpdate | None:
        """`update` with its part `index`, which failed, in pieces, or as places that fail.

        None where it is not to be isolated, or cannot be. A place that was not narrowed down to a
        bundle is listed as it is, and with it what waits; where nothing was done at all, as FAILED.
        `is_any_done`: the job did some of the part.
        """
        if not update.isolates_failures or _REFUSED.search(error.message):
            return None
        self.failure = self.failure or error
        part = update.parts[index]
        try:
            description = self._describe()
            pieces = self._jobs.split(part, description)
            places = self._jobs.places(part, description, error.message)
        except TileCacheError:
            # without what the service is, nobody knows where bundles end
            return None
        if not places:
            return None
        self._in_a_row = 0 if is_any_done else self._in_a_row + 1
        if not pieces:
            return _listed(update, {index: places}, error.message, PartState.PARTIAL)
        is_too_much = len(update.parts) + len(pieces) > MOST_PARTS
        if is_too_much or self._in_a_row > IN_A_ROW + len(update.levels):
            is_any_done = is_any_done or _is_any_done(update)
            state = PartState.PARTIAL if is_any_done else PartState.FAILED
            left = self._places(update, index, description, error.message)
            return _listed(update, left, error.message, state)
        self._tell(
            Message("", Severity.WARNING, JobSplit(error.job_url, error.message, len(pieces)))
        )
        split = replace(part, state=PartState.FAILED, detail=error.message, is_split=True)
        return replace(update, parts=(*_with(update.parts, index, split), *pieces))

    def _places(
        self, update: SiteUpdate, index: int, description: CacheDescription, message: str
    ) -> dict[int, tuple[FailedPlace, ...]]:
        """The places of part `index` and of those that wait."""
        return {
            at: self._jobs.places(part, description, message)
            for at, part in enumerate(update.parts)
            if at == index or part.state is PartState.WAITING
        }


def _is_any_done(update: SiteUpdate) -> bool:
    return any(part.state in (PartState.DONE, PartState.PARTIAL) for part in update.parts)


def _listed(
    update: SiteUpdate,
    places: dict[int, tuple[FailedPlace, ...]],
    message: str,
    state: PartState,
) -> SiteUpdate:
    """`update` with the parts at these indexes ended so, and their places listed."""
    parts = update.parts
    for index in places:
        parts = _with(parts, index, replace(parts[index], state=state, detail=message))
    listed = tuple(place for found in places.values() for place in found)
    return replace(update, parts=parts, failed_places=(*update.failed_places, *listed))


def _with(parts: tuple[UpdatePart, ...], index: int, part: UpdatePart) -> tuple[UpdatePart, ...]:
    return (*parts[:index], part, *parts[index + 1 :])
