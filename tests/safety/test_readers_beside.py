"""Programs that keep a cache open while it is updated and defragmented see old or new pictures.

Every picture is of one colour, which tells its place and generation, so that a reader that gets the
bytes of another tile, or half of one, is found out.
"""

from __future__ import annotations

import random
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from made_caches import WORLD, profile
from tile_bytes import Key, chunk

from tile_cache_manager.plugin.core.local.defragment import defragment
from tile_cache_manager.plugin.core.local.source import TileSource
from tile_cache_manager.plugin.core.local.update import run_update
from tile_cache_manager.plugin.core.request import Feedback, UpdateMode, UpdateRequest
from tile_cache_manager.plugin.core.storage.creation import create_cache
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings
from tile_cache_manager.plugin.core.tiling import TileRange

FINEST = 4
SIDE = 1 << FINEST
GENERATIONS = 4


def colour(row: int, col: int, generation: int) -> tuple[int, int, int, int]:
    return (16 * row % 256, 16 * col % 256, 50 * generation % 256, 255)


def picture(row: int, col: int, generation: int) -> bytes:
    """A tile of 256 x 256 pixels of one colour, and of a length of its own."""
    pixels = zlib.compress((b"\0" + bytes(colour(row, col, generation)) * 256) * 256, 1)
    noise = random.Random(f"{row} {col} {generation}").randbytes((row * col * 7 + generation) % 999)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 256, 256, 8, 6, 0, 0, 0)), (b"tEXt", b"a\0" + noise)]
    parts += [(b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, body) for kind, body in parts)


class OneColour(TileSource):
    """Draws the finest level."""

    name = "one colour"
    supertile_side = 8

    def __init__(self, generation: int) -> None:
        self.generation, self.fingerprint = generation, str(generation)

    def start(self, profile):
        pass

    def draw(self, supertile, cancelled):
        block = supertile.block
        return {
            (row, col): picture(row, col, self.generation)
            for row in range(block.min_row, block.max_row + 1)
            for col in range(block.min_col, block.max_col + 1)
        }

    def close(self):
        pass


def update(cache: Path, generation: int) -> None:
    with open_store(cache, for_writing=True) as store:
        scheme = store.profile.scheme
        levels = (scheme.level(FINEST),)
        request = UpdateRequest(scheme, levels, UpdateMode.RECREATE_ALL, extent=WORLD)
        run_update(store, OneColour(generation), request, Feedback())


@pytest.fixture
def cache(tmp_path) -> Path:
    folder = tmp_path / "cache"
    made = profile(StorageFormat.COMPACT_V2, finest=FINEST, side=256)
    create_cache(folder, made, CacheSettings())
    update(folder, 0)
    return folder


def updates_and_defragments(cache: Path, done: threading.Event) -> threading.Thread:
    """Write new generations, with holes and without, until all are written; then `done`."""

    def work() -> None:
        try:
            for generation in range(1, GENERATIONS):
                update(cache, generation)
                defragment(cache, Feedback())
        finally:
            done.set()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_gdal(cache):
    """GDAL keeps index and file open: it sees the old generation, whole, until it opens again."""
    gdal = pytest.importorskip("osgeo.gdal", reason="GDAL's Python is not installed")
    if gdal.GetDriverByName("ESRIC") is None:
        pytest.skip("this GDAL reads no Esri caches")
    gdal.UseExceptions()
    script = [sys.executable, "-c", GDAL_SCRIPT, str(cache / "conf.xml"), str(FINEST)]
    reader = subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        for generation in range(1, GENERATIONS):
            ask(reader, "read")
            update(cache, generation)
            assert answer(reader) == [0], "read while the cache was written to"
            ask(reader, "read")
            defragment(cache, Feedback())
            assert answer(reader) == [0], "read while the file was replaced"
        ask(reader, "reopen")
        ask(reader, "read")
        assert answer(reader) == [GENERATIONS - 1]
        reader.stdin.close()
        assert reader.wait(60) == 0


def ask(reader, what: str) -> None:
    reader.stdin.write(f"{what}\n")
    reader.stdin.flush()


def answer(reader) -> list[int]:
    """The generations that the reader has seen, all tiles being right."""
    return [int(word) for word in reader.stdout.readline().split()]


GDAL_SCRIPT = f"""
import sys
import numpy as np
from osgeo import gdal

gdal.UseExceptions()
gdal.SetCacheMax(0)
side = 1 << int(sys.argv[2])
kept = gdal.Open(sys.argv[1])
kept.ReadAsArray(0, 0, 256, 256)
print("ready", flush=True)
for line in sys.stdin:
    if line == "reopen\\n":
        kept = gdal.Open(sys.argv[1])
        continue
    kept.FlushCache()
    seen = set()
    for row in range(side):
        for col in range(side):
            pixels = kept.ReadAsArray(256 * col, 256 * row, 256, 256)
            red, green, blue, alpha = pixels[:, 0, 0].tolist()
            assert (pixels == pixels[:, :1, :1]).all(), "not one colour"
            assert (red, green, alpha) == (16 * row % 256, 16 * col % 256, 255), "another tile"
            seen.add(blue // {50})
    print(*sorted(seen), flush=True)
"""


def test_our_own_reader(cache):
    """Reads tile after tile, all the while, from a store of its own."""
    done = threading.Event()
    seen: dict[Key, set[int]] = {}
    rng = random.Random(2)
    pictures = {
        (row, col): {picture(row, col, g): g for g in range(GENERATIONS)}
        for row in range(SIDE)
        for col in range(0, SIDE, 4)
    }
    read, block = 0, TileRange(0, SIDE - 1, 0, SIDE - 1)
    with open_store(cache) as store:
        writer = updates_and_defragments(cache, done)
        while not done.is_set():
            row, col = rng.choice(list(pictures))
            content = store.read(FINEST, row, col)
            assert content in pictures[row, col], "neither an old picture nor a new one"
            generation = pictures[row, col][content]
            before = seen.setdefault((FINEST, row, col), set())
            assert not before or generation >= max(before), "an older one than before"
            before.add(generation)
            read += 1
            assert bool(np.all(store.exists(FINEST, block)))
        writer.join()
    assert read > 100
    assert {generation for found in seen.values() for generation in found} > {0}
