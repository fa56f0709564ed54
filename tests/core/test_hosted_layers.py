"""Hosted layers: when a service is one, and the parts that an update of it takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from caching_pages import USUAL
from caching_pages import pages as caching_pages
from hosted_pages import (
    ADMIN,
    ADMIN_ROOT,
    METRES,
    OWN,
    TILES,
    client_of,
    description_of,
    service_at,
)
from scripted_site import Unreachable, error, html
from shapely.geometry import MultiPolygon, Polygon, box

from tile_cache_manager.plugin.core.arcgis import hosted
from tile_cache_manager.plugin.core.arcgis.address import service_of
from tile_cache_manager.plugin.core.arcgis.caching import CachingTask
from tile_cache_manager.plugin.core.arcgis.credentials import FixedToken
from tile_cache_manager.plugin.core.arcgis.hosted import (
    HostedAdmin,
    admin_url,
    cut_of,
    extent_in,
    find_management,
    hosted_parts,
    levels_text,
    part_of,
)
from tile_cache_manager.plugin.core.bundle_rectangles import halves
from tile_cache_manager.plugin.core.description import LevelStatus
from tile_cache_manager.plugin.core.errors import (
    AreaOutside,
    CachingUnavailable,
    EmptyArea,
    ModeNotOffered,
    NotArcGIS,
    SiteUnreachable,
    TooManyJobs,
    Unavailable,
)
from tile_cache_manager.plugin.core.level_areas import LevelArea
from tile_cache_manager.plugin.core.request import HostedOptions, UpdateMode, UpdateRequest
from tile_cache_manager.plugin.core.site_update import PartState, UpdatePart
from tile_cache_manager.plugin.core.tiling import Extent

EMPTY, ALL, DELETE = UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL, UpdateMode.DELETE
FULL = Extent(1000.0, 1000.0, 120000.0, 130000.0)

# --- where it is administered ---------------------------------------------------------------------

ADMIN_URLS = [
    ("https://tiles.arcgis.com/tiles/Org1/arcgis/rest/services/Roads/MapServer",
     "https://tiles.arcgis.com/tiles/Org1/arcgis/rest/admin/services/Roads/MapServer"),
    ("https://h.example/gis/rest/services/Hosted/Big%20Roads/ImageServer",
     "https://h.example/gis/rest/admin/services/Hosted/Big%20Roads/ImageServer"),
    ("https://h.example/ArcGIS/REST/Services/Roads/MapServer",
     "https://h.example/ArcGIS/rest/admin/services/Roads/MapServer"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "admin"), ADMIN_URLS)
def test_address_of_the_administration(url: str, admin: str) -> None:
    assert admin_url(service_of(url)) == admin


# --- is it one? -----------------------------------------------------------------------------------

TASK = caching_pages(USUAL)
BARE = {"name": "Roads", "status": "Started"}
"""What an administration may answer that does not tell how full the levels are."""

FOUND = [
    # where, serves tiles only, what the administration answers, what the caching services do
    pytest.param(TILES, False, ADMIN_ROOT, {}, "hosted", id="ArcGIS Online"),
    pytest.param(TILES, True, BARE, {}, "hosted", id="ArcGIS Online that tells nothing of levels"),
    pytest.param(OWN, True, ADMIN_ROOT, {}, "hosted", id="tiles only"),
    pytest.param(OWN, True, ADMIN_ROOT, TASK, "hosted", id="tiles only, with caching tools too"),
    pytest.param(OWN, True, error(404, "Not found"), TASK, "task", id="hosted by Enterprise"),
    pytest.param(OWN, True, BARE, TASK, "task", id="tiles only, another administration"),
    pytest.param(OWN, True, html(404), TASK, "task", id="tiles only, a page for administration"),
    pytest.param(OWN, False, ADMIN_ROOT, TASK, "task", id="a server's own cache"),
    pytest.param(OWN, False, ADMIN_ROOT, {}, "hosted", id="no caching tools"),
    pytest.param("https://tiles4.arcgis.com/tiles/O", False, BARE, {}, "hosted", id="tiles4"),
    pytest.param(
        "https://tiledimageservices.arcgis.com/O/arcgis", False, BARE, {}, "hosted", id="imagery"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("site_url", "tiles_only", "admin", "tools", "kind"), FOUND)
def test_how_a_service_is_updated(
    site_url: str, tiles_only: bool, admin: Any, tools: dict[str, Any], kind: str
) -> None:
    client, _ = client_of({**tools, ADMIN: admin}, site_url)
    description = description_of(tiles_only=tiles_only)

    found = find_management(client, service_at(site_url), description)

    assert isinstance(found, HostedAdmin if kind == "hosted" else CachingTask)
    if isinstance(found, HostedAdmin):
        assert found.url == site_url + ADMIN


NOBODY = {
    f"/rest/services/System/{name}/GPServer": error(499, "Token Required")
    for name in ("CachingControllers", "CachingTools", "CachingToolsEx")
}
NOT_FOUND = [
    pytest.param(TILES, error(499, "Token Required"), {}, Unavailable.SIGN_IN, id="no sign-in"),
    pytest.param(TILES, error(403, "No."), {}, Unavailable.NO_RIGHT, id="not one's own"),
    pytest.param(TILES, error(400, "Invalid"), {}, Unavailable.NO_TOOLS, id="not there"),
    pytest.param(TILES, {}, {}, Unavailable.NO_TOOLS, id="an empty answer"),
    pytest.param(OWN, error(404, "x"), {}, Unavailable.NO_TOOLS, id="a server without tools"),
    pytest.param(OWN, BARE, {}, Unavailable.NO_TOOLS, id="another administration"),
    pytest.param(OWN, error(499, "x"), {}, Unavailable.SIGN_IN, id="hidden without sign-in"),
    pytest.param(OWN, error(403, "x"), {}, Unavailable.NO_RIGHT, id="hidden from this user"),
    pytest.param(OWN, error(404, "x"), NOBODY, Unavailable.SIGN_IN, id="a server's tools"),
    pytest.param(OWN, error(403, "x"), NOBODY, Unavailable.SIGN_IN, id="both, the tools first"),
    pytest.param(OWN, html(), NOBODY, Unavailable.SIGN_IN, id="a page for administration"),
]


@pytest.mark.parametrize(("site_url", "admin", "tools", "reason"), NOT_FOUND)
def test_why_a_service_cannot_be_updated(
    site_url: str, admin: Any, tools: dict[str, Any], reason: Unavailable
) -> None:
    sign_in = FixedToken("t") if reason is Unavailable.NO_RIGHT else None
    client, _ = client_of({**tools, ADMIN: admin}, site_url, sign_in)
    with pytest.raises(CachingUnavailable) as caught:
        find_management(client, service_at(site_url), description_of(tiles_only=False))
    assert caught.value.reason is reason


TROUBLES = [
    pytest.param(TILES, Unreachable.TIMEOUT, SiteUnreachable, id="no answer"),
    pytest.param(TILES, html(), NotArcGIS, id="a sign-in page"),
    pytest.param(OWN, Unreachable.REFUSED, SiteUnreachable, id="no answer of a server"),
]


@pytest.mark.parametrize(("site_url", "admin", "kind"), TROUBLES)
def test_trouble_on_the_way_is_no_answer(site_url: str, admin: Any, kind: type) -> None:
    client, _ = client_of({ADMIN: admin}, site_url)
    with pytest.raises(kind):
        find_management(client, service_at(site_url), description_of(tiles_only=False))


def test_a_server_with_caching_tools_is_asked_for_nothing_more() -> None:
    client, site = client_of({**TASK, ADMIN: ADMIN_ROOT})
    find_management(client, service_at(OWN), description_of(tiles_only=False))
    assert site.times(ADMIN) == 0


def test_how_full_the_levels_are() -> None:
    client, _ = client_of({ADMIN: ADMIN_ROOT})
    assert HostedAdmin(OWN + ADMIN, client).read() == (
        LevelStatus(0, 1, 1, 900),
        LevelStatus(1, 3, 4, None),
    )
    bare, _ = client_of({ADMIN: {"lodInfos": [{"levelID": 0, "status": "DONE"}, None, "NaN"]}})
    assert HostedAdmin(OWN + ADMIN, bare).read() == ()


# --- levels ---------------------------------------------------------------------------------------

LEVELS = [
    ([0], "0"), ([3, 4], "3-4"), ([0, 1, 2, 3, 4, 5, 10], "0-5,10"), ([7, 2, 9], "2,7,9"),
    ([12, 10, 11], "10-12"), ([1, 2, 4, 5, 6, 20], "1-2,4-6,20"),
]  # fmt: skip


@pytest.mark.parametrize(("ids", "expected"), LEVELS)
def test_levels_are_ids_and_ranges(ids: list[int], expected: str) -> None:
    assert levels_text(ids) == expected


# --- parts ----------------------------------------------------------------------------------------


def request_of(
    area: Any, mode: UpdateMode = ALL, ids: tuple[int, ...] = (13, 14), **values: Any
) -> tuple[UpdateRequest, Any]:
    description = description_of(values.pop("kind", "MapServer"), extent=values.pop("full", FULL))
    levels = tuple(METRES.level(level_id) for level_id in ids)
    return UpdateRequest.of(description, levels, mode, area, **values), description


def parts_of(*args: Any, **values: Any) -> tuple[UpdatePart, ...]:
    return hosted_parts(*request_of(*args, **values))


CORNER = box(20_000, 100_000, 30_000, 110_000)
"""Within bundle (1, 1) of level 13, 16,384 m wide, and bundles (2..3, 2..3) of level 14."""


def test_a_part_for_each_rectangle() -> None:
    (part,) = parts_of(CORNER)
    assert part.state is PartState.WAITING
    assert part.level_ids == (13, 14)
    assert part.planned == {13: 128**2, 14: 4 * 128**2}
    extent = json.loads(part.form["extent"])
    assert extent.pop("spatialReference") == {"wkid": 25832}
    # bundle (1, 1) of level 13: 16,384 to 32,768 m east, 98,304 to 114,688 m north
    assert extent == pytest.approx(
        {"xmin": 16384, "ymin": 98304, "xmax": 32768, "ymax": 114688}, abs=0.2
    )
    assert extent["xmin"] > 16384
    assert extent["ymax"] < 114688
    assert dict(part.form, extent="") == {
        "operation": "updateTiles", "levels": "13-14", "extent": "",
        "mergeBundle": "false", "replaceTiles": "false",
    }  # fmt: skip


OPTIONS = [
    (HostedOptions(False, False), "false", "false"),
    (HostedOptions(True, False), "true", "false"),
    (HostedOptions(True, True), "true", "true"),
    # means nothing without the other
    (HostedOptions(False, True), "false", "false"),
]


@pytest.mark.parametrize(("options", "merge", "replace"), OPTIONS)
def test_options_of_an_update(options: HostedOptions, merge: str, replace: str) -> None:
    (part,) = parts_of(CORNER, hosted=options)
    assert (part.form["mergeBundle"], part.form["replaceTiles"]) == (merge, replace)


def test_a_delete_has_no_options() -> None:
    (part,) = parts_of(CORNER, DELETE, hosted=HostedOptions(True, True))
    assert sorted(part.form) == ["extent", "levels", "operation"]
    assert part.form["operation"] == "deleteTiles"


def test_imagery_takes_four_numbers_for_an_update_and_an_envelope_for_a_delete() -> None:
    """As Esri's own client sends them."""
    (update,) = parts_of(CORNER, kind="ImageServer")
    numbers = [float(number) for number in update.form["extent"].split(",")]
    assert numbers == pytest.approx([16384, 98304, 32768, 114688], abs=0.2)
    (delete,) = parts_of(CORNER, DELETE, kind="ImageServer")
    assert json.loads(delete.form["extent"])["xmin"] == pytest.approx(16384, abs=0.2)


def test_the_whole_cache_is_its_full_extent() -> None:
    (part,) = parts_of(None, ids=(10, 11, 12))
    assert part.level_ids == (10, 11, 12)
    extent = json.loads(part.form["extent"])
    assert [extent[key] for key in ("xmin", "ymin", "xmax", "ymax")] == list(FULL.bounds)


def test_the_whole_cache_whose_extent_nobody_knows_is_left_to_the_site() -> None:
    (part,) = parts_of(None, DELETE, full=None)
    assert part == UpdatePart((13, 14), {"operation": "deleteTiles", "levels": "13-14"})


def test_areas_by_level() -> None:
    other = box(70_000, 20_000, 80_000, 30_000)
    areas = (LevelArea((13,), CORNER), LevelArea((14, 15), other), LevelArea((12,), None))
    parts = parts_of(areas, ids=(12, 13, 14, 15))
    # levels 14 and 15 have no rectangle in common: 16,384 m at x 65,536, and 12,288 m at x 69,632
    assert [part.level_ids for part in parts] == [(13,), (14,), (15,), (12,)]


def test_a_rectangle_as_area() -> None:
    assert parts_of(Extent(*CORNER.bounds)) == parts_of(CORNER)


REFUSED = [
    pytest.param(CORNER, EMPTY, {}, ModeNotOffered, id="only what is missing"),
    pytest.param(MultiPolygon(), ALL, {}, EmptyArea, id="no surface"),
    pytest.param(box(-9e5, 0, -8e5, 10), ALL, {}, AreaOutside, id="elsewhere"),
    pytest.param(Extent(-9e5, 0, -8e5, 10), DELETE, {}, AreaOutside, id="a rectangle elsewhere"),
]


@pytest.mark.parametrize(("area", "mode", "values", "kind"), REFUSED)
def test_what_cannot_be_asked_for(
    area: Any, mode: UpdateMode, values: dict[str, Any], kind: type
) -> None:
    with pytest.raises(kind):
        parts_of(area, mode, **values)


def test_an_area_that_takes_too_many_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosted, "MAX_JOBS", 5)
    stairs = Polygon([(2000, 2000), (120_000, 2000), (2000, 120_000)])
    with pytest.raises(TooManyJobs) as caught:
        parts_of(stairs, ids=(13,))
    assert caught.value.limit == 5
    # 8 rows of bundles, 131,072 m high, each a bundle shorter than the one below
    monkeypatch.setattr(hosted, "MAX_JOBS", 8)
    assert len(parts_of(stairs, ids=(13,))) == 8
    monkeypatch.setattr(hosted, "MAX_JOBS", 7)
    with pytest.raises(TooManyJobs):
        parts_of((LevelArea((13,), stairs), LevelArea((14,), CORNER)), ids=(13, 14))


# --- from a part back to its rectangle ------------------------------------------------------------


@pytest.mark.parametrize("kind", ["MapServer", "ImageServer"])
@pytest.mark.parametrize("mode", [ALL, DELETE])
def test_a_part_knows_its_rectangle(kind: str, mode: UpdateMode) -> None:
    request, description = request_of(CORNER.buffer(9000), mode, kind=kind)
    for part in hosted_parts(request, description):
        cut = cut_of(part, description)
        assert cut is not None
        assert part_of(cut, part, description) == part
        for half in halves(METRES, cut):
            smaller = part_of(half, part, description)
            assert smaller.planned == half.planned
            assert cut_of(smaller, description) == half
            assert {**smaller.form, "extent": "", "levels": ""} == {
                **part.form, "extent": "", "levels": ""
            }  # fmt: skip


SPOILT = ["", "{", "[]", "null", '{"xmin": "NaN"}', "1,2,3", "1,2,3,x", "9,9,1,1", "nan,0,1,1",
          '{"xmin": 1, "ymin": 1, "xmax": 1e999, "ymax": 2}']  # fmt: skip


@pytest.mark.parametrize("text", SPOILT)
def test_a_record_that_was_spoilt(text: str) -> None:
    assert extent_in(text) is None
    part = UpdatePart((13,), {"operation": "updateTiles", "levels": "13", "extent": text})
    assert cut_of(part, description_of()) is None


def test_a_level_that_the_cache_has_no_more() -> None:
    (part,) = parts_of(CORNER)
    assert cut_of(UpdatePart((13, 99), part.form), description_of()) is None
