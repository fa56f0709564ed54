"""Verifying a cache on this computer: its files, every index entry, every picture in it."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..arrays import places
from ..errors import CacheInUse, DamagedCache
from ..request import Feedback
from ..storage.bundled import bundle_name
from ..storage.level_folders import level_folder_name
from ..storage.opening import open_store
from ..storage.pictures import PictureFacts, picture_facts
from ..storage.profile import CacheProfile, StorageFormat
from ..storage.store import NO_LEVEL, Fault, Finding, TileStore
from ..tiling import TileRange, bundle_of
from .journal import note_mending
from .plan import world_of

WORKERS = min(8, os.cpu_count() or 1)
"""Threads that judge pictures; unpacking leaves the others at work."""

LOOK_AHEAD = 4
"""Tiles per thread that are read before they are judged."""

MOST_FINDINGS = 1000
"""So many findings are kept; all are counted."""

CheckPicture = Callable[[bytes], "PictureFacts | None"]

_MIXED = frozenset({"PNG", "JPEG"})
_FORMATS = {
    "MIXED": _MIXED,
    **dict.fromkeys(("JPEG", "JPG"), frozenset({"JPEG"})),
    **dict.fromkeys(("PNG", "PNG8", "PNG24", "PNG32"), frozenset({"PNG"})),
    **{name: frozenset({name}) for name in ("GIF", "WEBP")},
}
"""The formats of pictures that belong into a cache, by its own format; others are not judged."""

Tile = tuple[int, int]


@dataclass(frozen=True)
class VerifyReport:
    """What came of verifying a cache.

    `tiles`: how many were looked at, by level id. `findings`: the first MOST_FINDINGS, as they were
    before anything was mended; `count_of`: the number of all of them. `mended`: how many of them
    were put right. `set_aside`: files that could not be read as a whole and have another name now.
    `is_complete`: whether it came to its end, or was cancelled.
    """

    tiles: dict[int, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    count_of: dict[Fault, int] = field(default_factory=dict)
    mended: int = 0
    is_complete: bool = True
    set_aside: tuple[str, ...] = ()


def verify(
    path: Path,
    feedback: Feedback,
    *,
    mend: bool = False,
    check_picture: CheckPicture | None = None,
) -> VerifyReport:
    """Read and judge every tile of the cache at `path`, and all that leads to it.

    `mend`: put right what can be: headers are written anew, tiles that are no whole pictures
    dropped, so that they count as empty; files in which nothing can be read get another name;
    nothing that any reader can show is lost.
    `check_picture`: a decoder, asked after our own check, from several threads at a time; gives
    None for what it cannot decode.
    Pictures are judged where the cache's format is one of pictures, so not LERC.
    Raises StorageError: NotACache, DamagedCache, HostileFile; with `mend` ReadOnlyCache, CacheInUse
    and DiskFull, too.
    """
    with open_store(path, for_writing=mend, cancelled=feedback.cancelled) as store:
        return verify_store(store, feedback, mend=mend, check_picture=check_picture)


def verify_store(
    store: TileStore,
    feedback: Feedback,
    *,
    mend: bool = False,
    check_picture: CheckPicture | None = None,
) -> VerifyReport:
    """As `verify`, of a cache that is open, for writing where `mend`."""
    check = _Check(store, feedback, mend, check_picture)
    is_complete = check.run()
    if check.mended:
        store.commit()
    return VerifyReport(
        dict(check.tiles),
        tuple(check.findings),
        dict(check.count_of),
        check.mended,
        is_complete,
        tuple(check.set_aside),
    )


class _Check:
    """A verification on its way: what it has found so far."""

    def __init__(
        self,
        store: TileStore,
        feedback: Feedback,
        mend: bool,
        check_picture: CheckPicture | None,
    ) -> None:
        self._store = store
        self._feedback = feedback
        self._mend = mend
        self._judge = _Judge(store.profile, check_picture)
        self._total = 0
        self._done = 0
        self.tiles: Counter[int] = Counter()
        self.findings: list[Finding] = []
        self.count_of: Counter[Fault] = Counter()
        self.mended = 0
        self.set_aside: list[str] = []

    def run(self) -> bool:
        """Whether it came to its end."""
        level_ids: tuple[int, ...] = ()
        try:
            for finding in self._store.file_findings(self._feedback.cancelled):
                self._take_finding(finding)
            level_ids = self._store.level_ids()
            self._total = sum(self._store.counts(self._feedback.cancelled).values())
        except DamagedCache as error:
            self._add(Finding(Fault.UNREADABLE, NO_LEVEL, Path(error.path).name))
        for level_id in level_ids:
            if self._feedback.cancelled():
                return False
            try:
                self._files(level_id)
                self._pictures(level_id)
            except DamagedCache as error:
                self._add(Finding(Fault.UNREADABLE, level_id, Path(error.path).name))
        return not self._feedback.cancelled()

    def _files(self, level_id: int) -> None:
        """What the store itself can tell of a level."""
        for finding in self._store.findings(level_id, self._feedback.cancelled):
            self._take_finding(finding)

    def _take_finding(self, finding: Finding) -> None:
        """Note what the store tells of, and have it mended where that is wanted."""
        self._add(finding)
        if self._mend and finding.can_be_mended:
            is_mended = self._count_mended(partial(self._store.mend, finding))
            if is_mended and finding.by_setting_aside:
                self.set_aside.append(finding.file)

    def _pictures(self, level_id: int) -> None:
        """Read every tile of a level; several threads judge what was read, in order."""
        world = self._judge.world(level_id)
        waiting: deque[tuple[Tile, bytes, Future[Fault | None]]] = deque()
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="verify") as pool:
            for tile in self._tiles_of(level_id):
                if self._feedback.cancelled():
                    break
                content = self._read(level_id, tile)
                if content is None:
                    self._tell_progress()
                    continue
                waiting.append((tile, content, pool.submit(self._judge.fault_of, content)))
                if len(waiting) > LOOK_AHEAD * WORKERS:
                    self._take(level_id, world, *waiting.popleft())
            while waiting and not self._feedback.cancelled():
                self._take(level_id, world, *waiting.popleft())
            for _, _, judged in waiting:
                judged.cancel()

    def _read(self, level_id: int, tile: Tile) -> bytes | None:
        """The tile; None where it was deleted in the meantime, or, told, cannot be read."""
        try:
            return self._store.read(level_id, *tile)
        except (DamagedCache, CacheInUse):
            self._found(Fault.UNREADABLE, level_id, tile)
            return None

    def _take(
        self,
        level_id: int,
        world: TileRange | None,
        tile: Tile,
        content: bytes,
        judged: Future[Fault | None],
    ) -> None:
        """Note what is wrong with a tile, and drop it where that is wanted."""
        self.tiles[level_id] += 1
        if world is not None and not _holds(world, *tile):
            self._found(Fault.STRAY, level_id, tile)
        fault = judged.result()
        if fault is not None:
            self._found(fault, level_id, tile)
        if fault is Fault.PICTURE and self._mend:
            self._count_mended(partial(self._drop, level_id, tile, content))
        self._tell_progress()

    def _tiles_of(self, level_id: int) -> Iterator[Tile]:
        for block in self._store.blocks(level_id):
            try:
                exists = self._store.exists(level_id, block)
            except (DamagedCache, CacheInUse):
                continue  # the store's own findings tell of the file
            for row, col in places(exists):
                yield block.min_row + row, block.min_col + col

    def _drop(self, level_id: int, tile: Tile, content: bytes) -> bool:
        """Delete a tile that is no picture, unless somebody has stored another one by now."""
        is_the_same = self._store.read(level_id, *tile) == content
        return is_the_same and self._store.delete(level_id, [tile]) > 0

    def _count_mended(self, mend: Callable[[], bool]) -> bool:
        """Whether it is mended."""
        try:
            is_mended = mend()
            if is_mended:
                note_mending(self._store.path)
        except (CacheInUse, DamagedCache):
            return False  # it stays as it is, and is reported
        self.mended += is_mended
        return is_mended

    def _found(self, fault: Fault, level_id: int, tile: Tile) -> None:
        can_be_mended = fault is Fault.PICTURE and self._store.profile.storage.can_be_written
        file = _file_of(self._store, level_id, tile)
        self._add(Finding(fault, level_id, file, tile, can_be_mended))

    def _add(self, finding: Finding) -> None:
        self.count_of[finding.fault] += 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(finding)

    def _tell_progress(self) -> None:
        self._done += 1
        self._feedback.progress(100 * min(1.0, self._done / max(1, self._total)))


class _Judge:
    """Judges tiles against what the cache says of them."""

    def __init__(self, profile: CacheProfile, check_picture: CheckPicture | None) -> None:
        self._profile = profile
        self._formats = _FORMATS.get(profile.image_format.upper())
        self._check_picture = check_picture

    def world(self, level_id: int) -> TileRange | None:
        """The tiles that the level has in the whole world; None where nobody knows."""
        scheme, world = self._profile.scheme, world_of(self._profile)
        if world is None or level_id not in (level.id for level in scheme.levels):
            return None
        return scheme.tiles_of_extent(scheme.level(level_id), world)

    def fault_of(self, content: bytes) -> Fault | None:
        """What is wrong with a tile, the worst only."""
        if self._formats is None:
            return None
        facts = picture_facts(content)
        if facts is None or (self._check_picture and self._check_picture(content) is None):
            return Fault.PICTURE
        scheme = self._profile.scheme
        if (facts.width, facts.height) != (scheme.tile_width, scheme.tile_height):
            return Fault.PICTURE_SIZE
        return None if facts.format in self._formats else Fault.PICTURE_FORMAT


def _holds(block: TileRange, row: int, col: int) -> bool:
    return block.min_row <= row <= block.max_row and block.min_col <= col <= block.max_col


def _file_of(store: TileStore, level_id: int, tile: Tile) -> str:
    """The file that holds a tile, as people find it in the cache."""
    storage = store.profile.storage
    folder = level_folder_name(level_id)
    if storage.is_database:
        return store.path.name
    if storage is StorageFormat.EXPLODED:
        return f"{folder}/R{tile[0]:08x}/C{tile[1]:08x}"
    return f"{folder}/{bundle_name(bundle_of(*tile))}"
