"""Squares that are told to be empty without drawing them: drawn, they look just so."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from drawn_tiles import (
    in_thread,
    layer_of,
    profile_of,
    project_of,
    supertile,
    world_layer,
    world_map,
)
from osgeo import gdal, osr
from qgis import core as qgis_core
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsDropShadowEffect,
    QgsEffectStack,
    QgsFontMarkerSymbolLayer,
    QgsGeometryGeneratorSymbolLayer,
    QgsHeatmapRenderer,
    QgsInvertedPolygonRenderer,
    QgsMapLayer,
    QgsPalLayerSettings,
    QgsProject,
    QgsProperty,
    QgsRasterLayer,
    QgsRuleBasedRenderer,
    QgsSimpleMarkerSymbolLayer,
    QgsSingleSymbolRenderer,
    QgsSymbol,
    QgsSymbolLayer,
    QgsUnitTypes,
    QgsVectorLayer,
    QgsVectorLayerJoinInfo,
    QgsVectorLayerSimpleLabeling,
)
from qgis.PyQt.QtCore import Qt, QTemporaryDir
from qgis.PyQt.QtGui import QPainter

from tile_cache_manager.plugin.core.local.source import TileSource
from tile_cache_manager.plugin.core.schemes import scheme_of_scales, web_mercator, wgs84
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings
from tile_cache_manager.plugin.core.tiling import (
    Extent,
    Level,
    SpatialReference,
    TileRange,
    TilingScheme,
)
from tile_cache_manager.plugin.host import emptiness
from tile_cache_manager.plugin.host.outlines import RUN, Outlines, Shapes
from tile_cache_manager.plugin.host.sources import make_source

pytestmark = pytest.mark.usefixtures("qgis_app")

MERCATOR = web_mercator(finest=12)
DEGREES = wgs84(finest=9)
SWISS = scheme_of_scales(
    [2e7, 5e6, 1e6, 2e5], SpatialReference(2056, 2056), 1000000.0, 2500000.0, 1.0
)
POLAR = scheme_of_scales(
    [5e7, 2e7, 5e6, 1e6], SpatialReference(3031, 3031), -12000000.0, 12000000.0, 1.0
)

SIDE = 8
SQUARES = 44
"""Squares of SIDE x SIDE tiles that are asked for in each project."""

DRAWN = 7
"""Of those that are told to be empty, so many are drawn and compared, tile by tile."""

Make = Callable[[], QgsMapLayer]


# Layers, mostly in the middle of the Atlantic


def places(count: int = 12, seed: int = 4) -> list[tuple[float, float]]:
    """Places in degrees."""
    chance = random.Random(seed)
    return [(chance.uniform(-60, 40), chance.uniform(-50, 60)) for _ in range(count)]


def points(crs: str = "EPSG:4326") -> QgsVectorLayer:
    return layer_of("Point", "points", [f"Point({x} {y})" for x, y in places()], crs)


def lines() -> QgsVectorLayer:
    """Long ones, with sharp corners, across the sea."""
    ways = [
        ", ".join(f"{x + 5 * step} {y + (3 if step % 2 else -3)}" for step in range(6))
        for x, y in places(5)
    ]
    return layer_of("LineString", "lines", [f"LineString({way})" for way in ways], "EPSG:4326")


def boxes(size: float = 2) -> QgsVectorLayer:
    wkt = [
        f"Polygon(({x} {y}, {x + size} {y}, {x + size} {y + size}, {x} {y + size}, {x} {y}))"
        for x, y in places()
    ]
    return layer_of("Polygon", "boxes", wkt, "EPSG:4326")


def thick_lines() -> QgsVectorLayer:
    layer = lines()
    part = layer.renderer().symbol().symbolLayer(0)
    part.setWidth(18)
    part.setPenJoinStyle(Qt.PenJoinStyle.MiterJoin)
    return layer


def lines_beside_themselves() -> QgsVectorLayer:
    layer = thick_lines()
    layer.renderer().symbol().symbolLayer(0).setOffset(30)
    return layer


def large_points() -> QgsVectorLayer:
    layer = points()
    layer.renderer().symbol().setSize(25)
    return layer


def points_away_from_their_place() -> QgsVectorLayer:
    layer = large_points()
    part = layer.renderer().symbol().symbolLayer(0)
    part.setAngle(33)
    part.setHorizontalAnchorPoint(QgsSimpleMarkerSymbolLayer.HorizontalAnchorPoint.Left)
    part.setVerticalAnchorPoint(QgsSimpleMarkerSymbolLayer.VerticalAnchorPoint.Top)
    part.setStrokeWidth(5)
    return layer


def letters() -> QgsVectorLayer:
    layer = points()
    layer.renderer().symbol().changeSymbolLayer(0, QgsFontMarkerSymbolLayer("Sans", "WWWW", 12))
    return layer


def points_sized_by_place() -> QgsVectorLayer:
    layer = points()
    symbol = layer.renderer().symbol()
    symbol.symbolLayer(0).setDataDefinedProperty(
        QgsSymbolLayer.Property.PropertySize, QgsProperty.fromExpression("abs($y) * 2")
    )
    return layer


def points_in_metres() -> QgsVectorLayer:
    layer = points()
    layer.renderer().symbol().setSizeUnit(QgsUnitTypes.RenderUnit.RenderMetersInMapUnits)
    layer.renderer().symbol().setSize(300000)
    return layer


def labelled(layer: QgsVectorLayer, field: str, **kept: object) -> QgsVectorLayer:
    settings = QgsPalLayerSettings()
    settings.fieldName = field
    for name, value in kept.items():
        setattr(settings, name, value)
    text = settings.format()
    text.setSize(20)
    settings.setFormat(text)
    layer.setLabeling(QgsVectorLayerSimpleLabeling(settings))
    layer.setLabelsEnabled(True)
    return layer


def countries_with_names() -> QgsVectorLayer:
    return labelled(world_layer(), "NAME")


def names_at_centres() -> QgsVectorLayer:
    placement = QgsPalLayerSettings.Placement.OverPoint
    return labelled(world_layer(), "NAME", centroidWhole=True, placement=placement)


def names_beside_polygons() -> QgsVectorLayer:
    placement = QgsPalLayerSettings.Placement.OutsidePolygons
    return labelled(boxes(), "name", placement=placement)


def names_along_lines() -> QgsVectorLayer:
    placement = QgsPalLayerSettings.Placement.Curved
    return labelled(lines(), "name", placement=placement, mergeLines=True, dist=10)


def names_elsewhere() -> QgsVectorLayer:
    layer = labelled(boxes(), "name")
    settings = layer.labeling().settings()
    properties = settings.dataDefinedProperties()
    kinds = QgsPalLayerSettings.Property
    properties.setProperty(kinds.PositionX, QgsProperty.fromExpression("x_min(@geometry) + 1.5"))
    properties.setProperty(kinds.PositionY, QgsProperty.fromExpression("y_min(@geometry) + 7"))
    settings.setDataDefinedProperties(properties)
    layer.setLabeling(QgsVectorLayerSimpleLabeling(settings))
    return layer


def rules_by_scale() -> QgsVectorLayer:
    root = QgsRuleBasedRenderer.Rule(None)
    layer = boxes()
    for smallest, largest, field in ((0, 3e6, "name 1"), (3e6, 1e9, "name 2"), (0, 0, "name 3")):
        symbol = QgsSymbol.defaultSymbol(layer.geometryType())
        rule = QgsRuleBasedRenderer.Rule(symbol, int(smallest), int(largest), f"name = '{field}'")
        root.appendChild(rule)
    layer.setRenderer(QgsRuleBasedRenderer(root))
    return layer


def inverted() -> QgsVectorLayer:
    layer = boxes()
    layer.setRenderer(QgsInvertedPolygonRenderer(layer.renderer().clone()))
    return layer


def heat() -> QgsVectorLayer:
    layer = points()
    renderer = QgsHeatmapRenderer()
    renderer.setRadius(60)
    layer.setRenderer(renderer)
    return layer


def generated() -> QgsVectorLayer:
    layer = boxes()
    part = QgsGeometryGeneratorSymbolLayer.create(
        {"geometryModifier": "translate($geometry, 4, -3)", "SymbolType": "Fill"}
    )
    layer.renderer().symbol().changeSymbolLayer(0, part)
    return layer


def shadowed() -> QgsVectorLayer:
    layer = boxes()
    shadow = QgsDropShadowEffect()
    shadow.setOffsetDistance(25)
    shadow.setBlurLevel(10)
    stack = QgsEffectStack()
    stack.appendEffect(shadow)
    stack.setEnabled(True)
    layer.renderer().symbol().symbolLayer(0).setPaintEffect(stack)
    return layer


def shadowed_as_a_whole() -> QgsVectorLayer:
    layer = shadowed()
    part = layer.renderer().symbol().symbolLayer(0)
    layer.renderer().setPaintEffect(part.paintEffect().clone())
    return layer


def to_the_poles() -> QgsVectorLayer:
    wkt = [
        "Polygon((-50 -90, -50 -70, 20 -70, 20 -90, -50 -90))",
        "Polygon((-180 -90, -180 -82, 180 -82, 180 -90, -180 -90))",
        "Polygon((170 10, 190 10, 190 20, 170 20, 170 10))",
        "Polygon((-180 30, -175 30, -175 40, -180 40, -180 30))",
        "Polygon((100 80, 130 90, 150 82, 100 80))",
    ]
    return layer_of("Polygon", "poles", wkt, "EPSG:4326")


def lines_to_the_poles() -> QgsVectorLayer:
    wkt = [
        "LineString(0 -90, 10 0, 20 90)",
        "LineString(-200 5, -150 10)",
        "LineString(0 95, 5 0)",
        "LineString(600 0, 30 -20, 40 -20)",
    ]
    return layer_of("LineString", "poles", wkt, "EPSG:4326")


def curves() -> QgsVectorLayer:
    wkt = [f"CircularString({x} {y}, {x + 8} {y + 3}, {x + 4} {y - 5})" for x, y in places(4)]
    return layer_of("CompoundCurve", "curves", wkt, "EPSG:4326")


def in_three_dimensions() -> QgsVectorLayer:
    wkt = [f"PolygonZ(({x} {y} 9, {x + 2} {y} 9, {x} {y + 2} 9, {x} {y} 9))" for x, y in places()]
    return layer_of("PolygonZ", "3D", wkt, "EPSG:4326")


def many_islands() -> QgsVectorLayer:
    """One feature whose box holds the whole Atlantic."""
    islands = ", ".join(f"(({x} {y}, {x + 1} {y}, {x} {y + 1}, {x} {y}))" for x, y in places())
    return layer_of("MultiPolygon", "islands", [f"MultiPolygon({islands})"], "EPSG:4326")


def swiss() -> QgsVectorLayer:
    wkt = [f"Point({2.6e6 + 17e3 * n} {1.2e6 - 9e3 * n})" for n in range(-5, 6)]
    return layer_of("Point", "Swiss", wkt, "EPSG:2056")


def swiss_letters() -> QgsVectorLayer:
    layer = swiss()
    layer.renderer().symbol().changeSymbolLayer(0, QgsFontMarkerSymbolLayer("Sans", "WWWW", 12))
    return layer


FOLDERS: list[QTemporaryDir] = []


def one_country() -> QgsVectorLayer:
    """Of a file of its own: QGIS opens it anew for writing, which others would have to wait for."""
    FOLDERS.append(QTemporaryDir())
    path = shutil.copy(world_map(), FOLDERS[-1].path())
    layer = QgsVectorLayer(f"{path}|layername=countries", "countries", "ogr")
    layer.setSubsetString("NAME = 'Brazil'")
    assert layer.featureCount() == 1
    return layer


def joined() -> QgsVectorLayer:
    layer, other = boxes(), points()
    QgsProject.instance().addMapLayer(other, False)
    join = QgsVectorLayerJoinInfo()
    join.setJoinLayer(other)
    join.setJoinFieldName("name")
    join.setTargetFieldName("name")
    layer.addJoin(join)
    return layer


def multiplied() -> QgsVectorLayer:
    layer = boxes()
    layer.setBlendMode(QPainter.CompositionMode.CompositionMode_Multiply)
    return layer


def nothing() -> QgsVectorLayer:
    return layer_of("Polygon", "empty", [])


def no_symbols() -> QgsVectorLayer:
    layer = boxes()
    layer.setRenderer(QgsSingleSymbolRenderer(QgsSymbol.defaultSymbol(layer.geometryType())))
    layer.setScaleBasedVisibility(True)
    layer.setMinimumScale(1)  # from 1:1 on: never here
    return layer


def heat_at_small_scales() -> QgsVectorLayer:
    layer = heat()
    layer.setScaleBasedVisibility(True)
    layer.setMinimumScale(0)
    layer.setMaximumScale(1e7)
    return layer


# What is asked and compared


@dataclass
class Told:
    asked: int = 0
    even: int = 0
    compared: int = 0

    @property
    def share(self) -> float:
        return self.even / self.asked


@contextmanager
def started(source: TileSource, scheme: TilingScheme = MERCATOR) -> Iterator[None]:
    """For the thread that asks; sources themselves are made on the main thread."""
    try:
        source.start(profile_of(scheme=scheme))
        yield
    finally:
        source.close()


def world_of(scheme: TilingScheme, level: Level) -> tuple[int, int]:
    """So many rows and columns of tiles may be asked for."""
    width, height = scheme.tile_size(level)
    if scheme is MERCATOR:
        return 2**level.id, 2**level.id
    if scheme is DEGREES:
        return round(180 / height), round(360 / width)
    size = 1.5e6 if scheme is SWISS else 2.4e7
    return max(SIDE, int(size / height)), max(SIDE, int(size / width))


def squares(scheme: TilingScheme, chance: random.Random) -> Iterator[tuple[Level, TileRange]]:
    """Squares anywhere, and more of them near the features at the levels at which they are far."""
    for number in range(SQUARES):
        level = scheme.levels[chance.randrange(min(3, len(scheme.levels) - 1), len(scheme.levels))]
        rows, cols = world_of(scheme, level)
        row, col = chance.randrange(rows), chance.randrange(cols)
        if number % 2 and scheme in (MERCATOR, DEGREES):
            x, y = chance.choice(places())
            if scheme is MERCATOR:
                y = np.degrees(np.log(np.tan(np.radians(45 + y / 2))))
                x, y = x * 111319.49, y * 111319.49
            row, col = scheme.tile_at(level, x, y)
            row += chance.choice((-SIDE, 0, SIDE))
            col += chance.choice((-SIDE, 0, SIDE))
        row, col = max(0, min(row, rows - 1)), max(0, min(col, cols - 1))
        row, col = row - row % SIDE, col - col % SIDE
        yield level, TileRange(row, min(row + SIDE, rows) - 1, col, min(col + SIDE, cols) - 1)


def around(block: TileRange, side: int) -> TileRange:
    """The square of `side` tiles that holds `block`."""
    row, col = block.min_row - block.min_row % side, block.min_col - block.min_col % side
    return TileRange(row, row + side - 1, col, col + side - 1)


def compared(source: TileSource, scheme: TilingScheme, seed: int) -> Told:
    """Ask for squares of all sizes; draw those that are told to be empty."""
    told, chance = Told(), random.Random(seed)
    for _ in range(10):  # outlines are not read for the first questions
        source.even(scheme.levels[3], TileRange(0, 7, 0, 7))
    for level, block in squares(scheme, chance):
        larger = [side for side in (128, 32) if source.even(level, around(block, side))]
        tile = source.even(level, around(block, SIDE))
        assert tile or not larger, "what is empty has parts that are not"
        told.asked += 1
        if tile is None:
            continue
        told.even += 1
        if told.compared < DRAWN * SIDE * SIDE:
            rows, cols = (block.min_row, block.max_row), (block.min_col, block.max_col)
            tiles = source.draw(supertile(level, rows, cols), lambda: False)
            assert len(tiles) == block.count
            wrong = [place for place, content in tiles.items() if content != tile]
            assert not wrong, f"{len(wrong)} tiles of level {level.id} are not empty: {wrong[0]}"
            told.compared += block.count
    return told


def in_project(
    *layers: QgsMapLayer,
    scheme: TilingScheme = MERCATOR,
    crs: str = "EPSG:3857",
    background: str = "",
    seed: int = 11,
) -> Told:
    told = Told()
    with project_of(*layers, crs=crs) as project:
        source = make_source("", project, CacheSettings(background=background))

        def work() -> None:
            nonlocal told
            with started(source, scheme):
                told = compared(source, scheme, seed)

        in_thread(work)
    COMPARED.append(told.compared)
    return told


COMPARED: list[int] = []

PROJECTS: list[tuple[list[Make], TilingScheme, str, float, float]] = [
    # layers, scheme, CRS, between which shares of the squares are told to be empty
    ([world_layer, lambda: world_layer("states_provinces")], MERCATOR, "EPSG:3857", 0.2, 0.9),
    ([thick_lines], MERCATOR, "EPSG:3857", 0.4, 1),
    ([lines_beside_themselves], MERCATOR, "EPSG:3857", 0.2, 1),
    ([large_points], MERCATOR, "EPSG:3857", 0.5, 1),
    ([points_away_from_their_place], MERCATOR, "EPSG:3857", 0.5, 1),
    ([letters], MERCATOR, "EPSG:3857", 0.5, 1),
    ([points_sized_by_place], MERCATOR, "EPSG:3857", 0.5, 1),
    ([points_in_metres], MERCATOR, "EPSG:3857", 0.2, 1),
    ([countries_with_names], MERCATOR, "EPSG:3857", 0.2, 0.9),
    ([names_at_centres], MERCATOR, "EPSG:3857", 0.1, 0.9),
    ([names_beside_polygons], MERCATOR, "EPSG:3857", 0.4, 1),
    ([names_along_lines], MERCATOR, "EPSG:3857", 0.4, 1),
    ([names_elsewhere], MERCATOR, "EPSG:3857", 0.4, 1),
    ([rules_by_scale], MERCATOR, "EPSG:3857", 0.4, 1),
    ([inverted], MERCATOR, "EPSG:3857", 0, 0),
    ([heat], MERCATOR, "EPSG:3857", 0, 0),
    ([multiplied], MERCATOR, "EPSG:3857", 0, 0),
    ([generated], MERCATOR, "EPSG:3857", 0.4, 1),
    ([shadowed], MERCATOR, "EPSG:3857", 0.4, 1),
    ([shadowed_as_a_whole], MERCATOR, "EPSG:3857", 0, 0),
    ([to_the_poles], MERCATOR, "EPSG:3857", 0.5, 1),
    ([lines_to_the_poles], MERCATOR, "EPSG:3857", 0.4, 1),
    ([curves], MERCATOR, "EPSG:3857", 0.3, 1),
    ([in_three_dimensions], MERCATOR, "EPSG:3857", 0.4, 1),
    ([many_islands], MERCATOR, "EPSG:3857", 0.4, 1),
    ([one_country], MERCATOR, "EPSG:3857", 0.7, 1),
    ([joined], MERCATOR, "EPSG:3857", 0.4, 1),
    ([nothing], MERCATOR, "EPSG:3857", 1, 1),
    ([no_symbols], MERCATOR, "EPSG:3857", 1, 1),
    ([heat_at_small_scales, boxes], MERCATOR, "EPSG:3857", 0.2, 0.9),
    ([world_layer], DEGREES, "EPSG:4326", 0.1, 0.9),
    ([thick_lines, large_points], DEGREES, "EPSG:4326", 0.2, 1),
    ([generated, letters], DEGREES, "EPSG:4326", 0.1, 1),
    ([points_in_metres], DEGREES, "EPSG:4326", 0.1, 1),
    ([to_the_poles], DEGREES, "EPSG:4326", 0.5, 1),
    ([swiss], DEGREES, "EPSG:4326", 0, 0),
    ([world_layer, swiss], SWISS, "EPSG:2056", 0, 0),
    ([swiss], SWISS, "EPSG:2056", 0.4, 1),
    ([swiss_letters], SWISS, "EPSG:2056", 0.4, 1),
    ([world_layer], POLAR, "EPSG:3031", 0, 0),
]


@pytest.mark.parametrize(("makes", "scheme", "crs", "least", "most"), PROJECTS)
def test_what_is_told_to_be_empty_is_drawn_empty(
    makes: list[Make], scheme: TilingScheme, crs: str, least: float, most: float
) -> None:
    told = in_project(*[make() for make in makes], scheme=scheme, crs=crs)

    assert least <= told.share <= most, told


def test_layers_that_are_too_large_to_be_read_are_asked(monkeypatch) -> None:
    monkeypatch.setattr(emptiness, "MOST_FEATURES", 10)
    told = in_project(world_layer(), boxes())

    assert 0.1 <= told.share <= 0.9, told


@pytest.mark.parametrize("background", ["#aad3df", "#40ff0000"])
def test_empty_tiles_have_the_background(background: str) -> None:
    assert in_project(boxes(), background=background).compared


def test_at_least_two_thousand_tiles_were_compared() -> None:
    if len(COMPARED) < len(PROJECTS):
        pytest.skip("only some of the projects were drawn")
    assert sum(COMPARED) >= 2000


@pytest.mark.parametrize("image_format", ["PNG", "PNG8", "PNG24", "PNG32", "JPEG", "MIXED"])
def test_empty_tiles_have_the_bytes_of_drawn_ones(image_format: str) -> None:
    level = MERCATOR.levels[6]
    with project_of(boxes()) as project:
        source = make_source("", project, CacheSettings())

        def work() -> None:
            source.start(profile_of(image_format, MERCATOR))
            block = TileRange(0, 7, 0, 7)
            (drawn,) = set(source.draw(supertile(level, (0, 7), (0, 7)), lambda: False).values())
            assert source.even(level, block) == drawn
            source.close()

        in_thread(work)


def test_most_of_an_empty_ocean_is_told_at_once() -> None:
    level = MERCATOR.levels[10]
    answers: list[bool] = []
    with project_of(world_layer(), world_layer("states_provinces")) as project:
        source = make_source("", project, CacheSettings())

        def work() -> None:
            with started(source):
                for _ in range(10):
                    source.even(level, TileRange(0, 7, 0, 7))
                # the Pacific between 100 and 140 degrees west, 10 degrees north to 40 south
                for row in range(480, 640, SIDE):
                    for col in range(114, 228, SIDE):
                        block = around(TileRange(row, row, col, col), SIDE)
                        answers.append(source.even(level, block) is not None)

        in_thread(work)

    assert np.mean(answers) > 0.8


def test_a_raster_layer_may_be_anywhere(tmp_path: Path) -> None:
    path = str(tmp_path / "small.tif")
    made = gdal.GetDriverByName("GTiff").Create(path, 4, 4)
    made.SetGeoTransform((0, 1000, 0, 0, 0, -1000))
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(3857)
    made.SetProjection(crs.ExportToWkt())
    made.GetRasterBand(1).Fill(7)
    made = None

    assert in_project(QgsRasterLayer(path, "raster", "gdal"), boxes()).share == 0


def test_nothing_is_told_of_a_file_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "boxes.geojson"
    path.write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {},'
        ' "geometry": {"type": "Point", "coordinates": [5, 5]}}]}'
    )
    level, block = MERCATOR.levels[8], TileRange(0, 7, 0, 7)
    answers: list[bytes | None] = []
    with project_of(QgsVectorLayer(str(path), "file", "ogr")) as project:
        source = make_source("", project, CacheSettings())

        def work() -> None:
            with started(source):
                answers.append(source.even(level, block))
                path.unlink()
                answers.append(source.even(level, block))

        in_thread(work)

    assert answers[0]
    assert answers[1] is None


# Outlines by themselves, against counting each edge


def test_outlines_meet_what_a_look_at_each_edge_meets() -> None:
    chance = np.random.default_rng(3)
    shapely = pytest.importorskip("shapely.geometry")
    rings = [
        shapely.Point(*chance.uniform(0, 100, 2)).buffer(chance.uniform(1, 25), 3 * RUN)
        for _ in range(12)
    ]
    ways = [shapely.LineString(chance.uniform(0, 100, (RUN * 2 + 1, 2))) for _ in range(2)]
    shapes = Shapes()
    for shape in (*rings, *ways):
        shapes.add(shape.wkb)
    outlines = Outlines(*shapes.arrays())
    answers = []
    for _ in range(1500):
        x, y = chance.uniform(-10, 105, 2)
        box = shapely.box(x, y, x + chance.uniform(0.01, 4), y + chance.uniform(0.01, 4))
        wanted = any(shape.intersects(box) for shape in (*rings, *ways))
        assert outlines.meet(Extent(*box.bounds)) == wanted
        answers.append(wanted)

    assert 0.1 < np.mean(answers) < 0.9


def test_edges_of_transformed_layers_may_run_anywhere_in_their_boxes() -> None:
    shapes = np.array([[0, 0], [10, 10]], float), np.array([2]), np.array([False])

    for outlines, wanted in ((Outlines(*shapes), False), (Outlines(*shapes, are_bent=True), True)):
        assert outlines.meet(Extent(4, 4, 5, 5))
        assert outlines.meet(Extent(1, 8, 2, 9)) == wanted
        assert not outlines.meet(Extent(11, 11, 12, 12))


def test_vertices_without_a_place_on_the_map() -> None:
    world, mercator = map(QgsCoordinateReferenceSystem, ("EPSG:4326", "EPSG:3857"))
    transform = QgsCoordinateTransform(world, mercator, QgsProject.instance())
    degrees = np.array([[10, 20], [0, 95], [600, 0], [np.nan, 1], [-200, 5]], float)
    moved = emptiness._moved(degrees, transform)

    assert np.isfinite(moved).all(axis=1).tolist() == [True, False, False, False, True]
    assert moved[0] == pytest.approx((1113194.9, 2273030.9), abs=0.1)


# Where marks are to be expected that are easily overlooked

RESOLUTION = MERCATOR.levels[8].resolution
CORNER = 16 * SIDE, 18 * SIDE
"""Row and column of the first tile of the square of level 8 beside which things are drawn."""


def beside(pixels: float) -> tuple[float, float]:
    """A place so many pixels left of the middle of that square's left edge."""
    x, y = MERCATOR.origin_x, MERCATOR.origin_y
    side = 256 * RESOLUTION
    return x + CORNER[1] * side - pixels * RESOLUTION, y - (CORNER[0] + SIDE / 2) * side


def polygon(*corners: tuple[float, float]) -> str:
    return f"Polygon(({', '.join(f'{x} {y}' for x, y in (*corners, corners[0]))}))"


def box_beside(pixels: float, stroke: float) -> QgsVectorLayer:
    """A square whose right edge lies there, and another one far away, as one feature."""
    x, y = beside(pixels)
    size = 3e4
    parts = [
        polygon((a, b), (a - size, b), (a - size, b + size), (a, b + size)).removeprefix("Polygon")
        for a, b in ((x, y), (x + 9e6, y + 9e6))
    ]
    layer = layer_of("MultiPolygon", "box", [f"MultiPolygon({', '.join(parts)})"])
    layer.renderer().symbol().symbolLayer(0).setStrokeWidth(stroke)
    return layer


def with_large_strokes() -> list[QgsMapLayer]:
    x, y = beside(250)
    places = f"{x} {y}, {x + 9e6} {y}, {x + 9e6} {y + 9e6}"
    layer = layer_of("MultiPoint", "points", [f"MultiPoint({places})"])
    part = layer.renderer().symbol().symbolLayer(0)
    part.setSize(1)
    part.setStrokeWidth(140)
    return [layer]


def with_buffers() -> list[QgsMapLayer]:
    layer = box_beside(180, 0.2)
    symbol = layer.renderer().symbol()
    if not hasattr(symbol, "setBufferSettings"):
        pytest.skip("QGIS draws nothing around symbols before 3.40")
    buffer = qgis_core.QgsSymbolBufferSettings()
    buffer.setEnabled(True)
    buffer.setSize(60)
    buffer.setSizeUnit(QgsUnitTypes.RenderUnit.RenderMillimeters)
    symbol.setBufferSettings(buffer)
    return [layer]


def moved_by_data(other_is_drawn: bool = False) -> list[QgsMapLayer]:
    """Drawn 378 pixels from their places, which are only asked for where another one is large."""
    x, y = beside(300)
    layer = layer_of("Point", "moved", [f"Point({x} {y})"])
    layer.renderer().symbol().symbolLayer(0).setDataDefinedProperty(
        QgsSymbolLayer.Property.PropertyOffset, QgsProperty.fromExpression("'100,0'")
    )
    query = "?query=select 1 as id, make_point(0, -15000000, 3857) as geometry"
    other = QgsVectorLayer(query, "large", "virtual")
    assert other.isValid()
    symbol = QgsSymbol.defaultSymbol(layer.geometryType())
    symbol.setSize(100)
    other.setRenderer(QgsSingleSymbolRenderer(symbol))
    other.setScaleBasedVisibility(not other_is_drawn)
    other.setMinimumScale(1)
    return [layer, other]


@pytest.mark.parametrize(
    "make", [with_large_strokes, with_buffers, moved_by_data, lambda: moved_by_data(True)]
)
def test_what_reaches_in_from_far_away(make: Callable[[], list[QgsMapLayer]]) -> None:
    level, (row, col) = MERCATOR.levels[8], CORNER
    block = TileRange(row, row + SIDE - 1, col, col + SIDE - 1)
    with project_of(*make()) as project:
        source = make_source("", project, CacheSettings())

        def work() -> None:
            with started(source):
                assert_empty_if_told(source, level, block)

        in_thread(work)


PLACEMENTS = (
    *("AroundPoint", "OverPoint", "Line", "Curved", "Horizontal", "Free", "PerimeterCurved"),
    *("OutsidePolygons", "OrderedPositionsAroundPoint"),
)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_no_name_of_what_lies_outside_is_placed_inside(placement: str) -> None:
    level, (row, col) = MERCATOR.levels[8], CORNER
    block = TileRange(row, row + SIDE - 1, col, col + SIDE - 1)
    chosen = getattr(QgsPalLayerSettings.Placement, placement)
    box = labelled(box_beside(30, 0.2), "name", placement=chosen, dist=20, xOffset=30, yOffset=0)
    with project_of(box) as project:
        source = make_source("", project, CacheSettings())

        def work() -> None:
            with started(source):
                assert assert_empty_if_told(source, level, block)

        in_thread(work)


def assert_empty_if_told(source: TileSource, level: Level, block: TileRange) -> bool:
    """Whether `block` is told to be empty; then it is drawn so."""
    tile = source.even(level, block)
    if tile is None:
        return False
    rows, cols = (block.min_row, block.max_row), (block.min_col, block.max_col)
    tiles = source.draw(supertile(level, rows, cols), lambda: False)
    assert set(tiles.values()) == {tile}, f"level {level.id}, {block}"
    return True


LONG = (-60, 0), (60, 70)
BEYOND = 90.00000001
LARGE: list[tuple[str, list[str], list[tuple[float, float]]]] = [
    # geometry type, WKT in degrees, places in degrees
    ("Polygon", [polygon(*LONG, (-60, 70))], []),
    ("Polygon", [polygon(*LONG, (60, 0))], []),
    ("LineString", ["LineString(-60 0, 60 70)"], []),
    (
        "Polygon",
        [polygon((-180, -BEYOND), (180, -BEYOND), (180, BEYOND), (-180, BEYOND))],
        [(10, 10), (100, -80), (-170, 50)],
    ),
    (
        "Polygon",
        [polygon((-180, -60), (180, -60), (180, -95), (-180, -95))],
        [(10, -70), (99, -80)],
    ),
    ("Polygon", [polygon((-600, -20), (600, -20), (600, 20), (-600, 20))], [(10, 10), (-170, 5)]),
    (
        "Polygon",
        [polygon((-180, -84.7), (0, -70), (180, -84.7), (180, -90), (-180, -90))],
        [(10, -84.9), (179, -84.9), (-179, -84.9), (100, -80)],
    ),
]


def along() -> Iterator[tuple[float, float]]:
    """Places on the line LONG as it is straight in degrees, straight on the map, and between."""
    (west, south), (east, north) = LONG
    top = np.degrees(np.arctanh(np.sin(np.radians(north))))
    for part in (0.2, 0.4, 0.6, 0.8):
        straight = south + (north - south) * part
        mapped = np.degrees(np.arcsin(np.tanh(np.radians(top * part))))
        for share in (0, 0.5, 1):
            yield west + (east - west) * part, straight + (mapped - straight) * share


@pytest.mark.parametrize(("kind", "wkt", "spots"), LARGE)
def test_large_shapes_in_degrees(
    kind: str, wkt: list[str], spots: list[tuple[float, float]]
) -> None:
    """QGIS cuts them near the picture before it transforms them: edges run otherwise in each."""
    told = []
    with project_of(layer_of(kind, "large", wkt, "EPSG:4326")) as project:
        source = make_source("", project, CacheSettings())

        def work() -> None:
            with started(source):
                for number in (4, 6, 7, 9):
                    level = MERCATOR.levels[number]
                    for x, y in spots or along():
                        northing = np.degrees(np.arctanh(np.sin(np.radians(y))))
                        row, col = MERCATOR.tile_at(level, x * 111319.49, northing * 111319.49)
                        for down in (-SIDE, 0, SIDE):
                            block = around(TileRange(row, row, col, col), SIDE)
                            first = block.min_row + down
                            if not 0 <= first < 2**number:
                                continue
                            block = TileRange(first, first + SIDE - 1, block.min_col, block.max_col)
                            told.append(assert_empty_if_told(source, level, block))

        in_thread(work)
    assert len(told) > 20


def test_a_file_that_is_written_meanwhile(tmp_path: Path) -> None:
    level, block = MERCATOR.levels[8], TileRange(128, 135, 128, 135)
    path = tmp_path / "boxes.geojson"

    def write(x: float) -> None:
        path.write_text(
            '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {},'
            f' "geometry": {{"type": "Point", "coordinates": [{x}, -5]}}}}]}}'
        )

    write(120)
    answers: list[bool] = []
    with project_of(QgsVectorLayer(str(path), "file", "ogr")) as project:
        source = make_source("", project, CacheSettings())

        def work() -> None:
            with started(source):
                answers.append(source.even(level, block) is not None)
                for number in range(6):
                    write(5 if number % 2 == 0 else 120.5 + number)
                    answers.append(assert_empty_if_told(source, level, block))

        in_thread(work)

    assert answers[0]
    assert not answers[1]
