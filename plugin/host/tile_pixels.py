"""Looking into the pictures of tiles: clipping them, drawing one over another. Any thread."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qgis.PyQt.QtGui import QImage
from shapely.geometry.base import BaseGeometry

from ..core.errors import SourceError
from ..core.export.part_mask import inside
from ..core.storage.pictures import picture_facts
from ..core.storage.profile import TileFormat
from .tile_encoder import TileEncoder, is_opaque, pixels_of

Pictures = NDArray[np.uint8]

_WHITE = np.uint8(255)


class TilePixels:
    """See `core.export.request.Pixels`. A pixel lies in an area where its centre does.

    Pixels that nothing is drawn over keep their values, transparent ones, too. What is not changed
    at all is given back as it came.
    """

    def __init__(self) -> None:
        self._encoders: dict[tuple[str, int], TileEncoder] = {}

    def is_opaque(self, picture: bytes) -> bool:
        facts = picture_facts(picture)
        if facts is not None and facts.has_alpha is False:
            return True
        return is_opaque(_pixels(picture))

    def clipped(self, picture: bytes, part: BaseGeometry, image_format: str, quality: int) -> bytes:
        pixels = _pixels(picture)
        mask = inside(part, pixels.shape[1], pixels.shape[0])
        if mask.all():
            return picture
        pixels[~mask] = 0
        return self._encoded(pixels, image_format, quality)

    def merged(
        self,
        below: bytes,
        above: bytes,
        part: BaseGeometry | None,
        image_format: str,
        quality: int,
    ) -> bytes:
        under, over = _pixels(below), _pixels(above)
        if under.shape != over.shape:
            raise SourceError("", f"pictures of {under.shape[1::-1]} and {over.shape[1::-1]}")
        height, width = over.shape[:2]
        mask = np.ones((height, width), np.bool_) if part is None else inside(part, width, height)
        mask &= over[..., 3] > 0
        if not mask.any():
            return below
        if mask.all() and is_opaque(over):
            return above
        under[mask] = drawn_over(under[mask], over[mask])
        return self._encoded(under, image_format, quality)

    def _encoded(self, pixels: Pictures, image_format: str, quality: int) -> bytes:
        key = image_format, quality
        if key not in self._encoders:
            try:
                self._encoders[key] = TileEncoder(TileFormat(image_format), quality)
            except ValueError:
                raise SourceError("", f"{image_format} cannot be encoded") from None
        encoder = self._encoders[key]
        if encoder.background is not None and not is_opaque(pixels):
            pixels = drawn_over(np.full_like(pixels, _WHITE), pixels)
        return encoder.encode_pixels(pixels)


def drawn_over(below: Pictures, above: Pictures) -> Pictures:
    """Pixels (..., R, G, B, A; colours not premultiplied) drawn over others, as painters do.

    Formula: source over (Porter and Duff, Compositing Digital Images, 1984), rounded once.
    """
    share = above[..., 3:].astype(np.float64) / 255
    rest = below[..., 3:].astype(np.float64) / 255 * (1 - share)
    alpha = share + rest
    colours = above[..., :3] * share + below[..., :3] * rest
    colours = np.divide(colours, alpha, out=np.zeros_like(colours), where=alpha > 0)
    mixed = np.concatenate([colours, 255 * alpha], axis=-1)
    result: Pictures = np.rint(mixed).astype(np.uint8)
    return result


def _pixels(picture: bytes) -> Pictures:
    """The pixels of a picture. Raises SourceError."""
    image = QImage.fromData(picture)
    if image.isNull():
        raise SourceError("", "no picture")
    return pixels_of(image)
