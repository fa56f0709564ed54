"""The table of rules by which each range of scales has an area of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsMapLayer,
    QgsProject,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QEvent, QModelIndex, QObject, Qt, pyqtSignal
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QHeaderView, QMenu, QWidget

from ..plugin.core.description import CacheDescription
from ..plugin.core.errors import LevelsWithoutArea, TileCacheError
from ..plugin.core.tiling import Level
from ..plugin.host import areas, messages, rule_file, rule_sources
from ..plugin.host.area_rules import AreaRule, RuleArea, RuleAreaKind, gaps, overlaps
from . import common_rules
from .forms import load_form
from .rule_dialog import RuleDialog, named_layer
from .rule_questions import ask_path_to_load, ask_path_to_save, ask_to_replace, tell_problem
from .rules_model import Column, RulesModel

FORM = load_form(__file__)

VISIBLE_ROWS = 4
"""So many rules are seen without scrolling, however small the dialog is made."""

LAYERS_OFFERED = 20
"""So many layers are listed that rules can be suggested around."""

AREA_LETTERS = 12
"""So many letters of every area are seen, however narrow the dialog is made."""

WIDEST_LINES = 28
"""A table that needs a greater width, in lines of text, is scrolled where there is no room."""

ICONS = {
    "add_rule_button": "/symbologyAdd.svg",
    "edit_rule_button": "/symbologyEdit.svg",
    "remove_rule_button": "/symbologyRemove.svg",
    "rule_up_button": "/mActionArrowUp.svg",
    "rule_down_button": "/mActionArrowDown.svg",
    "load_rules_button": "/mActionFileOpen.svg",
    "save_rules_button": "/mActionFileSave.svg",
}


class RulesPanel(QWidget, FORM):
    """The rules, which all dialogs have in common: what one changes, the others show at once.

    `buttons_row`, which works on them, may stand elsewhere.

    `changed`: the rules have changed, or the ticked scales that they are about.
    """

    changed = pyqtSignal()

    def __init__(
        self, canvas: QgsMapCanvas, project: QgsProject, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setupUi(self)
        self._canvas = canvas
        self._project = project
        self._description: CacheDescription | None = None
        self._ticked: tuple[Level, ...] = ()
        self._drawn: RuleArea | None = None
        self._preferred_id = ""
        self._known: tuple[AreaRule, ...] = ()
        self.model = RulesModel(self)
        self.rules_view.setModel(self.model)
        self.rules_view.installEventFilter(self)
        self._set_looks()
        common_rules.join(self.model)
        self._connect()
        self._enable_buttons()

    def unload(self) -> None:
        """Have nothing in common with others any more."""
        common_rules.leave(self.model)

    @property
    def rules(self) -> tuple[AreaRule, ...]:
        """The rules, uppermost first."""
        return self.model.rules

    def show_description(self, description: CacheDescription | None) -> None:
        """Speak of the scales of this service from now on."""
        self._description = description
        self.model.set_description(description)
        self._enable_buttons()

    def show_ticked(self, levels: tuple[Level, ...]) -> None:
        """Count the tiles of these levels."""
        self._ticked = levels
        self.model.set_ticked(levels)

    def show_counts(self, counts: Mapping[int, int]) -> None:
        """Show how many tiles each level has in its area."""
        self.model.set_counts(counts)
        self._fit_columns()

    def set_drawn(self, drawn: areas.DrawnArea) -> None:
        """Offer what was drawn on the canvas as an area."""
        self._drawn = rule_sources.drawn_area(drawn.geometry, drawn.crs)

    def prefer(self, layer: QgsMapLayer | None) -> None:
        """Suggest rules around this layer before all others."""
        self._preferred_id = "" if layer is None else layer.id()

    # What the rules mean now

    def source(self) -> areas.AreaSource:
        """A snapshot of the areas. Raises RequestError, where one of them cannot be had."""
        canvas = rule_sources.CanvasView.of(self._canvas.mapSettings())
        return rule_sources.make_areas(self.rules, self._project, canvas)

    def problem(self) -> str:
        """What is missing, beside what `source` finds wrong, as a sentence; "" for nothing."""
        if not self.rules:
            return self.tr(
                "There is no rule yet: press “Suggest” for a usual set of rules, or “+” for one of"
                " your own."
            )
        left_out = gaps(self.rules, self._ticked)
        if left_out:
            return messages.sentence(LevelsWithoutArea(tuple(each.scale for each in left_out)))
        return ""

    def remark(self) -> str:
        """What a person may not have meant, but can be done; "" for nothing."""
        return messages.overlaps_text(overlaps(self.rules, self._ticked))

    def layers(self) -> list[QgsVectorLayer]:
        """The project's layers that the rules are about."""
        named = [named_layer(rule.area) for rule in self.rules]
        found = [rule_sources.layer_of(each, self._project) for each in named if each is not None]
        return list({layer.id(): layer for layer in found if layer is not None}.values())

    def follows_selection(self) -> bool:
        """Whether it matters which features are selected."""
        named = [named_layer(rule.area) for rule in self.rules]
        return any(each.selected_only for each in named if each is not None)

    def follows_canvas(self) -> bool:
        """Whether it matters what the canvas shows."""
        bases = [rule.area.base or rule.area for rule in self.rules]
        return any(each.kind is RuleAreaKind.CANVAS for each in bases)

    # QWidget interface

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let the keys do in the table what they do in QGIS's lists."""
        if event.type() != QEvent.Type.KeyPress:
            return super().eventFilter(watched, event)
        actions = {
            Qt.Key.Key_Delete: self.remove_rule_button,
            Qt.Key.Key_Return: self.edit_rule_button,
            Qt.Key.Key_Enter: self.edit_rule_button,
        }
        button = actions.get(event.key())
        if button is None:
            return super().eventFilter(watched, event)
        button.click()
        return True

    # Putting the panel together

    def _set_looks(self) -> None:
        for name, icon in ICONS.items():
            getattr(self, name).setIcon(_theme_icon(icon))
        view = self.rules_view
        header, rows = view.horizontalHeader(), view.verticalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(Column.AREA, QHeaderView.ResizeMode.Stretch)
        header.setHighlightSections(False)
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(rows.minimumSectionSize())
        height = header.sizeHint().height() + VISIBLE_ROWS * rows.defaultSectionSize()
        view.setMinimumHeight(height + 2 * view.frameWidth())
        menu = QMenu(self.suggest_button)
        menu.setObjectName("suggest_menu")
        menu.aboutToShow.connect(self._fill_suggestions)
        self.suggest_button.setMenu(menu)

    def _fit_columns(self) -> None:
        """Keep the table wide enough for all numbers and the beginning of every area."""
        view = self.rules_view
        header = view.horizontalHeader()
        columns = AREA_LETTERS * view.fontMetrics().averageCharWidth() + sum(
            max(view.sizeHintForColumn(column), header.sectionSizeHint(column))
            for column in Column
            if column is not Column.AREA
        )
        bar = view.verticalScrollBar().sizeHint().width()
        wanted = columns + bar + 2 * view.frameWidth()
        view.setMinimumWidth(min(wanted, WIDEST_LINES * view.fontMetrics().height()))

    def _connect(self) -> None:
        self.model.rules_changed.connect(self._rules_changed)
        self.rules_view.selectionModel().selectionChanged.connect(self._enable_buttons)
        self.rules_view.doubleClicked.connect(self._edit)
        self.add_rule_button.clicked.connect(self._add)
        self.edit_rule_button.clicked.connect(lambda: self._edit(self._current()))
        self.remove_rule_button.clicked.connect(self._remove)
        self.rule_up_button.clicked.connect(lambda: self._move(-1))
        self.rule_down_button.clicked.connect(lambda: self._move(1))
        self.suggest_button.clicked.connect(lambda: self._suggest(self._bases()[0][1]))
        self.load_rules_button.clicked.connect(self._ask_to_load)
        self.save_rules_button.clicked.connect(self._ask_to_save)

    def _fill_suggestions(self) -> None:
        menu = self.suggest_button.menu()
        menu.clear()
        for text, base in self._bases():
            action = menu.addAction(self.tr("Around {what}").format(what=text))
            action.triggered.connect(lambda _checked, around=base: self._suggest(around))

    def _enable_buttons(self) -> None:
        row, last = self._current().row(), len(self.rules) - 1
        self.edit_rule_button.setEnabled(row >= 0)
        self.remove_rule_button.setEnabled(row >= 0)
        self.rule_up_button.setEnabled(row > 0)
        self.rule_down_button.setEnabled(0 <= row < last)
        self.save_rules_button.setEnabled(bool(self.rules))
        self.suggest_button.setEnabled(self._description is not None)
        text = self.tr(
            "Suggest rules: the world for the overview scales, then the country, the area with its"
            " surroundings, and the area alone. The area is the polygon layer chosen or active,"
            " else what is drawn, else the canvas; the arrow offers all of them."
        )
        if self._description is None:
            text = self.tr("Load a service or cache first, whose scales the rules are to be for")
        self.suggest_button.setToolTip(text)

    # What the buttons do

    def _current(self) -> QModelIndex:
        """A cell of the selected row; an invalid one where none is selected."""
        rows = self.rules_view.selectionModel().selectedRows()
        return rows[0] if rows else QModelIndex()

    def _add(self) -> None:
        cached = self._description.cached_levels if self._description else ()
        gap = first_gap(self.rules, self._ticked) or first_gap(self.rules, cached)
        self._ask(None, gap, self._added)

    def _added(self, rule: AreaRule) -> None:
        self._change((*self.rules, rule), len(self.rules))

    def _edit(self, index: QModelIndex) -> None:
        if not index.isValid():
            return
        before = self.rules[index.row()]

        def edited(rule: AreaRule) -> None:
            if before not in self.rules:  # removed in another dialog meanwhile
                self._added(rule)
                return
            row = self.rules.index(before)
            self._change((*self.rules[:row], rule, *self.rules[row + 1 :]), row)

        self._ask(before, (), edited)

    def _ask(
        self,
        rule: AreaRule | None,
        gap: tuple[Level, ...],
        answered: Callable[[AreaRule], None],
    ) -> None:
        question = RuleDialog(
            self._project, self._description, self._drawn, rule, gap, self.window()
        )
        question.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        question.chosen.connect(answered)
        question.open()

    def _remove(self) -> None:
        row = self._current().row()
        self._change((*self.rules[:row], *self.rules[row + 1 :]), min(row, len(self.rules) - 2))

    def _move(self, step: int) -> None:
        row = self._current().row()
        rules = list(self.rules)
        rules.insert(row + step, rules.pop(row))
        self._change(tuple(rules), row + step)

    def _change(self, rules: tuple[AreaRule, ...], row: int) -> None:
        """Have these rules from now on, that of `row` being selected."""
        self.model.set_rules(rules)
        if row >= 0:
            self.rules_view.selectRow(row)
        self._enable_buttons()

    def _rules_changed(self) -> None:
        self._enable_buttons()
        self._fit_columns()
        self.changed.emit()
        common_rules.share(self.model)

    # Suggesting

    def _bases(self) -> list[tuple[str, RuleArea]]:
        """What rules can be suggested around, in words too: first what is most likely meant."""
        active = self._canvas.currentLayer()
        preferred = self._project.mapLayer(self._preferred_id)
        meant = [each for each in (preferred, active) if _has_polygons(each)]
        by_name = sorted(self._project.mapLayers().values(), key=lambda each: each.name().lower())
        others = [each for each in by_name if _has_polygons(each) and each not in meant]
        canvas = (self.tr("the canvas"), RuleArea(RuleAreaKind.CANVAS))
        drawn = [] if self._drawn is None else [(self.tr("the drawn polygon"), self._drawn)]
        bases = [*map(_layer_base, dict.fromkeys(meant)), *drawn, canvas]
        return bases + [_layer_base(each) for each in others[:LAYERS_OFFERED]]

    def _suggest(self, base: RuleArea) -> None:
        try:
            rules = rule_sources.suggested_rules(base, self._description)
        except TileCacheError as error:
            tell_problem(error, self.window())
            return
        self._replace(rules)

    def _replace(self, rules: tuple[AreaRule, ...]) -> None:
        """Have these rules instead, once the person agrees to lose what is saved nowhere else."""

        def replace() -> None:
            self._known = rules
            self._change(rules, -1)

        if self.rules in ((), self._known, rules):
            replace()
        else:
            ask_to_replace(len(self.rules), self.window(), replace)

    # Files

    def _ask_to_load(self) -> None:
        ask_path_to_load(self.window(), self._load)

    def _load(self, path: Path) -> None:
        try:
            rules = rule_file.load_rules(path)
        except TileCacheError as error:
            tell_problem(error, self.window())
            return
        self._replace(rules)

    def _ask_to_save(self) -> None:
        ask_path_to_save(self.window(), self._save)

    def _save(self, path: Path) -> None:
        try:
            rule_file.save_rules(path, self.rules)
        except TileCacheError as error:
            tell_problem(error, self.window())
            return
        self._known = self.rules


def first_gap(rules: tuple[AreaRule, ...], levels: tuple[Level, ...]) -> tuple[Level, ...]:
    """The first of `levels` that no rule holds, with those that follow it up to one that is."""
    left_out = gaps(rules, levels)
    if not left_out:
        return ()
    following = levels[levels.index(left_out[0]) :]
    return tuple(itertools.takewhile(lambda level: level in left_out, following))


def _theme_icon(name: str) -> QIcon:
    return QgsApplication.getThemeIcon(name)


def _has_polygons(layer: QgsMapLayer | None) -> bool:
    if not isinstance(layer, QgsVectorLayer) or not layer.isValid():
        return False
    return layer.geometryType() == QgsWkbTypes.GeometryType.PolygonGeometry


def _layer_base(layer: QgsVectorLayer) -> tuple[str, RuleArea]:
    return f"“{layer.name()}”", rule_sources.layer_area(layer)
