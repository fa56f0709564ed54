"""Addresses as people paste them: which service, which site, or why neither."""

from __future__ import annotations

import pytest

from tile_cache_manager.plugin.core.arcgis.address import (
    folder_of,
    origin_of,
    service_of,
    service_url,
    site_of,
)
from tile_cache_manager.plugin.core.errors import AddressError

ROOT = "https://h.example/arcgis/rest/services"
WORLD = f"{ROOT}/World/MapServer"

# what was pasted, root of the service, [folder/]name, type
SERVICES = [
    (WORLD, WORLD, "World", "MapServer"),
    (f"  {WORLD}\n", WORLD, "World", "MapServer"),
    (f"{WORLD}/", WORLD, "World", "MapServer"),
    ("h.example/arcgis/rest/services/World/MapServer", WORLD, "World", "MapServer"),
    (
        "localhost:6443/arcgis/rest/services/World/MapServer",
        "https://localhost:6443/arcgis/rest/services/World/MapServer",
        "World",
        "MapServer",
    ),
    (f"{WORLD}/0", WORLD, "World", "MapServer"),
    (f"{WORLD}/layers", WORLD, "World", "MapServer"),
    (f"{WORLD}/tile/3/2/1?blankTile=false", WORLD, "World", "MapServer"),
    (f"{WORLD}/tile/{{z}}/{{y}}/{{x}}", WORLD, "World", "MapServer"),
    (f"{WORLD}/export?bbox=0,0,1,1&f=image", WORLD, "World", "MapServer"),
    (f"{WORLD}/WMTS/1.0.0/WMTSCapabilities.xml", WORLD, "World", "MapServer"),
    (f"{WORLD}?f=json&token=t0ps3cret", WORLD, "World", "MapServer"),
    (f"{WORLD}#top", WORLD, "World", "MapServer"),
    (f"{ROOT}/World/mapserver", WORLD, "World", "MapServer"),
    (f"{ROOT}/Dem/ImageServer", f"{ROOT}/Dem/ImageServer", "Dem", "ImageServer"),
    (f"{ROOT}/F/World/MapServer", f"{ROOT}/F/World/MapServer", "F/World", "MapServer"),
    (f"{ROOT}/MapServer/MapServer", f"{ROOT}/MapServer/MapServer", "MapServer", "MapServer"),
    (f"{ROOT}/mapserver/A/MapServer", f"{ROOT}/mapserver/A/MapServer", "mapserver/A", "MapServer"),
    (
        "HTTPS://H.Example/ArcGIS/REST/Services/World/MapServer",
        "https://h.example/ArcGIS/REST/Services/World/MapServer",
        "World",
        "MapServer",
    ),
    (
        "http://h.example:6080/arcgis/rest/services/World/MapServer",
        "http://h.example:6080/arcgis/rest/services/World/MapServer",
        "World",
        "MapServer",
    ),
    (
        "https://h.example/rest/services/World/MapServer",
        "https://h.example/rest/services/World/MapServer",
        "World",
        "MapServer",
    ),
    (
        "https://tiles.example/tiles/0rg/arcgis/rest/services/T/MapServer",
        "https://tiles.example/tiles/0rg/arcgis/rest/services/T/MapServer",
        "T",
        "MapServer",
    ),
    (
        "https://[2001:db8::7]:6443/server/rest/services/World/MapServer",
        "https://[2001:db8::7]:6443/server/rest/services/World/MapServer",
        "World",
        "MapServer",
    ),
    (f"{ROOT}/Stra%C3%9Fen/MapServer", f"{ROOT}/Stra%C3%9Fen/MapServer", "Straßen", "MapServer"),
    (f"{ROOT}/Straßen/MapServer", f"{ROOT}/Stra%C3%9Fen/MapServer", "Straßen", "MapServer"),
    (f"{ROOT}/Land Use/MapServer", f"{ROOT}/Land%20Use/MapServer", "Land Use", "MapServer"),
    (f"{ROOT}/100%25/MapServer", f"{ROOT}/100%25/MapServer", "100%", "MapServer"),
    (
        "https://straße.example/kärten/rest/services/A/MapServer",
        "https://strasse.example/k%C3%A4rten/rest/services/A/MapServer",
        "A",
        "MapServer",
    ),
    (
        "https://me:t0ps3cret@h.example/arcgis/rest/services/World/MapServer",
        WORLD,
        "World",
        "MapServer",
    ),
    # as they are administered
    ("https://h.example/arcgis/rest/admin/services/World/MapServer", WORLD, "World", "MapServer"),
    (
        "https://h.example/arcgis/rest/admin/services/World/MapServer/jobs/7?f=json",
        WORLD,
        "World",
        "MapServer",
    ),
    ("https://h.example/arcgis/admin/services/World.MapServer", WORLD, "World", "MapServer"),
    (
        "https://h.example/arcgis/admin/services/F/A.b.ImageServer/edit",
        f"{ROOT}/F/A.b/ImageServer",
        "F/A.b",
        "ImageServer",
    ),
    # as maps show them
    (
        f"https://www.arcgis.com/apps/mapviewer/index.html?url={WORLD}/&source=sd",
        WORLD,
        "World",
        "MapServer",
    ),
    (
        "https://h.example/portal/home/webmap/viewer.html?url="
        "https%3A%2F%2Fh.example%2Farcgis%2Frest%2Fservices%2FLand%2520Use%2FMapServer%3Ftoken%3Dx",
        f"{ROOT}/Land%20Use/MapServer",
        "Land Use",
        "MapServer",
    ),
]

# what was pasted, where the site's or folder's catalogue is (None: no telling)
NO_SERVICES = [
    (ROOT, ROOT),
    (f"{ROOT}/", ROOT),
    (f"{ROOT}?f=json", ROOT),
    (f"{ROOT}/Folder", f"{ROOT}/Folder"),
    (f"{ROOT}/Folder/", f"{ROOT}/Folder"),
    (f"{ROOT}/MapServer", f"{ROOT}/MapServer"),
    (f"{ROOT}/Roads/FeatureServer", ROOT),
    (f"{ROOT}/Folder/Roads/FeatureServer/0", f"{ROOT}/Folder"),
    (f"{ROOT}/System/CachingTools/GPServer", f"{ROOT}/System"),
    ("https://h.example/server/rest", "https://h.example/server/rest/services"),
    ("https://h.example/server/", "https://h.example/server/rest/services"),
    ("https://h.example", ROOT),
    ("https://h.example/", ROOT),
    ("https://h.example/arcgis/manager", ROOT),
    ("https://h.example/arcgis/admin/services", ROOT),
    ("https://h.example/arcgis/admin/services/Folder", f"{ROOT}/Folder"),
    ("https://h.example/arcgis/admin/services/Folder/Roads.GPServer", f"{ROOT}/Folder"),
    ("https://h.example/arcgis/rest/admin/services", ROOT),
    ("https://h.example/arcgis/services/World/MapServer/WMSServer?request=GetCapabilities", ROOT),
    ("https://h.example/arcgis/rest/services2/World/MapServer", ROOT),
    (
        "https://www.arcgis.example/home/item.html?id=0123abc",
        "https://www.arcgis.example/sharing/rest",
    ),
    ("https://h.example/portal/home", "https://h.example/portal/sharing/rest"),
    ("https://h.example/portal/", "https://h.example/portal/sharing/rest"),
    ("https://org.maps.arcgis.com", "https://org.maps.arcgis.com/sharing/rest"),
    (f"https://h.example/maps/index.php?url={ROOT}", ROOT),
    ("https://h.example/x?url=javascript:alert(1)", "https://h.example/x/rest/services"),
    (f"{ROOT}?url={WORLD}", ROOT),
    ("https://h.example/maps/index.php", None),
    ("", None),
    ("   ", None),
    ("World", None),
    ("World/MapServer", None),
    ("jane:t0ps3cret@h.example/arcgis/rest/services/World/MapServer", None),
    ("ftp://h.example/arcgis/rest/services/World/MapServer", None),
    ("file:///arcgis/rest/services/World/MapServer", None),
    ("https:///arcgis/rest/services/World/MapServer", None),
    (f"{ROOT}/../admin/World/MapServer", None),
    (f"{ROOT}/%2e%2E/admin/World/MapServer", None),
    (f"{ROOT}/A%2F..%2Fadmin/MapServer", None),
    (f"{ROOT}/Wor\nld/MapServer", None),
    (f"{ROOT}/Wor\tld/MapServer", None),
    (f"{ROOT}/Wor%0D%0Ald/MapServer", None),
    (f"{ROOT}/World\x00/MapServer", None),
    ("https://h.example:65536/arcgis/rest/services/World/MapServer", None),
    ("https://h.example:0/arcgis/rest/services/World/MapServer", None),
    ("https://h.example:x/arcgis/rest/services/World/MapServer", None),
    ("https://[2001:db8::7/arcgis/rest/services/World/MapServer", None),
    ("https://h..example/arcgis/rest/services/World/MapServer", None),
    (f"https://{'h' * 64}.example/arcgis/rest/services/World/MapServer", None),
    ("https://two words/arcgis/rest/services/World/MapServer", None),
]


@pytest.mark.parametrize(("pasted", "url", "name", "kind"), SERVICES)
def test_address_of_a_service(pasted: str, url: str, name: str, kind: str) -> None:
    service = service_of(pasted)

    assert (service.url, service.name, service.kind) == (url, name, kind)
    assert service.caching_name == f"{name}:{kind}"
    assert url.lower().startswith(f"{service.site_url.lower()}/rest/services/")
    assert site_of(service.url) == service.site_url
    assert service_of(service.url) == service


@pytest.mark.parametrize(("pasted", "catalogue"), NO_SERVICES)
def test_address_of_no_service(pasted: str, catalogue: str | None) -> None:
    with pytest.raises(AddressError) as caught:
        service_of(pasted)

    assert caught.value.site_url == catalogue


@pytest.mark.parametrize(
    "pasted",
    [
        "https://me:t0ps3cret@h.example/arcgis/rest/services",
        "https://me:t0ps3cret@h.example:x/arcgis/rest/services/World/MapServer",
        "https://me:t0p@s3cret@h.example/",
        "me:t0ps3cret@h.example/arcgis/rest/services/World/MapServer",
        "ftp://me:t0ps3cret@h.example/arcgis",
        "https://h.example/arcgis?token=t0ps3cret",
        "https://h.example/arcgis/rest/services/F/X/FeatureServer/0?token=t0ps3cret&f=json",
        "https://h.example/portal/home/item.html#token=t0ps3cret",
    ],
)
def test_errors_hold_no_secret(pasted: str) -> None:
    with pytest.raises(AddressError) as caught:
        service_of(pasted)

    told = f"{caught.value} {caught.value!r} {vars(caught.value)}"
    assert "s3cret" not in told
    assert "h.example" in told


@pytest.mark.parametrize(
    ("pasted", "folder"),
    [
        (ROOT, ""),
        (f"{ROOT}/World/MapServer", ""),
        (f"{ROOT}/Folder/", "Folder"),
        (f"{ROOT}/Folder?f=json", "Folder"),
        (f"{ROOT}/Land Use", "Land%20Use"),
        (f"{ROOT}/Folder/World/MapServer/0", "Folder"),
    ],
)
def test_folder_of_an_address(pasted: str, folder: str) -> None:
    assert folder_of(pasted) == folder


def test_names_become_urls_and_names_again() -> None:
    for name in ("World", "Folder/World", "Straßen", "Land Use", "100%", "a#b?c"):
        url = service_url("https://h.example/arcgis", name, "ImageServer")
        assert service_of(url).name == name


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://h.example", "https://h.example:443/x", True),
        ("http://h.example:80/a", "http://H.EXAMPLE/b", True),
        ("https://h.example", "http://h.example", False),
        ("https://h.example", "https://h.example:6443", False),
        ("https://h.example", "https://h.example.evil.example", False),
        ("https://h.example", "https://h.example@evil.example", False),
        ("https://[2001:db8::7]", "https://[2001:DB8::7]:443", True),
    ],
)
def test_origins(one: str, other: str, same: bool) -> None:
    assert (origin_of(one) == origin_of(other)) is same
