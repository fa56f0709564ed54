"""What a site says beforehand of the parts of an export, and whether there is room for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from ..arcgis.export_tiles import ExportTiles
from ..errors import DiskFull, JobError, SignInFailed, SignInNeeded, SiteError
from ..local.space import USUAL_TILE
from ..request import Feedback, Message, Severity
from ..storage.files import free_bytes, reserve_of
from ..storage.profile import StorageFormat
from ..tiling import TilingScheme
from .parts import PartRecord, PartStep
from .request import ExportRequest

MOST_ASKED = 24
"""Parts that a site is asked about; the others have as large tiles as these."""

PATIENCE = 60.0
"""Seconds that its answers are waited for."""

_SURE = 0.5  # part of a guess that is believed before an export is refused


def announce(
    record: PartRecord,
    exporter: ExportTiles,
    scheme: TilingScheme,
    storage: StorageFormat,
    feedback: Feedback,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Write down how many tiles and bytes the site will send of each part, as far as it tells.

    A site that does not tell is no reason to stop. Once the feedback ends it, nothing is asked.
    Raises SignInNeeded, SignInFailed, StorageError.
    """
    end = clock() + PATIENCE

    def is_late() -> bool:
        return feedback.abandoned() or clock() > end

    quiet = Feedback(cancelled=feedback.cancelled, abandoned=is_late)
    waiting = [name for name in record.parts if _is_unknown(record, name)]
    for index, name in enumerate(waiting[:MOST_ASKED]):
        if feedback.cancelled() or is_late():
            return
        part = record.parts[name]
        try:
            told = exporter.estimate(part.levels, part.area, scheme, storage, quiet)
        except (SignInNeeded, SignInFailed):
            raise
        except (JobError, SiteError) as error:
            feedback.message(Message("", Severity.INFO, error))
            return
        if told is None:
            return
        state = record.state(name)
        record.set(name, replace(state, announced=told.tiles, announced_bytes=told.bytes))
        feedback.progress(100.0 * (index + 1) / len(waiting[:MOST_ASKED]))


def check_room(record: PartRecord, request: ExportRequest) -> None:
    """Raise DiskFull where packages and target clearly do not fit on the disk of the target."""
    states = {name: record.state(name) for name in record.parts}
    if all(state.step is PartStep.CHECKED for state in states.values()):
        return  # the update that fills the target looks by itself
    told = [
        (state.announced_bytes, record.parts[name].tiles)
        for name, state in states.items()
        if state.announced_bytes is not None
    ]
    tiles = sum(count for _size, count in told)
    each = sum(size or 0 for size, _count in told) / tiles if tiles else USUAL_TILE * _SURE
    sizes = {
        name: part.tiles * each
        if states[name].announced_bytes is None
        else float(states[name].announced_bytes or 0)
        for name, part in record.parts.items()
    }
    here = (PartStep.DOWNLOADED, PartStep.CHECKED, PartStep.ONE_BY_ONE)
    to_get = sum(size for name, size in sizes.items() if states[name].step not in here)
    # A package is packed anew beside the old one, or beside the files it is made of.
    needed = to_get + sum(sizes.values()) * (2 if request.storage.is_package else 1)
    free = free_bytes(record.folder) - reserve_of(record.folder)
    if needed > free:
        raise DiskFull(str(request.target), int(needed), max(0, int(free)))


def _is_unknown(record: PartRecord, name: str) -> bool:
    state = record.state(name)
    return state.step is PartStep.PLANNED and state.announced is None
