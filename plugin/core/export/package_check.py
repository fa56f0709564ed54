"""Whether a package that a site made is what it was asked for; before it replaces anything."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..arrays import places, whole_numbers
from ..coverage import cover
from ..errors import BadPackage, BadPackageReason, DiskFull, StorageError
from ..local.plan import bundles_of
from ..storage.opening import open_store
from ..storage.profile import CacheProfile
from ..storage.store import Bools, TileStore
from ..tiling import TileRange, TilingScheme
from .matching import differences, level_map, takes
from .split import Part

IsThere = Callable[[int, int, int], "bool | None"]
"""Whether a service has the tile of level id, row and column; None where it does not tell."""

_ASKED_AFTER = 8  # tiles of a level that are missing
_SURE_OF_NOTHING = 256  # tiles of a part that are asked after where there is no package of it
_OF_BUNDLE = 64  # of which these are chosen
_BUNDLES_LISTED = 4096
_LOOKED_INTO = 8  # tiles of a level
_WORDS = (b"<", b"{")  # as HTML, XML and JSON begin
_PIECE = 1 << 20

Tile = tuple[int, int, int]
_Item = TypeVar("_Item")


def check_package(
    paths: Sequence[Path],
    part: Part,
    like: CacheProfile,
    announced: int | None,
    is_there: IsThere,
    cancelled: Callable[[], bool] = lambda: False,
) -> int:
    """How many tiles of `part` are in the packages at `paths`. Reads all of them.

    `like`: the service's own scheme, tile format and name. `announced`: tiles that the site said it
    would hand out. Where some are missing, the service is asked after some of them: a cache may
    have gaps. `cancelled`: once true, ends early with what it has, and checks no more.
    Raises BadPackage, DiskFull (deflated members have no room to be unpacked).
    """
    if not paths:
        raise BadPackage(like.name, BadPackageReason.MISSING)
    try:
        with ExitStack() as stack:
            stores = [stack.enter_context(open_store(path)) for path in paths]
            return _checked(stores, part, like, announced, is_there, cancelled)
    except DiskFull:
        raise
    except (StorageError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        detail = getattr(error, "detail", "") or str(error)
        raise BadPackage(like.name, BadPackageReason.DAMAGED, detail) from error


def is_empty(part: Part, scheme: TilingScheme, is_there: IsThere) -> bool:
    """Whether the service says of many tiles of `part`, from all over it, that none is there."""
    listed: list[Tile] = []
    for level in part.levels:
        for block, mask in bundles_of(cover(scheme, level, part.area)):
            listed += _tiles_of(mask, level.id, block, _OF_BUNDLE)
            if len(listed) > _BUNDLES_LISTED:
                del listed[::2]  # still from all over it
    return all(is_there(*tile) is False for tile in _some(listed, _SURE_OF_NOTHING))


def _checked(
    stores: Sequence[TileStore],
    part: Part,
    like: CacheProfile,
    announced: int | None,
    is_there: IsThere,
    cancelled: Callable[[], bool],
) -> int:
    for store in stores:
        own = store.profile
        # JPEG in a package of a MIXED service is as good as MIXED in one of JPEG
        is_taken = takes(like.image_format, own.image_format)
        image_format = own.image_format if is_taken else like.image_format
        different = differences(own, like.scheme, image_format, part.levels)
        if different:
            detail = ", ".join(each.name for each in different)
            raise BadPackage(like.name, BadPackageReason.SCHEME, detail)
        _check_sums(store.path, cancelled)
    found, missing = _counted(stores, part, like, cancelled)
    if cancelled() or found >= part.tiles:
        return found
    total = sum(sum(store.counts(cancelled).values()) for store in stores)
    if total and not found:
        raise BadPackage(like.name, BadPackageReason.FOREIGN, f"{total} tiles")
    if announced is not None and announced <= found:
        return found
    answers = [is_there(*tile) for tile in missing]
    # What lies beyond the area may have been announced, too, but is none of what is missing.
    is_short = announced is not None and announced > total
    if any(answers) or (is_short and all(answer is None for answer in answers)):
        raise BadPackage(like.name, BadPackageReason.TOO_FEW, f"{found} of {part.tiles}")
    return found


def _check_sums(path: Path, cancelled: Callable[[], bool]) -> None:
    """Read all of a zip file, which sums up what is in it. Raises BadZipFile, zlib.error."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as package:
        for member in package.infolist():
            with package.open(member) as file:
                while not cancelled() and file.read(_PIECE):
                    continue


def _counted(
    stores: Sequence[TileStore],
    part: Part,
    like: CacheProfile,
    cancelled: Callable[[], bool],
) -> tuple[int, list[Tile]]:
    """How many tiles of `part` any of `stores` has, and some of those that none has."""
    found = 0
    missing: list[Tile] = []  # of each level some, for it may be one level that was left out
    maps = [level_map(like.scheme, store.profile.scheme) for store in stores]
    for level in part.levels:
        ids = [levels[level.id] for levels in maps]
        listed: list[Tile] = []
        looked = 0
        for block, mask in bundles_of(cover(like.scheme, level, part.area)):
            if cancelled():
                return found, []
            there = np.zeros_like(mask)
            for store, level_id in zip(stores, ids):
                there |= store.exists(level_id, block)
            found += int((mask & there).sum())
            if looked < _LOOKED_INTO:
                tiles = list(_tiles_of(mask & there, level.id, block, 1))
                looked += len(tiles)
                _check_pictures(stores, ids, tiles, like.name)
            if len(listed) < _BUNDLES_LISTED:
                listed += _tiles_of(mask & ~there, level.id, block, 2)
        missing += _some(listed)
    return found, missing


def _check_pictures(
    stores: Sequence[TileStore], ids: Sequence[int], tiles: Sequence[Tile], service: str
) -> None:
    """Raise BadPackage where one of `tiles` is what a site says in place of a picture."""
    for _level_id, row, col in tiles:
        for store, level_id in zip(stores, ids):
            content = store.read(level_id, row, col) or b""
            if content.lstrip().startswith(_WORDS):
                raise BadPackage(service, BadPackageReason.DAMAGED, "words in place of tiles")


def _some(tiles: Sequence[_Item], most: int = _ASKED_AFTER) -> list[_Item]:
    """Some of `tiles`, from all over them, and by no pattern that gaps may have, too."""
    chosen = np.random.default_rng(0).permutation(len(tiles))[:most]
    return [tiles[index] for index in sorted(whole_numbers(chosen))]


def _tiles_of(mask: Bools, level_id: int, block: TileRange, most: int) -> Iterator[Tile]:
    """Some tiles of `mask`, which is of `block`."""
    for row, col in _some(places(mask), most):
        yield level_id, block.min_row + row, block.min_col + col
