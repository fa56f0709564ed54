"""What is asked of a service, worked out: the tiles of its world, a target that is like it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..coverage import Area
from ..description import CacheDescription
from ..errors import EmptyArea, ServiceChanged
from ..level_areas import LevelArea, Place, by_area
from ..local.plan import AreaPlan, plan_of, world_of
from ..request import UpdateMode, UpdateRequest
from ..storage.profile import CacheProfile
from ..tiling import Level
from .request import ExportRequest


@dataclass(frozen=True)
class SitePlan:
    """An export of a service.

    `request`: with an area in place of "the whole cache", unless `like` tells where that is; what
    a cache with these tiles says of itself. `tiles`: what of the areas lies in the world, and how
    many tiles that is.
    """

    request: ExportRequest
    like: CacheProfile
    tiles: AreaPlan

    @property
    def level_areas(self) -> tuple[LevelArea, ...]:
        """The areas of `tiles`, those levels together that have it in common."""
        groups: dict[int, tuple[list[int], Area]] = {}
        for level in self.levels:
            area = self.tiles.areas[level.id]
            groups.setdefault(id(area), ([], area))[0].append(level.id)
        return tuple(LevelArea(tuple(ids), area) for ids, area in groups.values())

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels of which there are tiles in the world."""
        return tuple(level for level in self.tiles.levels if level.id in self.tiles.areas)


def plan_export(request: ExportRequest, description: CacheDescription) -> SitePlan:
    """What `request` is for the service of `description`.

    Raises ServiceChanged (it has another scheme by now), EmptyArea, AreaOutside, BadScheme.
    """
    if description.scheme != request.scheme:
        raise ServiceChanged(description.name)
    like = CacheProfile(
        scheme=description.scheme,
        storage=request.storage,
        image_format=description.image_format,
        compression_quality=description.compression_quality,
        cached_ids=tuple(level.id for level in request.levels),
        extent=description.extent,
        name=description.name.rpartition("/")[2],
        text=description.text,
    )
    areas = tuple(
        LevelArea(tuple(level.id for level in levels), _place(place, like))
        for levels, place in by_area(request.areas, request.levels)
    )
    request = replace(request, areas=areas)
    update = UpdateRequest.of(description, request.levels, UpdateMode.RECREATE_ALL, areas)
    return SitePlan(request, like, plan_of(update, like, description.name))


def _place(place: Place, like: CacheProfile) -> Place:
    """The area that is meant; None: all tiles in the extent, which cuts through none of them.

    Raises EmptyArea.
    """
    if place is not None or like.extent is not None:
        return place
    world = world_of(like)
    if world is None:
        raise EmptyArea()
    return world
