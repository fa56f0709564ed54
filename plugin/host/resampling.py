"""Tiles of one grid drawn from those of another, in the same CRS or another one. Any thread.

For each tile: where its pixels lie in the other cache is transformed on a mesh and interpolated in
between; the tiles that lie there, of the coarsest level that is detailed enough, make a mosaic; and
pixels are taken from it by bilinear interpolation of premultiplied colours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QImage

from ..core.errors import LayerFailed
from ..core.storage.store import TileStore
from ..core.tiling import Extent, Level, TileRange, TilingScheme

Cancelled = Callable[[], bool]
Floats = NDArray[np.float64]

MESH = 16
"""Parts of a tile's width and height between transformed points."""

DETAILED_ENOUGH = 1.01
"""A level whose pixels are larger than wanted by less than that is not too coarse."""

MOST_TILES = 4096
"""So many tiles of the other cache may make up one; more are left to a cache with overviews."""


@dataclass(frozen=True)
class _View:
    """A level of the other cache, its pictures made smaller `shrunk` times, a power of two."""

    level: Level
    shrunk: int
    width: int
    height: int


class Mosaic:
    """The tiles of `store`, the cache `name`, as one picture.

    `scheme`: with the levels to draw from. `way`: the CRS to draw in, that of the cache, and what
    transformations were chosen between them.
    """

    def __init__(
        self,
        store: TileStore,
        scheme: TilingScheme,
        name: str,
        way: tuple[
            QgsCoordinateReferenceSystem,
            QgsCoordinateReferenceSystem,
            QgsCoordinateTransformContext,
        ],
    ) -> None:
        self._store = store
        self._scheme = scheme
        self._levels = scheme.levels
        self._name = name
        self._ends = way

    def tile(
        self, extent: Extent, width: int, height: int, pictures: dict[Any, Any]
    ) -> QImage | None:
        """What there is in `extent` of the target CRS, as `width` x `height` pixels; None: nothing.

        `pictures`: of tiles, kept between the calls for tiles near each other.
        Raises LayerFailed, StorageError.
        """
        x, y = self._mesh(extent)
        if not np.isfinite(x).any():
            return None
        view = self._view(x, y, width, height)
        pixel = view.level.resolution * view.shrunk
        u = (x - self._scheme.origin_x) / pixel
        v = (self._scheme.origin_y - y) / pixel
        block = _block_of(u, v, view)
        if block is None:
            return None
        mosaic = self._assembled(view, block, pictures)
        if mosaic is None:
            return None
        u = _between(u - block.min_col * view.width, width, height)
        v = _between(v - block.min_row * view.height, width, height)
        return _sampled(mosaic, u, v)

    def _mesh(self, extent: Extent) -> tuple[Floats, Floats]:
        """Where points of `extent` lie in the CRS of the other cache; NaN: nowhere."""
        across = np.linspace(extent.xmin, extent.xmax, MESH + 1)
        down = np.linspace(extent.ymax, extent.ymin, MESH + 1)
        x, y = np.meshgrid(across, down)
        transform = QgsCoordinateTransform(*self._ends)
        if transform.isShortCircuited():
            return x, y
        points = [_there(transform, px, py) for px, py in zip(x.flat, y.flat)]
        there = np.array(points).reshape(*x.shape, 2)
        return there[..., 0], there[..., 1]

    def _view(self, x: Floats, y: Floats, width: int, height: int) -> _View:
        """The coarsest level that is detailed enough; made smaller where even that is too fine."""
        parts = [
            np.hypot(np.diff(x, axis=1), np.diff(y, axis=1)) * MESH / width,
            np.hypot(np.diff(x, axis=0), np.diff(y, axis=0)) * MESH / height,
        ]
        wanted = float(np.nanmin([np.nanmedian(part) for part in parts]))
        fine = [e for e in self._levels if e.resolution <= wanted * DETAILED_ENOUGH]
        level = max(fine or self._levels, key=lambda e: e.resolution if fine else -e.resolution)
        side = min(self._scheme.tile_width, self._scheme.tile_height)
        shrunk = 1
        pixel = wanted * DETAILED_ENOUGH / level.resolution
        while 2 * shrunk <= pixel and side % (2 * shrunk) == 0:
            shrunk *= 2
        scheme = self._scheme
        return _View(level, shrunk, scheme.tile_width // shrunk, scheme.tile_height // shrunk)

    def _assembled(self, view: _View, block: TileRange, pictures: dict[Any, Any]) -> Any:
        """Premultiplied pixels of `block` and whether they are there (255), else None.

        Raises LayerFailed.
        """
        rows, cols = block.max_row - block.min_row + 1, block.max_col - block.min_col + 1
        if rows * cols > MOST_TILES:
            raise LayerFailed(self._name, f"{rows * cols} tiles in one")
        existing = np.argwhere(self._store.exists(view.level.id, block))
        if not len(existing):
            return None
        shape = (rows * view.height, cols * view.width, 5)
        mosaic = np.zeros(shape, np.uint8)
        for i, j in existing:
            row, col = block.min_row + int(i), block.min_col + int(j)
            key = view.level.id, view.shrunk, row, col
            if key not in pictures:
                pictures[key] = self._picture(view, row, col)
            top, left = int(i) * view.height, int(j) * view.width
            place = mosaic[top : top + view.height, left : left + view.width]
            place[..., :4], place[..., 4] = pictures[key], 255
        return mosaic

    def _picture(self, view: _View, row: int, col: int) -> Any:
        """Premultiplied pixels of a tile, as large as the view has them. Raises LayerFailed."""
        content = self._store.read(view.level.id, row, col)
        if content is None:  # deleted just now
            return np.zeros((view.height, view.width, 4), np.uint8)
        return premultiplied(
            decoded(content, self._name, view.level.id, row, col).scaled(
                view.width,
                view.height,
                Qt.AspectRatioMode.IgnoreAspectRatio,
                Qt.TransformationMode.SmoothTransformation,
            )
        )


def decoded(content: bytes, name: str, level_id: int, row: int, col: int) -> QImage:
    """The picture of a tile of the cache `name`. Raises LayerFailed."""
    image = QImage.fromData(content)
    if image.isNull():
        raise LayerFailed(name, f"tile {level_id}/{row}/{col}")
    return image


def premultiplied(image: QImage) -> NDArray[np.uint8]:
    """A copy of the pixels of `image`: rows x columns x R, G, B, A, colours premultiplied."""
    image = image.convertToFormat(QImage.Format.Format_RGBA8888_Premultiplied)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    rows = np.frombuffer(bits, np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 4 * image.width()].reshape(image.height(), image.width(), 4).copy()


def _there(transform: QgsCoordinateTransform, x: float, y: float) -> tuple[float, float]:
    try:
        point = transform.transform(x, y)
    except QgsCsException:
        return np.nan, np.nan
    return point.x(), point.y()


def _block_of(u: Floats, v: Floats, view: _View) -> TileRange | None:
    """The tiles that pixels at `u`, `v` are taken from; None where all is left of the origin."""
    first_col, last_col = np.nanmin(u - 1) // view.width, np.nanmax(u + 1) // view.width
    first_row, last_row = np.nanmin(v - 1) // view.height, np.nanmax(v + 1) // view.height
    if last_col < 0 or last_row < 0:
        return None
    return TileRange(int(max(0, first_row)), int(last_row), int(max(0, first_col)), int(last_col))


def _between(mesh: Floats, width: int, height: int) -> Floats:
    """The values at the middles of `height` x `width` pixels, from those at the mesh's points."""
    return _weights(height) @ np.nan_to_num(mesh, nan=-1e9) @ _weights(width).T


def _weights(pixels: int) -> Floats:
    """How much each point of the mesh counts for each pixel."""
    at = (np.arange(pixels) + 0.5) * MESH / pixels
    return np.clip(1 - np.abs(at[:, None] - np.arange(MESH + 1)), 0, None)


def _sampled(mosaic: NDArray[np.uint8], u: Floats, v: Floats) -> QImage | None:
    """The pixels at `u`, `v` (to the right, down, in pixels of the mosaic); beyond it: nothing.

    Gaps stay as they are, and do not darken what lies beside them.
    """
    height, width = mosaic.shape[:2]
    padded = np.pad(mosaic, ((1, 1), (1, 1), (0, 0)))
    # the middle of pixel 0 is at 0.5; one pixel of nothing lies around the mosaic
    u, v = (u + 0.5).clip(0, width + 0.999), (v + 0.5).clip(0, height + 0.999)
    is_there = padded[(v + 0.5).astype(np.intp), (u + 0.5).astype(np.intp), 4] > 0
    if not is_there.any():
        return None
    left, top = u.astype(np.intp), v.astype(np.intp)
    right, below = (u - left)[..., None], (v - top)[..., None]
    upper = padded[top, left] * (1 - right) + padded[top, left + 1] * right
    lower = padded[top + 1, left] * (1 - right) + padded[top + 1, left + 1] * right
    mixed = upper * (1 - below) + lower * below
    share = np.maximum(mixed[..., 4:] / 255, 1e-6)
    pixels = np.where(is_there[..., None], mixed[..., :4] / share, 0)
    content = np.rint(pixels).clip(0, 255).astype(np.uint8).tobytes()
    form = QImage.Format.Format_RGBA8888_Premultiplied
    return QImage(content, u.shape[1], u.shape[0], 4 * u.shape[1], form).copy()
