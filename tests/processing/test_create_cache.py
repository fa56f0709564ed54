"""`tilecache:createcache`: empty caches of every format, refused where they cannot be made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from arcgis_server.handle import PUBLISHER
from local_caches import counts_of
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFileUtils,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterEnum,
    QgsProject,
    QgsProperty,
)
from qgis.PyQt.QtCore import QVariant

from tile_cache_manager.plugin.core.cache import open_cache
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings, read_settings

pytestmark = pytest.mark.qgis


@pytest.fixture
def create(provider: Any, qgis_processing: Any) -> Any:
    def run_it(target: Path | str, **parameters: Any) -> dict[str, Any]:
        parameters["TARGET"] = str(target)
        return dict(qgis_processing.run("tilecache:createcache", parameters))

    return run_it


@pytest.fixture
def create_unchecked(provider: Any) -> Any:
    """Runs the algorithm as a model or script may: without checking the parameters first."""

    def run_it(target: Path | str, **parameters: Any) -> dict[str, Any]:
        context = QgsProcessingContext()
        context.setProject(QgsProject.instance())
        algorithm = provider.algorithm("createcache").create()
        given = {"TARGET": str(target), **parameters}
        results, succeeded = algorithm.run(given, context, QgsProcessingFeedback(), {}, False)
        assert succeeded
        return dict(results)

    return run_it


FORMATS = [
    ("World", {}, "COMPACT_V2"),
    ("World", {"STORAGE_FORMAT": "COMPACT_V2"}, "COMPACT_V2"),
    ("World", {"STORAGE_FORMAT": "EXPLODED"}, "EXPLODED"),
    ("World.tpkx", {}, "TPKX"),
    ("World.TPKX", {"STORAGE_FORMAT": "TPKX"}, "TPKX"),
    ("World.mbtiles", {}, "MBTILES"),
    ("World.mbtiles", {"STORAGE_FORMAT": "MBTILES"}, "MBTILES"),
    ("World.gpkg", {}, "GPKG"),
    ("World.tpk", {}, "TPK"),
    ("World", {"STORAGE_FORMAT": "COMPACT_V1"}, "COMPACT_V1"),
]


@pytest.mark.parametrize(("name", "given", "storage"), FORMATS)
def test_every_format(create: Any, tmp_path: Path, name: str, given: dict, storage: str) -> None:
    target = tmp_path / "my new cäches" / name
    results = create(target, **given)
    description = open_cache(str(target)).describe()
    assert description.kind == storage
    assert description.name == "World"
    assert description.image_format == "PNG32"
    assert sum(level.tiles for level in description.status) == 0
    assert results == {
        "TARGET": str(target),
        "OUTPUT_CACHE": str(target),
        "LEVELS": len(description.cached_levels),
    }


def test_gdal_opens_what_was_created(create: Any, tmp_path: Path) -> None:
    create(tmp_path / "World")
    dataset = gdal.Open(str(tmp_path / "World" / "conf.xml"))
    assert dataset is not None
    assert dataset.RasterCount == 4


@pytest.mark.parametrize(
    ("given", "storage"),
    [
        ({}, "COMPACT_V2"),
        ({"STORAGE_FORMAT": "EXPLODED"}, "EXPLODED"),
        ({"STORAGE_FORMAT": "MBTILES"}, "MBTILES"),
        ({"STORAGE_FORMAT": "GPKG"}, "GPKG"),
    ],
)
def test_a_temporary_cache(create: Any, given: dict, storage: str) -> None:
    results = create("TEMPORARY_OUTPUT", **given)
    assert open_cache(results["OUTPUT_CACHE"]).describe().kind == storage


def test_qgis_s_button_adds_no_ending_to_a_folder(provider: Any) -> None:
    target = provider.algorithm("createcache").parameterDefinition("TARGET")
    filters = target.createFileFilter().split(";;")
    named = [QgsFileUtils.addExtensionFromFilter("/maps/World", each) for each in filters[:3]]
    assert named == ["/maps/World", "/maps/World.tpkx", "/maps/World.mbtiles"]


def test_all_that_can_be_chosen(create: Any, tmp_path: Path) -> None:
    target = tmp_path / "World"
    results = create(
        target,
        SCALES="295828763.795777;147914381.897889",
        TILE_FORMAT="JPEG",
        COMPRESSION_QUALITY=60,
        TILE_SIZE="512",
        DPI=192,
        SOURCE="theme:Night",
        BACKGROUND="#102030",
    )
    description = open_cache(str(target)).describe()
    assert results["LEVELS"] == len(description.cached_levels) == 2
    assert [round(level.scale) for level in description.cached_levels] == [295828764, 147914382]
    assert (description.image_format, description.compression_quality) == ("JPEG", 60)
    assert (description.scheme.tile_width, description.scheme.dpi) == (512, 192)
    assert read_settings(target) == CacheSettings("theme:Night", "#102030")


def test_the_crs_of_the_project(create: Any, tmp_path: Path) -> None:
    project = QgsProject.instance()
    project.clear()
    project.setCrs(QgsCoordinateReferenceSystem("EPSG:25832"))
    create(tmp_path / "Grid", TILING_SCHEME="PROJECT", SCALES="1000000;500000;250000")
    description = open_cache(str(tmp_path / "Grid")).describe()
    project.clear()
    assert description.scheme.crs.code == 25832
    assert [level.scale for level in description.cached_levels] == [1e6, 5e5, 2.5e5]


def test_the_scheme_of_another_cache(create: Any, tmp_path: Path) -> None:
    first = tmp_path / "First"
    create(first, TILING_SCHEME="WGS84")
    create(tmp_path / "Second", TILING_SCHEME=str(first))
    schemes = [open_cache(str(tmp_path / name)).describe().scheme for name in ("First", "Second")]
    assert schemes[0] == schemes[1]


def test_the_scheme_of_a_service_that_asks_for_a_sign_in(
    create: Any, tmp_path: Path, fresh_site: Any, store_sign_in: Any
) -> None:
    address = fresh_site.service_url("secured", "World")
    with pytest.raises(QgsProcessingException, match="sign-in"):
        create(tmp_path / "World", TILING_SCHEME=address)
    account = {"username": PUBLISHER.name, "password": PUBLISHER.password}
    sign_in = store_sign_in("Basic", **account)
    create(tmp_path / "World", TILING_SCHEME=address, AUTH_CONFIG=sign_in)

    description = open_cache(str(tmp_path / "World")).describe()
    assert description.scheme.crs.code == 3857


def test_the_scheme_of_a_service_whose_site_belongs_to_a_portal(
    create: Any, tmp_path: Path, fresh_site: Any, store_sign_in: Any
) -> None:
    address = fresh_site.service_url("federated", "World")
    sign_in = store_sign_in("Basic", username=PUBLISHER.name, password=PUBLISHER.password)
    asked = {"TILING_SCHEME": address, "AUTH_CONFIG": sign_in}
    with pytest.raises(QgsProcessingException, match="portal"):
        create(tmp_path / "World", **asked)

    create(tmp_path / "World", PORTAL_URL=fresh_site.site_url("portal"), **asked)

    assert open_cache(str(tmp_path / "World")).describe().scheme.crs.code == 3857


def test_an_empty_folder_is_taken_and_a_full_one_refused(create: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    create(tmp_path / "empty")
    with pytest.raises(QgsProcessingException, match="exists already"):
        create(tmp_path / "empty")
    assert counts_of(tmp_path / "empty") == {}


BAD = [
    ("an ending of another format", "World.tpkx", {"STORAGE_FORMAT": "COMPACT_V2"},
     "“COMPACT_V2” cannot be taken for the storage format: give TPKX"),
    ("a folder for a package", "World", {"STORAGE_FORMAT": "MBTILES"},
     "ends in .mbtiles for MBTILES"),
    ("scales that are none", "World", {"SCALES": "5,00"}, "not a list of scales"),
    ("scales of blanks", "World", {"SCALES": " "}, "not a list of scales"),
    ("no such scheme", "World", {"TILING_SCHEME": "/no/such/conf.xml"}, "conf.xml"),
    ("a source of blanks", "World", {"SOURCE": " "}, "cannot be taken for SOURCE"),
    ("a scheme MBTiles cannot have", "World.mbtiles", {"TILING_SCHEME": "WGS84"}, "MBTiles"),
]  # fmt: skip


@pytest.mark.parametrize("checked", [True, False], ids=["checked first", "not checked"])
@pytest.mark.parametrize(
    ("name", "given", "said"), [case[1:] for case in BAD], ids=[case[0] for case in BAD]
)
def test_what_cannot_be_made_is_said_and_leaves_nothing(
    create: Any, create_unchecked: Any, tmp_path: Path, name: str, given: dict, said: str,
    checked: bool,
) -> None:  # fmt: skip
    with pytest.raises(QgsProcessingException, match=said):
        (create if checked else create_unchecked)(tmp_path / "new" / name, **given)
    assert list(tmp_path.iterdir()) == []


BAD_VALUES = [
    ({"COMPRESSION_QUALITY": 101}, "the compression quality"),
    ({"COMPRESSION_QUALITY": -1}, "the compression quality"),
    ({"DPI": 0}, "the DPI"),
    ({"DPI": "many"}, "the DPI"),
    ({"TILE_SIZE": "300"}, "the tile size"),
    ({"TILE_FORMAT": "GIF"}, "the tile format"),
    ({"STORAGE_FORMAT": "ZIP"}, "the storage format"),
    ({"BACKGROUND": "no colour"}, "the background"),
]


@pytest.mark.parametrize(("given", "option"), BAD_VALUES, ids=str)
def test_values_out_of_range_are_never_the_default(
    create_unchecked: Any, create: Any, tmp_path: Path, given: dict, option: str
) -> None:
    with pytest.raises(QgsProcessingException, match=f"cannot be taken for {option}: give"):
        create_unchecked(tmp_path / "World", **given)
    with pytest.raises(QgsProcessingException):
        create(tmp_path / "World", **given)
    assert list(tmp_path.iterdir()) == []


def test_an_expression_without_result_is_no_scale(create: Any, tmp_path: Path) -> None:
    for nothing in (QVariant(QVariant.Type.String), QgsProperty.fromExpression("@nothing")):
        with pytest.raises(QgsProcessingException, match="not a list of scales"):
            create(tmp_path / "World", SCALES=nothing)


@pytest.mark.parametrize("name", ["createcache", "managetiles", "verifycache", "defragmentcache"])
def test_every_parameter_and_output_is_explained(provider: Any, name: str) -> None:
    algorithm = provider.algorithm(name)
    help_text = algorithm.shortHelpString()
    named = [*algorithm.parameterDefinitions(), *algorithm.outputDefinitions()]
    names = [item.name() for item in named]
    assert len(names) > 2
    assert "\n" not in help_text  # QGIS would show it as a line break
    assert [each for each in names if f"({each})" not in help_text] == []


@pytest.mark.parametrize("ending", [".slpk", ".zip", ".ZIP", ".vtpk", ".pmtiles"])
def test_no_folder_is_called_as_if_it_were_a_package(
    create: Any, create_unchecked: Any, tmp_path: Path, ending: str
) -> None:
    for run in (create, create_unchecked):
        with pytest.raises(QgsProcessingException, match=r"ends in \.tpkx, \.tpk, \.mbtiles"):
            run(tmp_path / f"World{ending}")
    assert list(tmp_path.iterdir()) == []


def told_by(provider: Any, target: Path, **parameters: Any) -> str:
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    context.setProject(QgsProject.instance())
    algorithm = provider.algorithm("createcache").create()
    given = {"TARGET": str(target), **parameters}
    assert algorithm.run(given, context, feedback, {}, False)[1]
    return str(feedback.textLog())


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("theme:Night", "no map theme “Night”"),
        ("layers:roads_1", "no layer “roads_1”"),
        ("theme:", "No map theme is named"),
        ("", ""),
    ],
)
def test_a_source_that_the_project_does_not_have(
    provider: Any, tmp_path: Path, source: str, said: str
) -> None:
    log = told_by(provider, tmp_path / "World", SOURCE=source)
    assert said in log
    assert ("cannot be filled from this project" in log) == bool(said)


SHOWN = [
    (3060200, {"TILE_SIZE": "512"}, "ends at once", "in grey"),
    (3090000, {"TILE_SIZE": "512"}, "ends at once", "in grey"),
    (3090100, {"TILE_SIZE": "512"}, "", "ends at once"),
    (3060200, {"TILE_SIZE": "512", "STORAGE_FORMAT": "EXPLODED"}, "", "ends at once"),
    (3060200, {"TILE_FORMAT": "PNG8"}, "PNG8 tiles with a palette in grey", "ends at once"),
    (3060200, {"TILE_FORMAT": "PNG"}, "PNG tiles with a palette in grey", "ends at once"),
    (3080000, {"TILE_FORMAT": "PNG8"}, "", "in grey"),
    (3060200, {}, "", "in grey"),
]


@pytest.mark.parametrize(("version", "given", "said", "unsaid"), SHOWN)
def test_what_this_qgis_cannot_show_is_said(
    provider: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    version: int, given: dict, said: str, unsaid: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(gdal, "VersionInfo", lambda: str(version))
    log = told_by(provider, tmp_path / "World", **given)
    assert said in log
    assert unsaid not in log


@pytest.mark.parametrize("name", ["createcache", "managetiles"])
def test_qgis_process_names_the_keywords_of_each_choice(provider: Any, name: str) -> None:
    definitions = provider.algorithm(name).parameterDefinitions()
    choices = [each for each in definitions if isinstance(each, QgsProcessingParameterEnum)]
    assert len(choices) == 3
    for each in choices:
        for keyword in each.options():
            assert keyword in each.description()
