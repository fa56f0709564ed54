"""Areas by scale in the dialog: making rules, what they count, what is told, what is kept."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from map_pictures import MILLION, memory_layer, previewed
from qgis.core import QgsProject, QgsRectangle
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QComboBox, QDialog, QFileDialog, QMessageBox, QTableView

from tile_cache_manager.plugin.core.description import CacheDescription
from tile_cache_manager.plugin.host.area_rules import AreaRule, RuleArea, RuleAreaKind
from tile_cache_manager.plugin.host.rule_file import load_rules, save_rules
from tile_cache_manager.plugin.host.rule_sources import layer_area
from tile_cache_manager.ui.rule_dialog import RuleDialog

HALF = 20037508.342787
FULL = RuleArea(RuleAreaKind.FULL)
CANVAS = RuleArea(RuleAreaKind.CANVAS)
SCALES = [591657527.591555 / 2**level for level in range(20)]


def touched(level: int, *bounds: float) -> int:
    """How many tiles of `level` an upright rectangle touches, bounds in millions of metres."""
    width = 2 * HALF / 2**level
    xmin, ymin, xmax, ymax = (MILLION * bound for bound in bounds)
    columns = math.floor((HALF + xmax) / width) - math.floor((HALF + xmin) / width) + 1
    rows = math.floor((HALF - ymin) / width) - math.floor((HALF - ymax) / width) + 1
    return columns * rows


@pytest.fixture
def rules(layers: Any, dialog: Any, person: Any, cache: Any, streets: CacheDescription) -> Any:
    """The panel of rules in the dialog, with levels 0 to 8 loaded and no rules yet."""
    cache.answer = replace(streets, cached_levels=streets.cached_levels[:9])
    person.load(streets.address)
    person.choose("area_kind_combo", "Areas by Scale")
    return dialog.area_panel.rules_panel


def overview_and_lakes(layers: Any) -> tuple[AreaRule, ...]:
    """The whole world down to level 4, and the lakes below that."""
    lakes = layer_area(layers["lakes"])
    return AreaRule(None, SCALES[4], FULL), AreaRule(SCALES[5], None, lakes)


def table(person: Any, *columns: int) -> list[list[str]]:
    model = person.find("rules_view").model()
    wanted = columns or tuple(range(model.columnCount()))
    return [
        [model.index(row, column).data() for column in wanted] for row in range(model.rowCount())
    ]


def is_ready(person: Any) -> bool:
    return person.find("run_button").isEnabled()


def test_without_rules_it_says_what_to_do(rules: Any, person: Any) -> None:
    assert "no rule yet" in person.shows("area_note_label")
    assert "Suggest" in person.shows("area_note_label")
    assert not is_ready(person)
    for name in ("edit", "remove"):
        assert not person.find(f"{name}_rule_button").isEnabled()
    for name in ("rule_up_button", "rule_down_button", "save_rules_button"):
        assert not person.find(name).isEnabled()


def test_rules_are_suggested_at_one_click(
    rules: Any, layers: Any, dialog: Any, person: Any, canvas: Any, cache: Any, streets: Any
) -> None:
    cache.answer = replace(streets, cached_levels=streets.cached_levels[:16])
    person.load(streets.address)
    person.click("check_all_button")
    canvas.setCurrentLayer(layers["lakes"])

    person.click("suggest_button")
    person.wait_for_count()

    assert table(person, 0, 1, 2) == [
        ["Any", "1:9,244,649", "Full extent"],
        ["1:4,622,324", "1:1,155,581", "Countries of: lakes"],
        ["1:577,791", "1:144,448", "lakes, + 10 km"],
        ["1:72,224", "Any", "lakes"],
    ]
    tiles = [int(row[0].replace(",", "")) for row in table(person, 3)]
    assert tiles[0] == sum(4**level for level in range(7))
    assert tiles[3] == sum(touched(level, 0.5, 0.5, 5, 5) for level in (13, 14, 15))
    # The countries and the surroundings hold the lakes, and are not the whole world.
    for row, levels in ((1, (7, 8, 9)), (2, (10, 11, 12))):
        least = sum(touched(level, 0.5, 0.5, 5, 5) for level in levels)
        assert least < tiles[row] < sum(4**level for level in levels) / 2
    assert person.shows("area_note_label") == ""
    assert is_ready(person)


def test_rules_are_suggested_around_the_layer_that_was_chosen(
    rules: Any, layers: Any, person: Any, canvas: Any
) -> None:
    canvas.setCurrentLayer(layers["lakes"])
    person.choose("area_kind_combo", "Polygon Layer")
    person.find("area_layer_combo").setLayer(layers["fields"])
    person.choose("area_kind_combo", "Areas by Scale")

    person.click("suggest_button")

    assert table(person, 2)[-1] == ["Countries of: fields"]


def test_rules_can_be_suggested_around_many_things(
    rules: Any, layers: Any, person: Any, canvas: Any
) -> None:
    canvas.setCurrentLayer(layers["lakes"])
    menu = person.find("suggest_button").menu()

    menu.aboutToShow.emit()

    around = [action.text() for action in menu.actions()]
    assert around == ["Around “lakes”", "Around the canvas", "Around “fields”"]
    menu.actions()[2].trigger()
    assert rules.rules


def test_what_is_drawn_can_be_the_area_of_rules(
    rules: Any, person: Any, canvas: Any, wait_until: Any, cache: Any, streets: Any
) -> None:
    person.choose("area_kind_combo", "Draw Polygon")
    person.click("draw_button")
    for x, y in ((200, 150), (250, 150), (250, 100)):
        QTest.mouseClick(canvas.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(x, y))
    QTest.mouseClick(canvas.viewport(), Qt.MouseButton.RightButton, pos=QPoint(250, 100))
    person.choose("area_kind_combo", "Areas by Scale")

    person.click("suggest_button")

    assert rules.rules[-1].area.base.kind is RuleAreaKind.GEOMETRY
    assert "Drawn area" in table(person, 2)[-1][0]
    menu = person.find("suggest_button").menu()
    menu.aboutToShow.emit()
    assert "Around the drawn polygon" in [action.text() for action in menu.actions()]


def test_each_row_counts_its_own_scales_and_area(rules: Any, layers: Any, person: Any) -> None:
    rules.model.set_rules(overview_and_lakes(layers))
    person.wait_for_count()

    lakes = sum(touched(level, 0.5, 0.5, 5, 5) for level in range(5, 9))
    assert table(person, 3) == [[f"{sum(4**n for n in range(5)):,}"], [f"{lakes:,}"]]
    assert all(size.startswith("≈ ") for (size,) in table(person, 4))
    person.click("check_none_button")
    assert table(person, 3, 4) == [["", ""], ["", ""]]


def test_scales_without_a_rule_keep_run_off(rules: Any, layers: Any, person: Any) -> None:
    rules.model.set_rules((overview_and_lakes(layers)[0],))
    person.wait_for_count()

    assert not is_ready(person)
    sentence = person.shows("area_note_label")
    assert sentence.startswith("The rules of areas by scale leave out 1:18,489,298, 1:9,244,649,")
    assert person.find("run_button").toolTip() == sentence
    assert table(person, 3) == [["341"]]  # the others are counted all the same

    person.choose("range_from_combo", "1:591,657,528")
    person.choose("range_to_combo", "1:36,978,595")
    person.click("range_button")
    assert person.shows("area_note_label") == ""
    assert is_ready(person)
    person.click("check_all_button")
    assert not is_ready(person)


def test_a_scale_of_two_rules_is_told(rules: Any, layers: Any, person: Any) -> None:
    overview, lakes = overview_and_lakes(layers)
    rules.model.set_rules((AreaRule(None, SCALES[5], FULL), lakes))
    person.wait_for_count()

    note = person.shows("area_note_label")
    assert note == "More than one rule holds 1:18,489,298: the first of them counts."
    assert is_ready(person)
    rules.model.set_rules((overview, lakes))
    assert person.shows("area_note_label") == ""


def test_rules_are_moved_and_removed(rules: Any, layers: Any, person: Any) -> None:
    first, second = overview_and_lakes(layers)
    rules.model.set_rules((first, second))
    view = person.find("rules_view")
    view.selectRow(0)
    assert not person.find("rule_up_button").isEnabled()

    person.click("rule_down_button")
    assert rules.rules == (second, first)
    assert view.selectionModel().selectedRows()[0].row() == 1
    assert not person.find("rule_down_button").isEnabled()
    person.click("rule_up_button")
    assert rules.rules == (first, second)
    QTest.keyClick(view, Qt.Key.Key_Delete)
    assert rules.rules == (second,)
    person.click("remove_rule_button")
    assert rules.rules == ()
    assert not person.find("remove_rule_button").isEnabled()


def test_rules_are_added_and_edited(rules: Any, dialog: Any, person: Any) -> None:
    def question() -> Any:
        found = [each for each in dialog.findChildren(QDialog, "RuleDialog") if each.isVisible()]
        return found[0] if found else None

    person.click("add_rule_button")
    assert question().from_combo.currentText() == "1:591,657,528"  # what no rule holds yet
    assert question().to_combo.currentText() == "1:2,311,162"
    question().kind_combo.setCurrentText("Full Extent")
    question().accept()
    assert table(person, 0, 1, 2) == [["1:591,657,528", "1:2,311,162", "Full extent"]]

    view = person.find("rules_view")
    where = view.visualRect(view.model().index(0, 2)).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=where)
    QTest.mouseDClick(view.viewport(), Qt.MouseButton.LeftButton, pos=where)
    question().to_combo.setCurrentText("Any")
    question().reject()
    assert table(person, 1) == [["1:2,311,162"]]
    QTest.keyClick(view, Qt.Key.Key_Return)
    question().to_combo.setCurrentText("Any")
    question().accept()
    assert table(person, 1) == [["Any"]]


def test_an_update_takes_each_scale_in_its_area(
    rules: Any, layers: Any, person: Any, cache: Any
) -> None:
    rules.model.set_rules(overview_and_lakes(layers))
    person.wait_for_count()

    person.click("run_button")
    person.wait_until(lambda: cache.requests or person.question(), what="the update")
    if person.question():
        person.answer("Yes")
    person.wait_until(lambda: cache.requests, what="the update")
    person.wait_for_end()

    (request,) = cache.requests
    levels = {level.id: request.area_at(level) for level in request.levels}
    assert sorted(levels) == list(range(9))
    assert {id_ for id_, area in levels.items() if area is None} == {0, 1, 2, 3, 4}
    expected = [0.5 * MILLION, 0.5 * MILLION, 5 * MILLION, 5 * MILLION]
    assert list(levels[8].bounds) == pytest.approx(expected, abs=1)


def test_an_export_takes_each_scale_in_its_area(
    layers: Any, exporter: Any, exports: Any, exportable: Any
) -> None:
    lakes = layer_area(layers["lakes"])
    rules = AreaRule(None, SCALES[2], FULL), AreaRule(SCALES[3], None, lakes)
    exporter.choose("area_kind_combo", "Areas by Scale")
    exporter.dialog.area_panel.rules_panel.model.set_rules(rules)
    exporter.wait_for_count()

    exporter.click("run_button")
    exporter.wait_until(lambda: exports.requests, what="the export")
    exporter.wait_for_end()

    (request,) = exports.requests
    groups = {group.level_ids: group.area for group in request.areas}
    assert list(groups) == [(1, 2), (3, 4, 5)]
    assert groups[(1, 2)] is None
    expected = [0.5 * MILLION, 0.5 * MILLION, 5 * MILLION, 5 * MILLION]
    assert list(groups[(3, 4, 5)].bounds) == pytest.approx(expected, abs=1)


# What the areas follow


def test_rules_follow_edits_of_their_layer(
    rules: Any, layers: Any, person: Any, wait_until: Any
) -> None:
    rules.model.set_rules((AreaRule(None, None, layer_area(layers["lakes"])),))
    person.wait_for_count()

    lakes = layers["lakes"]
    lakes.startEditing()
    (feature,) = lakes.getFeatures()
    lakes.deleteFeature(feature.id())

    wait_until(lambda: "no polygons" in person.shows("tile_count_label"), what="the empty layer")
    lakes.rollBack()
    total = sum(touched(level, 0.5, 0.5, 5, 5) for level in range(9))
    wait_until(lambda: table(person, 3) == [[f"{total:,}"]], what="the tiles of the lakes")


def test_rules_follow_the_selection(rules: Any, layers: Any, person: Any, wait_until: Any) -> None:
    fields = layers["fields"]
    rules.model.set_rules((AreaRule(None, None, layer_area(fields, selected_only=True)),))
    assert "No feature of “fields” is selected" in person.shows("area_note_label")
    assert not is_ready(person)

    fields.selectByIds([2])

    total = sum(touched(level, 2, 2, 3, 3) for level in range(9))
    wait_until(lambda: table(person, 3) == [[f"{total:,}"]], what="the tiles of one field")
    assert is_ready(person)


def test_rules_follow_the_canvas_where_they_name_it(
    rules: Any, layers: Any, person: Any, canvas: Any, wait_until: Any, held_rules: list[int]
) -> None:
    rules.model.set_rules((AreaRule(None, None, CANVAS),))
    wait_until(lambda: previewed(canvas) == pytest.approx([-2000, -1500, 2000, 1500], abs=5))

    canvas.setExtent(QgsRectangle(100_000, 100_000, 500_000, 400_000))

    wait_until(lambda: previewed(canvas) == pytest.approx([100, 100, 500, 400], abs=5))
    rules.model.set_rules((AreaRule(None, None, layer_area(layers["lakes"])),))
    person.wait_for_count()
    made = len(held_rules)
    canvas.setExtent(QgsRectangle(200_000, 100_000, 600_000, 400_000))
    assert len(held_rules) == made


@pytest.fixture
def held_rules(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for every time that areas were made of rules."""
    from tile_cache_manager.plugin.host import rule_sources

    made: list[int] = []
    make = rule_sources.make_areas

    def counted(*arguments: Any) -> Any:
        made.append(1)
        return make(*arguments)

    monkeypatch.setattr(rule_sources, "make_areas", counted)
    return made


def test_ticking_makes_no_area_anew(
    rules: Any, layers: Any, person: Any, held_rules: list[int]
) -> None:
    rules.model.set_rules(overview_and_lakes(layers))
    person.wait_for_count()
    made = len(held_rules)

    person.click("check_none_button")
    person.click("check_all_button")

    assert made == len(held_rules) == 1
    assert is_ready(person)


def test_a_layer_that_is_gone_is_named(
    rules: Any, layers: Any, person: Any, project: QgsProject, wait_until: Any
) -> None:
    rules.model.set_rules(overview_and_lakes(layers))
    person.wait_for_count()

    project.removeMapLayer(layers.pop("lakes"))

    wait_until(lambda: "lakes" in person.shows("area_note_label"), what="the missing layer")
    assert not is_ready(person)
    rules.model.set_rules((AreaRule(None, None, FULL),))
    person.wait_for_count()
    assert is_ready(person)


# Files


def answer_path(dialog: Any, path: Path) -> None:
    """Choose `path` in the file dialog that is open."""
    questions = dialog.findChildren(QFileDialog, "rules_path_question")
    (question,) = [each for each in questions if each.isVisible()]
    question.fileSelected.emit(str(path))
    question.done(1)


def test_rules_are_saved_and_loaded(
    rules: Any, layers: Any, dialog: Any, person: Any, tmp_path: Path
) -> None:
    path = tmp_path / "my rules.json"
    wanted = overview_and_lakes(layers)
    rules.model.set_rules(wanted)
    person.click("save_rules_button")
    answer_path(dialog, path)
    assert load_rules(path) == wanted
    assert json.loads(path.read_text(encoding="utf-8"))["version"] == 1

    person.find("rules_view").selectRow(0)
    person.click("remove_rule_button")
    person.find("rules_view").selectRow(0)
    person.click("remove_rule_button")
    person.click("load_rules_button")
    answer_path(dialog, path)
    assert rules.rules == wanted


@pytest.mark.parametrize("content", [None, "", "{}", '{"format": "other", "version": 1}'])
def test_a_file_that_holds_no_rules_changes_nothing(
    rules: Any, layers: Any, dialog: Any, person: Any, tmp_path: Path, content: str | None
) -> None:
    before = overview_and_lakes(layers)
    rules.model.set_rules(before)
    path = tmp_path / "broken.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")

    person.click("load_rules_button")
    answer_path(dialog, path)

    box = dialog.findChild(QMessageBox, "rules_problem")
    assert "broken.json" in box.text()
    assert rules.rules == before
    box.accept()


def test_a_file_that_cannot_be_written_is_told(
    rules: Any, layers: Any, dialog: Any, person: Any, tmp_path: Path
) -> None:
    rules.model.set_rules(overview_and_lakes(layers))

    person.click("save_rules_button")
    (tmp_path / "a file").touch()
    answer_path(dialog, tmp_path / "a file" / "rules.json")

    box = dialog.findChild(QMessageBox, "rules_problem")
    assert "a file" in box.text()
    box.accept()


@pytest.mark.parametrize(("button", "replaces"), [("Yes", True), ("No", False)])
def test_rules_that_are_saved_nowhere_are_not_replaced_unasked(
    rules: Any, layers: Any, dialog: Any, person: Any, tmp_path: Path, button: str, replaces: bool
) -> None:
    path = tmp_path / "rules.json"
    saved = (AreaRule(None, None, FULL),)
    save_rules(path, saved)
    mine = overview_and_lakes(layers)
    rules.model.set_rules(mine)

    person.click("load_rules_button")
    answer_path(dialog, path)
    box = dialog.findChild(QMessageBox, "replace_question")
    assert box.text() == "Replace the 2 rules that are there?"
    assert rules.rules == mine
    QTest.mouseClick(
        box.button(getattr(QMessageBox.StandardButton, button)), Qt.MouseButton.LeftButton
    )

    person.wait_until(lambda: rules.rules == (saved if replaces else mine), what="the answer")


def test_what_was_suggested_is_replaced_unasked(
    rules: Any, layers: Any, dialog: Any, person: Any, canvas: Any
) -> None:
    person.click("suggest_button")
    first = rules.rules
    canvas.setCurrentLayer(layers["fields"])
    person.click("suggest_button")

    assert rules.rules != first
    assert dialog.findChild(QMessageBox, "replace_question") is None


# What is kept


def test_rules_outlive_the_dialog(rules: Any, layers: Any, opener: Any) -> None:
    wanted = overview_and_lakes(layers)
    rules.model.set_rules(wanted)

    again = opener.open()

    assert again.findChild(QComboBox, "area_kind_combo").currentText() == "Areas by Scale"
    assert again.area_panel.rules_panel.rules == wanted
    assert again.findChild(QTableView, "rules_view").isVisible()


def test_another_dialog_has_the_same_rules(
    rules: Any, layers: Any, dialog: Any, person: Any, canvas: Any, project: QgsProject
) -> None:
    from tile_cache_manager.ui.area_panel import AreaPanel

    other = AreaPanel(canvas, project, dialog)
    assert other.rules_panel.rules == ()
    other.set_kind(dialog.area_panel.kind())
    other.show()
    wanted = overview_and_lakes(layers)

    rules.model.set_rules(wanted)
    assert other.rules_panel.rules == wanted
    other.rules_panel.model.set_rules(wanted[:1])
    assert rules.rules == wanted[:1]

    other.unload()
    rules.model.set_rules(wanted)
    assert other.rules_panel.rules == wanted[:1]


def test_rules_that_are_too_long_to_be_kept_leave_no_older_ones(
    rules: Any, layers: Any, opener: Any, canvas: Any, project: QgsProject
) -> None:
    from tile_cache_manager.ui.rules_panel import RulesPanel

    rules.model.set_rules(overview_and_lakes(layers))
    outline = ", ".join(f"{x} {x % 7}" for x in range(40_000))
    long = RuleArea(RuleAreaKind.GEOMETRY, wkt=f"POLYGON(({outline}, 0 0))", crs="EPSG:3857")
    wanted = (AreaRule(None, None, long),)

    rules.model.set_rules(wanted)

    other = RulesPanel(canvas, project)
    assert other.rules == wanted  # in another dialog of this session
    other.unload()
    assert opener.open().area_panel.rules_panel.rules == ()


def test_a_rule_that_is_edited_while_another_dialog_changes_the_rules(
    rules: Any, layers: Any, dialog: Any, person: Any
) -> None:
    first, second = overview_and_lakes(layers)
    rules.model.set_rules((first, second))
    person.find("rules_view").selectRow(1)
    person.click("edit_rule_button")
    (question,) = dialog.findChildren(RuleDialog)

    rules.model.set_rules((second,))  # as the other dialog does
    question.kind_combo.setCurrentText("Full Extent")
    question.accept()

    assert rules.rules == (AreaRule(second.from_scale, None, FULL),)


def test_rules_that_cannot_be_read_any_more_are_none(
    forgetful: None, canvas: Any, project: QgsProject
) -> None:
    from tile_cache_manager.plugin.host.settings import Settings
    from tile_cache_manager.ui.rules_panel import RulesPanel

    Settings().area_rules = '{"format": "of the year 2050"}'

    assert RulesPanel(canvas, project).rules == ()


def test_the_buttons_have_pictures_names_and_tips(rules: Any, person: Any) -> None:
    for name in ("add_rule", "edit_rule", "remove_rule", "rule_up", "rule_down", "load_rules"):
        button = person.find(f"{name}_button")
        assert not button.icon().isNull(), name
        assert button.accessibleName(), name
        assert button.toolTip(), name


def test_four_rows_are_seen_and_no_column_is_cut(
    rules: Any, layers: Any, dialog: Any, person: Any
) -> None:
    late = memory_layer("a layer of a name that has no end at all", (0, 0, 1, 1))
    QgsProject.instance().addMapLayer(late)
    rules.model.set_rules((*overview_and_lakes(layers), AreaRule(None, None, layer_area(late))) * 3)
    person.wait_for_count()
    view = person.find("rules_view")
    dialog.resize(dialog.minimumSizeHint())

    person.wait_until(lambda: view.horizontalScrollBar().maximum() == 0, what="all columns")

    assert view.viewport().height() >= 4 * view.rowHeight(0)
    assert view.verticalScrollBar().maximum() > 0
    # 768 pixels less the window's frame and the desktop's bar, at lines of 17 pixels
    bar = person.find("message_bar").height()
    assert dialog.minimumHeight() - bar <= 650 / 17 * dialog.fontMetrics().height()
