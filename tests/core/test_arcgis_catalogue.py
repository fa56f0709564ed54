"""Which services a site has, as its catalogue tells."""

from __future__ import annotations

from typing import Any

import pytest
from scripted_site import SITE, AnsweringSite, error, html, quick_client

from tile_cache_manager.plugin.core.arcgis.address import service_of
from tile_cache_manager.plugin.core.arcgis.catalogue import list_services
from tile_cache_manager.plugin.core.cache import list_services as list_services_of
from tile_cache_manager.plugin.core.errors import SiteError


def test_the_catalogue_leaves_out_what_cannot_be_listed() -> None:
    site = AnsweringSite(
        {
            "/rest/services": {
                "folders": ["Secret", "Stopped", "System", "Utilities", "Land Use", "", None],
                "services": [
                    {"name": "b", "type": "MapServer", "url": "https://elsewhere.example/b"},
                    {"name": "A", "type": "ImageServer"},
                    {"name": "A", "type": "FeatureServer"},
                    {"name": "b", "type": "MapServer"},
                    {"type": "MapServer"},
                    None,
                ],
            },
            "/rest/services/Secret": error(499, "Token Required"),
            "/rest/services/Stopped": error(500, "x"),
            "/rest/services/Land%20Use": {
                "services": [{"name": "Land Use/c", "type": "MapServer"}]
            },
        }
    )

    found = list_services_of(f"{SITE}/rest/services/", transport=site)

    root = f"{SITE}/rest/services"
    assert [entry.url for entry in found] == [
        f"{root}/A/ImageServer",
        f"{root}/b/MapServer",
        f"{root}/Land%20Use/c/MapServer",
    ]
    assert not any("/System" in path or "/Utilities" in path for path, _ in site.asked)
    assert [service_of(entry.url).name for entry in found] == [entry.name for entry in found]


def test_the_catalogue_of_a_site_typed_with_a_password() -> None:
    site = AnsweringSite({"/rest/services/Land": {"services": []}})
    typed = f"  {SITE}/rest/services/Land?token=t0ps3cret".replace("//", "//me:p4ssw0rd@", 1)

    assert list_services(typed, quick_client(site)) == ()
    assert site.asked == [("/rest/services/Land", {"f": "json"})]


@pytest.mark.parametrize("refusal", [error(403, "off"), error(499, "Token"), html()])
def test_a_catalogue_that_is_switched_off(refusal: Any) -> None:
    with pytest.raises(SiteError):
        list_services(
            f"{SITE}/rest/services", quick_client(AnsweringSite({"/rest/services": refusal}))
        )
