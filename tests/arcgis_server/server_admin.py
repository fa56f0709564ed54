"""``<context>/admin``: the part of a server's administration that concerns caches and jobs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from flask import Response

from .answers import EsriError, answer, not_found, value_of
from .jobs import Job
from .profiles import Service
from .tasks import ASYNCHRONOUS, execution_of, runs_task

if TYPE_CHECKING:
    from .state import SiteState

_PAGE = 10


def respond(state: SiteState, parts: list[str]) -> Response:
    """Answer below ``admin``; who asks may manage.

    Raises:
        EsriError: there is no such resource.
    """
    return answer(state.profile, _data(state, parts), "Administration", default="json")


def _data(state: SiteState, parts: list[str]) -> dict[str, Any]:
    if not parts:
        version = str(state.profile.version)
        return {"currentVersion": version, "resources": ["services", "system", "info"]}
    if parts == ["info"]:
        return {"fullVersion": state.profile.full_version, "loggedInUser": "", "timezone": "UTC"}
    if parts[0] != "services":
        raise not_found("/".join(parts))
    if len(parts) == 1:
        return _folder(state, "")
    place = next((number for number, part in enumerate(parts) if "." in part), None)
    if place is None:
        return _folder(state, parts[1])
    name, _, kind = "/".join(parts[1 : place + 1]).rpartition(".")
    if kind == "GPServer":
        return _jobs(state, name.rpartition("/")[2], parts[place + 1 :])
    service = state.service(name, kind)
    if service is None:
        raise not_found(f"Service {name}.{kind}")
    if parts[place + 1 :] == ["status"]:
        return {"configuredState": "STARTED", "realTimeState": "STARTED"}
    return _definition(state, service)


def _folder(state: SiteState, folder: str) -> dict[str, Any]:
    folders = {service.name.rpartition("/")[0] for service in state.services} - {""}
    return {
        "folderName": folder or "/",
        "folders": [] if folder else sorted({*folders, "System"}),
        "services": [
            {
                "folderName": folder or "/",
                "serviceName": service.name.rpartition("/")[2],
                "type": service.kind,
                "description": "",
            }
            for service in state.services
            if service.name.rpartition("/")[0] == folder
        ],
    }


def _definition(state: SiteState, service: Service) -> dict[str, Any]:
    """Return a service as it is defined: numbers and truth values are texts in it."""
    folder = state.cache_folder(service)
    return {
        "serviceName": service.name.rpartition("/")[2],
        "type": service.kind,
        "description": "",
        "capabilities": service.capabilities,
        "configuredState": "STARTED",
        "minInstancesPerNode": 1,
        "maxInstancesPerNode": 2,
        "properties": {
            "isCached": str(service.cached).lower(),
            "cacheOnDemand": str(service.on_demand).lower(),
            "ignoreCache": "false",
            "clientCachingAllowed": "true",
            "cacheDir": str(folder.parent),
            "exportTilesAllowed": str(service.export_allowed).lower(),
            "maxExportTilesCount": str(service.max_export_tiles),
        },
    }


def _jobs(state: SiteState, service: str, rest: list[str]) -> dict[str, Any]:
    tasks = state.profile.tasks
    if tasks is None or service not in tasks.folders or execution_of(service) != ASYNCHRONOUS:
        raise not_found(f"Service System/{service}.GPServer")
    jobs = {job.job_id: job for job in state.jobs.all() if runs_task(service, job.task)}
    if not rest:
        return {"serviceName": service, "type": "GPServer", "configuredState": "STARTED"}
    if rest[0] != "jobs":
        raise not_found("/".join(rest))
    if rest == ["jobs"]:
        return {"jobs": list(jobs)}
    if rest == ["jobs", "query"]:
        return _query(list(jobs.values()))
    job = jobs.get(rest[1])
    if job is None:
        raise EsriError(404, f"Job {rest[1]} does not exist.")
    if rest[2:] in (["cancel"], ["delete"]):
        job.cancel()
        return {"status": "success"}
    return _job_json(job)


def _query(jobs: list[Job]) -> dict[str, Any]:
    """Return a page of jobs, by id; ``start`` counts from 1."""
    status, begin, end = value_of("status"), value_of("startTime"), value_of("endTime")
    found = [
        job
        for job in jobs
        if (not status or job.status == status)
        and (not begin or job.submitted * 1000 >= float(begin))
        and (not end or job.submitted * 1000 <= float(end))
    ]
    start = int(value_of("start", "1") or 1)
    number = int(value_of("number", str(_PAGE)) or _PAGE)
    following = start + number
    return {
        "start": start,
        "number": number,
        "nextStart": following if following <= len(found) else -1,
        "total": len(found),
        "results": {job.job_id: _job_json(job) for job in found[start - 1 : following - 1]},
    }


def _job_json(job: Job) -> dict[str, Any]:
    return {
        "jobId": job.job_id,
        "jobStatus": job.status,
        "taskName": job.task,
        "submissionTime": int(job.submitted * 1000),
        "runningTime": int((time.time() - job.submitted) * 1000) if job.running else 0,
        "userName": "",
        "machineName": "127.0.0.1",
        "inputs": dict(job.form),
    }
