"""The care of one bundle: what is wrong with it, putting it right, and writing it without holes.

No faults are what ArcGIS writes itself instead of what Esri's "Compact Cache V2" paper says: record
count 0, a constant for the size of the largest tile, 0 in a legacy field. Tiles that share all
their bytes are no fault either: some writers store equal tiles once.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..arrays import whole_numbers
from ..tiling import BUNDLE_TILES
from .bundle_v2 import DATA_START, EMPTY_ENTRY, OFFSET_BITS, BundleV2, Header, Index
from .bundled import Bundle
from .byte_range import OpenFile
from .files import replacing, storage_errors, sync_folder
from .layout_v1 import INDEX_SUFFIX
from .pictures import picture_facts
from .records import PREFIX_SIZE, SLOTS
from .store import Bools, Fault, Finding

DAMAGED = ".damaged"
"""How the names of files end that were set aside, since nothing in them can be read."""

_NAME = re.compile(r"R([0-9a-f]{4,})C([0-9a-f]{4,})\.bundle$", re.IGNORECASE)
_LOOKS, _PAUSE = 20, 0.05  # how often a stale header is looked at again, after so many seconds
_QUIET = 10.0  # seconds after which nobody is writing any more
_UNJUDGED = (b"Lerc2 ", b"CntZImage ", b"\x1f\x8b")
"""How tiles begin that are no pictures: elevations (LERC), packed vector tiles."""

Integers = NDArray[np.int64]


def findings_of(bundle: BundleV2, level_id: int, name: str) -> Iterator[Finding]:
    """What is wrong with a bundle, apart from the pictures in it; `name`: its path in the cache.

    Looks without a lock, for a cache may be verified that is only read.
    """
    try:
        size = bundle.part.size
        if size < DATA_START:
            yield _useless(Fault.CUT, level_id, name)
            return
        has_header = bundle.header().is_of_a_bundle
        if not has_header and _is_of_v1(bundle.path):
            yield Finding(Fault.NOT_A_BUNDLE, level_id, name)
            return
        if not has_header and not _is_plausible(bundle):
            yield _useless(Fault.NOT_A_BUNDLE, level_id, name)
            return
        header, index = _settled(bundle)
        if not has_header:
            yield Finding(Fault.HEADER, level_id, name, can_be_mended=True)
        elif header.file_size > index.file_size:
            yield Finding(Fault.CUT, level_id, name, can_be_mended=True)
        elif not _is_true(header, index):
            yield Finding(Fault.HEADER, level_id, name, can_be_mended=True)
        faults = _Faults(bundle, index).all()
    except OSError:
        yield Finding(Fault.UNREADABLE, level_id, name)
        return
    first_row, first_col = first_tile(name)
    for slot, fault in faults:
        tile = (first_row + slot // BUNDLE_TILES, first_col + slot % BUNDLE_TILES)
        yield Finding(fault, level_id, name, tile, can_be_mended=True)


def mend_bundle(path: Path, finding: Finding) -> bool:
    """Put right what `finding` tells of the bundle at `path`; whether it is right now.

    The caller holds the bundle's lock. A header is written anew, where the index behind it can be
    one. A tile that can be read and is a whole picture (or no picture at all) is stored once more;
    any other is dropped. A file too short to hold a single tile, or without an index, is set aside
    under a name that ends in DAMAGED. Raises as `BundleV2.append`.
    """
    if not finding.can_be_mended:
        return False
    try:
        bundle = BundleV2(path, for_writing=True)
    except FileNotFoundError:
        return True  # removed in the meantime
    with bundle:
        is_useless = _is_useless(bundle)
        if not is_useless:
            _mend_open(bundle, finding)
    if is_useless:  # closed first: Windows renames no open files
        set_aside(path)
    return True


def holes_of(bundle: Bundle) -> tuple[int, int]:
    """Bytes of the bundle, and how many of them no tile uses. Raises DamagedCache.

    Of version 1: of the file with the tiles. Without any tile that is all of them, for then nobody
    needs header and index either.
    """
    index = bundle.index()
    if not index.exists.any():
        return index.file_size, index.file_size
    starts, ends = _spans(index, np.flatnonzero(index.exists))
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], ends[order]
    reached = np.maximum.accumulate(np.concatenate([[index.data_start], ends]))[:-1]
    used = np.maximum(ends - np.maximum(starts, reached), 0).sum()
    return index.file_size, int(index.file_size - index.data_start - used)


def defragment_bundle(path: Path) -> int:
    """Write the bundle at `path` anew without holes, tiles row by row; gives the bytes won.

    The caller holds the bundle's lock. The new file takes the old one's place by a rename: whoever
    reads the old one goes on with it. It keeps the old one's time, for its tiles are no newer.
    A bundle without a tile that can be read is removed. Entries that point outside the file are
    dropped. Raises DamagedCache, DiskFull and others of `files.replacing`; then all is as before.
    """
    try:
        bundle = BundleV2(path)
    except FileNotFoundError:
        return 0  # removed in the meantime
    with bundle:
        index = bundle.index()
    slots = np.flatnonzero(index.exists)
    if slots.size:
        with storage_errors(path):
            before = path.stat()
        with replacing(path, is_locked=True) as part:
            # Closed again before the rename, which Windows would refuse otherwise.
            with BundleV2(path) as bundle, part.open("wb") as file:
                _write_compactly(bundle, index, slots, file)
            os.utime(part, ns=(before.st_atime_ns, before.st_mtime_ns))
    with storage_errors(path):
        if slots.size:
            return index.file_size - path.stat().st_size
        path.unlink()
        sync_folder(path.parent)
    return index.file_size


def first_tile(name: str) -> tuple[int, int]:
    """Row and column of the first tile of the bundle file `name`; (0, 0) for other names."""
    found = _NAME.search(name)
    return (int(found[1], 16), int(found[2], 16)) if found else (0, 0)


# Files that are no bundles, or look like none


def _useless(fault: Fault, level_id: int, name: str) -> Finding:
    return Finding(fault, level_id, name, can_be_mended=True, by_setting_aside=True)


def _is_useless(bundle: BundleV2) -> bool:
    """Whether nothing in the file can be read, whatever header is written."""
    if bundle.part.size < DATA_START:
        return True
    is_bundle = bundle.header().is_of_a_bundle or _is_of_v1(bundle.path)
    return not is_bundle and not _is_plausible(bundle)


def _is_of_v1(path: Path) -> bool:
    """Whether the file belongs to a bundle of version 1, which lies among others by mistake."""
    return path.with_suffix(INDEX_SUFFIX).exists()


def _is_plausible(bundle: BundleV2) -> bool:
    """Whether what lies where an index does is one: most of its tiles have their size in front."""
    index = bundle.index(is_checked=False)
    faults = _Faults(bundle, index).all()
    return 2 * len(faults) <= int(np.count_nonzero(index.used))


# Faults


def _settled(bundle: BundleV2) -> tuple[Header, Index]:
    """Header and index; where the header is stale, once nobody has written for a moment.

    A writer comes to the header last, so beside one it may just not be there yet.
    """
    header, index = bundle.header(), bundle.index(is_checked=False)
    for _ in range(_LOOKS):
        if _is_true(header, index) or time.time() - bundle.part.file.modified > _QUIET:
            break
        time.sleep(_PAUSE)
        before = header.file_size, index.file_size
        header, index = bundle.header(), bundle.index(is_checked=False)
        if before == (header.file_size, index.file_size):
            break
    return header, index


def _is_true(header: Header, index: Index) -> bool:
    """Whether `header` tells the truth, or what ArcGIS writes in its place."""
    largest = int(index.sizes[index.exists].max(initial=0))
    paper = Header()
    return (
        header.file_size == index.file_size
        and header.largest_tile >= largest
        and header.record_count in (0, paper.record_count)
        and header.legacy_16 in (0, paper.legacy_16)
        and header.user_header_size == paper.user_header_size
        and header.legacy_version == paper.legacy_version
        and header.legacy_count == paper.legacy_count
        and header.legacy_offset_bytes == paper.legacy_offset_bytes
    )


class _Faults:
    """What is wrong with the entries of a bundle."""

    def __init__(self, bundle: BundleV2, index: Index) -> None:
        self._part = bundle.part
        self._index = index
        self._inside = inside(index)
        self._overlapping = overlapping(index)

    def all(self) -> list[tuple[int, Fault]]:
        """Slots, ascending, that have a fault, and which."""
        slots = whole_numbers(np.flatnonzero(self._index.used))
        found = ((slot, self.at(slot)) for slot in slots)
        return [(slot, fault) for slot, fault in found if fault is not None]

    def at(self, slot: int) -> Fault | None:
        """What is wrong with the entry of `slot`; of several faults the worst."""
        if not self._index.used[slot]:
            return None
        if not self._inside[slot]:
            return Fault.OUTSIDE
        if self._overlapping[slot]:
            return Fault.OVERLAP
        prefix = self._part.read(int(self._index.offsets[slot]) - PREFIX_SIZE, PREFIX_SIZE)
        is_right = int.from_bytes(prefix, "little") == self._index.sizes[slot]
        return None if is_right else Fault.SIZE


def inside(index: Index) -> Bools:
    """Slots whose tile, with its size in front, lies inside the file."""
    return index.exists & (index.offsets >= index.data_start + PREFIX_SIZE)


def _spans(index: Index, slots: Integers) -> tuple[Integers, Integers]:
    """From where to where the tiles of `slots` lie, their size in front included."""
    starts = np.maximum(index.offsets[slots] - PREFIX_SIZE, index.data_start)
    return starts, index.offsets[slots] + index.sizes[slots]


def overlapping(index: Index) -> Bools:
    """Slots whose tile begins within another one, save those that share all their bytes."""
    slots = np.flatnonzero(inside(index))
    starts, ends = _spans(index, slots)
    spans, which = np.unique(np.column_stack([starts, ends]), axis=0, return_inverse=True)
    reached = np.maximum.accumulate(np.concatenate([[0], spans[:, 1]]))[:-1]
    found = np.zeros(SLOTS, dtype=np.bool_)
    found[slots] = (spans[:, 0] < reached)[which.reshape(-1)]
    return found


def whole_tile(bundle: Bundle, index: Index, slot: int) -> bytes | None:
    """The tile in `slot`, where it can be read and is a whole picture or none at all."""
    tile = bundle.read(slot) if index.exists[slot] else None
    if tile is None or (picture_facts(tile) is None and not tile.startswith(_UNJUDGED)):
        return None
    return tile


# Mending and rewriting


def _mend_open(bundle: BundleV2, finding: Finding) -> None:
    if finding.tile is None:
        _write_header(bundle)
        return
    row, col = finding.tile
    slot = row % BUNDLE_TILES * BUNDLE_TILES + col % BUNDLE_TILES
    index = bundle.index()
    if finding.fault is not Fault.PICTURE and _Faults(bundle, index).at(slot) is None:
        return  # stored anew in the meantime
    tile = whole_tile(bundle, index, slot)
    if tile is None:
        bundle.delete([slot])
    elif finding.fault is not Fault.PICTURE:
        bundle.append({slot: tile})


def _write_header(bundle: BundleV2) -> None:
    index = bundle.index(is_checked=False)
    largest = int(index.sizes[index.exists].max(initial=0))
    header = Header(largest_tile=largest, file_size=index.file_size)
    with storage_errors(bundle.path), OpenFile(bundle.path, for_writing=True) as file:
        file.write(0, header.to_bytes())


def set_aside(path: Path) -> None:
    """Rename `path` so that nobody takes it for a bundle any more."""
    with storage_errors(path):
        path.rename(name_aside(path))
        sync_folder(path.parent)


def name_aside(path: Path) -> Path:
    """A free name beside `path` that ends in DAMAGED."""
    aside = path.with_name(path.name + DAMAGED)
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.{number}{DAMAGED}")
    return aside


@dataclass
class _Layout:
    """Where the next tile goes, and where those went that may be met again."""

    end: int
    places: dict[tuple[int, int], int]


def _write_compactly(bundle: BundleV2, index: Index, slots: Integers, file: BinaryIO) -> None:
    """Write a bundle of the tiles of `slots` to the empty `file`; shared bytes stay shared."""
    entries = np.full(SLOTS, EMPTY_ENTRY, dtype="<u8")
    layout = _Layout(DATA_START, {})
    file.seek(DATA_START)
    for slot in slots:
        place = int(index.offsets[slot]), int(index.sizes[slot])
        if place not in layout.places:
            content = bundle.read(int(slot)) or b""
            file.write(len(content).to_bytes(PREFIX_SIZE, "little") + content)
            layout.places[place] = layout.end + PREFIX_SIZE
            layout.end += PREFIX_SIZE + len(content)
        entries[slot] = place[1] << OFFSET_BITS | layout.places[place]
    file.seek(0)
    largest = int(index.sizes[slots].max())
    file.write(Header(largest_tile=largest, file_size=layout.end).to_bytes())
    file.write(entries.tobytes())
