"""Tiling schemes for new caches: by name, in the project's CRS, from another cache or a service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from drawn_tiles import layer_of, project_of, world_layer
from osgeo import osr
from qgis.core import QgsCoordinateReferenceSystem

from tile_cache_manager.plugin.core.errors import (
    BadScheme,
    BadSchemeReason,
    DamagedCache,
    NotACache,
    SiteError,
    UnknownScale,
)
from tile_cache_manager.plugin.core.schemes import scheme_of_scales, web_mercator
from tile_cache_manager.plugin.core.storage.creation import create_cache
from tile_cache_manager.plugin.core.storage.opening import read_profile
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings
from tile_cache_manager.plugin.core.tiling import Extent
from tile_cache_manager.plugin.host.schemes import (
    PROJECT,
    WEB_MERCATOR,
    WGS84,
    facts_of,
    read_scheme,
    reference_of,
)

pytestmark = pytest.mark.usefixtures("qgis_app")

osr.UseExceptions()

HALF = 20037508.342789244


def facts(crs: str = "EPSG:3857", *layers: Any):
    with project_of(*layers, crs=crs) as project:
        return facts_of(project)


# By name

NAMED = [
    # text, tile size, dpi, origin, resolution and scale of level 0
    (WEB_MERCATOR, 256, 96, (-HALF, HALF), 156543.03392804097, 591657527.591555),
    (WEB_MERCATOR, 512, 96, (-HALF, HALF), 78271.51696402048, 295828763.795777),
    (WEB_MERCATOR, 512, 192, (-HALF, HALF), 78271.51696402048, 591657527.591555),
    (WGS84, 256, 96, (-180, 90), 0.703125, 295829355.45),
    (WGS84, 512, 96, (-180, 90), 0.3515625, 147914677.73),
]


@pytest.mark.parametrize(("text", "size", "dpi", "origin", "resolution", "scale"), NAMED)
def test_schemes_with_a_name(text, size, dpi, origin, resolution, scale) -> None:
    scheme, _ = read_scheme(text, facts(), size, dpi)

    assert (scheme.origin_x, scheme.origin_y) == pytest.approx(origin)
    assert (scheme.tile_width, scheme.tile_height, scheme.dpi) == (size, size, dpi)
    assert scheme.levels[0].resolution == pytest.approx(resolution, rel=1e-12)
    assert scheme.levels[0].scale == pytest.approx(scale, rel=1e-6)
    assert scheme.crs.wkt


def test_scales_choose_among_the_levels_of_a_named_scheme() -> None:
    scheme, _ = read_scheme(WEB_MERCATOR, facts(), scales=(591657550.5, 577791))

    assert [(level.id, round(level.scale)) for level in scheme.levels] == [
        (0, 591657528),
        (10, 577791),
    ]


@pytest.mark.parametrize("text", [WEB_MERCATOR, WGS84])
def test_other_scales_are_refused(text: str) -> None:
    with pytest.raises(UnknownScale) as caught:
        read_scheme(text, facts(), scales=(25000.0,))
    assert caught.value.scale == 25000.0


# The project's CRS

CRS = [
    *("EPSG:2056", "EPSG:27700", "EPSG:2263", "EPSG:5514", "EPSG:3031", "EPSG:3413"),
    *("EPSG:32633", "EPSG:2193", "EPSG:4258", "ESRI:54030"),
]


@pytest.mark.parametrize("crs", CRS)
def test_a_scheme_in_the_projects_crs(crs: str) -> None:
    bounds = QgsCoordinateReferenceSystem(crs).bounds()
    bounds.scale(0.5)
    layer = layer_of("Polygon", "x", [bounds.asWktPolygon()], "EPSG:4326")
    scheme, extent = read_scheme(PROJECT, facts(crs, layer))

    scales = [level.scale for level in scheme.levels]
    assert scales[-1] == 500
    assert [a / b for a, b in zip(scales, scales[1:])] == [2.0] * (len(scales) - 1)
    assert [level.id for level in scheme.levels] == list(range(len(scales)))
    assert extent is not None
    tiles = scheme.tiles_of_extent(scheme.levels[0], extent)
    assert tiles is not None
    assert scheme.origin_x <= extent.xmin
    assert scheme.origin_y >= extent.ymax
    assert tiles.max_col - tiles.min_col <= 3
    assert tiles.max_row - tiles.min_row <= 3


@pytest.mark.parametrize("crs", CRS)
def test_resolutions_follow_from_scale_dpi_and_unit(crs: str) -> None:
    scheme, _ = read_scheme(PROJECT, facts(crs), 256, 120, (25000.0, 10000.0))

    reference = osr.SpatialReference()
    reference.SetFromUserInput(crs)
    unit = (
        reference.GetLinearUnits() if reference.IsProjected() else 6378137 * 3.141592653589793 / 180
    )
    assert [level.scale for level in scheme.levels] == [25000.0, 10000.0]
    for level in scheme.levels:
        pixel_on_paper = 0.0254 / 120
        assert level.resolution * unit == pytest.approx(level.scale * pixel_on_paper, rel=1e-6)


@pytest.mark.parametrize(("crs", "name"), [("EPSG:3857", WEB_MERCATOR), ("EPSG:4326", WGS84)])
def test_the_usual_crs_have_the_usual_schemes(crs: str, name: str) -> None:
    found = facts(crs)

    assert read_scheme(PROJECT, found)[0] == read_scheme(name, found)[0]


def test_projects_in_one_crs_have_one_scheme() -> None:
    small = layer_of(
        "Polygon",
        "x",
        ["Polygon((2600000 1200000, 2600100 1200000, 2600000 1200100, 2600000 1200000))"],
        "EPSG:2056",
    )

    assert (
        read_scheme(PROJECT, facts("EPSG:2056", small))[0]
        == read_scheme(PROJECT, facts("EPSG:2056", world_layer()))[0]
    )


def test_a_project_without_a_crs() -> None:
    with pytest.raises(BadScheme) as caught:
        read_scheme(PROJECT, facts(""))
    assert caught.value.reason is BadSchemeReason.NO_CRS


def test_the_extent_is_that_of_the_project_in_the_crs_of_the_scheme() -> None:
    corners = [(2600000, 1200000), (2610000, 1200000), (2610000, 1210000), (2600000, 1210000)]
    square = "Polygon((" + ", ".join(f"{x} {y}" for x, y in [*corners, corners[0]]) + "))"
    layer = layer_of("Polygon", "x", [square], "EPSG:2056")
    found = facts("EPSG:2056", layer)

    _, own = read_scheme(PROJECT, found)
    _, web = read_scheme(WEB_MERCATOR, found)
    assert own is not None
    assert own.bounds == pytest.approx((2600000, 1200000, 2610000, 1210000))
    assert web is not None  # Bern: 7.4386 E, 46.951 N
    assert web.xmin == pytest.approx(828066, abs=500)
    assert web.ymin == pytest.approx(5934093, abs=500)


def test_an_empty_project_has_no_extent() -> None:
    assert read_scheme(WEB_MERCATOR, facts())[1] is None


@pytest.mark.parametrize("crs", [*CRS, "EPSG:3857", "EPSG:4326"])
def test_the_crs_is_named_so_that_gdal_understands_it(crs: str) -> None:
    with project_of(crs=crs) as project:
        reference = reference_of(project.crs())

    named, written = osr.SpatialReference(), osr.SpatialReference()
    named.SetFromUserInput(crs)
    assert reference.wkt
    written.ImportFromWkt(reference.wkt)
    assert reference.wkid == int(crs.partition(":")[2])
    for each in (named, written):
        each.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    way = osr.CoordinateTransformation(named, written)
    assert way.TransformPoint(500000.0, 300000.0)[:2] == pytest.approx(
        (500000, 300000), abs=0.01
    ) or (named.IsGeographic())


# From something that has one


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    crs = reference_of(QgsCoordinateReferenceSystem("EPSG:2056"))
    scheme = scheme_of_scales([1e6, 2.5e5], crs, -5120900.0, 9998100.0, 1.0, 512, 96)
    path = tmp_path / "eine Ablage"
    extent = Extent(2500000, 1100000, 2800000, 1290000)
    profile = CacheProfile(scheme, StorageFormat.COMPACT_V2, "PNG", 0, (0, 1), extent)
    create_cache(path, profile, CacheSettings())
    return path


@pytest.mark.parametrize("part", ["", "conf.xml", "_alllayers"])
def test_the_scheme_of_a_cache(part: str, cache: Path) -> None:
    scheme, extent = read_scheme(str(cache / part), facts())

    known = read_profile(cache)
    assert scheme.levels == known.scheme.levels
    assert (scheme.tile_width, scheme.dpi) == (512, 96)
    assert (scheme.origin_x, scheme.origin_y) == (-5120900.0, 9998100.0)
    assert scheme.crs.wkt
    assert extent == known.extent


def test_scales_tile_size_and_dpi_change_the_scheme_of_a_cache(cache: Path) -> None:
    scheme, _ = read_scheme(str(cache), facts(), scales=(250000.0,))
    large, _ = read_scheme(str(cache), facts(), dpi=192)

    assert [level.scale for level in scheme.levels] == [250000.0]
    assert [level.scale for level in large.levels] == [2e6, 5e5]
    with pytest.raises(UnknownScale):
        read_scheme(str(cache), facts(), scales=(25000.0,))


def test_the_scheme_of_a_service(site: Any) -> None:
    address = f"{site.url}/arcgis/rest/services/World/MapServer"
    scheme, extent = read_scheme(address, facts())

    assert scheme.crs.code == 3857
    assert scheme.tile_width == 256
    assert len(scheme.levels) > 1
    assert extent is not None


def test_what_is_not_there_has_no_scheme(tmp_path: Path) -> None:
    with pytest.raises(BadScheme) as caught:
        read_scheme(str(tmp_path / "none"), facts())
    assert caught.value.reason is BadSchemeReason.MISSING


@pytest.mark.parametrize("text", ["", "hello"])
def test_a_text_that_is_nothing(text: str) -> None:
    with pytest.raises(BadScheme):
        read_scheme(text, facts())


def test_a_folder_without_a_scheme_and_a_broken_one(tmp_path: Path) -> None:
    with pytest.raises(NotACache):
        read_scheme(str(tmp_path), facts())
    (tmp_path / "conf.xml").write_text("<CacheInfo><Tile", encoding="utf-8")
    with pytest.raises(DamagedCache):
        read_scheme(str(tmp_path), facts())


def test_a_site_that_does_not_answer() -> None:
    with pytest.raises(SiteError):
        read_scheme("http://127.0.0.1:9/arcgis/rest/services/World/MapServer", facts())


def test_tiles_of_a_named_scheme_are_those_of_the_core() -> None:
    assert read_scheme(WEB_MERCATOR, facts())[0] == web_mercator()
