"""Finding services on the stand-in sites and portals, and by the pages of portals' items."""

from __future__ import annotations

from typing import Any

import pytest
from arcgis_server.handle import API_KEY, PUBLISHER, VIEWER

from tile_cache_manager.plugin.core.arcgis.credentials import Credentials, FixedToken
from tile_cache_manager.plugin.core.arcgis.portal import Portal, Scope
from tile_cache_manager.plugin.core.cache import list_services, open_cache
from tile_cache_manager.plugin.core.errors import ItemElsewhere, ItemUnusable, SignInNeeded
from tile_cache_manager.plugin.core.finding import Finder

SIGN_IN = Credentials(PUBLISHER.name, PUBLISHER.password)


def page_of(site: Any, portal: str, title: str, url: str = "") -> str:
    """The page of the item called `title`, and of that service where several are."""
    found = [
        item
        for item in site.items(portal)
        if item["title"] == title and (not url or item["url"] == url)
    ]
    return f"{site.site_url(portal)}/home/item.html?id={found[0]['id']}"


# portal, title of the item, the site that its service is on, and its name and kind
ITEMS = [
    ("portal", "World", "federated", "World", "MapServer"),
    ("portal", "Imagery", "federated", "Imagery", "ImageServer"),
    ("portal", "City Tiles", "federated", "Hosted/City_Tiles", "MapServer"),
]


@pytest.mark.parametrize(("portal", "title", "key", "name", "kind"), ITEMS)
@pytest.mark.parametrize("sign_in", [SIGN_IN, FixedToken(API_KEY)], ids=["password", "key"])
def test_the_page_of_an_item_leads_to_its_service(
    fresh_site: Any, portal: str, title: str, key: str, name: str, kind: str, sign_in: Any
) -> None:
    url = fresh_site.service_url(key, name, kind)

    description = open_cache(page_of(fresh_site, portal, title, url), sign_in).describe()

    assert description.address == url
    assert description.cached_levels


def test_without_a_sign_in_the_service_says_that_it_wants_one(fresh_site: Any) -> None:
    url = fresh_site.service_url("federated", "World")

    with pytest.raises(SignInNeeded) as caught:
        open_cache(page_of(fresh_site, "portal", "World", url)).describe()

    assert caught.value.url == url


def test_an_item_that_leads_elsewhere_gets_nothing(fresh_site: Any) -> None:
    trap = fresh_site.elsewhere_url("/arcgis/rest/services/World/MapServer")
    trap = trap.replace("localhost", "127.0.0.2")  # neither the portal's host nor its servers'
    fresh_site.add_items("portal", [{"title": "Trap", "type": "Map Service", "url": trap}])
    fresh_site.elsewhere()

    with pytest.raises(ItemElsewhere) as caught:
        open_cache(page_of(fresh_site, "portal", "Trap"), SIGN_IN)

    assert caught.value.service_url == trap
    assert fresh_site.elsewhere() == []


def test_an_item_of_another_kind_is_told_of(fresh_site: Any) -> None:
    fresh_site.add_items("portal", [{"title": "Plan", "type": "Web Map", "url": None}])

    with pytest.raises(ItemUnusable) as caught:
        open_cache(page_of(fresh_site, "portal", "Plan"), SIGN_IN)

    assert (caught.value.name, caught.value.kind) == ("Plan", "Web Map")


def test_whose_items_are_found(fresh_site: Any) -> None:
    for account, has_own in ((PUBLISHER, True), (VIEWER, False)):
        address = f"{fresh_site.site_url('portal')}/home/content.html"
        finder = Finder(address, Credentials(account.name, account.password))
        portal = finder.open()

        assert isinstance(portal, Portal)
        assert portal.user == account.name
        own = finder.search(portal, "", Scope.OWN).items
        assert bool(own) is has_own
        assert {item.owner for item in own} <= {account.name}


def test_the_services_of_a_portal_can_be_opened(fresh_site: Any) -> None:
    found = list_services(fresh_site.site_url("agol") + "/home")

    assert {entry.name for entry in found} >= {"City Tiles", "Relief Tiles"}
    for entry in found:
        assert open_cache(entry.url).describe().kind == entry.kind


def test_the_services_of_a_federated_site(fresh_site: Any) -> None:
    portal = fresh_site.site_url("portal")
    trusting = Credentials(PUBLISHER.name, PUBLISHER.password, trusted_portals=(portal,))

    found = list_services(fresh_site.site_url("federated"), trusting)

    assert "Hosted/City_Tiles" in {entry.name for entry in found}
