"""Caches made from another cache: tiles are copied where they can be, else drawn anew.

A tile is copied as it is where both caches have the same grid at its resolution and its bytes are
of the format wanted; it is encoded anew where only the format differs. On any other grid, or in
another CRS, tiles are drawn from those of the other cache (see `resampling`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qgis.core import QgsCoordinateTransformContext, QgsProject
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor

from ..core.errors import (
    DescriptionError,
    FormatNotDrawn,
    NotACache,
    NotACacheReason,
    NothingToDraw,
    NothingToDrawReason,
)
from ..core.local.source import Cancelled, Supertile, TileSource
from ..core.schemes import area_of
from ..core.storage.opening import find_cache, open_store
from ..core.storage.pictures import PictureFacts, picture_facts
from ..core.storage.profile import CacheProfile, TileFormat
from ..core.storage.store import TileStore
from ..core.tiling import Level, TilingScheme
from .blocks import inside_world, supertile_side, wanted_tiles
from .crs import qgis_crs
from .fingerprints import fingerprint_of
from .resampling import Mosaic, decoded
from .tile_encoder import TileEncoder

MOST_WORKERS = 4

WIDEST_SHIFT = 0.25
"""So many pixels two grids may differ, at their far ends, and still be the same."""

_INDEXED = 3
_COLOUR_TYPE = 25  # where the colour type stands in a PNG


@dataclass(frozen=True)
class SameGrid:
    """Level `level_id` of the other cache, whose tile (row, col) is ours less `rows`, `cols`."""

    level_id: int
    rows: int
    cols: int


class CacheSource(TileSource):
    """Gives the tiles of the cache at `path`. Made on the main thread; opened by `start`.

    `project`: for the transformations it chose. `background`: as in CacheSettings.
    """

    def __init__(self, path: Path, project: QgsProject, background: str = "") -> None:
        self.name = path.name or str(path)
        self.path = path
        self.workers = max(1, min(os.cpu_count() or 1, MOST_WORKERS))
        self._context = QgsCoordinateTransformContext(project.transformContext())
        self._background = QColor(background) if background else None
        self._background_text = background
        self._store: TileStore | None = None

    def is_at(self, path: Path) -> bool:
        try:
            here = find_cache(self.path).path
        except NotACache:  # told by `start`, which knows how
            return False
        return here.samefile(find_cache(path).path)

    def start(self, profile: CacheProfile) -> None:
        """Raises StorageError too, where the other cache cannot be read."""
        tile_format = profile.tile_format
        if tile_format is None:
            raise FormatNotDrawn(self.name, profile.image_format)
        try:
            self._store = store = open_store(self.path)
        except NotACache as error:
            is_missing = error.reason is NotACacheReason.MISSING
            reason = NothingToDrawReason.NO_FILE if is_missing else NothingToDrawReason.UNUSABLE
            raise NothingToDraw(str(self.path), reason) from error
        try:
            target = qgis_crs(profile.scheme.crs, profile.name)
            source = qgis_crs(store.profile.scheme.crs, self.name)
        except DescriptionError:
            raise NothingToDraw(self.name, NothingToDrawReason.NO_CRS) from None
        self.fingerprint = fingerprint_of([str(self.path.absolute()), self._background_text])
        self._scheme = profile.scheme
        self._format = tile_format
        self.supertile_side = supertile_side(self._scheme)
        self._encoder = TileEncoder(tile_format, profile.compression_quality, self._background)
        other = scheme_on_disk(store)
        self._same: dict[int, SameGrid | None] = {}
        if source == target:
            levels = self._scheme.levels
            self._same = {each.id: same_grid(self._scheme, each, other) for each in levels}
        self._mosaic = Mosaic(store, other, self.name, (target, source, self._context))

    def draw(self, supertile: Supertile, cancelled: Cancelled) -> Mapping[tuple[int, int], bytes]:
        same = self._same.get(supertile.level.id)
        if same is None:
            return self._drawn(supertile, cancelled)
        tiles: dict[tuple[int, int], bytes] = {}
        for row, col in wanted_tiles(supertile, supertile.block):
            if cancelled():
                break
            content = self._content(same, row, col)
            if content:
                tiles[row, col] = content
        return tiles

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    def _content(self, same: SameGrid, row: int, col: int) -> bytes | None:
        """The bytes of our tile, None for a gap. Raises LayerFailed for a broken picture."""
        there = same.level_id, row - same.rows, col - same.cols
        content = self._store.read(*there) if min(there[1:]) >= 0 else None
        if content is None:
            return None
        if self._can_be_copied(content):
            return content
        image = decoded(content, self.name, *there)
        size = self._scheme.tile_width, self._scheme.tile_height
        if (image.width(), image.height()) != size:
            smooth = Qt.TransformationMode.SmoothTransformation
            image = image.scaled(*size, Qt.AspectRatioMode.IgnoreAspectRatio, smooth)
        return self._encoder.encode(image)

    def _can_be_copied(self, content: bytes) -> bool:
        facts = picture_facts(content)
        size = self._scheme.tile_width, self._scheme.tile_height
        if facts is None or (facts.width, facts.height) != size:
            return False
        if self._background is not None and facts.has_alpha is not False:
            return False
        return is_of_format(content, facts, self._format)

    def _drawn(self, supertile: Supertile, cancelled: Cancelled) -> dict[tuple[int, int], bytes]:
        block = inside_world(self._scheme, supertile.level, supertile.block)
        pictures: dict[Any, Any] = {}
        tiles: dict[tuple[int, int], bytes] = {}
        for row, col in wanted_tiles(supertile, block):
            if cancelled():
                break
            extent = self._scheme.tile_bounds(supertile.level, row, col)
            size = self._scheme.tile_width, self._scheme.tile_height
            image = self._mosaic.tile(extent, *size, pictures)
            if image is not None:
                tiles[row, col] = self._encoder.encode(image)
        return tiles


def scheme_on_disk(store: TileStore) -> TilingScheme:
    """The scheme of `store` with the levels that have tiles; with all where none has."""
    scheme, ids = store.profile.scheme, store.level_ids()
    levels = tuple(level for level in scheme.levels if level.id in ids)
    return replace(scheme, levels=levels or scheme.levels)


def same_grid(scheme: TilingScheme, level: Level, other: TilingScheme) -> SameGrid | None:
    """The level of `other` whose tiles are those of `level`, but for their numbers.

    Found by resolution and origin, not by id; None where no level's grid is the same within
    WIDEST_SHIFT, all over where tiles can lie.
    """
    if (scheme.tile_width, scheme.tile_height) != (other.tile_width, other.tile_height):
        return None
    nearest = min(other.levels, key=lambda each: abs(each.resolution - level.resolution))
    area = area_of(scheme)
    across = max(area.xmax - area.xmin, area.ymax - area.ymin) / level.resolution
    if abs(nearest.resolution / level.resolution - 1) * across > WIDEST_SHIFT:
        return None
    width, height = scheme.tile_size(level)
    cols = (other.origin_x - scheme.origin_x) / width
    rows = (scheme.origin_y - other.origin_y) / height
    off_x = abs(cols - round(cols)) * scheme.tile_width
    off_y = abs(rows - round(rows)) * scheme.tile_height
    if max(off_x, off_y) > WIDEST_SHIFT:
        return None
    return SameGrid(nearest.id, round(rows), round(cols))


def is_of_format(content: bytes, facts: PictureFacts, tile_format: TileFormat) -> bool:
    """Whether the picture `content` is what `tile_format` stands for."""
    if facts.format == "JPEG":
        return tile_format in (TileFormat.JPEG, TileFormat.MIXED)
    if facts.format != "PNG":
        return False
    if tile_format is TileFormat.PNG8:
        return content[_COLOUR_TYPE] == _INDEXED
    if tile_format is TileFormat.PNG24:
        return facts.has_alpha is False
    return tile_format is not TileFormat.JPEG
