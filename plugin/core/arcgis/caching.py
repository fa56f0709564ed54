"""The caching task of a site: which parameters it has, and a form that asks for an update.

The tasks that export and import tiles have most of their parameters in common with it.

Task "Manage Map Cache Tiles" of `System/CachingControllers`, else of `System/CachingTools` or its
twin `CachingToolsEx`. Names were read from an ArcGIS Server 10.8.1's own task pages and are the
first guess only: what counts is what the task itself lists.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from ..errors import CachingUnavailable, EmptyArea, ModeNotOffered, Unavailable
from ..esri_json import (
    extent,
    extent_json,
    feature_set_area,
    feature_set_json,
    items,
    mapping,
)
from ..level_areas import Place
from ..request import UpdateMode, UpdateRequest
from ..site_update import TakeUp
from ..tiling import Extent, Level, TilingScheme
from .client import Client
from .gp_task import (
    Parameter,
    Role,
    Task,
    choice_of,
    find_task,
    names_of,
    parameter_of,
    read_task,
)

TASK_NAME = "Manage Map Cache Tiles"
TASK_SERVICES = ("System/CachingControllers", "System/CachingTools", "System/CachingToolsEx")
WHOLE_CACHE = "DEFAULT"

_SAME_PLACE = 1e-6
"""Part of a place's coordinates by which a site may have rounded them."""


class Input(Enum):
    """The parameters that we fill, of this task and of those that export and import."""

    SERVICE = "service"
    LEVELS = "levels"
    INSTANCES = "instances"
    MODE = "mode"
    EXTENT = "extent"
    AREA = "area"
    FOLDER = "folder"
    PACKAGE = "package"
    STORAGE = "storage"
    COPY = "copy"
    REPLACE = "replace"


SERVICE_ROLE = Role(("service_url", "input_service"), ("Input Map Service or Image Service URL",))
COMMON_ROLES: dict[Enum, Role] = {
    Input.SERVICE: SERVICE_ROLE,
    Input.LEVELS: Role(("levels", "scales"), ("Scales",)),
    Input.INSTANCES: Role(
        ("thread_count", "num_of_caching_service_instances"),
        ("Number of caching service instances",),
    ),
    Input.EXTENT: Role(
        ("constraining_extent", "update_extent", "export_extent", "import_extent"),
        ("Update Extent", "Export Extent", "Import Extent"),
    ),
    Input.AREA: Role(
        ("area_of_interest",), ("Area Of Interest (Polygon)",), "GPFeatureRecordSetLayer"
    ),
}
_ROLES = {**COMMON_ROLES, Input.MODE: Role(("update_mode",), ("Update Mode",))}
_JOB_ROLE = Role(("jobid", "job_id"), ("Input Job ID",))
_REQUIRED: frozenset[Enum] = frozenset({Input.SERVICE, Input.LEVELS, Input.MODE})


@dataclass(frozen=True)
class CachingTask:
    """The task at `url`: its parameter `names`, and its own word for each mode it offers.

    `take_ups`: its own word for each way to take up an earlier job, which `job_name` names.
    """

    url: str
    names: Mapping[Enum, str]
    modes: Mapping[UpdateMode, str]
    take_ups: Mapping[TakeUp, str] = field(default_factory=dict)
    job_name: str = ""


def find_caching_task(client: Client, site_url: str) -> CachingTask:
    """The caching task of the site at `site_url`. Raises CachingUnavailable, SiteUnreachable."""
    return _caching_task(find_task(client, site_url, TASK_SERVICES, TASK_NAME))


def caching_task_at(client: Client, url: str) -> CachingTask:
    """The caching task at `url`, known from before. Raises CachingUnavailable, SiteError."""
    return _caching_task(read_task(client, url))


def update_form(task: CachingTask, caching_name: str, request: UpdateRequest) -> dict[str, str]:
    """The form that asks `task` for `request` on the service called `caching_name`.

    Parameters that the task does not have are left out.

    Raises ModeNotOffered, EmptyArea, CachingUnavailable where the task cannot be told the area.
    """
    place = request.extent if request.area is None else request.area
    where = place_values(place, request.scheme, request.levels, task.names, task.url)
    if request.mode not in task.modes:
        raise ModeNotOffered(caching_name, request.mode.value)
    values: dict[Enum, str] = {
        Input.SERVICE: caching_name,
        Input.LEVELS: scales_text(request.levels),
        Input.INSTANCES: str(request.instances),
        Input.MODE: task.modes[request.mode],
        **where,
    }
    return {task.names[key]: value for key, value in values.items() if key in task.names}


def narrowed_form(
    task: CachingTask,
    form: Mapping[str, str],
    scheme: TilingScheme,
    levels: tuple[Level, ...],
    place: Place,
) -> dict[str, str]:
    """`form`, which `update_form` made, for `levels` and `place` instead.

    Raises EmptyArea, CachingUnavailable where the task cannot be told the place.
    """
    where = place_values(place, scheme, levels, task.names, task.url)
    values = {Input.LEVELS: scales_text(levels), **where}
    return {**form, **{task.names[key]: text for key, text in values.items() if key in task.names}}


def place_asked(task: CachingTask, form: Mapping[str, str]) -> Place:
    """The place in `form`, which `update_form` made; None: the whole cache. Raises ValueError."""
    area = form.get(task.names.get(Input.AREA, ""))
    if area is not None:
        polygons = feature_set_area(json.loads(area))
        if polygons is None:
            raise ValueError(area)
        return polygons
    rectangle = form.get(task.names.get(Input.EXTENT, ""), WHOLE_CACHE)
    if rectangle == WHOLE_CACHE:
        return None
    found = extent(json.loads(rectangle))
    if found is None:
        raise ValueError(rectangle)
    return found


def may_be_same_place(one: str, other: str) -> bool:
    """Whether two values for an area, or an extent, can be the same; what is not read can."""
    first, second = _measures(one), _measures(other)
    if first is None or second is None:
        return True
    margin = _SAME_PLACE * max(map(abs, first), default=0.0)
    return len(first) == len(second) and all(abs(a - b) <= margin for a, b in zip(first, second))


def take_up_form(
    task: CachingTask, form: Mapping[str, str], how: TakeUp, job_id: str
) -> dict[str, str]:
    """`form`, which asked for job `job_id`, so that it asks to take that one up. Raises KeyError.

    KeyError: `task` offers no such thing.
    """
    return {**form, task.names[Input.MODE]: task.take_ups[how], task.job_name: job_id}


def place_values(
    place: Place,
    scheme: TilingScheme,
    levels: tuple[Level, ...],
    names: Mapping[Enum, str],
    task_url: str,
) -> dict[Enum, str]:
    """`place` as area and extent of a task whose parameters have these `names`.

    An extent goes as an area too: servers differ in how they read extents.
    Raises EmptyArea, CachingUnavailable where the task cannot be told the place.
    """
    if place is None:
        return {Input.EXTENT: WHOLE_CACHE}
    if isinstance(place, Extent):
        # the site takes it literally: what was rounding to us would be tiles to it
        area: BaseGeometry = box(*scheme.without_slivers(place, levels).bounds)
    else:
        area = place
    if area.is_empty:
        # a feature set without features means the whole cache
        raise EmptyArea()
    if Input.AREA in names:
        return {
            Input.EXTENT: WHOLE_CACHE,
            Input.AREA: json.dumps(feature_set_json(area, scheme.crs)),
        }
    if isinstance(place, Extent) and Input.EXTENT in names:
        return {Input.EXTENT: json.dumps(extent_json(place, scheme.crs))}
    # an area's bounding box, or the whole cache, would be more than what was asked for
    raise CachingUnavailable(task_url, Unavailable.UNKNOWN_TASK, _ROLES[Input.AREA].names[0])


def _measures(value: str) -> tuple[float, ...] | None:
    """Bounds of the place in `value`, and the side of a square as large; () for the whole cache.

    None where it cannot be read.
    """
    if value in ("", WHOLE_CACHE):
        return ()
    try:
        body = mapping(json.loads(value))
    except (ValueError, RecursionError):
        return None
    if "features" in body and not items(body["features"]):
        return ()
    place = extent(body) or feature_set_area(body)
    if place is None:
        return None
    area = box(*place.bounds).area if isinstance(place, Extent) else place.area
    return (*place.bounds, math.sqrt(area))


def scales_text(levels: Iterable[Level]) -> str:
    """`levels` as the tasks take them: scales, joined by `;`."""
    return ";".join(_scale_text(level) for level in levels)


def _caching_task(task: Task) -> CachingTask:
    mode = parameter_of(task, _ROLES[Input.MODE])
    names = names_of(task, _ROLES, _REQUIRED)
    job = parameter_of(task, _JOB_ROLE)
    if job is None:
        return CachingTask(task.url, names, _modes(mode))
    return CachingTask(task.url, names, _modes(mode), _take_ups(mode), job.name)


def _take_ups(parameter: Parameter | None) -> dict[TakeUp, str]:
    """The task's own word for each take-up that it lists; one that lists nothing offers none."""
    choices = () if parameter is None else parameter.choices
    found = ((how, choice_of(choices, how.value)) for how in TakeUp)
    return {how: choice for how, choice in found if choice is not None}


def _modes(parameter: Parameter | None) -> dict[UpdateMode, str]:
    """The task's own word for each mode it offers; a task without a choice list takes them all."""
    if parameter is None or not parameter.choices:
        return {mode: mode.value for mode in UpdateMode}
    choices = ((mode, choice_of(parameter.choices, mode.value)) for mode in UpdateMode)
    return {mode: choice for mode, choice in choices if choice is not None}


def _scale_text(level: Level) -> str:
    """A denominator without an exponent and without digits that say nothing."""
    return f"{level.scale:.6f}".rstrip("0").rstrip(".")
