"""What the plugin reads off each kind of site that the stand-in plays."""

from __future__ import annotations

from typing import Any

import pytest
from arcgis_server.handle import PUBLISHER, VIEWER, Account
from site_caches import open_on, sign_in

from tile_cache_manager.plugin.core.cache import list_services, open_cache
from tile_cache_manager.plugin.core.description import LevelStatus
from tile_cache_manager.plugin.core.errors import (
    AddressError,
    CachingUnavailable,
    NotCached,
    NotFound,
    SignInFailed,
    SignInNeeded,
    SignInProblem,
    Unavailable,
)
from tile_cache_manager.plugin.core.request import UpdateMode

EMPTY, ALL, DELETE = UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL, UpdateMode.DELETE
MODES = (EMPTY, ALL, DELETE)
CORNER = (-20037508.342787, 20037508.342787)

# site, service, type: ids of the scheme, of cached levels, tile size, origin, CRS, format, version
SERVICES = [
    ("classic", "World", "MapServer", range(20), range(8), 256, CORNER, 3857, "PNG", "10.81"),
    (
        "classic",
        "Basemaps/Countries",
        "MapServer",
        range(20),
        range(7),
        256,
        CORNER,
        3857,
        "PNG",
        "10.81",
    ),
    (
        "classic",
        "Imagery",
        "ImageServer",
        range(20),
        range(2, 10),
        256,
        CORNER,
        3857,
        "MIXED",
        "10.81",
    ),
    ("old", "World", "MapServer", range(9), range(9), 256, CORNER, 3857, "PNG", "10.04"),
    (
        "hosted",
        "World_Tiles",
        "MapServer",
        range(24),
        range(1, 9),
        256,
        CORNER,
        3857,
        "PNG",
        "10.81",
    ),
    (
        "gaps",
        "World",
        "MapServer",
        (2, 3, 5, 6, 8, 11),
        (2, 3, 5, 6, 8),
        512,
        (-400, 400),
        4326,
        "PNG32",
        "10.91",
    ),
    (
        "wkt",
        "Europe",
        "MapServer",
        range(7),
        range(6),
        256,
        (-5123200, 10002100),
        None,
        "PNG",
        "10.31",
    ),
    ("othernames", "World", "MapServer", range(12), range(9), 256, CORNER, 3857, "PNG", "11.1"),
    ("secured", "World", "MapServer", range(20), range(8), 256, CORNER, 3857, "PNG", "10.91"),
]


@pytest.mark.parametrize(
    ("key", "name", "kind", "ids", "cached", "size", "origin", "code", "tile_format", "version"),
    SERVICES,
)
def test_a_service(
    site: Any,
    key: str,
    name: str,
    kind: str,
    ids: Any,
    cached: Any,
    size: int,
    origin: tuple[float, float],
    code: int | None,
    tile_format: str,
    version: str,
) -> None:
    found = open_on(site, key, name, kind).describe()

    scheme = found.scheme
    assert [level.id for level in scheme.levels] == list(ids)
    assert [level.id for level in found.cached_levels] == list(cached)
    assert (scheme.tile_width, scheme.tile_height) == (size, size)
    assert (scheme.origin_x, scheme.origin_y) == origin
    assert scheme.crs.code == code
    assert bool(scheme.crs.wkt) is (code is None)
    assert (found.image_format, found.version) == (tile_format, version)
    assert found.extent is not None
    assert (found.name, found.kind) == (name, kind)
    assert found.address == site.service_url(key, name, kind)


# site, service, who asks: modes offered, else why not
OFFERS: list[tuple[str, str, Account | None, Any]] = [
    ("classic", "World", PUBLISHER, MODES),
    ("classic", "World", VIEWER, Unavailable.NO_RIGHT),
    ("classic", "World", None, Unavailable.SIGN_IN),
    ("old", "World", PUBLISHER, MODES),
    ("old", "World", None, Unavailable.SIGN_IN),
    ("hosted", "World_Tiles", None, Unavailable.NO_TOOLS),
    ("gaps", "World", None, MODES),
    ("othernames", "World", None, (ALL, DELETE)),
    ("secured", "World", PUBLISHER, MODES),
    ("secured", "World", VIEWER, Unavailable.NO_RIGHT),
]


@pytest.mark.parametrize(("key", "name", "account", "offer"), OFFERS)
def test_modes_offered(site: Any, key: str, name: str, account: Account | None, offer: Any) -> None:
    found = open_on(site, key, name, account=account).describe()

    if isinstance(offer, tuple):
        assert (found.modes, found.modes_problem) == (offer, None)
    else:
        assert found.modes == ()
        assert isinstance(found.modes_problem, CachingUnavailable)
        assert found.modes_problem.reason is offer


def read_size(site: Any, key: str, name: str, level_id: int) -> int:
    """Bytes of the tiles of a level."""
    return sum(tile.size for tile in site.read_cache(key, name)[level_id].values())


@pytest.mark.parametrize(
    ("key", "name", "ids"), [("classic", "World", range(8)), ("gaps", "World", (2, 3, 5, 6, 8))]
)
def test_how_full_a_cache_is(fresh_site: Any, key: str, name: str, ids: Any) -> None:
    first, second = list(ids)[:2]
    fresh_site.fill(key, f"{name}:MapServer", [first, second])
    made = {level: len(found) for level, found in fresh_site.read_cache(key, name).items()}

    found = open_on(fresh_site, key, name).describe()

    assert [status.level_id for status in found.status] == list(ids)
    assert {status.level_id: status.tiles for status in found.status[:2]} == made
    for status in found.status[:2]:
        count, size = made[status.level_id], read_size(fresh_site, key, name, status.level_id)
        assert status == LevelStatus(status.level_id, count, count, size)
    assert all(status.tiles == 0 for status in found.status[2:])


def test_a_site_without_status_reports(site: Any) -> None:
    assert open_on(site, "old").describe().status == ()


@pytest.mark.parametrize(
    ("name", "kind", "scheme_only"),
    [
        ("Dynamic", "MapServer", False),
        ("Elevation", "ImageServer", False),
        ("Scheme", "MapServer", True),
    ],
)
def test_services_without_cache(site: Any, name: str, kind: str, scheme_only: bool) -> None:
    with pytest.raises(NotCached) as caught:
        open_on(site, "classic", name, kind).describe()

    assert (caught.value.service, caught.value.scheme_only) == (name, scheme_only)


def test_no_such_service(site: Any) -> None:
    with pytest.raises(NotFound):
        open_on(site, "classic", "Nowhere").describe()


def test_a_secured_site_wants_a_sign_in(site: Any) -> None:
    with pytest.raises(SignInNeeded):
        open_on(site, "secured", account=None).describe()


@pytest.mark.parametrize("key", ["classic", "secured", "old"])
def test_a_wrong_password(site: Any, key: str) -> None:
    with pytest.raises(SignInFailed) as caught:
        open_on(site, key, account=Account("publisher", "wr0ng")).describe()

    assert caught.value.reason is SignInProblem.REFUSED
    assert caught.value.detail == "Invalid username or password."
    assert caught.value.url == site.site_url(key)
    assert "wr0ng" not in f"{caught.value} {caught.value!r}"


def test_a_password_for_a_site_that_takes_none(site: Any) -> None:
    cache = open_cache(site.service_url("gaps", "World"), sign_in(PUBLISHER))

    with pytest.raises(SignInFailed) as caught:
        cache.describe()

    assert caught.value.reason is SignInProblem.NO_SERVICE


def test_a_folder_of_a_site_is_no_cache(site: Any) -> None:
    with pytest.raises(AddressError) as caught:
        open_cache(f"{site.services_url('classic')}/Basemaps")

    assert caught.value.site_url == f"{site.services_url('classic')}/Basemaps"


def test_the_services_of_a_site(site: Any) -> None:
    found = list_services(site.services_url("classic"), sign_in(PUBLISHER))

    assert [(entry.name, entry.kind) for entry in found] == [
        ("Basemaps/Countries", "MapServer"),
        ("Dynamic", "MapServer"),
        ("Elevation", "ImageServer"),
        ("Imagery", "ImageServer"),
        ("Places", "MapServer"),
        ("Scheme", "MapServer"),
        ("Streets", "MapServer"),
        ("World", "MapServer"),
    ]
    assert found[0].url == site.service_url("classic", "Basemaps/Countries")
    (in_folder,) = list_services(f"{site.services_url('classic')}/Basemaps")
    assert in_folder == found[0]
