"""Finding a service on a site, and among a portal's items."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from scripted_site import answer, error, html

from tile_cache_manager.plugin.core.arcgis.catalogue import MOST_FOLDERS, FolderListing
from tile_cache_manager.plugin.core.arcgis.credentials import Credentials, FixedToken
from tile_cache_manager.plugin.core.arcgis.portal import Portal, Scope
from tile_cache_manager.plugin.core.arcgis.transport import HttpRequest, HttpResponse
from tile_cache_manager.plugin.core.cache import list_services, open_cache
from tile_cache_manager.plugin.core.errors import (
    AddressError,
    ItemElsewhere,
    ItemUnusable,
    NotArcGIS,
    NotFound,
    SignInFailed,
    SignInNeeded,
    SiteRefused,
)
from tile_cache_manager.plugin.core.finding import MOST_PAGES, Finder

FIXTURES = Path(__file__).resolve().parents[2].parent / "shared" / "fixtures"
ID = "66fabd8c23074ecc85883e0086419adc"
PORTAL = "https://gis.example/portal"
SHARING = f"{PORTAL}/sharing/rest"
ITEM = f"{SHARING}/content/items/{ID}"
PAGE = f"{PORTAL}/home/item.html?id={ID}"
WORLD = "https://gis.example/server/rest/services/World/MapServer"
ELSEWHERE = "https://other.example/arcgis/rest/services/World/MapServer"
KEY = FixedToken("t0ken-of-the-portal")


class Network:
    """Answers by whole address, on any host; `sent`: what came, and whether with a token."""

    def __init__(self, pages: dict[str, Any]) -> None:
        self._pages = pages
        self.sent: list[HttpRequest] = []

    def send(self, request: HttpRequest) -> HttpResponse:
        self.sent.append(request)
        page = self._pages.get(request.url, error(404, "not found"))
        page = page(request) if callable(page) else page
        reply = page if isinstance(page, HttpResponse) else answer(page)
        return HttpResponse(request.url, reply.status, reply.headers, reply.body)

    def hosts_told(self, secret: str) -> set[str]:
        """Hosts to which something went that held `secret`."""
        return {
            urlsplit(each.url).netloc
            for each in self.sent
            if secret in f"{each.params} {each.headers} {each.body!r} {each.url}"
        }


def item(**values: Any) -> dict[str, Any]:
    return {"id": ID, "title": "World", "type": "Map Service", "url": WORLD, **values}


# what a site lists


@pytest.mark.parametrize(
    "name",
    [
        "../admin",
        "F/..",
        "..",
        ".",
        "F//World",
        "F/G/World",
        "/World",
        "World/",
        "F%2fWorld",
        "F%252FWorld",
        "%2e%2e",
        "F/%2e%2e",
        "Wor\nld",
        "Wor%0d%0ald",
        "Wor\x00ld",
        "Wor\u202eld",
        "F\\World",
        "W" * 600,
        "",
        None,
        7,
        ["World"],
    ],
)
def test_names_that_are_none_are_left_out(name: Any) -> None:
    root = "https://gis.example/server/rest/services"
    services = [{"name": name, "type": "MapServer"}, {"name": "World", "type": "MapServer"}]
    site = Network({root: {"folders": [name, "Land Use"], "services": services}})

    listing = Finder(root, transport=site).open()

    assert isinstance(listing, FolderListing)
    assert listing.folders == ("Land Use",)
    assert [entry.url for entry in listing.services] == [WORLD]


def test_odd_names_that_are_names_stay() -> None:
    root = "https://gis.example/server/rest/services"
    names = ["100%", "a#b?c", "Straßen", "F/Land Use", "v1.2", "MapServer"]
    site = Network({root: {"services": [{"name": each, "type": "MapServer"} for each in names]}})

    found = list_services(root, transport=site)

    assert sorted(entry.name for entry in found) == sorted(names)


def test_a_folder_is_listed_when_it_is_opened() -> None:
    root = "https://gis.example/server/rest/services"
    site = Network(
        {
            root: {"folders": ["Land Use", "System"], "services": []},
            f"{root}/Land%20Use": {"services": [{"name": "Land Use/A", "type": "ImageServer"}]},
        }
    )
    finder = Finder("https://gis.example/server", transport=site)

    assert finder.open() == FolderListing(("Land Use",), ())
    assert len(site.sent) == 1
    (entry,) = finder.list_folder("Land Use").services
    assert entry.url == f"{root}/Land%20Use/A/ImageServer"


def test_the_address_of_a_service_opens_its_folder() -> None:
    root = "https://gis.example/server/rest/services"
    site = Network({f"{root}/F": {"services": [{"name": "F/A", "type": "MapServer"}]}})

    listing = Finder(f"{root}/F/A/MapServer/0", transport=site).open()

    assert [entry.name for entry in listing.services] == ["F/A"]


# which of both it is

SELF = {"id": "0123", "name": "Surveying", "isPortal": True}
INFO = {"authInfo": {"isTokenBasedSecurity": True, "tokenServicesUrl": f"{SHARING}/generateToken"}}


@pytest.mark.parametrize(
    ("typed", "portal_url"),
    [
        ("https://gis.example", PORTAL),
        ("https://gis.example/maps", "https://gis.example/maps"),
        ("https://gis.example/arcgis/", "https://gis.example/arcgis"),
    ],
)
@pytest.mark.parametrize(
    "info", [INFO, answer("", 401, {"www-authenticate": 'Basic realm="maps"'})]
)
def test_a_portal_is_found_where_no_site_is(typed: str, portal_url: str, info: Any) -> None:
    sharing = f"{portal_url}/sharing/rest"
    site = Network({f"{sharing}/info": info, f"{sharing}/portals/self": SELF})

    found = Finder(typed, transport=site).open()

    assert found == Portal(portal_url, "Surveying", "0123")
    assert found.scopes == (Scope.ORGANIZATION, Scope.ALL)


@pytest.mark.parametrize("page", [html(), html(404), error(404, "no")])
def test_where_neither_is_the_site_is_told_of(page: Any) -> None:
    site = Network({"https://gis.example/server/rest/services": page})

    with pytest.raises((NotArcGIS, NotFound)) as caught:
        Finder("https://gis.example/server", transport=site).open()

    assert caught.value.url == "https://gis.example/server/rest/services"


def test_a_site_that_wants_a_token_for_everything_is_not_taken_for_a_portal() -> None:
    site = Network({})
    site.send = lambda request: HttpResponse(  # type: ignore[method-assign]
        request.url, 200, {}, error(499, "Token Required").body
    )

    with pytest.raises((SignInNeeded, SignInFailed)) as caught:
        Finder("https://gis.example/server", Credentials("jane", "p4ssw0rd"), site).open()

    assert "sharing" not in caught.value.url


def test_what_says_that_it_is_a_site_is_not_taken_for_a_portal() -> None:
    site = Network({f"{SHARING}/info": INFO, f"{SHARING}/portals/self": SELF})

    with pytest.raises(NotFound):
        Finder(f"{PORTAL}/rest/services", transport=site).open()

    assert len(site.sent) == 1


@pytest.mark.parametrize("body", [{}, {"error": {"code": 400}}, {"currentVersion": 10.9}])
def test_what_is_no_portal(body: Any) -> None:
    site = Network({f"{SHARING}/portals/self": body})

    with pytest.raises(Exception, match=r"ArcGIS JSON|400"):
        Finder(PORTAL, transport=site).open()


# searching a portal


def searched(words: str = "", scope: Scope = Scope.ALL, page: Any = None) -> tuple[Any, str]:
    """What is found, and what the portal was asked for."""
    user = {"id": "0rg", "user": {"username": "jane@example"}}
    site = Network({f"{SHARING}/portals/self": user, f"{SHARING}/search": page or {}})
    finder = Finder(PORTAL, transport=site)
    found = finder.search(finder.open(), words, scope)
    return found, site.sent[-1].params["q"]


KINDS = '(type:"Map Service" OR type:"Image Service")'


@pytest.mark.parametrize(
    ("words", "scope", "query"),
    [
        ("", Scope.ALL, KINDS),
        ("", Scope.OWN, f'{KINDS} AND owner:"jane@example"'),
        ("", Scope.ORGANIZATION, f"{KINDS} AND orgid:0rg"),
        ("  road  map ", Scope.ALL, f"{KINDS} AND road AND map"),
        ("a NOT b OR c", Scope.ALL, f"{KINDS} AND a AND not AND b AND or AND c"),
        ('") OR owner:(x*', Scope.OWN, f'{KINDS} AND owner:"jane@example" AND or AND owner AND x'),
        ("Straße_7 km/h", Scope.ALL, f"{KINDS} AND Straße_7 AND km AND h"),
        ("-.' ~^", Scope.ALL, KINDS),
    ],
)
def test_what_is_searched_for(words: str, scope: Scope, query: str) -> None:
    assert searched(words, scope)[1] == query


def test_only_map_and_image_services_are_found() -> None:
    results = [
        item(
            title="Zoo",
            url=f"{WORLD}/0?token=t0ps3cret",
            owner="jane",
            modified=1582265103917,
            typeKeywords=["Hosted Service"],
        ),
        item(type="Image Service", url=WORLD.replace("MapServer", "ImageServer")),
        item(type="Image Service"),  # a map service in truth
        item(type="Feature Service"),
        item(type="Web Map", url=None),
        item(url="javascript:alert(1)"),
        item(url="https://gis.example/server/rest/services/../x/MapServer"),
        item(id="../../x"),
        {"title": "without an id"},
        None,
    ]
    page = {"total": 40, "start": 1, "num": 10, "nextStart": 11, "results": results}

    found, _ = searched(page=page)

    assert [each.title for each in found.items] == ["Zoo", "World"]
    zoo = found.items[0]
    assert zoo.url == WORLD
    assert (zoo.owner, zoo.is_hosted, zoo.modified) == ("jane", True, 1582265103.917)
    assert (found.total, found.next_start) == (40, 11)


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        (" Road\n map\t", "Road map"),
        ("Ro\u202eda\x00d", "Ro da d"),
        ("x" * 10_000, "x" * 500),
        ("<b>Straße</b>", "<b>Straße</b>"),
        ("", ID),
        ("\u200b\r\n", ID),
        (None, ID),
        ({"en": "Roads"}, ID),
    ],
)
def test_a_title_is_one_line(title: Any, shown: str) -> None:
    (found,) = searched(page={"results": [item(title=title)]})[0].items

    assert found.title == shown


@pytest.mark.parametrize("next_start", [-1, 0, 1, None, "x", 1e400, [2]])
def test_a_search_ends_where_it_does_not_go_forward(next_start: Any) -> None:
    page = {"total": 40, "nextStart": next_start, "results": [item()]}

    assert searched(page=page)[0].next_start is None


@pytest.mark.parametrize("total", [-1, None, "many", True, {}])
def test_a_total_that_is_none(total: Any) -> None:
    assert searched(page={"total": total, "results": []})[0].total == 0


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="the recordings are not here")
def test_the_recorded_search_of_a_real_portal() -> None:
    page = json.loads((FIXTURES / "terria-portal-search.json").read_text(encoding="utf-8"))

    found, _ = searched(page=page)

    (only,) = found.items
    assert (only.title, only.kind) == ("Historical Imagery 1970s", "Map Service")
    assert only.is_hosted
    assert found.next_start is None


def test_a_portal_s_services_are_listed_by_whose_they_are() -> None:
    def search(request: HttpRequest) -> Any:
        if "owner:" in request.params["q"]:
            return {"total": 0, "results": []}
        start = int(request.params["start"])
        return {"nextStart": 2 if start == 1 else -1, "results": [item(title=f"No {start}")]}

    user = {"id": "0rg", "user": {"username": "jane"}}
    site = Network({f"{SHARING}/portals/self": user, f"{SHARING}/search": search})

    found = list_services(f"{PORTAL}/home/content.html", transport=site)

    assert [(each.name, each.kind) for each in found] == [
        ("No 1", "MapServer"),
        ("No 2", "MapServer"),
    ]
    assert found[0].url == PAGE
    assert "orgid:0rg" in site.sent[-1].params["q"]


def test_a_portal_of_endless_pages_without_services_comes_to_an_end() -> None:
    def search(request: HttpRequest) -> Any:
        start = int(request.params["start"])
        return {"nextStart": start + 1, "results": [item(url="")]}

    site = Network({f"{SHARING}/portals/self": {"isPortal": True}, f"{SHARING}/search": search})

    assert list_services(f"{PORTAL}/home", transport=site) == ()
    assert len(site.sent) == 1 + MOST_PAGES


ROOT = "https://gis.example/server/rest/services"


def folders_asked_for(number: int, most: int) -> int:
    """How many of a site's `number` folders are asked for, if nobody waits after `most`."""
    names = [f"F{at}" for at in range(number)]
    site = Network({ROOT: {"folders": names, "services": []}})

    def count() -> int:
        return sum(each.url != ROOT for each in site.sent)

    list_services(ROOT, transport=site, cancelled=lambda: count() >= most)
    return count()


@pytest.mark.parametrize("most", [0, 3])
def test_no_other_folder_is_asked_for_once_nobody_waits(most: int) -> None:
    assert folders_asked_for(9, most) == most


def test_more_folders_than_anybody_has_are_not_all_asked_for() -> None:
    assert folders_asked_for(MOST_FOLDERS + 9, 10_000) == MOST_FOLDERS


# a portal's item


def test_the_page_of_an_item_opens_its_service() -> None:
    site = Network({ITEM: item()})

    described_by = open_cache(PAGE, transport=site)

    with pytest.raises(NotFound) as caught:
        described_by.describe()
    assert caught.value.url == WORLD


@pytest.mark.parametrize(
    "values",
    [
        {"type": "Web Map", "url": None},
        {"type": "Vector Tile Service"},
        {"url": ""},
        {"url": "https://gis.example/server/rest/services/Roads/FeatureServer"},
        {"url": "file:///etc/passwd"},
        {"url": 7},
    ],
)
def test_an_item_that_is_no_service(values: dict[str, Any]) -> None:
    with pytest.raises(ItemUnusable) as caught:
        open_cache(PAGE, transport=Network({ITEM: item(**values)}))

    assert (caught.value.url, caught.value.name) == (PAGE, "World")


def test_an_item_by_an_id_that_is_none_opens_nothing_else() -> None:
    with pytest.raises(AddressError) as caught:
        Finder(f"{PORTAL}/home/item.html?id=deadbeef", transport=Network({})).open()

    assert caught.value.names_item


def test_an_item_that_there_is_not() -> None:
    with pytest.raises(NotFound) as caught:
        open_cache(PAGE, transport=Network({ITEM: error(400, "Item does not exist")}))

    assert (caught.value.url, caught.value.message) == (PAGE, "Item does not exist")


def test_an_item_that_the_portal_cannot_read_just_now() -> None:
    with pytest.raises(SiteRefused) as caught:
        open_cache(PAGE, transport=Network({ITEM: error(409, "Try later")}))

    assert type(caught.value) is SiteRefused


def test_an_item_that_nobody_may_see() -> None:
    with pytest.raises(SignInNeeded):
        open_cache(PAGE, transport=Network({ITEM: error(499, "Token Required")}))


def test_an_old_item_s_service_on_the_same_host_is_asked_by_https() -> None:
    site = Network({ITEM: item(url=WORLD.replace("https", "http"))})

    with pytest.raises(NotFound) as caught:
        open_cache(PAGE, KEY, site).describe()

    assert caught.value.url == WORLD
    assert all(each.url.startswith("https://") for each in site.sent)


def test_a_service_that_the_portal_does_not_know_is_not_signed_in_at() -> None:
    site = Network({ITEM: item(url=ELSEWHERE)})

    with pytest.raises(ItemElsewhere) as caught:
        open_cache(PAGE, KEY, site)

    assert caught.value.service_url == ELSEWHERE
    assert site.hosts_told(KEY.value) == {"gis.example"}
    assert {urlsplit(each.url).netloc for each in site.sent} == {"gis.example"}


@pytest.mark.parametrize(("port", "is_asked"), [(6443, False), (443, False), (8443, True)])
def test_not_every_port_of_the_portal_s_host_is_the_portal_s(port: int, is_asked: bool) -> None:
    url = f"https://gis.example:{port}/arcgis/rest/services/World/MapServer"
    site = Network({ITEM: item(url=url)})

    if is_asked:
        with pytest.raises(ItemElsewhere):
            open_cache(PAGE, KEY, site)
    else:
        open_cache(PAGE, KEY, site)

    assert ("generateToken" in site.sent[-1].url) is is_asked
    assert site.hosts_told(KEY.value) == {"gis.example"}


def test_without_a_sign_in_such_a_service_is_opened() -> None:
    site = Network({ITEM: item(url=ELSEWHERE)})

    with pytest.raises(NotFound) as caught:
        open_cache(PAGE, transport=site).describe()

    assert caught.value.url == ELSEWHERE


def test_a_service_of_the_portal_s_own_servers_is_opened() -> None:
    exchange = {"token": "s3rver", "expires": 4102444800000}
    site = Network({ITEM: item(url=ELSEWHERE), f"{SHARING}/generateToken": exchange})

    open_cache(PAGE, KEY, site)

    assert site.sent[-1].params["serverUrl"] == "https://other.example/arcgis"
    assert site.hosts_told(KEY.value) == {"gis.example"}


def test_from_an_encrypted_portal_nobody_is_signed_in_unencrypted() -> None:
    exchange = {"token": "s3rver", "expires": 4102444800000}
    plain = "http://gis.example:6080/arcgis/rest/services/World/MapServer"
    site = Network({ITEM: item(url=plain), f"{SHARING}/generateToken": exchange})

    with pytest.raises(ItemElsewhere):
        open_cache(PAGE, KEY, site)

    assert all(each.url.startswith("https://") for each in site.sent)


def test_a_password_goes_to_the_portal_that_the_item_is_of() -> None:
    info = {**INFO, "owningSystemUrl": PORTAL}
    site = Network(
        {
            ITEM: item(url=ELSEWHERE),
            f"{SHARING}/info": info,
            f"{SHARING}/generateToken": {"token": "portal-t0ken", "expires": 4102444800000},
        }
    )

    open_cache(PAGE, Credentials("jane", "p4ssw0rd"), site)

    assert site.hosts_told("p4ssw0rd") == {"gis.example"}


# the address of a map that shows a service


MAP = "https://gis.example/portal/home/webmap/viewer.html"
ESRI_MAP = "https://www.arcgis.com/apps/mapviewer/index.html"
ESRI_SERVICE = "https://services.arcgis.com/x/arcgis/rest/services/World/MapServer"


@pytest.mark.parametrize("map_url", [MAP, ESRI_MAP])
def test_nobody_is_signed_in_where_only_a_link_leads(map_url: str) -> None:
    site = Network({})

    with pytest.raises(ItemElsewhere) as caught:
        open_cache(f"{map_url}?url={ELSEWHERE}&token=s3cret", KEY, site)

    assert (caught.value.url, caught.value.service_url) == (map_url, ELSEWHERE)
    assert "s3cret" not in f"{caught.value!r} {vars(caught.value)}"
    assert site.sent == []


@pytest.mark.parametrize(
    ("address", "service_url", "key"),
    [
        (f"{MAP}?url={ELSEWHERE}", ELSEWHERE, None),
        (f"{MAP}?url={WORLD}", WORLD, KEY),
        (f"{ESRI_MAP}?url={ESRI_SERVICE}", ESRI_SERVICE, KEY),
        (ELSEWHERE.replace("https://", ""), ELSEWHERE, KEY),
    ],
)
def test_a_map_s_service_that_is_opened(
    address: str, service_url: str, key: FixedToken | None
) -> None:
    with pytest.raises(NotFound) as caught:
        open_cache(address, key, Network({})).describe()

    assert caught.value.url == service_url


def test_nobody_is_signed_in_to_list_services_where_only_a_link_leads() -> None:
    site = Network({ELSEWHERE.rpartition("/World")[0]: {"services": []}})

    with pytest.raises(ItemElsewhere):
        list_services(f"https://gis.example/maps.php?url={ELSEWHERE}", KEY, site)

    assert site.sent == []
    assert list_services(f"https://gis.example/maps.php?url={ELSEWHERE}", None, site) == ()
