"""`tilecache:managetiles` on caches in folders and packages, drawn from the project."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arcgis_server import bundles
from host.samples import gdal_transformation
from local_caches import (
    BLUE,
    RED,
    countries,
    counts_of,
    fill,
    in_project,
    new_cache,
    picture,
    tiles_of,
)
from processing_inputs import polygon_layer, scales_of
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProject,
    QgsProperty,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QVariant
from qgis.PyQt.QtGui import QColor, QImage
from shapely import wkt
from shapely.geometry import box
from shapely.ops import transform

from tile_cache_manager.plugin.core.errors import DiskFull, LayerFailed
from tile_cache_manager.plugin.core.local.cache import LocalCache
from tile_cache_manager.plugin.core.local.source import Cancelled, Supertile, TileSource
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.host import shown_layers, sources

pytestmark = pytest.mark.qgis

HALF = 20037508.342789244
WORLD_TILES = {0: 1, 1: 4, 2: 16, 3: 64}


@pytest.fixture(autouse=True)
def project(qgis_app: Any) -> Iterator[QgsProject]:
    """The current project, with the world's countries in red."""
    project = QgsProject.instance()
    project.clear()
    layer = countries()
    fill(layer, RED)
    in_project(layer)
    yield project
    project.clear()


@pytest.fixture
def run_local(provider: Any, qgis_processing: Any) -> Any:
    def run_it(path: Path, **parameters: Any) -> dict[str, Any]:
        parameters["INPUT_SERVICE"] = str(path)
        return dict(qgis_processing.run("tilecache:managetiles", parameters))

    return run_it


@pytest.fixture
def run_local_unchecked(provider: Any) -> Any:
    """Runs the algorithm as a model or script may: without checking the parameters first."""

    def run_it(
        path: Path,
        feedback: QgsProcessingFeedback | None = None,
        project: QgsProject | None = QgsProject.instance(),  # noqa: B008
        **parameters: Any,
    ) -> dict[str, Any]:
        context = QgsProcessingContext()
        if project is not None:
            context.setProject(project)
        parameters["INPUT_SERVICE"] = str(path)
        algorithm = provider.algorithm("managetiles").create()
        results, succeeded = algorithm.run(
            parameters, context, feedback or QgsProcessingFeedback(), {}, False
        )
        assert succeeded
        return dict(results)

    return run_it


def layer() -> QgsVectorLayer:
    return QgsProject.instance().mapLayersByName("Countries")[0]


def colour_at(path: Path, level: int, tile: tuple[int, int], x: int, y: int) -> str:
    image = QImage.fromData(bundles.read_bytes(path, level, *tile))
    assert (image.width(), image.height()) == (256, 256)
    pixel = QColor.fromRgba(image.pixel(x, y))
    return pixel.name() if pixel.alpha() else ""


STORAGES = [
    ("World", StorageFormat.COMPACT_V2),
    ("World", StorageFormat.EXPLODED),
    ("World.tpkx", StorageFormat.TPKX),
    ("World.mbtiles", StorageFormat.MBTILES),
]


@pytest.mark.parametrize(("name", "storage"), STORAGES)
def test_the_three_modes_one_after_the_other(
    run_local: Any, tmp_path: Path, name: str, storage: StorageFormat
) -> None:
    cache = new_cache(tmp_path / "my cäches" / name, storage=storage)
    made = run_local(cache, SCALES=scales_of(None, 0, 2))
    first = tiles_of(cache)
    assert {level: len(tiles) for level, tiles in first.items()} == {0: 1, 2: 16}
    assert made == {
        "OUTPUT_URL": str(cache), "JOB_ID": "", "JOB_URL": "",
        "TILES": 17, "MADE": 17, "DELETED": 0, "FAILED": 0,
    }  # fmt: skip

    fill(layer(), BLUE)
    run_local(cache, SCALES=scales_of(None, 1, 2))
    assert counts_of(cache) == {0: 1, 1: 4, 2: 16}
    assert tiles_of(cache)[2] == first[2]

    replaced = run_local(cache, SCALES=scales_of(None, 2), UPDATE_MODE="RECREATE_ALL_TILES")
    assert replaced["MADE"] == 16
    assert set(tiles_of(cache)[2].values()).isdisjoint(first[2].values())

    deleted = run_local(cache, SCALES=scales_of(None, 2), UPDATE_MODE="DELETE_TILES")
    assert (deleted["TILES"], deleted["DELETED"]) == (16, 16)
    assert counts_of(cache) == {0: 1, 1: 4}


def test_tiles_show_the_map(run_local: Any, tmp_path: Path) -> None:
    cache = new_cache(tmp_path / "World")
    run_local(cache)
    assert counts_of(cache) == WORLD_TILES
    # Brazil, and the Atlantic west of Africa; one pixel of level 0 is 156 km.
    assert colour_at(cache, 0, (0, 0), 90, 135) == RED
    assert colour_at(cache, 0, (0, 0), 110, 127) == ""


def touched_by(polygon: Any, level: int) -> set[tuple[int, int]]:
    """Tiles that share surface with `polygon` (Web Mercator), one after the other."""
    side = 2 * HALF / 2**level
    return {
        (row, col)
        for row in range(2**level)
        for col in range(2**level)
        if polygon.intersects(
            box(
                col * side - HALF,
                HALF - (row + 1) * side,
                (col + 1) * side - HALF,
                HALF - row * side,
            )
        )
    }


def test_a_new_style_for_one_country_changes_just_its_tiles(run_local: Any, tmp_path: Path) -> None:
    cache = new_cache(tmp_path / "World", finest=6)
    levels = (4, 5, 6)
    run_local(cache, SCALES=scales_of(None, *levels), UPDATE_EXTENT="-100,-30,-60,20 [EPSG:4326]")
    before = tiles_of(cache)
    fill(layer(), BLUE)
    layer().selectByExpression("\"NAME\" = 'Bolivia'")
    (bolivia,) = layer().selectedFeatures()

    results = run_local(
        cache,
        SCALES=scales_of(None, *levels),
        UPDATE_MODE="RECREATE_ALL_TILES",
        AREA_OF_INTEREST=QgsProcessingFeatureSourceDefinition(layer().id(), True),
    )

    move = gdal_transformation("EPSG:4326", "EPSG:3857")
    polygon = transform(
        lambda x, y: tuple(move(np.column_stack([x, y])).T), wkt.loads(bolivia.geometry().asWkt(17))
    )
    after = tiles_of(cache)
    expected = {level: touched_by(polygon, level) for level in levels}
    assert {level: len(tiles) for level, tiles in expected.items()} == {4: 4, 5: 6, 6: 10}
    for level in levels:
        changed = {tile for tile in before[level] if after[level][tile] != before[level][tile]}
        assert set(after[level]) == set(before[level])
        assert changed == expected[level]
    assert results["TILES"] == results["MADE"] == sum(map(len, expected.values()))


def test_a_layer_of_the_project_shows_the_new_tiles(
    run_local: Any, tmp_path: Path, project: QgsProject
) -> None:
    cache = new_cache(tmp_path / "World", finest=1)
    drawn = shown_layers.layer_of_cache(cache)
    project.addMapLayer(drawn)
    # Not itself a part of what is drawn.
    project.layerTreeRoot().findLayer(drawn.id()).setItemVisibilityChecked(False)
    repaints = []
    drawn.repaintRequested.connect(lambda *_: repaints.append(True))

    run_local(cache)

    assert repaints


def test_it_shows_what_was_stored_before_an_error(
    run_local: Any, tmp_path: Path, project: QgsProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = new_cache(tmp_path / "World", finest=1)
    drawn = shown_layers.layer_of_cache(cache)
    project.addMapLayer(drawn)
    repaints = []
    drawn.repaintRequested.connect(lambda *_: repaints.append(True))

    def full(updated: LocalCache, *_: Any) -> None:
        updated._close_source()
        raise DiskFull(str(cache))

    monkeypatch.setattr(LocalCache, "update", full)
    with pytest.raises(QgsProcessingException, match="is full"):
        run_local(cache)

    assert repaints


SOURCES = [
    ("a theme", lambda project, folder: "theme:Only lakes"),
    ("a layer", lambda project, folder: "layers:" + project.mapLayersByName("Lakes")[0].id()),
    ("a project file", lambda project, folder: str(lakes_project(folder))),
]


def lakes() -> QgsVectorLayer:
    """One lake that covers the northern hemisphere."""
    made = QgsVectorLayer("Polygon?crs=EPSG:4326", "Lakes", "memory")
    feature = QgsFeature()
    feature.setGeometry(QgsGeometry.fromWkt("POLYGON((-179 1,179 1,179 84,-179 84,-179 1))"))
    made.dataProvider().addFeature(feature)
    made.updateExtents()
    fill(made, BLUE)
    return made


def lakes_project(folder: Path) -> Path:
    """A project file with that lake, as a file of its own."""
    from qgis.core import QgsCoordinateTransformContext, QgsVectorFileWriter

    path, other = folder / "lakes.gpkg", QgsProject()
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.layerName = "lakes"
    QgsVectorFileWriter.writeAsVectorFormatV3(
        lakes(), str(path), QgsCoordinateTransformContext(), options
    )
    saved = QgsVectorLayer(f"{path}|layername=lakes", "Lakes", "ogr")
    fill(saved, BLUE)
    in_project(saved, project=other)
    assert other.write(str(folder / "lakes.qgz"))
    return folder / "lakes.qgz"


@pytest.mark.parametrize(
    "text_of", [case[1] for case in SOURCES], ids=[case[0] for case in SOURCES]
)
@pytest.mark.parametrize("when", ["created", "updated"])
def test_the_source_is_the_given_one_or_that_of_the_cache(
    run_local: Any, tmp_path: Path, project: QgsProject, text_of: Any, when: str
) -> None:
    in_project(lakes())
    root = project.layerTreeRoot()
    root.findLayer(layer().id()).setItemVisibilityChecked(False)
    theme = project.mapThemeCollection().createThemeFromCurrentState(root, _tree_model(root))
    project.mapThemeCollection().insert("Only lakes", theme)
    for node in root.findLayers():
        node.setItemVisibilityChecked(node.layerId() == layer().id())
    text = text_of(project, tmp_path)
    cache = new_cache(tmp_path / "World", finest=0, source=text if when == "created" else "")

    run_local(cache, **({"SOURCE": text} if when == "updated" else {}))

    assert colour_at(cache, 0, (0, 0), 110, 90) == BLUE
    assert colour_at(cache, 0, (0, 0), 90, 135) == ""


def test_the_project_is_named_where_the_cache_remembers_something_else(
    run_local: Any, tmp_path: Path
) -> None:
    cache = new_cache(tmp_path / "World", finest=0, source=str(tmp_path / "gone.tif"))

    run_local(cache, SOURCE="project")

    assert colour_at(cache, 0, (0, 0), 90, 135) == RED


def _tree_model(root: Any) -> Any:
    from qgis.core import QgsLayerTreeModel

    return QgsLayerTreeModel(root)


def test_one_cache_is_converted_into_another(run_local: Any, tmp_path: Path) -> None:
    first = new_cache(tmp_path / "World", finest=2)
    run_local(first)
    project = QgsProject.instance()
    project.clear()
    second = new_cache(tmp_path / "World.mbtiles", finest=2)

    run_local(second, SOURCE=str(first))

    assert tiles_of(second) == tiles_of(first)


def test_only_existing_and_older_tiles(run_local: Any, tmp_path: Path) -> None:
    cache = new_cache(tmp_path / "World")
    run_local(cache, SCALES=scales_of(None, 2), UPDATE_EXTENT="10,100,10,60 [EPSG:4326]")
    before = tiles_of(cache)[2]
    assert 0 < len(before) < 16
    fill(layer(), BLUE)

    everything = {"SCALES": scales_of(None, 2), "UPDATE_MODE": "RECREATE_ALL_TILES"}
    last_year = (datetime.now() - timedelta(days=365)).isoformat(timespec="seconds")
    old = run_local(cache, ONLY_EXISTING=True, OLDER_THAN=last_year, **everything)
    assert old["MADE"] == 0
    assert tiles_of(cache)[2] == before

    there = run_local(cache, ONLY_EXISTING=True, **everything)
    after = tiles_of(cache)[2]
    assert there["MADE"] == len(before)
    assert set(after) == set(before)
    assert set(after.values()).isdisjoint(before.values())


def test_nothing_to_resume_is_said(run_local: Any, tmp_path: Path) -> None:
    cache = new_cache(tmp_path / "World", finest=1)
    for resume in ("CONTINUE", "FAILED"):
        with pytest.raises(QgsProcessingException, match="no update to go on with"):
            run_local(cache, RESUME=resume)
    assert counts_of(cache) == {}
    run_local(cache, RESUME="NEW")
    assert counts_of(cache) == {0: 1, 1: 4}


class StopsSoon(QgsProcessingFeedback):
    """Cancels once some tiles are made."""

    def setProgress(self, percent: float) -> None:
        if percent > 20:
            self.cancel()


def test_a_cancelled_run_is_resumed(
    run_local_unchecked: Any, run_local: Any, tmp_path: Path
) -> None:
    cache = new_cache(tmp_path / "World", finest=7)
    area = {"SCALES": scales_of(None, 7), "UPDATE_EXTENT": "-80,80,-60,60 [EPSG:4326]"}
    feedback = StopsSoon()
    first = run_local_unchecked(cache, feedback, **area)
    assert 0 < first["MADE"] < first["TILES"]
    assert counts_of(cache) == {7: first["MADE"]}

    rest = run_local(cache, RESUME="CONTINUE", **area)

    assert counts_of(cache) == {7: first["TILES"]}
    assert rest["FAILED"] == 0


class BrokenInTheEast(TileSource):
    """Draws red tiles; east of Greenwich it cannot, until it is mended."""

    name = "the project"
    supertile_side = 1
    is_mended = False

    def start(self, profile: CacheProfile) -> None:
        pass

    def draw(self, supertile: Supertile, cancelled: Cancelled) -> dict[tuple[int, int], bytes]:
        block, across = supertile.block, 2**supertile.level.id
        if block.min_col >= across / 2 and not self.is_mended:
            raise LayerFailed("Roads", "connection lost")
        return {(block.min_row, block.min_col): picture(RED)}

    def close(self) -> None:
        pass


def test_failed_tiles_are_told_and_retried(
    run_local: Any, run_local_unchecked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "make_source", lambda *_: BrokenInTheEast())
    cache = new_cache(tmp_path / "World")
    level = {"SCALES": scales_of(None, 1)}
    feedback = QgsProcessingFeedback()

    results = run_local_unchecked(cache, feedback, **level)

    assert (results["TILES"], results["MADE"], results["FAILED"]) == (4, 2, 2)
    log = feedback.textLog()
    assert log.count("Layer “Roads” could not be drawn (connection lost), so its tiles") >= 1
    assert "done, but some tiles failed (4 tiles in the area, 2 made, 2 failed)" in log
    assert {col for _row, col in tiles_of(cache)[1]} == {0}

    monkeypatch.setattr(BrokenInTheEast, "is_mended", True)
    rest = run_local(cache, RESUME="FAILED", **level)

    assert (rest["MADE"], rest["FAILED"]) == (2, 0)
    assert counts_of(cache) == {1: 4}


NOT_DRAWABLE = [
    ("no project", None, {}, "open a project \\(for qgis_process"),
    ("an empty project", QgsProject, {}, "no visible layers"),
    ("no such theme", QgsProject, {"SOURCE": "theme:Night"}, "no map theme “Night”"),
    ("no such layer", QgsProject, {"SOURCE": "layers:roads_1"}, "no layer “roads_1”"),
    ("no such file", QgsProject, {"SOURCE": "/no/such/project.qgz"}, "file /no/such/project.qgz"),
    ("no such raster", QgsProject, {"SOURCE": "/no/such/city.tif"}, "no file /no/such/city.tif"),
    ("a theme without a name", QgsProject, {"SOURCE": "theme:"}, "No map theme is named"),
    ("layers without ids", QgsProject, {"SOURCE": "layers: ,"}, "No layer is named"),
    ("a source of blanks", QgsProject, {"SOURCE": "  "}, "cannot be taken for SOURCE"),
    ("a source of NULL", QgsProject, {"SOURCE": QVariant(QVariant.Type.String)},
     "cannot be taken for SOURCE"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "parameters", "said"),
    [case[1:] for case in NOT_DRAWABLE],
    ids=[case[0] for case in NOT_DRAWABLE],
)
def test_nothing_to_draw_is_said_and_changes_nothing(
    run_local_unchecked: Any, run_local: Any, tmp_path: Path, make: Any, parameters: dict, said: str
) -> None:
    cache = new_cache(tmp_path / "World", finest=1)
    run_local(cache)
    before = tiles_of(cache)
    with pytest.raises(QgsProcessingException, match=said):
        run_local_unchecked(
            cache,
            project=None if make is None else make(),
            UPDATE_MODE="RECREATE_ALL_TILES",
            **parameters,
        )
    assert tiles_of(cache) == before


def test_deleting_needs_no_source(run_local_unchecked: Any, run_local: Any, tmp_path: Path) -> None:
    cache = new_cache(tmp_path / "World", finest=1)
    run_local(cache)
    run_local_unchecked(cache, project=None, UPDATE_MODE="DELETE_TILES")
    assert counts_of(cache) == {}


NOTHING = [
    ("an empty layer", {"AREA_OF_INTEREST": lambda: polygon_layer()}),
    ("a NULL area", {"AREA_OF_INTEREST": lambda: QVariant(QVariant.Type.String)}),
    ("zeros", {"UPDATE_EXTENT": lambda: "0,0,0,0 [EPSG:3857]"}),
    ("an extent elsewhere", {"UPDATE_EXTENT": lambda: "0,1,9e7,9.1e7 [EPSG:3857]"}),
    ("scales of blanks", {"SCALES": lambda: " "}),
    ("an unknown scale", {"SCALES": lambda: "500000"}),
    ("a NULL date", {"OLDER_THAN": lambda: QgsProperty.fromExpression("@nothing")}),
    ("no date", {"OLDER_THAN": lambda: "yesterday"}),
    ("neither yes nor no", {"ONLY_EXISTING": lambda: QgsProperty.fromExpression("@nothing")}),
    ("no such start", {"RESUME": lambda: QgsProperty.fromExpression("@nothing")}),
]  # fmt: skip


@pytest.mark.parametrize("checked", [True, False], ids=["checked first", "not checked"])
@pytest.mark.parametrize("given", [case[1] for case in NOTHING], ids=[case[0] for case in NOTHING])
def test_what_comes_to_nothing_is_never_everything(
    run_local: Any, run_local_unchecked: Any, tmp_path: Path, given: dict, checked: bool
) -> None:
    cache = new_cache(tmp_path / "World", finest=1)
    run_local(cache)
    before = tiles_of(cache)
    parameters = {name: make() for name, make in given.items()}
    with pytest.raises(QgsProcessingException):
        (run_local if checked else run_local_unchecked)(
            cache, UPDATE_MODE="DELETE_TILES", **parameters
        )
    assert tiles_of(cache) == before


@pytest.mark.parametrize(
    "given", [{"ONLY_EXISTING": True}, {"OLDER_THAN": "2026-01-31T18:00:00"}, {"RESUME": "FAILED"}]
)
def test_a_site_is_not_asked_for_what_it_does_not_know(
    run: Any, fresh_site: Any, given: dict
) -> None:
    with pytest.raises(QgsProcessingException, match="a site updates all tiles of the area"):
        run(UPDATE_MODE="DELETE_TILES", **given)
    assert fresh_site.jobs("classic") == []


NO_CACHES = [
    ("nothing there", lambda folder: folder / "gone", "There is no file or folder"),
    ("an empty folder", lambda folder: folder, "neither a conf.xml nor a root.json"),
    ("a text file", lambda folder: _written(folder / "notes.txt"), "no file of a tile cache"),
]


def test_an_old_package_is_updated_and_drawn_from(run_local: Any, tmp_path: Path) -> None:
    shared = Path(__file__).resolve().parents[3] / "shared" / "cache-samples"
    found = sorted(shared.rglob("states_filled.tpk"))
    if not found:
        pytest.skip("the sample caches are not on this computer")
    package = tmp_path / "states.tpk"
    shutil.copy(found[0], package)
    finest = LocalCache(package).describe().cached_levels[-1]
    results = run_local(package, UPDATE_MODE="DELETE_TILES", SCALES=str(finest.scale))
    assert results["DELETED"] == 16
    fresh = new_cache(tmp_path / "Fresh", finest=4)
    results = run_local(fresh, SOURCE=str(package))
    assert results["MADE"] > 0


def _written(path: Path) -> Path:
    path.write_text("notes")
    return path


@pytest.mark.parametrize(("make", "said"), [case[1:] for case in NO_CACHES])
def test_what_is_no_cache_is_said_with_its_path(
    run_local: Any, tmp_path: Path, make: Any, said: str
) -> None:
    path = make(tmp_path)
    with pytest.raises(QgsProcessingException, match=said) as raised:
        run_local(path)
    assert str(path) in str(raised.value)


# scales, mode, what is said, whether as a warning
SIZES = [
    ((0,), "RECREATE_EMPTY_TILES", "The area touches 1 tile at 1 scale.", False),
    ((0, 1), "RECREATE_ALL_TILES", "The area touches 5 tiles at 2 scales.", False),
    # 4 ** 9 tiles of 10 KB
    ((9,), "RECREATE_EMPTY_TILES", "touches 262,144 tiles at 1 scale, which may take 2.5 GB", True),
    ((9,), "DELETE_TILES", "The area touches 262,144 tiles at 1 scale.", True),
]


@pytest.mark.parametrize(("levels", "mode", "said", "warns"), SIZES)
def test_the_number_of_tiles_is_said_before_anything_is_done(
    run_local_unchecked: Any,
    tmp_path: Path,
    levels: tuple[int, ...],
    mode: str,
    said: str,
    warns: bool,
) -> None:
    class Listener(QgsProcessingFeedback):
        """Cancels before the first tile."""

        def __init__(self) -> None:
            super().__init__()
            self.warnings: list[str] = []
            self.infos: list[str] = []

        def pushWarning(self, text: str) -> None:
            self.warnings.append(text)

        def pushInfo(self, text: str) -> None:
            self.infos.append(text)

        def setProgress(self, percent: float) -> None:
            self.cancel()

    heard = Listener()
    cache = new_cache(tmp_path / "World", finest=9)
    run_local_unchecked(cache, heard, SCALES=scales_of(None, *levels), UPDATE_MODE=mode)

    assert [text for text in (heard.warnings if warns else heard.infos) if said in text]
