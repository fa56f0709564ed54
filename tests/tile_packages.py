"""Tile packages made and read by hand: by Python's zipfile and the stand-in site's own bundles."""

from __future__ import annotations

import json
import struct
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from arcgis_server import bundles

Tile = tuple[int, int, int]
"""Level id, row, column."""

HALF = 20037508.342787


def root_json(first: int, last: int, **changes: Any) -> dict[str, Any]:
    """A root.json as Esri's packages have it, levels 0 to 22 of the web."""
    crs = {"wkid": 102100, "latestWkid": 3857}
    world = {"xmin": -HALF, "ymin": -HALF, "xmax": HALF, "ymax": HALF, "spatialReference": crs}
    lods = [
        {"level": z, "resolution": 156543.03392804097 / 2**z, "scale": 591657527.591555 / 2**z}
        for z in range(23)
    ]
    return {
        "name": "By hand",
        "version": 1.0,
        "serviceDescription": "made for a test",
        "tileBundlesPath": "./tile",
        "spatialReference": crs,
        "units": "esriMeters",
        "minLOD": first,
        "maxLOD": last,
        "resampling": True,
        "tileInfo": {
            "rows": 256,
            "cols": 256,
            "dpi": 96,
            "origin": {"x": -HALF, "y": HALF},
            "spatialReference": crs,
            "lods": lods,
        },
        "exportTilesAllowed": False,
        "storageInfo": {"storageFormat": "esriMapCacheStorageModeCompactV2", "packetSize": 128},
        "tileImageInfo": {"format": "PNG", "compressionQuality": 0, "bandCount": 1},
        "layers": [],
        "initialExtent": world,
        "fullExtent": world,
        **changes,
    }


def make_package(
    path: Path,
    tiles: Mapping[Tile, bytes],
    *,
    folder: str = "tile",
    root_name: str = "root.json",
    root: Mapping[str, Any] | None = None,
    method: int = zipfile.ZIP_STORED,
    more: Iterable[tuple[str, bytes]] = (),
) -> Path:
    """A package of `tiles`, with explicit folders as Esri's."""
    levels = [level for level, _, _ in tiles] or [0]
    body = root_json(min(levels), max(levels)) if root is None else root
    with tempfile.TemporaryDirectory() as name, zipfile.ZipFile(path, "w", method) as package:
        for (level, row, col), content in tiles.items():
            bundles.write_tile(name, level, row, col, content)
        package.writestr(root_name, json.dumps(body, indent=1))
        if folder:
            package.writestr(f"{folder}/", b"")
        layers = Path(name) / bundles.LAYERS_FOLDER
        for bundle in sorted(layers.glob("*/*.bundle")):
            inside = bundle.relative_to(layers).as_posix()
            package.write(bundle, f"{folder}/{inside}" if folder else inside)
        for member, content in more:
            package.writestr(member, content)
    return path


def tiles_of(path: Path, folder: str = "tile") -> dict[Tile, bytes]:
    """All tiles of a package, read by the stand-in site's reader from what zipfile unpacks."""
    found: dict[Tile, bytes] = {}
    with tempfile.TemporaryDirectory() as name, zipfile.ZipFile(path) as package:
        assert package.testzip() is None
        package.extractall(name)
        (Path(name) / folder).rename(Path(name) / bundles.LAYERS_FOLDER)
        for level, tiles in bundles.read_cache(name).items():
            for row, col in tiles:
                content = bundles.read_bytes(name, level, row, col)
                assert content is not None
                found[level, row, col] = content
    return found


# Bundles of version 1


def old_tiles(data: bytes, index: bytes) -> dict[tuple[int, int], bytes | None]:
    """Tiles by row and column in a bundle of version 1, read by hand; None for what is broken."""
    assert struct.unpack("<4I", index[:16]) == (3, 16, 16384, 5)
    assert len(index) == 16 + 5 * 16384 + 16
    found: dict[tuple[int, int], bytes | None] = {}
    for place in range(16384):
        offset = int.from_bytes(index[16 + 5 * place :][:5], "little")
        (size,) = struct.unpack("<I", data[offset:][:4].ljust(4, b"\xff")) if offset else (0,)
        if size:
            is_whole = offset >= 60 + 4 * 16384 and offset + 4 + size <= len(data)
            found[place % 128, place // 128] = data[offset + 4 :][:size] if is_whole else None
    return found


def old_cache_tiles(layers: Path) -> dict[Tile, bytes | None]:
    """All tiles of a cache of version 1 below `layers`, read by hand."""
    found: dict[Tile, bytes | None] = {}
    for path in layers.glob("L*/R*C*.bundle"):
        index = path.with_suffix(".bundlx")
        if index.exists():
            row, col = (int(part, 16) for part in path.stem[1:].split("C"))
            for (down, right), tile in old_tiles(path.read_bytes(), index.read_bytes()).items():
                found[int(path.parent.name[1:]), row + down, col + right] = tile
    return found
