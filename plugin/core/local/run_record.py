"""What the journal of an update holds, and how it is written: JSON lines.

The first line, the head, says what the run is about. Then, each as it happens:

    [level, row, col, made, replaced, deleted, skipped]   a supertile done; of a deletion, a bundle
    [..., [[row, first, last], ...], error, name, text]   the same, with runs of failed tiles
    [..., side, supertiles]                               either, about a square of supertiles
    {"whole": [[level, row, col, skipped, untouched], ...]}   bundles done and committed, wholly
    {"untouched": n}                                      n supertiles in which nothing was to do
    {"resumed": seconds, "sure": whether}                 taken up again after an interruption; if
                                                          not sure, no bundle before is done wholly
    {"end": outcome, "time": seconds}                     to its end

Of two lines of one supertile the later holds. Lines that are torn, or nobody knows, are passed by.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from shapely import wkb

from .. import errors
from ..arrays import whole_numbers
from ..errors import LayerFailed, SourceError, StorageError, TileCacheError
from ..level_areas import LevelArea, Place
from ..request import Resume, TileFilter, UpdateMode, UpdateRequest
from ..storage.store import Bools
from ..tiling import BUNDLE_TILES, Extent, Level, SpatialReference, TilingScheme
from .plan import Corner

VERSION = 1

UNREADABLE = (
    *(ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError),
    TileCacheError,
)
"""What a journal can make of itself that was not written by us."""

LARGEST = 1 << 32
"""Numbers in a journal are below this, as no row of any scheme that files can name is."""

LAST_LEVEL = (1 << 16) - 1

_FAILED = 4  # items of a line that tell of failed tiles
_SQUARE = 9  # items of the line of a square without them

COPIED = "\ncopied"
"""How the state of a source ends that copies tiles for an export."""

SIDES = frozenset(1 << power for power in range(BUNDLE_TILES.bit_length()))
"""What a supertile, or a square of them, can have for a side, in tiles."""

Tiles = tuple[Corner, ...]

Whole = tuple[int, int, int, int, int]
"""A bundle that is done: level, row and column, and, outside of its entries, how many tiles were
left as they are and how many supertiles needed nothing."""

Key = tuple[int, int, int, int]
"""Level, row, column and side of an entry; no two that hold have the same."""


@dataclass(frozen=True)
class Entry:
    """What came of a supertile (of a deletion: of a bundle), named by its first tile.

    Numbers of tiles, and the rows and columns of those that `failed`, because of `error`. `side`:
    tiles to a side where it is about a square of so many `supertiles` at once; 0: about one.
    """

    level_id: int
    row: int
    col: int
    made: int = 0
    replaced: int = 0
    deleted: int = 0
    skipped: int = 0
    failed: Tiles = ()
    error: TileCacheError | None = None
    side: int = 0
    supertiles: int = 1

    @property
    def key(self) -> Key:
        return self.level_id, self.row, self.col, self.side


@dataclass(frozen=True)
class Head:
    """What a run is about.

    `request`: as it was asked. `source`: what it is drawn from and in which state, as text.
    `side`: tiles to a side of what an entry is about. `started`: seconds since 1970. `planned`:
    number of supertiles. `tiles`: by level id, the tiles it is about where those were listed and
    not taken from the area.
    """

    request: UpdateRequest
    source: str
    side: int
    started: float
    planned: int
    tiles: dict[int, Tiles] | None = None

    @property
    def is_copy(self) -> bool:
        """Whether tiles are copied, for an export."""
        return self.source.endswith(COPIED)

    def is_about(self, request: UpdateRequest) -> bool:
        """Whether `request` asks for just the same, from the beginning or not."""
        return _digest(self.request) == _digest(request)


def head_line(head: Head) -> str:
    """The first line of a journal."""
    listed = head.tiles
    tiles = None if listed is None else {level: runs_of(each) for level, each in listed.items()}
    rest = {"source": head.source, "side": head.side, "started": head.started}
    about = {"planned": head.planned, "tiles": tiles}
    return _json({"version": VERSION, **_asked(head.request), **rest, **about})


def read_head(line: str) -> Head:
    """The head that `line` holds. Raises any of UNREADABLE."""
    found = json.loads(line)
    if found["version"] != VERSION:
        raise ValueError(found["version"])
    side, listed = int(found["side"]), found["tiles"]
    if side not in SIDES:
        raise ValueError(side)
    tiles = None if listed is None else {int(k): tiles_of(runs) for k, runs in listed.items()}
    return Head(
        request=_read_request(found),
        source=str(found["source"]),
        side=side,
        started=float(found["started"]),
        planned=int(found["planned"]),
        tiles=tiles,
    )


def entry_line(entry: Entry) -> str:
    """An entry as a line."""
    numbers = (entry.made, entry.replaced, entry.deleted, entry.skipped)
    line: list[Any] = [entry.level_id, entry.row, entry.col, *numbers]
    if entry.failed:
        error = entry.error or TileCacheError()
        name, text = _said(error)
        line += [runs_of(entry.failed), type(error).__name__, name, text]
    if entry.side:
        line += [entry.side, entry.supertiles]
    return _json(line)


def read_entry(line: list[Any]) -> Entry:
    """The entry of a decoded line. Raises any of UNREADABLE."""
    entry = Entry(*checked(line[:7]))
    if len(line) == 7:
        return entry
    if len(line) in (_SQUARE, _SQUARE + _FAILED):
        side, supertiles = int(line[-2]), int(line[-1])
        if side not in SIDES or not 0 < supertiles <= BUNDLE_TILES**2:
            raise ValueError(line)
        entry = replace(entry, side=side, supertiles=supertiles)
    if len(line) == _SQUARE:
        return entry
    kind, name, text = (str(item) for item in line[8:11])
    return replace(entry, failed=tiles_of(line[7]), error=_told(kind, name, text))


def checked(numbers: list[Any]) -> tuple[int, int, int, int, int, int, int]:
    """The seven numbers of an entry, if they can be. Raises any of UNREADABLE."""
    level_id, row, col, made, replaced, deleted, skipped = map(int, numbers)
    whole = (level_id, row, col, made, replaced, deleted, skipped)
    if min(whole) < 0 or max(whole) >= LARGEST or level_id > LAST_LEVEL:
        raise ValueError(numbers)
    if max(made, replaced, skipped) > BUNDLE_TILES**2:
        raise ValueError(numbers)
    return whole


def whole_line(bundles: Iterable[Whole]) -> str:
    """Bundles that are done, all of them committed, as a line."""
    return _json({"whole": list(bundles)})


def read_whole(numbers: list[Any]) -> Whole:
    """One of the bundles of such a line. Raises any of UNREADABLE."""
    level_id, row, col, skipped, untouched = map(int, numbers)
    checked([level_id, row, col, skipped, untouched, 0, 0])
    return level_id, row, col, skipped, untouched


def tiles_in(corner: Corner, mask: Bools) -> Tiles:
    """Rows and columns of the tiles of `mask`, whose first is at `corner`."""
    rows, cols = np.nonzero(mask)
    return tuple(zip(whole_numbers(rows + corner[0]), whole_numbers(cols + corner[1])))


def runs_of(tiles: Iterable[Corner]) -> list[list[int]]:
    """Tiles as runs of neighbours: row, first and last column."""
    runs: list[list[int]] = []
    for row, col in sorted(tiles):
        if runs and runs[-1][0] == row and runs[-1][2] == col - 1:
            runs[-1][2] = col
        else:
            runs.append([row, col, col])
    return runs


def tiles_of(runs: Collection[Collection[int]]) -> Tiles:
    """The tiles of such runs. Raises ValueError, TypeError."""
    whole = [tuple(int(number) for number in run) for run in runs]
    if any(not 0 <= first <= last < first + BUNDLE_TILES**2 for _row, first, last in whole):
        raise ValueError(whole)
    return tuple((row, col) for row, first, last in whole for col in range(first, last + 1))


def _said(error: TileCacheError) -> tuple[str, str]:
    """What an error is about and what it says."""
    if isinstance(error, SourceError):
        return error.name, getattr(error, "detail", "") or error.text
    return str(getattr(error, "path", "")), str(getattr(error, "detail", "") or error)


def _told(kind: str, name: str, text: str) -> TileCacheError:
    """The error that was written so, as far as it can be made again."""
    if kind == LayerFailed.__name__:
        return LayerFailed(name, text)
    if kind == errors.DamagedCache.__name__:
        return errors.DamagedCache(name, text)
    if kind == errors.CacheInUse.__name__:
        return errors.CacheInUse(name)
    known = getattr(errors, kind, None)
    if isinstance(known, type) and issubclass(known, StorageError):
        return StorageError(name, text)
    return SourceError(name, text)


def _asked(request: UpdateRequest) -> dict[str, Any]:
    """What is asked for, apart from how a run is taken up."""
    chosen = request.tile_filter
    older = chosen.older_than
    groups = [[list(each.level_ids), *_place(each.area)] for each in request.level_areas]
    area, extent = _place(request.extent if request.area is None else request.area)
    return {
        "mode": request.mode.value,
        "levels": sorted(level.id for level in request.levels),
        "area": area,
        "extent": extent,
        # only where there are some, so that older records are found again
        **({"level_areas": groups} if groups else {}),
        "only_existing": chosen.only_existing,
        "older_than": None if older is None else float(older),
        "scheme": asdict(request.scheme),
    }


def _place(place: Place) -> tuple[str | None, list[float] | None]:
    """A polygon, and a rectangle, one of which a place is; neither for the whole cache."""
    if isinstance(place, Extent):
        return None, [float(number) for number in place.bounds]
    return None if place is None else wkb.dumps(place, hex=True), None


def _read_place(area: Any, extent: Any) -> Place:
    if area is None:
        return None if extent is None else Extent(*(float(number) for number in extent))
    try:
        return wkb.loads(area, hex=True)
    except Exception as error:  # shapely 1.8 and 2 raise errors of their own, without a common root
        raise ValueError(area) from error


def _digest(request: UpdateRequest) -> str:
    return hashlib.sha256(_json(_asked(request)).encode()).hexdigest()


def _read_request(found: dict[str, Any]) -> UpdateRequest:
    scheme = _read_scheme(found["scheme"])
    older = found["older_than"]
    ids = {int(number) for number in found["levels"]}
    place = _read_place(found["area"], found["extent"])
    groups = tuple(
        LevelArea(tuple(int(number) for number in listed), _read_place(area, extent))
        for listed, area, extent in found.get("level_areas", ())
    )
    return UpdateRequest(
        scheme=scheme,
        levels=tuple(level for level in scheme.levels if level.id in ids),
        mode=UpdateMode(found["mode"]),
        area=None if isinstance(place, Extent) else place,
        extent=place if isinstance(place, Extent) else None,
        level_areas=groups,
        tile_filter=TileFilter(
            bool(found["only_existing"]), None if older is None else float(older)
        ),
        resume=Resume.CONTINUE,
    )


def _read_scheme(found: dict[str, Any]) -> TilingScheme:
    scheme = TilingScheme(**found)
    levels = tuple(Level(**level) for level in found["levels"])
    return replace(scheme, crs=SpatialReference(**found["crs"]), levels=levels)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
