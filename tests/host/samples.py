"""Caches and areas to try the host with, and independent coordinate transformations (GDAL's)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from osgeo import osr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsGeometry,
    QgsRectangle,
    QgsVectorLayer,
)
from shapely.geometry import Polygon

from tile_cache_manager.plugin.core.description import CacheDescription
from tile_cache_manager.plugin.core.request import UpdateMode
from tile_cache_manager.plugin.core.tiling import Extent, Level, SpatialReference, TilingScheme
from tile_cache_manager.plugin.host import areas

osr.UseExceptions()

HALF = 20037508.342789244
# The ArcGIS Online scheme's published figures: level, metres per pixel, scale.
WEB_MERCATOR_LEVELS = (
    Level(0, 156543.03392800014, 591657527.591555),
    Level(1, 78271.51696399994, 295828763.795777),
    Level(6, 2445.98490512499, 9244648.868618),
    Level(12, 38.21851414258813, 144447.638572),
)


WORLD = Extent(-HALF, -HALF, HALF, HALF)


def web_mercator(extent: Extent | None = WORLD) -> CacheDescription:
    """A map service of the whole world in EPSG:3857, as ArcGIS publishes such."""
    crs = SpatialReference(102100, 3857)
    scheme = TilingScheme(-20037508.342787, 20037508.342787, 256, 256, 96, crs, WEB_MERCATOR_LEVELS)
    return _cache("World", scheme, extent)


def degrees(wkid: int = 4326) -> CacheDescription:
    """A map service of the whole world in degrees, rows from 90 N."""
    levels = (Level(0, 0.703125, 295497598.5708346), Level(9, 0.001373291015625, 577143.747))
    scheme = TilingScheme(-180, 90, 256, 256, 96, SpatialReference(wkid, wkid), levels)
    return _cache("WorldInDegrees", scheme, Extent(-180, -90, 180, 90))


def swiss() -> CacheDescription:
    """A map service of Switzerland in its national grid, EPSG:2056."""
    levels = (Level(0, 500, 1889765), Level(1, 10, 37795))
    scheme = TilingScheme(2420000, 1350000, 256, 256, 96, SpatialReference(2056, 2056), levels)
    return _cache("Swiss", scheme, Extent(2485000, 1075000, 2834000, 1296000))


def _cache(name: str, scheme: TilingScheme, extent: Extent | None) -> CacheDescription:
    return CacheDescription(
        address=f"https://site.test/arcgis/rest/services/{name}/MapServer",
        name=name,
        kind="MapServer",
        scheme=scheme,
        cached_levels=scheme.levels,
        extent=extent,
        image_format="PNG",
        version="10.81",
        modes=tuple(UpdateMode),
    )


def gdal_transformation(source: str, target: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function from x, y (east, north) in one CRS to x, y in another, computed by GDAL."""
    systems = []
    for code in (source, target):
        system = osr.SpatialReference()
        system.SetFromUserInput(code)
        system.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
        systems.append(system)
    transformation = osr.CoordinateTransformation(*systems)

    def transform(points: np.ndarray) -> np.ndarray:
        return np.array(transformation.TransformPoints(points.tolist()))[:, :2]

    return transform


def crs(code: str) -> QgsCoordinateReferenceSystem:
    return QgsCoordinateReferenceSystem(code)


def drawn(polygon: Polygon, code: str) -> areas.DrawnArea:
    return drawn_wkt(polygon.wkt, code)


def drawn_wkt(wkt: str, code: str) -> areas.DrawnArea:
    return areas.DrawnArea(QgsGeometry.fromWkt(wkt), crs(code), QgsCoordinateTransformContext())


def rectangle_area(name: str, bounds: QgsRectangle, code: str | None) -> areas.RectangleArea:
    """A rectangle in a CRS; None: in that of the cache."""
    system = None if code is None else crs(code)
    return areas.RectangleArea(name, bounds, system, QgsCoordinateTransformContext())


def of_layer(layer: QgsVectorLayer | None, selected_only: bool = False) -> areas.LayerArea:
    return areas.LayerArea.of(layer, selected_only, QgsCoordinateTransformContext())


def layer_of(
    wkts: list[str], kind: str = "MultiPolygon", code: str = "EPSG:4326"
) -> QgsVectorLayer:
    layer = QgsVectorLayer(f"{kind}?crs={code}" if code else kind, "parcels", "memory")
    features = []
    for wkt in wkts:
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromWkt(wkt))
        features.append(feature)
    assert layer.dataProvider().addFeatures(features)[0]
    layer.updateExtents()
    return layer
