"""Areas from layers and projects, and their previews on the canvas."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from host.samples import (
    HALF,
    crs,
    degrees,
    drawn,
    drawn_wkt,
    gdal_transformation,
    layer_of,
    of_layer,
    rectangle_area,
    web_mercator,
)
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)
from shapely.geometry import box

from tile_cache_manager.plugin.core.errors import BadArea, BadAreaReason
from tile_cache_manager.plugin.host import areas

pytestmark = pytest.mark.usefixtures("qgis_app")

SQUARE = "Polygon((0 0,10 0,10 10,0 10,0 0))"
BAD_LAYERS = [
    ("lines", lambda: layer_of(["LineString(0 0,1 1)"], "LineString"), BadAreaReason.NO_POLYGONS),
    ("a table", lambda: QgsVectorLayer("None", "parcels", "memory"), BadAreaReason.NO_POLYGONS),
    ("no features", lambda: layer_of([]), BadAreaReason.NO_POLYGONS),
    ("features without geometry", lambda: layer_of(["", ""]), BadAreaReason.NO_POLYGONS),
    ("invalid", lambda: QgsVectorLayer("/nowhere.gpkg", "parcels", "ogr"),
     BadAreaReason.NO_POLYGONS),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "reason"), [case[1:] for case in BAD_LAYERS], ids=[case[0] for case in BAD_LAYERS]
)
def test_layers_that_are_refused_are_named(make: object, reason: BadAreaReason) -> None:
    with pytest.raises(BadArea) as caught:
        areas.resolve(of_layer(make()), web_mercator())
    assert (caught.value.name, caught.value.reason) == ("parcels", reason)


def test_a_layer_without_crs_is_refused() -> None:
    layer = layer_of([SQUARE])
    layer.setCrs(QgsCoordinateReferenceSystem())
    with pytest.raises(BadArea) as caught:
        of_layer(layer)
    assert (caught.value.name, caught.value.reason) == ("parcels", BadAreaReason.NO_CRS)


def test_nothing_selected_is_refused() -> None:
    with pytest.raises(BadArea) as caught:
        of_layer(layer_of([SQUARE]), selected_only=True)
    assert (caught.value.name, caught.value.reason) == ("parcels", BadAreaReason.NOTHING_SELECTED)


def test_no_layer_and_a_layer_that_is_gone_are_refused() -> None:
    layer = layer_of([SQUARE])
    QgsProject.instance().addMapLayer(layer)
    QgsProject.instance().removeMapLayer(layer.id())
    for gone in (None, layer):
        with pytest.raises(BadArea) as caught:
            of_layer(gone)
        assert caught.value.reason is BadAreaReason.NO_LAYERS


def test_a_layer_area_is_a_snapshot() -> None:
    layer = layer_of([SQUARE, "Polygon((20 0,30 0,30 10,20 10,20 0))"])
    layer.selectByIds([1])
    selected = of_layer(layer, selected_only=True)
    everything = of_layer(layer)
    layer.selectAll()
    QgsProject.instance().addMapLayer(layer)
    QgsProject.instance().removeMapLayer(layer.id())
    results: dict[str, object] = {}

    def resolve() -> None:
        results["selected"] = areas.resolve(selected, degrees())
        results["everything"] = areas.resolve(everything, degrees())

    thread = threading.Thread(target=resolve)
    thread.start()
    thread.join(30)
    assert results["selected"].equals(box(0, 0, 10, 10))
    assert results["everything"].area == pytest.approx(200)


def test_unsaved_edits_count() -> None:
    layer = layer_of([SQUARE])
    layer.startEditing()
    layer.changeGeometry(1, QgsGeometry.fromRect(QgsRectangle(0, 0, 20, 10)))
    area = areas.resolve(of_layer(layer), degrees())
    layer.rollBack()
    assert area.equals(box(0, 0, 20, 10))


SHAPES = [
    ("overlapping features are dissolved",
     [SQUARE, "Polygon((5 0,15 0,15 10,5 10,5 0))"], "Polygon", 150),
    ("a hole", ["Polygon((0 0,10 0,10 10,0 10,0 0),(2 2,4 2,4 4,2 4,2 2))"], "Polygon", 96),
    ("Z and M", ["PolygonZM((0 0 5 1,10 0 5 1,10 10 5 1,0 10 5 1,0 0 5 1))"], "PolygonZM", 100),
    ("a self-crossing polygon", ["Polygon((0 0,10 10,10 0,0 10,0 0))"], "Polygon", 50),
    ("a circle of arcs", ["CurvePolygon(CircularString(0 5,5 10,10 5,5 0,0 5))"], "CurvePolygon",
     np.pi * 25),
]  # fmt: skip


@pytest.mark.parametrize(
    ("wkts", "kind", "surface"), [case[1:] for case in SHAPES], ids=[case[0] for case in SHAPES]
)
def test_layers_of_all_shapes(wkts: list[str], kind: str, surface: float) -> None:
    area = areas.resolve(of_layer(layer_of(wkts, kind)), degrees())
    assert area.is_valid
    assert not area.has_z
    assert area.area == pytest.approx(surface, rel=1e-3)


SURFACES = [
    "PolyhedralSurface Z(((0 0 5,4 0 5,4 4 5,0 0 5)),((0 0 5,4 4 5,0 4 5,0 0 5)))",
    "TIN Z(((0 0 5,4 0 5,4 4 5,0 0 5)),((0 0 5,4 4 5,0 4 5,0 0 5)))",
]


@pytest.mark.parametrize("wkt", SURFACES, ids=["polyhedral surface", "TIN"])
def test_surfaces_of_faces_are_polygons(wkt: str) -> None:
    source = drawn_wkt(wkt, "EPSG:4326")
    if source.geometry.isNull():
        pytest.skip("this QGIS knows no such geometries")
    assert areas.resolve(source, degrees()).equals(box(0, 0, 4, 4))


class NoQuestions(QgsVectorLayer):
    """A layer that must not be asked what only its provider knows."""

    def extent(self) -> QgsRectangle:
        raise AssertionError("asked for its extent")

    def featureCount(self) -> int:
        raise AssertionError("asked for its number of features")

    def boundingBoxOfSelected(self) -> QgsRectangle:
        raise AssertionError("asked for the extent of what is selected")


@pytest.mark.parametrize("selected_only", [True, False])
def test_a_snapshot_asks_nothing_of_the_provider(selected_only: bool) -> None:
    layer = NoQuestions("Polygon?crs=EPSG:4326", "parcels", "memory")
    layer.dataProvider().addFeatures(list(layer_of([SQUARE]).getFeatures()))
    layer.selectAll()
    source = of_layer(layer, selected_only)
    assert areas.resolve(source, degrees()).area == pytest.approx(100)
    preview = areas.preview(source, None, crs("EPSG:4326"))
    assert _bounds(preview.boundingBox()) == (0, 0, 10, 10)


def test_many_features_are_read_in_chunks_and_can_be_cancelled() -> None:
    squares = [
        box(x / 10, y / 10, x / 10 + 0.05, y / 10 + 0.05) for x in range(60) for y in range(60)
    ]
    source = of_layer(layer_of([square.wkt for square in squares]))
    assert areas.resolve(source, degrees()).area == pytest.approx(3600 * 0.0025)
    asked = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 100

    with pytest.raises(areas.Cancelled):
        areas.resolve(source, degrees(), cancelled)
    assert len(asked) == 101


def test_previews_lie_where_the_canvas_shows_the_area() -> None:
    preview = areas.preview(
        drawn(box(1e6, 4.7e6, 2.5e6, 6.3e6), "EPSG:2193"), None, crs("EPSG:3857")
    )
    inside = gdal_transformation("EPSG:2193", "EPSG:3857")(np.array([[1.2e6, 5e6], [2.4e6, 5e6]]))
    assert inside[0][0] > 0 > inside[1][0]  # either side of the antimeridian
    for point in inside:
        assert preview.contains(QgsPointXY(*point))
    assert not preview.contains(QgsPointXY(0, inside[0][1]))


def test_previews_of_extents_need_the_cache() -> None:
    canvas = crs("EPSG:3857")
    assert areas.preview(areas.TypedExtent("1 2 3 4"), None, canvas).isNull()
    assert areas.preview(areas.TypedExtent("1 2 3"), degrees(), canvas).isNull()
    assert areas.preview(areas.FullExtent(), web_mercator(None), canvas).isNull()
    typed = areas.preview(areas.TypedExtent("10 20 30 40"), degrees(), canvas).boundingBox()
    expected = gdal_transformation("EPSG:4326", "EPSG:3857")(np.array([[10.0, 20], [30, 40]]))
    assert (typed.xMinimum(), typed.yMinimum()) == pytest.approx(tuple(expected[0]), rel=1e-6)
    assert (typed.xMaximum(), typed.yMaximum()) == pytest.approx(tuple(expected[1]), rel=1e-6)
    full = areas.preview(areas.FullExtent(), web_mercator(), canvas).boundingBox()
    assert full.width() == pytest.approx(2 * HALF)


def test_a_layer_with_very_many_features_is_previewed_by_its_rectangle() -> None:
    wkts = [box(x / 20, 0, x / 20 + 0.01, 1).wkt for x in range(areas.PREVIEW_FEATURES + 1)]
    layer = layer_of(wkts)
    few = areas.preview(of_layer(layer_of(wkts[:3])), None, crs("EPSG:4326"))
    many = areas.preview(of_layer(layer), None, crs("EPSG:4326"))
    assert few.constGet().numGeometries() == 3
    assert many.isGeosEqual(QgsGeometry.fromRect(layer.extent()))


def test_a_preview_that_nobody_waits_for_any_more_is_cancelled() -> None:
    source = of_layer(layer_of([SQUARE, SQUARE]))
    with pytest.raises(areas.Cancelled):
        areas.preview(source, None, crs("EPSG:4326"), lambda: True)


def test_a_rectangle_without_crs_is_previewed_in_that_of_the_cache() -> None:
    source = rectangle_area("numbers", QgsRectangle(10, 20, 30, 40), None)
    assert areas.preview(source, None, crs("EPSG:4326")).isNull()
    shown = areas.preview(source, degrees(), crs("EPSG:4326"))
    assert _bounds(shown.boundingBox()) == pytest.approx((10, 20, 30, 40))


def _bounds(rectangle: QgsRectangle) -> tuple[float, float, float, float]:
    return (
        rectangle.xMinimum(),
        rectangle.yMinimum(),
        rectangle.xMaximum(),
        rectangle.yMaximum(),
    )
