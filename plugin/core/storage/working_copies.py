"""The working copies of a tile package's bundles, in our own folder beside it.

A zip cannot be changed in place without a moment in which it is none. So a bundle is copied out of
the package before its first tile is written, and the package is made anew at the end. Until then
the copies are the only place of what was written: they outlast the death of whoever wrote them, and
the next one to write goes on with them. A note beside them says which package they belong to.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..errors import DamagedCache, DiskFull, StorageError
from . import bundle_care
from .bundle_kinds import BundleKind
from .bundled import Place, bundle_name
from .compact import CompactStore
from .files import free_bytes, replacing, storage_errors, sync_folder, write_whole
from .level_folders import level_folder_name
from .packaged import PackagedBundles
from .profile import CacheProfile
from .small_files import read_small
from .tile_times import TileTimes
from .zip_members import Member, ZipMembers

TILES = "tile"
_ASIDE = "tile.other_package"
_TIMES = "times"
_DAMAGED = "damaged"
_NOTE = "package.json"
_LARGEST_NOTE = 64 * 1024


@dataclass(frozen=True)
class Note:
    """Which package our folder belongs to.

    `package`: its `ZipMembers.mark`; that of the one about to take its place in `coming`.
    `untimed`: tiles without a time of their own were stored before this, seconds since 1970.
    """

    package: str = ""
    coming: str = ""
    untimed: float = 0.0


def read_note(work: Path) -> Note | None:
    """The note in our folder `work`; None where there is none that can be read."""
    try:
        found = json.loads(read_small(work / _NOTE, _LARGEST_NOTE))
        return Note(str(found["package"]), str(found["coming"]), float(found["untimed"]))
    except (StorageError, ValueError, KeyError, TypeError, RecursionError):
        return None


def times_in(work: Path, level_id: int, place: Place) -> TileTimes:
    """The times of a bundle's tiles, where `CompactStore` keeps them."""
    name = bundle_name(place).replace(".bundle", ".times")
    return TileTimes(work / _TIMES / level_folder_name(level_id) / name)


class WorkingCopies:
    """The bundles of a package that are being written, for the one process that may.

    `store` writes them; `places` says which there are, by level.
    """

    def __init__(
        self,
        path: Path,
        profile: CacheProfile,
        work: Path,
        bundles: PackagedBundles,
        kind: BundleKind,
    ) -> None:
        """Takes up what a writer left behind that died. Raises as `files.storage_errors`.

        `kind`: of the package's bundles.
        """
        self._kind = kind
        self._work = work
        self._root = work / TILES
        self._take_up(bundles.members)
        self.store = CompactStore(path, profile, self._root, work, kind=kind, keeps_empty=True)
        self.places = {
            level_id: set(self.store.places(level_id)) for level_id in self.store.level_ids()
        }

    @property
    def is_empty(self) -> bool:
        """Whether nothing was written since the package was made."""
        return not any(self.places.values())

    def has(self, level_id: int, place: Place) -> bool:
        """Whether there is a working copy of the bundle."""
        return place in self.places.get(level_id, ())

    def bring(self, level_id: int, place: Place, bundles: PackagedBundles) -> None:
        """Copy a bundle out of the package, an empty one where it has none.

        Raises DamagedCache, HostileFile, DiskFull and others of `files.replacing`.
        """
        if self.has(level_id, place):
            return
        member = bundles.find(level_id, place)
        path = self.path_of(level_id, place)
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        times = times_in(self._work, level_id, place)
        files = [] if member is None else bundles.files_of(member, self._kind)
        if len(files) < len(self._kind.suffixes):
            self._make_empty(path)
            times.forget()
        else:
            # The bundle last: with it the copy is one, whoever finds it.
            for each, target in reversed(list(zip(files, self._kind.files(path)))):
                self._copy(bundles.members, each, target)
        self.places.setdefault(level_id, set()).add(place)

    def path_of(self, level_id: int, place: Place) -> Path:
        """Where the working copy lies, or would."""
        return self._root / level_folder_name(level_id) / bundle_name(place)

    def keep(self, level_id: int, place: Place) -> None:
        """An empty copy where there is none any more: without one, the package's would count.

        What was set aside goes where the packing does not remove it.
        """
        path = self.path_of(level_id, place)
        with storage_errors(path):
            for aside in path.parent.glob(f"{path.stem}.*{bundle_care.DAMAGED}"):
                kept = self._work / _DAMAGED / path.parent.name
                kept.mkdir(parents=True, exist_ok=True)
                aside.replace(kept / aside.name)
        if not all(each.exists() for each in self._kind.files(path)):
            self._make_empty(path)

    def _make_empty(self, path: Path) -> None:
        """A bundle without tiles at `path`; nothing of what may lie there is left."""
        with storage_errors(path):
            for each in self._kind.files(path):
                each.unlink(missing_ok=True)
        self._kind.make_empty(path)

    def tidy(self, level_id: int, place: Place) -> bool:
        """Write the copy without holes; whether there is a tile in it. Raises as `bring`."""
        path = self.path_of(level_id, place)
        try:
            with closing(self._kind.open(path)) as bundle:
                if not bundle.index().exists.any():
                    return False
                has_holes = bundle_care.holes_of(bundle)[1] > 0
        except DamagedCache:
            return True  # left as it is, for whoever can make something of it
        if has_holes:
            self._kind.defragment(path)
        return True

    def begin_swap(self, coming: str) -> None:
        """The package with the mark `coming`, which has all copies in it, will take its place."""
        self._put(replace(self._note, coming=coming))

    def end_swap(self) -> None:
        """It has: the copies are needed no more. Raises TargetProblem and so on."""
        self._remove_copies()
        self._put(Note(self._note.coming, "", self._note.untimed))
        self.places = {}

    def _take_up(self, members: ZipMembers) -> None:
        note = read_note(self._work)
        if note is not None and note.coming == members.mark:
            self._note = note
            self._remove_copies()  # the writer died after it had put the package in place
            self._put(Note(note.coming, "", note.untimed))
        elif note is not None and note.package == members.mark:
            self._note = note
        else:
            self._set_aside()
            self._put(Note(members.mark, "", members.file.modified))

    def _put(self, note: Note) -> None:
        write_whole(self._work / _NOTE, json.dumps(asdict(note)).encode())
        self._note = note

    def _set_aside(self) -> None:
        """Copies out of another package than the one there is now are kept, but not used."""
        with storage_errors(self._root):
            if (self._work / _TIMES).exists():
                shutil.rmtree(self._work / _TIMES)
            if not self._root.exists():
                return
            aside = self._work / _ASIDE
            if aside.exists():
                shutil.rmtree(aside)
            self._root.rename(aside)
            sync_folder(self._work)

    def _remove_copies(self) -> None:
        with storage_errors(self._root), suppress(FileNotFoundError):
            shutil.rmtree(self._root)

    def _copy(self, members: ZipMembers, member: Member, path: Path) -> None:
        free = free_bytes(path)
        if member.size > free:
            raise DiskFull(str(path), member.size, free)
        with replacing(path, is_locked=True) as part:
            with part.open("wb") as file:
                # A wrong checksum is no reason to refuse: the bundle's other tiles are right.
                for piece in members.pieces(member, is_checked=False):
                    file.write(piece)
            # The time its tiles count from: the copy is newer than they are.
            os.utime(part, (self._note.untimed, self._note.untimed))
