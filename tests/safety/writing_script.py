"""One of several processes that write into the same bundles of a cache; run by `writers`.

    python writing_script.py plugin|mapproxy FOLDER NUMBER WRITERS BUNDLES TILES AT_ONCE

Says "ready", waits for a line, then stores its share of the tiles and says for how many seconds.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

import plugin_package  # noqa: E402 - found through the line above
from tile_bytes import Key, tile  # noqa: E402

LEVEL = 11
BUNDLES_ACROSS = 5


def keys_of(bundle: int, tiles: int) -> list[Key]:
    """The tiles of a bundle, packed densely, so that writers meet at neighbouring entries."""
    row, col = divmod(bundle, BUNDLES_ACROSS)
    return [(LEVEL, 128 * row + n // 128, 128 * col + n % 128) for n in range(tiles)]


def share_of(number: int, writers: int, bundle: int, tiles: int) -> list[Key]:
    """What a writer stores in a bundle."""
    return keys_of(bundle, tiles)[number::writers]


def plugin_store(folder: Path) -> Callable[[dict[Key, bytes]], Any]:
    """Stores tiles of one bundle through the plugin."""
    plugin_package.load()
    from tile_cache_manager.plugin.core.storage.opening import open_store

    store = open_store(folder, for_writing=True)
    return lambda tiles: store.write(LEVEL, {key[1:]: content for key, content in tiles.items()})


def mapproxy_store(folder: Path) -> Callable[[dict[Key, bytes]], Any]:
    """Stores tiles through MapProxy's own compact cache."""
    from mapproxy.cache.compact import CompactCacheV2
    from mapproxy.cache.tile import Tile
    from mapproxy.image import ImageResult

    cache = CompactCacheV2(str(folder / "_alllayers"))

    def store(tiles: dict[Key, bytes]) -> None:
        made = []
        for (level, row, col), content in tiles.items():
            made.append(Tile((col, row, level)))
            made[-1].image_result = ImageResult(BytesIO(content))
        cache.store_tiles(made, None)

    return store


def main() -> None:
    who, folder = sys.argv[1], Path(sys.argv[2])
    number, writers, bundles, tiles, at_once = (int(text) for text in sys.argv[3:])
    store = {"plugin": plugin_store, "mapproxy": mapproxy_store}[who](folder)
    batches = []
    for bundle in range(bundles):
        mine = share_of(number, writers, bundle, tiles)
        batches += [mine[start : start + at_once] for start in range(0, len(mine), at_once)]
    random.Random(number).shuffle(batches)
    ready = [{key: tile(*key) for key in batch} for batch in batches]
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.monotonic()
    for batch in ready:
        store(batch)
    print(time.monotonic() - start, flush=True)


if __name__ == "__main__":
    main()
