"""``rest/admin/services/<name>/<kind>``: how hosted tile layers and imagery are managed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Response, request

from .answers import EsriError, answer, bad_request, not_found, value_of
from .bundles import tiles_present
from .coverage import BadArea, expected_count
from .hosted_imports import ImportTilesJob
from .hosted_jobs import (
    DELETE,
    UPDATE,
    HostedJob,
    extent_of,
    levels_of,
    statistics_json,
    summary_json,
)
from .portal_items import item_id
from .profiles import Service
from .roots import root_json
from .schemes import Lod

if TYPE_CHECKING:
    from .state import SiteState

_KINDS = ("MapServer", "ImageServer")
_TASKS = {"updateTiles": UPDATE, "deleteTiles": DELETE}
_IMPORT = "importTiles"
_FIELDS = ("sourceItemId", "levels", "extent", "mergeBundle", "replaceTiles")


def respond(state: SiteState, parts: list[str]) -> Response:
    """Answer below ``rest/admin/services``; who asks may manage.

    Raises:
        EsriError: no such service or operation, or the form is wrong.
    """
    place = next((number for number, part in enumerate(parts) if part in _KINDS), None)
    if place is None:
        raise not_found("/".join(parts) or "Resource")
    name, kind, rest = "/".join(parts[:place]), parts[place], parts[place + 1 :]
    service = state.service(name, kind)
    if service is None:
        raise not_found(f"Service {name}/{kind}")
    return answer(state.profile, _data(state, service, rest), name)


def _data(state: SiteState, service: Service, rest: list[str]) -> dict[str, Any]:
    if not rest:
        return _resource(state, service)
    operation = rest[0]
    if operation in {*_TASKS, _IMPORT} and len(rest) == 1:
        _check_post()
        return _submit(state, service, operation)
    if operation == "refresh":
        return {"success": True}
    if operation == "status":
        return {"name": service.name, "status": "Started"}
    if operation == "edit":
        _check_post()
        return _edit(state, service)
    if operation == "jobs":
        return _jobs(state, service, rest[1:])
    raise bad_request(f"The operation {operation} is not supported.")


def _resource(state: SiteState, service: Service) -> dict[str, Any]:
    lods = service.scheme.lods if service.scheme else ()
    first, last = service.levels
    running = bool(state.jobs.running_on(service.task_name))
    return {
        **root_json(state.profile, service),
        "adminServiceInfo": {"name": service.name, "type": service.kind, "status": "Started"},
        "lodInfos": [
            _lod_info(state, service, lod, running) for lod in lods if first <= lod.level <= last
        ],
    }


def _lod_info(state: SiteState, service: Service, lod: Lod, running: bool) -> dict[str, Any]:
    sizes = tiles_present(state.cache_folder(service), lod.level).values()
    expected = expected_count(service, lod)
    status = "Complete" if len(sizes) == expected else "InProgress" if running else "Partial"
    return {
        "levelID": lod.level,
        "tileCount": len(sizes),
        "expectedTileCount": expected,
        "tilesSize": sum(sizes),
        "status": status if sizes or running else "Empty",
    }


def _submit(state: SiteState, service: Service, operation: str) -> dict[str, Any]:
    given = {**request.args.to_dict(), **request.form.to_dict()}
    given.pop("token", None)
    form = {name: given.get(name, "") for name in _FIELDS}
    try:
        levels_of(service, form["levels"])
        extent_of(service, form["extent"])
        if operation == _IMPORT:
            job: HostedJob = ImportTilesJob(state, service, form, _package(state, form))
        else:
            job = HostedJob(state, _TASKS[operation], service, form)
        state.jobs.start(job)
    except BadArea as error:
        raise bad_request(f"{error}.") from error
    with state.lock:
        state.submissions.append({"jobId": job.job_id, "task": operation, "form": given})
    item = item_id(state.profile.portal, f"arcgis/{service.name}")
    return {
        "id": item,
        "name": service.name,
        "status": "Success",
        "itemId": item,
        "type": "Image Service" if service.kind == "ImageServer" else "Map Service",
        "jobId": job.job_id,
    }


def _package(state: SiteState, form: dict[str, str]) -> Path:
    """Return the file of an item of the portal; tests put it into the server's share."""
    wanted = form["sourceItemId"]
    known = {path.stem: path for path in sorted(state.shares_folder.glob("*.tpk*"))}
    if wanted not in known:
        raise EsriError(400, "Item does not exist or is inaccessible.", message_code="CONT_0001")
    return known[wanted]


def _edit(state: SiteState, service: Service) -> dict[str, Any]:
    """Change what may be changed; what is not given stays."""
    changes: dict[str, Any] = {}
    allowed = value_of("exportTilesAllowed")
    if allowed:
        changes["export_allowed"] = allowed.lower() == "true"
    limit = value_of("maxExportTilesCount") or value_of("maxExportTileCount")
    if limit:
        changes["max_export_tiles"] = _whole(limit)
    levels = _edited_levels(service)
    if levels is not None:
        changes["levels"] = levels
    definition = value_of("serviceDefinition")
    if definition:
        changes.update(_defined(definition))
    state.change_service(service.task_name, **changes)
    return {"success": True}


def _edited_levels(service: Service) -> tuple[int, int] | None:
    scales = value_of("minScale"), value_of("maxScale")
    if service.scheme is None or not all(scales):
        return None
    lods = [service.scheme.lod_of_scale(float(scale)) for scale in scales]
    if lods[0] is None or lods[1] is None:
        raise bad_request("minScale and maxScale have to be scales of the tiling scheme.")
    return lods[0].level, lods[1].level


def _defined(text: str) -> dict[str, Any]:
    try:
        definition = json.loads(text)
    except ValueError as error:
        raise bad_request("serviceDefinition is not JSON.") from error
    if not isinstance(definition, dict):
        raise bad_request("serviceDefinition is not an object.")
    known = {"cacheOnDemand": "on_demand", "exportTilesAllowed": "export_allowed"}
    return {known[key]: bool(value) for key, value in definition.items() if key in known}


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise bad_request(f"'{text}' is not a number.")
    return int(text)


def _jobs(state: SiteState, service: Service, rest: list[str]) -> dict[str, Any]:
    jobs = [
        job
        for job in state.jobs.all()
        if isinstance(job, HostedJob) and job.service_name == service.task_name
    ]
    if not rest:
        return {"total": len(jobs), "jobs": [summary_json(job) for job in jobs]}
    job = next((job for job in jobs if job.job_id == rest[0]), None)
    if job is None:
        raise EsriError(400, "Unable to complete operation.", [f"Job {rest[0]} does not exist."])
    if rest[1:] == []:
        return statistics_json(job)
    if rest[1:] == ["status"]:
        return {"jobId": job.job_id, "jobStatus": job.word, "message": ""}
    if rest[1:] == ["cancel"]:
        _check_post()
        if not job.running:
            raise EsriError(400, "Unable to cancel job.")
        job.cancel()
        return {"success": True}
    if rest[1:] == ["rerun"]:
        _check_post()
        if not job.rerun(value_of("rerun")):
            raise EsriError(400, "Unable to rerun job.")
        return {"success": True}
    raise bad_request(f"The operation {rest[1]} is not supported.")


def _check_post() -> None:
    if request.method != "POST":
        raise EsriError(405, "HTTP GET method is not supported.")
