"""Writes the projects that the rows about drawing use; run in a process of its own.

python render_projects.py FOLDER WEST SOUTH EAST NORTH

plain.qgz    QGIS's own map of the world: countries and provinces, outlined
labels.qgz   the same, with the names of the countries
sparse.qgz   40 points, lines and polygons, up to 30 km long, in that rectangle (EPSG:3857, metres)
"""

from __future__ import annotations

import math
import random
import shutil
import sys
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsFillSymbol,
    QgsGeometry,
    QgsLineSymbol,
    QgsMarkerSymbol,
    QgsPalLayerSettings,
    QgsPointXY,
    QgsProject,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsVectorLayerSimpleLabeling,
)

SEED = 6
WORLD = {
    "countries": {"color": "#dfe8c8", "outline_color": "#555555", "outline_width": "0.26"},
    "states_provinces": {
        "color": "0,0,0,0",
        "outline_color": "#aaaaaa",
        "outline_width": "0.26",
    },
}
FEATURES = {
    "polygons": (12, QgsFillSymbol, {"color": "#c8d8e8", "outline_color": "#335577"}),
    "lines": (14, QgsLineSymbol, {"color": "#aa3322", "width": "0.5"}),
    "points": (14, QgsMarkerSymbol, {"color": "#225522", "size": "3"}),
}
"""How many of each, topmost last, and how they are drawn."""


def main() -> None:
    folder, rectangle = Path(sys.argv[1]), [float(text) for text in sys.argv[2:6]]
    QgsApplication.setPrefixPath("/usr", True)
    application = QgsApplication([], False)
    application.initQgis()
    try:
        # a copy: QGIS locks a GeoPackage for moments, and others may read the one it came with
        data = Path(shutil.copy(world_map(), folder))
        write(folder / "plain.qgz", world_layers(data))
        write(folder / "labels.qgz", world_layers(data, with_names=True))
        write(folder / "sparse.qgz", few_layers(folder / "sparse.gpkg", rectangle))
    finally:
        application.exitQgis()


def write(path: Path, layers: list[QgsVectorLayer]) -> None:
    """A project in Web Mercator with `layers`, topmost last."""
    project = QgsProject.instance()
    project.clear()
    project.setCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    for layer in layers:
        if not layer.isValid():
            raise SystemExit(f"{layer.name()} cannot be read")
        project.addMapLayer(layer)
    if not project.write(str(path)):
        raise SystemExit(f"{path.name} cannot be written: {project.error()}")
    project.clear()


def world_map() -> Path:
    return Path(QgsApplication.pkgDataPath()) / "resources" / "data" / "world_map.gpkg"


def world_layers(data: Path, *, with_names: bool = False) -> list[QgsVectorLayer]:
    layers = []
    for table, style in WORLD.items():
        layer = QgsVectorLayer(f"{data}|layername={table}", table, "ogr")
        layer.renderer().setSymbol(QgsFillSymbol.createSimple(style))
        layers.append(layer)
    if with_names:
        labels = QgsPalLayerSettings()
        labels.fieldName = "NAME"
        layers[0].setLabeling(QgsVectorLayerSimpleLabeling(labels))
        layers[0].setLabelsEnabled(True)
    return layers


def few_layers(path: Path, rectangle: list[float]) -> list[QgsVectorLayer]:
    """Layers of a new GeoPackage, the same features each time."""
    draw = random.Random(SEED)
    layers = []
    for name, (count, symbol, style) in FEATURES.items():
        geometries = [geometry(name, draw, rectangle) for _ in range(count)]
        save(path, name, geometries)
        layer = QgsVectorLayer(f"{path}|layername={name}", name, "ogr")
        layer.renderer().setSymbol(symbol.createSimple(style))
        layers.append(layer)
    return layers


def geometry(kind: str, draw: random.Random, rectangle: list[float]) -> QgsGeometry:
    west, south, east, north = rectangle
    x, y = draw.uniform(west, east), draw.uniform(south, north)
    if kind == "points":
        return QgsGeometry.fromPointXY(QgsPointXY(x, y))
    if kind == "lines":
        steps = [(draw.uniform(-5000, 5000), draw.uniform(-5000, 5000)) for _ in range(6)]
        places = [QgsPointXY(x, y)]
        for east_by, north_by in steps:
            places.append(QgsPointXY(places[-1].x() + east_by, places[-1].y() + north_by))
        return QgsGeometry.fromPolylineXY(places)
    corners = []
    for corner in range(9):
        angle, radius = 2 * math.pi * corner / 9, draw.uniform(3000, 8000)
        corners.append(QgsPointXY(x + radius * math.cos(angle), y + radius * math.sin(angle)))
    return QgsGeometry.fromPolygonXY([corners])


def save(path: Path, name: str, geometries: list[QgsGeometry]) -> None:
    """Write `geometries` as the table `name` of the GeoPackage at `path`."""
    kind = {"points": "Point", "lines": "LineString", "polygons": "Polygon"}[name]
    memory = QgsVectorLayer(f"{kind}?crs=EPSG:3857", name, "memory")
    features = []
    for shape in geometries:
        feature = QgsFeature()
        feature.setGeometry(shape)
        features.append(feature)
    memory.dataProvider().addFeatures(features)
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName, options.layerName = "GPKG", name
    if path.exists():
        options.actionOnExistingFile = (
            QgsVectorFileWriter.ActionOnExistingFile.CreateOrOverwriteLayer
        )
    context = QgsProject.instance().transformContext()
    code, message, *_ = QgsVectorFileWriter.writeAsVectorFormatV3(
        memory, str(path), context, options
    )
    if code != QgsVectorFileWriter.WriterError.NoError:
        raise SystemExit(f"{path.name} cannot be written: {message}")


if __name__ == "__main__":
    main()
