"""The panel in which the area of interest is chosen or drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qgis.core import (
    QgsCoordinateTransformContext,
    QgsGeometry,
    QgsMapLayerProxyModel,
    QgsProject,
)
from qgis.gui import QgsMapCanvas, QgsMapTool
from qgis.PyQt import sip
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QWidget

from ..plugin.core.description import CacheDescription
from ..plugin.core.errors import TileCacheError
from ..plugin.core.tiling import Level
from ..plugin.host import areas, messages, rule_sources
from ..plugin.host.crs import qgis_crs
from .area_kinds import AreaKind, kind_texts
from .area_map_tools import AreaMapTool, PolygonMapTool, RectangleMapTool
from .forms import load_form
from .layer_leaving import LayerLeaving, has_layers
from .layer_watch import LayerWatch
from .rules_panel import RulesPanel
from .typed_extent import placed_rectangle

FORM = load_form(__file__)

TOOLS = {AreaKind.POLYGON: PolygonMapTool, AreaKind.RECTANGLE: RectangleMapTool}


PROJECT_KINDS = (AreaKind.UNION, AreaKind.INTERSECTION)


@dataclass(frozen=True)
class ChosenArea:
    """An area, or what the person has to do before there is one.

    Both: the area can be shown and counted, but is none yet of all that is wanted.
    """

    source: areas.AreaSource | None
    problem: str


class AreaPanel(QWidget, FORM):
    """Where tiles are to be updated.

    `area_changed` follows the form, and the canvas, the layers and the selection as far as the
    chosen kind of area, or what is shown of it, depends on them.
    """

    area_changed = pyqtSignal()
    drawing_started = pyqtSignal()
    drawing_ended = pyqtSignal()

    def __init__(
        self, canvas: QgsMapCanvas, project: QgsProject, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._leaving = LayerLeaving(project, lambda: self.area_layer_combo, self)
        self.setupUi(self)
        self._canvas = canvas
        self._project = project
        self._description: CacheDescription | None = None
        self._chosen: ChosenArea | None = None
        self._drawn: dict[AreaKind, areas.DrawnArea] = {}
        self._tool: AreaMapTool | None = None
        self._previous_tool: QgsMapTool | None = None
        self._watch = LayerWatch(self)
        self.rules_panel = RulesPanel(canvas, project, self)
        self.area_layout.insertWidget(self.area_layout.count() - 1, self.rules_panel, 1)
        self.kind_layout.addWidget(self.rules_panel.buttons_row)  # dialogs are high enough as it is
        for kind, text in kind_texts().items():
            self.area_kind_combo.addItem(text, kind)
        self.area_kind_combo.view().setMinimumWidth(
            self.area_kind_combo.view().sizeHintForColumn(0)
        )
        self._connect()
        self._kind_changed()

    def _connect(self) -> None:
        self.area_kind_combo.currentIndexChanged.connect(self._kind_changed)
        self.area_layer_combo.layerChanged.connect(self._layer_chosen)
        self.selected_only_check.toggled.connect(self._layer_chosen)
        self.typed_extent_edit.textChanged.connect(self._changed)
        self.draw_button.clicked.connect(self._draw_clicked)
        self._watch.changed.connect(self._changed)
        self.rules_panel.changed.connect(self._rules_changed)
        self._canvas.extentsChanged.connect(self._canvas_moved)
        self._canvas.rotationChanged.connect(self._canvas_moved)
        self._canvas.destinationCrsChanged.connect(self._canvas_crs_changed)
        self._project.layersAdded.connect(self._layers_changed)
        self._project.layersRemoved.connect(self._layers_changed)
        self._project.crsChanged.connect(self._layers_changed)

    def unload(self) -> None:
        """Let go of the canvas and the project."""
        self.stop_drawing()
        self._leaving.unload()
        self.rules_panel.unload()
        self._watch.watch([])
        self._canvas.extentsChanged.disconnect(self._canvas_moved)
        self._canvas.rotationChanged.disconnect(self._canvas_moved)
        self._canvas.destinationCrsChanged.disconnect(self._canvas_crs_changed)
        self._project.layersAdded.disconnect(self._layers_changed)
        self._project.layersRemoved.disconnect(self._layers_changed)
        self._project.crsChanged.disconnect(self._layers_changed)

    def kind(self) -> AreaKind:
        """The chosen kind of area."""
        return self.area_kind_combo.currentData()

    def set_kind(self, kind: AreaKind) -> None:
        """Choose a kind of area."""
        self.area_kind_combo.setCurrentIndex(self.area_kind_combo.findData(kind))

    def show_description(self, description: CacheDescription | None) -> None:
        """Speak of this service from now on."""
        self._description = description
        self.rules_panel.show_description(description)
        if self._chosen is not None:
            self._show_note(self._chosen)

    def show_ticked(self, levels: tuple[Level, ...]) -> None:
        """Speak of these ticked levels from now on: rules of areas may leave some of them out."""
        self.rules_panel.show_ticked(levels)
        if self.kind() is AreaKind.RULES and self._chosen is not None:
            source = self._chosen.source
            if source is not None:  # the areas stay the same, and are not to be counted again
                self._chosen = ChosenArea(source, self.rules_panel.problem())
            self._show_note(self._chosen)

    def show_counts(self, counts: Mapping[int, int]) -> None:
        """Show how many tiles the area has, by level id, where the area differs by scale."""
        self.rules_panel.show_counts(counts if self.kind() is AreaKind.RULES else {})

    def chosen(self) -> ChosenArea:
        """The area as it is now: made once for every change of it, and said below the choice."""
        self._watch.tell_pending()
        if self._chosen is None:
            self._chosen = self._choose()
            self._show_note(self._chosen)
        return self._chosen

    def drawing_hint(self) -> str:
        """How to draw, for the person who looks at the canvas."""
        if self.kind() is AreaKind.RECTANGLE:
            return self.tr("Drag from one corner of the area to the opposite one. Esc cancels.")
        return self.tr(
            "Click the corners of the area; right-click or Enter finishes, "
            "Backspace removes the last corner, Esc cancels."
        )

    def stop_drawing(self) -> None:
        """End a drawing that is under way, without a result."""
        if self._tool is not None:
            self._drawing_over(restore=True)

    # Making the area

    def _choose(self) -> ChosenArea:
        missing = self._missing()
        if missing:
            return ChosenArea(None, missing)
        try:
            source = self._source()
        except TileCacheError as error:
            return ChosenArea(None, messages.sentence(error))
        is_by_rules = self.kind() is AreaKind.RULES
        return ChosenArea(source, self.rules_panel.problem() if is_by_rules else "")

    def _missing(self) -> str:
        """What the person still has to do before there is an area; "" for nothing."""
        kind = self.kind()
        if kind in TOOLS and kind not in self._drawn:
            return self.tr("Nothing is drawn yet: press “Draw on Canvas”, then draw on the map.")
        if kind.takes_layer and self.area_layer_combo.currentLayer() is None:
            if has_layers(self.area_layer_combo):
                return self.tr("Choose the layer.")
            return self.tr(
                "The project has no layer of this kind: add one, or choose another area."
            )
        if kind is AreaKind.RULES and not self.rules_panel.rules:
            return self.rules_panel.problem()
        if kind is AreaKind.TYPED and not self.typed_extent_edit.text().strip():
            return self.tr(
                "Type the extent as four numbers: xmin ymin xmax ymax. Or as QGIS writes it:"
                " xmin,xmax,ymin,ymax [EPSG:code]."
            )
        return ""

    def _source(self) -> areas.AreaSource:
        """A snapshot of the chosen area; only where nothing is missing. Raises RequestError."""
        kind, layer = self.kind(), self.area_layer_combo.currentLayer()
        if kind in TOOLS:
            return self._drawn[kind]
        if kind is AreaKind.LAYER:
            return areas.LayerArea.of(layer, self.selected_only_check.isChecked(), self._context())
        if kind is AreaKind.LAYER_EXTENT:
            return areas.RectangleArea(layer.name(), layer.extent(), layer.crs(), self._context())
        if kind is AreaKind.CANVAS:
            return self._canvas_area()
        if kind in PROJECT_KINDS:
            how = "union" if kind is AreaKind.UNION else "intersection"
            return areas.project_extents(self._project, how)
        if kind is AreaKind.TYPED:
            return self._typed_area(self.typed_extent_edit.text())
        if kind is AreaKind.RULES:
            return self.rules_panel.source()
        return areas.FullExtent()

    def _typed_area(self, text: str) -> areas.AreaSource:
        placed = placed_rectangle(text)
        if placed is None:
            return areas.TypedExtent(text)
        return areas.RectangleArea(text.strip(), *placed, self._context())

    def _context(self) -> QgsCoordinateTransformContext:
        return areas.project_context(self._project)

    def _canvas_area(self) -> areas.AreaSource:
        view = rule_sources.CanvasView.of(self._canvas.mapSettings())
        return rule_sources.canvas_area(view, self.tr("Map canvas"), self._context())

    # What the form does

    def _kind_changed(self) -> None:
        self.stop_drawing()
        kind = self.kind()
        self.draw_row.setVisible(kind in TOOLS)
        self.layer_row.setVisible(kind.takes_layer)
        self.selected_only_check.setVisible(kind is AreaKind.LAYER)
        self.typed_extent_edit.setVisible(kind is AreaKind.TYPED)
        self.rules_panel.setVisible(kind is AreaKind.RULES)
        self.rules_panel.buttons_row.setVisible(kind is AreaKind.RULES)
        self._filter_layers(kind)
        self._changed()

    def _filter_layers(self, kind: AreaKind) -> None:
        filters = QgsMapLayerProxyModel.Filter
        self.area_layer_combo.setFilters(
            filters.PolygonLayer if kind is AreaKind.LAYER else filters.All
        )
        self._watch_layers()

    def _watch_layers(self) -> None:
        """Follow the layers that the chosen kind of area depends on."""
        kind, layer = self.kind(), self.area_layer_combo.currentLayer()
        if kind is AreaKind.LAYER:
            self.rules_panel.prefer(layer)
        if kind in PROJECT_KINDS:
            self._watch.watch(self._project.mapLayers().values())
        elif kind is AreaKind.RULES:
            self._watch.watch(
                self.rules_panel.layers(), selection=self.rules_panel.follows_selection()
            )
        elif kind.takes_layer and layer is not None:
            selected_only = kind is AreaKind.LAYER and self.selected_only_check.isChecked()
            self._watch.watch([layer], selection=selected_only)
        else:
            self._watch.watch([])

    def _changed(self) -> None:
        self._chosen = None
        self.area_changed.emit()

    def _layer_chosen(self) -> None:
        if self.kind().takes_layer:
            self._watch_layers()
            self._changed()

    def _rules_changed(self) -> None:
        if self.kind() is AreaKind.RULES:
            self._watch_layers()
            self._changed()

    def _follows_canvas(self) -> bool:
        is_by_rules = self.kind() is AreaKind.RULES
        return self.rules_panel.follows_canvas() if is_by_rules else self.kind() is AreaKind.CANVAS

    def _canvas_moved(self) -> None:
        if self._follows_canvas():
            self._changed()

    def _canvas_crs_changed(self) -> None:
        """What is shown changes with the canvas's CRS, but only the canvas's own area does."""
        if self._follows_canvas():
            self._chosen = None
        self.area_changed.emit()

    def _layers_changed(self) -> None:
        if self.kind() in (*PROJECT_KINDS, AreaKind.RULES):
            self._watch_layers()
            self._changed()

    def _show_note(self, chosen: ChosenArea) -> None:
        """Say below the choice what is missing or wrong with it, else what it means."""
        note = chosen.problem or self._meaning(chosen.source)
        if self.kind() is AreaKind.RULES:
            note = "\n".join(text for text in (chosen.problem, self.rules_panel.remark()) if text)
        self.area_note_label.setText(note)
        self.area_note_label.setVisible(bool(note))
        drawn = self.kind() in self._drawn
        self.drawn_label.setText(self.tr("Drawn: shown on the map.") if drawn else "")

    def _meaning(self, source: areas.AreaSource) -> str:
        if self.kind() is AreaKind.FULL:
            return self.tr("The whole cache.")
        if self.kind() is AreaKind.TYPED and isinstance(source, areas.RectangleArea):
            return self.tr("In {crs}.").format(crs=source.crs.userFriendlyIdentifier())
        if self.kind() is AreaKind.TYPED and self._description is not None:
            crs = qgis_crs(self._description.scheme.crs, self._description.name)
            text = self.tr("In the service's CRS, {crs}.")
            if self._description.is_local:
                text = self.tr("In the cache's CRS, {crs}.")
            return text.format(crs=crs.userFriendlyIdentifier())
        return ""

    # Drawing

    def _draw_clicked(self) -> None:
        if self._tool is not None:
            self.stop_drawing()
            return
        tool = TOOLS[self.kind()](self._canvas)
        tool.drawn.connect(self._drawing_done)
        tool.cancelled.connect(lambda: self._drawing_over(restore=True))
        tool.replaced.connect(lambda: self._drawing_over(restore=False))
        self._tool, self._previous_tool = tool, self._canvas.mapTool()
        self._canvas.setMapTool(tool)
        self._canvas.setFocus()
        self.drawing_started.emit()

    def _drawing_done(self, geometry: QgsGeometry) -> None:
        drawn = areas.DrawnArea(geometry, self._tool.crs, self._context())
        self._drawn[self.kind()] = drawn
        self.rules_panel.set_drawn(drawn)
        self._drawing_over(restore=True)
        self._changed()

    def _drawing_over(self, *, restore: bool) -> None:
        """Give the canvas its previous tool back, except where another one is being set."""
        tool, previous = self._tool, self._previous_tool
        if tool is None:  # the previous tool is being given back
            return
        self._tool = self._previous_tool = None
        self.draw_button.setChecked(False)
        if restore:
            if previous is not None and not sip.isdeleted(previous):
                self._canvas.setMapTool(previous)
            else:
                self._canvas.unsetMapTool(tool)
        tool.deleteLater()  # it belongs to the canvas, which would keep it
        self.drawing_ended.emit()
