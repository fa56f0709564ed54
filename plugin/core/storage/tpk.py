"""Tile packages of ArcGIS 10 (TPK): a compact cache, its conf.xml and a description, in a zip.

No specification exists; this is what packages of ArcGIS hold. The cache lies in `v101/<map name>`,
in bundles of version 1. Only read.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from ..errors import DamagedCache, NotACache, NotACacheReason
from . import xml_tree
from .bundle_kinds import V1, V2
from .conf_xml import CONF_CDI, CONF_XML, parse_conf
from .packaged import PackagedBundles, PackagedStore
from .profile import CacheProfile, StorageFormat
from .zip_members import ZipMembers

_CONF = re.compile(rf"v\d+/(?P<map>[^/]+)/{re.escape(CONF_XML)}")
_LEVELS = "_alllayers"
_USUAL_MAP = "layers"  # what ArcMap calls the map of a document that nobody named


class TpkStore(PackagedStore):
    """The tiles of the tile package at `path`."""

    def __init__(self, path: Path) -> None:
        """Raises NotACache, DamagedCache, HostileFile, CacheInUse."""
        members = ZipMembers(path)
        try:
            folder = _folder(members)
            profile = _profile(members, folder)
            super().__init__(
                path,
                PackagedBundles(members, f"{folder}/{_LEVELS}"),
                V1 if profile.storage is StorageFormat.COMPACT_V1 else V2,
            )
        except BaseException:
            members.close()
            raise
        known = {level.id for level in profile.scheme.levels}
        cached = tuple(each for each in self.level_ids() if each in known)
        self.profile = replace(
            profile, storage=StorageFormat.TPK, cached_ids=cached or profile.cached_ids
        )


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
