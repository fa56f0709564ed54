"""The care of a cache's `conf.cdi`, which tells where its data lie: readers do without, or fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import BadScheme, DamagedCache, NotACache
from ..tiling import Extent, Level, TileRange
from . import xml_tree
from .conf_xml import CONF_CDI, conf_cdi, has_extent
from .data_extent import extent_of_blocks
from .files import write_whole
from .small_files import find_file, read_small
from .store import NO_LEVEL, Fault, Finding, TileStore


def extent_file_findings(store: TileStore) -> Iterator[Finding]:
    """Whether the conf.cdi of a cache in a folder can be read; one that is missing is no fault."""
    path = find_file(store.path, CONF_CDI)
    if path is not None and not _is_sound(path):
        yield Finding(Fault.UNREADABLE, NO_LEVEL, path.name, can_be_mended=store.is_writable)


def is_extent_file(finding: Finding) -> bool:
    """Whether the finding is about a conf.cdi."""
    return finding.level_id == NO_LEVEL and finding.file.lower() == CONF_CDI


def mend_extent_file(store: TileStore) -> bool:
    """Write the conf.cdi anew: the extent of the tiles there are, else of all there can be.

    Whether it is right now. Raises as `write_whole`.
    """
    path = find_file(store.path, CONF_CDI)
    if path is None or _is_sound(path):
        return True  # somebody was quicker
    try:
        content = conf_cdi(replace(store.profile, extent=extent_of_tiles(store)))
    except BadScheme:
        return False  # the conf.xml names no CRS in full
    write_whole(path, content)
    return True


def extent_of_tiles(store: TileStore) -> Extent | None:
    """Where the tiles of the levels that the scheme knows lie; None without any."""
    filled: dict[Level, TileRange] = {}
    there = set(store.level_ids())
    for level in store.profile.scheme.levels:
        found = list(_filled(store, level.id)) if level.id in there else []
        if found:
            filled[level] = TileRange(
                min(block.min_row for block in found),
                max(block.max_row for block in found),
                min(block.min_col for block in found),
                max(block.max_col for block in found),
            )
    return extent_of_blocks(store.profile.scheme, filled)


def _filled(store: TileStore, level_id: int) -> Iterator[TileRange]:
    """Of each block of a level, the part that its tiles fill."""
    for block in store.blocks(level_id):
        try:
            tiles = np.argwhere(store.exists(level_id, block))
        except DamagedCache:
            continue  # `findings` tells
        if len(tiles):
            (top, left), (bottom, right) = tiles.min(axis=0).tolist(), tiles.max(axis=0).tolist()
            row, col = block.min_row, block.min_col
            yield TileRange(row + top, row + bottom, col + left, col + right)


def _is_sound(path: Path) -> bool:
    try:
        return has_extent(read_small(path, xml_tree.LARGEST), str(path))
    except NotACache:
        return False
