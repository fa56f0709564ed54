"""Addresses of portals and their items as people paste them."""

from __future__ import annotations

import pytest

from tile_cache_manager.plugin.core.arcgis.portal_address import (
    ItemAddress,
    item_of,
    kept_address,
    names_no_item,
    portal_of,
)

ID = "66fabd8c23074ecc85883e0086419adc"
OTHER = "0123456789abcdef0123456789abcdef"
ORG = "https://org.maps.arcgis.com"
PORTAL = "https://h.example/gis/portal"

# what was pasted, the portal, the item
PORTALS = [
    (ORG, ORG, None),
    ("org.maps.arcgis.com/home", ORG, None),
    ("https://www.arcgis.com", "https://www.arcgis.com", None),
    (PORTAL, PORTAL, None),
    (f"{PORTAL}/", PORTAL, None),
    (f"{PORTAL}/home/", PORTAL, None),
    (f"{PORTAL}/home/content.html?view=list#my", PORTAL, None),
    (f"{PORTAL}/sharing/rest", PORTAL, None),
    ("https://h.example:7443/arcgis/home", "https://h.example:7443/arcgis", None),
    ("https://h.example/sharing/rest/info?f=json", "https://h.example", None),
    ("https://me:t0ps3cret@h.example/portal/home", "https://h.example/portal", None),
    (f"{ORG}/home/item.html?id={ID}", ORG, ID),
    (f"{ORG}/home/item.html?id={ID.upper()}", ORG, ID),
    (f"{ORG}/home/item.html?id={ID}#overview", ORG, ID),
    (f"{ORG}/home/item.html?token=t0ps3cret&id={ID}", ORG, ID),
    (f"{ORG}/home/webmap/viewer.html?layers={ID}", ORG, ID),
    (f"{ORG}/home/webmap/viewer.html?useExisting=1&layers={ID},{OTHER}", ORG, ID),
    (f"{ORG}/apps/mapviewer/index.html?layers={ID}", ORG, ID),
    (f"{ORG}/apps/mapviewer/index.html?webmap={ID}", ORG, ID),
    (f"{PORTAL}/home/user.html#id={ID}", PORTAL, ID),
    (f"{PORTAL}/sharing/rest/content/items/{ID}?f=pjson", PORTAL, ID),
    (f"{PORTAL}/sharing/content/items/{ID}/data", PORTAL, ID),
    (f"{PORTAL}/sharing/rest/content/users/jane/items/{ID}", PORTAL, ID),
    (f"{PORTAL}/sharing/rest/content/users/jane/f0/items/{ID}/status", PORTAL, ID),
    (f"{ORG}/home/item.html?id=../../{ID}", ORG, None),
    (f"{ORG}/home/item.html?id={ID}x", ORG, None),
    (f"{ORG}/home/item.html?id=", ORG, None),
]
NO_PORTALS = [
    "",
    "/data/portal",
    "https://h.example",
    "https://h.example/arcgis",
    "https://h.example/homes",
    "https://maps.arcgis.com.evil.example",
    "https://tiles.arcgis.com/tiles/0rg/arcgis/rest/services/T/MapServer",
    "https://h.example/apps/arcgis/rest/services/World/MapServer",
    "https://h.example/portal/rest/services",
    "https://h.example/home/../portal",
    f"ftp://org.maps.arcgis.com/home/item.html?id={ID}",
]


@pytest.mark.parametrize(("pasted", "portal_url", "item_id"), PORTALS)
def test_address_of_a_portal(pasted: str, portal_url: str, item_id: str | None) -> None:
    assert portal_of(pasted) == portal_url
    assert item_of(pasted) == (ItemAddress(portal_url, item_id) if item_id else None)


@pytest.mark.parametrize("pasted", NO_PORTALS)
def test_address_of_no_portal(pasted: str) -> None:
    assert portal_of(pasted) is None
    assert item_of(pasted) is None


@pytest.mark.parametrize(
    ("pasted", "kept"),
    [
        (f"{ORG}/home/item.html?token=t0ps3cret&id={ID}", f"{ORG}/home/item.html?id={ID}"),
        (f"{ORG}/home/item.html?token=t0ps3cret", f"{ORG}/home/item.html"),
        (f"https://h.example/x?id={ID}", "https://h.example/x"),
        (f"{PORTAL}/sharing/rest/content/items/{ID}", f"{PORTAL}/home/item.html?id={ID}"),
    ],
)
def test_an_item_is_kept_without_what_can_be_secret(pasted: str, kept: str) -> None:
    assert kept_address(pasted) == kept
    assert kept_address(kept) == kept


@pytest.mark.parametrize(
    ("pasted", "is_odd"),
    [
        (f"{ORG}/home/item.html?id=deadbeef", True),
        (f"{ORG}/sharing/rest/content/items/deadbeef", True),
        (f"{ORG}/home/item.html?id={ID}", False),
        (f"{ORG}/home/item.html", False),
        (f"{ORG}/home/search.html?id=deadbeef", False),
        (ORG, False),
        ("https://site.test/arcgis/rest/services/World/MapServer?id=deadbeef", False),
        ("hello", False),
    ],
)
def test_the_page_of_an_item_with_an_id_that_is_none(pasted: str, is_odd: bool) -> None:
    assert names_no_item(pasted) is is_odd


def test_an_item_s_addresses_are_of_that_item() -> None:
    item = ItemAddress(PORTAL, ID)

    assert item_of(item.page_url) == item
    assert item_of(item.url) == item
