"""From the CRS that a service names to a CRS of QGIS."""

from __future__ import annotations

from collections.abc import Iterator

from qgis.core import QgsCoordinateReferenceSystem

from ..core.errors import DescriptionError
from ..core.tiling import SpatialReference


def qgis_crs(reference: SpatialReference, service: str = "") -> QgsCoordinateReferenceSystem:
    """The CRS of QGIS that `reference` names, always a valid one. Any thread.

    Tried in turn: the latest code and the code as EPSG's, both as Esri's, the WKT (Esri's WKT 1,
    which PROJ reads). All codes of Web Mercator give EPSG:3857.
    Raises DescriptionError, naming `service`, where QGIS knows none of them.
    """
    for candidate in _candidates(reference):
        if candidate.isValid():
            return candidate
    raise DescriptionError(service, "spatialReference")


def _candidates(reference: SpatialReference) -> Iterator[QgsCoordinateReferenceSystem]:
    codes = [code for code in (reference.latest_wkid, reference.wkid) if code]
    if reference.code == 3857:
        codes = [3857]
    for authority in ("EPSG", "ESRI"):
        for code in codes:
            yield QgsCoordinateReferenceSystem(f"{authority}:{code}")
    if reference.wkt:
        yield QgsCoordinateReferenceSystem.fromWkt(reference.wkt)
