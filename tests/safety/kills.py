"""Updates that are killed at random moments, again and again, and what is in the cache then."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import readers
import tile_packages
from arcgis_server import bundles
from made_caches import profile
from tile_bytes import SIDE, Key, generation_of, tile

from tile_cache_manager.plugin.core.storage.creation import SUFFIXES, create_cache
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings
from tile_cache_manager.plugin.core.tiling import bundle_of

from .updating_script import keys

SCRIPT = Path(__file__).with_name("updating_script.py")
POLL = 0.002  # seconds between two looks at how far an update is
TIMEOUT = 120
STARTED = "started\n"


class Broken(AssertionError):
    """A cache did not survive."""


@dataclass
class Trial:
    """A cache that is updated to one generation after the other by processes that get killed.

    `kills`: how many processes were killed while they were at it. `rounds`: how often an update
    came to its end in spite of that. `midway`: how many of the killed ones had stored a part of
    the tiles. `checked`: tiles that were read and right.
    """

    folder: Path
    storage: StorageFormat = StorageFormat.COMPACT_V2
    size: str = "large"
    seed: int = 1
    kills: int = 0
    rounds: int = 0
    midway: int = 0
    checked: int = 0
    _seconds: float = 0.0
    _generation: int = 0
    _before: dict[Key, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cache = self.folder / f"cache{SUFFIXES.get(self.storage, '')}"
        self.log = self.folder / "stored.log"
        self._keys = keys(self.size)
        self._random = random.Random(self.seed)
        side = 256 if self.storage is StorageFormat.MBTILES else SIDE
        self._side = side
        create_cache(self.cache, profile(self.storage, finest=12, side=side), CacheSettings())
        # Every other supertile is there already, and some tiles that the update is not about.
        there = [key for key in self._keys if (key[1] // 4 + key[2] // 4) % 2]
        there += [(8, 0, 0), (9, 119, 120), (10, 300, 240), (10, 276, 276)]
        self._put(there)
        self._before = dict.fromkeys(there, 0)
        undisturbed = self.folder / f"undisturbed{self.cache.suffix}"
        _copy(self.cache, undisturbed)
        self._seconds = self._undisturbed_seconds(undisturbed)
        self._undisturbed = undisturbed

    def run(self, kills: int) -> None:
        """Kill that many updates. Raises Broken where anything is not as it must be."""
        while self.kills < kills:
            self._round(kills)
            self.rounds += 1

    def _round(self, kills: int) -> None:
        """An update to the next generation, killed and taken up until it is done."""
        self._generation += 1
        self.log.write_text("")
        while not self._is_done_by(self._process(self.cache, self._generation), kills):
            self.kills += 1
            self.midway += 0 < len(set(_logged(self.log))) < len(self._keys)
            self._check_after_kill()
        wanted = {**self._before, **dict.fromkeys(self._keys, self._generation)}
        self._check({key: {generation} for key, generation in wanted.items()}, exactly=True)
        if self._generation == 1 and dict(tiles_of(self.cache, self.storage)) != dict(
            tiles_of(self._undisturbed, self.storage)
        ):
            raise Broken("the tiles differ from those of an undisturbed update")
        self._before = wanted

    def _is_done_by(self, process: subprocess.Popen[str], kills: int) -> bool:
        """Whether the update came to its end, and was not killed at some moment before."""
        with process:
            first = _first_line(process)
            if self.kills < kills and first == STARTED:
                self._kill_at_some_moment(process)
            rest, complaint = process.communicate(timeout=TIMEOUT)
            said = rest if first == STARTED else first + rest  # all was stored before
        if process.returncode == 0:
            if said != f"DONE {len(self._keys)}\n":
                raise Broken(f"the update ended with {said!r}")
            return True
        if complaint:
            raise Broken(complaint)
        return False

    def _kill_at_some_moment(self, process: subprocess.Popen[str]) -> None:
        """Kill the update some moment after it has stored some number of tiles, if it still runs.

        By its progress and not by the clock, so that it is at it on a busy computer, too. The
        moment reaches into its last steps, where all is stored.
        """
        if self._stored() == len(self._keys):
            return  # it was killed in its last steps before; the next round shall begin
        goal = min(self._stored() + self._random.randint(0, len(self._keys) // 6), len(self._keys))
        moment = self._random.uniform(0, self._seconds / 20)
        end = time.monotonic() + TIMEOUT
        while process.poll() is None and self._stored() < goal:
            if time.monotonic() > end:
                raise Broken("an update stands still")
            time.sleep(POLL)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.kill()

    def _stored(self) -> int:
        """How many tiles were said to be stored in this round."""
        return len(set(self.log.read_bytes().splitlines()))

    def _check_after_kill(self) -> None:
        """Every tile is there, whole, old or new; those said to be stored are new."""
        allowed: dict[Key, set[int | None]] = {
            key: {self._before.get(key), self._generation} for key in self._keys
        }
        allowed.update({key: {g} for key, g in self._before.items() if key not in allowed})
        if self.storage.is_zip:
            # The package changes at the end, as a whole; before, what was stored waits beside it.
            self._check(allowed, exactly=True)
            self._check_recovered(allowed)
            return
        for level_id, row, col, generation in _logged(self.log):
            if generation == self._generation:
                allowed[level_id, row, col] = {generation}
        self._check(allowed, exactly=True)

    def _check_recovered(self, allowed: dict[Key, set[int | None]]) -> None:
        with open_store(self.cache, for_writing=True) as store:
            for level_id, row, col, generation in _logged(self.log):
                content = store.read(level_id, row, col)
                if content != tile(level_id, row, col, generation, self._side):
                    raise Broken(f"{level_id, row, col} was said to be stored, and is lost")

    def _check(self, allowed: dict[Key, set[int | None]], *, exactly: bool) -> None:
        found = dict(tiles_of(self.cache, self.storage))
        for key, content in found.items():
            generation = generation_of(content, key, self._side)
            if generation is None:
                raise Broken(f"{key} is no whole tile, or another one's")
            if generation not in allowed.get(key, ()):
                raise Broken(f"{key} is of generation {generation}, not {allowed.get(key)}")
        lost = [key for key, which in allowed.items() if None not in which and key not in found]
        if lost:
            raise Broken(f"{len(lost)} tiles lost, {lost[0]} first")
        self.checked += len(found)
        if self.storage is StorageFormat.COMPACT_V2 and readers.CHECKER.exists():
            readers.bundle_check(self.cache, "--stale-header")

    # Making and updating

    def _put(self, there: list[Key]) -> None:
        parts: dict[tuple[int, tuple[int, int]], dict[tuple[int, int], bytes]] = {}
        for level_id, row, col in there:
            part = parts.setdefault((level_id, bundle_of(row, col)), {})
            part[row, col] = tile(level_id, row, col, 0, self._side)
        with open_store(self.cache, for_writing=True) as store:
            for (level_id, _), part in parts.items():
                store.write(level_id, part)
            store.commit()

    def _undisturbed_seconds(self, cache: Path) -> float:
        process = self._process(cache, 1)
        with process:
            _first_line(process)
            start = time.monotonic()
            said, complaint = process.communicate(timeout=TIMEOUT)
        if said != f"DONE {len(self._keys)}\n":
            raise Broken(f"an undisturbed update ended with {said!r} {complaint}")
        return time.monotonic() - start

    def _process(self, cache: Path, generation: int) -> subprocess.Popen[str]:
        log = self.log if cache == self.cache else self.folder / "undisturbed.log"
        return subprocess.Popen(
            [sys.executable, str(SCRIPT), str(cache), str(generation), str(log), self.size],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise Broken(f"an update did not start: {process.communicate(timeout=TIMEOUT)[1]}")
    return line


def _logged(log: Path) -> Iterator[tuple[int, int, int, int]]:
    for line in log.read_text().splitlines():
        level_id, row, col, generation = map(int, line.split())
        yield level_id, row, col, generation


def _copy(cache: Path, target: Path) -> None:
    if cache.is_dir():
        shutil.copytree(cache, target)
    else:
        shutil.copy(cache, target)


def tiles_of(cache: Path, storage: StorageFormat) -> Iterator[tuple[Key, bytes]]:
    """The tiles of a cache, read without the plugin."""
    if storage is StorageFormat.COMPACT_V2:
        return _tiles_of_bundles(cache)
    if storage is StorageFormat.EXPLODED:
        return _tiles_of_files(cache)
    if storage is StorageFormat.MBTILES:
        return _tiles_of_mbtiles(cache)
    if storage is StorageFormat.GEOPACKAGE:
        return _tiles_of_geopackage(cache)
    if storage is StorageFormat.COMPACT_V1:
        return _of_old_bundles(cache / "_alllayers")
    if storage is StorageFormat.TPK:
        return _tiles_of_old_package(cache)
    return _tiles_of_package(cache)


def _tiles_of_bundles(cache: Path) -> Iterator[tuple[Key, bytes]]:
    for level in (cache / bundles.LAYERS_FOLDER).iterdir():
        level_id = int(level.name[1:])
        for row, col in bundles.tiles_present(cache, level_id):
            yield (level_id, row, col), bundles.read_bytes(cache, level_id, row, col) or b""


def _tiles_of_files(cache: Path) -> Iterator[tuple[Key, bytes]]:
    for path in cache.glob("_alllayers/L*/R*/C*.png"):
        row, col = int(path.parent.name[1:], 16), int(path.stem[1:], 16)
        yield (int(path.parent.parent.name[1:]), row, col), path.read_bytes()


def _tiles_of_mbtiles(cache: Path) -> Iterator[tuple[Key, bytes]]:
    with closing(sqlite3.connect(cache)) as file:
        for zoom, col, row, content in file.execute(
            "SELECT zoom_level, tile_column, tile_row, tile_data FROM tiles"
        ):
            yield (zoom, (1 << zoom) - 1 - row, col), content


def _tiles_of_geopackage(cache: Path) -> Iterator[tuple[Key, bytes]]:
    with closing(sqlite3.connect(cache)) as file:
        for zoom, col, row, content in file.execute(
            "SELECT zoom_level, tile_column, tile_row, tile_data FROM tiles"
        ):
            yield (zoom, row, col), content


def _of_old_bundles(layers: Path) -> Iterator[tuple[Key, bytes]]:
    for key, content in tile_packages.old_cache_tiles(layers).items():
        yield key, content or b""


def _tiles_of_old_package(cache: Path) -> Iterator[tuple[Key, bytes]]:
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(cache) as package:
            package.extractall(folder)
        yield from _of_old_bundles(Path(folder) / "v101" / "Layers" / "_alllayers")


def _tiles_of_package(cache: Path) -> Iterator[tuple[Key, bytes]]:
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(cache) as package:
            package.extractall(folder)
        (Path(folder) / "tile").rename(Path(folder) / bundles.LAYERS_FOLDER)
        yield from _tiles_of_bundles(Path(folder))
