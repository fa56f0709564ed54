"""Tile packages of Esri's, TPKX and TPK: compact bundles in a zip file, and how they are written.

They are read where they lie, and written by way of working copies (`working_copies`), until
`commit` makes the package anew.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import CacheInUse, DamagedCache, ReadOnlyCache, ReadOnlyReason, TargetExists
from ..tiling import BUNDLE_TILES, Level, TileRange
from .bundle_kinds import BundleKind
from .bundled import Bundle, Place, bundle_name, only_place, place_of_name, slots_in
from .data_extent import extent_of_blocks
from .files import replacing, storage_errors
from .level_folders import level_folder_name
from .locks import locked
from .packaged import PackagedBundles, PackagedStore
from .packing import Packed, check_room, packed_file, taken, write_package
from .profile import CacheProfile
from .sidecar import work_folder
from .sqlite_file import PATIENCE
from .store import NO_LEVEL, Bools, Cancelled, Finding, Floats, Holes
from .working_copies import WorkingCopies, read_note, times_in
from .zip_members import ZipMembers

LOCK_PATIENCE = PATIENCE
"""Seconds to wait for another process of ours that writes the package, as with MBTiles."""

_LOCK = "package.lock"
_MOST_OPEN = 2


def create_package(path: Path, members: list[Packed]) -> None:
    """Make a package of `members` at `path`.

    Raises TargetExists, TargetProblem, ReadOnlyCache, DiskFull.
    """
    with storage_errors(path):
        if path.exists():
            raise TargetExists(str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        write_package(part, members)


@dataclass(frozen=True)
class Contents:
    """What a package holds: its profile, the folder of its levels, the version of its bundles."""

    profile: CacheProfile
    folder: str
    kind: BundleKind


class PackageStore(PackagedStore):
    """The tiles of the tile package at `path`.

    One process at a time may have it open `for_writing`. What it writes lies in our folder beside
    the package until `commit`, also if it dies: the next one that opens it for writing goes on from
    there. All others see the package as it was committed last.
    """

    def __init__(
        self, path: Path, for_writing: bool = False, cancelled: Cancelled = lambda: False
    ) -> None:
        """Raises NotACache, DamagedCache, HostileFile, CacheInUse; for writing ReadOnlyCache.

        `cancelled`: once true, others who write the package are waited for no more.
        """
        self.path = path
        self.is_writable = for_writing
        self._work = work_folder(path)
        self._copies: WorkingCopies | None = None
        self._is_unsound = False  # its checksums are to be made anew
        self._open: list[ZipMembers] = []
        self._lock = ExitStack()
        try:
            if for_writing:
                _check_rights(path)
                self._lock.enter_context(_alone(path, self._work, cancelled))
            self.profile = self._use(ZipMembers(path))
            if for_writing:
                self._copies = WorkingCopies(
                    path, self.profile, self._work, self._bundles, self._kind
                )
        except BaseException:
            self.close()
            raise

    @property
    def is_recovered(self) -> bool:
        """Whether there is work that is not in the package yet, ours or that of one who died."""
        return self._copies is not None and not self._copies.is_empty

    # What the formats differ in

    @abstractmethod
    def _read(self, members: ZipMembers) -> Contents:
        """What the package says of itself. Raises NotACache, DamagedCache, HostileFile."""

    @abstractmethod
    def _described(self, old: ZipMembers, profile: CacheProfile) -> Iterator[Packed]:
        """The members that describe the package, as they are to be; `old`: of the one before."""

    @property
    @abstractmethod
    def _packed_folder(self) -> str:
        """The folder of the levels in the package as it is to be."""

    # Reading

    def level_ids(self) -> tuple[int, ...]:
        copied = self._copies.places if self._copies else ()
        return tuple(sorted({*super().level_ids(), *copied}))

    def places(self, level_id: int) -> Iterator[Place]:
        copied = self._copies.places.get(level_id, set()) if self._copies else set()
        yield from {*super().places(level_id), *copied}

    def bundle_at(self, level_id: int, place: Place) -> Bundle | None:
        if self._copies is not None and self._copies.has(level_id, place):
            return self._copies.store.bundle_at(level_id, place)
        return super().bundle_at(level_id, place)

    def times_of(self, level_id: int, place: Place, exists: Bools) -> Floats:
        if self._copies is not None and self._copies.has(level_id, place):
            return self._copies.store.times_of(level_id, place, exists)
        note = read_note(self._work)
        if note is None or self._bundles.members.mark not in (note.package, note.coming):
            return super().times_of(level_id, place, exists)
        return times_in(self._work, level_id, place).read(exists, note.untimed)

    # Writing

    def write(self, level_id: int, tiles: Mapping[tuple[int, int], bytes]) -> None:
        copies = self._writable()
        if tiles:
            copies.bring(level_id, only_place(tiles), self._bundles)
            copies.store.write(level_id, tiles)

    def delete(self, level_id: int, tiles: Collection[tuple[int, int]]) -> int:
        copies = self._writable()
        if not tiles or not self._has(level_id, only_place(tiles)):
            return 0
        copies.bring(level_id, only_place(tiles), self._bundles)
        return copies.store.delete(level_id, tiles)

    def write_even(self, level_id: int, block: TileRange, tiles: Bools, picture: bytes) -> None:
        copies = self._writable()
        place, here = slots_in(block, tiles)
        if here.any():
            copies.bring(level_id, place, self._bundles)
            copies.store.write_even(level_id, block, tiles, picture)

    def delete_block(self, level_id: int, block: TileRange, tiles: Bools) -> int:
        copies = self._writable()
        place, here = slots_in(block, tiles)
        if not here.any() or not self._has(level_id, place):
            return 0
        copies.bring(level_id, place, self._bundles)
        return copies.store.delete_block(level_id, block, tiles)

    def commit(self) -> None:
        """Make the package anew, with all that was written.

        Bundles without tiles are left out, others have no holes where they were written. Needs as
        much room as the package has. Killed in it, there is the old package or the new one.
        Raises DiskFull, CacheInUse, DamagedCache (another program has put another package in its
        place, which stays; what was written stays in our folder).
        """
        copies = self._copies
        if copies is None or (copies.is_empty and not self._is_unsound):
            return
        self._check_same_package()
        profile = self._true_profile()
        with storage_errors(self.path):
            members = list(self._packed(copies, profile))
        check_room(self.path, members)
        try:
            with replacing(self.path, is_locked=True) as part:
                write_package(part, members)
                with closing(ZipMembers(part)) as made:
                    coming = made.mark
                self._check_same_package()
                copies.begin_swap(coming)
                if os.name == "nt":  # Windows replaces no file that we have open
                    self._close_members()
        finally:
            self._use(ZipMembers(self.path))
        copies.end_swap()
        self.profile, self._is_unsound = profile, False

    def close(self) -> None:
        self._close_members()
        self._lock.close()

    # Care

    def mend(self, finding: Finding) -> bool:
        copies = self._writable()
        if finding.level_id == NO_LEVEL:
            self._is_unsound |= finding.can_be_mended
            return finding.can_be_mended
        place = place_of_name(Path(finding.file).name)
        if place is None or not finding.can_be_mended or not self._has(finding.level_id, place):
            return False
        copies.bring(finding.level_id, place, self._bundles)
        is_right = copies.store.mend(finding)
        copies.keep(finding.level_id, place)
        return is_right

    def defragment(self, holes: Holes) -> int:
        """Write a working copy of the bundle without holes; `commit` puts it into the package."""
        copies = self._writable()
        place = place_of_name(Path(holes.file).name)
        if place is None or not self._has(holes.level_id, place):
            return 0
        copies.bring(holes.level_id, place, self._bundles)
        won = copies.store.defragment(holes)
        copies.keep(holes.level_id, place)
        return won

    # Inside

    def _use(self, members: ZipMembers) -> CacheProfile:
        """Read from `members` from now on.

        Those before stay open, but no more than one, for a thread that just reads from it.
        """
        self._open.append(members)
        while len(self._open) > _MOST_OPEN:
            self._open.pop(0).close()
        found = self._read(members)
        self._bundles = PackagedBundles(members, found.folder)
        self._kind = found.kind
        self._levels_folder = found.folder
        return found.profile

    def _close_members(self) -> None:
        while self._open:
            self._open.pop().close()

    def _writable(self) -> WorkingCopies:
        if self._copies is None:
            raise ReadOnlyCache(str(self.path), ReadOnlyReason.RIGHTS)
        return self._copies

    def _has(self, level_id: int, place: Place) -> bool:
        is_copied = self._copies is not None and self._copies.has(level_id, place)
        return is_copied or self._bundles.find(level_id, place) is not None

    def _name(self, level_id: int, place: Place) -> str:
        name = _names(level_id, place, self._kind)[0]
        return super()._name(level_id, place) or f"{self._packed_folder}/{name}"

    def _check_same_package(self) -> None:
        """Raises DamagedCache where another program has put another package in its place."""
        with closing(ZipMembers(self.path)) as now:
            if now.mark != self._bundles.members.mark:
                raise DamagedCache(str(self.path), "replaced by another program meanwhile")

    def _true_profile(self) -> CacheProfile:
        """The profile with the levels and the extent of the tiles there are now."""
        known = {level.id: level for level in self.profile.scheme.levels}
        blocks: dict[Level, TileRange] = {}
        for level_id in set(self.level_ids()) & set(known):
            places = [
                place
                for place in self.places(level_id)
                if self.profile.extent is None or self._writable().has(level_id, place)
            ]
            found = [block for block in (self._filled(level_id, p) for p in places) if block]
            if found:
                blocks[known[level_id]] = _around(found)
        with_tiles = {*self._bundles.by_level, *(level.id for level in blocks)}
        cached = {*self.profile.cached_ids, *with_tiles} & set(known)
        extent = extent_of_blocks(self.profile.scheme, blocks, self.profile.extent)
        return replace(self.profile, cached_ids=tuple(sorted(cached)), extent=extent)

    def _filled(self, level_id: int, place: Place) -> TileRange | None:
        """The block that the tiles of a bundle fill."""
        try:
            slots = np.flatnonzero(self._exists_in(level_id, place))
        except DamagedCache:
            return None
        if not slots.size:
            return None
        rows, cols = slots // BUNDLE_TILES + place[0], slots % BUNDLE_TILES + place[1]
        return TileRange(int(rows.min()), int(rows.max()), int(cols.min()), int(cols.max()))

    def _packed(self, copies: WorkingCopies, profile: CacheProfile) -> Iterator[Packed]:
        """The members of the package as it is to be."""
        old = self._bundles.members
        done: set[str] = set()
        for made in self._described(old, profile):
            yield made
            done.add(made.name.lower())
        for level_id in self.level_ids():
            for place in sorted(self.places(level_id)):
                yield from self._packed_bundle(copies, level_id, place, done)
        yield from (taken(old, each) for name, each in old.by_name.items() if name not in done)

    def _packed_bundle(
        self, copies: WorkingCopies, level_id: int, place: Place, done: set[str]
    ) -> Iterator[Packed]:
        """The files of a bundle; none of one without tiles. `done` learns their names."""
        old, member = self._bundles.members, self._bundles.find(level_id, place)
        members = [] if member is None else self._bundles.files_of(member, self._kind)
        names = [f"{self._packed_folder}/{name}" for name in _names(level_id, place, self._kind)]
        done |= {name.lower() for name in names} | {each.name.lower() for each in members}
        if not copies.has(level_id, place):
            for name, each in zip(names, members):
                yield replace(taken(old, each), name=name)
        elif copies.tidy(level_id, place):
            files = self._kind.files(copies.path_of(level_id, place))
            for name, path in zip(names, files):
                yield packed_file(name, path)


def _names(level_id: int, place: Place, kind: BundleKind) -> list[str]:
    """Where the files of a bundle lie in the folder of the levels."""
    stem = bundle_name(place).rpartition(".")[0]
    return [f"{level_folder_name(level_id)}/{stem}{suffix}" for suffix in kind.suffixes]


def _around(blocks: list[TileRange]) -> TileRange:
    return TileRange(
        min(block.min_row for block in blocks),
        max(block.max_row for block in blocks),
        min(block.min_col for block in blocks),
        max(block.max_col for block in blocks),
    )


def _check_rights(path: Path) -> None:
    """Raise ReadOnlyCache where the package at `path` cannot be replaced."""
    if path.exists() and not all(os.access(each, os.W_OK) for each in (path, path.parent)):
        raise ReadOnlyCache(str(path), ReadOnlyReason.RIGHTS)


@contextmanager
def _alone(path: Path, work: Path, cancelled: Cancelled) -> Iterator[None]:
    """Be the only one that writes the package. Raises CacheInUse."""
    with ExitStack() as held:
        if path.exists():  # else no folder is made for nothing
            try:
                lock = work / "locks" / _LOCK
                held.enter_context(locked(lock, LOCK_PATIENCE, cancelled))
            except CacheInUse as error:
                raise CacheInUse(str(path)) from error
        yield
