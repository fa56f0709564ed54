"""A service's own export of its tiles: exportTiles and estimateExportTilesSize.

Source: Esri REST reference, "Export tiles" and "Estimate export tiles size", of map and of image
service; what those leave open follows Esri's own Python client and recorded answers. So the storage
format goes under both names in use, jobs are looked for at both addresses in use, and the result
where the job itself says, or in the `output` that hosted layers have instead of results.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Callable
from urllib.parse import urljoin

from ..errors import JobFailed, NotArcGIS, SiteRefused
from ..esri_json import mapping, text, whole
from ..level_areas import Place
from ..request import Feedback
from ..storage.profile import StorageFormat
from ..tiling import Level, TilingScheme
from .address import ServiceAddress
from .caching import Input, place_values
from .client import Client
from .envelope import is_busy
from .jobs import JobPhase, JobState, Pace, follow, parse_job
from .remote_files import RemoteFile, remote_files

RESULT = "out_service_url"
"""The result of both operations, for want of a better name."""

_PLACE_NAMES: dict[Enum, str] = {Input.EXTENT: "exportExtent", Input.AREA: "areaOfInterest"}
_COMPACT = "esriMapCacheStorageModeCompact"
_COMPACT_V2 = "esriMapCacheStorageModeCompactV2"
_OLD = frozenset({StorageFormat.TPK, StorageFormat.COMPACT_V1})
_OVER_LIMIT = re.compile(r"001564|exceeds the maximum allowed number of tiles", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"\(\s*(\d[\d.,' \u00a0\u202f]{0,30})\s*\)")
_NUMBER = re.compile(r"(?<![\w.])(?!001564\b)\d(?:[\d.,']{0,30}\d)?(?!\w)")
_ENDED_WELL = frozenset({JobPhase.SUCCEEDED, JobPhase.PARTIAL})


@dataclass(frozen=True)
class SizeEstimate:
    """What an export would be: number of `tiles`, and `bytes` of them all; None: not told."""

    tiles: int | None
    bytes: int | None


class ExportTiles:
    """Asks `service` for packages of its tiles. Blocks: for use off the main thread."""

    def __init__(self, client: Client, service: ServiceAddress, pace: Pace | None = None) -> None:
        self._client, self._service, self._pace = client, service, pace or Pace()

    def estimate(
        self,
        levels: tuple[Level, ...],
        place: Place,
        scheme: TilingScheme,
        storage: StorageFormat,
        feedback: Feedback | None = None,
    ) -> SizeEstimate | None:
        """How many tiles of `levels` the service has at `place`; None once stopped.

        Raises SiteError, JobError, EmptyArea.
        """
        form = export_form(levels, place, scheme, storage)
        value = self._result(self._submit("estimateExportTilesSize", form), feedback or Feedback())
        if value is None:
            return None
        body = mapping(unpacked(value.value))
        return SizeEstimate(whole(body.get("totalTilesToExport")), whole(body.get("totalSize")))

    def export(
        self,
        levels: tuple[Level, ...],
        place: Place,
        scheme: TilingScheme,
        storage: StorageFormat,
        feedback: Feedback,
        started: Callable[[str], None] = lambda job_url: None,
    ) -> tuple[RemoteFile, ...] | None:
        """Files with the tiles of `levels` at `place`; None once cancelled or abandoned.

        `storage`: what is asked for; TPK and compact V1 are the old form, all others the new one.
        `started` is told the job's address, by which `take_up` finds it again.
        Raises SiteError, JobError (see `exceeded_limit`), EmptyArea, BadPackage (no file).
        """
        job = self._submit("exportTiles", export_form(levels, place, scheme, storage))
        started(job.url)
        return self._files(job, feedback)

    def take_up(self, job_url: str, feedback: Feedback) -> tuple[RemoteFile, ...] | None:
        """The files of a job that `export` started earlier. As `export`; JobLost: it is no more."""
        job_id = job_url.rstrip("/").rpartition("/")[2]
        return self._files(self._job("exportTiles", job_id), feedback)

    def _files(self, job: TileJob, feedback: Feedback) -> tuple[RemoteFile, ...] | None:
        result = self._result(job, feedback)
        if result is None:
            return None
        name = self._service.name
        return tuple(remote_files(self._client, f"{job.url}/", unpacked(result.value), name))

    def _submit(self, operation: str, form: Mapping[str, str]) -> TileJob:
        url = f"{self._service.url}/{operation}"
        try:
            body = self._client.submit(url, form)
        except SiteRefused as error:
            said = " ".join([error.message, *error.details])
            if _OVER_LIMIT.search(said):
                # a site that counts before it has a job says just the same
                raise JobFailed(url, said) from error
            raise
        job_id = text(body.get("jobId"))
        if not job_id:
            raise JobFailed(url, text(body.get("jobStatus")) or "no jobId")
        return self._job(operation, job_id)

    def _job(self, operation: str, job_id: str) -> TileJob:
        root = self._service.url
        return TileJob(
            self._client, job_id, (f"{root}/{operation}/jobs/{job_id}", f"{root}/jobs/{job_id}")
        )

    def _result(self, job: TileJob, feedback: Feedback) -> _Result | None:
        """What came of `job`; None where that was stopped. Raises JobError, SiteError."""
        state = follow(job, feedback, self._pace, _percent)
        if state is None or state.phase not in _ENDED_WELL:
            return None
        if state.outputs:
            return _Result(list(state.outputs))
        return _Result(job.result(state, RESULT))


@dataclass(frozen=True)
class _Result:
    value: object


class TileJob:
    """A job of an operation of a service, at the first of `urls` where the site knows it."""

    def __init__(self, client: Client, job_id: str, urls: tuple[str, ...]) -> None:
        self._client, self.job_id = client, job_id
        self._urls = urls

    @property
    def url(self) -> str:
        """Where it is, as far as that is known."""
        return self._urls[0]

    def state(self) -> JobState:
        """The job now. Raises SiteError."""
        refused: SiteRefused | NotArcGIS | None = None
        for url in self._urls:
            try:
                body = self._client.read(url)
            except (SiteRefused, NotArcGIS) as error:
                if isinstance(error, SiteRefused) and is_busy(error):
                    raise
                refused = refused or error
                continue
            if any(key in body for key in ("jobId", "jobStatus", "status")):
                self._urls = (url,)
                return parse_job(body, self.job_id)
        raise refused or NotArcGIS(self.url, 200, "no job")

    def cancel(self) -> None:
        """Ask the site to cancel it. Raises SiteError."""
        self._client.submit(f"{self.url}/cancel", {}, repeatable=True)

    def result(self, state: JobState, name: str) -> object:
        """Value of the result `name`, or of the first that has one. Raises SiteError."""
        paths = [path for key, path in state.results.items() if key == name]
        paths += [path for key, path in state.results.items() if key != name]
        for path in paths:
            value = self._client.read(urljoin(f"{self.url}/", path)).get("value")
            if value:
                return value
        return None


def export_form(
    levels: tuple[Level, ...], place: Place, scheme: TilingScheme, storage: StorageFormat
) -> dict[str, str]:
    """The form that asks for `levels` at `place`, of either operation. Raises EmptyArea."""
    storage_type = _COMPACT if storage in _OLD else _COMPACT_V2
    where = place_values(place, scheme, levels, _PLACE_NAMES, "")
    return {
        "tilePackage": "true",
        # the first is documented, the second is what Esri's own client sends
        "storageFormatType": storage_type,
        "storageFormat": storage_type,
        "optimizeTilesForSize": "false",
        "exportBy": "LevelID",
        "levels": ",".join(str(level.id) for level in levels),
        **{_PLACE_NAMES[key]: value for key, value in where.items()},
    }


def exceeded_limit(error: JobFailed) -> tuple[int, int] | None:
    """How many tiles a failed job was asked for, and how many it may export at most.

    None where it failed for another reason. By ERROR 001564, whose text may be in any language:
    its first two numbers in brackets, or else at all, of which the larger one was asked for.
    """
    if not _OVER_LIMIT.search(error.message):
        return None
    for pattern in (_IN_BRACKETS, _NUMBER):
        numbers = [
            int("".join(digit for digit in found if digit.isdecimal()))
            for found in pattern.findall(error.message)[:2]
        ]
        if len(numbers) == 2:
            return max(numbers), min(numbers)
    return None


def _percent(state: JobState) -> float | None:
    return state.percent_in_messages if state.percent is None else state.percent


def unpacked(value: object) -> object:
    """A job's `value`, also where its JSON came as text."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
