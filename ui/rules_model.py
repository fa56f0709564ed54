"""The table of rules: which area belongs to which scales, and how many tiles that makes."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from qgis.PyQt.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt, pyqtSignal

from ..plugin.core.description import CacheDescription
from ..plugin.core.local.space import USUAL_TILE
from ..plugin.core.tiling import Level
from ..plugin.host import messages
from ..plugin.host.area_rules import AreaRule, levels_of

SCALES_TOLD = 25
"""So many scales of a rule are told one by one in its tool tip."""


class Column(IntEnum):
    """The columns of the table."""

    FROM = 0
    TO = 1
    AREA = 2
    TILES = 3
    SIZE = 4


class RulesModel(QAbstractTableModel):
    """The rules, uppermost first, and the tiles of the ticked scales that each is the rule of.

    `rules_changed` is emitted once per change of the rules.
    """

    rules_changed = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rules: tuple[AreaRule, ...] = ()
        self._ticked: tuple[Level, ...] = ()
        self._counts: dict[int, int] = {}
        self._tile_bytes: dict[int, float] = {}
        self._usual_bytes = float(USUAL_TILE)

    @property
    def rules(self) -> tuple[AreaRule, ...]:
        """The rules, uppermost first: of two for the same scale the first one counts."""
        return self._rules

    def set_rules(self, rules: tuple[AreaRule, ...]) -> None:
        """Show these rules and no others."""
        if rules == self._rules:
            return
        self.beginResetModel()
        self._rules = tuple(rules)
        self.endResetModel()
        self.rules_changed.emit()

    def set_description(self, description: CacheDescription | None) -> None:
        """Reckon with the tiles of this cache: how large they are, where it tells."""
        status = () if description is None else description.status
        told = {
            each.level_id: (each.bytes, each.tiles) for each in status if each.tiles and each.bytes
        }
        self._tile_bytes = {level_id: size / tiles for level_id, (size, tiles) in told.items()}
        tiles = sum(tiles for _, tiles in told.values())
        all_bytes = sum(size for size, _ in told.values())
        self._usual_bytes = all_bytes / tiles if tiles else float(USUAL_TILE)
        self._numbers_changed()

    def set_ticked(self, levels: tuple[Level, ...]) -> None:
        """Count the tiles of these levels from now on, and of no others."""
        self._ticked = levels
        self._numbers_changed()

    def set_counts(self, counts: Mapping[int, int]) -> None:
        """Show how many tiles each level has in its area; of levels not named nothing is known."""
        if counts != self._counts:
            self._counts = dict(counts)
            self._numbers_changed()

    def levels_of(self, row: int) -> tuple[Level, ...]:
        """The ticked levels whose rule is that of `row`, coarsest first."""
        return levels_of(self._rules, row, self._ticked)

    # QAbstractItemModel interface

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self._rules)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(Column)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._title(Column(section))
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._meaning(Column(section))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(Column(section))
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(index.row(), Column(index.column()))
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._numbers_text(index.row())
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(Column(index.column()))
        return None

    # What the cells say

    def _title(self, column: Column) -> str:
        return {
            Column.FROM: self.tr("From"),
            Column.TO: self.tr("To"),
            Column.AREA: self.tr("Area"),
            Column.TILES: self.tr("Tiles"),
            Column.SIZE: self.tr("Size"),
        }[column]

    def _meaning(self, column: Column) -> str:
        return {
            Column.FROM: self.tr("Least detailed scale of the rule"),
            Column.TO: self.tr("Most detailed scale of the rule"),
            Column.AREA: self.tr("Where tiles of these scales are taken from"),
            Column.TILES: self.tr("Tiles of the ticked scales in the area of the rule"),
            Column.SIZE: self.tr(
                "About how large these tiles are: reckoned from those that the cache has, where it"
                " tells their size, else with {size} a tile"
            ).format(size=messages.bytes_text(USUAL_TILE)),
        }[column]

    def _text(self, row: int, column: Column) -> str:
        rule = self._rules[row]
        if column is Column.FROM:
            return scale_end_text(rule.from_scale)
        if column is Column.TO:
            return scale_end_text(rule.to_scale)
        if column is Column.AREA:
            return messages.rule_area_text(rule.area)
        return self._sum_text(self.levels_of(row), column) if self._ticked else ""

    def _sum_text(self, levels: tuple[Level, ...], column: Column) -> str:
        """The tiles of `levels`, or their size, as far as they are counted."""
        if any(level.id not in self._counts for level in levels):
            return "…" if self._counts else ""
        if column is Column.TILES:
            return messages.number_text(sum(self._counts[level.id] for level in levels))
        size = messages.bytes_text(round(sum(self._bytes(level) for level in levels)))
        return self.tr("≈ {size}").format(size=size) if levels else ""

    def _bytes(self, level: Level) -> float:
        """About how many bytes the tiles of `level` have that are counted."""
        return self._counts[level.id] * self._tile_bytes.get(level.id, self._usual_bytes)

    def _numbers_text(self, row: int) -> str:
        """The area, and the number and size of the tiles scale by scale."""
        levels = self.levels_of(row)
        area = self._rules[row].area
        lines = [messages.rule_area_text(area)]
        expression = (area.base or area).expression.strip()
        if expression:
            lines.append(self.tr("Filter: {expression}").format(expression=expression))
        lines += [self._level_text(level) for level in levels[:SCALES_TOLD]]
        if len(levels) > SCALES_TOLD:
            more = self.tr("and {count} more scales")
            lines.append(more.format(count=len(levels) - SCALES_TOLD))
        if not levels:
            lines.append(self.tr("No ticked scale falls under this rule."))
        return "\n".join(lines)

    def _level_text(self, level: Level) -> str:
        scale = messages.scale_text(level.scale)
        count = self._counts.get(level.id)
        if count is None:
            return self.tr("{scale}: not counted yet").format(scale=scale)
        text = self.tr("{scale}: {tiles} tiles, about {size}")
        if count == 1:
            text = self.tr("{scale}: 1 tile, about {size}")
        size = messages.bytes_text(round(self._bytes(level)))
        return text.format(scale=scale, tiles=messages.number_text(count), size=size)

    def _numbers_changed(self) -> None:
        if self._rules:
            first, last = self.index(0, Column.TILES), self.index(len(self._rules) - 1, Column.SIZE)
            self.dataChanged.emit(first, last)


def scale_end_text(scale: float | None) -> str:
    """The end of a rule's range of scales; None is an open one."""
    return messages.tr("Any") if scale is None else messages.scale_text(scale)


def _alignment(column: Column) -> int:
    """Words stand to the left, numbers that are compared down a column to the right."""
    is_words = column is Column.AREA
    side = Qt.AlignmentFlag.AlignLeft if is_words else Qt.AlignmentFlag.AlignRight
    return int(side | Qt.AlignmentFlag.AlignVCenter)
