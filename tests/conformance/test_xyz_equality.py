"""Tiles are those that QGIS's own tool for XYZ tiles draws, pixel for pixel.

The same project at the same levels, the tool's metatiles as large as our supertiles. Labels are
left out: where they lie depends on what is drawn at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("qgis", reason="QGIS is not installed for this Python")

from drawn_tiles import drawn, layer_of, pixels, profile_of, project_of, supertile, world_layer
from qgis.core import QgsApplication, QgsCategorizedSymbolRenderer, QgsRendererCategory, QgsSymbol
from qgis.PyQt.QtGui import QColor, QImage

from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings
from tile_cache_manager.plugin.host.sources import make_source
from tile_cache_manager.plugin.host.tile_encoder import pixels_of

FINEST = 4
EXTENT = "-20037508,20037508,-20037508,20037508 [EPSG:3857]"
TOOLS = ("native:tilesxyzdirectory", "qgis:tilesxyzdirectory")


def countries() -> Any:
    """Countries in a colour for each first letter of their code, half transparent, outlined."""
    layer = world_layer("countries")
    categories = []
    for number, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
        symbol = QgsSymbol.defaultSymbol(layer.geometryType())
        symbol.setColor(QColor.fromHsv(number * 47 % 360, 140, 230, 180))
        categories.append(QgsRendererCategory(letter, symbol, letter))
    layer.setRenderer(QgsCategorizedSymbolRenderer("left(iso_a2, 1)", categories))
    return layer


def lines() -> Any:
    """Wide lines aslant across many tiles, none across an edge of metatiles.

    There the tool cuts them, at an edge that it has off by some nanometres, enough for Qt to round
    to another 64th of a pixel.
    """
    wkt = [
        f"LineString({west}.123 {south + 0.317}, {west + 165}.217 {north + 0.219})"
        for west in (-173, 6)
        for south, north in ((5, 81), (33, 31), (70, 11), (-5, -81), (-33, -31), (-70, -11))
    ]
    layer = layer_of("LineString", "lines", wkt, "EPSG:4326")
    layer.renderer().symbol().setWidth(0.9)
    layer.renderer().symbol().setColor(QColor(30, 60, 120))
    return layer


def points() -> Any:
    """Symbols of 8 mm, 30 pixels, of which many lie across edges of tiles.

    None lies across an edge of metatiles, where the tool cuts them: see the tests of seams.
    """
    wkt = []
    for x in range(-170, 171, 10):
        for y in range(-70, 71, 10):
            east, north = x + 0.377 + 0.1234567 * (x % 7), y + 0.0917 * (y % 11) + 0.377
            if min(abs(east), abs(north)) > 4:  # a pixel is 0.09 degrees at level 4
                wkt.append(f"Point({east} {north})")
    layer = layer_of("Point", "points", wkt, "EPSG:4326")
    layer.renderer().symbol().setSize(8)
    layer.renderer().symbol().setColor(QColor(200, 40, 40, 150))
    return layer


def tiles_of_the_tool(processing: Any, folder: Path, colour: QColor) -> dict[tuple, np.ndarray]:
    registry = QgsApplication.processingRegistry()
    tool = next(name for name in TOOLS if registry.algorithmById(name))
    options = {
        "EXTENT": EXTENT,
        "ZOOM_MIN": 0,
        "ZOOM_MAX": FINEST,
        "METATILESIZE": 8,
        "BACKGROUND_COLOR": colour,
        "TILE_FORMAT": 0,
        "OUTPUT_DIRECTORY": str(folder),
    }
    processing.run(tool, options)
    tiles = {}
    for file in folder.glob("*/*/*.png"):
        level, col, row = (int(part) for part in (*file.parts[-3:-1], file.stem))
        tiles[level, row, col] = pixels_of(QImage(str(file)))
    return tiles


def our_tiles(project: Any, background: str) -> dict[tuple, np.ndarray]:
    scheme = web_mercator(finest=FINEST)
    tiles = {}
    for level in scheme.levels:
        last = 2**level.id - 1
        parts = [
            supertile(level, (top, min(top + 7, last)), (left, min(left + 7, last)))
            for top in range(0, last + 1, 8)
            for left in range(0, last + 1, 8)
        ]
        source = make_source("", project, CacheSettings(background=background))
        for place, content in drawn(source, profile_of(scheme=scheme), *parts).items():
            tiles[(level.id, *place)] = pixels(content)
    return tiles


CASES = [
    # layers, topmost first, and background
    pytest.param([countries], "", id="countries"),
    pytest.param([lambda: world_layer("states_provinces"), countries], "", id="polygons"),
    pytest.param([lines, countries], "#d0e0f0", id="lines on a background"),
    pytest.param([points], "", id="points"),
]


@pytest.mark.parametrize(("layers", "background"), CASES)
def test_every_pixel_is_the_same(
    layers: list, background: str, qgis_processing: Any, tmp_path: Path
) -> None:
    with project_of(*(make() for make in layers)) as project:
        colour = QColor(background) if background else QColor(0, 0, 0, 0)
        theirs = tiles_of_the_tool(qgis_processing, tmp_path, colour)
        ours = our_tiles(project, background)

    assert set(ours) == set(theirs)
    assert len(ours) == sum(4**level for level in range(FINEST + 1))
    different = {place for place in ours if (ours[place] != theirs[place]).any()}
    assert different == set()
    assert sum(len(np.unique(tile.view(np.uint32))) > 2 for tile in ours.values()) > 90
