"""What a storage format cannot hold is told before a cache is made."""

from __future__ import annotations

from typing import Any

import pytest

from tile_cache_manager.plugin.core.schemes import scheme_of_scales, web_mercator, wgs84
from tile_cache_manager.plugin.core.storage.profile import StorageFormat, TileFormat
from tile_cache_manager.plugin.core.tiling import SpatialReference, TilingScheme
from tile_cache_manager.ui.storage_fit import format_problem, scheme_problem

METRES, NAMELESS = SpatialReference(25832, 25832), SpatialReference(None, None, 'PROJCS["x"]')
ROUND = scheme_of_scales([1e6, 5e5, 1e5], METRES, 0.0, 0.0, 1.0)
ODD = scheme_of_scales([1e6, 314159.0], METRES, 0.0, 0.0, 1.0)
UNNAMED = scheme_of_scales([1e6, 5e5], NAMELESS, 0.0, 0.0, 1.0)
GPKG, MBTILES = StorageFormat.GEOPACKAGE, StorageFormat.MBTILES
FITS = [
    (GPKG, web_mercator(), ""),
    (GPKG, wgs84(512), ""),
    (GPKG, ROUND, ""),
    (GPKG, ODD, "divide each other's tiles"),
    (GPKG, UNNAMED, "has a code"),
    (MBTILES, web_mercator(), ""),
    (MBTILES, ROUND, "Web Mercator"),
    (StorageFormat.TPK, ODD, ""),
    (StorageFormat.COMPACT_V1, ODD, ""),
]


@pytest.mark.parametrize(("storage", "scheme", "words"), FITS)
def test_schemes(qgis_app: Any, storage: StorageFormat, scheme: TilingScheme, words: str) -> None:
    problem = scheme_problem(storage, scheme, scheme.levels)

    assert words in problem
    assert bool(problem) == bool(words)


def test_only_the_chosen_scales_count(qgis_app: Any) -> None:
    assert scheme_problem(GPKG, ODD, ODD.levels[:1]) == ""
    assert scheme_problem(GPKG, ODD, ()) == ""


@pytest.mark.parametrize("storage", StorageFormat)
def test_mixed_tiles_go_everywhere_but_into_mbtiles(qgis_app: Any, storage: StorageFormat) -> None:
    assert bool(format_problem(storage, TileFormat.MIXED)) == (storage is MBTILES)
