"""Cache folders and tile packages as a site exports them: TPKX, TPK, bundles and exploded."""

from __future__ import annotations

import json
import math
import shutil
import time
import uuid
import zipfile
from pathlib import Path
from typing import Any, Protocol
from xml.sax.saxutils import escape

import shapely.geometry
import shapely.ops

from .bundles import BUNDLE_SIDE, LAYERS_FOLDER, write_tile
from .bundles_v1 import CompactV1
from .cache_files import COMPACT, COMPACT_V2, make_cache_folder
from .coverage import transformer
from .drawing import png
from .profiles import Service
from .schemes import WEB_MERCATOR, WGS84, Box, Scheme
from .tile_maker import WRITING

_THUMBNAIL = (200, 133)
_MAP_FOLDER = "v101/Layers"
_MERCATOR_RADIUS = 6378137.0


class TileWriter(Protocol):
    """Takes the tiles of a cache folder."""

    def write(self, level: int, row: int, col: int, data: bytes) -> None: ...

    def close(self) -> None: ...


class _CompactV2:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, level: int, row: int, col: int, data: bytes) -> None:
        with WRITING:
            write_tile(self._folder, level, row, col, data)

    def close(self) -> None:
        """All is written."""


class _Exploded:
    def __init__(self, folder: Path) -> None:
        self._folder = folder / LAYERS_FOLDER

    def write(self, level: int, row: int, col: int, data: bytes) -> None:
        path = exploded_path(self._folder, level, row, col, data)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def close(self) -> None:
        """All is written."""


def exploded_path(layers: Path, level: int, row: int, col: int, data: bytes) -> Path:
    """Return the file of a tile in an exploded cache."""
    ending = "png" if data.startswith(b"\x89PNG") else "jpg"
    return layers / f"L{level:02d}" / f"R{row:08x}" / f"C{col:08x}.{ending}"


def open_writer(
    folder: Path, service: Service, scheme: Scheme, storage: str, extent: Box
) -> TileWriter:
    """Return what takes the tiles of a cache folder, made here where it is missing."""
    if not (folder / "conf.xml").exists():
        make_cache_folder(folder, service, scheme, storage, extent)
    if storage == COMPACT_V2:
        return _CompactV2(folder)
    return CompactV1(folder) if storage == COMPACT else _Exploded(folder)


def pack(
    folder: Path,
    package: Path,
    service: Service,
    scheme: Scheme,
    extent: Box,
    levels: tuple[int, int],
) -> None:
    """Put a cache folder into a package, ``.tpkx`` or ``.tpk``, and delete the folder.

    ``levels`` are the ids of the coarsest and of the finest level.
    """
    write = _write_tpkx if package.suffix == ".tpkx" else _write_tpk
    fresh = package.with_name(package.name + ".new")
    with zipfile.ZipFile(fresh, "w", zipfile.ZIP_STORED) as archive:
        write(archive, folder, service, scheme, extent, levels)
    fresh.replace(package)
    shutil.rmtree(folder)


def _write_tpkx(
    archive: zipfile.ZipFile,
    folder: Path,
    service: Service,
    scheme: Scheme,
    extent: Box,
    levels: tuple[int, int],
) -> None:
    archive.writestr("root.json", json.dumps(_root_json(service, scheme, extent, levels)))
    archive.writestr("iteminfo.json", json.dumps(_item_json(service, scheme, extent)))
    archive.writestr("thumbnail.png", _thumbnail())
    for path in _files(folder / LAYERS_FOLDER):
        archive.write(path, f"tile/{path.relative_to(folder / LAYERS_FOLDER).as_posix()}")


def _write_tpk(
    archive: zipfile.ZipFile,
    folder: Path,
    service: Service,
    scheme: Scheme,
    extent: Box,
    levels: tuple[int, int],
) -> None:
    degrees = _degrees(scheme, extent)
    archive.writestr("esriinfo/iteminfo.xml", _item_xml(service, degrees))
    archive.writestr("esriinfo/item.pkinfo", _package_xml(service))
    archive.writestr("esriinfo/thumbnail/thumbnail.png", _thumbnail())
    contents = json.dumps(_map_server_json(service, degrees))
    archive.writestr("servicedescriptions/mapserver/mapserver.json", contents)
    for path in _files(folder):
        archive.write(path, f"{_MAP_FOLDER}/{path.relative_to(folder).as_posix()}")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _root_json(
    service: Service, scheme: Scheme, extent: Box, levels: tuple[int, int]
) -> dict[str, Any]:
    reference = scheme.reference.as_json()
    first, last = (scheme.lod(level) for level in levels)
    envelope = {**_envelope(extent), "spatialReference": reference}
    return {
        "tileImageInfo": {
            "format": service.tile_format,
            "compressionQuality": service.quality,
            "bandCount": 1,
            "lercError": 0,
        },
        "name": service.name.rpartition("/")[2],
        "version": 1.0,
        "serviceDescription": "",
        "tileBundlesPath": "./tile",
        "spatialReference": reference,
        "units": scheme.reference.units,
        "minLOD": levels[0],
        "maxLOD": levels[1],
        "minScale": first.scale if first else 0,
        "maxScale": last.scale if last else 0,
        "resampling": False,
        "tileInfo": {
            "rows": scheme.tile_size,
            "cols": scheme.tile_size,
            "dpi": scheme.dpi,
            "origin": {"x": scheme.origin[0], "y": scheme.origin[1]},
            "spatialReference": reference,
            "lods": [lod.as_json() for lod in scheme.lods],
        },
        "exportTilesAllowed": False,
        "storageInfo": {"storageFormat": COMPACT_V2, "packetSize": BUNDLE_SIDE},
        "layers": [],
        "initialExtent": envelope,
        "fullExtent": envelope,
    }


def _item_json(service: Service, scheme: Scheme, extent: Box) -> dict[str, Any]:
    name = service.name.rpartition("/")[2]
    return {
        "creator": "ExportTiles",
        "name": name,
        "guid": str(uuid.uuid4()).upper(),
        "version": 1.0,
        "created": int(time.time() * 1000),
        "snippet": "",
        "description": "",
        "summary": "",
        "title": name,
        "tags": "",
        "type": "Compact Tile Package",
        "typeKeywords": ["Compact Tile Package", "Tile Package", "tpkx"],
        "thumbnail": "./thumbnail.png",
        "extent": {**_envelope(_degrees(scheme, extent)), "spatialReference": WGS84.as_json()},
    }


def _item_xml(service: Service, degrees: Box) -> str:
    xmin, ymin, xmax, ymax = degrees
    name = escape(service.name.rpartition("/")[2])
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<ESRI_ItemInformation Culture="en-US"><guid>{{{uuid.uuid4()}}}</guid><name>{name}</name>'
        f"<version>1.0</version><type>Tile Package</type><title>{name}</title>"
        "<typekeywords><typekeyword>Tile Package</typekeyword></typekeywords>"
        f"<extent><xmin>{xmin!r}</xmin><ymin>{ymin!r}</ymin><xmax>{xmax!r}</xmax>"
        f"<ymax>{ymax!r}</ymax></extent></ESRI_ItemInformation>\n"
    )


def _package_xml(service: Service) -> str:
    name = escape(service.name.rpartition("/")[2])
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<ESRI_PackageInformation><name>{name}</name><version>1.0</version>"
        "<packageType>Tile Package</packageType></ESRI_PackageInformation>\n"
    )


def _map_server_json(service: Service, degrees: Box) -> dict[str, Any]:
    envelope = {**_envelope(degrees), "spatialReference": WGS84.as_json()}
    return {
        "name": service.name.rpartition("/")[2],
        "contents": {"mapName": "Layers", "layers": [], "tables": []},
        "resourceInfo": {"geoFullExtent": envelope, "geoInitialExtent": envelope},
        "resources": [],
    }


def _degrees(scheme: Scheme, extent: Box) -> Box:
    """Return the extent in degrees."""
    if scheme.reference.geographic:
        return extent
    if scheme.reference == WEB_MERCATOR:
        xmin, ymin, xmax, ymax = (value / _MERCATOR_RADIUS for value in extent)
        south, north = (math.degrees(math.atan(math.sinh(y))) for y in (ymin, ymax))
        return math.degrees(xmin), south, math.degrees(xmax), north
    moved = shapely.ops.transform(
        transformer(scheme.reference, WGS84), shapely.geometry.box(*extent)
    )
    xmin, ymin, xmax, ymax = moved.bounds
    return xmin, ymin, xmax, ymax


def _envelope(box: Box) -> dict[str, float]:
    return dict(zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))


def _thumbnail() -> bytes:
    width, height = _THUMBNAIL
    return png(width, height, (b"\0" + b"\xd8\xe0\xd0" * width) * height)
