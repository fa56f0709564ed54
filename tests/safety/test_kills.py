"""An update that is killed again and again leaves a cache that reads, and comes to its end."""

from __future__ import annotations

import pytest

from safety.kills import Trial
from tile_cache_manager.plugin.core.storage.profile import StorageFormat

KILLS = {
    StorageFormat.COMPACT_V2: 15,
    StorageFormat.EXPLODED: 4,
    StorageFormat.MBTILES: 4,
    StorageFormat.TPKX: 4,
    StorageFormat.COMPACT_V1: 6,
    StorageFormat.TPK: 3,
    StorageFormat.GEOPACKAGE: 4,
}


@pytest.mark.parametrize(("storage", "kills"), KILLS.items(), ids=lambda value: str(value))
def test_killed_updates(storage, kills, tmp_path):
    trial = Trial(tmp_path, storage, "small")

    trial.run(kills)

    assert trial.kills == kills
    assert trial.midway >= kills // 4, "most were not at it when they were killed"
