"""`conf.xml`: the tiling scheme of a cache in a folder, how its tiles look and how they lie.

Sources: Esri, "Compact Cache V2" (raster-tiles-compactcache), ArcObjects reference
(esriMapCacheStorageFormat), and the files of real caches, which differ in much: names in any case,
no `CacheStorageInfo` before ArcGIS 10, no `PreciseDPI` and `LatestWKID` before 10.1.
"""

from __future__ import annotations

import html
import math
from pathlib import Path

from ..errors import BadScheme, BadSchemeReason, DamagedCache, NotACache
from ..esri_json import number, whole
from ..esri_wkt import code_of, is_code_only, is_geographic, metres_per_unit, text_of
from ..schemes import LARGEST_TILE, METRES_PER_INCH, MOST_LEVELS, MOST_PIXELS, area_of
from ..tiling import BUNDLE_TILES, SNAP, Extent, Level, SpatialReference, TilingScheme
from . import xml_tree
from .profile import CacheProfile, StorageFormat
from .small_files import find_file, read_small
from .xml_tree import Element

CONF_XML = "conf.xml"
CONF_CDI = "conf.cdi"

_USUAL_DPI = 96.0
_STORAGE = {
    "esrimapcachestoragemodecompactv2": StorageFormat.COMPACT_V2,
    "esrimapcachestoragemodecompact": StorageFormat.COMPACT_V1,
    "esrimapcachestoragemodeexploded": StorageFormat.EXPLODED,
}
_STORAGE_NAMES = {
    StorageFormat.COMPACT_V2: "esriMapCacheStorageModeCompactV2",
    StorageFormat.COMPACT_V1: "esriMapCacheStorageModeCompact",
    StorageFormat.EXPLODED: "esriMapCacheStorageModeExploded",
}
_NAMESPACES = (
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xmlns:xs="http://www.w3.org/2001/XMLSchema" '
    'xmlns:typens="http://www.esri.com/schemas/ArcGIS/10.3"'
)
_ABOUT_SAME = 0.01  # pixels


# Reading


def read_conf(path: Path) -> CacheProfile:
    """What the conf.xml at `path`, and the conf.cdi beside it, say of their cache.

    All levels of the scheme count as cached: the files do not tell which are.
    Raises NotACache (it cannot be read), DamagedCache, HostileFile.
    """
    content = read_small(path, xml_tree.LARGEST)
    folder = path.parent
    is_of_service = folder.name.lower() == "layers" and folder.parent.name != ""
    name = folder.parent.name if is_of_service else folder.name
    return parse_conf(content, _extent_file(folder), str(path), name)


def _extent_file(folder: Path) -> bytes | None:
    """The content of the conf.cdi in `folder`; None where there is none that can be read."""
    path = find_file(folder, CONF_CDI)
    try:
        return None if path is None else read_small(path, xml_tree.LARGEST)
    except NotACache:
        return None


def parse_conf(content: bytes, cdi: bytes | None, file: str, name: str = "") -> CacheProfile:
    """What `content` of a conf.xml and `cdi` of the conf.cdi (None: there is none) say.

    `file`: what to call the conf.xml in errors. `name`: the cache's. Raises DamagedCache,
    HostileFile.
    """
    root = xml_tree.parse(content, file)
    if root.name != "CacheInfo":
        raise DamagedCache(file, "no CacheInfo")
    scheme = _scheme(root, file)
    return CacheProfile(
        scheme=scheme,
        storage=_storage(root, file),
        image_format=_image_format(root, file),
        compression_quality=_quality(root),
        cached_ids=tuple(level.id for level in scheme.levels),
        extent=None if cdi is None else parse_extent(cdi, scheme.crs, file),
        name=name,
    )


def parse_extent(content: bytes, crs: SpatialReference, file: str) -> Extent | None:
    """The extent that a conf.cdi gives; None where it is broken or in another CRS than `crs`.

    Raises HostileFile.
    """
    try:
        root = xml_tree.parse(content, file)
    except DamagedCache:
        return None
    own = _reference(root.find("SpatialReference"))
    if own is not None and own.code is not None and crs.code is not None and not own.same_as(crs):
        return None
    return _bounds(root)


def has_extent(content: bytes, file: str) -> bool:
    """Whether a conf.cdi gives an extent, in whatever CRS. Raises HostileFile."""
    try:
        return _bounds(xml_tree.parse(content, file)) is not None
    except DamagedCache:
        return False


def _bounds(root: Element) -> Extent | None:
    xmin, ymin = number(root.text_at("XMin")), number(root.text_at("YMin"))
    xmax, ymax = number(root.text_at("XMax")), number(root.text_at("YMax"))
    if xmin is None or ymin is None or xmax is None or ymax is None:
        return None
    return Extent(xmin, ymin, xmax, ymax) if xmin < xmax and ymin < ymax else None


def _scheme(root: Element, file: str) -> TilingScheme:
    tiles = root.find("TileCacheInfo")
    if tiles is None:
        raise DamagedCache(file, "no TileCacheInfo")
    crs = _reference(tiles.find("SpatialReference"))
    if crs is None:
        raise DamagedCache(file, "no SpatialReference")
    x, y = number(tiles.text_at("TileOrigin", "X")), number(tiles.text_at("TileOrigin", "Y"))
    if x is None or y is None:
        raise DamagedCache(file, "TileOrigin")
    dpi = number(tiles.text_at("PreciseDPI")) or number(tiles.text_at("DPI")) or _USUAL_DPI
    dpi = dpi if dpi > 0 else _USUAL_DPI
    width, height = _tile_side(tiles, "TileCols", file), _tile_side(tiles, "TileRows", file)
    levels = _levels(tiles, dpi * (metres_per_unit(crs) or 1.0) / METRES_PER_INCH, file)
    return TilingScheme(x, y, width, height, dpi, crs, levels)


def _tile_side(tiles: Element, name: str, file: str) -> int:
    side = whole(tiles.text_at(name))
    if side is None or not 0 < side <= LARGEST_TILE:
        raise DamagedCache(file, f"{name} {tiles.text_at(name)[:20]}".rstrip())
    return side


def _levels(tiles: Element, scale_factor: float, file: str) -> tuple[Level, ...]:
    """Coarsest first. A scale that is missing, which is for people only, is reckoned."""
    listed = tiles.find("LODInfos")
    found = listed.all("LODInfo") if listed is not None else []
    if not found:
        raise DamagedCache(file, "no LODInfo")
    if len(found) > MOST_LEVELS:
        raise DamagedCache(file, f"{len(found)} LODInfo")
    levels: dict[int, Level] = {}
    for index, element in enumerate(found):
        resolution = number(element.text_at("Resolution"))
        if resolution is None or resolution <= 0:
            raise DamagedCache(file, f"LODInfo {index}, Resolution")
        level_id = whole(element.text_at("LevelID") or str(index))
        if level_id is None or level_id < 0 or level_id in levels:
            raise DamagedCache(file, f"LODInfo {index}, LevelID")
        scale = number(element.text_at("Scale"))
        scale = scale if scale is not None and scale > 0 else resolution * scale_factor
        levels[level_id] = Level(level_id, resolution, scale)
    return tuple(sorted(levels.values(), key=lambda level: -level.resolution))


def _reference(element: Element | None) -> SpatialReference | None:
    """The CRS of a `SpatialReference`; None where it names none."""
    if element is None:
        return None
    text = element.text_at("WKT") or None
    wkid, latest = whole(element.text_at("WKID")), whole(element.text_at("LatestWKID"))
    wkid = wkid or latest or (code_of(text) if text else None)
    if text is not None and is_code_only(text):
        text = None
    if not wkid and text is None:
        return None
    return SpatialReference(wkid or None, latest or None, text)


def _storage(root: Element, file: str) -> StorageFormat:
    told = root.find("CacheStorageInfo")
    if told is None:
        return StorageFormat.EXPLODED  # before ArcGIS 10 there was nothing else
    text = told.text_at("StorageFormat")
    storage = _STORAGE.get(text.lower())
    if storage is None:
        raise DamagedCache(file, f"StorageFormat {text[:60]}".rstrip())
    side = told.text_at("PacketSize")
    is_compact = storage is not StorageFormat.EXPLODED
    if is_compact and side and whole(side) != BUNDLE_TILES:  # GDAL, too, takes no other
        raise DamagedCache(file, f"PacketSize {side[:20]}")
    return storage


def _image_format(root: Element, file: str) -> str:
    name = root.text_at("TileImageInfo", "CacheTileFormat").upper()
    if not name or len(name) > 20:
        raise DamagedCache(file, "CacheTileFormat")
    return "JPEG" if name == "JPG" else name


def _quality(root: Element) -> int:
    quality = number(root.text_at("TileImageInfo", "CompressionQuality")) or 0.0
    return int(min(max(quality, 0.0), 100.0))


# Writing


def conf_xml(profile: CacheProfile) -> bytes:
    """The conf.xml of `profile`, with all levels of its scheme. Raises BadScheme (no WKT).

    GDAL before 3.13 opens no cache with a level that is more than MOST_PIXELS across; such a
    level is written all the same.
    """
    scheme = profile.scheme
    origin = _tag("X", scheme.origin_x) + _tag("Y", scheme.origin_y)
    tiles = (
        _reference_xml(scheme, profile.name)
        + _typed("TileOrigin", "PointN", origin)
        + _tile_end_xml(profile)
        + _tag("TileCols", scheme.tile_width)
        + _tag("TileRows", scheme.tile_height)
        + _tag("DPI", round(scheme.dpi))
        + _tag("PreciseDPI", scheme.dpi)
        + _typed("LODInfos", "ArrayOfLODInfo", "".join(map(_level_xml, scheme.levels)))
    )
    picture = (
        _tag("CacheTileFormat", profile.image_format)
        + _tag("CompressionQuality", profile.compression_quality)
        + _tag("Antialiasing", "false")
        + _tag("BandCount", 1)
        + _tag("LERCError", 0)
    )
    is_exploded = profile.storage is StorageFormat.EXPLODED
    storage = _STORAGE_NAMES.get(profile.storage, _STORAGE_NAMES[StorageFormat.COMPACT_V2])
    return _document(
        "CacheInfo",
        _typed("TileCacheInfo", "TileCacheInfo", tiles)
        + _typed("TileImageInfo", "TileImageInfo", picture)
        + _typed(
            "CacheStorageInfo",
            "CacheStorageInfo",
            _tag("StorageFormat", storage) + _tag("PacketSize", 0 if is_exploded else BUNDLE_TILES),
        ),
    )


def conf_cdi(profile: CacheProfile) -> bytes:
    """The conf.cdi of `profile`: its extent, else where its scheme's tiles can lie.

    GeoWebCache opens no cache without one. Raises BadScheme (no WKT).
    """
    extent = profile.extent or area_of(profile.scheme)
    edges = "".join(map(_tag, ("XMin", "YMin", "XMax", "YMax"), extent.bounds))
    return _document("EnvelopeN", edges + _reference_xml(profile.scheme, profile.name))


def _reference_xml(scheme: TilingScheme, name: str) -> str:
    """The CRS, and the grid of integers that ArcGIS would keep coordinates in: its defaults."""
    crs = scheme.crs
    text = text_of(crs)
    if text is None:
        raise BadScheme(name, BadSchemeReason.NO_CRS)
    degrees = is_geographic(crs)
    left, bottom = (-400.0, -400.0) if degrees else (-20037700.0, -30241100.0)
    domain = (
        ("XOrigin", min(left, scheme.origin_x)),
        ("YOrigin", min(bottom, -abs(scheme.origin_y))),
        ("XYScale", 999999999.99999988 if degrees else 10000.0),
        ("ZOrigin", -100000),
        ("ZScale", 10000),
        ("MOrigin", -100000),
        ("MScale", 10000),
        ("XYTolerance", 8.983152841195215e-09 if degrees else 0.001),
        ("ZTolerance", 0.001),
        ("MTolerance", 0.001),
        ("HighPrecision", "true"),
    )
    inside = _tag("WKT", text) + "".join(_tag(*each) for each in domain)
    if degrees:
        inside += _tag("LeftLongitude", -180)
    wkid = crs.wkid or crs.latest_wkid or code_of(text)
    if wkid is not None:
        inside += _tag("WKID", wkid) + _tag("LatestWKID", crs.latest_wkid or wkid)
    kind = "GeographicCoordinateSystem" if degrees else "ProjectedCoordinateSystem"
    return _typed("SpatialReference", kind, inside)


def _tile_end_xml(profile: CacheProfile) -> str:
    """The lower right corner, where GDAL would take a wrong one; else nothing.

    `TileEnd` is GDAL's own invention: nobody else writes it, GeoWebCache passes it by, and what
    ArcGIS makes of it is not known. So it is written only where GDAL could not open the cache, or
    would cut tiles off, by its assumption that the right and lower edges mirror the origin at 0.
    """
    scheme = profile.scheme
    finest = scheme.levels[-1].resolution
    x, y, slack = scheme.origin_x, scheme.origin_y, _ABOUT_SAME * finest
    extent = profile.extent or area_of(scheme)
    is_inside = extent.xmax <= -x + slack and extent.ymin >= -y - slack
    if is_inside and 0 < max(-2 * x, 2 * y) <= MOST_PIXELS * finest and min(-x, y) > 0:
        return ""
    width, height = scheme.tile_size(scheme.levels[0])
    across, down = max(extent.xmax - x, width), max(y - extent.ymin, height)
    # Whole tiles of the coarsest level, so that GDAL's overviews lie exactly upon each other, and
    # half a pixel, since GDAL rounds the number of pixels down.
    most = (MOST_PIXELS - 1) * finest
    across = min(math.ceil(across / width - SNAP) * width, most) + finest / 2
    down = min(math.ceil(down / height - SNAP) * height, most) + finest / 2
    return _typed("TileEnd", "PointN", _tag("X", x + across) + _tag("Y", y - down))


def _level_xml(level: Level) -> str:
    inside = (
        _tag("LevelID", level.id)
        + _tag("Scale", level.scale)
        + _tag("Resolution", level.resolution)
    )
    return _typed("LODInfo", "LODInfo", inside)


def _document(name: str, inside: str) -> bytes:
    head = '<?xml version="1.0" encoding="utf-8"?>\n'
    root = f'<{name} xsi:type="typens:{name}" {_NAMESPACES}>{inside}</{name}>\n'
    return (head + root).encode()


def _typed(name: str, kind: str, inside: str) -> str:
    return f'<{name} xsi:type="typens:{kind}">{inside}</{name}>'


def _tag(name: str, value: object) -> str:
    """An element with `value`; a float so that it reads back as the same."""
    if isinstance(value, float):
        value = int(value) if value.is_integer() and abs(value) < 2**53 else repr(value)
    text = "".join(c if c.isprintable() else " " for c in str(value))
    return f"<{name}>{html.escape(text, quote=False)}</{name}>"
