"""An update that nobody here has begun, known by the address of its job alone.

What it was asked for stands in a caching job's inputs; a hosted layer's administration lists levels
and kind of its jobs.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import unquote

from shapely.errors import ShapelyError

from ..area import clip_area
from ..coverage import Area
from ..description import CacheDescription
from ..errors import (
    AddressError,
    CachingUnavailable,
    NotFound,
    SiteRefused,
    UnknownJob,
    UnknownScale,
)
from ..esri_json import JsonObject, items, mapping, text, whole
from ..planned import planned_of
from ..request import UpdateMode
from ..site_update import PartState, SiteUpdate, UpdatePart
from ..tiling import Extent, Level
from .address import KINDS, ServiceAddress, public_address, service_of, service_url
from .caching import CachingTask, Input, caching_task_at, place_asked
from .client import Client
from .hosted import OPERATION, OPERATIONS, levels_text
from .service import parse_service

_CACHING = re.compile(
    r"(?P<site>https?://.+)/rest/services/(?P<service>.+/GPServer/[^/]+)/jobs/(?P<job>[\w{}-]+)",
    re.IGNORECASE | re.ASCII,
)
_HOSTED = re.compile(
    r"(?P<site>https?://.+)/rest/admin/services/(?P<service>.+Server)/jobs/(?P<job>[\w{}-]+)",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True)
class JobAddress:
    """A job at `url`, submitted at `submit_url`, on the site at `site_url`."""

    url: str
    site_url: str
    submit_url: str
    is_hosted: bool


def job_address(address: str) -> JobAddress:
    """What `address` says of a job. Raises UnknownJob where it is that of none."""
    url = public_address(address).rstrip("/")
    is_safe = url.isprintable() and ".." not in unquote(url).split("/") and " " not in url
    for pattern in (_CACHING, _HOSTED) if is_safe else ():
        found = pattern.fullmatch(url)
        if found is not None:
            submit_url = url[: found.end("service")]
            return JobAddress(url, found["site"], submit_url, pattern is _HOSTED)
    raise UnknownJob(url)


def update_of(job: JobAddress, client: Client) -> SiteUpdate:
    """The update that `job` is all of; RUNNING, as far as is known here.

    Raises SiteError, UnknownJob where it is a job, but none that updates tiles.
    """
    try:
        return _hosted(job, client) if job.is_hosted else _by_task(job, client)
    except (AddressError, UnknownScale, CachingUnavailable, ValueError) as error:
        raise UnknownJob(job.url) from error


def _by_task(job: JobAddress, client: Client) -> SiteUpdate:
    inputs = mapping(_known(client, job.url).get("inputs"))
    task = caching_task_at(client, job.submit_url)
    form = {name: _input(client, job.url, inputs, name) for name in task.names.values()}
    form = {name: value for name, value in form.items() if value}
    name, _, kind = form.get(task.names[Input.SERVICE], "").rpartition(":")
    if not name or kind not in KINDS:
        raise UnknownJob(job.url)
    service = service_of(service_url(job.site_url, name, kind))
    description = parse_service(client.read(service.url), service)
    scales = [each for each in form.get(task.names[Input.LEVELS], "").split(";") if each.strip()]
    levels = [description.scheme.level_of_scale(float(each)) for each in scales]
    part = UpdatePart(_ids(levels), form, _planned(task, form, description, levels))
    return _update(job, service, _mode(task, form), description, part)


def _hosted(job: JobAddress, client: Client) -> SiteUpdate:
    body = _known(client, job.url)
    service = service_of(re.sub("/rest/admin/", "/rest/", job.submit_url, flags=re.IGNORECASE))
    description = parse_service(client.read(service.url), service)
    description = replace(description, is_hosted=True)
    job_id = job.url.rpartition("/")[2]
    listed = items(client.read(f"{job.submit_url}/jobs").get("jobs"))
    told = next((each for each in map(mapping, listed) if each.get("id") == job_id), body)
    ids = {whole(mapping(lod).get("levelID")) for lod in items(told.get("lodInfos"))}
    is_delete = "delete" in text(told.get("type")).lower()
    mode = UpdateMode.DELETE if is_delete else UpdateMode.RECREATE_ALL
    levels = [each for each in description.cached_levels if each.id in ids or not ids]
    form = {OPERATION: OPERATIONS[mode], "levels": levels_text(_ids(levels))}
    extent = told.get("extent")
    if isinstance(extent, Mapping):
        form["extent"] = json.dumps(extent)
    return _update(job, service, mode, description, UpdatePart(_ids(levels), form))


def _known(client: Client, url: str) -> JsonObject:
    """The job at `url`. Raises UnknownJob where the site says that it knows none, SiteError."""
    try:
        return client.read(url)
    except NotFound as error:
        raise UnknownJob(url) from error
    except SiteRefused as error:
        if error.code in (None, 400) and error.message:
            raise UnknownJob(url) from error
        raise


def _update(
    job: JobAddress,
    service: ServiceAddress,
    mode: UpdateMode,
    description: CacheDescription,
    part: UpdatePart,
) -> SiteUpdate:
    now = time.time()
    levels = description.scheme.levels
    return SiteUpdate(
        key=secrets.token_hex(8),
        address=service.url,
        name=service.name,
        mode=mode,
        levels=tuple(level for level in levels if level.id in part.level_ids),
        submit_url=job.submit_url,
        parts=(replace(part, state=PartState.RUNNING, job_url=job.url, asked_at=now),),
        started=now,
        changed=now,
        is_hosted=job.is_hosted,
    )


def _input(client: Client, job_url: str, inputs: JsonObject, name: str) -> str:
    """What a job was given for parameter `name`, as it was sent; "" where it was given none.

    Raises SiteError: without an area that it had, it would be taken up for the whole cache.
    """
    if text(mapping(inputs.get(name)).get("paramUrl")) != f"inputs/{name}":
        return ""
    value = client.read(f"{job_url}/inputs/{name}").get("value")
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)


def _planned(
    task: CachingTask,
    form: Mapping[str, str],
    description: CacheDescription,
    levels: Iterable[Level],
) -> dict[int, int]:
    """Tiles in the full extent that the job's area touches, where that can be read.

    What lies beyond is left out: an area without end would be counted without end.
    """
    try:
        place = place_asked(task, form)
        if place is not None:
            place = _within_extent(place, description)
        return planned_of(description, place, levels)
    except (ValueError, ShapelyError):
        return {}


def _within_extent(area: Area, description: CacheDescription) -> Area:
    """Raises ValueError where there is nothing of `area` in the full extent, or nobody knows."""
    if description.extent is None:
        raise ValueError("no full extent")
    if isinstance(area, Extent):
        common = area.intersection(description.extent)
        if common is None:
            raise ValueError("elsewhere")
        return common
    clipped = clip_area(area, description.scheme, description.extent)
    if clipped.is_empty:
        raise ValueError("elsewhere")
    return clipped


def _mode(task: CachingTask, form: Mapping[str, str]) -> UpdateMode:
    """What happens to the tiles; of a job that took up another, nobody tells."""
    word = form.get(task.names[Input.MODE], "")
    return next((mode for mode, own in task.modes.items() if own == word), UpdateMode.RECREATE_ALL)


def _ids(levels: Iterable[Level]) -> tuple[int, ...]:
    return tuple(level.id for level in levels)
