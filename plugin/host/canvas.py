"""Pictures to draw maps on. Any thread."""

from __future__ import annotations

import numpy as np
from qgis.core import QgsMapSettings
from qgis.PyQt.QtGui import QImage


def blank(settings: QgsMapSettings) -> QImage:
    """A picture of nothing, such as QGIS's own jobs draw on."""
    image = QImage(settings.outputSize(), settings.outputImageFormat())
    dots_per_metre = int(1000 * settings.outputDpi() / 25.4)
    image.setDotsPerMeterX(dots_per_metre)
    image.setDotsPerMeterY(dots_per_metre)
    image.fill(0)
    return image


def clear(image: QImage) -> None:
    """Make `image` transparent. By numpy, which lets other threads run meanwhile."""
    bits = image.bits()
    bits.setsize(image.sizeInBytes())
    np.frombuffer(bits, np.uint8)[:] = 0
