"""Several processes write into the same bundles at the same time: every tile is there."""

from __future__ import annotations

import pytest
import readers
from tile_bytes import tile

from safety.writers import Crowd, make_empty_cache, write


@pytest.mark.parametrize("at_once", [1, 16])
def test_all_tiles_are_there(at_once, tmp_path):
    crowd = Crowd(writers=4, bundles=5, tiles=96, at_once=at_once)
    cache = make_empty_cache(tmp_path / "a cache")

    written = write(crowd, cache)

    assert (written.right, written.wanted) == (480, 480)
    files = {path.suffix for path in (cache / "_alllayers").rglob("*") if path.is_file()}
    assert files == {".bundle"}, "nothing is left behind"
    if readers.CHECKER.exists():
        readers.bundle_check(cache, "--spec")


def test_mapproxy_finds_them_all(tmp_path):
    crowd = Crowd(writers=3, bundles=3, tiles=40, at_once=4)
    cache = make_empty_cache(tmp_path)
    write(crowd, cache)

    found = readers.mapproxy_tiles(cache, crowd.keys)

    assert found == {key: tile(*key) for key in crowd.keys}
