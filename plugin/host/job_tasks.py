"""The work on recorded updates, in QGIS's task manager; see `tasks` for what all tasks share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qgis.PyQt.QtCore import pyqtSignal

from ..core.arcgis.credentials import SignIn
from ..core.arcgis.transport import Transport
from ..core.carrying_on import cancel_update, carry_on, look_at, take_up, take_ups
from ..core.errors import FollowedElsewhere
from ..core.jobs import RecordedUpdate
from ..core.request import Feedback
from ..core.site_update import SiteUpdate, TakeUp
from . import areas, job_record, messages, network, sign_in
from .background import FollowingTask, Task

HOLD_SECONDS = 15.0
"""So long a person's wish waits for somebody who just looks how the update is."""
CANCEL_HOLD_SECONDS = 1.0
"""So long a wish to cancel does, which need not wait: who follows the update sees its end."""


@dataclass(frozen=True)
class Door:
    """A recorded update, and what it takes to speak to its site."""

    recorded: RecordedUpdate
    sign_in: SignIn | None
    transport: Transport | None

    @property
    def key(self) -> str:
        return self.recorded.update.key

    @property
    def speech(self) -> dict[str, Any]:
        """What all that speaks to the site is given."""
        return {"sign_in": self.sign_in, "transport": self.transport}

    def now(self) -> RecordedUpdate:
        """As the record has it by now: another program may have gone on with it. Blocks.

        Raises UnknownJob, StorageError.
        """
        return job_record.record().find(self.key)


def is_locked(recorded: RecordedUpdate) -> bool:
    """Whether QGIS would, or might, have to ask a person before it can sign in. Main thread."""
    return sign_in.needs_person(recorded.auth_config_id)


def door_to(recorded: RecordedUpdate) -> Door:
    """Main thread; QGIS may ask for the master password. Raises as `sign_in.credentials`."""
    auth_config_id, update = recorded.auth_config_id, recorded.update
    urls = (update.address, update.submit_url, update.portal_url)
    transport = network.transport(auth_config_id, *filter(None, urls))
    return Door(recorded, sign_in.credentials(auth_config_id, update.portal_url), transport)


class RecordTask(Task):
    """Reads the record; tells the RecordedUpdates in it, the newest first."""

    recorded = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__(messages.tr("Reading the list of jobs"))

    def work(self) -> tuple[Any, object]:
        return self.recorded, job_record.record().all()


class ForgetTask(Task):
    """Takes an update off the record; tells its key. The job on the site is left alone."""

    forgotten = pyqtSignal(object)

    def __init__(self, key: str) -> None:
        super().__init__(messages.tr("Removing a job from the list"))
        self._key = key

    def work(self) -> tuple[Any, object]:
        job_record.record().remove(self._key)
        return self.forgotten, self._key


class LookTask(Task):
    """Looks how updates are, one after the other; nothing is begun or changed on their sites.

    Each that was learnt of is kept in the record, and told as its news. `looked` carries, by key,
    the SiteUpdate as it is now, or the error for which it could not be learnt.
    """

    looked = pyqtSignal(object)

    def __init__(self, doors: tuple[Door, ...]) -> None:
        super().__init__(messages.tr("Looking how the jobs are"))
        self._doors = doors

    def work(self) -> tuple[Any, object]:
        found: dict[str, SiteUpdate | Exception] = {}
        for door in self._doors:
            if self.isCanceled():
                break
            try:
                found[door.key] = self._look(door)
            except areas.Cancelled:
                break
            except Exception as error:  # of one of them; the others may well be learnt of
                messages.log_unexpected(error)
                found[door.key] = error
        return self.looked, found

    def _look(self, door: Door) -> SiteUpdate:
        with job_record.Keeping(door.recorded.auth_config_id, is_look=True) as keep:
            keep.hold(door.key)
            update = door.now().update
            update = look_at(update, **door.speech, cancelled=self.isCanceled)
            self._stop_if_cancelled()
            keep(update)
        return update


class CarryOnTask(FollowingTask):
    """Goes on with an update: follows what runs and asks for what waits, to the end of all of it.

    `how`: an ended one is taken up so. Cancelled by QGIS, it leaves the update to the site.
    `is_quiet`: nobody has asked for it, and QGIS does not list it.
    """

    def __init__(self, door: Door, how: TakeUp | None = None, *, is_quiet: bool = False) -> None:
        title = messages.job_title(door.recorded.update)
        super().__init__(title, is_at_site=True, is_quiet=is_quiet)
        self._door = door
        self._how = how

    def work(self) -> tuple[Any, object]:
        with job_record.keep_in_record(self._door.recorded.auth_config_id) as keep:
            keep.hold(self._door.key, HOLD_SECONDS, self._is_unwanted)
            self._stop_if_unwanted()
            update = self._door.now().update
            feedback = self._feedback(keep)
            if self._how is None:
                return self.reported, carry_on(update, feedback, **self._door.speech)
            return self.reported, take_up(update, self._how, feedback, **self._door.speech)


class ReportTask(Task):
    """Asks the site once more what came of an ended update; tells its UpdateReport."""

    reported = pyqtSignal(object)

    def __init__(self, door: Door) -> None:
        super().__init__(messages.tr("Asking for the report of a job"))
        self._door = door

    def work(self) -> tuple[Any, object]:
        feedback = Feedback(cancelled=self.isCanceled, abandoned=self.isCanceled)
        update = self._door.now().update
        if not update.has_ended:  # another program has taken it up meanwhile
            raise FollowedElsewhere((*update.job_urls, update.address)[0])
        report = carry_on(update, feedback, **self._door.speech)
        self._stop_if_cancelled()
        return self.reported, report


class CancelTask(Task):
    """Cancels an update that nobody here follows, also what of it was not begun.

    `ended` carries the SiteUpdate as it is then.
    """

    ended = pyqtSignal(object)

    def __init__(self, door: Door) -> None:
        super().__init__(messages.tr("Cancelling a job"))
        self._door = door

    def work(self) -> tuple[Any, object]:
        with job_record.keep_in_record(self._door.recorded.auth_config_id) as keep:
            try:
                keep.hold(self._door.key, CANCEL_HOLD_SECONDS, self.isCanceled)
            except FollowedElsewhere:
                # who follows it sees that it is cancelled, and keeps that
                feedback = Feedback(abandoned=self.isCanceled)
            else:
                feedback = Feedback(abandoned=self.isCanceled, keep=keep)
            update = cancel_update(self._door.now().update, feedback, **self._door.speech)
            self._stop_if_cancelled()
        return self.ended, update


class TakeUpsTask(Task):
    """Asks how an ended update can be taken up; tells the TakeUps that its site offers."""

    offered = pyqtSignal(object)

    def __init__(self, door: Door) -> None:
        super().__init__(messages.tr("Asking how a job can be taken up"))
        self._door = door

    def work(self) -> tuple[Any, object]:
        offered = take_ups(
            self._door.recorded.update, **self._door.speech, cancelled=self.isCanceled
        )
        self._stop_if_cancelled()
        return self.offered, offered
