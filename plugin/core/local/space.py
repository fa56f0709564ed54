"""Room on the disk: whether an update has enough before it begins, and while it goes on."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Callable

import numpy as np

from ..arrays import whole_numbers
from ..errors import DamagedCache, DiskFull, TargetProblem
from ..request import TileFilter, UpdateMode, UpdateRequest
from ..storage.files import free_bytes, reserve_of
from ..storage.profile import StorageFormat
from ..storage.store import TileStore
from .even_squares import even_squares
from .journal import Journal
from .plan import Plan, existing_bundles, tiles_to_do
from .source import TileSource

USUAL_TILE = 10 * 1024
"""Bytes of a tile where nothing better is known."""

_SURE = 0.5  # part of a guess that is believed before an update is refused
_SAMPLES = 32  # tiles of a level that are read to learn how large they are
_LISTEN = 3.0  # seconds between two looks at the disk
_PATIENCE = 20.0  # seconds for counting, before the start, what is really to do
_TOTAL = 3.0  # seconds for counting the rest, once there is too little room
_CHANGES_ALL = TileFilter()


class Room:
    """Watches the disk of the cache at `path` while an update goes on.

    `journal`: a file of the update's that stays as long as the cache does; None: do not look.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.monotonic,
        journal: Path | None = None,
    ) -> None:
        self._path, self._clock, self._journal = path, clock, journal
        self._reserve = reserve_of(path)
        self._next = clock() + _LISTEN

    def check(self) -> None:
        """Look, every few seconds. Raises DiskFull, TargetProblem (the cache was removed)."""
        if self._clock() < self._next:
            return
        self._next = self._clock() + _LISTEN
        if self._journal is not None and not self._journal.exists():
            # What is written from now on would lie in folders made anew, where no cache is.
            raise TargetProblem(str(self._path), "removed meanwhile")
        free = free_bytes(self._path)
        if free < self._reserve:
            raise DiskFull(str(self._path), needed=self._reserve, free=free)


def check_room(
    store: TileStore,
    request: UpdateRequest,
    plan: Plan,
    journal: Journal,
    stopped: Callable[[], bool],
    source: TileSource | None = None,
) -> None:
    """Refuse an update for which there is clearly too little room.

    Most often the number of planned tiles is enough to see that there is room; only otherwise is
    it counted which of them are to be made. `source`: asked how large its tiles are.
    Raises DiskFull.
    """
    if request.mode is UpdateMode.DELETE:
        return
    free = free_bytes(store.path) - reserve_of(store.path)
    sizes = {level.id: _sure_size(store, level.id, source) for level in plan.levels}
    most = sum(plan.most(level) * sizes[level.id] for level in plan.levels)
    if with_copies(store, most) <= free:
        return
    even = None if source is None or type(source).even is TileSource.even else source
    new, needed, is_all, end = 0.0, 0.0, True, math.inf
    for level_id, planned, count in _new_tiles(store, request, plan, journal, stopped, even):
        is_all = count is not None and time.monotonic() < end
        if not is_all:
            break
        new += (count or 0) * sizes[level_id]
        most -= (planned - (count or 0)) * sizes[level_id]
        if even is not None and with_copies(store, most) <= free:
            return
        needed = with_copies(store, new)
        if needed > free:
            end = min(end, time.monotonic() + _TOTAL)
    if needed > free:
        raise DiskFull(str(store.path), int(needed), max(0, int(free)), is_at_least=not is_all)


def with_copies(store: TileStore, new: float) -> float:
    """Bytes that `new` bytes of tiles take while an update goes on."""
    storage = store.profile.storage
    if not storage.is_package:
        return new
    whole = store.path.stat().st_size if store.path.is_file() else 0
    # A package of bundles is unpacked, grows, and is packed anew beside the old one.
    return 2 * new + (whole if storage.is_zip else 0)


def average_size(store: TileStore, level_id: int) -> float | None:
    """Average bytes of a level's tiles, from some of them; None where there are none."""
    sizes: list[int] = []
    for block in islice(store.blocks(level_id), _SAMPLES):
        try:
            exists = store.exists(level_id, block)
            there = np.flatnonzero(exists)
            # Some from each of the first bundles, spread over it.
            for place in whole_numbers(there[:: max(1, len(there) // (_SAMPLES // 4))]):
                row, col = divmod(place, exists.shape[1])
                content = store.read(level_id, block.min_row + row, block.min_col + col)
                sizes.append(len(content or b""))
                if len(sizes) >= _SAMPLES:
                    return sum(sizes) / len(sizes)
        except DamagedCache:
            continue
    return sum(sizes) / len(sizes) if sizes else None


def _is_empty(store: TileStore, level_id: int) -> bool:
    return next(iter(store.blocks(level_id)), None) is None


def _sure_size(store: TileStore, level_id: int, source: TileSource | None) -> float:
    """Bytes that a tile of the level takes at the least, so that nothing is refused by a guess."""
    known = None if source is None else source.tile_bytes(level_id)
    known = average_size(store, level_id) if known is None else known
    return USUAL_TILE * _SURE if known is None else known * (1 + _SURE) / 2


def _new_tiles(
    store: TileStore,
    request: UpdateRequest,
    plan: Plan,
    journal: Journal,
    stopped: Callable[[], bool],
    even: TileSource | None,
) -> Iterator[tuple[int, int, int | None]]:
    """Numbers of tiles: level, how many are planned, how many of these take new room.

    At the end None if time did not allow all. Replacing a tile of a bundle takes room, too: the old
    one stays as a hole. `even`: a source that knows of squares of one picture, which take none.
    """
    run = journal.run
    end = time.monotonic() + _PATIENCE
    storage = store.profile.storage
    leaves_holes = not storage.is_database and storage is not StorageFormat.EXPLODED
    is_new = run is None and not request.tile_filter.only_existing
    is_all = is_new and request.mode is UpdateMode.RECREATE_ALL and leaves_holes
    is_all &= request.tile_filter == _CHANGES_ALL
    # First those that need no looking, so that the number is as near as can be.
    known = [e for e in plan.levels if is_all or (is_new and _is_empty(store, e.id))]
    known = [] if even is not None else known
    yield from ((level.id, plan.most(level), plan.most(level)) for level in known)
    for level in (level for level in plan.levels if level not in known):
        among = existing_bundles(store, request, level.id)
        for block, mask in plan.bundles(level, among):
            if stopped() or time.monotonic() > end:
                yield level.id, 0, None
                return
            corner, planned = (block.min_row, block.min_col), int(np.count_nonzero(mask))
            if run is not None:
                mask &= ~run.done_tiles(level.id, corner)
            try:
                todo, exists = tiles_to_do(store, request, level.id, block, mask)
            except DamagedCache:
                continue
            if even is not None:
                for square in even_squares(even, level, block, todo, journal.side):
                    todo[square.region] = False
            new = todo if leaves_holes else todo & ~exists
            yield level.id, planned, int(np.count_nonzero(new))
