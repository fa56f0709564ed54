"""The update on this computer: plan, produce, store; bundle by bundle, resumable at any point."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Callable

from ..errors import (
    NothingToDraw,
    NothingToDrawReason,
    ReadOnlyCache,
    ReadOnlyReason,
    ServiceChanged,
    TileCacheError,
)
from ..request import Feedback, Outcome, Resume, UpdateMode, UpdateReport, UpdateRequest
from ..storage.store import TileStore
from ..tiling import BUNDLE_TILES
from .crew import Crew
from .crew_run import CrewRecreation
from .deletion import Deletion
from .journal import Journal, open_journal
from .plan import Plan, TilesPlan, existing_bundles
from .produce import PAUSES
from .recreation import Recreation
from .run_record import COPIED, Head
from .source import TileSource
from .source_plan import SourcePlan
from .space import check_room
from .tally import Progress, Tally
from .whole_cache import ExistingPlan, plan_for
from .work import Work


def run_update(
    store: TileStore,
    source: TileSource | None,
    request: UpdateRequest,
    feedback: Feedback,
    *,
    pauses: tuple[float, ...] = PAUSES,
    crew: Crew | None = None,
) -> UpdateReport:
    """Carry out `request` on `store`, drawing from `source`, which is closed at the end.

    `crew`: who draws in place of this process, but for deleting; closed at the end, too. `pauses`:
    seconds to wait before each new try of a supertile that failed. Tiles that cannot be
    made are listed in the report and stay as they were. A cancelled update gives a report, too.
    After any error, and after a cancellation, what was stored is kept and the run can be resumed.

    Raises ServiceChanged, EmptyArea, AreaOutside, NothingToResume; ClusterUnusable, WorkerUnfit and
    NotForCluster where a crew cannot draw; StorageError (DiskFull before
    anything is changed, if there is clearly too little room); SourceError (nothing can be drawn, or
    one supertile after the other fails).
    """
    try:
        return _updated(store, source, request, feedback, pauses, crew)
    finally:
        if crew is not None:
            crew.close()
        if source is not None:
            source.close()


def _updated(
    store: TileStore,
    source: TileSource | None,
    request: UpdateRequest,
    feedback: Feedback,
    pauses: tuple[float, ...],
    crew: Crew | None,
) -> UpdateReport:
    name = store.profile.name or store.path.name
    if store.profile.scheme != request.scheme:
        raise ServiceChanged(name)
    if not store.is_writable:
        raise ReadOnlyCache(str(store.path), ReadOnlyReason.FORMAT)
    if request.mode is not UpdateMode.DELETE:
        if source is None:
            raise NothingToDraw("", NothingToDrawReason.NO_SOURCE)
        source.start(store.profile)
    # A run that takes up failed tiles has them from the journal, wherever the area is.
    plan = None if request.resume is Resume.FAILED else plan_for(request, store)
    if plan is not None and source is not None and request.mode is not UpdateMode.DELETE:
        plan = SourcePlan.of(plan, source, store)
    head = _head(store, request, source, plan)
    with closing(open_journal(store.path, head)) as journal:
        planned = _planned(store, journal, plan)
        return _run(store, source, journal, planned, feedback, pauses, crew)


def _head(
    store: TileStore, request: UpdateRequest, source: TileSource | None, plan: Plan | None
) -> Head:
    """What the journal says first."""
    if source is None or request.mode is UpdateMode.DELETE:
        side, state = BUNDLE_TILES, ""
    else:
        side, state = source.supertile_side, f"{source.name}\n{source.fingerprint}"
        state += COPIED if source.is_copy else ""
    count = 0 if plan is None else _supertiles(store, request, plan, side)
    return Head(request, state, side, time.time(), count)


def _supertiles(store: TileStore, request: UpdateRequest, plan: Plan, side: int) -> int:
    """How many supertiles there are at the most, to show progress by."""
    count = 0
    for level in plan.levels:
        among = existing_bundles(store, request, level.id)
        touched = plan.supertiles(level, side)
        each = (BUNDLE_TILES // side) ** 2
        count += touched if among is None else min(touched, len(among) * each)
    return count


def _planned(store: TileStore, journal: Journal, plan: Plan | None) -> Plan:
    """The tiles that the run is about, by the journal or by the area."""
    listed = journal.head.tiles
    if listed is not None:
        return TilesPlan(store.profile.scheme.levels, listed)
    plan = plan or plan_for(journal.head.request, store)
    return plan.going_on(journal.run) if isinstance(plan, ExistingPlan) else plan


def _run(
    store: TileStore,
    source: TileSource | None,
    journal: Journal,
    plan: Plan,
    feedback: Feedback,
    pauses: tuple[float, ...],
    crew: Crew | None,
) -> UpdateReport:
    # Which tiles to work on is the same for a run that is taken up, how it was asked for or not.
    request = journal.head.request
    tally = Tally(plan)
    work = Work(store, request, plan, journal, tally, Progress(plan, feedback), _stop(feedback))
    store.wait_until(work.stopped)
    try:
        check_room(store, request, plan, journal, work.stopped, source)
        if crew is not None and source is not None and request.mode is not UpdateMode.DELETE:
            crew.start(store, source, work.stopped)
    except TileCacheError:
        journal.discard()  # nothing was changed yet
        raise
    try:
        if source is None or request.mode is UpdateMode.DELETE:
            is_complete = Deletion(work).run()
        elif crew is not None:
            is_complete = CrewRecreation(work, source, crew).run()
        else:
            is_complete = Recreation(work, source, pauses).run()
    except TileCacheError:
        work.save()
        raise
    work.commit()
    outcome = Outcome.DONE if is_complete else Outcome.CANCELLED
    report = tally.report(request.mode, outcome, str(store.path))
    if is_complete:
        journal.end(report.outcome)
    return report


def _stop(feedback: Feedback) -> Callable[[], bool]:
    """Whether the run is to stop; once yes, always yes."""
    asked = False

    def stopped() -> bool:
        nonlocal asked
        asked = asked or feedback.cancelled() or feedback.abandoned()
        return asked

    return stopped
