"""Updates spread over workers of Dask: two processes with a QGIS each, on this computer."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dask_cluster import Cluster, cluster
from local_caches import BLUE, RED, Tiles, countries, fill, in_project, new_cache, tiles_of
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsPalLayerSettings,
    QgsProcessingException,
    QgsProject,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsVectorLayerSimpleLabeling,
)

from tile_cache_manager.plugin.core import errors
from tile_cache_manager.plugin.core.cache import open_cache
from tile_cache_manager.plugin.core.local.journal import unfinished
from tile_cache_manager.plugin.core.request import (
    Feedback,
    Outcome,
    UpdateMode,
    UpdateReport,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings, work_folder
from tile_cache_manager.plugin.core.tiling import Extent
from tile_cache_manager.plugin.host import sources
from tile_cache_manager.plugin.host.cluster import DaskCrew
from tile_cache_manager.plugin.host.cluster_run import FOLDER, RunFolder
from tile_cache_manager.plugin.host.cluster_start import PACKED, in_worker

pytest.importorskip("distributed", reason="Dask's distributed is not installed for this Python")
pytestmark = pytest.mark.qgis

WIDE = 900_000.0
EMPTY, ALL = UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL
NOWHERE = "tcp://127.0.0.1:1"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, qgis_folder: Path) -> Iterator[Cluster]:
    """A scheduler with two workers."""
    folder = tmp_path_factory.mktemp("cluster")
    with cluster(folder, qgis_folder) as made:
        made.add_worker("pair", "--nthreads", "1", "--nworkers", "2")
        made.wait_for_workers(2)
        yield made


@pytest.fixture
def bare(tmp_path: Path, qgis_folder: Path) -> Iterator[Cluster]:
    """A scheduler without workers, which gives a bundle up once a worker died over it."""
    os.environ["DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"] = "0"
    try:
        with cluster(tmp_path, qgis_folder) as made:
            yield made
    finally:
        del os.environ["DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"]


@pytest.fixture(autouse=True)
def project(qgis_app: Any) -> Iterator[QgsProject]:
    """The current project, with the world's countries; it was never saved."""
    project = QgsProject.instance()
    project.clear()
    with_countries(project)
    yield project
    project.clear()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, qgis_app: Any) -> Tiles:
    """What this computer alone draws of the countries."""
    project = QgsProject()
    with_countries(project)
    path = new_cache(tmp_path_factory.mktemp("alone") / "World", finest=9)
    report = update(path, project=project)
    assert report.outcome is Outcome.DONE
    tiles = tiles_of(path)
    assert {level: len(each) for level, each in tiles.items()} == {7: 36, 8: 144, 9: 576}
    assert len({tile for each in tiles.values() for tile in each.values()}) > 50
    return tiles


def with_countries(project: QgsProject) -> None:
    """Have the world's countries in `project`: in red, with their names."""
    project.setCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    layer = countries()
    fill(layer, RED)
    labels = QgsPalLayerSettings()
    labels.fieldName = "NAME"
    layer.setLabeling(QgsVectorLayerSimpleLabeling(labels))
    layer.setLabelsEnabled(True)
    in_project(layer, project=project)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return new_cache(tmp_path / "World", finest=9)


def crew(address: str, path: Path, project: QgsProject | None = None, text: str = "") -> DaskCrew:
    return DaskCrew(address, path, text, project or QgsProject.instance(), CacheSettings(text))


def update(
    path: Path,
    its_crew: DaskCrew | None = None,
    *,
    mode: UpdateMode = EMPTY,
    feedback: Feedback | None = None,
    project: QgsProject | None = None,
) -> UpdateReport:
    """Update the levels 7 to 9 around the corner of four bundles."""
    project = project or QgsProject.instance()
    source = sources.make_source("", project, CacheSettings(), path)
    described = open_cache(str(path)).describe()
    request = UpdateRequest.of(
        described,
        levels=described.cached_levels[7:],
        mode=mode,
        area=Extent(-WIDE, -WIDE, WIDE, WIDE),
    )
    opened = open_cache(str(path), source=source, crew=its_crew)
    return opened.update(request, feedback or Feedback())


def rests(path: Path) -> list[str]:
    """What runs on a cluster left in the work folder."""
    return [each.name for each in (work_folder(path) / FOLDER).rglob("*")]


# The same bytes


def test_two_workers_draw_the_bytes_of_one_alone(
    two: Cluster, cache: Path, expected: Tiles
) -> None:
    report = update(cache, crew(two.address, cache))

    assert tiles_of(cache) == expected
    assert report.outcome is Outcome.DONE
    assert report.total("made") == report.total("planned") == sum(map(len, expected.values()))
    assert rests(cache) == []
    assert unfinished(cache) is None


def test_exploded_caches_and_the_algorithm(
    provider: Any, qgis_processing: Any, two: Cluster, tmp_path: Path, expected: Tiles
) -> None:
    path = new_cache(tmp_path / "World", finest=9, storage=StorageFormat.EXPLODED)
    scales = [level.scale for level in open_cache(str(path)).describe().cached_levels[7:]]

    results = qgis_processing.run(
        "tilecache:managetiles",
        {
            "INPUT_SERVICE": str(path),
            "SCALES": ";".join(map(str, scales)),
            "UPDATE_EXTENT": f"{-WIDE},{WIDE},{-WIDE},{WIDE} [EPSG:3857]",
            "CLUSTER": two.address,
        },
    )

    assert tiles_of(path) == expected
    assert (results["MADE"], results["FAILED"]) == (sum(map(len, expected.values())), 0)


def test_what_is_drawn_is_the_project_as_it_is_seen_and_it_stays_so(
    two: Cluster, tmp_path: Path, project: QgsProject
) -> None:
    """Saved beside its data, with relative paths; then restyled, which is not saved."""
    (tmp_path / "maps").mkdir()
    data, saved = tmp_path / "maps" / "land.gpkg", tmp_path / "maps" / "land.qgz"
    world = countries()
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.layerName = "land"
    QgsVectorFileWriter.writeAsVectorFormatV3(world, str(data), project.transformContext(), options)
    project.removeAllMapLayers()
    layer = QgsVectorLayer(f"{data}|layername=land", "Land", "ogr")
    fill(layer, RED)
    in_project(layer)
    assert project.write(str(saved))
    on_disk = saved.read_bytes()
    # The folder of the project is told in what is drawn, and so is who draws.
    fill(layer, BLUE)
    layer.renderer().symbol().symbolLayer(0).setDataDefinedProperty(
        layer.renderer().symbol().symbolLayer(0).PropertyFillColor,
        _property(f"if(@project_folder = '{saved.parent}', '{BLUE}', '{RED}')"),
    )
    project.setDirty(True)
    alone, shared = (new_cache(tmp_path / name, finest=9) for name in ("alone", "shared"))
    signals: list[str] = []
    project.fileNameChanged.connect(lambda: signals.append("name"))
    project.isDirtyChanged.connect(lambda dirty: signals.append(f"dirty {dirty}"))

    update(alone)
    report = update(shared, crew(two.address, shared))

    assert report.outcome is Outcome.DONE
    assert tiles_of(shared) == tiles_of(alone)
    assert saved.read_bytes() == on_disk
    assert (project.fileName(), project.isDirty(), signals) == (str(saved), True, [])
    assert project.mapLayersByName("Land")[0].source().startswith(str(data))


def _property(expression: str) -> Any:
    from qgis.core import QgsProperty

    return QgsProperty.fromExpression(expression)


# Cut short


def test_a_worker_that_dies_is_replaced(two: Cluster, cache: Path, expected: Tiles) -> None:
    before = set(two.ask_workers(os.getpid).values())
    killed: list[int] = []

    def kill(percent: float) -> None:
        if not killed and percent > 0:
            killed.append(min(before))
            os.kill(killed[0], signal.SIGKILL)

    report = update(cache, crew(two.address, cache), feedback=Feedback(progress=kill))

    assert report.outcome is Outcome.DONE
    assert tiles_of(cache) == expected
    assert killed
    assert len(two.wait_for_workers(2)) == 2
    assert killed[0] not in set(two.ask_workers(os.getpid).values())


@pytest.mark.parametrize("first_alone", [True, False], ids=["begun alone", "ended alone"])
def test_cancelled_it_stops_soon_and_either_goes_on(
    two: Cluster, cache: Path, expected: Tiles, first_alone: bool
) -> None:
    told = [0.0]
    asked: list[float] = []

    def cancelled() -> bool:
        if told[-1] > 5 and not asked:
            asked.append(time.monotonic())
        return bool(asked)

    feedback = Feedback(progress=told.append, cancelled=cancelled)
    address = two.address
    begun = update(
        cache, None if first_alone else crew(address, cache), mode=ALL, feedback=feedback
    )
    seconds = time.monotonic() - asked[0]
    left = unfinished(cache)
    ended = update(cache, crew(address, cache) if first_alone else None, mode=ALL)

    assert (begun.outcome, ended.outcome) == (Outcome.CANCELLED, Outcome.DONE)
    assert seconds < 8
    assert left is not None
    assert left.is_interrupted
    assert 0 < left.done < left.planned
    assert tiles_of(cache) == expected
    # What was made before is counted, and was not made again.
    assert ended.total("made") == ended.total("planned")
    assert unfinished(cache) is None


def test_a_bundle_over_which_workers_die_fails_and_can_be_retried(
    bare: Cluster, cache: Path, expected: Tiles
) -> None:
    bare.add_worker("one", "--nthreads", "1", "--nworkers", "1")
    bare.wait_for_workers(1)
    killed: list[int] = []

    def kill(percent: float) -> None:
        if not killed and percent > 0:
            killed.extend(bare.ask_workers(os.getpid).values())
            os.kill(killed[0], signal.SIGKILL)

    report = update(cache, crew(bare.address, cache), feedback=Feedback(progress=kill))

    failed = {tile.error.__class__ for tile in report.failed_tiles}
    assert (report.outcome, failed) == (Outcome.PARTIAL, {errors.WorkersDied})
    assert update(cache).outcome is Outcome.DONE
    assert tiles_of(cache) == expected


def test_a_scheduler_that_goes_ends_the_update_which_goes_on_alone(
    bare: Cluster, cache: Path, expected: Tiles
) -> None:
    bare.add_worker("one", "--nthreads", "1", "--nworkers", "1")
    bare.wait_for_workers(1)

    def kill(percent: float) -> None:
        if percent > 0:
            bare.scheduler.kill()

    with pytest.raises(errors.ClusterUnusable) as caught:
        update(cache, crew(bare.address, cache), mode=ALL, feedback=Feedback(progress=kill))

    assert caught.value.reason is errors.ClusterProblem.LOST
    assert unfinished(cache) is not None
    assert update(cache, mode=ALL).outcome is Outcome.DONE
    assert tiles_of(cache) == expected


# The folder of a run


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o700), (0o002, 0o770), (0o077, 0o700)])
def test_only_who_may_write_the_cache_sees_the_project(umask: int, mode: int, cache: Path) -> None:
    before = os.umask(umask)
    try:
        run = RunFolder(cache, "", QgsProject.instance(), CacheSettings(""))
    finally:
        os.umask(before)
    try:
        assert stat.S_IMODE(run.path.stat().st_mode) == mode
    finally:
        run.remove()
    assert rests(cache) == []


def test_what_a_run_left_that_died_is_removed_by_the_next(cache: Path) -> None:
    dead, alive = (
        RunFolder(cache, "", QgsProject.instance(), CacheSettings("")) for _number in range(2)
    )
    dead._lock.close()  # as the system does

    last = RunFolder(cache, "", QgsProject.instance(), CacheSettings(""))

    assert (dead.path.exists(), alive.path.exists(), last.path.exists()) == (False, True, True)
    for run in (alive, last, dead):
        run.remove()
    assert rests(cache) == []


def test_a_worker_runs_no_plugin_that_was_not_sent(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = SimpleNamespace(address="tcp://10.0.0.7:1", local_directory=str(tmp_path))
    monkeypatch.setattr("distributed.get_worker", lambda: worker)
    run = RunFolder(cache, "", QgsProject.instance(), CacheSettings(""))
    with zipfile.ZipFile(run.path / PACKED, "a") as archive:
        archive.writestr("tile_cache_manager/more.py", "raise SystemExit")
    before = dict(sys.modules)

    answer = json.loads(in_worker(str(run.path), run.mark, run.digest, "look", ""))

    run.remove()
    assert answer["unfit"] == ["BROKEN", "plugin.zip is not what was sent"]
    assert (sys.modules == before, list(tmp_path.glob("*.zip"))) == (True, [])


# What keeps it from beginning


Change = Callable[[RunFolder], None]


def _with(**facts: Any) -> Change:
    """Has workers look for other facts than those of this computer."""

    def change(run: RunFolder) -> None:
        run._facts = replace(run._facts, **facts)

    return change


def _marked_otherwise(run: RunFolder) -> None:
    run.mark = "that of another folder"


def _removed(run: RunFolder) -> None:
    tell = run.tell

    def tell_and_remove(profile: Any) -> None:
        tell(profile)
        shutil.rmtree(run.path)

    run.tell = tell_and_remove


def _without_a_layer(run: RunFolder) -> None:
    _with(source="layers:gone")(run)


def _otherwise_drawn(run: RunFolder) -> None:
    """As where a file of the data has another time, or a user other variables."""
    _with(variables={**run._facts.variables, "user_account_name": "somebody else"})(run)


UNFIT = [
    (_removed, "NO_FOLDER"),
    (_marked_otherwise, "OTHER_FOLDER"),
    (_with(qgis="3.0.0-Girona"), "OTHER_QGIS"),
    (_without_a_layer, "NO_SOURCE"),
    (_otherwise_drawn, "OTHER_SOURCE"),
]


@pytest.mark.parametrize(("change", "problem"), UNFIT, ids=[case[1] for case in UNFIT])
def test_a_worker_that_is_unfit_is_named(
    two: Cluster, cache: Path, change: Change, problem: str
) -> None:
    its_crew = crew(two.address, cache)
    change(its_crew._run)

    with pytest.raises(errors.WorkerUnfit) as caught:
        update(cache, its_crew)

    assert caught.value.reason is errors.WorkerProblem[problem]
    assert caught.value.worker.startswith("tcp://127.0.0.1:")
    assert (tiles_of(cache), rests(cache), unfinished(cache)) == ({}, [], None)


def test_workers_without_qgis_or_with_several_threads_are_named(
    bare: Cluster, cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty" / "qgis").mkdir(parents=True)
    broken = tmp_path / "empty" / "qgis" / "__init__.py"
    broken.write_text("raise ImportError('No module named qgis')\n")
    first = bare.add_worker("bare", environment={"PYTHONPATH": str(tmp_path / "empty")})
    bare.wait_for_workers(1)
    with pytest.raises(errors.WorkerUnfit) as without:
        update(cache, crew(bare.address, cache))
    bare.add_worker("wide", "--nthreads", "2")
    bare.wait_for_workers(2)
    first.terminate()
    with pytest.raises(errors.WorkerUnfit) as wide:
        update(cache, crew(bare.address, cache))

    assert without.value.reason is errors.WorkerProblem.NO_QGIS
    assert wide.value.reason is errors.WorkerProblem.THREADS


@pytest.mark.parametrize(
    ("address", "problem"),
    [(NOWHERE, "UNREACHABLE"), ("carrier-pigeon://roof", "BAD_ADDRESS")],
)
def test_a_scheduler_that_is_not_there(
    cache: Path, monkeypatch: pytest.MonkeyPatch, address: str, problem: str
) -> None:
    monkeypatch.setattr("tile_cache_manager.plugin.host.cluster.CONNECT_SECONDS", 0.5)

    with pytest.raises(errors.ClusterUnusable) as caught:
        update(cache, crew(address, cache))

    assert caught.value.reason is errors.ClusterProblem[problem]
    assert (tiles_of(cache), rests(cache), unfinished(cache)) == ({}, [], None)


def test_a_scheduler_without_workers(bare: Cluster, cache: Path) -> None:
    with pytest.raises(errors.ClusterUnusable) as caught:
        update(cache, crew(bare.address, cache))

    assert caught.value.reason is errors.ClusterProblem.NO_WORKERS


def test_without_dask_people_are_told_what_to_install(
    provider: Any, qgis_processing: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)

    with pytest.raises(QgsProcessingException, match="install the Python package “distributed”"):
        qgis_processing.run(
            "tilecache:managetiles", {"INPUT_SERVICE": str(cache), "CLUSTER": NOWHERE}
        )
    assert rests(cache) == []


def test_packages_and_layers_in_memory_stay_on_this_computer(
    cache: Path, tmp_path: Path, project: QgsProject
) -> None:
    package = new_cache(tmp_path / "World.tpkx")
    with pytest.raises(errors.NotForCluster) as caught:
        crew(NOWHERE, package)
    assert caught.value.reason is errors.NotForClusterReason.PACKAGE

    in_project(QgsVectorLayer("Point?crs=EPSG:4326", "Pins", "memory"))
    with pytest.raises(errors.NotForCluster) as caught:
        crew(NOWHERE, cache)
    assert caught.value.reason is errors.NotForClusterReason.MEMORY_LAYER
    assert (caught.value.name, rests(cache)) == ("Pins", [])


def test_a_site_draws_its_tiles_itself(provider: Any, qgis_processing: Any, run: Any) -> None:
    with pytest.raises(QgsProcessingException, match="CLUSTER"):
        run(CLUSTER=NOWHERE, SCALES="")
