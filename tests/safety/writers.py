"""Several processes that write into the same bundles, and what is there in the end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arcgis_server import bundles
from made_caches import profile, write_metadata
from tile_bytes import Key, tile

from .writing_script import keys_of

SCRIPT = Path(__file__).with_name("writing_script.py")
TIMEOUT = 600


@dataclass(frozen=True)
class Crowd:
    """So many `writers` store `tiles` tiles in each of `bundles` bundles, `at_once` in a call."""

    writers: int = 8
    bundles: int = 15
    tiles: int = 480
    at_once: int = 1

    @property
    def keys(self) -> list[Key]:
        return [key for bundle in range(self.bundles) for key in keys_of(bundle, self.tiles)]


@dataclass(frozen=True)
class Written:
    """What came of it: the `seconds` of the slowest writer, tiles that are right."""

    seconds: float
    right: int
    wanted: int

    @property
    def lost(self) -> int:
        return self.wanted - self.right


def make_empty_cache(folder: Path) -> Path:
    """A cache without tiles, without bundles even: making them is part of the race."""
    write_metadata(folder, profile(finest=12))
    return folder


def write(
    crowd: Crowd,
    folder: Path,
    who: str = "plugin",
    python: str = sys.executable,
    meanwhile: Callable[[], Any] | None = None,
) -> Written:
    """Let them all start at once and wait for the last. Raises RuntimeError where one fails.

    `meanwhile`: done here, again and again, as long as they write.
    """
    numbers = [str(n) for n in (crowd.writers, crowd.bundles, crowd.tiles, crowd.at_once)]
    started = [
        subprocess.Popen(
            [python, str(SCRIPT), who, str(folder), str(number), *numbers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(crowd.writers)
    ]
    try:
        for writer in started:
            assert writer.stdout is not None
            if writer.stdout.readline() != "ready\n":
                raise RuntimeError(f"a writer of {who} did not start")
        for writer in started:
            assert writer.stdin is not None
            writer.stdin.write("\n")
            writer.stdin.flush()
        while meanwhile is not None and any(writer.poll() is None for writer in started):
            meanwhile()
        said = [writer.communicate(timeout=TIMEOUT)[0] for writer in started]
    finally:
        for writer in started:
            if writer.poll() is None:
                writer.kill()
                writer.communicate()
    if any(writer.returncode for writer in started):
        raise RuntimeError(f"a writer of {who} failed")
    return Written(max(map(float, said)), len(right_tiles(crowd, folder)), len(crowd.keys))


def right_tiles(crowd: Crowd, folder: Path) -> set[Key]:
    """The tiles that are there, byte for byte, as an independent reader finds them."""
    return {key for key in crowd.keys if bundles.read_bytes(folder, *key) == tile(*key)}
