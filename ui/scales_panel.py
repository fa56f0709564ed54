"""The panel with the checkable list of scales."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.core import QgsUnitTypes
from qgis.PyQt.QtCore import QEvent, QObject, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QHeaderView, QWidget

from ..plugin.core.description import CacheDescription
from ..plugin.core.request import LevelEstimate
from ..plugin.core.tiling import Level
from ..plugin.host import messages
from ..plugin.host.crs import qgis_crs
from .forms import load_form
from .scales_model import Column, ScalesModel

FORM = load_form(__file__)

VISIBLE_ROWS = 4
"""So many scales are seen without scrolling, however small the dialog is made."""


class ScalesPanel(QWidget, FORM):
    """Which scales are meant."""

    ticked_changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setupUi(self)
        self.model = ScalesModel(self)
        self.scales_view.setModel(self.model)
        self.scales_view.installEventFilter(self)
        self._set_sizes()
        self.check_all_button.clicked.connect(self.model.tick_all)
        self.check_none_button.clicked.connect(self.model.tick_none)
        self.invert_button.clicked.connect(self.model.invert)
        self.range_button.clicked.connect(self._tick_range)
        self.model.ticked_changed.connect(self.ticked_changed)
        self.show_description(None)

    def show_description(self, description: CacheDescription | None) -> None:
        """List the levels of `description`. Raises DescriptionError where its CRS is unknown."""
        unit = ""
        if description is not None:
            map_units = qgis_crs(description.scheme.crs, description.name).mapUnits()
            unit = QgsUnitTypes.toAbbreviatedString(map_units)
        self.model.set_description(description, unit)
        self._fill_range(self.model.cached_levels())
        self._fit_columns()
        for button in (self.check_all_button, self.check_none_button, self.invert_button):
            button.setEnabled(description is not None)

    def hide_tiles(self) -> None:
        """Show no numbers of tiles: the cache is still to be made."""
        for column in (Column.TILES, Column.CACHED):
            self.scales_view.setColumnHidden(column, True)
        header = self.scales_view.horizontalHeader()
        header.setSectionResizeMode(Column.RESOLUTION, QHeaderView.ResizeMode.Stretch)
        self.check_all_button.setToolTip(self.tr("Tick all scales"))
        self._fit_columns()

    def show_status(self, description: CacheDescription) -> None:
        """Show how full the levels are by now; `description` is the shown one in all else."""
        self.model.set_status(description)
        self._fit_columns()

    def ticked_levels(self) -> tuple[Level, ...]:
        """The ticked levels, coarsest first."""
        return self.model.ticked_levels()

    def tick_only(self, ids: Iterable[int]) -> None:
        """Tick the levels with these ids, and no others."""
        self.model.tick_only(ids)

    def set_counts(self, counts: dict[int, int]) -> None:
        """Show how many tiles the area touches, by level id."""
        self.model.set_counts(counts)
        self._fit_columns()

    def show_estimates(self, estimates: Iterable[LevelEstimate]) -> None:
        """Tell what each scale takes, where one points at its number of tiles."""
        self.model.set_estimates(estimates)

    # QObject interface

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let the space bar toggle all selected rows; Qt's own way toggles the current one only."""
        if event.type() != QEvent.Type.KeyPress or event.key() != Qt.Key.Key_Space:
            return super().eventFilter(watched, event)
        rows = {index.row() for index in self.scales_view.selectionModel().selectedIndexes()}
        self.model.toggle_rows(rows)
        return True

    def _set_sizes(self) -> None:
        """Close rows, of which VISIBLE_ROWS are always seen, and columns as wide as their texts."""
        header, rows = self.scales_view.horizontalHeader(), self.scales_view.verticalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(Column.CACHED, QHeaderView.ResizeMode.Stretch)
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(rows.minimumSectionSize())
        height = header.sizeHint().height() + VISIBLE_ROWS * rows.defaultSectionSize()
        self.scales_view.setMinimumHeight(height + 2 * self.scales_view.frameWidth())

    def _fit_columns(self) -> None:
        """Keep the list wide enough for all of every column, whatever the size of the letters."""
        view = self.scales_view
        columns = sum(
            max(view.sizeHintForColumn(column), view.horizontalHeader().sectionSizeHint(column))
            for column in Column
            if not view.isColumnHidden(column)
        )
        bar = view.verticalScrollBar().sizeHint().width()
        view.setMinimumWidth(columns + bar + 2 * view.frameWidth())

    def _fill_range(self, levels: tuple[Level, ...]) -> None:
        for combo in (self.range_from_combo, self.range_to_combo):
            combo.clear()
            for level in levels:
                combo.addItem(messages.scale_text(level.scale), level.id)
            combo.setEnabled(bool(levels))
            # Qt keeps the least width that the empty list had, and some styles leave no room for
            # the arrow.
            arrow = 2 * combo.fontMetrics().averageCharWidth()
            combo.setMinimumWidth(combo.sizeHint().width() + arrow)
        self.range_from_combo.setCurrentIndex(0)
        self.range_to_combo.setCurrentIndex(len(levels) - 1)
        self.range_button.setEnabled(bool(levels))

    def _tick_range(self) -> None:
        self.model.tick_range(
            self.range_from_combo.currentData(), self.range_to_combo.currentData()
        )
