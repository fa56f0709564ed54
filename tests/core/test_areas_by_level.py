"""Requests with an area for each scale: which tiles change here, which jobs a site is sent."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from core.local.fakes import (
    HALF,
    MemoryStore,
    PlainSource,
    profile_of,
    store_each_at_once,
    web_mercator,
)
from core.test_arcgis_updates import (
    ALL,
    COARSE,
    FINE,
    JOB,
    QUARTER,
    SCHEME,
    SUBMIT,
    cache_on,
    job,
    pages,
    status,
)
from scripted_site import SITE, AnsweringSite, Recorder
from shapely.geometry import Point, box
from shapely.geometry.base import BaseGeometry

from tile_cache_manager.plugin.core.description import CacheDescription
from tile_cache_manager.plugin.core.errors import EmptyArea, JobFailed, LevelsWithoutArea
from tile_cache_manager.plugin.core.level_areas import (
    Areas,
    LevelArea,
    Place,
    area_at,
    by_area,
    levels_without,
)
from tile_cache_manager.plugin.core.local.estimate import run_estimate
from tile_cache_manager.plugin.core.local.journal import unfinished_request
from tile_cache_manager.plugin.core.local.plan import plan_of
from tile_cache_manager.plugin.core.local.update import run_update
from tile_cache_manager.plugin.core.request import (
    Feedback,
    Outcome,
    Resume,
    UpdateMode,
    UpdateReport,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.tiling import Extent, Level

WORLD = web_mercator(9)
WHOLE = Extent(-HALF, -HALF, HALF, HALF)
LAKE = Point(3e6, -2e6).buffer(4e6)
TOWN = box(1e6, 1e6, 1.4e6, 1.7e6)
BY_SCALE = (
    LevelArea((0, 1, 2), WHOLE),
    LevelArea((3, 4), LAKE),
    LevelArea((5, 7), TOWN),
)


@pytest.fixture
def store(tmp_path: Path) -> MemoryStore:
    return MemoryStore(tmp_path / "Täler", profile_of(WORLD, StorageFormat.COMPACT_V2))


def request(*ids: int, areas: Areas = BY_SCALE, resume: Resume = Resume.AUTO) -> UpdateRequest:
    levels = tuple(WORLD.levels[level_id] for level_id in ids)
    groups = areas if isinstance(areas, tuple) else ()
    return UpdateRequest(WORLD, levels, UpdateMode.RECREATE_ALL, level_areas=groups, resume=resume)


def touched(place: BaseGeometry | Extent, level: Level) -> set[tuple[int, int, int]]:
    """By brute force: every tile of the level whose interior meets the area's."""
    area = box(*place.bounds) if isinstance(place, Extent) else place
    count = range(2**level.id)
    return {
        (level.id, row, col)
        for row in count
        for col in count
        if box(*WORLD.tile_bounds(level, row, col).bounds).intersection(area).area > 0
    }


EXPECTED = {0: WHOLE, 1: WHOLE, 2: WHOLE, 3: LAKE, 4: LAKE, 5: TOWN, 7: TOWN}


# what is asked of the areas, what comes out
@pytest.mark.parametrize(
    ("areas", "level_id", "place"),
    [
        (None, 3, None),
        (LAKE, 3, LAKE),
        (WHOLE, 3, WHOLE),
        *((BY_SCALE, level_id, place) for level_id, place in EXPECTED.items()),
    ],
)
def test_the_area_of_a_level(areas: Areas, level_id: int, place: Place) -> None:
    assert area_at(areas, WORLD.levels[level_id]) is place


def test_groups() -> None:
    levels = tuple(WORLD.levels[level_id] for level_id in (7, 4, 0, 6))

    assert by_area(LAKE, levels) == ((levels, LAKE),)
    assert [
        ([level.id for level in group], place) for group, place in by_area(BY_SCALE, levels)
    ] == [([0], WHOLE), ([4], LAKE), ([7], TOWN)]
    assert levels_without(BY_SCALE, levels) == (WORLD.levels[6],)
    assert levels_without(None, levels) == ()


def test_a_level_in_several_groups_has_the_area_of_the_first() -> None:
    twice = (LevelArea((0, 1), LAKE), LevelArea((1, 2), TOWN), LevelArea((0, 2), WHOLE))
    levels = WORLD.levels[:3]

    assert by_area(twice, levels) == ((levels[:2], LAKE), (levels[2:], TOWN))
    parts = request(0, 1, 2, areas=twice).by_area()
    assert [(part.levels, part.area) for part in parts] == [(levels[:2], LAKE), (levels[2:], TOWN)]
    plan = plan_of(
        request(0, 1, 2, areas=twice), profile_of(WORLD, StorageFormat.COMPACT_V2), "Hills"
    )
    assert {level.id: plan.areas[level.id] for level in levels} == {0: LAKE, 1: LAKE, 2: TOWN}


@pytest.mark.parametrize("areas", [(), (LevelArea((), WHOLE),)])
def test_no_area_for_any_level_never_means_everything(areas: Areas) -> None:
    service = CacheDescription("", "Hills", "", WORLD, WORLD.levels, WHOLE, "PNG")
    with pytest.raises(LevelsWithoutArea):
        UpdateRequest.of(service, WORLD.levels[:2], UpdateMode.DELETE, areas)


@pytest.mark.parametrize("ids", [(6,), (0, 6), (0, 8, 6)])
def test_a_level_without_an_area_is_refused_and_never_means_everything(ids: tuple[int]) -> None:
    with pytest.raises(LevelsWithoutArea) as caught:
        request(*ids)

    missing = [WORLD.levels[level_id].scale for level_id in ids if level_id not in EXPECTED]
    assert list(caught.value.scales) == missing


def test_no_area_for_any_level_is_no_word_for_everything() -> None:
    description = cache_on(AnsweringSite(pages())).describe()

    with pytest.raises(LevelsWithoutArea):
        UpdateRequest.of(description, (COARSE, FINE), ALL, ())


# on this computer


def test_each_level_changes_in_its_own_area_only(store: MemoryStore) -> None:
    ids = tuple(EXPECTED)

    report = run_update(store, PlainSource(), request(*ids), Feedback())

    expected = {level_id: touched(EXPECTED[level_id], WORLD.levels[level_id]) for level_id in ids}
    assert set(store.tiles) == set().union(*expected.values())
    assert {each.level.id: each.made for each in report.levels} == {
        level_id: len(tiles) for level_id, tiles in expected.items()
    }
    assert [each.planned for each in report.levels] == [each.made for each in report.levels]


def test_an_estimate_counts_each_level_in_its_own_area(store: MemoryStore) -> None:
    estimates = run_estimate(store, PlainSource(), request(*EXPECTED), Feedback())

    assert {each.level.id: each.tiles for each in estimates} == {
        level_id: len(touched(place, WORLD.levels[level_id]))
        for level_id, place in EXPECTED.items()
    }


def test_an_interrupted_update_goes_on_with_the_areas_of_its_record(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_each_at_once(monkeypatch)
    dice = random.Random(4)
    stop_at = dice.randrange(2, 30)
    asked = request(*EXPECTED)

    first = run_update(
        store,
        PlainSource(supertile_side=2),
        asked,
        Feedback(cancelled=lambda: store.calls.get("write", 0) >= stop_at),
    )
    assert first.outcome is Outcome.CANCELLED
    found = unfinished_request(store.path)
    assert found is not None
    assert [(each.level_ids, each.area) for each in found.level_areas] == [
        (each.level_ids, each.area) for each in BY_SCALE
    ]
    written = dict(store.tiles)
    last = run_update(store, PlainSource(supertile_side=2), found, Feedback())

    assert last.outcome is Outcome.DONE
    assert set(store.tiles) == set().union(
        *(touched(place, WORLD.levels[level_id]) for level_id, place in EXPECTED.items())
    )
    assert {key: store.tiles[key] for key in written} == written


def test_other_areas_are_another_update(store: MemoryStore) -> None:
    run_update(
        store,
        PlainSource(supertile_side=2),
        request(3, 5),
        Feedback(cancelled=lambda: store.calls.get("write", 0) >= 1),
    )
    moved = (LevelArea((3,), LAKE), LevelArea((5,), box(1e6, 1e6, 1.5e6, 1.7e6)))

    report = run_update(
        store, PlainSource(supertile_side=2), request(3, 5, areas=moved), Feedback()
    )

    assert report.total("made") + report.total("replaced") == report.total("planned")


# on a site

CORNER = box(100, 3100, 400, 3900)
RULES = (LevelArea((COARSE.id,), QUARTER), LevelArea((FINE.id,), CORNER))


def update(site: AnsweringSite, recorder: Recorder | None = None, **more: Any) -> UpdateReport:
    asked = UpdateRequest(SCHEME, (COARSE, FINE), ALL, level_areas=RULES, **more)
    return cache_on(site).update(asked, (recorder or Recorder()).feedback)


def second(word: str, **more: Any) -> list[Any]:
    """What is answered for two jobs: the first succeeds, the second ends so."""
    return [job(), job(word, **more)]


def test_a_site_gets_a_job_for_each_area() -> None:
    site = AnsweringSite(pages(status((7, 0, 16), (8, 0, 64))))

    report = update(site)

    forms = [params for path, params in site.asked if path == SUBMIT]
    assert [form["levels"] for form in forms] == ["40000", "20000"]
    rings = [
        json.loads(form["area_of_interest"])["features"][0]["geometry"]["rings"] for form in forms
    ]
    bounds = [tuple(f(axis) for f in (min, max) for axis in zip(*ring[0])) for ring in rings]
    assert bounds[1] == (100, 3100, 400, 3900)
    assert bounds[0] == pytest.approx((0, 2000, 2000, 4000), abs=1e-3)
    assert [each.planned for each in report.levels] == [4, 2]
    assert report.earlier_job_urls == (f"{SITE}{JOB}",)
    assert report.outcome is Outcome.DONE


def test_levels_of_one_area_are_one_job() -> None:
    site = AnsweringSite(pages())
    both = (LevelArea((COARSE.id, FINE.id), QUARTER),)

    cache_on(site).update(
        UpdateRequest(SCHEME, (COARSE, FINE), ALL, level_areas=both), Recorder().feedback
    )

    assert site.times(SUBMIT) == 1


def test_without_waiting_all_jobs_are_submitted() -> None:
    site = AnsweringSite(pages())

    report = update(site, wait=False)

    assert site.times(SUBMIT) == 2
    assert report.outcome is Outcome.SUBMITTED
    assert (report.job_url, report.earlier_job_urls) == (f"{SITE}{JOB}", (f"{SITE}{JOB}",))


def test_a_job_that_fails_ends_the_update() -> None:
    site = AnsweringSite({**pages(), JOB: second("Failed")})

    with pytest.raises(JobFailed):
        update(site)

    assert site.times(SUBMIT) == 2


def test_a_job_that_was_cancelled_is_the_last() -> None:
    site = AnsweringSite({**pages(status((7, 0, 16), (8, 0, 64))), JOB: job("Cancelled")})

    report = update(site)

    assert site.times(SUBMIT) == 1
    assert report.outcome is Outcome.CANCELLED
    assert [(each.level, each.planned, each.made) for each in report.levels][1] == (FINE, 2, 0)


def test_nothing_is_submitted_where_one_of_the_areas_cannot_be_told() -> None:
    site = AnsweringSite(pages())
    empty = (LevelArea((COARSE.id,), QUARTER), LevelArea((FINE.id,), Point(0, 0).buffer(0)))

    with pytest.raises(EmptyArea):
        cache_on(site).update(
            UpdateRequest(SCHEME, (COARSE, FINE), ALL, level_areas=empty), Recorder().feedback
        )

    assert site.times(SUBMIT) == 0


def test_progress_runs_once_from_begin_to_end() -> None:
    recorder = Recorder()
    halves = [job("Executing", progress={"percentage": 50}), job()]
    update(AnsweringSite({**pages(), JOB: [*halves, *halves]}), recorder)

    assert recorder.percents == sorted(recorder.percents)
    assert 25 in recorder.percents
    assert 75 in recorder.percents
