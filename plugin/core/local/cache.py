"""A cache on this computer: described by its files, updated here."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

from ..description import CacheDescription, LevelStatus
from ..errors import NothingToDraw, NothingToDrawReason, ReadOnlyCache
from ..request import Feedback, LevelEstimate, UpdateMode, UpdateReport, UpdateRequest
from ..storage.opening import check_writable, open_store
from ..storage.sidecar import read_settings
from .crew import Crew
from .estimate import run_estimate
from .journal import unfinished
from .source import TileSource
from .update import run_update


class LocalCache:
    """The cache in the folder or package at `path`. Blocks: for use off the main thread.

    `source`: what it is drawn from; serves one estimate or one update, which closes it. None: for
    whom only describes, or deletes. `cancelled`: once true, tiles are not counted any more. `crew`:
    who draws in its place; serves one update, as well.
    """

    def __init__(
        self,
        path: Path,
        source: TileSource | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        crew: Crew | None = None,
    ) -> None:
        self._path, self._source, self._cancelled = path, source, cancelled
        self._crew = crew

    def describe(self) -> CacheDescription:
        """What the cache is, which update modes it can take, how many tiles each level has.

        Raises StorageError: NotACache, DamagedCache, HostileFile, CacheInUse.
        """
        with open_store(self._path) as store:
            profile, path = store.profile, store.path
            counts = store.counts(self._cancelled)
        known = profile.cached_levels
        status = tuple(LevelStatus(level.id, counts.get(level.id, 0)) for level in known)
        modes: tuple[UpdateMode, ...] = tuple(UpdateMode)
        problem: ReadOnlyCache | None = None
        try:
            check_writable(path, profile.storage)
        except ReadOnlyCache as error:
            modes, problem = (), error
        if modes and profile.tile_format is None:
            modes = (UpdateMode.DELETE,)
        settings = read_settings(path)
        return CacheDescription(
            address=str(path),
            name=profile.name or path.name,
            kind=profile.storage.value,
            scheme=profile.scheme,
            cached_levels=known,
            extent=profile.extent,
            image_format=profile.image_format,
            compression_quality=profile.compression_quality,
            storage_format=profile.storage.value,
            text=profile.text,
            modes=modes,
            modes_problem=problem,
            status=status,
            is_local=True,
            source=settings.source,
            background=settings.background,
            unfinished=unfinished(path, profile.scheme),
        )

    def update(self, request: UpdateRequest, feedback: Feedback) -> UpdateReport:
        """Carry out `request` here; see `Cache.update`, `run_update`.

        Raises RequestError, StorageError, SourceError.
        """
        try:
            self._refuse_itself()
            store = open_store(self._path, for_writing=True, cancelled=_stopped(feedback))
        except BaseException:
            self._close_source()
            if self._crew is not None:
                self._crew.close()
            raise
        with store:
            return run_update(store, self._source, request, feedback, crew=self._crew)

    def estimate(self, request: UpdateRequest, feedback: Feedback) -> tuple[LevelEstimate, ...]:
        """What `request` would take, learned from a few samples; see `run_estimate`.

        Raises RequestError, StorageError, SourceError.
        """
        try:
            self._refuse_itself()
            store = open_store(self._path)
        except BaseException:
            self._close_source()
            raise
        with store:
            return run_estimate(store, self._source, request, feedback)

    def _refuse_itself(self) -> None:
        if self._source is not None and self._source.is_at(self._path):
            raise NothingToDraw(self._source.name, NothingToDrawReason.SAME_CACHE)

    def _close_source(self) -> None:
        if self._source is not None:
            self._source.close()


def _stopped(feedback: Feedback) -> Callable[[], bool]:
    return lambda: feedback.cancelled() or feedback.abandoned()
