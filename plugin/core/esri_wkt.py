"""Esri's texts of coordinate systems: as much as the files of a cache need of them.

Source: Esri, "Well-known text representation of spatial reference systems" (Projection Engine,
string representation). Nothing is projected here.
"""

from __future__ import annotations

import math
import re

from .tiling import SpatialReference

DEGREE_METRES = 6378137.0 * math.pi / 180
"""Metres of a degree on the sphere of Web Mercator, 111319.49: Esri's own factor for scales.

Resolution 0.703125 at 96 dpi times it is 295829355.454566, the scale Esri publishes for it. The
samples of ArcGIS 10 count 111194.87 m instead, a sphere of 6370997 m."""

_WGS84 = (
    'GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137.0,298.257223563]],'
    'PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]'
)
_TEXTS = {
    4326: f'{_WGS84},AUTHORITY["EPSG",4326]]',
    3857: (
        f'PROJCS["WGS_1984_Web_Mercator_Auxiliary_Sphere",{_WGS84}],'
        'PROJECTION["Mercator_Auxiliary_Sphere"],PARAMETER["False_Easting",0.0],'
        'PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",0.0],'
        'PARAMETER["Standard_Parallel_1",0.0],PARAMETER["Auxiliary_Sphere_Type",0.0],'
        'UNIT["Meter",1.0],AUTHORITY["EPSG",3857]]'
    ),
}
"""As ArcGIS writes them into conf.xml (consbio/tpkutils and GeoWebCache samples)."""

WEB_MERCATOR = SpatialReference(102100, 3857, _TEXTS[3857])
WGS84 = SpatialReference(4326, 4326, _TEXTS[4326])

_CODE_TEXT = re.compile(r"\s*(?:EPSG|ESRI)\s*:\s*(\d{1,9})\s*", re.IGNORECASE | re.ASCII)
_AUTHORITY = re.compile(
    r',\s*AUTHORITY\[\s*"(?:EPSG|ESRI)"\s*,\s*"?(\d{1,9})"?\s*\]\s*\]\s*$',
    re.IGNORECASE | re.ASCII,
)
_UNIT = re.compile(r'UNIT\[\s*"[^"]*"\s*,\s*([0-9.eE+-]+)', re.IGNORECASE | re.ASCII)
_VERTICAL = re.compile(r",\s*VERT_?CS\[", re.IGNORECASE)


def text_of(crs: SpatialReference) -> str | None:
    """Esri's text of `crs`, its own or a known one; None where there is none."""
    return crs.wkt or _TEXTS.get(crs.code or 0)


def code_of(text: str) -> int | None:
    """The code in `text`: of `EPSG:n`, or of the authority that closes it; None for none."""
    found = _CODE_TEXT.fullmatch(text) or _AUTHORITY.search(_horizontal(text))
    return int(found.group(1)) if found else None


def is_code_only(text: str) -> bool:
    """Whether `text` is no more than `EPSG:n`."""
    return _CODE_TEXT.fullmatch(text) is not None


def is_geographic(crs: SpatialReference) -> bool:
    """Whether its units are degrees, as far as its text, or its code, tells."""
    text = text_of(crs)
    if text is not None and not is_code_only(text):
        return text.lstrip().upper().startswith("GEOGCS[")
    return 4001 <= (crs.code or 0) <= 4999  # EPSG's range of geographic systems, near enough


def metres_per_unit(crs: SpatialReference) -> float | None:
    """Metres of a unit of `crs`, DEGREE_METRES for degrees; None where nothing tells."""
    if is_geographic(crs):
        return DEGREE_METRES
    factors = _UNIT.findall(_horizontal(text_of(crs) or ""))
    try:
        factor = float(factors[-1]) if factors else 0.0  # the last: the first is the base's degree
    except ValueError:
        return None
    return factor if 0 < factor < math.inf else None


def _horizontal(text: str) -> str:
    """`text` without the vertical system that may follow."""
    return _VERTICAL.split(text, maxsplit=1)[0]
