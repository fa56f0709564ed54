"""Which services the layers of a project are drawn from."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from qgis.core import QgsRasterLayer

from tile_cache_manager.plugin.host import connections

pytestmark = pytest.mark.usefixtures("qgis_app")

ROOT = "https://maps.test/arcgis/rest/services"


def arcgis(url: str, name: str = "Streets", authcfg: str = "") -> QgsRasterLayer:
    auth = f" authcfg={authcfg}" if authcfg else ""
    return QgsRasterLayer(
        f"crs='EPSG:3857' format='PNG32' url='{url}'{auth}", name, "arcgismapserver"
    )


def xyz(url: str, authcfg: str = "") -> QgsRasterLayer:
    auth = f"&authcfg={authcfg}" if authcfg else ""
    return QgsRasterLayer(f"type=xyz&url={url}&zmax=19&zmin=0{auth}", "tiles", "wms")


# the layer's kind and address, the service, or none
LAYERS = [
    (arcgis, f"{ROOT}/Streets/MapServer", f"{ROOT}/Streets/MapServer"),
    (arcgis, f"{ROOT}/Maps/Streets/MapServer/0", f"{ROOT}/Maps/Streets/MapServer"),
    (xyz, f"{ROOT}/Streets/MapServer/tile/{{z}}/{{y}}/{{x}}", f"{ROOT}/Streets/MapServer"),
    (xyz, f"{ROOT}/Ortho/ImageServer/tile/%7Bz%7D/%7By%7D/%7Bx%7D", f"{ROOT}/Ortho/ImageServer"),
    (xyz, "https://tile.test/{z}/{x}/{y}.png", None),
    (xyz, f"{ROOT}/", None),
    (arcgis, ROOT, None),
]


@pytest.mark.parametrize(("layer", "url", "address"), LAYERS)
def test_the_service_of_a_layer(
    layer: Callable[[str], QgsRasterLayer], url: str, address: str | None
) -> None:
    found = [service.url for service in connections.services_of([layer(url)])]

    assert found == ([] if address is None else [address])


def test_every_service_once_by_its_first_layer() -> None:
    first = arcgis(f"{ROOT}/Streets/MapServer", "Roads", "abc1234")
    again = xyz(f"{ROOT}/Streets/MapServer/tile/{{z}}/{{y}}/{{x}}", "xyz1234")
    other = arcgis(f"{ROOT}/Places/MapServer", "Towns")

    found = connections.services_of([first, again, other])

    assert [(service.name, service.auth_config_id) for service in found] == [
        ("Roads", "abc1234"),
        ("Towns", ""),
    ]


def test_the_sign_in_of_an_xyz_layer() -> None:
    layer = xyz(f"{ROOT}/Streets/MapServer/tile/{{z}}/{{y}}/{{x}}", "xyz1234")

    (service,) = connections.services_of([layer])

    assert service.auth_config_id == "xyz1234"
