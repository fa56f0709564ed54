"""Counting the tiles of the form's area in the background, a moment after it changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from ..plugin.core.description import CacheDescription
from ..plugin.core.planned import TileCount, planned_tiles
from ..plugin.core.tiling import Level
from ..plugin.host import areas, messages, tasks
from ..plugin.host.rule_counts import PartCount
from .latest_task import LatestTask
from .rules_model import scale_end_text

SETTLING_MS = 300
"""How long the form must be left alone before counting: longer than between two key strokes."""


def total_tiles(levels: Iterable[Level], counts: Mapping[int, int]) -> int | None:
    """All tiles of `levels`, whose `counts` are by level id; None where one is not known."""
    known = [counts.get(level.id) for level in levels]
    return None if None in known else sum(count for count in known if count is not None)


class TileCounter(QObject):
    """How many tiles of each level an update of the area is about, or what else `count` counts.

    `counted`: the numbers, and the very area they were counted in; None where nothing is counted
    yet. `changed` is emitted whenever `counted`, `error` or `is_counting` changed. Results for a
    form that has changed meanwhile are dropped.
    """

    changed = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.counted: areas.Counted | None = None
        self.error: Exception | None = None
        self.count: TileCount = planned_tiles
        self._part: PartCount | None = None
        self._description: CacheDescription | None = None
        self._source: areas.AreaSource | None = None
        self._levels: tuple[Level, ...] = ()
        self._task = LatestTask()
        self._asked = object()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLING_MS)
        self._timer.timeout.connect(self._start)

    @property
    def is_counting(self) -> bool:
        """Whether numbers are still to come."""
        return self._timer.isActive() or self._task.is_running

    @property
    def source(self) -> areas.AreaSource | None:
        """The area that is counted."""
        return self._source

    def set_area(
        self, description: CacheDescription | None, source: areas.AreaSource | None
    ) -> None:
        """Count inside this area from now on; None for either: nothing to count.

        Numbers of the very same area are kept, and a stopped count of them goes on.
        """
        is_same = description is self._description and source is self._source
        if is_same and self.is_counting:
            return
        self.stop()
        self._description, self._source = description, source
        self.counted, self.error = self.counted if is_same else None, None
        self._part = None
        self._count_missing()

    def set_levels(self, levels: tuple[Level, ...]) -> None:
        """Tell the total of these levels from now on; their numbers are known, or on their way."""
        self._levels = levels
        if self.is_counting:
            self.changed.emit()
        else:
            self._count_missing()

    @property
    def counts(self) -> dict[int, int]:
        """The numbers known by now, by level id; with an `error`, of rules that have none."""
        if self.counted is not None:
            return self.counted.tiles
        return {} if self._part is None else self._part.tiles

    @property
    def error_text(self) -> str:
        """The error as a sentence, which names the rule that it is about; "" for none."""
        if self.error is None:
            return ""
        text = messages.sentence(self.error)
        rule = None if self._part is None else self._part.rule
        if rule is None:
            return text
        return self.tr("Rule “{area}” from {coarsest} to {finest}: {problem}").format(
            area=rule.title,
            coarsest=scale_end_text(rule.from_scale),
            finest=scale_end_text(rule.to_scale),
            problem=text,
        )

    @property
    def total(self) -> int | None:
        """All tiles of the levels asked for; None while, or where, that is not known."""
        return total_tiles(self._levels, self.counts)

    def stop(self) -> None:
        """Count no further."""
        self._timer.stop()
        self._task.drop()

    def join(self, waiting: LatestTask, answers: dict[str, Callable[..., None]]) -> None:
        """Let another wait, with its `answers`, for the count of what the form says now.

        That count goes on for the other one when the form changes. It begins at once.
        """
        if not self._task.is_running:
            self._start()
        waiting.join(self._task, answers)

    def _count_missing(self) -> None:
        ready = self._description is not None and self._source is not None
        if ready and self.error is None and self.counted is None:
            self._timer.start()
        self.changed.emit()

    def _start(self) -> None:
        self._timer.stop()
        # All cached levels, ticked or not: working the area out takes longer than counting, and is
        # not to be done again for every tick.
        levels = self._description.cached_levels
        answers = {
            "counted": self._counted,
            "failed": self._failed,
            "cancelled": lambda: self._failed(areas.Cancelled()),
        }
        task = tasks.CountTask(self._source, self._description, levels, self.count)
        self._asked = asked = object()
        task.part_counted.connect(lambda part: self._part_counted(asked, part))
        self._task.start(task, answers)

    def _part_counted(self, asked: object, part: PartCount) -> None:
        if asked is self._asked and self._task.is_running:
            self._part = part

    def _counted(self, counted: areas.Counted) -> None:
        self.counted = counted
        self.changed.emit()

    def _failed(self, error: Exception) -> None:
        self.error = error
        self.changed.emit()
