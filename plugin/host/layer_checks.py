"""Whether the data of a layer are still there. Any thread that has the layer.

QGIS draws a layer as if it had no features when its file is gone or its server has closed the
connection, and says nothing. In a cache that would put empty tiles in the place of good ones.
"""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsFeatureRequest, QgsMapLayer, QgsProviderRegistry, QgsVectorLayer

_NO_FILE = ("/vsi", "memory:")


def data_file(layer: QgsMapLayer) -> Path | None:
    """The file that `layer` is drawn from, None where it is none that can be looked for."""
    provider = layer.dataProvider()
    if provider is None:
        return None
    parts = QgsProviderRegistry.instance().decodeUri(provider.name(), layer.source())
    path = parts.get("path")
    if not isinstance(path, str) or not path or path.startswith(_NO_FILE):
        return None
    return Path(path) if _exists(Path(path)) else None


def has_features(layer: QgsMapLayer) -> bool:
    """Whether `layer` has features and gives at least one of them now."""
    if not isinstance(layer, QgsVectorLayer):
        return False
    request = QgsFeatureRequest().setLimit(1).setNoAttributes()
    request.setFlags(QgsFeatureRequest.Flag.NoGeometry)
    return any(True for _ in layer.getFeatures(request))


def is_gone(file: Path | None) -> bool:
    """Whether `file`, which was there, is there no more."""
    return file is not None and not _exists(file)


def trace_of(file: Path | None) -> tuple[int, int, int] | None:
    """What changes as soon as `file` is written or replaced; None where there is no file."""
    if file is None:
        return None
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
