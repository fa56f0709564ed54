"""The kinds of area: what is shown on the canvas, what is counted, what is missing."""

from __future__ import annotations

from typing import Any

import pytest
from map_pictures import bands, previewed
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProject,
    QgsRectangle,
)

# kind of area, bounds on the canvas in kilometres
PREVIEWS = [
    ("Full Extent", [-20038, -20038, 20038, 20038]),
    ("Polygon Layer", [0, 0, 3000, 3000]),
    ("Canvas Extent", [-2000, -1500, 2000, 1500]),
    ("Layer Extent", [0, 0, 3000, 3000]),
    ("Extents of All Layers (Union)", [0, 0, 5000, 5000]),
    ("Extents of All Layers (Intersection)", [500, 500, 3000, 3000]),
    ("Typed Extent", [-1000, -2000, 3000, 4000]),
]


@pytest.mark.parametrize(("kind", "bounds"), PREVIEWS)
def test_every_kind_of_area_is_shown_on_the_canvas(
    layers: Any,
    loaded: Any,
    person: Any,
    canvas: Any,
    wait_until: Any,
    kind: str,
    bounds: list[int],
) -> None:
    person.find("typed_extent_edit").setText("-1000000 -2000000 3000000 4000000")
    person.find("area_layer_combo").setLayer(layers["fields"])

    person.choose("area_kind_combo", kind)

    wait_until(lambda: previewed(canvas) == pytest.approx(bounds, abs=5), what=str(bounds))


def test_the_band_goes_with_the_dialog_and_comes_back(
    loaded: Any, person: Any, canvas: Any, opener: Any
) -> None:
    assert previewed(canvas) != []

    person.click("close_button")
    assert not loaded.isVisible()
    assert previewed(canvas) == []

    loaded.show()
    assert previewed(canvas) != []

    opener.unload()
    assert previewed(canvas) == []


def test_a_closed_dialog_ignores_the_canvas(loaded: Any, person: Any, canvas: Any) -> None:
    person.choose("area_kind_combo", "Canvas Extent")
    person.click("close_button")

    canvas.setExtent(QgsRectangle(0, 0, 400, 300))

    assert bands(canvas) == []


def test_the_preview_is_in_the_canvas_crs(loaded: Any, person: Any, canvas: Any) -> None:
    person.find("typed_extent_edit").setText("0 0 1113195 1118890")
    person.choose("area_kind_combo", "Typed Extent")

    canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:4326"))

    # A degree of longitude on Web Mercator's equator is 111319.49 m, by its definition.
    (band,) = bands(canvas)
    box = band.asGeometry().boundingBox()
    assert (box.xMinimum(), box.xMaximum()) == pytest.approx((0, 10), abs=1e-4)
    assert (box.yMinimum(), box.yMaximum()) == pytest.approx((0, 10), abs=1e-3)


def test_only_the_fields_of_the_kind_are_shown(layers: Any, loaded: Any, person: Any) -> None:
    fields = {
        "Full Extent": set(),
        "Draw Polygon": {"draw_button"},
        "Draw Rectangle": {"draw_button"},
        "Polygon Layer": {"area_layer_combo", "selected_only_check"},
        "Layer Extent": {"area_layer_combo"},
        "Typed Extent": {"typed_extent_edit"},
        "Areas by Scale": {"rules_view", "add_rule_button", "suggest_button"},
    }
    every = set().union(*fields.values())
    for kind, expected in fields.items():
        person.choose("area_kind_combo", kind)
        assert {name for name in every if person.find(name).isVisible()} == expected, kind


def test_after_unloading_canvas_and_project_are_let_go(
    loaded: Any, person: Any, canvas: Any, project: QgsProject, opener: Any
) -> None:
    person.choose("area_kind_combo", "Canvas Extent")
    watched = [
        (canvas, canvas.extentsChanged),
        (canvas, canvas.destinationCrsChanged),
        (project, project.layersAdded),
        (project, project.layersRemoved),
        (project, project.crsChanged),
    ]
    before = [owner.receivers(signal) for owner, signal in watched]

    opener.unload()

    after = [owner.receivers(signal) for owner, signal in watched]
    assert all(few < many for many, few in zip(before, after))


def test_an_extent_as_processing_writes_it(loaded: Any, person: Any, canvas: Any) -> None:
    person.choose("area_kind_combo", "Typed Extent")
    person.find("typed_extent_edit").setText("0,10,0,10 [EPSG:4326]")
    person.wait_for_count()

    # Ten degrees on Web Mercator's equator are 1113.19 km, ten of latitude 1118.89 km.
    assert previewed(canvas) == pytest.approx([0, 0, 1113, 1119], abs=5)
    assert "EPSG:4326" in person.shows("area_note_label")
    assert person.find("run_button").isEnabled()

    for wrong in ("0,10,0,10 [nowhere]", "0 10 0 10 [EPSG:4326]", "0,0,0,10 [EPSG:4326]"):
        person.find("typed_extent_edit").setText(wrong)
        person.wait_for_count()
        assert not person.find("run_button").isEnabled(), wrong
        assert wrong in person.find("run_button").toolTip()
