"""What a caching job has to do: the form of the task, read and turned into lists of tiles."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .bundles import BUNDLE_SIDE, tiles_present
from .coverage import BadArea, Tile, TooManyTiles, area_of_request, check_size, tiles_of
from .profiles import Service
from .schemes import Lod

if TYPE_CHECKING:
    from .state import SiteState

_MODES = frozenset({"RECREATE_EMPTY_TILES", "RECREATE_ALL_TILES", "DELETE_TILES"})
RESUME, FIX, COMPLETE = "RESUME_JOB", "FIX_JOB", "COMPLETE_JOB"
TAKE_UPS = frozenset({RESUME, FIX, COMPLETE})
"""The modes that take an earlier job up: what it never tried, what failed in it, or both."""


class JobRefused(Exception):
    """The job fails; the text is what the site tells the client."""


@dataclass(frozen=True)
class LevelWork:
    """The tiles of one level that a job changes."""

    lod: Lod
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Plan:
    """A job's work, level by level in the order asked for."""

    service: Service
    mode: str
    levels: tuple[LevelWork, ...]

    @property
    def total(self) -> int:
        return sum(len(work.tiles) for work in self.levels)


def make_plan(state: SiteState, form: dict[str, str]) -> Plan:
    """Read the form of Manage Map Cache Tiles, canonical names given, and list the tiles.

    Raises:
        JobRefused: the service, a scale, the mode, the number of instances or the area is wrong.
    """
    service = cached_service(state, form.get("service_url", ""))
    mode = form.get("update_mode") or "RECREATE_ALL_TILES"
    if mode not in _MODES:
        raise JobRefused(f"ERROR: The update mode {mode} needs an earlier job of this site.")
    check_instances(form.get("thread_count", ""))
    lods = [
        lod_of_scale(service, text) for text in form.get("levels", "").split(";") if text.strip()
    ]
    if not lods:
        raise JobRefused("ERROR: No scales were given.")
    try:
        area = area_of_request(
            service, form.get("area_of_interest", ""), form.get("constraining_extent", "")
        )
        check_size(service, lods, area)
    except BadArea as error:
        raise JobRefused(f"ERROR: The area cannot be used: {error}.") from error
    except TooManyTiles as error:
        raise JobRefused(
            f"ERROR: Requested tile count({error.args[0]}) exceeds what this site makes at once."
        ) from error
    levels = []
    for lod in lods:
        covered = tiles_of(service, lod, area)
        present = tiles_present(state.cache_folder(service), lod.level)
        levels.append(LevelWork(lod, _changed(mode, covered, present)))
    return Plan(service, mode, tuple(levels))


@dataclass
class Progress:
    """How far a job and those that took it up have come: tiles and bundles by level id."""

    plan: Plan
    finished: set[tuple[int, Tile]]
    failed: set[tuple[int, Tile]]

    def rest(self, how: str) -> Plan:
        """Return what is left to do."""
        levels = tuple(
            LevelWork(
                work.lod,
                tuple(tile for tile in work.tiles if self._is_left(how, work.lod.level, tile)),
            )
            for work in self.plan.levels
        )
        return Plan(self.plan.service, self.plan.mode, levels)

    def _is_left(self, how: str, level: int, tile: Tile) -> bool:
        if (level, tile) in self.finished:
            return False
        has_failed = (level, bundle_of(tile)) in self.failed
        return how == COMPLETE or has_failed == (how == FIX)


def bundle_of(tile: Tile) -> Tile:
    """Return the row and column, counted in bundles, of the bundle of a tile."""
    return tile[0] // BUNDLE_SIDE, tile[1] // BUNDLE_SIDE


def service_named(state: SiteState, task_name: str) -> Service | None:
    """Return the service a task calls ``[Folder/]Name:Type``."""
    return state.service_named(task_name)


def cached_service(state: SiteState, task_name: str) -> Service:
    """Return the service that a task is to work on.

    Raises:
        JobRefused: there is none, or it has no cache.
    """
    service = service_named(state, task_name)
    if service is None:
        raise JobRefused(f"ERROR 001459: The service {task_name} was not found.")
    if not service.cached:
        raise JobRefused(f"ERROR 001470: The service {task_name} has no tile cache.")
    return service


def check_instances(text: str) -> None:
    """Raise JobRefused where the text is no number of caching instances."""
    try:
        number = int(text)
    except ValueError as error:
        raise JobRefused(f"ERROR: '{text}' is not a number of instances.") from error
    if number != -1 and number < 1:
        raise JobRefused(f"ERROR: {number} is not a number of instances.")


def lod_of_scale(service: Service, text: str) -> Lod:
    """Return the level of a scale.

    Raises:
        JobRefused: the text is no scale, or the scheme has no such level.
    """
    try:
        scale = float(text)
    except ValueError as error:
        raise JobRefused(f"ERROR: '{text}' is not a scale.") from error
    lod = service.scheme.lod_of_scale(scale) if service.scheme else None
    if lod is None:
        raise JobRefused(f"ERROR: The scale {text} is not in the tiling scheme of the service.")
    return lod


def _changed(mode: str, covered: Iterable[Tile], present: Container[Tile]) -> tuple[Tile, ...]:
    if mode == "RECREATE_EMPTY_TILES":
        return tuple(tile for tile in covered if tile not in present)
    if mode == "DELETE_TILES":
        return tuple(tile for tile in covered if tile in present)
    return tuple(covered)
