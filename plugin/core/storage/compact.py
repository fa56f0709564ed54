"""Compact caches in folders: `Lnn/RxxxxCxxxx.bundle`, of version 2 or 1.

Files are opened for each call and closed again: so a reader always sees what other processes have
appended, index and tiles are of one and the same file when another replaces it, nothing is shared
between threads, and on Windows nobody is kept from replacing a bundle.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Callable

import numpy as np

from ..errors import CacheInUse, DamagedCache, ReadOnlyCache, ReadOnlyReason, StorageError
from ..tiling import TileRange
from . import bundle_care
from .bundle_kinds import V1, V2, BundleKind, WritableBundle
from .bundle_v2 import only_slots
from .bundled import (
    Bundle,
    BundledStore,
    Place,
    block_of,
    bundle_name,
    only_place,
    place_of_name,
    slot_of,
    slots_in,
)
from .byte_range import reading_errors
from .extent_file import extent_file_findings, is_extent_file, mend_extent_file
from .files import make_folders, storage_errors, sync_folder
from .level_folders import LevelFolders, entries_of, level_folder_name
from .locks import locked
from .profile import CacheProfile, StorageFormat
from .store import Bools, Cancelled, Fault, Finding, Floats, Holes
from .tile_times import TileTimes

LOCK_PATIENCE = 60.0  # seconds
LOOK_PATIENCE = 10.0  # seconds for a bundle to be looked at while nobody writes it


class CompactStore(BundledStore):
    """The compact cache at `path`, whose level folders lie in `tiles_folder`.

    `work`: our own folder for it (`sidecar.work_folder`), which holds locks and times.
    `kind`: the version of its bundles; by default `profile.storage` tells: COMPACT_V1, or else 2.
    `keeps_empty`: bundles stay once their last tile is deleted.

    What a call of `write` has stored is safe against the death of the process. Against loss of
    power: the tiles' bytes are on the disk before the index names them, so that it leaves old tiles
    or new ones, never broken ones; new ones for sure after `commit`. A bundle that was not there is
    written whole before it gets its name; one of version 2 goes with its last tile. What is stored
    in one call lies in the bundle once where pictures are equal.
    """

    def __init__(
        self,
        path: Path,
        profile: CacheProfile,
        tiles_folder: Path,
        work: Path,
        is_writable: bool = True,
        kind: BundleKind | None = None,
        keeps_empty: bool = False,
    ) -> None:
        self.path = path
        self.profile = profile
        self.kind = kind or (V1 if profile.storage is StorageFormat.COMPACT_V1 else V2)
        self.is_writable = is_writable
        self._folders = LevelFolders(tiles_folder)
        self._work = work
        self._unusual: dict[int, dict[Place, str]] = {}
        self._written: set[Path] = set()
        self._thinned: set[Path] = set()
        # Version 1 has two files, which cannot go at once.
        self._may_be_removed = not (keeps_empty or self.kind.is_v1)

    # Where bundles are

    def level_ids(self) -> tuple[int, ...]:
        return self._folders.ids()

    def places(self, level_id: int) -> Iterator[Place]:
        folder = self._folders.path(level_id)
        for entry in entries_of(folder):
            place = place_of_name(entry.name)
            if place is not None and _is_the_one(folder, entry.name, place):
                yield place

    def bundle_at(self, level_id: int, place: Place) -> Bundle | None:
        path = self._file(level_id, place)
        try:
            return self.kind.open(path)
        except FileNotFoundError:
            return None

    def times_of(self, level_id: int, place: Place, exists: Bools) -> Floats:
        path = self._file(level_id, place)
        try:
            with reading_errors(path):
                modified = path.stat().st_mtime
        except FileNotFoundError:
            return np.full(exists.shape, np.nan)  # removed this moment
        return self._times(level_id, place).read(exists, modified)

    def unwritten(self, level_id: int, since: int) -> Iterator[TileRange]:
        for place in self.places(level_id):
            files = self.kind.files(self._file(level_id, place))
            if all(_is_as_old(file, since) for file in files):
                yield block_of(place)

    def _file(self, level_id: int, place: Place) -> Path:
        """The file of a bundle: the one there is, also under an unusual name, or would be."""
        folder = self._folders.path(level_id)
        usual = folder / bundle_name(place)
        unusual = self._unusual_names(level_id, folder).get(place)
        return usual if unusual is None or usual.exists() else folder / unusual

    def _unusual_names(self, level_id: int, folder: Path) -> dict[Place, str]:
        """Names of bundles that are not in lower case, as they were when first asked for.

        Listed once, not at each call: nobody makes new ones but under the usual names.
        """
        if level_id not in self._unusual:
            names: dict[Place, str] = {}
            for entry in entries_of(folder):
                place = place_of_name(entry.name)
                if place is not None and entry.name != bundle_name(place):
                    names[place] = entry.name
            self._unusual[level_id] = names
        return self._unusual[level_id]

    def _times(self, level_id: int, place: Place) -> TileTimes:
        name = bundle_name(place).replace(".bundle", ".times")
        return TileTimes(self._work / "times" / level_folder_name(level_id) / name)

    # Writing

    def write(self, level_id: int, tiles: Mapping[tuple[int, int], bytes]) -> None:
        self._check_writable()
        if not tiles:
            return
        place = only_place(tiles)
        by_slot = {slot_of(row, col): tile for (row, col), tile in tiles.items()}
        self._store(
            level_id,
            place,
            only_slots(by_slot),
            lambda bundle: bundle.append(by_slot),
            lambda path: self.kind.make(path, by_slot),
        )

    def write_even(self, level_id: int, block: TileRange, tiles: Bools, picture: bytes) -> None:
        self._check_writable()
        place, here = slots_in(block, tiles)
        if here.any():
            self._store(
                level_id,
                place,
                here,
                lambda bundle: bundle.append_even(here, picture),
                lambda path: self.kind.make_even(path, here, picture),
            )

    def delete(self, level_id: int, tiles: Collection[tuple[int, int]]) -> int:
        self._check_writable()
        if not tiles:
            return 0
        slots = only_slots([slot_of(row, col) for row, col in tiles])
        return self._delete(level_id, only_place(tiles), slots)

    def delete_block(self, level_id: int, block: TileRange, tiles: Bools) -> int:
        self._check_writable()
        return self._delete(level_id, *slots_in(block, tiles))

    def commit(self) -> None:
        while self._written:
            path = self._written.pop()
            try:
                with self.kind.open_to_write(path) as bundle:
                    bundle.sync()
            except FileNotFoundError:
                continue  # removed since, being empty
            except BaseException:
                self._written.add(path)
                raise
        while self._thinned:
            folder = self._thinned.pop()
            with storage_errors(folder):
                sync_folder(folder)

    def close(self) -> None:
        """Nothing stays open between calls."""

    def _check_writable(self) -> None:
        if not self.is_writable:
            raise ReadOnlyCache(str(self.path), ReadOnlyReason.RIGHTS)

    def _lock(self, level_id: int, place: Place) -> Path:
        stem = bundle_name(place).replace(".bundle", "")
        return self._work / "locks" / f"{level_folder_name(level_id)}-{stem}.lock"

    @contextmanager
    def _locked_file(
        self, level_id: int, place: Place, patience: float | None = None
    ) -> Iterator[Path]:
        """The file of a bundle, nobody else writing it meanwhile. Raises CacheInUse."""
        path, lock = self._file(level_id, place), self._lock(level_id, place)
        try:
            with locked(lock, patience or LOCK_PATIENCE, self._is_given_up):
                yield path
        except CacheInUse as error:
            raise CacheInUse(str(path)) from error

    def _store(
        self,
        level_id: int,
        place: Place,
        here: Bools,
        append: Callable[[WritableBundle], None],
        make: Callable[[Path], None],
    ) -> None:
        """Have the slots `here` of a bundle filled: by `append`, or `make` where there is none."""
        times = self._times(level_id, place)
        with self._locked_file(level_id, place) as path:
            try:
                bundle = self.kind.open_to_write(path)
            except FileNotFoundError:
                make_folders(path.parent)
                times.forget()
                make(path)
                times.begin(np.zeros_like(here), 0.0)
            else:
                with bundle:
                    self._begin(times, bundle)
                    append(bundle)
            times.stored(here)
            self._written.add(path)

    def _delete(self, level_id: int, place: Place, here: Bools) -> int:
        """Empty the slots `here` of a bundle; one in which nothing is left is removed."""
        if not here.any() or not self._file(level_id, place).exists():
            return 0
        times = self._times(level_id, place)
        with self._locked_file(level_id, place) as path:
            try:
                bundle = self.kind.open_to_write(path)
            except FileNotFoundError:
                return 0
            with bundle:
                index = bundle.index()
                is_last = not (index.used & ~here).any()
                if not is_last or not self._may_be_removed:
                    self._begin(times, bundle)
                    deleted = bundle.empty(here)
                    times.deleted(here)
                    self._written.add(path)
                    return deleted
            self._remove(path, here)
            times.forget()
            self._unusual.get(level_id, {}).pop(place, None)
        return int(np.count_nonzero(index.exists))

    def _remove(self, path: Path, here: Bools) -> None:
        """Remove the bundle at `path`, of which the slots `here` are to be empty."""
        with storage_errors(path):
            try:
                path.unlink(missing_ok=True)
            except PermissionError:  # on Windows, while a reader has it open
                with self.kind.open_to_write(path) as bundle:
                    bundle.empty(here)
                self._written.add(path)
            else:
                self._thinned.add(path.parent)

    def _begin(self, times: TileTimes, bundle: WritableBundle) -> None:
        """Keep times from now on, as far as there are none."""
        if not times.is_begun:
            times.begin(bundle.index().exists, bundle.part.file.modified)

    # Care

    def file_findings(self, cancelled: Cancelled = lambda: False) -> Iterator[Finding]:
        return extent_file_findings(self)

    def findings(self, level_id: int, cancelled: Cancelled = lambda: False) -> Iterator[Finding]:
        folder = self._folders.path(level_id)
        if level_id not in (level.id for level in self.profile.scheme.levels):
            yield Finding(Fault.LEVEL, level_id, self._name(folder))
        for entry in entries_of(folder):
            if cancelled():
                return
            if not entry.name.lower().endswith(".bundle"):
                continue
            place = place_of_name(entry.name)
            name = self._name(folder / entry.name)
            if place is None or not _is_the_one(folder, entry.name, place):
                yield Finding(Fault.STRAY, level_id, name)
            else:
                yield from self._findings_of(level_id, place, name)

    def _findings_of(self, level_id: int, place: Place, name: str) -> list[Finding]:
        """What is wrong with a bundle, not of what somebody is just writing there."""
        found = self._found_in(level_id, place, name)
        if found and self._lock(level_id, place).exists():
            # Without the lock at first, for a cache may be verified that is only read.
            with suppress(StorageError), self._locked_file(level_id, place, LOOK_PATIENCE):
                found = self._found_in(level_id, place, name)
        return found

    def _found_in(self, level_id: int, place: Place, name: str) -> list[Finding]:
        try:
            bundle = self.bundle_at(level_id, place)
        except (DamagedCache, CacheInUse):
            return [Finding(Fault.UNREADABLE, level_id, name)]
        if bundle is None:
            # Of version 1, its index missing; or nothing is there.
            is_half = self._file(level_id, place).exists()
            return [self.kind.index_missing(level_id, name)] if is_half else []
        with closing(bundle):
            return list(self.kind.findings(bundle, level_id, name))

    def mend(self, finding: Finding) -> bool:
        self._check_writable()
        if is_extent_file(finding):
            return mend_extent_file(self)
        place = place_of_name(Path(finding.file).name)
        if place is None or not finding.can_be_mended:
            return False
        with self._locked_file(finding.level_id, place) as path:
            is_right = self.kind.mend(path, finding)
            self._written.add(path)
        return is_right

    def holes(self, level_id: int, cancelled: Cancelled = lambda: False) -> Iterator[Holes]:
        for place in self.places(level_id):
            if cancelled():
                return
            try:
                holes = self.holes_in(level_id, block_of(place))
            except DamagedCache:
                continue  # `findings` tells
            if holes is not None:
                yield holes

    def holes_in(self, level_id: int, block: TileRange) -> Holes | None:
        place = block.min_row, block.min_col
        bundle = self.bundle_at(level_id, place)
        if bundle is None:
            return None
        with closing(bundle):
            size, unused = bundle_care.holes_of(bundle)
        return Holes(level_id, self._name(self._file(level_id, place)), size, unused)

    def defragment(self, holes: Holes) -> int:
        self._check_writable()
        place = place_of_name(Path(holes.file).name)
        if place is None:
            return 0
        with self._locked_file(holes.level_id, place) as path:
            won = self.kind.defragment(path)
            if not path.exists():
                self._times(holes.level_id, place).forget()
        return won

    def _name(self, path: Path) -> str:
        """What a file is called in findings: from the cache, or the package, on."""
        return path.relative_to(self._folders.root.parent).as_posix()


def _is_as_old(file: Path, since: int) -> bool:
    """Whether `file` is there and was not written after `since`, nanoseconds since 1970."""
    try:
        return file.stat().st_mtime_ns <= since
    except OSError:
        return False


def _is_the_one(folder: Path, name: str, place: Place) -> bool:
    """Whether the file `name` is the bundle of `place`; where two are, the usual name is."""
    if name == bundle_name(place):
        return True
    usual = folder / bundle_name(place)
    return not usual.exists() or usual.samefile(folder / name)
