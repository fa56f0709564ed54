"""From the text of a source to what it draws."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from drawn_tiles import (
    drawn,
    filled,
    in_thread,
    layer_of,
    pixels,
    profile_of,
    project_of,
    supertile,
    world_layer,
)
from local_caches import countries, new_cache
from qgis import core as qgis_core
from qgis.core import (
    QgsLabelingEngineSettings,
    QgsMapThemeCollection,
    QgsProject,
    QgsRasterLayer,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsVectorLayerJoinInfo,
)
from qgis.PyQt.QtGui import QColor

from tile_cache_manager.plugin.core.errors import (
    FormatNotDrawn,
    LayerFailed,
    NothingToDraw,
    NothingToDrawReason,
)
from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings
from tile_cache_manager.plugin.host import shown_layers, sources
from tile_cache_manager.plugin.host.cache_source import CacheSource
from tile_cache_manager.plugin.host.drawings import visible_layers
from tile_cache_manager.plugin.host.raster_source import RasterSource
from tile_cache_manager.plugin.host.sources import (
    choices,
    layer_ids,
    layers_text,
    make_source,
    needs_project,
    plain_text,
    source_title,
)

pytestmark = pytest.mark.usefixtures("qgis_app")

LEVEL = web_mercator(finest=2).levels[1]
WHOLE = supertile(LEVEL, (0, 1), (0, 1))
SQUARE = "Polygon((-5e6 -5e6, 5e6 -5e6, 5e6 5e6, -5e6 5e6, -5e6 -5e6))"
NAMES = ["Roads", "Straßen & Wege", "a,b:c", "theme:x", "  inner  blank", "路"]


def square(name: str, colour: str) -> QgsVectorLayer:
    return filled(layer_of("Polygon", name, [SQUARE]), colour)


def colour_in(text: str, project: QgsProject) -> tuple[int, ...]:
    """The colour in the middle of the map that the source `text` draws."""
    tiles = drawn(make_source(text, project, CacheSettings()), profile_of(), WHOLE)
    return tuple(pixels(tiles[0, 0])[250, 250])


RED, GREEN, BLUE, NOTHING = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255), (0, 0, 0, 0)


def test_the_project_is_drawn_as_the_canvas_shows_it() -> None:
    red, green = square("red", "#ff0000"), square("green", "#00ff00")
    with project_of(red, green) as project:
        assert colour_in("", project) == RED
        project.layerTreeRoot().findLayer(red.id()).setItemVisibilityChecked(False)
        assert colour_in("", project) == GREEN


def test_a_hidden_group_hides_its_layers() -> None:
    red, green = square("red", "#ff0000"), square("green", "#00ff00")
    with project_of(green) as project:
        project.addMapLayer(red, False)
        group = project.layerTreeRoot().insertGroup(0, "group")
        group.addLayer(red)
        assert colour_in("", project) == RED
        group.setItemVisibilityChecked(False)
        assert colour_in("", project) == GREEN


def test_the_custom_order_of_layers_counts() -> None:
    red, green = square("red", "#ff0000"), square("green", "#00ff00")
    with project_of(red, green) as project:
        project.layerTreeRoot().setHasCustomLayerOrder(True)
        project.layerTreeRoot().setCustomLayerOrder([green, red])
        assert colour_in("", project) == GREEN


@pytest.mark.parametrize("name", NAMES)
def test_a_map_theme_has_its_own_layers_and_styles(name: str) -> None:
    red, green = square("red", "#ff0000"), square("green", "#00ff00")
    with project_of(red, green) as project:
        red.styleManager().addStyleFromLayer("blue")
        red.styleManager().setCurrentStyle("blue")
        filled(red, "#0000ff")
        themes = project.mapThemeCollection()
        record = QgsMapThemeCollection.createThemeFromCurrentState(
            project.layerTreeRoot(), _model(project)
        )
        themes.insert(name, record)
        red.styleManager().setCurrentStyle("default")
        project.layerTreeRoot().findLayer(red.id()).setItemVisibilityChecked(False)

        assert colour_in("", project) == GREEN
        assert colour_in(f"theme:{name}", project) == BLUE
        assert (f"theme:{name}", f"Map theme {name}") in choices(project)
        assert red.styleManager().currentStyle() == "default"


def _model(project: QgsProject):
    from qgis.core import QgsLayerTreeModel

    model = QgsLayerTreeModel(project.layerTreeRoot())
    model.setParent(project)
    return model


def test_chosen_layers_are_drawn_in_the_projects_order_hidden_or_not() -> None:
    red, green, blue = (
        square(name, colour)
        for name, colour in (("red", "#ff0000"), ("green", "#00ff00"), ("blue", "#0000ff"))
    )
    with project_of(red, green, blue) as project:
        project.layerTreeRoot().findLayer(green.id()).setItemVisibilityChecked(False)
        text = layers_text([blue.id(), green.id()])

        assert layer_ids(text) == [blue.id(), green.id()]
        assert colour_in(text, project) == GREEN
        assert colour_in(layers_text([blue.id()]), project) == BLUE
        assert source_title(text, project) == "blue, green"


def test_a_project_in_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "Ein Ordner mit Ümlaut"
    folder.mkdir()
    data = folder / "square.geojson"
    _write(square("red", "#ff0000"), data)
    layer = filled(QgsVectorLayer(str(data), "red", "ogr"), "#ff0000")
    file = folder / "my project.qgz"
    with project_of(layer) as project:
        assert project.write(str(file))
    with project_of(square("green", "#00ff00")) as project:
        assert colour_in(str(file), project) == RED
        assert colour_in("", project) == GREEN
        assert source_title(str(file), project) == "my project.qgz"


def _write(layer: QgsVectorLayer, path: Path, driver: str = "GeoJSON") -> None:
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = driver
    context = QgsProject.instance().transformContext()
    error = QgsVectorFileWriter.writeAsVectorFormatV3(layer, str(path), context, options)
    assert error[0] == QgsVectorFileWriter.WriterError.NoError


def test_joined_fields_are_there_to_draw_with() -> None:
    shown = layer_of("Polygon", "shown", [SQUARE])
    table = QgsVectorLayer("None?field=name:string&field=colour:string", "table", "memory")
    from qgis.core import QgsFeature, QgsProperty, QgsSymbolLayer

    row = QgsFeature(table.fields())
    row.setAttributes(["name 1", "#0000ff"])
    table.dataProvider().addFeature(row)
    filled(shown, "#ff0000")
    part = shown.renderer().symbol().symbolLayer(0)
    key = QgsSymbolLayer.Property.PropertyFillColor
    part.setDataDefinedProperty(key, QgsProperty.fromExpression('"table_colour"'))
    with project_of(shown, table) as project:
        join = QgsVectorLayerJoinInfo()
        join.setJoinLayer(table)
        join.setJoinFieldName("name")
        join.setTargetFieldName("name")
        join.setUsingMemoryCache(True)
        shown.addJoin(join)

        assert colour_in("", project) == BLUE


NOT_THERE = [
    ("", NothingToDrawReason.NO_LAYERS),
    ("theme:none", NothingToDrawReason.NO_THEME),
    ("layers:none", NothingToDrawReason.NO_LAYER),
    ("layers:", NothingToDrawReason.NO_LAYER),
    ("/no/such/project.qgz", NothingToDrawReason.NO_FILE),
    ("https://site.test/arcgis/rest/services/World/MapServer", NothingToDrawReason.UNUSABLE),
]


@pytest.mark.parametrize(("text", "reason"), NOT_THERE)
def test_what_is_not_there_is_refused(text: str, reason: NothingToDrawReason) -> None:
    with project_of() as project, pytest.raises(NothingToDraw) as caught:
        make_source(text, project, CacheSettings())
    assert caught.value.reason is reason


def test_a_file_that_is_no_project_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "broken.qgs"
    file.write_text("no project at all", encoding="utf-8")
    with project_of() as project, pytest.raises(NothingToDraw) as caught:
        make_source(str(file), project, CacheSettings())
    assert caught.value.reason is NothingToDrawReason.UNUSABLE


KINDS = [
    ("/data/relief.tif", RasterSource),
    ("/data/relief.vrt", RasterSource),
    ("/data/World/conf.xml", CacheSource),
    ("/data/World.tpkx", CacheSource),
    ("/data/World.TPK", CacheSource),
    ("/data/World.mbtiles", CacheSource),
    ("file:///data/World/root.json", CacheSource),
]


@pytest.mark.parametrize(("text", "kind"), KINDS)
def test_paths_are_told_apart_without_looking_at_the_disk(text: str, kind: type) -> None:
    with project_of() as project:
        assert type(make_source(text, project, CacheSettings())) is kind


def test_a_folder_is_a_cache(tmp_path: Path) -> None:
    with project_of() as project:
        assert type(make_source(str(tmp_path), project, CacheSettings())) is CacheSource


# Layers that fail


def failing(project: QgsProject, text: str = "") -> LayerFailed:
    source = make_source(text, project, CacheSettings())
    with pytest.raises(LayerFailed) as caught:
        drawn(source, profile_of(), WHOLE)
    return caught.value


def test_a_layer_that_is_not_there_is_told_before_anything_is_drawn() -> None:
    gone = QgsVectorLayer("/no/such/file.shp", "Rivers", "ogr")
    with project_of(square("red", "#ff0000"), gone) as project:
        source = make_source("", project, CacheSettings())
        with pytest.raises(LayerFailed) as caught:
            in_thread(lambda: source.start(profile_of()))
        source.close()
    assert caught.value.name == "Rivers"
    assert "/no/such/file.shp" in caught.value.detail


SECRET_PLACES = [
    "/no/such/file.shp?token=hunter2",
    "/no/such/file.shp|password='hunter2'",
    "/no/such/file.shp?of=https%3A%2F%2Fme%3Ahunter2%40site.test%2Fwms%3Fkey%3Dhunter2",
]


@pytest.mark.parametrize("place", SECRET_PLACES)
def test_what_a_failure_says_holds_no_secret(place: str) -> None:
    """It is written into the record of the update, in the cache's own folder."""
    with project_of(QgsVectorLayer(place, "Rivers", "ogr")) as project:
        failure = failing(project)
    assert "/no/such/file.shp" in failure.detail
    assert "hunter2" not in failure.detail


@pytest.mark.parametrize("driver", ["ESRI Shapefile", "GeoJSON", "GPKG"])
def test_a_layer_whose_file_has_gone_is_not_drawn_empty(driver: str, tmp_path: Path) -> None:
    data = tmp_path / "data" / {"ESRI Shapefile": "x.shp", "GPKG": "x.gpkg"}.get(driver, "x.json")
    data.parent.mkdir()
    _write(square("red", "#ff0000"), data, driver)
    with project_of(QgsVectorLayer(str(data), "Rivers", "ogr")) as project:
        source = make_source("", project, CacheSettings())
        shutil.rmtree(data.parent)
        with pytest.raises(LayerFailed) as caught:
            drawn(source, profile_of(), WHOLE)
    assert caught.value.name == "Rivers"


def test_a_layer_whose_file_is_nonsense_now_is_not_drawn_empty(tmp_path: Path) -> None:
    data = tmp_path / "x.geojson"
    _write(square("red", "#ff0000"), data)
    with project_of(QgsVectorLayer(str(data), "Rivers", "ogr")) as project:
        source = make_source("", project, CacheSettings())
        data.write_text("nonsense", encoding="utf-8")
        with pytest.raises(LayerFailed) as caught:
            drawn(source, profile_of(), WHOLE)
    assert caught.value.name == "Rivers"


def test_a_raster_with_broken_blocks_fails_by_name(tmp_path: Path) -> None:
    from osgeo import gdal, osr

    gdal.UseExceptions()
    file = tmp_path / "relief.tif"
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(3857)
    options = ["TILED=YES", "COMPRESS=DEFLATE"]
    data = gdal.GetDriverByName("GTiff").Create(str(file), 1024, 1024, 1, options=options)
    data.SetGeoTransform((-2e7, 4e4, 0, 2e7, 0, -4e4))
    data.SetProjection(reference.ExportToWkt())
    data.GetRasterBand(1).Fill(7)
    data = None
    raster = QgsRasterLayer(str(file), "Relief", "gdal")
    with project_of(raster) as project:
        content = bytearray(file.read_bytes())
        content[-3000:] = b"\xaa" * 3000
        file.write_bytes(bytes(content))
        error = failing(project)
    assert error.name == "Relief"
    assert error.detail


def test_an_image_format_that_cannot_be_drawn() -> None:
    with project_of(square("red", "#ff0000")) as project:
        source = make_source("", project, CacheSettings())
        with pytest.raises(FormatNotDrawn):
            drawn(source, profile_of("LERC"), WHOLE)


# Fingerprints


def fingerprint(project: QgsProject, background: str = "") -> str:
    source = make_source("", project, CacheSettings(background=background))
    drawn(source, profile_of(), WHOLE)
    return source.fingerprint


def test_the_fingerprint_changes_with_what_is_drawn_and_with_nothing_else() -> None:
    red, green = square("red", "#ff0000"), square("green", "#00ff00")
    with project_of(red, green) as project:
        seen = [fingerprint(project)]
        assert fingerprint(project) == seen[0] != ""
        seen.append(fingerprint(project, "#abcdef"))
        filled(red, "#fe0000")
        seen.append(fingerprint(project))
        green.setOpacity(0.5)
        seen.append(fingerprint(project))
        project.layerTreeRoot().findLayer(red.id()).setItemVisibilityChecked(False)
        seen.append(fingerprint(project))
        project.setCustomVariables({"mapcolour": "#0000ff"})  # which data-defined styles may use
        seen.append(fingerprint(project))
        labels = project.labelingEngineSettings()
        labels.setFlag(QgsLabelingEngineSettings.Flag.UseAllLabels, True)
        project.setLabelingEngineSettings(labels)
        seen.append(fingerprint(project))

    assert len(set(seen)) == len(seen)


_FINGERPRINT = """
import sys
sys.path.insert(0, sys.argv[1])
import conftest
from qgis.core import QgsApplication, QgsProject
QgsApplication.setPrefixPath(conftest.QGIS_PREFIX, True)
app = QgsApplication([], False)
app.initQgis()
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings
from tile_cache_manager.plugin.host.sources import make_source
from drawn_tiles import profile_of
source = make_source(sys.argv[2], QgsProject.instance(), CacheSettings())
source.start(profile_of())
print(source.fingerprint)
source.close()
"""


def test_the_fingerprint_is_the_same_after_a_restart(tmp_path: Path) -> None:
    data, file = tmp_path / "x.geojson", tmp_path / "x.qgs"
    _write(square("red", "#ff0000"), data)
    with project_of(QgsVectorLayer(str(data), "red", "ogr"), world_layer()) as project:
        assert project.write(str(file))
    program = [sys.executable, "-c", _FINGERPRINT, str(Path(__file__).parents[1]), str(file)]
    answers = [subprocess.run(program, capture_output=True, text=True, check=True) for _ in "12"]

    first, second = (answer.stdout.split()[-1] for answer in answers)
    assert first == second
    assert len(first) == 32


def test_drawing_changes_nothing_in_the_project() -> None:
    layer = world_layer()
    with project_of(layer) as project:
        project.setBackgroundColor(QColor("#123456"))
        before = sorted(project.mapLayers()), layer.renderer().dump(), project.isDirty()
        drawn(make_source("", project, CacheSettings()), profile_of(), WHOLE)

        assert (sorted(project.mapLayers()), layer.renderer().dump(), project.isDirty()) == before
        assert layer.thread() == project.thread()


@pytest.mark.parametrize("text", ["", "  ", "project", " project "])
def test_the_current_project_has_a_word_and_none(text: str) -> None:
    assert plain_text(text) == ""
    assert needs_project(text)
    with project_of(square("Town", "#ff0000")) as project:
        assert source_title(text, project) == "Visible layers of the project"
        source = make_source(text, project, CacheSettings())
        assert [layer.name() for layer in source._made[0].layers] == ["Town"]
        source.close()


@pytest.mark.parametrize("text", ["project.qgz", "/maps/project", "./project"])
def test_files_may_be_called_project(text: str) -> None:
    assert plain_text(text) == text
    assert not needs_project(text)


def test_a_group_drawn_as_one_layer_is_drawn_without_the_cache_itself(tmp_path: Path) -> None:
    if not hasattr(qgis_core, "QgsGroupLayer"):
        pytest.skip("this QGIS draws no group as one layer")
    cache = new_cache(tmp_path / "World", finest=1)
    shown, other = shown_layers.layer_of_cache(cache), countries()
    with project_of() as project:
        project.addMapLayers([shown, other], False)
        options = qgis_core.QgsGroupLayer.LayerOptions(project.transformContext())
        groups = [project.layerTreeRoot().addGroup(name) for name in ("both", "alone")]
        for group, layers in zip(groups, ([shown, other], [shown])):
            for layer in layers:
                group.addLayer(layer)
            project.addMapLayer(group.convertToGroupLayer(options), False)
        drawing = visible_layers(project, "x")
        left = sources._without(drawing, cache).layers
        assert [layer.name() for layer in left] == ["both"]
        assert [child.id() for child in left[0].childLayers()] == [other.id()]
        whole = next(each for each in drawing.layers if each.name() == "both")
        assert len(whole.childLayers()) == 2, "the project's own group has changed"
