"""The drawing process: reads pictures to draw from standard input, writes the encoded pieces.

One JSON line in; one JSON line ``{"sizes": [...]}`` and the bytes of the pieces out. It ends
when its standard input closes, so it never outlives the server.
"""

from __future__ import annotations

import json
import math
import os
import random
import sys
from pathlib import Path
from typing import Any, BinaryIO

from qgis.core import (
    QgsApplication,
    QgsCategorizedSymbolRenderer,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsField,
    QgsFillSymbol,
    QgsGeometry,
    QgsLineSymbol,
    QgsMapRendererCustomPainterJob,
    QgsMapSettings,
    QgsRectangle,
    QgsRendererCategory,
    QgsSingleSymbolRenderer,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QBuffer, QByteArray, QIODevice, QLineF, QRectF, QSize, Qt, QVariant
from qgis.PyQt.QtGui import QColor, QImage, QPainter, QPen

_TONES = 5
_MERCATOR_LATITUDES = QgsRectangle(-180.0, -85.06, 180.0, 85.06)
# Degrees on the colour circle by which a revision turns the colours: the land is to look unlike
# at a glance, the sea need only have other bytes.
_LAND_TURN = 67
_OCEAN_TURN = 5

_BORDER = {
    "map": "#9a9384",
    "imagery": "#7d8a78",
    "streets": "#a08f7a",
    "places": "#7f7a9c",
}
_OCEAN = {
    "map": (202, 90, 221),
    "imagery": (209, 96, 46),
    "streets": (198, 70, 214),
    "places": (236, 50, 226),
}
_LAND = {
    "map": (42, 95, 228),
    "imagery": (88, 60, 86),
    "streets": (60, 36, 226),
    "places": (110, 48, 224),
}
"""Hue, saturation and lightness (0 to 360 and 0 to 255) in revision 1."""

_NETWORK = {"streets": ("#ffffff", "#f0c050"), "places": ("#c8c0e0", "#b0507a")}
"""Colours of the lines that cross the land and of every fourth of them."""
_NETWORK_PIXEL = 2500.0  # coarser pixels, in map units, show no network
_NETWORK_SPACING = 64  # pixels, about


class Cartographer:
    """Draws the countries of QGIS's own world map."""

    def __init__(self, world_map: Path) -> None:
        self._world_map = world_map
        self._layers: dict[tuple[str, str, int], list[QgsVectorLayer]] = {}
        self._plain_pieces: dict[tuple[Any, ...], bytes] = {}

    def draw(self, request: dict[str, Any]) -> list[bytes]:
        """Return the encoded pieces of the picture a ``drawing.Picture`` describes."""
        image = self._render(request)
        return [self._encode(image.copy(*cut), request) for cut in request["cuts"]]

    def _render(self, request: dict[str, Any]) -> QImage:
        theme = request["theme"]
        size = QSize(request["width"], request["height"])
        extent = QgsRectangle(*request["extent"])
        settings = QgsMapSettings()
        settings.setDestinationCrs(_crs(request["crs"]))
        settings.setLayers(self._layers_for(request["crs"], theme, request["revision"]))
        settings.setOutputSize(size)
        settings.setOutputDpi(96)
        ocean = _turned(_OCEAN[theme], _OCEAN_TURN * (request["revision"] - 1))
        above_ocean = request["transparent"] or theme in _NETWORK
        settings.setBackgroundColor(QColor(Qt.GlobalColor.transparent) if above_ocean else ocean)
        settings.setExtent(extent)
        settings.setFlag(QgsMapSettings.Flag.Antialiasing, True)
        image = QImage(size, QImage.Format.Format_ARGB32_Premultiplied)
        image.fill(Qt.GlobalColor.transparent)
        painter = QPainter(image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        if request["limit"] is not None:
            painter.setClipRect(_pixels(QgsRectangle(*request["limit"]), extent, size))
        job = QgsMapRendererCustomPainterJob(settings, painter)
        job.renderSynchronously()
        if theme in _NETWORK:
            _draw_network(painter, theme, extent, size)
            if not request["transparent"]:
                painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_DestinationOver)
                painter.fillRect(image.rect(), ocean)
        painter.end()
        return image

    def _encode(self, piece: QImage, request: dict[str, Any]) -> bytes:
        kind, depth = _encoding(piece, request["tile_format"])
        image = piece.convertToFormat(depth)
        colour = _only_colour(piece)
        key = (colour, image.width(), image.height(), kind, depth, request["quality"])
        if colour is not None and key in self._plain_pieces:
            return self._plain_pieces[key]
        store = QByteArray()
        buffer = QBuffer(store)
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        image.save(buffer, kind, request["quality"] or 75)
        data = bytes(store)
        if colour is not None:
            self._plain_pieces[key] = data
        return data

    def _layers_for(self, crs_text: str, theme: str, revision: int) -> list[QgsVectorLayer]:
        key = (crs_text, theme, revision)
        if key not in self._layers:
            countries = self._projected("countries", crs_text)
            countries.setRenderer(_land_renderer(theme, revision))
            disputed = self._projected("disputed_borders", crs_text)
            line = {"color": _BORDER[theme], "width": "0.25", "line_style": "dot"}
            disputed.setRenderer(QgsSingleSymbolRenderer(QgsLineSymbol.createSimple(line)))
            self._layers[key] = [disputed, countries]
        return self._layers[key]

    def _projected(self, name: str, crs_text: str) -> QgsVectorLayer:
        """Return a layer of the world map in memory, projected once and not at each drawing."""
        source = QgsVectorLayer(f"{self._world_map}|layername={name}", name, "ogr")
        if not source.isValid():
            raise RuntimeError(f"{self._world_map} cannot be opened")
        target = _crs(crs_text)
        transform = QgsCoordinateTransform(source.crs(), target, QgsCoordinateTransformContext())
        layer = QgsVectorLayer(QgsWkbTypes.displayString(source.wkbType()), name, "memory")
        layer.setCrs(target)
        layer.dataProvider().addAttributes([QgsField("tone", QVariant.Int)])
        layer.updateFields()
        features = []
        for found in source.getFeatures():
            feature = QgsFeature(layer.fields())
            geometry = found.geometry()
            if target.authid() == "EPSG:3857":
                geometry = geometry.intersection(QgsGeometry.fromRect(_MERCATOR_LATITUDES))
            geometry.transform(transform)
            geometry.convertToMultiType()
            feature.setGeometry(geometry)
            feature.setAttribute("tone", found.id() % _TONES)
            features.append(feature)
        layer.dataProvider().addFeatures(features)
        layer.updateExtents()
        return layer


def _crs(text: str) -> QgsCoordinateReferenceSystem:
    if text.startswith("EPSG:"):
        return QgsCoordinateReferenceSystem(text)
    return QgsCoordinateReferenceSystem.fromWkt(text)


def _land_renderer(theme: str, revision: int) -> QgsCategorizedSymbolRenderer:
    categories = []
    for tone in range(_TONES):
        colour = _turned(_LAND[theme], _LAND_TURN * (revision - 1) + 7 * tone)
        fill = {
            "color": colour.name(),
            "outline_color": _BORDER[theme],
            "outline_width": "0.2",
        }
        categories.append(QgsRendererCategory(tone, QgsFillSymbol.createSimple(fill), ""))
    return QgsCategorizedSymbolRenderer("tone", categories)


def _turned(colour: tuple[int, int, int], degrees: int) -> QColor:
    hue, saturation, lightness = colour
    return QColor.fromHsl((hue + degrees) % 360, saturation, lightness)


def _draw_network(painter: QPainter, theme: str, extent: QgsRectangle, size: QSize) -> None:
    """Draw lines where there is land; each lies where its number wants it, in all tiles alike."""
    pixel = extent.width() / size.width()
    if pixel > _NETWORK_PIXEL:
        return
    spacing = 2.0 ** round(math.log2(pixel * _NETWORK_SPACING))
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceAtop)
    for axis, low, high in (
        ("x", extent.xMinimum(), extent.xMaximum()),
        ("y", extent.yMinimum(), extent.yMaximum()),
    ):
        for number in range(math.floor(low / spacing) - 1, math.ceil(high / spacing) + 1):
            chance = random.Random(f"{theme} {axis} {number} {spacing}")
            place = (number + 0.8 * chance.random()) * spacing
            painter.setPen(QPen(QColor(_NETWORK[theme][number % 4 == 0]), 1 + 4 * chance.random()))
            if axis == "x":
                left = (place - low) / pixel
                painter.drawLine(QLineF(left, 0.0, left, size.height()))
            else:
                top = (high - place) / pixel
                painter.drawLine(QLineF(0.0, top, size.width(), top))


def _pixels(box: QgsRectangle, extent: QgsRectangle, size: QSize) -> QRectF:
    pixel = extent.width() / size.width()
    return QRectF(
        (box.xMinimum() - extent.xMinimum()) / pixel,
        (extent.yMaximum() - box.yMaximum()) / pixel,
        box.width() / pixel,
        box.height() / pixel,
    )


def _encoding(piece: QImage, tile_format: str) -> tuple[str, QImage.Format]:
    """Return the file format and the pixel format a tile format asks for."""
    name = tile_format.upper()
    if name in {"JPG", "JPEG"}:
        return "JPG", QImage.Format.Format_RGB888
    opaque = _is_opaque(piece)
    if name == "MIXED" and opaque:
        return "JPG", QImage.Format.Format_RGB888
    if name == "PNG24" or (name == "PNG" and opaque):
        return "PNG", QImage.Format.Format_RGB888
    return "PNG", QImage.Format.Format_ARGB32


def _is_opaque(piece: QImage) -> bool:
    alpha = piece.convertToFormat(QImage.Format.Format_Alpha8)
    return _bytes_of(alpha).count(b"\xff") == alpha.bytesPerLine() * alpha.height()


def _only_colour(piece: QImage) -> int | None:
    """Return the colour of a piece that has one only, as most of the sea has."""
    data = _bytes_of(piece)
    return piece.pixel(0, 0) if data == data[:4] * (len(data) // 4) else None


def _bytes_of(image: QImage) -> bytes:
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    return bytes(bits)


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    world_map = Path(QgsApplication.pkgDataPath()) / "resources" / "data" / "world_map.gpkg"
    cartographer = Cartographer(world_map)
    for line in requests:
        try:
            pieces = cartographer.draw(json.loads(line))
        except Exception as error:  # whatever fails, the server is to be told
            answers.write(json.dumps({"error": str(error)}).encode() + b"\n")
        else:
            answers.write(json.dumps({"sizes": [len(p) for p in pieces]}).encode() + b"\n")
            for piece in pieces:
                answers.write(piece)
        answers.flush()


def main() -> None:
    """Start QGIS without a window and serve until standard input closes."""
    # QGIS and its libraries print now and then: the answers get a channel of their own.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    application = QgsApplication([], False)
    application.initQgis()
    try:
        _serve(sys.stdin.buffer, answers)
    finally:
        application.exitQgis()


if __name__ == "__main__":
    main()
