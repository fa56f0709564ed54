"""``/__control/<site>/<action>``: what tests and the demo may change and look at.

Every action takes a JSON object and answers one; ``handle.RunningSite`` words them in Python.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from .bundles import read_cache
from .export_jobs import SPOILS
from .faults import Fault
from .job_plan import service_named
from .portals import items
from .profiles import TILES_TASK
from .schemes import by_resolution
from .state import SiteState

Values = dict[str, Any]
_FAULT_VALUES: dict[str, type] = {
    "code": int,
    "message": str,
    "after": int,
    "seconds": float,
    "skip": int,
    "location": str,
    "body": str,
    "content_type": str,
    "retry_after": str,
}


class UnknownAction(LookupError):
    """There is no such action."""


def act(state: SiteState, action: str, values: Values) -> Values:
    """Do what is asked for and return what there is to tell.

    Raises:
        UnknownAction: no such action.
        KeyError, ValueError: a value is missing or wrong.
    """
    if action not in _ACTIONS:
        raise UnknownAction(action)
    return _ACTIONS[action](state, values) or {}


def _several(state: SiteState, values: Values) -> Values:
    """Do one action after the other, and tell what each tells."""
    return {"answers": [act(state, action, more) for action, more in values["actions"]]}


def _reset(state: SiteState, values: Values) -> None:
    state.reset()


def _revision(state: SiteState, values: Values) -> None:
    state.revision = int(values["revision"])


def _speed(state: SiteState, values: Values) -> None:
    rate = values["tiles_per_second"]
    state.tiles_per_second = None if rate is None else float(rate)


def _pause_after(state: SiteState, values: Values) -> None:
    state.jobs.pause_after(int(values["tiles"]))


def _release(state: SiteState, values: Values) -> None:
    state.jobs.release()


def _fail_next(state: SiteState, values: Values) -> None:
    state.jobs.fail_next(str(values["message"]), int(values.get("after", 0)))


def _expire_tokens(state: SiteState, values: Values) -> None:
    state.tokens.expire_all()


def _token_lifetime(state: SiteState, values: Values) -> None:
    state.tokens.lifetime = float(values["seconds"])


def _fault(state: SiteState, values: Values) -> None:
    state.faults.add(
        Fault(
            pattern=str(values["pattern"]),
            count=int(values.get("count", 1)),
            kind=str(values["kind"]),
            **{name: kind(values[name]) for name, kind in _FAULT_VALUES.items() if name in values},
        )
    )


def _clear_faults(state: SiteState, values: Values) -> None:
    state.faults.clear()


def _forget_jobs(state: SiteState, values: Values) -> None:
    state.jobs.clear()


def _restart(state: SiteState, values: Values) -> None:
    """Forget what is kept in memory, and be away for so many requests."""
    state.jobs.clear()
    state.tokens.expire_all()
    if int(values["away"]) > 0:
        state.faults.add(Fault(".", int(values["away"]), "status", code=503))


def _struck(state: SiteState, values: Values) -> Values:
    return {"struck": list(state.faults.struck.elements())}


def _clock_skew(state: SiteState, values: Values) -> None:
    state.tokens.clock_skew = float(values["seconds"])


def _heard_urls(state: SiteState, values: Values) -> Values:
    with state.lock:
        return {"urls": list(state.heard)}


def _issued_tokens(state: SiteState, values: Values) -> Values:
    return {"tokens": list(state.tokens.given)}


def _fill(state: SiteState, values: Values) -> Values:
    """Run a caching job to its end, as a publisher at the server might."""
    service = service_named(state, str(values["service"]))
    if service is None or service.scheme is None:
        raise ValueError(f"no cached service {values['service']}")
    lods = [service.scheme.lod(int(level)) for level in values["levels"]]
    form = {
        "service_url": service.task_name,
        "levels": ";".join(repr(lod.scale) for lod in lods if lod is not None),
        "thread_count": "-1",
        "update_mode": str(values.get("mode", "RECREATE_ALL_TILES")),
        "constraining_extent": str(values.get("extent", "DEFAULT")),
        "area_of_interest": str(values.get("area", "")),
    }
    job = state.jobs.submit(TILES_TASK, form)
    job.join()
    return {
        "jobStatus": job.status,
        "created": job.created,
        "replaced": job.replaced,
        "deleted": job.deleted,
        "messages": [message["description"] for message in job.messages],
    }


def _export_limit(state: SiteState, values: Values) -> None:
    state.change_service(str(values["service"]), max_export_tiles=int(values["tiles"]))


def _export_allowed(state: SiteState, values: Values) -> None:
    state.change_service(str(values["service"]), export_allowed=bool(values["allowed"]))


def _spoil_next_package(state: SiteState, values: Values) -> None:
    how = str(values["how"])
    if how not in SPOILS:
        raise ValueError(f"unknown spoil {how!r}; known are {', '.join(SPOILS)}")
    with state.lock:
        state.spoils.append(how)


def _republish(state: SiteState, values: Values) -> None:
    """Give a service another tiling scheme, as a publisher might while others use it."""
    service = service_named(state, str(values["service"]))
    if service is None or service.scheme is None:
        raise ValueError(f"no cached service {values['service']}")
    scheme = service.scheme
    changes: Values = {}
    if "origin" in values:
        x, y = values["origin"]
        changes["origin"] = (float(x), float(y))
    if "tile_size" in values:
        changes["tile_size"] = int(values["tile_size"])
    if "resolutions" in values:
        changes["lods"] = by_resolution(
            scheme.reference,
            scheme.origin,
            scheme.tile_size,
            {number: float(value) for number, value in enumerate(values["resolutions"])},
        ).lods
    if not changes and not {"levels", "tile_format"} & values.keys():
        raise ValueError("nothing of the service changes")
    scheme = dataclasses.replace(scheme, **changes)
    first, last = values.get("levels", service.levels)
    ids = [lod.level for lod in scheme.lods]
    state.change_service(
        service.task_name,
        scheme=scheme,
        levels=(max(min(ids), int(first)), min(max(ids), int(last))),
        tile_format=str(values.get("tile_format", service.tile_format)),
    )


def _jobs(state: SiteState, values: Values) -> Values:
    return {
        "jobs": [
            {
                "jobId": job.job_id,
                "jobStatus": job.status,
                "paused": job.paused,
                "done": job.done,
                "total": job.total,
                "failed": job.failed_bundles,
            }
            for job in state.jobs.all()
        ]
    }


def _submissions(state: SiteState, values: Values) -> Values:
    with state.lock:
        return {"submissions": list(state.submissions)}


def _requests(state: SiteState, values: Values) -> Values:
    with state.lock:
        return {"requests": dict(state.requests)}


def _fail_bundles(state: SiteState, values: Values) -> None:
    """Let bundles of a level fail from now on; an empty list mends them."""
    service = service_named(state, str(values["service"]))
    if service is None:
        raise ValueError(f"no service {values['service']}")
    bundles = frozenset((int(row), int(col)) for row, col in values["bundles"])
    state.failing[service.task_name, int(values["level"])] = bundles
    state.failing_stops = bool(values.get("stops", True))


def _stall(state: SiteState, values: Values) -> None:
    state.jobs.stall(int(values["after"]), float(values["seconds"]))


def _items(state: SiteState, values: Values) -> Values:
    return {"items": items(state)}


def _add_items(state: SiteState, values: Values) -> None:
    with state.lock:
        state.more_items += [dict(item) for item in values["items"]]


def _exchange(state: SiteState, values: Values) -> None:
    state.exchanges = bool(values["allowed"])


def _portal_tokens(state: SiteState, values: Values) -> None:
    state.portal_tokens = bool(values["taken"])


def _cache(state: SiteState, values: Values) -> Values:
    service = service_named(state, str(values["service"]))
    if service is None:
        raise ValueError(f"no service {values['service']}")
    return {
        "levels": {
            str(level): [
                [row, col, stored.size, stored.offset, stored.sha1]
                for (row, col), stored in sorted(tiles.items())
            ]
            for level, tiles in read_cache(state.cache_folder(service)).items()
        }
    }


_ACTIONS: dict[str, Callable[[SiteState, Values], Values | None]] = {
    "several": _several,
    "reset": _reset,
    "revision": _revision,
    "speed": _speed,
    "pause_after": _pause_after,
    "release": _release,
    "fail_next": _fail_next,
    "expire_tokens": _expire_tokens,
    "token_lifetime": _token_lifetime,
    "fault": _fault,
    "clear_faults": _clear_faults,
    "forget_jobs": _forget_jobs,
    "restart": _restart,
    "clock_skew": _clock_skew,
    "struck": _struck,
    "heard_urls": _heard_urls,
    "issued_tokens": _issued_tokens,
    "fill": _fill,
    "export_limit": _export_limit,
    "export_allowed": _export_allowed,
    "spoil_next_package": _spoil_next_package,
    "republish": _republish,
    "jobs": _jobs,
    "submissions": _submissions,
    "requests": _requests,
    "fail_bundles": _fail_bundles,
    "stall": _stall,
    "items": _items,
    "add_items": _add_items,
    "exchange": _exchange,
    "portal_tokens": _portal_tokens,
    "cache": _cache,
}
