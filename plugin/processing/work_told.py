"""How much there is to do, told before it begins: nobody asks a script whether it is meant."""

from __future__ import annotations

from qgis.core import QgsProcessingFeedback

from ..core.description import CacheDescription
from ..core.level_areas import Areas, by_area
from ..core.local.space import USUAL_TILE
from ..core.planned import TileCount, touched_tiles
from ..core.request import UpdateMode
from ..core.schemes import area_of
from ..core.tiling import Level
from ..host import messages


def tell_work(
    description: CacheDescription,
    levels: tuple[Level, ...],
    areas: Areas,
    feedback: QgsProcessingFeedback,
    *,
    mode: UpdateMode = UpdateMode.RECREATE_ALL,
    is_stored_here: bool = True,
    count: TileCount = touched_tiles,
) -> None:
    """Say how many tiles of the cache the areas touch; warn where they are very many.

    `is_stored_here`: on this computer, whose disk they fill. `count`: how they are counted.
    """
    tiles = 0
    for wanted, place in by_area(areas, levels):
        if place is None and description.extent is None:
            if not description.is_local:
                return
            place = area_of(description.scheme)
        tiles += sum(count(description, wanted, place).values())
    size = tiles * USUAL_TILE if is_stored_here else None
    text = messages.work_sentence(tiles, len(levels), mode, size)
    tell = feedback.pushWarning if messages.are_very_many(tiles) else feedback.pushInfo
    tell(text)
