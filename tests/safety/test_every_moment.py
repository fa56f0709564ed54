"""A process dies before each single call that changes a file: tiles are old or new, never broken.

Random kills may miss the narrow moments; these do not. The next process goes on as if nothing had
happened.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import readers
from arcgis_server import bundles
from made_caches import make_compact, profile, write_metadata
from tile_bytes import generation_of, tile

from safety.dying import deaths
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.tiling import TileRange

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

OLD = [(5, 3, 3), (5, 3, 4), (5, 20, 7)]
CHANGED = [(5, 3, 3), (5, 3, 4), (5, 9, 9)]


def contents(generation: int) -> dict[tuple[int, int], bytes]:
    return {key[1:]: tile(*key, generation) for key in CHANGED}


def store_tiles(cache: Path, generation: int) -> None:
    with open_store(cache, for_writing=True) as store:
        store.write(5, contents(generation))


def generations(cache: Path) -> dict[tuple[int, int], int | None]:
    """By tile, as the independent reader finds them; None for what is broken."""
    return {
        place: generation_of(bundles.read_bytes(cache, 5, *place) or b"", (5, *place))
        for place in bundles.tiles_present(cache, 5)
    }


def check(cache: Path) -> None:
    if readers.CHECKER.exists() and list(cache.rglob("*.bundle")):
        readers.bundle_check(cache, "--stale-header")


def reset(cache: Path, original: Path) -> None:
    shutil.rmtree(cache, ignore_errors=True)
    shutil.copytree(original, cache)


@pytest.mark.parametrize("starts_anew", [True, False])
def test_replacing_and_adding_tiles(starts_anew, tmp_path):
    original = make_compact(tmp_path / "original", OLD)
    cache = tmp_path / "cache"
    reset(cache, original)
    died = 0
    before = (lambda: reset(cache, original)) if starts_anew else (lambda: None)
    for moment in deaths(lambda: store_tiles(cache, 1), before):
        found = generations(cache)
        assert found[20, 7] == 0, moment
        assert {found[3, 3], found[3, 4]} <= {0, 1}, moment
        assert found.get((9, 9), 1) == 1, moment
        died += 1
    assert died > 5
    check(cache)

    assert generations(cache) == {(3, 3): 1, (3, 4): 1, (9, 9): 1, (20, 7): 0}


SCATTERED = [(row, col) for row in range(0, 128, 9) for col in range(0, 128, 9)]


def store_scattered(cache: Path, generation: int) -> None:
    """Tiles so scattered over a bundle that the whole index is written, with others in between."""
    with open_store(cache, for_writing=True) as store:
        store.write(5, {place: tile(5, *place, generation) for place in SCATTERED})


def test_replacing_many_scattered_tiles(tmp_path):
    original, cache = tmp_path / "original", tmp_path / "cache"
    make_compact(original, [(5, *place) for place in [*SCATTERED, (20, 7)]])
    died = []
    for moment in deaths(lambda: store_scattered(cache, 1), lambda: reset(cache, original)):
        found = generations(cache)
        assert found.pop((20, 7)) == 0, moment
        assert found.keys() == set(SCATTERED), moment
        assert set(found.values()) <= {0, 1}, moment
        died.append((moment.rpartition(" ")[0], len(set(found.values()))))
    assert ("half of pwrite", 2) in died, "an index was written by half"
    check(cache)

    assert generations(cache) == {**dict.fromkeys(SCATTERED, 1), (20, 7): 0}


EVEN = TileRange(3, 20, 3, 30)
SEA = tile(5, 0, 0)


def store_even(cache: Path, picture: bytes = SEA) -> None:
    with open_store(cache, for_writing=True) as store:
        store.write_even(5, EVEN, every_other(), picture)


def every_other() -> np.ndarray:
    mask = np.zeros((18, 28), dtype=np.bool_)
    mask[::2] = True
    return mask


@pytest.mark.parametrize("is_there", [True, False], ids=["into a bundle", "as its first tiles"])
def test_one_picture_for_many(is_there, tmp_path):
    original, cache = tmp_path / "original", tmp_path / "cache"
    make_compact(original, OLD if is_there else [])
    rows, cols = np.nonzero(every_other())
    even = {(int(row) + 3, int(col) + 3) for row, col in zip(rows, cols)}
    others = {key[1:]: tile(*key) for key in OLD if is_there}
    died = 0
    for moment in deaths(lambda: store_even(cache), lambda: reset(cache, original)):
        for place in bundles.tiles_present(cache, 5):
            found = bundles.read_bytes(cache, 5, *place)
            assert found == others.get(place) or (found == SEA and place in even), moment
        assert others.keys() <= bundles.tiles_present(cache, 5).keys(), moment
        died += 1
        check(cache)
    assert died > 5

    found = {each: bundles.read_bytes(cache, 5, *each) for each in bundles.tiles_present(cache, 5)}
    assert found == {**others, **dict.fromkeys(even, SEA)}


@pytest.mark.parametrize("is_last", [True, False], ids=["all tiles", "all but one"])
def test_deleting_a_block(is_last, tmp_path):
    original, cache = make_compact(tmp_path / "original", OLD), tmp_path / "cache"
    block = TileRange(0, 20 if is_last else 19, 0, 127)
    mask = np.ones((block.max_row + 1, 128), dtype=np.bool_)

    def delete() -> None:
        with open_store(cache, for_writing=True) as store:
            store.delete_block(5, block, mask)
            store.commit()

    died = 0
    for moment in deaths(delete, lambda: reset(cache, original)):
        assert set(generations(cache).values()) <= {0}, moment
        assert is_last or (20, 7) in generations(cache), moment
        died += 1
        check(cache)
        delete()
        assert generations(cache) == ({} if is_last else {(20, 7): 0}), moment
        store_tiles(cache, 1)
        assert set(generations(cache)) >= {(3, 3), (3, 4), (9, 9)}, moment
        times = cache_times(cache)
        assert np.isnan(times[20, 7]) == is_last, moment
    assert died > 2


def cache_times(cache: Path) -> np.ndarray:
    with open_store(cache) as store:
        return store.times(5, TileRange(0, 127, 0, 127))


@pytest.mark.parametrize("store_first", [store_tiles, store_scattered])
def test_the_first_tiles_of_a_bundle(store_first, tmp_path):
    original, cache = tmp_path / "original", tmp_path / "cache"
    write_metadata(original, profile())
    died = 0
    for moment in deaths(lambda: store_first(cache, 1), lambda: reset(cache, original)):
        assert set(generations(cache).values()) <= {1}, moment
        died += 1
        check(cache)
        store_first(cache, 1)
        assert set(generations(cache).values()) == {1}, moment
        assert len(generations(cache)) == (3 if store_first is store_tiles else len(SCATTERED))
        left = {path.suffix for path in (cache / "_alllayers").rglob("*") if path.is_file()}
        assert left == {".bundle"}, "what the dead has left is gone"
    assert died > 10


def test_deleting_tiles(tmp_path):
    cache = make_compact(tmp_path, OLD)

    def delete() -> None:
        with open_store(cache, for_writing=True) as store:
            store.delete(5, [(3, 3), (20, 7)])

    for moment in deaths(delete):
        assert set(generations(cache).values()) == {0}, moment
        assert (3, 4) in generations(cache), moment
    check(cache)

    assert generations(cache) == {(3, 4): 0}


@pytest.mark.parametrize("left", [[(3, 4)], []], ids=["a tile left", "no tile left"])
def test_defragmenting(left, tmp_path):
    cache = make_compact(tmp_path, OLD)
    for row, col in {(3, 3), (3, 4), (20, 7)} - set(left):
        bundles.delete_tile(cache, 5, row, col)

    def defragment() -> None:
        with open_store(cache, for_writing=True) as store:
            for holes in store.holes(5):
                store.defragment(holes)

    for moment in deaths(defragment):
        assert generations(cache) == dict.fromkeys(left, 0), moment
        check(cache)

    assert generations(cache) == dict.fromkeys(left, 0)
    names = [path.name for path in (cache / "_alllayers" / "L05").iterdir()]
    assert names == (["R0000C0000.bundle"] if left else [])


def test_mending(tmp_path):
    cache = make_compact(tmp_path, OLD)
    bundles.write_tile(cache, 5, 9, 9, tile(5, 9, 9)[:-20])
    (path,) = cache.rglob("*.bundle")
    with path.open("r+b") as file:
        file.seek(24)
        file.write(bytes(8))

    def mend() -> None:
        from tile_cache_manager.plugin.core.local.verify import verify
        from tile_cache_manager.plugin.core.request import Feedback

        verify(cache, Feedback(), mend=True)

    for moment in deaths(mend):
        found = generations(cache)
        assert found.pop((9, 9), None) is None, moment
        assert found == {(3, 3): 0, (3, 4): 0, (20, 7): 0}, moment
    assert readers.CHECKER.exists() is False or readers.bundle_check(cache)

    assert generations(cache) == {(3, 3): 0, (3, 4): 0, (20, 7): 0}


def test_exploded(tmp_path):
    write_metadata(tmp_path, profile(StorageFormat.EXPLODED))
    store_tiles(tmp_path, 0)

    def found() -> dict[str, int | None]:
        return {
            f"{path.parent.name}/{path.name}": generation_of(
                path.read_bytes(), (5, int(path.parent.name[1:], 16), int(path.stem[1:], 16))
            )
            for path in tmp_path.rglob("C*.png")
        }

    for moment in deaths(lambda: store_tiles(tmp_path, 1)):
        assert len(found()) == 3, moment
        assert set(found().values()) <= {0, 1}, moment

    assert set(found().values()) == {1}
    files = [path.name for path in (tmp_path / "_alllayers").rglob("*") if path.is_file()]
    assert len(files) == 3, "what the dead have left is gone"
