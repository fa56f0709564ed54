"""Putting caches on this computer on the map."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProject

from ..plugin.core.storage.profile import StorageFormat
from ..plugin.host import messages, shown_layers
from ..plugin.host.messages import tr


def why_not_drawn(kind: str) -> str:
    """Why this QGIS draws no cache of this kind, a StorageFormat's value; "" where it does."""
    return shown_layers.unread_kind_reason(StorageFormat(kind))


def add_to_map(path: Path, kind: str, project: QgsProject) -> str:
    """Add a layer that draws the cache at `path`; why it cannot be drawn, "" where it is."""
    layer = shown_layers.layer_of_cache(path)
    if layer is not None:
        project.addMapLayer(layer)
        return ""
    reason = why_not_drawn(kind) or shown_layers.not_shown_reason(path)
    if reason:
        return reason
    text = tr("QGIS cannot open {path}: look with Verify whether it is sound.")
    return text.format(path=messages.path_text(str(path)))
