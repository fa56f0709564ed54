"""What comes before an export of a service: which way, which packages, which tiles."""

from __future__ import annotations

from pathlib import Path

import pytest
from shapely.geometry import MultiPolygon, box

from tile_cache_manager.plugin.core.description import CacheDescription
from tile_cache_manager.plugin.core.errors import (
    AreaOutside,
    EmptyArea,
    ExportNotAllowed,
    ServiceChanged,
)
from tile_cache_manager.plugin.core.export.packers import package_format
from tile_cache_manager.plugin.core.export.request import ExportRequest, ExportWay
from tile_cache_manager.plugin.core.export.site_plan import plan_export
from tile_cache_manager.plugin.core.export.ways import limit_of, ways_of
from tile_cache_manager.plugin.core.level_areas import LevelArea
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.tiling import (
    WEB_MERCATOR_HALF,
    Extent,
    Level,
    SpatialReference,
    TilingScheme,
)

HALF = WEB_MERCATOR_HALF
LEVELS = tuple(Level(z, 2 * HALF / 256 / 2**z, 5.9e8 / 2**z) for z in range(6))
SCHEME = TilingScheme(-HALF, HALF, 256, 256, 96.0, SpatialReference(3857), LEVELS)
NATIONAL = TilingScheme(0.0, 0.0, 256, 256, 96.0, SpatialReference(25832), LEVELS)
WORLD = Extent(-HALF, -HALF, HALF, HALF)

AUTO, TILES, CACHE, SINGLY = (
    ExportWay.AUTO,
    ExportWay.EXPORT_TILES,
    ExportWay.EXPORT_CACHE,
    ExportWay.ONE_BY_ONE,
)


def service(scheme=SCHEME, extent=WORLD, **more):
    return CacheDescription(
        "https://maps.example/arcgis/rest/services/Base/Streets/MapServer",
        "Base/Streets",
        "MapServer",
        scheme,
        scheme.levels,
        extent,
        "PNG8",
        **more,
    )


def request(areas=None, scheme=SCHEME, levels=LEVELS, **more):
    return ExportRequest(scheme, levels, areas, Path("target"), StorageFormat.COMPACT_V2, **more)


@pytest.mark.parametrize(
    ("way", "is_allowed", "is_owner", "is_administered", "expected"),
    [
        (AUTO, True, False, False, (TILES, SINGLY)),
        (AUTO, True, True, True, (TILES, SINGLY)),
        (AUTO, False, False, True, (CACHE,)),
        (AUTO, False, True, True, (CACHE, SINGLY)),
        (AUTO, False, True, False, (SINGLY,)),
        (AUTO, False, False, False, None),
        (TILES, True, False, False, (TILES,)),
        (TILES, False, True, True, None),
        (SINGLY, True, False, False, (SINGLY,)),
        (SINGLY, False, True, False, (SINGLY,)),
        (SINGLY, False, False, True, None),
        (CACHE, False, False, False, (CACHE,)),
        (CACHE, True, False, False, (CACHE,)),
    ],
)
def test_which_way_tiles_are_got(way, is_allowed, is_owner, is_administered, expected):
    asked = request(way=way, is_owner=is_owner)
    description = service(export_tiles_allowed=is_allowed)
    if expected is None:
        with pytest.raises(ExportNotAllowed):
            ways_of(asked, description, lambda: is_administered)
    else:
        assert ways_of(asked, description, lambda: is_administered) == expected


@pytest.mark.parametrize(("told", "limit"), [(None, 100_000), (0, 100_000), (5000, 5000)])
def test_how_many_tiles_at_once(told, limit):
    assert limit_of(service(max_export_tiles=told)) == limit


@pytest.mark.parametrize(
    ("version", "storage", "expected"),
    [
        ("10.81", "esriMapCacheStorageModeCompact", StorageFormat.TPKX),
        ("10.7", "", StorageFormat.TPKX),
        ("11.3", "", StorageFormat.TPKX),
        ("10.61", "", StorageFormat.TPK),
        ("10.31", "esriMapCacheStorageModeExploded", StorageFormat.TPK),
        ("10.61", "esriMapCacheStorageModeCompactV2", StorageFormat.TPKX),
        ("", "", StorageFormat.TPK),
        ("2024.1.x", "", StorageFormat.TPKX),
    ],
)
def test_which_packages_are_asked_for(version, storage, expected):
    assert package_format(service(version=version, storage_format=storage)) is expected


def test_the_whole_cache_is_its_extent():
    extent = Extent(0.0, 0.0, 5e6, 5e6)
    plan = plan_export(request(), service(extent=extent))
    assert plan.level_areas == (LevelArea((0, 1, 2, 3, 4, 5), extent),)
    # nothing is clipped there, or merged as far as that only
    assert [area.area for area in plan.request.areas] == [None]


def test_the_whole_of_a_world_without_an_extent_is_the_world():
    plan = plan_export(request(), service(extent=None))
    assert plan.tiles.count(LEVELS[3]) == 64


def test_the_whole_of_nobody_knows_what_is_refused():
    national = request(scheme=NATIONAL)
    with pytest.raises(EmptyArea):
        plan_export(national, service(scheme=NATIONAL, extent=None))


def test_what_lies_beyond_the_world_is_left_out():
    plan = plan_export(request(box(HALF - 10, 0, HALF + 9e6, 9e6)), service())
    assert plan.tiles.count(LEVELS[1]) == 1


def test_levels_whose_area_is_not_there_have_no_tiles():
    beyond = box(HALF + 10, 0, HALF + 9e6, 9e6)
    areas = (LevelArea((0, 1, 2), WORLD), LevelArea((3, 4, 5), beyond))
    plan = plan_export(request(areas), service())
    assert [level.id for level in plan.levels] == [0, 1, 2]
    assert plan.level_areas == (LevelArea((0, 1, 2), WORLD),)
    with pytest.raises(AreaOutside):
        plan_export(request(beyond), service())


def test_the_target_is_to_be_like_the_service():
    like = plan_export(request(), service(compression_quality=75, text="Streets of all")).like
    assert (like.name, like.image_format, like.text) == ("Streets", "PNG8", "Streets of all")
    assert like.compression_quality == 75
    assert like.scheme == SCHEME


@pytest.mark.parametrize(
    ("asked", "description", "error"),
    [
        (request(), service(scheme=NATIONAL), ServiceChanged),
        (request(MultiPolygon()), service(), EmptyArea),
    ],
)
def test_what_cannot_be_planned_is_refused(asked, description, error):
    with pytest.raises(error):
        plan_export(asked, description)
