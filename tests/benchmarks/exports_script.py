"""What the row `exports` measures in processes of its own; each prints a JSON object.

python exports_script.py mapproxy SOURCE TARGET LEVEL     MapProxy stores the tiles of a cache
python exports_script.py export ADDRESS TARGET LEVEL      an export, and the memory it took
"""

from __future__ import annotations

import json
import sys
import time
from io import BytesIO
from pathlib import Path


def mapproxy(source: str, target: str, level: str) -> dict[str, float]:
    """Seconds in which MapProxy stores the tiles of a level, 16 in a call, which are in memory."""
    from arcgis_server.bundles import read_bytes
    from mapproxy.cache.compact import CompactCacheV2
    from mapproxy.cache.tile import Tile
    from mapproxy.image import ImageResult

    cache, z = CompactCacheV2(target), int(level)
    places = [(row, col) for row in range(2**z) for col in range(2**z)]
    tiles = []
    for row, col in places:
        content = read_bytes(Path(source), z, row, col)
        if content is None:
            raise SystemExit(f"no tile {z}/{row}/{col}")
        tile = Tile((col, row, z))
        tile.image_result = ImageResult(BytesIO(content))
        tiles.append(tile)
    start = time.perf_counter()
    for first in range(0, len(tiles), 16):
        cache.store_tiles(tiles[first : first + 16])
    return {"seconds": time.perf_counter() - start}


def export(address: str, target: str, level: str) -> dict[str, float]:
    """Megabytes that this process took at most while it exported a level of the world."""
    import benchmarks  # noqa: F401 - makes the plugin importable under its own name
    from benchmarks import exports
    from tile_cache_manager.plugin.core.export.request import ExportWay

    exports.export(address, Path(target), int(level), ExportWay.EXPORT_TILES)
    # not by getrusage: that begins with what the process had that started this one
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(line for line in status if line.startswith("VmHWM:"))
    return {"megabytes": int(peak.split()[1]) / 1024}


if __name__ == "__main__":
    tasks = {each.__name__: each for each in (mapproxy, export)}
    print(json.dumps(tasks[sys.argv[1]](*sys.argv[2:])))
