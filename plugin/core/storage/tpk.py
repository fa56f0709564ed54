"""Tile packages of ArcGIS 10 (TPK): a compact cache, its conf.xml and descriptions, in a zip.

No specification exists; this is what packages of ArcGIS hold. The cache lies in `v101/<map name>`,
in bundles of version 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..errors import DamagedCache, NotACache, NotACacheReason
from ..esri_wkt import text_of
from . import xml_tree
from .bundle_kinds import V1, V2
from .bundled import place_of_name
from .conf_xml import CONF_CDI, CONF_XML, conf_cdi, conf_xml, parse_conf
from .package_store import Contents, PackageStore, create_package
from .packaged import PackagedBundles
from .packing import Packed, packed_bytes, taken_or_made
from .profile import CacheProfile, StorageFormat
from .tpk_descriptions import MAP_SERVER_JSON, described, updated_map_server
from .zip_members import Member, ZipMembers

_CONF = re.compile(rf"v\d+/(?P<map>[^/]+)/{re.escape(CONF_XML)}")
_LEVELS = "_alllayers"
_USUAL_MAP = "layers"  # what ArcMap calls the map of a document that nobody named
_FOLDER = "v101/Layers"
_LARGEST_JSON = 16 * 1024 * 1024  # bytes; with all layers of a map, and their fields


def create_tpk(path: Path, profile: CacheProfile) -> None:
    """Make a tile package without tiles at `path`.

    Raises TargetExists, BadScheme (no WKT of its CRS), TargetProblem, ReadOnlyCache, DiskFull.
    """
    profile = replace(profile, name=profile.name or path.stem)
    of_cache = replace(profile, storage=StorageFormat.COMPACT_V1)
    confs = [
        packed_bytes(f"{_FOLDER}/{CONF_CDI}", conf_cdi(of_cache)),
        packed_bytes(f"{_FOLDER}/{CONF_XML}", conf_xml(of_cache)),
    ]
    create_package(path, [*described(profile, _FOLDER), *confs])


class TpkStore(PackageStore):
    """The tiles of the tile package at `path`."""

    def _read(self, members: ZipMembers) -> Contents:
        folder = _folder(members)
        found = _profile(members, folder)
        kind = V1 if found.storage is StorageFormat.COMPACT_V1 else V2
        levels = f"{folder}/{_LEVELS}"
        known = {level.id for level in found.scheme.levels}
        there = PackagedBundles(members, levels).by_level
        cached = tuple(each for each in sorted(there) if each in known) or found.cached_ids
        return Contents(replace(found, storage=StorageFormat.TPK, cached_ids=cached), levels, kind)

    def _described(self, old: ZipMembers, profile: CacheProfile) -> Iterator[Packed]:
        """As they were, but for the extent, in the conf.cdi and the description of the service."""
        folder = self._packed_folder.rpartition("/")[0]
        for made in described(profile, folder):
            member = old.find(made.name)
            if made.name != MAP_SERVER_JSON or member is None or not old.is_sound(member):
                yield taken_or_made(old, made)
            else:
                content = old.content(member, _LARGEST_JSON)
                yield packed_bytes(member.name, updated_map_server(content, profile))
        storage = StorageFormat.COMPACT_V1 if self._kind.is_v1 else StorageFormat.COMPACT_V2
        of_cache = replace(profile, storage=storage)
        if text_of(profile.scheme.crs):  # else its own files say too little to make new ones
            yield packed_bytes(f"{folder}/{CONF_CDI}", conf_cdi(of_cache))
            yield taken_or_made(old, packed_bytes(f"{folder}/{CONF_XML}", conf_xml(of_cache)))

    @property
    def _packed_folder(self) -> str:
        return self._levels_folder

    def _can_be_packed_anew(self, member: Member) -> bool:
        """Of what is in bundles, each tile is judged; the descriptions can be made."""
        name = member.name.lower()
        is_bundle = place_of_name(name.rpartition("/")[2].replace(".bundlx", ".bundle"))
        folder = self._packed_folder.rpartition("/")[0]
        made = {each.name.lower() for each in described(self.profile, folder)}
        return is_bundle is not None or name in made or name.endswith(f"/{CONF_CDI}")


def _folder(members: ZipMembers) -> str:
    """The folder of the cache, in the package's own spelling; the first that holds tiles."""
    found = [
        Path(member.name).parent.as_posix()
        for name, member in sorted(members.by_name.items())
        if _CONF.fullmatch(name)
    ]
    if not found:
        raise NotACache(str(members.path), NotACacheReason.NO_SCHEME)
    return next((f for f in found if PackagedBundles(members, f"{f}/{_LEVELS}").by_level), found[0])


def _profile(members: ZipMembers, folder: str) -> CacheProfile:
    conf, cdi = members.find(f"{folder}/{CONF_XML}"), members.find(f"{folder}/{CONF_CDI}")
    if conf is None:
        raise NotACache(str(members.path), NotACacheReason.NO_SCHEME)
    map_name = folder.rpartition("/")[2]
    profile = parse_conf(
        members.content(conf, xml_tree.LARGEST),
        None if cdi is None else members.content(cdi, xml_tree.LARGEST),
        f"{members.path}/{conf.name}",
        members.path.stem if map_name.lower() == _USUAL_MAP else map_name,
    )
    if profile.storage not in (StorageFormat.COMPACT_V1, StorageFormat.COMPACT_V2):
        raise DamagedCache(str(members.path), "tiles that lie one by one in a package")
    return profile
