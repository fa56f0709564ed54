"""Which levels of a cache a person can ask for."""

from __future__ import annotations

import pytest

from tile_cache_manager.plugin.core.description import CacheDescription
from tile_cache_manager.plugin.core.errors import UnknownScale
from tile_cache_manager.plugin.core.tiling import Level, SpatialReference, TilingScheme

# Level 2 is cached to level 4; the scheme goes on to both sides.
LEVELS = tuple(Level(key, 64.0 / 2**key, 256000.0 / 2**key) for key in range(1, 7))
DESCRIPTION = CacheDescription(
    address="https://example.com/arcgis/rest/services/Town/MapServer",
    name="Town",
    kind="MapServer",
    scheme=TilingScheme(0, 0, 256, 256, 96, SpatialReference(25832), LEVELS),
    cached_levels=LEVELS[1:4],
    extent=None,
    image_format="PNG",
)


@pytest.mark.parametrize(
    ("scales", "ids"),
    [
        ((), [2, 3, 4]),
        ((64000.0,), [2]),
        ((16000.0, 64000.0), [2, 4]),
        ((32000.0, 32001.0), [3]),
        ((64063.0,), [2]),
    ],
)
def test_levels_of_scales(scales, ids):
    assert [level.id for level in DESCRIPTION.levels_of(scales)] == ids


@pytest.mark.parametrize("scale", [128000.0, 8000.0, 4000.0, 50000.0, 64065.0])
def test_scales_that_are_not_cached_cannot_be_asked_for(scale):
    with pytest.raises(UnknownScale) as caught:
        DESCRIPTION.levels_of((64000.0, scale))
    assert caught.value.scale == scale
    assert caught.value.known == (64000.0, 32000.0, 16000.0)
