"""Whether a tile's bytes are a picture that can be drawn. Any thread."""

from __future__ import annotations

from qgis.PyQt.QtCore import QBuffer, QByteArray
from qgis.PyQt.QtGui import QImageReader

from ..core.storage.pictures import PictureFacts, picture_facts

_NAMES = {"jpg": "JPEG"}


def check_picture(content: bytes) -> PictureFacts | None:
    """What picture `content` is; None where it cannot be decoded whole.

    Formats that Qt has no decoder for are judged by their structure alone.
    """
    facts = picture_facts(content)
    buffer = QBuffer()
    buffer.setData(QByteArray(content))
    buffer.open(QBuffer.OpenModeFlag.ReadOnly)
    reader = QImageReader(buffer)
    if not reader.canRead():
        is_foreign = facts is not None and facts.format in ("WEBP", "GIF")
        return facts if is_foreign else None
    name = bytes(reader.format()).decode("ascii").lower()
    image = reader.read()
    if image.isNull() or (facts is None and name in ("png", "jpg", "jpeg")):
        return None  # Qt draws what it has of a picture that is cut off
    has_alpha = image.hasAlphaChannel() if facts is None else facts.has_alpha
    name = _NAMES.get(name, name.upper())
    return PictureFacts(name, image.width(), image.height(), has_alpha)
