"""Whether the tiles of one cache are tiles of another: same grid, pictures of a format it takes."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import Differs
from ..schemes import MOST_PIXELS, area_of
from ..storage.profile import CacheProfile
from ..tiling import Level, TilingScheme

ORIGIN_SHIFT = 0.25
"""Pixels of the finest level that the origins of two schemes may differ by.

-20037508.342787 and -20037508.342789244 are published for the same origin."""

FARTHEST_SHIFT = 1.0
"""Pixels that two grids of the same level may be apart at their far end: less than that.

Resolutions are published with an error of up to `tiling.PUBLISHED_ROUNDING`."""

_PNG = frozenset({"PNG", "PNG8", "PNG24", "PNG32"})
_JPEG = frozenset({"JPEG", "JPG"})
_MIXED = frozenset({"MIXED"})


def differences(
    profile: CacheProfile, scheme: TilingScheme, image_format: str, levels: Iterable[Level]
) -> tuple[Differs, ...]:
    """In what the cache of `profile` is unlike tiles of `levels` of `scheme`; () where they fit.

    `image_format`: of these tiles, as in CacheProfile. CRS, origin and tile size have to be the
    same, each of the levels has to be one of the cache's, by resolution, whatever its id.
    """
    own, found = profile.scheme, []
    finest = min(
        (level.resolution for level in (*own.levels, *scheme.levels)), default=float("inf")
    )
    if not own.crs.same_as(scheme.crs):
        found.append(Differs.CRS)
    shift = max(abs(own.origin_x - scheme.origin_x), abs(own.origin_y - scheme.origin_y))
    if shift > ORIGIN_SHIFT * finest:
        found.append(Differs.ORIGIN)
    if (own.tile_width, own.tile_height) != (scheme.tile_width, scheme.tile_height):
        found.append(Differs.TILE_SIZE)
    known = level_map(scheme, own)
    if any(level.id not in known for level in levels):
        found.append(Differs.SCALES)
    if not takes(profile.image_format, image_format):
        found.append(Differs.TILE_FORMAT)
    return tuple(found)


def level_map(scheme: TilingScheme, other: TilingScheme) -> dict[int, int]:
    """By id of a level of `scheme`, the id of the level of `other` with the same resolution.

    Levels that `other` lacks are left out. Two resolutions are the same where the grids stay less
    than FARTHEST_SHIFT apart all over where tiles can lie.
    """
    return {
        level.id: same.id
        for level in scheme.levels
        for same in [_nearest(level, other)]
        if same is not None and _is_same(level, same, scheme)
    }


def takes(image_format: str, other: str) -> bool:
    """Whether a cache of `image_format` takes tiles of a cache of the format `other` as they are.

    All kinds of PNG mix. MIXED is JPEG and PNG. Other formats, as LERC, take their own only.
    """
    own, other = image_format.upper(), other.upper()
    if own in _PNG:
        return other in _PNG
    if own in _JPEG:
        return other in _JPEG
    if own in _MIXED:
        return other in _MIXED | _PNG | _JPEG
    return own == other


def _nearest(level: Level, scheme: TilingScheme) -> Level | None:
    return min(
        scheme.levels, key=lambda each: abs(each.resolution - level.resolution), default=None
    )


def _is_same(level: Level, other: Level, scheme: TilingScheme) -> bool:
    """Whether tiles of both are the same, as far out as tiles of `scheme` can lie."""
    area = area_of(scheme)
    across = max(area.xmax - scheme.origin_x, scheme.origin_y - area.ymin) / level.resolution
    apart = abs(other.resolution / level.resolution - 1) * min(across, MOST_PIXELS)
    return apart < FARTHEST_SHIFT
