"""The area follows what it depends on, and nothing else."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from map_pictures import MILLION, bands, memory_layer, previewed
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication

from tile_cache_manager.plugin.host import areas


def test_the_canvas_extent_follows_the_canvas(
    loaded: Any, person: Any, canvas: Any, wait_until: Any
) -> None:
    person.choose("area_kind_combo", "Canvas Extent")
    person.wait_for_count()
    # Around (0, 0) four tiles meet on each of the levels 1 to 5, whose tiles are over 1252 km wide;
    # 2000 km reach into the second tile of level 5 on either side, 1500 km as well.
    assert person.shows("tile_count_label") == "32 tiles at 5 scales."

    canvas.setExtent(QgsRectangle(100_000, 100_000, 500_000, 400_000))

    wait_until(lambda: person.shows("tile_count_label") == "5 tiles at 5 scales.")
    assert previewed(canvas) == [100, 100, 500, 400]


def test_the_polygon_layer_follows_the_selection(
    layers: Any, loaded: Any, person: Any, canvas: Any, wait_until: Any
) -> None:
    fields = layers["fields"]
    person.find("area_layer_combo").setLayer(fields)
    person.choose("area_kind_combo", "Polygon Layer")
    person.find("selected_only_check").setChecked(True)
    assert "select" in person.shows("area_note_label")

    fields.selectByIds([1])
    wait_until(lambda: previewed(canvas) == [0, 0, 1000, 1000])
    fields.selectByIds([2])
    wait_until(lambda: previewed(canvas) == [2000, 2000, 3000, 3000])
    person.find("selected_only_check").setChecked(False)
    wait_until(lambda: previewed(canvas) == [0, 0, 3000, 3000])


def test_the_union_follows_the_project(
    layers: Any, loaded: Any, person: Any, canvas: Any, project: QgsProject, wait_until: Any
) -> None:
    person.choose("area_kind_combo", "Extents of All Layers (Union)")
    assert previewed(canvas) == [0, 0, 5000, 5000]

    project.removeMapLayer(layers.pop("lakes"))

    wait_until(lambda: previewed(canvas) == [0, 0, 3000, 3000])


def test_a_layer_that_leaves_the_project_is_followed_by_no_other(
    layers: Any, loaded: Any, person: Any, project: Any
) -> None:
    project.addMapLayer(memory_layer("zoo", (0, 0, 1, 1)))
    person.choose("area_kind_combo", "Polygon Layer")
    combo = person.find("area_layer_combo")
    combo.setLayer(layers["lakes"])
    person.wait_for_count()

    project.removeMapLayer(layers.pop("lakes"))

    assert combo.currentLayer() is None
    assert person.shows("area_note_label") == "Choose the layer."
    assert not person.find("run_button").isEnabled()
    combo.setLayer(layers["fields"])
    person.wait_for_count()
    assert person.find("run_button").isEnabled()
    project.clear()
    project.addMapLayer(memory_layer("of another project", (0, 0, 1, 1)))
    assert combo.currentLayer() is None
    assert not person.find("run_button").isEnabled()


def test_a_rotated_canvas_is_taken_as_it_is_seen(
    loaded: Any, person: Any, canvas: Any, wait_until: Any
) -> None:
    person.choose("area_kind_combo", "Canvas Extent")
    canvas.setExtent(QgsRectangle(-4 * MILLION, -3 * MILLION, 4 * MILLION, 3 * MILLION))
    canvas.setRotation(45)

    # A rectangle of 8 by 6 turned by 45 degrees: its bounds are (8 + 6) / sqrt(2) wide and high.
    half = 1000 * 14 / 2 / 2**0.5
    wait_until(lambda: previewed(canvas) == pytest.approx([-half, -half, half, half], abs=2))
    (band,) = bands(canvas)
    assert band.asGeometry().area() == pytest.approx(48 * MILLION**2, rel=1e-3)
    person.wait_for_count()
    person.click("run_button")
    person.wait_for_end()


def test_the_update_of_a_rotated_canvas_leaves_out_the_corners_of_its_bounds(
    loaded: Any, person: Any, canvas: Any, cache: Any
) -> None:
    canvas.setRotation(45)
    person.choose("area_kind_combo", "Canvas Extent")
    person.click("run_button")
    person.wait_until(lambda: cache.requests, what="the update")
    person.wait_for_end()

    (request,) = cache.requests
    assert request.extent is None
    # 400 x 300 pixels of 10 km
    assert request.area.area == pytest.approx(4 * 3 * MILLION**2, rel=1e-3)


def add_feature(layer: QgsVectorLayer, *bounds: float) -> None:
    feature = QgsFeature(layer.fields())
    rectangle = QgsRectangle(*(MILLION * bound for bound in bounds))
    feature.setGeometry(QgsGeometry.fromRect(rectangle))
    assert layer.addFeature(feature)


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("Extents of All Layers (Union)", [0, 0, 5000, 5000], [0, 0, 7000, 8000]),
        ("Extents of All Layers (Intersection)", [500, 500, 3000, 3000], [500, 500, 5000, 5000]),
        ("Layer Extent", [0, 0, 3000, 3000], [0, 0, 7000, 8000]),
        ("Polygon Layer", [0, 0, 3000, 3000], [0, 0, 7000, 8000]),
    ],
)
def test_edits_move_the_area(
    layers: Any,
    loaded: Any,
    person: Any,
    canvas: Any,
    cache: Any,
    wait_until: Any,
    kind: str,
    before: list[int],
    after: list[int],
) -> None:
    fields = layers["fields"]
    person.find("area_layer_combo").setLayer(fields)
    person.choose("area_kind_combo", kind)
    wait_until(lambda: previewed(canvas) == pytest.approx(before, abs=5))
    person.wait_for_count()

    fields.startEditing()
    add_feature(fields, 6, 6, 7, 8)
    person.click("run_button")  # at once, before anything else can happen

    wait_until(lambda: previewed(canvas) == pytest.approx(after, abs=5))
    person.wait_until(lambda: cache.requests, what="the update")
    person.wait_for_end()
    (request,) = cache.requests
    bounds = request.extent.bounds if request.extent else request.area.bounds
    assert [round(bound / 1000) for bound in bounds] == pytest.approx(after, abs=5)
    fields.rollBack()


def test_a_layer_that_came_later_is_followed_too(
    layers: Any, loaded: Any, person: Any, canvas: Any, project: QgsProject, wait_until: Any
) -> None:
    person.choose("area_kind_combo", "Extents of All Layers (Union)")
    late = memory_layer("late", (-1, -1, 0, 0))
    project.addMapLayer(late)
    wait_until(lambda: previewed(canvas) == [-1000, -1000, 5000, 5000])

    late.startEditing()
    add_feature(late, -2, -2, -1, -1)

    wait_until(lambda: previewed(canvas) == [-2000, -2000, 5000, 5000])
    late.rollBack()


def test_an_area_is_made_once_for_every_change(
    layers: Any,
    loaded: Any,
    person: Any,
    canvas: Any,
    cache: Any,
    wait_until: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[str] = []
    make = areas.LayerArea.of

    def counted(layer: QgsVectorLayer, *choices: Any) -> Any:
        made.append(layer.name())
        return make(layer, *choices)

    monkeypatch.setattr(areas.LayerArea, "of", counted)
    fields = layers["fields"]
    person.find("area_layer_combo").setLayer(fields)
    person.choose("area_kind_combo", "Polygon Layer")
    person.wait_for_count()
    assert made == ["fields"]

    fields.startEditing()
    for number in range(50):
        add_feature(fields, number, 0, number + 1, 1)
    wait_until(lambda: len(made) == 2, what="the next area")
    person.wait_for_count()
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
    person.click("close_button")
    loaded.show()
    person.click("run_button")
    person.wait_for_end()

    assert len(cache.requests) == 1
    assert made == ["fields", "fields"]
    fields.rollBack()


def test_the_same_area_is_not_counted_again(
    loaded: Any, person: Any, canvas: Any, held_count: Any
) -> None:
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
    person.click("close_button")
    loaded.show()

    assert person.shows("tile_count_label") == "1,364 tiles at 5 scales."
    assert not held_count.reached.is_set()


def test_a_count_stopped_by_closing_goes_on_when_the_dialog_is_opened(
    loaded: Any, person: Any, held_count: Any
) -> None:
    person.choose("area_kind_combo", "Canvas Extent")
    person.click("close_button")
    held_count.open()
    loaded.show()
    person.wait_for_count()

    assert person.shows("tile_count_label") == "32 tiles at 5 scales."


def test_a_closed_dialog_makes_no_area(
    layers: Any, loaded: Any, person: Any, monkeypatch: pytest.MonkeyPatch, wait_until: Any
) -> None:
    fields = layers["fields"]
    person.find("area_layer_combo").setLayer(fields)
    person.choose("area_kind_combo", "Polygon Layer")
    person.click("close_button")
    monkeypatch.setattr(areas.LayerArea, "of", None)  # calling it would fail

    fields.startEditing()
    add_feature(fields, 6, 6, 7, 8)
    QCoreApplication.processEvents()
    fields.rollBack()
    QCoreApplication.processEvents()


def test_closing_ends_a_preview_that_is_under_way(
    loaded: Any, person: Any, layers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = threading.Event(), threading.Event()

    def preview_for_ever(_source: Any, _cache: Any, _crs: Any, cancelled: Any) -> Any:
        begun.set()
        end = time.monotonic() + 30
        while not cancelled():
            assert time.monotonic() < end, "nobody cancelled the preview"
            time.sleep(0.01)
        ended.set()
        raise areas.Cancelled()

    monkeypatch.setattr(areas, "preview", preview_for_ever)
    person.choose("area_kind_combo", "Polygon Layer")
    person.wait_until(begun.is_set, what="the preview")

    person.click("close_button")

    person.wait_until(ended.is_set, what="the end of the preview")
