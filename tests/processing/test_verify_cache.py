"""`tilecache:verifycache`: every tile is looked at; faults are told, counted and mended."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from arcgis_server import bundles
from local_caches import RED, counts_of, new_cache, picture
from qgis.core import QgsProcessingException, QgsProcessingFeedback

pytestmark = pytest.mark.qgis

BUNDLE = Path("_alllayers") / "L02" / "R0000C0000.bundle"


@pytest.fixture
def verify(provider: Any, qgis_processing: Any) -> Any:
    def run_it(
        path: Path | str, feedback: QgsProcessingFeedback | None = None, **parameters: Any
    ) -> dict[str, Any]:
        parameters["INPUT_CACHE"] = str(path)
        return dict(qgis_processing.run("tilecache:verifycache", parameters, feedback=feedback))

    return run_it


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A sound cache of 17 tiles."""
    path = new_cache(tmp_path / "my cäches" / "World")
    for place in range(16):
        bundles.write_tile(path, 2, *divmod(place, 4), picture(RED))
    bundles.write_tile(path, 0, 0, 0, picture(RED))
    return path


def point_outside(cache: Path, slot: int) -> None:
    """Have an entry of the index of level 2's bundle point beyond the end of the file."""
    with (cache / BUNDLE).open("r+b") as bundle:
        bundle.seek(64 + 8 * slot)
        bundle.write(struct.pack("<Q", 500 << 40 | 2**33))


def test_a_sound_cache(verify: Any, cache: Path) -> None:
    feedback = QgsProcessingFeedback()
    assert verify(cache, feedback) == {"TILES": 17, "FAULTS": 0, "MENDED": 0}
    assert "17 tiles checked, all sound." in feedback.textLog()


def test_faults_are_told_and_do_not_fail_the_algorithm(verify: Any, cache: Path) -> None:
    bundles.write_tile(cache, 2, 3, 3, picture(RED)[:-20])
    bundles.write_tile(cache, 2, 3, 2, picture(RED, side=512))
    feedback = QgsProcessingFeedback()
    results = verify(cache / "conf.xml", feedback)
    assert (results["FAULTS"], results["MENDED"]) == (2, 0)
    log = feedback.textLog()
    assert "R0000C0000.bundle, level 2, row 3, column 3: the tile is no whole picture" in log
    assert "row 3, column 2: the picture has another size than the cache's tiles" in log
    assert "2 faults found" in log
    assert counts_of(cache) == {0: 1, 2: 16}


def test_what_can_be_mended_is_mended(verify: Any, cache: Path) -> None:
    bundles.write_tile(cache, 2, 3, 3, picture(RED)[:-20])
    point_outside(cache, slot=1)
    results = verify(cache, MEND=True)
    assert (results["FAULTS"], results["MENDED"]) == (2, 2)
    assert counts_of(cache) == {0: 1, 2: 14}
    assert verify(cache) == {"TILES": 15, "FAULTS": 0, "MENDED": 0}


def test_very_many_faults_are_counted_and_only_some_told(verify: Any, tmp_path: Path) -> None:
    cache = new_cache(tmp_path / "World", finest=5)
    for place in range(300):
        bundles.write_tile(cache, 5, *divmod(place, 32), b"no picture")
    feedback = QgsProcessingFeedback()
    assert verify(cache, feedback)["FAULTS"] == 300
    assert feedback.textLog().count("the tile is no whole picture, can be mended.") == 100
    assert "… and 200 more." in feedback.textLog()


def test_a_check_that_is_cancelled(provider: Any, cache: Path) -> None:
    feedback = QgsProcessingFeedback()
    feedback.cancel()
    from qgis.core import QgsProcessingContext

    algorithm = provider.algorithm("verifycache").create()
    given = {"INPUT_CACHE": str(cache)}
    results, succeeded = algorithm.run(given, QgsProcessingContext(), feedback, {}, False)
    assert succeeded
    assert results["TILES"] == 0
    assert "when the check was cancelled" in feedback.textLog()


def test_what_is_no_cache(verify: Any, tmp_path: Path) -> None:
    with pytest.raises(QgsProcessingException, match=r"neither a conf\.xml nor a root\.json"):
        verify(tmp_path)


def test_a_cache_too_damaged_to_be_checked(verify: Any, cache: Path) -> None:
    (cache / "conf.xml").write_text("<CacheInfo>")
    with pytest.raises(QgsProcessingException, match="so the cache cannot be checked: take it"):
        verify(cache)
