"""Recorded updates on sites, and a site that does with them what a test says."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import Any

from tile_cache_manager.plugin.core.request import (
    Feedback,
    LevelReport,
    Message,
    Outcome,
    UpdateMode,
    UpdateReport,
)
from tile_cache_manager.plugin.core.site_update import PartState, SiteUpdate, TakeUp, UpdatePart
from tile_cache_manager.plugin.core.tiling import Level

SERVICES = "https://site.test/arcgis/rest/services"
TASK_URL = f"{SERVICES}/System/CachingTools/GPServer/Manage%20Map%20Cache%20Tiles"
BEGUN = 1_790_000_000.0
LEVELS = tuple(Level(number, 100_000 / 2**number, 1_000_000 / 2**number) for number in range(3))
WITHOUT_JOB = (PartState.WAITING, PartState.UNCLEAR)


def an_update(name: str, *states: PartState, **changes: Any) -> SiteUpdate:
    """An update of the service `name`, its key as well, with a part in each of `states`."""
    parts = tuple(
        UpdatePart(
            (0, 1, 2),
            {"service_url": name},
            {0: 1, 1: 4, 2: 16},
            state,
            "" if state in WITHOUT_JOB else f"{TASK_URL}/jobs/j{name}{number}",
        )
        for number, state in enumerate(states)
    )
    address = f"{SERVICES}/{name}/MapServer"
    update = SiteUpdate(
        name, address, name, UpdateMode.RECREATE_ALL, LEVELS, TASK_URL, parts, BEGUN, BEGUN
    )
    return replace(update, **changes)


def in_state(update: SiteUpdate, *states: PartState, **changes: Any) -> SiteUpdate:
    """`update` a moment later, its parts in `states`."""
    parts = tuple(replace(part, state=state) for part, state in zip(update.parts, states))
    return replace(update, parts=parts, changed=update.changed + 1, **changes)


@dataclass
class ScriptedJobs:
    """Stands at `core/carrying_on`.

    `now`: how each update stands when it is looked at, by key: a SiteUpdate, or an error to raise;
    else as before. Who carries on tells 40 % and a message, then waits for `go_on`, a cancel, or
    nobody following any more; it ends with `ending`, an error to raise or an outcome.
    """

    now: dict[str, Any] = field(default_factory=dict)
    ending: Exception | Outcome = Outcome.DONE
    offered: Any = (TakeUp.RESUME,)
    go_on: threading.Event = field(default_factory=threading.Event)
    looked: list[str] = field(default_factory=list)
    carried_on: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    taken_up: list[tuple[str, TakeUp]] = field(default_factory=list)
    endings: list[Outcome] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)

    def look_at(self, update: SiteUpdate, **_door: object) -> SiteUpdate:
        self.looked.append(update.key)
        self.threads.add(threading.get_ident())
        return self._or_raise(self.now.get(update.key, replace(update, changed=update.changed + 1)))

    def carry_on(self, update: SiteUpdate, feedback: Feedback, **_door: object) -> UpdateReport:
        self.threads.add(threading.get_ident())
        if update.has_ended:
            return report(update, Outcome.DONE)
        self.carried_on.append(update.key)
        return self._work(update, feedback)

    def cancel_update(self, update: SiteUpdate, feedback: Feedback, **_door: object) -> SiteUpdate:
        self.threads.add(threading.get_ident())
        self.cancelled.append(update.key)
        gone = in_state(update, *(PartState.CANCELLED for _ in update.parts))
        feedback.keep(gone)
        return gone

    def take_up(
        self, update: SiteUpdate, how: TakeUp, feedback: Feedback, **_door: object
    ) -> UpdateReport:
        self.taken_up.append((update.key, how))
        return self._work(in_state(update, PartState.RUNNING), feedback)

    def take_ups(self, _update: SiteUpdate, **_door: object) -> tuple[TakeUp, ...]:
        self.threads.add(threading.get_ident())
        return self._or_raise(self.offered)

    def _work(self, update: SiteUpdate, feedback: Feedback) -> UpdateReport:
        feedback.keep(update)
        feedback.progress(40)
        feedback.message(Message("Level 2: 6 of 16 tiles"))
        while not (self.go_on.wait(0.01) or feedback.cancelled() or feedback.abandoned()):
            pass
        outcome = self.ending
        if feedback.abandoned():
            outcome = Outcome.SUBMITTED
        elif feedback.cancelled():
            outcome = Outcome.CANCELLED
        ends = {Outcome.CANCELLED: PartState.CANCELLED, Outcome.DONE: PartState.DONE}
        if outcome in ends:
            feedback.keep(in_state(update, *(ends[outcome] for _ in update.parts)))
        self.endings.append(self._or_raise(outcome))
        return report(update, outcome)

    @staticmethod
    def _or_raise(value: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        return value


def report(update: SiteUpdate, outcome: Outcome) -> UpdateReport:
    levels = (LevelReport(LEVELS[0], planned=21, made=20, replaced=1),)
    url = update.job_urls[-1] if update.job_urls else ""
    return UpdateReport(outcome, update.mode, levels, update.address, "j", url)
