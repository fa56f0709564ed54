"""`tilecache:exportcache` and `exportcaches` as scripts run them, read by other programs."""

from __future__ import annotations

import math
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from exported_tiles import (
    HALF,
    expected_tiles,
    served,
    tiles_in_bundles,
    tiles_of_mbtiles,
    tiles_of_tpkx,
)
from processing_inputs import polygon_layer, scales_of
from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProject,
    QgsProperty,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QCoreApplication, QVariant

from tile_cache_manager.plugin.core.errors import SiteSilent, SiteUnreachable, Unreachable
from tile_cache_manager.plugin.core.request import Message, Severity
from tile_cache_manager.plugin.host import area_rules, rule_file
from tile_cache_manager.plugin.processing.values import core_feedback

pytestmark = pytest.mark.qgis

PARIS = "POLYGON((2.2 48.8, 2.45 48.8, 2.45 48.9, 2.2 48.9, 2.2 48.8))"


def mercator(longitude: float, latitude: float) -> tuple[float, float]:
    """By the formula of the spherical Mercator projection."""
    y = math.log(math.tan(math.pi / 4 + math.radians(latitude) / 2))
    return longitude / 180 * HALF, y / math.pi * HALF


PARIS_MERCATOR = (*mercator(2.2, 48.8), *mercator(2.45, 48.9))
ISLAND = "POLYGON((2.345 48.853, 2.351 48.853, 2.351 48.856, 2.345 48.856, 2.345 48.853))"
ISLAND_MERCATOR = (*mercator(2.345, 48.853), *mercator(2.351, 48.856))


class Heard(QgsProcessingFeedback):
    """Keeps what an algorithm says."""

    def __init__(self) -> None:
        super().__init__(False)
        self.lines: list[str] = []

    def pushInfo(self, info: str) -> None:
        self.lines.append(info)

    def pushWarning(self, warning: str) -> None:
        self.lines.append(warning)

    def reportError(self, error: str, fatalError: bool = False) -> None:
        self.lines.append(error)


@pytest.fixture
def export(provider: Any, qgis_processing: Any, fresh_site: Any) -> Callable[..., dict[str, Any]]:
    """Runs `exportcache` on the service Streets."""

    def run(algorithm: str = "exportcache", heard: Any = None, **given: Any) -> dict[str, Any]:
        if algorithm == "exportcache":
            given.setdefault("INPUT_SERVICE", fresh_site.service_url("classic", "Streets"))
        return dict(qgis_processing.run(f"tilecache:{algorithm}", given, feedback=heard))

    return run


def test_a_package_holds_just_the_tiles_of_the_area_byte_for_byte(
    export: Callable[..., dict[str, Any]], fresh_site: Any, tmp_path: Path
) -> None:
    target = tmp_path / "Straßen.tpkx"

    results = export(
        TARGET=str(target),
        SCALES=scales_of(None, 3, 9, 12),
        AREA_OF_INTEREST=polygon_layer(PARIS),
    )

    expected = expected_tiles(PARIS_MERCATOR, 3, 9, 12)
    found = tiles_of_tpkx(target, tmp_path / "unpacked")
    assert set(found) == expected
    assert {tile: served(fresh_site, "Streets", tile) for tile in found} == found
    assert (results["TILES"], results["MADE"], results["FAILED"]) == (len(expected),) * 2 + (0,)
    assert results["OUTPUT_CACHE"] == results["TARGET"] == str(target)
    assert results["SIZE"] == target.stat().st_size
    assert results["JOBS"] >= 1


@pytest.mark.parametrize(
    ("kind", "storage", "name"),
    [
        ("CACHE_DATASET", "COMPACT_V2", "Straßen"),
        ("CACHE_DATASET", "EXPLODED", "Straßen"),
        ("CACHE_DATASET", "COMPACT", "Straßen"),
        ("TILE_PACKAGE", "COMPACT_V2", "Straßen.tpk"),
        ("MBTILES", "COMPACT_V2", "Straßen.mbtiles"),
        ("GEOPACKAGE", "COMPACT_V2", "Straßen.gpkg"),
    ],
)
def test_every_kind_of_target(
    kind: str, storage: str, name: str, export: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    target = tmp_path / name

    results = export(
        TARGET=str(target),
        EXPORT_TYPE=kind,
        STORAGE_FORMAT=storage,
        SCALES=scales_of(None, 2, 9),
        EXPORT_EXTENT="2.2,2.45,48.8,48.9 [EPSG:4326]",
    )

    expected = expected_tiles(PARIS_MERCATOR, 2, 9)
    assert (results["MADE"], results["GAPS"], results["FAILED"]) == (len(expected), 0, 0)
    if kind == "MBTILES":
        assert set(tiles_of_mbtiles(target)) == expected
    if storage == "EXPLODED":
        files = sorted(target.rglob("*.png"))
        assert len(files) == len(expected)
    if (kind, storage) == ("CACHE_DATASET", "COMPACT_V2"):
        assert set(tiles_in_bundles(target / "_alllayers")) == expected


def test_areas_by_scale_from_a_file(
    export: Callable[..., dict[str, Any]], fresh_site: Any, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.json"
    town = area_rules.RuleArea(area_rules.RuleAreaKind.GEOMETRY, wkt=ISLAND, crs="EPSG:4326")
    rule_file.save_rules(
        rules,
        (
            area_rules.AreaRule(None, 1.4e8, area_rules.RuleArea(area_rules.RuleAreaKind.FULL)),
            area_rules.AreaRule(1.3e8, None, town),
        ),
    )
    target = tmp_path / "Streets.tpkx"

    results = export(TARGET=str(target), AREA_RULES=str(rules))

    world = expected_tiles((-HALF + 1, -HALF + 1, HALF - 1, HALF - 1), 0, 1, 2)
    expected = world | expected_tiles(ISLAND_MERCATOR, *range(3, 20))
    assert results["TILES"] == len(expected)
    assert set(tiles_of_tpkx(target, tmp_path / "unpacked")) == expected


def test_an_estimate_copies_nothing(export: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    target, heard = tmp_path / "Streets.tpkx", Heard()

    results = export(
        heard=heard,
        TARGET=str(target),
        SCALES=scales_of(None, 3, 9),
        AREA_OF_INTEREST=polygon_layer(PARIS),
        ESTIMATE_ONLY=True,
    )

    assert results["TILES"] == len(expected_tiles(PARIS_MERCATOR, 3, 9))
    assert results["SIZE"] > 0
    assert [line for line in heard.lines if line.startswith("1:73,957,191: 1 tile, about")]
    assert list(tmp_path.iterdir()) == []


def test_an_estimate_has_no_site_write_anything(
    export: Callable[..., dict[str, Any]], fresh_site: Any, tmp_path: Path
) -> None:
    results = export(
        TARGET="/arcgisserver/exported/Streets",
        EXPORT_TYPE="CACHE_DATASET",
        SCALES=scales_of(None, 3),
        COPY_DATA="DO_NOT_COPY",
        ESTIMATE_ONLY=True,
    )

    assert results["TILES"] == 64
    assert "OUTPUT_CACHE" not in results
    assert all(job["jobId"].endswith("_et") for job in fresh_site.jobs("classic"))


@pytest.mark.parametrize("nothing", ["", "  ", None, QgsProcessing.TEMPORARY_OUTPUT])
def test_the_site_writes_to_no_path_of_nobody(
    nothing: object, provider: Any, fresh_site: Any
) -> None:
    given = {
        "INPUT_SERVICE": fresh_site.service_url("classic", "Streets"),
        "TARGET": nothing,
        "SCALES": scales_of(None, 1),
        "COPY_DATA": "DO_NOT_COPY",
    }
    with pytest.raises(QgsProcessingException, match="give a path that the server sees"):
        run_unchecked(provider, "exportcache", given)


def run_unchecked(
    provider: Any, name: str, given: dict[str, Any], heard: Any = None
) -> dict[str, Any]:
    """Runs an algorithm as models do: nobody checks the parameters."""
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    algorithm = provider.algorithm(name).create()
    feedback = heard or QgsProcessingFeedback(False)
    results, succeeded = algorithm.run(given, context, feedback, {}, False)
    assert succeeded
    return dict(results)


def test_rules_of_scales_that_are_not_asked_for_do_not_matter(
    export: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    world = area_rules.RuleArea(area_rules.RuleAreaKind.FULL)
    canvas = area_rules.RuleArea(
        area_rules.RuleAreaKind.GEOMETRY, wkt="POLYGON((0 89, 1 89, 1 89.5, 0 89))", crs="EPSG:4326"
    )
    rules = tmp_path / "rules.json"
    rule_file.save_rules(
        rules, (area_rules.AreaRule(None, 1e8, world), area_rules.AreaRule(1e8, None, canvas))
    )

    results = export(
        TARGET=str(tmp_path / "out.tpkx"), SCALES=scales_of(None, 1), AREA_RULES=str(rules)
    )

    assert results["MADE"] == 4


def test_in_a_model_every_kind_of_package_can_be_made_on_the_way(
    provider: Any, fresh_site: Any
) -> None:
    model = QgsProcessingModelAlgorithm()
    child = QgsProcessingModelChildAlgorithm("tilecache:exportcache")
    child.setChildId("export")
    for name, value in (
        ("INPUT_SERVICE", fresh_site.service_url("classic", "Streets")),
        ("EXPORT_TYPE", "MBTILES"),
        ("SCALES", scales_of(None, 1)),
    ):
        source = QgsProcessingModelChildParameterSource.fromStaticValue(value)
        child.addParameterSources(name, [source])
    model.addChildAlgorithm(child)
    context = QgsProcessingContext()

    _results, succeeded = model.run({}, context, QgsProcessingFeedback(False), {}, False)

    assert succeeded


def test_a_service_that_does_not_allow_export(
    export: Callable[..., dict[str, Any]], fresh_site: Any, tmp_path: Path
) -> None:
    target = tmp_path / "Countries.tpkx"
    asked = {
        "INPUT_SERVICE": fresh_site.service_url("classic", "Basemaps/Countries"),
        "TARGET": str(target),
        "SCALES": scales_of(None, 1),
    }
    fresh_site.fill("classic", "Basemaps/Countries:MapServer", [1])

    with pytest.raises(QgsProcessingException, match="does not allow its tiles to be exported"):
        export(**asked)
    assert not target.exists()
    results = export(**asked, TILES_ARE_MINE=True)

    assert results["MADE"] == 4
    assert set(tiles_of_tpkx(target, tmp_path / "unpacked")) == {
        (1, row, col) for row in (0, 1) for col in (0, 1)
    }


def test_the_own_export_of_a_service_that_does_not_allow_it(
    export: Callable[..., dict[str, Any]], fresh_site: Any, tmp_path: Path
) -> None:
    asked = {
        "INPUT_SERVICE": fresh_site.service_url("classic", "Basemaps/Countries"),
        "TARGET": str(tmp_path / "Countries.tpkx"),
        "SCALES": scales_of(None, 1),
    }

    with pytest.raises(QgsProcessingException, match=r"switched off.*choose another way"):
        export(**asked, TILES_ARE_MINE=True, WAY="EXPORT_TILES")
    for more, is_told in (({}, True), ({"TILES_ARE_MINE": True}, False)):
        heard = Heard()
        export(heard=heard, **asked, **more, ESTIMATE_ONLY=True)
        told = [line for line in heard.lines if "does not allow its tiles to be exported" in line]
        assert bool(told) is is_told


def test_at_home(
    export: Callable[..., dict[str, Any]], fresh_site: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))

    export(TARGET="~/a.tpkx", SCALES=scales_of(None, 0, 1))
    export(TARGET="~/b.tpkx", SCALES=scales_of(None, 0))
    export(
        "importcache", INPUT_SERVICE="~/a.tpkx", SOURCE_CACHE="~/b.tpkx", SCALES=scales_of(None, 0)
    )

    assert len(tiles_of_tpkx(tmp_path / "a.tpkx", tmp_path / "unpacked")) == 5


@pytest.mark.parametrize(
    "given", [{"EXPORT_TYPE": "MBTILES"}, {"EXPORT_TYPE": "GEOPACKAGE"}, {"CLIP": True}], ids=repr
)
def test_what_the_tool_of_a_site_cannot_write(
    given: dict[str, Any], export: Callable[..., dict[str, Any]], provider: Any, fresh_site: Any
) -> None:
    asked = {"TARGET": "/on/server", "COPY_DATA": "DO_NOT_COPY", "SCALES": scales_of(None, 1)}
    with pytest.raises(QgsProcessingException, match="cannot be taken for"):
        export(**asked, **given)
    service = fresh_site.service_url("classic", "Streets")
    with pytest.raises(QgsProcessingException, match="cannot be taken for"):
        run_unchecked(provider, "exportcache", {"INPUT_SERVICE": service, **asked, **given})
    assert not fresh_site.jobs("classic")


@pytest.mark.parametrize("kind", ["a folder for a package", "a file for a dataset"])
def test_a_target_of_the_wrong_kind_is_refused_before_anything_is_asked_for(
    kind: str, export: Callable[..., dict[str, Any]], fresh_site: Any, tmp_path: Path
) -> None:
    target, what = tmp_path / "Streets.tpkx", "TILE_PACKAGE_TPKX"
    target.mkdir()
    if kind == "a file for a dataset":
        target, what = tmp_path / "Streets", "CACHE_DATASET"
        target.write_text("mine")
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(QgsProcessingException, match="exists already"):
        export(TARGET=str(target), EXPORT_TYPE=what, SCALES=scales_of(None, 1))

    assert sorted(tmp_path.rglob("*")) == before
    assert not fresh_site.jobs("classic")


# what is given, what is said
REFUSED = [
    ({"SCALES": ";;"}, "is not a list of scales"),
    ({"EXPORT_TYPE": "ZIP"}, "."),
    ({"CLIP": "perhaps"}, "true or false"),
    ({"AREA_OF_INTEREST": ""}, "a layer of polygons"),
    ({"EXPORT_EXTENT": " "}, "."),
    ({"EXPORT_TYPE": "MBTILES"}, "ends in .mbtiles"),
    ({"AREA_RULES": "/no/such/rules.json"}, "rules.json"),
    ({"SCALES": "500000"}, "1:500,000 is none of the scales"),
]


@pytest.mark.parametrize(("given", "said"), REFUSED)
def test_what_is_refused(
    given: dict[str, Any],
    said: str,
    export: Callable[..., dict[str, Any]],
    fresh_site: Any,
    tmp_path: Path,
) -> None:
    with pytest.raises(QgsProcessingException, match=said):
        export(TARGET=str(tmp_path / "Streets.tpkx"), **given)

    assert list(tmp_path.iterdir()) == []


# several services


@pytest.fixture
def project_layers(fresh_site: Any) -> Iterator[None]:
    project = QgsProject.instance()
    for name in ("Streets", "Places"):
        source = f"format='PNG32' url='{fresh_site.service_url('classic', name)}'"
        project.addMapLayer(QgsRasterLayer(source, name, "arcgismapserver"))
    yield
    project.clear()


def test_every_service_of_the_project(
    export: Callable[..., dict[str, Any]], fresh_site: Any, project_layers: None, tmp_path: Path
) -> None:
    asked = {
        "FOLDER": str(tmp_path / "out"),
        "COARSEST_SCALE": 3e8,
        "FINEST_SCALE": 5e6,
        "AREA_OF_INTEREST": polygon_layer(PARIS),
    }

    first = export("exportcaches", **asked)
    again = export("exportcaches", **asked)

    assert (first["DONE"], first["DONE_BEFORE"], first["FAILED"]) == (2, 0, 0)
    assert (again["DONE"], again["DONE_BEFORE"], again["FAILED"]) == (0, 2, 0)
    expected = expected_tiles(PARIS_MERCATOR, *range(1, 7))
    for name in ("Streets", "Places"):
        found = tiles_of_tpkx(tmp_path / "out" / f"{name}.tpkx", tmp_path / name)
        assert set(found) == expected
        finest = min(tile for tile in expected if tile[0] == 6)
        assert found[finest] == served(fresh_site, name, finest)


NOWHERE = ["", "  ", None, QVariant(), QgsProperty.fromExpression("NULL")]


@pytest.mark.parametrize("nothing", NOWHERE, ids=repr)
def test_packages_of_several_services_are_made_nowhere_unasked(
    nothing: object, provider: Any, fresh_site: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"SERVICES": fresh_site.service_url("classic", "Streets"), "FOLDER": nothing}

    with pytest.raises(QgsProcessingException, match="FOLDER: give the path of a folder"):
        run_unchecked(provider, "exportcaches", given)

    assert list(tmp_path.iterdir()) == []


def test_an_extent_for_several_services_needs_a_crs(
    export: Callable[..., dict[str, Any]], fresh_site: Any, tmp_path: Path
) -> None:
    given = {
        "SERVICES": fresh_site.service_url("classic", "Streets"),
        "FOLDER": str(tmp_path),
        "COARSEST_SCALE": 3e8,
        "FINEST_SCALE": 1e8,
    }
    with pytest.raises(QgsProcessingException, match="may differ in their CRS"):
        export("exportcaches", **given, EXPORT_EXTENT="0,1,0,1")
    assert list(tmp_path.iterdir()) == []

    assert export("exportcaches", **given, EXPORT_EXTENT="0,1,0,1 [EPSG:4326]")["DONE"] == 1


def test_a_layer_that_is_gone_is_not_left_out(
    export: Callable[..., dict[str, Any]], project_layers: None, provider: Any, tmp_path: Path
) -> None:
    given = {"LAYERS": ["Streets", "Gone"], "FOLDER": str(tmp_path), "FINEST_SCALE": 2e8}

    with pytest.raises(QgsProcessingException, match="some of these are not"):
        run_unchecked(provider, "exportcaches", given)


def test_a_service_that_fails_does_not_stop_the_others(
    export: Callable[..., dict[str, Any]], fresh_site: Any, tmp_path: Path
) -> None:
    heard = Heard()
    services = [
        fresh_site.service_url("classic", name) for name in ("Dynamic", "Streets", "NoSuchService")
    ]

    results = export(
        "exportcaches",
        heard,
        SERVICES="\n".join(services),
        FOLDER=str(tmp_path / "out"),
        COARSEST_SCALE=3e8,
        FINEST_SCALE=1e8,
    )

    assert (results["DONE"], results["FAILED"]) == (1, 2)
    assert sum("Dynamic has no tile cache" in line for line in heard.lines) == 1
    assert "The area touches 20 tiles at 2 scales." in heard.lines
    assert sorted(each.name for each in (tmp_path / "out").glob("*.tpkx")) == ["Streets.tpkx"]


def test_where_all_services_fail_the_algorithm_fails(
    export: Callable[..., dict[str, Any]], fresh_site: Any, tmp_path: Path
) -> None:
    services = [fresh_site.service_url("classic", name) for name in ("Dynamic", "NoSuchService")]

    with pytest.raises(QgsProcessingException, match="Services: 0 exported, 2 failed"):
        export("exportcaches", SERVICES=";".join(services), FOLDER=str(tmp_path / "out"))


def test_services_of_which_tiles_are_missing_have_failed(
    export: Callable[..., dict[str, Any]], fresh_site: Any, tmp_path: Path
) -> None:
    fresh_site.fault("classic", ".*Places.*/tile/2/1/.*", "status", 1000, code=500)
    heard = Heard()
    results = export(
        "exportcaches",
        heard,
        SERVICES=";".join(fresh_site.service_url("classic", n) for n in ("Streets", "Places")),
        FOLDER=str(tmp_path / "out"),
        COARSEST_SCALE=1.5e8,
        FINEST_SCALE=1.4e8,
        WAY="ONE_BY_ONE",
    )

    assert (results["DONE"], results["INCOMPLETE"], results["FAILED"]) == (1, 1, 1)
    assert "Services: 1 exported, 1 incomplete; run it again for the rest." in heard.lines


def test_an_export_of_which_no_tile_comes_fails(
    export: Callable[..., dict[str, Any]], fresh_site: Any, tmp_path: Path
) -> None:
    fresh_site.fault("classic", ".*/tile/.*", "status", 1000, code=500)

    with pytest.raises(QgsProcessingException, match="No tile of Streets could be got"):
        export(TARGET=str(tmp_path / "a.tpkx"), SCALES=scales_of(None, 0), WAY="ONE_BY_ONE")


def test_very_many_tiles_are_warned_of_before_anything_is_got(
    provider: Any, fresh_site: Any, tmp_path: Path
) -> None:
    class Shocked(Heard):
        def pushWarning(self, warning: str) -> None:
            super().pushWarning(warning)
            self.cancel()

    given = {
        "INPUT_SERVICE": fresh_site.service_url("classic", "Streets"),
        "TARGET": str(tmp_path / "a.tpkx"),
        "SCALES": scales_of(None, 10),
        "WAY": "ONE_BY_ONE",
    }
    heard = Shocked()
    run_unchecked(provider, "exportcache", given, heard)

    assert [line for line in heard.lines if "which may take" in line and "very long" in line]
    assert not (tmp_path / "a.tpkx").exists()


def test_what_is_cancelled_at_once_has_no_output(
    provider: Any, fresh_site: Any, tmp_path: Path
) -> None:
    class Cancelling(Heard):
        def pushInfo(self, info: str) -> None:
            if info.startswith("The area touches"):
                self.cancel()

    given = {
        "INPUT_SERVICE": fresh_site.service_url("classic", "Streets"),
        "TARGET": str(tmp_path / "a.tpkx"),
        "SCALES": scales_of(None, 3),
    }
    results = run_unchecked(provider, "exportcache", given, Cancelling())

    assert "OUTPUT_CACHE" not in results
    assert not (tmp_path / "a.tpkx").exists()


def test_scales_that_no_rule_names_are_told_of_each_service(
    export: Callable[..., dict[str, Any]], fresh_site: Any, tmp_path: Path
) -> None:
    rules, heard = tmp_path / "rules.json", Heard()
    world = area_rules.RuleArea(area_rules.RuleAreaKind.FULL)
    rule_file.save_rules(rules, (area_rules.AreaRule(None, 2e8, world),))

    results = export(
        "exportcaches",
        heard,
        SERVICES=fresh_site.service_url("classic", "Streets"),
        FOLDER=str(tmp_path / "out"),
        FINEST_SCALE=1e8,
        AREA_RULES=str(rules),
    )

    assert results["DONE"] == 1
    assert "Streets: no rule holds 1:147,914,382, so nothing is done there." in heard.lines


def test_done_before_is_exported_again_where_that_is_asked_for(
    export: Callable[..., dict[str, Any]], fresh_site: Any, tmp_path: Path
) -> None:
    given = {
        "SERVICES": fresh_site.service_url("classic", "Streets"),
        "FOLDER": str(tmp_path / "out"),
        "FINEST_SCALE": 5e8,
    }
    export("exportcaches", **given)

    assert export("exportcaches", **given)["DONE_BEFORE"] == 1
    assert export("exportcaches", **given, ANEW=True)["DONE"] == 1


# importing


def test_a_package_is_imported_into_a_cache(
    export: Callable[..., dict[str, Any]], fresh_site: Any, tmp_path: Path
) -> None:
    package, cache = tmp_path / "part.tpkx", tmp_path / "cache"
    common = {"SCALES": scales_of(None, 2, 5)}
    export(TARGET=str(package), EXPORT_EXTENT="2.2,2.45,48.8,48.9 [EPSG:4326]", **common)
    export(
        TARGET=str(cache),
        EXPORT_TYPE="CACHE_DATASET",
        EXPORT_EXTENT="-70,-69,-21,-20 [EPSG:4326]",
        **common,
    )
    before = tiles_in_bundles(cache / "_alllayers")

    heard = Heard()
    results = export("importcache", heard, INPUT_SERVICE=str(cache), SOURCE_CACHE=str(package))

    assert any(line.startswith("The area touches ") for line in heard.lines)
    after = tiles_in_bundles(cache / "_alllayers")
    assert set(after) == set(before) | expected_tiles(PARIS_MERCATOR, 2, 5)
    assert {tile: after[tile] for tile in before} == before
    assert results["MADE"] == len(after) - len(before)


def test_what_differs_is_told_before_anything_is_imported(
    export: Callable[..., dict[str, Any]], fresh_site: Any, tmp_path: Path
) -> None:
    package, cache = tmp_path / "part.tpkx", tmp_path / "cache"
    export(TARGET=str(package), SCALES=scales_of(None, 1))
    shutil.copytree(fresh_site.cache_folder("gaps", "World"), cache)
    before = sorted(each.name for each in cache.rglob("*"))

    with pytest.raises(QgsProcessingException, match="coordinate reference system"):
        export("importcache", INPUT_SERVICE=str(cache), SOURCE_CACHE=str(package))

    assert sorted(each.name for each in cache.rglob("*")) == before


@pytest.mark.parametrize("name", ["managetiles", "exportcache", "exportcaches", "importcache"])
def test_layers_are_drawn_anew_by_the_main_thread_wherever_an_algorithm_runs(
    name: str, provider: Any
) -> None:
    found: list[Any] = []
    algorithm = provider.algorithm(name)
    thread = threading.Thread(target=lambda: found.append(algorithm.create()))
    thread.start()
    thread.join()

    assert found[0]._reloading is algorithm._reloading
    assert found[0]._reloading.thread() is QCoreApplication.instance().thread()


def test_a_site_that_gives_no_answer_is_told_as_an_error_that_nobody_keeps_back(
    qgis_app: Any,
) -> None:
    told: list[str] = []

    class Erring(Heard):
        def reportError(self, error: str, fatalError: bool = False) -> None:
            told.append(error)

    url = "https://maps.test/arcgis"
    silent = SiteSilent(url, SiteUnreachable(url, Unreachable.TIMEOUT), 300)
    core_feedback(Erring()).message(Message("", Severity.WARNING, silent))

    assert len(told) == 1
    assert "gives no answer just now" in told[0]
