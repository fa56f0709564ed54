"""Areas that come to nothing: never the whole cache, for tiles may be deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from processing_inputs import EUROPE, counts, polygon_layer, scales_of
from qgis.core import (
    QgsCoordinateTransformContext,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProperty,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis.gui import QgsGui, QgsProcessingGui, QgsProcessingParameterWidgetContext
from qgis.PyQt.QtCore import QVariant

pytestmark = pytest.mark.qgis


@pytest.fixture
def empty_geopackage(tmp_path: Path) -> str:
    path = tmp_path / "empty.gpkg"
    layer = QgsVectorLayer("Polygon?crs=EPSG:4326", "Area", "memory")
    options = QgsVectorFileWriter.SaveVectorOptions()
    written = QgsVectorFileWriter.writeAsVectorFormatV3(
        layer, str(path), QgsCoordinateTransformContext(), options
    )
    assert written[0] == QgsVectorFileWriter.WriterError.NoError
    return str(path)


def nothing_selected() -> QgsProcessingFeatureSourceDefinition:
    return QgsProcessingFeatureSourceDefinition(polygon_layer(EUROPE).id(), True)


def everything_filtered_out() -> QgsProcessingFeatureSourceDefinition:
    definition = QgsProcessingFeatureSourceDefinition(polygon_layer(EUROPE).id())
    if not hasattr(definition, "filterExpression"):
        pytest.skip("this QGIS has no filters on inputs")
    definition.filterExpression = "1 = 2"
    return definition


NO_AREA = [
    ("an empty layer's extent", "UPDATE_EXTENT", lambda path: polygon_layer()),
    ("an empty file's extent", "UPDATE_EXTENT", lambda path: path),
    ("a missing file's extent", "UPDATE_EXTENT", lambda path: path + ".gone"),
    ("zeros", "UPDATE_EXTENT", lambda path: "0,0,0,0 [EPSG:3857]"),
    ("zeros without a CRS", "UPDATE_EXTENT", lambda path: "0,0,0,0"),
    ("a null rectangle", "UPDATE_EXTENT", lambda path: QgsRectangle()),
    ("an extent of NULL", "UPDATE_EXTENT", lambda path: QVariant(QVariant.Type.String)),
    ("an extent of no text", "UPDATE_EXTENT", lambda path: ""),
    ("an extent of blanks", "UPDATE_EXTENT", lambda path: "  "),
    ("an extent expression without result", "UPDATE_EXTENT",
     lambda path: QgsProperty.fromExpression("@there_is_no_such_variable")),
    ("an extent expression of no text", "UPDATE_EXTENT",
     lambda path: QgsProperty.fromExpression("''")),
    ("an empty layer", "AREA_OF_INTEREST", lambda path: polygon_layer()),
    ("an empty file", "AREA_OF_INTEREST", lambda path: path),
    ("a missing file", "AREA_OF_INTEREST", lambda path: path + ".gone"),
    ("a layer of empty features", "AREA_OF_INTEREST", lambda path: polygon_layer("", "")),
    ("nothing selected", "AREA_OF_INTEREST", lambda path: nothing_selected()),
    ("everything filtered out", "AREA_OF_INTEREST", lambda path: everything_filtered_out()),
    ("NULL", "AREA_OF_INTEREST", lambda path: QVariant(QVariant.Type.String)),
    ("no text", "AREA_OF_INTEREST", lambda path: ""),
    ("blanks", "AREA_OF_INTEREST", lambda path: "  "),
    ("an expression without result", "AREA_OF_INTEREST",
     lambda path: QgsProperty.fromExpression("@there_is_no_such_variable")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "make"), [case[1:] for case in NO_AREA], ids=[case[0] for case in NO_AREA]
)
@pytest.mark.parametrize("checked", [True, False], ids=["checked first", "not checked"])
def test_an_area_that_comes_to_nothing_is_never_the_whole_cache(
    run: Any, run_unchecked: Any, fresh_site: Any, empty_geopackage: str,
    name: str, make: Any, checked: bool,
) -> None:  # fmt: skip
    scales = scales_of(fresh_site, 1)
    run(SCALES=scales)
    before = fresh_site.jobs("classic")
    delete = run if checked else run_unchecked

    with pytest.raises(QgsProcessingException):
        delete(SCALES=scales, UPDATE_MODE="DELETE_TILES", **{name: make(empty_geopackage)})

    assert fresh_site.jobs("classic") == before
    assert counts(fresh_site) == {1: 4}


def test_no_area_and_no_extent_is_the_whole_cache(run: Any, fresh_site: Any) -> None:
    run(SCALES=scales_of(fresh_site, 1), AREA_OF_INTEREST=None, UPDATE_EXTENT=None)

    assert counts(fresh_site) == {1: 4}


@pytest.mark.parametrize("name", ["AREA_OF_INTEREST", "UPDATE_EXTENT"])
@pytest.mark.parametrize("nothing", ["", QVariant()], ids=["no text", "invalid"])
def test_who_wants_the_whole_cache_leaves_the_area_out(
    run: Any, fresh_site: Any, name: str, nothing: object
) -> None:
    scales = scales_of(fresh_site, 1)
    with pytest.raises(QgsProcessingException, match=f"taken for {name}.* leave it out"):
        run(SCALES=scales, UPDATE_MODE="DELETE_TILES", **{name: nothing})


@pytest.mark.parametrize("name", ["AREA_OF_INTEREST", "UPDATE_EXTENT", "OLDER_THAN"])
@pytest.mark.parametrize("kind", ["Standard", "Batch", "Modeler"])
def test_qgis_s_own_forms_leave_nothing_where_nothing_was_chosen(
    provider: Any, name: str, kind: str
) -> None:
    parameter = provider.algorithm("managetiles").parameterDefinition(name)
    wrapper = QgsGui.processingGuiRegistry().createParameterWidgetWrapper(
        parameter, getattr(QgsProcessingGui.WidgetType, kind)
    )
    wrapper.setWidgetContext(QgsProcessingParameterWidgetContext())
    widget = wrapper.createWrappedWidget(QgsProcessingContext())
    assert widget is not None
    assert wrapper.parameterValue() is None


UNKNOWN_CRS = ["EPSG:432600", "EPSG:99999", "Foo", ""]


@pytest.mark.parametrize("crs", UNKNOWN_CRS)
def test_an_extent_in_an_unknown_crs_is_nowhere_else(run: Any, fresh_site: Any, crs: str) -> None:
    scales = scales_of(fresh_site, 1)
    run(SCALES=scales)
    with pytest.raises(QgsProcessingException, match=f"“{crs}” is no coordinate reference system"):
        run(SCALES=scales, UPDATE_MODE="DELETE_TILES", UPDATE_EXTENT=f"0,10,40,50 [{crs}]")
    assert counts(fresh_site) == {1: 4}


def test_nothing_selected_is_called_so(run: Any, fresh_site: Any) -> None:
    with pytest.raises(QgsProcessingException, match="No feature of “Area” is selected"):
        run(SCALES=scales_of(fresh_site, 1), AREA_OF_INTEREST=nothing_selected())
