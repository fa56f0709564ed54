"""Drawing: supertiles go to the source in several threads, few at a time, and come back as drawn.

A supertile that fails is tried again, a bounded number of times, after a pause.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Callable

from ..errors import (
    FormatNotDrawn,
    NothingToDraw,
    ServiceChanged,
    SourceError,
    TileCacheError,
)
from .source import PartlyDrawn, Supertile, TileSource

PAUSES = (0.2, 1.0)
"""Seconds to wait before a supertile that failed is tried again: as many as there are tries."""

_LISTEN = 0.1  # seconds between two looks whether the run was cancelled

Pictures = Mapping[tuple[int, int], bytes]


@dataclass(frozen=True)
class Drawing:
    """What came of a supertile: `tiles`, or the `error` of the last try.

    `failed`: tiles that failed by themselves, and why.
    """

    supertile: Supertile
    tiles: Pictures
    error: TileCacheError | None = None
    failed: Mapping[tuple[int, int], TileCacheError] = field(default_factory=dict)


def drawn(
    source: TileSource,
    supertiles: Iterator[Supertile],
    cancelled: Callable[[], bool],
    pauses: tuple[float, ...] = PAUSES,
    meanwhile: Callable[[], None] = lambda: None,
) -> Generator[Drawing, None, None]:
    """Draw `supertiles`, which are asked for in this thread and in order; give them as they finish.

    `meanwhile`: called now and then while nothing is finished. Ends early once `cancelled`. Both in
    this thread only. Never returns or is closed before the source's threads have ended. Raises
    NothingToDraw, FormatNotDrawn, ServiceChanged: then nothing else could be drawn either.
    """
    stop = threading.Event()
    pending: set[Future[Drawing]] = set()
    finished: SimpleQueue[Future[Drawing]] = SimpleQueue()
    with ThreadPoolExecutor(source.workers, thread_name_prefix="tiles") as pool:
        try:
            more = True
            while not cancelled():
                while more and len(pending) < source.look_ahead * source.workers:
                    supertile = next(supertiles, None)
                    more = supertile is not None
                    if supertile is not None:
                        future = pool.submit(_draw, source, supertile, stop, pauses)
                        pending.add(future)
                        future.add_done_callback(finished.put)
                if not pending:
                    return
                try:
                    future = finished.get(timeout=_LISTEN)
                except Empty:
                    meanwhile()
                    continue
                pending.discard(future)
                yield future.result()
        finally:
            # First the flag, so that the threads that the pool waits for come to their end.
            stop.set()
            for future in pending:
                future.cancel()


def _draw(
    source: TileSource, supertile: Supertile, stop: threading.Event, pauses: tuple[float, ...]
) -> Drawing:
    """Draw one supertile, in a thread of the pool."""
    tries = len(pauses) + 1
    error: TileCacheError = SourceError(source.name, "not drawn")
    for attempt in range(tries):
        if attempt and stop.wait(pauses[attempt - 1]):
            break
        try:
            tiles = source.draw(supertile, stop.is_set)
            failed = tiles.failed if isinstance(tiles, PartlyDrawn) else {}
            return Drawing(supertile, dict(tiles), failed=failed)
        except (NothingToDraw, FormatNotDrawn, ServiceChanged):
            raise
        except TileCacheError as caught:
            error = caught
        except Exception as caught:  # a source's own mistake must not end the run
            error = SourceError(source.name, f"{type(caught).__name__} {caught}".strip())
            error.__cause__ = caught
    return Drawing(supertile, {}, error)
