"""The list of recorded updates on sites."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum, IntEnum
from typing import Any

from qgis.PyQt.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt, pyqtSignal

from ..plugin.core.jobs import RecordedUpdate
from ..plugin.core.site_update import PartState, SiteUpdate
from ..plugin.host import messages
from .tips import plain_tip


class Column(IntEnum):
    """The columns of the list."""

    SERVICE = 0
    UPDATE = 1
    SCALES = 2
    STARTED = 3
    STATE = 4
    PROGRESS = 5


class Care(Enum):
    """Who looks after an update that has not ended.

    NOBODY: it is looked at now and then. HERE: another part of this QGIS follows it. FOLLOWED: it
    is followed for whoever pressed Follow. CANCELLING: it is being cancelled. ELSEWHERE: another
    QGIS follows it. LOCKED: its sign-in is, so nobody can look.
    """

    NOBODY = "nobody"
    HERE = "here"
    FOLLOWED = "followed"
    CANCELLING = "cancelling"
    ELSEWHERE = "elsewhere"
    LOCKED = "locked"


TAKEN = frozenset({Care.HERE, Care.FOLLOWED, Care.CANCELLING})
"""Somebody in this QGIS is at work on it."""


@dataclass(frozen=True)
class JobRow:
    """An update of the record.

    `note`: what is wrong with it while it goes on, in a word or two; `trouble`: the same as a
    sentence. `followed_percent`: how far it is, as who follows it tells; None where nobody does.
    """

    recorded: RecordedUpdate
    care: Care = Care.NOBODY
    note: str = ""
    trouble: str = ""
    followed_percent: float | None = None

    @property
    def update(self) -> SiteUpdate:
        return self.recorded.update

    @property
    def key(self) -> str:
        return self.recorded.update.key

    @property
    def percent(self) -> float | None:
        """How far all of it is; None where nobody tells."""
        if self.update.state is PartState.DONE:
            return 100.0
        if self.care is not Care.NOBODY and self.followed_percent is not None:
            return self.followed_percent
        return self.update.percent

    @property
    def runs(self) -> bool:
        """Whether a site is at work on it, as far as known."""
        return any(part.state is PartState.RUNNING for part in self.update.parts)


class JobsModel(QAbstractTableModel):
    """Recorded updates, the newest first. `unfinished_changed`: how many have not ended is another.

    Rows stay the same as long as their update is in the list, so what is selected stays so.
    """

    unfinished_changed = pyqtSignal(int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[JobRow] = []
        self._unfinished = 0

    @property
    def rows(self) -> tuple[JobRow, ...]:
        """All rows, from the top."""
        return tuple(self._rows)

    def row(self, key: str) -> JobRow | None:
        """The row of the update with that key; None where it is not in the list."""
        return next((row for row in self._rows if row.key == key), None)

    def set_all(self, recorded: Iterable[RecordedUpdate]) -> None:
        """Show what the record has now; what somebody here is at work on stays in any case."""
        found = {each.update.key: each for each in recorded}
        for row in self.rows:
            if row.key not in found and row.care not in TAKEN:
                self.remove(row.key)
        for each in found.values():
            self.put(each)

    def put(self, recorded: RecordedUpdate) -> None:
        """Show `recorded` as it is now, unless what is shown is newer."""
        at = self._index(recorded.update.key)
        if at is not None:
            if recorded.update.changed >= self._rows[at].update.changed:
                self._set(at, replace(self._rows[at], recorded=recorded))
            return
        started = recorded.update.started
        at = sum(1 for row in self._rows if row.update.started > started)
        self.beginInsertRows(QModelIndex(), at, at)
        self._rows.insert(at, JobRow(recorded))
        self.endInsertRows()
        self._tell_services()
        self._count()

    def change(self, key: str, **changes: Any) -> None:
        """Change what a row says beside its update; nothing where there is no such row."""
        at = self._index(key)
        if at is not None:
            self._set(at, replace(self._rows[at], **changes))

    def remove(self, key: str) -> None:
        """Take an update off the list."""
        at = self._index(key)
        if at is not None:
            self.beginRemoveRows(QModelIndex(), at, at)
            del self._rows[at]
            self.endRemoveRows()
            self._tell_services()
            self._count()

    # QAbstractItemModel interface

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self._rows)

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
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row, column = self._rows[index.row()], Column(index.column())
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(self._tool_tip(row, column))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        return None

    # What the cells say

    def _title(self, column: Column) -> str:
        return {
            Column.SERVICE: self.tr("Service"),
            Column.UPDATE: self.tr("Update"),
            Column.SCALES: self.tr("Scales"),
            Column.STARTED: self.tr("Begun"),
            Column.STATE: self.tr("State"),
            Column.PROGRESS: self.tr("Progress"),
        }[column]

    def _text(self, row: JobRow, column: Column) -> str:
        update = row.update
        if column is Column.SERVICE:
            return self._service_text(update)
        if column is Column.UPDATE:
            return messages.mode_text(update.mode)
        if column is Column.SCALES:
            return messages.job_scales_text(update)
        if column is Column.STARTED:
            return messages.job_started_text(update)
        if column is Column.STATE:
            return self._state_text(row)
        return messages.job_percent_text(row.percent)

    def _service_text(self, update: SiteUpdate) -> str:
        """The service, with its site where another one in the list is called the same."""
        name = messages.job_name_text(update)
        if all(row.update.address == update.address for row in self._namesakes(update)):
            return name
        return self.tr("{name} ({site})").format(name=name, site=messages.job_site_text(update))

    def _namesakes(self, update: SiteUpdate) -> list[JobRow]:
        return [row for row in self._rows if row.update.name == update.name]

    def _state_text(self, row: JobRow) -> str:
        """How it is and, where that is of use, who follows it or why nobody can look."""
        state = messages.job_state_text(row.update)
        if row.care is Care.CANCELLING:
            return self.tr("Cancelling…")
        if row.update.has_ended and row.care is not Care.FOLLOWED:
            return state
        if row.care is Care.LOCKED:
            return self.tr("{state}, Sign-In Locked").format(state=state)
        if row.care is Care.ELSEWHERE:
            return self.tr("{state}, in Another QGIS").format(state=state)
        if row.care in TAKEN:
            return self.tr("{state}, Followed").format(state=state)
        return self.tr("{state}, {note}").format(state=state, note=row.note) if row.note else state

    def _tool_tip(self, row: JobRow, column: Column) -> str:
        if column is Column.STATE:
            return row.trouble or messages.job_advice(row.update)
        if column is Column.SERVICE:
            return messages.job_address_text(row.update)
        return self._text(row, column)

    # ours

    def _index(self, key: str) -> int | None:
        return next((at for at, row in enumerate(self._rows) if row.key == key), None)

    def _set(self, at: int, row: JobRow) -> None:
        if row != self._rows[at]:
            self._rows[at] = row
            self.dataChanged.emit(self.index(at, 0), self.index(at, len(Column) - 1))
            self._count()

    def _tell_services(self) -> None:
        """Another row can make a name stand for two services, or for one again."""
        if self._rows:
            last = self.index(len(self._rows) - 1, Column.SERVICE)
            self.dataChanged.emit(self.index(0, Column.SERVICE), last)

    def _count(self) -> None:
        unfinished = sum(not row.update.has_ended for row in self._rows)
        if unfinished != self._unfinished:
            self._unfinished = unfinished
            self.unfinished_changed.emit(unfinished)


def _alignment(column: Column) -> int:
    """Numbers that are compared down a column stand to the right."""
    is_number = column is Column.PROGRESS
    side = Qt.AlignmentFlag.AlignRight if is_number else Qt.AlignmentFlag.AlignLeft
    return int(side | Qt.AlignmentFlag.AlignVCenter)
