"""The geoprocessing tasks of the ``System`` folder: their roots and their parameters."""

from __future__ import annotations

from typing import Any

from .profiles import EXPORT_TASK, IMPORT_TASK, STATUS_TASK, TILES_TASK, Site, Tasks

ASYNCHRONOUS = "esriExecutionTypeAsynchronous"
SYNCHRONOUS = "esriExecutionTypeSynchronous"
OUTPUT = "out_service_url"

_CONTROLLER_TASKS = (
    EXPORT_TASK,
    IMPORT_TASK,
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
    EXPORT_TASK,
    "Export Cache Worker",
    "DeleteCache",
    "Create Map Cache",
    IMPORT_TASK,
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
    "CachingToolsEx": (_TOOL_TASKS, ASYNCHRONOUS),
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


def runs_task(service: str, task: str) -> bool:
    """Whether a geoprocessing service has that task."""
    return task in tasks_of(service)


def root_json(site: Site, service: str) -> dict[str, Any]:
    """Return the root of a geoprocessing service."""
    data = {
        "currentVersion": site.version,
        "serviceDescription": f"The {service} service manages caches of map and image services.",
        "tasks": list(tasks_of(service)),
        "executionType": execution_of(service),
        "resultMapServerName": "",
        "maximumRecords": 1000,
    }
    if service.endswith("Ex"):
        return {**data, "cimVersion": "3.1.0", "capabilities": "null"}
    return {**data, "capabilities": "Uploads"} if takes_uploads(site, service) else data


def takes_uploads(site: Site, service: str) -> bool:
    """Whether files may be handed over to a geoprocessing service."""
    return site.tasks is not None and site.tasks.uploads and service == "CachingControllers"


def task_json(service: str, task: str, tasks: Tasks) -> dict[str, Any]:
    """Return a task with its parameters, under the names this site gives them."""
    parameters = parameters_of(task, tasks)
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


def parameters_of(task: str, tasks: Tasks) -> list[dict[str, Any]]:
    """Return the parameters of a task, under their canonical names.

    Of tasks that this stand-in does not run, those that every such task has.
    """
    return {
        TILES_TASK: _tile_parameters,
        STATUS_TASK: _status_parameters,
        EXPORT_TASK: _export_parameters,
        IMPORT_TASK: _import_parameters,
    }.get(task, _plain_parameters)(tasks)


def public_name(tasks: Tasks, name: str) -> str:
    """Return how this site calls a parameter that ArcGIS 10.8 calls ``name``."""
    return tasks.names.get(name, name)


def _plain_parameters(tasks: Tasks) -> list[dict[str, Any]]:
    return [_service_parameter(), _instances_parameter(), _output_parameter()]


def _tile_parameters(tasks: Tasks) -> list[dict[str, Any]]:
    mode = _parameter("update_mode", "GPString", "Update Mode", "Recreate All Tiles")
    return [
        _service_parameter(),
        _parameter("levels", "GPString", "Scales"),
        _instances_parameter(),
        {**mode, "choiceList": list(tasks.modes)},
        _parameter("constraining_extent", "GPString", "Update Extent", "DEFAULT", "Optional"),
        _parameter("jobid", "GPString", "Input Job ID", kind="Optional"),
        _area_parameter(),
        _output_parameter(),
    ]


def _export_parameters(tasks: Tasks) -> list[dict[str, Any]]:
    storage = _parameter("storage_format_type", "GPString", "Storage Format Type", "Compact")
    return [
        _service_parameter(),
        _parameter("target_cache", "GPString", "Target Cache Path", kind="Optional"),
        {**storage, "choiceList": ["EXPLODED", "COMPACT", "COMPACT_V2"]},
        _parameter("copy_data_from_server", "GPBoolean", "Copy data from server", False),
        _instances_parameter(),
        _parameter("tile_package", "GPBoolean", "Export cache type", False),
        _parameter("export_extent", "GPString", "Export Extent", "DEFAULT", "Optional"),
        _parameter("levels", "GPString", "Scales"),
        _replace_parameter(),
        _area_parameter(),
        _parameter("temp_output_path", "GPString", "Temporary output folder path", kind="Optional"),
        _parameter("export_options", "GPString", "Export Options", kind="Optional"),
        _output_parameter(),
    ]


def _import_parameters(tasks: Tasks) -> list[dict[str, Any]]:
    uploaded = _parameter("upload_item", "GPDataFile", "Source tile package", None, "Optional")
    return [
        _service_parameter(),
        _parameter(
            "target_cache",
            "GPString",
            "Target Cache Path",
            kind="Optional" if tasks.uploads else "Required",
        ),
        _instances_parameter("Optional"),
        _parameter("import_extent", "GPString", "Import Extent", "DEFAULT", "Optional"),
        _parameter("levels", "GPString", "Scales"),
        _replace_parameter(),
        _area_parameter(),
        *([uploaded] if tasks.uploads else []),
        _output_parameter(),
    ]


def _service_parameter() -> dict[str, Any]:
    return _parameter("service_url", "GPString", "Input Map Service or Image Service URL")


def _instances_parameter(kind: str = "Required") -> dict[str, Any]:
    name = "Number of caching service instances"
    return _parameter("thread_count", "GPLong", name, None, kind)


def _replace_parameter() -> dict[str, Any]:
    name = "Replace existing tiles"
    return _parameter("replace_existing_tiles", "GPBoolean", name, False, "Optional")


def _area_parameter() -> dict[str, Any]:
    return _parameter(
        "area_of_interest",
        "GPFeatureRecordSetLayer",
        "Area Of Interest (Polygon)",
        _EMPTY_AREA,
        "Optional",
    )


def _output_parameter() -> dict[str, Any]:
    return _parameter(OUTPUT, "GPString", "Output Map Service URL", kind="Derived")


def _status_parameters(tasks: Tasks) -> list[dict[str, Any]]:
    return [
        _service_parameter(),
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
