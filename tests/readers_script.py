"""What `readers` lets another Python run: MapProxy and GDAL at tiles, away from QGIS's own GDAL.

Run by .venv-readers' Python (MapProxy, rasterio's GDAL) or by the system's (Debian's GDAL).
Standard input: a JSON object, whose `task` names a function here; the rest are its arguments.
Standard output: JSON again. With a path and a number as arguments: see `gdal_session`.
"""

from __future__ import annotations

import base64
import json
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

LAYOUTS = ("v2", "v1", "exploded", "gpkg")


def mapproxy_cache(folder: str, layout: str, suffix: str) -> Any:
    """MapProxy's own cache on the folder that holds those of the levels."""
    from mapproxy.cache.compact import CompactCacheV1, CompactCacheV2
    from mapproxy.cache.file import FileCache

    if layout == "v2":
        return CompactCacheV2(folder)
    if layout == "v1":
        return CompactCacheV1(folder)
    if layout == "gpkg":
        from mapproxy.cache.geopackage import GeopackageCache
        from mapproxy.grid.tile_grid import tile_grid

        web = tile_grid(srs="EPSG:3857", origin="nw", num_levels=20)
        return GeopackageCache(folder, web, "tiles")
    return FileCache(folder, suffix, directory_layout="arcgis")


def mapproxy_read(folder: str, layout: str, suffix: str, tiles: list[list[int]]) -> list[Any]:
    """The bytes of each tile (level, row, column), in Base64; null where there is none."""
    from mapproxy.cache.tile import Tile

    cache = mapproxy_cache(folder, layout, suffix)
    found = []
    for level, row, col in tiles:
        tile = Tile((col, row, level))
        cache.load_tile(tile)
        picture = tile.image_result
        if picture is not None and picture.filename:
            found.append(_text(Path(picture.filename).read_bytes()))
        else:
            found.append(None if picture is None else _text(picture.as_buffer().read()))
    return found


def mapproxy_write(folder: str, layout: str, suffix: str, tiles: list[list[Any]]) -> int:
    """Let MapProxy store tiles (level, row, column, Base64; null removes); how many."""
    from mapproxy.cache.tile import Tile
    from mapproxy.image import ImageResult

    cache = mapproxy_cache(folder, layout, suffix)
    for level, row, col, content in tiles:
        tile = Tile((col, row, level))
        if content is None:
            cache.remove_tile(tile)
        else:
            tile.image_result = ImageResult(BytesIO(base64.b64decode(content)))
            cache.store_tile(tile)
    return len(tiles)


def mapproxy_defrag(folder: str, layout: str) -> bool:
    """Let MapProxy's `defrag-compact-cache` write all bundles anew."""
    from mapproxy.script.defrag import defrag_compact_cache

    everything = {"min_percent": float("-inf"), "min_bytes": float("-inf")}
    defrag_compact_cache(mapproxy_cache(folder, layout, ""), **everything)
    return True


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def gdal_pixels(
    path: str, windows: list[dict[str, Any]], output: str, options: dict[str, str]
) -> dict[str, Any]:
    """Read windows of a raster at the resolution of their level; pixels go to the file `output`.

    A window: `key`, `resolution`, `left`, `top` in CRS units, `size` in pixels. `options`: to open
    the raster with.
    """
    import numpy as np

    levels = _levels(path, options)
    found = {}
    for window in windows:
        number = min(levels, key=lambda each: abs(levels[each][0] / window["resolution"] - 1))
        resolution, left, top = levels[number]
        if abs(resolution / window["resolution"] - 1) > 1e-3:
            raise SystemExit(f"no level of resolution {window['resolution']}: {levels}")
        col = round((window["left"] - left) / resolution)
        row = round((top - window["top"]) / resolution)
        raster = _opened(path, number, options)
        found[window["key"]] = _window(raster, col, row, window["size"])
        if rasterio:
            raster.close()
    np.savez(output, **found)
    return {"version": _gdal_version()}


def gdal_session(path: str, number: int) -> None:
    """Keep the raster at `path` open, at overview `number`, and read windows as they are asked for.

    Each line of standard input, "column row size file", is answered by a line once the pixels are
    in the file.
    """
    import numpy as np

    raster = _opened(path, number)
    print("open", flush=True)
    for line in sys.stdin:
        col, row, size, output = line.rstrip("\n").split(" ", 3)
        np.save(output, _window(raster, int(col), int(row), int(size)))
        print("read", flush=True)


def decoded(pictures: list[str], output: str) -> dict[str, Any]:
    """The pixels of pictures (Base64), as GDAL reads each as a file of its own."""
    import numpy as np

    arrays = {}
    for number, picture in enumerate(pictures):
        arrays[str(number)] = _decoded(base64.b64decode(picture))
    np.savez(output, **arrays)
    return {"version": _gdal_version()}


# One GDAL or the other


try:
    import rasterio
    from rasterio.io import MemoryFile
    from rasterio.windows import Window
except ImportError:
    rasterio = None
    from osgeo import gdal

    gdal.UseExceptions()


def _gdal_version() -> str:
    return rasterio.__gdal_version__ if rasterio else gdal.__version__


def _levels(path: str, options: dict[str, str]) -> dict[int, tuple[float, float, float]]:
    """Resolution, left and top by number of the overview; -1: the raster itself."""
    if rasterio:
        with rasterio.open(path, **options) as raster:
            transform, width = raster.transform, raster.width
            factors = raster.overviews(1)
        overviews = (_opened(path, number, options) for number in range(len(factors)))
        widths = [width, *(_closed(overview).width for overview in overviews)]
        resolution, left, top = transform.a, transform.c, transform.f
    else:
        raster = _opened(path, -1, options)
        left, resolution, _, top, _, _ = raster.GetGeoTransform()
        band = raster.GetRasterBand(1)
        overviews = [band.GetOverview(number) for number in range(band.GetOverviewCount())]
        widths = [raster.RasterXSize, *(overview.XSize for overview in overviews)]
    return {
        number - 1: (resolution * widths[0] / each, left, top) for number, each in enumerate(widths)
    }


def _opened(path: str, number: int, options: dict[str, str] | None = None) -> Any:
    """The raster, or one of its overviews, open; -1: the raster itself."""
    given = dict(options or {})
    if number >= 0:
        given["OVERVIEW_LEVEL"] = str(number)
    if rasterio:
        return rasterio.open(path, **given)
    return gdal.OpenEx(path, open_options=[f"{name}={value}" for name, value in given.items()])


def _closed(raster: Any) -> Any:
    raster.close()
    return raster


def _window(raster: Any, col: int, row: int, size: int) -> Any:
    if rasterio:
        return raster.read(window=Window(col, row, size, size))
    return raster.ReadAsArray(col, row, size, size)


def _decoded(content: bytes) -> Any:
    if rasterio:
        with MemoryFile(content) as file, file.open() as raster:
            return raster.read()
    gdal.FileFromMemBuffer("/vsimem/picture", content)
    try:
        return gdal.Open("/vsimem/picture").ReadAsArray()
    finally:
        gdal.Unlink("/vsimem/picture")


_TASKS = (mapproxy_read, mapproxy_write, mapproxy_defrag, gdal_pixels, decoded)
TASKS = {each.__name__: each for each in _TASKS}

if __name__ == "__main__":
    if len(sys.argv) > 1:
        gdal_session(sys.argv[1], int(sys.argv[2]))
        raise SystemExit
    asked = json.load(sys.stdin)
    json.dump(TASKS[asked.pop("task")](**asked), sys.stdout)
