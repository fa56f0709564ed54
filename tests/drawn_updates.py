"""Updates drawn at random, with what goes wrong on the way: the same for the same seed, always."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import Any

from arcgis_server.bundles import BUNDLE_SIDE as SIDE
from arcgis_server.profiles import Service
from shapely.affinity import scale, translate
from shapely.geometry import Polygon, box
from shapely.geometry.base import BaseGeometry

FOREVER = 1_000_000
MODES = ("RECREATE_EMPTY_TILES", "RECREATE_ALL_TILES", "DELETE_TILES")
SHAPES = (
    box(0, 0, 1, 1),
    Polygon([(0, 0), (1, 0.2), (0.4, 1)]),
    Polygon([(0, 0), (1, 0), (1, 1), (0.7, 1), (0.7, 0.3), (0.3, 0.3), (0.3, 1), (0, 1)]),
)
"""Outlines of areas, in the unit square: a rectangle, a triangle, a U."""

PLACES = (
    ("/jobs/[^/]+$", 8),
    ("(/submitJob|/updateTiles|/deleteTiles)$", 5),
    (".", 4),
    ("/(Map|Image)Server$", 3),
    ("/execute$", 3),
    ("/generateToken$", 2),
    ("/rest/info$", 1),
    ("/GPServer(/[^/]+)?$", 2),
    ("/cancel$", 2),
    ("/results/[^/]+$", 1),
)
"""Requests that a fault strikes, and how often each is drawn."""

LIST_OF_JOBS = "/admin/services/System/CachingControllers.GPServer/jobs/query"

Values = dict[str, Any]
SEEN_ODDITIES = (
    '{"error": null}',
    '{"error": {"code": "498", "message": null, "details": "none"}}',
    '{"error": {"code": 504, "message": "Gateway Timeout"}}',
    '{"jobId": 7, "jobStatus": ["esriJobExecuting"], "messages": {"a": 1}}',
    '{"jobStatus": "esriJobExecuting", "progress": {"percentage": NaN}}',
    '{"jobStatus": "esriJobExecuting", "progress": {"percentage": 1e999}, "messages": [1, null]}',
    '{"jobStatus": "esriJobNotInvented"}',
    '{"token": 12, "expires": "tomorrow"}',
    '{"token": "", "expires": -1}',
    '{"status": "error", "messages": null, "code": NaN}',
    "null",
    '"a text"',
    "{}",
)
"""Bodies that are JSON, and are not what was asked for."""

_KINDS: tuple[tuple[str, int], ...] = (
    ("html", 3),
    ("status", 6),
    ("busy", 4),
    ("error", 5),
    ("refused token", 4),
    ("text", 1),
    ("empty", 2),
    ("list", 1),
    ("deep", 1),
    ("odd", 5),
    ("circle", 2),
    ("login", 3),
    ("away", 4),
    ("drop", 4),
    ("truncate", 3),
    ("delay", 3),
    ("drip", 1),
    ("cut", 3),
    ("reset", 4),
    ("lost", 6),
    ("silence", 1),
    ("expire", 4),
    ("forget", 2),
    ("restart", 2),
    ("endless", 1),
)


@dataclass(frozen=True)
class DrawnFault:
    """One setting of the fault switchboard. `where`: "elsewhere" or "login" of a redirect."""

    pattern: str
    kind: str
    count: int
    values: Values = field(default_factory=dict)
    where: str = ""


@dataclass(frozen=True)
class Bundle:
    """A bundle of a level; row and column are counted in bundles."""

    level_id: int
    row: int
    col: int


@dataclass(frozen=True)
class Group:
    """Levels and the area that they have in common; None: the whole cache."""

    level_ids: tuple[int, ...]
    area: BaseGeometry | None


@dataclass(frozen=True)
class Draw:
    """An update. Counts of `..._after` are of the times that it asks whether it is to go on.

    `filled`: levels that are full before. `failure`: after so many tiles its first job fails on
    the site. `lifetime`: seconds that tokens live. `skew`: seconds by which the site's clock is
    wrong. `broken`: a bundle that the site cannot make; `stops`: its failure ends the job.
    `isolates`: what fails is to be found.
    """

    key: str
    number: int
    mode: str
    groups: tuple[Group, ...]
    wait: bool
    cancel_after: int | None
    let_go_after: int | None
    filled: tuple[int, ...]
    tiles_per_second: float | None
    failure: int | None
    lifetime: float | None
    skew: float
    faults: tuple[DrawnFault, ...]
    broken: Bundle | None = None
    stops: bool = True
    isolates: bool = False

    @property
    def seed(self) -> str:
        """What it is drawn from."""
        return f"{self.key}:{self.number}"

    @property
    def forgets(self) -> bool:
        """Whether the site loses jobs on the way."""
        return any(fault.kind == "forget" for fault in self.faults)

    @property
    def hides_jobs(self) -> bool:
        """Whether a fault can strike who asks the site for a list of its jobs."""
        return any(re.search(fault.pattern, LIST_OF_JOBS) for fault in self.faults)


def draw(
    key: str,
    number: int,
    service: Service,
    modes: tuple[str, ...],
    ids: tuple[int, ...],
    most_faults: int = 4,
) -> Draw:
    """Update `number` of a service of site `key`; some of the levels `ids` of it."""
    rng = random.Random(f"{key}:{number}")
    faults = tuple(fault for _ in range(rng.randint(0, most_faults)) for fault in _drawn_fault(rng))
    return Draw(
        key=key,
        number=number,
        mode=rng.choice(modes),
        groups=_groups(rng, ids, service),
        wait=rng.random() < 0.8,
        cancel_after=_sometimes(rng, 0.15, 0, 25),
        let_go_after=_sometimes(rng, 0.05, 0, 25),
        filled=tuple(level for level in ids if rng.random() < 0.4),
        tiles_per_second=rng.choice((None, None, 500.0, 200.0)),
        failure=_sometimes(rng, 0.07, 0, 30),
        lifetime=rng.choice((None, None, None, 1.0, 30.0, 65.0)),
        skew=rng.choice((0.0, 0.0, 0.0, -86400.0, -3600.0, 40.0, 3600.0)),
        faults=faults,
        broken=_bundle(rng, service, ids) if rng.random() < 0.12 else None,
        stops=rng.random() < 0.5,
        isolates=rng.random() < 0.6,
    )


def _bundle(rng: random.Random, service: Service, ids: tuple[int, ...]) -> Bundle:
    level_id = rng.choice(ids)
    lod = service.scheme.lod(level_id)
    row, col, end_row, end_col = service.scheme.range_of(lod, service.full_extent)
    rows, cols = (row // SIDE, (end_row - 1) // SIDE), (col // SIDE, (end_col - 1) // SIDE)
    return Bundle(level_id, rng.randint(*rows), rng.randint(*cols))


def _sometimes(rng: random.Random, share: float, least: int, most: int) -> int | None:
    number = rng.randint(least, most)
    return number if rng.random() < share else None


def _groups(rng: random.Random, ids: tuple[int, ...], service: Service) -> tuple[Group, ...]:
    chosen = [level for level in ids if rng.random() < 0.6] or [rng.choice(ids)]
    if len(chosen) > 1 and rng.random() < 0.3:
        middle = rng.randint(1, len(chosen) - 1)
        parts = [chosen[:middle], chosen[middle:]]
        return tuple(Group(tuple(part), _area(rng, service)) for part in parts)
    area = None if rng.random() < 0.3 else _area(rng, service)
    return (Group(tuple(chosen), area),)


def _area(rng: random.Random, service: Service) -> BaseGeometry:
    """An outline, anywhere within the full extent; no side of it ends on an edge of a tile."""
    xmin, ymin, xmax, ymax = service.full_extent
    width, height = (xmax - xmin) * rng.uniform(0.05, 0.6), (ymax - ymin) * rng.uniform(0.05, 0.6)
    x, y = rng.uniform(xmin, xmax - width), rng.uniform(ymin, ymax - height)
    shape = scale(rng.choice(SHAPES), width, height, origin=(0, 0))
    return translate(shape, x, y)


def _drawn_fault(rng: random.Random) -> list[DrawnFault]:
    pattern = _weighted(rng, PLACES)
    kind = _weighted(rng, _KINDS)
    count = FOREVER if rng.random() < 0.07 else rng.choice((1, 1, 1, 2, 3, 6))
    skip = rng.choice((0, 0, 0, 1, 2, 5))
    values: Values = {"skip": skip}
    if kind == "restart":
        away = {"skip": skip, "code": 503}
        return [
            DrawnFault("/jobs/", "forget", 1, {"skip": skip}),
            DrawnFault("/jobs/", "expire", 1, {"skip": skip}),
            DrawnFault("/jobs/", "status", rng.randint(1, 6), away),
        ]
    if kind in ("silence", "drip", "endless"):
        count = min(count, 2)
    if kind in ("expire", "forget"):
        count = 1
    return [_with_values(rng, pattern, kind, count, values)]


def _with_values(
    rng: random.Random, pattern: str, kind: str, count: int, values: Values
) -> DrawnFault:
    if kind == "status":
        values["code"] = rng.choice((400, 401, 403, 404, 408, 500, 502, 503, 504))
    elif kind == "busy":
        header = rng.choice(("0", "1", "120", "Wed, 21 Oct 2015 07:28:00 GMT", "soon", "-1"))
        kind, values = "status", {**values, "code": rng.choice((429, 503)), "retry_after": header}
    elif kind == "error":
        values["code"] = rng.choice((400, 403, 404, 429, 500, 503, 504))
    elif kind == "refused token":
        kind, values = "error", {**values, "code": rng.choice((498, 499)), "message": "Invalid."}
    elif kind == "odd":
        kind, values = "body", {**values, "body": rng.choice(SEEN_ODDITIES)}
    elif kind in ("circle", "login", "away"):
        where = {"circle": "", "login": "login", "away": "elsewhere"}[kind]
        values["code"] = rng.choice((301, 302, 303, 307, 308))
        return DrawnFault(pattern, "redirect", count, values, where)
    elif kind in ("cut", "reset"):
        values["after"] = rng.choice((0, 1, 40))
    elif kind == "delay":
        values["seconds"] = rng.choice((0.02, 0.1))
    elif kind == "drip":
        values["seconds"] = rng.choice((0.0005, 0.05))
    return DrawnFault(pattern, kind, count, values)


def _weighted(rng: random.Random, choices: tuple[tuple[str, int], ...]) -> str:
    return rng.choices([name for name, _ in choices], [weight for _, weight in choices])[0]
