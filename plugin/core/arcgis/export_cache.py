"""The caching tool Export Cache, for those who administer a site.

Parameter names are those of an ArcGIS Server 10.8.1's own task page, and a first guess only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Callable

from ..errors import CachingUnavailable, Unavailable
from ..level_areas import Place
from ..request import Feedback
from ..storage.profile import StorageFormat
from ..tiling import Level, TilingScheme
from .address import ServiceAddress
from .caching import COMMON_ROLES, TASK_SERVICES, Input, place_values, scales_text
from .client import Client
from .export_tiles import unpacked
from .gp_task import Role, Task, choice_of, find_task, names_of, parameter_of
from .jobs import Job, JobPhase, JobState, Pace, follow, submit_job
from .remote_files import RemoteFile, remote_files

TASK_NAME = "Export Cache"
OUTPUT = "out_service_url"
SITE_DECIDES = "-1"

_ROLES: dict[Enum, Role] = {
    **COMMON_ROLES,
    Input.FOLDER: Role(("target_cache", "target_cache_path"), ("Target Cache Path",)),
    Input.STORAGE: Role(("storage_format_type", "storage_format"), ("Storage Format Type",)),
    Input.COPY: Role(("copy_data_from_server", "copy_data"), ("Copy data from server",)),
    Input.PACKAGE: Role(("tile_package", "export_cache_type"), ("Export cache type",)),
    Input.REPLACE: Role(("replace_existing_tiles", "overwrite"), ("Replace existing tiles",)),
}
_REQUIRED: frozenset[Enum] = frozenset({Input.SERVICE, Input.LEVELS, Input.STORAGE})
_COMPACT = frozenset({StorageFormat.TPK, StorageFormat.COMPACT_V1})
_ENDED_WELL = frozenset({JobPhase.SUCCEEDED, JobPhase.PARTIAL})


class ExportCache:
    """Has the site of `service` export its cache. Blocks: for use off the main thread."""

    def __init__(self, client: Client, service: ServiceAddress, pace: Pace | None = None) -> None:
        self._client, self._service, self._pace = client, service, pace or Pace()

    def export(
        self,
        levels: tuple[Level, ...],
        place: Place,
        scheme: TilingScheme,
        storage: StorageFormat,
        feedback: Feedback,
        started: Callable[[str], None] = lambda job_url: None,
    ) -> tuple[RemoteFile, ...] | None:
        """Files to download, with the tiles of `levels` at `place`; None once stopped.

        `storage`: TPK and compact V1 are the old form, all others the new one.
        Raises CachingUnavailable, SiteError, JobError, EmptyArea, BadPackage (no file).
        """
        task = self._task(Input.COPY, Input.PACKAGE)
        values: dict[Enum, str] = {
            Input.STORAGE: task.storage("COMPACT" if storage in _COMPACT else "COMPACT_V2"),
            Input.COPY: "true",
            Input.PACKAGE: task.package(is_package=True, storage=storage),
        }
        ended = self._run(task, levels, place, scheme, values, feedback, started)
        if ended is None:
            return None
        value = unpacked(ended.value)
        return tuple(remote_files(self._client, f"{ended.job_url}/", value, self._service.name))

    def export_on_server(
        self,
        server_path: str,
        levels: tuple[Level, ...],
        place: Place,
        scheme: TilingScheme,
        storage: StorageFormat,
        feedback: Feedback,
        overwrite: bool = True,
        started: Callable[[str], None] = lambda job_url: None,
    ) -> str | None:
        """Export to `server_path`, as the site's computers see it; what the site says of it.

        `overwrite`: tiles that are there already are replaced. None once stopped.
        Raises CachingUnavailable, SiteError, JobError, EmptyArea.
        """
        task = self._task(Input.COPY, Input.FOLDER)
        values: dict[Enum, str] = {
            Input.FOLDER: server_path,
            Input.STORAGE: task.storage(_keyword(storage)),
            Input.COPY: "false",
            Input.PACKAGE: task.package(is_package=storage.is_package, storage=storage),
            Input.REPLACE: "true" if overwrite else "false",
        }
        ended = self._run(task, levels, place, scheme, values, feedback, started)
        if ended is None:
            return None
        return ended.value if isinstance(ended.value, str) else server_path

    def _task(self, *needed: Input) -> _ExportTask:
        task = find_task(self._client, self._service.site_url, TASK_SERVICES, TASK_NAME)
        return _ExportTask(task, names_of(task, _ROLES, _REQUIRED | frozenset(needed)))

    def _run(
        self,
        task: _ExportTask,
        levels: tuple[Level, ...],
        place: Place,
        scheme: TilingScheme,
        more: Mapping[Enum, str],
        feedback: Feedback,
        started: Callable[[str], None],
    ) -> Ended | None:
        values: dict[Enum, str] = {
            Input.SERVICE: self._service.caching_name,
            Input.LEVELS: scales_text(levels),
            Input.INSTANCES: SITE_DECIDES,
            **place_values(place, scheme, levels, task.names, task.task.url),
            **more,
        }
        form = {task.names[key]: value for key, value in values.items() if key in task.names}
        return run_task(self._client, task.task.url, form, feedback, self._pace, started)


@dataclass(frozen=True)
class _ExportTask:
    """The task, and the real `names` of its parameters."""

    task: Task
    names: Mapping[Enum, str]

    def storage(self, keyword: str) -> str:
        """The task's own word for a storage format. Raises CachingUnavailable for none."""
        return self._choice(Input.STORAGE, keyword)

    def package(self, *, is_package: bool, storage: StorageFormat) -> str:
        """Whether to make a package, as the task takes it: as a yes or no, or as a keyword."""
        parameter = parameter_of(self.task, _ROLES[Input.PACKAGE])
        if parameter is None or not parameter.choices:
            return "true" if is_package else "false"
        if not is_package:
            return self._choice(Input.PACKAGE, "CACHE_DATASET")
        if storage not in _COMPACT:
            new = choice_of(parameter.choices, "TILE_PACKAGE_TPKX")
            if new is not None:
                return new
        return self._choice(Input.PACKAGE, "TILE_PACKAGE")

    def _choice(self, key: Input, keyword: str) -> str:
        parameter = parameter_of(self.task, _ROLES[key])
        if parameter is None or not parameter.choices:
            return keyword
        choice = choice_of(parameter.choices, keyword)
        if choice is None:
            raise CachingUnavailable(self.task.url, Unavailable.UNKNOWN_TASK, keyword)
        return choice


@dataclass(frozen=True)
class Ended:
    """A job that has ended well, or with failures (`is_partial`): its result's `value`."""

    job_url: str
    value: object
    is_partial: bool = False


def run_task(
    client: Client,
    task_url: str,
    form: Mapping[str, str],
    feedback: Feedback,
    pace: Pace,
    started: Callable[[str], None] = lambda job_url: None,
) -> Ended | None:
    """Have the task at `task_url` do what `form` says; None once cancelled or abandoned.

    Raises SiteError, JobError.
    """
    job: Job = submit_job(client, task_url, form)
    started(job.url)
    state = follow(job, feedback, pace, _percent)
    if state is None or state.phase not in _ENDED_WELL:
        return None
    return Ended(job.url, job.result(state, OUTPUT), state.phase is JobPhase.PARTIAL)


def _percent(state: JobState) -> float | None:
    return state.percent_in_messages if state.percent is None else state.percent


def _keyword(storage: StorageFormat) -> str:
    if storage is StorageFormat.EXPLODED:
        return "EXPLODED"
    return "COMPACT" if storage in _COMPACT else "COMPACT_V2"
