"""A caching job whose submission got no answer, found in the site's list of jobs.

Source: ArcGIS Server Administrator REST API, "Query jobs" (10.6.1) and "Job"; Esri's own Python
client. They spell keys in different ways (`jobID`, `submittedTime`; `job_id`, `job_created`), give
times in seconds and in milliseconds, and jobs as a list and by id, so all are read. What a job was
asked for stands in its inputs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping

from ..errors import NotArcGIS, SiteRefused
from ..esri_json import JsonObject, items, mapping, number, text, whole
from .client import Client
from .envelope import is_busy

READ_SECONDS = 15.0
"""A list is good to have, and not worth holding up an update for."""

CLOCKS_DIFFER = 3900.0
"""By so many seconds a site's clock may be behind ours: a wrong summer time, and a bit."""

_TASK = re.compile(r"(.+)/rest/services/(.+)/GPServer/[^/]+$", re.IGNORECASE)
_IDS = ("jobID", "jobId", "jobid", "job_id")
_TIMES = ("submissionTime", "submittedTime", "submittedtime", "submitTime", "job_created")
_PAGE, _PAGES = 100, 5
Check = Callable[[str], bool]
_MILLISECONDS = 1e11
"""Seconds since 1970 are below this for long, milliseconds were not since 1973."""


def find_lost(
    client: Client,
    task_url: str,
    asked: Mapping[str, Check],
    places: Mapping[str, Check],
    since: float,
    known: frozenset[str],
) -> str | None:
    """URL of the first job of the task at `task_url` whose inputs are what was `asked` for.

    `asked`: what tells for each parameter whether its value is the one; `places`: the same of
    parameters that a job need not have. `since`: when it was asked for, seconds since 1970;
    `known`: URLs of other jobs. Later ones, which somebody may have asked for when this one could
    not be found, are not it. None where there is none, or the site does not tell.
    Raises SiteUnreachable, NotArcGIS, SiteRefused (busy).
    """
    for url in reversed(listed(client, task_url, since) or ()):
        if url not in known and _is_asked_for(client, url, asked, places):
            return url
    return None


def listed(client: Client, task_url: str, since: float) -> tuple[str, ...] | None:
    """URLs of the jobs submitted since about then, the newest first.

    None where the site does not tell. Raises SiteUnreachable, NotArcGIS, SiteRefused (busy).
    """
    found = _TASK.match(task_url)
    if found is None:
        return None
    earliest = since - CLOCKS_DIFFER
    url = f"{found[1]}/admin/services/{found[2]}.GPServer/jobs/query"
    query = {"startTime": str(int(earliest * 1000)), "number": str(_PAGE)}
    try:
        jobs = list(map(_listing, _pages(client, url, query)))
    except SiteRefused as error:
        if is_busy(error):
            raise
        # for administrators only, shut off, or older than that
        return None
    late = sorted(((when, job) for when, job in jobs if job and when >= earliest), reverse=True)
    return tuple(f"{task_url}/jobs/{job}" for _, job in late)


def _pages(client: Client, url: str, query: Mapping[str, str]) -> Iterator[JsonObject]:
    """The jobs that a query finds, page after page. Raises SiteError."""
    start = 1
    for _ in range(_PAGES):
        form = {**query, "start": str(start)}
        body = client.once().submit(url, form, read_seconds=READ_SECONDS)
        jobs = body.get("results", body.get("jobs"))
        yield from map(mapping, items(jobs))
        yield from ({"jobId": job_id, **mapping(job)} for job_id, job in mapping(jobs).items())
        following = whole(body.get("nextStart"))
        if following is None or following <= start:
            return
        start = following


def _listing(job: JsonObject) -> tuple[float, str]:
    """When a listed job was submitted, in seconds since 1970, and its id; 0, "" where not told."""
    job_id = next((text(job.get(key)) for key in _IDS if text(job.get(key))), "")
    when = next((found for key in _TIMES if (found := number(job.get(key))) is not None), 0.0)
    is_safe = job_id.isascii() and job_id.replace("-", "").replace("_", "").isalnum()
    return when / 1000 if when > _MILLISECONDS else when, job_id if is_safe else ""


def _is_asked_for(
    client: Client, url: str, asked: Mapping[str, Check], places: Mapping[str, Check]
) -> bool:
    """Whether the inputs of the job at `url` are what was asked for."""
    try:
        inputs = mapping(client.read(url).get("inputs"))
        told = {name: is_it for name, is_it in places.items() if name in inputs}
        for name, is_it in {**asked, **told}.items():
            path = text(mapping(inputs.get(name)).get("paramUrl"))
            if path != f"inputs/{name}":
                return False
            if not is_it(_plain(client.read(f"{url}/{path}").get("value"))):
                return False
    except SiteRefused as error:
        if is_busy(error):
            raise
        return False
    except NotArcGIS:
        return False
    return True


def _plain(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return json.dumps(value)
    found = number(value)
    return "" if found is None else f"{found:.6f}"
