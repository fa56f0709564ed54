"""Writing the files of a cache on this computer anew, without what no tile uses any more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import CacheInUse
from ..request import Feedback
from ..storage.opening import open_store
from ..storage.store import Holes, TileStore

LOOKING = 10.0
"""Percent of the progress that looking for holes takes up."""


@dataclass(frozen=True)
class DefragmentReport:
    """What came of defragmenting a cache.

    `files`: how many were written anew, or removed since no tile was left in them. `before` and
    `after`: bytes of all files that can have holes; of a package, of the package. `skipped`: files
    that another program had in use. `is_complete`: whether it came to its end, or was cancelled.
    """

    files: int = 0
    before: int = 0
    after: int = 0
    skipped: tuple[str, ...] = ()
    is_complete: bool = True


def defragment(path: Path, feedback: Feedback, *, least_share: float = 0.0) -> DefragmentReport:
    """Write the files of the cache at `path` anew of which `least_share` (0 to 1) is unused.

    Each is written whole under another name and renamed, so who reads the old one goes on with it.
    Files without tiles are removed. A package is written once, at the end.
    Raises StorageError: NotACache, DamagedCache, HostileFile, ReadOnlyCache, DiskFull; CacheInUse
    where a package cannot be replaced.
    """
    with open_store(path, for_writing=True, cancelled=feedback.cancelled) as store:
        return defragment_store(store, feedback, least_share=least_share)


def defragment_store(
    store: TileStore, feedback: Feedback, *, least_share: float = 0.0
) -> DefragmentReport:
    """As `defragment`, of a cache that is open for writing."""
    candidates: list[Holes] = []
    whole = 0
    level_ids = store.level_ids()
    for number, level_id in enumerate(level_ids):
        for holes in store.holes(level_id, feedback.cancelled):
            whole += holes.size
            if holes.unused and holes.unused >= least_share * holes.size:
                candidates.append(holes)
        feedback.progress(LOOKING * (number + 1) / len(level_ids))
    is_package = store.profile.storage.is_package
    before = store.path.stat().st_size if is_package else whole
    files, won, skipped = _rewritten(store, candidates, feedback)
    if files:
        store.commit()
    after = store.path.stat().st_size if is_package else before - won
    return DefragmentReport(files, before, after, tuple(skipped), not feedback.cancelled())


def _rewritten(
    store: TileStore, candidates: list[Holes], feedback: Feedback
) -> tuple[int, int, list[str]]:
    """Number of files written anew, bytes won, files in use."""
    files = won = done = 0
    skipped: list[str] = []
    total = sum(holes.size for holes in candidates)
    for holes in candidates:
        if feedback.cancelled():
            break
        try:
            won += store.defragment(holes)
            files += 1
        except CacheInUse:
            skipped.append(holes.file)
        done += holes.size
        feedback.progress(LOOKING + (100 - LOOKING) * done / total)
    return files, won, skipped
