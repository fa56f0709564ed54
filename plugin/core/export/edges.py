"""Tiles at the edge of an area: clipped there, and drawn over what the target has already."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

from ..errors import FormatNotDrawn, LayerFailed, SourceError, StorageError, TileCacheError
from ..level_areas import Place
from ..local.source import Cancelled, PartlyDrawn, Supertile, TileSource
from ..storage.pictures import picture_facts
from ..storage.profile import CacheProfile
from ..storage.store import Bools, TileStore
from ..tiling import Extent
from .merge_record import MergeRecord, forget_merges
from .parts_of_tiles import Part, Parts
from .request import Overwrite, Pixels
from .store_tiles import SIDE

__all__ = ["EdgeTiles", "forget_merges"]

Tile = tuple[int, int]
Pictures = Mapping[Tile, bytes]


class EdgeTiles(TileSource):
    """Hands out the tiles of `source`, as they are to be stored in `store`, the target.

    `areas`: by id of the target's levels, in its CRS. Tiles that it covers wholly stay as they are,
    unless pixels shine through and `overwrite` is MERGE: then they are drawn over the tile that
    the target has. Of a tile that is covered partly, MERGE draws the part over the tile that the
    target has, whose other pixels stay. Where the target has none, or with OVERWRITE, a tile that
    is covered partly is stored as it is, or with `is_clipped` without its other pixels. A tile that
    is the same as the one in the target is left as it is. Gaps stay gaps.

    `pixels` looks into the pictures. Closes `source`, not `store`.
    """

    is_copy = True

    def __init__(
        self,
        source: TileSource,
        store: TileStore,
        areas: Mapping[int, Place],
        overwrite: Overwrite,
        is_clipped: bool,
        pixels: Pixels,
    ) -> None:
        self.name = source.name
        self._source, self._store, self._areas = source, store, areas
        self._merges, self._clips = overwrite is Overwrite.MERGE, is_clipped
        self._pixels = pixels
        self._record: MergeRecord | None = None
        self._profile = store.profile
        self._parts = Parts(store.profile.scheme, areas)

    def start(self, profile: CacheProfile) -> None:
        """Raises what `source` raises; StorageError; FormatNotDrawn: pictures cannot be changed."""
        self._source.start(profile)
        self._profile = profile
        self.supertile_side, self.workers = self._source.supertile_side, self._source.workers
        if self._merges or self._clips:
            # Looking into pictures takes long: what is cancelled is not to wait for many.
            self.supertile_side = min(self.supertile_side, SIDE)
        how = f"merges {self._merges} clips {self._clips}"
        self.fingerprint = f"{self._source.fingerprint}\n{how}"
        if (self._merges or self._clips) and profile.tile_format is None:
            raise FormatNotDrawn(self.name, profile.image_format)
        if self._merges:
            # Not the fingerprint: the record tells of each tile what was drawn over it.
            state = f"{self.name}\n{how}\n{_digest_of(self._areas)}"
            self._record = MergeRecord(self._store.path, state)

    def draw(self, supertile: Supertile, cancelled: Cancelled) -> Pictures:
        drawn = self._source.draw(supertile, cancelled)
        if not drawn or not (self._merges or self._clips):
            return drawn
        failed = dict(drawn.failed) if isinstance(drawn, PartlyDrawn) else {}
        tiles: dict[Tile, bytes] = {}
        exists = self._exists(supertile) if self._merges else None
        parts = self._parts.of(supertile.level.id, supertile.block)
        if parts.is_all and (exists is None or not exists.any()):
            return drawn
        for (row, col), picture in drawn.items():
            if cancelled():
                break
            is_there = exists is not None and bool(
                exists[row - supertile.block.min_row, col - supertile.block.min_col]
            )
            try:
                place = supertile.level.id, row, col
                content = self._edged(place, picture, parts.of(row, col), is_there)
            except (SourceError, StorageError) as error:
                failed[row, col] = self._failure(supertile.level.id, row, col, error)
            else:
                if content is not None:
                    tiles[row, col] = content
        return PartlyDrawn(tiles, failed) if failed else tiles

    def bundles(self, level_id: int) -> Collection[Tile] | None:
        return self._source.bundles(level_id)

    def tile_bytes(self, level_id: int) -> float | None:
        return self._source.tile_bytes(level_id)

    def is_at(self, path: Path) -> bool:
        return self._source.is_at(path)

    def close(self) -> None:
        try:
            if self._record is not None:
                self._record.close()
        finally:
            self._source.close()

    def _edged(
        self, place: tuple[int, int, int], picture: bytes, part: Part, is_there: bool
    ) -> bytes | None:
        """The tile as it is to be stored; None where nothing of the area lies in it."""
        if part is not None and part.is_empty:
            return None
        below = self._store.read(*place) if is_there else None
        if below is not None:
            return self._merged(place, below, picture, part)
        if part is None or not self._clips:
            return picture
        self._check_size(picture)
        result = self._pixels.clipped(picture, part, *self._format)
        if self._record is not None:
            self._record.note(*place, picture, result)
        return result

    def _merged(self, place: tuple[int, int, int], below: bytes, above: bytes, part: Part) -> bytes:
        if below == above or (part is None and self._pixels.is_opaque(above)):
            return above
        record = self._record
        if record is not None and record.is_result(*place, above, below):
            return below
        self._check_size(below)
        self._check_size(above)
        result = self._pixels.merged(below, above, part, *self._format)
        if record is not None:
            record.note(*place, above, result)
        return result

    @property
    def _format(self) -> tuple[str, int]:
        """Format and quality to encode pictures in."""
        return self._profile.image_format, self._profile.compression_quality

    def _exists(self, supertile: Supertile) -> Bools:
        """Which tiles the target has. Raises SourceError: nobody knows what would be lost."""
        try:
            return self._store.exists(supertile.level.id, supertile.block)
        except StorageError as error:
            raise SourceError(self.name, f"what is there cannot be read: {error}") from error

    def _check_size(self, picture: bytes) -> None:
        """Raise SourceError where `picture` has not the size of a tile: pixels would not meet."""
        facts = picture_facts(picture)
        wanted = self._profile.scheme.tile_width, self._profile.scheme.tile_height
        if facts is None:
            raise SourceError(self.name, "no picture")
        if (facts.width, facts.height) != wanted:
            raise SourceError(self.name, f"a picture of {facts.width} x {facts.height} pixels")

    def _failure(self, level_id: int, row: int, col: int, error: TileCacheError) -> SourceError:
        told = LayerFailed(self.name, f"tile {level_id}/{row}/{col}, {error}")
        told.__cause__ = error
        return told


def _digest_of(areas: Mapping[int, Place]) -> str:
    digest = hashlib.sha256()
    for level_id in sorted(areas):
        area = areas[level_id]
        digest.update(f"{level_id} ".encode())
        if isinstance(area, Extent):
            digest.update(repr(area.bounds).encode())
        elif area is not None:
            digest.update(area.wkb)
    return digest.hexdigest()
