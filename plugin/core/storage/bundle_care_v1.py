"""The care of one bundle of version 1: as `bundle_care`, of its two files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..arrays import whole_numbers
from ..errors import DamagedCache
from ..tiling import BUNDLE_TILES
from .bundle_care import first_tile, inside, overlapping, set_aside, whole_tile
from .bundle_v1 import BundleV1, index_beside
from .bundle_v2 import Index
from .files import storage_errors, sync_folder
from .layout_v1 import DATA_START, HeaderV1
from .store import Fault, Finding


def findings_of_v1(bundle: BundleV1, level_id: int, name: str) -> Iterator[Finding]:
    """What is wrong with a bundle, apart from the pictures in it; `name`: its path in the cache."""
    try:
        if bundle.part.size < DATA_START:
            yield _useless(Fault.CUT, level_id, name)
            return
        index, header = bundle.index(), bundle.header()
    except DamagedCache:
        yield _useless(Fault.NOT_A_BUNDLE, level_id, name)
        return
    except OSError:
        yield Finding(Fault.UNREADABLE, level_id, name)
        return
    if header is not None and header.file_size > index.file_size:
        yield Finding(Fault.CUT, level_id, name, can_be_mended=True)
    elif not _is_true(header, index, name):
        yield Finding(Fault.HEADER, level_id, name, can_be_mended=True)
    row, col = first_tile(name)
    for slot, fault in _faults(index):
        tile = (row + slot // BUNDLE_TILES, col + slot % BUNDLE_TILES)
        yield Finding(fault, level_id, name, tile, can_be_mended=True)


def index_missing(level_id: int, name: str) -> Finding:
    """The index of the bundle `name` is not there, and without one nobody knows its tiles."""
    return _useless(Fault.NOT_A_BUNDLE, level_id, name)


def mend_bundle_v1(path: Path, finding: Finding) -> bool:
    """Put right what `finding` tells of the bundle at `path`; whether it is right now.

    The caller holds the bundle's lock. As `bundle_care.mend_bundle`. Raises as `BundleV1.append`.
    """
    if not finding.can_be_mended:
        return False
    try:
        bundle = BundleV1(path, for_writing=True)
    except FileNotFoundError:
        _set_both_aside(path)
        return True
    with bundle:
        try:
            is_useless = bundle.part.size < DATA_START
            index = None if is_useless else bundle.index()
        except DamagedCache:
            index = None
        if index is not None:
            _mend_open(bundle, index, finding)
    if index is None:  # closed first: Windows renames no open files
        _set_both_aside(path)
    return True


def defragment_bundle_v1(path: Path) -> int:
    """Move the tiles of the bundle at `path` together; gives the bytes won.

    The caller holds the bundle's lock. A bundle without a tile that can be read is removed. It
    keeps its time, for its tiles are no newer. Raises as `BundleV1.append`.
    """
    try:
        bundle = BundleV1(path, for_writing=True)
    except FileNotFoundError:
        return 0  # removed in the meantime
    with bundle:
        index = bundle.index()
        if index.exists.any():
            with storage_errors(path):
                before = path.stat()
            bundle.pack()
    with storage_errors(path):
        if index.exists.any():
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
            return index.file_size - path.stat().st_size
        beside = index_beside(path)
        path.unlink()  # first: an index alone is nothing, and goes once there is a bundle again
        beside.unlink()
        sync_folder(path.parent)
    return index.file_size


def _useless(fault: Fault, level_id: int, name: str) -> Finding:
    return Finding(fault, level_id, name, can_be_mended=True, by_setting_aside=True)


def _is_true(header: HeaderV1 | None, index: Index, name: str) -> bool:
    """Whether `header` tells the truth; how many tiles there are, nobody reads."""
    largest = int(index.sizes[index.exists].max(initial=0))
    return (
        header is not None
        and header.file_size == index.file_size
        and header.largest_tile >= largest
        and header.place == first_tile(name)
    )


def _faults(index: Index) -> list[tuple[int, Fault]]:
    """Slots, ascending, that have a fault, and which."""
    outside, shared = index.used & ~inside(index), overlapping(index)
    slots = whole_numbers(np.flatnonzero(outside | shared))
    return [(slot, Fault.OUTSIDE if outside[slot] else Fault.OVERLAP) for slot in slots]


def _mend_open(bundle: BundleV1, index: Index, finding: Finding) -> None:
    if finding.tile is None:
        bundle.write_header()
        return
    row, col = finding.tile
    slot = row % BUNDLE_TILES * BUNDLE_TILES + col % BUNDLE_TILES
    if finding.fault is not Fault.PICTURE and slot not in dict(_faults(index)):
        return  # stored anew in the meantime
    tile = whole_tile(bundle, index, slot)
    if tile is None:
        bundle.delete([slot])
    elif finding.fault is not Fault.PICTURE:
        bundle.append({slot: tile})


def _set_both_aside(path: Path) -> None:
    """Rename both files, as far as they are there, so that nobody takes them for a bundle."""
    for each in (index_beside(path), path):
        if each.exists():
            set_aside(each)
