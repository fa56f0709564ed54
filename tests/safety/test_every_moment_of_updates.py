"""An update dies before each single call that changes a file, and is taken up: nothing is missed.

Drawn tiles and even squares, stored in batches, into a cache that has some tiles already.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import readers
from arcgis_server import bundles
from core.local.fakes import HALF, PlainSource, Tile, picture
from made_caches import make_compact, profile

from safety.dying import deaths
from tile_cache_manager.plugin.core.local import bundle_run
from tile_cache_manager.plugin.core.local.source import Supertile
from tile_cache_manager.plugin.core.local.update import run_update
from tile_cache_manager.plugin.core.request import (
    Feedback,
    Outcome,
    UpdateMode,
    UpdateReport,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.tiling import Extent, Level, TileRange

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

LEVELS = (3,)
WORLD = Extent(-HALF, -HALF, HALF, HALF)
OLD = [(3, 0, 0), (3, 1, 2), (3, 7, 7)]
NIGHT = picture(0, 0, 0)


class HalfNight(PlainSource):
    """The south is all night."""

    def even(self, level: Level, block: TileRange) -> bytes | None:
        return NIGHT if block.min_row >= 2**level.id / 2 else None

    def pictures(self, supertile: Supertile) -> dict[Tile, bytes]:
        assert not self.even(supertile.level, supertile.block), "drawn for nothing"
        return super().pictures(supertile)


def update(cache: Path, mode: UpdateMode) -> UpdateReport:
    with open_store(cache, for_writing=True) as store:
        scheme = store.profile.scheme
        levels = tuple(level for level in scheme.levels if level.id in LEVELS)
        asked = UpdateRequest(scheme, levels, mode, extent=WORLD)
        return run_update(store, HalfNight(supertile_side=2, workers=1), asked, Feedback())


def expected(mode: UpdateMode, old: dict[tuple[int, int, int], bytes]) -> dict[object, bytes]:
    return {
        key: old[key] if key in old and mode is UpdateMode.RECREATE_EMPTY else new
        for level in LEVELS
        for row in range(2**level)
        for col in range(2**level)
        for key in [(level, row, col)]
        for new in [NIGHT if row >= 2**level / 2 else picture(level, row, col)]
    }


def contents(cache: Path) -> dict[tuple[int, int, int], bytes | None]:
    return {
        (level, row, col): bundles.read_bytes(cache, level, row, col)
        for level in LEVELS
        for row, col in bundles.tiles_present(cache, level)
    }


@pytest.mark.parametrize("mode", [UpdateMode.RECREATE_ALL, UpdateMode.RECREATE_EMPTY])
def test_an_update_is_taken_up_after_each_death(
    mode: UpdateMode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_run, "BATCH_BYTES", 2000)
    original = make_compact(tmp_path / "original", OLD, profile(finest=3, side=256))
    old = {key: content for key, content in contents(original).items() if content is not None}
    wanted, cache, died = expected(mode, old), tmp_path / "cache", 0

    def reset() -> None:
        shutil.rmtree(cache, ignore_errors=True)
        shutil.copytree(original, cache)

    for moment in deaths(lambda: update(cache, mode), reset):
        found = contents(cache)
        assert all(content in (wanted[key], old.get(key)) for key, content in found.items()), moment
        report = update(cache, mode)
        assert report.outcome is Outcome.DONE, moment
        assert contents(cache) == wanted, moment
        assert [(each.planned, each.failed, each.gaps) for each in report.levels] == [
            (4**level, 0, 0) for level in LEVELS
        ], moment
        died += 1

    assert died > 40
    if readers.CHECKER.exists():
        readers.bundle_check(cache)
