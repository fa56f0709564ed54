"""`iteminfo.json`: how a tile package presents itself in a portal.

Source: Esri, tile-package-spec, `docs/iteminfo.md`; and real packages.
"""

from __future__ import annotations

import json
import math
import time
import uuid

from ..esri_json import extent_json
from ..tiling import Extent, SpatialReference
from .profile import CacheProfile

ITEMINFO_JSON = "iteminfo.json"
THUMBNAIL_PNG = "thumbnail.png"

_WORLD = Extent(-180.0, -90.0, 180.0, 90.0)
_RADIUS = 6378137.0
_WGS84 = SpatialReference(4326, 4326)


def iteminfo_json(
    profile: CacheProfile,
    extent_wgs84: Extent | None = None,
    *,
    created: float | None = None,
    guid: str | None = None,
) -> bytes:
    """The iteminfo.json of `profile`.

    `extent_wgs84`: in degrees; where None it is worked out for Web Mercator and WGS 84, and is the
    world for other CRSs. `created`: seconds since 1970, None: now. `guid`: None: a new one.
    """
    seconds = time.time() if created is None else created
    body = {
        "creator": "Tile Cache Manager",
        "name": profile.name,
        "guid": guid or str(uuid.uuid4()).upper(),
        "version": 1.0,
        "created": int(seconds * 1000),
        "snippet": profile.text[:250],
        "description": profile.text,
        "summary": profile.text[:250],
        "title": profile.name,
        "tags": "tiles",
        "type": "Compact Tile Package",
        "typeKeywords": ["Compact Tile Package", "Tile Package", "tpkx"],
        "thumbnail": f"./{THUMBNAIL_PNG}",
        "extent": extent_json(extent_wgs84 or extent_in_degrees(profile) or _WORLD, _WGS84),
    }
    return json.dumps(body, ensure_ascii=False).encode()


def extent_in_degrees(profile: CacheProfile) -> Extent | None:
    """The extent of `profile` as longitude and latitude, in degrees; None where not known."""
    extent = profile.extent
    code = profile.scheme.crs.code
    if extent is None or code not in (3857, 4326):
        return None
    if code == 3857:
        extent = Extent(
            math.degrees(extent.xmin / _RADIUS),
            _latitude(extent.ymin),
            math.degrees(extent.xmax / _RADIUS),
            _latitude(extent.ymax),
        )
    return extent.intersection(_WORLD)


def _latitude(y: float) -> float:
    """Degrees north of Web Mercator northing `y` (EPSG Guidance Note 7-2, method 1024)."""
    return math.degrees(math.atan(math.sinh(max(-20.0, min(20.0, y / _RADIUS)))))
