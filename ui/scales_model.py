"""The checkable list of a cache's scales."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any

from qgis.PyQt.QtCore import QAbstractTableModel, QLocale, QModelIndex, QObject, Qt, pyqtSignal

from ..plugin.core.description import CacheDescription, LevelStatus
from ..plugin.core.request import LevelEstimate
from ..plugin.core.tiling import Level
from ..plugin.host import messages

RESOLUTION_DIGITS = 6
"""Significant digits of a shown resolution: enough to tell the levels of any scheme apart."""


class Column(IntEnum):
    """The columns of the list."""

    SCALE = 0
    LEVEL = 1
    RESOLUTION = 2
    TILES = 3
    CACHED = 4


class ScalesModel(QAbstractTableModel):
    """The levels of a service or cache, coarsest first, those that may hold tiles tickable.

    `ticked_changed` is emitted once per change of what is ticked, however many rows it touches.
    """

    ticked_changed = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._description: CacheDescription | None = None
        self._levels: tuple[Level, ...] = ()
        self._unit = ""
        self._ticked: set[int] = set()
        self._counts: dict[int, int] = {}
        self._estimates: dict[int, str] = {}

    def set_description(self, description: CacheDescription | None, unit: str = "") -> None:
        """Show the levels of `description`; `unit` is that of its CRS.

        All cached levels are ticked; where the service shown before is loaded anew, those that
        were ticked stay so.
        """
        kept = self._ticked if self._is_reload(description) else None
        self.beginResetModel()
        self._description = description
        self._unit = unit
        self._counts = {}
        self._estimates = {}
        self._levels = description.scheme.levels if description else ()
        cached = {level.id for level in self.cached_levels()}
        self._ticked = cached if kept is None else cached & kept
        self.endResetModel()
        self.ticked_changed.emit()

    def set_status(self, description: CacheDescription) -> None:
        """Show how full the levels are by now; `description` is the shown one in all else."""
        self._description = description
        self._column_changed(Column.CACHED)

    def set_counts(self, counts: Mapping[int, int]) -> None:
        """Show how many tiles the area touches, by level id; levels not named show nothing."""
        if counts == self._counts:
            return
        self._counts = dict(counts)
        self._column_changed(Column.TILES)

    def set_estimates(self, estimates: Iterable[LevelEstimate]) -> None:
        """Tell these estimates as tool tips of the numbers of tiles, and no others."""
        self._estimates = {
            each.level.id: messages.export_estimate_lines((each,))[0] for each in estimates
        }

    def cached_levels(self) -> tuple[Level, ...]:
        """The levels that can be ticked, coarsest first."""
        return tuple(level for level in self._levels if self._is_cached(level))

    def ticked_levels(self) -> tuple[Level, ...]:
        """The ticked levels, coarsest first."""
        return tuple(level for level in self._levels if level.id in self._ticked)

    def tick_all(self) -> None:
        """Tick every level that may hold tiles."""
        self._tick(level.id for level in self.cached_levels())

    def tick_only(self, ids: Iterable[int]) -> None:
        """Tick the levels with these ids that may hold tiles, and no others."""
        wanted = set(ids)
        self._tick(level.id for level in self.cached_levels() if level.id in wanted)

    def tick_none(self) -> None:
        """Untick every level."""
        self._tick(())

    def invert(self) -> None:
        """Tick what is not ticked, and untick what is."""
        self._tick({level.id for level in self.cached_levels()} - self._ticked)

    def tick_range(self, first: int, last: int) -> None:
        """Tick the levels from that with id `first` to that with id `last`, and no others."""
        ids = [level.id for level in self._levels]
        start, end = sorted((ids.index(first), ids.index(last)))
        between = set(ids[start : end + 1])
        self._tick(level.id for level in self.cached_levels() if level.id in between)

    def toggle_rows(self, rows: Iterable[int]) -> None:
        """Tick the rows; where all of them are ticked already, untick them."""
        ids = {self._levels[row].id for row in rows if self._is_cached(self._levels[row])}
        self._tick(self._ticked - ids if ids <= self._ticked else self._ticked | ids)

    # QAbstractItemModel interface

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self._levels)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(Column)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._title(Column(section))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(Column(section))
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._meaning(Column(section))
        return None

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        if not index.isValid() or not self._is_cached(self._levels[index.row()]):
            return Qt.ItemFlag.NoItemFlags
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if index.column() == Column.SCALE:
            flags |= Qt.ItemFlag.ItemIsUserCheckable
        return flags

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        level, column = self._levels[index.row()], Column(index.column())
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(level, column)
        if role == Qt.ItemDataRole.CheckStateRole and column is Column.SCALE:
            ticked = level.id in self._ticked
            return Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tool_tip(level, column)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        return None

    def setData(self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        if role != Qt.ItemDataRole.CheckStateRole or not index.isValid():
            return False
        level = self._levels[index.row()]
        if not self._is_cached(level):
            return False
        # Qt 6 hands over a plain number, which never equals the enum member.
        if Qt.CheckState(value) == Qt.CheckState.Checked:
            self._tick(self._ticked | {level.id})
        else:
            self._tick(self._ticked - {level.id})
        return True

    # What the cells say

    def _title(self, column: Column) -> str:
        return {
            Column.SCALE: self.tr("Scale"),
            Column.LEVEL: self.tr("Level"),
            Column.RESOLUTION: self.tr("Resolution"),
            Column.TILES: self.tr("Tiles in Area"),
            Column.CACHED: self.tr("Cached"),
        }[column]

    def _meaning(self, column: Column) -> str:
        return {
            Column.SCALE: self.tr("Ticked: the tiles of this scale are meant"),
            Column.LEVEL: self.tr("Number of the level in the tiling scheme"),
            Column.RESOLUTION: self.tr("Size of a pixel on the ground of the map"),
            Column.TILES: self.tr("How many tiles of the scale the area of interest touches"),
            Column.CACHED: self.tr(
                "How much of the whole scale exists in the cache, not only of the area of interest:"
                " in percent or tiles"
            ),
        }[column]

    def _text(self, level: Level, column: Column) -> str:
        if column is Column.SCALE:
            return messages.scale_text(level.scale)
        if column is Column.LEVEL:
            return str(level.id)
        if column is Column.RESOLUTION:
            text = resolution_text(level.resolution)
            return f"{text} {self._unit}/px" if self._unit else text
        if column is Column.TILES:
            return messages.number_text(self._counts[level.id]) if level.id in self._counts else ""
        return self._cached_text(level)

    def _cached_text(self, level: Level) -> str:
        """How full the level is, as far as the site tells; else only whether it may hold tiles."""
        if not self._is_cached(level):
            return self.tr("No")
        status = self._status(level)
        if status is None:
            return self.tr("Yes")
        if self._description.is_local:
            return messages.number_text(status.tiles)
        if not status.expected:
            return self.tr("{tiles} tiles").format(tiles=messages.number_text(status.tiles))
        # Rounded down: 100 % stands for a full level only.
        return self.tr("{percent} %").format(percent=100 * status.tiles // status.expected)

    def _tool_tip(self, level: Level, column: Column) -> str | None:
        if not self._is_cached(level):
            return messages.uncached_reason(self._description, level)
        if column is Column.TILES:
            return self._estimates.get(level.id)
        status = self._status(level)
        if column is not Column.CACHED or status is None or not status.expected:
            return None
        return self.tr("{tiles} of the level's {expected} tiles exist").format(
            tiles=messages.number_text(status.tiles), expected=messages.number_text(status.expected)
        )

    def _status(self, level: Level) -> LevelStatus | None:
        """How full `level` is; None where the site does not tell."""
        found = (each for each in self._description.status if each.level_id == level.id)
        return next(found, None)

    def _is_reload(self, description: CacheDescription | None) -> bool:
        if description is None or self._description is None:
            return False
        same_address = description.address == self._description.address
        return same_address and description.scheme == self._description.scheme

    def _is_cached(self, level: Level) -> bool:
        return self._description is not None and self._description.is_cached(level)

    def _tick(self, ids: Iterable[int]) -> None:
        ticked = set(ids)
        if ticked == self._ticked:
            return
        self._ticked = ticked
        self._column_changed(Column.SCALE)
        self.ticked_changed.emit()

    def _column_changed(self, column: Column) -> None:
        if self._levels:
            self.dataChanged.emit(self.index(0, column), self.index(len(self._levels) - 1, column))


def resolution_text(resolution: float) -> str:
    """`resolution` in the user's locale, with RESOLUTION_DIGITS digits and no exponent."""
    locale = QLocale()
    # QGIS leaves group separators out unless told otherwise; the scales beside have them.
    locale.setNumberOptions(QLocale.NumberOption.DefaultNumberOptions)
    if resolution <= 0:
        return locale.toString(resolution)
    decimals = max(0, RESOLUTION_DIGITS - 1 - math.floor(math.log10(resolution)))
    return locale.toString(resolution, "f", decimals)


def _alignment(column: Column) -> int:
    """Numbers that are compared down a column stand to the right."""
    side = Qt.AlignmentFlag.AlignLeft if column is Column.SCALE else Qt.AlignmentFlag.AlignRight
    return int(side | Qt.AlignmentFlag.AlignVCenter)
