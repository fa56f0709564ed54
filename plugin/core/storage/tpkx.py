"""Tile packages (TPKX): compact bundles, version 2, and a root.json in a zip file.

Format: Esri, tile-package-spec.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..errors import NotACache, NotACacheReason
from .bundle_kinds import V2
from .bundled import place_of_name
from .iteminfo import ITEMINFO_JSON, THUMBNAIL_PNG, iteminfo_json
from .package_store import Contents, PackageStore, create_package
from .packing import Packed, packed_bytes, taken_or_made
from .profile import CacheProfile, StorageFormat
from .root_json import LARGEST, ROOT_JSON, read_root, root_json, updated_root
from .thumbnail import thumbnail_png
from .zip_members import Member, ZipMembers

TILES = "tile"
_BESIDE = (ITEMINFO_JSON, THUMBNAIL_PNG)


def create_tpkx(path: Path, profile: CacheProfile) -> None:
    """Make a tile package without tiles at `path`.

    Raises TargetExists, BadScheme (no CRS), TargetProblem, ReadOnlyCache, DiskFull.
    """
    profile = replace(profile, storage=StorageFormat.TPKX, name=profile.name or path.stem)
    create_package(path, [packed_bytes(ROOT_JSON, root_json(profile)), *_made_beside(profile)])


class TpkxStore(PackageStore):
    """The tiles of the tile package at `path`."""

    def _read(self, members: ZipMembers) -> Contents:
        root = members.find(ROOT_JSON)
        if root is None:
            raise NotACache(str(members.path), NotACacheReason.NO_SCHEME)
        name = f"{members.path}/{root.name}"
        profile, folder = read_root(members.content(root, LARGEST), name)
        return Contents(replace(profile, name=profile.name or members.path.stem), folder, V2)

    def _described(self, old: ZipMembers, profile: CacheProfile) -> Iterator[Packed]:
        root = old.find(ROOT_JSON)
        content = b"" if root is None else old.content(root, LARGEST)
        yield packed_bytes(ROOT_JSON, updated_root(content, profile, str(self.path)))
        for made in _made_beside(profile):
            yield taken_or_made(old, made)

    @property
    def _packed_folder(self) -> str:
        return TILES

    def _can_be_packed_anew(self, member: Member) -> bool:
        """Of what is in bundles, each tile is judged; what lies beside root.json can be made."""
        name = member.name.lower()
        return name in _BESIDE or place_of_name(name.rpartition("/")[2]) is not None


def _made_beside(profile: CacheProfile) -> list[Packed]:
    """What lies beside root.json in a package of ours."""
    contents = (iteminfo_json(profile), thumbnail_png())
    return [packed_bytes(name, content) for name, content in zip(_BESIDE, contents)]
