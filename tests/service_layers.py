"""Layers that are drawn from the tiles of services, which nobody asks for in these tests."""

from __future__ import annotations

from typing import Any

SITE_URL = "https://site.test/arcgis/rest/services"


def service_url(name: str) -> str:
    """Address of the service `name`, `[Folder/]Name`."""
    return f"{SITE_URL}/{name}/MapServer"


def service_layer(name: str, title: str = "") -> Any:
    """A layer called `title`, or else `name`, of the tiles of the service `name`."""
    from qgis.core import QgsRasterLayer

    tiles = f"{service_url(name)}/tile/%7Bz%7D/%7By%7D/%7Bx%7D"
    layer = QgsRasterLayer(f"type=xyz&url={tiles}&zmin=0&zmax=9", title or name, "wms")
    assert layer.isValid()
    return layer
