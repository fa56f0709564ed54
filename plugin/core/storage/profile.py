"""What the files beside a cache's tiles say of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..tiling import Extent, Level, TilingScheme


class StorageFormat(Enum):
    """How tiles lie on disk; the values are the keywords of scripts."""

    COMPACT_V2 = "COMPACT_V2"
    COMPACT_V1 = "COMPACT_V1"
    EXPLODED = "EXPLODED"
    TPKX = "TPKX"
    TPK = "TPK"
    MBTILES = "MBTILES"
    GEOPACKAGE = "GPKG"

    @property
    def is_package(self) -> bool:
        """Whether the cache is one file."""
        return self not in (
            StorageFormat.COMPACT_V2,
            StorageFormat.COMPACT_V1,
            StorageFormat.EXPLODED,
        )

    @property
    def is_database(self) -> bool:
        """Whether it is an SQLite file, which is changed in place and is durable once written."""
        return self in (StorageFormat.MBTILES, StorageFormat.GEOPACKAGE)

    @property
    def can_be_written(self) -> bool:
        """Whether tiles can be put into it: by now, into all of them."""
        return True

    @property
    def is_zip(self) -> bool:
        """Whether it is a tile package of Esri's, which is made anew, whole, by each commit."""
        return self in (StorageFormat.TPKX, StorageFormat.TPK)


class TileFormat(Enum):
    """The formats of pictures that can be drawn; the values are Esri's keywords.

    PNG: the smallest of the PNG kinds that loses nothing of a tile. PNG8: a palette of up to 256
    colours. PNG24: no transparency. PNG32: with transparency. JPEG: no transparency, lossy.
    MIXED: JPEG where a tile is opaque, PNG32 elsewhere.
    """

    PNG = "PNG"
    PNG8 = "PNG8"
    PNG24 = "PNG24"
    PNG32 = "PNG32"
    JPEG = "JPEG"
    MIXED = "MIXED"

    @property
    def has_quality(self) -> bool:
        """Whether a compression quality means anything to it."""
        return self in (TileFormat.JPEG, TileFormat.MIXED)


@dataclass(frozen=True)
class CacheProfile:
    """What the files beside the tiles say.

    `cached_ids`: ids of the levels that may hold tiles. `image_format`: as written in the files,
    upper case; one of TileFormat's values where it can be drawn (others, as LERC, can be read).
    `compression_quality`: 0 to 100, 0 where it means nothing.
    `extent`: of the cached data, in the scheme's CRS; None where the files give none.
    """

    scheme: TilingScheme
    storage: StorageFormat
    image_format: str
    compression_quality: int = 0
    cached_ids: tuple[int, ...] = ()
    extent: Extent | None = None
    name: str = ""
    text: str = ""

    @property
    def cached_levels(self) -> tuple[Level, ...]:
        """Levels that may hold tiles, coarsest first."""
        return tuple(level for level in self.scheme.levels if level.id in self.cached_ids)

    @property
    def tile_format(self) -> TileFormat | None:
        """The format to draw tiles in; None for one that cannot be drawn."""
        try:
            return TileFormat(self.image_format)
        except ValueError:
            return None
