"""The geoprocessing tasks of the ``System`` folder: their roots and their parameters."""

from __future__ import annotations

from typing import Any

from .profiles import STATUS_TASK, TILES_TASK, Site, Tasks

ASYNCHRONOUS = "esriExecutionTypeAsynchronous"
SYNCHRONOUS = "esriExecutionTypeSynchronous"
OUTPUT = "out_service_url"

_CONTROLLER_TASKS = (
    "Export Cache",
    "ImportCache",
    TILES_TASK,
    "Manage Map Cache Status",
    "Convert Cache Storage Format",
    "Upgrade Cache Storage Format",
)
_TOOL_TASKS = (
    "Convert Cache Storage Format",
    "Convert Cache Storage Format Worker",
    TILES_TASK,
    f"{TILES_TASK} Worker",
    "Export Cache",
    "Export Cache Worker",
    "DeleteCache",
    "Create Map Cache",
    "ImportCache",
    "Import Cache Worker",
    "Suggest Default Scales",
    "Manage Map Cache Scales",
    "Manage Map Cache Status",
    "Manage Map Cache Status Worker",
    "Upgrade Cache Storage Format Worker",
)
_SERVICES = {
    "CachingControllers": (_CONTROLLER_TASKS, ASYNCHRONOUS),
    "CachingTools": (_TOOL_TASKS, ASYNCHRONOUS),
    "ReportingTools": ((STATUS_TASK,), SYNCHRONOUS),
}
_EMPTY_AREA = {
    "displayFieldName": "",
    "geometryType": "esriGeometryPolygon",
    "spatialReference": {"wkid": 4326, "latestWkid": 4326},
    "fields": [
        {"name": "OID", "type": "esriFieldTypeOID", "alias": "OID"},
        {
            "name": "updateGeom_Length",
            "type": "esriFieldTypeDouble",
            "alias": "updateGeom_Length",
        },
        {"name": "updateGeom_Area", "type": "esriFieldTypeDouble", "alias": "updateGeom_Area"},
    ],
    "features": [],
    "exceededTransferLimit": False,
}


def tasks_of(service: str) -> tuple[str, ...]:
    """Return the display names of the tasks of ``CachingTools`` and the like."""
    return _SERVICES[service][0]


def execution_of(service: str) -> str:
    return _SERVICES[service][1]


def root_json(site: Site, service: str) -> dict[str, Any]:
    """Return the root of a geoprocessing service."""
    return {
        "currentVersion": site.version,
        "serviceDescription": f"The {service} service manages caches of map and image services.",
        "tasks": list(tasks_of(service)),
        "executionType": execution_of(service),
        "resultMapServerName": "",
        "maximumRecords": 1000,
    }


def task_json(service: str, task: str, tasks: Tasks) -> dict[str, Any]:
    """Return a task with its parameters, under the names this site gives them."""
    parameters = _tile_parameters(tasks) if task == TILES_TASK else _status_parameters()
    for parameter in parameters:
        parameter["name"] = public_name(tasks, parameter["name"])
    return {
        "name": task.replace(" ", ""),
        "displayName": task,
        "description": "",
        "category": "",
        "helpUrl": "",
        "executionType": execution_of(service),
        "parameters": parameters,
    }


def public_name(tasks: Tasks, name: str) -> str:
    """Return how this site calls a parameter that ArcGIS 10.8 calls ``name``."""
    return tasks.names.get(name, name)


def _tile_parameters(tasks: Tasks) -> list[dict[str, Any]]:
    mode = _parameter("update_mode", "GPString", "Update Mode", "Recreate All Tiles")
    return [
        _parameter("service_url", "GPString", "Input Map Service or Image Service URL"),
        _parameter("levels", "GPString", "Scales"),
        _parameter("thread_count", "GPLong", "Number of caching service instances", None),
        {**mode, "choiceList": list(tasks.modes)},
        _parameter("constraining_extent", "GPString", "Update Extent", "DEFAULT", "Optional"),
        _parameter("jobid", "GPString", "Input Job ID", kind="Optional"),
        _parameter(
            "area_of_interest",
            "GPFeatureRecordSetLayer",
            "Area Of Interest (Polygon)",
            _EMPTY_AREA,
            "Optional",
        ),
        _parameter(OUTPUT, "GPString", "Output Map Service URL", kind="Derived"),
    ]


def _status_parameters() -> list[dict[str, Any]]:
    return [
        _parameter("service_url", "GPString", "Input Map Service or Image Service URL"),
        _parameter("report_mode", "GPString", "Report Mode", "esriCacheStatus", "Optional"),
        _parameter("job_id", "GPString", "Input Job ID", kind="Optional"),
        _parameter("levelID", "GPLong", "Input Level ID", None, "Optional"),
        _parameter("error_start", "GPLong", "Error Start", None, "Optional"),
        _parameter("error_count", "GPLong", "Error Count", None, "Optional"),
        _parameter("out_report", "GPString", "Cache Status", kind="Derived"),
    ]


def _parameter(
    name: str, data_type: str, display_name: str, default: Any = "", kind: str = "Required"
) -> dict[str, Any]:
    direction = "Output" if kind == "Derived" else "Input"
    return {
        "name": name,
        "dataType": data_type,
        "displayName": display_name,
        "description": "",
        "direction": f"esriGPParameterDirection{direction}",
        "defaultValue": default,
        "parameterType": f"esriGPParameterType{kind}",
        "category": "",
    }
