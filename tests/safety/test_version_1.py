"""Old bundles, of two files that cannot be replaced together: killed, and without power.

Each moment is played, as for version 2. Read by hand, without the plugin.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from made_caches import profile, write_metadata
from tile_bytes import generation_of, tile
from tile_packages import old_cache_tiles, old_tiles

from safety.dying import deaths
from safety.writers import SCRIPT
from safety.writing_script import keys_of
from tile_cache_manager.plugin.core.storage.bundle_v1 import BundleV1
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.storage.profile import StorageFormat

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="needs os.fork, and open files as Linux shows them"
)

OLD = [(3, 3), (3, 4), (20, 7)]
CHANGED = [(3, 3), (3, 4), (9, 9)]


def store_tiles(cache: Path, places: list[tuple[int, int]], generation: int) -> None:
    with open_store(cache, for_writing=True) as store:
        store.write(5, {place: tile(5, *place, generation) for place in places})
        store.commit()


@pytest.fixture
def original(tmp_path: Path) -> Path:
    folder = tmp_path / "original"
    write_metadata(folder, profile(StorageFormat.COMPACT_V1))
    store_tiles(folder, OLD, 0)
    return folder


def generations(cache: Path) -> dict[tuple[int, int], int | None]:
    """By tile; None for what is broken."""
    found = old_cache_tiles(cache / "_alllayers")
    return {key[1:]: generation_of(content or b"", key) for key, content in found.items()}


def fresh(original: Path, cache: Path) -> Callable[[], None]:
    def make() -> None:
        shutil.rmtree(cache, ignore_errors=True)
        shutil.copytree(original, cache)

    return make


@pytest.mark.parametrize("starts_anew", [True, False])
def test_replacing_and_adding_tiles(original: Path, tmp_path: Path, starts_anew: bool) -> None:
    cache = tmp_path / "cache"
    make = fresh(original, cache)
    make()
    before = make if starts_anew else lambda: None
    allowed = {(3, 3): {0, 1}, (3, 4): {0, 1}, (20, 7): {0}, (9, 9): {1}}

    for moment in deaths(lambda: store_tiles(cache, CHANGED, 1), before):
        found = generations(cache)
        assert set(OLD) <= set(found), moment
        assert all(generation in allowed[place] for place, generation in found.items()), moment

    assert generations(cache) == {(3, 3): 1, (3, 4): 1, (20, 7): 0, (9, 9): 1}


def test_the_first_tiles_of_a_bundle(tmp_path: Path) -> None:
    cache = tmp_path / "cache"

    def make() -> None:
        shutil.rmtree(cache, ignore_errors=True)
        write_metadata(cache, profile(StorageFormat.COMPACT_V1))

    for moment in deaths(lambda: store_tiles(cache, OLD, 1), make):
        assert set(generations(cache).values()) <= {1}, moment

    assert generations(cache) == dict.fromkeys(OLD, 1)


@pytest.mark.parametrize("left", [[(3, 4)], []], ids=["a tile left", "no tile left"])
def test_deleting_and_defragmenting(
    original: Path, tmp_path: Path, left: list[tuple[int, int]]
) -> None:
    cache = tmp_path / "cache"
    fresh(original, cache)()
    gone = [place for place in OLD if place not in left]

    def delete() -> None:
        with open_store(cache, for_writing=True) as store:
            store.delete(5, gone)

    for moment in deaths(delete):
        found = generations(cache)
        assert set(left) <= set(found), moment
        assert set(found.values()) <= {0}, moment
    store_tiles(cache, left, 1)
    wanted = dict.fromkeys(left, 1)

    def defragment() -> None:
        with open_store(cache, for_writing=True) as store:
            for holes in store.holes(5):
                store.defragment(holes)

    for moment in deaths(defragment):
        assert generations(cache) == wanted, moment

    assert generations(cache) == wanted
    with open_store(cache) as store:
        assert [holes.unused for holes in store.holes(5)] == [0] * len(left)
        assert list(store.findings(5)) == []
    names = sorted(path.name for path in (cache / "_alllayers" / "L05").iterdir())
    # Who died between the two removals has left an index, which the next bundle does away with.
    assert names == (["R0000C0000.bundle", "R0000C0000.bundlx"] if left else ["R0000C0000.bundlx"])
    store_tiles(cache, OLD, 2)
    assert generations(cache) == dict.fromkeys(OLD, 2)


def test_several_processes_write_the_same_bundles(tmp_path: Path) -> None:
    write_metadata(tmp_path, profile(StorageFormat.COMPACT_V1, finest=12))
    writers, bundles, tiles = 3, 2, 60
    numbers = [str(each) for each in (writers, bundles, tiles, 5)]
    started = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), "plugin", str(tmp_path), str(number), *numbers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(writers)
    ]
    for writer in started:
        assert writer.stdout.readline() == "ready\n"
    for writer in started:
        writer.stdin.write("\n")
        writer.stdin.flush()
    for writer in started:
        writer.communicate(timeout=60)

    assert [writer.returncode for writer in started] == [0] * writers
    keys = [key for bundle in range(bundles) for key in keys_of(bundle, tiles)]
    assert old_cache_tiles(tmp_path / "_alllayers") == {key: tile(*key) for key in keys}


# Loss of power


Step = tuple[str, int, bytes]
"""A write into the data (offset, content), a sync of it, or an index that takes the old one's."""


def steps_of(path: Path, monkeypatch: pytest.MonkeyPatch, action: Callable[[], None]) -> list[Step]:
    """What is done to the two files of the bundle at `path`, in order."""
    steps: list[Step] = []
    index = path.with_suffix(".bundlx")

    def name_of(file: int) -> str:
        return str(Path(f"/proc/self/fd/{file}").readlink())

    def recorded(name: str, note: Callable[..., None]) -> None:
        real = getattr(os, name)

        def call(*args, **options):
            result = real(*args, **options)
            note(*args)
            return result

        monkeypatch.setattr(os, name, call)

    def wrote(file: int, content: bytes, offset: int) -> None:
        if name_of(file) == str(path):
            steps.append(("write", offset, bytes(content)))

    def synced(file: int) -> None:
        if name_of(file) == str(path):
            steps.append(("sync", 0, b""))

    def renamed(_part: object, target: object) -> None:
        if os.fspath(target) == str(index):
            steps.append(("index", 0, index.read_bytes()))

    recorded("pwrite", wrote)
    for name in ("fsync", "fdatasync"):
        recorded(name, synced)
    for name in ("replace", "rename"):
        recorded(name, renamed)
    action()
    return steps


def disks(data: bytes, index: bytes, steps: list[Step]) -> Iterator[tuple[bytes, bytes]]:
    """What the two files may hold when power is lost after any of `steps`.

    Each write may be there whole, by half, or not; where the file grew, zeros may lie. An index
    is synced before it takes its name, which is sure once the step is done.
    """
    sure: list[Step] = []
    unsure: list[Step] = []
    for kind, offset, content in [("sync", 0, b""), *steps]:
        if kind == "write":
            half = len(content) // 2
            unsure += [("write", offset, content[:half]), ("write", offset + half, content[half:])]
        elif kind == "sync":
            sure, unsure = [*sure, *unsure], []
        else:
            index = content
        for count in range(len(unsure) + 1):
            for chosen in itertools.combinations(unsure, count):
                state = bytearray(data)
                for _, start, piece in (*sure, *chosen):
                    end = start + len(piece)
                    state.extend(bytes(max(0, end - len(state))))
                    state[start:end] = piece
                yield bytes(state), index


@pytest.mark.parametrize("what", ["store", "store twice", "delete", "defragment"])
def test_any_state_of_the_disk_reads(
    original: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    (path,) = original.rglob("*.bundle")
    if what == "defragment":
        store_tiles(original, [(3, 3)], 1)
    data, index = path.read_bytes(), path.with_suffix(".bundlx").read_bytes()

    def action() -> None:
        with BundleV1(path, for_writing=True) as bundle:
            if what == "delete":
                bundle.delete([3 * 128 + 3, 20 * 128 + 7])
            elif what == "defragment":
                bundle.pack()
            for generation in {"store": [1], "store twice": [1, 2]}.get(what, []):
                tiles = {128 * r + c: tile(5, r, c, generation) for r, c in CHANGED}
                bundle.append(tiles)

    steps = steps_of(path, monkeypatch, action)
    states = set(disks(data, index, steps))

    assert len(states) >= 3
    kept = {(3, 4)} if what == "delete" else set(OLD)
    for state in states:
        found = {
            place: generation_of(content or b"", (5, *place))
            for place, content in old_tiles(*state).items()
        }
        assert set(found.values()) <= {0, 1, 2}, "no tile is broken"
        assert kept <= found.keys()
