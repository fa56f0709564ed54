"""Answers of a site that means no good: what was recorded, with one value at a time made odd."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any
from urllib.parse import urlsplit

from tile_cache_manager.plugin.core.arcgis.transport import HttpRequest, HttpResponse, Transport

LONG = "x" * 200_000
ODD: tuple[Any, ...] = (
    float("nan"),
    float("inf"),
    -float("inf"),
    10**400,
    -(10**30),
    1e308,
    0,
    -1,
    2**31,
    0.5,
    True,
    None,
    "",
    "12",
    "NaN",
    "a text",
    LONG,
    "..",
    "../../../admin",
    "%2e%2e%2f%2e%2e%2f",
    "a\x00b\r\nX-Header: c",
    "<img src=x onerror=alert(1)><b>bold</b>",
    "https://elsewhere.example/steal?token=",
    "//elsewhere.example/x",
    "file:///etc/passwd",
    "\u202egnp.exe\ud800",
    [],
    {},
    [None, 7, "x", [[]]],
    {"a": {"b": {"c": []}}},
    [{}] * 3000,
)
"""Values that no site should send in the place of another."""

Path = tuple[Any, ...]


def paths_in(value: Any, at: Path = ()) -> Iterator[Path]:
    """Where values stand in some JSON: all of them, lists only by their first and last items."""
    yield at
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths_in(item, (*at, key))
    elif isinstance(value, list):
        for place in sorted({0, len(value) - 1} & set(range(len(value)))):
            yield from paths_in(value[place], (*at, place))


def with_value(body: Any, at: Path, value: Any) -> Any:
    """`body` with another value at a place."""
    if not at:
        return value
    body = copy.deepcopy(body)
    inside = body
    for step in at[:-1]:
        inside = inside[step]
    inside[at[-1]] = value
    return body


def odd_bodies(body: Any, seed: str, values_per_path: int) -> Iterator[tuple[str, str]]:
    """Odd bodies, each with what is odd about it: some values at every place, drawn by `seed`."""
    rng = random.Random(seed)
    for at in paths_in(body):
        for value in rng.sample(ODD, min(values_per_path, len(ODD))):
            told = json.dumps(value)
            yield f"{list(at)} = {told[:60]}", json.dumps(with_value(body, at, value))


class Recording:
    """Sends by another transport, and keeps what came: the bodies by path, in order."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.bodies: dict[str, list[bytes]] = {}

    def send(self, request: HttpRequest) -> HttpResponse:
        response = self._transport.send(request)
        self.bodies.setdefault(urlsplit(request.url).path, []).append(response.body)
        return response


class Replay:
    """Answers as it was recorded; the last body of a path stays. `odd`: one of them is other.

    `heard`: all URLs that were asked for.
    """

    def __init__(
        self, bodies: Mapping[str, list[bytes]], odd: tuple[str, int, str] | None = None
    ) -> None:
        self._bodies = bodies
        self._odd = odd
        self._times: dict[str, int] = {}
        self.heard: list[str] = []

    def send(self, request: HttpRequest) -> HttpResponse:
        self.heard.append(request.url)
        path = urlsplit(request.url).path
        known = self._bodies.get(path)
        if known is None:
            body = b'{"error": {"code": 404, "message": "Not found.", "details": []}}'
            return HttpResponse(request.url, 200, {}, body)
        time = min(self._times.get(path, 0), len(known) - 1)
        self._times[path] = time + 1
        body = known[time]
        if self._odd is not None and self._odd[:2] == (path, time):
            body = self._odd[2].encode("utf-8", "surrogatepass")
        return HttpResponse(request.url, 200, {"content-type": "application/json"}, body)


def oddities_of(value: Any) -> list[str]:
    """What must not stand in a value that was read from a site, wherever it is in it."""
    return [f"{at}: {what}" for at, what in _oddities(value, type(value).__name__)]


def _oddities(value: Any, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, float) and not math.isfinite(value):
        yield at, str(value)
    elif isinstance(value, int) and abs(value) > 2**63:
        yield at, "a huge number"
    elif is_dataclass(value):
        for each in fields(value):
            yield from _oddities(getattr(value, each.name), f"{at}.{each.name}")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _oddities(item, f"{at}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for place, item in enumerate(value):
            yield from _oddities(item, f"{at}[{place}]")
