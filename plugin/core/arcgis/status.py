"""How full each level of a cache is: ReportCacheStatus of `System/ReportingTools`.

Its percentages and counts are against the full extent of the service, and tiles that were made on
demand or copied in by hand are not counted (ArcGIS Enterprise help, "View cache status").
"""

from __future__ import annotations

import json
from typing import Any

from ..description import LevelStatus
from ..errors import CachingUnavailable, SiteRefused
from ..esri_json import items, mapping, text, whole
from .caching import SERVICE_ROLE
from .client import Client
from .gp_task import find_task, parameter_of

_TASK_SERVICES = ("System/ReportingTools",)
_TASK_NAME = "ReportCacheStatus"
READ_SECONDS = 15.0
"""The status is good to know, and not worth holding up an update for."""


class StatusReporter:
    """Asks the site at `site_url` about the cache called `caching_name`."""

    def __init__(self, client: Client, site_url: str, caching_name: str) -> None:
        self._client, self._caching_name = client, caching_name
        task = find_task(client, site_url, _TASK_SERVICES, _TASK_NAME)
        service = parameter_of(task, SERVICE_ROLE)
        self._url = f"{task.url}/execute"
        self._service_parameter = service.name if service else SERVICE_ROLE.names[0]

    def read(self) -> tuple[LevelStatus, ...]:
        """The levels' status now. Raises SiteError."""
        form = {self._service_parameter: self._caching_name}
        return parse_status(self._client.submit(self._url, form, read_seconds=READ_SECONDS))


def parse_status(body: dict[str, Any]) -> tuple[LevelStatus, ...]:
    """The status in `body`, the answer of `execute`; its value may be an object or JSON text."""
    for result in map(mapping, items(body.get("results"))):
        levels = parse_status_value(result.get("value"))
        if levels:
            return levels
    return ()


def parse_status_value(value: object) -> tuple[LevelStatus, ...]:
    """The status in `value`, e.g. `{"lodInfos": [{"levelID", "tileCount", ...}]}`."""
    if isinstance(value, str):
        try:
            value = json.loads(text(value))
        except ValueError:
            return ()
    levels = []
    for lod in map(mapping, items(mapping(value).get("lodInfos"))):
        level_id, tiles = whole(lod.get("levelID")), whole(lod.get("tileCount"))
        if level_id is not None and tiles is not None:
            expected, size = whole(lod.get("expectedTileCount")), whole(lod.get("tilesSize"))
            levels.append(LevelStatus(level_id, tiles, expected, size))
    return tuple(levels)


def open_reporter(client: Client, site_url: str, caching_name: str) -> StatusReporter | None:
    """A reporter; None where the site has none or does not let us ask. Raises SiteUnreachable."""
    try:
        return StatusReporter(client, site_url, caching_name)
    except (CachingUnavailable, SiteRefused):
        return None
