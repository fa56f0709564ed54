"""Layers, scales and tile counts that the tests of Processing speak of."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsVectorLayer,
)

EUROPE = "POLYGON((-10 36, 30 36, 30 60, -10 60, -10 36))"


def polygon_layer(*polygons: str, crs: str = "EPSG:4326") -> QgsVectorLayer:
    layer = QgsVectorLayer(f"Polygon?crs={crs}", "Area", "memory")
    for polygon in polygons:
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromWkt(polygon))
        layer.dataProvider().addFeature(feature)
    layer.updateExtents()
    QgsProject.instance().addMapLayer(layer)
    return layer


def scales_of(site: Any, *levels: int) -> str:
    """Scales of the Web Mercator levels, as Esri publishes them: level 0 halved."""
    return ";".join(str(round(591657527.591555 / 2**level, 6)) for level in levels)


def counts(site: Any, key: str = "classic", name: str = "World") -> dict[int, int]:
    tiles = site.read_cache(key, name)
    return {level: len(found) for level, found in tiles.items() if found}
