"""Updates of hosted layers on the stand-in site: whole bundles of the area, each by one job.

Tiles are read straight from the bundles on disk. Which bundles an area touches is found by trying
every tile with shapely; `Corner_Tiles` lies around the corner of four bundles at levels 8 to 12.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from arcgis_server.handle import API_KEY, PUBLISHER, VIEWER, RunningSite
from scripted_site import Recorder
from shapely.geometry import Polygon, box
from site_caches import FEW_REPEATS, QUICK, levels_of, running_update, touched

from tile_cache_manager.plugin.core.arcgis.address import service_of
from tile_cache_manager.plugin.core.arcgis.cache import ArcGISCache
from tile_cache_manager.plugin.core.arcgis.client import Client
from tile_cache_manager.plugin.core.arcgis.credentials import Credentials, FixedToken, SignIn
from tile_cache_manager.plugin.core.arcgis.export_tiles import ExportTiles
from tile_cache_manager.plugin.core.arcgis.transport import RequestsTransport
from tile_cache_manager.plugin.core.carrying_on import carry_on, look_at, take_up, take_ups
from tile_cache_manager.plugin.core.description import CacheDescription
from tile_cache_manager.plugin.core.errors import (
    AreaOutside,
    CachingUnavailable,
    ModeNotOffered,
    NotTakenUp,
    SubmissionUnclear,
    Unavailable,
)
from tile_cache_manager.plugin.core.planned import planned_tiles, touched_tiles
from tile_cache_manager.plugin.core.request import (
    Feedback,
    HostedOptions,
    Outcome,
    UpdateMode,
    UpdateReport,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.site_update import PartState, SiteUpdate, TakeUp
from tile_cache_manager.plugin.core.storage.profile import StorageFormat

EMPTY, ALL, DELETE = UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL, UpdateMode.DELETE
KEY = FixedToken(API_KEY)
L_SHAPE = Polygon(
    [(-5e5, -5e5), (-1e3, -5e5), (-1e3, 1e3), (5e5, 1e3), (5e5, 5e5), (-5e5, 5e5)],
    [[(-3e5, 1e5), (-1e5, 1e5), (-1e5, 3e5), (-3e5, 3e5)]],
)
"""Touches three of the four bundles, and has a hole in one of them."""

SOUTH = "-600000 -600000 600000 -100000"
"""Where tiles are already, as the caching task takes an extent."""


@pytest.fixture
def online(site: RunningSite) -> Iterator[RunningSite]:
    site.reset("online", "agol")
    yield site
    site.reset("online", "agol")


def opened(
    site: RunningSite,
    name: str = "Corner_Tiles",
    kind: str = "MapServer",
    *,
    key: str = "online",
    sign_in: SignIn | None = KEY,
) -> ArcGISCache:
    service = service_of(site.service_url(key, name, kind))
    client = Client(RequestsTransport(), service.site_url, sign_in, repeats=FEW_REPEATS)
    return ArcGISCache(service, client, QUICK)


def kind_of(name: str) -> str:
    return "ImageServer" if name == "Relief_Tiles" else "MapServer"


def tiles(site: RunningSite, name: str = "Corner_Tiles") -> dict[Any, str]:
    """Every tile on disk: (level, (row, column)) to its SHA-1."""
    return {
        (level, tile): stored.sha1
        for level, of_level in site.read_cache("online", name).items()
        for tile, stored in of_level.items()
    }


def in_bundles(description: CacheDescription, area: Any, *ids: int) -> set[Any]:
    """The tiles of the full extent in the bundles that `area` touches, every tile tried."""
    found = set()
    for level in levels_of(description, *ids):
        bundles = {(row // 128, col // 128) for row, col in touched(description, level, area)}
        every = touched(description, level, box(*description.extent.bounds))
        found |= {
            (level.id, (row, col)) for row, col in every if (row // 128, col // 128) in bundles
        }
    return found


class Keeper:
    """Listens to a running update, and keeps what is to be kept of it."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.kept: list[SiteUpdate] = []

    @property
    def feedback(self) -> Feedback:
        return Feedback(
            self.recorder.percents.append,
            message=self.recorder.messages.append,
            keep=self.kept.append,
        )

    @property
    def last(self) -> SiteUpdate:
        return self.kept[-1]


def told(report: UpdateReport) -> dict[str, int]:
    names = ("planned", "made", "replaced", "deleted", "skipped")
    counts = {name: report.total(name) for name in names}
    return {name: count for name, count in counts.items() if count is not None}


# --- what is a hosted layer, and what can be done -------------------------------------------------

SEEN = [
    ("online", "Corner_Tiles", KEY, True, (ALL, DELETE)),
    ("online", "City_Tiles", KEY, True, (ALL, DELETE)),
    ("online", "Relief_Tiles", KEY, True, (ALL, DELETE)),
    ("online", "Private_Tiles", KEY, True, (ALL, DELETE)),
    ("classic", "World", Credentials(PUBLISHER.name, PUBLISHER.password), False,
     (EMPTY, ALL, DELETE)),
]  # fmt: skip


@pytest.mark.parametrize(("key", "name", "sign_in", "is_hosted", "modes"), SEEN)
def test_what_a_service_is(
    online: RunningSite, key: str, name: str, sign_in: SignIn, is_hosted: bool, modes: Any
) -> None:
    description = opened(online, name, kind_of(name), key=key, sign_in=sign_in).describe()
    assert (description.is_hosted, set(description.modes)) == (is_hosted, set(modes))
    assert description.modes_problem is None


def test_how_full_the_levels_are(online: RunningSite) -> None:
    online.fill("online", "Corner_Tiles:MapServer", [8])
    description = opened(online).describe()
    status = {level.level_id: (level.tiles, level.expected) for level in description.status}
    assert status[8] == (64, 64)
    assert status[9] == (0, 256)


@pytest.mark.parametrize(
    ("account", "reason"), [(None, Unavailable.SIGN_IN), (VIEWER, Unavailable.NO_RIGHT)]
)
def test_who_may_not_change_it(online: RunningSite, account: Any, reason: Unavailable) -> None:
    sign_in = None
    if account is not None:
        sign_in = Credentials(account.name, account.password, online.portal_url("online"))
    description = opened(online, sign_in=sign_in).describe()
    assert description.modes == ()
    assert isinstance(description.modes_problem, CachingUnavailable)
    assert description.modes_problem.reason is reason
    assert "/rest/admin/services/Corner_Tiles/" in description.modes_problem.url


def test_only_what_is_missing_is_not_offered(online: RunningSite) -> None:
    cache = opened(online)
    description = cache.describe()
    request = UpdateRequest.of(description, levels_of(description, 8), EMPTY, L_SHAPE)
    with pytest.raises(ModeNotOffered):
        cache.update(request, Feedback())
    assert online.submissions("online") == []


# --- which tiles ----------------------------------------------------------------------------------

OPTIONS = [
    pytest.param(HostedOptions(), id="bundles anew"),
    pytest.param(HostedOptions(merges_bundles=True), id="merged"),
    pytest.param(HostedOptions(merges_bundles=True, replaces_tiles=True), id="merged, replaced"),
]


@pytest.mark.parametrize("name", ["Corner_Tiles", "Relief_Tiles"])
@pytest.mark.parametrize("options", OPTIONS)
def test_an_update_makes_the_bundles_of_the_area(
    online: RunningSite, name: str, options: HostedOptions
) -> None:
    kind = kind_of(name)
    online.fill("online", f"{name}:{kind}", [8, 9, 10], extent=SOUTH)
    before = tiles(online, name)
    online.set_revision("online", 2)
    cache = opened(online, name, kind)
    description = cache.describe()
    expected = in_bundles(description, L_SHAPE, 8, 9, 10)
    there = expected & set(before)
    assert 0 < len(there) < len(expected)
    assert set(before) - expected

    levels = levels_of(description, 8, 9, 10)
    request = UpdateRequest.of(description, levels, ALL, L_SHAPE, hosted=options)
    report = cache.update(request, Recorder().feedback)

    after = tiles(online, name)
    assert set(after) == set(before) | expected
    untouched = set(before) - expected
    assert {tile: after[tile] for tile in untouched} == {tile: before[tile] for tile in untouched}
    changed = {tile for tile in there if after[tile] != before[tile]}
    keeps = options.merges_bundles and not options.replaces_tiles
    if keeps:
        assert not changed
    else:
        # tiles of one colour, of sea, may look the same in both revisions
        assert len(changed) > 0.5 * len(there)
    assert report.outcome is Outcome.DONE
    made = len(expected) - len(there)
    rest = "skipped" if keeps else "replaced"
    assert told(report) == {"planned": len(expected), "made": made, rest: len(there)}
    # two rectangles, which the levels have in common
    assert [form["form"]["levels"] for form in online.submissions("online")] == ["8-10"] * 2
    assert len(report.earlier_job_urls) == 1


@pytest.mark.parametrize("name", ["Corner_Tiles", "Relief_Tiles"])
def test_a_delete_takes_the_bundles_of_the_area(online: RunningSite, name: str) -> None:
    kind = kind_of(name)
    online.fill("online", f"{name}:{kind}", [8, 9])
    before = tiles(online, name)
    cache = opened(online, name, kind)
    description = cache.describe()
    gone = in_bundles(description, L_SHAPE, 9)
    request = UpdateRequest.of(description, levels_of(description, 9), DELETE, L_SHAPE)
    report = cache.update(request, Recorder().feedback)
    assert tiles(online, name) == {tile: before[tile] for tile in set(before) - gone}
    assert told(report) == {"planned": len(gone), "deleted": len(gone)}


def test_a_hole_that_swallows_bundles(online: RunningSite) -> None:
    """A frame over 16 bundles of the world: what lies in the four in its middle stays."""
    for strip in ("-20000000 100 20000000 200", "100 -20000000 200 20000000",
                  "-20000000 15000000 20000000 15000100"):  # fmt: skip
        online.fill("online", "City_Tiles:MapServer", [9], extent=strip)
    before = tiles(online, "City_Tiles")
    frame = box(-1.9e7, -1.9e7, 1.9e7, 1.9e7).difference(box(-1.1e7, -1.1e7, 1.1e7, 1.1e7))
    cache = opened(online, "City_Tiles")
    description = cache.describe()
    request = UpdateRequest.of(description, levels_of(description, 9), DELETE, frame)
    report = cache.update(request, Recorder().feedback)
    middle = {
        (level, (row, col)) for level, (row, col) in before
        if row // 128 in (1, 2) and col // 128 in (1, 2)
    }  # fmt: skip
    assert 0 < len(middle) < len(before)
    assert set(tiles(online, "City_Tiles")) == middle
    assert told(report) == {"planned": 12 * 128 * 128, "deleted": len(before) - len(middle)}
    assert len(online.submissions("online")) == 4


def test_the_whole_cache(online: RunningSite) -> None:
    cache = opened(online)
    description = cache.describe()
    request = UpdateRequest.of(description, levels_of(description, 8, 9), ALL, None)
    report = cache.update(request, Recorder().feedback)
    assert len(tiles(online)) == 64 + 256
    assert told(report) == {"planned": 320, "made": 320, "replaced": 0}
    assert len(online.submissions("online")) == 1


def test_what_an_update_is_about_is_told_beforehand(online: RunningSite) -> None:
    cache = opened(online)
    description = cache.describe()
    levels = levels_of(description, 8, 9, 10)
    expected = in_bundles(description, L_SHAPE, 8, 9, 10)
    by_level = {key: sum(level == key for level, _ in expected) for key in (8, 9, 10)}
    assert planned_tiles(description, levels, L_SHAPE) == by_level
    request = UpdateRequest.of(description, levels, ALL, L_SHAPE)
    estimates = cache.estimate(request, Feedback())
    assert {each.level.id: each.tiles for each in estimates} == by_level
    # an export is about the area itself
    just = touched_tiles(description, levels, L_SHAPE)
    assert just == {key: len(touched(description, description.scheme.level(key), L_SHAPE))
                    for key in (8, 9, 10)}  # fmt: skip
    assert just[10] < by_level[10]


def test_an_area_elsewhere(online: RunningSite) -> None:
    cache = opened(online)
    description = cache.describe()
    far = box(5e6, 5e6, 6e6, 6e6)
    with pytest.raises(AreaOutside):
        cache.update(UpdateRequest.of(description, levels_of(description, 8), ALL, far), Feedback())
    assert online.submissions("online") == []


def test_signed_in_by_the_portal_that_owns_the_site(online: RunningSite) -> None:
    sign_in = Credentials(PUBLISHER.name, PUBLISHER.password, online.portal_url("online"))
    cache = opened(online, "Private_Tiles", sign_in=sign_in)
    description = cache.describe()
    request = UpdateRequest.of(description, levels_of(description, 8), ALL, L_SHAPE)
    report = cache.update(request, Recorder().feedback)
    assert report.outcome is Outcome.DONE
    assert set(tiles(online, "Private_Tiles")) == in_bundles(description, L_SHAPE, 8)


# --- jobs -----------------------------------------------------------------------------------------


def request_on(site: RunningSite, *ids: int, **values: Any) -> tuple[Any, UpdateRequest, set[Any]]:
    cache = opened(site)
    description = cache.describe()
    request = UpdateRequest.of(description, levels_of(description, *ids), ALL, L_SHAPE, **values)
    return cache, request, in_bundles(description, L_SHAPE, *ids)


def test_a_cancel_ends_the_job_and_begins_no_other(online: RunningSite) -> None:
    cache, request, expected = request_on(online, 8, 9)
    online.pause_after("online", 30)
    with running_update(cache, request) as (result, cancel, recorder):
        online.wait_until_paused("online")
        cancel()
        report = result()
    assert report.outcome is Outcome.CANCELLED
    assert len(tiles(online)) == 30
    assert told(report) == {"planned": len(expected), "made": 30}
    assert len(online.submissions("online")) == 1
    assert max(recorder.percents, default=0.0) < 100.0


def test_a_cancelled_update_is_resumed(online: RunningSite) -> None:
    cache, request, expected = request_on(online, 8, 9)
    keeper = Keeper()
    online.pause_after("online", 30)
    cancels = iter([False] * 8)
    feedback = Feedback(
        keeper.recorder.percents.append,
        lambda: bool(online.jobs("online")) and not next(cancels, False),
        keep=keeper.kept.append,
    )
    assert cache.update(request, feedback).outcome is Outcome.CANCELLED
    online.release("online")
    states = [part.state for part in keeper.last.parts]
    assert states == [PartState.CANCELLED, PartState.CANCELLED]
    begun = keeper.last.job_urls
    assert take_ups(keeper.last, sign_in=KEY) == (TakeUp.RESUME,)

    report = take_up(keeper.last, TakeUp.RESUME, keeper.feedback, sign_in=KEY, pace=QUICK)

    assert report.outcome is Outcome.DONE
    assert set(tiles(online)) == expected
    # the first job went on, the second part was asked for once
    assert keeper.last.job_urls[: len(begun)] == begun
    assert len(online.submissions("online")) == 2
    with pytest.raises(NotTakenUp):
        take_up(keeper.last, TakeUp.COMPLETE, keeper.feedback, sign_in=KEY, pace=QUICK)


def test_what_failed_is_fixed(online: RunningSite) -> None:
    cache, request, expected = request_on(online, 8, 9)
    keeper = Keeper()
    online.fail_bundles("online", "Corner_Tiles:MapServer", 9, [(1, 2)])
    report = cache.update(request, keeper.feedback)
    failed = {(9, (row, col)) for level, (row, col) in expected
              if level == 9 and (row // 128, col // 128) == (1, 2)}  # fmt: skip
    assert failed
    assert report.outcome is Outcome.PARTIAL
    assert set(tiles(online)) == expected - failed
    online.fail_bundles("online", "Corner_Tiles:MapServer", 9, [])
    assert TakeUp.FIX in take_ups(keeper.last, sign_in=KEY)

    report = take_up(keeper.last, TakeUp.FIX, keeper.feedback, sign_in=KEY, pace=QUICK)

    assert report.outcome is Outcome.DONE
    assert set(tiles(online)) == expected
    assert len(online.submissions("online")) == 2


def test_what_fails_is_found_to_the_bundle(online: RunningSite) -> None:
    cache, request, expected = request_on(online, 8, 9, isolates_failures=True)
    online.fail_bundles("online", "Corner_Tiles:MapServer", 9, [(1, 2)])
    report = cache.update(request, Recorder().feedback)
    assert report.outcome is Outcome.PARTIAL
    places = [
        (place.level.id, place.first_row, place.last_row, place.first_col, place.last_col)
        for place in report.failed_places
    ]
    assert places == [(9, 1, 1, 2, 2)]
    assert "All server contexts failed" in report.failed_places[0].message
    assert {tile for tile in expected if tile[0] == 8} <= set(tiles(online))


def test_not_waiting_for_it(online: RunningSite) -> None:
    cache, request, expected = request_on(online, 8, 9, wait=False)
    keeper = Keeper()
    report = cache.update(request, keeper.feedback)
    assert report.outcome is Outcome.SUBMITTED
    addresses = [*report.earlier_job_urls, report.job_url]
    admin = online.service_url("online", "Corner_Tiles").replace("/services/", "/admin/services/")
    assert all(url.startswith(f"{admin}/jobs/") for url in addresses)
    assert len(set(addresses)) == 2

    assert carry_on(keeper.last, keeper.feedback, sign_in=KEY, pace=QUICK).outcome is Outcome.DONE
    assert set(tiles(online)) == expected
    assert len(online.submissions("online")) == 2


def test_looking_at_it_later(online: RunningSite) -> None:
    cache, request, _ = request_on(online, 8, 9, wait=False)
    keeper = Keeper()
    online.pause_after("online", 50)
    cache.update(request, keeper.feedback)
    online.wait_until_paused("online")
    seen = look_at(keeper.last, sign_in=KEY, pace=QUICK)
    assert PartState.RUNNING in {part.state for part in seen.parts}
    assert seen.percent is not None
    assert 0 < seen.percent < 100
    online.release("online")
    carry_on(seen, keeper.feedback, sign_in=KEY, pace=QUICK)
    assert {part.state for part in look_at(keeper.last, sign_in=KEY).parts} == {PartState.DONE}


def test_a_submission_whose_answer_is_lost_is_found_and_not_sent_again(
    online: RunningSite,
) -> None:
    cache, request, expected = request_on(online, 8, 9)
    keeper = Keeper()
    online.lose_answer("online", "/updateTiles$")
    report = cache.update(request, keeper.feedback)
    assert report.outcome is Outcome.DONE
    assert set(tiles(online)) == expected
    assert len(online.submissions("online")) == 2
    assert len({part.job_url for part in keeper.last.parts}) == 2


def test_an_earlier_job_that_did_the_same_is_not_taken_for_one_that_never_began(
    online: RunningSite,
) -> None:
    cache, request, _ = request_on(online, 8)
    assert cache.update(request, Feedback()).outcome is Outcome.DONE
    submitted = len(online.submissions("online"))
    online.fault("online", "/updateTiles$", "drop")
    keeper = Keeper()
    with pytest.raises(SubmissionUnclear):
        cache.update(request, keeper.feedback)
    assert len(online.submissions("online")) == submitted
    assert keeper.last.job_urls == ()


def test_a_token_that_ends_in_mid_job(online: RunningSite) -> None:
    sign_in = Credentials(PUBLISHER.name, PUBLISHER.password, online.portal_url("online"))
    cache = opened(online, sign_in=sign_in)
    description = cache.describe()
    request = UpdateRequest.of(description, levels_of(description, 8, 9), ALL, L_SHAPE)
    online.pause_after("online", 30)
    with running_update(cache, request) as (result, _, _recorder):
        online.wait_until_paused("online")
        online.expire_tokens("agol")
        online.expire_tokens("online")
        online.release("online")
        report = result()
    assert report.outcome is Outcome.DONE
    assert set(tiles(online)) == in_bundles(description, L_SHAPE, 8, 9)
    assert len(online.submissions("online")) == 2


# --- exports --------------------------------------------------------------------------------------


def test_a_hosted_layer_exports_its_tiles(online: RunningSite) -> None:
    online.fill("online", "Corner_Tiles:MapServer", [8, 9])
    service = service_of(online.service_url("online", "Corner_Tiles"))
    client = Client(RequestsTransport(), service.site_url, KEY, repeats=FEW_REPEATS)
    description = opened(online).describe()
    levels = levels_of(description, 8, 9)
    exports = ExportTiles(client, service, QUICK)
    asked = (levels, L_SHAPE, description.scheme, StorageFormat.TPKX)
    estimate = exports.estimate(*asked)
    assert estimate is not None
    assert estimate.tiles == sum(touched_tiles(description, levels, L_SHAPE).values())
    files = exports.export(*asked, Feedback())
    assert files is not None
    assert [file.name.endswith(".tpkx") for file in files] == [True]
