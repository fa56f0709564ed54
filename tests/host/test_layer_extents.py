"""Union and intersection of the extents of a project's layers, whatever the project's CRS."""

from __future__ import annotations

import numpy as np
import pytest
from host.samples import crs, degrees, gdal_transformation, layer_of, swiss, web_mercator
from qgis.core import QgsProject, QgsRectangle, QgsVectorLayer
from shapely.geometry import box

from tile_cache_manager.plugin.core.coverage import count_tiles
from tile_cache_manager.plugin.core.description import CacheDescription
from tile_cache_manager.plugin.core.errors import AreaOutside, BadArea, BadAreaReason
from tile_cache_manager.plugin.core.tiling import Extent, Level, SpatialReference, TilingScheme
from tile_cache_manager.plugin.host import areas

pytestmark = pytest.mark.usefixtures("qgis_app")

PROJECTS = ["EPSG:3857", "EPSG:25832", "EPSG:3031", "EPSG:2193", ""]


def extents_layer(code: str, bounds: tuple, name: str = "extent") -> QgsVectorLayer:
    layer = layer_of([box(*bounds).wkt], code=code)
    layer.setName(name)
    return layer


def polar() -> CacheDescription:
    """A map service of the Antarctic in polar stereographic metres, EPSG:3031."""
    levels = (Level(0, 20000, 75590551), Level(1, 2000, 7559055))
    scheme = TilingScheme(-5e6, 5e6, 256, 256, 96, SpatialReference(3031, 3031), levels)
    extent = Extent(-4e6, -4e6, 4e6, 4e6)
    return CacheDescription(
        "https://site.test/arcgis/rest/services/South/MapServer", "South", "MapServer", scheme,
        levels, extent, "PNG", "10.81", (),
    )  # fmt: skip


WORLD_LAYERS = [
    ("EPSG:4326", (-180, -90, 180, 83.6)),
    ("EPSG:3857", (-20037508.34, -20037508.34, 20037508.34, 20037508.34)),
]
HARZ = ("EPSG:25832", (590000, 5720000, 640000, 5760000))
BESIDE_SWITZERLAND = [("EPSG:4326", (5, 45, 8, 48)), ("EPSG:3857", (8e5, 58e5, 14e5, 61e5))]
SOUTH = [("EPSG:4326", (-180, -90, 180, 90)), ("EPSG:3031", (-1e6, -2e6, 3e6, 1e6))]

SETS = [
    ("world layers and a small one", [*WORLD_LAYERS, HARZ], web_mercator()),
    ("the same in degrees", [*WORLD_LAYERS, HARZ], degrees()),
    ("around a national cache", BESIDE_SWITZERLAND, swiss()),
    ("the world around a national cache", [*WORLD_LAYERS, *BESIDE_SWITZERLAND], swiss()),
    ("around the south pole", SOUTH, polar()),
]


@pytest.mark.parametrize("code", PROJECTS)
@pytest.mark.parametrize(
    ("layers", "description"), [case[1:] for case in SETS], ids=[case[0] for case in SETS]
)
def test_the_union_holds_every_layer_and_every_layer_the_intersection(
    layers: list, description: CacheDescription, code: str
) -> None:
    here = {how: tiles_of(layers, description, code, how) for how in ("union", "intersection")}
    elsewhere = {
        how: tiles_of(layers, description, "EPSG:4326", how) for how in ("union", "intersection")
    }
    assert here == elsewhere
    for layer in layers:
        alone = tiles_of([layer], description, code, "union")
        for level in alone:
            assert here["union"][level] >= alone[level] >= here["intersection"][level] > 0


@pytest.mark.parametrize("code", PROJECTS)
def test_the_figures_of_world_layers_and_a_small_one(code: str) -> None:
    # at 38.2 m per pixel the world is 4096 tiles wide and high
    layers = [*WORLD_LAYERS, HARZ]
    assert tiles_of(layers, web_mercator(), code, "union")[12] == 4096 * 4096
    there = bounds_by_gdal(*HARZ, "EPSG:3857")
    expected = count_tiles(web_mercator().scheme, web_mercator().scheme.levels, Extent(*there))
    assert tiles_of(layers, web_mercator(), code, "intersection") == expected


ACROSS_180 = [
    ("one layer", [("EPSG:2193", (1.6e6, 5.0e6, 2.6e6, 5.6e6))], "union"),
    ("with the world", [("EPSG:2193", (1.6e6, 5.0e6, 2.6e6, 5.6e6)),
                        ("EPSG:4326", (-180, -90, 180, 90))], "intersection"),
    ("one on each side", [("EPSG:4326", (170, -50, 180, -40)),
                          ("EPSG:4326", (-180, -45, -174, -35))], "union"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("layers", "how"), [case[1:] for case in ACROSS_180], ids=[case[0] for case in ACROSS_180]
)
def test_layers_that_cross_the_antimeridian_do_not_stand_for_the_whole_world(
    layers: list, how: str
) -> None:
    area = areas.resolve(areas.project_extents(project_of(layers), how), degrees())
    east, west = sorted(area.geoms, key=lambda part: -part.bounds[0])
    assert (east.bounds[2], west.bounds[0]) == (180, -180)
    assert 165 < east.bounds[0] < 180
    assert -180 < west.bounds[2] < -170


def test_layers_without_extent_or_crs_do_not_count() -> None:
    nowhere = extents_layer("EPSG:4326", (100, 0, 110, 10))
    nowhere.setCrs(crs(""))
    project = project_of([("EPSG:3857", (0, 0, 1113194.9, 1118889.97))])  # 0 0 10 10 in degrees
    project.addMapLayers([
        extents_layer("EPSG:4326", (5, 5, 20, 30)),
        QgsVectorLayer("None", "table", "memory"),
        layer_of([]),
        nowhere,
    ])  # fmt: skip
    union = areas.resolve(areas.project_extents(project, "union"), degrees())
    overlap = areas.resolve(areas.project_extents(project, "intersection"), degrees())
    assert union.bounds == pytest.approx((0, 0, 20, 30), abs=1e-5)
    assert overlap.bounds == pytest.approx((5, 5, 10, 10), abs=1e-5)


APART = [("EPSG:4326", (0, 0, 10, 10)), ("EPSG:4326", (50, 50, 60, 60))]
OFF_THE_GLOBE = ("ESRI:54009", (1.7e7, 8e6, 1.8e7, 9e6))


def test_extents_that_cannot_be_joined_are_refused() -> None:
    with pytest.raises(BadArea) as caught:
        areas.project_extents(QgsProject(), "union")
    assert caught.value.reason is BadAreaReason.NO_LAYERS
    apart = areas.project_extents(project_of(APART), "intersection")
    with pytest.raises(BadArea) as caught:
        areas.resolve(apart, degrees())
    assert caught.value.reason is BadAreaReason.NO_OVERLAP
    project = project_of(APART)
    project.addMapLayer(extents_layer(*OFF_THE_GLOBE, name="Atlantis"))
    with pytest.raises(BadArea) as caught:
        areas.resolve(areas.project_extents(project, "union"), degrees())
    assert (caught.value.name, caught.value.reason) == (
        "Atlantis", BadAreaReason.NOT_TRANSFORMABLE,
    )  # fmt: skip
    for how in ("union", "intersection"):
        with pytest.raises(AreaOutside):
            areas.resolve(areas.project_extents(project_of(APART), how), swiss())


PREVIEWS = [
    ("union", None, (0, 0, 20, 30)),
    ("union", degrees(), (0, 0, 20, 30)),
    ("intersection", None, (5, 5, 10, 10)),
    ("intersection", web_mercator(), (5, 5, 10, 10)),
]


@pytest.mark.parametrize(("how", "description", "expected"), PREVIEWS)
@pytest.mark.parametrize("code", ["EPSG:4326", "EPSG:3857"])
def test_the_preview(
    how: str, description: CacheDescription | None, expected: tuple, code: str
) -> None:
    layers = [("EPSG:3857", (0, 0, 1113194.9, 1118889.97)), ("EPSG:4326", (5, 5, 20, 30))]
    source = areas.project_extents(project_of(layers), how)
    shown = areas.preview(source, description, crs(code)).boundingBox()
    there = bounds_by_gdal("EPSG:4326", expected, code)
    detail = 1e-3 * max(shown.width(), shown.height())
    assert bounds_of(shown) == pytest.approx(there, abs=detail)


def test_what_cannot_be_joined_has_no_preview() -> None:
    source = areas.project_extents(project_of(APART), "intersection")
    for description in (None, degrees(), swiss()):
        assert areas.preview(source, description, crs("EPSG:4326")).isNull()
    assert areas.preview(source, None, crs("")).isNull()


def project_of(layers: list, code: str = "EPSG:4326") -> QgsProject:
    project = QgsProject()
    project.setCrs(crs(code))
    project.addMapLayers([extents_layer(*layer) for layer in layers])
    return project


def tiles_of(layers: list, description: CacheDescription, code: str, how: str) -> dict[int, int]:
    """Tiles of each level inside the joined extents, in a project with CRS `code`."""
    project = project_of(layers, code)
    area = areas.resolve(areas.project_extents(project, how), description)
    return count_tiles(description.scheme, description.scheme.levels, area)


def bounds_by_gdal(source: str, bounds: tuple, target: str) -> tuple[float, ...]:
    """The bounds in `target` of 4 x 1000 points on the rectangle's edges."""
    xmin, ymin, xmax, ymax = bounds
    x, y = np.linspace(xmin, xmax, 1000), np.linspace(ymin, ymax, 1000)
    edges = [(x, 0 * x + ymin), (x, 0 * x + ymax), (0 * y + xmin, y), (0 * y + xmax, y)]
    points = np.vstack([np.column_stack(edge) for edge in edges])
    there = gdal_transformation(source, target)(points)
    return (*there.min(axis=0), *there.max(axis=0))


def bounds_of(rectangle: QgsRectangle) -> tuple[float, float, float, float]:
    return (
        rectangle.xMinimum(),
        rectangle.yMinimum(),
        rectangle.xMaximum(),
        rectangle.yMaximum(),
    )
