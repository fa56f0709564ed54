"""From a service's spatial reference to QGIS's CRS."""

from __future__ import annotations

import pytest
from osgeo import osr

from tile_cache_manager.plugin.core.errors import DescriptionError
from tile_cache_manager.plugin.core.tiling import SpatialReference
from tile_cache_manager.plugin.host.crs import qgis_crs

pytestmark = pytest.mark.usefixtures("qgis_app")

osr.UseExceptions()

NAMED = [
    (SpatialReference(102100, 3857), "EPSG:3857"),
    (SpatialReference(102100), "EPSG:3857"),
    (SpatialReference(102113, 3785), "EPSG:3857"),
    (SpatialReference(900913), "EPSG:3857"),
    (SpatialReference(4326, 4326), "EPSG:4326"),
    (SpatialReference(2056), "EPSG:2056"),
    (SpatialReference(102067, 5514), "EPSG:5514"),
    (SpatialReference(54009), "ESRI:54009"),
    (SpatialReference(102014), "ESRI:102014"),
    (SpatialReference(102014, 999999), "ESRI:102014"),
]


@pytest.mark.parametrize(("reference", "authid"), NAMED, ids=str)
def test_codes_of_epsg_and_esri(reference: SpatialReference, authid: str) -> None:
    assert qgis_crs(reference).authid() == authid


@pytest.mark.parametrize("code", [2056, 27700, 3577])
def test_the_wkt_of_esri(code: int) -> None:
    # GDAL writes what ArcGIS would; the projection behind it must be the same.
    system = osr.SpatialReference()
    system.ImportFromEPSG(code)
    system.MorphToESRI()
    crs = qgis_crs(SpatialReference(wkt=system.ExportToWkt()))
    assert crs.isValid()
    again = osr.SpatialReference()
    again.ImportFromWkt(crs.toWkt())
    for system_ in (system, again):
        system_.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    point = (2600000.0, 1200000.0) if code == 2056 else (400000.0, 300000.0)
    there = osr.CoordinateTransformation(again, system).TransformPoint(*point)
    assert there[:2] == pytest.approx(point, abs=1e-3)


@pytest.mark.parametrize(
    "reference",
    [SpatialReference(), SpatialReference(999999), SpatialReference(wkt="nonsense")],
    ids=str,
)
def test_what_qgis_does_not_know_is_refused(reference: SpatialReference) -> None:
    with pytest.raises(DescriptionError) as caught:
        qgis_crs(reference, "World")
    assert (caught.value.service, caught.value.key) == ("World", "spatialReference")
