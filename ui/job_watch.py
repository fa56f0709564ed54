"""Looking now and then how the updates are that nobody follows."""

from __future__ import annotations

import time
from dataclasses import dataclass

from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from ..plugin.core.errors import (
    FollowedElsewhere,
    JobStalled,
    NotAllowed,
    SignInFailed,
    SignInNeeded,
    TileCacheError,
)
from ..plugin.core.site_update import SiteUpdate
from ..plugin.host import job_tasks, messages
from ..plugin.host.sign_in import SignInUnusable
from .jobs_model import TAKEN, Care, JobRow, JobsModel
from .latest_task import LatestTask

WATCH_MS = 30_000
CLOSE_WATCH_MS = 5_000
"""So often it is looked while somebody has the list before their eyes."""

_REFUSALS = (SignInNeeded, SignInFailed, NotAllowed, SignInUnusable)
"""A site that does not let somebody in is not asked time and again: it may lock the account."""


@dataclass
class _Standstill:
    """How far an update was when it last moved, and when that was told, on a clock of seconds."""

    percent: float | None
    since: float
    is_told: bool = False


class JobWatch(QObject):
    """Looks at all updates of `model` that run with nobody following them, one task for all.

    No thread is taken for as long as they run: each look is short. Nothing is begun on any site,
    and no password asked for. How each is shows in the model.
    `looked`: a round is through. `seen` carries the key of an update that its site has told of.
    `stalled` carries a JobStalled of one that does not get on.
    """

    looked = pyqtSignal()
    seen = pyqtSignal(str)
    stalled = pyqtSignal(object)

    def __init__(self, model: JobsModel, parent: QObject) -> None:
        super().__init__(parent)
        self._model = model
        self._task = LatestTask()
        self._doors: dict[str, job_tasks.Door] = {}
        self._refused: set[str] = set()
        self._standing: dict[str, _Standstill] = {}
        self._timer = QTimer(self)
        self._timer.setInterval(WATCH_MS)
        self._timer.timeout.connect(self._look)

    def start(self, *, is_close: bool = False) -> None:
        """Look now, and from now on now and then; often where `is_close`."""
        self.set_close(is_close)
        self._look()

    def set_close(self, is_close: bool) -> None:
        """Look often from now on, or only now and then."""
        self._timer.start(CLOSE_WATCH_MS if is_close else WATCH_MS)

    def try_again(self) -> None:
        """Somebody may have mended their sign-in: look also where a site let nobody in."""
        self._refused.clear()
        self._doors.clear()

    def pause(self) -> None:
        """End the look that goes on: a person wants to do something with an update of it."""
        self._task.drop()

    def stop(self) -> None:
        """Look no more."""
        self._timer.stop()
        self._task.drop()

    def _look(self) -> None:
        if self._task.is_running:
            return
        rows = [row for row in self._model.rows if self._is_watched(row)]
        doors = tuple(door for row in rows for door in self._door_of(row))
        if not doors:
            self.looked.emit()
            return
        answers = {"looked": self._looked, "failed": self._failed, "cancelled": self._cancelled}
        self._task.start(job_tasks.LookTask(doors), answers)

    def _is_watched(self, row: JobRow) -> bool:
        goes_on = row.runs or (row.care is Care.ELSEWHERE and not row.update.has_ended)
        return goes_on and row.care not in TAKEN and row.key not in self._refused

    def _door_of(self, row: JobRow) -> list[job_tasks.Door]:
        """The way to its site; none where that would take a person."""
        if job_tasks.is_locked(row.recorded):
            trouble = self.tr(
                "Nobody looks at it here until QGIS has its master password, which the sign-in is"
                " locked with: press Follow, and enter it."
            )
            self._model.change(row.key, care=Care.LOCKED, trouble=trouble)
            return []
        try:
            door = self._doors.get(row.key) or job_tasks.door_to(row.recorded)
        except TileCacheError as error:
            self._refuse(row.key, error)
            return []
        self._doors[row.key] = door
        return [door]

    def _looked(self, found: dict[str, SiteUpdate | Exception]) -> None:
        for key, result in found.items():
            row = self._model.row(key)
            if row is None or row.care in TAKEN:
                continue
            if isinstance(result, FollowedElsewhere):
                self._model.change(key, care=Care.ELSEWHERE, note="", trouble="")
            elif isinstance(result, _REFUSALS):
                self._refuse(key, result)
            elif isinstance(result, Exception):
                self._say(key, self.tr("No Answer"), messages.sentence(result))
            else:
                self._say_how_it_gets_on(row, result)
                self.seen.emit(key)
        self.looked.emit()

    def _failed(self, error: Exception) -> None:
        messages.log_unexpected(error)
        self.looked.emit()

    def _cancelled(self) -> None:
        """By QGIS, as it closes."""

    def _refuse(self, key: str, error: Exception) -> None:
        self._refused.add(key)
        self._doors.pop(key, None)
        self._say(key, self.tr("Sign-In Refused"), messages.sentence(error))

    def _say_how_it_gets_on(self, row: JobRow, update: SiteUpdate) -> None:
        """Raise an alarm where it has not moved for as long as was agreed; once."""
        now = time.monotonic()
        seen = self._standing.get(row.key)
        if seen is None or seen.percent != update.percent or not row.runs:
            seen = self._standing[row.key] = _Standstill(update.percent, now)
        if now - seen.since < update.alarm_seconds:
            self._say(row.key, "", "")
            return
        address = (*update.job_urls, update.address)[0]
        stalled = JobStalled(address, now - seen.since, None)
        self._say(row.key, self.tr("Stands Still"), messages.sentence(stalled))
        if not seen.is_told:
            seen.is_told = True
            self.stalled.emit(stalled)

    def _say(self, key: str, note: str, trouble: str) -> None:
        self._model.change(key, care=Care.NOBODY, note=note, trouble=trouble)
