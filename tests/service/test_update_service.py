"""Updates of caches on the stand-in site: exactly the right tiles, told in the right numbers.

Tiles are read straight from the bundles on disk; which ones an area touches is found by trying
every tile with shapely.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scripted_site import Recorder
from shapely.geometry import MultiPolygon, Polygon, box
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union
from site_caches import levels_of, open_on, running_update, touched

from tile_cache_manager.plugin.core.area import fit_area
from tile_cache_manager.plugin.core.coverage import count_tiles
from tile_cache_manager.plugin.core.request import (
    Outcome,
    UpdateMode,
    UpdateReport,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.tiling import Extent

EMPTY, ALL, DELETE = UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL, UpdateMode.DELETE
MODES_OF_OTHER_NAMES = (ALL, DELETE)

WITH_HOLE = Polygon(
    [(-9e6, -4e6), (11e6, -2e6), (8e6, 7e6), (-6e6, 9e6)],
    [[(-1e6, 0), (3e6, 0.5e6), (1e6, 4e6)], [(5e6, 1e6), (6.5e6, 1e6), (6e6, 3e6)]],
)
IN_PARTS = unary_union(
    [box(-15e6, 2e6, -12e6, 6e6), box(13e6, -5e6, 13.1e6, -4.9e6), WITH_HOLE.buffer(-1e6)]
)
SOME = "-9000000 -9000000 2000000 3000000"
"""Where tiles are already, as the caching task takes an extent."""


def tiles(site: Any, key: str = "classic", name: str = "World") -> dict[Any, Any]:
    """Every tile on disk: (level, (row, column)) to size, offset and SHA-1."""
    return {
        (level, tile): stored
        for level, of_level in site.read_cache(key, name).items()
        for tile, stored in of_level.items()
    }


def folders(site: Any, key: str = "classic", name: str = "World") -> list[str]:
    """Folders and files of a cache."""
    root: Path = site.cache_folder(key, name)
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


def update(
    site: Any, area: BaseGeometry, mode: UpdateMode, *ids: int
) -> tuple[UpdateReport, set[Any]]:
    """Update levels `ids` of the classic site's map in `area`: the report, the tiles touched."""
    cache = open_on(site, "classic")
    description = cache.describe()
    levels = levels_of(description, *ids)
    covered = {(level.id, tile) for level in levels for tile in touched(description, level, area)}
    report = cache.update(UpdateRequest.of(description, levels, mode, area), Recorder().feedback)
    return report, covered


def told(report: UpdateReport) -> dict[str, int | None]:
    names = ("planned", "made", "replaced", "deleted", "skipped")
    return {name: report.total(name) for name in names if report.total(name) is not None}


@pytest.mark.parametrize("area", [WITH_HOLE, IN_PARTS], ids=["with holes", "in parts"])
def test_recreate_empty_makes_exactly_the_missing_tiles(fresh_site: Any, area: Any) -> None:
    fresh_site.fill("classic", "World:MapServer", [2, 3, 4, 5], extent=SOME)
    before = tiles(fresh_site)
    fresh_site.set_revision("classic", 2)

    report, covered = update(fresh_site, area, EMPTY, 3, 4, 5)

    after = tiles(fresh_site)
    missing = covered - before.keys()
    assert missing
    assert covered & before.keys()
    assert after.keys() == before.keys() | missing
    assert {place: after[place] for place in before} == before
    assert report.outcome is Outcome.DONE
    assert told(report) == {
        "planned": len(covered),
        "made": len(missing),
        "skipped": len(covered & before.keys()),
    }


@pytest.mark.parametrize("area", [WITH_HOLE, IN_PARTS], ids=["with holes", "in parts"])
def test_recreate_all_replaces_exactly_the_covered_tiles(fresh_site: Any, area: Any) -> None:
    fresh_site.fill("classic", "World:MapServer", [3, 4, 5], extent=SOME)
    before = tiles(fresh_site)
    fresh_site.set_revision("classic", 2)

    report, covered = update(fresh_site, area, ALL, 3, 4)

    after = tiles(fresh_site)
    replaced = covered & before.keys()
    assert replaced
    assert after.keys() == before.keys() | covered
    assert {place for place in before if after[place] != before[place]} == replaced
    assert all(after[place].sha1 != before[place].sha1 for place in replaced)
    assert told(report) == {
        "planned": len(covered),
        "made": len(covered - before.keys()),
        "replaced": len(replaced),
    }


@pytest.mark.parametrize("area", [WITH_HOLE, IN_PARTS], ids=["with holes", "in parts"])
def test_delete_removes_exactly_the_covered_tiles(fresh_site: Any, area: Any) -> None:
    fresh_site.fill("classic", "World:MapServer", [2, 3, 4], extent=SOME)
    before, folders_before = tiles(fresh_site), folders(fresh_site)

    report, covered = update(fresh_site, area, DELETE, 3, 4)

    deleted = covered & before.keys()
    assert deleted
    assert tiles(fresh_site) == {
        place: stored for place, stored in before.items() if place not in deleted
    }
    assert folders(fresh_site) == folders_before
    assert told(report) == {"planned": len(covered), "deleted": len(deleted)}


def test_delete_of_everything_leaves_the_folders(fresh_site: Any) -> None:
    fresh_site.fill("classic", "World:MapServer", [0, 1, 2])
    cache = open_on(fresh_site, "classic")
    description = cache.describe()
    levels = levels_of(description, 0, 1, 2)
    folders_before = folders(fresh_site)

    report = cache.update(UpdateRequest.of(description, levels, DELETE, None), Recorder().feedback)

    assert tiles(fresh_site) == {}
    assert folders(fresh_site) == folders_before
    assert told(report) == {"planned": 21, "deleted": 21}


@pytest.mark.parametrize("made_before_cancel", [0, 1, 70])
def test_what_was_made_before_a_cancel_stays(fresh_site: Any, made_before_cancel: int) -> None:
    cache = open_on(fresh_site, "classic")
    description = cache.describe()
    levels = levels_of(description, 3, 4, 5)
    request = UpdateRequest.of(description, levels, EMPTY, WITH_HOLE)
    covered = {
        (level.id, tile) for level in levels for tile in touched(description, level, WITH_HOLE)
    }
    fresh_site.pause_after("classic", made_before_cancel)

    with running_update(cache, request) as (result, cancel, recorder):
        fresh_site.wait_until_paused("classic")
        cancel()
        report = result()

    kept = tiles(fresh_site)
    assert report.outcome is Outcome.CANCELLED
    assert len(kept) == made_before_cancel
    assert kept.keys() <= covered
    assert told(report) == {"planned": len(covered), "made": made_before_cancel}
    assert 100 not in recorder.percents
    assert recorder.texts[-1] == "Cancel complete."
    (job,) = fresh_site.jobs("classic")
    assert (job["jobId"], job["jobStatus"]) == (report.job_id, "esriJobCancelled")

    fresh_site.release("classic")
    fresh_site.set_revision("classic", 2)
    report = cache.update(request, Recorder().feedback)

    after = tiles(fresh_site)
    assert after.keys() == covered
    assert {place: after[place] for place in kept} == kept
    assert told(report) == {
        "planned": len(covered),
        "made": len(covered) - made_before_cancel,
        "skipped": made_before_cancel,
    }


def test_cancelled_while_deleting(fresh_site: Any) -> None:
    fresh_site.fill("classic", "World:MapServer", [3, 4])
    before = tiles(fresh_site)
    cache = open_on(fresh_site, "classic")
    description = cache.describe()
    levels = levels_of(description, 3, 4)
    fresh_site.pause_after("classic", 25)

    with running_update(cache, UpdateRequest.of(description, levels, DELETE, None)) as (
        result,
        cancel,
        _,
    ):
        fresh_site.wait_until_paused("classic")
        cancel()
        report = result()

    after = tiles(fresh_site)
    assert report.outcome is Outcome.CANCELLED
    assert report.total("deleted") == 25
    assert len(after) == len(before) - 25
    assert {place: before[place] for place in after} == after


# --- the plan is what the site makes ---------------------------------------------------------

DEGREES = Polygon([(-170, -60), (175, -50), (20, 80)], [[(0, 0), (30, 5), (10, 30)]])
ETRS = MultiPolygon(
    [
        Polygon(
            [(2.5e6, 1.6e6), (5e6, 1.7e6), (4e6, 4e6)], [[(3.4e6, 2e6), (4.2e6, 2e6), (4e6, 3e6)]]
        ),
        box(6e6, 4.5e6, 6.2e6, 5.2e6),
    ]
)
# site, service, type, levels, what is asked for
PLANS: list[tuple[str, str, str, tuple[int, ...], Any]] = [
    ("classic", "World", "MapServer", (0, 1, 2, 3), None),
    ("classic", "World", "MapServer", (2, 4, 5), WITH_HOLE),
    ("classic", "World", "MapServer", (1, 5), IN_PARTS),
    ("classic", "World", "MapServer", (4, 5), Extent(-1e6, -1e6, 1e6, 1e6)),
    ("classic", "World", "MapServer", (3, 4), box(-3e7, -3e7, -1e5, -1e5)),
    ("classic", "Basemaps/Countries", "MapServer", (2, 3), WITH_HOLE),
    ("classic", "Imagery", "ImageServer", (4, 6), box(0, 5e6, 2e6, 8e6).buffer(3e5)),
    ("classic", "Imagery", "ImageServer", (2, 3, 5), None),
    ("old", "World", "MapServer", (0, 3, 5), IN_PARTS),
    ("secured", "World", "MapServer", (0, 4), WITH_HOLE),
    ("gaps", "World", "MapServer", (2, 3, 5), None),
    ("gaps", "World", "MapServer", (3, 5, 6), DEGREES),
    ("wkt", "Europe", "MapServer", (0, 1, 2, 3), None),
    ("wkt", "Europe", "MapServer", (2, 4), ETRS),
    ("wkt", "Europe", "MapServer", (1, 4), Extent(3e6, 2e6, 5e6, 4.5e6)),
]


@pytest.mark.parametrize(("key", "name", "kind", "ids", "where"), PLANS)
def test_the_plan_is_what_the_site_makes(
    fresh_site: Any, key: str, name: str, kind: str, ids: tuple[int, ...], where: Any
) -> None:
    cache = open_on(fresh_site, key, name, kind)
    description = cache.describe()
    levels = levels_of(description, *ids)
    area = extent = None
    if isinstance(where, Extent):
        extent = where
    elif where is not None:
        area = fit_area(where, description.scheme, description.extent, name)
    recorder = Recorder()

    report = cache.update(
        UpdateRequest.of(description, levels, EMPTY, area or extent), recorder.feedback
    )

    made = {level: len(found) for level, found in fresh_site.read_cache(key, name).items()}
    assert sum(made.values()) > 0
    assert {level.level.id: level.planned for level in report.levels} == made
    covering = where if area is None else area
    assert count_tiles(description.scheme, levels, covering or description.extent) == made
    if key != "old":  # it has no status report
        assert {level.level.id: level.made for level in report.levels} == made
        assert report.total("skipped") == 0
    assert recorder.percents[-1] == 100
    assert recorder.percents == sorted(recorder.percents)
    assert recorder.texts[0] == "Submitted."
    assert report.output_url == fresh_site.service_url(key, name, kind)


def test_other_parameter_names(fresh_site: Any) -> None:
    cache = open_on(fresh_site, "othernames")
    description = cache.describe()
    levels = levels_of(description, 2, 3)
    assert description.modes == MODES_OF_OTHER_NAMES

    report = cache.update(
        UpdateRequest.of(description, levels, ALL, WITH_HOLE, instances=2), Recorder().feedback
    )

    covered = {
        (level.id, tile) for level in levels for tile in touched(description, level, WITH_HOLE)
    }
    assert tiles(fresh_site, "othernames").keys() == covered
    assert told(report) == {"planned": len(covered), "made": len(covered), "replaced": 0}
    (submission,) = fresh_site.submissions("othernames")
    form = submission["form"]
    assert submission["jobId"] == report.job_id
    assert set(form) == {
        "f",
        "input_service",
        "scales",
        "number_of_instances",
        "mode",
        "update_extent",
        "aoi",
    }
    assert form["input_service"] == "World:MapServer"
    assert form["scales"] == "147914381.897889;73957190.948944"
    assert (form["number_of_instances"], form["mode"]) == ("2", "RECREATE_ALL_TILES")


def test_without_waiting(fresh_site: Any) -> None:
    cache = open_on(fresh_site, "classic")
    description = cache.describe()
    levels = levels_of(description, 3, 4)
    fresh_site.pause_after("classic", 5)
    request = UpdateRequest.of(description, levels, ALL, Extent(0, 0, 1e7, 1e7), wait=False)

    report = cache.update(request, Recorder().feedback)

    fresh_site.wait_until_paused("classic")
    (job,) = fresh_site.jobs("classic")
    assert report.outcome is Outcome.SUBMITTED
    assert report.job_id == job["jobId"]
    assert report.job_url.startswith(fresh_site.services_url("classic"))
    assert report.job_url.endswith(f"/jobs/{job['jobId']}")
    assert told(report) == {"planned": 4 + 16}
    assert len(tiles(fresh_site)) == 5
