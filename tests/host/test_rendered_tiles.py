"""What a project looks like in tiles: nothing broken at seams, and QGIS stays alive meanwhile."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from drawn_tiles import (
    Beats,
    drawn,
    filled,
    in_thread,
    layer_of,
    mosaic,
    pixels,
    profile_of,
    project_of,
    supertile,
    world_layer,
)
from qgis.core import (
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsPalLayerSettings,
    QgsProject,
    QgsRectangle,
    QgsTextBackgroundSettings,
    QgsTextBufferSettings,
    QgsTextFormat,
    QgsVectorLayer,
    QgsVectorLayerSimpleLabeling,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor

from tile_cache_manager.plugin.core.schemes import scheme_of_scales, web_mercator, wgs84
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings
from tile_cache_manager.plugin.core.tiling import SpatialReference
from tile_cache_manager.plugin.host.blocks import block_extent
from tile_cache_manager.plugin.host.sources import make_source
from tile_cache_manager.plugin.host.tile_encoder import pixels_of

pytestmark = pytest.mark.usefixtures("qgis_app")

Z4 = web_mercator(finest=10).levels[4]
TILE = 256 * Z4.resolution
SEAM = 8 * TILE  # between supertiles, from the world's left edge and from its top
LEFT, TOP = -20037508.342789244, 20037508.342789244
QUARTERS = [supertile(Z4, (top, top + 7), (left, left + 7)) for top in (0, 8) for left in (0, 8)]
SILENCE = 0.2
"""Seconds for which QGIS's own thread may not get its turn."""


def source_of(project: QgsProject, text: str = "", background: str = ""):
    return make_source(text, project, CacheSettings(background=background))


def in_one_piece(project: QgsProject) -> np.ndarray:
    """The world at Z4 as QGIS draws it at once, 4096 x 4096 pixels."""
    settings = QgsMapSettings()
    settings.setLayers(project.layerTreeRoot().layerOrder())
    settings.setDestinationCrs(project.crs())
    settings.setExtent(QgsRectangle(LEFT, -TOP, -LEFT, TOP))
    settings.setOutputSize(QSize(4096, 4096))
    settings.setOutputDpi(96)
    settings.setBackgroundColor(QColor(0, 0, 0, 0))
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    return pixels_of(job.renderedImage())


# Symbols


def test_symbols_go_on_across_seams() -> None:
    # points along the seams between supertiles, of 9 mm: 34 pixels
    along = [SEAM + part * TILE / 64 for part in range(-40, 41, 7)]
    points = [f"Point({LEFT + SEAM + 1.7 * TILE / 256} {TOP - y})" for y in along]
    points += [f"Point({LEFT + x} {TOP - SEAM + 3.3 * TILE / 256})" for x in along]
    layer = layer_of("Point", "points", points)
    layer.renderer().symbol().setSize(9)
    with project_of(layer) as project:
        tiles = drawn(source_of(project), profile_of(), *QUARTERS)
        wanted = in_one_piece(project)

    assert len(tiles) == 256
    assert (mosaic(tiles) == wanted).all()
    assert wanted[:, 2048, 3].any()
    assert wanted[2048, :, 3].any()


def test_wide_lines_go_on_across_seams() -> None:
    x = LEFT + SEAM + 20 * TILE / 256  # 20 pixels right of the seam, 15 mm wide: 57 pixels
    layer = layer_of("LineString", "lines", [f"LineString({x} {TOP - TILE}, {x} {TOP - 5 * TILE})"])
    layer.renderer().symbol().setWidth(15)
    with project_of(layer) as project:
        tiles = drawn(source_of(project), profile_of(), *QUARTERS)
        wanted = in_one_piece(project)

    assert (mosaic(tiles) == wanted).all()
    assert wanted[1000, 2047, 3] == 255


# Labels


def labelled(layer: QgsVectorLayer, settings: QgsPalLayerSettings | None = None, **kept: object):
    settings = settings or QgsPalLayerSettings()
    settings.fieldName = "name"
    text = settings.format()
    text.setSize(14)
    settings.setFormat(text)
    layer.setLabeling(QgsVectorLayerSimpleLabeling(settings))
    layer.setLabelsEnabled(True)
    return layer


def plain_labels() -> QgsPalLayerSettings:
    return QgsPalLayerSettings()


def buffered_labels() -> QgsPalLayerSettings:
    settings, text, buffer = QgsPalLayerSettings(), QgsTextFormat(), QgsTextBufferSettings()
    buffer.setEnabled(True)
    buffer.setSize(3)
    text.setBuffer(buffer)
    settings.setFormat(text)
    return settings


def labels_on_plates() -> QgsPalLayerSettings:
    settings, text, plate = QgsPalLayerSettings(), QgsTextFormat(), QgsTextBackgroundSettings()
    plate.setEnabled(True)
    plate.setFillColor(QColor("#c0ffc0"))
    text.setBackground(plate)
    settings.setFormat(text)
    return settings


@pytest.mark.parametrize("kind", [plain_labels, buffered_labels, labels_on_plates])
def test_no_label_is_cut_at_a_seam(kind) -> None:
    # Labelled points left and right of, above and below seams: whatever is drawn stays off them.
    gaps = [-70, -40, -15, -3, 0, 1, 5, 9, 20, 40, 70]
    places = [(0.5 + 15 * number / len(gaps)) * TILE for number in range(len(gaps))]
    away = [SEAM + gap * TILE / 256 for gap in gaps]
    points = [f"Point({LEFT + x} {TOP - y})" for x, y in zip(away, places)]
    points += [f"Point({LEFT + x} {TOP - y})" for x, y in zip(places, away)]
    layer = labelled(layer_of("Point", "points", points), kind())
    layer.renderer().symbol().setOpacity(0)
    with project_of(layer) as project:
        whole = mosaic(drawn(source_of(project), profile_of(), *QUARTERS))

    assert (whole[..., 3] > 0).sum() > 6 * 441, "hardly any label was drawn"
    assert not whole[:, 2047:2049, 3].any()
    assert not whole[2047:2049, :, 3].any()


def test_labels_at_a_seam_would_be_cut_otherwise() -> None:
    # The test above can fail: drawn in one piece, labels do lie on the seam.
    points = [f"Point({LEFT + SEAM - 3 * TILE / 256} {TOP - y * TILE})" for y in (1.5, 3.5)]
    layer = labelled(layer_of("Point", "points", points))
    layer.renderer().symbol().setOpacity(0)
    with project_of(layer) as project:
        assert in_one_piece(project)[:, 2047:2049, 3].any()


# Levels, sizes, CRS


@pytest.mark.parametrize("tile_size", [256, 512])
@pytest.mark.parametrize("dpi", [96, 192])
def test_tiles_have_the_size_of_the_scheme_and_symbols_that_of_its_dpi(
    tile_size: int, dpi: int
) -> None:
    layer = layer_of("Point", "points", ["Point(100000 100000)"])
    layer.renderer().symbol().setSize(10)
    with project_of(layer) as project:
        scheme = web_mercator(tile_size, dpi, finest=2)
        part = supertile(scheme.levels[2], (0, 3), (0, 3))
        tiles = drawn(source_of(project), profile_of(scheme=scheme), part)

    assert pixels(tiles[0, 0]).shape == (tile_size, tile_size, 4)
    rows = np.flatnonzero(mosaic(tiles)[..., 3].any(axis=1))
    assert len(rows) == pytest.approx(10 / 25.4 * dpi, abs=3)


SWISS = scheme_of_scales([1e6, 1e5], SpatialReference(2056, 2056), 2420000.0, 1350000.0, 1.0)
CRS_CASES = [
    (wgs84(finest=6), "EPSG:4326", (8.55, 47.37)),
    (SWISS, "EPSG:2056", (2683000, 1247000)),
    (web_mercator(finest=9), "EPSG:3857", (951000, 6000000)),
]


@pytest.mark.parametrize(("scheme", "crs", "point"), CRS_CASES)
def test_things_lie_where_the_scheme_says(scheme, crs: str, point: tuple[float, float]) -> None:
    level = scheme.levels[-1]
    row, col = scheme.tile_at(level, *point)
    half = 20 * level.resolution
    x, y = point
    box = f"Polygon(({x - half} {y - half}, {x + half} {y - half}, {x + half} {y + half}, "
    box += f"{x - half} {y + half}, {x - half} {y - half}))"
    with project_of(filled(layer_of("Polygon", "box", [box], crs), "#ff0000"), crs=crs) as project:
        part = supertile(level, (row - 1, row + 1), (col - 1, col + 1))
        tiles = drawn(source_of(project), profile_of(scheme=scheme), part)

    found = np.argwhere(mosaic(tiles)[..., 3] > 127)
    extent = block_extent(scheme, level, part.block)
    middle = found.mean(axis=0) + 0.5
    got = extent.xmin + middle[1] * level.resolution, extent.ymax - middle[0] * level.resolution
    assert got == pytest.approx(point, abs=level.resolution)
    assert np.ptp(found, axis=0) == pytest.approx((40, 40), abs=3)


def test_only_wanted_tiles_are_given() -> None:
    with project_of(filled(world_layer(), "#ff0000")) as project:
        part = supertile(Z4, (0, 7), (0, 7))
        part.wanted[:] = False
        part.wanted[3, 5] = part.wanted[6, 0] = True
        tiles = drawn(source_of(project), profile_of(), part)

    assert sorted(tiles) == [(3, 5), (6, 0)]


def test_the_coarsest_level_is_drawn_though_the_block_is_larger_than_the_world() -> None:
    with project_of(world_layer()) as project:
        level = web_mercator(finest=0).levels[0]
        tiles = drawn(source_of(project), profile_of(), supertile(level, (0, 7), (0, 7)))

    assert list(tiles) == [(0, 0)]
    assert (pixels(tiles[0, 0])[..., 3] > 0).mean() > 0.2


BACKGROUNDS = [
    # format, background of the cache, colour where there is nothing
    ("PNG32", "", (0, 0, 0, 0)),
    ("PNG", "", (0, 0, 0, 0)),
    ("PNG8", "", (0, 0, 0, 0)),
    ("MIXED", "", (0, 0, 0, 0)),
    ("PNG24", "", (170, 211, 223, 255)),
    ("JPEG", "", (170, 211, 223, 255)),
    ("PNG32", "#102030", (16, 32, 48, 255)),
    ("JPEG", "#102030", (16, 32, 48, 255)),
]


@pytest.mark.parametrize(("image_format", "background", "colour"), BACKGROUNDS)
def test_the_background(image_format: str, background: str, colour: tuple[int, ...]) -> None:
    with project_of(layer_of("Point", "points", ["Point(0 0)"])) as project:
        project.setBackgroundColor(QColor(170, 211, 223))
        source = source_of(project, background=background)
        tiles = drawn(source, profile_of(image_format), supertile(Z4, (0, 0), (0, 0)))

    assert pixels(tiles[0, 0])[10, 10] == pytest.approx(np.array(colour), abs=2)


# Threads


def slow_project():
    """A project that takes seconds to draw: many ways to draw many circles, half transparent."""
    layers = [world_layer("states_provinces") for _ in range(12)]
    for layer in layers:
        layer.setOpacity(0.9)
    return project_of(*layers)


def test_the_main_thread_goes_on_while_a_slow_layer_is_drawn() -> None:
    took = 0.0
    with slow_project() as project:
        source = source_of(project)

        def draw() -> None:
            nonlocal took
            source.start(profile_of())
            start = time.monotonic()
            source.draw(supertile(Z4, (0, 7), (0, 7)), lambda: False)
            took = time.monotonic() - start
            source.close()

        beats = Beats()
        in_thread(draw)

    assert took > 2 * SILENCE, "not slow enough to show anything"
    # as long as the drawing itself where that was done on the main thread; on a busy machine both
    # take longer
    assert beats.longest < max(SILENCE, took / 2)
    assert beats.count > 20


def test_cancelling_ends_a_drawing_at_once() -> None:
    asked = threading.Event()
    ended = 0.0
    with slow_project() as project:
        source = source_of(project)

        def draw() -> None:
            nonlocal ended
            source.start(profile_of())
            threading.Timer(0.15, asked.set).start()
            tiles = source.draw(supertile(Z4, (0, 7), (0, 7)), asked.is_set)
            ended = time.monotonic()
            assert tiles == {}
            source.close()

        start = time.monotonic()
        in_thread(draw)

    assert asked.is_set()
    assert ended - start < 1.5


def test_several_threads_draw_the_same_as_one() -> None:
    with project_of(world_layer(), world_layer("states_provinces")) as project:
        one = drawn(source_of(project), profile_of(), *QUARTERS)
        source = source_of(project)
        many: dict = {}

        def draw_all() -> None:
            source.start(profile_of())
            threads = [
                threading.Thread(target=lambda p=part: many.update(source.draw(p, lambda: False)))
                for part in QUARTERS
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            source.close()

        in_thread(draw_all)

    assert source.workers >= 1
    assert many == one
