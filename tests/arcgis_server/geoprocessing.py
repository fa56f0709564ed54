"""GPServer resources: roots, tasks, submissions, jobs and the synchronous status report."""

from __future__ import annotations

import json
from typing import Any

from flask import Response, request

from . import uploads
from .answers import EsriError, answer, bad_request, not_found, value_of
from .bundles import tiles_present
from .cache_transfers import ExportCacheJob, ImportJob
from .coverage import expected_count
from .job_plan import service_named
from .jobs import CONTEXTS_FAILED, Job, job_json
from .profiles import EXPORT_TASK, IMPORT_TASK, STATUS_TASK, TILES_TASK, Service, Tasks
from .schemes import Lod
from .state import SiteState, site_address
from .tasks import (
    OUTPUT,
    parameters_of,
    public_name,
    root_json,
    takes_uploads,
    task_json,
    tasks_of,
)

_JOBS = {TILES_TASK: Job, EXPORT_TASK: ExportCacheJob, IMPORT_TASK: ImportJob}
_WORDS_SHOWN = {
    "update_mode": {"": "RECREATE_ALL_TILES", "Recreate All Tiles": "RECREATE_ALL_TILES"},
    "storage_format_type": {"": "COMPACT", "Compact": "COMPACT"},
}
"""What stands for a value of the choice list: nothing, and the default as it is shown."""


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
    if task == "uploads" and takes_uploads(state.profile, service):
        return answer(state.profile, uploads.respond(state, rest), "Uploads")
    if task not in tasks_of(service):
        raise not_found(f"Task {task}")
    if not rest:
        return answer(state.profile, task_json(service, task, tasks), task)
    if task not in {*_JOBS, STATUS_TASK}:
        raise bad_request(f"The task {task} is not available on this site.")
    if task == STATUS_TASK and rest == ["execute"]:
        return answer(state.profile, _report(state, tasks), task)
    if task in _JOBS and rest == ["submitJob"]:
        return answer(state.profile, _submit(state, task, tasks), task)
    if task in _JOBS and rest[0] == "jobs" and len(rest) > 1:
        return answer(state.profile, _job(state, task, tasks, rest[1], rest[2:]), task)
    raise bad_request(f"The operation {'/'.join(rest)} is not supported.")


def _inputs(task: str, tasks: Tasks) -> list[dict[str, Any]]:
    """Return the parameters that a client fills in, under their canonical names."""
    return [p for p in parameters_of(task, tasks) if p["name"] != OUTPUT]


def _submit(state: SiteState, task: str, tasks: Tasks) -> dict[str, Any]:
    given = {**request.args.to_dict(), **request.form.to_dict()}
    given.pop("token", None)
    inputs = _inputs(task, tasks)
    form = {p["name"]: given.get(public_name(tasks, p["name"]), "").strip() for p in inputs}
    _check_required(tasks, inputs, form)
    for parameter in inputs:
        if "choiceList" in parameter:
            name = parameter["name"]
            form[name] = _chosen(tasks, parameter, form[name])
    job = state.jobs.start(_JOBS[task](state, task, form))
    with state.lock:
        state.submissions.append({"jobId": job.job_id, "task": task, "form": given})
    return {"jobId": job.job_id, "jobStatus": "esriJobSubmitted"}


def _check_required(tasks: Tasks, inputs: list[dict[str, Any]], form: dict[str, str]) -> None:
    missing = [
        public_name(tasks, p["name"])
        for p in inputs
        if p["parameterType"] == "esriGPParameterTypeRequired"
        and p["defaultValue"] in {"", None}
        and not form[p["name"]]
    ]
    if missing:
        raise bad_request(
            "Invalid or missing input parameters.", *(f"Required: {name}" for name in missing)
        )


def _chosen(tasks: Tasks, parameter: dict[str, Any], text: str) -> str:
    name = parameter["name"]
    value = _WORDS_SHOWN[name].get(text, text)
    if value not in parameter["choiceList"]:
        raise bad_request(
            "Invalid or missing input parameters.",
            f"'{value}' is not in the choice list of {public_name(tasks, name)}.",
        )
    return value


def _job(state: SiteState, task: str, tasks: Tasks, job_id: str, rest: list[str]) -> dict[str, Any]:
    job = state.jobs.get(job_id)
    if job is None or job.task != task:
        raise EsriError(400, "Unable to complete operation.", [f"Job {job_id} does not exist."])
    output = public_name(tasks, OUTPUT)
    names = [parameter["name"] for parameter in _inputs(task, tasks)]
    if not rest:
        inputs = {
            public_name(tasks, name): {"paramUrl": f"inputs/{public_name(tasks, name)}"}
            for name in names
        }
        return {**job_json(job, output, tasks.progress), "inputs": inputs}
    if rest == ["cancel"]:
        job.cancel()
        return {"jobId": job.job_id, "jobStatus": job.status}
    if rest == ["results", output] and job.status == "esriJobSucceeded":
        return _parameter_value(output, job.output(site_address(state)))
    if len(rest) == 2 and rest[0] == "inputs":
        for name in names:
            if public_name(tasks, name) == rest[1]:
                return _parameter_value(rest[1], job.form[name])
    raise bad_request(f"There is no {'/'.join(rest)} for job {job_id}.")


def _parameter_value(name: str, value: str) -> dict[str, Any]:
    return {"paramName": name, "dataType": "GPString", "value": value}


def _report(state: SiteState, tasks: Tasks) -> dict[str, Any]:
    task_name = value_of(public_name(tasks, "service_url")).strip()
    service = service_named(state, _task_name(task_name))
    if service is None or not service.cached:
        raise bad_request(f"The service {task_name} was not found or has no cache.")
    value = {**cache_status(state, service), **_job_report(state, tasks)}
    text = json.dumps(value) if tasks.status_as_text else value
    result = {"paramName": "out_report", "dataType": "GPString", "value": text}
    return {"results": [result], "messages": []}


def _task_name(text: str) -> str:
    """Return ``[Folder/]Name:Type``, also of the address that jobs answer with.

    Esri's own client hands the output of its job to the report.
    """
    name, _, kind = text.partition("/rest/services/")[2].rpartition("/")
    return f"{name}:{kind}" if name else text


def _job_report(state: SiteState, tasks: Tasks) -> dict[str, Any]:
    """Return what is told of a job besides, where one is asked for."""
    job_id = value_of(public_name(tasks, "job_id")).strip()
    if not job_id:
        return {}
    job = state.jobs.get(job_id)
    if job is None:
        raise bad_request(f"Job {job_id} does not exist.")
    first = int(value_of(public_name(tasks, "error_start"), "0") or 0)
    number = int(value_of(public_name(tasks, "error_count"), "100") or 100)
    errors = [
        {"levelID": level, "row": row, "column": col, "message": CONTEXTS_FAILED}
        for level, row, col in job.failed_bundles[first : first + number]
    ]
    return {
        "jobId": job.job_id,
        "jobStatus": job.status,
        "errorCount": len(job.failed_bundles),
        "errors": errors,
    }


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
