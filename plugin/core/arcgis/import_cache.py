"""The caching tool ImportCache: tiles of a cache or package into the cache of a service.

Parameter names are those of an ArcGIS Server 10.8.1's own task page, as far as that shows them. A
package is uploaded where the GP service takes files (Esri REST reference, "Uploads", "GPDataFile").
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ..errors import CachingUnavailable, Unavailable
from ..esri_json import mapping, text
from ..level_areas import Place
from ..request import Feedback, Outcome
from ..tiling import Level, TilingScheme
from .address import ServiceAddress
from .caching import COMMON_ROLES, TASK_SERVICES, Input, place_values, scales_text
from .client import Client
from .export_cache import SITE_DECIDES, run_task
from .gp_task import Role, Task, find_task, names_of, parameter_of
from .jobs import Pace
from .uploads import upload_file

TASK_NAME = "ImportCache"

_DATA_FILE = "GPDataFile"
_ROLES: dict[Enum, Role] = {
    **COMMON_ROLES,
    Input.FOLDER: Role(
        ("target_cache", "source_cache", "source_cache_path", "cache_path", "import_source"),
        ("Target Cache Path", "Source Cache Path"),
    ),
    Input.PACKAGE: Role(
        ("tile_package", "source_package", "input_package", "package"),
        ("Tile Package", "Source Package"),
        _DATA_FILE,
    ),
    Input.REPLACE: Role(("replace_existing_tiles", "overwrite"), ("Replace existing tiles",)),
}
_REQUIRED: frozenset[Enum] = frozenset({Input.SERVICE, Input.LEVELS})


@dataclass(frozen=True)
class ImportForm:
    """What is imported: tiles of `levels` at `place`, both of the service's `scheme`.

    From `server_path`, as the site's computers see it, or else from `package`, a file on this
    computer, which is uploaded. `overwrite`: tiles that are there already are replaced.
    """

    levels: tuple[Level, ...]
    place: Place
    scheme: TilingScheme
    overwrite: bool
    server_path: str = ""
    package: Path | None = None


@dataclass(frozen=True)
class ImportOutcome:
    """How an import ended: DONE, PARTIAL, CANCELLED, or SUBMITTED where it was left to itself.

    `text`: what the site says of it. `job_url`: "" where it was cancelled before there was a job.
    """

    outcome: Outcome
    job_url: str = ""
    text: str = ""


def takes_packages(client: Client, service: ServiceAddress) -> bool:
    """Whether the site lets a package be uploaded and imported.

    Raises CachingUnavailable where it has no ImportCache for us, SiteUnreachable, NotArcGIS.
    """
    task = find_task(client, service.site_url, TASK_SERVICES, TASK_NAME)
    return _package_parameter(task) is not None and _takes_uploads(client, task)


def import_into_service(
    client: Client,
    service: ServiceAddress,
    form: ImportForm,
    feedback: Feedback,
    pace: Pace | None = None,
) -> ImportOutcome:
    """Have the site import tiles into the cache of `service`. Blocks.

    Raises CachingUnavailable (no such tool, or it takes no packages, or cannot be told the area),
    SiteError, JobError, EmptyArea, StorageError (the package cannot be read).
    """
    task = find_task(client, service.site_url, TASK_SERVICES, TASK_NAME)
    names = _names(task, form)
    values: dict[Enum, str] = {
        Input.SERVICE: service.caching_name,
        Input.LEVELS: scales_text(form.levels),
        Input.INSTANCES: SITE_DECIDES,
        Input.REPLACE: "true" if form.overwrite else "false",
        **place_values(form.place, form.scheme, form.levels, names, task.url),
    }
    if form.package is None:
        values[Input.FOLDER] = form.server_path
    else:
        item = _uploaded(client, task, form.package, feedback)
        if item is None:
            return ImportOutcome(Outcome.CANCELLED)
        values[Input.PACKAGE] = json.dumps({"itemID": item})
    if feedback.cancelled() or feedback.abandoned():
        return ImportOutcome(Outcome.CANCELLED)
    filled = {names[key]: value for key, value in values.items() if key in names}
    return _run(client, task.url, filled, feedback, pace or Pace())


def _run(
    client: Client, task_url: str, form: Mapping[str, str], feedback: Feedback, pace: Pace
) -> ImportOutcome:
    jobs: list[str] = []
    ended = run_task(client, task_url, form, feedback, pace, jobs.append)
    if ended is None:
        is_left = feedback.abandoned() and not feedback.cancelled()
        return ImportOutcome(Outcome.SUBMITTED if is_left else Outcome.CANCELLED, jobs[-1])
    outcome = Outcome.PARTIAL if ended.is_partial else Outcome.DONE
    return ImportOutcome(outcome, ended.job_url, text(ended.value))


def _names(task: Task, form: ImportForm) -> dict[Enum, str]:
    """The real parameter names. Raises CachingUnavailable where one lacks that is needed."""
    source = Input.FOLDER if form.package is None else Input.PACKAGE
    names = names_of(task, _ROLES, _REQUIRED | {source})
    if form.package is None:
        names.pop(Input.PACKAGE, None)
        return names
    package = _package_parameter(task)
    if package is None:
        raise CachingUnavailable(task.url, Unavailable.UNKNOWN_TASK, _DATA_FILE)
    return {**names, Input.PACKAGE: package}


def _package_parameter(task: Task) -> str | None:
    """Name of the parameter that takes an uploaded package; None where there is none."""
    parameter = parameter_of(task, _ROLES[Input.PACKAGE])
    return parameter.name if parameter is not None and parameter.data_type == _DATA_FILE else None


def _takes_uploads(client: Client, task: Task) -> bool:
    capabilities = text(client.read(_root(task)).get("capabilities"))
    return "uploads" in (each.strip().lower() for each in capabilities.split(","))


def _uploaded(client: Client, task: Task, package: Path, feedback: Feedback) -> str | None:
    """Id of the uploaded package; None once stopped."""
    if not _takes_uploads(client, task):
        raise CachingUnavailable(_root(task), Unavailable.UNKNOWN_TASK, "Uploads")
    url = f"{_root(task)}/uploads/upload"
    body = upload_file(client, url, package, feedback)
    if body is None:
        return None
    item = text(mapping(body.get("item")).get("itemID"))
    if not item:
        raise CachingUnavailable(_root(task), Unavailable.UNKNOWN_TASK, "itemID")
    return item


def _root(task: Task) -> str:
    """Root of the GP service that the task is of."""
    return task.url.rpartition("/")[0]
