"""Putting caches on this computer on the map."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProject

from ..plugin.core.storage.profile import StorageFormat
from ..plugin.host import messages, shown_layers
from ..plugin.host.messages import tr

NOT_DRAWN = (StorageFormat.EXPLODED, StorageFormat.COMPACT_V1, StorageFormat.TPK)
"""What GDAL has no drivers for; that for TPKX is there since 3.8."""


def why_not_drawn(kind: str) -> str:
    """Why QGIS draws no cache of this kind, a StorageFormat's value; "" where it does."""
    if kind not in [each.value for each in NOT_DRAWN]:
        return ""
    text = tr("QGIS has no reader for this format: {format}.")
    return text.format(format=messages.storage_text(kind))


def add_to_map(path: Path, kind: str, project: QgsProject) -> str:
    """Add a layer that draws the cache at `path`; why it cannot be drawn, "" where it is."""
    layer = shown_layers.layer_of_cache(path)
    if layer is not None:
        project.addMapLayer(layer)
        return ""
    text = tr("QGIS cannot open {path}: look with Verify whether it is sound.")
    if kind == StorageFormat.TPKX.value:
        text = tr("QGIS cannot open {path}: tile packages need GDAL 3.8 or later.")
    return text.format(path=messages.path_text(str(path)))
