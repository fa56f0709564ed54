"""Errors about caches on this computer, and what they are drawn from."""

from __future__ import annotations

from enum import Enum

from .root import TileCacheError


class StorageError(TileCacheError):
    """Something about the cache, or a file of it, at `path` on this computer."""

    def __init__(self, path: str, text: str) -> None:
        super().__init__(f"{text}: {path}")
        self.path = path


class NotACacheReason(Enum):
    """Why something is no cache."""

    MISSING = "no such file or folder"
    NO_SCHEME = "no conf.xml or root.json"
    UNKNOWN_FILE = "not a format of caches"
    NOT_READABLE = "it may not be read"
    VECTOR = "vector tiles"
    SEVERAL = "several caches lie below it"
    NO_TILES = "a GeoPackage without a table of tiles"
    ODD_TILES = "tiles that are not square, or of several sizes"


class NotACache(StorageError):
    """There is no cache at `path`, for `reason`."""

    def __init__(self, path: str, reason: NotACacheReason) -> None:
        super().__init__(path, reason.value)
        self.reason = reason


class DamagedCache(StorageError):
    """The file at `path` is damaged: `detail` says how, in a few words for experts."""

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(path, f"damaged, {detail}")
        self.detail = detail


class HostileFile(StorageError):
    """The file at `path` holds what no honest one does: `detail` says what."""

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(path, f"hostile, {detail}")
        self.detail = detail


class ReadOnlyReason(Enum):
    """Why a cache cannot be written."""

    FORMAT = "the format is read only"
    RIGHTS = "no right to write"


class ReadOnlyCache(StorageError):
    """The cache at `path` cannot be written, for `reason`."""

    def __init__(self, path: str, reason: ReadOnlyReason) -> None:
        super().__init__(path, reason.value)
        self.reason = reason


class CacheInUse(StorageError):
    """Another program holds the file at `path`."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "in use")


class DiskFull(StorageError):
    """Too little room at `path`: `needed` and `free` in bytes, None where not known.

    `is_at_least`: not all was counted, more may be needed.
    """

    def __init__(
        self,
        path: str,
        needed: int | None = None,
        free: int | None = None,
        is_at_least: bool = False,
    ) -> None:
        super().__init__(path, f"disk full, {needed} needed, {free} free")
        self.needed = needed
        self.free = free
        self.is_at_least = is_at_least


class TargetExists(StorageError):
    """Something is at `path` already where a new cache was to be made."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "exists already")


class TargetProblem(StorageError):
    """Nothing can be written at `path`: `detail` is what the system says."""

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(path, f"cannot be written, {detail}")
        self.detail = detail


class CannotPackReason(Enum):
    """Why a package cannot hold a scheme."""

    SCHEME = "it holds Web Mercator tiles of the standard scales only"
    LEVELS = "its scales do not divide each other's tiles"
    TILE_SIZE = "it does not hold tiles of that size"
    TILE_FORMAT = "it does not hold pictures of that format"
    NO_CODE = "the CRS has no code"


class CannotPack(StorageError):
    """No package of the format called `storage` at `path` can hold the scheme, for `reason`.

    `storage`, and those that could (`possible`), are values of StorageFormat.
    """

    def __init__(
        self, path: str, storage: str, reason: CannotPackReason, possible: tuple[str, ...]
    ) -> None:
        super().__init__(path, f"not as {storage}, {reason.value}")
        self.storage = storage
        self.reason = reason
        self.possible = possible


class Differs(Enum):
    """In what two caches can differ so that tiles of one are no tiles of the other."""

    CRS = "coordinate reference system"
    ORIGIN = "tile origin"
    TILE_SIZE = "tile size"
    SCALES = "scales"
    TILE_FORMAT = "tile format"


class CachesDiffer(StorageError):
    """Tiles of the cache `source` do not fit into the one at `path`: see `differences`."""

    def __init__(self, path: str, source: str, differences: tuple[Differs, ...]) -> None:
        super().__init__(path, f"unlike {source}: {', '.join(each.value for each in differences)}")
        self.source = source
        self.differences = differences


class TileTooLarge(StorageError):
    """A tile of `size` bytes is more than the format at `path` can hold."""

    def __init__(self, path: str, size: int) -> None:
        super().__init__(path, f"tile of {size} bytes")
        self.size = size


class SourceError(TileCacheError):
    """Something about `name`, what a cache is drawn from; `text` says what, for experts."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text


class NothingToDrawReason(Enum):
    """Why a source has nothing to draw."""

    NO_SOURCE = "nothing was chosen to draw from"
    NO_LAYERS = "no layers"
    NO_THEME = "no such map theme"
    NO_LAYER = "no such layer"
    NO_FILE = "no such file"
    UNUSABLE = "it cannot be opened"
    SAME_CACHE = "it is the cache itself"
    NO_CRS = "no CRS"


class NothingToDraw(SourceError):
    """The source `name` has nothing to draw, for `reason`."""

    def __init__(self, name: str, reason: NothingToDrawReason) -> None:
        super().__init__(name, reason.value)
        self.reason = reason


class LayerFailed(SourceError):
    """Layer `name` could not be drawn: `detail` is its own message."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(name, f"could not be drawn, {detail}")
        self.detail = detail


class FormatNotDrawn(SourceError):
    """The cache's tiles are `image_format`, which `name` cannot draw."""

    def __init__(self, name: str, image_format: str) -> None:
        super().__init__(name, f"cannot draw {image_format}")
        self.image_format = image_format
