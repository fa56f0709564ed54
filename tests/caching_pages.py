"""The caching task's pages as a site answers them, for tests that script a site."""

from __future__ import annotations

from typing import Any

GP = "/rest/services/System"
TASK = "Manage%20Map%20Cache%20Tiles"
ALL_MODES = ["RECREATE_EMPTY_TILES", "RECREATE_ALL_TILES", "DELETE_TILES", "FIX_JOB"]


def parameter(name: str, display: str = "", kind: str = "GPString", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "displayName": display,
        "dataType": kind,
        "direction": "esriGPParameterDirectionInput",
        **more,
    }


# as ArcGIS Server 10.8.1 lists them
USUAL = [
    parameter("service_url", "Input Map Service or Image Service URL"),
    parameter("levels", "Scales"),
    parameter("thread_count", "Number of caching service instances", "GPLong"),
    parameter("update_mode", "Update Mode", choiceList=ALL_MODES),
    parameter("constraining_extent", "Update Extent"),
    parameter("jobid", "Input Job ID"),
    parameter("area_of_interest", "Area Of Interest (Polygon)", "GPFeatureRecordSetLayer"),
    parameter("out_service_url", direction="esriGPParameterDirectionOutput"),
]


def without(*names: str) -> list[dict[str, Any]]:
    return [item for item in USUAL if item["name"] not in names]


def pages(parameters: list[dict[str, Any]], service: str = "CachingControllers") -> dict[str, Any]:
    root = f"{GP}/{service}/GPServer"
    return {
        root: {"tasks": ["Export Cache", "Manage Map Cache Tiles"]},
        f"{root}/{TASK}": {"parameters": parameters},
    }
