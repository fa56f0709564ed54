"""The dialog of one rule: its scales, its area, and why it cannot be taken as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from map_pictures import memory_layer
from qgis.core import QgsCoordinateReferenceSystem, QgsGeometry, QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import QCoreApplication, QEvent, QLocale
from qgis.PyQt.QtWidgets import QApplication, QDialogButtonBox

from tile_cache_manager.plugin.core.description import CacheDescription
from tile_cache_manager.plugin.host.area_rules import AreaRule, RuleArea, RuleAreaKind
from tile_cache_manager.plugin.host.rule_sources import drawn_area, layer_area
from tile_cache_manager.ui.rule_dialog import RuleDialog, read_scale

KINDS = RuleAreaKind
FULL, CANVAS = RuleArea(KINDS.FULL), RuleArea(KINDS.CANVAS)
SCALE_4, SCALE_5 = 591657527.591555 / 2**4, 591657527.591555 / 2**5
Asked = Callable[..., Any]


@pytest.fixture
def farms(project: QgsProject) -> Any:
    """A polygon layer with a field `crop`."""
    farms = QgsVectorLayer("Polygon?crs=EPSG:3857&field=crop:string", "farms", "memory")
    project.addMapLayer(farms)
    return farms


@pytest.fixture
def drawn(qgis_app: Any) -> RuleArea:
    """A triangle as drawn on the canvas."""
    geometry = QgsGeometry.fromWkt("Polygon ((0 0, 10 0, 10 10, 0 0))")
    return drawn_area(geometry, QgsCoordinateReferenceSystem("EPSG:3857"))


@pytest.fixture
def ask(project: QgsProject, streets: CacheDescription) -> Iterator[Asked]:
    """`ask(rule, drawn, gap)`: the dialog, open."""
    asked: list[RuleDialog] = []

    def ask(rule: Any = None, drawn: Any = None, gap: Any = ()) -> RuleDialog:
        question = RuleDialog(project, streets, drawn, rule, gap)
        question.open()
        asked.append(question)
        return question

    yield ask
    for question in asked:
        question.deleteLater()
        QCoreApplication.sendPostedEvents(question, QEvent.Type.DeferredDelete)


def test_a_layer_that_leaves_the_project_is_followed_by_no_other(
    ask: Asked, farms: QgsVectorLayer, project: QgsProject
) -> None:
    zoo = memory_layer("zoo", (0, 0, 1, 1))
    project.addMapLayer(zoo)
    question = ask(AreaRule(None, None, layer_area(farms)))

    project.removeMapLayer(farms)

    assert question.rule_layer_combo.currentLayer() is None
    assert "farms" in question.problem()
    assert not ok_button(question).isEnabled()


def ok_button(question: RuleDialog) -> Any:
    return question.button_box.button(QDialogButtonBox.StandardButton.Ok)


def test_a_new_rule_is_about_the_scales_without_one(
    ask: Asked, farms: Any, streets: CacheDescription
) -> None:
    question = ask(gap=streets.cached_levels[4:6])

    assert question.from_combo.currentText() == "1:36,978,595"
    assert question.to_combo.currentText() == "1:18,489,298"
    assert question.kind_combo.currentText() == "Polygon Layer"
    assert question.rule() == AreaRule(SCALE_4, SCALE_5, layer_area(farms))


def test_without_a_layer_it_begins_with_the_full_extent(ask: Asked) -> None:
    question = ask()

    assert question.rule() == AreaRule(None, None, FULL)
    question.kind_combo.setCurrentText("Polygon Layer")
    assert not ok_button(question).isEnabled()
    assert "no polygon layer" in question.problem_label.text()
    assert ok_button(question).toolTip() == question.problem_label.text()


# name of the area in the list, what else is to be seen
FIELDS = [
    ("Full Extent", ()),
    ("Polygon Layer", ("rule_layer_combo", "rule_selected_check", "filter_edit", "buffer_row")),
    ("Canvas Extent", ("buffer_row",)),
    ("Drawn Polygon", ("buffer_row",)),
    (
        "Countries of a Layer",
        ("rule_layer_combo", "rule_selected_check", "filter_edit", "buffer_row"),
    ),
    ("Countries of the Canvas", ("buffer_row",)),
    ("Countries of the Drawn Polygon", ("buffer_row",)),
]


@pytest.mark.parametrize(("kind", "expected"), FIELDS)
def test_only_the_fields_of_the_area_are_seen(
    ask: Asked, farms: Any, drawn: RuleArea, kind: str, expected: tuple[str, ...]
) -> None:
    question = ask(drawn=drawn)
    question.kind_combo.setCurrentText(kind)

    every = ("rule_layer_combo", "rule_selected_check", "filter_edit", "buffer_row")
    assert tuple(name for name in every if getattr(question, name).isVisible()) == expected
    assert ok_button(question).isEnabled()


def every_area(layer: Any, drawn: RuleArea) -> list[RuleArea]:
    chosen = layer_area(layer, "\"crop\" = 'rye'", selected_only=True, buffer_metres=250)
    bases = [layer_area(layer), CANVAS, drawn]
    bases += [replace(base, buffer_metres=300.0) for base in bases]
    return [
        FULL,
        chosen,
        layer_area(layer, buffer_metres=12_500),
        layer_area(layer, buffer_metres=1234.5),
        RuleArea(KINDS.CANVAS, buffer_metres=0.25),
        drawn,
        *(RuleArea(KINDS.COUNTRY, base=base, buffer_metres=5000) for base in bases),
    ]


@pytest.mark.parametrize("is_drawn_still", [True, False])
def test_a_rule_that_is_opened_and_taken_stays_the_same(
    ask: Asked, farms: Any, drawn: RuleArea, is_drawn_still: bool
) -> None:
    for area in every_area(farms, drawn):
        for ends in ((None, None), (SCALE_4, None), (None, SCALE_5), (SCALE_4, 12_345.0)):
            rule = AreaRule(*ends, area)
            question = ask(rule, drawn if is_drawn_still else None)
            assert question.problem() == ""
            assert question.rule() == rule


def test_what_is_chosen_is_told_once(ask: Asked, farms: Any) -> None:
    question = ask(AreaRule(SCALE_4, None, CANVAS))
    told: list[AreaRule] = []
    question.chosen.connect(told.append)

    question.kind_combo.setCurrentText("Countries of a Layer")
    question.filter_edit.setExpression("crop is not null")
    question.buffer_spin.setValue(2)
    question.buffer_unit_combo.setCurrentText("kilometres")
    ok_button(question).click()

    base = layer_area(farms, "crop is not null")
    area = RuleArea(KINDS.COUNTRY, base=base, buffer_metres=2000.0)
    assert told == [AreaRule(SCALE_4, None, area)]


# a typed text, what scale it is
TYPED = [
    ("1:50,000", 50_000),
    ("1:50000", 50_000),
    ("50000", 50_000),
    (" 1 : 2500 ", 2500),
    ("1:72", 72),
    ("Any", None),
    ("any", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "scale"), TYPED)
def test_scales_can_be_typed(ask: Asked, text: str, scale: float | None) -> None:
    question = ask()

    question.from_combo.setEditText(text)

    assert ok_button(question).isEnabled()
    assert question.rule().from_scale == scale


@pytest.mark.parametrize("text", ["1:", "x", "1:0", "-5", "2:500", "1:nan", "1:inf", "1:1:5"])
def test_what_is_no_scale_is_said(ask: Asked, text: str) -> None:
    question = ask()

    question.to_combo.setEditText(text)

    assert not ok_button(question).isEnabled()
    assert f"“{text}” is no scale" in question.problem_label.text()
    question.to_combo.setEditText("1:5")
    assert ok_button(question).isEnabled()


def test_scales_are_read_as_the_locale_writes_them() -> None:
    QLocale.setDefault(QLocale(QLocale.Language.German, QLocale.Country.Germany))

    assert read_scale("1:50.000") == 50_000


def test_scales_the_wrong_way_round_change_places(ask: Asked) -> None:
    question = ask()
    question.from_combo.setEditText("1:1,000")
    question.to_combo.setEditText("1:2,000,000")

    assert "change places" in question.problem_label.text()
    assert ok_button(question).isEnabled()
    assert question.rule() == AreaRule(2_000_000, 1000, FULL)


def test_a_range_without_scales_is_said(ask: Asked) -> None:
    question = ask()
    question.from_combo.setEditText("1:3,000,000")
    question.to_combo.setEditText("1:2,500,000")

    assert "no scale in this range" in question.problem_label.text()
    assert ok_button(question).isEnabled()


# a filter, what is said of it; None: nothing
FILTERS = [
    ("", None),
    ("crop = 'rye'", None),
    ("CROP = 'rye'", None),
    ("$area > 5", None),
    ("crop =", "no expression that QGIS understands"),
    ("corp = 'rye'", "“farms” does not have: corp"),
]


@pytest.mark.parametrize(("text", "complaint"), FILTERS)
def test_filters(ask: Asked, farms: Any, text: str, complaint: str | None) -> None:
    question = ask()

    question.filter_edit.setExpression(text)

    assert ok_button(question).isEnabled() is (complaint is None)
    if complaint is None:
        assert question.problem_label.text() == ""
        assert question.rule().area.expression == text
    else:
        assert complaint in question.problem_label.text()


def test_nothing_is_drawn_yet(ask: Asked) -> None:
    question = ask()
    for kind in ("Drawn Polygon", "Countries of the Drawn Polygon"):
        question.kind_combo.setCurrentText(kind)
        assert "Nothing is drawn" in question.problem_label.text()
        assert not ok_button(question).isEnabled()


def test_what_is_drawn_now_can_take_the_place_of_what_was(ask: Asked, drawn: RuleArea) -> None:
    earlier = drawn_area(
        QgsGeometry.fromWkt("Polygon ((5 5, 6 5, 6 6, 5 5))"),
        QgsCoordinateReferenceSystem("EPSG:3857"),
    )
    question = ask(AreaRule(None, None, earlier), drawn)
    assert question.kind_combo.currentText() == "Polygon Drawn Earlier"

    question.kind_combo.setCurrentText("Drawn Polygon")

    assert question.rule().area == drawn


def test_a_layer_that_is_gone_is_named(ask: Asked, farms: Any, project: QgsProject) -> None:
    rule = AreaRule(None, None, layer_area(farms))
    meadows = memory_layer("meadows", (0, 0, 1, 1))
    project.addMapLayer(meadows)
    project.removeMapLayer(farms)

    question = ask(rule)

    assert "no layer “farms” any more" in question.problem_label.text()
    assert not ok_button(question).isEnabled()
    question.rule_layer_combo.setLayer(meadows)
    assert ok_button(question).isEnabled()
    assert question.rule().area.layer_name == "meadows"


@pytest.fixture(params=[1.0, 1.5])
def letters(request: pytest.FixtureRequest, qgis_app: Any) -> Iterator[None]:
    """QGIS with letters of so many times their usual size."""
    before = QApplication.font()
    font = QApplication.font()
    font.setPointSizeF(font.pointSizeF() * request.param)
    QApplication.setFont(font)
    yield
    QApplication.setFont(before)


def test_there_is_room_for_what_is_said(letters: None, ask: Asked, farms: Any) -> None:
    question = ask()
    for kind, text in (("Drawn Polygon", "1:5"), ("Polygon Layer", "1:x"), ("Full Extent", "1:5")):
        question.kind_combo.setCurrentText(kind)
        question.to_combo.setEditText(text)
        QApplication.processEvents()
        label = question.problem_label
        assert label.height() >= label.heightForWidth(label.width()), label.text()
        assert question.buffer_spin.height() >= question.buffer_spin.minimumSizeHint().height()
    line = question.fontMetrics().height()
    assert question.minimumSizeHint().width() <= 600 / 17 * line
    assert question.height() <= 580 / 17 * line
