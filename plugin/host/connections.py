"""Addresses that QGIS knows already: its ArcGIS REST connections, and what layers draw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qgis.core import QgsDataSourceUri, QgsMapLayer, QgsProviderRegistry
from qgis.PyQt import sip

from ..core.arcgis.address import public_address
from .settings import arcgis_connections

CACHE_FILES = ("conf.xml", "root.json")
CACHE_ENDINGS = (".tpkx", ".tpk", ".mbtiles")


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


def saved_connections() -> list[SavedConnection]:
    """QGIS's ArcGIS REST connections, by name."""
    connections = [
        SavedConnection(name, public_address(url), auth_config_id)
        for name, url, auth_config_id in arcgis_connections()
        if url
    ]
    return sorted(connections, key=lambda connection: connection.name.lower())


def of_layer(layer: QgsMapLayer | None) -> LayerService | None:
    """The service of a layer of QGIS's ArcGIS map service provider, or the cache it is a file of.

    None for any other layer. Looks at no file.
    """
    if layer is None or sip.isdeleted(layer):
        return None
    if layer.providerType() == "arcgismapserver":
        source = QgsDataSourceUri(layer.source())
        url = source.param("url")
        return LayerService(public_address(url), source.authConfigId()) if url else None
    path = _cache_of(layer)
    return LayerService(path, "") if path else None


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
