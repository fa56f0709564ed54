"""Addresses that QGIS knows already: its ArcGIS REST connections, and what layers draw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from qgis.core import QgsDataItem, QgsDataSourceUri, QgsMapLayer, QgsProviderRegistry
from qgis.PyQt import sip

from ..core.arcgis.address import public_address, service_of
from ..core.errors import AddressError
from .settings import arcgis_connections

_BROWSER_CONNECTION = "afs:/"
"""What the paths of connections in QGIS's browser begin with, before their names."""

CACHE_FILES = ("conf.xml", "root.json")
CACHE_ENDINGS = (".tpkx", ".tpk", ".mbtiles", ".gpkg")


@dataclass(frozen=True)
class SavedConnection:
    """An ArcGIS REST connection that the user keeps in QGIS."""

    name: str
    url: str
    auth_config_id: str


@dataclass(frozen=True)
class LayerService:
    """The service or the cache on this computer that a layer is drawn from."""

    url: str
    auth_config_id: str


@dataclass(frozen=True)
class NamedService:
    """A map or image service at `url`, and what the project calls the layer drawn from it."""

    name: str
    url: str
    auth_config_id: str


def saved_connections() -> list[SavedConnection]:
    """QGIS's ArcGIS REST connections, by name."""
    connections = [
        SavedConnection(name, public_address(url), auth_config_id)
        for name, url, auth_config_id in arcgis_connections()
        if url
    ]
    return sorted(connections, key=lambda connection: connection.name.lower())


def of_layer(layer: QgsMapLayer | None) -> LayerService | None:
    """The service of a layer of QGIS's ArcGIS map service provider or of an XYZ layer of its tiles.

    Or the cache on this computer that it is a file of.

    None for any other layer. Looks at no file.
    """
    if layer is None or sip.isdeleted(layer):
        return None
    if layer.providerType() == "arcgismapserver":
        source = QgsDataSourceUri(layer.source())
        url = source.param("url")
        return LayerService(public_address(url), source.authConfigId()) if url else None
    tiles = _tiles_of(layer)
    if tiles is not None:
        return tiles
    path = _cache_of(layer)
    return LayerService(path, "") if path else None


def of_browser_item(item: QgsDataItem | None) -> LayerService | None:
    """The map or image service that an item of QGIS's browser is, or is a layer of.

    With the sign-in of the saved connection that the item is in. None for any other item. In QGIS
    3.22 and 3.40 the path of a service is its address, and of a layer that with its number behind;
    connections are at `afs:/name`.
    """
    if item is None or sip.isdeleted(item):
        return None
    try:
        url = service_of(item.path()).url
    except AddressError:
        return None
    place = item.parent()
    while place is not None and not place.path().startswith(_BROWSER_CONNECTION):
        place = place.parent()
    if place is None:  # a favourite folder of pictures may be called like a service
        return None
    sign_ins = {each.name: each.auth_config_id for each in saved_connections()}
    return LayerService(url, sign_ins.get(place.name(), ""))


def services_of(layers: Iterable[QgsMapLayer]) -> tuple[NamedService, ...]:
    """The map and image services that `layers` are drawn from, each once, by the first layer.

    Whether they have a cache is not known yet: nothing is asked here. Main thread.
    """
    found: dict[str, NamedService] = {}
    for layer in layers:
        service = of_layer(layer)
        if service is None:
            continue
        try:
            url = service_of(service.url).url
        except AddressError:  # a cache on this computer, or a site's root
            continue
        found.setdefault(url, NamedService(layer.name(), url, service.auth_config_id))
    return tuple(found.values())


def _tiles_of(layer: QgsMapLayer) -> LayerService | None:
    """The service whose tiles an XYZ layer reads one by one, `.../MapServer/tile/{z}/{y}/{x}`."""
    if layer.providerType() != "wms":
        return None
    parts = QgsProviderRegistry.instance().decodeUri("wms", layer.source())
    url = str(parts.get("url") or "")
    if parts.get("type") != "xyz" or "/rest/services/" not in url:
        return None
    try:
        service = service_of(url)
    except AddressError:
        return None
    return LayerService(service.url, str(parts.get("authcfg") or ""))


def _cache_of(layer: QgsMapLayer) -> str:
    """The cache of a layer drawn by GDAL, or of QGIS's own MBTiles layers; "" for none."""
    if layer.providerType() not in ("gdal", "wms"):
        return ""
    parts = QgsProviderRegistry.instance().decodeUri(layer.providerType(), layer.source())
    found = parts.get("path")
    if not isinstance(found, str) or not found:
        return ""
    path = Path(found)
    if path.name.lower() in CACHE_FILES:
        return str(path.parent)
    return str(path) if path.suffix.lower() in CACHE_ENDINGS else ""
