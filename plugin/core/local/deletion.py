"""Deleting the tiles of an area, bundle by bundle."""

from __future__ import annotations

from ..errors import CacheInUse, DamagedCache
from ..storage.store import Bools
from ..tiling import Level, TileRange
from .plan import tiles_to_do
from .run_record import Entry, tiles_in
from .work import Work


class Deletion:
    """A run that deletes tiles."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def run(self) -> bool:
        """Delete; whether it came to its end. Raises StorageError."""
        work = self._work
        for level in work.plan.levels:
            for block, mask in work.bundles(level):
                before = list(work.done_before(level, block))
                if before and not self._is_left(level, block, mask):
                    for entry in before:
                        work.tally.add(entry)
                else:
                    self._delete(level, block, mask, sum(entry.deleted for entry in before))
                work.progress.deal(level, int(mask.sum()))
        if work.stopped():
            return False
        work.write_failures()
        return True

    def _is_left(self, level: Level, block: TileRange, mask: Bools) -> bool:
        """Whether tiles are there again, or still, in a bundle that was dealt with before."""
        try:
            todo, _ = tiles_to_do(self._work.store, self._work.request, level.id, block, mask)
        except (DamagedCache, CacheInUse):
            return False
        return bool(todo.any())

    def _delete(self, level: Level, block: TileRange, mask: Bools, before: int) -> None:
        """Delete tiles of a bundle, `before` of which an interrupted run had deleted already."""
        work = self._work
        corner = block.min_row, block.min_col
        todo = mask
        try:
            todo, exists = tiles_to_do(work.store, work.request, level.id, block, mask)
            skipped = int((mask & exists & ~todo).sum())
            if not todo.any():
                work.tally.skip(level.id, skipped)
                work.journal.untouched(1)
                return
            deleted = work.store.delete_block(level.id, block, todo)
        except (DamagedCache, CacheInUse) as error:
            if work.is_one_file:
                raise
            missed = tiles_in(corner, todo)
            failed = Entry(level.id, *corner, deleted=before, failed=missed, error=error)
            if isinstance(error, CacheInUse):
                work.refuse([failed], error)
            else:
                work.pass_by([failed], error)
            return
        work.record(Entry(level.id, *corner, deleted=before + deleted, skipped=skipped))
        work.defragment(level.id, block)
        work.commit_sometimes()
