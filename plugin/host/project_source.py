"""Caches drawn from layers of a QGIS project."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from qgis.core import QgsMapLayer, QgsMapSettings, QgsProject
from qgis.PyQt.QtCore import QThreadPool
from qgis.PyQt.QtGui import QColor

from ..core.errors import (
    DescriptionError,
    FormatNotDrawn,
    LayerFailed,
    NothingToDraw,
    NothingToDrawReason,
)
from ..core.local.source import Cancelled, Supertile, TileSource
from ..core.storage.profile import CacheProfile, TileFormat
from ..core.tiling import Level, TileRange
from .blocks import block_extent, inside_world, is_whole_world, supertile_side, wanted_tiles
from .crs import qgis_crs
from .emptiness import Emptiness, can_tell
from .fingerprints import fingerprint_of, state_of_settings
from .network_watch import listen
from .rendering import LayerCopies, MapDrawer, copies_of, project_settings
from .tile_encoder import TileEncoder

MOST_WORKERS = 4
"""Each worker has copies of all layers and a picture of 16 MB; more than that gain little."""

HEX_ARGB = QColor.NameFormat.HexArgb

_OPAQUE = (TileFormat.PNG24, TileFormat.JPEG)


@dataclass(frozen=True)
class Drawing:
    """What to draw of a project: `layers`, topmost first, and other styles for some, by their id.

    `title`: what people call it.
    """

    title: str
    layers: Sequence[QgsMapLayer]
    styles: Mapping[str, str] = field(default_factory=dict)


class MapSource(TileSource):
    """Draws copies of layers, which `layer_copies` gives, as `settings` say.

    `settings`, `colour`: as a project draws, and its background. `background`: as in CacheSettings.
    """

    # Meanwhile it is found out what needs no drawing further on; what is drawn takes little memory.
    look_ahead = 8

    def __init__(
        self, name: str, settings: QgsMapSettings, colour: QColor, background: str
    ) -> None:
        self.name = name
        self.workers = max(1, min(_processors(), MOST_WORKERS))
        self._settings = settings
        self._own_colour = colour
        self._background = background
        self._copies: list[LayerCopies] = []
        self._emptiness: Emptiness | None = None
        self._background_tile: bytes | None = None
        self._released = 0

    def layer_copies(self) -> list[LayerCopies]:
        """For each worker the layers to draw. Off the main thread. Raises SourceError."""
        raise NotImplementedError

    def asked_copies(self) -> LayerCopies | None:
        """Copies of those layers that `can_tell` where they are empty; None: nobody asks them."""
        return None

    def start(self, profile: CacheProfile) -> None:
        tile_format = profile.tile_format
        if tile_format is None:
            raise FormatNotDrawn(self.name, profile.image_format)
        scheme = profile.scheme
        try:
            crs = qgis_crs(scheme.crs, profile.name)
        except DescriptionError:
            raise NothingToDraw(self.name, NothingToDrawReason.NO_CRS) from None
        self._copies = self.layer_copies()
        self._scheme = scheme
        self.supertile_side = supertile_side(scheme)
        colour = self._colour(tile_format)
        self._encoder = TileEncoder(tile_format, profile.compression_quality)
        self._settings.setBackgroundColor(colour)
        self._settings.setDestinationCrs(crs)
        self._settings.setOutputDpi(scheme.dpi)
        self._drawer = MapDrawer(self._copies, self._settings)
        asked = self.asked_copies()
        if asked is not None:
            self._emptiness = Emptiness(self._copies[0], asked, self._settings)
        self.fingerprint = fingerprint_of(
            [
                colour.name(HEX_ARGB),
                *state_of_settings(self._settings),
                *self._copies[0].states(),
            ]
        )
        # Pictures are drawn in threads of Qt's pool, where QGIS's tasks wait for them: with few
        # processors they would take all places and wait for ever.
        for _ in range(self.workers):
            QThreadPool.globalInstance().releaseThread()
            self._released += 1

    def draw(self, supertile: Supertile, cancelled: Cancelled) -> Mapping[tuple[int, int], bytes]:
        block = inside_world(self._scheme, supertile.level, supertile.block)
        width, height = self._scheme.tile_width, self._scheme.tile_height
        extent = block_extent(self._scheme, supertile.level, block)
        is_whole = is_whole_world(self._scheme, supertile.level, block)
        image = self._drawer.draw(extent, *self._size(block), cancelled, is_whole=is_whole)
        tiles: dict[tuple[int, int], bytes] = {}
        if image is None:
            return tiles
        first = block.min_row, block.min_col
        places = [(row - first[0], col - first[1]) for row, col in wanted_tiles(supertile, block)]
        for (row, col), tile in self._encoder.tiles(image, (width, height), places):
            tiles[first[0] + row, first[1] + col] = tile
            if cancelled():
                break
        return tiles

    def even(self, level: Level, block: TileRange) -> bytes | None:
        if self._emptiness is None:
            return None
        inside = inside_world(self._scheme, level, block)
        size = self._size(inside)
        extent = block_extent(self._scheme, level, inside)
        side = block.max_row - block.min_row + 1
        is_picture = side <= self.supertile_side
        if not self._emptiness.holds(level, extent, size, is_picture=is_picture):
            return None
        if self._background_tile is None:
            self._background_tile = self._tile_of_nothing()
        return self._background_tile

    def close(self) -> None:
        self._emptiness = None
        for _ in range(self._released):
            QThreadPool.globalInstance().reserveThread()
        self._released = 0
        for copies in self._copies:
            copies.drop()
        self._copies = []

    def _size(self, block: TileRange) -> tuple[int, int]:
        """Width and height of `block` in pixels."""
        cols, rows = block.max_col - block.min_col + 1, block.max_row - block.min_row + 1
        return cols * self._scheme.tile_width, rows * self._scheme.tile_height

    def _tile_of_nothing(self) -> bytes | None:
        """A tile of the background alone, as it is drawn below all layers."""
        size = self._scheme.tile_width, self._scheme.tile_height
        image = self._drawer.background(*size)
        return next((tile for _, tile in self._encoder.tiles(image, size, [(0, 0)])), None)

    def _colour(self, tile_format: TileFormat) -> QColor:
        if self._background:
            return QColor(self._background)
        if tile_format in _OPAQUE:
            return self._own_colour
        return QColor(0, 0, 0, 0)


def _processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # on Linux, where somebody may have kept it to some
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class ProjectSource(MapSource):
    """Draws `drawing` of `project`. Made on the main thread; `background` as in CacheSettings.

    Raises NothingToDraw. A layer that is not there is told by `start`, to whoever draws.
    """

    def __init__(self, project: QgsProject, drawing: Drawing, background: str = "") -> None:
        colour = QColor(project.backgroundColor())
        super().__init__(drawing.title, project_settings(project), colour, background)
        if not drawing.layers:
            raise NothingToDraw(self.name, NothingToDrawReason.NO_LAYERS)
        listen()
        self._problem: LayerFailed | None = None
        self._made: list[LayerCopies] = []
        self._asked: LayerCopies | None = None
        telling = [layer for layer in drawing.layers if can_tell(layer)]
        try:
            for _ in range(self.workers):
                self._made.append(copies_of(drawing.layers, drawing.styles))
            if telling:
                self._asked = copies_of(telling, drawing.styles)
        except LayerFailed as problem:
            self._problem = problem.with_traceback(None)  # which keeps layers

    def layer_copies(self) -> list[LayerCopies]:
        if self._problem is not None:
            raise self._problem
        return self._made

    def asked_copies(self) -> LayerCopies | None:
        return self._asked

    def close(self) -> None:
        super().close()
        if self._asked is not None:
            self._asked.drop()
        for copies in self._made:  # also where it was never started
            copies.drop()
        self._made = []
