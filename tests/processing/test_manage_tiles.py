"""`tilecache:managetiles` as people run it from the toolbox and from scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from arcgis_server.handle import PUBLISHER, VIEWER, Account
from osgeo import gdal
from processing_inputs import EUROPE, counts, polygon_layer, scales_of
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProject,
    QgsProperty,
)
from qgis.PyQt.QtCore import QVariant

from tile_cache_manager.plugin.core.cache import open_cache
from tile_cache_manager.plugin.core.coverage import cover
from tile_cache_manager.plugin.core.request import Message, Severity
from tile_cache_manager.plugin.host import areas
from tile_cache_manager.plugin.processing.manage_tiles import core_feedback

pytestmark = pytest.mark.qgis

WORLD_TILES = {0: 1, 1: 4, 2: 16, 3: 64}
"""Tiles of the whole Web Mercator world: four times as many at each level."""


@pytest.mark.parametrize(
    ("scales", "levels"),
    [
        ("591657527.591555", [0]),
        ("1:147914382;1:73957191", [2, 3]),
        ("591,657,52", None),
        ("591,657,528", [0]),
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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("UPDATE_MODE", QgsProperty.fromExpression("'DELETE'")),
        ("UPDATE_MODE", QgsProperty.fromExpression("@there_is_no_such_variable")),
        ("UPDATE_MODE", "RECREATE_ALL"),
        ("UPDATE_MODE", " "),
        ("WAIT", QgsProperty.fromExpression("'NO_WAIT'")),
        ("WAIT", QgsProperty.fromExpression("@there_is_no_such_variable")),
        ("WAIT", "NO_WAIT"),
    ],
)
@pytest.mark.parametrize("checked", [True, False], ids=["checked first", "not checked"])
def test_a_keyword_that_is_none_is_never_taken_for_the_usual_one(
    run: Any, run_unchecked: Any, fresh_site: Any, name: str, value: object, checked: bool
) -> None:
    scales = scales_of(fresh_site, 1)

    with pytest.raises(QgsProcessingException, match=name):
        (run if checked else run_unchecked)(SCALES=scales, **{name: value})

    assert fresh_site.jobs("classic") == []


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
    assert len(names) == 26
    assert [name for name in names if f"({name})" not in help_text] == []
