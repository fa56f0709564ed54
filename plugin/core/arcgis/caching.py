"""The caching task of a site: which parameters it has, and a form that asks for an update.

Task "Manage Map Cache Tiles" of `System/CachingControllers`, else of `System/CachingTools` or its
twin `CachingToolsEx`. Names were read from an ArcGIS Server 10.8.1's own task pages and are the
first guess only: what counts is what the task itself lists.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from shapely.geometry import box

from ..errors import CachingUnavailable, EmptyArea, ModeNotOffered, Unavailable
from ..esri_json import extent_json, feature_set_json
from ..request import UpdateMode, UpdateRequest
from ..tiling import Level
from .client import Client
from .gp_task import Parameter, Role, choice_of, find_task, names_of, parameter_of

TASK_NAME = "Manage Map Cache Tiles"
TASK_SERVICES = ("System/CachingControllers", "System/CachingTools", "System/CachingToolsEx")
WHOLE_CACHE = "DEFAULT"


class Input(Enum):
    """The parameters of the task that we fill."""

    SERVICE = "service"
    LEVELS = "levels"
    INSTANCES = "instances"
    MODE = "mode"
    EXTENT = "extent"
    AREA = "area"


SERVICE_ROLE = Role(("service_url", "input_service"), ("Input Map Service or Image Service URL",))
_ROLES: dict[Enum, Role] = {
    Input.SERVICE: SERVICE_ROLE,
    Input.LEVELS: Role(("levels", "scales"), ("Scales",)),
    Input.INSTANCES: Role(
        ("thread_count", "num_of_caching_service_instances"),
        ("Number of caching service instances",),
    ),
    Input.MODE: Role(("update_mode",), ("Update Mode",)),
    Input.EXTENT: Role(("constraining_extent", "update_extent"), ("Update Extent",)),
    Input.AREA: Role(
        ("area_of_interest",), ("Area Of Interest (Polygon)",), "GPFeatureRecordSetLayer"
    ),
}
_REQUIRED: frozenset[Enum] = frozenset({Input.SERVICE, Input.LEVELS, Input.MODE})


@dataclass(frozen=True)
class CachingTask:
    """The task at `url`: its parameter `names`, and its own word for each mode it offers."""

    url: str
    names: Mapping[Enum, str]
    modes: Mapping[UpdateMode, str]


def find_caching_task(client: Client, site_url: str) -> CachingTask:
    """The caching task of the site at `site_url`. Raises CachingUnavailable, SiteUnreachable."""
    task = find_task(client, site_url, TASK_SERVICES, TASK_NAME)
    names = names_of(task, _ROLES, _REQUIRED)
    return CachingTask(task.url, names, _modes(parameter_of(task, _ROLES[Input.MODE])))


def update_form(task: CachingTask, caching_name: str, request: UpdateRequest) -> dict[str, str]:
    """The form that asks `task` for `request` on the service called `caching_name`.

    Parameters that the task does not have are left out.

    Raises ModeNotOffered, EmptyArea, CachingUnavailable where the task cannot be told the area.
    """
    if request.area is not None and request.area.is_empty:
        # a feature set without features means the whole cache
        raise EmptyArea()
    if request.mode not in task.modes:
        raise ModeNotOffered(caching_name, request.mode.value)
    values: dict[Enum, str] = {
        Input.SERVICE: caching_name,
        Input.LEVELS: ";".join(_scale_text(level) for level in request.levels),
        Input.INSTANCES: str(request.instances),
        Input.MODE: task.modes[request.mode],
        **_where(request, task),
    }
    return {task.names[key]: value for key, value in values.items() if key in task.names}


def _where(request: UpdateRequest, task: CachingTask) -> dict[Enum, str]:
    """Area and extent. An extent goes as an area too: servers differ in how they read extents."""
    area, extent, crs = request.area, request.extent, request.scheme.crs
    if area is None and extent is None:
        return {Input.EXTENT: WHOLE_CACHE}
    if Input.AREA in task.names:
        if area is None and extent is not None:
            # the site takes it literally: what was rounding to us would be tiles to it
            area = box(*request.scheme.without_slivers(extent, request.levels).bounds)
        return {Input.EXTENT: WHOLE_CACHE, Input.AREA: json.dumps(feature_set_json(area, crs))}
    if area is None and extent is not None and Input.EXTENT in task.names:
        return {Input.EXTENT: json.dumps(extent_json(extent, crs))}
    # an area's bounding box, or the whole cache, would be more than what was asked for
    raise CachingUnavailable(task.url, Unavailable.UNKNOWN_TASK, _ROLES[Input.AREA].names[0])


def _modes(parameter: Parameter | None) -> dict[UpdateMode, str]:
    """The task's own word for each mode it offers; a task without a choice list takes them all."""
    if parameter is None or not parameter.choices:
        return {mode: mode.value for mode in UpdateMode}
    choices = ((mode, choice_of(parameter.choices, mode.value)) for mode in UpdateMode)
    return {mode: choice for mode, choice in choices if choice is not None}


def _scale_text(level: Level) -> str:
    """A denominator without an exponent and without digits that say nothing."""
    return f"{level.scale:.6f}".rstrip("0").rstrip(".")
