"""Pixels as QGIS draws them, in colours premultiplied by alpha, into plain ones. Any thread.

In numpy, which lets other threads run meanwhile (PyQt does not), and only for the pixels asked
for. Every value is the one that Qt gives: for all pairs of alpha and colour Qt itself is asked.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from qgis.PyQt.QtGui import QColor, QImage

Values = NDArray[np.uint32]

_OPAQUE = np.uint32(0xFF000000)
_BYTE = np.uint32(0xFF)


def values_of(image: QImage) -> Values:
    """The pixels of `image`, of 32 bits each, read in place: rows x columns.

    They are good as long as `image` is, and until somebody draws on it.
    """
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    values = np.frombuffer(bits, np.uint32).reshape(image.height(), image.bytesPerLine() // 4)
    return values[:, : image.width()]


def value_of(colour: QColor) -> np.uint32:
    """What a pixel is where nothing but `colour` is drawn: premultiplied A, R, G, B."""
    image = QImage(1, 1, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(colour)
    return np.uint32(values_of(image)[0, 0])


def straight(values: Values) -> Values:
    """Premultiplied A, R, G, B as R, G, B, A (in the order of bytes), each as Qt converts it."""
    if bool((values >= _OPAQUE).all()):
        return swapped(values)
    table = _table()
    alpha = (values >> np.uint32(16)) & np.uint32(0xFF00)
    result = values & _OPAQUE
    result |= table.take(alpha | (values & _BYTE)) << np.uint32(16)
    result |= table.take(alpha | ((values >> np.uint32(8)) & _BYTE)) << np.uint32(8)
    result |= table.take(alpha | ((values >> np.uint32(16)) & _BYTE))
    return result


def swapped(values: Values) -> Values:
    """A, R, G, B (in numbers) as R, G, B, A (in the order of bytes), or the other way round."""
    result = (values >> np.uint32(16)) & _BYTE
    result |= (values & _BYTE) << np.uint32(16)
    result |= values & np.uint32(0xFF00FF00)
    return result


def drawn_on(values: Values, background: np.uint32) -> Values:
    """Premultiplied `values` drawn on `background`, as QPainter does (source over)."""
    alpha = values >> np.uint32(24)
    return values + _shares(int(background)).take(_BYTE - alpha)


@functools.cache
def _table() -> Values:
    """The plain colour for each premultiplied one, at 256 times alpha plus that: Qt's own."""
    alpha, colour = np.divmod(np.arange(1 << 16, dtype=np.uint32), np.uint32(256))
    pixels = (alpha << np.uint32(24)) | (colour << np.uint32(8))
    form = QImage.Format.Format_ARGB32_Premultiplied
    image = QImage(pixels.tobytes(), 256, 256, 1024, form)
    plain = image.convertToFormat(QImage.Format.Format_ARGB32)
    return (values_of(plain).ravel() >> np.uint32(8)) & _BYTE


@functools.lru_cache(maxsize=16)
def _shares(value: int) -> Values:
    """`value` times 0/255 to 255/255, each of its bytes rounded as Qt does (BYTE_MUL)."""
    parts = np.array([value], np.uint32).view(np.uint8).astype(np.uint32)
    products = parts * np.arange(256, dtype=np.uint32)[:, None]
    rounded = (products + (products >> np.uint32(8)) + np.uint32(0x80)) >> np.uint32(8)
    return rounded.astype(np.uint8).view(np.uint32).ravel()
