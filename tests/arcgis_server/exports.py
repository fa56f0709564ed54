"""``exportTiles``, ``estimateExportTilesSize`` and the jobs of a map or image service."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from .answers import EsriError, answer, bad_request
from .export_jobs import EstimateJob, ExportJob
from .export_plan import NAMES, read_plan
from .jobs import Job
from .profiles import Service
from .state import SiteState, site_address

EXPORT = "exportTiles"
ESTIMATE = "estimateExportTilesSize"
OPERATIONS = (EXPORT, ESTIMATE, "jobs")
_OUTPUT = "out_service_url"


def respond(state: SiteState, service: Service, parts: list[str]) -> Response:
    """Answer below ``exportTiles``, ``estimateExportTilesSize`` and ``jobs``.

    Raises:
        EsriError: the service does not export, a parameter is wrong, or there is no such job.
    """
    operation, *rest = parts
    if operation == "jobs" and rest:
        return answer(state.profile, _job(state, service, "", rest[0], rest[1:]), "Job")
    if operation in {EXPORT, ESTIMATE} and rest in ([], ["submitJob"]):
        return answer(state.profile, _submit(state, service, operation), operation)
    if operation in {EXPORT, ESTIMATE} and rest[:1] == ["jobs"] and len(rest) > 1:
        return answer(state.profile, _job(state, service, operation, rest[1], rest[2:]), "Job")
    raise bad_request(f"The operation {'/'.join(parts)} is not supported.")


def _submit(state: SiteState, service: Service, operation: str) -> dict[str, Any]:
    if not service.cached or not state.profile.modern_root:
        raise bad_request(f"The operation {operation} is not supported.")
    if not service.export_allowed:
        raise bad_request("The service does not allow to export tiles.")
    given = {**request.args.to_dict(), **request.form.to_dict()}
    given.pop("token", None)
    plan = read_plan(state.profile, service, given)
    form = {name: given[name] for name in NAMES if name in given}
    form["service_url"] = service.task_name
    kind = ExportJob if operation == EXPORT else EstimateJob
    job = kind(state, operation[0].upper() + operation[1:], form, lambda: plan)
    with state.lock:
        state.submissions.append({"jobId": job.job_id, "task": operation, "form": given})
    state.jobs.start(job)
    return {"jobId": job.job_id, _status_key(state): "esriJobSubmitted"}


def _job(
    state: SiteState, service: Service, operation: str, job_id: str, rest: list[str]
) -> dict[str, Any]:
    job = state.jobs.get(job_id)
    if job is None or not _is_of(job, service, operation):
        raise EsriError(400, "Unable to complete operation.", [f"Job {job_id} does not exist."])
    if not rest:
        return _job_json(state, job)
    if rest == ["cancel"]:
        job.cancel()
        return {"jobId": job.job_id, _status_key(state): job.status}
    done = job.status == "esriJobSucceeded"
    if rest == ["results", _OUTPUT] and done and not _tells_addresses(state, job):
        return _parameter_value(_OUTPUT, job.output(site_address(state)))
    if len(rest) == 2 and rest[0] == "inputs" and rest[1] in NAMES:
        return _parameter_value(rest[1], job.form.get(rest[1], ""))
    raise bad_request(f"There is no {'/'.join(rest)} for job {job_id}.")


def _is_of(job: Job, service: Service, operation: str) -> bool:
    kinds = {EXPORT: ExportJob, ESTIMATE: EstimateJob, "": (ExportJob, EstimateJob)}
    return isinstance(job, kinds[operation]) and job.service_name == service.task_name


def _job_json(state: SiteState, job: Job) -> dict[str, Any]:
    data: dict[str, Any] = {"jobId": job.job_id, _status_key(state): job.status}
    if job.status == "esriJobSucceeded":
        if isinstance(job, ExportJob) and _tells_addresses(state, job):
            data["output"] = {"outputUrl": job.output_files(site_address(state)), "itemId": ""}
        else:
            data["results"] = {_OUTPUT: {"paramUrl": f"results/{_OUTPUT}"}}
    data["inputs"] = {name: {"paramUrl": f"inputs/{name}"} for name in NAMES}
    data["messages"] = job.messages
    return data


def _tells_addresses(state: SiteState, job: Job) -> bool:
    """Whether the finished job itself tells where the packages are, as hosted layers do."""
    return state.profile.hosted and isinstance(job, ExportJob)


def _status_key(state: SiteState) -> str:
    return "status" if state.profile.hosted else "jobStatus"


def _parameter_value(name: str, value: Any) -> dict[str, Any]:
    return {"paramName": name, "dataType": "GPString", "value": value}
