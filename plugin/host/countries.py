"""The countries of the world map that comes with QGIS. Any thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from qgis.core import QgsApplication, QgsFeatureRequest, QgsRectangle, QgsVectorLayer
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union
from shapely.prepared import prep

from .buffers import buffered
from .geometries import polygons_of, valid_polygons

COAST = 20_000.0
"""Metres that the map's coasts may be off: it is drawn for overviews."""


SLIVER = 0.02
"""A country that has less of an area than this part of what the country with the most has of it,
and is not mostly in the area itself, is only met because borders are drawn roughly."""


def world_map() -> Path:
    """The file of the world map; nothing need be there."""
    return Path(QgsApplication.pkgDataPath()) / "resources" / "data" / "world_map.gpkg"


def are_known() -> bool:
    """Whether the world map is there."""
    return world_map().is_file()


def touched_countries(area: BaseGeometry, stop: Callable[[], None]) -> BaseGeometry | None:
    """The countries that have surface in common with `area`, and `area`; all in degrees of WGS 84.

    But for slivers. Where none has any, those within COAST of it; empty where there are none
    either. None: there is no world map. `stop` as of `buffered`.
    """
    layer = QgsVectorLayer(f"{world_map()}|layername=countries", "countries", "ogr")
    if not layer.isValid():
        return None
    for metres in (0.0, COAST):
        wider = buffered(area, metres, stop)
        found = _without_slivers(list(_touched(layer, wider, stop)))
        if found:
            return valid_polygons(unary_union([area, *found]))
    return valid_polygons(area.difference(area))


def _touched(
    layer: QgsVectorLayer, area: BaseGeometry, stop: Callable[[], None]
) -> Iterator[tuple[BaseGeometry, float]]:
    """The countries that `area` touches, and how much surface they have in common."""
    xmin, ymin, xmax, ymax = area.bounds
    request = QgsFeatureRequest().setSubsetOfAttributes([])
    request.setFilterRect(QgsRectangle(xmin, ymin, xmax, ymax))
    prepared = prep(area)
    for feature in layer.getFeatures(request):
        stop()
        country = polygons_of(feature.geometry())
        if prepared.intersects(country):
            common = area.intersection(country).area
            if common > 0:
                yield country, common


def _without_slivers(touched: list[tuple[BaseGeometry, float]]) -> list[BaseGeometry]:
    most = max((common for _country, common in touched), default=0.0)
    return [
        country
        for country, common in touched
        if common >= SLIVER * most or common >= country.area / 2
    ]
