"""Getting the packages of an export in parts: asked of the site, followed, downloaded, checked.

Every step is written down once it is done, so that whatever ends an export, the next one goes on
with it. A part that turns out to be too large is split further. A package that is not what was
asked for is asked for once more. What then still fails ends the export, unless the tiles of that
part may be read one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from ..arcgis.client import Client, wait
from ..arcgis.downloads import download
from ..arcgis.envelope import is_busy
from ..arcgis.remote_files import RemoteFile
from ..errors import (
    BadPackage,
    BadPackageReason,
    CachingUnavailable,
    JobFailed,
    JobLost,
    NotAllowed,
    NotArcGIS,
    SignInFailed,
    SignInNeeded,
    SiteRefused,
    TileCacheError,
    TooManyTiles,
)
from ..level_areas import LevelArea
from ..request import Feedback, Message, Severity
from ..storage.profile import CacheProfile
from .package_check import IsThere, check_package, is_empty
from .parts import PartRecord, PartState, PartStep
from .split import Part, split

TRIES = 2
"""How often a package is asked for, where it is not what it should be."""

BUSY_TRIES = 5
"""And where the site says that it is busy."""

GIVEN_UP = 2
"""After so many jobs in a row that failed, no more are asked for."""

_CANCELLED = "esriJobCancelled"
_FINISHED = frozenset({PartStep.CHECKED, PartStep.ONE_BY_ONE})
_JOB_SHARE, _DOWNLOAD_SHARE = 0.5, 0.45  # of the progress of a part


class Packer(Protocol):
    """Whoever makes packages of a service's tiles.

    `suffix`: how the names of its packages end.
    """

    suffix: str

    def export(
        self, part: Part, feedback: Feedback, started: Callable[[str], None]
    ) -> tuple[RemoteFile, ...] | None:
        """Files with the tiles of `part`; None where `feedback` ended that.

        `started` is told the URL of the job, if that can be taken up later.
        Raises SiteError, JobError, CachingUnavailable, BadPackage.
        """

    def take_up(self, job_url: str, feedback: Feedback) -> tuple[RemoteFile, ...] | None:
        """The files of a job that an earlier run started. As `export`; JobLost: it is no more."""

    def exceeded(self, error: JobFailed) -> tuple[int, int] | None:
        """Tiles that were asked for, and the site's limit, where the job failed for that."""


class Packages:
    """Gets the packages of the parts in `record` for a service that is `like` that.

    `is_there`: see `check_package`. `may_do_without`: whether a part whose package cannot be had is
    marked to be read one by one, in place of ending the export. Afterwards, `jobs` is how many jobs
    were asked for, `received` how many bytes came.
    """

    def __init__(
        self,
        record: PartRecord,
        packer: Packer,
        client: Client,
        like: CacheProfile,
        is_there: IsThere,
        feedback: Feedback,
        *,
        may_do_without: bool,
    ) -> None:
        self._record, self._packer, self._client, self._like = record, packer, client, like
        self._is_there, self._feedback = is_there, feedback
        self._may_do_without = may_do_without
        self._failed_in_a_row = 0
        self._tries: dict[str, int] = {}  # of the parts that this run asked for
        self._done = (0, 1)
        self.jobs = self.received = 0

    def get(self) -> bool:
        """Get all that are missing; False where the feedback ended it.

        Raises JobFailed, JobLost, CancelUnconfirmed, SiteError, BadPackage, TooManyTiles,
        StorageError.
        """
        self._take_back()
        while not self._stopped():
            name = self._next()
            if name is None:
                return True
            self._count()
            self._tell(name, 0.0)
            if self._failed_in_a_row >= GIVEN_UP and self._step_of(name) is PartStep.PLANNED:
                self._record.set(name, replace(self._state(name), step=PartStep.ONE_BY_ONE))
            elif not self._went_on(name):
                if self._stopped():
                    return False
                self._cancelled_there(name)
        return False

    def _cancelled_there(self, name: str) -> None:
        """Let a part be asked for anew whose job was cancelled on the site, and not by us just now.

        Raises JobFailed for a job of this run: who cancels that wants us to stop, and not to read
        its tiles in another way.
        """
        url = self._state(name).job_url or self._like.name
        self._record.again(name)
        if self._is_own(name):
            raise JobFailed(url, _CANCELLED)

    def _take_back(self) -> None:
        """What an earlier run gave up may be asked for again where there is no other way now."""
        for name in self._record.parts:
            if self._step_of(name) is PartStep.ONE_BY_ONE and not self._may_do_without:
                self._record.again(name)

    def _next(self) -> str | None:
        """The first part that is not finished."""
        names = self._record.parts
        return next((name for name in names if self._step_of(name) not in _FINISHED), None)

    def _went_on(self, name: str) -> bool:
        """Take the next step of a part; False where the feedback ended it."""
        try:
            return self._step(name)
        except (SignInNeeded, SignInFailed):
            raise
        except JobLost as error:
            # A site forgets jobs after a while; but one that does not answer may know it still.
            if not isinstance(error.cause, SiteRefused):
                raise
            if not self._is_own(name):
                self._record.again(name)
            elif error.seconds or isinstance(error.cause, (SignInNeeded, NotAllowed)):
                raise
            else:
                self._try_again(name, error)
        except JobFailed as error:
            exceeded = self._packer.exceeded(error)
            if exceeded is not None:
                self._split_further(name, *exceeded)
            elif self._is_own(name):
                self._do_without(name, error)
            else:
                self._record.again(name)
        except (SiteRefused, NotArcGIS, BadPackage, CachingUnavailable) as error:
            self._try_again(name, error)
        return True

    def _try_again(self, name: str, error: TileCacheError) -> None:
        """Ask anew for a package that did not come, or was no good; but not endlessly."""
        is_planned = self._step_of(name) is PartStep.PLANNED
        is_passing = isinstance(error, SiteRefused) and is_busy(error)
        was_refused = is_planned and not is_passing and not isinstance(error, BadPackage)
        tries = BUSY_TRIES if is_passing else TRIES
        if self._is_own(name) and (was_refused or self._tries[name] >= tries):
            self._do_without(name, error)
            return
        if is_passing:
            wait(self._client.repeats.pause_after(self._tries.get(name, 0), None), self._stopped)
        self._feedback.message(Message("", Severity.WARNING, error))
        self._record.again(name)

    def _step(self, name: str) -> bool:
        step = self._step_of(name)
        if step is PartStep.PLANNED:
            return self._keep(name, self._asked(name))
        if step is PartStep.ASKED:
            url = self._state(name).job_url
            return self._keep(name, self._packer.take_up(url, self._followed(name)))
        return self._check(name)

    def _asked(self, name: str) -> tuple[RemoteFile, ...] | None:
        """The files of a part that is asked for now; None where the feedback ended it."""
        self._tries[name] = self._tries.get(name, 0) + 1

        def started(url: str) -> None:
            self._record.set(name, replace(self._state(name), step=PartStep.ASKED, job_url=url))

        self.jobs += 1
        return self._packer.export(self._record.parts[name], self._followed(name), started)

    def _followed(self, name: str) -> Feedback:
        """The feedback for the job of a part."""
        return replace(
            self._feedback, progress=lambda percent: self._tell(name, _JOB_SHARE * percent / 100)
        )

    def _keep(self, name: str, files: tuple[RemoteFile, ...] | None) -> bool:
        """Download what came of a job."""
        if files is None:
            if self._feedback.cancelled():
                self._record.again(name)  # the site has cancelled it
            return False
        # a file that stands alone is one, whatever it is called
        packages = [file for file in files if file.is_package or len(files) == 1]
        if not packages:
            raise BadPackage(self._like.name, BadPackageReason.MISSING)
        paths = []
        for number, file in enumerate(packages):
            path = self._record.path(name, number, self._packer.suffix)
            if not self._download(name, file, path):
                return False
            paths.append(path)
        self._record.keep(name, paths)
        self._failed_in_a_row = 0
        return True

    def _download(self, name: str, file: RemoteFile, path: Path) -> bool:
        size = file.size or self._state(name).announced_bytes or 0

        def told(here: int) -> None:
            done = min(1.0, here / size) if size else 0.0
            self._tell(name, _JOB_SHARE + _DOWNLOAD_SHARE * done)

        self.received += download(self._client, file, path, self._feedback, told)
        return path.exists()

    def _check(self, name: str) -> bool:
        part, state = self._record.parts[name], self._state(name)
        paths = self._record.paths(name)
        check_package(paths, part, self._like, state.announced, self._is_there, self._stopped)
        if self._stopped():
            return False
        self._record.set(name, replace(state, step=PartStep.CHECKED))
        return True

    def _split_further(self, name: str, asked: int, limit: int) -> None:
        """Split a part, and others that would be too large as well, by the site's own limit."""
        part = self._record.parts[name]
        # The site may count otherwise than we do: then by as much less as it found too many.
        fewer = limit if limit < part.tiles else int(part.tiles * limit / max(asked, 1))
        fewer = max(min(fewer, part.tiles - 1), 0)
        if fewer < 1:
            raise TooManyTiles(self._like.name, limit)
        for other, each in list(self._record.parts.items()):
            is_waiting = self._step_of(other) is PartStep.PLANNED
            if other == name or (is_waiting and each.tiles > fewer):
                self._record.plan(self._smaller(each, fewer), instead_of=other)

    def _smaller(self, part: Part, limit: int) -> tuple[Part, ...]:
        ids = tuple(level.id for level in part.levels)
        areas = (LevelArea(ids, part.area),)
        return split(self._like.scheme, part.levels, areas, limit, self._like.name)

    def _do_without(self, name: str, error: TileCacheError) -> None:
        part = self._record.parts[name]
        if isinstance(error, JobFailed) and is_empty(part, self._like.scheme, self._is_there):
            # a site fails where there is nothing to export
            self._record.again(name)
            self._record.set(name, replace(self._state(name), step=PartStep.CHECKED))
            return
        if not self._may_do_without:
            raise error
        self._failed_in_a_row += 1
        self._feedback.message(Message("", Severity.WARNING, error))
        self._record.again(name)
        self._record.set(name, replace(self._state(name), step=PartStep.ONE_BY_ONE))

    def _is_own(self, name: str) -> bool:
        """Whether this run asked for a part, and not one that was interrupted."""
        return name in self._tries

    def _step_of(self, name: str) -> PartStep:
        return self._record.state(name).step

    def _state(self, name: str) -> PartState:
        return self._record.state(name)

    def _stopped(self) -> bool:
        return self._feedback.cancelled() or self._feedback.abandoned()

    def _tell(self, name: str, share: float) -> None:
        """Tell how far all parts are, where this one is that far."""
        done, whole = self._done
        here = self._record.parts[name].tiles
        self._feedback.progress(100.0 * (done + share * here) / whole)

    def _count(self) -> None:
        """Count once for each step, as parts can be many: tiles that are finished, and all."""
        parts = self._record.parts
        done = sum(part.tiles for n, part in parts.items() if self._step_of(n) in _FINISHED)
        self._done = done, sum(part.tiles for part in parts.values()) or 1
