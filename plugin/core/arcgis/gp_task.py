"""Geoprocessing tasks: found by name, their parameters read from the task itself.

Source: Esri REST reference, "GP service" and "GP task". The strings in a GP service's `tasks` are
display names, and these are, URL-encoded, the path parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote

from ..errors import (
    CachingUnavailable,
    NotAllowed,
    NotArcGIS,
    SignInNeeded,
    SiteRefused,
    Unavailable,
)
from ..esri_json import JsonObject, items, mapping, text
from .address import services_url
from .client import Client


@dataclass(frozen=True)
class Parameter:
    """An input of a task. `choices`: the values it takes, empty where it takes any."""

    name: str
    display_name: str
    data_type: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """A geoprocessing task at `url`."""

    url: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True)
class Role:
    """What a parameter is for: the names and display names it is known by, in order of trust.

    `data_type`: as a last resort, the only parameter of that type.
    """

    names: tuple[str, ...]
    display_names: tuple[str, ...] = ()
    data_type: str = ""


def find_task(client: Client, site_url: str, services: tuple[str, ...], name: str) -> Task:
    """The task called `name` in the first of the GP `services` that has it and lets us see it.

    Raises CachingUnavailable where none does, NotArcGIS where that may be because something else
    than ArcGIS answered for one of them, SiteUnreachable.
    """
    reason = Unavailable.NO_TOOLS
    intruder: NotArcGIS | None = None
    for service in services:
        root_url = f"{services_url(site_url)}/{service}/GPServer"
        try:
            task_name = _listed_name(client.read(root_url), name)
            if task_name is not None:
                return read_task(client, f"{root_url}/{quote(task_name)}")
        except SignInNeeded:
            reason = Unavailable.SIGN_IN
        except NotAllowed:
            reason = Unavailable.NO_RIGHT
        except NotArcGIS as error:
            intruder = error
        except SiteRefused:
            # no such service, or one that is stopped: there may be another
            continue
    if intruder is not None:
        raise intruder
    raise CachingUnavailable(site_url, reason, name)


def read_task(client: Client, url: str) -> Task:
    """The task at `url`. Raises SiteError."""
    return Task(url, _inputs(client.read(url)))


def parameter_of(task: Task, role: Role) -> Parameter | None:
    """The parameter of `task` that plays `role`; None where there is none."""
    known = [*role.names, *role.display_names]
    for wanted in known:
        for parameter in task.parameters:
            if _plain(wanted) in (_plain(parameter.name), _plain(parameter.display_name)):
                return parameter
    typed = [
        item for item in task.parameters if role.data_type and item.data_type == role.data_type
    ]
    return typed[0] if len(typed) == 1 else None


def names_of(task: Task, roles: Mapping[Enum, Role], required: frozenset[Enum]) -> dict[Enum, str]:
    """The real parameter name of each of `roles` that `task` has.

    Raises CachingUnavailable where a `required` one is missing.
    """
    names = {}
    for key, role in roles.items():
        parameter = parameter_of(task, role)
        if parameter is not None:
            names[key] = parameter.name
        elif key in required:
            raise CachingUnavailable(task.url, Unavailable.UNKNOWN_TASK, role.names[0])
    return names


def choice_of(choices: tuple[str, ...], keyword: str) -> str | None:
    """`keyword` as the task spells it, e.g. "Recreate All Tiles" for RECREATE_ALL_TILES."""
    return next((choice for choice in choices if _plain(choice) == _plain(keyword)), None)


def _listed_name(root: JsonObject, name: str) -> str | None:
    """How the GP service's root spells the task `name`; None where it does not list it."""
    tasks = [text(item) for item in items(root.get("tasks"))]
    return next((item for item in tasks if _plain(item) == _plain(name)), None)


def _inputs(body: JsonObject) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(
            text(item.get("name")),
            text(item.get("displayName")),
            text(item.get("dataType")),
            tuple(text(choice) for choice in items(item.get("choiceList"))),
        )
        for item in map(mapping, items(body.get("parameters")))
        if text(item.get("name")) and item.get("direction") != "esriGPParameterDirectionOutput"
    )


def _plain(name: str) -> str:
    """A name without what a display name adds or changes: case, blanks, underscores."""
    return "".join(character for character in name.lower() if character.isalnum())
