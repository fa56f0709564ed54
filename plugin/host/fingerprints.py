"""A short text that changes with what is drawn, the same in every run of QGIS. Any thread."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from qgis.core import QgsMapLayer, QgsVectorLayer
from qgis.PyQt.QtXml import QDomDocument

_ATTRIBUTE = re.compile(r'[\w:.-]+="[^"]*"')


def fingerprint_of(parts: Iterable[str]) -> str:
    """The fingerprint of all `parts` in their order. Nothing can be read out of it."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode("utf-8", "replace") + b"\0")
    return digest.hexdigest()[:32]


def state_of(layer: QgsMapLayer, file: Path | None) -> str:
    """All that tells how `layer` looks, as far as that can be had without reading its data.

    `file`: where its data lie; its time and size count, as do extent and number of features of a
    layer in memory.
    """
    document = QDomDocument()
    layer.exportNamedStyle(document)
    # Qt writes attributes in another order each time QGIS is started; copies have ids of their own
    style = "\n".join(map(_in_order, document.toString().replace(layer.id(), "").splitlines()))
    parts = [layer.source(), layer.crs().authid(), style, *_file_state(file)]
    if isinstance(layer, QgsVectorLayer) and layer.providerType() == "memory":
        extent = layer.extent().toString(6)
        parts = [layer.name(), str(layer.featureCount()), extent, *parts[1:]]
    return "\n".join(parts)


def _in_order(line: str) -> str:
    return " ".join((_ATTRIBUTE.sub("", line).strip(), *sorted(_ATTRIBUTE.findall(line))))


def _file_state(file: Path | None) -> list[str]:
    if file is None:
        return []
    try:
        found = file.stat()
    except OSError:
        return []
    return [str(found.st_mtime_ns), str(found.st_size)]
