"""Loss of power: what was not synced may be on the disk or not, in any order.

The calls that write and sync a bundle are recorded; then each state is played that a disk may be
found in afterwards. That a synced write is there, and that eight aligned bytes are whole or not
written at all, is all that is taken for granted of a disk.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from arcgis_server import bundles
from made_caches import make_compact
from tile_bytes import generation_of, tile

from tile_cache_manager.plugin.core.local.defragment import defragment
from tile_cache_manager.plugin.core.request import Feedback
from tile_cache_manager.plugin.core.storage.files import write_whole
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.tiling import TileRange

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="looks up open files as Linux shows them"
)
OLD = [(5, 3, 3), (5, 3, 4), (5, 20, 7)]
CHANGED = [(5, 3, 3), (5, 3, 4), (5, 9, 9)]
SEA = b"\x89PNG one picture for many tiles"


@dataclass(frozen=True)
class Call:
    """A call that changed the file or folder at `path`, or synced it (`content` None)."""

    kind: str
    path: str
    offset: int = 0
    content: bytes | None = None


@pytest.fixture
def calls(monkeypatch) -> list[Call]:
    """What is written and synced from now on, in order."""
    found: list[Call] = []

    def path_of(file) -> str:
        is_open = isinstance(file, int)
        return str(Path(f"/proc/self/fd/{file}").readlink()) if is_open else os.fspath(file)

    def record(name, kind, what):
        real = getattr(os, name)

        def call(*args, **options):
            found.append(Call(kind, path_of(args[0]), *what(*args)))
            return real(*args, **options)

        monkeypatch.setattr(os, name, call)

    record("pwrite", "write", lambda file, content, offset: (offset, bytes(content)))
    for name in ("fsync", "fdatasync"):
        record(name, "sync", lambda file: ())
    for name in ("replace", "rename"):
        record(name, "rename", lambda source, target: (0, os.fspath(target).encode()))
    record("unlink", "unlink", lambda path, **options: ())
    return found


def disks(before: bytes, calls: list[Call], path: Path) -> Iterator[bytes]:
    """What the file at `path` may hold when power is lost after any of `calls`."""
    mine = [call for call in calls if call.path == str(path)]
    for end in range(len(mine) + 1):
        done = mine[:end]
        last_sync = max((n for n, call in enumerate(done) if call.kind == "sync"), default=-1)
        sure = [call for call in done[: last_sync + 1] if call.kind == "write"]
        unsure = [call for call in done[last_sync + 1 :] if call.kind == "write"]
        pieces = [piece for call in unsure for piece in pieces_of(call)]
        for count in range(len(pieces) + 1):
            for chosen in itertools.combinations(pieces, count):
                # The file may have grown without what belongs there: zeros.
                content = bytearray(before)
                for call in (*sure, *chosen):
                    place = slice(call.offset, call.offset + len(call.content))
                    content.extend(bytes(max(0, place.stop - len(content))))
                    content[place] = call.content
                yield bytes(content)


def pieces_of(call: Call) -> list[Call]:
    """Parts of a write that may get lost apart: entries, and halves of anything else."""
    size = len(call.content)
    step = 8 if size % 8 == 0 and 64 <= call.offset < 131136 else max(8, size // 16 * 8)
    return [
        Call("write", call.path, call.offset + start, call.content[start : start + step])
        for start in range(0, size, step)
    ]


@pytest.mark.parametrize("what", ["store", "store twice", "store one for all", "delete"])
def test_any_state_of_the_disk_reads(what, calls, tmp_path):
    cache = make_compact(tmp_path / "cache", OLD)
    (path,) = cache.rglob("*.bundle")
    before = path.read_bytes()
    calls.clear()
    with open_store(cache, for_writing=True) as store:
        if what == "delete":
            store.delete(5, [(3, 3), (20, 7)])
        elif what == "store one for all":
            store.write_even(5, TileRange(3, 3, 2, 5), np.ones((1, 4), dtype=np.bool_), SEA)
        else:
            store.write(5, {key[1:]: tile(*key, 1) for key in CHANGED})
        if what == "store twice":
            store.write(5, {key[1:]: tile(*key, 2) for key in CHANGED})

    states = set(disks(before, calls, path))

    assert len(states) > 3
    for state in states:
        path.write_bytes(state)
        contents = {
            place: bundles.read_bytes(cache, 5, *place) or b""
            for place in bundles.tiles_present(cache, 5)
        }
        found = {
            place: 2 if content == SEA else generation_of(content, (5, *place))
            for place, content in contents.items()
        }
        assert set(found.values()) <= {0, 1, 2}, "no tile is broken"
        kept = {(3, 4)} if what == "delete" else {(3, 3), (3, 4), (20, 7)}
        assert kept <= found.keys()


def kinds(calls: list[Call], *paths: Path) -> list[tuple[str, str]]:
    wanted = {str(path) for path in paths}
    return [(call.kind, Path(call.path).name) for call in calls if call.path in wanted]


def test_new_files_are_synced_before_they_take_their_name(calls, tmp_path):
    path = tmp_path / "settings.json"
    write_whole(path, b"{}")

    rename = next(n for n, call in enumerate(calls) if call.kind == "rename")
    part = calls[rename].path
    assert calls[rename].content == str(path).encode()
    assert kinds(calls[:rename], Path(part)) == [("sync", Path(part).name)]
    assert kinds(calls[rename:], tmp_path) == [("sync", tmp_path.name)]


def test_defragmented_bundles_are_synced_before_they_take_their_name(calls, tmp_path):
    cache = make_compact(tmp_path / "cache", OLD)
    bundles.write_tile(cache, 5, 3, 3, tile(5, 3, 3, 1))
    (path,) = cache.rglob("*.bundle")
    calls.clear()

    assert defragment(cache, Feedback()).files == 1

    (rename,) = [n for n, call in enumerate(calls) if call.kind == "rename"]
    assert calls[rename].content == str(path).encode()
    part = Path(calls[rename].path)
    assert kinds(calls[:rename], part) == [("sync", part.name)]
    assert kinds(calls[rename:], path.parent) == [("sync", path.parent.name)]


@pytest.mark.parametrize("is_even", [True, False])
def test_a_new_bundle_is_synced_before_it_takes_its_name(is_even, calls, tmp_path):
    cache = make_compact(tmp_path / "cache", [])
    with open_store(cache, for_writing=True) as store:
        if is_even:
            store.write_even(5, TileRange(3, 3, 2, 5), np.ones((1, 4), dtype=np.bool_), SEA)
        else:
            store.write(5, {key[1:]: tile(*key) for key in OLD})

    (path,) = cache.rglob("*.bundle")
    (rename,) = [n for n, call in enumerate(calls) if call.kind == "rename"]
    assert calls[rename].content == str(path).encode()
    part = Path(calls[rename].path)
    assert kinds(calls[:rename], part) == [("sync", part.name)]
    assert kinds(calls[rename:], path, path.parent) == [("sync", path.parent.name)]


def test_a_removed_bundle_is_gone_once_committed(calls, tmp_path):
    cache = make_compact(tmp_path / "cache", OLD)
    (path,) = cache.rglob("*.bundle")
    calls.clear()
    whole = np.ones((128, 128), dtype=np.bool_)
    with open_store(cache, for_writing=True) as store:
        assert store.delete_block(5, TileRange(0, 127, 0, 127), whole) == 3
        assert kinds(calls, path, path.parent) == [("unlink", path.name)]
        store.commit()
        assert kinds(calls, path, path.parent)[1:] == [("sync", path.parent.name)]
        calls.clear()
        store.commit()
    assert calls == [], "nothing is left to do"


def test_what_is_committed_is_synced(calls, tmp_path):
    cache = make_compact(tmp_path / "cache", OLD)
    (path,) = cache.rglob("*.bundle")
    calls.clear()
    with open_store(cache, for_writing=True) as store:
        store.write(5, {key[1:]: tile(*key, 1) for key in CHANGED})
        store.commit()

    assert [call.kind for call in calls if call.path == str(path)][-1] == "sync"
