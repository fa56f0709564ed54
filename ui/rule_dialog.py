"""The dialog in which one rule is made: a range of scales and its area."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from qgis.core import (
    QgsExpression,
    QgsFeatureRequest,
    QgsMapLayer,
    QgsMapLayerProxyModel,
    QgsProject,
)
from qgis.gui import QgsFilterLineEdit
from qgis.PyQt.QtCore import QLocale, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QLineEdit, QWidget

from ..plugin.core.description import CacheDescription
from ..plugin.core.errors import BadScales
from ..plugin.core.scales import parse_scales
from ..plugin.core.tiling import Level
from ..plugin.host import messages, rule_sources
from ..plugin.host.area_rules import AreaRule, RuleArea, RuleAreaKind, ScaleRange
from .forms import load_form
from .layer_leaving import LayerLeaving, has_layers
from .rules_model import scale_end_text

FORM = load_form(__file__)

METRES_A_KILOMETRE = 1000

FINEST_KILOMETRES = 10
"""What is shown in kilometres is a multiple of so many metres, for it has two decimals."""

PROBLEM_LINES = 3
"""So many lines of text are kept free for what is wrong, so that the form stays where it is."""

NATURAL_LINES = 26
"""Width of the dialog before a person changes it, in lines of text."""


@dataclass(frozen=True)
class AreaChoice:
    """A line of the list of areas, and the area it stands for.

    `area`: without what the other fields say; None: there is none yet, and `missing` says why.
    """

    text: str
    area: RuleArea | None
    missing: str = ""

    @property
    def takes_layer(self) -> bool:
        """Whether a layer has to be chosen as well."""
        return self.area is not None and named_layer(self.area) is not None


class RuleDialog(QDialog, FORM):
    """Asks for a new rule, or for another form of `rule`; `chosen` carries it.

    `drawn`: what is drawn on the canvas at present, if anything. `gap`: the scales that have no
    rule yet, which a new one is first offered for. Open it with `open()`.
    """

    chosen = pyqtSignal(object)

    def __init__(
        self,
        project: QgsProject,
        description: CacheDescription | None,
        drawn: RuleArea | None,
        rule: AreaRule | None = None,
        gap: tuple[Level, ...] = (),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        LayerLeaving(project, lambda: self.rule_layer_combo, self)
        self.setupUi(self)
        self._project = project
        self._levels = () if description is None else description.cached_levels
        self._rule = rule
        self._choices = self._area_choices(drawn, None if rule is None else rule.area)
        self._usual_field = QgsFilterLineEdit(self)
        self._usual_field.hide()
        self._usual_field.ensurePolished()
        self._fill_lists()
        self._show_rule(rule, gap)
        line = self.fontMetrics().lineSpacing()
        self.problem_label.setMinimumHeight(PROBLEM_LINES * line)
        self._connect()
        self._area_chosen()
        self.resize(NATURAL_LINES * line, self.sizeHint().height())

    def rule(self) -> AreaRule:
        """The rule as the form says it; only where `problem` finds nothing."""
        return AreaRule(self._scale(self.from_combo), self._scale(self.to_combo), self._area())

    def problem(self) -> str:
        """What is missing or wrong, as a sentence; "" for nothing."""
        for combo in (self.from_combo, self.to_combo):
            try:
                self._scale(combo)
            except ValueError:
                return self.tr(
                    "“{text}” is no scale: choose one from the list, or type one such as 1:50000."
                ).format(text=combo.currentText())
        choice = self._choice()
        if choice.area is None:
            return choice.missing
        return self._layer_problem() if choice.takes_layer else ""

    # Filling the form

    def _area_choices(self, drawn: RuleArea | None, own: RuleArea | None) -> list[AreaChoice]:
        """What can be chosen; a polygon that the rule has already stays to be chosen."""
        kinds = RuleAreaKind
        nothing = self.tr(
            "Nothing is drawn: close this, draw a polygon with “Draw Polygon” in the list of areas,"
            " and come back to the rules."
        )
        layer, canvas = RuleArea(kinds.LAYER), RuleArea(kinds.CANVAS)
        drawn_choices = [
            AreaChoice(self.tr("Drawn Polygon"), drawn, nothing),
            AreaChoice(self.tr("Countries of the Drawn Polygon"), countries(drawn), nothing),
        ]
        choices = [
            AreaChoice(self.tr("Full Extent"), RuleArea(kinds.FULL)),
            AreaChoice(self.tr("Polygon Layer"), layer),
            AreaChoice(self.tr("Canvas Extent"), canvas),
            drawn_choices[0],
            AreaChoice(self.tr("Countries of a Layer"), countries(layer)),
            AreaChoice(self.tr("Countries of the Canvas"), countries(canvas)),
            drawn_choices[1],
        ]
        kept = own and without_buffer(own)
        if kept is not None and kept.kind is kinds.GEOMETRY and kept != drawn:
            choices.append(AreaChoice(self.tr("Polygon Drawn Earlier"), kept))
        is_of_polygon = kept is not None and kept.base and kept.base.kind is kinds.GEOMETRY
        if is_of_polygon and kept.base != drawn:
            choices.append(AreaChoice(self.tr("Countries of the Polygon Drawn Earlier"), kept))
        return choices

    def _fill_lists(self) -> None:
        for combo in (self.from_combo, self.to_combo):
            for level in self._levels:
                combo.addItem(messages.scale_text(level.scale), level.scale)
            combo.setCompleter(None)  # which would turn 1:72 into 1:72,224
        self.from_combo.insertItem(0, scale_end_text(None), None)
        self.to_combo.addItem(scale_end_text(None), None)
        for choice in self._choices:
            self.kind_combo.addItem(choice.text)
        self.rule_layer_combo.setFilters(QgsMapLayerProxyModel.Filter.PolygonLayer)
        self.rule_layer_combo.setCurrentIndex(0)
        self.rule_layer_combo.setAllowEmptyLayer(True)
        self.buffer_unit_combo.addItem(self.tr("metres"), 1)
        self.buffer_unit_combo.addItem(self.tr("kilometres"), METRES_A_KILOMETRE)
        self.filter_edit.setExpressionDialogTitle(self.tr("Features of the Area"))

    def _show_rule(self, rule: AreaRule | None, gap: tuple[Level, ...]) -> None:
        if rule is None:
            ends = (gap[0].scale, gap[-1].scale) if gap else (None, None)
            has_layer = self.rule_layer_combo.currentLayer() is not None
            area = RuleArea(RuleAreaKind.LAYER if has_layer else RuleAreaKind.FULL)
        else:
            ends, area = (rule.from_scale, rule.to_scale), rule.area
            self._show_layer(area)
        self._show_scale(self.from_combo, ends[0])
        self._show_scale(self.to_combo, ends[1])
        self.kind_combo.setCurrentIndex(self._row_of(area))
        is_long = area.buffer_metres >= METRES_A_KILOMETRE
        is_round = area.buffer_metres % FINEST_KILOMETRES == 0
        unit = METRES_A_KILOMETRE if rule is None or (is_long and is_round) else 1
        self.buffer_unit_combo.setCurrentIndex(self.buffer_unit_combo.findData(unit))
        self.buffer_spin.setValue(area.buffer_metres / unit)

    def _show_layer(self, area: RuleArea) -> None:
        named = named_layer(area)
        if named is not None:
            self.rule_layer_combo.setLayer(rule_sources.layer_of(named, self._project))
            self.filter_edit.setExpression(named.expression)
            self.rule_selected_check.setChecked(named.selected_only)

    def _show_scale(self, combo: QComboBox, scale: float | None) -> None:
        text = scale_end_text(None)
        if scale is not None:
            same = [level for level in self._levels if ScaleRange(scale, scale).holds(level)]
            text = messages.scale_text(same[0].scale if same else scale)
        combo.setCurrentIndex(combo.findText(text))
        combo.setEditText(text)

    def _row_of(self, area: RuleArea) -> int:
        """The line of the list that stands for `area`."""
        wanted = without_buffer(area)
        for row, choice in enumerate(self._choices):
            if choice.area is not None and choice.area == wanted:
                return row
        return next(row for row, choice in enumerate(self._choices) if is_alike(choice.area, area))

    def _connect(self) -> None:
        self.kind_combo.currentIndexChanged.connect(self._area_chosen)
        self.rule_layer_combo.layerChanged.connect(self._layer_chosen)
        self.from_combo.editTextChanged.connect(self._changed)
        self.to_combo.editTextChanged.connect(self._changed)
        self.filter_edit.expressionChanged.connect(self._changed)
        self.button_box.accepted.connect(self.accept)
        self.button_box.rejected.connect(self.reject)
        self.accepted.connect(lambda: self.chosen.emit(self.rule()))

    # Reading the form

    def _choice(self) -> AreaChoice:
        return self._choices[self.kind_combo.currentIndex()]

    def _scale(self, combo: QComboBox) -> float | None:
        """The scale in `combo`; None for an open end. Raises ValueError."""
        text = combo.currentText().strip()
        row = combo.findText(text, Qt.MatchFlag.MatchFixedString)
        return combo.itemData(row) if row >= 0 else read_scale(text)

    def _area(self) -> RuleArea:
        area = self._choice().area
        if area.kind is RuleAreaKind.LAYER:
            area = self._layer_area()
        elif area.base is not None:
            area = replace(area, base=self._base(area.base))
        if area.kind is RuleAreaKind.FULL:
            return area
        unit = self.buffer_unit_combo.currentData()
        return replace(area, buffer_metres=self.buffer_spin.value() * unit)

    def _base(self, base: RuleArea) -> RuleArea:
        """What countries are touched by: `base`, as wide as a file of rules may have made it."""
        own = None if self._rule is None else self._rule.area.base
        buffer_metres = base.buffer_metres
        if own is not None and own.kind is base.kind and base.kind is not RuleAreaKind.GEOMETRY:
            buffer_metres = own.buffer_metres
        if base.kind is RuleAreaKind.LAYER:
            base = self._layer_area()
        return replace(base, buffer_metres=buffer_metres)

    def _layer_area(self) -> RuleArea:
        return rule_sources.layer_area(
            self.rule_layer_combo.currentLayer(),
            expression=self._expression(),
            selected_only=self.rule_selected_check.isChecked(),
        )

    def _expression(self) -> str:
        return self.filter_edit.expression().strip()

    def _layer_problem(self) -> str:
        layer = self.rule_layer_combo.currentLayer()
        if layer is None:
            return self._layer_missing()
        text = self._expression()
        expression = QgsExpression(text)
        if text and expression.hasParserError():
            return self.tr("The filter is no expression that QGIS understands: {reason}").format(
                reason=" ".join(expression.parserErrorString().split())
            )
        names = {field.name().lower() for field in layer.fields()}
        unknown = sorted(
            name
            for name in expression.referencedColumns()
            if name != QgsFeatureRequest.ALL_ATTRIBUTES and name.lower() not in names
        )
        if text and unknown:
            return self.tr("The filter names a field that “{layer}” does not have: {name}").format(
                layer=layer.name(), name=unknown[0]
            )
        return ""

    def _layer_missing(self) -> str:
        named = None if self._rule is None else named_layer(self._rule.area)
        if named is not None and rule_sources.layer_of(named, self._project) is None:
            return self.tr(
                "The project has no layer “{name}” any more: choose another one."
            ).format(name=named.layer_name)
        if not has_layers(self.rule_layer_combo):
            return self.tr("The project has no polygon layer: add one, or choose another area.")
        return self.tr("Choose the layer.")

    # What the form does

    def _area_chosen(self) -> None:
        choice = self._choice()
        for widget in (
            self.layer_label,
            self.rule_layer_combo,
            self.rule_selected_check,
            self.filter_label,
            self.filter_edit,
        ):
            widget.setVisible(choice.takes_layer)
        has_buffer = choice.area is not None and choice.area.kind is not RuleAreaKind.FULL
        self.buffer_label.setVisible(has_buffer)
        self.buffer_row.setVisible(has_buffer)
        self._layer_chosen(self.rule_layer_combo.currentLayer())

    def _layer_chosen(self, layer: QgsMapLayer | None) -> None:
        self.filter_edit.setLayer(layer)
        self._changed()

    def _changed(self) -> None:
        problem = self.problem()
        text = problem or self._remark()
        self._show_filter()
        self.problem_label.setText(text)
        ok_button = self.button_box.button(QDialogButtonBox.StandardButton.Ok)
        ok_button.setEnabled(not problem)
        ok_button.setToolTip(problem)

    def _show_filter(self) -> None:
        """Write a good filter in the colour of all other fields: QGIS writes it in black."""
        if not QgsExpression(self._expression()).hasParserError() or not self._expression():
            field = self.filter_edit.findChild(QLineEdit)
            field.setPalette(self._usual_field.palette())

    def _remark(self) -> str:
        """What a person may not have meant, but can be done; "" for nothing."""
        ends = [self._scale(combo) for combo in (self.from_combo, self.to_combo)]
        scales = ScaleRange(*ends)
        if ends[0] != scales.from_scale:
            return self.tr("“To” is the coarser scale of the two: they will change places.")
        if self._levels and not any(scales.holds(level) for level in self._levels):
            return self.tr("The cache has no scale in this range.")
        return ""


def read_scale(text: str) -> float | None:
    """The denominator that a person typed, as `1:50,000`, `50.000`; None for "", an open end.

    Raises ValueError.
    """
    before, colon, after = text.rpartition(":")
    if colon and before.strip() != "1":
        raise ValueError(text)
    typed = after.strip()
    if not typed and not colon:
        return None
    try:
        (scale,) = parse_scales(typed)
    except BadScales:  # digits and groups of other languages
        scale, is_number = QLocale().toDouble(typed)
        if not is_number:
            raise ValueError(text) from None
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(text)
    return scale


def countries(area: RuleArea | None) -> RuleArea | None:
    """The countries that `area` touches; None of None."""
    return None if area is None else RuleArea(RuleAreaKind.COUNTRY, base=area)


def named_layer(area: RuleArea) -> RuleArea | None:
    """The part of `area` that names a layer; None where it is not about one."""
    if area.base is not None:
        return named_layer(area.base)
    return area if area.kind is RuleAreaKind.LAYER else None


def without_buffer(area: RuleArea) -> RuleArea:
    """`area` before it is made wider."""
    return replace(area, buffer_metres=0.0)


def is_alike(one: RuleArea | None, other: RuleArea) -> bool:
    """Whether both are of the same kind, and about the same kind of thing."""
    if one is None or one.kind is not other.kind:
        return False
    return one.base is None or (other.base is not None and one.base.kind is other.base.kind)
