"""`tilecache:defragmentcache`: what replaced and deleted tiles left behind is won back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from arcgis_server import bundles
from local_caches import BLUE, RED, new_cache, picture, tiles_of
from qgis.core import QgsProcessingException, QgsProcessingFeedback

pytestmark = pytest.mark.qgis


@pytest.fixture
def defragment(provider: Any, qgis_processing: Any) -> Any:
    def run_it(
        path: Path | str, feedback: QgsProcessingFeedback | None = None, **parameters: Any
    ) -> dict[str, Any]:
        parameters["INPUT_CACHE"] = str(path)
        algorithm = "tilecache:defragmentcache"
        return dict(qgis_processing.run(algorithm, parameters, feedback=feedback))

    return run_it


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache with a bundle of 16 tiles, half of whose bytes nobody uses, and one without holes."""
    path = new_cache(tmp_path / "my cäches" / "World")
    for colour in (RED, BLUE):
        for place in range(16):
            bundles.write_tile(path, 2, *divmod(place, 4), picture(colour))
    bundles.write_tile(path, 1, 0, 0, picture(RED))
    return path


def size_of(cache: Path) -> int:
    return sum(file.stat().st_size for file in cache.rglob("*.bundle"))


def test_the_room_of_replaced_tiles_is_won_back(defragment: Any, cache: Path) -> None:
    before, tiles, old = size_of(cache), tiles_of(cache), len(picture(RED))
    results = defragment(cache)
    assert results == {"FILES": 1, "BYTES_WON": 16 * (4 + old)}
    assert size_of(cache) == before - results["BYTES_WON"]
    assert {level: set(found) for level, found in tiles_of(cache).items()} == {
        level: set(found) for level, found in tiles.items()
    }
    assert [
        [bundles.read_bytes(cache, 2, *divmod(place, 4)) for place in range(16)],
        bundles.read_bytes(cache, 1, 0, 0),
    ] == [[picture(BLUE)] * 16, picture(RED)]
    assert defragment(cache) == {"FILES": 0, "BYTES_WON": 0}


@pytest.mark.parametrize(("share", "files"), [(90, 0), ("90", 0), (0.1, 1)])
def test_files_with_few_holes_are_left_alone(
    defragment: Any, cache: Path, share: object, files: int
) -> None:
    assert defragment(cache / "conf.xml", LEAST_SHARE=share)["FILES"] == files


@pytest.mark.parametrize("share", [-1, 101, "much"])
def test_a_share_that_is_none(defragment: Any, cache: Path, share: object) -> None:
    before = size_of(cache)
    with pytest.raises(QgsProcessingException):
        defragment(cache, LEAST_SHARE=share)
    assert size_of(cache) == before


def test_what_was_won_is_told(defragment: Any, cache: Path) -> None:
    feedback = QgsProcessingFeedback()
    defragment(cache, feedback)
    assert "1 file written anew, " in feedback.textLog()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("https://site.test/arcgis/rest/services/World/MapServer", "no file of a tile cache"),
        ("/no/such/cache", "There is no file or folder"),
        ("no_such_cache", "There is no file or folder"),
    ],
)
def test_what_is_no_cache_on_this_computer(defragment: Any, text: str, said: str) -> None:
    with pytest.raises(QgsProcessingException, match=said):
        defragment(text)
