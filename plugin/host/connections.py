"""Addresses that QGIS knows already: its ArcGIS REST connections and the layers drawn from them."""

from __future__ import annotations

from dataclasses import dataclass

from qgis.core import QgsDataSourceUri, QgsMapLayer
from qgis.PyQt import sip

from ..core.arcgis.address import public_address
from .settings import arcgis_connections


@dataclass(frozen=True)
class SavedConnection:
    """An ArcGIS REST connection that the user keeps in QGIS."""

    name: str
    url: str
    auth_config_id: str


@dataclass(frozen=True)
class LayerService:
    """The service that a layer is drawn from."""

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
    """The service of a layer of QGIS's ArcGIS map service provider; None for any other layer."""
    if layer is None or sip.isdeleted(layer) or layer.providerType() != "arcgismapserver":
        return None
    source = QgsDataSourceUri(layer.source())
    url = source.param("url")
    return LayerService(public_address(url), source.authConfigId()) if url else None
