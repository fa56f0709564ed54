"""The disk fills up in the midst of an update: an error that says so, and nothing is lost.

Full disks are played by the system calls themselves, which works everywhere, and are real ones, of
few megabytes in memory, where the tests may mount such a disk.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import readers
from made_caches import profile
from tile_bytes import SIDE, Key, generation_of, tile

from safety.kills import SUFFIXES, tiles_of
from safety.updating_script import Generation, keys, request_of
from tile_cache_manager.plugin.core.errors import DiskFull
from tile_cache_manager.plugin.core.local.defragment import defragment
from tile_cache_manager.plugin.core.local.update import run_update
from tile_cache_manager.plugin.core.request import Feedback, Outcome, UpdateReport
from tile_cache_manager.plugin.core.storage.creation import create_cache
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings
from tile_cache_manager.plugin.core.tiling import bundle_of

EVERY_KIND = [
    StorageFormat.COMPACT_V2,
    StorageFormat.EXPLODED,
    StorageFormat.MBTILES,
    StorageFormat.TPKX,
    StorageFormat.COMPACT_V1,
    StorageFormat.TPK,
    StorageFormat.GEOPACKAGE,
]
MEGABYTE = 1 << 20


def side_of(storage: StorageFormat) -> int:
    return 256 if storage is StorageFormat.MBTILES else SIDE


def make_cache(folder: Path, storage: StorageFormat) -> Path:
    """A cache with every other supertile of the area, of generation 0."""
    cache = folder / f"cache{SUFFIXES.get(storage, '')}"
    create_cache(cache, profile(storage, finest=12, side=side_of(storage)), CacheSettings())
    parts: dict[tuple[int, tuple[int, int]], dict[tuple[int, int], bytes]] = {}
    for level_id, row, col in there():
        part = parts.setdefault((level_id, bundle_of(row, col)), {})
        part[row, col] = tile(level_id, row, col, 0, side_of(storage))
    with open_store(cache, for_writing=True) as store:
        for (level_id, _), part in parts.items():
            store.write(level_id, part)
        store.commit()
    return cache


def there() -> list[Key]:
    return [key for key in keys() if (key[1] // 4 + key[2] // 4) % 2]


def update(cache: Path, source: Generation) -> UpdateReport:
    with open_store(cache, for_writing=True) as store:
        return run_update(store, source, request_of(store.profile.scheme), Feedback())


def generations(cache: Path, storage: StorageFormat) -> dict[Key, int | None]:
    found = tiles_of(cache, storage)
    return {key: generation_of(content, key, side_of(storage)) for key, content in found}


@contextmanager
def full_after(count: int, monkeypatch) -> Iterator[None]:
    """No room any more once `count` bytes were written; what still fits of a write is written."""
    left = count
    real = os.pwrite

    def pwrite(file, content, offset):
        nonlocal left
        fits = min(left, len(content))
        # What is there already can be written over, however full the disk is.
        if offset + len(content) <= os.fstat(file).st_size:
            return real(file, content, offset)
        if not fits:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left -= fits
        return real(file, bytes(content)[:fits], offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", pwrite)
        yield


@pytest.mark.skipif(not hasattr(os, "pwrite"), reason="needs os.pwrite")
@pytest.mark.parametrize("kilobytes", [0, 1, 100, 700])
def test_no_room_for_another_tile(kilobytes, tmp_path, monkeypatch):
    cache = make_cache(tmp_path, StorageFormat.COMPACT_V2)
    with full_after(1024 * kilobytes, monkeypatch), pytest.raises(DiskFull) as caught:
        update(cache, Generation(1, SIDE))

    assert Path(caught.value.path).suffix == ".bundle"
    found = generations(cache, StorageFormat.COMPACT_V2)
    assert set(found.values()) <= {0, 1}
    assert set(there()) <= set(found), "the old tiles are there"
    assert (1 in found.values()) == (kilobytes >= 100)
    if readers.CHECKER.exists():
        readers.bundle_check(cache)

    report = update(cache, Generation(1, SIDE))

    assert report.outcome is Outcome.DONE
    assert generations(cache, StorageFormat.COMPACT_V2) == dict.fromkeys(keys(), 1)


# --- real disks --------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A disk of 64 MB, in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if not sys.platform.startswith("linux") or shutil.which("mount") is None:
        pytest.skip("no disk in memory on this system")
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a disk in memory")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


class Filling(Generation):
    """Fills the disk, but for some kilobytes, once it has drawn some supertiles."""

    workers = 1

    def __init__(self, side: int, ballast: Path, left: int) -> None:
        super().__init__(1, side)
        self._ballast, self._left, self._drawn = ballast, left, 0

    def draw(self, supertile, cancelled):
        self._drawn += 1
        if self._drawn == 12:
            fill(self._ballast, self._left)
        return super().draw(supertile, cancelled)


def fill(ballast: Path, left: int) -> None:
    free = shutil.disk_usage(ballast.parent).free
    with ballast.open("wb") as file:
        file.write(bytes(max(0, free - left)))


@pytest.mark.parametrize("left", [0, 50_000], ids=["nothing left", "50 kB left"])
@pytest.mark.parametrize("storage", EVERY_KIND, ids=lambda kind: kind.value)
def test_a_disk_that_fills_up(storage, left, disk):
    cache = make_cache(disk, storage)
    before = dict(tiles_of(cache, storage))
    ballast = disk / "ballast"

    with pytest.raises(DiskFull):
        update(cache, Filling(side_of(storage), ballast, left))

    found = generations(cache, storage)
    assert before.keys() <= found.keys(), "the old tiles are there"
    assert set(found.values()) <= {0, 1}
    ballast.unlink()
    report = update(cache, Generation(1, side_of(storage)))
    assert report.outcome is Outcome.DONE
    assert generations(cache, storage) == dict.fromkeys(keys(), 1)


@pytest.mark.parametrize("storage", EVERY_KIND, ids=lambda kind: kind.value)
def test_a_disk_that_was_full_before(storage, disk):
    cache = make_cache(disk, storage)
    before = cache.read_bytes() if cache.is_file() else dict(tiles_of(cache, storage))
    fill(disk / "ballast", 0)

    with pytest.raises(DiskFull):
        update(cache, Generation(1, side_of(storage)))

    after = cache.read_bytes() if cache.is_file() else dict(tiles_of(cache, storage))
    assert after == before


def test_no_room_to_defragment(disk):
    cache = make_cache(disk, StorageFormat.COMPACT_V2)
    with open_store(cache, for_writing=True) as store:
        for level_id, row, col in there()[::2]:
            store.delete(level_id, [(row, col)])
    before = {path: path.read_bytes() for path in cache.rglob("*.bundle")}
    fill(disk / "ballast", 0)

    with pytest.raises(DiskFull):
        defragment(cache, Feedback())

    assert {path: path.read_bytes() for path in cache.rglob("*.bundle")} == before
    assert not list((cache / "_alllayers").rglob("*.part"))
    (disk / "ballast").unlink()
    report = defragment(cache, Feedback())
    assert report.files == len(before)
    assert report.after < report.before
