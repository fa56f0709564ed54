"""How a TPK presents itself: the files beside its cache.

No specification exists; these are the members, elements and keys that packages of ArcGIS 10.1 to
10.3 have, as far as they say anything of tiles.
"""

from __future__ import annotations

import html
import json
import uuid

from ..esri_json import extent_json, mapping, spatial_reference_json
from ..schemes import area_of
from ..tiling import Extent
from .iteminfo import extent_in_degrees
from .packing import Packed, packed_bytes
from .profile import CacheProfile
from .thumbnail import thumbnail_png

MAP_SERVER_JSON = "servicedescriptions/mapserver/mapserver.json"

_ITEMINFO, _PKINFO = "esriinfo/iteminfo.xml", "esriinfo/item.pkinfo"
_THUMBNAIL = "esriinfo/thumbnail/thumbnail.png"
_VERSION = 10.3
_WORLD = Extent(-180.0, -90.0, 180.0, 90.0)
_KEYWORDS = ("Data", "Tile Package", "ArcMap", "ArcGlobe", "tpk")
_PROPERTIES = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<PropertySet xsi:type="typens:PropertySet"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xmlns:xs="http://www.w3.org/2001/XMLSchema"'
    ' xmlns:typens="http://www.esri.com/schemas/ArcGIS/10.3">'
    '<PropertyArray xsi:type="typens:ArrayOfPropertySetProperty">'
    '<PropertySetProperty xsi:type="typens:PropertySetProperty">'
    '<Key>CacheTileContentType</Key><Value xsi:type="xs:string">Map</Value>'
    "</PropertySetProperty></PropertyArray></PropertySet>\n"
)


def described(profile: CacheProfile, folder: str) -> list[Packed]:
    """The descriptions of a package of ours, whose cache lies in `folder`."""
    guid = str(uuid.uuid4()).upper()
    contents = {
        _PKINFO: _pkinfo(profile, guid).encode(),
        _ITEMINFO: _iteminfo(profile, guid).encode(),
        _THUMBNAIL: thumbnail_png(),
        MAP_SERVER_JSON: _map_server(profile, folder.rpartition("/")[2]),
        f"{folder}/conf.properties": _PROPERTIES.encode(),
    }
    return [packed_bytes(name, content) for name, content in contents.items()]


def updated_map_server(content: bytes, profile: CacheProfile) -> bytes:
    """`content` of a mapserver.json, with the extent of `profile`; all else stays.

    What is no JSON stays as it is: nobody needs it to read tiles.
    """
    try:
        told = dict(mapping(json.loads(content)))
    except (ValueError, RecursionError):
        return content
    contents = {**mapping(told.get("contents")), **_extents(profile)}
    resources = {**mapping(told.get("resourceInfo")), **_extents_in_degrees(profile)}
    body = {**told, "contents": contents, "resourceInfo": resources}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _map_server(profile: CacheProfile, map_name: str) -> bytes:
    layer = {
        "id": 0,
        "name": profile.name,
        "parentLayerId": -1,
        "defaultVisibility": True,
        "subLayerIds": None,
        "minScale": 0,
        "maxScale": 0,
    }
    body = {
        "name": "MapServer",
        "contents": {
            "currentVersion": _VERSION,
            "serviceDescription": profile.text,
            "mapName": map_name,
            "description": profile.text,
            "copyrightText": "",
            "supportsDynamicLayers": False,
            "layers": [layer],
            "tables": [],
            "spatialReference": spatial_reference_json(profile.scheme.crs),
            "singleFusedMapCache": False,
            **_extents(profile),
            "minScale": 0,
            "maxScale": 0,
            "capabilities": "Map",
            "exportTilesAllowed": False,
        },
        "resourceInfo": _extents_in_degrees(profile),
        "resources": [],
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _extents(profile: CacheProfile) -> dict[str, object]:
    extent = extent_json(profile.extent or area_of(profile.scheme), profile.scheme.crs)
    return {"initialExtent": extent, "fullExtent": extent}


def _extents_in_degrees(profile: CacheProfile) -> dict[str, object]:
    extent = dict(zip(("xmin", "ymin", "xmax", "ymax"), _degrees(profile).bounds))
    return {"geoFullExtent": extent, "geoInitialExtent": extent}


def _degrees(profile: CacheProfile) -> Extent:
    return extent_in_degrees(profile) or _WORLD


def _iteminfo(profile: CacheProfile, guid: str) -> str:
    edges = zip(("xmin", "ymin", "xmax", "ymax"), _degrees(profile).bounds)
    keywords = "".join(f"<typekeyword>{each}</typekeyword>\n" for each in _KEYWORDS)
    crs = (profile.scheme.crs.wkt or "").split('"')
    lines = {
        "name": profile.name,
        "guid": guid,
        "catalogpath": "",
        "snippet": profile.text[:250],
        "description": profile.text,
        "summary": profile.text[:250],
        "title": profile.name,
        "tags": "tiles",
        "type": "Tile Package",
    }
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<ESRI_ItemInformation Culture="en-US">\n'
        + "".join(_element(*each) for each in lines.items())
        + f"<typekeywords>\n{keywords}</typekeywords>\n"
        + _element("thumbnail", "thumbnail/thumbnail.png")
        + "<extent>\n"
        + "".join(_element(name, repr(edge)) for name, edge in edges)
        + "</extent>\n"
        + _element("spatialreference", crs[1] if len(crs) > 1 else "")
        + "</ESRI_ItemInformation>\n"
    )


def _pkinfo(profile: CacheProfile, guid: str) -> str:
    lines = {
        "ID": guid,
        "name": profile.name,
        "version": str(_VERSION),
        "size": "-1",
        "created": "",
        "type": "Tile Package",
        "servable": "false",
    }
    inside = "".join(_element(*each) for each in lines.items())
    head = '<?xml version="1.0" encoding="utf-8"?>\n<pkinfo Culture="en-US">\n'
    return f"{head}{inside}</pkinfo>\n"


def _element(name: str, text: str) -> str:
    text = "".join(each if each.isprintable() else " " for each in text)
    return f"<{name}>{html.escape(text, quote=False)}</{name}>\n"
