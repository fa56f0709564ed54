"""Several processes write into the same bundles at the same time: every tile is there."""

from __future__ import annotations

import pytest
import readers
from tile_bytes import tile

from safety.writers import Crowd, make_empty_cache, write
from tile_cache_manager.plugin.core.local.verify import verify
from tile_cache_manager.plugin.core.request import Feedback
from tile_cache_manager.plugin.core.storage.opening import open_store


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


def test_defragmenting_beside_writers(tmp_path):
    """Bundles are replaced by new files, also removed and made again, while others write them."""
    crowd = Crowd(writers=3, bundles=2, tiles=240)
    cache = make_empty_cache(tmp_path)
    reports = []

    def defragment_all() -> None:
        with open_store(cache, for_writing=True) as store:
            for level_id in store.level_ids():
                for holes in store.holes(level_id):
                    reports.append(store.defragment(holes))

    written = write(crowd, cache, meanwhile=defragment_all)

    assert (written.right, written.wanted) == (480, 480)
    assert len(reports) > 10


def test_verifying_beside_writers(tmp_path):
    """Who verifies takes no lock, and yet finds nothing wrong with what is being written."""
    crowd = Crowd(writers=2, bundles=3, tiles=200)
    cache = make_empty_cache(tmp_path)
    found = []

    written = write(crowd, cache, meanwhile=lambda: found.append(verify(cache, Feedback())))

    assert written.lost == 0
    assert {finding for report in found for finding in report.findings} == set()
    assert len({sum(report.tiles.values()) for report in found}) > 2
