"""What a person finds in the window of `make run` and `make demo`: a map, a sign-in, a site."""

from __future__ import annotations

from dataclasses import dataclass

from arcgis_server.handle import PUBLISHER, RunningSite
from qgis.core import (
    QgsApplication,
    QgsAuthMethodConfig,
    QgsCoordinateReferenceSystem,
    QgsFillSymbol,
    QgsProject,
    QgsRasterLayer,
    QgsSingleSymbolRenderer,
    QgsVectorLayer,
)
from qgis.utils import iface

SIGN_IN_NAME = "Publisher of the stand-in site"
_OUTLINE = {"style": "no", "outline_color": "80,80,80", "outline_width": "0.2"}


@dataclass(frozen=True)
class Stage:
    """The layers of countries and of the service, and the id of the publisher's sign-in."""

    countries: QgsVectorLayer
    service: QgsRasterLayer
    service_address: str
    auth_config_id: str


def set_up(desktop, site: RunningSite):
    """Open a map in Web Mercator: the service's tiles below the outlines of all countries.

    A script's part, which gives the Stage: `stage = yield from set_up(desktop, site)`.
    """
    project = QgsProject.instance()
    address = site.service_url("classic", "World")
    service = service_layer(address)
    project.addMapLayer(service)
    countries = desktop.open_countries()
    countries.setRenderer(QgsSingleSymbolRenderer(QgsFillSymbol.createSimple(_OUTLINE)))
    # once the canvas has its first layers, QGIS gives the project their CRS
    yield desktop.until(lambda: iface.mapCanvas().layerCount() == 2, 20, "the layers")
    project.setCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    iface.setActiveLayer(countries)
    return Stage(countries, service, address, store_sign_in())


def service_layer(address: str, name: str = "World (tiles of the service)") -> QgsRasterLayer:
    """The service drawn by QGIS itself, from its tiles."""
    source = f"crs='EPSG:3857' format='PNG32' url='{address}'"
    return QgsRasterLayer(source, name, "arcgismapserver")


def store_sign_in() -> str:
    """The publisher's user name and password in the profile's authentication database; its id."""
    manager = QgsApplication.authManager()
    # the profile was made a moment ago and is thrown away: nobody has to remember this
    manager.setMasterPassword("stand-in", True)
    config = QgsAuthMethodConfig("Basic")
    config.setName(SIGN_IN_NAME)
    config.setConfig("username", PUBLISHER.name)
    config.setConfig("password", PUBLISHER.password)
    stored = manager.storeAuthenticationConfig(config)
    # QGIS 3.22 answers with the success alone, later ones with the configuration as well
    if not (stored[0] if isinstance(stored, tuple) else stored):
        raise OSError("the sign-in could not be stored")
    return config.id()
