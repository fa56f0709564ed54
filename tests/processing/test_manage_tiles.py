"""`tilecache:managetiles` as people run it: from the toolbox, from scripts, and by qgis_process."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from arcgis_server.handle import PUBLISHER, VIEWER, Account
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProject,
    QgsProperty,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QVariant
from qgis.PyQt.QtGui import QIcon

from tile_cache_manager.plugin.core.cache import open_cache
from tile_cache_manager.plugin.core.coverage import cover
from tile_cache_manager.plugin.core.request import Message, Severity
from tile_cache_manager.plugin.host import areas
from tile_cache_manager.plugin.processing.manage_tiles import core_feedback
from tile_cache_manager.plugin.processing.provider import TileCacheProvider

pytestmark = pytest.mark.qgis

ROOT = Path(__file__).resolve().parents[2]
EUROPE = "POLYGON((-10 36, 30 36, 30 60, -10 60, -10 36))"
WORLD_TILES = {0: 1, 1: 4, 2: 16, 3: 64}
"""Tiles of the whole Web Mercator world: four times as many at each level."""


@pytest.fixture(scope="module")
def provider(qgis_app: Any, qgis_processing: Any) -> Iterator[TileCacheProvider]:
    registry = qgis_app.processingRegistry()
    provider = TileCacheProvider(QIcon())
    registry.addProvider(provider)
    yield provider
    registry.removeProvider(provider)


@pytest.fixture
def run(provider: Any, qgis_processing: Any, fresh_site: Any, store_sign_in: Any) -> Any:
    """Runs the algorithm on the classic site's World as the publisher, with given parameters."""

    def run_it(account: Account | None = PUBLISHER, **parameters: Any) -> dict[str, Any]:
        parameters.setdefault("INPUT_SERVICE", fresh_site.service_url("classic", "World"))
        if account is not None:
            parameters["AUTH_CONFIG"] = store_sign_in(
                "Basic", username=account.name, password=account.password
            )
        return dict(qgis_processing.run("tilecache:managetiles", parameters))

    return run_it


@pytest.fixture
def run_unchecked(provider: Any, fresh_site: Any, store_sign_in: Any) -> Any:
    """Runs the algorithm as a model or script may: without checking the parameters first."""

    def run_it(feedback: QgsProcessingFeedback | None = None, **parameters: Any) -> dict[str, Any]:
        feedback = feedback or QgsProcessingFeedback()
        parameters["INPUT_SERVICE"] = fresh_site.service_url("classic", "World")
        parameters["AUTH_CONFIG"] = store_sign_in(
            "Basic", username=PUBLISHER.name, password=PUBLISHER.password
        )
        context = QgsProcessingContext()
        context.setProject(QgsProject.instance())
        algorithm = provider.algorithm("managetiles").create()
        results, succeeded = algorithm.run(parameters, context, feedback, {}, False)
        assert succeeded
        return dict(results)

    return run_it


def polygon_layer(*polygons: str, crs: str = "EPSG:4326") -> QgsVectorLayer:
    layer = QgsVectorLayer(f"Polygon?crs={crs}", "Area", "memory")
    for polygon in polygons:
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromWkt(polygon))
        layer.dataProvider().addFeature(feature)
    layer.updateExtents()
    QgsProject.instance().addMapLayer(layer)
    return layer


def scales_of(site: Any, *levels: int) -> str:
    """Scales of the Web Mercator levels, as Esri publishes them: level 0 halved."""
    return ";".join(str(round(591657527.591555 / 2**level, 6)) for level in levels)


def counts(site: Any, key: str = "classic", name: str = "World") -> dict[int, int]:
    tiles = site.read_cache(key, name)
    return {level: len(found) for level, found in tiles.items() if found}


@pytest.mark.parametrize(
    ("scales", "levels"),
    [
        ("591657527.591555", [0]),
        ("1:147914382;1:73957191", [2, 3]),
        ("591,657,527", None),
        (" 295828763.8 ; 591657550.5; ", [0, 1]),
    ],
)
def test_scales_are_matched_to_the_services_own(
    run: Any, fresh_site: Any, scales: str, levels: list[int] | None
) -> None:
    if levels is None:
        with pytest.raises(QgsProcessingException, match="not a list of scales"):
            run(SCALES=scales)
        return
    results = run(SCALES=scales)

    assert counts(fresh_site) == {level: WORLD_TILES[level] for level in levels}
    assert results["TILES"] == sum(WORLD_TILES[level] for level in levels)


@pytest.mark.parametrize(
    "scales",
    [";;", " ; ", "  ", "5000,2500", "0", [295828763.8], QVariant(QVariant.Type.String),
     QgsProperty.fromExpression("@there_is_no_such_variable")],
    ids=["separators", "blanks and a separator", "blanks", "commas", "zero", "a list", "NULL",
         "an expression without result"],
)  # fmt: skip
@pytest.mark.parametrize("checked", [True, False], ids=["checked first", "not checked"])
def test_scales_that_come_to_nothing_are_never_all_scales(
    run: Any, run_unchecked: Any, fresh_site: Any, scales: object, checked: bool
) -> None:
    run(SCALES=scales_of(fresh_site, 1))
    before = fresh_site.jobs("classic")

    with pytest.raises(QgsProcessingException, match="is not a list of scales"):
        (run if checked else run_unchecked)(SCALES=scales, UPDATE_MODE="DELETE_TILES")

    assert fresh_site.jobs("classic") == before
    assert counts(fresh_site) == {1: 4}


def test_without_scales_all_cached_ones_are_updated(run: Any, fresh_site: Any) -> None:
    area = polygon_layer("POLYGON((2 48, 3 48, 3 49, 2 49, 2 48))")

    run(AREA_OF_INTEREST=area)

    assert list(counts(fresh_site)) == [0, 1, 2, 3, 4, 5, 6, 7]


def test_a_scale_the_service_does_not_have(run: Any, fresh_site: Any) -> None:
    with pytest.raises(QgsProcessingException, match="1:500,000 is none of the scales"):
        run(SCALES="500000")

    assert fresh_site.jobs("classic") == []


def test_the_three_modes_one_after_the_other(run: Any, fresh_site: Any) -> None:
    scales = scales_of(fresh_site, 2)
    made = run(SCALES=scales, UPDATE_MODE="RECREATE_EMPTY_TILES")
    first = fresh_site.read_cache("classic", "World")
    run(SCALES=scales, UPDATE_MODE="RECREATE_EMPTY_TILES")
    untouched = fresh_site.read_cache("classic", "World")
    run(SCALES=scales, UPDATE_MODE="RECREATE_ALL_TILES")
    replaced = fresh_site.read_cache("classic", "World")
    deleted = run(SCALES=scales, UPDATE_MODE="DELETE_TILES")

    assert made["TILES"] == deleted["TILES"] == 16
    assert untouched == first
    assert set(replaced[2]) == set(first[2])
    assert all(replaced[2][tile].offset != first[2][tile].offset for tile in first[2])
    assert counts(fresh_site) == {}


def test_the_area_wins_over_the_extent(run: Any, fresh_site: Any) -> None:
    area = polygon_layer("POLYGON((100 -50, 170 -50, 170 -10, 100 -10, 100 -50))")

    results = run(
        SCALES=scales_of(fresh_site, 1),
        AREA_OF_INTEREST=area,
        UPDATE_EXTENT="-170,-10,10,80 [EPSG:4326]",
    )

    # The south-east quarter of the world, not the north-west one.
    assert set(fresh_site.read_cache("classic", "World")[1]) == {(1, 1)}
    assert results["TILES"] == 1


def test_selected_features_only(run: Any, fresh_site: Any) -> None:
    layer = polygon_layer(
        "POLYGON((100 -50, 170 -50, 170 -10, 100 -10, 100 -50))",
        "POLYGON((-100 20, -90 20, -90 30, -100 30, -100 20))",
    )
    layer.selectByExpression("$id = 2")

    run(
        SCALES=scales_of(fresh_site, 1),
        AREA_OF_INTEREST=QgsProcessingFeatureSourceDefinition(layer.id(), True),
    )

    assert set(fresh_site.read_cache("classic", "World")[1]) == {(0, 0)}


def test_a_layer_with_an_invalid_polygon(run: Any, fresh_site: Any) -> None:
    bow_tie = polygon_layer("POLYGON((100 -50, 170 -10, 170 -50, 100 -10, 100 -50))")

    run(SCALES=scales_of(fresh_site, 1), AREA_OF_INTEREST=bow_tie)

    assert set(fresh_site.read_cache("classic", "World")[1]) == {(1, 1)}


@pytest.mark.parametrize(
    ("extent", "tiles"),
    [
        ("-170,-10,10,80 [EPSG:4326]", {(0, 0)}),
        ("-19000000,-100000,100000,19000000 [EPSG:3857]", {(0, 0)}),
        ("-10,10,-10,10 [EPSG:4326]", {(0, 0), (0, 1), (1, 0), (1, 1)}),
    ],
)
def test_an_extent(run: Any, fresh_site: Any, extent: str, tiles: set[tuple[int, int]]) -> None:
    run(SCALES=scales_of(fresh_site, 1), UPDATE_EXTENT=extent)

    assert set(fresh_site.read_cache("classic", "World")[1]) == tiles


@pytest.mark.parametrize("extent", ["170,-170,-50,-30 [EPSG:4326]", "170,-170,-50,-30"])
def test_an_extent_across_the_antimeridian_is_what_the_dialog_makes_of_it(
    run: Any, fresh_site: Any, extent: str
) -> None:
    QgsProject.instance().setCrs(QgsCoordinateReferenceSystem())
    service = fresh_site.service_url("gaps", "World")
    description = open_cache(service).describe()
    area = areas.resolve(areas.TypedExtent("170 -50 -170 -30"), description)
    expected = {level.id: set(cover(description.scheme, level, area).tiles())
                for level in description.cached_levels}  # fmt: skip

    results = run(None, INPUT_SERVICE=service, UPDATE_EXTENT=extent)

    made = fresh_site.read_cache("gaps", "World")
    assert {level: set(tiles) for level, tiles in made.items() if tiles} == expected
    assert results["TILES"] == sum(len(tiles) for tiles in expected.values())


@pytest.mark.parametrize(
    "extent",
    ["100,-100,0,50 [EPSG:3857]", "0,10,50,-50 [EPSG:4326]", "400,-1,0,5 [EPSG:4326]",
     "-10,10,5,-5"],
)  # fmt: skip
def test_extents_with_minima_above_maxima_are_refused(
    run: Any, fresh_site: Any, extent: str
) -> None:
    with pytest.raises(QgsProcessingException, match="is not an extent: give xmin,xmax,ymin,ymax"):
        run(SCALES=scales_of(fresh_site, 1), UPDATE_EXTENT=extent)

    assert fresh_site.jobs("classic") == []


def test_a_raster_is_no_area_of_interest(
    run_unchecked: Any, fresh_site: Any, tmp_path: Path
) -> None:
    path = str(tmp_path / "relief.tif")
    raster = gdal.GetDriverByName("GTiff").Create(path, 8, 8)
    raster.SetGeoTransform((0, 1, 0, 8, 0, -1))
    del raster

    with pytest.raises(QgsProcessingException, match="has no polygons that can be read"):
        run_unchecked(SCALES=scales_of(fresh_site, 1), AREA_OF_INTEREST=path)

    assert fresh_site.jobs("classic") == []


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


@pytest.mark.parametrize("nothing", [None, ""])
def test_no_area_and_no_extent_is_the_whole_cache(
    run: Any, fresh_site: Any, nothing: object
) -> None:
    run(SCALES=scales_of(fresh_site, 1), AREA_OF_INTEREST=nothing, UPDATE_EXTENT=nothing)

    assert counts(fresh_site) == {1: 4}


def test_an_extent_by_expression(run: Any, fresh_site: Any) -> None:
    extent = QgsProperty.fromExpression("'-170,-10,10,80 [EPSG:4326]'")

    run(SCALES=scales_of(fresh_site, 1), UPDATE_EXTENT=extent)

    assert set(fresh_site.read_cache("classic", "World")[1]) == {(0, 0)}


def test_an_extent_without_crs_is_in_the_projects_else_in_the_services(
    run: Any, fresh_site: Any
) -> None:
    project = QgsProject.instance()
    tiles = []
    for crs, extent in (("EPSG:4326", "-170,-10,10,80"), ("", "-19000000,-100000,100000,19000000")):
        project.setCrs(QgsCoordinateReferenceSystem(crs))
        run(SCALES=scales_of(fresh_site, 1), UPDATE_EXTENT=extent)
        tiles.append(set(fresh_site.read_cache("classic", "World").pop(1)))
        run(SCALES=scales_of(fresh_site, 1), UPDATE_MODE="DELETE_TILES")

    assert tiles == [{(0, 0)}, {(0, 0)}]


def test_the_extent_of_a_layer_without_crs_is_refused(run: Any, fresh_site: Any) -> None:
    layer = polygon_layer(EUROPE)
    layer.setCrs(QgsCoordinateReferenceSystem())

    with pytest.raises(QgsProcessingException, match="no coordinate reference system"):
        run(SCALES=scales_of(fresh_site, 1), UPDATE_EXTENT=layer)


def test_not_waiting_gives_the_job_at_once(run: Any, fresh_site: Any, wait_until: Any) -> None:
    fresh_site.pause_after("classic", 3)

    results = run(SCALES=scales_of(fresh_site, 3), WAIT="DO_NOT_WAIT")

    (job,) = fresh_site.jobs("classic")
    assert results["JOB_ID"] == job["jobId"]
    assert job["jobStatus"] != "esriJobSucceeded"
    fresh_site.release("classic")
    wait_until(
        lambda: fresh_site.jobs("classic")[0]["jobStatus"] == "esriJobSucceeded",
        20,
        "the job that goes on by itself",
    )


def test_instances_go_to_the_site(run: Any, fresh_site: Any) -> None:
    run(SCALES=scales_of(fresh_site, 0), NUM_OF_INSTANCES=3)

    assert fresh_site.submissions("classic")[0]["form"]["thread_count"] == "3"


@pytest.mark.parametrize(
    ("parameters", "account", "says"),
    [
        ({"NUM_OF_INSTANCES": 0}, PUBLISHER, "0 is not a number of caching instances"),
        ({}, None, "[Ss]ign"),
        ({}, VIEWER, "right"),
        ({}, Account("publisher", "wrong"), "password"),
        ({"INPUT_SERVICE": "http://127.0.0.1:9/arcgis/rest/services/X/MapServer"}, None, "127.0"),
        ({"INPUT_SERVICE": "World"}, None, "address"),
        ({"PORTAL_URL": "gis.test/portal"}, PUBLISHER, "is not the address of a portal"),
        ({"AREA_OF_INTEREST": "/no/such/file.gpkg"}, PUBLISHER, "(?i)no layer|could not load"),
        ({"UPDATE_EXTENT": "10,20,30,30 [EPSG:4326]"}, PUBLISHER, "has no surface"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    run: Any, parameters: dict[str, Any], account: Account | None, says: str
) -> None:
    with pytest.raises(QgsProcessingException, match=says) as caught:
        run(account, SCALES="591657527.591555", **parameters)

    assert "Traceback" not in str(caught.value)
    assert "wrong" not in str(caught.value)


def test_a_job_that_fails_shows_the_sites_own_message(run: Any, fresh_site: Any) -> None:
    fresh_site.fail_next("classic", "ERROR 001470: the disk is full.", after=1)

    with pytest.raises(QgsProcessingException, match="ERROR 001470: the disk is full"):
        run(SCALES=scales_of(fresh_site, 2))


def test_a_sites_message_is_shown_plain_and_without_secrets(provider: Any) -> None:
    feedback = QgsProcessingFeedback()

    tell = core_feedback(feedback).message
    tell(Message("<b>Caching</b> with token=hunter2"))
    tell(Message("two\nlines", Severity.WARNING))

    assert feedback.textLog().splitlines() == ["Caching with token=***", "two lines"]


def test_cancelled_while_the_area_is_read_nothing_is_sent(
    run_unchecked: Any, fresh_site: Any
) -> None:
    class Cancelled(QgsProcessingFeedback):
        def isCanceled(self) -> bool:
            return True

    area = polygon_layer(EUROPE)

    results = run_unchecked(
        Cancelled(), SCALES=scales_of(fresh_site, 1), UPDATE_MODE="DELETE_TILES",
        AREA_OF_INTEREST=area,
    )  # fmt: skip

    assert results == {}
    assert fresh_site.jobs("classic") == []


def test_every_parameter_and_output_is_explained(provider: Any) -> None:
    algorithm = provider.algorithm("managetiles")
    help_text = algorithm.shortHelpString()
    names = [item.name() for item in algorithm.parameterDefinitions()]
    names += [item.name() for item in algorithm.outputDefinitions()]

    assert "\n" not in help_text  # QGIS would show it as a line break
    assert len(names) == 12
    assert [name for name in names if f"({name})" not in help_text] == []


class QgisProcess:
    """qgis_process with the plugin, in a profile of its own."""

    def __init__(self, folder: Path) -> None:
        (folder / "plugins").mkdir()
        (folder / "plugins" / "tile_cache_manager").symlink_to(ROOT)
        # A person's own environment may set these; qgis_process must not see the test's.
        hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
        self._environment = {
            **{name: value for name, value in os.environ.items() if name not in hidden},
            "PATH": "/usr/bin:/bin",
            "QGIS_PLUGINPATH": str(folder / "plugins"),
            "QGIS_CUSTOM_CONFIG_PATH": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "QT_QPA_PLATFORM": "offscreen",
        }
        self.ask("plugins", "enable", "tile_cache_manager")

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/usr/bin/qgis_process.bin", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def qgis_process(tmp_path_factory: pytest.TempPathFactory) -> QgisProcess:
    if not Path("/usr/bin/qgis_process.bin").exists():
        pytest.skip("qgis_process is not installed here")
    return QgisProcess(tmp_path_factory.mktemp("qgis_process"))


def test_qgis_process_takes_keywords_as_arcgis_users_know_them(
    qgis_process: QgisProcess, fresh_site: Any, tmp_path: Path
) -> None:
    area = tmp_path / "area.geojson"
    geometry = json.loads(QgsGeometry.fromWkt(EUROPE).asJson())
    area.write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": geometry}))
    service = fresh_site.service_url("gaps", "World")

    answer = qgis_process.ask(
        *("--json", "run", "tilecache:managetiles"),
        *("--", f"INPUT_SERVICE={service}", "UPDATE_MODE=RECREATE_ALL_TILES"),
        *(f"AREA_OF_INTEREST={area}", "WAIT=WAIT"),
    )

    assert answer.returncode == 0, answer.stderr
    results = json.loads(answer.stdout)["results"]
    made = sum(counts(fresh_site, "gaps").values())
    assert results["TILES"] == made > 0
    assert results["JOB_ID"] == fresh_site.jobs("gaps")[0]["jobId"]
    assert results["OUTPUT_URL"].endswith("/World/MapServer")


def test_qgis_process_fails_with_the_sentence(qgis_process: QgisProcess, fresh_site: Any) -> None:
    service = fresh_site.service_url("classic", "Dynamic")

    answer = qgis_process.ask("run", "tilecache:managetiles", "--", f"INPUT_SERVICE={service}")

    assert answer.returncode != 0
    assert "Dynamic has no tile cache" in answer.stdout + answer.stderr


@pytest.mark.parametrize("extent", ["0,0,0,0 [EPSG:3857]", "no such layer"])
def test_qgis_process_refuses_an_extent_that_comes_to_nothing(
    qgis_process: QgisProcess, fresh_site: Any, extent: str
) -> None:
    service = fresh_site.service_url("gaps", "World")

    answer = qgis_process.ask(
        *("run", "tilecache:managetiles", "--", f"INPUT_SERVICE={service}"),
        *("UPDATE_MODE=DELETE_TILES", f"UPDATE_EXTENT={extent}"),
    )

    assert answer.returncode != 0
    assert fresh_site.jobs("gaps") == []


def test_qgis_process_takes_numbers_alone_in_the_services_crs(
    qgis_process: QgisProcess, fresh_site: Any
) -> None:
    service = fresh_site.service_url("gaps", "World")

    answer = qgis_process.ask(
        *("run", "tilecache:managetiles", "--", f"INPUT_SERVICE={service}"),
        "UPDATE_EXTENT=100,100.05,45,45.05",
    )

    assert answer.returncode == 0, answer.stderr
    tiles = fresh_site.read_cache("gaps", "World")
    # Level 8 has tiles of 512 pixels of 0.0109986627 degrees, from -400 east and 400 north on.
    assert set(tiles[8]) == {(63, 88)}
    assert set(counts(fresh_site, "gaps").values()) == {1}
