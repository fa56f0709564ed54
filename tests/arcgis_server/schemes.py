"""Tiling schemes of the stand-in sites, and the arithmetic of their tiles.

This is written from the published description of ``tileInfo``, apart from the plugin's own
``TilingScheme``, so that one can be tested against the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

Box = tuple[float, float, float, float]
"""xmin, ymin, xmax, ymax in the units of a spatial reference."""

_INCH = 0.0254
_METRES_PER_DEGREE = 147748796.529 * _INCH / (96 * 0.3515625)
"""As ArcGIS counts it: read off a recorded scheme (0.3515625 degrees are 1:147748796.529)."""

_WEB_MERCATOR_WKIDS = frozenset({102100, 102113, 900913, 3857})


@dataclass(frozen=True)
class Reference:
    """A spatial reference as a service states it: by number or by Esri WKT1."""

    wkid: int | None = None
    latest_wkid: int | None = None
    wkt: str | None = None
    geographic: bool = False

    def as_json(self, with_latest: bool = True) -> dict[str, Any]:
        """Return the Esri JSON object; sites before 10.1 do not know ``latestWkid``."""
        if self.wkt is not None:
            return {"wkt": self.wkt}
        if with_latest and self.latest_wkid is not None:
            return {"wkid": self.wkid, "latestWkid": self.latest_wkid}
        return {"wkid": self.wkid}

    def definition(self) -> str:
        """Return a text that PROJ and QGIS read: ``EPSG:n`` or WKT."""
        return self.wkt if self.wkt is not None else f"EPSG:{self.latest_wkid or self.wkid}"

    @property
    def units(self) -> str:
        return "esriDecimalDegrees" if self.geographic else "esriMeters"

    @property
    def metres_per_unit(self) -> float:
        return _METRES_PER_DEGREE if self.geographic else 1.0


@dataclass(frozen=True)
class Lod:
    """One level of detail; ``resolution`` in map units per pixel."""

    level: int
    resolution: float
    scale: float

    def as_json(self) -> dict[str, Any]:
        return {"level": self.level, "resolution": self.resolution, "scale": self.scale}


@dataclass(frozen=True)
class Scheme:
    """Origin (upper left corner of tile 0, 0), tile size in pixels and levels of detail."""

    reference: Reference
    origin: tuple[float, float]
    tile_size: int
    lods: tuple[Lod, ...]
    dpi: int = 96

    def lod(self, level: int) -> Lod | None:
        """Return the level with this id, or None where the scheme has none."""
        return next((lod for lod in self.lods if lod.level == level), None)

    def lod_of_scale(self, scale: float, tolerance: float = 1e-3) -> Lod | None:
        """Return the level whose scale agrees within the relative tolerance."""
        nearest = min(self.lods, key=lambda lod: abs(lod.scale - scale))
        return nearest if abs(nearest.scale - scale) <= tolerance * nearest.scale else None

    def tile_span(self, lod: Lod) -> float:
        """Return the side of a tile on the ground, in map units."""
        return self.tile_size * lod.resolution

    def tile_box(self, lod: Lod, row: int, col: int) -> Box:
        """Return what the tile covers; rows count downwards from the origin."""
        return self.block_box(lod, row, col, 1, 1)

    def block_box(self, lod: Lod, row: int, col: int, rows: int, cols: int) -> Box:
        """Return what a block of tiles covers that begins at ``row``, ``col``."""
        span = self.tile_span(lod)
        x, y = self.origin
        return (x + col * span, y - (row + rows) * span, x + (col + cols) * span, y - row * span)

    def range_of(self, lod: Lod, box: Box) -> tuple[int, int, int, int]:
        """Return first row, first column, end row, end column (ends excluded) around a box.

        Only tiles whose interior meets the interior of the box are in the range; negative rows
        and columns do not exist in a cache and are cut off.
        """
        span = self.tile_span(lod)
        x, y = self.origin
        first_row = max(0, math.floor((y - box[3]) / span))
        first_col = max(0, math.floor((box[0] - x) / span))
        end_row = max(first_row, math.ceil((y - box[1]) / span))
        end_col = max(first_col, math.ceil((box[2] - x) / span))
        return first_row, first_col, end_row, end_col


def reference_from_json(data: dict[str, Any]) -> Reference:
    """Return the reference a request names by ``wkid``, ``latestWkid`` or ``wkt``.

    Raises:
        ValueError: it names none.
    """
    wkid = data.get("latestWkid") or data.get("wkid")
    if wkid is not None:
        number = int(wkid)
        if number in _WEB_MERCATOR_WKIDS:
            return WEB_MERCATOR
        return Reference(wkid=number, latest_wkid=number)
    if data.get("wkt"):
        return Reference(wkt=str(data["wkt"]))
    raise ValueError("the spatial reference has neither a wkid nor a wkt")


WEB_MERCATOR = Reference(102100, 3857)
WGS84 = Reference(4326, 4326, geographic=True)
EUROPE = Reference(
    wkt=(
        'PROJCS["ETRS_1989_LAEA",GEOGCS["GCS_ETRS_1989",DATUM["D_ETRS_1989",'
        'SPHEROID["GRS_1980",6378137.0,298.257222101]],PRIMEM["Greenwich",0.0],'
        'UNIT["Degree",0.0174532925199433]],PROJECTION["Lambert_Azimuthal_Equal_Area"],'
        'PARAMETER["False_Easting",4321000.0],PARAMETER["False_Northing",3210000.0],'
        'PARAMETER["Central_Meridian",10.0],PARAMETER["Latitude_Of_Origin",52.0],'
        'UNIT["Meter",1.0]]'
    )
)

_MERCATOR_CORNER = 20037508.342787
_MERCATOR_RESOLUTION = 156543.033928
_MERCATOR_SCALE = 591657527.591555


def web_mercator(levels: int) -> Scheme:
    """Return the scheme of the common web maps with this many levels, 256 pixels a tile."""
    lods = tuple(
        Lod(level, _MERCATOR_RESOLUTION / 2**level, round(_MERCATOR_SCALE / 2**level, 6))
        for level in range(levels)
    )
    return Scheme(WEB_MERCATOR, (-_MERCATOR_CORNER, _MERCATOR_CORNER), 256, lods)


def by_resolution(
    reference: Reference,
    origin: tuple[float, float],
    tile_size: int,
    resolutions: dict[int, float],
) -> Scheme:
    """Return a scheme from level ids and their resolutions, at 96 dots per inch."""
    lods = tuple(
        Lod(level, resolution, resolution * reference.metres_per_unit * 96 / _INCH)
        for level, resolution in resolutions.items()
    )
    return Scheme(reference, origin, tile_size, lods)


def by_scale(
    reference: Reference, origin: tuple[float, float], tile_size: int, scales: tuple[float, ...]
) -> Scheme:
    """Return a scheme from scale denominators, coarsest first, at 96 dots per inch."""
    lods = tuple(
        Lod(level, scale * _INCH / 96 / reference.metres_per_unit, scale)
        for level, scale in enumerate(scales)
    )
    return Scheme(reference, origin, tile_size, lods)
