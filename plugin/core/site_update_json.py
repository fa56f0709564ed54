"""An update on a site as JSON, as the record of jobs keeps it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from .esri_json import JsonObject, items, mapping, number, text
from .request import ALARM_SECONDS, FailedPlace, UpdateMode
from .site_update import PartState, SiteUpdate, UpdatePart
from .tiling import Level

UNREADABLE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What reading JSON that somebody else wrote can raise."""


def update_json(update: SiteUpdate) -> dict[str, Any]:
    """`update` as a JSON object; its URLs without query."""
    return {
        "key": update.key,
        "address": _plain(update.address),
        "name": update.name,
        "mode": update.mode.value,
        "levels": [_level_json(level) for level in update.levels],
        "submit_url": _plain(update.submit_url),
        "parts": [_part_json(part) for part in update.parts],
        "started": update.started,
        "changed": update.changed,
        "is_hosted": update.is_hosted,
        "percent": update.percent,
        "before": _counts_json(update.before),
        "isolates_failures": update.isolates_failures,
        "alarm_seconds": update.alarm_seconds,
        "failed_places": [_place_json(place) for place in update.failed_places],
        "output_url": _plain(update.output_url),
        "portal_url": _plain(update.portal_url),
    }


def read_update(body: JsonObject) -> SiteUpdate:
    """The update that `update_json` wrote. Raises one of UNREADABLE where it did not."""
    levels = tuple(_level(each) for each in body["levels"])
    alarm = number(body.get("alarm_seconds"))
    return SiteUpdate(
        key=_text(body["key"]),
        address=_url(body["address"]),
        name=_text(body["name"]),
        mode=UpdateMode(body["mode"]),
        levels=levels,
        submit_url=_url(body["submit_url"]),
        parts=tuple(_part(each) for each in body["parts"]),
        started=_number(body["started"]),
        changed=_number(body["changed"]),
        is_hosted=body["is_hosted"] is True,
        percent=number(body.get("percent")),
        before=_counts(body.get("before")),
        isolates_failures=body.get("isolates_failures") is True,
        alarm_seconds=ALARM_SECONDS if alarm is None else alarm,
        failed_places=tuple(_place(each) for each in items(body.get("failed_places"))),
        output_url=text(body.get("output_url")),
        portal_url=text(body.get("portal_url")),
    )


def _part_json(part: UpdatePart) -> dict[str, Any]:
    return {
        "levels": list(part.level_ids),
        "form": dict(part.form),
        "planned": _counts_json(part.planned),
        "state": part.state.value,
        "job_url": _plain(part.job_url),
        "detail": part.detail,
        "asked_at": part.asked_at,
        "is_split": part.is_split,
        "others": None if part.others is None else [_plain(url) for url in part.others],
        "earlier_jobs": [_plain(url) for url in part.earlier_jobs],
        "is_rest_unknown": part.is_rest_unknown,
    }


def _part(body: JsonObject) -> UpdatePart:
    return UpdatePart(
        level_ids=tuple(int(each) for each in body["levels"]),
        form={_text(key): _text(value) for key, value in body["form"].items()},
        planned=_counts(body.get("planned")),
        state=PartState(body["state"]),
        job_url=_url(body["job_url"]) if body["job_url"] else "",
        detail=text(body.get("detail")),
        asked_at=number(body.get("asked_at")) or 0.0,
        is_split=body.get("is_split") is True,
        others=_urls(body.get("others")),
        earlier_jobs=_urls(body.get("earlier_jobs")) or (),
        is_rest_unknown=body.get("is_rest_unknown") is True,
    )


def _level_json(level: Level) -> dict[str, Any]:
    return {"id": level.id, "resolution": level.resolution, "scale": level.scale}


def _level(body: JsonObject) -> Level:
    return Level(int(body["id"]), _number(body["resolution"]), _number(body["scale"]))


def _place_json(place: FailedPlace) -> dict[str, Any]:
    rows, cols = [place.first_row, place.last_row], [place.first_col, place.last_col]
    return {
        "level": _level_json(place.level),
        "rows": rows,
        "cols": cols,
        "message": place.message,
    }


def _place(body: JsonObject) -> FailedPlace:
    (first_row, last_row), (first_col, last_col) = body["rows"], body["cols"]
    return FailedPlace(
        _level(body["level"]),
        int(first_row),
        int(last_row),
        int(first_col),
        int(last_col),
        text(body.get("message")),
    )


def _counts_json(counts: Any) -> dict[str, int]:
    return {str(level_id): tiles for level_id, tiles in counts.items()}


def _counts(value: object) -> dict[int, int]:
    return {int(level_id): int(tiles) for level_id, tiles in mapping(value).items()}


def _number(value: object) -> float:
    found = number(value)
    if found is None:
        raise ValueError(value)
    return found


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _url(value: object) -> str:
    """A URL that a site could be asked for. Raises ValueError."""
    url = _text(value)
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(url)
    return url


def _urls(value: object) -> tuple[str, ...] | None:
    return tuple(_url(each) for each in value) if isinstance(value, list) else None


def _plain(url: str) -> str:
    return url.split("?")[0].split("#")[0]
