"""What tile packages have in common: bundles that lie in a zip file, read where they are."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import numpy as np

from ..errors import CacheInUse, DamagedCache, ReadOnlyCache, ReadOnlyReason
from . import bundle_care
from .bundle_kinds import V2, BundleKind
from .bundle_v1 import BundleV1
from .bundle_v2 import BundleV2
from .bundled import Bundle, BundledStore, Place, place_of_name
from .layout_v1 import INDEX_SUFFIX
from .level_folders import level_of_folder
from .store import NO_LEVEL, Bools, Cancelled, Fault, Finding, Floats, Holes
from .zip_members import Member, ZipMembers

_BUNDLE_FILES = (".bundle", INDEX_SUFFIX)


class PackagedBundles:
    """The bundles in the folder `folder` of a package.

    Where a level or a bundle is there twice under two names, as `L5` and `L05`, the first counts.
    """

    def __init__(self, members: ZipMembers, folder: str) -> None:
        self.members = members
        self.by_level: dict[int, dict[Place, Member]] = {}
        prefix = f"{folder.lower()}/" if folder else ""
        for name, member in members.by_name.items():
            parts = name[len(prefix) :].split("/") if name.startswith(prefix) else []
            level_id = level_of_folder(parts[0]) if len(parts) == 2 else None
            place = place_of_name(parts[1]) if len(parts) == 2 else None
            if level_id is not None and place is not None:
                self.by_level.setdefault(level_id, {}).setdefault(place, member)

    def find(self, level_id: int, place: Place) -> Member | None:
        """The member that is the bundle, None where there is none."""
        return self.by_level.get(level_id, {}).get(place)

    def open(self, member: Member, kind: BundleKind = V2) -> Bundle | None:
        """The bundle of `member`; None for a bundle of version 1 without its index.

        Raises DamagedCache, HostileFile, DiskFull.
        """
        path = self.members.path / member.name
        part = self.members.part(member)
        if not kind.is_v1:
            return BundleV2(path, part)
        index = self.index_of(member)
        return None if index is None else BundleV1(path, part, self.members.part(index))

    def files_of(self, member: Member, kind: BundleKind) -> list[Member]:
        """The members that make up the bundle of `member`, in the order of the kind's suffixes."""
        index = self.index_of(member) if kind.is_v1 else None
        return [member] if index is None else [member, index]

    def index_of(self, member: Member) -> Member | None:
        """The index beside the bundle of version 1 that `member` is."""
        return self.members.find(Path(member.name).with_suffix(INDEX_SUFFIX).as_posix())


class PackagedStore(BundledStore):
    """The tiles of a package, as they lie in it: nothing is written."""

    is_writable = False

    def __init__(self, path: Path, bundles: PackagedBundles, kind: BundleKind = V2) -> None:
        self.path = path
        self._bundles = bundles
        self._kind = kind

    def level_ids(self) -> tuple[int, ...]:
        return tuple(sorted(self._bundles.by_level))

    def places(self, level_id: int) -> Iterator[Place]:
        yield from list(self._bundles.by_level.get(level_id, ()))

    def bundle_at(self, level_id: int, place: Place) -> Bundle | None:
        member = self._bundles.find(level_id, place)
        return None if member is None else self._bundles.open(member, self._kind)

    def times_of(self, level_id: int, place: Place, exists: Bools) -> Floats:
        return np.where(exists, math.ceil(self._bundles.members.file.modified), np.nan)

    def write(self, level_id: int, tiles: Mapping[tuple[int, int], bytes]) -> None:
        """Raises ReadOnlyCache."""
        self._refuse()

    def delete(self, level_id: int, tiles: Collection[tuple[int, int]]) -> int:
        """Raises ReadOnlyCache."""
        return self._refuse()

    def commit(self) -> None:
        """Nothing was written."""

    def close(self) -> None:
        self._bundles.members.close()

    def file_findings(self, cancelled: Cancelled = lambda: False) -> Iterator[Finding]:
        """Members with another checksum than the package says: other programs refuse them.

        Deflated bundles are left out, for they are checked when they are unpacked.
        """
        members = self._bundles.members
        for name, member in members.by_name.items():
            if member.is_deflated and name.endswith(_BUNDLE_FILES):
                continue
            if cancelled():
                return
            if not members.is_sound(member, cancelled):
                can_be_mended = self.is_writable and self._can_be_packed_anew(member)
                yield Finding(Fault.UNREADABLE, NO_LEVEL, member.name, None, can_be_mended)

    def _can_be_packed_anew(self, member: Member) -> bool:
        """Whether a member with a wrong checksum can be mended."""
        return False

    def findings(self, level_id: int, cancelled: Cancelled = lambda: False) -> Iterator[Finding]:
        for place in self.places(level_id):
            if cancelled():
                return
            yield from self._findings_at(level_id, place)

    def mend(self, finding: Finding) -> bool:
        """Raises ReadOnlyCache."""
        return bool(self._refuse())

    def holes(self, level_id: int, cancelled: Cancelled = lambda: False) -> Iterator[Holes]:
        for place in self.places(level_id):
            if cancelled():
                return
            try:
                bundle = self.bundle_at(level_id, place)
                if bundle is None:
                    continue
                with closing(bundle):
                    size, unused = bundle_care.holes_of(bundle)
            except DamagedCache:
                continue  # `findings` tells
            yield Holes(level_id, self._name(level_id, place), size, unused)

    def defragment(self, holes: Holes) -> int:
        """Raises ReadOnlyCache."""
        return self._refuse()

    def _findings_at(self, level_id: int, place: Place) -> Iterator[Finding]:
        name = self._name(level_id, place)
        try:
            bundle = self.bundle_at(level_id, place)
        except (DamagedCache, CacheInUse):
            yield Finding(Fault.UNREADABLE, level_id, name)
            return
        if bundle is None:
            yield self._kind.index_missing(level_id, name)
            return
        with closing(bundle):
            found = list(self._kind.findings(bundle, level_id, name))
        yield from found  # the bundle closed again: Windows would not let it be replaced

    def _name(self, level_id: int, place: Place) -> str:
        """What the bundle is called in the package."""
        member = self._bundles.find(level_id, place)
        return "" if member is None else member.name

    def _refuse(self) -> int:
        raise ReadOnlyCache(str(self.path), ReadOnlyReason.FORMAT)
