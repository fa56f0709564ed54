"""GPServer resources: roots, tasks, submissions, jobs and the synchronous status report."""

from __future__ import annotations

import json
from typing import Any

from flask import Response, request

from .answers import EsriError, answer, bad_request, not_found, value_of
from .bundles import tiles_present
from .coverage import expected_count
from .job_plan import service_named
from .jobs import job_json
from .profiles import STATUS_TASK, TILES_TASK, Service, Tasks
from .schemes import Lod
from .state import SiteState, site_address
from .tasks import OUTPUT, public_name, root_json, task_json, tasks_of

_FORM_NAMES = (
    "service_url",
    "levels",
    "thread_count",
    "update_mode",
    "constraining_extent",
    "jobid",
    "area_of_interest",
)
_REQUIRED = ("service_url", "levels", "thread_count")
_DEFAULT_MODE_AS_SHOWN = "Recreate All Tiles"


def respond(state: SiteState, service: str, parts: list[str]) -> Response:
    """Answer below ``System/<service>/GPServer``.

    Raises:
        EsriError: no such service, task, job or parameter, or the form is wrong.
    """
    tasks = state.profile.tasks
    if tasks is None or service not in tasks.folders:
        raise not_found(f"Service System/{service}/GPServer")
    if not parts:
        return answer(state.profile, root_json(state.profile, service), service)
    task, *rest = parts
    if task not in tasks_of(service):
        raise not_found(f"Task {task}")
    if task not in {TILES_TASK, STATUS_TASK}:
        raise bad_request(f"The task {task} is not available on this site.")
    if not rest:
        return answer(state.profile, task_json(service, task, tasks), task)
    if task == STATUS_TASK and rest == ["execute"]:
        return answer(state.profile, _report(state, tasks), task)
    if task == TILES_TASK and rest == ["submitJob"]:
        return answer(state.profile, _submit(state, tasks), task)
    if task == TILES_TASK and rest[0] == "jobs" and len(rest) > 1:
        return answer(state.profile, _job(state, tasks, rest[1], rest[2:]), task)
    raise bad_request(f"The operation {'/'.join(rest)} is not supported.")


def _submit(state: SiteState, tasks: Tasks) -> dict[str, Any]:
    given = {**request.args.to_dict(), **request.form.to_dict()}
    given.pop("token", None)
    form = {name: given.get(public_name(tasks, name), "").strip() for name in _FORM_NAMES}
    missing = [public_name(tasks, name) for name in _REQUIRED if not form[name]]
    if missing:
        raise bad_request(
            "Invalid or missing input parameters.", *(f"Required: {name}" for name in missing)
        )
    if form["update_mode"] in {"", _DEFAULT_MODE_AS_SHOWN}:
        form["update_mode"] = "RECREATE_ALL_TILES"
    if form["update_mode"] not in tasks.modes:
        name = public_name(tasks, "update_mode")
        raise bad_request(
            "Invalid or missing input parameters.",
            f"'{form['update_mode']}' is not in the choice list of {name}.",
        )
    job = state.jobs.submit(TILES_TASK, form)
    with state.lock:
        state.submissions.append({"jobId": job.job_id, "task": TILES_TASK, "form": given})
    return {"jobId": job.job_id, "jobStatus": "esriJobSubmitted"}


def _job(state: SiteState, tasks: Tasks, job_id: str, rest: list[str]) -> dict[str, Any]:
    job = state.jobs.get(job_id)
    if job is None:
        raise EsriError(400, "Unable to complete operation.", [f"Job {job_id} does not exist."])
    output = public_name(tasks, OUTPUT)
    if not rest:
        inputs = {
            public_name(tasks, name): {"paramUrl": f"inputs/{public_name(tasks, name)}"}
            for name in _FORM_NAMES
        }
        return {**job_json(job, output, tasks.progress), "inputs": inputs}
    if rest == ["cancel"]:
        job.cancel()
        return {"jobId": job.job_id, "jobStatus": job.status}
    if rest == ["results", output] and job.status == "esriJobSucceeded":
        return _parameter_value(output, job.output(site_address(state)))
    if len(rest) == 2 and rest[0] == "inputs":
        for name in _FORM_NAMES:
            if public_name(tasks, name) == rest[1]:
                return _parameter_value(rest[1], job.form[name])
    raise bad_request(f"There is no {'/'.join(rest)} for job {job_id}.")


def _parameter_value(name: str, value: str) -> dict[str, Any]:
    return {"paramName": name, "dataType": "GPString", "value": value}


def _report(state: SiteState, tasks: Tasks) -> dict[str, Any]:
    task_name = value_of(public_name(tasks, "service_url")).strip()
    service = service_named(state, task_name)
    if service is None or not service.cached:
        raise bad_request(f"The service {task_name} was not found or has no cache.")
    value = cache_status(state, service)
    text = json.dumps(value) if tasks.status_as_text else value
    result = {"paramName": "out_report", "dataType": "GPString", "value": text}
    return {"results": [result], "messages": []}


def cache_status(state: SiteState, service: Service) -> dict[str, Any]:
    """Return what ReportCacheStatus tells of a service, counted in its bundles."""
    running = bool(state.jobs.running_on(service.task_name))
    first, last = service.levels
    lods = service.scheme.lods if service.scheme else ()
    return {
        "name": service.name,
        "type": service.kind,
        "status": "EXISTS",
        "cacheExecutionStatus": "RUNNING" if running else "NONE",
        "lodInfos": [
            _level_status(state, service, lod, running)
            for lod in lods
            if first <= lod.level <= last
        ],
    }


def _level_status(state: SiteState, service: Service, lod: Lod, running: bool) -> dict[str, Any]:
    sizes = tiles_present(state.cache_folder(service), lod.level).values()
    expected = expected_count(service, lod)
    words = {0: "Empty", expected: "Complete"}
    return {
        "scale": lod.scale,
        "levelID": lod.level,
        "pixelSize": lod.resolution,
        "percent": round(100 * len(sizes) / expected, 2),
        "expectedTileCount": expected,
        "tileCount": len(sizes),
        "status": words.get(len(sizes), "Partial"),
        "tilesSize": sum(sizes),
        "isRunning": "true" if running else "false",
    }
