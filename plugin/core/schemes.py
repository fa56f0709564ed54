"""Tiling schemes to make caches with: the usual ones, and one for any list of scales."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from .area import FARTHEST
from .errors import BadScheme, BadSchemeReason
from .esri_wkt import DEGREE_METRES, is_geographic
from .esri_wkt import WEB_MERCATOR as WEB_MERCATOR
from .esri_wkt import WGS84 as WGS84
from .tiling import WEB_MERCATOR_HALF, Extent, Level, SpatialReference, TilingScheme

MOST_LEVELS = 100
"""Level folders have two digits (Esri compact cache specification)."""

MOST_PIXELS = 2**31 - 1
"""Pixels across that GDAL can open: a scheme with a level that is larger opens nowhere with it."""

LARGEST_TILE = 8192
"""Pixels across a tile that readers take (GDAL's driver of Esri caches)."""

LARGEST_SCALE, SMALLEST_SCALE = 1.0, 1e10
"""Denominators that schemes are made for: from 1:1 to the earth in a millimetre or so."""

METRES_PER_INCH = 0.0254

_WEB_SCALE = 591657527.591555
"""Esri's published scale of Web Mercator level 0, 256 pixels a tile, 96 dpi."""
_WEB_RESOLUTION = 2 * WEB_MERCATOR_HALF / 256
_WGS84_RESOLUTION = 180.0 / 256
_USUAL_TILE = 256
_USUAL_DPI = 96.0
_ORIGINS = (
    (-5120900.0, 9998100.0),  # ArcGIS's own for projected systems in metres
    (-20037700.0, 30241100.0),  # and that of the widest ones
    (-120000000.0, 120000000.0),  # those in feet
)


def web_mercator(
    tile_size: int = _USUAL_TILE, dpi: float = _USUAL_DPI, finest: int | None = None
) -> TilingScheme:
    """The scheme of web maps; level n covers the world with 2^n x 2^n tiles of any size.

    Resolutions are halves of 2 pi 6378137 m / 256, so that tiles are those of XYZ services to the
    last bit (Esri publishes them cut off after 12 digits); scales are Esri's.
    `tile_size` in pixels. `finest`: id of the last level, by default the last that GDAL can open,
    22 for 256 pixels.
    """
    levels = _halves(_WEB_RESOLUTION, _WEB_SCALE, 1, tile_size, dpi, finest)
    half = WEB_MERCATOR_HALF
    return TilingScheme(-half, half, tile_size, tile_size, float(dpi), WEB_MERCATOR, levels)


def wgs84(
    tile_size: int = _USUAL_TILE, dpi: float = _USUAL_DPI, finest: int | None = None
) -> TilingScheme:
    """Longitude and latitude; level n covers the world with 2^(n+1) x 2^n tiles of any size.

    Origin -180, 90 and resolutions 0.703125 / 2^n at 256 pixels, as in GeoWebCache's EPSG:4326 and
    OGC's WorldCRS84Quad (Two Dimensional Tile Matrix Set, 17-083r4). Scales are Esri's for these
    resolutions. `finest`: as for `web_mercator`, 21 for 256 pixels.
    """
    scale = _scale(_WGS84_RESOLUTION, DEGREE_METRES, _USUAL_DPI)
    levels = _halves(_WGS84_RESOLUTION, scale, 2, tile_size, dpi, finest)
    return TilingScheme(-180.0, 90.0, tile_size, tile_size, float(dpi), WGS84, levels)


def scheme_of_scales(
    scales: Iterable[float],
    crs: SpatialReference,
    origin_x: float,
    origin_y: float,
    metres_per_unit: float,
    tile_size: int = _USUAL_TILE,
    dpi: float = _USUAL_DPI,
) -> TilingScheme:
    """A scheme with a level for each of `scales` (denominators), id 0 the coarsest.

    `metres_per_unit`: of `crs`; DEGREE_METRES for degrees. Raises BadScheme.
    """
    wanted = sorted({float(scale) for scale in scales}, reverse=True)
    if not wanted or not all(0 < scale < math.inf for scale in wanted):
        raise BadScheme("", BadSchemeReason.NO_LEVELS)
    if wanted[0] > SMALLEST_SCALE:
        raise BadScheme("", BadSchemeReason.TOO_COARSE)
    if len(wanted) > MOST_LEVELS or wanted[-1] < LARGEST_SCALE:
        raise BadScheme("", BadSchemeReason.TOO_FINE)
    if not 0 < metres_per_unit < math.inf:
        raise BadScheme("", BadSchemeReason.NO_CRS)
    unit = metres_per_unit * dpi / METRES_PER_INCH
    levels = tuple(Level(i, scale / unit, scale) for i, scale in enumerate(wanted))
    return TilingScheme(origin_x, origin_y, tile_size, tile_size, float(dpi), crs, levels)


def with_tile_size(scheme: TilingScheme, tile_size: int) -> TilingScheme:
    """`scheme` with the same tiles, of `tile_size` pixels: finer resolutions, larger scales."""
    part = scheme.tile_width / tile_size
    levels = tuple(Level(e.id, e.resolution * part, e.scale * part) for e in scheme.levels)
    return replace(scheme, tile_width=tile_size, tile_height=tile_size, levels=levels)


def with_dpi(scheme: TilingScheme, dpi: float) -> TilingScheme:
    """`scheme` with the same resolutions, its scales counted with `dpi`."""
    part = dpi / scheme.dpi
    levels = tuple(Level(e.id, e.resolution, e.scale * part) for e in scheme.levels)
    return replace(scheme, dpi=float(dpi), levels=levels)


def counted_from_zero(scheme: TilingScheme) -> TilingScheme:
    """`scheme` with a level for every id from 0 to its last.

    GDAL, and ArcGIS where it lists them, count the levels of a cache by their place in the list.
    Those that are added keep the others' ids; they are twice as coarse as the next below, or lie
    between their neighbours. Unchanged where ids do not grow with the detail.
    """
    levels: list[Level] = []
    for level in scheme.levels:
        if level.id < len(levels) or level.id >= MOST_LEVELS:
            return scheme
        step = 2.0
        if levels:
            ratio = levels[-1].resolution / level.resolution
            step = round(ratio ** (1 / (level.id - levels[-1].id)), 12)  # 2, not almost 2
        for gap in range(level.id - len(levels), 0, -1):
            by = step**gap
            levels.append(Level(level.id - gap, level.resolution * by, level.scale * by))
        levels.append(level)
    return replace(scheme, levels=tuple(levels))


def standard_origin(crs: SpatialReference, extent: Extent) -> tuple[float, float]:
    """An origin for caches of `extent` in `crs` that readers take: it lies left of and above 0.

    GDAL takes a cache's right and lower edges for the left and upper ones mirrored at 0, so
    everything must lie closer to 0 than the origin. The first that fits of those ArcGIS uses.
    """
    if is_geographic(crs):
        fits = extent.xmin >= -180 and extent.xmax <= 180
        return (-180.0, 90.0) if fits and max(map(abs, extent.bounds[1::2])) <= 90 else (-400, 400)
    across = max(abs(extent.xmin), abs(extent.xmax))
    down = max(abs(extent.ymin), abs(extent.ymax))
    for x, y in _ORIGINS:
        if across <= -x and down <= y:
            return x, y
    farthest = 2.0 ** math.ceil(math.log2(max(across, down)))
    return -farthest, farthest


def area_of(scheme: TilingScheme) -> Extent:
    """Where the tiles of `scheme` can lie: in the world, where its CRS is known.

    Else a block right of and below the origin, as large as GDAL opens, 128 of the coarsest tiles
    across at most.
    """
    left, top = scheme.origin_x, scheme.origin_y
    half = WEB_MERCATOR_HALF
    world = {3857: Extent(-half, -half, half, half), 4326: Extent(-180, -90, 180, 90)}
    known = world.get(scheme.crs.code or 0)
    if known is not None:
        below = Extent(left, top - FARTHEST, left + FARTHEST, top)
        return known.intersection(below) or known
    finest = scheme.levels[-1].resolution
    width, height = scheme.tile_size(scheme.levels[0])
    across = max(width, min(128 * width, MOST_PIXELS * finest))
    down = max(height, min(128 * height, MOST_PIXELS * finest))
    return Extent(left, top - down, left + across, top)


def _halves(
    resolution: float, scale: float, tiles: int, tile_size: int, dpi: float, finest: int | None
) -> tuple[Level, ...]:
    """Levels from these values of level 0 at 256 pixels and 96 dpi, `tiles` across."""
    if finest is None:
        finest = int(math.log2(MOST_PIXELS / (tiles * tile_size)))
    part = _USUAL_TILE / tile_size
    scale *= part * dpi / _USUAL_DPI
    return tuple(Level(n, resolution * part / 2**n, scale / 2**n) for n in range(finest + 1))


def _scale(resolution: float, metres_per_unit: float, dpi: float) -> float:
    return resolution * metres_per_unit * dpi / METRES_PER_INCH
